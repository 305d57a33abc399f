"""The same picture by path, as a file object and as a Pillow image gives the same pixels."""

import io
import struct

import hostile
import numpy as np
import PIL.ImageCms
import PIL.ImageOps
import pytest
from PIL import Image

import kmeans_c
from kmeans_c.images import as_indexed, as_pixels, modes
from kmeans_c.images.frames import read_frames
from kmeans_c.views.preview import preview
from kmeans_c.views.report import report

PROFILES = {
    "none": (None, "RGB"),
    "wide RGB": (hostile.swapped_profile(), "RGB"),
    "grey": (hostile.grey_profile(1.0), "L"),
    "CMYK": (hostile.cmyk_profile(), "CMYK"),
    "of another mode": (hostile.cmyk_profile(), "RGB"),
    "damaged": (b"junk", "RGB"),
}
KINDS = ("jpeg", "png", "webp", "tiff")


def file_of(kind, orientation, profile, mode):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "webp" else {}
    if profile is not None:
        options["icc_profile"] = profile
    image = Image.fromarray(hostile.photo(6, 9)).convert(mode)
    return hostile.file_of(image, kind, exif=exif, **options)


def opened(data):
    return Image.open(io.BytesIO(data))


def loaded(data):
    image = opened(data)
    image.load()
    return image


FORMS = {
    "file object": io.BytesIO,
    "opened": opened,
    "loaded": loaded,
    "copy": lambda data: opened(data).copy(),
    "copy of loaded": lambda data: loaded(data).copy(),
    "after exif_transpose": lambda data: PIL.ImageOps.exif_transpose(opened(data)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_form_gives_the_same_pixels(tmp_path, orientation, profile, kind):
    icc, mode = PROFILES[profile]
    if mode == "CMYK" and kind in ("png", "webp"):
        pytest.skip("no CMYK in this format")
    data = file_of(kind, orientation, icc, mode)
    path = tmp_path / "a"
    path.write_bytes(data)
    expected = as_pixels(path)
    assert expected.shape[:2] == ((9, 6) if orientation > 4 else (6, 9))
    for name, make in FORMS.items():
        assert np.array_equal(as_pixels(make(data)), expected), name
    if icc is not None and profile in ("wide RGB", "grey", "CMYK") and kind != "webp":
        raw = np.asarray(PIL.ImageOps.exif_transpose(opened(data)).convert("RGB"))
        seen = expected if expected.ndim == 3 else np.dstack([expected] * 3)
        assert not np.array_equal(raw, seen)


def test_what_a_caller_has_applied_is_not_applied_again():
    data = file_of("png", 6, hostile.swapped_profile(), "RGB")
    expected = as_pixels(io.BytesIO(data))
    turned = PIL.ImageOps.exif_transpose(opened(data))
    source = PIL.ImageCms.ImageCmsProfile(io.BytesIO(hostile.swapped_profile()))
    done = PIL.ImageCms.profileToProfile(
        turned,
        source,
        PIL.ImageCms.createProfile("sRGB"),
        renderingIntent=PIL.ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=PIL.ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert np.array_equal(as_pixels(done), expected)
    assert np.array_equal(as_pixels(np.asarray(turned)), np.asarray(turned))


CHUNKS = {
    "gamma": [(b"gAMA", struct.pack(">I", 100_000))],
    "gamma of sRGB": [(b"gAMA", struct.pack(">I", 45455))],
    "primaries": [
        (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000))
    ],
    "sRGB before gamma": [(b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 100_000))],
    "no sense": [(b"gAMA", b"\0\0\0\0"), (b"cHRM", b"\xff" * 32)],
}


@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_what_a_png_says_without_a_profile(chunks, mode):
    data = hostile.file_of(Image.fromarray(hostile.photo(6, 9)).convert(mode), "png")
    parts = b"".join(hostile.chunk(*chunk) for chunk in CHUNKS[chunks])
    data = data[:33] + parts + data[33:]
    expected = as_pixels(io.BytesIO(data))
    for name, make in FORMS.items():
        assert np.array_equal(as_pixels(make(data)), expected), name


def test_cicp_is_followed_while_the_file_is_open():
    data = hostile.file_of(hostile.photo(6, 9), "png")
    data = data[:33] + hostile.chunk(b"cICP", bytes([9, 13, 0, 1])) + data[33:]
    expected = as_pixels(io.BytesIO(data))
    assert not np.array_equal(expected, hostile.photo(6, 9))
    assert np.array_equal(as_pixels(opened(data)), expected)


@pytest.mark.parametrize("depth", [2, 4, 8])
def test_colour_key_of_few_bits(depth):
    """Pillow scales the pixels and not the key; the caller's image stays as it was."""
    key = hostile.chunk(b"tRNS", struct.pack(">H", 1))
    row = {2: b"\x1b", 4: b"\x01\x23", 8: b"\0\1\2\3"}[depth]
    data = hostile.png(4, 1, depth, 0, [row], key)
    image = opened(data)
    assert np.array_equal(as_pixels(image), as_pixels(io.BytesIO(data)))
    assert image.info["transparency"] == 1


INFO = {
    "gamma": [1.0, -1.0, 1e300, float("nan"), "x", None, (1.0, 2.0)],
    "chromaticity": [(0.3,) * 8, (0.3,) * 7, ("x",) * 8, 5, None],
    "srgb": [0, -1, 300, "x", None],
    "icc_profile": ["text", b"", None, 5],
    "exif": [b"junk", b"", b"Exif\0\0II*\0\xff\xff\xff\xff"],
}


@pytest.mark.parametrize("key", INFO)
def test_any_info(key):
    """What stands in `info` may be the caller's own."""
    for value in INFO[key]:
        image = Image.fromarray(hostile.photo(6, 9))
        image.info[key] = value
        assert as_pixels(image).shape == (6, 9, 3)


class TestEverywhere:
    """Each public function that accepts an image takes a Pillow image for what its file shows."""

    DATA = file_of("png", 6, hostile.swapped_profile(), "RGB")

    @pytest.mark.parametrize(
        "call",
        [
            lambda image: kmeans_c.quantize(image, 4).to_array(),
            lambda image: kmeans_c.quantize(image, palette=["#000", "#fff"]).indices,
            lambda image: kmeans_c.quantize(image, 4, weights=np.ones((9, 6))).to_array(),
            lambda image: kmeans_c.Palette(["#000", "#f00", "#00f"]).map(image),
            lambda image: kmeans_c.quantize_auto(image).to_array(),
            lambda image: kmeans_c.quantize_quality(image, 50).to_array(),
            lambda image: kmeans_c.quantize_to_size(image, 300).quantized.to_array(),
            lambda image: [row.to_dict() for row in kmeans_c.sweep(image, [2, 4])],
            lambda image: np.asarray(preview(image, kmeans_c.quantize(image, 4))),
            lambda image: report(image, [4], title="a"),
        ],
    )
    def test_same_result(self, call):
        expected = call(io.BytesIO(self.DATA))
        for name, make in FORMS.items():
            if name != "file object":
                assert np.array_equal(call(make(self.DATA)), expected), name

    def test_delta_e(self):
        shown = kmeans_c.quantize(io.BytesIO(self.DATA), 4)
        assert kmeans_c.delta_e(opened(self.DATA), shown) == kmeans_c.delta_e(
            io.BytesIO(self.DATA), shown
        )


def tiff_of(mode, orientation, pages=1):
    exif = Image.Exif()
    exif[0x0112] = orientation
    made = []
    for seed in range(pages):
        pixels = hostile.photo(6, 9, seed=seed)
        rgba = np.dstack([pixels, pixels[:, :, :1]])
        image = Image.fromarray(rgba if mode in ("RGBA", "LA") else pixels)
        made.append(image.quantize(40) if mode == "P" else image.convert(mode))
    options = {"save_all": True, "append_images": made[1:]} if pages > 1 else {}
    return hostile.file_of(made[0], "tiff", exif=exif, **options)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_opened_tiff_that_is_not_loaded(tmp_path, orientation, mode):
    """Pillow 13 turns some modes into noise; the file is read again, and its position stays."""
    data = tiff_of(mode, orientation)
    path = tmp_path / "a.tif"
    path.write_bytes(data)
    expected, indexed = as_pixels(path), as_indexed(path)
    assert expected.shape[:2] == ((9, 6) if orientation > 4 else (6, 9))
    if orientation == 1:
        upright = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
        seen = modes.rgba(expected)
        clear = seen[:, :, 3] == 0
        if mode != "CMYK":  # whose colours are converted in another way
            assert np.array_equal(seen[~clear], upright[~clear])
    file = io.BytesIO(data)
    for opened_as in (file, path):
        with Image.open(opened_as) as image:
            at = image.fp.tell()
            for _ in range(2):
                assert np.array_equal(as_pixels(image), expected)
                found = as_indexed(image)
                assert (found is None) == (indexed is None)
                if indexed is not None:
                    assert np.array_equal(found.indices, indexed.indices)
                    assert np.array_equal(found.palette, indexed.palette)
            assert image.fp.tell() == at
            shown = kmeans_c.pillow.quantize(image, 256).convert("RGBA")
            assert shown.size == expected.shape[1::-1]


@pytest.mark.parametrize("orientation", [1, 6])
def test_page_of_an_opened_tiff(orientation):
    data = tiff_of("L", orientation, pages=3)
    with read_frames(io.BytesIO(data)) as animation:
        pages = [frame.pixels for frame in animation]
    with Image.open(io.BytesIO(data)) as image:
        for number in (2, 0, 1):
            image.seek(number)
            assert np.array_equal(modes.rgba(as_pixels(image)), pages[number])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_orientations_against_numpy(orientation, mode):
    """Not against another reader of this package."""
    turned = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
        8: np.rot90,
    }
    pixels = hostile.photo(6, 9)
    stored = pixels[:, :, 0] if mode == "L" else np.dstack([pixels, pixels[:, :, :1] | 1])
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = hostile.file_of(Image.fromarray(stored), "tiff", exif=exif)
    assert np.array_equal(as_pixels(opened(data)), turned[orientation](stored))
