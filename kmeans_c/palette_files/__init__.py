"""Palettes as files: which format it is, and reading and writing them all."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

from kmeans_c.encoding import FORMATS as IMAGE_ENDINGS
from kmeans_c.files import FilePath, atomic_write, check_target, safe_open
from kmeans_c.palette import Palette
from kmeans_c.palette_files import adobe, riff, strip, text, web
from kmeans_c.palette_files.entries import listed

# Bytes. What 65,536 colours take as indented JSON or as named swatches, and a picture of
# `strip.MAX_PIXELS` pixels in few colours. Parsers need up to thirty times as much memory.
MAX_BYTES = 1 << 22
MAX_PICTURE_BYTES = 1 << 26


class _Format(NamedTuple):
    read: Callable[[bytes], Palette]
    write: Callable[[Palette], bytes]


_FORMATS = {
    "hex": _Format(text.read_hex, text.write_hex),
    "json": _Format(web.read_json, web.write_json),
    "css": _Format(web.read_css, web.write_css),
    "gpl": _Format(text.read_gpl, text.write_gpl),
    "jasc": _Format(text.read_jasc, text.write_jasc),
    "riff": _Format(riff.read_riff, riff.write_riff),
    "act": _Format(adobe.read_act, adobe.write_act),
    "aco": _Format(adobe.read_aco, adobe.write_aco),
    "ase": _Format(adobe.read_ase, adobe.write_ase),
    "paint.net": _Format(text.read_paint_net, text.write_paint_net),
    "png": _Format(strip.read_picture, strip.write_strip),
}

# The formats by the endings of their files' names.
ENDINGS = {
    ".hex": "hex",
    ".txt": "hex",
    ".json": "json",
    ".css": "css",
    ".gpl": "gpl",
    ".pal": "jasc",
    ".act": "act",
    ".aco": "aco",
    ".ase": "ase",
    ".png": "png",
}

Starts: TypeAlias = tuple[tuple[re.Pattern[bytes], str], ...]

# How the files of a format start, where that is so long that no table of colours does.
_MARK = rb"(?:\xef\xbb\xbf)?"  # of UTF-8
_SURE_STARTS: Starts = (
    (re.compile(adobe.ASE_MAGIC), "ase"),
    (re.compile(_MARK + text.GPL_HEADER.encode()), "gpl"),
    (re.compile(_MARK + text.JASC_HEADER.encode()), "jasc"),
    (re.compile(rb"RIFF....PAL ", re.DOTALL), "riff"),
    (re.compile(rb"\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBP", re.DOTALL), "png"),
)
# Where it is likely enough if the name says nothing. The pictures are those of `read_image`.
_OTHER_PICTURE = re.compile(rb"\xff\xd8\xff|BM|II[*+]\0|MM\0[*+]|P[1-6]\s")
_PAINT_NET = re.compile(_MARK + rb"\s*;")
_LIKELY_STARTS: Starts = (
    (_OTHER_PICTURE, "png"),
    (_PAINT_NET, "paint.net"),
    (re.compile(_MARK + rb"\s*[\[{]"), "json"),
    (re.compile(rb"[^\0{]*\{"), "css"),
)


def read_palette(
    path: FilePath | BinaryIO,
    format: str | None = None,  # noqa: A002 - Pillow's name
) -> Palette:
    """Read a palette from a file.

    Parameters
    ----------
    path : path or binary file object
        A regular file, see `files.safe_open`; or an object with `read`, which is read from its
        start if it can seek.
    format : str, optional
        "hex", "json", "css", "gpl", "jasc", "riff", "act", "aco", "ase", "paint.net" or "png", or
        the ending of their names. Default: as the contents say, else the name. A .txt is
        "paint.net" if it starts with a comment, as Paint.NET's do, else "hex".

    Returns
    -------
    Palette
        All entries in the file's order, unused and double ones too: a palette is data. RGB if all
        are opaque, else RGBA. With counts where a JSON has them, and names where a GPL, ACO, ASE or
        JSON has them.

    Raises
    ------
    OSError
        If anything is wrong with the file: missing, unreadable, damaged, cut short, too large, with
        no colour, or with one that has no sRGB meaning (of a book of inks). The message names it.
    TypeError, ValueError
        If `path` is neither a path nor a binary file object, or there is no such format.

    Notes
    -----
    hex
        Colours as `parse_color` reads them, any number a line.
    json
        A list of colours, or an object with the list ``colors`` and perhaps the lists ``counts``
        and ``names``; a colour is a string or a list of 3 or 4 integers.
    css
        All ``#rgb``, ``#rrggbb``, ``#rrggbbaa`` and ``rgb()`` in the declarations of a style sheet:
        one entry for each custom property (``--ink``), and for each other colour one.
    act
        768 bytes are 256 colours, of which unused ones are black; 772 bytes say how many there are
        and which is transparent.
    aco, ase
        RGB, HSB, CMYK, Lab and grey. CMYK is taken without a profile (an ink takes its share of the
        light away), Lab is under D50 and clipped to sRGB; both without rounding errors that depend
        on the machine.
    png
        A picture of any format that `quantize` reads. Of an indexed PNG, GIF, BMP or TIFF its whole
        palette, as it is, whatever its pixels use; of any other picture its colours, at most 256,
        in the order in which they first appear.
    """
    kind = None if format is None else check_palette_format(format)
    if isinstance(path, str | os.PathLike):
        with safe_open(path) as file:
            return _parse(_contents(file, os.fspath(path)), kind, os.fspath(path))
    if not hasattr(path, "read"):
        got = type(path).__name__
        raise TypeError(f"path: expected a path or a binary file object, got {got}")
    if hasattr(path, "seekable") and path.seekable():
        path.seek(0)
    name = getattr(path, "name", None)
    name = name if isinstance(name, str) else "palette"
    return _parse(_contents(path, name), kind, name)


def write_palette(
    palette: Palette,
    path: FilePath | BinaryIO,
    format: str | None = None,  # noqa: A002 - Pillow's name
    overwrite: bool = False,
) -> None:
    """Write a palette to a file, whole or not at all.

    Parameters
    ----------
    palette : Palette
    path : path or binary file object
        The ending names the format unless `format` does.
    format : str, optional
        As for `read_palette`. By their endings a .txt is a hex list and a .pal is JASC's, Paint
        Shop Pro's.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind; no format is known by that name or ending; or it can't
        hold the palette: gpl, jasc, riff, aco and ase have no transparency, act has one fully
        transparent entry; paint.net holds 96 colours, act and png 256, aco and riff 65,535.
    OSError
        If the file cannot be written, FileExistsError if it is there and `overwrite` is not set; an
        existing one is then as it was.

    Notes
    -----
    Only JSON keeps `Palette.counts`; JSON, GPL, ACO and ASE keep `Palette.names`. A png is an
    indexed strip of squares of 16 x 16 pixels.
    """
    if not isinstance(palette, Palette):
        raise TypeError(f"palette: expected a Palette, got {type(palette).__name__}")
    palette = palette.checked()
    kind = _kind_by_name(path) if format is None else check_palette_format(format)
    if isinstance(path, str | os.PathLike):
        check_target(path, overwrite=overwrite)
    elif not hasattr(path, "write"):
        got = type(path).__name__
        raise TypeError(f"path: expected a path or a binary file object, got {got}")
    data = _FORMATS[kind].write(palette)
    if not isinstance(path, str | os.PathLike):
        path.write(data)
        return
    expected = listed(map(tuple, palette.table.tolist()))
    atomic_write(
        path, data, overwrite=overwrite, verify=lambda data: _FORMATS[kind].read(data) == expected
    )


def check_palette_format(format: object) -> str:  # noqa: A002 - the argument it checks
    """Check the argument that names a format of palette files.

    Parameters
    ----------
    format : str
        A format or an ending of its names, in any case: "hex", "jasc", "pal", "Paint.NET" ...

    Returns
    -------
    str
        "hex", "json", "css", "gpl", "jasc", "riff", "act", "aco", "ase", "paint.net" or "png".

    Raises
    ------
    TypeError, ValueError
        If it is no str, or none of these.
    """
    if not isinstance(format, str):
        raise TypeError(f"format: expected a str, got {type(format).__name__}")
    kind = format.lower()
    kind = ENDINGS.get(f".{kind}", kind)
    if kind not in _FORMATS:
        raise ValueError(f"format: expected one of {', '.join(_FORMATS)}, got {format!r}")
    return kind


def _kind_by_name(target: object) -> str:
    name = target if isinstance(target, str | os.PathLike) else getattr(target, "name", None)
    suffix = Path(name).suffix.lower() if isinstance(name, str | os.PathLike) else ""
    if suffix not in ENDINGS:
        got = repr(os.fspath(name)) if isinstance(name, str | os.PathLike) else "no name"
        raise ValueError(f"path: expected a name that ends in {', '.join(ENDINGS)}, got {got}")
    return ENDINGS[suffix]


def _contents(file: BinaryIO, name: str) -> bytes:
    data = file.read(MAX_BYTES + 1)
    if not isinstance(data, bytes):
        raise TypeError(f"path: expected a binary file object, got one of {type(data).__name__}")
    limit = MAX_BYTES
    if len(data) > limit and _may_be_picture(data):
        limit = MAX_PICTURE_BYTES
        data += file.read(limit - len(data) + 1)
    if len(data) > limit:
        raise OSError(f"{name}: expected at most {limit} bytes in a palette file, got more")
    return data


def _may_be_picture(data: bytes) -> bool:
    return _first_match(_SURE_STARTS, data) == "png" or _OTHER_PICTURE.match(data) is not None


def _parse(data: bytes, kind: str | None, name: str) -> Palette:
    kind = kind or _detected(data, name)
    try:
        return _FORMATS[kind].read(data)
    except ValueError as error:
        reason = str(error).removeprefix("color: ")
        raise OSError(f"{name}: not a valid {kind} palette: {reason}") from error


def _detected(data: bytes, name: str) -> str:
    sure = _first_match(_SURE_STARTS, data)
    if sure is not None:
        return sure
    suffix = Path(name).suffix.lower()
    if suffix == ".txt" and _PAINT_NET.match(data):
        return "paint.net"
    if suffix in ENDINGS:
        return ENDINGS[suffix]
    return "png" if suffix in IMAGE_ENDINGS else _guessed(data)


def _guessed(data: bytes) -> str:
    if adobe.is_aco(data):  # first, for one of 19 colours has 768 bytes too
        return "aco"
    if len(data) in adobe.ACT_SIZES and (b"\0" in data or not data.isascii()):
        return "act"
    return _first_match(_LIKELY_STARTS, data) or "hex"


def _first_match(starts: Starts, data: bytes) -> str | None:
    return next((kind for pattern, kind in starts if pattern.match(data)), None)
