"""A function over many jobs in several processes, which end when their parent does.

The processes are spawned, not forked: a forked one would inherit threads that are not there
(OpenMP's, oxipng's). Each has a pipe of its own, whose end it sees when the parent is gone, even
killed; and if one of them is killed, only the job it was at is lost. concurrent.futures knows
neither: its workers outlive a killed parent, and one that dies takes all jobs with it.
"""

import contextlib
import itertools
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from kmeans_c.command import ending, signals

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

Job = TypeVar("Job")
Result = TypeVar("Result")

# Jobs that a worker has at a time: the next one is there when it is done with the last. That many
# results wait at most, whatever the number of jobs.
AHEAD = 2

_PATIENCE = 5.0  # seconds for a worker to tidy up; it needs milliseconds


class Lost(NamedTuple):
    """Instead of a result: the worker ended.

    Attributes
    ----------
    exit_code : int or None
        Below 0: the signal that killed it.
    """

    exit_code: int | None


def run(
    function: Callable[[Job], Result], jobs: Iterable[Job], n_workers: int
) -> Iterator[tuple[Job, Result | Lost]]:
    """Apply a function to each job, in this process or in several others.

    Parameters
    ----------
    function : callable
        With more than one worker, it, the jobs and the results must be picklable.
    jobs : iterable
        Taken as they are needed.
    n_workers : int
        1: in this process, and in order.

    Yields
    ------
    job, result
        As they are done.
    """
    if n_workers == 1:
        for job in jobs:
            yield job, function(job)
        return
    from multiprocessing.connection import wait  # noqa: PLC0415 - slow to import

    waiting = iter(jobs)
    again: deque[Job] = deque()
    workers: list[_Worker[Job, Result]] = []
    with ending.at_end(lambda: _end_all(workers)), _stopped(workers):
        workers.extend(_Worker(function) for _ in range(n_workers))
        while True:
            for worker in workers:
                while len(worker.jobs) < AHEAD and again:
                    worker.give(again.popleft())
                for job in itertools.islice(waiting, AHEAD - len(worker.jobs)):
                    worker.give(job)
            busy = {worker.connection: worker for worker in workers if worker.jobs}
            if not busy:
                break
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]  # wait gives back what it got
                result = worker.take()
                yield worker.jobs.popleft(), result
                if isinstance(result, Lost):
                    again.extend(worker.jobs)
                    workers[workers.index(worker)] = _Worker(function)
        for worker in workers:
            worker.connection.close()  # which they take for the end
            worker.ended()


@contextlib.contextmanager
def _stopped(workers: "list[_Worker[Any, Any]]") -> Iterator[None]:
    try:
        yield
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.stop()


def _end_all(workers: "list[_Worker[Any, Any]]") -> None:
    """Let the workers end with this process, each as soon as it can."""
    pids = [worker.process.pid for worker in workers]
    for pid in pids:
        if pid is not None:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGTERM)


class _Worker(Generic[Job, Result]):
    def __init__(self, function: Callable[[Job], Result]) -> None:
        import multiprocessing.resource_tracker  # noqa: PLC0415 - slow to import

        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.jobs: deque[Job] = deque()
        self.process = context.Process(target=_serve, args=(theirs, function), daemon=True)
        with ending.deferred():  # a process that is half started would say so
            if os.name == "posix":
                # Otherwise multiprocessing starts it on the way, and lets all signals through. A
                # SIGHUP for all processes of a terminal would end it, and the next start would
                # complain; it ends with this process.
                with signals.held(signal.SIGHUP):
                    multiprocessing.resource_tracker.ensure_running()
            # Ctrl-C goes to all processes of a terminal; one that still imports would say so.
            with signals.held(signal.SIGINT):
                self.process.start()
        theirs.close()

    def give(self, job: Job) -> None:
        self.jobs.append(job)
        with contextlib.suppress(OSError):  # it has died: the next recv says so
            self.connection.send(job)

    def take(self) -> Result | Lost:
        """Wait for the result of the first job."""
        try:
            result: Result = self.connection.recv()
        except (EOFError, OSError):
            return Lost(self.ended())
        return result

    def ended(self) -> int | None:
        """Wait for the process, and say how it ended."""
        self.process.join(_PATIENCE)
        return self.process.exitcode

    def stop(self) -> None:
        if self.process.is_alive():
            self.process.terminate()
            self.process.join(_PATIENCE)
        if self.process.is_alive():
            self.process.kill()
        self.connection.close()


def _serve(connection: "Connection[Any, Any]", function: Callable[[Any], Any]) -> None:
    """What a worker does until its parent is gone, or wants it to end."""
    signals.leave_to_parent(signal.SIGINT)
    ending.install()
    with contextlib.suppress(EOFError, OSError, signals.Signalled), signals.as_exceptions():
        try:
            while True:
                connection.send(function(connection.recv()))
        except (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError):
            sys.exit(1)  # a job or result that can't be pickled: the parent says it in a line
