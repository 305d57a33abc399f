"""The same call as Pillow's, the same kind of image back."""

import functools
import inspect
import io

import hostile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

import kmeans_c
import kmeans_c.pillow
from kmeans_c import images
from kmeans_c.pillow import quantize

# What is compared with the engine is not dithered, whether or not that is the default.
undithered = functools.partial(quantize, dither=Image.Dither.NONE)

MODES = ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "HSV", "RGBX", "RGBa", "I;16", "PA"]


@pytest.fixture
def photo(rng):
    return Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))


@pytest.fixture
def layered(rng):
    return Image.fromarray(rng.integers(0, 256, (30, 40, 4), dtype=np.uint8))


def palette_image(*colors, mode="RGB"):
    image = Image.new("P", (1, 1))
    image.putpalette([value for color in colors for value in color], mode)
    return image


def test_the_arguments_are_pillow_s():
    ours = list(inspect.signature(quantize).parameters.values())
    theirs = list(inspect.signature(Image.Image.quantize).parameters.values())
    assert [p.name for p in ours[1:]] == [p.name for p in theirs[1:]]
    assert [p.default for p in ours[1:]] == [p.default for p in theirs[1:]]
    assert [p.kind for p in ours] == [p.kind for p in theirs]


def test_the_colours_are_the_engine_s(photo):
    result = undithered(photo, 16)
    engine = kmeans_c.quantize(photo, 16)
    assert result.mode == "P"
    assert result.size == photo.size
    assert np.array_equal(np.asarray(result), engine.indices)
    assert result.getpalette() == engine.palette.ravel().tolist()
    assert len(result.getcolors()) == 16


def test_it_is_nearer_than_pillow(photo):
    def error(image):
        difference = np.asarray(image.convert("RGB")).astype(int) - np.asarray(photo)
        return (difference**2).sum()

    assert error(undithered(photo, 32)) < error(photo.quantize(32))


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_p(mode, photo):
    image = Image.new(mode, (8, 8)) if mode in ("I;16", "PA", "RGBa") else photo.convert(mode)
    before = image.tobytes()
    result = quantize(image, 8)
    assert result.mode == "P"
    assert 1 <= len(result.getcolors()) <= 8
    assert image.tobytes() == before


def test_one_transparent_colour_reaches_gif_png_and_webp(layered):
    pixels = np.array(layered)
    pixels[..., 3] = np.where(pixels[..., 3] < 128, 0, 255)
    result = quantize(Image.fromarray(pixels), 16)
    assert result.info["transparency"] == 0
    for kind in ("gif", "png", "webp"):
        data = io.BytesIO()
        result.save(data, kind, **({"lossless": True} if kind == "webp" else {}))
        with Image.open(data) as image:
            shown = np.asarray(image.convert("RGBA"))
        assert np.array_equal(shown[..., 3], pixels[..., 3])
        visible = pixels[..., 3] > 0
        assert np.array_equal(shown[visible], np.asarray(result.convert("RGBA"))[visible])


def test_partial_transparency_is_in_the_palette_as_in_pillow_s(layered):
    result, theirs = undithered(layered, 16), layered.quantize(16)
    assert result.palette.mode == theirs.palette.mode == "RGBA"
    assert "transparency" not in result.info
    assert result.has_transparency_data
    data = io.BytesIO()
    result.save(data, "png")
    with Image.open(data) as image:
        assert np.array_equal(np.asarray(image.convert("RGBA")), np.asarray(result.convert("RGBA")))
    engine = kmeans_c.quantize(layered, 16)
    assert np.array_equal(np.asarray(result.convert("RGBA")), engine.to_array())


def test_info_stays_but_what_spoke_of_the_old_palette(photo):
    profile = hostile.swapped_profile()
    photo.info.update(dpi=(72, 72), icc_profile=profile, transparency=(1, 2, 3), background=7)
    before = dict(photo.info)
    result = quantize(photo, 8)
    assert result.info == {"dpi": (72, 72), "icc_profile": profile}
    assert photo.info == before
    photo.info["background"] = (0, 0, 0, 0)  # as WebP has it: a colour
    assert quantize(photo, 8).info["background"] == (0, 0, 0, 0)


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "CMYK", "RGBA", "P", "1"])
@pytest.mark.parametrize("space", ["RGB", "GRAY", "CMYK", "junk"])
def test_a_profile_stays_only_where_it_fits_a_palette(mode, space):
    """Colours of a grey or CMYK profile are brought to sRGB; the profile would mean other ones."""
    profile = {
        "RGB": hostile.swapped_profile(),
        "GRAY": hostile.grey_profile(1.0),
        "CMYK": hostile.cmyk_profile(),
        "junk": b"junk",
    }[space]
    image = Image.fromarray(hostile.photo(8, 9)).convert(mode)
    image.info["icc_profile"] = profile
    before = image.tobytes()
    result = quantize(image, 256, dither=None)
    assert ("icc_profile" in result.info) == (space == "RGB" and mode != "CMYK")
    assert image.info["icc_profile"] == profile
    assert image.tobytes() == before
    follows = {"RGB": (), "GRAY": ("L", "LA", "1"), "CMYK": ("CMYK",), "junk": ()}[space]
    shown = np.asarray(result.convert("RGB"))
    if mode in follows:
        assert np.array_equal(shown, images.as_pixels(result.convert("RGB")))
        file = hostile.file_of(image, "tiff", icc_profile=profile)
        expected = images.read_image(io.BytesIO(file)).pixels
        expected = expected if expected.ndim == 3 else np.dstack([expected] * 3)
        assert np.array_equal(shown, expected[:, :, :3])
    else:
        assert np.array_equal(shown, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_is_the_image_s(orientation):
    """As in Pillow the orientation is not applied: it stays in the result, with its EXIF."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = hostile.file_of(hostile.photo(8, 12), "png", exif=exif)
    with Image.open(io.BytesIO(data)) as image:
        result = quantize(image, 256, dither=None)
        assert result.size == image.size == (12, 8)
        assert np.array_equal(np.asarray(result.convert("RGB")), np.asarray(image))
    assert result.getexif()[0x0112] == orientation


def test_a_colour_key_is_transparency():
    image = Image.new("RGB", (4, 4), (9, 9, 9))
    image.paste((200, 0, 0), (0, 0, 2, 4))
    image.info["transparency"] = (9, 9, 9)
    result = quantize(image, 4)
    assert result.info == {"transparency": 0}
    assert result.convert("RGBA").getpixel((3, 3))[3] == 0
    assert result.convert("RGBA").getpixel((0, 0)) == (200, 0, 0, 255)


# palette=


@given(
    arrays(np.uint8, (5, 7, 3)),
    st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=256),
)
@settings(deadline=None, max_examples=60)
def test_a_given_palette_is_searched_for_the_nearest_colour(pixels, colors):
    given_palette = palette_image(*colors)
    result = undithered(Image.fromarray(pixels), palette=given_palette)
    assert result.getpalette() == given_palette.getpalette()
    distances = ((pixels[:, :, None].astype(int) - np.array(colors)) ** 2).sum(axis=-1)
    assert np.array_equal(np.asarray(result), distances.argmin(axis=-1))


def test_a_given_palette_keeps_all_its_entries_in_their_places(photo):
    colors = [(0, 0, 0), (255, 0, 0), (0, 0, 0), (255, 255, 255), (255, 0, 0)]
    result = quantize(photo, palette=palette_image(*colors))
    assert result.getpalette() == [value for color in colors for value in color]
    assert {index for _, index in result.getcolors()} <= {0, 1, 3}
    theirs = photo.quantize(palette=palette_image(*colors))
    assert result.getpalette() == theirs.getpalette()


@pytest.mark.parametrize("how", ["info int", "info bytes", "RGBA"])
def test_a_given_palette_s_transparency_is_part_of_it(how, layered):
    colors = [(0, 0, 0, 255), (9, 9, 9, 0), (255, 255, 255, 255)]
    given_palette = palette_image(*colors, mode="RGBA")
    if how != "RGBA":
        given_palette = palette_image(*(color[:3] for color in colors))
        given_palette.info["transparency"] = 1 if how == "info int" else b"\xff\0"
    result = undithered(layered, palette=given_palette)
    expected = kmeans_c.quantize(layered, palette=[(0, 0, 0, 255), (0, 0, 0, 0), (255,) * 4])
    assert np.array_equal(np.asarray(result), expected.indices)
    assert result.info["transparency"] == 1
    assert result.convert("RGBA").getpalette() is None
    assert set(np.asarray(result.convert("RGBA"))[..., 3].ravel()) <= {0, 255}


def test_two_transparent_entries_stay_two(layered):
    colors = [(0, 0, 0, 255), (9, 9, 9, 0), (7, 7, 7, 0), (0, 0, 0, 128)]
    result = quantize(layered, palette=palette_image(*colors, mode="RGBA"))
    assert result.getpalette("RGBA") == [value for color in colors for value in color]
    assert {index for _, index in result.getcolors()} <= {0, 1, 3}


# Arguments


@pytest.mark.parametrize(
    "arguments",
    [
        {"colors": 0}, {"colors": 257}, {"colors": -1}, {"colors": 2.0}, {"colors": "4"},
        {"colors": None}, {"method": 4}, {"method": -1}, {"method": "x"}, {"method": 2.0},
        {"kmeans": -1}, {"kmeans": 1.5}, {"kmeans": "1"}, {"kmeans": None},
        {"palette": Image.new("RGB", (1, 1))}, {"palette": Image.new("L", (1, 1))},
    ],
)  # fmt: skip
def test_what_pillow_refuses_is_refused_with_the_same_kind_of_error(arguments, photo):
    with pytest.raises((TypeError, ValueError)) as theirs:
        photo.quantize(**arguments)
    with pytest.raises(theirs.type, match=rf"^{next(iter(arguments))}: expected "):
        quantize(photo, **arguments)


@pytest.mark.parametrize("method", [Image.Quantize.MEDIANCUT, Image.Quantize.MAXCOVERAGE])
def test_rgba_has_only_pillow_s_methods_for_rgba(method, layered):
    with pytest.raises(ValueError, match="valid methods for quantizing RGBA"):
        layered.quantize(8, method)
    with pytest.raises(ValueError, match="method: expected FASTOCTREE or LIBIMAGEQUANT"):
        quantize(layered, 8, method)


def test_methods_and_kmeans_change_nothing(photo, layered):
    expected = quantize(photo, 8)
    for method in Image.Quantize:
        assert quantize(photo, 8, method) == expected
    assert quantize(photo, 8, None, 3) == expected
    assert quantize(layered, 8, Image.Quantize.FASTOCTREE) == quantize(layered, 8)


def test_colors_do_not_matter_with_a_palette(photo):
    given_palette = palette_image((0, 0, 0), (255, 255, 255))
    assert photo.quantize(999, palette=given_palette).mode == "P"
    assert quantize(photo, 999, palette=given_palette).mode == "P"


def test_arguments_of_another_kind(photo):
    with pytest.raises(TypeError, match=r"im: expected a PIL.Image.Image, got ndarray"):
        quantize(np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(TypeError, match=r"palette: expected a PIL.Image.Image, got list"):
        quantize(photo, palette=[(0, 0, 0)])
    with pytest.raises(ValueError, match="palette: expected at least one colour"):
        quantize(photo, palette=Image.new("P", (1, 1)))
    with pytest.raises(ValueError, match="dither: expected NONE"):
        quantize(photo, dither=Image.Dither.ORDERED)
    with pytest.raises(TypeError, match="dither: expected an integer"):
        quantize(photo, dither="floyd-steinberg")
    with pytest.raises(ValueError, match="image: expected at least one pixel"):
        quantize(Image.new("RGB", (0, 3)))
    with pytest.raises(ValueError, match="mode F"):
        quantize(Image.new("F", (3, 3)))


def test_words_for_no_dithering_are_the_same(photo):
    expected = quantize(photo, 8, dither=Image.Dither.NONE)
    for word in (0, None):
        assert quantize(photo, 8, dither=word) == expected
