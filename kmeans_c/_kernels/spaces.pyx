# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""Colours as integer coordinates 0..16383; the formulas stand in kmeans_c/spaces.py."""

from cython.parallel cimport prange
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

cdef enum:
    ROWS = 256          # colours whose mixtures are held at a time
    BLOCK = 4096        # colours that a thread takes at a time
    STEP = 15           # bits of a float32 below the steps of a curve
    SHIFT = 40          # bits below one coordinate unit in `axes`


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


cdef void take_block(const uint8_t* p, Py_ssize_t n, Py_ssize_t channels, int D,
                     const int32_t* table, int32_t* x, Py_ssize_t stride) noexcept nogil:
    cdef Py_ssize_t i
    cdef int d
    for d in range(D):
        for i in range(n):
            x[d * stride + i] = table[p[channels * i + d]]


def take(const uint8_t[:, ::1] colors not None,     # IN (n, 1, 3 or 4)
         const int32_t[::1] table not None,         # IN (256,)
         int32_t[:, ::1] planes not None,           # OUT columns first..first + n of 1 or 3 planes
         Py_ssize_t first, int n_threads):
    """Write each channel's entry in a table; alpha is left out."""
    cdef Py_ssize_t n = colors.shape[0], channels = colors.shape[1], stride = planes.shape[1]
    cdef Py_ssize_t block, start
    cdef int D = 1 if channels == 1 else 3
    for block in prange((n + BLOCK - 1) // BLOCK, nogil=True, num_threads=n_threads,
                        schedule="static"):
        start = block * BLOCK
        take_block(&colors[start, 0], min(<Py_ssize_t> BLOCK, n - start), channels, D, &table[0],
                   &planes[0, first + start], stride)


cdef void follow(const int32_t* curve, int32_t lowest, int32_t* light, int n) noexcept nogil:
    """Put the curve, straight between its nodes, in the place of light; see spaces.OCTAVES."""
    cdef float real[ROWS]
    cdef int32_t bits[ROWS]
    cdef int32_t node, above
    cdef int i
    for i in range(n):
        real[i] = <float> light[i]
    memcpy(bits, real, n * sizeof(int32_t))
    for i in range(n):
        above = bits[i] - lowest if bits[i] > lowest else 0
        node = above >> STEP
        above &= (1 << STEP) - 1
        light[i] = curve[node] + (
            ((curve[node + 1] - curve[node]) * above + (1 << (STEP - 1))) >> STEP)


cdef void bend_rows(const uint8_t* p, int n, Py_ssize_t channels, const int32_t* mixing,
                    const int32_t* curve, int32_t lowest, const int64_t* axes, int32_t* x,
                    int32_t* y, int32_t* z) noexcept nogil:
    """Bend up to ROWS colours, step by step: half as long again if colour by colour."""
    cdef int32_t first[ROWS]
    cdef int32_t second[ROWS]
    cdef int32_t third[ROWS]
    cdef const int32_t* red
    cdef const int32_t* green
    cdef const int32_t* blue
    cdef int32_t one, two
    cdef int i
    for i in range(n):
        red = mixing + 4 * p[channels * i]
        green = mixing + 4 * (256 + p[channels * i + 1])
        blue = mixing + 4 * (512 + p[channels * i + 2])
        first[i] = red[0] + green[0] + blue[0]
        second[i] = red[1] + green[1] + blue[1]
        third[i] = red[2] + green[2] + blue[2]
    follow(curve, lowest, first, n)
    follow(curve, lowest, second, n)
    follow(curve, lowest, third, n)
    for i in range(n):
        one = first[i] - second[i]
        two = third[i] - second[i]
        x[i] = <int32_t> ((axes[0] + axes[1] * second[i] + axes[2] * one + axes[3] * two) >> SHIFT)
        y[i] = <int32_t> ((axes[4] + axes[6] * one + axes[7] * two) >> SHIFT)
        z[i] = <int32_t> ((axes[8] + axes[10] * one + axes[11] * two) >> SHIFT)


def bend(const uint8_t[:, ::1] colors not None,         # IN (n, 3 or 4)
         const int32_t[:, :, ::1] mixing not None,      # IN (3, 256, 4)
         const int32_t[::1] curve not None,             # IN
         const int64_t[:, ::1] axes not None,           # IN (3, 4)
         int32_t[:, ::1] planes not None,               # OUT columns first..first + n of 3 planes
         Py_ssize_t first, int32_t lowest, int n_threads):
    """Mix the channels' light, bend each of the three mixtures, and turn the axes.

    `mixing` holds what a channel's value adds to the three mixtures. Of the bent mixtures, the
    second and the differences of the first and the third from it make a coordinate: (axes . (1,
    second, first - second, third - second)) >> SHIFT; the last two coordinates take only the
    differences. `lowest` is the curve's first node as the bits of a float32. Alpha is left out.
    """
    cdef Py_ssize_t n = colors.shape[0], channels = colors.shape[1], block, start
    for block in prange((n + ROWS - 1) // ROWS, nogil=True, num_threads=n_threads,
                        schedule="static"):
        start = ROWS * block
        bend_rows(&colors[start, 0], <int> min(<Py_ssize_t> ROWS, n - start), channels,
                  &mixing[0, 0, 0], &curve[0], lowest, &axes[0, 0], &planes[0, first + start],
                  &planes[1, first + start], &planes[2, first + start])


cdef void fade_block(const uint8_t* p, Py_ssize_t n, const int32_t* middle, const int32_t* depths,
                     int32_t* x, Py_ssize_t stride) noexcept nogil:
    cdef Py_ssize_t i
    cdef int32_t alpha
    cdef int d
    for i in range(n):
        alpha = p[4 * i + 3]
        for d in range(3):
            # 510 * 16384 makes what is divided positive, so that halves go upwards everywhere.
            x[d * stride + i] = middle[d] - 16384 + (
                2 * alpha * (x[d * stride + i] - middle[d]) + 510 * 16384 + 255) // 510
        x[3 * stride + i] = depths[alpha]


def fade(const uint8_t[:, ::1] colors not None,     # IN (n, 4)
         const int32_t[::1] middle not None,        # IN (3,)
         const int32_t[::1] depths not None,        # IN (256,)
         int32_t[:, ::1] planes not None,           # INOUT columns first..first + n of 4 planes
         Py_ssize_t first, int n_threads):
    """Draw colours towards the middle as they are transparent, and write the fourth plane."""
    cdef Py_ssize_t n = colors.shape[0], stride = planes.shape[1], block, start
    for block in prange((n + BLOCK - 1) // BLOCK, nogil=True, num_threads=n_threads,
                        schedule="static"):
        start = block * BLOCK
        fade_block(&colors[start, 0], min(<Py_ssize_t> BLOCK, n - start), &middle[0], &depths[0],
                   &planes[0, first + start], stride)
