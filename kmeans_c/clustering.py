"""Lloyd's algorithm on a histogram: seeds, passes, empty clusters, and the 8-bit palette.

The arithmetic, with which a comparison of everything with everything agrees bit for bit:

- Colours and centroids have integer coordinates (spaces.py). A colour belongs to the nearest
  centroid, the first of equals.
- A centroid moves to floor((2 S + W) / (2 W)), S the sum of weight times coordinate and W the
  sum of weights: the mean, a half rounded upwards.
- Empty clusters are refilled before any move. While a cluster is empty: the first empty
  cluster's centroid goes to the colour with the largest cost, min(weight, 2^33 - 1) times
  squared distance to its centroid, the first of equals in the histogram's order; then every
  colour is assigned afresh. If the largest cost is 0 every colour is met exactly, and the
  clusters that are still empty are dropped. Each refill lowers the inertia, so this ends.
- The final centroids are rounded to 8-bit colours and put in display order; the same refilling
  then makes all entries distinct and used.
- Inertia is the sum of weight times squared distance, in coordinates squared (spaces.units).

Lloyd, S. P. (1982). Least squares quantization in PCM. IEEE Transactions on Information Theory
28(2), 129-137.
"""

from functools import cached_property
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kmeans_c import spaces
from kmeans_c._kernels import color_seeding, coordinates
from kmeans_c._kernels.filtering import Tree
from kmeans_c.histogram import Histogram
from kmeans_c.seeding import Draw
from kmeans_c.threads import simd_level

Centroids = NDArray[np.int32]
Colors = NDArray[np.uint8]
Sums = NDArray[np.int64]

# Colours visited a kernel call: some 50 ms, so that Ctrl-C is seen in time.
SLICE = 1 << 23

# Up to this many colours, or with fewer leaves than this a seed, all colours may become seeds.
SEED_FROM_ALL = 4096
LEAVES_A_SEED = 4


class Fit(NamedTuple):
    """A histogram and a palette: what belongs to what, and how well.

    Attributes
    ----------
    palette : (K, channels) array of uint8
    owners : (n,) array of uint16
        The entry of each colour of the histogram.
    counts : (K,) array of int64
        Pixels of each entry.
    n_iter : int
        Moves of the centroids.
    inertia : int
        In coordinates squared; see spaces.mean_squared_error.
    """

    palette: Colors
    owners: NDArray[np.uint16]
    counts: NDArray[np.int64]
    n_iter: int
    inertia: int


def fit(
    histogram: Histogram,
    K: int,
    ITERS: int | None,
    *,
    init: str,
    draw: Draw,
    n_threads: int,
    space: str = "srgb",
) -> Fit:
    """Reduce a histogram to min(K, distinct) colours.

    Parameters
    ----------
    histogram : Histogram
        Not empty.
    K : int
        1 to 65,536.
    ITERS : int or None
        Moves of the centroids, at most; None: until none moves.
    init : {"k-means++", "random"}
        How the first centroids are drawn.
    draw : Draw
    n_threads : int
    space : {"srgb", "linear", "oklab", "lab"}
    """
    if len(histogram) <= K:
        return _lossless(histogram)
    clusters = Clusters(histogram, n_threads, space)
    # What is fully transparent keeps an entry of its own: no rounding may make it show.
    clear = K > 1 and histogram.has_transparent
    moving = Clusters(histogram.visible(), n_threads, space) if clear else clusters
    centroids = moving.seeds(K - clear, init, draw)
    centroids, n_iter = moving.iterate(centroids, ITERS)
    palette = spaces.nearest_colors(centroids, histogram.channels, space)
    if clear:
        palette = np.concatenate([np.zeros((1, 4), np.uint8), palette])
    return clusters.settled(palette)._replace(n_iter=n_iter)


def assign(histogram: Histogram, palette: Colors, *, n_threads: int, space: str = "srgb") -> Fit:
    """Give each colour of a histogram to the nearest entry of a palette, which stays as it is."""
    clusters = Clusters(histogram, n_threads, space)
    return clusters.found(palette, clusters.assigned(palette))


def display_order(palette: Colors) -> NDArray[np.intp]:
    """The order in which entries stand: transparent first, then from dark to light.

    A PNG's tRNS chunk is shortest so, and neighbouring indices are alike, which compresses best.
    """
    rgb = palette[:, :3].astype(np.int64)
    luma = rgb @ ([299, 587, 114] if rgb.shape[1] == 3 else [1])
    visible = palette[:, 3] > 0 if palette.shape[1] == 4 else np.ones(len(palette), bool)
    return np.lexsort((*palette.T[::-1], luma, visible))


def _lossless(histogram: Histogram) -> Fit:
    order = display_order(histogram.colors)
    owners = np.empty(len(order), np.uint16)
    owners[order] = np.arange(len(order))
    return Fit(histogram.colors[order], owners, histogram.counts[order], 0, 0)


class Clusters:
    """A histogram's colours as points, and exact Lloyd passes over them."""

    def __init__(self, histogram: Histogram, n_threads: int, space: str = "srgb") -> None:
        self.histogram = histogram
        self.space = space
        self.weights = histogram.counts
        self.n_threads = n_threads
        self.level = simd_level()
        if space == "srgb":
            shape = max(3, histogram.channels), len(histogram) + spaces.PADDING
            self.points = np.zeros(shape, np.int32)
            coordinates.from_keys(
                histogram.keys, histogram.channels, self.points, n_threads, self.level
            )
        else:
            self.points = spaces.coordinates(histogram.colors, space, n_threads=n_threads)
        self.tree = Tree(histogram.keys, self.points, self.weights, self.n_threads, self.level)

    @cached_property
    def colors(self) -> Colors:
        """The histogram's; they are only needed where clusters run empty."""
        return self.histogram.colors

    def seeds(self, K: int, init: str, draw: Draw) -> Centroids:
        """Draw K centroids among the colours: by their weight, or by k-means++.

        Of many colours k-means++ sees the means of the tree's leaves: nobody can tell the results
        apart, and it takes a sixtieth of the time.
        """
        points, weights = self.points, self.weights
        if init == "random":
            chosen = np.array(list(islice(draw.distinct(len(weights), weights), K)))
        else:
            n = self.tree.n_leaves()
            if len(weights) > SEED_FROM_ALL and n >= LEAVES_A_SEED * K:
                points, weights = np.empty((len(points), n), np.int32), np.empty(n, np.int64)
                self.tree.leaf_means(points, weights)
            shift = max(0, int(weights.sum()).bit_length() - 32)
            weights = np.maximum(weights >> shift, 1)
            chosen = np.zeros(K, np.int64)
            least = np.ones(len(weights), np.int32)
            state = np.array([draw.word(), weights.sum()], np.uint64)
            step = 1 + SLICE // len(weights)
            for first in range(0, K, step):
                color_seeding.plus_plus(
                    points, weights, least, chosen, state, first, min(first + step, K), self.level
                )
        return np.ascontiguousarray(points[:, chosen].T)

    def iterate(self, centroids: Centroids, ITERS: int | None) -> tuple[Centroids, int]:
        """Move the centroids up to ITERS times; return them and how many moves were made."""
        done, converged = 0, False
        centroids = centroids.copy()
        sums = np.empty((len(centroids), centroids.shape[1] + 1), np.int64)
        slice_ = max(1, SLICE // len(self.weights))
        while not converged and (ITERS is None or done < ITERS):
            passes = slice_ if ITERS is None else min(slice_, ITERS - done)
            moves, state = self.tree.iterate(centroids, sums, passes, self.n_threads, self.level)
            done += moves
            converged = state == 1
            if state == 2:
                centroids, sums = self.refilled(centroids)
        return centroids, done

    def refilled(self, centroids: Centroids) -> tuple[Centroids, Sums]:
        """Assign every colour, refill or drop empty clusters; return centroids and sums."""
        while True:
            sums = np.empty((len(centroids), centroids.shape[1] + 1), np.int64)
            self.tree.assign(centroids, sums, self.n_threads, self.level)
            empty = np.flatnonzero(sums[:, -1] == 0)
            if len(empty) == 0:
                return centroids, sums
            worst, cost = self.tree.worst(self.n_threads)
            if cost == 0:
                centroids = np.delete(centroids, empty, axis=0)
            else:
                centroids[empty[0]] = self.points[:, worst]

    def settled(self, palette: Colors) -> Fit:
        """Order a palette and refill it until all its entries are distinct and used.

        While this lasts the palette keeps the centroids' order, as the tree knows it.
        """
        palette = palette.copy()
        while True:
            order = display_order(palette)
            sums = self.assigned(palette, order)
            empty = order[sums[order, -1] == 0]
            if len(empty) == 0:
                return self.found(palette, sums, order)
            worst, cost = self.tree.worst(self.n_threads)
            if cost == 0:
                palette = np.delete(palette, empty, axis=0)
            else:
                palette[empty[0]] = self.colors[worst]

    def assigned(self, palette: Colors, order: NDArray[np.intp] | None = None) -> Sums:
        """Assign every colour to an entry; return for each the sums of coordinates and weights.

        Of equally near entries the first in `order` wins.
        """
        centroids = np.ascontiguousarray(
            spaces.coordinates(palette, self.space)[:, : len(palette)].T
        )
        sums = np.empty((len(centroids), centroids.shape[1] + 1), np.int64)
        places = None if order is None else order.astype(np.uint16)
        self.tree.assign(centroids, sums, self.n_threads, self.level, places)
        return sums

    def found(self, palette: Colors, sums: Sums, order: NDArray[np.intp] | None = None) -> Fit:
        """Tell what the last assignment was, the entries in `order`."""
        owners = np.empty(len(self.weights), np.uint16)
        names = None
        if order is not None:
            names = np.argsort(order).astype(np.uint16)
            palette, sums = palette[order], sums[order]
        self.tree.labels(owners, names, self.n_threads)
        return Fit(palette, owners, sums[:, -1].copy(), 0, self.inertia(palette, sums))

    def inertia(self, palette: NDArray[np.uint8], sums: Sums) -> int:
        """Return the sum of weight times squared distance to the owner, exactly."""
        # Each of the sums is at most the weight times 3 * 2^28; beyond 2^33 Python's integers.
        kind = np.int64 if int(sums[:, -1].sum()) < 1 << 33 else object
        c = spaces.coordinates(palette, self.space)[:, : len(palette)].T.astype(kind)
        s = sums.astype(kind)
        apart = int((s[:, -1] * (c * c).sum(axis=1)).sum()) - 2 * int((c * s[:, :-1]).sum())
        return int(self.tree.squares()) + apart
