"""From file to file: read an image, reduce its colours, write it."""

# np.random in annotations would import it, a tenth of this package's own import time.
from __future__ import annotations

import dataclasses
import io
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kmeans_c.checks import check_choice, check_float, check_int
from kmeans_c.files import FilePath, atomic_write, check_target, safe_open
from kmeans_c.frame_policy import check_for_frames, check_replacing, has_several, takes_all
from kmeans_c.images import ICC, MAX_PIXELS, MAX_TOTAL_PIXELS, Picture, read_image
from kmeans_c.images.metadata import POLICIES, WITH_PROFILE
from kmeans_c.jpeg.options import as_options
from kmeans_c.naming import (
    ByFormat,
    NamedBytes,
    Source,
    check_output,
    check_source,
    file_name,
    format_of_output,
    named_beside,
)
from kmeans_c.png import MOST_OPTIMIZE, OPTIMIZE
from kmeans_c.quantize import Quantized
from kmeans_c.rate import MOST_LOSS
from kmeans_c.result import Compressed
from kmeans_c.still import Writing, as_aim, described, quantized_as, without_alpha

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from kmeans_c.palette import Palette


def compress(
    input: Source = "image.jpg",  # noqa: A002 - the word for it, and the original's
    output: Source | ByFormat | None = None,
    K: int | Literal["auto"] | None = None,
    ITERS: int | None = 10,
    *,
    quality: str | int | tuple[int, int] | None = None,
    target_size: str | int | None = None,
    palette: Palette | ArrayLike | None = None,
    strict_palette: bool = False,
    keep_palette: bool | None = None,
    init: str | ArrayLike = "search",
    effort: str = "balanced",
    space: str = "srgb",
    weights: ArrayLike | None = None,
    keep: ArrayLike | None = None,
    dither: str = "none",
    dither_strength: float = 1.0,
    per_frame: bool = False,
    first: bool = False,
    seed: int | np.random.Generator | None = 0,
    n_threads: int | None = None,
    format: str | None = None,  # noqa: A002 - Pillow's name
    optimize: int = OPTIMIZE,
    lossy: float = 0,
    jpeg_quality: int | None = None,
    subsampling: str | None = None,
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
        PNG, JPEG, WebP, GIF, BMP, TIFF or PPM. All frames of a GIF, APNG or WebP are written if
        the output is one of these, and all pages of a TIFF if it is one; any other output of
        several frames or pages is refused, but with `first`.
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
        up to K colours (256 by default), see `targets.quantize_to_size`. The metadata that are
        kept count. These three exclude each other, and are not for frames, `palette` and `weights`.
    ITERS : int or None
        Rounds of Lloyd's algorithm, 0 or more. None: until nothing changes.
    palette, strict_palette, init, effort, space, weights, keep, dither, dither_strength, seed, \
n_threads
        As for `quantize`. Frames can't have `palette`, `weights` and `keep`, nor any `space`
        and `dither` but the default.
    keep_palette : bool, optional
        Whether the output holds a palette as it is: all entries in their order, unused and double
        ones too, if its format has a palette. Such a file is written even if it is larger than the
        input. It is the one of `palette`, or with True else the input's own, with its indices: an
        input without a palette is refused then. False: entries may be dropped and put into any
        order, which takes fewer bytes. Default: True for `palette`; an indexed input that has no
        more than `K` colours keeps its own, unless `K` is given and less than its entries.
    per_frame : bool
        Whether each frame has a palette of its own.
    first : bool
        Of several frames or pages take the first only; of an APNG the picture that it shows where
        nothing can move.
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
    jpeg_quality : int, optional
        1..100: libjpeg's quality of a JPEG. Default: the best, 30..95, whose file takes at most 0.8
        times the bytes of an input that is a JPEG, or 0.8 times what Pillow writes at quality 90
        of another input. Where none fits, or fewer than 0.9 of the pixels would show their own
        palette entry, or the PSNR would be more than 0.5 dB lower than that of the K colours, the
        smallest file of quality 30..100 that meets both is taken: more than 0.8 times the bytes,
        but fewer than the input without its metadata. If there is none, the best of quality 10..29
        that meets both within these bytes is taken, or else the smallest that meets both and is
        smaller than the input; if none does, the one with the most pixels that show their own
        entry. `jpeg.search` describes it.
    subsampling : {"4:4:4", "4:2:2", "4:2:0"}, optional
        Of a JPEG's chroma. Default: the one with the least error at that size; with `jpeg_quality`
        the first of these that is smaller than the input.
    metadata : {"none", "safe", "keep"}
        What is written of the input's metadata, see `metadata`.
    icc : {"convert", "keep"}
        Whether colours become sRGB or keep their profile, which is then in the output. They become
        sRGB also where the format holds no profile.
    allow_larger : bool
        Whether a file may be written that takes more bytes than the input. Otherwise the input's
        own bytes are written in its place if they are of the format asked for, or `format` is
        "auto", less the metadata that `metadata` forbids: see `images.cleaning`. Nothing is written
        if they are of another format, as no file would be what its name says; nor if they hold
        such metadata that can't be removed without touching the pixels, as in a TIFF.
    overwrite : bool
        Whether an existing file may be replaced. It may be the input itself, unless frames or
        something else would be lost that no metadata policy leaves out, see `Compressed.losses`.
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
        `overwrite` is not set; or if the format can't hold the image (transparency in a JPEG), or
        one picture of several and `first` is not set.
        `targets.TargetNotMet`, a ValueError, if `quality` or `target_size` is out of reach.
    """
    start = time.perf_counter()
    check_source(input)
    target = named_beside(input, format) if output is None else output
    method = {"init": init, "effort": effort, "seed": seed, "n_threads": n_threads}
    still = {
        "palette": palette,
        "strict_palette": strict_palette,
        "space": space,
        "weights": weights,
        "keep": keep,
        "dither": dither,
        "dither_strength": dither_strength,
    }
    if strict_palette and palette is None:
        raise ValueError("strict_palette: expected a palette, got None")
    fixed = palette is not None or weights is not None or bool(keep_palette)
    aim = as_aim(K, quality, target_size, fixed=fixed)
    writing = Writing(
        kind=format_of_output(format, target),
        optimize=check_int("optimize", optimize, 0, MOST_OPTIMIZE),
        lossy=check_float("lossy", lossy, 0, MOST_LOSS),
        metadata=check_choice("metadata", metadata, POLICIES),
        n_threads=n_threads,
        keep_palette=keep_palette,
        jpeg=as_options(jpeg_quality, subsampling),
        allow_larger=allow_larger,
    )
    writing.jpeg.check_format(writing.kind)
    check_choice("icc", icc, ICC)
    if lossy and dither != "none":
        raise ValueError("lossy: expected 0 with dithering, whose pattern it would remove")
    in_place = check_output(input, target, overwrite=overwrite)
    if preview is not None:
        check_target(preview, overwrite=overwrite)

    source = _rereadable(input)
    if writing.kind not in (None, "auto", *WITH_PROFILE):
        icc = "convert"
    picture = read_image(source, max_pixels=max_pixels, icc=icc)
    writing = writing.to(picture, first=first)
    verify: Callable[[bytes], bool] | None = None  # what is written frame by frame is verified
    if takes_all(picture, writing.kind, first=first, in_place=in_place):
        check_for_frames(still | {"keep_palette": keep_palette}, aim, lossy=lossy, preview=preview)
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
            indexed=picture.indexed is not None,
        )
        wanted = False
    else:
        quantized, encoded = quantized_as(
            picture := without_alpha(picture, writing.kind),
            dataclasses.replace(aim, allow_larger=allow_larger),
            writing,
            {"ITERS": ITERS, **method, **still},
            lambda: _original(source, picture),
        )
        data, done = encoded.data, described(picture, quantized, encoded, writing.metadata)
        verify = encoded.shown_by
        # Whoever gives a palette wants it in the file, whatever it takes.
        given = palette is not None or keep_palette is True
        wanted = given and encoded.stored is not None
    encoded_as, done = done.format, _with_same_bytes(done, data, source, picture)

    written = changed = True
    if len(data) > picture.n_bytes and not (allow_larger or wanted):
        from kmeans_c.original import Original  # noqa: PLC0415 - most files get smaller

        # All frames are no answer to the request for the first one.
        takes = writing.takes(picture) and not (first and has_several(picture))
        original = Original.of(_original(source, picture) if takes else None, writing.metadata)
        # Whoever does not want some metadata in a file gets no new file that has them.
        written = original.data is not None and (in_place or not original.tells)
        changed, verify = original.changed, original.proof(picture, icc)
        data, done = original.data or b"", original.described(done, picture)
    if isinstance(target, ByFormat):
        target = target.path(done.format if written else encoded_as)
        in_place = check_output(input, target, overwrite=overwrite)
    if written and (changed or not in_place):
        _write(target, data, done.losses * in_place, overwrite=overwrite, verify=verify)
    if preview is not None:
        _write(preview, _preview(picture, quantized), overwrite=overwrite, verify=None)
    return dataclasses.replace(
        done,
        input=file_name(input),
        output=file_name(target) if written else None,
        seconds=time.perf_counter() - start,
    )


def _with_same_bytes(done: Compressed, data: bytes, source: Source, picture: Picture) -> Compressed:
    """Say that the indices are the input's where all bytes are: of what was written here before."""
    if done.indices_kept is not False or len(data) != picture.n_bytes:
        return done
    return dataclasses.replace(done, indices_kept=data == _original(source, picture))


def _write(
    target: Source,
    data: bytes,
    lost: tuple[str, ...] = (),
    *,
    overwrite: bool,
    verify: Callable[[bytes], bool] | None,
) -> None:
    check_replacing(lost)
    if isinstance(target, str | os.PathLike):
        atomic_write(target, data, overwrite=overwrite, verify=verify)
        return
    if verify is not None and not verify(data):
        raise OSError("output: the file would not show what it should")
    target.write(data)


def _animation(
    source: Source, writing: Writing, icc: str, options: dict[str, Any], *, indexed: bool
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
        jpeg_quality=None,
        jpeg_subsampling=None,
        share_kept=None,
        indices_kept=False if indexed else None,
        metadata_removed=False,
        metadata_kept=False,
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
    return NamedBytes(contents, file_name(source))


def _original(source: Source, picture: Picture) -> bytes:
    if isinstance(source, str | os.PathLike):
        with safe_open(source) as file:
            contents = file.read(picture.n_bytes + 1)
    else:
        source.seek(0)
        contents = source.read()
    if len(contents) != picture.n_bytes:
        raise OSError(f"{file_name(source)}: has changed while it was read")
    return contents
