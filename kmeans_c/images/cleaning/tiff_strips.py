"""The strips and tiles of a TIFF: whether they hold anything beside pixels.

The end of a stream is known for uncompressed data, Deflate, LZMA, JPEG and WebP. LZW, PackBits,
Zstandard and fax codes are taken as they are: only a decoder knows where they end.
"""

from __future__ import annotations

import zlib
from typing import Any

from kmeans_c.images import tiff_layout as tl
from kmeans_c.images.cleaning import webp
from kmeans_c.images.cleaning.needed import Needed
from kmeans_c.images.jpeg_segments import APP0, EOI, SOS, START, Segment, segments

_APP14 = 0xEE
_DHT, _DAC, _DQT, _DRI = 0xC4, 0xCC, 0xDB, 0xDD
_TABLES = frozenset((_DHT, _DAC, _DQT, _DRI, EOI))
_PICTURE = _TABLES | {SOS, *range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), 0xCD}
_JFIF_BYTES, _JFIF_UNIT, _ADOBE_BYTES = 14, 7, 12


def check_strips(data: bytes, layout: tl.Layout, needed: Needed) -> None:
    """Refuse strips or tiles with metadata in them, or with data behind the pixels.

    Raises
    ------
    ValueError
    """
    for number, (at, n) in enumerate(
        zip(layout.offsets.tolist(), layout.counts.tolist(), strict=True)
    ):
        if at + n > len(data):
            raise ValueError(f"strip {number} is cut short")
        strip = data[at : at + n]
        if layout.compression == tl.JPEG:
            _check_jpeg(strip, needed)
        elif layout.compression == tl.WEBP:
            if webp.cleaned(strip, Needed(1, {}, None, frozenset())) != strip:
                raise ValueError(f"strip {number} is a WebP with metadata")
        elif layout.compression == tl.NONE:
            _check_rest(strip[_pixel_bytes(layout, number) :], number)
        elif layout.compression in (tl.DEFLATE, tl.OLD_DEFLATE, tl.LZMA):
            _check_stream(strip, layout, number)


def check_tables(tables: bytes) -> None:
    """Refuse JPEGTables with more than tables in them.

    Raises
    ------
    ValueError
    """
    _check_segments(tables, _TABLES)


def _check_jpeg(strip: bytes, needed: Needed) -> None:
    for segment in _check_segments(strip, _PICTURE, headers=True):
        if segment.marker == APP0 and segment.contents[_JFIF_UNIT] and needed.dpi is None:
            raise ValueError("a JPEG strip has a resolution")


def _check_segments(
    stream: bytes, markers: frozenset[int], *, headers: bool = False
) -> list[Segment]:
    if not stream.startswith(START):
        raise ValueError("a JPEG stream does not begin as one")
    found = list(segments(stream))
    for segment in found:
        if segment.marker not in markers and not (headers and _is_header(segment)):
            raise ValueError(f"a JPEG stream has the segment {segment.marker:02X}")
    _check_rest(stream[2 + sum(len(segment.whole) for segment in found) :], 0)
    return found


def _is_header(segment: Segment) -> bool:
    """Whether it is JFIF's header without a thumbnail, or Adobe's, which says what colours are."""
    contents = segment.contents
    if segment.marker == APP0:
        return contents.startswith(b"JFIF\0") and len(contents) == _JFIF_BYTES
    adobe = segment.marker == _APP14 and contents.startswith(b"Adobe")
    return adobe and len(contents) == _ADOBE_BYTES


def _check_stream(strip: bytes, layout: tl.Layout, number: int) -> None:
    stream: Any = zlib.decompressobj()
    errors: tuple[type[Exception], ...] = (zlib.error,)
    if layout.compression == tl.LZMA:
        import lzma  # noqa: PLC0415 - hardly any file has it

        stream, errors = lzma.LZMADecompressor(), (lzma.LZMAError, EOFError)
    full = _pixel_bytes(layout, number)
    try:
        pixels = stream.decompress(strip, full + 1)
        if not stream.eof and len(pixels) == full:  # its end is still to be read
            pixels += stream.decompress(getattr(stream, "unconsumed_tail", b""), 1)
    except errors as error:
        raise ValueError(f"strip {number} is damaged") from error
    if len(pixels) > full or not stream.eof:
        raise ValueError(f"strip {number} has not as many pixels as it should have")
    _check_rest(stream.unused_data, number)


def _check_rest(rest: bytes, number: int) -> None:
    if rest.strip(b"\0"):
        raise ValueError(f"strip {number} has data behind its pixels")


def _pixel_bytes(layout: tl.Layout, number: int) -> int:
    """Count the bytes of a decoded strip or tile."""
    rows = layout.segment_height
    if not layout.tiled:
        rows = min(rows, layout.height - number % layout.down * rows)
    across, down = layout.subsampling
    if (across, down) != (1, 1):
        blocks = -(-layout.segment_width // across) * -(-rows // down)
        return blocks * (across * down + 2)
    return -(-layout.segment_width * layout.samples_a_plane * layout.bits // 8) * rows
