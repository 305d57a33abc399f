from typing import Any

from numpy.typing import NDArray

def closer(
    X: NDArray[Any],
    row: int,
    weights: NDArray[Any] | None,
    distance: NDArray[Any],
    parts: NDArray[Any],
    length: int,
    first: int,
    last: int,
    n_threads: int,
) -> None: ...
def fingerprints(
    X: NDArray[Any], out: NDArray[Any], first: int, last: int, n_threads: int
) -> None: ...
