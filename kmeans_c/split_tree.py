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

from copy import copy
from typing import TYPE_CHECKING

import numpy as np

from kmeans_c._kernels import parts
from kmeans_c._kernels.filtering import Tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Keys = NDArray[np.uint32]
    Coordinates = NDArray[np.int32]
    Weights = NDArray[np.int64]


class SplitTree:
    """What `Tree` is for colours of which some are opaque, with the methods that clustering uses.

    Parameters
    ----------
    keys : (n,) array
        RGBA keys, ascending; some of them opaque.
    points : function
        Of some of the keys and a number of coordinates, 3 or 4: these coordinates, (D, n + PADDING)
    weights : (n,) array
    n_threads, level : int
    """

    D = 4

    def __init__(
        self,
        keys: Keys,
        points: Callable[[Keys, int], Coordinates],
        weights: Weights,
        n_threads: int,
        level: int,
    ) -> None:
        self.n = len(keys)
        self.keys, self.points, self.level = keys, points, level
        n = parts.count(keys)
        self.opaque_keys, self.other_keys = np.empty(n, np.uint32), np.empty(self.n - n, np.uint32)
        self._take(weights)
        self.top = int(points(self.opaque_keys[:1], 4)[3, 0])  # all opaque colours have it
        self.opaque_points = points(self.opaque_keys, 3)
        self.other_points = points(self.other_keys, 4)
        self._plant(n_threads)

    def weighed(self, weights: Weights, n_threads: int) -> SplitTree:
        """Return the same colours with other weights."""
        tree = copy(self)
        tree._take(weights)
        tree._plant(n_threads)
        return tree

    def _take(self, weights: Weights) -> None:
        self.weights = weights
        self.opaque_weights = np.empty(len(self.opaque_keys), np.int64)
        self.other_weights = np.empty(len(self.other_keys), np.int64)
        parts.part(
            self.keys, weights,
            self.opaque_keys, self.opaque_weights, self.other_keys, self.other_weights,
        )  # fmt: skip
        self.opaque_weight = int(self.opaque_weights.sum())

    def _plant(self, n_threads: int) -> None:
        self.opaque = Tree(
            self.opaque_keys, self.opaque_points, self.opaque_weights, n_threads, self.level
        )
        self.others: Tree | None = None
        if len(self.other_keys):
            self.others = Tree(
                self.other_keys, self.other_points, self.other_weights, n_threads, self.level
            )
        self.whole: Tree | None = None  # used where no centroid is opaque
        self.constrained = True  # the last assignment
        self.solid: NDArray[np.intp] = np.empty(0, np.intp)
        self.pinned: NDArray[np.bool_] = np.empty(0, bool)  # clusters with an opaque member

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
        self.pinned = np.zeros(len(centroids), bool)
        self.constrained = len(self.solid) > 0
        if not self.constrained:
            if self.whole is None:
                points = self.points(self.keys, 4)
                self.whole = Tree(self.keys, points, self.weights, n_threads, level)
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
        self.pinned[self.solid] = part[:, 3] > 0
        sums[self.solid, :3] += part[:, :3]
        sums[self.solid, 3] += self.top * part[:, 3]
        sums[self.solid, 4] += part[:, 3]

    def make_one_opaque(self, centroids: Coordinates, fixed: int) -> None:
        """Move one centroid to the mean of the opaque colours if none is opaque.

        It is the nearest to that mean, the first of equals; the first `fixed` stay.
        """
        if (centroids[:, 3] == self.top).any():
            return
        weights, total = self.opaque_weights, self.opaque_weight
        sums = (int((weights * plane[: len(weights)]).sum()) for plane in self.opaque_points)
        mean = np.array([*((2 * s + total) // (2 * total) for s in sums), self.top], np.int32)
        delta = (centroids[fixed:] - mean).astype(np.int64)
        centroids[fixed + int((delta * delta).sum(axis=1).argmin())] = mean

    def means(self, sums: Weights) -> Coordinates:
        """Return the means of the clusters of the last assignment, a half rounded upwards.

        They are opaque where an opaque colour is a member.
        """
        weights = np.maximum(sums[:, -1:], 1)
        means: Coordinates = ((2 * sums[:, :-1] + weights) // (2 * weights)).astype(np.int32)
        means[self.pinned, 3] = self.top
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
        opaque = np.empty(len(self.opaque_keys), np.uint16)
        others = np.empty(len(self.other_keys), np.uint16)
        self.opaque.labels(opaque, solid if names is None else names[solid], n_threads)
        if self.others is not None:
            self.others.labels(others, names, n_threads)
        parts.join(self.keys, opaque, others, out)

    def worst(self, n_threads: int = 1) -> tuple[int, int]:
        """Return the colour of the largest cost, the first of equals, and that cost."""
        if not self.constrained and self.whole is not None:
            return self.whole.worst(n_threads)
        at, cost = self.opaque.worst(n_threads)
        at = int(np.searchsorted(self.keys, self.opaque_keys[at]))
        if self.others is not None:
            other, other_cost = self.others.worst(n_threads)
            other = int(np.searchsorted(self.keys, self.other_keys[other]))
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
    """Say whether one of the RGBA keys is of an opaque colour."""
    return parts.count(keys) > 0


def _restricted(order: NDArray[np.uint16], solid: NDArray[np.intp]) -> NDArray[np.uint16]:
    """The order of some of the centroids, numbered among themselves."""
    number = np.full(len(order), -1)
    number[solid] = np.arange(len(solid))
    among = number[order]
    return among[among >= 0].astype(np.uint16)
