"""Opening and replacing files so that nothing blocks, is lost or is left half written."""

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from typing import BinaryIO, TypeAlias

FilePath: TypeAlias = str | os.PathLike[str]

CHUNK = 1 << 20  # bytes read back at a time, so that checking a file costs no memory

_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_SAFE_READ = os.O_RDONLY | _BINARY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a symbolic link",
}


def safe_open(path: FilePath) -> BinaryIO:
    """Open a regular file for reading; never wait for one and never touch a device.

    Parameters
    ----------
    path : str or path-like
        A regular file, or a symbolic link to one.

    Returns
    -------
    binary file object
        The caller closes it. The name is not used again: a file that is replaced meanwhile is
        still read as it was.

    Raises
    ------
    OSError
        FileNotFoundError, PermissionError and the like from the system; IsADirectoryError for a
        folder; OSError for a FIFO, a socket or a device.
    """
    file = os.fspath(path)
    # Looked at before it is opened, because opening a FIFO or a device already does something to
    # it; and afterwards, because another process may have put another thing there in between.
    _require_regular(os.stat(file), file)  # noqa: PTH116
    descriptor = os.open(file, _SAFE_READ)
    try:
        _require_regular(os.fstat(descriptor), file)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def check_target(path: FilePath, *, overwrite: bool = False) -> os.stat_result | None:
    """Say whether `atomic_write` may put a file at `path`, before any work is done for it.

    Parameters
    ----------
    path : str or path-like
        Where the file shall be.
    overwrite : bool
        Whether a regular file may be there already.

    Returns
    -------
    os.stat_result or None
        What is there now: a regular file, or nothing.

    Raises
    ------
    OSError
        IsADirectoryError if a folder is there; FileExistsError if anything else is and `overwrite`
        is false; OSError if it is a symbolic link, a FIFO, a socket or a device, which are never
        replaced; FileNotFoundError if the folder is missing.
    """
    file = os.fspath(path)
    try:
        found = os.lstat(file)
    except FileNotFoundError:
        os.stat(_folder(file))  # noqa: PTH116 - which says it if there is no folder to write to
        return None
    if not overwrite and not stat.S_ISDIR(found.st_mode):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), file)
    _require_regular(found, file)
    return found


# What `atomic_write` is at: whatever ends the process without unwinding it removes these.
temporaries: set[str] = set()


def atomic_write(
    path: FilePath,
    data: bytes | memoryview,
    *,
    overwrite: bool = False,
    verify: Callable[[bytes], bool] | None = None,
) -> None:
    """Put `data` into the file `path` as a whole or not at all.

    The bytes go into a new file in the same folder, are synced to the disk, read back and compared,
    and only then get their name in one step. Whatever happens on the way (an exception, Ctrl-C, a
    full disk, a power cut), the name leads to the old file or to the new one, never to a part. Only
    a killed process can leave the new file behind, as ``.kmeans-c-*.tmp``.

    Parameters
    ----------
    path : str or path-like
        The file. Its folder must exist.
    data : bytes or memoryview
        All of its contents.
    overwrite : bool
        Whether an existing file is replaced. It keeps its permissions and, where the system allows,
        its owner; other hard links to it keep the old contents. A symbolic link is never followed.
    verify : callable, optional
        Says whether the bytes, as they were read back, are good; if not, nothing is replaced.

    Raises
    ------
    OSError
        As `check_target` does; the system's own errors, with `path` as their filename; and if what
        was read back is not what was written, or `verify` refused it.
    """
    file = os.fspath(path)
    contents = memoryview(data).cast("B")
    old = check_target(file, overwrite=overwrite)
    temporary = os.path.join(_folder(file), f".kmeans-c-{os.urandom(8).hex()}.tmp")  # noqa: PTH118
    temporaries.add(temporary)
    try:
        # Until it has its final permissions, what may replace a private file is private. A new file
        # has nothing to hide: the umask (and the folder's default ACL) shall decide as usual.
        descriptor = os.open(temporary, _NEW_FILE, 0o666 if old is None else 0o600)
        try:
            _write_all(descriptor, contents)
            if old is not None:
                _take_over(descriptor, old)
            os.fsync(descriptor)
            if verify is None:
                _compare(descriptor, contents)
            else:
                _verify(descriptor, contents, verify)
        finally:
            os.close(descriptor)
        _publish(temporary, file, overwrite=overwrite)
    except BaseException as error:
        # The random name is nobody else's, so it may go even if the interrupt came while the file
        # was being created and it is not known whether it was.
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, error.strerror, file) from error
        raise
    finally:
        temporaries.discard(temporary)
    _sync_folder(_folder(file))


def _folder(file: str) -> str:
    return os.path.dirname(file) or os.curdir  # noqa: PTH120


def _require_regular(found: os.stat_result, file: str) -> None:
    if stat.S_ISREG(found.st_mode):
        return
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), file)
    kind = _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
    raise OSError(errno.EINVAL, f"Not a regular file but {kind}", file)


def _write_all(descriptor: int, contents: memoryview) -> None:
    while contents:
        contents = contents[os.write(descriptor, contents) :]


def _take_over(descriptor: int, old: os.stat_result) -> None:
    """Give the new file the owner and the permissions of the one it replaces."""
    if hasattr(os, "fchown"):
        new = os.fstat(descriptor)
        if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
            # Only root may give files away; everybody else's new file is simply their own.
            with contextlib.suppress(OSError):
                os.fchown(descriptor, old.st_uid, old.st_gid)
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, stat.S_IMODE(old.st_mode) & 0o777)


def _compare(descriptor: int, contents: memoryview) -> None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    # To the end and one chunk further if need be: nothing may follow the contents either.
    for start in range(0, len(contents) + 1, CHUNK):
        if _read(descriptor, CHUNK) != contents[start : start + CHUNK]:
            raise OSError(errno.EIO, "The disk did not give back what was written")


def _verify(descriptor: int, contents: memoryview, verify: Callable[[bytes], bool]) -> None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    found = _read(descriptor, len(contents) + 1)
    if found != contents:
        raise OSError(errno.EIO, "The disk did not give back what was written")
    if not verify(found):
        raise OSError(errno.EIO, "The file would not show what it should")


def _read(descriptor: int, size: int) -> bytes:
    """Read `size` bytes, fewer only at the end: one call may return any part of them."""
    parts = []
    while size and (part := os.read(descriptor, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _publish(temporary: str, file: str, *, overwrite: bool) -> None:
    if overwrite:
        os.replace(temporary, file)  # noqa: PTH105
    elif os.name == "nt":
        os.rename(temporary, file)  # noqa: PTH104 - which on Windows refuses a name that exists
    else:
        try:
            os.link(temporary, file)
        except FileExistsError:
            raise
        except OSError:
            # Without hard links (FAT, some network shares) no single step both publishes and
            # refuses to replace; there, two processes can still meet between these two lines.
            check_target(file)
            os.replace(temporary, file)  # noqa: PTH105
        else:
            os.unlink(temporary)  # noqa: PTH108


def _sync_folder(folder: str) -> None:
    # The file is whole and synced; where its name is not yet, the name is the old one or the new
    # one. Not every system can sync a folder, and a failure to is not a failure to write.
    if hasattr(os, "O_DIRECTORY"):
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _BINARY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
