import numpy as np
from numpy.typing import NDArray

def count(keys: NDArray[np.uint32]) -> int: ...
def part(
    keys: NDArray[np.uint32],
    weights: NDArray[np.int64],
    opaque_keys: NDArray[np.uint32],
    opaque_weights: NDArray[np.int64],
    other_keys: NDArray[np.uint32],
    other_weights: NDArray[np.int64],
) -> None: ...
def join(
    keys: NDArray[np.uint32],
    opaque: NDArray[np.uint16],
    others: NDArray[np.uint16],
    out: NDArray[np.uint16],
) -> None: ...
