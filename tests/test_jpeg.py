"""JPEG output: any picture is written, in the bytes that there are, and what it shows is said."""

import io
import math
import re
import struct

import hostile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from kmeans_c import compress, quantize
from kmeans_c.encoding import encode
from kmeans_c.jpeg.beside import beside
from kmeans_c.jpeg.options import SUBSAMPLINGS
from kmeans_c.jpeg.shown import Shown, decoded, shown_by
from kmeans_c.jpeg.writer import baseline, compact, full_color

SATURATED = np.array(
    [[255, 0, 0], [0, 255, 255], [0, 255, 0], [255, 0, 255], [0, 0, 255], [255, 255, 0]], np.uint8
)


def photo(height=240, width=320):
    """A picture with gradients, edges and some noise."""
    return hostile.photo(height, width)


def noise(height, width, n=2, seed=0):
    return np.random.default_rng(seed).integers(0, n, (height, width), dtype=np.uint8)


def progressive(data):
    return b"\xff\xc2" in data


def sampling(data):
    """The subsampling by a frame header, read without Pillow."""
    frame = re.search(rb"\xff[\xc0\xc2]..\x08....([\x01\x03])(.{9}|.{3})", data, re.DOTALL)
    if frame[1] == b"\1":
        return None
    factors = frame[2][1], frame[2][4], frame[2][7]
    assert factors[1:] == (0x11, 0x11)
    return {0x11: "4:4:4", 0x21: "4:2:2", 0x22: "4:2:0"}[factors[0]]


def quality_of(data):
    """The quality by the first step of the luma table: exact where the steps differ."""
    with Image.open(io.BytesIO(data)) as image:
        table = image.quantization[0]
    candidates = []
    for quality in range(1, 101):
        file = io.BytesIO()
        Image.new("L", (8, 8)).save(file, "jpeg", quality=quality)
        with Image.open(file) as image:
            if image.quantization[0] == table:
                candidates.append(quality)
    return candidates


class TestAnyPictureIsWritten:
    """Pillow's buffer for optimised files is too small for these."""

    @given(
        shape=st.tuples(st.integers(1, 260), st.integers(1, 260)),
        n=st.integers(2, 6),
        quality=st.sampled_from([1, 30, 75, 92, 95, 100]),
        subsampling=st.sampled_from(list(SUBSAMPLINGS)),
        seed=st.integers(0, 99),
    )
    @settings(max_examples=60, deadline=None)
    def test_noise(self, shape, n, quality, subsampling, seed):
        image = full_color(SATURATED[:n], noise(*shape, n, seed))
        data = compact(image, quality, subsampling)
        # The same coefficients, so the same pixels as in the file that is written in chunks.
        assert np.array_equal(decoded(data), decoded(baseline(image, quality, subsampling)))

    @pytest.mark.parametrize("shape", [(1, 20_000), (20_000, 1), (8, 4000), (4000, 9), (65500, 1)])
    def test_strips(self, shape, capfd):
        quantized = quantize(SATURATED[noise(*shape)], 2)
        for quality in (30, 92, 100):
            data = encode(quantized.palette, quantized.indices, "jpeg", jpeg_quality=quality)
            assert decoded(data).shape == (*shape, 3)
        assert capfd.readouterr() == ("", "")

    def test_path_and_file_object(self, tmp_path, capfd):
        limit = ImageFile.MAXBLOCK
        pixels = SATURATED[noise(200, 200)]
        quantized = quantize(pixels, 2)
        quantized.save(tmp_path / "a.jpg")
        file = io.BytesIO()
        quantized.save(file, "jpeg")
        assert file.getvalue() == (tmp_path / "a.jpg").read_bytes()
        Image.fromarray(pixels).save(tmp_path / "scattered.png")
        done = compress(tmp_path / "scattered.png", tmp_path / "b.jpg", allow_larger=True)
        assert done.bytes_after == (tmp_path / "b.jpg").stat().st_size
        compress(tmp_path / "scattered.png", io.BytesIO(), format="jpeg", allow_larger=True)
        assert capfd.readouterr() == ("", "")
        assert limit == ImageFile.MAXBLOCK

    def test_without_files_in_memory(self, monkeypatch):
        image = full_color(SATURATED, noise(100, 90, 6))
        expected = compact(image, 95, "4:4:4")
        monkeypatch.delattr("os.memfd_create", raising=False)
        assert compact(image, 95, "4:4:4") == expected
        assert progressive(expected)

    @pytest.mark.parametrize("size", [1, 2, 3, 9, 16, 33])
    def test_small_files_have_one_scan_if_that_is_less(self, size):
        image = full_color(SATURATED, noise(size, size, 6))
        data = compact(image, 75, "4:2:0")
        one, several = io.BytesIO(), io.BytesIO()
        options = {"quality": 75, "subsampling": 2, "optimize": True}
        image.save(one, "jpeg", **options)
        image.save(several, "jpeg", progressive=True, **options)
        assert len(data) == min(len(one.getvalue()), len(several.getvalue()))

    def test_metadata_longer_than_the_picture(self):
        from kmeans_c.images.metadata import Metadata

        about = Metadata(exif=b"MM\0*\0\0\0\x08\0\0" + bytes(60_000), dpi=(300.0, 300.0))
        quantized = quantize(photo(16, 16), 4)
        data = encode(quantized.palette, quantized.indices, "jpeg", metadata=about, policy="keep")
        with Image.open(io.BytesIO(data)) as image:
            assert image.info["exif"] == b"Exif\0\0" + about.exif
            assert image.info["dpi"] == (300, 300)
        plain = encode(quantized.palette, quantized.indices, "jpeg")
        assert np.array_equal(decoded(data), decoded(plain))

    def test_profile_that_contains_a_marker(self):
        from kmeans_c.jpeg.writer import n_metadata, with_metadata

        data = compact(Image.new("RGB", (9, 9)), 50, "4:2:0")
        described = {"icc_profile": b"\xff\xdb\xff\xdb" * 40_000, "comment": b"\xff\xdb"}
        told = with_metadata(data, described)
        assert len(told) == len(data) + n_metadata(described)
        with Image.open(io.BytesIO(told)) as image:
            assert image.info["icc_profile"] == described["icc_profile"]
        assert np.array_equal(decoded(told), decoded(data))


class TestOptions:
    @pytest.mark.parametrize("quality", [1, 50, 100])
    @pytest.mark.parametrize("subsampling", list(SUBSAMPLINGS))
    def test_are_in_the_file(self, tmp_path, quality, subsampling):
        Image.fromarray(photo()).save(tmp_path / "a.png")
        done = compress(
            tmp_path / "a.png",
            tmp_path / "a.jpg",
            jpeg_quality=quality,
            subsampling=subsampling,
            allow_larger=True,
        )
        data = (tmp_path / "a.jpg").read_bytes()
        assert (done.jpeg_quality, done.jpeg_subsampling) == (quality, subsampling)
        assert sampling(data) == subsampling
        assert quality in quality_of(data)
        quantize(photo(), 16).save(
            tmp_path / "b.jpg", jpeg_quality=quality, subsampling=subsampling
        )
        assert (tmp_path / "b.jpg").read_bytes() == data

    def test_a_quality_alone_takes_the_best_subsampling_that_is_smaller(self, tmp_path):
        pixels = photo()
        Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=90, subsampling=0)
        quantized = quantize(tmp_path / "a.jpg", 16)
        image = full_color(quantized.palette, quantized.indices)
        sizes = {kind: len(compact(image, 90, kind)) for kind in SUBSAMPLINGS}
        done = compress(tmp_path / "a.jpg", tmp_path / "b.jpg", jpeg_quality=90)
        fitting = [kind for kind in sizes if sizes[kind] < done.bytes_before]
        assert fitting
        assert done.jpeg_subsampling == fitting[0]
        assert not done.kept_original

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"jpeg_quality": 0}, ValueError, "jpeg_quality: expected 1..100, got 0"),
            ({"jpeg_quality": 101}, ValueError, "jpeg_quality: expected 1..100, got 101"),
            ({"jpeg_quality": "90"}, TypeError, "jpeg_quality: expected an integer, got str"),
            ({"jpeg_quality": True}, TypeError, "jpeg_quality: expected an integer, got bool"),
            ({"subsampling": "4:1:1"}, ValueError, "subsampling: expected one of 4:4:4, 4:2:2, "),
            ({"subsampling": 2}, TypeError, "subsampling: expected a str, got int"),
        ],
    )
    def test_impossible(self, tmp_path, options, error, message):
        Image.fromarray(photo()).save(tmp_path / "a.png")
        quantized = quantize(photo(), 4)
        for call in (
            lambda: compress(tmp_path / "a.png", tmp_path / "a.jpg", **options),
            lambda: quantized.save(tmp_path / "a.jpg", **options),
            lambda: encode(quantized.palette, quantized.indices, "jpeg", **options),
        ):
            with pytest.raises(error, match=f"^{re.escape(message)}"):
                call()
        assert [file.name for file in tmp_path.iterdir()] == ["a.png"]

    @pytest.mark.parametrize("kind", ["png", "gif", "webp", "bmp", "tiff", "ico"])
    @pytest.mark.parametrize("options", [{"jpeg_quality": 80}, {"subsampling": "4:2:0"}])
    def test_are_for_jpeg(self, tmp_path, kind, options):
        Image.fromarray(photo(40, 60)).save(tmp_path / "in.png")
        quantized = quantize(photo(40, 60), 4)
        target = tmp_path / f"a.{kind}"
        name = next(iter(options))
        for call in (
            lambda: compress(tmp_path / "in.png", target, **options),
            lambda: compress(tmp_path / "in.png", io.BytesIO(), format=kind, **options),
            lambda: quantized.save(target, **options),
        ):
            with pytest.raises(ValueError, match=f"^{name}: expected a JPEG as output, got {kind}"):
                call()
        with pytest.raises(ValueError, match=f"^{name}: expected a JPEG as output, got png"):
            compress(tmp_path / "in.png", io.BytesIO(), **options)  # the input's own format
        with pytest.raises(ValueError, match=f"^{name}: expected a JPEG as output, got auto"):
            compress(tmp_path / "in.png", io.BytesIO(), format="auto", **options)

    def test_not_with_a_target_size(self, tmp_path):
        Image.fromarray(photo(40, 60)).save(tmp_path / "in.png")
        with pytest.raises(ValueError, match=r"^jpeg_quality: expected none with target_size"):
            compress(tmp_path / "in.png", tmp_path / "a.jpg", target_size=9000, jpeg_quality=50)


class TestShown:
    def test_as_by_brute_force(self):
        quantized = quantize(photo(30, 40), 8)
        image = full_color(quantized.palette, quantized.indices)
        data = compact(image, 40, "4:2:0")
        with Image.open(io.BytesIO(data)) as opened:
            pixels = np.asarray(opened).astype(int)
        kept = squared = 0
        colors = set()
        for y in range(30):
            for x in range(40):
                distances = [
                    sum((int(a) - int(b)) ** 2 for a, b in zip(pixels[y, x], entry, strict=True))
                    for entry in quantized.palette
                ]
                kept += distances.index(min(distances)) == quantized.indices[y, x]
                squared += int(((pixels[y, x] - photo(30, 40)[y, x].astype(int)) ** 2).sum())
                colors.add(tuple(pixels[y, x]))
        found = shown_by(data, photo(30, 40), quantized.palette, quantized.indices)
        assert found == Shown(kept / 1200, squared / 1200, len(colors))

    def test_an_entry_that_stands_twice_is_one_colour(self):
        palette = np.array([[9, 9, 9], [200, 30, 30], [9, 9, 9]], np.uint8)
        indices = np.array([[0, 2, 1, 2]], np.uint8).repeat(8, axis=0).repeat(8, axis=1)
        data = compact(full_color(palette, indices), 95, "4:4:4")
        assert shown_by(data, palette[indices], palette, indices).share == 1

    def test_grey(self):
        quantized = quantize(photo()[:, :, 0], 8)
        data = encode(quantized.palette, quantized.indices, "jpeg")
        assert decoded(data).ndim == 2
        found = shown_by(data, photo()[:, :, 0], quantized.palette, quantized.indices)
        grey = np.repeat(decoded(data)[:, :, np.newaxis], 3, axis=2)
        wide = np.repeat(photo()[:, :, :1], 3, axis=2)
        wanted = shown_by(data, wide, quantized.palette, quantized.indices)
        assert found.share == wanted.share > 0.9
        expected = ((grey.astype(float) - wide) ** 2).sum(axis=2).mean()
        assert found.mse == pytest.approx(expected, rel=1e-12)


class TestCompress:
    @pytest.fixture
    def jpeg(self, tmp_path):
        Image.fromarray(photo()).save(tmp_path / "a.jpg", quality=92)
        return tmp_path / "a.jpg"

    def test_at_most_four_fifths_of_a_jpeg(self, jpeg, tmp_path):
        done = compress(jpeg)
        assert done.bytes_after <= 0.8 * done.bytes_before
        data = (tmp_path / "a_compressed.jpg").read_bytes()
        assert done.jpeg_quality in quality_of(data)
        assert done.jpeg_subsampling == sampling(data)
        with Image.open(io.BytesIO(data)) as image:
            shown = np.asarray(image)
        assert done.colors_after == len(np.unique(shown.reshape(-1, 3), axis=0))
        with Image.open(jpeg) as image:
            error = (np.asarray(image).astype(float) - shown) ** 2
        assert done.mse == pytest.approx(error.sum(axis=2).mean(), rel=1e-12)
        assert 0.9 <= done.share_kept <= 1
        record = done.to_dict()
        assert record["share_kept"] == done.share_kept
        assert record["jpeg_quality"] == done.jpeg_quality
        assert record["jpeg_subsampling"] == done.jpeg_subsampling

    def test_at_most_four_fifths_of_quality_90_of_another_input(self, tmp_path):
        Image.fromarray(photo()).save(tmp_path / "a.png")
        reference = io.BytesIO()
        Image.fromarray(photo()).save(reference, "jpeg", quality=90)
        done = compress(tmp_path / "a.png", tmp_path / "a.jpg")
        assert done.share_kept >= 0.9
        assert done.bytes_after <= 0.8 * len(reference.getvalue())

    @pytest.mark.parametrize("policy", ["none", "safe"])
    def test_a_thumbnail_is_no_reason_for_a_larger_file(self, jpeg, tmp_path, policy):
        plain = compress(jpeg, io.BytesIO(), metadata=policy)
        data = jpeg.read_bytes()
        thumbnail = struct.pack(">H", 60_002) + bytes(60_000)
        (tmp_path / "b.jpg").write_bytes(data[:2] + b"\xff\xe3" + thumbnail + data[2:])
        told = compress(tmp_path / "b.jpg", io.BytesIO(), metadata=policy)
        assert told.bytes_before == plain.bytes_before + 60_004
        assert told.bytes_after == plain.bytes_after

    def test_dropped_exif_is_no_reason_for_a_larger_file(self, tmp_path):
        """Where even quality 30 takes more than four fifths of the picture."""
        colors = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        image = Image.fromarray(colors).resize((320, 240), Image.Resampling.BICUBIC)
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x927C] = b"M" * 50_000
        image.save(tmp_path / "plain.jpg", quality=50)
        image.save(tmp_path / "maker.jpg", quality=50, exif=exif)
        plain, told = (
            compress(tmp_path / name, io.BytesIO()) for name in ("plain.jpg", "maker.jpg")
        )
        assert told.bytes_before > plain.bytes_before + 50_000
        assert told.bytes_after == plain.bytes_after < plain.bytes_before
        assert told.share_kept >= 0.9

    @pytest.mark.parametrize(
        ("shape", "other", "K", "quality"),
        [
            ((64, 96), (0, 0, 255), 2, 40),
            ((64, 96), (0, 255, 0), 2, 40),
            ((200, 300), (0, 0, 255), 16, 60),
        ],
    )
    def test_stripes_by_trying_all(self, tmp_path, shape, other, K, quality):
        """The smallest file that holds them, or one with the largest share if none does."""
        pixels = np.full((*shape, 3), (255, 0, 0), np.uint8)
        pixels[:, ::2] = other
        Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=quality)
        done = compress(tmp_path / "a.jpg", io.BytesIO(), K)
        quantized = quantize(tmp_path / "a.jpg", K)
        image = full_color(quantized.palette, quantized.indices)
        with Image.open(tmp_path / "a.jpg") as opened:
            before = np.asarray(opened)
        files = []
        for kind in SUBSAMPLINGS:
            for tried in range(30, 101):
                data = compact(image, tried, kind)
                if len(data) < done.bytes_before:
                    shown = shown_by(data, before, quantized.palette, quantized.indices)
                    files.append((len(data), shown))
        holding = [size for size, shown in files if shown.holds(quantized.mse)]
        if holding:
            assert done.bytes_after == min(holding)
        else:
            assert done.share_kept >= max(shown.share for _, shown in files) - 0.005

    def test_metadata_that_are_written_count(self, jpeg, tmp_path):
        exif = Image.Exif()
        exif[270] = "x" * 3000
        with Image.open(jpeg) as image:
            image.save(tmp_path / "b.jpg", quality="keep", exif=exif)
        done = compress(tmp_path / "b.jpg", tmp_path / "c.jpg", metadata="keep")
        assert done.bytes_after <= 0.8 * done.bytes_before
        with Image.open(tmp_path / "c.jpg") as image:
            assert image.getexif()[270] == "x" * 3000

    def test_grey_stays_grey(self, tmp_path):
        Image.fromarray(photo()[:, :, 0]).save(tmp_path / "a.jpg", quality=92)
        done = compress(tmp_path / "a.jpg", tmp_path / "b.jpg")
        assert done.jpeg_subsampling is None
        assert sampling((tmp_path / "b.jpg").read_bytes()) is None
        assert done.bytes_after < done.bytes_before

    def test_other_formats_say_nothing_of_it(self, jpeg):
        done = compress(jpeg, io.BytesIO(), format="png", allow_larger=True)
        assert (done.jpeg_quality, done.jpeg_subsampling, done.share_kept) == (None, None, None)

    def test_progressive_with_optimised_tables(self, jpeg, tmp_path):
        compress(jpeg, tmp_path / "b.jpg")
        data = (tmp_path / "b.jpg").read_bytes()
        assert progressive(data)
        standard = baseline(Image.new("RGB", (8, 8)), 50, "4:2:0")
        table = standard[standard.index(b"\xff\xc4") :][:33]
        assert table not in data

    def test_same_bytes_for_any_number_of_threads(self, jpeg):
        files = [io.BytesIO() for _ in range(2)]
        records = [compress(jpeg, file, n_threads=n + 1) for n, file in enumerate(files)]
        assert files[0].getvalue() == files[1].getvalue()
        assert records[0].share_kept == records[1].share_kept

    @pytest.mark.parametrize("size", [1, 2, 3, 7, 9, 15, 33])
    @pytest.mark.parametrize("mode", ["RGB", "L"])
    def test_tiny_files_get_smaller(self, tmp_path, size, mode):
        image = Image.fromarray(photo(size, size)).convert(mode)
        image.save(tmp_path / "a.jpg", quality=90)
        done = compress(tmp_path / "a.jpg")
        assert not done.kept_original
        assert done.bytes_after < done.bytes_before

    def test_psnr_and_share_are_those_of_the_file(self, jpeg, tmp_path):
        done = compress(jpeg, tmp_path / "b.jpg", K=5, jpeg_quality=20)
        quantized = quantize(jpeg, 5)
        with Image.open(jpeg) as image:
            before = np.asarray(image)
        shown = shown_by(
            (tmp_path / "b.jpg").read_bytes(), before, quantized.palette, quantized.indices
        )
        assert (done.share_kept, done.mse, done.colors_after) == (
            shown.share,
            shown.mse,
            shown.colors,
        )
        assert done.psnr == 10 * math.log10(3 * 255**2 / shown.mse)


class TestBeside:
    def test_both_results(self):
        for parallel in (True, False):
            assert beside(lambda: 1, lambda: 2, parallel=parallel) == (1, 2)

    def test_errors_of_either(self):
        def fail():
            raise OSError("no")

        for parallel in (True, False):
            for calls in ((fail, lambda: 1), (lambda: 1, fail)):
                with pytest.raises(OSError, match="no"):
                    beside(*calls, parallel=parallel)

    def test_without_threads(self, monkeypatch):
        def refuse(_):
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr("threading.Thread.start", refuse)
        assert beside(lambda: 1, lambda: 2) == (1, 2)
