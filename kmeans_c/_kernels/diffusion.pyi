from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

_Bytes: TypeAlias = NDArray[np.uint8]
_Numbers: TypeAlias = NDArray[np.int32]

def diffuse(
    pixels: _Bytes,
    levels: _Bytes,
    adaptive: bool,
    table: NDArray[Any],
    places: NDArray[np.uint32],
    shares: _Numbers,
    candidates: _Numbers,
    slots: NDArray[np.uint64],
    strength: int,
    limit: int,
    errors: _Numbers,
    state: NDArray[np.int64],
    indices: NDArray[Any],
    budget: int,
    level: int,
) -> None: ...
