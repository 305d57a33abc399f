"""JPEG, WebP, GIF and PPM beside independent readers or the pixels that they were made from.

TIFF, BMP and PNG have matrices of their own.
"""

import io

import numpy as np
import pytest
from PIL import Image

from kmeans_c.images import read_image

y, x = np.mgrid[0:45, 0:61]
SMOOTH = np.stack([x * 4, y * 5, 255 - (x + y) * 2], axis=2).astype(np.uint8)
SMOOTH[10:20, 20:40] = (250, 10, 30)


def read(data):
    return read_image(io.BytesIO(data)).pixels


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def jpegs():
    rgb, grey = Image.fromarray(SMOOTH), Image.fromarray(SMOOTH[:, :, 1])
    for progressive in (False, True):
        for quality in (30, 75, 100):
            how = {"progressive": progressive, "quality": quality}
            for subsampling in (0, 1, 2):
                name = f"4:{subsampling}, {how}"
                yield name, saved(rgb, "jpeg", subsampling=subsampling, **how)
            yield f"grey, {how}", saved(grey, "jpeg", **how)
            yield f"RGB, {how}", saved(rgb, "jpeg", keep_rgb=True, **how)
            yield f"restarts, {how}", saved(rgb, "jpeg", restart_marker_blocks=3, **how)
            yield f"CMYK, {how}", saved(rgb.convert("CMYK"), "jpeg", **how)


@pytest.mark.parametrize("reader", ["cv2", "pyvips"])
def test_jpeg(reader):
    library = pytest.importorskip(reader)
    for name, data in jpegs():
        if reader == "cv2":
            theirs = library.imdecode(np.frombuffer(data, np.uint8), library.IMREAD_COLOR)[
                :, :, ::-1
            ]
        else:
            image = library.Image.new_from_buffer(data, "")
            theirs = image.numpy().astype(float)
            if image.interpretation == "cmyk":
                ink = 255 - theirs
                theirs = np.rint(ink[:, :, :3] * ink[:, :, 3:] / 255)
        ours = read(data)
        if ours.ndim == 2 and reader == "cv2":
            theirs = theirs[:, :, 0]
        # The inverse cosine transform is not defined to the last bit.
        within = 3 if "CMYK" in name and reader == "cv2" else 2
        assert np.abs(theirs.astype(float) - ours).max() <= within, name


def test_jpeg_of_12_bits_is_refused():
    imagecodecs = pytest.importorskip("imagecodecs")
    data = imagecodecs.jpeg8_encode(SMOOTH.astype(np.uint16) * 16, bitspersample=12)
    with pytest.raises(OSError, match=r"^image: ") as error:
        read(data)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("reader", ["cv2", "pyvips"])
@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 40}, {"quality": 90}])
def test_webp(alpha, reader, options):
    library = pytest.importorskip(reader)
    pixels = np.dstack([SMOOTH, (x * 4).astype(np.uint8)]) if alpha else SMOOTH
    data = saved(Image.fromarray(pixels), "webp", **options)
    if reader == "cv2":
        found = library.imdecode(np.frombuffer(data, np.uint8), library.IMREAD_UNCHANGED)
        theirs = found[:, :, [2, 1, 0, 3][: found.shape[2]]].copy()
    else:
        theirs = library.Image.new_from_buffer(data, "").numpy().copy()
    if alpha:
        theirs[theirs[:, :, 3] == 0] = 0
    assert np.array_equal(read(data), theirs)


@pytest.mark.parametrize("interlace", [0, 1])
@pytest.mark.parametrize("colors", [2, 3, 16, 255, 256])
def test_gif(interlace, colors):
    image = Image.fromarray(SMOOTH).quantize(colors)
    data = saved(image, "gif", interlace=interlace)
    assert np.array_equal(read(data), np.asarray(image.convert("RGB")))
    cv2 = pytest.importorskip("cv2")
    theirs = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    assert np.array_equal(read(data), theirs)


@pytest.mark.parametrize("largest", [1, 2, 7, 15, 31, 100, 254, 255, 256, 1000, 4095, 65535])
@pytest.mark.parametrize("kind", [b"P2", b"P3", b"P5", b"P6"])
def test_ppm(largest, kind):
    channels = 3 if kind in (b"P3", b"P6") else 1
    samples = np.random.default_rng(largest).integers(0, largest + 1, (5, 7, channels))
    samples[0, 0], samples[0, 1] = 0, largest
    head = kind + b"\n# a comment\n7 5\n" + str(largest).encode() + b"\n"
    if kind in (b"P2", b"P3"):
        body = " ".join(map(str, samples.ravel().tolist())).encode() + b"\n"
    else:
        body = samples.astype(">u2" if largest > 255 else "u1").tobytes()
    found = read(head + body).reshape(5, 7, channels).astype(float)
    exact = samples * 255 / largest
    assert np.abs(found - exact).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("kind", [b"P1", b"P4"])
@pytest.mark.parametrize("width", [1, 7, 8, 9, 17])
def test_pbm(kind, width):
    ink = np.random.default_rng(width).integers(0, 2, (6, width))
    head = kind + b"\n%d 6\n" % width
    if kind == b"P1":
        body = b"\n".join(b"".join(b"%d" % bit for bit in row) for row in ink.tolist())
    else:
        body = np.packbits(ink.astype(np.uint8), axis=1).tobytes()
    assert np.array_equal(read(head + body), np.where(ink, 0, 255))
