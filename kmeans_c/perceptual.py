"""How far an image of few colours looks from the original: distances in Oklab.

A colour's distance is the Euclidean one of Oklab's L, a, b [1]_, times 100, as is the custom: from
black to white it is 100, and 2 can just be seen where two plain areas meet. Whole coordinates
(spaces.py) make it the same on every machine; each distance is rounded to 1/163.2. With
transparency it is the root of the mean of the squared distances over black and over white.

References
----------
.. [1] Ottosson, B. (2020). A perceptual color space for image processing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kmeans_c import _kernels, spaces
from kmeans_c.checks import check_float
from kmeans_c.colors import alike
from kmeans_c.images import as_pixels
from kmeans_c.integrity import as_quantized, check_indices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kmeans_c.histogram import Histogram
    from kmeans_c.quantize import Quantized

UNIT = spaces.units("oklab") / 100  # coordinates that make a distance of 1

# Just noticeable between two plain areas.
NOTICEABLE = 2.0

SLICE = 1 << 20  # colours a kernel call: some 5 ms

# The longest diagonal of four coordinates of 14 bits.
BINS = 1 << 15


class Differences:
    """How many pixels differ by how much.

    Parameters
    ----------
    bins : (32768,) array of int64
        The pixels at each distance, in parts of 1/16320 of Oklab's unit.
    """

    def __init__(self, bins: NDArray[np.int64]) -> None:
        self.bins = bins

    @property
    def mean(self) -> float:
        """The mean distance, times 100."""
        # Weights add up to 2^47 at most, and there are 2^15 bins.
        total = int((self.bins * np.arange(BINS)).sum())
        return total / int(self.bins.sum()) / UNIT

    def percentile(self, q: float) -> float:
        """The least distance, times 100, that at least q per cent of the pixels do not exceed."""
        check_float("q", q, 0, 100)
        reached = np.cumsum(self.bins)
        wanted = max(1, -int(-q * int(reached[-1]) // 100))
        return int(np.searchsorted(reached, wanted)) / UNIT


class Judge:
    """Compares palettes with the colours of one histogram.

    Parameters
    ----------
    histogram : Histogram
    n_threads : int
    """

    def __init__(self, histogram: Histogram, n_threads: int) -> None:
        self.weights = histogram.counts
        self.planes = _planes(histogram.colors, n_threads)

    def differences(self, palette: NDArray[np.uint8], owners: NDArray[np.uint16]) -> Differences:
        """Compare each colour with its owner.

        Parameters
        ----------
        palette : (K, channels) array of uint8
        owners : (n,) array of uint16
            The entry of each of the histogram's colours.
        """
        bins = np.zeros(BINS, np.int64)
        _add(self.planes, self.weights, owners, _entries(palette), bins)
        return Differences(bins)


def differences(image: Any, quantized: Quantized) -> Differences:
    """Compare the pixels of an image with what stands for them.

    Parameters
    ----------
    image : path, binary file object, PIL.Image.Image or array of uint8
        What `quantized` was made from.
    quantized : Quantized
        Dithered or not.

    Returns
    -------
    Differences
        With the mean and percentiles.

    Raises
    ------
    ValueError
        If the sizes are not the same.
    """
    quantized = as_quantized("quantized", quantized)
    pixels, palette = alike(as_pixels(image), quantized.palette)
    if pixels.shape[:2] != quantized.indices.shape:
        raise ValueError(
            f"image: expected shape {quantized.indices.shape} as quantized has, "
            f"got {pixels.shape[:2]}"
        )
    flat = np.ascontiguousarray(pixels).reshape(-1, pixels.shape[2])
    owners = quantized.indices.reshape(-1)
    entries = _entries(palette)
    bins = np.zeros(BINS, np.int64)
    for start in range(0, len(flat), SLICE):
        piece = flat[start : start + SLICE]
        names = owners[start : start + SLICE].astype(np.uint16)
        _add(_planes(piece, 1), np.ones(len(piece), np.int64), names, entries, bins)
    return Differences(bins)


def delta_e(image: Any, quantized: Quantized) -> float:
    """Give the mean distance of an image's pixels from what stands for them, in Oklab times 100.

    Parameters
    ----------
    image, quantized
        As for `differences`.

    Returns
    -------
    float
        2 is just noticeable between plain areas.
    """
    return differences(image, quantized).mean


def _planes(colors: NDArray[np.uint8], n_threads: int) -> NDArray[np.int32]:
    planes = spaces.coordinates(colors, "oklab", n_threads=n_threads)
    return planes[: colors.shape[1]]


def _entries(palette: NDArray[np.uint8]) -> NDArray[np.int32]:
    return np.ascontiguousarray(_planes(palette, 1)[:, : len(palette)].T)


def _add(
    planes: NDArray[np.int32],
    weights: NDArray[np.int64],
    owners: NDArray[np.uint16],
    entries: NDArray[np.int32],
    bins: NDArray[np.int64],
) -> None:
    for start in range(0, len(weights), SLICE):
        last = min(start + SLICE, len(weights))
        check_indices("owners", owners[start:last], len(entries))
        _kernels.perceptual.add_distances(planes, weights, owners, entries, bins, start, last)
