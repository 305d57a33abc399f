"""Whole processes: importing the package, and the command on a 1920x1280 JPEG: bench_process.py."""

import argparse
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from PIL import Image
from timing import in_turn, median_ratio, milliseconds, picture

WITHOUT = "import numpy, PIL.Image, PIL.ImageFile, PIL.ImageOps"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    python = partial(subprocess.run, check=True, stdout=subprocess.DEVNULL)
    bare, imported = in_turn(
        options.rounds,
        partial(python, [sys.executable, "-c", WITHOUT]),
        partial(python, [sys.executable, "-c", f"{WITHOUT}; import kmeans_c"]),
    )
    extra = [b - a for a, b in zip(bare, imported, strict=True)]
    print(
        f"numpy and Pillow: {milliseconds(bare)}; kmeans_c on top: {milliseconds(extra)} (goal 30)"
    )
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "photo.jpg")
        Image.fromarray(picture(options.image, 1920, 1280)).save(source, quality=92)
        run = [sys.executable, "-m", "kmeans_c", str(source), "-q", "-f"]
        opened = f"{WITHOUT}; PIL.Image.open({str(source)!r}).load()"
        decode, jpeg, png, png256 = in_turn(
            options.rounds,
            partial(python, [sys.executable, "-c", opened]),
            partial(python, run),
            partial(python, [*run, "-o", str(Path(folder, "photo.png"))]),
            partial(python, [*run, "-k", "256", "-o", str(Path(folder, "photo.png"))]),
        )
    print(f"Python that opens the JPEG: {milliseconds(decode)}")
    for name, seconds in (("JPEG", jpeg), ("PNG", png), ("PNG, K=256", png256)):
        ratio = median_ratio(seconds, decode)
        print(f"kmeans-c to {name}: {milliseconds(seconds)}, {ratio:.2f}x of that")


if __name__ == "__main__":
    main()
