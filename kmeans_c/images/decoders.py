"""The door to Pillow's decoders: which may be used, and what their errors mean."""

import contextlib
import importlib
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from PIL import ImageFile

from kmeans_c.images import png_chunks

# How a file of each format starts, and what decodes it: Pillow's plugin and its factory; for BMP
# and TIFF readers of our own.
_DECODERS = (
    (rb"\xff\xd8\xff", "Jpeg", "jpeg_factory"),
    (rb"\x89PNG\r\n\x1a\n", "Png", "PngImageFile"),
    (rb"RIFF....WEBP", "WebP", "WebPImageFile"),
    (rb"GIF8[79]a", "Gif", "GifImageFile"),
    (rb"BM", "Bmp", "BmpFile"),
    (rb"II[*+]\0|MM\0[*+]", "Tiff", "open_tiff"),
    (rb"P[1-6]\s", "Ppm", "PpmImageFile"),
)


# What Pillow says of headers and what it means.
_REASONS = {
    "not identified by this driver": "the header has no width, no height, or unknown pixels",
    "cannot load this image": "there are no pixels",
    "unknown data organization": "there are no strips or tiles",
    "index out of range": "the header is cut short",
    "could not create decoder object": "the header makes no sense, or the file is cut short",
    "broken data stream when reading image file": "the data of the pixels are damaged",
}


def format_of(file: BinaryIO) -> str:
    """Name the format of an open file by its first bytes, and go back to them.

    Returns
    -------
    str
        "jpeg", "png", "webp", "gif", "bmp", "tiff" or "ppm".

    Raises
    ------
    OSError
        If it is none of these.
    """
    return _decoder_of(file)[0].lower()


def opened(file: BinaryIO) -> ImageFile.ImageFile:
    """Hand the file to the one decoder that its first bytes name: the list is the allow-list.

    `PIL.Image.open` would also compare the size with the host program's
    `PIL.Image.MAX_IMAGE_PIXELS`, and warn or fail by it: here `max_pixels` alone is the limit.
    """
    plugin, factory = _decoder_of(file)
    if plugin == "Bmp":
        from kmeans_c.images.bmp_file import BmpFile  # noqa: PLC0415 - most images are no BMP

        return BmpFile(file, "")
    if plugin == "Tiff":
        from kmeans_c.images.tiff_reader import open_tiff  # noqa: PLC0415 - as above

        return open_tiff(file)
    if plugin == "Png":
        return _opened_png(file)
    decoder = getattr(importlib.import_module(f"PIL.{plugin}ImagePlugin"), factory)
    return cast("ImageFile.ImageFile", decoder(file, ""))


def _opened_png(file: BinaryIO) -> ImageFile.ImageFile:
    from kmeans_c.images.png_reader import PngFile  # noqa: PLC0415 - as all decoders

    tidy = png_chunks.tidied(file)
    image = PngFile(cast("Any", tidy.file), "")
    image.long_texts = tidy.n_texts
    if tidy.profile is not None:
        image.info["icc_profile"] = tidy.profile
    return image


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse an image of too many pixels, before any of them is decoded."""
    if width * height > max_pixels:
        raise OSError(f"image has {width * height} pixels, limit is {max_pixels} (max_pixels)")


@contextlib.contextmanager
def naming(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises into an OSError that names the file.

    Decoders raise OSError, SyntaxError, ValueError, struct.error and more. To the caller all of
    them say one thing: there is something wrong with this file.
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:
            raise OSError(error.errno, error.strerror, name) from error
        reason = str(error).removeprefix("image: ") or type(error).__name__
        reason = _REASONS.get(reason, reason)
        if "requires a buffer of" in reason:  # of struct
            reason = "a part of the file is cut short"
        if isinstance(error, SyntaxError):  # Pillow's word for a header that makes no sense
            reason = f"not a valid image: {reason}"
        raise OSError(f"{name}: {reason}") from error


def _decoder_of(file: BinaryIO) -> tuple[str, str]:
    start = file.read(16)
    file.seek(0)
    for pattern, plugin, factory in _DECODERS:
        if re.match(pattern, start, re.DOTALL):
            return plugin, factory
    raise OSError("not a supported image (PNG, JPEG, WebP, GIF, BMP, TIFF or PPM)")
