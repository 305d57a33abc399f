"""Animations of few colours: what is written is what was meant, in every format."""

import contextlib
import hashlib
import io
import os
import struct
import subprocess
import sys
import zlib
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path

import animation_reference as reference
import hostile
import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmeans_c._kernels.lzw import Encoder
from kmeans_c.animation import quantize_animation
from kmeans_c.animation.compress import compress_animation
from kmeans_c.animation.writers import Clock
from kmeans_c.images import gif_file, png_file
from kmeans_c.images.frames import read_frames

KINDS = ("gif", "png", "webp")

COLORS = [(0, 0, 0, 0), (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255), (9, 9, 9, 255)]
FAINT = [*COLORS, (255, 0, 0, 1), (254, 0, 0, 1), (0, 0, 255, 128)]


def source(frames, *, plays=0, delays=None, **options):
    """An APNG of whole frames, given as lists of rows of colours."""
    height, width = len(frames[0]), len(frames[0][0])
    delays = delays or [Fraction(1, 10)] * len(frames)
    made = [
        {
            "box": (0, 0, width, height),
            "pixels": list(chain.from_iterable(frame)),
            "delay": delay,
        }
        for frame, delay in zip(frames, delays, strict=True)
    ]
    return io.BytesIO(reference.apng(width, height, made, plays=plays, **options))


def frames_of(data, **options):
    with read_frames(io.BytesIO(data), **options) as animation:
        return [frame.pixels.tolist() for frame in animation]


@st.composite
def films(draw, colors):
    """A few small frames, each like the last but for some pixels, and their durations."""
    width, height = draw(st.integers(1, 7)), draw(st.integers(1, 5))
    color = st.sampled_from(colors)
    grid = [[draw(color) for _ in range(width)] for _ in range(height)]
    made = []
    for _ in range(draw(st.integers(1, 5))):
        for _ in range(draw(st.integers(0, 4))):
            y, x = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
            grid[y][x] = draw(color)
        made.append([list(row) for row in grid])
    delays = draw(
        st.lists(st.fractions(0, 9, max_denominator=60), min_size=len(made), max_size=len(made))
    )
    return made, delays, draw(st.sampled_from([0, 1, 2, 40_000]))


def check_round_trip(film, kind, per_frame):
    made, delays, plays = film
    expected = [[[list(pixel) for pixel in row] for row in frame] for frame in made]
    with read_frames(source(made, delays=delays, plays=plays)) as animation:
        quantized = quantize_animation(animation, 16, per_frame=per_frame)
        encoded = quantized.encode(kind)
    assert quantized.mse == 0
    assert encoded.shown_by(encoded.data)
    with read_frames(io.BytesIO(encoded.data)) as again:
        found = list(again)
        assert len(found) == len(made)
        if len(made) > 1 or kind != "webp":
            assert again.loop == plays
        total = sum(frame.duration for frame in found)
        units = {"gif": 100, "webp": 1000}.get(kind)
        for frame, delay in zip(found, delays, strict=True):
            assert abs(frame.duration - delay) <= (Fraction(1, units) if units else 0)
        if units:  # the errors do not add up
            assert abs(total - sum(delays)) <= Fraction(1, 2 * units)
    assert [frame.pixels.tolist() for frame in found] == expected


class TestRoundTrip:
    @pytest.mark.parametrize("per_frame", [False, True])
    @pytest.mark.parametrize("kind", KINDS)
    @settings(max_examples=50, deadline=None)
    @given(film=films(COLORS))
    def test_frames_durations_and_loop(self, film, kind, per_frame):
        check_round_trip(film, kind, per_frame)

    @pytest.mark.parametrize("per_frame", [False, True])
    @pytest.mark.parametrize("kind", ["png", "webp"])
    @settings(max_examples=50, deadline=None)
    @given(film=films(FAINT))
    def test_partial_transparency(self, film, kind, per_frame):
        check_round_trip(film, kind, per_frame)

    @settings(max_examples=40, deadline=None)
    @given(film=films(FAINT[1:]))
    def test_pages(self, film):
        made, _, _ = film
        with read_frames(source(made)) as animation:
            encoded = quantize_animation(animation, 16).encode("tiff")
        assert encoded.shown_by(encoded.data)
        assert frames_of(encoded.data) == [
            [[list(pixel) for pixel in row] for row in frame] for frame in made
        ]

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("K", [2, 15, 16, 255, 256])
    def test_pillow_sees_the_same(self, kind, K):
        """Another reader, whose frames are right where no disposal follows another."""
        made = [hostile.photo(24, 32, 1).copy() for _ in range(4)]
        for number, pixels in enumerate(made):
            pixels[number * 5 : number * 5 + 4, number * 3 : 20] = hostile.photo(24, 32, 9)[
                :4, 20 - (20 - number * 3) : 20
            ]
        images = [PIL.Image.fromarray(pixels) for pixels in made]
        data = hostile.file_of(
            images[0], "webp", save_all=True, append_images=images[1:], lossless=True, duration=40
        )
        with read_frames(io.BytesIO(data)) as animation:
            quantized = quantize_animation(animation, K)
            cels = list(quantized.cels())
            encoded = quantized.encode(kind)
        with PIL.Image.open(io.BytesIO(encoded.data)) as image:
            assert image.n_frames == 4
            for number, cel in enumerate(cels):
                image.seek(number)
                assert np.array_equal(np.asarray(image.convert("RGBA")), cel.palette[cel.indices])

    def test_pages_of_different_sizes(self):
        images = [
            PIL.Image.fromarray(hostile.photo(6, 5)),
            PIL.Image.fromarray(hostile.photo(3, 9)),
        ]
        data = hostile.file_of(images[0], "tiff", save_all=True, append_images=images[1:])
        with read_frames(io.BytesIO(data)) as animation:
            quantized = quantize_animation(animation, 9)
            encoded = quantized.encode("tif")
            assert encoded.shown_by(encoded.data)
            assert [np.array(frame).shape for frame in frames_of(encoded.data)] == [
                (6, 5, 4),
                (3, 9, 4),
            ]
            with pytest.raises(ValueError, match="one size, got 5 x 6 and 9 x 3; tiff can"):
                quantized.encode("gif")

    def test_default_image_stays(self):
        made = [[[COLORS[1], COLORS[2]]], [[COLORS[2], COLORS[1]]]]
        with read_frames(source(made, default=[COLORS[1], COLORS[1]])) as animation:
            encoded = quantize_animation(animation, 4).encode("png")
        with read_frames(io.BytesIO(encoded.data)) as again:
            assert again.default_image.tolist() == [[list(COLORS[1])] * 2]
            assert len(again) == len(list(again)) == 2

    @pytest.mark.parametrize("per_frame", [False, True])
    @settings(max_examples=40, deadline=None)
    @given(data=st.data())
    def test_default_image_is_exact_where_the_palette_has_room(self, per_frame, data):
        """Its colours are in the histogram although it is no frame, faint and clear ones too."""
        film, durations, _ = data.draw(films(COLORS[1:]))
        n_pixels = len(film[0]) * len(film[0][0])
        still = data.draw(st.lists(st.sampled_from(FAINT), min_size=n_pixels, max_size=n_pixels))
        made = source(film, delays=durations, default=still)
        with read_frames(made) as animation:
            quantized = quantize_animation(animation, 256, per_frame=per_frame)
            assert quantized.mse == 0
            encoded = quantized.encode("png")
        rows = reference.apng_default_image(encoded.data)
        assert list(chain.from_iterable(rows)) == still
        assert encoded.shown_by(encoded.data)
        assert not encoded.shown_by(made.getvalue().replace(b"IDAT", b"xDAT"))

    def test_default_image_counts_only_where_it_is_written(self):
        """A GIF has no place for it: its colours take no entry, and a note says so."""
        made = [[[COLORS[1], COLORS[2]]], [[COLORS[2], COLORS[1]]]]
        for kind, n in (("png", 3), ("gif", 2), ("webp", 2)):
            target = io.BytesIO()
            film = source(made, default=[COLORS[3], COLORS[3]])
            done = compress_animation(film, target, 8, format=kind)
            assert done.palette_size == n
            assert (reference.apng_default_image(target.getvalue()) is not None) if n == 3 else True
            lost = f"the still image, which is no frame, is left out: {kind} has no place for it"
            assert done.losses == (() if kind == "png" else (lost,))

    def test_default_image_shares_a_small_palette(self):
        """With fewer entries than colours it is mapped to the palette of all pictures."""
        film = [[[(200, 0, 0, 255), (202, 0, 0, 255)]]]
        with read_frames(source(film, default=[(0, 0, 200, 255), (0, 0, 202, 255)])) as animation:
            encoded = quantize_animation(animation, 2).encode("png")
        assert reference.apng_default_image(encoded.data) == [[(0, 0, 201, 255)] * 2]


class TestPalette:
    def film(self, n=4):
        return [hostile.photo(20, 30, seed) for seed in range(n)]

    def opened(self, made, **options):
        images = [PIL.Image.fromarray(pixels) for pixels in made]
        data = hostile.file_of(
            images[0], "webp", save_all=True, append_images=images[1:], lossless=True, **options
        )
        return read_frames(io.BytesIO(data))

    def test_one_palette_is_that_of_all_pixels(self):
        from kmeans_c import quantize

        with self.opened(self.film()) as animation:
            quantized = quantize_animation(animation, 12)
            cels = list(quantized.cels())
        together = quantize(np.concatenate(self.film()), 12)
        assert len(quantized.palettes) == 1
        assert np.array_equal(quantized.palettes[0][:, :3], together.palette)
        assert np.array_equal(np.concatenate([cel.indices for cel in cels]), together.indices)
        assert quantized.mse == together.mse
        assert quantized.psnr == together.psnr

    def test_one_palette_a_frame(self):
        from kmeans_c import quantize

        with self.opened(self.film()) as animation:
            quantized = quantize_animation(animation, 12, per_frame=True)
            cels = list(quantized.cels())
        singles = [quantize(pixels, 12) for pixels in self.film()]
        assert [cel.indices.tolist() for cel in cels] == [one.indices.tolist() for one in singles]
        for palette, one in zip(quantized.palettes, singles, strict=True):
            assert np.array_equal(palette[:, :3], one.palette)
        assert quantized.mse == pytest.approx(np.mean([one.mse for one in singles]))

    def test_what_does_not_change_keeps_its_entry(self):
        made = self.film(1) * 4
        for number in range(4):
            made[number] = made[number].copy()
            made[number][:6, : number * 5] = number * 40
        with self.opened(made) as animation:
            cels = list(quantize_animation(animation, 5).cels())
        for (a, b), (old, new) in zip(pairwise(made), pairwise(cels), strict=True):
            same = (a == b).all(axis=2)
            assert np.array_equal(old.indices[same], new.indices[same])

    def test_bytes_do_not_depend_on_the_number_of_threads(self, simd):  # noqa: ARG002
        digests = set()
        for n_threads in (1, 2, 3):
            with self.opened(self.film()) as animation:
                quantized = quantize_animation(animation, 20, n_threads=n_threads)
                digests.add(hashlib.sha256(quantized.encode("gif").data).hexdigest())
        assert len(digests) == 1

    def test_256_colours_leave_room_for_transparency_unless_that_loses_one(self):
        values = np.arange(512, dtype=np.uint16).reshape(16, 32)
        many = np.stack([values & 255, values >> 8, values * 0], axis=2).astype(np.uint8)
        with self.opened([many, many]) as animation:
            assert len(quantize_animation(animation, 256).palettes[0]) == 255
        with self.opened([many[:8], many[:8]]) as animation:
            quantized = quantize_animation(animation, 256)
            assert len(quantized.palettes[0]) == 256
            for kind in KINDS:
                encoded = quantized.encode(kind)
                assert encoded.shown_by(encoded.data)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"K": 0}, "K: expected 1..256, got 0"),
            ({"K": 257}, "K: expected 1..256, got 257"),
            ({"ITERS": -1}, "ITERS: expected at least 0"),
            ({"init": "best"}, "init: expected one of"),
        ],
    )
    def test_arguments(self, options, message):
        with (
            self.opened(self.film(2)) as animation,
            pytest.raises(ValueError, match=f"^{message}"),
        ):
            quantize_animation(animation, **options)
        with pytest.raises(TypeError, match=r"^animation: expected an Animation, got ndarray"):
            quantize_animation(np.zeros((2, 2, 3), np.uint8))


class TestBytes:
    """What nothing changes costs nothing but the frame's own header."""

    @pytest.mark.parametrize(("kind", "most"), [("gif", 30), ("png", 80), ("webp", 90)])
    def test_unchanged_frame(self, kind, most):
        frame = [[tuple(pixel) for pixel in row] for row in hostile.photo(40, 50).tolist()]
        frame = [[(*pixel, 255) for pixel in row] for row in frame]
        sizes = []
        for n in (2, 3, 12):
            with read_frames(source([frame] * n)) as animation:
                sizes.append(len(quantize_animation(animation, 64).encode(kind).data))
        assert sizes[2] - sizes[1] == 9 * (sizes[1] - sizes[0])
        assert sizes[1] - sizes[0] <= most

    @pytest.mark.parametrize("kind", KINDS)
    def test_two_far_pixels(self, kind):
        """Their region is the whole frame, of which nearly all is left out."""
        few = hostile.photo(40, 50) & 0xC0
        frame = [[(*pixel, 255) for pixel in row] for row in few.tolist()]
        other = [list(row) for row in frame]
        other[0][0] = other[-1][-1] = (255, 0, 0, 255)
        with read_frames(source([frame, frame])) as animation:
            one = len(quantize_animation(animation, 100).encode(kind).data)
        with read_frames(source([frame, other])) as animation:
            two = len(quantize_animation(animation, 100).encode(kind).data)
        assert two - one < 250

    @pytest.mark.parametrize("kind", ["gif", "png"])
    def test_transparent_entry_is_no_loss(self, kind):
        """Sixteen colours and a transparent one are five bits; then regions alone are better."""
        rng = np.random.default_rng(1)
        colors = [(16 * value, 0, 0, 255) for value in range(16)]
        noise = [
            [[colors[i] for i in row] for row in rng.integers(0, 16, (30, 40))] for _ in range(3)
        ]
        with read_frames(source(noise)) as animation:
            data = quantize_animation(animation, 16).encode(kind).data
        assert len(data) < 3 * 30 * 40 * (0.62 if kind == "png" else 0.75)


class TestSave:
    def film(self):
        return source([[[COLORS[1], COLORS[2]]], [[COLORS[2], COLORS[0]]]], plays=3)

    def test_file_and_record(self, tmp_path):
        for kind in (*KINDS, "tiff"):
            target = tmp_path / f"a.{kind}"
            done = compress_animation(self.film(), target, 4)
            assert (done.frames, done.width, done.height) == (2, 2, 1)
            assert (done.colors_before, done.colors_after, done.palette_size) == (3, 3, 3)
            assert done.bytes_after == target.stat().st_size
            assert done.output == str(target)
            assert done.to_dict()["psnr"] is None
            assert done.larger == (done.bytes_after > done.bytes_before)
            with read_frames(target) as again:
                assert [len(again), again.loop] == [2, 1 if kind == "tiff" else 3]

    def test_existing_file_is_kept_unless_it_may_go(self, tmp_path):
        target = tmp_path / "a.gif"
        target.write_bytes(b"old")
        with pytest.raises(FileExistsError):
            compress_animation(self.film(), target, 4)
        assert target.read_bytes() == b"old"
        compress_animation(self.film(), target, 4, overwrite=True)
        assert len(frames_of(target.read_bytes())) == 2

    def test_in_place(self, tmp_path):
        target = tmp_path / "a.png"
        target.write_bytes(self.film().getvalue())
        compress_animation(target, target, 4, overwrite=True)
        assert frames_of(target.read_bytes()) == frames_of(self.film().getvalue())

    def test_file_object(self):
        target = io.BytesIO()
        compress_animation(self.film(), target, 4, format="webp")
        assert len(frames_of(target.getvalue())) == 2

    def test_wrong_file_is_not_published(self, tmp_path, monkeypatch):
        monkeypatch.setattr(
            gif_file, "lzw", lambda indices, bits, real=gif_file.lzw: real(indices & 0, bits)
        )
        with pytest.raises(OSError, match="would not show"):
            compress_animation(self.film(), tmp_path / "a.gif", 4)
        assert list(tmp_path.iterdir()) == []
        with pytest.raises(OSError, match="would not show"):
            compress_animation(self.film(), io.BytesIO(), 4, format="gif")

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_difference_is_seen(self, kind):
        made = [[[COLORS[1], COLORS[2]]], [[COLORS[2], COLORS[3]]], [[COLORS[1], COLORS[1]]]]
        others = [
            source(made[:2], plays=3),
            source(made, plays=4),
            source(made, plays=3, delays=[Fraction(1, 10), Fraction(1, 5), Fraction(1, 10)]),
            source([made[0], made[0], made[2]], plays=3),
        ]

        def encoded(file):
            with read_frames(file) as animation:
                return quantize_animation(animation, 4).encode(kind)

        meant = encoded(source(made, plays=3))
        assert meant.shown_by(meant.data)
        assert not any(meant.shown_by(encoded(other).data) for other in others)
        assert not meant.shown_by(meant.data[:-30])

    def test_what_a_format_cannot_hold(self, tmp_path):
        faint = source([[[FAINT[-1]]], [[FAINT[1]]]])
        with pytest.raises(ValueError, match="gif holds no partial transparency"):
            compress_animation(faint, tmp_path / "a.gif", 4)
        long = source([[[COLORS[1]]], [[COLORS[2]]]], delays=[Fraction(700), Fraction(1)])
        with pytest.raises(ValueError, match=r"gif frames last at most 655.35 s, got 700 s"):
            compress_animation(long, tmp_path / "a.gif", 4)
        wide = source([[[COLORS[1]] * 16385]] * 2)
        with pytest.raises(ValueError, match="webp images have at most 16384 pixels a side"):
            compress_animation(wide, tmp_path / "a.webp", 4)
        with pytest.raises(ValueError, match=r"^format: expected one of gif, png, webp, tiff"):
            compress_animation(self.film(), tmp_path / "a.bmp", 4)
        assert list(tmp_path.iterdir()) == []

    def test_damaged_input_leaves_nothing(self, tmp_path):
        data = self.film().getvalue()
        with pytest.raises(OSError, match="image: "):
            compress_animation(io.BytesIO(data[:-30]), tmp_path / "a.gif", 4)
        assert list(tmp_path.iterdir()) == []


class TestMetadata:
    profile = hostile.swapped_profile()

    def film(self):
        exif = PIL.Image.Exif()
        exif[315] = "Ada"
        exif[271] = "Camera Works"
        chunks = [
            (b"iCCP", b"x\0\0" + zlib.compress(self.profile)),
            (b"pHYs", struct.pack(">IIB", 11811, 5906, 1)),
            (b"eXIf", exif.tobytes()[6:]),
            (b"tEXt", b"Author\0Ada"),
            (b"tEXt", b"Software\0secret"),
        ]
        return source([[[COLORS[1], COLORS[2]]], [[COLORS[2], COLORS[3]]]], chunks=chunks)

    def written(self, kind, policy, icc="convert"):
        with read_frames(self.film(), icc=icc) as animation:
            encoded = quantize_animation(animation, 4).encode(kind, metadata=policy)
        assert encoded.shown_by(encoded.data)
        return encoded.data

    @pytest.mark.parametrize("kind", ["png", "webp"])
    def test_policies(self, kind):
        for policy, artist, maker in (
            ("none", False, False),
            ("safe", True, False),
            ("keep", True, True),
        ):
            data = self.written(kind, policy)
            assert (b"Ada" in data) == artist
            assert (b"Camera Works" in data) == maker
            with read_frames(io.BytesIO(data)) as again:
                texts = dict(again.metadata.texts)
                if kind == "png":
                    assert ("Author" in texts, "Software" in texts) == (artist, maker)
                    assert (again.metadata.dpi is not None) == artist

    def test_comments(self):
        assert b"Ada" not in self.written("gif", "none")
        assert b"secret" not in self.written("gif", "safe")
        assert b"secret" in self.written("gif", "keep")

    @pytest.mark.parametrize("kind", ["png", "webp"])
    def test_profile(self, kind):
        for policy in ("none", "safe", "keep"):
            data = self.written(kind, policy, icc="keep")
            with read_frames(io.BytesIO(data), icc="keep") as again:
                assert again.metadata.icc == self.profile
                assert next(iter(again)).pixels[0, 0].tolist() == list(COLORS[1])
        assert self.profile not in self.written(kind, "keep")

    @pytest.mark.parametrize("kind", ["gif", "tiff"])
    def test_profile_that_has_no_place(self, kind):
        with pytest.raises(ValueError, match=f"^format: {kind} frames hold no colour profile"):
            self.written(kind, "safe", icc="keep")


class TestLzw:
    @settings(max_examples=100, deadline=None)
    @given(
        bits=st.integers(1, 8),
        shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
        seed=st.integers(0, 9999),
        runs=st.booleans(),
    )
    def test_any_indices(self, bits, shape, seed, runs):
        indices = np.random.default_rng(seed).integers(0, 1 << bits, shape, dtype=np.uint8)
        if runs:
            indices = np.sort(indices, axis=1)
        data = gif_file.lzw(indices, bits)
        assert reference.lzw_decoded(data, indices.size) == indices.ravel().tolist()

    @pytest.mark.parametrize("kind", ["noise", "flat", "photo", "change"])
    def test_full_table(self, kind):
        rng = np.random.default_rng(5)
        indices = {
            "noise": rng.integers(0, 256, (200, 200), dtype=np.uint8),
            "flat": np.zeros((700, 500), np.uint8),
            "photo": hostile.photo(200, 200)[..., 0],
            "change": np.concatenate(
                [hostile.photo(90, 200)[..., 0], hostile.photo(90, 200, 8)[..., 2] ^ 255]
            ),
        }[kind]
        data = gif_file.lzw(np.ascontiguousarray(indices), 8)
        assert reference.lzw_decoded(data, indices.size) == indices.ravel().tolist()

    def test_pieces_make_no_difference(self, monkeypatch):
        indices = hostile.photo(50, 50)[..., 1].copy()
        whole = gif_file.lzw(indices, 8)
        monkeypatch.setattr(gif_file, "_SLICE", 77)
        assert gif_file.lzw(indices, 8) == whole

    @pytest.mark.parametrize("K", [1, 2, 3, 16, 17, 255, 256])
    def test_still_image(self, K):
        rng = np.random.default_rng(K)
        palette = rng.integers(0, 256, (K, 4), dtype=np.uint8)
        palette[:, 3] = 255
        palette[K // 2] = 0
        indices = rng.integers(0, K, (23, 31), dtype=np.uint8)
        for table in (palette, palette[:, :3]):
            with PIL.Image.open(io.BytesIO(gif_file.still(table, indices))) as shown:
                expected = PIL.Image.fromarray(table[indices]).convert("RGBA")
                pixels = np.array(shown.convert("RGBA"))
                pixels[pixels[..., 3] == 0] = 0
                assert np.array_equal(pixels, np.asarray(expected))

    def test_nothing_at_all(self):
        out = np.zeros(8, np.uint8)
        encoder = Encoder(2)
        assert encoder.add(np.zeros(0, np.uint8), out) == 0
        assert out[: encoder.finish(out)].tolist() == [0b101100]  # clear and end, three bits each


class TestClock:
    @given(st.lists(st.fractions(0, 100), max_size=20), st.sampled_from([100, 1000]))
    def test_ticks_never_drift(self, durations, units):
        clock = Clock(units, 1 << 24, "gif")
        given_, due = 0, Fraction(0)
        for duration in durations:
            given_ += clock.ticks(duration)
            due += duration * units
            assert abs(given_ - due) <= Fraction(1, 2)

    @given(st.fractions(0, 70_000))
    def test_an_fctl_holds_any_duration(self, duration):
        held = png_file.fitting(duration)
        assert held.numerator <= 65535
        assert held.denominator <= 65535
        assert abs(held - duration) <= max(duration / 60_000, Fraction(1, 60_000), duration - 65535)


@pytest.mark.skipif("KMEANS_C_SHARED" not in os.environ, reason="KMEANS_C_SHARED names no folder")
class TestCollection:
    """Strangers' animations, if KMEANS_C_SHARED names the folder of a collection."""

    FOLDER = Path(os.environ.get("KMEANS_C_SHARED", "")) / "images"

    @pytest.mark.parametrize("kind", [*KINDS, "tiff"])
    @pytest.mark.parametrize("folder", ["animated", "difficult/gif", "difficult/apng"])
    def test_all_frames_in_every_format(self, folder, kind):
        shown = 0
        for path in sorted((self.FOLDER / folder).iterdir()):
            # Some are damaged on purpose.
            with contextlib.suppress(OSError), read_frames(path) as animation:
                for per_frame in (False, True):
                    quantized = quantize_animation(animation, 16, 2, per_frame=per_frame)
                    alpha = np.concatenate(quantized.palettes)[:, 3]
                    if kind == "gif" and set(alpha.tolist()) - {0, 255}:
                        continue
                    encoded = quantized.encode(kind, metadata="keep")
                    assert encoded.shown_by(encoded.data)
                    shown += 1
        assert shown >= 10


# Hundreds of frames in a process of its own: what it needs must not grow with their number.
FLAT = """
import io, sys
import numpy as np
import kmeans_c
from kmeans_c import animation
from kmeans_c.images import frames, gif_file

n, kind = int(sys.argv[1]), sys.argv[2]
def film(n):
    rng = np.random.default_rng(3)
    table = rng.integers(0, 256, (256, 3), dtype=np.uint8).tobytes()
    parts = [gif_file.header(320, 240, table, 0)]
    for number in range(n):
        indices = np.zeros((240, 320), np.uint8)
        indices[number % 200 : number % 200 + 40, : 40] = rng.integers(0, 256, (40, 40))
        parts.append(gif_file.image((0, 0, 320, 240), gif_file.lzw(indices, 8), hundredths=4,
                                    disposal=1, transparent=None))
    return io.BytesIO(b"".join(parts) + b";")

def resident(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith(name))

for count in (4, n):
    source = film(count)
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before = resident("VmRSS")
    with frames.read_frames(source) as film_:
        encoded = animation.quantize_animation(film_, 64, 3, n_threads=1).encode(kind)
    assert encoded.shown_by(encoded.data)
    peak = resident("VmHWM") - before
print(peak, len(encoded.data))
"""


@pytest.mark.bare
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak is Linux's /proc")
@pytest.mark.parametrize("kind", [*KINDS, "tiff"])
def test_memory_is_flat(kind):
    n = 120 if kind == "webp" else 250
    done = subprocess.run(
        [sys.executable, "-P", "-c", FLAT, str(n), kind],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    peak, size = (int(number) for number in done.stdout.split())
    # All frames would be 77 MB of RGBA (37 MB for WebP); the output itself may be there twice.
    assert peak - 3 * size < 16 << 20
