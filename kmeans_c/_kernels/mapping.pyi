from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

_Bytes: TypeAlias = NDArray[np.uint8]
_Entries: TypeAlias = NDArray[np.int32]
_Upper: TypeAlias = NDArray[np.uint32]
_Indices: TypeAlias = NDArray[Any]

def compare_rgb(
    pixels: _Bytes, entries: NDArray[np.float32], indices: _Indices, n_threads: int, level: int
) -> None: ...
def take_grey(pixels: _Bytes, table: _Indices, indices: _Indices) -> None: ...
def own_cells(
    entries: _Entries,
    ids: NDArray[np.int32],
    wanted: _Bytes,
    upper: _Upper,
    lower: _Indices,
    fourth: int,
    n_threads: int,
    level: int,
) -> None: ...
def look_up(
    pixels: _Bytes,
    upper: _Upper,
    lower: _Indices,
    indices: _Indices,
    missed: _Bytes,
    n_threads: int,
    level: int,
) -> None: ...
def want_cells(pixels: _Bytes, missed: _Bytes, wanted: _Bytes, step: int) -> None: ...
def own_colors(
    keys: NDArray[np.uint32], owners: NDArray[np.uint16], table: _Indices, n_threads: int
) -> None: ...
def own_opaque(
    colors: _Bytes, owners: NDArray[np.uint16], table: _Indices, n_threads: int
) -> None: ...
def take_rgb(
    pixels: _Bytes, table: _Indices, indices: _Indices, last: int, n_threads: int, level: int
) -> None: ...
def own_alpha(
    pixels: _Bytes,
    entries: _Entries,
    ids: NDArray[np.int32],
    opaque: bool,
    clear: int,
    indices: _Indices,
    n_threads: int,
    level: int,
) -> None: ...
def look_up_opaque(
    pixels: _Bytes,
    upper: _Upper,
    lower: _Indices,
    indices: _Indices,
    missed: _Bytes,
    n_threads: int,
    level: int,
) -> None: ...
def want_opaque(pixels: _Bytes, missed: _Bytes, wanted: _Bytes) -> None: ...
def take_opaque(
    pixels: _Bytes, table: _Indices, indices: _Indices, last: int, n_threads: int, level: int
) -> None: ...
