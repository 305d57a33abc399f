from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

_Numbers: TypeAlias = NDArray[np.int32]

def own_blocks(
    planes: _Numbers,
    candidates: _Numbers,
    packed: _Numbers,
    slack: NDArray[np.float32],
    scratch: _Numbers,
    owners: NDArray[Any],
    level: int,
) -> None: ...
def tree_edges(
    entries: _Numbers, nearest: _Numbers, grown: NDArray[np.uint8], edges: _Numbers
) -> None: ...
