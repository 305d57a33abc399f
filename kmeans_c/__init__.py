"""k-means colour quantization for images, and a fast k-means for NumPy arrays."""

import importlib
from typing import Any

from kmeans_c._version import __version__
from kmeans_c.classic import (
    apply_k_means,
    get_centroid_indices,
    get_centroid_values,
    initialize_centroids,
)
from kmeans_c.compress import compress
from kmeans_c.estimator import KMeans
from kmeans_c.histogram import Histogram
from kmeans_c.palette import Palette
from kmeans_c.perceptual import delta_e
from kmeans_c.quantize import Quantized, quantize
from kmeans_c.result import Compressed
from kmeans_c.sweep import SweepRow, sweep
from kmeans_c.targets import TargetNotMet, quantize_auto, quantize_quality, quantize_to_size

__all__ = [
    "Compressed",
    "Histogram",
    "KMeans",
    "Palette",
    "Quantized",
    "SweepRow",
    "TargetNotMet",
    "__version__",
    "apply_k_means",
    "compress",
    "delta_e",
    "get_centroid_indices",
    "get_centroid_values",
    "initialize_centroids",
    "quantize",
    "quantize_auto",
    "quantize_quality",
    "quantize_to_size",
    "sweep",
]

# Rooms that few programs enter, and that a program may name after `import kmeans_c` alone.
_LAZY = ("palette_files", "palette_sets", "pillow", "tables", "views")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return importlib.import_module(f"kmeans_c.{name}")
    raise AttributeError(f"module 'kmeans_c' has no attribute {name!r}")
