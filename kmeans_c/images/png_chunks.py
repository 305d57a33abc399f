"""Chunks of a PNG that hold no pixel and that Pillow fails on: left out before it sees the file.

Browsers show a PNG whose texts are long, damaged or cut off; Pillow refuses it. Left out are, as
libpng does it:

- chunks that say nothing of the picture (texts, EXIF, time, resolution, unknown ones) with a wrong
  checksum, beyond the end of the file, or of contents that can't be;
- texts of more than 1 MiB, or together more than 32 MiB, after decompression, whatever the metadata
  policy: they are Pillow's limits;
- gAMA, cHRM and sRGB of a wrong length, which `color_management` does not follow either;
- frames of an animation that no acTL announces.

Critical chunks, and those that say what the pixels mean (tRNS, cICP, iCCP, sRGB, gAMA, cHRM, sBIT),
are never left out for a wrong checksum: without one the picture would be another, and the file is
refused, also for one of the pixels (IDAT), which Pillow does not check. A profile of more than
1 MiB is taken out and given separately.
"""

from __future__ import annotations

import io
import zlib
from typing import BinaryIO, NamedTuple

from kmeans_c.images.png_file import SIGNATURE, each_chunk

# These say what the pixels mean; those of the first tuple must have a length.
_LENGTHS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9}
_MEANING = (b"tRNS", b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"sBIT")
_ANIMATION = (b"acTL", b"fcTL", b"fdAT")
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")

# Pillow's limits, of a text and, with room for its names, of all.
_MAX_TEXT = 1 << 20
_MAX_TEXTS = 1 << 25

_MAX_PROFILE = 1 << 24

LONG_TEXTS = "metadata: "  # how the note of them begins


class Tidied(NamedTuple):
    """A PNG that Pillow can read.

    Attributes
    ----------
    file : binary file object
        At its start; the one that was given if nothing had to be left out.
    profile : bytes or None
        An ICC profile that is too long for Pillow.
    n_texts : int
        Texts that were left out for their length.
    """

    file: BinaryIO
    profile: bytes | None = None
    n_texts: int = 0


def tidied(file: BinaryIO) -> Tidied:
    """Leave out what Pillow fails on.

    Parameters
    ----------
    file : binary file object
        A PNG; it is left at its start.
    """
    judge = _Judge(file)
    kept: list[tuple[int, int]] = []
    left_out = False
    for name, at, length in each_chunk(file):
        if judge.harmful(name, at, length):
            left_out = True
        elif kept and sum(kept[-1]) == at - 8:
            kept[-1] = (kept[-1][0], kept[-1][1] + length + 12)
        else:
            kept.append((at - 8, length + 12))
    file.seek(0)
    if not left_out:
        return Tidied(file)
    parts = [SIGNATURE]
    for at, length in kept:
        file.seek(at)
        parts.append(file.read(length))
    file.seek(0)
    return Tidied(io.BytesIO(b"".join(parts)), judge.profile, judge.n_long_texts)


def long_texts_note(image: object) -> str | None:
    """Say how many texts of an opened image were left out for their length."""
    n = getattr(image, "long_texts", 0)
    what = "a text chunk" if n == 1 else f"{n} text chunks"
    return (
        f"{LONG_TEXTS}{what} of more than 1 MiB {'is' if n == 1 else 'are'} left out" if n else None
    )


class _Judge:
    """What was seen of a file, chunk after chunk."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = file.seek(0, io.SEEK_END)
        self.texts = self.n_long_texts = 0
        self.announced = self.data = False
        self.profile: bytes | None = None

    def harmful(self, name: bytes, at: int, length: int) -> bool:
        """Say whether a chunk is to be left out."""
        self.data |= name == b"IDAT"
        self.announced |= name == b"acTL" and not self.data
        if name == b"IDAT":
            self._check_pixels(at, length)
            return False
        if name in _ANIMATION:
            return not self.announced
        if not name.isalpha() or name[:1].isupper() or name in (b"tRNS", b"cICP", b"sBIT"):
            return False
        whole = at + length + 4 <= self.size
        sound = whole and self._checksum(name, at, length)
        if name in _MEANING:
            wrong_length = name in _LENGTHS and length != _LENGTHS[name]
            return sound and (wrong_length or (name == b"iCCP" and self._too_long(at, length)))
        if not sound or length < _LENGTHS.get(name, 0):
            return True
        return name in _TEXTS and self._text(name, self._contents(at, length))

    def _too_many(self) -> bool:
        self.n_long_texts += 1
        return True

    def _check_pixels(self, at: int, length: int) -> None:
        if at + length > self.size:
            raise OSError("image file is truncated")
        if at + length + 4 <= self.size and not self._checksum(b"IDAT", at, length):
            raise SyntaxError("the checksum of the pixels is wrong (IDAT)")

    def _contents(self, at: int, length: int) -> bytes:
        self.file.seek(at)
        return self.file.read(length)

    def _checksum(self, name: bytes, at: int, length: int) -> bool:
        self.file.seek(at)
        checksum = zlib.crc32(name)
        left = length
        while left:
            part = self.file.read(min(left, 1 << 20))
            checksum = zlib.crc32(part, checksum)
            left -= len(part)
        return self.file.read(4) == checksum.to_bytes(4, "big")

    def _too_long(self, at: int, length: int) -> bool:
        """Take a profile that Pillow refuses for its length."""
        _, _, rest = self._contents(at, length).partition(b"\0")
        try:
            plain = zlib.decompressobj().decompress(rest[1:], _MAX_PROFILE)
        except zlib.error:
            return False
        if len(plain) < _MAX_TEXT or rest[:1] != b"\0":
            return False
        self.profile = plain if len(plain) < _MAX_PROFILE else None
        return True

    def _text(self, name: bytes, contents: bytes) -> bool:
        """Say whether a text is too long, or makes no sense."""
        _, _, rest = contents.partition(b"\0")
        packed = None
        if name == b"zTXt":
            packed = rest[1:]
        elif name == b"iTXt" and rest[:1] == b"\1":
            packed = rest[2:].split(b"\0", 2)[-1]
        if packed is not None and rest[name == b"iTXt" :][:1] not in (b"\0", b""):
            return True
        if self.texts > _MAX_TEXTS:
            return self._too_many()
        length = len(contents)
        if packed is not None:
            try:
                length = len(zlib.decompressobj().decompress(packed, _MAX_TEXT))
            except zlib.error:
                return True
            if length == _MAX_TEXT:
                return self._too_many()
        self.texts += length
        return self.texts > _MAX_TEXTS and self._too_many()
