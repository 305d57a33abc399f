"""What is written, decoded by libraries that neither read nor write here."""

import numpy as np
import pytest

from kmeans_c.encoding import encode

SIZES = [(1, 1), (3, 5), (37, 61)]


def image(n_colors, shape, *, clear=False):
    rng = np.random.default_rng(n_colors)
    colors = rng.choice(1 << 24, n_colors, replace=False).astype("<u4").view(np.uint8)
    palette = colors.reshape(-1, 4).copy()
    palette[:, 3] = 255
    if clear:
        palette[0] = 0
    indices = rng.integers(0, n_colors, shape, np.uint8)
    indices.flat[: min(n_colors, indices.size)] = np.arange(min(n_colors, indices.size))
    return palette if clear else palette[:, :3], indices


def expected(palette, indices):
    opaque = np.full((len(palette), 1), 255, np.uint8)
    return np.hstack([palette, opaque])[:, :4][indices]


def as_rgba(pixels):
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        pixels = np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
    if pixels.shape[2] == 2:
        pixels = pixels[:, :, [0, 0, 0, 1]]
    shown = np.full((*pixels.shape[:2], 4), 255, np.uint8)
    shown[:, :, : pixels.shape[2]] = pixels
    shown[shown[:, :, 3] == 0] = 0
    return shown


@pytest.mark.parametrize("clear", [False, True])
@pytest.mark.parametrize("n_colors", [1, 2, 4, 16, 256])
@pytest.mark.parametrize("shape", SIZES)
class TestDecoders:
    @pytest.mark.parametrize("kind", ["png", "gif", "webp", "tiff"])
    def test_libvips(self, kind, shape, n_colors, clear):
        pyvips = pytest.importorskip("pyvips")
        palette, indices = image(n_colors, shape, clear=clear)
        data = encode(palette, indices, kind)
        found = pyvips.Image.new_from_buffer(data, "").numpy()
        assert np.array_equal(as_rgba(found), expected(palette, indices))

    @pytest.mark.parametrize("kind", ["png", "webp", "tiff", "bmp"])
    def test_opencv(self, kind, shape, n_colors, clear):
        cv2 = pytest.importorskip("cv2")
        if kind == "bmp" and clear:
            pytest.skip("a BMP holds no transparency")
        palette, indices = image(n_colors, shape, clear=clear)
        data = np.frombuffer(encode(palette, indices, kind), np.uint8)
        found = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        found = found[:, :, [2, 1, 0, 3][: found.shape[2]]] if found.ndim == 3 else found
        assert np.array_equal(as_rgba(found), expected(palette, indices))

    @pytest.mark.parametrize("kind", ["png", "webp", "bmp"])
    def test_imagecodecs(self, kind, shape, n_colors, clear):
        imagecodecs = pytest.importorskip("imagecodecs")
        if kind == "bmp" and clear:
            pytest.skip("a BMP holds no transparency")
        palette, indices = image(n_colors, shape, clear=clear)
        decode = getattr(imagecodecs, f"{kind}_decode")
        found = np.asarray(decode(encode(palette, indices, kind)))
        assert np.array_equal(as_rgba(found), expected(palette, indices))
