"""The quality and the subsampling of a JPEG: the best that fits, or the fewest bytes."""

import zlib

import hostile
import numpy as np
import pytest

from kmeans_c import quantize
from kmeans_c.jpeg.options import SUBSAMPLINGS
from kmeans_c.jpeg.sample import BAND, TILE, bands_of, tiles_of
from kmeans_c.jpeg.search import HIGHEST, LOWEST, encoded_as, encoded_within
from kmeans_c.jpeg.shown import Shown, shown_by
from kmeans_c.jpeg.writer import baseline, compact, full_color

SATURATED = np.array(
    [[255, 0, 0], [0, 255, 255], [0, 255, 0], [255, 0, 255], [0, 0, 255], [255, 255, 0]], np.uint8
)


def photo(height=240, width=320):
    """A picture with gradients, edges and some noise."""
    return hostile.photo(height, width)


def noise(height, width, n=2, seed=0):
    return np.random.default_rng(seed).integers(0, n, (height, width), dtype=np.uint8)


def everything(image, goal, kind):
    """The highest quality that fits, by trying all."""
    sizes = {q: len(compact(image, q, kind)) for q in range(LOWEST, HIGHEST + 1)}
    return max((q for q in sizes if sizes[q] <= goal), default=None)


class TestSearch:
    @pytest.fixture
    def image(self):
        quantized = quantize(photo(300, 400), 16)
        return full_color(quantized.palette, quantized.indices)

    @pytest.mark.parametrize("kind", list(SUBSAMPLINGS))
    @pytest.mark.parametrize("part", [0.3, 0.5, 0.8, 0.95])
    def test_best_quality_that_fits(self, image, kind, part):
        low, high = (len(compact(image, q, kind)) for q in (LOWEST, HIGHEST))
        goal = int(low + part * (high - low))
        found = encoded_within(
            image, goal, goal, lambda _: Shown(1, 0, 1), exact_mse=0, subsampling=kind
        )
        assert len(found.data) <= goal
        assert (found.quality, found.subsampling) == (everything(image, goal, kind), kind)

    def test_few_encodings(self, monkeypatch):
        quantized = quantize(photo(500, 600), 16)
        image = full_color(quantized.palette, quantized.indices)
        calls = []
        module = __import__("kmeans_c.jpeg.search", fromlist=["compact"])
        original = module.compact

        def counting(picture, *arguments):
            calls.append(picture.size)
            return original(picture, *arguments)

        monkeypatch.setattr(module, "compact", counting)
        goal = len(original(image, 70, "4:2:0"))
        encoded_within(image, goal, goal, lambda _: Shown(1, 0, 1), exact_mse=0)
        assert calls.count(image.size) <= 2
        assert len(calls) <= 3 * 6 + 2

    def test_subsampling_with_the_least_error(self):
        # Fine coloured strips, which only full chroma holds, and a photo of many bytes.
        strips = full_color(SATURATED, np.tile(np.arange(512, dtype=np.uint8) // 2 % 4, (512, 1)))
        goal = len(compact(strips, 60, "4:4:4"))
        found = encoded_within(strips, goal, goal, lambda _: Shown(1, 0, 1), exact_mse=0)
        assert found.subsampling == "4:4:4"

    def test_threads_change_nothing(self, image):
        goal = len(compact(image, 70, "4:2:0"))
        one, two = (
            encoded_within(image, goal, goal, lambda _: Shown(1, 0, 1), exact_mse=0, n_threads=n)
            for n in (1, 2)
        )
        assert one == two

    def test_large_picture(self):
        """Of which bands and quick encodings give the size."""
        indices = np.tile(quantize(photo(300, 400), 16).indices, (4, 4))
        image = full_color(quantize(photo(300, 400), 16).palette, indices)
        assert bands_of(image) is not image
        for kind, quality in (("4:4:4", 50), ("4:2:0", 80)):
            goal = len(compact(image, quality, kind)) + 100
            found = [
                encoded_within(
                    image,
                    goal,
                    goal,
                    lambda data: Shown(len(data), 0, 1),
                    exact_mse=0,
                    subsampling=kind,
                    n_threads=n,
                )
                for n in (1, 2)
            ]
            assert found[0] == found[1]
            assert found[0].quality == quality
            assert len(found[0].data) <= goal < len(compact(image, quality + 1, kind))
            # What was measured is the file with the standard tables.
            assert found[0].shown.share == len(baseline(image, quality, kind))

    def test_two_threads_do_not_mix_their_options(self):
        quantized = quantize(photo(500, 600), 16)
        image = full_color(quantized.palette, quantized.indices)

        def measure(data):
            return shown_by(data, photo(500, 600), quantized.palette, quantized.indices)

        for quality in (20, 60, 95):
            for kind in SUBSAMPLINGS:
                one, two = (encoded_as(image, quality, kind, measure, n_threads=n) for n in (1, 2))
                assert one == two
                assert measure(two.data) == two.shown

    def test_bands_are_rows_of_blocks(self):
        image = full_color(SATURATED, noise(2000, 1500, 6))
        bands = bands_of(image)
        pixels, parts = np.asarray(image), np.asarray(bands)
        rows = {pixels[y : y + BAND].tobytes() for y in range(0, 2000 - BAND + 1, BAND)}
        found = [parts[y : y + BAND].tobytes() for y in range(0, bands.height, BAND)]
        assert len(set(found)) == len(found) == 21
        assert set(found) <= rows

    def test_more_bytes_where_the_picture_would_be_lost(self, image):
        goal = len(compact(image, 40, "4:4:4"))
        limit = len(compact(image, 90, "4:4:4"))
        sizes = []

        def measure(data):
            sizes.append(len(data))
            return Shown(1 if len(data) > 1.5 * goal else 0.5, 0, 1)

        found = encoded_within(image, goal, limit, measure, exact_mse=1)
        assert found.shown.share == 1
        assert goal < len(found.data) <= limit

    def test_a_picture_that_no_file_holds(self, image):
        goal = len(compact(image, 40, "4:4:4"))
        own, limit = (len(compact(image, quality, "4:4:4")) for quality in (60, 95))
        found = encoded_within(image, goal, limit, lambda _: Shown(0.5, 9, 1), exact_mse=1, own=own)
        # More bytes would buy nothing.
        assert len(found.data) == min(len(compact(image, 30, kind)) for kind in SUBSAMPLINGS)

        def measure(data):
            return Shown(min(0.8, len(data) / 1e5), 9, 1)

        found = encoded_within(image, goal, limit, measure, exact_mse=1, own=own)
        assert 0.9 * own < len(found.data) <= own

    def test_quality_30_where_it_is_above_the_goal(self, image):
        sizes = [len(compact(image, 30, kind)) for kind in SUBSAMPLINGS]
        limit = len(compact(image, 95, "4:4:4"))
        found = encoded_within(
            image, min(sizes) - 1, limit, lambda _: Shown(0.95, 0, 1), exact_mse=0
        )
        assert (found.quality, len(found.data)) == (30, min(sizes))

    @pytest.mark.parametrize("seed", range(4))
    def test_smallest_that_holds_the_picture(self, seed):
        """By trying all, where one in fifteen holds it."""
        quantized = quantize(photo(60, 80), 16)
        image = full_color(quantized.palette, quantized.indices)

        def measure(data):
            return Shown(1 if zlib.crc32(data, seed) % 15 == 0 else 0.5, 0, 1)

        goal = min(len(compact(image, 30, kind)) for kind in SUBSAMPLINGS) - 1
        limit = len(compact(image, 90, "4:4:4"))
        sizes = [
            len(compact(image, quality, kind))
            for kind in SUBSAMPLINGS
            for quality in range(30, 101)
            if measure(baseline(image, quality, kind)).share == 1
        ]
        found = encoded_within(image, goal, limit, measure, exact_mse=0)
        assert len(found.data) == min(sizes) <= limit
        assert found.shown.share == 1

    @pytest.mark.parametrize("least", [31, 42, 57, 73, 88, 90])
    def test_smallest_of_a_large_picture_in_steps(self, image, monkeypatch, least):
        monkeypatch.setattr("kmeans_c.jpeg.search._PIXELS", 0)
        goal, limit = (len(compact(image, quality, "4:2:0")) for quality in (30, 90))
        needed = len(baseline(image, least, "4:2:0"))
        tried = []

        def measure(data):
            tried.append(len(data))
            return Shown(1 if len(data) >= needed else 0.5, 0, 1)

        found = encoded_within(image, goal - 1, limit, measure, exact_mse=0, subsampling="4:2:0")
        assert found.quality == least
        assert len(tried) < 24

    def test_larger_than_the_own_picture_only_to_hold_it(self, image):
        goal, own, limit = (len(compact(image, quality, "4:4:4")) for quality in (30, 60, 90))
        for needed in (goal + own) // 2, (own + limit) // 2:

            def measure(data, needed=needed):
                return Shown(1 if len(data) > needed else 0.5, 0, 1)

            found = encoded_within(
                image, goal, limit, measure, exact_mse=0, own=own, subsampling="4:4:4"
            )
            assert found.shown.share == 1
            assert (len(found.data) <= own) == (needed < own)

    def test_nothing_is_small_enough(self, image):
        found = encoded_within(image, 100, 100, lambda _: Shown(1, 0, 1), exact_mse=0)
        smallest = min(len(compact(image, 30, kind)) for kind in SUBSAMPLINGS)
        assert len(found.data) == smallest > 100

    @pytest.mark.parametrize("share", [1, 0.5])
    def test_below_30_only_what_holds_the_picture(self, image, share):
        sizes = [len(compact(image, quality, "4:2:0")) for quality in (20, 30)]
        limit = sum(sizes) // 2
        found = encoded_within(image, limit, limit, lambda _: Shown(share, 0, 1), exact_mse=0)
        if share == 1:
            assert 10 <= found.quality < 30
            assert len(found.data) <= limit
        else:
            assert (found.quality, len(found.data)) == (30, sizes[1])

    @pytest.mark.parametrize("shape", [(33, 9000), (9000, 33), (700, 900), (64, 64), (1, 70_000)])
    def test_sample_consists_of_tiles(self, shape):
        indices = noise(*shape, 6)
        image = full_color(SATURATED, indices)
        sample = tiles_of(image)
        if sample is image:
            assert (shape[0] // TILE) * (shape[1] // TILE) <= 128
            return
        assert 32 * TILE**2 <= sample.width * sample.height <= 64 * TILE**2
        tiles = {
            np.asarray(image)[y : y + TILE, x : x + TILE].tobytes()
            for y in range(0, shape[0] - TILE + 1, TILE)
            for x in range(0, shape[1] - TILE + 1, TILE)
        }
        parts = np.asarray(sample)
        found = [
            parts[y : y + TILE, x : x + TILE].tobytes()
            for y in range(0, sample.height, TILE)
            for x in range(0, sample.width, TILE)
        ]
        assert len(set(found)) == len(found)
        assert set(found) <= tiles
