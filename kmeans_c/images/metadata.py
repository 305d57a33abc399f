"""What a file says beside its pixels: read into one record, and what of it is written again.

==========  ================================================================================
"none"      nothing
"safe"      resolution, and who made it: EXIF's artist and copyright, a PNG's Author and
            Copyright. No place, no thumbnail, no maker's notes, no serial numbers, no times
"keep"      all that the output format can hold: EXIF, XMP, texts, resolution
==========  ================================================================================

The orientation is in the pixels already, so that of EXIF and XMP becomes 1. An ICC profile that
the pixels still need is no metadata: it is written whatever the policy.
"""

import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from kmeans_c.checks import check_choice
from kmeans_c.images import exif as exif_data
from kmeans_c.images.png_file import chunk

POLICIES = ("none", "safe", "keep")

# The formats that hold a profile. For others colours must be converted when they are read.
WITH_PROFILE = ("png", "jpeg", "webp", "tiff")

_XMP_KEY = "XML:com.adobe.xmp"

# Texts of a PNG that say who made it (PNG, third edition, 11.3.3.1), and EXIF's.
_SAFE_TEXTS = ("Author", "Copyright")
_SAFE_TAGS = (exif_data.ARTIST, exif_data.COPYRIGHT)

# What a TIFF may take over: description, maker, model, software, time, artist, copyright. Other
# tags say how the pixels are stored.
_TIFF_TAGS = (270, 271, 272, 305, 306, 315, 33432)
_TIFF_XMP = 700
_TIFF_FOLDERS = (0x8769, 0x8825)  # EXIF's own directory, and that of the place

# A JPEG segment less its length and its name.
_JPEG_SEGMENT = 65533
_JPEG_XMP = 65504

_MAX_DPI = 1_000_000.0


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
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    texts: tuple[tuple[str, str], ...] = ()


def read_metadata(image: Image.Image, icc: bytes | None, *, sideways: bool = False) -> Metadata:
    """Collect what a loaded image file says.

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
        named = {tag: texts[tag] for tag in _SAFE_TAGS if tag in texts}
        return Metadata(
            icc=metadata.icc,
            exif=exif_data.written(named) or None,
            dpi=metadata.dpi,
            texts=tuple(pair for pair in metadata.texts if pair[0] in _SAFE_TEXTS),
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
        "png", "jpeg", "gif", "webp", "bmp" or "tiff".
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
    left = kept(metadata, policy)
    if left.icc and kind not in WITH_PROFILE:
        raise ValueError(f"format: {kind} holds no colour profile; png, jpeg, webp and tiff do")
    if kind == "webp":
        left = with_resolution(left, policy)
    if kind == "gif":
        comment = _comment(left)
        return {"comment": comment} if comment else {}
    options: dict[str, Any] = {"dpi": left.dpi} if left.dpi and kind != "webp" else {}
    if kind == "bmp":
        return options
    if left.icc:
        options["icc_profile"] = left.icc
    return options | _FORMATS.get(kind, _nothing)(left)


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
    if metadata.exif and len(metadata.exif) + 6 <= _JPEG_SEGMENT:
        options["exif"] = b"Exif\0\0" + metadata.exif
    if metadata.xmp and len(metadata.xmp) <= _JPEG_XMP:
        options["xmp"] = metadata.xmp
    comment = _comment(metadata)
    if comment and len(comment) <= _JPEG_SEGMENT:
        options["comment"] = comment
    return options


def _for_webp(metadata: Metadata) -> dict[str, Any]:
    options = {"exif": metadata.exif, "xmp": metadata.xmp}
    return {name: value for name, value in options.items() if value}


def _for_tiff(metadata: Metadata) -> dict[str, Any]:
    from PIL.TiffImagePlugin import ImageFileDirectory_v2  # noqa: PLC0415 - as for PNG

    directory: Any = ImageFileDirectory_v2()
    for tag, text in exif_data.texts(metadata.exif or b"").items():
        if tag in _TIFF_TAGS:
            directory[tag] = text
    if metadata.xmp:
        directory[_TIFF_XMP] = metadata.xmp
    whole = Image.Exif()
    try:
        whole.load(metadata.exif or b"")
        for tag in _TIFF_FOLDERS:
            inner = whole.get_ifd(tag)
            if inner:
                trial: Any = ImageFileDirectory_v2()
                trial[tag] = inner
                trial.tobytes()
                directory[tag] = inner
    except MemoryError:
        raise
    except Exception:  # noqa: S110 - what can't be written is damaged, and left out
        pass
    return {"tiffinfo": directory} if len(directory) else {}


_FORMATS = {"png": _for_png, "jpeg": _for_jpeg, "webp": _for_webp, "tiff": _for_tiff}


def _comment(metadata: Metadata) -> bytes:
    return "\n".join(text for _, text in metadata.texts).encode("utf-8", "replace")


def _exif(image: Image.Image) -> bytes | None:
    exif = image.info.get("exif")
    try:
        if exif is None and hasattr(image, "tag_v2"):
            exif = _exif_of_tiff(image)
    except MemoryError:
        raise
    except Exception:  # damaged tags raise anything; the pixels are good all the same
        return None
    if not isinstance(exif, bytes):
        return None
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    return exif or None


def _exif_of_tiff(image: Image.Image) -> bytes | None:
    """Make EXIF of what a TIFF has in its own directory."""
    found: Any = image.getexif()
    made: Any = Image.Exif()
    for tag in _TIFF_TAGS:
        value = found.get(tag)
        if isinstance(value, str):
            made[tag] = value.encode("latin-1", "replace")  # as Pillow has decoded it
    for tag in _TIFF_FOLDERS:
        inner = found.get_ifd(tag)
        if inner:
            made[tag] = inner
    exif = made.tobytes()
    return bytes(exif) if len(made) else None


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
