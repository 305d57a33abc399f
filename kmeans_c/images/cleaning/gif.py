"""GIF without comments and without the data of applications (GIF89a)."""

from __future__ import annotations

from kmeans_c.images.cleaning.needed import Needed

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_COMMENT, _APPLICATION = 0xFE, 0xFF

# How often the animation plays, and a profile.
_APPLICATIONS = (b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012")


def cleaned(data: bytes, _needed: Needed) -> bytes:
    """Leave out comments, XMP, what other applications wrote, and what follows the end.

    Raises
    ------
    ValueError
        If the file does not consist of blocks, or has no end.
    """
    at = 13 + _table(data, 10)
    parts = [data[:at]]
    while True:
        if at >= len(data):
            raise ValueError("the GIF has no end")
        start, label = at, data[at : at + 2]
        if label[0] == _TRAILER:
            return b"".join([*parts, data[at : at + 1]])
        if label[0] == _EXTENSION:
            at = _after_blocks(data, at + 2)
            name = data[start + 3 : start + 14]
            foreign = label[1:] == bytes([_APPLICATION]) and name not in _APPLICATIONS
            if not foreign and label[1:] != bytes([_COMMENT]):
                parts.append(data[start:at])
        elif label[0] == _IMAGE:
            at = _after_blocks(data, at + 11 + _table(data, at + 9))
            parts.append(data[start:at])
        else:
            raise ValueError(f"no GIF block at byte {at}")


def _table(data: bytes, at: int) -> int:
    """Count the bytes of the colour table that the flags at a byte announce."""
    flags = data[at] if at < len(data) else 0
    return 3 * (2 << (flags & 7)) if flags & 0x80 else 0


def _after_blocks(data: bytes, at: int) -> int:
    """Give the place behind a sequence of data blocks."""
    while at < len(data) and data[at]:
        at += data[at] + 1
    return at + 1
