from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Entries: TypeAlias = NDArray[np.int32]
Upper: TypeAlias = NDArray[np.uint32]
Indices: TypeAlias = NDArray[Any]

def compare_rgb(
    pixels: Bytes, entries: NDArray[np.float32], indices: Indices, n_threads: int, level: int
) -> None: ...
def take_grey(pixels: Bytes, table: Indices, indices: Indices) -> None: ...
def own_cells(
    entries: Entries,
    wanted: Bytes,
    upper: Upper,
    lower: Indices,
    fourth: int,
    n_threads: int,
    level: int,
) -> None: ...
def look_up(
    pixels: Bytes,
    upper: Upper,
    lower: Indices,
    indices: Indices,
    missed: Bytes,
    n_threads: int,
    level: int,
) -> None: ...
def want_cells(pixels: Bytes, missed: Bytes, wanted: Bytes, step: int) -> None: ...
def own_colors(keys: NDArray[np.uint32], owners: NDArray[np.uint16], table: Indices) -> None: ...
def take_rgb(
    pixels: Bytes, table: Indices, indices: Indices, n_threads: int, level: int
) -> None: ...
def own_alpha(
    pixels: Bytes, entries: Entries, clear: int, indices: Indices, opaque_too: bool, level: int
) -> None: ...
def look_up_opaque(pixels: Bytes, upper: Upper, lower: Indices, indices: Indices) -> bool: ...
def want_opaque(pixels: Bytes, wanted: Bytes) -> None: ...
