"""Adobe's palettes: ACT (colour table), ACO (colour swatches), ASE (swatch exchange)."""

import contextlib
import math
import struct
from collections.abc import Iterator

import numpy as np

from kmeans_c.color_text import Color
from kmeans_c.palette import Palette
from kmeans_c.palette_files.entries import as_rgb, at_most, listed, name_of
from kmeans_c.palette_files.models import from_cmyk, from_hsb, from_lab, from_unit

ACT_COLORS = 256
ACT_SIZES = (768, 772)  # the longer one with a count and a transparent entry
ASE_MAGIC = b"ASEF"

_NO_TRANSPARENCY = 0xFFFF

_WORD = 0xFFFF
_ACO_COLORS = 0xFFFF
_ACO_RGB, _ACO_HSB, _ACO_CMYK, _ACO_LAB, _ACO_GREY, _ACO_WIDE_CMYK = 0, 1, 2, 7, 8, 9
# Books of inks: their four numbers are their makers' secret.
_ACO_BOOKS = {3: "Pantone", 4: "Focoltone", 5: "Trumatch", 6: "Toyo", 10: "HKS"}

_ASE_COLOR, _ASE_GROUP, _ASE_GROUP_END = 0x0001, 0xC001, 0xC002
_ASE_NORMAL = 2  # neither global nor spot
# The models and how many floats each has.
_ASE_MODELS = {b"RGB ": 3, b"CMYK": 4, b"LAB ": 3, b"Gray": 1}
# Other programs' rounding may leave 0..1 by a little.
_SLACK = 1e-3
# Floats become whole numbers of this many parts, which float32 between 0 and 1 hardly exceeds.
_PARTS = 1 << 24


def read_act(data: bytes) -> Palette:
    """Read 256 colours; or, with four more bytes, how many of them there are and which is clear."""
    if len(data) not in ACT_SIZES:
        raise ValueError(f"expected 768 or 772 bytes, got {len(data)}")
    n, clear = struct.unpack_from(">HH", data, 768) if len(data) == 772 else (256, _NO_TRANSPARENCY)
    if not 1 <= n <= ACT_COLORS:
        raise ValueError(f"expected a count of 1..256, got {n}")
    colors: list[Color] = [tuple(data[3 * i : 3 * i + 3]) for i in range(n)]
    if clear < n:
        colors[clear] = (*colors[clear], 0)
    return listed(colors)


def write_act(palette: Palette) -> bytes:
    """Write 256 opaque colours as 768 bytes; fewer padded with black, and what they are after."""
    at_most(palette, ACT_COLORS, "act")
    colors, clear = palette.table, _NO_TRANSPARENCY
    if colors.shape[1] == 4:
        if ((colors[:, 3] > 0) & (colors[:, 3] < 255)).any():
            raise ValueError(
                "format: act holds one fully transparent colour and no partial transparency; "
                "hex, json, css, paint.net and png do"
            )
        entries = np.flatnonzero(colors[:, 3] == 0).tolist()
        if len(entries) > 1:
            raise ValueError(f"format: act holds one fully transparent entry, got {len(entries)}")
        clear = entries[0] if entries else clear
    table = colors[:, :3].tobytes().ljust(768, b"\0")
    if len(palette) == ACT_COLORS and clear == _NO_TRANSPARENCY:
        return table
    return table + struct.pack(">HH", len(palette), clear)


def is_aco(data: bytes) -> bool:
    """Say whether the number of colours in the first bytes fits to what follows."""
    if len(data) < 4:
        return False
    version, n = struct.unpack_from(">HH", data)
    end = 4 + 10 * n
    if version == 1 and n:
        return len(data) == end or data[end : end + 4] == struct.pack(">HH", 2, n)
    if version != 2:
        return False
    file = _Bytes(data)
    try:
        for _ in _aco_colors(file, []):
            pass
    except ValueError:
        return False
    return file.at == len(data)


def read_aco(data: bytes) -> Palette:
    """Read the first part: version 1, after which version 2 repeats it with names; or version 2."""
    file, names = _Bytes(data), list[str]()
    colors = list(_aco_colors(file, names))
    if not names and data[file.at : file.at + 4] == struct.pack(">HH", 2, len(colors)):
        with contextlib.suppress(ValueError):  # the colours are read, whatever follows them
            for _ in _aco_colors(file, names):
                pass
    return listed(colors, names=names if len(names) == len(colors) else None)


def write_aco(palette: Palette) -> bytes:
    """Write both versions, as RGB, with names: the hexadecimal digits if there are none."""
    at_most(palette, _ACO_COLORS, "aco")
    first, second = [struct.pack(">HH", 1, len(palette))], [struct.pack(">HH", 2, len(palette))]
    for i, color in enumerate(as_rgb(palette, "aco")):
        entry = struct.pack(">5H", _ACO_RGB, *(257 * value for value in color), 0)
        name = _utf_16(name_of(palette, i))
        first.append(entry)
        second.append(entry + struct.pack(">I", len(name) // 2) + name)
    return b"".join(first + second)


def read_ase(data: bytes) -> Palette:
    """Read the colours of all groups and their names; kinds of swatch are passed over."""
    names: list[str] = []
    return listed(_ase_colors(data, names), names=names)


def write_ase(palette: Palette) -> bytes:
    """Write RGB swatches without groups; names are the hexadecimal digits if there are none."""
    blocks = [ASE_MAGIC + struct.pack(">HHI", 1, 0, len(palette))]
    for i, color in enumerate(as_rgb(palette, "ase")):
        name = _utf_16(name_of(palette, i))
        body = struct.pack(">H", len(name) // 2) + name + b"RGB "
        body += struct.pack(">3fH", *(value / 255 for value in color), _ASE_NORMAL)
        blocks.append(struct.pack(">HI", _ASE_COLOR, len(body)) + body)
    return b"".join(blocks)


class _Bytes:
    """Bytes that are read from front to back; reading beyond their end is an error."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def skip(self, size: int) -> int:
        """Go `size` bytes on; return where they began."""
        start = self.at
        if size > len(self.data) - start:
            raise ValueError(f"ends at byte {len(self.data)}, in the middle of a colour")
        self.at += size
        return start

    def unpack(self, layout: str) -> tuple[int, ...]:
        return struct.unpack_from(layout, self.data, self.skip(struct.calcsize(layout)))


def _utf_16(name: str) -> bytes:
    """A name with its end, as both formats have it."""
    return (name + "\0").encode("utf-16-be", "replace")


def _name(data: bytes) -> str:
    return data.decode("utf-16-be", "replace").rstrip("\0")


def _aco_colors(file: "_Bytes", names: list[str]) -> Iterator[Color]:
    version, n = file.unpack(">HH")
    if version not in (1, 2):
        raise ValueError(f"expected version 1 or 2, got {version}")
    for _ in range(n):
        color = _aco_color(*file.unpack(">5H"))
        if version == 2:
            (length,) = file.unpack(">I")
            start = file.skip(2 * length)
            names.append(_name(file.data[start : file.at]))
        yield color


def _aco_color(space: int, w: int, x: int, y: int, z: int) -> Color:
    if space == _ACO_RGB:
        return tuple(from_unit(value, _WORD) for value in (w, x, y))
    if space == _ACO_HSB:
        return from_hsb(w, x, y, _WORD)
    if space == _ACO_CMYK:  # of which 0 is all ink
        return from_cmyk(_WORD - w, _WORD - x, _WORD - y, _WORD - z, _WORD)
    if space == _ACO_LAB:
        a, b = (value - ((value & 0x8000) << 1) for value in (x, y))
        return from_lab(min(w, 10_000) / 100, a / 100, b / 100)
    if space == _ACO_GREY:  # of ink, as Photoshop's own grey slider
        return (from_unit(10_000 - min(w, 10_000), 10_000),) * 3
    if space == _ACO_WIDE_CMYK:
        c, m, yellow, k = (min(value, 10_000) for value in (w, x, y, z))
        return from_cmyk(c, m, yellow, k, 10_000)
    name = _ACO_BOOKS.get(space, "an unknown colour space")
    raise ValueError(f"expected RGB, HSB, CMYK, Lab or grey, got {name} ({space})")


def _ase_colors(data: bytes, names: list[str]) -> Iterator[Color]:
    file = _Bytes(data)
    if data[:4] != ASE_MAGIC:
        raise ValueError("expected ASEF in the first four bytes")
    file.skip(4)
    major, _, n = file.unpack(">HHI")
    if major != 1:
        raise ValueError(f"expected version 1, got {major}")
    for _ in range(n):
        kind, size = file.unpack(">HI")
        start = file.skip(size)
        if kind == _ASE_COLOR:
            block = _Bytes(data[start : start + size])
            (length,) = block.unpack(">H")
            name = block.skip(2 * length)
            names.append(_name(block.data[name : block.at]))
            yield _ase_color(block)
        elif kind not in (_ASE_GROUP, _ASE_GROUP_END):
            raise ValueError(f"expected a colour or a group, got a block of kind {kind:#06x}")


def _ase_color(block: _Bytes) -> Color:
    start = block.skip(4)
    model = block.data[start : start + 4]
    if model not in _ASE_MODELS:
        raise ValueError(f"expected RGB, CMYK, LAB or Gray, got the colour model {model!r}")
    values = block.unpack(f">{_ASE_MODELS[model]}f")
    if model == b"LAB ":
        lightness, a, b = values
        if not (abs(a) <= 128 and abs(b) <= 128):  # which NaN is not either
            raise ValueError(f"expected a and b of -128..127, got {a:g} and {b:g}")
        return from_lab(100 * _share(lightness) / _PARTS, a, b)
    shares = [_share(value) for value in values]
    if model == b"CMYK":
        cyan, magenta, yellow, black = shares
        return from_cmyk(cyan, magenta, yellow, black, _PARTS)
    channels = tuple(from_unit(share, _PARTS) for share in shares)
    return channels if model == b"RGB " else channels * 3


def _share(value: float) -> int:
    if not -_SLACK <= value <= 1 + _SLACK:  # which NaN is not either
        raise ValueError(f"expected numbers of 0..1, got {value:g}")
    return math.floor(min(max(value, 0.0), 1.0) * _PARTS + 0.5)
