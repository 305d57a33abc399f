"""Proof that an encoded PNG, BMP or ICO shows what it should, and that a PNG was read right.

The decoder of this module shares no code with the encoders, nor with `images` and Pillow, which
read the input: an error of either does not hide itself. It reads what this package writes, and
refuses the rest: PNG without interlacing, palette-based or of up to 8 bits a sample, with no
transparent colour; uncompressed BMP with a palette; ICO of one PNG.

Nothing that a file says is trusted: sizes are compared with what is expected before memory is
reserved, chunks must fit into the file, checksums must be right, and nothing may be left over.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kmeans_c import _kernels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]

PNG = b"\x89PNG\r\n\x1a\n"
BMP = b"BM"
ICO = b"\0\0\1\0"

# Unfiltered at a time: it stays in the processor's cache, and signals are seen in between.
BYTES_PER_CHUNK = 1 << 18

MAX_SAMPLES = 1 << 21  # that are compared of an input in full colour: its first rows

# Samples of a pixel by PNG's colour type.
_GREY, _RGB, _INDEXED, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6
_SAMPLES = {_GREY: 1, _RGB: 3, _INDEXED: 1, _GREY_ALPHA: 2, _RGBA: 4}

# Chunks that may say how the picture is to be turned, by the starts of their keywords.
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_TURNING = (b"XML:com.adobe.xmp", b"Raw profile type")

_BMP_HEADERS = struct.Struct("<2sIIIIiiHHIIiiII")
_ICO_HEADER = struct.Struct("<HHHBBBBHHII")

_OPAQUE = 255


class _WrongError(Exception):
    """The file is not what it should be."""


class _DifferentError(_WrongError):
    """The file can be read, and shows another picture."""


class _Png(NamedTuple):
    width: int
    height: int
    bits: int
    kind: int
    palette: bytes
    alpha: bytes
    data: list[memoryview]


def can_prove(data: bytes) -> bool:
    """Say whether a file is of a format that `shows` reads.

    Parameters
    ----------
    data : bytes
        The contents of the file.
    """
    return data.startswith((PNG, BMP, ICO))


def shows(data: bytes, palette: Bytes, indices: Bytes, *, in_order: bool = False) -> bool:
    """Say whether a PNG, BMP or ICO shows the palette's colours, by decoding it.

    Parameters
    ----------
    data : bytes
        The contents of the file.
    palette : (n, 3) or (n, 4) array of uint8
        The colours.
    indices : (H, W) array of uint8
        The palette entry of each pixel.
    in_order : bool
        Whether the file's palette must be this one, entry by entry, used or not, and its indices
        these.

    Returns
    -------
    bool
        Whether every pixel has the colour of its palette entry. Two colours of alpha 0 are equal,
        except in order, where all four bytes count, or three in a BMP.
    """
    try:
        if data.startswith(ICO):
            data = _icon(data, indices)
        if data.startswith(PNG):
            _check_png(_png(memoryview(data)), palette, indices, in_order=in_order)
        else:
            _check_bmp(data, palette, indices, in_order=in_order)
    except (_WrongError, zlib.error):
        return False
    return True


def reads_otherwise(data: bytes, palette: Bytes, indices: Bytes) -> bool:
    """Say whether a PNG, of any origin, shows other colours than those that were read from it.

    Parameters
    ----------
    data : bytes
        The contents of the file.
    palette, indices
        As for `shows`: what it was found to show.

    Returns
    -------
    bool
        False also for files that this module does not read, for those whose colours or
        orientation are to be changed by what they say of it, and where a file in full colour
        differs behind its first `MAX_SAMPLES` samples only.
    """
    try:
        chunks = _chunks(memoryview(data))
        names = {name for name, _ in chunks}
        plain = b"sRGB" in names or not names & {b"gAMA", b"cHRM"}
        turned = any(
            name in _TEXTS and bytes(content[:17]).startswith(_TURNING) for name, content in chunks
        )
        _require(plain and not turned and not names & {b"cICP", b"iCCP", b"eXIf"})
        _check_png(_png(memoryview(data)), palette, indices, in_order=False, padded=True)
    except _DifferentError:
        return True
    except (_WrongError, zlib.error):
        pass
    return False


def _require(condition: bool, otherwise: type[_WrongError] = _WrongError) -> None:
    if not condition:
        raise otherwise


def _icon(data: bytes, indices: Bytes) -> bytes:
    """Return the PNG in an ICO of one image."""
    _require(len(data) > _ICO_HEADER.size)
    _, _, count, width, height, *_, size, start = _ICO_HEADER.unpack_from(data)
    _require(count == 1 and start == _ICO_HEADER.size and start + size == len(data))
    _require(((height - 1) % 256 + 1, (width - 1) % 256 + 1) == indices.shape)
    return data[start:]


def _png(file: memoryview) -> _Png:
    chunks = _chunks(file)
    _require(chunks[0][0] == b"IHDR" and chunks[-1][0] == b"IEND" and len(chunks[0][1]) == 13)
    names = [name for name, _ in chunks]
    critical = [name for name in names if not name[0] & 0x20]
    _require(set(critical) <= {b"IHDR", b"PLTE", b"IDAT", b"IEND"})
    for name in (b"IHDR", b"PLTE", b"tRNS", b"IEND"):
        _require(names.count(name) <= 1)
    _require(b"IDAT" in names)
    first = names.index(b"IDAT")
    n_data = names.count(b"IDAT")
    _require(names[first : first + n_data] == [b"IDAT"] * n_data)
    if b"PLTE" in names:
        _require(names.index(b"PLTE") < first)
    if b"tRNS" in names:
        _require(b"PLTE" in names and names.index(b"PLTE") < names.index(b"tRNS") < first)
    contents = dict(chunks)
    width, height, bits, kind, compression, filtering, interlaced = struct.unpack(
        ">IIBBBBB", contents[b"IHDR"]
    )
    _require(compression == filtering == interlaced == 0 and kind in _SAMPLES)
    _require(bits in (1, 2, 4, 8) if kind in (_INDEXED, _GREY) else bits == 8)
    return _Png(
        width,
        height,
        bits,
        kind,
        bytes(contents.get(b"PLTE", b"")),
        bytes(contents.get(b"tRNS", b"")),
        [content for name, content in chunks if name == b"IDAT"],
    )


def _chunks(file: memoryview) -> list[tuple[bytes, memoryview]]:
    """Names and contents, up to the end of the file."""
    chunks = []
    at = len(PNG)
    while at < len(file):
        _require(len(file) - at >= 12)
        (size,) = struct.unpack_from(">I", file, at)
        _require(size <= len(file) - at - 12)
        named = file[at + 4 : at + 8 + size]
        (checksum,) = struct.unpack_from(">I", file, at + 8 + size)
        _require(zlib.crc32(named) == checksum)
        chunks.append((bytes(named[:4]), named[4:]))
        at += size + 12
    _require(len(chunks) > 0)
    return chunks


def _check_png(
    png: _Png, palette: Bytes, indices: Bytes, *, in_order: bool, padded: bool = False
) -> None:
    _require((png.height, png.width) == indices.shape, _DifferentError)
    has_entries = png.kind == _INDEXED or png.bits < 8
    if png.kind == _INDEXED:
        entries = len(png.palette) // 3
        _require(len(png.palette) == 3 * entries and 1 <= entries <= 1 << png.bits)
        _require(len(png.alpha) <= entries)
        alpha = np.full(entries, _OPAQUE, np.uint8)
        alpha[: len(png.alpha)] = np.frombuffer(png.alpha, np.uint8)
        colors = np.frombuffer(png.palette, np.uint8).reshape(entries, 3)
        table = np.column_stack([colors, alpha])
        if padded:  # an index beyond the palette is black, as in other decoders
            missing = (1 << png.bits) - entries
            table = np.pad(table, ((0, missing), (0, 0)))
            table[entries:, 3] = _OPAQUE
        theirs, ours = _numbered(table, palette, in_order=in_order)
    elif has_entries:
        _require(not png.palette and not png.alpha and not in_order)
        levels = np.linspace(0, 255, 1 << png.bits).astype(np.uint8)
        theirs, ours = _numbered(np.column_stack([levels] * 3), palette, in_order=False)
    else:
        _require(not png.palette and not png.alpha and not in_order)
        expected = _in_samples(palette, png.kind)
    samples = _SAMPLES[png.kind]
    stride = (png.width * samples * png.bits + 7) // 8
    step = max(1, BYTES_PER_CHUNK // (stride + 1))
    stream = _Stream(png.data)
    above = np.zeros(stride, np.uint8)
    # Of an input in full colour not all, as that would take a fifth of the time of a whole run.
    partial = padded and not has_entries and stride * png.height > MAX_SAMPLES
    height = MAX_SAMPLES // stride + 1 if partial else png.height
    for top in range(0, height, step):
        wanted = indices[top : min(top + step, height)]
        raw = stream.read(len(wanted) * (stride + 1))
        rows = np.frombuffer(raw, np.uint8).reshape(len(wanted), stride + 1)
        _require(_kernels.scanlines.unfilter(rows, above, max(1, samples * png.bits // 8)))
        above = rows[-1, 1:]
        wanted = np.ascontiguousarray(wanted)
        if has_entries:
            same = _kernels.scanlines.same_entries(rows, 1, png.bits, wanted, theirs, ours)
        else:
            same = _kernels.scanlines.same_colors(rows, 1, samples, wanted, expected)
        _require(same, _DifferentError)
    if not partial:
        stream.close()


class _Stream:
    """A zlib stream in pieces: never more is decompressed than is asked for."""

    def __init__(self, pieces: list[memoryview]) -> None:
        self._pieces = pieces[::-1]
        self._inflater = zlib.decompressobj()

    def read(self, size: int) -> bytearray:
        """Return exactly `size` bytes."""
        found = bytearray()
        while len(found) < size:
            part = self._some(size - len(found))
            _require(len(part) > 0)
            found += part
        return found

    def close(self) -> None:
        """Require that the stream ends here, with a right checksum, and that nothing follows."""
        while not self._inflater.eof:
            _require(not self._some(1))
        _require(not self._inflater.unused_data and not any(map(len, self._pieces)))

    def _some(self, most: int) -> bytes:
        """Return up to `most` bytes, none only at the end."""
        while not self._inflater.eof:
            piece: bytes | memoryview = self._inflater.unconsumed_tail
            ended = not piece and not self._pieces
            if not piece and self._pieces:
                piece = self._pieces.pop()
            found = self._inflater.decompress(piece, most)
            if found:
                return found
            _require(not ended)  # without input the inflater gives what it still holds
        return b""


def _check_bmp(data: bytes, palette: Bytes, indices: Bytes, *, in_order: bool) -> None:
    height, width = indices.shape
    _require(len(data) > _BMP_HEADERS.size)
    (magic, size, reserved, start, header, found_width, found_height, planes, bits, compression) = (
        _BMP_HEADERS.unpack_from(data)[:10]
    )
    n_bytes, _, _, entries, _ = _BMP_HEADERS.unpack_from(data)[10:]
    _require(magic == BMP and size == len(data) and reserved == 0 and header == 40)
    _require((abs(found_height), found_width) == (height, width))
    _require(planes == 1 and bits in (1, 2, 4, 8) and compression == 0)
    _require(entries <= 1 << bits)
    entries = entries or 1 << bits
    stride = (width * bits + 31) // 32 * 4
    _require(start == _BMP_HEADERS.size + 4 * entries and n_bytes in (0, stride * height))
    _require(start + stride * height == len(data))
    table = np.frombuffer(data, np.uint8, 4 * entries, _BMP_HEADERS.size).reshape(entries, 4)
    theirs, ours = _numbered(table[:, 2::-1], palette, in_order=in_order)
    rows = np.frombuffer(data, np.uint8, stride * height, start).reshape(height, stride)
    rows = rows[::-1] if found_height > 0 else rows
    step = max(1, BYTES_PER_CHUNK // stride)
    for top in range(0, height, step):
        part = np.ascontiguousarray(rows[top : top + step])
        wanted = np.ascontiguousarray(indices[top : top + step])
        _require(_kernels.scanlines.same_entries(part, 0, bits, wanted, theirs, ours))


def _numbered(
    theirs: Bytes, ours: Bytes, *, in_order: bool
) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Number the colours of two palettes so that equal numbers are equal colours.

    A table of a file is RGB if the format holds no alpha; only that is compared in order. An index
    that a palette does not have has a number that the other does not.
    """
    ours = _rgba(ours)
    numbers: dict[bytes, int] = {}
    tables = np.empty((2, 256), np.uint16)
    tables[0], tables[1] = 0xFFFF, 0xFFFE
    if in_order:
        _require(np.array_equal(theirs, ours[:, : theirs.shape[1]]))
        tables[:, : len(ours)] = np.arange(len(ours))
        return tables[0], tables[1]
    for table, colors in zip(tables, (_rgba(theirs), ours), strict=True):
        for index, color in enumerate(colors):
            table[index] = numbers.setdefault(_key(color), len(numbers))
    return tables[0], tables[1]


def _key(color: Bytes) -> bytes:
    return color.tobytes() if color[3] else b""


def _rgba(palette: Bytes) -> Bytes:
    if palette.shape[1] == 4:
        return palette
    return np.column_stack([palette, np.full(len(palette), _OPAQUE, np.uint8)])


def _in_samples(palette: Bytes, kind: int) -> Bytes:
    """The palette as the samples of a colour type, in a table of 256 entries."""
    colors = _rgba(palette)
    table = np.zeros((256, 4), np.uint8)
    if kind in (_GREY, _GREY_ALPHA):
        grey = (colors[:, :3] == colors[:, :1]) | (colors[:, 3:] == 0)
        _require(bool(np.all(grey)), _DifferentError)
        table[: len(colors), 0] = colors[:, 0]
        table[: len(colors), 1] = colors[:, 3]
    else:
        table[: len(colors)] = colors
    if kind in (_GREY, _RGB):
        _require(bool(np.all(colors[:, 3] == _OPAQUE)), _DifferentError)
    return table
