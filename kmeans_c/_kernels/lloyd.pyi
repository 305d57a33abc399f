from typing import Any

from numpy.typing import NDArray

def assign(
    X: NDArray[Any],
    weights: NDArray[Any] | None,
    table: NDArray[Any] | None,
    offset: NDArray[Any],
    labels: NDArray[Any] | None,
    sums: NDArray[Any] | None,
    length: int,
    first: int,
    last: int,
    start: int,
    stop: int,
    scratch: NDArray[Any],
    n_threads: int,
    level: int,
) -> None: ...
def merge(sums: NDArray[Any], totals: NDArray[Any]) -> None: ...
def pack(centroids: NDArray[Any], offset: NDArray[Any], table: NDArray[Any]) -> None: ...
def peak(x: NDArray[Any], level: int) -> float: ...
