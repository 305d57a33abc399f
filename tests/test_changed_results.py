"""Results that the caller has changed: where they come back, an error says which part it is.

Every mutation meets every public function that takes such an object. None may crash, and none may
return what it read beyond an array.
"""

import dataclasses
import io
import pickle

import numpy as np
import pytest
from PIL import Image

import kmeans_c
from kmeans_c import encoding, perceptual, rate
from kmeans_c.animation import quantize_animation
from kmeans_c.images.frames import read_frames
from kmeans_c.palette_files import write_palette
from kmeans_c.views.display import palette_html, quantized_png
from kmeans_c.views.preview import preview

H, W = 24, 31
RNG = np.random.default_rng(7)
IMAGES = {
    "grey": RNG.integers(0, 256, (H, W), dtype=np.uint8),
    "rgb": RNG.integers(0, 256, (H, W, 3), dtype=np.uint8),
    "rgba": RNG.integers(0, 256, (H, W, 4), dtype=np.uint8),
}


def written(array, value):
    """Change an array in place, also one that is read-only."""
    array.flags.writeable = True
    array[...] = value


# ---- Quantized

replaced = dataclasses.replace

# What is done to a result, and the attribute that the message names.
QUANTIZED = {
    "indices of the dtype's highest": (lambda q: written(q.indices, 255), "indices"),
    "one index beyond": (lambda q: q.indices.__setitem__((3, 4), len(q.palette)), "indices"),
    "a shorter palette": (lambda q: replaced(q, palette=q.palette[:4]), "indices"),
    "an empty palette": (lambda q: replaced(q, palette=q.palette[:0]), "palette"),
    "a palette of one channel": (lambda q: replaced(q, palette=q.palette[:, :1]), "palette"),
    "a palette of five": (lambda q: replaced(q, palette=np.zeros((8, 5), np.uint8)), "palette"),
    "a flat palette": (lambda q: replaced(q, palette=q.palette.ravel()), "palette"),
    "a palette of floats": (lambda q: replaced(q, palette=q.palette / 255), "palette"),
    "a palette of objects": (lambda q: replaced(q, palette=q.palette.astype(object)), "palette"),
    "a list as palette": (lambda q: replaced(q, palette=q.palette.tolist()), "palette"),
    "no palette": (lambda q: replaced(q, palette=None), "palette"),
    "a palette without end": (
        lambda q: replaced(
            q, palette=np.broadcast_to(q.palette[:1], (1 << 40, q.palette.shape[1]))
        ),
        "palette",
    ),
    "wide indices": (lambda q: replaced(q, indices=q.indices.astype(np.int64)), "indices"),
    "signed indices": (lambda q: replaced(q, indices=q.indices.view(np.int8) - 1), "indices"),
    "big-endian indices": (lambda q: replaced(q, indices=q.indices.astype(">u2")), "indices"),
    "flat indices": (lambda q: replaced(q, indices=q.indices.ravel()), "indices"),
    "no pixel": (lambda q: replaced(q, indices=q.indices[:0]), "indices"),
    "a list as indices": (lambda q: replaced(q, indices=q.indices.tolist()), "indices"),
    "masked indices": (lambda q: replaced(q, indices=np.ma.masked_equal(q.indices, 1)), "indices"),
    "fewer counts": (lambda q: replaced(q, counts=q.counts[:3]), "counts"),
    "negative counts": (lambda q: written(q.counts, -1), "counts"),
    "counts that overflow": (lambda q: written(q.counts, 1 << 62), "counts"),
    "counts of floats": (lambda q: replaced(q, counts=q.counts + 0.5), "counts"),
    "no counts": (lambda q: replaced(q, counts=None), "counts"),
    "a negative error": (lambda q: replaced(q, mse=-1.0), "mse"),
    "an error that is no number": (lambda q: replaced(q, mse=float("nan")), "mse"),
    "an error of text": (lambda q: replaced(q, mse="1"), "mse"),
    "no iterations": (lambda q: replaced(q, n_iter=None), "n_iter"),
    "set all the same": (lambda q: object.__setattr__(q, "palette", q.palette[:2]), "indices"),
}

USES = {
    "to_array": lambda _, q: q.to_array(),
    "to_pil": lambda _, q: q.to_pil(),
    "save": lambda _, q: q.save(io.BytesIO(), "png"),
    "save as webp": lambda _, q: q.save(io.BytesIO(), "webp"),
    "_repr_png_": lambda _, q: q._repr_png_(),
    "quantized_png": lambda _, q: quantized_png(q),
    "delta_e": kmeans_c.delta_e,
    "differences": perceptual.differences,
    "preview": preview,
}


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("mutation", QUANTIZED)
def test_a_quantized_that_was_changed(mutation, use, image):
    pixels = IMAGES[image]
    quantized = kmeans_c.quantize(pixels, 8, ITERS=1)
    change, named = QUANTIZED[mutation]
    changed = change(quantized)
    quantized = quantized if changed is None else changed
    with pytest.raises((TypeError, ValueError), match=rf"^quantized\.{named}: expected "):
        USES[use](pixels, quantized)


@pytest.mark.parametrize("use", ["delta_e", "differences", "preview", "quantized_png"])
@pytest.mark.parametrize("other", [None, "text", 3, IMAGES["rgb"], kmeans_c.Quantized], ids=repr)
def test_what_is_no_quantized(other, use):
    with pytest.raises(TypeError, match=r"^quantized: expected a Quantized, got "):
        USES[use](IMAGES["rgb"], other)


def test_the_psnr_of_an_error_that_was_changed():
    quantized = kmeans_c.quantize(IMAGES["rgb"], 8)
    with pytest.raises(ValueError, match=r"^quantized\.mse: expected "):
        _ = replaced(quantized, mse=-1.0).psnr


@pytest.mark.parametrize("image", IMAGES)
def test_uses_of_a_quantized_leave_it_as_it_is(image):
    quantized = kmeans_c.quantize(IMAGES[image], 8, ITERS=1)
    before = pickle.dumps(quantized)
    for use in USES.values():
        use(IMAGES[image], quantized)
    assert pickle.dumps(quantized) == before
    assert not np.may_share_memory(quantized.to_array(), quantized.palette)


# ---- palette and indices as arrays

PAIRS = {
    "beyond": (lambda p, i: (p[:4], i), "indices"),
    "empty palette": (lambda p, i: (p[:0], i), "palette"),
    "one channel": (lambda p, i: (p[:, :1], i), "palette"),
    "floats": (lambda p, i: (p / 255, i), "palette"),
    "wide": (lambda p, i: (p, i.astype(np.int32)), "indices"),
    "flat": (lambda p, i: (p, i.ravel()), "indices"),
}

TAKERS = {
    "encode": lambda _, p, i: [
        encoding.encode(p, i, kind) for kind in ("png", "webp", "gif", "bmp", "tiff", "ico", "jpeg")
    ],
    "encode_smallest": lambda _, p, i: encoding.encode_smallest(p, i),
    "indexed_image": lambda _, p, i: encoding.indexed_image(p, i),
    "smooth": rate.smooth,
    "smooth of residuals": lambda a, p, i: rate.smooth(a, p, i, coder="residuals"),
}


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("pair", PAIRS)
def test_a_palette_and_indices_that_do_not_fit(pair, taker):
    quantized = kmeans_c.quantize(IMAGES["rgb"], 8, ITERS=1)
    change, named = PAIRS[pair]
    with pytest.raises((TypeError, ValueError), match=rf"^(pixels, )?{named}: expected "):
        TAKERS[taker](IMAGES["rgb"], *change(quantized.palette, quantized.indices))


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (IMAGES["rgb"][:-1], "pixels: expected "),
        (IMAGES["rgb"][..., :2], "pixels: expected "),
        (IMAGES["rgb"] / 255, "pixels, indices: expected uint8"),
        (IMAGES["rgba"], "palette: expected 4 channels"),
    ],
)
def test_pixels_that_do_not_fit(pixels, message):
    quantized = kmeans_c.quantize(IMAGES["rgb"], 8, ITERS=1)
    with pytest.raises((TypeError, ValueError), match=f"^{message}"):
        rate.smooth(pixels, quantized.palette, quantized.indices)


def test_owners_beyond_a_palette():
    histogram = kmeans_c.Histogram(3).add(IMAGES["rgb"])
    judge = perceptual.Judge(histogram, 1)
    owners = np.full(len(histogram), 4, np.uint16)
    with pytest.raises(ValueError, match=r"^owners: expected 0\.\.3, got 4"):
        judge.differences(np.zeros((4, 3), np.uint8), owners)


# ---- Palette

# With a colour behind full transparency, which `table` holds and `colors` does not.
TABLE = [[9, 8, 7, 0], [1, 2, 3, 255], [200, 100, 50, 255], [20, 100, 250, 99]]

PALETTES = {
    "no colour": lambda p: setattr(p, "colors", p.colors[:0]),
    "one channel": lambda p: setattr(p, "colors", p.colors[:, :1]),
    "five channels": lambda p: setattr(p, "colors", np.zeros((4, 5), np.uint8)),
    "floats": lambda p: setattr(p, "colors", p.colors / 255),
    "a list": lambda p: setattr(p, "colors", p.colors.tolist()),
    "other colours": lambda p: written(p.colors, 9),
    "other colours in the table": lambda p: written(p.table, 9),
    "a shorter table": lambda p: setattr(p, "table", p.table[:2]),
    "more colours than there may be": lambda p: setattr(
        p, "colors", np.broadcast_to(p.colors[:1], (1 << 40, 4))
    ),
    "fewer counts": lambda p: setattr(p, "counts", p.counts[:2]),
    "negative counts": lambda p: written(p.counts, -1),
    "counts of text": lambda p: setattr(p, "counts", "text"),
}

PALETTE_USES = {
    "map": lambda p: p.map(IMAGES["rgb"]),
    "map and dither": lambda p: p.map(IMAGES["rgba"], dither="adaptive", space="oklab"),
    "write": lambda p: p.write(io.BytesIO(), "json"),
    "write_palette": lambda p: write_palette(p, io.BytesIO(), "hex"),
    "_repr_html_": lambda p: p._repr_html_(),
    "palette_html": palette_html,
}


@pytest.mark.parametrize("use", PALETTE_USES)
@pytest.mark.parametrize("mutation", PALETTES)
def test_a_palette_that_was_changed(mutation, use):
    palette = kmeans_c.Palette(TABLE, [1] * len(TABLE))
    PALETTES[mutation](palette)
    with pytest.raises(
        (TypeError, ValueError), match=r"^palette\.(colors|table|counts): expected "
    ):
        PALETTE_USES[use](palette)


@pytest.mark.parametrize("mutation", PALETTES)
def test_quantize_to_a_palette_that_was_changed(mutation):
    """A call takes a palette as it is given: what it holds then is right, or it is refused."""
    palette = kmeans_c.Palette(TABLE, [1] * len(TABLE))
    PALETTES[mutation](palette)
    try:
        result = kmeans_c.quantize(IMAGES["rgb"], palette=palette)
    except (TypeError, ValueError) as error:
        assert str(error).startswith(("palette", "counts"))  # noqa: PT017 - or no error at all
    else:
        assert result.indices.max() < len(result.palette)


# ---- Histogram


HISTOGRAMS = {
    "keys beyond the colours": lambda h: written(h.keys, 0xFFFFFFFF),
    "the last key beyond": lambda h: (
        written(h.keys[-1:].base, h.keys) or h.keys.__setitem__(-1, 1 << 31)
    ),
    "keys that descend": lambda h: written(h.keys, h.keys[::-1].copy()),
    "keys that repeat": lambda h: written(h.keys, 5),
    "counts of 0": lambda h: written(h.counts, 0),
    "negative counts": lambda h: written(h.counts, -(1 << 60)),
    "counts that overflow": lambda h: written(h.counts, 1 << 60),
    "other channels": lambda h: setattr(h, "channels", 1),
    "channels of text": lambda h: setattr(h, "channels", "3"),
}

HISTOGRAM_USES = {
    "Palette.fit": lambda h: kmeans_c.Palette.fit(h, 4),
    "Palette.fit in oklab": lambda h: kmeans_c.Palette.fit(h, 4, space="oklab"),
    "merge": lambda h: kmeans_c.Histogram(3).merge(h),
    "pickle": lambda h: pickle.loads(pickle.dumps(h)),
}


@pytest.mark.parametrize("use", HISTOGRAM_USES)
@pytest.mark.parametrize("mutation", HISTOGRAMS)
def test_a_histogram_that_was_changed(mutation, use):
    histogram = kmeans_c.Histogram(3).add(IMAGES["rgb"])
    HISTOGRAMS[mutation](histogram)
    with pytest.raises((TypeError, ValueError), match=r"^\w+(\.\w+)?: expected "):
        HISTOGRAM_USES[use](histogram)


def test_a_histogram_that_was_changed_can_be_drawn_or_says_why():
    pytest.importorskip("matplotlib")
    from kmeans_c.views.plot import plot

    histogram = kmeans_c.Histogram(3).add(IMAGES["rgb"])
    written(histogram.counts, 0)
    with pytest.raises(ValueError, match=r"^source\.counts: expected "):
        plot(histogram)
    quantized = kmeans_c.quantize(IMAGES["rgb"], 6)
    written(quantized.indices, 9)
    with pytest.raises(ValueError, match=r"^source\.indices: expected "):
        plot(quantized)


# ---- KMeans

X = RNG.normal(size=(50, 3))

CENTERS = {
    "one column": np.zeros((3, 1)),
    "more columns": np.zeros((3, 9)),
    "no row": np.zeros((0, 3)),
    "flat": np.zeros(3),
    "three axes": np.zeros((2, 3, 3)),
    "NaN": np.full((3, 3), np.nan),
    "infinity": np.full((3, 3), np.inf),
    "beyond squares": np.full((3, 3), 1e200),
    "complex": np.zeros((3, 3), complex),
    "objects": np.full((3, 3), None),
    "text": np.full((3, 3), "1"),
    "None": None,
    "masked": np.ma.masked_equal(np.ones((3, 3)), 1),
}


@pytest.mark.parametrize("method", ["predict", "transform", "score"])
@pytest.mark.parametrize("centers", CENTERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_centers_that_were_changed(dtype, centers, method):
    model = kmeans_c.KMeans(3, random_state=0).fit(X.astype(dtype))
    model.cluster_centers_ = CENTERS[centers]
    with pytest.raises((TypeError, ValueError), match=r"^cluster_centers_: "):
        getattr(model, method)(X.astype(dtype))


@pytest.mark.parametrize("features", [0, -1, 1, 4, 1 << 40, 2.0, "3", None, True], ids=repr)
@pytest.mark.parametrize("method", ["predict", "transform", "score"])
def test_a_number_of_features_that_was_changed(features, method):
    model = kmeans_c.KMeans(3, random_state=0).fit(X)
    model.n_features_in_ = features
    with pytest.raises((TypeError, ValueError), match=r"^(n_features_in_: |X has 3 features)"):
        getattr(model, method)(X)


def test_centers_of_another_layout_or_number_are_taken():
    model = kmeans_c.KMeans(3, random_state=0).fit(X)
    expected = model.transform(X)
    for centers in (
        np.asfortranarray(model.cluster_centers_),
        model.cluster_centers_.astype(">f8"),
        model.cluster_centers_.tolist(),
        np.repeat(model.cluster_centers_, 2, axis=1)[:, ::2],
    ):
        model.cluster_centers_ = centers
        np.testing.assert_array_equal(model.transform(X), expected)
    model.cluster_centers_ = expected_centers = np.asarray(model.cluster_centers_)[:2]
    distances = np.sqrt(((X[:, np.newaxis] - expected_centers) ** 2).sum(axis=2))
    np.testing.assert_allclose(model.transform(X), distances)
    np.testing.assert_array_equal(model.predict(X), distances.argmin(axis=1))


# ---- animations


def animation_file():
    frames = [Image.fromarray(IMAGES["rgb"][:, k : k + 20]) for k in range(3)]
    data = io.BytesIO()
    frames[0].save(data, "png", save_all=True, append_images=frames[1:])
    return data


ANIMATED = {
    "none": lambda q: setattr(q, "palettes", ()),
    "a list": lambda q: setattr(q, "palettes", list(q.palettes)),
    "an empty one": lambda q: setattr(q, "palettes", (q.palettes[0][:0],)),
    "of three channels": lambda q: setattr(q, "palettes", (q.palettes[0][:, :3],)),
    "of floats": lambda q: setattr(q, "palettes", (q.palettes[0] / 255,)),
    "two for three frames": lambda q: setattr(q, "palettes", q.palettes * 2),
    "more colours than fit": lambda q: setattr(q, "palettes", (np.zeros((300, 4), np.uint8),)),
}


@pytest.mark.parametrize("kind", ["gif", "png", "webp", "tiff"])
@pytest.mark.parametrize("mutation", ANIMATED)
def test_palettes_of_an_animation_that_were_changed(mutation, kind):
    with read_frames(animation_file()) as animation:
        quantized = quantize_animation(animation, 6)
        ANIMATED[mutation](quantized)
        with pytest.raises((TypeError, ValueError), match=r"^palettes: expected "):
            quantized.encode(kind)
        with pytest.raises((TypeError, ValueError), match=r"^palettes: expected "):
            list(quantized.cels())
