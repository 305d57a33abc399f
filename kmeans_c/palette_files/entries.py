"""Between what a palette file lists and a Palette: repeats, transparency, names, limits."""

from collections.abc import Iterable, Sequence

import numpy as np

from kmeans_c.color_text import Color, hex_text
from kmeans_c.colors import MAX_ENTRIES
from kmeans_c.palette import Palette

MAX_NAME = 1000  # letters of a name that is written


def listed(
    colors: Iterable[Color],
    counts: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
) -> Palette:
    """Make a Palette of the colours that a file lists, each an entry: also those that come again.

    Parameters
    ----------
    colors : iterable of tuples of 3 or 4 integers 0..255
    counts : sequence of int, optional
        One for each colour.
    names : sequence of str, optional
        One for each colour; looked at after the last colour has come. Names that say no more than
        the colour are none.

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
    found = bytearray()
    for color in colors:
        found += bytes(color if len(color) == 4 else (*color, 255))
        if len(found) > 4 * MAX_ENTRIES:
            raise ValueError(f"expected at most {MAX_ENTRIES} colours, found more")
    if not found:
        raise ValueError("expected colours, found none")
    entries = np.frombuffer(bytes(found), np.uint8).reshape(-1, 4)
    if entries[:, 3].min() == 255:
        entries = entries[:, :3]
    if names is not None:
        plain = (("", hex_text(color)) for color in entries.tolist())
        if all(name in known for name, known in zip(names, plain, strict=True)):
            names = None
    return Palette(entries, counts, names)


def distinct(colors: Iterable[Color]) -> Palette:
    """Make a Palette of the colours that a file shows, each once, where it came first.

    Parameters
    ----------
    colors : iterable of tuples of 3 or 4 integers 0..255
        What is fully transparent is one colour.

    Returns
    -------
    Palette
        RGB if all colours are opaque, else RGBA.

    Raises
    ------
    ValueError
        As `listed` does.
    """
    return listed(_first_of_each(colors))


def name_of(palette: Palette, index: int) -> str:
    """Return the name of an entry in one printable line; its hexadecimal digits if it has none."""
    name = "" if palette.names is None else palette.names[index]
    shown = "".join(letter if letter.isprintable() else " " for letter in name).strip()
    return shown[:MAX_NAME] or hex_text(palette.colors[index].tolist())


def _first_of_each(colors: Iterable[Color]) -> Iterable[Color]:
    found: set[Color] = set()
    for color in colors:
        rgba = color if len(color) == 4 else (*color, 255)
        rgba = rgba if rgba[3] else (0, 0, 0, 0)
        if rgba not in found:
            found.add(rgba)
            yield rgba


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
