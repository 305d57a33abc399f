import numpy as np
from numpy.typing import NDArray

class Points:
    n: int
    D: int
    def __init__(
        self,
        keys: NDArray[np.uint32],
        coordinates: NDArray[np.int32],
        weights: NDArray[np.int64],
        n_threads: int,
        level: int,
    ) -> None: ...
    def n_leaves(self) -> int: ...
    def leaf_means(self, means: NDArray[np.int32], weights: NDArray[np.int64]) -> None: ...
    def squares(self) -> int: ...
