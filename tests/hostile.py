"""Files that are good, damaged, dishonest or something else altogether, all made here."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

EXTENSIONS = {
    "png": ".png",
    "jpeg": ".jpg",
    "gif": ".gif",
    "webp": ".webp",
    "bmp": ".bmp",
    "tiff": ".tif",
    "ppm": ".ppm",
}


def photo(height=40, width=60, seed=1):
    """An image that no encoder finds easy: a ramp with noise, (H, W, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    ramp = np.stack([x * 4, y * 6, 255 - x - y], axis=-1)
    return np.clip(ramp + rng.normal(0, 12, ramp.shape), 0, 255).astype(np.uint8)


def file_of(image, kind, **options):
    """The bytes of an image file."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def good_files():
    """One valid file of each format that can be read."""
    return {kind: file_of(photo(), kind) for kind in EXTENSIONS}


def chunk(name, contents):
    crc = zlib.crc32(name + contents)
    return struct.pack(">I", len(contents)) + name + contents + struct.pack(">I", crc)


def png(width, height, depth, color_type, rows, *chunks):
    """A PNG written by hand: `rows` are the packed bytes of each row, without filter bytes."""
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    raw = b"".join(b"\0" + row for row in rows)
    parts = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(raw))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def png_chunks(data):
    """The chunks of a PNG as (name, contents), their checksums verified."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, found = 8, []
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        name, contents = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length) == (zlib.crc32(name + contents),)
        found.append((name, contents))
        at += 12 + length
    return found


def tiff(width, height, bits, strip):
    """A grey TIFF written by hand, with any number of bits a sample."""
    tags = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, len(strip)),
    ]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    return b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip + directory


def bombs():
    """Small files that claim to be enormous images."""
    jpeg = bytearray(file_of(photo(), "jpeg"))
    frame = jpeg.index(b"\xff\xc0")
    struct.pack_into(">HH", jpeg, frame + 5, 65500, 65500)
    gif = bytearray(file_of(photo(), "gif"))
    struct.pack_into("<HH", gif, 6, 65535, 65535)
    bmp = bytearray(file_of(photo(), "bmp"))
    struct.pack_into("<ii", bmp, 18, 100_000, 100_000)
    webp = bytearray(file_of(photo(), "webp", lossless=True))
    (size,) = struct.unpack_from("<I", webp, 21)
    struct.pack_into("<I", webp, 21, size & 0xF0000000 | 16382 << 14 | 16382)
    return {
        "png": png(65535, 65535, 1, 0, [b"\0"]),
        "png of 151 megapixels": png(12300, 12300, 8, 2, [b"\0"]),
        "png of 2**31 - 1": png(2**31 - 1, 2**31 - 1, 8, 6, [b"\0"]),
        "jpeg": bytes(jpeg),
        "gif": bytes(gif),
        "bmp": bytes(bmp),
        "webp": bytes(webp),
        "tiff": tiff(2**31 - 1, 2**31 - 1, 8, b"\0" * 64),
        "ppm": b"P5 1000000 1000000 255 " + b"\0" * 64,
    }


def not_images():
    """What else is found under the names of images."""
    return {
        "nothing": b"",
        "one byte": b"\x89",
        "text": b"not an image at all\n" * 9,
        "html": b"<!DOCTYPE html><title>404 Not Found</title>",
        "zip": b"PK\x05\x06" + b"\0" * 18,
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n",
        "pdf": b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        "fits": b"SIMPLE  =                    T" + b" " * 50 + b"END" + b" " * 2797,
        "zeros": b"\0" * 4096,
        "psd": b"8BPS\0\1" + b"\0" * 60,
        "riff of something else": b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 28,
        "png signature alone": b"\x89PNG\r\n\x1a\n",
        "jpeg start and end": b"\xff\xd8\xff\xd9",
        "gif header alone": b"GIF89a",
        "pfm": b"Pf\n2 2\n-1.0\n" + b"\0" * 16,
    }


def grey_profile(gamma):
    """An ICC profile for grey pixels with a plain power as its curve."""
    curve = b"curv" + struct.pack(">IIH", 0, 1, round(gamma * 256)) + b"\0\0"
    white = b"XYZ " + struct.pack(">Iiii", 0, 63190, 65536, 54061)
    table_end = 128 + 4 + 2 * 12
    tags = struct.pack(">I", 2)
    tags += b"wtpt" + struct.pack(">II", table_end, len(white))
    tags += b"kTRC" + struct.pack(">II", table_end + len(white), len(curve))
    body = tags + white + curve
    header = bytearray(128)
    struct.pack_into(">I", header, 0, 128 + len(body))
    header[8:12] = b"\x02\x10\0\0"
    header[12:24] = b"mntrGRAYXYZ "
    header[36:40] = b"acsp"
    struct.pack_into(">iii", header, 68, 63190, 65536, 54061)
    return bytes(header) + body


def cmyk_profile():
    """An ICC profile for CMYK: a table of two points a channel, with a green for full cyan."""
    white, black = (255, 128, 128), (0, 128, 128)
    inks = [(160, 60, 160), (120, 200, 120), (220, 120, 220), (30, 128, 128)]
    grid = b""
    for number in range(16):
        used = [ink for bit, ink in zip((8, 4, 2, 1), inks, strict=True) if number & bit]
        color = (
            white
            if not used
            else tuple(sum(channel) // len(used) for channel in zip(*used, strict=True))
        )
        grid += bytes(color if len(used) < 4 else black)
    ramp = bytes(range(256))
    identity = b"".join(struct.pack(">i", 65536 * (k in (0, 4, 8))) for k in range(9))
    table = b"mft1" + bytes([0, 0, 0, 0, 4, 3, 2, 0]) + identity + ramp * 4 + grid + ramp * 3
    table += bytes(-len(table) % 4)
    header = bytearray(128)
    struct.pack_into(">I", header, 0, 128 + 16 + len(table))
    header[8:12] = b"\x02\x10\0\0"
    header[12:24] = b"prtrCMYKLab "
    header[36:40] = b"acsp"
    struct.pack_into(">iii", header, 68, 63190, 65536, 54061)
    return bytes(header) + struct.pack(">I4sII", 1, b"A2B0", 144, len(table)) + table


def swapped_profile():
    """SRGB's own ICC profile, but with the names of its red and blue primaries exchanged."""
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")


def srgb_profile():
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
