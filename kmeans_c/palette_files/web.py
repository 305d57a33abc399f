"""Palettes as JSON and as CSS."""

import json
import re
from collections.abc import Iterator
from typing import Any

from kmeans_c.color_text import Color, hex_text, parse_color, shown
from kmeans_c.palette import Palette
from kmeans_c.palette_files.entries import listed

_FORMAT, _VERSION = "kmeans-c palette", 1

# Parts of a style sheet in which a colour is none. Each ends with the text at the latest, so that
# one search over the text finds them all: an unclosed one costs no second look.
_NO_COLOR = re.compile(
    r"""/\*.*?(?:\*/|\Z) | "[^"\n]*["\n]? | '[^'\n]*['\n]? | url\([^)]*\)?""",
    re.DOTALL | re.VERBOSE | re.IGNORECASE,
)
_PIECE = re.compile(r"([^;{}]*)([;{}]|\Z)")
_COLOR = re.compile(r"(?<![\w#-])(?:#[0-9a-f]{3,8}|rgba?\([^()]*\))(?![\w-])", re.IGNORECASE)


def read_json(data: bytes) -> Palette:
    """Read a list of colours, or an object with the list ``colors``, and ``counts`` and ``names``.

    A colour is a string, see `parse_color`, or a list of three or four integers.
    """
    try:
        value = json.loads(data)
    except RecursionError:
        raise ValueError("expected a list of colours, got lists in lists") from None
    colors, counts, names = value, None, None
    if isinstance(value, dict):
        colors, counts, names = (value.get(key) for key in ("colors", "counts", "names"))
        if value.get("format") == _FORMAT and value.get("version") != _VERSION:
            raise ValueError(f"expected version {_VERSION}, got {shown(str(value.get('version')))}")
    if not isinstance(colors, list):  # which is about a file's contents, not about a type
        raise ValueError(  # noqa: TRY004
            'expected a list of colours, or an object with "colors"'
        )
    if counts is not None:
        _check_counts(counts, len(colors))
    if names is not None:
        _check_names(names, len(colors))
    return listed(map(_json_color, colors), counts, names)


def write_json(palette: Palette) -> bytes:
    """Write an object: its format, version, colours, and counts and names where there are some."""
    value: dict[str, Any] = {"format": _FORMAT, "version": _VERSION}
    value["colors"] = [hex_text(color) for color in palette.table.tolist()]
    if palette.counts is not None:
        value["counts"] = palette.counts.tolist()
    if palette.names is not None:
        value["names"] = list(palette.names)
    return (json.dumps(value, indent=2) + "\n").encode("ascii")


def read_css(data: bytes) -> Palette:
    """Read the colours of a style sheet's declarations: ``#`` with digits, and rgb().

    A custom property (``--ink: #000``) is an entry of its own; elsewhere a colour that came before
    is used again. As in a browser, what is not understood is passed over.
    """
    return listed(_css_colors(data.decode("utf-8-sig", errors="replace")))


def write_css(palette: Palette) -> bytes:
    """Write one custom property a colour, with the number of its entry."""
    colors = (hex_text(color) for color in palette.table.tolist())
    lines = [f"  --color-{i}: {color};\n" for i, color in enumerate(colors)]
    return "".join([":root {\n", *lines, "}\n"]).encode("ascii")


def _json_color(value: object) -> Color:
    if isinstance(value, str):
        return parse_color(value)
    if (
        isinstance(value, list)
        and len(value) in (3, 4)
        and all(type(number) is int and 0 <= number <= 255 for number in value)
    ):
        return tuple(value)
    raise ValueError(
        f"expected a string or 3 or 4 integers 0..255 as a colour, got {shown(str(value))}"
    )


def _check_counts(counts: object, n: int) -> None:
    if not isinstance(counts, list) or len(counts) != n:
        raise ValueError(f"expected {n} counts, as many as colours")
    if not all(type(count) is int and count >= 0 for count in counts) or sum(counts) >= 2**63:
        raise ValueError("expected counts that are integers of at least 0, with a 64-bit sum")


def _check_names(names: object, n: int) -> None:
    if not isinstance(names, list) or len(names) != n:
        raise ValueError(f"expected {n} names, as many as colours")
    if not all(isinstance(name, str) for name in names):
        raise ValueError("expected names that are strings")


def _css_colors(text: str) -> Iterator[Color]:
    known: set[Color] = set()
    for piece in _PIECE.finditer(_NO_COLOR.sub(" ", text)):
        if piece[2] == "{":  # a selector, in which #add is somebody's id
            continue
        for found in _COLOR.finditer(piece[1].partition(":")[2]):
            try:
                color = parse_color(found[0])
            except ValueError:
                continue
            rgba = color if len(color) == 4 else (*color, 255)
            if rgba not in known or piece[1].lstrip().startswith("--"):
                known.add(rgba)
                yield color
