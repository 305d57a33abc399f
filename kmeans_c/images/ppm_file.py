"""PBM, PGM and PPM as containers: how many pictures stand in a file, one behind the other.

Netpbm's binary kinds (P4, P5, P6) may be concatenated, and its programs write such files. The plain
kinds (P1, P2, P3) hold one picture by the specification, but files of several exist, too. What
follows a picture and is none is tolerated.
"""

from __future__ import annotations

import io
import re
from typing import BinaryIO, NamedTuple

_PLAIN, _BITS, _COLOR = (b"P1", b"P2", b"P3"), (b"P1", b"P4"), (b"P3", b"P6")

# The magic number, and numbers with white space and comments before them.
_BETWEEN = rb"(?:\s|#[^\r\n]*[\r\n])"
_HEADER = re.compile(
    rb"(?P<kind>P[1-6])(?=[\s#])"
    + b"".join(
        _BETWEEN + b"{1,4096}?(?P<%s>[0-9]{1,10})(?![0-9])" % n for n in (b"width", b"height")
    )
)
_MAXVAL = re.compile(_BETWEEN + rb"{1,4096}?(?P<maxval>[0-9]{1,5})(?![0-9])")
_SPACE = re.compile(rb"\s*")
_NEXT_PLAIN = re.compile(rb"(?<=\s)P[1-6](?=[\s#])")
_COMMENT = re.compile(rb"#[^\r\n]*")

_LONGEST_HEADER = 1 << 16


class _Header(NamedTuple):
    kind: bytes
    length: int
    n_bytes: int  # of the raster, of a binary kind


def count_pictures(file: BinaryIO, most: int) -> int:
    """Count the pictures of a file.

    Parameters
    ----------
    file : binary file object
        It is left at its start.
    most : int
        Where counting ends.

    Returns
    -------
    int
        At least 1.
    """
    size = file.seek(0, io.SEEK_END)
    at, n = 0, 0
    while n < most:
        file.seek(at)
        header = _header(file.read(_LONGEST_HEADER))
        if header is None:
            break
        n += 1
        if header.kind in _PLAIN:
            at = _behind_plain(file, at + header.length)
        else:
            at += header.length + header.n_bytes
        if at >= size:
            break
        file.seek(at)
        found = _SPACE.match(file.read(_LONGEST_HEADER))
        at += 0 if found is None else found.end()
    file.seek(0)
    return max(n, 1)


def _header(start: bytes) -> _Header | None:
    found = _HEADER.match(start)
    if found is None:
        return None
    kind, width, height = found["kind"], int(found["width"]), int(found["height"])
    length, maxval = found.end(), 1
    if kind not in _BITS:
        depth = _MAXVAL.match(start, length)
        if depth is None:
            return None
        length, maxval = depth.end(), int(depth["maxval"])
    if not width or not height or not 1 <= maxval <= 65535:
        return None
    row = (width + 7) // 8 if kind in _BITS else width * (1 + (maxval > 255))
    return _Header(kind, length + 1, height * row * (3 if kind in _COLOR else 1))


def _behind_plain(file: BinaryIO, at: int) -> int:
    """Find where another picture follows the numbers of a plain one; else the end of the file."""
    file.seek(at - 1)
    rest = _COMMENT.sub(lambda comment: b" " * len(comment[0]), file.read())
    found = _NEXT_PLAIN.search(rest)
    return at - 1 + (len(rest) if found is None else found.start())
