"""A palette: colours in order, fitted to a histogram or given, and mapping pixels to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kmeans_c.checks import as_array, as_list, check_choice, check_int
from kmeans_c.clustering import assign, fit
from kmeans_c.colors import MAX_ENTRIES, alike, as_colors, hidden, in_rgb
from kmeans_c.dithering import DITHERS, check_strength
from kmeans_c.dithering import dither as dithered
from kmeans_c.given import Table, check_strict, has_clear_entry, has_clear_pixels, with_clear_entry
from kmeans_c.histogram import Histogram
from kmeans_c.images import as_pixels
from kmeans_c.integrity import as_counts, as_palette
from kmeans_c.mapping import PaletteMap, map_counted
from kmeans_c.method import as_method
from kmeans_c.spaces import SPACES
from kmeans_c.threads import team, thread_count

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from numpy.typing import ArrayLike, NDArray

    from kmeans_c.files import FilePath


SHARE = 1 << 15  # colours that are worth a thread: some 5 ms


class Palette:
    """From 1 to 65,536 colours, in an order that stays.

    A palette that is given is data: its entries keep their places, also those that are equal to
    another one. Pixels get the first of equal entries.

    Parameters
    ----------
    colors : (n, 3) or (n, 4) array_like of integers 0..255, or Palette
        RGB or RGBA.
    counts : (n,) array_like of integers, optional
        Pixels of each colour where it was fitted.
    names : sequence of str, optional
        One for each colour, perhaps empty.

    Attributes
    ----------
    colors : (n, 3) or (n, 4) array of uint8
        A fully transparent colour is (0, 0, 0, 0), whatever it hides. Read-only.
    table : (n, 3) or (n, 4) array of uint8
        The same as it was given, with the colours behind full transparency, which files keep.
        Read-only.
    counts : (n,) array of int64, or None
        Read-only.
    names : tuple of str, or None

    Raises
    ------
    TypeError
        If `colors` or `counts` are not integers, or a name is no str.
    ValueError
        If there is no colour, a number is out of range, or there are not as many counts or names as
        colours.
    """

    __slots__ = ("colors", "counts", "names", "table")

    colors: NDArray[np.uint8]
    table: NDArray[np.uint8]
    counts: NDArray[np.int64] | None
    names: tuple[str, ...] | None

    def __init__(
        self,
        colors: ArrayLike | Palette,
        counts: ArrayLike | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        if isinstance(colors, Palette):
            counts = colors.counts if counts is None else counts
            names = colors.names if names is None else names
            colors = colors.table
        self.table = as_colors("palette", colors, distinct=False)
        self.colors = hidden(self.table)
        self.table.flags.writeable = self.colors.flags.writeable = False
        self.counts = None if counts is None else _as_counts(counts, len(self.colors))
        self.names = None if names is None else _as_names(names, len(self.colors))

    @classmethod
    def fit(
        cls,
        histogram: Histogram,
        K: int = 16,
        ITERS: int | None = 10,
        *,
        init: str | ArrayLike = "search",
        effort: str = "balanced",
        space: str = "srgb",
        keep: ArrayLike | None = None,
        seed: int | np.random.Generator | None = 0,
        n_threads: int | None = None,
    ) -> Palette:
        """Find min(K, distinct) colours for a histogram, by k-means as `quantize` does.

        Parameters
        ----------
        histogram : Histogram
            Of one image, or of all that shall share the palette; not empty.
        K : int
            1..65536.
        ITERS : int or None
            Rounds of Lloyd's algorithm, 0 or more; None: until nothing changes.
        init, effort, space, keep, seed, n_threads
            As for `quantize`.

        Returns
        -------
        Palette
            Transparent first, then from dark to light, with `counts`.

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong kind, or impossible.
        """
        if not isinstance(histogram, Histogram):
            kind = type(histogram).__name__
            raise TypeError(f"histogram: expected a Histogram, got {kind}")
        if len(histogram) == 0:
            raise ValueError("histogram: expected at least one colour, got none")
        K = check_int("K", K, 1, MAX_ENTRIES)
        ITERS = None if ITERS is None else check_int("ITERS", ITERS, 0)
        method = as_method(K, init=init, effort=effort, space=space, keep=keep, seed=seed)
        histogram = histogram.checked("histogram")
        threads = team(thread_count(n_threads), len(histogram), SHARE)
        found = fit(histogram, K, ITERS, method, n_threads=threads)
        return cls(in_rgb(found.palette), found.counts)

    def map(
        self,
        image: Any,
        *,
        space: str = "srgb",
        dither: str = "none",
        dither_strength: float = 1.0,
        strict: bool = False,
        n_threads: int | None = None,
    ) -> NDArray[Any]:
        """Find the nearest entry for each pixel, or dither.

        Fully transparent pixels get a fully transparent entry. Where the palette has none they get
        the index ``len(palette)``, one beyond the last: that of the entry which
        `with_transparent` appends.

        Parameters
        ----------
        image : path, binary file object, PIL.Image.Image or array of uint8
            As for `quantize`.
        space : {"srgb", "linear", "oklab", "lab"}
            Where distances are measured.
        dither, dither_strength
            As for `quantize`.
        strict : bool
            Whether to refuse a pixel whose colour is not in the palette. Fully transparent pixels
            have none.
        n_threads : int, optional
            The result does not depend on it.

        Returns
        -------
        (H, W) array of uint8, or of uint16 if there is an index above 255 to be had
            Ties go to the lowest index. Distances are those of `quantize`.

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong kind, or impossible; if `strict` is set, and a colour is
            not in the palette: the message names it and the first pixel that has it.
        """
        check_choice("dither", dither, DITHERS)
        check_strength(dither_strength)
        pixels = as_pixels(image)
        table = Table.of(self.checked().for_pixels(pixels).colors)
        if strict:
            check_strict(pixels, self.colors)
        pixels, colors = alike(pixels, table.entries)
        threads = thread_count(n_threads)
        if check_choice("space", space, SPACES) == "srgb":
            indices = PaletteMap(colors).map(pixels, n_threads=threads)
        else:
            histogram = Histogram(pixels.shape[2]).add(pixels, n_threads=threads)
            found = assign(histogram, colors, n_threads=threads, space=space)
            indices = map_counted(pixels, histogram, colors, found.owners, space, n_threads=threads)
        if dither != "none":
            indices = dithered(
                np.ascontiguousarray(pixels),
                colors,
                dither,
                strength=dither_strength,
                space=space,
                nearest=indices,
                n_threads=threads,
            )
        return table.to_table(indices)

    def with_transparent(self) -> Palette:
        """Append the fully transparent entry (0, 0, 0, 0), if there is none.

        Returns
        -------
        Palette
            The others keep their indices.

        Raises
        ------
        ValueError
            If there are 65,536 distinct entries already.
        """
        if has_clear_entry(self.colors):
            return self
        table, _ = with_clear_entry(self.table)
        added = len(table) - len(self)
        counts = None if self.counts is None else np.append(self.counts, [0] * added)
        names = None if self.names is None else (*self.names, *[""] * added)
        return Palette(table, counts, names)

    def for_pixels(self, pixels: NDArray[np.uint8]) -> Palette:
        """Return the palette that an image needs: `with_transparent` if some pixel is."""
        return self.with_transparent() if has_clear_pixels(pixels) else self

    @classmethod
    def read(cls, file: FilePath | BinaryIO, format: str | None = None) -> Palette:  # noqa: A002
        """Read a palette file; see `palette_files.read_palette`."""
        from kmeans_c.palette_files import read_palette  # noqa: PLC0415 - few programs need it

        return read_palette(file, format)

    def write(
        self,
        file: FilePath | BinaryIO,
        format: str | None = None,  # noqa: A002
        *,
        overwrite: bool = False,
    ) -> None:
        """Write a palette file; see `palette_files.write_palette`."""
        from kmeans_c.palette_files import write_palette  # noqa: PLC0415 - few programs need it

        write_palette(self, file, format, overwrite=overwrite)

    @classmethod
    def named(cls, name: str) -> Palette:
        """Give a palette by its name; see `palette_sets.named_palettes` for those there are."""
        from kmeans_c.palette_sets import named_palette  # noqa: PLC0415 - few programs need it

        return named_palette(name)

    def checked(self, name: str = "palette") -> Palette:
        """Return a copy whose arrays are what they should be, whatever was written to these.

        Raises
        ------
        TypeError, ValueError
            If an array is of the wrong kind or shape.
        """
        colors = as_palette(f"{name}.colors", self.colors)
        table = as_palette(f"{name}.table", self.table)
        if not np.array_equal(hidden(table), colors):
            raise ValueError(f"{name}.colors: expected those of {name}.table")
        counts = self.counts
        if counts is not None:
            counts = as_counts(f"{name}.counts", counts, len(colors))
        return type(self)(table, counts, self.names)

    def _repr_html_(self) -> str:
        from kmeans_c.views.display import palette_html  # noqa: PLC0415 - only notebooks ask

        return palette_html(self)

    def __len__(self) -> int:
        return len(self.colors)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Palette):
            return NotImplemented
        return bool(np.array_equal(self.colors, other.colors))

    def __hash__(self) -> int:
        return hash((self.colors.shape, self.colors.tobytes()))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.colors, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        shown = " ".join("#" + bytes(color).hex() for color in self.colors[:4])
        return f"<Palette: {len(self)} colours, {shown}{' ...' if len(self) > 4 else ''}>"


def _as_names(names: Sequence[str], n: int) -> tuple[str, ...]:
    listed = tuple(as_list("names", [names] if isinstance(names, str) else names, "str"))
    for name in listed:
        if not isinstance(name, str):
            raise TypeError(f"names: expected str, got {type(name).__name__}")
    if isinstance(names, str) or len(listed) != n:
        raise ValueError(f"names: expected {n}, one for each colour, got {len(listed)}")
    return listed


def _as_counts(counts: ArrayLike, n: int) -> NDArray[np.int64]:
    array = as_array("counts", counts)
    if array.dtype.kind not in "ui":
        raise TypeError(f"counts: expected integers, got dtype {array.dtype}")
    if array.shape != (n,) or array.min() < 0:
        raise ValueError(f"counts: expected {n} numbers of at least 0")
    array = np.array(array, np.int64)
    array.flags.writeable = False
    return array
