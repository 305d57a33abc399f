"""Reading images: whatever a file, a Pillow image or an array holds becomes plain 8-bit pixels."""

import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from kmeans_c.checks import as_array, check_choice, check_int
from kmeans_c.files import FilePath, safe_open
from kmeans_c.histogram import Histogram
from kmeans_c.images import gif_file, jpeg_file, modes, png_file
from kmeans_c.images.color_management import Conversion, meaning
from kmeans_c.images.decoders import check_size, format_of, naming, opened
from kmeans_c.images.indexed import Indexed, indexed_of
from kmeans_c.images.metadata import Metadata, read_metadata
from kmeans_c.images.modes import OPAQUE, Pixels
from kmeans_c.images.orientation import SIDEWAYS, orientation_of, upright
from kmeans_c.images.pillow_image import file_indexed, file_pixels
from kmeans_c.images.png_chunks import long_texts_note
from kmeans_c.images.trailing import end_of, notes_of, trailing_note

# What Pillow takes for harmless (a quarter of a gigabyte at three bytes a pixel).
MAX_PIXELS = 1024**3 // 4 // 3

# What an animation may cost in all: at 50 ns a pixel for reading, mapping and writing, two minutes.
MAX_TOTAL_PIXELS = 1 << 31

# A TIFF costs 0.1 ms a page to count; that a hostile one has more pages than this is all one needs.
MAX_FRAMES_COUNTED = 1000

# The formats that hold several frames; those of a TIFF are pages, without durations. The further
# pictures of a JPEG (MPO: other views, gain maps) are no frames.
ANIMATED = ("gif", "png", "webp", "tiff")

ICC = ("convert", "keep")


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What an image file shows.

    Attributes
    ----------
    pixels : ndarray of uint8
        (H, W) for grey, (H, W, 3) for RGB, (H, W, 4) for RGB with alpha; sRGB, the right way up,
        C-contiguous. Some pixel of an array with alpha is not opaque, and wherever alpha is 0 the
        colour is 0 too: what nobody can see is one colour.
    format : str
        "png", "jpeg", "webp", "gif", "bmp", "tiff" or "ppm": by its contents, not by its name.
    frames : int
        How many frames, pages or concatenated pictures (PPM) the file has (1000: that many or
        more). `pixels` is the first, or what an animated PNG shows where it cannot move.
        `frames.read_frames` reads them all, of a PPM the first. Reduced-size images and masks of a
        TIFF do not count, nor the further pictures of a JPEG.
    is_default_image : bool
        Whether `pixels` is the default image of an animated PNG, and none of its frames.
    n_bytes : int
        Size of the file.
    metadata : Metadata
        What the file says beside its pixels. With a profile in `metadata.icc` the pixels are not
        sRGB but of that profile, which happens only if it was to be kept.
    notes : tuple of str
        What the file says of its colours and could not be followed; after "metadata: " and "file: "
        what of it was not read.
    losses : tuple of str
        What else it holds that is neither a frame nor metadata, and is in no output.
    indexed : Indexed or None
        The file's palette and the indices of the pixels, if it has them: an indexed PNG, GIF, BMP
        or TIFF. `pixels` are the colours of these entries.
    with_alpha : ndarray of uint8, or None
        The pixels (H, W, 4) before they were drawn over white, if they were.
    """

    pixels: Pixels
    format: str
    frames: int
    n_bytes: int
    metadata: Metadata = field(default_factory=Metadata)
    notes: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    is_default_image: bool = False
    indexed: Indexed | None = None
    with_alpha: Pixels | None = None

    @property
    def original(self) -> Pixels:
        """The pixels as the file has them."""
        return self.pixels if self.with_alpha is None else self.with_alpha


def read_image(
    source: FilePath | BinaryIO, *, max_pixels: int = MAX_PIXELS, icc: str = "convert"
) -> Picture:
    """Read an image file: PNG, JPEG, WebP, GIF, BMP, TIFF or PPM.

    The orientation of EXIF, or else of XMP, is applied. Colours become sRGB: by an embedded ICC
    profile, or by what a PNG says instead (`color_management` says how). Damaged profiles and
    damaged EXIF data are ignored. `modes` says what becomes of each kind of pixels. Of several
    frames the first is read.

    Parameters
    ----------
    source : str, path-like or binary file object
        A regular file, see `files.safe_open`; or an object with `read`, which is read from its
        start if it can seek.
    max_pixels : int
        More pixels than this are refused before they are decoded. WebP and TIFF also keep to twice
        ``PIL.Image.MAX_IMAGE_PIXELS``, which is Pillow's own limit.
    icc : {"convert", "keep"}
        "keep": RGB pixels with a usable profile stay as they are, and the profile is in
        ``metadata.icc``. All others are converted: no other profile fits a palette.

    Returns
    -------
    Picture

    Raises
    ------
    OSError
        If anything is wrong with the file: missing, unreadable, not one of these formats, damaged,
        cut short, more than `max_pixels`, or of a kind that has no 8-bit meaning (floating point,
        32-bit integers) or whose layout is not read (`tiff_layout`). The message names the file.
    TypeError, ValueError
        If `source` is neither a path nor a binary file object, `max_pixels` is no integer of at
        least 1, or `icc` neither word.
    """
    check_int("max_pixels", max_pixels, 1)
    check_choice("icc", icc, ICC)
    with open_source(source) as (file, name), naming(name):
        return _decode(file, max_pixels, keep=icc == "keep")


@contextlib.contextmanager
def open_source(source: FilePath | BinaryIO) -> Iterator[tuple[BinaryIO, str]]:
    """Open what the public functions accept as an image file, and name it.

    Yields
    ------
    file : binary file object
        Which can seek, at its start.
    name : str
        For messages.
    """
    if isinstance(source, str | os.PathLike):
        with safe_open(source) as file:
            yield file, os.fspath(source)
        return
    if not hasattr(source, "read"):
        kind = type(source).__name__
        raise TypeError(f"image: expected a path or a binary file object, got {kind}")
    if hasattr(source, "seekable") and source.seekable():
        source.seek(0)
    data = source.read()
    if not isinstance(data, bytes):
        raise TypeError(f"image: expected a binary file object, got one of {type(data).__name__}")
    name = getattr(source, "name", None)
    yield io.BytesIO(data), name if isinstance(name, str) else "image"


def as_pixels(image: object) -> Pixels:
    """Take an image in any of the forms that the public functions accept.

    Parameters
    ----------
    image : str, path-like, binary file object, PIL.Image.Image or ndarray of uint8
        A file is read by `read_image`. A Pillow image, of all modes but F and I (which have no
        defined range), gives the same pixels as its file: in sRGB by the profile in its `info`, and
        turned upright by the orientation of its `getexif`. For its numbers as they are, give
        ``numpy.asarray(image)``: an array has neither. Of a file of several frames or pages the
        first is taken, see `read_image`; of a Pillow image the one that it stands at. A TIFF that
        Pillow has opened and not loaded yet is decoded here. What Pillow itself decodes wrong (TIFF
        turned by 90 degrees or by planes of 16 bits, 8-bit BMP in black and white ...) is wrong in
        its loaded image, and in ``numpy.asarray(image)``: give the path.
        An array, or an object that NumPy can view as one, is of shape (H, W), (H, W, 1), (H, W, 3)
        or (H, W, 4); channels come last, so a (3, H, W) array is refused unless W is 3 or 4.

    Returns
    -------
    ndarray of uint8
        As `Picture.pixels`. It may be the caller's own memory: it is to be read only, and what an
        array with alpha holds where alpha is 0 is still there.

    Raises
    ------
    TypeError
        If `image` is something else (lists, too), a masked array, or not of dtype uint8.
    ValueError
        If its shape or mode is not one of these, or it has no pixels.
    OSError
        As `read_image` does, and from a Pillow image whose file turns out to be damaged.
    """
    if isinstance(image, Image.Image):
        pixels = file_pixels(image)
    elif isinstance(image, str | os.PathLike) or hasattr(image, "read"):
        return read_image(cast("FilePath | BinaryIO", image)).pixels
    elif hasattr(image, "__array_interface__") or hasattr(image, "__array__"):
        pixels = _checked(as_array("image", image))
    else:
        kind = type(image).__name__
        raise TypeError(
            f"image: expected a path, a binary file, a Pillow image or a uint8 array, got {kind}"
        )
    if pixels.size == 0:
        raise ValueError(f"image: expected at least one pixel, got shape {pixels.shape}")
    return _tidy(pixels)


def as_indexed(image: object) -> Indexed | None:
    """Take an image's palette and indices, in any form that `as_pixels` accepts.

    Parameters
    ----------
    image : str, path-like, binary file object, PIL.Image.Image or ndarray of uint8

    Returns
    -------
    Indexed or None
        None for an image that has no palette, as no array has.

    Raises
    ------
    TypeError, ValueError, OSError
        As `as_pixels` does.
    """
    if isinstance(image, Image.Image):
        return file_indexed(image)
    if isinstance(image, str | os.PathLike) or hasattr(image, "read"):
        return read_image(cast("FilePath | BinaryIO", image)).indexed
    as_pixels(image)
    return None


def count_colors(pixels: Pixels) -> int:
    """Count the distinct colours of an image.

    Parameters
    ----------
    pixels : ndarray of uint8
        (H, W), (H, W, 3) or (H, W, 4).

    Returns
    -------
    int
        How many different colours the pixels have; full transparency is one.
    """
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    return len(Histogram(channels).add(pixels, n_threads=1))


def _decode(file: BinaryIO, max_pixels: int, *, keep: bool) -> Picture:
    n_bytes = file.seek(0, io.SEEK_END)
    file.seek(0)
    kind = format_of(file)
    chunks: dict[bytes, bytes] = {}
    animated = None
    if kind == "png":
        chunks = png_file.color_chunks(file)
        animated = png_file.count_frames(file)
    chain = None
    if kind == "tiff":
        from kmeans_c.images.tiff_metadata import read_chain  # noqa: PLC0415 - few images are TIFF

        chain = read_chain(file)
    image = opened(file if animated is None else png_file.without_animation(file))
    if chain is not None and chain.pages[0]:  # behind a thumbnail
        image.seek(chain.pages[0])
    check_size(image.width, image.height, max_pixels)
    conversion = Conversion(meaning(image.info.get("icc_profile"), chunks), keep=keep)
    orientation, sideways = load(image)
    pixels = modes.eight_bit(image, conversion)
    indexed = indexed_of(image, conversion, file)
    end: int | None = None
    if kind == "gif":
        frames, region, end = gif_file.survey(file, MAX_FRAMES_COUNTED)
        pixels = _cleared(pixels, region)
        indexed = _cleared_indices(indexed, region)
    elif kind == "ppm":
        from kmeans_c.images.ppm_file import count_pictures  # noqa: PLC0415 - few images are PPM

        frames = count_pictures(file, MAX_FRAMES_COUNTED)
    else:
        frames = _count_frames(image) if animated is None else animated
        end = end_of(file, kind)
    pixels = _tidy(upright(pixels, orientation))
    if chain is not None:
        frames = len(chain.numbers(frames))
        metadata, losses = chain.metadata(chain.pages[0], conversion.kept, sideways=sideways)
    else:
        metadata, losses = read_metadata(image, conversion.kept, sideways=sideways), ()
    if kind == "jpeg":
        losses = jpeg_file.losses(image, metadata.xmp)
        end = None if losses else end  # further pictures that it announces are named already
    return Picture(
        pixels,
        kind,
        max(frames, 1),
        n_bytes,
        metadata,
        notes_of(conversion.meaning.note, long_texts_note(image), trailing_note(file, end)),
        losses if chain is None else chain.losses + losses,
        animated is not None and png_file.has_default_image(file),
        None if indexed is None else _upright_indices(indexed, orientation),
    )


def load(image: ImageFile.ImageFile) -> tuple[object, bool]:
    """Decode an opened image.

    Returns
    -------
    orientation : object
        By which it is still to be turned; may be of no sense.
    sideways : bool
        Whether the whole turn exchanges width and height: Pillow has turned a TIFF already.
    """
    before = orientation_of(image) if image.format == "TIFF" else None
    modes.scale_colour_key(image)
    image.load()
    orientation = orientation_of(image)
    return orientation, (before or orientation) in SIDEWAYS


def _cleared(pixels: Pixels, region: tuple[int, int, int, int] | None) -> Pixels:
    """Show nothing where a GIF's first image does not reach, as browsers do; Pillow paints it."""
    height, width = pixels.shape[:2]
    if region is None or (region[:2] == (0, 0) and region[2] >= width and region[3] >= height):
        return pixels
    left, top, right, bottom = region
    shown = modes.rgba(pixels)
    covered = np.zeros((height, width), np.bool_)
    covered[top:bottom, left:right] = True
    shown[~covered] = 0
    return shown


def _cleared_indices(
    indexed: Indexed | None, region: tuple[int, int, int, int] | None
) -> Indexed | None:
    """The same for indices: the transparent entry, and none at all where there is no such entry."""
    if indexed is None or region is None:
        return indexed
    height, width = indexed.indices.shape
    left, top, right, bottom = region
    covered = np.zeros((height, width), np.bool_)
    covered[top:bottom, left:right] = True
    if covered.all():
        return indexed
    if indexed.palette.shape[1] == 3 or indexed.palette[:, 3].all():
        return None
    clear = np.uint8(indexed.palette[:, 3].argmin())
    return Indexed(indexed.palette, np.where(covered, indexed.indices, clear))


def _upright_indices(indexed: Indexed, orientation: object) -> Indexed:
    return Indexed(indexed.palette, np.ascontiguousarray(upright(indexed.indices, orientation)))


def _count_frames(image: ImageFile.ImageFile) -> int:
    if image.format in ("JPEG", "MPO"):
        return 1
    if image.format != "TIFF":
        try:
            return int(getattr(image, "n_frames", 1))
        except Exception:  # a damaged later frame; the first one is read already
            return 1
    frames = 1
    try:
        while frames < MAX_FRAMES_COUNTED:
            image.seek(frames)
            frames += 1
    except Exception:  # EOFError after the last page, anything at a damaged one
        return frames
    return frames


def _checked(pixels: NDArray[np.generic]) -> Pixels:
    if pixels.dtype != np.uint8:
        raise TypeError(
            f"image: expected dtype uint8, got {pixels.dtype}: "
            "scale it to 0..255, round it and convert it with .astype(numpy.uint8)"
        )
    shape = pixels.shape
    if pixels.ndim < 2 or shape[2:] not in ((), (1,), (3,), (4,)):
        raise ValueError(
            f"image: expected shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), got {shape}"
        )
    return cast("Pixels", pixels[:, :, 0] if shape[2:] == (1,) else pixels)


def _tidy(pixels: Pixels) -> Pixels:
    """Make the array contiguous, and drop an alpha that hides nothing.

    It is copied before it is looked at: a view that is larger than memory is an error at once.
    """
    pixels = np.ascontiguousarray(pixels)
    if pixels.shape[2:] == (4,) and np.min(pixels[:, :, 3]) == OPAQUE:
        pixels = pixels[:, :, :3]
    return np.ascontiguousarray(pixels)
