"""What each working space is worth to the eye: bench_perceptual.py.

    python benchmarks/bench_perceptual.py FOLDER_OR_IMAGE ... [--k 16,64,256] [--iters 10]

Prints a table in Markdown, a row for each space and K, of means over the images: the mean over an
image's pixels of the Euclidean distance in Oklab, times 100 (dE); the mean squared error in sRGB;
and the time of `quantize` as a multiple of that with space="srgb", in turn, median over the
images. Errors are recomputed here in float64 from the palette's bytes and the indices. k-means
makes the squared distance small, not the distance.
"""

import argparse
import statistics
from functools import partial
from pathlib import Path

import numpy as np
from metrics import mse, oklab
from numpy.typing import NDArray
from PIL import Image
from timing import in_turn, median_ratio

import kmeans_c
from kmeans_c.spaces import SPACES

ROUNDS = 3


def errors(image: NDArray[np.uint8], found: kmeans_c.Quantized) -> tuple[float, float]:
    """The mean Oklab distance times 100, and the MSE."""
    apart = oklab(image) - oklab(found.palette)[found.indices]
    return 100 * float(np.sqrt((apart**2).sum(axis=2)).mean()), mse(image, found.to_array())


def images(paths: list[Path]) -> list[NDArray[np.uint8]]:
    """All that Pillow reads, as RGB."""
    files = [
        file
        for path in paths
        for file in (sorted(path.iterdir()) if path.is_dir() else [path])
        if file.suffix.lower() in Image.registered_extensions()
    ]
    arrays = []
    for file in files:
        with Image.open(file) as opened:
            arrays.append(np.asarray(opened.convert("RGB")))
    return arrays


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--k", default="16,64,256")
    parser.add_argument("--iters", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    arrays = images(options.paths)
    print(f"{len(arrays)} images\n\n| K | space | dE x100 | MSE | time |\n|--:|---|--:|--:|--:|")
    for K in map(int, options.k.split(",")):
        rows: dict[str, list[tuple[float, float, float]]] = {space: [] for space in SPACES}
        for image in arrays:
            quantize = partial(
                kmeans_c.quantize, image, K, options.iters, n_threads=options.threads
            )
            calls = [partial(quantize, space=space) for space in SPACES]
            seconds = in_turn(ROUNDS, *calls)
            for space, call, row in zip(SPACES, calls, seconds, strict=True):
                rows[space].append((*errors(image, call()), median_ratio(row, seconds[0])))
        for space, found in rows.items():
            apart, squared, times = zip(*found, strict=True)
            print(
                f"| {K} | {space} | {statistics.mean(apart):.3f} | {statistics.mean(squared):.2f} "
                f"| {statistics.median(times):.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
