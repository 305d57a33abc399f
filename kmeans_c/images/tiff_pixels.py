"""From the strips and tiles of a TIFF's page to its colours and alpha, of 8 bits each.

A sample of n bits becomes v * 255 / (2^n - 1), rounded. Of 16 bits, unless it is grey without
alpha, it becomes its high byte, which is at most one level less: so do those of a PNG and of images
that Pillow has opened, and one picture has the same colours in all of them. Colours that are
multiplied by alpha are divided by it first, in the samples' own precision, and rounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kmeans_c.images import tiff_layout as tl
from kmeans_c.images.bits import unpacked_samples
from kmeans_c.images.tiff_codecs import jpeg_pixels, read_segment, unpacked, webp_pixels
from kmeans_c.images.tiff_layout import Layout

Samples: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]

# Pixels that are brought to 8 bits at a time.
_PIXELS_PER_CHUNK = 1 << 18


def decode(file: BinaryIO, layout: Layout) -> tuple[Image.Image, NDArray[np.uint8] | None]:
    """Decode a page.

    Returns
    -------
    colours : PIL.Image.Image
        L, RGB, CMYK or LAB, as it is stored: not turned, not converted.
    alpha : (H, W) array of uint8, or None
    """
    samples = _stored(file, layout)
    n_colors = tl.COLOR_CHANNELS[layout.photometric]
    alpha = None if layout.alpha is None else samples[:, :, layout.alpha[0]]
    if layout.photometric == tl.PALETTE:
        if layout.bits <= 8 and alpha is None:
            return _indexed(samples[:, :, 0], layout.palette), None
        colors = _from_palette(samples[:, :, 0], layout.palette)
    elif layout.photometric == tl.YCBCR and (layout.compression != tl.JPEG or layout.planes > 1):
        colors = _rgb_of_ycbcr(samples, layout)
    else:
        premultiplied = layout.alpha is not None and layout.alpha[1]
        divisor = alpha if premultiplied else None
        if layout.photometric == tl.WHITE_IS_ZERO:
            samples[:, :, 0] ^= (1 << layout.bits) - 1
        if layout.photometric in (tl.CIELAB, tl.ICCLAB):
            colors = _lab(samples, layout)
        else:
            high = layout.bits == 16 and (n_colors > 1 or alpha is not None) and divisor is None
            reduce = _high_bytes if high else _eight_bit
            colors = reduce(samples[:, :, :n_colors], layout.bits, divisor)
    if alpha is not None:
        reduce = _high_bytes if layout.bits == 16 else _eight_bit
        alpha = reduce(alpha[:, :, np.newaxis], layout.bits, None)[:, :, 0]
    return _image(colors, layout.photometric), alpha


def _image(colors: NDArray[np.uint8], photometric: int) -> Image.Image:
    if photometric in (tl.CIELAB, tl.ICCLAB, tl.CMYK):
        size = colors.shape[1::-1]
        mode = "CMYK" if photometric == tl.CMYK else "LAB"
        return Image.frombytes(mode, size, np.ascontiguousarray(colors).data)
    plane = colors[:, :, 0] if colors.shape[2] == 1 else colors
    return Image.fromarray(np.ascontiguousarray(plane))


def _stored(file: BinaryIO, layout: Layout) -> Samples:
    """Give all samples as (height, width, samples)."""
    if layout.subsampling != (1, 1):
        return _stored_subsampled(file, layout)
    dtype = np.uint8 if layout.bits <= 8 else np.uint16
    found = np.empty((layout.height, layout.width, layout.samples), dtype)
    per_plane = layout.across * layout.down
    channels = layout.samples_a_plane
    for plane in range(layout.planes):
        parts = _parts(file, layout, plane * per_plane)
        target = found[:, :, plane * channels : (plane + 1) * channels]
        for number, part in enumerate(parts):
            top = number // layout.across * layout.segment_height
            left = number % layout.across * layout.segment_width
            region = target[top : top + part.shape[0], left : left + part.shape[1]]
            region[...] = part[: region.shape[0], : region.shape[1]]
    return found


def _parts(file: BinaryIO, layout: Layout, first: int) -> Iterator[Samples]:
    """Yield the strips or tiles of one plane as (rows, columns, samples)."""
    heights = _heights(layout)
    channels = layout.samples_a_plane
    row_bytes = (layout.segment_width * channels * layout.bits + 7) // 8
    segments = (
        read_segment(file, layout, first + number, row_bytes * height)
        for number, height in enumerate(heights)
    )
    if layout.compression in (tl.JPEG, tl.WEBP):
        decoder = jpeg_pixels if layout.compression == tl.JPEG else webp_pixels
        for number, (data, height) in enumerate(zip(segments, heights, strict=True)):
            left = number % layout.across * layout.segment_width
            top = number // layout.across * layout.segment_height
            picture = decoder(layout, data)
            least = (
                min(height, layout.height - top),
                min(layout.segment_width, layout.width - left),
            )
            if picture.shape[0] < least[0] or picture.shape[1] < least[1]:
                raise OSError("image file is truncated")
            yield picture[:height, : layout.segment_width]
        return
    fax = layout.compression in tl.CCITT
    width = layout.segment_width * channels
    for rows in unpacked(layout, segments, layout.segment_width if fax else row_bytes, heights):
        values = rows if fax else unpacked_samples(rows, layout.bits, width, layout.order)
        part: Samples = values.reshape(len(rows), layout.segment_width, channels)
        yield np.add.accumulate(part, axis=1, dtype=part.dtype) if layout.predictor == 2 else part


def _heights(layout: Layout) -> list[int]:
    """Give the rows of each strip or tile of a plane: the last strip holds what is left."""
    heights = [layout.segment_height] * (layout.across * layout.down)
    if not layout.tiled and layout.height % layout.segment_height:
        heights[-1] = layout.height % layout.segment_height
    return heights


def _stored_subsampled(file: BinaryIO, layout: Layout) -> NDArray[np.uint8]:
    """Give YCbCr whose Cb and Cr are stored for several pixels together.

    ::

        unit   [ Y ... (h * v of them, row after row) | Cb | Cr ]
    """
    h, v = layout.subsampling
    unit = h * v + 2
    units = -(-layout.segment_width // h)
    heights = [-(-height // v) for height in _heights(layout)]
    found = np.empty((layout.height, layout.width, 3), np.uint8)
    segments = (
        read_segment(file, layout, number, units * unit * height)
        for number, height in enumerate(heights)
    )
    for number, rows in enumerate(unpacked(layout, segments, units * unit, heights)):
        blocks = rows.reshape(-1, units, unit)
        part = np.empty((len(blocks), v, units, h, 3), np.uint8)
        part[..., 0] = blocks[:, :, : h * v].reshape(-1, units, v, h).swapaxes(1, 2)
        part[..., 1:] = blocks[:, np.newaxis, :, np.newaxis, h * v :]
        flat = part.reshape(len(blocks) * v, units * h, 3)[:, : layout.segment_width]
        top = number // layout.across * layout.segment_height
        left = number % layout.across * layout.segment_width
        region = found[top : top + layout.segment_height, left : left + flat.shape[1]]
        region[...] = flat[: region.shape[0], : region.shape[1]]
    return found


def _indexed(indices: Samples, palette: NDArray[np.uint8] | None) -> Image.Image:
    """Make an image of mode P; an index that the map has not got is black."""
    image = Image.fromarray(np.ascontiguousarray(indices.astype(np.uint8, copy=False)))
    table = np.zeros((max(int(indices.max()) + 1, 0 if palette is None else len(palette)), 3))
    if palette is not None:
        table[: len(palette)] = palette
    image.putpalette(table.astype(np.uint8).tobytes())
    return image


def _from_palette(indices: Samples, palette: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """Look the colours up; an index that the map has not got is black."""
    table = np.zeros((int(indices.max()) + 1, 3), np.uint8)
    if palette is not None:
        known = min(len(table), len(palette))
        table[:known] = palette[:known]
    return table[indices]


def _eight_bit(samples: Samples, bits: int, alpha: Samples | None = None) -> NDArray[np.uint8]:
    """Bring (H, W, channels) samples to 8 bits, divided by alpha where that is given."""
    if bits == 8 and alpha is None and samples.dtype == np.uint8:
        return samples.astype(np.uint8, copy=False)
    white = np.uint64((1 << bits) - 1)
    result = np.empty(samples.shape, np.uint8)
    step = max(1, _PIXELS_PER_CHUNK // samples.shape[1])
    for top in range(0, len(samples), step):
        part = samples[top : top + step].astype(np.uint64)
        below = np.array(white)
        if alpha is not None:
            below = np.maximum(alpha[top : top + step, :, np.newaxis].astype(np.uint64), 1)
        scaled = (part * np.uint64(255) + below // np.uint64(2)) // below
        result[top : top + step] = np.minimum(scaled, np.uint64(255)).astype(np.uint8)
    return result


def _high_bytes(samples: Samples, _bits: int, _alpha: Samples | None) -> NDArray[np.uint8]:
    return (samples >> 8).astype(np.uint8)


def _lab(samples: Samples, layout: Layout) -> NDArray[np.uint8]:
    """Give L* of 0..255, a* and b* as signed bytes."""
    lab = samples[:, :, :3]
    if layout.bits == 8:
        if layout.photometric == tl.ICCLAB:
            lab[:, :, 1:] ^= 128
        return lab.astype(np.uint8, copy=False)
    light = _eight_bit(lab[:, :, :1], 16)
    signed = lab[:, :, 1:].astype(np.uint16).view(np.int16).astype(np.int32)
    colour = np.minimum((signed + 128) >> 8, 127).astype(np.int8).view(np.uint8)
    return np.concatenate([light, colour], axis=2)


def _rgb_of_ycbcr(samples: Samples, layout: Layout) -> NDArray[np.uint8]:
    """Convert by the file's own coefficients and reference black and white (TIFF 6.0, 21)."""
    red, green, blue = layout.luma
    if green == 0:
        raise SyntaxError("coefficients of YCbCr make no sense")
    black, white = np.array(layout.reference[::2]), np.array(layout.reference[1::2])
    if (black == white).any():
        raise SyntaxError("reference black and white of YCbCr make no sense")
    result = np.empty((*samples.shape[:2], 3), np.uint8)
    step = max(1, _PIXELS_PER_CHUNK // layout.width)
    scale = np.array([255, 127, 127]) / (white - black)
    for top in range(0, layout.height, step):
        light, first, second = np.moveaxis((samples[top : top + step, :, :3] - black) * scale, 2, 0)
        r = light + second * (2 - 2 * red)
        b = light + first * (2 - 2 * blue)
        g = (light - blue * b - red * r) / green
        rgb = np.stack([r, g, b], axis=2)
        result[top : top + step] = np.clip(np.floor(rgb + 0.5), 0, 255).astype(np.uint8)
    return result
