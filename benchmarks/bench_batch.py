"""Many small files through the command: memory, and two workers against one: bench_batch.py.

Memory is the resident size of all processes, sampled as the lines come; its growth is the slope
over the second half of the files. Linux only.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from timing import picture


def make(folder: Path, n: int, side: int) -> None:
    """Write pictures that are all different: parts of a photo."""
    photo = picture(None, 1920, 1280)
    rng = np.random.default_rng(0)
    tops, lefts = (rng.integers(0, size - side, n) for size in photo.shape[:2])
    for number, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        where = folder / f"{number // 1000}"
        where.mkdir(exist_ok=True)
        part = photo[top : top + side, left : left + side]
        Image.fromarray(part).save(where / f"{number}.png", compress_level=1)


def resident(pid: int) -> dict[int, int]:
    """KiB of a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    sizes = {}
    for process in (pid, *map(int, children)):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                sizes[process] = int(line.split()[1])
    return sizes


def busiest(pid: int) -> float:
    """Processor seconds of the process, or the child of it, that has used the most."""
    ticks = []
    for process in resident(pid):
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        ticks.append(int(fields[11]) + int(fields[12]))
    return max(ticks) / os.sysconf("SC_CLK_TCK")


def run(
    source: Path, target: Path, workers: int, options: list[str]
) -> tuple[float, float, list[int]]:
    """Seconds; those of the busiest process; KiB of all processes after every hundredth file."""
    words = ["-r", str(source), "-d", str(target), f"-j{workers}", "-t1", "-k16", *options]
    start = time.perf_counter()
    memory, used = [], 0.0
    with subprocess.Popen(
        [sys.executable, "-m", "kmeans_c", *words], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for number, _ in enumerate(process.stdout):
            if number % 100 == 50:
                memory.append(sum(resident(process.pid).values()))
                used = busiest(process.pid)
    if process.returncode:
        raise SystemExit(process.returncode)
    return time.perf_counter() - start, used, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=64, help="pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="where the files go (default: the system's)")
    parser.add_argument("options", nargs="*", help="for the command, after --")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        source = Path(folder, "in")
        source.mkdir()
        make(source, options.files, options.side)
        seconds: dict[int, list[float]] = {1: [], 2: []}
        busy: dict[int, list[float]] = {1: [], 2: []}
        for number in range(options.rounds):
            for workers, row in seconds.items():
                target = Path(folder, f"out{workers}-{number}")
                taken, used, memory = run(source, target, workers, options.options)
                row.append(taken)
                busy[workers].append(used)
                half = memory[len(memory) // 2 :]
                slope = np.polyfit(np.arange(len(half)), half, 1)[0] * 10 if len(half) > 1 else 0.0
                print(
                    f"{workers} worker(s): {taken:.1f} s, {1e3 * taken / options.files:.2f} ms a "
                    f"file, {max(memory) / 1024:.0f} MiB at most, {slope:+.0f} KiB in 1,000 files",
                    flush=True,
                )
        ratios = [a / b for a, b in zip(seconds[1], seconds[2], strict=True)]
        print(
            f"{options.files} files: two workers are {min(seconds[1]) / min(seconds[2]):.2f}x as "
            f"fast as one (least of each; {', '.join(f'{ratio:.2f}' for ratio in ratios)} in the "
            "rounds), goal 1.8; the busiest process has used "
            f"{min(busy[1]) / min(busy[2]):.2f}x less processor time, which is what two free "
            "processors would give"
        )


if __name__ == "__main__":
    main()
