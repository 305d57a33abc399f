# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""RGBA pixels to the labels of their colours, by a hash table with linear probing.

The pixels are memory that others own: a colour that is not in the table, because another thread has
written it after the count, gets label 0.
"""

from cython.parallel cimport prange
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from kmeans_c._kernels.keys cimport fill_spread, rgba_key

ctypedef fused index_t:
    uint8_t
    uint16_t

cdef enum:
    BLOCK = 4096        # pixels that a thread takes at a time

cdef uint32_t FREE = 0x80000000     # no label has this bit; as an index_t it is 0
cdef uint32_t SPREAD4[256]
fill_spread(SPREAD4, 4)


cdef inline uint32_t slot_of(uint32_t key, uint32_t mask, int shift) noexcept nogil:
    """Fibonacci hashing (Knuth 1973, 6.4): the upper bits of a multiple of the golden ratio."""
    return (key * <uint32_t> 2654435769 >> shift) & mask


def fill_slots(const uint32_t[::1] keys not None,       # IN (n,) distinct
               const uint16_t[::1] owners not None,     # IN (n,)
               uint32_t[:, ::1] slots not None,         # OUT (2^(32 - shift), 2), more than n
               int shift):
    """Put each colour's key and owner in the first free slot from its own on."""
    cdef Py_ssize_t i
    cdef uint32_t slot, mask = <uint32_t> (slots.shape[0] - 1)
    with nogil:
        for i in range(slots.shape[0]):
            slots[i, 0] = 0
            slots[i, 1] = FREE
        for i in range(keys.shape[0]):
            slot = slot_of(keys[i], mask, shift)
            while slots[slot, 1] != FREE:
                slot = (slot + 1) & mask
            slots[slot, 0] = keys[i]
            slots[slot, 1] = owners[i]


cdef void take_block(const uint8_t* p, Py_ssize_t n, const uint32_t* slots, uint32_t mask,
                     int shift, index_t* out) noexcept nogil:
    cdef Py_ssize_t i
    cdef uint32_t key, slot
    for i in range(n):
        key = rgba_key(SPREAD4, p + 4 * i) if p[4 * i + 3] else 0
        slot = slot_of(key, mask, shift)
        while slots[2 * slot] != key and slots[2 * slot + 1] != FREE:
            slot = (slot + 1) & mask
        out[i] = <index_t> slots[2 * slot + 1]


def take_rgba(const uint8_t[:, ::1] pixels not None,    # IN (n, 4)
              const uint32_t[:, ::1] slots not None,    # IN as fill_slots left them
              index_t[::1] indices not None,            # OUT (n,)
              int shift, int n_threads):
    """Write the owner of each pixel's colour; every fully transparent pixel is colour 0."""
    cdef Py_ssize_t block, n = pixels.shape[0]
    cdef uint32_t mask = <uint32_t> (slots.shape[0] - 1)
    for block in prange((n + BLOCK - 1) // BLOCK, nogil=True, num_threads=n_threads,
                        schedule="static"):
        take_block(&pixels[BLOCK * block, 0], min(<Py_ssize_t> BLOCK, n - BLOCK * block),
                   &slots[0, 0], mask, shift, &indices[BLOCK * block])
