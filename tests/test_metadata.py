"""What is kept of what a file says: nothing, what is safe, or all that there is room for."""

import io
import struct

import hostile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, PngImagePlugin

from kmeans_c.encoding import encode
from kmeans_c.images import exif as exif_data
from kmeans_c.images import read_image
from kmeans_c.images.metadata import Metadata, kept, save_options

KINDS = ("png", "jpeg", "webp", "tiff")

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6" b="secret"/></x:xmpmeta>'


def rich_exif(orientation=6):
    """EXIF that gives everything away."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[315] = "Ada Lovelace"
    exif[33432] = "(c) Ada"
    exif[271] = "Camera Works"
    exif[306] = "2026:11:25 01:02:03"
    exif[ExifTags.IFD.Exif] = {
        0xA431: "SERIAL-12345",
        0x927C: b"MAKERNOTE",
        0x9003: "2026:01:01 00:00:00",
    }
    exif[ExifTags.IFD.GPSInfo] = {1: "N", 2: (52.0, 31.0, 0.0)}
    return exif


SECRETS = (b"SERIAL-12345", b"MAKERNOTE", b"Camera Works", b"2026:", b"secret")


def rich(kind, **more):
    """A file of that format with all of it."""
    options = {"exif": rich_exif(), "dpi": (300, 150)}
    if kind == "png":
        info = PngImagePlugin.PngInfo()
        info.add_text("Author", "Zoë", zip=False)
        info.add_text("Software", "secret editor")
        info.add_itxt("XML:com.adobe.xmp", XMP.decode())
        options["pnginfo"] = info
    elif kind == "tiff":
        from PIL.TiffImagePlugin import ImageFileDirectory_v2

        directory = ImageFileDirectory_v2()
        for tag, value in rich_exif().items():
            directory[tag] = value
        directory[700] = XMP
        options = {"tiffinfo": directory, "dpi": (300, 150)}
    else:
        options["xmp"] = XMP
    if kind == "jpeg":
        options["comment"] = "hello"
    if kind == "webp":
        options["lossless"] = True
    return hostile.file_of(hostile.photo(20, 30), kind, **options, **more)


def read(data, **options):
    return read_image(io.BytesIO(data), **options)


def written(metadata, kind, policy):
    """A small file with what the policy lets through, as bytes and as Pillow reads it."""
    pixels = hostile.photo(8, 8).reshape(-1, 3)
    palette, indices = np.unique(pixels, axis=0, return_inverse=True)
    indices = indices.reshape(8, 8).astype(np.uint8)
    data = encode(palette, indices, kind, metadata=metadata, policy=policy)
    image = Image.open(io.BytesIO(data))
    image.load()
    return data, image


class TestReading:
    @pytest.mark.parametrize("kind", KINDS)
    def test_everything_is_read(self, kind):
        metadata = read(rich(kind)).metadata
        fields = exif_data.texts(metadata.exif)
        assert fields[exif_data.ARTIST] == b"Ada Lovelace"
        assert fields[exif_data.COPYRIGHT] == b"(c) Ada"
        assert b"SERIAL-12345" in metadata.exif
        assert metadata.xmp == XMP
        if kind != "webp":
            # The image lies on its side, and so does its resolution.
            assert metadata.dpi == pytest.approx((150, 300), abs=0.02)
        if kind == "png":
            assert dict(metadata.texts) == {"Author": "Zoë", "Software": "secret editor"}
        if kind == "jpeg":
            assert metadata.texts == (("Comment", "hello"),)

    def test_plain_file_says_nothing(self):
        assert read(hostile.good_files()["png"]).metadata == Metadata()

    @pytest.mark.parametrize("dpi", [(0, 0), (-1, 5), (1e30, 1e30)])
    def test_senseless_resolution(self, dpi):
        image = Image.fromarray(hostile.photo())
        image.info["dpi"] = dpi
        from kmeans_c.images.metadata import read_metadata

        assert read_metadata(image, None).dpi is None


class TestPolicies:
    @pytest.mark.parametrize("out", KINDS)
    @pytest.mark.parametrize("kind", KINDS)
    def test_safe(self, kind, out):
        data, image = written(read(rich(kind)).metadata, out, "safe")
        assert not [secret for secret in SECRETS if secret in data]
        exif = image.getexif()
        assert exif[315] == "Ada Lovelace"
        assert exif[33432] == "(c) Ada"
        assert exif.get_ifd(ExifTags.IFD.GPSInfo) == {}
        assert exif.get(0x0112, 1) == 1
        if kind != "webp":
            dpi = (exif[282], exif[283]) if out == "webp" else image.info["dpi"]
            assert [float(x) for x in dpi] == pytest.approx([150, 300], abs=0.02)
        if kind == out == "png":
            assert image.text == {"Author": "Zoë"}

    @pytest.mark.parametrize("out", KINDS)
    @pytest.mark.parametrize("kind", KINDS)
    def test_keep(self, kind, out):
        data, image = written(read(rich(kind)).metadata, out, "keep")
        exif = image.getexif()
        assert exif[315] == "Ada Lovelace"
        assert exif[271] == "Camera Works"
        assert exif.get_ifd(ExifTags.IFD.Exif)[0xA431] == "SERIAL-12345"
        assert exif.get_ifd(ExifTags.IFD.GPSInfo)[1] == "N"
        assert exif.get(0x0112, 1) == 1
        assert b'tiff:Orientation="1"' in data
        assert b'tiff:Orientation="6"' not in data
        # Whoever reads the output turns it no further.
        assert read(data).pixels.shape == (8, 8, 3)

    @pytest.mark.parametrize("out", [*KINDS, "gif", "bmp"])
    @pytest.mark.parametrize("kind", KINDS)
    def test_none(self, kind, out):
        assert save_options(read(rich(kind)).metadata, out, "none") == {}

    def test_profile_of_the_pixels_is_no_matter_of_policy(self):
        metadata = Metadata(icc=hostile.swapped_profile())
        for policy in ("none", "safe", "keep"):
            for kind in KINDS:
                _, image = written(metadata, kind, policy)
                assert image.info["icc_profile"] == metadata.icc

    @pytest.mark.parametrize("kind", ["gif", "bmp"])
    def test_profile_that_has_no_place(self, kind):
        with pytest.raises(ValueError, match=f"^format: {kind} holds no colour profile"):
            save_options(Metadata(icc=b"x"), kind, "none")

    def test_comments(self):
        metadata = read(rich("jpeg")).metadata
        _, image = written(metadata, "gif", "keep")
        assert image.info["comment"] == b"hello"
        assert save_options(metadata, "gif", "safe") == {}

    def test_bmp_has_a_resolution(self):
        assert save_options(Metadata(dpi=(300.0, 300.0)), "bmp") == {"dpi": (300.0, 300.0)}

    def test_what_is_too_long_for_a_jpeg_is_left_out(self):
        metadata = Metadata(exif=exif_data.written({270: b"x" * 70_000}), xmp=b"x" * 70_000)
        assert save_options(metadata, "jpeg", "keep") == {}

    def test_names_of_any_language(self):
        text = "Zoë 田中".encode()
        metadata = Metadata(exif=exif_data.written({exif_data.ARTIST: text}))
        for kind in KINDS:
            data, _ = written(metadata, kind, "safe")
            assert text in data

    def test_word(self):
        with pytest.raises(ValueError, match=r"^metadata: expected one of none, safe, keep"):
            kept(Metadata(), "all")


# Pillow warns of what it skips in the files that these tests damage.
damaged = pytest.mark.filterwarnings("ignore::UserWarning")


class TestExif:
    def test_only_the_orientation_changes(self):
        exif = rich_exif().tobytes()[6:]
        turned = exif_data.upright(exif)
        changed = [at for at in range(len(exif)) if exif[at] != turned[at]]
        assert len(changed) == 1
        assert exif[changed[0]] == 6
        assert turned[changed[0]] == 1

    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("kind", [3, 4])
    def test_byte_orders_and_types(self, order, kind):
        mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
        value = struct.pack(f"{order}HH", 8, 0) if kind == 3 else struct.pack(f"{order}I", 8)
        entry = struct.pack(f"{order}HHI", 0x0112, kind, 1) + value
        head = mark + struct.pack(f"{order}I", 8) + struct.pack(f"{order}H", 1)
        image = Image.Exif()
        image.load(exif_data.upright(head + entry + bytes(4)))
        assert image[0x0112] == 1

    def test_written_is_read(self):
        fields = {315: b"me", 33432: "© 2026".encode(), 270: b"x"}
        exif = exif_data.written(fields, (300.5, 72.0))
        assert exif_data.texts(exif) == fields
        image = Image.Exif()
        image.load(exif)
        assert [float(image[282]), float(image[283]), image[296]] == [300.5, 72.0, 2]
        assert exif_data.written({}) == b""

    @damaged
    @settings(max_examples=300, deadline=None)
    @given(
        st.sampled_from([b"II*\0", b"MM\0*", b"", b"junk"]),
        st.binary(max_size=60),
        st.integers(0, 300),
    )
    def test_any_bytes(self, mark, rest, at):
        whole = bytearray(rich_exif().tobytes()[6:])
        whole[at % len(whole)] ^= 0xFF
        for exif in (mark + rest, bytes(whole)):
            assert len(exif_data.upright(exif)) == len(exif)
            exif_data.texts(exif)
            metadata = Metadata(exif=exif)
            for kind in KINDS:
                for policy in ("safe", "keep"):
                    data, _ = written(metadata, kind, policy)
                    assert read(data).pixels.shape == (8, 8, 3)


@damaged
@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(KINDS), at=st.integers(0, 2000), value=st.integers(0, 255))
def test_damaged_files_can_be_written_again(kind, at, value):
    """Whatever a stranger's metadata are, what is read of them can be written."""
    data = bytearray(rich(kind))
    data[at % len(data)] = value
    try:
        picture = read(bytes(data))
    except OSError:
        return
    for out in KINDS:
        for policy in ("safe", "keep"):
            again, _ = written(picture.metadata, out, policy)
            assert np.asarray(read(again).pixels).shape == (8, 8, 3)
