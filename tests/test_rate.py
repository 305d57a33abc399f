"""Indices that take fewer bytes: the cheapest rows there are, and never more error than allowed."""

import itertools
import math
import zlib
from decimal import Decimal

import hostile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmeans_c import quantize, rate, spaces
from kmeans_c._kernels import rate as kernel

MOST = 8


def paeth(left, above, corner):
    distances = [(abs(left + above - corner - side), side) for side in (left, above, corner)]
    return min(distances, key=lambda pair: pair[0])[1]


def neighbours(rows, y, x):
    """Left, above, above left and above right, 0 beyond the edges."""

    def at(v, u):
        return int(rows[v][u]) if v >= 0 and 0 <= u < len(rows[0]) else 0

    return at(y, x - 1), at(y - 1, x), at(y - 1, x - 1), at(y - 1, x + 1)


def context(left, above, corner, right):
    return (left == above) + 2 * (above == corner) + 4 * (above == right) + 8 * (left == corner)


def event(index, left, above, corner, right):
    return [*(index == side for side in (above, left, right, corner)), True].index(True)


def coordinates(colors):
    planes = spaces.coordinates(colors.reshape(-1, colors.shape[-1]))
    return planes[:, : colors.size // colors.shape[-1]].T.astype(object)


def squared(a, b):
    return int(sum((a - b) ** 2))


def random_case(seed, shape, n, channels=3):
    rng = np.random.default_rng(seed)
    palette = rng.integers(0, 256, (n, channels), dtype=np.uint8)
    pixels = rng.integers(0, 256, (*shape, channels), dtype=np.uint8)
    points, entries = coordinates(pixels), coordinates(palette)
    nearest = [min(range(n), key=lambda k: squared(p, entries[k])) for p in points]
    return pixels, palette, np.array(nearest, np.uint8).reshape(shape)


def kernel_entries(palette):
    entries = np.zeros((len(palette), 4), np.int32)
    found = coordinates(palette).astype(np.int32)
    entries[:, : found.shape[1]] = found
    return entries


class TestKernel:
    @pytest.mark.parametrize("shape", [(1, 1), (1, 7), (6, 1), (9, 8)])
    def test_counts(self, shape):
        indices = np.random.default_rng(1).integers(0, 3, shape, dtype=np.uint8)
        events, new = np.zeros((16, 5), np.int64), np.zeros(256, np.int64)
        residuals = np.zeros((2, 256), np.int64)
        kernel.count_events(indices, 0, len(indices), events, new)
        kernel.count_residuals(indices, 0, len(indices), residuals)
        expected = np.zeros((16, 5), int), np.zeros(256, int), np.zeros((2, 256), int)
        rows = indices.tolist()
        for y, x in np.ndindex(*shape):
            near = neighbours(rows, y, x)
            kind = event(rows[y][x], *near)
            expected[0][context(*near), kind] += 1
            expected[1][rows[y][x]] += kind == 4
            uneven = int(not near[0] == near[1] == near[2])
            expected[2][uneven, (rows[y][x] - paeth(*near[:3])) % 256] += 1
        for got, wanted in zip((events, new, residuals), expected, strict=True):
            assert np.array_equal(got, wanted)

    @pytest.mark.parametrize("channels", [3, 4])
    def test_total_error(self, channels):
        pixels, palette, indices = random_case(3, (5, 6), 7, channels)
        got = kernel.total_error(pixels, kernel_entries(palette), indices, 1, 4)
        points, entries = coordinates(pixels[1:4]), coordinates(palette)
        flat = indices[1:4].ravel()
        assert got == sum(squared(p, entries[k]) for p, k in zip(points, flat, strict=True))

    @settings(max_examples=60, deadline=None)
    @given(
        seed=st.integers(0, 1 << 30),
        shape=st.tuples(st.integers(1, 3), st.integers(1, 5)),
        n=st.integers(1, 6),
        by_residual=st.booleans(),
        weight=st.integers(0, 1 << 22),
        channels=st.sampled_from([3, 4]),
    )
    def test_no_path_is_cheaper(self, *, seed, shape, n, by_residual, weight, channels):
        pixels, palette, indices = random_case(seed, shape, n, channels)
        height, width = shape
        rng = np.random.default_rng(seed)
        if channels == 4:
            pixels[..., 3] = rng.choice(np.array([0, 90, 255], np.uint8), shape)
            palette[:, 3] = rng.choice(np.array([0, 90, 254, 255], np.uint8), n)
        costs = rng.integers(0, 200, (2, 256) if by_residual else (16, 5), dtype=np.int32)
        new = rng.integers(0, 200, 256, dtype=np.int32)
        limit = int(rng.integers(0, 1 << 28))
        out, errors = np.empty_like(indices), np.zeros(1, np.int64)
        kernel.smooth_bands(
            pixels,
            kernel_entries(palette),
            indices,
            out,
            np.zeros(1, np.int64),
            height,
            by_residual,
            costs,
            new,
            weight,
            limit,
            errors,
            np.empty((1, 2, MOST * width), np.uint8),
            np.empty((1, MOST * width), np.int32),
            1,
        )
        points = coordinates(pixels).reshape(*shape, -1)
        entries = coordinates(palette)

        def extra(y, x, k):
            given = entries[indices[y, x]]
            return squared(points[y, x], entries[k]) - squared(points[y, x], given)

        def alpha_delta(y, x, k):
            return abs(int(palette[k, 3]) - int(pixels[y, x, 3]))

        def price(rows, y, path):
            """Of the first pixels of a row, below rows that are settled."""
            total = 0
            row = [*path, *[0] * (width - len(path))]
            for x, k in enumerate(path):
                near = neighbours([*rows[:y].tolist(), row], y, x)
                if by_residual:
                    uneven = int(not near[0] == near[1] == near[2])
                    cost = costs[uneven, (k - paeth(*near[:3])) % 256]
                else:
                    kind = event(k, *near)
                    cost = int(costs[context(*near), kind]) + (int(new[k]) if kind == 4 else 0)
                total += weight * int(cost) + extra(y, x, k)
            return total

        for y in range(height):
            choices = []
            ahead = 0
            for x in range(width):
                _, above, corner, right = neighbours([*out[:y].tolist(), [0] * width], y, x)
                wanted = [indices[y, x], above, corner, right]
                wanted.append(ahead if x else indices[y, x])
                wanted += [indices[y, u] for u in (x - 1, x + 1, x - 2) if 0 <= u < width]
                kept = [int(k) for k in dict.fromkeys(map(int, wanted))]
                kept = [k for k in kept if k == indices[y, x] or extra(y, x, k) <= limit]
                if channels == 4 and pixels[y, x, 3] in (0, 255):
                    own = alpha_delta(y, x, indices[y, x])
                    kept = [k for k in kept if alpha_delta(y, x, k) <= own]
                choices.append(kept)
                sums = {
                    k: min(price(out, y, (*path, k)) for path in itertools.product(*choices[:x]))
                    for k in kept
                }
                ahead = min(sums, key=lambda k: sums[k])
            assert price(out, y, out[y].tolist()) == min(sums.values())
        assert errors[0] == sum(extra(y, x, int(out[y, x])) for y, x in np.ndindex(*shape))


class TestNumbers:
    @given(n=st.integers(1, 1 << 40))
    def test_log2(self, n):
        assert 2 ** rate._log2(n) <= n**16 < 2 ** (rate._log2(n) + 1)

    def test_bits(self):
        counts = np.array([[1, 3, 0], [0, 0, 0]])
        expected = -16 * np.log2((counts + 0.5) / (counts + 0.5).sum(axis=1, keepdims=True))
        assert np.abs(rate._bits(counts) - expected).max() <= 1

    @pytest.mark.parametrize(("loss", "growth"), [(0, 0), (10, 9), (20, 99)])
    def test_allowance_of_whole_powers(self, loss, growth):
        assert rate.allowance(12345678901234567, loss) == growth * 12345678901234567

    @given(error=st.integers(0, 1 << 60), loss=st.floats(0, 20))
    def test_allowance(self, error, loss):
        allowed = rate.allowance(error, loss)
        exact = error * (Decimal(10) ** (Decimal(repr(loss)) / 10) - 1)
        assert abs(allowed - exact) <= 1 + exact * Decimal("1e-25")


def mean_error(pixels, palette, indices):
    points, entries = coordinates(pixels), coordinates(palette)
    return sum(squared(p, entries[k]) for p, k in zip(points, indices.ravel(), strict=True))


class TestSmooth:
    @pytest.mark.parametrize("coder", rate.CODERS)
    @pytest.mark.parametrize("loss", [0.01, 0.1, 1, 20])
    @pytest.mark.parametrize("kind", ["rgb", "grey", "alpha"])
    def test_error_is_told_and_bounded(self, coder, loss, kind):
        pixels = hostile.photo(70, 40)
        if kind == "grey":
            pixels = pixels[..., 0]
        if kind == "alpha":
            pixels = np.dstack([pixels, pixels[..., 1] // 2 + 100])
        found = quantize(pixels, 12, n_threads=1)
        indices, extra = rate.smooth(pixels, found.palette, found.indices, loss, coder=coder)
        full = np.repeat(pixels[..., np.newaxis], 3, axis=2) if kind == "grey" else pixels
        before = mean_error(full, found.palette, found.indices)
        after = mean_error(full, found.palette, indices)
        assert after - before == extra >= 0
        assert 10 * math.log10(after / before) <= loss
        assert (indices != found.indices).any()

    @pytest.mark.parametrize("coder", rate.CODERS)
    def test_fewer_bytes(self, coder):
        pixels = hostile.photo(120, 160)
        found = quantize(pixels, 16, n_threads=1)
        sizes = []
        for loss in (0, 0.1, 0.5, 2):
            indices, _ = rate.smooth(
                pixels, found.palette, found.indices, loss, coder=coder, n_threads=1
            )
            sizes.append(len(zlib.compress(indices.tobytes(), 9)))
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[1] < sizes[0]
        assert sizes[3] < 0.9 * sizes[0]

    @pytest.mark.parametrize("coder", rate.CODERS)
    def test_threads_do_not_matter(self, coder):
        pixels = hostile.photo(300, 400)  # more than the sample
        found = quantize(pixels, 16, n_threads=1)
        one, two, seven = (
            rate.smooth(pixels, found.palette, found.indices, 0.2, coder=coder, n_threads=n)
            for n in (1, 2, 7)
        )
        assert np.array_equal(one[0], two[0])
        assert np.array_equal(one[0], seven[0])
        assert one[1] == two[1] == seven[1]

    def test_nothing_is_lost_where_nothing_was(self):
        pixels = np.repeat(hostile.photo(1, 9), 20, axis=0)
        found = quantize(pixels, 16, n_threads=1)
        indices, extra = rate.smooth(pixels, found.palette, found.indices, 5)
        assert extra == 0
        assert np.array_equal(indices, found.indices)

    def test_zero_changes_nothing(self):
        pixels = hostile.photo(50, 60)
        found = quantize(pixels, 8, n_threads=1)
        indices, extra = rate.smooth(pixels, found.palette, found.indices, 0)
        assert extra == 0
        assert np.array_equal(indices, found.indices)

    def test_arguments_are_only_read(self):
        pixels = hostile.photo(40, 50)
        found = quantize(pixels, 8, n_threads=1)
        before = [a.copy() for a in (pixels, found.palette, found.indices)]
        for a in (pixels, found.palette, found.indices):
            a.flags.writeable = False
        rate.smooth(pixels, found.palette, found.indices, 1)
        for a, b in zip((pixels, found.palette, found.indices), before, strict=True):
            assert np.array_equal(a, b)

    def test_any_memory_layout_and_palettes_with_alpha(self):
        pixels = hostile.photo(40, 50)
        found = quantize(pixels, 8, n_threads=1)
        expected = rate.smooth(pixels, found.palette, found.indices, 1)
        palette = np.c_[found.palette, np.full(8, 255, np.uint8)]
        got = rate.smooth(np.asfortranarray(pixels), palette, np.asfortranarray(found.indices), 1)
        assert np.array_equal(got[0], expected[0])
        assert got[1] == expected[1]

    def test_palette_without_alpha(self):
        with pytest.raises(ValueError, match=r"^palette: expected 4 channels"):
            rate.smooth(
                np.zeros((2, 2, 4), np.uint8),
                np.zeros((1, 3), np.uint8),
                np.zeros((2, 2), np.uint8),
            )
