"""Every frame is what a viewer shows; nothing is lost, nothing hostile gets far."""

import io
import struct
import time
from fractions import Fraction

import animation_reference as reference
import hostile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kmeans_c.images import frames, png_file, read_image
from kmeans_c.images.frames import read_frames

PALETTE = [(10, 20, 30), (200, 0, 0), (0, 200, 0), (0, 0, 200)]


def read(data, **options):
    return read_frames(io.BytesIO(data), **options)


def shown(data, **options):
    with read(data, **options) as animation:
        return [frame.pixels.tolist() for frame in animation]


def as_lists(expected):
    return [[[list(pixel) for pixel in row] for row in frame] for frame in expected]


def box(draw, width, height):
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return left, top, draw(st.integers(left + 1, width)), draw(st.integers(top + 1, height))


@st.composite
def gif_images(draw):
    """A canvas of up to 5 x 4 and a few images on it, with all that a GIF may say of them."""
    width, height = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    images = []
    for _ in range(draw(st.integers(1, 5))):
        image = {"box": box(draw, width, height), "disposal": draw(st.integers(0, 4))}
        left, top, right, bottom = image["box"]
        area = (right - left) * (bottom - top)
        image["indices"] = draw(st.lists(st.integers(0, 3), min_size=area, max_size=area))
        image["delay"] = draw(st.integers(0, 65535))
        if draw(st.booleans()):
            image["transparent"] = draw(st.integers(0, 3))
        if draw(st.booleans()):
            image["palette"] = PALETTE[::-1]
        images.append(image)
    return width, height, images


@st.composite
def apng_frames(draw):
    width, height = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    channel = st.sampled_from([0, 1, 77, 128, 254, 255])
    made = []
    for number in range(draw(st.integers(1, 4))):
        region = (0, 0, width, height) if number == 0 else box(draw, width, height)
        left, top, right, bottom = region
        area = (right - left) * (bottom - top)
        pixel = st.tuples(channel, channel, channel, channel)
        made.append(
            {
                "box": region,
                "pixels": draw(st.lists(pixel, min_size=area, max_size=area)),
                "dispose": draw(st.integers(0, 2)),
                "blend": draw(st.integers(0, 1)),
                "delay": Fraction(draw(st.integers(0, 999)), draw(st.integers(1, 999))),
            }
        )
    return width, height, made


class TestGif:
    @settings(max_examples=150, deadline=None)
    @given(gif_images())
    def test_composition_of_any_images(self, made):
        width, height, images = made
        data = reference.gif(width, height, PALETTE, images)
        # What the screen is too small for makes it larger if it is in the first image.
        assert shown(data) == as_lists(reference.shown_gif(width, height, PALETTE, images))
        with read(data) as animation:
            durations = [frame.duration for frame in animation]
            assert durations == [Fraction(image["delay"], 100) for image in images]
            assert len(animation) == len(images)

    def test_disposal_is_of_its_own_frame_only(self):
        """Pillow carries it over to the next frames that say nothing."""
        full = (0, 0, 2, 1)
        images = [
            {"box": full, "indices": [1, 1], "disposal": 2},
            {"box": (0, 0, 1, 1), "indices": [2]},
            {"box": (1, 0, 2, 1), "indices": [3]},
        ]
        assert shown(reference.gif(2, 1, PALETTE, images))[2] == [
            [[0, 200, 0, 255], [0, 0, 200, 255]]
        ]

    def test_image_beyond_the_screen(self):
        images = [
            {"box": (0, 0, 3, 1), "indices": [1, 2, 3]},
            {"box": (2, 0, 5, 1), "indices": [1] * 3},
        ]
        with read(reference.gif(2, 1, PALETTE, images)) as animation:
            assert (animation.width, animation.height) == (3, 1)
            assert [frame.pixels.shape for frame in animation] == [(1, 3, 4), (1, 3, 4)]

    @pytest.mark.parametrize(("repeats", "plays"), [(None, 1), (0, 0), (1, 2), (65535, 65536)])
    def test_loop(self, repeats, plays):
        images = [{"box": (0, 0, 1, 1), "indices": [0]}]
        with read(reference.gif(1, 1, PALETTE, images, loop=repeats)) as animation:
            assert animation.loop == plays

    def test_what_the_first_image_leaves_uncovered_is_transparent(self):
        images = [{"box": (1, 0, 2, 1), "indices": [1]}, {"box": (0, 0, 1, 1), "indices": [2]}]
        data = reference.gif(3, 1, PALETTE, images)
        expected = [[0] * 4, [200, 0, 0, 255], [0] * 4]
        assert shown(data)[0] == [expected]
        assert read_image(io.BytesIO(data)).pixels.tolist() == [expected]

    def test_other_blocks_are_passed_over(self):
        extra = b"!\xfe\x03abc\0" + b"!\xff\x0bXMP DataXMP\x02xx\0" + b"\0\0"
        images = [{"box": (0, 0, 1, 1), "indices": [1]}] * 2
        with read(reference.gif(1, 1, PALETTE, images, extra=extra)) as animation:
            assert len(list(animation)) == 2
            assert animation.metadata.texts == (("Comment", "abc"),)

    def test_interlaced(self):
        pixels = np.arange(64 * 40, dtype=np.uint32).reshape(64, 40).astype(np.uint8)
        image = Image.fromarray(pixels)
        data = hostile.file_of(image, "gif", interlace=1)
        assert np.array_equal(np.array(shown(data))[0][..., 0], pixels)

    @pytest.mark.parametrize("cut", [5, 20, 40, 60])
    def test_damage_is_an_error_and_no_missing_frame(self, cut):
        images = [{"box": (0, 0, 4, 4), "indices": [1] * 16}] * 3
        data = reference.gif(4, 4, PALETTE, images)
        with pytest.raises(OSError, match="image"), read(data[:-cut]) as animation:
            list(animation)

    def test_missing_trailer_is_none(self):
        images = [{"box": (0, 0, 1, 1), "indices": [1]}] * 2
        assert len(shown(reference.gif(1, 1, PALETTE, images)[:-1])) == 2

    def test_unknown_block(self):
        data = reference.gif(1, 1, PALETTE, [{"box": (0, 0, 1, 1), "indices": [1]}])
        with pytest.raises(OSError, match="no known kind"):
            read(data[:-1] + b"?;")


class TestApng:
    @settings(max_examples=150, deadline=None)
    @given(apng_frames())
    def test_composition_of_any_frames(self, made):
        width, height, given_frames = made
        data = reference.apng(width, height, given_frames, plays=7)
        assert shown(data) == as_lists(reference.shown_apng(width, height, given_frames))
        with read(data) as animation:
            assert animation.loop == 7
            durations = [frame.duration for frame in animation]
            assert durations == [frame["delay"] for frame in given_frames]

    def test_palette_with_alpha(self):
        """Pillow blends the indices."""
        palette = [(255, 0, 0, 255), (0, 0, 255, 128), (0, 255, 0, 0)]
        made = [
            {"box": (0, 0, 3, 1), "pixels": [0, 0, 0]},
            {"box": (0, 0, 3, 1), "pixels": [0, 1, 2], "blend": 1},
        ]
        data = reference.apng(3, 1, made, palette=palette)
        assert shown(data) == as_lists(reference.shown_apng(3, 1, made, palette=palette))
        assert shown(data)[1] == [[[255, 0, 0, 255], [127, 0, 128, 255], [255, 0, 0, 255]]]

    def test_default_image_is_no_frame(self):
        made = [{"box": (0, 0, 1, 1), "pixels": [(1, 2, 3, 255)]}] * 2
        data = reference.apng(1, 1, made, default=[(9, 9, 9, 255)])
        with read(data) as animation:
            assert len(animation) == 2
            assert animation.default_image.tolist() == [[[9, 9, 9, 255]]]
            assert next(iter(animation)).pixels.tolist() == [[[1, 2, 3, 255]]]
        picture = read_image(io.BytesIO(data))
        assert picture.frames == 2
        assert picture.pixels.tolist() == [[[9, 9, 9]]]

    def test_delay_of_denominator_zero_is_in_hundredths(self):
        data = reference.apng(1, 1, [{"box": (0, 0, 1, 1), "pixels": [(1, 2, 3, 255)]}])
        at = data.index(b"fcTL")
        contents = bytearray(data[at + 4 : at + 30])
        struct.pack_into(">HH", contents, 20, 7, 0)
        data = data[: at - 4] + hostile.chunk(b"fcTL", bytes(contents)) + data[at + 34 :]
        with read(data) as animation:
            assert next(iter(animation)).duration == Fraction(7, 100)

    def test_orientation_turns_every_frame(self):
        exif = Image.Exif()
        exif[0x0112] = 6
        made = [{"box": (0, 0, 2, 1), "pixels": [(1, 0, 0, 255), (2, 0, 0, 255)]}] * 2
        data = reference.apng(2, 1, made, chunks=[(b"eXIf", exif.tobytes()[6:])])
        with read(data) as animation:
            assert (animation.width, animation.height) == (1, 2)
            for frame in animation:
                assert frame.pixels[..., 0].tolist() == [[1], [2]]

    def test_colours_are_converted_in_every_frame(self):
        made = [{"box": (0, 0, 1, 1), "pixels": [(64, 64, 64, 255)]}] * 2
        data = reference.apng(1, 1, made, chunks=[(b"gAMA", struct.pack(">I", 100_000))])
        assert [frame[0][0][0] for frame in shown(data)] == [137, 137]

    @pytest.mark.parametrize(
        ("old", "new", "reason"),
        [
            (struct.pack(">II", 3, 0), struct.pack(">II", 4, 0), "says it has 4 frames"),
            (struct.pack(">IIIII", 1, 1, 1, 0, 0), struct.pack(">IIIII", 1, 1, 1, 9, 0), "canvas"),
            (struct.pack(">IIIII", 1, 1, 1, 0, 0), struct.pack(">IIIII", 5, 1, 1, 0, 0), "order"),
        ],
    )
    def test_damage_is_an_error(self, old, new, reason):
        made = [{"box": (0, 0, 1, 1), "pixels": [(1, 2, 3, 255)]}] * 3
        data = reference.apng(1, 1, made)
        assert old in data
        with pytest.raises(OSError, match=reason):
            read(data.replace(old, new, 1))

    def test_animation_without_frames_is_a_still_image(self):
        data = hostile.file_of(hostile.photo(), "png")
        at = data.index(b"IDAT") - 4
        data = data[:at] + hostile.chunk(b"acTL", bytes(8)) + data[at:]
        with read(data) as animation:
            assert len(animation) == len(list(animation)) == 1
        assert np.array_equal(read_image(io.BytesIO(data)).pixels, hostile.photo())


class TestWebp:
    def test_frames(self):
        made = [hostile.photo(9, 12, seed) for seed in range(3)]
        images = [Image.fromarray(pixels) for pixels in made]
        data = hostile.file_of(
            images[0],
            "webp",
            save_all=True,
            append_images=images[1:],
            lossless=True,
            duration=[10, 0, 333],
            loop=4,
        )
        with read(data) as animation:
            assert (len(animation), animation.loop) == (3, 4)
            for _ in range(2):  # it may be gone through again
                found = list(animation)
                assert [frame.duration * 1000 for frame in found] == [10, 0, 333]
                for frame, pixels in zip(found, made, strict=True):
                    assert np.array_equal(frame.pixels[..., :3], pixels)
                    assert frame.pixels[..., 3].min() == 255


class TestPages:
    def test_pages_of_different_kinds(self):
        made = [hostile.photo(6, 5, 1), hostile.photo(3, 9, 2)[..., 0], hostile.photo(2, 2, 3)]
        images = [Image.fromarray(pixels) for pixels in made]
        images[2] = images[2].convert("P", palette=Image.Palette.ADAPTIVE)
        made[2] = np.asarray(images[2].convert("RGB"))
        data = hostile.file_of(images[0], "tiff", save_all=True, append_images=images[1:])
        with read(data) as animation:
            assert (len(animation), animation.loop) == (3, 1)
            for frame, pixels in zip(animation, made, strict=True):
                expected = pixels if pixels.ndim == 3 else pixels[..., np.newaxis]
                assert np.array_equal(
                    frame.pixels[..., :3], np.broadcast_to(expected, (*pixels.shape[:2], 3))
                )
                assert frame.duration == 0

    @pytest.mark.parametrize("kind", ["jpeg", "bmp", "ppm", "png", "webp", "gif"])
    def test_still_image_is_one_frame(self, kind):
        data = hostile.good_files()[kind]
        with read(data) as animation:
            (frame,) = animation
            assert len(animation) == 1
        expected = read_image(io.BytesIO(data)).pixels
        assert np.array_equal(frame.pixels[..., :3], expected)


def many(kind, n):
    """So many frames of one pixel."""
    if kind == "gif":
        return reference.gif(1, 1, PALETTE, [{"box": (0, 0, 1, 1), "indices": [1]}] * n)
    if kind == "png":
        return reference.apng(1, 1, [{"box": (0, 0, 1, 1), "pixels": [(1, 2, 3, 255)]}] * n)
    image = Image.new("RGB", (1, 1))
    return hostile.file_of(image, kind, save_all=True, append_images=[image.copy()] * (n - 1))


class TestLimits:
    def test_canvas(self):
        images = [{"box": (0, 0, 4, 3), "indices": [1] * 12}] * 2
        data = reference.gif(4, 3, PALETTE, images)
        assert len(shown(data, max_pixels=12)) == 2
        with pytest.raises(OSError, match="image has 12 pixels, limit is 11"):
            read(data, max_pixels=11)

    @pytest.mark.parametrize("kind", ["gif", "png", "tiff"])
    def test_frames_count_as_pixels(self, kind):
        data = many(kind, 5)
        most = 5 * (frames.PIXELS_A_PAGE if kind == "tiff" else frames.PIXELS_A_FRAME)
        assert len(shown(data, max_total_pixels=most)) == 5
        with pytest.raises(OSError, match=r"animation has (.* limit is|more than)"):
            read(data, max_total_pixels=most - 1)

    def test_hundred_thousand_frames_are_refused_at_once(self):
        one = reference.gif(1, 1, PALETTE, [{"box": (0, 0, 1, 1), "indices": [1]}])
        start = one.index(b",")
        data = one[:start] + one[start:-1] * 100_000 + b";"
        began = time.monotonic()
        with pytest.raises(OSError, match="animation has more than 32768 frames"):
            read(data)
        assert time.monotonic() - began < 5

    def test_many_empty_pieces(self, monkeypatch):
        monkeypatch.setattr(png_file, "MAX_DATA_CHUNKS", 7)
        assert len(shown(many("png", 4))) == 4
        with pytest.raises(OSError, match="animation has more than 7 pieces"):
            read(many("png", 5))

    @pytest.mark.parametrize("kind", hostile.bombs())
    def test_bombs(self, kind):
        with pytest.raises(OSError, match=r"limit|exceeds"):
            read(hostile.bombs()[kind])

    @pytest.mark.parametrize("data", hostile.not_images().values(), ids=hostile.not_images())
    def test_what_is_no_image(self, data):
        with pytest.raises(OSError, match="image"), read(data) as animation:
            list(animation)

    @settings(max_examples=150, deadline=None)
    @given(
        kind=st.sampled_from(["gif", "png"]),
        at=st.integers(0, 300),
        value=st.integers(0, 255),
        cut=st.integers(0, 400),
    )
    def test_damaged_files_give_frames_or_one_error(self, kind, at, value, cut):
        data = bytearray(many(kind, 3))
        data[at % len(data)] = value
        try:
            with read(bytes(data[: len(data) - cut % len(data)]), max_pixels=10_000) as animation:
                assert len(list(animation)) == len(animation)
        except OSError:
            pass


def test_file_is_closed_and_arguments_are_checked(tmp_path):
    path = tmp_path / "a.gif"
    path.write_bytes(many("gif", 2))
    with read_frames(path) as animation:
        assert "2 frames of 1 x 1, gif" in repr(animation)
        assert animation.n_bytes == path.stat().st_size
    with pytest.raises((OSError, ValueError), match="closed"):
        list(animation)
    for wrong in ({"max_pixels": 0}, {"max_total_pixels": 0}, {"icc": "drop"}):
        with pytest.raises(ValueError, match=rf"^{next(iter(wrong))}: "):
            read_frames(path, **wrong)
    with pytest.raises(TypeError, match=r"^image: expected a path"):
        read_frames(7)
    with pytest.raises(FileNotFoundError):
        read_frames(tmp_path / "none.gif")
