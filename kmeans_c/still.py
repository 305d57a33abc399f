"""Still images: from pixels to the encoded file, and to what is reported of it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from kmeans_c.alpha import is_nearly_opaque, opaque_table, over_white
from kmeans_c.checks import check_choice, check_int
from kmeans_c.color_text import hex_text
from kmeans_c.colors import count_distinct, hidden
from kmeans_c.encoding import (
    FORMATS,
    MAX_COLORS,
    OPAQUE_FORMATS,
    check_fits,
    check_holds,
    decodes_to,
    encode,
    encode_smallest,
    holds_palette,
    stores,
)
from kmeans_c.fixed_palette import Fixed, is_small, keeps_indices, with_given, with_own
from kmeans_c.images import ANIMATED, Picture, count_colors
from kmeans_c.images.metadata_losses import losses, policy_notes
from kmeans_c.images.modes import OPAQUE, Pixels
from kmeans_c.jpeg.options import Options
from kmeans_c.png import chained, used
from kmeans_c.proof import can_prove, reads_otherwise
from kmeans_c.quantize import Quantized, distinct_colors, quantize
from kmeans_c.rate import MOST_LOSS, smooth
from kmeans_c.result import Compressed
from kmeans_c.target_text import parse_size

if TYPE_CHECKING:
    from kmeans_c.jpeg.search import Jpeg


_ALPHA = "alpha: "  # how a note of it begins


@dataclasses.dataclass(frozen=True, slots=True)
class Writing:
    """How the output is encoded."""

    kind: str | None
    optimize: int
    lossy: float
    metadata: str
    n_threads: int | None
    jpeg: Options
    allow_larger: bool = False
    automatic: bool = False
    keep_palette: bool | None = None  # None: if it was given, or the input's has few colours

    def to(self, picture: Picture, *, first: bool = False) -> Writing:
        """Settle what depends on the input, of whose frames perhaps only the first is taken."""
        own = picture.format if picture.format in FORMATS.values() else "png"
        automatic = self.kind == "auto"
        several = picture.frames > 1 or picture.is_default_image
        animated = automatic and several and not first and own in ANIMATED
        kind = own if self.kind is None or animated else self.kind
        self.jpeg.check_format(kind)
        return dataclasses.replace(self, kind=kind, automatic=automatic)

    def takes(self, picture: Picture) -> bool:
        """Whether the input's own bytes are a file of the format asked for."""
        return picture.format == self.kind or (
            self.automatic and picture.format in FORMATS.values()
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Aim:
    """How many colours, or what decides it."""

    K: int
    automatic: bool = False
    quality: tuple[int, int] | None = None
    size: str | int | None = None
    explicit: bool = False  # whether K was asked for
    allow_larger: bool = False

    @property
    def is_target(self) -> bool:
        """Whether a look, a quality or a size decides the number of colours."""
        return self.automatic or self.quality is not None or self.size is not None


def as_aim(
    K: object, quality: str | int | tuple[int, int] | None, size: str | int | None, *, fixed: bool
) -> Aim:
    """Check K, quality and target_size together."""
    automatic = isinstance(K, str)
    if automatic:
        check_choice("K", K, ("auto",))
    if automatic + (quality is not None) + (size is not None) > 1:
        raise ValueError("K, quality, target_size: expected one target, got several")
    if fixed and (automatic or quality is not None or size is not None):
        raise ValueError("palette, weights, keep_palette: expected none with a target")
    if isinstance(size, str):
        parse_size(size, 1 << 30)  # whether it can be read: the input's bytes are not known yet
    elif size is not None:
        check_int("target_size", size, 1)
    if automatic or K is None:
        most = 16 if quality is None and size is None and not automatic else MAX_COLORS
    else:
        most = check_int("K", K, 1, MAX_COLORS)
    explicit = K is not None and not automatic
    if quality is None:
        return Aim(most, automatic, None, size, explicit)
    from kmeans_c.targets import as_quality  # noqa: PLC0415 - few runs have a target

    return Aim(most, automatic, as_quality(quality), size, explicit)


def without_alpha(picture: Picture, kind: str | None) -> Picture:
    """Draw a picture that is opaque but for some faint pixels over white, if the format is opaque.

    Other pictures come back as they are: `check_fits` refuses what such a format can't hold.
    """
    pixels = picture.pixels
    if kind not in OPAQUE_FORMATS or pixels.shape[2:] != (4,) or not is_nearly_opaque(pixels):
        return picture
    n, least = int(np.count_nonzero(pixels[:, :, 3] < OPAQUE)), int(pixels[:, :, 3].min())
    alphas = f"{least} to {OPAQUE - 1}" if least < OPAQUE - 1 else str(least)
    what = f"1 pixel of alpha {least} was" if n == 1 else f"{n} pixels of alpha {alphas} were"
    note = f"{_ALPHA}{what} drawn over white"
    indexed = picture.indexed
    if indexed is not None:
        indexed = dataclasses.replace(indexed, palette=opaque_table(indexed.palette))
    return dataclasses.replace(
        picture,
        pixels=over_white(pixels),
        indexed=indexed,
        notes=(*picture.notes, note),
        with_alpha=pixels,
    )


def quantized_as(
    picture: Picture,
    aim: Aim,
    writing: Writing,
    options: dict[str, Any],
    contents: Callable[[], bytes],
) -> tuple[Quantized, Encoded]:
    """Find the colours of a still image, and encode it: the one place where that is done.

    `contents` reads the input file, whose bytes decide how good a JPEG may be. An input that is a
    PNG is read once more, by a second decoder, before its output is called lossless: OSError if the
    decoders do not agree. Other formats have no second decoder.
    """
    quantized, encoded = _quantized_as(picture, aim, writing, options, contents)
    # Pixels that were drawn over white are others than the file's.
    comparable = picture.format == "png" and not any(map(_is_of_alpha, picture.notes))
    if comparable and encoded.mse == 0 and encoded.jpeg is None:
        data = contents()
        if reads_otherwise(data, encoded.palette, encoded.indices):
            raise OSError("input: two PNG decoders read different pictures of this file")
    return quantized, encoded


def _lost_alpha(picture: Picture) -> float:
    """Return what drawing over white takes from alpha, as a part of the MSE."""
    if picture.with_alpha is None:
        return 0.0
    values = np.bincount(picture.with_alpha[:, :, 3].ravel(), minlength=OPAQUE + 1)
    squares = (OPAQUE - np.arange(OPAQUE + 1)) ** 2
    return int(values @ squares) / int(values.sum())


def _is_of_alpha(note: str) -> bool:
    return note.startswith(_ALPHA)


def _quantized_as(
    picture: Picture,
    aim: Aim,
    writing: Writing,
    options: dict[str, Any],
    contents: Callable[[], bytes],
) -> tuple[Quantized, Encoded]:
    height, width = picture.pixels.shape[:2]
    # One colour may be opaque for all; of more, one is for what is fully transparent.
    clear = aim.K > 1 and picture.pixels.shape[2:] == (4,) and not picture.pixels[:, :, 3].all()
    check_holds(writing.kind, width, height, transparent=clear)
    fixed = _fixed(picture, aim, writing, options)
    if fixed is not None:
        encoded = _encoded(picture, fixed.quantized, writing, contents)
        return fixed.quantized, dataclasses.replace(encoded, notes=fixed.notes + encoded.notes)
    if not aim.is_target:
        quantized = quantize(picture.pixels, aim.K, **options)
        return quantized, _encoded(picture, quantized, writing, contents)
    from kmeans_c.targets import (  # noqa: PLC0415 - few runs have a target
        TargetNotMet,
        encoded_to_size,
        quantize_auto,
        quantize_quality,
    )

    del options["palette"], options["strict_palette"], options["weights"]
    if aim.size is None:
        quantized = (
            quantize_auto(picture.pixels, K=aim.K, **options)
            if aim.quality is None
            else quantize_quality(picture.pixels, aim.quality, K=aim.K, **options)
        )
        return quantized, _encoded(picture, quantized, writing, contents)
    if writing.jpeg.given:
        raise ValueError(f"{writing.jpeg.given}: expected none with target_size")
    size = parse_size(aim.size, picture.n_bytes) if isinstance(aim.size, str) else aim.size
    options["lossy"] = writing.lossy or (MOST_LOSS if options["dither"] == "none" else 0)
    options |= {"format": str(writing.kind), "optimize": writing.optimize, "K": aim.K}
    options |= {"metadata": picture.metadata, "policy": writing.metadata}
    # A file that takes more bytes than the input is not written, so it is no candidate; only where
    # nothing else fits it is what the input is compared with.
    sizes = [size] if aim.allow_larger else [min(size, picture.n_bytes), size]
    for largest in dict.fromkeys(sizes):
        try:
            found = encoded_to_size(picture.pixels, largest, **options)
            break
        except TargetNotMet as error:
            if largest == size:
                text = str(error).replace("n_bytes:", "target_size:", 1)
                raise TargetNotMet(text, error.reached) from None
    quantized, data, kind, _ = found.sized
    palette, indices = used(quantized.palette, quantized.indices)
    return quantized, Encoded(kind, data, palette, indices, quantized.mse, jpeg=found.jpeg)


def _fixed(picture: Picture, aim: Aim, writing: Writing, options: dict[str, Any]) -> Fixed | None:
    """Give the image in the palette that was given, or in the input's own if that is to stay."""
    if options["palette"] is not None:
        given = dict(options)
        return with_given(picture, given.pop("palette"), given)
    if writing.keep_palette:
        return with_own(picture)
    kept = () if options["keep"] is None else options["keep"]
    if writing.keep_palette is False or aim.is_target or len(kept):
        return None
    kind = "png" if writing.kind == "auto" else str(writing.kind)
    return with_own(picture) if is_small(picture, aim.K, kind, explicit=aim.explicit) else None


@dataclasses.dataclass(frozen=True, slots=True)
class Encoded:
    """The contents of a file, and what it should show."""

    format: str
    data: bytes
    palette: Pixels  # without unused entries
    indices: Pixels
    mse: float
    stored: tuple[Pixels, Pixels] | None = None  # palette and indices, if the file has just these
    notes: tuple[str, ...] = ()
    jpeg: Jpeg | None = None

    def shown_by(self, data: bytes) -> bool:
        """Say whether the contents of a file decode to what they should.

        That is this palette and these indices; of a JPEG the pixels that were measured.
        """
        if self.jpeg is not None:
            from kmeans_c.jpeg import proof  # noqa: PLC0415 - other formats need none of it

            return proof.shows(data, self.jpeg.twin)
        if self.stored is None:
            return decodes_to(data, self.palette, self.indices)
        shown = can_prove(data) or decodes_to(data, self.palette, self.indices)
        return shown and stores(data, *self.stored)


def _encoded(
    picture: Picture, quantized: Quantized, writing: Writing, contents: Callable[[], bytes]
) -> Encoded:
    """Encode an image, as it is and in what `lossy` allows; give the smallest of these."""
    kind = str(writing.kind)
    if kind == "jpeg":
        return _jpeg(picture, quantized, writing, contents())
    options: dict[str, Any] = {
        "optimize": writing.optimize,
        "metadata": picture.metadata,
        "policy": writing.metadata,
        "n_threads": writing.n_threads,
    }

    keep = quantized.given and writing.keep_palette is not False

    def encoded(palette: Pixels, indices: Pixels, mse: float) -> Encoded:
        seen, numbers = used(palette, indices)
        if not keep:
            if kind == "auto":
                found, data = encode_smallest(palette, indices, **options)
            else:
                found, data = kind, encode(palette, indices, kind, **options)
            return Encoded(found, data, seen, numbers, mse)
        found = "png" if kind == "auto" else kind  # WebP has no palette
        data = encode(palette, indices, found, keep_palette=True, **options)
        if holds_palette(found, seen):
            flat = found in OPAQUE_FORMATS and palette.shape[1] == 4
            table = opaque_table(palette) if flat else palette
            return Encoded(found, data, seen, numbers, mse, (table, indices))
        note = f"palette: {found} holds none here, only the colours"
        return Encoded(found, data, seen, numbers, mse, notes=(note,))

    files = [encoded(quantized.palette, quantized.indices, quantized.mse)]
    if writing.lossy:
        palette, indices = _for_smoothing(picture.pixels, quantized, keep=keep)
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
            if keep:
                entries = np.unique(quantized.indices)
                files.append(encoded(quantized.palette, entries[smoothed], mse))
            else:
                files.append(encoded(palette, smoothed, mse))
    return min(files, key=lambda file: len(file.data))


def _for_smoothing(pixels: Pixels, quantized: Quantized, *, keep: bool) -> tuple[Pixels, Pixels]:
    """The entries that pixels have: no other one of a palette that stays shall get any."""
    palette, indices = _like(pixels, quantized)
    if not keep:
        return chained(palette, indices)
    seen, numbers = used(palette, indices)
    return hidden(seen), numbers


def _jpeg(picture: Picture, quantized: Quantized, writing: Writing, contents: bytes) -> Encoded:
    from kmeans_c.jpeg.picture import as_jpeg  # noqa: PLC0415 - other formats need none of it

    palette, indices = used(quantized.palette, quantized.indices)
    check_fits(palette, indices, "jpeg")
    jpeg = as_jpeg(
        picture,
        contents,
        palette,
        indices,
        quantized.mse,
        options=writing.jpeg,
        policy=writing.metadata,
        allow_larger=writing.allow_larger,
        n_threads=writing.n_threads,
    )
    return Encoded("jpeg", jpeg.data, palette, indices, quantized.mse, jpeg=jpeg)


def _like(pixels: Pixels, quantized: Quantized) -> tuple[Pixels, Pixels]:
    """The palette with an alpha channel if the pixels have one: a given one may do without."""
    palette = quantized.palette
    if pixels.shape[2:] == (4,) and palette.shape[1] == 3:
        palette = np.pad(palette, ((0, 0), (0, 1)), constant_values=OPAQUE)
    return palette, quantized.indices


def described(
    picture: Picture, quantized: Quantized, encoded: Encoded, policy: str = "safe"
) -> Compressed:
    """Say what the file really shows: its colours and its MSE, which a JPEG changes once more."""
    n_colors = count_distinct(hidden(encoded.palette))
    jpeg = encoded.jpeg
    colors = n_colors if jpeg is None else jpeg.shown.colors
    mse = (encoded.mse if jpeg is None else jpeg.shown.mse) + _lost_alpha(picture)
    table, indices = encoded.stored or (encoded.palette, encoded.indices)
    stored = None if encoded.stored is None else table
    return Compressed(
        input=None,
        output=None,
        format=encoded.format,
        width=encoded.indices.shape[1],
        height=encoded.indices.shape[0],
        frames=picture.frames,
        frames_written=1,
        default_image=picture.is_default_image,
        palette_size=n_colors,
        palette=tuple(map(hex_text, table.tolist())),
        colors_before=distinct_colors(quantized) or count_colors(picture.pixels),
        colors_after=colors,
        bytes_before=picture.n_bytes,
        bytes_after=len(encoded.data),
        kept_original=False,
        metadata_removed=False,
        metadata_kept=False,
        bytes_encoded=len(encoded.data),
        bytes_as_png=None,
        jpeg_quality=None if jpeg is None else jpeg.quality,
        jpeg_subsampling=None if jpeg is None else jpeg.subsampling,
        share_kept=None if jpeg is None else jpeg.shown.share,
        mse=mse,
        psnr=10 * math.log10(3 * 255**2 / mse) if mse else math.inf,
        n_iter=quantized.n_iter,
        indices_kept=keeps_indices(picture, stored, indices),
        notes=policy_notes(picture.notes, policy) + encoded.notes,
        losses=picture.losses + losses(picture.metadata, encoded.format, policy),
        seconds=0.0,
    )
