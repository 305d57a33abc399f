# cython: language_level=3
"""The coordinates of one RGBA colour, for kernels that meet colours one by one; see
kmeans_c/spaces.py."""

from libc.stdint cimport int32_t, uint8_t


cdef inline void rgba_point(const uint8_t* p, int32_t* x, int32_t* y, int32_t* z,
                            int32_t* w) noexcept nogil:
    cdef int32_t a = p[3], zero = 8160 - 32 * a
    x[0] = (128 * p[0] * a + 255) // 510 + zero
    y[0] = (128 * p[1] * a + 255) // 510 + zero
    z[0] = (128 * p[2] * a + 255) // 510 + zero
    w[0] = (a * 454047 + 4096) >> 13
