import numpy as np
from numpy.typing import NDArray

def plus_plus(
    points: NDArray[np.int32],
    weights: NDArray[np.int64],
    least: NDArray[np.int32],
    seeds: NDArray[np.int64],
    state: NDArray[np.uint64],
    first: int,
    last: int,
    level: int,
) -> None: ...
