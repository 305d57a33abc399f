"""Limits are checked before the work: the impossible is refused at once.

A view may have far more elements than there is memory. A minute for what should take milliseconds
is a generous bound; a process of its own ends what would not end.
"""

import importlib
import io
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import kmeans_c
from kmeans_c import encoding
from kmeans_c.animation import compress as animation_compress
from kmeans_c.animation.compress import compress_animation

GENEROUS = 60.0  # seconds

HEAD = """
import numpy as np
import kmeans_c
from numpy.lib.stride_tricks import as_strided

pixel = np.zeros((1, 1, 4), np.uint8)
grey, rgb, rgba = (
    np.broadcast_to(pixel[..., 0], (1 << 30, 1 << 30)),
    np.broadcast_to(pixel[..., :3], (1 << 30, 1 << 30, 3)),
    np.broadcast_to(pixel, (1 << 30, 1 << 30, 4)),
)
floats = as_strided(np.zeros((1, 1)), (1 << 46, 3), (0, 0))
narrow = as_strided(np.zeros((1, 1), np.float32), (1 << 46, 3), (0, 0))
bytes_ = as_strided(np.zeros((1, 1), np.uint8), (1 << 46, 3), (0, 0))
ones = np.broadcast_to(np.uint8(1), (1 << 30, 1 << 30))
small = np.zeros((4, 5, 3), np.uint8)
X = np.arange(60.0).reshape(20, 3)
C = X[:2]
palette = kmeans_c.Palette([[0, 0, 0], [255, 255, 255]])
found = kmeans_c.quantize(small, 2)
model = kmeans_c.KMeans(2, random_state=0).fit(X)

def told(call):
    try:
        call()
    except (ValueError, MemoryError) as error:
        print(type(error).__name__, error)
    else:
        raise SystemExit("no error")

"""

GIANTS = {
    f"Histogram.add of {name}": f"kmeans_c.Histogram({channels}).add({name})"
    for name, channels in (("grey", 1), ("rgb", 3), ("rgba", 4))
}
GIANTS |= {
    "Histogram.add with weights": "kmeans_c.Histogram(3).add(rgb, ones)",
    "Histogram.add of colours": "kmeans_c.Histogram(3).add(small.reshape(-1, 3), ones)",
}
for name in ("grey", "rgb", "rgba"):
    GIANTS |= {
        f"quantize of {name}": f"kmeans_c.quantize({name})",
        f"quantize of {name} to a palette": f"kmeans_c.quantize({name}, palette=palette)",
        f"Palette.map of {name}": f"palette.map({name})",
        f"sweep of {name}": f"kmeans_c.sweep({name})",
        f"quantize_auto of {name}": f"kmeans_c.quantize_auto({name})",
        f"quantize_to_size of {name}": f"kmeans_c.quantize_to_size({name}, 1000)",
        f"delta_e of {name}": f"kmeans_c.delta_e({name}, found)",
    }
GIANTS |= {
    "weights": "kmeans_c.quantize(small, weights=ones)",
    "keep": "kmeans_c.quantize(small, keep=np.broadcast_to(small[0, :1], (1 << 50, 3)))",
    "init": "kmeans_c.quantize(small, init=np.broadcast_to(X[:1], (1 << 50, 3)))",
    "palette": "kmeans_c.quantize(small, palette=np.broadcast_to(small[0, :1], (1 << 50, 3)))",
    "Palette": "kmeans_c.Palette(np.broadcast_to(small[0, :1], (1 << 50, 3)))",
    "counts of a Palette": "kmeans_c.Palette([[1, 2, 3]], np.broadcast_to(1, (1 << 50,)))",
    "centroids": "kmeans_c.apply_k_means(X, floats)",
    "indices": "kmeans_c.get_centroid_values(X, np.broadcast_to(1, (1 << 50,)), 2)",
    "init of KMeans": "kmeans_c.KMeans(2, init=floats).fit(X)",
    "sample_weight": "model.fit(X, sample_weight=np.broadcast_to(1.0, (1 << 50,)))",
    "sample_weight of score": "model.score(X, sample_weight=np.broadcast_to(1, (1 << 50,)))",
}
for name in ("floats", "narrow", "bytes_"):
    GIANTS |= {
        f"initialize_centroids of {name}": f"kmeans_c.initialize_centroids({name}, 2)",
        f"get_centroid_indices of {name}": f"kmeans_c.get_centroid_indices({name}, C)",
        f"get_centroid_values of {name}": f"kmeans_c.get_centroid_values({name}, [0], 1)",
        f"apply_k_means of {name}": f"kmeans_c.apply_k_means({name}, C)",
        f"KMeans of {name}": f"kmeans_c.KMeans(2).fit({name})",
        f"predict of {name}": f"model.predict({name})",
    }


def test_views_that_are_larger_than_memory():
    script = HEAD + "".join(f"told(lambda: {call})\n" for call in GIANTS.values())
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        capture_output=True,
        text=True,
        timeout=2 * GENEROUS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == len(GIANTS)
    assert time.monotonic() - start < GENEROUS
    assert "pixels: expected at most 2^47" in done.stdout.splitlines()[0]


def test_a_histogram_takes_all_or_nothing():
    histogram = kmeans_c.Histogram(3).add(np.zeros((1, 3), np.uint8), np.array([1 << 47]))
    before = histogram.total
    with pytest.raises(ValueError, match=r"^pixels: expected at most 2\^47 in one Histogram"):
        histogram.add(np.ones((1, 3), np.uint8))
    with pytest.raises(ValueError, match=r"^pixels: expected at most 2\^47 in one Histogram"):
        histogram.merge(kmeans_c.Histogram(3).add(np.ones((1, 3), np.uint8)))
    with pytest.raises(ValueError, match=r"^weights: expected 0\.\.2\^47"):
        histogram.add(np.ones((2, 3), np.uint8), np.array([1, -1]))
    assert (histogram.total, len(histogram)) == (before, 1)
    assert histogram.counts.tolist() == [1 << 47]


# ---- what a format can't hold


@pytest.fixture
def no_work(monkeypatch):
    """Fail if colours are looked for or counted."""

    def refused(*_args, **_options):
        raise AssertionError("work before the check")

    monkeypatch.setattr("kmeans_c.still.quantize", refused)
    monkeypatch.setattr("kmeans_c.targets.CountedImage", refused)
    monkeypatch.setattr(animation_compress, "quantize_animation", refused)


TOO_LONG = {"webp": 16384, "jpeg": 65501, "gif": 65536, "ico": 257}


def png(width, height):
    data = io.BytesIO()
    Image.fromarray(np.arange(width * height, dtype=np.uint8).reshape(height, width)).save(
        data, "png"
    )
    return data


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("kind", TOO_LONG)
@pytest.mark.parametrize("options", [{}, {"K": "auto"}, {"target_size": 999}, {"quality": "80"}])
def test_an_image_that_is_too_long_for_its_format(options, kind, upright, tmp_path):
    side = TOO_LONG[kind]
    width, height = (1, side) if upright else (side, 1)
    target = tmp_path / f"x.{kind}"
    with pytest.raises(ValueError, match=rf"^format: {kind} images have at most {side - 1} pixels"):
        kmeans_c.compress(png(width, height), target, **options)
    with pytest.raises(ValueError, match=rf"^format: {kind} images have at most {side - 1} pixels"):
        kmeans_c.quantize_to_size(np.zeros((height, width), np.uint8), 999, format=kind)
    assert not target.exists()


@pytest.mark.parametrize("kind", TOO_LONG)
def test_a_result_that_is_too_long_for_its_format(kind, monkeypatch):
    quantized = kmeans_c.quantize(np.zeros((1, TOO_LONG[kind]), np.uint8), 2)
    monkeypatch.setattr(encoding, "used", None)
    with pytest.raises(ValueError, match=rf"^format: {kind} images have at most"):
        quantized.save(io.BytesIO(), kind)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("kind", ["jpeg", "bmp"])
@pytest.mark.parametrize("options", [{}, {"K": "auto"}, {"target_size": 9999}, {"K": 2}])
def test_transparency_that_a_format_does_not_hold(options, kind, tmp_path):
    pixels = np.full((9, 9, 4), 255, np.uint8)
    pixels[4, 4] = 0
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "png")
    with pytest.raises(ValueError, match=rf"^format: {kind} holds no transparency"):
        kmeans_c.compress(data, tmp_path / f"x.{kind}", **options)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(("kind", "side"), [("gif", 65536), ("webp", 16385)])
def test_an_animation_that_is_too_long_for_its_format(kind, side, tmp_path):
    data = io.BytesIO()
    frames = [Image.fromarray(np.full((side, 1), value, np.uint8)) for value in (0, 255)]
    frames[0].save(data, "png", save_all=True, append_images=frames[1:])
    for call in (compress_animation, kmeans_c.compress):
        with pytest.raises(ValueError, match=rf"^format: {kind} images have at most"):
            call(data, tmp_path / f"x.{kind}")


def test_a_large_image_is_refused_in_no_time(tmp_path):
    """Eight megapixels: to quantize and encode them takes seconds."""
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (16400, 500), dtype=np.uint8)).save(
        tmp_path / "a.png", compress_level=0
    )
    start = time.process_time()
    with pytest.raises(ValueError, match=r"^format: webp images have at most"):
        kmeans_c.compress(tmp_path / "a.png", tmp_path / "a.webp", 256, optimize=6)
    assert time.process_time() - start < 5


# ---- what is no number


def test_objects_that_are_no_numbers():
    words = np.array([["a", "b"], ["c", "d"]], object)
    for data, error in ((words, ValueError), (np.full((3, 2), {}), TypeError)):
        for call in (kmeans_c.KMeans(2).fit, kmeans_c.KMeans(2).fit_transform):
            with pytest.raises(error, match=r"^X: "):
                call(data)
    image = np.zeros((4, 4, 3), object)
    for call in (kmeans_c.quantize, kmeans_c.sweep, kmeans_c.Histogram(3).add):
        with pytest.raises(TypeError, match=r"^(image|pixels): expected "):
            call(image)
    plain = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(TypeError, match=r"^weights: expected numbers"):
        kmeans_c.quantize(plain, weights=np.full((4, 4), None))
    with pytest.raises(TypeError, match=r"^weights: expected integers"):
        kmeans_c.Histogram(3).add(plain, np.full((4, 4), None))


@pytest.mark.parametrize("shape", [(), (4,), (5, 4), (4, 5, 1), (4, 5, 3)], ids=str)
def test_weights_of_the_wrong_shape_come_first(shape, monkeypatch):
    # The function of that name hides the module.
    monkeypatch.setattr(importlib.import_module("kmeans_c.quantize"), "Histogram", None)
    with pytest.raises(ValueError, match=r"^weights: expected shape \(4, 5\)"):
        kmeans_c.quantize(np.zeros((4, 5, 3), np.uint8), weights=np.full(shape, np.nan))
