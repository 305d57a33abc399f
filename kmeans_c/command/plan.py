"""Which input goes to which output: settled before anything is touched."""

import argparse
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kmeans_c.command.distinct import with_distinct_targets
from kmeans_c.command.lines import shown
from kmeans_c.command.paths import place
from kmeans_c.encoding import FORMATS, format_for
from kmeans_c.naming import SUFFIX, ByFormat, default_output, same_file

_OUTPUT = "an output of this program"

# The standard input or output, where a file's name could be.
STANDARD = "-"

# In a folder only what has the name of an image is one; an icon is written, but never read.
_READ = {*FORMATS, ".ppm", ".pgm", ".pbm", ".pnm"} - {".ico"}


class RefusedError(Exception):
    """The command is wrong, and nothing was touched."""


class Job(NamedTuple):
    """One input and its output.

    Attributes
    ----------
    source : str
    target : str or ByFormat
    folder : str or None
        Below this one folders are made for the output as they are needed.
    in_place : bool
        Whether the output shall replace the input.
    note : str
        Why the output has another name than usual.
    """

    source: str
    target: str | ByFormat
    folder: str | None = None
    in_place: bool = False
    note: str = ""

    @property
    def targets(self) -> list[str]:
        """All names that the output may get."""
        return self.target.paths() if isinstance(self.target, ByFormat) else [self.target]

    @property
    def shown_target(self) -> str:
        """A name for messages."""
        return f"{self.target.stem}.*" if isinstance(self.target, ByFormat) else self.target


@dataclass
class Plan:
    """What is to be done.

    Attributes
    ----------
    jobs : list of Job
    skipped : list of (str, str)
        Files that are left out, and why.
    like_outputs : list of str
        Those of them that were left out for their names alone.
    unreadable : list of OSError
        Folders.
    """

    jobs: list[Job] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    like_outputs: list[str] = field(default_factory=list)
    unreadable: list[OSError] = field(default_factory=list)


def planned(options: argparse.Namespace) -> Plan:
    """Pair each input with its output.

    Parameters
    ----------
    options : argparse.Namespace
        Of `arguments.parser`.

    Raises
    ------
    RefusedError
        If an input is named twice, an output is an input (unless it shall be), or a name says no
        format.
    """
    plan = Plan()
    _check_words(options)
    sources = options.inputs or ["image.jpg"]
    if STANDARD in sources or options.output == STANDARD:
        plan.jobs = [_standard(options, sources)]
        return plan
    into = options.output is not None and os.path.isdir(options.output)  # noqa: PTH112
    for source in sources:
        # A folder that is not to be walked through is an input like any other, and fails as one.
        if options.recursive and os.path.isdir(source):  # noqa: PTH112
            for path in _walk(source, options, plan):
                inner = os.path.relpath(path, source)
                if options.in_place and not _writable(path):
                    plan.skipped.append((path, "cannot be written in place"))
                else:
                    plan.jobs.append(_job(path, inner, options, into=into))
        else:
            plan.jobs.append(_job(source, os.path.basename(source), options, into=into))  # noqa: PTH119
    if options.output is not None and not into and len(plan.jobs) > 1:
        raise RefusedError(
            f"-o/--output: expected an existing folder for {len(plan.jobs)} inputs, "
            f"got {shown(repr(options.output))}"
        )
    if options.output is not None and not into:
        _check_ending(options.output, options)
    _skip_own(plan, options)
    if not options.in_place and (options.output is None or into):
        suffix = "" if options.output_dir is not None else SUFFIX
        suffix = suffix if options.suffix is None else options.suffix
        plan.jobs = with_distinct_targets(plan.jobs, suffix)
    _check_collisions(plan.jobs, force=options.force)
    return plan


def _check_words(options: argparse.Namespace) -> None:
    """Refuse what contradicts itself, whatever the inputs are."""
    if options.in_place and options.format is not None:
        raise RefusedError(
            "--in-place: keeps the names, and so the formats; expected no -F/--format"
        )
    suffix = options.suffix or ""
    if os.path.basename(suffix) != suffix:  # noqa: PTH119
        raise RefusedError(f"--suffix: expected a part of a name, got {shown(suffix)}")
    folder = options.output_dir
    if folder is not None and os.path.lexists(folder) and not os.path.isdir(folder):  # noqa: PTH112
        raise RefusedError(f"-d/--output-dir: expected a folder, got {shown(folder)}")


def _standard(options: argparse.Namespace, sources: Sequence[str]) -> Job:
    """Standard input, standard output or both: a single file in any case."""
    if len(sources) > 1:
        raise RefusedError(f"{STANDARD}: expected no other input, got {len(sources)}")
    if options.in_place or options.output_dir is not None or options.preserve:
        raise RefusedError(f"{STANDARD}: is no file; --in-place, -d and -p need one")
    target = STANDARD if options.output is None else options.output
    if target != STANDARD:
        _check_ending(target, options)
        if os.path.isdir(target):  # noqa: PTH112
            raise RefusedError(f"-o/--output: expected a file for {STANDARD}, got {shown(target)}")
    return Job(sources[0], target)


def _job(source: str, inner: str, options: argparse.Namespace, *, into: bool) -> Job:
    """One input, with the name that it has inside of the folder that was given."""
    if options.in_place:
        if not _writable(source):
            raise RefusedError(f"--in-place: {shown(source)} is of no format that can be written")
        return Job(source, source, in_place=True)
    folder = None
    path, suffix = source, SUFFIX
    if options.output_dir is not None:
        folder, suffix = options.output_dir, ""
        path = os.path.join(folder, inner)  # noqa: PTH118 - a Path drops a leading "./"
    elif into:
        path = os.path.join(options.output, os.path.basename(source))  # noqa: PTH118, PTH119
    elif options.output is not None:
        return Job(source, options.output)
    suffix = suffix if options.suffix is None else options.suffix
    if options.format == "auto":
        return Job(source, ByFormat.beside(path, suffix), folder)
    return Job(source, default_output(path, options.format, suffix=suffix), folder)


def _check_ending(target: str, options: argparse.Namespace) -> None:
    if options.format == "auto":
        raise RefusedError("-F/--format auto: chooses the ending, too; expected no file with -o")
    try:
        if options.format is None:
            format_for(target)
    except ValueError:
        endings = " ".join(FORMATS)
        raise RefusedError(f"-o/--output: expected one of {endings}, got {shown(target)}") from None


def _writable(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in FORMATS  # noqa: PTH122


def _walk(top: str, options: argparse.Namespace, plan: Plan) -> Iterator[str]:
    """Yield the images in a folder and those inside of it, in order, following no links."""
    suffix = options.suffix or SUFFIX
    seen = {_identity(options.output_dir)} - {None}
    folders = [top]
    while folders:
        folder = folders.pop()
        identity = _identity(folder)
        if folder != top and identity in seen:  # the output, or a loop of mounts
            continue
        seen |= {identity} - {None}
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            plan.unreadable.append(error)
            continue
        inner = []
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                inner.append(entry.path)
                continue
            reason = _unfit(entry, suffix)
            if reason is None:
                yield entry.path
            else:
                plan.skipped.append((entry.path, reason))
                plan.like_outputs += [entry.path] if reason == _OUTPUT else []
        folders += reversed(inner)


def _unfit(entry: "os.DirEntry[str]", suffix: str) -> str | None:
    """Say why a file in a folder is left out."""
    stem, ending = os.path.splitext(entry.name)  # noqa: PTH122
    if entry.is_symlink():
        return "a link"
    if entry.name.startswith("."):
        return "hidden"
    if not entry.is_file(follow_symlinks=False):
        return "not a regular file"
    if ending.lower() not in _READ:
        return "not an image by its name"
    return _OUTPUT if stem.endswith(suffix) else None


def _identity(folder: str | None) -> tuple[int, int] | None:
    if folder is None:
        return None
    try:
        found = os.stat(folder)  # noqa: PTH116
    except OSError:  # scandir says more
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None


def _skip_own(plan: Plan, options: argparse.Namespace) -> None:
    """Leave out inputs that an earlier run, or this one, makes of others: *.jpg names both."""
    suffix = SUFFIX if options.suffix is None else options.suffix
    outputs = {place(target): job for job in plan.jobs for target in job.targets}
    left = []
    for job in plan.jobs:
        maker = outputs.get(place(job.source))
        stem = os.path.splitext(job.source)[0]  # noqa: PTH122
        if maker is not None and maker is not job and suffix and stem.endswith(suffix):
            plan.skipped.append((job.source, f"the output of {shown(maker.source)}"))
        else:
            left.append(job)
    plan.jobs = left


def _check_collisions(jobs: Sequence[Job], *, force: bool) -> None:
    inputs = {place(job.source) for job in jobs}
    outputs: dict[str, str] = {}
    for job in jobs:
        for target in job.targets:
            name, where = shown(target), place(target)
            if where in outputs:
                raise RefusedError(
                    f"{shown(outputs[where])} and {shown(job.source)} would both be written to "
                    f"{name}"
                )
            if same_file(job.source, target):
                if not (force or job.in_place):
                    raise RefusedError(f"{name}: is the input itself (-f/--force replaces it)")
            elif where in inputs:
                raise RefusedError(
                    f"{name}: is an input, and the output of {shown(job.source)} as well"
                )
        outputs |= dict.fromkeys(map(place, job.targets), job.source)
