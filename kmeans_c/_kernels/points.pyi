from typing import Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import disjoint_base

@disjoint_base
class Points:
    n: int
    D: int
    def __new__(
        cls,
        keys: NDArray[np.uint32],
        coordinates: NDArray[np.int32],
        weights: NDArray[np.int64],
        n_threads: int,
        level: int,
    ) -> Self: ...
    def n_leaves(self) -> int: ...
    def leaf_means(self, means: NDArray[np.int32], weights: NDArray[np.int64]) -> None: ...
    def squares(self) -> int: ...
