"""Draws by k-means++ over groups of colours are those over all colours, and coordinates made from
keys those of spaces."""

from itertools import islice

import color_reference as reference
import numpy as np
import pytest

from kmeans_c import spaces, threads
from kmeans_c._kernels import color_seeding, coordinates
from kmeans_c.histogram import Histogram

MASK = 2**64 - 1


def words(state):
    """Splitmix64, endlessly."""
    while True:
        state = state + 0x9E3779B97F4A7C15 & MASK
        z = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
        yield z ^ z >> 31


def plus_plus(points, weights, K, state):
    """In Python ints."""
    costs = list(weights)
    seeds = []
    least = [2**31 - 1] * len(points)
    for word in islice(words(state), K):
        left = word * sum(costs) >> 64
        at = len(points) - 1
        for i, cost in enumerate(costs):
            if left < cost:
                at = i
                break
            left -= cost
        seeds.append(at)
        for i, point in enumerate(points):
            least[i] = min(least[i], reference.squared_distance(point, points[at]))
        costs = [w * d for w, d in zip(weights, least, strict=True)]
    return seeds


@pytest.mark.parametrize("D", [3, 4])
@pytest.mark.parametrize("size", [(1, 1), (5, 8), (64, 3), (65, 40), (700, 50)])
def test_seeds_are_those_of_the_reference(rng, simd, D, size):
    n, K = size
    points = rng.integers(0, 40, (n, D)) * 64 + rng.integers(0, 2, D) * 8000
    points = points[np.lexsort(points.T >> 9)]  # near in order, near in space, more or less
    weights = rng.integers(1, 1000, n)
    planes = np.zeros((D, n + 64), np.int32)
    planes[:, :n] = points.T
    seeds, least = np.empty(K, np.int64), np.ones(n, np.int32)
    state = np.array([2**63 + 12345, weights.sum()], np.uint64)
    cut = K // 3
    for first, last in ((0, cut), (cut, K)):
        color_seeding.plus_plus(
            planes, weights, least, seeds, state, first, last, threads.simd_level()
        )
    expected = plus_plus(points.tolist(), weights.tolist(), K, 2**63 + 12345)
    assert seeds.tolist() == expected


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_coordinates_from_keys(rng, simd, n_threads, channels):
    pixels = rng.integers(0, 256, (40_000, channels), dtype=np.uint8)
    if channels == 4:
        pixels[::5, 3] = rng.choice([0, 1, 254, 255], 8000)
    histogram = Histogram(channels).add(pixels[:, 0] if channels == 1 else pixels)
    expected = spaces.coordinates(histogram.colors)
    planes = np.zeros_like(expected)
    coordinates.from_keys(histogram.keys, channels, planes, n_threads, threads.simd_level())
    assert (planes == expected).all()


def test_coordinates_of_every_channel_value_and_alpha():
    value, alpha = (a.ravel() for a in np.meshgrid(np.arange(256), np.arange(1, 256)))
    colors = np.stack([value, 255 - value, value // 2, alpha], axis=1).astype(np.uint8)
    histogram = Histogram(4).add(colors)
    planes = np.zeros((4, len(histogram) + 64), np.int32)
    coordinates.from_keys(histogram.keys, 4, planes, 1, threads.simd_level())
    for got, color in zip(planes.T[::97].tolist(), histogram.colors[::97].tolist(), strict=False):
        assert tuple(got) == reference.coordinates(tuple(color))
