"""The header of a BMP: Windows 2 to 5 and OS/2.

::

    file    [ "BM" | file size | 0 | offset of the pixels ]   14 bytes
    header  [ its size | width | height | planes | bits | compression | ... ]
    masks   three or four uint32, after a header of 40 bytes with bit masks
    palette [ blue green red 0 ] ...    (three bytes an entry after a header of 12 bytes)
"""

from __future__ import annotations

import struct
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

RGB, RLE8, RLE4, MASKS, ALPHA_MASKS = 0, 1, 2, 3, 6
_NAMES = {4: "JPEG", 5: "PNG", 11: "CMYK", 12: "CMYK RLE8", 13: "CMYK RLE4"}

FILE_HEADER = 14
_CORE_HEADER = 12
_INFO_HEADERS = (16, 40, 52, 56, 64, 108, 124)
_OS2_HEADERS = (16, 64)

_BITS = {
    RGB: (1, 2, 4, 8, 16, 24, 32),
    RLE8: (8,),
    RLE4: (4,),
    MASKS: (16, 24, 32),
    ALPHA_MASKS: (16, 24, 32),
}
DEFAULT_MASKS = {
    16: (0x7C00, 0x3E0, 0x1F, 0),
    24: (0xFF0000, 0xFF00, 0xFF, 0),
    32: (0xFF0000, 0xFF00, 0xFF, 0),
}

_EMBEDDED_PROFILE = 0x4D424544  # "MBED", of a header of 124 bytes


class Header(NamedTuple):
    """What is known of a BMP before its pixels are read.

    Attributes
    ----------
    width, height, bits, compression : int
    top_down : bool
        Whether the first row of the file is the top one.
    masks : tuple of int
        Where red, green, blue and alpha are in a pixel of 16 bits or more; 0: nowhere.
    palette : (n, 3) array of uint8
        RGB; empty without one.
    pixels_at : int
        Where the pixels begin.
    density : tuple of int or None
        Pixels a metre.
    profile : bytes or None
        The embedded ICC profile.
    """

    width: int
    height: int
    top_down: bool
    bits: int
    compression: int
    masks: tuple[int, int, int, int]
    palette: NDArray[np.uint8]
    pixels_at: int
    density: tuple[int, int] | None
    profile: bytes | None


def read_header(file: BinaryIO) -> Header:
    """Read everything but the pixels.

    Raises
    ------
    SyntaxError, OSError
        If it makes no sense, or is of a kind that is not supported.
    """
    file.seek(0)
    start = _exactly(file, FILE_HEADER + 4, "header")
    pixels_at, size = struct.unpack_from("<II", start, 10)
    if size != _CORE_HEADER and size not in _INFO_HEADERS:
        raise SyntaxError(f"a BMP header of {size} bytes is not known")
    header = _exactly(file, size - 4, "header")
    layout = "<HHHH" if size == _CORE_HEADER else "<iiHH"
    width, height, _, bits = struct.unpack_from(layout, header)
    compression = n_colors = 0
    density = None
    if size > 16:
        compression, _, x, y, n_colors = struct.unpack_from("<IIIII", header, 12)
        density = (x, y) if x and y else None
    if width <= 0 or height in (0, -(1 << 31)):
        raise SyntaxError(f"the image has {width} x {height} pixels")
    _check_supported(size, compression, bits)
    masks = DEFAULT_MASKS.get(bits, (0, 0, 0, 0))
    if compression in (MASKS, ALPHA_MASKS):
        masks = _read_masks(file, header, compression, bits)
    palette_at = file.tell()
    palette = np.zeros((0, 3), np.uint8)
    if bits <= 8:
        entry = 3 if size == _CORE_HEADER else 4
        n_colors = min(n_colors or 1 << bits, 1 << bits)
        if palette_at < pixels_at < palette_at + n_colors * entry:
            n_colors = (pixels_at - palette_at) // entry
        raw = _exactly(file, n_colors * entry, "palette")
        palette = np.frombuffer(raw, np.uint8).reshape(n_colors, entry)[:, 2::-1]
    if 0 < pixels_at < palette_at:
        raise SyntaxError("the pixels begin within the header")
    # Some say that the pixels begin where the palette does, which is before them all the same.
    pixels_at = max(pixels_at, file.tell() if bits <= 8 or not pixels_at else 0)
    profile = _profile(file, header)
    top_down, height = height < 0, abs(height)
    return Header(
        width, height, top_down, bits, compression, masks, palette, pixels_at, density, profile
    )


def _exactly(file: BinaryIO, length: int, part: str) -> bytes:
    data = file.read(length)
    if len(data) < length:
        raise SyntaxError(f"the {part} is cut short")
    return data


def _check_supported(size: int, compression: int, bits: int) -> None:
    if size in _OS2_HEADERS and compression in (3, 4):
        raise OSError("compression of OS/2 (Huffman, RLE24) is not supported in BMP")
    if compression not in _BITS:
        known = _NAMES.get(compression, compression)
        raise OSError(f"compression {known} is not supported in BMP")
    if bits not in _BITS[compression]:
        raise OSError(f"{bits} bits a pixel of compression {compression} are not supported in BMP")


def _profile(file: BinaryIO, header: bytes) -> bytes | None:
    if len(header) != 120 or struct.unpack_from("<I", header, 52)[0] != _EMBEDDED_PROFILE:
        return None
    at, length = struct.unpack_from("<II", header, 108)
    file.seek(FILE_HEADER + at)
    profile = file.read(length)
    return profile if len(profile) == length else None


def _read_masks(
    file: BinaryIO, header: bytes, compression: int, bits: int
) -> tuple[int, int, int, int]:
    """Read red, green, blue and alpha; the fourth, which is not everywhere, is 0 then."""
    n_masks = 4 if compression == ALPHA_MASKS or len(header) >= 52 else 3
    raw = header[36 : 36 + 4 * n_masks]
    if len(header) == 36:
        raw = file.read(4 * n_masks)
    if len(raw) < 4 * n_masks:
        raise SyntaxError("the bit masks are cut short")
    found = [*struct.unpack(f"<{n_masks}I", raw), 0][:4]
    for mask in found:
        ones = mask // (mask & -mask) if mask else 0
        if ones & (ones + 1) or mask >> bits:
            raise SyntaxError(f"bit mask {mask:#x} of a pixel of {bits} bits makes no sense")
    red, green, blue, alpha = found
    if red & green or (red | green) & blue or (red | green | blue) & alpha:
        raise SyntaxError("bit masks overlap")
    if not any(found):  # written by some, who mean the usual ones
        red, green, blue, _ = DEFAULT_MASKS[bits]
        alpha = 0xFF000000 if bits == 32 else 0
    return red, green, blue, alpha
