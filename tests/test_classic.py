"""The original's four steps against exact arithmetic, at every SIMD level and number of threads."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
import reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import kmeans_c
from kmeans_c._kernels import machine
from kmeans_c.threads import SIMD_LEVELS, SIMD_VARIABLE

DTYPES = [np.uint8, np.float32, np.float64]
PROPERTY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def points(rng, dtype, N, D):
    if dtype == np.uint8:
        return rng.integers(0, 256, (N, D)).astype(np.uint8)
    return rng.standard_normal((N, D)).astype(dtype)


# ---- get_centroid_indices


@pytest.mark.parametrize("D", [1, 2, 3, 4, 5, 8, 33])
@pytest.mark.parametrize("K", [1, 3, 16, 21])
def test_whole_centroids_of_bytes_get_exactly_the_closest(simd, n_threads, rng, D, K):
    X = points(rng, np.uint8, 300, D)
    centroids = rng.integers(0, 256, (K, D))
    expected = ((X[:, None].astype(np.int64) - centroids) ** 2).sum(axis=2).argmin(axis=1)
    got = kmeans_c.get_centroid_indices(X, centroids, n_threads=n_threads)
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("D", [1, 2, 3, 4, 6, 32, 40])
def test_no_centroid_is_closer_than_the_one_given(simd, rng, dtype, D):
    X = points(rng, dtype, 520, D)
    centroids = X[rng.permutation(520)[:37]] + points(rng, np.float64, 37, D) * 0.1
    got = kmeans_c.get_centroid_indices(X, centroids)
    distances = ((X[:, None].astype(np.float64) - centroids) ** 2).sum(axis=2)
    scale = (X.astype(np.float64) ** 2).sum(axis=1).max()
    slack = scale * (1e-13 if dtype == np.float64 else 1e-5)
    assert (distances[np.arange(520), got] <= distances.min(axis=1) + slack).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("N", [1, 2, 255, 256, 257, 511, 513, 2047, 4097])
def test_every_size_around_the_blocks(simd, n_threads, rng, dtype, N):
    X = np.round(points(rng, dtype, N, 3) * (1 if dtype == np.uint8 else 40))
    X = X.astype(dtype)
    centroids = np.unique(np.round(X[: min(N, 9)].astype(float)), axis=0)
    expected = ((X[:, None].astype(float) - centroids) ** 2).sum(axis=2).argmin(axis=1)
    got = kmeans_c.get_centroid_indices(X, centroids, n_threads=n_threads)
    np.testing.assert_array_equal(got, expected)


def test_ties_go_to_the_lowest_index(simd):
    X = np.array([[0, 0, 0], [10, 0, 0], [5, 0, 0]], np.uint8)
    centroids = [[10, 0, 0], [0, 0, 0], [10, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert kmeans_c.get_centroid_indices(X, centroids).tolist() == [1, 0, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_points_far_from_the_origin_are_kept_apart(simd, dtype):
    # |c|^2 - 2 x.c loses all digits here unless the origin is moved.
    X = (1_000_000 + np.arange(64).reshape(-1, 1) * np.ones(3)).astype(dtype)
    assert kmeans_c.get_centroid_indices(X, X[::-1]).tolist() == list(range(63, -1, -1))


@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1e18, 1e30, 1e36])
def test_float32_of_any_magnitude(simd, scale):
    X = (np.arange(60).reshape(20, 3) * scale).astype(np.float32)
    assert kmeans_c.get_centroid_indices(X, X).tolist() == list(range(20))


def test_a_centroid_out_of_sight_changes_nothing(simd, rng):
    X = points(rng, np.float32, 500, 3)
    near = X[:7].astype(np.float64)
    far = np.concatenate([near, np.full((1, 3), 1e120)])
    np.testing.assert_array_equal(
        kmeans_c.get_centroid_indices(X, far), kmeans_c.get_centroid_indices(X, near)
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_groups_far_apart_are_both_kept_apart(simd, dtype):
    far = 1e5 if dtype == np.float32 else 1e9
    X = np.concatenate([np.arange(100), far + np.arange(100)]).astype(dtype)[:, None]
    assert kmeans_c.get_centroid_indices(X, X).tolist() == list(range(200))


def test_a_long_scale_of_whole_numbers(simd):
    X = np.arange(10000, dtype=np.float32)[:, None]
    assert kmeans_c.get_centroid_indices(X, X[:3000]).tolist() == [*range(3000), *[2999] * 7000]


@pytest.mark.parametrize("D", [64, 784])
def test_bytes_of_zeros_and_ones(simd, rng, D):
    X = rng.integers(0, 2, (600, D)).astype(np.uint8)
    centroids = kmeans_c.get_centroid_values(X, np.arange(600) % 16, 16)
    distances = ((X[:, None].astype(float) - centroids) ** 2).sum(axis=2)
    got = distances[np.arange(600), kmeans_c.get_centroid_indices(X, centroids)]
    assert (got <= distances.min(axis=1) * (1 + 1e-5)).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("D", [1, 5])
def test_huge_centroids_are_compared_too(simd, dtype, D):
    X = np.zeros((2, D), dtype)
    centroids = np.full((2, D), [[2e30], [1e30]])
    assert kmeans_c.get_centroid_indices(X, centroids).tolist() == [1, 1]


@PROPERTY
@given(
    X=npst.arrays(np.uint8, st.tuples(st.integers(1, 30), st.integers(1, 6))),
    K=st.integers(1, 9),
    data=st.data(),
)
def test_indices_are_those_of_integer_arithmetic(X, K, data):
    centroids = data.draw(npst.arrays(np.uint8, (K, X.shape[1])))
    expected = reference.nearest(X.astype(int).tolist(), centroids.astype(int).tolist())
    assert kmeans_c.get_centroid_indices(X, centroids).tolist() == expected


# ---- get_centroid_values


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("D", "K"), [(1, 3), (2, 5), (3, 16), (3, 70), (4, 7), (19, 6)])
def test_values_are_the_means(simd, n_threads, rng, dtype, D, K):  # noqa: PLR0917
    X = points(rng, dtype, 700, D)
    labels = rng.integers(0, K, 700)
    labels[:K] = np.arange(K)
    got = kmeans_c.get_centroid_values(X, labels, K, n_threads=n_threads)
    expected = np.array([X[labels == k].astype(np.float64).mean(axis=0) for k in range(K)])
    assert got.dtype == (np.float32 if dtype == np.float32 else np.float64)
    np.testing.assert_allclose(
        got, expected, rtol=1e-6 if dtype == np.float32 else 1e-12, atol=1e-14
    )


def test_values_of_bytes_are_exact(simd, n_threads, rng):
    X = rng.integers(0, 256, (5000, 3)).astype(np.uint8)
    labels = rng.integers(0, 5, 5000)
    got = kmeans_c.get_centroid_values(X, labels, 5, n_threads=n_threads)
    for k in range(5):
        for d in range(3):
            members = X[labels == k, d].astype(int).tolist()
            assert got[k, d] == float(Fraction(sum(members), len(members)))


def test_more_than_two_to_the_24_equal_points():
    # Where float32 counts, the 16,777,217th point is the last that is seen.
    X = np.broadcast_to(np.array([[255]], np.uint8), (20_000_000, 1))
    assert kmeans_c.get_centroid_values(X, np.zeros(20_000_000, np.uint8), 1).tolist() == [[255.0]]


@PROPERTY
@given(
    X=npst.arrays(
        np.uint8, st.tuples(st.integers(1, 25), st.integers(1, 4)), elements=st.integers(0, 9)
    ),
    data=st.data(),
)
def test_empty_clusters_are_refilled_farthest_first(X, data):
    K = data.draw(st.integers(1, len(X)))
    labels = data.draw(st.lists(st.integers(0, K - 1), min_size=len(X), max_size=len(X)))
    got = kmeans_c.get_centroid_values(X, labels, K)
    expected = reference.values(X.astype(int).tolist(), labels, K)
    full = [k for k in range(K) if k in labels]
    assert got[full].tolist() == [expected[k] for k in full]
    empty = [k for k in range(K) if k not in labels]
    rows = {tuple(map(float, row)) for row in X.tolist()}
    placed = {tuple(got[k].tolist()) for k in empty}
    others = rows - {tuple(got[k].tolist()) for k in full}
    assert placed <= rows
    assert len(placed & others) == min(len(empty), len(others))
    if empty:
        # Which of two points is farther may hang on the last bit of a distance,
        # how far the farthest is may not.
        known = reference.exact(got[full].tolist())
        first, second = (
            min(reference.squared(row, mean) for mean in known)
            for row in reference.exact([got[empty[0]].tolist(), expected[empty[0]]])
        )
        assert abs(first - second) < Fraction(1, 10**9)


def test_the_farthest_point_is_taken_first():
    X = np.array([[0], [0], [4], [100], [90], [90]], np.uint8)
    values = kmeans_c.get_centroid_values(X, [0] * 6, 3)
    # The mean is 47.33: 100 is farthest, then 0 (47.33 away) before 90 (10 away from 100).
    assert values[1:].ravel().tolist() == [100, 0]


# ---- apply_k_means


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("D", [1, 3, 4, 7])
def test_is_the_two_steps_repeated(simd, n_threads, rng, dtype, D):
    X = points(rng, dtype, 5000, D)
    centroids = start = kmeans_c.initialize_centroids(X, 12, seed=1)
    for _ in range(4):
        indices = kmeans_c.get_centroid_indices(X, centroids, n_threads=n_threads)
        centroids = kmeans_c.get_centroid_values(X, indices, 12, n_threads=n_threads)
    got, labels = kmeans_c.apply_k_means(X, start, ITERS=4, n_threads=n_threads)
    assert got.tobytes() == centroids.tobytes()
    np.testing.assert_array_equal(labels, kmeans_c.get_centroid_indices(X, centroids))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("N", "D", "K"), [(9000, 1, 5), (9000, 3, 16), (70000, 3, 80), (4000, 40, 9)]
)
def test_bytes_are_the_same_for_every_level_and_thread_count(monkeypatch, rng, dtype, N, D, K):  # noqa: PLR0917
    X = points(rng, dtype, N, D)
    start = kmeans_c.initialize_centroids(X, K, seed=3)
    results = set()
    levels = SIMD_LEVELS[: machine.cpu_level() + 1]
    for level, threads in itertools.product(levels, [1, 2, 3, 8]):
        monkeypatch.setenv(SIMD_VARIABLE, level)
        centroids, labels = kmeans_c.apply_k_means(X, start, 5, n_threads=threads)
        results.add((centroids.tobytes(), labels.tobytes()))
    assert len(results) == 1


@PROPERTY
@given(
    X=npst.arrays(np.uint8, st.tuples(st.integers(2, 40), st.integers(1, 4))),
    K=st.integers(1, 6),
    ITERS=st.integers(0, 6),
)
def test_labels_belong_to_the_centroids_returned(X, K, ITERS):
    K = min(K, len(X))
    centroids, labels = kmeans_c.apply_k_means(X, X[:K], ITERS)
    np.testing.assert_array_equal(labels, kmeans_c.get_centroid_indices(X, centroids))
    distances = ((X[:, None].astype(float) - centroids) ** 2).sum(axis=2)
    assert (distances[np.arange(len(X)), labels] <= distances.min(axis=1) + 1e-2).all()


@PROPERTY
@given(
    X=npst.arrays(np.uint8, st.tuples(st.integers(3, 40), st.integers(1, 3))), K=st.integers(1, 5)
)
def test_inertia_never_rises(X, K):
    start = kmeans_c.initialize_centroids(X, min(K, len(X)), seed=0)
    rows = X.astype(int).tolist()
    previous = None
    for ITERS in range(6):
        centroids, labels = kmeans_c.apply_k_means(X, start, ITERS)
        now = reference.inertia(rows, reference.exact(centroids), labels)
        # Scores of bytes are rounded to float32: a near tie may go the other way by that much.
        assert previous is None or now <= previous * (1 + Fraction(1, 10**6)) + Fraction(1, 100)
        previous = now


def test_a_fixed_point_stays(simd):
    X = np.array([[0, 0], [0, 2], [10, 10], [10, 12]], np.float64)
    centroids, labels = kmeans_c.apply_k_means(X, [[0, 1], [10, 11]], 1_000_000_000)
    assert centroids.tolist() == [[0, 1], [10, 11]]
    assert labels.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("ITERS", [1, 5, 10**9])
def test_more_centroids_than_distinct_points_ends(ITERS):
    X = np.array([[1.0, 2.0]] * 6 + [[3.0, 4.0]])
    centroids, labels = kmeans_c.apply_k_means(X, np.zeros((5, 2)), ITERS)
    assert np.isfinite(centroids).all()
    np.testing.assert_array_equal(centroids[labels], X)


def test_centroids_far_outside_the_data_come_back(simd, rng):
    X = points(rng, np.float32, 3000, 3)
    centroids, labels = kmeans_c.apply_k_means(X, np.full((9, 3), 1e6) + np.arange(9)[:, None], 3)
    assert len(np.unique(labels)) == 9
    assert np.abs(centroids).max() < 10


def test_as_good_as_brute_force_in_double(rng):
    X = rng.standard_normal((4000, 3))
    start = X[:8]
    centroids = start
    for _ in range(10):
        labels = ((X[:, None] - centroids) ** 2).sum(axis=2).argmin(axis=1)
        centroids = np.array([X[labels == k].mean(axis=0) for k in range(8)])
    got, got_labels = kmeans_c.apply_k_means(X, start, 10)
    np.testing.assert_allclose(got, centroids, rtol=1e-10)
    assert (got_labels == ((X[:, None] - got) ** 2).sum(axis=2).argmin(axis=1)).all()


# ---- initialize_centroids


@pytest.mark.parametrize("init", ["random", "k-means++"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_first_centroids_are_distinct_rows(rng, init, dtype):
    X = points(rng, dtype, 9000, 3)
    centroids = kmeans_c.initialize_centroids(X, 50, seed=5, init=init)
    assert centroids.dtype == (np.float32 if dtype == np.float32 else np.float64)
    rows = {tuple(row) for row in X.tolist()}
    drawn = [tuple(row) for row in centroids.tolist()]
    assert set(drawn) <= rows
    assert len(set(drawn)) == 50


@pytest.mark.parametrize("init", ["random", "k-means++"])
def test_all_rows_when_k_is_n(rng, init):
    X = rng.permutation(40).reshape(-1, 1).astype(np.float64)
    drawn = kmeans_c.initialize_centroids(X, 40, seed=2, init=init)
    assert sorted(drawn.ravel()) == list(range(40))


def test_rare_rows_are_found_among_equal_ones():
    X = np.zeros((100, 2))
    X[17], X[63] = 1, 2
    drawn = kmeans_c.initialize_centroids(X, 3, seed=0)
    assert {tuple(row) for row in drawn.tolist()} == {(0, 0), (1, 1), (2, 2)}


@pytest.mark.parametrize("init", ["random", "k-means++"])
def test_equal_rows_repeat_rather_than_fail(init):
    assert (
        kmeans_c.initialize_centroids(np.ones((5, 2)), 4, seed=0, init=init).tolist()
        == [[1, 1]] * 4
    )


def test_the_same_seed_draws_the_same_rows_with_any_numpy():
    X = np.arange(1000).reshape(-1, 1)
    # Golden: PCG64 and the draws made of it are promised to stay.
    assert kmeans_c.initialize_centroids(X, 6, seed=42).ravel().tolist() == GOLDEN_RANDOM
    assert (
        kmeans_c.initialize_centroids(X, 6, seed=42, init="k-means++").ravel().tolist()
        == GOLDEN_PLUS_PLUS
    )


def test_no_seed_draws_anew():
    X = np.arange(100000).reshape(-1, 1)
    assert len({tuple(kmeans_c.initialize_centroids(X, 4).ravel()) for _ in range(4)}) == 4


def test_a_generator_serves_as_seed_and_moves_on():
    X = np.arange(1000).reshape(-1, 1)
    generator = np.random.default_rng(7)
    first = kmeans_c.initialize_centroids(X, 5, seed=generator)
    assert first.tolist() != kmeans_c.initialize_centroids(X, 5, seed=generator).tolist()
    again = kmeans_c.initialize_centroids(X, 5, seed=np.random.default_rng(7))
    assert first.tolist() == again.tolist()


@pytest.mark.parametrize("kind", [np.random.MT19937, np.random.Philox, np.random.SFC64])
@pytest.mark.parametrize("init", ["random", "k-means++"])
def test_generators_of_every_kind_draw_evenly(kind, init):
    X = np.arange(10).reshape(-1, 1)
    drawn = [
        int(kmeans_c.initialize_centroids(X, 1, seed=np.random.Generator(kind(n)), init=init)[0, 0])
        for n in range(60)
    ]
    assert len(set(drawn)) >= 8


def test_plus_plus_does_not_depend_on_threads(rng):
    X = rng.standard_normal((30000, 3))
    drawn = [
        kmeans_c.initialize_centroids(X, 9, seed=1, init="k-means++", n_threads=n)
        for n in (1, 2, 3)
    ]
    assert drawn[0].tobytes() == drawn[1].tobytes() == drawn[2].tobytes()


def test_plus_plus_prefers_what_is_far():
    X = np.zeros((1000, 1))
    X[500] = 1e6
    hits = sum(
        1e6 in kmeans_c.initialize_centroids(X, 2, seed=seed, init="k-means++")
        for seed in range(20)
    )
    assert hits == 20


GOLDEN_RANDOM = [773, 438, 856, 695, 93, 970]
GOLDEN_PLUS_PLUS = [773, 139, 857, 511, 58, 991]
