"""k-means colour quantization for images, and a fast k-means for NumPy arrays."""

import sys
from types import ModuleType

from kmeans_c._version import __version__

# As in `typing`, whose import takes longer than all the rest here; type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

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

# The module that defines each public name. It is imported when the name is first used (PEP 562), so
# that `import kmeans_c` costs nothing, and a program loads only what it calls.
_MODULES = {
    "Compressed": "result",
    "Histogram": "histogram",
    "KMeans": "estimator",
    "Palette": "palette",
    "Quantized": "quantize",
    "SweepRow": "sweep",
    "TargetNotMet": "targets",
    "apply_k_means": "classic",
    "compress": "compress",
    "delta_e": "perceptual",
    "get_centroid_indices": "classic",
    "get_centroid_values": "classic",
    "initialize_centroids": "classic",
    "quantize": "quantize",
    "quantize_auto": "targets",
    "quantize_quality": "targets",
    "quantize_to_size": "targets",
    "sweep": "sweep",
}


def __getattr__(name: str) -> "Any":
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib  # noqa: PLC0415 - not needed for `import kmeans_c`

    if name in _MODULES:
        value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value
    # A program may use `kmeans_c.palette_files` after `import kmeans_c` alone.
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """The package, with functions where a submodule has the name of its function.

    The import system sets each submodule as an attribute of the package once it is loaded:
    `kmeans_c.quantize` would be the function or the module, depending on what was imported first.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if _MODULES.get(name) == name and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
