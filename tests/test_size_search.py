"""More bytes never give a larger error, and of what fits the best is taken."""

import io
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kmeans_c import compress, quantize, quantize_to_size
from kmeans_c.counted_image import CountedImage
from kmeans_c.encoding import encode
from kmeans_c.size_search import SizeSearch, ladder, losses
from kmeans_c.targets import TargetNotMet


def counted(image, **options):
    defaults = {
        "most": 256, "ITERS": 10, "init": "search", "effort": "balanced", "space": "srgb",
        "keep": None, "dither": "none", "dither_strength": 1.0, "seed": 0, "n_threads": 1,
    }  # fmt: skip
    return CountedImage(image, **(defaults | options))


@st.composite
def images(draw, most=24):
    """Areas, ramps and noise: their sizes as files do not grow evenly with the colours."""
    height, width = draw(st.integers(1, most)), draw(st.integers(1, most))
    channels = draw(st.sampled_from([1, 3, 4]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([2, 5, 40, 256]))
    image = rng.integers(0, levels, (height, width, channels)) * (255 // (levels - 1))
    if draw(st.booleans()):
        image[:] = image[:, :1]
    if draw(st.booleans()):
        image = np.sort(image, axis=0)
    return image[:, :, 0].astype(np.uint8) if channels == 1 else image.astype(np.uint8)


@settings(max_examples=15, deadline=None)
@given(
    images(),
    st.lists(st.integers(60, 1500), min_size=2, max_size=8),
    st.sampled_from(["srgb", "oklab"]),
    st.sampled_from([0.0, 20.0]),
)
def test_more_bytes_never_give_a_larger_error(image, sizes, space, loss):
    search = SizeSearch(counted(image, space=space), "png", 1)
    before = math.inf
    for n_bytes in sorted(sizes):
        found = search.best(n_bytes, loss)
        if found is None:
            assert before == math.inf
            continue
        assert len(found.data) <= n_bytes
        assert found.mse <= before
        before = found.mse


@settings(max_examples=8, deadline=None)
@given(images(most=10), st.integers(60, 900))
def test_on_tiny_images_no_candidate_that_fits_is_better(image, n_bytes):
    found = SizeSearch(counted(image), "png", 1).best(n_bytes, 20.0)
    every = SizeSearch(counted(image), "png", 1)
    most = every.source.most
    candidates = [every.encoded(K, 0.0) for K in range(1, most + 1)]
    candidates += [every.encoded(K, loss) for loss in losses(20.0) for K in ladder(2, most)]
    fitting = [file for file in candidates if len(file.data) <= n_bytes]
    if not fitting:
        assert found is None
        return
    assert found.mse == min(file.mse for file in fitting)


def test_without_loss_every_number_of_colours_counts(rng):
    image = np.sort(rng.integers(0, 256, (8, 8, 3), np.uint8), axis=0)
    sizes = {}
    for K in range(1, 65):
        one = quantize(image, K)
        sizes[K] = len(encode(one.palette, one.indices, "png", optimize=1)), one.mse
    for n_bytes in range(sizes[1][0], sizes[64][0] + 40, 19):
        found = quantize_to_size(image, n_bytes, lossy=0, optimize=1)
        assert found.quantized.mse == min(mse for size, mse in sizes.values() if size <= n_bytes)


@pytest.mark.parametrize("kind", ["png", "webp", "gif", "auto"])
@pytest.mark.parametrize("shape", [(60, 60, 3), (190, 190, 3)])
def test_larger_images_are_searched_without_inversions(rng, shape, kind):
    y, x = np.mgrid[: shape[0], : shape[1]]
    waves = np.stack([128 + 100 * np.sin(x / 9 + c) * np.cos(y / (7 + c)) for c in range(3)], 2)
    image = np.clip(waves + rng.normal(0, 6, shape), 0, 255).astype(np.uint8)
    source = counted(image, most=100)
    shared = SizeSearch(source, kind, 1)
    before = math.inf
    for n_bytes in np.geomspace(400, 25000, 8).astype(int).tolist():
        found = shared.best(n_bytes, 20.0)
        assert len(found.data) <= n_bytes
        assert found.mse <= before
        before = found.mse
    # What was encoded before does not matter.
    alone = SizeSearch(source, kind, 1).best(3000, 20.0)
    assert alone.data == shared.best(3000, 20.0).data


def test_a_floor_keeps_inversions_of_the_fits_out_of_the_answer(monkeypatch, rng):
    # Fits whose error does not fall with K, and files whose size does not grow: nothing that is
    # measured is monotone, and the answer is.
    image = rng.integers(0, 256, (300, 300, 3), np.uint8)
    source = counted(image, most=64)
    for trial in range(200):
        search = SizeSearch(source, "png", 1)
        errors = rng.integers(1, 30, 65).tolist()
        sizes = rng.integers(1, 40, (65, 3)).tolist()

        class Fake:
            def __init__(self, K, loss, errors=errors, sizes=sizes):
                step = (0.0, *losses(20.0)).index(loss)
                self.data = bytes(sizes[K][step])
                self.lossy = loss
                self.quantized = self
                self.mse = errors[K] + 3 * step

        monkeypatch.setattr(search, "encoded", Fake)
        monkeypatch.setattr(source, "mse", lambda K, errors=errors: errors[K])
        before = math.inf
        for n_bytes in range(40):
            found = search.best(n_bytes, 20.0)
            if found is not None:
                assert len(found.data) <= n_bytes
                assert found.mse <= before, (trial, n_bytes)
                before = found.mse


@pytest.mark.parametrize("kind", ["PNG", "PPM"])
def test_a_size_above_the_inputs_does_not_matter(tmp_path, rng, kind):
    # A file that takes more bytes than the input is not written, so it is no candidate.
    pixels = np.sort(rng.integers(0, 256, (40, 40, 3), np.uint8), axis=0)
    source = tmp_path / f"a.{kind.lower()}"
    Image.fromarray(pixels).save(source, kind)
    n_bytes = source.stat().st_size
    found = [
        compress(source, tmp_path / "b.png", target_size=size, overwrite=True)
        for size in (n_bytes, n_bytes + 1, 10 * n_bytes)
    ]
    assert len({(one.mse, one.bytes_after) for one in found}) == 1
    assert found[0].bytes_after <= n_bytes


def test_an_input_that_is_smaller_than_any_candidate_is_kept(tmp_path):
    file = io.BytesIO()
    Image.new("L", (1, 1)).save(file, "png")
    source = tmp_path / "a.png"
    source.write_bytes(file.getvalue())
    with pytest.raises(TargetNotMet, match="target_size: expected at least"):
        compress(source, tmp_path / "b.png", target_size=20)
    done = compress(source, tmp_path / "b.png", target_size=5000)
    assert done.bytes_after <= len(file.getvalue())


@pytest.mark.parametrize(("least", "most"), [(1, 0), (1, 1), (2, 256), (5, 40), (256, 256)])
def test_a_ladder_has_both_ends(least, most):
    Ks = ladder(least, most)
    assert Ks == sorted(set(Ks))
    if least <= most:
        assert Ks[0] == least
        assert Ks[-1] == most
        assert all(K - k <= max(1, k // 16) for k, K in itertools.pairwise(Ks))


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpegs_have_the_best_quality_that_fits(rng, mode):
    y, x = np.mgrid[:70, :90]
    image = np.stack([128 + 100 * np.sin(x / 9 + c) * np.cos(y / (7 + c)) for c in range(3)], 2)
    image = np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)
    image = image[:, :, 0] if mode == "L" else image
    before = math.inf
    for n_bytes in (900, 1300, 2500, 2501, 4000, 9000, 1 << 20):
        found = quantize_to_size(image, n_bytes, format="jpeg", K=64)
        assert len(found.data) <= n_bytes
        shown = np.asarray(Image.open(io.BytesIO(found.data))).astype(int)
        squares = (shown - image) ** 2
        mse = 3 * squares.mean() if mode == "L" else squares.sum(axis=2).mean()
        assert found.quantized.mse == pytest.approx(mse, rel=1e-12)
        assert mse <= before
        before = mse
    assert before < 2 * quantize(image, 64).mse + 8


def test_a_jpeg_of_few_bytes_has_fewer_colours(rng):
    image = rng.integers(0, 256, (64, 64, 3), np.uint8)
    least = quantize_to_size(image, 1 << 20, format="jpeg", K=1)
    found = quantize_to_size(image, 700, format="jpeg")
    assert len(found.data) <= 700
    with pytest.raises(TargetNotMet) as error:
        quantize_to_size(image, 100, format="jpeg")
    assert error.value.reached <= len(least.data)
    assert quantize_to_size(image, error.value.reached, format="jpeg").format == "jpeg"
