# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""How far colours are from the entries that stand for them, as a distribution; coordinates are
those of kmeans_c/spaces.py."""

from libc.math cimport sqrt
from libc.stdint cimport int32_t, int64_t, uint16_t


def add_distances(const int32_t[:, ::1] planes not None,    # IN (D, at least last), D 1 to 4
                  const int64_t[::1] weights not None,      # IN (at least last,)
                  const uint16_t[::1] owners not None,      # IN (at least last,)
                  const int32_t[:, ::1] entries not None,   # IN (K, D)
                  int64_t[::1] bins not None,               # INOUT (beyond the largest distance,)
                  Py_ssize_t first, Py_ssize_t last):
    """Add each colour's weight to the bin of its distance, rounded to a whole number."""
    cdef Py_ssize_t i
    cdef int D = <int> planes.shape[0], d
    cdef int32_t delta, square
    cdef const int32_t* entry
    with nogil:
        for i in range(first, last):
            entry = &entries[owners[i], 0]
            square = 0
            for d in range(D):
                delta = planes[d, i] - entry[d]
                square += delta * delta
            # No whole number's root is near a half, so that nothing depends on its last bit.
            bins[<Py_ssize_t> (sqrt(<double> square) + 0.5)] += weights[i]


def add_sums(const int32_t[:, ::1] planes not None,         # IN (D, at least last)
             const int64_t[::1] weights not None,           # IN (at least last,)
             const uint16_t[::1] owners not None,           # IN (at least last,)
             int64_t[:, ::1] sums not None,                 # INOUT (K, D + 1): of w x, then of w
             Py_ssize_t first, Py_ssize_t last):
    """Add each colour to the sums of its entry."""
    cdef Py_ssize_t i
    cdef int D = <int> planes.shape[0], d
    cdef int64_t* sum_of
    with nogil:
        for i in range(first, last):
            sum_of = &sums[owners[i], 0]
            for d in range(D):
                sum_of[d] += weights[i] * planes[d, i]
            sum_of[D] += weights[i]
