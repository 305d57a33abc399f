"""Whatever a file, a Pillow image or an array holds becomes plain 8-bit pixels, or one error."""

import colorsys
import contextlib
import io
import os
import struct
import threading
import time
from fractions import Fraction
from pathlib import Path

import hostile
import numpy as np
import PIL.Image
import PIL.ImageCms
import PIL.ImageOps
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kmeans_c import images
from kmeans_c.images import MAX_PIXELS, as_pixels, count_colors, read_image

GOOD = hostile.good_files()
LOSSY = ("jpeg", "gif", "webp")


def read(data, **options):
    return read_image(io.BytesIO(data), **options)


def row(*pixels):
    """An image of one row."""
    return np.array([pixels], np.uint8)


class TestGoodFiles:
    @pytest.mark.parametrize("kind", GOOD)
    def test_reads_each_format(self, tmp_path, kind):
        path = tmp_path / f"a{hostile.EXTENSIONS[kind]}"
        path.write_bytes(GOOD[kind])
        for source in (path, str(path), io.BytesIO(GOOD[kind])):
            picture = read_image(source)
            assert (picture.format, picture.frames) == (kind, 1)
            assert picture.n_bytes == len(GOOD[kind])
            assert picture.pixels.dtype == np.uint8
            assert picture.pixels.flags.c_contiguous
            assert picture.pixels.shape == hostile.photo().shape
            if kind not in LOSSY:
                assert np.array_equal(picture.pixels, hostile.photo())

    def test_contents_name_the_format_not_the_file(self, tmp_path):
        (tmp_path / "a.gif").write_bytes(GOOD["bmp"])
        assert read_image(tmp_path / "a.gif").format == "bmp"

    def test_rewinds_a_file_object(self):
        file = io.BytesIO(GOOD["png"])
        file.seek(0, io.SEEK_END)
        assert np.array_equal(read_image(file).pixels, hostile.photo())

    def test_reads_a_pipe(self):
        end, start = os.pipe()
        with os.fdopen(start, "wb") as writer, os.fdopen(end, "rb") as pipe:
            thread = threading.Thread(target=lambda: (writer.write(GOOD["png"]), writer.close()))
            thread.start()
            assert np.array_equal(read_image(pipe).pixels, hostile.photo())
            thread.join()

    def test_trailing_garbage_is_ignored(self):
        for kind in ("png", "gif", "bmp", "tiff", "ppm"):
            assert read(GOOD[kind] + b"garbage" * 9).pixels.shape == hostile.photo().shape

    def test_file_may_vanish_after_it_is_opened(self, tmp_path, monkeypatch):
        path = tmp_path / "a.bmp"
        path.write_bytes(GOOD["bmp"])
        opened = images.opened

        def vanish(file):
            path.unlink()
            path.write_bytes(b"")
            return opened(file)

        monkeypatch.setattr(images, "opened", vanish)
        assert np.array_equal(read_image(path).pixels, hostile.photo())


MODES = {
    "1": (Image.fromarray(row(0, 255)).convert("1"), row(0, 255)),
    "L": (Image.fromarray(row(0, 7, 255)), row(0, 7, 255)),
    "LA": (
        Image.merge("LA", [Image.fromarray(row(9, 7)), Image.fromarray(row(255, 3))]),
        row((9, 9, 9, 255), (7, 7, 7, 3)),
    ),
    "RGB": (Image.fromarray(row((1, 2, 3), (4, 5, 6))), row((1, 2, 3), (4, 5, 6))),
    "RGBA": (
        Image.fromarray(row((1, 2, 3, 255), (4, 5, 6, 7))),
        row((1, 2, 3, 255), (4, 5, 6, 7)),
    ),
    "RGBA that is opaque": (Image.fromarray(row((1, 2, 3, 255))), row((1, 2, 3))),
    "RGBA that hides something": (
        Image.fromarray(row((1, 2, 3, 0), (4, 5, 6, 255))),
        row((0, 0, 0, 0), (4, 5, 6, 255)),
    ),
    "RGBX": (Image.frombytes("RGBX", (1, 1), bytes([1, 2, 3, 9])), row((1, 2, 3))),
    "RGBa": (
        Image.frombytes("RGBa", (2, 1), bytes([0, 64, 128, 128, 9, 9, 9, 255])),
        row((0, 127, 255, 128), (9, 9, 9, 255)),
    ),
    "CMYK": (
        Image.frombytes("CMYK", (3, 1), bytes([0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 255])),
        row((255, 255, 255), (0, 255, 255), (0, 0, 0)),
    ),
    "YCbCr": (
        Image.frombytes("YCbCr", (3, 1), bytes([255, 128, 128, 0, 128, 128, 76, 85, 255])),
        row((255, 255, 255), (0, 0, 0), (254, 0, 0)),
    ),
    "LAB": (
        Image.frombytes("LAB", (2, 1), bytes([255, 0, 0, 0, 0, 0])),
        row((255, 255, 255), (0, 0, 0)),
    ),
    "I;16": (
        Image.fromarray(np.array([[0, 257, 128, 129, 65535]], np.uint16)),
        row(0, 1, 0, 1, 255),
    ),
    "I;16B": (
        Image.frombytes("I;16B", (2, 1), bytes([1, 1, 255, 255])),
        row(1, 255),
    ),
}


class TestModes:
    """What each of Pillow's modes means, by hand or by another library's formula."""

    @pytest.mark.parametrize("mode", MODES)
    def test_mode(self, mode):
        image, expected = MODES[mode]
        assert image.mode == mode.split()[0]
        pixels = as_pixels(image)
        assert pixels.shape == expected.shape
        assert np.abs(pixels.astype(int) - expected).max() <= (mode in ("YCbCr", "LAB"))

    def test_mode_hsv(self):
        wheel = [(hue, 255, value) for hue in range(0, 256, 5) for value in (80, 255)]
        image = Image.frombytes("HSV", (len(wheel), 1), bytes(np.ravel(wheel).tolist()))
        exact = [colorsys.hsv_to_rgb(h / 255, s / 255, v / 255) for h, s, v in wheel]
        assert np.abs(as_pixels(image)[0] - 255 * np.array(exact)).max() <= 2

    def test_mode_p(self):
        image = Image.fromarray(row(2, 0, 1))
        image.putpalette([9, 8, 7, 6, 5, 4, 3, 2, 1])
        assert np.array_equal(as_pixels(image), row((3, 2, 1), (9, 8, 7), (6, 5, 4)))
        partly = image.copy()
        partly.info["transparency"] = b"\xff\x05"
        expected = row((3, 2, 1, 255), (9, 8, 7, 255), (6, 5, 4, 5))
        assert np.array_equal(as_pixels(partly), expected)
        image.info["transparency"] = 0
        expected = row((3, 2, 1, 255), (0, 0, 0, 0), (6, 5, 4, 255))
        assert np.array_equal(as_pixels(image), expected)

    def test_mode_pa(self):
        image = Image.fromarray(row((9, 8, 7, 6), (5, 4, 3, 255))).convert("PA")
        assert np.array_equal(as_pixels(image)[..., 3], row(6, 255))

    @pytest.mark.parametrize("mode", ["I", "F"])
    def test_modes_without_a_range_are_refused(self, mode):
        with pytest.raises(
            ValueError, match=rf"^image: expected 8- or 16-bit pixels, got mode {mode}"
        ):
            as_pixels(Image.new(mode, (2, 2)))
        with pytest.raises(
            OSError, match=r"^image: expected unsigned integers of 1 to 16 bits as samples"
        ):
            read(hostile.file_of(Image.new(mode, (2, 2)), "tiff"))

    def test_every_16_bit_value_is_rounded(self):
        values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
        expected = [round(Fraction(value, 257)) for value in range(65536)]
        assert as_pixels(Image.fromarray(values)).ravel().tolist() == expected
        assert read(hostile.file_of(values, "png")).pixels.ravel().tolist() == expected
        assert read(hostile.file_of(values, "tiff")).pixels.ravel().tolist() == expected

    def test_12_bit_tiff_is_not_dark(self):
        strip = bytes([0xFF, 0xF0, 0x00, 0x80, 0x00, 0x08])  # 4095, 0, 2048, 8
        assert read(hostile.tiff(4, 1, 12, strip)).pixels.tolist() == [
            [255, 0, 128, round(8 * 255 / 4095)]
        ]

    @pytest.mark.parametrize(
        ("largest", "raw", "expected"),
        [(65535, [65535, 0, 257], [255, 0, 1]), (1023, [1023, 0, 512], [255, 0, 128])],
    )
    def test_16_bit_pgm(self, largest, raw, expected):
        data = b"P5 3 1 %d " % largest + struct.pack(">3H", *raw)
        assert read(data).pixels.tolist() == [expected]

    @pytest.mark.parametrize(
        ("depth", "packed", "key", "expected"),
        [
            (1, b"\x40", 1, [(0, 0, 0, 255), (0, 0, 0, 0)]),
            (2, b"\x60", 2, [(85, 85, 85, 255), (0, 0, 0, 0)]),
            (4, b"\x3c", 12, [(51, 51, 51, 255), (0, 0, 0, 0)]),
            (8, b"\x07\xc8", 200, [(7, 7, 7, 255), (0, 0, 0, 0)]),
            (16, b"\x07\x07\xc8\x01", 0xC801, [(7, 7, 7, 255), (0, 0, 0, 0)]),
        ],
    )
    def test_transparent_grey_of_a_png(self, depth, packed, key, expected):
        data = hostile.png(2, 1, depth, 0, [packed], hostile.chunk(b"tRNS", struct.pack(">H", key)))
        assert np.array_equal(read(data).pixels, row(*expected))

    @pytest.mark.parametrize(
        ("depth", "packed", "key"),
        [
            (8, bytes([9, 8, 7, 6, 5, 4]), (6, 5, 4)),
            (16, bytes(range(1, 13)), (0x708, 0x90A, 0xB0C)),
        ],
    )
    def test_transparent_colour_of_a_png(self, depth, packed, key):
        chunk = hostile.chunk(b"tRNS", struct.pack(">3H", *key))
        pixels = read(hostile.png(2, 1, depth, 2, [packed], chunk)).pixels
        assert pixels[..., 3].tolist() == [[255, 0]]

    def test_adobe_cmyk_jpeg_is_not_inverted(self):
        white = Image.new("CMYK", (8, 8), (0, 0, 0, 0))
        assert read(hostile.file_of(white, "jpeg")).pixels.min() >= 254


class TestOrientation:
    @pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff"])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_orientation(self, orientation, kind):
        exif = Image.Exif()
        exif[0x0112] = orientation
        options = {"lossless": True} if kind == "webp" else {}
        data = hostile.file_of(hostile.photo(), kind, exif=exif, **options)
        with Image.open(io.BytesIO(data)) as image:
            expected = np.asarray(PIL.ImageOps.exif_transpose(image))
        picture = read(data)
        assert np.array_equal(picture.pixels, expected)
        assert picture.pixels.flags.c_contiguous

    @pytest.mark.parametrize("value", [0, 9, 65535])
    def test_senseless_orientation_is_ignored(self, value):
        exif = Image.Exif()
        exif[0x0112] = value
        data = hostile.file_of(hostile.photo(), "png", exif=exif)
        assert np.array_equal(read(data).pixels, hostile.photo())

    @pytest.mark.parametrize(
        "damage", [b"", b"Exif", b"II*\0\xff\xff\xff\xff", b"MM\0*" + b"\xff" * 40]
    )
    def test_damaged_exif_is_ignored(self, damage):
        data = GOOD["png"].replace(b"IDAT", b"IDAT", 1)
        at = data.index(b"IDAT") - 4
        data = data[:at] + hostile.chunk(b"eXIf", damage) + data[at:]
        assert np.array_equal(read(data).pixels, hostile.photo())


class TestColourProfiles:
    def test_primaries_are_converted(self):
        pixels = row((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (90, 90, 90))
        data = hostile.file_of(pixels, "png", icc_profile=hostile.swapped_profile())
        assert np.abs(read(data).pixels.astype(int) - pixels[..., ::-1]).max() <= 2

    def test_alpha_is_kept(self):
        pixels = row((255, 0, 0, 255), (0, 0, 255, 77), (9, 9, 9, 0))
        data = hostile.file_of(pixels, "png", icc_profile=hostile.swapped_profile())
        expected = row((0, 0, 255, 255), (255, 0, 0, 77), (0, 0, 0, 0))
        assert np.abs(read(data).pixels.astype(int) - expected).max() <= 2

    def test_grey_curve_is_converted(self):
        ramp = np.arange(256, dtype=np.uint8)[np.newaxis]
        linear = ramp[0] / 255
        srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
        data = hostile.file_of(ramp, "png", icc_profile=hostile.grey_profile(1.0))
        pixels = read(data).pixels
        assert pixels.ndim == 2
        assert np.abs(pixels[0] - 255 * srgb).max() <= 1

    def test_srgb_leaves_every_pixel_exactly_as_it_was(self):
        data = hostile.file_of(hostile.photo(), "png", icc_profile=hostile.srgb_profile())
        assert np.array_equal(read(data).pixels, hostile.photo())

    @pytest.mark.parametrize(
        "profile",
        [b"garbage", hostile.srgb_profile()[:200], hostile.grey_profile(1.0), b"\0" * 999],
        ids=["garbage", "cut short", "for grey", "zeros"],
    )
    def test_unusable_profile_is_ignored(self, profile):
        data = hostile.file_of(hostile.photo(), "png", icc_profile=profile)
        assert np.array_equal(read(data).pixels, hostile.photo())


FRAMES = [Image.fromarray(hostile.photo(20, 30, seed)) for seed in range(5)]


class TestFrames:
    @pytest.mark.parametrize("kind", ["gif", "png", "webp", "tiff"])
    def test_first_frame_is_read_and_all_are_counted(self, kind):
        options = {"lossless": True} if kind == "webp" else {}
        data = hostile.file_of(FRAMES[0], kind, save_all=True, append_images=FRAMES[1:], **options)
        picture = read(data)
        assert picture.frames == 5
        if kind != "gif":
            assert np.array_equal(picture.pixels, np.asarray(FRAMES[0]))

    def test_counting_ends(self, monkeypatch):
        monkeypatch.setattr(images, "MAX_FRAMES_COUNTED", 3)
        data = hostile.file_of(FRAMES[0], "tiff", save_all=True, append_images=FRAMES[1:])
        assert read(data).frames == 3

    def test_damage_after_the_first_frame_is_no_failure(self):
        data = hostile.file_of(FRAMES[0], "gif", save_all=True, append_images=FRAMES[1:])
        assert read(data[: len(data) * 2 // 3]).pixels.shape == (20, 30, 3)


class TestBombs:
    @pytest.mark.parametrize("kind", hostile.bombs())
    def test_bomb_is_refused_at_once(self, kind):
        data = hostile.bombs()[kind]
        start = time.monotonic()
        limit = f"image has [0-9]+ pixels, limit is {MAX_PIXELS}"
        if kind == "webp":  # which makes room for its pixels before it can be asked for its size
            limit = "exceeds limit"
        with pytest.raises(OSError, match=limit):
            read(data)
        assert time.monotonic() - start < 1

    def test_limit_is_exact(self):
        assert read(GOOD["png"], max_pixels=2400).pixels.size == 7200
        with pytest.raises(OSError, match="image has 2400 pixels, limit is 2399"):
            read(GOOD["png"], max_pixels=2399)

    @pytest.mark.parametrize("kind", sorted(GOOD.keys() - {"tiff", "webp"}))
    def test_limit_of_the_host_program_does_not_matter(self, monkeypatch, kind):
        monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 100)
        assert read(GOOD[kind]).pixels.shape == hostile.photo().shape

    @pytest.mark.parametrize("limit", [0, -1])
    def test_senseless_limit(self, limit):
        with pytest.raises(ValueError, match=r"^max_pixels: expected at least 1"):
            read(GOOD["png"], max_pixels=limit)

    def test_text_chunk_bomb_is_left_out(self):
        import zlib

        text = b"Comment\0\0" + zlib.compress(b"a" * (1 << 26))
        picture = read(hostile.png(1, 1, 8, 0, [b"\0"], hostile.chunk(b"zTXt", text)))
        assert picture.pixels.tolist() == [[0]]
        assert picture.metadata.texts == ()


class TestDamage:
    @pytest.mark.parametrize("kind", hostile.not_images())
    def test_something_else_is_refused(self, tmp_path, kind):
        path = tmp_path / "a.jpg"
        path.write_bytes(hostile.not_images()[kind])
        with pytest.raises(OSError, match=r"a\.jpg: .") as caught:
            read_image(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert caught.value.__cause__ is not None

    @pytest.mark.parametrize("kind", GOOD)
    def test_file_cut_short_is_refused(self, kind):
        data = GOOD[kind]
        for percent in (0, 2, 30, 60, 90):
            with pytest.raises(OSError, match=r"^image: ."):
                read(data[: len(data) * percent // 100])

    def test_no_pixels(self):
        empty = [
            hostile.png(0, 5, 8, 0, []),
            hostile.png(5, 0, 8, 2, []),
            hostile.tiff(0, 5, 8, b""),
            b"P5 0 5 255 ",
        ]
        for data in empty:
            with pytest.raises(OSError, match="not a valid image"):
                read(data)

    def test_jpeg_without_its_last_byte_is_refused(self):
        with pytest.raises(OSError, match="truncated"):
            read(GOOD["jpeg"][:-3])

    @settings(max_examples=150, deadline=None)
    @given(
        kind=st.sampled_from(sorted(GOOD)),
        changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=9),
    )
    def test_any_damage_gives_pixels_or_one_error(self, kind, changes):
        data = bytearray(GOOD[kind])
        for place, value in changes:
            data[int(place**3 * (len(data) - 1))] = value  # most of them in the header
        with contextlib.suppress(OSError):
            picture = read(bytes(data), max_pixels=1 << 20)
            assert picture.pixels.dtype == np.uint8
            assert picture.pixels.size > 0

    @pytest.mark.parametrize(
        "error",
        [
            SyntaxError("broken"),
            struct.error("broken"),
            RuntimeError("broken"),
            IndexError("broken"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_every_error_of_a_decoder_is_an_oserror(self, monkeypatch, error):
        def fail(file):
            raise error

        monkeypatch.setattr(images, "opened", fail)
        with pytest.raises(OSError, match=r"^image: .*broken$") as caught:
            read(GOOD["png"])
        assert caught.value.__cause__ is error

    @pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt, SystemExit])
    def test_what_is_not_the_files_fault_passes(self, monkeypatch, error):
        def fail(file):
            raise error

        monkeypatch.setattr(images, "opened", fail)
        with pytest.raises(error):
            read(GOOD["png"])

    def test_error_of_the_disk_keeps_its_number(self, monkeypatch):
        def fail(file):
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(images, "opened", fail)
        with pytest.raises(OSError, match="Input/output error") as caught:
            read(GOOD["png"])
        assert (caught.value.errno, caught.value.filename) == (5, "image")

    @pytest.mark.parametrize("source", [None, 3, 2.5, b"bytes", {}, object(), [[1]]])
    def test_wrong_kind_of_source(self, source):
        with pytest.raises(
            TypeError, match=r"^image: expected a path or a binary file object, got"
        ):
            read_image(source)

    def test_text_file_object(self):
        with pytest.raises(TypeError, match=r"^image: expected a binary file object"):
            read_image(io.StringIO("text"))


class TestArrays:
    @pytest.mark.parametrize(
        ("shape", "expected"),
        [((4, 5), (4, 5)), ((4, 5, 1), (4, 5)), ((4, 5, 3), (4, 5, 3)), ((1, 1, 4), (1, 1, 4))],
    )
    def test_shapes(self, rng, shape, expected):
        pixels = rng.integers(1, 255, shape, dtype=np.uint8)
        assert np.array_equal(as_pixels(pixels), pixels.reshape(expected))

    @pytest.mark.parametrize(
        "shape",
        [(), (5,), (4, 5, 0), (4, 5, 2), (4, 5, 5), (3, 4, 5), (4, 5, 3, 1), (1, 4, 5, 3)],
    )
    def test_wrong_shapes(self, shape):
        with pytest.raises(ValueError, match=r"^image: expected shape \(H, W\)"):
            as_pixels(np.zeros(shape, np.uint8))

    @pytest.mark.parametrize("shape", [(0, 0), (0, 5, 3), (5, 0, 3), (0, 0, 4)])
    def test_no_pixels(self, shape):
        with pytest.raises(ValueError, match=r"^image: expected at least one pixel"):
            as_pixels(np.zeros(shape, np.uint8))
        with pytest.raises(ValueError, match=r"^image: expected at least one pixel"):
            as_pixels(Image.new("RGB", (0, 5)))

    @pytest.mark.parametrize(
        "dtype",
        ["bool", "int8", "uint16", "int64", ">u2", "float16", "float64", "complex128", "O", "S3"],
    )
    def test_wrong_dtypes(self, dtype):
        with pytest.raises(TypeError, match=r"^image: expected dtype uint8, got"):
            as_pixels(np.zeros((4, 5, 3), dtype))

    @pytest.mark.parametrize(
        "image", [None, 3, [[[1, 2, 3]]], (), {}, b"bytes", iter([]), object()]
    )
    def test_wrong_kinds(self, image):
        with pytest.raises(
            TypeError, match=r"^image: expected a path, a binary file, a Pillow image"
        ):
            as_pixels(image)

    def test_masked_array(self):
        with pytest.raises(TypeError, match=r"^image: expected an array without a mask"):
            as_pixels(np.ma.masked_array(np.zeros((2, 2, 3), np.uint8), mask=True))

    @pytest.mark.parametrize(
        "view",
        [
            lambda a: a[::-1],
            lambda a: a[:, ::-1, :],
            lambda a: a[::2, 1::3],
            np.asfortranarray,
            lambda a: a.transpose(1, 0, 2),
            lambda a: np.broadcast_to(a[:1], a.shape),
            lambda a: a[..., ::-1],
            lambda a: np.lib.stride_tricks.as_strided(a, (9, 9, 3), (12, 3, 1)),
            lambda a: np.frombuffer(b"\0" + a.tobytes(), np.uint8)[1:].reshape(a.shape),
        ],
    )
    def test_any_memory_layout(self, view):
        pixels = view(hostile.photo())
        result = as_pixels(pixels)
        assert result.flags.c_contiguous
        assert np.array_equal(result, pixels)

    def test_input_is_only_read(self):
        pixels = np.zeros((2, 2, 4), np.uint8)
        pixels[0, 0] = (1, 2, 3, 0)
        pixels.flags.writeable = False
        before = pixels.copy()
        assert as_pixels(pixels) is pixels
        assert np.array_equal(pixels, before)

    def test_what_alpha_hides_is_taken_from_a_pillow_image(self):
        pixels = np.array([[[1, 2, 3, 0], [4, 5, 6, 7]]], np.uint8)
        assert as_pixels(Image.fromarray(pixels)).tolist() == [[[0, 0, 0, 0], [4, 5, 6, 7]]]

    def test_subclasses_and_array_likes(self):
        class Likeness:
            def __array__(self, dtype=None, copy=None):
                return hostile.photo()

        assert np.array_equal(as_pixels(Likeness()), hostile.photo())
        matrix = np.asarray([[1, 2], [3, 4]], np.uint8).view(type("Sub", (np.ndarray,), {}))
        assert type(as_pixels(matrix)) is np.ndarray

    def test_memory_mapped_file(self, tmp_path):
        np.save(tmp_path / "a.npy", hostile.photo())
        mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
        assert np.array_equal(as_pixels(mapped), hostile.photo())

    def test_files_by_the_same_door(self, tmp_path):
        path = tmp_path / "a.png"
        path.write_bytes(GOOD["png"])
        for source in (path, str(path), io.BytesIO(GOOD["png"])):
            assert np.array_equal(as_pixels(source), hostile.photo())

    def test_lazy_pillow_image_that_is_damaged(self):
        with (
            Image.open(io.BytesIO(GOOD["png"][:-900])) as image,
            pytest.raises(OSError, match="truncated"),
        ):
            as_pixels(image)

    def test_closed_pillow_image(self):
        image = Image.open(io.BytesIO(GOOD["png"]))
        image.close()
        with pytest.raises(ValueError, match="closed"):
            as_pixels(image)

    @settings(max_examples=60, deadline=None)
    @given(
        seed=st.integers(0, 999), levels=st.integers(1, 256), channels=st.sampled_from([1, 3, 4])
    )
    def test_colours_are_counted(self, seed, levels, channels):
        pixels = np.random.default_rng(seed).integers(0, levels, (9, 11, channels), dtype=np.uint8)
        if channels == 4:
            pixels[pixels[:, :, 3] == 0] = 0
        expected = len({tuple(pixel) for pixel in pixels.reshape(-1, channels).tolist()})
        assert count_colors(pixels[:, :, 0] if channels == 1 else pixels) == expected


@pytest.mark.skipif("KMEANS_C_SHARED" not in os.environ, reason="KMEANS_C_SHARED names no folder")
class TestCollection:
    """Against a collection of difficult pictures, if KMEANS_C_SHARED names its folder."""

    FOLDER = Path(os.environ.get("KMEANS_C_SHARED", "")) / "images" / "difficult"

    @pytest.mark.parametrize(
        "space", ["AdobeCompat-v2", "DisplayP3-v4", "ProPhoto-v4", "Rec2020-v4"]
    )
    def test_profiles(self, space):
        expected = read_image(self.FOLDER / "icc" / "reference_srgb_untagged.png").pixels
        shown = read_image(self.FOLDER / "icc" / f"{space}.png").pixels
        assert np.abs(shown.astype(int) - expected).max() <= 3

    @pytest.mark.parametrize(
        "name",
        ["garbage_profile.png", "rgb_with_cmyk_profile.jpg"],
    )
    def test_profiles_that_cannot_be_used(self, name):
        with Image.open(self.FOLDER / "icc" / name) as image:
            expected = np.asarray(image)
        assert np.array_equal(read_image(self.FOLDER / "icc" / name).pixels, expected)

    @pytest.mark.parametrize(
        ("name", "within"), [("LAB.tif", 2), ("CMYK.tif", 0), ("YCbCr.tif", 60)]
    )
    def test_modes(self, name, within):
        expected = read_image(self.FOLDER / "modes" / "RGB.tif").pixels
        shown = read_image(self.FOLDER / "modes" / name).pixels
        assert np.abs(shown.astype(int) - expected).max() <= within

    @pytest.mark.parametrize("name", ["I16.png", "I16.tif"])
    def test_16_bit_grey(self, name):
        eight = read_image(self.FOLDER / "modes" / "L.tif").pixels
        sixteen = read_image(self.FOLDER / "modes" / name).pixels
        assert np.abs(sixteen.astype(int) - eight).max() <= 1
