"""Tables of a byte for every RGB colour: cleared, and kept for the next call.

A new table costs a millisecond or more, a quarter of what counting eight megapixels takes: the
system hands out cleared pages, or malloc clears what has been used before. Whoever borrows a table
clears what it has written, while that is in the cache, and gives it back.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["WORTH_CLEARING", "borrow", "give_back", "release"]

SIZE = 1 << 24

# Clearing more colours than this one by one, and keeping the memory from the clustering that
# follows, takes longer than a new table (benchmarks/bench_stages.py).
WORTH_CLEARING = 1 << 19

# 48 MiB: as many as one call counts in.
MAX_KEPT = 3

_kept: list[NDArray[np.uint8]] = []


def borrow() -> NDArray[np.uint8]:
    """Return a table of zeros that nobody else has.

    It may simply be dropped, as after an error: it is not missed.
    """
    try:
        return _kept.pop()  # one step, whatever other threads do
    except IndexError:
        # Zeros of the system's: a page gets memory when it is first written, in the thread that
        # counts there.
        return np.zeros(SIZE, np.uint8)


def give_back(table: NDArray[np.uint8]) -> None:
    """Keep a table, all zeros again, for the next `borrow`."""
    _kept.append(table)
    del _kept[MAX_KEPT:]


def release() -> None:
    """Return the memory of the kept tables to the system: 16 MiB a thread that has counted."""
    _kept.clear()
