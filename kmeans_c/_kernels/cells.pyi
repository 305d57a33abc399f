import numpy as np
from numpy.typing import NDArray

from kmeans_c._kernels.points import Points

def coarse(
    of: Points,
    keys: NDArray[np.uint32],
    shift: int,
    means: NDArray[np.int32],
    masses: NDArray[np.int64],
) -> int: ...
