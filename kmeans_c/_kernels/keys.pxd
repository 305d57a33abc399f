# cython: language_level=3
"""Z-order (Morton) numbers of colours: the bits of the channels interleaved, highest first, alpha
before red, green, blue.

Every module that makes keys fills a table of its own: bit i of a byte at bit `apart` times i.
"""

from libc.stdint cimport uint8_t, uint32_t

cdef extern from "multiversion.h" nogil:
    ctypedef void km_body_void "KM_BODY_VOID"


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


cdef inline uint32_t spread3(uint32_t value) noexcept nogil:
    """The same without a table: slower alone, but for whole vectors half as many instructions."""
    value = (value | value << 8) & 0x00f00f
    value = (value | value << 4) & 0x0c30c3
    return (value | value << 2) & 0x249249


cdef inline km_body_void rgb_keys(bint vectors, const uint32_t* spread3_of, const uint8_t* p, int n,
                                  uint32_t* keys) noexcept nogil:
    """Number n pixels, by arithmetic where there are vectors of 32 bytes, else by table."""
    cdef Py_ssize_t i   # an int could wrap at 3 i, for all that gcc knows: no vectors then
    if vectors:
        for i in range(n):
            keys[i] = ((spread3(p[3 * i]) << 2) | (spread3(p[3 * i + 1]) << 1)
                       | spread3(p[3 * i + 2]))
    else:
        for i in range(n):
            keys[i] = rgb_key(spread3_of, p + 3 * i)


cdef inline uint32_t channel(uint32_t key, int apart, int place) noexcept nogil:
    """The channel whose lowest bit stands at `place` of a key with bits `apart`."""
    cdef uint32_t bit, value = 0
    for bit in range(8):
        value |= (key >> (apart * bit + place) & 1) << bit
    return value
