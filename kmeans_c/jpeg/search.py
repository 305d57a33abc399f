"""Choose the quality and the subsampling of a JPEG that has a number of bytes to fit in.

How the size grows with the quality is known from some encodings of a sample of tiles (`sample`). A
factor, the size of the whole picture over that of its tiles at one quality, makes it the size of
the file. Bands of the picture and one quick encoding of all of it (with the standard tables) give
the factor, and then the real encoding corrects it, until the best quality that fits by the estimate
is one that was tried: mostly after one or two real encodings.

Where that file does not hold the picture, or quality 30 takes too many bytes, the goal is given up
for the smallest file that holds the picture: `encoded_within` gives the order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from PIL import Image

from kmeans_c.jpeg.beside import beside
from kmeans_c.jpeg.curve import FIRST, HIGHEST, LAST_RESORT, LOWEST, Curve, Line
from kmeans_c.jpeg.options import SUBSAMPLINGS
from kmeans_c.jpeg.sample import bands_of, tiles_of
from kmeans_c.jpeg.shown import LARGEST_LOSS, Shown
from kmeans_c.jpeg.writer import baseline, compact

# Where a file does not hold its picture, a higher quality is looked for up to this one.
_HIGHEST_OF_ALL = 100

# In so many steps, and then between two of them. (Flat areas come out right or wrong by how the
# quantizer's steps happen to lie.) Of small pictures all qualities are tried: their number times
# the pixels is what these are.
_STEPS = 8
_PIXELS = 71 * 250_000

# Shares of pixels that differ by no more count as equal: the smaller file is taken.
_EQUAL_SHARE = 0.005

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
    own: int | None = None,
    quality: int | None = None,
    subsampling: str | None = None,
    n_threads: int = 1,
) -> Jpeg:
    """Encode with the best quality, 30..95, whose file takes no more than `goal` bytes.

    Where there is none, or it does not hold the picture (`Shown.holds`), the smallest file of
    quality 30 or more that does is taken, within `own` bytes; else the best one of quality 10..29
    that does within `own`; else the smallest within `limit`. Where none holds it, that with the
    largest share of pixels that show their own entry within `own` is taken, of about equal shares
    and errors the smallest.

    Parameters
    ----------
    image : PIL.Image.Image
        Of mode L or RGB.
    goal, limit : int
        Bytes without metadata.
    measure : callable
        Says what a file shows.
    exact_mse : float
        The MSE of the picture that is encoded.
    own : int, optional
        Bytes that a file may take if one of them holds the picture, or none of `limit`: those of
        the input's own picture, where `limit` contains dropped metadata. Default: `limit`.
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
    own = limit if own is None else min(own, limit)
    goal = min(goal, own)
    search = _Search(image, kinds, measure, exact_mse, n_threads)
    found = search.within(goal)
    if found is not None and search.holds(found):
        return found
    found = search.better(found, goal, own) or search.last_resort(own)
    if found is None and own < limit:
        found = search.better(search.within(own), own, limit)
    found = found or search.largest_share(own)
    return found or search.smallest()


class _Search:
    """What was tried with a picture and its sample."""

    def __init__(
        self,
        image: Image.Image,
        subsamplings: list[str],
        measure: Measure,
        exact_mse: float,
        n_threads: int,
    ) -> None:
        self.image = image
        self.measure = measure
        self.exact_mse = exact_mse
        self.steps = max(_STEPS, _PIXELS // (image.width * image.height))
        self.n_threads = n_threads
        self.lowest = LOWEST
        self.sample = tiles_of(image)
        tiles = self.sample is not image
        self.curves = {kind: Curve(self.sample, kind, tiles=tiles) for kind in subsamplings}
        self.tried: dict[str, dict[int, Jpeg]] = {kind: {} for kind in subsamplings}
        # What a file shows, and its bytes with the standard tables.
        self.measured: dict[str, dict[int, tuple[Shown, int]]] = {kind: {} for kind in subsamplings}
        self.bands = bands_of(image)
        self.factors = dict.fromkeys(subsamplings, 1.0)
        if tiles:
            kind = subsamplings[-1]
            of_bands, of_tiles = (
                len(baseline(part, FIRST, kind)) for part in (self.bands, self.sample)
            )
            self.factors = dict.fromkeys(subsamplings, self._of_all(of_bands) / of_tiles)

    def within(self, goal: int) -> Jpeg | None:
        """Give the best file of no more than `goal` bytes, with the subsampling that suits it."""
        for kind in self._ranked(goal):
            found = self._best(kind, goal)
            if found is not None:
                return found
        return None

    def holds(self, jpeg: Jpeg) -> bool:
        """Say whether a file holds the picture."""
        return jpeg.shown.holds(self.exact_mse)

    def better(self, found: Jpeg | None, goal: int, limit: int) -> Jpeg | None:
        """Look for a file that holds the picture, where the best within the goal does not.

        First with the other subsamplings within the goal, then with lower qualities of a small
        picture, then for the smallest within the limit, and at last below the best within it.
        """
        kinds = sorted(self.curves, key=lambda kind: found is None or kind != found.subsampling)
        best = {kind: self._best(kind, goal) if found else None for kind in kinds}
        for jpeg in best.values():
            if jpeg is not None and self.holds(jpeg):
                return jpeg
        for kind, jpeg in best.items():
            if jpeg is not None and self.steps > jpeg.quality - self.lowest:
                for quality in range(jpeg.quality - 1, self.lowest - 1, -1):
                    if self._holds_within(kind, quality, goal):
                        return self._try(kind, quality)
        least: Jpeg | None = None
        for kind in reversed(self.curves):  # the smallest files first
            known = best[kind]
            low = self.lowest if known is None else known.quality + 1
            jpeg = self._lowest(kind, low, limit if least is None else len(least.data) - 1)
            least = jpeg or least
        return least or self.below(limit)

    def below(self, limit: int) -> Jpeg | None:
        """Look for a file that holds the picture a few qualities below the best within a limit."""
        for kind in self.curves:
            most = self._best(kind, limit, _HIGHEST_OF_ALL)
            if most is not None:
                for quality in range(most.quality - 1, LAST_RESORT - 1, -1)[:_STEPS]:
                    if self._holds_within(kind, quality, limit):
                        return self._try(kind, quality)
        return None

    def last_resort(self, limit: int) -> Jpeg | None:
        """Look below quality 30 for a file that holds the picture."""
        self.lowest = LAST_RESORT
        found = self.within(limit)
        if found is not None and not self.holds(found):
            found = self.below(limit)
        self.lowest = LOWEST
        return found

    def largest_share(self, own: int) -> Jpeg | None:
        """Give the file with the largest share of pixels of those of quality 30 and more.

        Of those whose share is about the largest, and whose error then about the least, the
        smallest is taken.
        """
        fitting = []
        for kind in self.curves:
            most = self._best(kind, own, _HIGHEST_OF_ALL)
            fitting += [
                (kind, quality, shown, size)
                for quality, (shown, size) in self.measured[kind].items()
                if most is not None and LOWEST <= quality <= most.quality
            ]
        enough = max((shown.share for _, _, shown, _ in fitting), default=0.0) - _EQUAL_SHARE
        fitting = [found for found in fitting if found[2].share >= enough]
        least = min((shown.mse for _, _, shown, _ in fitting), default=0.0)
        smallest: dict[str, tuple[int, int]] = {}  # by subsampling: between two the tables differ
        for kind, quality, shown, size in fitting:
            if shown.mse <= LARGEST_LOSS * least:
                smallest[kind] = min(smallest.get(kind, (size, quality)), (size, quality))
        jpegs = [self._try(kind, quality) for kind, (_, quality) in smallest.items()]
        return min(jpegs, key=lambda jpeg: len(jpeg.data), default=None)

    def _lowest(self, kind: str, low: int, limit: int) -> Jpeg | None:
        """Give the file of the lowest quality from `low` on that holds the picture.

        Steps of more than one are made small around the first quality that does.
        """
        if self._holds_within(kind, low, limit):
            return self._try(kind, low)
        most = self._best(kind, limit, _HIGHEST_OF_ALL)
        span = 0 if most is None else most.quality - low
        steps = max(min(self.steps, span), 0)
        fails = low
        for step in range(1, steps + 1):
            quality = low + span * step // steps
            if not self._holds_within(kind, quality, limit):
                fails = quality
                continue
            while quality - fails > 1:
                middle = (fails + quality) // 2
                if self._holds_within(kind, middle, limit):
                    quality = middle
                else:
                    fails = middle
            return self._try(kind, quality)
        return None

    def _holds_within(self, kind: str, quality: int, limit: int) -> bool:
        """Say whether a file holds the picture within a limit, without encoding it if it does not.

        What it shows is that of the file with the standard tables, which takes a fifth of the time.
        """
        if quality not in self.measured[kind]:
            twin = baseline(self.image, quality, kind)
            self.measured[kind][quality] = self.measure(twin), len(twin)
        shown, _ = self.measured[kind][quality]
        return shown.holds(self.exact_mse) and len(self._try(kind, quality).data) <= limit

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

    def _line(self, kind: str, goal: int, highest: int) -> Line:
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
            line = Line.between(*self._quick_sizes(kind, first, second)).scaled(ratio)
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
            self.measured[kind][quality] = jpeg.shown, len(jpeg.twin)
            self.factors[kind] = len(jpeg.data) / self.curves[kind].size(quality)
        return tried[quality]
