"""TIFF as a container: pages, written one after the other (TIFF 6.0, and Adobe's Deflate).

Pillow would have all pages in memory, or walk through all of them again for each new one.
"""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_SHORT, _LONG = 3, 4
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

    def add(self, palette: NDArray[np.uint8], indices: NDArray[np.uint8]) -> None:
        """Write a page.

        Parameters
        ----------
        palette : (n, 4) array of uint8
            RGBA, at most 256.
        indices : (H, W) array of uint8

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
            pixels = [(258, _SHORT, [bits]), (262, _SHORT, [_PALETTE]), (277, _SHORT, [1])]
            colors = np.zeros((3, 1 << bits), np.uint16)
            colors[:, : len(palette)] = palette[:, :3].T.astype(np.uint16) * 257
            pixels.append((320, _SHORT, colors.ravel().tolist()))
        else:
            rows, samples = palette[indices].reshape(height, -1), 4
            pixels = [(258, _SHORT, [8] * 4), (262, _SHORT, [_RGB]), (277, _SHORT, [4])]
            pixels.append((338, _SHORT, [_UNASSOCIATED_ALPHA]))
        rows_a_strip = min(height, max(1, _STRIP // (width * samples)))
        strips = [
            zlib.compress(np.ascontiguousarray(rows[at : at + rows_a_strip]).data, self.level)
            for at in range(0, height, rows_a_strip)
        ]
        tags = [
            (256, _LONG, [width]),
            (257, _LONG, [height]),
            (259, _SHORT, [_DEFLATE]),
            (273, _LONG, [0] * len(strips)),
            (278, _LONG, [rows_a_strip]),
            (279, _LONG, [len(strip) for strip in strips]),
            *pixels,
        ]
        self._append(sorted(tags), strips)

    def finish(self) -> bytes:
        """Give the file."""
        struct.pack_into("<I", self.parts[-1], self.next_at, 0)
        return b"".join(self.parts)

    def _append(self, tags: list[tuple[int, int, list[int]]], strips: list[bytes]) -> None:
        """Write a directory, the values that it has no room for, and the strips."""
        after = self.size + 2 + 12 * len(tags) + 4
        sizes = {_SHORT: 2, _LONG: 4}
        outside = sum(
            sizes[kind] * len(values) for _, kind, values in tags if sizes[kind] * len(values) > 4
        )
        at = after + outside
        offsets = []
        for strip in strips:
            offsets.append(at)
            at += len(strip)
        if at >= 1 << 32:
            raise ValueError("format: tiff files have at most 4 GiB; webp and png have no pages")
        directory, body = struct.pack("<H", len(tags)), b""
        for tag, kind, values in tags:
            numbers = offsets if tag == 273 else values
            raw = struct.pack(f"<{len(numbers)}{'H' if kind == _SHORT else 'I'}", *numbers)
            directory += struct.pack("<HHI", tag, kind, len(numbers))
            if len(raw) <= 4:
                directory += raw.ljust(4, b"\0")
            else:
                directory += struct.pack("<I", after + len(body))
                body += raw
        padding = -at % 2  # directories begin at even places
        following = struct.pack("<I", at + padding)
        part = bytearray(directory + following + body + b"".join(strips) + bytes(padding))
        self.parts.append(part)
        self.next_at = len(directory)
        self.size = at + padding


def packed_rows(indices: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Put several indices of 1, 2 or 4 bits into each byte, the first one highest; 8 as they are.

    Each row of (h, w) indices begins with a byte of its own.
    """
    if bits == 8:
        return indices
    planes = [indices >> bit & 1 for bit in range(bits - 1, -1, -1)]
    return np.packbits(np.stack(planes, axis=2).reshape(len(indices), -1), axis=1)
