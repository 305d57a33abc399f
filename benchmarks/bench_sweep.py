"""A sweep over K = 2..256 beside single calls, and targets met: bench_sweep.py [PICTURE ...].

Time, against one call of quantize, and MSE, against quantize at the same K, are of one photo at
1920x1280, on one thread; seconds are the processor's. Then for each picture: how far estimated
sizes are from real ones, and whether -Q, a size and a look are met where they can be.
"""

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from timing import picture

from kmeans_c import quantize
from kmeans_c.images import read_image
from kmeans_c.perceptual import differences
from kmeans_c.sweep import sweep
from kmeans_c.targets import (
    TargetNotMet,
    error_of_quality,
    quantize_auto,
    quantize_quality,
    quantize_to_size,
)

SAMPLED = (2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)


def processor_seconds(call: Callable[[], object], rounds: int) -> float:
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        call()
        seconds.append(time.process_time() - start)
    return min(seconds)


def whole_sweep(image: NDArray[np.uint8], name: str, rounds: int) -> None:
    one = processor_seconds(lambda: quantize(image, 16, n_threads=1), rounds)
    for sizes in ("estimate", "none"):
        whole = processor_seconds(lambda s=sizes: sweep(image, sizes=s, n_threads=1), rounds)
        print(
            f"{name}: K = 2..256, sizes={sizes}: {whole:.2f} s, {whole / one:.0f}x one quantize "
            f"of K = 16 ({1e3 * one:.0f} ms); {1e3 * whole / 255:.1f} ms a K (goal 3 s in all)"
        )
    rows = sweep(image, sizes="none")
    excess = [100 * (rows[K - 2].mse / quantize(image, K).mse - 1) for K in SAMPLED]
    print(
        f"  MSE above quantize's: {statistics.mean(excess):.2f} % in the mean, "
        f"{max(excess):.2f} % at most; "
        + ", ".join(f"K={K} {e:+.1f}" for K, e in zip(SAMPLED, excess, strict=True))
    )


def estimates(image: NDArray[np.uint8]) -> list[float]:
    Ks = (2, 4, 8, 16, 32, 64, 128, 256)
    real = sweep(image, Ks, sizes="png")
    pairs = zip(sweep(image, Ks), real, strict=True)
    return [100 * abs(row.bytes / exact.bytes - 1) for row, exact in pairs if row.K != 32]


def met(image: NDArray[np.uint8], score: Counter[str]) -> None:
    best = quantize(image, 256)
    found = quantize_auto(image)

    def alike(quantized: object) -> bool:
        seen = differences(image, quantized)
        return seen.mean <= 2 and seen.percentile(99) <= 6

    score["auto possible"] += alike(best)
    score["auto met"] += alike(best) and alike(found)
    for low, high in ((65, 80), (80, 90), (90, 98)):
        possible = best.mse <= error_of_quality(low)
        score["quality possible"] += possible
        try:
            quality = quantize_quality(image, (low, high))
            met = quality.mse <= error_of_quality(low)
            # As few as reach the highest that is wanted, or all there are.
            met &= quality.mse <= error_of_quality(high) or len(quality.palette) == len(
                best.palette
            )
            score["quality met"] += met
        except TargetNotMet:
            score["quality refused"] += not possible
    whole = quantize_to_size(image, 1 << 40)
    least = len(quantize_to_size(image, 1 << 40, K=1).data)
    for share in (0.75, 0.25, 0.05):
        n_bytes = int(share * len(whole.data))
        score["size possible"] += least <= n_bytes
        try:
            sized = quantize_to_size(image, n_bytes)
            score["size met"] += len(sized.data) <= n_bytes
            plain = quantize_to_size(image, n_bytes, lossy=0)
            score["size better with loss"] += sized.quantized.mse < plain.quantized.mse
        except TargetNotMet:
            score["size refused"] += least > n_bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", nargs="*", type=Path)
    parser.add_argument("--image", action="append", help="to time; default: the example")
    parser.add_argument("--rounds", type=int, default=3, help="of the timing; 0: not")
    options = parser.parse_args()
    if options.rounds:
        for name in options.image or [None]:
            image = picture(name, 1920, 1280)
            whole_sweep(image, Path(name).name if name else "example", options.rounds)
    score: Counter[str] = Counter()
    off: list[float] = []
    for path in options.pictures:
        image = read_image(path).pixels
        off += estimates(image)
        met(image, score)
        print(f"  {path.name[:50]}", flush=True)
    if off:
        cuts = statistics.quantiles(off, n=20)
        print(
            f"{len(options.pictures)} pictures; estimated sizes off by {cuts[9]:.1f} % in the "
            f"median, three quarters by at most {cuts[14]:.1f} %, 95 % by {cuts[18]:.1f} %"
        )
        print(", ".join(f"{name} {n}" for name, n in sorted(score.items())))


if __name__ == "__main__":
    main()
