"""Time each stage of the colour engine: count, cluster (its parts), map.

    python benchmarks/bench_stages.py [image ...] [--k 16,256] [--threads 1,2] [--repeat 9]

Without images, a synthetic one of 3840x2560 with some hundred thousand colours. Prints medians;
every stage of a repetition runs before the next repetition begins, so that a busy machine
disturbs all alike. Set GOMP_SPINCOUNT=1000.
"""

import argparse
import statistics
import time

import numpy as np
from PIL import Image

from kmeans_c import spaces, threads
from kmeans_c._kernels.filtering import Tree
from kmeans_c.clustering import Clusters, fit
from kmeans_c.histogram import Histogram
from kmeans_c.mapping import PaletteMap
from kmeans_c.method import as_method
from kmeans_c.seeding import Draw


def synthetic(height=2560, width=3840):
    """A smooth picture with grain: blurred noise at three scales."""
    rng = np.random.default_rng(1)
    picture = np.zeros((height, width, 3))
    for cells, strength in ((4, 90), (24, 40), (320, 14)):
        small = rng.normal(0, strength, (cells, cells, 3))
        for channel in range(3):
            layer = Image.fromarray(small[..., channel].astype(np.float32))
            picture[..., channel] += np.asarray(
                layer.resize((width, height), Image.Resampling.BICUBIC)
            )
    picture += rng.normal(0, 2, (height, width, 1))
    return np.clip(picture + 120, 0, 255).astype(np.uint8)


class Clock:
    """Times by name."""

    def __init__(self):
        self.times = {}

    def __call__(self, name, function):
        """Run a function and keep how long it took."""
        start = time.perf_counter()
        result = function()
        self.times.setdefault(name, []).append(time.perf_counter() - start)
        return result

    def milliseconds(self, name):
        """Return the median."""
        return 1e3 * statistics.median(self.times[name])


def run(clock, pixels, K, n_threads):
    level = threads.simd_level()
    histogram = clock("count", lambda: Histogram().add(pixels, n_threads=n_threads))
    colors = clock("colors", lambda: histogram.colors)
    points = clock("coordinates", lambda: spaces.coordinates(colors))
    tree = clock("tree", lambda: Tree(histogram.keys, points, histogram.counts, n_threads, level))
    clusters = Clusters(histogram, n_threads)
    seeds = clock("seeds", lambda: clusters.seeds(K, "k-means++", Draw(0)))
    sums = np.empty((len(seeds), 4), np.int64)
    for passes in (10, 90):
        clock(
            f"next {passes} passes", lambda n=passes: tree.iterate(seeds, sums, n, n_threads, level)
        )
    full = Tree(histogram.keys, points, histogram.counts, n_threads, level)
    full.assign(seeds, sums, n_threads, level)
    clock("a pass", lambda: full.iterate(seeds, sums, 1, n_threads, level))
    method = as_method(K, init="search", effort="balanced", space="srgb", keep=None, seed=0)
    found = clock(
        "fit in all",
        lambda: fit(histogram, K, 10, method, n_threads=n_threads),
    )
    clock("map", lambda: PaletteMap(found.palette).map(pixels, n_threads=n_threads))
    learnt = PaletteMap(found.palette)
    clock("learn", lambda: learnt.learn(histogram, found.owners, n_threads=n_threads))
    clock("map, learnt", lambda: learnt.map(pixels, n_threads=n_threads))
    return len(histogram)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", nargs="*")
    parser.add_argument("--k", default="16,256")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--repeat", type=int, default=9)
    arguments = parser.parse_args()
    for name in arguments.images or ["synthetic"]:
        pixels = np.asarray(Image.open(name).convert("RGB")) if arguments.images else synthetic()
        n = pixels.size // 3
        for K in map(int, arguments.k.split(",")):
            for n_threads in map(int, arguments.threads.split(",")):
                clock = Clock()
                for _ in range(arguments.repeat):
                    colors = run(clock, pixels, K, n_threads)
                print(f"{name}: {n} pixels, {colors} colours, K={K}, {n_threads} thread(s)")
                for stage in clock.times:
                    ms = clock.milliseconds(stage)
                    print(f"  {stage:<16} {ms:9.2f} ms {1e6 * ms / n:7.2f} ns/pixel", end="")
                    print(f" {1e6 * ms / colors:9.2f} ns/colour")


if __name__ == "__main__":
    main()
