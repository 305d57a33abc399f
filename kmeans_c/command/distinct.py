"""Distinct names for outputs that would have the same, or that of another input.

logo.png and logo.jpg both become logo_compressed.png with ``-F png``. The first keeps the name; the
second becomes logo.jpg_compressed.png, or, where its ending does not tell it apart,
logo.2_compressed.png. Which is the first does not depend on the order of the inputs: it is the one
whose ending says the output's format, of several the first by name.

Names that differ only in case, or in how Unicode composes a letter, are the same here: they are one
file on macOS and Windows, and the outputs may be copied there.
"""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

from kmeans_c.command.lines import shown
from kmeans_c.command.paths import place
from kmeans_c.encoding import FORMATS
from kmeans_c.naming import ByFormat

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kmeans_c.command.plan import Job


def with_distinct_targets(jobs: Sequence[Job], suffix: str) -> list[Job]:
    """Return the jobs in their order, with other names for the outputs that collide.

    Parameters
    ----------
    jobs : sequence of Job
        With outputs whose names are made from the inputs'.
    suffix : str
        Between an output's name and its ending.
    """
    inputs = {_folded(job.source) for job in jobs}
    taken: dict[str, str] = {}
    renamed: dict[int, Job] = {}
    wanted = {target for job in jobs for target in _targets(job)}
    keys = [(not _has_format(job), place(job.source)) for job in jobs]
    order = sorted(range(len(jobs)), key=keys.__getitem__)
    for i in order:
        usual = chosen = jobs[i]
        others = inputs - {_folded(usual.source)}
        blocked = [target for target in _targets(usual) if target in taken or target in others]
        maker = taken.get(blocked[0]) if blocked else None
        # An input that is named twice is refused.
        if blocked and (maker is None or place(maker) != place(usual.source)):
            why = "an input" if maker is None else f"the output of {shown(maker)}"
            chosen = next(
                job._replace(note=f"named so because {shown(usual.shown_target)} is {why}")
                for job in _renamings(usual, suffix)
                if not {*_targets(job)} & (wanted | inputs | {*taken})
            )
        renamed[i] = chosen
        taken |= dict.fromkeys(_targets(renamed[i]), jobs[i].source)
    return [renamed[i] for i in range(len(jobs))]


def _targets(job: Job) -> list[str]:
    return [_folded(target, job.folder) for target in job.targets]


def _folded(path: str, folder: str | None = None) -> str:
    """Return where a name leads, without the case of the name, or of all below `folder`."""
    where = place(path)
    top = os.path.dirname(where) if folder is None else os.path.realpath(folder)  # noqa: PTH120
    if not where.startswith(top):
        return where
    below = where[len(top) :]
    if not below.isascii():
        import unicodedata  # noqa: PLC0415 - few names need it

        below = unicodedata.normalize("NFD", unicodedata.normalize("NFD", below).casefold())
    return top + below.casefold()


def _has_format(job: Job) -> bool:
    """Say whether the input's ending is that of the output, or one of the formats it may have."""
    ending = os.path.splitext(job.source)[1].lower()  # noqa: PTH122
    kind = FORMATS.get(ending)
    return kind is not None and kind == FORMATS.get(
        os.path.splitext(job.targets[0])[1].lower()  # noqa: PTH122
    )


def _renamings(job: Job, suffix: str) -> Iterator[Job]:
    """Yield the job with a name that has the input's ending, unless it is there, and numbers."""
    ending = os.path.splitext(job.source)[1]  # noqa: PTH122
    own = [] if job.targets[0].endswith(ending) else [ending]
    for middle in itertools.chain(own, (f".{n}" for n in itertools.count(2))):
        yield job._replace(target=_renamed(job.target, middle, suffix))


def _renamed(target: str | ByFormat, middle: str, suffix: str) -> str | ByFormat:
    if isinstance(target, ByFormat):
        return ByFormat(_inserted(target.stem, middle, suffix), target.suffix)
    stem, ending = os.path.splitext(target)  # noqa: PTH122
    return _inserted(stem, middle, suffix) + ending


def _inserted(stem: str, middle: str, suffix: str) -> str:
    return stem.removesuffix(suffix) + middle + suffix
