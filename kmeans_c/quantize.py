"""The pipeline on one page: pixels, distinct colours, palette, indices."""

# np.random in annotations would import it, a tenth of this package's own import time.
from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kmeans_c import encoding, files
from kmeans_c.checks import check_choice, check_int
from kmeans_c.clustering import distinct_colors, fit_palette, squared_errors
from kmeans_c.images import as_pixels
from kmeans_c.lloyd import Points
from kmeans_c.seeding import INITS, Draw
from kmeans_c.threads import thread_count

MAX_COLORS = 256


@dataclass(frozen=True, eq=False)
class Quantized:
    """An image of at most K colours: what `quantize` returns.

    Attributes
    ----------
    palette : (n, 3) or (n, 4) array of uint8
        The colours, all distinct and all used: RGB, or RGBA if the image has transparency. A fully
        transparent entry comes first, the others follow from dark to light.
    indices : (H, W) array of uint8
        The palette entry of each pixel.
    counts : (n,) array of int64
        Pixels of each entry; their sum is H * W.
    mse : float
        Mean over the pixels of the squared distance between the pixel and its entry, summed over
        the channels, in units of 1/255. With transparency the colours are premultiplied by alpha
        first.
    n_iter : int
        Rounds of Lloyd's algorithm; 0 where the image has no more than K colours.
    """

    palette: NDArray[np.uint8]
    indices: NDArray[np.uint8]
    counts: NDArray[np.int64]
    mse: float
    n_iter: int

    @property
    def psnr(self) -> float:
        """Peak signal-to-noise ratio in dB, over pixels and channels; infinite if lossless."""
        channels = self.palette.shape[1]
        return 10 * math.log10(255**2 * channels / self.mse) if self.mse else math.inf

    def to_array(self) -> NDArray[np.uint8]:
        """The image as (H, W, 3) or (H, W, 4) uint8."""
        return self.palette[self.indices]

    def to_pil(self) -> Image.Image:
        """The image as a Pillow image of mode P, with the palette and its transparency."""
        return encoding.indexed_image(self.palette, self.indices)

    def save(
        self,
        path: str | os.PathLike[str] | IO[bytes],
        format: str | None = None,  # noqa: A002 - Pillow's name
        *,
        overwrite: bool = False,
    ) -> None:
        """Write the image to a file, whole or not at all.

        Parameters
        ----------
        path : path or binary file object
            The ending names the format unless `format` does.
        format : str, optional
            "png", "jpeg", "gif", "webp", "bmp" or "tiff".
        overwrite : bool
            Whether an existing file may be replaced.

        Raises
        ------
        FileExistsError
            If the file exists and `overwrite` is not set.
        ValueError
            If no format is known by that name or ending, or it cannot hold the image.
        OSError
            If the file cannot be written; an existing one is then as it was.
        """
        data = encoding.encode(self.palette, self.indices, format or encoding.format_for(path))
        if isinstance(path, str | os.PathLike):
            files.atomic_write(path, data, overwrite=overwrite)
        else:
            path.write(data)


def quantize(
    image: Any,
    K: int = 16,
    ITERS: int = 10,
    *,
    init: str = "k-means++",
    seed: int | np.random.Generator | None = 0,
    n_threads: int | None = None,
) -> Quantized:
    """Reduce an image to at most K colours with k-means [1]_.

    Parameters
    ----------
    image : path, binary file object, PIL.Image.Image or array of uint8
        Arrays are (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA, in any memory layout; only read.
        Files are brought to sRGB and turned upright, see `images.read_image`; Pillow images are
        taken as they are, see `images.as_pixels`.
    K : int
        1..256: how many colours.
    ITERS : int
        Rounds of Lloyd's algorithm, 0 or more; fewer are made where nothing changes any more.
    init : {"k-means++", "random"}
        How the first centroids are drawn from the image's colours [2]_; "random" is the original
        script's way.
    seed : int, numpy.random.Generator or None
        None draws fresh entropy; any other seed gives the same bytes on every machine.
    n_threads : int, optional
        Default: as many as OMP_NUM_THREADS, the affinity mask and the CPU quota allow.

    Returns
    -------
    Quantized
        With min(K, distinct colours of the image) colours; an image of no more than K comes back
        unchanged.

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

    References
    ----------
    .. [1] Lloyd, S. P. (1982). Least squares quantization in PCM. IEEE Trans. Information Theory
       28(2), 129-137.
    .. [2] Arthur, D. and Vassilvitskii, S. (2007). k-means++: the advantages of careful seeding.
       SODA '07.
    """
    K = check_int("K", K, 1, MAX_COLORS)
    ITERS = check_int("ITERS", ITERS, 0)
    check_choice("init", init, INITS)
    draw = Draw(seed)
    threads = thread_count(n_threads)
    pixels = as_pixels(image)

    shape = pixels.shape[:2]
    pixels = pixels.reshape(shape[0] * shape[1], -1)

    alpha = pixels.shape[1] == 4
    colors, counts = distinct_colors(pixels)
    if alpha and len(colors) > K:
        pixels = _premultiplied(pixels)
        colors, counts = distinct_colors(pixels)
    else:
        alpha = False

    palette, n_iter = colors, 0
    if len(colors) > K:
        palette, n_iter = fit_palette(
            colors, counts, K, ITERS, init=init, draw=draw, n_threads=threads
        )
    palette = palette[_display_order(palette)]

    exact = palette.astype(np.float64)
    error = int(squared_errors(colors, palette[Points(colors, threads).nearest(exact)]) @ counts)
    indices = Points(pixels, threads).nearest(exact).astype(np.uint8).reshape(shape)
    if palette.shape[1] == 1:
        palette, error = np.repeat(palette, 3, axis=1), 3 * error
    return Quantized(
        palette=_straight(palette) if alpha else palette,
        indices=indices,
        counts=np.bincount(indices.ravel(), minlength=len(palette)).astype(np.int64),
        mse=error / indices.size,
        n_iter=n_iter,
    )


def _premultiplied(colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGBA with each colour multiplied by its opacity, so that errors weigh by what shows."""
    opacity = colors[:, 3:].astype(np.uint16)
    shown = (colors[:, :3] * opacity + 127) // 255
    return np.concatenate([shown.astype(np.uint8), colors[:, 3:]], axis=1)


def _straight(colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The RGBA that premultiplies to these colours; distinct ones stay distinct."""
    opacity = np.maximum(colors[:, 3:], 1).astype(np.uint16)
    pure = (colors[:, :3] * np.uint16(255) + opacity // 2) // opacity
    return np.concatenate([pure.astype(np.uint8), colors[:, 3:]], axis=1)


def _display_order(palette: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Transparent first, the others by lightness.

    tRNS is shortest then, and PNG compresses that order best.
    """
    rgb = palette[:, :3].astype(np.int64)
    luma = rgb @ ([299, 587, 114] if rgb.shape[1] == 3 else [1])
    visible = palette[:, 3] > 0 if palette.shape[1] == 4 else np.ones(len(palette), bool)
    return np.lexsort((*palette.T[::-1], luma, visible))
