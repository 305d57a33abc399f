"""Two computations at a time: one on this thread, one on another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def beside(other: Callable[[], A], own: Callable[[], B], *, parallel: bool = True) -> tuple[A, B]:
    """Call both, the first on a thread of its own, and return both results.

    Parameters
    ----------
    other, own : callable
        Neither may depend on the other.
    parallel : bool
        False: one after the other on this thread.

    Raises
    ------
    BaseException
        What a call raised. An interrupt does not wait for the other thread, which is left to end on
        its own.
    """
    if not parallel:
        return other(), own()
    results: list[A] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(other())
        except BaseException as error:  # raised again below
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    try:
        thread.start()
    except RuntimeError:  # no more threads
        return other(), own()
    mine = own()
    thread.join()
    if errors:
        raise errors[0]
    return results[0], mine
