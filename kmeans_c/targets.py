"""Targets instead of numbers of colours: how it shall look, what may be lost, what it may weigh.

Errors and sizes fall and grow with K, if not at every step; so K is found by bisection. What is
returned was really tried and meets its target, and with one colour less, also tried, it would not
have: at another error K may change sides again. A stricter target never gives fewer colours, as
bisection asks the same K first and then only turns elsewhere where the answer differs.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from kmeans_c.alpha import is_nearly_opaque, over_white
from kmeans_c.checks import check_float, check_int
from kmeans_c.counted_image import CountedImage
from kmeans_c.encoding import MAX_COLORS, OPAQUE_FORMATS, check_format, check_holds
from kmeans_c.images import as_pixels
from kmeans_c.perceptual import NOTICEABLE, Judge
from kmeans_c.png import MOST_OPTIMIZE, OPTIMIZE
from kmeans_c.rate import MOST_LOSS
from kmeans_c.size_search import Candidate, Sized, SizeSearch
from kmeans_c.target_text import MOST_QUALITY, parse_quality

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import ArrayLike

    from kmeans_c.images.metadata import Metadata
    from kmeans_c.quantize import Quantized

# `quantize_auto`: besides the mean, this share of the pixels, so that no object is left out,
# must be within so many times the threshold.
MOST_PIXELS = 99.0
FAR = 3.0

# The MSE of a JPEG (4:4:4) of quality q is this many times the percentage by which q scales its
# tables, in the geometric mean of CQ100's pictures: 1.33 at q = 50, 1.52 at 75, 1.53 at 90, 1.42
# at 95.
MSE_A_PERCENT = 1.5


class TargetNotMet(ValueError):  # noqa: N818 - what happened, not what was done wrong
    """No number of colours that was allowed meets the target.

    Attributes
    ----------
    reached : float
        The nearest to it: the highest quality, or the fewest bytes.
    """

    def __init__(self, message: str, reached: float) -> None:
        super().__init__(message)
        self.reached = reached


def quantize_auto(
    image: Any,
    threshold: float = NOTICEABLE,
    *,
    K: int = MAX_COLORS,
    ITERS: int | None = 10,
    init: str = "search",
    effort: str = "balanced",
    space: str = "srgb",
    keep: ArrayLike | None = None,
    dither: str = "none",
    dither_strength: float = 1.0,
    seed: int | np.random.Generator | None = 0,
    n_threads: int | None = None,
) -> Quantized:
    """Reduce an image to the fewest colours that look like it.

    They do if the mean distance of the pixels from their entries, in Oklab times 100, is at most
    `threshold`, and 99 % of the pixels are within three times that, so that no part of the picture
    is left out. Two plain areas side by side can just be told apart at 2; in a picture, where
    neighbours differ anyway, a mean of that shows only to somebody who compares.

    Parameters
    ----------
    image : path, binary file object, PIL.Image.Image or array of uint8
        As for `quantize`.
    threshold : float
        0..100.
    K : int
        1..256: colours at most. They are used all where fewer do not meet the threshold, and these
        neither.
    ITERS, init, effort, space, keep, dither, dither_strength, seed, n_threads
        As for `quantize`; `init` is a word. Distances are those without dithering.

    Returns
    -------
    Quantized
        What `quantize` gives for that K.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, or impossible.
    OSError
        If a file cannot be read or is damaged.
    """
    threshold = check_float("threshold", threshold, 0, 100)
    source = CountedImage(
        image,
        most=K,
        ITERS=ITERS,
        init=init,
        effort=effort,
        space=space,
        keep=keep,
        dither=dither,
        dither_strength=dither_strength,
        seed=seed,
        n_threads=n_threads,
    )
    judge = Judge(source.histogram, source.n_threads)

    def meets(K: int) -> bool:
        found = source.fit(K)
        seen = judge.differences(found.palette, found.owners)
        return seen.mean <= threshold and seen.percentile(MOST_PIXELS) <= FAR * threshold

    return source.quantized(_fewest(meets, source.least, source.most) or source.most)


def quantize_quality(
    image: Any,
    quality: str | int | tuple[int, int],
    *,
    K: int = MAX_COLORS,
    ITERS: int | None = 10,
    init: str = "search",
    effort: str = "balanced",
    space: str = "srgb",
    keep: ArrayLike | None = None,
    dither: str = "none",
    dither_strength: float = 1.0,
    seed: int | np.random.Generator | None = 0,
    n_threads: int | None = None,
) -> Quantized:
    """Reduce an image to the fewest colours that have a quality.

    Parameters
    ----------
    image : path, binary file object, PIL.Image.Image or array of uint8
        As for `quantize`.
    quality : str, or int, or (int, int)
        From `low` to `high`, as "65-80", see `target_text.parse_quality`, or (65, 80); 80 is "80".
        A quality of q stands for an MSE, see `error_of_quality`.
    K : int
        1..256: colours at most.
    ITERS, init, effort, space, keep, dither, dither_strength, seed, n_threads
        As for `quantize`; `init` is a word. Errors are those without dithering.

    Returns
    -------
    Quantized
        The fewest colours with the quality `high`, or else as many as are allowed, if they have at
        least `low`.

    Raises
    ------
    TargetNotMet
        If K colours do not have the quality `low`.
    TypeError, ValueError
        If an argument is of the wrong kind, or impossible.
    OSError
        If a file cannot be read or is damaged.
    """
    low, high = as_quality(quality)
    source = CountedImage(
        image,
        most=K,
        ITERS=ITERS,
        init=init,
        effort=effort,
        space=space,
        keep=keep,
        dither=dither,
        dither_strength=dither_strength,
        seed=seed,
        n_threads=n_threads,
    )
    most = source.mse(source.most)
    if most > error_of_quality(low):
        reached = quality_of_error(most)
        raise TargetNotMet(
            f"quality: expected at least {low}, got {reached} with {source.most} colours", reached
        )
    error = error_of_quality(high)
    found = _fewest(lambda K: source.mse(K) <= error, source.least, source.most)
    return source.quantized(found or source.most)


def quantize_to_size(
    image: Any,
    n_bytes: int,
    *,
    format: str = "png",  # noqa: A002 - Pillow's name
    optimize: int = OPTIMIZE,
    lossy: float = MOST_LOSS,
    K: int = MAX_COLORS,
    ITERS: int | None = 10,
    init: str = "search",
    effort: str = "balanced",
    space: str = "srgb",
    keep: ArrayLike | None = None,
    dither: str = "none",
    dither_strength: float = 1.0,
    seed: int | np.random.Generator | None = 0,
    n_threads: int | None = None,
    metadata: Metadata | None = None,
    policy: str = "safe",
) -> Sized:
    """Reduce an image to what fits into a number of bytes, with the least error.

    The candidates are images of 1 to K colours, as they are and with more colours whose indices are
    chosen to take fewer bytes [1]_. They do not depend on `n_bytes`, and the one of least error
    that is found to fit is returned: more bytes never give a larger error. For a JPEG, which holds
    no palette, they are the qualities 1 to 100 of the image of K colours, with and without
    subsampling.

    Parameters
    ----------
    image : path, binary file object, PIL.Image.Image or array of uint8
        As for `quantize`.
    n_bytes : int
        At least 1. See `target_text.parse_size` for "50K".
    format : str
        As for `encoding.encode`, or "auto", see `encoding.encode_smallest`.
    optimize : int
        0..6: how hard the encoder tries, see `png.encode_png`.
    lossy : float
        0..20: up to how many dB of PSNR indices may lose for fewer bytes, see `rate.smooth`; 0:
        none. Not used with dithering, which it would undo, nor for JPEG.
    K : int
        1..256: colours at most.
    ITERS, init, effort, space, keep, dither, dither_strength, seed, n_threads
        As for `quantize`; `init` is a word.
    metadata, policy
        As for `encoding.encode`; their bytes count. Default: none.

    Returns
    -------
    Sized
        ``len(data) <= n_bytes``.

    Raises
    ------
    TargetNotMet
        If not even one colour fits.
    TypeError, ValueError
        If an argument is of the wrong kind, or impossible; if the format cannot hold the image.
    OSError
        If a file cannot be read or is damaged.

    References
    ----------
    .. [1] Chou, P. A., Lookabaugh, T. and Gray, R. M. (1989). Entropy-constrained vector
       quantization. IEEE Trans. Acoustics, Speech and Signal Processing 37(1), 31-42.
    """
    return encoded_to_size(
        image,
        n_bytes,
        format=format,
        optimize=optimize,
        lossy=lossy,
        K=K,
        ITERS=ITERS,
        init=init,
        effort=effort,
        space=space,
        keep=keep,
        dither=dither,
        dither_strength=dither_strength,
        seed=seed,
        n_threads=n_threads,
        metadata=metadata,
        policy=policy,
    ).sized


def encoded_to_size(
    image: Any,
    n_bytes: int,
    *,
    format: str,  # noqa: A002 - as in quantize_to_size
    optimize: int,
    lossy: float,
    K: int,
    metadata: Metadata | None = None,
    policy: str = "safe",
    **options: Any,
) -> Candidate:
    """Do what `quantize_to_size` does, and say how a JPEG was encoded."""
    n_bytes = check_int("n_bytes", n_bytes, 1)
    kind = "auto" if format == "auto" else check_format(format)
    optimize = check_int("optimize", optimize, 0, MOST_OPTIMIZE)
    lossy = check_float("lossy", lossy, 0, MOST_LOSS)
    pixels = as_pixels(image)
    check_holds(kind, pixels.shape[1], pixels.shape[0])
    if kind in OPAQUE_FORMATS and pixels.shape[2:] == (4,) and is_nearly_opaque(pixels):
        pixels = over_white(pixels)
    source = CountedImage(pixels, most=K, **options)
    if kind == "jpeg":
        from kmeans_c.jpeg.size import JpegSizeSearch  # noqa: PLC0415 - others need none of it

        of_jpeg = JpegSizeSearch(source, metadata, policy)
        best, fewest = of_jpeg.best(n_bytes), of_jpeg.fewest
    else:
        if source.dither != "none":
            lossy = 0.0
        search = SizeSearch(source, kind, optimize, metadata=metadata, policy=policy)
        best, fewest = search.best(n_bytes, lossy), partial(search.fewest, lossy)
    if best is None:
        reached = fewest()
        raise TargetNotMet(
            f"n_bytes: expected at least {reached}, which {source.least} colours take, "
            f"got {n_bytes}",
            reached,
        )
    return best


def error_of_quality(quality: int) -> float:
    """Give the largest MSE that counts as a quality.

    It is about that of a JPEG of this quality: 1.5 times the percentage by which libjpeg scales its
    tables, which is 200 - 2 q from q = 50 on, and 5000 / q below.

    Parameters
    ----------
    quality : int
        0 (anything) to 100 (nothing is lost).

    Returns
    -------
    float
        As `Quantized.mse`.
    """
    quality = check_int("quality", quality, 0, MOST_QUALITY)
    if quality == 0:
        return math.inf
    return MSE_A_PERCENT * (200 - 2 * quality if quality >= 50 else 5000 / quality)


def quality_of_error(mse: float) -> int:
    """Give the highest quality that an MSE counts as, 0..100; see `error_of_quality`."""
    return max(q for q in range(MOST_QUALITY + 1) if mse <= error_of_quality(q))


def as_quality(quality: str | int | tuple[int, int]) -> tuple[int, int]:
    """Check the argument `quality`, and give the lowest and the highest."""
    if isinstance(quality, str):
        return parse_quality(quality)
    if isinstance(quality, tuple | list):
        if len(quality) != 2:
            raise ValueError(f"quality: expected (low, high), got {len(quality)} numbers")
        low, high = (check_int("quality", q, 0, MOST_QUALITY) for q in quality)
        if low > high:
            raise ValueError(f"quality: expected low <= high, got {(low, high)}")
        return low, high
    return parse_quality(str(check_int("quality", quality, 0, MOST_QUALITY)))


def _fewest(meets: Callable[[int], bool], least: int, most: int) -> int | None:
    """The K that meets where K - 1 does not, by bisection; None if `most` does not."""
    if not meets(most):
        return None
    below = least - 1
    while most - below > 1:
        middle = (below + most) // 2
        if meets(middle):
            most = middle
        else:
            below = middle
    return most
