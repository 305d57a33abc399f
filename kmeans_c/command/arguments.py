"""The words of the command line, and what may follow them."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from kmeans_c._version import __version__
from kmeans_c.command import values
from kmeans_c.command.lines import redirect_to_null, write_line
from kmeans_c.command.plan import RefusedError
from kmeans_c.dithering import DITHERS
from kmeans_c.encoding import FORMATS, MAX_COLORS
from kmeans_c.images import ICC, MAX_PIXELS, MAX_TOTAL_PIXELS
from kmeans_c.images.metadata import POLICIES
from kmeans_c.jpeg.options import MAX_QUALITY, MIN_QUALITY, SUBSAMPLINGS
from kmeans_c.method import INITS
from kmeans_c.png import MOST_OPTIMIZE, OPTIMIZE
from kmeans_c.rate import LOSS
from kmeans_c.search import EFFORTS
from kmeans_c.spaces import SPACES

_DESCRIPTION = """\
Reduce images to a few colours with k-means and write them as smaller files.
With no INPUT, image.jpg in the current folder becomes image_compressed.jpg."""

_EPILOG = f"""\
Reads PNG, JPEG, WebP, GIF, BMP, TIFF and PPM, with all frames or pages; an output that
cannot hold them is refused, or gets the first with --first. Writes {" ".join(FORMATS)},
by the ending of the output's name.
A JPEG can't hold a palette: it is written at the best quality that takes at most 0.8
times the bytes of the input, or where that loses the picture or none of 30 or more fits,
in the fewest bytes that hold it; the line says how many pixels still show their own
colour. A PNG holds exactly K colours: kmeans-c photo.jpg -o photo.png
Where the output would be larger than the input, the input is kept as it is, unless a
palette was given: an output that can hold that palette is written all the same.

kmeans-c report IMAGE writes a web page that compares several K (report --help),
kmeans-c sweep IMAGE prints what each K costs in error and bytes (sweep --help).

Exit codes: 0 every file is done; 1 some file failed, the others are done; 2 the command
is wrong, nothing was touched; 130 and 143 ended by Ctrl-C or SIGTERM."""

_SHELLS = ("bash", "zsh", "tcsh")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Knows the terminal's width without `shutil`, which each added option would import."""

    def __init__(self, prog: str, **options: Any) -> None:
        if options.get("width") is None:
            options["width"] = _columns() - 2
        super().__init__(prog, **options)


def _columns() -> int:
    """The width of the terminal, as `shutil.get_terminal_size` tells it."""
    with contextlib.suppress(KeyError, ValueError):
        if (columns := int(os.environ["COLUMNS"])) > 0:
            return columns
    with contextlib.suppress(AttributeError, ValueError, OSError):
        if (columns := os.get_terminal_size(sys.__stdout__.fileno()).columns) > 0:  # type: ignore[union-attr]
            return columns
    return 80


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as for files, instead of repeating the usage."""

    def error(self, message: str) -> NoReturn:
        """End the program: the command is wrong."""
        raise RefusedError(f"{message} (--help says more)")

    def _print_message(self, message: str, file: Any = None) -> None:
        # argparse drops what cannot be written, and exits with 0.
        stream = sys.stdout if file is None else file
        try:
            write_line(stream, message.removesuffix("\n"))
        except BrokenPipeError:  # the reader has seen enough
            redirect_to_null(stream)
        except OSError as error:
            redirect_to_null(stream)
            raise OSError(error.errno, error.strerror, "standard output") from None

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        # argparse drops a value of "--", and then hands on what it gives for no value at all.
        if action.option_strings and "--" in arg_strings:
            self.error(f"argument {'/'.join(action.option_strings)}: expected no --")
        return super()._get_values(action, arg_strings)


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command without a subcommand."""
    made = Parser(
        prog="kmeans-c",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    made.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="image files, or - for the standard input (default: image.jpg)",
    )
    _add_files(made.add_argument_group("files"))
    _add_colors(made.add_argument_group("colours"))
    _add_output(made.add_argument_group("output"))
    _add_run(made)
    return made


def report_parser() -> argparse.ArgumentParser:
    """Make the parser of ``kmeans-c report``."""
    made = Parser(
        prog="kmeans-c report",
        description="Write a web page that compares an image with itself in several numbers of "
        "colours; of an animation the first frame. It needs no network.",
        allow_abbrev=False,
    )
    add = made.add_argument
    add("input", metavar="IMAGE")
    add("-o", "--output", metavar="HTML", help="(default: IMAGE_report.html beside the image)")
    add(
        "-k",
        "--colors",
        type=values.several,
        metavar="K,K...",
        help="numbers of colours (default: 4,16,64,256)",
    )
    add("--title", metavar="TEXT", help="(default: the image's name)")
    _add_method(add)
    add("-f", "--force", action="store_true", help="replace an existing file")
    _add_limit(add)
    add("--debug", action="store_true", help="show tracebacks")
    return made


def sweep_parser() -> argparse.ArgumentParser:
    """Make the parser of ``kmeans-c sweep``."""
    made = Parser(
        prog="kmeans-c sweep",
        description="Print what each number of colours costs: mean squared error, PSNR in dB, mean "
        "distance in Oklab (x 100), and the bytes of a PNG, estimated; of an animation for the "
        "first frame.",
        allow_abbrev=False,
    )
    add = made.add_argument
    add("input", metavar="IMAGE")
    add(
        "-k",
        "--colors",
        type=values.several,
        metavar="K,K...",
        help="numbers of colours (default: 2 to 256)",
    )
    add("--encode", action="store_true", help="really encode each PNG: exact bytes, slowly")
    add("--plot", metavar="PNG", help="draw it, too (kmeans-c[plot])")
    add("--space", choices=SPACES, default="srgb", help="where distances are measured")
    add("-f", "--force", action="store_true", help="replace an existing file")
    add("--json", action="store_true", help="print one JSON object for each K, with its palette")
    add("--debug", action="store_true", help="show tracebacks")
    return made


def _add_files(group: "argparse._ArgumentGroup") -> None:
    where = group.add_mutually_exclusive_group()
    where.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="file to write, an existing folder, or - for the standard output "
        "(default: INPUT_compressed beside the input)",
    )
    where.add_argument(
        "-d",
        "--output-dir",
        metavar="DIR",
        help="write to this folder under the inputs' own names; with -r it mirrors their tree",
    )
    where.add_argument("--in-place", action="store_true", help="replace the inputs")
    add = group.add_argument
    add(
        "--suffix",
        metavar="TEXT",
        help="between name and ending (default: _compressed; with -d none)",
    )
    add(
        "-r",
        "--recursive",
        action="store_true",
        help="take the images in the folders given, and in those inside; no links, hidden files "
        "or outputs of this program",
    )
    add("-f", "--force", action="store_true", help="replace existing files, the input itself too")
    add("-p", "--preserve", action="store_true", help="keep the inputs' times and permissions")
    add("-n", "--dry-run", action="store_true", help="do all but the writing")
    add(
        "--allow-larger",
        action="store_true",
        help="write a file even if it is larger than the input",
    )
    add(
        "--preview",
        metavar="PNG",
        help="write a picture of the image before and after, and its palette",
    )


def _add_colors(group: "argparse._ArgumentGroup") -> None:
    add = group.add_argument
    add(
        "-k",
        "--colors",
        type=values.colors,
        metavar="K",
        help=f"how many colours, 1..{MAX_COLORS}, or auto: the fewest that look like the image "
        "(default: 16)",
    )
    target = group.add_mutually_exclusive_group()
    target.add_argument(
        "-Q",
        "--quality",
        type=values.quality,
        metavar="MIN-MAX",
        help="as few colours as have this quality, 0..100: 65-80 fails below 65",
    )
    target.add_argument(
        "--target-size",
        type=values.size,
        metavar="SIZE",
        help="the least error that fits into so many bytes: 50K, 1.5Mi, 40%%",
    )
    _add_method(add)
    effort = group.add_mutually_exclusive_group()
    effort.add_argument(
        "--effort",
        choices=tuple(EFFORTS),
        default="balanced",
        help="how long good colours are searched (default: balanced)",
    )
    effort.add_argument(
        "-s",
        "--speed",
        type=values.speed,
        dest="effort",
        metavar="N",
        help="the same in pngquant's numbers: 1..3 best, 4..7 balanced, 8..11 fast",
    )
    dithering = group.add_mutually_exclusive_group()
    dithering.add_argument(
        "--dither",
        type=values.dither,
        default=("none", 1.0),
        metavar="METHOD[:STRENGTH]",
        help=f"{', '.join(DITHERS)} (fs, nofs), and 0..1 (default: none)",
    )
    dithering.add_argument(
        "--nofs", action="store_const", const=("none", 1.0), dest="dither", help="do not dither"
    )
    given = group.add_mutually_exclusive_group()
    given.add_argument(
        "--palette",
        type=values.palette,
        metavar="FILE|NAME|COLORS",
        help="use these colours: of a palette file, of a picture, of a set like pico-8, or a list "
        "like '#fff,#c8102e'; all entries stay, in their order",
    )
    given.add_argument(
        "--shared-palette",
        action="store_true",
        help="find one palette for all inputs together; all outputs have the same table",
    )
    add(
        "--strict-palette",
        action="store_true",
        help="fail if a pixel has a colour that is not in --palette",
    )
    stays = group.add_mutually_exclusive_group()
    stays.add_argument(
        "--keep-palette",
        action="store_true",
        default=None,
        help="keep the palettes of indexed inputs and the indices of their pixels, whatever it "
        "takes",
    )
    stays.add_argument(
        "--shrink-palette",
        action="store_false",
        dest="keep_palette",
        help="drop and reorder the entries of a palette where that takes fewer bytes",
    )
    add(
        "--keep",
        type=values.color,
        action="append",
        metavar="COLOR",
        help="a colour that shall be in the palette exactly; may be repeated",
    )
    add("--save-palette", metavar="FILE", help="write the palette, in the format of the ending")
    add(
        "--importance",
        metavar="MASK",
        help="a grey image of the same size: how much each pixel matters",
    )
    add("--per-frame", action="store_true", help="give each frame a palette of its own")
    add(
        "--first",
        action="store_true",
        help="take the first of several frames or pages; without it an output that holds only one "
        "is refused",
    )


def _add_method(add: Callable[..., Any]) -> None:
    add(
        "-i",
        "--iterations",
        type=values.integer("ITERS", 0),
        default=10,
        metavar="ITERS",
        help="rounds of Lloyd's algorithm (default: 10)",
    )
    add("--init", choices=INITS, default="search", help="where the colours start (default: search)")
    add(
        "--seed",
        type=values.integer("seed", 0),
        default=0,
        metavar="N",
        help="another start of the draw; the same N gives the same colours (default: 0)",
    )
    add(
        "--space",
        choices=SPACES,
        default="srgb",
        help="where distances are measured; oklab looks best (default: srgb)",
    )


def _add_output(group: "argparse._ArgumentGroup") -> None:
    add = group.add_argument
    add(
        "-F",
        "--format",
        type=values.format_of,
        metavar="FORMAT",
        help=f"{', '.join(dict.fromkeys(FORMATS.values()))}, or auto: the smallest that holds the "
        "palette (default: by the ending of the name)",
    )
    add(
        "-O",
        "--optimize",
        type=values.integer("optimize", 0, MOST_OPTIMIZE),
        default=OPTIMIZE,
        metavar="LEVEL",
        help=f"how hard the encoder tries, 0..{MOST_OPTIMIZE} (default: {OPTIMIZE})",
    )
    add(
        "--lossy",
        type=values.loss,
        nargs="?",
        const=LOSS,
        default=0.0,
        metavar="DB",
        help=f"give up so much PSNR for fewer bytes (default: 0; without a number, as the last "
        f"option or before another: {LOSS})",
    )
    add(
        "--jpeg-quality",
        type=values.integer("jpeg_quality", MIN_QUALITY, MAX_QUALITY),
        metavar="N",
        help="libjpeg's quality of a JPEG, 1..100 (default: the best, 30..95, that takes at most "
        "0.8 times the bytes of the input, or of a JPEG of quality 90 of another input; where that "
        "loses the picture or none fits, the fewest bytes that hold it, of quality 10..100)",
    )
    add(
        "--subsampling",
        choices=tuple(SUBSAMPLINGS),
        help="of a JPEG's chroma (default: the one with the least error at that size)",
    )
    add(
        "--metadata",
        choices=POLICIES,
        default="safe",
        help="safe: resolution, who made it, georeference; keep: also EXIF with its places, XMP, "
        "IPTC, texts (default: safe)",
    )
    add(
        "--strip",
        action="store_const",
        const="none",
        dest="metadata",
        help="the same as --metadata none",
    )
    add(
        "--icc",
        choices=ICC,
        default="convert",
        help="convert: to sRGB; keep: the colours and their profile (default: convert)",
    )


def _add_run(made: argparse.ArgumentParser) -> None:
    group = made.add_argument_group("the run")
    add = group.add_argument
    add(
        "-j",
        "--jobs",
        type=values.integer("jobs", 1, 1024),
        default=1,
        metavar="N",
        help="files at a time, each in a process (default: 1)",
    )
    add(
        "-t",
        "--threads",
        type=values.integer("threads", 1),
        metavar="N",
        help="processors for a file (default: those the process may use, with -j 1); never changes "
        "the result",
    )
    quietness = group.add_mutually_exclusive_group()
    quietness.add_argument("-q", "--quiet", action="store_true", help="print nothing but failures")
    quietness.add_argument("-v", "--verbose", action="store_true", help="say what was left out")
    quietness.add_argument(
        "--json", action="store_true", help="print one JSON object for each file, and the totals"
    )
    add(
        "--strict",
        action="store_true",
        help="exit with pngquant's 15 if an output exists, 98 if an input was kept as it is",
    )
    _add_limit(add)
    add(
        "--max-total-pixels",
        type=values.integer("max-total-pixels", 1),
        default=MAX_TOTAL_PIXELS,
        metavar="N",
        help=f"the same for all frames together (default: {MAX_TOTAL_PIXELS})",
    )
    add("--debug", action="store_true", help="show tracebacks and the warnings of libraries")
    add(
        "--completion",
        action=_Completion,
        choices=_SHELLS,
        help="print what makes the shell complete these options, and exit",
    )
    add("-V", "--version", action="version", version=f"%(prog)s {__version__}")


def _add_limit(add: Callable[..., Any]) -> None:
    add(
        "--max-pixels",
        type=values.integer("max-pixels", 1),
        default=MAX_PIXELS,
        metavar="N",
        help=f"refuse larger images (default: {MAX_PIXELS})",
    )


class _Completion(argparse.Action):
    """Prints a completion script: made once, so that completing starts no Python."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,  # noqa: ARG002 - argparse's signature
        values: Any,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        try:
            import shtab  # noqa: PLC0415 - an extra
        except ImportError:
            parser.error("--completion: needs shtab: pip install kmeans-c[completion]")
        for action in parser._actions:
            if action.dest in ("inputs", "output", "palette", "save_palette", "importance"):
                action.complete = shtab.FILE  # type: ignore[attr-defined]
            elif action.dest == "output_dir":
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        parser._print_message(shtab.complete(parser, values) + "\n", sys.stdout)
        parser.exit()
