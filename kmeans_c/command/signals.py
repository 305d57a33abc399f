"""Signals that end a process, as an exception: everything is tidied up on the way out."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any


class Signalled(BaseException):
    """A signal that asks the process to end.

    Attributes
    ----------
    number : int
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextlib.contextmanager
def as_exceptions() -> Iterator[None]:
    """Raise `Signalled` for SIGTERM and SIGHUP, and put their handlers back in the end."""

    def handle(number: int, _frame: FrameType | None) -> None:
        raise Signalled(number)

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
def held(*numbers: int) -> Iterator[None]:
    """Let signals wait, where the system can: a process started meanwhile begins that way."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_to_parent(number: int) -> None:
    """Ignore a signal from now on, and forget one that waits."""
    signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
