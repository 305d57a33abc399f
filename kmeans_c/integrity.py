"""Check results that come back as arguments: the caller may have written to their arrays.

Kernels index with what these objects hold. Every public function that takes one passes it through
here first, and goes on with the copy that it gets: nobody can change that once it is checked.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from kmeans_c.checks import check_bytes, is_masked
from kmeans_c.colors import MAX_ENTRIES

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_PIXELS = 1 << 47  # as many as a Histogram counts

_Result = TypeVar("_Result")


def as_quantized(name: str, quantized: _Result) -> _Result:
    """Return a `Quantized` with private arrays that fit together.

    Raises
    ------
    TypeError, ValueError
        If it is something else, or an attribute is of the wrong kind or impossible.
    """
    fields = ("palette", "indices", "counts", "mse", "n_iter")
    if isinstance(quantized, type) or not dataclasses.is_dataclass(quantized):
        raise TypeError(f"{name}: expected a Quantized, got {type(quantized).__name__}")
    if any(not hasattr(quantized, field) for field in fields):
        raise TypeError(f"{name}: expected a Quantized, got {type(quantized).__name__}")
    palette, indices, counts, mse, n_iter = (getattr(quantized, field) for field in fields)
    palette = as_palette(f"{name}.palette", palette)
    indices = as_indices(f"{name}.indices", indices, len(palette))
    check_error(f"{name}.mse", mse)
    if isinstance(n_iter, bool) or not isinstance(n_iter, int | np.integer):
        raise TypeError(f"{name}.n_iter: expected an integer, got {type(n_iter).__name__}")
    checked: Any = dataclasses.replace(
        cast("Any", quantized),
        palette=palette,
        indices=indices,
        counts=as_counts(f"{name}.counts", counts, len(palette)),
        mse=float(mse),
        n_iter=int(n_iter),
    )
    return cast("_Result", checked)


def as_palette(name: str, palette: object, *channels: int) -> NDArray[np.uint8]:
    """Return a copy of the colours of a palette, (n, 3) or (n, 4) or of `channels`."""
    wanted = channels or (3, 4)
    array = _as_array(name, palette, (np.uint8,))
    if array.ndim != 2 or array.shape[1] not in wanted:
        shapes = " or ".join(f"(n, {number})" for number in wanted)
        raise ValueError(f"{name}: expected shape {shapes}, got {array.shape}")
    if not 1 <= len(array) <= MAX_ENTRIES:
        raise ValueError(f"{name}: expected 1..{MAX_ENTRIES} colours, got {len(array)}")
    return np.array(array, order="C")


def as_indices(name: str, indices: object, n: int) -> NDArray[Any]:
    """Return a copy of an image's palette indices, (H, W), all below `n`."""
    array = _as_array(name, indices, (np.uint8, np.uint16))
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"{name}: expected shape (H, W) and a pixel, got {array.shape}")
    array = np.array(array, order="C")
    check_indices(name, array, n)
    return array


def check_indices(name: str, indices: NDArray[Any], n: int) -> None:
    """Refuse an index of `n` or more."""
    most = int(indices.max(initial=0))
    if most >= n:
        raise ValueError(f"{name}: expected 0..{n - 1}, got {most}")


def as_counts(name: str, counts: object, n: int) -> NDArray[np.int64]:
    """Return a copy of the pixels of each of `n` entries."""
    array = _as_array(name, counts, (np.int64,))
    if array.shape != (n,):
        raise ValueError(f"{name}: expected shape ({n},) as the palette has, got {array.shape}")
    array = np.array(array)
    if array.min(initial=0) < 0 or array.sum(dtype=np.float64) > MAX_PIXELS:
        raise ValueError(f"{name}: expected numbers of at least 0, and a sum of at most 2^47")
    return array


def check_error(name: str, error: object) -> None:
    """Refuse what is no mean squared error."""
    if isinstance(error, bool) or not isinstance(error, int | float | np.integer | np.floating):
        raise TypeError(f"{name}: expected a number, got {type(error).__name__}")
    if not 0 <= error < math.inf:
        raise ValueError(f"{name}: expected a finite number of at least 0, got {error}")


def _as_array(name: str, value: object, dtypes: tuple[type, ...]) -> NDArray[Any]:
    known = " or ".join(dtype.__name__ for dtype in dtypes)
    if not isinstance(value, np.ndarray) or is_masked(value):
        raise TypeError(f"{name}: expected an array of {known}, got {type(value).__name__}")
    if value.dtype not in dtypes:
        raise TypeError(f"{name}: expected an array of {known}, got dtype {value.dtype}")
    check_bytes(name, value)
    return value
