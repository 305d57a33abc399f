"""Every pixel gets the index of its nearest entry, the first of equals, on every path."""

import color_reference as reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kmeans_c import mapping
from kmeans_c.histogram import Histogram
from kmeans_c.mapping import PaletteMap


def brute_force(pixels, palette):
    """The reference in int64 arrays, for opaque colours."""
    palette = palette.astype(np.int64)
    out = np.empty(len(pixels), np.int64)
    for start in range(0, len(pixels), 1 << 14):
        part = pixels[start : start + (1 << 14), np.newaxis].astype(np.int64)
        out[start : start + (1 << 14)] = ((part - palette) ** 2).sum(axis=2).argmin(axis=1)
    return out


@pytest.fixture(params=["compare", "table"])
def path(request, monkeypatch):
    """Force one of the two ways to map."""
    compare = 1 << 62 if request.param == "compare" else 0
    monkeypatch.setattr(mapping, "COMPARE_ALL", compare)
    monkeypatch.setattr(mapping, "COMPARE_K", (compare,) * 3)
    return request.param


@pytest.mark.parametrize("K", [1, 2, 3, 16, 255, 256, 257, 700])
def test_rgb(rng, simd, n_threads, path, K):
    palette = rng.integers(0, 256, (K, 3), dtype=np.uint8)
    pixels = rng.integers(0, 256, (10_001, 3), dtype=np.uint8)
    pixels[:1000] = palette[rng.integers(0, K, 1000)]
    indices = PaletteMap(palette).map(pixels, n_threads=n_threads)
    assert indices.dtype == (np.uint8 if K <= 256 else np.uint16)
    assert (indices == brute_force(pixels, palette)).all()


@pytest.fixture(scope="module")
def cube():
    """All colours, a palette whose even spacing makes many ties, and the answer by comparison."""
    axis = np.arange(256, dtype=np.uint8)
    colors = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    palette = colors[16::60, 16::60, 16::60].reshape(-1, 3)
    square = (
        np.arange(256, dtype=np.int32)[:, np.newaxis] - palette.T.astype(np.int32)[:, np.newaxis]
    ) ** 2
    # The index in the low bits: the least number is the first of the nearest.
    slabs = square[1].T[:, :, np.newaxis] + square[2].T[:, np.newaxis, :]
    slabs = slabs * 256 + np.arange(len(palette), dtype=np.int32)[:, np.newaxis, np.newaxis]
    answer = np.empty((256, 256, 256), np.uint8)
    for red in range(256):
        best = np.full((256, 256), np.iinfo(np.int32).max, np.int32)
        for k, slab in enumerate(slabs):
            np.minimum(best, slab + 256 * square[0, red, k], out=best)
        answer[red] = best & 255
    return colors, palette, answer


def test_every_colour_there_is(simd, cube):
    colors, palette, answer = cube
    assert (PaletteMap(palette).map(colors) == answer).all()


@settings(max_examples=100, deadline=None)
@given(
    arrays(np.uint8, st.tuples(st.integers(1, 20), st.just(3)), elements=st.integers(0, 12)),
    arrays(np.uint8, st.tuples(st.integers(1, 9), st.just(3)), elements=st.integers(0, 12)),
)
def test_ties_go_to_the_first(pixels, palette):
    expected = reference.assign(pixels.tolist(), palette.tolist())
    assert PaletteMap(palette).map(pixels).tolist() == expected
    table = PaletteMap(palette)
    indices = np.empty(len(pixels), np.uint8)
    table._look_up(pixels, indices, 1)
    assert indices.tolist() == expected


@pytest.mark.parametrize("opaque", [True, False])
@pytest.mark.parametrize("K", [1, 4, 30, 300])
def test_alpha(rng, simd, path, K, opaque):
    palette = rng.integers(0, 256, (K, 4), dtype=np.uint8)
    palette[K // 2, 3] = 0
    palette[::5, 3] = 255 if opaque else 254
    pixels = rng.integers(0, 256, (600, 4), dtype=np.uint8)
    pixels[:300, 3] = rng.choice(np.array([0, 255], np.uint8), 300)
    indices = PaletteMap(palette).map(pixels)
    entries = palette.tolist()
    places = [reference.coordinates(p) for p in entries]
    expected = [
        reference.nearest_entry(p, reference.coordinates(p), entries, places)
        for p in pixels.tolist()
    ]
    assert indices.tolist() == expected
    if opaque:
        assert (palette[indices[pixels[:, 3] == 255], 3] == 255).all()
    if 0 in palette[:, 3]:
        assert (palette[indices[pixels[:, 3] == 0], 3] == 0).all()


@pytest.mark.parametrize("K", [1, 2, 16, 256])
def test_grey(rng, K):
    palette = rng.permutation(256)[:K].astype(np.uint8)[:, np.newaxis]
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    expected = reference.assign(pixels.reshape(-1, 1).tolist(), palette.tolist())
    assert PaletteMap(palette).map(pixels).ravel().tolist() == expected


def test_shape_and_layout(rng, path):
    palette = rng.integers(0, 256, (20, 3), dtype=np.uint8)
    pixels = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    indices = PaletteMap(palette).map(pixels)
    assert indices.shape == (30, 40)
    assert (PaletteMap(palette).map(pixels[::-1, ::2]) == indices[::-1, ::2]).all()


def test_a_map_serves_many_images(rng):
    palette = rng.integers(0, 256, (200, 3), dtype=np.uint8)
    table = PaletteMap(palette)
    for _ in range(3):
        pixels = rng.integers(0, 256, (60_000, 3), dtype=np.uint8)
        assert (table.map(pixels) == brute_force(pixels, palette)).all()


def test_learnt_owners_are_used(rng):
    pixels = rng.integers(0, 256, (50_000, 3), dtype=np.uint8)
    palette = rng.integers(0, 256, (200, 3), dtype=np.uint8)
    histogram = Histogram().add(pixels)
    table = PaletteMap(palette)
    table.learn(histogram, PaletteMap(palette).map(histogram.colors).astype(np.uint16))
    assert (table.map(pixels) == brute_force(pixels, palette)).all()


@pytest.mark.parametrize("K", [3, 300])
def test_alpha_of_many_pixels(rng, simd, n_threads, K, monkeypatch):
    """By comparison, by the table that grows, and by the owners that a clustering knows."""
    pixels = rng.integers(0, 256, (5001, 4), dtype=np.uint8)
    pixels[:, 3] = rng.choice(np.array([0, 255, 255, 9], np.uint8), 5001)
    pixels[1000:3500, 3] = 255  # whole runs
    palette = rng.integers(0, 256, (K, 4), dtype=np.uint8)
    palette[::2, 3] = 255
    expected = PaletteMap(palette).map(pixels, n_threads=1)
    monkeypatch.setattr(mapping, "COMPARE_ALL", 0)
    assert (PaletteMap(palette).map(pixels, n_threads=n_threads) == expected).all()
    histogram = Histogram(4).add(pixels)
    owners = PaletteMap(palette).map(histogram.colors).astype(np.uint16)
    found = mapping.map_counted(pixels, histogram, palette, owners, n_threads=n_threads)
    assert (found == expected).all()
