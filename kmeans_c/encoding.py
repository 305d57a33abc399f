"""Writing images: palette and indices become the bytes of a file."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kmeans_c.images import as_pixels, read_image
from kmeans_c.modes import OPAQUE

# The formats that can be written, by the endings of their names.
FORMATS = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".gif": "gif",
    ".webp": "webp",
    ".bmp": "bmp",
    ".tif": "tiff",
    ".tiff": "tiff",
}

MAX_COLORS = 256  # of a palette in a file

# At 16 colours 99 % of the pixels come back within 16 levels of their palette entry, on photos,
# scans and screenshots alike; at 90 it is 98 %, and 95 adds a third to the bytes.
JPEG_QUALITY = 92

# Level 9 takes five times as long for 2 % fewer bytes, level 4 a third as long for 3 % more
# (medians of 12 photos, scans and drawings at 16 colours).
PNG_LEVEL = 7

_OPTIONS: dict[str, dict[str, Any]] = {
    "gif": {},
    "bmp": {},
    "tiff": {"compression": "tiff_adobe_deflate"},
    # Method 6 takes a hundred times as long for 6 % fewer bytes.
    "webp": {"lossless": True, "exact": True, "quality": 100, "method": 4},
}

_LARGEST_SIDE = {"jpeg": 65500, "webp": 16383, "gif": 65535}


def format_for(path: object) -> str:
    """Name the format that a file's ending asks for.

    Parameters
    ----------
    path : str, path-like, or file object with a name
        What the image shall be written to.

    Returns
    -------
    str
        "png", "jpeg", "gif", "webp", "bmp" or "tiff".

    Raises
    ------
    ValueError
        If the ending is of no format that can be written, or a file object has no name.
    """
    name = path if isinstance(path, str | os.PathLike) else getattr(path, "name", None)
    suffix = Path(name).suffix.lower() if isinstance(name, str | os.PathLike) else ""
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
        "png", "jpeg", "gif", "webp", "bmp" or "tiff".

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
        With exactly these colours; those that are not opaque stand in ``info["transparency"]``, up
        to the last of them.

    Raises
    ------
    ValueError
        If there are more than 256 colours.
    """
    if len(palette) > MAX_COLORS:
        raise ValueError(
            f"palette: expected at most {MAX_COLORS} colours in an image of mode P, "
            f"got {len(palette)}"
        )
    image = Image.fromarray(indices)
    image.putpalette(palette[:, :3].tobytes())
    if palette.shape[1:] == (4,):
        alpha = palette[:, 3]
        visible = np.flatnonzero(alpha < OPAQUE)
        if len(visible):
            image.info["transparency"] = alpha[: visible[-1] + 1].tobytes()
    return image


def encode(
    palette: NDArray[np.uint8],
    indices: NDArray[np.uint8],
    format: str,  # noqa: A002 - Pillow's name
    *,
    png_level: int = PNG_LEVEL,
) -> bytes:
    """Encode an image that has a palette.

    PNG, GIF, BMP and opaque TIFF hold the palette itself, PNG with 1, 2, 4 or 8 bits a pixel as the
    number of colours allows. WebP (lossless) and TIFF with transparency hold the pixels in full
    colour, exactly. JPEG (4:4:4, grey if the palette is) only comes near: it can't hold a palette.

    Parameters
    ----------
    palette : (n, 3) or (n, 4) array of uint8
        The colours, at most 256.
    indices : (H, W) array of uint8
        The palette entry of each pixel.
    format : str
        "png", "jpeg", "gif", "webp", "bmp" or "tiff", see `check_format`.
    png_level : int
        How hard zlib tries, 1..9.

    Returns
    -------
    bytes
        The contents of the file.

    Raises
    ------
    ValueError
        If there is no such format, or it can't hold the image: JPEG and BMP have no transparency,
        GIF no partial transparency and a single transparent entry, and JPEG, GIF and WebP have a
        largest width and height.
    """
    kind = check_format(format)
    _check_fits(palette, indices, kind)
    options = _OPTIONS.get(kind, {})
    if kind == "png":
        # The transparent entries first: tRNS then ends with the last of them.
        palette, indices = _transparent_first(palette, indices)
        image = indexed_image(palette, indices)
        options = {"compress_level": png_level}
    elif kind == "jpeg":
        grey = bool(np.all(palette == palette[:, :1]))
        image = Image.fromarray((palette[:, 0] if grey else palette[:, :3]).take(indices, axis=0))
        options = {"quality": JPEG_QUALITY, "subsampling": 0, "optimize": True}
    elif kind == "webp" or (kind == "tiff" and palette.shape[1:] == (4,)):
        image = Image.fromarray(palette.take(indices, axis=0))
    else:
        image = indexed_image(palette, indices)
        if kind == "gif" and "transparency" in image.info:
            options = {"transparency": len(image.info.pop("transparency")) - 1}
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def decodes_to(data: bytes, palette: NDArray[np.uint8], indices: NDArray[np.uint8]) -> bool:
    """Say whether an encoded image shows exactly what it should, by decoding it.

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
    try:
        shown = read_image(io.BytesIO(data), max_pixels=indices.size).pixels
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


def _check_fits(palette: NDArray[np.uint8], indices: NDArray[np.uint8], kind: str) -> None:
    height, width = indices.shape
    largest = _LARGEST_SIDE.get(kind)
    if largest is not None and max(height, width) > largest:
        raise ValueError(
            f"format: {kind} images have at most {largest} pixels a side, got {width} x {height}; "
            "png can hold it"
        )
    if palette.shape[1:] != (4,) or kind in ("png", "webp", "tiff"):
        return
    alpha = palette[:, 3]
    if kind == "gif":
        if np.any((alpha > 0) & (alpha < OPAQUE)) or np.count_nonzero(alpha == 0) > 1:
            raise ValueError(
                "format: gif holds one transparent colour and no partial transparency; "
                "png, webp and tiff hold them"
            )
    elif np.any(alpha < OPAQUE):
        raise ValueError(f"format: {kind} holds no transparency; png, webp and tiff do")


def _transparent_first(
    palette: NDArray[np.uint8], indices: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    if palette.shape[1:] != (4,):
        return palette, indices
    order = np.argsort(palette[:, 3] == OPAQUE, kind="stable")
    rank = np.empty(len(order), np.uint8)
    rank[order] = np.arange(len(order), dtype=np.uint8)
    return palette[order], rank[indices]
