# cython: language_level=3
"""Z-order (Morton) numbers of colours: the bits of the channels interleaved, highest first, alpha
before red, green, blue.

Every module that makes keys fills a table of its own: bit i of a byte at bit `apart` times i.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

cdef extern from "multiversion.h" nogil:
    void km_prefetch(const void* address) noexcept

cdef extern from "keys.h" nogil:
    void km_keys_base(const uint32_t* spread3, const uint8_t* p, int n, uint32_t* keys) noexcept
    void km_keys_v3(const uint32_t* spread3, const uint8_t* p, int n, uint32_t* keys) noexcept
    void km_keys_v4(const uint32_t* spread3, const uint8_t* p, int n, uint32_t* keys) noexcept

ctypedef void (*keys_fn)(const uint32_t*, const uint8_t*, int, uint32_t*) noexcept nogil


cdef inline keys_fn keys_at(int level) noexcept nogil:
    """What numbers n RGB pixels: (spread table, pixels, n, keys)."""
    return (<keys_fn> km_keys_v4 if level == 2 else
            <keys_fn> km_keys_v3 if level == 1 else <keys_fn> km_keys_base)


cdef inline void fill_spread(uint32_t* spread, int apart) noexcept nogil:
    cdef uint32_t value, bit
    for value in range(256):
        spread[value] = 0
        for bit in range(8):
            spread[value] |= (value >> bit & 1) << (apart * bit)


cdef inline uint32_t rgb_key(const uint32_t* spread3, const uint8_t* p) noexcept nogil:
    return (spread3[p[0]] << 2) + (spread3[p[1]] << 1) + spread3[p[2]]


cdef inline uint32_t rgba_key(const uint32_t* spread4, const uint8_t* p) noexcept nogil:
    return (spread4[p[3]] << 3) + (spread4[p[0]] << 2) + (spread4[p[1]] << 1) + spread4[p[2]]


cdef inline void fetch_next(const uint8_t* p, int n_bytes) noexcept nogil:
    """Fetch as many bytes as lie behind these: a third off the time of a pass over RGBA."""
    cdef int i
    for i in range(0, n_bytes, 64):
        km_prefetch(p + n_bytes + i)


cdef inline int pack_opaque(const uint8_t* p, int n, uint8_t* rgb, int* at) noexcept nogil:
    """Copy the opaque ones of n RGBA pixels as RGB, and tell where they stood and how many.

    One byte after the last is written, too.
    """
    cdef int i, found = 0
    fetch_next(p, 4 * n)
    rgb[0] = 0  # for gcc, which fears that nothing is written
    for i in range(n):
        memcpy(rgb + 3 * found, p + 4 * i, 4)
        at[found] = i
        found += p[4 * i + 3] == 255
    return found


cdef inline uint32_t channel(uint32_t key, int apart, int place) noexcept nogil:
    """The channel whose lowest bit stands at `place` of a key with bits `apart`."""
    cdef uint32_t bit, value = 0
    for bit in range(8):
        value |= (key >> (apart * bit + place) & 1) << bit
    return value
