"""Animations made by hand, and what a viewer shows of them: bytes and Python numbers only.

Independent of the package: the LZW codes are never joined, the compositors go pixel by pixel.
"""

import struct
import zlib
from fractions import Fraction
from itertools import chain

import hostile

CLEAR = (0, 0, 0, 0)


def lzw_literals(indices, bits):
    """LZW data in which every index is a code of its own, with clear codes before any growth."""
    size = max(2, bits)
    clear, end, width = 1 << size, (1 << size) + 1, size + 1
    codes = []
    for place, index in enumerate(indices):
        if place % ((1 << size) - 2) == 0:
            codes.append(clear)
        codes.append(index)
    codes.append(end)
    number = sum(code << (width * place) for place, code in enumerate(codes))
    data = number.to_bytes((width * len(codes) + 7) // 8, "little")
    blocks = [data[at : at + 255] for at in range(0, len(data), 255)]
    return bytes([size]) + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def lzw_decoded(data, n):
    """What an independent decoder makes of GIF image data: n indices."""
    size, at, raw = data[0], 1, b""
    while data[at]:
        raw += data[at + 1 : at + 1 + data[at]]
        at += 1 + data[at]
    assert at + 1 == len(data)
    number, place = int.from_bytes(raw, "little"), 0
    clear, end = 1 << size, (1 << size) + 1
    table, width, previous, out = {}, size + 1, None, []
    while True:
        code = number >> place & ((1 << width) - 1)
        place += width
        if code == clear:
            table = {value: (value,) for value in range(clear)}
            width, previous = size + 1, None
        elif code == end:
            break
        else:
            if previous is None:
                entry = table[code]
            else:
                entry = table[code] if code in table else previous + previous[:1]
                if len(table) + 2 < 4096:
                    table[len(table) + 2] = previous + entry[:1]
                    if len(table) + 2 == 1 << width and width < 12:
                        width += 1
            out.extend(entry)
            previous = entry
    assert len(raw) == (place + 7) // 8
    assert len(out) == n
    return out


def gif(width, height, palette, images, *, loop=None, extra=b""):
    """A GIF; images are dicts of box, indices, and any of transparent, disposal, delay, palette."""
    bits = max(1, (len(palette) - 1).bit_length())
    parts = [b"GIF89a", struct.pack("<HHBBB", width, height, 0x80 | bits - 1, 0, 0)]
    parts.append(bytes(chain.from_iterable(palette)).ljust(3 << bits, b"\0"))
    if loop is not None:
        parts.append(b"!\xff\x0bNETSCAPE2.0" + struct.pack("<BBHB", 3, 1, loop, 0))
    parts.append(extra)
    for image in images:
        left, top, right, bottom = image["box"]
        if image.keys() & {"transparent", "disposal", "delay"}:
            flags = image.get("disposal", 0) << 2 | ("transparent" in image)
            delay, transparent = image.get("delay", 0), image.get("transparent", 0)
            parts.append(b"!\xf9\x04" + struct.pack("<BHBB", flags, delay, transparent, 0))
        own = image.get("palette")
        own_bits = max(1, (len(own) - 1).bit_length()) if own else 0
        parts.append(b"," + struct.pack("<HHHH", left, top, right - left, bottom - top))
        parts.append(bytes([0x80 | own_bits - 1 if own else 0]))
        if own:
            parts.append(bytes(chain.from_iterable(own)).ljust(3 << own_bits, b"\0"))
        parts.append(lzw_literals(image["indices"], 8))
    return b"".join(parts) + b";"


def shown_gif(width, height, palette, images):
    """The frames that a viewer shows: lists of rows of RGBA."""
    canvas = [[CLEAR] * width for _ in range(height)]
    frames = []
    for image in images:
        before = [list(row) for row in canvas]
        colors = image.get("palette") or palette
        left, top, right, bottom = image["box"]
        places = [(y, x) for y in range(top, bottom) for x in range(left, right)]
        for (y, x), index in zip(places, image["indices"], strict=True):
            if index != image.get("transparent") and y < height and x < width:
                canvas[y][x] = (*colors[index], 255)
        frames.append([list(row) for row in canvas])
        for y, x in places:
            if y < height and x < width:
                if image.get("disposal") == 2:
                    canvas[y][x] = CLEAR
                elif image.get("disposal") in (3, 4):
                    canvas[y][x] = before[y][x]
    return frames


def apng(width, height, frames, *, plays=0, default=None, chunks=(), palette=None):
    """An APNG of 8-bit RGBA, or of indices; frames are dicts of box, pixels, and delay ..."""
    kind = 6 if palette is None else 3
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))]
    parts.append((b"acTL", struct.pack(">II", len(frames), plays)))
    parts += chunks
    if palette is not None:
        parts.append((b"PLTE", b"".join(bytes(color[:3]) for color in palette)))
        parts.append((b"tRNS", bytes(color[3] for color in palette)))
    sequence = 0
    if default is not None:
        parts.append((b"IDAT", deflated(width, default)))
    for number, frame in enumerate(frames):
        left, top, right, bottom = frame["box"]
        delay = frame.get("delay", Fraction(1, 10))
        control = struct.pack(
            ">IIIIIHHBB",
            sequence,
            right - left,
            bottom - top,
            left,
            top,
            delay.numerator,
            delay.denominator,
            frame.get("dispose", 0),
            frame.get("blend", 0),
        )
        parts.append((b"fcTL", control))
        sequence += 1
        data = deflated(right - left, frame["pixels"])
        if number == 0 and default is None:
            parts.append((b"IDAT", data))
            continue
        for part in (data[:7], data[7:]):
            parts.append((b"fdAT", struct.pack(">I", sequence) + part))
            sequence += 1
    parts.append((b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(hostile.chunk(*part) for part in parts)


def deflated(width, pixels):
    rows = [pixels[at : at + width] for at in range(0, len(pixels), width)]
    flat = [[*pixel] if isinstance(pixel, tuple) else [pixel] for row in rows for pixel in row]
    size = len(flat[0])
    raw = bytes(chain.from_iterable(flat))
    step = width * size
    return zlib.compress(b"".join(b"\0" + raw[at : at + step] for at in range(0, len(raw), step)))


def over(below, above):
    """Source-over of two RGBA colours, not premultiplied, in fractions."""
    a, b = Fraction(above[3], 255), Fraction(below[3], 255)
    alpha = a + b * (1 - a)
    if alpha == 0:
        return CLEAR
    mixed = [(Fraction(above[i]) * a + below[i] * b * (1 - a)) / alpha for i in range(3)]
    return (*mixed, 255 * alpha)


def rounded(color):
    values = [int(value + Fraction(1, 2)) for value in color]
    return tuple(values) if values[3] else CLEAR


def shown_apng(width, height, frames, *, palette=None):
    canvas = [[CLEAR] * width for _ in range(height)]
    shown = []
    for number, frame in enumerate(frames):
        before = [list(row) for row in canvas]
        left, top, right, bottom = frame["box"]
        places = [(y, x) for y in range(top, bottom) for x in range(left, right)]
        for (y, x), pixel in zip(places, frame["pixels"], strict=True):
            color = pixel if palette is None else palette[pixel]
            canvas[y][x] = rounded(over(canvas[y][x], color) if frame.get("blend") else color)
        shown.append([list(row) for row in canvas])
        dispose = frame.get("dispose", 0)
        for y, x in places:
            if dispose == 1 or (dispose == 2 and number == 0):
                canvas[y][x] = CLEAR
            elif dispose == 2:
                canvas[y][x] = before[y][x]
    return shown


def apng_default_image(data):
    """What an APNG shows where nothing can move, if that is no frame: rows of RGBA, or None.

    A decoder of its own, for 8-bit pixels and palettes of any depth, with filter 0 only.
    """
    chunks = hostile.png_chunks(data)
    names = [name for name, _ in chunks]
    if b"fcTL" in names[: names.index(b"IDAT")]:
        return None
    found = {name: contents for name, contents in chunks if name in (b"IHDR", b"PLTE", b"tRNS")}
    width, height, depth, kind = struct.unpack_from(">IIBB", found[b"IHDR"])
    channels = {2: 3, 3: 1, 6: 4}[kind]
    raw = zlib.decompress(b"".join(contents for name, contents in chunks if name == b"IDAT"))
    n_bytes = (width * channels * depth + 7) // 8
    rows = []
    for at in range(0, len(raw), n_bytes + 1):
        assert raw[at] == 0
        row = raw[at + 1 : at + 1 + n_bytes]
        bits = "".join(f"{byte:08b}" for byte in row)
        numbers = [int(bits[k * depth : (k + 1) * depth], 2) for k in range(width * channels)]
        if kind == 3:
            palette, alpha = found[b"PLTE"], found.get(b"tRNS", b"")
            pixels = [
                (*palette[3 * n : 3 * n + 3], alpha[n] if n < len(alpha) else 255) for n in numbers
            ]
        else:
            pixels = [
                tuple(numbers[k : k + channels]) + (255,) * (4 - channels)
                for k in range(0, len(numbers), channels)
            ]
        rows.append([CLEAR if pixel[3] == 0 else pixel for pixel in pixels])
    assert len(rows) == height
    return rows
