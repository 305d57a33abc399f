"""Targets instead of numbers of colours: how it shall look, what may be lost, what it may weigh.

Errors and sizes fall and grow with K, if not at every step; so K is found by bisection. What is
returned was really tried and meets its target, and with one colour less, also tried, it would not
have: at another error K may change sides again. A stricter target never gives fewer colours, as
bisection asks the same K first and then only turns elsewhere where the answer differs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kmeans_c import spaces
from kmeans_c.checks import check_choice, check_float, check_int
from kmeans_c.clustering import Clusters, Fit, fit
from kmeans_c.colors import alike
from kmeans_c.dithering import DITHERS, check_strength
from kmeans_c.encoding import MAX_COLORS, check_format, encode, encode_smallest
from kmeans_c.errors import mean_squared_error
from kmeans_c.histogram import Histogram
from kmeans_c.images import as_pixels
from kmeans_c.mapping import map_counted
from kmeans_c.method import INITS, Method, as_method
from kmeans_c.perceptual import NOTICEABLE, Judge
from kmeans_c.png import MOST_OPTIMIZE, OPTIMIZE, chained, used
from kmeans_c.quantize import SHARE, Quantized, mapped
from kmeans_c.rate import MOST_LOSS, smooth
from kmeans_c.seeding import Draw
from kmeans_c.target_text import MOST_QUALITY, parse_quality
from kmeans_c.threads import team, thread_count

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

# `quantize_auto`: besides the mean, this share of the pixels, so that no object is left out,
# must be within so many times the threshold.
MOST_PIXELS = 99.0
FAR = 3.0

# The MSE of a JPEG (4:4:4) of quality q is this many times the percentage by which q scales its
# tables, in the geometric mean of CQ100's pictures: 1.33 at q = 50, 1.52 at 75, 1.53 at 90, 1.42
# at 95.
MSE_A_PERCENT = 1.5

# dB that `quantize_to_size` tries to give up for fewer bytes, so that more colours fit: on photos
# the error is mostly least between 1.6 and 3.2. Where 1.6 lowers it 3.2 may lower it more, where it
# does not 0.4 may.
LOSS, MORE_LOSS, LESS_LOSS = 1.6, 3.2, 0.4

# Files tried for each of them, and the share of the bytes from which on more colours are not worth
# another file.
TRIALS = 4
FULL = 0.98


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


class Sized(NamedTuple):
    """What `quantize_to_size` found.

    Attributes
    ----------
    quantized : Quantized
        What the file shows.
    data : bytes
        The contents of the file.
    format : str
        Of the file.
    lossy : float
        dB of PSNR that were allowed for fewer bytes, see `rate.smooth`; 0: none.
    """

    quantized: Quantized
    data: bytes
    format: str
    lossy: float


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
    source = _Source(
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
    source = _Source(
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
) -> Sized:
    """Reduce an image to what fits into a number of bytes, with the least error.

    Each candidate is really encoded. As many colours are taken as fit; then more colours, whose
    indices are chosen to take fewer bytes [1]_, as long as that lowers the error.

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
    n_bytes = check_int("n_bytes", n_bytes, 1)
    kind = "auto" if format == "auto" else check_format(format)
    optimize = check_int("optimize", optimize, 0, MOST_OPTIMIZE)
    lossy = check_float("lossy", lossy, 0, MOST_LOSS)
    source = _Source(
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
    if kind == "gif" and source.histogram.has_transparent:
        # One colour for what is opaque and what is clear would be neither.
        source.least = min(max(2, source.least), source.most)
    files = _Files(source, kind, optimize)
    best = files.largest(n_bytes, 0.0, source.least, source.most, 2 * MAX_COLORS)
    if best is None:
        reached = len(files.encoded(source.least, 0.0).data)
        raise TargetNotMet(
            f"n_bytes: expected at least {reached}, which {source.least} colours take, "
            f"got {n_bytes}",
            reached,
        )
    if dither != "none" or kind == "jpeg" or source.most == best.K:
        return best.sized
    if lossy:
        plain = best
        best = files.better(plain, n_bytes, min(LOSS, lossy))
        loss = min(LESS_LOSS if best is plain else MORE_LOSS, lossy)
        best = files.better(best, n_bytes, loss)
    return best.sized


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


class _Source:
    """A counted image, and the fits that were made of it."""

    def __init__(
        self,
        image: Any,
        *,
        most: int,
        ITERS: int | None,
        init: str,
        effort: str,
        space: str,
        keep: ArrayLike | None,
        dither: str,
        dither_strength: float,
        seed: int | np.random.Generator | None,
        n_threads: int | None,
    ) -> None:
        most = check_int("K", most, 1, MAX_COLORS)
        self.ITERS = None if ITERS is None else check_int("ITERS", ITERS, 0)
        check_choice("init", init, INITS)
        # Every fit starts from the same seed, as its own `quantize` would.
        self.seed = seed if hasattr(seed, "__index__") else Draw(seed).word()
        self.options: dict[str, Any] = {
            "init": init, "effort": effort, "space": space, "keep": keep,
        }  # fmt: skip
        self.method = self._method(most)
        self.space = self.method.space
        self.dither = check_choice("dither", dither, DITHERS)
        check_strength(dither_strength)
        self.dither_strength = dither_strength
        pixels = as_pixels(image)
        if len(self.method.keep):
            pixels, self.options["keep"] = alike(pixels, self.method.keep)
        elif pixels.ndim == 2:
            pixels = pixels[:, :, np.newaxis]
        self.pixels = pixels
        n_pixels = pixels.shape[0] * pixels.shape[1]
        self.n_threads = team(thread_count(n_threads), n_pixels, SHARE)
        self.histogram = Histogram(pixels.shape[2]).add(pixels, n_threads=self.n_threads)
        self.least = max(1, len(self.method.keep))
        self.most = max(self.least, min(most, len(self.histogram) + len(self.method.keep)))
        self.clusters: Clusters | None = None
        self.fits: dict[int, Fit] = {}

    def fit(self, K: int) -> Fit:
        if K not in self.fits:
            if self.clusters is None and len(self.histogram) > self.least:
                self.clusters = Clusters(self.histogram, self.n_threads, self.space)
            self.fits[K] = fit(
                self.histogram,
                K,
                self.ITERS,
                self._method(K),
                n_threads=self.n_threads,
                clusters=self.clusters,
            )
        return self.fits[K]

    def mse(self, K: int) -> float:
        """The error without dithering."""
        found = self.fit(K)
        if self.space == "srgb":
            shape = self.pixels.shape
            return spaces.mean_squared_error(found.inertia, shape[0] * shape[1], shape[2])
        indices = map_counted(
            self.pixels, self.histogram, found.palette, found.owners, self.space,
            n_threads=self.n_threads,
        )  # fmt: skip
        return mean_squared_error(self.pixels, found.palette, indices, n_threads=self.n_threads)

    def quantized(self, K: int) -> Quantized:
        return mapped(
            self.pixels,
            self.histogram,
            self.fit(K),
            space=self.space,
            dither=self.dither,
            dither_strength=self.dither_strength,
            n_threads=self.n_threads,
        )

    def _method(self, K: int) -> Method:
        return as_method(K, seed=self.seed, **self.options)


class _File(NamedTuple):
    K: int
    sized: Sized

    @property
    def data(self) -> bytes:
        return self.sized.data


class _Files:
    """What an image takes as a file, for each K and loss."""

    def __init__(self, source: _Source, kind: str, optimize: int) -> None:
        self.source = source
        self.kind = kind
        self.optimize = optimize
        grey = source.pixels.shape[2] == 1
        self.pixels = source.pixels[:, :, 0] if grey else source.pixels
        # Only PNG has filters.
        filtered = kind in ("png", "ico", "auto")
        self.coders: tuple[str, ...] = ("matches", "residuals") if filtered else ("matches",)

    def largest(
        self, n_bytes: int, loss: float, least: int, start: int, trials: int
    ) -> _File | None:
        """The file of the most colours, at least `least`, that fits, or of nearly the most.

        None if none of so many trials fits. Without loss, and with trials enough, one colour more
        would not fit.
        """
        found: _File | None = None
        low, high, K = least, self.source.most + 1, start
        for trial in range(trials):
            file = self.encoded(K, loss)
            size = len(file.data)
            if size <= n_bytes:
                found, low = file, K + 1
            else:
                high = K
            if low >= high or (size <= n_bytes and loss and size > FULL * n_bytes):
                break
            # Bytes grow with about K ** 0.4; a power of floats could differ between machines.
            ratio = n_bytes / size
            guess = int(min(K * ratio * ratio * math.sqrt(ratio), high))
            # Every second step halves what is left, so that this ends.
            K = max(low, min(high - 1, guess)) if trial % 2 == 0 else (low + high) // 2
        return found

    def better(self, best: _File, n_bytes: int, loss: float) -> _File:
        """Whichever has the lower error, this file or one with more loss and more colours."""
        if loss == best.sized.lossy:
            return best
        start = min(self.source.most, best.K + 1 + best.K // 2)
        other = self.largest(n_bytes, loss, best.K, start, TRIALS)
        if other is None or other.sized.quantized.mse >= best.sized.quantized.mse:
            return best
        return other

    def encoded(self, K: int, loss: float) -> _File:
        quantized = self.source.quantized(K)
        if not loss:
            return _File(K, self._sized(quantized, 0.0))
        files = []
        for coder in self.coders:
            palette, indices = chained(quantized.palette, quantized.indices)
            smoothed, extra = smooth(
                self.pixels, palette, indices, loss,
                coder=coder, n_threads=self.source.n_threads,
            )  # fmt: skip
            # Never negative, even if another thread has changed the pixels since.
            mse = max(0.0, quantized.mse + extra / (spaces.units("srgb") ** 2 * indices.size))
            if not len(self.source.method.keep):
                palette, smoothed = used(palette, smoothed)
            counts = np.bincount(smoothed.ravel(), minlength=len(palette))
            shown = Quantized(palette, smoothed, counts, mse, quantized.n_iter)
            files.append(self._sized(shown, loss))
        sizes = [len(file.data) for file in files]
        best = sizes.index(min(sizes))
        # What compresses an image's rows best once does so again.
        self.coders = self.coders[best : best + 1]
        return _File(K, files[best])

    def _sized(self, quantized: Quantized, loss: float) -> Sized:
        palette, indices = quantized.palette, quantized.indices
        if self.kind == "auto":
            kind, data = encode_smallest(palette, indices, optimize=self.optimize)
        else:
            kind, data = self.kind, encode(palette, indices, self.kind, optimize=self.optimize)
        return Sized(quantized, data, kind, loss)
