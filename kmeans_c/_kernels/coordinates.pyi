import numpy as np
from numpy.typing import NDArray

def from_keys(
    keys: NDArray[np.uint32],
    channels: int,
    planes: NDArray[np.int32],
    n_threads: int,
    level: int,
) -> None: ...
