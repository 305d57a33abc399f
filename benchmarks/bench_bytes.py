"""Bytes and MSE at equal K, against pngquant and oxipng: bench_bytes.py FOLDER [FOLDER ...].

Without dithering. pngquant --speed 1, then oxipng -o 4 (its Python module), is 1; each folder is
reported on its own, in the geometric mean. Then the whole command on one 1920x1280 picture.
"""

import argparse
import io
import math
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import oxipng
from numpy.typing import NDArray
from PIL import Image
from timing import in_turn, median_ratio, milliseconds, picture

from kmeans_c import quantize
from kmeans_c.encoding import encode
from kmeans_c.images import read_image
from kmeans_c.png import chained
from kmeans_c.rate import CODERS, smooth


def error(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """MSE; with transparency the mean of those over black and over white."""
    total = 0.0
    for ground in (0, 255):
        seen = []
        for pixels in (a, b):
            full = np.asarray(Image.fromarray(pixels).convert("RGBA")).astype(float)
            alpha = full[:, :, 3:] / 255
            seen.append(full[:, :, :3] * alpha + ground * (1 - alpha))
        total += float(((seen[0] - seen[1]) ** 2).sum(axis=2).mean()) / 2
    return total


def compare(path: Path, K: int, optimize: int, lossy: float, folder: str) -> list[float]:
    pixels = read_image(path).pixels
    source, target = Path(folder, "source.png"), Path(folder, "target.png")
    Image.fromarray(pixels).save(source, compress_level=1)
    run = ["pngquant", "--speed", "1", "--nofs", "-f", "-o", str(target), str(K), str(source)]
    subprocess.run(run, check=True)
    theirs = target.read_bytes()
    start = time.perf_counter()
    best = oxipng.optimize_from_memory(theirs, level=4)
    seconds_theirs = time.perf_counter() - start

    quantized = quantize(pixels, K)
    start = time.perf_counter()
    ours = encode(quantized.palette, quantized.indices, "png", optimize=optimize)
    seconds_ours = time.perf_counter() - start
    files = [(len(ours), 0.0)]
    palette, indices = chained(quantized.palette, quantized.indices)
    for coder in CODERS:
        smoothed, extra = smooth(pixels, palette, indices, lossy, coder=coder)
        mse = quantized.mse + extra / 4096 / indices.size
        loss = 10 * math.log10(mse / quantized.mse) if mse else 0.0
        files.append((len(encode(palette, smoothed, "png", optimize=optimize)), loss))
    smaller, loss = min(files)
    mse_theirs = error(pixels, read_image(io.BytesIO(best)).pixels)
    mse_ours = error(pixels, quantized.to_array())
    print(
        f"  {path.name[:40]:40} K={K:3} {len(best):8} bytes, {len(ours) / len(best):.3f}, lossy "
        f"{smaller / len(best):.3f} for {loss:.3f} dB; MSE {mse_theirs:.2f}, {mse_ours:.2f}",
        flush=True,
    )
    ratio = mse_ours / mse_theirs if mse_theirs and mse_ours else math.nan
    return [
        len(ours) / len(best),
        smaller / len(best),
        loss,
        ratio,
        seconds_ours / seconds_theirs,
    ]


def report(group: str, rows: list[list[float]]) -> None:
    bytes_ours, bytes_lossy, losses, mses, seconds = zip(*rows, strict=True)
    mses = [mse for mse in mses if not math.isnan(mse)]
    better = sum(mse < 1 for mse in mses)
    print(
        f"{group}: {statistics.geometric_mean(bytes_ours):.3f}x the bytes (goal 0.95), "
        f"{statistics.geometric_mean(mses):.3f}x the MSE (lower on {better} of {len(mses)}), "
        f"{statistics.geometric_mean(seconds):.1f}x oxipng's time; "
        f"lossy {statistics.geometric_mean(bytes_lossy):.3f}x (goal 0.88) for "
        f"{statistics.mean(losses):.3f} dB, at most {max(losses):.3f} (goal 0.1)"
    )


def whole_command(rounds: int) -> None:
    python = partial(subprocess.run, check=True, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "photo.png"), Path(folder, "out.png")
        Image.fromarray(picture(None, 1920, 1280)).save(source, compress_level=1)
        for K in (16, 256):
            ours = [sys.executable, "-m", "kmeans_c", str(source), "-qf", f"-k{K}", "-o"]
            theirs = ["pngquant", "-f", "-o", str(target), str(K), str(source)]
            a, b = in_turn(rounds, partial(python, [*ours, str(target)]), partial(python, theirs))
            print(
                f"the command at 1920x1280, K={K}: {milliseconds(a)}, pngquant at its default "
                f"speed {milliseconds(b)}: {median_ratio(b, a):.2f}x as long"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--colors", type=int, nargs="+", default=[16, 256])
    parser.add_argument("--optimize", type=int, default=4)
    parser.add_argument("--lossy", type=float, default=0.1)
    parser.add_argument("--every", type=int, default=1, help="take only every Nth picture")
    parser.add_argument("--max-pixels", type=int, default=2_200_000, help="skip larger ones")
    parser.add_argument("--rounds", type=int, default=7, help="of the whole command; 0: not")
    options = parser.parse_args()
    for source in options.folders:
        everything = []
        for K in options.colors:
            rows = []
            for path in sorted(source.iterdir())[:: options.every]:
                with Image.open(path) as image:
                    if image.width * image.height > options.max_pixels:
                        continue
                with tempfile.TemporaryDirectory() as folder:
                    rows.append(compare(path, K, options.optimize, options.lossy, folder))
            report(f"{source.name}, K={K}", rows)
            everything += rows
        report(source.name, everything)
    if options.rounds:
        whole_command(options.rounds)


if __name__ == "__main__":
    main()
