"""GIF as a container: its blocks, read and written (GIF 89a, and Netscape's loop).

Pillow decodes the LZW data of single images; how they lie in the file stands here. Pillow's encoder
starts with codes of 9 bits however few colours there are, so it is not used. Pillow also composes
frames, but carries a frame's disposal over to the next ones, paints what nothing covers in the
background colour, where browsers show nothing, and joins equal frames when it writes.
"""

import io
import struct
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kmeans_c import _kernels

# Indices that are compressed in one kernel call: some 20 ms.
_SLICE = 1 << 20

KEEP, BACKGROUND, PREVIOUS = 1, 2, 3  # what becomes of a frame's region after it was shown

_CONTROL, _PLAIN_TEXT, _APPLICATION = 0xF9, 0x01, 0xFF
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")


class Image(NamedTuple):
    """One image of a GIF, and where its data lie in the file.

    Attributes
    ----------
    left, top, width, height : int
        May reach beyond the canvas.
    interlaced : bool
    palette : bytes or None
        Its own; None: the global one.
    transparent : int or None
        The index that leaves the canvas as it is.
    hundredths : int
        Of a second that it is shown.
    disposal : int
        KEEP, BACKGROUND or PREVIOUS.
    at, length : int
        The LZW data, from the byte with the code size to the end of the last sub-block.
    """

    left: int
    top: int
    width: int
    height: int
    interlaced: bool
    palette: bytes | None
    transparent: int | None
    hundredths: int
    disposal: int
    at: int
    length: int


class Gif(NamedTuple):
    """What the blocks of a GIF say.

    Attributes
    ----------
    width, height : int
        Of the canvas: the screen, and the first image if that is larger.
    plays : int
        How many times it is played; 0: for ever.
    palette : bytes or None
        The global one.
    images : list of Image
    """

    width: int
    height: int
    plays: int
    palette: bytes | None
    images: list[Image]


def read_gif(file: BinaryIO, max_frames: int) -> Gif:
    """Read the blocks of a GIF.

    Raises
    ------
    SyntaxError
        If a block is cut short or of no known kind, or there is no image.
    OSError
        If there are more images than `max_frames`.
    """
    file.seek(6)
    width, height, flags, _, _ = struct.unpack("<HHBBB", _read(file, 7))
    palette = _read(file, 6 << (flags & 7)) if flags & 0x80 else None
    plays = 1
    images: list[Image] = []
    control = bytes(4)
    while True:
        kind = file.read(1)
        if kind in (b"", b"\x3b"):
            break
        if kind == b"!":
            label = _read(file, 1)[0]
            blocks = _sub_blocks(file, 2)
            if label == _CONTROL and blocks and len(blocks[0]) >= 4:
                control = blocks[0][:4]
            elif label == _APPLICATION and len(blocks) > 1 and blocks[0] in _LOOPS:
                if len(blocks[1]) >= 3 and blocks[1][0] & 7 == 1:
                    # It counts how often the first play is repeated.
                    repeats = struct.unpack_from("<H", blocks[1], 1)[0]
                    plays = repeats + 1 if repeats else 0
            elif label == _PLAIN_TEXT:
                control = bytes(4)
        elif kind == b",":
            if len(images) == max_frames:
                raise OSError(f"animation has more than {max_frames} frames")
            images.append(_image(file, control))
            control = bytes(4)
        elif kind != b"\0":
            raise SyntaxError("a block of the file is of no known kind")
    if not images:
        raise SyntaxError("no image in the file")
    first = images[0]
    return Gif(
        max(width, first.left + first.width),
        max(height, first.top + first.height),
        plays,
        palette,
        images,
    )


def survey(file: BinaryIO, most: int) -> tuple[int, tuple[int, int, int, int] | None, int | None]:
    """Look at the images of a GIF, damaged or not; the file is left at its start.

    Returns
    -------
    n_images : int
        At most `most`.
    region : (left, top, right, bottom) or None
        Of the first image.
    end : int or None
        Where the trailer ends; None if it is missing or was not reached.
    """
    images = 0
    end: int | None = None
    region: tuple[int, int, int, int] | None = None
    try:
        file.seek(10)
        flags = _read(file, 3)[0]
        if flags & 0x80:
            file.seek(6 << (flags & 7), io.SEEK_CUR)
        while images < most and (kind := file.read(1)) != b"":
            if kind == b"\x3b":
                end = file.tell()
                break
            if kind == b"!":
                file.seek(1, io.SEEK_CUR)
                _sub_blocks(file, 0)
            elif kind == b",":
                found = _image(file, bytes(4))
                right, bottom = found.left + found.width, found.top + found.height
                region = region or (found.left, found.top, right, bottom)
                images += 1
    except SyntaxError:
        pass
    file.seek(0)
    return images, region, end


def standalone(file: BinaryIO, image: Image) -> BinaryIO:
    """Give an image as a GIF of its own, which Pillow reads as mode L: the palette's indices."""
    file.seek(image.at)
    size = struct.pack("<HH", image.width, image.height)
    head = b"GIF89a" + size + b"\0\0\0" + b"," + bytes(4) + size
    flags = bytes([0x40 if image.interlaced else 0])
    return io.BytesIO(head + flags + file.read(image.length) + b"\0;")


def header(width: int, height: int, palette: bytes, plays: int) -> bytes:
    """Write what stands before the first image.

    Parameters
    ----------
    width, height : int
        Up to 65535.
    palette : bytes
        Red, green and blue of 1 to 256 colours.
    plays : int
        How many times it is played; 0: for ever.
    """
    table, bits = _table(palette)
    start = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80 | 0x70 | bits, 0, 0) + table
    if plays == 1:
        return start
    repeats = min(max(plays - 1, 0), 65535)
    return start + b"!\xff\x0bNETSCAPE2.0" + struct.pack("<BBHB", 3, 1, repeats, 0)


def image(
    region: tuple[int, int, int, int],
    data: bytes,
    *,
    hundredths: int,
    disposal: int,
    transparent: int | None,
    palette: bytes | None = None,
) -> bytes:
    """Write one image.

    Parameters
    ----------
    region : (left, top, right, bottom)
    data : bytes
        The LZW data with all of its sub-blocks, see `lzw`.
    hundredths : int
        Of a second, up to 65535.
    disposal : int
        KEEP, BACKGROUND or PREVIOUS.
    transparent : int or None
        The index that leaves the canvas as it is.
    palette : bytes, optional
        If it is not the global one.
    """
    flags = disposal << 2 | (transparent is not None)
    block = b"!\xf9" + struct.pack("<BBHBB", 4, flags, hundredths, transparent or 0, 0)
    left, top, right, bottom = region
    block += b"," + struct.pack("<HHHH", left, top, right - left, bottom - top)
    if palette is None:
        return block + b"\0" + data
    table, bits = _table(palette)
    return block + bytes([0x80 | bits]) + table + data


def lzw(indices: NDArray[np.uint8], bits: int) -> bytes:
    """Compress indices: the code size, sub-blocks, and the one of length 0.

    Parameters
    ----------
    indices : (h, w) array of uint8
    bits : int
        Of an index, 1 to 8.
    """
    flat = np.ascontiguousarray(indices).reshape(-1)
    encoder = _kernels.lzw.Encoder(bits)
    out = np.empty(2 * min(len(flat), _SLICE) + 8, np.uint8)
    parts = [
        out[: encoder.add(flat[start : start + _SLICE], out)].tobytes()
        for start in range(0, len(flat), _SLICE)
    ]
    parts.append(out[: encoder.finish(out)].tobytes())
    return bytes([max(2, bits)]) + _in_sub_blocks(b"".join(parts)) + b"\0"


def still(palette: NDArray[np.uint8], indices: NDArray[np.uint8]) -> bytes:
    """Write a whole file of one image.

    Parameters
    ----------
    palette : (n, 3) or (n, 4) array of uint8
        At most 256; of those with an alpha of 0 the first is transparent, all others are opaque.
    indices : (H, W) array of uint8
    """
    height, width = indices.shape
    clear = np.flatnonzero(palette[:, 3:] == 0)
    drawn = image(
        (0, 0, width, height),
        lzw(indices, table_bits(len(palette))),
        hundredths=0,
        disposal=0,
        transparent=int(clear[0]) if len(clear) else None,
    )
    return header(width, height, palette[:, :3].tobytes(), 1) + drawn + b";"


def comment(text: bytes) -> bytes:
    """Write a comment."""
    return b"!\xfe" + _in_sub_blocks(text) + b"\0"


def table_bits(n_colors: int) -> int:
    """Give the bits of the indices into a table of so many colours: a table has 2 to 256."""
    return max(1, (n_colors - 1).bit_length())


def _in_sub_blocks(data: bytes) -> bytes:
    parts = [data[start : start + 255] for start in range(0, len(data), 255)]
    return b"".join(bytes([len(part)]) + part for part in parts)


def _table(palette: bytes) -> tuple[bytes, int]:
    bits = table_bits(len(palette) // 3)
    return palette.ljust(3 << bits, b"\0"), bits - 1


def _image(file: BinaryIO, control: bytes) -> Image:
    left, top, width, height, flags = struct.unpack("<HHHHB", _read(file, 9))
    if not width or not height:
        raise SyntaxError("an image in the file has no pixels")
    palette = _read(file, 6 << (flags & 7)) if flags & 0x80 else None
    at = file.tell()
    _read(file, 1)
    _sub_blocks(file, 0)
    hundredths, transparent = struct.unpack_from("<HB", control, 1)
    disposal = control[0] >> 2 & 7
    if disposal == 4:  # some encoders' way to write 3; browsers take it so
        disposal = PREVIOUS
    return Image(
        left,
        top,
        width,
        height,
        bool(flags & 0x40),
        palette,
        transparent if control[0] & 1 else None,
        hundredths,
        disposal if disposal in (BACKGROUND, PREVIOUS) else KEEP,
        at,
        file.tell() - 1 - at,
    )


def _sub_blocks(file: BinaryIO, most: int) -> list[bytes]:
    """Pass over sub-blocks to the one of length 0, and return the first ones."""
    blocks: list[bytes] = []
    (length,) = _read(file, 1)
    while length:
        block = _read(file, length + 1)
        if len(blocks) < most:
            blocks.append(block[:-1])
        length = block[-1]
    return blocks


def _read(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise SyntaxError("the file is cut short")
    return data
