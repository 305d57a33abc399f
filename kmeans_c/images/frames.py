"""Reading animations and pages: every frame as the viewer sees it, one at a time."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Self, cast

import numpy as np
from numpy.typing import NDArray

from kmeans_c.checks import check_choice, check_int
from kmeans_c.files import FilePath
from kmeans_c.images import (
    ICC,
    MAX_PIXELS,
    MAX_TOTAL_PIXELS,
    gif_file,
    load,
    modes,
    open_source,
    png_file,
)
from kmeans_c.images.color_management import Conversion, meaning
from kmeans_c.images.decoders import check_size, format_of, naming, opened
from kmeans_c.images.metadata import Metadata, read_metadata
from kmeans_c.images.modes import OPAQUE, Pixels
from kmeans_c.images.orientation import SIDEWAYS, upright
from kmeans_c.images.png_chunks import long_texts_note
from kmeans_c.images.trailing import notes_of

if TYPE_CHECKING:
    from kmeans_c.images.tiff_metadata import Chain

Packed = NDArray[np.uint32]

# A frame costs some 0.3 ms whatever its size, as much as so many pixels.
PIXELS_A_FRAME = 1 << 16

# libtiff walks to each page from the first: 4096 pages, the most that there may be, take 10 s.
PIXELS_A_PAGE = 1 << 19


class Frame(NamedTuple):
    """One frame as the viewer sees it.

    Attributes
    ----------
    pixels : (H, W, 4) array of uint8
        RGBA, sRGB, not premultiplied; the colour is 0 where alpha is.
    duration : Fraction
        Seconds, exactly as the file says; 0 for a page of a TIFF.
    """

    pixels: Pixels
    duration: Fraction


@dataclass(frozen=True, slots=True, eq=False)
class _Reel:
    """What a format's reader finds out before any frame is decoded."""

    width: int
    height: int
    n_frames: int
    loop: int
    frames: Callable[[], Iterator[Frame]]
    default_image: Callable[[], Pixels] | None
    metadata: Metadata
    notes: tuple[str, ...]
    losses: tuple[str, ...] = ()
    pages: tuple[Metadata, ...] = ()


class Animation:
    """The frames of a file: GIF, APNG, WebP, or the pages of a TIFF; `read_frames` opens one.

    It is an iterable of `Frame` that may be gone through any number of times, each time decoding
    the file afresh: only a few frames are in memory at any time. It keeps the file open until it is
    closed, best by ``with``.

    Attributes
    ----------
    format : str
        "gif", "png", "webp", "tiff" or, of a still image, any that `read_image` reads.
    width, height : int
        Of the canvas. Pages of a TIFF may have other sizes; these are the first one's.
    loop : int
        How many times it is played; 0: for ever.
    n_bytes : int
        Size of the file.
    metadata : Metadata
        Of the file, or of a TIFF's first page.
    pages : tuple of Metadata
        Of each page of a TIFF; otherwise empty.
    notes, losses : tuple of str
        As for `Picture`.
    """

    def __init__(
        self, close: Callable[[], None], name: str, kind: str, n_bytes: int, reel: _Reel
    ) -> None:
        self._close = close
        self._name = name
        self._reel = reel
        self.format = kind
        self.width = reel.width
        self.height = reel.height
        self.loop = reel.loop
        self.n_bytes = n_bytes
        self.metadata = reel.metadata
        self.notes = reel.notes
        self.losses = reel.losses
        self.pages = reel.pages

    @property
    def has_default_image(self) -> bool:
        """Whether there is a `default_image`."""
        return self._reel.default_image is not None

    @property
    def default_image(self) -> Pixels | None:
        """What an APNG shows where it cannot move, if that is none of its frames: (H, W, 4)."""
        if self._reel.default_image is None:
            return None
        with naming(self._name):
            return self._reel.default_image()

    def __len__(self) -> int:
        return self._reel.n_frames

    def __iter__(self) -> Iterator[Frame]:
        with naming(self._name):
            yield from self._reel.frames()

    def __repr__(self) -> str:
        size = f"{self.width} x {self.height}"
        return f"<Animation: {len(self)} frames of {size}, {self.format}, loop {self.loop}>"

    def close(self) -> None:
        """Close the file."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_frames(
    source: FilePath | BinaryIO,
    *,
    max_pixels: int = MAX_PIXELS,
    max_total_pixels: int = MAX_TOTAL_PIXELS,
    icc: str = "convert",
) -> Animation:
    """Open an animation or a TIFF of several pages; a still image is one frame.

    Frames are composed by the formats' own rules, as browsers do it: regions, blending, disposal,
    transparency. Colours, orientation and modes are treated as by `read_image`. The further
    pictures of a JPEG (MPO: other views, gain maps) are no frames and not read.

    Parameters
    ----------
    source : str, path-like or binary file object
        As for `read_image`. A file object is read to its end at once.
    max_pixels : int
        Of a frame.
    max_total_pixels : int
        Of all frames, each of which counts as at least 65,536, a page of a TIFF as 524,288. More
        are refused before any frame is decoded.
    icc : {"convert", "keep"}
        As for `read_image`.

    Returns
    -------
    Animation

    Raises
    ------
    OSError
        If anything is wrong with the file, see `read_image`; while it is iterated over, if a frame
        is damaged or missing: none is ever left out.
    TypeError, ValueError
        As `read_image` does.
    """
    check_int("max_pixels", max_pixels, 1)
    check_int("max_total_pixels", max_total_pixels, 1)
    keep = check_choice("icc", icc, ICC) == "keep"
    with contextlib.ExitStack() as stack:
        file, name = stack.enter_context(open_source(source))
        with naming(name):
            n_bytes = file.seek(0, io.SEEK_END)
            file.seek(0)
            kind = format_of(file)
            reel = _READERS.get(kind, _read_pages)(file, Limits(max_pixels, max_total_pixels), keep)
        return Animation(stack.pop_all().close, name, kind, n_bytes, reel)


class Limits(NamedTuple):
    """What is refused before it is decoded."""

    pixels: int
    total: int

    @property
    def frames(self) -> int:
        """How many frames may be looked for."""
        return max(1, self.total // PIXELS_A_FRAME)

    def check(self, width: int, height: int, n_frames: int) -> None:
        """Refuse an animation that is too large."""
        check_size(width, height, self.pixels)
        self.check_total(n_frames * max(width * height, PIXELS_A_FRAME), n_frames)

    def check_total(self, total: int, n_frames: int) -> None:
        """Refuse frames that have too many pixels together."""
        if n_frames > 1 and total > self.total:
            raise OSError(
                f"animation has {total} pixels in {n_frames} frames, limit is {self.total} "
                "(max_total_pixels)"
            )


def packed(pixels: Pixels) -> Packed:
    """View (H, W, 4) pixels as (H, W) numbers, of which equal ones are equal colours."""
    numbers: Packed = pixels.view(np.uint32)[:, :, 0]
    return numbers


def blend_over(below: Pixels, above: Pixels) -> None:
    """Put one region over another, both (h, w, 4), not premultiplied; the result is `below`.

    Source-over as the APNG specification states it, in whole numbers, rounded to the nearest.
    """
    alpha = above[:, :, 3]
    np.copyto(below, above, where=(alpha == OPAQUE)[:, :, np.newaxis])
    partly = (alpha > 0) & (alpha < OPAQUE)
    if not partly.any():
        return
    source, target = above[partly].astype(np.uint32), below[partly].astype(np.uint32)
    share = source[:, 3:] * OPAQUE
    rest = (OPAQUE - source[:, 3:]) * target[:, 3:]
    both = share + rest
    mixed = (2 * (source * share + target * rest) + both) // (2 * both)
    mixed[:, 3:] = (2 * both + OPAQUE) // (2 * OPAQUE)
    below[partly] = mixed.astype(np.uint8)


def _read_gif(file: BinaryIO, limits: Limits, keep: bool) -> _Reel:  # noqa: ARG001 - no profiles
    gif = gif_file.read_gif(file, limits.frames)
    limits.check(gif.width, gif.height, len(gif.images))
    file.seek(0)
    image = opened(file)
    return _Reel(
        gif.width,
        gif.height,
        len(gif.images),
        gif.plays,
        lambda: _gif_frames(file, gif),
        None,
        read_metadata(image, None),
        (),
    )


def _gif_frames(file: BinaryIO, gif: gif_file.Gif) -> Iterator[Frame]:
    canvas = np.zeros((gif.height, gif.width), np.uint32)
    for image in gif.images:
        region = canvas[image.top :, image.left :][: image.height, : image.width]
        before = region.copy() if image.disposal == gif_file.PREVIOUS else None
        decoded = opened(gif_file.standalone(file, image))
        decoded.load()
        indices = np.asarray(decoded)[: region.shape[0], : region.shape[1]]
        colors = _gif_table(image.palette or gif.palette)[indices]
        drawn = True if image.transparent is None else indices != image.transparent
        np.copyto(region, colors, where=drawn)
        pixels = canvas.copy().view(np.uint8).reshape(*canvas.shape, 4)
        yield Frame(pixels, Fraction(image.hundredths, 100))
        if image.disposal == gif_file.BACKGROUND:
            region[...] = 0
        elif before is not None:
            region[...] = before


def _gif_table(palette: bytes | None) -> Packed:
    """The colours of 256 indices: those that a table has not got are black, without one grey."""
    table = np.zeros((256, 4), np.uint8)
    table[:, 3] = OPAQUE
    if palette is None:
        table[:, :3] = np.arange(256)[:, np.newaxis]
    else:
        colors = np.frombuffer(palette, np.uint8).reshape(-1, 3)
        table[: len(colors), :3] = colors
    return packed(table[:, np.newaxis])[:, 0]


def _read_png(file: BinaryIO, limits: Limits, keep: bool) -> _Reel:
    apng = png_file.read_apng(file, limits.frames)
    file.seek(0)
    if apng is None:
        return _read_pages(file, limits, keep)
    limits.check(apng.width, apng.height, len(apng.frames))
    chunks = png_file.color_chunks(file)
    image = opened(png_file.without_animation(file))
    conversion = Conversion(meaning(image.info.get("icc_profile"), chunks), keep=keep)
    turn = _Turn(*load(image))
    modes.eight_bit(image, conversion)

    def decode(data: list[tuple[int, int]], width: int, height: int) -> Pixels:
        part = opened(png_file.standalone(file, apng, data, width, height))
        load(part)
        return modes.rgba(modes.eight_bit(part, conversion))

    def frames() -> Iterator[Frame]:
        canvas = np.zeros((apng.height, apng.width, 4), np.uint8)
        for number, control in enumerate(apng.frames):
            region = canvas[control.top :, control.left :][: control.height, : control.width]
            before = region.copy() if control.dispose == png_file.PREVIOUS and number else None
            pixels = decode(control.data, control.width, control.height)
            if control.blend == png_file.OVER:
                blend_over(region, pixels)
            else:
                region[...] = pixels
            yield Frame(turn.upright(canvas.copy()), Fraction(*control.duration))
            if before is not None:
                region[...] = before
            elif control.dispose != png_file.NONE:
                region[...] = 0

    def default_image() -> Pixels:
        return turn.upright(decode(apng.default, apng.width, apng.height))

    return _Reel(
        *turn.size(apng.width, apng.height),
        len(apng.frames),
        apng.plays,
        frames,
        default_image if apng.default else None,
        read_metadata(image, conversion.kept, sideways=turn.sideways),
        notes_of(conversion.meaning.note, long_texts_note(image)),
    )


def _read_webp(file: BinaryIO, limits: Limits, keep: bool) -> _Reel:
    image = cast("Any", opened(file))  # libwebp composes; n_frames and timing are this class's own
    limits.check(image.width, image.height, image.n_frames)
    conversion = Conversion(meaning(image.info.get("icc_profile")), keep=keep)
    turn = _Turn(*load(image))
    modes.eight_bit(image, conversion)

    def frames() -> Iterator[Frame]:
        file.seek(0)
        again = cast("Any", opened(file))
        for number in range(again.n_frames):
            again.seek(number)
            again.load()
            pixels = turn.upright(modes.rgba(modes.eight_bit(again, conversion)))
            yield Frame(pixels, Fraction(again.info["duration"], 1000))

    return _Reel(
        *turn.size(image.width, image.height),
        image.n_frames,
        image.info["loop"],
        frames,
        None,
        read_metadata(image, conversion.kept, sideways=turn.sideways),
        (),
    )


def _read_pages(file: BinaryIO, limits: Limits, keep: bool) -> _Reel:
    """Read a still image, or the pages of a TIFF, each of which has its own size and profile."""
    chunks = png_file.color_chunks(file) if format_of(file) == "png" else {}
    chain = None
    if format_of(file) == "tiff":
        from kmeans_c.images.tiff_metadata import read_chain  # noqa: PLC0415 - few files are TIFF

        chain = read_chain(file)
    image = opened(png_file.without_animation(file))
    numbers = _check_pages(image, limits, chain)
    image.seek(numbers[0])
    own = image.info.get("icc_profile")
    conversion = Conversion(meaning(own, chunks), keep=keep)
    turn = _Turn(*load(image))
    modes.eight_bit(image, conversion)

    def frames() -> Iterator[Frame]:
        file.seek(0)
        again = opened(png_file.without_animation(file))
        for number in numbers:
            again.seek(number)
            profile = again.info.get("icc_profile")
            way = conversion
            if number != numbers[0] and profile != own:
                way = Conversion(meaning(profile))
            page = _Turn(*load(again))
            yield Frame(page.upright(modes.rgba(modes.eight_bit(again, way))), Fraction(0))

    metadata = read_metadata(image, conversion.kept, sideways=turn.sideways)
    losses: dict[str, None] = {}
    pages: list[Metadata] = []
    if chain is not None:
        losses = dict.fromkeys(chain.losses)
        for number in numbers:
            page, lost = chain.metadata(number, conversion.kept)
            losses |= dict.fromkeys(lost)
            pages.append(page)
        metadata = pages[0]
    return _Reel(
        *turn.size(image.width, image.height),
        len(numbers),
        1,
        frames,
        None,
        metadata,
        notes_of(conversion.meaning.note, long_texts_note(image)),
        tuple(losses),
        tuple(pages),
    )


def _check_pages(image: Any, limits: Limits, chain: Chain | None) -> list[int]:
    """Number the pages, and refuse too many pixels before any of them are decoded."""
    n = pages = total = 0
    while True:
        if chain is None or n in chain.pages or n >= len(chain.directories):
            check_size(image.width, image.height, limits.pixels)
            pages += 1
            total += max(image.width * image.height, PIXELS_A_PAGE)
            limits.check_total(total, pages)
        n += 1
        if chain is None:
            return [0]
        try:
            image.seek(n)
        except EOFError:
            return chain.numbers(n)


class _Turn:
    """An orientation, of sense or not."""

    def __init__(self, orientation: object, sideways: bool) -> None:
        self.orientation = orientation
        self.sideways = sideways

    def upright(self, pixels: Pixels) -> Pixels:
        return np.ascontiguousarray(upright(pixels, self.orientation))

    def size(self, width: int, height: int) -> tuple[int, int]:
        return (height, width) if self.orientation in SIDEWAYS else (width, height)


_READERS: dict[str, Callable[[BinaryIO, Limits, bool], _Reel]] = {
    "gif": _read_gif,
    "png": _read_png,
    "webp": _read_webp,
}
