"""How many threads, which SIMD level, and what happens at a fork."""

import operator
import os
from functools import cache
from pathlib import Path

from kmeans_c._kernels import machine

SIMD_LEVELS = ("baseline", "avx2", "avx512")

# libgomp starts a new team of threads for every count it is asked for and never gives up on a count that the system
# cannot serve: it ends the process. No machine this package is meant for has more cores than this.
MAX_THREADS = 256


def thread_count(n_threads: int | None = None) -> int:
    """Resolve the `n_threads` argument that every public function has.

    Parameters
    ----------
    n_threads : int or None
        At least 1. None: what OMP_NUM_THREADS or threadpoolctl say, else the processors that the affinity mask
        and the cgroup's CPU quota allow. A number is honoured up to the processors allowed: more threads than
        processors only wait for each other.

    Returns
    -------
    int
        1 where the kernels were compiled without OpenMP.
    """
    allowed = max(1, min(len(_affinity()), _quota(), MAX_THREADS))
    if n_threads is None:
        return max(1, min(machine.max_threads(), allowed))
    try:
        wanted = operator.index(n_threads)
    except TypeError:
        raise TypeError(
            f"n_threads: expected an int or None, got {type(n_threads).__name__}"
        ) from None
    if wanted < 1:
        raise ValueError(f"n_threads: expected at least 1, got {wanted}")
    return min(wanted, allowed) if machine.has_openmp() else 1
