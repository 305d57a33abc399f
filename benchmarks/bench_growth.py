"""How time and memory of `quantize` grow with pixels, colours, K and threads: bench_growth.py.

    python benchmarks/bench_growth.py [--image FILE] [--rounds 5] [--megapixels 100]

Each case runs in a process of its own. Memory is what the process needs at its peak beyond the
pixels and the indices (Linux only). Prints tables in Markdown. Set GOMP_SPINCOUNT=1000.
"""

import argparse
import ctypes
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from timing import picture

import kmeans_c

WIDTH, HEIGHT = 3840, 2560
STATUS = Path("/proc/self/status")
HEADER = "time (ms) | ns a pixel | memory (MiB) |\n|---:|---:|---:|---:|---:|"


@dataclass
class Case:
    """One point of a curve."""

    image: str | None
    rounds: int
    megapixels: float = 9.8  # the photos' size
    bits: int = 8  # of each channel; 9: colours at random
    K: int = 16
    threads: int = 1


@dataclass
class Measured:
    """What it took, the median of the rounds."""

    colors: int
    pixels: int
    seconds: float
    bytes: float

    def __str__(self) -> str:
        nanoseconds = 1e9 * self.seconds / self.pixels
        return f"{1e3 * self.seconds:.2f} | {nanoseconds:.2f} | {self.bytes / 2**20:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megapixels", type=float, default=100, help="where the first curve ends")
    options = parser.parse_args()
    common = {"image": options.image, "rounds": options.rounds}

    for K in (16, 256):
        print(f"\n| megapixels, K={K} | colours |", HEADER)
        for megapixels in (0.1, 0.4, 1.6, 6.4, 25.6, 100):
            if megapixels <= options.megapixels:
                done = measured(Case(**common, megapixels=megapixels, K=K))
                print(f"| {megapixels} | {done.colors} | {done}")

    for K in (16, 256):
        print(f"\n| bits a channel, K={K} | colours |", HEADER)
        for bits in range(3, 10):
            done = measured(Case(**common, bits=bits, K=K))
            print(f"| {bits if bits < 9 else 'random'} | {done.colors} | {done}")

    print("\n| K | colours |", HEADER)
    for K in (2, 4, 8, 16, 32, 64, 128, 256):
        done = measured(Case(**common, K=K))
        print(f"| {K} | {done.colors} | {done}")

    print("\n| K | 1 thread (ms) | 2 threads (ms) | times faster |\n|---:|---:|---:|---:|")
    for K in (16, 256):
        one, two = (measured(Case(**common, K=K, threads=n)).seconds for n in (1, 2))
        print(f"| {K} | {1e3 * one:.2f} | {1e3 * two:.2f} | {one / two:.2f} |")


def measured(case: Case) -> Measured:
    """In a new process: neither memory nor threads are left of the case before."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, case).result()


def measure(case: Case) -> Measured:
    pixels = grown(case)
    quantize = kmeans_c.quantize
    quantize(pixels[:64, :64], 2, n_threads=case.threads)  # what is loaded at the first call
    before = settled()
    held = quantize(pixels, case.K, n_threads=case.threads).indices.nbytes
    extra = resident("VmHWM") - before - held
    seconds = []
    for _ in range(case.rounds):
        start = time.perf_counter()
        quantize(pixels, case.K, n_threads=case.threads)
        seconds.append(time.perf_counter() - start)
    colors = len(kmeans_c.Histogram().add(pixels))
    return Measured(colors, pixels.size // 3, statistics.median(seconds), extra)


def grown(case: Case) -> NDArray[np.uint8]:
    """The picture with so many pixels and colours; beyond its own size tiled, with noise."""
    size = WIDTH, HEIGHT
    if case.image:
        with Image.open(case.image) as opened:
            size = opened.size
    scale = (case.megapixels * 1e6 / (size[0] * size[1])) ** 0.5
    width, height = (round(side * scale) for side in size)
    rng = np.random.default_rng(0)
    if case.bits == 9:
        return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    base = picture(case.image, *size)
    if scale <= 1:
        # Pixels are left out and low bits cleared: no colour comes in that was not there.
        small = Image.fromarray(base).resize((width, height), Image.Resampling.NEAREST)
        return np.asarray(small) & np.uint8(256 - (1 << 8 - case.bits))
    out = np.empty((height, width, 3), np.uint8)
    for y in range(height):
        row = np.resize(base[y % len(base)], (width, 3)).astype(np.int16)
        out[y] = np.clip(row + rng.integers(-3, 4, row.shape, np.int8), 0, 255)
    return out


def resident(name: str) -> float:
    """Bytes of this process's memory, now (VmRSS) or at its peak (VmHWM)."""
    if not STATUS.exists():
        return float("nan")
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])


def settled() -> float:
    """Give back what the allocator keeps of the picture's making, and begin a new peak."""
    if STATUS.exists():
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim:
            trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


if __name__ == "__main__":
    main()
