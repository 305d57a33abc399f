"""Indexed PNG, as small as the time that is given allows.

A form is a way to lay the same image out: an order of the palette, packed pixels or one a byte, and
rows as they are or filtered. Which is the smallest depends on the image: plain rows where things
repeat; filtered rows of a palette in which colours that meet are neighbours [1]_ [2]_ where they
change smoothly, by up to a quarter. So forms are tried: on a sample, or all of them on the whole.

References
----------
.. [1] Pinho, A. J. and Neves, A. J. R. (2004). A note on Zeng's technique for color reindexing of
   palette-based images. IEEE Signal Processing Letters 11(2), 232-234.
.. [2] Battiato, S., Gallo, G., Impoco, G. and Stanco, F. (2004). An efficient re-indexing algorithm
   for color-mapped images. IEEE Trans. Image Processing 13(11), 1419-1423.
"""

import importlib
import os
import struct
import zlib
from collections import deque
from collections.abc import Iterable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kmeans_c import _kernels
from kmeans_c.deflating import compress_by_libdeflate, compress_by_zlib, libdeflate
from kmeans_c.integrity import check_indices

Bytes = NDArray[np.uint8]

OPAQUE = 255

MOST_OPTIMIZE = 6
OPTIMIZE = 2

# Pixels that the forms are tried on, and that the orders are made from, in bands spread over the
# image: 40 ms in all. The form chosen takes 0.5 % more bytes than the best of all.
SAMPLE = 1 << 17
BANDS = 8

# Pixels between two looks at signals: 4 ms.
PIXELS_PER_CALL = 1 << 23

# Bytes of rows that are filtered at a time: NumPy needs 20 times as many meanwhile.
BAND = 1 << 18

# zlib's level. At 1920x1280, 16 colours: 4 takes 40 ms and 6 % more bytes than 9, 6 takes 80 ms and
# 3 % more, 7 100 ms and 2 % more, 9 half a second.
ZLIB_LEVELS = (4, 6, 7, 9, 9, 9, 9)

SAMPLE_LEVELS = (6, 6)  # libdeflate's and zlib's, for the sample

# libdeflate's. At 1920x1280, 16 colours: 10 takes 200 ms, and 4 to 7 % fewer bytes
# than zlib's 9; 12 twice as long for 0.5 % fewer.
LIBDEFLATE_LEVELS = (5, 9, 10, 11, 12, 12, 12)

# By default, above this many bytes of rows: level 8 takes half the time of 10, and 3 to 5 % more
# bytes. At ten megapixels and 16 colours 10 takes 330 ms, which is most of the command's time.
LARGE = 1 << 22
LARGE_LEVEL = 8

ZOPFLI_ROUNDS = {5: 3, 6: 15}

# Below this many bytes of rows all of zlib's strategies are tried: that costs nothing.
TINY = 1 << 14

_STRATEGIES: tuple[int, ...] = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_RLE, zlib.Z_FIXED)

# What chooses a row's filter, as oxipng calls it: the least sum of residuals, the fewest pairs of
# bytes, the least entropy.
_HEURISTICS = (("MinSum",), ("MinSum", "Bigrams"), ("Up", "MinSum", "Entropy", "Bigrams"))


class Form(NamedTuple):
    """A layout of the same image."""

    order: str  # of the palette: "given", "frequency", "chain", "zeng" or "as given"
    packed: bool  # several pixels a byte, where the colours allow it
    filtered: bool


PLAIN = Form("frequency", packed=True, filtered=False)

# The forms of a palette that was given, which stays as it is; those of a byte a pixel are others
# only where up to 16 entries could be packed.
_TRIED_AS_GIVEN = (
    Form("as given", packed=True, filtered=False),
    Form("as given", packed=True, filtered=True),
    Form("as given", packed=False, filtered=False),
    Form("as given", packed=False, filtered=True),
)

# The forms tried, by what each adds on photos, scans, drawings and screenshots; others, and more of
# oxipng's heuristics, add nothing.
_TRIED = (
    PLAIN,
    Form("chain", packed=True, filtered=True),
    Form("frequency", packed=False, filtered=False),
    Form("zeng", packed=True, filtered=True),
    Form("given", packed=False, filtered=True),
)

_optimizing: list[int] = []  # the process that has started oxipng's threads


def encode_png(
    palette: Bytes,
    indices: Bytes,
    optimize: int = OPTIMIZE,
    *,
    keep_palette: bool = False,
    n_threads: int | None = None,
) -> bytes:
    """Encode an indexed PNG of 1, 2, 4 or 8 bits a pixel, without entries that no pixel has.

    Parameters
    ----------
    palette : (n, 3) or (n, 4) array of uint8
        The colours, at most 256.
    indices : (H, W) array of uint8
        The palette entry of each pixel.
    optimize : int
        0..6: how hard to try. 0 and 1 take one form and are fast, 2 and 3 choose a form by a
        sample, 4 and more try the whole image in all of them, 5 and 6 end with zopfli, which takes
        minutes on large images. libdeflate compresses where it is installed, and from 3 on oxipng
        chooses filters (``pip install kmeans-c[optimize]``); zlib does otherwise.
    keep_palette : bool
        Whether PLTE and tRNS hold the palette as it is, with its order, its unused and its double
        entries; the bits a pixel are then the fewest for that many entries, or 8.
    n_threads : int, optional
        See `quantize`.

    Returns
    -------
    bytes
        The contents of the file: IHDR, PLTE, tRNS if needed, IDAT and IEND. Its pixels are the
        same everywhere; its bytes for one version of zlib, libdeflate or oxipng.
    """
    forms: tuple[Form, ...]
    if keep_palette:
        n_forms = 1 if optimize < 2 else 4 if len(palette) <= 16 else 2
        forms = _TRIED_AS_GIVEN[:n_forms]
    else:
        palette, indices = used(palette, indices)
        forms = _forms(optimize, narrow=len(palette) <= 16)
    sample = _sample(indices)
    orders = _orders(palette, sample, {form.order for form in forms})
    if optimize in (2, 3):
        sizes = [
            len(
                _deflated(
                    _rows(_renamed(sample, orders[form.order][1]), form, len(palette)),
                    form,
                    SAMPLE_LEVELS,
                )
            )
            for form in forms
        ]
        forms = (forms[sizes.index(min(sizes))],)
    files = []
    for form in forms:
        ordered, ranks = orders[form.order]
        files.append(_file(ordered, _renamed(indices, ranks), form, optimize, n_threads))
    smallest = min(files, key=len)
    oxipng = _oxipng() if optimize in ZOPFLI_ROUNDS else None
    if oxipng is not None:
        form = forms[files.index(smallest)]
        names = _HEURISTICS[2] if form.filtered else ("NoOp",)
        return _optimized(oxipng, smallest, names, oxipng.Deflaters.zopfli(ZOPFLI_ROUNDS[optimize]))
    return smallest


def used(palette: Bytes, indices: Bytes) -> tuple[Bytes, Bytes]:
    """Drop the entries that no pixel has.

    Parameters
    ----------
    palette : (n, 3) or (n, 4) array of uint8
    indices : (H, W) array of uint8

    Returns
    -------
    palette, indices
        The same image; the others keep their order.
    """
    counts = np.zeros(256, np.intp)
    flat = np.ascontiguousarray(indices).reshape(-1)
    for start in range(0, len(flat), PIXELS_PER_CALL):
        _kernels.scanlines.count_indices(flat[start : start + PIXELS_PER_CALL], counts)
    check_indices("indices", np.flatnonzero(counts), len(palette))
    counts = counts[: len(palette)]
    if counts.all():
        return palette, indices
    ranks = (np.cumsum(counts > 0) - 1).astype(np.uint8)
    return palette[counts > 0], _renamed(indices, ranks)


def _renamed(indices: Bytes, ranks: Bytes) -> Bytes:
    """What ``ranks[indices]`` is, without NumPy's copy of eight bytes a pixel."""
    table = ranks.tobytes().ljust(256, b"\0")
    return np.frombuffer(indices.tobytes().translate(table), np.uint8).reshape(indices.shape)


def chained(palette: Bytes, indices: Bytes) -> tuple[Bytes, Bytes]:
    """Put colours that meet in the image beside each other in the palette.

    Parameters
    ----------
    palette : (n, 3) or (n, 4) array of uint8
    indices : (H, W) array of uint8

    Returns
    -------
    palette, indices
        The same image.
    """
    ordered, ranks = _orders(palette, _sample(indices), {"chain"})["chain"]
    return ordered, _renamed(indices, ranks)


def _forms(optimize: int, *, narrow: bool) -> tuple[Form, ...]:
    if optimize < 2:
        return (PLAIN,)
    if narrow:
        return _TRIED
    # A byte a pixel it is in any case.
    return tuple(dict.fromkeys(form._replace(packed=True) for form in _TRIED))


def _sample(indices: Bytes) -> Bytes:
    height, width = indices.shape
    rows = max(1, SAMPLE // (BANDS * width))
    if rows * BANDS >= height:
        return indices
    starts = np.linspace(0, height - rows, BANDS).astype(int)
    return np.concatenate([indices[start : start + rows] for start in starts.tolist()])


def _orders(palette: Bytes, sample: Bytes, names: Iterable[str]) -> dict[str, tuple[Bytes, Bytes]]:
    """The palette in each order, and where each entry has gone."""
    n = len(palette)
    meetings = _meetings(sample, n) if {"chain", "zeng"} & set(names) else None
    orders = {}
    for name in names:
        if name == "frequency":
            order = np.argsort(-np.bincount(sample.ravel(), minlength=n), kind="stable")
        elif name == "chain" and meetings is not None:
            order = np.array(_chain(meetings), np.intp)
        elif name == "zeng" and meetings is not None:
            order = np.array(_zeng(meetings), np.intp)
        else:
            order = np.arange(n)
        if palette.shape[1] == 4 and name != "as given":
            # What is not opaque comes first: tRNS ends with the last of it.
            order = order[np.argsort(palette[order, 3] == OPAQUE, kind="stable")]
        ranks = np.empty(n, np.uint8)
        ranks[order] = np.arange(n, dtype=np.uint8)
        orders[name] = palette[order], ranks
    return orders


def _meetings(indices: Bytes, n: int) -> NDArray[np.int64]:
    """How often two entries are neighbours, left and right or above and below."""
    codes = indices.astype(np.intp)
    pairs = np.bincount((n * codes[:, :-1] + codes[:, 1:]).ravel(), minlength=n * n)
    pairs = pairs + np.bincount((n * codes[:-1] + codes[1:]).ravel(), minlength=n * n)
    counts = pairs.reshape(n, n)
    counts = counts + counts.T
    np.fill_diagonal(counts, 0)
    return counts.astype(np.int64)


def _chain(meetings: NDArray[np.int64]) -> list[int]:
    """Join the entries that meet most often into a path, heaviest edges first [2]_."""
    n = len(meetings)
    left, right = np.triu_indices(n, 1)
    weights = meetings[left, right]
    edges = np.argsort(-weights, kind="stable")[: np.count_nonzero(weights)]
    paths = {k: deque([k]) for k in range(n)}  # by what stands at either end
    for a, b in zip(left[edges].tolist(), right[edges].tolist(), strict=True):
        first, second = paths.get(a), paths.get(b)
        if first is None or second is None or first is second:
            continue
        if first[-1] != a:
            first.reverse()
        if second[0] != b:
            second.reverse()
        for end in (a, b):
            del paths[end]
        first.extend(second)
        paths[first[0]] = paths[first[-1]] = first
    whole: list[int] = []
    for path in {id(path): path for path in paths.values()}.values():
        whole.extend(path)
    return whole


def _zeng(meetings: NDArray[np.int64]) -> list[int]:
    """Add the entry that meets those placed most often, to the nearer end [1]_."""
    n = len(meetings)
    first = int(meetings.max(axis=1).argmax())
    placed = [first]
    waiting = np.ones(n, bool)
    waiting[first] = False
    attraction = meetings[first].copy()
    while len(placed) < n:
        entry = int(np.where(waiting, attraction, -1).argmax())
        pull = meetings[entry, placed] * np.arange(len(placed) - 1, -len(placed), -2)
        placed.insert(0 if pull.sum() > 0 else len(placed), entry)
        waiting[entry] = False
        attraction += meetings[entry]
    return placed


def _bits(n: int, form: Form) -> int:
    return 8 if not form.packed or n > 16 else 4 if n > 4 else 2 if n > 2 else 1


def _rows(indices: Bytes, form: Form, n: int) -> bytes:
    """The rows as deflate sees them, each with its filter in front."""
    packed = _packed(indices, _bits(n, form))
    filters = np.zeros((len(packed), 1), np.uint8)
    if form.filtered:
        packed, filters = _filtered(packed)
    return np.concatenate([filters, packed], axis=1).tobytes()


def _packed(indices: Bytes, bits: int) -> Bytes:
    """Several pixels a byte, the leftmost in the highest bits."""
    if bits == 8:
        return indices
    height, width = indices.shape
    each = 8 // bits
    padded = np.zeros((height, -(-width // each), each), np.uint8)
    padded.reshape(height, -1)[:, :width] = indices
    packed = padded[:, :, 0]
    for k in range(1, each):
        packed = packed << bits | padded[:, :, k]
    return packed


def _filtered(rows: Bytes) -> tuple[Bytes, Bytes]:
    """Each row with the filter that leaves the least sum of residuals, and those filters."""
    best = rows.copy()
    filters = np.zeros((len(rows), 1), np.uint8)
    height = max(1, BAND // rows.shape[1])
    for start in range(0, len(rows), height):
        part = slice(start, start + height)
        current = rows[part]
        above = np.zeros_like(current)
        above[1:] = current[:-1]
        if start:
            above[0] = rows[start - 1]
        least = _magnitude(current)
        for number in (1, 2, 3, 4):
            residuals = current - _predicted(current, above, number)
            magnitude = _magnitude(residuals)
            better = magnitude < least
            best[part][better] = residuals[better]
            filters[part][better] = number
            least = np.minimum(least, magnitude)
    return best, filters


def _magnitude(residuals: Bytes) -> NDArray[np.int64]:
    total: NDArray[np.int64] = np.minimum(residuals, -residuals).sum(axis=1, dtype=np.int64)
    return total


def _predicted(rows: Bytes, above: Bytes, number: int) -> Bytes:
    """What PNG's filter Sub, Up, Average or Paeth (1 to 4) expects."""
    left, corner = np.zeros_like(rows), np.zeros_like(rows)
    left[:, 1:] = rows[:, :-1]
    corner[:, 1:] = above[:, :-1]
    if number == 1:
        return left
    if number == 2:
        return above
    if number == 3:
        return (left & above) + ((left ^ above) >> 1)  # the mean, rounded down, without overflow
    a, b, c = (side.astype(np.int16) for side in (left, above, corner))
    to_left, to_above, to_corner = abs(b - c), abs(a - c), abs(a + b - 2 * c)
    nearest_two = np.where(to_above <= to_corner, above, corner)
    return np.where((to_left <= to_above) & (to_left <= to_corner), left, nearest_two)


def _deflated(
    rows: bytes, form: Form, levels: tuple[int, int], n_threads: int | None = None
) -> bytes:
    """Compress by libdeflate or zlib, whose levels these are."""
    library = libdeflate()
    streams = []
    if library is not None:
        streams.append(compress_by_libdeflate(library, rows, levels[0], n_threads))
    if library is None or len(rows) <= TINY:
        streams += [
            compress_by_zlib(rows, levels[1], strategy, n_threads)
            for strategy in _strategies(rows, form)
        ]
    return min(streams, key=len)


def _strategies(rows: bytes, form: Form) -> tuple[int, ...]:
    if len(rows) <= TINY:
        return _STRATEGIES
    return _STRATEGIES[1:2] if form.filtered and not form.packed else _STRATEGIES[:1]


def _file(
    palette: Bytes, indices: Bytes, form: Form, optimize: int, n_threads: int | None = None
) -> bytes:
    oxipng = _oxipng() if _by_oxipng(form, optimize) else None
    rows = _rows(indices, form, len(palette))
    levels = _libdeflate_level(optimize, len(rows)), ZLIB_LEVELS[optimize]
    # oxipng keeps what it is given where it can't do better, which it always can on large images.
    packed = zlib.compress(rows, 1) if oxipng and len(rows) > TINY else b""
    file = b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _chunk(
                b"IHDR",
                struct.pack(
                    ">IIBBBBB", *indices.shape[::-1], _bits(len(palette), form), 3, 0, 0, 0
                ),
            ),
            _chunk(b"PLTE", palette[:, :3].tobytes()),
            _transparency(palette),
            _chunk(b"IDAT", packed or _deflated(rows, form, levels, n_threads)),
            _chunk(b"IEND", b""),
        ]
    )
    if oxipng is None:
        return file
    names = _HEURISTICS[min(optimize - 2, 2)] if form.filtered else ("NoOp",)
    deflater = oxipng.Deflaters.libdeflater(_libdeflate_level(optimize, len(rows)))
    return _optimized(oxipng, file, names, deflater)


def _libdeflate_level(optimize: int, n_bytes: int) -> int:
    large = optimize == OPTIMIZE and n_bytes > LARGE
    return LARGE_LEVEL if large else LIBDEFLATE_LEVELS[optimize]


def _by_oxipng(form: Form, optimize: int) -> bool:
    """Whether oxipng can do more than libdeflate alone: it has more heuristics for filters."""
    return optimize >= 2 and (libdeflate() is None or (optimize >= 3 and form.filtered))


def _transparency(palette: Bytes) -> bytes:
    if palette.shape[1] != 4:
        return b""
    alpha = palette[:, 3]
    visible = np.flatnonzero(alpha < OPAQUE)
    return _chunk(b"tRNS", alpha[: visible[-1] + 1].tobytes()) if len(visible) else b""


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _oxipng() -> ModuleType | None:
    """The optional module, by either of its distributions: oxipng-pybind or pyoxipng.

    Its threads do not survive a fork, and a child that waits for them hangs: such a child has to do
    without.
    """
    if _optimizing and _optimizing[0] != os.getpid():
        return None
    try:
        oxipng = importlib.import_module("oxipng")
    except ImportError:
        return None
    if not hasattr(oxipng, "optimize_from_memory"):  # the executable's namesake
        return None
    _optimizing[:] = [os.getpid()]
    return oxipng


def _optimized(oxipng: ModuleType, file: bytes, names: tuple[str, ...], deflater: Any) -> bytes:
    if hasattr(oxipng, "FilterStrategy"):  # oxipng-pybind
        filters = ["none" if name == "NoOp" else name.lower() for name in names]
    else:
        filters = [getattr(oxipng.RowFilter, name) for name in names]
    return bytes(
        oxipng.optimize_from_memory(
            file,
            level=2,
            filter=filters,
            deflate=deflater,
            # The form is chosen, and the palette stays one.
            bit_depth_reduction=False,
            color_type_reduction=False,
            grayscale_reduction=False,
            palette_reduction=False,
        )
    )
