"""Exact counts of an image's colours: whatever the source, clustering reads one of these."""

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kmeans_c import tables, threads
from kmeans_c._kernels import histogram as kernel
from kmeans_c.checks import as_array, check_int

__all__ = ["Histogram"]

Keys = NDArray[np.uint32]
Counts = NDArray[np.int64]
Pixels = NDArray[np.uint8]

# Up to here sorting the keys is faster than a table of 16 MiB (benchmarks/bench_stages.py).
SORT_BELOW = 1 << 17

# Pixels a kernel call: some 10 ms, so that Ctrl-C is seen in time.
SLICE = 1 << 22

# Pixels copied at a time where they do not lie side by side: 2 MiB at most.
COPIED = 1 << 19

# Pixels a kernel call where all of them, or what is translucent, may be sorted: 24 MiB.
SORTED = 1 << 20

# The overflow lists are summed up after so many pixels, which bounds them to 1 MiB a table.
ROUND = 1 << 26

STEP = 255  # pixels that a key in the kernel's overflow list stands for

# Sums of 2^14 coordinates times weights, doubled for rounding, stay below 2^63.
MAX_TOTAL = 1 << 47
TOO_MANY = "pixels: expected at most 2^47 in one Histogram"


class Histogram:
    """How often each colour occurs, exactly.

    Pixels may be added in any number of pieces and in any order, and histograms merged: equal
    pixels give equal histograms. Memory grows with the colours seen, not with the pixels.

    Parameters
    ----------
    channels : {3, 4, 1}
        3: RGB, 4: RGBA (not premultiplied), 1: grey. Fully transparent pixels are one colour,
        (0, 0, 0, 0).

    Notes
    -----
    Colours stand in Z-order (Morton order): sorted by the number that has the channels' bits
    interleaved, highest first, alpha before red before green before blue. Greys ascend.
    """

    __slots__ = ("_parts", "channels")

    def __init__(self, channels: int = 3) -> None:
        self.channels = check_int("channels", channels, 1, 4)
        if self.channels == 2:
            raise ValueError("channels: expected 1, 3 or 4, got 2")
        self._parts: list[tuple[Keys, Counts]] = []

    def add(
        self,
        pixels: NDArray[np.uint8],
        weights: NDArray[np.integer[Any]] | None = None,
        *,
        n_threads: int | None = None,
    ) -> Self:
        """Count pixels.

        Parameters
        ----------
        pixels : uint8 array (..., channels), or (...) for grey
        weights : integer array (...), optional
            How often each pixel counts; a pixel of weight 0 is left out. ``merge(h)`` and
            ``add(h.colors, h.counts)`` do the same.
        n_threads : int, optional

        Returns
        -------
        Histogram
            Itself.
        """
        pixels = self._as_pixels(pixels)
        # Before any work: a view may have far more pixels than there is memory.
        if pixels.size // self.channels > MAX_TOTAL - (self._total() if weights is None else 0):
            raise ValueError(TOO_MANY)
        if weights is not None:
            weights = as_weights(weights, pixels.shape[:-1], grey=self.channels == 1)
        n_threads = threads.thread_count(n_threads)
        if pixels.size:
            # Counted apart: what fails, or is interrupted, adds nothing.
            part = Histogram(self.channels)
            part._count(pixels, weights, n_threads)
            self._append(*part._folded())
        return self

    def merge(self, other: "Histogram") -> Self:
        """Add another histogram's counts; `other` stays as it is."""
        if not isinstance(other, Histogram):
            raise TypeError(f"other: expected a Histogram, got {type(other).__name__}")
        if other.channels != self.channels:
            raise ValueError(f"other: expected {self.channels} channels, got {other.channels}")
        keys, counts = other.checked("other")._folded()
        if self._total() + int(counts.sum()) > MAX_TOTAL:
            raise ValueError(TOO_MANY)
        self._append(keys, counts)
        return self

    def checked(self, name: str = "histogram") -> Self:
        """Return a copy whose arrays are what they should be, whatever was written to these.

        Raises
        ------
        TypeError, ValueError
            If an array is of the wrong kind or impossible.
        """
        copy = type(self)(self.channels)
        copy._parts = [(frozen(k.copy()), frozen(c.copy())) for k, c in [self._folded()]]
        keys, counts = copy._parts[0]
        check_parts(name, keys, counts, copy.channels)
        return copy

    @property
    def has_transparent(self) -> bool:
        """Whether a pixel is fully transparent: the first colour is then (0, 0, 0, 0)."""
        return self.channels == 4 and len(self) > 0 and int(self.keys[0]) == 0

    def has(self, color: NDArray[np.uint8]) -> bool:
        """Whether a colour (channels,) has been counted."""
        key = np.empty(1, np.uint32)
        kernel.make_keys(np.ascontiguousarray(color)[np.newaxis], key)
        place = int(np.searchsorted(self.keys, key[0]))
        return place < len(self) and bool(self.keys[place] == key[0])

    @property
    def keys(self) -> Keys:
        """The colours' Z-order numbers, ascending."""
        return self._folded()[0]

    @property
    def counts(self) -> Counts:
        """How often each colour occurs, in the order of `colors`."""
        return self._folded()[1]

    @property
    def colors(self) -> NDArray[np.uint8]:
        """The distinct colours, (n, channels)."""
        keys = self.keys
        colors = np.empty((len(keys), self.channels), np.uint8)
        kernel.decode_keys(keys, colors)
        return colors

    @property
    def total(self) -> int:
        """The number of pixels, or the sum of their weights."""
        return int(self.counts.sum())

    def __len__(self) -> int:
        return len(self.keys)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return (
            self.channels == other.channels
            and np.array_equal(self.keys, other.keys)
            and np.array_equal(self.counts, other.counts)
        )

    __hash__ = None  # type: ignore[assignment]  # it can grow

    def __repr__(self) -> str:
        return f"<Histogram: {len(self)} colours of {self.channels} channels, {self.total} pixels>"

    def __getstate__(self) -> tuple[int, Keys, Counts]:
        return (self.channels, *self._folded())

    def __setstate__(self, state: tuple[int, Keys, Counts]) -> None:
        channels, keys, counts = state
        Histogram.__init__(self, channels)
        check_parts("state", keys, counts, self.channels)
        self._parts = [(frozen(keys), frozen(counts))]

    def _as_pixels(self, pixels: NDArray[np.uint8]) -> Pixels:
        if not isinstance(pixels, np.ndarray):
            raise TypeError(f"pixels: expected a NumPy array, got {type(pixels).__name__}")
        if pixels.dtype != np.uint8:
            raise TypeError(f"pixels: expected uint8, got {pixels.dtype}")
        if self.channels == 1 and pixels.ndim in (1, 2) and pixels.shape[1:] != (1,):
            return pixels[..., np.newaxis]
        if pixels.ndim < 2 or pixels.shape[-1] != self.channels:
            raise ValueError(f"pixels: expected (..., {self.channels}), got {pixels.shape}")
        return pixels

    def _count(self, pixels: Pixels, weights: Counts | None, n_threads: int) -> None:
        if weights is not None:
            self._weigh(pixels, weights)
        elif self.channels == 1:
            counts = np.zeros(256, np.int64)
            for piece in pieces(pixels):
                kernel.count_grey(piece.reshape(-1), counts)
            self._append(*listed(counts))
        elif pixels.size < self.channels * SORT_BELOW:
            for piece in pieces(pixels):
                keys = np.empty(len(piece), np.uint32)
                kernel.make_keys(piece, keys)
                self._append(*sorted_keys(keys))
        else:
            self._append(*self._by_table(pixels, n_threads))

    def _weigh(self, pixels: Pixels, weights: Counts) -> None:
        weights = weights.reshape(-1)
        start = 0
        for piece in pieces(pixels):
            for first in range(0, len(piece), SORTED):
                keys = np.empty(len(piece[first : first + SORTED]), np.uint32)
                kernel.make_keys(piece[first : first + SORTED], keys)
                sums = weights[start : start + len(keys)].copy()
                # Checked before, but another thread may write to the caller's array meanwhile.
                if int(sums.min()) < 0 or int(sums.max()) * len(sums) > MAX_TOTAL:
                    check_weights(sums)
                n = kernel.sum_weights(keys, sums, np.empty_like(keys), np.empty_like(sums))
                self._append(keys[:n].copy(), sums[:n].copy())
                start += len(keys)

    def _by_table(self, pixels: Pixels, n_threads: int) -> tuple[Keys, Counts]:
        """Count all pixels, or only the opaque ones where there is alpha, and append the others."""
        table = Table(pixels.size // self.channels, n_threads)
        for piece in pieces(pixels):
            if self.channels == 4:
                for start in range(0, len(piece), SORTED):
                    self._count_alpha(table, piece[start : start + SORTED])
            else:
                table.count(piece)
        keys, counts = table.listed(n_threads)
        if self.channels == 4:
            kernel.widen_keys(keys)
        return keys, counts

    def _count_alpha(self, table: "Table", pixels: Pixels) -> None:
        translucent, n_transparent = table.count_opaque(pixels)
        for keys in translucent:
            self._append(*sorted_keys(keys))
        if n_transparent:
            self._append(np.zeros(1, np.uint32), np.array([n_transparent]))

    def _append(self, keys: Keys, counts: Counts) -> None:
        """Take a sorted part, and merge parts while the last is not far smaller than the others.

        So a colour is moved O(log parts) times however many pieces are added.
        """
        if len(keys) == 0:
            return
        parts = self._parts
        parts.append((frozen(keys), frozen(counts)))
        while len(parts) > 1 and len(parts[-2][0]) <= 2 * len(parts[-1][0]):
            parts.append(merged(parts.pop(), parts.pop()))
        if self._total() > MAX_TOTAL:
            raise ValueError(TOO_MANY)

    def _total(self) -> int:
        return sum(int(counts.sum()) for _, counts in self._parts)

    def _folded(self) -> tuple[Keys, Counts]:
        parts = self._parts
        if not parts:
            return frozen(np.empty(0, np.uint32)), frozen(np.empty(0, np.int64))
        while len(parts) > 1:
            parts.append(merged(parts.pop(), parts.pop()))
        return parts[0]


class Table:
    """One counter for every RGB colour and thread, in kept tables (tables.py).

    Parameters
    ----------
    n_pixels : int
        How many will be counted in all: fewer threads are used for few.
    n_threads : int
    """

    def __init__(self, n_pixels: int, n_threads: int) -> None:
        n_tables = min(n_threads, tables.MAX_KEPT, 1 + n_pixels // SORT_BELOW)
        self.counters = [tables.borrow() for _ in range(n_tables)]
        self.n_overflow = np.zeros(n_tables, np.int64)
        self.overflow = np.empty((n_tables, 0), np.uint32)
        self.counted = self.limit = 0  # pixels, and for how many the overflow lists suffice
        self.summed = np.zeros(n_tables, np.int64)
        self.full: tuple[Keys, Counts] = np.empty(0, np.uint32), np.empty(0, np.int64)

    def count(self, pixels: Pixels) -> None:
        """Count RGB pixels."""
        self._make_room(len(pixels))
        kernel.count_rgb(
            pixels, self.counters, self.overflow, self.n_overflow, threads.simd_level()
        )

    def count_opaque(self, pixels: Pixels) -> tuple[list[Keys], int]:
        """Count the opaque RGBA pixels; return the others: keys, number of transparent ones."""
        self._make_room(len(pixels))
        n_tables = len(self.counters)
        translucent, used = np.empty(len(pixels), np.uint32), np.empty(n_tables, np.int64)
        n_transparent = kernel.count_rgba(
            pixels,
            self.counters,
            self.overflow,
            self.n_overflow,
            translucent,
            used,
            threads.simd_level(),
        )
        starts = [len(pixels) * t // n_tables for t in range(n_tables)]
        return [translucent[s : s + n] for s, n in zip(starts, used, strict=True)], n_transparent

    def listed(self, n_threads: int) -> tuple[Keys, Counts]:
        """Return the colours counted, ascending, and how often each occurs; the table is empty."""
        self._sum_overflow()
        occupied = np.empty(4096, np.int64)
        kernel.count_occupied(self.counters, occupied, n_threads)
        ends = np.cumsum(occupied)
        keys, counts = np.empty(ends[-1], np.uint32), np.empty(ends[-1], np.int64)
        kept = len(keys) <= tables.WORTH_CLEARING
        kernel.extract(self.counters, ends, keys, counts, kept, n_threads, threads.simd_level())
        while self.counters:
            counters = self.counters.pop()
            if kept:
                tables.give_back(counters)
        full, times = self.full
        counts[np.searchsorted(keys, full)] += STEP * times
        return keys, counts

    def _make_room(self, n_pixels: int) -> None:
        if self.counted + n_pixels > self.limit:
            self._sum_overflow()
            self.limit = self.counted + max(n_pixels, ROUND)
            # Of all pixels that a table has seen, every STEP of a colour make one key.
            most = self.limit // STEP - int(self.summed.min())
            self.overflow = np.empty((len(self.counters), most), np.uint32)
        self.counted += n_pixels

    def _sum_overflow(self) -> None:
        lists = [keys[:n] for keys, n in zip(self.overflow, self.n_overflow, strict=True)]
        self.full = merged(self.full, sorted_keys(np.concatenate(lists)))
        self.summed += self.n_overflow
        self.n_overflow[:] = 0


def pieces(pixels: Pixels) -> Iterator[Pixels]:
    """Yield C-contiguous (n, channels) arrays of a kernel call's size, copying one at a time."""
    channels = pixels.shape[-1]
    if pixels.flags.c_contiguous or pixels.size <= channels * COPIED:
        flat = np.ascontiguousarray(pixels).reshape(-1, channels)
        for start in range(0, len(flat), SLICE):
            yield flat[start : start + SLICE]
    elif pixels.ndim == 2:
        for start in range(0, len(pixels), COPIED):
            yield np.ascontiguousarray(pixels[start : start + COPIED])
    elif pixels[0].size > channels * COPIED:
        for row in pixels:
            yield from pieces(row)
    else:
        rows = max(1, channels * COPIED // pixels[0].size)
        for start in range(0, len(pixels), rows):
            yield np.ascontiguousarray(pixels[start : start + rows]).reshape(-1, channels)


def as_weights(
    weights: NDArray[np.integer[Any]], shape: tuple[int, ...], *, grey: bool = False
) -> Counts:
    weights = as_array("weights", weights)
    if weights.dtype.kind not in "iu":
        raise TypeError(f"weights: expected integers, got {weights.dtype}")
    if grey and weights.shape == (*shape, 1):  # (n, 1) are n greys, or an image one pixel wide
        weights = weights[..., 0]
    if weights.shape != shape:
        raise ValueError(f"weights: expected shape {shape}, got {weights.shape}")
    check_weights(weights)
    return weights.astype(np.int64, copy=False)


def check_weights(weights: NDArray[np.integer[Any]]) -> None:
    if weights.size and (int(weights.min()) < 0 or int(weights.max()) > MAX_TOTAL):
        raise ValueError("weights: expected 0..2^47")
    if weights.sum(dtype=np.float64) > MAX_TOTAL:
        raise ValueError("weights: expected a sum of at most 2^47")


def check_parts(name: str, keys: Keys, counts: Counts, channels: int) -> None:
    """Refuse keys that do not ascend or number no colour, and counts below 1."""
    for part, array, dtype in (("keys", keys, np.uint32), ("counts", counts, np.int64)):
        if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != 1:
            raise TypeError(f"{name}.{part}: expected a flat array of {np.dtype(dtype)}")
    if len(keys) != len(counts):
        raise ValueError(
            f"{name}.counts: expected {len(keys)} as there are keys, got {len(counts)}"
        )
    if len(keys) == 0:
        return
    if int(keys[-1]) >> 8 * channels or not (keys[1:] > keys[:-1]).all():
        raise ValueError(f"{name}.keys: expected ascending numbers below 2^{8 * channels}")
    if int(counts.min()) < 1 or counts.sum(dtype=np.float64) > MAX_TOTAL:
        raise ValueError(f"{name}.counts: expected numbers above 0, and a sum of at most 2^47")


def sorted_keys(keys: Keys) -> tuple[Keys, Counts]:
    """Return the distinct keys, ascending, and how often each occurs; `keys` is overwritten."""
    kernel.sort_keys(keys, np.empty_like(keys))
    counts = np.empty(len(keys), np.int64)
    n = kernel.run_lengths(keys, counts)
    return keys[:n].copy(), counts[:n].copy()


def merged(a: tuple[Keys, Counts], b: tuple[Keys, Counts]) -> tuple[Keys, Counts]:
    size = len(a[0]) + len(b[0])
    keys, counts = np.empty(size, np.uint32), np.empty(size, np.int64)
    n = kernel.merge(*a, *b, keys, counts)
    return frozen(keys[:n].copy()), frozen(counts[:n].copy())


def listed(counts: Counts) -> tuple[Keys, Counts]:
    keys = np.flatnonzero(counts).astype(np.uint32)
    return keys, counts[keys]


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array
