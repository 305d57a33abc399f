"""How the pixels of a TIFF's page are stored, and which ways of it can be read.

Each way that is read is proved by tests/test_tiff_matrix.py against the pixels that the files were
made from. All others are refused with the reason: Pillow reads some of them as noise.

- Samples: unsigned integers of 1 to 16 bits, all of one size.
- Colours: grey, RGB, palette, CMYK, YCbCr, CIE L*a*b*; with alpha, associated or not, and further
  samples, which are not shown. An RGB image with a fourth sample that nothing is said of has alpha.
- Compression: see `tiff_codecs`. Strips or tiles, contiguous or by planes, both orders of bytes and
  of bits, horizontal prediction at 8 and 16 bits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kmeans_c.images.tiff_tags import Directory

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
FILL_ORDER, STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS = 266, 273, 277, 278, 279
PLANAR, T4_OPTIONS, T6_OPTIONS, PREDICTOR, COLOR_MAP = 284, 292, 293, 317, 320
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 322, 323, 324, 325
INK_SET, EXTRA_SAMPLES, SAMPLE_FORMAT, JPEG_TABLES = 332, 338, 339, 347
JPEG_STREAM, JPEG_STREAM_LENGTH = 513, 514
LUMA, SUBSAMPLING, REFERENCE = 529, 530, 532

# PhotometricInterpretation.
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, CIELAB, ICCLAB = 0, 1, 2, 3, 5, 6, 8, 9
_OTHER_COLORS = {
    4: "a transparency mask",
    10: "ITU L*a*b*",
    32803: "a camera's raw data",
    32844: "LogL",
    32845: "LogLuv",
    34892: "a camera's raw data",
}
COLOR_CHANNELS = {
    WHITE_IS_ZERO: 1,
    BLACK_IS_ZERO: 1,
    RGB: 3,
    PALETTE: 1,
    CMYK: 4,
    YCBCR: 3,
    CIELAB: 3,
    ICCLAB: 3,
}

# Compression.
NONE, CCITT_RLE, CCITT_3, CCITT_4, LZW, OLD_JPEG, JPEG, DEFLATE = 1, 2, 3, 4, 5, 6, 7, 8
CCITT_RLE_WORDS, PACKBITS, OLD_DEFLATE, LZMA, ZSTD, WEBP = 32771, 32773, 32946, 34925, 50000, 50001
CCITT = (CCITT_RLE, CCITT_3, CCITT_4, CCITT_RLE_WORDS)
BYTES = (NONE, LZW, DEFLATE, OLD_DEFLATE, PACKBITS, LZMA, ZSTD)  # these give back any bytes
_PREDICTED = (LZW, DEFLATE, OLD_DEFLATE, LZMA, ZSTD)
_OTHER_CODECS = {
    32766: "NeXT",
    32809: "ThunderScan",
    34676: "SGILog",
    34677: "SGILog24",
    34712: "JPEG 2000",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34661: "JBIG",
    34887: "LERC",
    34892: "lossy JPEG of DNG",
    34933: "PNG",
    34934: "JPEG XR",
    50002: "JPEG XL",
    52546: "JPEG XL",
}

ASSOCIATED, UNASSOCIATED = 1, 2  # of ExtraSamples
_MAX_SAMPLES = 64


class Layout(NamedTuple):
    """How the pixels of a page are stored.

    Attributes
    ----------
    width, height, bits, photometric, compression, predictor : int
    order : {"<", ">"}
        Of bytes.
    samples : int
        Of a pixel, in all.
    planes : int
        Into how many parts a picture is split: 1, or one for each sample.
    alpha : (int, bool) or None
        Which sample is alpha, and whether the colours are multiplied by it.
    reversed_bits : bool
        Whether the lowest bit of a byte comes first.
    tiled : bool
    segment_width, segment_height : int
        Of a strip or tile.
    offsets, counts : array of int
        Of strips or tiles, plane after plane. A count of -1 is not known.
    palette : (n, 3) array of uint8, or None
    subsampling : (int, int)
        Of YCbCr that is not JPEG.
    luma, reference : list of float
        Of YCbCr that is not JPEG: the shares of red, green and blue; black and white of Y, Cb, Cr.
    tables : bytes
        What the JPEG streams have in common.
    fax_options : (int, int)
        T4Options and T6Options.
    """

    width: int
    height: int
    bits: int
    photometric: int
    compression: int
    predictor: int
    order: str
    samples: int
    planes: int
    alpha: tuple[int, bool] | None
    reversed_bits: bool
    tiled: bool
    segment_width: int
    segment_height: int
    offsets: NDArray[np.int64]
    counts: NDArray[np.int64]
    palette: NDArray[np.uint8] | None
    subsampling: tuple[int, int]
    luma: list[float]
    reference: list[float]
    tables: bytes
    fax_options: tuple[int, int]

    @property
    def across(self) -> int:
        """How many strips or tiles are side by side."""
        return -(-self.width // self.segment_width)

    @property
    def down(self) -> int:
        """How many strips or tiles are one below the other."""
        return -(-self.height // self.segment_height)

    @property
    def samples_a_plane(self) -> int:
        """How many samples of a pixel are in a strip or tile."""
        return self.samples // self.planes


def size_of(tags: Directory) -> tuple[int, int]:
    """Give width and height as they are stored."""
    width, height = tags.integer(WIDTH), tags.integer(HEIGHT)
    if width <= 0 or height <= 0:
        raise SyntaxError(f"the image has {width} x {height} pixels")
    return width, height


def further_samples(tags: Directory) -> int:
    """Return how many samples of a pixel are neither colour nor its alpha: they are not shown."""
    try:
        photometric, samples = tags.integer(PHOTOMETRIC), tags.integer(SAMPLES, 1)
        alpha = _alpha(tags, photometric, samples) if photometric in COLOR_CHANNELS else None
    except (OSError, SyntaxError):  # the decoder says more
        return 0
    return max(0, samples - COLOR_CHANNELS.get(photometric, samples) - (alpha is not None))


def layout_of(tags: Directory) -> Layout:
    """Find out how the pixels of a page are stored.

    Raises
    ------
    SyntaxError
        If the tags make no sense.
    OSError
        If the pixels are stored in a way that is not read.
    """
    width, height = size_of(tags)
    compression = tags.integer(COMPRESSION, NONE)
    if PHOTOMETRIC not in tags.entries:
        raise OSError("nothing says what the colours are (PhotometricInterpretation)")
    photometric = tags.integer(PHOTOMETRIC)
    if compression == OLD_JPEG:
        tags = _as_one_stream(tags)
        compression = JPEG
    _check_kind(tags, compression, photometric)
    samples = tags.integer(SAMPLES, 1)
    bits = _bits(tags, samples)
    planes = samples if tags.integer(PLANAR, 1) == 2 else 1
    predictor = tags.integer(PREDICTOR, 1)
    alpha = _alpha(tags, photometric, samples)
    if alpha is not None and alpha[1] and photometric not in (BLACK_IS_ZERO, RGB):
        raise OSError(
            "colours other than grey and RGB multiplied by alpha are not supported in TIFF"
        )
    _check_combination(photometric, compression, predictor, bits, samples, planes)
    subsampling = (1, 1)
    if photometric == YCBCR and compression != JPEG:
        found = tags.integers(SUBSAMPLING, (2, 2))
        subsampling = (found[0], found[-1])
        plain = bits == 8 and samples == 3 and planes == 1 and predictor == 1
        if not {*subsampling} <= {1, 2, 4} or not (plain or subsampling == (1, 1)):
            raise OSError(f"YCbCr with subsampling {subsampling} is not supported so in TIFF")
    tiled, segment_width, segment_height, offsets, counts = _segments(tags, width, height, planes)
    if subsampling[1] > 1 and segment_height % subsampling[1] and segment_height < height:
        raise SyntaxError("strips are no multiple of the subsampling")
    return Layout(
        width,
        height,
        bits,
        photometric,
        compression,
        predictor,
        tags.order,
        samples,
        planes,
        alpha,
        tags.integer(FILL_ORDER, 1) == 2,
        tiled,
        segment_width,
        segment_height,
        offsets,
        counts,
        _palette(tags, bits) if photometric == PALETTE else None,
        subsampling,
        _fractions(tags, LUMA, [0.299, 0.587, 0.114]),
        _fractions(tags, REFERENCE, [0, 255, 128, 255, 128, 255]),
        tags.contents(JPEG_TABLES),
        (tags.integer(T4_OPTIONS, 0), tags.integer(T6_OPTIONS, 0)),
    )


def _as_one_stream(tags: Directory) -> Directory:
    """Take the JPEG stream of the whole image that most files with old-style JPEG have.

    The others give a stream's parts in tags of their own, of which each program had its own idea.
    """
    if JPEG_STREAM not in tags.entries or tags.integer(PLANAR, 1) == 2:
        raise OSError("old-style JPEG without a stream of the whole image is not supported in TIFF")
    kept = {
        tag: entry
        for tag, entry in tags.entries.items()
        if tag not in (TILE_OFFSETS, TILE_COUNTS, STRIP_COUNTS, ROWS_PER_STRIP, JPEG_TABLES)
    }
    kept[STRIP_OFFSETS] = tags.entries[JPEG_STREAM]
    if JPEG_STREAM_LENGTH in tags.entries:
        kept[STRIP_COUNTS] = tags.entries[JPEG_STREAM_LENGTH]
    return tags._replace(entries=kept)


def _check_kind(tags: Directory, compression: int, photometric: int) -> None:
    known = (*BYTES, *CCITT, JPEG, WEBP)
    if compression not in known:
        name = _OTHER_CODECS.get(compression, compression)
        raise OSError(f"compression {name} is not supported in TIFF")
    if photometric not in COLOR_CHANNELS:
        name = _OTHER_COLORS.get(photometric, f"PhotometricInterpretation {photometric}")
        raise OSError(f"{name} is not supported in TIFF")
    if photometric == CMYK and tags.integer(INK_SET, 1) != 1:
        raise OSError("inks other than CMYK are not supported in TIFF")
    formats = set(tags.integers(SAMPLE_FORMAT, (1,)))
    if photometric == CIELAB:
        formats -= {2}  # a* and b* are signed in any case
    if not formats <= {1, 4}:
        kinds = {2: "signed integers", 3: "floating-point numbers"}
        name = kinds.get(max(formats - {1, 4}), "complex numbers")
        raise OSError(f"expected unsigned integers of 1 to 16 bits as samples, got {name}")


def _bits(tags: Directory, samples: int) -> int:
    if not 1 <= samples <= _MAX_SAMPLES:
        raise OSError(f"{samples} samples a pixel are not supported in TIFF")
    bits = tags.integers(BITS, (1,))
    bits = bits * samples if len(bits) == 1 else bits[:samples]
    if len(bits) < samples:
        raise SyntaxError(f"{samples} samples a pixel, and {len(bits)} sizes of them")
    if len(set(bits)) > 1:
        raise OSError(f"samples of different sizes {bits} are not supported in TIFF")
    if not 1 <= bits[0] <= 16:
        raise OSError(f"expected unsigned integers of 1 to 16 bits as samples, got {bits[0]} bits")
    return bits[0]


def _alpha(tags: Directory, photometric: int, samples: int) -> tuple[int, bool] | None:
    n_colors = COLOR_CHANNELS[photometric]
    if samples < n_colors:
        raise SyntaxError(f"{samples} samples a pixel, and {n_colors} channels of colour")
    extra = tags.integers(EXTRA_SAMPLES)
    n_extra = samples - n_colors
    if n_extra and not extra:
        if photometric == RGB and n_extra == 1:
            return n_colors, False
        raise OSError("nothing says what the samples beside the colours are (ExtraSamples)")
    if max(extra[:n_extra], default=0) > UNASSOCIATED:
        raise SyntaxError(f"extra samples {extra[:n_extra]} make no sense")
    for number, meaning in enumerate(extra[:n_extra]):
        if meaning in (ASSOCIATED, UNASSOCIATED):
            return n_colors + number, meaning == ASSOCIATED
    return None


def _check_combination(  # noqa: PLR0917 - all that matters
    photometric: int, compression: int, predictor: int, bits: int, samples: int, planes: int
) -> None:
    if predictor not in (1, 2):
        name = "floating-point numbers" if predictor == 3 else f"predictor {predictor}"
        raise OSError(f"prediction of {name} is not supported in TIFF")
    if predictor == 2 and (bits not in (8, 16) or compression not in _PREDICTED):
        raise OSError(
            f"prediction with {bits} bits and compression {compression} is not supported in TIFF"
        )
    if compression in CCITT and (bits, samples) != (1, 1):
        raise OSError("fax compression of more than one bit a pixel is not supported in TIFF")
    if compression == JPEG and bits != 8:
        raise OSError(f"JPEG of {bits} bits is not supported in TIFF")
    if compression == WEBP and (bits, photometric, planes) != (8, RGB, 1):
        raise OSError("WebP of anything but 8-bit RGB is not supported in TIFF")
    if photometric in (CIELAB, ICCLAB) and bits != 8 and (photometric, bits) != (CIELAB, 16):
        raise OSError(f"L*a*b* of {bits} bits is not supported in TIFF")
    if photometric == YCBCR and bits != 8:
        raise OSError(f"YCbCr of {bits} bits is not supported in TIFF")


def _segments(
    tags: Directory, width: int, height: int, planes: int
) -> tuple[bool, int, int, NDArray[np.int64], NDArray[np.int64]]:
    """Give the size and the places of all strips or tiles."""
    tiled = TILE_OFFSETS in tags.entries
    if tiled:
        segment_width, segment_height = tags.integer(TILE_WIDTH), tags.integer(TILE_HEIGHT)
        offsets, counts = tags.array(TILE_OFFSETS), tags.array(TILE_COUNTS)
    else:
        segment_width = width
        segment_height = min(tags.integer(ROWS_PER_STRIP, height), height)
        offsets, counts = tags.array(STRIP_OFFSETS), tags.array(STRIP_COUNTS)
    if segment_width <= 0 or segment_height <= 0 or offsets is None:
        raise SyntaxError("there are no strips or tiles")
    n = -(-width // segment_width) * -(-height // segment_height) * planes
    if len(offsets) < n or (counts is not None and len(counts) < n):
        raise SyntaxError(f"there are {len(offsets)} strips or tiles of {n}")
    # Beyond 2^63 an offset becomes negative, which is refused where it is followed.
    places = offsets[:n].astype(np.int64)
    sizes = np.full(n, -1, np.int64) if counts is None else counts[:n].astype(np.int64)
    return tiled, segment_width, segment_height, places, sizes


def _palette(tags: Directory, bits: int) -> NDArray[np.uint8]:
    """Read a colour map: all red, all green, all blue values.

    Values of 16 bits give their high byte, as in libtiff: written are v * 256 as well as v * 257.
    Where no value is above 255 all are of 8 bits: some programs wrote such ones.
    """
    found = tags.array(COLOR_MAP)
    if found is None or found.size % 3 or found.size == 0:
        raise SyntaxError("the colour map is missing or cut short")
    values = found.astype(np.uint16).reshape(3, -1)[:, : 1 << bits]
    if values.max() > 255:
        values >>= 8
    return np.ascontiguousarray(values.T.astype(np.uint8))


def _fractions(tags: Directory, tag: int, default: list[float]) -> list[float]:
    found = tags.fractions(tag)
    if found is None:
        return default
    if len(found) < len(default):
        raise SyntaxError(f"tag {tag} is cut short")
    return found[: len(default)]
