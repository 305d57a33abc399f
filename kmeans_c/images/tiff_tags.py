"""The directories of a TIFF: tags and their values (TIFF 6.0, and BigTIFF).

::

    file       [ "II" or "MM" | 42 | offset of the first directory ]      (BigTIFF: 43, 8, 0)
    directory  [ n | n entries | offset of the next directory, or 0 ]
    entry      [ tag | type | count | values, or their offset if they are longer than this field ]

All that an entry says is compared with the size of the file before it is followed.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

# NumPy's names of the types that are read as numbers, by TIFF's codes: bytes (signed or not, and
# of undefined meaning), 16, 32 and 64 bits. Rationals are pairs of the fourth and the ninth.
_TYPES = {
    1: "u1",
    3: "u2",
    4: "u4",
    6: "i1",
    7: "u1",
    8: "i2",
    9: "i4",
    13: "u4",
    16: "u8",
    18: "u8",
}
_RATIONALS = {5: "u4", 10: "i4"}

# Values of one tag: 4 million strips, or a colour map of 16 bits, have less.
_MAX_COUNT = 1 << 22


class Directory(NamedTuple):
    """One directory.

    Attributes
    ----------
    file : binary file object
    size : int
        Of the file.
    order : {"<", ">"}
        The order of bytes.
    at : int
        Where the directory is.
    entry_bytes : int
        Of an entry: 12, of a BigTIFF 20.
    entries : dict
        Type, count and place of the values, and place of the entry, by tag. Of several entries of
        one tag the first.
    """

    file: BinaryIO
    size: int
    order: str
    at: int
    entry_bytes: int
    entries: dict[int, tuple[int, int, int, int]]

    def array(self, tag: int) -> NDArray[np.generic] | None:
        """Give the numbers of a tag; None if the directory has none.

        Raises
        ------
        SyntaxError
            If they are outside of the file, of no known type, or too many.
        """
        if tag not in self.entries:
            return None
        kind, count, at, _ = self.entries[tag]
        name = _TYPES.get(kind) or _RATIONALS.get(kind)
        if name is None or count > _MAX_COUNT:
            raise SyntaxError(f"tag {tag} has {count} values of type {kind}")
        dtype = np.dtype(self.order + name)
        length = count * dtype.itemsize * (2 if kind in _RATIONALS else 1)
        if at + length > self.size:
            raise SyntaxError(f"tag {tag} is cut short")
        self.file.seek(at)
        return np.frombuffer(self.file.read(length), dtype)

    def integers(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """Give the integers of a tag, or the default."""
        found = self.array(tag)
        if found is None or found.size == 0:
            return default
        if self.entries[tag][0] in _RATIONALS:
            raise SyntaxError(f"tag {tag} has fractions for integers")
        return tuple(found.tolist())

    def integer(self, tag: int, default: int | None = None) -> int:
        """Give the first integer of a tag, or the default.

        Raises
        ------
        SyntaxError
            If there is neither.
        """
        found = self.integers(tag)
        if found:
            return found[0]
        if default is None:
            raise SyntaxError(f"tag {tag} is missing")
        return default

    def fractions(self, tag: int) -> list[float] | None:
        """Give the fractions of a tag, or None."""
        found = self.array(tag)
        if found is None:
            return None
        if self.entries[tag][0] not in _RATIONALS:
            return [float(number) for number in found.tolist()]
        pairs = found.reshape(-1, 2).tolist()
        if not all(below for _, below in pairs):
            raise SyntaxError(f"tag {tag} has a fraction of denominator 0")
        return [above / below for above, below in pairs]

    def contents(self, tag: int) -> bytes:
        """Give the bytes of a tag of undefined type, or none."""
        found = self.array(tag)
        return b"" if found is None else found.tobytes()


def directories(file: BinaryIO) -> Iterator[Directory]:
    """Yield the directories in the order in which they follow each other.

    It ends at a directory that was there before.

    Raises
    ------
    SyntaxError
        If one is outside of the file, or cut short.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    start = file.read(16).ljust(16, b"\0")
    order = "<" if start[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", start, 2)[0] == 43
    number = order + ("Q" if big else "I")
    at: int = struct.unpack_from(number, start, 8 if big else 4)[0]
    if at == 0:
        raise SyntaxError("there is no directory")
    seen: set[int] = set()
    while at and at not in seen:
        seen.add(at)
        directory, at = _directory(file, size, order, at, big=big)
        yield directory


def _directory(
    file: BinaryIO, size: int, order: str, at: int, *, big: bool
) -> tuple[Directory, int]:
    """Read the directory at a place, and where the next one is."""
    head, entry, offset = ("Q", 20, "Q") if big else ("H", 12, "I")
    n_bytes = struct.calcsize(head)
    file.seek(min(at, size))
    raw = file.read(n_bytes)
    if len(raw) < n_bytes:
        raise SyntaxError("a directory is outside of the file")
    (n,) = struct.unpack(order + head, raw)
    raw = file.read(min(n, 1 << 16) * entry)
    if n > 1 << 16 or len(raw) < n * entry:
        raise SyntaxError("a directory is cut short")
    field = struct.calcsize(offset)
    # Some files end after their last entry.
    (following,) = struct.unpack(order + offset, file.read(field).ljust(field, b"\0"))
    layout = order + "HH" + offset
    entries: dict[int, tuple[int, int, int, int]] = {}
    for number in range(n):
        tag, kind, count = struct.unpack_from(layout, raw, number * entry)
        place = at + n_bytes + number * entry
        values_at = place + 4 + field
        name = _TYPES.get(kind) or _RATIONALS.get(kind) or "u1"
        length = count * np.dtype(name).itemsize * (2 if kind in _RATIONALS else 1)
        if length > field:
            (values_at,) = struct.unpack_from(order + offset, raw, number * entry + 4 + field)
        entries.setdefault(tag, (kind, count, values_at, place))
    return Directory(file, size, order, at, entry, entries), following


def directory_at(beside: Directory, at: int) -> Directory:
    """Read another directory of the same file, to which a tag points.

    Raises
    ------
    SyntaxError
        If it is outside of the file, or cut short.
    """
    big = beside.entry_bytes == 20
    return _directory(beside.file, beside.size, beside.order, at, big=big)[0]
