"""BMP, read and written: Windows 2 to 5 and OS/2 headers, 1 to 32 bits, RLE, bit masks.

Pillow takes an 8-bit file whose two entries are black and white for one of 1 bit a pixel, and
knows few masks.

Rows go from the bottom up, or from the top if the height is negative; each is a multiple of four
bytes.

- A field of n bits becomes v * 255 / (2^n - 1), rounded.
- The fourth byte of 32-bit pixels without masks is unused. An alpha mask whose field is 0 in every
  pixel hides nothing: browsers show such files too.
- Pixels that RLE skips have index 0; an index that the palette has not got is black.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, NoReturn, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from kmeans_c.images.bits import unpacked_rows
from kmeans_c.images.bmp_header import (
    DEFAULT_MASKS,
    FILE_HEADER,
    RGB,
    RLE4,
    RLE8,
    Header,
    read_header,
)
from kmeans_c.images.tiff_file import packed_rows

_INCHES_A_METRE = 39.3701  # Pillow's

# Samples that are converted at a time, so that what is needed meanwhile stays small.
_SAMPLES_PER_CHUNK = 1 << 20

_OPAQUE = 255


class BmpFile(ImageFile.ImageFile):
    """A BMP as a Pillow image: its header is read at once, its pixels by `load`.

    Its mode is P if it has a palette; L where that holds the grey of every index, or black and
    white; RGB or RGBA otherwise.
    """

    format = "BMP"
    format_description = "Windows Bitmap"

    def _open(self) -> None:
        self._header = read_header(cast("BinaryIO", self.fp))
        if self._header.density is not None:
            self.info["dpi"] = tuple(n / _INCHES_A_METRE for n in self._header.density)
        if self._header.profile is not None:
            self.info["icc_profile"] = self._header.profile
        self._size = (self._header.width, self._header.height)
        bits = self._header.bits
        self._mode = "P" if bits <= 8 else "RGBA" if self._header.masks[3] else "RGB"
        self._loaded = False

    @property
    def table(self) -> NDArray[np.uint8] | None:
        """The palette as (n, 3), also where `mode` is L; None for pixels that are no indices."""
        return self._header.palette if self._header.bits <= 8 else None

    def load(self) -> Any:
        """Decode the pixels."""
        if not self._loaded:
            decoded = _decoded(cast("BinaryIO", self.fp), self._header)
            self._mode, self.im, self.palette = decoded.mode, decoded.im, decoded.palette
            self._loaded = True
        return Image.Image.load(self)


def _decoded(file: BinaryIO, header: Header) -> Image.Image:
    file.seek(header.pixels_at)
    if header.compression in (RLE8, RLE4):
        most = 4 * (header.width + 1) * header.height + 1024
        rows = _run_lengths(file.read(most), header)
        return _indexed(rows if header.top_down else rows[::-1], header.palette)
    used = (header.width * header.bits + 7) // 8
    stride = (used + 3) // 4 * 4
    raw = file.read(stride * header.height)
    missing = stride * header.height - len(raw)
    if missing > stride - used:
        _cut_short()
    rows = np.frombuffer(raw + bytes(missing), np.uint8).reshape(header.height, stride)[:, :used]
    rows = rows if header.top_down else rows[::-1]
    if header.bits <= 8:
        return _indexed(unpacked_rows(rows, header.bits, header.width), header.palette)
    whole_bytes = header.bits in (24, 32)
    if whole_bytes and header.masks == DEFAULT_MASKS[header.bits]:
        pixels = rows.reshape(header.height, header.width, -1)[:, :, 2::-1]
    else:
        pixels = _masked(rows, header)
    return Image.fromarray(np.ascontiguousarray(pixels))


def _masked(rows: NDArray[np.uint8], header: Header) -> NDArray[np.uint8]:
    """Take the fields out of the pixels and bring each to 0..255."""
    n_bytes = header.bits // 8
    channels = 4 if header.masks[3] else 3
    pixels = np.empty((header.height, header.width, channels), np.uint8)
    step = max(1, _SAMPLES_PER_CHUNK // header.width)
    for top in range(0, header.height, step):
        part = rows[top : top + step].reshape(-1, header.width, n_bytes).astype(np.uint32)
        words = part[:, :, 0]
        for number in range(1, n_bytes):
            words = words | part[:, :, number] << np.uint32(8 * number)
        for channel, mask in enumerate(header.masks[:channels]):
            pixels[top : top + step, :, channel] = _field(words, mask)
    if channels == 4 and not pixels[:, :, 3].any():
        pixels[:, :, 3] = _OPAQUE
    return pixels


def _field(words: NDArray[np.uint32], mask: int) -> NDArray[np.uint8]:
    if not mask:
        return np.zeros(words.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    largest = mask >> shift
    values = (words & np.uint32(mask)).astype(np.uint64) >> np.uint64(shift)
    scaled = (values * np.uint64(255) + np.uint64(largest // 2)) // np.uint64(largest)
    return scaled.astype(np.uint8)


def _indexed(indices: NDArray[np.uint8], palette: NDArray[np.uint8]) -> Image.Image:
    n = len(palette)
    if n and np.all(palette == np.arange(n, dtype=np.uint8)[:, np.newaxis]):
        return Image.fromarray(np.where(indices < n, indices, np.uint8(0)))
    if n == 2 and np.all(palette == np.array([[0], [_OPAQUE]], np.uint8)):
        return Image.fromarray(np.where(indices == 1, np.uint8(_OPAQUE), np.uint8(0)))
    if n <= int(indices.max()):
        palette = np.concatenate([palette, np.zeros((256 - n, 3), np.uint8)])
    image = Image.fromarray(np.ascontiguousarray(indices))
    image.putpalette(palette.tobytes())
    return image


def _run_lengths(data: bytes, header: Header) -> NDArray[np.uint8]:
    """Decode RLE4 or RLE8, the rows in the order of the file.

    ::

        n v          n > 0: n pixels of v (RLE4: of its two halves by turns)
        0 0          end of the row
        0 1          end of the picture
        0 2 x y      go on x to the right and y rows further
        0 n ...      n > 2: n pixels as they are, filled up to an even number of bytes
    """
    width, height = header.width, header.height
    pixels = bytearray(width * height)
    for x, y, run in _runs(data, height, four=header.compression == RLE4):
        # The last run of RLE4 may be filled up to whole bytes.
        if x + len(run) > width + (header.compression == RLE4):
            raise SyntaxError("a run of RLE goes beyond its row")
        start = y * width + x
        fit = min(len(run), width - x)
        pixels[start : start + fit] = run[:fit]
    return np.frombuffer(bytes(pixels), np.uint8).reshape(height, width)


def _runs(data: bytes, height: int, *, four: bool) -> Iterator[tuple[int, int, bytes]]:
    """Yield where each run of pixels begins, and its pixels; the row may be too short for it."""
    at = x = y = 0
    while y < height:
        count, value = data[at : at + 2] if at + 2 <= len(data) else _cut_short()
        at += 2
        if count:
            halves = bytes((value >> 4, value & 15)) if four else bytes((value, value))
            yield x, y, (halves * ((count + 1) // 2))[:count]
            x += count
        elif value == 0:
            x, y = 0, y + 1
        elif value == 1:
            return
        elif value == 2:
            right, down = data[at : at + 2] if at + 2 <= len(data) else _cut_short()
            at, x, y = at + 2, x + right, y + down
        else:
            n_bytes = (value + 1) // 2 if four else value
            run = data[at : at + n_bytes]
            if len(run) < n_bytes:
                _cut_short()
            if four:
                run = bytes(half for byte in run for half in (byte >> 4, byte & 15))[:value]
            yield x, y, run
            at, x = at + n_bytes + n_bytes % 2, x + value


def _cut_short() -> NoReturn:
    raise OSError("image file is truncated")


def encode_bmp(
    palette: NDArray[np.uint8],
    indices: NDArray[np.uint8],
    dpi: tuple[float, float] | None = None,
) -> bytes:
    """Write a BMP with a palette: 1, 4 or 8 bits a pixel, as the number of colours allows.

    Parameters
    ----------
    palette : (n, 3) or (n, 4) array of uint8
        RGB, at most 256; alpha is not written.
    indices : (H, W) array of uint8
    dpi : (x, y), optional
        Pixels per inch.

    Raises
    ------
    ValueError
        If the file would have 4 GiB or more.
    """
    n_colors = len(palette)
    bits = 1 if n_colors <= 2 else 4 if n_colors <= 16 else 8
    height, width = indices.shape
    stride = (width * bits + 31) // 32 * 4
    pixels_at = FILE_HEADER + 40 + 4 * n_colors
    if pixels_at + stride * height >= 1 << 32:
        raise ValueError("format: bmp files have less than 4 GiB; png can hold it")
    rows = packed_rows(indices[::-1], bits)
    padded = np.zeros((height, stride), np.uint8)
    padded[:, : rows.shape[1]] = rows
    entries = np.zeros((n_colors, 4), np.uint8)
    entries[:, :3] = palette[:, 2::-1]
    density = [0, 0]
    if dpi is not None:
        density = [min(round(number * _INCHES_A_METRE), (1 << 31) - 1) for number in dpi]
    file = io.BytesIO()
    file.write(struct.pack("<2sIII", b"BM", pixels_at + padded.size, 0, pixels_at))
    file.write(struct.pack("<IiiHHII", 40, width, height, 1, bits, RGB, padded.size))
    file.write(struct.pack("<IIII", *density, n_colors, n_colors))
    file.write(entries.tobytes())
    file.write(padded.data)
    return file.getvalue()
