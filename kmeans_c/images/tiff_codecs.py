"""What compresses the strips and tiles of a TIFF, undone.

Deflate and LZMA are Python's, LZW and PackBits our own. Of libtiff (through Pillow) two codecs are
used, ZSTD and fax, on strips or tiles that are put into a grey TIFF of our own, whose layout leaves
nothing to be misread. JPEG and WebP go to Pillow's decoders of these formats.

libtiff prints on the standard error which codes of damaged data it can't read, and its handler of
errors belongs to the process, not to us. A ZSTD frame is checked as far as that takes no decoder;
damage within its blocks, and in fax codes, is printed.
"""

from __future__ import annotations

import importlib
import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from kmeans_c._kernels.unpack import unpack_lzw, unpack_packbits
from kmeans_c.images import tiff_layout as tl
from kmeans_c.images.tiff_layout import Layout
from kmeans_c.images.zstd_frame import check_frame

# Bytes of pixels that libtiff is given at a time: less than Pillow takes for a bomb.
_BYTES_AT_ONCE = 1 << 26

_LZMA_MEMORY = 1 << 28

# Reverses the bits of each byte.
_REVERSED = np.packbits(
    np.unpackbits(np.arange(256, dtype=np.uint8)[:, np.newaxis], axis=1)[:, ::-1], axis=1
)[:, 0].tobytes()


def read_segment(file: BinaryIO, layout: Layout, number: int, needed: int) -> bytes:
    """Read a strip or tile as it is in the file, its bits in the usual order.

    Parameters
    ----------
    needed : int
        Bytes of the pixels. What compresses bytes never makes them four times as many, so that more
        is not read: a file whose strips overlap costs no more than one whose strips do not.
    """
    at, count = int(layout.offsets[number]), int(layout.counts[number])
    most = needed if layout.compression == tl.NONE else 4 * needed + 4096
    if layout.compression == tl.NONE and 0 <= count < needed and len(layout.counts) > 1:
        raise OSError("image file is truncated")
    if layout.compression == tl.NONE or (count < 0 and layout.compression != tl.JPEG):
        count = most
    if at < 0:
        raise SyntaxError("a strip or tile is outside of the file")
    file.seek(at)
    data = file.read(count if layout.compression in (tl.JPEG, tl.WEBP) else min(count, most))
    if layout.reversed_bits and layout.compression not in (tl.JPEG, tl.WEBP):
        data = data.translate(_REVERSED)
    return data


def unpacked(
    layout: Layout, segments: Iterator[bytes], row_bytes: int, rows: Sequence[int]
) -> Iterator[NDArray[np.uint8]]:
    """Decompress strips or tiles of any codec but JPEG and WebP.

    Parameters
    ----------
    segments : iterator of bytes
    row_bytes : int
        Bytes of a row, of a fax code its pixels.
    rows : sequence of int
        How many rows each has: all but the last one the same.

    Yields
    ------
    (rows, row_bytes) array of uint8
        Of a fax code 0 or 1.
    """
    if layout.compression not in (tl.ZSTD, *tl.CCITT):
        for data, height in zip(segments, rows, strict=True):
            plain = _plain(layout.compression, data, row_bytes * height)
            yield plain.reshape(height, row_bytes)
        return
    at_once = max(1, _BYTES_AT_ONCE // (row_bytes * rows[0]))
    for first in range(0, len(rows), at_once):
        heights = rows[first : first + at_once]
        group = [next(segments) for _ in heights]
        decoded = _by_libtiff(layout, group, row_bytes, heights)
        at = 0
        for height in heights:
            yield decoded[at : at + height]
            at += height


def _plain(compression: int, data: bytes, needed: int) -> NDArray[np.uint8]:
    """Decompress so many bytes."""
    if compression in (tl.LZW, tl.PACKBITS):
        out = np.zeros(needed, np.uint8)
        if compression == tl.PACKBITS:
            n = unpack_packbits(data, out)
        else:
            # Before TIFF 6.0 the lowest bit came first, so that the code 256 has another form.
            n = unpack_lzw(data, out, old=len(data) > 1 and data[0] == 0 and data[1] & 1 == 1)
        if n < 0:
            raise SyntaxError("LZW codes make no sense")
    else:
        if compression == tl.NONE:
            plain = data[:needed]
        elif compression == tl.LZMA:
            import lzma  # noqa: PLC0415 - hardly ever needed, and not part of every Python

            plain = lzma.LZMADecompressor(memlimit=_LZMA_MEMORY).decompress(data, needed)
        else:
            plain = zlib.decompressobj().decompress(data, needed)
        out, n = np.frombuffer(plain, np.uint8), len(plain)
    if n < needed:
        raise OSError("image file is truncated")
    return out


def _by_libtiff(
    layout: Layout, segments: list[bytes], width: int, heights: Sequence[int]
) -> NDArray[np.uint8]:
    """Let libtiff decode strips, one below the other, of a grey TIFF of our own."""
    fax = layout.compression in tl.CCITT
    if not fax:
        for data, height in zip(segments, heights, strict=True):
            check_frame(data, width * height)
    tags = [
        (tl.WIDTH, [width]),
        (tl.HEIGHT, [sum(heights)]),
        (tl.BITS, [1 if fax else 8]),
        (tl.COMPRESSION, [layout.compression]),
        (tl.PHOTOMETRIC, [tl.BLACK_IS_ZERO]),
        (tl.STRIP_OFFSETS, []),
        (tl.SAMPLES, [1]),
        (tl.ROWS_PER_STRIP, [heights[0]]),
        (tl.STRIP_COUNTS, [len(data) for data in segments]),
    ]
    if layout.compression == tl.CCITT_3:
        tags.append((tl.T4_OPTIONS, [layout.fax_options[0]]))
    elif layout.compression == tl.CCITT_4:
        tags.append((tl.T6_OPTIONS, [layout.fax_options[1]]))
    file = io.BytesIO(_tiff(tags, segments))
    image = _pillow("Tiff", "TiffImageFile", file)
    if image.size != (width, sum(heights)):
        raise OSError("libtiff can't decode a strip or tile of this size")
    image.load()
    decoded: NDArray[np.uint8] = np.asarray(image.convert("L"))
    return decoded >> np.uint8(7) if fax else decoded


def _tiff(tags: list[tuple[int, list[int]]], segments: list[bytes]) -> bytes:
    n = len(segments)
    offsets, at = [], 8
    for data in segments:
        offsets.append(at)
        at += len(data)
    at += at % 2
    after = at + 2 + 12 * len(tags) + 4
    directory, body = struct.pack("<H", len(tags)), b""
    for tag, numbers in tags:
        values = offsets if tag == tl.STRIP_OFFSETS else numbers
        raw = struct.pack(f"<{len(values)}I", *values)
        place = raw
        if len(values) > 1:
            place = struct.pack("<I", after + len(body))
            body += raw
        directory += struct.pack("<HHI", tag, 4, len(values)) + place
    if after + 8 * n >= 1 << 32:
        raise OSError("strips or tiles of 4 GiB are not supported in TIFF")
    head = b"II*\0" + struct.pack("<I", at)
    return b"".join([head, *segments]).ljust(at, b"\0") + directory + bytes(4) + body


def jpeg_pixels(layout: Layout, data: bytes) -> NDArray[np.uint8]:
    """Decode a strip or tile that is a JPEG stream: RGB for YCbCr, otherwise what is stored.

    What the stream's own markers say of colour is not followed but what the TIFF says.
    """
    ycbcr = layout.photometric == tl.YCBCR and layout.planes == 1
    parts = [b"\xff\xd8"]
    if layout.tables:
        parts += _jpeg_markers(layout.tables)[0]
    markers, rest = _jpeg_markers(data)
    adobe = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + (b"\1" if ycbcr else b"\0")
    stream = b"".join([*parts, *markers, adobe, rest])
    image = _pillow("Jpeg", "JpegImageFile", io.BytesIO(stream))
    expected = layout.samples_a_plane
    if len(image.getbands()) != expected:
        raise SyntaxError(f"a JPEG stream of {len(image.getbands())} channels, not {expected}")
    if image.width < layout.segment_width and image.width < layout.width:
        raise OSError("image file is truncated")
    if image.width * image.height > 4 * (layout.segment_width + 64) * (layout.segment_height + 64):
        raise SyntaxError("a JPEG stream is larger than its strip or tile")
    image.load()
    pixels = np.asarray(image)
    # Pillow takes all CMYK with Adobe's marker for inverted, which that of TIFF is not.
    pixels = 255 - pixels if image.mode == "CMYK" else pixels
    return pixels.reshape(*pixels.shape[:2], expected)


def _jpeg_markers(data: bytes) -> tuple[list[bytes], bytes]:
    """Split a stream into the segments before the picture, without APPn and COM, and the rest."""
    at = 2
    kept: list[bytes] = []
    if data[:2] != b"\xff\xd8":
        raise SyntaxError("a JPEG stream does not begin as one")
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise SyntaxError("a JPEG stream makes no sense")
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0xD9:
            break
        if marker == 0xDA:
            return kept, data[at:]
        (length,) = struct.unpack_from(">H", data, at + 2)
        segment = data[at : at + 2 + length]
        if length < 2 or len(segment) < 2 + length:
            raise OSError("image file is truncated")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and segment[4:5] != b"\x08":
            raise OSError("JPEG of 12 bits is not supported in TIFF")
        if not 0xE0 <= marker <= 0xEF and marker != 0xFE:
            kept.append(segment)
        at += 2 + length
    return kept, b""


def webp_pixels(layout: Layout, data: bytes) -> NDArray[np.uint8]:
    """Decode a strip or tile that is a WebP file."""
    image = _pillow("WebP", "WebPImageFile", io.BytesIO(data))
    if image.width * image.height > 4 * (layout.segment_width + 64) * (layout.segment_height + 64):
        raise SyntaxError("a WebP file is larger than its strip or tile")
    pixels = np.asarray(image.convert("RGB" if layout.samples == 3 else "RGBA"))
    if pixels.shape[2] != layout.samples:
        raise OSError(f"WebP of {layout.samples} samples a pixel is not supported in TIFF")
    return pixels


def _pillow(plugin: str, factory: str, file: BinaryIO) -> Any:
    return getattr(importlib.import_module(f"PIL.{plugin}ImagePlugin"), factory)(file, "")
