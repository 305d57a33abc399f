"""Both ends of alpha are meanings: which palette entries a pixel may take.

An opaque pixel takes an opaque entry (alpha 255) wherever the palette has one, or it would let its
backdrop through. A fully transparent pixel takes a fully transparent entry wherever the palette has
one, or it would show: all fully transparent colours have the same coordinates in every space, and
no other colour has them, so its nearest entry is that one. Translucent pixels (alpha 1..254) take
the nearest of all entries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Colors = NDArray[np.uint8]

OPAQUE = 255

# A format without transparency takes pixels of at least this alpha: over white, as browsers draw
# them, and over black they differ by at most 5 of 255 levels from what they are by themselves.
NEARLY_OPAQUE = 250


def solid_entries(palette: Colors) -> NDArray[np.int32]:
    """Return the entries that opaque pixels may take, ascending.

    Parameters
    ----------
    palette : (K, channels) array of uint8
        Grey, RGB or RGBA.

    Returns
    -------
    (1..K,) array of int32
        The opaque entries. Where there are none: all.
    """
    if palette.shape[1] == 4:
        solid = np.flatnonzero(palette[:, 3] == OPAQUE)
        if len(solid):
            return solid.astype(np.int32)
    return np.arange(len(palette), dtype=np.int32)


def is_nearly_opaque(colors: Colors) -> bool:
    """Say whether RGBA colours (..., 4) are not all opaque, but none is below `NEARLY_OPAQUE`."""
    least = colors[..., 3].min(initial=OPAQUE)
    return bool(NEARLY_OPAQUE <= least < OPAQUE)


def over_white(colors: Colors) -> Colors:
    """Return what RGBA colours (..., 4) show over white as RGB, rounded to the nearest."""
    alpha = colors[..., 3:].astype(np.uint16)
    mixed = alpha * colors[..., :3] + (OPAQUE - alpha) * OPAQUE
    shown: Colors = ((mixed + OPAQUE // 2) // OPAQUE).astype(np.uint8)
    return shown


def opaque_table(palette: Colors) -> Colors:
    """Return a palette (n, 4) as RGB for a format without alpha.

    Entries that an image in such a format may use are drawn over white; others stay data.
    """
    return np.where(palette[:, 3:] >= NEARLY_OPAQUE, over_white(palette), palette[:, :3])
