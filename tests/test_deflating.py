"""Deflate streams in chunks: they decompress to the data, for any library and number of threads."""

import threading
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmeans_c import deflating
from kmeans_c._kernels import blocks

LIBRARY = deflating.libdeflate()
needs_libdeflate = pytest.mark.skipif(
    LIBRARY is None, reason="needs deflate, of the extra kmeans-c[optimize]"
)

GROUPS = st.lists(
    st.tuples(st.binary(min_size=1, max_size=30), st.integers(1, 3000)), min_size=1, max_size=12
)


def kinds_of_data(size):
    rng = np.random.default_rng(0)
    geometric = np.minimum(rng.geometric(0.1, size), 255).astype(np.uint8)
    return {
        "zeros": bytes(size),
        "noise": rng.integers(0, 256, size, np.uint8).tobytes(),
        "few": rng.integers(0, 4, size, np.uint8).tobytes(),
        "geometric": geometric.tobytes(),
        "repeated": (geometric[:700].tobytes() * (size // 700 + 1))[:size],
        "mixed": bytes(size // 2) + geometric[: size - size // 2].tobytes(),
    }


def streams(data):
    """Raw deflate streams of every level and kind of block."""
    for level in range(10):
        for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE):
            coder = zlib.compressobj(level, zlib.DEFLATED, -15, 9, strategy)
            yield coder.compress(data) + coder.flush()
    if LIBRARY is not None:
        for level in range(13):
            yield bytes(LIBRARY.deflate_compress(data, level))


@pytest.mark.parametrize("size", [1, 2, 3, 100, 66_000])
def test_the_last_block_is_found(size):
    for data in kinds_of_data(size).values():
        for stream in streams(data):
            header, end = blocks.last_block(stream)
            assert (end + 7) // 8 == len(stream)
            bits = int.from_bytes(stream, "little")
            assert bits >> header & 1
            # Without the mark, zlib waits for one more block.
            opened = (bits ^ 1 << header).to_bytes(len(stream), "little")
            inflater = zlib.decompressobj(-15)
            assert inflater.decompress(opened) == data
            assert not inflater.eof


@given(st.binary(max_size=200))
def test_any_bytes_are_no_reason_to_read_beyond_them(data):
    header, end = blocks.last_block(data)
    try:
        inflater = zlib.decompressobj(-15)
        inflater.decompress(data)
        inflater.flush()
        whole = inflater.eof
    except zlib.error:
        whole = False
    if whole:
        assert (end + 7) // 8 == len(data) - len(inflater.unused_data)
    else:
        assert end <= 8 * len(data)
    assert header <= max(end, 0)


def test_a_cut_stream_has_no_last_block():
    for data in kinds_of_data(5000).values():
        for stream in streams(data):
            for length in {0, 1, 5, len(stream) // 2, len(stream) - 1}:
                assert blocks.last_block(stream[:length]) == (-1, -1)


def both(data, n_threads=1):
    if LIBRARY is not None:
        yield deflating.compress_by_libdeflate(LIBRARY, data, 6, n_threads)
    yield deflating.compress_by_zlib(data, 6, zlib.Z_DEFAULT_STRATEGY, n_threads)


@pytest.mark.parametrize("chunk", [1, 7, 1000, 40_000, 100_000])
def test_the_data_come_back(monkeypatch, chunk):
    monkeypatch.setattr(deflating, "BYTES_PER_CHUNK", chunk)
    for data in kinds_of_data(3000 if chunk < 1000 else 100_001).values():
        expected = list(both(data))
        for stream in expected:
            assert zlib.decompress(stream) == data
        for n_threads in (2, 5):
            assert list(both(data, n_threads)) == expected


@settings(deadline=None, max_examples=50)
@given(GROUPS)
def test_any_data_come_back(groups):
    data = b"".join(part * repeats for part, repeats in groups)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deflating, "BYTES_PER_CHUNK", 4096)
        for stream in both(data, 2):
            assert zlib.decompress(stream) == data


def test_chunks_of_zlib_know_what_came_before(monkeypatch):
    data = np.random.default_rng(0).integers(0, 256, 20_000, np.uint8).tobytes() * 2
    monkeypatch.setattr(deflating, "BYTES_PER_CHUNK", 20_000)
    assert len(deflating.compress_by_zlib(data, 9, 0, 1)) < 21_000


@needs_libdeflate
def test_a_stream_that_is_not_understood_is_made_again_as_a_whole(monkeypatch):
    data = kinds_of_data(9000)["geometric"]
    monkeypatch.setattr(deflating, "BYTES_PER_CHUNK", 1000)
    monkeypatch.setattr(deflating, "_open_ended", lambda _: None)
    assert zlib.decompress(deflating.compress_by_libdeflate(LIBRARY, data, 6, 2)) == data


@pytest.mark.parametrize("n_threads", [1, 3])
def test_errors_of_a_chunk_are_raised(n_threads):
    def fail(number):
        if number == 5:
            raise MemoryError
        return number

    with pytest.raises(MemoryError):
        deflating._map(fail, range(9), n_threads)
    assert deflating._map(lambda number: number, range(9), n_threads) == list(range(9))


def test_without_more_threads_the_calling_one_does_it(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert deflating._map(lambda number: 2 * number, range(5), 4) == [0, 2, 4, 6, 8]
