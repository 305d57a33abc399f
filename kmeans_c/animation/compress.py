"""From file to file with all frames: read an animation, reduce its colours, write it."""

# np.random in annotations would import it, a tenth of this package's own import time.
from __future__ import annotations

import dataclasses
import math
import os
import time
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import ArrayLike

from kmeans_c import encoding, files
from kmeans_c.animation import check_holds_frames, quantize_animation
from kmeans_c.checks import check_choice
from kmeans_c.color_text import hex_text
from kmeans_c.images import ANIMATED, MAX_PIXELS, MAX_TOTAL_PIXELS
from kmeans_c.images.frames import Animation, read_frames
from kmeans_c.images.metadata_losses import losses, policy_notes


@dataclass(frozen=True, slots=True)
class CompressedAnimation:
    """What `compress_animation` did; the attributes are those of `Compressed`.

    `palette_size` is the most that any frame's palette has, `palette` the one that all frames
    share, `colors_before` counts the colours of all frames together (with `per_frame` the most of
    any frame), `colors_after` those of all palettes.
    """

    input: str | None
    output: str | None
    format: str
    width: int
    height: int
    frames: int
    palette: tuple[str, ...]
    palette_size: int
    colors_before: int
    colors_after: int
    bytes_before: int
    bytes_after: int
    mse: float
    psnr: float
    n_iter: int
    notes: tuple[str, ...]
    losses: tuple[str, ...]
    seconds: float

    @property
    def larger(self) -> bool:
        """Whether the output takes more bytes than the input."""
        return self.bytes_after > self.bytes_before

    def to_dict(self) -> dict[str, object]:
        """Give the attributes by name, with None for an infinite PSNR, as JSON has no infinity."""
        values = dataclasses.asdict(self) | {"larger": self.larger}
        return values if math.isfinite(self.psnr) else values | {"psnr": None}


def compress_animation(
    input: files.FilePath | BinaryIO,  # noqa: A002 - as in compress
    output: files.FilePath | BinaryIO,
    K: int = 16,
    ITERS: int | None = 10,
    *,
    per_frame: bool = False,
    init: str | ArrayLike = "search",
    effort: str = "balanced",
    seed: int | np.random.Generator | None = 0,
    n_threads: int | None = None,
    format: str | None = None,  # noqa: A002 - Pillow's name
    overwrite: bool = False,
    max_pixels: int = MAX_PIXELS,
    max_total_pixels: int = MAX_TOTAL_PIXELS,
    metadata: str = "safe",
    icc: str = "convert",
) -> CompressedAnimation:
    """Reduce an animation, or the pages of a TIFF, to at most K colours, from file to file.

    Parameters
    ----------
    input, output : path or binary file object
        The output is written whole or not at all, and only if it shows every frame as long as it
        should. It may be the input, with `overwrite`.
    K, ITERS, per_frame, init, effort, seed, n_threads
        As for `quantize_animation`.
    format : str, optional
        "gif", "png", "webp" or "tiff". Default: what the ending of the output's name says.
    overwrite : bool
        Whether an existing file may be replaced.
    max_pixels, max_total_pixels, icc
        As for `read_frames`.
    metadata : {"none", "safe", "keep"}

    Returns
    -------
    CompressedAnimation

    Raises
    ------
    OSError, TypeError, ValueError
        As `read_frames`, `quantize_animation` and `QuantizedAnimation.save` do.
    """
    start = time.perf_counter()
    kind = check_choice("format", encoding.check_format(format), ANIMATED) if format else None
    kind = kind or check_choice("format", encoding.format_for(output), ANIMATED)
    if isinstance(output, str | os.PathLike):
        files.check_target(output, overwrite=overwrite)
    with read_frames(
        input, max_pixels=max_pixels, max_total_pixels=max_total_pixels, icc=icc
    ) as animation:
        check_holds_frames(animation, kind)
        quantized = quantize_animation(
            animation,
            K,
            ITERS,
            per_frame=per_frame,
            init=init,
            effort=effort,
            seed=seed,
            n_threads=n_threads,
            default_image=kind == "png",
        )
        n_bytes = quantized.save(output, kind, metadata=metadata, overwrite=overwrite)
        return CompressedAnimation(
            input=_name(input),
            output=_name(output),
            format=kind,
            width=animation.width,
            height=animation.height,
            frames=len(animation),
            palette=(
                tuple(map(hex_text, quantized.palettes[0].tolist()))
                if len(quantized.palettes) == 1
                else ()
            ),
            palette_size=max(map(len, quantized.palettes)),
            colors_before=quantized.colors,
            colors_after=len(np.unique(np.concatenate(quantized.palettes), axis=0)),
            bytes_before=animation.n_bytes,
            bytes_after=n_bytes,
            mse=quantized.mse,
            psnr=quantized.psnr,
            n_iter=quantized.n_iter,
            notes=policy_notes(animation.notes, metadata),
            losses=animation.losses + _lost(animation, kind, metadata),
            seconds=time.perf_counter() - start,
        )


def _lost(animation: Animation, kind: str, policy: str) -> tuple[str, ...]:
    found: list[str] = []
    if kind != "png" and animation.has_default_image:
        found.append(f"the still image, which is no frame, is left out: {kind} has no place for it")
    for page in animation.pages or (animation.metadata,):
        found += losses(page, kind, policy)
    return tuple(dict.fromkeys(found))


def _name(file: object) -> str | None:
    if isinstance(file, str | os.PathLike):
        return os.fspath(file)
    name = getattr(file, "name", None)
    return name if isinstance(name, str) else None
