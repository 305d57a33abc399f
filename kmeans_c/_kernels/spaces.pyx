# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""Colours as integer coordinates 0..16383; the formulas stand in kmeans_c/spaces.py."""

from libc.stdint cimport int32_t, uint8_t


def coordinates(const uint8_t[:, ::1] colors not None,  # IN (n, 1, 3 or 4)
                int32_t[:, ::1] planes not None):       # OUT (3, for RGBA 4; at least n)
    """Write a plane a coordinate; grey fills the first of three."""
    cdef Py_ssize_t i, n = colors.shape[0], channels = colors.shape[1]
    cdef const uint8_t* p
    cdef int32_t* x = &planes[0, 0]
    cdef int32_t* y = &planes[1, 0]
    cdef int32_t* z = &planes[2, 0]
    cdef int32_t* w
    if n == 0:
        return
    p = &colors[0, 0]
    if channels == 4:
        w = &planes[3, 0]
        with nogil:
            for i in range(n):
                rgba_point(p + 4 * i, &x[i], &y[i], &z[i], &w[i])
    elif channels == 3:
        with nogil:
            for i in range(n):
                x[i] = 64 * p[3 * i]
                y[i] = 64 * p[3 * i + 1]
                z[i] = 64 * p[3 * i + 2]
    else:
        with nogil:
            for i in range(n):
                x[i] = 64 * p[i]
                y[i] = 0
                z[i] = 0
