"""`KMeans` with scikit-learn's, from the same start and with defaults: bench_estimator.py.

Times are ratios, scikit-learn's over ours, both on as many threads. Fits take as many steps each
(tol=0); the last table fits with every default, starts included, and compares inertia as well.
"""

import argparse
import statistics
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans as Theirs
from sklearn.utils import shuffle  # type: ignore[import-untyped]
from threadpoolctl import threadpool_limits
from timing import in_turn, median_ratio, milliseconds

from kmeans_c import KMeans

CASES = [(1_000_000, 3, 16), (200_000, 16, 64), (50_000, 128, 256)]
STEPS = 10
SEEDS = 3


def points(N: int, D: int, K: int, dtype: str) -> NDArray[np.floating]:
    """Overlapping clouds, as many as clusters: neither too easy nor without structure."""
    rng = np.random.default_rng(0)
    centers = 2 * rng.standard_normal((K, D))
    X = centers[rng.integers(0, K, N)] + rng.standard_normal((N, D))
    return np.asarray(shuffle(X, random_state=0), dtype=dtype)


def compare(name: str, rounds: int, theirs, ours) -> None:  # type: ignore[no-untyped-def]
    slow, fast = in_turn(rounds, theirs, ours)
    ratio = median_ratio(slow, fast)
    print(f"  {name:18s} {milliseconds(fast):>32s}  scikit-learn takes {ratio:5.2f}x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtype", choices=("float32", "float64"), nargs="*")
    options = parser.parse_args()
    with threadpool_limits(options.threads):
        for dtype in options.dtype or ("float32", "float64"):
            for N, D, K in CASES:
                run(N, D, K, dtype, options)


def run(N: int, D: int, K: int, dtype: str, options: argparse.Namespace) -> None:
    X = points(N, D, K, dtype)
    settings = {"init": X[:K], "n_init": 1, "max_iter": STEPS, "tol": 0}
    ours = KMeans(K, n_threads=options.threads, **settings)
    theirs = Theirs(K, **settings)
    print(f"{N} x {D}, K={K}, {dtype}, threads: {options.threads}")
    compare(f"fit, {STEPS} steps", options.rounds, partial(theirs.fit, X), partial(ours.fit, X))
    print(f"  inertia {ours.inertia_ / theirs.inertia_:.9f} of scikit-learn's")
    assert ours.n_iter_ == theirs.n_iter_
    for name in ("predict", "transform"):
        calls = (partial(getattr(model, name), X) for model in (theirs, ours))
        compare(name, options.rounds, *calls)
    ratios, inertias = [], []
    for seed in range(SEEDS):
        both = Theirs(K, random_state=seed), KMeans(K, random_state=seed, n_threads=options.threads)
        slow, fast = in_turn(1, *(partial(model.fit, X) for model in both))
        ratios.append(slow[0] / fast[0])
        inertias.append(both[1].inertia_ / both[0].inertia_)
    print(
        f"  defaults, {SEEDS} seeds: scikit-learn takes {statistics.median(ratios):.2f}x "
        f"({min(ratios):.2f}..{max(ratios):.2f}); inertia {statistics.mean(inertias):.4f} of its "
        f"({min(inertias):.4f}..{max(inertias):.4f})"
    )


if __name__ == "__main__":
    main()
