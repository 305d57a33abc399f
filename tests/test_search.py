"""The search for a start: cells, splitting, swaps; and what a palette found so promises."""

import itertools

import numpy as np
import pytest
import search_reference as reference
from hypothesis import given, settings
from hypothesis import strategies as st

import kmeans_c
from kmeans_c import Histogram, Palette, spaces
from kmeans_c._kernels import machine
from kmeans_c._kernels.points import Points
from kmeans_c._kernels.search import Search
from kmeans_c.clustering import Clusters
from kmeans_c.search import (
    EFFORTS,
    MASS_BITS,
    MOST_SEARCHED,
    Effort,
    cells_of,
    coarse_cells,
    swap_search,
)
from kmeans_c.spaces import SPACES
from kmeans_c.split_tree import SplitTree
from kmeans_c.threads import SIMD_LEVELS, SIMD_VARIABLE, simd_level

NO_FIXED = {D: np.empty((0, D), np.int32) for D in (3, 4)}
LEVELS = range(machine.cpu_level() + 1)
QUICK = Effort(16, 30_000, 20, 0)


def histogram_of(rng, n, channels, weights=None):
    """Of three clouds; RGBA has some translucent ones."""
    middles = rng.integers(20, 236, (3, channels))
    pixels = middles[rng.integers(0, 3, n)] + rng.normal(0, 25, (n, channels))
    pixels = pixels.clip(0, 255).astype(np.uint8)
    if channels == 4:
        pixels[::2, 3] = 255
    pixels = pixels[:, 0] if channels == 1 else pixels
    return Histogram(channels).add(pixels, weights)


def points_of(histogram, space="srgb", level=0):
    planes = spaces.coordinates(histogram.colors, space)
    return Points(histogram.keys, planes, histogram.counts, 1, level), planes


# ---- cells


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("most", [1, 2, 7, 100, 10_000])
def test_cells_are_those_of_greedy_splitting(rng, channels, space, most):
    histogram = histogram_of(rng, 900, channels, rng.integers(1, 100, 900))
    points, planes = points_of(histogram, space)
    means, masses = coarse_cells(points, histogram.keys, histogram.total, most)
    places = planes.T[: len(histogram)].tolist()
    weights = histogram.counts.tolist()
    ranges = reference.cells(histogram.keys.tolist(), places, weights, most)
    assert len(masses) == len(ranges) == min(most, len(ranges))
    for (first, last), mean, mass in zip(ranges, means.T.tolist(), masses.tolist(), strict=True):
        total = sum(weights[first:last])
        assert mass == total
        sums = [sum(w * x[d] for x, w in zip(places[first:last], weights[first:last], strict=True))
                for d in range(len(mean))]  # fmt: skip
        assert mean == [(2 * s + total) // (2 * total) for s in sums]
    assert masses.sum() == histogram.total


def test_the_cell_cut_next_has_the_largest_error_as_fractions_see_it(rng):
    histogram = histogram_of(rng, 300, 3, rng.integers(1, 2**20, 300))
    _, planes = points_of(histogram)
    places, weights = planes.T[: len(histogram)].tolist(), histogram.counts.tolist()
    keys = histogram.keys.tolist()
    for most in range(1, 60):
        before = reference.cells(keys, places, weights, most)
        after = reference.cells(keys, places, weights, most + 1)
        (cut,) = set(before) - set(after)
        errors = {
            cell: reference.exact_error(places[slice(*cell)], weights[slice(*cell)])
            for cell in before
        }
        assert errors[cut] >= max(errors.values()) * (1 - 2**-40)


def test_no_more_cells_than_colours_and_each_colour_its_own(rng):
    histogram = histogram_of(rng, 200, 3)
    points, planes = points_of(histogram)
    means, masses = coarse_cells(points, histogram.keys, histogram.total, 10**6)
    n = len(histogram)
    assert sorted(means.T.tolist()) == sorted(planes.T[:n].tolist())
    assert masses.sum() == histogram.total


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_masses_of_huge_weights_fit(rng, channels):
    n = 500
    weights = np.full(n, 2**47 // n)
    weights[: n // 2] = 1
    histogram = histogram_of(rng, n, channels, weights)
    points, _ = points_of(histogram)
    means, masses = coarse_cells(points, histogram.keys, histogram.total, 300)
    assert masses.min() >= 1
    assert masses.sum() < 2**MASS_BITS
    assert means.min() >= 0
    assert means.max() < 2**14


# ---- the partition


def random_partition(rng, N, D, fixed=0):
    means = rng.integers(0, 16320, (D, N)).astype(np.int32)
    means[:, : N // 2] //= 8  # half of them crowd in a corner
    masses = rng.integers(1, 1000, N)
    return means, masses, rng.integers(0, 16320, (fixed, D)).astype(np.int32)


@pytest.mark.parametrize("D", [3, 4])
@pytest.mark.parametrize("fixed", [0, 1, 5])
@pytest.mark.parametrize("K", [6, 14, 40])
def test_splitting_and_settling_are_those_of_the_reference(rng, simd, D, fixed, K):
    means, masses, stay = random_partition(rng, 260, D, fixed)
    search = Search(means, masses, stay, K, 0, 1, simd_level())
    slow = reference.Partition(means.T.tolist(), masses.tolist(), stay.tolist())
    slow.grow(K)
    assert search.grow(K) == len(slow.centres)
    found = np.empty((search.K, D), np.int32)
    search.centroids(found)
    assert [tuple(c) for c in found.tolist()] == slow.centres
    assert search.error() == pytest.approx(float(slow.error()), rel=1e-9)
    for passes in (1, 2, 200):
        assert search.settle(passes) == slow.settle(passes)
        search.centroids(found)
        assert [tuple(c) for c in found.tolist()] == slow.centres
        assert search.error() == pytest.approx(float(slow.error()), rel=1e-9)
    assert (found[:fixed] == stay).all()


def brute_error(means, masses, centroids):
    """Each point at the nearest centroid."""
    apart = means.T.astype(np.int64)[:, None] - centroids.astype(np.int64)
    return int(((apart**2).sum(axis=2).min(axis=1) * masses).sum())


def searched(means, masses, fixed, K, *, seed=0, n_threads=1, level=0, budgets=(200_000,) * 4):
    """Centroids, and the error after each step."""
    search = Search(means, masses, fixed, K, seed, n_threads, level)
    search.grow(K)
    errors = [search.error()]
    search.settle(4)
    errors.append(search.error())
    search.start()
    for budget in budgets:
        search.improve(budget, 20)
        errors.append(search.error())
    search.settle(10)
    errors.append(search.error())
    centroids = np.empty((search.K, len(means)), np.int32)
    search.centroids(centroids)
    return centroids, errors, search


@pytest.mark.parametrize("D", [3, 4])
@pytest.mark.parametrize("fixed", [0, 3])
@pytest.mark.parametrize("K", [4, 30])
def test_no_step_raises_the_error(rng, D, fixed, K):
    means, masses, stay = random_partition(rng, 700, D, fixed)
    centroids, errors, search = searched(means, masses, stay, K)
    for before, after in itertools.pairwise(errors):
        assert after <= before * (1 + 1e-12)
    assert search.tried >= search.accepted
    if K == 30:
        assert errors[-1] < errors[1]
        assert search.accepted > 0
    assert (centroids[:fixed] == stay).all()
    # The kernel's error is of real-valued means: centroids are rounded by half a unit an axis.
    slack = D / 4 * int(masses.sum())
    assert brute_error(means, masses, centroids) <= errors[-1] + slack


@pytest.mark.parametrize("D", [3, 4])
@pytest.mark.parametrize("fixed", [0, 2])
def test_the_search_gives_the_same_for_all_threads_and_levels(rng, D, fixed):
    means, masses, stay = random_partition(rng, 900, D, fixed)
    found = set()
    for n_threads, level in itertools.product([1, 2, 3], LEVELS):
        centroids, errors, search = searched(
            means, masses, stay, 40, n_threads=n_threads, level=level
        )
        found.add((centroids.tobytes(), tuple(errors), search.tried, search.accepted, search.work))
    assert len(found) == 1


def test_the_seed_decides_what_is_tried_and_nothing_else(rng):
    means, masses, stay = random_partition(rng, 900, 3)
    one, again, other = (searched(means, masses, stay, 40, seed=s) for s in (1, 1, 2**64 - 1))
    assert one[0].tobytes() == again[0].tobytes()
    assert one[0].tobytes() != other[0].tobytes()
    assert one[1][:2] == other[1][:2]  # splitting and settling draw nothing


def test_clouds_that_splitting_misses_are_found(rng):
    """Where clusters are plain, swaps find them all: the error is that of the clouds."""
    corners = np.array(list(itertools.product([1000, 6000, 11000, 15000], repeat=3)))
    middles = corners[rng.permutation(len(corners))[:24]]
    clouds = np.repeat(np.arange(24), 12)
    means = (middles[clouds] + rng.integers(-60, 61, (len(clouds), 3))).T.astype(np.int32)
    means = np.ascontiguousarray(means)
    masses = rng.integers(1, 50, len(clouds)) * rng.integers(1, 300, 24)[clouds]
    _, errors, _ = searched(means, masses, NO_FIXED[3], 24, budgets=(400_000,) * 8)
    best = sum(
        reference.exact_error(means.T[clouds == c].tolist(), masses[clouds == c].tolist())
        for c in range(24)
    )
    assert errors[-1] == pytest.approx(float(best), rel=1e-9)


def test_nothing_is_tried_without_patience_or_budget(rng):
    means, masses, stay = random_partition(rng, 200, 3)
    search = Search(means, masses, stay, 10, 0, 1, 0)
    search.grow(10)
    search.start()
    assert not search.improve(10**9, 0)
    search.improve(0, 20)
    assert search.tried == 0


@pytest.mark.parametrize("n", [1, 2, 5])
def test_fewer_points_than_clusters(n):
    means = np.arange(3 * n, dtype=np.int32).reshape(3, n) * 100
    search = Search(means, np.ones(n, np.int64), NO_FIXED[3], 9, 0, 1, 0)
    assert search.grow(9) == n
    assert search.settle(5)
    search.start()
    search.improve(1000, 5)
    assert search.error() == 0


# ---- the start as a whole


def started(histogram, K, effort, *, seed=5, fixed=None, n_threads=1, space="srgb"):
    level = simd_level()
    points, planes = points_of(histogram, space, level)
    fixed = NO_FIXED[len(planes)] if fixed is None else fixed
    return swap_search(
        points,
        histogram.keys,
        histogram.total,
        K,
        effort,
        seed=seed,
        fixed=fixed,
        n_threads=n_threads,
        level=level,
    )


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("effort", [None, QUICK, EFFORTS["fast"]])
def test_starts_are_the_same_for_all_threads_and_levels(rng, monkeypatch, channels, effort):
    histogram = histogram_of(rng, 3000, channels)
    found = set()
    for level, n_threads in itertools.product(SIMD_LEVELS[: len(LEVELS)], [1, 2, 3]):
        monkeypatch.setenv(SIMD_VARIABLE, level)
        found.add(started(histogram, 20, effort, n_threads=n_threads).tobytes())
    assert len(found) == 1


@pytest.mark.parametrize("K", [30, MOST_SEARCHED + 1])
def test_fixed_centroids_come_first_and_stay(rng, K):
    histogram = Histogram().add(rng.integers(0, 256, (6000, 3), dtype=np.uint8))
    fixed = rng.integers(0, 16320, (7, 3)).astype(np.int32)
    found = started(histogram, K, QUICK, fixed=fixed)
    assert (found[:7] == fixed).all()
    assert 7 < len(found) <= K


def test_a_search_is_better_than_splitting_and_longer_ones_are_better_still(rng):
    histogram = histogram_of(rng, 30_000, 3)
    errors = [
        kmeans_c.clustering.fit(histogram, 40, 10, method(effort), n_threads=1).inertia
        for effort in ("splitting", "fast", "best")
    ]
    assert errors == sorted(errors, reverse=True)


def method(word):
    init = "splitting" if word == "splitting" else "search"
    return kmeans_c.clustering.Method(
        init,
        EFFORTS["fast" if init == "splitting" else word],
        "srgb",
        np.empty((0, 3), np.uint8),
        kmeans_c.seeding.Draw(0),
    )


# ---- exactly K


def distinct_points(image, space):
    """Colours that lie at different places: all opaque ones do, hardly visible ones need not."""
    channels = 1 if image.ndim == 2 else image.shape[2]
    histogram = Histogram(channels).add(image)
    planes = spaces.coordinates(histogram.colors, space)[:, : len(histogram)]
    return len(np.unique(planes.T, axis=0)), len(histogram)


@st.composite
def small_images(draw):
    channels = draw(st.sampled_from([0, 3, 4]))
    size = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    low = draw(st.sampled_from([0, 100, 250]))
    image = rng.integers(low, draw(st.integers(low + 1, 256)), (1, size, max(channels, 1)))
    image = image.astype(np.uint8)
    if channels == 4:
        image[..., 3] = rng.choice(np.array([0, 1, 7, 128, 255], np.uint8), size)
    return image if channels else image[..., 0]


@settings(max_examples=300, deadline=None)
@given(
    image=small_images(),
    K=st.integers(1, 70),
    ITERS=st.sampled_from([0, 1, 10, None]),
    init=st.sampled_from(["search", "splitting", "k-means++", "random", "array"]),
    effort=st.sampled_from(["fast", "balanced"]),
    space=st.sampled_from(SPACES),
    weigh=st.sampled_from([None, int, float]),
    seed=st.integers(0, 9),
)
def test_exactly_k_distinct_used_colours(*, image, K, ITERS, init, effort, space, weigh, seed):
    rng = np.random.default_rng(seed)
    weights = None if weigh is None else (9 * rng.random(image.shape[:2])).astype(weigh)
    if weights is not None and not weights.any():
        weights[0, 0] = 1
    start = rng.integers(0, 256, (K, 3)) if init == "array" else init
    result = kmeans_c.quantize(
        image, K, ITERS, init=start, effort=effort, space=space, weights=weights, seed=seed
    )
    places, colors = distinct_points(image, space)
    assert len(np.unique(result.palette, axis=0)) == len(result.palette)
    assert (result.counts > 0).all()
    assert result.counts.tolist() == np.bincount(result.indices.ravel()).tolist()
    if places == colors or colors <= K:
        assert len(result.palette) == min(K, colors)
    assert len(result.palette) <= min(K, colors)
    if colors <= K:
        assert result.mse == 0


@pytest.mark.parametrize(
    ("init", "K"),
    [("search", MOST_SEARCHED), ("search", MOST_SEARCHED + 1), ("splitting", 5000),
     ("search", 65_536)],
)  # fmt: skip
def test_many_colours(rng, init, K):
    n = K + K // 8
    numbers = rng.permutation(1 << 24)[:n].astype(np.uint32)
    image = np.ascontiguousarray(numbers.view(np.uint8).reshape(1, n, 4)[..., :3])
    result = kmeans_c.quantize(image, K, 2, init=init, effort="fast", n_threads=2)
    assert len(result.palette) == len(np.unique(result.palette, axis=0)) == K
    assert (result.counts > 0).all()
    assert result.indices.dtype == np.uint16


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("fewer", [1, 2, 10])
def test_almost_as_many_as_there_are(rng, channels, fewer):
    histogram = histogram_of(rng, 300, channels)
    K = len(histogram) - fewer
    palette = Palette.fit(histogram, K, n_threads=1)
    assert len(palette) == K
    assert (palette.counts > 0).all()
    assert palette.counts.sum() == 300


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("init", ["search", "splitting"])
def test_huge_weights(rng, channels, init):
    n = 400
    weights = rng.integers(1, 2**46 // n, n)
    weights[0] = 2**46
    histogram = histogram_of(rng, n, channels, weights)
    palette = Palette.fit(histogram, 12, None, init=init, n_threads=1)
    assert len(palette) == 12
    assert (palette.counts > 0).all()
    assert palette.counts.sum() == histogram.total


# ---- colours to start from


def test_rounds_from_an_array_are_those_of_lloyd(rng):
    pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    start = np.unique(pixels.reshape(-1, 3), axis=0)[::200]
    K = len(start)
    found = kmeans_c.quantize(pixels, K, 0, init=start, effort="fast")
    assert sorted(found.palette.tolist()) == start.tolist()
    centroids = start.astype(np.int64) * 64
    X = pixels.reshape(-1, 3).astype(np.int64) * 64
    for _ in range(3):
        labels = ((X[:, None] - centroids) ** 2).sum(axis=2).argmin(axis=1)
        sums = np.stack([np.bincount(labels, X[:, d], K) for d in range(3)], axis=1)
        n = np.bincount(labels, minlength=K)[:, None]
        centroids = ((2 * sums + n) // (2 * n)).astype(np.int64)
    found = kmeans_c.quantize(pixels, K, 3, init=start, effort="fast")
    assert sorted(found.palette.tolist()) == sorted(((centroids + 32) // 64).tolist())


def test_floats_are_rounded_and_three_channels_start_four(rng):
    pixels = rng.integers(0, 256, (20, 20, 4), dtype=np.uint8)
    pixels[..., 3] |= 128
    start = rng.integers(0, 255, (5, 3))
    opaque = np.concatenate([start, np.full((5, 1), 255)], axis=1)
    results = [
        kmeans_c.quantize(pixels, 5, init=init) for init in (start, start + 0.25, opaque.tolist())
    ]
    assert len({r.palette.tobytes() for r in results}) == 1
    grey = kmeans_c.quantize(pixels[..., 0], 5, init=start)
    assert len(grey.palette) == 5


@pytest.mark.parametrize(
    ("init", "error", "message"),
    [
        ("wu", ValueError, "expected one of"),
        (7, TypeError, "expected a str or an array, got int"),
        (None, TypeError, "expected a str or an array, got NoneType"),
        ([[0.0, np.nan, 1.0]] * 4, TypeError, "expected a str or finite numbers"),
        ([["a", "b", "c"]] * 4, TypeError, "expected a str or finite numbers"),
        ([[1, 2, 3]] * 3, ValueError, r"expected shape \(4, 3\) or \(4, 4\), got \(3, 3\)"),
        ([[1, 2]] * 4, ValueError, r"expected shape \(4, 3\) or \(4, 4\), got \(4, 2\)"),
        ([[1, 2, 256]] * 4, ValueError, r"expected 0\.\.255, got 1\.\.256"),
        ([[-1, 2, 3]] * 4, ValueError, r"expected 0\.\.255, got -1\.\.3"),
        ([[1.0, 2.0, 255.5]] * 4, ValueError, r"expected 0\.\.255, got 1\.\.256"),
    ],
)
def test_impossible_starts(init, error, message):
    image = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    with pytest.raises(error, match=f"^init: {message}"):
        kmeans_c.quantize(image, 4, init=init)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("effort", "most", ValueError),
        ("effort", 3, TypeError),
        ("space", "xyz", ValueError),
        ("space", None, TypeError),
    ],
)
def test_impossible_words(name, value, error):
    image = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    for call in (
        lambda: kmeans_c.quantize(image, 4, **{name: value}),
        lambda: Palette.fit(Histogram().add(image), 4, **{name: value}),
    ):
        with pytest.raises(error, match=f"^{name}: expected"):
            call()


def test_the_efforts_are_in_order(rng):
    histogram = histogram_of(rng, 20_000, 3)
    fast, balanced, best = (
        kmeans_c.clustering.fit(histogram, 32, 10, method(word), n_threads=1).inertia
        for word in ("fast", "balanced", "best")
    )
    assert best <= balanced <= fast


# ---- opaque points


def nearest_allowed(points, opaque, centroids, top):
    """The squared distance of each point to the nearest centroid that it may take."""
    apart = ((points[:, None].astype(np.int64) - centroids.astype(np.int64)) ** 2).sum(axis=2)
    apart[np.ix_(opaque, centroids[:, 3] != top)] = 1 << 60
    return apart.min(axis=1)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
@pytest.mark.parametrize("fixed", [0, 1])
@pytest.mark.parametrize("K", [2, 3, 12, 40])
def test_opaque_points_take_opaque_centroids(rng, share, fixed, K):
    top, N = 14134, 400
    points = rng.integers(0, 16320, (N, 4)).astype(np.int32)
    points[:, 3] = np.minimum(points[:, 3], top - 56)
    opaque = rng.random(N) < share
    opaque[:2] = True, False
    points[opaque, 3] = top
    means, masses = np.ascontiguousarray(points.T), rng.integers(1, 1000, N)
    stay = np.array([[8160, 8160, 8160, 0]][:fixed], np.int32).reshape(fixed, 4)
    results = set()
    for n_threads, level in itertools.product([1, 2], LEVELS):
        search = Search(means, masses, stay, K, 1, n_threads, level, opaque.astype(np.uint8), top)
        assert search.grow(K) == K
        errors = [search.error()]
        search.settle(4)
        errors.append(search.error())
        search.start()
        search.improve(400_000, 20)
        errors.append(search.error())
        search.settle(10)
        errors.append(search.error())
        found = np.empty((K, 4), np.int32)
        search.centroids(found)
        results.add((found.tobytes(), tuple(errors), search.tried, search.accepted))
    assert len(results) == 1
    for before, after in itertools.pairwise(errors):
        assert after <= before * (1 + 1e-12)
    assert (found[:fixed] == stay).all()
    assert (found[:, 3] == top).any()
    # The search's error is of real-valued means: centroids are rounded by half a unit an axis.
    least = int((nearest_allowed(points, opaque, found, top) * masses).sum())
    assert least <= errors[-1] + int(masses.sum())


@pytest.mark.parametrize("most", [2, 9, 200, 10_000])
def test_no_cell_holds_opaque_colours_and_others(rng, most):
    histogram = histogram_of(rng, 900, 4, rng.integers(1, 100, 900))
    planes = spaces.coordinates(histogram.colors)
    tree = Clusters(histogram, 1).tree
    assert isinstance(tree, SplitTree)
    cells = cells_of(tree, histogram.keys, histogram.total, most)
    opaque = histogram.colors[:, 3] == 255
    assert cells.means.shape[1] == min(most, len(histogram))
    assert (cells.means[3, cells.opaque == 1] == cells.top).all()
    assert (cells.means[3, cells.opaque == 0] < cells.top).all()
    assert cells.masses[cells.opaque == 1].sum() == histogram.counts[opaque].sum()
    assert cells.masses[cells.opaque == 0].sum() == histogram.counts[~opaque].sum()
    if most > len(histogram):
        places = planes.T[: len(histogram)]
        assert sorted(cells.means.T.tolist()) == sorted(places.tolist())
