from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

_Bytes: TypeAlias = NDArray[np.uint8]
_Numbers: TypeAlias = NDArray[np.int32]
_Indices: TypeAlias = NDArray[Any]

def mix_wanted(
    wanted: _Bytes,
    values: _Numbers,
    table: _Indices,
    places: NDArray[np.uint32],
    entries: _Numbers,
    by_rank: NDArray[np.uint16],
    strength: int,
    limit: int,
    mixtures: _Indices,
    unknown: _Bytes,
    n_threads: int,
    level: int,
) -> None: ...
def dither_rows(
    pixels: _Bytes,
    nearest: _Indices,
    colors: NDArray[np.uint32],
    pattern: _Bytes,
    mixtures: _Indices,
    unknown: _Bytes,
    candidates: _Numbers,
    slots: NDArray[np.uint64],
    strength: int,
    indices: _Indices,
    skipped: _Bytes,
    missed: _Bytes,
    wanted: _Bytes,
    first_row: int,
    level: int,
) -> None: ...
