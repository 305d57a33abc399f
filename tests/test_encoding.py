"""What is written shows exactly the palette's colours, in the smallest form each format has."""

import io
import struct
from pathlib import Path

import hostile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kmeans_c.encoding import (
    FORMATS,
    check_format,
    decodes_to,
    encode,
    encode_smallest,
    format_for,
    indexed_image,
)

LOSSLESS = ("png", "gif", "webp", "bmp", "tiff")


def random_image(n, seed=0, shape=(13, 17), kind="rgb"):
    """A palette of exactly n distinct colours and indices that use them all."""
    rng = np.random.default_rng(seed)
    codes = rng.choice(256 if kind == "grey" else 1 << 24, n, replace=False)
    if kind == "grey":
        palette = np.repeat(codes[:, np.newaxis], 3, axis=1).astype(np.uint8)
    else:
        palette = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1).astype(np.uint8)
    if kind in ("one hidden", "translucent"):
        alpha = np.full((n, 1), 255, np.uint8)
        if kind == "translucent":
            alpha = rng.integers(1, 256, (n, 1), dtype=np.uint8)
        palette = np.concatenate([palette, alpha], axis=1)
        palette[0] = 0
    indices = rng.integers(0, n, shape).astype(np.uint8)
    indices.flat[:n] = np.arange(n)
    return palette, indices


def decoded(data):
    """The pixels of an image file, as Pillow alone shows them."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGBA"))


def opaque(palette):
    """A palette as RGBA."""
    if palette.shape[1] == 4:
        return palette
    return np.concatenate([palette, np.full((len(palette), 1), 255, np.uint8)], axis=1)


class TestLossless:
    @pytest.mark.parametrize("form", LOSSLESS)
    @pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 16, 17, 221])
    @pytest.mark.parametrize("kind", ["rgb", "grey"])
    def test_shows_the_palette(self, form, n, kind):
        palette, indices = random_image(n, kind=kind)
        data = encode(palette, indices, form)
        assert np.array_equal(decoded(data), opaque(palette)[indices])
        assert decodes_to(data, palette, indices)

    @pytest.mark.parametrize("form", LOSSLESS)
    def test_full_palette(self, form):
        palette, indices = random_image(256, shape=(16, 16))
        data = encode(palette, indices, form)
        assert np.array_equal(decoded(data), opaque(palette)[indices])

    @pytest.mark.parametrize("form", LOSSLESS)
    def test_every_grey(self, form):
        palette = np.repeat(np.arange(256, dtype=np.uint8)[:, np.newaxis], 3, axis=1)
        indices = np.arange(256, dtype=np.uint8).reshape(16, 16)
        data = encode(palette, indices, form)
        assert np.array_equal(decoded(data)[..., :3], palette[indices])
        assert decodes_to(data, palette, indices)

    @pytest.mark.parametrize(
        ("form", "kind"),
        [
            ("png", "one hidden"),
            ("png", "translucent"),
            ("webp", "one hidden"),
            ("webp", "translucent"),
            ("tiff", "one hidden"),
            ("tiff", "translucent"),
            ("gif", "one hidden"),
        ],
    )
    @pytest.mark.parametrize("n", [1, 2, 17])
    def test_shows_transparency(self, form, kind, n):
        palette, indices = random_image(n, kind=kind)
        data = encode(palette, indices, form)
        shown = decoded(data)
        expected = palette[indices]
        assert np.array_equal(shown[..., 3], expected[..., 3])
        assert np.array_equal(shown[expected[..., 3] > 0], expected[expected[..., 3] > 0])
        assert decodes_to(data, palette, indices)

    @settings(max_examples=60, deadline=None)
    @given(
        n=st.integers(1, 200),
        seed=st.integers(0, 1 << 30),
        width=st.integers(1, 40),
        kind=st.sampled_from(["rgb", "grey", "one hidden", "translucent"]),
        form=st.sampled_from(["png", "webp", "tiff"]),
    )
    def test_shows_any_palette_at_any_size(self, n, seed, width, kind, form):
        palette, indices = random_image(n, seed, (-(-n // width), width), kind)
        data = encode(palette, indices, form)
        shown, expected = decoded(data), opaque(palette)[indices]
        seen = expected[..., 3] > 0
        assert np.array_equal(shown[seen], expected[seen])
        assert np.array_equal(shown[..., 3] > 0, seen)


class TestPng:
    @pytest.mark.parametrize(
        ("n", "bits"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 4), (16, 4), (17, 8), (221, 8)]
    )
    def test_as_few_bits_as_the_colours_need(self, n, bits):
        palette, indices = random_image(n)
        chunks = hostile.png_chunks(encode(palette, indices, "png", optimize=1))
        assert [name for name, _ in chunks] == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
        width, height, depth, color_type = struct.unpack(">IIBB", chunks[0][1][:10])
        assert (height, width) == indices.shape
        assert (depth, color_type) == (bits, 3)
        colors = np.frombuffer(chunks[1][1], np.uint8).reshape(-1, 3)
        assert np.array_equal(np.unique(colors, axis=0), np.unique(palette, axis=0))

    def test_unused_entries_are_dropped(self):
        palette, indices = random_image(5)
        wide = np.concatenate([palette, random_image(200, 1)[0]])
        for form in (*LOSSLESS, "ico"):
            assert len(encode(wide, indices, form)) == len(encode(palette, indices, form))

    @pytest.mark.parametrize("form", ["png", "webp"])
    def test_effort(self, form):
        palette, indices = random_image(16, shape=(200, 200))
        indices = np.sort(indices, axis=1)
        fast, best = (encode(palette, indices, form, optimize=level) for level in (0, 4))
        assert len(best) < len(fast)
        assert np.array_equal(decoded(fast), decoded(best))

    @pytest.mark.parametrize(
        ("effort", "error"), [(-1, ValueError), (7, ValueError), (2.0, TypeError), ("2", TypeError)]
    )
    def test_impossible_effort(self, effort, error):
        with pytest.raises(error, match=r"^optimize: expected "):
            encode(*random_image(2), "png", optimize=effort)


class TestIco:
    @pytest.mark.parametrize("shape", [(1, 1), (16, 16), (32, 48), (256, 256), (256, 3)])
    @pytest.mark.parametrize("kind", ["rgb", "translucent"])
    def test_shows_the_palette(self, shape, kind):
        palette, indices = random_image(9 if shape != (1, 1) else 1, shape=shape, kind=kind)
        data = encode(palette, indices, "ico")
        with Image.open(io.BytesIO(data)) as image:
            assert image.format == "ICO"
            assert image.size == shape[::-1]
            shown = np.asarray(image.convert("RGBA"))
        expected = opaque(palette)[indices]
        assert np.array_equal(shown[expected[..., 3] > 0], expected[expected[..., 3] > 0])
        assert decodes_to(data, palette, indices)
        if kind == "rgb":
            assert len(data) == 22 + len(encode(palette, indices, "png"))

    def test_wrong_pixels_are_noticed(self):
        palette, indices = random_image(9)
        assert not decodes_to(encode(palette, indices, "ico"), palette, indices[::-1])


class TestSmallest:
    @pytest.mark.parametrize("shape", [(1, 1), (16, 16), (90, 120)])
    @pytest.mark.parametrize("kind", ["rgb", "one hidden", "translucent"])
    def test_none_is_smaller(self, shape, kind):
        palette, indices = random_image(1 if shape == (1, 1) else 12, shape=shape, kind=kind)
        form, data = encode_smallest(palette, indices)
        assert data == encode(palette, indices, form)
        holds = ("png", "webp") if kind == "translucent" else ("png", "webp", "gif")
        assert form in ("png", "webp")
        assert len(data) == min(len(encode(palette, indices, other)) for other in holds)

    def test_what_webp_can_not_hold(self):
        palette = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
        assert encode_smallest(palette, np.eye(2, 17000, dtype=np.uint8))[0] == "png"


class TestJpeg:
    def components(self, data):
        """Horizontal and vertical sampling factors of each component."""
        at = data.index(b"\xff\xc0")
        count = data[at + 9]
        return [data[at + 11 + 3 * i] for i in range(count)]

    def test_colour_is_not_subsampled(self):
        palette, indices = random_image(16)
        assert self.components(encode(palette, indices, "jpeg")) == [0x11, 0x11, 0x11]

    def test_grey_stays_grey(self):
        palette, indices = random_image(16, kind="grey")
        assert self.components(encode(palette, indices, "jpeg")) == [0x11]

    def test_palette_stays_recognisable(self):
        from kmeans_c.quantize import quantize

        quantized = quantize(hostile.photo(120, 160), 16)
        data = encode(quantized.palette, quantized.indices, "jpeg")
        error = np.abs(decoded(data)[..., :3].astype(int) - quantized.to_array())
        assert (error.max(axis=2) <= 32).mean() > 0.98

    def test_opaque_rgba_is_written(self):
        palette = np.array([[200, 100, 50, 255]], np.uint8)
        shown = decoded(encode(palette, np.zeros((8, 8), np.uint8), "jpeg"))
        assert np.abs(shown.astype(int) - palette[0]).max() <= 3


class TestRefusals:
    @pytest.mark.parametrize(
        ("form", "kind"),
        [
            ("jpeg", "one hidden"),
            ("jpeg", "translucent"),
            ("bmp", "one hidden"),
            ("gif", "translucent"),
        ],
    )
    def test_transparency_is_never_dropped(self, form, kind):
        palette, indices = random_image(9, kind=kind)
        with pytest.raises(ValueError, match=rf"^format: {form} holds .*transparen.*png"):
            encode(palette, indices, form)

    @pytest.mark.parametrize(
        ("form", "side"), [("jpeg", 65501), ("webp", 16384), ("gif", 65536), ("ico", 257)]
    )
    @pytest.mark.parametrize("upright", [True, False])
    def test_largest_side(self, form, side, upright):
        palette = np.array([[1, 2, 3]], np.uint8)
        indices = np.zeros((side, 1) if upright else (1, side), np.uint8)
        with pytest.raises(ValueError, match=rf"^format: {form} images have at most {side - 1} "):
            encode(palette, indices, form)
        assert encode(palette, indices[: side - 1, : side - 1], form)

    @pytest.mark.parametrize("form", ["ppm", "eps", "", "png ", "heic", "auto"])
    def test_unknown_format(self, form):
        with pytest.raises(
            ValueError, match=r"^format: expected one of png, jpeg, gif, webp, bmp, tiff"
        ):
            encode(*random_image(2), form)

    @pytest.mark.parametrize("form", [None, 3, b"png"])
    def test_format_of_the_wrong_kind(self, form):
        with pytest.raises(TypeError, match=r"^format: expected a str"):
            encode(*random_image(2), form)


class TestNames:
    @pytest.mark.parametrize(
        ("name", "form"),
        [
            ("a.png", "png"),
            ("a.PNG", "png"),
            ("a.b.JpG", "jpeg"),
            ("folder.gif/a.jpeg", "jpeg"),
            ("a.gif", "gif"),
            ("a.webp", "webp"),
            ("a.bmp", "bmp"),
            ("a.ico", "ico"),
            ("a.tif", "tiff"),
            (Path("a.tiff"), "tiff"),
            ("\udcff.png", "png"),
        ],
    )
    def test_format_by_the_ending(self, name, form):
        assert format_for(name) == form

    @pytest.mark.parametrize("name", ["a", "a.ppm", ".png", "png", "a.png.bak", "", Path()])
    def test_unknown_ending(self, name):
        with pytest.raises(ValueError, match=r"^output: expected a name that ends in .png"):
            format_for(name)

    def test_file_objects(self, tmp_path):
        with (tmp_path / "a.webp").open("wb") as file:
            assert format_for(file) == "webp"
        with pytest.raises(ValueError, match="got no name"):
            format_for(io.BytesIO())

    def test_every_known_ending_names_its_format(self):
        for suffix, form in FORMATS.items():
            assert check_format(suffix[1:]) == check_format(suffix[1:].upper()) == form
            assert check_format(form) == form


class TestDecodesTo:
    @pytest.mark.parametrize("form", LOSSLESS)
    def test_one_wrong_pixel_is_noticed(self, form):
        palette, indices = random_image(5)
        data = encode(palette, indices, form)
        wrong = indices.copy()
        wrong[-1, -1] = (wrong[-1, -1] + 1) % 5
        assert not decodes_to(data, palette, wrong)

    def test_one_wrong_level_is_noticed(self):
        palette, indices = random_image(5)
        data = encode(palette, indices, "png")
        palette[3, 1] ^= 1
        assert not decodes_to(data, palette, indices)

    def test_wrong_alpha_is_noticed(self):
        palette, indices = random_image(5, kind="translucent")
        data = encode(palette, indices, "png")
        assert not decodes_to(data, palette[:, :3], indices)
        palette[3, 3] ^= 1
        assert not decodes_to(data, palette, indices)

    def test_wrong_size_is_noticed(self):
        palette, indices = random_image(1)
        data = encode(palette, indices, "png")
        assert not decodes_to(data, palette, indices[1:])
        assert not decodes_to(data, palette, indices.T)
        assert not decodes_to(data, palette, np.zeros((30, 30), np.uint8))

    def test_damage_is_noticed(self):
        palette, indices = random_image(5)
        data = encode(palette, indices, "png")
        assert not decodes_to(data[:-50], palette, indices)
        assert not decodes_to(b"", palette, indices)

    def test_what_hides_behind_full_transparency_does_not_matter(self):
        palette, indices = random_image(5, kind="one hidden")
        data = encode(palette, indices, "png")
        palette[0, :3] = 99
        assert decodes_to(data, palette, indices)


class TestIndexedImage:
    def test_mode_p_with_exactly_the_palette(self):
        palette, indices = random_image(16)
        image = indexed_image(palette, indices)
        assert image.mode == "P"
        assert np.array_equal(np.asarray(image), indices)
        assert image.getpalette() == palette.ravel().tolist()
        assert np.array_equal(np.asarray(image.convert("RGB")), palette[indices])

    def test_transparency(self):
        palette, indices = random_image(16, kind="translucent")
        shown = np.asarray(indexed_image(palette, indices).convert("RGBA"))
        assert np.array_equal(shown, palette[indices])

    def test_changing_the_image_leaves_the_indices_alone(self):
        palette, indices = random_image(16)
        before = indices.copy()
        indexed_image(palette, indices).putpixel((0, 0), 7)
        assert np.array_equal(indices, before)
