"""How far an image of palette entries is from what it stands for."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmeans_c import _kernels, spaces

SLICE = 1 << 22  # pixels a kernel call: some 10 ms


def mean_squared_error(
    pixels: NDArray[np.uint8],
    palette: NDArray[np.uint8],
    indices: NDArray[Any],
    *,
    n_threads: int,
) -> float:
    """Mean over the pixels of the squared distance to their entry, in 8-bit steps of sRGB.

    Summed over three channels; with alpha the mean of what shows over black and over white.

    Parameters
    ----------
    pixels : uint8 array (H, W, channels)
    palette : uint8 array (K, channels)
    indices : uint8 or uint16 array (H, W)
    n_threads : int
    """
    channels = pixels.shape[2]
    flat = np.ascontiguousarray(pixels).reshape(-1, channels)
    entries = np.ascontiguousarray(spaces.coordinates(palette)[:, : len(palette)].T)
    every = indices.reshape(-1)
    total = 0
    for start in range(0, len(flat), SLICE):
        piece = slice(start, start + SLICE)
        total += _kernels.errors.squared_error(flat[piece], every[piece], entries, n_threads)
    return spaces.mean_squared_error(total, len(flat), channels)
