"""TIFF: every layout shows the picture that it was made from, or is refused with the reason."""

import io
import itertools
import struct

import numpy as np
import pytest
import tiff_maker as maker
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from kmeans_c._kernels.unpack import unpack_lzw, unpack_packbits
from kmeans_c.images import read_image
from kmeans_c.images.frames import read_frames

BYTE_CODECS = (maker.NONE, maker.LZW, maker.DEFLATE, maker.OLD_DEFLATE, maker.PACKBITS)
BITS = (1, 2, 3, 4, 5, 7, 8, 10, 12, 14, 15, 16)
EXTRAS = ((), (0,), (1,), (2,), (0, 2), (2, 0), (0, 0, 1))
SHAPES = ({"rows": 19}, {"rows": 4}, {"rows": 1}, {"tile": (16, 16)}, {"tile": (32, 16)})


def seen(data):
    """The picture that is read, as (H, W, 4)."""
    pixels = read_image(io.BytesIO(data)).pixels
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, np.newaxis], 3, axis=2)
    if pixels.shape[2] == 3:
        pixels = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    return pixels


def picture(rng, bits, n, height=19, width=23):
    """Samples of smooth parts, flat parts and noise, which reach both ends."""
    y, x = np.mgrid[:height, :width]
    white = (1 << bits) - 1
    planes = [(x * (c + 1) + y * 3) * white // (width * (c + 1) + height * 3) for c in range(n)]
    samples = np.stack(planes, axis=2).astype(np.uint32)
    samples[:5] = rng.integers(0, white + 1, (5, width, n))
    samples[5:8] = white
    samples[8:10] = 0
    return samples


def cases():
    """Yield (samples, bits, photometric, options): all pairs, and more by chance."""
    rng = np.random.default_rng(1)
    photometrics = (maker.WHITE_IS_ZERO, maker.BLACK_IS_ZERO, maker.RGB, maker.PALETTE)
    every = list(itertools.product((1, 2), BITS, photometrics, BYTE_CODECS, "<>"))
    for planar, bits, photometric, compression, order in every:
        extra = EXTRAS[rng.integers(len(EXTRAS))] if rng.integers(2) else ()
        if photometric not in (1, 2):
            extra = tuple(meaning * 2 if meaning == 1 else meaning for meaning in extra)
        how = {
            "planar": planar,
            "compression": compression,
            "order": order,
            "extra": extra,
            "fill_order": int(rng.integers(0, 3)),
            "orientation": int(rng.integers(0, 9)),
            "big": bool(rng.integers(2)),
            **SHAPES[rng.integers(len(SHAPES))],
        }
        if bits in (8, 16) and compression not in (maker.NONE, maker.PACKBITS):
            how["predictor"] = int(rng.integers(0, 3))
        if photometric == maker.PALETTE:
            top = 256 if rng.integers(2) else 65536
            how["colormap"] = rng.integers(0, top, 3 << bits).tolist()
        samples = picture(rng, bits, maker.COLORS[photometric] + len(extra))
        yield samples, bits, photometric, {k: v for k, v in how.items() if v}


def described(case):
    samples, bits, photometric, how = case
    brief = {k: v for k, v in how.items() if k != "colormap"}
    return f"{samples.shape[2]} x {bits} bits, photometric {photometric}, {brief}"


def test_every_layout_shows_its_picture():
    n = 0
    for case in cases():
        samples, bits, photometric, how = case
        found = seen(maker.tiff(samples, bits, photometric, **how))
        expected = maker.shown(samples, bits, photometric, **how)
        assert np.array_equal(found, expected), described(case)
        n += 1
    assert n == 2 * len(BITS) * 4 * len(BYTE_CODECS) * 2


def test_the_files_are_what_they_should_be():
    """Another reader finds the samples in the files: the maker is right."""
    tifffile = pytest.importorskip("tifffile")
    pytest.importorskip("imagecodecs")
    n = 0
    for case in cases():
        samples, bits, photometric, how = case
        if bits not in (1, 2, 4, 8, 12, 16) or how.get("fill_order") == 2:
            continue
        if how["compression"] == maker.PACKBITS and bits == 12:
            continue
        data = maker.tiff(samples, bits, photometric, **how)
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            found = file.pages[0].asarray()
        found = found.reshape(samples.shape if how.get("planar") != 2 else (-1, 19, 23))
        found = np.moveaxis(found, 0, 2) if how.get("planar") == 2 else found
        assert np.array_equal(found, samples), described(case)
        n += 1
    assert n > 250


def with_alpha_planes():
    rng = np.random.default_rng(2)
    for photometric, n in ((maker.CMYK, 4), (maker.CIELAB, 3)):
        for planar, bits, extra in itertools.product((1, 2), (8, 16), ((), (0,), (2,))):
            yield picture(rng, bits, n + len(extra)), bits, photometric, planar, extra


def test_cmyk_and_lab_are_those_of_plain_files():
    """As Pillow converts an image that was given it sample by sample."""
    from PIL import ImageCms

    for samples, bits, photometric, planar, extra in with_alpha_planes():
        for orientation in (1, 6):
            how = {"planar": planar, "extra": extra, "compression": 8, "orientation": orientation}
            found = seen(maker.tiff(samples, bits, photometric, **how))
            white = (1 << bits) - 1
            eight = (samples >> (bits - 8)).astype(np.uint8)
            if photometric == maker.CMYK:
                c, m, y, k = (255 - eight[:, :, i].astype(np.int64) for i in range(4))
                colors = np.stack([c * k, m * k, y * k], axis=2) / 255
                within = 1
            else:
                lab = eight[:, :, :3].copy()
                if bits == 16:
                    light = (2 * samples[:, :, 0].astype(np.int64) * 255 + white) // (2 * white)
                    lab[:, :, 0] = light.astype(np.uint8)
                    signed = samples[:, :, 1:3].astype(np.uint16).view(np.int16).astype(np.int64)
                    lab[:, :, 1:] = np.minimum((signed + 128) // 256, 127).astype(np.uint8)
                image = Image.frombytes("LAB", (23, 19), lab.tobytes())
                to_rgb = ImageCms.buildTransform(
                    ImageCms.createProfile("LAB"),
                    ImageCms.createProfile("sRGB"),
                    "LAB",
                    "RGB",
                    ImageCms.Intent.RELATIVE_COLORIMETRIC,
                    flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
                )
                colors = np.asarray(ImageCms.applyTransform(image, to_rgb)).astype(float)
                within = 0
            expected = np.dstack([colors, np.full((19, 23), 255)])
            if extra == (2,):
                expected[:, :, 3] = eight[:, :, -1]
                expected[eight[:, :, -1] == 0] = 0
            expected = maker.turned(expected, orientation)
            assert found.shape == expected.shape
            assert np.abs(found - expected).max() <= within


@pytest.mark.parametrize("tile", [None, (16, 16), (48, 32)])
@pytest.mark.parametrize("photometric", [1, 2, 5, 6])
@pytest.mark.parametrize("planar", [1, 2])
def test_jpeg(tile, photometric, planar):
    more = {530: (3, [1, 1])} if photometric == maker.YCBCR and planar == 2 else {}
    n = maker.COLORS[photometric]
    y, x = np.mgrid[:40, :52]
    samples = np.stack([x * 3 + y, y * 4 + x, 200 - x, 60 + x + y][:n], axis=2).astype(np.uint8)
    how = {"tile": tile} if tile else {"rows": 16}
    data = maker.tiff(
        samples, 8, photometric, compression=maker.JPEG, planar=planar, more=more, **how
    )
    found = seen(data)[:, :, :3].astype(float)
    if photometric == maker.YCBCR:
        light, cb, cr = (samples[:, :, c].astype(float) for c in range(3))
        cb, cr = cb - 128, cr - 128
        rgb = [light + 1.402 * cr, light - 0.344136 * cb - 0.714136 * cr, light + 1.772 * cb]
        expected = np.clip(np.stack(rgb, axis=2), 0, 255)
    elif photometric == maker.CMYK:
        ink = 255 - samples.astype(float)
        expected = ink[:, :, :3] * ink[:, :, 3:] / 255
    else:
        expected = np.broadcast_to(samples, (40, 52, 3)).astype(float)
    assert np.abs(found - expected).max() <= 5
    assert np.abs(found - expected).mean() < 1


def test_jpeg_says_nothing_of_colour():
    """Adobe's and JFIF's markers of a stream contradict the TIFF, which counts."""
    rgb = np.zeros((16, 16, 3), np.uint8)
    rgb[:, :, 0] = 200
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "jpeg", quality=100, subsampling=0)
    stored = file.getvalue()  # YCbCr, with JFIF
    data = maker.tiff(rgb, 8, maker.RGB, compression=1)
    tags, _, _ = maker.page(rgb, 8, maker.RGB)
    for photometric, expected in ((6, (200, 0, 0)), (2, (60, 94, 228))):
        own = tags | {259: (3, [7]), 262: (3, [photometric])}
        data = maker.join([(own, [stored], False)])
        assert np.abs(seen(data)[3, 3, :3].astype(int) - expected).max() <= 2


def test_jpeg_tables_are_shared():
    rng = np.random.default_rng(3)
    grey = np.repeat(np.repeat(rng.integers(0, 256, (4, 4, 1)), 8, axis=0), 8, axis=1)
    tags, strips, _ = maker.page(grey, 8, 1, compression=7, rows=8)
    whole = maker.join([(tags, strips, False)])
    tables, bare = b"", []
    for strip in strips:
        at, own = 2, b""
        parts = b""
        while strip[at + 1] != 0xDA:
            length = struct.unpack_from(">H", strip, at + 2)[0] + 2
            if strip[at + 1] in (0xDB, 0xC4):
                parts += strip[at : at + length]
            else:
                own += strip[at : at + length]
            at += length
        tables = b"\xff\xd8" + parts + b"\xff\xd9"
        bare.append(b"\xff\xd8" + own + strip[at:])
    shared = maker.join([(tags | {347: (7, list(tables))}, bare, False)])
    assert np.array_equal(seen(shared), seen(whole))


def test_old_lzw():
    """Before TIFF 6.0 the lowest bit came first, and codes grew one later: libtiff agrees."""
    rng = np.random.default_rng(14)
    samples = np.minimum(picture(rng, 8, 3, 90, 120), rng.integers(0, 256, (90, 120, 1)))
    data = maker.tiff(samples, 8, 2, compression=5, packer=lambda raw: maker.lzw(raw, old=True))
    assert np.array_equal(seen(data)[:, :, :3], samples)
    pyvips = pytest.importorskip("pyvips")
    assert np.array_equal(pyvips.Image.new_from_buffer(data, "").numpy(), samples)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=3000), st.integers(1, 9), st.integers(0, 4000))
def test_lzw_and_packbits(raw, repeats, room):
    raw *= repeats
    for old in (False, True):
        out = np.zeros(room, np.uint8)
        n = unpack_lzw(maker.lzw(raw, old=old), out, old)
        assert n == min(room, len(raw))
        assert out[:n].tobytes() == raw[:n]
        assert -1 <= unpack_lzw(raw, out, old) <= room
    out = np.zeros(room, np.uint8)
    n = unpack_packbits(maker.packbits(raw), out)
    assert n == min(room, len(raw))
    assert out[:n].tobytes() == raw[:n]
    assert unpack_packbits(raw, out) <= room


def test_old_jpeg():
    """Of old-style JPEG the stream of the whole image is read, where there is one."""
    rgb = np.zeros((24, 40, 3), np.uint8)
    rgb[:, :, 0], rgb[:, :, 2] = np.arange(40) * 5, 90
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "jpeg", quality=95)
    tags, _, _ = maker.page(rgb, 8, 6)
    tags |= {259: (3, [6])}
    size = len(stream.getvalue())
    whole = tags | {513: (4, [8]), 514: (4, [size])}
    data = maker.join([(whole, [stream.getvalue()], False)])
    assert np.array_equal(seen(data)[:, :, :3], read_image(io.BytesIO(stream.getvalue())).pixels)
    for own in (tags, tags | {519: (4, [8, 8, 8])}):
        with pytest.raises(OSError, match="old-style JPEG"):
            read_image(io.BytesIO(maker.join([(own, [stream.getvalue()], False)])))
    short = tags | {513: (4, [8]), 514: (4, [size // 2])}
    with pytest.raises(OSError, match="image"):
        read_image(io.BytesIO(maker.join([(short, [stream.getvalue()], False)])))


@pytest.mark.parametrize("n", [3, 4])
@pytest.mark.parametrize("how", [{"rows": 8}, {"tile": (16, 16)}])
def test_webp(n, how):
    samples = picture(np.random.default_rng(4), 8, n)
    extra = (2,) if n == 4 else ()
    data = maker.tiff(samples, 8, maker.RGB, compression=maker.WEBP, extra=extra, **how)
    assert np.array_equal(seen(data), maker.shown(samples, 8, maker.RGB, extra=extra))


@pytest.mark.parametrize("compression", ["tiff_ccitt", "group3", "group4"])
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("fill_order", [1, 2])
def test_fax(compression, photometric, fill_order):
    """Codes that Pillow's libtiff has written, in files of our own."""
    ink = np.random.default_rng(5).random((40, 61)) < 0.3
    ink[10:20, 5:50] = True
    file = io.BytesIO()
    Image.fromarray(~ink).save(file, "tiff", compression=compression)
    with Image.open(io.BytesIO(file.getvalue())) as image:
        at, n = image.tag_v2[273][0], image.tag_v2[279][0]
        stored = image.tag_v2[262]
        options = {tag: (4, [image.tag_v2[tag]]) for tag in (292, 293) if tag in image.tag_v2}
    code = file.getvalue()[at : at + n]
    if fill_order == 2:
        code = bytes(int(f"{byte:08b}"[::-1], 2) for byte in code)
    number = {"tiff_ccitt": 2, "group3": 3, "group4": 4}[compression]
    tags, _, _ = maker.page(ink[:, :, np.newaxis].astype(np.uint8), 1, photometric)
    tags |= options | {259: (3, [number]), 266: (3, [fill_order])}
    data = maker.join([(tags, [code], False)])
    expected = np.where(ink, 0, 255) if photometric == stored else np.where(ink, 255, 0)
    assert np.array_equal(seen(data)[:, :, 0], expected)


def test_zstd_and_lzma():
    imagecodecs = pytest.importorskip("imagecodecs")
    samples = picture(np.random.default_rng(6), 16, 3)
    for compression, packer in ((50000, imagecodecs.zstd_encode), (34925, None)):
        how = {"packer": packer} if packer else {}
        for planar, predictor in itertools.product((1, 2), (1, 2)):
            data = maker.tiff(
                samples, 16, 2, compression=compression, planar=planar, predictor=predictor, **how
            )
            try:
                found = seen(data)
            except OSError as error:
                assert "decoder error" in str(error)  # noqa: PT017 - a libtiff without this codec
                continue
            assert np.array_equal(found, maker.shown(samples, 16, 2))


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 1), (2, 2), (4, 2), (4, 4), (1, 2)])
@pytest.mark.parametrize("compression", [1, 5, 8])
@pytest.mark.parametrize("how", [{"rows": 8}, {"rows": 40}, {"tile": (16, 16)}])
def test_ycbcr(subsampling, compression, how):
    rng = np.random.default_rng(7)
    samples = np.repeat(np.repeat(rng.integers(16, 240, (6, 7, 3)), 4, axis=0), 4, axis=1)[:21, :27]
    samples[:, :, 0] = rng.integers(0, 256, (21, 27))
    data = maker.tiff(
        samples, 8, maker.YCBCR, compression=compression, subsampling=subsampling, **how
    )
    light, cb, cr = (samples[:, :, c].astype(float) for c in range(3))
    cb, cr = cb - 128, cr - 128
    rgb = [
        light + 1.402 * cr,
        light - (0.114 * 1.772 * cb + 0.299 * 1.402 * cr) / 0.587,
        light + 1.772 * cb,
    ]
    expected = np.clip(np.stack(rgb, axis=2), 0, 255)
    # A code of 127 steps for 127 colours, as libtiff has it, is that of JFIF.
    assert np.abs(seen(data)[:, :, :3] - expected).max() <= 0.5 + 1e-9


def test_studio_range_of_ycbcr():
    samples = np.array([[[16, 128, 128], [235, 128, 128], [126, 128, 128]]])
    reference = {532: (5, [(16, 1), (235, 1), (128, 1), (240, 1), (128, 1), (240, 1)])}
    data = maker.tiff(samples, 8, 6, subsampling=(1, 1), more=reference)
    assert seen(data)[0, :, 0].tolist() == [0, 255, 128]


def test_colour_maps_of_8_and_16_bits():
    samples = np.arange(16).reshape(2, 8, 1)
    table = np.random.default_rng(8).integers(0, 256, (3, 16))
    for scale in (1, 256, 257):
        colormap = (table * scale).ravel().tolist()
        data = maker.tiff(samples, 4, 3, colormap=colormap)
        assert np.array_equal(seen(data)[:, :, :3], table.T[samples[:, :, 0]])
    short = maker.tiff(samples, 4, 3, colormap=(table[:, :9] * 257).ravel().tolist())
    assert seen(short)[1, :, :3].tolist() == [*table.T[8:9].tolist(), *[[0, 0, 0]] * 7]


REFUSED = [
    ({"sample_format": 2}, "signed integers"),
    ({"sample_format": 3}, "floating-point"),
    ({"sample_format": 6}, "complex"),
    ({"predictor": 2}, "prediction with 8 bits and compression 1"),
    ({"predictor": 3, "compression": 8}, "floating-point"),
    ({"compression": 34887, "packer": bytes}, "LERC"),
    ({"compression": 33003, "packer": bytes}, "JPEG 2000"),
    ({"compression": 12345, "packer": bytes}, "compression 12345"),
    ({"photometric": 32803}, "raw data"),
    ({"photometric": 4}, "transparency mask"),
    ({"photometric": 77}, "PhotometricInterpretation 77"),
    ({"photometric": 2}, "1 samples a pixel, and 3 channels"),
    ({"photometric": 3}, "colour map is missing"),
    ({"more": {258: (3, [8, 4]), 277: (3, [2])}}, "different sizes"),
    ({"more": {258: (3, [32])}}, "got 32 bits"),
    ({"more": {277: (3, [2])}, "extra": ()}, "ExtraSamples"),
    ({"more": {256: (4, [0])}}, "0 x"),
    ({"more": {257: (4, [2**31])}}, "limit"),
    ({"more": {278: (4, [1])}}, "strips or tiles"),
]


@pytest.mark.parametrize(("how", "reason"), REFUSED)
@pytest.mark.parametrize("planar", [1, 2])
def test_refusals(how, reason, planar, capfd):
    how = dict(how)
    samples = picture(np.random.default_rng(9), 8, 1)
    data = maker.tiff(samples, 8, how.pop("photometric", 1), planar=planar, **how)
    with pytest.raises(OSError, match=reason) as error:
        read_image(io.BytesIO(data))
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("bits", [24, 32, 64])
def test_wide_integers_are_refused(bits):
    data = maker.tiff(np.ones((3, 4, 1), np.uint64), 16, 1, more={258: (3, [bits])})
    with pytest.raises(OSError, match=f"got {bits} bits"):
        read_image(io.BytesIO(data))


@pytest.mark.parametrize("compression", [*BYTE_CODECS, maker.JPEG])
@pytest.mark.parametrize("planar", [1, 2])
def test_cut_files_are_refused(compression, planar, capfd):
    samples = picture(np.random.default_rng(10), 8, 3)
    tags, segments, tiled = maker.page(
        samples, 8, 2, compression=compression, planar=planar, rows=8
    )
    for number in range(len(segments)):
        for cut in (0, 1, len(segments[number]) // 2):
            short = list(segments)
            short[number] = short[number][:cut]
            data = maker.join([(tags, short, tiled)])
            with pytest.raises(OSError, match=r"^image: "):
                read_image(io.BytesIO(data))
    data = maker.join([(tags, segments, tiled)])
    for length in range(8, len(data), 41):
        try:
            read_image(io.BytesIO(data[:length]))
        except OSError as error:
            assert "\n" not in str(error)  # noqa: PT017 - either is right
    assert capfd.readouterr() == ("", "")


def test_any_byte_may_be_wrong(capfd):
    rng = np.random.default_rng(11)
    samples = picture(rng, 8, 3)
    for how in ({"compression": 5}, {"tile": (16, 16), "planar": 2}, {"compression": 32773}):
        good = maker.tiff(samples, 8, 2, **how)
        for _ in range(150):
            data = bytearray(good)
            for _ in range(3):
                at = int(rng.integers(len(data) - 200, len(data)))
                data[at] = rng.integers(256)
            try:
                read_image(io.BytesIO(bytes(data)), max_pixels=1 << 20)
            except OSError as error:
                assert "\n" not in str(error)  # noqa: PT017 - either is right
    assert capfd.readouterr() == ("", "")


def test_pages_take_the_same_way():
    rng = np.random.default_rng(12)
    kinds = [
        (16, 2, {"planar": 2}),
        (8, 1, {"planar": 2, "extra": (2,), "compression": 8}),
        (5, 0, {}),
        (8, 3, {"colormap": rng.integers(0, 256, 768).tolist()}),
        (8, 5, {"planar": 2}),
        (12, 2, {"tile": (16, 16)}),
    ]
    pages, expected = [], []
    for bits, photometric, how in kinds:
        samples = picture(rng, bits, maker.COLORS[photometric] + len(how.get("extra", ())))
        pages.append(maker.page(samples, bits, photometric, **how))
        expected.append(seen(maker.join([pages[-1]])))
        if photometric != maker.CMYK:
            assert np.array_equal(expected[-1], maker.shown(samples, bits, photometric, **how))
    data = maker.join(pages)
    assert read_image(io.BytesIO(data)).frames == len(kinds)
    with read_frames(io.BytesIO(data)) as animation:
        assert len(animation) == len(kinds)
        for _ in range(2):
            for frame, page in zip(animation, expected, strict=True):
                assert np.array_equal(frame.pixels, page)


def test_padding_is_bounded():
    """A tile of gigabytes in a file of a few bytes is not decoded."""
    tags, segments, _ = maker.page(picture(np.random.default_rng(13), 8, 1), 8, 1)
    tags = {k: v for k, v in tags.items() if k != 278}
    tags |= {322: (4, [1 << 20]), 323: (4, [1 << 20]), 259: (3, [8])}
    with pytest.raises(OSError, match="much larger than the image"):
        read_image(io.BytesIO(maker.join([(tags, segments, True)])))


def test_libtiff_has_the_codecs():
    assert features.check("libtiff")
