"""From file to file: read an image, reduce its colours, write it."""

# np.random in annotations would import it, a tenth of this package's own import time.
from __future__ import annotations

import dataclasses
import io
import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeAlias, cast

import numpy as np

from kmeans_c.checks import check_choice, check_float, check_int
from kmeans_c.color_text import hex_text
from kmeans_c.encoding import (
    AUTO,
    ENDINGS,
    FORMATS,
    MAX_COLORS,
    check_format,
    decodes_to,
    encode,
    encode_smallest,
    format_for,
)
from kmeans_c.files import FilePath, atomic_write, check_target, safe_open
from kmeans_c.images import ANIMATED, ICC, MAX_PIXELS, Picture, count_colors, read_image
from kmeans_c.images.frames import MAX_TOTAL_PIXELS
from kmeans_c.images.metadata import POLICIES, WITH_PROFILE, kept
from kmeans_c.images.modes import OPAQUE, Pixels
from kmeans_c.png import MOST_OPTIMIZE, OPTIMIZE, chained, used
from kmeans_c.quantize import Quantized, quantize
from kmeans_c.rate import MOST_LOSS, smooth
from kmeans_c.target_text import parse_size
from kmeans_c.targets import as_quality, quantize_auto, quantize_quality, quantize_to_size

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from kmeans_c.palette import Palette

Source: TypeAlias = FilePath | BinaryIO

SUFFIX = "_compressed"  # of the default output's name

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
        Frames or pages in the input (1000: that many or more).
    frames_written : int
        How many of them are in the output: all, or the first.
    palette_size : int
        Colours the image was reduced to.
    palette : tuple of str
        These colours, as "#rrggbb" or "#rrggbbaa". Empty where each frame has its own.
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
    notes : tuple of str
        What the file says of its colours and could not be followed.
    seconds : float
        Time taken by all of it.
    """

    input: str | None
    output: str | None
    format: str
    width: int
    height: int
    frames: int
    frames_written: int
    palette_size: int
    palette: tuple[str, ...]
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
    notes: tuple[str, ...]
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
        values = dataclasses.asdict(self) | {
            "larger": self.larger,
            "palette": list(self.palette),
            "notes": list(self.notes),
        }
        return values if math.isfinite(self.psnr) else values | {"psnr": None}

    def to_json(self) -> str:
        """Give `to_dict` as one line of JSON.

        Returns
        -------
        str
            ASCII only; bytes of a name that are not UTF-8 are lone surrogates, as in Python.
        """
        return json.dumps(self.to_dict())


@dataclasses.dataclass(frozen=True, slots=True)
class ByFormat:
    """A name whose ending is known only when the smallest format is.

    Attributes
    ----------
    stem : str
        The name without its ending.
    suffix : str
        The input's ending, which stays if it is one of the format's.
    """

    stem: str
    suffix: str

    @classmethod
    def beside(cls, path: FilePath, suffix: str = SUFFIX) -> ByFormat:
        """Name it like another file, with `suffix` between the name and its ending."""
        # A Path would drop a leading "./".
        stem, ending = os.path.splitext(os.fspath(path))  # noqa: PTH122
        return cls(stem + suffix, ending)

    def path(self, kind: str) -> str:
        """Name the file of a format."""
        same = FORMATS.get(self.suffix.lower()) == kind
        return self.stem + (self.suffix if same else ENDINGS[kind])

    def paths(self) -> list[str]:
        """Name the files that there may be in the end."""
        kinds = [*AUTO, FORMATS.get(self.suffix.lower(), AUTO[0])]
        return [self.path(kind) for kind in dict.fromkeys(kinds)]


def compress(
    input: Source = "image.jpg",  # noqa: A002 - the word for it, and the original's
    output: Source | ByFormat | None = None,
    K: int | Literal["auto"] | None = None,
    ITERS: int | None = 10,
    *,
    quality: str | int | tuple[int, int] | None = None,
    target_size: str | int | None = None,
    palette: Palette | ArrayLike | None = None,
    init: str | ArrayLike = "search",
    effort: str = "balanced",
    space: str = "srgb",
    weights: ArrayLike | None = None,
    keep: ArrayLike | None = None,
    dither: str = "none",
    dither_strength: float = 1.0,
    per_frame: bool = False,
    seed: int | np.random.Generator | None = 0,
    n_threads: int | None = None,
    format: str | None = None,  # noqa: A002 - Pillow's name
    optimize: int = OPTIMIZE,
    lossy: float = 0,
    metadata: str = "safe",
    icc: str = "convert",
    allow_larger: bool = False,
    overwrite: bool = False,
    preview: FilePath | None = None,
    max_pixels: int = MAX_PIXELS,
    max_total_pixels: int = MAX_TOTAL_PIXELS,
) -> Compressed:
    """Reduce an image file to at most K colours.

    Parameters
    ----------
    input : path or binary file object
        PNG, JPEG, WebP, GIF, BMP, TIFF or PPM. All frames of a GIF, APNG or WebP are taken if the
        output is one of these, and all pages of a TIFF if it is one; otherwise the first.
    output : path or binary file object, optional
        Default: `default_output` of the input. Written whole or not at all.
    K : int or "auto", optional
        1..256: how many colours, 16 by default. "auto": the fewest that look like the image, see
        `targets.quantize_auto`.
    quality : str, int or (int, int), optional
        "65-80": as few colours as have a quality of 80, up to K (256 by default), and at least 65,
        see `targets.quantize_quality`.
    target_size : int or str, optional
        What the file may take: bytes, "50K", or "40%" of the input; the least error that fits, with
        up to K colours (256 by default), see `targets.quantize_to_size`. Such a file holds no
        metadata. These three exclude each other, and are not for frames, `palette` and `weights`.
    ITERS : int or None
        Rounds of Lloyd's algorithm, 0 or more. None: until nothing changes.
    palette, init, effort, space, weights, keep, dither, dither_strength, seed, n_threads
        As for `quantize`. Frames can't have `palette`, `weights` and `keep`, nor any `space`
        and `dither` but the default.
    per_frame : bool
        Whether each frame has a palette of its own.
    format : str, optional
        "png", "jpeg", "gif", "webp", "bmp", "tiff" or "ico"; or "auto": the smallest of those that
        hold the palette, see `encoding.encode_smallest`, and of an animation the input's. Default:
        what the ending of the output's name says; for a file object without a name, the input's own
        format, or PNG instead of PPM.
    optimize : int
        How hard the encoder tries, 0..6, see `png.encode_png`. Not for frames.
    lossy : float
        Choose indices that take fewer bytes, at a loss of at most so many dB of PSNR, 0..20, see
        `rate.smooth`; 0.1 is a good value. Not for JPEG or frames, and not together with dithering.
        Where it gains nothing, nothing is lost.
    metadata : {"none", "safe", "keep"}
        What is written of the input's metadata, see `metadata`.
    icc : {"convert", "keep"}
        Whether colours become sRGB or keep their profile, which is then in the output. They become
        sRGB also where the format holds no profile.
    allow_larger : bool
        Whether a file may be written that takes more bytes than the input. Otherwise the input's
        own bytes are written in its place, with all their metadata, if they are of the format asked
        for, or `format` is "auto"; and nothing is if they are not, as no file would be what its
        name says, or if they hold metadata and `metadata` is "none".
    overwrite : bool
        Whether an existing file may be replaced. It may be the input itself, unless frames would be
        lost.
    preview : path, optional
        Where to write a PNG that shows the image before and after, see `preview.preview`.
    max_pixels : int
        Larger images are refused before they are decoded.
    max_total_pixels : int
        The same for all frames together.

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
        `targets.TargetNotMet`, a ValueError, if `quality` or `target_size` is out of reach.
    """
    start = time.perf_counter()
    _check_source(input)
    target = _default(input, format) if output is None else output
    method = {"init": init, "effort": effort, "seed": seed, "n_threads": n_threads}
    still = {
        "palette": palette,
        "space": space,
        "weights": weights,
        "keep": keep,
        "dither": dither,
        "dither_strength": dither_strength,
    }
    aim = _as_aim(K, quality, target_size, fixed=palette is not None or weights is not None)
    writing = _Writing(
        kind=_kind(format, target),
        optimize=check_int("optimize", optimize, 0, MOST_OPTIMIZE),
        lossy=check_float("lossy", lossy, 0, MOST_LOSS),
        metadata=check_choice("metadata", metadata, POLICIES),
        n_threads=n_threads,
    )
    check_choice("icc", icc, ICC)
    if lossy and dither != "none":
        raise ValueError("lossy: expected 0 with dithering, whose pattern it would remove")
    in_place = _check_output(input, target, overwrite=overwrite)
    if preview is not None:
        check_target(preview, overwrite=overwrite)

    source = _rereadable(input)
    if writing.kind not in (None, "auto", *WITH_PROFILE):
        icc = "convert"
    picture = read_image(source, max_pixels=max_pixels, icc=icc)
    writing = writing.to(picture)
    if _holds_frames(picture, writing.kind):
        _check_for_frames(still, aim, lossy=lossy, preview=preview)
        data, done = _animation(
            source,
            writing,
            icc,
            {
                "K": aim.K,
                "ITERS": ITERS,
                "per_frame": per_frame,
                "max_pixels": max_pixels,
                "max_total_pixels": max_total_pixels,
                **method,
            },
        )
        verify = None  # it is verified
    else:
        if in_place and picture.frames > 1:
            raise ValueError(f"output: replacing the input would lose {picture.frames - 1} frames")
        quantized, encoded = _quantized(picture, aim, writing, {"ITERS": ITERS, **method, **still})
        data, done = encoded.data, _still(picture, quantized, encoded)
        verify = None if encoded.format == "jpeg" else encoded.shown_by
    encoded_as = done.format

    written = True
    if len(data) > picture.n_bytes and not allow_larger:
        tells = kept(picture.metadata, writing.metadata) != picture.metadata
        # Who wants no metadata in a file gets no file that has some.
        written = writing.takes(picture) and (in_place or writing.metadata != "none" or not tells)
        data, verify, done = b"", None, _kept(done, picture, tells=tells)
        if written:
            data = _original(source, picture)
    if isinstance(target, ByFormat):
        target = target.path(done.format if written else encoded_as)
        in_place = _check_output(input, target, overwrite=overwrite)
    if written and not (done.kept_original and in_place):
        _write(target, data, overwrite=overwrite, verify=verify)
    if preview is not None:
        _write(preview, _preview(picture, quantized), overwrite=overwrite, verify=None)
    return dataclasses.replace(
        done,
        input=_name(input),
        output=_name(target) if written else None,
        seconds=time.perf_counter() - start,
    )


def default_output(
    input: Source,  # noqa: A002 - as in compress
    format: str | None = None,  # noqa: A002 - as in compress
    *,
    suffix: str = SUFFIX,
) -> str:
    """Name the file that `compress` writes by default.

    Parameters
    ----------
    input : path
        photo.jpg gives photo_compressed.jpg. What can't be written becomes a PNG: scan.ppm
        gives scan_compressed.png.
    format : str, optional
        "png", "jpeg" ...: photo.jpg as "png" gives photo_compressed.png.
    suffix : str
        What comes between the name and its ending.

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
    named = ByFormat.beside(input, suffix)
    own = FORMATS.get(named.suffix.lower(), "png")
    return named.path(own if format is None else check_format(format))


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


def _check_source(source: object) -> None:
    if not isinstance(source, str | os.PathLike) and not hasattr(source, "read"):
        got = type(source).__name__
        raise TypeError(f"input: expected a path or a binary file object, got {got}")


def _default(source: Source, format: str | None) -> str | ByFormat:  # noqa: A002
    if format != "auto":
        return default_output(source, format)
    default_output(source)  # which says if there is no name to start from
    return ByFormat.beside(cast("FilePath", source))


def _kind(format: str | None, target: Source | ByFormat) -> str | None:  # noqa: A002
    """Name the format to write, or "auto", or None for the input's own."""
    if isinstance(target, ByFormat):
        if format != "auto":
            raise ValueError(f"format: expected 'auto' for an open ending, got {format!r}")
        return "auto"
    if format is not None:
        return "auto" if format == "auto" else check_format(format)
    if isinstance(target, str | os.PathLike) or isinstance(getattr(target, "name", None), str):
        return format_for(target)
    if not hasattr(target, "write"):
        got = type(target).__name__
        raise TypeError(f"output: expected a path or a binary file object, got {got}")
    return None


def _check_output(source: Source, target: Source | ByFormat, *, overwrite: bool) -> bool:
    """Refuse what could not be written in the end; say whether the output replaces the input."""
    if isinstance(target, ByFormat):
        return False
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
class _Writing:
    """How the output is encoded."""

    kind: str | None
    optimize: int
    lossy: float
    metadata: str
    n_threads: int | None
    automatic: bool = False

    def to(self, picture: Picture) -> _Writing:
        """Settle what depends on the input."""
        own = picture.format if picture.format in FORMATS.values() else "png"
        automatic = self.kind == "auto"
        animated = automatic and picture.frames > 1 and own in ANIMATED
        kind = own if self.kind is None or animated else self.kind
        return dataclasses.replace(self, kind=kind, automatic=automatic)

    def takes(self, picture: Picture) -> bool:
        """Whether the input's own bytes are a file of the format asked for."""
        return picture.format == self.kind or (
            self.automatic and picture.format in FORMATS.values()
        )


def _kept(done: Compressed, picture: Picture, *, tells: bool) -> Compressed:
    """What is to be said where the input stays what it is."""
    return dataclasses.replace(
        done,
        notes=(*done.notes, "with all its metadata") if tells else done.notes,
        format=picture.format,
        frames_written=picture.frames,
        colors_after=done.colors_before,
        bytes_after=picture.n_bytes,
        kept_original=True,
        mse=0.0,
        psnr=math.inf,
    )


def _holds_frames(picture: Picture, kind: str | None) -> bool:
    """Whether the format takes all frames of the input; pages are no frames."""
    if picture.frames == 1 or not {picture.format, kind} <= set(ANIMATED):
        return False
    return (picture.format == "tiff") == (kind == "tiff")


def _check_for_frames(
    still: dict[str, Any], aim: _Aim, *, lossy: float, preview: FilePath | None
) -> None:
    """Refuse what there is for stills only, instead of leaving it out without a word."""
    given = {name: still[name] is not None for name in ("palette", "weights", "keep")}
    given |= {"space": still["space"] != "srgb", "dither": still["dither"] != "none"}
    given |= {"lossy": lossy > 0, "preview": preview is not None}
    given |= {"K": aim.automatic, "quality": aim.quality is not None}
    given |= {"target_size": aim.size is not None}
    for name in given:
        if given[name]:
            raise ValueError(f"{name}: is for still images; the input has several frames")


def _animation(
    source: Source, writing: _Writing, icc: str, options: dict[str, Any]
) -> tuple[bytes, Compressed]:
    from kmeans_c.animation.compress import compress_animation  # noqa: PLC0415 - most are stills

    file = io.BytesIO()
    done = compress_animation(
        source,
        file,
        format=writing.kind,
        metadata=writing.metadata,
        icc="convert" if writing.kind == "tiff" else icc,
        **options,
    )
    data = file.getvalue()
    return data, Compressed(
        **{field.name: getattr(done, field.name) for field in dataclasses.fields(done)},
        frames_written=done.frames,
        kept_original=False,
        bytes_encoded=len(data),
        bytes_as_png=None,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Aim:
    """How many colours, or what decides it."""

    K: int
    automatic: bool = False
    quality: tuple[int, int] | None = None
    size: str | int | None = None

    @property
    def is_target(self) -> bool:
        return self.automatic or self.quality is not None or self.size is not None


def _as_aim(
    K: object, quality: str | int | tuple[int, int] | None, size: str | int | None, *, fixed: bool
) -> _Aim:
    automatic = isinstance(K, str)
    if automatic:
        check_choice("K", K, ("auto",))
    if automatic + (quality is not None) + (size is not None) > 1:
        raise ValueError("K, quality, target_size: expected one target, got several")
    if fixed and (automatic or quality is not None or size is not None):
        raise ValueError("palette, weights: expected none with a target")
    if isinstance(size, str):
        parse_size(size, 1 << 30)  # whether it can be read: the input's bytes are not known yet
    elif size is not None:
        check_int("target_size", size, 1)
    if automatic or K is None:
        most = 16 if quality is None and size is None and not automatic else MAX_COLORS
    else:
        most = check_int("K", K, 1, MAX_COLORS)
    return _Aim(most, automatic, None if quality is None else as_quality(quality), size)


def _quantized(
    picture: Picture, aim: _Aim, writing: _Writing, options: dict[str, Any]
) -> tuple[Quantized, _Encoded]:
    """Find the colours of a still image, and encode it: the one place where that is done."""
    if not aim.is_target:
        quantized = quantize(picture.pixels, aim.K, **options)
        return quantized, _encoded(picture, quantized, writing)
    del options["palette"], options["weights"]
    if aim.size is None:
        quantized = (
            quantize_auto(picture.pixels, K=aim.K, **options)
            if aim.quality is None
            else quantize_quality(picture.pixels, aim.quality, K=aim.K, **options)
        )
        return quantized, _encoded(picture, quantized, writing)
    size = parse_size(aim.size, picture.n_bytes) if isinstance(aim.size, str) else aim.size
    kind = str(writing.kind)
    lossy = writing.lossy or (MOST_LOSS if options["dither"] == "none" else 0)
    quantized, data, kind, _ = quantize_to_size(
        picture.pixels,
        size,
        format=kind,
        optimize=writing.optimize,
        lossy=lossy,
        K=aim.K,
        **options,
    )
    palette, indices = used(quantized.palette, quantized.indices)
    return quantized, _Encoded(kind, data, palette, indices, quantized.mse)


@dataclasses.dataclass(frozen=True, slots=True)
class _Encoded:
    """The contents of a file, and what it should show."""

    format: str
    data: bytes
    palette: Pixels
    indices: Pixels
    mse: float

    def shown_by(self, data: bytes) -> bool:
        return decodes_to(data, self.palette, self.indices)


def _encoded(picture: Picture, quantized: Quantized, writing: _Writing) -> _Encoded:
    """Encode an image, as it is and in what `lossy` allows; give the smallest of these."""
    kind = str(writing.kind)
    options: dict[str, Any] = {
        "optimize": writing.optimize,
        "metadata": picture.metadata,
        "policy": writing.metadata,
    }

    def encoded(palette: Pixels, indices: Pixels, mse: float) -> _Encoded:
        if kind == "auto":
            found, data = encode_smallest(palette, indices, **options)
        else:
            found, data = kind, encode(palette, indices, kind, **options)
        return _Encoded(found, data, *used(palette, indices), mse)

    files = [encoded(quantized.palette, quantized.indices, quantized.mse)]
    if writing.lossy and kind != "jpeg":
        palette, indices = chained(*_like(picture.pixels, quantized))
        # Only PNG has filters.
        for coder in ("matches", "residuals") if kind in ("png", "ico", "auto") else ("matches",):
            smoothed, extra = smooth(
                picture.pixels,
                palette,
                indices,
                writing.lossy,
                coder=coder,
                n_threads=writing.n_threads,
            )
            mse = quantized.mse + extra / (64**2 * indices.size)
            files.append(encoded(palette, smoothed, mse))
    return min(files, key=lambda file: len(file.data))


def _like(pixels: Pixels, quantized: Quantized) -> tuple[Pixels, Pixels]:
    """The palette with an alpha channel if the pixels have one: a given one may do without."""
    palette = quantized.palette
    if pixels.shape[2:] == (4,) and palette.shape[1] == 3:
        palette = np.pad(palette, ((0, 0), (0, 1)), constant_values=OPAQUE)
    return palette, quantized.indices


def _still(picture: Picture, quantized: Quantized, encoded: _Encoded) -> Compressed:
    """Say what the file really shows: its colours, its MSE, and a PNG's size if it matters."""
    colors, mse, bytes_as_png = len(encoded.palette), encoded.mse, None
    if encoded.format == "jpeg":
        shown = read_image(
            io.BytesIO(encoded.data), max_pixels=encoded.indices.size, icc="keep"
        ).pixels
        colors = count_colors(shown)
        mse = _mean_squared_error(picture.pixels, shown)
        if colors > len(encoded.palette):
            png = encode(encoded.palette, encoded.indices, "png", optimize=OPTIMIZE_ESTIMATE)
            bytes_as_png = len(png)
    return Compressed(
        input=None,
        output=None,
        format=encoded.format,
        width=encoded.indices.shape[1],
        height=encoded.indices.shape[0],
        frames=picture.frames,
        frames_written=1,
        palette_size=len(encoded.palette),
        palette=tuple(map(hex_text, encoded.palette.tolist())),
        colors_before=count_colors(picture.pixels),
        colors_after=colors,
        bytes_before=picture.n_bytes,
        bytes_after=len(encoded.data),
        kept_original=False,
        bytes_encoded=len(encoded.data),
        bytes_as_png=bytes_as_png,
        mse=mse,
        psnr=10 * math.log10(3 * 255**2 / mse) if mse else math.inf,
        n_iter=quantized.n_iter,
        notes=picture.notes,
        seconds=0.0,
    )


def _preview(picture: Picture, quantized: Quantized) -> bytes:
    from kmeans_c.views.preview import preview  # noqa: PLC0415 - few ask for it

    file = io.BytesIO()
    # The pixels are still those of a profile that was kept.
    preview(picture.pixels, quantized).save(file, "png", icc_profile=picture.metadata.icc)
    return file.getvalue()


def _rereadable(source: Source) -> Source:
    """A file object that can be read once only, as one that can be read again."""
    if isinstance(source, str | os.PathLike) or (hasattr(source, "seekable") and source.seekable()):
        return source
    contents = source.read()
    if not isinstance(contents, bytes):
        raise TypeError(f"input: expected a binary file object, got one of {type(contents)}")
    return NamedBytes(contents, _name(source))


class NamedBytes(io.BytesIO):
    """The contents of a file, with its name.

    Parameters
    ----------
    contents : bytes
    name : str or None
    """

    def __init__(self, contents: bytes, name: str | None) -> None:
        super().__init__(contents)
        self.name = name


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
