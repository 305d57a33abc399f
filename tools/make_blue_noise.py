"""Make kmeans_c/blue_noise.bin by void-and-cluster: python tools/make_blue_noise.py [FILE].

The file holds a 64x64 torus of ranks, every number from 0 to 4095 once, as little-endian uint16:
the first n ranks mark n places that are spread as evenly as possible, for every n.

Everything is whole numbers, and ties go to the lowest index: the bytes are the same on every
machine. R. A. Ulichney (1993). The void-and-cluster method for dither array generation. Proc. SPIE
1913, 332-343.
"""

import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SIZE = 64
PLACES = SIZE * SIZE
STARTS = PLACES // 10  # Ulichney's: less than half, so that minority pixels are what is spread
TWICE_VARIANCE = Decimal("4.5")  # sigma 1.5, the value that Ulichney recommends
UNIT = 1 << 40


def influence() -> NDArray[np.int64]:
    """What a pixel at (0, 0) adds to the density at every place of the torus: a Gaussian."""
    apart = [min(i, SIZE - i) ** 2 for i in range(SIZE)]
    return np.array(
        [[round(UNIT * (-Decimal(y + x) / TWICE_VARIANCE).exp()) for x in apart] for y in apart]
    )


def scattered() -> NDArray[np.bool_]:
    """Places of a linear congruential generator (Knuth's MMIX constants), all distinct."""
    state, marked = 1, np.zeros(PLACES, bool)
    while marked.sum() < STARTS:
        state = (6364136223846793005 * state + 1442695040888963407) % (1 << 64)
        marked[state >> 52] = True
    return marked


class Pattern:
    """Marked places of the torus, and how dense they are at each place."""

    def __init__(self, marked: NDArray[np.bool_], gaussian: NDArray[np.int64]) -> None:
        self.marked = np.zeros(PLACES, bool)
        self.density = np.zeros(PLACES, np.int64)
        self.gaussian = gaussian
        for place in np.flatnonzero(marked):
            self.toggle(int(place))

    def toggle(self, place: int) -> None:
        """Mark a place, or clear its mark."""
        sign = -1 if self.marked[place] else 1
        moved = np.roll(self.gaussian, divmod(place, SIZE), axis=(0, 1))
        self.density += sign * moved.ravel()
        self.marked[place] = not self.marked[place]

    def tightest_cluster(self) -> int:
        """The marked place in the densest surroundings."""
        return int(np.where(self.marked, self.density, -1).argmax())

    def largest_void(self) -> int:
        """The unmarked place in the sparsest surroundings."""
        return int(np.where(self.marked, np.iinfo(np.int64).max, self.density).argmin())


def void_and_cluster() -> NDArray[np.uint16]:
    """Return the ranks (SIZE, SIZE)."""
    gaussian = influence()
    pattern = Pattern(scattered(), gaussian)
    while True:  # move the tightest cluster to the largest void, until it goes back where it was
        cluster = pattern.tightest_cluster()
        pattern.toggle(cluster)
        void = pattern.largest_void()
        pattern.toggle(void)
        if void == cluster:
            break
    ranks = np.zeros(PLACES, np.uint16)
    fewer = Pattern(pattern.marked, gaussian)
    for rank in reversed(range(STARTS)):
        cluster = fewer.tightest_cluster()
        fewer.toggle(cluster)
        ranks[cluster] = rank
    # On a torus the tightest cluster of what is not marked is the largest void of what is: the
    # densities of both add up to the same everywhere. Ulichney's second and third phase are one.
    for rank in range(STARTS, PLACES):
        void = pattern.largest_void()
        pattern.toggle(void)
        ranks[void] = rank
    return ranks.reshape(SIZE, SIZE)


if __name__ == "__main__":
    default = Path(__file__).parents[1] / "kmeans_c" / "blue_noise.bin"
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    target.write_bytes(void_and_cluster().astype("<u2").tobytes())
