"""Sweeps: every row is judged again from its palette, and compared with plain quantize."""

import json
import math

import numpy as np
import pytest

from kmeans_c import quantize
from kmeans_c.encoding import encode
from kmeans_c.perceptual import delta_e
from kmeans_c.sweep import SweepRow, sweep
from kmeans_c.views.plot import plot_sweep


@pytest.fixture(params=["rgb", "rgba", "grey"])
def image(request, rng):
    y, x = np.mgrid[0:60, 0:80]
    planes = [3 * x + y, 2 * y + x, 255 - 3 * x, 8 * np.maximum(x - 30, 0)]
    pixels = np.stack(planes, axis=-1) + rng.integers(-9, 10, (60, 80, 4))
    pixels = np.clip(pixels, 0, 255).astype(np.uint8)
    return {"rgb": pixels[:, :, :3], "rgba": pixels, "grey": pixels[:, :, 0]}[request.param]


def as_values(rows):
    return [row.to_dict() for row in rows]


@pytest.mark.parametrize("space", ["srgb", "oklab"])
def test_rows_say_what_their_palettes_do(image, space):
    rows = sweep(image, [1, 2, 3, 5, 9, 16, 40], space=space, sizes="none")
    assert [row.K for row in rows] == [1, 2, 3, 5, 9, 16, 40]
    for row in rows:
        assert len(row.palette) == row.K
        if row.K == 1 and image.ndim == 3 and image.shape[2] == 4:
            continue  # as a given palette it gets a transparent entry
        again = quantize(image, palette=row.palette, space=space)
        assert again.counts.min() > 0
        assert row.mse == again.mse
        assert row.psnr == again.psnr
        assert row.delta_e == delta_e(image, again)
        assert row.bytes is None


@pytest.mark.parametrize("effort", ["fast", "balanced", "best"])
def test_quality_is_near_that_of_quantize(image, effort):
    for row in sweep(image, range(2, 20), effort=effort, sizes="none"):
        assert row.mse <= 1.06 * quantize(image, row.K, effort=effort).mse


def test_by_default_from_2_to_256(rng):
    image = rng.integers(0, 256, (40, 40, 3), np.uint8)
    rows = sweep(image)
    assert [row.K for row in rows] == list(range(2, 257))
    assert all(len(row.palette) == row.K for row in rows)
    assert all(isinstance(row, SweepRow) for row in rows)
    # Not always at each step, but on the whole.
    mses = [row.mse for row in rows]
    assert all(b < a for a, b in zip(mses, mses[8:], strict=False))


def test_order_and_repetition_do_not_matter(image):
    assert as_values(sweep(image, [9, 2, 9, 4])) == as_values(sweep(image, (2, 4, 9)))


def test_threads_and_levels_do_not_matter(simd, n_threads, image):
    options = {"Ks": range(2, 12), "space": "oklab"}
    once = sweep(image, n_threads=1, **options)
    assert as_values(once) == as_values(sweep(image, n_threads=n_threads, **options))


def test_the_order_of_pixels_does_not_matter(image):
    turned = image[::-1, ::-1]
    a, b = (sweep(i, range(2, 30), sizes="none") for i in (image, turned))
    assert as_values(a) == as_values(b)


def test_few_colours_come_back_unchanged():
    image = np.repeat(np.arange(5, dtype=np.uint8)[:, np.newaxis] * 50, 6, axis=1)
    rows = sweep(image, [2, 4, 5, 6, 256])
    assert [len(row.palette) for row in rows] == [2, 4, 5, 5, 5]
    assert [row.mse == 0 for row in rows] == [False, False, True, True, True]
    assert rows[-1].psnr == math.inf
    assert rows[-1].to_dict()["psnr"] is None
    for shape in ((1, 1), (1, 1, 3), (2, 2, 4)):
        assert [len(row.palette) for row in sweep(np.zeros(shape, np.uint8), [1, 2])] == [1, 1]


def test_transparency_keeps_its_entry(rng):
    image = rng.integers(0, 256, (40, 40, 4), np.uint8)
    image[:, :20, 3] = 0
    for row in sweep(image, range(2, 20), sizes="none"):
        assert row.palette[0].tolist() == [0, 0, 0, 0]


def test_sizes_are_those_of_files(image):
    Ks = [2, 5, 16]
    for row in sweep(image, Ks, sizes="png", optimize=1):
        again = quantize(image, palette=row.palette)
        assert row.bytes == len(encode(again.palette, again.indices, "png", optimize=1))


def test_estimates_are_near(rng):
    y, x = np.mgrid[0:600, 0:500]
    image = np.stack([x // 2 + rng.integers(0, 9, x.shape), y // 3, (x + y) // 5], axis=-1)
    image = image.astype(np.uint8)
    Ks = [2, 4, 8, 16, 32, 64]
    real = sweep(image, Ks, sizes="png", optimize=1)
    for row, exact in zip(sweep(image, Ks, optimize=1), real, strict=True):
        assert row.mse == exact.mse
        assert 0.6 < row.bytes / exact.bytes < 1.6
        if row.K == 16:
            assert row.bytes == exact.bytes


def test_rows_are_plain_values_and_can_be_drawn(image):
    rows = sweep(image, [2, 4, 8])
    values = json.loads(json.dumps(as_values(rows)))
    assert [value["K"] for value in values] == [2, 4, 8]
    assert all(value["bytes"] > 60 for value in values)
    pytest.importorskip("matplotlib", reason="drawing is an extra")
    assert len(plot_sweep(rows).axes) == 4


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"Ks": 5}, TypeError, "Ks: expected integers, got int"),
        ({"Ks": "25"}, TypeError, "Ks: expected integers, got str"),
        ({"Ks": [2.5]}, TypeError, "Ks: expected an integer"),
        ({"Ks": []}, ValueError, "Ks: expected at least one"),
        ({"Ks": [0]}, ValueError, "Ks: expected 1..256"),
        ({"Ks": [257]}, ValueError, "Ks: expected 1..256"),
        ({"ITERS": -1}, ValueError, "ITERS"),
        ({"sizes": "gif"}, ValueError, "sizes: expected one of estimate, png, none"),
        ({"sizes": True}, TypeError, "sizes"),
        ({"effort": "x"}, ValueError, "effort"),
        ({"space": "x"}, ValueError, "space"),
        ({"optimize": 9}, ValueError, "optimize"),
    ],
)
def test_impossible_arguments(options, error, match):
    with pytest.raises(error, match=match):
        sweep(np.zeros((2, 2, 3), np.uint8), **options)
