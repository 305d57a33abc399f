"""Pixels to palette indices so that areas keep their colour: error diffusion and ordered dithering.

All arithmetic is on integers. A pixel that owes nothing and is owed nothing gets its nearest entry
as `mapping.PaletteMap` finds it, so that an image of the palette's colours comes back unchanged.
Any other colour, one that is changed by an error or is to be mixed, is looked up in a lattice of
64x64x64 colours, whose nearest entries are exact in the working space: 6 bits a channel are as good
as 8 there, because what the rounding does to a pixel is part of the error that its neighbours make
good, and a table of that size stays in the cache.

Error diffusion [1]_ goes through the rows two by two, in turn from left to right and from right to
left: rows 0 and 1, then back through 2 and 3. As even as turning after every row
(benchmarks/bench_dither.py), and the second row of a pair can follow the first closely. With the
strength s in 64ths an entry P leaves of a pixel's value v, in 64ths, the error
e = s (v - 64 P), of which 7, 3, 5 and 1 sixteenths go to the next pixel and the three below. v is
the pixel's colour and what it has been handed, of which no more than half the longest edge of the
palette's minimum spanning tree counts for the error: mixing neighbours needs no more, and more
comes from colours that the palette cannot mix at all, which would smear. Errors stay in sRGB: there
they are as visible in the dark as in the light, entries are close enough for the way light adds up
to make little difference, and sums stay exact.

"adaptive" lets a pixel take only a part of the error, from 0 to 64 64ths, the product of three
(`_levels`): is there a gradient around (steps so small that banding could be seen, or else the area
is flat and stays clean), is there no edge here (contrast beyond the palette's own steps hides
quantization and must not be smeared), and how far is the nearest entry (a colour that is nearly in
the palette needs no dots of other colours).

Ordered dithering gives a colour n entries whose mean is near the colour, by handing on the error
from one choice to the next [2]_, sorts them from dark to light, and lets a threshold pattern pick:
an 8x8 Bayer matrix [3]_ or blue noise made by void-and-cluster [4]_ (tools/make_blue_noise.py).
Mixtures are made for the lattice's colours as they are met, eight at a time; a colour between them
takes the lower or the upper one in each channel, which further parts of the pattern decide, so that
its mean is kept.

With alpha all of this is done on premultiplied values. A pixel takes of an error the share that its
opacity shows of it: no dots where a soft edge fades. Opaque pixels stay opaque and fully
transparent ones clear; between them alpha is dithered as the colours are, lest soft shadows get
bands. Once such a pixel is changed, the nearest of places that lie 4 levels apart in each of four
coordinates stands for it: a memo keeps their owners. In ordered dithering it mixes two entries: the
nearest to it, and the nearest to its mirror image in that one.

References
----------
.. [1] Floyd, R. W. and Steinberg, L. (1976). An adaptive algorithm for spatial greyscale. Proc.
   Society for Information Display 17(2), 75-77.
.. [2] Yliluoma, J. (2011). Joel Yliluoma's arbitrary-palette positional dithering algorithm.
.. [3] Bayer, B. E. (1973). An optimum method for two-level rendition of continuous-tone pictures.
   IEEE Int. Conf. Communications 26, 11-15.
.. [4] Ulichney, R. A. (1993). The void-and-cluster method for dither array generation. Proc. SPIE
   1913, 332-343.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from kmeans_c import _kernels, spaces, threads
from kmeans_c.alpha import OPAQUE, solid_entries
from kmeans_c.checks import check_choice
from kmeans_c.mapping import PaletteMap, padded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Indices = NDArray[Any]

DITHERS = ("none", "floyd-steinberg", "adaptive", "bayer", "blue-noise")

FULL = 64  # strength and levels are in 64ths
SIDE = 64  # the lattice's colours in a channel, and the pattern's period
LATTICE = SIDE**3
LATTICE_SLICE = 1 << 16
CELL = 8  # of the lattice's colours: 2x2x2, whose mixtures are made together
SLICE = 1 << 21  # pixels between looks at signals: some 20 ms
SLICE_COMPARED = 1 << 27  # and comparisons with an entry, of pixels that are not opaque
SLOTS = 1 << 16  # of a memo (lattice.pxd): half a MiB, in the cache
FIRST_SLICE = 1 << 14  # of ordered dithering: its mixtures are missing, later ones' hardly
SHARE = 1 << 18  # pixels that are worth a thread: at least a millisecond of each loop
SHARE_ENTRIES = 1 << 11  # entries for which the lattice's search is: some 10 ms

# Entries of a mixture: as many as make steps of 16 levels between two entries that lie as far apart
# as the tree's mean edge. Steps of 8 take twice the time and are worse at K=16, 64 and 256, by the
# error after blurring and by SSIM: more entries bring in some farther away (bench_dither.py).
LEAST_MIXED, MOST_MIXED, MIXED_STEP = 4, 32, 16

# What an opaque pixel may become once an error has changed it, in a palette without opaque entries:
# an entry that is hardly less opaque than the most opaque one, or opaque areas would get holes.
SOLID = 8

# The tree of a larger palette would take longer than many an image: evenly taken entries stand for
# it, and their edges are no shorter.
TREE_ENTRIES = 1024

# In the mean edge of the palette's tree. Measured on photos and graphics by the error after
# blurring and by SSIM (benchmarks/bench_dither.py): the dead zone improves SSIM at no cost; edges
# from half or the whole of it on took more of the first than they brought of the second.
DEAD_ZONE = 8  # where the nearest entry is within the 8th of it, an error is taken in part;
DEAD_MOST = 8 * 64  # where few entries lie far apart, only within 8 levels
EDGE_FROM, EDGE_TO = 2, 4  # contrast from which less, and from which nothing is taken
SOFT = 4  # contrast up to the 4th of it makes a gradient
SOFT_LEAST = 2  # but that of two levels always
SOFT_PIXELS = 2  # so many in a block of 8x8, or in
SOFT_REACH = 2  # one of so many blocks around it


def dither(
    pixels: Pixels,
    palette: Pixels,
    method: str,
    *,
    strength: float = 1.0,
    space: str = "srgb",
    nearest: Indices | None = None,
    n_threads: int | None = None,
) -> Indices:
    """Return an entry for every pixel so that areas have the pixels' mean colour.

    Parameters
    ----------
    pixels : uint8 array (H, W) or (H, W, channels)
        C-contiguous; grey (1 channel), RGB or RGBA.
    palette : uint8 array (K, channels)
        1 to 65,536 distinct entries.
    method : {"none", "floyd-steinberg", "adaptive", "bayer", "blue-noise"}
    strength : float
        0..1, rounded to 64ths: the share of an error that is made good. 0 is "none".
    space : str
        Where entries are nearest. Pixels that are neither opaque nor clear are compared in sRGB
        once they are changed.
    nearest : integer array (H, W), optional
        Each pixel's nearest entry in that space, if it is known; only read.
    n_threads : int, optional
        The result does not depend on it. Error diffusion itself runs on one: every pixel waits
        for the one before.

    Returns
    -------
    uint8 or, for more than 256 entries, uint16 array (H, W)

    Raises
    ------
    TypeError
        If `method` or `strength` is of the wrong kind.
    ValueError
        If `method` is not one of these, or `strength` not in 0..1.
    """
    check_choice("dither", method, DITHERS)
    parts = check_strength(strength)
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    team = threads.team(threads.thread_count(n_threads), pixels.size // pixels.shape[2], SHARE)
    if nearest is None:
        if space != "srgb":
            raise ValueError("nearest: expected indices where the space is not srgb")
        nearest = PaletteMap(palette).map(pixels, n_threads=team)
    nearest = nearest.astype(np.uint8 if len(palette) <= 256 else np.uint16, copy=False)
    if method == "none" or parts == 0 or nearest.size == 0:
        return nearest.copy()
    entries = Entries(palette, space, team)
    if method in ("bayer", "blue-noise"):
        return _order(pixels, entries, nearest, method, strength=parts, team=team)
    return _diffuse(pixels, entries, nearest, parts, team, adaptive=method == "adaptive")


class Entries:
    """A palette as the kernels read it, and the nearest entry of each of the lattice's colours.

    Parameters
    ----------
    colors : uint8 array (K, channels)
    space : str
    n_threads : int
    """

    def __init__(self, colors: Pixels, space: str, n_threads: int) -> None:
        self.colors = np.ascontiguousarray(colors)
        self.K, self.channels = colors.shape
        self.planes = _candidates(spaces.coordinates(self.colors), self.K)
        clamped = np.clip(np.arange(-256, 512), 0, 255)
        if self.channels == 1:
            self.places = clamped.astype(np.uint32)[np.newaxis]
        else:
            spread = _spread((63 * clamped + 127) // 255)
            self.places = np.stack([spread << 2, spread << 1, spread])
        self.table = self._own(space, n_threads)

    def _own(self, space: str, n_threads: int) -> Indices:
        solid = solid_entries(self.colors)
        if self.channels == 4 and self.colors[solid[0], 3] < OPAQUE:
            alpha = self.colors[:, 3].astype(np.int32)
            solid = np.flatnonzero(alpha >= alpha.max() - SOLID).astype(np.int32)
        # Opaque colours differ in three coordinates.
        used = 3 if self.channels == 4 and self.colors[solid, 3].min() == 255 else self.channels
        opaque = np.ascontiguousarray(self.colors[solid, :used])
        planes = spaces.coordinates(opaque, space)[:, : len(solid)]
        candidates = _candidates(planes, len(solid))
        packed = np.zeros((len(solid), 8), np.int32)
        packed[:, : len(planes)] = 2 * planes.T
        packed[:, 4] = (planes**2).sum(axis=0)
        slack = np.zeros(candidates.shape[1], np.float32)
        team = threads.team(n_threads, self.K, SHARE_ENTRIES)
        scratch = np.empty((team, 6 * candidates.shape[1]), np.int32)
        colors = _greys() if self.channels == 1 else _lattice()
        dtype = np.uint8 if self.K <= 256 else np.uint16
        table = np.empty(len(colors), dtype)
        for start in range(0, len(colors), LATTICE_SLICE):
            stop = start + LATTICE_SLICE
            piece = colors[start:stop]
            if used == 4:
                piece = np.concatenate([piece, np.full((len(piece), 1), 255, np.uint8)], axis=1)
            _kernels.lattice.own_blocks(
                spaces.coordinates(piece, space), candidates, packed, slack, scratch,
                table[start:stop], threads.simd_level(),
            )  # fmt: skip
        return table if len(solid) == self.K else solid.astype(dtype)[table]

    def over_black(self) -> NDArray[np.int32]:
        """The entries' channels times 64, premultiplied and rounded as in spaces.py."""
        colors = self.colors.astype(np.int32)
        if self.channels < 4:
            return 64 * colors
        alpha = colors[:, 3:]
        return np.concatenate([(128 * colors[:, :3] * alpha + 255) // 510, 64 * alpha], axis=1)

    def edges(self) -> NDArray[np.int64]:
        """The lengths of the edges of the entries' minimum spanning tree, in 64ths, rounded."""
        step = -(-self.K // TREE_ENTRIES)
        points = np.ascontiguousarray(self.planes[:4, : self.K : step].T)
        squares = np.zeros(len(points) - 1, np.int32)
        _kernels.lattice.tree_edges(
            points, np.empty(len(points), np.int32), np.zeros(len(points), np.uint8), squares
        )
        # The root of a whole number below 2^53 is rounded the same way everywhere.
        lengths: NDArray[np.int64] = np.rint(np.sqrt(squares.astype(np.float64))).astype(np.int64)
        return lengths


def _spacing(edges: NDArray[np.int64]) -> int:
    """The mean edge of the tree, in 64ths."""
    total = int(edges.sum())
    return total // max(len(edges), 1)


def _slice_size(entries: Entries) -> int:
    """Pixels between looks at signals, if each of RGBA's had to be compared with all entries."""
    if entries.channels < 4:
        return SLICE
    return max(1, min(SLICE, SLICE_COMPARED // len(entries.colors)))


# ---- error diffusion


def _diffuse(
    pixels: Pixels, entries: Entries, nearest: Indices, strength: int, team: int, *, adaptive: bool
) -> Indices:
    height, width, channels = pixels.shape
    edges = entries.edges()
    limit = int(edges.max(initial=0)) // 2
    levels = np.zeros((1, width), np.uint8)
    if adaptive:
        levels = _levels(pixels, entries, nearest, _spacing(edges), team)
    shares = np.zeros((entries.K, 4), np.int32)
    shares[:, :channels] = strength * entries.over_black()
    errors = np.zeros((width + 2, channels), np.int32)
    state = np.zeros(30, np.int64)
    slots = np.zeros(SLOTS if channels == 4 else 1, np.uint64)
    indices = nearest.copy()
    size = _slice_size(entries)
    while state[0] < height:
        _kernels.diffusion.diffuse(
            pixels, levels, adaptive, entries.table, entries.places, shares, entries.planes, slots,
            strength, limit, errors, state, indices, size, threads.simd_level(),
        )  # fmt: skip
    return indices


def _levels(
    pixels: Pixels, entries: Entries, nearest: Indices, spacing: int, team: int
) -> NDArray[np.uint8]:
    """How much of an error each pixel may take, in 64ths; `spacing` is the tree's mean edge."""
    height, width, _ = pixels.shape
    blocks = -(-height // 8), -(-width // 8)
    levels = np.empty((height, width), np.uint8)
    soft = np.empty(blocks, np.int32)
    softest = max(SOFT_LEAST, spacing // (64 * SOFT))
    step = max(1, SLICE // (8 * width))
    for first in range(0, blocks[0], step):
        last = min(first + step, blocks[0])
        _kernels.activity.contrasts(
            pixels, levels, soft, softest, first, last, team, threads.simd_level()
        )
    calm = _around(soft >= SOFT_PIXELS, SOFT_REACH, np.logical_or)
    calm = _around(calm.astype(np.int64), 1, np.add) * FULL // 9
    calm = np.pad(calm.astype(np.uint8), 1, mode="edge")
    every = np.arange(256)
    of_contrast = FULL * (EDGE_TO * spacing - 64 * every)
    of_contrast //= max((EDGE_TO - EDGE_FROM) * spacing, 1)
    of_error = FULL * 64 * every // max(min(spacing // DEAD_ZONE, DEAD_MOST), 1)
    colors = np.zeros((entries.K, 4), np.uint8)
    colors[:, : entries.channels] = entries.colors
    for first in range(0, height, 8 * step):
        _kernels.activity.weigh(
            pixels, nearest, colors, calm,
            np.empty((min(8 * step, height - first), blocks[1] + 2), np.int32),
            np.clip(of_contrast, 0, FULL).astype(np.int32),
            np.clip(of_error, 0, FULL).astype(np.int32),
            levels, first, team, threads.simd_level(),
        )  # fmt: skip
    return levels


def _around(blocks: NDArray[Any], reach: int, combine: np.ufunc) -> NDArray[Any]:
    """Combine each block with those up to `reach` away; the border's are repeated outwards."""
    for axis in (0, 1):
        wide = np.pad(blocks, [(reach, reach) if a == axis else (0, 0) for a in (0, 1)], "edge")
        shifted = [
            np.take(wide, range(start, start + blocks.shape[axis]), axis)
            for start in range(2 * reach + 1)
        ]
        blocks = functools.reduce(combine, shifted)
    return blocks


# ---- ordered dithering


def _order(
    pixels: Pixels,
    entries: Entries,
    nearest: Indices,
    method: str,
    *,
    strength: int,
    team: int,
) -> Indices:
    height, width, channels = pixels.shape
    level = threads.simd_level()
    values = np.empty(256 if channels == 1 else SIDE, np.int32)
    values[:] = (FULL * 255 * np.arange(len(values)) + len(values) // 2 - 1) // (len(values) - 1)
    size = 256 if channels == 1 else LATTICE
    edges = entries.edges()
    limit = int(edges.max(initial=0)) // 2
    n_mixed = LEAST_MIXED
    while n_mixed < MOST_MIXED and 64 * MIXED_STEP * n_mixed < _spacing(edges):
        n_mixed *= 2
    pattern = _pattern(method, n_mixed)
    # Zeros: what is not known yet is read, and read again once it is.
    mixtures = np.zeros((size, n_mixed), nearest.dtype)
    unknown = np.ones(size // CELL, np.uint8)
    slots = np.zeros((team, SLOTS if channels == 4 else 1), np.uint64)
    by_rank, over_black = _ranked(entries.over_black())
    colors = _opaque_colors(entries.colors)
    indices = np.empty_like(nearest)
    first, rows = 0, max(1, FIRST_SLICE // width)
    most_rows = max(1, _slice_size(entries) * team // width)
    while first < height:
        piece = slice(first, first + rows)
        skipped = np.ones((len(nearest[piece]), -(-width // SIDE)), np.uint8)
        missed = np.ones(len(skipped), np.uint8)
        while True:
            wanted = np.zeros((team, len(unknown)), np.uint8)
            _kernels.ordered.dither_rows(
                pixels[piece], nearest[piece], colors, pattern, mixtures, unknown, entries.planes,
                slots, strength, indices[piece], skipped, missed, wanted, first, level,
            )  # fmt: skip
            if not missed.any():
                break
            _kernels.ordered.mix_wanted(
                wanted.max(axis=0), values, entries.table, entries.places, over_black, by_rank,
                strength, limit, mixtures, unknown, team, level,
            )  # fmt: skip
        first += rows
        rows = max(1, min(4 * rows, most_rows))
    return indices


def _pattern(method: str, n_mixed: int) -> NDArray[np.uint8]:
    """Which entry of a mixture a place picks, and what it adds to the three channels in 256ths."""
    if method == "bayer":
        ranks, size = np.zeros((1, 1), np.int64), 64
        for _ in range(3):
            ranks = np.block([[4 * ranks, 4 * ranks + 2], [4 * ranks + 3, 4 * ranks + 1]])
        ranks = np.tile(ranks, (8, 8))
    else:
        ranks, size = blue_noise().astype(np.int64), SIDE**2
    # Far from each other on the torus, and in the matrix, so that the channels do not move as one.
    moved = [np.roll(ranks, shift, axis=(0, 1)) for shift in ((21, 43), (43, 21), (35, 33))]
    pattern = np.stack(
        [ranks * n_mixed // size, *((512 * other + 256) // (2 * size) for other in moved)], axis=1
    )
    return np.ascontiguousarray(pattern, np.uint8)


@functools.cache
def blue_noise() -> NDArray[np.uint16]:
    """The shipped mask: a 64x64 torus of the ranks 0..4095, by tools/make_blue_noise.py."""
    from importlib.resources import files  # noqa: PLC0415 - a tenth of this package's import time

    data = files("kmeans_c").joinpath("blue_noise.bin").read_bytes()
    return np.frombuffer(data, "<u2").reshape(SIDE, SIDE)


def _ranked(over_black: NDArray[np.int32]) -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
    """Entries from dark to light by Rec. 601 luma, and (K, 4) their channels and ranks."""
    out = np.zeros((len(over_black), 4), np.int32)
    out[:, :3] = over_black[:, :3]
    order = np.argsort(out[:, :3].astype(np.int64) @ np.array([299, 587, 114]), kind="stable")
    out[order, 3] = np.arange(len(order))
    return order.astype(np.uint16), out


def _opaque_colors(colors: Pixels) -> NDArray[np.uint32]:
    """Opaque entries as r + 256 g + 65536 b; others as what no colour is, and grey as 0."""
    if colors.shape[1] == 1:
        return np.zeros(len(colors), np.uint32)
    numbers = colors[:, :3].astype(np.uint32) @ np.array([1, 1 << 8, 1 << 16], np.uint32)
    if colors.shape[1] == 4:
        numbers[colors[:, 3] < 255] = 1 << 24
    return numbers.astype(np.uint32)


# ---- the lattice


def _candidates(planes: spaces.Coordinates, K: int) -> NDArray[np.int32]:
    """Coordinates and numbers of K entries, and the first again up to whole vectors."""
    candidates = np.zeros((5, padded(K)), np.int32)
    candidates[: len(planes)] = planes[:, :1]
    candidates[: len(planes), :K] = planes[:, :K]
    candidates[4, :K] = np.arange(K)
    return candidates


def _steps() -> NDArray[np.uint8]:
    """The lattice's values of a channel."""
    return ((255 * np.arange(SIDE) + 31) // 63).astype(np.uint8)


def _greys() -> NDArray[np.uint8]:
    return np.arange(256, dtype=np.uint8)[:, np.newaxis]


@functools.cache
def _lattice() -> NDArray[np.uint8]:
    """The lattice's colours in Z-order (keys.pxd)."""
    spread = _spread(np.arange(SIDE))
    red, green, blue = np.meshgrid(spread << 2, spread << 1, spread, indexing="ij")
    colors = np.empty((LATTICE, 3), np.uint8)
    colors[red | green | blue] = np.stack(np.meshgrid(*[_steps()] * 3, indexing="ij"), axis=-1)
    return colors


def _spread(values: NDArray[Any]) -> NDArray[np.uint32]:
    """Bit i of a number of 6 bits at bit 3 i."""
    numbers = np.asarray(values).astype(np.uint32)
    out = np.zeros_like(numbers)
    for bit in range(6):
        out |= (numbers >> np.uint32(bit) & np.uint32(1)) << np.uint32(3 * bit)
    return out


def check_strength(strength: object) -> int:
    """Check the argument `dither_strength`, a share, and return it in 64ths."""
    if isinstance(strength, bool) or not isinstance(strength, int | float | np.number):
        kind = type(strength).__name__
        raise TypeError(f"dither_strength: expected a number, got {kind}")
    number = float(strength)
    if not 0 <= number <= 1:
        raise ValueError(f"dither_strength: expected 0..1, got {strength}")
    return int(FULL * number + 0.5)
