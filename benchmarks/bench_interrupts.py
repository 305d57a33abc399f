"""Measure how long the command takes to end after Ctrl-C or SIGTERM.

    python benchmarks/bench_interrupts.py [--times 300] [--within 1.0] [--megapixels 25]

Each run is interrupted at a random time: one file, two workers, and an importance map of so many
megapixels. Prints the exit codes, the runs with a traceback from this package (the start of Python
has its own), and the median, the 99th percentile and the longest of the times, beside the time of
``python -c pass``, which shows how busy the machine is.
"""

import argparse
import collections
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image


def photo(n_pixels: int) -> Image.Image:
    """Make waves with noise."""
    side = int(n_pixels**0.5)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    waves = np.stack([128 + 100 * np.sin(x / (40 + c)) * np.cos(y / 31) for c in range(3)], 2)
    noise = np.random.default_rng(3).integers(-9, 10, waves.shape, dtype=np.int8)
    return Image.fromarray((waves + noise).clip(0, 255).astype(np.uint8))


def interrupted(words: list[str], after: float, sent: int) -> tuple[int, bytes, float]:
    """Start the command, interrupt it as a terminal does, and time its end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "kmeans_c", *words],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    time.sleep(after)
    start = time.perf_counter()
    os.killpg(process.pid, sent)
    process.wait()
    seconds = time.perf_counter() - start
    _, err = process.communicate()
    return process.returncode, err, seconds


def main() -> None:
    """Print the distributions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=300)
    parser.add_argument("--within", type=float, default=1.0, help="seconds")
    parser.add_argument("--megapixels", type=int, default=25)
    options = parser.parse_args()
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chdir(folder)
        for number in range(4):
            photo(600_000).save(f"{number}.jpg", quality=90)
        large = photo(options.megapixels * 1_000_000)
        large.save("large.bmp")
        large.convert("L").save("mask.bmp")
        runs = {
            "one file": (["0.jpg", "-o", "out.png", "-f"], signal.SIGINT, options.within),
            "SIGTERM": (["0.jpg", "-o", "out.png", "-f"], signal.SIGTERM, options.within),
            "-j 2": (["-j2", "-d", "out", "-f", *(f"{n}.jpg" for n in range(4))], signal.SIGINT,
                     options.within),
            f"importance, {options.megapixels} Mpx": (
                ["large.bmp", "--importance", "mask.bmp", "-o", "out.png", "-f"], signal.SIGINT,
                4 * options.within),
        }  # fmt: skip
        for title, (words, sent, within) in runs.items():
            codes: collections.Counter[int] = collections.Counter()
            traces, times, starts = 0, [], []
            for _ in range(options.times):
                code, err, seconds = interrupted(words, rng.random() * within, sent)
                codes[code] += 1
                traces += b"kmeans_c/" in err
                times.append(seconds)
                start = time.perf_counter()
                subprocess.run([sys.executable, "-c", "pass"], check=True)
                starts.append(time.perf_counter() - start)
            left = len(list(folder.rglob(".kmeans-c-*")))
            print(
                f"{title}: codes {dict(codes)}, {traces} tracebacks, {left} temporary files; "
                f"median {np.median(times):.3f} s, 99 % {np.percentile(times, 99):.3f} s, "
                f"longest {max(times):.3f} s (python -c pass: median {np.median(starts):.3f} s, "
                f"longest {max(starts):.3f} s)",
                flush=True,
            )


if __name__ == "__main__":
    main()
