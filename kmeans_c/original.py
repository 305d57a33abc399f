"""The input itself as the output, where the file of K colours would be larger."""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Callable

import numpy as np

from kmeans_c.images import Picture, read_image
from kmeans_c.images.cleaning import cleaned
from kmeans_c.result import Compressed


@dataclasses.dataclass(frozen=True, slots=True)
class Original:
    """The input's bytes, less the metadata that a policy forbids.

    Attributes
    ----------
    data : bytes or None
        None: they are no answer to what was asked for, whatever they hold.
    changed : bool
        Whether metadata were removed.
    tells : bool
        Whether `data` holds metadata that the policy forbids, because they can't be removed.
    """

    data: bytes | None
    changed: bool = False
    tells: bool = False

    @classmethod
    def of(cls, contents: bytes | None, policy: str) -> Original:
        """Clean the contents of an image file."""
        if contents is None:
            return cls(None)
        clean = cleaned(contents, policy)
        if clean is None:
            return cls(contents, tells=True)
        return cls(clean, changed=clean != contents)

    def proof(self, picture: Picture, icc: str) -> Callable[[bytes], bool] | None:
        """Give what says whether a cleaned file still shows the picture that was read."""

        def shows(data: bytes) -> bool:
            shown = read_image(io.BytesIO(data), max_pixels=picture.pixels.size, icc=icc)
            return (
                np.array_equal(shown.pixels, picture.pixels)
                and (shown.format, shown.frames) == (picture.format, picture.frames)
                and shown.metadata.icc == picture.metadata.icc
            )

        return shows if self.changed else None

    def described(self, done: Compressed, picture: Picture) -> Compressed:
        """Say that the original stays."""
        return dataclasses.replace(
            done,
            notes=tuple(note for note in done.notes if not note.startswith("palette: ")),
            indices_kept=None if picture.indexed is None else True,
            format=picture.format,
            frames_written=picture.frames,
            # Further pictures of a JPEG lie behind the first, and go with their metadata.
            losses=picture.losses if self.changed else (),
            colors_after=done.colors_before,
            bytes_after=picture.n_bytes if self.data is None else len(self.data),
            kept_original=True,
            metadata_removed=self.changed,
            metadata_kept=self.tells,
            mse=0.0,
            psnr=math.inf,
        )
