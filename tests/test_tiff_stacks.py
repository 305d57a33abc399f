"""Several pictures in one directory of a TIFF, and channels that are not shown: no silent loss."""

import json

import numpy as np
import pytest
import tiff_maker
from tiff_maker import BLACK_IS_ZERO, CMYK, DEFLATE, RGB

from kmeans_c import cli, compress, quantize
from kmeans_c.images import read_image

HEIGHT, WIDTH = 12, 20
SLICES = np.random.default_rng(3).integers(0, 256, (4, HEIGHT, WIDTH, 1), dtype=np.uint8)
STACK = SLICES.reshape(4 * HEIGHT, WIDTH, 1)


def text(value):
    return (2, list(value.encode() + b"\0"))


def stack(more, samples=STACK, **how):
    """One directory of the first slice, with the others behind it."""
    tags = {257: (4, [HEIGHT])} | more
    return tiff_maker.tiff(samples, 8, BLACK_IS_ZERO, more=tags, **how)


IMAGEJ = {270: text("ImageJ=1.53t\nimages=4\nslices=4\nloop=false\n")}
SHAPED = {270: text(json.dumps({"shape": [2, 2, HEIGHT, WIDTH]}))}
DEPTH = {32997: (4, [4])}
METAMORPH = {33629: (5, [(1, 1)] * 4)}


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize(
    ("more", "how", "reason"),
    [
        (DEPTH, {}, "a volume of 4 slices (ImageDepth) is not supported in TIFF"),
        (DEPTH, {"compression": DEFLATE}, "a volume of 4 slices (ImageDepth) is not supported"),
        (IMAGEJ, {}, "4 images in one directory (a stack) are not supported in TIFF"),
        (IMAGEJ, {"order": ">"}, "4 images in one directory (a stack) are not supported in TIFF"),
        (SHAPED, {}, "4 images in one directory (a stack) are not supported in TIFF"),
        (METAMORPH, {}, "4 images in one directory (a stack) are not supported in TIFF"),
    ],
)
def test_a_stack_is_refused(tmp_path, capsys, *, more, how, reason, in_place):
    path = tmp_path / "stack.tif"
    path.write_bytes(stack(more, **how))
    before = path.read_bytes()
    words = ["--in-place"] if in_place else ["-o", str(tmp_path / "done.png")]
    assert cli.main([str(path), *words]) == 1
    assert reason in capsys.readouterr().err
    assert [found.name for found in tmp_path.iterdir()] == ["stack.tif"]
    assert path.read_bytes() == before
    with pytest.raises(OSError, match="not supported in TIFF"):
        quantize(path, 4)


@pytest.mark.parametrize(
    ("more", "how"),
    [
        ({}, {}),
        ({32997: (4, [1])}, {}),
        ({33629: (5, [(1, 1)])}, {}),
        ({270: text("images=4")}, {}),
        ({270: text("ImageJ=1.53t\nunit=cm\n")}, {}),
        ({270: text(json.dumps({"shape": [HEIGHT, WIDTH]}))}, {}),
        ({270: text('{"shape": [1e400, {}]}')}, {}),
        ({270: text('{"shape": 7')}, {}),
        # The description was copied along: there is one picture.
        (IMAGEJ, {"samples": SLICES[0]}),
        (SHAPED, {"samples": SLICES[0]}),
        (METAMORPH, {"samples": SLICES[0]}),
        (IMAGEJ, {"samples": SLICES[0], "compression": DEFLATE}),
    ],
)
def test_one_picture_is_read(tmp_path, more, how):
    path = tmp_path / "one.tif"
    path.write_bytes(stack(more, **how))
    assert np.array_equal(read_image(path).pixels, SLICES[0, :, :, 0])


@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize(
    ("photometric", "extra", "n", "loss"),
    [
        (BLACK_IS_ZERO, (0, 0, 0), 4, "3 further channels are left out"),
        (BLACK_IS_ZERO, (2, 0), 3, "1 further channel is left out"),
        (BLACK_IS_ZERO, (2,), 2, None),
        (RGB, (0,), 4, "1 further channel is left out"),
        (RGB, (), 4, None),
        (RGB, (2,), 4, None),
        (RGB, (0, 2, 0), 6, "2 further channels are left out"),
        (CMYK, (0,), 5, "1 further channel is left out"),
    ],
)
def test_further_channels_are_losses(tmp_path, *, photometric, extra, n, loss, planar):
    samples = np.random.default_rng(n).integers(0, 256, (40, 50, n), dtype=np.uint8)
    path = tmp_path / "channels.tif"
    path.write_bytes(tiff_maker.tiff(samples, 8, photometric, extra=extra, planar=planar))
    done = compress(path, tmp_path / "done.png")
    assert done.losses == (() if loss is None else (loss,))
    if loss is None:
        compress(path, path, overwrite=True)
        return
    before = path.read_bytes()
    with pytest.raises(ValueError, match=loss):
        compress(path, path, overwrite=True)
    assert path.read_bytes() == before
