"""The random stream is NumPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmeans_c.pcg64 import PCG64
from kmeans_c.seeding import Draw

SEEDS = [0, 1, 42, 2**32 - 1, 2**32, 2**64, 2**127, 2**128 - 1, 2**128, 2**200 + 7, 10**100]


@pytest.mark.parametrize("seed", SEEDS)
def test_is_numpys(seed):
    ours, theirs = PCG64(seed), np.random.PCG64(seed)
    assert [ours.random_raw() for _ in range(1000)] == theirs.random_raw(1000).tolist()


@given(st.integers(0, 2**300))
def test_is_numpys_for_any_seed(seed):
    ours, theirs = PCG64(seed), np.random.PCG64(seed)
    assert [ours.random_raw() for _ in range(5)] == theirs.random_raw(5).tolist()


def test_a_draw_without_a_seed_is_fresh():
    assert len({Draw(None).word() for _ in range(20)}) == 20


def test_a_draw_of_a_numpy_integer_or_generator():
    assert Draw(np.uint8(7)).word() == np.random.PCG64(7).random_raw()
    assert (
        Draw(np.random.default_rng(3)).word()
        == np.random.PCG64(
            int.from_bytes(np.random.default_rng(3).bytes(16), "little")
        ).random_raw()
    )
