import numpy as np
from numpy.typing import NDArray

def count_events(
    indices: NDArray[np.uint8],
    first: int,
    last: int,
    events: NDArray[np.int64],
    new: NDArray[np.int64],
) -> None: ...
def count_residuals(
    indices: NDArray[np.uint8], first: int, last: int, residuals: NDArray[np.int64]
) -> None: ...
def total_error(
    pixels: NDArray[np.uint8],
    entries: NDArray[np.int32],
    indices: NDArray[np.uint8],
    first: int,
    last: int,
) -> int: ...
def smooth_bands(
    pixels: NDArray[np.uint8],
    entries: NDArray[np.int32],
    indices: NDArray[np.uint8],
    out: NDArray[np.uint8],
    firsts: NDArray[np.int64],
    height: int,
    by_residual: bool,
    costs: NDArray[np.int32],
    new_costs: NDArray[np.int32],
    weight: int,
    limit: int,
    errors: NDArray[np.int64],
    scratch: NDArray[np.uint8],
    extras: NDArray[np.int32],
    n_threads: int,
) -> None: ...
