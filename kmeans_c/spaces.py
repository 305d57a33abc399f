"""Where colours lie: integer coordinates 0..16383, so that distances are exact everywhere.

Of opaque colours, with V the channels 0..255 and v linear light 0..1 (IEC 61966-2-1):

srgb    64 V
linear  16320 v
oklab   16320 L, 16320 a + 8192, 16320 b + 8192             (Ottosson 2020)
lab     80 L, 80 a + 8192, 80 b + 8704                      (CIE 1976, white D65)

each rounded to the nearest, from tables whose every entry is the same on every machine: they are
made with floats, but none of them lies so near to a half that an error of the C library could
turn it (tests/test_spaces.py proves it); everything after them is whole numbers. The result is
within 0.52 of the real number. A grey image has the first coordinate alone: 64 V, 16320 v or
the lightness.

RGBA: the mean of the squared errors over black and over white. A colour x with alpha a shows as
a x + (1 - a) B over B, blended in the working space. With the middle m and half the distance h
between black and white, and d(...) the differences between two colours, the mean of the squared
distances of what shows is

    |d(a (x - m))|^2 + h^2 (d a)^2

which is the squared Euclidean distance in the coordinates

    m + a (x - m)               rounded, a half upwards
    h a                         rounded

Opaque colours keep their distances, all fully transparent colours are one point, a colour's error
counts as much as it is opaque, and an error of alpha as much as it shows. m is 8160, 8160, 8160 in
srgb and linear, 8160, 8192, 8192 in oklab, 4000, 8192, 8704 in lab; h is 8160 sqrt(3), 8160 and
4000. In srgb 64 v a is what is rounded, and the fourth coordinate is (454047 A + 4096) // 8192 for
A = 255 a.

CIE (1976). Colorimetry, part 4: CIE 1976 L*a*b* colour space (ISO/CIE 11664-4).
Ottosson, B. (2020). A perceptual color space for image processing.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kmeans_c._kernels import spaces as kernel
from kmeans_c.threads import team

SPACES = ("srgb", "linear", "oklab", "lab")

Coordinates = NDArray[np.int32]
Colors = NDArray[np.uint8]

# The kernels read whole vectors: this much beyond the last column.
PADDING = 64

# Colours a kernel call: some 30 ms, so that Ctrl-C is seen in time.
SLICE = 1 << 22
SHARE = 1 << 15  # colours that are worth a thread: some 200 us

# Linear light 1, and the value of a curve there, in the tables.
LIGHT = 1 << 30
CURVE = 1 << 24

# A curve's nodes are the float32 numbers of 8 bits after the point, from 2^12 to 2^30: but for
# black, no mixture of an 8-bit colour is below. Between two of them a cube root is straight to
# 4.2e-7.
OCTAVES = range(12, 30)
NODES = 256
LOWEST = 0x45800000  # the bits of 2^12 as a float32

# A coordinate's unit in the last product (the kernel's SHIFT).
UNIT = 1 << 40

# Linear sRGB to cone responses (Ottosson 2020), and to XYZ from the primaries and D65 of IEC
# 61966-2-1. Rows are divided by their sums: white is 1, 1, 1.
TO_LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
TO_XYZ = (
    (0.4123907992659595, 0.3575843393838780, 0.1804807884018343),
    (0.2126390058715104, 0.7151686787677559, 0.0721923153607337),
    (0.0193308187155918, 0.1191947797946259, 0.9505321522496608),
)
# Back again: where the search for the nearest colour begins.
FROM_LMS = (
    (4.0767416621, -3.3077115913, 0.2309699292),
    (-1.2684380046, 2.6097574011, -0.3413193965),
    (-0.0041960863, -0.7034186147, 1.7076147010),
)
FROM_XYZ = (  # of XYZ divided by the white's
    (3.0803990907, -1.5373831776, -0.5430159131),
    (-0.9212233589, 1.8759675015, 0.0452558574),
    (0.0528739390, -0.2039769589, 1.1511030199),
)

# The 27 steps of at most 1 in each channel, in the order of the colours that they lead to.
AROUND = np.stack(np.meshgrid(*[np.arange(-1, 2)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)


class Tables(NamedTuple):
    """What the kernels need of a space other than srgb.

    Attributes
    ----------
    greys : (256,) array of int32
        The first coordinate of each grey.
    depths : (256,) array of int32
        The fourth coordinate of each alpha.
    middle : (3,) array of int32
        Halfway between black and white.
    mixing : (3, 256, 4) array of int32
        What each value of a channel adds to the three mixtures, in parts of `LIGHT`.
    curve : (4610,) array of int32
        What becomes of a mixture, in parts of `CURVE`: 0, then all nodes but the first, then the
        last again.
    axes : (3, 4) array of int64
        What a constant, the second bent mixture and the differences of the first and of the third
        from it add to a coordinate, in parts of `UNIT` / `CURVE`.
    """

    greys: NDArray[np.int32]
    depths: NDArray[np.int32]
    middle: NDArray[np.int32]
    mixing: NDArray[np.int32]
    curve: NDArray[np.int32]
    axes: NDArray[np.int64]


def coordinates(colors: Colors, space: str = "srgb", *, n_threads: int = 1) -> Coordinates:
    """Return the coordinates of colours (n, channels) as planes (3 or 4, n + PADDING)."""
    channels = colors.shape[1]
    planes = np.zeros((max(3, channels), len(colors) + PADDING), np.int32)
    colors = np.ascontiguousarray(colors)
    if space == "srgb":
        kernel.coordinates(colors, planes)
        return planes
    tables = tables_of(space)
    n_threads = team(n_threads, len(colors), SHARE)
    for first in range(0, len(colors), SLICE):
        piece = colors[first : first + SLICE]
        if space == "linear" or channels == 1:
            kernel.take(piece, tables.greys, planes, first, n_threads)
        else:
            kernel.bend(
                piece, tables.mixing, tables.curve, tables.axes, planes, first, LOWEST, n_threads
            )
        if channels == 4:
            kernel.fade(piece, tables.middle, tables.depths, planes, first, n_threads)
    return planes


def nearest_colors(centroids: Coordinates, channels: int, space: str = "srgb") -> Colors:
    """Return the 8-bit colours (n, channels) at centroids (n, 3 or 4).

    In srgb halves go upwards. In other spaces it is the colour nearest by the coordinates, the
    lowest of equals; in oklab and lab, of the colours around the one that the inverse formulas
    give, and of those around that, as long as there is a nearer one. Alpha is found first.
    """
    if space != "srgb":
        return _nearest_colors(centroids, channels, space)
    if channels < 4:
        rounded: Colors = np.minimum((centroids[:, :channels] + 32) >> 6, 255).astype(np.uint8)
        return rounded
    alpha = np.minimum((16384 * centroids[:, 3:].astype(np.int64) + 454047) // 908094, 255)
    premultiplied = np.clip(centroids[:, :3] + 32 * alpha - 8160, 0, 64 * alpha)
    straight = (510 * premultiplied + 64 * alpha) // np.maximum(128 * alpha, 1)
    return np.concatenate([straight, alpha], axis=1).astype(np.uint8)


def units(space: str) -> int:
    """How many coordinates make one of the space's own units.

    From black to white there are 255 in srgb and linear, 1 in oklab, 100 in lab.
    """
    return {"srgb": 64, "linear": 64, "oklab": 16320, "lab": 80}[space]


def mean_squared_error(inertia: int, n_pixels: int, channels: int, space: str = "srgb") -> float:
    """Turn an inertia into the mean squared distance of a pixel, in the space's own units squared.

    An inertia is a sum of weight times squared distance of coordinates. In srgb and linear a
    grey's error counts in each of three channels, as it does for RGB; in oklab and lab it is one
    of lightness anyway.
    """
    shown = 3 if channels == 1 and space in ("srgb", "linear") else 1
    return inertia * shown / (units(space) ** 2 * n_pixels)


@cache
def tables_of(space: str) -> Tables:
    """Make the tables of "linear", "oklab" or "lab"."""
    light = _light()
    neutral = np.rint(LIGHT * light)
    share = np.array(TO_XYZ if space == "lab" else TO_LMS)
    parts = share[:, np.newaxis, :] / share.sum(axis=1)[:, np.newaxis, np.newaxis]
    mixing = np.zeros((3, 256, 4))
    mixing[:, :, :3] = np.rint(LIGHT * light[:, np.newaxis] * parts).transpose(2, 1, 0)
    # The three mixtures of a grey are exactly one number, and its chroma is exactly 0.
    mixing[2, :, :3] = neutral[:, np.newaxis] - mixing[0, :, :3] - mixing[1, :, :3]
    nodes = np.concatenate([2.0**octave * (1 + np.arange(NODES) / NODES) for octave in OCTAVES])
    nodes[0] = 0
    bent = _bent(np.append(nodes, [LIGHT, LIGHT]) / LIGHT, space)
    alphas = np.arange(256)
    if space == "lab":
        axes = 80 * np.array([[-16, 116, 0, 0], [0, 0, 500, 0], [0, 0, 0, -200]], float)
        middle, zero = [4000, 8192, 8704], [0, 8192, 8704]
        depths = (4000 * alphas + 127) // 255
    elif space == "oklab":
        axes = 16320 * np.array(
            [
                [0, 1, 0.2104542553, -0.0040720468],
                [0, 0, 1.9779984951, 0.4505937099],
                [0, 0, 0.0259040371, -0.8086757660],
            ]
        )
        middle, zero = [8160, 8192, 8192], [0, 8192, 8192]
        depths = 32 * alphas
    else:
        axes = np.zeros((3, 4))
        middle, zero = [8160] * 3, [0] * 3
        depths = (454047 * alphas + 4096) // 8192
    axes[:, 0] = (axes[:, 0] + zero + 0.5) * CURVE
    tables = Tables(
        np.rint(16320 * light).astype(np.int32),
        depths.astype(np.int32),
        np.array(middle, np.int32),
        mixing.astype(np.int32),
        np.rint(CURVE * bent).astype(np.int32),
        np.rint(axes * (UNIT // CURVE)).astype(np.int64),
    )
    if space == "linear":
        return tables
    planes = np.zeros((3, 256), np.int32)
    greys = np.repeat(alphas.astype(np.uint8)[:, np.newaxis], 3, axis=1)
    kernel.bend(greys, tables.mixing, tables.curve, tables.axes, planes, 0, LOWEST, 1)
    return tables._replace(greys=planes[0].copy())


def _light() -> NDArray[np.float64]:
    """Linear light of the 256 channel values."""
    value = np.arange(256) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _bent(light: NDArray[np.float64], space: str) -> NDArray[np.float64]:
    root = np.cbrt(light)
    if space == "lab":
        return np.where(light > (6 / 29) ** 3, root, light * (841 / 108) + 4 / 29)
    return root


def _nearest_colors(centroids: Coordinates, channels: int, space: str) -> Colors:
    tables = tables_of(space)
    if channels == 1:
        return _nearest_steps(tables.greys, centroids[:, :1])
    if channels == 3:
        return _nearest_opaque(centroids, space)
    alpha = _nearest_steps(tables.depths, centroids[:, 3:])
    whole = np.maximum(alpha, 1).astype(np.int64)
    away = (510 * (centroids[:, :3] - tables.middle) + whole) // (2 * whole)
    opaque = np.clip(tables.middle + away, 0, 16383).astype(np.int32)
    return np.concatenate([_nearest_opaque(opaque, space) * (alpha > 0), alpha], axis=1)


def _nearest_opaque(centroids: Coordinates, space: str) -> Colors:
    if space == "linear":
        return _nearest_steps(tables_of(space).greys, centroids)
    # Only + - * decide here, each rounded by itself: the same everywhere.
    x, y, z = (centroids.astype(np.float64) - tables_of(space).middle).T / units(space)
    if space == "oklab":
        bent = (
            x + 0.5 + 0.3963377774 * y + 0.2158037573 * z,
            x + 0.5 - 0.1055613458 * y - 0.0638541728 * z,
            x + 0.5 - 0.0894841775 * y - 1.2914855480 * z,
        )
        mixed = [f * f * f for f in bent]
        rows = FROM_LMS
    else:
        middle = (x + 66) / 116
        bent = (middle + y / 500, middle, middle - z / 200)
        mixed = [np.where(f > 6 / 29, f * f * f, (f - 4 / 29) * (108 / 841)) for f in bent]
        rows = FROM_XYZ
    light = [LIGHT * (a * mixed[0] + b * mixed[1] + c * mixed[2]) for a, b, c in rows]
    steps = tables_of(space).mixing.sum(axis=0)[:, 0]  # of a grey
    start = _nearest_steps(steps, np.clip(np.stack(light, axis=1), 0, LIGHT).astype(np.int64))
    return _descended(start, centroids, space)


def _descended(colors: Colors, centroids: Coordinates, space: str) -> Colors:
    """Go on to the nearest, first, of the colours around as long as that changes anything."""
    colors = colors.copy()
    left = np.arange(len(colors))
    while len(left):
        around = np.clip(colors[left, np.newaxis].astype(np.int64) + AROUND, 0, 255)
        around = around.astype(np.uint8)
        planes = coordinates(around.reshape(-1, 3), space)[:, : around.size // 3]
        away = planes.reshape(3, len(left), -1) - centroids[left].T[:, :, np.newaxis]
        nearest = around[np.arange(len(left)), (away * away).sum(axis=0).argmin(axis=1)]
        moved = (nearest != colors[left]).any(axis=1)
        colors[left] = nearest
        left = left[moved]
    return colors


def _nearest_steps(steps: NDArray[np.int32], values: NDArray[np.integer]) -> Colors:
    """The index of the nearest of 256 ascending numbers, the first of equals."""
    between = steps[:-1].astype(np.int64) + steps[1:]
    return np.searchsorted(between, 2 * values.astype(np.int64)).astype(np.uint8)
