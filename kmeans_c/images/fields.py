"""Fields of a TIFF structure as they are stored: read, carried over, and written again.

EXIF is such a structure, and so are the tags of a TIFF file. Values stay the bytes that they are,
but for the order of bytes: whatever the type, nothing is rounded or interpreted.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from kmeans_c.images.tiff_tags import Directory, directories, directory_at

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 1, 2, 3, 4, 5, 7

# Pointers to folders: EXIF's own, that of the place, and in the former that of interoperability.
EXIF, GPS, INTEROPERABILITY = 0x8769, 0x8825, 0xA005
_FOLDERS = {EXIF, GPS, INTEROPERABILITY}
_DEEPEST = 2

# Bytes of a number and of a value, by type: all of TIFF 6.0, BigTIFF's, and EXIF's UTF-8.
SIZES = {
    1: (1, 1), 2: (1, 1), 3: (2, 2), 4: (4, 4), 5: (4, 8), 6: (1, 1), 7: (1, 1), 8: (2, 2),
    9: (4, 4), 10: (4, 8), 11: (4, 4), 12: (8, 8), 13: (4, 4), 16: (8, 8), 17: (8, 8), 18: (8, 8),
    129: (1, 1),
}  # fmt: skip
# Integers of 64 bits, which only a BigTIFF has, and how they are written: as ones of 32 bits.
_BIG = {16: ("<u8", "<u4", 4), 17: ("<i8", "<i4", 9), 18: ("<u8", "<u4", 13)}

_MAX_FIELD = 1 << 24  # bytes: an XMP packet with pictures in it has some megabytes
_MAX_TOTAL = 1 << 26


@dataclass(frozen=True, slots=True, order=True)
class Field:
    """The values of one tag.

    Attributes
    ----------
    kind : int
        Their type, by TIFF's code.
    count : int
    data : bytes
        In little-endian order.
    """

    kind: int
    count: int
    data: bytes

    @classmethod
    def of_bytes(cls, data: bytes, kind: int = UNDEFINED) -> Field:
        """Make a field of values of one byte each."""
        return cls(kind, len(data), data)

    @classmethod
    def of_shorts(cls, *numbers: int) -> Field:
        """Make a field of numbers of 16 bits."""
        return cls(SHORT, len(numbers), struct.pack(f"<{len(numbers)}H", *numbers))

    @classmethod
    def of_longs(cls, *numbers: int) -> Field:
        """Make a field of numbers of 32 bits."""
        return cls(LONG, len(numbers), struct.pack(f"<{len(numbers)}I", *numbers))


@dataclass(frozen=True)
class Folder:
    """A directory: its fields by their tags, and the folders that some tags point to."""

    fields: dict[int, Field] = field(default_factory=dict)
    folders: dict[int, Folder] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.fields or self.folders)


class Budget:
    """Bytes that may be read of several directories: many may point to the same large value."""

    def __init__(self, left: int = _MAX_TOTAL) -> None:
        self.left = left

    def takes(self, n_bytes: int) -> bool:
        """Count bytes, unless they are too many."""
        fits = n_bytes <= min(self.left, _MAX_FIELD)
        self.left -= n_bytes if fits else 0
        return fits


def read_folder(
    directory: Directory,
    wanted: Callable[[int], bool] | None = None,
    *,
    deepest: int = _DEEPEST,
    budget: Budget | None = None,
) -> Folder:
    """Read a directory with the folders of EXIF in it; what makes no sense is left out.

    Integers of 64 bits become ones of 32 bits; those that do not fit are left out, too.

    Parameters
    ----------
    directory : Directory
    wanted : callable, optional
        Whether a tag is to be read; default: all.
    deepest : int
        How many folders may lie in each other.
    budget : Budget, optional
        What may be read of this and other directories; default: 64 MiB.
    """
    found = Folder()
    budget = Budget() if budget is None else budget
    inline = (directory.entry_bytes - 4) // 2
    for tag, (kind, count, _, place) in directory.entries.items():
        if wanted is not None and not wanted(tag) and tag not in _FOLDERS:
            continue
        single, size = SIZES.get(kind, (0, 0))
        length = count * size
        if not size:
            continue
        at = place + 4 + inline
        if length > inline:
            at = _offset(directory, at)
        if at + length > directory.size or not budget.takes(length):
            continue
        directory.file.seek(at)
        data = directory.file.read(length)
        if len(data) < length:
            continue
        if directory.order == ">" and single > 1:
            data = np.frombuffer(data, f">u{single}").astype(f"<u{single}").tobytes()
        value = _narrow(Field(kind, count, data))
        if value is None:
            continue
        if tag not in _FOLDERS:
            found.fields[tag] = value
        elif deepest and len(value.data) == 4:
            try:
                inner = directory_at(directory, int.from_bytes(value.data, "little"))
            except SyntaxError:
                continue
            folder = read_folder(inner, deepest=deepest - 1, budget=budget)
            if folder:
                found.folders[tag] = folder
    return found


def _narrow(value: Field) -> Field | None:
    """Give integers of 64 bits as ones of 32 bits, or None if they do not fit."""
    if value.kind not in _BIG:
        return value
    wide, narrow, kind = _BIG[value.kind]
    numbers = np.frombuffer(value.data, wide)
    fitting = numbers.astype(narrow)
    same = np.array_equal(numbers, fitting)
    return Field(kind, value.count, fitting.tobytes()) if same else None


def _offset(directory: Directory, at: int) -> int:
    """Read the offset that an entry holds at a place."""
    code, n_bytes = ("Q", 8) if directory.entry_bytes == 20 else ("I", 4)
    directory.file.seek(at)
    raw = directory.file.read(n_bytes).ljust(n_bytes, b"\0")
    found: int = struct.unpack(directory.order + code, raw)[0]
    return found


def parsed(structure: bytes) -> Folder:
    """Read the first directory of a TIFF structure; an empty folder if it is damaged."""
    try:
        for directory in directories(io.BytesIO(structure)):
            return read_folder(directory)
    except SyntaxError:
        pass
    return Folder()


def structure_of(folder: Folder) -> bytes:
    """Write a TIFF structure of one directory; b"" of an empty folder."""
    return b"II*\0\x08\0\0\0" + written(folder, 8) if folder else b""


def written(folder: Folder, at: int, following: Callable[[int], int] | int = 0) -> bytes:
    """Write a directory, and behind it the values that it has no room for and the folders.

    Parameters
    ----------
    folder : Folder
    at : int
        Where in the file it will be, an even number.
    following : int or callable
        Where the next directory is, perhaps by where this one ends.
    """
    tags = sorted([*folder.fields, *folder.folders])
    after = at + 2 + 12 * len(tags) + 4
    directory, body = struct.pack("<H", len(tags)), bytearray()
    for tag in tags:
        if tag in folder.folders:
            inner = after + len(body)
            body += written(folder.folders[tag], inner)
            directory += struct.pack("<HHII", tag, LONG, 1, inner)
            body += bytes(len(body) % 2)
            continue
        data = folder.fields[tag].data
        directory += struct.pack("<HHI", tag, folder.fields[tag].kind, folder.fields[tag].count)
        if len(data) <= 4:
            directory += data.ljust(4, b"\0")
        else:
            directory += struct.pack("<I", after + len(body))
            body += data + bytes(len(data) % 2)
    if callable(following):
        following = following(after + len(body))
    return directory + struct.pack("<I", following) + bytes(body)
