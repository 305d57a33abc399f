"""Compiled kernels: they know numbers and nothing else; every check stands in the rooms above."""

import importlib
import os

TYPE_CHECKING = False  # as in `typing`, which other modules may do without
if TYPE_CHECKING:
    from typing import Any

    from kmeans_c._kernels import (
        activity,
        blocks,
        cells,
        color_seeding,
        coordinates,
        diffusion,
        distances,
        errors,
        filtering,
        histogram,
        lattice,
        lloyd,
        lzw,
        mapping,
        nearest,
        ordered,
        owners,
        parts,
        perceptual,
        points,
        rate,
        scanlines,
        search,
        seeding,
        spaces,
    )

__all__ = [
    "activity",
    "blocks",
    "cells",
    "color_seeding",
    "coordinates",
    "diffusion",
    "distances",
    "errors",
    "filtering",
    "histogram",
    "lattice",
    "lloyd",
    "lzw",
    "machine",
    "mapping",
    "nearest",
    "ordered",
    "owners",
    "parts",
    "perceptual",
    "points",
    "rate",
    "scanlines",
    "search",
    "seeding",
    "spaces",
]

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


def __getattr__(name: str) -> "Any":
    # Loading a kernel takes 0.2 ms, and one run needs a third of them.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")
