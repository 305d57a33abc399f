"""Palettes that have a name: of old machines, of e-paper, of the web."""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import product
from typing import NamedTuple

from kmeans_c.color_text import Color, parse_color
from kmeans_c.palette import Palette


class _Set(NamedTuple):
    source: str
    colors: Callable[[], Iterable[Color]]


def named_palettes() -> dict[str, str]:
    """List the palettes that `named_palette` knows.

    Returns
    -------
    dict of str to str
        For each name what it is and where its numbers are from. Where a machine gave out
        voltages, or a display reflects light, the numbers are nominal, and it says so.
    """
    return {name: found.source for name, found in _SETS.items()}


def named_palette(name: str) -> Palette:
    """Give a palette by its name.

    Parameters
    ----------
    name : str
        One of `named_palettes`, in any case; "-", "_" and spaces are the same.

    Returns
    -------
    Palette
        In the order of the machine's own numbers where it has some.

    Raises
    ------
    TypeError, ValueError
        If it is no str, or no palette has that name.
    """
    if not isinstance(name, str):
        raise TypeError(f"name: expected a str, got {type(name).__name__}")
    found = _SETS.get("-".join(name.lower().replace("_", " ").replace("-", " ").split()))
    if found is None:
        raise ValueError(f"name: expected one of {', '.join(_SETS)}, got {name!r}")
    return Palette(list(found.colors()))


def _listed(colors: str) -> Iterable[Color]:
    return map(parse_color, colors.split())


def _greys(n: int) -> Iterable[Color]:
    return ((level * 255 // (n - 1),) * 3 for level in range(n))


def _cube(*levels: int) -> Iterable[Color]:
    return product(levels, repeat=3)


def _cpc() -> Iterable[Color]:
    """Number 9 g + 3 r + b of the firmware, with three levels each."""
    return ((r, g, b) for g, r, b in _cube(0, 128, 255))


def _ega() -> Iterable[Color]:
    """Six bits rgbRGB: the capital ones give two thirds of a channel, the others one third."""
    for bits in range(64):
        yield tuple(170 * (bits >> place & 1) + 85 * (bits >> place + 3 & 1) for place in (2, 1, 0))


def _xterm() -> Iterable[Color]:
    yield from _cube(0, 95, 135, 175, 215, 255)
    yield from ((8 + 10 * level,) * 3 for level in range(24))


_NOMINAL_INK = "nominal colours, as in the drivers of Waveshare's panels; the real ones are duller"

_SETS = {
    "black-and-white": _Set("Two levels.", partial(_greys, 2)),
    "grey4": _Set("Four levels of grey, evenly spaced: two bits.", partial(_greys, 4)),
    "grey16": _Set("Sixteen levels of grey, evenly spaced: four bits.", partial(_greys, 16)),
    "web-safe": _Set(
        "216 colours, six levels a channel (Netscape Navigator's colour cube).",
        partial(_cube, 0, 51, 102, 153, 204, 255),
    ),
    "vga16": _Set(
        "The sixteen colours of Windows' VGA palette, in the order of their names in HTML 4.01 "
        "(W3C), section 6.5.",
        partial(
            _listed,
            "000000 c0c0c0 808080 ffffff 800000 ff0000 800080 ff00ff "
            "008000 00ff00 808000 ffff00 000080 0000ff 008080 00ffff",
        ),
    ),
    "cga": _Set(
        "The sixteen RGBI colours of IBM's Color/Graphics Adapter on a 5153 display, which darkens "
        "yellow to brown; also EGA's and VGA's text colours (IBM Technical Reference).",
        partial(
            _listed,
            "000000 0000aa 00aa00 00aaaa aa0000 aa00aa aa5500 aaaaaa "
            "555555 5555ff 55ff55 55ffff ff5555 ff55ff ffff55 ffffff",
        ),
    ),
    "cga-0": _Set(
        "CGA's graphics palette 0 on black (IBM Technical Reference).",
        partial(_listed, "000000 00aa00 aa0000 aa5500"),
    ),
    "cga-0-bright": _Set(
        "CGA's graphics palette 0 with intensity, on black (IBM Technical Reference).",
        partial(_listed, "000000 55ff55 ff5555 ffff55"),
    ),
    "cga-1": _Set(
        "CGA's graphics palette 1 on black (IBM Technical Reference).",
        partial(_listed, "000000 00aaaa aa00aa aaaaaa"),
    ),
    "cga-1-bright": _Set(
        "CGA's graphics palette 1 with intensity, on black (IBM Technical Reference).",
        partial(_listed, "000000 55ffff ff55ff ffffff"),
    ),
    "ega": _Set(
        "All 64 colours of IBM's Enhanced Graphics Adapter, of which sixteen show at a time "
        "(IBM Technical Reference).",
        _ega,
    ),
    "xterm": _Set(
        "Entries 16..255 of a terminal with 256 colours, the ones that users do not change: a "
        "cube of six levels and 24 greys (xterm, 256colres.pl).",
        _xterm,
    ),
    "bbc-micro": _Set(
        "The eight colours of the BBC Micro and of teletext: each channel on or off (ETS 300 706).",
        partial(_listed, "000000 ff0000 00ff00 ffff00 0000ff ff00ff 00ffff ffffff"),
    ),
    "zx-spectrum": _Set(
        "Sinclair ZX Spectrum: eight colours and their bright ones, black being both; nominal, "
        "85 % of the voltage where not bright (Wikipedia, ZX Spectrum graphic modes).",
        partial(
            _listed,
            "000000 0000d8 d80000 d800d8 00d800 00d8d8 d8d800 d8d8d8 "
            "0000ff ff0000 ff00ff 00ff00 00ffff ffff00 ffffff",
        ),
    ),
    "amstrad-cpc": _Set(
        "Amstrad CPC: 27 colours, nominal: three levels a channel (firmware numbers).", _cpc
    ),
    "c64": _Set(
        'Commodore 64: the VIC-II\'s sixteen colours as computed by Philip "Pepto" Timmermann in '
        "2001 from the chip's PAL signal; there are other measurements.",
        partial(
            _listed,
            "000000 ffffff 68372b 70a4b2 6f3d86 588d43 352879 b8c76f "
            "6f4f25 433900 9a6759 444444 6c6c6c 9ad284 6c5eb5 959595",
        ),
    ),
    "game-boy": _Set(
        "Nintendo Game Boy (DMG-01): four greens that stand for its display by convention; "
        "Nintendo gave no numbers.",
        partial(_listed, "0f380f 306230 8bac0f 9bbc0f"),
    ),
    "pico-8": _Set(
        "PICO-8's sixteen standard colours (Lexaloffle, PICO-8 manual).",
        partial(
            _listed,
            "000000 1d2b53 7e2553 008751 ab5236 5f574f c2c3c7 fff1e8 "
            "ff004d ffa300 ffec27 00e436 29adff 83769c ff77a8 ffccaa",
        ),
    ),
    "e-ink-bwr": _Set(
        f"E-paper in black, white and red; {_NOMINAL_INK}.",
        partial(_listed, "000000 ffffff ff0000"),
    ),
    "e-ink-bwry": _Set(
        f"E-paper in black, white, yellow and red; {_NOMINAL_INK}.",
        partial(_listed, "000000 ffffff ffff00 ff0000"),
    ),
    "e-ink-7": _Set(
        f"E-paper with seven colours (E Ink ACeP, Gallery Palette); {_NOMINAL_INK}.",
        partial(_listed, "000000 ffffff 00ff00 0000ff ff0000 ffff00 ff8000"),
    ),
    "e-ink-spectra-6": _Set(
        f"E-paper with six colours (E Ink Spectra 6); {_NOMINAL_INK}.",
        partial(_listed, "000000 ffffff ffff00 ff0000 0000ff 00ff00"),
    ),
    "okabe-ito": _Set(
        "Eight colours that people with any colour vision tell apart (M. Okabe and K. Ito, Color "
        "Universal Design, 2008).",
        partial(_listed, "000000 e69f00 56b4e9 009e73 f0e442 0072b2 d55e00 cc79a7"),
    ),
}
