"""Reading TIFF: Pillow reads the tags, our own decoder the pixels.

Pillow looks up mode and layout in one table that does not know planes, and hands files to libtiff
with its own idea of them: planes of 16 bits, grey with alpha by planes, colour maps of 8 bits and
more come out wrong, and a page it has no mode for ends the file. So it is shown the file with every
page described as plain 8-bit grey; `tiff_layout`, `tiff_codecs` and `tiff_pixels` read the pixels.
"""

from __future__ import annotations

import io
import struct
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from kmeans_c.images import tiff_layout as tl
from kmeans_c.images.tiff_pixels import decode
from kmeans_c.images.tiff_stacks import check_alone
from kmeans_c.images.tiff_tags import Directory, directories

# Pages, of which `frames` reads at most 4096; further ones are as Pillow sees them.
_MAX_DIRECTORIES = 5000

_ORIENTATION, _EXIF, _GPS = 274, 34665, 34853
_SHORT, _LONG = 3, 4
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_BIG_ENTRY = 20

# How Pillow is told that the pixels are stored. A tag that has no harmless value repeats another.
_PLAIN = {
    tl.BITS: (tl.BITS, _SHORT, 8),
    tl.COMPRESSION: (tl.COMPRESSION, _SHORT, tl.NONE),
    tl.PHOTOMETRIC: (tl.PHOTOMETRIC, _SHORT, tl.BLACK_IS_ZERO),
    tl.FILL_ORDER: (tl.FILL_ORDER, _SHORT, 1),
    tl.STRIP_OFFSETS: (tl.STRIP_OFFSETS, _LONG, 8),
    tl.SAMPLES: (tl.SAMPLES, _SHORT, 1),
    tl.STRIP_COUNTS: (tl.SAMPLES, _SHORT, 1),
    tl.PLANAR: (tl.PLANAR, _SHORT, 1),
    tl.PREDICTOR: (tl.PREDICTOR, _SHORT, 1),
    tl.COLOR_MAP: (tl.SAMPLES, _SHORT, 1),
    tl.TILE_OFFSETS: (tl.STRIP_OFFSETS, _LONG, 8),
    tl.TILE_COUNTS: (tl.SAMPLES, _SHORT, 1),
    tl.EXTRA_SAMPLES: (tl.SAMPLES, _SHORT, 1),
    tl.SAMPLE_FORMAT: (tl.SAMPLE_FORMAT, _SHORT, 1),
}

# By orientation.
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# An upper bound of padding, and of what is decoded of one page: in samples.
_MAX_PADDING = 1 << 24
_MAX_SAMPLES = 1 << 29


def open_tiff(file: BinaryIO) -> TiffFile:
    """Open a TIFF: `load` decodes the current page.

    Raises
    ------
    SyntaxError, OSError
        If the first page makes no sense.
    """
    pages: list[Directory] = []
    try:
        for tags in directories(file):
            pages.append(tags)
            if len(pages) == _MAX_DIRECTORIES:
                break
    except SyntaxError:  # the pages before are good, and Pillow says what is wrong with this one
        if not pages:
            raise
    tl.size_of(pages[0])
    patches = [patch for tags in pages for patch in _patches(tags)]
    file.seek(0)
    shown: Any = _Patched(file, patches)
    if pages[0].order == ">" and pages[0].entry_bytes == _BIG_ENTRY:
        shown = io.BytesIO(_classic(pages))  # Pillow knows no BigTIFF of this order
    image = TiffFile(shown, "")
    image.source, image.pages = file, pages
    return image


class TiffFile(TiffImageFile):
    """Pillow's TIFF, with pixels that our own decoder reads.

    Attributes
    ----------
    source : binary file object
        The file as it is.
    pages : list of Directory
    alpha_plane : PIL.Image.Image or None
        Of an image whose mode, CMYK or LAB, has no place for alpha.
    """

    source: BinaryIO
    pages: list[Directory]
    alpha_plane: Image.Image | None = None

    def load(self) -> Any:
        """Decode the current page, and turn it upright."""
        if self.tile:
            number = self.tell()
            if number >= len(self.pages):
                raise OSError(f"page {number + 1} is damaged, or one of too many")
            self.palette = None
            self.alpha_plane = None
            orientation = self.getexif().get(_ORIENTATION)
            decoded, self.alpha_plane = self._decoded(self.pages[number])
            self._mode, self.im, self.palette = decoded.mode, decoded.im, decoded.palette
            self.tile = []
            self.readonly = 1  # so that the next page gets memory of its own
            self.load_end()
            if self.alpha_plane is not None and orientation in _TRANSPOSITIONS:
                self.alpha_plane = self.alpha_plane.transpose(_TRANSPOSITIONS[orientation])
        return Image.Image.load(self)

    def _decoded(self, tags: Directory) -> tuple[Image.Image, Image.Image | None]:
        check_alone(tags, len(self.pages))
        layout = tl.layout_of(tags)
        padded = layout.across * layout.segment_width * layout.down * layout.segment_height
        if padded > 4 * layout.width * layout.height + _MAX_PADDING:
            raise OSError("strips or tiles are much larger than the image")
        if padded * layout.samples > _MAX_SAMPLES:
            raise OSError(f"image has {padded * layout.samples} samples, limit is {_MAX_SAMPLES}")
        colors, alpha = decode(self.source, layout)
        return _merged(colors, alpha)


def _merged(
    colors: Image.Image, alpha: NDArray[np.uint8] | None
) -> tuple[Image.Image, Image.Image | None]:
    if alpha is None:
        return colors, None
    plane = Image.fromarray(np.ascontiguousarray(alpha))
    if colors.mode in ("CMYK", "LAB"):
        return colors, plane
    if colors.mode == "L":
        return Image.merge("LA", (colors, plane)), None
    return Image.merge("RGBA", (*colors.convert("RGB").split(), plane)), None


def _patches(tags: Directory) -> list[tuple[int, bytes]]:
    """Give the entries that are to be read instead, and their places."""
    big = tags.entry_bytes == _BIG_ENTRY
    layout = tags.order + ("HHQ" if big else "HHI")
    patches = []
    for tag, (_, _, _, place) in tags.entries.items():
        if tag in _PLAIN:
            other, kind, value = _PLAIN[tag]
            number = struct.pack(tags.order + ("H" if kind == _SHORT else "I"), value)
            entry = struct.pack(layout, other, kind, 1) + number
            patches.append((place, entry.ljust(tags.entry_bytes, b"\0")))
    return patches


def _classic(pages: list[Directory]) -> bytes:
    """Write the tags of pages as a TIFF of 32-bit offsets, without the pixels."""
    order = pages[0].order
    data = bytearray(b"MM\0*" + struct.pack(order + "I", 8))
    for tags in pages:
        entries = []
        for tag, (kind, count, at, _) in tags.entries.items():
            number, length = tag, count * _TYPE_BYTES.get(kind, 0)
            tags.file.seek(at)
            raw = tags.file.read(length)
            if tag in _PLAIN:
                number, kind, value = _PLAIN[tag]  # noqa: PLW2901 - what is written instead
                count, raw = 1, struct.pack(order + ("H" if kind == _SHORT else "I"), value)  # noqa: PLW2901
            elif not length or len(raw) < length or tag in (_EXIF, _GPS):
                continue
            entries.append((number, kind, count, raw))
        entries.sort()
        after = len(data) + 2 + 12 * len(entries) + 4
        body = b""
        data += struct.pack(order + "H", len(entries))
        for number, kind, count, raw in entries:
            place = raw.ljust(4, b"\0")
            if len(raw) > 4:
                place = struct.pack(order + "I", after + len(body))
                body += raw
            data += struct.pack(order + "HHI", number, kind, count) + place
        following = 0 if tags is pages[-1] else after + len(body)
        data += struct.pack(order + "I", following) + body
    return bytes(data)


class _Patched:
    """A file that reads as if some bytes of it were others.

    Parameters
    ----------
    file : binary file object
    patches : list of (int, bytes)
        Places and what is there instead.
    """

    def __init__(self, file: BinaryIO, patches: list[tuple[int, bytes]]) -> None:
        self._file = file
        self._patches = sorted(patches)
        self._places = np.array([place for place, _ in self._patches], np.int64)

    def read(self, size: int = -1) -> bytes:
        """Read up to so many bytes."""
        at = self._file.tell()
        data = self._file.read(size)
        first = int(np.searchsorted(self._places, at - 20))
        last = int(np.searchsorted(self._places, at + len(data)))
        if first == last:
            return data
        changed = bytearray(data)
        for place, entry in self._patches[first:last]:
            low, high = max(place, at), min(place + len(entry), at + len(data))
            if low < high:
                changed[low - at : high - at] = entry[low - place : high - place]
        return bytes(changed)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Say the place."""
        return self._file.tell()

    def close(self) -> None:
        """Do nothing: the file is another's."""
