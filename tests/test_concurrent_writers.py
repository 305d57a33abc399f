"""Arrays that other threads write to during a call: nothing crashes, and no index leaves its range.

What a call returns then is of no use, and it may raise ValueError. Each kind of call is repeated
for KMEANS_C_WRITERS_SECONDS, in turn at each SIMD level and with one and two threads; some faults
need a second or more to show.
"""

import itertools
import os
import threading
import time
import warnings
from contextlib import contextmanager

import numpy as np
import pytest

import kmeans_c
from kmeans_c import perceptual, rate
from kmeans_c._kernels import machine
from kmeans_c.threads import SIMD_LEVELS, SIMD_VARIABLE
from kmeans_c.views.preview import preview
from kmeans_c.views.report import report

SECONDS = float(os.environ.get("KMEANS_C_WRITERS_SECONDS", "0.02"))
LEVELS = [level for level in SIMD_LEVELS if SIMD_LEVELS.index(level) <= machine.cpu_level()]
WAYS = list(itertools.product(reversed(LEVELS), [2, 1]))
LEAST = 2  # calls
SIDE = 416  # pixels; so many are counted in tables, not sorted
ICON = 40
WRITERS = 2

FEW = np.array([[9, 9, 9, 255], [200, 30, 30, 255], [30, 200, 30, 0], [30, 30, 200, 99]], np.uint8)


def contents(shape, rng):
    """Two pictures to toggle between: one of few colours, one of as many as there are pixels."""
    channels = shape[2] if len(shape) == 3 else 1
    few = FEW[rng.integers(0, len(FEW), shape[:2]), :channels].reshape(shape)
    many = rng.integers(0, 256, shape, dtype=np.uint8)
    if channels == 4:
        # Few values of alpha, both ends among them, so that pixels change sides all the time.
        many[..., 3] = np.array([0, 255, 255, 128, 254, 1], np.uint8)[rng.integers(0, 6, shape[:2])]
    return few, many


@contextmanager
def written(array, states):
    """Let threads copy one state after the other, and parts of them, into the array."""
    end = threading.Event()

    def write(seed):
        rng = np.random.default_rng(seed)
        flat, sources = array.reshape(-1), [state.reshape(-1) for state in states]
        for turn in itertools.count(seed):
            if end.is_set():
                return
            source = sources[turn % len(sources)]
            if turn % 3:
                np.copyto(flat, source)
            else:
                a, b = np.sort(rng.integers(0, flat.size + 1, 2))
                flat[a:b] = source[a:b]
            time.sleep(0)

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(WRITERS)]
    for writer in writers:
        writer.start()
    try:
        yield
    finally:
        end.set()
        for writer in writers:
            writer.join()


@pytest.fixture
def repeat(monkeypatch):
    """Call again and again for SECONDS, with a number of threads; ValueError may be raised."""
    ways = itertools.cycle(WAYS)

    def repeated(call, check):
        stop = time.monotonic() + SECONDS
        for turn in itertools.count():
            if turn >= LEAST and time.monotonic() > stop:
                return
            level, n_threads = next(ways)
            monkeypatch.setenv(SIMD_VARIABLE, level)
            once(call, n_threads, check)

    return repeated


def once(call, n_threads, check):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # NaN among the points
            warnings.simplefilter("ignore", UserWarning)  # too few distinct points
            result = call(n_threads)
    except ValueError:
        return
    check(result)


def in_palette(result):
    assert result.indices.size
    assert int(result.indices.max()) < len(result.palette)
    assert (result.counts >= 0).all()
    assert result.mse >= 0


def below(n):
    def check(indices):
        assert int(indices.max()) < n
        assert int(indices.min()) >= 0

    return check


SHAPES = {1: (SIDE, SIDE), 3: (SIDE, SIDE, 3), 4: (SIDE, SIDE, 4)}
DITHERS = ("none", "floyd-steinberg", "adaptive", "bayer", "blue-noise")
FAST = {"ITERS": 1, "effort": "fast"}

# (channels, space, dither, K, what else)
QUANTIZED = [
    (channels, space, dither, K, extra)
    for channels, (space, dither), K, extra in itertools.product(
        (1, 3, 4),
        [("srgb", dither) for dither in DITHERS] + [("oklab", "none"), ("lab", "adaptive")],
        (16, 300),
        ("plain", "weights", "keep", "palette"),
    )
    if extra == "plain" or (K == 16 and dither in ("none", "bayer"))
]


@pytest.mark.parametrize(("channels", "space", "dither", "K", "extra"), QUANTIZED)
def test_quantize(channels, space, dither, K, extra, rng, repeat):  # noqa: PLR0917
    few, many = contents(SHAPES[channels], rng)
    pixels = few.copy()
    options = {
        "plain": {},
        "weights": {"weights": rng.integers(1, 9, SHAPES[channels][:2])},
        "keep": {"keep": ["#123456", "#654321"] if channels > 1 else ["#333333"]},
        "palette": {"palette": rng.permutation(4096).reshape(-1, 1) % [[251, 241, 239]]},
    }[extra]
    if extra == "palette":
        options["palette"] = np.unique(options["palette"], axis=0)[:: 4096 // K]

    def call(n_threads):
        return kmeans_c.quantize(
            pixels, K, space=space, dither=dither, n_threads=n_threads, **FAST, **options
        )

    with written(pixels, (few, many)):
        repeat(call, in_palette)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_large_palettes_of_all_colors(channels, rng, repeat):
    """As many entries as colours: all of them are known, or so it seems."""
    few, many = contents((ICON, ICON, channels) if channels > 1 else (ICON, ICON), rng)
    pixels = few.copy()
    with written(pixels, (few, many)):
        repeat(lambda n: kmeans_c.quantize(pixels, 65536, n_threads=n), in_palette)


@pytest.mark.parametrize("dither", ["none", "adaptive", "blue-noise"])
@pytest.mark.parametrize("space", ["srgb", "oklab"])
@pytest.mark.parametrize("K", [3, 1000])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_palette_map(channels, K, space, dither, rng, repeat):  # noqa: PLR0917
    few, many = contents(SHAPES[channels], rng)
    pixels = few.copy()
    colors = np.unique(rng.integers(1, 256, (K, 4), dtype=np.uint8), axis=0)
    palette = kmeans_c.Palette(colors[:, : max(channels, 3)])

    def call(n_threads):
        return palette.map(pixels, space=space, dither=dither, n_threads=n_threads)

    with written(pixels, (few, many)):
        # One more where a transparent entry is added for the pixels.
        repeat(call, below(len(palette) + (channels == 4)))


@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("side", [ICON, SIDE])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_histogram(channels, side, weighed, rng, repeat):
    shape = (side, side, channels) if channels > 1 else (side, side)
    few, many = contents(shape, rng)
    pixels = few.copy()
    weights = rng.integers(1, 9, shape[:2]) if weighed else None

    def check(histogram):
        assert (histogram.counts > 0).all()
        assert (np.diff(histogram.keys.astype(np.int64)) > 0).all()
        assert histogram.total >= (1 if weighed else side * side)
        kmeans_c.Palette.fit(histogram, 4, 1, effort="fast")

    with written(pixels, (few, many)):
        repeat(lambda n: kmeans_c.Histogram(channels).add(pixels, weights, n_threads=n), check)


HUGE = np.iinfo(np.int64).max


@pytest.mark.parametrize("kind", [np.int64, np.float64])
def test_weights_of_an_image(kind, rng, repeat):
    pixels = rng.integers(0, 64, (SIDE, SIDE, 3), dtype=np.uint8)
    good = np.ones((SIDE, SIDE), kind)
    bad = good.copy()
    bad[::2] = (
        [-1, 0, HUGE, 7] * (SIDE // 4)
        if kind is np.int64
        else [np.nan, -1, 0, np.inf] * (SIDE // 4)
    )
    weights = good.copy()
    with written(weights, (good, bad)):
        repeat(lambda _: kmeans_c.quantize(pixels, 8, weights=weights, **FAST), in_palette)


def test_weights_of_a_histogram(rng, repeat):
    pixels = rng.integers(0, 64, (SIDE, SIDE, 3), dtype=np.uint8)
    good = np.ones((SIDE, SIDE), np.int64)
    bad = good.copy()
    bad[::2] = [-1, 0, HUGE, 7] * (SIDE // 4)
    weights = good.copy()

    def check(histogram):
        assert (histogram.counts > 0).all()
        kmeans_c.Palette.fit(histogram, 4, 1, effort="fast")

    with written(weights, (good, bad)):
        repeat(lambda _: kmeans_c.Histogram(3).add(pixels, weights), check)


def rows_written(result):
    for row in result:
        assert len(row.palette)
        assert row.mse >= 0


CALLS = {
    "quantize_auto": (lambda a: kmeans_c.quantize_auto(a, ITERS=1), in_palette),
    "quantize_quality": (lambda a: kmeans_c.quantize_quality(a, "0-60", ITERS=1), in_palette),
    "quantize_to_size": (
        lambda a: kmeans_c.quantize_to_size(a, 2000, K=8, optimize=0, ITERS=1).quantized,
        in_palette,
    ),
    "sweep": (lambda a: kmeans_c.sweep(a, [2, 9, 40], optimize=0), rows_written),
    "sweep in oklab": (
        lambda a: kmeans_c.sweep(a, [2, 9], space="oklab", sizes="png", optimize=0),
        rows_written,
    ),
    "report": (lambda a: report(a, [4], **FAST), len),
}


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", CALLS)
def test_other_functions_of_an_image(name, channels, rng, repeat):
    call, check = CALLS[name]
    few, many = contents((96, 96, channels) if channels > 1 else (96, 96), rng)
    pixels = few.copy()
    with written(pixels, (few, many)):
        repeat(lambda _: call(pixels), check)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_results_that_are_written_to(channels, wide, rng, repeat):
    pixels = rng.integers(0, 256, (96, 96, channels), dtype=np.uint8)
    pixels = pixels[..., 0] if channels == 1 else pixels
    result = kmeans_c.quantize(pixels, 300 if wide and channels > 1 else 8, ITERS=1)
    good = result.indices.copy()
    calls = {
        "delta_e": lambda: kmeans_c.delta_e(pixels, result),
        "differences": lambda: perceptual.differences(pixels, result).percentile(50),
        "to_array": result.to_array,
        "preview": lambda: preview(pixels, result),
        "png": result._repr_png_,
    }
    if not wide:
        calls["to_pil"] = result.to_pil
        calls["smooth"] = lambda: rate.smooth(pixels, result.palette, result.indices)
    with written(result.indices, (good, np.full_like(good, np.iinfo(good.dtype).max))):
        for call in calls.values():
            repeat(lambda _, call=call: call(), lambda _: None)


K, N, D_SMALL, D_LARGE = 8, 6000, 3, 40


def in_clusters(result):
    centers, labels = result
    assert np.shape(centers)[0] == K
    below(K)(labels)


def points(dtype, columns, rng):
    if dtype == np.uint8:
        return [rng.integers(0, high, (N, columns), dtype=np.uint8) for high in (2, 256)]
    plain = rng.normal(size=(N, columns)).astype(dtype)
    broken = plain.copy()
    broken[::3] = [np.nan, np.inf, -np.inf, 1e38] * (columns // 4) + [np.nan] * (columns % 4)
    return [plain, broken]


@pytest.mark.parametrize("columns", [1, D_SMALL, D_LARGE])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_points(dtype, columns, rng, repeat):
    states = points(dtype, columns, rng)
    X = states[0].copy()
    start = rng.normal(size=(K, columns))
    labels = rng.integers(0, K, N)
    fitted = kmeans_c.KMeans(K, random_state=0, max_iter=2).fit(states[dtype == np.uint8] + 0.0)
    estimators = [
        kmeans_c.KMeans(K, init=init, n_init=1, max_iter=3, random_state=0)
        for init in ("random", "k-means++")
    ]
    calls = [
        (lambda n: kmeans_c.get_centroid_indices(X, start, n_threads=n), below(K)),
        (lambda n: kmeans_c.apply_k_means(X, start, 3, n_threads=n), in_clusters),
        (lambda n: (kmeans_c.get_centroid_values(X, labels, K, n_threads=n), labels), in_clusters),
        (lambda n: kmeans_c.initialize_centroids(X, K, seed=0, n_threads=n), len),
        (lambda n: kmeans_c.initialize_centroids(X, K, seed=0, init="k-means++", n_threads=n), len),
        (lambda _: fitted.predict(X), below(K)),
        (lambda _: fitted.transform(X), len),
        (lambda _: fitted.score(X), float),
    ]
    calls += [
        (lambda n, m=model: m.set_params(n_threads=n).fit(X).labels_, below(K))
        for model in estimators
    ]
    with written(X, states):
        for call, check in calls:
            repeat(call, check)


def test_sample_weights_and_labels(rng, repeat):
    X = rng.normal(size=(N, 3))
    good = np.ones(N)
    bad = good.copy()
    bad[::2] = [np.nan, -1, 0] * (N // 6)
    weights = good.copy()
    model = kmeans_c.KMeans(K, max_iter=3, random_state=0)
    with written(weights, (good, bad)):
        repeat(lambda _: model.fit(X, sample_weight=weights).labels_, below(K))
        repeat(lambda _: model.score(X, sample_weight=weights), float)
    labels = rng.integers(0, K, N)
    with written(labels, (labels.copy(), np.full(N, HUGE))):
        repeat(lambda _: kmeans_c.get_centroid_values(X, labels, K), len)


def test_centroids(rng, repeat):
    X = rng.normal(size=(N, 3))
    good = rng.normal(size=(K, 3))
    start = good.copy()
    with written(start, (good, np.full_like(good, np.nan))):
        repeat(lambda _: kmeans_c.get_centroid_indices(X, start), below(K))
        repeat(lambda _: kmeans_c.apply_k_means(X, start, 2), in_clusters)
