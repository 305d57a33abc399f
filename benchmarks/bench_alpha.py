"""Both ends of alpha, and what keeping them costs: bench_alpha.py.

    python benchmarks/bench_alpha.py FOLDER_OR_IMAGE ... [--against CHECKOUT] [--space SPACE]

Of all pictures with transparency: how many pixels of alpha 255 or 0 another alpha shows for, and
the mean squared error, over black and over white. With --against, the same of another checkout of
this package, built in place, and the ratios of the errors and of the processor times.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import kmeans_c

KS = (4, 16, 64, 256)
MOST_PIXELS = 1 << 22  # of a picture that is looked at


def pictures(paths: list[str]) -> list[Path]:
    files = [p for path in map(Path, paths) for p in (path.rglob("*") if path.is_dir() else [path])]
    return sorted(file for file in files if file.is_file())


def pixels_of(path: Path) -> NDArray[np.uint8] | None:
    """RGBA pixels of a picture with transparency."""
    try:
        with Image.open(path) as image:
            if image.width * image.height > MOST_PIXELS:
                return None
            pixels = np.asarray(image.convert("RGBA"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return pixels if (pixels[..., 3] < 255).any() else None


def error(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """The mean over the pixels of the squared distances over black and over white, halved."""
    total = 0.0
    for one, other in zip(a, b, strict=True):
        (x, p), (y, q) = ((v[:, :3].astype(float), v[:, 3:] / 255) for v in (one, other))
        black = x * p - y * q
        white = black - 255 * (p - q)
        total += float((black * black + white * white).sum()) / 2
    return total / (a.shape[0] * a.shape[1])


def measured(path: Path, space: str) -> list[dict[str, Any]]:
    """For each K: changed pixels, the error, and the processor time of the faster of two runs."""
    pixels = pixels_of(path)
    if pixels is None:
        return []
    rows = []
    for K in KS:
        seconds = []
        for _ in range(2):
            start = time.process_time()
            result = kmeans_c.quantize(pixels, K, space=space, n_threads=1)
            seconds.append(time.process_time() - start)
        shown = result.to_array()
        if shown.shape[2] == 3:
            shown = np.dstack([shown, np.full(shown.shape[:2], 255, np.uint8)])
        ends = (pixels[..., 3] == 255) | (pixels[..., 3] == 0)
        changed = int((ends & (shown[..., 3] != pixels[..., 3])).sum())
        rows.append(
            {
                "name": path.name,
                "K": K,
                "changed": changed,
                "error": error(pixels, shown),
                "seconds": min(seconds),
            }
        )
    return rows


def measured_by(checkout: str, files: list[Path], space: str) -> list[dict[str, Any]]:
    """The same by another checkout."""
    command = [sys.executable, __file__, *map(str, files), "--space", space, "--json"]
    environment = {**os.environ, "PYTHONPATH": checkout}
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    warnings.simplefilter("ignore")  # Pillow's, of odd files
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--against")
    parser.add_argument("--space", default="srgb")
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    files = pictures(options.paths)
    ours = [row for file in files for row in measured(file, options.space)]
    if options.json:
        print(json.dumps(ours))
        return
    theirs = measured_by(options.against, files, options.space) if options.against else ours
    found: dict[int, list[tuple[dict[str, Any], dict[str, Any]]]] = {K: [] for K in KS}
    for one, other in zip(ours, theirs, strict=True):
        found[one["K"]].append((one, other))
    for K, rows in found.items():
        changed = [(sum(row[i]["changed"] for row in rows)) for i in (0, 1)]
        images = [(sum(row[i]["changed"] > 0 for row in rows)) for i in (0, 1)]
        print(f"K={K}: {len(rows)} pictures, {changed[0]} pixels of {images[0]} changed", end="")
        if options.against:
            ratios = sorted(
                (one["error"] / other["error"], one["name"])
                for one, other in rows
                if other["error"]
            )
            times = [sum(row[i]["seconds"] for row in rows) for i in (0, 1)]
            print(f"; there {changed[1]} of {images[1]}")
            mean = statistics.fmean(ratio for ratio, _ in ratios)
            above = sum(ratio > 1.01 for ratio, _ in ratios)
            print(f"  error: mean {mean:.4f}, {above} of {len(ratios)} above 1.01; worst", end=" ")
            print(", ".join(f"{ratio:.3f} {name}" for ratio, name in ratios[:-9:-1]))
            print(f"  processor time: {times[0] / times[1]:.3f} of theirs", end="")
        print()


if __name__ == "__main__":
    main()
