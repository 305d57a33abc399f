"""Palettes that were given: double entries, the transparent entry, and the strict match.

A given palette is a table of data: its order, its unused and its double entries stay. Mapping and
dithering need distinct entries, so they work on the first of each colour, and the indices that they
find are translated to the table. The first of equal entries is the lowest index.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kmeans_c.color_text import hex_text
from kmeans_c.colors import MAX_ENTRIES, alike, hidden, opaque

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Colors = NDArray[np.uint8]

PIXELS_PER_CHUNK = 1 << 16  # compared with the palette at a time


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A given palette as mapping needs it.

    Attributes
    ----------
    colors : (n, 3) or (n, 4) array of uint8
        All entries, in their order, doubles included; a fully transparent one is (0, 0, 0, 0).
    entries : (m, 3) or (m, 4) array of uint8
        The distinct ones, in the order of their first index.
    positions : (m,) array of uint8 or uint16
        The index of each of them in `colors`.
    """

    colors: Colors
    entries: Colors
    positions: NDArray[Any]

    @classmethod
    def of(cls, colors: Colors) -> Table:
        """Find the first of each colour."""
        colors = hidden(colors)
        dtype = np.uint8 if len(colors) <= 256 else np.uint16
        first = np.sort(np.unique(colors, axis=0, return_index=True)[1])
        return cls(colors, colors[first], first.astype(dtype))

    def to_table(self, indices: NDArray[Any]) -> NDArray[Any]:
        """Translate indices of `entries` to indices of `colors`."""
        if len(self.positions) == len(self.colors):
            return indices
        translated: NDArray[Any] = self.positions[indices]
        return translated

    def counts(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Translate pixels per entry to pixels per table entry; a double has none."""
        spread = np.zeros(len(self.colors), np.int64)
        spread[self.positions] = counts
        return spread


def has_clear_pixels(pixels: Colors) -> bool:
    """Whether some pixel of an image (H, W, ...) is fully transparent."""
    return pixels.shape[2:] == (4,) and not np.min(pixels[:, :, 3])


def has_clear_entry(colors: Colors) -> bool:
    """Whether some colour of a list is fully transparent."""
    return colors.shape[1] == 4 and not colors[:, 3].all()


def with_clear_entry(colors: Colors, limit: int = MAX_ENTRIES) -> tuple[Colors, str]:
    """Add the entry (0, 0, 0, 0), so that transparent pixels stay transparent.

    It is appended: no index changes. Where that would exceed the limit, the last double entry
    becomes the transparent one, as no pixel is mapped to it.

    Parameters
    ----------
    colors : (n, 3) or (n, 4) array of uint8
        Without a fully transparent colour.
    limit : int
        The most entries that there may be.

    Returns
    -------
    colors : (n, 4) or (n + 1, 4) array of uint8
    note : str
        What was done.

    Raises
    ------
    ValueError
        If there are `limit` distinct colours.
    """
    table = opaque(colors) if colors.shape[1] == 3 else colors.copy()
    if len(table) < limit:
        table = np.concatenate([table, np.zeros((1, 4), np.uint8)])
        return table, f"palette: entry {len(table) - 1} was added for the transparent pixels"
    first = np.unique(table, axis=0, return_index=True)[1]
    doubles = np.setdiff1d(np.arange(len(table)), first)
    if not len(doubles):
        raise ValueError(
            f"palette: expected at most {limit - 1} colours, as the image has transparent pixels "
            f"and the palette no transparent entry, got {len(table)}"
        )
    last = int(doubles[-1])
    text = hex_text(table[last].tolist())
    table[last] = 0
    return table, f"palette: entry {last}, {text} once more, became the transparent one"


def check_strict(pixels: Colors, colors: Colors) -> None:
    """Check that each pixel has a colour of a palette.

    Parameters
    ----------
    pixels : (H, W), (H, W, 3) or (H, W, 4) array of uint8
        Fully transparent ones have no colour.
    colors : (n, 3) or (n, 4) array of uint8

    Raises
    ------
    ValueError
        If one has not; the message names the first, row by row.
    """
    height, width = pixels.shape[:2]
    known = _codes(opaque(colors) if colors.shape[1] == 3 else colors)
    rows = max(1, PIXELS_PER_CHUNK // width)
    for start in range(0, height, rows):
        part, _ = alike(pixels[start : start + rows], np.zeros((1, 4), np.uint8))
        foreign = ~np.isin(_codes(part), known)
        foreign &= part[:, :, 3] != 0
        if foreign.any():
            y, x = divmod(int(foreign.argmax()), width)
            color = hex_text(part[y, x, : pixels.shape[2] if pixels.ndim == 3 else 3].tolist())
            raise ValueError(
                f"palette: pixel ({x}, {start + y}) has the colour {color}, "
                f"which is none of the palette's {len(colors)}"
            )


def _codes(colors: Colors) -> NDArray[np.uint32]:
    """RGBA colours (..., 4) as numbers."""
    return np.ascontiguousarray(colors).view(np.uint32)[..., 0]
