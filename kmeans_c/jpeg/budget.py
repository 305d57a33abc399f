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


class Budget(NamedTuple):
    """Bytes of a file without its metadata.

    Attributes
    ----------
    goal : int
        What it shall take at most.
    limit : int
        What it may take if the goal is out of reach: less than the input.
    """

    goal: int
    limit: int


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
        goal = min(int(SHARE * picture_bytes(contents)), int(SHARE * picture.n_bytes) - n_metadata)
        return Budget(goal, limit)
    pixels = picture.pixels if picture.pixels.ndim == 2 else picture.pixels[:, :, :3]
    goal = int(SHARE * len(baseline(Image.fromarray(pixels), *_REFERENCE)))
    return Budget(goal, max(limit, goal) if allow_larger else limit)
