"""Run the command line program: ``python -m kmeans_c``, and what ``kmeans-c`` starts."""

import os

try:  # nothing is written yet: Ctrl-C ends the process at once
    import gc
    import sys

    from kmeans_c.command import ending
except KeyboardInterrupt:
    os._exit(130)


def main() -> int:
    """Run the program as the process that it is: a signal ends it at once, from here on."""
    try:
        ending.install()
    except KeyboardInterrupt:
        os._exit(130)
    # NumPy's OpenBLAS starts its threads as it is loaded, and nothing here multiplies matrices: of
    # importing NumPy that was 8 of 86 ms, and 63 of 141 ms of processor time, on two processors.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Imports make nothing but what stays: collections among it were 20 of 200 ms of the example.
    gc.disable()
    from kmeans_c.cli import main as run  # noqa: PLC0415 - takes most of the time before the work

    gc.freeze()
    gc.enable()
    return run()


if __name__ == "__main__":
    sys.exit(main())
