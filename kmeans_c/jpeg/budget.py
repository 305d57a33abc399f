"""How many bytes a JPEG may take, so that it is a compressed file."""

from __future__ import annotations

from typing import NamedTuple

from PIL import Image

from kmeans_c.images import Picture
from kmeans_c.images.jpeg_segments import picture_bytes
from kmeans_c.jpeg.writer import baseline

# The file takes at most this share of the input, or of the input's pixels as Pillow writes them.
SHARE = 0.8
_REFERENCE = 90, "4:2:0"

_JFIF = 18  # bytes of the header that each file gets, and most inputs have


class Budget(NamedTuple):
    """Bytes of a file without its metadata.

    Attributes
    ----------
    goal : int
        What it shall take at most.
    limit : int
        What it may take if nothing smaller holds the picture: less than the input.
    own : int
        What it may take otherwise: less than the input without its metadata.
    """

    goal: int
    limit: int
    own: int


def budget(
    picture: Picture, contents: bytes, n_metadata: int, *, allow_larger: bool = False
) -> Budget:
    """Derive the budget from the input.

    A JPEG's picture is compared with the new one, both without metadata; thumbnails and the like
    are neither a reason to write more, nor do they count as saved. For other inputs the reference
    is the same picture as Pillow writes it at quality 90.

    Parameters
    ----------
    picture : Picture
        The input, which was read from `contents`.
    contents : bytes
        The input file.
    n_metadata : int
        Bytes of metadata in the output.
    allow_larger : bool
        Whether the output may be larger than an input that is no JPEG.
    """
    limit = picture.n_bytes - 1 - n_metadata
    if picture.format == "jpeg":
        needed = picture_bytes(contents)
        goal = min(int(SHARE * needed), int(SHARE * picture.n_bytes) - n_metadata)
        return Budget(goal, limit, min(needed + _JFIF - 1, limit))
    pixels = picture.pixels if picture.pixels.ndim == 2 else picture.pixels[:, :, :3]
    goal = int(SHARE * len(baseline(Image.fromarray(pixels), *_REFERENCE)))
    limit = max(limit, goal) if allow_larger else limit
    return Budget(goal, limit, limit)
