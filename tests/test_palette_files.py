"""Palettes as files, against files that are packed here by hand."""

import colorsys
import contextlib
import io
import json
import math
import os
import struct
import sys

import hostile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kmeans_c import Palette
from kmeans_c.color_text import hex_text, parse_color
from kmeans_c.palette_files import (
    ENDINGS,
    MAX_BYTES,
    check_palette_format,
    read_palette,
    write_palette,
)
from kmeans_c.palette_files import models as color_models

COLORS = [(200, 16, 46), (0, 0, 0), (255, 255, 255), (1, 2, 3)]
CLEAR = [(0, 0, 0, 0), (200, 16, 46, 255), (0, 0, 0, 255), (10, 20, 30, 128)]

FORMATS = ["hex", "json", "css", "gpl", "jasc", "riff", "act", "aco", "ase", "paint.net", "png"]
WITH_ALPHA = ["hex", "json", "css", "paint.net", "png"]


def aco(version, *swatches, names=()):
    data = struct.pack(">HH", version, len(swatches))
    for i, swatch in enumerate(swatches):
        data += struct.pack(">5H", *(list(swatch) + [0] * (5 - len(swatch))))
        if version == 2:
            name = names[i] + "\0"
            data += struct.pack(">I", len(name)) + name.encode("utf-16-be")
    return data


def ase_color(model, *values, name="swatch", kind=2):
    body = struct.pack(">H", len(name) + 1) + (name + "\0").encode("utf-16-be")
    body += model + struct.pack(f">{len(values)}f", *values) + struct.pack(">H", kind)
    return struct.pack(">HI", 1, len(body)) + body


def ase(*blocks):
    return b"ASEF" + struct.pack(">HHI", 1, 0, len(blocks)) + b"".join(blocks)


def ase_rgb(color, **options):
    return ase_color(b"RGB ", *(value / 255 for value in color), **options)


def strip(colors, size=16):
    """A PNG written by hand, in full colour, with one square a colour."""
    channels = len(colors[0])
    row = b"".join(bytes(color) * size for color in colors)
    return hostile.png(size * len(colors), size, 8, {3: 2, 4: 6}[channels], [row] * size)


HEX_NAMES = [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in COLORS]

# What is written for COLORS, byte for byte (but for a PNG, whose bytes are zlib's).
WRITTEN = {
    "hex": b"c8102e\n000000\nffffff\n010203\n",
    "json": b'{\n  "format": "kmeans-c palette",\n  "version": 1,\n  "colors": [\n'
    b'    "#c8102e",\n    "#000000",\n    "#ffffff",\n    "#010203"\n  ]\n}\n',
    "css": b":root {\n  --color-0: #c8102e;\n  --color-1: #000000;\n"
    b"  --color-2: #ffffff;\n  --color-3: #010203;\n}\n",
    "gpl": b"GIMP Palette\nName: kmeans-c\n#\n200  16  46\t#c8102e\n  0   0   0\t#000000\n"
    b"255 255 255\t#ffffff\n  1   2   3\t#010203\n",
    "jasc": b"JASC-PAL\r\n0100\r\n4\r\n200 16 46\r\n0 0 0\r\n255 255 255\r\n1 2 3\r\n",
    "riff": b"RIFF\x20\0\0\0PAL data\x14\0\0\0\0\3\4\0\xc8\x10\x2e\0\0\0\0\0\xff\xff\xff\0\1\2\3\0",
    "act": bytes([200, 16, 46, 0, 0, 0, 255, 255, 255, 1, 2, 3]) + bytes(756) + b"\0\4\xff\xff",
    "aco": aco(1, *((0, *(257 * value for value in color)) for color in COLORS))
    + aco(2, *((0, *(257 * value for value in color)) for color in COLORS), names=HEX_NAMES),
    "ase": ase(*(ase_rgb(c, name=name) for c, name in zip(COLORS, HEX_NAMES, strict=True))),
    "paint.net": b"; paint.net Palette File\n; aarrggbb, in hexadecimal digits\n"
    b"FFC8102E\nFF000000\nFFFFFFFF\nFF010203\n",
}


def written(palette, kind):
    data = io.BytesIO()
    write_palette(palette, data, kind)
    return data.getvalue()


def read(data, kind=None):
    return read_palette(io.BytesIO(data), kind)


def colors_of(data, kind=None):
    return [tuple(color) for color in read(data, kind).colors.tolist()]


@pytest.mark.parametrize("kind", WRITTEN)
def test_what_is_written_byte_for_byte(kind):
    assert written(Palette(COLORS), kind) == WRITTEN[kind]


@pytest.mark.parametrize("kind", WRITTEN)
def test_what_was_packed_by_hand_is_read(kind):
    assert colors_of(WRITTEN[kind], kind) == COLORS
    assert colors_of(WRITTEN[kind]) == COLORS  # without being told what it is


@pytest.mark.parametrize("kind", FORMATS)
def test_no_counts_are_made_up(kind):
    palette = Palette(COLORS, [4, 3, 2, 1])
    found = read(written(palette, kind)).counts
    assert found is None if kind != "json" else found.tolist() == [4, 3, 2, 1]


palettes = st.lists(
    st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=96, unique=True
).map(Palette)

clear_palettes = st.lists(
    st.tuples(*[st.integers(0, 255)] * 3, st.integers(1, 255)), min_size=1, max_size=96, unique=True
).map(Palette)


@given(palettes, st.sampled_from(FORMATS))
@settings(deadline=None)
def test_every_palette_comes_back(palette, kind):
    assert read(written(palette, kind)) == palette


@given(clear_palettes, st.sampled_from(WITH_ALPHA))
@settings(deadline=None)
def test_every_transparency_comes_back(palette, kind):
    found = read(written(palette, kind))
    if palette.colors[:, 3].min() == 255:
        assert found == Palette(palette.colors[:, :3])
    else:
        assert found == palette


@pytest.mark.parametrize("kind", FORMATS)
def test_the_largest_palette_comes_back(kind):
    n = {"act": 256, "png": 256, "paint.net": 96, "aco": 65535, "riff": 65535}.get(kind, 65536)
    codes = np.arange(n, dtype=np.uint32)
    palette = Palette(np.stack([codes >> 8, codes & 255, codes * 7 & 255], axis=1))
    assert read(written(palette, kind)) == palette
    if n < 65536:
        codes = np.arange(n + 1)
        palette = Palette(np.stack([codes >> 8, codes & 255, codes & 0], axis=1))
        with pytest.raises(ValueError, match=f"format: {kind} holds at most {n} colours"):
            written(palette, kind)


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind not in WITH_ALPHA])
def test_transparency_is_refused_where_there_is_none(kind):
    with pytest.raises(ValueError, match=rf"^format: {kind} holds .* transparency"):
        written(Palette(CLEAR), kind)
    opaque = Palette([(1, 2, 3, 255), (3, 2, 1, 255)])
    assert read(written(opaque, kind)) == Palette(opaque.colors[:, :3])


def test_files_by_their_names(tmp_path):
    palette = Palette(COLORS)
    for ending, kind in ENDINGS.items():
        path = tmp_path / f"palette{ending.upper()}"
        write_palette(palette, path)
        if kind in WRITTEN:
            assert path.read_bytes() == WRITTEN[kind]
        assert read_palette(path) == palette
        assert read_palette(os.fspath(path), format=kind) == palette
        with path.open("rb") as file:
            file.read(2)
            assert read_palette(file) == palette


def test_an_existing_file_stays_unless_told(tmp_path):
    path = tmp_path / "palette.gpl"
    write_palette(Palette(COLORS), path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        write_palette(Palette(COLORS[:2]), path)
    assert path.read_bytes() == before
    with pytest.raises(ValueError, match="transparency"):
        write_palette(Palette(CLEAR), path, overwrite=True)
    assert path.read_bytes() == before
    write_palette(Palette(COLORS[:2]), path, overwrite=True)
    assert read_palette(path) == Palette(COLORS[:2])
    assert [file.name for file in tmp_path.iterdir()] == ["palette.gpl"]


def test_a_txt_is_a_hex_list_or_paint_net_s(tmp_path):
    path = tmp_path / "palette.txt"
    path.write_text("#0102037f\n\n// and\n; this\n#fff, #000\nrgb(1, 2, 3)\n")
    assert read_palette(path) == Palette(
        [(1, 2, 3, 127), (255, 255, 255, 255), (0, 0, 0, 255), (1, 2, 3, 255)]
    )
    path.write_text(";paint.net Palette File\n;Colors: 3\n7f010203 ; a name\nFFFFFFFF\n000000\n")
    assert read_palette(path) == Palette([(1, 2, 3, 127), (255, 255, 255, 255), (0, 0, 0, 255)])


def test_contents_go_before_names(tmp_path):
    path = tmp_path / "palette.hex"
    for kind in ("gpl", "jasc", "riff", "ase"):
        path.write_bytes(WRITTEN[kind])
        assert read_palette(path) == Palette(COLORS)
    path.write_bytes(strip(COLORS))
    assert read_palette(path) == Palette(COLORS)


def test_a_colour_that_comes_again_is_another_entry():
    data = b"000000\nff0000\n000000\n00ff00\nff0000\n"
    assert colors_of(data, "hex") == [
        (0, 0, 0), (255, 0, 0), (0, 0, 0), (0, 255, 0), (255, 0, 0)
    ]  # fmt: skip
    value = {"colors": ["#000", "#fff", [0, 0, 0], "#00000000", "#ffffff00"], "counts": [1] * 5}
    found = read(json.dumps(value).encode(), "json")
    assert found == Palette([(0, 0, 0, 255), (255,) * 4, (0, 0, 0, 255), *[(0, 0, 0, 0)] * 2])
    assert found.table[4].tolist() == [255, 255, 255, 0]
    assert found.counts.tolist() == [1] * 5


def test_a_style_sheet_has_an_entry_for_each_custom_property():
    style = b":root { --a: #111; --b: #222; --c: #111 } p { color: #222; background: #333 }"
    style += b" a { color: #333; border: 1px solid #111 }"
    assert colors_of(style, "css") == [(17,) * 3, (34,) * 3, (17,) * 3, (51,) * 3]


# JSON and CSS


@pytest.mark.parametrize(
    "value",
    [
        ["#c8102e", "000", "white", "rgb(1, 2, 3)"],
        [[200, 16, 46], [0, 0, 0], [255, 255, 255], [1, 2, 3]],
        {"name": "x", "colors": ["c8102e", "000000", "ffffff", "010203"]},
        {"format": "kmeans-c palette", "version": 1, "colors": HEX_NAMES},
    ],
)
def test_json_of_other_shapes(value):
    for data in (json.dumps(value), json.dumps(value, indent=4)):
        assert colors_of(data.encode()) == COLORS
        assert colors_of(b"\xef\xbb\xbf" + data.encode()) == COLORS


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("[", "Expecting value"),
        ("[]", "found none"),
        ("{}", 'object with "colors"'),
        ("3", 'object with "colors"'),
        ('"#fff"', 'object with "colors"'),
        ('{"colors": "#fff"}', 'object with "colors"'),
        ("[1, 2, 3]", "as a colour, got '1'"),
        ("[[1, 2]]", "as a colour"),
        ("[[1, 2, 256]]", "as a colour"),
        ("[[1, 2, -1]]", "as a colour"),
        ("[[1, 2, 3.0]]", "as a colour"),
        ("[[1, 2, true]]", "as a colour"),
        ("[[1, 2, NaN]]", "as a colour"),
        ("[null]", "as a colour"),
        ('["#ff"]', "expected #rgb"),
        ('{"colors": ["#fff"], "counts": [1, 2]}', "expected 1 counts"),
        ('{"colors": ["#fff"], "counts": 1}', "expected 1 counts"),
        ('{"colors": ["#fff"], "counts": [-1]}', "expected counts"),
        ('{"colors": ["#fff"], "counts": [1.5]}', "expected counts"),
        ('{"colors": ["#fff"], "counts": [9223372036854775808]}', "expected counts"),
        ('{"format": "kmeans-c palette", "version": 2, "colors": ["#fff"]}', "expected version 1"),
        ("[" * 100_000, "lists in lists|Expecting value"),
        ("[" + "9" * 5000 + "]", ""),
    ],
)
def test_json_that_is_no_palette(text, reason):
    with pytest.raises(OSError, match=f"not a valid json palette: .*(?:{reason})"):
        read(text.encode(), "json")


def test_css_as_people_write_it():
    style = b"""
        @import url(#aaa);  /* color: #bbb; */
        #add, a:hover #fee { color: #FFF; background: URL(data:#abc) #0000 }
        @media (min-width: 1px) { .x { border: 1px solid rgb(1 2 3 / 50%) !important; } }
        :root{--a:#c8102e;--b : rgba(10,20,30,.25);content:"#ddd";--c:#12345;--d:#1234567}
        $sass: #00f;
        p { color: rgb(var(--x)); x: rgb(300, 0, 0); y: rgb(calc(1 + 2), 0, 0); z: #ggg; w: &#fff1;
            background: linear-gradient(#123, #456 50%, rgb(0%, 50%, 100%)); n: red; m: x-#fff }
        last: #fedcba"""
    assert colors_of(style, "css") == [
        (255, 255, 255, 255), (0, 0, 0, 0), (1, 2, 3, 128), (200, 16, 46, 255), (10, 20, 30, 64),
        (0, 0, 255, 255), (255, 255, 255, 17), (17, 34, 51, 255), (68, 85, 102, 255),
        (0, 128, 255, 255), (254, 220, 186, 255),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["/*" * 50_000, '"' * 99_999, "url(" * 50_000, "a:" * 50_000, "a{" * 50_000,
             "rgb(" * 50_000, "#" * 100_000, "a:#" + "f" * 100_000, "/*/" * 50_000, "'\\" * 50_000]
)  # fmt: skip
def test_css_made_to_be_slow_is_not(text):
    with pytest.raises(OSError, match="found none"):
        read(text.encode(), "css")


# Text


def test_gpl_as_other_programs_write_it():
    text = (
        "\ufeffGIMP Palette\r\nName: Größe: 3\r\nColumns: 4\r\n# 1 2 3\r\n\r\n"
        " 200\t16 46 a name 9\r\n0 0 0\r\n255 255 255\t#\r\n  1   2   3\tUntitled"
    )
    assert colors_of(text.encode()) == COLORS
    assert colors_of(text[1:].encode("latin-1")) == COLORS
    text = "GIMP Palette\nChannels: RGBA\n#\n 10 20 30 128 half\n0 0 0 0\n255 255 255 255\n"
    assert colors_of(text.encode()) == [(10, 20, 30, 128), (0, 0, 0, 0), (255, 255, 255, 255)]


def test_gpl_as_pillow_reads_it():
    from PIL.GimpPaletteFile import GimpPaletteFile

    palette, mode = GimpPaletteFile(io.BytesIO(written(Palette(COLORS), "gpl"))).getpalette()
    assert mode == "RGB"
    assert palette[: 3 * len(COLORS)] == bytes(value for color in COLORS for value in color)


def test_old_line_ends():
    assert colors_of(WRITTEN["jasc"].replace(b"\r\n", b"\r")) == COLORS
    assert colors_of(WRITTEN["jasc"].replace(b"\r\n", b"\n")) == COLORS


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        ("hex", "", "found none"),
        ("hex", "fff\nggg\n", "line 2: expected a colour, got 'ggg'"),
        ("hex", "12345", "line 1"),
        ("hex", "rgb(1,2)", "line 1"),
        ("hex", "\0\0\0", "line 1"),
        ("hex", "x" * 999, "'x{40}...'$"),
        ("paint.net", "; nothing", "found none"),
        ("paint.net", "fff", "line 1: expected aarrggbb"),
        ("paint.net", "#ffffff", "line 1: expected aarrggbb"),
        ("paint.net", "gold", "line 1: expected aarrggbb"),
        ("paint.net", "azure3zz", "line 1: expected aarrggbb"),
        ("jasc", "", "expected the lines"),
        ("jasc", "JASC-PAL\n0100\n", "expected the lines"),
        ("jasc", "JASC-PAL\n0200\n1\n1 2 3\n", "expected the lines"),
        ("jasc", "JASC-PAL\n0100\n-1\n", "expected the lines"),
        ("jasc", "JASC-PAL\n0100\n9999999999\n1 2 3", "expected the lines"),
        ("jasc", "JASC-PAL\n0100\n999999999\n1 2 3", "expected 999999999 colours .*, got 1"),
        ("jasc", "JASC-PAL\n0100\n1\n1 2 3\n4 5 6\n7 8 9", "expected 1 colours .*, got 2"),
        ("jasc", "JASC-PAL\n0100\n0\n", "found none"),
        ("jasc", "JASC-PAL\n0100\n1\n1 2\n", "line 4: expected 3 numbers"),
        ("jasc", "JASC-PAL\n0100\n1\n1 2 256\n", "line 4"),
        ("jasc", "JASC-PAL\n0100\n1\n1 2 +3\n", "line 4"),
        ("jasc", "JASC-PAL\n0100\n1\n1 2 \u0663\n", "line 4"),
        ("gpl", "Gimp\n1 2 3", "expected the line GIMP Palette"),
        ("gpl", "GIMP Palette\n#\n", "found none"),
        ("gpl", "GIMP Palette\n1 2\n", "line 2: expected 3 numbers"),
        ("gpl", "GIMP Palette\nChannels: RGBA\n1 2 3 name\n", "line 3: expected 4 numbers"),
        ("gpl", "GIMP Palette\n1 2 3000\n", "line 2"),
    ],
)
def test_text_that_is_no_palette(kind, text, reason):
    with pytest.raises(OSError, match=f"^palette: not a valid {kind} palette: .*{reason}"):
        read(text.encode(), kind)


# RIFF


def test_riff_with_other_chunks_and_other_sizes():
    colors = WRITTEN["riff"][24:]
    other = b"note\3\0\0\0abc\0"
    for size in (20, 12, 0xFFFFFFFF):
        data = b"RIFF\0\0\0\0PAL " + other + b"data" + struct.pack("<IHH", size, 0x0300, 4)
        assert colors_of(data + colors) == COLORS
        assert colors_of(data + colors + other) == COLORS


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"RIFF\0\0\0\0WAVE", "expected RIFF and PAL"),
        (b"RIFF\0\0\0\0PAL ", "no chunk called data"),
        (b"RIFF\0\0\0\0PAL note\xff\xff\xff\xff", "no chunk called data"),
        (b"RIFF\0\0\0\0PAL data\0\0\0\0\0\1\1\0abc\0", "version 0x0300, got 0x0100"),
        (b"RIFF\0\0\0\0PAL data\0\0\0\0\0\3\xff\xffabc\0", "expected 65535 colours, got 1"),
        (b"RIFF\0\0\0\0PAL data\0\0\0\0\0\3\0\0", "found none"),
        (b"RIFF\0\0\0\0PAL " + b"note\0\0\0\0" * 9999, "no chunk called data"),
    ],
)
def test_riff_that_is_no_palette(data, reason):
    with pytest.raises(OSError, match=f"not a valid riff palette: .*{reason}"):
        read(data, "riff")


# Adobe


def test_act_with_and_without_a_count():
    table = b"".join(bytes(color) for color in COLORS)
    assert colors_of(table.ljust(768, b"\0"), "act") == [*COLORS, *[(0, 0, 0)] * 252]
    padded = table.ljust(768, b"\7")
    assert colors_of(padded) == [*COLORS, *[(7, 7, 7)] * 252]
    assert colors_of(padded + b"\0\3\xff\xff") == COLORS[:3]
    assert colors_of(padded + b"\0\3\0\1") == [
        (200, 16, 46, 255), (0, 0, 0, 0), (255, 255, 255, 255)
    ]  # fmt: skip
    assert colors_of(padded + b"\0\3\0\3") == COLORS[:3]  # no entry, so none is transparent
    assert colors_of(padded + b"\1\0\xff\xff") == [*COLORS, *[(7, 7, 7)] * 252]


def test_act_written_in_full_has_no_count():
    palette = Palette(np.arange(768).reshape(256, 3) % 256)
    assert written(palette, "act") == palette.colors.tobytes()
    clear = Palette([(9, 8, 7, 255), (0, 0, 0, 0), (0, 0, 0, 255)])
    assert written(clear, "act") == bytes([9, 8, 7]) + bytes(765) + b"\0\3\0\1"
    assert read(written(clear, "act")) == clear


@pytest.mark.parametrize("data", [b"", b"\1" * 767, b"\1" * 769, b"\1" * 773, b"\1" * 771])
def test_act_of_another_size(data):
    with pytest.raises(OSError, match="expected 768 or 772 bytes"):
        read(data, "act")


@pytest.mark.parametrize("n", [0, 257, 0xFFFF])
def test_act_with_an_impossible_count(n):
    with pytest.raises(OSError, match=f"expected a count of 1..256, got {n}"):
        read(bytes(768) + struct.pack(">HH", n, 0), "act")


def test_aco_of_version_2_alone_and_of_all_models():
    swatches = [
        (0, 0x8080, 0x7FFF, 0xFFFF),
        (1, 0, 65535, 65535),  # Adobe's own example of HSB: pure red
        (2, 0, 65535, 65535, 65535),  # and of CMYK: pure cyan
        (7, 10000, 0, 0),  # and of Lab: pure white
        (8, 10000),  # all ink
        (9, 10000, 0, 10000, 5000),
    ]
    expected = [
        (128, 127, 255), (255, 0, 0), (0, 255, 255), (255, 255, 255), (0, 0, 0), (0, 128, 0),
    ]  # fmt: skip
    assert colors_of(aco(1, *swatches)) == expected
    names = ["", "x", "\U0001f3a8", "a" * 300, "é", "\0"]
    data = aco(2, *swatches, names=["".join(name) for name in names[:2]] + ["n"] * 4)
    assert colors_of(data) == expected
    assert colors_of(data, "aco") == expected


def test_aco_and_act_of_the_same_size():
    palette = Palette([(i, 2 * i, 3 * i) for i in range(19)])
    assert len(written(palette, "aco")) == 768
    assert read(written(palette, "aco")) == palette
    table = b"\0\1\0\23" + bytes(range(4, 256)) * 4
    assert len(read(table[:768])) > 19  # a table that starts as such an aco would


@pytest.mark.parametrize(
    "start", [b";\0\0", b"BM\0", b"\xff\xd8\xff", b"{}[", b"P6\n", b"II*\0\0\0"]
)
def test_act_that_starts_as_something_else_does(start, tmp_path):
    path = tmp_path / "palette.act"
    for data in (start.ljust(768, b"\0"), start.ljust(768, b"\0") + b"\0\2\xff\xff"):
        path.write_bytes(data)
        assert read_palette(path).colors[0].tolist() == list(start[:3])
        assert read_palette(path) == read(data)


def test_a_picture_of_the_size_of_a_table(tmp_path):
    data = hostile.file_of(np.zeros((15, 15, 3), np.uint8) + 7, "bmp")
    assert len(data) == 774
    path = tmp_path / "brand.bmp"
    path.write_bytes(data)
    assert read_palette(path) == read(data) == Palette([(7, 7, 7)])
    data = hostile.file_of(Image.fromarray(np.zeros((14, 16, 3), np.uint8) + 7), "bmp")
    path.write_bytes(data + bytes(772 - len(data)))
    assert read_palette(path) == Palette([(7, 7, 7)])


@pytest.mark.parametrize(
    ("space", "name"),
    [(3, "Pantone"), (4, "Focoltone"), (5, "Trumatch"), (6, "Toyo"), (10, "HKS"), (11, "unknown")],
)
def test_aco_books_of_inks_are_refused_by_name(space, name):
    with pytest.raises(OSError, match=rf"got .*{name}.* \({space}\)"):
        read(aco(1, (0, 1, 2, 3), (space, 1, 2, 3)), "aco")


def test_ase_of_all_models_and_with_groups():
    name = "\0g\0\0"
    group = struct.pack(">HI", 0xC001, 2 + len(name)) + struct.pack(">H", 2) + name.encode()
    blocks = [
        group,
        ase_rgb((200, 16, 46), kind=0),
        ase_color(b"CMYK", 1, 0, 0, 0.5, kind=1),
        struct.pack(">HI", 0xC002, 0),
        ase_color(b"Gray", 0.5, name=""),
        ase_color(b"LAB ", 1, 0, 0),
        ase_rgb((0, 0, 0)),
    ]
    assert colors_of(ase(*blocks)) == [
        (200, 16, 46), (0, 128, 128), (128, 128, 128), (255, 255, 255), (0, 0, 0)
    ]  # fmt: skip


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1.1, -0.5, 255.0, 3e38])
@pytest.mark.parametrize("model", [b"RGB ", b"CMYK", b"LAB ", b"Gray"])
def test_ase_numbers_out_of_range(model, value):
    rest = {b"RGB ": 2, b"CMYK": 3, b"LAB ": 2, b"Gray": 0}[model]
    with pytest.raises(OSError, match=r"expected numbers of 0\.\.1, got"):
        read(ase(ase_color(model, value, *[0] * rest)), "ase")


@pytest.mark.parametrize("value", [math.nan, math.inf, 129, -3e38])
def test_ase_chroma_out_of_range(value):
    with pytest.raises(OSError, match="expected a and b of"):
        read(ase(ase_color(b"LAB ", 0.5, 0, value)), "ase")


def test_ase_rounding_of_other_programs_is_forgiven():
    assert colors_of(ase(ase_color(b"RGB ", 1.0000001, -1e-7, 0.5))) == [(255, 0, 128)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "ASEF"),
        (b"ASEF", "ends at byte 4"),
        (b"ASEF\0\2\0\0\0\0\0\1", "expected version 1, got 2"),
        (b"ASEF\0\1\0\0\xff\xff\xff\xff", "ends at byte 12"),
        (b"ASEF\0\1\0\0\0\0\0\0", "found none"),
        (ase(struct.pack(">HI", 1, 0xFFFFFFFF)), "ends at byte"),
        (ase(struct.pack(">HI", 7, 0)), "kind 0x0007"),
        (ase(struct.pack(">HI", 1, 2) + b"\xff\xff"), "ends at byte 2"),
        (ase(ase_color(b"XYZ ", 0, 0, 0)), "colour model b'XYZ '"),
        (ase(ase_color(b"HSB ", 0, 0, 0)), "colour model b'HSB '"),
    ],
)
def test_ase_that_is_no_palette(data, reason):
    with pytest.raises(OSError, match=f"not a valid ase palette: .*{reason}"):
        read(data, "ase")


@pytest.mark.parametrize("kind", ["act", "aco", "ase", "jasc", "riff"])
def test_cut_short_anywhere(kind):
    data = WRITTEN[kind] if kind != "aco" else WRITTEN[kind][: 4 + 10 * len(COLORS)]
    for size in range(len(data)):
        if (kind == "jasc" and size >= len(data) - 3) or (kind == "act" and size == 768):
            continue  # but for the last digit, or but for the count, it is whole
        with pytest.raises(OSError, match=f"not a valid {kind} palette"):
            read(data[:size], kind)


def refusal(data, kind):
    """What is said about a file; nothing if it is read."""
    try:
        assert 1 <= len(read(data, kind)) <= 65536
    except OSError as error:
        return str(error)
    return None


@given(st.binary(max_size=900), st.sampled_from([*FORMATS, None]))
@settings(deadline=None, max_examples=500)
def test_anything_else_is_one_clear_error(data, kind):
    message = refusal(data, kind)
    assert message is None or (message.startswith("palette: not a valid") and "\n" not in message)


@given(st.data(), st.sampled_from(sorted(WRITTEN)))
@settings(deadline=None, max_examples=300)
def test_damaged_files_are_read_or_refused(data, kind):
    file = bytearray(WRITTEN[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    message = refusal(bytes(file), kind)
    assert message is None or message.startswith(f"palette: not a valid {kind} palette: ")


# Pictures


def test_a_strip_made_by_hand_is_read():
    assert colors_of(strip(COLORS)) == COLORS
    assert colors_of(strip(CLEAR)) == CLEAR
    assert colors_of(strip(COLORS, size=1)) == COLORS


def test_a_strip_is_a_square_a_colour():
    with Image.open(io.BytesIO(written(Palette(CLEAR), "png"))) as image:
        assert image.size == (64, 16)
        pixels = np.asarray(image.convert("RGBA"))
    for i, color in enumerate(CLEAR):
        assert (pixels[:, 16 * i : 16 * i + 16] == color).all()


def test_a_picture_s_colours_in_the_order_of_their_first_pixels(rng):
    colors = np.unique(rng.integers(0, 256, (300, 3), dtype=np.uint8), axis=0)[:200]
    indices = rng.integers(0, 200, (700, 300))
    image = colors[indices]
    expected = list(dict.fromkeys(map(tuple, image.reshape(-1, 3).tolist())))
    for form in ("png", "webp", "tiff"):
        data = hostile.file_of(image, form, **({"lossless": True} if form == "webp" else {}))
        assert colors_of(data) == expected
    grey = indices.astype(np.uint8)
    expected = list(dict.fromkeys((v, v, v) for v in grey.ravel().tolist()))
    assert colors_of(hostile.file_of(grey, "png")) == expected


def test_a_photo_is_no_palette():
    with pytest.raises(OSError, match=r"not a valid png palette: .* at most 256 colours"):
        read(hostile.file_of(hostile.photo(), "png"))
    with pytest.raises(OSError, match="at most 256 colours"):
        read(hostile.file_of(hostile.photo(), "jpeg"))


@pytest.mark.parametrize("name", hostile.bombs())
def test_bombs_are_refused(name):
    with pytest.raises(OSError, match="not a valid png palette"):
        read(hostile.bombs()[name])


@pytest.mark.parametrize("name", hostile.not_images())
def test_not_palettes_either(name):
    with pytest.raises(OSError, match=r"^palette: not a valid"):
        read(hostile.not_images()[name])


# Limits


class Endless(io.RawIOBase):
    """A file without an end, which counts what is asked of it."""

    def __init__(self, start, pattern):
        self.start, self.pattern, self.given = start, pattern, 0

    def read(self, size=-1):
        assert 0 <= size <= 1 << 27
        part = (self.start if not self.given else b"") + self.pattern * (size // len(self.pattern))
        self.given += size
        return part[:size].ljust(size, b"\n")


@pytest.mark.parametrize(
    ("start", "pattern"), [(b"", b"ffffff\n"), (b"[", b'"#fff",'), (b"ASEF", b"\0"), (b"BM", b"\0")]
)
def test_an_endless_file_is_refused(start, pattern):
    file = Endless(start, pattern)
    with pytest.raises(OSError, match=r"expected at most .* bytes in a palette file"):
        read_palette(file)
    assert file.given <= 1 << 27


def test_a_large_file_is_refused_without_being_read(tmp_path):
    path = tmp_path / "palette.hex"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse
    with pytest.raises(OSError, match=f"at most {MAX_BYTES} bytes"):
        read_palette(path)


@pytest.mark.parametrize("kind", ["hex", "gpl", "jasc", "ase", "json", "css", "paint.net"])
def test_too_many_colours(kind):
    n = 70_000
    codes = [(i >> 16, i >> 8 & 255, i & 255) for i in range(n)]
    words = [bytes(code).hex() for code in codes]
    decimals = "\n".join("{} {} {}".format(*code) for code in codes)
    data = {
        "hex": "\n".join(words).encode(),
        "paint.net": "\n".join(words).encode(),
        "gpl": f"GIMP Palette\n{decimals}".encode(),
        "jasc": f"JASC-PAL\n0100\n{n}\n{decimals}".encode(),
        "json": json.dumps(words).encode(),
        "css": ";".join("a:#" + word for word in words).encode(),
        "ase": ase(*(ase_rgb(c, name="") for c in codes)) if kind == "ase" else b"",
    }[kind]
    with pytest.raises(OSError, match="expected at most 65536 colours"):
        read(data, kind)


@pytest.mark.parametrize("text", [b"fff\n" * 30_000, b"[" + b"[]," * 40_000 + b"[]]"])
def test_memory_is_bounded_by_the_file_s_size(text):
    import tracemalloc

    tracemalloc.start()
    try:
        with contextlib.suppress(OSError):
            read(text)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 32 * len(text)


# Arguments


def test_arguments_of_the_wrong_kind(tmp_path):
    with pytest.raises(TypeError, match="path: expected a path or a binary file object, got int"):
        read_palette(3)
    with pytest.raises(TypeError, match="path: expected a binary file object, got one of str"):
        read_palette(io.StringIO("fff"))
    with pytest.raises(TypeError, match="palette: expected a Palette, got list"):
        write_palette(COLORS, tmp_path / "x.hex")
    with pytest.raises(TypeError, match="path: expected a path or a binary file object, got int"):
        write_palette(Palette(COLORS), 3, "hex")
    with pytest.raises(TypeError, match="format: expected a str, got int"):
        read_palette(io.BytesIO(b"fff"), 3)
    with pytest.raises(ValueError, match=r"format: expected one of hex, json, .*, got 'doc'"):
        write_palette(Palette(COLORS), tmp_path / "x.hex", "doc")
    with pytest.raises(ValueError, match=r"path: expected a name that ends in \.hex, .*x\.doc'"):
        write_palette(Palette(COLORS), tmp_path / "x.doc")
    with pytest.raises(ValueError, match="got no name"):
        write_palette(Palette(COLORS), io.BytesIO())
    assert not list(tmp_path.iterdir())


def test_names_of_formats_in_any_case():
    assert check_palette_format("PAL") == "jasc"
    assert check_palette_format("txt") == "hex"
    assert check_palette_format("Paint.NET") == "paint.net"


def test_what_is_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_palette(tmp_path / "nothing.hex")
    with pytest.raises(IsADirectoryError):
        read_palette(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "fifo.hex")
        with pytest.raises(OSError, match="FIFO"):
            read_palette(tmp_path / "fifo.hex")


def test_the_message_names_the_file(tmp_path):
    path = tmp_path / "brand.hex"
    path.write_text("zzz")
    with pytest.raises(OSError, match=r"brand\.hex: not a valid hex palette: line 1"):
        read_palette(path)


# Colour models


def test_hsb_is_the_textbook_s():
    rng = np.random.default_rng(7)
    for h, s, b in rng.integers(0, 65536, (2000, 3)).tolist():
        expected = colorsys.hsv_to_rgb(h / 65535, s / 65535, b / 65535)
        found = color_models.from_hsb(h, s, b, 65535)
        assert all(abs(f - 255 * e) <= 0.5 + 1e-9 for f, e in zip(found, expected, strict=True))


def test_cmyk_is_the_plain_formula():
    for c, m, y, k in np.random.default_rng(8).integers(0, 1001, (2000, 4)).tolist():
        expected = [255 * (1 - ink / 1000) * (1 - k / 1000) for ink in (c, m, y)]
        found = color_models.from_cmyk(c, m, y, k, 1000)
        assert all(abs(f - e) <= 0.5 + 1e-9 for f, e in zip(found, expected, strict=True))


def lab_reference(lightness, a, b):
    """The textbook's way, with powers of floats."""
    fy = (lightness + 16) / 116
    f = (fy + a / 500, fy, fy - b / 200)
    xyz = [
        w * (t**3 if t > 6 / 29 else 3 * (6 / 29) ** 2 * (t - 4 / 29))
        for w, t in zip((0.9642, 1, 0.8249), f, strict=True)
    ]
    matrix = np.array([
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ])  # fmt: skip
    linear = np.clip(matrix @ xyz, 0, 1)
    low = 12.92 * linear
    return 255 * np.where(linear <= 0.0031308, low, 1.055 * linear ** (1 / 2.4) - 0.055)


def test_lab_is_the_textbook_s():
    rng = np.random.default_rng(9)
    for lightness, a, b in rng.uniform((0, -128, -128), (100, 127, 127), (3000, 3)).tolist():
        found = color_models.from_lab(lightness, a, b)
        expected = lab_reference(lightness, a, b)
        assert np.abs(np.array(found) - expected).max() <= 0.5 + 1e-3


def test_lab_of_known_colours():
    # sRGB red, green and blue under D50, as B. Lindbloom's calculator gives them.
    for lab, rgb in [
        ((54.29, 80.81, 69.89), (255, 0, 0)),
        ((87.82, -79.29, 80.99), (0, 255, 0)),
        ((29.57, 68.30, -112.03), (0, 0, 255)),
        ((100, 0, 0), (255, 255, 255)),
        ((0, 0, 0), (0, 0, 0)),
        ((53.39, 0, 0), (127, 127, 127)),
    ]:
        found = color_models.from_lab(*lab)
        assert max(abs(f - e) for f, e in zip(found, rgb, strict=True)) <= 1


# Colours as text


@pytest.mark.parametrize(
    ("text", "color"),
    [
        ("#c8102e", (200, 16, 46)),
        ("C8102E", (200, 16, 46)),
        (" #f00 ", (255, 0, 0)),
        ("f00", (255, 0, 0)),
        ("#f008", (255, 0, 0, 136)),
        ("#c8102e80", (200, 16, 46, 128)),
        ("rgb(200,16,46)", (200, 16, 46)),
        ("RGB( 200 , 16 , 46 )", (200, 16, 46)),
        ("rgb(200 16 46)", (200, 16, 46)),
        ("rgba(200, 16, 46, 0.5)", (200, 16, 46, 128)),
        ("rgb(200 16 46 / 100%)", (200, 16, 46, 255)),
        ("rgb(200 16 46/0)", (200, 16, 46, 0)),
        ("rgb(100%, 0%, 50%)", (255, 0, 128)),
        ("rgb(.5, 0.49, 254.5)", (1, 0, 255)),
        ("crimson", (220, 20, 60)),
        ("RebeccaPurple", (102, 51, 153)),
        ("transparent", (0, 0, 0, 0)),
    ],
)
def test_colours_as_people_write_them(text, color):
    assert parse_color(text) == color


@pytest.mark.parametrize(
    "text",
    ["", "#", "#ff", "#fffff", "#fffffff", "#fffffffff", "##fff", "gg0000", "rgb(1,2)", "rgb()",
     "rgb(1,2,3,4,5)", "rgb(256,0,0)", "rgb(-1,0,0)", "rgb(1 2 3 / 1.5)", "rgb(101%,0,0)",
     "rgb(nan,0,0)", "rgb(1e2,0,0)", "rgb(1,2,3", "rgb 1,2,3", "redd", "rgb(1,2,)", "rgb(1 2 3 /)",
     "rgb(٣,0,0)", "x" * 9999, "rgb(" + "9" * 9999 + ",0,0)", "hsl(0,0%,0%)"],
)  # fmt: skip
def test_what_is_no_colour(text):
    with pytest.raises(ValueError, match=r"^color: expected #rgb") as caught:
        parse_color(text)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("value", [None, 3, b"fff", (1, 2, 3)])
def test_a_colour_is_a_str(value):
    with pytest.raises(TypeError, match="color: expected a str"):
        parse_color(value)


@given(st.lists(st.integers(0, 255), min_size=3, max_size=4))
def test_hexadecimal_digits_and_back(color):
    assert parse_color(hex_text(color)) == tuple(color)
    if len(color) == 3:
        assert parse_color("rgb({}, {}, {})".format(*color)) == tuple(color)


def test_nothing_of_this_is_imported_with_the_package(tmp_path):
    import subprocess

    code = "import sys, kmeans_c; assert not any('palette_files' in name for name in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
