"""The little of EXIF that is read and written here: the first directory of a TIFF structure.

The bytes come from strangers: nothing in them is trusted, and what makes no sense is not there.
"""

import struct
from collections.abc import Iterator, Mapping

ARTIST = 0x013B
COPYRIGHT = 0x8298
ORIENTATION = 0x0112

_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}

_ASCII, _SHORT, _LONG, _RATIONAL = 2, 3, 4, 5

# A text in EXIF has no limit of its own; longer ones are no name and no notice.
_MAX_TEXT = 4096


def sound(exif: bytes) -> bool:
    """Whether there is a first directory, all of it."""
    order = _ORDERS.get(exif[:4])
    if order is None or len(exif) < 8:
        return False
    (start,) = struct.unpack_from(f"{order}I", exif, 4)
    if start + 2 > len(exif):
        return False
    (count,) = struct.unpack_from(f"{order}H", exif, start)
    return bool(start + 2 + 12 * count <= len(exif))


def texts(exif: bytes) -> dict[int, bytes]:
    """Give the texts of the first directory by their tags, without the NUL that ends them.

    Parameters
    ----------
    exif : bytes
        A TIFF structure, from its byte order on.
    """
    found = {}
    for order, tag, kind, count, at in _entries(exif):
        if kind != _ASCII or count > _MAX_TEXT:
            continue
        start = at if count <= 4 else struct.unpack_from(f"{order}I", exif, at)[0]
        text = exif[start : start + count].split(b"\0", 1)[0].strip()
        if text:
            found[tag] = text
    return found


def upright(exif: bytes) -> bytes:
    """Set the orientation to 1, as that of pixels that stand upright; all else stays, byte by byte.

    The maker's notes hold offsets that only they understand, so nothing may be moved.
    """
    changed = bytearray(exif)
    for order, tag, kind, count, at in _entries(exif):
        if tag == ORIENTATION and count == 1 and kind in (_SHORT, _LONG):
            struct.pack_into(f"{order}{'H' if kind == _SHORT else 'I'}", changed, at, 1)
    return bytes(changed)


def written(
    fields: Mapping[int, bytes], dpi: tuple[float, float] | None = None, orientation: int = 1
) -> bytes:
    """Write a TIFF structure of one directory with texts and a resolution; b"" if there are none.

    Parameters
    ----------
    fields : mapping of int to bytes
        Texts by their tags.
    dpi : (x, y), optional
        Pixels per inch, in thousandths exactly.
    orientation : int
        1..8; 1, the default, is not written.
    """
    entries = [(tag, _ASCII, len(text) + 1, text + b"\0") for tag, text in fields.items()]
    if dpi is not None:
        for tag, number in zip((_X_RESOLUTION, _Y_RESOLUTION), dpi, strict=True):
            entries.append((tag, _RATIONAL, 1, struct.pack("<II", round(number * 1000), 1000)))
        entries.append((_RESOLUTION_UNIT, _SHORT, 1, struct.pack("<H", 2)))
    if orientation != 1:
        entries.append((ORIENTATION, _SHORT, 1, struct.pack("<H", orientation)))
    if not entries:
        return b""
    at = 8 + 2 + 12 * len(entries) + 4
    directory, body = struct.pack("<H", len(entries)), b""
    for tag, kind, count, value in sorted(entries):
        directory += struct.pack("<HHI", tag, kind, count)
        if len(value) <= 4:
            directory += value.ljust(4, b"\0")
        else:
            directory += struct.pack("<I", at + len(body))
            body += value + b"\0" * (len(value) % 2)
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", 0) + body


def _entries(exif: bytes) -> Iterator[tuple[str, int, int, int, int]]:
    """Yield byte order, tag, type, count and the place of the value or of its offset."""
    if not sound(exif):
        return
    order = _ORDERS[exif[:4]]
    (start,) = struct.unpack_from(f"{order}I", exif, 4)
    (count,) = struct.unpack_from(f"{order}H", exif, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        yield order, *struct.unpack_from(f"{order}HHI", exif, at), at + 8
