"""Palettes as pictures: a strip of swatches is written; the palette of a picture is read."""

import io
from collections.abc import Iterator

import numpy as np

from kmeans_c.color_text import Color
from kmeans_c.encoding import MAX_COLORS, encode
from kmeans_c.images import read_image
from kmeans_c.images.modes import Pixels
from kmeans_c.palette import Palette
from kmeans_c.palette_files.entries import at_most, distinct, listed

SWATCH = 16  # pixels a side

MAX_PIXELS = 1 << 23  # of a picture that is read: a large screen; it takes 1.5 s and 200 MB
_PIECE = 1 << 16  # pixels looked at together


def read_picture(data: bytes) -> Palette:
    """Read the palette of an image file: its table if it is indexed, as it is.

    Of another image its colours, each once, in the order of their first pixels, row by row.
    """
    try:
        picture = read_image(io.BytesIO(data), max_pixels=MAX_PIXELS)
        if picture.indexed is not None:
            return listed(map(tuple, picture.indexed.palette.tolist()))
        return distinct(_picture_colors(picture.pixels))
    except OSError as error:
        raise ValueError(str(error).removeprefix("image: ")) from error


def write_strip(palette: Palette) -> bytes:
    """Write a PNG with one square a colour, from left to right."""
    at_most(palette, MAX_COLORS, "png")
    row = np.repeat(np.arange(len(palette), dtype=np.uint8), SWATCH)
    return encode(palette.table, np.tile(row, (SWATCH, 1)), "png", keep_palette=True)


def _picture_colors(pixels: Pixels) -> Iterator[Color]:
    flat = pixels.reshape(-1, 1 if pixels.ndim == 2 else pixels.shape[2])
    found: set[Color] = set()
    for start in range(0, len(flat), _PIECE):
        piece = flat[start : start + _PIECE]
        codes = np.zeros(len(piece), np.uint32)
        for channel in piece.T:
            codes = codes << np.uint32(8) | channel
        for at in np.sort(np.unique(codes, return_index=True)[1]).tolist():
            color = tuple(piece[at].tolist()) * (3 if pixels.ndim == 2 else 1)
            if color in found:
                continue
            found.add(color)
            if len(found) > MAX_COLORS:
                raise ValueError(
                    f"expected a picture of at most {MAX_COLORS} colours, found more: "
                    "a palette can be fitted to it instead"
                )
            yield color
