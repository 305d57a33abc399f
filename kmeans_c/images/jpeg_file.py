"""JPEG as a container: what a file holds beside its one picture."""

import re

from PIL import Image

_GAIN_MAP = re.compile(rb"hdrgm:Version|HDRGainMapVersion")
_VIDEO = re.compile(rb"(?:MotionPhoto|MicroVideo)(?:=\"|>)1")


def losses(image: Image.Image, xmp: bytes | None) -> tuple[str, ...]:
    """Name what no output holds: further pictures (MPO), an HDR gain map, a video.

    Parameters
    ----------
    image : PIL.Image.Image
        Opened by Pillow's JPEG plugin.
    xmp : bytes or None
        The XMP packet, where Ultra HDR and motion photos announce themselves.
    """
    found = []
    try:
        further = int(getattr(image, "n_frames", 1)) - 1
    except (TypeError, ValueError, OverflowError):
        further = 0
    if further > 0:
        plural = "pictures (MPO) are" if further > 1 else "picture (MPO) is"
        found.append(f"{further} further {plural} left out")
    if xmp and _GAIN_MAP.search(xmp):
        found.append("the HDR gain map is left out")
    if xmp and _VIDEO.search(xmp):
        found.append("the video of the motion photo is left out")
    return tuple(found)
