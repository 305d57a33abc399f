"""Assignment alone on 8-bit RGB, a level at a time, beside intrinsics: bench_assign.py [--cc CC].

The yardstick is compiled here with the C compiler that --cc names. Both take packed RGB and write
int32 labels.
"""

import argparse
import ctypes
import statistics
import subprocess
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from timing import in_turn, median_ratio

from kmeans_c._kernels import machine
from kmeans_c.lloyd import Points
from kmeans_c.threads import SIMD_LEVELS

N = 1 << 21
FLAGS = ["-O3", "-ffp-contract=off", "-shared", "-fPIC"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--cc", default="cc")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "yardstick.so")
        source = Path(__file__).with_name("yardstick.c")
        subprocess.run([options.cc, *FLAGS, str(source), "-o", str(library)], check=True)
        yardstick = ctypes.CDLL(str(library))
    X = np.random.default_rng(0).integers(0, 256, (N, 3)).astype(np.uint8)
    labels = np.empty(N, np.int32)
    for K in (16, 256):
        centroids = X[:K].astype(np.float64)
        relative = (centroids - 128).astype(np.float32)
        table = np.column_stack([(relative * relative).sum(axis=1), -2 * relative])
        table = np.ascontiguousarray(table, dtype=np.float32)
        for level, name in enumerate(SIMD_LEVELS[: machine.cpu_level() + 1]):
            points = Points(X, 1)
            points.level = level
            by_hand = partial(
                getattr(yardstick, f"yardstick_{name}"),
                ctypes.c_void_p(X.ctypes.data), ctypes.c_long(N),
                ctypes.c_void_p(table.ctypes.data), K, ctypes.c_void_p(labels.ctypes.data),
            )  # fmt: skip
            ours, theirs = in_turn(options.rounds, partial(points.nearest, centroids), by_hand)
            assert (points.nearest(centroids) == labels).all()
            ours_rate, their_rate = (N / statistics.median(t) / 1e6 for t in (ours, theirs))
            print(
                f"K={K:3d} {name:8s}: {ours_rate:6.0f} Mpx/s; intrinsics {their_rate:6.0f}; "
                f"{median_ratio(theirs, ours):.2f} of them"
            )


if __name__ == "__main__":
    main()
