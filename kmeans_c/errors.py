"""How far a palette is from what it stands for."""

import numpy as np
from numpy.typing import NDArray

from kmeans_c import spaces
from kmeans_c.clustering import Fit
from kmeans_c.histogram import Histogram

SLICE = 1 << 20  # colours looked at together


def mean_squared_error(histogram: Histogram, found: Fit, space: str) -> float:
    """Mean over the pixels of the squared distance to their entry, in 8-bit steps of sRGB."""
    channels = histogram.channels
    inertia = found.inertia
    if space != "srgb":
        inertia = sum(int(part) for part in _squared(histogram, found.palette, found.owners))
    return spaces.mean_squared_error(inertia, histogram.total, channels)


def _squared(
    histogram: Histogram, palette: NDArray[np.uint8], owners: NDArray[np.uint16]
) -> "list[np.int64]":
    entries = spaces.coordinates(palette)[:, : len(palette)]
    colors, counts = histogram.colors, histogram.counts
    parts = []
    for start in range(0, len(colors), SLICE):
        piece = slice(start, start + SLICE)
        places = spaces.coordinates(colors[piece])[:, : len(colors[piece])]
        apart = places - entries[:, owners[piece]]
        parts.append((counts[piece] * (apart.astype(np.int64) ** 2).sum(axis=0)).sum())
    return parts
