import numpy as np
from numpy.typing import NDArray

from kmeans_c._kernels.points import Points

def coarse(
    of: Points,
    keys: NDArray[np.uint32],
    shift: int,
    means: NDArray[np.int32],
    masses: NDArray[np.int64],
    more: Points | None = None,
    more_keys: NDArray[np.uint32] | None = None,
    source: NDArray[np.uint8] | None = None,
) -> int: ...
