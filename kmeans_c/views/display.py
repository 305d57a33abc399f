"""What notebooks show: a palette as HTML, a result as a PNG; and how much of a large one."""

import io
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kmeans_c.color_text import hex_text
from kmeans_c.encoding import MAX_COLORS, encode
from kmeans_c.integrity import as_quantized
from kmeans_c.palette import Palette
from kmeans_c.quantize import Quantized

# Pixels a side beyond which a picture is thinned out for looking at.
SIDE = 1600

_SWATCHES = 1024  # what a page shows before it says how many more there are

# zlib's fastest: a notebook waits for it, and the bytes live as long as the notebook is open.
_PNG_LEVEL = 1

# What shows through transparent colours, in the greys of image editors.
CHECKER = (
    "repeating-conic-gradient(rgb(204 204 204) 0% 25%, rgb(255 255 255) 0% 50%) 0 0 / 16px 16px"
)


def palette_html(palette: Palette) -> str:
    """Show a palette as a row of swatches.

    Parameters
    ----------
    palette : Palette

    Returns
    -------
    str
        HTML without scripts and without references to anything else. Each swatch's tooltip has
        the colour, and its share of the pixels where the palette has counts.
    """
    style = (
        "display:inline-block;width:2em;height:2em;margin:1px;border-radius:3px;"
        "box-shadow:inset 0 0 0 1px rgb(128 128 128 / 50%)"
    )
    palette = palette.checked()
    colors = palette.colors[:_SWATCHES].tolist()
    labels = [hex_text(color) for color in colors]
    if palette.counts is not None:
        labels = [
            f"{label} {share}" for label, share in zip(labels, shares(palette.counts), strict=False)
        ]
    swatches = "".join(
        f'<span title="{label}" style="{style};background:{swatch_style(color)}"></span>'
        for label, color in zip(labels, colors, strict=True)
    )
    more = len(palette) - len(colors)
    rest = f"<span> and {more:,} more</span>" if more else ""
    name = escape(f"Palette: {', '.join(labels[:8])}{' ...' if len(palette) > 8 else ''}")
    return f'<div role="img" aria-label="{name}" style="line-height:0">{swatches}{rest}</div>'


def quantized_png(quantized: Quantized) -> bytes:
    """Show a result as a PNG.

    Parameters
    ----------
    quantized : Quantized

    Returns
    -------
    bytes
        A PNG, indexed if there are at most 256 colours. Of an image of more than `SIDE` pixels a
        side, every second, third ... pixel of every such row, so that no colour is mixed.
    """
    quantized = as_quantized("quantized", quantized)
    indices = thinned(quantized.indices)
    if len(quantized.palette) <= MAX_COLORS:
        return encode(quantized.palette, indices, "png", optimize=1)
    return pixels_png(quantized.palette[indices])


def pixels_png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode an image in full colour.

    Parameters
    ----------
    pixels : (H, W), (H, W, 3) or (H, W, 4) array of uint8

    Returns
    -------
    bytes
    """
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "png", compress_level=_PNG_LEVEL)
    return data.getvalue()


def thinned(pixels: NDArray[Any], side: int = SIDE) -> NDArray[Any]:
    """Take every n-th pixel of every n-th row, with the smallest n that is enough.

    Parameters
    ----------
    pixels : (H, W, ...) array
    side : int
        The largest height and width.

    Returns
    -------
    array
        Contiguous.
    """
    n = -(-max(pixels.shape[:2]) // side)
    return np.ascontiguousarray(pixels[::n, ::n])


def shares(counts: NDArray[np.int64]) -> list[str]:
    """Say what part of the pixels each colour has.

    Parameters
    ----------
    counts : (n,) array of int64

    Returns
    -------
    list of str
        Per cent: "12.3 %"; "< 0.1 %" for what would be rounded to nothing.
    """
    total = max(int(counts.sum()), 1)
    return [
        "< 0.1 %" if 0 < 2000 * count < total else f"{100 * count / total:.1f} %"
        for count in counts.tolist()
    ]


def swatch_style(color: list[int]) -> str:
    """Write a CSS background that shows a colour, over a checkerboard where it is not opaque.

    Parameters
    ----------
    color : list of 3 or 4 int

    Returns
    -------
    str
    """
    text = hex_text(color)
    return text if len(text) == 7 else f"linear-gradient({text} 0 0), {CHECKER}"
