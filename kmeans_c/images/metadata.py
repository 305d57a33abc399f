"""Metadata: what a file says beside its pixels, and what of it is written again.

==================================  ======  ======  ======  ======================================
what                                none    safe    keep    formats that hold it
==================================  ======  ======  ======  ======================================
ICC profile of the pixels           yes     yes     yes     PNG, JPEG, WebP, TIFF
resolution                          -       yes     yes     PNG, JPEG, BMP, TIFF; WebP in EXIF
artist and copyright                -       yes     yes     PNG, JPEG, WebP, TIFF
name and number of a TIFF's page    -       yes     yes     TIFF
georeference (GeoTIFF, GDAL)        -       yes     yes     TIFF
EXIF: place, times, maker's notes   -       -       yes     PNG, JPEG, WebP, TIFF
XMP                                 -       -       yes     PNG, JPEG, WebP, TIFF
IPTC                                -       -       yes     JPEG, TIFF, PNG (as ImageMagick does)
texts and comments                  -       -       yes     PNG; JPEG and GIF as a comment
other tags of a TIFF                -       told    yes     TIFF
==================================  ======  ======  ======  ======================================

It holds for stills, pages and the frames of animations alike. What a policy lets through and the
output's format has no place for is named in `Compressed.losses`, and so are unknown tags of a TIFF
that "safe" leaves out ("told"), as a program may need them. A georeference is data of a map or a
scan; where a photographer stood is in EXIF. The orientation is in the pixels already, so that of
EXIF and XMP becomes 1. A thumbnail, which shows the picture before, is kept with EXIF only.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from PIL import Image

from kmeans_c.checks import check_choice
from kmeans_c.images import exif as exif_data
from kmeans_c.images import iptc
from kmeans_c.images.png_file import chunk

POLICIES = ("none", "safe", "keep")

# The formats that hold a profile. For others colours must be converted when they are read.
WITH_PROFILE = ("png", "jpeg", "webp", "tiff")

_XMP_KEY = "XML:com.adobe.xmp"

# Texts of a PNG that say who made it (PNG, third edition, 11.3.3.1), and EXIF's.
SAFE_TEXTS = ("Author", "Copyright")
SAFE_TAGS = (exif_data.ARTIST, exif_data.COPYRIGHT)

# Of a TIFF: name and number of the page; ModelPixelScale, Intergraph's matrix, ModelTiepoint,
# ModelTransformation, the keys, GDAL's metadata, rational polynomials, DGIWG's metadata.
PAGE = (285, 297)
GEOREFERENCE = (33550, 33920, 33922, 34264, 34735, 34736, 34737, 42112, 50844, 50909)

# A JPEG segment less its length and its name.
JPEG_SEGMENT = 65533
JPEG_XMP = 65504

_MAX_DPI = 1_000_000.0


if TYPE_CHECKING:
    from kmeans_c.images.fields import Field


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a file says beside its pixels, as far as it made sense.

    Attributes
    ----------
    icc : bytes or None
        The profile of the pixels; None: they are sRGB.
    exif : bytes or None
        A TIFF structure, without the "Exif" that some formats put before it.
    xmp : bytes or None
        An XML packet.
    dpi : (x, y) or None
        Pixels per inch of the upright image.
    texts : tuple of (str, str)
        Names and texts of a PNG; the comment of a GIF or JPEG is called Comment.
    iptc : bytes or None
        IPTC data (IIM).
    tags : tuple of (int, Field)
        Of a TIFF, by number: those that are neither storage nor in one of the others.
    unread : tuple of int
        Tags of a TIFF, pointers to EXIF and the place among them, that make no sense here.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    texts: tuple[tuple[str, str], ...] = ()
    iptc: bytes | None = None
    tags: tuple[tuple[int, Field], ...] = ()
    unread: tuple[int, ...] = ()


def read_metadata(image: Image.Image, icc: bytes | None, *, sideways: bool = False) -> Metadata:
    """Collect what a loaded image file says; `tiff_metadata` does for a TIFF.

    Parameters
    ----------
    image : PIL.Image.Image
    icc : bytes or None
        The profile of the pixels as they will be.
    sideways : bool
        Whether the orientation exchanges width and height.

    Returns
    -------
    Metadata
        What is damaged is left out.
    """
    info: Mapping[Any, Any] = image.info
    xmp = info.get("xmp") or info.get(_XMP_KEY)
    if isinstance(xmp, str):
        xmp = xmp.encode("utf-8", "surrogateescape")
    dpi = _resolution(info.get("dpi"))
    return Metadata(
        icc=icc,
        exif=_exif(image),
        xmp=xmp if isinstance(xmp, bytes) and xmp else None,
        dpi=dpi[::-1] if dpi and sideways else dpi,
        texts=_texts(image),
        iptc=_iptc(image),
    )


def kept(metadata: Metadata, policy: str) -> Metadata:
    """Leave what a policy lets through.

    Parameters
    ----------
    metadata : Metadata
    policy : {"none", "safe", "keep"}

    Raises
    ------
    TypeError, ValueError
        If there is no such policy.
    """
    check_choice("metadata", policy, POLICIES)
    if policy == "none":
        return Metadata(icc=metadata.icc)
    if policy == "safe":
        texts = exif_data.texts(metadata.exif or b"")
        named = {tag: texts[tag] for tag in SAFE_TAGS if tag in texts}
        return Metadata(
            icc=metadata.icc,
            exif=exif_data.written(named) or None,
            dpi=metadata.dpi,
            texts=tuple(pair for pair in metadata.texts if pair[0] in SAFE_TEXTS),
            tags=tuple(pair for pair in metadata.tags if pair[0] in (*PAGE, *GEOREFERENCE)),
        )
    exif, xmp = metadata.exif, metadata.xmp
    return replace(
        metadata,
        exif=exif_data.upright(exif) if exif and exif_data.sound(exif) else None,
        xmp=xmp and re.sub(rb'(tiff:Orientation(?:="|>))[0-9]', rb"\g<1>1", xmp),
    )


def save_options(metadata: Metadata, kind: str, policy: str = "safe") -> dict[str, Any]:
    """Say what Pillow's `save` needs to write the metadata into a still image.

    Parameters
    ----------
    metadata : Metadata
    kind : str
        "png", "jpeg", "gif", "webp" or "bmp"; for a TIFF see `tiff_metadata.tiff_folder`.
    policy : {"none", "safe", "keep"}

    Returns
    -------
    dict
        Keyword arguments for ``Image.save``, none where there is nothing to write. What the format
        can't hold is not there: GIF has comments only, BMP a resolution only.

    Raises
    ------
    TypeError, ValueError
        If there is no such policy, or if the pixels need a profile and the format holds none.
    """
    left = fitted(kept(metadata, policy), kind, policy)
    if kind == "gif":
        comment = _comment(left)
        return {"comment": comment} if comment else {}
    options: dict[str, Any] = {"dpi": left.dpi} if left.dpi and kind != "webp" else {}
    if kind == "bmp":
        return options
    if left.icc:
        options["icc_profile"] = left.icc
    return options | _FORMATS.get(kind, _nothing)(left)


def fitted(metadata: Metadata, kind: str, policy: str) -> Metadata:
    """Put what a format has no place for where it has one: names of a PNG's texts into EXIF.

    Parameters
    ----------
    metadata : Metadata
        As `kept` returns it.
    kind : str
    policy : {"none", "safe", "keep"}

    Raises
    ------
    ValueError
        If the pixels need a profile and the format holds none.
    """
    if metadata.icc and kind not in WITH_PROFILE:
        raise ValueError(f"format: {kind} holds no colour profile; png, jpeg, webp and tiff do")
    if kind in ("webp", "tiff"):
        metadata = _with_names(metadata)
    return with_resolution(metadata, policy) if kind == "webp" else metadata


def _with_names(metadata: Metadata) -> Metadata:
    """Put the author and the copyright of a PNG's texts into EXIF, unless it has them."""
    texts = dict(metadata.texts)
    if not any(texts.get(key) for key in SAFE_TEXTS):
        return metadata
    from kmeans_c.images.fields import (  # noqa: PLC0415 - few files have these texts
        ASCII,
        Field,
        Folder,
        parsed,
        structure_of,
    )

    given = {
        tag: texts[key].encode("utf-8", "replace")
        for tag, key in zip(SAFE_TAGS, SAFE_TEXTS, strict=True)
        if texts.get(key)
    }
    folder = parsed(metadata.exif) if metadata.exif else Folder()
    missing = {tag: text for tag, text in given.items() if tag not in folder.fields}
    if not missing:
        return metadata
    for tag, text in missing.items():
        folder.fields[tag] = Field.of_bytes(text + b"\0", ASCII)
    return replace(metadata, exif=structure_of(folder))


def with_resolution(metadata: Metadata, policy: str) -> Metadata:
    """Put the resolution into EXIF, for a format that has no other place for it.

    Parameters
    ----------
    metadata : Metadata
        As `kept` returns it.
    policy : {"none", "safe", "keep"}
        Under "keep" an EXIF that there is already stays as it is.
    """
    if policy == "keep" and metadata.exif:
        return metadata
    fields = exif_data.texts(metadata.exif or b"")
    return replace(metadata, exif=exif_data.written(fields, metadata.dpi) or None)


def png_chunks(metadata: Metadata) -> list[bytes]:
    """Give the chunks of a PNG, whole, in an order in which they may follow its header.

    Parameters
    ----------
    metadata : Metadata
        As `kept` returns it.
    """
    chunks = []
    if metadata.icc:
        chunks.append(chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(metadata.icc, 9)))
    if metadata.dpi:
        x, y = (round(number / 0.0254) for number in metadata.dpi)
        chunks.append(chunk(b"pHYs", x.to_bytes(4, "big") + y.to_bytes(4, "big") + b"\1"))
    if metadata.exif:
        chunks.append(chunk(b"eXIf", metadata.exif))
    return chunks + [chunk(name, contents) for name, contents in png_texts(metadata)]


def png_texts(metadata: Metadata) -> list[tuple[bytes, bytes]]:
    """Give the chunks of a PNG for the texts and the XMP packet, as (name, contents)."""
    chunks = []
    for key, text in metadata.texts:
        try:
            chunks.append((b"tEXt", key.encode("latin-1") + b"\0" + text.encode("latin-1")))
        except UnicodeEncodeError:
            chunks.append((b"iTXt", _itxt(key, text.encode("utf-8", "replace"))))
    if metadata.xmp:
        chunks.append((b"iTXt", _itxt(_XMP_KEY, metadata.xmp)))
    if metadata.iptc:
        packed = zlib.compress(iptc.png_text(metadata.iptc), 9)
        chunks.append((b"zTXt", iptc.PNG_KEY.encode("ascii") + b"\0\0" + packed))
    return chunks


def _itxt(key: str, text: bytes) -> bytes:
    return key.encode("latin-1", "replace") + b"\0\0\0\0\0" + text


def _nothing(_metadata: Metadata) -> dict[str, Any]:
    return {}


def _for_png(metadata: Metadata) -> dict[str, Any]:
    from PIL.PngImagePlugin import PngInfo  # noqa: PLC0415 - not needed to read other formats

    options: dict[str, Any] = {}
    if metadata.exif:
        options["exif"] = metadata.exif
    chunks = png_texts(metadata)
    if chunks:
        options["pnginfo"] = PngInfo()
        for name, contents in chunks:
            options["pnginfo"].add(name, contents)
    return options


def _for_jpeg(metadata: Metadata) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if metadata.exif and len(metadata.exif) + 6 <= JPEG_SEGMENT:
        options["exif"] = b"Exif\0\0" + metadata.exif
    if metadata.xmp and len(metadata.xmp) <= JPEG_XMP:
        options["xmp"] = metadata.xmp
    segment = iptc.jpeg_segment(metadata.iptc) if metadata.iptc else None
    if segment is not None:
        options["extra"] = segment
    comment = _comment(metadata)
    if comment and len(comment) <= JPEG_SEGMENT:
        options["comment"] = comment
    return options


def _for_webp(metadata: Metadata) -> dict[str, Any]:
    options = {"exif": metadata.exif, "xmp": metadata.xmp}
    return {name: value for name, value in options.items() if value}


_FORMATS = {"png": _for_png, "jpeg": _for_jpeg, "webp": _for_webp}


def _comment(metadata: Metadata) -> bytes:
    return "\n".join(text for _, text in metadata.texts).encode("utf-8", "replace")


def _exif(image: Image.Image) -> bytes | None:
    exif = image.info.get("exif")
    if not isinstance(exif, bytes):
        return None
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    return exif or None


def _iptc(image: Image.Image) -> bytes | None:
    resources = image.info.get("photoshop")  # of a JPEG, by their numbers
    if isinstance(resources, dict):
        found = resources.get(iptc.NUMBER)
        return found if isinstance(found, bytes) and found else None
    text = image.info.get(iptc.PNG_KEY)
    return iptc.of_png_text(text) if isinstance(text, str) else None


def _resolution(dpi: object) -> tuple[float, float] | None:
    try:
        x, y = (float(number) for number in dpi)  # type: ignore[attr-defined]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    sensible = all(math.isfinite(number) and 0 < number < _MAX_DPI for number in (x, y))
    return (x, y) if sensible else None


def _texts(image: Image.Image) -> tuple[tuple[str, str], ...]:
    comment = image.info.get("comment")
    if isinstance(comment, bytes):
        return (("Comment", comment.decode("utf-8", "replace")),)
    found = getattr(image, "text", None) or {}  # a PNG's, which is loaded to its end
    return tuple(
        (key, str(text))
        for key, text in found.items()
        if key != _XMP_KEY and not key.startswith("Raw profile type") and 0 < len(key) < 80
    )
