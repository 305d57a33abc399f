"""Kept tables: always clean, never shared, never more than are allowed."""

import os
import threading

import numpy as np
import pytest

import kmeans_c
from kmeans_c import tables
from kmeans_c._kernels import histogram as kernel
from kmeans_c.histogram import Histogram


@pytest.fixture(autouse=True)
def none_kept():
    tables.release()
    yield
    tables.release()


def picture(rng, channels=3, spread=64):
    """As many pixels as are counted in a table a thread, with colours that overflow."""
    pixels = rng.integers(0, spread, (500, 900, channels), dtype=np.uint8)
    pixels[:100] //= 32
    if channels == 4:
        pixels[..., 3] = rng.choice(np.array([0, 255, 255, 7], np.uint8), (500, 900))
    return pixels


def assert_clean(n):
    assert len(tables._kept) == n
    assert not any(table.any() for table in tables._kept)


def test_a_table_comes_back():
    table = tables.borrow()
    assert (table.shape, table.dtype) == ((1 << 24,), np.uint8)
    assert tables.borrow() is not table
    tables.give_back(table)
    assert tables.borrow() is table
    assert not table.any()


def test_few_are_kept():
    for _ in range(tables.MAX_KEPT + 2):
        tables.give_back(np.zeros(1, np.uint8))
    assert len(tables._kept) == tables.MAX_KEPT
    tables.release()
    assert not tables._kept


@pytest.mark.parametrize("channels", [3, 4])
def test_counting_leaves_clean_tables(rng, simd, n_threads, channels):
    pixels = picture(rng, channels)
    first = Histogram(channels).add(pixels, n_threads=n_threads)
    assert_clean(n_threads)
    assert Histogram(channels).add(pixels, n_threads=n_threads) == first
    assert_clean(n_threads)


def test_tables_of_very_many_colours_are_dropped(rng, n_threads, monkeypatch):
    pixels = picture(rng)
    kept = Histogram().add(pixels, n_threads=n_threads)
    tables.release()
    monkeypatch.setattr(tables, "WORTH_CLEARING", len(kept) - 1)
    assert Histogram().add(pixels, n_threads=n_threads) == kept
    assert_clean(0)


@pytest.mark.parametrize("step", ["count_rgb", "count_occupied", "extract"])
def test_an_interrupted_call_drops_its_tables(rng, monkeypatch, step):
    pixels = picture(rng)
    expected = Histogram().add(pixels)
    work = getattr(kernel, step)

    def interrupted(*arguments):
        work(*arguments)
        raise KeyboardInterrupt

    tables.release()
    with monkeypatch.context() as patch:
        patch.setattr(kernel, step, interrupted)
        with pytest.raises(KeyboardInterrupt):
            Histogram().add(pixels)
    assert_clean(0)
    assert Histogram().add(pixels) == expected


def test_threads_do_not_share_tables(rng):
    pictures = [picture(rng, spread=spread) for spread in (40, 64, 100, 256)]
    expected = [kmeans_c.quantize(pixels, 20, 2).indices for pixels in pictures]
    wrong = []

    def work(number):
        for _ in range(3):
            found = kmeans_c.quantize(pictures[number], 20, 2, n_threads=1 + number % 2)
            if (found.indices != expected[number]).any():
                wrong.append(number)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
    assert len(tables._kept) <= tables.MAX_KEPT
    assert_clean(len(tables._kept))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_has_tables_of_its_own(rng):
    pixels = picture(rng)
    expected = Histogram().add(pixels, n_threads=2)
    child = os.fork()
    if not child:
        table = tables.borrow()
        same = not table.any() and Histogram().add(pixels, n_threads=2) == expected
        table[:] = 1
        os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert_clean(2)
