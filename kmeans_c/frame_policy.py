"""Several frames or pages: all of them, the first one on request, or a refusal.

=================  ==========================  ==================================================
input              output                      without `first`
=================  ==========================  ==================================================
GIF, APNG, WebP    GIF, PNG (APNG), WebP       all frames
TIFF               TIFF                        all pages
GIF, APNG, WebP    TIFF, JPEG, BMP, ICO        refused: pages have no durations
TIFF               any other                   refused
PBM, PGM, PPM      any                         refused: several concatenated pictures
=================  ==========================  ==================================================

With `first` one picture is taken in every case, which for an APNG is what it shows where nothing
can move. Reduced-size images and masks of a TIFF are no pages, and further pictures of a JPEG
(other views, gain maps) no frames: they are never written, and reported as losses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmeans_c.images import ANIMATED, Picture

if TYPE_CHECKING:
    from kmeans_c.files import FilePath
    from kmeans_c.still import Aim


def has_several(picture: Picture) -> bool:
    """Whether a file shows more than the one picture that was read."""
    return picture.frames > 1 or picture.is_default_image


def takes_all(
    picture: Picture, kind: str | None, *, first: bool = False, in_place: bool = False
) -> bool:
    """Say whether all frames or pages of the input are to be written.

    Parameters
    ----------
    picture : Picture
    kind : str
        The output's format.
    first : bool
        Whether only the first was asked for.
    in_place : bool
        Whether the output replaces the input.

    Raises
    ------
    ValueError
        If the format holds one picture and the input has several, or the output replaces the input
        and would lack frames.
    """
    several = has_several(picture)
    if not several or (first and not in_place):
        return False
    paged = picture.format == "tiff"
    held = {picture.format, kind} <= set(ANIMATED) and paged == (kind == "tiff")
    if held and not first:
        return True
    if in_place:
        n_lost = picture.frames - (not picture.is_default_image)
        raise ValueError(f"output: replacing the input would lose {n_lost} frames")
    what = "page" if paged else "picture" if picture.format == "ppm" else "frame"
    n = f"{picture.frames} {what}{'s' * (picture.frames > 1)}"
    if picture.is_default_image:
        n += " and a still image"
    holders = "tiff holds" if paged else "gif, png and webp hold"
    if picture.format == "ppm":
        raise ValueError(
            f"format: {kind} holds one picture, the input has {n}; first=True takes the first"
        )
    alone = "no frames" if kind == "tiff" else f"one {what}"
    raise ValueError(
        f"format: {kind} holds {alone}, the input has {n}; {holders} them all, "
        "first=True takes the first"
    )


def check_replacing(losses: tuple[str, ...]) -> None:
    """Refuse to replace the input by a file that lacks more than a metadata policy leaves out."""
    if losses:
        raise ValueError(f"output: replacing the input is refused: {'; '.join(losses)}")


def check_for_frames(
    still: dict[str, Any], aim: Aim, *, lossy: float, preview: FilePath | None
) -> None:
    """Refuse options that exist for still images only."""
    given = {name: still[name] is not None for name in ("palette", "weights", "keep")}
    given |= {"space": still["space"] != "srgb", "dither": still["dither"] != "none"}
    given |= {"keep_palette": bool(still["keep_palette"])}
    given |= {"lossy": lossy > 0, "preview": preview is not None}
    given |= {"K": aim.automatic, "quality": aim.quality is not None}
    given |= {"target_size": aim.size is not None}
    for name in given:
        if given[name]:
            raise ValueError(f"{name}: is for still images; the input has several frames")
