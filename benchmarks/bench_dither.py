"""Dithering: time a pixel, and what it does to pictures: bench_dither.py [--image FILE ...].

Processor time of one thread, so that a busy machine disturbs less; with two threads wall time.

Quality is against the original: "seen" is the mean Oklab distance x100 after both were blurred in
linear light (sigma 1.5 pixels: what an eye at a distance mixes), less is better; SSIM is of luma.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
from metrics import LIGHT, TO_LAB, TO_LMS
from numpy.typing import NDArray
from PIL import Image
from timing import picture

from kmeans_c import quantize
from kmeans_c.dithering import DITHERS, dither


def blurred(planes: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    reach = int(4 * sigma)
    kernel = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    kernel /= kernel.sum()
    for axis in (0, 1):
        padding = [(reach, reach) if a == axis else (0, 0) for a in range(planes.ndim)]
        wide = np.pad(planes, padding, mode="reflect")
        size = planes.shape[axis]
        planes = np.sum(
            [w * np.take(wide, range(i, i + size), axis) for i, w in enumerate(kernel)], axis=0
        )
    return planes


def seen(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Oklab (Ottosson 2020) of what is left after blurring in linear light."""
    return np.cbrt(blurred(LIGHT[rgb], 1.5) @ TO_LMS.T) @ TO_LAB.T


def ssim(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Wang et al. 2004, of Rec. 601 luma."""
    x, y = (v @ np.array([0.299, 0.587, 0.114]) for v in (a.astype(float), b.astype(float)))
    mx, my = blurred(x, 1.5), blurred(y, 1.5)
    vx, vy = blurred(x * x, 1.5) - mx * mx, blurred(y * y, 1.5) - my * my
    both = blurred(x * y, 1.5) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ratio = (2 * mx * my + c1) * (2 * both + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return float(ratio.mean())


def quality(images: Iterable[NDArray[np.uint8]]) -> None:
    figures: dict[tuple[int, str], list[tuple[float, float]]] = {}
    for image in images:
        original = seen(image)
        for K in (16, 64, 256):
            found = quantize(image, K)
            for method in DITHERS:
                indices = dither(image, found.palette, method, nearest=found.indices)
                shown = found.palette[indices]
                distance = 100 * np.sqrt(((seen(shown) - original) ** 2).sum(axis=-1)).mean()
                figures.setdefault((K, method), []).append((distance, ssim(image, shown)))
    for (K, method), rows in figures.items():
        distance, likeness = np.mean(rows, axis=0)
        print(f"K={K:3d} {method:16s} seen {distance:6.3f}   SSIM {likeness:.4f}")


def least(rounds: int, clock: Callable[[], float], call: Callable[[], object]) -> float:
    seconds = []
    for _ in range(rounds):
        start = clock()
        call()
        seconds.append(clock() - start)
    return min(seconds)


def times(rgb: NDArray[np.uint8], rounds: int) -> None:
    grey = np.ascontiguousarray(rgb[:, :, 1])
    faint = np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])
    faint[:, : rgb.shape[1] // 10, 3] = 128
    for name, pixels in (("RGB", rgb), ("RGBA", faint), ("grey", grey)):
        for K in (16, 256):
            found = quantize(pixels, K)
            palette = found.palette[:, :1] if pixels.ndim == 2 else found.palette
            row = []
            for method in DITHERS[1:]:
                call = partial(dither, pixels, palette, method, nearest=found.indices)
                one = least(rounds, time.process_time, partial(call, n_threads=1))
                two = least(rounds, time.perf_counter, partial(call, n_threads=2))
                row += [f"{method} {1e9 * one / grey.size:.1f} {1e9 * two / grey.size:.1f}"]
            print(f"{name:4s} K={K:3d} ns a pixel, 1 and 2 threads: {'; '.join(row)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", action="append", help="RGB photos or graphics")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--full", action="store_true", help="quality on whole images")
    options = parser.parse_args()
    photo = picture((options.image or [None])[0], 3840, 2560)
    times(photo, options.rounds)
    images = []
    for path in options.image or [Path(__file__).parents[1] / "examples" / "image.jpg"]:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        if not options.full:
            image.thumbnail((600, 600))
        images.append(np.asarray(image))
    quality(images)
    print(f"{len(images)} images; median width {statistics.median(i.shape[1] for i in images)}")


if __name__ == "__main__":
    main()
