"""IPTC data (IIM): where JPEG, TIFF and PNG have them.

A JPEG holds Photoshop's image resources in APP13, of which number 0x0404 is the IPTC data; a TIFF
has a tag for these resources and one for the data themselves. PNG has no place of its own:
ImageMagick's text "Raw profile type iptc" is what others read, in hexadecimal digits.

::

    resource  [ "8BIM" | number | name as a Pascal string, padded | length | contents, padded ]
"""

import re
import struct

NUMBER = 0x0404
_PHOTOSHOP = b"Photoshop 3.0\0"
PNG_KEY = "Raw profile type iptc"

# A JPEG segment less its length.
_SEGMENT = 65533

_LARGEST = 1 << 24


def of_resources(resources: bytes) -> bytes | None:
    """Find the IPTC data among Photoshop's image resources."""
    at = 0
    while resources[at : at + 4] == b"8BIM" and at + 7 <= len(resources):
        number, name = struct.unpack_from(">HB", resources, at + 4)
        at += 6 + (name + 2) // 2 * 2
        if at + 4 > len(resources):
            return None
        (length,) = struct.unpack_from(">I", resources, at)
        if number == NUMBER:
            return resources[at + 4 : at + 4 + length] or None
        at += 4 + (length + 1) // 2 * 2
    return None


def resource(data: bytes) -> bytes:
    """Write IPTC data as an image resource."""
    head = b"8BIM" + struct.pack(">HHI", NUMBER, 0, len(data))
    return head + data + bytes(len(data) % 2)


def jpeg_segment(data: bytes) -> bytes | None:
    """Write IPTC data as a segment of a JPEG; None if they are too long for one."""
    contents = _PHOTOSHOP + resource(data)
    if len(contents) > _SEGMENT:
        return None
    return b"\xff\xed" + struct.pack(">H", len(contents) + 2) + contents


def of_png_text(text: str) -> bytes | None:
    """Read ImageMagick's raw profile: a line with the name, one with the length, then digits."""
    found = re.fullmatch(r"\s*\w+\s+(\d+)\s+([0-9a-fA-F\s]+)", text)
    if found is None or len(text) > 3 * _LARGEST:
        return None
    try:
        data = bytes.fromhex("".join(found[2].split()))
    except ValueError:
        return None
    return of_resources(data) if data.startswith(b"8BIM") else data


def png_text(data: bytes) -> bytes:
    """Write ImageMagick's raw profile."""
    contents = resource(data)
    digits = contents.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return f"\niptc\n{len(contents):8}\n{lines}\n".encode("ascii")
