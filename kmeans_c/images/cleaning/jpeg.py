"""JPEG without the segments of metadata."""

from __future__ import annotations

import struct

from kmeans_c.images.cleaning.needed import Needed
from kmeans_c.images.jpeg_segments import APP0, START, Segment, segments

_APP1, _APP2, _APP14 = 0xE1, 0xE2, 0xEE

# JFIF's header: name, version (2 bytes) | unit | width and height of a pixel | size of a thumbnail
_UNIT = 7
_SQUARE_PIXELS = b"\0" + struct.pack(">HH", 1, 1)


def cleaned(data: bytes, needed: Needed) -> bytes:
    """Leave out what tells more than `needed`: EXIF, XMP, IPTC, comments, thumbnails, trailers.

    JFIF's header stays without its thumbnail, as do the ICC profile and Adobe's segment, which says
    what the components are.

    Raises
    ------
    ValueError
        If the file does not consist of segments.
    """
    found = list(segments(data))
    header = next((s.contents for s in found if _is_jfif(s)), None)
    parts = [START]
    with_dpi = True
    if header is not None:
        header = header[:12].ljust(12, b"\0")
        with_dpi = header[_UNIT] == 0
        if needed.dpi is None and header[_UNIT + 1 : _UNIT + 3] == header[_UNIT + 3 : _UNIT + 5]:
            header = header[:_UNIT] + _SQUARE_PIXELS
        elif needed.dpi is None:
            header = header[:_UNIT] + b"\0" + header[_UNIT + 1 :]
        parts.append(_segment(APP0, header + b"\0\0"))
    exif = needed.exif(with_dpi=with_dpi)
    if exif:
        parts.append(_segment(_APP1, b"Exif\0\0" + exif))
    parts += [s.whole for s in found if not s.is_metadata or _is_color(s)]
    return b"".join(parts)


def _is_jfif(segment: Segment) -> bool:
    return segment.marker == APP0 and segment.contents.startswith(b"JFIF\0")


def _is_color(segment: Segment) -> bool:
    profile = segment.marker == _APP2 and segment.contents.startswith(b"ICC_PROFILE\0")
    return profile or (segment.marker == _APP14 and segment.contents.startswith(b"Adobe"))


def _segment(marker: int, contents: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(contents) + 2) + contents
