"""The quality and the subsampling that a caller asks for."""

from __future__ import annotations

from typing import NamedTuple

from kmeans_c.checks import check_choice, check_int

# The kinds of chroma subsampling, and Pillow's numbers for them: from the best to the smallest.
SUBSAMPLINGS = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}

MIN_QUALITY, MAX_QUALITY = 1, 100  # of libjpeg


class Options(NamedTuple):
    """What a caller asks of a JPEG.

    Attributes
    ----------
    quality : int or None
        libjpeg's, 1..100.
    subsampling : str or None
        A key of `SUBSAMPLINGS`.
    """

    quality: int | None = None
    subsampling: str | None = None

    @property
    def given(self) -> str | None:
        """The argument by which something is asked for, or None."""
        if self.quality is not None:
            return "jpeg_quality"
        return None if self.subsampling is None else "subsampling"

    def check_format(self, kind: str | None) -> None:
        """Refuse an argument for JPEG where another format is written."""
        if self.given is not None and kind not in (None, "jpeg"):
            raise ValueError(f"{self.given}: expected a JPEG as output, got {kind}")


def as_options(quality: object, subsampling: object) -> Options:
    """Check the arguments `jpeg_quality` and `subsampling`."""
    return Options(
        None if quality is None else check_int("jpeg_quality", quality, MIN_QUALITY, MAX_QUALITY),
        None
        if subsampling is None
        else check_choice("subsampling", subsampling, tuple(SUBSAMPLINGS)),
    )
