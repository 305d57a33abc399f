"""End the process at once when a signal asks for it, and leave no half-written file.

An exception would do the same in other programs. Here it can arrive where it is lost or replaced:
within an import of a compiled module (which becomes an ImportError), within `except Exception` of a
library, or after a single call that takes long. So a handler ends the process: it runs what was
registered by `at_end`, removes the temporary files of `files.atomic_write`, and exits. A thread
does that, woken by the signal itself, so that a long call in the main thread that has given up the
interpreter's lock does not delay it.

Only the command's own process does this (`install`). `cli.main` called by a program leaves the
program's handlers alone and ends by exceptions, see `signals`.

This is what the command imports first, and until `install` is done Ctrl-C ends it in other ways: so
it imports nothing that Python has not loaded at its start. `signal` and `contextlib` took 4 ms; all
that is imported before `install` takes 1 ms without them.
"""

import _thread
import os
import sys

TYPE_CHECKING = False  # as in `typing`
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
    from types import FrameType, TracebackType
else:
    import _signal

# How long the thread waits for the main thread to stop at the handler, in seconds: what it is at
# may be the creation of a file, which would not be removed.
PATIENCE = 0.02
PATIENCE_DEFERRED = 0.15

_callbacks: "list[Callable[[], None]]" = []
_parked = _thread.allocate_lock()  # released by the main thread, when it has stopped
_ending = _thread.allocate_lock()
_deferred: list[int] = []  # 0 within `deferred`, and then the signals that came


def install() -> None:
    """Let Ctrl-C, SIGTERM and SIGHUP end this process with code 128 plus the signal's number.

    Signals that are ignored, as nohup ignores SIGHUP, stay so.
    """
    defaults = (_signal.SIG_DFL, _signal.default_int_handler)
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(_signal, name) for name in names if hasattr(_signal, name)]
    numbers = [number for number in numbers if _signal.getsignal(number) in defaults]
    if not numbers:
        return
    handle = _end_itself
    if os.name == "posix":  # elsewhere the descriptor must be a socket
        try:
            readable, writable = os.pipe()
            os.set_blocking(writable, False)
            _parked.acquire()
            _thread.start_new_thread(_watch, (readable,))
            _signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
            handle = _park
        except (RuntimeError, OSError):  # no thread or no pipe to be had
            pass
    for number in numbers:
        _signal.signal(number, handle)


class at_end:  # noqa: N801 - used as a function
    """Run a function, too, if a signal ends the process within the block.

    It must not wait, and take no lock that the main thread may hold.
    """

    def __init__(self, callback: "Callable[[], None]") -> None:
        self.callback = callback

    def __enter__(self) -> None:
        _callbacks.append(self.callback)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: "TracebackType | None",
    ) -> None:
        _callbacks.remove(self.callback)


class deferred:  # noqa: N801 - used as a function
    """Let the main thread finish a block, of milliseconds, before a signal ends the process."""

    def __enter__(self) -> None:
        _deferred.append(0)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: "TracebackType | None",
    ) -> None:
        came = _deferred[1:]
        _deferred.clear()
        if came:
            _signal.raise_signal(came[0])


def _watch(readable: int) -> None:
    number = os.read(readable, 1)[0]
    _parked.acquire(timeout=PATIENCE_DEFERRED if _deferred else PATIENCE)
    _end(number)


def _park(number: int, _frame: "FrameType | None") -> None:
    """Stop the main thread; the other one ends the process."""
    if _deferred:
        _deferred.append(number)
        return
    if _parked.locked():
        _parked.release()
    _ending.acquire(timeout=1)
    _end(number)


def _end_itself(number: int, _frame: "FrameType | None") -> None:
    if _deferred:
        _deferred.append(number)
    else:
        _end(number)


def _end(number: int) -> None:
    if not _ending.locked():
        _ending.acquire()
    for callback in reversed(list(_callbacks)):
        try:  # noqa: SIM105 - contextlib may not be loaded yet
            callback()
        except Exception:  # noqa: S110
            pass
    files = sys.modules.get("kmeans_c.files")
    for name in list(getattr(files, "temporaries", ())):
        try:  # noqa: SIM105
            os.unlink(name)  # noqa: PTH108
        except OSError:
            pass
    os._exit(128 + number)
