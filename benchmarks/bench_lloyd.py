"""Exact Lloyd passes over a histogram: bench_lloyd.py [image ...] [--k 16,256] [--threads 1,2].

From k-means++ seeds ("seeds"), and from where 40 passes end ("near"), as after a search: ten passes
and a hundred; a pass from nothing; the assignment after rounding to 8 bits, in the old order and
sorted; and how many times faster the last of --threads is than the first. Times are the least of
--rounds rounds of processor time for one thread, of the clock for more: a busy machine only adds.
"""

import argparse
import time
from functools import partial

import numpy as np
from PIL import Image
from timing import picture

from kmeans_c import spaces
from kmeans_c._kernels.filtering import Tree
from kmeans_c.clustering import Clusters, display_order
from kmeans_c.histogram import Histogram
from kmeans_c.seeding import Draw


class Least:
    """The least milliseconds by name."""

    def __init__(self, clock):
        self.clock = clock
        self.times = {}

    def __call__(self, name, call):
        """Run something and keep how long it took."""
        start = self.clock()
        call()
        took = 1e3 * (self.clock() - start)
        self.times[name] = min(took, self.times.get(name, took))


def measured(clusters, histogram, seeds, n_threads, rounds):
    least = Least(time.thread_time if n_threads == 1 else time.perf_counter)
    K, D = seeds.shape
    level = clusters.level
    sums = np.empty((K, D + 1), np.int64)
    owners = np.empty(len(histogram), np.uint16)
    near = seeds.copy()
    Tree(histogram.keys, clusters.points, histogram.counts, 1, level).iterate(
        near, sums, 40, 1, level
    )
    for _ in range(rounds):
        for start, centroids in (("seeds", seeds.copy()), ("near", near.copy())):
            tree = Tree(histogram.keys, clusters.points, histogram.counts, n_threads, level)
            iterate = partial(tree.iterate, centroids, sums)
            least(f"{start}, 10 passes", partial(iterate, 10, n_threads, level))
            palette = spaces.nearest_colors(centroids, histogram.channels)
            least(f"{start}, 90 more", partial(iterate, 90, n_threads, level))
        order = display_order(palette)
        rounded = np.ascontiguousarray(spaces.coordinates(palette)[:, :K].T)
        fresh = Tree(histogram.keys, clusters.points, histogram.counts, n_threads, level)
        least("from nothing", partial(fresh.assign, rounded, sums, n_threads, level))
        renamed = np.argsort(order).astype(np.uint16)
        order16 = order.astype(np.uint16)
        least("rounded", partial(tree.assign, rounded, sums, n_threads, level, order16))
        least("labels", partial(tree.labels, owners, renamed, n_threads))
        in_order = np.ascontiguousarray(rounded[order])
        least("rounded, sorted", partial(tree.assign, in_order, sums, n_threads, level))
        least("worst", partial(tree.worst, n_threads))
    return least.times


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", nargs="*")
    parser.add_argument("--k", default="16,256")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for name in options.images or [None]:
        if name:
            with Image.open(name) as image:
                pixels = np.asarray(image.convert("RGB"))
        else:
            pixels = picture(None, 3840, 2560)
        histogram = Histogram().add(pixels)
        clusters = Clusters(histogram, 1)
        for K in map(int, options.k.split(",")):
            seeds = clusters.seeds(K, "k-means++", Draw(0))
            teams = [int(n) for n in options.threads.split(",")]
            times = [measured(clusters, histogram, seeds, n, options.rounds) for n in teams]
            print(f"{name or 'example'}: {len(histogram)} colours, K={K}, threads {teams}")
            for stage in times[0]:
                row = "  ".join(f"{t[stage]:8.2f} ms" for t in times)
                print(f"  {stage:18s} {row}  {times[0][stage] / times[-1][stage]:.2f}")
            for start in ("seeds", "near"):
                ten = times[0][f"{start}, 10 passes"]
                hundred = ten + times[0][f"{start}, 90 more"]
                print(f"  {start}: {ten / 10:.2f} ms a pass; a hundred {hundred / ten:.1f} of ten")


if __name__ == "__main__":
    main()
