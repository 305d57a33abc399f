"""The original script's k-means in plain NumPy against our own: bench_original.py [--image FILE].

The original is written afresh from its description, with its Python loop over the pixels. A round
takes minutes, so it is timed on the first --pixels pixels and scaled: it is linear in them. A
vectorised NumPy version runs on all.
"""

import argparse
import statistics
from functools import partial

import numpy as np
from numpy.typing import NDArray
from timing import in_turn, milliseconds, picture

import kmeans_c

K, ITERS = 16, 10


def initialize_centroids(X: NDArray[np.float64], K: int) -> NDArray[np.float64]:
    return X[np.random.default_rng(0).choice(len(X), K, replace=False)]


def get_centroid_indices(
    X: NDArray[np.float64], centroids: NDArray[np.float64]
) -> NDArray[np.intp]:
    indices = np.zeros(len(X), dtype=np.intp)
    for i in range(len(X)):
        indices[i] = np.argmin(np.sum((centroids - X[i]) ** 2, axis=1))
    return indices


def vectorised_indices(X: NDArray[np.float64], centroids: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.stack([((X - c) ** 2).sum(axis=1) for c in centroids]).argmin(axis=0)


def get_centroid_values(
    X: NDArray[np.float64], indices: NDArray[np.intp], K: int
) -> NDArray[np.float64]:
    return np.array(
        [X[indices == k].mean(axis=0) if (indices == k).any() else X[0] for k in range(K)]
    )


def apply_k_means(X, centroids, ITERS, find=get_centroid_indices):  # type: ignore[no-untyped-def]
    for _ in range(ITERS):
        indices = find(X, centroids)
        centroids = get_centroid_values(X, indices, len(centroids))
    return centroids, find(X, centroids)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image")
    parser.add_argument("--pixels", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    image = picture(options.image, 3840, 2560)
    X = image.reshape(-1, 3).astype(np.float64) / 255
    start = initialize_centroids(X, K)
    part = X[: options.pixels]
    ours = partial(kmeans_c.quantize, image, K, ITERS, init="random", n_threads=1)
    seconds, whole = in_turn(options.rounds, partial(apply_k_means, part, start, ITERS), ours)
    (vectorised,) = in_turn(1, partial(apply_k_means, X, start, ITERS, vectorised_indices))
    scale = len(X) / len(part)
    ratio = statistics.median(a * scale / b for a, b in zip(seconds, whole, strict=True))
    print(f"{image.shape[1]} x {image.shape[0]}, K={K}, ITERS={ITERS}, one thread")
    print(f"quantize (count, seed, cluster, map): {milliseconds(whole)}")
    plain = statistics.median(seconds) * scale
    print(f"plain NumPy: {plain:.0f} s (from {len(part)} pixels): {ratio:.0f}x")
    ratio = vectorised[0] / statistics.median(whole)
    print(f"vectorised NumPy: {vectorised[0]:.1f} s: {ratio:.0f}x")


if __name__ == "__main__":
    main()
