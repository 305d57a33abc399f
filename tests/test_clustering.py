"""From a histogram to a palette: the reference's moves, refills and rounding, bit for bit."""

import color_reference as reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmeans_c.clustering import Clusters, fit
from kmeans_c.histogram import Histogram
from kmeans_c.mapping import PaletteMap
from kmeans_c.method import as_method
from kmeans_c.search import EFFORTS
from kmeans_c.seeding import Draw


def fitted(histogram, K=16, ITERS=10, seed=0, *, n_threads=1, effort="balanced", keep=None):
    method = as_method(K, init="k-means++", effort=effort, space="srgb", keep=keep, seed=seed)
    return fit(histogram, K, ITERS, method, n_threads=n_threads)


def random_histogram(rng, n, channels, spread=256):
    """Of colours none of which is transparent."""
    pixels = rng.integers(0, spread, (n, channels), dtype=np.uint8)
    if channels == 4:
        pixels[:, 3] |= 1
    return Histogram(channels).add(pixels, rng.integers(1, 50, n) if channels > 1 else None)


def reference_fit(histogram, centroids, iterations, polishes=0):
    """Of more colours than K, none of them transparent."""
    colors = [tuple(c) for c in histogram.colors.tolist()]
    weights = histogram.counts.tolist()
    points = [reference.coordinates(c) for c in colors]
    centroids, moves = reference.lloyd(points, weights, [tuple(c) for c in centroids], iterations)
    palette, labels = reference.palette(colors, weights, centroids)
    palette, labels = reference.polished(colors, weights, palette, labels, polishes)
    places = [reference.coordinates(c) for c in palette]
    return palette, labels, moves, reference.inertia(points, weights, labels, places)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(
    "case",
    [(60, 8, 3, "fast"), (200, 5, None, "balanced"), (90, 30, 0, "best"), (80, 9, 1, "best")],
)
def test_fit_is_that_of_the_reference(rng, simd, n_threads, channels, case):
    n, K, ITERS, effort = case
    histogram = random_histogram(rng, n, channels)
    found = fitted(histogram, K, ITERS, n_threads=n_threads, effort=effort)
    method = as_method(K, init="k-means++", effort=effort, space="srgb", keep=None, seed=0)
    start = Clusters(histogram, 1).start(K, method, np.empty((0, max(3, channels)), np.int32))
    palette, labels, moves, inertia = reference_fit(
        histogram, start.tolist(), ITERS, EFFORTS[effort].polishes if ITERS != 0 else 0
    )
    assert [tuple(c) for c in found.palette.tolist()] == palette
    assert found.owners.tolist() == labels
    assert (found.n_iter, found.inertia) == (moves, inertia)
    assert (
        found.counts.tolist()
        == np.bincount(labels, weights=histogram.counts, minlength=len(palette)).tolist()
    )


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_no_more_colours_than_asked_for_are_all_kept(rng, channels):
    histogram = random_histogram(rng, 30, channels)
    found = fitted(histogram, 30)
    colors = [tuple(c) for c in histogram.colors.tolist()]
    assert [tuple(c) for c in found.palette.tolist()] == reference.display_order(colors)
    assert (found.palette[found.owners] == histogram.colors).all()
    assert (found.counts[found.owners] == histogram.counts).all()
    assert (found.n_iter, found.inertia) == (0, 0)


def test_what_is_transparent_keeps_an_entry_of_its_own(rng):
    pixels = rng.integers(0, 256, (500, 4), dtype=np.uint8)
    pixels[:, 3] = rng.integers(0, 9, 500)
    histogram = Histogram(4).add(pixels)
    found = fitted(histogram, 5)
    assert histogram.has_transparent
    assert found.palette[0].tolist() == [0, 0, 0, 0]
    assert (found.palette[1:, 3] > 0).all()
    assert found.owners[0] == 0
    assert found.counts.sum() == 500


def test_random_seeds_are_distinct_colours_drawn_by_weight(rng):
    histogram = random_histogram(rng, 400, 3)
    clusters = Clusters(histogram, 1)
    seeds = clusters.seeds(50, "random", Draw(3))
    assert len(np.unique(seeds, axis=0)) == 50
    heavy = Histogram().add(np.array([[9, 9, 9], [5, 5, 5]], np.uint8), np.array([10**9, 1]))
    drawn = [Clusters(heavy, 1).seeds(1, "random", Draw(n)).tolist() for n in range(20)]
    assert drawn == [[[9 * 64] * 3]] * 20


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_refilling_is_that_of_the_reference(data):
    channels = data.draw(st.sampled_from([1, 3, 4]))
    color = st.tuples(*[st.integers(0, 6)] * channels)
    colors = data.draw(st.lists(color, min_size=1, max_size=10, unique=True))
    weights = data.draw(st.lists(st.integers(1, 9), min_size=len(colors), max_size=len(colors)))
    pixels = np.array(colors, np.uint8).reshape(-1, channels)
    histogram = Histogram(channels)
    for pixel, weight in zip(pixels, weights, strict=True):
        histogram.add(np.repeat(pixel[np.newaxis], weight, axis=0))
    D = max(channels, 3)
    place = st.tuples(*[st.sampled_from([0, 64, 128, 8160, 16383])] * D)
    seeds = data.draw(st.lists(place, min_size=1, max_size=len(histogram)))
    ITERS = data.draw(st.sampled_from([0, 1, 4, None]))
    clusters = Clusters(histogram, 1)
    centroids, moves = clusters.iterate(np.array(seeds, np.int32), ITERS)
    found = clusters.rounded(centroids, np.empty((0, channels), np.uint8), 0)
    expected = reference_fit(histogram, seeds, ITERS)
    assert [tuple(c) for c in found.palette.tolist()] == expected[0]
    assert found.owners.tolist() == expected[1]
    assert (moves, found.inertia) == expected[2:]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 40), st.integers(1, 60), st.integers(0, 3), st.integers(0, 2**32))
def test_exactly_k_distinct_used_colours(n, K, ITERS, seed):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(100, 104, (n, 3), dtype=np.uint8)
    histogram = Histogram().add(pixels)
    found = fitted(histogram, K, ITERS, seed)
    assert len(np.unique(found.palette, axis=0)) == len(found.palette) == min(K, len(histogram))
    assert sorted(set(found.owners.tolist())) == list(range(len(found.palette)))
    if len(histogram) <= K:
        assert found.inertia == 0
        assert (found.palette[PaletteMap(found.palette).map(pixels)] == pixels).all()


def test_inertia_never_rises(rng):
    histogram = random_histogram(rng, 3000, 3)
    clusters = Clusters(histogram, 1)
    centroids = clusters.seeds(12, "k-means++", Draw(5))
    before = None
    for _ in range(15):
        centroids, sums = clusters.refilled(centroids)
        inertia = clusters.tree.squares() + sum(
            w * sum(v * v for v in c) - 2 * sum(v * t for v, t in zip(c, s, strict=True))
            for c, (*s, w) in zip(centroids.tolist(), sums.tolist(), strict=True)
        )
        assert before is None or inertia <= before
        before = inertia
        centroids, _ = clusters.iterate(centroids, 1)


def test_one_colour_is_the_mean(rng):
    pixels = rng.integers(0, 256, (1000, 3), dtype=np.uint8)
    found = fitted(Histogram().add(pixels), 1)
    sums = pixels.sum(axis=0, dtype=int)
    mean = (2 * 64 * sums + 1000) // 2000
    assert found.palette.tolist() == [[(v + 32) // 64 for v in mean.tolist()]]


def test_order_multiples_and_channels(rng):
    pixels = rng.integers(0, 256, (5000, 3), dtype=np.uint8)
    histogram = Histogram().add(pixels)
    found = fitted(histogram, 9)
    again = fitted(Histogram().add(pixels[::-1]), 9)
    assert (found.palette == again.palette).all()
    twice = fitted(Histogram().add(pixels).add(pixels), 9)
    assert (found.palette == twice.palette).all()
    assert twice.inertia == 2 * found.inertia


def test_threads_and_levels_do_not_matter(rng, simd, n_threads):
    pixels = np.clip(rng.normal(128, 40, (40_000, 3)), 0, 255).astype(np.uint8)
    found = fitted(Histogram().add(pixels, n_threads=n_threads), 60, 12, n_threads=n_threads)
    palette = found.palette.astype(np.int64)
    error = pixels.astype(np.int64) - palette[PaletteMap(found.palette).map(pixels)]
    assert found.inertia == int((error**2).sum()) * 64**2


def test_converges(rng):
    histogram = random_histogram(rng, 2000, 3)
    found = fitted(histogram, 6, None)
    again, moves = Clusters(histogram, 1).iterate(
        Clusters(histogram, 1).seeds(6, "k-means++", Draw(0)), found.n_iter
    )
    stays, one = Clusters(histogram, 1).iterate(again, None)
    assert one == 1
    assert (stays == again).all()
    assert moves == found.n_iter


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_huge_counts(channels):
    pixels = np.array([[0], [100], [255]], np.uint8).repeat(channels, axis=1)
    histogram = Histogram(channels)
    if channels == 1:
        pixels = pixels[:, 0]
    histogram.add(pixels, np.array([2**40, 3, 2**45]))
    found = fitted(histogram, 2, None)
    assert sorted(found.counts.tolist()) == [2**40 + 3, 2**45]
    assert found.inertia >= 0
