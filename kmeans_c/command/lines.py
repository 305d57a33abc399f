"""What the command says: a line for each file, one for all of them, and why a file failed."""

import contextlib
import os
from typing import NamedTuple, TextIO

from kmeans_c.result import Compressed

# Where a file that was to be replaced stays, with metadata that were to go.
METADATA_KEPT = "it holds metadata that can't be removed"

# How notes begin that the line says: of what was changed or left out. Others are for --verbose.
_IN_LINE = ("palette: ", "alpha: ", "metadata: ", "file: ")


class Failure(NamedTuple):
    """Why a file could not be done.

    Attributes
    ----------
    reason : str
        One line.
    strict_code : int
        The exit code under --strict.
    trace : str
        The traceback, for --debug.
    """

    reason: str
    strict_code: int = 1
    trace: str = ""


def summary(done: Compressed, target: str, *, tried: bool = False) -> str:
    """Say in a line what became of a file.

    Parameters
    ----------
    done : Compressed
    target : str
        Where it would have been written, if it was not.
    tried : bool
        Whether nothing was to be written.
    """
    source = shown(done.input)
    if done.kept_original and done.output is None:
        would = f"{source}: not written: {shown(target)} would be {done.bytes_encoded} bytes, "
        if done.metadata_kept:
            return (
                f"{would}and {source} of {done.bytes_before} holds metadata that can't be removed "
                "(--allow-larger, --metadata keep)"
            )
        return f"{would}{source} of {done.bytes_before} is kept (--allow-larger)"
    line = f"{source} -> {shown(done.output)}: {_outcome(done)}, {done.seconds:.2f} s"
    if done.default_image:
        frames = "frame" if done.frames == 1 else f"{done.frames} frames"
        line += f"; the still image, without the {frames} of the animation"
    elif done.frames_written < done.frames:
        line += f"; first of {done.frames} frames"
    elif done.frames > 1:
        line += f"; {done.frames} frames"
    if done.metadata_kept:
        line += f"; {METADATA_KEPT}"
    line += _hint(done)
    line += "".join(f"; {shown(loss)}" for loss in done.losses)
    line += "".join(f"; {shown(note)}" for note in done.notes if _is_in_line(done, note))
    return line + ("; dry run, nothing is written" if tried else "")


def further_notes(done: Compressed) -> tuple[str, ...]:
    """Return the notes that `summary` does not say."""
    if done.kept_original and done.output is None:
        return done.notes
    return tuple(note for note in done.notes if not _is_in_line(done, note))


def _is_in_line(done: Compressed, note: str) -> bool:
    return done.kept_original or note.startswith(_IN_LINE)


def _outcome(done: Compressed) -> str:
    """Say what is in the file, and how good it is."""
    if done.kept_original:
        how = "without its metadata" if done.metadata_removed else "as it is"
        small = done.frames == 1 and done.palette_size == done.colors_before
        options = "--allow-larger"
        if small and done.indices_kept:
            options += ", --shrink-palette"
        return (
            f"kept {how}, {done.bytes_after} bytes: {_colors(done.palette_size)} would take "
            f"{done.bytes_encoded} ({options})"
        )
    change = 100 * (done.bytes_after / done.bytes_before - 1)
    quality = "lossless" if done.mse == 0 else f"PSNR {done.psnr:.1f} dB"
    if done.indices_kept is not None:
        quality += ", indices kept" if done.indices_kept else ", indices changed"
    if done.jpeg_quality is not None and done.share_kept is not None:
        kind = "" if done.jpeg_subsampling is None else f" {done.jpeg_subsampling}"
        quality = (
            f"JPEG quality {done.jpeg_quality}{kind}, "
            f"{100 * done.share_kept:.1f} % of the pixels show their own colour, {quality}"
        )
    return (
        f"{done.colors_before} -> {_colors(done.palette_size)}, "
        f"{done.bytes_before} -> {done.bytes_after} bytes ({change:+.1f} %), {quality}"
    )


def _colors(n: int) -> str:
    return "1 colour" if n == 1 else f"{n} colours"


def _hint(done: Compressed) -> str:
    """Say if the file is larger, and what would hold the colours or make it smaller."""
    line = "; larger than the input" if done.larger else ""
    if done.jpeg_quality is not None and done.colors_after > done.palette_size:
        png = os.path.splitext(str(done.output))[0] + ".png"  # noqa: PTH122
        option = "-F png" if done.output == "-" else f"-o {shown(png)}"
        return f"{line}; {option} holds exactly the {done.palette_size}"
    if done.larger and len(done.palette) > done.palette_size:
        return f"{line}, --shrink-palette makes it smaller"
    # A TIFF with transparency has no palette: its bytes depend little on the number of colours.
    indexed = done.format != "tiff" or not any(len(color) == 9 for color in done.palette)
    if done.larger and done.palette_size > 2 and indexed:
        return f"{line}, fewer colours (-k) make it smaller"
    return line


class Totals:
    """What became of all files."""

    def __init__(self) -> None:
        self.done = self.kept = self.failed = self.skipped = 0
        self.bytes_before = self.bytes_after = 0

    def add(self, done: Compressed) -> None:
        """Count one that is done."""
        self.done += 1
        self.kept += done.kept_original
        self.bytes_before += done.bytes_before
        self.bytes_after += done.bytes_after

    def to_dict(self) -> dict[str, int]:
        """Give the numbers by name."""
        return dict(vars(self))

    def line(self, seconds: float) -> str:
        """Say them."""
        files = "1 file" if self.done == 1 else f"{self.done} files"
        line = f"{files}: {self.bytes_before} -> {self.bytes_after} bytes"
        if self.bytes_before:
            line += f" ({100 * (self.bytes_after / self.bytes_before - 1):+.1f} %)"
        counts = {"kept as they are": self.kept, "failed": self.failed, "skipped": self.skipped}
        parts = [f"{count} {what}" for what, count in counts.items() if count]
        return ", ".join([line, *parts, f"{seconds:.2f} s"])


def reason(source: str, error: Exception) -> str:
    """Say in a line why a file failed."""
    if isinstance(error, MemoryError):
        return "not enough memory"
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
        if isinstance(error, FileExistsError):
            text += " (-f/--force replaces it)"
        if isinstance(error, IsADirectoryError):
            text += " (-r/--recursive goes through it)"
        if error.filename is not None and error.filename != source:
            text = f"{shown(str(error.filename))}: {text}"
        return text
    text = str(error).removeprefix(f"{source}: ")
    for argument in ("max_pixels", "max_total_pixels"):
        text = text.replace(f"({argument})", f"(--{argument.replace('_', '-')})")
    text = text.replace("first=True takes", "--first takes")
    if isinstance(error, OSError | ValueError):
        return shown(text)
    return shown(f"unexpected {type(error).__name__}: {text} (--debug shows more)")


def shown(text: object) -> str:
    r"""Make any file name one printable line: \x for bytes that are not UTF-8, \n for a newline."""
    raw = str(text).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in raw
    )


def write_line(stream: TextIO | None, line: str) -> None:
    """Write a line whatever the stream's encoding, at once."""
    if stream is None:  # closed before the program started
        return
    encoding = stream.encoding or "ascii"
    stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def redirect_to_null(stream: TextIO | None) -> None:
    """Make sure that nothing complains again when Python flushes the stream at its end."""
    if stream is None:
        return
    with contextlib.suppress(OSError, ValueError):  # a stream that is no file at all
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
