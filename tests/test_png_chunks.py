"""PNG: chunks that hold no picture are no reason to refuse it."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from kmeans_c import cli, compress
from kmeans_c.images import read_image
from kmeans_c.images.frames import read_frames

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
MORE_THAN_A_MEBIBYTE = np.random.default_rng(1).integers(97, 123, 1_200_000, np.uint8).tobytes()


def chunk(name, contents, *, checksum=None, length=None):
    crc = zlib.crc32(name + contents) if checksum is None else checksum
    size = len(contents) if length is None else length
    return struct.pack(">I", size) + name + contents + struct.pack(">I", crc)


def png(before=b"", after=b"", pixels=PIXELS, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png", **options)
    data = file.getvalue()
    end = data.index(b"IEND") - 4
    return data[:33] + before + data[33:end] + after + data[end:]


def bomb(n):
    packer = zlib.compressobj(9)
    return packer.compress(bytes(n)) + packer.flush()


TEXT = zlib.compress(MORE_THAN_A_MEBIBYTE)
HARMLESS = {
    "long zTXt": chunk(b"zTXt", b"mxfile\0\0" + TEXT),
    "long iTXt": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + TEXT),
    "long plain tEXt": chunk(b"tEXt", b"a\0" + MORE_THAN_A_MEBIBYTE),
    "many texts": chunk(b"tEXt", b"a\0" + MORE_THAN_A_MEBIBYTE) * 70,
    "text bombs": chunk(b"zTXt", b"a\0\0" + bomb(1 << 26)) * 40,
    "bombs below the limit": chunk(b"zTXt", b"a\0\0" + bomb((1 << 20) - 9)) * 80,
    "unknown compression": chunk(b"zTXt", b"a\0\7" + TEXT),
    "unknown compression of iTXt": chunk(b"iTXt", b"a\0\1\7\0\0" + TEXT),
    "damaged text": chunk(b"zTXt", b"a\0\0" + b"nonsense"),
    "empty texts": b"".join(chunk(name, b"") for name in (b"tEXt", b"zTXt", b"iTXt")),
    "iTXt without its end": chunk(b"iTXt", b"a\0\1\0"),
    "short pHYs": chunk(b"pHYs", b"\0\0\1"),
    "empty pHYs": chunk(b"pHYs", b""),
    "nonsense in eXIf": chunk(b"eXIf", b"nonsense"),
    "short tIME": chunk(b"tIME", b"\1"),
    "unknown": chunk(b"abCd", b"something"),
    "frames without an animation": chunk(b"fcTL", bytes(26)) + chunk(b"fdAT", bytes(9)),
    "short frames": chunk(b"fcTL", b"") + chunk(b"fdAT", b""),
    **{
        f"{name.decode()} of a wrong checksum": chunk(name, b"Title\0something", checksum=1)
        for name in (
            b"tEXt",
            b"zTXt",
            b"iTXt",
            b"eXIf",
            b"tIME",
            b"pHYs",
            b"bKGD",
            b"hIST",
            b"abCd",
        )
    },
}


@pytest.mark.parametrize("name", HARMLESS)
@pytest.mark.parametrize("behind", [False, True])
def test_the_picture_is_shown(name, behind, capfd):
    parts = {"after": HARMLESS[name]} if behind else {"before": HARMLESS[name]}
    data = png(**parts)
    picture = read_image(io.BytesIO(data))
    assert np.array_equal(picture.pixels, PIXELS)
    assert picture.frames == 1
    with read_frames(io.BytesIO(data)) as animation:
        (frame,) = animation
    assert np.array_equal(frame.pixels[:, :, :3], PIXELS)
    assert capfd.readouterr() == ("", "")


def test_other_readers_show_it_too():
    pyvips = pytest.importorskip("pyvips")
    for name, part in HARMLESS.items():
        found = pyvips.Image.new_from_buffer(png(before=part), "").numpy()
        assert np.array_equal(found, PIXELS), name


def test_texts_that_are_sound_are_kept():
    parts = chunk(b"tEXt", b"Author\0Ada") + HARMLESS["long zTXt"]
    parts += chunk(b"iTXt", b"Title\0\1\0\0\0" + zlib.compress(b"Engine"))
    texts = dict(read_image(io.BytesIO(png(before=parts))).metadata.texts)
    assert texts == {"Author": "Ada", "Title": "Engine"}
    damaged = chunk(b"tEXt", b"Title\0Engine", checksum=5) + chunk(b"tEXt", b"Author\0Ada")
    assert read_image(io.BytesIO(png(before=damaged))).metadata.texts == (("Author", "Ada"),)


@pytest.mark.parametrize(("name", "n"), [("long zTXt", 1), ("long iTXt", 1), ("text bombs", 40)])
@pytest.mark.parametrize("frames", [1, 2])
def test_long_texts_that_should_be_kept_are_announced(tmp_path, capfd, name, n, frames):
    others = [Image.fromarray(PIXELS[::-1])] if frames > 1 else []
    data = png(before=HARMLESS[name], save_all=bool(others), append_images=others)
    (tmp_path / "a.png").write_bytes(data)
    what = (
        "a text chunk of more than 1 MiB is"
        if n == 1
        else f"{n} text chunks of more than 1 MiB are"
    )
    note = f"metadata: {what} left out"
    arguments = [str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png"), "-f", "-v", "--metadata"]
    assert cli.main([*arguments, "keep"]) == 0
    assert capfd.readouterr().out.count(note) == 1
    assert cli.main([*arguments, "safe"]) == 0
    assert "metadata: " not in capfd.readouterr().out
    assert compress(tmp_path / "a.png", io.BytesIO(), metadata="keep").notes == (note,)
    assert compress(tmp_path / "a.png", io.BytesIO()).notes == ()


@pytest.mark.parametrize("length", [5, 1 << 20, (1 << 31) - 1, (1 << 32) - 1])
def test_a_chunk_beyond_the_end(length):
    data = png()
    data = data[: data.index(b"IEND") - 4] + chunk(b"tEXt", b"a\0b", length=length)
    assert np.array_equal(read_image(io.BytesIO(data)).pixels, PIXELS)


@pytest.mark.parametrize("name", [b"gAMA", b"cHRM", b"sRGB"])
@pytest.mark.parametrize("length", [0, 3, 50])
def test_colours_of_a_wrong_length_are_not_followed(name, length):
    data = png(before=chunk(name, b"\1" * length))
    assert np.array_equal(read_image(io.BytesIO(data)).pixels, PIXELS)


@pytest.mark.parametrize("name", [b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"tRNS", b"PLTE", b"IDAT"])
def test_what_changes_the_picture_is_not_left_out(name):
    contents = {b"gAMA": struct.pack(">I", 100_000), b"sRGB": b"\0", b"cHRM": bytes(32)}
    part = chunk(name, contents.get(name, bytes(6)), checksum=1)
    with pytest.raises(OSError, match="image: "):
        read_image(io.BytesIO(png(before=part)))


def test_a_flipped_bit_in_the_pixels_is_found():
    data = bytearray(png(compress_level=0))
    at = data.index(b"IDAT") + 40
    data[at] ^= 1
    with pytest.raises(OSError, match="checksum of the pixels is wrong"):
        read_image(io.BytesIO(bytes(data)))


def test_a_profile_of_more_than_a_mebibyte_is_followed():
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    at, other = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[at : at + 4], profile[other : other + 4] = b"bXYZ", b"rXYZ"
    expected = read_image(io.BytesIO(png(icc_profile=bytes(profile)))).pixels
    assert not np.array_equal(expected, PIXELS)
    long = bytes(profile) + bytes(2_000_000)
    long = struct.pack(">I", len(long)) + long[4:]
    data = png(before=chunk(b"iCCP", b"a\0\0" + zlib.compress(long)))
    picture = read_image(io.BytesIO(data), icc="keep")
    assert picture.metadata.icc == long
    assert np.array_equal(picture.pixels, PIXELS)
    assert np.array_equal(read_image(io.BytesIO(data)).pixels, expected)


def test_animations_keep_their_frames():
    frames = [Image.fromarray(PIXELS), Image.fromarray(PIXELS[::-1])]
    file = io.BytesIO()
    frames[0].save(file, "png", save_all=True, append_images=frames[1:], duration=100)
    data = file.getvalue()
    data = data[:33] + HARMLESS["long zTXt"] + HARMLESS["tEXt of a wrong checksum"] + data[33:]
    with read_frames(io.BytesIO(data)) as animation:
        shown = [frame.pixels[:, :, :3] for frame in animation]
    assert len(shown) == 2
    assert np.array_equal(shown[0], PIXELS)
    assert np.array_equal(shown[1], PIXELS[::-1])


def test_the_command_compresses_it(tmp_path):
    (tmp_path / "a.png").write_bytes(png(before=HARMLESS["long zTXt"]))
    done = compress(tmp_path / "a.png", tmp_path / "b.png", K=4)
    assert not done.kept_original
    assert (tmp_path / "b.png").stat().st_size < 2000
