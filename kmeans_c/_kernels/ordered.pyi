from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

_Bytes: TypeAlias = NDArray[np.uint8]
_Numbers: TypeAlias = NDArray[np.int32]
_Indices: TypeAlias = NDArray[Any]

def mix_wanted(
    wanted: _Bytes,
    values: _Bytes,
    table: _Indices,
    places: NDArray[np.uint32],
    palette: _Bytes,
    order: _Numbers,
    strength: int,
    mixtures: _Indices,
    states: _Bytes,
    n_threads: int,
) -> None: ...
def dither_rows(
    pixels: _Bytes,
    nearest: _Indices,
    palette: _Bytes,
    pattern: _Bytes,
    scale: NDArray[np.uint16],
    mixtures: _Indices,
    states: _Bytes,
    candidates: _Numbers,
    strength: int,
    indices: _Indices,
    missed: _Bytes,
    wanted: _Bytes,
    first_row: int,
    level: int,
) -> None: ...
