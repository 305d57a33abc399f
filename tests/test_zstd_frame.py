"""ZSTD in TIFF: what is no whole frame is refused before libtiff prints why."""

import io

import hostile
import numpy as np
import pytest
from PIL import Image, features

from kmeans_c.images import read_image
from kmeans_c.images.zstd_frame import check_frame


def blocks(*parts):
    """Headers and contents of (last, kind, size, contents)."""
    return b"".join(
        (last | kind << 1 | size << 3).to_bytes(3, "little") + data
        for last, kind, size, data in parts
    )


MAGIC = b"\x28\xb5\x2f\xfd"
RAW = blocks((0, 0, 5, b"abcde"), (1, 1, 300, b"z"))


@pytest.mark.parametrize(
    "head",
    [
        b"\x00\x58",
        b"\x20\xff",
        b"\x60\x31\x00",
        b"\xa0\x31\x01\0\0",
        b"\xe0\x31\x01" + bytes(6),
        b"\x01\x58\x07",
    ],
)
def test_whole_frames(head):
    if head[0] == 0x20:
        check_frame(MAGIC + head + RAW, 255)
        return
    check_frame(MAGIC + head + RAW, 305)
    for n in range(len(MAGIC + head + RAW)):
        with pytest.raises((OSError, SyntaxError)):
            check_frame((MAGIC + head + RAW)[:n], 305)
    with pytest.raises(OSError, match="truncated"):
        check_frame(MAGIC + head + RAW, 306)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense data",
        MAGIC + b"\x08\x58" + RAW,
        MAGIC + b"\x00\x58" + blocks((1, 3, 5, b"abcde")),
        MAGIC + b"\x00\x58" + blocks((1, 1, 200_000, b"a")),
    ],
)
def test_no_frames(data):
    with pytest.raises(SyntaxError):
        check_frame(data, 1)


@pytest.mark.skipif(not features.check("libtiff"), reason="this Pillow has no libtiff")
def test_nothing_is_printed_of_a_file_that_is_cut(capfd):
    pixels = hostile.photo(60, 80)
    file = io.BytesIO()
    try:
        Image.fromarray(pixels).save(file, "tiff", compression="zstd")
    except (OSError, RuntimeError):
        pytest.skip("this libtiff has no ZSTD")
    data = file.getvalue()
    assert np.array_equal(read_image(io.BytesIO(data)).pixels, pixels)
    start = data.index(MAGIC)
    for wrong in range(4):
        changed = bytearray(data)
        changed[start + wrong] ^= 1
        with pytest.raises(OSError, match="do not begin as such"):
            read_image(io.BytesIO(bytes(changed)))
    assert capfd.readouterr() == ("", "")
