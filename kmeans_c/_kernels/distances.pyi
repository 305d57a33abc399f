from typing import Any

from numpy.typing import NDArray

def every(
    X: NDArray[Any],
    table: NDArray[Any],
    out: NDArray[Any],
    start: int,
    stop: int,
    n_threads: int,
    level: int,
) -> None: ...
def own(
    X: NDArray[Any],
    weights: NDArray[Any] | None,
    centroids: NDArray[Any],
    labels: NDArray[Any],
    parts: NDArray[Any],
    length: int,
    first: int,
    last: int,
    n_threads: int,
) -> None: ...
def potentials(
    X: NDArray[Any],
    weights: NDArray[Any] | None,
    distance: NDArray[Any],
    table: NDArray[Any],
    squares: NDArray[Any],
    parts: NDArray[Any],
    length: int,
    first: int,
    last: int,
    n_threads: int,
    level: int,
) -> None: ...
