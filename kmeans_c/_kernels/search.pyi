from typing import Self, final

import numpy as np
from numpy.typing import NDArray

@final
class Search:
    N: int
    K: int
    work: int
    tried: int
    accepted: int
    def __new__(
        cls,
        points: NDArray[np.int32],
        masses: NDArray[np.int64],
        fixed: NDArray[np.int32],
        room: int,
        seed: int,
        n_threads: int,
        level: int,
        opaque: NDArray[np.uint8] | None = None,
        top: int = 0,
    ) -> Self: ...
    def grow(self, K: int) -> int: ...
    def settle(self, passes: int) -> bool: ...
    def start(self) -> None: ...
    def improve(self, budget: int, patience: int) -> bool: ...
    def error(self) -> float: ...
    def centroids(self, out: NDArray[np.int32]) -> None: ...
