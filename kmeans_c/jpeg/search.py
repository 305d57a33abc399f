"""Choose the quality and the subsampling of a JPEG that has a number of bytes to fit in.

How the size grows with the quality is known from some encodings of a sample of tiles (`sample`). A
factor, the size of the whole picture over that of its tiles at one quality, makes it the size of
the file. Bands of the picture and one quick encoding of all of it (with the standard tables) give
the factor, and then the real encoding corrects it, until the best quality that fits by the estimate
is one that was tried: mostly after one or two real encodings.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from PIL import Image

from kmeans_c.jpeg.beside import beside
from kmeans_c.jpeg.options import SUBSAMPLINGS
from kmeans_c.jpeg.sample import bands_of, squared_error, tiles_of
from kmeans_c.jpeg.shown import Shown
from kmeans_c.jpeg.writer import baseline, compact

# Below 30 a JPEG shows its blocks; above 95 its bytes grow faster than its error falls.
LOWEST, HIGHEST = 30, 95

# Where no file of quality 30 is small enough, lower ones are tried, and taken if they still hold
# the picture (`Shown.holds`), as those of soft scans do.
LAST_RESORT = 10

# Where the search for a quality starts, and how fast the logarithm of the size grows there.
_FIRST, _SLOPE = 60, 0.018

# Where a file does not hold its picture: a higher quality is looked for up to this one, in so many
# steps; and if there is none within the limit, as many qualities below are tried. (Flat areas come
# out right or wrong by how the quantizer's steps happen to lie.)
_HIGHEST_OF_ALL = 100
_STEPS = 8

# Between the two qualities that give the slope of a large picture.
_SPAN = 2

Measure = Callable[[bytes], Shown]


class Jpeg(NamedTuple):
    """A JPEG.

    Attributes
    ----------
    data : bytes
    quality : int
        libjpeg's, 1..100.
    subsampling : str or None
        "4:4:4", "4:2:2" or "4:2:0"; None where the picture is grey.
    shown : Shown
        What it shows.
    twin : bytes
        The file with the standard tables, which is what was measured: see `proof`.
    """

    data: bytes
    quality: int
    subsampling: str | None
    shown: Shown
    twin: bytes


def encoded_as(
    image: Image.Image,
    quality: int,
    subsampling: str,
    measure: Measure,
    *,
    n_threads: int = 1,
) -> Jpeg:
    """Encode with a given quality and subsampling, and measure what the file shows.

    What is measured is the file with the standard tables: its coefficients, and so its pixels, are
    the same, and it can be decoded while the other is still being encoded.
    """
    parallel = n_threads > 1

    def shown_by_quick() -> tuple[Shown, bytes]:
        # Pillow keeps the options of a `save` in the image while it is going on.
        own = image.copy() if parallel else image
        twin = baseline(own, quality, subsampling)
        return measure(twin), twin

    data, (shown, twin) = beside(
        lambda: compact(image, quality, subsampling), shown_by_quick, parallel=parallel
    )
    return Jpeg(data, quality, None if image.mode == "L" else subsampling, shown, twin)


def encoded_within(
    image: Image.Image,
    goal: int,
    limit: int,
    measure: Measure,
    *,
    exact_mse: float,
    quality: int | None = None,
    subsampling: str | None = None,
    n_threads: int = 1,
) -> Jpeg:
    """Encode with the best quality, 30..95, whose file takes no more than `goal` bytes.

    Where that file does not hold the picture (`Shown.holds`), a better one within `limit` is looked
    for: the first that does, or that with the largest share of pixels that show their own entry.

    Parameters
    ----------
    image : PIL.Image.Image
        Of mode L or RGB.
    goal, limit : int
        Bytes without metadata. If even quality 30 takes more than `goal`, then the best that takes
        no more than `limit`; if it takes more than that, then one of 10..29 that holds the picture.
    measure : callable
        Says what a file shows.
    exact_mse : float
        The MSE of the picture that is encoded.
    quality : int, optional
        1..100: this one instead.
    subsampling : str, optional
        This one. Default: the one with the least error at the goal, estimated on a sample; with a
        given quality the first of 4:4:4, 4:2:2 and 4:2:0 that is within the limit.
    n_threads : int
        The result does not depend on it.

    Returns
    -------
    Jpeg
        The smallest of quality 30 or more that was tried if none is within the limit.
    """
    kinds = [subsampling or "4:4:4"] if subsampling or image.mode == "L" else list(SUBSAMPLINGS)
    if quality is not None:
        jpegs = []
        for kind in kinds:
            jpegs.append(encoded_as(image, quality, kind, measure, n_threads=n_threads))
            if len(jpegs[-1].data) <= limit:
                return jpegs[-1]
        return min(jpegs, key=lambda jpeg: len(jpeg.data))
    goal = min(goal, limit)
    search = _Search(image, kinds, measure, n_threads)
    found = search.within(goal)
    if found is None and goal < limit:
        found = search.within(limit)
    last_resort = found is None
    if found is None:
        search.lowest = LAST_RESORT
        found = search.within(limit)
    if found is not None and not found.shown.holds(exact_mse):
        found = search.better(found, goal, limit, exact_mse)
    if found is None or (last_resort and not found.shown.holds(exact_mse)):
        return search.smallest()
    return found


class _Curve:
    """Sizes of a sample by quality, with one subsampling."""

    def __init__(self, sample: Image.Image, subsampling: str, *, tiles: bool) -> None:
        self.sample = sample
        self.tiles = tiles
        self.subsampling = subsampling
        self.files: dict[int, bytes] = {}

    def size(self, quality: int) -> int:
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
            return _FIRST
        nearest, slope = known[0][1], _SLOPE
        if len(known) > 1:
            other = known[1][1]
            rise = math.log(self.size(other) / self.size(nearest)) / (other - nearest)
            slope = rise if rise > 0 else slope
        return nearest + math.floor(math.log(goal / self.size(nearest)) / slope)

    def error(self, quality: int) -> int:
        return squared_error(self.sample, self.files[quality], tiles=self.tiles)


class _Line(NamedTuple):
    """The logarithm of the size as a linear function of the quality, near one quality."""

    quality: int
    size: float
    slope: float

    @classmethod
    def between(cls, one: tuple[int, int], other: tuple[int, int]) -> _Line:
        """Go through two points."""
        slope = math.log(other[1] / one[1]) / (other[0] - one[0])
        return cls(*one, max(slope, _SLOPE / 4))

    def through(self, quality: int, size: int) -> _Line:
        """Go through another point with the same slope."""
        return self._replace(quality=quality, size=size)

    def scaled(self, factor: float) -> _Line:
        """Multiply all sizes."""
        return self._replace(size=factor * self.size)

    def best(self, goal: int) -> int:
        """Give the highest quality whose size is within the goal."""
        if goal < 1:
            return 0
        return self.quality + math.floor(math.log(goal / self.size) / self.slope)


class _Search:
    """What was tried with a picture and its sample."""

    def __init__(
        self, image: Image.Image, subsamplings: list[str], measure: Measure, n_threads: int
    ) -> None:
        self.image = image
        self.measure = measure
        self.n_threads = n_threads
        self.lowest = LOWEST
        self.sample = tiles_of(image)
        tiles = self.sample is not image
        self.curves = {kind: _Curve(self.sample, kind, tiles=tiles) for kind in subsamplings}
        self.tried: dict[str, dict[int, Jpeg]] = {kind: {} for kind in subsamplings}
        self.bands = bands_of(image)
        self.factors = dict.fromkeys(subsamplings, 1.0)
        if tiles:
            kind = subsamplings[-1]
            of_bands, of_tiles = (
                len(baseline(part, _FIRST, kind)) for part in (self.bands, self.sample)
            )
            self.factors = dict.fromkeys(subsamplings, self._of_all(of_bands) / of_tiles)

    def within(self, goal: int) -> Jpeg | None:
        """Give the best file of no more than `goal` bytes, with the subsampling that suits it."""
        for kind in self._ranked(goal):
            found = self._best(kind, goal)
            if found is not None:
                return found
        return None

    def better(self, found: Jpeg, goal: int, limit: int, exact_mse: float) -> Jpeg:
        """Look for a file that holds the picture, where the one that was found does not.

        First with the other subsamplings within the goal, then with each within the limit.
        """
        kinds = sorted(self.curves, key=lambda kind: kind != found.subsampling)
        for kind in kinds[1:]:
            jpeg = self._best(kind, goal)
            if jpeg is not None and jpeg.shown.holds(exact_mse):
                return jpeg
        for kind in kinds:
            for quality in self._further(kind, limit):
                jpeg = self._try(kind, quality)
                if len(jpeg.data) <= limit and jpeg.shown.holds(exact_mse):
                    return jpeg
        fitting = [jpeg for jpeg in self._jpegs() if len(jpeg.data) <= limit]
        return max(fitting, key=lambda jpeg: (jpeg.shown.share, -jpeg.shown.mse))

    def _further(self, kind: str, limit: int) -> list[int]:
        """Give qualities between those that were tried and the best within the limit.

        Where that is the only one, those below it.
        """
        known = max(self.tried[kind], default=self.lowest - 1)
        most = self._best(kind, limit, _HIGHEST_OF_ALL)
        if most is None:
            return []
        span = most.quality - known
        if span > 0:
            steps = min(_STEPS, span)
            return [known + span * step // steps for step in range(1, steps + 1)]
        return list(range(most.quality - 1, LAST_RESORT - 1, -1))[:_STEPS]

    def smallest(self) -> Jpeg:
        """Give the smallest file of those of quality 30 and more that were tried."""
        jpegs = (jpeg for jpeg in self._jpegs() if jpeg.quality >= LOWEST)
        return min(jpegs, key=lambda jpeg: len(jpeg.data))

    def _jpegs(self) -> list[Jpeg]:
        return [jpeg for tried in self.tried.values() for jpeg in tried.values()]

    def _ranked(self, goal: int) -> list[str]:
        """Order the subsamplings by the error of their best quality on the sample.

        Those that may not fit at all come last, the smallest files first.
        """
        errors = {}
        for kind, curve in self.curves.items() if len(self.curves) > 1 else ():
            quality = curve.best(goal / self.factors[kind], self.lowest)
            if quality is not None:
                errors[kind] = curve.error(quality)
        others = [kind for kind in reversed(self.curves) if kind not in errors]
        return sorted(errors, key=lambda kind: errors[kind]) + others

    def _best(self, kind: str, goal: int, highest: int = HIGHEST) -> Jpeg | None:
        """Give the best file of a subsampling that takes no more than `goal` bytes."""
        curve, tried = self.curves[kind], self.tried[kind]
        large = self.bands is not self.image
        line = self._line(kind, goal, highest) if large else None
        while True:
            if line is None:
                fits = goal / self.factors[kind]
                quality = curve.best(fits, self.lowest, highest) or self.lowest
            else:
                quality = min(max(line.best(goal), self.lowest), highest)
            if quality in tried:
                break
            found = self._try(kind, quality)
            if line is not None:
                line = line.through(quality, len(found.data))
        while len(tried[quality].data) > goal and quality > self.lowest:
            quality -= 1
            self._try(kind, quality)
        fitting = [quality for quality, jpeg in tried.items() if len(jpeg.data) <= goal]
        return tried[max(fitting)] if fitting else None

    def _line(self, kind: str, goal: int, highest: int) -> _Line:
        """Estimate the sizes of a large picture near a goal without a real encoding of it.

        The ratio of a real to a quick size is that of the bands.
        """
        curve = self.curves[kind]

        def fitting() -> int:
            return curve.best(goal / self.factors[kind], self.lowest, highest) or self.lowest

        quality = fitting()
        ratio = len(compact(self.bands, quality, kind)) / len(baseline(self.bands, quality, kind))
        of_bands = self._of_all(len(baseline(self.bands, quality, kind)))
        self.factors[kind] = ratio * of_bands / curve.size(quality)
        first = fitting()
        while True:
            second = first + _SPAN if first + _SPAN <= _HIGHEST_OF_ALL else first - _SPAN
            line = _Line.between(*self._quick_sizes(kind, first, second)).scaled(ratio)
            best = min(max(line.best(goal), self.lowest), highest)
            if abs(best - first) <= 2 * _SPAN:
                return line
            first = best

    def _quick_sizes(self, kind: str, one: int, other: int) -> list[tuple[int, int]]:
        """Encode the picture at two qualities with the standard tables."""
        parallel = self.n_threads > 1
        copy = self.image.copy() if parallel else self.image  # as in `encoded_as`
        sizes = beside(
            lambda: len(baseline(copy, other, kind)),
            lambda: len(baseline(self.image, one, kind)),
            parallel=parallel,
        )
        return [(one, sizes[1]), (other, sizes[0])]

    def _of_all(self, n_bytes: int) -> float:
        """Scale the bytes of the bands to the whole picture."""
        return n_bytes * self.image.height / self.bands.height

    def _try(self, kind: str, quality: int) -> Jpeg:
        tried = self.tried[kind]
        if quality not in tried:
            jpeg = encoded_as(
                self.image,
                quality,
                kind,
                self.measure,
                n_threads=self.n_threads,
            )
            tried[quality] = jpeg
            self.factors[kind] = len(jpeg.data) / self.curves[kind].size(quality)
        return tried[quality]
