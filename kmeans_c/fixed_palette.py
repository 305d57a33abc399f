"""Still images whose palette is not to be found: it was given, or the input has one.

Such a palette is data: the output holds it as it is, so that an index means the same in every file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kmeans_c.colors import count_distinct, hidden, opaque
from kmeans_c.encoding import MAX_COLORS, holds_palette, misfit
from kmeans_c.given import check_strict, has_clear_entry, has_clear_pixels, with_clear_entry
from kmeans_c.palette import Palette
from kmeans_c.png import used
from kmeans_c.quantize import Quantized, quantize, untouched

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from kmeans_c.images import Picture
    from kmeans_c.images.modes import Pixels


@dataclass(frozen=True, slots=True, eq=False)
class Fixed:
    """An image in the colours of a fixed palette.

    Attributes
    ----------
    quantized : Quantized
    notes : tuple of str
        How the palette was changed.
    """

    quantized: Quantized
    notes: tuple[str, ...] = ()


def with_given(picture: Picture, palette: Palette | ArrayLike, options: dict[str, Any]) -> Fixed:
    """Map an image to a palette that was given, with a transparent entry if the image needs one.

    Parameters
    ----------
    picture : Picture
    palette : Palette or array_like
    options : dict
        Further arguments of `quantize`.

    Raises
    ------
    ValueError
        If there are more than 256 colours, or 256 and none of them can become transparent.
    """
    palette = Palette(palette)
    if options.pop("strict_palette"):  # against what was given, without an entry that is added
        check_strict(picture.original, palette.colors)
    table = palette.table
    if len(table) > MAX_COLORS:
        raise ValueError(f"palette: expected at most {MAX_COLORS} colours, got {len(table)}")
    notes: tuple[str, ...] = ()
    if has_clear_pixels(picture.pixels) and not has_clear_entry(table):
        table, note = with_clear_entry(table, MAX_COLORS)
        notes = (note,)
    return Fixed(quantize(picture.pixels, palette=Palette(table), **options), notes)


def with_own(picture: Picture) -> Fixed:
    """Take the palette and the indices of the input as they are.

    Raises
    ------
    ValueError
        If the input has none.
    """
    if picture.indexed is None:
        raise ValueError("keep_palette: expected an image with a palette, got one without")
    return Fixed(untouched(picture.indexed))


def is_small(picture: Picture, K: int, kind: str, *, explicit: bool) -> bool:
    """Say whether an input comes back with its palette untouched.

    Parameters
    ----------
    picture : Picture
    K : int
    kind : str
        The format that is written.
    explicit : bool
        Whether `K` was asked for: it is then the size of the output's palette as well, and
        otherwise the number of colours that pixels may have.
    """
    if picture.indexed is None:
        return False
    palette, indices = used(picture.indexed.palette, picture.indexed.indices)
    n_colors = count_distinct(hidden(palette))
    n = max(n_colors, len(picture.indexed.palette)) if explicit else n_colors
    return n <= K and holds_palette(kind, palette) and misfit(palette, indices, kind) is None


def keeps_indices(picture: Picture, table: Pixels | None, indices: Pixels) -> bool | None:
    """Say whether a file has the input's palette and indices.

    Parameters
    ----------
    picture : Picture
    table : (n, 3) or (n, 4) array of uint8, or None
        The palette that the file holds; None: it holds none, or in another order.
    indices : (H, W) array of uint8

    Returns
    -------
    bool or None
        None if the input has no palette. Entries that follow those of the input change no index,
        nor does the alpha of a table that is RGB, as its format has none.
    """
    if picture.indexed is None:
        return None
    if table is None:
        return False
    before, after = (
        colors if colors.shape[1] == 4 else opaque(colors)
        for colors in (picture.indexed.palette, table)
    )
    channels = table.shape[1]
    return np.array_equal(after[: len(before), :channels], before[:, :channels]) and (
        np.array_equal(indices, picture.indexed.indices)
    )
