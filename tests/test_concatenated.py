"""Several pictures in one file, one behind the other: refused, counted or said, never lost."""

import io

import hostile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kmeans_c import cli, compress
from kmeans_c.images import MAX_FRAMES_COUNTED, read_image
from kmeans_c.images.ppm_file import count_pictures

MODES = {"pbm": "1", "pgm": "L", "ppm": "RGB"}


def binary(kind, seed=0, size=(30, 40)):
    return hostile.file_of(
        Image.fromarray(hostile.photo(*size, seed=seed)).convert(MODES[kind]), "ppm"
    )


def plain(kind, seed=0, comment=b""):
    pixels = np.asarray(Image.fromarray(hostile.photo(6, 7, seed=seed)).convert(MODES[kind]))
    number = {"pbm": b"P1", "pgm": b"P2", "ppm": b"P3"}[kind]
    head = number + b"\n" + comment + b"7 6\n" + (b"" if kind == "pbm" else b"255\n")
    return head + b"\n".join(b"%d" % value for value in pixels.ravel().tolist()) + b"\n"


def wide():
    """A picture of 16 bits a sample whose raster looks like headers."""
    return b"P5 8 4 65535\n" + b"P5 1 1 9\n" * 7 + b"\n"


FILES = {
    **{f"binary {kind}": binary(kind) for kind in MODES},
    **{f"plain {kind}": plain(kind) for kind in MODES},
    "16 bits": wide(),
    "comments": b"P6 # P5 1 1 255\n# P6\n2#\n 1 #x\n255\n" + b"abcdef",
    "a comment in plain": plain("pgm", comment=b"# P2 1 1 255\n"),
}


@pytest.mark.parametrize("first", FILES)
@pytest.mark.parametrize("second", FILES)
@pytest.mark.parametrize("between", [b"", b"\n", b" \n\n"])
def test_pictures_are_counted(first, second, between):
    if first.startswith("plain") and not between:
        between = b"\n"
    file = io.BytesIO(FILES[first] + between + FILES[second])
    assert count_pictures(io.BytesIO(FILES[first]), 1000) == 1
    assert count_pictures(file, 1000) == 2
    assert file.tell() == 0
    file = io.BytesIO(file.getvalue() + b"\n" + FILES[first])
    assert count_pictures(file, 1000) == 3
    assert count_pictures(file, 2) == 2
    alone = read_image(io.BytesIO(FILES[first]))
    if first == "plain pbm":  # whose digits need no space between them; Pillow refuses the P
        with pytest.raises(OSError, match="Invalid token"):
            read_image(file)
        return
    picture = read_image(file)
    assert np.array_equal(picture.pixels, alone.pixels)
    assert (picture.frames, alone.frames) == (3, 1)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "garbage",
    [b"\n", b"garbage", b"\n\n \n", b"P", b"P6", b"P6 0 3 255\n", b"P9 1 1 255\n.", bytes(99)],
)
def test_what_is_no_picture_is_tolerated(name, garbage):
    assert count_pictures(io.BytesIO(FILES[name] + garbage), 1000) == 1


def test_counting_ends():
    data = b"P5 1 1 255\n\0" * (MAX_FRAMES_COUNTED + 5)
    assert read_image(io.BytesIO(data)).frames == MAX_FRAMES_COUNTED


@given(
    st.binary(max_size=60), st.sampled_from([b"P4 ", b"P5 1 1 ", b"P6 3 3 255\n", b"P1 2 2\n", b""])
)
def test_any_bytes(data, start):
    assert 1 <= count_pictures(io.BytesIO(start + data), 9) <= 9


@pytest.mark.parametrize("kind", [*MODES])
@pytest.mark.parametrize("out", ["png", "gif", "tif", "jpg"])
def test_refused_without_first(tmp_path, monkeypatch, capfd, kind, out):
    monkeypatch.chdir(tmp_path)
    data = b"".join(binary(kind, seed) for seed in range(3))
    (tmp_path / f"a.{kind}").write_bytes(data)
    with pytest.raises(
        ValueError, match=r"^format: \w+ holds one picture, the input has 3 pictures"
    ):
        compress(f"a.{kind}", f"a.{out}")
    assert cli.main([f"a.{kind}", "-o", f"a.{out}", "-q"]) == 1
    said = capfd.readouterr().err
    assert "the input has 3 pictures; --first takes the first" in said
    assert not (tmp_path / f"a.{out}").exists()
    done = compress(f"a.{kind}", f"a.{out}", first=True, allow_larger=True)
    assert (done.frames, done.frames_written) == (3, 1)


BEHIND = {
    "png": ("PNG", hostile.file_of(hostile.photo(seed=1), "png")),
    "jpeg": ("JPEG", hostile.file_of(hostile.photo(seed=1), "jpeg")),
    "gif": ("GIF", hostile.file_of(hostile.photo(seed=1), "gif")),
    "webp": ("WebP", hostile.file_of(hostile.photo(seed=1), "webp")),
    "tiff": ("TIFF", hostile.file_of(hostile.photo(seed=1), "tiff")),
}


@pytest.mark.parametrize("first", ["png", "jpeg", "gif", "webp"])
@pytest.mark.parametrize("second", BEHIND)
def test_a_picture_behind_the_picture_is_said(tmp_path, monkeypatch, capfd, first, second):
    monkeypatch.chdir(tmp_path)
    name, data = BEHIND[second]
    (tmp_path / "a").write_bytes(BEHIND[first][1] + data)
    picture, alone = read_image("a"), read_image(io.BytesIO(BEHIND[first][1]))
    note = f"file: {len(data)} bytes behind the picture begin as a {name} and are left out"
    assert (picture.notes, alone.notes) == ((note,), ())
    assert np.array_equal(picture.pixels, alone.pixels)
    assert compress("a", "b.png", allow_larger=True).notes == (note,)
    assert cli.main(["a", "-o", "c.png", "-v", "--allow-larger"]) == 0
    assert capfd.readouterr().out.count(note) == 1


@pytest.mark.parametrize("first", ["png", "jpeg", "gif", "webp"])
@pytest.mark.parametrize("garbage", [b"\0" * 4096, b"\n", b"RIFF1234AVI garbage", b"\xff\xd9"])
def test_other_bytes_behind_the_picture_are_not(first, garbage):
    assert read_image(io.BytesIO(BEHIND[first][1] + garbage)).notes == ()
