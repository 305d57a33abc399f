"""Between what a palette file lists and a Palette: repeats, transparency, limits."""

from collections.abc import Iterable
from itertools import repeat

import numpy as np

from kmeans_c.color_text import Color
from kmeans_c.colors import MAX_ENTRIES
from kmeans_c.palette import Palette


def distinct(colors: Iterable[Color], counts: Iterable[int] | None = None) -> Palette:
    """Make a Palette of the colours that a file lists.

    Parameters
    ----------
    colors : iterable of tuples of 3 or 4 integers 0..255
        A colour that comes again is the same entry, at the place where it came first: files pad
        their tables. What is fully transparent is one colour.
    counts : iterable of int, optional
        One for each colour; those of one entry are added up.

    Returns
    -------
    Palette
        RGB if all colours are opaque, else RGBA.

    Raises
    ------
    ValueError
        If there is no colour, or more than a Palette holds. Found out while they come, so that
        an endless list costs no memory.
    """
    found: dict[Color, int] = {}
    for color, count in zip(colors, repeat(0) if counts is None else counts, strict=False):
        rgba = color if len(color) == 4 else (*color, 255)
        if rgba[3] == 0:
            rgba = (0, 0, 0, 0)
        found[rgba] = found.get(rgba, 0) + count
        if len(found) > MAX_ENTRIES:
            raise ValueError(f"expected at most {MAX_ENTRIES} colours, found more")
    if not found:
        raise ValueError("expected colours, found none")
    entries = np.array(list(found), np.uint8)
    if entries[:, 3].min() == 255:
        entries = entries[:, :3]
    return Palette(entries, None if counts is None else list(found.values()))


def as_rgb(palette: Palette, format: str) -> list[Color]:  # noqa: A002 - as in write_palette
    """List the colours for a format that holds no transparency.

    Parameters
    ----------
    palette : Palette
    format : str
        For the message.

    Returns
    -------
    list of tuples of 3 int

    Raises
    ------
    ValueError
        If some colour is not opaque.
    """
    if palette.colors.shape[1] == 4 and palette.colors[:, 3].min() < 255:
        raise ValueError(
            f"format: {format} holds no transparency; hex, json, css, paint.net and png do"
        )
    return [tuple(color) for color in palette.colors[:, :3].tolist()]


def at_most(palette: Palette, limit: int, format: str) -> None:  # noqa: A002 - as above
    """Refuse a palette that is larger than its format allows.

    Parameters
    ----------
    palette : Palette
    limit : int
    format : str
        For the message.

    Raises
    ------
    ValueError
        If there are more colours.
    """
    if len(palette) > limit:
        raise ValueError(f"format: {format} holds at most {limit} colours, got {len(palette)}")
