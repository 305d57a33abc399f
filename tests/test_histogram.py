"""Histogram: exact, whatever the order, the pieces, the layout and the threads."""

import pickle
import tracemalloc

import color_reference as reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import kmeans_c.histogram
from kmeans_c.histogram import Histogram


def random_pixels(rng, n, channels, spread=256):
    pixels = rng.integers(0, spread, (n, channels), dtype=np.uint8)
    if channels == 4:
        pixels[:, 3] = rng.choice(np.array([0, 255, 255, 7, 200], np.uint8), n)
    return pixels


def as_list(histogram):
    colors = map(tuple, histogram.colors.tolist())
    return list(zip(colors, histogram.counts.tolist(), strict=True))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("n", [1, 2, 1000])
def test_counts_are_those_of_the_reference(rng, channels, n):
    pixels = random_pixels(rng, n, channels, 9)
    assert as_list(Histogram(channels).add(pixels)) == reference.count(pixels)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_weights_are_repetitions(rng, channels):
    pixels = random_pixels(rng, 300, channels, 9)
    weights = rng.integers(0, 4, 300)
    expected = reference.count(pixels, weights)
    if channels == 1:
        pixels = pixels[:, 0]
    weighted = Histogram(channels).add(pixels, weights)
    assert as_list(weighted) == expected
    assert weighted == Histogram(channels).add(np.repeat(pixels, weights, axis=0))


@pytest.mark.parametrize("channels", [3, 4])
def test_table_gives_what_sorting_gives(rng, simd, n_threads, channels):
    pixels = random_pixels(rng, 300_000, channels)
    pixels[:200_000, :3] //= 32  # counters overflow
    by_table = Histogram(channels).add(pixels, n_threads=n_threads)
    by_sorting = Histogram(channels)
    for start in range(0, len(pixels), 50_000):
        by_sorting.add(pixels[start : start + 50_000])
    assert by_table == by_sorting
    assert by_table.total == len(pixels)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_weights_in_pieces(rng, channels, monkeypatch):
    monkeypatch.setattr(kmeans_c.histogram, "SLICE", 700)
    monkeypatch.setattr(kmeans_c.histogram, "SORTED", 300)
    pixels = random_pixels(rng, 3000, channels, 9)
    weights = rng.integers(0, 2**34, 3000) * rng.integers(0, 2, 3000)
    expected = reference.count(pixels, weights)
    if channels == 1:
        pixels = pixels[:, 0]
    assert as_list(Histogram(channels).add(pixels, weights)) == expected


@pytest.mark.parametrize("times", [254, 255, 256, 509, 510, 511, 512])
def test_counters_overflow_exactly(n_threads, times):
    rest = np.arange(1, 200_001, dtype=np.uint32).view(np.uint8).reshape(-1, 4)[:, :3]
    pixels = np.concatenate(
        [np.zeros((times, 3), np.uint8), rest, np.full((times, 3), 255, np.uint8)]
    )
    histogram = Histogram().add(pixels, n_threads=n_threads)
    # Black and white are the first and the last in Z-order.
    assert histogram.colors[[0, -1]].tolist() == [[0, 0, 0], [255, 255, 255]]
    assert histogram.counts[[0, -1]].tolist() == [times, times]
    assert histogram.total == len(pixels)


@pytest.mark.parametrize("channels", [3, 4])
def test_overflow_in_many_rounds(rng, simd, n_threads, channels, monkeypatch):
    """Flat runs and mixed batches, and overflow lists that are summed up again and again."""
    monkeypatch.setattr(kmeans_c.histogram, "ROUND", 1 << 12)
    monkeypatch.setattr(kmeans_c.histogram, "SLICE", 10_007)
    monkeypatch.setattr(kmeans_c.histogram, "SORTED", 10_007)
    pixels = random_pixels(rng, 1000, channels, 3)
    pixels = np.repeat(pixels, rng.choice([1, 2, 40, 999], 1000), axis=0)
    assert len(pixels) > kmeans_c.histogram.SORT_BELOW
    colors, counts = np.unique(pixels, axis=0, return_counts=True)
    histogram = Histogram(channels).add(pixels, n_threads=n_threads)
    assert histogram == Histogram(channels).add(colors, counts)


def test_more_than_32_bits_of_one_colour():
    histogram = Histogram().add(np.zeros((1, 3), np.uint8), np.array([2**40]))
    histogram.add(np.zeros((5, 3), np.uint8))
    assert as_list(histogram) == [((0, 0, 0), 2**40 + 5)]
    with pytest.raises(ValueError, match="at most 2"):
        histogram.add(np.zeros((1, 3), np.uint8), np.array([2**47]))


def test_broadcast_pixels_need_no_memory(monkeypatch):
    monkeypatch.setattr(kmeans_c.histogram, "ROUND", 1 << 18)  # several rounds in little time
    pixels = np.broadcast_to(np.array([1, 2, 3], np.uint8), (3000, 1 << 12, 3))
    tracemalloc.start()
    histogram = Histogram().add(pixels, n_threads=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert as_list(histogram) == [((1, 2, 3), 3000 << 12)]
    assert peak < 20 << 20  # the table of counters, and a round's pixels; the array shows 35 MiB


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.uint8, st.tuples(st.integers(0, 60), st.just(3)), elements=st.integers(0, 5)),
    st.data(),
)
def test_pieces_order_and_merging_do_not_matter(pixels, data):
    whole = Histogram().add(pixels)
    order = data.draw(st.permutations(range(len(pixels))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(pixels)), max_size=5)))
    pieces = np.split(pixels[np.array(order, int)], cuts)
    added, merged = Histogram(), Histogram()
    for piece in pieces:
        added.add(piece)
        merged.merge(Histogram().add(piece))
    assert added == whole
    assert merged == whole
    assert as_list(whole) == reference.count(pixels)


def test_layout_does_not_matter(rng):
    pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    expected = Histogram().add(pixels)
    views = [
        pixels[::-1],
        pixels[:, ::-1],
        np.asfortranarray(pixels),
        pixels.transpose(1, 0, 2),
        np.repeat(pixels, 2, axis=1)[:, ::2],
        np.concatenate([pixels, pixels], axis=2)[:, :, :3],
        pixels.reshape(-1, 3),
    ]
    for view in views:
        assert Histogram().add(view) == expected


def test_transparent_pixels_are_one_colour():
    pixels = np.array([[9, 8, 7, 0], [0, 0, 0, 0], [1, 2, 3, 255]], np.uint8)
    assert as_list(Histogram(4).add(pixels)) == [((0, 0, 0, 0), 2), ((1, 2, 3, 255), 1)]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pickle(rng, channels):
    histogram = Histogram(channels).add(random_pixels(rng, 500, channels))
    copy = pickle.loads(pickle.dumps(histogram))
    assert copy == histogram
    assert copy.add(random_pixels(rng, 5, channels)) != histogram


def test_empty():
    histogram = Histogram().add(np.empty((0, 3), np.uint8))
    assert (len(histogram), histogram.total, histogram.colors.shape) == (0, 0, (0, 3))
    assert histogram == Histogram().merge(Histogram())
    assert histogram != Histogram(4)
    assert histogram != "histogram"


def test_results_are_read_only(rng):
    histogram = Histogram().add(random_pixels(rng, 10, 3))
    with pytest.raises(ValueError, match="read-only"):
        histogram.counts[0] = 5


@pytest.mark.parametrize(
    ("pixels", "weights", "error", "message"),
    [
        ([[1, 2, 3]], None, TypeError, "pixels: expected a NumPy array, got list"),
        (np.zeros((2, 3)), None, TypeError, "pixels: expected uint8, got float64"),
        (np.zeros((2, 4), np.uint8), None, ValueError, r"pixels: expected \(\.\.\., 3\)"),
        (np.zeros(3, np.uint8), None, ValueError, r"pixels: expected \(\.\.\., 3\)"),
        (np.zeros((2, 3), np.uint8), np.zeros(2), TypeError, "weights: expected integers"),
        (np.zeros((2, 3), np.uint8), np.zeros(3, int), ValueError, "weights: expected shape"),
        (np.zeros((2, 3), np.uint8), np.array([0, -1]), ValueError, "weights: expected 0"),
    ],
)
def test_wrong_arguments(pixels, weights, error, message):
    with pytest.raises(error, match=message):
        Histogram().add(pixels, weights)


def test_wrong_histograms():
    with pytest.raises(ValueError, match="channels: expected 1, 3 or 4, got 2"):
        Histogram(2)
    with pytest.raises(ValueError, match="other: expected 3 channels, got 4"):
        Histogram().merge(Histogram(4))
    with pytest.raises(TypeError, match="other: expected a Histogram, got int"):
        Histogram().merge(5)
