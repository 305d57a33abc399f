from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

_Words: TypeAlias = NDArray[np.uint32]

def fill_slots(keys: _Words, owners: NDArray[np.uint16], slots: _Words, shift: int) -> None: ...
def take_rgba(
    pixels: NDArray[np.uint8], slots: _Words, indices: NDArray[Any], shift: int, n_threads: int
) -> None: ...
