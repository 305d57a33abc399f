"""The command line program: what the words mean, what is printed, and the exit code."""

import argparse
import contextlib
import errno
import json
import logging
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, NoReturn, TextIO

import PIL.Image

from kmeans_c._version import __version__
from kmeans_c.checks import check_int
from kmeans_c.compress import Compressed, compress, default_output, same_file
from kmeans_c.encoding import FORMATS, MAX_COLORS, format_for
from kmeans_c.images import MAX_PIXELS
from kmeans_c.seeding import INITS

DONE, SOME_FAILED, USAGE = 0, 1, 2
SIGNALLED = 128  # plus the number of the signal, as in a shell

_DESCRIPTION = """\
Reduce images to a few colours with k-means and write them as smaller files.
With no INPUT, image.jpg in the current folder becomes image_compressed.jpg."""

_EPILOG = f"""\
Reads PNG, JPEG, WebP, GIF, BMP, TIFF and PPM; of several frames the first. Writes
{" ".join(FORMATS)}, by the ending of the output's name.
A JPEG can't hold a palette: its colours multiply again, and the file is often larger
than the input. A PNG holds exactly K colours: kmeans-c photo.jpg -o photo.png

Exit codes: 0 every file is done; 1 some file failed, the others are done; 2 the command
is wrong, nothing was touched; 130 and 143 ended by Ctrl-C or SIGTERM."""


class _Signalled(BaseException):
    """A signal that asks the program to end, as an exception, so that everything is tidied up."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as for files, instead of repeating the usage."""

    def error(self, message: str) -> NoReturn:
        _refuse(f"{message} (--help says more)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: those of the process.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    SystemExit
        From argparse: 2 for a wrong command, 0 after ``--help`` and ``--version``.
    """
    try:
        with _signals_as_exceptions():
            return _run(arguments)
    except KeyboardInterrupt:
        return SIGNALLED + signal.SIGINT
    except _Signalled as end:
        return SIGNALLED + end.number


def _run(arguments: Sequence[str] | None) -> int:
    _open_standard_streams()
    options = _parser().parse_args(arguments)
    jobs = _plan(options)
    report = _Report(options)
    for source, target in jobs:
        _do(source, target, options, report)
    return SOME_FAILED if report.failures else DONE


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="kmeans-c",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("inputs", nargs="*", metavar="INPUT", help="image files (default: image.jpg)")
    add(
        "-o",
        "--output",
        metavar="OUT",
        help="file to write, or an existing folder (default: INPUT_compressed beside the input)",
    )
    add(
        "-k",
        "--colors",
        type=_integer("K", 1, MAX_COLORS),
        default=16,
        metavar="K",
        help=f"how many colours, 1..{MAX_COLORS} (default: 16)",
    )
    add(
        "-i",
        "--iterations",
        type=_integer("ITERS", 0),
        default=10,
        metavar="ITERS",
        help="rounds of Lloyd's algorithm (default: 10)",
    )
    add(
        "--init",
        choices=INITS,
        default="k-means++",
        help="how the first colours are drawn (default: k-means++)",
    )
    add(
        "--seed",
        type=_integer("seed", 0),
        default=0,
        metavar="N",
        help="another start of the draw; the same N gives the same colours (default: 0)",
    )
    add(
        "-t",
        "--threads",
        type=_integer("threads", 1),
        metavar="N",
        help="processors to use (default: those the process may use); never changes the result",
    )
    quietness = parser.add_mutually_exclusive_group()
    quietness.add_argument("-q", "--quiet", action="store_true", help="print nothing but failures")
    quietness.add_argument(
        "--json", action="store_true", help="print one JSON object for each file"
    )
    add("-f", "--force", action="store_true", help="replace existing files, the input itself too")
    add(
        "--max-pixels",
        type=_integer("max-pixels", 1),
        default=MAX_PIXELS,
        metavar="N",
        help=f"refuse larger images (default: {MAX_PIXELS})",
    )
    add("--debug", action="store_true", help="show tracebacks and the warnings of libraries")
    add("-V", "--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _integer(name: str, low: int, high: int | None = None) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected an integer, got {text!r}") from None
        try:
            return check_int(name, number, low, high)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error).removeprefix(f"{name}: ")) from None

    return parse


def _plan(options: argparse.Namespace) -> list[tuple[str, str]]:
    """Pair each input with its output; end the program if two of these names would collide."""
    sources = options.inputs or ["image.jpg"]
    folder = options.output is not None and os.path.isdir(options.output)  # noqa: PTH112
    if options.output is not None and not folder and len(sources) > 1:
        _refuse(
            f"-o/--output: expected an existing folder for {len(sources)} inputs, "
            f"got {_shown(repr(options.output))}"
        )
    jobs = []
    for source in sources:
        target = default_output(source)
        if folder:
            target = os.path.join(options.output, os.path.basename(target))  # noqa: PTH118, PTH119
        elif options.output is not None:
            target = options.output
        try:
            format_for(target)
        except ValueError:
            endings = " ".join(FORMATS)
            _refuse(f"-o/--output: expected one of {endings}, got {_shown(target)}")
        jobs.append((source, target))
    _check_collisions(options, jobs)
    return jobs


def _check_collisions(options: argparse.Namespace, jobs: list[tuple[str, str]]) -> None:
    inputs = {_place(source): source for source, _ in jobs}
    outputs: dict[str, str] = {}
    for source, target in jobs:
        place = _place(target)
        if place in outputs:
            _refuse(
                f"{_shown(outputs[place])} and {_shown(source)} would both be written to "
                f"{_shown(target)}"
            )
        outputs[place] = source
        if same_file(source, target):
            if not options.force:
                _refuse(f"{_shown(target)}: is the input itself (-f/--force replaces it)")
        elif place in inputs:
            _refuse(f"{_shown(target)}: is an input, and the output of {_shown(source)} as well")


def _refuse(reason: str) -> NoReturn:
    """End the program: the command is wrong, and nothing was touched."""
    with contextlib.suppress(OSError):
        _write_line(sys.stderr, f"kmeans-c: {reason}")
    raise SystemExit(USAGE)


def _place(path: str) -> str:
    """Where a name leads: equal for two names of one file that does not exist yet."""
    folder, name = os.path.split(path)
    with contextlib.suppress(OSError):  # the current folder may be gone
        folder = os.path.realpath(folder)
    return os.path.join(folder, os.path.normcase(name))  # noqa: PTH118


def _do(source: str, target: str, options: argparse.Namespace, report: "_Report") -> None:
    try:
        with _pillow_limit(options.max_pixels), _quiet_libraries(options):
            done = compress(
                source,
                target,
                options.colors,
                options.iterations,
                init=options.init,
                seed=options.seed,
                n_threads=options.threads,
                overwrite=options.force,
                max_pixels=options.max_pixels,
            )
    except Exception as error:  # whatever it is, the other files are done
        report.failed(source, target, error)
    else:
        report.done(done)


class _Report:
    """Prints what became of each file, and goes on without a word where nobody can read it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.failures = 0

    def done(self, result: Compressed) -> None:
        if self.options.json:
            self._print(result.to_json())
        elif not self.options.quiet:
            self._print(_summary(result))

    def failed(self, source: str, target: str, error: Exception) -> None:
        self.failures += 1
        reason = _reason(source, error)
        if self.options.json:
            self._print(json.dumps({"input": source, "output": target, "error": reason}))
        self._complain(f"{_shown(source)}: {reason}")
        if self.options.debug:
            traceback.print_exception(error)

    def _print(self, line: str) -> None:
        try:
            _write_line(sys.stdout, line)
        except BrokenPipeError:  # the reader has seen enough; the files are the work, not the lines
            _redirect_to_null(sys.stdout)
        except OSError as error:
            _redirect_to_null(sys.stdout)
            self.failures += 1
            self._complain(f"standard output: {error.strerror}")

    def _complain(self, line: str) -> None:
        try:
            _write_line(sys.stderr, f"kmeans-c: {line}")
        except OSError:
            _redirect_to_null(sys.stderr)


def _summary(done: Compressed) -> str:
    change = 100 * (done.bytes_after / done.bytes_before - 1)
    quality = "lossless" if done.mse == 0 else f"PSNR {done.psnr:.1f} dB"
    line = (
        f"{_shown(done.input)} -> {_shown(done.output)}: "
        f"{done.colors_before} -> {done.palette_size} colours, "
        f"{done.bytes_before} -> {done.bytes_after} bytes ({change:+.1f} %), "
        f"{quality}, {done.seconds:.2f} s"
    )
    if done.frames > 1:
        line += f"; first of {done.frames} frames"
    if done.larger:
        line += "; larger than the input"
    if done.bytes_as_png is not None:
        png = os.path.splitext(str(done.output))[0] + ".png"  # noqa: PTH122
        line += (
            f"; as a JPEG it shows {done.colors_after} colours: "
            f"-o {_shown(png)} holds the {done.palette_size}, in about {done.bytes_as_png} bytes"
        )
    elif done.larger and done.palette_size > 2:
        line += ", fewer colours (-k) make it smaller"
    return line


def _reason(source: str, error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory"
    if isinstance(error, OSError) and error.strerror:
        reason = error.strerror
        if isinstance(error, FileExistsError):
            reason += " (-f/--force replaces it)"
        if error.filename is not None and error.filename != source:
            reason = f"{_shown(str(error.filename))}: {reason}"
        return reason
    reason = str(error).removeprefix(f"{source}: ").replace("(max_pixels)", "(--max-pixels)")
    if isinstance(error, OSError | ValueError):
        return _shown(reason)
    return _shown(f"unexpected {type(error).__name__}: {reason} (--debug shows more)")


def _shown(text: object) -> str:
    r"""Make any file name one printable line: \x for bytes that are not UTF-8, \n for a newline."""
    raw = str(text).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in raw
    )


def _write_line(stream: TextIO | None, line: str) -> None:
    if stream is None:  # closed before the program started
        return
    encoding = stream.encoding or "ascii"
    stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def _redirect_to_null(stream: TextIO | None) -> None:
    """Make sure that nothing complains again when Python flushes the stream at its end."""
    if stream is None:
        return
    with contextlib.suppress(OSError, ValueError):  # a stream that is no file at all
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def _open_standard_streams() -> None:
    """Occupy descriptors 0 to 2 if they are closed, or the next file to be opened would be one.

    Whatever a library prints to standard error would then go into that file.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            os.open(os.devnull, os.O_RDWR)


@contextlib.contextmanager
def _signals_as_exceptions() -> Iterator[None]:
    def handle(number: int, _frame: FrameType | None) -> None:
        raise _Signalled(number)

    before: dict[int, Any] = {}
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # Only the main thread may handle signals; and what nohup ignores shall stay ignored.
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            with contextlib.suppress(ValueError):
                before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _pillow_limit(max_pixels: int) -> Iterator[None]:
    """Let --max-pixels be the only limit: Pillow keeps its own, in a global, and fails at twice."""
    before = PIL.Image.MAX_IMAGE_PIXELS
    PIL.Image.MAX_IMAGE_PIXELS = max(1, max_pixels // 2)
    try:
        yield
    finally:
        PIL.Image.MAX_IMAGE_PIXELS = before


@contextlib.contextmanager
def _quiet_libraries(options: argparse.Namespace) -> Iterator[None]:
    """Keep the program's one line for each file: Pillow warns and logs, libtiff writes to fd 2."""
    if options.debug:
        yield
        return
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stderr = os.dup(2)
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 2)
            os.close(null)
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
