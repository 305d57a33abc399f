"""Opaque pixels stay opaque, fully transparent ones transparent, whatever is asked for."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import kmeans_c
from kmeans_c import Histogram, Palette, rate
from kmeans_c.cli import main
from kmeans_c.clustering import Clusters
from kmeans_c.dithering import DITHERS
from kmeans_c.search import EFFORTS
from kmeans_c.spaces import SPACES, coordinates
from kmeans_c.split_tree import SplitTree

INITS = ("search", "splitting", "k-means++", "random", "array")


def soft_edges(size=48, shadow=True):
    """A disc with an antialiased edge and a soft shadow on a transparent ground."""
    y, x = np.mgrid[:size, :size].astype(float)
    away = np.hypot(y - size / 2, x - size / 2)
    image = np.zeros((size, size, 4))
    image[..., 0], image[..., 1], image[..., 2] = 4 * x, 255 - 3 * y, 2 * (x + y)
    image[..., 3] = 255 * np.clip(size / 3 - away, 0, 1)
    if shadow:
        faint = 180 * np.exp(-((np.maximum(away - size / 3, 0) / (size / 12)) ** 2))
        below = image[..., 3] < faint
        image[below, :3] = 0
        image[..., 3] = np.maximum(image[..., 3], faint)
    return image.clip(0, 255).astype(np.uint8)


def ramp(size=32):
    """Grey from top to bottom, alpha from left to right."""
    y, x = np.mgrid[:size, :size] * 255 // (size - 1)
    return np.dstack([y, y, y, x]).astype(np.uint8)


@st.composite
def images(draw):
    """RGBA with both ends of alpha, and some of all others or of those next to the ends."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    low = draw(st.sampled_from([0, 100, 250]))
    image = rng.integers(low, 256, (height, width, 4), dtype=np.uint8)
    between = draw(st.sampled_from([[0, 255], [0, 1, 254, 255], [0, 250, 254, 255], None]))
    if between is None:
        image[..., 3] = rng.integers(0, 256, (height, width))
        image[rng.random((height, width)) < 0.2, 3] = 255
        image[rng.random((height, width)) < 0.2, 3] = 0
    else:
        shares = rng.dirichlet(np.ones(len(between)))
        image[..., 3] = rng.choice(np.array(between, np.uint8), (height, width), p=shares)
    return image


def rgba(shown):
    if shown.shape[2] == 4:
        return shown
    return np.dstack([shown, np.full(shown.shape[:2], 255, np.uint8)])


def check_ends(image, shown):
    shown = rgba(shown)
    assert (shown[image[..., 3] == 255, 3] == 255).all()
    assert (shown[image[..., 3] == 0] == 0).all()


@settings(max_examples=300, deadline=None)
@given(
    image=images(),
    K=st.integers(2, 40),
    ITERS=st.sampled_from([0, 1, 10, None]),
    init=st.sampled_from(INITS),
    effort=st.sampled_from(list(EFFORTS)),
    space=st.sampled_from(SPACES),
    dither=st.sampled_from(DITHERS),
    weigh=st.booleans(),
    n_keep=st.integers(0, 2),
    seed=st.integers(0, 2**32),
)
def test_both_ends_stay(*, image, K, ITERS, init, effort, space, dither, weigh, n_keep, seed):
    rng = np.random.default_rng(seed)
    keep = rng.permutation(256)[: min(n_keep, K - 1) * 3].reshape(-1, 3)
    options = {
        "init": rng.integers(0, 256, (K, rng.integers(3, 5))) if init == "array" else init,
        "weights": rng.random(image.shape[:2]) + 0.01 if weigh else None,
        "keep": keep if len(keep) else None,
    }
    result = kmeans_c.quantize(
        image, K, ITERS, effort=effort, space=space, dither=dither, seed=seed, **options
    )
    check_ends(image, result.to_array())
    assert len(result.palette) <= K
    assert len(np.unique(result.palette, axis=0)) == len(result.palette)
    if dither == "none" and not len(keep):
        assert (result.counts > 0).all()


@settings(max_examples=60, deadline=None)
@given(image=images(), K=st.integers(2, 12), space=st.sampled_from(SPACES),
       dither=st.sampled_from(DITHERS))  # fmt: skip
def test_a_fitted_palette_keeps_them_when_it_maps(image, K, space, dither):
    palette = Palette.fit(Histogram(4).add(image), K, space=space)
    check_ends(image, palette.colors[palette.map(image, space=space, dither=dither)])


@settings(max_examples=60, deadline=None)
@given(one=images(), other=images(), K=st.integers(2, 12), dither=st.sampled_from(DITHERS))
def test_a_shared_palette_keeps_them_in_every_image(one, other, K, dither):
    palette = Palette.fit(Histogram(4).add(one).merge(Histogram(4).add(other)), K)
    for image in (one, other):
        check_ends(image, palette.colors[palette.map(image, dither=dither)])
        result = kmeans_c.quantize(image, palette=palette, dither=dither)
        check_ends(image, result.to_array())


@settings(max_examples=60, deadline=None)
@given(image=images(), K=st.integers(2, 12), loss=st.floats(0.1, 20),
       coder=st.sampled_from(rate.CODERS))  # fmt: skip
def test_indices_that_take_fewer_bytes_keep_them(image, K, loss, coder):
    found = kmeans_c.quantize(image, K)
    pixels = image if found.palette.shape[1] == 4 else image[..., :3]
    indices, _ = rate.smooth(pixels, found.palette, found.indices, loss, coder=coder)
    check_ends(image, found.palette[indices])


@settings(max_examples=20, deadline=None)
@given(image=images(), threshold=st.floats(0, 100), quality=st.integers(0, 100))
def test_targets_keep_them(image, threshold, quality):
    check_ends(image, kmeans_c.quantize_auto(image, threshold).to_array())
    check_ends(image, kmeans_c.quantize_quality(image, (0, quality)).to_array())
    sized = kmeans_c.quantize_to_size(image, 1 << 12)
    check_ends(image, sized.quantized.to_array())
    with Image.open(io.BytesIO(sized.data)) as opened:
        check_ends(image, np.asarray(opened.convert("RGBA")))


@pytest.mark.parametrize("image", [soft_edges(), soft_edges(shadow=False), ramp()],
                         ids=["shadow", "edge", "ramp"])  # fmt: skip
def test_a_sweep_keeps_them(image):
    for row in kmeans_c.sweep(image, sizes="none"):
        if row.K > 1:
            palette = Palette(row.palette)
            check_ends(image, palette.colors[palette.map(image)])


@pytest.mark.parametrize("dither", DITHERS)
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("K", [2, 3, 4, 16, 64])
def test_soft_edges(space, dither, K):
    image = soft_edges()
    check_ends(image, kmeans_c.quantize(image, K, space=space, dither=dither).to_array())


@pytest.mark.parametrize("image", [soft_edges(), ramp()], ids=["edge", "ramp"])
@pytest.mark.parametrize("K", [2, 16])
def test_threads_and_levels_do_not_matter(simd, n_threads, image, K):
    result = kmeans_c.quantize(image, K, n_threads=n_threads)
    alone = kmeans_c.quantize(image[::-1], K, n_threads=1)
    assert result.palette.tobytes() == alone.palette.tobytes()
    assert (result.indices == alone.indices[::-1]).all()


@settings(max_examples=100, deadline=None)
@given(image=images(), K=st.integers(1, 30))
def test_exactly_k(image, K):
    colors = np.where(image[..., 3:] == 0, np.uint8(0), image).reshape(-1, 4)
    n = len(np.unique(colors, axis=0))
    result = kmeans_c.quantize(image, K)
    assert len(result.palette) <= min(K, n)
    if not ((colors[:, 3] > 0) & (colors[:, 3] < 16)).any():  # hardly visible ones can coincide
        assert len(result.palette) == min(K, n)
    if n <= K:
        assert (rgba(result.to_array()).reshape(-1, 4) == colors).all()


def test_one_colour_is_opaque_where_a_pixel_is():
    image = soft_edges()
    assert kmeans_c.quantize(image, 1).palette[0, -1] == 255
    faint = image[(image[..., 3] < 255)][np.newaxis]
    assert kmeans_c.quantize(faint, 1).palette[0, 3] < 255


@pytest.mark.parametrize("K", [2, 3, 16, 64])
def test_cut_outs_are_saved_as_gif(K, tmp_path):
    """Without soft edges the result always has one transparent entry and opaque ones."""
    image = soft_edges()
    image[..., 3] = np.where(image[..., 3] > 127, 255, 0)
    result = kmeans_c.quantize(image, K)
    assert result.palette[0].tolist() == [0, 0, 0, 0]
    assert (result.palette[1:, 3] == 255).all()
    result.save(tmp_path / "cut.gif")
    with Image.open(tmp_path / "cut.gif") as opened:
        check_ends(image, np.asarray(opened.convert("RGBA")) * (image[..., 3:] > 0))


@pytest.mark.parametrize("K", [2, 16])
def test_pillow_idiom_keeps_them(K):
    image = soft_edges()
    result = kmeans_c.pillow.quantize(Image.fromarray(image), K)
    shown = np.asarray(result.convert("RGBA"))
    assert (shown[image[..., 3] == 255, 3] == 255).all()
    assert (shown[image[..., 3] == 0, 3] == 0).all()


def nearly_opaque(alpha=254):
    """An opaque picture but for one pixel."""
    y, x = np.mgrid[:24, :32]
    image = np.dstack([8 * x, 10 * y, 4 * (x + y), np.full(x.shape, 255)]).astype(np.uint8)
    image[5, 7, 3] = alpha
    return image


@pytest.mark.parametrize("K", [4, 16, 256])
@pytest.mark.parametrize("ending", ["bmp", "jpg"])
def test_almost_opaque_pictures_fit_into_opaque_formats(tmp_path, ending, K):
    image = nearly_opaque(250)
    Image.fromarray(image).save(tmp_path / "in.png")
    out = tmp_path / f"out.{ending}"
    done = kmeans_c.compress(tmp_path / "in.png", out, K=K, allow_larger=True)
    assert "alpha: 1 pixel of alpha 250 was drawn over white" in done.notes
    with Image.open(out) as opened:
        shown = np.asarray(opened.convert("RGB")).astype(int)
    drawn = image[..., :3].copy()
    drawn[5, 7] = [(250 * int(v) + 5 * 255 + 127) // 255 for v in image[5, 7, :3]]
    differences = np.abs(shown - kmeans_c.quantize(drawn, K).to_array())
    assert differences.max() == 0 if ending == "bmp" else differences.mean() < 9


@pytest.mark.parametrize("ending", ["bmp", "jpg"])
def test_what_quantize_returns_is_saved_so(tmp_path, ending):
    image = nearly_opaque()[4:7, 4:9]
    result = kmeans_c.quantize(image, 256)
    assert result.palette[:, 3].min() == 254
    result.save(tmp_path / f"out.{ending}")
    with Image.open(tmp_path / f"out.{ending}") as opened:
        assert opened.size == (5, 3)
    sized = kmeans_c.quantize_to_size(image, 1 << 14, format=ending)
    assert sized.data


@pytest.mark.parametrize("ending", ["bmp", "jpg"])
@pytest.mark.parametrize("alpha", [0, 1, 128, 249])
def test_what_is_more_transparent_is_refused(tmp_path, ending, alpha):
    Image.fromarray(nearly_opaque(alpha)[4:7, 4:9]).save(tmp_path / "in.png")
    with pytest.raises(ValueError, match="holds no transparency"):
        kmeans_c.compress(tmp_path / "in.png", tmp_path / f"out.{ending}", K=256)
    assert not (tmp_path / f"out.{ending}").exists()


def test_the_line_says_what_was_drawn_over_white(tmp_path, capsys):
    Image.fromarray(nearly_opaque()).save(tmp_path / "in.png")
    out = tmp_path / "out.bmp"
    assert main([str(tmp_path / "in.png"), "-o", str(out), "--allow-larger"]) == 0
    assert "alpha: 1 pixel of alpha 254 was drawn over white" in capsys.readouterr().out


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("least", [0, 200, 254, 255])
def test_the_parts_of_a_split_tree_are_those_of_the_whole(space, least):
    rng = np.random.default_rng(least)
    image = rng.integers(0, 256, (40, 40, 4), dtype=np.uint8)
    image[..., 3] = rng.integers(least, 256, (40, 40))
    histogram = Histogram(4).add(image)
    clusters = Clusters(histogram, 1, space)
    tree = clusters.tree
    assert isinstance(tree, SplitTree)
    opaque = histogram.colors[:, 3] == 255
    whole = coordinates(histogram.colors, space)[:, : len(histogram)]
    for part, keys, points, weights in (
        (opaque, tree.opaque_keys, tree.opaque_points, tree.opaque_weights),
        (~opaque, tree.other_keys, tree.other_points, tree.other_weights),
    ):
        assert np.array_equal(keys, histogram.keys[part])
        assert np.array_equal(weights, clusters.weights[part])
        assert np.array_equal(points[:, : len(keys)], whole[: len(points), part])
    assert (whole[3, opaque] == tree.top).all()

    centroids = np.ascontiguousarray(whole[:, [*np.flatnonzero(opaque)[:5], 0, 1]].T)
    tree.assign(centroids, np.empty((7, 5), np.int64), 1, clusters.level)
    labels = np.empty(len(histogram), np.uint16)
    tree.labels(labels)
    distances = ((whole.T[:, np.newaxis].astype(np.int64) - centroids) ** 2).sum(axis=2)
    barred = opaque[:, np.newaxis] & (centroids[:, 3] != tree.top)
    assert np.array_equal(labels, np.where(barred, 1 << 60, distances).argmin(axis=1))
