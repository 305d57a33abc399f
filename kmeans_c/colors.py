"""Lists of 8-bit colours, as arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kmeans_c.checks import as_array
from kmeans_c.color_text import parse_color

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Colors = NDArray[np.uint8]

MAX_ENTRIES = 1 << 16


def as_colors(name: str, colors: ArrayLike, *, least: int = 1, distinct: bool = True) -> Colors:
    """(n, 3) or (n, 4) colours: integers 0..255, or text as in CSS ("#c8102e", "red").

    A fully transparent colour is (0, 0, 0, 0), whatever it hides; where colours need not be
    `distinct` they are a table that was given, and stay as they are. The result is a copy.
    """
    if isinstance(colors, np.ndarray) and colors.size > 4 * MAX_ENTRIES:  # perhaps beyond memory
        shape = colors.shape
        raise ValueError(f"{name}: expected {least}..{MAX_ENTRIES} colours, got shape {shape}")
    try:
        numbers = _numbers(name, colors)
    except ValueError as error:  # text that is no colour
        reason = str(error).removeprefix("color: ")
        raise ValueError(f"{name}: {reason}") from None
    array = as_array(name, numbers)
    if array.size == 0 and least == 0:
        return np.empty((0, 3), np.uint8)
    if array.size and array.dtype.kind not in "ui":
        raise TypeError(f"{name}: expected integers, got dtype {array.dtype}")
    if array.ndim != 2 or array.shape[1] not in (3, 4):
        raise ValueError(f"{name}: expected shape (n, 3) or (n, 4), got {array.shape}")
    if not least <= len(array) <= MAX_ENTRIES:
        raise ValueError(f"{name}: expected {least}..{MAX_ENTRIES} colours, got {len(array)}")
    if array.min() < 0 or array.max() > 255:
        raise ValueError(f"{name}: expected 0..255, got {array.min()}..{array.max()}")
    array = array.astype(np.uint8)
    if not distinct:
        return array
    array = hidden(array)
    if len(np.unique(array, axis=0)) < len(array):
        raise ValueError(f"{name}: expected distinct colours, got some twice")
    return array


def hidden(colors: Colors) -> Colors:
    """Colours (n, 3) or (n, 4) with (0, 0, 0, 0) for every fully transparent one."""
    if colors.shape[1] == 4 and not colors[:, 3].all():
        return np.where(colors[:, 3:] == 0, np.uint8(0), colors)
    return colors


def in_rgb(colors: Colors) -> Colors:
    """Colours of a grey histogram as RGB; others as they are."""
    return np.repeat(colors, 3, axis=1) if colors.shape[1] == 1 else colors


def alike(pixels: Colors, colors: Colors) -> tuple[Colors, Colors]:
    """Pixels (H, W, C) and colours (n, C) with the same channels: what is missing is opaque."""
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, np.newaxis], 3, axis=2)
    if pixels.shape[2] == colors.shape[1]:
        return pixels, colors
    if colors.shape[1] == 3:
        return pixels, opaque(colors)
    return opaque(pixels), colors


def opaque(rgb: Colors) -> Colors:
    """RGB (..., 3) as RGBA."""
    alpha = np.full((*rgb.shape[:-1], 1), 255, np.uint8)
    return np.concatenate([rgb, alpha], axis=-1)


def _numbers(name: str, colors: ArrayLike) -> Any:
    """Text among the colours becomes numbers; what is not opaque makes all of them RGBA."""
    if isinstance(colors, str):
        raise TypeError(f"{name}: expected a list of colours, got a str")
    if not isinstance(colors, list | tuple):
        return colors
    rows: list[Any] = [parse_color(c) if isinstance(c, str) else c for c in colors]
    lengths = {_length(row) for row in rows}
    if lengths == {3, 4}:
        rows = [(*row, 255) if _length(row) == 3 else tuple(row) for row in rows]
    return rows


def _length(row: object) -> int:
    """Return the number of channels of a row, or 0 of what is none."""
    if isinstance(row, np.ndarray):
        return len(row) if row.ndim == 1 else 0
    return len(row) if isinstance(row, list | tuple) else 0


def count_distinct(colors: NDArray[np.uint8]) -> int:
    """Count the different rows of a palette; `numpy.unique` imports 20 ms of modules for it."""
    return len(set(map(bytes, colors.tolist())))
