"""What each number of colours costs: one image, many K, one go.

The image is counted once, and there is one tree and one search: from the smallest K to the
largest a centroid is added where that helps most, swaps and a few exact passes follow, and the
palette is rounded and judged. So a K takes a few milliseconds instead of some fifty.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from math import isqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from kmeans_c import spaces
from kmeans_c._kernels import perceptual as kernel
from kmeans_c._kernels.search import Search
from kmeans_c.checks import as_list, check_choice, check_int
from kmeans_c.clustering import Clusters, Fit, fit, kept_colors
from kmeans_c.colors import in_rgb
from kmeans_c.encoding import MAX_COLORS
from kmeans_c.histogram import Histogram
from kmeans_c.images import as_pixels
from kmeans_c.mapping import PaletteMap, map_counted
from kmeans_c.method import Method, as_method
from kmeans_c.perceptual import Judge
from kmeans_c.png import MOST_OPTIMIZE, OPTIMIZE, encode_png
from kmeans_c.quantize import SHARE
from kmeans_c.search import CELLS_A_CLUSTER, FIRST_PASSES, SLICE, cells_of, search_among
from kmeans_c.threads import team, thread_count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

SIZES = ("estimate", "png", "none")

# Rounds of Lloyd at each K. The next K starts from a search that knows nothing of them; at K = 2 to
# 256 one leaves 0.3 % of MSE in the mean above quantize's ten, four 0.2 % (photos and CQ100).
ITERS = 1

# A step of one K gets 4 / K of what a search from nothing would get, and at least a
# twenty-fourth: an eighth instead lowers the MSE by no more than 0.1 %.
SHARE_OF_STEP = 4
LEAST_SHARE = 24

COLORS = 1 << 20  # a kernel call: some 5 ms

LAST_PASSES = 2  # of Lloyd on the cells, after the swaps

# Pixels whose PNG says how the sizes go with K, in bands spread over the image: 1 ms a K.
SAMPLE = 1 << 15
BANDS = 8

# A sample is encoded for each K that is so many times the last; sizes between are interpolated.
NEXT_SAMPLED = 1.0625

# A PNG's bytes without palette and rows: signature, IHDR, the frames of PLTE and IDAT, IEND.
PNG_FRAME = 8 + 25 + 12 + 12 + 12


@dataclass(frozen=True, eq=False)
class SweepRow:
    """What K colours give.

    Attributes
    ----------
    K : int
        Colours that were asked for.
    mse : float
        As of `Quantized`: in levels of sRGB squared, summed over the channels.
    psnr : float
        The same in dB; infinite if lossless.
    delta_e : float
        Mean distance in Oklab, times 100, see `perceptual`.
    bytes : int or None
        Of a PNG; None where sizes were not asked for.
    palette : (n, 3) or (n, 4) array of uint8
        n = min(K, distinct colours of the image).
    """

    K: int
    mse: float
    psnr: float
    delta_e: float
    bytes: int | None
    palette: NDArray[np.uint8]

    def to_dict(self) -> dict[str, Any]:
        """Give the attributes by name, as plain values; None for an infinite PSNR, as in JSON."""
        return {
            "K": self.K,
            "mse": self.mse,
            "psnr": self.psnr if math.isfinite(self.psnr) else None,
            "delta_e": self.delta_e,
            "bytes": self.bytes,
            "palette": self.palette.tolist(),
        }


def sweep(
    image: Any,
    Ks: Iterable[int] | None = None,
    ITERS: int | None = ITERS,
    *,
    effort: str = "balanced",
    space: str = "srgb",
    sizes: str = "estimate",
    optimize: int = OPTIMIZE,
    seed: int | np.random.Generator | None = 0,
    n_threads: int | None = None,
) -> list[SweepRow]:
    """Find palettes of many sizes for an image, and what they cost in error and in bytes.

    Parameters
    ----------
    image : path, binary file object, PIL.Image.Image or array of uint8
        As for `quantize`.
    Ks : iterable of int, optional
        Numbers of colours, 1..256, in any order; by default 2 to 256.
    ITERS : int or None
        Rounds of Lloyd's algorithm on all colours for each K, at most; None: until nothing changes.
        They start near their end, so that one will do.
    effort, space, seed, n_threads
        As for `quantize`.
    sizes : {"estimate", "png", "none"}
        What `bytes` is. "png": the image is encoded for each K. "estimate": a sample of it is, and
        the whole for one K in the middle, which gives the scale: half of the sizes are off by
        less than 5 %, three quarters by less than 9 %, and 95 % by less than 20 %.
    optimize : int
        0..6: how hard the PNG encoder tries, see `png.encode_png`.

    Returns
    -------
    list of SweepRow
        One for each of `Ks`, ascending. `plot.plot_sweep` draws them.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, or impossible.
    OSError
        If a file cannot be read or is damaged.

    Notes
    -----
    Errors are exact, and the same on every machine. They are mostly within 1 % of what `quantize`
    reaches at the same K, above or below; the more K there are between two that were asked for,
    the nearer. They need not fall with every step of K.
    """
    wanted = _as_Ks(Ks)
    ITERS = None if ITERS is None else check_int("ITERS", ITERS, 0)
    check_choice("sizes", sizes, SIZES)
    optimize = check_int("optimize", optimize, 0, MOST_OPTIMIZE)
    method = as_method(1, init="search", effort=effort, space=space, keep=None, seed=seed)
    pixels = as_pixels(image)
    if pixels.ndim == 2:
        pixels = pixels[:, :, np.newaxis]
    threads = team(thread_count(n_threads), pixels.shape[0] * pixels.shape[1], SHARE)
    histogram = Histogram(pixels.shape[2]).add(pixels, n_threads=threads)
    errors = _Errors(histogram, space, threads)
    measured = _Sizes(pixels, histogram, space, optimize, threads)
    middle = len(wanted) // 2
    sampled: dict[int, int] = {}
    scale = 1.0
    rows = []
    fits = _fits(histogram, wanted, ITERS, method, threads)
    for place, (K, found) in enumerate(zip(wanted, fits, strict=True)):
        mse, delta_e = errors.of(found)
        size = measured.real(found) if sizes == "png" else None
        ends = place in (0, middle, len(wanted) - 1)
        if sizes == "estimate" and (ends or NEXT_SAMPLED * max(sampled) <= K):
            sampled[K] = measured.sampled(found.palette)
            if place == middle:
                scale = measured.scale(sampled[K], found)
        psnr = 10 * math.log10(3 * 255**2 / mse) if mse else math.inf
        rows.append(SweepRow(K, mse, psnr, delta_e, size, in_rgb(found.palette)))
    if sizes == "estimate":
        known = np.interp(wanted, list(sampled), list(sampled.values())).tolist()
        rows = [
            replace(row, bytes=_scaled(size, row.palette, scale))
            for row, size in zip(rows, known, strict=True)
        ]
    return rows


def _as_Ks(Ks: Iterable[int] | None) -> list[int]:  # noqa: N802 - the argument's name
    if Ks is None:
        return list(range(2, MAX_COLORS + 1))
    listed = as_list("Ks", Ks, "integers")
    wanted = sorted({check_int("Ks", K, 1, MAX_COLORS) for K in listed})
    if not wanted:
        raise ValueError("Ks: expected at least one, got none")
    return wanted


def _fits(
    histogram: Histogram, Ks: list[int], ITERS: int | None, method: Method, n_threads: int
) -> Iterator[Fit]:
    """Fit a palette for each of ascending K."""
    clusters = Clusters(histogram, n_threads, method.space)
    kept = kept_colors(histogram, method.keep, 2)
    fixed = clusters.places(kept)
    searched = [K for K in Ks if len(kept) < K < len(histogram)]
    search, before = None, len(kept)
    for K in Ks:
        if K not in searched or K == 1:
            yield fit(histogram, K, ITERS, method, n_threads=n_threads, clusters=clusters)
            continue
        if search is None:
            cells = method.effort.cells * isqrt(16 * searched[-1]) // 4
            gathered = cells_of(
                clusters.tree,
                clusters.keys,
                int(clusters.weights.sum()),
                max(cells, CELLS_A_CLUSTER * searched[-1]),
            )
            # On one thread: a step of one K is too short to be shared.
            search = search_among(
                gathered,
                fixed,
                searched[-1],
                seed=method.draw.word(),
                n_threads=1,
                level=clusters.level,
            )
        _search(search, K, before, method)
        before = K
        centroids = np.empty((search.K, clusters.tree.D), np.int32)
        search.centroids(centroids)
        # Copies have no members: they are refilled.
        copies = np.repeat(centroids[-1:], K - len(centroids), axis=0)
        moved, n_iter = clusters.iterate(np.concatenate([centroids, copies]), ITERS, len(kept))
        yield clusters.rounded(moved, kept, 0)._replace(n_iter=n_iter)


def _search(search: Search, K: int, before: int, method: Method) -> None:
    """Go on from `before` clusters to K."""
    first = search.work == 0
    search.grow(K)
    if first:
        search.settle(FIRST_PASSES)
    search.start()
    whole = method.effort.distances * isqrt(16 * K) // 4
    budget = max(min(whole, SHARE_OF_STEP * (K - before) * whole // K), whole // LEAST_SHARE)
    while budget > 0 and search.improve(min(budget, SLICE), method.effort.patience):
        budget -= SLICE
    search.settle(LAST_PASSES)


class _Errors:
    """The errors of palettes in both measures, whatever space they were found in."""

    def __init__(self, histogram: Histogram, space: str, n_threads: int) -> None:
        self.judge = Judge(histogram, n_threads)
        self.n_pixels = int(histogram.counts.sum())
        self.channels = histogram.channels
        self.plain = None if space == "srgb" else Clusters(histogram, n_threads)

    def of(self, found: Fit) -> tuple[float, float]:
        inertia = found.inertia if self.plain is None else self._inertia(self.plain, found)
        mse = spaces.mean_squared_error(inertia, self.n_pixels, self.channels)
        return mse, self.judge.differences(found.palette, found.owners).mean

    def _inertia(self, plain: Clusters, found: Fit) -> int:
        sums = np.zeros((len(found.palette), self.channels + 1), np.int64)
        planes = plain.points[: self.channels]
        for first in range(0, len(plain.weights), COLORS):
            last = min(first + COLORS, len(plain.weights))
            kernel.add_sums(planes, plain.weights, found.owners, sums, first, last)
        return plain.inertia(found.palette, sums)


class _Sizes:
    """Bytes of a PNG: of the whole image, or in proportion to those of a sample."""

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        histogram: Histogram,
        space: str,
        optimize: int,
        n_threads: int,
    ) -> None:
        self.pixels = pixels
        self.histogram = histogram
        self.space = space
        self.optimize = optimize
        self.n_threads = n_threads
        self.sample = _sample(pixels)

    def real(self, found: Fit) -> int:
        indices = map_counted(
            self.pixels,
            self.histogram,
            found.palette,
            found.owners,
            self.space,
            n_threads=self.n_threads,
        )
        return len(encode_png(in_rgb(found.palette), indices, self.optimize))

    def sampled(self, palette: NDArray[np.uint8]) -> int:
        indices = PaletteMap(palette).map(self.sample, n_threads=1)
        return len(encode_png(in_rgb(palette), indices, 0))

    def scale(self, sampled: int, found: Fit) -> float:
        """How many bytes of the image's rows one of the sample's stands for."""
        frame = _frame(in_rgb(found.palette))
        return (self.real(found) - frame) / max(1, sampled - frame)


def _scaled(sampled: float, palette: NDArray[np.uint8], scale: float) -> int:
    frame = _frame(palette)
    return round(frame + scale * max(0, sampled - frame))


def _frame(palette: NDArray[np.uint8]) -> int:
    """A PNG's bytes apart from the rows."""
    return PNG_FRAME + palette.size


def _sample(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    rows = max(1, SAMPLE // (BANDS * width))
    if rows * BANDS >= height:
        return pixels
    starts = np.linspace(0, height - rows, BANDS).astype(int)
    return np.concatenate([pixels[start : start + rows] for start in starts.tolist()])
