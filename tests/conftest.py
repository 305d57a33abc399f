"""Every kernel test runs at each SIMD level of this processor and with 1, 2 and 3 threads."""

import numpy as np
import pytest

from kmeans_c._kernels import machine
from kmeans_c.threads import SIMD_LEVELS, SIMD_VARIABLE


@pytest.fixture(params=SIMD_LEVELS)
def simd(request, monkeypatch):
    """One SIMD level, forced by the environment variable."""
    if SIMD_LEVELS.index(request.param) > machine.cpu_level():
        pytest.skip(f"this processor has no {request.param}")
    monkeypatch.setenv(SIMD_VARIABLE, request.param)
    return request.param


@pytest.fixture(params=[1, 2, 3])
def n_threads(request):
    return request.param


@pytest.fixture
def rng():
    return np.random.default_rng(20261123)
