"""k-means colour quantization for images, and a fast k-means for NumPy arrays."""

from kmeans_c._version import __version__
from kmeans_c.classic import (
    apply_k_means,
    get_centroid_indices,
    get_centroid_values,
    initialize_centroids,
)
from kmeans_c.compress import Compressed, compress
from kmeans_c.estimator import KMeans
from kmeans_c.histogram import Histogram
from kmeans_c.palette import Palette
from kmeans_c.quantize import Quantized, quantize

__all__ = [
    "Compressed",
    "Histogram",
    "KMeans",
    "Palette",
    "Quantized",
    "__version__",
    "apply_k_means",
    "compress",
    "get_centroid_indices",
    "get_centroid_values",
    "initialize_centroids",
    "quantize",
]
