"""The outer structure of a Zstandard frame (RFC 8878), of which libtiff prints what is wrong.

Python's own decoder of it is younger than the oldest Python that is supported. What can be said
without decoding is checked before libtiff gets the data: the header, that all blocks are there, and
that they can give the bytes that are needed.
"""

from __future__ import annotations

_MAGIC = b"\x28\xb5\x2f\xfd"
_LARGEST_BLOCK = 1 << 17
_RAW, _RUN, _RESERVED = 0, 1, 3


def check_frame(data: bytes, needed: int) -> None:
    """Refuse data that are no whole frame of at least `needed` bytes.

    Raises
    ------
    OSError, SyntaxError
    """
    if data[:4] != _MAGIC or len(data) < 6:
        raise SyntaxError("ZSTD data do not begin as such")
    flags = data[4]
    single, size_flag = flags >> 5 & 1, flags >> 6
    if flags & 8:
        raise SyntaxError("the header of ZSTD data makes no sense")
    at = 5 + (not single) + (0, 1, 2, 4)[flags & 3]
    n = (single, 2, 4, 8)[size_flag]
    if n and int.from_bytes(data[at : at + n], "little") + 256 * (size_flag == 1) < needed:
        raise OSError("image file is truncated")
    at += n
    most, last = 0, False
    while not last:
        if at + 3 > len(data):
            raise OSError("image file is truncated")
        header = int.from_bytes(data[at : at + 3], "little")
        last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
        if kind == _RESERVED or size > _LARGEST_BLOCK:
            raise SyntaxError("a block of ZSTD data makes no sense")
        most += size if kind in (_RAW, _RUN) else _LARGEST_BLOCK
        at += 3 + (1 if kind == _RUN else size)
    if at > len(data) or most < needed:
        raise OSError("image file is truncated")
