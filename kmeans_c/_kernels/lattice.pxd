# cython: language_level=3
"""The search for one point among all entries, for kernels that meet points one by one; see
lattice.pyx."""

from libc.stdint cimport int32_t

ctypedef void (*alone_fn)(const int32_t*, Py_ssize_t, const int32_t*, int32_t*) noexcept nogil

cdef alone_fn alone_at(int level) noexcept nogil
