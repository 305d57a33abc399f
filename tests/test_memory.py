"""What calls leave behind, and what they need while they run."""

import gc
import subprocess
import sys
import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import kmeans_c

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="the peak is read from Linux's /proc"
)

# In a process of its own: no allocator keeps what earlier tests have freed.
HEAD = """
import numpy as np
import kmeans_c

def resident(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith(name))
"""

LEAK = (
    HEAD
    + """
icon = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
sizes = []
for _ in range(6):
    for _ in range(100):
        kmeans_c.quantize(icon, 16, n_threads=2)
    sizes.append(resident("VmRSS"))
print(sizes[-1] - sizes[0])
"""
)

# A photo's colours, some hundred thousand of them: a gradient, and noise in the low bits.
PEAK = (
    HEAD
    + """
megapixels, K, channels, n_threads = {}, {}, {}, {}
height, width = megapixels * 125, 8000
pixels = np.full((height, width, channels), 255, np.uint8)
noise = np.random.default_rng(0).integers(0, 16, (2 * width, 3), dtype=np.uint8)
ramp = (np.linspace(0, 230, width)[:, np.newaxis] * [1.0, 0.7, 0.4]).astype(np.uint8)
for y, row in enumerate(pixels):
    start = y * 37 % width
    np.add(ramp, noise[start : start + width], out=row[:, :3])
if channels == 4:
    pixels[::3, :, 3] = 0
    pixels[1::3, ::5, 3] = 99
kmeans_c.quantize(pixels[:64, :64], 2, n_threads=n_threads)
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before = resident("VmRSS")
result = kmeans_c.quantize(pixels, K, 3, n_threads=n_threads)
colors = len(kmeans_c.Histogram(channels).add(pixels[:500]))
print(resident("VmHWM") - before - result.indices.nbytes, colors)
"""
)


def run(script):
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [int(number) for number in done.stdout.split()]


def test_python_objects_do_not_pile_up(rng):
    icon = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)

    def traced():
        for _ in range(100):
            kmeans_c.quantize(icon, 16)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        sizes = [traced() for _ in range(6)]
    finally:
        tracemalloc.stop()
    # 41 bytes a call: less than any object that is kept. A leak shows in every hundred calls; what
    # the interpreter itself lays up now and then does not.
    assert min(b - a for a, b in pairwise(sizes)) < 4096


@needs_proc
def test_the_process_does_not_grow():
    (growth,) = run(LEAK)
    assert growth < 1 << 20  # of 500 calls: 2 KiB each, a twentieth of what a call allocates


@needs_proc
@pytest.mark.parametrize(
    ("megapixels", "K", "channels", "n_threads"),
    [
        (40, 256, 3, 2),
        (20, 16, 4, 1),
    ],
    ids=["rgb", "rgba"],
)
def test_memory_does_not_grow_with_the_pixels(megapixels, K, channels, n_threads):
    extra, colors = run(PEAK.format(megapixels, K, channels, n_threads))
    assert colors > 50_000
    assert extra <= 64 << 20
