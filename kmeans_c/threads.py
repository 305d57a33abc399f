"""How many threads, which SIMD level, and what happens at a fork."""

import operator
import os
import re
import sys
import threading
import time
from typing import TypeAlias

from kmeans_c._kernels import machine

FilePath: TypeAlias = str | os.PathLike[str]

SIMD_LEVELS = ("baseline", "avx2", "avx512")
SIMD_VARIABLE = "KMEANS_C_SIMD"

# More threads than this only cost memory: one row of partial sums each,
# and no machine gains beyond it.
MAX_THREADS = 64

CHECK_SECONDS = 1.0


class _Team(threading.local):
    """What is known of the OpenMP team of one Python thread."""

    size = 1
    checked = 0.0  # when so many threads could last be started


_team = _Team()
_quotas: dict[int, int] = {}  # by process: read once, as a quota seldom changes


def thread_count(n_threads: int | None = None) -> int:
    """Resolve the `n_threads` argument that every public function has.

    Parameters
    ----------
    n_threads : int or None
        At least 1; more than 64 are taken as 64. None: what OMP_NUM_THREADS or threadpoolctl say,
        but never more than the processors that the affinity mask and the cgroup's CPU quota allow.

    Returns
    -------
    int
        How many threads to use: fewer than asked where the system refuses to start them, 1 where
        the kernels were compiled without OpenMP. Results never depend on it.

    Raises
    ------
    TypeError
        If `n_threads` is not an integer.
    ValueError
        If `n_threads` is below 1.
    """
    if n_threads is None:
        wanted = min(machine.max_threads(), _affinity(), _quota())
    else:
        kind = type(n_threads).__name__
        try:
            wanted = operator.index(n_threads)
        except TypeError:
            raise TypeError(f"n_threads: expected an integer or None, got {kind}") from None
        if isinstance(n_threads, bool):
            raise TypeError(f"n_threads: expected an integer or None, got {kind}")
        if wanted < 1:
            raise ValueError(f"n_threads: expected at least 1, got {wanted}")
    if not machine.has_openmp():
        return 1
    return _start_at_most(max(1, min(wanted, MAX_THREADS)))


def team(n_threads: int, work: int, share: int) -> int:
    """As many of the threads as have a `share` of the `work` each, at least one.

    A thread that waits for its processor on a busy machine costs milliseconds: it has to bring
    more than that.
    """
    return max(1, min(n_threads, work // share))


def simd_level() -> int:
    """The kernels' SIMD level: the processor's best, or a lower one that KMEANS_C_SIMD names.

    Returns
    -------
    int
        0 (baseline), 1 (avx2) or 2 (avx512): an index into `SIMD_LEVELS`.
        Results never depend on it.

    Raises
    ------
    ValueError
        If KMEANS_C_SIMD holds anything else than one of these names. A level that the processor
        lacks is taken as its best one.
    """
    best: int = machine.cpu_level()
    name = os.environ.get(SIMD_VARIABLE)
    if not name:
        return best
    if name not in SIMD_LEVELS:
        raise ValueError(f"{SIMD_VARIABLE}: expected one of {', '.join(SIMD_LEVELS)}, got {name!r}")
    return min(best, SIMD_LEVELS.index(name))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota() -> int:
    """Processors that this process's CPU quota allows, which OpenMP runtimes do not know."""
    if os.getpid() not in _quotas:
        _quotas[os.getpid()] = read_quota("/proc/self/cgroup", "/sys/fs/cgroup")
    return _quotas[os.getpid()]


def read_quota(membership: FilePath, root: FilePath) -> int:
    """The smallest CPU quota, in whole processors rounded up, on the way from a cgroup to the root.

    Parameters
    ----------
    membership : path
        Lines of `hierarchy:controllers:path`, as the kernel's /proc/self/cgroup.
    root : path
        Where cgroup v2, or the v1 hierarchies by name, are mounted.

    Returns
    -------
    int
        `MAX_THREADS` where no quota is set or none can be read.
    """
    smallest = MAX_THREADS
    for line in _read(membership).splitlines():
        _, controllers, path = (line + "::").split(":")[:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        # In a container the path is the host's,
        # while the container's own group is mounted at the root.
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(parts) + 1):
            if controllers:
                folder = os.path.join(root, "cpu", *parts[:depth])  # noqa: PTH118
                share = [
                    _read(os.path.join(folder, f"cpu.cfs_{name}_us"))  # noqa: PTH118
                    for name in ("quota", "period")
                ]
            else:
                group = os.path.join(root, *parts[:depth], "cpu.max")  # noqa: PTH118
                share = _read(group).split()
            # No quota reads "max" in version 2 and -1 in version 1.
            if len(share) == 2 and all(value.strip().isdigit() for value in share):
                quota, period = map(int, share)
                smallest = min(smallest, -(-quota // max(period, 1)))
    return max(smallest, 1)


def _read(path: FilePath) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return ""


def _start_at_most(wanted: int) -> int:
    """How many of `wanted` threads the system will start.

    libgomp ends the process when it cannot start a thread. Each Python thread has a team of its
    own, whose threads come and go with the numbers asked for. So before a team may grow, and again
    after a second, as many threads with stacks of the same size are started and let go.
    """
    now = time.monotonic()
    if wanted > 1 and (wanted > _team.size or now > _team.checked + CHECK_SECONDS):
        wanted = machine.try_threads(wanted, _stack_size())
        _team.checked = now
    _team.size = wanted
    return wanted


def _stack_size() -> int:
    """Bytes that OMP_STACKSIZE gives an OpenMP thread; 0 is the system's default."""
    text = os.environ.get("OMP_STACKSIZE") or os.environ.get("GOMP_STACKSIZE") or ""
    found = re.fullmatch(r"\s*(\d+)\s*([bkmg]?)\s*", text.lower())
    if not found:
        return 0
    size = int(found[1]) << {"b": 0, "": 10, "k": 10, "m": 20, "g": 30}[found[2]]
    pages = -(-max(size, 1 << 15) // 4096)
    return 4096 * pages if size < sys.maxsize // 2 else 0


def _before_fork() -> None:
    machine.release_threads()
    _team.size = 1


def _after_fork_in_child() -> None:
    _quotas.clear()


if hasattr(os, "register_at_fork"):
    # libgomp's pool does not survive a fork: a child that uses it waits for ever. It is given back
    # before, and both sides start a new one when they next need it.
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
