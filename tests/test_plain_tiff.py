"""A TIFF is kept only if it holds nothing but pixels and what the policy lets through."""

import io
import struct
import zlib

import hostile
import numpy as np
import pytest
import tagged_tiff
from PIL import Image

from kmeans_c import compress
from kmeans_c.cli import main
from kmeans_c.images import read_image
from kmeans_c.images.cleaning import cleaned
from kmeans_c.images.fields import read_folder
from kmeans_c.images.tiff_tags import directories

SECRET = b"private data"
PIXELS = hostile.photo(8, 8)
POLICIES = ("none", "safe")

# All types, and some that are none.
TYPES = (0, 1, 2, 7, 11, 12, 14, 15, 17, 18, 129, 255)


def bare(kind=None, photometric=2, *, strip=None, extra=(), big=False, tail=b"", gap=b""):
    """A TIFF of one strip and entries (tag, type, count, bytes or a function of `put`)."""
    code, room = ("Q", 8) if big else ("I", 4)
    strip = PIXELS.tobytes() if strip is None else strip
    body, start = bytearray(), 16 if big else 8

    def put(data):
        at = start + len(body)
        body.extend(data + b"\0" * (len(data) % 2))
        return at

    def folder(entries):
        made = b""
        for tag, type_, count, value in sorted(entries, key=lambda entry: entry[0]):
            data = value(put, folder, code) if callable(value) else value
            field = data if len(data) <= room else struct.pack("<" + code, put(data))
            made += struct.pack("<HH" + code, tag, type_, count) + field.ljust(room, b"\0")
        head = struct.pack("<Q" if big else "<H", len(entries))
        return put(head + made + struct.pack("<" + code, 0))

    def short(n):
        return struct.pack("<H", n)

    at = put(strip)
    put(gap)
    entries = [
        (256, 3, 1, short(8)),
        (257, 3, 1, short(8)),
        (258, 3, 3, struct.pack("<3H", 8, 8, 8)),
        (259, 3, 1, short(kind or 1)),
        (262, 3, 1, short(photometric)),
        (273, 4, 1, struct.pack("<I", at)),
        (277, 3, 1, short(3)),
        (278, 3, 1, short(8)),
        (279, 4, 1, struct.pack("<I", len(strip))),
        *extra,
    ]
    first = folder(entries)
    head = struct.pack("<2sHHHQ", b"II", 43, 8, 0, first) if big else b"II*\0"
    return (head if big else head + struct.pack("<I", first)) + bytes(body) + tail


def jpeg(*parts):
    """A JPEG with segments behind its start."""
    data = hostile.file_of(PIXELS, "jpeg")
    made = b"".join(struct.pack(">BBH", 255, marker, len(c) + 2) + c for marker, c in parts)
    return data[:2] + made + data[2:]


def pointer(tag):
    """The value of a tag that points to a directory with a private text."""

    def value(put, folder, code):
        return struct.pack("<" + code, folder([(tag, 2, len(SECRET), SECRET)]))

    return value


def refused(data, policies=POLICIES):
    """Whether the file can be read, and is not kept."""
    assert read_image(io.BytesIO(data)).pixels.shape[:2] == (8, 8)
    return all(cleaned(data, policy) is None for policy in policies) and (
        cleaned(data, "keep") == data
    )


class TestPlain:
    @pytest.mark.parametrize("big", [False, True])
    def test_plain_files_stay(self, big):
        packed = zlib.compress(PIXELS.tobytes())
        for data in (
            bare(big=big),
            bare(big=big, gap=bytes(2)),
            bare(8, strip=packed, big=big),
            bare(7, 6, strip=jpeg(), big=big),
        ):
            for policy in POLICIES:
                assert cleaned(data, policy) == data

    @pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK"])
    @pytest.mark.parametrize(
        "compression", [None, "tiff_lzw", "packbits", "tiff_adobe_deflate", "jpeg", "group4"]
    )
    def test_files_of_pillow_stay(self, mode, compression):
        if (compression == "jpeg" and mode in "1P") or (compression == "group4" and mode != "1"):
            pytest.skip("libtiff writes no such file")
        image = Image.fromarray(hostile.photo(37, 53)).convert(mode)
        file = io.BytesIO()
        image.save(file, "tiff", compression=compression, save_all=True, append_images=[image])
        assert cleaned(file.getvalue(), "safe") == file.getvalue()

    def test_files_of_this_package_stay(self):
        file = io.BytesIO()
        compress(hostile_file(), file, 8, format="tiff", allow_larger=True)
        assert cleaned(file.getvalue(), "none") == file.getvalue()


def hostile_file():
    return io.BytesIO(hostile.file_of(hostile.photo(40, 50), "png"))


class TestPrivateData:
    @pytest.mark.parametrize("big", [False, True])
    @pytest.mark.parametrize("kind", [4, 13, 18])
    @pytest.mark.parametrize("tag", [330, 34665, 34853])
    def test_folders(self, tag, kind, big):
        data = bare(extra=[(tag, kind, 1, pointer(29))], big=big)
        assert SECRET in data
        assert refused(data)

    @pytest.mark.parametrize("kind", TYPES)
    @pytest.mark.parametrize("tag", [305, 65000])
    def test_types(self, tag, kind):
        assert refused(bare(extra=[(tag, kind, len(SECRET), SECRET)]))

    @pytest.mark.parametrize("tag", [254, 255, 274, 301, 320, 333, 337, 530])
    def test_text_for_numbers(self, tag):
        assert refused(bare(extra=[(tag, 2, len(SECRET), SECRET)]))

    def test_more_values_than_there_should_be(self):
        values = struct.pack("<8H", *[1] * 8)
        for tag in (255, 284, 339):
            assert cleaned(bare(extra=[(tag, 3, 1, values[:2])]), "none") is not None
            data = bare(extra=[(tag, 3, 8, values)])
            assert [cleaned(data, policy) for policy in POLICIES] == [None, None]

    def test_tables_of_no_jpeg(self):
        assert refused(bare(extra=[(347, 7, len(SECRET), SECRET)]))

    def test_tables_of_a_jpeg(self):
        stream = jpeg()
        end = stream.index(b"\xff\xdb")
        length = int.from_bytes(stream[end + 2 : end + 4], "big")
        tables = b"\xff\xd8" + stream[end : end + 2 + length] + b"\xff\xd9"
        comment = b"\xff\xfe" + struct.pack(">H", len(SECRET) + 2) + SECRET
        for more, kept in ((b"", True), (comment, False)):
            value = tables[:2] + more + tables[2:]
            data = bare(7, 6, strip=stream, extra=[(347, 7, len(value), value)])
            assert (cleaned(data, "safe") == data) == kept
        value = tables + SECRET
        data = bare(7, 6, strip=stream, extra=[(347, 7, len(value), value)])
        assert refused(data)

    def test_free_space(self):
        def place(put, folder, code):
            return struct.pack("<I", put(SECRET))

        length = struct.pack("<I", len(SECRET))
        assert refused(bare(extra=[(288, 4, 1, place), (289, 4, 1, length)]))

    def test_a_tag_twice(self):
        artist = [(315, 2, 4, b"me \0"), (315, 2, len(SECRET), SECRET)]
        assert cleaned(bare(extra=artist[:1]), "safe") is not None
        assert refused(bare(extra=artist))

    @pytest.mark.parametrize(
        "part", [(0xE1, b"Exif\0\0" + SECRET), (0xFE, SECRET), (0xE0, b"JFXX\0" + SECRET)]
    )
    def test_segments_of_a_strip(self, part):
        assert refused(bare(7, 6, strip=jpeg(part)))

    def test_data_behind_the_pixels_of_a_strip(self):
        assert refused(bare(strip=PIXELS.tobytes() + SECRET))
        assert refused(bare(8, strip=zlib.compress(PIXELS.tobytes()) + SECRET))
        assert refused(bare(8, strip=zlib.compress(PIXELS.tobytes() + SECRET)))
        assert refused(bare(7, 6, strip=jpeg() + SECRET))

    def test_data_that_nothing_refers_to(self):
        assert refused(bare(tail=SECRET))
        assert refused(bare(gap=SECRET))
        assert refused(tagged_tiff.tiff([(PIXELS, {}), (PIXELS, {})]) + SECRET)

    def test_command_says_so(self, tmp_path, capfd):
        flat = np.zeros((8, 8, 3), np.uint8)
        path = tmp_path / "a.tif"
        data = bare(8, strip=zlib.compress(flat.tobytes(), 9), tail=SECRET)
        path.write_bytes(data)
        assert main([str(path), "--in-place", "-q", "--metadata", "none"]) == 0
        out, err = capfd.readouterr()
        if path.read_bytes() == data:
            assert (out, "holds metadata that can't be removed" in err) == ("", True)
        else:
            assert SECRET not in path.read_bytes()


class TestLosses:
    @pytest.mark.parametrize("kind", [4, 13, 18])
    @pytest.mark.parametrize("policy", [*POLICIES, "keep"])
    def test_images_in_subifds_are_named(self, kind, policy):
        data = bare(extra=[(330, kind, 1, pointer(315))], big=True)
        file = io.BytesIO()
        done = compress(
            io.BytesIO(data), file, 4, format="tiff", metadata=policy, allow_larger=True
        )
        assert SECRET not in file.getvalue()
        assert "1 image in SubIFDs is left out" in done.losses

    @pytest.mark.parametrize(("kind", "size"), [(4, "I"), (13, "I"), (16, "Q"), (18, "Q")])
    @pytest.mark.parametrize("tag", [34665, 34853])
    def test_folders_of_a_bigtiff_are_kept(self, tag, kind, size):
        def value(put, folder, code):
            return struct.pack("<" + size, folder([(42033, 2, len(SECRET), SECRET)]))

        file = io.BytesIO()
        data = bare(extra=[(tag, kind, 1, value)], big=True)
        compress(io.BytesIO(data), file, 4, format="tiff", metadata="keep", allow_larger=True)
        (written,) = tagged_tiff.read(file.getvalue())
        assert written[tag] == {42033: (2, SECRET)}

    @pytest.mark.parametrize(
        ("kind", "code", "number", "kept"),
        [
            (16, "Q", 2**32 - 1, (4, b"\xff\xff\xff\xff")),
            (16, "Q", 2**32, None),
            (17, "q", -1, (9, b"\xff\xff\xff\xff")),
            (17, "q", 2**31, None),
            (18, "Q", 7, (13, b"\7\0\0\0")),
        ],
    )
    def test_integers_of_64_bits(self, kind, code, number, kept):
        """A TIFF that is not big holds 32 bits."""
        data = bare(extra=[(65000, kind, 1, struct.pack("<" + code, number))], big=True)
        directory = next(iter(directories(io.BytesIO(data))))
        field = read_folder(directory).fields.get(65000)
        assert (None if field is None else (field.kind, field.data)) == kept

    @pytest.mark.parametrize("tag", [34665, 34853, 65000])
    def test_tags_that_can_not_be_read_are_named(self, tag):
        """A pointer of 64 bits in a file of 32 bits leads nowhere; no type has the number 99."""
        kind = 99 if tag == 65000 else 18
        data = bare(extra=[(tag, kind, 1, pointer(29))])
        for policy in (*POLICIES, "keep"):
            source, file = io.BytesIO(data), io.BytesIO()
            options = {"format": "tiff", "metadata": policy, "allow_larger": True}
            lost = f"TIFF tags {tag}, which can't be read, are left out"
            done = compress(source, file, 4, **options)
            assert done.losses == ((lost,) if policy == "keep" else ())
