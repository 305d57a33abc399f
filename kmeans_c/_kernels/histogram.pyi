from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

_Bytes: TypeAlias = NDArray[np.uint8]
_Keys: TypeAlias = NDArray[np.uint32]
_Tables: TypeAlias = Sequence[_Bytes]
_Counts: TypeAlias = NDArray[np.int64]

def count_rgb(
    pixels: _Bytes, tables: _Tables, overflow: _Keys, n_overflow: _Counts, level: int
) -> None: ...
def count_rgba(
    pixels: _Bytes,
    tables: _Tables,
    overflow: _Keys,
    n_overflow: _Counts,
    translucent: _Keys,
    n_translucent: _Counts,
    level: int,
) -> int: ...
def count_grey(pixels: _Bytes, counts: _Counts) -> None: ...
def count_occupied(tables: _Tables, occupied: _Counts, n_threads: int) -> None: ...
def extract(
    tables: _Tables,
    ends: _Counts,
    keys: _Keys,
    counts: _Counts,
    clear: bool,
    n_threads: int,
    level: int,
) -> None: ...
def make_keys(pixels: _Bytes, keys: _Keys) -> None: ...
def sort_keys(keys: _Keys, spare: _Keys) -> None: ...
def sum_weights(
    keys: _Keys, weights: _Counts, spare_keys: _Keys, spare_weights: _Counts
) -> int: ...
def run_lengths(keys: _Keys, counts: _Counts) -> int: ...
def merge(
    keys_a: _Keys, counts_a: _Counts, keys_b: _Keys, counts_b: _Counts, keys: _Keys, counts: _Counts
) -> int: ...
def widen_keys(keys: _Keys) -> None: ...
def decode_keys(keys: _Keys, colors: _Bytes) -> None: ...
