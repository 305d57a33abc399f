"""Pillow's modes: whatever a loaded image is made of becomes 8-bit grey, RGB or RGBA.

=============  ===========================================================================
1, L           grey
LA, La         grey with alpha, La's premultiplied colour divided by it; given as RGBA
P, PA          the palette's colours, with the alpha that the palette or the pixels have
RGB, RGBX      RGB
RGBA, RGBa     RGBA, RGBa's premultiplied colour divided by its alpha
CMYK           by the image's profile; without one (255 - C)(255 - K) / 255 and so on. JPEG's
               YCCK and Adobe's inverted CMYK arrive as CMYK
YCbCr          by the formula of JPEG (JFIF)
LAB            CIE L*a*b* of D50
HSV            by the usual hexcone
I;16, I;16B    grey of 16 bits, rounded to 8: value * 255 / 65535, or by the 12 bits of a TIFF
I              as I;16 in a PPM; otherwise refused, as F is: no range says what is white
=============  ===========================================================================

16-bit samples of colours and of alpha become their high byte, in PNG and TIFF as in the images that
Pillow has opened, which is at most one level below the rounded value; those of a PPM are rounded. A
transparent colour of a PNG or GIF becomes alpha 0.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

Pixels: TypeAlias = NDArray[np.uint8]

OPAQUE = 255

_BITS_PER_SAMPLE = 258  # the TIFF tag


def eight_bit(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Pixels:
    """Turn a loaded image of any mode into (H, W), (H, W, 3) or (H, W, 4).

    Parameters
    ----------
    image : PIL.Image.Image
        Loaded.
    convert : callable
        Brings an image of mode L, RGB, CMYK or LAB to sRGB (`color_management`), or returns it.

    Raises
    ------
    ValueError
        If the mode has no 8-bit meaning.
    """
    colour, alpha = _split(image)
    colour = convert(colour)
    if alpha is None:
        return np.asarray(colour.convert("RGB") if colour.mode == "CMYK" else colour)
    pixels = np.dstack((np.asarray(colour.convert("RGB")), alpha))
    pixels[alpha == 0] = 0
    return pixels


def rgba(pixels: Pixels) -> Pixels:
    """Give pixels of any kind as a new (H, W, 4) array, whose colour is 0 where alpha is."""
    shown = np.empty((*pixels.shape[:2], 4), np.uint8)
    if pixels.shape[2:] == (4,):
        shown[...] = pixels
        shown[shown[:, :, 3] == 0] = 0
        return shown
    shown[:, :, :3] = pixels if pixels.ndim == 3 else pixels[:, :, np.newaxis]
    shown[:, :, 3] = OPAQUE
    return shown


def scale_colour_key(image: ImageFile.ImageFile) -> None:
    """Bring the transparent colour of a PNG to the range of its pixels, which Pillow does not.

    To be called before the image is loaded.
    """
    key = image.info.get("transparency")
    if key is None or image.format != "PNG" or not image.tile:
        return
    raw_mode = image.tile[0].args
    if raw_mode == "L;2":
        image.info["transparency"] = key * 85
    elif raw_mode == "L;4":
        image.info["transparency"] = key * 17
    elif raw_mode == "RGB;16B" and not hasattr(image, "compares_16_bits"):  # of `png_reader`
        image.info["transparency"] = tuple(value >> 8 for value in key)


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
    plane = getattr(image, "alpha_plane", None)  # of a TIFF
    alpha = None if plane is None else np.asarray(plane)
    return image if mode == target else image.convert(target), alpha


def _white_level(image: Image.Image) -> int:
    """Say which value means white: 12-bit TIFFs come in 16-bit pixels without being scaled."""
    bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE)
    return 4095 if bits == (12,) else 65535


def _eight_bits(wide: NDArray[np.generic], white: int) -> Pixels:
    scaled = (wide.astype(np.uint32) * 255 + white // 2) // white
    return scaled.astype(np.uint8)
