"""Palette: its invariants from birth, fitting it, and what pixels become with it."""

import copy
import functools
import pickle

import color_reference as reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import kmeans_c
from kmeans_c import Histogram, Palette

PROPERTY = settings(max_examples=60, deadline=None)
# Few values a channel: many ties, many equal colours.
RGB = st.tuples(*[st.integers(0, 6)] * 3)
RGBA = st.tuples(*[st.integers(0, 6)] * 3, st.sampled_from([0, 1, 3, 128, 254, 255]))


def hide(colors):
    """What is fully transparent is black."""
    return [(0, 0, 0, 0) if len(c) == 4 and c[3] == 0 else tuple(c) for c in colors]


def palettes(color):
    """Lists of colours, some perhaps twice."""
    return st.lists(color, min_size=1, max_size=12)


def with_clear(pixels, colors):
    """The colours and, where the pixels need it, a fully transparent entry after them."""
    has_clear = pixels.shape[2:] == (4,) and (pixels[..., 3] == 0).any()
    if has_clear and not any(len(c) == 4 and c[3] == 0 for c in colors):
        return [*((*c, 255)[:4] for c in colors), (0, 0, 0, 0)]
    return colors


def images(color):
    rows = st.integers(1, 4).flatmap(
        lambda n: st.lists(st.lists(color, min_size=n, max_size=n), min_size=1, max_size=4)
    )
    return rows.map(lambda pixels: np.array(pixels, np.uint8))


GREY = images(st.integers(0, 255))


def alike(pixels, colors):
    """Pixels and colours in Python ints, with the channels of both."""
    pixels = pixels[:, :, np.newaxis].repeat(3, axis=2) if pixels.ndim == 2 else pixels
    pixels = [tuple(p) for p in pixels.reshape(-1, pixels.shape[2]).tolist()]
    colors = [tuple(int(v) for v in c) for c in colors]
    if len(pixels[0]) != len(colors[0]):
        pixels = [(*p, 255)[:4] for p in pixels]
        colors = [(*c, 255)[:4] for c in colors]
    return hide(pixels), hide(colors)


def nearest(pixels, colors):
    """The index of each pixel's entry, and the sum of the squared distances."""
    pixels, colors = alike(pixels, colors)
    points = [reference.coordinates(p) for p in pixels]
    places = [reference.coordinates(c) for c in colors]
    labels = reference.assign(points, places)
    return labels, reference.inertia(points, [1] * len(points), labels, places)


# What a palette is


def test_colours_keep_their_order_and_are_read_only():
    given_colors = np.array([[9, 8, 7], [0, 0, 0], [255, 1, 2]], np.uint8)
    palette = Palette(given_colors, counts=[3, 0, 2])
    given_colors[:] = 5
    assert palette.colors.tolist() == [[9, 8, 7], [0, 0, 0], [255, 1, 2]]
    assert palette.counts.tolist() == [3, 0, 2]
    assert (palette.colors.dtype, palette.counts.dtype) == (np.uint8, np.int64)
    assert len(palette) == 3
    for array in (palette.colors, palette.counts):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_what_hides_behind_full_transparency_is_dropped():
    palette = Palette([[9, 8, 7, 0], [9, 8, 7, 1]])
    assert palette.colors.tolist() == [[0, 0, 0, 0], [9, 8, 7, 1]]


@pytest.mark.parametrize(
    ("colors", "error", "message"),
    [
        ([[0.0, 1.0, 2.0]], TypeError, "expected integers, got dtype float64"),
        ([[True, False, True]], TypeError, "expected integers, got dtype bool"),
        ([["0", "1", "2"]], TypeError, "expected integers, got dtype <U1"),
        (None, TypeError, "expected integers, got dtype object"),
        ([[0, 0, 2**70]], TypeError, "expected integers, got dtype object"),
        ([], ValueError, r"expected shape \(n, 3\) or \(n, 4\), got \(0,\)"),
        ([1, 2, 3], ValueError, r"expected shape \(n, 3\) or \(n, 4\), got \(3,\)"),
        ([[1, 2]], ValueError, r"expected shape \(n, 3\) or \(n, 4\), got \(1, 2\)"),
        (np.empty((0, 3), np.uint8), ValueError, r"expected 1\.\.65536 colours, got 0"),
        (np.zeros((65537, 3), int), ValueError, r"expected 1\.\.65536 colours, got 65537"),
        ([[0, 0, -1]], ValueError, r"expected 0\.\.255, got -1\.\.0"),
        ([[0, 0, 256]], ValueError, r"expected 0\.\.255, got 0\.\.256"),
    ],
)
def test_impossible_colours(colors, error, message):
    with pytest.raises(error, match=f"^palette: {message}"):
        Palette(colors)
    if colors is not None:
        with pytest.raises(error, match=f"^palette: {message}"):
            kmeans_c.quantize(np.zeros((2, 2, 3), np.uint8), palette=colors)


@pytest.mark.parametrize(
    ("counts", "error"),
    [([1.0, 2.0], TypeError), ([1], ValueError), ([1, 2, 3], ValueError), ([1, -1], ValueError)],
)
def test_impossible_counts(counts, error):
    with pytest.raises(error, match=r"^counts: expected"):
        Palette([[0, 0, 0], [1, 1, 1]], counts)


def test_largest_palette():
    colors = np.arange(1 << 16, dtype=np.uint32).view(np.uint8).reshape(-1, 4)[:, :3]
    assert len(Palette(colors)) == 1 << 16


def test_equal_palettes_have_the_same_colours_in_the_same_order():
    palette = Palette([[1, 2, 3], [4, 5, 6]])
    same = Palette(np.array([[1, 2, 3], [4, 5, 6]], np.int64), counts=[7, 8])
    assert palette == same
    assert hash(palette) == hash(same)
    for other in ([[4, 5, 6], [1, 2, 3]], [[1, 2, 3]], [[1, 2, 3, 255], [4, 5, 6, 255]]):
        assert palette != Palette(other)
    assert palette != [[1, 2, 3], [4, 5, 6]]
    assert len({palette, same, Palette([[1, 2, 3]])}) == 2


@pytest.mark.parametrize(
    "again",
    [lambda p: pickle.loads(pickle.dumps(p)), copy.copy, copy.deepcopy, Palette],
    ids=["pickle", "copy", "deepcopy", "Palette"],
)
@pytest.mark.parametrize("counts", [None, [5, 0]])
def test_copies_are_equal(again, counts):
    palette = Palette([[1, 2, 3, 4], [0, 0, 0, 0]], counts)
    other = again(palette)
    assert other == palette
    assert (other.counts is None) == (counts is None)
    if counts:
        assert other.counts.tolist() == counts


def test_a_palette_is_an_array_for_numpy():
    palette = Palette([[1, 2, 3], [200, 5, 6]])
    assert np.asarray(palette).dtype == np.uint8
    assert np.asarray(palette).tolist() == palette.colors.tolist()
    assert np.asarray(palette, np.float32).dtype == np.float32
    mine = np.array(palette)
    mine[:] = 0
    assert palette.colors[1, 0] == 200


def test_repr_shows_the_first_colours():
    assert repr(Palette([[1, 2, 3]])) == "<Palette: 1 colours, #010203>"
    five = Palette([[i, 0, 0, 255] for i in range(5)])
    assert repr(five) == "<Palette: 5 colours, #000000ff #010000ff #020000ff #030000ff ...>"


# Fitting


def noise(channels, n=3000, seed=0):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (n, channels), dtype=np.uint8)
    if channels == 4:
        pixels[: n // 2, 3] = rng.choice(np.array([0, 255], np.uint8), n // 2)
    return pixels


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("K", [1, 16, 2000])
@pytest.mark.parametrize("ITERS", [0, 3, None])
def test_fit_has_exactly_k_used_colours(channels, K, ITERS):
    histogram = Histogram(channels).add(noise(channels))
    palette = Palette.fit(histogram, K, ITERS)
    assert len(palette) == min(K, len(histogram))
    assert palette.colors.shape[1] == max(3, channels)
    assert palette.counts.sum() == histogram.total
    assert (palette.counts > 0).all()


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("K", [5, 700])
def test_fit_and_map_are_quantize(channels, K):
    pixels = noise(channels).reshape(50, 60, channels)
    pixels = pixels[:, :, 0] if channels == 1 else pixels
    result = kmeans_c.quantize(pixels, K, 4)
    palette = Palette.fit(Histogram(channels).add(pixels), K, 4)
    assert palette.colors.tolist() == result.palette.tolist()
    assert palette.counts.tolist() == result.counts.tolist()
    indices = palette.map(pixels)
    assert indices.dtype == result.indices.dtype
    assert (indices == result.indices).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"histogram": Histogram()}, ValueError, "histogram: expected at least one colour"),
        ({"histogram": [[1, 2, 3]]}, TypeError, "histogram: expected a Histogram, got list"),
        ({"K": 0}, ValueError, r"K: expected 1\.\.65536, got 0"),
        ({"K": 65537}, ValueError, r"K: expected 1\.\.65536, got 65537"),
        ({"K": 2.5}, TypeError, "K: expected an integer, got float"),
        ({"ITERS": -1}, ValueError, "ITERS: expected at least 0, got -1"),
        ({"ITERS": 1.5}, TypeError, "ITERS: expected an integer, got float"),
        ({"init": "wu"}, ValueError, "init: expected one of"),
        ({"seed": -1}, ValueError, "seed: expected at least 0"),
        ({"n_threads": 0}, ValueError, "n_threads: expected at least 1"),
    ],
)
def test_impossible_arguments_of_fit(arguments, error, message):
    arguments = {"histogram": Histogram().add(noise(3)), **arguments}
    with pytest.raises(error, match=f"^{message}"):
        Palette.fit(**arguments)


# Mapping


@functools.cache
def mapping_case(image, palette, K):
    """60,000 pixels of 120 colours, a palette, the answer: compared if K is small, or looked up."""
    rng = np.random.default_rng([image, palette, K])
    pixels = noise(image, 120, seed=K)
    colors = rng.permutation(np.unique(rng.integers(0, 256, (2 * K, palette)), axis=0))[:K]
    if palette == 4:
        colors[1:, 3] = np.maximum(colors[1:, 3], 1)
    colors = np.array(hide(colors.tolist()), np.uint8)
    near = min(K, 40)
    channels = min(image, palette)
    pixels[:near, :channels] = colors[:near, :channels]  # some are met exactly
    pixels = pixels[:, 0] if image == 1 else pixels
    labels, _ = nearest(pixels[np.newaxis], with_clear(pixels[np.newaxis], colors.tolist()))
    order = rng.integers(0, 120, (200, 300))
    return pixels[order], colors, np.array(labels)[order]


@pytest.mark.parametrize("image", [1, 3, 4], ids=["grey", "rgb", "rgba"])
@pytest.mark.parametrize("palette", [3, 4], ids=["rgb", "rgba"])
@pytest.mark.parametrize("K", [1, 20, 200, 257])
def test_map_is_brute_force(simd, n_threads, image, palette, K):
    pixels, colors, expected = mapping_case(image, palette, K)
    indices = Palette(colors).map(pixels, n_threads=n_threads)
    assert indices.dtype == (np.uint8 if K <= 256 else np.uint16)
    assert (indices == expected).all()
    if n_threads == 1:
        assert (kmeans_c.quantize(pixels, palette=colors).indices == expected).all()


@PROPERTY
@given(
    image=st.one_of(GREY, images(RGB), images(RGBA)),
    colors=st.one_of(palettes(RGB), palettes(RGBA)),
)
def test_map_and_quantize_of_small_cases(image, colors):
    palette = Palette(colors)
    colors = with_clear(image, colors)
    labels, inertia = nearest(image, colors)
    assert palette.map(image, n_threads=1).ravel().tolist() == labels
    result = kmeans_c.quantize(image, palette=palette)
    assert result.indices.ravel().tolist() == labels
    assert result.palette.tolist() == [list(c) for c in colors]
    assert result.counts.tolist() == np.bincount(labels, minlength=len(colors)).tolist()
    assert result.mse == inertia / (64**2 * len(labels))
    assert result.n_iter == 0


@PROPERTY
@given(
    image=st.one_of(GREY, images(RGB), images(RGBA)),
    colors=st.one_of(palettes(RGB), palettes(RGBA)),
)
def test_mapping_what_was_mapped_changes_nothing(image, colors):
    first = kmeans_c.quantize(image, palette=colors)
    second = kmeans_c.quantize(first.to_array(), palette=colors)
    assert second.mse == 0
    assert (second.indices == first.indices).all()


@PROPERTY
@given(image=images(RGB), colors=palettes(RGB), data=st.data())
def test_another_order_of_the_palette_changes_no_error(image, colors, data):
    shuffled = data.draw(st.permutations(colors))
    assert (
        kmeans_c.quantize(image, palette=colors).mse
        == kmeans_c.quantize(image, palette=shuffled).mse
    )


@PROPERTY
@given(image=images(RGB), colors=palettes(RGB))
def test_opaque_is_rgb(image, colors):
    def opaque(a):
        return np.concatenate([a, np.full((*a.shape[:-1], 1), 255, a.dtype)], axis=-1)

    expected = Palette(colors).map(image, n_threads=1)
    with_alpha = Palette(opaque(np.array(colors)))
    for palette in (Palette(colors), with_alpha):
        for pixels in (image, opaque(image)):
            assert (palette.map(pixels, n_threads=1) == expected).all()


def test_given_palette_as_a_list_an_array_or_a_palette():
    image = noise(3).reshape(50, 60, 3)
    colors = [[250, 0, 0], [5, 5, 5], [0, 0, 250]]
    expected = kmeans_c.quantize(image, palette=colors)
    for palette in (np.array(colors), Palette(colors), tuple(map(tuple, colors))):
        result = kmeans_c.quantize(image, palette=palette)
        assert result.palette.tolist() == colors
        assert (result.indices == expected.indices).all()
        assert result.mse == expected.mse


def test_the_result_does_not_share_the_palettes_memory():
    palette = Palette([[1, 2, 3]])
    result = kmeans_c.quantize(np.zeros((2, 2, 3), np.uint8), palette=palette)
    result.palette[:] = 0
    assert palette.colors.tolist() == [[1, 2, 3]]


def test_map_takes_what_quantize_takes(tmp_path):
    image = Image.fromarray(noise(3).reshape(50, 60, 3))
    image.save(tmp_path / "image.png")
    palette = Palette([[0, 0, 0], [90, 90, 90], [200, 100, 0]])
    expected = palette.map(np.asarray(image))
    assert expected.shape == (50, 60)
    assert (palette.map(image) == expected).all()
    assert (palette.map(tmp_path / "image.png") == expected).all()
    with (tmp_path / "image.png").open("rb") as file:
        assert (palette.map(file) == expected).all()
    with pytest.raises(TypeError):
        palette.map(3)
