"""Where the first centroids come from."""

# np.random in annotations would import it, a tenth of this package's own import time.
from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmeans_c import _kernels
from kmeans_c.lloyd import tiles
from kmeans_c.pcg64 import PCG64
from kmeans_c.threads import simd_level, team

INITS = ("random", "k-means++")

REDRAWS = 32  # draws a centroid before rows of equal content are accepted
SHARE = 1 << 18  # coordinates that are worth a thread: some 200 us
SLICE = 1 << 24  # coordinates between two looks at the signals: some 20 ms
ROWS_SLICE = 1 << 22  # coordinates to be put in order between two looks
TRY_SHARE = 1 << 20  # coordinates of tries that are worth a thread: some 200 us
TRY_SLICE = 1 << 26  # coordinates of tries between two looks at the signals: some 20 ms
PART = 4096  # points whose distances are added up together; fixed, so that threads change nothing


class Draw:
    """Random numbers that are the same with every release of NumPy.

    NumPy promises that for the 64-bit numbers of a bit generator, not for what `Generator` makes
    of them.

    Parameters
    ----------
    seed : None, int or numpy.random.Generator
        None draws fresh entropy.

    Raises
    ------
    TypeError
        If `seed` is of another kind.
    ValueError
        If `seed` is negative.
    """

    def __init__(self, seed: int | np.random.Generator | None) -> None:
        # A caller that has a Generator has imported numpy.random, which takes 15 ms.
        if "numpy.random" in sys.modules and isinstance(seed, np.random.Generator):
            # Its bit generator may give 32 bits at a time; 16 bytes of it start one that gives 64.
            seed = int.from_bytes(seed.bytes(16), "little")
        if seed is None:
            self._bits = PCG64(int.from_bytes(os.urandom(16), "little"))
        elif isinstance(seed, int | np.integer) and not isinstance(seed, bool):
            if seed < 0:
                raise ValueError(f"seed: expected at least 0, got {seed}")
            self._bits = PCG64(int(seed))
        else:
            kind = type(seed).__name__
            raise TypeError(f"seed: expected an integer, a numpy Generator or None, got {kind}")

    def word(self) -> int:
        """64 random bits."""
        return self._bits.random_raw()

    def below(self, bound: int) -> int:
        """A whole number in 0..bound-1, each as likely to within 2**-64."""
        return (self.word() * bound) >> 64

    def uniform(self) -> float:
        """A number in [0, 1) of 53 bits."""
        return (self.word() >> 11) * 2.0**-53

    def distinct(self, bound: int, weights: NDArray[Any] | None = None) -> Iterator[int]:
        """All of 0..bound-1 in random order.

        With weights: those of weight above 0, with odds in proportion to it.
        """
        if weights is not None:
            remaining = weights.astype(np.float64)
            totals = np.cumsum(remaining)
            while totals[-1] > 0:
                place = _find(totals, self.uniform() * totals[-1])
                if remaining[place] > 0:
                    remaining[place] = 0
                    yield place
                else:
                    # Drawn before: time to take what has been drawn out of the odds.
                    totals = np.cumsum(remaining)
            return
        # A Fisher-Yates shuffle that keeps only what it has moved.
        moved: dict[int, int] = {}
        for last in range(bound - 1, -1, -1):
            place = self.below(last + 1)
            yield moved.get(place, place)
            moved[place] = moved.pop(last, last)


def seed_rows(
    X: NDArray[Any],
    K: int,
    init: str,
    draw: Draw,
    *,
    n_threads: int,
    weights: NDArray[Any] | None = None,
    tries: int = 1,
) -> NDArray[np.intp]:
    """Indices of the K rows of `X` to start from, by one of `INITS`.

    Odds grow with `weights`, all 1 by default. "k-means++" draws `tries` rows at a time and takes
    the one that leaves the least; more than one are for float points.
    """
    weights = None if weights is None else weights.astype(np.float64)
    if init == "random":
        return _random(X, K, draw, weights)
    return _plus_plus(X, K, draw, weights, n_threads=n_threads, tries=tries)


def by_content(
    X: NDArray[Any], weights: NDArray[np.float64] | None, n_threads: int
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """The distinct rows, in an order that their content alone decides, and how much each weighs.

    What is drawn from them does not depend on where a row stands, and a row of weight 2 is drawn as
    two equal ones are.
    """
    marks = np.empty(len(X), np.uint64)
    n_threads = team(n_threads, X.size, SHARE)
    step = max(1, ROWS_SLICE // X.shape[1])
    for first in range(0, len(X), step):
        _kernels.seeding.fingerprints(X, marks, first, min(first + step, len(X)), n_threads)
    # A stable sort takes twice as long; equal rows may change places where no weight tells.
    order = np.argsort(marks, kind=None if weights is None else "stable")
    marks = marks[order]
    starts = np.flatnonzero(np.concatenate([[True], marks[1:] != marks[:-1]]))
    if weights is None:
        heavy = np.diff(starts, append=len(X)).astype(np.float64)
    else:
        heavy = np.add.reduceat(weights[order], starts)
    rows = np.empty((len(starts), X.shape[1]), X.dtype)
    for first in range(0, len(rows), step):
        part = slice(first, first + step)
        np.take(X, order[starts[part]], axis=0, out=rows[part], mode="clip")  # others copy twice
    return rows, heavy


def _random(
    X: NDArray[Any], K: int, draw: Draw, weights: NDArray[np.float64] | None
) -> NDArray[np.intp]:
    """Rows drawn without replacement.

    One whose content was drawn before is put back unless too few others turn up.
    """
    seen: set[bytes] = set()
    chosen: list[int] = []
    repeated: list[int] = []
    for index in islice(draw.distinct(len(X), weights), REDRAWS * K):
        content = (X[index] + 0).tobytes()  # + 0 makes -0.0 the 0.0 that it equals
        (repeated if content in seen else chosen).append(index)
        seen.add(content)
        if len(chosen) == K:
            break
    return np.array((chosen + repeated)[:K], np.intp)


def _plus_plus(
    X: NDArray[Any],
    K: int,
    draw: Draw,
    weights: NDArray[np.float64] | None,
    *,
    n_threads: int,
    tries: int,
) -> NDArray[np.intp]:
    """Rows drawn in turn, with odds in proportion to the squared distance from the nearest so far.

    Arthur, D. and Vassilvitskii, S. (2007). k-means++: the advantages of careful seeding.
    SODA '07, 1027-1035. The tries are in its conclusion.
    """
    rest = _Rest(X, weights, n_threads)
    chosen = [next(draw.distinct(len(X), weights))]
    rest.come_closer(chosen[0])
    while len(chosen) < K:
        drawn = [rest.row_at(draw.uniform()) for _ in range(tries)]
        if tries > 1:
            chosen.append(rest.come_closest(drawn))
        else:
            chosen += drawn
            if len(chosen) < K:
                rest.come_closer(drawn[0])
    return np.array(chosen, np.intp)


class _Rest:
    """What is left to explain: each row's squared distance from the nearest row chosen so far."""

    def __init__(
        self, X: NDArray[Any], weights: NDArray[np.float64] | None, n_threads: int
    ) -> None:
        self.X, self.weights, self.n_threads = X, weights, n_threads
        self.distance = np.full(len(X), np.inf)
        self.parts = np.empty(-(-len(X) // PART))  # the distances' weighted sums
        self.squares = np.empty((0, 0))

    def row_at(self, where: float) -> int:
        """The row that owns this share, 0..1, of the whole."""
        totals = np.cumsum(self.parts)
        mark = where * totals[-1]
        part = _find(totals, mark)
        near = slice(part * PART, (part + 1) * PART)
        odds = self.distance[near]
        if self.weights is not None:
            odds = odds * self.weights[near]
        return part * PART + _find(np.cumsum(odds), mark - (totals[part - 1] if part else 0))

    def come_closer(self, row: int) -> None:
        """Choose one row."""
        n_threads = team(self.n_threads, self.X.size, SHARE)
        for first, last in self._slices(SLICE // self.X.shape[1]):
            _kernels.seeding.closer(
                self.X, row, self.weights, self.distance, self.parts,
                PART, first, last, n_threads,
            )  # fmt: skip

    def come_closest(self, rows: list[int]) -> int:
        """Choose the one of the rows that leaves the least, the first one on ties."""
        if self.squares.shape[1] != len(rows):
            self.squares = np.empty((len(self.X), len(rows)), self.X.dtype)
        table = tiles(self.X[rows], self.X.dtype)
        parts = np.empty((len(self.parts), len(rows)))
        work = self.X.shape[1] * len(rows)
        n_threads, level = team(self.n_threads, len(self.X) * work, TRY_SHARE), simd_level()
        for first, last in self._slices(TRY_SLICE // work):
            _kernels.distances.potentials(
                self.X, self.weights, self.distance, table, self.squares, parts,
                PART, first, last, n_threads, level,
            )  # fmt: skip
        least = int(np.argmin(np.cumsum(parts, axis=0)[-1]))
        np.minimum(self.distance, self.squares[:, least], out=self.distance)
        self.parts = parts[:, least]
        return rows[least]

    def _slices(self, rows: int) -> Iterator[tuple[int, int]]:
        """Parts, first and last, of about so many rows together."""
        together = max(1, rows // PART)
        for first in range(0, len(self.parts), together):
            yield first, min(first + together, len(self.parts))


def _find(totals: NDArray[np.float64], mark: float) -> int:
    """Where running totals first exceed the mark.

    The last place if rounding has put the mark beyond them.
    """
    return min(int(np.searchsorted(totals, mark, "right")), len(totals) - 1)
