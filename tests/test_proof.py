"""The proof of a written file: what shows the picture passes, and any wrong file is refused."""

import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kmeans_c import png, proof
from kmeans_c.encoding import encode
from kmeans_c.proof import can_prove, shows

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def image(n_colors, *, shape=(23, 37), alpha=False, seed=0):
    """A palette of distinct colours, and indices that use all of them and repeat."""
    rng = np.random.default_rng(seed)
    colors = rng.choice(1 << 24, n_colors, replace=False).astype("<u4").view(np.uint8)
    palette = colors.reshape(-1, 4)[:, : 4 if alpha else 3].copy()
    if alpha:
        palette[:, 3] = rng.integers(0, 256, n_colors)
        palette[0] = 0
    indices = np.repeat(rng.integers(0, n_colors, (shape[0], -(-shape[1] // 3))), 3, axis=1)
    indices = np.ascontiguousarray(indices[:, : shape[1]], dtype=np.uint8)
    flat = indices.reshape(-1)
    flat[:n_colors] = np.arange(min(n_colors, flat.size))
    return palette, indices


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def predicted(kind, a, b, c):
    if kind == 4:
        distances = (abs(b - c), abs(a - c), abs(a + b - 2 * c))
        return (a, b, c)[distances.index(min(distances))]
    return (0, a, b, (a + b) // 2)[kind]


def reference_png(palette, indices, bits, filters, **changes):
    """An indexed PNG, written bit by bit in Python: row y has the filter ``filters[y % n]``."""
    height, width = indices.shape
    above = bytes((width * bits + 7) // 8)
    raw = bytearray()
    for y, row in enumerate(indices.tolist()):
        digits = "".join(f"{index:0{bits}b}" for index in row)
        digits += "0" * (-len(digits) % 8)
        line = bytes(int(digits[i : i + 8], 2) for i in range(0, len(digits), 8))
        kind = filters[y % len(filters)]
        raw.append(kind)
        for x, value in enumerate(line):
            a, c = (line[x - 1], above[x - 1]) if x else (0, 0)
            raw.append((value - predicted(kind, a, above[x], c)) % 256)
        above = line
    header = {"width": width, "height": height, "depth": bits, "color": 3, "interlaced": 0}
    header |= {name: value for name, value in changes.items() if name in header}
    packed = zlib.compress(bytes(raw) + changes.get("extra", b""))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", *list(header.values())[:4], 0, 0, header["interlaced"])),
        (b"PLTE", palette[:, :3].tobytes()),
    ]
    if palette.shape[1] == 4:
        chunks.append((b"tRNS", palette[:, 3].tobytes()))
    chunks += changes.get("before", [])
    chunks += [(b"IDAT", packed[i : i + 100]) for i in range(0, len(packed), 100)]
    chunks += [*changes.get("after", []), (b"IEND", b"")]
    return SIGNATURE + b"".join(chunk(*pair) for pair in chunks)


def by_pillow(data):
    with Image.open(io.BytesIO(data)) as opened:
        return np.array(opened.convert("RGBA"))


@pytest.mark.parametrize("filters", [[0], [1], [2], [3], [4], [4, 3, 2, 1, 0]])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("width", [1, 7, 8, 37])
def test_every_filter_and_depth(bits, filters, width):
    palette, indices = image(min(1 << bits, 23 * width), shape=(23, width))
    data = reference_png(palette, indices, bits, filters)
    assert np.array_equal(by_pillow(data)[:, :, :3], palette[indices])
    assert shows(data, palette, indices)
    wrong = indices.copy()
    wrong[-1, -1] ^= 1
    if len(palette) > 1:
        assert not shows(data, palette, wrong)


def test_rows_of_several_chunks():
    palette, indices = image(200, shape=(1000, 1000))
    data = reference_png(palette, indices, 8, [4, 1, 3])
    assert shows(data, palette, indices)
    indices[-1, -1] ^= 1
    assert not shows(data, palette, indices)


@pytest.mark.parametrize("kind", ["png", "ico", "bmp"])
@pytest.mark.parametrize("n_colors", [1, 2, 3, 4, 5, 16, 17, 255, 256])
def test_what_the_encoders_write(kind, n_colors):
    for alpha in (False, True) if kind != "bmp" else (False,):
        palette, indices = image(n_colors, alpha=alpha)
        data = encode(palette, indices, kind)
        assert can_prove(data)
        assert shows(data, palette, indices)
        assert not shows(data, palette, indices[::-1]) or n_colors == 1
        wrong = palette.copy()
        wrong[-1, 1] ^= 1
        assert not shows(data, wrong, indices) or not palette[-1, 3:].all()


@pytest.mark.parametrize("form", png._TRIED)
def test_every_form_of_png(form):
    for n_colors in (2, 4, 16, 200):
        palette, indices = image(n_colors, shape=(61, 83))
        ordered, ranks = png._orders(palette, indices, {form.order})[form.order]
        for optimize in (0, 2, 4):
            data = png._file(ordered, png._renamed(indices, ranks), form, optimize)
            assert shows(data, palette, indices)


def test_orders_matter_only_if_asked_for():
    palette, indices = image(5)
    order = np.array([3, 1, 4, 0, 2])
    moved = reference_png(palette[order], np.argsort(order)[indices], 4, [0])
    assert shows(moved, palette, indices)
    assert not shows(moved, palette, indices, in_order=True)
    same = reference_png(palette, indices, 4, [0])
    assert shows(same, palette, indices, in_order=True)
    unused = np.vstack([palette, [[1, 2, 3]]]).astype(np.uint8)
    assert shows(same, unused, indices)
    assert not shows(same, unused, indices, in_order=True)
    assert shows(reference_png(unused, indices, 4, [0]), unused, indices, in_order=True)
    doubled = np.vstack([palette, palette[:1]])
    second = np.where(indices == 0, len(palette), indices).astype(np.uint8)
    assert shows(reference_png(doubled, second, 4, [0]), doubled, indices)
    assert not shows(reference_png(doubled, second, 4, [0]), doubled, indices, in_order=True)


def test_an_index_without_an_entry_shows_nothing():
    palette, indices = image(5)
    data = reference_png(palette[:4], indices, 4, [0])
    assert not shows(data, palette, indices)
    assert not shows(data, palette[:4], indices)


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 36},
        {"height": 24},
        {"height": (1 << 31) - 1},
        {"depth": 8},
        {"depth": 3},
        {"color": 2},
        {"color": 0},
        {"color": 1},
        {"interlaced": 1},
        {"extra": b"\0"},
        {"extra": bytes(1 << 20)},
        {"before": [(b"PLTE", bytes(3))]},
        {"before": [(b"tRNS", bytes(6))]},
        {"before": [(b"tRNS", b"\xff\0")]},
        {"before": [(b"NEWS", b"")]},
        {"before": [(b"IDAT", zlib.compress(b"other rows"))]},
        {"after": [(b"IDAT", b"more")]},
        {"after": [(b"tEXt", b"a\0b"), (b"IDAT", b"")]},
        {"after": [(b"PLTE", bytes(15))]},
        {"after": [(b"IHDR", bytes(13))]},
        {"after": [(b"IEND", b"")]},
    ],
)
def test_a_wrong_structure_is_refused(changes):
    palette, indices = image(5)
    assert shows(reference_png(palette, indices, 4, [0]), palette, indices)
    assert not shows(reference_png(palette, indices, 4, [0], **changes), palette, indices)


def test_chunks_that_hold_no_pixels_do_not_matter():
    palette, indices = image(5)
    texts = [(b"tEXt", b"Title\0a"), (b"pHYs", bytes(9))]
    data = reference_png(palette, indices, 4, [0], before=texts, after=texts)
    assert shows(data, palette, indices)


def test_what_is_missing_or_left_over_is_refused():
    palette, indices = image(5)
    for kind in ("png", "ico", "bmp"):
        data = encode(palette, indices, kind)
        assert not shows(data + b"\0", palette, indices)
        for end in range(len(data)):
            assert not shows(data[:end], palette, indices)


def with_right_checksums(data):
    """The same PNG with the checksums that its chunks should have; None if they don't fit."""
    parts, at = [SIGNATURE], len(SIGNATURE)
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        if at + size + 12 > len(data):
            return None
        parts.append(chunk(data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += size + 12
    return b"".join(parts)


@pytest.mark.parametrize("alpha", [False, True])
def test_any_changed_byte_is_refused_or_changes_nothing(alpha):
    palette, indices = image(11, shape=(9, 14), alpha=alpha)
    expected = np.where(palette[:, 3:] == 0, 0, palette)[indices] if alpha else palette[indices]
    for data in (encode(palette, indices, "png"), reference_png(palette, indices, 4, [4, 3, 1])):
        for position in range(len(SIGNATURE), len(data)):
            for bit in range(8):
                changed = bytearray(data)
                changed[position] ^= 1 << bit
                assert not shows(bytes(changed), palette, indices)  # the checksum
                repaired = with_right_checksums(bytes(changed))
                if repaired is None or not shows(repaired, palette, indices):
                    continue
                found = by_pillow(repaired)
                found[found[:, :, 3] == 0] = 0
                assert np.array_equal(found[:, :, : palette.shape[1]], expected)


def test_any_changed_byte_of_a_bmp_is_refused_or_changes_nothing():
    palette, indices = image(11, shape=(9, 14))
    data = encode(palette, indices, "bmp")
    for position in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            if shows(bytes(changed), palette, indices):
                found = by_pillow(bytes(changed))
                # A negative height is the same picture from the top.
                assert np.array_equal(found[:, :, :3], palette[indices])


@given(st.binary(max_size=300), st.sampled_from([b"", SIGNATURE, b"BM", b"\0\0\1\0"]))
def test_any_bytes_are_refused(data, start):
    palette, indices = image(5)
    assert not shows(start + data, palette, indices)


def test_a_small_file_that_unpacks_to_much_costs_no_memory():
    palette, indices = image(5)
    data = reference_png(palette, indices, 4, [0], extra=bytes(1 << 26))
    tracemalloc.start()
    assert not shows(data, palette, indices)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_the_proof_uses_no_code_of_the_readers():
    source = Path(proof.__file__).read_text("utf-8")
    imports = [line for line in source.splitlines() if line.lstrip().startswith(("from", "import"))]
    assert [line for line in imports if "kmeans_c" in line] == ["from kmeans_c import _kernels"]
    assert not [line for line in imports if "PIL" in line]
