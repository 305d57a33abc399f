"""Compiled kernels: they know numbers and nothing else; every check stands in the rooms above."""

try:
    from kmeans_c._kernels import machine
except ImportError as _error:
    raise ImportError(
        "kmeans_c's compiled kernels are missing. In a source checkout Python finds the sources "
        "before the installed package: change to another folder, or build in place with "
        "'python setup.py build_ext --inplace'."
    ) from _error

__all__ = ["machine"]
