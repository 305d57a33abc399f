"""Read every image of some folders, and compare with independent readers: FOLDER [FOLDER ...].

libvips, OpenCV and tifffile, those that are installed, read each file too, and Pillow BMP and TIFF,
which the package decodes by itself. A file is

- equal: one of them shows the same 8-bit picture, exactly; JPEG, whose arithmetic is not defined
  to the last bit, within 3 levels; colours of a profile, CMYK and L*a*b* within 6;
- refused: an OSError with one line, or not one of the formats;
- alone: it was read, and none of the others reads it;
- different: all the rest. Each is listed with the largest difference to each reader.

Pixels are compared as they are stored where the file's colours are converted and the readers do
not do the same (gAMA, cHRM, cICP of a PNG, profiles): reading "raw" leaves those chunks out. Of a
GIF only what its first image covers is compared: the readers fill the rest with colours of their
own. A PNG that XMP says to turn is turned for the readers that do not know XMP. For BMP with bit
masks, which OpenCV does not scale, the definition in Python's integers is one more reader.
"""

import argparse
import io
import os
import re
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kmeans_c.images import read_image

Pixels = NDArray[np.uint8]
_COLOR_CHUNKS = (b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP")
_EXACT, _JPEG, _MANAGED = 0, 3, 6


def rgba(pixels: NDArray[np.generic]) -> Pixels:
    """Give any picture as (H, W, 4), its colour 0 where alpha is."""
    if pixels.ndim == 2:
        pixels = pixels[:, :, np.newaxis]
    colors, alpha = pixels, np.full((*pixels.shape[:2], 1), 255)
    if pixels.shape[2] in (2, 4):
        colors, alpha = pixels[:, :, :-1], pixels[:, :, -1:]
    result = np.concatenate([np.broadcast_to(colors, (*colors.shape[:2], 3)), alpha], axis=2)
    result = result.astype(np.uint8)
    result[result[:, :, 3] == 0] = 0
    return result


def eight_bit(wide: NDArray[np.generic]) -> list[NDArray[np.generic]]:
    """Give 16 bits as 8 in both ways that are documented: rounded, and the high byte."""
    if wide.dtype != np.uint16:
        return [wide]
    rounded = (wide.astype(np.uint32) * 255 + 32767) // 65535
    return [rounded.astype(np.uint8), (wide >> 8).astype(np.uint8)]


def by_vips(data: bytes, managed: bool) -> Iterator[NDArray[np.generic]]:
    import pyvips  # noqa: PLC0415 - may be missing

    image = pyvips.Image.new_from_buffer(data, "", fail_on="none").autorot()
    if managed and image.get_typeof("icc-profile-data"):
        options = {"embedded": True, "intent": "relative", "black_point_compensation": True}
        image = image.icc_transform("srgb", **options)
    elif image.interpretation == "cmyk":
        samples = image.numpy().astype(float)
        ink = 255 - samples
        colors = [np.rint(ink[:, :, :3] * ink[:, :, 3:4] / 255)]
        yield np.concatenate([*colors, samples[:, :, 4:5]], axis=2)
        return
    elif image.interpretation in ("lab", "labs", "labq"):
        image = image.colourspace("srgb")
    samples = image.numpy()
    if samples.dtype == np.bool_ or samples.dtype.kind == "f":
        samples = samples.astype(np.uint8)
    yield from eight_bit(samples)


def by_opencv(data: bytes, _managed: bool) -> Iterator[NDArray[np.generic]]:
    import cv2  # noqa: PLC0415 - as above

    for flag in (cv2.IMREAD_UNCHANGED, cv2.IMREAD_COLOR):
        found = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
        if found is None:
            raise ValueError("not read")
        if found.ndim == 3 and found.shape[2] > 2:
            found = found[:, :, [2, 1, 0, 3][: found.shape[2]]]
        yield from eight_bit(found)


def by_tifffile(data: bytes, _managed: bool) -> Iterator[NDArray[np.generic]]:
    import tifffile  # noqa: PLC0415 - as above

    if data[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        raise ValueError("no TIFF")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        if page.compression == 6 and 513 in page.tags:  # old-style JPEG: its one stream
            at, n = (np.ravel(page.tags[tag].value)[0] for tag in (513, 514))
            yield from by_opencv(data[at : at + n], False)
            return
        samples = page.asarray()
        if page.planarconfig == 2 and samples.ndim == 3:
            samples = np.moveaxis(samples, 0, 2)
        bits = page.bitspersample
        if samples.dtype == np.bool_:
            samples = samples.astype(np.uint8)
        elif page.photometric == 3:
            table = np.asarray(page.colormap)
            table = (table >> 8 if table.max() > 255 else table).astype(np.uint8)
            samples, bits = np.moveaxis(table[:, samples], 0, 2), 8
        if page.photometric == 8 and bits == 8:
            samples = of_lab(samples)
        white = (1 << bits) - 1
        if page.photometric == 0:
            samples = white - samples
        yield (samples.astype(np.uint64) * 255 + white // 2) // white


def of_lab(samples: NDArray[np.generic]) -> NDArray[np.generic]:
    """Convert CIE L*a*b* of D50 to sRGB (CIE 15; IEC 61966-2-1), adapted by Bradford's matrix."""
    light = samples[:, :, 0] * (100 / 255)
    a, b = (samples[:, :, c].astype(np.uint8).view(np.int8).astype(float) for c in (1, 2))
    y = (light + 16) / 116
    f = np.stack([y + a / 500, y, y - b / 200], axis=2)
    linear = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    xyz = linear * [0.96422, 1.0, 0.82521]
    matrix = [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
    rgb = np.clip(xyz @ np.array(matrix).T, 0, 1)
    coded = np.where(rgb > 0.0031308, 1.055 * rgb ** (1 / 2.4) - 0.055, 12.92 * rgb)
    return np.rint(coded * 255).astype(np.uint8)


def by_definition(data: bytes, _managed: bool) -> Iterator[NDArray[np.generic]]:
    if data[:2] != b"BM":
        raise ValueError("no BMP")
    at, size, width, height, _, bits, how = struct.unpack_from("<IIiiHHI", data, 10)
    if bits not in (16, 32) or how not in (0, 3, 6):
        raise ValueError("no masks")
    n = 4 if how == 6 or size >= 56 else 3
    masks = list(struct.unpack_from(f"<{n}I", data, 54))
    if how == 0:
        masks = [0x7C00, 0x3E0, 0x1F] if bits == 16 else [0xFF0000, 0xFF00, 0xFF]
    if not any(masks[3:]):
        masks = masks[:3]
    pixels = np.zeros((abs(height), width, len(masks)), np.uint8)
    stride = (width * bits + 31) // 32 * 4
    for y in range(abs(height)):
        row = at + stride * (y if height < 0 else height - 1 - y)
        for x in range(width):
            start = row + x * bits // 8
            word = int.from_bytes(data[start : start + bits // 8], "little")
            for c, mask in enumerate(masks):
                low = mask & -mask
                white = mask // low if mask else 1
                pixels[y, x, c] = (word & mask) // max(low, 1) * 255 / white + 0.5
    if len(masks) == 4 and not pixels[:, :, 3].any():
        pixels = pixels[:, :, :3]  # what would hide all hides nothing, as in browsers
    yield pixels


def by_pillow(data: bytes, _managed: bool) -> Iterator[NDArray[np.generic]]:
    """Read BMP and TIFF, whose pixels the package reads by itself."""
    if data[:2] not in (b"BM", b"II", b"MM"):
        raise ValueError("neither")
    with Image.open(io.BytesIO(data)) as image:
        yield np.asarray(image.convert("RGBA"))


READERS = {
    "libvips": by_vips,
    "OpenCV": by_opencv,
    "tifffile": by_tifffile,
    "definition": by_definition,
    "Pillow": by_pillow,
}


def turned(pixels: Pixels, data: bytes) -> Pixels:
    """Turn a PNG by the orientation of its XMP."""
    found = re.search(rb'tiff:Orientation(?:="|>)([2-8])', data)
    if found is None or not data.startswith(b"\x89PNG"):
        return pixels
    number = int(found[1])
    if number >= 5:
        pixels = pixels.swapaxes(0, 1)
    if number in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels[:, ::-1] if number in (2, 3, 6, 7) else pixels


def without_colors(data: bytes) -> bytes:
    """Leave out what a PNG says of its colours."""
    if not data.startswith(b"\x89PNG"):
        return data
    parts, at = [data[:8]], 8
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if name not in _COLOR_CHUNKS:
            parts.append(data[at : at + 12 + length])
        at += 12 + length
    return b"".join(parts)


def difference(ours: Pixels, data: bytes, name: str, *, managed: bool) -> int | None:
    """Give the largest difference of a level; None if the reader does not read the file."""
    least = None
    try:
        for found in READERS[name](data, managed):
            if found.ndim == 3 and found.shape[2] > 4:
                found = found[:, :, :4]  # noqa: PLW2901 - further samples
            theirs = turned(rgba(found), data)
            if data.startswith(b"GIF8") and theirs.shape == ours.shape:
                theirs[ours[:, :, 3] == 0] = 0
            if theirs.shape != ours.shape:
                far = 999
            else:
                far = int(np.abs(theirs.astype(int) - ours).max())
            least = far if least is None else min(least, far)
    except Exception:
        return least
    return least


def judge(path: Path) -> tuple[str, str]:
    """Say which kind a file is of, and what of it."""
    try:
        picture = read_image(path)
    except OSError as error:
        text = str(error).removeprefix(f"{path}: ")
        return "refused", text if "\n" not in text else "MORE THAN ONE LINE " + text
    data = path.read_bytes()
    within = _JPEG if picture.format == "jpeg" else _EXACT
    found = compared(rgba(picture.pixels), data, within, managed=False)
    if found is None:
        return "equal", picture.format
    managed = compared(rgba(picture.pixels), data, _MANAGED, managed=True)
    if managed is None:
        return "equal, colours converted", picture.format
    plain = without_colors(data)
    raw = read_image(io.BytesIO(plain), icc="keep")
    if compared(rgba(raw.pixels), plain, within, managed=False) is None:
        return "equal as stored, colours converted", picture.format
    if not found:
        return "alone", picture.format
    return "different", f"{picture.format} {found}"


def compared(ours: Pixels, data: bytes, within: int, *, managed: bool) -> dict[str, int] | None:
    """Give the differences to each reader that reads the file; None if one of them is small."""
    found = {}
    for name in READERS:
        far = difference(ours, data, name, managed=managed)
        if far is not None and far <= within:
            return None
        if far is not None:
            found[name] = far
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--list", action="store_true", help="print every file")
    arguments = parser.parse_args()
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)  # the readers warn
    kinds: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    slowest = (0.0, "")
    for folder in arguments.folders:
        for path in sorted(folder.rglob("*")):
            if not path.is_file():
                continue
            start = time.perf_counter()
            kind, what = judge(path)
            slowest = max(slowest, (time.perf_counter() - start, str(path)))
            kinds[kind] += 1
            reasons[what] += kind == "refused"
            if arguments.list or kind in ("alone", "different"):
                print(f"{kind}: {path.relative_to(folder)}: {what}")
    print(f"\n{sum(kinds.values())} files")
    for kind, n in kinds.most_common():
        print(f"{n:6d} {kind}")
    print("\nrefused, by reason:")
    for what, n in reasons.most_common():
        if n:
            print(f"{n:6d} {what}")
    print(f"\nslowest, with all readers: {slowest[0]:.1f} s, {slowest[1]}")
    sys.exit(1 if kinds["different"] else 0)


if __name__ == "__main__":
    main()
