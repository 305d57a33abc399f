"""Timing in turn, and a picture to time with."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def in_turn(rounds: int, *calls: Callable[[], object]) -> list[list[float]]:
    """Seconds of each call in each round; a first round is not counted."""
    seconds: list[list[float]] = [[] for _ in calls]
    for number in range(rounds + 1):
        for call, row in zip(calls, seconds, strict=True):
            start = time.perf_counter()
            call()
            if number:
                row.append(time.perf_counter() - start)
    return seconds


def median_ratio(slow: list[float], fast: list[float]) -> float:
    """The median, over the rounds, of how many times longer the first took."""
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))


def milliseconds(seconds: list[float]) -> str:
    """The median with the fastest and slowest round."""
    low, middle, high = (1e3 * f(seconds) for f in (min, statistics.median, max))
    return f"{middle:.2f} ms ({low:.2f}..{high:.2f})"


def picture(path: str | None, width: int, height: int) -> NDArray[np.uint8]:
    """An (height, width, 3) photo: the file's, or the example enlarged, with a camera's noise."""
    source = Path(path) if path else Path(__file__).parents[1] / "examples" / "image.jpg"
    with Image.open(source) as opened:
        image = opened.convert("RGB")
    if path:
        return np.asarray(image if image.size == (width, height) else image.resize((width, height)))
    pixels = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)
    noise = np.random.default_rng(0).standard_normal(pixels.shape, dtype=np.float32)
    return np.clip(pixels + 3 * noise, 0, 255).astype(np.uint8)
