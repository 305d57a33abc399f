"""The original script's four steps, for any (N, D) data."""

# np.random in annotations would import it, a tenth of this package's own import time.
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kmeans_c.checks import (
    MAX_K,
    as_centroids,
    as_indices,
    as_points,
    check_choice,
    check_int,
    widened,
)
from kmeans_c.lloyd import Points, lloyd, means
from kmeans_c.seeding import INITS, Draw, seed_rows
from kmeans_c.threads import thread_count


def initialize_centroids(
    X: ArrayLike,
    K: int,
    *,
    seed: int | np.random.Generator | None = None,
    init: str = "random",
    n_threads: int | None = None,
) -> NDArray[Any]:
    """Choose K rows of the data as the first centroids.

    Parameters
    ----------
    X : (N, D) array_like of integers or floats
        The points, finite; only read.
    K : int
        1..N: how many centroids.
    seed : int, numpy.random.Generator or None
        The same seed draws the same rows, on every machine and with every NumPy. None draws fresh
        entropy.
    init : {"random", "k-means++"}
        "random": K distinct random rows, and as long as there are others no two of equal content
        (the search for others ends after 32 K draws). "k-means++": each with odds in proportion to
        its squared distance from the nearest one before [1]_.
    n_threads : int, optional
        Threads for "k-means++"; the rows drawn do not depend on it.

    Returns
    -------
    (K, D) array
        Copies of the rows: float32 for float16 and float32 data, else float64.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, or impossible: NaN, an empty or not two-dimensional
        `X`, K > N.

    References
    ----------
    .. [1] Arthur, D. and Vassilvitskii, S. (2007). k-means++: the advantages of careful seeding.
       SODA '07.
    """
    points = as_points("X", X)
    K = check_int("K", K, 1, min(len(points), MAX_K))
    check_choice("init", init, INITS)
    rows = seed_rows(points, K, init, Draw(seed), n_threads=thread_count(n_threads))
    return points[rows].astype(_centroid_dtype(X))


def get_centroid_indices(
    X: ArrayLike, centroids: ArrayLike, *, n_threads: int | None = None
) -> NDArray[np.int32]:
    """Find each point's closest centroid.

    Parameters
    ----------
    X : (N, D) array_like of integers or floats
        The points, finite; only read. uint8, float32 and float64 are read as they are where
        C-contiguous.
    centroids : (K, D) array_like of integers or floats
        Finite, any K from 1.
    n_threads : int, optional
        The result does not depend on it.

    Returns
    -------
    (N,) array of int32
        0..K-1. Ties go to the lowest index.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, or impossible: NaN, an empty `X`, shapes that do not
        match.

    Notes
    -----
    Distances are computed in float32 for uint8, float16 and float32 points, else in float64.
    For up to four coordinates they are sums of squared differences. For more, ``|c|^2 - 2 x.c``
    is compared, with the origin among the points: two centroids may be confused if their
    distances differ by less than the precision of the squared extent of the data. For uint8
    points and whole centroids in 0..255, of up to 64 coordinates, the result is exact. Every
    SIMD level and every number of threads gives the same bytes.
    """
    points, table = _alike(as_points("X", X), centroids)
    return Points(points, thread_count(n_threads)).nearest(table)


def get_centroid_values(
    X: ArrayLike, indices: ArrayLike, K: int, *, n_threads: int | None = None
) -> NDArray[Any]:
    """Average each centroid's points.

    Parameters
    ----------
    X : (N, D) array_like of integers or floats
        The points, finite; only read.
    indices : (N,) array_like of integers
        The centroid of each point, 0..K-1.
    K : int
        How many centroids, 1..N.
    n_threads : int, optional
        The result does not depend on it.

    Returns
    -------
    (K, D) array
        float32 for float16 and float32 points, else float64. A centroid without points is placed on
        the point farthest from its nearest centroid (ties: the first one), the next on the farthest
        from those and this one, and so on; where every point is a centroid already, on the first
        point.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, or impossible: NaN, an index out of range, shapes that
        do not match.

    Notes
    -----
    Sums are integers for uint8 points, and exact. For others they are float64, in an order that
    depends on N, K and D alone, so that every number of threads gives the same bytes.
    """
    points = as_points("X", X)
    K = check_int("K", K, 1, min(len(points), MAX_K))
    labels = as_indices("indices", indices, len(points), K)
    ready = Points(points, thread_count(n_threads))
    return means(ready, ready.totals(labels, K)).astype(_centroid_dtype(X))


def apply_k_means(
    X: ArrayLike, centroids: ArrayLike, ITERS: int = 10, *, n_threads: int | None = None
) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Repeat `get_centroid_indices` and `get_centroid_values` (Lloyd's algorithm [1]_).

    Parameters
    ----------
    X : (N, D) array_like of integers or floats
        The points, finite; only read.
    centroids : (K, D) array_like of integers or floats
        Where to start, K from 1 to N; only read.
    ITERS : int
        How often, 0 or more. Rounds that would change nothing any more are left out.
    n_threads : int, optional
        The result does not depend on it.

    Returns
    -------
    centroids : (K, D) array
        float32 for float16 and float32 points, else float64; none is NaN, as empty clusters are
        refilled.
    indices : (N,) array of int32
        Each point's closest one among the centroids returned.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, or impossible: NaN, shapes that do not match, K > N,
        ITERS < 0.

    References
    ----------
    .. [1] Lloyd, S. P. (1982). Least squares quantization in PCM. IEEE Trans. Information Theory
       28(2), 129-137.
    """
    points, table = _alike(as_points("X", X), centroids)
    if len(points) < len(table):
        raise ValueError(
            f"centroids: expected at most {len(points)}, the rows of X, got {len(table)}"
        )
    ITERS = check_int("ITERS", ITERS, 0)
    ready = Points(points, thread_count(n_threads))
    table, _ = lloyd(ready, table, ITERS)
    return table.astype(_centroid_dtype(X)), ready.nearest(table)


def _alike(points: NDArray[Any], centroids: ArrayLike) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Check the centroids; points whose own arithmetic would not hold them become float64."""
    table = as_centroids("centroids", centroids, points.shape[1])
    return widened(points, table), table


def _centroid_dtype(X: ArrayLike) -> Any:
    dtype = np.asarray(X).dtype
    return np.float32 if dtype.kind == "f" and dtype.itemsize <= 4 else np.float64
