"""Pillow's idiom: `quantize` takes what ``Image.quantize`` takes, and gives what it gives.

``im.quantize(64)`` becomes ``kmeans_c.pillow.quantize(im, 64)``.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kmeans_c.checks import check_int
from kmeans_c.encoding import MAX_COLORS
from kmeans_c.given import has_clear_entry, has_clear_pixels, with_clear_entry
from kmeans_c.images.indexed import palette_of
from kmeans_c.images.modes import OPAQUE
from kmeans_c.images.pillow_image import converted_pixels, profile_space, stored_pixels
from kmeans_c.palette import Palette
from kmeans_c.quantize import quantize as engine

# Pillow's words for dithering in this package's. Its Dither.ORDERED and Dither.RASTERIZE are not
# implemented there.
DITHERS: dict[int, str] = {
    Image.Dither.NONE: "none",
    Image.Dither.FLOYDSTEINBERG: "floyd-steinberg",
}

_FOR_RGBA = (Image.Quantize.FASTOCTREE, Image.Quantize.LIBIMAGEQUANT)


def quantize(  # noqa: PLR0917 - Pillow's own positions
    im: Image.Image,
    colors: int = 256,
    method: int | None = None,
    kmeans: int = 0,
    palette: Image.Image | None = None,
    dither: int | None = Image.Dither.FLOYDSTEINBERG,
) -> Image.Image:
    """Convert an image to mode P, as ``PIL.Image.Image.quantize`` does, with k-means.

    Parameters
    ----------
    im : PIL.Image.Image
        Of any mode but F and I; it stays as it is. As in Pillow its orientation is not applied, and
        an RGB profile neither: both stay in the result's ``info``. A profile of grey, CMYK or LAB
        does not fit a palette of RGB: the colours are brought to sRGB by it, and it is gone.
    colors : int
        1..256. The image gets min(colors, its distinct colours).
    method : PIL.Image.Quantize, optional
        Checked, and otherwise not used: what is called median cut, fast octree and so on there is
        k-means here.
    kmeans : int
        At least 0, and otherwise not used: it says when Pillow may stop refining what its method
        found; here all is refined.
    palette : PIL.Image.Image, optional
        Of mode P: map to its colours. All of them stay, in their places; `colors` and `kmeans` are
        not used then. If `im` has fully transparent pixels and the palette no such entry, one is
        appended, which ``info["transparency"]`` names; of 256 entries the last that is equal to
        another one becomes it, and without such an entry the palette is refused.
    dither : PIL.Image.Dither, optional
        NONE (or None) or FLOYDSTEINBERG.

    Returns
    -------
    PIL.Image.Image
        Mode P, with the ``info`` of `im`: but for ``transparency`` and an index called
        ``background``, which belong to the pixels and the palette that it had, and a profile that
        is not of RGB. A single transparent colour among opaque ones stands in
        ``info["transparency"]``, where GIF and PNG find it; with other transparency the palette is
        of mode RGBA, as there.

    Raises
    ------
    TypeError, ValueError
        Where Pillow raises them: if an argument is of the wrong kind; `colors` is not 1..256;
        `method` is none of its numbers, or for an RGBA image not one of FASTOCTREE and
        LIBIMAGEQUANT; `kmeans` is negative; `palette` is not of mode P. Also if `dither` is one
        that Pillow names and does not have, and if `im` has no pixels.

    Notes
    -----
    It differs from Pillow in the colours, which are better, and in these:

    - `dither` counts without `palette` too, where Pillow passes over it.
    - `palette` is searched for the nearest colour; Pillow's search is a table of 6 bits a channel.
    - RGBA, LA, CMYK and other images are taken that Pillow refuses, with `palette` or without.
      The transparency of `palette` is part of its colours.
    - Partly transparent colours are compared as they are seen over black and over white.
    """
    if not isinstance(im, Image.Image):
        raise TypeError(f"im: expected a PIL.Image.Image, got {type(im).__name__}")
    _check_method(method, im.mode)
    diffusion = _diffusion(dither)
    fits = im.mode not in ("CMYK", "LAB") and profile_space(im) == b"RGB "
    pixels = stored_pixels(im) if fits else converted_pixels(im)
    if palette is None:
        check_int("colors", colors, 1, MAX_COLORS)
        check_int("kmeans", kmeans, 0)
        found = engine(pixels, colors, dither=diffusion)
        entries, indices = found.palette, found.indices
    else:
        entries = _entries(palette)
        if has_clear_pixels(pixels) and not has_clear_entry(entries):
            entries, _ = with_clear_entry(entries, MAX_COLORS)
        indices = engine(pixels, palette=Palette(entries), dither=diffusion).indices
    result = _of_mode_p(entries, indices)
    kept = {key: value for key, value in im.info.items() if not _is_of_palette(key, value)}
    if not fits:
        kept.pop("icc_profile", None)
    result.info = kept | result.info
    return result


def _check_method(method: object, mode: str) -> None:
    if method is None:
        return
    number = check_int("method", method, 0, max(Image.Quantize))
    if mode == "RGBA" and number not in _FOR_RGBA:
        raise ValueError("method: expected FASTOCTREE or LIBIMAGEQUANT for an RGBA image, as there")


def _diffusion(dither: object) -> str:
    found = DITHERS.get(0 if dither is None else check_int("dither", dither, 0))
    if found is None:
        raise ValueError(f"dither: expected NONE (0) or FLOYDSTEINBERG (3), got {dither}")
    return found


def _entries(palette: object) -> NDArray[np.uint8]:
    if not isinstance(palette, Image.Image):
        raise TypeError(f"palette: expected a PIL.Image.Image, got {type(palette).__name__}")
    palette.load()
    if palette.mode != "P":
        raise ValueError(f"palette: expected an image of mode P, got mode {palette.mode}")
    entries = palette_of(palette)
    if not len(entries):
        raise ValueError("palette: expected at least one colour, got none")
    return entries


def _of_mode_p(entries: NDArray[np.uint8], indices: NDArray[np.uint8]) -> Image.Image:
    image = Image.fromarray(indices)
    alpha = entries[:, 3:].ravel()
    seen = np.flatnonzero(alpha < OPAQUE).tolist()
    rgba = len(seen) > 1 or bool(seen and alpha[seen[0]])
    image.putpalette(entries[:, : 4 if rgba else 3].tobytes(), "RGBA" if rgba else "RGB")
    if seen and not rgba:
        image.info["transparency"] = seen[0]
    return image


def _is_of_palette(key: object, value: object) -> bool:
    return key == "transparency" or (key == "background" and isinstance(value, int))
