"""Each stage and the whole, for pytest-benchmark, which keeps results and compares them.

    pytest benchmarks/suite.py                                      # of the example, enlarged
    pytest benchmarks/suite.py --benchmark-autosave
    pytest benchmarks/suite.py --benchmark-compare                  # with what was saved last

KMEANS_C_IMAGE names another picture. Threads: OMP_NUM_THREADS. Set GOMP_SPINCOUNT=1000.
"""

import os

import numpy as np
import pytest
from timing import picture

import kmeans_c
from kmeans_c import encoding
from kmeans_c.clustering import Clusters, fit
from kmeans_c.dithering import DITHERS, dither
from kmeans_c.mapping import map_counted
from kmeans_c.method import as_method
from kmeans_c.threads import thread_count

KS = [16, 256]
THREADS = thread_count()


@pytest.fixture(scope="module")
def pixels():
    return picture(os.environ.get("KMEANS_C_IMAGE"), 3840, 2560)


@pytest.fixture(scope="module")
def histogram(pixels):
    return kmeans_c.Histogram().add(pixels)


def method(K, effort="balanced"):
    return as_method(K, init="search", effort=effort, space="srgb", keep=None, seed=0)


def test_count(benchmark, pixels):
    benchmark(lambda: kmeans_c.Histogram().add(pixels))


def test_tree(benchmark, histogram):
    benchmark(lambda: Clusters(histogram, THREADS))


@pytest.mark.parametrize("effort", ["fast", "balanced", "best"])
@pytest.mark.parametrize("K", KS)
def test_search(benchmark, histogram, K, effort):
    clusters, none = Clusters(histogram, THREADS), np.empty((0, 3), np.int32)
    benchmark(lambda: clusters.start(K, method(K, effort), none))


@pytest.mark.parametrize("K", KS)
def test_fit(benchmark, histogram, K):
    benchmark(lambda: fit(histogram, K, 10, method(K), n_threads=THREADS))


@pytest.mark.parametrize("K", KS)
def test_map(benchmark, pixels, histogram, K):
    found = fit(histogram, K, 10, method(K), n_threads=THREADS)
    benchmark(
        lambda: map_counted(pixels, histogram, found.palette, found.owners, n_threads=THREADS)
    )


@pytest.mark.parametrize("way", DITHERS[1:])
@pytest.mark.parametrize("K", KS)
def test_dither(benchmark, pixels, K, way):
    found = kmeans_c.quantize(pixels, K)
    benchmark(lambda: dither(pixels, found.palette, way, nearest=found.indices))


@pytest.mark.parametrize("kind", ["png", "webp", "gif"])
@pytest.mark.parametrize("K", KS)
def test_encode(benchmark, K, kind):
    found = kmeans_c.quantize(picture(None, 768, 512), K)
    benchmark(lambda: encoding.encode(found.palette, found.indices, kind))


@pytest.mark.parametrize("effort", ["fast", "balanced", "best"])
@pytest.mark.parametrize("K", KS)
def test_quantize(benchmark, pixels, K, effort):
    benchmark(lambda: kmeans_c.quantize(pixels, K, effort=effort))
