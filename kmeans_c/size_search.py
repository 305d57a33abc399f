"""Search for the encoding of least error that fits into a number of bytes.

The candidates are fixed by the image and the options, never by the number of bytes: every number of
colours without a loss, and for each loss of `losses` a ladder of numbers of colours; for a JPEG
every quality of two kinds of subsampling. See `ladder_search` for why more bytes then never give a
larger error.
"""

from __future__ import annotations

import zlib
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kmeans_c import spaces
from kmeans_c.encoding import encode, encode_smallest
from kmeans_c.ladder_search import LadderSearch
from kmeans_c.png import chained, used
from kmeans_c.quantize import Quantized
from kmeans_c.rate import smooth

if TYPE_CHECKING:
    from kmeans_c.counted_image import CountedImage
    from kmeans_c.jpeg.search import Jpeg

# dB that are given up for fewer bytes, so that more colours fit: on photos the error is mostly
# least between 1.6 and 3.2.
LOSSES = (3.2, 1.6)

# With a loss the next number of colours is 1 / STEP more, or one: files grow with about K ** 0.4,
# so that it takes 2 to 3 % more bytes. Without a loss every number of colours is a candidate.
STEP = 17

# Candidates of a ladder that are all tried, in pixels: 256 of 16 x 16, 16 of 64 x 64; 2 at least.
TRIED_AT_ONCE = 1 << 16

# Of so few colours the file is often smaller with one more: what is left is tried in full.
FEW = 5

# Up to so many colours a byte of a PNG holds several pixels.
PACKED = 16


class Sized(NamedTuple):
    """Result of `quantize_to_size`.

    Attributes
    ----------
    quantized : Quantized
        What the file shows. Of a JPEG: what it was made of, with the file's `mse`.
    data : bytes
        The contents of the file.
    format : str
        Of the file.
    lossy : float
        dB of PSNR that were allowed for fewer bytes, see `rate.smooth`; 0: none.
    """

    quantized: Quantized
    data: bytes
    format: str
    lossy: float


class Candidate(NamedTuple):
    """An encoding that was tried.

    Attributes
    ----------
    sized : Sized
    jpeg : Jpeg or None
        How a JPEG was encoded.
    """

    sized: Sized
    jpeg: Jpeg | None = None

    @property
    def data(self) -> bytes:
        """The contents of the file."""
        return self.sized.data

    @property
    def mse(self) -> float:
        """The error of what the file shows."""
        return self.sized.quantized.mse


class SizeSearch:
    """The candidates of an image, encoded as they are needed.

    Parameters
    ----------
    source : CountedImage
    kind : str
        A format, or "auto".
    optimize : int
        See `png.encode_png`.
    **about
        `metadata` and their `policy`, as for `encoding.encode`: their bytes count.
    """

    def __init__(self, source: CountedImage, kind: str, optimize: int, **about: Any) -> None:
        self.source = source
        self.kind = kind
        self.options = {"optimize": optimize, **about}
        self.files: dict[tuple[int, float], Candidate] = {}
        grey = source.pixels.shape[2] == 1
        self.pixels = source.pixels[:, :, 0] if grey else source.pixels
        n_pixels = self.pixels.shape[0] * self.pixels.shape[1]
        self.tried_at_once = max(2, TRIED_AT_ONCE // n_pixels)

    def best(self, n_bytes: int, loss: float) -> Candidate | None:
        """Return the file of least error that fits.

        Parameters
        ----------
        n_bytes : int
        loss : float
            The most dB that a candidate may give up; 0: none.

        Returns
        -------
        Candidate or None
            None if no candidate fits.
        """
        least, most = self.source.least, self.source.most
        whole, small = self.encoded(most, 0.0), self.encoded(least, 0.0)
        search: LadderSearch[Candidate] = LadderSearch(n_bytes, self.tried_at_once, FEW)
        # The pattern of a dithering with few colours has a larger error than one plain colour,
        # which is no better picture for that.
        last_resort = small if len(small.data) <= n_bytes else None
        if last_resort is not None and self.source.dither == "none":
            search.fitting.append(last_resort)
        if len(whole.data) <= n_bytes:
            search.fitting.append(whole)
            return search.best
        for step in (*losses(loss), 0.0):
            encoded, bound = partial(self.encoded, loss=step), partial(self._bound, loss=step)
            if step and least > 1:  # one colour gives up nothing
                search.climb([least], encoded, whole.mse, bound)
            Ks = ladder(least + 1, most) if step else range(least + 1, most)
            search.climb(Ks, encoded, whole.mse, bound)
        return search.best or last_resort

    def fewest(self, loss: float) -> int:
        """Return the bytes of the smallest candidate of the fewest colours."""
        least = self.source.least
        return min(len(self.encoded(least, step).data) for step in (0.0, *losses(loss)))

    def _bound(self, K: int, loss: float) -> float:
        """Return a lower bound of a candidate's error that takes no encoding."""
        # Where distances are those of the error, no choice of indices is below the fit's.
        if self.source.dither != "none" or (loss and self.source.space != "srgb"):
            return 0.0
        return self.source.mse(K)

    def encoded(self, K: int, loss: float) -> Candidate:
        """Return the candidate of a number of colours and a loss."""
        if (K, loss) not in self.files:
            quantized = self.source.quantized(K)
            self.files[K, loss] = (
                self._smoothed(quantized, loss) if loss else self._encoded(quantized, 0.0)
            )
        return self.files[K, loss]

    def _smoothed(self, quantized: Quantized, loss: float) -> Candidate:
        palette, indices = chained(quantized.palette, quantized.indices)
        files = []
        for coder in self._coders(len(palette)):
            smoothed, extra = smooth(
                self.pixels, palette, indices, loss, coder=coder, n_threads=self.source.n_threads
            )
            # Never negative, even if another thread has changed the pixels since.
            mse = max(0.0, quantized.mse + extra / (spaces.units("srgb") ** 2 * indices.size))
            seen, numbers = palette, smoothed
            if not len(self.source.method.keep):
                seen, numbers = used(palette, smoothed)
            counts = np.bincount(numbers.ravel(), minlength=len(seen))
            shown = Quantized(seen, numbers, counts, mse, quantized.n_iter)
            files.append(self._encoded(shown, loss))
        return min(files, key=lambda file: len(file.data))

    def _coders(self, K: int) -> tuple[str, ...]:
        """Return what compresses the image's rows: what the encoder chose without a loss.

        Of few colours both are tried, as that choice says little there.
        """
        if self.kind not in ("png", "ico", "auto"):  # only PNG has filters
            return ("matches",)
        if K <= FEW:
            return ("matches", "residuals")
        most = self.source.most
        reference = min(most, PACKED) if K <= PACKED else most
        filtered = _is_filtered(self.encoded(reference, 0.0).data)
        return ("residuals",) if filtered else ("matches",)

    def _encoded(self, quantized: Quantized, loss: float) -> Candidate:
        palette, indices = quantized.palette, quantized.indices
        if self.kind == "auto":
            kind, data = encode_smallest(palette, indices, **self.options)
        else:
            kind, data = self.kind, encode(palette, indices, self.kind, **self.options)
        return Candidate(Sized(quantized, data, kind, loss))


def losses(loss: float) -> tuple[float, ...]:
    """Return the losses that have a ladder, in dB, where at most `loss` may be given up."""
    return tuple(dict.fromkeys(min(step, loss) for step in LOSSES if loss > 0))


def ladder(least: int, most: int) -> list[int]:
    """Return the numbers of colours that are tried with a loss, from `least` to `most`."""
    Ks = [least] if least <= most else []
    while Ks and Ks[-1] < most:
        Ks.append(min(most, Ks[-1] + max(1, Ks[-1] // STEP)))
    return Ks


def _is_filtered(data: bytes) -> bool:
    """Say whether a PNG has a row with a filter; other files have none."""
    start = data.find(b"\x89PNG")
    at, parts, height = start + 8, [], 0
    while start >= 0 and at + 8 <= len(data):
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if name == b"IHDR":
            height = int.from_bytes(data[at + 12 : at + 16], "big")
        elif name == b"IDAT":
            parts.append(data[at + 8 : at + 8 + length])
        at += 12 + length
    rows = zlib.decompress(b"".join(parts)) if parts else b""
    return any(rows[:: len(rows) // height]) if rows else False
