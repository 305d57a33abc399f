"""Colour management: from what a file says its numbers mean to sRGB.

An ICC profile is followed with relative colorimetric intent and black-point compensation. A PNG
says it in up to four ways, of which the first that can be followed counts, as in browsers: cICP,
iCCP, sRGB, then gAMA with cHRM. What is said by numbers becomes an ICC profile, so that there is
one way to sRGB (LittleCMS, by Pillow).

gAMA within 5 % of 1/2.2 means sRGB's own curve: that is what encoders write beside sRGB, and
libpng's threshold. cHRM without gAMA goes with sRGB's curve, gAMA without cHRM with sRGB's
primaries. Values without sense are ignored, and so is a profile that is damaged or for another
kind of pixels. The curves of HDR (PQ, HLG) need tone mapping, which is not done: what else the
file says is followed, and a note says so.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from fractions import Fraction

    Vector: TypeAlias = tuple[Fraction, Fraction, Fraction]
    Matrix: TypeAlias = tuple[Vector, Vector, Vector]

# x and y of white, red, green and blue in units of 1/100000, as cHRM has them.
Primaries: TypeAlias = tuple[int, ...]

# A curve as ICC's parametric type 3: ((a x + b) ** g) from d on, c x below.
Curve = tuple[float, float, float, float, float]

_SRGB_CURVE: Curve = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_BT709_CURVE: Curve = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)

# ITU-T H.273, tables 2 and 3: what a byte of cICP stands for.
_CURVES: dict[int, Curve] = {
    1: _BT709_CURVE,
    4: (2.2, 1.0, 0.0, 0.0, 0.0),
    5: (2.8, 1.0, 0.0, 0.0, 0.0),
    6: _BT709_CURVE,
    8: (1.0, 1.0, 0.0, 0.0, 0.0),
    13: _SRGB_CURVE,
    14: _BT709_CURVE,
    15: _BT709_CURVE,
}
_HDR = {16: "PQ", 18: "HLG"}


_D65 = (31270, 32900)
_SRGB_PRIMARIES = (*_D65, 64000, 33000, 30000, 60000, 15000, 6000)
_PRIMARIES = {
    1: _SRGB_PRIMARIES,
    4: (31000, 31600, 67000, 33000, 21000, 71000, 14000, 8000),
    5: (*_D65, 64000, 33000, 29000, 60000, 15000, 6000),
    6: (*_D65, 63000, 34000, 31000, 59500, 15500, 7000),
    7: (*_D65, 63000, 34000, 31000, 59500, 15500, 7000),
    9: (*_D65, 70800, 29200, 17000, 79700, 13100, 4600),
    11: (31400, 35100, 68000, 32000, 26500, 69000, 15000, 6000),
    12: (*_D65, 68000, 32000, 26500, 69000, 15000, 6000),
    22: (*_D65, 63000, 34000, 29500, 60500, 15500, 7700),
}

# The white of ICC's connection space in 1/32768, and the cone responses of the Bradford adaptation
# in 1/10000.
_D50 = (31595, 32768, 27030)
_BRADFORD = ((8951, 2664, -1614), (-7502, 17135, 367), (389, -685, 10296))

# Exponents outside of this are no display's: libpng refuses them too.
_GAMMA_RANGE = (0.1, 10.0)
_GAMMA_OF_SRGB = (43182, 47727)  # 45455 -5 % and +5 %


class Meaning(NamedTuple):
    """What a file says its numbers mean.

    Attributes
    ----------
    rgb, grey : bytes or None
        ICC profiles for pixels of each kind; None: they are sRGB.
    embedded : bool
        Whether the profile is the file's own.
    note : str or None
        What was said and can't be followed.
    """

    rgb: bytes | None = None
    grey: bytes | None = None
    embedded: bool = False
    note: str | None = None


def meaning(profile: bytes | None, chunks: Mapping[bytes, bytes] | None = None) -> Meaning:
    """Decide what the numbers of an image mean.

    Parameters
    ----------
    profile : bytes or None
        The embedded ICC profile.
    chunks : mapping, optional
        A PNG's chunks cICP, sRGB, gAMA and cHRM, those that it has.
    """
    chunks = chunks or {}
    said, note = _by_cicp(chunks.get(b"cICP", b""))
    if said is None and profile:
        said = Meaning(profile, profile, embedded=True)
    elif said is None and b"sRGB" not in chunks:
        said = _by_gamma(chunks.get(b"gAMA", b""), chunks.get(b"cHRM", b""))
    return (said or Meaning())._replace(note=note)


class Conversion:
    """The way of one file's pixels to sRGB; transforms are built once for all of its frames.

    Parameters
    ----------
    meaning : Meaning
    keep : bool
        Whether RGB pixels that have an embedded profile stay as they are.

    Attributes
    ----------
    kept : bytes or None
        The profile that describes the pixels which were given back, if they are not sRGB.
    """

    def __init__(self, meaning: Meaning, *, keep: bool = False) -> None:
        self.meaning = meaning
        self.keep = keep
        self.kept: bytes | None = None
        self._transforms: dict[str, object] = {}

    def __call__(self, image: Image.Image) -> Image.Image:
        """Convert an L, RGB or CMYK image by its profile, a LAB image by definition, to sRGB.

        An image whose profile can't be used comes back as it is.
        """
        mode = image.mode
        profile = self.meaning.grey if mode == "L" else self.meaning.rgb
        if profile is None and mode != "LAB":
            return image
        if mode not in self._transforms:
            self._transforms[mode] = _transform(mode, profile or b"")
        transform = self._transforms[mode]
        if transform is None:
            return image
        if self.keep and self.meaning.embedded and mode == "RGB":
            self.kept = profile
            return image
        if isinstance(transform, np.ndarray):
            return Image.fromarray(transform[np.asarray(image)])
        return _applied(image, transform)


def _transform(mode: str, profile: bytes) -> object:
    """Build a table for grey, LittleCMS's transform for others; None where nothing is to be done.

    Most profiles are sRGB's own, in many spellings. Where no sample moves by more than one level,
    which is rounding, the pixels stay exactly as they are.
    """
    from PIL import ImageCms  # noqa: PLC0415 - 2 ms, and most images need none of it

    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    if mode == "L":
        # The tables that speed a transform up are 9 levels off in the shadows of linear grey, and
        # they are not needed: 256 samples say everything about grey.
        flags |= ImageCms.Flags.NOOPTIMIZE
    try:
        source = ImageCms.createProfile("LAB") if mode == "LAB" else io.BytesIO(profile)
        transform = ImageCms.buildTransform(
            source if mode == "LAB" else ImageCms.ImageCmsProfile(source),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=flags,
        )
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None
    if mode in ("LAB", "CMYK"):
        return transform
    samples = _grey_samples() if mode == "L" else _rgb_samples()
    moved = np.asarray(_applied(samples, transform))
    if np.abs(moved - np.asarray(samples.convert("RGB")).astype(np.int16)).max() <= 1:
        return None
    return moved[0, :, 1].copy() if mode == "L" else transform


def _applied(image: Image.Image, transform: object) -> Image.Image:
    from PIL import ImageCms  # noqa: PLC0415 - as above

    return cast(
        "Image.Image", ImageCms.applyTransform(image, cast("ImageCms.ImageCmsTransform", transform))
    )


def _grey_samples() -> Image.Image:
    return Image.fromarray(np.arange(256, dtype=np.uint8)[np.newaxis])


def _rgb_samples() -> Image.Image:
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    lattice = np.stack(np.meshgrid(levels, levels, levels), axis=-1)
    return Image.fromarray(lattice.reshape(1, -1, 3))


def _by_cicp(chunk: bytes) -> tuple[Meaning | None, str | None]:
    if len(chunk) != 4:
        return None, None
    primaries, curve, matrix, full_range = chunk
    if curve in _HDR:
        return None, f"cICP: {_HDR[curve]} is not converted, its colours are taken for SDR"
    if primaries not in _PRIMARIES or curve not in _CURVES or (matrix, full_range) != (0, 1):
        return None, f"cICP: {'-'.join(map(str, chunk))} is not supported, and ignored"
    return _said(_PRIMARIES[primaries], _CURVES[curve]), None


def _by_gamma(gamma: bytes, chromaticities: bytes) -> Meaning | None:
    curve: Curve | None = None
    if len(gamma) == 4:
        (number,) = struct.unpack(">I", gamma)
        exponent = 100_000 / number if number else math.inf
        if _GAMMA_RANGE[0] <= exponent <= _GAMMA_RANGE[1]:
            curve = (exponent, 1.0, 0.0, 0.0, 0.0)
            if _GAMMA_OF_SRGB[0] <= number <= _GAMMA_OF_SRGB[1]:
                curve = _SRGB_CURVE
    primaries = struct.unpack(">8I", chromaticities) if len(chromaticities) == 32 else None
    if curve is None and primaries is None:
        return None
    curve = curve or _SRGB_CURVE
    return _said(primaries or _SRGB_PRIMARIES, curve) or _said(_SRGB_PRIMARIES, curve)


def _said(primaries: Primaries, curve: Curve) -> Meaning | None:
    colorants = _colorants(primaries)
    if colorants is None:
        return None
    encoded = b"para" + struct.pack(">IHH5i", 0, 3, 0, *map(_fixed, curve))
    names = (b"r", b"g", b"b")
    rgb = [(name + b"TRC", encoded) for name in names]
    rgb += [(name + b"XYZ", _xyz(at)) for name, at in zip(names, colorants, strict=True)]
    return Meaning(_profile(b"RGB ", rgb), _profile(b"GRAY", [(b"kTRC", encoded)]))


def _colorants(primaries: Primaries) -> list[Vector] | None:
    """Give the primaries' XYZ under D50; None if they span no space or leave ICC's range."""
    from fractions import Fraction  # noqa: PLC0415 - 3 ms, and most images need none of it

    points = [(Fraction(x, 100_000), Fraction(y, 100_000)) for x, y in _pairs(primaries)]
    if any(y <= 0 or x < 0 or x + y > 1 for x, y in points):
        return None
    white, *corners = ((x / y, Fraction(1), (1 - x - y) / y) for x, y in points)
    inverse = _inverse(cast("Matrix", tuple(zip(*corners, strict=True))))
    bradford = cast("Matrix", tuple(tuple(Fraction(n, 10_000) for n in row) for row in _BRADFORD))
    back = _inverse(bradford)
    if inverse is None or back is None:
        return None
    shares = _times(inverse, white)
    cones, wanted = _times(bradford, white), _times(bradford, _d50())
    if min(cones) <= 0 or min(shares) <= 0:
        return None
    colorants = []
    for corner, share in zip(corners, shares, strict=True):
        seen = _times(bradford, corner)
        adapted = [s * w / c for s, w, c in zip(seen, wanted, cones, strict=True)]
        x, y, z = _times(back, cast("Vector", tuple(adapted)))
        colorants.append((x * share, y * share, z * share))
    largest = max(abs(number) for colorant in colorants for number in colorant)
    return colorants if largest < 1 << 15 else None


def _pairs(numbers: Primaries) -> list[tuple[int, int]]:
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _d50() -> Vector:
    from fractions import Fraction  # noqa: PLC0415 - as above

    return cast("Vector", tuple(Fraction(number, 32768) for number in _D50))


def _times(matrix: Matrix, vector: Vector) -> Vector:
    rows = [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]
    return cast("Vector", tuple(rows))


def _inverse(matrix: Matrix) -> Matrix | None:
    (a, b, c), (d, e, f), (g, h, i) = matrix
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    if determinant == 0:
        return None
    rows = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    return cast("Matrix", tuple(tuple(number / determinant for number in row) for row in rows))


def _fixed(number: float | Fraction) -> int:
    """Give an ICC s15Fixed16Number."""
    return round(number * 65536)


def _xyz(vector: Vector) -> bytes:
    return b"XYZ " + struct.pack(">I3i", 0, *map(_fixed, vector))


def _profile(space: bytes, tags: list[tuple[bytes, bytes]]) -> bytes:
    """Write a display profile (ICC.1:2010) of version 4 with these tags and a white of D50."""
    tags = [(b"wtpt", _xyz(_d50())), *tags]
    at = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, contents in tags:
        table += name + struct.pack(">II", at + len(body), len(contents))
        body += contents
    header = bytearray(128)
    struct.pack_into(">I", header, 0, at + len(body))
    header[8:12] = b"\x04\x20\0\0"
    header[12:24] = b"mntr" + space + b"XYZ "
    header[36:40] = b"acsp"
    header[68:80] = _xyz(_d50())[8:]
    return bytes(header) + table + body
