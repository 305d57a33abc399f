"""What `save` and `compress` write is decoded first: a wrong encoder replaces no file."""

import dataclasses
import io

import hostile
import numpy as np
import pytest
from PIL import Image

from kmeans_c import compress, encoding, quantize
from kmeans_c.jpeg import proof, search, writer

ENDINGS = ["png", "gif", "webp", "bmp", "tiff", "ico", "jpg"]


def photo(height=60, width=80):
    return hostile.photo(height, width)


def textured(height=200, width=320):
    """A picture that takes enough bytes to be progressive."""
    noise = np.random.default_rng(0).integers(-20, 21, (height, width, 3))
    return Image.fromarray(np.clip(photo(height, width) + noise, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("ending", ENDINGS)
def test_save_proves_what_it_writes(tmp_path, monkeypatch, ending, given):
    quantized = dataclasses.replace(quantize(photo(), 16), given=given)
    other = dataclasses.replace(quantized, indices=quantized.indices[::-1].copy())
    quantized.save(tmp_path / f"a.{ending}")
    before = (tmp_path / f"a.{ending}").read_bytes()
    encode = encoding.encode
    monkeypatch.setattr(
        encoding,
        "encode",
        lambda palette, _, *args, **o: encode(palette, other.indices, *args, **o),
    )
    with pytest.raises(OSError, match="would not show what it should"):
        quantized.save(tmp_path / f"a.{ending}", overwrite=True)
    file = io.BytesIO()
    with pytest.raises(OSError, match=r"^path: the file would not show what it should"):
        quantized.save(file, ending)
    assert file.getvalue() == b""
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{ending}"]
    assert (tmp_path / f"a.{ending}").read_bytes() == before


def test_save_proves_the_order_of_a_given_palette(tmp_path, monkeypatch):
    quantized = quantize(photo(), palette=[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 0, 0]])
    data = encoding.encode(quantized.palette, quantized.indices, "png")
    monkeypatch.setattr(encoding, "encode", lambda *_, **__: data)
    with pytest.raises(OSError, match="would not show what it should"):
        quantized.save(tmp_path / "a.png")


@pytest.mark.parametrize("kind", ENDINGS)
@pytest.mark.parametrize("alpha", [0, 200, 252, 255])
def test_save_writes_what_a_format_holds(kind, alpha):
    pixels = np.dstack([photo(), np.full((60, 80), 255, np.uint8)])
    pixels[10:20, 10:20, 3] = alpha
    quantized = quantize(pixels, 7)
    reason = encoding.misfit(quantized.palette, quantized.indices, kind.replace("jpg", "jpeg"))
    file = io.BytesIO()
    if reason is None:
        quantized.save(file, kind)
        assert file.getvalue()
    else:
        with pytest.raises(ValueError, match=r"^format: "):
            quantized.save(file, kind)


def test_compress_proves_a_jpeg(tmp_path, monkeypatch):
    Image.fromarray(photo(240, 320)).save(tmp_path / "a.jpg", quality=95)
    before = (tmp_path / "a.jpg").read_bytes()
    compact = writer.compact
    monkeypatch.setattr(
        search,
        "compact",
        lambda image, *args: compact(image.transpose(Image.Transpose.ROTATE_180), *args),
    )
    with pytest.raises(OSError, match="would not show what it should"):
        compress(tmp_path / "a.jpg", tmp_path / "a.jpg", overwrite=True)
    assert (tmp_path / "a.jpg").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


class TestProofOfJpeg:
    @pytest.fixture(params=[proof.MAX_DECODED, 0], ids=["pixels", "means"])
    def limit(self, request, monkeypatch):
        monkeypatch.setattr(proof, "MAX_DECODED", request.param)
        return request.param

    @pytest.mark.usefixtures("limit")
    @pytest.mark.parametrize("grey", [False, True])
    @pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
    @pytest.mark.parametrize("size", [(1, 1), (8, 9), (203, 317), (640, 480)])
    @pytest.mark.parametrize("quality", [10, 60, 100])
    def test_twins(self, grey, subsampling, size, quality):
        image = textured(*size)
        image = image.convert("L") if grey else image
        data = writer.compact(image, quality, subsampling)
        twin = writer.baseline(image, quality, subsampling)
        assert proof.shows(data, twin)
        described = writer.with_metadata(data, {"comment": b"x", "icc_profile": b"profile"})
        assert proof.shows(described, twin)

    @pytest.mark.usefixtures("limit")
    def test_other_pictures(self):
        image = textured()
        data = writer.compact(image, 60, "4:2:0")
        others = [
            writer.baseline(image, 61, "4:2:0"),
            writer.baseline(image, 60, "4:4:4"),
            writer.baseline(image.convert("L"), 60, "4:4:4"),
            writer.baseline(image.transpose(Image.Transpose.FLIP_TOP_BOTTOM), 60, "4:2:0"),
            writer.baseline(image.resize((320, 201)), 60, "4:2:0"),
        ]
        image.paste((9, 99, 199), (300, 180, 320, 200))
        others.append(writer.baseline(image, 60, "4:2:0"))
        assert [proof.shows(data, twin) for twin in others] == [False] * 6

    @pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
    def test_files_cut_anywhere(self, limit, subsampling):
        image = textured()
        data = writer.compact(image, 60, subsampling)
        twin = writer.baseline(image, 60, subsampling)
        assert proof.shows(data, twin)
        # What follows the blocks' means is not decoded of a large picture, nor are the last bits
        # missed that say nothing.
        last = data.rindex(b"\xff\xda") if limit == 0 else len(data) - 40
        for n in [0, 2, 3, 20, 300, *range(400, last, 211)]:
            assert not proof.shows(data[:n], twin)
            assert not proof.shows(data[:n] + b"\xff\xd9", twin)
        assert not proof.shows(data[:-1], twin)
        assert not proof.shows(data[:-2], twin)
        assert not proof.shows(data + b"\0", twin)
        assert not proof.shows(b"\0" + data, twin)

    @pytest.mark.usefixtures("limit")
    def test_missing_and_repeated_scans(self):
        image = textured()
        data = writer.compact(image, 90, "4:2:0")
        twin = writer.baseline(image, 90, "4:2:0")
        parts = [part.whole for part in proof.segments(data)]
        scans = [at for at, part in enumerate(parts) if part[1] == proof.SOS]
        assert len(scans) > 5
        for at in scans:
            assert not proof.shows(b"\xff\xd8" + b"".join(parts[:at] + parts[at + 1 :]), twin)
            assert not proof.shows(b"\xff\xd8" + b"".join(parts[: at + 1] + parts[at:]), twin)

    @pytest.mark.usefixtures("limit")
    def test_changed_first_scan(self):
        image = textured()
        data = writer.compact(image, 90, "4:2:0")
        twin = writer.baseline(image, 90, "4:2:0")
        start = data.index(b"\xff\xda") + 14
        changed = data[: start + 20] + bytes([data[start + 20] ^ 0x10]) + data[start + 21 :]
        assert not proof.shows(changed, twin)

    def test_large_picture(self):
        image = textured(1100, 1000)
        assert image.width * image.height > proof.MAX_DECODED
        for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
            data = writer.compact(image, 50, subsampling)
            twin = writer.baseline(image, 50, subsampling)
            assert proof.shows(data, twin)

    @pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
    def test_first_rows_of_a_very_large_picture(self, monkeypatch, subsampling):
        monkeypatch.setattr(proof, "MAX_DECODED", 0)
        monkeypatch.setattr(proof, "MAX_MEANS", 320 * 100)
        image = textured(403, 320)
        data = writer.compact(image, 90, subsampling)
        assert len(data) > 8192
        assert proof.shows(data, writer.baseline(image, 90, subsampling))
        other = image.copy()
        other.paste((9, 99, 199), (0, 60, 20, 80))
        assert not proof.shows(data, writer.baseline(other, 90, subsampling))
