"""How a palette is found: what the words of the public functions mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kmeans_c.checks import as_array, check_choice
from kmeans_c.colors import as_colors
from kmeans_c.search import EFFORTS, Effort
from kmeans_c.seeding import Draw
from kmeans_c.spaces import SPACES

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

INITS = ("search", "splitting", "k-means++", "random")


class Method(NamedTuple):
    """Checked arguments.

    Attributes
    ----------
    init : str or array (n, 3) or (n, 4) of uint8
        One of `INITS`, or the colours to start from.
    effort : Effort
    space : str
    keep : array (n, 3) or (n, 4) of uint8
        Colours that shall be in the palette; n may be 0.
    draw : Draw
    """

    init: str | NDArray[np.uint8]
    effort: Effort
    space: str
    keep: NDArray[np.uint8]
    draw: Draw


def as_method(
    K: int,
    *,
    init: str | ArrayLike,
    effort: str,
    space: str,
    keep: ArrayLike | None,
    seed: int | np.random.Generator | None,
) -> Method:
    """Check the arguments that `quantize` and `Palette.fit` share."""
    start: Any = check_choice("init", init, INITS) if isinstance(init, str) else _as_init(init, K)
    kept = as_colors("keep", () if keep is None else keep, least=0)
    if kept.shape[1] == 4 and np.all(kept[:, 3] == 255):
        kept = kept[:, :3]  # nothing that would make an opaque image RGBA
    if len(kept) > K:
        raise ValueError(f"keep: expected at most K = {K} colours, got {len(kept)}")
    return Method(
        start,
        EFFORTS[check_choice("effort", effort, tuple(EFFORTS))],
        check_choice("space", space, SPACES),
        kept,
        Draw(seed),
    )


def _as_init(init: ArrayLike, K: int) -> NDArray[np.uint8]:
    array = as_array("init", init)
    if array.ndim == 0:
        raise TypeError(f"init: expected a str or an array, got {type(init).__name__}")
    if array.size > 4 * K:  # before it is looked at: a view may be larger than memory
        raise ValueError(f"init: expected shape ({K}, 3) or ({K}, 4), got {array.shape}")
    if array.dtype.kind == "f" and array.ndim == 2 and bool(np.isfinite(array).all()):
        array = np.floor(array + 0.5).astype(np.int64)
    if array.dtype.kind not in "ui":
        raise TypeError(f"init: expected a str or finite numbers, got dtype {array.dtype}")
    if array.shape not in ((K, 3), (K, 4)):
        raise ValueError(f"init: expected shape ({K}, 3) or ({K}, 4), got {array.shape}")
    if array.min() < 0 or array.max() > 255:
        raise ValueError(f"init: expected 0..255, got {array.min()}..{array.max()}")
    return array.astype(np.uint8)
