"""Exact passes over RGBA colours in which opaque colours take opaque centroids.

A centroid is opaque if its fourth coordinate is that of alpha 255. Opaque colours are compared with
opaque centroids alone, the others with all. A centroid of opaque and other colours moves to the
mean of their first three coordinates and stays opaque; without opaque members it moves to the mean
in all four, which is not opaque. Both steps lower the error or leave it, so Lloyd's algorithm ends
here as it does without the constraint.

Opaque colours differ in three coordinates only, so they have a tree of three dimensions. Where no
centroid is opaque (one colour for all pixels, or a given palette) nothing is constrained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kmeans_c import spaces
from kmeans_c._kernels.filtering import Tree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Keys = NDArray[np.uint32]
    Coordinates = NDArray[np.int32]
    Weights = NDArray[np.int64]
    Places = NDArray[np.intp] | slice

OPAQUE_BITS = np.uint32(0x88888888)  # alpha's in a key, all set where a colour is opaque

FEW = 1 << 14  # colours: one thread


class SplitTree:
    """What `Tree` is for colours of which some are opaque, with the methods that clustering uses.

    Parameters
    ----------
    keys : (n,) array
        RGBA keys, ascending; some of them opaque.
    points : (4, n + PADDING) array
    weights : (n,) array
    n_threads, level : int
    """

    D = 4

    def __init__(
        self, keys: Keys, points: Coordinates, weights: Weights, n_threads: int, level: int
    ) -> None:
        self.n = len(keys)
        self.keys, self.points, self.weights = keys, points, weights
        opaque = (keys & OPAQUE_BITS) == OPAQUE_BITS
        self.opaque_at, self.other_at = _places(opaque), _places(~opaque)
        self.top = int(points[3, int(opaque.argmax())])  # the fourth coordinate of opaque colours
        self.opaque = self._part(3, self.opaque_at, n_threads, level)
        self.opaque_weight = int(weights[self.opaque_at].sum())
        self.others: Tree | None = None
        if not opaque.all():
            self.others = self._part(4, self.other_at, n_threads, level)
        self.whole: Tree | None = None  # used where no centroid is opaque
        self.constrained = True  # the last assignment
        self.solid: NDArray[np.intp] = np.empty(0, np.intp)
        self.opaque_weights: Weights = np.empty(0, np.int64)

    def _part(self, D: int, at: Places, n_threads: int, level: int) -> Tree:
        keys = self.keys[at]
        planes = np.zeros((D, len(keys) + spaces.PADDING), np.int32)
        for plane, points in zip(planes, self.points, strict=False):
            plane[: len(keys)] = points[: self.n][at]
        return Tree(keys, planes, self.weights[at], n_threads, level)

    def assign(
        self,
        centroids: Coordinates,
        sums: Weights,
        n_threads: int,
        level: int,
        order: NDArray[np.uint16] | None = None,
    ) -> None:
        """Assign every colour to the nearest centroid that it may take.

        Of equals the first wins, in `order`, if there is one. Writes the sums of weight times
        coordinate and of weights of each cluster.
        """
        self.solid = np.flatnonzero(centroids[:, 3] == self.top)
        self.opaque_weights = np.zeros(len(centroids), np.int64)
        self.constrained = len(self.solid) > 0
        if not self.constrained:
            if self.whole is None:
                self.whole = Tree(self.keys, self.points, self.weights, n_threads, level)
            self.whole.assign(centroids, sums, n_threads, level, order)
            return
        if self.others is None:
            sums[:] = 0
        else:
            self.others.assign(centroids, sums, n_threads, level, order)
        among = np.ascontiguousarray(centroids[self.solid, :3])
        part = np.empty((len(among), 4), np.int64)
        if order is not None:
            order = _restricted(order, self.solid)
        self.opaque.assign(among, part, n_threads, level, order)
        self.opaque_weights[self.solid] = part[:, 3]
        sums[self.solid, :3] += part[:, :3]
        sums[self.solid, 3] += self.top * part[:, 3]
        sums[self.solid, 4] += part[:, 3]

    def make_one_opaque(self, centroids: Coordinates, fixed: int) -> None:
        """Move one centroid to the mean of the opaque colours if none is opaque.

        It is the nearest to that mean, the first of equals; the first `fixed` stay.
        """
        if (centroids[:, 3] == self.top).any():
            return
        weights, total = self.weights[self.opaque_at], self.opaque_weight
        planes = (plane[: self.n][self.opaque_at] for plane in self.points)
        sums = (int((weights * plane).sum()) for plane in planes)
        mean = np.array([(2 * s + total) // (2 * total) for s in sums], np.int32)
        delta = (centroids[fixed:] - mean).astype(np.int64)
        centroids[fixed + int((delta * delta).sum(axis=1).argmin())] = mean

    def means(self, sums: Weights) -> Coordinates:
        """Return the means of the clusters of the last assignment, a half rounded upwards.

        They are opaque where an opaque colour is a member.
        """
        weights = np.maximum(sums[:, -1:], 1)
        means: Coordinates = ((2 * sums[:, :-1] + weights) // (2 * weights)).astype(np.int32)
        means[self.opaque_weights > 0, 3] = self.top
        return means

    def iterate(  # noqa: PLR0917 - as `Tree.iterate`
        self,
        centroids: Coordinates,
        sums: Weights,
        passes: int,
        n_threads: int,
        level: int,
        fixed: int = 0,
    ) -> tuple[int, int]:
        """Assign and move centroids to their means, as `Tree.iterate` does."""
        for done in range(passes):
            self.assign(centroids, sums, n_threads, level)
            if not sums[fixed:, -1].all():
                return done, 2
            moved = self.means(sums)[fixed:]
            same = np.array_equal(moved, centroids[fixed:])
            centroids[fixed:] = moved
            if same:
                return done + 1, 1
        return passes, 0

    def labels(
        self, out: NDArray[np.uint16], names: NDArray[np.uint16] | None = None, n_threads: int = 1
    ) -> None:
        """Write the label that the last assignment gave each colour, or its name."""
        if not self.constrained and self.whole is not None:
            self.whole.labels(out, names, n_threads)
            return
        solid = self.solid.astype(np.uint16)
        _label(
            self.opaque, out, self.opaque_at, solid if names is None else names[solid], n_threads
        )
        if self.others is not None:
            _label(self.others, out, self.other_at, names, n_threads)

    def worst(self, n_threads: int = 1) -> tuple[int, int]:
        """Return the colour of the largest cost, the first of equals, and that cost."""
        if not self.constrained and self.whole is not None:
            return self.whole.worst(n_threads)
        at, cost = self.opaque.worst(n_threads)
        at = _place(self.opaque_at, at)
        if self.others is not None:
            other, other_cost = self.others.worst(n_threads)
            other = _place(self.other_at, other)
            if (-other_cost, other) < (-cost, at):
                return other, other_cost
        return at, cost

    def squares(self) -> int:
        """Return the sum of weight times squared norm."""
        depth = self.top * self.top * self.opaque_weight
        others = 0 if self.others is None else int(self.others.squares())
        return int(self.opaque.squares()) + depth + others

    def n_leaves(self) -> int:
        """Return the number of groups of neighbouring colours."""
        return self.opaque.n_leaves() + (0 if self.others is None else self.others.n_leaves())

    def leaf_means(self, means: Coordinates, weights: Weights) -> None:
        """Write the mean and the weight of each group, of opaque colours first."""
        n = self.opaque.n_leaves()
        part, part_weights = np.empty((3, n), np.int32), np.empty(n, np.int64)
        self.opaque.leaf_means(part, part_weights)
        means[:3, :n], means[3, :n], weights[:n] = part, self.top, part_weights
        if self.others is not None:
            n_others = self.others.n_leaves()
            part, part_weights = np.empty((4, n_others), np.int32), np.empty(n_others, np.int64)
            self.others.leaf_means(part, part_weights)
            means[:, n:], weights[n:] = part, part_weights


def has_opaque(keys: Keys) -> bool:
    """Say whether one of the RGBA keys, ascending, is of an opaque colour."""
    return bool(((keys & OPAQUE_BITS) == OPAQUE_BITS).any())


def _places(chosen: NDArray[np.bool_]) -> Places:
    """Where colours are chosen; a slice, which is faster, if they are neighbours."""
    at = np.flatnonzero(chosen)
    if len(at) and at[-1] - at[0] + 1 == len(at):
        return slice(int(at[0]), int(at[-1]) + 1)
    return at


def _place(places: Places, i: int) -> int:
    return places.start + i if isinstance(places, slice) else int(places[i])


def _label(
    tree: Tree,
    out: NDArray[np.uint16],
    at: Places,
    names: NDArray[np.uint16] | None,
    n_threads: int,
) -> None:
    if isinstance(at, slice):
        tree.labels(out[at], names, n_threads)
        return
    part = np.empty(len(at), np.uint16)
    tree.labels(part, names, n_threads)
    out[at] = part


def _restricted(order: NDArray[np.uint16], solid: NDArray[np.intp]) -> NDArray[np.uint16]:
    """The order of some of the centroids, numbered among themselves."""
    number = np.full(len(order), -1)
    number[solid] = np.arange(len(solid))
    among = number[order]
    return among[among >= 0].astype(np.uint16)
