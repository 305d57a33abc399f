"""TIFF files of every layout, made from the samples that they hold.

Written from TIFF 6.0 and its supplements; nothing of the package is used. What a file shows is
computed from the samples here too (`shown`), so that no decoder is needed to say what is right.
"""

import io
import lzma
import struct
import zlib

import numpy as np
from PIL import Image

NONE, LZW, JPEG, DEFLATE, OLD_DEFLATE, PACKBITS, LZMA, WEBP = 1, 5, 7, 8, 32946, 32773, 34925, 50001
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, CIELAB, ICCLAB = 0, 1, 2, 3, 5, 6, 8, 9
COLORS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3, 9: 3}


def tiff(samples, bits, photometric, **how):
    """Write a page, or with `pages` several.

    Parameters
    ----------
    samples : (H, W, n) array of unsigned integers
    how : compression, planar, order ("<" or ">"), tile (width, height), rows (of a strip), extra
        (tuple), predictor, fill_order, orientation, colormap (3 n numbers), big, sample_format,
        more (dict of tag: (type, values)), subsampling
    """
    return join([page(samples, bits, photometric, **how)], how.get("order", "<"), how.get("big"))


def page(samples, bits, photometric, **how):
    """Give the tags and the strips or tiles of a page."""
    height, width, n = samples.shape
    planar, tile = how.get("planar", 1), how.get("tile")
    rows = how.get("rows", height)
    planes = [samples] if planar == 1 else [samples[:, :, c : c + 1] for c in range(n)]
    segments = []
    for plane in planes:
        segments += [segment(part, bits, photometric, how) for part in pieces(plane, tile, rows)]
    tags = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [bits] * n),
        259: (3, [how.get("compression", NONE)]),
        262: (3, [photometric]),
        277: (3, [n]),
        284: (3, [planar]),
    }
    if tile:
        tags |= {322: (3, [tile[0]]), 323: (3, [tile[1]])}
    else:
        tags[278] = (4, [rows])
    optional = {
        266: ("fill_order", 3),
        274: ("orientation", 3),
        317: ("predictor", 3),
        320: ("colormap", 3),
        338: ("extra", 3),
        339: ("sample_format", 3),
        530: ("subsampling", 3),
    }
    for tag, (name, kind) in optional.items():
        if how.get(name):
            values = how[name]
            tags[tag] = (kind, list(values) if isinstance(values, list | tuple) else [values])
    return tags | how.get("more", {}), segments, bool(tile)


def pieces(plane, tile, rows):
    """Cut strips or tiles; tiles at the edges are filled up with the last pixels."""
    height, width = plane.shape[:2]
    if not tile:
        return [plane[top : top + rows] for top in range(0, height, rows)]
    padding = ((0, -height % tile[1]), (0, -width % tile[0]), (0, 0))
    padded = np.pad(plane, padding, mode="edge")
    return [
        padded[top : top + tile[1], left : left + tile[0]]
        for top in range(0, height, tile[1])
        for left in range(0, width, tile[0])
    ]


def segment(part, bits, photometric, how):
    """Store one strip or tile."""
    compression = how.get("compression", NONE)
    if compression == JPEG:
        return jpeg(part, photometric, **how.get("jpeg", {}))
    if compression == WEBP:
        file = io.BytesIO()
        Image.fromarray(part.astype(np.uint8)).save(file, "webp", lossless=True, exact=True)
        return file.getvalue()
    if how.get("predictor") == 2:
        part = part.astype(np.int64)
        part = np.diff(part, axis=1, prepend=np.zeros_like(part[:, :1])) % (1 << bits)
    raw = subsampled(part, how["subsampling"]) if how.get("subsampling") else None
    raw = packed(part, bits, how.get("order", "<")) if raw is None else raw
    packers = {
        NONE: bytes,
        LZW: lzw,
        DEFLATE: zlib.compress,
        OLD_DEFLATE: zlib.compress,
        PACKBITS: packbits,
        LZMA: lzma.compress,
    }
    data = how.get("packer", packers.get(compression))(raw)
    if how.get("fill_order") == 2:
        data = bytes(int(f"{byte:08b}"[::-1], 2) for byte in data)
    return data


def packed(part, bits, order):
    """Put the samples of each row one after the other, the highest bit first."""
    rows = part.reshape(len(part), -1)
    if bits in (8, 16, 32):
        return rows.astype(f"{order}u{bits // 8}").tobytes()
    data = b""
    for row in rows.tolist():
        text = "".join(format(value, f"0{bits}b") for value in row)
        text += "0" * (-len(text) % 8)
        data += int(text, 2).to_bytes(len(text) // 8, "big")
    return data


def subsampled(part, factors):
    """Store the Y of h * v pixels, then the Cb and Cr of their first."""
    h, v = factors
    part = np.pad(part, ((0, -len(part) % v), (0, -part.shape[1] % h), (0, 0)), mode="edge")
    data = bytearray()
    for top in range(0, len(part), v):
        for left in range(0, part.shape[1], h):
            unit = part[top : top + v, left : left + h].astype(np.uint8)
            data += unit[:, :, 0].tobytes() + unit[0, 0, 1:].tobytes()
    return bytes(data)


def lzw(raw, *, old=False):
    """Compress with LZW as TIFF has it: the highest bit first, codes grow one early.

    `old`: as before TIFF 6.0, the lowest bit first, and codes grow when they must.
    """
    early = 0 if old else 1
    out = [(256, 9)]
    table, width, following = {bytes((n,)): n for n in range(256)}, 9, 258
    word = b""
    for byte in raw:
        longer = word + bytes((byte,))
        if longer in table:
            word = longer
            continue
        out.append((table[word], width))
        # The decoder is one entry behind.
        if following == (1 << width) - early and width < 12:
            width += 1
        table[longer] = following
        following += 1
        if following == 4094:
            out.append((256, width))
            table, width, following = {bytes((n,)): n for n in range(256)}, 9, 258
        word = longer[-1:]
    if word:
        out.append((table[word], width))
        if following == (1 << width) - early and width < 12:
            width += 1
    out.append((257, width))
    texts = [format(code, f"0{n}b") for code, n in out]
    text = "".join(part[::-1] for part in texts) if old else "".join(texts)
    text += "0" * (-len(text) % 8)
    if old:
        return bytes(int(text[at : at + 8][::-1], 2) for at in range(0, len(text), 8))
    return int(text, 2).to_bytes(len(text) // 8, "big")


def packbits(raw):
    """Compress with PackBits: runs of three and more, the rest as it is."""
    out, at = bytearray(), 0
    while at < len(raw):
        n = 1
        while n < 128 and raw[at : at + n + 1] == raw[at : at + 1] * (n + 1):
            n += 1
        if n > 2:
            out += bytes((257 - n, raw[at]))
        else:
            n = min(128, len(raw) - at)
            for stop in range(at + 1, at + n - 1):
                if raw[stop : stop + 3] == raw[stop : stop + 1] * 3:
                    n = stop - at
                    break
            out += bytes((n - 1,)) + raw[at : at + n]
        at += n
    return bytes(out)


def jpeg(part, photometric, **options):
    """Store a strip or tile as a JPEG stream without a word of its colours."""
    file = io.BytesIO()
    array = np.ascontiguousarray(part.astype(np.uint8))
    if array.shape[2] == 1:
        image = Image.fromarray(array[:, :, 0])
    elif array.shape[2] == 4:
        # Pillow stores CMYK inverted.
        image = Image.frombytes("CMYK", array.shape[1::-1], (255 - array).tobytes())
    else:
        image = Image.frombytes(
            "YCbCr" if photometric == YCBCR else "RGB", array.shape[1::-1], array
        )
    if photometric == RGB and array.shape[2] == 3:
        options = {"keep_rgb": True, **options}
    image.save(file, "jpeg", **{"quality": 100, "subsampling": 0, **options})
    data = file.getvalue()
    at, kept = 2, data[:2]
    while data[at + 1] != 0xDA:
        length = struct.unpack_from(">H", data, at + 2)[0] + 2
        if not 0xE0 <= data[at + 1] <= 0xEF:
            kept += data[at : at + length]
        at += length
    return kept + data[at:]


def join(pages, order="<", big=False):
    """Write a file of pages, each (tags, strips or tiles, whether they are tiles)."""
    offset, count = ("Q", "Q") if big else ("I", "H")
    mark = b"II" if order == "<" else b"MM"
    head = struct.pack(order + "HHHQ", 43, 8, 0, 0) if big else struct.pack(order + "HI", 42, 0)
    data = bytearray(mark + head)
    link = len(data) - struct.calcsize(offset)
    sizes = {1: "B", 2: "B", 3: "H", 4: "I", 5: "II", 7: "B", 12: "d", 16: "Q"}
    for tags, segments, tiled in pages:
        offsets = []
        for part in segments:
            data += bytes(len(data) % 2)
            offsets.append(len(data))
            data += part
        data += bytes(len(data) % 2)
        own = dict(tags)
        own[324 if tiled else 273] = (16 if big else 4, offsets)
        own.setdefault(325 if tiled else 279, (4, [len(part) for part in segments]))
        raw, inline = {}, struct.calcsize(offset)
        for tag, (kind, values) in own.items():
            flat = [
                n for value in values for n in (value if isinstance(value, tuple) else (value,))
            ]
            coded = struct.pack(order + str(len(flat)) + sizes[kind][0], *flat)
            if len(coded) > inline:
                raw[tag] = struct.pack(order + offset, len(data))
                data += coded + bytes(len(coded) % 2)
            else:
                raw[tag] = coded.ljust(inline, b"\0")
        struct.pack_into(order + offset, data, link, len(data))
        data += struct.pack(order + count, len(own))
        for tag in sorted(own):
            kind, values = own[tag]
            data += struct.pack(order + "HH" + offset, tag, kind, len(values)) + raw[tag]
        link = len(data)
        data += bytes(inline)
    return bytes(data)


def shown(samples, bits, photometric, *, extra=(), colormap=None, orientation=1, **_how):
    """Compute the picture: (H, W, 4) of 8 bits, transparent black where alpha is 0.

    Not for CMYK and L*a*b*, whose way to RGB is the business of colour management.
    """
    height, width, n = samples.shape
    n_colors = COLORS[photometric]
    white = (1 << bits) - 1
    values = samples.astype(object)  # Python's integers
    alpha = np.full((height, width), white, object)
    associated = False
    meanings = extra or ((2,) if photometric == RGB and n == 4 else ())
    for number, meaning in enumerate(meanings):
        if meaning in (1, 2):
            alpha, associated = values[:, :, n_colors + number], meaning == 1
            break
    if photometric == PALETTE:
        table = np.array(colormap, object).reshape(3, -1).T
        wide = max(colormap) > 255
        colors = table[samples[:, :, 0].astype(np.int64)] // (256 if wide else 1)
    else:
        colors = values[:, :, :n_colors]
        if photometric == WHITE_IS_ZERO:
            colors = white - colors
        below = np.maximum(alpha, 1)[:, :, np.newaxis] if associated else white
        if bits == 16 and not associated and (n_colors > 1 or any(m in (1, 2) for m in meanings)):
            colors //= 256
        else:
            colors = np.minimum((2 * colors * 255 + below) // (2 * below), 255)
    result = np.zeros((height, width, 4), np.uint8)
    result[:, :, :3] = colors.astype(np.uint8)
    alpha = alpha // 256 if bits == 16 else (2 * alpha * 255 + white) // (2 * white)
    result[:, :, 3] = alpha.astype(np.uint8)
    result[result[:, :, 3] == 0] = 0
    return turned(result, orientation)


def turned(pixels, orientation):
    """Turn a stored picture as TIFF 6.0 says: where row 0 and column 0 are."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
