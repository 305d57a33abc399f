"""A page to look at: an image before and after, in several numbers of colours, with the figures."""

import base64
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from kmeans_c._version import __version__
from kmeans_c.checks import check_int
from kmeans_c.color_text import hex_text
from kmeans_c.encoding import MAX_COLORS, encode
from kmeans_c.files import FilePath, atomic_write, check_target
from kmeans_c.images import MAX_PIXELS, as_pixels, count_colors, read_image
from kmeans_c.quantize import Quantized, quantize
from kmeans_c.views.display import CHECKER, SIDE, pixels_png, shares, swatch_style, thinned

KS = (4, 16, 64, 256)
FIRST = 16  # what the page shows at first, if it is among them

_PAGE = "report.html"
_SMALL = 400  # pixels; smaller pictures, icons and sprites, are shown in whole multiples up to here


def report(
    image: Any,
    Ks: Iterable[int] = KS,
    *,
    title: str | None = None,
    side: int = SIDE,
    max_pixels: int = MAX_PIXELS,
    **options: Any,
) -> str:
    """Make a web page that compares an image with itself in several numbers of colours.

    Parameters
    ----------
    image : path, binary file object, PIL.Image.Image or array of uint8
        As for `quantize`.
    Ks : iterable of int
        Numbers of colours, 1..256 each.
    title : str, optional
        Default: the file's name, or "image".
    side : int
        The largest height and width of the pictures on the page: of a larger image every second,
        third ... pixel of every such row is shown. Sizes and errors are the whole image's.
    max_pixels : int
        A file with more is refused before it is decoded, see `images.read_image`.
    **options
        Handed on to `quantize`.

    Returns
    -------
    str
        HTML: one page that contains its pictures, its style and its script, asks no network, and
        shows the same without a script, one picture below the other. The same bytes for the same
        image and options.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, or impossible.
    OSError
        If a file cannot be read or is damaged.
    """
    wanted = sorted({check_int("Ks", K, 1, MAX_COLORS) for K in Ks})
    if not wanted:
        raise ValueError("Ks: expected at least one number of colours, got none")
    check_int("side", side, 1)
    name, n_bytes, kind = "image", None, ""
    if isinstance(image, str | os.PathLike):
        picture = read_image(cast("FilePath", image), max_pixels=max_pixels)
        pixels, n_bytes, kind = picture.pixels, picture.n_bytes, picture.format.upper()
        name = Path(image).name
    else:
        pixels = as_pixels(image)
    results = {K: quantize(pixels, K, **options) for K in wanted}
    sizes = {K: len(encode(r.palette, r.indices, "png")) for K, r in results.items()}
    page = _filled(
        pixels,
        results,
        title=title or name,
        facts=_facts(pixels, kind, n_bytes),
        side=side,
        headings=_HEADINGS + ("of the file",) * (n_bytes is not None),
        rows={K: _figures(r, sizes[K], n_bytes) for K, r in results.items()},
    )
    # A name may hold bytes that are no text: then they are question marks.
    return page.encode("utf-8", "replace").decode("utf-8")


def write_report(
    image: Any,
    path: FilePath,
    Ks: Iterable[int] = KS,
    *,
    overwrite: bool = False,
    **options: Any,
) -> None:
    """Write the page of `report` to a file, whole or not at all.

    Parameters
    ----------
    image, Ks
        As for `report`.
    path : path
    overwrite : bool
        Whether an existing file may be replaced.
    **options
        Handed on to `report`.

    Raises
    ------
    TypeError, ValueError, OSError
        As `report`; FileExistsError if the file exists and `overwrite` is not set.
    """
    check_target(path, overwrite=overwrite)
    page = report(image, Ks, **options)
    atomic_write(path, page.encode("utf-8"), overwrite=overwrite)


_HEADINGS = ("colours", "PNG bytes", "bits a pixel", "MSE", "PSNR")


def _facts(pixels: NDArray[np.uint8], kind: str, n_bytes: int | None) -> str:
    height, width = pixels.shape[:2]
    facts = f"{width:,} &times; {height:,} pixels, {count_colors(pixels):,} colours"
    return facts if n_bytes is None else f"{facts}, {n_bytes:,} bytes as {kind}"


def _figures(result: Quantized, size: int, n_bytes: int | None) -> list[str]:
    figures = [
        f"{len(result.palette):,}",
        f"{size:,}",
        f"{8 * size / result.indices.size:.2f}",
        f"{result.mse:.2f}",
        f"{result.psnr:.1f} dB" if math.isfinite(result.psnr) else "lossless",
    ]
    return figures if n_bytes is None else [*figures, f"{100 * size / n_bytes:.0f} %"]


def _filled(
    pixels: NDArray[np.uint8],
    results: Mapping[int, Quantized],
    *,
    title: str,
    facts: str,
    side: int,
    headings: Sequence[str],
    rows: Mapping[int, list[str]],
) -> str:
    first = FIRST if FIRST in results else next(iter(results))
    before = thinned(pixels, side)
    pictures = [_picture(pixels_png(before), "Before", before)]
    for K, result in results.items():
        after = thinned(result.indices, side)
        data = encode(result.palette, after, "png")
        pictures.append(_picture(data, f"After, in {K} colours", after, K))
    notes = f"Made by kmeans-c {__version__}. MSE: squared error a pixel, summed over the channels."
    if before.shape != pixels.shape:
        notes += (
            f" The pictures are thinned out to {before.shape[1]} &times; {before.shape[0]} pixels."
        )
    page = Template(resources.files("kmeans_c.views").joinpath(_PAGE).read_text("utf-8"))
    return page.substitute(
        title=escape(title),
        facts=facts,
        checker=CHECKER,
        choices="\n".join(_choice(K, checked=first == K) for K in results),
        pictures="\n".join(pictures),
        palettes="\n".join(_palette(K, result) for K, result in results.items()),
        headings="".join(f'<th scope="col">{text}</th>' for text in ("asked for", *headings)),
        rows="\n".join(_row(K, figures) for K, figures in rows.items()),
        notes=notes,
    )


def _picture(data: bytes, text: str, pixels: NDArray[Any], K: int | None = None) -> str:
    zoom = max(1, _SMALL // max(pixels.shape[:2]))
    height, width = (zoom * size for size in pixels.shape[:2])
    part = "" if K is None else f' data-k="{K}"'
    part += ' class="zoomed"' if zoom > 1 else ""
    source = base64.b64encode(data).decode("ascii")
    return (
        f'<img{part} width="{width}" height="{height}" draggable="false" alt="{text}" '
        f'src="data:image/png;base64,{source}">'
    )


def _choice(K: int, *, checked: bool) -> str:
    state = " checked" if checked else ""
    return (
        f'<label class="choice"><input type="radio" name="k" value="{K}"{state}>'
        f"<span>{K}</span></label>"
    )


def _palette(K: int, result: Quantized) -> str:
    colors, counts = result.palette.tolist(), result.counts.tolist()
    bar = "".join(
        f'<span style="flex-grow:{count};background:{swatch_style(color)}"></span>'
        for color, count in zip(colors, counts, strict=True)
    )
    swatches = "\n".join(
        f'<li><i style="background:{swatch_style(color)}"></i>'
        f"<code>{hex_text(color)}</code><b>{escape(share)}</b></li>"
        for color, share in zip(colors, shares(result.counts), strict=True)
    )
    return (
        f'<section data-k="{K}">\n<h2>Palette: {len(colors)} colours, with their shares</h2>\n'
        f'<div class="bar" aria-hidden="true">{bar}</div>\n'
        f'<ul class="swatches">\n{swatches}\n</ul>\n</section>'
    )


def _row(K: int, figures: list[str]) -> str:
    cells = "".join(f"<td>{figure}</td>" for figure in figures)
    return f'<tr data-row="{K}"><th scope="row">{K}</th>{cells}</tr>'
