from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

_Bytes: TypeAlias = NDArray[np.uint8]
_Numbers: TypeAlias = NDArray[np.uint16]

def unfilter(rows: _Bytes, above: _Bytes, bpp: int) -> bool: ...
def same_entries(
    rows: _Bytes, skipped: int, bits: int, indices: _Bytes, theirs: _Numbers, ours: _Numbers
) -> bool: ...
def same_colors(
    rows: _Bytes, skipped: int, channels: int, indices: _Bytes, palette: _Bytes
) -> bool: ...
def count_indices(indices: _Bytes, counts: NDArray[np.intp]) -> bool: ...
