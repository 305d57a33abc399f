"""A palette that was given is data: tables and indices are read back from the files."""

import io
import json
import struct
import zlib

import hostile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import kmeans_c
import kmeans_c.pillow
from kmeans_c import Palette, cli, compress, quantize
from kmeans_c.images import read_image
from kmeans_c.png import encode_png

Y, X = np.mgrid[0:48, 0:64]
RADIUS = np.hypot(X - 32, Y - 24)

# 16 entries, of which pixels have 0, 3, 7 and 15; entry 9 is 3 again.
TABLE = [(16 * i, 255 - 16 * i, 40 * i % 256) for i in range(16)]
TABLE[9] = TABLE[3]
INDICES = np.select([RADIUS < 10, RADIUS < 15, RADIUS < 20], [15, 7, 3], 0).astype(np.uint8)
COLORS = np.array(TABLE, np.uint8)

SPRITE = np.zeros((48, 64, 4), np.uint8)
SPRITE[RADIUS < 20] = (200, 30, 60, 255)
SPRITE[RADIUS < 5] = (0, 0, 0, 255)

WITH_TABLES = ["png", "gif", "bmp", "tiff", "ico"]


def image_of(indices, table, **info):
    """A Pillow image of mode P."""
    image = Image.fromarray(indices)
    image.putpalette([value for color in table for value in color[:3]])
    image.info.update(info)
    return image


def stored(data):
    """PLTE, tRNS, bits a pixel and indices of a PNG, by a decoder of the test's own."""
    chunks = hostile.png_chunks(data)
    header = dict(chunks)[b"IHDR"]
    width, height, bits, kind, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    assert (kind, interlaced) == (3, 0)
    raw = zlib.decompress(b"".join(body for name, body in chunks if name == b"IDAT"))
    stride, rows, above = (width * bits + 7) // 8, [], None
    for y in range(height):
        filter_type, row = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1 :][:stride])
        for i in range(stride):
            a = row[i - 1] if i else 0
            b, c = (above[i], above[i - 1] if i else 0) if above else (0, 0)
            p = a + b - c
            paeth = min((a, b, c), key=lambda v: abs(p - v))
            row[i] = (row[i] + [0, a, b, (a + b) // 2, paeth][filter_type]) & 255
        rows.append(row)
        above = row
    samples = [
        [row[x * bits // 8] >> (8 - bits - x * bits % 8) & (1 << bits) - 1 for x in range(width)]
        for row in rows
    ]
    plte = dict(chunks)[b"PLTE"]
    table = [tuple(plte[i : i + 3]) for i in range(0, len(plte), 3)]
    return table, dict(chunks).get(b"tRNS"), bits, np.array(samples, np.uint8)


def by_pillow(data):
    """Palette and indices of a file as Pillow reads them."""
    if data[:4] == b"\0\0\1\0":
        data = data[22:]
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.mode == "P"
        flat = image.getpalette()
        table = [tuple(flat[i : i + 3]) for i in range(0, len(flat), 3)]
        return table, np.asarray(image)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(COLORS[INDICES]).save("colors.png")
    image_of(INDICES, TABLE).save("sprite.png", bits=4)
    Image.fromarray(SPRITE).save("clear.png")
    lines = [bytes(color).hex() + "\n" for color in TABLE]
    (tmp_path / "sprite.hex").write_text("".join(lines))
    return tmp_path


@pytest.fixture
def run(folder, capfd):
    """Run the command: its exit code and the lines on both streams."""

    def call(*arguments):
        code = cli.main(["-t1", *arguments])
        out, err = capfd.readouterr()
        return code, out.splitlines(), err.splitlines()

    return call


# The table in files


@pytest.mark.parametrize("optimize", range(7))
@pytest.mark.parametrize("oxipng", [True, False])
def test_a_png_holds_the_table_as_it_was_given(folder, optimize, oxipng, monkeypatch):
    if not oxipng:
        monkeypatch.setattr("kmeans_c.png._oxipng", lambda: None)
    compress("colors.png", "a.png", palette=TABLE, optimize=optimize)
    table, alpha, bits, indices = stored((folder / "a.png").read_bytes())
    assert (table, alpha) == (TABLE, None)
    assert bits == 4 or (bits == 8 and optimize >= 2)  # a byte a pixel may take fewer bytes
    assert np.array_equal(indices, INDICES)


@pytest.mark.parametrize(
    ("n", "bits"), [(2, 1), (3, 2), (4, 2), (5, 4), (16, 4), (17, 8), (256, 8)]
)
def test_the_entries_say_how_many_bits_a_pixel_has(folder, n, bits):
    table = [(i, 0, 255 - i) for i in range(n)]
    quantize(np.array([[table[0], table[1]]], np.uint8), palette=table).save("a.png")
    assert stored((folder / "a.png").read_bytes())[:3] == (table, None, bits)


@pytest.mark.parametrize("kind", WITH_TABLES)
@pytest.mark.parametrize("how", ["compress", "save"])
def test_every_format_with_a_palette_holds_the_table(folder, kind, how):
    if how == "save":
        quantize("colors.png", palette=TABLE).save("a", kind)
    else:
        done = compress("colors.png", "a", palette=TABLE, format=kind)
        assert (done.palette_size, len(done.palette)) == (4, 16)
        assert (done.mse, done.indices_kept, done.notes) == (0, None, ())
    table, indices = by_pillow((folder / "a").read_bytes())
    assert table[:16] == TABLE
    assert set(table[16:]) <= {(0, 0, 0)}
    assert np.array_equal(indices, INDICES)


@pytest.mark.parametrize("kind", WITH_TABLES)
def test_black_entries_at_the_end_are_entries(folder, kind):
    table = [*TABLE, (0, 0, 0), (0, 0, 0)]
    compress("colors.png", "a", palette=table, format=kind)
    assert by_pillow((folder / "a").read_bytes())[0][:18] == table


@pytest.mark.parametrize("kind", ["webp", "jpeg"])
def test_a_format_without_a_palette_says_so(folder, kind):
    done = compress("colors.png", "a", palette=TABLE, format=kind, allow_larger=True)
    expected = ("palette: webp holds none here, only the colours",) if kind == "webp" else ()
    assert done.notes == expected
    done = compress("sprite.png", "b", format=kind, allow_larger=True)
    assert done.indices_kept is False


def test_auto_is_a_format_with_a_palette(folder):
    done = compress("colors.png", "a", palette=TABLE, format="auto")
    assert done.format == "png"
    assert stored((folder / "a").read_bytes())[0] == TABLE


def test_a_smaller_file_only_when_it_is_asked_for(folder):
    kept = compress("colors.png", "a.png", palette=TABLE)
    less = compress("colors.png", "b.png", palette=TABLE, keep_palette=False)
    assert less.bytes_after < kept.bytes_after
    assert len(less.palette) == less.palette_size == 4
    assert len(stored((folder / "b.png").read_bytes())[0]) == 4


def test_lossy_keeps_the_table(folder):
    pixels = hostile.photo(60, 80)
    Image.fromarray(pixels).save("photo.png")
    table = [tuple(color) for color in quantize(pixels, 14).palette.tolist()]
    table = [(1, 2, 3), *table[::-1], table[4]]
    exact = compress("photo.png", "a.png", palette=table)
    lossy = compress("photo.png", "b.png", palette=table, lossy=1)
    assert lossy.bytes_after < exact.bytes_after
    found, _, _, indices = stored((folder / "b.png").read_bytes())
    assert found == table
    used = set(np.unique(quantize(pixels, palette=table).indices).tolist())
    assert set(np.unique(indices).tolist()) <= used


# Transparency


@pytest.mark.parametrize("dither", ["none", "floyd-steinberg", "adaptive", "bayer", "blue-noise"])
@pytest.mark.parametrize("space", ["srgb", "linear", "oklab", "lab"])
def test_transparent_pixels_stay_transparent(dither, space):
    palette = Palette.named("pico-8")
    result = quantize(SPRITE, palette=palette, dither=dither, space=space)
    assert result.palette.tolist()[:16] == [[*color, 255] for color in palette.colors.tolist()]
    assert result.palette.tolist()[16:] == [[0, 0, 0, 0]]
    clear = SPRITE[..., 3] == 0
    assert np.array_equal(result.indices == 16, clear)
    assert result.counts[16] == clear.sum()
    indices = palette.map(SPRITE, dither=dither, space=space)
    assert np.array_equal(indices, result.indices)
    assert np.array_equal(palette.with_transparent().colors, result.palette)
    # Behind transparent pixels may be anything.
    other = np.where(clear[..., np.newaxis], np.array([9, 200, 3, 0], np.uint8), SPRITE)
    assert np.array_equal(palette.map(other, dither=dither, space=space), indices)


def test_an_entry_is_added_and_said(run, folder):
    code, out, err = run("clear.png", "--palette", "pico-8", "-o", "a.png")
    assert (code, err) == (0, [])
    assert "palette: entry 16 was added for the transparent pixels" in out[0]
    table, alpha, _, indices = stored((folder / "a.png").read_bytes())
    assert table == [*map(tuple, Palette.named("pico-8").colors.tolist()), (0, 0, 0)]
    assert alpha == b"\xff" * 16 + b"\0"
    assert np.array_equal(indices == 16, SPRITE[..., 3] == 0)
    run("clear.png", "--palette", "pico-8", "-o", "a.gif")
    with Image.open("a.gif") as image:
        assert image.info["transparency"] == 16
        assert np.array_equal(np.asarray(image), indices)
    for kind in ("bmp", "jpg"):
        code, out, err = run("clear.png", "--palette", "pico-8", "-o", f"a.{kind}")
        assert (code, len(err)) == (1, 1)
        assert "holds no transparency" in err[0]


@pytest.mark.parametrize("options", [[], ["-v"]])
def test_a_note_is_said_once(run, options):
    code, out, _ = run("clear.png", "--palette", "pico-8", "-o", "a.png", *options)
    assert code == 0
    assert (
        sum("was added for the transparent pixels" in line for line in out if line[0] != "{") == 1
    )


def test_no_entry_is_added_where_none_is_needed(folder):
    done = compress("colors.png", "a.png", palette=TABLE)
    assert done.notes == ()
    table = [*TABLE, (1, 2, 3, 0)]
    table = [(*color, 255)[:4] for color in table]
    done = compress("clear.png", "b.png", palette=table)
    assert done.notes == ()
    found, alpha, _, indices = stored((folder / "b.png").read_bytes())
    assert found == [color[:3] for color in table]  # what the transparent entry hides, too
    assert alpha == b"\xff" * 16 + b"\0"
    assert np.array_equal(indices == 16, SPRITE[..., 3] == 0)


def test_of_256_entries_a_double_one_becomes_transparent(folder):
    table = [(i, 0, 0) for i in range(256)]
    table[200] = table[7]
    done = compress("clear.png", "a.png", palette=table)
    assert done.notes == ("palette: entry 200, #070000ff once more, became the transparent one",)
    found, alpha, _, indices = stored((folder / "a.png").read_bytes())
    assert found == [*table[:200], (0, 0, 0), *table[201:]]
    assert alpha == b"\xff" * 200 + b"\0"
    assert np.array_equal(indices == 200, SPRITE[..., 3] == 0)


def test_256_different_entries_leave_no_place_in_a_file(folder):
    table = [(i, 0, 0) for i in range(256)]
    with pytest.raises(ValueError, match=r"^palette: expected at most 255 colours.*got 256$"):
        compress("clear.png", "a.png", palette=table)
    assert not (folder / "a.png").exists()
    with pytest.raises(ValueError, match=r"^palette: expected at most 255 colours"):
        kmeans_c.pillow.quantize(Image.fromarray(SPRITE), palette=image_of(INDICES, table))
    with pytest.raises(ValueError, match=r"^palette: expected at most 256 colours, got 257$"):
        compress("colors.png", "a.png", palette=[*table, (0, 0, 1)])
    result = quantize(SPRITE, palette=table)  # an array is no file
    assert result.indices.dtype == np.uint16
    assert np.array_equal(result.indices == 256, SPRITE[..., 3] == 0)
    assert np.array_equal(Palette(table).map(SPRITE), result.indices)


def test_pillow_s_idiom_keeps_transparent_pixels():
    for dither in (Image.Dither.NONE, Image.Dither.FLOYDSTEINBERG):
        result = kmeans_c.pillow.quantize(
            Image.fromarray(SPRITE), palette=image_of(INDICES, TABLE), dither=dither
        )
        assert result.info["transparency"] == 16
        assert np.array_equal(np.asarray(result) == 16, SPRITE[..., 3] == 0)
        assert result.getpalette()[:48] == [value for color in TABLE for value in color]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(*[st.sampled_from([0, 1, 128, 255])] * 3), min_size=1, max_size=9),
    st.lists(st.tuples(*[st.sampled_from([0, 130, 255])] * 4), min_size=1, max_size=24),
    st.sampled_from(["none", "floyd-steinberg", "bayer"]),
)
def test_alpha_0_and_255_stay_for_every_opaque_palette(table, pixels, dither):
    image = np.array([pixels], np.uint8)
    result = quantize(image, palette=table, dither=dither)
    alpha = result.to_array()[..., 3] if result.palette.shape[1] == 4 else np.full((1, 1), 255)
    for end in (0, 255):
        assert (np.broadcast_to(alpha, image.shape[:2])[image[..., 3] == end] == end).all()
    first = [table.index(color) for color in table]
    assert set(result.indices.ravel().tolist()) <= {*first, len(table)}


@pytest.mark.parametrize("kind", ["png", "gif"])
def test_lossy_keeps_transparent_and_opaque_pixels_apart(folder, kind, rng):
    pixels = np.dstack([hostile.photo(60, 80), rng.choice([0, 255], (60, 80)).astype(np.uint8)])
    Image.fromarray(pixels).save("noise.png")
    compress("noise.png", "a", palette=Palette.named("pico-8"), lossy=6, format=kind)
    _, indices = by_pillow((folder / "a").read_bytes())
    assert np.array_equal(indices == 16, pixels[..., 3] == 0)


# Indexed inputs


@pytest.mark.parametrize("kind", ["png", "gif", "bmp", "tiff"])
@pytest.mark.parametrize("to", ["png", "gif", "bmp", "tiff"])
def test_an_indexed_input_keeps_its_palette(folder, kind, to):
    image_of(INDICES, TABLE).save(f"in.{kind}", **({"optimize": False} if kind == "gif" else {}))
    done = compress(f"in.{kind}", "a", format=to, allow_larger=True)
    assert (done.mse, done.indices_kept) == (0, True)
    table, indices = by_pillow((folder / "a").read_bytes())
    assert table[:16] == TABLE
    assert np.array_equal(indices, INDICES)
    if to == "png":
        found, _, bits, indices = stored((folder / "a").read_bytes())
        assert found == TABLE
        assert bits in (4, 8)
        assert np.array_equal(indices, INDICES)


def test_an_indexed_input_is_shrunk_when_asked(folder):
    image_of(INDICES, TABLE).save("in.png")
    for options in ({"K": 15}, {"keep_palette": False}):
        done = compress("in.png", "a.png", allow_larger=True, overwrite=True, **options)
        assert (done.mse, done.indices_kept, done.palette_size) == (0, False, 4)
        assert len(stored((folder / "a.png").read_bytes())[0]) == 4
    for options in ({"K": 16}, {"K": 256}, {}, {"dither": "bayer"}, {"lossy": 1}):
        done = compress("in.png", "a.png", allow_larger=True, overwrite=True, **options)
        assert done.indices_kept is True
        assert stored((folder / "a.png").read_bytes())[0] == TABLE


def test_more_colours_than_k_are_reduced_unless_the_palette_is_kept(folder):
    table = [(i, 255 - i, 7 * i % 256) for i in range(64)]
    indices = (np.arange(64 * 48) % 64).astype(np.uint8).reshape(48, 64)
    image_of(indices, table).save("in.png")
    done = compress("in.png", "a.png", allow_larger=True)
    assert (done.palette_size, done.indices_kept) == (16, False)
    done = compress("in.png", "b.png", keep_palette=True)
    assert (done.palette_size, done.indices_kept, done.mse) == (64, True, 0)
    found, _, _, numbers = stored((folder / "b.png").read_bytes())
    assert found == table
    assert np.array_equal(numbers, indices)


def test_pixels_keep_the_double_entry_that_they_have(folder):
    indices = INDICES.copy()
    indices[:4] = 9  # the colour of entry 3
    image_of(indices, TABLE).save("in.png")
    for options in ({}, {"keep_palette": True}):
        done = compress("in.png", "a.png", overwrite=True, allow_larger=True, **options)
        assert done.colors_before == done.palette_size == 4
        assert np.array_equal(stored((folder / "a.png").read_bytes())[3], indices)
    result = quantize("in.png", keep_palette=True)
    assert result.palette.tolist() == [list(color) for color in TABLE]
    assert np.array_equal(result.indices, indices)
    assert result.counts.tolist() == np.bincount(indices.ravel(), minlength=16).tolist()
    assert (result.mse, result.n_iter) == (0, 0)
    with Image.open("in.png") as image:
        assert np.array_equal(quantize(image, keep_palette=True).indices, indices)


def test_transparent_entries_keep_their_places_and_what_they_hide(folder):
    alpha = b"\xff\xff\0\xff\0\x80"
    indices = INDICES.copy()
    indices[0, :6] = range(6)
    image_of(indices, TABLE).save("in.png", transparency=alpha, bits=4)
    for options in ({}, {"keep_palette": True}):
        done = compress("in.png", "a.png", overwrite=True, allow_larger=True, **options)
        assert done.indices_kept is True
        table, found, _, numbers = stored((folder / "a.png").read_bytes())
        assert (table, found) == (TABLE, alpha)
        assert np.array_equal(numbers, indices)
    with pytest.raises(ValueError, match="gif holds one transparent colour"):
        compress("in.png", "a.gif", keep_palette=True)


def test_an_unused_transparent_entry_is_no_reason_to_refuse(folder):
    table = [(*color, 255) for color in TABLE] + [(7, 7, 7, 0), (8, 8, 8, 0), (9, 9, 9, 80)]
    for kind in (*WITH_TABLES, "jpeg"):
        compress("colors.png", f"a.{kind}", palette=table, format=kind, allow_larger=True)
        if kind != "jpeg":
            found, indices = by_pillow((folder / f"a.{kind}").read_bytes())
            assert found[:19] == [color[:3] for color in table]
            assert np.array_equal(indices, INDICES)


def test_nearly_opaque_entries_are_drawn_over_white_in_a_bmp(folder):
    table = [(*color, 255) for color in TABLE]
    table[7], table[8] = (*TABLE[7], 252), (*TABLE[8], 0)
    alpha = bytes(color[3] for color in table)
    image_of(INDICES, TABLE).save("in.png", transparency=alpha)
    drawn = [(value * 252 + 255 * 3 + 127) // 255 for value in TABLE[7]]
    expected = [*TABLE[:7], tuple(drawn), *TABLE[8:]]
    done = compress("in.png", "a.bmp", keep_palette=True)
    assert by_pillow((folder / "a.bmp").read_bytes())[0] == expected
    assert np.array_equal(by_pillow((folder / "a.bmp").read_bytes())[1], INDICES)
    compress("colors.png", "b.bmp", palette=table)
    assert by_pillow((folder / "b.bmp").read_bytes())[0] == expected
    assert done.notes[0].startswith("alpha: ")


def test_a_palette_is_kept_whatever_it_takes(folder):
    compress("sprite.png", "small.png", keep_palette=False)
    done = compress("small.png", "a.png", palette=TABLE)
    assert done.bytes_after > done.bytes_before
    assert not done.kept_original
    assert stored((folder / "a.png").read_bytes())[0] == TABLE


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_indices_are_turned_upright(folder, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image_of(INDICES, TABLE).save("in.png", exif=exif)
    turns = {1: 0, 3: 2, 6: 3, 8: 1}[orientation]
    picture = read_image("in.png")
    assert np.array_equal(picture.indexed.indices, np.rot90(INDICES, turns))
    assert np.array_equal(picture.pixels, COLORS[picture.indexed.indices])
    compress("in.png", "a.png", allow_larger=True)
    assert np.array_equal(stored((folder / "a.png").read_bytes())[3], np.rot90(INDICES, turns))


def test_the_table_is_converted_as_the_pixels_are(folder):
    data = hostile.file_of(image_of(INDICES, TABLE), "png")
    gamma = hostile.chunk(b"gAMA", struct.pack(">I", 100_000))
    (folder / "in.png").write_bytes(data[:33] + gamma + data[33:])
    picture = read_image("in.png")
    assert not np.array_equal(picture.indexed.palette, COLORS)
    assert np.array_equal(picture.indexed.palette[picture.indexed.indices], picture.pixels)
    compress("in.png", "a.png", allow_larger=True)
    table, _, _, indices = stored((folder / "a.png").read_bytes())
    assert table == [tuple(color) for color in picture.indexed.palette.tolist()]
    assert np.array_equal(indices, INDICES)


@pytest.mark.parametrize("kind", ["gif", "bmp"])
@pytest.mark.parametrize("n", [2, 16, 256])
def test_a_palette_of_greys_is_a_palette(folder, kind, n):
    table = [(i, i, i) for i in range(n)]
    if n == 2:
        table = [(0, 0, 0), (255, 255, 255)]
    indices = (np.arange(512) % n).astype(np.uint8).reshape(16, 32)
    image_of(indices, table).save(f"in.{kind}")
    found = read_image(f"in.{kind}").indexed
    padding = [[0, 0, 0]] * (2 if (kind, n) == ("gif", 2) else 0)  # Pillow's
    assert found.palette.tolist() == [*map(list, table), *padding]
    assert np.array_equal(found.indices, indices)


def test_grey_and_colour_have_no_palette(folder):
    for pixels in (hostile.photo(), hostile.photo()[..., 0], SPRITE):
        Image.fromarray(pixels).save("in.png")
        assert read_image("in.png").indexed is None
        with pytest.raises(ValueError, match=r"^keep_palette: expected an image with a palette"):
            compress("in.png", "a.png", keep_palette=True)
        with pytest.raises(ValueError, match=r"^keep_palette: expected an image with a palette"):
            quantize(pixels, keep_palette=True)
    Image.fromarray(INDICES > 0).save("in.png")
    assert read_image("in.png").indexed is None


def test_indices_beyond_the_palette_are_no_palette(folder):
    rows = [bytes([0, 1, 2, 200])] * 4
    data = hostile.png(4, 4, 8, 3, rows, hostile.chunk(b"PLTE", bytes(9)))
    (folder / "in.png").write_bytes(data)
    assert read_image("in.png").indexed is None
    compress("in.png", "a.png", allow_larger=True)


def test_a_gif_that_covers_a_part_of_its_canvas(folder):
    inner = hostile.file_of(image_of(INDICES, TABLE), "gif", optimize=False)
    wide = bytearray(inner)
    struct.pack_into("<HH", wide, 6, 70, 50)
    (folder / "in.gif").write_bytes(wide)
    assert read_image("in.gif").indexed is None  # what is not covered has no index
    inner = hostile.file_of(image_of(INDICES, TABLE), "gif", optimize=False, transparency=5)
    wide = bytearray(inner)
    struct.pack_into("<HH", wide, 6, 70, 50)
    (folder / "in.gif").write_bytes(wide)
    found = read_image("in.gif").indexed
    expected = np.full((50, 70), 5, np.uint8)
    expected[:48, :64] = INDICES
    assert np.array_equal(found.indices, expected)
    assert found.palette[5].tolist() == [*TABLE[5], 0]


@st.composite
def indexed_images(draw, alphas):
    """A table, with doubles, and indices of it."""
    value = st.sampled_from([0, 1, 2, 85, 254, 255])
    table = draw(st.lists(st.tuples(value, value, value, alphas), min_size=1, max_size=256))
    width, height = draw(st.integers(1, 9)), draw(st.integers(1, 5))
    numbers = st.integers(0, len(table) - 1)
    size = width * height
    indices = draw(st.lists(numbers, min_size=size, max_size=size))
    return table, np.array(indices, np.uint8).reshape(height, width)


def kept(data, **options):
    """What `compress` makes of the bytes of an indexed file."""
    output = io.BytesIO()
    done = compress(io.BytesIO(data), output, keep_palette=True, **options)
    assert done.indices_kept is True
    return output.getvalue()


@settings(max_examples=150, deadline=None)
@given(indexed_images(st.sampled_from([0, 0, 7, 255, 255])), st.integers(0, 3))
def test_every_indexed_png_keeps_its_table_and_indices(image, optimize):
    table, indices = image
    alpha = bytes(color[3] for color in table)
    data = hostile.file_of(image_of(indices, table), "png", transparency=alpha)
    found, transparency, _, numbers = stored(kept(data, format="png", optimize=optimize))
    assert found == [color[:3] for color in table]
    assert (transparency or b"").ljust(len(table), b"\xff") == alpha
    assert np.array_equal(numbers, indices)


@settings(max_examples=100, deadline=None)
@given(indexed_images(st.just(255)), st.sampled_from(["gif", "bmp", "tiff", "ico"]))
def test_every_opaque_indexed_image_keeps_its_table_and_indices(image, kind):
    table, indices = image
    data = kept(hostile.file_of(image_of(indices, table), "png"), format=kind)
    picture = read_image(io.BytesIO(data[22:] if kind == "ico" else data))
    found, numbers = picture.indexed.palette, picture.indexed.indices
    assert found[: len(table)].tolist() == [list(color[:3]) for color in table[: len(found)]]
    assert not np.array(table)[len(found) :, :3].any()
    assert not found[len(table) :].any()
    assert np.array_equal(numbers, indices)


# Strictly


def test_a_foreign_colour_is_named_with_its_pixel(run, folder):
    pixels = COLORS[INDICES].copy()
    pixels[7, 5] = (1, 2, 3)
    pixels[9, 1] = (4, 5, 6)
    message = r"palette: pixel \(5, 7\) has the colour #010203, which is none of the palette's 16"
    for call in (
        lambda: quantize(pixels, palette=TABLE, strict_palette=True),
        lambda: Palette(TABLE).map(pixels, strict=True),
    ):
        with pytest.raises(ValueError, match=f"^{message}$"):
            call()
    Image.fromarray(pixels).save("foreign.png")
    code, out, err = run(
        "foreign.png", "colors.png", "sprite.png", "--palette", "sprite.hex", "--strict-palette"
    )
    assert (code, len(err), len(out)) == (1, 1, 3)
    assert "pixel (5, 7) has the colour #010203" in err[0]
    assert stored((folder / "colors_compressed.png").read_bytes())[0] == TABLE
    assert not (folder / "foreign_compressed.png").exists()


def test_transparent_pixels_have_no_colour_that_could_be_foreign():
    table = [(200, 30, 60), (0, 0, 0)]
    result = quantize(SPRITE, palette=table, strict_palette=True)
    assert np.array_equal(result.to_array(), SPRITE)
    with pytest.raises(ValueError, match=r"pixel \(30, 20\) has the colour #000000ff"):
        quantize(SPRITE, palette=[(200, 30, 60, 255), (0, 0, 0, 0)], strict_palette=True)
    with pytest.raises(ValueError, match=r"^strict_palette: expected a palette"):
        quantize(SPRITE, strict_palette=True)
    with pytest.raises(ValueError, match=r"^strict_palette: expected a palette"):
        compress("a.png", "b.png", strict_palette=True)


# Palettes from pictures and files


@pytest.mark.parametrize("kind", ["png", "gif", "bmp", "tiff"])
def test_an_indexed_picture_used_as_a_palette_gives_its_table(folder, kind):
    image_of(INDICES[:1, :1], TABLE).save(
        f"in.{kind}", **({"optimize": False} if kind == "gif" else {})
    )
    assert Palette.read(f"in.{kind}").colors.tolist() == COLORS.tolist()
    compress("colors.png", "a.png", palette=Palette.read(f"in.{kind}"))
    assert stored((folder / "a.png").read_bytes())[0] == TABLE


def test_a_picture_of_one_pixel_and_four_entries(run, folder):
    table = [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0)]
    image_of(INDICES[:1, :1], table).save("palette.png")
    code, _, _ = run("clear.png", "--palette", "palette.png", "-o", "a.png")
    assert code == 0
    found, alpha, bits, _ = stored((folder / "a.png").read_bytes())
    assert (found, alpha, bits) == ([*table, (0, 0, 0)], b"\xff" * 4 + b"\0", 4)


def test_a_picture_s_transparency_is_part_of_its_palette(folder):
    image_of(INDICES, TABLE).save("in.png", transparency=b"\xff\x80\0")
    palette = Palette.read("in.png")
    alpha = [255, 128, 0] + [255] * 13
    assert palette.table.tolist() == [[*c, a] for c, a in zip(TABLE, alpha, strict=True)]
    assert palette.colors[2].tolist() == [0, 0, 0, 0]
    palette.write("out.png")
    assert stored((folder / "out.png").read_bytes())[:2] == (TABLE, b"\xff\x80\0")


def test_a_picture_without_a_palette_gives_its_colours(folder):
    assert Palette.read("colors.png").colors.tolist() == [list(TABLE[i]) for i in (0, 3, 7, 15)]


def test_names_come_back(folder):
    names = ["ink", "", "paper größe", *["x"] * 12, "glow"]
    palette = Palette(TABLE, names=names)
    for kind in ("gpl", "json", "aco", "ase"):
        palette.write(f"a.{kind}")
        found = Palette.read(f"a.{kind}")
        assert found.colors.tolist() == palette.colors.tolist()
        written = names if kind == "json" else [n or "#10ef28" for n in names]
        assert list(found.names) == written
    Palette(TABLE).write("b.gpl")
    assert Palette.read("b.gpl").names is None
    assert Palette(palette).names == palette.names
    assert Palette(palette.with_transparent()).names == (*names, "")
    with pytest.raises(ValueError, match=r"^names: expected 16, one for each colour, got 2"):
        Palette(TABLE, names=["a", "b"])
    with pytest.raises(TypeError, match=r"^names: expected str, got int"):
        Palette(TABLE, names=range(16))


def test_double_entries_come_back_from_every_palette_file(folder):
    table = [(0, 0, 0), (9, 9, 9), (0, 0, 0), (9, 9, 9), (1, 2, 3), (0, 0, 0)]
    kinds = ["hex", "json", "css", "gpl", "jasc", "riff", "act", "aco", "ase", "paint.net", "png"]
    for kind in kinds:
        data = io.BytesIO()
        Palette(table).write(data, kind)
        assert Palette.read(data, kind).colors.tolist() == [list(color) for color in table]


# The command


def test_the_command_keeps_a_palette_file(run, folder):
    code, out, _ = run("colors.png", "--palette", "sprite.hex", "-o", "a.png")
    assert code == 0
    assert "4 -> 4 colours" in out[0]
    assert "lossless, " in out[0]
    assert "indices" not in out[0]  # a picture in full colour has none
    table, _, bits, indices = stored((folder / "a.png").read_bytes())
    assert table == TABLE
    assert bits in (4, 8)
    assert np.array_equal(indices, INDICES)


def test_the_line_says_lossless_of_colours_and_of_indices_apart(run):
    image_of(INDICES, TABLE).save("in.png", bits=8)
    _, out, _ = run("in.png", "--allow-larger")
    assert ", lossless, indices kept," in out[0]
    _, out, _ = run("in.png", "--shrink-palette", "-f")
    assert ", lossless, indices changed," in out[0]
    _, out, _ = run("in.png", "-o", "a.webp", "--allow-larger")
    assert ", lossless, indices changed," in out[0]
    _, out, _ = run("in.png", "-k", "2", "-f")
    assert " dB, indices changed," in out[0]
    _, out, _ = run("in.png", "-f", "--json", "--keep-palette")
    assert json.loads(out[0])["indices_kept"] is True


def test_an_original_that_is_kept_could_be_shrunk(run):
    run("sprite.png", "-o", "small.png")
    _, out, _ = run("small.png", "-O", "0")
    assert "kept as it is" in out[0]
    assert "(--allow-larger, --shrink-palette)" in out[0]
    _, out, _ = run("small.png", "--shrink-palette", "-f")
    assert "(--allow-larger)" in out[0] or "indices changed" in out[0]


def test_a_shared_palette_is_the_same_table_in_all_files(run, folder):
    Image.fromarray(hostile.photo()).save("photo.png")
    code, _, _ = run("clear.png", "photo.png", "colors.png", "--shared-palette", "-k", "12")
    assert code == 0
    found = [
        stored((folder / f"{name}_compressed.png").read_bytes())[:2]
        for name in ("clear", "photo", "colors")
    ]
    assert found[0] == found[1] == found[2]
    assert (len(found[0][0]), found[0][1]) == (12, b"\0")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--strict-palette"], "--strict-palette: expected --palette as well"),
        (["--keep-palette", "-k", "4"], "--keep-palette: the inputs have their colours"),
        (["--keep-palette", "--shared-palette"], "--keep-palette: the inputs have their colours"),
        (["--keep-palette", "--shrink-palette"], "not allowed with"),
    ],
)
def test_words_that_contradict_each_other(run, words, message):
    code, out, err = run("colors.png", *words)
    assert (code, out) == (2, [])
    assert message in err[0]


def test_the_command_names_an_input_without_a_palette(run):
    code, _, err = run("colors.png", "sprite.png", "--keep-palette")
    assert code == 1
    assert err == [
        "kmeans-c: colors.png: keep_palette: expected an image with a palette, got one without"
    ]


# Pillow images


@pytest.mark.parametrize("palette", [None, TABLE, [(1, 2, 3, 0), (200, 30, 60, 255)]])
@pytest.mark.parametrize("kind", ["gif", "png", "webp"])
def test_pillow_writes_the_transparent_entry_wherever_it_stands(palette, kind):
    image = quantize(SPRITE, palette=palette).to_pil()
    data = hostile.file_of(image, kind, **({"lossless": True} if kind == "webp" else {}))
    with Image.open(io.BytesIO(data)) as shown:
        alpha = np.asarray(shown.convert("RGBA"))[..., 3]
    assert not alpha[SPRITE[..., 3] == 0].any()


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("#fff,#00000000", [(255, 255, 255, 255), (0, 0, 0, 0)]),
        ("transparent,white", [(0, 0, 0, 0), (255, 255, 255, 255)]),
        ("transparent", [(0, 0, 0, 0)]),
    ],
)
def test_the_command_takes_transparent_colours(folder, text, table):
    image = np.zeros((6, 8, 4), np.uint8)
    image[:, 3:] = (len(table) - 1) * 255
    Image.fromarray(image).save(folder / "ground.png")
    source, target = str(folder / "ground.png"), str(folder / "done.png")
    assert cli.main([source, "-o", target, "--palette", text, "-q", "--allow-larger"]) == 0
    with Image.open(target) as file:
        assert np.array_equal(np.asarray(file.convert("RGBA")), image)
    colors = [color for part in text.split(",") for color in ("--keep", part)]
    assert cli.main([source, "-o", target, "-k", "2", *colors, "-qf", "--allow-larger"]) == 0


@pytest.mark.parametrize("optimize", range(2, 7))
def test_a_small_palette_takes_a_byte_a_pixel_where_that_takes_fewer_bytes(optimize):
    rings = (np.hypot(X - 31, Y - 20) // 3 % 16).astype(np.uint8)
    packed = rings[:, ::2] << 4 | rings[:, 1::2]
    narrow, wide = (
        len(zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows), 9))
        for rows in (packed, rings)
    )
    assert wide < narrow
    data = encode_png(COLORS, rings, optimize, keep_palette=True)
    table, _, bits, indices = stored(data)
    assert (table, bits) == (TABLE, 8)
    assert np.array_equal(indices, rings)
    assert len(data) <= 8 + 25 + 12 + 48 + 12 + wide + 12  # signature, IHDR, PLTE, IDAT, IEND
    # What this program has written is not larger when it is written once more.
    again = io.BytesIO()
    compress(io.BytesIO(data), again, format="png", keep_palette=True, optimize=optimize)
    assert again.getvalue() == data
