"""What a file says its numbers mean becomes sRGB, in the order in which browsers believe it."""

import io
import struct

import hostile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kmeans_c.images import read_image
from kmeans_c.images.color_management import Conversion, meaning

SRGB = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
P3 = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
REC2020 = (31270, 32900, 70800, 29200, 17000, 79700, 13100, 4600)

# Colours that all of these spaces hold.
INSIDE = [
    (200, 100, 90),
    (90, 160, 100),
    (100, 110, 190),
    (128, 128, 128),
    (255, 255, 255),
    (40, 44, 48),
]


def to_xyz(primaries):
    """The matrix from linear RGB to XYZ, in float64."""
    xy = np.array(primaries, float).reshape(4, 2) / 100_000
    xyz = np.stack([xy[:, 0] / xy[:, 1], np.ones(4), (1 - xy.sum(axis=1)) / xy[:, 1]])
    return xyz[:, 1:] * np.linalg.solve(xyz[:, 1:], xyz[:, 0])


def to_linear(values, curve):
    values = np.asarray(values, float) / 255
    if curve == "srgb":
        return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    if curve == "709":
        return np.where(values < 0.081, values / 4.5, ((values + 0.099) / 1.099) ** (1 / 0.45))
    return values**curve


def to_srgb(linear):
    linear = np.clip(linear, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def expected(pixels, primaries, curve):
    way = np.linalg.inv(to_xyz(SRGB)) @ to_xyz(primaries)
    return to_srgb(to_linear(pixels, curve) @ way.T)


def tagged(pixels, *chunks, **options):
    data = hostile.file_of(np.array([pixels], np.uint8), "png", **options)
    at = data.index(b"IHDR") + 4 + 13 + 4
    return data[:at] + b"".join(hostile.chunk(*chunk) for chunk in chunks) + data[at:]


def read(data, **options):
    return read_image(io.BytesIO(data), **options)


def cicp(*numbers):
    return b"cICP", bytes(numbers)


def gamma(number):
    return b"gAMA", struct.pack(">I", number)


def primaries(numbers):
    return b"cHRM", struct.pack(">8I", *numbers)


class TestNumbers:
    @pytest.mark.parametrize(
        ("chunk", "space", "curve"),
        [
            (cicp(12, 13, 0, 1), P3, "srgb"),
            (cicp(9, 14, 0, 1), REC2020, "709"),
            (cicp(1, 8, 0, 1), SRGB, 1.0),
            (cicp(1, 4, 0, 1), SRGB, 2.2),
        ],
    )
    def test_cicp(self, chunk, space, curve):
        shown = read(tagged(INSIDE, chunk)).pixels[0].astype(float)
        assert np.abs(shown - expected(INSIDE, space, curve)).max() <= 1.5

    @pytest.mark.parametrize("exponent", [1.0, 1.4, 1.8, 2.6])
    def test_gamma(self, exponent):
        shown = read(tagged(INSIDE, gamma(round(100_000 / exponent)))).pixels[0].astype(float)
        assert np.abs(shown - expected(INSIDE, SRGB, exponent)).max() <= 1.5

    def test_gamma_and_primaries(self):
        shown = read(tagged(INSIDE, gamma(55556), primaries(P3))).pixels[0].astype(float)
        assert np.abs(shown - expected(INSIDE, P3, 1.8)).max() <= 1.5

    def test_primaries_alone_go_with_the_curve_of_srgb(self):
        shown = read(tagged(INSIDE, primaries(P3))).pixels[0].astype(float)
        assert np.abs(shown - expected(INSIDE, P3, "srgb")).max() <= 1.5

    def test_grey(self):
        ramp = np.arange(256, dtype=np.uint8)
        shown = read(tagged(ramp, gamma(100_000))).pixels
        assert shown.shape == (1, 256)
        assert np.abs(shown[0] - to_srgb(ramp / 255)).max() <= 1

    def test_palette_and_alpha(self):
        image = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
        image.putpalette([64, 64, 64, 128, 128, 128, 9, 9, 9])
        data = hostile.file_of(image, "png", transparency=b"\xff\x80\0")
        at = data.index(b"PLTE") - 4
        data = data[:at] + hostile.chunk(*gamma(100_000)) + data[at:]
        assert read(data).pixels.tolist() == [[[137] * 3 + [255], [188] * 3 + [128], [0] * 4]]

    @pytest.mark.parametrize("number", [43182, 45455, 47727])
    def test_gamma_of_srgb_changes_nothing(self, number):
        pixels = hostile.photo()
        data = tagged(pixels[0].tolist(), gamma(number), primaries(SRGB))
        assert np.array_equal(read(data).pixels[0], pixels[0])

    @pytest.mark.parametrize(
        "chunks",
        [
            [gamma(0)],
            [gamma(1)],
            [gamma(0xFFFFFFFF)],
            [(b"gAMA", b"\0\1")],
            [primaries((0,) * 8)],
            [primaries((31270, 32900) * 4)],
            [primaries((99_999, 99_999, *SRGB[2:]))],
            [primaries((0xFFFFFFFF,) * 8)],
            [cicp(1, 13, 0)],
            [(b"cICP", b"x" * 99)],
        ],
    )
    def test_what_makes_no_sense_is_ignored(self, chunks):
        try:
            picture = read(tagged(INSIDE, *chunks))
        except OSError:  # Pillow's own check
            assert chunks in ([(b"gAMA", b"\0\1")],)
            return
        assert picture.pixels[0].tolist() == [list(color) for color in INSIDE]
        assert picture.notes == ()

    @settings(max_examples=200, deadline=None)
    @given(
        st.binary(max_size=6),
        st.binary(min_size=30, max_size=33),
        st.binary(min_size=4, max_size=4),
    )
    def test_any_bytes(self, gamma_bytes, primary_bytes, cicp_bytes):
        said = meaning(None, {b"gAMA": gamma_bytes, b"cHRM": primary_bytes, b"cICP": cicp_bytes})
        image = Image.new("RGB", (2, 2), (9, 99, 199))
        assert Conversion(said)(image).mode == "RGB"


class TestOrder:
    swapped = hostile.swapped_profile()

    def red_becomes(self, *chunks, **options):
        return tuple(read(tagged([(200, 60, 60)], *chunks, **options)).pixels[0, 0].tolist())

    def test_first_that_can_be_followed(self):
        plain = (200, 60, 60)
        by_profile = self.red_becomes(icc_profile=self.swapped)
        assert by_profile[2] > 190
        linear, p3 = self.red_becomes(gamma(100_000)), self.red_becomes(cicp(12, 13, 0, 1))
        assert len({plain, by_profile, linear, p3}) == 4
        everything = [cicp(12, 13, 0, 1), (b"sRGB", b"\0"), gamma(100_000)]
        assert self.red_becomes(*everything, icc_profile=self.swapped) == p3
        assert self.red_becomes(*everything[1:], icc_profile=self.swapped) == by_profile
        assert self.red_becomes(*everything[1:]) == plain
        assert self.red_becomes(*everything[2:]) == linear

    @pytest.mark.parametrize(
        ("chunk", "note"),
        [
            (cicp(9, 16, 0, 1), "PQ is not converted"),
            (cicp(9, 18, 0, 1), "HLG is not converted"),
            (cicp(1, 13, 0, 0), "1-13-0-0 is not supported"),
            (cicp(2, 2, 0, 1), "2-2-0-1 is not supported"),
        ],
    )
    def test_what_cannot_be_followed_leaves_a_note_and_the_next_word(self, chunk, note):
        picture = read(tagged([(200, 60, 60)], chunk))
        assert picture.pixels.tolist() == [[[200, 60, 60]]]
        assert len(picture.notes) == 1
        assert note in picture.notes[0]
        assert self.red_becomes(chunk, gamma(100_000)) == self.red_becomes(gamma(100_000))

    def test_chunks_after_the_pixels_say_nothing(self):
        data = hostile.file_of(np.array([[(200, 60, 60)]], np.uint8), "png")
        at = data.index(b"IEND") - 4
        data = data[:at] + hostile.chunk(*gamma(100_000)) + data[at:]
        assert read(data).pixels.tolist() == [[[200, 60, 60]]]


class TestKeep:
    swapped = hostile.swapped_profile()

    def test_rgb_with_a_profile_stays(self):
        data = hostile.file_of(hostile.photo(), "png", icc_profile=self.swapped)
        picture = read(data, icc="keep")
        assert np.array_equal(picture.pixels, hostile.photo())
        assert picture.metadata.icc == self.swapped
        assert read(data).metadata.icc is None

    def test_alpha_and_palette_too(self):
        image = Image.fromarray(hostile.photo()).convert("P", palette=Image.Palette.ADAPTIVE)
        picture = read(hostile.file_of(image, "png", icc_profile=self.swapped), icc="keep")
        assert np.array_equal(picture.pixels, np.asarray(image.convert("RGB")))
        assert picture.metadata.icc == self.swapped

    def test_other_pixels_are_converted(self):
        ramp = np.arange(256, dtype=np.uint8)[np.newaxis]
        data = hostile.file_of(ramp, "png", icc_profile=hostile.grey_profile(1.0))
        picture = read(data, icc="keep")
        assert picture.metadata.icc is None
        assert np.array_equal(picture.pixels, read(data).pixels)

    @pytest.mark.parametrize("profile", [b"garbage", hostile.grey_profile(1.0)])
    def test_unusable_profile_is_not_kept(self, profile):
        data = hostile.file_of(hostile.photo(), "png", icc_profile=profile)
        assert read(data, icc="keep").metadata.icc is None

    def test_numbers_are_converted(self):
        data = tagged(INSIDE, gamma(100_000))
        assert np.array_equal(read(data, icc="keep").pixels, read(data).pixels)

    def test_word(self):
        with pytest.raises(ValueError, match=r"^icc: expected one of convert, keep, got 'drop'"):
            read(tagged(INSIDE), icc="drop")


def test_transforms_are_built_once(monkeypatch):
    from PIL import ImageCms

    calls = []
    build = ImageCms.buildTransform
    monkeypatch.setattr(
        ImageCms, "buildTransform", lambda *a, **k: (calls.append(1), build(*a, **k))[1]
    )
    conversion = Conversion(meaning(hostile.swapped_profile()))
    first = conversion(Image.new("RGB", (3, 3), (9, 8, 7)))
    assert np.array_equal(
        np.asarray(conversion(Image.new("RGB", (3, 3), (9, 8, 7)))), np.asarray(first)
    )
    assert len(calls) == 1
