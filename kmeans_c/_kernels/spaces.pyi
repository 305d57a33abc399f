import numpy as np
from numpy.typing import NDArray

def coordinates(colors: NDArray[np.uint8], planes: NDArray[np.int32]) -> None: ...
