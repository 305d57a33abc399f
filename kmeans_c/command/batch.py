"""Many files: each is done on its own, in this process or in a worker."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image

from kmeans_c.command import workers
from kmeans_c.command.lines import Failure, reason, redirect_to_null
from kmeans_c.command.plan import STANDARD, Job
from kmeans_c.compress import compress
from kmeans_c.encoding import format_for
from kmeans_c.files import check_target, safe_open
from kmeans_c.frame_policy import check_replacing
from kmeans_c.histogram import Histogram
from kmeans_c.images import read_image
from kmeans_c.naming import ByFormat, NamedBytes
from kmeans_c.result import Compressed

if TYPE_CHECKING:
    from kmeans_c.images.modes import Pixels

_SILENT = logging.NullHandler()

# pngquant's codes under --strict.
EXISTS = 15
BELOW_QUALITY = 99


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """What is done to each file.

    Attributes
    ----------
    options : dict
        Keyword arguments of `compress`.
    force : bool
        Whether existing files are replaced.
    importance : str or None
        An image that says how much each pixel matters.
    preserve : bool
        Whether outputs get the times and the permissions of the inputs.
    dry_run : bool
        Whether nothing is written.
    debug : bool
    """

    options: dict[str, Any]
    force: bool = False
    importance: str | None = None
    preserve: bool = False
    dry_run: bool = False
    debug: bool = False


def do_all(
    work: Work, jobs: Iterable[Job], n_workers: int
) -> Iterator[tuple[Job, Compressed | Failure]]:
    """Do all jobs, and yield each with what became of it, as they are done."""
    for job, result in workers.run(partial(do, work), jobs, n_workers):
        yield job, _lost(result) if isinstance(result, workers.Lost) else result


def do(work: Work, job: Job) -> Compressed | Failure:
    """Do a job, whatever may come."""
    try:
        with _pillow_limit(work.options["max_pixels"]), _quiet_libraries(debug=work.debug):
            return _done(work, job)
    except Exception as error:  # whatever it is, the other files are done
        return Failure(
            reason(job.source, error),
            strict_code=strict_code(error),
            trace=trace(error) if work.debug else "",
        )


def trace(error: Exception) -> str:
    """Give the traceback of an error, for --debug."""
    import traceback  # noqa: PLC0415 - few runs need it

    return "".join(traceback.format_exception(error))


def strict_code(error: Exception) -> int:
    """The exit code of a failure under --strict."""
    if isinstance(error, FileExistsError):
        return EXISTS
    # Where it was raised, its module is there; few runs need that.
    targets = sys.modules.get("kmeans_c.targets")
    missed = targets is not None and isinstance(error, targets.TargetNotMet)
    return BELOW_QUALITY if missed else 1


def shared_histogram(
    work: Work, jobs: Iterable[Job], n_workers: int, channels: int = 1
) -> Histogram:
    """Count the colours of all images together; those that can't be read say so later.

    There are at least so many channels.
    """
    counted: dict[int, Histogram] = {}
    for _, result in workers.run(partial(_count, work), jobs, n_workers):
        if isinstance(result, Histogram):
            counted.setdefault(result.channels, Histogram(result.channels)).merge(result)
    whole = Histogram(max(counted, default=3) if channels == 1 else max([channels, *counted]))
    for histogram in counted.values():
        colors = _widened(histogram.colors, whole.channels)
        whole.add(colors, histogram.counts)
    return whole


def _done(work: Work, job: Job) -> Compressed:
    if work.dry_run:
        return _tried(work, job)
    if STANDARD in (job.source, job.target):
        return _piped(work, job)
    options = _options(work)
    state = os.stat(job.source) if work.preserve else None  # noqa: PTH116
    if job.folder is not None:
        for target in job.targets[:1]:
            _make_folders(job.folder, target)
    done = compress(job.source, job.target, overwrite=work.force or job.in_place, **options)
    if state is not None and done.output is not None:
        os.chmod(done.output, state.st_mode & 0o777)  # noqa: PTH101
        os.utime(done.output, ns=(state.st_atime_ns, state.st_mtime_ns))
    return done


def _tried(work: Work, job: Job) -> Compressed:
    """Do all but the writing."""
    for target in job.targets:
        # Folders of an output tree may be yet to make.
        if target != STANDARD and (job.folder is None or os.path.lexists(target)):
            check_target(target, overwrite=work.force or job.in_place)
    options = _options(work) | {"preview": None}
    if isinstance(job.target, str) and job.target != STANDARD and options["format"] is None:
        options["format"] = format_for(job.target)
    file = io.BytesIO()
    source = _standard_input() if job.source == STANDARD else job.source
    done = compress(source, file, **options)
    if job.in_place:
        check_replacing(done.losses)
    if not file.getvalue():
        return done
    path = job.target.path(done.format) if isinstance(job.target, ByFormat) else job.target
    return dataclasses.replace(done, output=path)


def _piped(work: Work, job: Job) -> Compressed:
    """From standard input, or to standard output, or both."""
    source: Any = job.source
    if source == STANDARD:
        source = _standard_input()
    elif job.target == STANDARD:
        with safe_open(source) as file:
            source = NamedBytes(file.read(), job.source)
    options = _options(work)
    if job.target != STANDARD:
        return compress(source, job.target, overwrite=work.force, **options)
    target = io.BytesIO()
    done = compress(source, target, **options)
    # In a pipe something must come out; its contents say what it is.
    data = target.getvalue() or _passed_on(source.getvalue(), options["metadata"])
    if sys.stdout is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF), "standard output")
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # the reader has seen enough
        redirect_to_null(sys.stdout)
    except OSError as error:
        redirect_to_null(sys.stdout)
        raise OSError(error.errno, error.strerror, "standard output") from error
    return dataclasses.replace(done, output=STANDARD)


def _passed_on(contents: bytes, policy: str) -> bytes:
    from kmeans_c.images.cleaning import cleaned  # noqa: PLC0415 - few runs need it

    clean = cleaned(contents, policy)
    if clean is None:
        raise ValueError(
            "standard output: the input is smaller, and holds metadata that can't be removed "
            "(--allow-larger, --metadata keep)"
        )
    return clean


def _standard_input() -> NamedBytes:
    if sys.stdin is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF), "standard input")
    return NamedBytes(sys.stdin.buffer.read(), STANDARD)


def _options(work: Work) -> dict[str, Any]:
    if work.importance is None:
        return work.options
    return work.options | {"weights": _importance(work.importance, work.options["max_pixels"])}


def _importance(path: str, max_pixels: int) -> Pixels:
    pixels = read_image(path, max_pixels=max_pixels).pixels
    if pixels.ndim > 2:
        raise ValueError(f"--importance: expected a grey image without transparency, got {path}")
    return pixels


def folders_to_make(jobs: Iterable[Job]) -> list[str]:
    """List the folders that outputs need and that are not there, the inner ones first."""
    found: set[str] = set()
    for job in jobs:
        folder = job.targets[0] if job.folder is not None else ""
        while folder := os.path.dirname(folder):  # noqa: PTH120
            if folder in found or os.path.lexists(folder):
                break
            found.add(folder)
    return sorted(found, key=len, reverse=True)


def remove_empty(folders: Iterable[str]) -> None:
    """Remove folders that were made for outputs and got none."""
    for folder in folders:
        with contextlib.suppress(OSError):  # it has some, or was not made at all
            os.rmdir(folder)  # noqa: PTH106


def _make_folders(top: str, target: str) -> None:
    """Make the folders between `top` and a file in it; none of them may be a link."""
    os.makedirs(top, exist_ok=True)  # noqa: PTH103
    from pathlib import Path  # noqa: PLC0415 - its import takes 3 ms, and few runs need it

    folder = Path(top)
    for part in Path(os.path.relpath(target, top)).parent.parts:
        folder /= part
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
        if folder.is_symlink():
            raise OSError(errno.ELOOP, "A link may lead out of the output folder", str(folder))


def _count(work: Work, job: Job) -> Histogram | None:
    try:
        with _pillow_limit(work.options["max_pixels"]), _quiet_libraries(debug=work.debug):
            pixels = read_image(job.source, max_pixels=work.options["max_pixels"]).pixels
            channels = 1 if pixels.ndim == 2 else pixels.shape[2]
            return Histogram(channels).add(pixels, n_threads=work.options["n_threads"])
    except Exception:
        return None


def _widened(colors: Pixels, channels: int) -> Pixels:
    if colors.shape[1] == 1 < channels:
        colors = np.repeat(colors, 3, axis=1)
    missing = channels - colors.shape[1]
    return np.pad(colors, ((0, 0), (0, missing)), constant_values=255)


def _lost(lost: workers.Lost) -> Failure:
    code = lost.exit_code
    how = "without a word" if code is None else f"by signal {-code}" if code < 0 else f"with {code}"
    return Failure(f"the worker process ended {how}; memory may be short")


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
def _quiet_libraries(*, debug: bool) -> Iterator[None]:
    """Keep the program's one line for each file: Pillow warns and logs, libtiff writes to fd 2."""
    if debug:
        yield
        return
    logging.getLogger("PIL").addHandler(_SILENT)  # which adding it again does not change
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
