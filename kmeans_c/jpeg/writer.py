"""Encode a picture as a JPEG, with whatever bytes it takes.

Pillow gives libjpeg a buffer of about a byte a pixel for a file with optimised Huffman tables.
Where that is too little (noise, saturated dither, strips) the encoder fails with "broken data
stream", and libjpeg writes to the standard error. A file with the standard tables is written in
chunks and cannot fail; its size estimates that of the others in a fifth of the time.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from kmeans_c.images.modes import Pixels
from kmeans_c.jpeg.options import SUBSAMPLINGS

# Capacity of libjpeg's buffer, which is memory only as far as it is written to. Noise of saturated
# colours takes 1.1 bytes a sample at quality 100. Of more samples than this the capacity is derived
# from the size with the standard tables: for the same symbols optimised ones take no more, and the
# scans of a progressive file a few per cent.
_BYTES_PER_SAMPLE = 2
_MAX_SAMPLES = 100_000_000
_FACTOR = 2
_HEADERS = 1 << 16

# Ten scans have ten headers: in files below this size a single scan may take fewer bytes.
_SMALL = 8192

_QUANTIZATION_TABLE = b"\xff\xdb"  # the first segment after those of metadata


class _Capacity(bytes):
    """Zero bytes to write, for which the capacity of libjpeg's buffer grows by `n_bytes`.

    Pillow adds the length of its `extra` option to the size of the buffer. The only other control
    is `ImageFile.MAXBLOCK`, which is global to the process.
    """

    n_bytes = 0

    def __len__(self) -> int:
        return self.n_bytes


def full_color(palette: Pixels, indices: Pixels, *, grey: bool = True) -> Image.Image:
    """Make the image that a JPEG holds: of mode L where all colours are grey, otherwise RGB.

    Parameters
    ----------
    palette : (n, 3) or (n, 4) array of uint8
        At most 256 colours; alpha is ignored.
    indices : (H, W) array of uint8
    grey : bool
        Whether mode L is allowed: a colour profile of RGB does not fit it.
    """
    image = Image.fromarray(indices)
    colors = palette[:, :3]
    grey = grey and bool(np.all(colors == colors[:, :1]))
    image.putpalette(colors.tobytes())
    return image.convert("L" if grey else "RGB")


def baseline(image: Image.Image, quality: int, subsampling: str) -> bytes:
    """Encode with the standard Huffman tables: the same pixels as `compact`, in less time.

    Parameters
    ----------
    image : PIL.Image.Image
        Of mode L or RGB.
    quality : int
        1..100, libjpeg's.
    subsampling : {"4:4:4", "4:2:2", "4:2:0"}
        Of the chroma; without effect on grey.
    """
    return _saved(image, quality=quality, subsampling=SUBSAMPLINGS[subsampling])


def compact(image: Image.Image, quality: int, subsampling: str) -> bytes:
    """Encode as a progressive JPEG with optimised Huffman tables, or one scan where that is less.

    Parameters
    ----------
    image, quality, subsampling
        As for `baseline`.

    Returns
    -------
    bytes
        A file without metadata, the same with every version of Pillow that has the same libjpeg.
    """
    capacity = _Capacity()
    samples = image.width * image.height * len(image.getbands())
    if samples > _MAX_SAMPLES:
        capacity.n_bytes = _FACTOR * len(baseline(image, quality, subsampling)) + _HEADERS
    else:
        capacity.n_bytes = _BYTES_PER_SAMPLE * samples + _HEADERS
    options = {
        "quality": quality,
        "subsampling": SUBSAMPLINGS[subsampling],
        "optimize": True,
        "extra": capacity,
    }
    data = _saved(image, progressive=True, **options)
    return min(data, _saved(image, **options), key=len) if len(data) < _SMALL else data


def with_metadata(data: bytes, described: Mapping[str, Any]) -> bytes:
    """Put metadata into a file that `compact` returned.

    Parameters
    ----------
    data : bytes
    described : mapping
        Options of Pillow's `save`, as `metadata.save_options` gives them.
    """
    if not described:
        return data
    return _segments(described) + data[data.index(_QUANTIZATION_TABLE) :]


def n_metadata(described: Mapping[str, Any]) -> int:
    """Count the bytes by which `with_metadata` makes a file longer."""
    return len(_segments(described)) - len(_segments({})) if described else 0


def _segments(described: Mapping[str, Any]) -> bytes:
    """Give what stands before the first table of a JPEG with this metadata."""
    small = _saved(Image.new("L", (1, 1)), **described)
    # A profile or a thumbnail may contain the marker: the last one is that of the only table.
    return small[: small.rindex(_QUANTIZATION_TABLE)]


def _saved(image: Image.Image, **options: Any) -> bytes:
    with _memory_file() as file:
        image.save(file, "jpeg", **options)
        if isinstance(file, io.BytesIO):
            return file.getvalue()
        file.seek(0)
        return file.read()


@contextlib.contextmanager
def _memory_file() -> Iterator[BinaryIO]:
    """Open a file in memory, with a descriptor where the system has such files.

    Pillow encodes to a descriptor without holding Python's interpreter lock.
    """
    try:
        descriptor = os.memfd_create("jpeg")
    except (AttributeError, OSError):
        yield io.BytesIO()
        return
    with os.fdopen(descriptor, "w+b") as file:
        yield file
