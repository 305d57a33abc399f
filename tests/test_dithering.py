"""Dithering: the kernels against pixel-by-pixel Python ints, and what must hold of any result."""

import importlib.util
from pathlib import Path

import color_reference
import dither_reference as reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kmeans_c import Palette, dithering, quantize, spaces
from kmeans_c.dithering import DITHERS, dither
from kmeans_c.mapping import PaletteMap

BAYER = np.array([[0, 2], [3, 1]])
for _ in range(2):
    BAYER = np.block([[4 * BAYER, 4 * BAYER + 2], [4 * BAYER + 3, 4 * BAYER + 1]])
BAYER = np.tile(BAYER, (8, 8)).tolist()
answers = {}


def rows_of(pixels):
    return [[tuple(int(v) for v in np.atleast_1d(pixel)) for pixel in row] for row in pixels]


def expected(pixels, palette, method, strength, space="srgb"):
    rows, entries = rows_of(pixels), [tuple(c) for c in palette.tolist()]
    if method == "floyd-steinberg":
        return reference.floyd_steinberg(rows, entries, strength, space=space)
    if method == "adaptive":
        levels = reference.levels(rows, entries, space)
        return reference.floyd_steinberg(rows, entries, strength, levels, space)
    ranks = BAYER if method == "bayer" else dithering.blue_noise().tolist()
    return reference.ordered(rows, entries, strength, ranks, space)


def distinct(rng, K, channels):
    palette = rng.integers(0, 256, (8 * K, channels), dtype=np.uint8)
    if channels == 4:
        palette[::3, 3] = 255
        palette[palette[:, 3] == 0] = 0
    if channels == 1:
        return rng.permutation(256)[:K].astype(np.uint8)[:, np.newaxis]
    _, first = np.unique(palette, axis=0, return_index=True)
    return palette[np.sort(first)[:K]]


def smooth(rng, height, width, channels):
    """A gradient with noise in one half and flat areas; RGBA has clear and faint parts."""
    y, x = np.mgrid[:height, :width]
    slopes = rng.uniform(-4, 4, (channels, 2))
    planes = [128 + a * (y - height / 2) + b * (x - width / 2) for a, b in slopes]
    pixels = np.stack(planes, axis=2)
    pixels[:, : width // 2] += rng.normal(0, 20, (height, width // 2, channels))
    pixels = pixels.clip(0, 255).astype(np.uint8)
    pixels[: height // 3, : width // 4] = pixels[0, 0]
    if channels == 4:
        pixels[..., 3] = (30 * x - 100).clip(0, 255)
    return pixels


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("method", DITHERS[1:])
@pytest.mark.parametrize("K", [1, 2, 5, 30, 300])
def test_is_the_reference(rng, simd, method, channels, K):
    strength = 40 if K == 5 else 64
    if channels == 1 and K > 256:
        pytest.skip("there are 256 greys")
    palette = distinct(rng, K, channels)
    pixels = smooth(rng, 21, 19, channels)
    if K == 300:
        pixels = np.ascontiguousarray(pixels[5:10])
    shape = pixels if channels > 1 else pixels[:, :, 0]
    indices = dither(shape, palette, method, strength=strength / 64, n_threads=2)
    assert indices.dtype == (np.uint8 if K <= 256 else np.uint16)
    case = method, channels, K
    if case not in answers:  # the same at each SIMD level
        answers[case] = expected(pixels, palette, method, strength)
    assert indices.tolist() == answers[case]


def brute_nearest(pixels, palette, space):
    """The first of the nearest entries in a space, by all squared distances.

    An opaque pixel is compared with opaque entries, if there are any.
    """
    flat = np.ascontiguousarray(pixels.reshape(-1, palette.shape[1]))
    places = spaces.coordinates(flat, space)[:, : len(flat)].astype(np.int64)
    entries = spaces.coordinates(palette, space)[:, : len(palette)].astype(np.int64)
    squares = ((places[:, :, None] - entries[:, None, :]) ** 2).sum(axis=0)
    if palette.shape[1] == 4 and (palette[:, 3] == 255).any():
        squares[np.ix_(flat[:, 3] == 255, palette[:, 3] < 255)] = 1 << 60
    return squares.argmin(axis=1).reshape(pixels.shape[:2])


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("space", ["linear", "oklab", "lab"])
@pytest.mark.parametrize("method", DITHERS)
def test_another_space_decides_what_is_nearest(rng, simd, method, space, channels):
    palette = distinct(rng, 12, channels)
    pixels = smooth(rng, 17, 13, channels)
    if channels == 4:
        pixels[pixels[..., 3] == 0] = 0
    nearest = brute_nearest(pixels, palette, space)
    indices = dither(pixels, palette, method, space=space, nearest=nearest)
    if method == "none":
        assert (indices == nearest).all()
        return
    case = method, channels, space
    if case not in answers:
        answers[case] = expected(pixels, palette, method, 64, space)
    assert indices.tolist() == answers[case]


def test_another_space_needs_the_nearest():
    pixels, palette = np.zeros((2, 2, 3), np.uint8), np.zeros((1, 3), np.uint8)
    with pytest.raises(ValueError, match="nearest: expected indices"):
        dither(pixels, palette, "bayer", space="oklab")


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("space", spaces.SPACES)
@pytest.mark.parametrize("method", DITHERS[1:])
def test_quantize_and_map_dither(rng, method, space, channels):
    """Counts and error are those of the indices; the palette is as without; `map` agrees."""
    pixels = smooth(rng, 40, 60, channels)
    image = pixels if channels > 1 else pixels[..., 0]
    plain = quantize(image, 12, space=space)
    found = quantize(image, 12, space=space, dither=method)
    assert np.array_equal(found.palette, plain.palette)
    assert len(np.unique(found.palette, axis=0)) == len(found.palette) == 12
    assert (found.counts == np.bincount(found.indices.ravel(), minlength=12)).all()
    shown = found.palette[:, :1] if channels == 1 else found.palette
    places = [spaces.coordinates(c)[:, :2400] for c in (pixels.reshape(-1, channels), shown)]
    squares = ((places[0] - places[1][:, found.indices.ravel()]).astype(np.int64) ** 2).sum()
    assert found.mse == spaces.mean_squared_error(int(squares), found.indices.size, channels)
    mapped = Palette(found.palette).map(image, space=space, dither=method, n_threads=2)
    if channels > 1:
        assert (mapped == found.indices).all()
    assert np.array_equal(
        quantize(image, 12, space=space, dither=method, dither_strength=0).indices, plain.indices
    )


@pytest.mark.parametrize("method", DITHERS[1:])
def test_quantize_with_more_than_256_entries(rng, method):
    pixels = smooth(rng, 60, 70, 3)
    found = quantize(pixels, 400, dither=method, n_threads=1)
    again = quantize(pixels, 400, dither=method, n_threads=3)
    assert found.indices.dtype == np.uint16
    assert len(found.palette) == 400
    assert np.array_equal(found.indices, again.indices)
    assert np.array_equal(found.palette, again.palette)


@settings(max_examples=30, deadline=None)
@given(
    arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 9), st.just(4))),
    arrays(np.uint8, st.tuples(st.integers(1, 6), st.just(4)), unique=False),
    st.sampled_from(DITHERS[1:]),
    st.integers(0, 64),
    st.sampled_from([1, 3, 4]),
)
def test_any_image_is_the_reference(pixels, palette, method, strength, channels):
    palette = palette[:, :channels].copy()
    palette = palette[np.sort(np.unique(palette, axis=0, return_index=True)[1])]
    pixels = np.ascontiguousarray(pixels[:, :, :channels])
    indices = dither(pixels, palette, method, strength=strength / 64)
    if strength == 0:
        assert (indices == PaletteMap(palette).map(pixels)).all()
    else:
        assert indices.tolist() == expected(pixels, palette, method, strength)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_same_for_any_threads_and_level(rng, simd, n_threads, channels, monkeypatch):
    palette = distinct(rng, 40, channels)
    pixels = smooth(rng, 150, 300, channels)
    monkeypatch.setattr(dithering, "SHARE", 1 << 10)
    monkeypatch.setattr(dithering, "SHARE_ENTRIES", 1)
    indices = [dither(pixels, palette, method, n_threads=n_threads) for method in DITHERS]
    monkeypatch.setenv("KMEANS_C_SIMD", "baseline")
    for found, method in zip(indices, DITHERS, strict=True):
        assert (found == dither(pixels, palette, method, n_threads=1)).all(), method


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("method", DITHERS)
@pytest.mark.parametrize("size", [1, 7, 100])
def test_same_in_slices(rng, method, channels, size, monkeypatch):
    palette = distinct(rng, 9, channels)
    pixels = smooth(rng, 30, 23, channels)
    whole = dither(pixels, palette, method)
    monkeypatch.setattr(dithering, "SLICE", size)
    monkeypatch.setattr(dithering, "FIRST_SLICE", size)
    assert (dither(pixels, palette, method) == whole).all()


@pytest.mark.parametrize("method", DITHERS)
def test_what_is_in_the_palette_stays(rng, method):
    """Entries one level apart, too."""
    for channels in (1, 3, 4):
        palette = distinct(rng, 200, channels)
        if channels > 1:
            palette[1:100, :3] = palette[0, :3] + np.arange(1, 100, dtype=np.uint8)[:, np.newaxis]
            palette[:100, 3:] = 255
        palette = np.unique(palette, axis=0)
        chosen = rng.integers(0, len(palette), (40, 50))
        assert (dither(palette[chosen], palette, method) == chosen).all()


@pytest.mark.parametrize("method", DITHERS)
def test_strength_nothing_is_no_dithering(rng, method):
    palette = distinct(rng, 20, 3)
    pixels = smooth(rng, 20, 30, 3)
    plain = PaletteMap(palette).map(pixels)
    assert (dither(pixels, palette, method, strength=0) == plain).all()
    assert (dither(pixels, palette, "none") == plain).all()


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_mean_colour_is_kept(data):
    """Relation 22. Any colour that two entries mix, in a flat area of 64x64.

    Error diffusion loses at most what it hands over the border; a mixture of n entries is off by
    the last error, an nth of half the edge between them, and by half a lattice step.
    """
    ends = data.draw(arrays(np.uint8, (2, 3), elements=st.integers(0, 255)))
    span = abs(ends[0].astype(int) - ends[1]).max()
    share = data.draw(st.floats(0, 1))
    if span < 8:
        return
    color = np.rint(ends[0] + share * (ends[1].astype(float) - ends[0])).astype(np.uint8)
    pixels = np.tile(color, (64, 64, 1))
    for method in ("floyd-steinberg", "bayer", "blue-noise"):
        seen = ends[dither(pixels, ends, method)].reshape(-1, 3).mean(axis=0)
        bound = 2 + span / (32 if method == "floyd-steinberg" else 8)
        assert (abs(seen - color) <= bound).all(), method


def test_a_gradient_of_grey_keeps_its_means():
    pixels = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    palette = np.array([[0], [255]], np.uint8)
    for method in DITHERS[1:]:
        seen = palette[dither(pixels, palette, method), 0].astype(float)
        off = seen.reshape(64, 16, 16).mean(axis=(0, 2)) - pixels.reshape(64, 16, 16).mean((0, 2))
        assert abs(off).max() < 12, method


def test_adaptive_leaves_flat_areas_and_edges_clean():
    palette = np.array([[0, 0, 0], [90, 90, 90], [255, 255, 255], [200, 30, 30]], np.uint8)
    pixels = np.full((60, 60, 3), 230, np.uint8)
    pixels[:, 30:] = (60, 50, 70)
    pixels[20:40, 20:40] = (180, 60, 60)
    plain = PaletteMap(palette).map(pixels)
    assert (dither(pixels, palette, "adaptive") == plain).all()
    assert (dither(pixels, palette, "floyd-steinberg") != plain).any()


def test_adaptive_dithers_gradients():
    pixels = np.tile(np.arange(128, dtype=np.uint8)[:, np.newaxis], (64, 1, 3)).reshape(64, 128, 3)
    palette = np.array([[0] * 3, [64] * 3, [127] * 3], np.uint8)
    changed = dither(pixels, palette, "adaptive") != PaletteMap(palette).map(pixels)
    assert changed.mean() > 0.1


@pytest.mark.parametrize("method", DITHERS)
def test_transparent_pixels_are_one_colour_and_pass_nothing_on(rng, method):
    palette = np.array(
        [[0, 0, 0, 0], [0, 0, 0, 255], [250, 250, 250, 255], [0, 0, 0, 128]], np.uint8
    )
    pixels = np.full((16, 40, 4), 200, np.uint8)
    pixels[..., 3] = 255
    pixels[:, 20:, 3] = 0
    hidden = pixels.copy()
    hidden[:, 20:, :3] = rng.integers(0, 256, (16, 20, 3))
    indices = dither(pixels, palette, method)
    assert (indices[:, 20:] == 0).all()
    assert (dither(hidden, palette, method) == indices).all()
    assert np.isin(indices[:, :20], (1, 2)).all()  # opaque stays opaque
    if method == "floyd-steinberg":  # as if the clear ones were beyond a border
        assert len(np.unique(indices[:, :20])) == 2


@pytest.mark.parametrize("method", DITHERS)
def test_opaque_rgba_is_rgb(rng, method):
    palette, pixels = distinct(rng, 30, 3), smooth(rng, 30, 40, 3)
    opaque = [np.dstack([p, np.full(p.shape[:2], 255, np.uint8)]) for p in (pixels, palette[None])]
    assert (dither(opaque[0], opaque[1][0], method) == dither(pixels, palette, method)).all()


@pytest.mark.parametrize("method", DITHERS)
@pytest.mark.parametrize("space", spaces.SPACES)
def test_opaque_pixels_take_opaque_entries_and_clear_ones_the_clear_entry(rng, method, space):
    palette = distinct(rng, 12, 4)
    palette[:4, 3] = [255, 254, 247, 0]
    palette[3] = 0
    pixels = smooth(rng, 40, 30, 4)
    nearest = brute_nearest(pixels, palette, space)
    indices = dither(pixels, palette, method, space=space, nearest=nearest)
    assert (palette[indices[pixels[..., 3] == 255], 3] == 255).all()
    assert (indices[pixels[..., 3] == 0] == 3).all()


def test_soft_edges_get_no_dark_dots():
    """A white disc that fades, with entries of white at some opacities and of black."""
    y, x = np.mgrid[:64, :64]
    alpha = (300 - 9 * np.hypot(y - 32, x - 32)).clip(0, 255).astype(np.uint8)
    pixels = np.dstack([np.full((64, 64, 3), 255, np.uint8), alpha])
    white = [(255, 255, 255, a) for a in (64, 128, 192, 255)]
    palette = np.array([(0, 0, 0, 0), *white, (0, 0, 0, 255), (40, 40, 40, 128)], np.uint8)
    for method in DITHERS:
        shown = palette[dither(pixels, palette, method)]
        assert (shown[shown[..., 3] > 0][:, :3] == 255).all(), method
        assert abs(shown[..., 3].mean() - alpha.mean()) < 3, method


def test_known_nearest_entries_are_used_and_not_changed(rng):
    palette, pixels = distinct(rng, 30, 3), smooth(rng, 30, 40, 3)
    nearest = PaletteMap(palette).map(pixels)
    nearest.flags.writeable = False
    for method in DITHERS:
        indices = dither(pixels, palette, method, nearest=nearest)
        assert (indices == dither(pixels, palette, method)).all()
        assert not np.shares_memory(indices, nearest)


@pytest.mark.parametrize("K", [1, 2, 16, 256, 3000])
def test_lattice_owners(rng, simd, K):
    palette = distinct(rng, K, 3)
    entries = dithering.Entries(palette, "srgb", 2)
    assert (entries.table == PaletteMap(palette).map(dithering._lattice())).all()
    keys = [
        color_reference.z_order((r >> 2, g >> 2, b >> 2)) for r, g, b in ((0, 4, 255), (9, 0, 80))
    ]
    assert [tuple(c >> 2) for c in dithering._lattice()[keys].astype(int)] == [
        (0, 1, 63), (2, 0, 20),
    ]  # fmt: skip


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (2, 2), (9, 8)])
@pytest.mark.parametrize("method", DITHERS)
def test_any_shape(rng, method, shape):
    palette = distinct(rng, 6, 3)
    pixels = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert dither(pixels, palette, method).tolist() == (
        expected(pixels, palette, method, 64)
        if method != "none"
        else PaletteMap(palette).map(pixels).tolist()
    )


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "fs"}, ValueError, "dither: expected one of none, floyd-steinberg"),
        ({"method": 1}, TypeError, "dither: expected a str, got int"),
        ({"strength": 1.5}, ValueError, r"dither_strength: expected 0\.\.1, got 1\.5"),
        ({"strength": float("nan")}, ValueError, r"dither_strength: expected 0\.\.1, got nan"),
        ({"strength": "1"}, TypeError, "dither_strength: expected a number, got str"),
        ({"strength": True}, TypeError, "dither_strength: expected a number, got bool"),
    ],
)
def test_errors(arguments, error, message):
    pixels, palette = np.zeros((2, 2, 3), np.uint8), np.zeros((1, 3), np.uint8)
    method = arguments.pop("method", "bayer")
    with pytest.raises(error, match=message):
        dither(pixels, palette, method, **arguments)


# ---- the mask


def test_blue_noise_has_every_rank_once():
    ranks = dithering.blue_noise()
    assert ranks.shape == (64, 64)
    assert (np.sort(ranks, axis=None) == np.arange(4096)).all()


@pytest.mark.parametrize("level", [400, 1000, 2048, 3000, 3700])
def test_blue_noise_has_little_energy_below(level):
    """Thresholded anywhere, its spectrum is high-pass: Ulichney's blue noise."""
    pattern = (dithering.blue_noise() < level).astype(float)
    energy = abs(np.fft.fft2(pattern - pattern.mean())) ** 2
    frequency = np.fft.fftfreq(64) * 64
    radius = np.hypot(frequency[:, np.newaxis], frequency)
    principal = 64 * np.sqrt(min(level, 4096 - level) / 4096)
    low = energy[(radius > 0) & (radius < principal / 3)].mean()
    assert low < 0.25 * energy[radius > 0].mean()


def test_the_script_makes_the_same_mask():
    source = Path(__file__).parents[1] / "tools" / "make_blue_noise.py"
    if not source.exists():
        pytest.skip("tools/ is only in the source tree")
    spec = importlib.util.spec_from_file_location("make_blue_noise", source)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert (script.void_and_cluster() == dithering.blue_noise()).all()
