"""From the distinct colours of an image to its palette."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmeans_c.lloyd import Points, lloyd
from kmeans_c.seeding import Draw, seed_rows

# From here a count for every 24-bit colour is faster than sorting the pixels.
TABLE_PIXELS = 1 << 20


def distinct_colors(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The colours of (N, C) pixels and how many pixels have each.

    Returns
    -------
    colors : (n, C) array of uint8
        In ascending order, the first channel being the most significant.
    counts : (n,) array of int64
    """
    channels = pixels.shape[1]
    codes = color_codes(pixels)
    if channels <= 3 and len(codes) >= TABLE_PIXELS:
        table = np.bincount(codes)
        distinct = np.flatnonzero(table)
        counts = table[distinct]
    else:
        distinct, counts = np.unique(codes, return_counts=True)
    shifts = 8 * np.arange(channels - 1, -1, -1)
    return (distinct[:, None] >> shifts).astype(np.uint8), counts.astype(np.int64)


def color_codes(pixels: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Each (N, C) pixel as one number."""
    codes = pixels[:, 0].astype(np.uint32)
    for channel in range(1, pixels.shape[1]):
        codes <<= 8
        codes |= pixels[:, channel]
    return codes


def fit_palette(
    colors: NDArray[np.uint8],
    counts: NDArray[np.int64],
    K: int,
    ITERS: int,
    *,
    init: str,
    draw: Draw,
    n_threads: int,
) -> tuple[NDArray[np.uint8], int]:
    """Cluster weighted colours.

    Parameters
    ----------
    colors : (n, C) array of uint8
        Distinct, more than K.
    counts : (n,) array of int64
        Pixels of each colour, at least 1.
    K, ITERS, init, draw, n_threads
        As for `quantize`, checked.

    Returns
    -------
    palette : (K, C) array of uint8
        Distinct colours, each of them nearest to some colour of the image.
    n_iter : int
        Rounds of Lloyd's algorithm.
    """
    rows = seed_rows(colors, K, init, draw, n_threads=n_threads, weights=counts)
    points = Points(colors, n_threads, counts)
    centroids, n_iter = lloyd(points, colors[rows].astype(np.float64), ITERS)
    return _exactly(points, counts, np.floor(centroids + 0.5).astype(np.uint8)), n_iter


def _exactly(
    points: Points, counts: NDArray[np.int64], palette: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Replace entries that rounding made equal, or that no colour is nearest to.

    The colours of the largest weighted error take their place. That lowers the total error, so the
    rounds end.
    """
    K = len(palette)
    while True:
        labels = points.nearest(palette.astype(np.float64))
        used = np.unique(labels)
        if len(used) == K:
            return palette
        error = squared_errors(points.X, palette[labels]) * counts
        worst = np.argsort(-error, kind="stable")[: K - len(used)]
        palette = np.concatenate([palette[used], points.X[worst]])


def squared_errors(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The squared distance of each row of `a` to the same row of `b`, in whole numbers."""
    difference: NDArray[Any] = a.astype(np.int64) - b
    return np.asarray((difference * difference).sum(axis=1), dtype=np.int64)
