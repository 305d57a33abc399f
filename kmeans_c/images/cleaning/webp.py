"""WebP without the chunks of metadata."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from kmeans_c.images.cleaning.needed import Needed

# What the picture consists of; EXIF and XMP, and unknown chunks, are left out.
_NEEDED = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP")

_EXIF_FLAG, _XMP_FLAG = 0x08, 0x04  # in the first byte of VP8X


def cleaned(data: bytes, needed: Needed) -> bytes:
    """Leave out XMP, unknown chunks and what follows the file; write EXIF anew.

    Raises
    ------
    ValueError
        If the file does not consist of chunks.
    """
    found = [(name, contents) for name, contents in _chunks(data) if name in _NEEDED]
    exif = needed.exif(with_dpi=True)
    extended = next((contents for name, contents in found if name == b"VP8X"), None)
    if exif and extended is not None:
        found.append((b"EXIF", exif))
    body = b""
    for name, contents in found:
        if name == b"VP8X":
            flags = contents[0] & ~(_EXIF_FLAG | _XMP_FLAG) | (_EXIF_FLAG if exif else 0)
            contents = bytes([flags]) + contents[1:]  # noqa: PLW2901 - what is written of it
        body += name + struct.pack("<I", len(contents)) + contents + b"\0" * (len(contents) % 2)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    (size,) = struct.unpack_from("<I", data, 4)
    end = min(8 + size, len(data))
    at = 12
    while at + 8 <= end:
        name, length = struct.unpack_from("<4sI", data, at)
        if at + 8 + length > end:
            raise ValueError("a WebP chunk is cut short")
        yield name, data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
