"""Relations between runs of `quantize` with its default search.

A search may find another palette where its cells are others: for permuted, reflected or mixed
colours the relation is that of the rounds from the same start.
"""

import itertools

import color_reference as reference
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import kmeans_c
from kmeans_c import Histogram, spaces
from kmeans_c._kernels import machine
from kmeans_c.clustering import Clusters, fit
from kmeans_c.dithering import DITHERS
from kmeans_c.method import as_method
from kmeans_c.search import EFFORTS
from kmeans_c.spaces import SPACES
from kmeans_c.threads import SIMD_LEVELS, SIMD_VARIABLE

PROPERTY = settings(max_examples=50, deadline=None)
# The same examples always: ties between distances are unlikely, not impossible.
FIXED = settings(max_examples=50, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**32)


def photo(channels=3, shape=(40, 50)):
    rng = np.random.default_rng(11)
    y, x = np.mgrid[: shape[0], : shape[1]]
    planes = np.stack([4 * x + y, 200 - 3 * y, 5 * np.abs(x - y), 255 - 5 * x][:channels], axis=2)
    return np.clip(planes + rng.normal(0, 8, planes.shape), 0, 255).astype(np.uint8)


def random_image(seed, n, low=0, high=256):
    rng = np.random.default_rng(seed)
    image = rng.integers(low, high, (1, n, 3), dtype=np.uint8)
    return rng, image


def total(result):
    return round(result.mse * result.indices.size)


def bytes_of(result):
    return result.palette.tobytes(), result.indices.tobytes(), result.counts.tobytes(), result.mse


# 2, 6: where pixels lie


def test_flips_rotations_and_other_shapes_keep_the_palette():
    image = photo()
    plain = kmeans_c.quantize(image, 9)
    for turn in (np.flipud, np.fliplr, np.rot90, lambda a: a.transpose(1, 0, *range(2, a.ndim)),
                 lambda a: a.reshape(20, 100, *a.shape[2:])):  # fmt: skip
        turned = kmeans_c.quantize(np.ascontiguousarray(turn(image)), 9)
        assert turned.palette.tobytes() == plain.palette.tobytes()
        assert (turned.indices == turn(plain.indices)).all()
        assert turned.mse == plain.mse


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_layout_in_memory_does_not_matter(channels):
    image = photo(channels)
    image = image[..., 0] if channels == 1 else image
    wide = np.zeros((80, 150, *image.shape[2:]), np.uint8)
    wide[::2, ::3] = image
    views = [
        np.asfortranarray(image),
        wide[::2, ::3],
        np.ascontiguousarray(image[::-1])[::-1],
        np.ascontiguousarray(image.swapaxes(0, 1)).swapaxes(0, 1),
    ]
    assert {bytes_of(kmeans_c.quantize(v, 9)) for v in [image, *views]} == {
        bytes_of(kmeans_c.quantize(image, 9))
    }


# 7: threads and levels


@pytest.mark.parametrize("init", ["search", "splitting"])
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_bytes_are_the_same_for_every_level_and_thread_count(monkeypatch, init, space, channels):
    histogram = Histogram(channels).add(photo(channels)[..., 0] if channels == 1 else
                                        photo(channels))  # fmt: skip
    method = as_method(20, init=init, effort="fast", space=space, keep=None, seed=0)
    results = set()
    for level, threads in itertools.product(SIMD_LEVELS[: machine.cpu_level() + 1], [1, 2, 3]):
        monkeypatch.setenv(SIMD_VARIABLE, level)
        found = fit(histogram, 20, 5, method._replace(draw=kmeans_c.seeding.Draw(0)),
                    n_threads=threads)  # fmt: skip
        results.add((found.palette.tobytes(), found.owners.tobytes(), found.inertia))
    assert len(results) == 1


# 9: once more


@pytest.mark.parametrize("dither", DITHERS)
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_quantizing_again_is_lossless(dither, space, channels):
    image = photo(channels)
    image = image[..., 0] if channels == 1 else image
    first = kmeans_c.quantize(image, 7, space=space, dither=dither)
    shown = first.to_array()
    again = kmeans_c.quantize(shown, 7, space=space, dither=dither)
    assert again.mse == 0
    np.testing.assert_array_equal(again.to_array(), shown)
    assert set(map(bytes, again.palette)) == set(map(bytes, np.unique(shown.reshape(-1,
                                                     shown.shape[2]), axis=0)))  # fmt: skip
    if dither == "none":
        assert bytes_of(again)[:3] == bytes_of(first)[:3]


# 10: one more colour


@PROPERTY
@given(seed=SEEDS, K=st.integers(1, 8), ITERS=st.sampled_from([0, 5, None]))
def test_a_palette_and_one_more_colour_lose_no_more(seed, K, ITERS):
    rng, image = random_image(seed, 60)
    few = kmeans_c.quantize(image, K)
    colors = {tuple(c) for c in image[0].tolist()} - {tuple(c) for c in few.palette.tolist()}
    assume(colors)
    one_more = np.array([*few.palette.tolist(), sorted(colors)[rng.integers(len(colors))]])
    many = kmeans_c.quantize(image, K + 1, ITERS, init=one_more)
    assert len(many.palette) == K + 1
    # Moved centroids are rounded to bytes: by a half at most, in three channels.
    slack = 0 if ITERS == 0 else 0.75 * 60
    assert total(many) <= total(few) + slack


# 11, 13: labels and error in every space


@PROPERTY
@given(seed=SEEDS, K=st.integers(1, 9), space=st.sampled_from(SPACES),
       channels=st.sampled_from([3, 4]))  # fmt: skip
def test_every_pixel_has_the_nearest_entry_and_the_error_is_exact(seed, K, space, channels):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (5, 8, channels), dtype=np.uint8)
    if channels == 4:
        image[..., 3] |= 64
    result = kmeans_c.quantize(image, K, space=space, effort="fast")

    def places(colors, space):
        flat = np.ascontiguousarray(colors).reshape(-1, channels)
        return spaces.coordinates(flat, space)[:, : len(flat)].T.astype(np.int64)

    apart = places(image, space)[:, None] - places(result.palette, space)
    sq_dist = (apart**2).sum(axis=2)
    if channels == 4 and (result.palette[:, 3] == 255).any():  # opaque pixels get opaque entries
        translucent = result.palette[:, 3] < 255
        sq_dist[np.ix_(image[..., 3].ravel() == 255, translucent)] = np.iinfo(np.int64).max
    np.testing.assert_array_equal(result.indices.ravel(), sq_dist.argmin(axis=1))
    errors = places(image, "srgb") - places(result.to_array(), "srgb")
    assert result.mse == int((errors**2).sum()) / (64**2 * 40)


# 15 to 17: colours to start from, and other places for them


def ties(image, centroids, ITERS):
    """Whether a colour is ever as near to two centroids, or a cluster empty."""
    X = image.reshape(-1, 3).astype(np.int64) * 64
    centroids = centroids.astype(np.int64) * 64
    for _ in range(ITERS + 1):
        apart = ((X[:, None] - centroids) ** 2).sum(axis=2)
        two = np.sort(apart, axis=1)[:, :2]
        labels = apart.argmin(axis=1)
        if (two[:, 0] == two[:, 1]).any() or len(set(labels.tolist())) < len(centroids):
            return True
        sums = np.stack([np.bincount(labels, X[:, d]) for d in range(3)], axis=1).astype(np.int64)
        n = np.bincount(labels)[:, None]
        centroids = (2 * sums + n) // (2 * n)
    return False


@FIXED
@given(seed=SEEDS, K=st.integers(2, 6), ITERS=st.sampled_from([0, 1, 4]))
def test_the_order_of_the_colours_to_start_from_does_not_matter(seed, K, ITERS):
    rng, image = random_image(seed, 60)
    start = np.unique(image[0], axis=0)
    start = start[rng.permutation(len(start))[:K]]
    assume(not ties(image, start, ITERS))
    straight, mixed = (
        kmeans_c.quantize(image, K, ITERS, init=colors)
        for colors in (start, rng.permutation(start))
    )
    assert bytes_of(straight) == bytes_of(mixed)


@FIXED
@given(seed=SEEDS, K=st.integers(2, 6), ITERS=st.sampled_from([0, 1, 4]),
       channels=st.permutations(range(3)))  # fmt: skip
def test_permuted_channels_permute_the_palette(seed, K, ITERS, channels):
    rng, image = random_image(seed, 60)
    start = np.unique(image[0], axis=0)
    start = start[rng.permutation(len(start))[:K]]
    assume(not ties(image, start, ITERS))
    straight = kmeans_c.quantize(image, K, ITERS, init=start, effort="fast")
    other = kmeans_c.quantize(
        image[..., channels], K, ITERS, init=start[:, channels], effort="fast"
    )
    assert set(map(bytes, other.palette)) == set(map(bytes, straight.palette[:, channels]))
    assert other.mse == straight.mse
    assert (other.to_array() == straight.to_array()[..., channels]).all()


@PROPERTY
@given(seed=SEEDS, K=st.integers(1, 6))
def test_reflected_colours_have_reflected_centroids_but_for_halves(seed, K):
    """A mean that is exactly between two whole numbers is rounded upwards, not away."""
    rng, image = random_image(seed, 50)
    start = np.unique(image[0], axis=0)
    start = start[rng.permutation(len(start))[:K]]
    moved = []
    for colors, centroids in ((image, start), (255 - image, 255 - start)):
        clusters = Clusters(Histogram().add(colors), 1)
        moved.append(clusters.iterate(clusters.places(centroids), 1)[0])
    apart = moved[1] - (16320 - moved[0])
    assert set(apart.ravel().tolist()) <= {0, 1}
    still = [kmeans_c.quantize(c, K, 0, init=i, effort="fast")
             for c, i in ((image, start), (255 - image, 255 - start))]  # fmt: skip
    assert still[0].mse == still[1].mse
    assert set(map(bytes, 255 - still[1].palette)) == set(map(bytes, still[0].palette))


def test_a_search_among_permuted_or_reflected_colours_is_about_as_good():
    image = photo()
    plain = kmeans_c.quantize(image, 12, effort="best")
    for other in (image[..., ::-1], image[..., [1, 2, 0]], 255 - image):
        found = kmeans_c.quantize(np.ascontiguousarray(other), 12, effort="best")
        assert found.mse == pytest.approx(plain.mse, rel=0.02)


# 21: two images


@PROPERTY
@given(seed=SEEDS, few=st.integers(1, 4), many=st.integers(1, 4))
def test_two_images_far_apart_lose_what_each_of_them_does(seed, few, many):
    _, dark = random_image(seed, 30, 0, 60)
    _, light = random_image(seed + 1, 40, 196, 256)
    one, two = kmeans_c.quantize(dark, few), kmeans_c.quantize(light, many)
    both = np.concatenate([dark, light], axis=1)
    palettes = np.concatenate([one.palette, two.palette])
    found = kmeans_c.quantize(both, len(palettes), 0, init=palettes, effort="fast")
    assert total(found) == total(one) + total(two)
    assert set(map(bytes, found.palette)) == set(map(bytes, palettes))
    moved = kmeans_c.quantize(both, len(palettes), None, init=palettes)
    assert total(moved) <= total(one) + total(two) + 0.75 * both.shape[1]


@FIXED
@given(seed=SEEDS, few=st.integers(1, 4), many=st.integers(1, 4))
def test_a_search_finds_both_images(seed, few, many):
    _, dark = random_image(seed, 30, 0, 60)
    _, light = random_image(seed + 1, 40, 196, 256)
    parts = [kmeans_c.quantize(i, k, None) for i, k in ((dark, few), (light, many))]
    both = kmeans_c.quantize(np.concatenate([dark, light], axis=1), few + many, None)
    assert total(both) <= 1.05 * sum(map(total, parts)) + 0.75 * 70


# 22: dithering


@pytest.mark.parametrize("dither", DITHERS)
@pytest.mark.parametrize("K", [2, 8, 40])
def test_dithered_pixels_are_palette_entries_and_keep_the_mean(dither, K):
    image = photo()
    result = kmeans_c.quantize(image, K, dither=dither)
    assert result.indices.max() < len(result.palette) == K
    assert result.counts.sum() == 2000
    apart = result.to_array().mean(axis=(0, 1)) - image.mean(axis=(0, 1))
    # Two colours cannot mix all of the image's; more can.
    assert np.abs(apart).max() <= {2: 16, 8: 6, 40: 3}[K]
    plain = kmeans_c.quantize(image, K)
    assert result.palette.tobytes() == plain.palette.tobytes()
    assert result.mse >= plain.mse


# 23: the plain loop


@pytest.mark.parametrize("effort", ["fast", "balanced"])
@pytest.mark.parametrize("init", ["search", "splitting"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_from_the_search_on_it_is_plain_lloyd(rng, simd, effort, init, channels):
    pixels = rng.integers(0, 256, (300, channels), dtype=np.uint8)
    if channels == 4:
        pixels[:, 3] |= 1
    histogram = Histogram(channels).add(pixels[:, 0] if channels == 1 else pixels)

    def method():
        return as_method(12, init=init, effort=effort, space="srgb", keep=None, seed=3)

    found = fit(histogram, 12, 6, method(), n_threads=2)
    fixed = np.empty((0, max(3, channels)), np.int32)
    start = Clusters(histogram, 1).start(12, method(), fixed)
    colors = [tuple(c) for c in histogram.colors.tolist()]
    weights = histogram.counts.tolist()
    points = [reference.coordinates(c) for c in colors]
    centroids, moves = reference.lloyd(points, weights, [tuple(c) for c in start.tolist()], 6)
    palette, labels = reference.palette(colors, weights, centroids)
    palette, labels = reference.polished(colors, weights, palette, labels,
                                         EFFORTS[effort].polishes)  # fmt: skip
    assert [tuple(c) for c in found.palette.tolist()] == palette
    assert found.owners.tolist() == labels
    places = [reference.coordinates(c) for c in palette]
    assert (found.n_iter, found.inertia) == (
        moves, reference.inertia(points, weights, labels, places)
    )  # fmt: skip
