"""`quantize` as a whole: exactly K colours, lossless when it can be, the same bytes always."""

import hashlib
import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

import kmeans_c
from kmeans_c._kernels import machine
from kmeans_c._kernels.filtering import Tree
from kmeans_c.threads import SIMD_LEVELS, SIMD_VARIABLE

PROPERTY = settings(max_examples=80, deadline=None)
IMAGES = npst.arrays(
    np.uint8,
    st.one_of(
        st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3)),
        st.tuples(st.integers(1, 12), st.integers(1, 12)),
    ),
    elements=st.integers(0, 255),
)
RGBA = npst.arrays(np.uint8, st.tuples(st.integers(1, 8), st.integers(1, 8), st.just(4)))


def photo(seed=0, shape=(60, 80)):
    """Smooth colours with noise: thousands of distinct ones."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    base = np.stack([x * 2 + y, 200 - 2 * y + x // 2, 3 * np.abs(x - y)], axis=2)
    return np.clip(base + rng.normal(0, 6, (*shape, 3)), 0, 255).astype(np.uint8)


def bytes_of(result):
    return result.palette.tobytes(), result.indices.tobytes(), result.counts.tobytes(), result.mse


def as_rgb(image):
    return np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image


def distinct(image):
    return len(np.unique(as_rgb(image).reshape(-1, as_rgb(image).shape[2]), axis=0))


@PROPERTY
@given(image=IMAGES, K=st.integers(1, 20), ITERS=st.integers(0, 4))
def test_exactly_k_distinct_used_colours(image, K, ITERS):
    result = kmeans_c.quantize(image, K, ITERS)
    assert len(result.palette) == min(K, distinct(image))
    assert len(np.unique(result.palette, axis=0)) == len(result.palette)
    assert (result.counts > 0).all()
    assert result.counts.tolist() == np.bincount(result.indices.ravel()).tolist()


@PROPERTY
@given(image=IMAGES, K=st.integers(1, 20))
def test_every_pixel_gets_the_closest_colour_and_the_error_is_exact(image, K):
    result = kmeans_c.quantize(image, K, 3)
    pixels = as_rgb(image).astype(int)
    distances = ((pixels[:, :, None] - result.palette.astype(int)) ** 2).sum(axis=3)
    np.testing.assert_array_equal(result.indices, distances.argmin(axis=2))
    assert result.mse == distances.min(axis=2).sum() / pixels[:, :, 0].size


@PROPERTY
@given(image=IMAGES)
def test_lossless_if_there_are_no_more_colours_than_asked_for(image):
    result = kmeans_c.quantize(image, distinct(image))
    np.testing.assert_array_equal(result.to_array(), as_rgb(image))
    assert result.mse == 0
    assert result.psnr == float("inf")
    assert result.n_iter == 0


@PROPERTY
@given(image=IMAGES, K=st.integers(1, 9))
def test_idempotent(image, K):
    first = kmeans_c.quantize(image, K)
    second = kmeans_c.quantize(first.to_array(), K)
    assert second.mse == 0
    assert second.palette.tobytes() == first.palette.tobytes()
    assert second.indices.tobytes() == first.indices.tobytes()


@PROPERTY
@given(image=IMAGES, K=st.integers(1, 9), data=st.data())
def test_the_order_of_pixels_changes_only_the_order_of_indices(image, K, data):
    flat = image.reshape(-1, *image.shape[2:])
    order = np.array(data.draw(st.permutations(range(len(flat)))))
    shuffled = flat[order].reshape(image.shape)
    straight, mixed = kmeans_c.quantize(image, K), kmeans_c.quantize(shuffled, K)
    assert straight.palette.tobytes() == mixed.palette.tobytes()
    assert straight.indices.ravel()[order].tobytes() == mixed.indices.ravel().tobytes()


@PROPERTY
@given(image=IMAGES, K=st.integers(1, 9), copies=st.integers(2, 4))
def test_copies_of_the_image_change_nothing(image, K, copies):
    once, often = (
        kmeans_c.quantize(image, K),
        kmeans_c.quantize(np.concatenate([image] * copies), K),
    )
    assert once.palette.tobytes() == often.palette.tobytes()
    assert (often.counts == copies * once.counts).all()
    assert often.mse == pytest.approx(once.mse, rel=1e-15)


@PROPERTY
@given(image=RGBA, K=st.integers(1, 12))
def test_transparency(image, K):
    result = kmeans_c.quantize(image, K)
    assert result.palette.shape[1] == (3 if (image[:, :, 3] == 255).all() else 4)
    assert len(np.unique(result.palette, axis=0)) == len(result.palette)
    assert (result.counts > 0).all()
    visible = image.copy()
    visible[image[:, :, 3] == 0] = 0
    if distinct(visible) <= K:
        np.testing.assert_array_equal(result.to_array(), visible[:, :, : result.palette.shape[1]])
    clear = (result.palette[:, 3:] == 0).ravel()
    assert not clear[1:].any()
    if clear.any():
        assert result.palette[0].tolist() == [0, 0, 0, 0]


def test_what_hides_behind_full_transparency_does_not_matter():
    rng = np.random.default_rng(0)
    one = rng.integers(0, 256, (20, 20, 4)).astype(np.uint8)
    one[:10, :, 3] = 0
    other = one.copy()
    other[:10, :, :3] = rng.integers(0, 256, (10, 20, 3))
    assert bytes_of(kmeans_c.quantize(one, 7)) == bytes_of(kmeans_c.quantize(other, 7))


def test_faint_colours_count_less():
    image = np.zeros((1, 3, 4), np.uint8)
    image[0] = [[255, 0, 0, 4], [0, 255, 0, 4], [90, 90, 90, 255]]
    result = kmeans_c.quantize(image, 2)
    # Red and green at 4/255 opacity differ less than either from opaque grey.
    assert result.indices[0, 0] == result.indices[0, 1] != result.indices[0, 2]


@pytest.mark.parametrize("init", ["random", "k-means++"])
@pytest.mark.parametrize("kind", ["rgb", "grey", "rgba"])
def test_bytes_are_the_same_for_every_level_and_thread_count(monkeypatch, init, kind):
    image = photo()
    if kind == "grey":
        image = image[:, :, 0]
    elif kind == "rgba":
        image = np.concatenate([image, image[:, :, :1]], axis=2)
    results = set()
    for level, threads in itertools.product(SIMD_LEVELS[: machine.cpu_level() + 1], [1, 2, 3]):
        monkeypatch.setenv(SIMD_VARIABLE, level)
        results.add(bytes_of(kmeans_c.quantize(image, 12, init=init, n_threads=threads)))
    assert len(results) == 1


def golden(kind, K):
    """The digest of a noise image's palette and indices."""
    rng = np.random.PCG64(5)
    raw = np.array([rng.random_raw() for _ in range(1200)], np.uint64).view(np.uint8)
    image = {
        "rgb": raw[:9000].reshape(50, 60, 3),
        "grey": raw[:9000].reshape(90, 100),
        "rgba": raw[:9600].reshape(40, 60, 4),
    }[kind]
    result = kmeans_c.quantize(image, K)
    return hashlib.sha256(result.palette.tobytes() + result.indices.tobytes()).hexdigest()


# Bytes of this machine, to be met by all others. They change with the search's constants; then, in
# tests/: python -c "import test_quantize as t; [print(k, t.golden(*k)) for k in t.GOLDEN]"
GOLDEN = {
    ("rgb", 2): "de3c32bc190398e29df1e4f739efbeb926b85ea6a1db6018e524e2f8e2f1fc41",
    ("rgb", 16): "3a34975db6c4a48fe5341ca4f85d6b406d68b73edd6fcf748129de493c0627ac",
    ("grey", 2): "534d3ef71535a69ba7fad75a2928ed6d621c8aeb48f9d53d367e193f602ba098",
    ("grey", 16): "b6ef1ba76a752aff7c0c37b772075bd1f9285c0ad530193316183af6a7db4f0a",
    ("rgba", 2): "d52c1b23632130586954ae59d67a773ac9bdef178c9148b2b714241d9f459597",
    ("rgba", 16): "202de61522044d264eec79e99cc366f357f8e8c05785d66c18ee3d9d9dda4487",
}


@pytest.mark.parametrize(("kind", "K"), GOLDEN)
def test_golden_bytes(kind, K):
    assert golden(kind, K) == GOLDEN[kind, K]


@pytest.mark.parametrize("K", [1, 2, 3, 16, 64, 256])
def test_more_colours_lose_less(K):
    image = photo()
    result = kmeans_c.quantize(image, K)
    assert len(result.palette) == K
    variance = ((image - image.mean(axis=(0, 1))) ** 2).sum() / image[:, :, 0].size
    assert result.mse <= variance + 1
    if K > 1:
        assert result.mse < kmeans_c.quantize(image, K - 1).mse * 1.02


def test_rounds_help_and_end():
    image = photo()
    errors = [
        kmeans_c.quantize(image, 16, ITERS, init="k-means++", effort="fast").mse
        for ITERS in (0, 1, 3, 10, 10**9)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0]
    assert kmeans_c.quantize(image, 16, 10**9).n_iter < 10**6


def test_the_palette_goes_from_dark_to_light():
    palette = kmeans_c.quantize(photo(), 16).palette.astype(int)
    luma = palette @ [299, 587, 114]
    assert (np.diff(luma) >= 0).all()


def test_seeds():
    image = photo()
    same = {bytes_of(kmeans_c.quantize(image, 16, seed=4)) for _ in range(3)}
    assert len(same) == 1
    assert bytes_of(kmeans_c.quantize(image, 16, seed=5)) not in same
    assert bytes_of(kmeans_c.quantize(image, 16)) == bytes_of(kmeans_c.quantize(image, 16, seed=0))


def test_a_pillow_image_an_array_a_path_and_a_file_are_the_same(tmp_path):
    array = photo()
    image = Image.fromarray(array)
    image.save(tmp_path / "photo.png")
    expected = bytes_of(kmeans_c.quantize(array, 8))
    assert bytes_of(kmeans_c.quantize(image, 8)) == expected
    assert bytes_of(kmeans_c.quantize(tmp_path / "photo.png", 8)) == expected
    with (tmp_path / "photo.png").open("rb") as file:
        assert bytes_of(kmeans_c.quantize(file, 8)) == expected


def test_the_input_is_not_touched_and_not_shared():
    array = photo()
    before = array.copy()
    few = np.zeros((4, 4, 3), np.uint8)
    result = kmeans_c.quantize(array, 8)
    np.testing.assert_array_equal(array, before)
    assert not np.may_share_memory(kmeans_c.quantize(few, 8).palette, few)
    assert not np.may_share_memory(result.indices, array)


def test_to_pil_is_a_palette_image():
    result = kmeans_c.quantize(photo(), 11)
    image = result.to_pil()
    assert image.mode == "P"
    assert image.getpalette("RGB")[: 3 * 11] == result.palette.ravel().tolist()
    np.testing.assert_array_equal(np.asarray(image), result.indices)
    np.testing.assert_array_equal(np.asarray(image.convert("RGB")), result.to_array())


def test_to_pil_keeps_opacity():
    image = np.concatenate([photo(), photo(1)[:, :, :1]], axis=2)
    result = kmeans_c.quantize(image, 9)
    np.testing.assert_array_equal(np.asarray(result.to_pil().convert("RGBA")), result.to_array())


@pytest.mark.parametrize("ending", ["png", "gif", "webp", "bmp", "tiff"])
def test_save_and_read_again(tmp_path, ending):
    result = kmeans_c.quantize(photo(), 16)
    file = tmp_path / f"small.{ending}"
    result.save(file)
    with Image.open(file) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), result.to_array())
    with pytest.raises(FileExistsError):
        result.save(file)
    result.save(file, overwrite=True)


def test_a_palette_image_holds_256_colours(tmp_path):
    result = kmeans_c.quantize(photo(), 300)
    assert len(result.palette) == 300
    assert result.indices.dtype == np.uint16
    for refused in (result.to_pil, lambda: result.save(tmp_path / "many.png")):
        with pytest.raises(ValueError, match=r"^palette: expected at most 256 colours"):
            refused()
    assert not list(tmp_path.iterdir())


def test_results_can_be_pickled():
    result = kmeans_c.quantize(photo(), 5)
    assert bytes_of(pickle.loads(pickle.dumps(result))) == bytes_of(result)


@pytest.mark.parametrize("K", [0, -1, 65537, 2**64])
def test_impossible_k(K):
    with pytest.raises(ValueError, match=r"^K: expected 1\.\.65536, got"):
        kmeans_c.quantize(photo(), K)


@pytest.mark.parametrize("K", [2.0, "2", None, True])
def test_k_of_the_wrong_kind(K):
    with pytest.raises(TypeError, match=r"^K: expected an integer, got"):
        kmeans_c.quantize(photo(), K)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("ITERS", -1, ValueError),
        ("ITERS", 1.5, TypeError),
        ("init", "wu", ValueError),
        ("init", 3, TypeError),
        ("seed", -1, ValueError),
        ("seed", "a", TypeError),
        ("n_threads", 0, ValueError),
        ("n_threads", "2", TypeError),
    ],
)
def test_other_impossible_arguments(name, value, error):
    with pytest.raises(error, match=f"^{name}: expected"):
        kmeans_c.quantize(photo(), **{name: value})


def test_one_pixel():
    result = kmeans_c.quantize(np.array([[[7, 8, 9]]], np.uint8), 16)
    assert result.palette.tolist() == [[7, 8, 9]]
    assert result.indices.tolist() == [[0]]


@pytest.mark.parametrize("shape", [(1, 3000, 3), (3000, 1, 3), (1, 65536), (65536, 1)])
def test_lines(shape):
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    assert kmeans_c.quantize(image, 3).indices.shape == shape[:2]


@pytest.mark.parametrize("path", [None, 3, b"x", []])
def test_a_place_to_save_is_a_path_or_a_file(path):
    with pytest.raises(TypeError, match=r"^path: expected a path or a binary file object, got "):
        kmeans_c.quantize(photo(), 4).save(path, "png")


@pytest.mark.parametrize("name", ["palette", "keep", "weights", "init"])
def test_rows_of_different_lengths_are_named(name):
    with pytest.raises(ValueError, match=rf"^{name}: "):
        kmeans_c.quantize(photo(), 2, **{name: [[1, 2], [3]]})


def test_a_tree_that_cannot_be_made_does_no_harm():
    with pytest.raises(TypeError):
        Tree(1, 2, 3, 4, 5)
