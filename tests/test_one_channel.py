"""Images of one channel, on every way that images go."""

import io
import itertools
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import kmeans_c
from kmeans_c import cli, perceptual
from kmeans_c.animation import quantize_animation
from kmeans_c.images.frames import read_frames
from kmeans_c.spaces import SPACES
from kmeans_c.views.preview import preview
from kmeans_c.views.report import report

DITHERS = ("none", "floyd-steinberg", "adaptive", "bayer", "blue-noise")


def grey(seed=0, height=30, width=40):
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal(120, 50, (height, width)), 0, 255).astype(np.uint8)


def counted(pixels):
    return np.bincount(pixels.ravel(), minlength=256)


def assert_counts(histogram, expected):
    seen = np.flatnonzero(expected)
    np.testing.assert_array_equal(histogram.colors, seen[:, np.newaxis])
    np.testing.assert_array_equal(histogram.counts, expected[seen])


@pytest.mark.parametrize(
    "shape", [(1200,), (1200, 1), (1, 1200), (30, 40), (30, 40, 1), (2, 3, 200, 1)], ids=str
)
@pytest.mark.parametrize("weighed", [None, "as the pixels", "(..., channels)", "without it"])
def test_every_shape_of_greys_is_counted(shape, weighed):
    pixels = grey().reshape(shape)
    weights = None
    expected = counted(pixels)
    if weighed is not None:
        weights = np.random.default_rng(1).integers(0, 9, pixels.size)
        expected = np.bincount(pixels.ravel(), weights, minlength=256).astype(np.int64)
        alone = shape[:-1] if shape[-1] == 1 else shape
        weights = weights.reshape(
            {"as the pixels": shape, "(..., channels)": (*alone, 1), "without it": alone}[weighed]
        )
    assert_counts(kmeans_c.Histogram(1).add(pixels, weights), expected)


def test_colors_and_counts_are_added_as_a_merge_is():
    one, other = (kmeans_c.Histogram(1).add(grey(seed)) for seed in (1, 2))
    merged = kmeans_c.Histogram(1).merge(one).merge(other)
    added = kmeans_c.Histogram(1).add(one.colors, one.counts).add(other.colors, other.counts)
    assert merged == added
    assert_counts(added, counted(grey(1)) + counted(grey(2)))


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("dither", DITHERS)
@pytest.mark.parametrize("K", [1, 5, 300])
def test_quantize(K, dither, space):
    pixels = grey()
    for image in (pixels, pixels[:, :, np.newaxis], Image.fromarray(pixels)):
        result = kmeans_c.quantize(image, K, dither=dither, space=space)
        assert result.palette.shape == (min(K, len(np.unique(pixels))), 3)
        assert (result.palette == result.palette[:, :1]).all()
        assert result.indices.shape == pixels.shape
        assert result.counts.sum() == pixels.size
        np.testing.assert_array_equal(
            result.counts, np.bincount(result.indices.ravel(), minlength=len(result.palette))
        )
        if K == 300:
            np.testing.assert_array_equal(result.to_array()[..., 0], pixels)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("keep", [["#404040"], ["#ff0000"], ["#ff000080"], ["#404040", "#ff0000"]])
@pytest.mark.parametrize("weighed", [False, True])
def test_quantize_with_colors_to_keep_and_weights(weighed, keep, space):
    weights = np.random.default_rng(1).random((30, 40)) if weighed else None
    result = kmeans_c.quantize(grey(), 6, keep=keep, weights=weights, space=space)
    shown = {"#" + bytes(color).hex() for color in result.palette}
    assert {text if len(text) == 9 else text + "ff" for text in keep} <= {
        text if len(text) == 9 else text + "ff" for text in shown
    }
    assert len(result.palette) == 6


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("dither", DITHERS)
@pytest.mark.parametrize("channels", [3, 4])
def test_a_palette_is_fitted_and_mapped(channels, dither, space):
    histogram = kmeans_c.Histogram(1).add(grey(1)).add(grey(2))
    palette = kmeans_c.Palette.fit(histogram, 7, space=space, keep=["#404040"])
    assert palette.colors.shape == (7, 3)
    assert [64, 64, 64] in palette.colors.tolist()
    assert palette.counts.sum() == histogram.total
    for image in (grey(3), np.repeat(grey(3)[:, :, np.newaxis], 3, axis=2)):
        indices = palette.map(image, dither=dither, space=space)
        assert indices.max() < 7
    given = kmeans_c.quantize(grey(3), palette=palette, dither=dither, space=space)
    np.testing.assert_array_equal(given.palette, palette.colors)
    np.testing.assert_array_equal(given.indices, indices)
    colors = np.random.default_rng(0).permutation(256)[:9, np.newaxis].astype(np.uint8)
    colors = np.repeat(colors, channels, axis=1)
    colors[:, channels - 1 :] = np.maximum(colors[:, channels - 1 :], 1)
    assert kmeans_c.Palette(colors).map(grey(3), dither=dither, space=space).max() < 9


def test_colors_to_keep_in_a_grey_histogram():
    histogram = kmeans_c.Histogram(1).add(grey())
    with pytest.raises(ValueError, match=r"^keep: expected greys"):
        kmeans_c.Palette.fit(histogram, 7, keep=["#ff0000"])
    with pytest.raises(ValueError, match=r"^keep: expected opaque colours"):
        kmeans_c.Palette.fit(histogram, 7, keep=["#40404080"])


def test_targets_and_sweep():
    pixels = grey()
    assert len(kmeans_c.quantize_auto(pixels).palette) > 1
    assert len(kmeans_c.quantize_quality(pixels, "10-60").palette) > 1
    for kind in ("png", "gif", "webp", "bmp", "tiff", "ico", "auto"):
        sized = kmeans_c.quantize_to_size(pixels, 2000, format=kind)
        assert len(sized.data) <= 2000
    for sizes, space in itertools.product(("estimate", "png", "none"), SPACES):
        rows = kmeans_c.sweep(pixels, [1, 2, 9, 256], sizes=sizes, space=space)
        assert [row.palette.shape for row in rows[:3]] == [(1, 3), (2, 3), (9, 3)]
        assert rows[3].mse == 0


def test_views():
    pixels = grey()
    result = kmeans_c.quantize(pixels, 5)
    assert preview(pixels, result).mode == "RGB"
    assert "Palette: 4 colours" in report(pixels, [2, 4])
    assert 0 < kmeans_c.delta_e(pixels, result) < 20
    assert perceptual.differences(pixels, result).percentile(99) > 0
    assert kmeans_c.pillow.quantize(Image.fromarray(pixels), 5).mode == "P"
    assert result._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp", "bmp", "tiff", "ico"])
def test_files(kind, tmp_path):
    source, target = tmp_path / "grey.png", tmp_path / f"out.{kind}"
    Image.fromarray(grey()).save(source)
    done = kmeans_c.compress(source, target, 5, allow_larger=True)
    assert done.palette_size == 5
    with Image.open(target) as shown:
        assert shown.size == (40, 30)


@pytest.mark.parametrize("per_frame", [False, True])
@pytest.mark.parametrize("kind", ["gif", "png", "webp", "tiff"])
def test_animations(kind, per_frame):
    frames = [Image.fromarray(grey(seed)) for seed in range(3)]
    data = io.BytesIO()
    frames[0].save(
        data, "tiff" if kind == "tiff" else "png", save_all=True, append_images=frames[1:]
    )
    with read_frames(data) as animation:
        found = quantize_animation(animation, 6, per_frame=per_frame)
        assert all((p[:, :3] == p[:, :1]).all() for p in found.palettes)
        encoded = found.encode(kind)
        assert encoded.shown_by(encoded.data)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["-j", "2"],
        ["--keep", "#404040"],
        ["--keep", "red"],
        ["--dither", "adaptive"],
        ["--space", "oklab"],
        ["-F", "gif"],
    ],
    ids=" ".join,
)
def test_the_command_with_one_palette_for_grey_files(words, tmp_path, capsys):
    for seed in range(3):
        Image.fromarray(grey(seed)).save(tmp_path / f"{seed}.png")
    saved = tmp_path / "p.hex"
    names = [str(tmp_path / f"{seed}.png") for seed in range(3)]
    code = cli.main([
        "--shared-palette", "-k", "7", "--allow-larger", "--save-palette", str(saved), *words,
        *names,
    ])  # fmt: skip
    told = capsys.readouterr()
    assert (code, told.err) == (0, "")
    colors = saved.read_text().split()
    assert len(colors) == 7
    palette = [tuple(bytes.fromhex(color.removeprefix("#"))) for color in colors]
    kind = "gif" if "gif" in words else "png"
    for seed in range(3):
        with Image.open(tmp_path / f"{seed}_compressed.{kind}") as image:
            shown = np.asarray(image.convert("RGB")).reshape(-1, 3)
        assert set(map(tuple, shown.tolist())) <= set(palette)
    if "red" in words:
        assert (255, 0, 0) in palette


def test_what_a_stage_does_not_expect_is_one_line(tmp_path, monkeypatch, capsys):
    Image.fromarray(grey()).save(tmp_path / "a.png")

    def fails(*_args, **_options):
        raise KeyError("a fault")

    words = ["--shared-palette", str(tmp_path / "a.png")]
    for stage in ("planned", "_work", "_shared_palette", "_check_words", "_check_side_files"):
        monkeypatch.setattr(cli, stage, fails)
        assert cli.main(words) == 1
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.startswith("kmeans-c: unexpected KeyError: 'a fault'")
        assert told.err.count("\n") == 1
        assert cli.main([*words, "--debug"]) == 1
        assert "Traceback (most recent call last)" in capsys.readouterr().err
        monkeypatch.undo()


def test_what_can_not_be_shared_is_one_line(tmp_path):
    """In a process of its own: nothing else is printed."""
    Image.fromarray(grey()).save(tmp_path / "a.png")
    words = ["--shared-palette", "-k", "1", "--keep", "red", "--keep", "blue", "a.png"]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "kmeans_c", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("kmeans-c: keep: ")
    assert done.stderr.count("\n") == 1
