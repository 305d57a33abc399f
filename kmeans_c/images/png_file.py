"""PNG as a container: its chunks, and the frames of an animated one (PNG, third edition).

Pillow decodes and encodes the pixels of single images; how they lie in the file stands here. Pillow
does compose the frames of an APNG, but blends palette indices and drops alpha on the way.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from fractions import Fraction

SIGNATURE = b"\x89PNG\r\n\x1a\n"

NONE, BACKGROUND, PREVIOUS = range(3)  # what becomes of a frame's region after it was shown
SOURCE, OVER = range(2)  # how a frame is put onto the canvas

# The chunks that say what the numbers of the pixels mean; none is large.
_COLOR = (b"cICP", b"sRGB", b"gAMA", b"cHRM")
_LARGEST_COLOR = 32

# A file of many empty chunks would take a hundred bytes of memory for each of twelve in the file.
MAX_DATA_CHUNKS = 1 << 20

_ANIMATION = (b"acTL", b"fcTL", b"fdAT")
_NEEDED = (b"PLTE", b"tRNS")  # by every frame


class Control(NamedTuple):
    """One fcTL: a frame's region, duration, way onto the canvas, and where its data lie."""

    width: int
    height: int
    left: int
    top: int
    duration: tuple[int, int]
    dispose: int
    blend: int
    data: list[tuple[int, int]]


class Apng(NamedTuple):
    """What the chunks of an animated PNG say.

    Attributes
    ----------
    width, height : int
        Of the canvas.
    plays : int
        How many times it is played; 0: for ever.
    frames : list of Control
    default : list of (int, int)
        Where the data of the image lie that is shown where nothing can move, if that is no frame.
    header : bytes
        IHDR's, after width and height.
    shared : bytes
        Whole chunks that every frame needs.
    """

    width: int
    height: int
    plays: int
    frames: list[Control]
    default: list[tuple[int, int]]
    header: bytes
    shared: bytes


def chunk(name: bytes, contents: bytes) -> bytes:
    """Write one chunk."""
    checksum = zlib.crc32(contents, zlib.crc32(name))
    return struct.pack(">I", len(contents)) + name + contents + struct.pack(">I", checksum)


def color_chunks(file: BinaryIO) -> dict[bytes, bytes]:
    """Give the contents of cICP, sRGB, gAMA and cHRM, as far as they stand where they must.

    The file is left at its start, as by the other functions here.
    """
    found: dict[bytes, bytes] = {}
    for name, at, length in _before_data(file):
        if name in _COLOR and length <= _LARGEST_COLOR:
            found.setdefault(name, _contents(file, at, length))
    file.seek(0)
    return found


def count_frames(file: BinaryIO) -> int | None:
    """Count the frames of an animated PNG; None if it has no acTL, or is no PNG."""
    file.seek(0)
    if file.read(len(SIGNATURE)) != SIGNATURE:
        file.seek(0)
        return None
    animated = any(name == b"acTL" for name, _, _ in _before_data(file))
    n = sum(name == b"fcTL" for name, _, _ in each_chunk(file)) if animated else None
    file.seek(0)
    return n


def has_default_image(file: BinaryIO) -> bool:
    """Whether the image of an animated PNG is none of its frames: no fcTL comes before it."""
    controls = [name for name, _, _ in _before_data(file) if name in (b"acTL", b"fcTL")]
    file.seek(0)
    return b"acTL" in controls and b"fcTL" not in controls


def without_animation(file: BinaryIO) -> BinaryIO:
    """Give an animated PNG as the PNG that it is without its animation; others as they are."""
    if count_frames(file) is None:
        return file
    parts = [SIGNATURE]
    for name, at, length in each_chunk(file):
        if name not in _ANIMATION:
            file.seek(at - 8)
            parts.append(file.read(length + 12))
    file.seek(0)
    return io.BytesIO(b"".join(parts))


def read_apng(file: BinaryIO, max_frames: int) -> Apng | None:
    """Read what the chunks say; None if this is a still image.

    Raises
    ------
    SyntaxError
        If the animation is damaged: frames missing, out of order or outside of the canvas.
    OSError
        If there are more frames than `max_frames`.
    """
    found = _Parts(file, max_frames)
    for name, at, length in each_chunk(file):
        found.take(name, at, length)
    if found.n_controls != 1 or found.control[:4] == b"\0\0\0\0":
        return None  # without an acTL, and with two, it is a still image
    width, height = struct.unpack(">II", found.header[:8])
    n, plays = struct.unpack(">II", found.control)
    frames = found.frames
    if n != len(frames):
        raise SyntaxError(f"animation says it has {n} frames, and has {len(frames)}")
    if not found.default and frames[0][:4] != (width, height, 0, 0):
        raise SyntaxError("the first frame does not cover the canvas")
    for frame in frames:
        inside = frame.left + frame.width <= width and frame.top + frame.height <= height
        if not inside or not frame.width or not frame.height or not frame.data:
            raise SyntaxError("a frame of the animation is empty or not on the canvas")
    shared = b"".join(found.shared)
    return Apng(width, height, plays, frames, found.default, found.header[8:], shared)


class _Parts:
    """What is found on the way through the chunks."""

    def __init__(self, file: BinaryIO, max_frames: int) -> None:
        self.file = file
        self.max_frames = max_frames
        self.header = self.control = b""
        self.shared: list[bytes] = []
        self.default: list[tuple[int, int]] = []
        self.frames: list[Control] = []
        self.n_controls = self.sequence = self.n_data = 0
        self.seen_data = False

    def take(self, name: bytes, at: int, length: int) -> None:
        """Look at the next chunk."""
        self.n_data += name in (b"IDAT", b"fdAT")
        if self.n_data > MAX_DATA_CHUNKS:
            raise OSError(f"animation has more than {MAX_DATA_CHUNKS} pieces")
        if name == b"IHDR":
            self.header = _contents(self.file, at, min(length, 13))
        elif name == b"IDAT":
            self.seen_data = True
            (self.frames[0].data if self.frames else self.default).append((at, length))
        elif name == b"acTL" and not self.seen_data:
            self.n_controls += 1
            self.control = _contents(self.file, at, 8)
        elif name in _NEEDED and not self.seen_data:
            self.file.seek(at - 8)
            self.shared.append(self.file.read(length + 12))
        elif name in (b"fcTL", b"fdAT") and self.n_controls == 1:
            self._take_frame(name, at, length)

    def _take_frame(self, name: bytes, at: int, length: int) -> None:
        if length < 4 or _contents(self.file, at, 4) != struct.pack(">I", self.sequence):
            raise SyntaxError("frames of the animation are missing or out of order")
        self.sequence += 1
        if name == b"fdAT":
            if not self.frames or not self.seen_data:
                raise SyntaxError("data of a frame come before it")
            self.frames[-1].data.append((at + 4, length - 4))
            return
        if len(self.frames) == self.max_frames:
            raise OSError(f"animation has more than {self.max_frames} frames")
        self.frames.append(_control(_contents(self.file, at, length)))


def standalone(
    file: BinaryIO, apng: Apng, data: list[tuple[int, int]], width: int, height: int
) -> BinaryIO:
    """Give the image whose data lie there as a PNG of its own."""
    contents = b"".join(_contents(file, at, length) for at, length in data)
    header = struct.pack(">II", width, height) + apng.header
    body = chunk(b"IHDR", header) + apng.shared + chunk(b"IDAT", contents) + chunk(b"IEND", b"")
    return io.BytesIO(SIGNATURE + body)


def control_chunk(
    number: int, region: tuple[int, int, int, int], duration: Fraction, dispose: int, blend: int
) -> bytes:
    """Write an fcTL.

    Parameters
    ----------
    number : int
        In the sequence of all fcTL and fdAT.
    region : (left, top, right, bottom)
    duration : Fraction
        Seconds, of a numerator and a denominator that fit into 16 bits: see `fitting`.
    dispose, blend : int
    """
    left, top, right, bottom = region
    contents = struct.pack(">IIIII", number, right - left, bottom - top, left, top)
    contents += struct.pack(">HHBB", duration.numerator, duration.denominator, dispose, blend)
    return chunk(b"fcTL", contents)


def fitting(duration: Fraction) -> Fraction:
    """Give the nearest duration that an fcTL can hold."""
    near = duration.limit_denominator(65535)
    while near.numerator > 65535:
        near = duration.limit_denominator(max(1, near.denominator * 65535 // near.numerator))
        if near.denominator == 1:
            return min(near, near.__class__(65535))
    return near


def _control(contents: bytes) -> Control:
    if len(contents) != 26:
        raise SyntaxError("a frame's header is cut short")
    width, height, left, top = struct.unpack_from(">4I", contents, 4)
    numerator, denominator, dispose, blend = struct.unpack_from(">HHBB", contents, 20)
    if dispose > PREVIOUS or blend > OVER:
        raise SyntaxError("a frame's header makes no sense")
    duration = (numerator, denominator or 100)
    return Control(width, height, left, top, duration, dispose, blend, [])


def _before_data(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    for name, at, length in each_chunk(file):
        if name == b"IDAT":
            return
        yield name, at, length


def each_chunk(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, place and length of each chunk, to IEND or the end of the file."""
    at = len(SIGNATURE)
    while True:
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        length, name = struct.unpack(">I4s", head)
        yield name, at + 8, length
        if name == b"IEND":
            return
        at += length + 12


def _contents(file: BinaryIO, at: int, length: int) -> bytes:
    file.seek(at)
    contents = file.read(length)
    if len(contents) < length:
        raise SyntaxError("the file is cut short")
    return contents
