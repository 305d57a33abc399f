"""Run the command line program: ``python -m kmeans_c``."""

import sys

from kmeans_c.cli import main

if __name__ == "__main__":
    sys.exit(main())
