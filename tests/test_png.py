"""Indexed PNG: every form shows the image, by a decoder of plain Python."""

import itertools
import struct
import subprocess
import sys
import types
import zlib

import hostile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmeans_c import png, quantize

FORMS = [
    png.Form(order, packed, filtered)
    for order in ("given", "frequency", "chain", "zeng")
    for packed in (True, False)
    for filtered in (True, False)
]


@pytest.fixture
def zlib_only(monkeypatch):
    """As if neither oxipng nor libdeflate was installed."""
    monkeypatch.setattr(png, "_oxipng", lambda: None)
    monkeypatch.setattr(png, "libdeflate", lambda: None)


def decode(data):
    """Palette and indices of an indexed PNG: the standard's text in Python ints."""
    chunks = hostile.png_chunks(data)
    header = dict(chunks)[b"IHDR"]
    width, height, bits, *rest = struct.unpack(">IIBBBBB", header)
    assert rest == [3, 0, 0, 0]
    stream = zlib.decompress(b"".join(body for name, body in chunks if name == b"IDAT"))
    each = 8 // bits
    stride = -(-width // each)
    assert len(stream) == height * (1 + stride)
    before = [0] * stride
    indices = []
    for y in range(height):
        kind, *row = stream[y * (1 + stride) : (y + 1) * (1 + stride)]
        for x in range(stride):
            a, b, c = (row[x - 1] if x else 0), before[x], (before[x - 1] if x else 0)
            p = a + b - c
            paeth = min((abs(p - v), k, v) for k, v in enumerate((a, b, c)))[2]
            row[x] = (row[x] + [0, a, b, (a + b) // 2, paeth][kind]) % 256
        before = row
        values = [byte >> 8 - bits * (k + 1) & (1 << bits) - 1 for byte in row for k in range(each)]
        indices.append(values[:width])
    colors = [tuple(rgb) for rgb in np.frombuffer(dict(chunks)[b"PLTE"], np.uint8).reshape(-1, 3)]
    alpha = dict(chunks).get(b"tRNS", b"")
    palette = [
        (*map(int, rgb), alpha[k] if k < len(alpha) else 255) for k, rgb in enumerate(colors)
    ]
    return palette, indices, bits


def image(n, seed=0, shape=(13, 17), channels=3):
    rng = np.random.default_rng(seed)
    palette = np.unique(rng.integers(0, 256, (4 * n, channels), dtype=np.uint8), axis=0)
    palette = rng.permutation(palette)[:n]
    indices = np.sort(rng.integers(0, len(palette), shape, dtype=np.uint8), axis=1)
    return palette, indices


def assert_shows(data, palette, indices):
    got, rows, bits = decode(data)
    opaque = np.full((len(palette), 1), 255, np.uint8)
    expected = (palette if palette.shape[1] == 4 else np.c_[palette, opaque])[indices]
    assert np.array_equal(np.array(got)[np.array(rows)], expected)
    n = len(np.unique(indices))
    assert len(got) == n
    assert set(map(tuple, got)) == set(map(tuple, expected.reshape(-1, 4).tolist()))
    return bits


class TestForms:
    @pytest.mark.usefixtures("zlib_only")
    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 16, 17, 256])
    def test_shows_the_image(self, monkeypatch, form, n):
        palette, indices = image(n, shape=(23, 29))
        monkeypatch.setattr(png, "_forms", lambda *_, **__: (form,))
        bits = assert_shows(png.encode_png(palette, indices, 1), palette, indices)
        fewest = next(b for b in (1, 2, 4, 8) if 1 << b >= len(np.unique(indices)))
        assert bits == (fewest if form.packed else 8)

    @settings(max_examples=60, deadline=None)
    @given(
        n=st.integers(1, 256),
        seed=st.integers(0, 1 << 30),
        shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
        channels=st.sampled_from([3, 4]),
        optimize=st.integers(0, 5),
    )
    def test_shows_any_image(self, n, seed, shape, channels, optimize):
        palette, indices = image(n, seed, shape, channels)
        assert_shows(png.encode_png(palette, indices, optimize), palette, indices)

    @pytest.mark.parametrize("optimize", range(7))
    def test_no_other_chunks(self, optimize):
        palette, indices = image(9)
        chunks = hostile.png_chunks(png.encode_png(palette, indices, optimize))
        assert [name for name, _ in chunks] == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]

    @pytest.mark.parametrize("optimize", [0, 2, 4])
    def test_transparent_entries_come_first_and_opaque_ones_are_left_out(self, optimize):
        palette = np.array([[0, 0, 0, 0], [9, 9, 9, 255], [8, 8, 8, 7], [7, 7, 7, 255]], np.uint8)
        data = png.encode_png(palette, np.array([[1, 1, 2, 3, 0]], np.uint8), optimize)
        assert sorted(dict(hostile.png_chunks(data))[b"tRNS"]) == [0, 7]

    def test_opaque_rgba_needs_no_trns(self):
        palette = np.array([[1, 2, 3, 255], [4, 5, 6, 255]], np.uint8)
        data = png.encode_png(palette, np.array([[0, 1]], np.uint8))
        assert b"tRNS" not in dict(hostile.png_chunks(data))

    @pytest.mark.usefixtures("zlib_only")
    def test_trying_more_is_never_larger(self):
        found = quantize(hostile.photo(90, 120), 16, n_threads=1)
        sizes = [len(png.encode_png(found.palette, found.indices, level)) for level in (0, 3, 4, 5)]
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[-1] < sizes[0]

    @pytest.mark.usefixtures("zlib_only")
    def test_smooth_images_are_filtered_and_repeating_ones_are_not(self):
        y, x = np.mgrid[:200, :200]
        palette = np.stack([np.arange(256), np.arange(256), np.arange(256)], axis=1).astype(
            np.uint8
        )
        smooth = ((y + x) // 2 + 3 * np.sin(x / 9)).astype(np.uint8)
        tile = np.tile(
            np.random.default_rng(0).integers(0, 256, (20, 20), dtype=np.uint8), (10, 10)
        )
        for indices, filtered in ((smooth, True), (tile, False)):
            data = dict(hostile.png_chunks(png.encode_png(palette, indices, 2)))[b"IDAT"]
            rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(200, 201)
            assert rows[:, 0].any() == filtered

    def test_bands_do_not_show(self, monkeypatch):
        _, indices = image(200, shape=(50, 31))
        whole = png._filtered(indices)
        unused = image(256, shape=(50, 31))[0]
        kept = png.used(unused, indices)
        for size in (1, 31, 100, 1000):
            monkeypatch.setattr(png, "BAND", size)
            for a, b in zip(png._filtered(indices), whole, strict=True):
                assert np.array_equal(a, b)
            for a, b in zip(png.used(unused, indices), kept, strict=True):
                assert np.array_equal(a, b)

    def test_arguments_are_only_read(self):
        palette, indices = image(20)
        palette.flags.writeable = indices.flags.writeable = False
        png.encode_png(palette, indices, 4)


class TestOrders:
    @pytest.mark.parametrize("n", [1, 2, 3, 17, 256])
    def test_permutations(self, n):
        _, indices = image(n, shape=(40, 50))
        meetings = png._meetings(indices, n)
        assert sorted(png._chain(meetings)) == sorted(png._zeng(meetings)) == list(range(n))

    def test_meetings(self):
        indices = np.array([[0, 1, 1], [2, 1, 0]], np.uint8)
        expected = np.zeros((3, 3), int)
        height, width = indices.shape
        for y, x in np.ndindex(height, width):
            for v, u in ((y, x + 1), (y + 1, x), (y, x - 1), (y - 1, x)):
                if 0 <= v < height and 0 <= u < width and indices[y, x] != indices[v, u]:
                    expected[indices[y, x], indices[v, u]] += 1
        assert np.array_equal(png._meetings(indices, 3), expected)

    @pytest.mark.parametrize("order", [png._chain, png._zeng])
    def test_a_ramp_is_found_again(self, order):
        ramp = np.repeat(np.arange(40, dtype=np.uint8)[np.newaxis], 5, axis=0)
        shuffled = np.random.default_rng(4).permutation(40).astype(np.uint8)
        found = np.argsort(shuffled)[order(png._meetings(shuffled[ramp], 40))].tolist()
        assert found in (list(range(40)), list(range(39, -1, -1)))

    def test_heaviest_edges_first(self):
        meetings = np.zeros((5, 5), np.int64)
        for a, b, weight in ((0, 3, 9), (3, 1, 8), (0, 1, 7), (1, 2, 6), (3, 4, 5)):
            meetings[a, b] = meetings[b, a] = weight
        path = png._chain(meetings)
        # 0-3, 3-1 and 1-2 are joined; 0-1 would close a ring, and 3 has two neighbours.
        joined = {frozenset(pair) for pair in itertools.pairwise(path)}
        assert {frozenset(p) for p in ((0, 3), (3, 1), (1, 2))} <= joined

    def test_chained_is_the_same_image(self):
        palette, indices = image(30)
        ordered, ranks = png.chained(palette, indices)
        assert np.array_equal(ordered[ranks], palette[indices])

    def test_used(self):
        palette, indices = image(9)
        indices[indices == 4] = 5
        kept, ranks = png.used(palette, indices)
        assert np.array_equal(kept, np.delete(palette, np.setdiff1d(np.arange(9), indices), axis=0))
        assert np.array_equal(kept[ranks], palette[indices])


class TestSample:
    @pytest.mark.parametrize("shape", [(1, 1), (3000, 7), (7, 3000), (900, 900), (1, 1 << 20)])
    def test_small_and_spread(self, shape):
        indices = np.zeros(shape, np.uint8)
        indices[-1] = 1
        sample = png._sample(indices)
        assert sample.size <= max(png.SAMPLE, png.BANDS * shape[1])
        assert (sample == 1).any()
        assert sample.shape == shape or len(sample) == len(sample) // png.BANDS * png.BANDS


class Stub(types.ModuleType):
    """An oxipng that writes down how it was called."""

    def __init__(self, *, pybind):
        super().__init__("oxipng")
        self.calls = []
        self.Deflaters = types.SimpleNamespace(
            libdeflater=lambda level: ("libdeflater", level), zopfli=lambda n: ("zopfli", n)
        )
        names = ("NoOp", "Up", "MinSum", "Entropy", "Bigrams")
        if pybind:
            self.FilterStrategy = object()
        else:
            self.RowFilter = types.SimpleNamespace(**{name: ("filter", name) for name in names})

    def optimize_from_memory(self, data, **options):
        self.calls.append(options)
        return data


class TestOxipng:
    @pytest.mark.parametrize("pybind", [True, False])
    def test_both_distributions(self, monkeypatch, pybind):
        stub = Stub(pybind=pybind)
        monkeypatch.setattr(png, "_optimizing", [])
        monkeypatch.setattr(png, "libdeflate", lambda: None)
        monkeypatch.setitem(sys.modules, "oxipng", stub)
        palette, indices = image(16)
        for optimize in (0, 1):
            png.encode_png(palette, indices, optimize)
        assert not stub.calls
        assert_shows(png.encode_png(palette, indices, 6), palette, indices)
        assert {call["deflate"][0] for call in stub.calls[:-1]} == {"libdeflater"}
        assert stub.calls[-1]["deflate"] == ("zopfli", png.ZOPFLI_ROUNDS[6])
        plain = ["none"] if pybind else [("filter", "NoOp")]
        filtered = ["up", "minsum", "entropy", "bigrams"]
        if not pybind:
            filtered = [("filter", name) for name in ("Up", "MinSum", "Entropy", "Bigrams")]
        assert [c["filter"] for c in stub.calls if c["filter"] not in (plain, filtered)] == []
        for call in stub.calls:
            assert not any(call[name] for name in call if name.endswith("_reduction"))

    @pytest.mark.parametrize("module", [None, types.ModuleType("oxipng")])
    def test_without_it_zlib_does(self, monkeypatch, module):
        monkeypatch.setattr(png, "_optimizing", [])
        monkeypatch.setattr(png, "libdeflate", lambda: None)
        monkeypatch.setitem(sys.modules, "oxipng", module)
        palette, indices = image(16)
        for optimize in range(7):
            assert_shows(png.encode_png(palette, indices, optimize), palette, indices)

    def test_it_makes_fewer_bytes(self, monkeypatch):
        pytest.importorskip("oxipng", reason="needs the extra kmeans-c[optimize]")
        found = quantize(hostile.photo(200, 300), 16, n_threads=1)
        with_it = [png.encode_png(found.palette, found.indices, level) for level in (2, 4)]
        monkeypatch.setattr(png, "_oxipng", lambda: None)
        monkeypatch.setattr(png, "libdeflate", lambda: None)
        for data, level in zip(with_it, (2, 4), strict=True):
            assert_shows(data, found.palette, found.indices)
            assert len(data) < len(png.encode_png(found.palette, found.indices, level))

    @pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork")
    def test_a_child_does_not_wait_for_threads_that_are_not_there(self):
        pytest.importorskip("oxipng", reason="needs the extra kmeans-c[optimize]")
        program = """
import os, signal, warnings
import numpy as np
from kmeans_c import png
warnings.simplefilter("ignore")
palette = np.arange(48, dtype=np.uint8).reshape(16, 3)
indices = np.random.default_rng(0).integers(0, 16, (200, 200), dtype=np.uint8)
png.encode_png(palette, indices, 3)
child = os.fork()
if child == 0:
    signal.alarm(60)
    os._exit(len(png.encode_png(palette, indices, 3)) < 1000)
assert os.waitpid(child, 0)[1] == 0
"""
        subprocess.run([sys.executable, "-P", "-c", program], check=True, timeout=120)
