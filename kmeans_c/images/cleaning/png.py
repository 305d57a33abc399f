"""PNG without the chunks of metadata."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from kmeans_c.images.cleaning.needed import Needed
from kmeans_c.images.cleaning.png_data import stream_bytes
from kmeans_c.images.png_file import SIGNATURE, chunk

# Ancillary chunks that say how the picture looks or moves (PNG, third edition, 11.3).
_NEEDED = frozenset(
    b"tRNS gAMA cHRM sRGB iCCP cICP mDCV cLLI mDCv cLLi sBIT bKGD acTL fcTL fdAT".split()
)
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")


def cleaned(data: bytes, needed: Needed) -> bytes:
    """Leave out texts, times, XMP, unknown chunks and what follows the end; write EXIF anew.

    What follows the compressed pixels within their chunks goes as well.

    Raises
    ------
    ValueError
        If the file does not consist of chunks, or something follows the pixels of a frame.
    """
    parts = [SIGNATURE]
    for name, contents, whole in _without_rests(list(_chunks(data))):
        critical = not name[0] & 0x20
        text = name in _TEXTS and contents.split(b"\0", 1)[0].decode("latin-1") in needed.texts
        resolution = name == b"pHYs" and needed.dpi is not None
        if critical or text or resolution or name in _NEEDED:
            parts.append(whole)
        if name == b"IHDR":
            exif = needed.exif(with_dpi=False)
            if exif:
                parts.append(chunk(b"eXIf", exif))
    return b"".join(parts)


def _without_rests(chunks: list[tuple[bytes, bytes, bytes]]) -> list[tuple[bytes, bytes, bytes]]:
    """Cut what follows the compressed pixels within their chunks."""
    header = next((contents for name, contents, _ in chunks if name == b"IHDR"), b"")
    if len(header) < 13:
        raise ValueError("the PNG has no header")
    frames: list[tuple[tuple[int, int], list[bytes]]] = []
    for name, contents, _ in chunks:
        if name == b"fcTL" and len(contents) == 26:
            frames.append((struct.unpack(">II", contents[4:12]), []))
        elif name == b"fcTL" or (name == b"fdAT" and not frames):
            raise ValueError("a frame of the animation is damaged")
        elif name == b"fdAT":
            frames[-1][1].append(contents[4:])
    for size, parts in frames:
        stream = b"".join(parts)
        if stream and stream_bytes(stream, header, size) < len(stream):
            raise ValueError("something follows the pixels of a frame")
    pixels = b"".join(contents for name, contents, _ in chunks if name == b"IDAT")
    left = stream_bytes(pixels, header)
    if left == len(pixels):
        return chunks
    kept = []
    for name, contents, whole in chunks:
        if name != b"IDAT":
            kept.append((name, contents, whole))
        elif left:
            piece = contents[:left]
            left -= len(piece)
            kept.append((name, piece, chunk(name, piece)))
    return kept


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield name, contents and the whole of each chunk up to IEND."""
    at = len(SIGNATURE)
    name = b""
    while name != b"IEND":
        if at + 12 > len(data):
            raise ValueError("the PNG has no IEND")
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise ValueError("a PNG chunk is cut short")
        yield name, data[at + 8 : end - 4], data[at:end]
        at = end
