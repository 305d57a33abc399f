"""What of each frame has to be drawn: the region that changed, on what the last frame left.

A viewer keeps a canvas. What a frame does not touch stays there and costs nothing; within its
region, pixels that did not change may be drawn again or left out by transparency, whichever
compresses better.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kmeans_c.images import gif_file

Region = tuple[int, int, int, int]  # left, top, right, bottom
Shown = NDArray[np.uint32]
Mask = NDArray[np.bool_]

_OPAQUE = 255


class Cel(NamedTuple):
    """One frame in palette entries.

    Attributes
    ----------
    number : int
    palette : (n, 4) array of uint8
        RGBA.
    indices : (H, W) array of uint8
    shown : (H, W) array of uint32
        The colours, packed: equal numbers are equal colours, 0 is transparent.
    duration : Fraction
        Seconds.
    """

    number: int
    palette: NDArray[np.uint8]
    indices: NDArray[np.uint8]
    shown: Shown
    duration: Fraction


class Drawing(NamedTuple):
    """What is drawn for a frame.

    Attributes
    ----------
    cel : Cel
    region : (left, top, right, bottom)
    changed : (h, w) array of bool, or None
        The pixels of the region that must be drawn; None: all of them, and they replace the
        canvas, alpha included.
    disposal : int
        What becomes of the region afterwards, as `gif_file` numbers it.
    """

    cel: Cel
    region: Region
    changed: Mask | None
    disposal: int

    def part(self, whole: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Cut the region out of an (H, W) array."""
        return cut(whole, self.region)


def replacing(cels: Iterable[Cel], *, even: bool = False) -> Iterator[Drawing]:
    """Draw for a format whose frames may also replace the canvas: APNG and WebP.

    Parameters
    ----------
    cels : iterable of Cel
    even : bool
        Whether a region must begin at even coordinates.
    """
    canvas: Shown | None = None
    for cel in cels:
        if canvas is None:
            yield Drawing(cel, _whole(cel.shown), None, gif_file.KEEP)
        else:
            changed = canvas != cel.shown
            left, top, right, bottom = _box(changed)
            region = (left & -2, top & -2, right, bottom) if even else (left, top, right, bottom)
            part = cut(changed, region)
            # Putting over can't make anything more transparent, nor anything translucent right.
            over = bool(np.all(_alpha(cut(cel.shown, region))[part] == _OPAQUE))
            yield Drawing(cel, region, part if over else None, gif_file.KEEP)
        canvas = cel.shown


def disposing(cels: Iterable[Cel]) -> Iterator[Drawing]:
    """Draw for a format that erases only by disposal, after a frame was shown: GIF.

    All colours are opaque or fully transparent.
    """
    canvas: Shown | None = None
    for cel, following in _with_next(cels):
        first = canvas is None
        if canvas is None:
            canvas = np.zeros_like(cel.shown)
        changed = canvas != cel.shown
        region = _whole(cel.shown) if first else _box(changed)
        disposal, after = gif_file.KEEP, cel.shown
        if following is not None:
            erased = (cel.shown != 0) & (following.shown == 0)
            if erased.any():
                region, disposal, after = _disposed(
                    cel.shown, following.shown, canvas, region, erased, may_restore=not first
                )
        yield Drawing(cel, region, cut(changed, region), disposal)
        canvas = after


def cut(whole: NDArray[Any], region: Region) -> NDArray[Any]:
    """Cut a region out of an (H, W) array, as a view."""
    left, top, right, bottom = region
    return whole[top:bottom, left:right]


def _disposed(
    shown: Shown,
    following: Shown,
    canvas: Shown,
    region: Region,
    erased: Mask,
    *,
    may_restore: bool,
) -> tuple[Region, int, Shown]:
    """Choose how to get rid of what the next frame does not show: clear the region, or restore it.

    What leaves less to draw is taken.
    """
    box = _box(erased)
    wider = (
        min(region[0], box[0]),
        min(region[1], box[1]),
        max(region[2], box[2]),
        max(region[3], box[3]),
    )
    cleared = shown.copy()
    cut(cleared, wider)[...] = 0
    if may_restore and not np.any((canvas != 0) & (following == 0)):
        to_draw = _area(_box(canvas != following))
        if to_draw < _area(_box(cleared != following)):
            return region, gif_file.PREVIOUS, canvas
    return wider, gif_file.BACKGROUND, cleared


def _with_next(cels: Iterable[Cel]) -> Iterator[tuple[Cel, Cel | None]]:
    held: Cel | None = None
    for cel in cels:
        if held is not None:
            yield held, cel
        held = cel
    if held is not None:
        yield held, None


def _whole(shown: Shown) -> Region:
    return 0, 0, shown.shape[1], shown.shape[0]


def _box(mask: Mask) -> Region:
    """The smallest region with all that is set; one pixel if nothing is, as formats want one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0, 0, 1, 1
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _area(region: Region) -> int:
    left, top, right, bottom = region
    return (right - left) * (bottom - top)


def _alpha(shown: NDArray[np.generic]) -> NDArray[np.uint8]:
    packed = np.ascontiguousarray(shown)
    return packed.view(np.uint8).reshape(*packed.shape, 4)[:, :, 3]
