"""What must not be lost: colours to keep, pixels that matter more, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kmeans_c
from kmeans_c import Histogram, Palette
from kmeans_c.histogram import MAX_TOTAL
from kmeans_c.spaces import SPACES
from kmeans_c.weights import SCALE, as_importance

PROPERTY = settings(max_examples=80, deadline=None)


def photo(channels=3, shape=(40, 50)):
    rng = np.random.default_rng(7)
    y, x = np.mgrid[: shape[0], : shape[1]]
    planes = np.stack([4 * x + y, 200 - 3 * y, 5 * np.abs(x - y), 255 - 5 * x][:channels], axis=2)
    return np.clip(planes + rng.normal(0, 8, planes.shape), 0, 255).astype(np.uint8)


def rows(palette):
    return [tuple(row) for row in palette.tolist()]


def bytes_of(result):
    return result.palette.tobytes(), result.indices.tobytes(), result.counts.tobytes(), result.mse


def nearest(pixels, palette):
    """By comparison of everything with everything."""
    apart = pixels.astype(int)[:, :, None] - palette.astype(int)
    return (apart**2).sum(axis=3).argmin(axis=2)


# ---- keep


@pytest.mark.parametrize(
    "keep",
    [
        ["red", "#0f0", "rgb(1, 2, 3)"],
        [(255, 0, 0), (0, 255, 0), (1, 2, 3)],
        np.array([[255, 0, 0], [0, 255, 0], [1, 2, 3]], np.int64),
        [[255, 0, 0, 255], [0, 255, 0, 255], [1, 2, 3, 255]],
        ["#ff0000ff", (0, 255, 0), "#010203"],
    ],
    ids=["text", "tuples", "array", "opaque RGBA", "mixed"],
)
@pytest.mark.parametrize("init", ["search", "splitting", "k-means++", "random"])
def test_colours_that_are_not_in_the_image_are_kept_exactly(keep, init):
    image = photo()
    result = kmeans_c.quantize(image, 8, keep=keep, init=init)
    assert {(255, 0, 0), (0, 255, 0), (1, 2, 3)} <= set(rows(result.palette))
    assert result.palette.shape == (8, 3)
    assert len(set(rows(result.palette))) == 8
    np.testing.assert_array_equal(result.indices, nearest(image, result.palette))
    free = [row not in {(255, 0, 0), (0, 255, 0), (1, 2, 3)} for row in rows(result.palette)]
    assert (result.counts[free] > 0).all()


@PROPERTY
@given(
    K=st.integers(1, 12),
    number=st.integers(0, 12),
    space=st.sampled_from(SPACES),
    channels=st.sampled_from([3, 4]),
    weigh=st.booleans(),
    ITERS=st.sampled_from([0, 3, None]),
    seed=st.integers(0, 2**32),
)
def test_kept_colours_are_there_for_every_space_and_weight(
    *, K, number, space, channels, weigh, ITERS, seed
):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (6, 6, channels), dtype=np.uint8)
    if channels == 4:  # neither end of alpha, which need entries beside those that are kept
        image[..., 3] = image[..., 3] // 2 + 127
    colors = np.unique(np.concatenate([image.reshape(-1, channels)[:3],
                                       rng.integers(1, 256, (20, channels))]), axis=0)  # fmt: skip
    keep = rng.permutation(colors)[: min(number, K)]
    weights = rng.integers(0, 5, (6, 6)) + np.eye(6, dtype=int) if weigh else None
    result = kmeans_c.quantize(
        image, K, ITERS, keep=keep, space=space, weights=weights, effort="fast"
    )
    assert {tuple(c) for c in keep.tolist()} <= set(rows(result.palette))
    assert len(set(rows(result.palette))) == len(result.palette) == K
    assert result.counts.sum() == 36


def test_a_rare_red_stays_red():
    """The map whose red turned purple (pngquant#302)."""
    image = photo()
    image[3, 3] = [255, 0, 0]
    without = kmeans_c.quantize(image, 4)
    result = kmeans_c.quantize(image, 4, keep=["#ff0000"])
    assert without.to_array()[3, 3].tolist() != [255, 0, 0]
    assert result.to_array()[3, 3].tolist() == [255, 0, 0]


def test_all_entries_may_be_kept():
    keep = [(0, 0, 0), (90, 90, 90), (255, 255, 255)]
    image = photo()
    result = kmeans_c.quantize(image, 3, keep=keep)
    assert rows(result.palette) == keep
    np.testing.assert_array_equal(result.indices, nearest(image, result.palette))


@pytest.mark.parametrize("K", [5, 6, 16])
def test_few_colours_and_those_to_keep_are_all_there(K):
    image = np.array([[[9, 9, 9], [50, 0, 0], [0, 60, 0], [0, 0, 70]]], np.uint8)
    result = kmeans_c.quantize(image, K, keep=[(9, 9, 9), (255, 255, 255)])
    np.testing.assert_array_equal(result.to_array(), image)
    assert set(rows(result.palette)) == {(9, 9, 9), (255, 255, 255), (50, 0, 0), (0, 60, 0),
                                         (0, 0, 70)}  # fmt: skip
    assert result.counts.tolist().count(0) == 1
    assert result.mse == 0


def test_kept_colours_stay_while_the_others_move_better():
    """Free centroids are as good as Lloyd makes them around those that stay."""
    image = photo()
    keep = np.array([[255, 0, 255], [0, 0, 0]])
    result = kmeans_c.quantize(image, 6, None, keep=keep, effort="best")
    palette = result.palette.astype(float)
    moved = palette.copy()
    for k in range(6):
        members = image[result.indices == k]
        if len(members) and palette[k].tolist() not in keep.tolist():
            moved[k] = members.mean(axis=0)
    assert np.abs(moved - palette).max() <= 1.5
    assert result.mse >= kmeans_c.quantize(image, 6, None, effort="best").mse


def test_greys_are_kept_in_a_grey_image():
    image = photo()[:, :, 0]
    result = kmeans_c.quantize(image, 5, keep=["white", (7, 7, 7)])
    assert {(255, 255, 255), (7, 7, 7)} <= set(rows(result.palette))
    assert len(result.palette) == 5


def test_a_grey_image_takes_a_colour_too():
    image = photo()[:, :, 0]
    result = kmeans_c.quantize(image, 5, keep=["red"])
    assert (255, 0, 0) in rows(result.palette)
    assert len(result.palette) == 5


def test_a_translucent_colour_in_an_opaque_image_makes_all_rgba():
    image = photo()
    result = kmeans_c.quantize(image, 5, keep=[(255, 0, 0, 128)])
    assert result.palette.shape == (5, 4)
    assert (255, 0, 0, 128) in rows(result.palette)
    assert sorted(result.palette[:, 3].tolist()) == [128, 255, 255, 255, 255]
    free = result.palette[:, 3] == 255
    assert (result.counts[free] > 0).all()


@pytest.mark.parametrize("keep", [[(0, 0, 0, 0)], [(9, 8, 7, 0)], ["transparent"]])
def test_full_transparency_may_be_kept(keep):
    image = photo(4)
    image[:5, :, 3] = 0
    result = kmeans_c.quantize(image, 5, keep=keep)
    plain = kmeans_c.quantize(image, 5)
    assert rows(result.palette)[0] == (0, 0, 0, 0)
    assert rows(result.palette) == rows(plain.palette)


@pytest.mark.parametrize(
    ("keep", "alphas", "K", "room"),
    [
        (["red", "blue", "lime"], (0, 255), 3, "K - 1 = 2 colours, as the image has transparent"),
        (["red"], (0,), 1, "K - 1 = 0 colours, as the image has transparent"),
        (["#ff000080"], (128, 255), 1, "K - 1 = 0 colours, as the image has opaque"),
        (["transparent"], (0, 255), 1, "K - 1 = 0 colours, as the image has opaque"),
        (["#f008", "transparent"], (0, 255), 2, "K - 1 = 1 colours, as the image has opaque"),
        (["#f008", "#0f08"], (0, 255), 3, "K - 2 = 1 colours, as the image has transparent and op"),
    ],
)
def test_kept_colours_leave_room_for_both_ends_of_alpha(keep, alphas, K, room):
    image = photo(4)
    image[:, :, 3] = np.resize(alphas, image.shape[1])
    calls = [
        lambda: kmeans_c.quantize(image, K, keep=keep),
        lambda: Palette.fit(Histogram(4).add(image), K, keep=keep),
        lambda: kmeans_c.quantize_auto(image, K=K, keep=keep),
        lambda: kmeans_c.quantize_quality(image, 80, K=K, keep=keep),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=f"^keep: expected at most {room}"):
            call()
    n_more = int(room.split()[2])
    result = kmeans_c.quantize(image, len(keep) + n_more, keep=keep)
    shown = result.to_array()
    assert np.array_equal(shown[:, :, 3] == 0, image[:, :, 3] == 0)
    assert (shown[image[:, :, 3] == 255, 3] == 255).all()


def test_one_kept_colour_is_that_of_all_pixels():
    image = photo(4)
    image[:5, :, 3] = 0
    image[5:, :, 3] = 255
    assert rows(kmeans_c.quantize(image, 1, keep=["red"]).palette) == [(255, 0, 0, 255)]


def test_a_histogram_refuses_what_it_cannot_hold():
    grey = Histogram(1).add(photo()[:, :, 0])
    rgb = Histogram().add(photo())
    with pytest.raises(ValueError, match=r"^keep: expected greys"):
        Palette.fit(grey, 4, keep=["red"])
    with pytest.raises(ValueError, match=r"^keep: expected opaque colours"):
        Palette.fit(rgb, 4, keep=[(1, 2, 3, 4)])
    assert (1, 2, 3) in rows(Palette.fit(rgb, 4, keep=[(1, 2, 3, 255)]).colors)
    assert (9, 9, 9) in rows(Palette.fit(grey, 4, keep=[(9, 9, 9)]).colors)


def test_nothing_to_keep_changes_nothing():
    image = photo()
    plain = bytes_of(kmeans_c.quantize(image, 6))
    for keep in (None, [], (), np.empty((0, 3), np.uint8)):
        assert bytes_of(kmeans_c.quantize(image, 6, keep=keep)) == plain


@pytest.mark.parametrize(
    ("keep", "error", "message"),
    [
        ([(1, 2, 3)] * 2, ValueError, "expected distinct colours"),
        (["red", (255, 0, 0)], ValueError, "expected distinct colours"),
        ([(1, 2, 3, 0), (4, 5, 6, 0)], ValueError, "expected distinct colours"),
        ([(i, 0, 0) for i in range(5)], ValueError, "expected at most K = 4 colours, got 5"),
        ([(1, 2, 256)], ValueError, r"expected 0\.\.255"),
        ([(1, 2, -1)], ValueError, r"expected 0\.\.255"),
        ([(1, 2)], ValueError, "expected shape"),
        ((1, 2, 3), ValueError, "expected shape"),
        ([(1.5, 2.0, 3.0)], TypeError, "expected integers"),
        ("red", TypeError, "expected a list of colours, got a str"),
        (["reddish"], ValueError, ""),
        ([(1, 2, 3), (4, 5)], ValueError, ""),
        (7, ValueError, "expected shape"),
    ],
)
def test_impossible_keep(keep, error, message):
    with pytest.raises(error, match=f"^keep: {message}"):
        kmeans_c.quantize(photo(), 4, keep=keep)


# ---- weights


@PROPERTY
@given(
    channels=st.sampled_from([0, 3, 4]),
    K=st.integers(1, 8),
    init=st.sampled_from(["search", "splitting", "k-means++", "random"]),
    seed=st.integers(0, 2**32),
)
def test_a_weight_is_a_repetition(channels, K, init, seed):
    rng = np.random.default_rng(seed)
    shape = (1, 14, channels) if channels else (1, 14)
    image = rng.integers(0, 256, shape, dtype=np.uint8)
    weights = rng.integers(1, 6, (1, 14))
    weighed = kmeans_c.quantize(image, K, init=init, weights=weights)
    repeated = kmeans_c.quantize(np.repeat(image, weights[0], axis=1), K, init=init)
    assert rows(weighed.palette) == rows(repeated.palette)
    assert (np.repeat(weighed.indices, weights[0], axis=1) == repeated.indices).all()
    assert weighed.n_iter == repeated.n_iter


@PROPERTY
@given(times=st.sampled_from([2, 3, 7, 1000, 2**20, 2**36]), K=st.integers(1, 9),
       seed=st.integers(0, 2**32))  # fmt: skip
def test_whole_weights_in_proportion_are_the_same(times, K, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (4, 7, 3), dtype=np.uint8)
    weights = rng.integers(1, 50, (4, 7))
    one = kmeans_c.quantize(image, K, weights=weights)
    assert bytes_of(one) == bytes_of(kmeans_c.quantize(image, K, weights=times * weights))


@pytest.mark.parametrize("factor", [2.0**-1070, 1e-300, 0.25, 3.0, 1e300])
def test_floats_in_proportion_are_the_same(rng, factor):
    image = photo()
    weights = rng.integers(0, 1 << 12, image.shape[:2]) / 4096
    one = kmeans_c.quantize(image, 7, weights=weights)
    assert bytes_of(one) == bytes_of(kmeans_c.quantize(image, 7, weights=weights * factor)) or (
        factor < 1e-300  # denormal: fewer digits
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_every_float_type(dtype):
    image = photo()
    weights = np.where(np.arange(50) < 25, 1, 0.25) * np.ones((40, 1))
    results = {
        bytes_of(kmeans_c.quantize(image, 7, weights=w))
        for w in (weights.astype(dtype), weights, (weights * 4).astype(int))
    }
    assert len(results) == 1


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8, np.uint64, np.int64])
def test_every_whole_type(dtype):
    image = photo()
    weights = np.ones((40, 50), dtype)
    assert bytes_of(kmeans_c.quantize(image, 7, weights=weights)) == bytes_of(
        kmeans_c.quantize(image, 7)
    )


@pytest.mark.parametrize("kind", [int, float, bool])
def test_pixels_of_no_weight_hardly_count(kind):
    image = photo()
    weights = np.zeros((40, 50), kind)
    weights[:, :20] = 1
    result = kmeans_c.quantize(image, 16, weights=weights)
    part = kmeans_c.quantize(image[:, :20], 16)
    seen = image[:, :20].astype(int) - result.to_array()[:, :20]
    assert (seen**2).sum(axis=2).mean() <= 1.05 * part.mse
    assert result.counts.sum() == image.shape[0] * image.shape[1]
    assert (result.counts > 0).all()


def test_counts_and_mse_are_of_the_pixels():
    image = photo()
    weights = np.linspace(0, 1, 50) * np.ones((40, 1))
    result = kmeans_c.quantize(image, 9, weights=weights)
    np.testing.assert_array_equal(result.indices, nearest(image, result.palette))
    assert result.counts.tolist() == np.bincount(result.indices.ravel()).tolist()
    apart = image.astype(int) - result.to_array()
    assert result.mse == (apart**2).sum() / 2000


def test_what_matters_more_is_shown_better():
    image = photo()
    weights = np.ones((40, 50))
    weights[10:20, 10:20] = 100

    def error(result):
        part = image[10:20, 10:20].astype(int) - result.to_array()[10:20, 10:20]
        return (part**2).sum()

    assert error(kmeans_c.quantize(image, 8, weights=weights)) < error(kmeans_c.quantize(image, 8))


@PROPERTY
@given(seed=st.integers(0, 2**32), kind=st.sampled_from([int, float]))
def test_the_whole_numbers_are_in_proportion(seed, kind):
    rng = np.random.default_rng(seed)
    given_weights = (1000 * rng.random((3, 4)) * (rng.random((3, 4)) < 0.7)).astype(kind)
    given_weights[0, 0] = 1000
    whole = as_importance(given_weights, (3, 4))
    assert whole.dtype == np.int64
    assert whole.min() >= 1
    unit = whole.max() / 1000
    assert np.abs(whole - np.maximum(given_weights * unit, 1)).max() <= 0.5
    if kind is int:
        assert unit == (1 if given_weights.min() > 0 else SCALE)


def test_large_weights_leave_room_for_the_rest():
    most = MAX_TOTAL // 12
    weights = np.full((3, 4), most)
    weights[0, 0] = 0
    whole = as_importance(weights, (3, 4))
    assert whole.sum() <= MAX_TOTAL
    assert whole[0, 0] == 1
    with pytest.raises(ValueError, match=f"^weights: expected at most {most}, got {most + 1}"):
        as_importance(weights + 1, (3, 4))


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (np.ones((40, 51)), ValueError, r"expected shape \(40, 50\), got \(40, 51\)"),
        (np.ones((40, 50, 3)), ValueError, r"expected shape \(40, 50\)"),
        (np.ones(2000), ValueError, r"expected shape \(40, 50\)"),
        (1, ValueError, r"expected shape \(40, 50\)"),
        (np.full((40, 50), np.nan), ValueError, "contains NaN or infinity"),
        (np.full((40, 50), np.inf), ValueError, "contains NaN or infinity"),
        (np.full((40, 50), -1), ValueError, "expected at least 0, got -1"),
        (np.full((40, 50), -0.5), ValueError, "expected at least 0, got -0.5"),
        (np.zeros((40, 50)), ValueError, "expected some above 0"),
        (np.zeros((40, 50), bool), ValueError, "expected some above 0"),
        (np.full((40, 50), 2**63, np.uint64), ValueError, "expected at most"),
        (np.full((40, 50), "a"), TypeError, "expected numbers, got dtype"),
        (np.full((40, 50), 1j), TypeError, "expected numbers, got dtype"),
    ],
)
def test_impossible_weights(weights, error, message):
    with pytest.raises(error, match=f"^weights: {message}"):
        kmeans_c.quantize(photo(), 4, weights=weights)


def test_weights_are_only_read():
    weights = np.linspace(0, 1, 2000).reshape(40, 50)
    before = weights.copy()
    kmeans_c.quantize(photo(), 4, weights=weights)
    kmeans_c.quantize(photo(), 4, weights=weights[::-1, ::-1])
    np.testing.assert_array_equal(weights, before)


@pytest.mark.parametrize(
    "colors",
    [
        ["#fff", "#00000000"],
        ["white", "transparent"],
        [(255, 255, 255), (0, 0, 0, 0)],
        [[255, 255, 255], np.zeros(4, np.uint8)],
        [np.full(3, 255, np.uint8), "#00000000"],
    ],
)
def test_opaque_and_transparent_colours_may_be_mixed(colors):
    expected = [(255, 255, 255, 255), (0, 0, 0, 0)]
    assert rows(Palette(colors).colors) == expected
    image = photo(4)
    image[:5, :, 3] = 0
    given_palette = kmeans_c.quantize(image, palette=colors)
    assert rows(given_palette.palette) == expected
    assert (given_palette.indices[:5] == 1).all()
    assert set(expected) <= set(rows(kmeans_c.quantize(image, 5, keep=colors).palette))
    assert rows(Palette(colors[:1]).colors) == [(255, 255, 255)]
