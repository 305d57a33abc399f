"""Targets: what is met, against plain quantize and real files; and the texts that name them."""

import io
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kmeans_c import quantize
from kmeans_c.encoding import decodes_to
from kmeans_c.perceptual import Judge, delta_e, differences
from kmeans_c.target_text import parse_quality, parse_size
from kmeans_c.targets import (
    TargetNotMet,
    error_of_quality,
    quality_of_error,
    quantize_auto,
    quantize_quality,
    quantize_to_size,
)


@pytest.fixture(params=["rgb", "rgba", "grey"])
def image(request, rng):
    """Smooth colours with some noise, an alpha that goes from clear to opaque, greys."""
    y, x = np.mgrid[0:48, 0:64]
    planes = [3 * x + y, 2 * y + x, 255 - 3 * x, 8 * np.maximum(x - 30, 0)]
    pixels = np.stack(planes, axis=-1) + rng.integers(-9, 10, (48, 64, 4))
    pixels = np.clip(pixels, 0, 255).astype(np.uint8)
    return {"rgb": pixels[:, :, :3], "rgba": pixels, "grey": pixels[:, :, 0]}[request.param]


def oklab(rgb):
    """Ottosson's formulas in float64."""
    v = np.asarray(rgb, float) / 255
    light = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    cones = np.cbrt(
        light
        @ np.array(
            [
                [0.4122214708, 0.2119034982, 0.0883024619],
                [0.5363325363, 0.6806995451, 0.2817188376],
                [0.0514459929, 0.1073969566, 0.6299787005],
            ]
        )
    )
    return cones @ np.array(
        [
            [0.2104542553, 1.9779984951, 0.0259040371],
            [0.7936177850, -2.4285922050, 0.7827717662],
            [-0.0040720468, 0.4505937099, -0.8086757660],
        ]
    )


def same(a, b):
    return (
        np.array_equal(a.palette, b.palette)
        and np.array_equal(a.indices, b.indices)
        and np.array_equal(a.counts, b.counts)
        and (a.mse, a.n_iter) == (b.mse, b.n_iter)
    )


@pytest.mark.parametrize("dither", ["none", "floyd-steinberg"])
def test_differences_are_those_of_the_formulas(rng, dither):
    pixels = rng.integers(0, 256, (40, 50, 3), np.uint8)
    quantized = quantize(pixels, 9, dither=dither)
    far = 100 * np.linalg.norm(oklab(pixels) - oklab(quantized.to_array()), axis=2)
    seen = differences(pixels, quantized)
    assert seen.mean == pytest.approx(far.mean(), abs=0.01)
    assert delta_e(pixels, quantized) == seen.mean
    for q in (0, 50, 99, 100):
        exact = np.sort(far.ravel())[max(1, math.ceil(q * far.size / 100)) - 1]
        assert seen.percentile(q) == pytest.approx(exact, abs=0.02)


def test_a_histogram_is_judged_as_its_pixels_are(image):
    from kmeans_c.clustering import fit
    from kmeans_c.histogram import Histogram
    from kmeans_c.method import as_method

    pixels = image if image.ndim == 3 else image[:, :, np.newaxis]
    histogram = Histogram(pixels.shape[2]).add(pixels)
    method = as_method(7, init="search", effort="balanced", space="srgb", keep=None, seed=0)
    found = fit(histogram, 7, 10, method, n_threads=1)
    bins = Judge(histogram, 1).differences(found.palette, found.owners).bins
    assert bins.sum() == image.shape[0] * image.shape[1]
    assert np.array_equal(bins, differences(image, quantize(image, 7)).bins)


def test_alpha_is_seen_over_black_and_over_white():
    image = np.array([[[255, 255, 255, 128], [255, 255, 255, 255]]], np.uint8)
    quantized = quantize(image, 2)
    assert delta_e(image, quantized) == 0
    white = quantize(image, palette=[[255, 255, 255, 255]])
    # Over white nothing differs, over black half of the way, in Oklab's own lightness.
    over_black = 100 * (1 - 128 / 255)
    assert delta_e(image, white) == pytest.approx(over_black / math.sqrt(2) / 2, abs=0.02)


def test_differences_need_the_same_size(image):
    with pytest.raises(ValueError, match="image: expected shape"):
        differences(image[1:], quantize(image, 3))


@pytest.mark.parametrize("space", ["srgb", "oklab"])
@pytest.mark.parametrize("threshold", [1.0, 2.0, 4.0])
def test_auto_is_what_quantize_gives_and_one_colour_less_is_not_enough(image, threshold, space):
    def meets(quantized):
        seen = differences(image, quantized)
        return seen.mean <= threshold and seen.percentile(99) <= 3 * threshold

    found = quantize_auto(image, threshold, space=space)
    K = len(found.palette)
    assert same(found, quantize(image, K, space=space))
    assert meets(found) or K == 256
    assert K == 1 or not meets(quantize(image, K - 1, space=space))


def test_a_stricter_threshold_never_takes_fewer_colours(image):
    sizes = [len(quantize_auto(image, t).palette) for t in (0, 0.5, 0.7, 1, 1.5, 2, 3, 5, 9, 100)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == (2 if image.ndim == 3 and image.shape[2] == 4 else 1)


def test_auto_takes_all_colours_where_they_do_not_suffice(rng):
    noise = rng.integers(0, 256, (32, 32, 3), np.uint8)
    assert len(quantize_auto(noise, 0.1).palette) == 256
    assert len(quantize_auto(noise, 0.1, K=20).palette) == 20


@pytest.mark.parametrize("call", [quantize_auto, lambda i, **o: quantize_quality(i, 90, **o)])
def test_few_colours_come_back_unchanged(call):
    image = np.repeat(np.arange(5, dtype=np.uint8)[:, np.newaxis] * 50, 6, axis=1)
    found = call(image)
    assert np.array_equal(found.to_array()[:, :, 0], image)
    assert len(call(np.zeros((1, 1, 3), np.uint8)).palette) == 1
    assert len(call(np.zeros((3, 3, 4), np.uint8)).palette) == 1


def test_threads_and_levels_do_not_matter(simd, n_threads, image):
    once = quantize_auto(image, n_threads=1)
    assert same(once, quantize_auto(image, n_threads=n_threads))


def test_options_are_those_of_quantize(image):
    options = {
        "space": "oklab",
        "keep": ["#c8102e"],
        "dither": "bayer",
        "seed": 5,
        "effort": "fast",
        "ITERS": 3,
    }
    found = quantize_quality(image, (60, 75), **options)
    assert same(found, quantize(image, len(found.palette), **options))
    assert [200, 16, 46] in found.palette[:, :3].tolist()


def test_a_generator_is_drawn_from_once(image):
    a = quantize_auto(image, seed=np.random.default_rng(3))
    assert same(a, quantize_auto(image, seed=np.random.default_rng(3)))
    quantize_auto(image, seed=None)


@pytest.mark.parametrize("low", [0, 30, 60])
@pytest.mark.parametrize("high", [60, 75, 90])
def test_quality_takes_the_fewest_colours(image, low, high):
    found = quantize_quality(image, (low, high))
    K = len(found.palette)
    assert same(found, quantize(image, K))
    if found.mse > error_of_quality(high):
        assert K == 256
        assert found.mse <= error_of_quality(low)
    else:
        assert K == 1 or quantize(image, K - 1).mse > error_of_quality(high)


def test_quality_that_cannot_be_had(rng):
    noise = rng.integers(0, 256, (64, 64, 3), np.uint8)
    with pytest.raises(TargetNotMet, match=r"quality: expected at least 95, got \d+ with 256") as e:
        quantize_quality(noise, "95-")
    assert e.value.reached == quality_of_error(quantize(noise, 256).mse)
    with pytest.raises(TargetNotMet, match="with 4 colours"):
        quantize_quality(noise, "50-60", K=4)
    assert len(quantize_quality(noise, "-100").palette) == 256


def test_qualities_are_errors():
    errors = [error_of_quality(q) for q in range(101)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] == math.inf
    assert errors[100] == 0
    assert errors[50] == 150
    assert errors[25] == 300
    for q, error in enumerate(errors):
        assert quality_of_error(error) == q
    assert quality_of_error(0.001) == 99


def test_quality_is_about_a_jpegs(rng):
    y, x = np.mgrid[0:128, 0:128]
    soft = 128 + 60 * np.sin(x / 9.0) * np.cos(y / 7.0)
    pixels = np.stack([soft, soft[::-1], 255 - soft], axis=-1)
    pixels = np.clip(pixels + rng.normal(0, 4, (128, 128, 1)), 0, 255).astype(np.uint8)
    for quality in (50, 75, 90):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "jpeg", quality=quality, subsampling=0)
        shown = np.asarray(Image.open(file)).astype(int)
        mse = ((shown - pixels) ** 2).sum(axis=2).mean()
        assert 1 / 3 < mse / error_of_quality(quality) < 3


@pytest.mark.parametrize("kind", ["png", "webp", "gif", "auto"])
def test_a_size_is_kept_to_and_used(image, kind):
    alpha = image.ndim == 3 and image.shape[2] == 4
    fewest = 2 if alpha else 1  # clear and opaque
    if kind == "gif" and alpha:
        image = image.copy()
        image[:, :, 3] = np.where(image[:, :, 3] < 128, 0, 255)
    whole = quantize_to_size(image, 1 << 20, format=kind, optimize=1)
    assert len(whole.quantized.palette) == len(quantize(image, 256).palette)
    assert whole.lossy == 0
    least = len(quantize_to_size(image, 1 << 20, format=kind, optimize=1, K=fewest).data)
    before = math.inf
    for n_bytes in (least, 700):
        if n_bytes < least:
            continue
        found = quantize_to_size(image, n_bytes, format=kind, optimize=1)
        assert len(found.data) <= n_bytes
        assert decodes_to(found.data, found.quantized.palette, found.quantized.indices)
        plain = quantize_to_size(image, n_bytes, format=kind, optimize=1, lossy=0)
        assert plain.lossy == 0
        assert len(plain.data) <= n_bytes
        assert same(plain.quantized, quantize(image, len(plain.quantized.palette)))
        assert found.quantized.mse <= plain.quantized.mse <= before
        before = plain.quantized.mse
        shown = Image.open(io.BytesIO(found.data)).format.lower()
        assert shown == found.format
        assert kind in ("auto", shown)
    with pytest.raises(TargetNotMet, match="n_bytes: expected at least") as error:
        quantize_to_size(image, 1, format=kind, optimize=1)
    reached = error.value.reached
    assert reached == least if fewest == 1 else reached <= least
    assert len(quantize_to_size(image, reached, format=kind, optimize=1).data) == reached
    with pytest.raises(TargetNotMet, match=f"n_bytes: expected at least {reached}"):
        quantize_to_size(image, reached - 1, format=kind, optimize=1)


def test_what_a_smaller_file_shows_is_told(image):
    whole = quantize_to_size(image, 1 << 20, optimize=1)
    found = quantize_to_size(image, len(whole.data) // 2, optimize=1).quantized
    assert np.array_equal(np.bincount(found.indices.ravel()), found.counts)
    assert found.counts.min() > 0
    exact = quantize(image, palette=found.palette)
    assert found.mse >= exact.mse
    if image.ndim == 3 and image.shape[2] == 3:
        real = (image.astype(int) - found.to_array()) ** 2
        assert found.mse == pytest.approx(real.sum(axis=2).mean(), rel=1e-12)


def test_dithering_and_jpeg_are_sized_without_loss(image):
    dithered = quantize_to_size(image, 1500, dither="bayer", optimize=1)
    assert len(dithered.data) <= 1500
    assert dithered.lossy == 0
    K = len(quantize(image, 256).palette)
    for n in range(1, K + 1):
        if same(dithered.quantized, quantize(image, n, dither="bayer")):
            break
    else:
        pytest.fail("not what quantize gives")
    if image.ndim == 2 or image.shape[2] == 3:
        jpeg = quantize_to_size(image, 3000, format="jpg")
        assert len(jpeg.data) <= 3000
        assert jpeg.data[:2] == b"\xff\xd8"


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda i: quantize_auto(i, "2"), TypeError, "threshold: expected a number"),
        (lambda i: quantize_auto(i, -1), ValueError, "threshold: expected 0..100"),
        (lambda i: quantize_auto(i, math.nan), ValueError, "threshold"),
        (lambda i: quantize_auto(i, K=257), ValueError, "K: expected 1..256"),
        (lambda i: quantize_auto(i, init=[[0, 0, 0]]), TypeError, "init: expected a str"),
        (lambda i: quantize_auto(i, seed=-1), ValueError, "seed"),
        (lambda i: quantize_auto(i, dither="x"), ValueError, "dither"),
        (lambda i: quantize_auto(i, K=1, keep=["red", "blue"]), ValueError, "keep"),
        (lambda i: quantize_quality(i, 3.5), TypeError, "quality: expected an integer"),
        (lambda i: quantize_quality(i, (80, 60)), ValueError, "quality: expected low <= high"),
        (lambda i: quantize_quality(i, (80,)), ValueError, "quality"),
        (lambda i: quantize_quality(i, 101), ValueError, "quality: expected 0..100"),
        (lambda i: quantize_quality(i, "a-b"), ValueError, "quality: expected MIN-MAX"),
        (lambda i: quantize_to_size(i, "50K"), TypeError, "n_bytes: expected an integer"),
        (lambda i: quantize_to_size(i, 0), ValueError, "n_bytes: expected at least 1"),
        (lambda i: quantize_to_size(i, 99, format="tga"), ValueError, "format"),
        (lambda i: quantize_to_size(i, 99, lossy=21), ValueError, "lossy: expected 0..20"),
        (lambda i: quantize_to_size(i, 99, optimize=7), ValueError, "optimize"),
    ],
)
def test_impossible_arguments(call, error, match):
    with pytest.raises(error, match=match):
        call(np.zeros((2, 2, 3), np.uint8))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("65-80", (65, 80)),
        ("-80", (0, 80)),
        ("65-", (65, 100)),
        ("80", (72, 80)),
        ("0-100", (0, 100)),
        (" 7-7 ", (7, 7)),
        ("0", (0, 0)),
    ],
)
def test_qualities_as_text(text, expected):
    assert parse_quality(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "-", "80-65", "65-101", "101", "6 5-80", "65--80", "a", "--8", "\uff16\uff15"],
)
def test_no_qualities(text):
    with pytest.raises(ValueError, match=r"^quality: "):
        parse_quality(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50000", 50000),
        ("50K", 50000),
        ("50k", 50000),
        ("50KB", 50000),
        ("50Ki", 51200),
        ("50KiB", 51200),
        ("1.1M", 1100000),
        ("1.5mib", 1572864),
        (".5K", 500),
        ("2.K", 2000),
        ("7B", 7),
        ("1G", 10**9),
        ("1 K", 1000),
        ("40%", 400),
        ("12.5%", 125),
        ("0.15%", 1),
    ],
)
def test_sizes_as_text(text, expected):
    assert parse_size(text, 1000) == expected


@pytest.mark.parametrize(
    "text",
    ["", "K", "-5", "5X", "5i", "5iB", "1e3", "0", "0.4", "5%%", "5K%", ".", "\u0665"],
)
def test_no_sizes(text):
    with pytest.raises(ValueError, match=r"^size: "):
        parse_size(text, 1000)


def test_a_share_of_nothing():
    with pytest.raises(ValueError, match="nothing to take '40%' of"):
        parse_size("40%")


@pytest.mark.parametrize("parse", [parse_size, parse_quality])
def test_text_is_text(parse):
    with pytest.raises(TypeError, match="expected a str, got int"):
        parse(50)


@given(st.integers(0, 10**6), st.integers(0, 6), st.sampled_from(["", "K", "M", "Ki", "Mi"]))
def test_sizes_are_exact(number, places, unit):
    text = f"{number:0{places + 1}d}"
    text = text[: len(text) - places] + "." + text[len(text) - places :]
    factor = {"": 1, "K": 1000, "M": 10**6, "Ki": 1024, "Mi": 1 << 20}[unit]
    expected = math.floor(Fraction(number, 10**places) * factor)
    if expected:
        assert parse_size(text + unit) == expected
    else:
        with pytest.raises(ValueError, match="at least 1 byte"):
            parse_size(text + unit)
