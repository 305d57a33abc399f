"""TIFF files made by hand: any tags on any page, folders, sub-images; little- or big-endian."""

import struct

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 12: 8, 13: 4}
CODES = {3: "H", 4: "I", 5: "II", 12: "d", 13: "I"}


def value(kind, numbers, order):
    """The bytes of a tag's values: bytes as they are, numbers, or pairs for fractions."""
    if isinstance(numbers, bytes):
        return numbers
    flat = [n for pair in numbers for n in pair] if kind == 5 else numbers
    code = CODES[kind][0]
    return struct.pack(f"{order}{len(flat)}{code}", *flat)


def directory(tags, at, order, following):
    """One directory at a place: tags are {number: (type, values)}, with a dict for a folder."""
    after = at + 2 + 12 * len(tags) + 4
    entries, body = struct.pack(f"{order}H", len(tags)), b""
    for tag, (kind, numbers) in sorted(tags.items()):
        if isinstance(numbers, dict):
            inner = after + len(body)
            body += directory(numbers, inner, order, 0)
            body += b"\0" * (len(body) % 2)
        raw = value(kind, [inner] if isinstance(numbers, dict) else numbers, order)
        entries += struct.pack(f"{order}HHI", tag, kind, len(raw) // SIZES[kind])
        if len(raw) <= 4:
            entries += raw.ljust(4, b"\0")
        else:
            entries += struct.pack(f"{order}I", after + len(body))
            body += raw + b"\0" * (len(raw) % 2)
    return entries + struct.pack(f"{order}I", following) + body


def tiff(pages, order="<"):
    """A file of pages (pixels, tags): pixels are (h, w, 3) arrays of uint8."""
    parts = [b"II*\0" if order == "<" else b"MM\0*", b""]
    made, at = b"", 8
    for number, (pixels, more) in enumerate(pages):
        height, width = pixels.shape[:2]
        data = pixels.tobytes() + b"\0" * (pixels.size % 2)
        tags = {
            256: (4, [width]),
            257: (4, [height]),
            258: (3, [8, 8, 8]),
            259: (3, [1]),
            262: (3, [2]),
            273: (4, [at]),
            277: (3, [3]),
            278: (4, [height]),
            279: (4, [pixels.size]),
        } | more
        start = at + len(data)
        length = len(directory(tags, start, order, 0))
        length += length % 2
        following = start + length if number + 1 < len(pages) else 0
        if number + 1 < len(pages):  # the next directory lies behind the next pixels
            nxt = pages[number + 1][0]
            following += nxt.size + nxt.size % 2
        raw = directory(tags, start, order, following)
        if number == 0:
            parts[1] = struct.pack(f"{order}I", start)
        made += data + raw + b"\0" * (len(raw) % 2)
        at = start + length
    return b"".join(parts) + made


def exif(tags):
    """A TIFF structure of one directory."""
    return b"II*\0\x08\0\0\0" + directory(tags, 8, "<", 0)


def read(data):
    """All directories of a file, with folders: lists of {number: (type, bytes)} or nested dicts."""
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    found = []
    while at:
        tags, at = _read(data, at, order)
        found.append(tags)
    return found


def _read(data, at, order):
    (n,) = struct.unpack_from(f"{order}H", data, at)
    tags = {}
    for number in range(n):
        place = at + 2 + 12 * number
        tag, kind, count = struct.unpack_from(f"{order}HHI", data, place)
        length = SIZES[kind] * count
        start = place + 8 if length <= 4 else struct.unpack_from(f"{order}I", data, place + 8)[0]
        raw = data[start : start + length]
        assert len(raw) == length
        if tag in (34665, 34853, 40965):
            tags[tag] = _read(data, struct.unpack(f"{order}I", raw)[0], order)[0]
        else:
            assert tag not in tags
            tags[tag] = (kind, raw)
    numbers = list(tags)
    assert numbers == sorted(numbers)
    return tags, struct.unpack_from(f"{order}I", data, at + 2 + 12 * n)[0]
