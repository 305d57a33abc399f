"""Search of ordered candidates for the least error that fits into a number of bytes.

A ladder, candidates from small to large files, is searched by bisection: where one fits, the search
goes on above it, otherwise below. The last few are all tried. Which candidates there are, and where
a search begins, must not depend on the number of bytes. Then more bytes never give a larger error,
whatever the sizes of the files are. Let n < m, and let p be the first candidate that the searches
for n and for m answer differently: it does not fit into n, and fits into m. Before p both have
tried the same, and what fits into n fits into m. m has p, so its error is at most p's. After p, n
accepts none whose error is below p's (the floor). So the answer for m is no worse. With several
ladders the answer is the best of theirs, and the same holds.

The floor matters only where the error does not fall along a ladder, which a heuristic fit can't
exclude.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class File(Protocol):
    """A candidate that was encoded."""

    @property
    def data(self) -> bytes:
        """The contents of the file."""

    @property
    def mse(self) -> float:
        """The error of what it shows."""


Encoded = TypeVar("Encoded", bound=File)


class LadderSearch(Generic[Encoded]):
    """The candidates that fit into a number of bytes, of those that were tried.

    Parameters
    ----------
    n_bytes : int
    tried_at_once : int
        So many candidates of a ladder are all tried.
    few : int
        All are tried as well where none is above this number.

    Attributes
    ----------
    fitting : list
    """

    def __init__(self, n_bytes: int, tried_at_once: int, few: int = 0) -> None:
        self.n_bytes = n_bytes
        self.tried_at_once = tried_at_once
        self.few = few
        self.fitting: list[Encoded] = []

    @property
    def reached(self) -> float:
        """The least error of those that fit."""
        return min((file.mse for file in self.fitting), default=math.inf)

    @property
    def best(self) -> Encoded | None:
        """The candidate of least error; of equal errors the smallest file, then the first."""
        return min(self.fitting, key=lambda file: (file.mse, len(file.data)), default=None)

    def climb(
        self,
        ladder: Sequence[int],
        encoded: Callable[[int], Encoded],
        floor: float = 0.0,
        bound: Callable[[int], float] | None = None,
    ) -> float:
        """Search a ladder.

        Parameters
        ----------
        ladder : sequence of int
            Numbers of colours, or qualities, from 1 on.
        encoded : callable
            Gives the candidate of a number.
        floor : float
            Candidates of a smaller error are not accepted.
        bound : callable, optional
            Gives a lower bound of a candidate's error. One that can't be better than what fits
            already is not encoded, and counts as fitting: it could not change the answer.

        Returns
        -------
        float
            The floor in the end.
        """

        def fits(number: int) -> bool:
            nonlocal floor
            if bound is not None and bound(number) >= self.reached:
                return True
            file = encoded(number)
            if file.mse < floor:
                return False
            if len(file.data) <= self.n_bytes:
                self.fitting.append(file)
                return True
            floor = file.mse
            return False

        low, high = 0, len(ladder)
        while high - low > self.tried_at_once and ladder[high - 1] > self.few:
            # Small numbers take less time to encode, and files grow with about their logarithm.
            guess = math.isqrt(ladder[low] * ladder[high - 1])
            middle = bisect_left(ladder, guess, low + 1, high - 1)
            if fits(ladder[middle]):
                low = middle + 1
            else:
                high = middle
        lowest = floor
        for number in reversed(ladder[low:high]):
            tried, floor = floor, lowest
            fits(number)
            floor = max(floor, tried)
        return floor
