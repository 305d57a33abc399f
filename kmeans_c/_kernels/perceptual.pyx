# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""How far colours are from the entries that stand for them, as a distribution; coordinates are
those of kmeans_c/spaces.py."""

from libc.math cimport sqrt
from libc.stdint cimport int32_t, int64_t, uint16_t


cdef enum:
    RUN = 256       # colours at a time: their squares stay in the cache


cdef void squares(const int32_t* x, Py_ssize_t stride, int D, const uint16_t* owner,
                  const int32_t* entries, int n, double* out) noexcept nogil:
    cdef const int32_t* entry
    cdef int32_t a, b, c, e
    cdef int i
    if D == 1:
        for i in range(n):
            a = x[i] - entries[owner[i]]
            out[i] = <double> (a * a)
    elif D == 3:
        for i in range(n):
            entry = entries + 3 * owner[i]
            a = x[i] - entry[0]
            b = x[stride + i] - entry[1]
            c = x[2 * stride + i] - entry[2]
            out[i] = <double> (a * a + b * b + c * c)
    else:
        for i in range(n):
            entry = entries + 4 * owner[i]
            a = x[i] - entry[0]
            b = x[stride + i] - entry[1]
            c = x[2 * stride + i] - entry[2]
            e = x[3 * stride + i] - entry[3]
            out[i] = <double> (a * a + b * b + c * c + e * e)


def add_distances(const int32_t[:, ::1] planes not None,    # IN (1, 3 or 4, at least last)
                  const int64_t[::1] weights not None,      # IN (at least last,)
                  const uint16_t[::1] owners not None,      # IN (at least last,)
                  const int32_t[:, ::1] entries not None,   # IN (K, 1, 3 or 4)
                  int64_t[::1] bins not None,               # INOUT (beyond the largest distance,)
                  Py_ssize_t first, Py_ssize_t last):
    """Add each colour's weight to the bin of its distance, rounded to a whole number."""
    cdef double far[RUN]
    cdef int32_t place[RUN]
    cdef Py_ssize_t run, start, stride = planes.shape[1]
    cdef int D = <int> planes.shape[0], n, i
    with nogil:
        for run in range((last - first + RUN - 1) // RUN):
            start = first + RUN * run
            n = <int> min(<Py_ssize_t> RUN, last - start)
            squares(&planes[0, start], stride, D, &owners[start], &entries[0, 0], n, far)
            # No whole number's root is near a half, so that nothing depends on its last bit.
            for i in range(n):
                place[i] = <int32_t> (sqrt(far[i]) + 0.5)
            for i in range(n):
                bins[place[i]] += weights[start + i]


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
