"""How the size of a JPEG grows with its quality: estimates of a sample and of a large picture."""

from __future__ import annotations

import math
from typing import NamedTuple

from PIL import Image

from kmeans_c.jpeg.sample import squared_error
from kmeans_c.jpeg.writer import compact

# Below 30 a JPEG shows its blocks; above 95 its bytes grow faster than its error falls.
LOWEST, HIGHEST = 30, 95

# Where no file of quality 30 is small enough, lower ones are tried, and taken if they still hold
# the picture (`Shown.holds`), as those of soft scans do.
LAST_RESORT = 10

# Where the search for a quality starts, and how fast the logarithm of the size grows there.
FIRST, _SLOPE = 60, 0.018


class Curve:
    """Sizes of a sample by quality, with one subsampling."""

    def __init__(self, sample: Image.Image, subsampling: str, *, tiles: bool) -> None:
        self.sample = sample
        self.tiles = tiles
        self.subsampling = subsampling
        self.files: dict[int, bytes] = {}

    def size(self, quality: int) -> int:
        """Count the bytes of the sample."""
        if quality not in self.files:
            self.files[quality] = compact(self.sample, quality, self.subsampling)
        return len(self.files[quality])

    def best(self, goal: float, lowest: int, highest: int = HIGHEST) -> int | None:
        """Give the highest quality that takes no more than `goal` bytes; None if there is none."""
        fitting = (q for q in self.files if self.size(q) <= goal and q <= highest)
        low = max(fitting, default=lowest - 1)
        high = min((q for q in self.files if self.size(q) > goal and q > low), default=highest + 1)
        while high - low > 1:
            quality = min(max(self._guess(goal), low + 1), high - 1)
            if self.size(quality) <= goal:
                low = quality
            else:
                high = quality
        return low if low >= lowest else None

    def _guess(self, goal: float) -> int:
        """Go from the nearest known size along the slope between it and the next."""
        if goal < 1:
            return LAST_RESORT
        known = sorted(
            (abs(math.log(len(data) / goal)), quality) for quality, data in self.files.items()
        )
        if not known:
            return FIRST
        nearest, slope = known[0][1], _SLOPE
        if len(known) > 1:
            other = known[1][1]
            rise = math.log(self.size(other) / self.size(nearest)) / (other - nearest)
            slope = rise if rise > 0 else slope
        return nearest + math.floor(math.log(goal / self.size(nearest)) / slope)

    def error(self, quality: int) -> int:
        """Sum the squared error of the sample, whose size at this quality is known."""
        return squared_error(self.sample, self.files[quality], tiles=self.tiles)


class Line(NamedTuple):
    """The logarithm of the size as a linear function of the quality, near one quality."""

    quality: int
    size: float
    slope: float

    @classmethod
    def between(cls, one: tuple[int, int], other: tuple[int, int]) -> Line:
        """Go through two points."""
        slope = math.log(other[1] / one[1]) / (other[0] - one[0])
        return cls(*one, max(slope, _SLOPE / 4))

    def through(self, quality: int, size: int) -> Line:
        """Go through another point with the same slope."""
        return self._replace(quality=quality, size=size)

    def scaled(self, factor: float) -> Line:
        """Multiply all sizes."""
        return self._replace(size=factor * self.size)

    def best(self, goal: int) -> int:
        """Give the highest quality whose size is within the goal."""
        if goal < 1:
            return 0
        return self.quality + math.floor(math.log(goal / self.size) / self.slope)
