"""TIFF and BMP, from which little can be left out."""

from __future__ import annotations

import io
import struct
from typing import Any, cast

from kmeans_c.images.cleaning.needed import Needed
from kmeans_c.images.decoders import opened

# Tags that say how the pixels are stored and what they mean (TIFF 6.0, and ICC's profile).
_STRUCTURE = frozenset(
    (
        *range(254, 260),
        *range(262, 267),
        *(273, 274),
        *range(277, 282),
        *range(288, 294),
        *(284, 297, 301),
        *range(317, 326),
        330,
        *(332, 334, 336),
        *range(338, 342),
        *(347, 529, 530, 531, 532, 34675),
    )
)
_RESOLUTION = (282, 283, 296)

_BMP_RESOLUTION = 38
_BMP_INFO = 40


def cleaned(data: bytes, needed: Needed) -> bytes:
    """Give a TIFF as it is, if no page has a tag of metadata that is not `needed`.

    Raises
    ------
    ValueError
        If one has: tags can't be left out without moving the pixels.
    """
    image: Any = opened(io.BytesIO(data))
    allowed = _STRUCTURE | needed.tags
    if needed.dpi is not None:
        allowed |= set(_RESOLUTION)
    page = 0
    while True:
        more = set(image.tag_v2) - allowed
        if needed.dpi is None and more <= set(_RESOLUTION) and _without_unit(image):
            more = set()
        if more:
            raise ValueError(f"the TIFF has the tags {sorted(more)}")
        page += 1
        try:
            image.seek(page)
        except EOFError:
            return data


def _without_unit(image: Any) -> bool:
    """Whether the resolution only gives the shape of a pixel, which is square."""
    tags = image.tag_v2
    unit = cast("int", tags.get(296, 2))
    return tags.get(282) == tags.get(283) and (unit == 1 or tags.get(282) in (None, 0, 1))


def cleaned_bmp(data: bytes, needed: Needed) -> bytes:
    """Set the resolution of a BMP to zero unless it is needed."""
    (header,) = struct.unpack_from("<I", data, 14)
    if needed.dpi is not None or header < _BMP_INFO:
        return data
    return data[:_BMP_RESOLUTION] + bytes(8) + data[_BMP_RESOLUTION + 8 :]
