"""Animations of few colours: from frames to a palette, to frames again, and to a file.

Two passes over the frames: one counts the colours, one maps and writes. A few frames are in memory
at any time, and the compressed output.

A pixel that does not change has the same palette entry in every frame, because the entry depends on
the colour alone: nothing flickers, and the files are small. (Error diffusion would lose both:
what it adds to a pixel depends on all pixels before it.)
"""

# np.random in annotations would import it, a tenth of this package's own import time.
from __future__ import annotations

import hashlib
import io
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kmeans_c import encoding, files
from kmeans_c.animation import drawings
from kmeans_c.animation.drawings import Cel
from kmeans_c.animation.writers import ApngWriter, GifWriter, Smallest, WebpWriter, Writer
from kmeans_c.checks import check_choice, check_int
from kmeans_c.clustering import Fit, fit
from kmeans_c.histogram import Histogram
from kmeans_c.images import ANIMATED
from kmeans_c.images.frames import Animation, packed, read_frames
from kmeans_c.images.metadata import Metadata, fitted, kept
from kmeans_c.images.modes import OPAQUE
from kmeans_c.images.tiff_file import Pages
from kmeans_c.integrity import as_palette
from kmeans_c.mapping import PaletteMap
from kmeans_c.method import as_method
from kmeans_c.threads import thread_count

if TYPE_CHECKING:
    from kmeans_c.images.fields import Folder

_LARGEST_SIDE = {"gif": 65535, "webp": 1 << 14}


class Encoded(NamedTuple):
    """An animation as a file, and what the file must show.

    Attributes
    ----------
    data : bytes
    kind : str
    digests : tuple of bytes
        Of each frame's colours.
    durations : tuple of Fraction
        Seconds, as the format rounds them.
    loop : int
    still : bytes or None
        Digest of the colours of an APNG's default image, where it is none of the frames.
    """

    data: bytes
    kind: str
    digests: tuple[bytes, ...]
    durations: tuple[Fraction, ...]
    loop: int
    still: bytes | None = None

    def shown_by(self, data: bytes) -> bool:
        """Whether a file shows exactly these frames, so long and so often: by decoding it."""
        try:
            # The colours of a profile that was kept are to be compared as they are.
            with read_frames(io.BytesIO(data), max_total_pixels=1 << 62, icc="keep") as animation:
                if len(animation) != len(self.digests) or animation.loop != self.loop:
                    return False
                default = animation.default_image
                if (None if default is None else _digest(packed(default))) != self.still:
                    return False
                expected = zip(self.digests, self.durations, strict=True)
                for frame, (digest, duration) in zip(animation, expected, strict=True):
                    if frame.duration != duration or _digest(packed(frame.pixels)) != digest:
                        return False
        except OSError:
            return False
        return True


class QuantizedAnimation:
    """An animation of at most K colours, or K a frame: what `quantize_animation` returns.

    It reads its frames from the file as they are needed, so the `Animation` must stay open.

    Attributes
    ----------
    animation : Animation
        What it was made of.
    palettes : tuple of (n, 4) array of uint8
        RGBA, one for all frames or one each; in each the colours are distinct and used, full
        transparency comes first, the others follow from dark to light.
    colors : int
        How many colours the frames had together; where each has its own palette, the most that one
        frame had.
    mse : float
        As for `Quantized`, over all pixels of all frames, and of an APNG's default image if that
        counts.
    n_iter : int
        Rounds of Lloyd's algorithm, the most for any palette.
    """

    def __init__(
        self,
        animation: Animation,
        palettes: tuple[NDArray[np.uint8], ...],
        *,
        exact: tuple[bool, ...],
        colors: int,
        mse: float,
        n_iter: int,
        n_threads: int,
        counts_still: bool = True,
    ) -> None:
        self.animation = animation
        self.palettes = palettes
        self.colors = colors
        self.mse = mse
        self.n_iter = n_iter
        self._exact = exact
        self._n_threads = n_threads
        self._counts_still = counts_still

    @property
    def psnr(self) -> float:
        """Peak signal-to-noise ratio in dB, over pixels and channels; infinite if lossless."""
        return 10 * math.log10(3 * 255**2 / self.mse) if self.mse else math.inf

    def __len__(self) -> int:
        return len(self.animation)

    def cels(self) -> Iterator[Cel]:
        """Yield each frame as palette entries, `drawings.Cel`."""
        self._check_palettes()
        mapper = _Mapper(self.palettes[0], exact=self._exact[0], n_threads=self._n_threads)
        for number, frame in enumerate(self.animation):
            if number and len(self.palettes) > 1:
                mapper = _Mapper(
                    self.palettes[number], exact=self._exact[number], n_threads=self._n_threads
                )
            indices = mapper.map(frame.pixels)
            shown = packed(mapper.palette[np.newaxis])[0][indices]
            yield Cel(number, mapper.palette, indices, shown, frame.duration)

    def encode(self, format: str, *, metadata: str = "safe") -> Encoded:  # noqa: A002 - as Pillow
        """Make the contents of a file.

        What does not change from frame to frame takes no space. Frames are never joined or left
        out.

        Parameters
        ----------
        format : str
            "gif", "png" (APNG), "webp" (lossless) or "tiff" (pages), or an ending of these. An APNG
            of more than 256 colours in all, which only palettes for each frame have, is in full
            colour. Only an APNG keeps another APNG's default image, mapped to the first palette.
        metadata : {"none", "safe", "keep"}
            See `metadata`; each page of a TIFF has its own.

        Returns
        -------
        Encoded

        Raises
        ------
        ValueError
            If the format can't hold it: partial transparency in a GIF, frames of different sizes
            anywhere but in a TIFF, sizes or durations beyond what there is room for, a profile that
            was kept in a GIF or TIFF; or if it holds no animations.
        OSError
            If a frame turns out to be damaged.
        """
        kind = check_choice("format", encoding.check_format(format), ANIMATED)
        self._check_palettes()
        left = kept(self.animation.metadata, metadata)
        self._check_fits(kind)
        digests: list[bytes] = []
        cels = self._watched(digests)
        still = self._default_image() if kind == "png" else None
        if kind == "tiff":
            pages = Pages()
            for number, cel in enumerate(cels):
                pages.add(cel.palette, cel.indices, self._page(number, metadata))
            data = pages.finish()
            durations = [Fraction(0)] * len(digests)
        else:
            about = fitted(left, kind, metadata)
            writer = self._writer(kind, about, still)
            plan = (
                drawings.disposing(self._one_size(cels, kind))
                if kind == "gif"
                else drawings.replacing(self._one_size(cels, kind), even=kind == "webp")
            )
            durations = [writer.add(drawing) for drawing in plan]
            data = writer.finish()
        loop = 1 if kind == "tiff" else self._loop(kind)
        shown = None if still is None else _digest(packed(still))
        return Encoded(data, kind, tuple(digests), tuple(durations), loop, shown)

    def save(
        self,
        path: str | os.PathLike[str] | BinaryIO,
        format: str | None = None,  # noqa: A002 - Pillow's name
        *,
        metadata: str = "safe",
        overwrite: bool = False,
    ) -> int:
        """Write the animation to a file, whole or not at all, and only if it shows every frame.

        Parameters
        ----------
        path : path or binary file object
            The ending names the format unless `format` does.
        format, metadata
            As for `encode`.
        overwrite : bool
            Whether an existing file may be replaced.

        Returns
        -------
        int
            The size of the file in bytes.

        Raises
        ------
        OSError
            If the file can't be written, or would not show what it should; an existing one is then
            as it was. FileExistsError if it exists and `overwrite` is not set.
        ValueError
            As `encode` does, and if no format is known by that name or ending.
        """
        encoded = self.encode(format or encoding.format_for(path), metadata=metadata)
        if isinstance(path, str | os.PathLike):
            files.atomic_write(path, encoded.data, overwrite=overwrite, verify=encoded.shown_by)
        else:
            if not encoded.shown_by(encoded.data):
                raise OSError("output: the file would not show what it should")
            path.write(encoded.data)
        return len(encoded.data)

    def _check_palettes(self) -> None:
        """Keep private copies of the palettes: anyone may have written to those that were given."""
        given = self.palettes
        if not isinstance(given, tuple) or len(given) not in (1, len(self.animation)):
            raise ValueError(f"palettes: expected 1 or {len(self.animation)} in a tuple")
        if len(self._exact) != len(given):
            raise ValueError(f"palettes: expected {len(self._exact)}, got {len(given)}")
        palettes = tuple(as_palette("palettes", palette, 4) for palette in given)
        if max(map(len, palettes)) > encoding.MAX_COLORS:
            raise ValueError(f"palettes: expected at most {encoding.MAX_COLORS} colours")
        self.palettes = palettes

    def _page(self, number: int, policy: str) -> Folder:
        from kmeans_c.images.tiff_metadata import tiff_folder  # noqa: PLC0415 - few write pages

        pages = self.animation.pages or (self.animation.metadata,)
        about = kept(pages[min(number, len(pages) - 1)], policy)
        return tiff_folder(fitted(about, "tiff", policy))

    def _watched(self, digests: list[bytes]) -> Iterator[Cel]:
        for cel in self.cels():
            digests.append(_digest(cel.shown))
            yield cel

    def _one_size(self, cels: Iterator[Cel], kind: str) -> Iterator[Cel]:
        width, height = self.animation.width, self.animation.height
        for cel in cels:
            if cel.shown.shape != (height, width):
                other = f"{cel.shown.shape[1]} x {cel.shown.shape[0]}"
                raise ValueError(
                    f"format: {kind} frames have one size, got {width} x {height} and {other}; "
                    "tiff can hold them"
                )
            yield cel

    def _check_fits(self, kind: str) -> None:
        check_holds_frames(self.animation, kind)
        if kind == "gif" and any(
            np.any((palette[:, 3] > 0) & (palette[:, 3] < OPAQUE)) for palette in self.palettes
        ):
            raise ValueError("format: gif holds no partial transparency; png, webp and tiff do")

    def _loop(self, kind: str) -> int:
        # GIF counts repeats, and WebP plays, in 16 bits.
        return min(self.animation.loop, {"gif": 65536, "webp": 65535}.get(kind, 0xFFFFFFFF))

    def _writer(self, kind: str, metadata: Metadata, default: NDArray[np.uint8] | None) -> Writer:
        about = (self.animation.width, self.animation.height, self._loop(kind))
        if kind == "webp":
            alpha = any(np.any(palette[:, 3] < OPAQUE) for palette in self.palettes)
            return WebpWriter(*about, metadata, alpha=alpha)
        # A transparent entry may need another bit for every pixel: then both ways are tried.
        doubtful = any(
            len(palette) & (len(palette) - 1) == 0
            and len(palette) < encoding.MAX_COLORS
            and palette[0].any()
            for palette in self.palettes
        )
        spares = (True, False) if doubtful else (True,)
        if kind == "gif":
            writers: Sequence[Writer] = [
                GifWriter(*about, self.palettes, metadata, spare=spare) for spare in spares
            ]
        else:
            writers = [
                ApngWriter(*about, self.palettes, metadata, spare=spare, default=default)
                for spare in spares
            ]
        return Smallest(writers)

    def _default_image(self) -> NDArray[np.uint8] | None:
        pixels = self.animation.default_image if self._counts_still else None
        if pixels is None:
            return None
        mapper = _Mapper(self.palettes[0], exact=self._exact[0], n_threads=self._n_threads)
        return mapper.palette[mapper.map(pixels)]


def quantize_animation(
    animation: Animation,
    K: int = 16,
    ITERS: int | None = 10,
    *,
    per_frame: bool = False,
    init: str | ArrayLike = "search",
    effort: str = "balanced",
    seed: int | np.random.Generator | None = 0,
    n_threads: int | None = None,
    default_image: bool = True,
) -> QuantizedAnimation:
    """Reduce an animation to at most K colours, the same for all frames or others for each.

    Parameters
    ----------
    animation : Animation
        Open; `read_frames` gives one. It must stay open as long as the result is used.
    K : int
        1..256: how many colours. Of 256 entries one is kept for transparency, unless there are no
        more than 256 colours.
    ITERS : int or None
        Rounds of Lloyd's algorithm, 0 or more; None: until nothing changes.
    per_frame : bool
        Whether each frame has a palette of its own. With one palette a colour that does not change
        stays exactly the same; with palettes of their own it may flicker.
    init, effort, seed, n_threads
        As for `quantize`.
    default_image : bool
        Whether the default image of an APNG that is none of its frames counts as well: with the
        colours of all frames, or with `per_frame` with those of the first. False: it is not
        written; for formats that do not hold it.

    Returns
    -------
    QuantizedAnimation
        The result depends on the colours of the frames and their counts only. An animation of no
        more than K colours comes back unchanged.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, or impossible; the message begins with its name.
    OSError
        If a frame turns out to be damaged.
    """
    if not isinstance(animation, Animation):
        got = type(animation).__name__
        raise TypeError(f"animation: expected an Animation, got {got}")
    K = check_int("K", K, 1, encoding.MAX_COLORS)
    ITERS = None if ITERS is None else check_int("ITERS", ITERS, 0)
    threads = thread_count(n_threads)

    still = _still_histogram(animation, threads) if default_image else None
    histograms: Iterable[Histogram]
    if per_frame:
        histograms = _with_still(_histograms(animation, threads), still)
    else:
        counted = _histograms(animation, threads)
        histograms = [_merged(counted if still is None else chain([still], counted))]
    palettes, exact = [], []
    colors = inertia = total = n_iter = 0
    for histogram in histograms:
        # Without a transparent entry every unchanged pixel of a region is drawn again: a 256th
        # colour makes GIF and APNG up to three times as large for 0.1 to 0.8 dB.
        full = K == encoding.MAX_COLORS < len(histogram) and not histogram.has_transparent
        # A frame's own palette does not depend on the frames before it: each begins at the seed.
        method = as_method(K - full, init=init, effort=effort, space="srgb", keep=None, seed=seed)
        found: Fit = fit(histogram, K - full, ITERS, method, n_threads=threads)
        palettes.append(_rgba(found.palette))
        exact.append(len(found.palette) == len(histogram))
        colors = max(colors, len(histogram))
        n_iter = max(n_iter, found.n_iter)
        inertia += found.inertia
        total += histogram.total
    return QuantizedAnimation(
        animation,
        tuple(palettes),
        exact=tuple(exact),
        colors=colors,
        mse=inertia / (64**2 * total),  # coordinates are in 64ths
        n_iter=n_iter,
        n_threads=threads,
        counts_still=still is not None,
    )


def check_holds_frames(animation: Animation, kind: str) -> None:
    """Refuse what a format can't hold whatever the palettes, before any frame is decoded."""
    width, height = animation.width, animation.height
    if animation.metadata.icc and kind not in ("png", "webp"):
        raise ValueError(f"format: {kind} frames hold no colour profile; png and webp do")
    largest = _LARGEST_SIDE.get(kind)
    if largest is not None and max(width, height) > largest:
        raise ValueError(
            f"format: {kind} images have at most {largest} pixels a side, got "
            f"{width} x {height}; png can hold it"
        )


class _Mapper:
    """One palette's map from RGBA pixels to entries."""

    def __init__(self, palette: NDArray[np.uint8], *, exact: bool, n_threads: int) -> None:
        self.palette = palette
        self.n_threads = n_threads
        self.opaque = bool(np.all(palette[:, 3] == OPAQUE))
        # Colours that are kept as they are may be too faint to lie in different places.
        self.exact = exact and not self.opaque
        if self.exact:
            self.numbers = packed(palette[np.newaxis])[0]
            self.order = np.argsort(self.numbers, kind="stable")
        else:
            self.map_ = PaletteMap(np.ascontiguousarray(palette[:, :3] if self.opaque else palette))

    def map(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Give the entries of (H, W, 4) pixels."""
        if self.exact:
            places = np.searchsorted(self.numbers[self.order], packed(pixels))
            # Beyond the last: of a colour that was not there when the frames were counted.
            return self.order[np.minimum(places, len(self.order) - 1)].astype(np.uint8)
        if self.opaque:
            pixels = np.ascontiguousarray(pixels[:, :, :3])
        return self.map_.map(pixels, n_threads=self.n_threads)


def _histograms(animation: Animation, n_threads: int) -> Iterator[Histogram]:
    for frame in animation:
        yield _histogram(frame.pixels, n_threads)


def _histogram(pixels: NDArray[np.uint8], n_threads: int) -> Histogram:
    if np.all(pixels[:, :, 3] == OPAQUE):
        pixels = pixels[:, :, :3]
    return Histogram(pixels.shape[2]).add(pixels, n_threads=n_threads)


def _still_histogram(animation: Animation, n_threads: int) -> Histogram | None:
    pixels = animation.default_image
    return None if pixels is None else _histogram(pixels, n_threads)


def _with_still(histograms: Iterator[Histogram], still: Histogram | None) -> Iterator[Histogram]:
    for number, histogram in enumerate(histograms):
        yield histogram if number or still is None else _merged([still, histogram])


def _merged(histograms: Iterable[Histogram]) -> Histogram:
    """Merge counts: of three channels if nothing in any of them is transparent."""
    opaque, others = Histogram(3), Histogram(4)
    for histogram in histograms:
        (opaque if histogram.channels == 3 else others).merge(histogram)
    if len(others) == 0:
        return opaque
    if len(opaque):
        others.add(_rgba(opaque.colors), opaque.counts)
    return others


def _rgba(colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if colors.shape[1] == 4:
        return colors
    return np.concatenate([colors, np.full((len(colors), 1), OPAQUE, np.uint8)], axis=1)


def _digest(shown: NDArray[np.uint32]) -> bytes:
    shape = repr(shown.shape).encode()
    return hashlib.blake2b(np.ascontiguousarray(shown).data, digest_size=16, key=shape).digest()
