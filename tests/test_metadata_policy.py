"""One policy for all formats: what is written of what, of stills, pages and frames alike."""

import io
import re
import struct
import zlib
from pathlib import Path

import animation_reference as reference
import hostile
import numpy as np
import pytest
import tagged_tiff
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kmeans_c import cli, compress
from kmeans_c.images import metadata as policy_table
from kmeans_c.images import read_image
from kmeans_c.images.frames import read_frames
from kmeans_c.views.report import report

POLICIES = ("none", "safe", "keep")

# Each kind of metadata by what it says, and by the word that names its loss.
MARKS = {
    "artist": (b"Ada-Artist", "artist|EXIF|texts"),
    "copyright": (b"(c) Ada-Copyright", "copyright|EXIF|texts"),
    "camera": (b"Camera-Works", "EXIF"),
    "serial": (b"SERIAL-12345", "EXIF"),
    "place": (b"GPS-PLACE", "EXIF"),
    "interoperability": (b"INTEROP-R98", "EXIF"),
    "xmp": (b"xmp-secret", "XMP"),
    "iptc": (b"iptc-caption", "IPTC"),
    "page name": (b"Page-Name", "page's name"),
    "georeference": (b"WGS 84 / geo-keys", "georeference"),
    "gdal": (b"<GDALMetadata>", "georeference"),
    "unknown tag": (b"unknown-program-data", "TIFF tags 50001"),
}

SAFE = ("artist", "copyright", "page name", "georeference", "gdal")

_EXIF = ("artist", "copyright", "camera", "serial", "place", "interoperability")
_TIFF_ONLY = ("page name", "georeference", "gdal", "unknown tag")
HELD = {
    "png": {*_EXIF, "xmp", "iptc"},
    "jpeg": {*_EXIF, "xmp", "iptc"},
    "webp": {*_EXIF, "xmp"},
    "tiff": set(MARKS),
    "gif": set(),
    "bmp": set(),
    "ico": set(),
}

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a b="xmp-secret"/></x:xmpmeta>'
IIM = b"\x1c\x02\x78\0\x0ciptc-caption"

FOLDERS = {
    34665: (4, {0xA431: (2, b"SERIAL-12345\0"), 40965: (4, {1: (2, b"INTEROP-R98\0")})}),
    34853: (4, {29: (2, b"GPS-PLACE\0"), 2: (5, [(52, 1), (31, 1), (0, 1)])}),
}
DESCRIPTION = {
    315: (2, b"Ada-Artist\0"),
    33432: (2, b"(c) Ada-Copyright\0"),
    271: (2, b"Camera-Works\0"),
}
TIFF_TAGS = (
    DESCRIPTION
    | FOLDERS
    | {
        282: (5, [(300, 1)]),
        283: (5, [(150, 1)]),
        296: (3, [2]),
        285: (2, b"Page-Name\0"),
        297: (3, [0, 2]),
        700: (1, XMP),
        33723: (7, IIM),
        33550: (12, [0.5, 0.5, 0.0]),
        33922: (12, [0.0, 0.0, 0.0, 440720.0, 3751320.0, 0.0]),
        34735: (3, [1, 1, 0, 1, 1024, 0, 1, 1]),
        34737: (2, b"WGS 84 / geo-keys\0"),
        42112: (2, b"<GDALMetadata></GDALMetadata>\0"),
        50001: (2, b"unknown-program-data\0"),
    }
)
IN_TIFF = set(MARKS)
IN_OTHERS = {*_EXIF, "xmp"}


def still(kind):
    """A file of that format with all kinds of metadata that it can hold."""
    photo = hostile.photo(8, 12)
    if kind == "tiff":
        return tagged_tiff.tiff([(photo, TIFF_TAGS)])
    exif = tagged_tiff.exif(DESCRIPTION | FOLDERS)
    options = {"exif": b"Exif\0\0" + exif, "dpi": (300, 150)}
    if kind == "jpeg":
        resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(IIM)) + IIM + b"\0" * (len(IIM) % 2)
        segment = b"Photoshop 3.0\0" + resource
        options |= {
            "xmp": XMP,
            "extra": b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment,
        }
    elif kind == "webp":
        options |= {"xmp": XMP, "exif": exif, "lossless": True}
    else:
        from PIL.PngImagePlugin import PngInfo

        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", XMP.decode())
        digits = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(IIM)) + IIM + b"\0" * (len(IIM) % 2)
        raw = f"\niptc\n      {len(digits)}\n{digits.hex()}\n"
        options["pnginfo"].add_text("Raw profile type iptc", raw, zip=True)
        options["exif"] = exif
    return hostile.file_of(photo, kind, **options)


def pages(n=2):
    """A TIFF whose pages say different things."""
    made = []
    for number in range(n):
        mark = str(number).encode()
        tags = TIFF_TAGS | {
            285: (2, b"Page-Name " + mark + b"\0"),
            315: (2, b"Ada-Artist " + mark + b"\0"),
            282: (5, [(100 + number, 1)]),
        }
        made.append((hostile.photo(8, 12, seed=number), tags))
    return tagged_tiff.tiff(made)


def frames():
    """An APNG with all kinds of metadata that it can hold."""
    exif = tagged_tiff.exif(DESCRIPTION | FOLDERS)
    chunks = [
        (b"eXIf", exif),
        (b"pHYs", struct.pack(">IIB", 11811, 5906, 1)),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
    ]
    made = [{"box": (0, 0, 2, 1), "pixels": [(255, 0, 0, 255), (0, n, 0, 255)]} for n in (255, 100)]
    return reference.apng(2, 1, made, chunks=chunks)


def everything(data):
    """All bytes of a file, with what is compressed or in hexadecimal digits spelled out."""
    found = data
    if data.startswith(b"\x89PNG"):
        for name, contents in hostile.png_chunks(data):
            if name == b"zTXt":
                key, packed = contents.split(b"\0\0", 1)
                text = zlib.decompress(packed)
                found += key + bytes.fromhex("".join(text.decode().split()[2:]))
    return found


def written(data, out, policy, **options):
    target = io.BytesIO()
    done = compress(
        io.BytesIO(data), target, 4, format=out, metadata=policy, allow_larger=True, **options
    )
    return target.getvalue(), done


def check(data, done, out, policy, present):
    """The table: what is there is what the policy lets through and the format holds."""
    shown = everything(data)
    allowed = {"none": (), "safe": SAFE, "keep": tuple(MARKS)}[policy]
    losses = "; ".join(done.losses)
    for name, (mark, word) in MARKS.items():
        expected = name in present and name in allowed and name in HELD[out]
        assert (mark in shown) == expected, (name, out, policy)
        told = re.search(word, losses) is not None
        if name in present and name in allowed and name not in HELD[out]:
            assert told, (name, losses)
        if name == "unknown tag" and policy == "safe" and name in present:
            assert told
    if policy == "none":
        assert done.losses == ()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("out", HELD)
@pytest.mark.parametrize("kind", ["tiff", "jpeg", "png", "webp"])
def test_stills(kind, out, policy):
    data, done = written(still(kind), out, policy)
    present = IN_TIFF if kind == "tiff" else IN_OTHERS | ({"iptc"} if kind != "webp" else set())
    check(data, done, out, policy, present)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("out", HELD)
def test_first_of_pages(out, policy):
    data, done = written(pages(), out, policy, first=True)
    check(data, done, out, policy, IN_TIFF)


@pytest.mark.parametrize("policy", POLICIES)
def test_pages(policy):
    """Each page keeps its own: name, artist and resolution."""
    data, done = written(pages(3), "tiff", policy)
    assert done.frames_written == 3
    check(data, done, "tiff", policy, IN_TIFF)
    made = tagged_tiff.read(data)
    assert len(made) == 3
    for number, tags in enumerate(made):
        mark = str(number).encode()
        if policy == "none":
            assert not tags.keys() & {285, 315, 282, 283, 296, 33550, 34735, 34665}
            continue
        assert tags[285] == (2, b"Page-Name " + mark + b"\0")
        assert tags[315] == (2, b"Ada-Artist " + mark + b"\0")
        assert tags[282] == (5, struct.pack("<II", 100 + number, 1))
        assert tags[283] == (5, struct.pack("<II", 150, 1))
        assert tags[33550] == (12, struct.pack("<3d", 0.5, 0.5, 0.0))
        assert tags[34735] == (3, struct.pack("<8H", 1, 1, 0, 1, 1024, 0, 1, 1))
        assert (34665 in tags) == (34853 in tags) == (policy == "keep")


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("out", ["png", "webp", "gif"])
def test_frames(out, policy):
    data, done = written(frames(), out, policy)
    assert done.frames_written == 2
    check(data, done, out, policy, IN_OTHERS)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("out", ["png", "webp", "tiff", "jpeg"])
def test_target_size(out, policy):
    """The bytes of what is kept count."""
    data, done = written(still("tiff"), out, policy, target_size=3000)
    assert len(data) <= 3000
    check(data, done, out, policy, IN_TIFF)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["tiff", "jpeg"])
def test_keep_copies_folders_value_by_value(kind, order):
    """EXIF's folders and the place, from TIFF in either order of bytes and from EXIF."""
    source = (
        tagged_tiff.tiff([(hostile.photo(8, 12), TIFF_TAGS)], order)
        if kind == "tiff"
        else still("jpeg")
    )
    data, _ = written(source, "tiff", "keep")
    (tags,) = tagged_tiff.read(data)
    assert tags[34665][0xA431] == (2, b"SERIAL-12345\0")
    assert tags[34665][40965] == {1: (2, b"INTEROP-R98\0")}
    assert tags[34853][2] == (5, struct.pack("<6I", 52, 1, 31, 1, 0, 1))
    assert tags[33723] == (7, IIM)
    if kind == "tiff":
        for tag in (33550, 33922):
            expected = struct.pack(f"<{len(TIFF_TAGS[tag][1])}d", *TIFF_TAGS[tag][1])
            assert tags[tag] == (12, expected)
        assert tags[50001] == (2, b"unknown-program-data\0")
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif().get_ifd(34853)[2] == (52.0, 31.0, 0.0)
        assert image.getexif().get_ifd(34665)[0xA431] == "SERIAL-12345"


def test_tifffile_reads_the_pages():
    tifffile = pytest.importorskip("tifffile")
    data, _ = written(pages(2), "tiff", "keep")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert len(file.pages) == 2
        assert [page.tags["PageName"].value for page in file.pages] == [
            "Page-Name 0",
            "Page-Name 1",
        ]
        assert file.pages[1].tags["XResolution"].value == (101, 1)
        assert file.geotiff_metadata["GTModelTypeGeoKey"] == 1
        assert file.pages[0].tags["ExifTag"].value["BodySerialNumber"] == "SERIAL-12345"
        with read_frames(io.BytesIO(data)) as ours:
            for page, frame in zip(file.pages, ours, strict=True):
                shown = page.colormap.T[page.asarray()] // 257
                assert np.array_equal(shown, frame.pixels[:, :, :3])


class TestReducedSizeImages:
    """Overviews, thumbnails and masks are no pages."""

    big, small = hostile.photo(8, 12), hostile.photo(4, 6, seed=2)

    def test_overviews_are_not_counted_nor_written(self):
        source = tagged_tiff.tiff(
            [
                (self.big, {254: (4, [0])}),
                (self.small, {254: (4, [1])}),
                (self.small, {254: (4, [5])}),
                (self.small, {255: (3, [2])}),
                (hostile.photo(8, 12, seed=3), {254: (4, [2])}),
                (self.small, {254: (4, [4])}),
            ]
        )
        assert read_image(io.BytesIO(source)).frames == 2
        with read_frames(io.BytesIO(source)) as animation:
            assert [frame.pixels.shape for frame in animation] == [(8, 12, 4)] * 2
        data, done = written(source, "tiff", "safe")
        assert (done.frames, done.frames_written) == (2, 2)
        assert len(tagged_tiff.read(data)) == 2
        assert done.losses == (
            "3 reduced-size images are left out",
            "1 transparency mask is left out",
        )

    def test_one_page_with_overviews_is_a_still(self):
        source = tagged_tiff.tiff([(self.big, {}), (self.small, {254: (4, [1])})])
        _, done = written(source, "png", "safe")
        assert (done.frames, done.frames_written) == (1, 1)
        assert done.losses == ("1 reduced-size image is left out",)

    def test_a_thumbnail_that_comes_first_is_not_the_picture(self):
        source = tagged_tiff.tiff([(self.small, {254: (4, [1])}), (self.big, {})])
        picture = read_image(io.BytesIO(source))
        assert np.array_equal(picture.pixels, self.big)
        assert picture.frames == 1

    def test_nothing_but_a_thumbnail(self):
        source = tagged_tiff.tiff([(self.small, {254: (4, [1]), 330: (4, [8, 8])})])
        picture = read_image(io.BytesIO(source))
        assert np.array_equal(picture.pixels, self.small)
        assert picture.losses == ("2 images in SubIFDs are left out",)

    def test_in_place(self, tmp_path):
        path = tmp_path / "a.tif"
        path.write_bytes(tagged_tiff.tiff([(self.big, {}), (self.small, {254: (4, [1])})]))
        before = path.read_bytes()
        with pytest.raises(ValueError, match=r"^output: replacing the input is refused: 1 reduced"):
            compress(path, path, 4, overwrite=True, allow_larger=True)
        assert path.read_bytes() == before


class TestVitalTags:
    photo = hostile.photo(8, 12)

    @pytest.mark.parametrize(
        ("tags", "loss"),
        [
            ({42113: (2, b"0\0")}, "the no-data value"),
            ({37724: (7, b"Adobe Photoshop Document Data Block\0")}, "the layers"),
            ({50001: (2, b"x\0")}, "TIFF tags 50001, which are unknown, are left out"),
            ({274: (3, [6]), 33550: (12, [1.0, 1.0, 0.0])}, "the georeference is left out"),
        ],
    )
    def test_losses_are_told_and_refused_in_place(self, tmp_path, tags, loss):
        path = tmp_path / "a.tif"
        path.write_bytes(tagged_tiff.tiff([(self.photo, tags)]))
        done = compress(path, tmp_path / "b.tif", 4, allow_larger=True)
        assert len(done.losses) == 1
        assert loss in done.losses[0]
        before = path.read_bytes()
        with pytest.raises(ValueError, match=r"^output: replacing the input is refused: "):
            compress(path, path, 4, overwrite=True, allow_larger=True)
        assert path.read_bytes() == before

    def test_geotiff_is_replaced_in_place(self, tmp_path):
        path = tmp_path / "a.tif"
        geo = {tag: TIFF_TAGS[tag] for tag in (33550, 33922, 34735, 34737, 42112)}
        path.write_bytes(tagged_tiff.tiff([(self.photo, geo)]))
        done = compress(path, path, 4, overwrite=True, allow_larger=True)
        assert done.losses == ()
        (tags,) = tagged_tiff.read(path.read_bytes())
        assert geo.keys() <= tags.keys()

    def test_iptc_that_libtiff_wrote_as_numbers(self):
        """Adobe's reader and libtiff give the bytes as LONGs, swapped in big-endian files."""
        padded = IIM + b"\0" * (-len(IIM) % 4)
        numbers = list(struct.unpack(f"<{len(padded) // 4}I", padded))
        source = tagged_tiff.tiff([(self.photo, {33723: (4, numbers)})], ">")
        data, _ = written(source, "tiff", "keep")
        (tags,) = tagged_tiff.read(data)
        assert tags[33723][1] == padded


def test_the_documentation_is_the_module_s_table():
    docs = Path(__file__).parents[1] / "docs" / "metadata.md"
    if not docs.exists():
        pytest.skip("the documentation is not beside the tests")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in docs.read_text("utf-8").splitlines()
        if line.startswith("| ")
    ][1:]
    table = policy_table.__doc__.split("=\n")[2].splitlines()[:-1]
    assert [re.split(r"  +", line) for line in table] == rows


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of what it skips
@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_tags(changes):
    """Whatever a stranger's tags are: one kind of error, or a file that can be read again."""
    data = bytearray(pages())
    for at, value in changes:
        data[at % len(data)] = value
    try:
        target, _ = written(bytes(data), "tiff", "keep", first=True)
    except (OSError, ValueError):
        return
    assert read_image(io.BytesIO(target)).frames == 1
    tagged_tiff.read(target)


def test_many_pages_that_share_a_large_value():
    """Memory is bounded by the bytes that are read, not by their multiple."""
    from kmeans_c.images.tiff_metadata import read_chain

    pixel = hostile.photo(1, 1)
    n, size = 40, 1 << 22
    source = bytearray(tagged_tiff.tiff([(pixel, {50001: (7, b"12345")})] * n))
    shared = len(source)
    entry = struct.pack("<HHI", 50001, 7, 5)
    at = source.find(entry)
    while at >= 0:
        struct.pack_into("<II", source, at + 4, size, shared)
        at = source.find(entry, at + 1)
    file = io.BytesIO(bytes(source) + bytes(size))
    chain = read_chain(file)
    kept = [chain.metadata(number, None)[0].tags for number in range(n)]
    assert sum(len(field.data) for tags in kept for _, field in tags) == 1 << 26


def test_shared_palette(tmp_path, monkeypatch, capfd):
    """The flow of several files follows the policy too."""
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        Path(f"{number}.tif").write_bytes(still("tiff"))
    assert cli.main(["0.tif", "1.tif", "--shared-palette", "-d", "out", "--allow-larger"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert all("TIFF tags 50001, which are unknown, are left out" in line for line in lines[:2])
    for number in range(2):
        data = Path(f"out/{number}.tif").read_bytes()
        found = {name for name, (mark, _) in MARKS.items() if mark in data}
        assert found == set(SAFE)


def test_previews_and_reports_hold_no_metadata(tmp_path):
    (tmp_path / "a.tif").write_bytes(still("tiff"))
    compress(tmp_path / "a.tif", tmp_path / "b.png", 4, metadata="keep", preview=tmp_path / "p.png")
    page = report(tmp_path / "a.tif", [4]).encode()
    for mark, _ in MARKS.values():
        assert mark not in (tmp_path / "p.png").read_bytes()
        assert mark not in page
