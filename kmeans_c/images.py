"""Reading images: whatever a file, a Pillow image or an array holds becomes plain 8-bit pixels."""

import importlib
import io
import os
import re
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from kmeans_c.checks import check_int
from kmeans_c.files import FilePath, safe_open
from kmeans_c.histogram import Histogram

Pixels: TypeAlias = NDArray[np.uint8]

# What Pillow takes for harmless (a quarter of a gigabyte at three bytes a pixel).
MAX_PIXELS = 1024**3 // 4 // 3

# A TIFF costs 0.1 ms a page to count; that a hostile one has more pages than this is all one needs.
MAX_FRAMES_COUNTED = 1000

# How a file of each format starts, and what decodes it: Pillow's plugin and its factory.
_DECODERS = (
    (rb"\xff\xd8\xff", "Jpeg", "jpeg_factory"),
    (rb"\x89PNG\r\n\x1a\n", "Png", "PngImageFile"),
    (rb"RIFF....WEBP", "WebP", "WebPImageFile"),
    (rb"GIF8[79]a", "Gif", "GifImageFile"),
    (rb"BM", "Bmp", "BmpImageFile"),
    (rb"II[*+]\0|MM\0[*+]", "Tiff", "TiffImageFile"),
    (rb"P[1-6]\s", "Ppm", "PpmImageFile"),
)

OPAQUE = 255

_ORIENTATION = 0x0112  # the EXIF tag
_BITS_PER_SAMPLE = 258  # the TIFF tag


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What an image file shows.

    Attributes
    ----------
    pixels : ndarray of uint8
        (H, W) for grey, (H, W, 3) for RGB, (H, W, 4) for RGB with alpha; sRGB, the right way up,
        C-contiguous. Some pixel of an array with alpha is not opaque, and wherever alpha is 0 the
        colour is 0 too: what nobody can see is one colour.
    format : str
        "png", "jpeg", "webp", "gif", "bmp", "tiff" or "ppm": by its contents, not by its name.
    frames : int
        How many frames or pages the file has (1000: that many or more). `pixels` is the first.
    n_bytes : int
        Size of the file.
    """

    pixels: Pixels
    format: str
    frames: int
    n_bytes: int


def read_image(source: FilePath | BinaryIO, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read an image file: PNG, JPEG, WebP, GIF, BMP, TIFF or PPM.

    The EXIF orientation is applied and an embedded ICC profile converted to sRGB (relative
    colorimetric; a profile that is damaged, or for another kind of pixels, is ignored, and so is
    damaged EXIF data). 16-bit grey is scaled to 8 bits. Of several frames the first is read.

    Parameters
    ----------
    source : str, path-like or binary file object
        A regular file, see `files.safe_open`; or an object with `read`, which is read from its
        start if it can seek.
    max_pixels : int
        More pixels than this are refused before they are decoded. WebP and TIFF also keep to twice
        ``PIL.Image.MAX_IMAGE_PIXELS``, which is Pillow's own limit.

    Returns
    -------
    Picture

    Raises
    ------
    OSError
        If anything is wrong with the file: missing, unreadable, not one of these formats, damaged,
        cut short, more than `max_pixels`, or of a kind that has no 8-bit meaning (floating point,
        32-bit integers). The message names the file.
    TypeError, ValueError
        If `source` is neither a path nor a binary file object, or `max_pixels` is no integer of
        at least 1.
    """
    check_int("max_pixels", max_pixels, 1)
    if isinstance(source, str | os.PathLike):
        with safe_open(source) as file:
            return _read(file, os.fspath(source), max_pixels)
    if not hasattr(source, "read"):
        kind = type(source).__name__
        raise TypeError(f"image: expected a path or a binary file object, got {kind}")
    if hasattr(source, "seekable") and source.seekable():
        source.seek(0)
    data = source.read()
    if not isinstance(data, bytes):
        raise TypeError(f"image: expected a binary file object, got one of {type(data).__name__}")
    name = getattr(source, "name", None)
    return _read(io.BytesIO(data), name if isinstance(name, str) else "image", max_pixels)


def as_pixels(image: object) -> Pixels:
    """Take an image in any of the forms that the public functions accept.

    Parameters
    ----------
    image : str, path-like, binary file object, PIL.Image.Image or ndarray of uint8
        A file is read by `read_image`. A Pillow image is taken as it is: of all modes but F and I
        (which have no defined range), without applying its EXIF orientation or its ICC profile.
        An array, or an object that NumPy can view as one, is of shape (H, W), (H, W, 1), (H, W, 3)
        or (H, W, 4); channels come last, so a (3, H, W) array is refused unless W is 3 or 4.

    Returns
    -------
    ndarray of uint8
        As `Picture.pixels`. It may be the caller's own memory: it is to be read only, and what an
        array with alpha holds where alpha is 0 is still there.

    Raises
    ------
    TypeError
        If `image` is something else (lists, too), a masked array, or not of dtype uint8.
    ValueError
        If its shape or mode is not one of these, or it has no pixels.
    OSError
        As `read_image` does, and from a Pillow image whose file turns out to be damaged.
    """
    if isinstance(image, Image.Image):
        image.load()
        pixels = _decoded(image, None)
    elif isinstance(image, str | os.PathLike) or hasattr(image, "read"):
        return read_image(cast("FilePath | BinaryIO", image)).pixels
    elif isinstance(image, np.ma.MaskedArray):
        raise TypeError("image: expected an array without a mask, got a masked array")
    elif hasattr(image, "__array_interface__") or hasattr(image, "__array__"):
        pixels = _checked(np.asarray(image))
    else:
        kind = type(image).__name__
        raise TypeError(
            f"image: expected a path, a binary file, a Pillow image or a uint8 array, got {kind}"
        )
    if pixels.size == 0:
        raise ValueError(f"image: expected at least one pixel, got shape {pixels.shape}")
    return _tidy(pixels)


def count_colors(pixels: Pixels) -> int:
    """Count the distinct colours of an image.

    Parameters
    ----------
    pixels : ndarray of uint8
        (H, W), (H, W, 3) or (H, W, 4).

    Returns
    -------
    int
        How many different colours the pixels have; full transparency is one.
    """
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    return len(Histogram(channels).add(pixels, n_threads=1))


def _read(file: BinaryIO, name: str, max_pixels: int) -> Picture:
    try:
        return _decode(file, max_pixels)
    except MemoryError:
        raise
    except Exception as error:
        # Decoders raise OSError, SyntaxError, ValueError, struct.error and more. To the caller all
        # of them say one thing: there is something wrong with this file.
        if isinstance(error, OSError) and error.strerror:
            raise OSError(error.errno, error.strerror, name) from error
        reason = str(error).removeprefix("image: ") or type(error).__name__
        if isinstance(error, SyntaxError):  # Pillow's word for a header that makes no sense
            reason = f"not a valid image: {reason}"
        raise OSError(f"{name}: {reason}") from error


def _decode(file: BinaryIO, max_pixels: int) -> Picture:
    image = _opened(file)
    n_pixels = image.width * image.height
    if n_pixels > max_pixels:
        raise OSError(f"image has {n_pixels} pixels, limit is {max_pixels} (max_pixels)")
    _scale_colour_key(image)
    image.load()
    pixels = _upright(_decoded(image, image.info.get("icc_profile")), _orientation(image))
    kind = str(image.format).lower()
    return Picture(
        _tidy(pixels), "jpeg" if kind == "mpo" else kind, _count_frames(image), file.seek(0, 2)
    )


def _opened(file: BinaryIO) -> ImageFile.ImageFile:
    """Hand the file to the one decoder that its first bytes name: the list is the allow-list.

    `PIL.Image.open` would also compare the size with the host program's
    `PIL.Image.MAX_IMAGE_PIXELS`, and warn or fail by it: here `max_pixels` alone is the limit.
    """
    start = file.read(16)
    file.seek(0)
    for pattern, plugin, factory in _DECODERS:
        if re.match(pattern, start, re.DOTALL):
            decoder = getattr(importlib.import_module(f"PIL.{plugin}ImagePlugin"), factory)
            return cast("ImageFile.ImageFile", decoder(file, ""))
    raise OSError("not a supported image (PNG, JPEG, WebP, GIF, BMP, TIFF or PPM)")


def _scale_colour_key(image: ImageFile.ImageFile) -> None:
    """Bring the transparent colour of a PNG to the range of its pixels, which Pillow does not."""
    key = image.info.get("transparency")
    if key is None or image.format != "PNG" or not image.tile:
        return
    raw_mode = image.tile[0].args
    if raw_mode == "L;2":
        image.info["transparency"] = key * 85
    elif raw_mode == "L;4":
        image.info["transparency"] = key * 17
    elif raw_mode == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in key)


def _decoded(image: Image.Image, profile: bytes | None) -> Pixels:
    """Turn a loaded image of any mode into (H, W), (H, W, 3) or (H, W, 4)."""
    colour, alpha = _split(image)
    if profile or colour.mode == "LAB":
        colour = _in_srgb(colour, profile or b"")
    if alpha is None:
        return np.asarray(colour.convert("RGB") if colour.mode == "CMYK" else colour)
    pixels = np.dstack((np.asarray(colour.convert("RGB")), alpha))
    pixels[alpha == 0] = 0
    return pixels


def _split(image: Image.Image) -> tuple[Image.Image, Pixels | None]:
    """Give the colours as an L, RGB, CMYK or LAB image, and the alpha if there is one."""
    mode = image.mode
    if mode.startswith("I;16") or (mode == "I" and image.format == "PPM"):
        wide = np.asarray(image)
        key = image.info.get("transparency")
        alpha = None if key is None else np.where(wide == key, 0, 255).astype(np.uint8)
        return Image.fromarray(_eight_bits(wide, _white_level(image))), alpha
    if mode in ("I", "F"):
        raise ValueError(
            f"image: expected 8- or 16-bit pixels, got mode {mode}, which has no range"
        )
    grey = mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        layered = image.convert("LA" if grey else "RGBA")
        return layered.convert("L" if grey else "RGB"), np.asarray(layered.getchannel("A"))
    target = "L" if grey else mode if mode in ("CMYK", "LAB") else "RGB"
    return image if mode == target else image.convert(target), None


def _white_level(image: Image.Image) -> int:
    """Say which value means white: 12-bit TIFFs come in 16-bit pixels without being scaled."""
    bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE)
    return 4095 if bits == (12,) else 65535


def _eight_bits(wide: NDArray[np.generic], white: int) -> Pixels:
    scaled = (wide.astype(np.uint32) * 255 + white // 2) // white
    return scaled.astype(np.uint8)


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert an L, RGB or CMYK image from its profile, a LAB image by definition, to sRGB.

    An image whose profile can't be used comes back as it is.
    """
    from PIL import ImageCms  # noqa: PLC0415 - 2 ms, and most images need none of it

    def converted(image: Image.Image) -> Image.Image:
        return cast("Image.Image", ImageCms.applyTransform(image, transform))

    lab = image.mode == "LAB"
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    if image.mode == "L":
        # The tables that speed a transform up are 9 levels off in the shadows of linear grey, and
        # they are not needed: 256 samples say everything about grey.
        flags |= ImageCms.Flags.NOOPTIMIZE
    try:
        transform = ImageCms.buildTransform(
            ImageCms.createProfile("LAB") if lab else ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            image.mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=flags,
        )
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return image
    if image.mode in ("LAB", "CMYK"):
        return converted(image)
    # Most profiles are sRGB's own, in many spellings. Where no sample moves by more than one level,
    # which is rounding, the pixels stay exactly as they are.
    samples = _grey_samples() if image.mode == "L" else _rgb_samples()
    moved = np.asarray(converted(samples))
    if np.abs(moved - np.asarray(samples.convert("RGB")).astype(np.int16)).max() <= 1:
        return image
    if image.mode == "L":
        return Image.fromarray(moved[0, :, 1][np.asarray(image)])
    return converted(image)


def _grey_samples() -> Image.Image:
    return Image.fromarray(np.arange(256, dtype=np.uint8)[np.newaxis])


def _rgb_samples() -> Image.Image:
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    lattice = np.stack(np.meshgrid(levels, levels, levels), axis=-1)
    return Image.fromarray(lattice.reshape(1, -1, 3))


def _orientation(image: Image.Image) -> object:
    try:
        return image.getexif().get(_ORIENTATION)
    except MemoryError:
        raise
    except Exception:  # damaged EXIF data raises anything; the pixels are good all the same
        return None


def _upright(pixels: Pixels, orientation: object) -> Pixels:
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _count_frames(image: ImageFile.ImageFile) -> int:
    if image.format != "TIFF":
        try:
            return int(getattr(image, "n_frames", 1))
        except Exception:  # a damaged later frame; the first one is read already
            return 1
    frames = 1
    try:
        while frames < MAX_FRAMES_COUNTED:
            image.seek(frames)
            frames += 1
    except Exception:  # EOFError after the last page, anything at a damaged one
        return frames
    return frames


def _checked(pixels: NDArray[np.generic]) -> Pixels:
    if pixels.dtype != np.uint8:
        raise TypeError(
            f"image: expected dtype uint8, got {pixels.dtype}: "
            "scale it to 0..255, round it and convert it with .astype(numpy.uint8)"
        )
    shape = pixels.shape
    if pixels.ndim < 2 or shape[2:] not in ((), (1,), (3,), (4,)):
        raise ValueError(
            f"image: expected shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), got {shape}"
        )
    return cast("Pixels", pixels[:, :, 0] if shape[2:] == (1,) else pixels)


def _tidy(pixels: Pixels) -> Pixels:
    """Make the array contiguous, and drop an alpha that hides nothing."""
    if pixels.shape[2:] == (4,) and np.min(pixels[:, :, 3]) == OPAQUE:
        pixels = pixels[:, :, :3]
    return np.ascontiguousarray(pixels)
