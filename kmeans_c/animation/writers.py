"""Writing animations: drawings become the bytes of a GIF, an APNG or a WebP.

Each drawing is compressed with its unchanged pixels and without them, and the smaller is taken.
"""

import zlib
from collections.abc import Sequence
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kmeans_c.animation.drawings import Drawing
from kmeans_c.images import gif_file, png_file, webp_file
from kmeans_c.images.metadata import Metadata, png_chunks
from kmeans_c.images.tiff_file import packed_rows

Colors = NDArray[np.uint8]
Indices = NDArray[np.uint8]

TABLE = 256  # entries of a palette in a file

# Slices of deflate's input: some 50 ms.
_SLICE = 1 << 20

_OPAQUE = 255


class Writer(Protocol):
    """What writes one format."""

    def add(self, drawing: Drawing) -> Fraction:
        """Write a frame, and say how long it will last."""

    def finish(self) -> bytes:
        """Give the file."""


class Clock:
    """Durations in a format's units, rounded so that the errors do not add up."""

    def __init__(self, units: int, most: int, kind: str) -> None:
        self.units = units
        self.most = most
        self.kind = kind
        self._due = Fraction(0)
        self._given = 0

    def ticks(self, duration: Fraction) -> int:
        """How many units a frame lasts."""
        self._due += duration * self.units
        ticks = round(self._due) - self._given
        self._given += ticks
        if ticks > self.most:
            raise ValueError(
                f"format: {self.kind} frames last at most {self.most / self.units:g} s, "
                f"got {float(duration):g} s"
            )
        return ticks


class GifWriter:
    """A GIF with one palette for all frames, or one each.

    Parameters
    ----------
    width, height, plays : int
    palettes : sequence of (n, 4) array
        One, or one a frame.
    metadata : Metadata
        Texts become comments.
    spare : bool
        Whether a palette without a transparent entry gets one, if there is room, so that unchanged
        pixels need not be drawn.
    """

    def __init__(
        self,
        width: int,
        height: int,
        plays: int,
        palettes: Sequence[Colors],
        metadata: Metadata,
        *,
        spare: bool,
    ) -> None:
        self.spare = spare
        self.clock = Clock(100, 65535, "gif")
        table, self.clear, self.bits = self._table(palettes[0])
        self.shared = table
        self.parts = [gif_file.header(width, height, table, plays)]
        self.parts += [gif_file.comment(text.encode()) for _, text in metadata.texts]

    def add(self, drawing: Drawing) -> Fraction:
        """Write a frame, and say how long it will last."""
        table, clear, bits = self._table(drawing.cel.palette)
        data = gif_file.lzw(drawing.part(drawing.cel.indices), bits)
        drawn = _without_unchanged(drawing, clear)
        if drawn is not None:
            data = min(data, gif_file.lzw(drawn, bits), key=len)
        ticks = self.clock.ticks(drawing.cel.duration)
        self.parts.append(
            gif_file.image(
                drawing.region,
                data,
                hundredths=ticks,
                disposal=drawing.disposal,
                transparent=clear,
                palette=None if table == self.shared else table,
            )
        )
        return Fraction(ticks, 100)

    def finish(self) -> bytes:
        """Give the file."""
        return b"".join(self.parts) + b";"

    def _table(self, palette: Colors) -> tuple[bytes, int | None, int]:
        clear = _clear(palette)
        table = palette[:, :3].tobytes()
        if clear is None and self.spare and len(palette) < TABLE:
            clear = len(palette)
            table += bytes(3)
        return table, clear, gif_file.table_bits(len(table) // 3)


class ApngWriter:
    """An APNG: one palette if 256 entries are enough for all frames, otherwise full colour.

    Parameters
    ----------
    width, height, plays, palettes, metadata, spare
        As for `GifWriter`.
    default : (H, W, 4) array, optional
        What is shown where nothing can move, of colours of the palettes.
    level : int
        How hard zlib tries, 1..9.
    """

    def __init__(
        self,
        width: int,
        height: int,
        plays: int,
        palettes: Sequence[Colors],
        metadata: Metadata,
        *,
        spare: bool,
        default: Colors | None = None,
        level: int = 9,
    ) -> None:
        self.size = (width, height)
        self.plays = plays
        self.level = level
        self.parts: list[bytes] = []
        self.sequence = self.n_frames = 0
        entries = _union(palettes)
        self.clear: int | None = None
        self.indexed = len(entries) <= TABLE
        if self.indexed and spare and entries[0].any() and len(entries) < TABLE:
            entries = np.concatenate([np.zeros((1, 4), np.uint8), entries])
        if self.indexed and not entries[0].any():
            self.clear = 0
        self.entries = entries
        self.bits = next(bits for bits in (1, 2, 4, 8) if len(entries) <= 1 << bits or bits == 8)
        self.channels = 4 if spare or bool(np.any(entries[:, 3] < _OPAQUE)) else 3
        self.head = self._head(metadata)
        if default is not None:
            rows = self._rows(default, _find(entries, default) if self.indexed else None)
            self.parts.append(png_file.chunk(b"IDAT", self._deflated(rows)))
        self.has_default = default is not None

    def add(self, drawing: Drawing) -> Fraction:
        """Write a frame, and say how long it will last."""
        cel = drawing.cel
        part = drawing.part(cel.indices)
        ranks = _find(self.entries, cel.palette) if self.indexed else None
        colors = cel.palette[part] if ranks is None else part
        indices = None if ranks is None else ranks[part]
        data, blend = self._deflated(self._rows(colors, indices)), png_file.SOURCE
        changed = drawing.changed
        if changed is not None and not changed.all():
            drawn = None
            if indices is None and self.channels == 4:
                drawn = self._rows(np.where(changed[:, :, np.newaxis], colors, 0), None)
            elif indices is not None and self.clear is not None:
                drawn = self._rows(colors, np.where(changed, indices, np.uint8(self.clear)))
            if drawn is not None and len(thin := self._deflated(drawn)) < len(data):
                data, blend = thin, png_file.OVER
        duration = png_file.fitting(cel.duration)
        self.parts.append(
            png_file.control_chunk(self.sequence, drawing.region, duration, png_file.NONE, blend)
        )
        self.sequence += 1
        if self.n_frames or self.has_default:
            number = self.sequence.to_bytes(4, "big")
            self.parts.append(png_file.chunk(b"fdAT", number + data))
            self.sequence += 1
        else:
            self.parts.append(png_file.chunk(b"IDAT", data))
        self.n_frames += 1
        return duration

    def finish(self) -> bytes:
        """Give the file."""
        control = self.n_frames.to_bytes(4, "big") + self.plays.to_bytes(4, "big")
        start = png_file.SIGNATURE + self.head[0] + png_file.chunk(b"acTL", control)
        return b"".join([start, *self.head[1:], *self.parts, png_file.chunk(b"IEND", b"")])

    def _head(self, metadata: Metadata) -> list[bytes]:
        width, height = self.size
        kind = 3 if self.indexed else 6 if self.channels == 4 else 2
        bits = self.bits if self.indexed else 8
        header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([bits, kind, 0, 0, 0])
        head = [png_file.chunk(b"IHDR", header), *png_chunks(metadata)]
        if self.indexed:
            head.append(png_file.chunk(b"PLTE", self.entries[:, :3].tobytes()))
            n_clear = int(np.count_nonzero(self.entries[:, 3] < _OPAQUE))  # which come first
            if n_clear:
                head.append(png_file.chunk(b"tRNS", self.entries[:n_clear, 3].tobytes()))
        return head

    def _rows(self, colors: Colors, indices: Indices | None) -> NDArray[np.uint8]:
        """Give the rows as they are compressed: filter 0, best for palettes, then the pixels."""
        if indices is None:
            rows = colors[:, :, : self.channels].reshape(len(colors), -1)
        else:
            rows = packed_rows(indices, self.bits)
        return np.pad(rows, ((0, 0), (1, 0)))

    def _deflated(self, rows: NDArray[np.uint8]) -> bytes:
        deflate = zlib.compressobj(self.level)
        raw = np.ascontiguousarray(rows).reshape(-1).data
        parts = [deflate.compress(raw[at : at + _SLICE]) for at in range(0, len(raw), _SLICE)]
        return b"".join([*parts, deflate.flush()])


class WebpWriter:
    """A lossless animated WebP.

    Parameters
    ----------
    width, height, plays, metadata
        As for `GifWriter`.
    alpha : bool
        Whether any frame has transparency of its own.
    """

    def __init__(
        self, width: int, height: int, plays: int, metadata: Metadata, *, alpha: bool
    ) -> None:
        self.size = (width, height)
        self.plays = plays
        self.metadata = metadata
        self.alpha = alpha
        self.clock = Clock(1000, (1 << 24) - 1, "webp")
        self.frames: list[bytes] = []

    def add(self, drawing: Drawing) -> Fraction:
        """Write a frame, and say how long it will last."""
        cel = drawing.cel
        colors = cel.palette[drawing.part(cel.indices)]
        opaque = bool(np.all(colors[:, :, 3] == _OPAQUE))
        data = webp_file.lossless(np.ascontiguousarray(colors[:, :, :3]) if opaque else colors)
        over = False
        changed = drawing.changed
        if changed is not None and not changed.all():
            drawn = webp_file.lossless(np.where(changed[:, :, np.newaxis], colors, np.uint8(0)))
            if len(drawn) < len(data):
                data, over, self.alpha = drawn, True, True
        ticks = self.clock.ticks(cel.duration)
        self.frames.append(webp_file.frame(drawing.region, data, milliseconds=ticks, over=over))
        return Fraction(ticks, 1000)

    def finish(self) -> bytes:
        """Give the file."""
        return webp_file.animation(
            *self.size,
            self.frames,
            plays=self.plays,
            alpha=self.alpha,
            icc=self.metadata.icc,
            exif=self.metadata.exif,
            xmp=self.metadata.xmp,
        )


class Smallest:
    """Several writers of one format, of whose files the smallest is taken."""

    def __init__(self, writers: Sequence[Writer]) -> None:
        self.writers = writers

    def add(self, drawing: Drawing) -> Fraction:
        """Write a frame, and say how long it will last."""
        durations = [writer.add(drawing) for writer in self.writers]
        return durations[0]

    def finish(self) -> bytes:
        """Give the smallest file, the first of equals."""
        return min((writer.finish() for writer in self.writers), key=len)


def _without_unchanged(drawing: Drawing, clear: int | None) -> Indices | None:
    """Leave out what is unchanged, by a transparent entry; None where there is nothing to gain."""
    if clear is None or drawing.changed is None or drawing.changed.all():
        return None
    return np.where(drawing.changed, drawing.part(drawing.cel.indices), np.uint8(clear))


def _clear(palette: Colors) -> int | None:
    found = np.flatnonzero(palette[:, 3] == 0)
    return int(found[0]) if len(found) else None


def _union(palettes: Sequence[Colors]) -> Colors:
    """All different entries, transparent ones first, in the order of their first use."""
    every = np.concatenate(palettes)
    _, first = np.unique(_numbers(every), return_index=True)
    entries = every[np.sort(first)]
    return entries[np.argsort(entries[:, 3], kind="stable")]


def _find(entries: Colors, colors: Colors) -> Indices:
    """Where colours (..., 4), all of which are there, stand among the entries."""
    numbers = _numbers(entries)
    order = np.argsort(numbers, kind="stable")
    found = order[np.searchsorted(numbers[order], _numbers(colors))]
    return found.astype(np.uint8)


def _numbers(colors: Colors) -> NDArray[np.uint32]:
    return np.ascontiguousarray(colors).view(np.uint32)[..., 0]
