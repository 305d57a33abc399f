"""RIFF palettes, Microsoft's ``.pal``: a LOGPALETTE in a chunk."""

import struct
from collections.abc import Iterator

from kmeans_c.color_text import Color
from kmeans_c.palette import Palette
from kmeans_c.palette_files.entries import as_rgb, at_most, listed

_COLORS = 0xFFFF
_VERSION = 0x0300


def read_riff(data: bytes) -> Palette:
    """Read the colours of the chunk ``data``; their flags are passed over."""
    return listed(_riff_colors(data))


def write_riff(palette: Palette) -> bytes:
    """Write one chunk, with no flags."""
    at_most(palette, _COLORS, "riff")
    colors = [bytes((*color, 0)) for color in as_rgb(palette, "riff")]
    body = struct.pack("<HH", _VERSION, len(colors)) + b"".join(colors)
    body = b"PAL data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _riff_colors(data: bytes) -> Iterator[Color]:
    if data[:4] != b"RIFF" or data[8:12] != b"PAL ":
        raise ValueError("expected RIFF and PAL in the first twelve bytes")
    at = 12
    while data[at : at + 4] != b"data":
        if len(data) < at + 8:
            raise ValueError("has no chunk called data")
        (size,) = struct.unpack_from("<I", data, at + 4)
        at += 8 + size + size % 2
    # Some writers count a chunk's header to its size, and some do not: the number of colours says
    # where it ends.
    header = data[at + 8 : at + 12]
    version, n = struct.unpack("<HH", header) if len(header) == 4 else (0, 0)
    if version != _VERSION:
        raise ValueError(f"expected version 0x0300, got {version:#06x}")
    table = data[at + 12 : at + 12 + 4 * n]
    if len(table) < 4 * n:
        raise ValueError(f"expected {n} colours, got {len(table) // 4}")
    for i in range(n):
        yield tuple(table[4 * i : 4 * i + 3])
