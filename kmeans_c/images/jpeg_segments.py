"""JPEG as a sequence of segments (ITU-T T.81, annex B): which of them the picture needs.

    SOI | segment | segment | ... | SOS header | entropy-coded data | DHT, SOS ... | EOI | trailer

A segment is FF, its marker and, but for SOI, EOI and RSTn, a big-endian length that counts itself.
A byte FF of entropy-coded data is followed by 00 or by a restart marker, D0 to D7.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

START = b"\xff\xd8"  # SOI, which has no contents
EOI, SOS, COM = 0xD9, 0xDA, 0xFE
APP0, APP15 = 0xE0, 0xEF

_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


class Segment(NamedTuple):
    """A segment, with the entropy-coded data behind it if it is the header of a scan.

    Attributes
    ----------
    marker : int
        The second byte.
    contents : bytes
        Without marker and length.
    whole : bytes
        As it stands in the file.
    """

    marker: int
    contents: bytes
    whole: bytes

    @property
    def is_metadata(self) -> bool:
        """Whether it is an application's segment or a comment."""
        return APP0 <= self.marker <= APP15 or self.marker == COM


def segments(data: bytes) -> Iterator[Segment]:
    """Yield the segments of a JPEG after SOI, up to EOI.

    Raises
    ------
    ValueError
        If the file does not consist of segments, or has no EOI.
    """
    at = 2
    while True:
        found = at
        while data[at : at + 2] == b"\xff\xff":  # fill bytes
            at += 1
        if data[at : at + 1] != b"\xff" or at + 2 > len(data):
            raise ValueError(f"no JPEG marker at byte {found}")
        marker = data[at + 1]
        if marker == EOI:
            yield Segment(marker, b"", data[at : at + 2])
            return
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if length < 2 or at + 2 + length > len(data):
            raise ValueError(f"a JPEG segment is cut short at byte {found}")
        contents = data[at + 4 : at + 2 + length]
        end = at + 2 + length
        if marker == SOS:
            following = _NEXT_MARKER.search(data, end)
            if following is None:
                raise ValueError("a JPEG scan has no end")
            end = following.start()
        yield Segment(marker, contents, data[at:end])
        at = end


def picture_bytes(data: bytes) -> int:
    """Count the bytes of a JPEG without metadata and without what follows the picture.

    Returns
    -------
    int
        All bytes, where the file does not consist of segments.
    """
    try:
        needed = sum(len(s.whole) for s in segments(data) if not s.is_metadata)
    except ValueError:
        return len(data)
    return 2 + needed
