"""BMP: every layout shows the pixels that it was made from; what is written is read by others."""

import io
import struct

import bmp_maker
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kmeans_c import quantize
from kmeans_c.encoding import encode
from kmeans_c.images import read_image

RNG = np.random.default_rng(9)
WIDTHS = (1, 2, 3, 7, 8, 9, 31, 33)
BLACK_WHITE = np.array([[0, 0, 0], [255, 255, 255]], np.uint8)


def shown(data, channels=3):
    """The picture as (H, W, channels)."""
    pixels = read_image(io.BytesIO(data)).pixels
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, np.newaxis], 3, axis=2)
    if channels == 4 and pixels.shape[2] == 3:
        pixels = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    return pixels


def palettes(bits):
    most = 1 << bits
    yield RNG.integers(0, 256, (most, 3), dtype=np.uint8)
    yield BLACK_WHITE
    yield BLACK_WHITE[::-1]
    yield np.array([[3, 200, 9]], np.uint8)
    yield np.repeat(np.arange(min(most, 11), dtype=np.uint8)[:, np.newaxis], 3, axis=1)
    yield np.repeat(np.linspace(0, 255, most).astype(np.uint8)[:, np.newaxis], 3, axis=1)


@pytest.mark.parametrize("header", bmp_maker.HEADERS)
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("top_down", [False, True])
def test_palettes(header, bits, top_down):
    if top_down and header == 12:
        pytest.skip("has no sign")
    for width in WIDTHS:
        for palette in palettes(bits):
            indices = RNG.integers(0, len(palette), (5, width), dtype=np.uint8)
            rows = bmp_maker.packed(indices, bits)
            if header in (12, 16):  # which state no number of colours
                full = np.zeros((1 << bits, 3), np.uint8)
                full[: len(palette)] = palette
                palette = full  # noqa: PLW2901
            data = bmp_maker.bmp(
                rows,
                bits,
                header=header,
                palette=palette,
                top_down=top_down,
                width=width,
                height=5,
                gap=int(RNG.integers(0, 9)) if header not in (12, 16) else 0,
            )
            assert np.array_equal(shown(data), palette[indices])


def test_short_palette_and_indices_beyond_it():
    indices = np.array([[0, 1, 2, 3, 200]], np.uint8)
    palette = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    for n_colors in (2, 0):  # 0: 256, of which the pixels leave two
        data = bmp_maker.bmp(
            bmp_maker.packed(indices, 8), 8, palette=palette, width=5, height=1, n_colors=n_colors
        )
        expected = [[[1, 2, 3], [4, 5, 6], [0, 0, 0], [0, 0, 0], [0, 0, 0]]]
        assert shown(data).tolist() == expected
    for colors, lit in ((BLACK_WHITE, 255), (np.arange(2).repeat(3).reshape(2, 3), 1)):
        data = bmp_maker.bmp(bmp_maker.packed(indices, 8), 8, palette=colors, width=5, height=1)
        assert shown(data)[0, :, 0].tolist() == [0, lit, 0, 0, 0]


MASKS = [
    (16, None),
    (16, (0x7C00, 0x3E0, 0x1F)),
    (16, (0xF800, 0x7E0, 0x1F)),
    (16, (0xF00, 0xF0, 0xF, 0xF000)),
    (16, (0x7C00, 0x3E0, 0x1F, 0x8000)),
    (16, (0xE000, 0x1C00, 0x300)),
    (24, None),
    (24, (0xFF, 0xFF00, 0xFF0000)),
    (32, None),
    (32, (0xFF0000, 0xFF00, 0xFF)),
    (32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
    (32, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)),
    (32, (0xFF000000, 0xFF0000, 0xFF00, 0xFF)),
    (32, (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000)),
    (32, (0xFFFF0000, 0xFFFF, 0, 0)),
    (32, (0xFFF, 0xFFF000, 0x3F000000, 0xC0000000)),
]


@pytest.mark.parametrize(("bits", "masks"), MASKS)
@pytest.mark.parametrize("header", [40, 52, 56, 108, 124])
def test_masks(bits, masks, header):
    if masks is not None and len(masks) == 4 and header < 56:
        header, compression = 40, 6
    else:
        compression = 0 if masks is None else 3
    if masks is not None and len(masks) == 3 and header >= 56:
        masks = (*masks, 0)
    used = masks or {16: (0x7C00, 0x3E0, 0x1F)}.get(bits, (0xFF0000, 0xFF00, 0xFF))
    largest = [mask >> (mask & -mask).bit_length() - 1 if mask else 0 for mask in used]
    for width in (1, 3, 8):
        fields = np.stack([RNG.integers(0, n + 1, (4, width)) for n in largest], axis=2)
        fields[0, 0] = largest
        data = bmp_maker.bmp(
            bmp_maker.words(fields, used, bits // 8),
            bits,
            header=header,
            masks=masks,
            compression=compression,
            width=width,
            height=4,
        )
        expected = np.zeros((4, width, 4), np.uint8)
        expected[:, :, 3] = 255
        for channel, n in enumerate(largest):
            if n:
                values = [
                    [(2 * v * 255 + n) // (2 * n) for v in row]
                    for row in fields[:, :, channel].tolist()
                ]
                expected[:, :, channel] = values
        expected[expected[:, :, 3] == 0] = 0
        assert np.array_equal(shown(data, 4), expected)


def test_unused_byte_and_hidden_alpha_show_the_picture():
    fields = RNG.integers(0, 256, (3, 4, 4))
    rows = bmp_maker.words(fields, (0xFF0000, 0xFF00, 0xFF, 0xFF000000), 4)
    assert np.array_equal(shown(bmp_maker.bmp(rows, 32, width=4, height=3)), fields[:, :, :3])
    fields[:, :, 3] = 0
    for masks in ((0xFF0000, 0xFF00, 0xFF, 0xFF000000), (0, 0, 0, 0)):
        rows = bmp_maker.words(fields, (0xFF0000, 0xFF00, 0xFF, 0xFF000000), 4)
        data = bmp_maker.bmp(rows, 32, header=124, masks=masks, compression=3, width=4, height=3)
        assert np.array_equal(shown(data), fields[:, :, :3])


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 40), st.integers(1, 6), st.sampled_from([4, 8]), st.integers(0, 10**6))
def test_run_lengths(width, height, bits, seed):
    rng = np.random.default_rng(seed)
    indices = rng.integers(0, 1 << bits, (height, width), dtype=np.uint8)
    indices[rng.random((height, width)) < 0.5] = 0
    indices[rng.random(height) < 0.4] = 0
    indices = np.repeat(indices, int(rng.integers(1, 4)), axis=1)
    palette = rng.integers(0, 256, (1 << bits, 3), dtype=np.uint8)
    data = bmp_maker.bmp(
        bmp_maker.run_lengths(indices, bits, rng),
        bits,
        palette=palette,
        compression=1 if bits == 8 else 2,
        width=indices.shape[1],
        height=height,
    )
    assert np.array_equal(shown(data), palette[indices])


def test_embedded_profile_is_found():
    data = bytearray(bmp_maker.bmp([b"\1\2\3"], 24, header=124, width=1, height=1))
    struct.pack_into("<I", data, 14 + 56, 0x4D424544)
    struct.pack_into("<II", data, 14 + 112, len(data) - 14, 7)
    with_profile = bytes(data) + b"profile"
    assert read_image(io.BytesIO(with_profile)).pixels.tolist() == [[[3, 2, 1]]]
    from kmeans_c.images.decoders import opened

    assert opened(io.BytesIO(with_profile)).info["icc_profile"] == b"profile"
    assert "icc_profile" not in opened(io.BytesIO(bytes(data))).info


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({18: 0}, "0 x 1 pixels"),
        ({22: 0}, "1 x 0 pixels"),
        ({22: -(1 << 31)}, "pixels"),
        ({14: 41}, "header of 41 bytes"),
        ({30: 4}, "compression JPEG"),
        ({30: 1}, "24 bits a pixel of compression 1"),
        ({10: 20}, "within the header"),
    ],
)
def test_refusals(changes, reason):
    data = bytearray(bmp_maker.bmp([b"\1\2\3"], 24, width=1, height=1))
    for at, value in changes.items():
        struct.pack_into("<i", data, at, value)
    with pytest.raises(OSError, match=reason) as error:
        read_image(io.BytesIO(bytes(data)))
    assert "\n" not in str(error.value)


def test_every_cut_is_refused():
    palette = RNG.integers(0, 256, (16, 3), dtype=np.uint8)
    indices = RNG.integers(1, 16, (3, 5), dtype=np.uint8)
    plain = bmp_maker.bmp(bmp_maker.packed(indices, 4), 4, palette=palette, width=5, height=3)
    runs = bmp_maker.run_lengths(indices, 4, RNG)
    coded = bmp_maker.bmp(runs, 4, palette=palette, compression=2, width=5, height=3)
    for data, unneeded in ((plain, 1), (coded, 4)):  # padding; end of row, end of picture
        for length in range(2, len(data) - unneeded):
            with pytest.raises(OSError, match="image"):
                read_image(io.BytesIO(data[:length]))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 15, 16, 17, 255, 256])
@pytest.mark.parametrize("width", [1, 5, 8, 33])
def test_written_files(n, width):
    palette = RNG.integers(0, 256, (n, 3), dtype=np.uint8)
    indices = np.arange(n * width, dtype=np.uint32).reshape(n, width).astype(np.uint64) % n
    indices = indices.astype(np.uint8)
    data = encode(palette, indices, "bmp")
    bits = struct.unpack_from("<H", data, 28)[0]
    assert bits == (1 if n <= 2 else 4 if n <= 16 else 8)
    assert struct.unpack_from("<I", data, 2)[0] == len(data)
    assert np.array_equal(shown(data), palette[indices])
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(np.asarray(image.convert("RGB")), palette[indices])
    cv2 = pytest.importorskip("cv2")
    assert np.array_equal(
        cv2.imdecode(np.frombuffer(data, np.uint8), 1)[:, :, ::-1], palette[indices]
    )


@pytest.mark.parametrize("order", [1, -1])
def test_black_and_white(order, tmp_path):
    indices = (np.indices((9, 13)).sum(axis=0) // 3 % 2).astype(np.uint8)
    picture = BLACK_WHITE[::order][indices]
    written = quantize(picture, 2)
    written.save(tmp_path / "a.bmp")
    assert np.array_equal(shown((tmp_path / "a.bmp").read_bytes()), picture)
    with Image.open(tmp_path / "a.bmp") as image:
        assert np.array_equal(np.asarray(image.convert("RGB")), picture)
    eight = bmp_maker.bmp(
        bmp_maker.packed(indices, 8), 8, palette=BLACK_WHITE[::order], width=13, height=9
    )
    assert np.array_equal(shown(eight), picture)
