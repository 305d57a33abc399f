"""Pillow images in memory: to the same pixels as the file that they were opened from."""

import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageFile

from kmeans_c.images import modes, png_file
from kmeans_c.images.color_management import Conversion, meaning
from kmeans_c.images.decoders import opened
from kmeans_c.images.indexed import Indexed, indexed_of
from kmeans_c.images.modes import Pixels
from kmeans_c.images.orientation import orientation_of, upright

# cHRM and gAMA hold numbers in units of 1/100000.
_PNG_UNITS = 100_000
_LARGEST = (1 << 32) - 1


def file_pixels(image: Image.Image) -> Pixels:
    """Return what a file of this image shows: in sRGB, the right way up.

    The profile in ``info["icc_profile"]``, or what a PNG said instead, is followed, and the
    orientation of ``getexif()``: what Pillow's own functions copy from image to image, and remove
    where they apply it (``ImageOps.exif_transpose``, ``ImageCms``).
    """
    chunks = _color_chunks(image)
    image = _redecoded(image) or image
    key = image.info.get("transparency")
    if isinstance(image, ImageFile.ImageFile):
        modes.scale_colour_key(image)
    image.load()
    conversion = Conversion(meaning(_profile(image), chunks))
    pixels = modes.eight_bit(image, conversion)
    if key is not None and image.info.get("transparency") != key:
        image.info["transparency"] = key  # the caller's image stays as it was
    return upright(pixels, orientation_of(image))


def file_indexed(image: Image.Image) -> Indexed | None:
    """Return the palette and the indices that a file of this image holds, in sRGB and upright.

    None if the image has no palette.
    """
    chunks = _color_chunks(image)
    image = _redecoded(image) or image
    image.load()
    found = indexed_of(image, Conversion(meaning(_profile(image), chunks)))
    if found is None:
        return None
    return Indexed(
        found.palette, np.ascontiguousarray(upright(found.indices, orientation_of(image)))
    )


def stored_pixels(image: Image.Image) -> Pixels:
    """Return the pixels as they are stored; only CMYK without a profile and LAB become RGB."""
    return modes.eight_bit(_loaded(image), Conversion(meaning(None)))


def converted_pixels(image: Image.Image) -> Pixels:
    """Return the pixels in sRGB by the image's profile, as they are stored otherwise."""
    return modes.eight_bit(_loaded(image), Conversion(meaning(_profile(image))))


def profile_space(image: Image.Image) -> bytes | None:
    """Name the colour space of an image's ICC profile as its header does: b"RGB ", b"CMYK" ..."""
    profile = _profile(image)
    return None if profile is None else profile[16:20]


def _loaded(image: Image.Image) -> Image.Image:
    """Load an image, and return it with the right pixels."""
    right = _redecoded(image)
    image.load()
    return right or image


def _redecoded(image: Image.Image) -> Image.Image | None:
    """Decode a TIFF that is not loaded yet by our own decoder, and leave its file where it is.

    Pillow 13 gives wrong pixels of many that are to be turned by 90 degrees, and of those that
    `tiff_reader` names. None: of other images, and where our decoder refuses the file.
    """
    file: BinaryIO | None = getattr(image, "fp", None)
    unread = image.format == "TIFF" and getattr(image, "tile", None)
    if file is None or not unread or hasattr(image, "pages"):
        return None
    try:
        at = file.tell()
    except (OSError, ValueError, AttributeError):
        return None
    try:
        file.seek(0)
        right = opened(file)
        right.seek(image.tell())
        right.load()
    except MemoryError:
        raise
    except Exception:  # of kinds that we do not read, or damaged: Pillow's `load` says more
        return None
    finally:
        file.seek(at)
    right.info["icc_profile"] = image.info.get("icc_profile")  # which a caller may have removed
    return right


def _profile(image: Image.Image) -> bytes | None:
    profile = image.info.get("icc_profile")
    return profile if isinstance(profile, bytes) and profile else None


def _color_chunks(image: Image.Image) -> dict[bytes, bytes]:
    """Give the chunks by which a PNG says what its numbers mean.

    Of an image that is not loaded yet its file is asked; later Pillow's `info` has all but cICP.
    """
    file = getattr(image, "fp", None)
    if image.format == "PNG" and file is not None and getattr(image, "tile", None):
        try:
            at = file.tell()
            try:
                return png_file.color_chunks(file)
            finally:
                file.seek(at)
        except (OSError, ValueError, AttributeError):
            pass  # what is wrong with the file, Pillow's `load` will say
    return _from_info(image.info)


def _from_info(info: Mapping[Any, Any]) -> dict[bytes, bytes]:
    chunks: dict[bytes, bytes] = {}
    if isinstance(info.get("srgb"), int):
        chunks[b"sRGB"] = bytes([info["srgb"] & 255])
    for name, key, n in ((b"gAMA", "gamma", 1), (b"cHRM", "chromaticity", 8)):
        values = info.get(key)
        values = values if isinstance(values, tuple | list) else (values,)
        if len(values) != n or not all(isinstance(value, int | float) for value in values):
            continue
        scaled = [value * _PNG_UNITS for value in values]
        if all(0 <= value <= _LARGEST for value in scaled):
            chunks[name] = struct.pack(f">{n}I", *map(round, scaled))
    return chunks
