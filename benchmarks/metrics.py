"""How far a picture is from another: errors that the benchmarks print, in float64."""

import importlib

import numpy as np
from numpy.typing import NDArray

TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
VALUES = np.arange(256) / 255
LIGHT = np.where(VALUES <= 0.04045, VALUES / 12.92, ((VALUES + 0.055) / 1.055) ** 2.4)
LUMA = np.array([0.299, 0.587, 0.114])  # Rec. 601


def mse(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Mean over the pixels of the squared distance, summed over the channels."""
    rows = (x.astype(np.int32) - y for x, y in zip(a, b, strict=True))
    return sum(int((row * row).sum()) for row in rows) / (a.shape[0] * a.shape[1])


def oklab(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Oklab of sRGB colours (..., 3) (Ottosson 2020)."""
    return np.asarray(np.cbrt(LIGHT[rgb] @ TO_LMS.T) @ TO_LAB.T)


def oklab_distances(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Of each pixel, times 100."""
    apart = oklab(a) - oklab(b)
    return np.asarray(100 * np.sqrt((apart * apart).sum(axis=-1)))


def blurred_distances(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float64]:
    """As `oklab_distances`, of what an eye at some distance mixes: 1.5 pixels, in linear light."""
    cv2 = importlib.import_module("cv2")
    one, two = (
        np.cbrt(np.maximum(cv2.GaussianBlur(LIGHT[x], (0, 0), 1.5), 0) @ TO_LMS.T) @ TO_LAB.T
        for x in (a, b)
    )
    return np.asarray(100 * np.sqrt(((one - two) ** 2).sum(axis=-1)))


def ssim(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Wang, Bovik, Sheikh & Simoncelli 2004: of luma, with a Gaussian window of 11 x 11."""
    cv2 = importlib.import_module("cv2")

    def blurred(plane: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = cv2.GaussianBlur(plane, (11, 11), 1.5)
        return found

    x, y = a @ LUMA, b @ LUMA
    mx, my = blurred(x), blurred(y)
    vx, vy = blurred(x * x) - mx * mx, blurred(y * y) - my * my
    both = blurred(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ratio = (2 * mx * my + c1) * (2 * both + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return float(ratio.mean())


def over(rgba: NDArray[np.uint8], backdrop: int | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What is seen of (H, W, 4) over a grey, or over (H, W, 3)."""
    alpha = rgba[..., 3:].astype(np.int32)
    mixed = alpha * rgba[..., :3] + (255 - alpha) * np.asarray(backdrop, np.int32)
    return ((mixed + 127) // 255).astype(np.uint8)


def checkerboard(height: int, width: int, side: int = 8) -> NDArray[np.uint8]:
    """The greys that editors show behind a picture, (H, W, 3)."""
    y, x = np.indices((height, width)) // side
    return np.repeat(np.where((x + y) % 2, 153, 102).astype(np.uint8)[..., None], 3, axis=2)
