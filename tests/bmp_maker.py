"""BMP files of every layout, made from the pixels that they show: a matrix in the way of bmpsuite.

Written from the format's description; nothing of the package is used.
"""

import struct

import numpy as np

HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)


def bmp(rows, bits, *, header=40, palette=None, compression=0, masks=None, top_down=False, **more):
    """Write a file.

    Parameters
    ----------
    rows : list of bytes, or bytes
        From the top; compressed data as they are.
    palette : (n, 3) array of RGB
    masks : three or four numbers
    more : width, height, n_colors (that the header states), gap (bytes before the pixels)
    """
    width, height = more["width"], more["height"]
    if not isinstance(rows, bytes):
        rows = [row + bytes(-len(row) % 4) for row in rows]
        rows = b"".join(rows if top_down else rows[::-1])
    entries = b""
    if palette is not None:
        pad = b"" if header == 12 else b"\0"
        entries = b"".join(bytes(color[::-1]) + pad for color in np.asarray(palette, np.uint8))
    mask_bytes = b"" if masks is None else struct.pack(f"<{len(masks)}I", *masks)
    if header == 12:
        head = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        head = struct.pack("<IiiHH", header, width, -height if top_down else height, 1, bits)
        n_colors = more.get("n_colors", 0 if palette is None else len(palette))
        head += struct.pack("<IIIIII", compression, len(rows), 2835, 2835, n_colors, 0)
        head = (head + (mask_bytes if header >= 52 else b"")).ljust(header, b"\0")[:header]
    if header == 40:
        head += mask_bytes
    at = 14 + len(head) + len(entries) + more.get("gap", 0)
    body = head + entries + bytes(more.get("gap", 0)) + rows
    return struct.pack("<2sIII", b"BM", 14 + len(body), 0, at) + body


def packed(indices, bits):
    """Give rows of 1, 2, 4 or 8 bits an index, the first one highest, by Python's own integers."""
    rows = []
    for row in indices.tolist():
        text = "".join(format(index, f"0{bits}b") for index in row)
        text += "0" * (-len(text) % 8)
        rows.append(int(text, 2).to_bytes(len(text) // 8, "big"))
    return rows


def words(fields, masks, n_bytes):
    """Give rows of pixels whose fields (H, W, channels) lie where the masks say."""
    rows = []
    for row in fields.tolist():
        line = b""
        for pixel in row:
            word = 0
            for value, mask in zip(pixel, masks, strict=True):
                word |= value << (mask & -mask).bit_length() - 1 if mask else 0
            line += word.to_bytes(n_bytes, "little")
        rows.append(line)
    return rows


def run_lengths(indices, bits, rng):
    """Compress with runs, literal pixels, jumps over zeros and early ends of rows, by chance."""
    data = b""
    height, width = indices.shape
    y = height - 1
    while y >= 0:
        row, x = indices[y].tolist(), 0
        while x < width:
            way = rng.integers(3)
            if not any(row[x:]) and way == 0:
                break
            if not any(row[x : x + 2]) and way == 1:
                data += bytes((0, 2, len(row[x : x + 2]), 0))
                x += len(row[x : x + 2])
                continue
            n = min(width - x, int(rng.integers(1, 8)))
            part = row[x : x + n]
            if n > 2 and way == 2:
                literal = bytes(part)
                if bits == 4:
                    part = part + [0] * (n % 2)
                    literal = bytes(a << 4 | b for a, b in zip(part[::2], part[1::2], strict=True))
                data += bytes((0, n)) + literal + bytes(len(literal) % 2)
            else:
                n = 1
                while x + n < width and row[x + n] == row[x] and n < 255:
                    n += 1
                data += bytes((n, row[x] * 17 if bits == 4 else row[x]))
            x += n
        if y and rng.integers(4) == 0 and not indices[y - 1].any():
            data += bytes((0, 0, 0, 2, 0, 1))  # the row below, by a jump
            y -= 2
            continue
        data += bytes((0, 0))
        y -= 1
    return data + bytes((0, 1))
