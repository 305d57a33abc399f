"""What the line and `Compressed` say of colours, indices and palettes is so."""

import io

import numpy as np
import pytest
from PIL import Image

from kmeans_c import Palette, cli, compress, quantize

Y, X = np.mgrid[0:24, 0:32]


def png(image, **how):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "png", **how)
    return file.getvalue()


def faint(alpha=254):
    """Indexed, with one entry that is not quite opaque."""
    image = Image.fromarray((X // 8).astype(np.uint8))
    image.putpalette([10, 20, 30, 200, 0, 0, 0, 0, 200, 90, 90, 90])
    file = io.BytesIO()
    image.save(file, "png", transparency=bytes([255, alpha, 255, 255]))
    return file.getvalue()


@pytest.mark.parametrize("kind", ["bmp", "jpeg"])
def test_pixels_drawn_over_white_are_a_loss(kind):
    done = compress(io.BytesIO(faint()), io.BytesIO(), format=kind, allow_larger=True)
    assert done.mse >= 1 / 4  # (255 - 254)^2 of a quarter of the pixels
    assert np.isfinite(done.psnr)
    (note,) = (note for note in done.notes if note.startswith("alpha: "))
    assert note == "alpha: 192 pixels of alpha 254 were drawn over white"


def test_a_picture_without_faint_pixels_is_lossless():
    done = compress(io.BytesIO(faint(255)), io.BytesIO(), format="bmp", allow_larger=True)
    assert done.mse == 0


def test_the_range_of_faint_pixels():
    image = np.full((4, 4, 4), 255, np.uint8)
    image[0, :2, 3] = (251, 254)
    done = compress(io.BytesIO(png(image)), io.BytesIO(), format="bmp", allow_larger=True)
    assert "alpha: 2 pixels of alpha 251 to 254 were drawn over white" in done.notes


def test_the_bytes_of_the_input_have_its_indices(tmp_path, capsys):
    frames = [Image.fromarray(((X + 4 * k) // 8 * 60 % 256).astype(np.uint8)) for k in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=90)
    first, second = str(tmp_path / "b.gif"), str(tmp_path / "c.gif")
    for source, target in [(str(tmp_path / "a.gif"), first), (first, second)]:
        assert cli.main([source, "-o", target, "--allow-larger"]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert (tmp_path / "b.gif").read_bytes() == (tmp_path / "c.gif").read_bytes()
    assert "lossless, indices kept" in line


STRICT = [(10, 20, 30), (200, 0, 0), (0, 0, 200), (90, 90, 90)]


def test_a_strict_palette_is_compared_with_the_colours_of_the_file():
    image = np.full((4, 6, 4), (0, 0, 0, 255), np.uint8)
    image[2, 3, 3] = 254  # over white it is (1, 1, 1)
    options = {"format": "bmp", "strict_palette": True, "allow_larger": True}
    for table in ([(0, 0, 0), (1, 1, 1)], [(0, 0, 0), (255, 255, 255)]):
        with pytest.raises(ValueError, match=r"pixel \(3, 2\) has the colour #000000fe, .*'s 2$"):
            compress(io.BytesIO(png(image)), io.BytesIO(), palette=table, **options)
    compress(io.BytesIO(png(image)), io.BytesIO(), palette=["#000", "#000000fe"], **options)


def test_the_number_of_colours_that_were_given():
    image = np.zeros((4, 6, 4), np.uint8)
    image[1:, :, :] = (10, 20, 30, 255)
    image[3, 5] = (1, 2, 3, 255)
    text = r"pixel \(5, 3\) has the colour #010203ff, which is none of the palette's 4$"
    calls = [
        lambda: quantize(image, palette=STRICT, strict_palette=True),
        lambda: Palette(STRICT).map(image, strict=True),
        lambda: compress(
            io.BytesIO(png(image)), io.BytesIO(), palette=STRICT, strict_palette=True, format="png"
        ),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=text):
            call()


def test_one_colour_and_one_file(tmp_path, capsys):
    Image.fromarray(np.full((30, 30, 3), 7, np.uint8)).save(tmp_path / "flat.png")
    assert cli.main([str(tmp_path / "flat.png"), "-f", "--allow-larger"]) == 0
    out = capsys.readouterr().out
    assert "1 -> 1 colour, " in out
    assert "1 colours" not in out


def test_fewer_colours_are_proposed_where_the_file_has_a_palette(tmp_path, capsys):
    image = np.zeros((30, 30, 4), np.uint8)
    image[:, 10:] = (200, 30, 10, 255)
    image[:, 20:] = (20, 30, 10, 255)
    Image.fromarray(image).save(tmp_path / "a.png", optimize=True)
    assert cli.main([str(tmp_path / "a.png"), "-o", str(tmp_path / "a.tif"), "--allow-larger"]) == 0
    out = capsys.readouterr().out
    assert "larger than the input" in out
    assert "fewer colours" not in out
