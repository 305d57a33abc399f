from typing import Any, Self

from numpy.typing import NDArray
from typing_extensions import disjoint_base

@disjoint_base
class Encoder:
    def __new__(cls, bits: int) -> Self: ...
    def add(self, indices: NDArray[Any], out: NDArray[Any]) -> int: ...
    def finish(self, out: NDArray[Any]) -> int: ...
