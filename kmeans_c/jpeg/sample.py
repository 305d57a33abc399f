"""Samples of a picture, whose JPEGs estimate that of the whole picture.

Tiles are few enough to be encoded a dozen times; how the size grows with the quality, and which
subsampling has the least error, are much the same as in the picture. How much detail they have by
chance is not: for that there are bands, wide enough that scans of a progressive file code them as
they code the picture.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from kmeans_c.jpeg.shown import decoded

# A multiple of 16, the side of a minimum coded unit with 4:2:0, so that the blocks of the sample
# are blocks of the picture.
TILE = 32

TILE_PIXELS = 1 << 16

# Of six photos of ten megapixels, a twentieth has the same bytes a pixel within 3 %, and the same
# ratio of progressive to sequential bytes within 1 %.
BAND = 16
BAND_PIXELS = 1 << 19

# Pixels at the edges of a tile that depend on the neighbouring tile.
_EDGE = 2


def tiles_of(image: Image.Image) -> Image.Image:
    """Give tiles that lie evenly in a picture, side by side; all of a small picture.

    Parameters
    ----------
    image : PIL.Image.Image
        Of mode L or RGB.
    """
    columns, rows = image.width // TILE, image.height // TILE
    wanted = TILE_PIXELS // TILE**2
    if columns * rows <= 2 * wanted:
        return image
    down = min(rows, int(wanted**0.5))
    across = min(columns, wanted // down)
    down = min(rows, wanted // across)  # more of them in a narrow picture
    sample = Image.new(image.mode, (across * TILE, down * TILE))
    for y in range(down):
        for x in range(across):
            # Odd rows are shifted by half a distance, so that no column of the picture is left out.
            column = (2 * x + 1 + y % 2) * columns // (2 * across) % columns
            row = (2 * y + 1) * rows // (2 * down)
            left, top = column * TILE, row * TILE
            tile = image.crop((left, top, left + TILE, top + TILE))
            sample.paste(tile, (x * TILE, y * TILE))
    return sample


def bands_of(image: Image.Image) -> Image.Image:
    """Give rows of blocks that lie evenly in a picture; all of a picture of few pixels."""
    rows = image.height // BAND
    wanted = max(1, BAND_PIXELS // (BAND * image.width))
    if rows <= 2 * wanted:
        return image
    bands = Image.new(image.mode, (image.width, wanted * BAND))
    for y in range(wanted):
        top = (2 * y + 1) * rows // (2 * wanted) * BAND
        bands.paste(image.crop((0, top, image.width, top + BAND)), (0, y * BAND))
    return bands


def squared_error(sample: Image.Image, data: bytes, *, tiles: bool) -> int:
    """Sum the squared differences of a sample and its JPEG, over pixels and channels.

    Parameters
    ----------
    sample : PIL.Image.Image
    data : bytes
        The JPEG.
    tiles : bool
        Whether the sample consists of tiles: subsampled chroma is interpolated across their edges,
        which are no neighbours in the picture, so pixels next to an edge are left out.
    """
    total = 0
    for y, (old, new) in enumerate(zip(np.asarray(sample), decoded(data), strict=True)):
        if tiles and not _EDGE <= y % TILE < TILE - _EDGE:
            continue
        difference = np.subtract(old, new, dtype=np.int32)
        if tiles:
            difference = difference.reshape(-1, TILE, *old.shape[1:])[:, _EDGE:-_EDGE]
        total += int((difference * difference).sum(dtype=np.int64))
    return total
