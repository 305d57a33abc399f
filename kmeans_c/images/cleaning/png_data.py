"""The compressed data of a PNG: whether they hold more than pixels."""

from __future__ import annotations

import struct
import zlib

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the type of colour

# Adam7: the first column and row of each pass, and the distances to the next ones.
_PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_PIECE = 1 << 20


def stream_bytes(data: bytes, header: bytes, size: tuple[int, int] | None = None) -> int:
    """Count the bytes of the zlib stream at the beginning of an image's data.

    Parameters
    ----------
    data : bytes
        Contents of all IDAT, or of all fdAT of a frame.
    header : bytes
        Contents of IHDR.
    size : (width, height), optional
        Of the frame; default: of the image.

    Returns
    -------
    int
        At most `len(data)`; all where the stream has no end.

    Raises
    ------
    ValueError
        If the stream is damaged, or holds more than the pixels.
    """
    stream = zlib.decompressobj()
    left = _pixel_bytes(header, size)
    rest = data
    try:
        while not stream.eof:
            piece = stream.decompress(rest, min(left + 1, _PIECE))
            rest = stream.unconsumed_tail
            left -= len(piece)
            if left < 0:
                raise ValueError("the PNG has more data than pixels")
            if not piece and not rest:
                break
    except zlib.error as error:
        raise ValueError("the data of a PNG are damaged") from error
    return len(data) - len(stream.unused_data)


def _pixel_bytes(header: bytes, size: tuple[int, int] | None) -> int:
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", header[:13])
    if size is not None:
        width, height = size
    bits = depth * _CHANNELS.get(kind, 0)
    n = 0
    for left, top, across, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = -((left - width) // across), -((top - height) // down)
        if columns > 0 and rows > 0:
            n += rows * (1 + (columns * bits + 7) // 8)
    return n
