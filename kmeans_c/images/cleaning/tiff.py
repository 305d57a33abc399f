"""TIFF and BMP, from which little can be left out.

A TIFF is kept only if it is known to hold nothing but pixels and what a policy lets through: its
directories consist of the tags listed here, with the type and count that they should have, each
once; the strips hold pixels only; and no byte lies outside of all these.
"""

from __future__ import annotations

import io
import re
import struct
from typing import NamedTuple

import numpy as np

from kmeans_c.images import tiff_layout as tl
from kmeans_c.images.cleaning.needed import Needed
from kmeans_c.images.cleaning.tiff_strips import check_strips, check_tables
from kmeans_c.images.fields import SIZES
from kmeans_c.images.metadata import GEOREFERENCE
from kmeans_c.images.tiff_tags import Directory, directories

_INTEGERS = (1, 3, 4, 16)
_TEXT, _FRACTIONS, _BYTES = (2,), (5,), (1, 7)

_ONE, _PER_SAMPLE, _SEGMENTS, _COLORS, _ANY = 1, "samples", "segments", "colors", "any"
_PAGE_NUMBER, _ICC = 297, 34675
_RESOLUTION, _UNIT = (282, 283), 296

_Rule = tuple[tuple[int, ...], int | str]

# Tags that say how the pixels are stored and what they mean (TIFF 6.0, and ICC's profile): types
# and count of the values.
_STRUCTURE: dict[int, _Rule] = {
    **dict.fromkeys((254, 255, 256, 257, 259, 262, 263, 264, 265, 266), (_INTEGERS, _ONE)),
    **dict.fromkeys((274, 277, 278, 284, 290, 292, 293, 317), (_INTEGERS, _ONE)),
    **dict.fromkeys((322, 323, 332, 334, 531), (_INTEGERS, _ONE)),
    **dict.fromkeys((258, 280, 281, 338, 339), (_INTEGERS, _PER_SAMPLE)),
    **dict.fromkeys((273, 279, 324, 325), (_INTEGERS, _SEGMENTS)),
    **dict.fromkeys((_PAGE_NUMBER, 321, 530), (_INTEGERS, 2)),
    318: (_FRACTIONS, 2),
    529: (_FRACTIONS, 3),
    **dict.fromkeys((319, 532), (_FRACTIONS, 6)),
    tl.COLOR_MAP: ((3,), _COLORS),
    tl.JPEG_TABLES: (_BYTES, _ANY),
    _ICC: (_BYTES, _ANY),
}
# What a policy may let through.
_TEXTS = (285, 315, 33432, 34737, 42112, 42113, 50909)
_DESCRIPTIVE: dict[int, _Rule] = {
    **dict.fromkeys(GEOREFERENCE, ((12, 3), _ANY)),
    **dict.fromkeys(_TEXTS, (_TEXT, _ANY)),
    _PAGE_NUMBER: (_INTEGERS, 2),
}

# What may lie between the parts: zeros, and the header of a page that was a file before (Pillow).
_PADDING = re.compile(rb"\0*(?:(?:II[*+]\0|MM\0[*+])[\0-\xff]{0,4}\0*)?", re.DOTALL)

# Entries of all directories that are looked at.
_MAX_ENTRIES = 1 << 20

_BMP_RESOLUTION = 38
_BMP_INFO = 40


class _Value(NamedTuple):
    kind: int
    n_values: int
    at: int
    n_bytes: int


def cleaned(data: bytes, needed: Needed) -> bytes:
    """Give a TIFF as it is, if it holds nothing beside its pixels that is not `needed`.

    Raises
    ------
    ValueError
        If it may: tags can't be left out without moving the pixels.
    """
    try:
        _check(data, needed)
    except (SyntaxError, OSError, struct.error) as error:
        raise ValueError(f"the TIFF is not of a known structure: {error}") from error
    return data


def _check(data: bytes, needed: Needed) -> None:
    starts: list[int] = [0]
    ends: list[int] = [16 if 43 in (data[2], data[3]) else 8]
    total = 0
    for directory in directories(io.BytesIO(data)):
        values = _values(directory, data)
        total += len(values)
        if total > _MAX_ENTRIES:
            raise ValueError("the TIFF has too many tags")
        big = directory.entry_bytes == 20
        field, head = (8, 8) if big else (4, 2)
        starts.append(directory.at)
        ends.append(directory.at + head + len(values) * directory.entry_bytes + field)
        for value in values.values():
            if value.n_bytes > field:
                starts.append(value.at)
                ends.append(value.at + value.n_bytes)
        layout = tl.layout_of(directory)
        for tag, value in values.items():
            _check_tag(tag, value, directory, layout, needed)
        profile = directory.contents(_ICC)
        if profile and (len(profile) != int.from_bytes(profile[:4], "big")):
            raise ValueError("the profile has another size than it says")
        if layout.tables:
            check_tables(layout.tables)
        if (layout.counts < 0).any() or (layout.offsets < 0).any():
            raise ValueError("nothing says how long the strips are")
        check_strips(data, layout, needed)
        starts += layout.offsets.tolist()
        ends += (layout.offsets + layout.counts).tolist()
    _check_gaps(data, starts, ends)


def _values(directory: Directory, data: bytes) -> dict[int, _Value]:
    """Find the values of all tags.

    Raises
    ------
    ValueError
        If a tag is there twice, or of a type that is unknown.
    """
    big = directory.entry_bytes == 20
    (n,) = struct.unpack_from(directory.order + ("Q" if big else "H"), data, directory.at)
    if n != len(directory.entries):
        raise ValueError("the TIFF has a tag twice")
    field, code = (8, "Q") if big else (4, "I")
    values = {}
    for tag, (kind, count, _, place) in directory.entries.items():
        if kind not in SIZES:
            raise ValueError(f"tag {tag} is of the unknown type {kind}")
        n_bytes = count * SIZES[kind][1]
        at = place + 4 + field
        if n_bytes > field:
            (at,) = struct.unpack_from(directory.order + code, data, at)
        if at + n_bytes > len(data):
            raise ValueError(f"tag {tag} is cut short")
        values[tag] = _Value(kind, count, at, n_bytes)
    return values


def _check_tag(
    tag: int, value: _Value, directory: Directory, layout: tl.Layout, needed: Needed
) -> None:
    """Refuse a tag that is not allowed, or has other values than it should have."""
    rule = (_DESCRIPTIVE if tag in needed.tags else _STRUCTURE).get(tag)
    allowed = rule is not None and (tag != tl.JPEG_TABLES or layout.compression == tl.JPEG)
    if tag in _RESOLUTION or tag == _UNIT:
        rule = (_INTEGERS if tag == _UNIT else _FRACTIONS), _ONE
        allowed = needed.dpi is not None or _without_unit(directory)
    if rule is None or not allowed:
        raise ValueError(f"the TIFF has the tag {tag}")
    kinds, count = rule
    if value.kind not in kinds or value.n_values not in _counts(count, value, layout):
        raise ValueError(f"tag {tag} has {value.n_values} values of type {value.kind}")


def _counts(rule: int | str, value: _Value, layout: tl.Layout) -> tuple[int, ...]:
    """Say how many values a tag may have."""
    if isinstance(rule, int):
        return (rule,)
    if rule == _PER_SAMPLE:
        return tuple(range(1, layout.samples + 1))
    if rule == _SEGMENTS:
        return (len(layout.offsets),)
    return (3 << layout.bits,) if rule == _COLORS else (value.n_values,)


def _without_unit(directory: Directory) -> bool:
    """Whether the resolution only gives the shape of a pixel, which is square."""
    x, y = (directory.array(tag) for tag in _RESOLUTION)
    if (x is None) != (y is None):
        return False
    if x is None or y is None:
        return True
    unit = directory.integer(_UNIT, 2)
    same = x.tolist() == y.tolist()
    return same and (unit == 1 or x.tolist() in ([1, 1], [0, 1]))


def _check_gaps(data: bytes, starts: list[int], ends: list[int]) -> None:
    """Refuse bytes that no directory refers to, other than padding."""
    order = np.argsort(np.array(starts), kind="stable")
    firsts = np.append(np.array(starts)[order], len(data))
    reached = np.append(0, np.maximum.accumulate(np.array(ends)[order]))
    for gap in np.flatnonzero(firsts > reached):
        if not _PADDING.fullmatch(data, int(reached[gap]), int(firsts[gap])):
            raise ValueError(f"nothing refers to the bytes from {reached[gap]} on")


def cleaned_bmp(data: bytes, needed: Needed) -> bytes:
    """Set the resolution of a BMP to zero unless it is needed."""
    (header,) = struct.unpack_from("<I", data, 14)
    if needed.dpi is not None or header < _BMP_INFO:
        return data
    return data[:_BMP_RESOLUTION] + bytes(8) + data[_BMP_RESOLUTION + 8 :]
