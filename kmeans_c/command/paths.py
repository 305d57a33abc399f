"""Where names lead."""

import contextlib
import os


def place(path: str) -> str:
    """Where a name leads: equal for two names of one file that does not exist yet."""
    folder, name = os.path.split(path)
    with contextlib.suppress(OSError):  # the current folder may be gone
        folder = os.path.realpath(folder)
    return os.path.join(folder, os.path.normcase(name))  # noqa: PTH118
