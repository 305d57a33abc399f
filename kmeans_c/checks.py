"""What the public door asks of its arguments.

One function a kind of argument, used by every public function.
"""

import operator
import sys
from collections.abc import Iterable
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kmeans_c import _kernels
from kmeans_c.threads import simd_level

# Labels are kept as float32 within a block, which counts exactly up to here.
MAX_K = 1 << 24

# No memory is larger: x86-64 and 64-bit Arm give a program 2^47 bytes of addresses. A view with
# strides of 0 may have more.
MAX_BYTES = 1 << 47

# Beyond these magnitudes the squares of float32 and float64 leave their range,
# below their inverse they vanish.
WIDEST_FLOAT32 = 1e15
WIDEST_FLOAT64 = 1e150


def check_int(name: str, value: object, low: int, high: int | None = None) -> int:
    """An integer argument, NumPy's integers included; bool, float and str are the wrong kind."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}: expected an integer, got {type(value).__name__}")
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        kind = type(value).__name__
        raise TypeError(f"{name}: expected an integer, got {kind}") from None
    if number < low or (high is not None and number > high):
        wanted = f"at least {low}" if high is None else f"{low}..{high}"
        raise ValueError(f"{name}: expected {wanted}, got {number}")
    return number


def check_float(name: str, value: object, low: float, high: float) -> float:
    """A finite number, integers and NumPy's included; bool and str are the wrong kind."""
    if isinstance(value, bool | np.bool_) or not isinstance(
        value, int | float | np.integer | np.floating
    ):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__}")
    number = float(value)
    if not low <= number <= high:
        raise ValueError(f"{name}: expected {low:g}..{high:g}, got {number:g}")
    return number


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    """One of a few words."""
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected a str, got {type(value).__name__}")
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")
    return value


def as_points(name: str, X: ArrayLike) -> NDArray[Any]:
    """(N, D) data as the kernels read it: C-contiguous, native uint8, float32 or float64, finite.

    Other integers, and float32 of magnitudes whose squares would leave float32, become float64;
    float16 becomes float32. The result shares memory with `X` where it already has that form, and
    is only read.
    """
    array = as_array(name, X)
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind not in "uif":
        raise TypeError(f"{name}: expected integers or floats, got dtype {array.dtype}")
    if array.ndim != 2:
        raise ValueError(f"{name}: expected shape (rows, columns), got {array.shape}")
    if array.size == 0:
        raise ValueError(
            f"{name}: expected at least one row and one column, got shape {array.shape}"
        )
    dtype: Any = np.float64
    if array.dtype == np.uint8:
        dtype = np.uint8
    elif kind == "f" and size <= 4:
        dtype = np.float32
    with np.errstate(over="ignore"):  # a long double beyond float64 is refused as infinite
        points = np.ascontiguousarray(array, dtype=dtype)
    if kind == "f":
        peak = largest(points)
        if not np.isfinite(peak):
            raise ValueError(f"{name}: contains NaN or infinity")
        if dtype is np.float32 and peak != 0 and not 1 / WIDEST_FLOAT32 < peak < WIDEST_FLOAT32:
            points = points.astype(np.float64)
        if peak > WIDEST_FLOAT64:
            raise ValueError(f"{name}: expected magnitudes up to 1e150, got {peak:g}")
    return points


def as_centroids(name: str, centroids: ArrayLike, columns: int) -> NDArray[np.float64]:
    """(K, D) centroids as finite float64, K at least 1 and D the points' number of columns."""
    array = as_array(name, centroids)
    # Before they are looked at: a view may be larger than memory.
    if array.ndim == 2 and array.size and array.shape[0] > MAX_K:
        raise ValueError(f"{name}: expected at most {MAX_K} rows, got {array.shape[0]}")
    if array.ndim == 2 and array.size and array.shape[1] != columns:
        raise ValueError(f"{name}: expected {columns} columns as in X, got {array.shape[1]}")
    # A copy first: nobody can change it once it is checked.
    array = as_points(name, np.array(array, order="C")).astype(np.float64, copy=False)
    check_int(f"{name}: rows", array.shape[0], 1, MAX_K)
    return array


def widened(points: NDArray[Any], centroids: NDArray[Any]) -> NDArray[Any]:
    """The points, as float64 where their own arithmetic would not hold the centroids."""
    if points.dtype != np.float64 and largest(centroids) > WIDEST_FLOAT32:
        return points.astype(np.float64)
    return points


def as_indices(name: str, indices: ArrayLike, rows: int, K: int) -> NDArray[np.int32]:
    """(N,) centroid indices in 0..K-1, as a private copy: nobody can change them once checked."""
    array = as_array(name, indices)
    if array.dtype.kind not in "ui":
        raise TypeError(f"{name}: expected integers, got dtype {array.dtype}")
    if array.shape != (rows,):
        raise ValueError(f"{name}: expected shape ({rows},) as X has rows, got {array.shape}")
    array = array.copy()
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= K:
        raise ValueError(f"{name}: expected 0..{K - 1}, got {low if low < 0 else high}")
    return array.astype(np.int32)


def as_array(name: str, data: object, dtype: Any = None) -> NDArray[Any]:
    """Return an array_like argument as an array, which may be the caller's own.

    Raises
    ------
    TypeError
        If it is masked, or NumPy cannot read its buffer.
    ValueError
        If its rows differ in length, or it has more bytes than any memory.
    """
    if is_masked(data):
        raise TypeError(
            f"{name}: expected an array without a mask, got a masked array: fill or compress it"
        )
    if isinstance(data, np.ndarray):
        check_bytes(name, data)
    try:
        array: NDArray[Any] = np.asarray(data, dtype)
    except ValueError as error:
        if "inhomogeneous" in str(error):
            raise ValueError(f"{name}: expected rows of equal length") from None
        raise ValueError(f"{name}: {error}") from None
    except (NotImplementedError, BufferError) as error:
        kind = type(data).__name__
        raise TypeError(f"{name}: expected an array, got {kind}: {error}") from None
    check_bytes(name, array)
    return array


def check_bytes(name: str, array: NDArray[Any]) -> None:
    """Refuse a view of more bytes than any memory has, which a copy of it would need."""
    if array.nbytes > MAX_BYTES:
        raise ValueError(f"{name}: expected at most 2^47 bytes, got shape {array.shape}")


def as_list(name: str, values: object, kind: str) -> list[Any]:
    """Return the elements of an iterable argument other than text; `kind` names what they are."""
    if isinstance(values, np.ndarray):
        check_bytes(name, values)
    if not isinstance(values, str | bytes):
        try:
            iterator = iter(cast("Iterable[Any]", values))
        except (TypeError, NotImplementedError):  # an array of no, a memoryview of many dimensions
            pass
        else:
            return list(iterator)
    raise TypeError(f"{name}: expected {kind}, got {type(values).__name__}")


def largest(points: NDArray[Any]) -> float:
    """The largest magnitude of contiguous floats; infinite or NaN where any of them is."""
    return float(_kernels.lloyd.peak(points.reshape(-1), simd_level()))


def is_masked(value: object) -> bool:
    """Say whether a value is a masked array.

    `numpy.ma` takes as long to import as all of this package, and a program that has a masked array
    has imported it.
    """
    return "numpy.ma" in sys.modules and isinstance(value, np.ma.MaskedArray)
