from typing import Any

import numpy as np
from numpy.typing import NDArray

def squared_error(
    pixels: NDArray[np.uint8],
    indices: NDArray[Any],
    entries: NDArray[np.int32],
    n_threads: int,
) -> int: ...
