"""Where the centroids start: a search over a coarse picture of the colours.

Lloyd's algorithm only polishes what it is given, so the start decides. Passes over all colours are
too dear for a search; but a few thousand cells, each with the exact mean and weight of its colours,
show the same valleys, and there a swap of one centroid is tried in some 50 microseconds.

Cells of more than one colour are cut where most of the squared error is. Binary splitting gives
the first partition, swaps improve it (_kernels/search.pyx), and its centroids go on to the exact
passes.
Everything is deterministic: what is left to chance comes from the seed.

Franti, P. (2018). Efficiency of random swap clustering. Journal of Big Data 5, 13.
Orchard, M. T. and Bouman, C. A. (1991). Color quantization of images. IEEE Trans. Signal
Processing 39(12), 2677-2690.
"""

from math import isqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kmeans_c._kernels.cells import coarse
from kmeans_c._kernels.points import Points
from kmeans_c._kernels.search import Search
from kmeans_c.split_tree import SplitTree

Centroids = NDArray[np.int32]


class Effort(NamedTuple):
    """How much is searched; everything grows with the root of K.

    Attributes
    ----------
    cells : int
        Cells for K = 1.
    distances : int
        Distances that swaps may compute, for K = 1: some 0.5 ns each.
    patience : int
        Swaps a cluster that are tried in vain before it is thought that there is none.
    polishes : int
        How often the rounded palette is tried to be bettered.
    """

    cells: int
    distances: int
    patience: int
    polishes: int


# The best of cells from 128 to 4096 and distances from 1e5 to 4e7, on CQ100 (bench_quality.py).
EFFORTS = {
    "fast": Effort(256, 150_000, 20, 0),
    "balanced": Effort(512, 1_500_000, 20, 2),
    "best": Effort(2048, 40_000_000, 60, 10),
}

# Cells a cluster, at least; fewer say nothing about where a cluster should end.
CELLS_A_CLUSTER = 16

# Beyond so many clusters the cells themselves are the start: swaps compare all pairs of clusters.
MOST_SEARCHED = 2048

FIRST_PASSES = 2  # of Lloyd before the swaps; the rest they make themselves
LAST_PASSES = 4  # after them

SLICE = 1 << 24  # distances between two looks at the signals: some 10 ms

MASS_BITS = 31  # what the kernels allow for the sum of all masses


class Cells(NamedTuple):
    """Groups of neighbouring colours.

    Attributes
    ----------
    means : (D, n) array
    masses : (n,) array
        Their weights.
    opaque : (n,) array of uint8, or None
        1 where the colours of a cell are opaque, 0 where none of them is; None: no constraint.
    top : int
        The fourth coordinate of opaque colours.
    """

    means: NDArray[np.int32]
    masses: NDArray[np.int64]
    opaque: NDArray[np.uint8] | None = None
    top: int = 0


def swap_search(
    points: Points | SplitTree,
    keys: NDArray[np.uint32],
    total: int,
    K: int,
    effort: Effort | None,
    *,
    seed: int,
    fixed: Centroids,
    n_threads: int,
    level: int,
) -> Centroids:
    """Find where K centroids should start.

    Parameters
    ----------
    points : Points or SplitTree
        The colours.
    keys : (n,) array
        Their Z-order numbers, ascending.
    total : int
        The sum of their weights.
    K : int
        Less than n.
    effort : Effort or None
        None: binary splitting and nothing else.
    seed : int
        64 bits.
    fixed : (F, D) array
        Centroids that stay where they are: the first F of the result. F is less than K.
    n_threads, level : int

    Returns
    -------
    (at most K, D) array of int32
    """
    cells = (effort or EFFORTS["balanced"]).cells * isqrt(16 * K) // 4
    if K > MOST_SEARCHED:
        means = cells_of(points, keys, total, K - len(fixed)).means
        return np.concatenate([fixed, means.T])
    gathered = cells_of(points, keys, total, max(cells, CELLS_A_CLUSTER * K))
    found = search_among(
        gathered, fixed, K, seed=seed, n_threads=n_threads if effort else 1, level=level
    )
    found.grow(K)
    if effort:
        found.settle(FIRST_PASSES)
        found.start()
        budget = effort.distances * isqrt(16 * K) // 4
        while budget > 0 and found.improve(min(budget, SLICE), effort.patience):
            budget -= SLICE
        found.settle(LAST_PASSES)
    centroids = np.empty((found.K, points.D), np.int32)
    found.centroids(centroids)
    return centroids


def search_among(
    cells: Cells, fixed: Centroids, K: int, *, seed: int, n_threads: int, level: int
) -> Search:
    """Make the search for up to K centroids among cells."""
    return Search(
        cells.means, cells.masses, fixed, K, seed, n_threads, level, cells.opaque, cells.top
    )


def cells_of(points: Points | SplitTree, keys: NDArray[np.uint32], total: int, most: int) -> Cells:
    """Gather colours in at most so many cells; opaque ones and others in cells of their own."""
    if not isinstance(points, SplitTree):
        return Cells(*coarse_cells(points, keys, total, most))
    most = min(max(most, 2), points.n)
    shift = max(0, total.bit_length() - MASS_BITS + 1)
    means = np.full((4, most), points.top, np.int32)
    masses = np.empty(most, np.int64)
    others = np.zeros(most, np.uint8)
    n = coarse(
        points.opaque, points.opaque_keys, shift, means, masses,
        points.others, points.other_keys, others,
    )  # fmt: skip
    return Cells(means[:, :n], masses[:n], 1 - others[:n], points.top)


def coarse_cells(
    points: Points, keys: NDArray[np.uint32], total: int, most: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Gather points in at most so many cells; return the cells' means and weights."""
    most = min(most, points.n)
    shift = max(0, total.bit_length() - MASS_BITS + 1)
    means = np.empty((points.D, most), np.int32)
    masses = np.empty(most, np.int64)
    n = coarse(points, keys, shift, means, masses)
    return means[:, :n], masses[:n]
