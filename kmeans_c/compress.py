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

from kmeans_c.checks import check_float, check_int
from kmeans_c.encoding import (
    FORMATS,
    MAX_COLORS,
    check_format,
    decodes_to,
    encode,
    encode_smallest,
    format_for,
)
from kmeans_c.files import FilePath, atomic_write, check_target, safe_open
from kmeans_c.images import MAX_PIXELS, Picture, count_colors, read_image
from kmeans_c.modes import Pixels
from kmeans_c.png import MOST_OPTIMIZE, OPTIMIZE, chained, used
from kmeans_c.quantize import Quantized, quantize
from kmeans_c.rate import MOST_LOSS, smooth

Source: TypeAlias = FilePath | BinaryIO

# What a PNG would take is said beside a JPEG: fast enough for that, and mostly 5 to 10 % too much.
OPTIMIZE_ESTIMATE = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Compressed:
    """What `compress` did.

    Attributes
    ----------
    input, output : str or None
        The files' names; None for a file object without one, and where nothing was written.
    format : str
        Of the file that was written.
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
    kept_original : bool
        Whether the file of K colours would have been larger, so that the output is the input
        itself, byte for byte, or nothing was written.
    bytes_encoded : int
        What the image of K colours takes in the format asked for: `bytes_after`, unless the
        original was kept.
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
    format: str
    width: int
    height: int
    frames: int
    palette_size: int
    colors_before: int
    colors_after: int
    bytes_before: int
    bytes_after: int
    kept_original: bool
    bytes_encoded: int
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
    optimize: int = OPTIMIZE,
    lossy: float = 0,
    allow_larger: bool = False,
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
        "png", "jpeg", "gif", "webp", "bmp", "tiff" or "ico"; or "auto": the smallest of those that
        hold the palette, see `encoding.encode_smallest`. Default: what the ending of the output's
        name says; for a file object without a name, the input's own format, or PNG instead of PPM.
    optimize : int
        How hard the encoder tries, 0..6, see `png.encode_png`.
    lossy : float
        Choose indices that take fewer bytes, at a loss of at most so many dB of PSNR, 0..20, see
        `rate.smooth`; 0.1 is a good value. Not for JPEG. Where it gains nothing, nothing is lost.
    allow_larger : bool
        Whether a file may be written that takes more bytes than the input. Otherwise the input's
        own bytes are written in its place, if they are of the format asked for, or `format` is
        "auto"; and nothing is if they are not, as no file would be what its name says.
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
    optimize = check_int("optimize", optimize, 0, MOST_OPTIMIZE)
    lossy = check_float("lossy", lossy, 0, MOST_LOSS)
    if format is None:
        kind = _kind_by_name(target)
    else:
        kind = "auto" if format == "auto" else check_format(format)
    in_place = _check_output(input, target, overwrite=overwrite)

    source = _rereadable(input)
    picture = read_image(source, max_pixels=max_pixels)
    if in_place and picture.frames > 1:
        raise ValueError(f"output: replacing the input would lose {picture.frames - 1} frames")
    quantized = quantize(picture.pixels, K, ITERS, init=init, seed=seed, n_threads=n_threads)
    kind = kind or (picture.format if picture.format in FORMATS.values() else "png")
    done = _encoded(picture, quantized, kind, optimize=optimize, lossy=lossy, n_threads=n_threads)
    keep = len(done.data) > picture.n_bytes and not allow_larger
    written = True
    if keep:
        written = picture.format == kind or (kind == "auto" and picture.format in FORMATS.values())
        if written and not in_place:
            _write(target, _original(source, picture), overwrite=overwrite, verify=None)
    else:
        verify = partial(decodes_to, palette=done.palette, indices=done.indices)
        check = None if done.format == "jpeg" else verify
        _write(target, done.data, overwrite=overwrite, verify=check)

    colors_before = count_colors(picture.pixels)
    colors_after, mse, bytes_as_png = _outcome(picture, done)
    if keep:
        colors_after, mse = colors_before, 0.0
    return Compressed(
        input=_name(input),
        output=_name(target) if written else None,
        format=picture.format if keep else done.format,
        width=quantized.indices.shape[1],
        height=quantized.indices.shape[0],
        frames=picture.frames,
        palette_size=len(done.palette),
        colors_before=colors_before,
        colors_after=colors_after,
        bytes_before=picture.n_bytes,
        bytes_after=picture.n_bytes if keep else len(done.data),
        kept_original=keep,
        bytes_encoded=len(done.data),
        bytes_as_png=bytes_as_png,
        mse=mse,
        psnr=10 * math.log10(3 * 255**2 / mse) if mse else math.inf,
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


@dataclasses.dataclass(frozen=True, slots=True)
class _Encoded:
    """The contents of a file, and what it should show."""

    format: str
    data: bytes
    palette: Pixels
    indices: Pixels
    mse: float


def _encoded(
    picture: Picture,
    quantized: Quantized,
    kind: str,
    *,
    optimize: int,
    lossy: float,
    n_threads: int | None,
) -> _Encoded:
    """Encode an image, as it is and in what `lossy` allows; give the smallest of these."""

    def encoded(palette: Pixels, indices: Pixels, kind: str, mse: float) -> _Encoded:
        if kind == "auto":
            found, data = encode_smallest(palette, indices, optimize=optimize)
        else:
            found, data = kind, encode(palette, indices, kind, optimize=optimize)
        return _Encoded(found, data, *used(palette, indices), mse)

    files = [encoded(quantized.palette, quantized.indices, kind, quantized.mse)]
    if lossy and kind != "jpeg":
        palette, indices = chained(quantized.palette, quantized.indices)
        # Only PNG has filters.
        for coder in ("matches", "residuals") if kind in ("png", "ico", "auto") else ("matches",):
            smoothed, extra = smooth(
                picture.pixels, palette, indices, lossy, coder=coder, n_threads=n_threads
            )
            mse = quantized.mse + extra / (64**2 * indices.size)
            files.append(encoded(palette, smoothed, kind, mse))
    return min(files, key=lambda file: len(file.data))


def _outcome(picture: Picture, done: _Encoded) -> tuple[int, float, int | None]:
    """Say what the file really shows: its colours, its MSE, and a PNG's size if it matters."""
    if done.format != "jpeg":
        return len(done.palette), done.mse, None
    shown = read_image(io.BytesIO(done.data), max_pixels=done.indices.size).pixels
    colors = count_colors(shown)
    mse = _mean_squared_error(picture.pixels, shown)
    if colors <= len(done.palette):
        return colors, mse, None
    png = encode(done.palette, done.indices, "png", optimize=OPTIMIZE_ESTIMATE)
    return colors, mse, len(png)


def _rereadable(source: Source) -> Source:
    """A file object that can be read once only, as one that can be read again."""
    if isinstance(source, str | os.PathLike) or (hasattr(source, "seekable") and source.seekable()):
        return source
    contents = source.read()
    if not isinstance(contents, bytes):
        raise TypeError(f"input: expected a binary file object, got one of {type(contents)}")
    again = _Named(contents)
    again.name = _name(source)
    return again


class _Named(io.BytesIO):
    name: str | None


def _original(source: Source, picture: Picture) -> bytes:
    if isinstance(source, str | os.PathLike):
        with safe_open(source) as file:
            contents = file.read(picture.n_bytes + 1)
    else:
        source.seek(0)
        contents = source.read()
    if len(contents) != picture.n_bytes:
        raise OSError(f"{_name(source)}: has changed while it was read")
    return contents


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
