"""A file that is kept loses what the metadata policy forbids, and nothing else."""

import functools
import io
import struct
import sys
import zlib

import hostile
import numpy as np
import pytest
import tagged_tiff
from PIL import Image, TiffImagePlugin
from test_metadata import SECRETS, XMP, read, rich, rich_exif

from kmeans_c import compress
from kmeans_c.cli import main
from kmeans_c.images import cleaning, read_image
from kmeans_c.images.cleaning import cleaned
from kmeans_c.images.jpeg_segments import picture_bytes, segments
from kmeans_c.images.png_file import chunk

POLICIES = ("none", "safe")
CLEANABLE = ("jpeg", "png", "webp")


def same_pixels(one, other):
    """As read by this package, and stored ones as Pillow decodes them."""
    a, b = read(one), read(other)
    assert np.array_equal(a.pixels, b.pixels)
    assert (a.format, a.frames) == (b.format, b.frames)
    with Image.open(io.BytesIO(one)) as x, Image.open(io.BytesIO(other)) as y:
        x.load()
        y.load()
        assert (x.mode, x.size) == (y.mode, y.size)
        assert x.tobytes() == y.tobytes()
        assert x.info.get("icc_profile") == y.info.get("icc_profile")
        assert x.getexif().get(0x0112, 1) == y.getexif().get(0x0112, 1)


@functools.cache  # LittleCMS writes the time into it
def profile():
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


class TestWhatGoes:
    @pytest.mark.parametrize("kind", CLEANABLE)
    @pytest.mark.parametrize("policy", POLICIES)
    @pytest.mark.parametrize("icc", [False, True])
    def test_secrets_go_and_the_picture_stays(self, kind, policy, icc):
        data = rich(kind, **({"icc_profile": profile()} if icc else {}))
        clean = cleaned(data, policy)
        same_pixels(data, clean)
        for secret in (*SECRETS, b"secret", b"hello", b"GPS"):
            assert secret not in clean
        with Image.open(io.BytesIO(clean)) as image:
            image.load()
            exif = image.getexif()
        assert not exif.get_ifd(0x8825)
        assert not exif.get_ifd(0x8769)
        names = {315: "Ada Lovelace", 33432: "(c) Ada"} if policy == "safe" else {}
        assert {tag: exif[tag] for tag in (315, 33432) if tag in exif} == names
        before, after = read(data).metadata, read(clean).metadata
        if policy == "none":
            # Pillow says 72 of a JPEG with EXIF that says nothing.
            assert after.dpi in (None, (72, 72) if kind == "jpeg" else None)
        elif before.dpi is not None:
            assert after.dpi == pytest.approx(before.dpi, abs=0.02)

    @pytest.mark.parametrize("kind", [*CLEANABLE, "gif", "bmp", "tiff"])
    def test_keep_and_plain_files_stay_byte_for_byte(self, kind):
        plain = hostile.file_of(hostile.photo(20, 30), kind)
        # Pillow writes a resolution into every BMP.
        for policy in ("safe", "keep") if kind == "bmp" else ("none", "safe", "keep"):
            assert cleaned(plain, policy) == plain
        data = rich(kind) if kind in CLEANABLE else plain
        assert cleaned(data, "keep") is data

    @pytest.mark.parametrize("kind", CLEANABLE)
    def test_cleaning_again_changes_nothing(self, kind):
        for policy in POLICIES:
            clean = cleaned(rich(kind), policy)
            assert cleaned(clean, policy) == clean

    @pytest.mark.parametrize("kind", CLEANABLE)
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_orientation_stays(self, kind, orientation):
        options = {"exif": rich_exif(orientation)}
        data = hostile.file_of(hostile.photo(20, 30), kind, **options)
        for policy in POLICIES:
            same_pixels(data, cleaned(data, policy))

    @pytest.mark.parametrize("kind", ["jpeg", "webp"])
    def test_orientation_of_xmp(self, kind):
        data = hostile.file_of(hostile.photo(20, 30), kind, xmp=XMP)
        clean = cleaned(data, "none")
        assert b"secret" not in clean
        assert read(clean).pixels.shape == (30, 20, 3)
        same_pixels(data, clean)


class TestJpeg:
    def jpeg(self, *parts, **options):
        """A JPEG with segments after its first, and bytes behind it."""
        data = hostile.file_of(hostile.photo(20, 30), "jpeg", **options)
        between = b"".join(
            struct.pack(">BBH", 0xFF, marker, len(contents) + 2) + contents
            for marker, contents in parts
        )
        return data[:20] + between + data[20:]

    @pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
    def test_foreign_segments_and_a_trailer(self, options):
        plain = self.jpeg(**options)
        told = self.jpeg(
            (0xED, b"Photoshop 3.0\08BIM secret"),
            (0xE0, b"JFXX\0\x10 secret thumbnail"),
            (0xE5, b"secret"),
            (0xFE, b"secret"),
            **options,
        )
        trailer = plain + b"secret behind the end"
        assert cleaned(told, "safe") == cleaned(trailer, "safe") == cleaned(plain, "safe") == plain

    def test_thumbnail_in_jfif(self):
        plain = self.jpeg()
        thumbnail = bytes(range(12))
        header = plain[6:18] + b"\2\2" + thumbnail
        told = plain[:2] + struct.pack(">HH", 0xFFE0, len(header) + 2) + header + plain[20:]
        assert cleaned(told, "safe") == plain

    @pytest.mark.parametrize("mode", ["L", "CMYK", "RGB"])
    def test_modes(self, mode):
        image = Image.fromarray(hostile.photo(20, 30)).convert(mode)
        data = hostile.file_of(np.asarray(image), "jpeg") if mode == "RGB" else None
        if data is None:
            file = io.BytesIO()
            image.save(file, "jpeg", comment=b"secret", exif=rich_exif())
            data = file.getvalue()
        clean = cleaned(data, "none")
        assert b"secret" not in clean
        same_pixels(data, clean)

    def test_not_made_of_segments(self):
        data = self.jpeg((0xFE, b"secret"))
        # Pillow skips what is no marker.
        assert cleaned(data[:20] + b"\0\0" + data[20:], "safe") is None

    def test_sizes(self):
        plain = self.jpeg()
        told = self.jpeg((0xE1, bytes(5000)), (0xFE, bytes(70)))
        assert picture_bytes(told + b"trailer") == picture_bytes(plain) == len(plain) - 18
        assert b"".join([b"\xff\xd8", *(s.whole for s in segments(told))]) == told
        assert picture_bytes(plain[:-2]) == len(plain) - 2


class TestPng:
    def test_texts_times_and_a_trailer(self):
        plain = hostile.file_of(hostile.photo(20, 30), "png")
        head, rest = plain[:33], plain[33:]
        extra = chunk(b"tEXt", b"Comment\0secret") + chunk(b"tIME", bytes(7))
        extra += chunk(b"zTXt", b"Raw profile type exif\0\0secret") + chunk(b"prVt", b"secret")
        gamma = chunk(b"gAMA", struct.pack(">I", 45455))
        end = rest[:-12] + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0secret") + rest[-12:]
        assert cleaned(head + extra + gamma + end + b"secret", "safe") == head + gamma + rest

    def test_authors_stay_if_safe(self):
        plain = hostile.file_of(hostile.photo(20, 30), "png")
        author = chunk(b"tEXt", b"Author\0Ada")
        data = plain[:33] + author + plain[33:]
        assert cleaned(data, "safe") == data
        assert cleaned(data, "none") == plain

    def test_resolution(self):
        data = hostile.file_of(hostile.photo(20, 30), "png", dpi=(300, 300))
        assert cleaned(data, "safe") == data
        assert cleaned(data, "none") == hostile.file_of(hostile.photo(20, 30), "png")

    def test_animation_stays(self):
        frames = [Image.fromarray(hostile.photo(9, 9, seed=n)) for n in range(3)]
        options = {"save_all": True, "append_images": frames[1:]}
        data = hostile.file_of(hostile.photo(9, 9), "png", **options)
        told = data[:33] + chunk(b"tEXt", b"Comment\0secret") + data[33:]
        assert cleaned(told, "safe") == data


class TestDataOfPng:
    """What follows the pixels within IDAT and fdAT is not shown by any program."""

    @staticmethod
    def parts(data):
        at = data.index(b"IDAT") - 4
        length = int.from_bytes(data[at : at + 4], "big")
        return data[:at], data[at + 8 : at + 8 + length], data[at + 12 + length :]

    @pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
    @pytest.mark.parametrize("policy", POLICIES)
    def test_bytes_behind_the_stream_go(self, mode, policy):
        plain = hostile.file_of(Image.fromarray(hostile.photo(9, 13)).convert(mode), "png")
        head, pixels, rest = self.parts(plain)
        assert cleaned(plain, policy) == plain
        assert cleaned(head + chunk(b"IDAT", pixels + b"secret") + rest, policy) == plain
        more = head + chunk(b"IDAT", pixels) + chunk(b"IDAT", b"secret") + rest
        assert cleaned(more, policy) == plain
        assert cleaned(more, "keep") == more

    def test_the_pieces_stay_as_they_are(self):
        plain = hostile.file_of(hostile.photo(9, 13), "png")
        head, pixels, rest = self.parts(plain)
        cut = b"".join(chunk(b"IDAT", part) for part in (pixels[:7], b"", pixels[7:]))
        assert cleaned(head + cut + rest, "none") == head + cut + rest

    def test_more_rows_than_the_picture_has(self):
        """They can't be cut without compressing the pixels again."""
        head, pixels, rest = self.parts(hostile.file_of(hostile.photo(9, 13), "png"))
        rows = zlib.decompress(pixels)
        for more, kept in ((b"", True), (b"s", False), (b"secret", False)):
            data = head + chunk(b"IDAT", zlib.compress(rows + more)) + rest
            assert (cleaned(data, "none") is not None) == kept

    @pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 5), (13, 9)])
    def test_interlaced(self, size):
        """Adam7, counted pixel by pixel: the pass of each by its place in the pattern."""
        width, height = size
        pattern = ("16462646", "77777777", "56565656", "77777777")
        pattern += ("36463646", "77777777", "56565656", "77777777")
        rows = {}
        for y in range(height):
            for x in range(width):
                key = (pattern[y % 8][x % 8], y)
                rows[key] = rows.get(key, 0) + 1
        n = sum(1 + 3 * pixels for pixels in rows.values())
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
        for stream, kept in ((bytes(n), True), (bytes(n + 1), False)):
            data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
            data += chunk(b"IDAT", zlib.compress(stream)) + chunk(b"IEND", b"")
            assert (cleaned(data, "none") == data) == kept

    def test_frames(self):
        frames = [Image.fromarray(hostile.photo(9, 9, seed=n)) for n in range(3)]
        options = {"save_all": True, "append_images": frames[1:]}
        data = hostile.file_of(frames[0], "png", **options)
        assert cleaned(data, "none") == data
        at = data.index(b"fdAT") - 4
        length = int.from_bytes(data[at : at + 4], "big")
        whole = data[at + 8 : at + 8 + length]
        told = data[:at] + chunk(b"fdAT", whole + b"secret") + data[at + 12 + length :]
        assert cleaned(told, "none") is None


class TestGifAndOthers:
    def test_gif(self):
        frames = [Image.fromarray(hostile.photo(9, 9, seed=n)) for n in range(3)]
        file = io.BytesIO()
        options = {"save_all": True, "append_images": frames[1:], "loop": 3, "duration": 70}
        frames[0].save(file, "gif", comment=b"secret" * 100, **options)
        data = file.getvalue()
        xmp = b"!\xff\x0bXMP DataXMP" + b"\x06secret" + b"\0"
        told = data[:-1] + xmp + b";" + b"secret"
        clean = cleaned(told, "safe")
        assert b"secret" not in clean
        assert b"NETSCAPE2.0" in clean
        with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(clean)) as after:
            assert before.n_frames == after.n_frames == 3
            assert (before.info["loop"], before.info["duration"]) == (3, 70)
            assert (after.info["loop"], after.info["duration"]) == (3, 70)
            for n in range(3):
                before.seek(n)
                after.seek(n)
                assert before.convert("RGBA").tobytes() == after.convert("RGBA").tobytes()

    def test_gif_without_an_end(self):
        data = hostile.file_of(hostile.photo(9, 9), "gif")
        assert cleaned(data[:-1], "safe") is None

    def test_animated_webp(self):
        frames = [Image.fromarray(hostile.photo(9, 9, seed=n)) for n in range(3)]
        file = io.BytesIO()
        frames[0].save(
            file, "webp", save_all=True, append_images=frames[1:], xmp=XMP, exif=rich_exif()
        )
        clean = cleaned(file.getvalue(), "none")
        assert b"secret" not in clean
        with Image.open(io.BytesIO(clean)) as image:
            assert image.n_frames == 3
            assert image.getexif()[0x0112] == 6
        same_pixels(file.getvalue(), clean)

    def test_bmp(self):
        data = hostile.file_of(hostile.photo(9, 9), "bmp", dpi=(300, 300))
        assert cleaned(data, "safe") == data
        clean = cleaned(data, "none")
        assert read(clean).metadata.dpi is None
        same_pixels(data, clean)

    def test_tiff_with_metadata_can_not_be_cleaned(self):
        assert cleaned(rich("tiff"), "safe") is None
        assert cleaned(rich("tiff"), "none") is None
        plain = hostile.file_of(hostile.photo(9, 9), "tiff", dpi=(300, 300))
        assert cleaned(plain, "safe") == plain
        assert cleaned(plain, "none") is None
        artist = hostile.file_of(hostile.photo(9, 9), "tiff", tiffinfo={315: "Ada"})
        assert cleaned(artist, "safe") == artist
        assert cleaned(artist, "none") is None

    def test_tiff_with_a_georeference(self):
        """It is data of the map, which "safe" lets through; "none" can't take it out."""
        tags = {33550: (12, [1.0, 1.0, 0.0]), 34735: (3, [1, 1, 0, 0]), 285: (2, b"name\0")}
        data = tagged_tiff.tiff([(hostile.photo(9, 9), tags)])
        assert cleaned(data, "safe") == data
        assert cleaned(data, "none") is None
        unknown = tagged_tiff.tiff([(hostile.photo(9, 9), {50001: (2, b"x\0")})])
        assert cleaned(unknown, "safe") is None

    def test_tiff_with_metadata_on_a_later_page(self):
        pages = [Image.fromarray(hostile.photo(9, 9)) for _ in range(2)]
        directory = TiffImagePlugin.ImageFileDirectory_v2()
        directory[270] = "secret"
        file = io.BytesIO()
        with TiffImagePlugin.AppendingTiffWriter(file, new=True) as tiff:
            for page, options in zip(pages, ({}, {"tiffinfo": directory}), strict=True):
                page.save(tiff, "tiff", **options)
                tiff.newFrame()
        assert b"secret" in file.getvalue()
        assert cleaned(file.getvalue(), "safe") is None

    def test_further_pictures_of_a_jpeg(self):
        views = [Image.fromarray(hostile.photo(20, 30, seed=n)) for n in range(2)]
        file = io.BytesIO()
        views[0].save(file, "mpo", save_all=True, append_images=views[1:], comment=b"secret")
        clean = cleaned(file.getvalue(), "safe")
        assert b"secret" not in clean
        assert clean.count(b"\xff\xd8") == 1
        assert np.array_equal(read(clean).pixels, read(file.getvalue()).pixels)
        assert read(file.getvalue()).losses
        assert not read(clean).losses

    def test_what_is_no_image(self):
        with pytest.raises(OSError, match="not a supported image"):
            cleaned(b"?", "safe")
        with pytest.raises(ValueError, match=r"^metadata: expected one of"):
            cleaned(b"?", "some")


def told(kind):
    """A file with metadata that no second encoding makes smaller."""
    if kind == "jpeg":
        return hostile.file_of(
            hostile.photo(240, 320), "jpeg", quality=1, optimize=True, exif=rich_exif(6)
        )
    if kind == "webp":
        return hostile.file_of(hostile.photo(60, 70), kind, quality=1, exif=rich_exif(6))
    pixels = np.repeat(np.arange(40, dtype=np.uint8)[None] * 6, 3, axis=0)
    options = {"exif": rich_exif(1)} if kind == "png" else {"comment": b"SERIAL-12345"}
    if kind == "tiff":
        options = {"tiffinfo": {270: "secret"}, "compression": "jpeg", "quality": 30}
        pixels = hostile.photo(240, 320)
    return hostile.file_of(pixels, kind, **options)


# Options with which a JPEG becomes larger than that of `told`.
LARGE = {"K": 256, "jpeg_quality": 100}


class TestFlows:
    def test_kept_original_is_cleaned(self, tmp_path):
        data = told("jpeg")
        (tmp_path / "a.jpg").write_bytes(data)
        done = compress(tmp_path / "a.jpg", **LARGE)
        clean = (tmp_path / "a_compressed.jpg").read_bytes()
        assert (done.kept_original, done.metadata_removed, done.metadata_kept) == (
            True,
            True,
            False,
        )
        assert done.bytes_after == len(clean) < done.bytes_before == len(data)
        assert clean == cleaned(data, "safe")
        file = io.BytesIO()
        compress(tmp_path / "a.jpg", file, **LARGE, metadata="none")
        assert file.getvalue() == cleaned(data, "none")
        file = io.BytesIO()
        compress(tmp_path / "a.jpg", file, **LARGE, metadata="keep")
        assert file.getvalue() == data

    def test_in_place(self, tmp_path):
        data = told("jpeg")
        (tmp_path / "a.jpg").write_bytes(data)
        done = compress(tmp_path / "a.jpg", tmp_path / "a.jpg", **LARGE, overwrite=True)
        assert done.metadata_removed
        assert (tmp_path / "a.jpg").read_bytes() == cleaned(data, "safe")
        state = (tmp_path / "a.jpg").stat()
        again = compress(tmp_path / "a.jpg", tmp_path / "a.jpg", **LARGE, overwrite=True)
        assert not again.metadata_removed
        assert (tmp_path / "a.jpg").stat().st_ino == state.st_ino

    def test_nothing_is_written_that_can_not_be_cleaned(self, tmp_path, monkeypatch, capfd):
        data = told("tiff")
        (tmp_path / "a.tif").write_bytes(data)
        monkeypatch.chdir(tmp_path)
        done = compress("a.tif", K=256)
        assert (done.kept_original, done.output, done.metadata_kept) == (True, None, True)
        assert [file.name for file in tmp_path.iterdir()] == ["a.tif"]
        assert main(["a.tif", "-k256"]) == 0
        assert "holds metadata that can't be removed" in capfd.readouterr().out
        assert main(["a.tif", "-k256", "--in-place", "-q"]) == 0
        out, err = capfd.readouterr()
        assert out == ""
        assert err == "kmeans-c: a.tif: kept as it is: it holds metadata that can't be removed\n"
        assert main(["a.tif", "-k256", "--in-place"]) == 0
        assert "it holds metadata that can't be removed" in capfd.readouterr().out
        assert (tmp_path / "a.tif").read_bytes() == data
        assert main(["a.tif", "-k256", "--in-place", "-q", "--metadata", "keep"]) == 0
        assert capfd.readouterr() == ("", "")

    def test_a_pipe_gets_no_metadata(self, tmp_path, monkeypatch, capfdbinary):
        (tmp_path / "a.jpg").write_bytes(told("jpeg"))
        (tmp_path / "a.tif").write_bytes(told("tiff"))
        monkeypatch.chdir(tmp_path)
        for arguments in (["--jpeg-quality", "100"], ["-F", "png"], ["-F", "webp"]):
            assert main(["a.jpg", *arguments, "-o", "-", "-k256"]) == 0
            sys.stdout.flush()
            assert capfdbinary.readouterr().out == cleaned(told("jpeg"), "safe")
        assert main(["a.tif", "-o", "-", "-k256"]) == 1
        out, err = capfdbinary.readouterr()
        assert out == b""
        assert b"holds metadata that can't be removed" in err

    def test_a_cleaner_that_damages_the_picture_is_noticed(self, tmp_path, monkeypatch):
        (tmp_path / "a.jpg").write_bytes(told("jpeg"))
        other = hostile.file_of(hostile.photo(240, 320, seed=5), "jpeg", quality=1)
        monkeypatch.setitem(cleaning._CLEANERS, "jpeg", lambda *_: other)
        with pytest.raises(OSError, match="would not show what it should"):
            compress(tmp_path / "a.jpg", **LARGE)
        assert [file.name for file in tmp_path.iterdir()] == ["a.jpg"]

    def test_profile_that_is_kept(self, tmp_path):
        image = Image.fromarray(hostile.photo(90, 120))
        image.save(
            tmp_path / "a.jpg", quality=1, optimize=True, icc_profile=profile(), comment=b"x"
        )
        for icc in ("keep", "convert"):
            file = io.BytesIO()
            done = compress(tmp_path / "a.jpg", file, **LARGE, icc=icc)
            if done.kept_original:
                with Image.open(file) as shown:
                    assert shown.info["icc_profile"] == profile()
                assert np.array_equal(
                    read_image(file).pixels, read_image(tmp_path / "a.jpg").pixels
                )
