from typing import final

import numpy as np
from numpy.typing import NDArray

from kmeans_c._kernels.points import Points

@final
class Tree(Points):
    full_passes: int
    def assign(
        self,
        centroids: NDArray[np.int32],
        sums: NDArray[np.int64],
        n_threads: int,
        level: int,
        order: NDArray[np.uint16] | None = None,
    ) -> int: ...
    def iterate(
        self,
        centroids: NDArray[np.int32],
        sums: NDArray[np.int64],
        passes: int,
        n_threads: int,
        level: int,
        fixed: int = 0,
    ) -> tuple[int, int]: ...
    def labels(
        self,
        out: NDArray[np.uint16],
        names: NDArray[np.uint16] | None = None,
        n_threads: int = 1,
    ) -> None: ...
    def worst(self, n_threads: int = 1) -> tuple[int, int]: ...
