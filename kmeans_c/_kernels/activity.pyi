from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

_Bytes: TypeAlias = NDArray[np.uint8]
_Numbers: TypeAlias = NDArray[np.int32]

def contrasts(
    pixels: _Bytes,
    contrast: _Bytes,
    soft: _Numbers,
    softest: int,
    first: int,
    last: int,
    n_threads: int,
    level: int,
) -> None: ...
def weigh(
    pixels: _Bytes,
    nearest: NDArray[Any],
    palette: _Bytes,
    calm: _Bytes,
    work: _Numbers,
    of_contrast: _Numbers,
    of_error: _Numbers,
    levels: _Bytes,
    first: int,
    n_threads: int,
    level: int,
) -> None: ...
