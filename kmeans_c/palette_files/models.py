"""HSB, CMYK, grey and Lab as sRGB bytes, by the same arithmetic on every machine.

Integers, or floats that are only added, subtracted, multiplied, divided and compared: a power from
libm may differ in its last bit. Halves go upwards.
"""

from bisect import bisect_right
from fractions import Fraction
from functools import cache

from kmeans_c.color_text import Color

# The white of Lab in Adobe's files, D50, as ICC.1 gives it; and XYZ under it to linear sRGB, with
# Bradford's adaptation to D65 (B. Lindbloom, RGB/XYZ Matrices).
_D50 = (0.9642, 1.0, 0.8249)
_FROM_XYZ = (
    (3.1338561, -1.6168667, -0.4906146),
    (-0.9787684, 1.9161415, 0.0334540),
    (0.0719453, -0.2289914, 1.4052427),
)


def from_unit(value: int, one: int) -> int:
    """Scale 0..`one` to 0..255."""
    return (2 * 255 * value + one) // (2 * one)


def from_hsb(hue: int, saturation: int, brightness: int, one: int) -> Color:
    """Convert hue (0..`one` is a full turn), saturation and brightness, each 0..`one`."""
    channels = []
    for sector in (5, 3, 1):
        at = (sector * one + 6 * hue) % (6 * one)
        chroma = max(0, min(at, 4 * one - at, one))
        channels.append(from_unit(brightness * (one * one - saturation * chroma), one**3))
    return tuple(channels)


def from_cmyk(cyan: int, magenta: int, yellow: int, black: int, one: int) -> Color:
    """Convert inks, 0..`one`, without a profile: each takes its share of the light away."""
    paper = one - black
    return tuple(from_unit((one - ink) * paper, one * one) for ink in (cyan, magenta, yellow))


def from_lab(lightness: float, a: float, b: float) -> Color:
    """Convert CIELAB under D50: lightness 0..100, a and b -128..127; clipped to what sRGB has."""
    middle = (lightness + 16) / 116
    xyz = [
        white * _cubed(f)
        for white, f in zip(_D50, (middle + a / 500, middle, middle - b / 200), strict=True)
    ]
    return tuple(
        _encoded(sum(factor * value for factor, value in zip(row, xyz, strict=True)))
        for row in _FROM_XYZ
    )


def _cubed(f: float) -> float:
    """Invert CIE's cube root, which is a line near black."""
    return f * f * f if f > 6 / 29 else (f - 16 / 116) * 108 / 841


def _encoded(linear: float) -> int:
    """Find the byte of a linear value: how many borders between two bytes it reaches."""
    value = max(linear, 0.0)
    return bisect_right(_borders(), value * value * value * value * value)


@cache
def _borders() -> list[float]:
    """Where half a level is reached, as fifth powers of linear values.

    sRGB's curve is ((v + 0.055) / 1.055) ** 2.4, whose fifth power is a twelfth power, and
    rational: so the borders are exact before they become floats.
    """
    borders = []
    for level in range(255):
        v = Fraction(2 * level + 1, 510)
        if v <= Fraction(4045, 100_000):
            fifth = (v / Fraction(1292, 100)) ** 5
        else:
            fifth = ((v + Fraction(55, 1000)) / Fraction(1055, 1000)) ** 12
        borders.append(float(fifth))
    return borders
