"""`KMeans` among scikit-learn's own: common checks, its tools, and its KMeans as a reference."""

import pickle
import warnings

import numpy as np
import pytest

import kmeans_c

sklearn = pytest.importorskip("sklearn", minversion="1.6", reason="the optional scikit-learn")

from sklearn import base, cluster, config_context, exceptions, pipeline  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils import estimator_checks  # noqa: E402
from sklearn.utils.validation import check_is_fitted  # noqa: E402
from threadpoolctl import threadpool_limits  # noqa: E402

# check_estimator runs these for subclasses of its own mixins, or for its own estimators only.
FURTHER = [
    "check_clusterer_compute_labels_predict",
    "check_clustering",
    "check_dataframe_column_names_consistency",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_n_features_in_after_fitting",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
]


def collected():
    with warnings.catch_warnings():
        # It is not a subclass of BaseEstimator, on purpose.
        warnings.filterwarnings("ignore", "Estimator KMeans does not inherit", UserWarning)
        warnings.simplefilter("ignore", exceptions.SkipTestWarning)
        mark = estimator_checks.parametrize_with_checks([kmeans_c.KMeans()])
        names, cases = mark.args
        return pytest.mark.parametrize(names, list(cases), **mark.kwargs)  # older ones generate


@collected()
@pytest.mark.filterwarnings("ignore:Estimator KMeans does not inherit:UserWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_common_checks(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore:Estimator KMeans does not inherit:UserWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize("arguments", [{}, {"init": "random"}, {"n_clusters": 2, "n_init": 3}])
def test_check_estimator(arguments):
    estimator_checks.check_estimator(kmeans_c.KMeans(**arguments))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:X .*feature names:UserWarning")
@pytest.mark.parametrize("name", FURTHER)
def test_checks_of_scikit_learns_own(name):
    check = getattr(estimator_checks, name, None)
    if check is None:
        pytest.skip(f"this scikit-learn has no {name}")
    try:
        check("KMeans", kmeans_c.KMeans(3, random_state=0))
    except estimator_checks.SkipTest as reason:
        pytest.skip(str(reason))


@pytest.fixture(autouse=True)
def _one_thread():
    """On a busy machine OpenMP's threads wait for each other longer than they work."""
    with threadpool_limits(1):
        yield


def cloud(rng, N, D, dtype):
    centers = 3 * rng.standard_normal((12, D))
    return (centers[rng.integers(0, 12, N)] + rng.standard_normal((N, D))).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("D", "K"), [(1, 3), (3, 16), (16, 10), (40, 24)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("settings", [{"tol": 0}, {}, {"tol": 0, "max_iter": 3}])
def test_it_finds_what_scikit_learn_finds(rng, dtype, D, K, weighted, settings):  # noqa: PLR0917
    X = cloud(rng, 3000, D, dtype)
    weights = rng.random(3000) if weighted else None
    theirs = cluster.KMeans(K, init=X[:K], n_init=1, **settings).fit(X, sample_weight=weights)
    ours = kmeans_c.KMeans(K, init=X[:K], n_init=1, **settings).fit(X, sample_weight=weights)
    if dtype == np.float64:
        assert ours.n_iter_ == theirs.n_iter_
        np.testing.assert_array_equal(ours.labels_, theirs.labels_)
        np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, rtol=1e-6)
        np.testing.assert_allclose(ours.transform(X), theirs.transform(X), rtol=1e-6)
    assert ours.inertia_ == pytest.approx(
        theirs.inertia_, rel=1e-3 if dtype == np.float32 else 1e-9
    )
    ours.cluster_centers_ = theirs.cluster_centers_
    assert (ours.predict(X) == theirs.predict(X)).mean() > 0.999
    tight = 1e-4 if dtype == np.float32 else 1e-10
    np.testing.assert_allclose(ours.transform(X), theirs.transform(X), rtol=tight, atol=tight)
    assert ours.score(X, sample_weight=weights) == pytest.approx(
        theirs.score(X, sample_weight=weights), rel=tight
    )


def test_its_starts_are_as_good(rng):
    X = cloud(rng, 2000, 4, np.float64)
    both = [
        np.mean([kind(12, n_init=1, random_state=seed).fit(X).inertia_ for seed in range(10)])
        for kind in (kmeans_c.KMeans, cluster.KMeans)
    ]
    assert both[0] < 1.1 * both[1]


def test_clone_and_pickle(rng):
    X = cloud(rng, 300, 3, np.float64)
    start = X[:4]
    model = kmeans_c.KMeans(4, init=start, max_iter=7).fit(X)
    other = base.clone(model)
    assert other.get_params() == {**model.get_params(), "init": other.init}
    np.testing.assert_array_equal(other.init, start)
    assert not hasattr(other, "labels_")
    other.fit(X)
    np.testing.assert_array_equal(
        other.transform(X), pickle.loads(pickle.dumps(model)).transform(X)
    )


def test_what_comes_out_is_cloned_and_pickled(rng):
    pytest.importorskip("pandas", reason="an optional data frame")
    X = cloud(rng, 300, 3, np.float64)
    model = kmeans_c.KMeans(4, random_state=0).set_output(transform="pandas").fit(X)
    frames = [m.transform(X) for m in (base.clone(model).fit(X), pickle.loads(pickle.dumps(model)))]
    assert frames[0].equals(frames[1])
    steps = pipeline.make_pipeline(StandardScaler(), model).set_output(transform="pandas")
    assert steps.fit(X).transform(X).columns.tolist() == [f"kmeans{k}" for k in range(4)]


def test_in_a_pipeline_and_a_search(rng):
    X = cloud(rng, 300, 3, np.float64)
    steps = pipeline.make_pipeline(StandardScaler(), kmeans_c.KMeans(4, random_state=0))
    steps.fit(X, kmeans__sample_weight=rng.random(300))
    assert steps.predict(X).shape == (300,)
    assert "KMeans" in steps._repr_html_()
    assert steps.get_feature_names_out().tolist() == [f"kmeans{k}" for k in range(4)]
    search = GridSearchCV(kmeans_c.KMeans(random_state=0), {"n_clusters": [2, 5]}, cv=3).fit(X)
    assert search.best_params_ == {"n_clusters": 5}


def test_it_is_taken_for_what_it_is():
    model = kmeans_c.KMeans(1)
    assert base.is_clusterer(model)
    with pytest.raises(exceptions.NotFittedError):
        check_is_fitted(model)
    check_is_fitted(model.fit([[1.0]]))


def test_scikit_learns_own_classes_are_used():
    with pytest.raises(exceptions.NotFittedError):
        kmeans_c.KMeans().predict([[1.0]])
    with pytest.warns(exceptions.ConvergenceWarning):
        kmeans_c.KMeans(2).fit([[1.0], [1.0]])


def test_its_global_container_is_respected():
    pandas = pytest.importorskip("pandas", reason="an optional data frame")
    model = kmeans_c.KMeans(1).fit([[1.0]])
    with config_context(transform_output="pandas"):
        assert isinstance(model.transform([[1.0]]), pandas.DataFrame)
        assert isinstance(model.set_output(transform="default").transform([[1.0]]), np.ndarray)


def test_sparse_input_is_refused_in_words():
    sparse = pytest.importorskip("scipy.sparse", reason="comes with scikit-learn")
    for kind in (sparse.csr_array, sparse.coo_matrix):
        with pytest.raises(TypeError, match=r"sparse input is not supported.*X\.toarray\(\)"):
            kmeans_c.KMeans(1).fit(kind(np.eye(3)))
