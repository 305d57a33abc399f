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
  then makes all entries distinct and used. Rounded means of what then belongs to the entries take
  their place while that lowers the inertia (`Method.effort` says how often it is tried).
- In the perceptual spaces the colours are then weighed anew, by their counts divided by their
  distances, and a few more rounds follow: the geometric median instead of the mean (Weiszfeld).
- Colours to be kept, and full transparency where there is some, are centroids that stay: they are
  neither moved nor refilled, and may be unused.
- Opaque colours belong to opaque centroids alone, those with the fourth coordinate of alpha 255,
  and a centroid with an opaque member has that coordinate (split_tree.py).
- Inertia is the sum of weight times squared distance, in coordinates squared (spaces.units).

Lloyd, S. P. (1982). Least squares quantization in PCM. IEEE Transactions on Information Theory
28(2), 129-137.
Weiszfeld, E. (1937). Sur le point pour lequel la somme des distances de n points donnes est
minimum. Tohoku Mathematical Journal 43, 355-386.
"""

from copy import copy
from functools import cached_property, partial
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kmeans_c import _kernels, spaces
from kmeans_c._kernels.coordinates import from_keys
from kmeans_c._kernels.filtering import Tree
from kmeans_c._kernels.histogram import decode_keys
from kmeans_c.alpha import OPAQUE
from kmeans_c.colors import opaque
from kmeans_c.histogram import Histogram
from kmeans_c.method import Method
from kmeans_c.search import swap_search
from kmeans_c.seeding import Draw
from kmeans_c.split_tree import SplitTree, has_opaque
from kmeans_c.threads import simd_level

Centroids = NDArray[np.int32]
Colors = NDArray[np.uint8]
Keys = NDArray[np.uint32]
Sums = NDArray[np.int64]

# Colours visited a kernel call: some 50 ms, so that Ctrl-C is seen in time.
SLICE = 1 << 23

# Where distances are what people see, the sum of the distances is brought down in the end, not that
# of their squares: so often are the colours weighed anew, and so many passes made then. Thrice
# takes 1.3 % off the mean distance at K = 16, 0.8 % at 256; more changes little
# (bench_perceptual.py).
SEEN = ("oklab", "lab")
WEIGHINGS = 3
WEIGHING_PASSES = 3
NEAREST = 16  # coordinates: what is nearer than this, a thousandth of the way to white, is near
WEIGHT_BITS = 38  # of all counts together: weights are up to 2^8 times as large
MEDIAN_SLICE = 1 << 18  # colours weighed together: some 5 ms

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
    method: Method,
    *,
    n_threads: int,
    clusters: "Clusters | None" = None,
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
    method : Method
    n_threads : int
    clusters : Clusters, optional
        Of the histogram, in the method's space: made once where there are several fits.
    """
    kept = kept_colors(histogram, method.keep, K)
    absent = [color for color in kept if not histogram.has(color)]
    if len(histogram) + len(absent) <= K:
        return _lossless(histogram, absent, method.space, n_threads)
    if clusters is None:
        clusters = Clusters(histogram, n_threads, method.space)
    centroids = clusters.start(K, method, clusters.places(kept))
    centroids, n_iter = clusters.iterate(centroids, ITERS, len(kept))
    polishes = 0 if ITERS == 0 else method.effort.polishes
    if method.space in SEEN and ITERS != 0:
        centroids, polishes = clusters.medians(centroids, len(kept)), 0
    return clusters.rounded(centroids, kept, polishes)._replace(n_iter=n_iter)


def assign(histogram: Histogram, palette: Colors, *, n_threads: int, space: str = "srgb") -> Fit:
    """Give each colour of a histogram to the nearest entry of a palette, which stays as it is."""
    clusters = Clusters(histogram, n_threads, space)
    return clusters.found(palette, np.arange(len(palette)), clusters.assigned(palette))


def display_order(palette: Colors) -> NDArray[np.intp]:
    """The order in which entries stand: transparent first, then from dark to light.

    A PNG's tRNS chunk is shortest so, and neighbouring indices are alike, which compresses best.
    """
    rgb = palette[:, :3].astype(np.int64)
    luma = rgb @ ([299, 587, 114] if rgb.shape[1] == 3 else [1])
    visible = palette[:, 3] > 0 if palette.shape[1] == 4 else np.ones(len(palette), bool)
    return np.lexsort((*palette.T[::-1], luma, visible))


def kept_colors(histogram: Histogram, keep: Colors, K: int) -> Colors:
    """The colours that stay, in the histogram's channels.

    What is fully transparent is one of them, as no rounding may make it show.

    Raises
    ------
    ValueError
        If the histogram cannot hold them, or they leave no entry for an end of alpha.
    """
    channels = histogram.channels
    if channels == 4 and keep.shape[1] == 3:
        keep = opaque(keep)
    elif channels < 4 and keep.shape[1] == 4:
        if keep.size and keep[:, 3].min() < 255:
            raise ValueError("keep: expected opaque colours, as there is no transparency")
        keep = keep[:, :3]
    if channels == 1:
        if np.any(keep != keep[:, :1]):
            raise ValueError("keep: expected greys, as all pixels are grey")
        keep = keep[:, :1]
    if len(keep):
        _check_room(histogram, keep, K)
    clear = np.zeros((1, 4), np.uint8)
    if histogram.has_transparent and len(keep) < K > 1 and not (keep == clear).all(axis=1).any():
        keep = np.concatenate([clear, keep])
    return keep


def _check_room(histogram: Histogram, keep: Colors, K: int) -> None:
    """Refuse colours to keep that would make transparent pixels show, or opaque ones vanish."""
    if histogram.channels < 4:
        return
    transparent = histogram.has_transparent and bool(keep[:, 3].all())
    opaque_ones = has_opaque(histogram.keys) and not (keep[:, 3] == OPAQUE).any()
    if K == 1 and not opaque_ones and len(histogram) > 1:
        return  # one entry cannot be both ends, and is opaque
    kinds = ["transparent"] * transparent + ["opaque"] * opaque_ones
    if len(keep) + len(kinds) > K:
        raise ValueError(
            f"keep: expected at most K - {len(kinds)} = {K - len(kinds)} colours, "
            f"as the image has {' and '.join(kinds)} pixels, got {len(keep)}"
        )


def least_entries(histogram: Histogram, keep: Colors) -> int:
    """Return how many entries it takes to keep colours, and both ends of alpha.

    Opaque pixels need an opaque entry, fully transparent ones a transparent entry, and what is
    neither has its share of any.
    """
    if histogram.channels < 4:
        return max(1, len(keep))
    kept = opaque(keep) if keep.shape[1] == 3 else keep
    n = len(kept)
    n += histogram.has_transparent and bool(kept[:, 3].all())
    n += has_opaque(histogram.keys) and not (kept[:, 3] == OPAQUE).any()
    return max(n, 2 if histogram.has_transparent and len(histogram) > 1 else 1)


def _lossless(histogram: Histogram, absent: list[Colors], space: str, n_threads: int) -> Fit:
    if absent:
        palette = np.concatenate([histogram.colors, absent])
        return assign(histogram, palette[display_order(palette)], n_threads=n_threads, space=space)
    order = display_order(histogram.colors)
    owners = np.empty(len(order), np.uint16)
    owners[order] = np.arange(len(order))
    return Fit(histogram.colors[order], owners, histogram.counts[order], 0, 0)


class Clusters:
    """A histogram's colours as points, and exact Lloyd passes over them."""

    def __init__(self, histogram: Histogram, n_threads: int, space: str = "srgb") -> None:
        self.channels = histogram.channels
        self.space = space
        self.keys = histogram.keys
        # Weights in the same proportions shall give the same palette, however large they are.
        counts = histogram.counts
        self.times = 1 if counts.min() == 1 else int(np.gcd.reduce(counts))
        self.weights = counts if self.times == 1 else counts // self.times
        self.n_threads = n_threads
        self.level = simd_level()
        # No method: a tree that holds one of this object would be garbage only the collector finds.
        self._points = partial(
            points_of, channels=self.channels, space=space, n_threads=n_threads, level=self.level
        )
        self.tree: Tree | SplitTree
        if self.channels == 4 and has_opaque(self.keys):
            self.tree = SplitTree(self.keys, self._points, self.weights, n_threads, self.level)
        else:
            self.tree = Tree(self.keys, self.points, self.weights, n_threads, self.level)

    @cached_property
    def points(self) -> Centroids:
        """Where all colours lie, (D, n + PADDING)."""
        return self._points(self.keys, max(3, self.channels))

    def start(self, K: int, method: Method, fixed: Centroids) -> Centroids:
        """Give K centroids to begin with: first the fixed ones."""
        found = self._start(K, method, fixed)
        if isinstance(self.tree, SplitTree) and len(fixed) < K:
            self.tree.make_one_opaque(found, len(fixed))
        return found

    def _start(self, K: int, method: Method, fixed: Centroids) -> Centroids:
        wanted = K - len(fixed)
        if not wanted:
            return fixed
        if not isinstance(method.init, str):
            return np.concatenate([fixed, self.places(method.init)[:wanted]])
        if method.init in ("k-means++", "random"):
            return np.concatenate([fixed, self.seeds(wanted, method.init, method.draw)])
        found = swap_search(
            self.tree,
            self.keys,
            int(self.weights.sum()),
            K,
            method.effort if method.init == "search" else None,
            seed=method.draw.word(),
            fixed=fixed,
            n_threads=self.n_threads,
            level=self.level,
        )
        # Copies have no members: they are refilled.
        return np.concatenate([found, np.repeat(found[-1:], K - len(found), axis=0)])

    def places(self, colors: Colors) -> Centroids:
        """Return where colours lie, (n, D)."""
        if self.channels == 4 and colors.shape[1] == 3:
            colors = opaque(colors)
        colors = colors[:, : self.channels]
        planes = spaces.coordinates(colors, self.space)[:, : len(colors)]
        return np.ascontiguousarray(planes.T)

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
                _kernels.color_seeding.plus_plus(
                    points, weights, least, chosen, state, first, min(first + step, K), self.level
                )
        return np.ascontiguousarray(points[:, chosen].T)

    def iterate(
        self, centroids: Centroids, ITERS: int | None, fixed: int = 0
    ) -> tuple[Centroids, int]:
        """Move all but the first `fixed` centroids up to ITERS times.

        Returns them and how many moves were made.
        """
        done, converged = 0, False
        centroids = centroids.copy()
        sums = np.empty((len(centroids), centroids.shape[1] + 1), np.int64)
        slice_ = max(1, SLICE // len(self.weights))
        while not converged and (ITERS is None or done < ITERS):
            passes = slice_ if ITERS is None else min(slice_, ITERS - done)
            moves, state = self.tree.iterate(
                centroids, sums, passes, self.n_threads, self.level, fixed
            )
            done += moves
            converged = state == 1
            if state == 2:
                centroids, sums = self.refilled(centroids, fixed)
        return centroids, done

    def medians(self, centroids: Centroids, fixed: int) -> Centroids:
        """Move all but the first `fixed` centroids towards their colours' geometric medians."""
        nearer = copy(self)
        spare = max(0, int(self.weights.sum()).bit_length() - WEIGHT_BITS)
        for _ in range(WEIGHINGS):
            nearer.weights = self._by_distance(centroids, spare)
            nearer.tree = nearer._weighed_tree()
            centroids, _ = nearer.iterate(centroids, WEIGHING_PASSES, fixed)
        return centroids

    def _by_distance(self, centroids: Centroids, spare: int) -> NDArray[np.int64]:
        """Weights in proportion to the counts, and against the distances to the centroids."""
        sums = np.empty((len(centroids), centroids.shape[1] + 1), np.int64)
        self.tree.assign(centroids, sums, self.n_threads, self.level)
        owners = np.empty(len(self.weights), np.uint16)
        self.tree.labels(owners, None, self.n_threads)
        weights = np.empty_like(self.weights)
        for start in range(0, len(weights), MEDIAN_SLICE):
            piece = slice(start, min(start + MEDIAN_SLICE, len(weights)))
            apart = self.points[:, piece] - centroids[owners[piece]].T
            # Every step is one that IEEE 754 rounds in one way only.
            distances = np.sqrt((apart * apart).sum(axis=0).astype(np.float64))
            shares = (self.weights[piece] >> spare) * 4096.0 / (NEAREST + distances)
            weights[piece] = np.maximum(shares.astype(np.int64), 1)
        return weights

    def refilled(self, centroids: Centroids, fixed: int = 0) -> tuple[Centroids, Sums]:
        """Assign every colour, refill or drop empty clusters; return centroids and sums."""
        while True:
            sums = np.empty((len(centroids), centroids.shape[1] + 1), np.int64)
            self.tree.assign(centroids, sums, self.n_threads, self.level)
            empty = fixed + np.flatnonzero(sums[fixed:, -1] == 0)
            if len(empty) == 0:
                return centroids, sums
            worst, cost = self.tree.worst(self.n_threads)
            if cost == 0:
                centroids = np.delete(centroids, empty, axis=0)
            else:
                centroids[empty[0]] = self.places(self._color(worst))[0]

    def rounded(self, centroids: Centroids, kept: Colors, polishes: int) -> Fit:
        """Round centroids to colours, and move these to their rounded means while that pays."""
        palette, sums = self.settled(self._rounded(centroids, kept), len(kept))
        inertia = self.inertia(palette, sums)
        for _ in range(polishes):
            moved = self._rounded(self._means(sums), kept)
            if np.array_equal(moved, palette):
                break
            moved, sums = self.settled(moved, len(kept))
            now = self.inertia(moved, sums)
            if now >= inertia:
                _, sums = self.settled(palette, len(kept))
                break
            palette, inertia = moved, now
        return self.found(palette, display_order(palette), sums)

    def settled(self, palette: Colors, kept: int = 0) -> tuple[Colors, Sums]:
        """Refill a palette until all entries but the first `kept` are distinct and used.

        Of equally near entries the first in display order wins. Returns palette and sums.
        """
        palette = palette.copy()
        while True:
            order = display_order(palette)
            sums = self.assigned(palette, order)
            empty = order[sums[order, -1] == 0]
            empty = empty[empty >= kept]
            if len(empty) == 0:
                return palette, sums
            worst, cost = self.tree.worst(self.n_threads)
            if cost == 0:
                palette = np.delete(palette, empty, axis=0)
            else:
                palette[empty[0]] = self._color(worst)[0]

    def assigned(self, palette: Colors, order: NDArray[np.intp] | None = None) -> Sums:
        """Assign every colour to an entry, the first in `order` of the nearest ones.

        Returns for each entry the sums of coordinates and weights.
        """
        centroids = self.places(palette)
        sums = np.empty((len(centroids), centroids.shape[1] + 1), np.int64)
        places = None if order is None else order.astype(np.uint16)
        self.tree.assign(centroids, sums, self.n_threads, self.level, places)
        return sums

    def found(self, palette: Colors, order: NDArray[np.intp], sums: Sums) -> Fit:
        """Tell what the last assignment was, with the entries in `order`."""
        owners, names = np.empty(len(self.weights), np.uint16), np.empty(len(order), np.uint16)
        names[order] = np.arange(len(order))
        self.tree.labels(owners, names, self.n_threads)
        inertia = self.inertia(palette, sums)
        return Fit(palette[order], owners, self.times * sums[order, -1], 0, self.times * inertia)

    def inertia(self, palette: Colors, sums: Sums) -> int:
        """Return the sum of weight times squared distance to the owner, exactly."""
        # Each of the sums is at most the weight times 3 * 2^28; beyond 2^33 Python's integers.
        kind = np.int64 if int(sums[:, -1].sum()) < 1 << 33 else object
        c = self.places(palette).astype(kind)
        s = sums.astype(kind)
        apart = int((s[:, -1] * (c * c).sum(axis=1)).sum()) - 2 * int((c * s[:, :-1]).sum())
        return int(self.tree.squares()) + apart

    def _weighed_tree(self) -> "Tree | SplitTree":
        if isinstance(self.tree, SplitTree):
            return self.tree.weighed(self.weights, self.n_threads)
        return Tree(self.keys, self.points, self.weights, self.n_threads, self.level)

    def _means(self, sums: Sums) -> Centroids:
        if isinstance(self.tree, SplitTree):
            return self.tree.means(sums)
        weights = np.maximum(sums[:, -1:], 1)
        means: Centroids = ((2 * sums[:, :-1] + weights) // (2 * weights)).astype(np.int32)
        return means

    def _rounded(self, centroids: Centroids, kept: Colors) -> Colors:
        free = spaces.nearest_colors(centroids[len(kept) :], self.channels, self.space)
        return np.concatenate([kept, free])

    def _color(self, place: int) -> Colors:
        return colors_of(self.keys[place : place + 1], self.channels)


def colors_of(keys: Keys, channels: int) -> Colors:
    """Return the colours (n, channels) that have these keys."""
    colors: Colors = np.empty((len(keys), channels), np.uint8)
    decode_keys(keys, colors)
    return colors


def points_of(
    keys: Keys, D: int, *, channels: int, space: str, n_threads: int, level: int
) -> Centroids:
    """Return where colours lie, (D, n + PADDING); D is 3 of RGBA colours that are all opaque."""
    if space != "srgb":
        return spaces.coordinates(colors_of(keys, channels), space, n_threads=n_threads)[:D]
    points = np.zeros((D, len(keys) + spaces.PADDING), np.int32)
    from_keys(keys, channels, points, n_threads, level)
    return points
