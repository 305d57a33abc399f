"""PNG: every kind of pixels, depth, interlacing and transparent colour shows what it was made from.

The files are written here, row by row, from the format's description.
"""

import io
import itertools
import struct
import zlib

import numpy as np
import pytest

from kmeans_c.images import read_image
from kmeans_c.images.frames import read_frames

GREY, RGB, INDEXED, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, INDEXED: 1, GREY_ALPHA: 2, RGBA: 4}
DEPTHS = {
    GREY: (1, 2, 4, 8, 16),
    RGB: (8, 16),
    INDEXED: (1, 2, 4, 8),
    GREY_ALPHA: (8, 16),
    RGBA: (8, 16),
}
# Adam7: first column and row, steps.
PASSES = [
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
]


def chunk(name, contents):
    return (
        struct.pack(">I", len(contents))
        + name
        + contents
        + struct.pack(">I", zlib.crc32(name + contents))
    )


def packed(row, depth):
    text = "".join(format(value, f"0{depth}b") for value in row)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def filtered(rows, unit, rng):
    """Filter each row in one of the five ways, by chance."""
    out, above = b"", bytes(len(rows[0]))
    for row in rows:
        way = int(rng.integers(5))
        line = bytearray()
        for i, value in enumerate(row):
            a = row[i - unit] if i >= unit else 0
            b, c = above[i], above[i - unit] if i >= unit else 0
            paeth = min((a, b, c), key=lambda n, p=a + b - c: abs(p - n))
            line.append((value - (0, a, b, (a + b) // 2, paeth)[way]) & 255)
        out += bytes((way,)) + bytes(line)
        above = row
    return out


def png(samples, kind, depth, rng, *, interlaced=False, palette=None, key=None):
    height, width, _ = samples.shape
    unit = max(1, CHANNELS[kind] * depth // 8)
    data = b""
    for left, top, across, down in PASSES if interlaced else [(0, 0, 1, 1)]:
        part = samples[top::down, left::across]
        if part.size:
            rows = [packed(row, depth) for row in part.reshape(len(part), -1).tolist()]
            data += filtered(rows, unit, rng)
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, int(interlaced))
    parts = [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header)]
    if palette is not None:
        parts.append(chunk(b"PLTE", palette.tobytes()))
    if key is not None:
        parts.append(chunk(b"tRNS", key))
    packed_data = zlib.compress(data)
    half = len(packed_data) // 2
    parts += [chunk(b"IDAT", packed_data[:half]), chunk(b"IDAT", packed_data[half:])]
    return b"".join([*parts, chunk(b"IEND", b"")])


def shown(samples, kind, depth, palette, key):
    white = (1 << depth) - 1
    alpha = np.full(samples.shape[:2], 255)
    if kind == INDEXED:
        colors = palette[samples[:, :, 0]]
        if key is not None:
            table = np.frombuffer(key.ljust(len(palette), b"\xff"), np.uint8)
            alpha = table[samples[:, :, 0]]
    else:
        n = 1 if kind in (GREY, GREY_ALPHA) else 3
        colors = samples[:, :, :n]
        if depth == 16 and kind != GREY:
            eight = samples >> 8
        else:
            eight = (2 * samples * 255 + white) // (2 * white)
        if kind in (GREY_ALPHA, RGBA):
            alpha = eight[:, :, n]
        elif key is not None:
            wanted = np.frombuffer(key, ">u2")
            alpha = np.where(np.all(samples == wanted, axis=2), 0, 255)
        colors = np.broadcast_to(eight[:, :, :n], (*samples.shape[:2], 3))
    result = np.dstack([colors, alpha]).astype(np.uint8)
    result[result[:, :, 3] == 0] = 0
    return result


def cases():
    for kind, depths in DEPTHS.items():
        for depth, interlaced, keyed in itertools.product(depths, (False, True), (False, True)):
            if not keyed or kind in (GREY, RGB, INDEXED):
                yield kind, depth, interlaced, keyed


@pytest.mark.parametrize(("kind", "depth", "interlaced", "keyed"), list(cases()))
def test_picture(kind, depth, interlaced, keyed):
    rng = np.random.default_rng(depth)
    for height, width in ((1, 1), (3, 2), (7, 9), (17, 33)):
        samples = rng.integers(0, 1 << depth, (height, width, CHANNELS[kind]))
        palette = key = None
        if kind == INDEXED:
            palette = rng.integers(0, 256, (1 << depth, 3), dtype=np.uint8)
        if keyed and kind == INDEXED:
            key = rng.integers(0, 256, int(rng.integers(1, len(palette) + 1)), np.uint8).tobytes()
        elif keyed:
            key = samples[0, 0].astype(">u2").tobytes()
            if depth == 16:  # the same high byte
                samples[-1] = samples[0, 0] ^ 1
                samples[0, 0] = np.frombuffer(key, ">u2")
        data = png(samples, kind, depth, rng, interlaced=interlaced, palette=palette, key=key)
        expected = shown(samples, kind, depth, palette, key)
        found = read_image(io.BytesIO(data)).pixels
        with read_frames(io.BytesIO(data)) as animation:
            (frame,) = animation
        assert np.array_equal(frame.pixels, expected)
        if found.ndim == 2:
            found = np.repeat(found[:, :, np.newaxis], 3, axis=2)
        assert np.array_equal(found, expected[:, :, : found.shape[2]])
        assert found.shape[2] == 4 or np.all(expected[:, :, 3] == 255)
