"""Every pair of picture, format and option works or is refused with a reason of its own.

Where it works, Pillow decodes the file to the picture: exactly, if the colours are few enough;
otherwise to at most K colours, at the error that is reported. Where it is refused, the message is
the one of the rule for the cell; texts of NumPy, Pillow or Python's own are none.
"""

import io
import itertools
import json
import re

import numpy as np
import pytest
from PIL import Image

from kmeans_c import cli, compress, quantize

FORMATS = ("png", "jpeg", "gif", "webp", "bmp", "tiff", "ico", "auto")

W, H = 12, 9
RNG = np.random.default_rng(8)
RGB = RNG.integers(0, 256, (H, W, 3), np.uint8)
FEW = RGB[np.arange(H)[:, None] % 3, np.arange(W) % 4]  # 12 colours
Y, X = np.mgrid[:H, :W]


def with_alpha(array, alpha):
    return Image.fromarray(np.dstack([array, np.broadcast_to(alpha, (H, W)).astype(np.uint8)]))


def indexed(mode, **info):
    image = Image.fromarray((X % 7).astype(np.uint8))
    image.putpalette(RGB.reshape(-1)[:21].tobytes())
    image.info.update(info)
    if mode == "PA":
        image = image.convert("PA")
        image.putalpha(Image.fromarray(np.where(X < 4, 0, 255).astype(np.uint8)))
    return image


SHIFT = np.uint8([0, 1, 2])
many = RNG.integers(0, 256, (20, 30, 3), np.uint8)
PICTURES = {
    "1": Image.fromarray(RGB[:, :, 0]).convert("1"),
    "L": Image.fromarray(RGB[:, :, 0]),
    "LA": with_alpha(RGB[:, :, 0], np.where(X < 4, 0, 255)),
    "La": with_alpha(RGB[:, :, 0], np.where(X < 4, 0, 255)).convert("LA").convert("La"),
    "P": indexed("P"),
    "P, clear entry": indexed("P", transparency=2),
    "P, clear entries": indexed("P", transparency=bytes([255, 0, 0, 255])),
    "P, partial alpha": indexed("P", transparency=bytes([255, 128, 0])),
    "PA": indexed("PA"),
    "RGB": Image.fromarray(RGB),
    "RGB, few": Image.fromarray(FEW),
    "RGBA": with_alpha(FEW, 40 * (X % 6) + 5),
    "RGBA, clear": with_alpha(FEW, np.where(X < 4, 0, 255)),
    "RGBA, opaque": with_alpha(FEW, 255),
    "RGBA, almost opaque": with_alpha(FEW, np.where((X == 3) & (Y == 3), 254, 255)),
    "RGBA, nothing": with_alpha(FEW, 0),
    "RGBa": with_alpha(FEW, np.where(X < 4, 0, 255)).convert("RGBa"),
    "RGBX": Image.fromarray(FEW).convert("RGBX"),
    "CMYK": Image.fromarray(FEW).convert("CMYK"),
    "YCbCr": Image.fromarray(FEW).convert("YCbCr"),
    "LAB": Image.frombytes("LAB", (W, H), RGB.tobytes()),
    "HSV": Image.fromarray(FEW).convert("HSV"),
    "I;16": Image.fromarray(RGB[:, :, 0].astype(np.uint16) * 257),
    "I": Image.fromarray(RGB[:, :, 0].astype(np.int32)),
    "F": Image.fromarray(RGB[:, :, 0].astype(np.float32)),
    "black and white": Image.fromarray(np.uint8([0, 255])[(X < 4).astype(int)]).convert("RGB"),
    "one colour": Image.new("RGB", (W, H), (200, 16, 46)),
    "one grey": Image.new("L", (W, H), 77),
    "1x1": Image.new("RGB", (1, 1), (1, 2, 3)),
    "1x1, clear": Image.new("RGBA", (1, 1), (1, 2, 3, 0)),
    "256 colours": Image.fromarray(np.arange(256).reshape(16, 16, 1).astype(np.uint8) ^ SHIFT),
    "many colours": Image.fromarray(many),
}  # fmt: skip

OPTIONS = {
    "default": {},
    "K=1": {"K": 1},
    "K=2": {"K": 2},
    "K=256": {"K": 256},
    "dither": {"dither": "floyd-steinberg"},
    "lossy": {"lossy": 1.0},
    "size": {"target_size": 1500},
    "auto": {"K": "auto"},
    "quality": {"quality": "40-80"},
    "keep": {"keep": ["#c8102e"]},
    "palette": {"palette": ["#000", "#fff", "#c8102e"]},
    "space": {"space": "oklab"},
    "metadata": {"metadata": "keep"},
    "no metadata": {"metadata": "none"},
    "icc": {"icc": "keep"},
    "threads": {"n_threads": 2},
    "effort": {"optimize": 4, "effort": "fast"},
    "own palette": {"keep_palette": True},
}

WORDS = {
    "default": [],
    "K=1": ["-k1"],
    "K=2": ["-k2"],
    "dither": ["--dither=bayer"],
    "lossy": ["--lossy"],
    "size": ["--target-size=1500"],
    "auto": ["-k", "auto"],
    "quality": ["-Q40-80"],
    "keep": ["--keep=#c8102e"],
    "palette": ["--palette=#000,#fff"],
    "shared": ["--shared-palette"],
    "json": ["--json"],
    "dry run": ["-n"],
    "strict": ["--strict"],
    "no metadata": ["--strip"],
}

# What each reason may be, and when: of the picture's alpha, its mode, and the option.
NO_TRANSPARENCY = re.compile(r"format: (bmp|jpeg) holds no transparency; png, webp and tiff do")
ONE_TRANSPARENT = re.compile(
    r"format: gif holds one transparent colour and no partial transparency;"
)
SAMPLES = re.compile(r"image: expected .* samples, got ")
OUT_OF_REACH = re.compile(r"(quality|target_size): expected at least ")
NO_PALETTE = re.compile(r"keep_palette: ")
INTERNAL = re.compile(
    r"broadcast|operands|out of range|unpack|NoneType|has no attribute|unexpected|reshape|"
    r"subscript|bytes-like|not supported between|shape mismatch|argument must|cannot write|"
    r"cannot convert|dimension|positional|KeyError|struct"
)  # fmt: skip


def alpha_of(image):
    """The alpha of a picture as it is to be seen, or None where all is opaque."""
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        converted = image.convert("RGBA") if image.mode not in ("La", "RGBa") else {
            "La": lambda: image.convert("LA").convert("RGBA"), "RGBa": lambda: image.convert("RGBA")
        }[image.mode]()  # fmt: skip
        alpha = np.asarray(converted)[:, :, 3]
        return None if (alpha == 255).all() else alpha
    return None


def seen(image):
    """RGBA with what is fully transparent in one colour."""
    image = image.convert("LA") if image.mode == "La" else image
    pixels = np.array(image.convert("RGBA"))
    pixels[pixels[:, :, 3] == 0] = 0
    return pixels.astype(int)


def expected_refusal(name, kind, option):
    """The pattern of the message if the cell is refused for certain, or None."""
    if name in ("I", "F"):
        return SAMPLES
    alpha = alpha_of(PICTURES[name])
    if option == "own palette" and not name.startswith("P,") and name != "P":
        return re.compile(
            f"{NO_PALETTE.pattern}|{NO_TRANSPARENCY.pattern}|{ONE_TRANSPARENT.pattern}"
        )
    if alpha is None or option == "K=1":  # one entry is opaque where any pixel is
        return None
    if kind in ("jpeg", "bmp") and (alpha < 250).any():
        return NO_TRANSPARENCY
    if kind == "gif" and option != "K=2" and ((alpha > 0) & (alpha < 250)).any():
        return ONE_TRANSPARENT
    return None


def allowed_refusals(name, kind, option):
    allowed = [OUT_OF_REACH] if option in ("size", "quality") else []
    alpha = alpha_of(PICTURES[name])
    if alpha is not None:
        allowed += [NO_TRANSPARENCY] if kind in ("jpeg", "bmp") else []
        allowed += [ONE_TRANSPARENT] if kind == "gif" else []
    return allowed


def as_file(image):
    """The bytes of a file that shows the picture, and its ending; None if no format holds it."""
    for kind in ("png", "tiff"):
        file = io.BytesIO()
        try:
            image.save(file, kind)
        except (OSError, KeyError, ValueError):
            continue
        return file.getvalue()
    return None


FILES = {name: as_file(image) for name, image in PICTURES.items()}


def failure_of(cell, error):
    """What is wrong with a refusal, or None."""
    text = str(error)
    if INTERNAL.search(text):
        return f"{cell}: an internal message: {text!r}"
    wanted = expected_refusal(*cell)
    patterns = [wanted] if wanted is not None else allowed_refusals(*cell)
    if not any(pattern.search(text) for pattern in patterns):
        return f"{cell}: {type(error).__name__}: {text}"
    return None


def wrong(cell, source, data, done, options):  # noqa: PLR0911 - one for each rule
    """What is wrong with a file that was written, or None."""
    kind = cell[1]
    wanted = expected_refusal(*cell)
    if wanted is not None:
        return f"{cell}: expected {wanted.pattern!r}"
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        if kind != "auto" and image.format.lower() != kind:
            return f"{cell}: is a {image.format}"
        shown = seen(image)
    with Image.open(io.BytesIO(source)) as image:
        if image.mode in ("LAB", "I;16", "I", "F", "YCbCr"):  # Pillow shows these in its own ways
            return None
        before = seen(image)
    if shown.shape != before.shape:
        return f"{cell}: {shown.shape} of {before.shape}"
    if kind == "jpeg":
        return None
    K = options.get("K", 256 if {"target_size", "quality"} & {*options} else 16)
    if K == 1 or (K == 2 and len(np.unique(before[:, :, 3])) > 2):
        return None  # no room for both ends of alpha
    almost = (before[:, :, 3] >= 250).all() and kind in ("bmp", "gif")
    for end in (0, 255):
        if not almost and (shown[:, :, 3][before[:, :, 3] == end] != end).any():
            return f"{cell}: pixels of alpha {end} have another"
    colors = len(np.unique(shown.reshape(-1, 4), axis=0))
    if isinstance(K, int) and "palette" not in options and colors > K:
        return f"{cell}: {colors} colours"
    if (before[:, :, 3] == 255).all():
        mse = ((shown - before) ** 2).sum(axis=2).mean()
        if abs(mse - done.mse) > 1e-9 * max(1, mse):
            return f"{cell}: an MSE of {mse}, and {done.mse} is reported"
    few = len(np.unique(before.reshape(-1, 4), axis=0))
    free = {"palette", "lossy", "target_size", "quality", "dither", "keep"} & {*options}
    if isinstance(K, int) and few <= K and not free and not almost and (shown != before).any():
        return f"{cell}: {few} colours are not as they were"
    return None


def failures(cells, options_of):
    found = []
    for cell in cells:
        name, kind, option = cell
        data = FILES[name]
        if data is None:
            continue
        options = options_of[option]
        target = io.BytesIO()
        try:
            done = compress(io.BytesIO(data), target, format=kind, allow_larger=True, **options)
        except (OSError, TypeError, ValueError) as error:
            found.append(failure_of(cell, error))
        except Exception as error:
            found.append(f"{cell}: {type(error).__name__}: {error}")
        else:
            found.append(wrong(cell, data, target.getvalue(), done, options))
    return [text for text in found if text is not None]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_picture_in_every_format(kind):
    assert not (
        found := failures(itertools.product(PICTURES, [kind], ["default", "K=256"]), OPTIONS)
    ), "\n".join(found)


@pytest.mark.parametrize("option", OPTIONS)
def test_every_picture_with_every_option(option):
    assert not (found := failures(itertools.product(PICTURES, ["png"], [option]), OPTIONS)), (
        "\n".join(found)
    )


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_with_every_option(kind):
    names = ["RGB", "L", "RGBA, clear", "black and white", "1x1", "P, clear entry", "1"]
    assert not (found := failures(itertools.product(names, [kind], OPTIONS), OPTIONS)), "\n".join(
        found
    )


@pytest.mark.parametrize("option", ["default", "K=1", "K=2", "dither", "palette", "keep", "space"])
def test_every_pillow_image(option):
    """In the API: what `quantize` gives is what `to_pil` shows and what every format holds."""
    found = []
    for name, image in PICTURES.items():
        try:
            done = quantize(image, **OPTIONS[option])
        except (TypeError, ValueError) as error:
            if name not in ("I", "F") or INTERNAL.search(str(error)):
                found.append(f"{name}: {type(error).__name__}: {error}")
            continue
        shown = done.to_pil()
        expected = done.palette[done.indices].astype(int)
        alpha = (
            expected[:, :, 3:] if expected.shape[2] == 4 else np.full((*shown.size[::-1], 1), 255)
        )
        expected = np.where(alpha == 0, 0, np.dstack([expected[:, :, :3], alpha]))
        if (seen(shown) != expected).any():
            found.append(f"{name}: to_pil shows something else")
        for kind in ("png", "gif", "webp", "bmp", "tiff"):
            file = io.BytesIO()
            try:
                done.save(file, format=kind)
            except ValueError as error:
                if not (NO_TRANSPARENCY.search(str(error)) or ONE_TRANSPARENT.search(str(error))):
                    found.append(f"{name}: save as {kind}: {error}")
                continue
            almost = kind == "bmp" and (alpha >= 250).all()
            if not almost and (seen(Image.open(file)) != expected).any():
                found.append(f"{name}: {kind} shows something else")
        for kind in ("png", "gif"):
            file = io.BytesIO()
            if kind == "gif" and ((alpha > 0) & (alpha < 255)).any():
                continue
            # A fresh one: Pillow 13 writes a wrong GIF of an image once it was converted to RGBA.
            done.to_pil().save(file, kind)
            if (seen(Image.open(file)) != expected).any():
                found.append(f"{name}: to_pil().save as {kind} shows something else")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("words", WORDS)
def test_the_command(tmp_path, monkeypatch, capfd, words):
    """One line for each file, in words of the program."""
    monkeypatch.chdir(tmp_path)
    found = []
    for name in PICTURES:
        data = FILES[name]
        if data is None:
            continue
        (tmp_path / "a.png").write_bytes(data)
        for kind in ("png", "jpeg", "gif") if words == "default" else ("png",):
            code = cli.main(["a.png", "-o", f"b.{kind}", "-f", "--allow-larger", *WORDS[words]])
            out, err = capfd.readouterr()
            lines = err.splitlines()
            if INTERNAL.search(err) or len(lines) > 1 or (code != 0) != bool(lines):
                found.append(f"{name} as {kind}: {code}: {err}")
            if words == "json" and code == 0:
                json.loads(out.splitlines()[0])
    assert not found, "\n".join(found)


def test_in_place(tmp_path):
    for name in ("RGB", "L", "RGBA, clear", "P, clear entry", "1", "1x1"):
        for kind in ("png", "gif", "bmp", "tiff", "webp"):
            if expected_refusal(name, kind, "default") is not None:
                continue
            path = tmp_path / f"a.{kind}"
            PICTURES[name].save(path)
            before = seen(Image.open(io.BytesIO(path.read_bytes())))
            assert cli.main([str(path), "--in-place", "-q", "-k256"]) == 0
            after = seen(Image.open(io.BytesIO(path.read_bytes())))
            assert (after == before).all(), (name, kind)
