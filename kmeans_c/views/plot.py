"""Figures to look at, drawn by matplotlib (the extra ``plot``)."""

import importlib
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kmeans_c.checks import check_choice
from kmeans_c.colors import in_rgb
from kmeans_c.histogram import Histogram
from kmeans_c.integrity import as_quantized
from kmeans_c.palette import Palette
from kmeans_c.quantize import Quantized

SPACES = ("rgb", "oklab")

# On the three axes; the outermost are as far as sRGB's colours go, or nearly.
_MARKS: dict[str, list[tuple[float, ...]]] = {
    "rgb": [(0, 64, 128, 192, 255)] * 3,
    "oklab": [(-0.3, 0, 0.3), (-0.3, 0, 0.3), (0, 0.25, 0.5, 0.75, 1)],
}

# Points that are drawn of a histogram, those of the most pixels: matplotlib takes a second for
# ten times as many, and the eye sees a cloud either way.
MOST = 4096

# Points squared. A colour of no pixels can still be seen; one that has them all is as large as a
# thumbnail.
_AREA, _AREA_OF_ALL = 12, 3000


def plot(source: Palette | Quantized | Histogram, *, space: str = "rgb") -> Any:
    """Draw colours as points in space, each as large as its share of the pixels.

    Parameters
    ----------
    source : Palette, Quantized or Histogram
        Of a histogram the 4,096 most frequent colours. What is fully transparent is left out.
    space : {"rgb", "oklab"}
        The axes: red, green and blue, or lightness upwards on Oklab's a and b [1]_.

    Returns
    -------
    matplotlib.figure.Figure
        Its own, not one of pyplot's: nothing has to be closed.

    Raises
    ------
    ImportError
        If matplotlib is not there.
    TypeError, ValueError
        If an argument is of the wrong kind, or there is no such space.

    References
    ----------
    .. [1] Ottosson, B. (2020). A perceptual color space for image processing.
    """
    check_choice("space", space, SPACES)
    colors, counts = _colors(source)
    figure = _figure((6.4, 6.0))
    axes = figure.add_subplot(projection="3d")
    if space == "rgb":
        points, labels = colors.astype(np.float64), ("red", "green", "blue")
    else:
        points, labels = _oklab(colors)[:, [1, 2, 0]], ("a", "b", "lightness")
    axes.scatter(
        *points.T,
        c=colors / 255,
        s=_AREA + _AREA_OF_ALL * counts / max(int(counts.sum()), 1),
        depthshade=False,
        edgecolors=(0.5, 0.5, 0.5, 0.6),
        linewidths=0.4 if len(colors) <= 256 else 0,  # of thousands, lines would hide the colours
    )
    for axis, label, marks in zip("xyz", labels, _MARKS[space], strict=True):
        axes.set(**{f"{axis}ticks": marks, f"{axis}lim": (marks[0], marks[-1])})
        getattr(axes, f"set_{axis}label")(label, labelpad=8)
    axes.set_box_aspect((1, 1, 1), zoom=0.85)  # or the labels would not fit
    axes.set_title(f"{len(colors):,} colours")
    return figure


def plot_sweep(rows: Iterable[Any]) -> Any:
    """Draw what each number of colours costs in bytes and in error.

    Parameters
    ----------
    rows : iterable of mappings or of objects with attributes
        What ``sweep`` returns: each with K and any of bytes, psnr, mse and delta_e. There is a
        panel for each of the four that some row has as a number; an infinite PSNR is left out.

    Returns
    -------
    matplotlib.figure.Figure
        Its own, not one of pyplot's.

    Raises
    ------
    ImportError
        If matplotlib is not there.
    ValueError
        If there is no row, or none with anything to draw.
    """
    listed = list(rows)
    K = [_value(row, "K") for row in listed]
    columns = {
        label: [_value(row, name) for row in listed]
        for name, label in [
            ("bytes", "bytes"),
            ("psnr", "PSNR (dB)"),
            ("mse", "MSE"),
            ("delta_e", "mean ΔE"),
        ]
    }
    columns = {label: ys for label, ys in columns.items() if not all(map(math.isnan, ys))}
    if not columns or all(map(math.isnan, K)):
        raise ValueError("rows: expected K and some of bytes, psnr, mse and delta_e, got none")
    figure = _figure((6.4, 1.2 + 2.0 * len(columns)))
    panels = figure.subplots(len(columns), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (label, ys) in zip(panels, columns.items(), strict=True):
        axes.plot(K, ys, marker=".")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
        if label != "PSNR (dB)":
            axes.set_ylim(bottom=0)
    panels[-1].set_xscale("log", base=2)
    panels[-1].xaxis.set_major_formatter("{x:g}")
    panels[-1].set_xlabel("K, colours")
    return figure


def _figure(size: tuple[float, float]) -> Any:
    try:
        module = importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise ImportError(
            "plot: matplotlib is not there; pip install 'kmeans-c[plot]' brings it"
        ) from error
    return module.Figure(figsize=size, layout="constrained")


def _colors(source: object) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Give opaque colours (n, 3) and counts (n,), one each where nothing was counted."""
    if isinstance(source, Quantized):
        source = as_quantized("source", source)
        colors, counts = source.palette, source.counts
    elif isinstance(source, Palette):
        source = source.checked("source")
        colors = source.colors
        counts = np.ones(len(colors), np.int64) if source.counts is None else source.counts
    elif isinstance(source, Histogram):
        source = source.checked("source")
        most = np.argsort(-source.counts, kind="stable")[:MOST]
        colors, counts = in_rgb(source.colors[most]), source.counts[most]
    else:
        kind = type(source).__name__
        raise TypeError(f"source: expected a Palette, a Quantized or a Histogram, got {kind}")
    if colors.shape[1] == 4:
        seen = colors[:, 3] > 0
        colors, counts = colors[seen], counts[seen]
    return colors[:, :3], counts


def _oklab(colors: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Ottosson's L, a, b (n, 3); to look at, so that libm's last bit does not matter."""
    v = colors / 255
    linear = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    to_cones = np.array([
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ])  # fmt: skip
    to_lab = np.array([
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ])  # fmt: skip
    lab: NDArray[np.float64] = np.cbrt(linear @ to_cones.T) @ to_lab.T
    return lab


def _value(row: object, name: str) -> float:
    """Give a number of a row; NaN, which is not drawn, where there is none."""
    value = row.get(name) if isinstance(row, Mapping) else getattr(row, name, None)
    return float(value) if value is not None and math.isfinite(value) else math.nan
