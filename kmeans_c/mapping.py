"""Pixels to palette indices: each to its nearest entry, the first of equals.

Both ends of alpha are meanings: an opaque pixel takes an opaque entry, and a fully transparent
pixel a fully transparent entry, wherever the palette has one (alpha.py).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmeans_c import _kernels, spaces, threads
from kmeans_c._kernels import mapping as kernel
from kmeans_c.alpha import solid_entries
from kmeans_c.histogram import Histogram

Pixels = NDArray[np.uint8]
Indices = NDArray[Any]

# Up to this many entries, by SIMD level, comparing a pixel with all of them is faster than making
# and using a table; and so are this many comparisons in all (benchmarks/bench_stages.py).
COMPARE_K = (4, 32, 48)
COMPARE_ALL = 1 << 23

# A table of the image's own colours costs little to make. It loses its advantage where it fills
# the cache: with this many colours for each entry, by SIMD level.
COMPARE_COLORS = (1 << 20, 1 << 17, 1 << 16)

CELLS = 1 << 15
RUN = 1024
SAMPLE = 16
SLICE = 1 << 22
UNKNOWN = 3


def map_counted(
    pixels: Pixels,
    histogram: Histogram,
    palette: Pixels,
    owners: Indices,
    space: str = "srgb",
    *,
    n_threads: int,
) -> Indices:
    """Return the index of every pixel's entry, where a histogram has counted all of the pixels.

    Parameters
    ----------
    pixels : uint8 array (..., channels)
    histogram : Histogram
        Of these pixels, and perhaps others.
    palette : uint8 array (K, channels)
    owners : integer array
        The entry of each of the histogram's colours.
    space : str
        Where distances were measured: away from srgb only the owners know the nearest entry.
    n_threads : int
    """
    mapper = PaletteMap(palette)
    foreign = space != "srgb"
    if mapper.channels == 4 and (foreign or len(palette) == len(histogram)):
        # All colours are kept, also those that are too faint to lie in different places.
        return mapper.look_up_exactly(pixels, histogram, owners, n_threads)
    table = mapper.channels > 1 and not mapper.compares(pixels[..., 0].size, len(histogram))
    if foreign or table:
        mapper.learn(histogram, owners, n_threads=n_threads)
    return mapper.map(pixels, n_threads=n_threads)


class PaletteMap:
    """The nearest entry of one palette for every colour, worked out as colours are met.

    Opaque colours are compared with opaque entries alone, if there are any.

    Distances are those of srgb (spaces.py). Not safe for use by two threads at once.

    Parameters
    ----------
    colors : uint8 array (K, channels)
        1 to 65,536 entries of 1, 3 or 4 channels.
    """

    def __init__(self, colors: NDArray[np.uint8]) -> None:
        self.channels = colors.shape[1]
        self.K = len(colors)
        self.dtype = np.dtype(np.uint8 if self.K <= 256 else np.uint16)
        planes = spaces.coordinates(colors)
        self.entries = np.ascontiguousarray(planes[:, : self.K].T)
        self.colors = colors
        self.solid = solid_entries(colors)
        self.table: tuple[NDArray[np.uint32], Indices] | None = None
        self.learnt: Indices | None = None

    def map(self, pixels: Pixels, *, n_threads: int | None = None) -> Indices:
        """Return the index of the nearest entry for every pixel.

        Parameters
        ----------
        pixels : uint8 array (..., channels)
            C-contiguous; anything else is copied first.
        n_threads : int, optional

        Returns
        -------
        uint8 or, for more than 256 entries, uint16 array (...)
        """
        flat = np.ascontiguousarray(pixels).reshape(-1, self.channels)
        # Two kernels share the work where there is alpha. A pixel that another thread changes
        # between them is left to neither, and keeps index 0.
        indices = (np.zeros if self.channels == 4 else np.empty)(len(flat), self.dtype)
        if self.channels == 1:
            self._take(flat, indices)
        elif self.channels == 4:
            self._map_alpha(flat, indices, threads.thread_count(n_threads))
        elif self.learnt is not None:
            self._take_learnt(flat, self.learnt, indices, threads.thread_count(n_threads))
        elif self.compares(len(flat)):
            self._compare(flat, indices, threads.thread_count(n_threads))
        else:
            self._look_up(flat, indices, threads.thread_count(n_threads))
        return indices.reshape(pixels.shape[:-1])

    def compares(self, n_pixels: int, n_colors: int | None = None) -> bool:
        """Whether so many pixels are compared with all entries, and no table is used.

        `n_colors`, if known: how many colours they have, and that `learn` could be called.
        """
        if n_pixels * self.K <= COMPARE_ALL:
            return True
        if self.channels == 4:
            return False
        level = threads.simd_level()
        if n_colors is not None and n_colors < self.K * COMPARE_COLORS[level]:
            return False
        return COMPARE_K[level] >= self.K

    def learn(
        self, histogram: Histogram, owners: NDArray[np.uint16], *, n_threads: int = 1
    ) -> None:
        """Take over what a clustering knows: the owner of each of the histogram's opaque colours.

        From then on only images whose colours are all in the histogram may be mapped.
        """
        # But for greys 16 or 32 MiB of address space: memory only where colours are.
        known = self.channels > 1
        self.learnt = np.empty(1 << 24, self.dtype) if known else np.zeros(256, self.dtype)
        if self.channels == 4:
            kernel.own_opaque(histogram.colors, owners, self.learnt, n_threads)
        else:
            kernel.own_colors(histogram.keys, owners, self.learnt, n_threads)

    def look_up_exactly(
        self, pixels: Pixels, histogram: Histogram, owners: Indices, n_threads: int
    ) -> Indices:
        """Return the owner of every RGBA pixel's colour, all of which are in the histogram."""
        flat = np.ascontiguousarray(pixels).reshape(-1, 4)
        indices = np.empty(len(flat), self.dtype)
        bits = (len(histogram) + len(histogram) // 2).bit_length()  # a third to two thirds full
        slots = np.empty((1 << bits, 2), np.uint32)
        _kernels.owners.fill_slots(histogram.keys, owners, slots, 32 - bits)
        for start in range(0, len(flat), SLICE):
            stop = start + SLICE
            _kernels.owners.take_rgba(
                flat[start:stop], slots, indices[start:stop], 32 - bits, n_threads
            )
        return indices.reshape(pixels.shape[:-1])

    def _table(self) -> tuple[NDArray[np.uint32], Indices]:
        if self.table is None:
            # 16 or 32 MiB of address space: memory only where cells are known.
            lower = np.empty(padded(self.K) + (1 << 24), self.dtype)
            lower[: self.K] = np.arange(self.K)
            self.table = np.full(CELLS, UNKNOWN, np.uint32), lower
        return self.table

    def _take(self, pixels: Pixels, indices: Indices) -> None:
        table = self.learnt
        if table is None:
            every = np.arange(256)[:, np.newaxis]
            table = abs(every - self.colors[:, 0].astype(int)).argmin(axis=1).astype(self.dtype)
        for start in range(0, len(pixels), SLICE):
            stop = start + SLICE
            kernel.take_grey(pixels[start:stop, 0], table, indices[start:stop])

    def _compare(self, pixels: Pixels, indices: Indices, n_threads: int) -> None:
        entries = np.zeros((self.K + 3 & ~3, 4), np.float32)
        entries[:, 3] = 1e30
        entries[: self.K, :3] = -128 * self.colors.astype(np.int32)
        entries[: self.K, 3] = 64 * (self.colors.astype(np.int32) ** 2).sum(axis=1)
        entries[: self.K, 3] += np.arange(self.K) % 64
        size = max(RUN, (1 << 26) // len(entries) * n_threads)
        for start in range(0, len(pixels), size):
            stop = start + size
            kernel.compare_rgb(
                pixels[start:stop], entries, indices[start:stop], n_threads, threads.simd_level()
            )

    def _look_up(self, pixels: Pixels, indices: Indices, n_threads: int) -> None:
        upper, lower = self._table()
        level = threads.simd_level()
        # Most of the cells at once, from a sample; then slice by slice those that it missed.
        self._want(pixels, np.ones(-(-len(pixels) // RUN), np.uint8), SAMPLE, n_threads)
        for start in range(0, len(pixels), SLICE):
            piece, out = pixels[start : start + SLICE], indices[start : start + SLICE]
            missed = np.ones(-(-len(piece) // RUN), np.uint8)
            kernel.look_up(piece, upper, lower, out, missed, n_threads, level)
            if missed.any():
                self._want(piece, missed, 1, n_threads)
                kernel.look_up(piece, upper, lower, out, missed, n_threads, level)

    def _take_learnt(
        self, pixels: Pixels, table: Indices, indices: Indices, n_threads: int
    ) -> None:
        level = threads.simd_level()
        for start in range(0, len(pixels), SLICE):
            stop = start + SLICE
            kernel.take_rgb(
                pixels[start:stop], table, indices[start:stop], self.K - 1, n_threads, level
            )

    def _want(self, pixels: Pixels, missed: NDArray[np.uint8], step: int, n_threads: int) -> None:
        wanted = np.zeros(CELLS, np.uint8)
        kernel.want_cells(pixels, missed, wanted, step)
        self._own_cells(wanted, 0, n_threads)

    def _own_cells(self, wanted: NDArray[np.uint8], fourth: int, n_threads: int) -> None:
        upper, lower = self._table()
        kernel.own_cells(
            self.entries, self.solid, wanted, upper, lower, fourth, n_threads, threads.simd_level()
        )

    def _map_alpha(self, pixels: Pixels, indices: Indices, n_threads: int) -> None:
        corners = spaces.coordinates(np.array([[0, 0, 0, 0], [0, 0, 0, 255]], np.uint8))
        distances = ((self.entries.astype(np.int64) - corners[:, 0]) ** 2).sum(axis=1)
        clear, opaque = int(distances.argmin()), int(corners[3, 1])
        every = np.arange(self.K, dtype=np.int32)
        level = threads.simd_level()
        all_compared = self.compares(len(pixels))
        size = max(RUN, min(SLICE, (1 << 26) // self.K))
        for start in range(0, len(pixels), size):
            piece, out = pixels[start : start + size], indices[start : start + size]
            kernel.own_alpha(piece, self.entries, every, False, clear, out, n_threads, level)
            if self.learnt is not None:
                kernel.take_opaque(piece, self.learnt, out, self.K - 1, n_threads, level)
            elif all_compared:
                kernel.own_alpha(piece, self.entries, self.solid, True, 0, out, n_threads, level)
            else:
                self._look_up_opaque(piece, opaque, out, n_threads)

    def _look_up_opaque(
        self, pixels: Pixels, fourth: int, indices: Indices, n_threads: int
    ) -> None:
        upper, lower = self._table()
        level = threads.simd_level()
        missed = np.ones(-(-len(pixels) // RUN), np.uint8)
        kernel.look_up_opaque(pixels, upper, lower, indices, missed, n_threads, level)
        if missed.any():
            wanted = np.zeros(CELLS, np.uint8)
            kernel.want_opaque(pixels, missed, wanted)
            self._own_cells(wanted, fourth, n_threads)
            kernel.look_up_opaque(pixels, upper, lower, indices, missed, n_threads, level)


def padded(K: int) -> int:
    """Where the cells begin in the table's lower level: the kernels' lists hold whole vectors."""
    return (K + 15) // 16 * 16
