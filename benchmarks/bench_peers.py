"""`quantize` beside other quantizers, from the same decoded array: bench_peers.py.

    python benchmarks/bench_peers.py [--image FILE ...] [--width 3840] [--k 16,256] [--threads 1]
                                     [--seconds 12] [--only WORD ...]

Prints a table in Markdown: how many times longer than `quantize` each takes, and the MSE (mean over
the pixels of the squared RGB distance, summed over the channels) recomputed here from the palette
in bytes and the indices that each returns. Each peer and `quantize` run in turn, for as many rounds
as --seconds hold and for one at least; the medians of their ratios are printed, with several images
the medians over those. Peers that are not installed are listed. With ten megapixels the slowest
take minutes: --only takes those whose names hold a word. Set GOMP_SPINCOUNT=1000.
"""

import argparse
import importlib
import io
import math
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from timing import picture

import kmeans_c

ROUNDS = 15
ITERS = 10

Result = tuple[NDArray, NDArray]  # palette and indices
Call = Callable[[], object]  # a Result, a PNG that stands for it, or nothing


def ours(rgb: NDArray[np.uint8], K: int, threads: int) -> Call:
    def call() -> Result:
        result = kmeans_c.quantize(rgb, K, ITERS, n_threads=threads)
        return result.palette, result.indices

    return call


def pillow(rgb: NDArray[np.uint8], K: int, _threads: int, *, method: str) -> Call:
    image = Image.fromarray(rgb)

    def call() -> Result:
        done = image.quantize(K, Image.Quantize[method])
        return np.reshape(done.getpalette(), (-1, 3)), np.asarray(done)

    return call


def decoder(rgb: NDArray[np.uint8], _k: int, _threads: int) -> Call:
    """No quantizer: what it takes to have the pixels."""
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "JPEG", quality=92)
    return lambda: Image.open(file).load()


def scikit_learn(rgb: NDArray[np.uint8], K: int, threads: int, *, name: str, **options) -> Call:
    cluster = importlib.import_module("sklearn.cluster")
    limits = importlib.import_module("threadpoolctl").threadpool_limits
    X = rgb.reshape(-1, 3).astype(np.float32)

    def call() -> Result:
        with limits(threads), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ten rounds do not converge
            model = getattr(cluster, name)(K, random_state=0, n_init=1, **options).fit(X)
        return model.cluster_centers_, model.labels_

    return call


def opencv(rgb: NDArray[np.uint8], K: int, threads: int) -> Call:
    cv2 = importlib.import_module("cv2")
    cv2.setNumThreads(threads)
    X = rgb.reshape(-1, 3).astype(np.float32)

    def call() -> Result:
        cv2.setRNGSeed(0)
        rounds = (cv2.TERM_CRITERIA_MAX_ITER, ITERS, 0)
        _, labels, centers = cv2.kmeans(X, K, None, rounds, 1, cv2.KMEANS_RANDOM_CENTERS)
        return centers, labels

    return call


def faiss(rgb: NDArray[np.uint8], K: int, threads: int, *, every_pixel: bool) -> Call:
    library = importlib.import_module("faiss")
    library.omp_set_num_threads(threads)
    X = rgb.reshape(-1, 3).astype(np.float32)
    options = {"niter": ITERS, "max_points_per_centroid": len(X)} if every_pixel else {}

    def call() -> Result:
        model = library.Kmeans(3, K, seed=1, **options)
        model.train(X)
        return model.centroids, model.index.search(X, 1)[1]

    return call


def imagequant(rgb: NDArray[np.uint8], K: int, _threads: int) -> Call:
    library = importlib.import_module("imagequant")
    height, width, _ = rgb.shape
    rgba = np.dstack([rgb, np.full((height, width), 255, np.uint8)]).tobytes()

    def call() -> Result:
        indices, palette = library.quantize_raw_rgba_bytes(
            rgba, width, height, dithering_level=0.0, max_colors=K
        )
        return np.reshape(palette, (-1, 4))[:, :3], np.frombuffer(indices, np.uint8)

    return call


def pyvips(rgb: NDArray[np.uint8], K: int, _threads: int) -> Call:
    """Gives files only: a PNG that is not compressed, and not read within the time."""
    if K not in (2, 4, 16, 256):
        raise ImportError(f"K={K} is not a number of bits")
    library = importlib.import_module("pyvips")
    image = library.Image.new_from_array(rgb)
    options = {"palette": True, "bitdepth": (K - 1).bit_length(), "dither": 0, "compression": 0}
    return partial(image.pngsave_buffer, **options)


PEERS = {
    "(Pillow opening it as a JPEG)": decoder,
    "Pillow FASTOCTREE": partial(pillow, method="FASTOCTREE"),
    "Pillow MEDIANCUT": partial(pillow, method="MEDIANCUT"),
    "imagequant": imagequant,
    "pyvips, palette PNG": pyvips,
    "faiss Kmeans, defaults (a sample)": partial(faiss, every_pixel=False),
    "faiss Kmeans, 10 rounds of all pixels": partial(faiss, every_pixel=True),
    "scikit-learn MiniBatchKMeans": partial(scikit_learn, name="MiniBatchKMeans"),
    "scikit-learn KMeans, 10 rounds, random start": partial(
        scikit_learn, name="KMeans", init="random", max_iter=ITERS, tol=0, algorithm="lloyd"
    ),
    "OpenCV kmeans, 10 rounds, random start": opencv,
}


def mse(rgb: NDArray[np.uint8], result: object) -> float:
    """The same for all: palettes are rounded to bytes."""
    if isinstance(result, bytes):
        shown = np.asarray(Image.open(io.BytesIO(result)).convert("RGB"))
    elif isinstance(result, tuple):
        palette = np.clip(np.rint(result[0]), 0, 255).astype(np.uint8)
        shown = palette[result[1].reshape(rgb.shape[:2])]
    else:
        return math.nan
    rows = (a.astype(np.int32) - b for a, b in zip(rgb, shown, strict=True))
    return sum(int((row * row).sum()) for row in rows) / (rgb.size // 3)


def timed(call: Call) -> tuple[float, object]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def compare(rgb: NDArray[np.uint8], mine: Call, peer: Call, seconds: float) -> tuple[float, float]:
    """How many times longer the peer takes, and its MSE."""
    end = time.perf_counter() + seconds
    ratios = []
    result = None
    while len(ratios) <= ROUNDS and (len(ratios) < 1 or time.perf_counter() < end):
        own, _ = timed(mine)
        theirs, result = timed(peer)
        ratios.append(theirs / own)
    # The first round warms up, where there is another.
    return statistics.median(ratios[1:] or ratios), mse(rgb, result)


def table(
    images: list[NDArray[np.uint8]],
    peers: dict[str, Callable[..., Call]],
    ks: list[int],
    threads: int,
    seconds: float,
) -> None:
    cells: dict[str, list[str]] = {name: [] for name in ("quantize", *peers)}
    missing = {}
    for K in ks:
        calls = [ours(rgb, K, threads) for rgb in images]
        own = [mse(rgb, call()) for rgb, call in zip(images, calls, strict=True)]
        cells["quantize"] += ["1", f"{statistics.median(own):.1f}"]
        for name, make in peers.items():
            try:
                found = [
                    compare(rgb, mine, make(rgb, K, threads), seconds)
                    for rgb, mine in zip(images, calls, strict=True)
                ]
            except ImportError as error:
                missing[name] = str(error)
                cells[name] += ["-", "-"]
                continue
            ratios, errors = zip(*found, strict=True)
            above = statistics.median(e / o - 1 for e, o in zip(errors, own, strict=True))
            shown = f"{statistics.median(errors):.1f} ({above:+.1%})"
            cells[name] += [f"{statistics.median(ratios):.3g}", "" if math.isnan(above) else shown]
            print(f"K={K}, {name}: {ratios}", file=sys.stderr)
    print(f"| {threads} thread(s) |", *(f"K={K}: time | MSE |" for K in ks))
    print("|---|" + "---:|---:|" * len(ks))
    for name, row in cells.items():
        print(f"| {name} |", " | ".join(row), "|")
    for name, reason in missing.items():
        print(f"\nNot measured: {name} ({reason}).")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", nargs="+", default=[])
    parser.add_argument("--width", type=int, default=3840, help="of the picture without --image")
    parser.add_argument("--k", default="16,256")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--only", nargs="+", default=[""])
    options = parser.parse_args()
    for variable in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "VIPS_CONCURRENCY"):
        # Read by libraries that are imported later, and offer no argument.
        os.environ[variable] = str(options.threads)
    images = [as_rgb(path) for path in options.image] or [
        picture(None, options.width, options.width * 2 // 3)
    ]
    for rgb in images:
        print(f"{rgb.shape[1]} x {rgb.shape[0]}, {distinct(rgb)} colours", file=sys.stderr)
    peers = {n: p for n, p in PEERS.items() if any(word in n for word in options.only)}
    table(images, peers, [int(K) for K in options.k.split(",")], options.threads, options.seconds)


def as_rgb(path: str) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def distinct(rgb: NDArray[np.uint8]) -> int:
    return len(kmeans_c.Histogram().add(rgb))


if __name__ == "__main__":
    main()
