import numpy as np
from numpy.typing import NDArray

def coordinates(colors: NDArray[np.uint8], planes: NDArray[np.int32]) -> None: ...
def take(
    colors: NDArray[np.uint8],
    table: NDArray[np.int32],
    planes: NDArray[np.int32],
    first: int,
    n_threads: int,
) -> None: ...
def bend(
    colors: NDArray[np.uint8],
    mixing: NDArray[np.int32],
    curve: NDArray[np.int32],
    axes: NDArray[np.int64],
    planes: NDArray[np.int32],
    first: int,
    lowest: int,
    n_threads: int,
) -> None: ...
def fade(
    colors: NDArray[np.uint8],
    middle: NDArray[np.int32],
    depths: NDArray[np.int32],
    planes: NDArray[np.int32],
    first: int,
    n_threads: int,
) -> None: ...
