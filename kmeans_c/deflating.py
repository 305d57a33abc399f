"""Deflate streams of long data, by several threads and the best library there is.

Data are compressed in chunks of a fixed size, so that the bytes are the same for every number of
threads. zlib's chunks know the 32 KiB before them (as pigz does it) and end with an empty block,
which aligns them to bytes. libdeflate [1]_ knows no more than a chunk, which costs less than it
gains: its streams are joined by taking the mark of the last block off all but the last.

References
----------
.. [1] Biggers, E. libdeflate. https://github.com/ebiggers/libdeflate
"""

from __future__ import annotations

import importlib
import struct
import threading
import zlib
from typing import TYPE_CHECKING, Any, TypeVar

from kmeans_c import _kernels
from kmeans_c.threads import team, thread_count

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_In = TypeVar("_In")
_Out = TypeVar("_Out")

# Chunks are about as long as this. Those of libdeflate know nothing of each other: two instead of
# one cost 0.1 to 0.5 % of a photo's bytes, four 0.1 to 1 %.
BYTES_PER_CHUNK = 1 << 21

WINDOW = 1 << 15  # how far back a match may be

_HEADER = b"\x78\xda"  # a window of 32 KiB, the slowest level
_EMPTY_BLOCK = b"\0\0\xff\xff"  # after three bits of 0, and those up to the end of the byte


def libdeflate() -> Any:
    """Return the optional module `deflate`, or None."""
    try:
        module = importlib.import_module("deflate")
    except ImportError:
        return None
    return module if hasattr(module, "deflate_compress") else None


def compress_by_libdeflate(library: Any, data: bytes, level: int, n_threads: int | None) -> bytes:
    """Make a zlib stream.

    Parameters
    ----------
    library : module
        Of `libdeflate`.
    data : bytes
    level : int
        0..12.
    n_threads : int or None
        See `threads.thread_count`; the bytes do not depend on it.
    """
    ends = _ends(data)
    view = memoryview(data)

    def compressed(number: int) -> bytes | None:
        part = view[ends[number] : ends[number + 1]]
        found = bytearray(library.deflate_compress(part, level))
        return bytes(found) if ends[number + 1] == len(data) else _open_ended(found)

    parts = _map(compressed, range(len(ends) - 1), n_threads)
    joined = b"".join(part for part in parts if part is not None)
    if None in parts:  # a stream that is not understood
        joined = bytes(library.deflate_compress(data, level))
    return _zlib_stream(joined, data)


def compress_by_zlib(data: bytes, level: int, strategy: int, n_threads: int | None) -> bytes:
    """Make a zlib stream.

    Parameters
    ----------
    data : bytes
    level, strategy : int
        zlib's.
    n_threads : int or None
        See `threads.thread_count`; the bytes do not depend on it.
    """
    ends = _ends(data)

    def compressed(number: int) -> bytes:
        start, end = ends[number], ends[number + 1]
        known = data[max(0, start - WINDOW) : start]
        coder = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, 9, strategy, known)
        last = zlib.Z_FINISH if end == len(data) else zlib.Z_SYNC_FLUSH
        return coder.compress(memoryview(data)[start:end]) + coder.flush(last)

    return _zlib_stream(b"".join(_map(compressed, range(len(ends) - 1), n_threads)), data)


def _ends(data: bytes) -> list[int]:
    """Where chunks of equal size begin and end."""
    n = max(1, (len(data) + BYTES_PER_CHUNK // 2) // BYTES_PER_CHUNK)
    return [len(data) * number // n for number in range(n + 1)]


def _open_ended(stream: bytearray) -> bytes | None:
    """Make a raw deflate stream one that another may follow; None if it is not understood."""
    header, end = _kernels.blocks.last_block(stream)
    if header < 0 or len(stream) != (end + 7) // 8:
        return None
    stream[header >> 3] &= ~(1 << (header & 7))
    if end & 7:
        stream[-1] &= (1 << (end & 7)) - 1
    stream += bytes((end + 3 + 7) // 8 - len(stream))
    return bytes(stream) + _EMPTY_BLOCK


def _zlib_stream(raw: bytes, data: bytes) -> bytes:
    return b"".join((_HEADER, raw, struct.pack(">I", zlib.adler32(data))))


def _map(call: Callable[[_In], _Out], items: Sequence[_In], n_threads: int | None) -> list[_Out]:
    """Call for each item, by several threads that release the GIL in it."""
    n_threads = team(thread_count(n_threads), len(items), 1) if len(items) > 1 else 1
    if n_threads == 1:
        return [call(item) for item in items]
    results: dict[int, _Out] = {}
    errors: list[BaseException] = []
    waiting = iter(range(len(items)))
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                number = None if errors else next(waiting, None)
            if number is None:
                return
            try:
                results[number] = call(items[number])
            except BaseException as error:  # for the thread that asked
                errors.append(error)
                return

    helpers = [threading.Thread(target=work, daemon=True) for _ in range(n_threads - 1)]
    started = []
    try:
        for helper in helpers:
            helper.start()
            started.append(helper)
    except RuntimeError:  # no more threads: those there are do it
        pass
    try:
        work()
        for helper in started:
            helper.join()
    except BaseException as error:
        errors.append(error)  # which ends the others after their chunk
        raise
    if errors:
        raise errors[0]
    return [results[number] for number in range(len(items))]
