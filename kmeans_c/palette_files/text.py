"""Palettes one colour a line: hex lists, Paint.NET, JASC-PAL (Paint Shop Pro), GPL (GIMP)."""

import io
from collections.abc import Iterator

from kmeans_c.color_text import Color, hex_text, parse_color, shown
from kmeans_c.palette import Palette
from kmeans_c.palette_files.entries import as_rgb, at_most, listed, name_of

JASC_HEADER = "JASC-PAL"
GPL_HEADER = "GIMP Palette"

# What Paint.NET's own documentation allows, and what it reads of a longer file.
PAINT_NET_COLORS = 96


def read_hex(data: bytes) -> Palette:
    """Read colours as `parse_color` does, any number a line; ``;`` and ``//`` begin comments."""
    return listed(_hex_colors(data))


def write_hex(palette: Palette) -> bytes:
    """Write ``rrggbb`` lines; ``rrggbbaa`` if there is transparency."""
    return _joined(hex_text(color)[1:] for color in palette.table.tolist())


def read_paint_net(data: bytes) -> Palette:
    """Read ``aarrggbb`` and ``rrggbb`` lines; ``;`` begins a comment."""
    return listed(_paint_net_colors(data))


def write_paint_net(palette: Palette) -> bytes:
    """Write ``AARRGGBB`` lines."""
    at_most(palette, PAINT_NET_COLORS, "paint.net")
    colors = [(color[3:] or [255]) + color[:3] for color in palette.table.tolist()]
    lines = [bytes(color).hex().upper() for color in colors]
    return _joined(["; paint.net Palette File", "; aarrggbb, in hexadecimal digits", *lines])


def read_jasc(data: bytes) -> Palette:
    """Read a header of three lines, and as many colours as its last says."""
    return listed(_jasc_colors(data))


def write_jasc(palette: Palette) -> bytes:
    """Write decimal numbers, and the line ends that Paint Shop Pro writes."""
    colors = as_rgb(palette, "jasc")
    lines = [JASC_HEADER, "0100", str(len(colors)), *(" ".join(map(str, c)) for c in colors)]
    return _joined(lines, "\r\n")


def read_gpl(data: bytes) -> Palette:
    """Read decimal numbers, each line with a name perhaps; alpha after ``Channels: RGBA``."""
    names: list[str] = []
    return listed(_gpl_colors(data, names), names=names)


def write_gpl(palette: Palette) -> bytes:
    """Write decimal numbers and names, which are the hexadecimal digits if there are none."""
    colors = as_rgb(palette, "gpl")
    lines = ["{:3d} {:3d} {:3d}\t".format(*c) + name_of(palette, i) for i, c in enumerate(colors)]
    return _joined([GPL_HEADER, "Name: kmeans-c", "#", *lines])


def _joined(lines: "list[str] | Iterator[str]", end: str = "\n") -> bytes:
    return "".join(line + end for line in lines).encode()


def _lines(data: bytes) -> Iterator[tuple[int, str]]:
    """Give the lines that are not empty, numbered from 1; names may be in any encoding."""
    # One at a time: a list of them all would take twenty times the file's size.
    text = io.StringIO(data.decode("utf-8-sig", errors="replace"), newline=None)
    for number, line in enumerate(text, 1):
        if stripped := line.strip():
            yield number, stripped


def _hex_colors(data: bytes) -> Iterator[Color]:
    for number, line in _lines(data):
        if line.startswith((";", "//")):
            continue
        # A line of rgb(), which holds commas and spaces itself, is one colour.
        for word in [line] if "(" in line else line.replace(",", " ").split():
            try:
                yield parse_color(word)
            except ValueError:
                raise ValueError(f"line {number}: expected a colour, got {shown(word)}") from None


def _paint_net_colors(data: bytes) -> Iterator[Color]:
    for number, line in _lines(data):
        word = line.partition(";")[0].strip()
        if not word:
            continue
        try:
            color = parse_color(word)
        except ValueError:
            color = ()
        if len(word) not in (6, 8) or not color:
            raise ValueError(f"line {number}: expected aarrggbb, got {shown(line)}")
        yield color if len(color) == 3 else (*color[1:], color[0])


def _jasc_colors(data: bytes) -> Iterator[Color]:
    lines = _lines(data)
    header = [line for _, line in (next(lines, (0, "")) for _ in range(3))]
    if header[:2] != [JASC_HEADER, "0100"] or not _is_number(header[2], 9):
        raise ValueError(f"expected the lines {JASC_HEADER}, 0100 and a count")
    wanted, got = int(header[2]), 0
    for number, line in lines:
        got += 1
        if got > wanted:
            break
        yield _numbers(line.split(), (3, 4), number, line)
    if got != wanted:
        raise ValueError(f"expected {wanted} colours as line 3 says, got {min(got, wanted + 1)}")


def _gpl_colors(data: bytes, names: list[str]) -> Iterator[Color]:
    lines = _lines(data)
    if next(lines, (0, ""))[1] != GPL_HEADER:
        raise ValueError(f"expected the line {GPL_HEADER} first")
    channels = 3
    for number, line in lines:
        if line.startswith("#"):
            continue
        word, colon, value = line.partition(":")
        if colon and word.isalpha():  # Name: and Columns: are GIMP's, Channels: is Aseprite's
            if word == "Channels" and value.strip() == "RGBA":
                channels = 4
            continue
        words = line.split(None, channels)
        names.append(words[channels] if len(words) > channels else "")
        yield _numbers(words[:channels], (channels,), number, line)


def _numbers(words: list[str], lengths: tuple[int, ...], number: int, line: str) -> Color:
    color = tuple(int(word) if _is_number(word, 3) else 256 for word in words)
    if len(color) not in lengths or max(color) > 255:
        raise ValueError(f"line {number}: expected {lengths[0]} numbers 0..255, got {shown(line)}")
    return color


def _is_number(word: str, digits: int) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= digits
