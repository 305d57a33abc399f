"""An importance map as the whole numbers that a Histogram takes."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kmeans_c.checks import as_array
from kmeans_c.histogram import MAX_TOTAL

# The largest float becomes this.
SCALE = 1 << 16

# Weights between two looks at signals: some 10 ms.
WEIGHTS_PER_CHUNK = 1 << 20


def as_importance(weights: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Integers in proportion to the weights, all above 0.

    Integers stay as they are if none is 0; else a weight of 0 becomes 1 and the others are
    multiplied, by up to 65,536, so that it counts next to nothing: its colours are there still, as
    the palette has as many entries as there are colours for. Floats are scaled to 65,536.
    """
    array = as_array("weights", weights)
    if array.dtype.kind not in "uifb":
        raise TypeError(f"weights: expected numbers, got dtype {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"weights: expected shape {shape}, got {array.shape}")
    flat = array.reshape(-1)
    chunks = [slice(i, i + WEIGHTS_PER_CHUNK) for i in range(0, len(flat), WEIGHTS_PER_CHUNK)]
    floats = array.dtype.kind == "f"
    extremes = []
    for chunk in chunks:
        if floats and not np.isfinite(flat[chunk]).all():
            raise ValueError("weights: contains NaN or infinity")
        extremes += [flat[chunk].min(), flat[chunk].max()]
    least, most = min(extremes), max(extremes)
    if least < 0:
        raise ValueError(f"weights: expected at least 0, got {least}")
    if most == 0:
        raise ValueError("weights: expected some above 0")
    whole = np.empty(len(flat), np.int64)
    if floats:
        for chunk in chunks:
            shares = flat[chunk].astype(np.float64) / float(most)
            whole[chunk] = np.maximum(np.rint(SCALE * shares).astype(np.int64), 1)
        return whole.reshape(shape)
    if int(most) * array.size > MAX_TOTAL:
        raise ValueError(f"weights: expected at most {MAX_TOTAL // array.size}, got {most}")
    factor = max(1, min(SCALE, MAX_TOTAL // (2 * int(most) * array.size))) if least == 0 else 1
    for chunk in chunks:
        whole[chunk] = flat[chunk]
        whole[chunk] *= factor
        np.maximum(whole[chunk], 1, out=whole[chunk])
    return whole.reshape(shape)
