"""TIFF as a container: pages, written one after the other (TIFF 6.0, and Adobe's Deflate).

::

    page  [ directory | values and folders that it has no room for | strips ]

Pillow would have all pages in memory, or walk through all of them again for each new one.
"""

import struct
import zlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kmeans_c.images.fields import Field, Folder, written

_STRIP_OFFSETS = 273
_DEFLATE = 8
_PALETTE, _RGB = 3, 2
_UNASSOCIATED_ALPHA = 2

# Bytes of pixels in a strip: some 50 ms of zlib.
_STRIP = 1 << 20

_OPAQUE = 255


class Pages:
    """A file of pages, each with a palette, or in RGBA where that has transparency.

    Parameters
    ----------
    level : int
        How hard zlib tries, 1..9.
    """

    def __init__(self, level: int = 9) -> None:
        self.level = level
        self.parts = [bytearray(b"II*\0\x08\0\0\0")]
        self.size = 8
        self.next_at = 4  # in the last part: where it says where the next page is

    def add(
        self,
        palette: NDArray[np.uint8],
        indices: NDArray[np.uint8],
        about: Folder | None = None,
    ) -> None:
        """Write a page.

        Parameters
        ----------
        palette : (n, 4) array of uint8
            RGBA, at most 256.
        indices : (H, W) array of uint8
        about : Folder, optional
            What the page says beside its pixels, see `tiff_metadata.tiff_folder`.

        Raises
        ------
        ValueError
            If the file would have more than 4 GiB.
        """
        height, width = indices.shape
        opaque = bool(np.all(palette[:, 3] == _OPAQUE))
        if opaque:
            bits = 4 if len(palette) <= 16 else 8
            rows, samples = packed_rows(indices, bits), 1
            colors = np.zeros((3, 1 << bits), np.uint16)
            colors[:, : len(palette)] = palette[:, :3].T.astype(np.uint16) * 257
            pixels = {
                258: Field.of_shorts(bits),
                262: Field.of_shorts(_PALETTE),
                277: Field.of_shorts(1),
                320: Field.of_shorts(*colors.ravel().tolist()),
            }
        else:
            rows, samples = palette[indices].reshape(height, -1), 4
            pixels = {
                258: Field.of_shorts(8, 8, 8, 8),
                262: Field.of_shorts(_RGB),
                277: Field.of_shorts(4),
                338: Field.of_shorts(_UNASSOCIATED_ALPHA),
            }
        rows_a_strip = min(height, max(1, _STRIP // (width * samples)))
        strips = [
            zlib.compress(np.ascontiguousarray(rows[at : at + rows_a_strip]).data, self.level)
            for at in range(0, height, rows_a_strip)
        ]
        pixels |= {
            256: Field.of_longs(width),
            257: Field.of_longs(height),
            259: Field.of_shorts(_DEFLATE),
            _STRIP_OFFSETS: Field.of_longs(*[0] * len(strips)),
            278: Field.of_longs(rows_a_strip),
            279: Field.of_longs(*map(len, strips)),
        }
        about = Folder() if about is None else about
        self._append(replace(about, fields=about.fields | pixels), strips)

    def finish(self) -> bytes:
        """Give the file."""
        struct.pack_into("<I", self.parts[-1], self.next_at, 0)
        return b"".join(self.parts)

    def _append(self, page: Folder, strips: list[bytes]) -> None:
        """Write a directory, the values that it has no room for, and the strips."""
        at = self.size + len(written(page, self.size))
        offsets = []
        for strip in strips:
            offsets.append(at)
            at += len(strip)
        if at >= 1 << 32:
            raise ValueError("format: tiff files have at most 4 GiB; webp and png have no pages")
        page.fields[_STRIP_OFFSETS] = Field.of_longs(*offsets)
        padding = -at % 2  # directories begin at even places
        directory = written(page, self.size, at + padding)
        self.parts.append(bytearray(directory + b"".join(strips) + bytes(padding)))
        self.next_at = 2 + 12 * (len(page.fields) + len(page.folders))
        self.size = at + padding


def packed_rows(indices: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Put several indices of 1, 2 or 4 bits into each byte, the first one highest; 8 as they are.

    Each row of (h, w) indices begins with a byte of its own.
    """
    if bits == 8:
        return indices
    planes = [indices >> bit & 1 for bit in range(bits - 1, -1, -1)]
    return np.packbits(np.stack(planes, axis=2).reshape(len(indices), -1), axis=1)
