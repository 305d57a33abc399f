"""Count the inversions of --target-size: more bytes that give a larger error.

    python benchmarks/bench_target_size.py [--sizes 12] [--side 160] [FOLDER ...]

Each picture, made here or found in a folder and made small, is compressed to several sizes and
formats by `kmeans_c.compress`. Prints the number of (picture, size) pairs, of inversions of the
error that is reported, of files above their size, and of sizes that fail although a smaller one
does not. The last three are to be 0.
"""

import argparse
import itertools
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from kmeans_c import TargetNotMet, compress

ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
FORMATS = ("png", "jpeg", "webp", "auto", "gif")


def made(side: int) -> Iterator[tuple[str, Image.Image]]:
    """Yield waves, noise, areas, ramps and dots in several modes."""
    rng = np.random.default_rng(8)
    y, x = np.mgrid[:side, :side]
    waves = np.stack([128 + 90 * np.sin(x / (9 + c)) * np.cos(y / (7 + c)) for c in range(3)], 2)
    cells = rng.integers(0, 256, (side // 8 + 1, side // 8 + 1, 3))
    noise = rng.normal(0, 25, waves.shape)
    arrays = {
        "waves": waves,
        "noise": 128 + 2 * noise,
        "grain": waves + noise / 4,
        "areas": np.kron(cells, np.ones((8, 8, 1)))[:side, :side],
        "ramp": np.stack([x * 255 / side, y * 255 / side, (x + y) * 127 / side], 2),
        "dots": np.where(rng.random((side, side, 1)) < 0.1, cells[0, 0], cells[0, 1]),
    }
    for name, array in arrays.items():
        image = Image.fromarray(np.clip(array, 0, 255).astype(np.uint8))
        yield name, image
        yield f"{name} grey", image.convert("L")
        clear = image.copy()
        clear.putalpha(Image.fromarray(np.where((x + y) % 40 < 8, 0, 255).astype(np.uint8)))
        yield f"{name} alpha", clear


def found(folders: list[Path], side: int) -> Iterator[tuple[str, Image.Image]]:
    """Yield the pictures of folders, made small."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() not in ENDINGS:
                continue
            try:
                image = Image.open(path)
                image.load()
            except Exception:
                continue
            mode = "RGBA" if "A" in image.getbands() or "transparency" in image.info else "RGB"
            image = image.convert("L" if image.mode in ("1", "L") else mode)
            image.thumbnail((side, side))
            yield path.name, image


def main() -> None:
    """Print the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--sizes", type=int, default=12)
    parser.add_argument("--side", type=int, default=160)
    parser.add_argument("--limit", type=int, default=10**9, help="pictures at most")
    options = parser.parse_args()
    pairs = inversions = above = failures = 0
    pictures = itertools.chain(made(options.side), found(options.folders, options.side))
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, image) in enumerate(itertools.islice(pictures, options.limit)):
            source, target = Path(folder, "a.png"), Path(folder, "b")
            image.save(source)
            kind = FORMATS[number % len(FORMATS)]
            if image.mode == "RGBA" and kind in ("jpeg", "gif"):
                kind = "png"
            least, met = math.inf, False
            whole = image.width * image.height * (1 if image.mode == "L" else 3)
            for n_bytes in np.geomspace(150, max(200, whole / 2), options.sizes).astype(int):
                pairs += 1
                try:
                    done = compress(
                        source, target, target_size=int(n_bytes), format=kind, allow_larger=True,
                        overwrite=True, optimize=1,
                    )  # fmt: skip
                except TargetNotMet:
                    failures += met
                    continue
                met = True
                above += target.stat().st_size > n_bytes
                if done.mse > least:
                    inversions += 1
                    print(f"{name} as {kind}, {n_bytes} bytes: {least} -> {done.mse}", flush=True)
                least = min(least, done.mse)
    print(
        f"{pairs} (picture, size) pairs: {inversions} inversions, {above} files above their size, "
        f"{failures} sizes refused above one that was met"
    )


if __name__ == "__main__":
    main()
