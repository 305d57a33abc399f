from typing import Any

from numpy.typing import NDArray

def last_block(data: bytes | bytearray | NDArray[Any]) -> tuple[int, int]: ...
