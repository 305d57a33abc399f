"""A picture to look at: before, after, and the palette between the two."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kmeans_c.images import as_pixels
from kmeans_c.integrity import as_quantized
from kmeans_c.quantize import Quantized

GAP, STRIP = 12, 24  # pixels
_SQUARE = 8  # pixels; of the checkerboard behind what is transparent
_LIGHT, _DARK = 255, 204


def preview(image: Any, quantized: Quantized) -> Image.Image:
    """Draw an image, what became of it, and below that its palette.

    Parameters
    ----------
    image : path, binary file object, PIL.Image.Image or array of uint8
        What `quantized` was made of.
    quantized : Quantized

    Returns
    -------
    PIL.Image.Image
        RGB, twice as wide as the image and somewhat more. Each colour of the palette is as wide as
        its share of the pixels, but at least a pixel where there is room for that. What is
        transparent shows a checkerboard.

    Raises
    ------
    TypeError
        If `quantized` is something else, or `image` no image.
    ValueError
        If the two have not the same size.
    OSError
        If a file cannot be read or is damaged.
    """
    if not isinstance(quantized, Quantized):
        raise TypeError(f"quantized: expected a Quantized, got {type(quantized).__name__}")
    quantized = as_quantized("quantized", quantized)
    before = as_pixels(image)
    height, width = quantized.indices.shape
    if before.shape[:2] != (height, width):
        size = f"{before.shape[1]} x {before.shape[0]}"
        raise ValueError(f"image: expected {width} x {height} pixels as in quantized, got {size}")
    sheet = np.full((height + GAP + STRIP, 2 * width + GAP, 3), _LIGHT, np.uint8)
    sheet[:height, :width] = _seen(before)
    sheet[:height, width + GAP :] = _seen(quantized.to_array())
    strip = np.repeat(quantized.palette[np.newaxis], STRIP, axis=0)
    sheet[height + GAP :, width + GAP :] = _seen(
        np.repeat(strip, _widths(quantized.counts, width), axis=1)
    )
    return Image.fromarray(sheet)


def _widths(counts: NDArray[np.int64], width: int) -> NDArray[np.intp]:
    """Split a width by counts: whole pixels, at least one for each if there are as many."""
    least = int(len(counts) <= width)
    cumulated = np.concatenate([[0], np.cumsum(counts)])
    edges = cumulated * (width - least * len(counts)) // max(int(cumulated[-1]), 1)
    # A palette that was given may have no pixel at all: then the last colour takes the rest.
    edges[-1] = width - least * len(counts)
    return np.diff(edges).astype(np.intp) + least


def _seen(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Show pixels as RGB: grey as it is, transparent ones over a checkerboard."""
    if pixels.ndim == 2:
        return np.repeat(pixels[:, :, np.newaxis], 3, axis=2)
    if pixels.shape[2] == 3:
        return pixels
    y, x = (np.arange(size) // _SQUARE % 2 for size in pixels.shape[:2])
    board = np.where(y[:, np.newaxis] == x, _LIGHT, _DARK)[:, :, np.newaxis].astype(np.uint32)
    alpha = pixels[:, :, 3:].astype(np.uint32)
    mixed = pixels[:, :, :3] * alpha + board * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)
