"""Where colours lie: integer coordinates 0..16383, so that distances are exact everywhere.

RGB and grey: 64 v for each channel v.

RGBA: the mean of the squared errors over black and over white. With alpha a and premultiplied p
= v a / 255, an error (dp, da) shows as dp over black and as dp - da over white; the mean of the
squares, summed over three channels, is the squared Euclidean distance in the coordinates

    64 p - 32 a + 8160          one for each channel; 64 p is rounded, a half upwards
    64 sqrt(3)/2 a              as (454047 a + 4096) // 8192

Opaque colours keep the distances of RGB, and all fully transparent colours are one point.
"""

import numpy as np
from numpy.typing import NDArray

from kmeans_c._kernels import spaces as kernel

Coordinates = NDArray[np.int32]

# The kernels read whole vectors: this much beyond the last column.
PADDING = 64


def coordinates(colors: NDArray[np.uint8]) -> Coordinates:
    """Return the coordinates of colours (n, channels) as planes (3 or 4, n + PADDING)."""
    planes = np.zeros((max(3, colors.shape[1]), len(colors) + PADDING), np.int32)
    kernel.coordinates(np.ascontiguousarray(colors), planes)
    return planes


def nearest_colors(centroids: Coordinates, channels: int) -> NDArray[np.uint8]:
    """Return the 8-bit colours (n, channels) at centroids (n, 3 or 4); halves go upwards."""
    if channels < 4:
        rounded: NDArray[np.uint8] = np.minimum((centroids[:, :channels] + 32) >> 6, 255).astype(
            np.uint8
        )
        return rounded
    alpha = np.minimum((16384 * centroids[:, 3:].astype(np.int64) + 454047) // 908094, 255)
    premultiplied = np.clip(centroids[:, :3] + 32 * alpha - 8160, 0, 64 * alpha)
    straight = (510 * premultiplied + 64 * alpha) // np.maximum(128 * alpha, 1)
    return np.concatenate([straight, alpha], axis=1).astype(np.uint8)
