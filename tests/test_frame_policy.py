"""Several frames or pages: all, the first on request, or a refusal; never a silent loss."""

import io
import json
from pathlib import Path

import animation_reference as reference
import hostile
import numpy as np
import pytest
from PIL import Image

from kmeans_c import cli, compress
from kmeans_c.images import read_image
from kmeans_c.images.frames import read_frames

ENDINGS = {
    "png": ".png",
    "jpeg": ".jpg",
    "gif": ".gif",
    "webp": ".webp",
    "bmp": ".bmp",
    "tiff": ".tif",
    "ico": ".ico",
}
MOVING = {"gif", "png", "webp"}


def frames(n=3):
    return [Image.fromarray(hostile.photo(seed=seed)) for seed in range(n)]


def several(kind):
    """The bytes of a file of that kind with three frames or pages."""
    first, *others = frames()
    options = {"lossless": True} if kind == "webp" else {}
    return hostile.file_of(first, kind, save_all=True, append_images=others, **options)


def still_and_frame():
    """An APNG of one frame, and a still image that is not part of the animation."""
    frame = {"box": (0, 0, 2, 1), "pixels": [(255, 0, 0, 255), (0, 255, 0, 255)]}
    return reference.apng(2, 1, [frame], default=[(0, 0, 255, 255), (9, 9, 9, 255)])


INPUTS = {kind: several(kind) for kind in ("gif", "png", "webp", "tiff")}


def held(kind, out):
    return {kind, out} <= MOVING or kind == out == "tiff"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capfd):
    def call(*arguments):
        try:
            code = cli.main(["-t1", *arguments])
        except SystemExit as end:
            code = end.code
        out, err = capfd.readouterr()
        return code, out.splitlines(), err.splitlines()

    return call


class TestTable:
    """Each format of several pictures to each format that can be written."""

    @pytest.mark.parametrize("out", ENDINGS)
    @pytest.mark.parametrize("kind", INPUTS)
    @pytest.mark.parametrize("way", ["path", "object", "ending"])
    def test_without_first(self, kind, out, way):
        source = Path("in" + ENDINGS[kind])
        source.write_bytes(INPUTS[kind])
        target = io.BytesIO() if way == "object" else Path("out" + ENDINGS[out])
        given = io.BytesIO(INPUTS[kind]) if way == "object" else source
        options = {} if way == "ending" else {"format": out}
        if held(kind, out):
            done = compress(given, target, 4, allow_larger=True, **options)
            assert (done.frames, done.frames_written) == (3, 3)
            return
        what = "pages" if kind == "tiff" else "frames"
        with pytest.raises(ValueError, match=f"^format: {out} holds .*, the input has 3 {what}; "):
            compress(given, target, 4, allow_larger=True, **options)
        assert sorted(path.name for path in Path().iterdir()) == [source.name]
        assert way != "object" or target.getvalue() == b""

    @pytest.mark.parametrize("out", ENDINGS)
    @pytest.mark.parametrize("kind", INPUTS)
    def test_first(self, kind, out):
        target = io.BytesIO()
        done = compress(
            io.BytesIO(INPUTS[kind]), target, 256, format=out, first=True, allow_larger=True
        )
        assert (done.frames, done.frames_written) == (3, 1)
        data = target.getvalue()
        if out == "ico":
            data = data[22:]
        with Image.open(io.BytesIO(data)) as image:
            assert getattr(image, "n_frames", 1) == 1
            shown = np.asarray(image.convert("RGB")).astype(int)
        # 256 colours of the first frame are nearer to it than to any other.
        errors = [np.abs(shown - np.asarray(frame)).mean() for frame in frames()]
        assert errors[0] == min(errors)

    @pytest.mark.parametrize("kind", INPUTS)
    def test_auto_has_no_first_without_the_word(self, kind):
        target = io.BytesIO()
        done = compress(io.BytesIO(INPUTS[kind]), target, 4, format="auto")
        assert (done.format, done.frames_written) == (kind, 3)
        done = compress(io.BytesIO(INPUTS[kind]), target, 4, format="auto", first=True)
        assert done.format in ("png", "webp")
        assert done.frames_written == 1

    @pytest.mark.parametrize("kind", ["png", "bmp", "jpeg"])
    def test_first_of_one_is_nothing_special(self, kind):
        source = hostile.file_of(hostile.photo(), kind)
        plain, asked = io.BytesIO(), io.BytesIO()
        compress(io.BytesIO(source), plain, 4, format="png")
        compress(io.BytesIO(source), asked, 4, format="png", first=True)
        assert plain.getvalue() == asked.getvalue()

    def test_message_says_what_to_do(self):
        Path("a.tif").write_bytes(INPUTS["tiff"])
        message = (
            "format: png holds one page, the input has 3 pages; tiff holds them all, "
            "first=True takes the first"
        )
        with pytest.raises(ValueError, match=f"^{message}$"):
            compress("a.tif", "a.png")


class TestStillBesideTheAnimation:
    """One frame and a default image are two pictures, although there is one frame."""

    def test_png_keeps_both(self):
        target = io.BytesIO()
        done = compress(io.BytesIO(still_and_frame()), target, 8, format="png", allow_larger=True)
        assert (done.frames, done.frames_written) == (1, 1)
        with read_frames(io.BytesIO(target.getvalue())) as animation:
            assert [frame.pixels.tolist() for frame in animation] == [
                [[[255, 0, 0, 255], [0, 255, 0, 255]]]
            ]
        assert reference.apng_default_image(target.getvalue()) == [
            [(0, 0, 255, 255), (9, 9, 9, 255)]
        ]

    def test_others_name_the_loss_or_refuse(self):
        source = still_and_frame()
        done = compress(io.BytesIO(source), io.BytesIO(), 8, format="gif", allow_larger=True)
        assert done.losses == (
            "the still image, which is no frame, is left out: gif has no place for it",
        )
        with pytest.raises(ValueError, match="the input has 1 frame and a still image; "):
            compress(io.BytesIO(source), io.BytesIO(), 8, format="bmp")
        target = io.BytesIO()
        compress(io.BytesIO(source), target, 8, format="bmp", first=True, allow_larger=True)
        assert read_image(target).pixels.tolist() == [[[0, 0, 255], [9, 9, 9]]]


class TestInPlace:
    @pytest.mark.parametrize("first", [False, True])
    def test_frames_are_never_lost(self, first):
        Path("a.gif").write_bytes(INPUTS["gif"])
        with pytest.raises(ValueError, match=r"^output: replacing the input would lose 2 frames"):
            compress("a.gif", "a.gif", overwrite=True, format="bmp", first=first)
        assert Path("a.gif").read_bytes() == INPUTS["gif"]

    def test_first_keeps_no_original(self):
        """The whole input is no answer to the request for its first frame."""
        tiny = Image.new("RGB", (1, 1))
        data = hostile.file_of(
            tiny, "gif", save_all=True, append_images=[Image.new("RGB", (1, 1), "red")]
        )
        done = compress(io.BytesIO(data), io.BytesIO(), first=True, format="bmp")
        assert done.output is None
        target = io.BytesIO()
        done = compress(io.BytesIO(data * 1), target, first=True, format="gif", K=2)
        if done.kept_original:
            assert target.getvalue() == b""


class TestCommand:
    def test_folder_of_stills_and_films(self, run):
        """One failing line for each file that would lose something; the others are done."""
        Path("in").mkdir()
        for kind in ("gif", "tiff"):
            Path("in/film" + ENDINGS[kind]).write_bytes(INPUTS[kind])
        Path("in/photo.png").write_bytes(hostile.file_of(hostile.photo(), "png"))
        code, out, err = run("-q", "-r", "in", "-d", "out", "-F", "jpeg", "--suffix", "")
        if code == 2:  # two inputs of one name
            code, out, err = run("-q", "in/film.gif", "in/photo.png", "-d", "out", "-F", "jpeg")
        assert (code, out) == (1, [])
        assert "kmeans-c: in/film.gif: format: jpeg holds one frame, the input has 3 frames; " in (
            err[0] + err[-1]
        )
        assert "--first takes the first" in err[0]
        assert Path("out/photo.jpg").exists() or not Path("out/film.jpg").exists()

    def test_standard_streams(self, run):
        Path("film.webp").write_bytes(INPUTS["webp"])
        code, out, err = run("film.webp", "-F", "jpeg", "-o", "-")
        assert (code, out) == (1, [])
        assert err == [
            "kmeans-c: film.webp: format: jpeg holds one frame, the input has 3 frames; "
            "gif, png and webp hold them all, --first takes the first"
        ]

    def test_first(self, run):
        Path("film.webp").write_bytes(INPUTS["webp"])
        code, (line,), err = run("film.webp", "-F", "jpeg", "--first", "--allow-larger")
        assert (code, err) == (0, [])
        assert "; first of 3 frames" in line
        code, (line, _), _ = run("film.webp", "--json", "-o", "a.png", "--first", "--allow-larger")
        assert (json.loads(line)["frames"], json.loads(line)["frames_written"]) == (3, 1)

    @pytest.mark.parametrize("other", ["--in-place", "--per-frame"])
    def test_first_excludes(self, run, other):
        Path("a.gif").write_bytes(INPUTS["gif"])
        code, out, err = run("a.gif", "--first", other)
        assert (code, out, len(err)) == (2, [], 1)
        assert err[0].startswith(f"kmeans-c: {other}: ")


class TestFurtherPicturesOfJpegs:
    """Other views, gain maps and videos are no frames; their loss is announced."""

    XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a hdrgm:Version="1.0" %s/></x:xmpmeta>'

    def test_multi_picture(self):
        first, second = frames(2)
        Path("a.jpg").write_bytes(
            hostile.file_of(first, "mpo", save_all=True, append_images=[second], quality=95)
        )
        picture = read_image("a.jpg")
        assert (picture.format, picture.frames) == ("jpeg", 1)
        done = compress("a.jpg", "b.png", allow_larger=True)
        assert done.losses == ("1 further picture (MPO) is left out",)
        before = Path("a.jpg").read_bytes()
        with pytest.raises(ValueError, match=r"^output: replacing the input is refused: 1 further"):
            compress("a.jpg", "a.jpg", overwrite=True)
        assert Path("a.jpg").read_bytes() == before

    def test_gain_map_and_video(self, run):
        xmp = self.XMP % b'GCamera:MotionPhoto="1"'
        Path("a.jpg").write_bytes(hostile.file_of(hostile.photo(), "jpeg", xmp=xmp))
        _, (line,), _ = run("a.jpg", "-o", "a.png", "--allow-larger")
        assert "; the HDR gain map is left out; the video of the motion photo is left out" in line
        code, _, err = run("a.jpg", "--in-place", "--allow-larger")
        assert code == 1
        assert "replacing the input is refused: the HDR gain map is left out" in err[0]

    def test_nothing_is_lost_where_the_original_is_kept(self):
        xmp = self.XMP % b""
        data = hostile.file_of(Image.new("RGB", (1, 1)), "jpeg", xmp=xmp, quality=30)
        done = compress(io.BytesIO(data), io.BytesIO(), 1, format="bmp")
        assert done.losses == (() if done.kept_original else ("the HDR gain map is left out",))


@pytest.mark.parametrize("n", [1, 2])
def test_still_image_that_is_no_frame(n, tmp_path, monkeypatch, capsys):
    """It is not the first of the frames, and the line does not say so."""
    monkeypatch.chdir(tmp_path)
    box = {"box": (0, 0, 2, 1)}
    moving = [box | {"pixels": [(n, 2, 3, 255)] * 2} for n in range(n)]
    still = [(200, 100, 50, 255)] * 2
    Path("a.png").write_bytes(reference.apng(2, 1, moving, default=still))
    assert cli.main(["a.png", "--first", "-o", "d.bmp"]) == 0
    line = capsys.readouterr().out
    assert "first of" not in line
    frames = "frame" if n == 1 else "2 frames"
    assert f"; the still image, without the {frames} of the animation" in line
    assert read_image("d.bmp").pixels.tolist() == [[[200, 100, 50]] * 2]
    assert compress("a.png", "e.bmp", first=True).default_image
    assert not compress("a.png", "e.png").default_image
