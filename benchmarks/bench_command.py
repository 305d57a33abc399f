"""Whole processes in turn: bench_command.py [PHOTO] [--rounds N] [--command "kmeans-c"].

The import line is ``python -c "import numpy, PIL.Image"``. The Pillow script opens a file,
quantizes to 16 colours with FASTOCTREE and saves. pngquant runs if it is installed. Each time is a
median over the rounds, wall and processor time (user + system, all threads); ratios are medians of
the ratios of each round. MSE is over the pixels, summed over the channels, of what the file shows.

PHOTO is a large JPEG; the default is the example, enlarged to ten megapixels with a camera's noise.
"""

import argparse
import os
import shlex
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from metrics import mse
from PIL import Image
from timing import picture

IMPORTS = "import numpy, PIL.Image"
PILLOW = """\
import sys
from PIL import Image
image = Image.open(sys.argv[1])
image.quantize(16, Image.Quantize.FASTOCTREE).save(sys.argv[2])
"""
EXAMPLE = Path(__file__).parents[1] / "examples" / "image.jpg"

Times = tuple[float, float]


def run(command: list[str]) -> Times:
    """Wall and processor seconds of a process."""
    start = time.perf_counter()
    null = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
    child = os.posix_spawnp(command[0], command, os.environ, file_actions=[null])
    _, status, usage = os.wait4(child, 0)
    if status:
        sys.exit(f"{shlex.join(command)}: status {status}")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime


def compared(rounds: int, commands: dict[str, list[str]], source: Path | None) -> None:
    """Run the commands in turn and print what each takes, the first being 1."""
    seconds: dict[str, list[Times]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            times = run(command)
            if number:  # the first round brings everything into the page cache
                seconds[name].append(times)
    first = seconds[next(iter(commands))]
    for name, command in commands.items():
        line = f"{name:18}"
        for part in (0, 1):
            median = 1e3 * statistics.median(times[part] for times in seconds[name])
            ratio = statistics.median(
                times[part] / other[part] for times, other in zip(seconds[name], first, strict=True)
            )
            line += f"{median:8.0f} ms {ratio:5.2f}x {('wall', 'CPU')[part]}"
        target = Path(command[-1])
        if source is not None and target.is_file():
            line += f"{target.stat().st_size:10} bytes, MSE {error(source, target):.1f}"
        print(line)


def error(before: Path, after: Path) -> float:
    """Mean squared error, summed over the channels."""
    with Image.open(before) as old, Image.open(after) as new:
        return mse(np.asarray(old.convert("RGB")), np.asarray(new.convert("RGB")))


def commands_for(
    ours: list[str], source: Path, folder: Path, formats: list[str]
) -> dict[str, list[str]]:
    """The Pillow script, pngquant and ours, each writing a file of its own."""
    python = [sys.executable, "-c"]
    found = {"Pillow, PNG": [*python, PILLOW, str(source), str(folder / "pillow.png")]}
    if shutil.which("pngquant"):  # it reads PNG only
        png = folder / f"{source.stem}_whole.png"
        with Image.open(source) as image:
            image.save(png)
        target = str(folder / "pngquant.png")
        found["pngquant, no JPEG"] = ["pngquant", "16", "--nofs", "-f", str(png), "-o", target]
    for ending in formats:
        target = str(folder / f"ours.{ending}")
        found[f"kmeans-c, {ending}"] = [*ours, str(source), "-q", "-f", "-o", target]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--command", default=f"{shlex.quote(sys.executable)} -m kmeans_c")
    options = parser.parse_args()
    ours = shlex.split(options.command)
    python = [sys.executable, "-c"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{EXAMPLE.name}: the import line is 1")
        commands = {"imports": [*python, IMPORTS], "kmeans_c": [*python, f"{IMPORTS}, kmeans_c"]}
        commands |= commands_for(ours, EXAMPLE, folder, ["png", "jpg"])
        compared(options.rounds, commands, EXAMPLE)
        photo = options.photo
        if photo is None:
            photo = folder / "photo.jpg"
            Image.fromarray(picture(None, 3840, 2560)).save(photo, quality=92)
        with Image.open(photo) as image:
            print(f"{photo.name}, {image.width} x {image.height}: the Pillow script is 1")
        formats = ["png", "jpg", "webp"]
        compared(options.rounds, commands_for(ours, photo, folder, formats), photo)


if __name__ == "__main__":
    main()
