"""Pictures of results: side by side, and in notebooks."""

import io
from html.parser import HTMLParser

import hostile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import kmeans_c
from kmeans_c import Palette
from kmeans_c.views.display import SIDE, palette_html, quantized_png, shares, thinned
from kmeans_c.views.preview import GAP, STRIP, preview


@pytest.fixture
def photo():
    return hostile.photo()


def drawn(image, result):
    """The sheet's three parts, and what is between them."""
    sheet = np.asarray(preview(image, result))
    height, width = result.indices.shape
    assert sheet.shape == (height + GAP + STRIP, 2 * width + GAP, 3)
    before, after = sheet[:height, :width], sheet[:height, width + GAP :]
    strip = sheet[height + GAP :, width + GAP :]
    assert (sheet[:height, width : width + GAP] == 255).all()
    assert (sheet[height : height + GAP] == 255).all()
    assert (sheet[height:, : width + GAP] == 255).all()
    return before, after, strip


def widths(strip, palette):
    """How many pixels each colour of the palette has in a strip, whose rows are alike."""
    assert (strip == strip[:1]).all()
    return [int((strip[0] == color).all(axis=1).sum()) for color in palette]


def test_before_and_after(photo):
    result = kmeans_c.quantize(photo, 8)
    for image in (photo, Image.fromarray(photo), io.BytesIO(hostile.file_of(photo, "png"))):
        before, after, _ = drawn(image, result)
        assert np.array_equal(before, photo)
        assert np.array_equal(after, result.to_array())


def test_the_strip_shows_the_shares(photo):
    result = kmeans_c.quantize(photo, 8)
    _, _, strip = drawn(photo, result)
    found = widths(strip, result.palette)
    assert sum(found) == photo.shape[1]
    expected = result.counts / result.counts.sum() * photo.shape[1]
    assert np.abs(np.array(found) - expected).max() <= 2


@pytest.mark.parametrize("K", [1, 59, 60, 61, 256])
def test_every_colour_has_a_pixel_if_there_are_enough(K, photo):
    result = kmeans_c.quantize(photo, K)
    _, _, strip = drawn(photo, result)
    found = widths(strip, result.palette)
    assert sum(found) == 60
    if K <= 60:
        assert min(found) >= 1


def test_a_given_palette_of_which_little_is_used():
    black = np.zeros((4, 30, 3), np.uint8)
    result = kmeans_c.quantize(black, palette=[(255, 0, 0), (0, 0, 0), (0, 255, 0)])
    _, _, strip = drawn(black, result)
    assert widths(strip, result.palette) == [1, 28, 1]


def test_grey_and_transparent(photo):
    grey = photo[:, :, 0]
    before, _, _ = drawn(grey, kmeans_c.quantize(grey, 4))
    assert np.array_equal(before, np.repeat(grey[:, :, None], 3, axis=2))
    clear = np.dstack([photo, np.full(photo.shape[:2], 255, np.uint8)])
    clear[:20, :20, 3] = 0
    clear[20:, :20, 3] = 51
    before, after, _ = drawn(clear, kmeans_c.quantize(clear, 256))
    assert np.array_equal(before[:, 20:], photo[:, 20:])
    for part in (before, after):
        assert part[:8, :8].tolist() == [[[255] * 3] * 8] * 8
        assert part[:8, 8:16].tolist() == [[[204] * 3] * 8] * 8
        assert part[8:16, :8].tolist() == [[[204] * 3] * 8] * 8
    exact = (photo[20:, :20] * 51.0 + 255 * 204) / 255
    board = np.add.outer(np.arange(20, 40) // 8, np.arange(20) // 8) % 2 == 0
    assert np.abs(before[20:, :20] - exact)[board].max() <= 0.5


def test_other_sizes_and_kinds_are_refused(photo):
    result = kmeans_c.quantize(photo, 4)
    with pytest.raises(
        ValueError, match="image: expected 60 x 40 pixels as in quantized, got 60 x"
    ):
        preview(photo[:-1], result)
    with pytest.raises(TypeError, match="quantized: expected a Quantized, got Image"):
        preview(photo, result.to_pil())


# In notebooks


def test_a_result_as_png(photo):
    for K in (8, 300):
        result = kmeans_c.quantize(photo, K)
        with Image.open(io.BytesIO(quantized_png(result))) as image:
            assert image.mode == ("P" if K == 8 else "RGB")
            assert np.array_equal(np.asarray(image.convert("RGB")), result.to_array())


def test_a_large_result_is_thinned_out():
    photo = np.repeat(hostile.photo(2, SIDE + 1), 2, axis=0)
    result = kmeans_c.quantize(photo, 4)
    with Image.open(io.BytesIO(quantized_png(result))) as image:
        assert np.array_equal(np.asarray(image.convert("RGB")), result.to_array()[::2, ::2])


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 60))
def test_thinned_out_as_little_as_is_enough(height, width, side):
    pixels = np.arange(height * width).reshape(height, width)
    found = thinned(pixels, side)
    assert max(found.shape) <= side
    n = next(n for n in range(1, 51) if -(-max(height, width) // n) <= side)
    assert np.array_equal(found, pixels[::n, ::n])


class Swatches(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, _, attrs):
        self.found.append(dict(attrs))

    def handle_data(self, data):
        self.text += data


def test_a_palette_as_html():
    page = Swatches(palette_html(Palette([(200, 16, 46), (0, 0, 0)], [3, 1])))
    row, *swatches = page.found
    assert row["aria-label"] == "Palette: #c8102e 75.0 %, #000000 25.0 %"
    assert [swatch["title"] for swatch in swatches] == ["#c8102e 75.0 %", "#000000 25.0 %"]
    assert all(swatch["style"].endswith("background:" + swatch["title"][:7]) for swatch in swatches)
    page = Swatches(palette_html(Palette([(1, 2, 3, 0), (1, 2, 3, 9)])))
    assert [swatch.get("title") for swatch in page.found[1:]] == ["#00000000", "#01020309"]
    assert "gradient" in page.found[1]["style"]


def test_a_large_palette_ends_somewhere():
    codes = np.arange(5000)
    page = Swatches(palette_html(Palette(np.stack([codes >> 8, codes & 255, codes & 0], axis=1))))
    assert page.text == " and 3,976 more"


def test_shares():
    assert shares(np.array([2, 1, 1])) == ["50.0 %", "25.0 %", "25.0 %"]
    assert shares(np.array([0, 1, 9999])) == ["0.0 %", "< 0.1 %", "100.0 %"]
    assert shares(np.array([0])) == ["0.0 %"]
