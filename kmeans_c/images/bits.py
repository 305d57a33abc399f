"""Samples of a few bits, taken out of the bytes that hold them."""

import numpy as np
from numpy.typing import NDArray

# Bits that are spread over bytes at a time.
_BITS_PER_CHUNK = 1 << 23


def unpacked_rows(rows: NDArray[np.uint8], bits: int, width: int) -> NDArray[np.uint8]:
    """Take samples of 1, 2, 4 or 8 bits out of the bytes, the first one highest.

    Parameters
    ----------
    rows : (h, n) array of uint8
    bits : {1, 2, 4, 8}
    width : int
        Samples of a row.
    """
    if bits == 8:
        return rows[:, :width]
    if bits == 1:
        return np.unpackbits(rows, axis=1)[:, :width]
    mask = np.uint8((1 << bits) - 1)
    shifts = range(8 - bits, -1, -bits)
    parts = [rows >> np.uint8(shift) & mask for shift in shifts]
    return np.stack(parts, axis=2).reshape(len(rows), -1)[:, :width]


def unpacked_samples(
    rows: NDArray[np.uint8], bits: int, width: int, order: str = ">"
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Take samples of 1 to 16 bits out of the bytes, the highest bit first.

    Parameters
    ----------
    rows : (h, n) array of uint8
    bits : int
    width : int
        Samples of a row.
    order : {"<", ">"}
        Of the bytes of a sample of 16 bits.

    Returns
    -------
    (h, width) array of uint8 or, above 8 bits, of uint16
    """
    if bits in (1, 2, 4, 8):
        return unpacked_rows(rows, bits, width)
    if bits == 16:
        wide = np.ascontiguousarray(rows[:, : 2 * width]).view(order + "u2")
        return wide.astype(np.uint16, copy=False)
    n_bytes = (width * bits + 7) // 8
    samples = np.empty((len(rows), width), np.uint8 if bits < 8 else np.uint16)
    step = max(1, _BITS_PER_CHUNK // (width * bits))
    for top in range(0, len(rows), step):
        spread = np.unpackbits(rows[top : top + step, :n_bytes], axis=1)[:, : width * bits]
        part = spread.reshape(-1, width, bits)
        values = np.zeros(part.shape[:2], samples.dtype)
        for bit in range(bits):
            values = values << 1 | part[:, :, bit]
        samples[top : top + step] = values
    return samples
