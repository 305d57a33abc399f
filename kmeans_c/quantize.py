"""The pipeline on one page: pixels, distinct colours, palette, indices."""

# np.random in annotations would import it, a tenth of this package's own import time.
from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from kmeans_c import encoding, files, spaces
from kmeans_c.checks import check_choice, check_int
from kmeans_c.clustering import Fit, assign, fit
from kmeans_c.colors import MAX_ENTRIES, alike, in_rgb
from kmeans_c.dithering import DITHERS, check_strength
from kmeans_c.dithering import dither as dithered
from kmeans_c.errors import mean_squared_error
from kmeans_c.given import Table, check_strict
from kmeans_c.histogram import Histogram
from kmeans_c.images import as_indexed, as_pixels
from kmeans_c.images.indexed import Indexed
from kmeans_c.integrity import as_quantized, check_error
from kmeans_c.mapping import map_counted
from kmeans_c.method import as_method
from kmeans_c.palette import Palette
from kmeans_c.png import OPTIMIZE
from kmeans_c.saving import proof_of
from kmeans_c.threads import team, thread_count
from kmeans_c.weights import as_importance

_DISTINCT = "_distinct_colors"  # no field: a copy with other values has none

SHARE = 1 << 18  # pixels that are worth a thread: some 5 ms


@dataclass(frozen=True, eq=False)
class Quantized:
    """An image of at most K colours: what `quantize` returns.

    Attributes
    ----------
    palette : (n, 3) or (n, 4) array of uint8
        The colours, all distinct and all used: RGB, or RGBA if the image has transparency. A fully
        transparent entry comes first, the others follow from dark to light. A palette that was
        given is here as it was, followed by (0, 0, 0, 0) if the image has fully transparent pixels
        and the palette had no such entry.
    indices : (H, W) array of uint8, or of uint16 if there are more than 256 colours
        The palette entry of each pixel.
    counts : (n,) array of int64
        Pixels of each entry; their sum is H * W.
    mse : float
        Mean over the pixels of the squared distance between the pixel and its entry, summed over
        red, green and blue, which go from 0 to 255, in whatever space the palette was found. With
        transparency it is the mean of the distances seen over black and over white.
    n_iter : int
        Rounds of Lloyd's algorithm; 0 where the image has no more than K colours.
    given : bool
        Whether the palette was given: files then hold it as it is, with its order, its unused and
        its double entries.
    """

    palette: NDArray[np.uint8]
    indices: NDArray[np.uint8]
    counts: NDArray[np.int64]
    mse: float
    n_iter: int
    given: bool = False

    @property
    def psnr(self) -> float:
        """Peak signal-to-noise ratio in dB, over pixels and channels; infinite if lossless."""
        check_error("quantized.mse", self.mse)
        return 10 * math.log10(3 * 255**2 / self.mse) if self.mse else math.inf

    def to_array(self) -> NDArray[np.uint8]:
        """The image as (H, W, 3) or (H, W, 4) uint8."""
        own = as_quantized("quantized", self)
        return own.palette[own.indices]

    def to_pil(self) -> Image.Image:
        """The image as a Pillow image of mode P, with the palette and its transparency."""
        own = as_quantized("quantized", self)
        return encoding.indexed_image(own.palette, own.indices)

    def _repr_png_(self) -> bytes:
        from kmeans_c.views.display import quantized_png  # noqa: PLC0415 - only notebooks ask

        return quantized_png(self)

    def save(
        self,
        path: str | os.PathLike[str] | IO[bytes],
        format: str | None = None,  # noqa: A002 - Pillow's name
        *,
        overwrite: bool = False,
        optimize: int = OPTIMIZE,
        jpeg_quality: int | None = None,
        subsampling: str | None = None,
    ) -> None:
        """Write the image to a file, whole or not at all.

        Parameters
        ----------
        path : path or binary file object
            The ending names the format unless `format` does.
        format : str, optional
            "png", "jpeg", "gif", "webp", "bmp", "tiff" or "ico".
        overwrite : bool
            Whether an existing file may be replaced.
        optimize : int
            0..6: how long a smaller PNG or WebP is looked for.
        jpeg_quality : int, optional
            1..100, libjpeg's quality of a JPEG; 92 by default.
        subsampling : {"4:4:4", "4:2:2", "4:2:0"}, optional
            Of a JPEG's chroma; 4:4:4 by default.

        Raises
        ------
        FileExistsError
            If the file exists and `overwrite` is not set.
        ValueError
            If no format is known by that name or ending, or it cannot hold the image.
        OSError
            If the file cannot be written, or would not show the image; an existing one is then as
            it was, and nothing is written to a file object that would not show it.
        """
        if not isinstance(path, str | os.PathLike) and not hasattr(path, "write"):
            got = type(path).__name__
            raise TypeError(f"path: expected a path or a binary file object, got {got}")
        own = as_quantized("quantized", self)
        kind = encoding.format_for(path) if format is None else encoding.check_format(format)
        options: dict[str, Any] = {
            "keep_palette": own.given,
            "jpeg_quality": jpeg_quality,
            "subsampling": subsampling,
        }
        data = encoding.encode(own.palette, own.indices, kind, optimize=optimize, **options)
        shows = proof_of(own.palette, own.indices, kind, **options)
        if isinstance(path, str | os.PathLike):
            files.atomic_write(path, data, overwrite=overwrite, verify=shows)
            return
        if not shows(data):
            raise OSError("path: the file would not show what it should")
        path.write(data)


def quantize(
    image: Any,
    K: int = 16,
    ITERS: int | None = 10,
    *,
    palette: Palette | ArrayLike | None = None,
    strict_palette: bool = False,
    keep_palette: bool = False,
    init: str | ArrayLike = "search",
    effort: str = "balanced",
    space: str = "srgb",
    weights: ArrayLike | None = None,
    keep: ArrayLike | None = None,
    dither: str = "none",
    dither_strength: float = 1.0,
    seed: int | np.random.Generator | None = 0,
    n_threads: int | None = None,
) -> Quantized:
    """Reduce an image to at most K colours with k-means [1]_.

    Parameters
    ----------
    image : path, binary file object, PIL.Image.Image or array of uint8
        Arrays are (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA, in any memory layout; only read.
        Files are brought to sRGB and turned upright, see `images.read_image`, and so are Pillow
        images that have a profile or an orientation, see `images.as_pixels`. Of an animation or a
        TIFF of several pages the first is taken.
    K : int
        1..65536: how many colours; files and Pillow images hold up to 256.
    ITERS : int or None
        Rounds of Lloyd's algorithm on all colours, 0 or more; fewer are made where nothing changes
        any more. None: until then.
    palette : Palette or (n, 3) or (n, 4) array_like, optional
        Map to these colours as they are: integers 0..255, or text such as "#c8102e". All entries
        keep their indices; pixels get the first of equal ones. Fully transparent pixels stay so: if
        the palette has no such entry, (0, 0, 0, 0) is appended. K, ITERS, init, effort, weights,
        keep and seed are not used then.
    strict_palette : bool
        Whether to refuse an image that has a colour which is not in `palette`; fully transparent
        pixels have none.
    keep_palette : bool
        Whether an indexed image (a Pillow image of mode P, an indexed PNG, GIF, BMP or TIFF) stays
        what it is: its palette, with all entries in their order, and its indices. The arguments
        that are not used with `palette` are not used then, nor are space and dither.
    init : {"search", "splitting", "k-means++", "random"} or (K, 3) or (K, 4) array_like
        Where the centroids start. "search": binary splitting [2]_, improved by swaps [3]_ on a
        coarse histogram; "splitting": without the swaps; "k-means++" [4]_ and "random" draw among
        the image's colours, the latter is the original script's way; an array: these colours,
        0..255.
    effort : {"balanced", "fast", "best"}
        How long "search" searches, and how often the rounded palette is tried to be bettered.
        "best" takes some twenty times as long as "balanced" where there is much to find.
    space : {"srgb", "linear", "oklab", "lab"}
        Where distances are measured: sRGB's bytes, linear light, Oklab [5]_ or CIE Lab (D65). The
        first gives the least `mse`, Oklab what looks best.
    weights : (H, W) array_like of integers or floats, optional
        How much each pixel matters, at least 0, and above it somewhere: a pixel of weight 2 counts
        as two pixels, one of weight 0 next to nothing. `counts` and `mse` are of the pixels all the
        same.
    keep : (n, 3) or (n, 4) array_like, optional
        Up to K colours that shall be in the palette exactly, whether pixels have them or not:
        integers 0..255, or text such as "#c8102e" or "red". If they take all K entries, none is
        left for the transparency or the opaque pixels of an image that has either.
    dither : {"none", "floyd-steinberg", "adaptive", "bayer", "blue-noise"}
        How areas get the mean colour of their pixels. "floyd-steinberg" [6]_ diffuses errors in
        serpentine order, two rows at a time; "adaptive" does so where colours change gently, and
        leaves flat areas and edges clean; "bayer" and "blue-noise" [7]_ mix entries by a pattern
        of 8 x 8 and 64 x 64.
    dither_strength : float
        0..1: the share of the error that is made good; 0 is "none".
    seed : int, numpy.random.Generator or None
        None draws fresh entropy; any other seed gives the same bytes on every machine.
    n_threads : int, optional
        Default: as many as OMP_NUM_THREADS, the affinity mask and the CPU quota allow.

    Returns
    -------
    Quantized
        With min(K, distinct colours of the image) colours; an image of no more than K comes back
        unchanged. All of them are used, but perhaps those of `keep`, and some after dithering.
        (Of colours that are next to invisible several may be one, and the palette smaller.)

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, or impossible; the message begins with its name.
    OSError
        If a file cannot be read or is damaged.

    Notes
    -----
    The result depends on the image's colours and their counts only: not on the order of the pixels,
    the number of threads or the SIMD level. Fully transparent pixels are one colour, whatever they
    hide.

    Both ends of alpha are meanings. Opaque pixels get opaque entries (alpha 255) and, from K = 2
    on, fully transparent pixels the entry (0, 0, 0, 0), in every space and with every dithering;
    translucent pixels get the nearest of all entries. With K = 1 the entry is opaque if a pixel is.

    References
    ----------
    .. [1] Lloyd, S. P. (1982). Least squares quantization in PCM. IEEE Trans. Information Theory
       28(2), 129-137.
    .. [2] Orchard, M. T. and Bouman, C. A. (1991). Color quantization of images. IEEE Trans. Signal
       Processing 39(12), 2677-2690.
    .. [3] Franti, P. (2018). Efficiency of random swap clustering. Journal of Big Data 5, 13.
    .. [4] Arthur, D. and Vassilvitskii, S. (2007). k-means++: the advantages of careful seeding.
       SODA '07.
    .. [5] Ottosson, B. (2020). A perceptual color space for image processing.
    .. [6] Floyd, R. W. and Steinberg, L. (1976). An adaptive algorithm for spatial greyscale. Proc.
       Society for Information Display 17(2), 75-77.
    .. [7] Ulichney, R. (1993). The void-and-cluster method for dither array generation. Proc. SPIE
       1913, 332-343.
    """
    K = check_int("K", K, 1, MAX_ENTRIES)
    ITERS = None if ITERS is None else check_int("ITERS", ITERS, 0)
    method = as_method(K, init=init, effort=effort, space=space, keep=keep, seed=seed)
    check_choice("dither", dither, DITHERS)
    check_strength(dither_strength)
    if keep_palette:
        return untouched(_own_palette(image, palette))
    pixels = as_pixels(image)
    threads = team(thread_count(n_threads), pixels.shape[0] * pixels.shape[1], SHARE)
    importance = None if weights is None else as_importance(weights, pixels.shape[:2])
    if strict_palette and palette is None:
        raise ValueError("strict_palette: expected a palette, got None")
    if palette is not None:
        given = Palette(palette)
        if strict_palette:
            check_strict(pixels, given.colors)
        given = given.for_pixels(pixels)
        table = Table.of(given.colors)
        pixels, colors = alike(pixels, table.entries)
    elif len(method.keep):
        pixels, kept = alike(pixels, method.keep)
        method = method._replace(keep=kept)
    elif pixels.ndim == 2:
        pixels = pixels[:, :, np.newaxis]

    histogram = Histogram(pixels.shape[2]).add(pixels, n_threads=threads)
    if palette is not None:
        found = assign(histogram, colors, n_threads=threads, space=space)
    elif importance is None:
        found = fit(histogram, K, ITERS, method, n_threads=threads)
    else:
        weighed = Histogram(pixels.shape[2]).add(pixels, importance)
        best = fit(weighed, K, ITERS, method, n_threads=threads)
        # As many colours as were weighed, unless another thread changes the pixels or weights.
        if best.inertia or len(best.owners) != len(histogram):
            found = assign(histogram, best.palette, n_threads=threads, space=space)
            found = found._replace(n_iter=best.n_iter)
        else:  # two colours of one place have kept entries of their own
            counts = np.zeros(len(best.palette), np.int64)
            np.add.at(counts, best.owners, histogram.counts)
            found = best._replace(counts=counts)
    quantized = mapped(
        pixels,
        histogram,
        found,
        space=space,
        dither=dither,
        dither_strength=dither_strength,
        n_threads=threads,
    )
    if palette is None:
        return quantized
    return replace(
        quantized,
        palette=np.array(given.table),
        indices=table.to_table(quantized.indices),
        counts=table.counts(quantized.counts),
        given=True,
    )


def untouched(indexed: Indexed) -> Quantized:
    """Give an indexed image with its own palette and indices."""
    table, indices = indexed.palette, indexed.indices
    return Quantized(
        palette=table,
        indices=indices,
        counts=np.bincount(indices.ravel(), minlength=len(table)),
        mse=0.0,
        n_iter=0,
        given=True,
    )


def _own_palette(image: Any, palette: object) -> Indexed:
    if palette is not None:
        raise ValueError("keep_palette: expected no palette beside the image's own")
    indexed = as_indexed(image)
    if indexed is None:
        raise ValueError("keep_palette: expected an image with a palette, got one without")
    return indexed


def mapped(
    pixels: NDArray[np.uint8],
    histogram: Histogram,
    found: Fit,
    *,
    space: str,
    dither: str,
    dither_strength: float,
    n_threads: int,
) -> Quantized:
    """Give pixels (H, W, channels) the entries that were found for their colours, or dither."""
    indices = map_counted(
        pixels, histogram, found.palette, found.owners, space, n_threads=n_threads
    )
    counts = found.counts
    if dither != "none":
        indices = dithered(
            np.ascontiguousarray(pixels),
            found.palette,
            dither,
            strength=dither_strength,
            space=space,
            nearest=indices,
            n_threads=n_threads,
        )
        counts = np.bincount(indices.ravel(), minlength=len(found.palette))
    if dither == "none" and space == "srgb":
        mse = spaces.mean_squared_error(found.inertia, indices.size, pixels.shape[2])
    else:
        mse = mean_squared_error(pixels, found.palette, indices, n_threads=n_threads)
    quantized = Quantized(
        palette=in_rgb(found.palette),
        indices=indices,
        counts=counts,
        mse=mse,
        n_iter=found.n_iter,
    )
    object.__setattr__(quantized, _DISTINCT, len(histogram))
    return quantized


def distinct_colors(quantized: Quantized) -> int | None:
    """Return how many colours the image had, if `quantized` is as `quantize` returned it.

    Counting them again takes 4 ns a pixel.
    """
    return getattr(quantized, _DISTINCT, None)
