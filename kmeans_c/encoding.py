"""Writing images: palette and indices become the bytes of a file."""

import io
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kmeans_c.alpha import NEARLY_OPAQUE, opaque_table
from kmeans_c.checks import check_int
from kmeans_c.icon import encode_icon
from kmeans_c.images import as_pixels, read_image
from kmeans_c.images.metadata import Metadata, fitted, kept, png_chunks, save_options
from kmeans_c.images.modes import OPAQUE
from kmeans_c.images.png_file import SIGNATURE
from kmeans_c.integrity import check_indices
from kmeans_c.jpeg.options import as_options
from kmeans_c.png import MOST_OPTIMIZE, OPTIMIZE, encode_png, used
from kmeans_c.proof import can_prove, shows

# The formats that can be written, by the endings of their names.
FORMATS = {
    ".png": "png",
    ".apng": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".gif": "gif",
    ".webp": "webp",
    ".bmp": "bmp",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".ico": "ico",
}

# How the names of a format end: the first of its endings.
ENDINGS = {kind: suffix for suffix, kind in reversed(FORMATS.items())}

# What `format="auto"` chooses from, by encoding both. GIF is never the smallest: WebP's headers are
# as short as its own.
AUTO = ("png", "webp")

MAX_COLORS = 256  # of a palette in a file

# Where nothing says how many bytes a JPEG may take. At 16 colours 99 % of the pixels come back
# within 16 levels of their palette entry, on photos, scans and screenshots alike; at 90 it is 98 %,
# and 95 adds a third to the bytes.
JPEG_QUALITY = 92

# WebP's (quality, method) by `optimize`. At 16 colours (50, 2) takes 90 ms for 0.4 megapixels; at
# 256 (75, 4) takes 3 % fewer bytes and half as long again, (100, 5) 9 % fewer and 14 times as long.
_WEBP_EFFORT = ((20, 0), (50, 2), (75, 3), (75, 4), (100, 4), (100, 5), (100, 6))

_ZLIB_LEVELS = (1, 4, 6, 7, 8, 9, 9)  # of a TIFF, by `optimize`

_PNG_HEADER = len(SIGNATURE) + 25  # with IHDR, after which other chunks may follow

OPAQUE_FORMATS = ("jpeg", "bmp")
_NO_TRANSPARENCY = "{} holds no transparency; png, webp and tiff do"

_LARGEST_SIDE = {"jpeg": 65500, "webp": 16383, "gif": 65535, "ico": 256}


def format_for(path: object) -> str:
    """Name the format that a file's ending asks for.

    Parameters
    ----------
    path : str, path-like, or file object with a name
        What the image shall be written to.

    Returns
    -------
    str
        "png", "jpeg", "gif", "webp", "bmp", "tiff" or "ico".

    Raises
    ------
    ValueError
        If the ending is of no format that can be written, or a file object has no name.
    """
    name = path if isinstance(path, str | os.PathLike) else getattr(path, "name", None)
    suffix = ""
    if isinstance(name, str | os.PathLike):
        suffix = os.path.splitext(os.fspath(name))[1].lower()  # noqa: PTH122
    if suffix not in FORMATS:
        got = repr(os.fspath(name)) if isinstance(name, str | os.PathLike) else "no name"
        raise ValueError(f"output: expected a name that ends in {', '.join(FORMATS)}, got {got}")
    return FORMATS[suffix]


def check_format(format: object) -> str:  # noqa: A002 - the argument it checks
    """Check the argument that names a format.

    Parameters
    ----------
    format : str
        A format or an ending of its names, in any case: "png", "jpeg", "JPG", "tif" ...

    Returns
    -------
    str
        "png", "jpeg", "gif", "webp", "bmp", "tiff" or "ico".

    Raises
    ------
    TypeError, ValueError
        If it is no str, or none of these.
    """
    if not isinstance(format, str):
        raise TypeError(f"format: expected a str, got {type(format).__name__}")
    kind = FORMATS.get(f".{format.lower()}")
    if kind is None:
        known = ", ".join(dict.fromkeys(FORMATS.values()))
        raise ValueError(f"format: expected one of {known}, got {format!r}")
    return kind


def indexed_image(palette: NDArray[np.uint8], indices: NDArray[np.uint8]) -> Image.Image:
    """Make a Pillow image of mode P.

    Parameters
    ----------
    palette : (n, 3) or (n, 4) array of uint8
        The colours, at most 256.
    indices : (H, W) array of uint8
        The palette entry of each pixel.

    Returns
    -------
    PIL.Image.Image
        With exactly these colours. ``info["transparency"]`` is the index of the one that is fully
        transparent, as Pillow's writers of GIF want it, if all others are opaque; otherwise, where
        some are not, the alpha of all up to the last of them.

    Raises
    ------
    ValueError
        If there are more than 256 colours.
    """
    _check_indexed(palette, indices)
    check_indices("indices", indices, len(palette))
    image = Image.fromarray(indices)
    image.putpalette(palette[:, :3].tobytes())
    if palette.shape[1:] == (4,):
        alpha = palette[:, 3]
        visible = np.flatnonzero(alpha < OPAQUE).tolist()
        if len(visible) == 1 and not alpha[visible[0]]:
            image.info["transparency"] = visible[0]
        elif visible:
            image.info["transparency"] = alpha[: visible[-1] + 1].tobytes()
    return image


def encode(
    palette: NDArray[np.uint8],
    indices: NDArray[np.uint8],
    format: str,  # noqa: A002 - Pillow's name
    *,
    optimize: int = OPTIMIZE,
    metadata: Metadata | None = None,
    policy: str = "safe",
    keep_palette: bool = False,
    jpeg_quality: int | None = None,
    subsampling: str | None = None,
    n_threads: int | None = None,
) -> bytes:
    """Encode an image that has a palette.

    PNG, GIF, BMP, opaque ICO and opaque TIFF hold the palette itself, PNG (also in an ICO) with 1,
    2, 4 or 8 bits a pixel as the number of colours allows, BMP with 1, 4 or 8. WebP (lossless), and
    ICO and TIFF with transparency, hold the pixels in full colour, exactly. JPEG (progressive,
    grey if the palette is) only comes near: it can't hold a palette.

    Parameters
    ----------
    palette : (n, 3) or (n, 4) array of uint8
        The colours, at most 256. Those that no pixel has are left out, unless the palette is to be
        kept.
    indices : (H, W) array of uint8
        The palette entry of each pixel.
    format : str
        "png", "jpeg", "gif", "webp", "bmp", "tiff" or "ico", see `check_format`.
    optimize : int
        How hard to try, 0..6, see `png.encode_png`. WebP tries harder too.
    metadata : Metadata, optional
        Of the image; its profile is that of the palette. ICO holds none.
    policy : {"none", "safe", "keep"}
        What of it is written, see `metadata`.
    keep_palette : bool
        Whether the file's table is the palette as it is, with its order, its unused and its double
        entries, wherever the file has one: see `holds_palette`.
    jpeg_quality : int, optional
        1..100, libjpeg's; 92 by default. For JPEG only, as the next one.
    subsampling : {"4:4:4", "4:2:2", "4:2:0"}, optional
        Of a JPEG's chroma; 4:4:4 by default.
    n_threads : int, optional
        For PNG, see `quantize`; the bytes do not depend on it.

    Returns
    -------
    bytes
        The contents of the file.

    Raises
    ------
    ValueError
        If there are more than 256 colours, no such format, or it can't hold the image: JPEG and
        BMP have no transparency, though colours of alpha 250 and more are drawn over white; GIF has
        no partial transparency and a single transparent entry; JPEG, GIF, WebP and ICO have a
        largest width and height. If the palette needs a profile and the format holds none.
    """
    kind = check_format(format)
    optimize = check_int("optimize", optimize, 0, MOST_OPTIMIZE)
    wanted = as_options(jpeg_quality, subsampling)
    wanted.check_format(kind)
    _check_indexed(palette, indices)
    check_holds(kind, indices.shape[1], indices.shape[0])
    seen, numbers = used(palette, indices)
    check_fits(seen, numbers, kind)
    if kind in OPAQUE_FORMATS and palette.shape[1] == 4:
        palette, seen = opaque_table(palette), opaque_table(seen)
    if not keep_palette:
        palette, indices = seen, numbers
    about = Metadata() if metadata is None else metadata
    if kind == "png":
        png = encode_png(palette, indices, optimize, keep_palette=keep_palette, n_threads=n_threads)
        # After oxipng, which would take some of them away.
        chunks = png_chunks(kept(about, policy))
        return b"".join([png[:_PNG_HEADER], *chunks, png[_PNG_HEADER:]])
    if kind == "tiff":
        return _tiff(palette, indices, optimize, about, policy)
    described = save_options(about, kind, policy)
    if kind == "ico":
        in_color = not holds_palette(kind, used(palette, indices)[0])
        return encode_icon(palette, indices, optimize, in_color=in_color, keep_palette=keep_palette)
    if kind == "bmp":
        from kmeans_c.images.bmp_file import encode_bmp  # noqa: PLC0415 - rarely needed

        return encode_bmp(palette, indices, described.get("dpi"))
    options: dict[str, Any] = {}
    if kind == "jpeg":
        from kmeans_c.jpeg.writer import (  # noqa: PLC0415 - other formats need none of it
            compact,
            full_color,
            with_metadata,
        )

        palette, indices = seen, numbers
        # A profile of RGB does not fit grey pixels.
        image = full_color(palette, indices, grey=about.icc is None)
        data = compact(image, wanted.quality or JPEG_QUALITY, wanted.subsampling or "4:4:4")
        return with_metadata(data, described)
    if not holds_palette(kind, seen):
        image = Image.fromarray(palette.take(indices, axis=0))
    else:
        image = indexed_image(palette, indices)
        image.info.pop("transparency", None)
        if kind == "gif":
            options = {"optimize": not keep_palette} | _gif_transparency(palette, indices)
    if kind == "webp":
        quality, method = _WEBP_EFFORT[optimize]
        options = {"lossless": True, "exact": True, "quality": quality, "method": method}
    file = io.BytesIO()
    image.save(file, kind, **options, **described)
    return file.getvalue()


def _tiff(
    palette: NDArray[np.uint8],
    indices: NDArray[np.uint8],
    optimize: int,
    metadata: Metadata,
    policy: str,
) -> bytes:
    from kmeans_c.images.tiff_file import Pages  # noqa: PLC0415 - few write one
    from kmeans_c.images.tiff_metadata import tiff_folder  # noqa: PLC0415 - as above

    if palette.shape[1] == 3:
        palette = np.pad(palette, ((0, 0), (0, 1)), constant_values=OPAQUE)
    if holds_palette("tiff", used(palette, indices)[0]):
        palette = palette.copy()
        palette[:, 3] = OPAQUE  # of entries that no pixel has
    pages = Pages(_ZLIB_LEVELS[optimize])
    pages.add(palette, indices, tiff_folder(fitted(kept(metadata, policy), "tiff", policy)))
    return pages.finish()


def holds_palette(format: str, colors: NDArray[np.uint8]) -> bool:  # noqa: A002 - as in encode
    """Say whether a file has a palette, and indices instead of colours.

    Parameters
    ----------
    format : str
    colors : (n, 3) or (n, 4) array of uint8
        Those that pixels have.
    """
    if format in ("tiff", "ico"):
        return colors.shape[1] == 3 or bool(colors[:, 3].min() == OPAQUE)
    return format in ("png", "gif", "bmp")


def _gif_transparency(palette: NDArray[np.uint8], indices: NDArray[np.uint8]) -> dict[str, int]:
    """Name the transparent entry: the one that pixels have, if there are several."""
    clear = np.flatnonzero(palette[:, 3] == 0) if palette.shape[1] == 4 else np.empty(0, int)
    if not len(clear):
        return {}
    entries = clear.tolist()
    return {
        "transparency": next((entry for entry in entries if (indices == entry).any()), entries[0])
    }


def encode_smallest(
    palette: NDArray[np.uint8], indices: NDArray[np.uint8], **options: Any
) -> tuple[str, bytes]:
    """Encode an image in the format that takes the fewest bytes, of those that hold its palette.

    PNG and lossless WebP are tried: mostly WebP wins, by a tenth, and takes several times as long.

    Parameters
    ----------
    palette, indices, **options
        As for `encode`.

    Returns
    -------
    format : str
        "png" or "webp"; of equals the first.
    data : bytes
        The contents of the file.
    """
    best, data = "png", encode(palette, indices, "png", **options)
    for kind in AUTO[1:]:
        if misfit(palette, indices, kind) is None:
            other = encode(palette, indices, kind, **options)
            if len(other) < len(data):
                best, data = kind, other
    return best, data


def decodes_to(data: bytes, palette: NDArray[np.uint8], indices: NDArray[np.uint8]) -> bool:
    """Say whether an encoded image shows exactly what it should, by decoding it.

    PNG, BMP and ICO are decoded by `proof`, which shares nothing with the encoders; the others by
    Pillow.

    Parameters
    ----------
    data : bytes
        The contents of an image file.
    palette : (n, 3) or (n, 4) array of uint8
        The colours.
    indices : (H, W) array of uint8
        The palette entry of each pixel.

    Returns
    -------
    bool
        Whether every pixel has the colour of its palette entry. Fully transparent pixels have none.
    """
    if can_prove(data):
        return shows(data, palette, indices)
    try:
        # The colours of a profile that was kept are to be compared as they are.
        shown = read_image(io.BytesIO(data), max_pixels=indices.size, icc="keep").pixels
    except OSError:
        return False
    if palette.shape[1] == 4:
        palette = np.where(palette[:, 3:] == 0, np.uint8(0), palette)
    expected = as_pixels(palette.take(indices, axis=0))
    if shown.ndim < expected.ndim:  # the decoder found grey where the palette holds it as RGB
        shown = shown[:, :, np.newaxis]
    if shown.shape[:2] != expected.shape[:2] or shown.shape[2] not in (1, expected.shape[2]):
        return False
    return bool(np.all(shown == expected))


def stores(data: bytes, palette: NDArray[np.uint8], indices: NDArray[np.uint8]) -> bool:
    """Say whether an encoded image holds exactly this table and these indices.

    Parameters
    ----------
    data : bytes
        The contents of an image file that has a palette.
    palette : (n, 3) or (n, 4) array of uint8
        Its entries. Some formats have longer tables, of which these are the first; a TIFF's is
        read without the black entries at its end.
    indices : (H, W) array of uint8
    """
    if can_prove(data):
        return shows(data, palette, indices, in_order=True)
    try:
        found = read_image(io.BytesIO(data), max_pixels=indices.size, icc="keep").indexed
    except OSError:
        return False
    if found is None:
        return False
    table = np.zeros((max(len(palette), len(found.palette)), 3), np.uint8)
    table[: len(found.palette)] = found.palette[:, :3]
    return np.array_equal(table[: len(palette)], palette[:, :3]) and np.array_equal(
        found.indices, indices
    )


def check_holds(
    format: str | None,  # noqa: A002 - as in encode
    width: int,
    height: int,
    *,
    transparent: bool = False,
) -> None:
    """Refuse what a format can't hold whatever the palette, before any work is done.

    Parameters
    ----------
    format : str or None
        "auto" and None hold everything.
    width, height : int
    transparent : bool
        Whether some pixel of the result is fully transparent.

    Raises
    ------
    ValueError
        If a side is too long, or a format without transparency would need some.
    """
    kind = str(format)
    largest = _LARGEST_SIDE.get(kind)
    if largest is not None and max(height, width) > largest:
        raise ValueError(
            f"format: {kind} images have at most {largest} pixels a side, got {width} x {height}; "
            "png can hold it"
        )
    if transparent and kind in OPAQUE_FORMATS:
        raise ValueError(f"format: {_NO_TRANSPARENCY.format(kind)}")


def _check_indexed(palette: NDArray[np.uint8], indices: NDArray[np.uint8]) -> None:
    _check_colors(palette)
    if palette.dtype != np.uint8 or palette.shape[1:] not in ((3,), (4,)) or not len(palette):
        raise ValueError(f"palette: expected (n, 3) or (n, 4) of uint8, got {palette.shape}")
    if indices.dtype != np.uint8:
        raise TypeError(f"indices: expected uint8, got {indices.dtype}")
    if indices.ndim != 2 or not indices.size:
        raise ValueError(f"indices: expected (H, W) and a pixel, got {indices.shape}")


def _check_colors(palette: NDArray[np.uint8]) -> None:
    if len(palette) > MAX_COLORS:
        raise ValueError(
            f"palette: expected at most {MAX_COLORS} colours in a file or an image of mode P, "
            f"got {len(palette)}"
        )


def check_fits(palette: NDArray[np.uint8], indices: NDArray[np.uint8], kind: str) -> None:
    """Refuse an image that a format can't hold.

    Parameters
    ----------
    palette, indices
        As for `encode`.
    kind : str

    Raises
    ------
    ValueError
        If it is too wide or too tall, or has a transparency that the format does not have.
    """
    reason = misfit(palette, indices, kind)
    if reason is not None:
        raise ValueError(f"format: {reason}")


def misfit(palette: NDArray[np.uint8], indices: NDArray[np.uint8], kind: str) -> str | None:
    """Say why a format can't hold an image."""
    height, width = indices.shape
    largest = _LARGEST_SIDE.get(kind)
    if largest is not None and max(height, width) > largest:
        return (
            f"{kind} images have at most {largest} pixels a side, got {width} x {height}; "
            "png can hold it"
        )
    if palette.shape[1:] != (4,) or kind in ("png", "webp", "tiff", "ico"):
        return None
    alpha = palette[:, 3]
    if kind == "gif":
        if np.any((alpha > 0) & (alpha < OPAQUE)) or np.count_nonzero(alpha == 0) > 1:
            return (
                "gif holds one transparent colour and no partial transparency; "
                "png, webp and tiff hold them"
            )
    elif np.any(alpha < NEARLY_OPAQUE):
        return _NO_TRANSPARENCY.format(kind)
    return None
