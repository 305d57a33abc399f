"""What stays in a cleaned file beside its pixels and their colours."""

from __future__ import annotations

from typing import NamedTuple

from kmeans_c.images.exif import written


class Needed(NamedTuple):
    """What a policy lets through.

    Attributes
    ----------
    orientation : int
        1..8, as EXIF counts; the pixels are not turned.
    fields : dict of int to bytes
        Texts of EXIF by their tags.
    dpi : (x, y) or None
        Pixels per inch of the stored image.
    texts : frozenset of str
        Names of the texts of a PNG.
    tags : frozenset of int
        Of a TIFF, what describes it.
    """

    orientation: int
    fields: dict[int, bytes]
    dpi: tuple[float, float] | None
    texts: frozenset[str]
    tags: frozenset[int] = frozenset()

    def exif(self, *, with_dpi: bool) -> bytes:
        """Give the EXIF of the cleaned file, empty if it says nothing."""
        dpi = self.dpi if with_dpi else None
        return written(self.fields, dpi, self.orientation)
