"""The orientation of EXIF, or else of XMP: which it is, and pixels turned by it."""

from PIL import Image

from kmeans_c.images.modes import Pixels

SIDEWAYS = (5, 6, 7, 8)  # those that exchange width and height

_ORIENTATION = 0x0112  # the EXIF tag


def orientation_of(image: Image.Image) -> object:
    """Return the orientation that an image says it has, which may make no sense."""
    try:
        return image.getexif().get(_ORIENTATION)
    except MemoryError:
        raise
    except Exception:  # damaged EXIF data raises anything; the pixels are good all the same
        return None


def upright(pixels: Pixels, orientation: object) -> Pixels:
    """Turn an image as its orientation, 1 to 8, asks for."""
    if orientation in SIDEWAYS:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
