"""The colour engine against plain brute-force Lloyd in NumPy's integers, bit for bit, many times.

KMEANS_C_CASES=100000 runs as many random cases instead of the default's 2,000. KMEANS_C_SHARED
names a folder of pictures (cq100/*.png below it) on which the same is done.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kmeans_c import spaces
from kmeans_c.clustering import Clusters
from kmeans_c.histogram import Histogram

CASES = int(os.environ.get("KMEANS_C_CASES", "2000"))
BATCH = 200
SHARED = os.environ.get("KMEANS_C_SHARED")


def brute_force(points, weights, centroids, ITERS):
    """Refill nothing: for starts in which no cluster ever runs empty; None where one does."""
    for done in range(ITERS):
        labels = nearest(points, centroids)
        sums = np.zeros((len(centroids), points.shape[1] + 1), np.int64)
        np.add.at(sums, labels, np.column_stack([points * weights[:, None], weights]))
        if (sums[:, -1] == 0).any():
            return None
        weight = sums[:, -1:]
        moved = (2 * sums[:, :-1] + weight) // (2 * weight)
        if (moved == centroids).all():
            return centroids, done + 1
        centroids = moved
    return centroids, ITERS


def nearest(points, centroids):
    best = np.full(len(points), np.iinfo(np.int64).max)
    labels = np.zeros(len(points), np.int64)
    for k, centroid in enumerate(centroids):
        distance = ((points - centroid) ** 2).sum(axis=1)
        closer = distance < best  # ties stay with the lowest index
        best[closer] = distance[closer]
        labels[closer] = k
    return labels


def check(histogram, centroids, ITERS, n_threads=1):
    """Compare centroids after ITERS rounds and the owners of all colours; False: nothing to."""
    clusters = Clusters(histogram, n_threads)
    D = clusters.points.shape[0]
    points = clusters.points[:, : len(histogram)].T.astype(np.int64)
    expected = brute_force(points, clusters.weights, centroids.astype(np.int64), ITERS)
    if expected is None:
        return False
    got, n_iter = clusters.iterate(centroids.astype(np.int32), ITERS)
    np.testing.assert_array_equal(got, expected[0])
    assert n_iter == expected[1]
    got, sums = clusters.refilled(got)
    if (np.bincount(nearest(points, expected[0]), minlength=len(got)) > 0).all():
        labels = nearest(points, expected[0])
        owners = np.empty(len(histogram), np.uint16)
        clusters.tree.labels(owners)
        np.testing.assert_array_equal(owners, labels)
        weights = np.zeros(len(got), np.int64)
        np.add.at(weights, labels, clusters.weights)
        np.testing.assert_array_equal(sums[:, D], weights)
    return True


@pytest.mark.parametrize("batch", range(-(-CASES // BATCH)))
def test_random_cases(batch):
    rng = np.random.default_rng(batch)
    compared = 0
    for _ in range(BATCH):
        channels = int(rng.choice([1, 3, 3, 4]))
        n, K, spread = (
            int(rng.integers(1, 200)),
            int(rng.integers(1, 12)),
            int(rng.integers(1, 257)),
        )
        colors = rng.integers(0, spread, (n, channels)).astype(np.uint8)
        if rng.random() < 0.5:
            colors = (colors // 9 * 9).astype(np.uint8)  # many ties
        pixels = colors[:, 0] if channels == 1 else colors
        histogram = Histogram(channels).add(pixels, rng.integers(1, 1000, n))
        points = spaces.coordinates(histogram.colors)[:, : len(histogram)].T
        rows = rng.permutation(len(histogram))[: min(K, len(histogram))]
        compared += check(histogram, points[rows], int(rng.integers(0, 12)))
    assert compared > BATCH / 2


@pytest.mark.skipif(SHARED is None, reason="KMEANS_C_SHARED names no folder")
@pytest.mark.parametrize("K", [4, 40])
def test_pictures(K):
    pictures = sorted(Path(SHARED or "").glob("**/cq100/*.png"))
    assert pictures
    for number, path in enumerate(pictures):
        with Image.open(path) as image:
            histogram = Histogram().add(np.asarray(image.convert("RGB")))
        points = spaces.coordinates(histogram.colors)[:, : len(histogram)].T
        rows = np.random.default_rng(number).permutation(len(histogram))[:K]
        check(histogram, points[rows], 6, n_threads=2)
