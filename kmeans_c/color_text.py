"""Colours as people write them: ``#c8102e``, ``rgb(200, 16, 46)``, names; and back to text."""

import math
import re
from collections.abc import Sequence
from typing import TypeAlias

from PIL import ImageColor

# Red, green, blue, and alpha where there is one: 0..255.
Color: TypeAlias = tuple[int, ...]

_HEX = re.compile(r"#?([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})")
_RGB = re.compile(r"rgba?\(([^()]*)\)")
_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(%?)")
_MOST = (255, 255, 255, 1)

_SHOWN = 40  # characters of what could not be read, in a message


def parse_color(text: str) -> Color:
    """Read a colour as CSS writes it [1]_.

    Parameters
    ----------
    text : str
        ``#rgb``, ``#rgba``, ``#rrggbb`` or ``#rrggbbaa``, the ``#`` may be missing;
        ``rgb(200, 16, 46)``, ``rgb(78% 6% 18% / 50%)`` and ``rgba()``; a CSS colour name; or
        "transparent". In any case, with spaces around it.

    Returns
    -------
    tuple of int
        Red, green, blue, 0..255; a fourth number, alpha, where the text says one.

    Raises
    ------
    TypeError, ValueError
        If it is no str, or none of these.

    References
    ----------
    .. [1] CSS Color Module Level 4, W3C. There, numbers beyond the range of rgb() are clipped; here
       they are taken for a slip and refused.
    """
    if not isinstance(text, str):
        raise TypeError(f"color: expected a str, got {type(text).__name__}")
    word = text.strip().lower()
    color = _from_hex(word) or _from_rgb(word) or _from_name(word)
    if color is None:
        raise ValueError(
            "color: expected #rgb, #rrggbb, #rrggbbaa, rgb(r, g, b) or a CSS colour name, "
            f"got {shown(text)}"
        )
    return color


def hex_text(color: Sequence[int]) -> str:
    """Write a colour as ``#rrggbb``, or as ``#rrggbbaa`` if it has four numbers.

    Parameters
    ----------
    color : sequence of 3 or 4 integers 0..255

    Returns
    -------
    str
    """
    return "#" + bytes(color).hex()


def shown(text: str) -> str:
    """Quote what could not be read, cut to a length that a message can hold.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
    """
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


def _from_hex(word: str) -> Color | None:
    found = _HEX.fullmatch(word)
    if found is None:
        return None
    digits = found[1]
    if len(digits) < 6:
        digits = "".join(2 * digit for digit in digits)
    return tuple(bytes.fromhex(digits))


def _from_rgb(word: str) -> Color | None:
    found = _RGB.fullmatch(word)
    if found is None:
        return None
    if "," in found[1]:
        parts = found[1].split(",")
    else:
        channels, slash, alpha = found[1].partition("/")
        parts = channels.split() + [alpha] * bool(slash)
    if len(parts) not in (3, 4):
        return None
    # 255 and 100 % are the most there is; of alpha, 1 and 100 %.
    values = [_scaled(part.strip(), most) for part, most in zip(parts, _MOST, strict=False)]
    known = tuple(value for value in values if value is not None)
    return known if len(known) == len(parts) else None


def _scaled(part: str, most: int) -> int | None:
    found = _NUMBER.fullmatch(part)
    if found is None:
        return None
    share = float(found[1]) / (100 if found[2] else most)
    return math.floor(share * 255 + 0.5) if share <= 1 else None


def _from_name(word: str) -> Color | None:
    if word == "transparent":
        return (0, 0, 0, 0)
    return ImageColor.getrgb(word) if word in ImageColor.colormap else None
