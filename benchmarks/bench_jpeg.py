"""JPEG to JPEG with every default: bytes, pixels that keep their entry, PSNR, time.

    python benchmarks/bench_jpeg.py [--palette-size 16] FOLDER|FILE ...

Every JPEG in the folders, known by its first bytes, is compressed as `kmeans-c FILE` does it. From
the file that is written three figures are taken: bytes as a share of the input's, the share of
pixels whose nearest palette entry is their own (of equals the first), and how much the PSNR to the
original is above that of the exact palette. Goals: every file is smaller than its input and holds
the picture of K colours, 0.90 of the pixels, -0.5 dB. Files that cannot be read are counted.
"""

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from metrics import mse
from PIL import Image

from kmeans_c import Palette, compress, quantize
from kmeans_c.images import read_image

START = b"\xff\xd8\xff"


def jpegs(sources: list[Path]) -> Iterator[Path]:
    """Yield the files that are JPEGs by their contents."""
    for source in sources:
        files = sorted(source.rglob("*")) if source.is_dir() else [source]
        for path in files:
            if path.is_file() and path.open("rb").read(3) == START and "bad" not in path.parts:
                yield path


def row(path: Path, K: int, target: Path) -> tuple[float, float, float] | None:
    """Print one file's figures; None where the original was kept."""
    start, cpu = time.perf_counter(), time.process_time()
    done = compress(path, target, K, overwrite=True)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    ratio = target.stat().st_size / path.stat().st_size if done.output else 1.0
    name = f"{path.name[:34]:34} {done.width:5}x{done.height:<5} {ratio:.3f}x"
    if done.kept_original:
        print(f"{name} kept as it is: {K} colours would take {done.bytes_encoded}", flush=True)
        return None
    original = read_image(path).pixels
    quantized = quantize(original, K)
    with Image.open(target) as image:
        shown = np.asarray(image.convert("RGB"))
    if original.ndim == 2:
        original = np.repeat(original[:, :, np.newaxis], 3, axis=2)
    share = float((Palette(quantized.palette).map(shown) == quantized.indices).mean())
    error = mse(original, shown)
    gain = 10 * math.log10(quantized.mse / error) if quantized.mse and error else math.nan
    print(
        f"{name} quality {done.jpeg_quality:3} {done.jpeg_subsampling or 'grey ':5} "
        f"share {share:.3f}, PSNR {gain:+.2f} dB, {seconds:.2f} s ({cpu:.2f} s of CPU)",
        flush=True,
    )
    assert share == done.share_kept
    assert math.isclose(error, done.mse)
    return ratio, share, gain


def main() -> None:
    """Print a table and the three figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--palette-size", type=int, default=16)
    options = parser.parse_args()
    rows, kept, unreadable = [], 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for path in jpegs(options.sources):
            try:
                figures = row(path, options.palette_size, Path(folder, "out.jpg"))
            except OSError as error:
                print(f"{path.name[:34]:34} not read: {error}", flush=True)
                unreadable += 1
                continue
            kept += figures is None
            rows += [] if figures is None else [figures]
    ratios, shares, gains = zip(*rows, strict=True)
    gains = [gain for gain in gains if not math.isnan(gain)]
    held = sum(ratio < 1 for ratio in ratios)
    print(
        f"{len(rows) + kept} JPEGs, and {unreadable} that are damaged: "
        f"{held} hold the K colours and are smaller ({100 * held / (len(rows) + kept):.1f} %), "
        f"{sum(ratio <= 0.8 for ratio in ratios)} by a fifth, {statistics.median(ratios):.3f}x the "
        f"bytes in the median"
    )
    print(
        f"share of pixels nearest to their own entry: {min(shares):.3f} at least, "
        f"{statistics.median(shares):.3f} in the median; below 0.90: "
        f"{sum(share < 0.9 for share in shares)}"
    )
    print(
        f"PSNR to the original less that of the exact palette: {min(gains):+.2f} dB at least, "
        f"{statistics.median(gains):+.2f} dB in the median; below -0.5 dB: "
        f"{sum(gain < -0.5 for gain in gains)}"
    )


if __name__ == "__main__":
    main()
