"""`KMeans` without scikit-learn: against exact arithmetic, and what its arguments promise."""

import copy
import itertools
import pickle
import subprocess
import sys
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from kmeans_c import KMeans
from kmeans_c._kernels import distances as kernels
from kmeans_c.lloyd import PART, Points, lloyd, tiles
from kmeans_c.protocol import ConvergenceWarning, NotFittedError
from kmeans_c.seeding import Draw, by_content, seed_rows
from kmeans_c.threads import SIMD_VARIABLE, simd_level

FLOATS = [np.float32, np.float64]
PROPERTY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# Whatever warns of too few distinct samples: scikit-learn may be loaded by another test.
quiet = pytest.mark.filterwarnings("ignore:.*distinct clusters:UserWarning")


def whole(rng, N, D, dtype=np.float64, high=100):
    """Whole numbers: their sums and squares are exact, in any order."""
    return rng.integers(0, high, (N, D)).astype(dtype)


def blobs(rng, N=600, D=3, K=5, dtype=np.float64):
    centers = rng.integers(-50, 50, (K, D))
    return (centers[np.arange(N) % K] + rng.standard_normal((N, D))).astype(dtype)


def fitted(model):
    return (
        model.cluster_centers_.tobytes(),
        model.labels_.tobytes(),
        model.inertia_,
        model.n_iter_,
    )


# ---- The kernels


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("D", [1, 2, 3, 4, 5, 7, 8, 33])
@pytest.mark.parametrize(("N", "K"), [(1, 1), (65, 16), (130, 63), (200, 65), (7, 200)])
def test_distances_are_exact_for_whole_numbers(simd, n_threads, rng, dtype, D, N, K):  # noqa: PLR0917
    X, centers = whole(rng, N, D, dtype), whole(rng, K, D)
    squares = ((X[:, None].astype(int) - centers.astype(int)) ** 2).sum(axis=2)
    got = Points(X, n_threads).distances(centers)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, np.sqrt(squares.astype(dtype)))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("D", [3, 17])
def test_distances_have_the_same_bytes_at_every_level(simd, monkeypatch, rng, dtype, D):
    X = rng.standard_normal((300, D)).astype(dtype)
    centers = rng.standard_normal((70, D))
    got = Points(X, 3).distances(centers)
    monkeypatch.setenv(SIMD_VARIABLE, "baseline")
    assert got.tobytes() == Points(X, 1).distances(centers).tobytes()
    exact = np.sqrt(((X[:, None].astype(float) - centers) ** 2).sum(axis=2))
    np.testing.assert_allclose(got, exact, rtol=1e-5 if dtype == np.float32 else 1e-14)


def test_small_distances_far_from_the_origin_keep_their_digits(simd):
    X = 1e8 + np.arange(12.0).reshape(4, 3)
    np.testing.assert_array_equal(Points(X, 1).distances(X)[0], np.sqrt([0, 27, 108, 243]))


@pytest.mark.parametrize("dtype", [np.uint8, *FLOATS])
@pytest.mark.parametrize("weighted", [False, True])
def test_inertia_is_that_of_exact_arithmetic(n_threads, rng, dtype, weighted):
    X, centers = whole(rng, 9000, 3, dtype), whole(rng, 4, 3)
    labels = rng.integers(0, 4, 9000).astype(np.int32)
    weights = rng.integers(0, 9, 9000) if weighted else np.ones(9000, int)
    squares = ((X.astype(int) - centers.astype(int)[labels]) ** 2).sum(axis=1)
    kind = np.int64 if dtype == np.uint8 else np.float64
    points = Points(X, n_threads, weights.astype(kind) if weighted else None)
    assert points.inertia(centers, labels) == (weights * squares).sum()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("N", [1, 64, 65, PART - 1, PART + 1])
@pytest.mark.parametrize("weighted", [False, True])
def test_potentials_are_what_each_row_would_leave(simd, rng, dtype, N, weighted):
    X = whole(rng, N, 5, dtype)
    rows = rng.integers(0, N, 7)
    distance = rng.integers(0, 9000, N).astype(float)
    weights = rng.integers(0, 9, N).astype(float) if weighted else None
    squares = ((X[:, None].astype(int) - X[rows].astype(int)) ** 2).sum(axis=2)
    kept = np.minimum(squares, distance[:, None]) * (1 if weights is None else weights[:, None])
    parts, got = np.empty((-(-N // PART), 7)), np.empty((N, 7), dtype)
    table = tiles(X[rows], dtype)
    kernels.potentials(
        X, weights, distance, table, got, parts, PART, 0, len(parts), 2, simd_level()
    )
    np.testing.assert_array_equal(got, squares)
    np.testing.assert_array_equal(parts.sum(axis=0), kept.sum(axis=0))


# ---- The algorithm


def plain(X, centers, weights, steps):
    """Lloyd in exact arithmetic; no cluster becomes empty in the cases that use it."""
    rows = reference.exact(X)
    centers = reference.exact(centers)
    for _ in range(steps):
        labels = reference.nearest(rows, centers)
        for k in range(len(centers)):
            own = [i for i, label in enumerate(labels) if label == k]
            total = sum(weights[i] for i in own)
            centers[k] = [
                sum(weights[i] * rows[i][d] for i in own) / total for d in range(len(rows[0]))
            ]
    labels = reference.nearest(rows, centers)
    spread = sum(
        w * reference.squared(row, centers[k])
        for w, row, k in zip(weights, rows, labels, strict=True)
    )
    return np.array(centers, dtype=float), labels, float(spread)


@pytest.mark.parametrize("D", [1, 3, 6])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", FLOATS)
def test_fit_is_lloyd_in_exact_arithmetic(simd, n_threads, rng, D, weighted, dtype):  # noqa: PLR0917
    X = blobs(rng, 60, D, 4, dtype)
    weights = rng.integers(1, 6, 60) if weighted else np.ones(60, int)
    model = KMeans(4, init=X[:4], max_iter=3, tol=0, n_threads=n_threads)
    model.fit(X, sample_weight=weights if weighted else None)
    centers, labels, inertia = plain(X, X[:4], weights.tolist(), 3)
    np.testing.assert_array_equal(model.labels_, labels)
    tight = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(model.cluster_centers_, centers, rtol=tight, atol=tight)
    assert model.inertia_ == pytest.approx(inertia, rel=1e-4 if dtype == np.float32 else 1e-12)
    assert model.cluster_centers_.dtype == dtype
    assert model.labels_.dtype == np.int32
    assert type(model.inertia_) is float
    assert type(model.n_iter_) is int


@pytest.mark.parametrize("init", ["k-means++", "random"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("D", "dtype"), [(3, np.float32), (3, np.float64), (19, np.float64)])
def test_the_same_bytes_with_any_threads_and_level(simd, n_threads, init, weighted, D, dtype):  # noqa: PLR0917
    rng = np.random.default_rng(1)
    X = rng.standard_normal((9000, D)).astype(dtype)
    weights = rng.random(9000) if weighted else None
    model = KMeans(9, init=init, n_init=2, random_state=3, n_threads=n_threads, max_iter=9)
    got = fitted(model.fit(X, sample_weight=weights)), model.transform(X).tobytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SIMD_VARIABLE, "baseline")
        model.set_params(n_threads=1)
        assert got == (fitted(model.fit(X, sample_weight=weights)), model.transform(X).tobytes())


@quiet
@PROPERTY
@given(
    X=npst.arrays(
        np.float64, st.tuples(st.integers(6, 30), st.integers(1, 6)),
        elements=st.integers(-4, 4).map(float),
    ),
    K=st.integers(1, 6),
    max_iter=st.integers(1, 4),
    seed=st.integers(0, 9),
)  # fmt: skip
def test_labels_are_fresh_and_inertia_is_theirs(X, K, max_iter, seed):
    model = KMeans(K, max_iter=max_iter, random_state=seed).fit(X)
    np.testing.assert_array_equal(model.labels_, model.predict(X))
    squares = ((X[:, None] - model.cluster_centers_) ** 2).sum(axis=2)
    assert model.inertia_ == pytest.approx(squares.min(axis=1).sum(), abs=1e-9)
    assert model.score(X) == -model.inertia_
    np.testing.assert_allclose(model.transform(X), np.sqrt(squares), rtol=1e-14)
    assert 1 <= model.n_iter_ <= max_iter


def test_a_row_is_labelled_alike_in_any_company(simd, rng):
    X = (1e3 + rng.standard_normal((3000, 7))).astype(np.float32)
    model = KMeans(40, random_state=0, max_iter=3).fit(X)
    alone = np.concatenate([model.predict(X[i : i + 7]) for i in range(0, len(X), 7)])
    np.testing.assert_array_equal(alone, model.labels_)


def test_an_empty_cluster_gets_the_farthest_sample():
    X = np.array([[0.0], [1.0], [10.0], [100.0]])
    model = KMeans(3, init=[[0.0], [0.5], [1e6]], max_iter=300).fit(X)
    assert sorted(model.cluster_centers_.ravel().tolist()) == [0.5, 10, 100]
    assert len(set(model.labels_.tolist())) == 3


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_fewer_distinct_samples_than_clusters_end_with_a_warning(init):
    X = np.repeat([[1.0, 2.0], [3.0, 4.0]], 20, axis=0)
    model = KMeans(5, init=init, max_iter=10**9, tol=0, random_state=0)
    with pytest.warns(UserWarning, match="2 distinct clusters found, fewer than n_clusters=5"):
        model.fit(X)
    assert model.inertia_ == 0
    assert np.isfinite(model.cluster_centers_).all()
    np.testing.assert_array_equal(model.labels_, model.predict(X))


class Swinging:
    """Points whose centroids walk a tail and then a circle, as near ties can make them."""

    def __init__(self, tail, circle):
        self.tail, self.circle, self.steps = tail, circle, 0
        self.X = np.zeros((1, 1))

    def nearest_totals(self, centroids):
        self.steps += 1
        place = int(centroids[0, 0]) + 1
        place -= self.circle if place == self.tail + self.circle else 0
        return np.array([[float(place), 1.0]])


@pytest.mark.parametrize("tail", [0, 1, 2, 5])
@pytest.mark.parametrize("circle", [2, 3, 4, 7])
def test_swings_end_and_whole_ones_are_left_out(tail, circle):
    start = np.zeros((1, 1))
    place = 0
    for ITERS in range(60):
        assert lloyd(Swinging(tail, circle), start, ITERS)[0] == place
        place = place + 1 if place + 1 < tail + circle else tail
    points = Swinging(tail, circle)
    _, n_iter = lloyd(points, start, 10**9)
    assert n_iter == points.steps < 60


def test_tol_is_relative_to_the_variance(rng):
    X = rng.standard_normal((2000, 3))
    steps = [
        KMeans(8, init=scale * X[:8], tol=1e-3).fit(scale * X).n_iter_ for scale in (2**-9, 1, 2**9)
    ]
    assert len(set(steps)) == 1
    assert steps[0] < KMeans(8, init=X[:8], tol=0).fit(X).n_iter_


def test_tol_stops_where_the_moves_are_small_enough(rng):
    X = rng.standard_normal((2000, 3))
    walk = [X[:8]] + [
        KMeans(8, init=X[:8], tol=0, max_iter=n).fit(X).cluster_centers_ for n in range(1, 12)
    ]
    moves = [((b - a) ** 2).sum() for a, b in itertools.pairwise(walk)]
    for n, moved in enumerate(moves, start=1):
        tol = moved / X.var(axis=0).mean() * (1 + 1e-9)
        first = next(i for i, m in enumerate(moves, start=1) if m <= tol * X.var(axis=0).mean())
        assert KMeans(8, init=X[:8], tol=tol).fit(X).n_iter_ == first <= n


def test_n_iter_counts_the_step_that_found_nothing_to_move():
    X = np.array([[0.0], [1.0], [10.0], [11.0]])
    assert KMeans(2, init=[[0.5], [10.5]], tol=0).fit(X).n_iter_ == 1
    assert KMeans(2, init=[[0.0], [10.0]], tol=0).fit(X).n_iter_ == 2


# ---- Weights


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_a_weight_is_as_good_as_repetition_in_any_order(rng, init):
    X = whole(rng, 300, 4)
    weights = rng.integers(0, 5, 300)
    order = rng.permutation(300)
    model = KMeans(6, init=init, random_state=2, tol=0)
    centers = model.fit(np.repeat(X, weights, axis=0)).cluster_centers_
    inertia = model.inertia_
    model.fit(X[order], sample_weight=weights[order])
    np.testing.assert_allclose(model.cluster_centers_, centers, rtol=1e-12)
    assert model.inertia_ == pytest.approx(inertia, rel=1e-12)


def test_a_weight_of_zero_is_as_good_as_removal(rng):
    X, weights = blobs(rng), rng.random(600)
    weights[::3] = 0
    X[::3] *= 1000
    kept = KMeans(5, random_state=0).fit(X[weights > 0], sample_weight=weights[weights > 0])
    model = KMeans(5, random_state=0).fit(X, sample_weight=weights)
    assert model.cluster_centers_.tobytes() == kept.cluster_centers_.tobytes()
    np.testing.assert_array_equal(model.labels_, kept.predict(X))
    assert model.inertia_ == pytest.approx(kept.inertia_, rel=1e-12)


@pytest.mark.parametrize("weight", [1, 3, 0.1, 1e-300, 1e300])
@pytest.mark.parametrize("scalar", [False, True])
def test_one_weight_for_all_changes_only_the_inertia(rng, weight, scalar):
    X = blobs(rng)
    plainly = KMeans(5, random_state=0).fit(X)
    weights = weight if scalar else np.full(600, weight)
    model = KMeans(5, random_state=0).fit(X, sample_weight=weights)
    assert fitted(model)[:2] == fitted(plainly)[:2]
    assert model.inertia_ == pytest.approx(weight * plainly.inertia_, rel=1e-12)


@pytest.mark.parametrize("power", [-1000, -60, 1, 60, 900])
def test_weights_may_be_of_any_size(rng, power):
    X, weights = blobs(rng), rng.random(600)
    one = KMeans(5, random_state=0).fit(X, sample_weight=weights)
    other = KMeans(5, random_state=0).fit(X, sample_weight=np.ldexp(weights, power))
    assert fitted(one)[:2] == fitted(other)[:2]


def test_score_is_weighted(rng):
    X, weights = blobs(rng), rng.random(600)
    model = KMeans(5, random_state=0).fit(X, sample_weight=weights)
    assert model.score(X, sample_weight=weights) == -model.inertia_
    assert model.score(X, None, weights) != model.score(X)
    np.testing.assert_array_equal(model.fit_predict(X, sample_weight=weights), model.labels_)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([1, 2], ValueError, r"sample_weight: expected shape \(4,\), got \(2,\)"),
        ([[1]] * 4, ValueError, "expected shape"),
        ([0, 0, 0, 0], ValueError, "all are zero"),
        (0, ValueError, "all are zero"),
        ([1, 1, 1, -1], ValueError, "at least 0"),
        ([1, 1, 1, np.nan], ValueError, "finite"),
        ([1, 1, 1, np.inf], ValueError, "finite"),
        ("abcd", TypeError, "expected numbers"),
        ([1j] * 4, TypeError, "expected numbers"),
        ([1, 1, 0, 0], ValueError, "n_samples=2 of a weight above 0 should be >= n_clusters=3"),
    ],
)
def test_impossible_weights(weights, error, message):
    X = np.arange(8.0).reshape(4, 2)
    with pytest.raises(error, match=message):
        KMeans(3, random_state=0).fit(X, sample_weight=weights)


# ---- Starts


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_starts_do_not_depend_on_the_order_of_the_rows(rng, init):
    X = whole(rng, 500, 3)
    one = KMeans(7, init=init, random_state=1).fit(X)
    other = KMeans(7, init=init, random_state=1).fit(X[rng.permutation(500)])
    assert one.cluster_centers_.tobytes() == other.cluster_centers_.tobytes()
    assert one.inertia_ == pytest.approx(other.inertia_, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_are_put_in_one_order(n_threads, rng, weighted):
    X = rng.integers(-2, 3, (4000, 2)) * np.array([1.0, -1.0])  # holds -0.0, and rows repeat
    weights = rng.integers(0, 9, 4000).astype(float) if weighted else None
    shuffled = rng.permutation(4000)
    rows, heavy = by_content(X, weights, n_threads)
    again = by_content(
        X[shuffled].astype(np.float32), None if weights is None else weights[shuffled], n_threads
    )
    np.testing.assert_array_equal(rows, again[0])
    np.testing.assert_array_equal(heavy, again[1])
    distinct, which = np.unique(X + 0, axis=0, return_inverse=True)
    order = np.lexsort(rows.T[::-1])
    np.testing.assert_array_equal(rows[order], distinct)
    np.testing.assert_array_equal(heavy[order], np.bincount(which.ravel(), weights))


def test_tries_leave_less_than_one_row_alone(rng):
    X = blobs(rng, 4000, 5, 40)
    rest = {}
    for tries in (1, 5):
        rest[tries] = 0
        for seed in range(10):
            rows = seed_rows(X, 40, "k-means++", Draw(seed), n_threads=1, tries=tries)
            rest[tries] += ((X[:, None] - X[rows]) ** 2).sum(axis=2).min(axis=1).sum()
    assert rest[5] < 0.7 * rest[1]


def test_the_best_of_several_starts_is_kept(rng):
    X = rng.standard_normal((300, 2))
    starts = [X[i : i + 9] for i in range(0, 90, 9)]
    each = [KMeans(9, init=start).fit(X) for start in starts]
    left = iter(starts)
    model = KMeans(9, init=lambda *_, **__: next(left)).fit(X)  # "auto" is ten of a callable
    assert next(left, None) is None
    assert fitted(model) == fitted(min(each, key=lambda one: one.inertia_))


@pytest.mark.parametrize(("init", "runs"), [("k-means++", 1), ("random", 10)])
def test_auto_is_one_or_ten_starts(rng, init, runs):
    X = rng.standard_normal((300, 2))
    auto = KMeans(9, init=init, random_state=0).fit(X)
    assert fitted(auto) == fitted(KMeans(9, init=init, n_init=runs, random_state=0).fit(X))


def test_an_array_is_one_start():
    X = np.arange(12.0).reshape(6, 2)
    with pytest.warns(RuntimeWarning, match="n_init"):
        model = KMeans(2, init=X[:2].tolist(), n_init=4).fit(X)
    assert fitted(model) == fitted(KMeans(2, init=X[:2], n_init=1).fit(X))


def test_a_callable_gets_a_random_state(rng):
    X = rng.standard_normal((50, 2))
    seen = []

    def init(X, K, random_state):
        seen.append(random_state.randint(0, 10**6))
        return X[random_state.permutation(len(X))[:K]]

    first = fitted(KMeans(3, init=init, n_init=3, random_state=0).fit(X))
    assert len(set(seen)) == 3
    assert first == fitted(KMeans(3, init=init, n_init=3, random_state=0).fit(X))
    assert seen[:3] == seen[3:]


def test_kinds_of_random_state(rng):
    X = rng.standard_normal((200, 2))

    def run(state):
        return fitted(KMeans(9, random_state=state, max_iter=1).fit(X))

    assert run(5) == run(np.int64(5)) != run(6)
    assert run(np.random.RandomState(1)) == run(np.random.RandomState(1))
    state = np.random.RandomState(1)
    assert run(state) != run(state)
    assert run(np.random.default_rng(1)) == run(np.random.default_rng(1))
    assert run(None) != run(None)


# ---- Arguments


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_clusters": 0}, ValueError, "n_clusters: expected 1"),
        ({"n_clusters": 7}, ValueError, "n_samples=6 should be >= n_clusters=7"),
        ({"n_clusters": 2.0}, TypeError, "n_clusters: expected an integer"),
        ({"n_clusters": True}, TypeError, "n_clusters: expected an integer"),
        ({"init": "best"}, ValueError, "init: expected one of"),
        ({"init": np.zeros((3, 2))}, ValueError, "init: expected 2 rows"),
        ({"init": np.zeros((2, 3))}, ValueError, "init: expected 2 columns"),
        ({"init": [[0, 0], [0, np.nan]]}, ValueError, "init: contains NaN"),
        ({"init": None}, TypeError, "init: expected"),
        ({"init": lambda *_, **__: np.zeros((1, 2))}, ValueError, "init: expected 2 rows"),
        ({"n_init": 0}, ValueError, "n_init: expected at least 1"),
        ({"n_init": "many"}, ValueError, "n_init: expected one of auto"),
        ({"n_init": 1.5}, TypeError, "n_init: expected an integer"),
        ({"max_iter": 0}, ValueError, "max_iter: expected at least 1"),
        ({"max_iter": None}, TypeError, "max_iter: expected an integer"),
        ({"tol": -1e-9}, ValueError, "tol: expected"),
        ({"tol": np.nan}, ValueError, "tol: expected"),
        ({"tol": np.inf}, ValueError, "tol: expected"),
        ({"tol": "0"}, TypeError, "tol: expected a number"),
        ({"tol": False}, TypeError, "tol: expected a number"),
        ({"random_state": -1}, ValueError, "random_state: expected at least 0"),
        ({"random_state": "0"}, TypeError, "random_state: expected"),
        ({"random_state": True}, TypeError, "random_state: expected"),
        ({"n_threads": 0}, ValueError, "n_threads: expected at least 1"),
        ({"n_threads": "2"}, TypeError, "n_threads: expected an integer"),
    ],
)
def test_impossible_arguments_are_refused_by_fit(arguments, error, message):
    model = KMeans(**{"n_clusters": 2, **arguments})  # never by __init__
    with pytest.raises(error, match=message):
        model.fit(np.arange(12.0).reshape(6, 2))
    assert not hasattr(model, "labels_")


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.zeros(4), ValueError, "Reshape your data"),
        (np.float64(4), ValueError, "Reshape your data"),
        (np.zeros((4, 2, 2)), ValueError, "Reshape your data"),
        (np.zeros((0, 2)), ValueError, r"0 sample\(s\)"),
        (np.zeros((4, 0)), ValueError, r"0 feature\(s\)"),
        ([[1.0, 2.0], [np.nan, 1.0]], ValueError, "NaN"),
        ([[1.0, 2.0], [np.inf, 1.0]], ValueError, "infinity"),
        ([[1.0, 2.0], [1e200, 1.0]], ValueError, "1e150"),
        ([[1.0, 2.0], [1.0]], ValueError, "X: "),
        ([[1.0, 2.0], [1j, 1.0]], ValueError, "Complex data not supported"),
        ([["a", "b"], ["c", "d"]], TypeError, "expected numbers"),
        (np.array([[1, {}], [2, 3]], object), TypeError, "a string or a real number"),
        (np.zeros((4, 2), "M8[s]"), TypeError, "expected numbers"),
        (np.ma.zeros((4, 2)), TypeError, "masked"),
        (None, TypeError, "Reshape your data|real number"),
    ],
)
def test_impossible_samples(X, error, message):
    model = KMeans(1)
    with pytest.raises((error, ValueError) if X is None else error, match=message):
        model.fit(X)
    model.fit([[1.0, 2.0], [3.0, 4.0]])
    for method in (model.predict, model.transform, model.score):
        with pytest.raises((error, ValueError) if X is None else error, match=message):
            method(X)


@pytest.mark.parametrize("method", ["predict", "transform", "score"])
def test_another_number_of_features(method):
    model = KMeans(1).fit([[1.0, 2.0]])
    with pytest.raises(ValueError, match="X has 3 features, but KMeans is expecting 2 features"):
        getattr(model, method)([[1.0, 2.0, 3.0]])


@pytest.mark.parametrize("method", ["predict", "transform", "score", "get_feature_names_out"])
def test_before_fit(method):
    arguments = () if method == "get_feature_names_out" else ([[1.0]],)
    for kind in (ValueError, AttributeError):
        with pytest.raises(kind, match="KMeans is not fitted yet"):
            getattr(KMeans(), method)(*arguments)


def test_own_classes_are_used_alone(monkeypatch):
    monkeypatch.delitem(sys.modules, "sklearn.exceptions", raising=False)
    with pytest.raises(NotFittedError):
        KMeans().predict([[1.0]])
    with pytest.warns(ConvergenceWarning):
        KMeans(2).fit([[1.0], [1.0]])


def test_every_kind_of_array(rng):
    X = whole(rng, 60, 3)
    want = fitted(KMeans(4, random_state=0).fit(X))
    forms = [
        X.tolist(), X.astype(int), X.astype(np.uint8), X.astype(np.float16), X.astype(object),
        X.astype(">f8"), np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2], X.astype(np.int8),
        X.astype(np.longdouble),
    ]  # fmt: skip
    for form in forms:
        model = KMeans(4, random_state=0).fit(form)
        assert fitted(model) == want
        assert model.cluster_centers_.dtype == np.float64
        np.testing.assert_array_equal(model.predict(form), model.labels_)
    assert KMeans(2).fit(X > 50).cluster_centers_.dtype == np.float64


def test_nothing_is_written_to(rng):
    X, weights = blobs(rng), rng.random(600)
    start = X[:5].copy()
    before = X.tobytes(), weights.tobytes(), start.tobytes()
    for array in (X, weights, start):
        array.flags.writeable = False
    model = KMeans(5, init=start).fit(X, sample_weight=weights)
    centers = model.cluster_centers_.tobytes()
    model.predict(X), model.transform(X), model.score(X, sample_weight=weights)
    assert before == (X.tobytes(), weights.tobytes(), start.tobytes())
    assert centers == model.cluster_centers_.tobytes()


@pytest.mark.parametrize(("of_fit", "of_predict"), [(np.float32, np.float64), (np.float64, "f4")])
def test_mixed_widths_are_compared_in_the_wider(rng, of_fit, of_predict):
    X = blobs(rng, dtype=np.float32)
    model = KMeans(5, random_state=0).fit(X.astype(of_fit))
    got = model.transform(X.astype(of_predict))
    assert got.dtype == np.float64
    centers = model.cluster_centers_.astype(float)
    exact = np.sqrt(((X[:, None].astype(float) - centers) ** 2).sum(axis=2))
    np.testing.assert_allclose(got, exact, rtol=1e-13)


@pytest.mark.parametrize("scale", [1e-30, 1e18, 1e30, 1e36])
def test_float32_of_any_magnitude(scale):
    X = (np.arange(30).reshape(10, 3) * scale).astype(np.float32)
    model = KMeans(10, init=X).fit(X)
    assert model.labels_.tolist() == list(range(10))
    far = KMeans(1, init=[[1e30] * 3]).fit(np.ones((2, 3), np.float32))
    assert far.cluster_centers_.tolist() == [[1, 1, 1]]


# ---- The protocol


def test_parameters():
    model = KMeans(3, tol=0)
    assert model.get_params() == {
        "n_clusters": 3, "init": "k-means++", "n_init": "auto", "max_iter": 300, "tol": 0,
        "random_state": None, "n_threads": None,
    }  # fmt: skip
    assert model.set_params(n_clusters=4, init=[[1]]) is model
    assert repr(model) == "KMeans(n_clusters=4, init=[[1]], tol=0)"
    assert repr(KMeans(init=np.zeros((1, 2)))) == "KMeans(init=array([[0., 0.]]))"
    with pytest.raises(ValueError, match="K: not a parameter of KMeans"):
        model.set_params(max_iter=7, K=3)
    assert model.max_iter == 300
    with pytest.raises(TypeError):
        KMeans(3, "random")


def test_results_of_one_call_are_those_of_two(rng):
    X = blobs(rng)
    model = KMeans(5, random_state=0)
    assert model.fit(X) is model
    np.testing.assert_array_equal(model.transform(X), KMeans(5, random_state=0).fit_transform(X))
    np.testing.assert_array_equal(model.labels_, KMeans(5, random_state=0).fit_predict(X, X[:, 0]))
    assert model.n_features_in_ == 3


class Frame:
    """As much of a data frame as is asked for."""

    def __init__(self, X, columns):
        self.X, self.columns = X, columns

    def __array__(self, dtype=None, copy=None):
        return np.array(self.X, dtype)


def test_names_of_columns(rng):
    X = blobs(rng, 30)
    model = KMeans(2, random_state=0).fit(Frame(X, ["a", "b", "c"]))
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    assert model.get_feature_names_out().tolist() == ["kmeans0", "kmeans1"]
    assert model.get_feature_names_out(["a", "b", "c"]).tolist() == ["kmeans0", "kmeans1"]
    with pytest.raises(ValueError, match="input_features is not equal"):
        model.get_feature_names_out(["a", "b", "d"])
    np.testing.assert_array_equal(model.predict(Frame(X, ["a", "b", "c"])), model.labels_)
    with pytest.raises(ValueError, match="same order"):
        model.predict(Frame(X, ["b", "a", "c"]))
    with pytest.raises(ValueError, match="unseen at fit time:\n- d\n") as error:
        model.predict(Frame(X, ["a", "b", "d"]))
    assert "now missing:\n- c\n" in str(error.value)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)
    model.fit(X)
    assert not hasattr(model, "feature_names_in_")
    with pytest.raises(ValueError, match="input_features should have length"):
        model.get_feature_names_out(["a"])
    with pytest.warns(UserWarning, match="fitted without feature names"):
        model.predict(Frame(X, ["a", "b", "c"]))
    assert not hasattr(model.fit(Frame(X, [1, 2, 3])), "feature_names_in_")
    with pytest.raises(TypeError, match="string names"):
        model.fit(Frame(X, ["a", 2, 3]))


def test_many_unseen_names_are_cut_short(rng):
    model = KMeans(2).fit(Frame(np.eye(9), list("abcdefghi")))
    with pytest.raises(ValueError, match=r"- 4\n- \.\.\.\n"):
        model.predict(Frame(np.eye(9), list("012345678")))


def test_set_output_knows_its_words():
    model = KMeans(1)
    assert model.set_output(transform="default") is model
    assert model.set_output() is model
    assert isinstance(model.fit_transform([[1.0]]), np.ndarray)
    with pytest.raises(ValueError, match="transform: expected one of"):
        model.set_output(transform="list")


@pytest.mark.parametrize("name", ["pandas", "polars"])
def test_transform_returns_a_data_frame(name, rng):
    library = pytest.importorskip(name, reason="an optional data frame")
    X = blobs(rng, 30)
    model = KMeans(2, random_state=0).fit(X)
    plainly = model.transform(X)
    frame = model.set_output(transform=name).transform(X)
    assert isinstance(frame, library.DataFrame)
    assert list(frame.columns) == ["kmeans0", "kmeans1"]
    np.testing.assert_array_equal(frame.to_numpy(), plainly)
    if name == "pandas":
        indexed = library.DataFrame(X, index=range(100, 130))
        assert model.transform(indexed).index.tolist() == list(range(100, 130))


def test_a_fitted_model_is_copied_and_pickled(rng):
    X = blobs(rng)
    model = KMeans(5, random_state=0).fit(X)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert fitted(other) == fitted(model)
        np.testing.assert_array_equal(other.predict(X), model.labels_)
        assert repr(other) == repr(model)


def test_a_fit_that_fails_leaves_the_one_before(rng):
    X = blobs(rng)
    model = KMeans(5, random_state=0).fit(X)
    before = fitted(model)

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    model.set_params(init=interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X[:, :2])
    assert fitted(model) == before
    assert model.n_features_in_ == 3


def test_fits_at_the_same_time_do_not_disturb_each_other(rng):
    X = rng.standard_normal((6000, 5))
    model = KMeans(9, random_state=0).fit(X)
    with ThreadPoolExecutor(4) as pool:
        fits = [pool.submit(KMeans(9, random_state=0, n_threads=2).fit, X) for _ in range(8)]
        guesses = [pool.submit(model.predict, X) for _ in range(8)]
        assert {fitted(one.result()) for one in fits} == {fitted(model)}
        for one in guesses:
            np.testing.assert_array_equal(one.result(), model.labels_)


@pytest.mark.parametrize("init", ["k-means++", "array"])
def test_memory_does_not_grow_with_samples_times_clusters(rng, init):
    X = rng.standard_normal((100_000, 3))
    K = 200
    model = KMeans(K, init=X[:K] if init == "array" else init, max_iter=2, n_threads=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tracemalloc.start()
        model.fit(X)
        model.predict(X)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 8 * len(X) * (K // 10)


def test_neither_scikit_learn_nor_pandas_is_loaded(tmp_path):
    script = (
        "import sys, kmeans_c; kmeans_c.KMeans(1).fit([[1.0]]).transform([[2.0]]);"
        "print({'sklearn', 'pandas', 'scipy', 'polars'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
