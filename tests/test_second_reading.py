"""A PNG whose output is called lossless was read alike by two decoders."""

import dataclasses
import io
import struct
import zlib

import hostile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kmeans_c import compress, images, proof
from kmeans_c.images import read_image

KINDS = [
    *((0, bits, False) for bits in (1, 2, 4, 8)),
    *((3, bits, alpha) for bits in (1, 2, 4, 8) for alpha in (False, True)),
    (2, 8, False),
    (4, 8, True),
    (6, 8, True),
]


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(kind, bits, alpha, *, entries=None, seed=0, size=(19, 23), extra=b"", interlaced=0):
    """A PNG of few colours, its rows with all filters, and what it shows, (H, W, 4)."""
    rng = np.random.default_rng(seed)
    height, width = size
    n = 1 << min(bits, 4)
    entries = n if entries is None else entries
    table = rng.integers(0, 256, (16, 4), dtype=np.uint8)
    table[:, 3] = np.where(rng.random(16) < 0.5, table[:, 3], 255) if alpha else 255
    table[0, 3] = 0 if alpha else 255
    numbers = rng.integers(0, n, size, dtype=np.uint8)
    between = b""
    if kind == 3:
        between = chunk(b"PLTE", table[:entries, :3].tobytes())
        between += chunk(b"tRNS", table[:entries, 3].tobytes()) if alpha else b""
        table[entries:] = (0, 0, 0, 255)
        samples = numbers[:, :, np.newaxis]
    elif kind == 0:
        levels = np.arange(1 << bits)[:16] if bits < 8 else rng.integers(0, 256, 16)
        table[: len(levels), :3] = (levels * 255 // ((1 << bits) - 1))[:, np.newaxis]
        samples = levels[numbers].astype(np.uint8)[:, :, np.newaxis]
    else:
        if kind == 4:
            table[:, 1:3] = table[:, :1]
        samples = table[numbers][:, :, {2: [0, 1, 2], 4: [0, 3], 6: [0, 1, 2, 3]}[kind]]
    rows = samples.reshape(height, -1)
    if bits < 8:
        places = np.unpackbits(rows[:, :, np.newaxis], axis=2)[:, :, 8 - bits :]
        rows = np.packbits(places.reshape(height, -1), axis=1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, interlaced)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + between
    data += chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    return data, table[numbers]


def entries_of(shown):
    colors, indices = np.unique(shown.reshape(-1, 4), axis=0, return_inverse=True)
    return colors, indices.reshape(shown.shape[:2]).astype(np.uint8)


@pytest.mark.parametrize(("kind", "bits", "alpha"), KINDS)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999))
def test_right_pictures_and_others(kind, bits, alpha, seed):
    data, shown = png(kind, bits, alpha, seed=seed)
    palette, indices = entries_of(shown)
    assert not proof.reads_otherwise(data, palette, indices)
    other = shown.copy()
    y, x = seed % 19, seed % 23
    other[y, x] = other[y, x] ^ [1, 0, 0, 0] if other[y, x, 3] else (1, 1, 1, 255)
    assert proof.reads_otherwise(data, *entries_of(other))
    assert proof.reads_otherwise(data, palette, indices[:-1])
    assert not proof.reads_otherwise(data[: len(data) // 2], palette, indices)
    assert not proof.reads_otherwise(data + b"more", palette, indices)


@pytest.mark.parametrize(("kind", "bits", "alpha"), KINDS)
def test_lossless_files_are_read_twice(monkeypatch, kind, bits, alpha):
    data = png(kind, bits, alpha)[0]
    options = {"format": "png", "K": 256, "allow_larger": True}
    assert compress(io.BytesIO(data), io.BytesIO(), **options).mse == 0
    real = images._decode

    def wrong(*arguments, **others):
        picture = real(*arguments, **others)
        pixels = picture.pixels.copy()
        pixels[-1, -1] ^= 255
        if pixels.shape[2:] == (4,):
            pixels[-1, -1, 3] = 255
        return dataclasses.replace(picture, pixels=pixels, indexed=None)

    monkeypatch.setattr(images, "_decode", wrong)
    file = io.BytesIO()
    with pytest.raises(OSError, match=r"^input: two PNG decoders read different pictures"):
        compress(io.BytesIO(data), file, **options)
    assert file.getvalue() == b""


def test_entries_that_are_missing_are_black():
    data, shown = png(3, 4, alpha=False, entries=9)
    assert not proof.reads_otherwise(data, *entries_of(shown))
    assert np.array_equal(read_image(io.BytesIO(data)).pixels, shown[:, :, :3])


EXTRA = {
    "gamma": chunk(b"gAMA", struct.pack(">I", 100_000)),
    "chromaticities": chunk(b"cHRM", struct.pack(">8I", *range(30000, 38000, 1000))),
    "coding": chunk(b"cICP", bytes([9, 16, 0, 1])),
    "profile": chunk(b"iCCP", b"p\0\0" + zlib.compress(hostile.srgb_profile())),
    "EXIF": chunk(b"eXIf", b"II*\0\x08\0\0\0\0\0\0\0\0\0"),
    "XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x/>"),
    "EXIF in a text": chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"")),
}


@pytest.mark.parametrize("name", EXTRA)
def test_files_that_say_more_of_their_colours_are_not_compared(name):
    data, shown = png(2, 8, alpha=False, extra=EXTRA[name])
    assert not proof.reads_otherwise(data, *entries_of(shown ^ np.uint8(1)))


def test_srgb_says_nothing_new():
    srgb = chunk(b"sRGB", b"\0") + chunk(b"gAMA", struct.pack(">I", 45455))
    data, shown = png(2, 8, alpha=False, extra=srgb)
    palette, indices = entries_of(shown)
    assert not proof.reads_otherwise(data, palette, indices)
    assert proof.reads_otherwise(data, palette ^ np.uint8([1, 0, 0, 0]), indices)


@pytest.mark.parametrize("mode", ["interlaced", "transparent colour", "16 bits", "JPEG"])
def test_what_the_second_decoder_does_not_read_is_left_to_the_first(mode):
    pixels = np.asarray(Image.fromarray(hostile.photo()).quantize(9).convert("RGB"))
    data = hostile.file_of(pixels, "png")
    if mode == "interlaced":
        data = png(2, 8, alpha=False, interlaced=1)[0]
    elif mode == "transparent colour":
        data = hostile.file_of(pixels, "png", transparency=tuple(pixels[0, 0].tolist()))
    elif mode == "16 bits":
        data = hostile.file_of(Image.fromarray(np.full((9, 9), 514, np.uint16)), "png")
    else:
        data = hostile.file_of(Image.new("L", (8, 8)), "jpeg")
    assert not proof.reads_otherwise(data, np.uint8([[1, 2, 3]]), np.zeros((9, 9), np.uint8))


@pytest.mark.parametrize(("kind", "bits", "alpha"), KINDS)
def test_of_full_colour_the_first_rows(monkeypatch, kind, bits, alpha):
    monkeypatch.setattr(proof, "MAX_SAMPLES", 100)
    monkeypatch.setattr(proof, "BYTES_PER_CHUNK", 200)
    data, shown = png(kind, bits, alpha)
    palette, indices = entries_of(shown)
    assert not proof.reads_otherwise(data, palette, indices)
    assert proof.reads_otherwise(data, palette, np.vstack([indices[:1] ^ 1, indices[1:]]))
    full = kind != 3 and bits == 8
    last = np.vstack([indices[:-1], indices[-1:] ^ 1])
    last = np.minimum(last, len(palette) - 1)
    assert proof.reads_otherwise(data, palette, last) != full
    assert proof.shows(data, palette, last) is False
