"""Compiled kernels: they know numbers and nothing else; every check stands in the rooms above."""

import os

__all__ = ["machine"]

# An idle thread of libgomp spins for milliseconds before it sleeps. Where processors are short, the
# thread it waits for has none meanwhile: a search of forty short rounds took ten times as long with
# two threads as with one. A thousand turns, some microseconds, are as fast on an idle machine.
# libgomp reads the variable once, when it is loaded; what the user has said of it stands.
_SPIN = "GOMP_SPINCOUNT"

_ours = _SPIN not in os.environ and "OMP_WAIT_POLICY" not in os.environ
if _ours:
    os.environ[_SPIN] = "1000"
try:
    from kmeans_c._kernels import machine
except ImportError as _error:
    raise ImportError(
        "kmeans_c's compiled kernels are missing. In a source checkout Python finds the sources "
        "before the installed package: change to another folder, or build in place with "
        "'python setup.py build_ext --inplace'."
    ) from _error
finally:
    if _ours:
        del os.environ[_SPIN]
