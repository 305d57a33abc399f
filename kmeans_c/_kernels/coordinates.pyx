# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""From a histogram's keys straight to coordinates; the formulas stand in kmeans_c/spaces.py."""

from cython.parallel cimport prange
from libc.stdint cimport int32_t, uint32_t

cdef extern from "multiversion.h" nogil:
    ctypedef void km_body_void "KM_BODY_VOID"
    ctypedef void km_v3_void "KM_V3_VOID"
    ctypedef void km_v4_void "KM_V4_VOID"

cdef enum:
    BLOCK = 1 << 14     # keys that a thread takes at a time

ctypedef void (*place_fn)(const uint32_t*, Py_ssize_t, int, int32_t*, Py_ssize_t) noexcept nogil


cdef inline int32_t every_third(uint32_t key) noexcept nogil:
    """Bits 0, 3, ... 21 of a key, put together."""
    key &= 0x249249
    key = (key | key >> 2) & 0x0c30c3
    key = (key | key >> 4) & 0x00f00f
    return <int32_t> ((key | key >> 8) & 0xff)


cdef inline int32_t every_fourth(uint32_t key) noexcept nogil:
    """Bits 0, 4, ... 28 of a key, put together."""
    key &= 0x11111111
    key = (key | key >> 3) & 0x03030303
    key = (key | key >> 6) & 0x000f000f
    return <int32_t> ((key | key >> 12) & 0xff)


cdef km_body_void place_body(int channels, const uint32_t* keys, Py_ssize_t n,
                             int32_t* planes, Py_ssize_t stride) noexcept nogil:
    """Write a plane a coordinate; grey fills the first and leaves the others.

    No channels: RGBA keys of opaque colours, whose first three coordinates are written.
    """
    cdef Py_ssize_t i
    cdef int32_t a, zero
    if channels == 1:
        for i in range(n):
            planes[i] = <int32_t> (64 * keys[i])
    elif channels == 3:
        for i in range(n):
            planes[i] = 64 * every_third(keys[i] >> 2)
            planes[stride + i] = 64 * every_third(keys[i] >> 1)
            planes[2 * stride + i] = 64 * every_third(keys[i])
    elif channels == 0:
        for i in range(n):
            planes[i] = 64 * every_fourth(keys[i] >> 2)
            planes[stride + i] = 64 * every_fourth(keys[i] >> 1)
            planes[2 * stride + i] = 64 * every_fourth(keys[i])
    else:
        for i in range(n):
            a = every_fourth(keys[i] >> 3)
            zero = 8160 - 32 * a
            planes[i] = (128 * every_fourth(keys[i] >> 2) * a + 255) // 510 + zero
            planes[stride + i] = (128 * every_fourth(keys[i] >> 1) * a + 255) // 510 + zero
            planes[2 * stride + i] = (128 * every_fourth(keys[i]) * a + 255) // 510 + zero
            planes[3 * stride + i] = (a * 454047 + 4096) >> 13


cdef void place_base(const uint32_t* a, Py_ssize_t b, int c, int32_t* d,
                     Py_ssize_t e) noexcept nogil:
    place_body(c, a, b, d, e)


cdef km_v3_void place_v3(const uint32_t* a, Py_ssize_t b, int c, int32_t* d,
                         Py_ssize_t e) noexcept nogil:
    place_body(c, a, b, d, e)


cdef km_v4_void place_v4(const uint32_t* a, Py_ssize_t b, int c, int32_t* d,
                         Py_ssize_t e) noexcept nogil:
    place_body(c, a, b, d, e)


def from_keys(const uint32_t[::1] keys not None,    # IN (n,)
              int channels,                         # 1, 3 or 4
              int32_t[:, ::1] planes not None,      # OUT (3, for RGBA 4; at least n)
              int n_threads, int level):
    """Write the coordinates of the colours with these keys, one plane each; of grey the first
    alone.

    RGBA with three planes is all opaque; the fourth coordinate is left out.
    """
    cdef Py_ssize_t n = keys.shape[0], stride = planes.shape[1], block
    cdef int32_t* to = &planes[0, 0]
    cdef const uint32_t* source
    cdef place_fn place = (<place_fn> place_v4 if level == 2 else
                           <place_fn> place_v3 if level == 1 else <place_fn> place_base)
    if n == 0:
        return
    source = &keys[0]
    if channels == 4 and planes.shape[0] == 3:
        channels = 0
    for block in prange((n + BLOCK - 1) // BLOCK, num_threads=n_threads, schedule="static",
                        nogil=True):
        place(source + block * BLOCK, min(<Py_ssize_t> BLOCK, n - block * BLOCK), channels,
              to + block * BLOCK, stride)
