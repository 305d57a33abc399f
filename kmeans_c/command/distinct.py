"""Distinct names for outputs that would have the same, or that of another input.

logo.png and logo.jpg both become logo_compressed.png with ``-F png``. The first keeps the name; the
second becomes logo.jpg_compressed.png, or, where its ending does not tell it apart,
logo.2_compressed.png. Which is the first does not depend on the order of the inputs: it is the one
whose ending says the output's format, of several the first by name.
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
    inputs = {place(job.source) for job in jobs}
    taken: dict[str, str] = {}
    renamed: dict[int, Job] = {}
    wanted = {place(target) for job in jobs for target in job.targets}
    keys = [(not _has_format(job), place(job.source)) for job in jobs]
    order = sorted(range(len(jobs)), key=keys.__getitem__)
    for i in order:
        own = place(jobs[i].source)
        usual = chosen = jobs[i]
        blocked = [p for p in map(place, usual.targets) if p in taken or p in inputs - {own}]
        maker = taken.get(blocked[0]) if blocked else None
        if blocked and (maker is None or place(maker) != own):  # named twice, it is refused
            why = "an input" if maker is None else f"the output of {shown(maker)}"
            chosen = next(
                job._replace(note=f"named so because {shown(usual.shown_target)} is {why}")
                for job in _renamings(usual, suffix)
                if not {*map(place, job.targets)} & (wanted | inputs | {*taken})
            )
        renamed[i] = chosen
        taken |= dict.fromkeys(map(place, renamed[i].targets), jobs[i].source)
    return [renamed[i] for i in range(len(jobs))]


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
