"""The tags of a TIFF: which describe the picture, which are data, and which only its storage.

=====================================  ==========================================================
tags                                   what they are here
=====================================  ==========================================================
sizes, strips, samples, colour map...  storage: written anew
282, 283, 296                          resolution
description, make, software, dates...  EXIF, with its folders (34665, 34853)
285 PageName, 297 PageNumber           the page's place in the document
33550, 33922, 34264, 34735 to 34737... GeoTIFF: where the raster lies. What makes a map useful is
                                       data, other than the place where a photographer stood
42112 GDAL_METADATA                    the same
42113 GDAL_NODATA                      a pixel's value, which no palette entry has: left out
37724 ImageSourceData                  Photoshop's layers: left out
700, 33723, 34377                      XMP, IPTC, Photoshop's image resources (for IPTC's sake)
all others                             unknown: data of some program
=====================================  ==========================================================
"""

from __future__ import annotations

import math
import struct
from typing import BinaryIO, NamedTuple

import numpy as np

from kmeans_c.images import iptc
from kmeans_c.images.fields import (
    BYTE,
    EXIF,
    GPS,
    LONG,
    RATIONAL,
    Budget,
    Field,
    Folder,
    parsed,
    read_folder,
    structure_of,
)
from kmeans_c.images.metadata import GEOREFERENCE, PAGE, SAFE_TAGS, Metadata
from kmeans_c.images.orientation import SIDEWAYS
from kmeans_c.images.tiff_layout import further_samples
from kmeans_c.images.tiff_tags import Directory, directories

ICC, XMP, IPTC = 34675, 700, 33723
_RESOURCES = 34377
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_ORIENTATION = 274
_NEW_SUBFILE, _SUBFILE, _SUB_DIRECTORIES = 254, 255, 330
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_LAYERS, _NO_DATA = 37724, 42113

# TIFF 6.0, its technical notes, and what is only of use to the program that wrote the file.
_STORAGE = {
    *range(254, 269), 273, 274, *range(277, 282), 284, *range(288, 294), 301, 317, 318, 319,
    *range(320, 329), 330, *range(332, 351), *range(400, 406), *range(512, 533), 34675,
    50341, 59932, 59933, 0x8769, 0x8825, 0xA005,
}  # fmt: skip

# What describes the picture: TIFF's own, Windows' XP titles and ratings, EXIF's tags where a
# program has put them into the first directory.
_DESCRIPTIVE = {
    269, 270, 271, 272, 286, 287, 305, 306, 315, 316, 18246, 18249, 33432, 33434, 33437,
    *range(34850, 34867), *range(36864, 37523), *range(40091, 40096), *range(40960, 42112),
    *range(42240, 42242),
}  # fmt: skip

# What "safe" lets through, and the no-data value, which an original may keep.
SAFE_TIFF_TAGS = frozenset((*SAFE_TAGS, *PAGE, *GEOREFERENCE, _NO_DATA))

# Directories of a chain that are looked at.
_MAX_PAGES = 1 << 16

_IIM = 0x1C  # how IPTC data begin

_MAX_DPI = 1_000_000.0
_CM_PER_INCH = 2.54


class Chain(NamedTuple):
    """The directories of a file, one after the other.

    Attributes
    ----------
    directories : list of Directory
        As far as they can be read.
    pages : list of int
        Which of them are pages.
    losses : tuple of str
        What the others are.
    budget : Budget
        What may be read of all of them.
    """

    directories: list[Directory]
    pages: list[int]
    losses: tuple[str, ...]
    budget: Budget

    def numbers(self, n: int) -> list[int]:
        """Say which of the `n` directories that a decoder finds are pages."""
        return [k for k in self.pages if k < n] + list(range(len(self.directories), n))

    def metadata(
        self, number: int, icc: bytes | None, *, sideways: bool | None = None
    ) -> tuple[Metadata, tuple[str, ...]]:
        """Read what a directory says, see `read_tiff_metadata`; nothing of a damaged one."""
        if number >= len(self.directories):
            return Metadata(icc=icc), ()
        return read_tiff_metadata(
            self.directories[number], icc, sideways=sideways, budget=self.budget
        )


def read_chain(file: BinaryIO) -> Chain:
    """Tell pages from reduced-size images and masks."""
    found: list[Directory] = []
    try:
        for directory in directories(file):
            found.append(directory)
            if len(found) == _MAX_PAGES:
                break
    except SyntaxError:  # the decoder says more, if anybody wants that page
        pass
    kinds = [_subfile_type(directory) for directory in found]
    pages = [number for number, kind in enumerate(kinds) if not kind & (_REDUCED | _MASK)]
    reduced = sum(1 for kind in kinds if kind & _REDUCED)
    masks = sum(1 for kind in kinds if kind & _MASK and not kind & _REDUCED)
    if not pages:  # a thumbnail is better than nothing
        pages = [0]
        reduced -= bool(kinds and kinds[0] & _REDUCED)
    inner = sum(_count(directory, _SUB_DIRECTORIES) for directory in found)
    file.seek(0)
    counts = (
        (reduced, "reduced-size image is", "reduced-size images are"),
        (masks, "transparency mask is", "transparency masks are"),
        (inner, "image in SubIFDs is", "images in SubIFDs are"),
    )
    losses = [f"{n} {one if n == 1 else more} left out" for n, one, more in counts if n > 0]
    return Chain(found, pages, tuple(losses), Budget())


def read_tiff_metadata(
    directory: Directory,
    icc: bytes | None,
    *,
    sideways: bool | None = None,
    budget: Budget | None = None,
) -> tuple[Metadata, tuple[str, ...]]:
    """Read what a page says, and name what no output can hold.

    Parameters
    ----------
    directory : Directory
    icc : bytes or None
        The profile of the pixels as they will be.
    sideways : bool, optional
        Whether the orientation exchanges width and height; default: as the page's tag says.
    budget : Budget, optional
        See `read_folder`.
    """
    folder = read_folder(directory, _is_carried, budget=budget)
    fields = folder.fields
    orientation = _short(fields.get(_ORIENTATION)) or 1
    losses = []
    n_further = further_samples(directory)
    if n_further:
        losses.append(
            f"{n_further} further channels are left out"
            if n_further > 1
            else "1 further channel is left out"
        )
    exif = Folder(
        {tag: value for tag, value in fields.items() if tag in _DESCRIPTIVE}, folder.folders
    )
    tags = {
        tag: value
        for tag, value in fields.items()
        if tag not in _DESCRIPTIVE and tag not in _SPECIAL
    }
    if _LAYERS in fields:
        losses.append("the layers (Photoshop) are left out")
    if _NO_DATA in fields:
        losses.append("the no-data value (GDAL) is left out: a palette's indices are others")
    if orientation != 1 and any(tag in tags for tag in GEOREFERENCE):
        losses.append("the georeference is left out: the picture was turned")
        tags = {tag: value for tag, value in tags.items() if tag not in GEOREFERENCE}
    dpi = _dpi(fields)
    sideways = orientation in SIDEWAYS if sideways is None else sideways
    xmp = fields.get(XMP)
    return Metadata(
        icc=icc,
        exif=structure_of(exif) or None,
        xmp=(xmp.data.rstrip(b"\0") or None) if xmp is not None else None,
        dpi=dpi[::-1] if dpi and sideways else dpi,
        iptc=_iptc(fields),
        tags=tuple(sorted(tags.items())),
        unread=tuple(sorted(tag for tag in directory.entries if _is_unread(tag, folder))),
    ), tuple(losses)


def tiff_folder(metadata: Metadata) -> Folder:
    """Give the fields of a TIFF page for metadata as `metadata.kept` returns them."""
    exif = parsed(metadata.exif) if metadata.exif else Folder()
    fields = {tag: value for tag, value in exif.fields.items() if tag in _DESCRIPTIVE}
    fields |= dict(metadata.tags)
    if metadata.dpi:
        for tag, number in zip((_X_RESOLUTION, _Y_RESOLUTION), metadata.dpi, strict=True):
            fields[tag] = Field(RATIONAL, 1, struct.pack("<II", *_ratio(number)))
        fields[_RESOLUTION_UNIT] = Field.of_shorts(2)
    if metadata.xmp:
        fields[XMP] = Field.of_bytes(metadata.xmp, BYTE)
    if metadata.iptc:
        fields[IPTC] = Field.of_bytes(metadata.iptc)
    if metadata.icc:
        fields[ICC] = Field.of_bytes(metadata.icc)
    return Folder(fields, exif.folders)


_SPECIAL = {
    _X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _ORIENTATION, XMP, IPTC, _RESOURCES, _LAYERS,
    _NO_DATA,
}  # fmt: skip


def _is_carried(tag: int) -> bool:
    return tag not in _STORAGE or tag == _ORIENTATION


def _is_unread(tag: int, folder: Folder) -> bool:
    carried = _is_carried(tag) or tag in (EXIF, GPS)
    return carried and tag not in folder.fields and tag not in folder.folders


def _subfile_type(directory: Directory) -> int:
    """Give NewSubfileType; SubfileType, which came before it, says 2 for a reduced-size image."""
    try:
        kind = directory.integer(_NEW_SUBFILE, 0)
        if kind == 0 and directory.integer(_SUBFILE, 1) == 2:
            kind = _REDUCED
    except SyntaxError:
        return 0
    return kind


def _count(directory: Directory, tag: int) -> int:
    count = directory.entries[tag][1] if tag in directory.entries else 0
    return count if 4 * count <= directory.size else 0


def _short(value: Field | None) -> int | None:
    return None if value is None or not value.data else int.from_bytes(value.data[:2], "little")


def _dpi(fields: dict[int, Field]) -> tuple[float, float] | None:
    unit = _short(fields.get(_RESOLUTION_UNIT)) or 2
    numbers = []
    for tag in (_X_RESOLUTION, _Y_RESOLUTION):
        value = fields.get(tag)
        if value is None or len(value.data) != 8 or unit not in (2, 3):
            return None
        above, below = struct.unpack("<II", value.data)
        number = above / below if below else math.inf
        numbers.append(number * _CM_PER_INCH if unit == 3 else number)
    x, y = numbers
    return (x, y) if all(0 < number < _MAX_DPI for number in numbers) else None


def _ratio(number: float) -> tuple[int, int]:
    """Give the fraction of 32-bit numbers that is nearest to a resolution below a million."""
    from fractions import Fraction  # noqa: PLC0415 - 3 ms, and few images are TIFF

    near = Fraction(number).limit_denominator(4000)
    return near.numerator, near.denominator


def _iptc(fields: dict[int, Field]) -> bytes | None:
    own = fields.get(IPTC)
    if own is not None and own.data:
        data = own.data
        if own.kind == LONG and data[0] != _IIM and data[3] == _IIM:  # libtiff writes bytes so
            data = np.frombuffer(data, "<u4").byteswap().tobytes()
        return data
    resources = fields.get(_RESOURCES)
    return None if resources is None else iptc.of_resources(resources.data)
