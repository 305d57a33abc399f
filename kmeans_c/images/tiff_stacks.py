r"""Several pictures in one directory of a TIFF: volumes, and stacks that have no further ones.

==================  ==============================================================================
written by          what says how many pictures there are
==================  ==============================================================================
SGI, tifffile       32997 ImageDepth: slices of a volume
ImageJ              ImageDescription "ImageJ=1.53\nimages=4\n...": one behind the other, without a
                    directory of their own where the file has more than 4 GiB
tifffile            ImageDescription '{"shape": [4, 480, 640]}', truncated
MetaMorph (STK)     33629: a value for each plane
==================  ==============================================================================

Descriptions are copied along by programs that write one picture of them, so they are believed only
where the file has the bytes of all pictures, uncompressed and one behind the other.
"""

from __future__ import annotations

import json
import math
import re

from kmeans_c.images.tiff_tags import Directory

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _DESCRIPTION = 256, 257, 258, 259, 270
_STRIP_OFFSETS, _SAMPLES, _DEPTH, _PLANES = 273, 277, 32997, 33629

_IMAGES = re.compile(rb"^images=([0-9]{1,9})\s*$", re.MULTILINE)
_LONGEST = 1 << 16  # bytes of a description that are searched


def check_alone(tags: Directory, n_directories: int) -> None:
    """Refuse a directory with several pictures, of which only the first would be read.

    Parameters
    ----------
    tags : Directory
    n_directories : int
        Of the file.

    Raises
    ------
    OSError
        If there are further pictures that have no directory of their own.
    SyntaxError
        If the tags make no sense.
    """
    depth = tags.integer(_DEPTH, 1)
    if depth > 1:
        raise OSError(f"a volume of {depth} slices (ImageDepth) is not supported in TIFF")
    if n_directories > 1:
        return
    planes = tags.entries[_PLANES][1] if _PLANES in tags.entries else 1
    n = max(planes, _described(tags))
    if n > 1 and _has_room(tags, n):
        raise OSError(f"{n} images in one directory (a stack) are not supported in TIFF")


def _described(tags: Directory) -> int:
    """Return how many pictures the description says there are."""
    if _DESCRIPTION not in tags.entries:
        return 1
    _, count, at, _ = tags.entries[_DESCRIPTION]
    tags.file.seek(min(at, tags.size))
    text = tags.file.read(min(count, _LONGEST)).rstrip(b"\0 \n")
    if text.startswith(b"ImageJ="):
        found = _IMAGES.search(text)
        return int(found[1]) if found else 1
    if not text.startswith(b'{"shape":'):
        return 1
    try:
        shape = json.loads(text)["shape"]
        values = math.prod(int(size) for size in shape)
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
        return 1
    own = tags.integer(_WIDTH) * tags.integer(_HEIGHT) * tags.integer(_SAMPLES, 1)
    return values // own if own > 0 and 0 < values < 1 << 63 else 1


def _has_room(tags: Directory, n: int) -> bool:
    """Say whether so many uncompressed pictures fit between the first strip and the file's end."""
    if tags.integer(_COMPRESSION, 1) != 1 or _STRIP_OFFSETS not in tags.entries:
        return False
    samples = tags.integer(_SAMPLES, 1)
    row = (tags.integer(_WIDTH) * samples * tags.integer(_BITS, 1) + 7) // 8
    return tags.integer(_STRIP_OFFSETS) + n * row * tags.integer(_HEIGHT) <= tags.size
