"""Files never grow unless they may, `auto` finds the smallest, and lossy keeps to its limit."""

import io
import json
from functools import partial

import hostile
import numpy as np
import pytest
from PIL import Image

from kmeans_c import compress as compress_with_threads

compress = partial(compress_with_threads, n_threads=1)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(hostile.file_of(hostile.photo(90, 120), "png"))
    return path


@pytest.fixture
def tight(tmp_path, photo):
    """A PNG that no second pass makes smaller."""
    done = compress(photo, tmp_path / "tight.png", K=200, optimize=4)
    assert not done.kept_original
    return tmp_path / "tight.png"


@pytest.fixture
def jpeg(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(hostile.file_of(hostile.photo(90, 120), "jpeg", quality=30))
    return path


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def shown(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


class TestNeverLarger:
    @pytest.mark.parametrize("options", [{}, {"format": "png"}, {"format": "auto"}])
    def test_same_format_keeps_the_original(self, tight, tmp_path, options):
        if options == {"format": "auto"}:
            tight.write_bytes(compress_to_bytes(tight, format="auto", K=200, optimize=4))
        before = tight.read_bytes()
        done = compress(tight, tmp_path / "again.png", K=200, optimize=0, **options)
        assert done.kept_original
        assert not done.larger
        assert (tmp_path / "again.png").read_bytes() == tight.read_bytes() == before
        assert done.bytes_after == done.bytes_before == len(before) < done.bytes_encoded
        assert (done.mse, done.colors_after) == (0, done.colors_before)
        assert done.output == str(tmp_path / "again.png")

    def test_allowed(self, tight, tmp_path):
        done = compress(tight, tmp_path / "again.png", K=200, optimize=0, allow_larger=True)
        assert not done.kept_original
        assert done.larger
        size = (tmp_path / "again.png").stat().st_size
        assert size == done.bytes_after == done.bytes_encoded > tight.stat().st_size

    def test_in_place(self, tight):
        before, state = tight.read_bytes(), tight.stat()
        done = compress(tight, tight, K=200, optimize=0, overwrite=True)
        assert done.kept_original
        assert tight.read_bytes() == before
        assert (tight.stat().st_ino, tight.stat().st_mtime_ns) == (state.st_ino, state.st_mtime_ns)

    def test_the_original_flow(self, jpeg, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        jpeg.rename("image.jpg")
        done = compress()
        assert not done.kept_original
        assert done.format == "jpeg"
        assert names(tmp_path) == ["image.jpg", "image_compressed.jpg"]
        first, second = ((tmp_path / name).stat().st_size for name in names(tmp_path))
        assert second == done.bytes_after <= 0.8 * first

    def test_another_format_is_not_written(self, jpeg, tmp_path):
        done = compress(jpeg, tmp_path / "a.png", K=256)
        assert done.kept_original
        assert done.output is None
        assert done.format == "jpeg"
        assert names(tmp_path) == ["photo.jpg"]
        done = compress(jpeg, tmp_path / "a.png", K=256, allow_larger=True)
        assert done.bytes_after == (tmp_path / "a.png").stat().st_size > done.bytes_before
        assert names(tmp_path) == ["a.png", "photo.jpg"]

    def test_existing_output_is_kept_when_nothing_is_written(self, jpeg, tmp_path):
        (tmp_path / "a.png").write_bytes(b"precious")
        with pytest.raises(FileExistsError):
            compress(jpeg, tmp_path / "a.png", K=256)
        compress(jpeg, tmp_path / "a.png", K=256, overwrite=True)
        assert (tmp_path / "a.png").read_bytes() == b"precious"

    @pytest.mark.parametrize("seekable", [True, False])
    def test_streams_pass_through(self, tight, seekable):
        source, target = io.BytesIO(tight.read_bytes()), io.BytesIO()
        if not seekable:
            source.seekable = lambda: False
            source.seek = lambda *_: pytest.fail("not seekable")
        done = compress(source, target, K=200, optimize=0)
        assert done.kept_original
        assert target.getvalue() == tight.read_bytes()

    def test_a_stream_in_another_format_gets_nothing(self, jpeg):
        target = io.BytesIO()
        assert compress(jpeg, target, K=256, format="bmp").kept_original
        assert target.getvalue() == b""

    def test_all_frames_stay(self, tmp_path):
        frames = [Image.fromarray(np.full((2, 2), 60 * k, np.uint8)) for k in range(3)]
        data = hostile.file_of(frames[0], "tiff", save_all=True, append_images=frames[1:])
        (tmp_path / "a.tif").write_bytes(data)
        done = compress(tmp_path / "a.tif")
        if done.kept_original:
            assert (tmp_path / "a_compressed.tif").read_bytes() == data

    def test_json_tells(self, tight, tmp_path):
        record = json.loads(compress(tight, tmp_path / "b.png", K=200, optimize=0).to_json())
        assert record["kept_original"] is True
        assert record["psnr"] is None

    def test_input_that_changes_meanwhile(self, tight, tmp_path, monkeypatch):
        import sys

        module = sys.modules["kmeans_c.compress"]
        monkeypatch.setattr(module, "safe_open", lambda _: io.BytesIO(b"another file"))
        with pytest.raises(OSError, match="has changed while it was read"):
            compress(tight, tmp_path / "a.png", K=200, optimize=0)
        assert names(tmp_path) == ["photo.png", "tight.png"]


def compress_to_bytes(path, **options):
    target = io.BytesIO()
    compress(path, target, allow_larger=True, **options)
    return target.getvalue()


class TestAuto:
    def test_smallest(self, photo):
        sizes = {kind: len(compress_to_bytes(photo, format=kind)) for kind in ("png", "webp")}
        target = io.BytesIO()
        done = compress(photo, target, format="auto")
        assert done.format == min(sizes, key=lambda kind: sizes[kind])
        assert done.bytes_after == len(target.getvalue()) == min(sizes.values())
        with Image.open(target) as image:
            assert image.format.lower() == done.format

    def test_holds_the_palette(self, jpeg, tmp_path):
        done = compress(jpeg, tmp_path / "a", K=4, format="auto")
        assert (
            done.colors_after == 4 == len(np.unique(shown(tmp_path / "a").reshape(-1, 3), axis=0))
        )

    def test_original_in_any_format(self, jpeg, tmp_path):
        done = compress(jpeg, tmp_path / "a", K=256, format="auto")
        assert (done.kept_original, done.format) == (True, "jpeg")
        assert (tmp_path / "a").read_bytes() == jpeg.read_bytes()


class TestLossy:
    @pytest.mark.parametrize("kind", ["png", "webp", "gif", "tiff", "auto"])
    @pytest.mark.parametrize("lossy", [0.1, 1])
    def test_smaller_and_no_worse_than_said(self, photo, tmp_path, kind, lossy):
        plain = compress(photo, tmp_path / "a", format=kind, optimize=1)
        done = compress(photo, tmp_path / "b", format=kind, optimize=1, lossy=lossy)
        assert done.bytes_after < plain.bytes_after
        assert plain.psnr - lossy <= done.psnr < plain.psnr
        error = (hostile.photo(90, 120).astype(float) - shown(tmp_path / "b")) ** 2
        assert done.mse == pytest.approx(error.sum(axis=2).mean(), rel=1e-12)
        assert done.colors_after == done.palette_size <= 16

    def test_grey_and_alpha(self, tmp_path):
        grey = hostile.photo(60, 80)[..., 0]
        for pixels in (grey, np.dstack([hostile.photo(60, 80), grey // 2 + 60])):
            (tmp_path / "x.png").write_bytes(hostile.file_of(pixels, "png"))
            plain = compress(tmp_path / "x.png", io.BytesIO(), K=6)
            done = compress(tmp_path / "x.png", io.BytesIO(), K=6, lossy=0.5)
            assert done.bytes_after < plain.bytes_after
            assert plain.psnr - 0.5 <= done.psnr < plain.psnr

    def test_not_for_jpeg(self, photo, tmp_path):
        compress(photo, tmp_path / "a.jpg", K=8)
        compress(photo, tmp_path / "b.jpg", K=8, lossy=3)
        assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "b.jpg").read_bytes()

    def test_lossless_stays_lossless(self, tmp_path):
        pixels = np.repeat(hostile.photo(1, 9), 20, axis=0)
        (tmp_path / "a.png").write_bytes(hostile.file_of(pixels, "png"))
        assert compress(tmp_path / "a.png", tmp_path / "b.png", lossy=5).mse == 0

    def test_same_bytes_for_any_number_of_threads(self, photo, tmp_path):
        for n in (1, 2):
            compress(photo, tmp_path / f"{n}.png", lossy=0.3, n_threads=n)
        assert (tmp_path / "1.png").read_bytes() == (tmp_path / "2.png").read_bytes()

    @pytest.mark.parametrize(
        ("options", "error"),
        [
            ({"lossy": -0.1}, ValueError),
            ({"lossy": 21}, ValueError),
            ({"lossy": float("nan")}, ValueError),
            ({"lossy": "1"}, TypeError),
            ({"lossy": True}, TypeError),
            ({"optimize": 7}, ValueError),
            ({"optimize": None}, TypeError),
        ],
    )
    def test_impossible(self, photo, tmp_path, options, error):
        name = next(iter(options))
        with pytest.raises(error, match=rf"^{name}: expected "):
            compress(photo, tmp_path / "a.png", **options)
        assert names(tmp_path) == ["photo.png"]
