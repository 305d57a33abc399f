"""Transparency: what a palette looks like over black, over white and over a checkerboard."""

import io
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import kmeans_c
from kmeans_c.dithering import DITHERS
from kmeans_c.spaces import SPACES


def over(rgba, backdrop):
    """What is seen, in real numbers."""
    alpha = rgba[..., 3:] / 255
    return alpha * rgba[..., :3] + (1 - alpha) * backdrop


def error_over(a, b, backdrop):
    return ((over(a, backdrop) - over(b, backdrop)) ** 2).sum(axis=2).mean()


def checkerboard(height, width):
    y, x = np.indices((height, width)) // 4
    return np.where((x + y) % 2, 153, 102)[..., np.newaxis]


def glass(seed=3):
    """A gradient that fades in one direction, clear in a corner, with noise and opaque parts."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:48, :64]
    planes = np.stack([4 * x, 255 - 5 * y, 2 * (x + y), 6 * x - 40], axis=2)
    image = np.clip(planes + rng.normal(0, 6, planes.shape), 0, 255).astype(np.uint8)
    image[40:, :, 3] = 255
    image[:12, :10, 3] = 0
    return image


def shadow():
    """Black of all opacities under a white disc."""
    y, x = np.mgrid[:64, :64]
    distance = np.hypot(y - 32, x - 32)
    image = np.zeros((64, 64, 4), np.uint8)
    image[..., 3] = (230 * np.exp(-((np.maximum(distance - 12, 0) / 9) ** 2))).astype(np.uint8)
    image[distance < 12] = 255
    return image


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("K", [3, 16, 64])
def test_the_error_is_the_mean_of_what_shows_over_black_and_over_white(space, K):
    image = glass()
    result = kmeans_c.quantize(image, K, space=space)
    shown = result.to_array()
    black, white = (error_over(image, shown, grey) for grey in (0, 255))
    # Coordinates are rounded to a 64th of a step.
    assert result.mse == pytest.approx((black + white) / 2, rel=0.01, abs=0.01)


@pytest.mark.parametrize("image", [glass(), shadow()], ids=["glass", "shadow"])
@pytest.mark.parametrize("K", [4, 16, 64])
def test_over_anything_between_it_is_no_worse_than_over_black_and_white_together(image, K):
    """An error is a convex function of the backdrop."""
    result = kmeans_c.quantize(image, K)
    shown = result.to_array()
    for backdrop in (64, 128, checkerboard(*image.shape[:2])):
        assert error_over(image, shown, backdrop) <= 2 * result.mse + 0.01


@pytest.mark.parametrize("K", [8, 32])
def test_a_palette_for_alpha_beats_colours_and_alpha_by_themselves(K):
    """Straight four-dimensional k-means spends entries on colours that hardly show."""
    image = glass()
    result = kmeans_c.quantize(image, K)
    X = image.reshape(-1, 4).astype(np.float64)
    model = kmeans_c.KMeans(K, random_state=0, n_init=3).fit(X)
    straight = np.rint(model.cluster_centers_).astype(np.uint8)[model.labels_].reshape(image.shape)
    ours, theirs = (
        sum(error_over(image, shown, grey) for grey in (0, 255))
        for shown in (result.to_array(), straight)
    )
    assert ours < theirs


@pytest.mark.parametrize("K", [8, 16, 32])
def test_a_soft_shadow_stays_soft(K):
    image = shadow()
    result = kmeans_c.quantize(image, K)
    shown = result.to_array()
    assert (shown[image[..., 3] == 0] == 0).all()
    assert (shown[(image == 255).all(axis=2)] == 255).all()
    # No step is larger than about three of equally many equal ones.
    assert np.abs(shown[..., 3].astype(int) - image[..., 3]).max() <= 3 * 230 / (2 * (K - 2))
    dark = (image[..., :3] == 0).all(axis=2)
    assert over(shown, 0)[dark].max() <= 0.5


@pytest.mark.parametrize("dither", DITHERS)
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("K", [2, 16])
def test_what_is_clear_is_one_entry_and_the_first(dither, space, K):
    image = glass()
    image[..., :3][image[..., 3] == 0] = np.random.default_rng(0).integers(0, 256, 3)
    result = kmeans_c.quantize(image, K, space=space, dither=dither)
    assert result.palette[0].tolist() == [0, 0, 0, 0]
    assert (result.palette[1:, 3] > 0).all()
    assert (result.indices[image[..., 3] == 0] == 0).all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), K=st.integers(1, 9), space=st.sampled_from(SPACES))
def test_opaque_rgba_is_rgb(seed, K, space):
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, (6, 7, 3), dtype=np.uint8)
    rgba = np.dstack([rgb, np.full((6, 7), 255, np.uint8)])
    one, other = (kmeans_c.quantize(i, K, space=space, effort="fast") for i in (rgb, rgba))
    assert other.palette.shape[1] == 3
    assert one.palette.tobytes() == other.palette.tobytes()
    assert one.indices.tobytes() == other.indices.tobytes()


@pytest.mark.parametrize("hidden", [0, 77, 255])
def test_premultiplied_or_not_what_is_hidden_changes_no_byte(hidden):
    image = glass()
    other = image.copy()
    other[..., :3][other[..., 3] == 0] = hidden
    one, two = (kmeans_c.quantize(i, 12) for i in (image, other))
    assert one.palette.tobytes() == two.palette.tobytes()
    assert one.indices.tobytes() == two.indices.tobytes()


@pytest.mark.parametrize("ending", ["png", "webp", "tiff"])
@pytest.mark.parametrize("K", [4, 40])
def test_files_hold_all_degrees_of_opacity(ending, K):
    result = kmeans_c.quantize(glass(), K)
    file = io.BytesIO()
    result.save(file, ending)
    file.seek(0)
    with Image.open(file) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGBA")), result.to_array())
    if ending == "png":
        assert b"tRNS" in file.getvalue()


def test_translucent_pixels_matter_as_much_as_they_show():
    """A faint colour's error counts by the square of its opacity."""
    strong, weak = [200, 40, 40, 255], [200, 40, 40, 25]
    errors = []
    for color in (strong, weak):
        image = np.array([[color, [*color[:2], 100, *color[3:]]]], np.uint8)
        errors.append(kmeans_c.quantize(image, 1).mse)
    assert errors[1] == pytest.approx(errors[0] * (25 / 255) ** 2, rel=0.05)


def test_over_other_backdrops_the_palette_keeps_its_rank():
    """More entries look better over every backdrop."""
    image = glass()
    shown = [kmeans_c.quantize(image, K).to_array() for K in (4, 16, 64)]
    for backdrop in (0, 255, checkerboard(48, 64)):
        errors = [error_over(image, s, backdrop) for s in shown]
        assert all(a > b for a, b in itertools.pairwise(errors))
