"""The command line program: one run of it, and the exit code."""

import argparse
import dataclasses
import errno
import io
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from kmeans_c.color_text import parse_color
from kmeans_c.command import arguments as words
from kmeans_c.command import batch, progress, signals
from kmeans_c.command.lines import (
    METADATA_KEPT,
    Failure,
    Totals,
    further_notes,
    reason,
    redirect_to_null,
    shown,
    summary,
    write_line,
)
from kmeans_c.command.paths import place
from kmeans_c.command.plan import STANDARD, Job, Plan, RefusedError, planned
from kmeans_c.encoding import FORMATS
from kmeans_c.files import atomic_write, check_target
from kmeans_c.palette import Palette
from kmeans_c.result import Compressed

if TYPE_CHECKING:
    from kmeans_c.sweep import SweepRow

DONE, SOME_FAILED, USAGE = 0, 1, 2
KEPT = 98  # pngquant's code for a result that would be larger, under --strict
SIGNALLED = 128  # plus the number of the signal, as in a shell


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
        From argparse: 0 after ``--help`` and ``--version``.
    """
    try:
        with signals.as_exceptions():
            return _run(sys.argv[1:] if arguments is None else list(arguments))
    except RefusedError as error:
        _complain(str(error))
        return USAGE
    except KeyboardInterrupt:
        return SIGNALLED + signal.SIGINT
    except signals.Signalled as end:
        return SIGNALLED + end.number
    except Exception as error:  # what no stage expects is one line, too
        _complain(reason("", error))
        if "--debug" in (sys.argv[1:] if arguments is None else arguments):
            _write_error(batch.trace(error).rstrip())
        return SOME_FAILED


def _run(arguments: list[str]) -> int:
    _open_standard_streams()
    if arguments[:1] == ["report"]:
        return _report(words.report_parser().parse_args(arguments[1:]))
    if arguments[:1] == ["sweep"]:
        return _sweep(words.sweep_parser().parse_args(arguments[1:]))
    options = words.parser().parse_args(arguments)
    plan = planned(options)
    _check_side_files(options, plan)
    _check_words(options, plan)
    work = _work(options)
    stream = sys.stderr if [job for job in plan.jobs if job.target == STANDARD] else sys.stdout
    wants_bar = not (options.quiet or options.json)
    with progress.progress(len(plan.jobs), sys.stderr if wants_bar else None) as (above, step):
        report = _Report(options, stream, above)
        report.begin(plan)
        made = batch.folders_to_make(plan.jobs)
        if options.shared_palette:
            work.options["palette"] = _shared_palette(options, work, plan)
        for job, result in batch.do_all(work, plan.jobs, _workers(options, plan)):
            if isinstance(result, Failure):
                report.failed(job, result)
            else:
                report.done(job, result)
            step()
        if options.save_palette is not None:
            report.attempt(options.save_palette, lambda: _save_palette(options, work, report.last))
        if report.codes:
            batch.remove_empty(made)
    report.end()
    return report.code()


def _work(options: argparse.Namespace) -> batch.Work:
    threads = 1 if options.threads is None and options.jobs > 1 else options.threads
    if threads is not None:
        os.environ.setdefault("RAYON_NUM_THREADS", str(threads))  # oxipng's, in workers as well
    dither, strength = options.dither
    return batch.Work(
        options={
            "K": options.colors,
            "quality": options.quality,
            "target_size": options.target_size,
            "ITERS": options.iterations,
            "palette": options.palette,
            "strict_palette": options.strict_palette,
            "keep_palette": options.keep_palette,
            "init": options.init,
            "effort": options.effort,
            "space": options.space,
            "keep": options.keep,
            "dither": dither,
            "dither_strength": strength,
            "per_frame": options.per_frame,
            "first": options.first,
            "seed": options.seed,
            "n_threads": threads,
            "format": options.format,
            "optimize": options.optimize,
            "lossy": options.lossy,
            "jpeg_quality": options.jpeg_quality,
            "subsampling": options.subsampling,
            "metadata": options.metadata,
            "icc": options.icc,
            "allow_larger": options.allow_larger,
            "preview": options.preview,
            "max_pixels": options.max_pixels,
            "max_total_pixels": options.max_total_pixels,
        },
        force=options.force,
        importance=options.importance,
        preserve=options.preserve,
        dry_run=options.dry_run,
        debug=options.debug,
    )


def _workers(options: argparse.Namespace, plan: Plan) -> int:
    jobs: int = options.jobs
    return max(1, min(jobs, len(plan.jobs)))


def _check_side_files(options: argparse.Namespace, plan: Plan) -> None:
    """Refuse files beside the outputs that there can't be, or that are one of the others."""
    taken = {place(name) for job in plan.jobs for name in (job.source, *job.targets)}
    for flag, path in (("--preview", options.preview), ("--save-palette", options.save_palette)):
        if path is None:
            continue
        several = len(plan.jobs) > 1
        if several and (flag == "--preview" or not options.shared_palette):
            raise RefusedError(f"{flag}: expected one input, got {len(plan.jobs)}")
        if place(path) in taken:
            raise RefusedError(f"{flag}: {shown(path)} is an input or an output as well")
        taken.add(place(path))
    if options.save_palette is not None:
        from kmeans_c.palette_files import ENDINGS  # noqa: PLC0415 - few runs need them

        ending = os.path.splitext(options.save_palette)[1].lower()  # noqa: PTH122
        if ending not in ENDINGS:
            raise RefusedError(
                f"--save-palette: expected a name that ends in {' '.join(ENDINGS)}, "
                f"got {shown(options.save_palette)}"
            )


def _check_words(options: argparse.Namespace, plan: Plan) -> None:
    """Refuse words that contradict each other."""
    target = options.colors == "auto", options.quality is not None, options.target_size is not None
    if sum(target) > 1:
        raise RefusedError("-k auto, -Q, --target-size: expected one of them")
    if options.palette is not None and (any(target) or options.colors or options.keep):
        raise RefusedError("--palette: has its own colours; expected no -k, -Q, --keep and so on")
    if options.strict_palette and options.palette is None:
        raise RefusedError("--strict-palette: expected --palette as well")
    if options.keep_palette and (
        any(target) or options.colors or options.keep or options.shared_palette
    ):
        raise RefusedError(
            "--keep-palette: the inputs have their colours; expected no -k, -Q, --keep, "
            "--shared-palette and so on"
        )
    if options.in_place and options.first:
        raise RefusedError("--in-place: would lose the other frames of --first; use one of the two")
    if options.per_frame and options.first:
        raise RefusedError("--per-frame: there is one frame with --first; use one of the two")
    if options.in_place and options.suffix is not None:
        raise RefusedError("--in-place: keeps the names; expected no --suffix")
    if options.lossy and options.dither[0] != "none":
        raise RefusedError("--lossy: would remove the pattern of --dither; expected one of the two")
    if options.importance is not None and any(target):
        raise RefusedError("--importance: expected no -k auto, -Q or --target-size as well")
    _check_jpeg_words(options, plan)
    if options.shared_palette and options.icc == "keep":
        raise RefusedError("--shared-palette: needs all colours in one space, not --icc keep")
    if options.shared_palette and any(target):
        raise RefusedError(
            "--shared-palette: needs a number of colours, not -k auto, -Q or --target-size"
        )
    if options.shared_palette and plan.jobs and plan.jobs[0].source == STANDARD:
        raise RefusedError(f"--shared-palette: reads its inputs twice, which {STANDARD} can't be")


def _check_jpeg_words(options: argparse.Namespace, plan: Plan) -> None:
    """Refuse words for JPEG where no output is one, or where a target chooses the quality."""
    flags = {"--jpeg-quality": options.jpeg_quality, "--subsampling": options.subsampling}
    for flag in (flag for flag, value in flags.items() if value is not None):
        if options.target_size is not None:
            raise RefusedError(f"{flag}: expected no --target-size, which chooses it")
        kinds = {_kind(options, job) for job in plan.jobs}
        if kinds and not kinds & {"jpeg", None}:
            others = ", ".join(sorted(str(kind) for kind in kinds))
            raise RefusedError(f"{flag}: expected a JPEG as output, got {others}")


def _kind(options: argparse.Namespace, job: Job) -> str | None:
    """Return the format of an output, or None if the input decides."""
    if options.format is not None:
        return str(options.format)
    if not isinstance(job.target, str) or job.target == STANDARD:
        return None
    return FORMATS.get(os.path.splitext(job.target)[1].lower())  # noqa: PTH122


def _shared_palette(options: argparse.Namespace, work: batch.Work, plan: Plan) -> Palette | None:
    # Colours to keep may need more channels than the images have.
    channels = max((len(color) for color in options.keep or ()), default=1)
    histogram = batch.shared_histogram(work, plan.jobs, _workers(options, plan), channels)
    if len(histogram) == 0:  # no input can be read, which each says on its own
        return None
    return Palette.fit(
        histogram,
        options.colors or 16,
        options.iterations,
        init=options.init,
        effort=options.effort,
        space=options.space,
        keep=options.keep,
        seed=options.seed,
        n_threads=options.threads,
    )


def _save_palette(options: argparse.Namespace, work: batch.Work, last: Compressed | None) -> None:
    palette = work.options["palette"]
    if palette is None and last is not None and last.palette:
        palette = Palette([parse_color(color) for color in last.palette])
    if palette is None:
        raise ValueError("there is no palette to save")
    if options.dry_run:
        check_target(options.save_palette, overwrite=options.force)
    else:
        palette.write(options.save_palette, overwrite=options.force)


def _report(options: argparse.Namespace) -> int:
    from kmeans_c.views.report import KS, write_report  # noqa: PLC0415 - a page, and what it is made of

    target = options.output
    if target is None:
        target = os.path.splitext(options.input)[0] + "_report.html"  # noqa: PTH122
    if place(target) == place(options.input):
        raise RefusedError(f"{shown(target)}: is the input itself")
    try:
        write_report(
            options.input,
            target,
            options.colors or KS,
            overwrite=options.force,
            title=options.title,
            max_pixels=options.max_pixels,
            ITERS=options.iterations,
            init=options.init,
            seed=options.seed,
            space=options.space,
        )
    except Exception as error:
        _complain(f"{shown(options.input)}: {reason(options.input, error)}")
        if options.debug:
            _write_error(batch.trace(error).rstrip())
        return SOME_FAILED
    return DONE


def _sweep(options: argparse.Namespace) -> int:
    import json  # noqa: PLC0415 - few runs need it

    from kmeans_c.sweep import sweep  # noqa: PLC0415 - few runs need it

    try:
        if options.plot is not None:
            _check_plot(options)
        sizes = "png" if options.encode else "estimate"
        rows = sweep(options.input, options.colors, space=options.space, sizes=sizes)
        lines = [json.dumps(row.to_dict()) if options.json else _row(row) for row in rows]
        if not options.json:
            lines.insert(0, "   K       MSE   PSNR      dE     bytes")
        printed = _printed(lines)
        if options.plot is not None:
            from kmeans_c.views.plot import plot_sweep  # noqa: PLC0415 - an extra

            picture = io.BytesIO()
            plot_sweep(rows).savefig(picture, format="png")
            atomic_write(options.plot, picture.getvalue(), overwrite=options.force)
    except RefusedError:
        raise
    except Exception as error:
        _complain(f"{shown(options.input)}: {reason(options.input, error)}")
        if options.debug:
            _write_error(batch.trace(error).rstrip())
        return SOME_FAILED
    return DONE if printed else SOME_FAILED


def _row(row: "SweepRow") -> str:
    return f"{row.K:4} {row.mse:9.2f} {row.psnr:6.2f} {row.delta_e:7.3f} {row.bytes:9}"


def _check_plot(options: argparse.Namespace) -> None:
    """Say what keeps a plot from being written, before the work for it."""
    from importlib.util import find_spec  # noqa: PLC0415 - few runs need it

    if find_spec("matplotlib") is None:
        raise RefusedError("--plot needs matplotlib: pip install 'kmeans-c[plot]'")
    check_target(options.plot, overwrite=options.force)


def _printed(lines: Sequence[str]) -> bool:
    """Print lines to the standard output; what keeps them from it is said in one."""
    try:
        for line in lines:
            write_line(sys.stdout, line)
    except BrokenPipeError:  # the reader has seen enough
        redirect_to_null(sys.stdout)
    except OSError as error:
        redirect_to_null(sys.stdout)
        _complain(f"standard output: {error.strerror}")
        return False
    return True


class _Report:
    """Prints what became of each file, and goes on without a word where nobody can read it."""

    def __init__(
        self,
        options: argparse.Namespace,
        stream: TextIO | None,
        above: Callable[[TextIO, str], bool],
    ) -> None:
        self.options = options
        self.stream = stream
        self.above = above
        self.totals = Totals()
        self.last: Compressed | None = None
        self.codes: set[int] = set()
        self.start = time.perf_counter()

    def begin(self, plan: Plan) -> None:
        self.totals.skipped = len(plan.skipped)
        if self.options.verbose:
            for path, why in plan.skipped:
                self._print(f"{shown(path)}: skipped: {why}")
        elif plan.like_outputs and not (self.options.quiet or self.options.json):
            first, n = shown(plan.like_outputs[0]), len(plan.like_outputs)
            what = first if n == 1 else f"{first} and {n - 1} more"
            self._print(f"{what}: skipped: named as outputs of this program (--suffix)")
        for error in plan.unreadable:
            self._fail(str(error.filename), None, Failure(reason(str(error.filename), error)))

    def done(self, job: Job, result: Compressed) -> None:
        if job.source == STANDARD:
            result = dataclasses.replace(result, input=STANDARD)
        self.totals.add(result)
        self.last = result
        if self.options.json:
            if job.note:
                result = dataclasses.replace(result, notes=(*result.notes, job.note))
            self._print(result.to_json())
        elif not self.options.quiet:
            line = summary(result, job.shown_target, tried=self.options.dry_run)
            self._print(f"{line}; {job.note}" if job.note else line)
            for note in further_notes(result) if self.options.verbose else ():
                self._print(f"{shown(result.input)}: {shown(note)}")
        elif result.metadata_kept and job.in_place:
            # --quiet hides no metadata that were to be removed.
            _complain(f"{shown(result.input)}: kept as it is: {METADATA_KEPT}")

    def failed(self, job: Job, failure: Failure) -> None:
        self._fail(job.source, job.shown_target, failure)

    def attempt(self, path: str, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:
            self._fail(path, None, Failure(reason(path, error)))

    def end(self) -> None:
        seconds = time.perf_counter() - self.start
        if self.options.json:
            self._print(_json({"totals": self.totals.to_dict() | {"seconds": seconds}}))
        elif not self.options.quiet and (self.totals.done > 1 or self.totals.skipped):
            self._print(self.totals.line(seconds))

    def code(self) -> int:
        if not self.options.strict:
            return SOME_FAILED if self.codes else DONE
        if self.codes:
            return SOME_FAILED if SOME_FAILED in self.codes else min(self.codes)
        return KEPT if self.totals.kept else DONE

    def _fail(self, source: str, target: str | None, failure: Failure) -> None:
        self.totals.failed += 1
        self.codes.add(failure.strict_code)
        if self.options.json:
            record = {"input": source, "output": target, "error": failure.reason}
            self._print(_json(record))
        line = f"kmeans-c: {shown(source)}: {failure.reason}"
        if sys.stderr is None or not self.above(sys.stderr, line):
            _write_error(line)
        if failure.trace:
            _write_error(failure.trace.rstrip())

    def _print(self, line: str) -> None:
        if self.stream is not None and self.above(self.stream, line):
            return
        try:
            write_line(self.stream, line)
        except BrokenPipeError:  # the reader has seen enough; the files are the work, not the lines
            redirect_to_null(self.stream)
        except OSError as error:
            redirect_to_null(self.stream)
            self.codes.add(SOME_FAILED)
            _complain(f"standard output: {error.strerror}")


def _json(record: dict[str, Any]) -> str:
    import json  # noqa: PLC0415 - few runs need it

    return json.dumps(record)


def _complain(line: str) -> None:
    _write_error(f"kmeans-c: {line}")


def _write_error(line: str) -> None:
    try:
        write_line(sys.stderr, line)
    except OSError:
        redirect_to_null(sys.stderr)


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
