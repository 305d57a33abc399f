"""Indices that take fewer bytes in a file, for a bounded extra error.

Entropy-constrained quantization [1]_ on indices that are already there: each row is the cheapest by
its extra squared error plus a weight times the bits that a model of the coder asks for, found by
dynamic programming. The bits are learnt from the image; the weight is the largest of a ladder
that keeps the whole extra error within what was allowed. All of it is in integers.

References
----------
.. [1] Chou, P. A., Lookabaugh, T. and Gray, R. M. (1989). Entropy-constrained vector quantization.
   IEEE Trans. Acoustics, Speech and Signal Processing 37(1), 31-42.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmeans_c import _kernels, spaces
from kmeans_c.checks import check_choice, check_float
from kmeans_c.integrity import as_indices, as_palette
from kmeans_c.threads import thread_count

Indices = NDArray[np.uint8]

# What compresses the rows: matches of what came before (PNG without filters, WebP, GIF), or
# differences from a prediction (PNG with filters).
CODERS = ("matches", "residuals")

# dB that are given up where nobody says how much: at 16 and 256 colours 0.05 takes 7 % off a PNG's
# bytes, 0.1 takes 11 %, 0.2 takes 15 % and 0.4 takes 20 % (photos and graphics).
LOSS = 0.1

MAX_COLORS = 256  # of a palette in a file

MOST_LOSS = 20.0  # dB: a hundred times the error

# Rows that are chosen one after the other; bands do not see each other, so that threads can have
# one each. 32 instead of all rows cost 0.4 % of the bytes.
BAND = 32

# Pixels that the weight is searched on, in bands spread over the image; all of them instead make
# no difference to the bytes, and a quarter costs 2 %.
SAMPLE = 1 << 16

STEPS = 112  # of the ladder of weights, four to a doubling
UNIT = 16  # of cost, in a bit
MOST = 8  # the kernel's candidates a pixel
SLICE = 1 << 18  # pixels for each thread between two looks at signals: some 20 ms


@dataclass(frozen=True)
class _Model:
    by_residual: bool
    costs: NDArray[np.int32]
    new_costs: NDArray[np.int32]


def smooth(
    pixels: NDArray[np.uint8],
    palette: NDArray[np.uint8],
    indices: Indices,
    loss: float = LOSS,
    *,
    coder: str = "matches",
    n_threads: int | None = None,
) -> tuple[Indices, int]:
    """Choose indices that a file holds in fewer bytes.

    Parameters
    ----------
    pixels : (H, W), (H, W, 3) or (H, W, 4) array of uint8
        The image.
    palette : (n, 3) or (n, 4) array of uint8
        At most 256 colours, with an alpha channel if the pixels have one. For "residuals" colours
        that meet in the image should be neighbours in it.
    indices : (H, W) array of uint8
        The entry of each pixel. They need not be the nearest; but what dithering added is noise
        here, and removed.
    loss : float
        At most so many dB of PSNR are lost, 0..20.
    coder : {"matches", "residuals"}
        What compresses the rows.
    n_threads : int, optional
        The result does not depend on it.

    Returns
    -------
    indices : (H, W) array of uint8
        The entries in the file. Some of the palette may be used no more.
    extra : int
        By how much the sum of squared distances grew, in the coordinates of `spaces`: 4096 times
        the levels' squares.
    """
    check_choice("coder", coder, CODERS)
    check_float("loss", loss, 0, MOST_LOSS)
    pixels = np.ascontiguousarray(pixels)
    palette = as_palette("palette", palette)
    if len(palette) > MAX_COLORS:
        raise ValueError(f"palette: expected at most {MAX_COLORS} colours, got {len(palette)}")
    indices = as_indices("indices", indices, len(palette))
    if pixels.dtype != np.uint8 or indices.dtype != np.uint8:
        raise TypeError(f"pixels, indices: expected uint8, got {pixels.dtype}, {indices.dtype}")
    if pixels.shape[:2] != indices.shape or pixels.shape[2:] not in ((), (3,), (4,)):
        raise ValueError(f"pixels: expected {indices.shape} as indices has, got {pixels.shape}")
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, np.newaxis], 3, axis=2)
    search = _Search(pixels, palette, indices, coder, thread_count(n_threads))
    return search.run(loss)


def allowance(error: int, loss: float) -> int:
    """By how much an error may grow so that its PSNR falls by no more than `loss` dB.

    In decimal arithmetic, which is the same on every machine, as a float power is not.
    """
    from decimal import Context, Decimal  # noqa: PLC0415 - few runs need it

    context = Context(prec=40)
    growth = context.power(Decimal(10), context.divide(Decimal(repr(float(loss))), Decimal(10)))
    return int(context.multiply(Decimal(error), growth - 1))


class _Search:
    def __init__(
        self,
        pixels: NDArray[np.uint8],
        palette: NDArray[np.uint8],
        indices: Indices,
        coder: str,
        n_threads: int,
    ) -> None:
        if palette.shape[1] < pixels.shape[2]:
            raise ValueError(f"palette: expected {pixels.shape[2]} channels as the pixels have")
        if palette.shape[1] > pixels.shape[2]:
            opaque = np.full((*pixels.shape[:2], 1), 255, np.uint8)
            pixels = np.concatenate([pixels, opaque], axis=2)
        planes = spaces.coordinates(palette)[:, : len(palette)]
        self.entries = np.zeros((len(palette), 4), np.int32)
        self.entries[:, : len(planes)] = planes.T
        self.pixels = pixels
        self.indices = np.ascontiguousarray(indices)
        self.by_residual = coder == "residuals"
        self.n_threads = n_threads
        width = self.indices.shape[1]
        self.scratch = np.empty((n_threads, 2, MOST * width), np.uint8)
        self.extras = np.empty((n_threads, MOST * width), np.int32)

    def run(self, loss: float) -> tuple[Indices, int]:
        height, width = self.indices.shape
        whole = np.arange(0, height, BAND, dtype=np.int64)
        wanted = max(1, SAMPLE // (BAND * width))
        sample = whole[:: -(-len(whole) // wanted)].copy()
        seen = allowance(self._error(sample), loss)
        allowed = seen if len(sample) == len(whole) else allowance(self._error(whole), loss)
        if allowed == 0:
            return self.indices, 0
        first = self._learn(self.indices, sample)

        low, high = 0, STEPS  # `low` keeps to the limit, or is 0: nothing changes
        found: dict[int, tuple[_Model, Indices, int]] = {}
        while high - low > 1:
            step = (low + high) // 2
            trial, _ = self._smoothed(first, step, sample)
            model = self._learn(trial, sample)
            out, extra = self._smoothed(model, step, sample)
            found[step] = model, out, extra
            if extra <= seen:
                low = step
            else:
                high = step
        for step in range(low, 0, -1):
            model, out, extra = found.get(step) or (first, self.indices, -1)
            if extra < 0 or len(sample) < len(whole):
                out, extra = self._smoothed(model, step, whole)
            if extra <= allowed:
                return out, extra
        return self.indices, 0

    def _smoothed(self, model: _Model, step: int, firsts: NDArray[np.int64]) -> tuple[Indices, int]:
        weight = math.isqrt(math.isqrt(1 << step))  # exactly the floor of 2 ** (step / 4)
        largest = int(model.costs.max()) + int(model.new_costs.max())
        out = self.indices.copy()
        errors = np.zeros(len(firsts), np.int64)
        part = max(1, SLICE // (BAND * out.shape[1])) * self.n_threads
        for start in range(0, len(firsts), part):
            stop = start + part
            _kernels.rate.smooth_bands(
                self.pixels,
                self.entries,
                self.indices,
                out,
                firsts[start:stop],
                BAND,
                self.by_residual,
                model.costs,
                model.new_costs,
                weight,
                weight * largest,
                errors[start:stop],
                self.scratch,
                self.extras,
                self.n_threads,
            )
        return out, int(errors.sum())

    def _learn(self, indices: Indices, firsts: NDArray[np.int64]) -> _Model:
        events = np.zeros((2, 256) if self.by_residual else (16, 5), np.int64)
        new = np.zeros(256, np.int64)
        for first, last in self._rows(firsts):
            if self.by_residual:
                _kernels.rate.count_residuals(indices, first, last, events)
            else:
                _kernels.rate.count_events(indices, first, last, events, new)
        return _Model(self.by_residual, _bits(events), _bits(new[np.newaxis])[0])

    def _error(self, firsts: NDArray[np.int64]) -> int:
        return sum(
            _kernels.rate.total_error(self.pixels, self.entries, self.indices, first, last)
            for first, last in self._rows(firsts)
        )

    def _rows(self, firsts: NDArray[np.int64]) -> list[tuple[int, int]]:
        height = len(self.indices)
        return [(first, min(height, first + BAND)) for first in firsts.tolist()]


def _bits(counts: NDArray[Any]) -> NDArray[np.int32]:
    """What each event of a row of `counts` costs, in 16ths of a bit; half a count is added."""
    padded = 2 * counts + 1
    totals = padded.sum(axis=1)
    costs = [
        [_log2(total) - _log2(count) for count in row]
        for total, row in zip(totals.tolist(), padded.tolist(), strict=True)
    ]
    return np.array(costs, np.int32)


def _log2(n: int) -> int:
    """The floor of 16 log2 n, exactly: a logarithm of floats is not the same on every machine."""
    return int(n**UNIT).bit_length() - 1
