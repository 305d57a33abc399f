"""ICO files of one PNG.

header: 0, 1, number of images | entry: sides, planes, bits, size, offset | PNG
"""

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kmeans_c.png import encode_png

_HEADER = struct.Struct("<HHHBBBBHHII")


def encode_icon(
    palette: NDArray[np.uint8],
    indices: NDArray[np.uint8],
    optimize: int,
    *,
    in_color: bool,
    keep_palette: bool,
) -> bytes:
    """Encode an icon of at most 256 x 256 pixels.

    Parameters
    ----------
    palette : (n, 3) or (n, 4) array of uint8
    indices : (H, W) array of uint8
    optimize : int
        0..6, see `png.encode_png`.
    in_color : bool
        Whether the PNG is in full colour. It must be where pixels are not opaque: not every reader
        of icons, Pillow among them, looks for transparency in a palette.
    keep_palette : bool
        Whether the PNG holds the palette as it is.
    """
    if in_color:
        file = io.BytesIO()
        Image.fromarray(palette.take(indices, axis=0)).save(file, "png", optimize=True)
        png = file.getvalue()
    else:
        png = encode_png(palette, indices, optimize, keep_palette=keep_palette)
    height, width = indices.shape
    sides = width & 255, height & 255  # 256 is written as 0
    return _HEADER.pack(0, 1, 1, *sides, 0, 0, 1, 32, len(png), _HEADER.size) + png
