"""`apply_k_means` against scikit-learn's Lloyd from the same start: bench_apply.py [--rounds N]."""

import argparse
import warnings
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits
from timing import in_turn, median_ratio, milliseconds

import kmeans_c

# points, coordinates, clusters, and how many times faster it should be
CASES = [(1_000_000, 3, 16, 4), (1_000_000, 3, 256, 3), (200_000, 16, 64, 2), (50_000, 128, 256, 1)]
ITERS = 10


def data(N: int, D: int) -> NDArray[np.float32]:
    """A continuous cloud with structure: no cluster runs empty, and ten rounds do not converge."""
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((D, D)) / np.sqrt(D)
    return (rng.standard_normal((N, D)) @ mixing + rng.random((N, D))).astype(np.float32)


def inertia(
    X: NDArray[np.float32], centroids: NDArray[np.float32], labels: NDArray[np.int32]
) -> float:
    """In float64, the same way for both."""
    difference = X.astype(np.float64) - centroids.astype(np.float64)[labels]
    return float((difference * difference).sum())


def fit(X: NDArray[np.float32], start: NDArray[np.float32]) -> KMeans:
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return KMeans(
            len(start), algorithm="lloyd", init=start, n_init=1, max_iter=ITERS, tol=0
        ).fit(X)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    for N, D, K, goal in CASES:
        X = data(N, D)
        start = kmeans_c.initialize_centroids(X, K, seed=0)
        ours = partial(kmeans_c.apply_k_means, X, start, ITERS)
        one, two, theirs = in_turn(
            rounds, partial(ours, n_threads=1), partial(ours, n_threads=2), partial(fit, X, start)
        )
        centroids, labels = ours()
        model = fit(X, start)
        theirs_inertia = inertia(X, model.cluster_centers_, model.labels_)
        difference = inertia(X, centroids, labels) / theirs_inertia - 1
        print(
            f"{N} x {D}, K={K}, {ITERS} rounds: {milliseconds(one)}; "
            f"scikit-learn {milliseconds(theirs)}, {median_ratio(theirs, one):.2f}x (goal {goal}); "
            f"inertia {difference:+.1e}; 2 threads {median_ratio(one, two):.2f}x (goal 1.8x)"
        )


if __name__ == "__main__":
    main()
