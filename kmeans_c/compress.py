"""From file to file: read an image, reduce its colours, write it."""

import dataclasses
import io
import json
import math
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from kmeans_c.checks import check_int
from kmeans_c.encoding import FORMATS, MAX_COLORS, check_format, decodes_to, encode, format_for
from kmeans_c.files import FilePath, atomic_write, check_target
from kmeans_c.images import MAX_PIXELS, Picture, count_colors, read_image
from kmeans_c.modes import Pixels
from kmeans_c.quantize import Quantized, quantize

Source: TypeAlias = FilePath | BinaryIO

# What a PNG would take is said beside a JPEG: fast enough for that, and mostly 5 % too much.
PNG_LEVEL_OF_ESTIMATE = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Compressed:
    """What `compress` did.

    Attributes
    ----------
    input, output : str or None
        The files' names; None for a file object without one.
    width, height : int
        Of the image, the right way up.
    frames : int
        Frames or pages in the input, of which the first was taken (1000: that many or more).
    palette_size : int
        Colours the image was reduced to.
    colors_before, colors_after : int
        Distinct colours that the input and the output show. After a JPEG was written they are more
        than `palette_size`, because a JPEG can't hold a palette.
    bytes_before, bytes_after : int
        Sizes of the files.
    bytes_as_png : int or None
        Where a JPEG was written, about what the same image takes as a PNG with a palette.
    mse : float
        Mean over the pixels of the squared distance between input and output, summed over the
        channels: of what the output file shows, so that a JPEG's own loss is part of it.
    psnr : float
        The same as a peak signal-to-noise ratio in dB; infinite if nothing was lost.
    n_iter : int
        Rounds of Lloyd's algorithm.
    seconds : float
        Time taken by all of it.
    """

    input: str | None
    output: str | None
    width: int
    height: int
    frames: int
    palette_size: int
    colors_before: int
    colors_after: int
    bytes_before: int
    bytes_after: int
    bytes_as_png: int | None
    mse: float
    psnr: float
    n_iter: int
    seconds: float

    @property
    def larger(self) -> bool:
        """Whether the output takes more bytes than the input."""
        return self.bytes_after > self.bytes_before

    def to_dict(self) -> dict[str, Any]:
        """Give the attributes by name, with None for an infinite PSNR, as JSON has no infinity.

        Returns
        -------
        dict
            Of plain values.
        """
        values = dataclasses.asdict(self) | {"larger": self.larger}
        return values if math.isfinite(self.psnr) else values | {"psnr": None}

    def to_json(self) -> str:
        """Give `to_dict` as one line of JSON.

        Returns
        -------
        str
            ASCII only; bytes of a name that are not UTF-8 are lone surrogates, as in Python.
        """
        return json.dumps(self.to_dict())


def compress(
    input: Source = "image.jpg",  # noqa: A002 - the word for it, and the original's
    output: Source | None = None,
    K: int = 16,
    ITERS: int = 10,
    *,
    init: str = "k-means++",
    seed: "int | np.random.Generator | None" = 0,  # quoted, as naming it costs 20 ms at import
    n_threads: int | None = None,
    format: str | None = None,  # noqa: A002 - Pillow's name
    overwrite: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Compressed:
    """Reduce an image file to at most K colours.

    Parameters
    ----------
    input : path or binary file object
        PNG, JPEG, WebP, GIF, BMP, TIFF or PPM. Of several frames the first is taken.
    output : path or binary file object, optional
        Default: `default_output` of the input. Written whole or not at all.
    K : int
        1..256: how many colours.
    ITERS : int
        Rounds of Lloyd's algorithm, 0 or more.
    init, seed, n_threads
        As for `quantize`.
    format : str, optional
        "png", "jpeg", "gif", "webp", "bmp" or "tiff". Default: what the ending of the output's name
        says; for a file object without a name, the input's own format, or PNG instead of PPM.
    overwrite : bool
        Whether an existing file may be replaced. It may be the input itself, unless that has
        several frames: all but the first would be lost.
    max_pixels : int
        Larger images are refused before they are decoded.

    Returns
    -------
    Compressed

    Raises
    ------
    OSError
        If the input can't be read or is damaged, or the output can't be written. What was there
        before is then as it was. FileExistsError if the output exists and `overwrite` is not set.
    TypeError, ValueError
        If an argument is of the wrong kind, or impossible; if the output is the input and
        `overwrite` is not set; or if the format can't hold the image (transparency in a JPEG).
    """
    start = time.perf_counter()
    if not isinstance(input, str | os.PathLike) and not hasattr(input, "read"):
        got = type(input).__name__
        raise TypeError(f"input: expected a path or a binary file object, got {got}")
    K = check_int("K", K, 1, MAX_COLORS)
    target = default_output(input) if output is None else output
    kind = check_format(format) if format is not None else _kind_by_name(target)
    in_place = _check_output(input, target, overwrite=overwrite)

    picture = read_image(input, max_pixels=max_pixels)
    if in_place and picture.frames > 1:
        raise ValueError(f"output: replacing the input would lose {picture.frames - 1} frames")
    quantized = quantize(picture.pixels, K, ITERS, init=init, seed=seed, n_threads=n_threads)
    kind = kind or (picture.format if picture.format in FORMATS.values() else "png")
    data = encode(quantized.palette, quantized.indices, kind)
    verify = partial(decodes_to, palette=quantized.palette, indices=quantized.indices)
    _write(target, data, overwrite=overwrite, verify=None if kind == "jpeg" else verify)

    colors_after, mse, psnr, bytes_as_png = _outcome(picture, quantized, kind, data)
    return Compressed(
        input=_name(input),
        output=_name(target),
        width=quantized.indices.shape[1],
        height=quantized.indices.shape[0],
        frames=picture.frames,
        palette_size=len(quantized.palette),
        colors_before=count_colors(picture.pixels),
        colors_after=colors_after,
        bytes_before=picture.n_bytes,
        bytes_after=len(data),
        bytes_as_png=bytes_as_png,
        mse=mse,
        psnr=psnr,
        n_iter=quantized.n_iter,
        seconds=time.perf_counter() - start,
    )


def default_output(input: Source) -> str:  # noqa: A002 - as in compress
    """Name the file that `compress` writes by default.

    Parameters
    ----------
    input : path
        photo.jpg gives photo_compressed.jpg. What can't be written becomes a PNG: scan.ppm
        gives scan_compressed.png.

    Returns
    -------
    str
        The name of a file in the same folder.

    Raises
    ------
    TypeError
        If `input` is a file object, so that there is no name to start from.
    """
    if not isinstance(input, str | os.PathLike):
        raise TypeError("output: expected a path or a binary file object, got None")
    stem, suffix = os.path.splitext(os.fspath(input))  # noqa: PTH122 - a Path drops a leading "./"
    return f"{stem}_compressed{suffix if suffix.lower() in FORMATS else '.png'}"


def same_file(input: Source, output: Source) -> bool:  # noqa: A002 - as in compress
    """Say whether both are one file, by whatever names and links they are called.

    Parameters
    ----------
    input, output : path or binary file object
        What `compress` was given.

    Returns
    -------
    bool
        False also where one of them does not exist.
    """
    if not isinstance(input, str | os.PathLike) or not isinstance(output, str | os.PathLike):
        return input is output
    try:
        return Path(input).samefile(output)
    except OSError:
        return False


def _kind_by_name(target: Source) -> str | None:
    if isinstance(target, str | os.PathLike) or isinstance(getattr(target, "name", None), str):
        return format_for(target)
    if not hasattr(target, "write"):
        got = type(target).__name__
        raise TypeError(f"output: expected a path or a binary file object, got {got}")
    return None


def _check_output(source: Source, target: Source, *, overwrite: bool) -> bool:
    """Refuse what could not be written in the end; say whether the output replaces the input."""
    in_place = same_file(source, target)
    if in_place and not overwrite:
        raise ValueError(
            f"output: is the input itself ({_name(source)}); overwrite=True replaces it"
        )
    if isinstance(target, str | os.PathLike):
        check_target(target, overwrite=overwrite)
    return in_place


def _write(
    target: Source, data: bytes, *, overwrite: bool, verify: Callable[[bytes], bool] | None
) -> None:
    if isinstance(target, str | os.PathLike):
        atomic_write(target, data, overwrite=overwrite, verify=verify)
        return
    if verify is not None and not verify(data):
        raise OSError("output: the file would not show what it should")
    target.write(data)


def _outcome(
    picture: Picture, quantized: Quantized, kind: str, data: bytes
) -> tuple[int, float, float, int | None]:
    """Say what the file really shows: its colours, MSE and PSNR, and a PNG's size if it matters."""
    palette, indices = quantized.palette, quantized.indices
    if kind != "jpeg":
        return len(palette), quantized.mse, quantized.psnr, None
    shown = read_image(io.BytesIO(data), max_pixels=indices.size).pixels
    colors = count_colors(shown)
    mse = _mean_squared_error(picture.pixels, shown)
    psnr = 10 * math.log10(3 * 255**2 / mse) if mse else math.inf
    if colors <= len(palette):
        return colors, mse, psnr, None
    png = encode(palette, indices, "png", png_level=PNG_LEVEL_OF_ESTIMATE)
    return colors, mse, psnr, len(png)


def _name(file: Source) -> str | None:
    if isinstance(file, str | os.PathLike):
        return os.fspath(file)
    name = getattr(file, "name", None)
    return name if isinstance(name, str) else None


def _mean_squared_error(before: Pixels, after: Pixels) -> float:
    """Compare two opaque images, of which either may be grey: grey counts as three channels."""
    channels = 3 if before.ndim == after.ndim == 2 else 1
    before, after = (a if a.ndim > 2 else a[:, :, np.newaxis] for a in (before, after))
    n_pixels: int = before.shape[0] * before.shape[1]
    total = 0
    for old, new in zip(before, after, strict=True):
        # In integers, and not as a dot product: BLAS would start threads of its own, which wait
        # for each other for seconds where the processors are busy.
        difference = np.subtract(old, new, dtype=np.int32)
        difference *= difference
        total += int(difference.sum(dtype=np.int64))
    return channels * total / n_pixels
