"""The outcome of `compress`, as attributes and as JSON."""

import dataclasses
import math
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Compressed:
    """What `compress` did.

    Attributes
    ----------
    input, output : str or None
        The files' names; None for a file object without one, and where nothing was written.
    format : str
        Of the file that was written.
    width, height : int
        Of the image, the right way up.
    frames : int
        Frames or pages in the input (1000: that many or more).
    frames_written : int
        How many of them are in the output: all, or the first.
    palette_size : int
        Colours the image was reduced to.
    palette : tuple of str
        These colours, as "#rrggbb" or "#rrggbbaa". Empty where each frame has its own. Where a
        file holds a palette that was given, or the input's own, all its entries: unused and double
        ones, too.
    colors_before, colors_after : int
        Distinct colours that the input and the output show. After a JPEG was written they are more
        than `palette_size`, because a JPEG can't hold a palette.
    bytes_before, bytes_after : int
        Sizes of the files.
    kept_original : bool
        Whether the file of K colours would have been larger, so that the output is the input
        itself, less the metadata that the policy forbids, or nothing was written.
    metadata_removed, metadata_kept : bool
        Whether an original that was kept lost metadata that the policy forbids; and whether it has
        such metadata because they can't be removed without touching the pixels. Then no other file
        was written.
    bytes_encoded : int
        What the image of K colours takes in the format asked for: `bytes_after`, unless the
        original was kept.
    bytes_as_png : None
        Was an estimate of the same image as a PNG, and is no longer made.
    jpeg_quality : int or None
        libjpeg's quality of the JPEG of K colours, 1..100; None for every other format.
    jpeg_subsampling : str or None
        "4:4:4", "4:2:2" or "4:2:0"; None for other formats, and where the JPEG is grey.
    share_kept : float or None
        Share of the pixels of that JPEG whose nearest palette entry is still their own, 0..1; None
        for other formats, which show all of them.
    mse : float
        Mean over the pixels of the squared distance between input and output, summed over the
        channels: of what the output file shows, so that a JPEG's own loss is part of it. It is 0 of
        a PNG, but for some kinds (`proof.reads_otherwise`), only if two decoders read the input
        alike.
    psnr : float
        The same as a peak signal-to-noise ratio in dB; infinite if nothing was lost.
    n_iter : int
        Rounds of Lloyd's algorithm.
    indices_kept : bool or None
        Whether the output has the palette and the indices of the input; entries may follow them.
        None: the input has none. What is lossless for colours (`mse` 0) may change all indices, and
        the frames of an animation always do.
    notes : tuple of str
        What the file says of its colours and could not be followed; and, after "palette: ", how a
        palette that was given was changed.
    losses : tuple of str
        What the input holds beside its pictures and the output does not, but for metadata that the
        policy leaves out: further pictures of a JPEG, reduced-size images of a TIFF, metadata
        without a place in the output's format.
    seconds : float
        Time taken by all of it.
    default_image : bool
        Whether the output shows the default image of an animated PNG, which is none of its frames.
    """

    input: str | None
    output: str | None
    format: str
    width: int
    height: int
    frames: int
    frames_written: int
    palette_size: int
    palette: tuple[str, ...]
    colors_before: int
    colors_after: int
    bytes_before: int
    bytes_after: int
    kept_original: bool
    metadata_removed: bool
    metadata_kept: bool
    bytes_encoded: int
    bytes_as_png: None
    jpeg_quality: int | None
    jpeg_subsampling: str | None
    share_kept: float | None
    mse: float
    psnr: float
    n_iter: int
    notes: tuple[str, ...]
    losses: tuple[str, ...]
    seconds: float
    indices_kept: bool | None = None
    default_image: bool = False

    @property
    def larger(self) -> bool:
        """Whether the output takes more bytes than the input."""
        return self.bytes_after > self.bytes_before

    def to_dict(self) -> dict[str, Any]:
        """Give the attributes by name, with None for an infinite PSNR, as JSON has no infinity.

        Returns
        -------
        dict
            Of plain values.
        """
        values = dataclasses.asdict(self) | {
            "larger": self.larger,
            "palette": list(self.palette),
            "notes": list(self.notes),
            "losses": list(self.losses),
        }
        return values if math.isfinite(self.psnr) else values | {"psnr": None}

    def to_json(self) -> str:
        """Give `to_dict` as one line of JSON.

        Returns
        -------
        str
            ASCII only; bytes of a name that are not UTF-8 are lone surrogates, as in Python.
        """
        import json  # noqa: PLC0415 - few programs need it

        return json.dumps(self.to_dict())
