"""What the values of the command line's words mean: text in, what `compress` takes out."""

import argparse
import os
from collections.abc import Callable
from typing import Any

from kmeans_c.checks import check_float, check_int
from kmeans_c.color_text import parse_color
from kmeans_c.dithering import DITHERS
from kmeans_c.encoding import MAX_COLORS, check_format
from kmeans_c.palette import Palette
from kmeans_c.rate import MOST_LOSS
from kmeans_c.target_text import parse_quality, parse_size

_DITHERS = {"fs": "floyd-steinberg", "nofs": "none"} | {name: name for name in DITHERS}

# pngquant's speeds 1 to 11, of which 4 is the default.
_SPEEDS = dict(enumerate(3 * ["best"] + 4 * ["balanced"] + 4 * ["fast"], start=1))


def colors(text: str) -> int | str:
    """A number of colours, or "auto"."""
    return text if text == "auto" else integer("K", 1, MAX_COLORS)(text)


def quality(text: str) -> tuple[int, int]:
    """A range as pngquant has it, "65-80"."""
    try:
        return parse_quality(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("quality: ")) from None


def size(text: str) -> str:
    """Bytes as `target_text.parse_size` reads them; they stay text until the input is known."""
    try:
        parse_size(text, 1 << 30)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).split(": ", 1)[-1]) from None
    return text


def checked(argument: str, check: Callable[[str], Any]) -> Callable[[str], Any]:
    """Make what argparse calls a type: argparse puts the argument's name in front of an error."""

    def parse(text: str) -> Any:
        try:
            return check(text)
        except (OSError, ValueError) as error:
            # A ValueError would become argparse's own words, which do not say what is wrong.
            reason = str(error).removeprefix(f"{argument}: ")
            raise argparse.ArgumentTypeError(reason) from None

    return parse


def integer(name: str, low: int, high: int | None = None) -> Callable[[str], int]:
    """Make what reads a whole number between two others."""

    def check(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise ValueError(f"expected an integer, got {text!r}") from None
        return check_int(name, number, low, high)

    return checked(name, check)


def number(name: str, text: str, high: float) -> float:
    """A number from 0 to the highest."""
    try:
        found = float(text)
    except ValueError:
        raise ValueError(f"expected a number, got {text!r}") from None
    return check_float(name, found, 0, high)


loss = checked("lossy", lambda text: number("lossy", text, MOST_LOSS))
format_of = checked("format", lambda text: text if text == "auto" else check_format(text))
color = checked("color", parse_color)


def speed(text: str) -> str:
    """An effort in pngquant's numbers."""
    return _SPEEDS[integer("speed", 1, len(_SPEEDS))(text)]


def several(text: str) -> list[int]:
    """Numbers of colours, "4,16,64"."""
    return [integer("K", 1, MAX_COLORS)(part) for part in text.split(",")]


def dither(text: str) -> tuple[str, float]:
    """A method, or a method and its strength: "adaptive:0.75"."""
    method, colon, strength = text.partition(":")
    if method not in _DITHERS:
        known = ", ".join(_DITHERS)
        raise argparse.ArgumentTypeError(f"expected one of {known}, got {method!r}")
    parse = checked("strength", lambda text: number("strength", text, 1))
    return _DITHERS[method], parse(strength) if colon else 1.0


def read_palette(text: str) -> Palette:
    """A palette file or picture, a name, or a list of colours."""
    if os.path.exists(text):  # noqa: PTH110
        palette = Palette.read(text)
    elif text.startswith("#") or "," in text or text.strip().lower() == "transparent":
        palette = Palette([parse_color(part) for part in text.split(",")])
    else:
        palette = Palette.named(text)
    if len(palette) > MAX_COLORS:
        raise ValueError(f"palette: expected at most {MAX_COLORS} colours, got {len(palette)}")
    return palette


palette = checked("palette", read_palette)
