"""Proof of what `Quantized.save` writes, as `compress` has it of its own files."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kmeans_c.alpha import opaque_table
from kmeans_c.encoding import (
    JPEG_QUALITY,
    OPAQUE_FORMATS,
    decodes_to,
    holds_palette,
    stores,
)
from kmeans_c.png import used
from kmeans_c.proof import can_prove

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def proof_of(
    palette: NDArray[np.uint8],
    indices: NDArray[np.uint8],
    kind: str,
    *,
    keep_palette: bool = False,
    jpeg_quality: int | None = None,
    subsampling: str | None = None,
) -> Callable[[bytes], bool]:
    """Return what says whether the contents of a file show what `encode` was given.

    Parameters
    ----------
    palette, indices, keep_palette, jpeg_quality, subsampling
        As for `encode`.
    kind : str
        The format, as `check_format` returns it.
    """
    seen, numbers = used(palette, indices)
    if kind == "jpeg":

        def shows_jpeg(data: bytes) -> bool:
            from kmeans_c.jpeg import proof  # noqa: PLC0415 - other formats need none of it
            from kmeans_c.jpeg.writer import baseline, full_color  # noqa: PLC0415 - as above

            image = full_color(seen, numbers)
            twin = baseline(image, jpeg_quality or JPEG_QUALITY, subsampling or "4:4:4")
            return proof.shows(data, twin)

        return shows_jpeg
    stored = keep_palette and holds_palette(kind, seen)
    if kind in OPAQUE_FORMATS and palette.shape[1] == 4:
        palette, seen = opaque_table(palette), opaque_table(seen)

    def shows(data: bytes) -> bool:
        if stored:
            shown = can_prove(data) or decodes_to(data, seen, numbers)
            return shown and stores(data, palette, indices)
        return decodes_to(data, seen, numbers)

    return shows
