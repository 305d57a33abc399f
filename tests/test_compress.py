"""From file to file: what is written, what is reported, and what is never touched."""

import dataclasses
import io
import json
import math
import os
import stat
from functools import partial
from pathlib import Path

import hostile
import numpy as np
import pytest
from PIL import Image, ImageCms

from kmeans_c import TargetNotMet, quantize, quantize_auto
from kmeans_c import compress as compress_with_threads
from kmeans_c.images import exif, read_image
from kmeans_c.images.frames import read_frames
from kmeans_c.images.metadata import Metadata
from kmeans_c.naming import ByFormat, default_output, same_file

# Images of 40 by 60 pixels take ten times as long where two threads meet on a busy machine.
compress = partial(compress_with_threads, n_threads=1)

WRITABLE = ["a.png", "a.jpg", "a.gif", "a.webp", "a.bmp", "a.tif"]
linux = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a POSIX system")


@pytest.fixture
def photo(tmp_path):
    """The path of a PNG of `hostile.photo()`."""
    path = tmp_path / "photo.png"
    path.write_bytes(hostile.file_of(hostile.photo(), "png"))
    return path


def shown(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def distinct(pixels):
    return len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0))


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def mean_squared_error(a, b):
    return ((a.astype(float) - b) ** 2).sum(axis=2).mean()


class TestOutcome:
    @pytest.mark.parametrize("name", WRITABLE)
    def test_report_tells_what_the_file_shows(self, photo, tmp_path, name):
        done = compress(photo, tmp_path / name, K=7)
        pixels = shown(tmp_path / name)
        assert (done.input, done.output) == (str(photo), str(tmp_path / name))
        assert (done.width, done.height, done.frames) == (60, 40, 1)
        assert done.palette_size == 7
        assert done.colors_before == distinct(hostile.photo())
        assert done.colors_after == distinct(pixels)
        assert done.bytes_before == photo.stat().st_size
        assert done.bytes_after == (tmp_path / name).stat().st_size
        assert done.larger == (done.bytes_after > done.bytes_before)
        assert done.mse == pytest.approx(mean_squared_error(hostile.photo(), pixels), rel=1e-12)
        assert done.psnr == pytest.approx(10 * math.log10(3 * 255**2 / done.mse))
        assert done.n_iter >= 1
        assert 0 < done.seconds < 60

    @pytest.mark.parametrize("name", [name for name in WRITABLE if name != "a.jpg"])
    def test_lossless_formats_hold_exactly_k_colours(self, photo, tmp_path, name):
        done = compress(photo, tmp_path / name, K=5)
        assert distinct(shown(tmp_path / name)) == done.colors_after == 5
        assert done.bytes_as_png is None

    def test_jpeg_says_that_it_lost_the_palette(self, photo, tmp_path):
        done = compress(photo, tmp_path / "a.jpg", K=5)
        assert done.colors_after > done.palette_size == 5
        assert done.mse > compress(photo, tmp_path / "a.png", K=5).mse

    def test_jpeg_of_one_colour_keeps_it(self, tmp_path):
        path = tmp_path / "grey.png"
        path.write_bytes(hostile.file_of(np.full((16, 16), 77, np.uint8), "png"))
        done = compress(path, tmp_path / "a.jpg")
        assert (done.colors_before, done.palette_size, done.colors_after) == (1, 1, 1)
        assert done.bytes_as_png is None
        assert (done.mse, done.psnr) == (0, math.inf)

    def test_grey_counts_as_three_channels(self, tmp_path):
        grey = hostile.photo()[..., 0]
        (tmp_path / "grey.png").write_bytes(hostile.file_of(grey, "png"))
        for name in ("a.png", "a.jpg"):
            done = compress(tmp_path / "grey.png", tmp_path / name, K=4)
            before = np.repeat(grey[:, :, np.newaxis], 3, axis=2)
            assert done.mse == pytest.approx(mean_squared_error(before, shown(tmp_path / name)))

    def test_colour_that_becomes_grey_in_a_jpeg(self, tmp_path):
        pixels = np.array([[[90, 90, 90]] * 8, [[90, 92, 90]] * 8] * 4, np.uint8)
        (tmp_path / "a.png").write_bytes(hostile.file_of(pixels, "png"))
        done = compress(tmp_path / "a.png", tmp_path / "a.jpg", K=1, allow_larger=True)
        assert done.mse == pytest.approx(mean_squared_error(pixels, shown(tmp_path / "a.jpg")))

    def test_few_colours_are_lossless(self, tmp_path):
        pixels = np.repeat(hostile.photo(1, 9), 20, axis=0)
        (tmp_path / "a.png").write_bytes(hostile.file_of(pixels, "png"))
        done = compress(tmp_path / "a.png", K=16)
        assert (done.palette_size, done.mse, done.psnr) == (distinct(pixels), 0, math.inf)
        assert np.array_equal(shown(done.output), pixels)

    def test_same_bytes_again(self, photo, tmp_path):
        compress(photo, tmp_path / "a.png", n_threads=1)
        compress(photo, tmp_path / "b.png", n_threads=2)
        assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()

    def test_arguments_arrive(self, photo, tmp_path):
        written = set()
        for options in [{}, {"seed": 7}, {"init": "random"}, {"ITERS": 0}, {"K": 9}]:
            compress(photo, tmp_path / "a.png", overwrite=True, **options)
            written.add((tmp_path / "a.png").read_bytes())
        assert len(written) == 5

    def test_transparency_is_kept(self, tmp_path):
        alpha = np.where(hostile.photo()[..., 0] > 99, 255, 0).astype(np.uint8)
        pixels = np.dstack([hostile.photo(), alpha])
        (tmp_path / "a.png").write_bytes(hostile.file_of(pixels, "png"))
        done = compress(tmp_path / "a.png", K=8)
        with Image.open(done.output) as image:
            assert image.mode == "P"
            assert np.array_equal(np.asarray(image.convert("RGBA"))[..., 3], alpha)
        assert done.colors_before == distinct(pixels[alpha > 0][np.newaxis]) + 1

    def test_orientation_is_applied_and_not_applied_twice(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6
        path = tmp_path / "a.png"
        path.write_bytes(hostile.file_of(hostile.photo(), "png", exif=exif))
        done = compress(path)
        assert (done.width, done.height) == (40, 60)
        with Image.open(done.output) as image:
            assert image.size == (40, 60)
            assert not image.getexif()

    def test_frames_are_reported(self, tmp_path):
        frames = [Image.fromarray(hostile.photo(seed=seed)) for seed in range(3)]
        data = hostile.file_of(frames[0], "gif", save_all=True, append_images=frames[1:])
        (tmp_path / "a.gif").write_bytes(data)
        assert compress(tmp_path / "a.gif").frames == 3


class TestNames:
    @pytest.mark.parametrize(
        ("source", "target"),
        [
            ("image.jpg", "image_compressed.jpg"),
            ("./a/photo.png", "./a/photo_compressed.png"),
            ("IMG.JPEG", "IMG_compressed.JPEG"),
            ("a.b.webp", "a.b_compressed.webp"),
            ("scan.ppm", "scan_compressed.png"),
            ("noending", "noending_compressed.png"),
            ("folder.d/noending", "folder.d/noending_compressed.png"),
            (".jpg", ".jpg_compressed.png"),
            ("\udcff.gif", "\udcff_compressed.gif"),
            (Path("x.tif"), "x_compressed.tif"),
        ],
    )
    def test_default_output(self, source, target):
        assert default_output(source) == target

    def test_default_is_the_originals(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("image.jpg").write_bytes(hostile.file_of(hostile.photo(), "jpeg"))
        done = compress()
        assert (done.input, done.output, done.palette_size) == (
            "image.jpg",
            "image_compressed.jpg",
            16,
        )
        assert names(tmp_path) == ["image.jpg", "image_compressed.jpg"]

    def test_ppm_becomes_png(self, tmp_path):
        (tmp_path / "a.ppm").write_bytes(hostile.file_of(hostile.photo(), "ppm"))
        assert compress(tmp_path / "a.ppm").output == str(tmp_path / "a_compressed.png")

    def test_format_decides_over_the_name(self, photo, tmp_path):
        compress(photo, tmp_path / "a.jpg", format="PNG")
        with Image.open(tmp_path / "a.jpg") as image:
            assert image.format == "PNG"

    @pytest.mark.parametrize(
        ("source", "kind", "suffix", "target"),
        [
            ("photo.jpg", "png", "_compressed", "photo_compressed.png"),
            ("photo.JPG", "jpeg", "_compressed", "photo_compressed.JPG"),
            ("photo.png", "jpg", "-k", "photo-k.jpg"),
            ("a.apng", "png", "", "a.apng"),
            ("a.apng", None, "", "a.apng"),
            ("scan.ppm", "tiff", "", "scan.tif"),
        ],
    )
    def test_output_of_a_format(self, source, kind, suffix, target):
        assert default_output(source, kind, suffix=suffix) == target

    def test_auto_chooses_the_ending(self, photo, tmp_path):
        done = compress(photo, format="auto")
        assert done.output == str(tmp_path / f"photo_compressed.{done.format}")
        assert done.bytes_after == Path(done.output).stat().st_size

    def test_auto_keeps_the_ending_of_an_original_that_stays(self, tmp_path):
        data = hostile.file_of(hostile.photo(), "jpeg", quality=5)
        (tmp_path / "a.JPEG").write_bytes(data)
        done = compress(tmp_path / "a.JPEG", format="auto", K=256)
        assert (done.output, done.kept_original) == (str(tmp_path / "a_compressed.JPEG"), True)
        with pytest.raises(FileExistsError):
            compress(tmp_path / "a.JPEG", format="auto", K=256)

    def test_open_ending_needs_auto(self, photo):
        with pytest.raises(ValueError, match=r"^format: expected .auto."):
            compress(photo, ByFormat.beside(photo), format="png")


class TestMethod:
    """Every argument of `quantize` arrives there."""

    def test_as_quantize_does_it(self, photo, tmp_path):
        for number, options in enumerate(
            [
                {"space": "oklab", "effort": "fast"},
                {"dither": "floyd-steinberg", "dither_strength": 0.5},
                {"palette": ["#000", "#fff", "#c8102e"]},
                {"keep": ["#c8102e"], "init": "k-means++", "seed": 4},
                {"weights": hostile.photo()[:, :, 0]},
                {"ITERS": None},
            ]
        ):
            done = compress(photo, tmp_path / f"{number}.png", K=8, **options)
            expected = quantize(
                hostile.photo(),
                K=options.get("K", 8),
                n_threads=1,
                **options,
            )
            assert np.array_equal(shown(done.output), expected.to_array())
            assert done.mse == expected.mse
            assert done.palette_size == len(done.palette) == len(np.unique(expected.indices))

    def test_palette_is_told(self, photo):
        done = compress(photo, K=5)
        colors = {f"#{bytes(color).hex()}" for color in shown(done.output).reshape(-1, 3)}
        assert set(done.palette) == colors

    @pytest.mark.parametrize("kind", ["png", "webp"])
    def test_lossy_with_an_opaque_palette_for_transparent_pixels(self, tmp_path, kind):
        pixels = np.dstack([hostile.photo(), hostile.photo(seed=3)[:, :, 0]])
        (tmp_path / "a.png").write_bytes(hostile.file_of(pixels, "png"))
        done = compress(
            tmp_path / "a.png", tmp_path / "b", palette=["#000", "#fff"], lossy=1, format=kind
        )
        assert set(done.palette) <= {"#000000ff", "#ffffffff", "#00000000"}

    def test_dithering_is_not_taken_away_again(self, photo):
        with pytest.raises(ValueError, match=r"^lossy: expected 0 with dithering"):
            compress(photo, lossy=0.1, dither="bayer")

    def test_preview(self, photo, tmp_path):
        compress(photo, preview=tmp_path / "see.png", K=4)
        with Image.open(tmp_path / "see.png") as image:
            left = np.asarray(image)[:40, :60]
        assert np.array_equal(left, hostile.photo())
        with pytest.raises(FileExistsError):
            compress(photo, tmp_path / "b.png", preview=tmp_path / "see.png")
        assert not (tmp_path / "b.png").exists()


class TestMetadata:
    @pytest.fixture
    def tagged(self, tmp_path):
        exif = Image.Exif()
        exif[0x013B], exif[0x0110], exif[0x0112] = "Ada", "Camera", 6
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        path = tmp_path / "tagged.tif.png"
        path.write_bytes(
            hostile.file_of(hostile.photo(), "png", exif=exif, dpi=(300, 100), icc_profile=profile)
        )
        return path

    @pytest.mark.parametrize("name", [name for name in WRITABLE if name != "a.gif"])
    @pytest.mark.parametrize("policy", ["none", "safe", "keep"])
    @pytest.mark.parametrize("optimize", [1, 2])
    def test_policies(self, tagged, tmp_path, name, policy, optimize):
        compress(tagged, tmp_path / name, metadata=policy, allow_larger=True, optimize=optimize)
        found = read_image(tmp_path / name).metadata
        texts = exif.texts(found.exif or b"")
        tagged_formats = name != "a.bmp"
        assert (exif.ARTIST in texts) == (policy != "none" and tagged_formats)
        assert (0x0110 in texts) == (policy == "keep" and tagged_formats)
        if policy == "none":
            # BMP and TIFF always state a resolution.
            assert dataclasses.replace(found, dpi=None) == Metadata()
            assert found.dpi is None or found.dpi[0] in (1, pytest.approx(96, abs=0.1))
        elif name != "a.webp":
            # It lies on its side.
            assert found.dpi == pytest.approx((100, 300), abs=0.6)

    @pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif"])
    @pytest.mark.parametrize("grey", [False, True])
    def test_profile_is_kept_with_its_colours(self, tmp_path, name, grey):
        pixels = hostile.photo()
        if grey:
            pixels = np.repeat(pixels[:, :, :1], 3, axis=2)
        profile = wide_profile()
        (tmp_path / "x.png").write_bytes(hostile.file_of(pixels, "png", icc_profile=profile))
        done = compress(
            tmp_path / "x.png", tmp_path / name, K=9, icc="keep", allow_larger=True, lossy=0.1
        )
        with Image.open(tmp_path / name) as image:
            assert image.info["icc_profile"] == profile
        kept = read_image(tmp_path / name, icc="keep")
        assert kept.metadata.icc == profile
        assert done.mse == pytest.approx(mean_squared_error(pixels, kept.pixels), rel=1e-9)

    def test_colours_are_converted_where_there_is_no_room_for_a_profile(self, tmp_path):
        profile = wide_profile()
        data = hostile.file_of(hostile.photo(), "png", icc_profile=profile)
        (tmp_path / "x.png").write_bytes(data)
        for name in ("a.gif", "a.bmp"):
            done = compress(tmp_path / "x.png", tmp_path / name, icc="keep")
            converted = read_image(tmp_path / "x.png").pixels
            assert done.mse == pytest.approx(
                mean_squared_error(converted, shown(tmp_path / name)), rel=1e-9
            )


def wide_profile():
    """A profile that is not sRGB: its matrix with red and blue exchanged."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    at = data.index(b"rXYZ")
    other = data.index(b"bXYZ")
    data[at : at + 4], data[other : other + 4] = data[other : other + 4], data[at : at + 4]
    return bytes(data)


class TestFrames:
    @pytest.fixture
    def film(self, tmp_path):
        frames = [Image.fromarray(hostile.photo(seed=seed)) for seed in range(3)]
        data = hostile.file_of(
            frames[0], "gif", save_all=True, append_images=frames[1:], duration=[50, 70, 90]
        )
        (tmp_path / "a.gif").write_bytes(data)
        return tmp_path / "a.gif"

    @pytest.mark.parametrize("name", ["b.gif", "b.png", "b.apng", "b.webp"])
    def test_all(self, film, tmp_path, name):
        done = compress(film, tmp_path / name, K=4, allow_larger=True)
        assert (done.frames, done.frames_written, done.palette_size) == (3, 3, 4)
        assert len(done.palette) == 4
        assert done.bytes_after == (tmp_path / name).stat().st_size
        with read_frames(tmp_path / name) as animation:
            assert [float(frame.duration) for frame in animation] == [0.05, 0.07, 0.09]

    def test_per_frame(self, film, tmp_path):
        done = compress(film, tmp_path / "b.gif", K=4, per_frame=True)
        assert done.palette == ()
        assert done.colors_after > 4

    def test_through_a_pipe(self, film):
        source = io.BytesIO(film.read_bytes())
        source.seekable = lambda: False
        target = io.BytesIO()
        assert compress(source, target, K=4).frames_written == 3

    def test_auto_stays_an_animation(self, film):
        done = compress(film, format="auto", K=4)
        assert (done.format, done.frames_written) == ("gif", 3)

    def test_never_larger(self, film, tmp_path):
        once = compress(film, tmp_path / "b.gif", K=4)
        again = compress(once.output, tmp_path / "c.gif", K=4, per_frame=True)
        assert again.bytes_after <= once.bytes_after
        if again.kept_original:
            assert (tmp_path / "b.gif").read_bytes() == (tmp_path / "c.gif").read_bytes()
        tiny = compress(once.output, tmp_path / "d.png", K=4)
        if tiny.kept_original:
            assert tiny.output is None
            assert not (tmp_path / "d.png").exists()

    @pytest.mark.parametrize(
        "options",
        [
            {"dither": "bayer"},
            {"space": "oklab"},
            {"palette": ["#fff"]},
            {"keep": ["#fff"]},
            {"weights": np.ones((40, 60))},
            {"lossy": 0.1},
            {"preview": "p.png"},
        ],
    )
    def test_what_is_for_stills(self, film, tmp_path, monkeypatch, options):
        monkeypatch.chdir(tmp_path)
        name = next(iter(options))
        with pytest.raises(ValueError, match=f"^{name}: is for still images"):
            compress(film, **options)
        assert names(tmp_path) == ["a.gif"]

    @pytest.mark.parametrize("name", ["b.jpg", "b.bmp", "b.tif"])
    def test_first_where_there_is_no_room(self, film, tmp_path, name):
        done = compress(film, tmp_path / name, first=True, allow_larger=True, dither="bayer")
        assert (done.frames, done.frames_written) == (3, 1)

    def test_pages(self, tmp_path):
        pages = [Image.fromarray(hostile.photo(seed=seed)) for seed in range(2)]
        data = hostile.file_of(pages[0], "tiff", save_all=True, append_images=pages[1:])
        (tmp_path / "a.tif").write_bytes(data)
        assert compress(tmp_path / "a.tif").frames_written == 2
        assert compress(tmp_path / "a.tif", tmp_path / "b.gif", first=True).frames_written == 1

    def test_limit(self, film):
        with pytest.raises(OSError, match="animation has more than"):
            compress(film, max_total_pixels=2400)


class TestFileObjects:
    @pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp", "bmp", "tiff", "ppm"])
    def test_from_memory_to_memory_in_the_same_format(self, kind):
        target = io.BytesIO()
        done = compress(io.BytesIO(hostile.file_of(hostile.photo(), kind)), target)
        with Image.open(target) as image:
            assert image.format.lower() == ("png" if kind == "ppm" else kind)
        assert (done.input, done.output) == (None, None)
        assert done.bytes_after == len(target.getvalue())

    def test_format_is_chosen(self, photo):
        target = io.BytesIO()
        compress(photo, target, format="webp")
        assert target.getvalue()[8:12] == b"WEBP"

    def test_name_of_an_open_file_decides(self, photo, tmp_path):
        with (tmp_path / "a.gif").open("wb") as file:
            done = compress(photo, file)
        assert done.output == str(tmp_path / "a.gif")
        assert (tmp_path / "a.gif").read_bytes().startswith(b"GIF8")

    def test_file_object_has_no_default_output(self):
        with pytest.raises(
            TypeError, match=r"^output: expected a path or a binary file object, got N"
        ):
            compress(io.BytesIO(b""))

    @pytest.mark.parametrize("source", [None, 3, b"a.png", np.zeros((2, 2, 3), np.uint8)])
    def test_wrong_kind_of_input(self, source):
        with pytest.raises(
            TypeError, match=r"^input: expected a path or a binary file object, got"
        ):
            compress(source)

    @pytest.mark.parametrize("target", [3, b"a.png", object()])
    def test_wrong_kind_of_output(self, photo, target):
        with pytest.raises(
            TypeError, match=r"^output: expected a path or a binary file object, got"
        ):
            compress(photo, target)


class TestSafety:
    def test_existing_output_is_kept(self, photo, tmp_path):
        (tmp_path / "a.png").write_bytes(b"precious")
        with pytest.raises(FileExistsError):
            compress(photo, tmp_path / "a.png")
        assert (tmp_path / "a.png").read_bytes() == b"precious"
        compress(photo, tmp_path / "a.png", overwrite=True)
        assert distinct(shown(tmp_path / "a.png")) == 16

    @linux
    @pytest.mark.parametrize("disguise", ["same", "dot", "absolute", "hard link", "symbolic link"])
    def test_input_is_never_replaced_unasked(self, photo, tmp_path, monkeypatch, disguise):
        monkeypatch.chdir(tmp_path)
        before = photo.read_bytes()
        target = {"same": "photo.png", "dot": "./photo.png", "absolute": str(photo)}.get(disguise)
        if disguise == "hard link":
            os.link("photo.png", target := "other.png")
        elif disguise == "symbolic link":
            Path(target := "other.png").symlink_to("photo.png")
        assert same_file("photo.png", target)
        with pytest.raises(ValueError, match=r"^output: is the input itself"):
            compress("photo.png", target)
        assert photo.read_bytes() == before

    def test_input_is_replaced_when_asked(self, photo):
        photo.chmod(0o640)
        done = compress(photo, photo, overwrite=True)
        assert distinct(shown(photo)) == 16
        assert done.bytes_before > done.bytes_after == photo.stat().st_size
        assert os.name == "nt" or stat.S_IMODE(photo.stat().st_mode) == 0o640
        assert names(photo.parent) == ["photo.png"]

    def test_frames_are_never_lost_in_place(self, tmp_path):
        frames = [Image.fromarray(hostile.photo(seed=seed)) for seed in range(3)]
        data = hostile.file_of(frames[0], "gif", save_all=True, append_images=frames[1:])
        (tmp_path / "a.gif").write_bytes(data)
        with pytest.raises(ValueError, match="would lose 2 frames"):
            compress(tmp_path / "a.gif", tmp_path / "a.gif", overwrite=True, format="jpeg")
        assert (tmp_path / "a.gif").read_bytes() == data
        done = compress(tmp_path / "a.gif", tmp_path / "a.gif", overwrite=True)
        assert (done.frames, done.frames_written) == (3, 3)
        with Image.open(tmp_path / "a.gif") as image:
            assert image.n_frames == 3

    @linux
    def test_link_is_not_written_through(self, photo, tmp_path):
        (tmp_path / "real.png").write_bytes(b"precious")
        (tmp_path / "a.png").symlink_to("real.png")
        with pytest.raises(OSError, match="a symbolic link"):
            compress(photo, tmp_path / "a.png", overwrite=True)
        assert (tmp_path / "real.png").read_bytes() == b"precious"

    @pytest.mark.parametrize(
        ("options", "error"),
        [
            ({"K": 0}, ValueError),
            ({"K": 257}, ValueError),
            ({"K": 2.5}, TypeError),
            ({"ITERS": -1}, ValueError),
            ({"init": "best"}, ValueError),
            ({"n_threads": 0}, ValueError),
            ({"max_pixels": 0}, ValueError),
            ({"max_pixels": 2399}, OSError),
            ({"format": "heic"}, ValueError),
            ({"format": 3}, TypeError),
            ({"output": "a.heic"}, ValueError),
            ({"output": ""}, ValueError),
        ],
    )
    def test_nothing_is_written_on_an_error(self, photo, tmp_path, monkeypatch, options, error):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(error):
            compress(photo, **options)
        assert names(tmp_path) == ["photo.png"]

    def test_transparency_does_not_go_into_a_jpeg(self, tmp_path):
        pixels = np.zeros((4, 4, 4), np.uint8)
        pixels[0, 0] = 255
        (tmp_path / "a.png").write_bytes(hostile.file_of(pixels, "png"))
        with pytest.raises(ValueError, match="jpeg holds no transparency; png, webp and tiff do"):
            compress(tmp_path / "a.png", tmp_path / "a.jpg")
        assert names(tmp_path) == ["a.png"]

    def test_encoder_that_errs_is_found_out(self, photo, tmp_path, monkeypatch):
        import sys

        module = sys.modules["kmeans_c.still"]
        wrong = hostile.file_of(hostile.photo(), "png")
        monkeypatch.setattr(module, "encode", lambda *_, **__: wrong)
        (tmp_path / "a.png").write_bytes(b"precious")
        with pytest.raises(OSError, match="would not show what it should"):
            compress(photo, tmp_path / "a.png", overwrite=True)
        assert (tmp_path / "a.png").read_bytes() == b"precious"
        target = io.BytesIO()
        with pytest.raises(OSError, match="would not show what it should"):
            compress(photo, target)
        assert target.getvalue() == b""
        assert names(tmp_path) == ["a.png", "photo.png"]


class TestRecord:
    def test_json(self, photo):
        done = compress(photo)
        record = json.loads(done.to_json())
        assert record == done.to_dict()
        assert "\n" not in done.to_json()
        assert record["colors_before"] == done.colors_before
        assert record["larger"] is False

    def test_infinity_is_null(self, photo):
        done = dataclasses.replace(compress(photo), mse=0.0, psnr=math.inf)
        record = json.loads(done.to_json(), parse_constant=pytest.fail)
        assert record["psnr"] is None

    def test_any_name(self, photo):
        done = dataclasses.replace(compress(photo), input="caf\udce9\n.png")
        assert done.to_json().isascii()
        assert json.loads(done.to_json())["input"] == done.input


class TestTargets:
    def test_as_few_colours_as_look_alike(self, photo, tmp_path):
        done = compress(photo, tmp_path / "out.png", K="auto", allow_larger=True)
        assert done.palette_size == len(quantize_auto(shown(photo), n_threads=1).palette)

    def test_a_size_is_kept(self, photo, tmp_path):
        target = tmp_path / "out.png"
        compress(photo, target, target_size="30%")
        assert target.stat().st_size <= 0.3 * photo.stat().st_size

    def test_a_quality_out_of_reach_writes_nothing(self, photo, tmp_path):
        target = tmp_path / "out.png"
        with pytest.raises(TargetNotMet, match=r"^quality: expected at least 100, got "):
            compress(photo, target, quality="100-100")
        assert not target.exists()

    @pytest.mark.parametrize(
        "options",
        [
            {"K": "auto", "quality": "50"},
            {"quality": "50", "target_size": "5K"},
            {"K": "all"},
            {"quality": "80-20"},
            {"target_size": "much"},
            {"target_size": 0},
            {"K": "auto", "palette": [(0, 0, 0)]},
        ],
    )
    def test_targets_that_make_no_sense(self, photo, tmp_path, options):
        with pytest.raises(ValueError, match=r"^(K|quality|size|target_size|palette)"):
            compress(photo, tmp_path / "out.png", **options)
