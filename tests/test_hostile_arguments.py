"""What the four steps say to arguments of the wrong kind or value, and to odd memory layouts."""

import numpy as np
import pytest

import kmeans_c

X = np.arange(60, dtype=np.float64).reshape(20, 3)
C = X[:4]
LABELS = np.arange(20) % 4

CALLS = {
    "initialize_centroids": lambda data: kmeans_c.initialize_centroids(data, 2, seed=0),
    "get_centroid_indices": lambda data: kmeans_c.get_centroid_indices(data, C),
    "get_centroid_values": lambda data: kmeans_c.get_centroid_values(data, LABELS, 4),
    "apply_k_means": lambda data: kmeans_c.apply_k_means(data, C),
}


@pytest.fixture(params=CALLS)
def call(request):
    return CALLS[request.param]


WRONG_KIND = {
    "None": None,
    "str": "data",
    "int": 5,
    "dict": {"a": 1},
    "generator": (row for row in X),
    "complex": X.astype(complex),
    "object": X.astype(object),
    "bool": X > 3,
    "datetime": X.astype("datetime64[s]"),
    "bytes": X.astype("S8"),
    "structured": np.zeros(20, [("r", "f4"), ("g", "f4")]),
    "masked": np.ma.masked_less(X, 5),
}


@pytest.mark.parametrize("kind", WRONG_KIND)
def test_data_of_the_wrong_kind(call, kind):
    error = ValueError if kind == "int" else TypeError
    with pytest.raises(error, match=r"^X: "):
        call(WRONG_KIND[kind])


@pytest.mark.parametrize(
    "shape", [(), (20,), (0, 3), (20, 0), (0, 0), (20, 3, 1), (2, 3, 4, 5)], ids=str
)
def test_data_of_an_impossible_shape(call, shape):
    with pytest.raises(ValueError, match=r"^X: expected (shape|at least)"):
        call(np.ones(shape))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0), (9, 1), (19, 2)])
def test_data_that_is_not_finite(call, dtype, bad, place):
    data = X.astype(dtype)
    data[place] = bad
    with pytest.raises(ValueError, match=r"^X: contains NaN or infinity"):
        call(data)


def test_long_doubles_beyond_float64(call):
    if np.finfo(np.longdouble).max > 1e4000:
        with pytest.raises(ValueError, match=r"^X: contains NaN or infinity"):
            call((X + 1).astype(np.longdouble) * np.longdouble("1e4000"))


def test_rows_of_different_lengths(call):
    with pytest.raises(ValueError, match=r"^X: "):
        call([[1.0, 2.0], [3.0]])


def test_numbers_whose_squares_overflow(call):
    with pytest.raises(ValueError, match=r"^X: expected magnitudes up to 1e150, got 6e"):
        call((X + 1) * 1e160)


@pytest.mark.parametrize(
    "dtype", ["u1", "i1", "u2", ">u2", "i4", ">i4", "u8", "i8", "f2", "f4", ">f4", "f8", ">f8", "g"]
)
def test_every_number_type_gives_what_float64_gives(dtype):
    data = X.astype(dtype)
    centroids, labels = kmeans_c.apply_k_means(data, C)
    expected, expected_labels = kmeans_c.apply_k_means(X, C)
    np.testing.assert_array_equal(labels, expected_labels)
    np.testing.assert_allclose(centroids, expected, rtol=1e-6)
    assert centroids.dtype == (np.float32 if dtype in ("f2", "f4", ">f4") else np.float64)


def layouts():
    base = np.random.default_rng(0).integers(0, 256, (40, 12)).astype(np.float32)
    unaligned = np.frombuffer(b"\0" + base.tobytes(), np.uint8)[1:].view(np.float32).reshape(40, 12)
    readonly = base.copy()
    readonly.flags.writeable = False
    yield "negative strides", base[::-1, ::-1]
    yield "sliced", base[::2, 1::3]
    yield "fortran", np.asfortranarray(base)
    yield "transposed", base.T
    yield "broadcast", np.broadcast_to(base[:1], (40, 12))
    yield "overlapping", np.lib.stride_tricks.sliding_window_view(base[0], 3)
    yield "unaligned", unaligned
    yield "read-only", readonly
    yield "big-endian", base.astype(">f4")
    yield "list", base.tolist()
    yield "matrix-like", np.asarray(base).view(type("Sub", (np.ndarray,), {}))


LAYOUTS = dict(layouts())


@pytest.mark.parametrize("name", LAYOUTS)
def test_memory_layout_changes_no_byte(name):
    data = LAYOUTS[name]
    plain = np.array(data, dtype=np.float64 if name == "list" else np.float32, order="C")
    before = np.array(data, copy=True)
    start = plain[:3]
    got, labels = kmeans_c.apply_k_means(data, start, 3)
    expected, expected_labels = kmeans_c.apply_k_means(plain, start, 3)
    assert got.tobytes() == expected.tobytes()
    assert labels.tobytes() == expected_labels.tobytes()
    np.testing.assert_array_equal(np.array(data), before)


def test_a_memory_map_is_read_in_place(tmp_path):
    np.save(tmp_path / "x.npy", X)
    data = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(
        kmeans_c.get_centroid_indices(data, C), kmeans_c.get_centroid_indices(X, C)
    )


def test_nothing_returned_shares_memory_with_an_argument():
    data, start = X.copy(), C.copy()
    centroids, _ = kmeans_c.apply_k_means(data, start, 0)
    assert not np.may_share_memory(centroids, start)
    assert not np.may_share_memory(kmeans_c.initialize_centroids(data, 20, seed=0), data)
    assert data.tobytes() == X.tobytes()
    assert start.tobytes() == C.tobytes()


INTEGERS_OF_THE_WRONG_KIND = [None, 2.0, "2", True, np.bool_(1), float("nan"), [2]]


@pytest.mark.parametrize("K", INTEGERS_OF_THE_WRONG_KIND, ids=repr)
def test_k_of_the_wrong_kind(K):
    with pytest.raises(TypeError, match=r"^K: expected an integer, got "):
        kmeans_c.initialize_centroids(X, K)
    with pytest.raises(TypeError, match=r"^K: expected an integer, got "):
        kmeans_c.get_centroid_values(X, LABELS, K)


@pytest.mark.parametrize("K", [0, -1, -(2**31), 21, 2**31, 2**64])
def test_impossible_k(K):
    with pytest.raises(ValueError, match=r"^K: expected 1\.\.20, got "):
        kmeans_c.initialize_centroids(X, K)
    with pytest.raises(ValueError, match=r"^K: expected 1\.\."):
        kmeans_c.get_centroid_values(X, np.zeros(20, int), K)


def test_numpy_integers_are_integers():
    assert len(kmeans_c.initialize_centroids(X, np.int8(3), seed=np.uint64(2**63))) == 3


@pytest.mark.parametrize("ITERS", INTEGERS_OF_THE_WRONG_KIND, ids=repr)
def test_iters_of_the_wrong_kind(ITERS):
    with pytest.raises(TypeError, match=r"^ITERS: expected an integer, got "):
        kmeans_c.apply_k_means(X, C, ITERS)


def test_impossible_iters():
    with pytest.raises(ValueError, match=r"^ITERS: expected at least 0, got -1"):
        kmeans_c.apply_k_means(X, C, -1)


@pytest.mark.parametrize("n_threads", [2.0, "2", [1], True])
def test_n_threads_of_the_wrong_kind(n_threads):
    with pytest.raises(TypeError, match=r"^n_threads: expected an integer or None, got "):
        kmeans_c.get_centroid_indices(X, C, n_threads=n_threads)


@pytest.mark.parametrize("n_threads", [0, -1, -(10**9)])
def test_impossible_n_threads(n_threads):
    with pytest.raises(ValueError, match=r"^n_threads: expected at least 1, got "):
        kmeans_c.get_centroid_indices(X, C, n_threads=n_threads)


@pytest.mark.parametrize("seed", [1.0, "1", [1], True, np.random.RandomState(1)], ids=type)
def test_seed_of_the_wrong_kind(seed):
    with pytest.raises(
        TypeError, match=r"^seed: expected an integer, a numpy Generator or None, got "
    ):
        kmeans_c.initialize_centroids(X, 2, seed=seed)


def test_impossible_seed():
    with pytest.raises(ValueError, match=r"^seed: expected at least 0, got -1"):
        kmeans_c.initialize_centroids(X, 2, seed=-1)
    assert len(kmeans_c.initialize_centroids(X, 2, seed=2**64)) == 2


def test_unknown_init():
    with pytest.raises(ValueError, match=r"^init: expected one of random, k-means\+\+, got 'wu'"):
        kmeans_c.initialize_centroids(X, 2, init="wu")
    with pytest.raises(TypeError, match=r"^init: expected a str, got int"):
        kmeans_c.initialize_centroids(X, 2, init=1)


@pytest.mark.parametrize(
    ("centroids", "error", "message"),
    [
        (None, TypeError, "centroids: expected integers or floats"),
        (np.full((2, 3), np.nan), ValueError, "centroids: contains NaN"),
        (np.zeros((2, 2)), ValueError, "centroids: expected 3 columns as in X, got 2"),
        (np.zeros((0, 3)), ValueError, "centroids: expected at least one row"),
        (np.zeros(3), ValueError, "centroids: expected shape"),
        (np.zeros((21, 3)), ValueError, "centroids: expected at most 20, the rows of X, got 21"),
    ],
)
def test_impossible_centroids(centroids, error, message):
    with pytest.raises(error, match=f"^{message}"):
        kmeans_c.apply_k_means(X, centroids)


def test_more_centroids_than_points_can_be_looked_up():
    assert kmeans_c.get_centroid_indices(X[:2], X).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        (None, TypeError, "indices: expected integers, got dtype object"),
        (np.ma.masked_less(LABELS, 2), TypeError, "indices: expected an array without a mask"),
        (LABELS.astype(float), TypeError, "indices: expected integers, got dtype float64"),
        (LABELS[:19], ValueError, "indices: expected shape"),
        (LABELS[:, None], ValueError, "indices: expected shape"),
        (LABELS + 1, ValueError, r"indices: expected 0\.\.3, got 4"),
        (LABELS - 1, ValueError, r"indices: expected 0\.\.3, got -1"),
        (LABELS + 2**32, ValueError, r"indices: expected 0\.\.3, got 4294967299"),
        (
            np.full(20, 2**64 - 1, np.uint64),
            ValueError,
            r"indices: expected 0\.\.3, got 18446744073709551615",
        ),
    ],
)
def test_impossible_indices(indices, error, message):
    with pytest.raises(error, match=f"^{message}"):
        kmeans_c.get_centroid_values(X, indices, 4)


def test_a_view_larger_than_memory_is_an_error_and_no_crash():
    huge = np.lib.stride_tricks.as_strided(X[:1, :1], (2**38, 2**20), (0, 0))
    with pytest.raises((ValueError, MemoryError)):
        kmeans_c.get_centroid_indices(huge, np.zeros((1, 2**20)))
