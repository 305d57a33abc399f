"""Proof that the bytes of a JPEG hold the picture that was measured.

What is measured is another file of the same coefficients, with the standard Huffman tables
(`writer.baseline`): the twin. A small picture is decoded and must have the twin's pixels. Decoding
a large progressive file takes longer than the proof may; of it are compared the frame's header, the
quantization tables, whether its scans together give every bit of every coefficient, and the decoded
mean of each block of 8 x 8 pixels, up to `MAX_MEANS` pixels, which needs the first scan and its
refinement only: what the other scans say is not decoded there.
"""

from __future__ import annotations

import io
from itertools import chain

import numpy as np

from kmeans_c.images.decoders import opened
from kmeans_c.images.jpeg_segments import EOI, SOS, START, Segment, segments
from kmeans_c.images.modes import Pixels

# Of more pixels only the blocks' means are decoded.
MAX_DECODED = 1 << 20

# And of more than these the first rows: the proof of 10 megapixels takes less than 30 ms.
MAX_MEANS = 6 << 20

_SOF0, _SOF2, _DHT, _DQT = 0xC0, 0xC2, 0xC4, 0xDB
_TWO_BY_TWO = 0x22  # samples of luma for one of chroma

# A Huffman table (AC, number 0) of one code, 0: the start of a run of 2^14 blocks or more that have
# no further coefficient, how many more by the 14 bits behind it.
_ONE_CODE = b"\xff\xc4\x00\x14\x10\x01" + bytes(15) + b"\xe0"
_LONGEST_RUN = (1 << 15) - 1

_NOTHING = 16  # lowest known bit of a coefficient of which no scan has come


def shows(data: bytes, twin: bytes) -> bool:
    """Say whether a JPEG shows the pixels of another one.

    Parameters
    ----------
    data : bytes
        The contents of the file, with or without metadata; one scan or progressive.
    twin : bytes
        A JPEG of one scan with the same coefficients.
    """
    try:
        parts, theirs = (_picture_segments(file) for file in (data, twin))
        if not _is_alike(parts, theirs) or not _is_complete(parts):
            return False
        height, width = (
            int.from_bytes(_frame(parts).contents[at : at + 2], "big") for at in (1, 3)
        )
        if height * width <= MAX_DECODED:
            return np.array_equal(_decoded(data), _decoded(twin))
        rows = max(16, MAX_MEANS // width // 16 * 16)
        if rows < height:
            parts, theirs = _cut(parts, rows), _cut(theirs, rows)
        of_twin = START + b"".join(part.whole for part in theirs)
        means = _decoded(_means_only(parts), small=True)
        return np.array_equal(means, _decoded(of_twin, small=True))
    except (OSError, SyntaxError, ValueError, IndexError):  # of a file that is no such JPEG
        return False


def _picture_segments(data: bytes) -> list[Segment]:
    """Give the segments but those of metadata; they must be the whole file."""
    found = list(segments(data))
    if not data.startswith(START) or sum(len(part.whole) for part in found) + 2 != len(data):
        raise ValueError("bytes before or behind the picture")
    return [part for part in found if not part.is_metadata]


def _frame(parts: list[Segment]) -> Segment:
    (frame,) = (part for part in parts if part.marker in (_SOF0, _SOF2))
    return frame


def _cut(parts: list[Segment], rows: int) -> list[Segment]:
    """Let the frame's header say a smaller height: what follows in each scan is skipped."""
    frame = _frame(parts)
    whole = frame.whole[:5] + rows.to_bytes(2, "big") + frame.whole[7:]
    return [Segment(part.marker, whole[4:], whole) if part is frame else part for part in parts]


def _is_alike(parts: list[Segment], theirs: list[Segment]) -> bool:
    """Compare size, sampling and quantization."""
    tables = (
        b"".join(part.contents for part in of if part.marker == _DQT) for of in (parts, theirs)
    )
    known = {_SOF0, _SOF2, _DHT, _DQT, SOS, EOI}
    return (
        {part.marker for part in parts} <= known
        and _frame(parts).contents == _frame(theirs).contents
        and len(set(tables)) == 1
    )


def _is_complete(parts: list[Segment]) -> bool:
    """Say whether the scans give each coefficient of each component once, and all of its bits."""
    frame = _frame(parts).contents
    lowest = {component: [_NOTHING] * 64 for component in frame[6::3]}
    for scan in (part.contents for part in parts if part.marker == SOS):
        n = scan[0]
        first, last, bits = scan[1 + 2 * n : 4 + 2 * n]
        before, after = bits >> 4 or _NOTHING, bits & 15
        for component in scan[1 : 1 + 2 * n : 2]:
            known = lowest.get(component, [])
            if not known or any(bit != before for bit in known[first : last + 1]):
                return False
            known[first : last + 1] = [after] * (last + 1 - first)
    return not any(chain.from_iterable(lowest.values()))


def _means_only(parts: list[Segment]) -> bytes:
    """Give a progressive file with the means of the blocks, and most other coefficients 0.

    Without scans that say 0, libjpeg would estimate them from the neighbouring blocks. Chroma of
    4:2:0 stays whole: at an eighth of the size it has 2 x 2 samples a block.
    """
    frame = _frame(parts)
    if frame.marker != _SOF2:
        return START + b"".join(part.whole for part in parts)
    components = frame.contents[6::3]
    empty_ones = components[:1] if frame.contents[7] == _TWO_BY_TWO else components
    kept = [
        part.whole
        for part in parts
        if part.marker != EOI
        and (part.marker != SOS or not part.contents[-3] or part.contents[1] not in empty_ones)
    ]
    height, width = (int.from_bytes(frame.contents[at : at + 2], "big") for at in (1, 3))
    runs = -(-(-(-width // 8) * -(-height // 8)) // _LONGEST_RUN)
    bits = ("0" + 14 * "1") * runs
    bits += "1" * (-len(bits) % 8)
    empty = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    headers = (b"\xff\xda\0\x08\x01%c\0\x01\x3f\0" % component for component in empty_ones)
    return b"".join([START, *kept, _ONE_CODE, *(head + empty for head in headers), b"\xff\xd9"])


def _decoded(data: bytes, *, small: bool = False) -> Pixels:
    with opened(io.BytesIO(data)) as image:
        if small:
            image.draft(None, (1, 1))  # as small as libjpeg makes it: an eighth
        return np.asarray(image)
