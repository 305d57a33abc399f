"""What a JPEG of a K-colour picture shows: how much of the palette is left, and the error."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np

from kmeans_c.images import count_colors
from kmeans_c.images.decoders import opened
from kmeans_c.images.modes import Pixels
from kmeans_c.mapping import PaletteMap
from kmeans_c.threads import thread_count

# What makes a JPEG hold its picture: the share of pixels that show their own entry, and the factor
# by which the MSE to the original may exceed that of the exact palette (0.5 dB).
LEAST_SHARE = 0.9
LARGEST_LOSS = 10**0.05


@dataclass(frozen=True, slots=True)
class Shown:
    """What a JPEG shows.

    Attributes
    ----------
    share : float
        Share of the pixels whose nearest palette entry is their own, of equals the first.
    mse : float
        Mean squared distance to the original, summed over the channels.
    colors : int
        Distinct colours.
    """

    share: float
    mse: float
    colors: int

    def holds(self, exact_mse: float) -> bool:
        """Say whether this is still the picture of K colours, whose error is `exact_mse`."""
        close = exact_mse == 0 or self.mse <= LARGEST_LOSS * exact_mse
        return self.share >= LEAST_SHARE and close


def shown_by(
    data: bytes,
    original: Pixels,
    palette: Pixels,
    indices: Pixels,
    *,
    n_threads: int | None = None,
) -> Shown:
    """Decode a JPEG and compare it with the original and with the K-colour picture.

    Parameters
    ----------
    data : bytes
    original : (H, W) or (H, W, 3) array of uint8
    palette : (n, 3) or (n, 4) array of uint8
        Without unused entries. Alpha is ignored, as a JPEG has none.
    indices : (H, W) array of uint8
    n_threads : int, optional
    """
    shown = decoded(data)
    colors = palette[:, : 1 if shown.ndim == 2 else 3]
    mapper = PaletteMap(np.ascontiguousarray(colors))
    pixels = shown[:, :, np.newaxis] if shown.ndim == 2 else shown
    nearest = mapper.map(pixels, n_threads=thread_count(n_threads))
    own = _first_equal(colors)[indices]
    return Shown(
        share=int(np.count_nonzero(nearest == own)) / indices.size,
        mse=mean_squared_error(original[:, :, :3] if original.ndim == 3 else original, shown),
        colors=count_colors(shown),
    )


def decoded(data: bytes) -> Pixels:
    """Decode a JPEG of mode L or RGB without regard to metadata."""
    with opened(io.BytesIO(data)) as image:
        return np.asarray(image)


def mean_squared_error(before: Pixels, after: Pixels) -> float:
    """Compare two opaque images, of which either may be grey: grey counts as three channels."""
    channels = 3 if before.ndim == after.ndim == 2 else 1
    before, after = (a if a.ndim > 2 else a[:, :, np.newaxis] for a in (before, after))
    n_pixels: int = before.shape[0] * before.shape[1]
    total = 0
    for old, new in zip(before, after, strict=True):
        # In integers, and not as a dot product: BLAS would start threads of its own, which wait
        # for each other for seconds where the processors are busy.
        difference = np.subtract(old, new, dtype=np.int32)
        difference *= difference
        total += int(difference.sum(dtype=np.int64))
    return channels * total / n_pixels


def _first_equal(colors: Pixels) -> Pixels:
    """For each entry the first of the same colour: a palette that was given may repeat one."""
    _, first, inverse = np.unique(colors, axis=0, return_index=True, return_inverse=True)
    return np.asarray(first[inverse.ravel()], np.uint8)
