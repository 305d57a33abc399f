"""A bar on the terminal that says how far many files have come."""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from kmeans_c.command import ending

# What takes a line and says whether it has printed it, and what counts a file.
Print = Callable[[TextIO, str], bool]
Step = Callable[[], None]


@contextlib.contextmanager
def progress(n_files: int, stream: TextIO | None) -> Iterator[tuple[Print, Step]]:
    """Show a bar while files are done, if there are several, a terminal, and rich is installed.

    Parameters
    ----------
    n_files : int
    stream : text file or None
        Where the bar goes; None for no bar.

    Yields
    ------
    print : callable
        Prints a line above the bar, if the stream that it is for is a terminal as well.
    step : callable
        Says that a file is done.
    """
    bar = _bar(stream) if n_files > 1 and stream is not None and stream.isatty() else None
    if bar is None or stream is None:
        yield lambda _stream, _line: False, lambda: None
        return
    task = bar.add_task("", total=n_files)

    def print_line(target: TextIO, line: str) -> bool:
        if not target.isatty():
            return False
        bar.console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)
        return True

    def step() -> None:
        bar.advance(task)
        bar.refresh()

    # A bar hides the cursor; and standard error leads nowhere while libraries are kept quiet.
    terminal = os.dup(stream.fileno())
    try:
        with ending.at_end(lambda: _show_cursor(terminal)), bar:
            yield print_line, step
    finally:
        os.close(terminal)


def _show_cursor(terminal: int) -> None:
    os.write(terminal, b"\r\x1b[2K\x1b[?25h")


def _bar(stream: TextIO | None) -> Any:
    try:
        import rich.console  # noqa: PLC0415 - an extra, and slow to import
        import rich.progress  # noqa: PLC0415
    except ImportError:
        return None
    return rich.progress.Progress(
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeRemainingColumn(),
        console=rich.console.Console(file=stream),
        # Standard error leads nowhere while libraries are kept quiet: the bar is drawn in between.
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
