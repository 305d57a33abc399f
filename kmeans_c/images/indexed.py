"""Indexed images: the palette of a file as a table, and the index of each pixel.

The pixels that `read_image` gives are colours, of which several entries may have the same. Where
indices are data (tiles of a console, paint numbers, animated palettes), the table is needed too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image

from kmeans_c.images.modes import OPAQUE, Pixels

if TYPE_CHECKING:
    from collections.abc import Callable

_GIF_FLAGS = 10  # where the header says that there is a table for all images, and its size


@dataclass(frozen=True, slots=True, eq=False)
class Indexed:
    """The palette of an image and the indices of its pixels, as the file has them.

    Attributes
    ----------
    palette : (n, 3) or (n, 4) array of uint8
        All entries in the file's order, unused and double ones too; RGBA if one is not opaque. A
        TIFF's without the black ones at its end that no pixel has: they fill its map up. Of the
        colours of the image's pixels, so sRGB, unless a profile was to be kept. What a fully
        transparent entry hides is still there.
    indices : (H, W) array of uint8
        The right way up, each below n.
    """

    palette: Pixels
    indices: Pixels


def palette_of(image: Image.Image) -> Pixels:
    """Return the palette of a loaded image of mode P, with its transparency, as (n, 4)."""
    entries = np.array(image.getpalette("RGBA") or [], np.uint8).reshape(-1, 4)
    clear = image.info.get("transparency")
    if isinstance(clear, bytes):
        entries[: len(clear), 3] = np.frombuffer(clear, np.uint8)[: len(entries)]
    elif isinstance(clear, int):
        entries[clear : clear + 1, 3] = 0
    return entries


def indexed_of(
    image: Image.Image,
    convert: Callable[[Image.Image], Image.Image],
    file: BinaryIO | None = None,
) -> Indexed | None:
    """Read the palette and the indices of a loaded image.

    Parameters
    ----------
    image : PIL.Image.Image
    convert : callable
        Brings an RGB image to sRGB, as for `modes.eight_bit`.
    file : binary file object, optional
        The file that the image was read from.

    Returns
    -------
    Indexed or None
        None for an image without a palette, and for one that has indices beyond its palette.
    """
    if image.mode == "P":
        entries, indices = palette_of(image), np.array(image)
        if image.format == "TIFF":
            entries = _without_padding(entries, int(indices.max()))
        colors = Image.fromarray(entries[np.newaxis, :, :3])
    else:
        levels = _grey_table(image, file)
        if levels is None:
            return None
        colors = Image.fromarray(levels[np.newaxis])
        entries, indices = np.full((len(levels), 4), OPAQUE, np.uint8), np.array(image)
        if levels.tolist() == [0, OPAQUE]:
            indices //= OPAQUE
        clear = image.info.get("transparency")
        if isinstance(clear, int):
            entries[clear : clear + 1, 3] = 0
    if not len(entries) or int(indices.max()) >= len(entries):
        return None
    entries[:, :3] = np.asarray(convert(colors).convert("RGB"))[0]
    return Indexed(entries if entries[:, 3].min() < OPAQUE else entries[:, :3].copy(), indices)


def _without_padding(entries: Pixels, highest: int) -> Pixels:
    """Drop the black entries after the last one in use: a TIFF's colour map has no other length."""
    last = int(np.flatnonzero(entries[:, :3].any(axis=1)).max(initial=0))
    return entries[: max(last, highest) + 1]


def _grey_table(image: Image.Image, file: BinaryIO | None) -> Pixels | None:
    """Return the palette of an image that is given as grey, as its entries are the grey levels."""
    if image.mode != "L" or file is None:
        return None
    if image.format == "BMP":
        table = getattr(image, "table", None)  # of `bmp_file.BmpFile`
        return None if table is None else np.array(table[:, 0])
    if image.format != "GIF":
        return None
    file.seek(_GIF_FLAGS)
    flags = file.read(1)[0]
    file.seek(0)
    n = 2 << (flags & 7) if flags & 0x80 else 256
    return np.arange(max(n, int(np.max(np.asarray(image))) + 1), dtype=np.uint8)
