import numpy as np
from numpy.typing import NDArray

def add_distances(
    planes: NDArray[np.int32],
    weights: NDArray[np.int64],
    owners: NDArray[np.uint16],
    entries: NDArray[np.int32],
    bins: NDArray[np.int64],
    first: int,
    last: int,
) -> None: ...
def add_sums(
    planes: NDArray[np.int32],
    weights: NDArray[np.int64],
    owners: NDArray[np.uint16],
    sums: NDArray[np.int64],
    first: int,
    last: int,
) -> None: ...
