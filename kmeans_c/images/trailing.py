"""What follows the end of a picture in its file: another picture is worth a word.

Viewers show the first picture of concatenated files and ignore the rest, as this package does.
"""

from __future__ import annotations

import io
from typing import BinaryIO

from kmeans_c.images import png_file
from kmeans_c.images.jpeg_segments import segments

_SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"RIFF": "WebP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}


def trailing_note(file: BinaryIO, end: int | None) -> str | None:
    """Say whether another picture follows the one of a file, which is left at its start.

    Parameters
    ----------
    file : binary file object
    end : int or None
        Where the picture ends, if that is known.

    Returns
    -------
    str or None
        For `Picture.notes`.
    """
    size = file.seek(0, io.SEEK_END)
    note = None
    if end is not None and end + 12 <= size:
        file.seek(end)
        start = file.read(12)
        for signature, name in _SIGNATURES.items():
            if start.startswith(signature) and (name != "WebP" or start[8:] == b"WEBP"):
                what = f"{size - end} bytes behind the picture begin as a {name}"
                note = f"file: {what} and are left out"
    file.seek(0)
    return note


def end_of(file: BinaryIO, kind: str) -> int | None:
    """Return where the picture of a PNG, JPEG or WebP ends; None if that is not known."""
    file.seek(0)
    if kind == "png":
        for name, at, length in png_file.each_chunk(file):
            if name == b"IEND":
                return at + length + 4
    elif kind == "webp":
        return 8 + int.from_bytes(file.read(8)[4:], "little")
    elif kind == "jpeg":
        try:
            return 2 + sum(len(segment.whole) for segment in segments(file.read()))
        except ValueError:  # of a damaged file
            return None
    return None


def notes_of(*notes: str | None) -> tuple[str, ...]:
    """Return those that are there."""
    return tuple(note for note in notes if note is not None)
