"""Arrays as arguments: rows of different lengths, objects, and views larger than any memory.

Whatever NumPy would say, the error names the argument and what was expected.
"""

import numpy as np
import pytest

import kmeans_c

IMAGE = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
X = IMAGE.reshape(-1, 3).astype(np.float64)
RAGGED = [[1, 2], [3]]
LARGE = np.broadcast_to(1.0, (1 << 56, 3))
MODEL = kmeans_c.KMeans(3, random_state=0).fit(X)

# The argument that is named, and a call that takes a value for it.
CALLS = {
    "KMeans.fit": ("X", lambda v: kmeans_c.KMeans(2).fit(v)),
    "KMeans.fit_predict": ("X", lambda v: kmeans_c.KMeans(2).fit_predict(v)),
    "KMeans.predict": ("X", MODEL.predict),
    "KMeans.transform": ("X", MODEL.transform),
    "KMeans.score": ("X", MODEL.score),
    "fit, sample_weight": (
        "sample_weight",
        lambda v: kmeans_c.KMeans(2).fit(X, sample_weight=v),
    ),
    "score, sample_weight": ("sample_weight", lambda v: MODEL.score(X, sample_weight=v)),
    "KMeans, init": ("init", lambda v: kmeans_c.KMeans(2, init=v).fit(X)),
    "KMeans, init that is called": (
        "init",
        lambda v: kmeans_c.KMeans(2, init=lambda *_, **__: v, n_init=1).fit(X),
    ),
    "initialize_centroids": ("X", lambda v: kmeans_c.initialize_centroids(v, 2)),
    "get_centroid_indices": ("X", lambda v: kmeans_c.get_centroid_indices(v, X[:2])),
    "get_centroid_indices, centroids": (
        "centroids",
        lambda v: kmeans_c.get_centroid_indices(X, v),
    ),
    "get_centroid_values": ("X", lambda v: kmeans_c.get_centroid_values(v, [0], 1)),
    "get_centroid_values, indices": (
        "indices",
        lambda v: kmeans_c.get_centroid_values(X, v, 2),
    ),
    "apply_k_means": ("X", lambda v: kmeans_c.apply_k_means(v, X[:2])),
    "apply_k_means, centroids": ("centroids", lambda v: kmeans_c.apply_k_means(X, v)),
    "quantize, weights": ("weights", lambda v: kmeans_c.quantize(IMAGE, weights=v)),
    "quantize, keep": ("keep", lambda v: kmeans_c.quantize(IMAGE, keep=v)),
    "quantize, init": ("init", lambda v: kmeans_c.quantize(IMAGE, 2, init=v)),
    "quantize, palette": ("palette", lambda v: kmeans_c.quantize(IMAGE, palette=v)),
    "quantize_auto, keep": ("keep", lambda v: kmeans_c.quantize_auto(IMAGE, keep=v)),
    "Palette": ("palette", kmeans_c.Palette),
    "Palette, counts": ("counts", lambda v: kmeans_c.Palette([[1, 2, 3]], v)),
    "Palette.fit, keep": (
        "keep",
        lambda v: kmeans_c.Palette.fit(kmeans_c.Histogram().add(IMAGE), 3, keep=v),
    ),
    "Histogram.add, weights": ("weights", lambda v: kmeans_c.Histogram().add(IMAGE, v)),
}

GIANT = np.broadcast_to(np.uint8(1), (1 << 30, 1 << 30, 3))
IMAGES = {
    "quantize": kmeans_c.quantize,
    "quantize_auto": kmeans_c.quantize_auto,
    "quantize_to_size": lambda image: kmeans_c.quantize_to_size(image, 1000),
    "quantize_quality": lambda image: kmeans_c.quantize_quality(image, 50),
    "sweep": kmeans_c.sweep,
    "Palette.map": kmeans_c.Palette([[0, 0, 0]]).map,
    "delta_e": lambda image: kmeans_c.delta_e(image, kmeans_c.quantize(IMAGE, 2)),
}


@pytest.mark.parametrize("call", CALLS)
def test_rows_of_different_lengths(call):
    name, function = CALLS[call]
    with pytest.raises(ValueError, match=rf"^{name}: expected rows of equal length$"):
        function(RAGGED)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("value", [object(), [object()] * 20], ids=["object", "list"])
def test_objects(call, value):
    name, function = CALLS[call]
    with pytest.raises((TypeError, ValueError), match=rf"^{name}: expected "):
        function(value)


@pytest.mark.parametrize("call", CALLS)
def test_views_larger_than_any_memory(call):
    name, function = CALLS[call]
    with pytest.raises(
        ValueError, match=rf"^{name}: expected (at most 2\^47 bytes|[01]\.\.65536 colours), got"
    ):
        function(LARGE)


@pytest.mark.parametrize("call", IMAGES)
def test_images_larger_than_any_memory(call):
    with pytest.raises(ValueError, match=r"^image: expected at most 2\^47 bytes, got shape"):
        IMAGES[call](GIANT)


def test_indices_larger_than_any_memory():
    found = kmeans_c.quantize(IMAGE, 2)
    object.__setattr__(found, "indices", np.broadcast_to(np.uint8(0), (1 << 30, 1 << 30)))
    with pytest.raises(ValueError, match=r"^quantized\.indices: expected at most 2\^47 bytes"):
        kmeans_c.delta_e(IMAGE, found)


@pytest.mark.parametrize(
    "weights",
    [object(), [object()] * 20, [None] * 20, ["a"] * 20, [[]] * 20],
    ids=["object", "objects", "None", "text", "lists"],
)
def test_sample_weights_that_are_no_numbers(weights):
    weights = np.array(weights, object)
    with pytest.raises((TypeError, ValueError), match=r"^sample_weight: expected "):
        kmeans_c.KMeans(2).fit(X, sample_weight=weights)


ITERABLES = {
    "memoryview of three dimensions": memoryview(np.zeros((3, 3, 3), np.uint8)),
    "array without dimensions": np.array(3),
    "number": 3,
    "str": "234",
    "bytes": b"234",
    "None in a list": [None],
    "array of two dimensions": np.full((2, 2), 3),
}


@pytest.mark.parametrize("value", ITERABLES)
def test_iterables_of_the_wrong_kind(value):
    with pytest.raises(TypeError, match=r"^Ks: expected (integers|an integer), got "):
        kmeans_c.sweep(IMAGE, ITERABLES[value])
    with pytest.raises((TypeError, ValueError), match=r"^names: expected "):
        kmeans_c.Palette([[0, 0, 0]], names=ITERABLES[value])


def test_more_numbers_of_colours_than_any_memory_holds():
    with pytest.raises(ValueError, match=r"^Ks: expected at most 2\^47 bytes"):
        kmeans_c.sweep(IMAGE, np.broadcast_to(3, (1 << 58,)))


# ---- fitted attributes that were changed


USES = {
    "get_feature_names_out": lambda m: m.get_feature_names_out(),
    "get_feature_names_out of names": lambda m: m.get_feature_names_out(["a", "b", "c"]),
    "predict": lambda m: m.predict(X),
    "transform": lambda m: m.transform(X),
    "score": lambda m: m.score(X),
}
WRONG = {
    "None": None,
    "ragged": RAGGED,
    "large": LARGE,
    "object": object(),
    "text": "abc",
    "one column": np.zeros((3, 1)),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize("name", ["cluster_centers_", "n_features_in_", "feature_names_in_"])
def test_fitted_attributes_that_were_changed(name, value, use):
    model = kmeans_c.KMeans(3, random_state=0).fit(X)
    setattr(model, name, WRONG[value])
    if (name, value) == ("feature_names_in_", "None"):  # as of data without names
        USES[use](model)
        return
    with pytest.raises((TypeError, ValueError), match=rf"^{name}: expected "):
        USES[use](model)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", ["labels_", "inertia_", "n_iter_"])
@pytest.mark.parametrize("value", WRONG)
def test_results_of_a_fit_are_not_read_again(name, value, use):
    model = kmeans_c.KMeans(3, random_state=0).fit(X)
    expected = USES[use](model)
    setattr(model, name, WRONG[value])
    np.testing.assert_array_equal(USES[use](model), expected)
    assert model.fit_predict(X).shape == (len(X),)


@pytest.mark.parametrize("use", USES)
def test_a_deleted_attribute(use):
    for name in ("cluster_centers_", "n_features_in_"):
        model = kmeans_c.KMeans(3, random_state=0).fit(X)
        delattr(model, name)
        with pytest.raises(AttributeError, match=r"^this KMeans .*: call fit"):
            USES[use](model)


@pytest.mark.parametrize("names", [["a", None, "b"], ["a", "b"], np.zeros(3)], ids=repr)
def test_feature_names_that_were_changed(names):
    model = kmeans_c.KMeans(3, random_state=0).fit(X)
    model.feature_names_in_ = np.array(names, object) if isinstance(names, list) else names
    for use in USES.values():
        with pytest.raises((TypeError, ValueError), match=r"^feature_names_in_: expected "):
            use(model)


@pytest.mark.parametrize("features", [np.array("a"), np.full((3, 1), "a"), LARGE, 5], ids=np.shape)
def test_input_features_of_another_shape(features):
    with pytest.raises(ValueError, match=r"^input_features: expected "):
        MODEL.get_feature_names_out(features)


def test_init_of_another_model():
    model = kmeans_c.KMeans(3, random_state=0).fit(X)
    again = kmeans_c.KMeans(3, init=model.cluster_centers_).fit_predict(X)
    np.testing.assert_array_equal(again, model.labels_)


@pytest.mark.parametrize("value", [object(), ["pandas"], np.array(["pandas", "polars"])], ids=type)
def test_containers_of_the_wrong_kind(value):
    with pytest.raises(TypeError, match=r"^transform: expected a str"):
        kmeans_c.KMeans(3).set_output(transform=value)


@pytest.mark.parametrize(
    "colors", [["red", 5], ["red", None], ["red", np.array(5)], ["red", b"abc"]], ids=repr
)
def test_text_beside_what_is_no_colour(colors):
    for name, call in (CALLS["quantize, keep"], CALLS["quantize, palette"], CALLS["Palette"]):
        with pytest.raises((TypeError, ValueError), match=rf"^{name}: expected "):
            call(colors)


def test_text_beside_a_row_of_another_length():
    with pytest.raises(ValueError, match=r"^keep: expected rows of equal length"):
        kmeans_c.quantize(IMAGE, keep=["red", [1, 2]])
