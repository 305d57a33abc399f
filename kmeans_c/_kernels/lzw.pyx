# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""GIF's variant of LZW: indices to codes of 3 to 12 bits.

Welch, T. A. (1984). A technique for high-performance data compression. IEEE Computer 17(6), 8-19.

A full table is kept as long as it serves: it is cleared when a window of codes stands for
noticeably fewer pixels than the best window since it was full.
"""

cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

cdef enum:
    SLOTS = 8192    # of a hash table that holds up to 4096 pairs
    FULL = 4096     # codes of up to 12 bits
    WINDOW = 256    # codes after which a full table is judged


@cython.final
cdef class Encoder:
    """One image's codes; `bits` of an index, 1 to 8."""

    # A pair of a code and the index after it, 20 bits, and the code that it has, 12 bits, never 0.
    cdef uint32_t slots[SLOTS]
    cdef uint64_t pending
    cdef int pending_bits, width, bits
    cdef uint32_t following, prefix
    cdef bint begun
    cdef Py_ssize_t codes, pixels, best

    def __cinit__(self, int bits):
        self.bits = max(2, bits)
        self.pending = 0
        self.pending_bits = 0
        self.begun = False
        self.prefix = 0
        self._reset()

    def add(self, const uint8_t[::1] indices not None, uint8_t[::1] out not None):
        """IN (n,) indices below 2^bits; OUT their codes, at most 2 n + 8 bytes. Return how many."""
        cdef Py_ssize_t size
        with nogil:
            size = self._add(indices, out)
        return size

    def finish(self, uint8_t[::1] out not None):
        """OUT what is left, at most 8 bytes. Return how many."""
        cdef Py_ssize_t at = 0
        cdef uint8_t* target = &out[0]
        if self.begun:
            self._emit(self.prefix, target, &at)
            self._count()
        else:
            self._emit(1 << self.bits, target, &at)
        self._emit((1 << self.bits) + 1, target, &at)
        if self.pending_bits > 0:
            target[at] = <uint8_t> self.pending
            at += 1
        return at

    cdef Py_ssize_t _add(self, const uint8_t[::1] indices, uint8_t[::1] out) noexcept nogil:
        cdef Py_ssize_t i, n = indices.shape[0], at = 0
        cdef uint8_t* target = &out[0]
        cdef uint32_t index, pair, slot
        for i in range(n):
            index = indices[i]
            if not self.begun:
                self._emit(1 << self.bits, target, &at)
                self.prefix = index
                self.begun = True
                continue
            pair = self.prefix << 8 | index
            slot = (pair * <uint32_t> 2654435761) >> 19
            while self.slots[slot] and self.slots[slot] >> 12 != pair:
                slot = (slot + 1) & (SLOTS - 1)
            self.pixels += 1
            if self.slots[slot]:
                self.prefix = self.slots[slot] & (FULL - 1)
                continue
            self._emit(self.prefix, target, &at)
            self.prefix = index
            if self.following < FULL:
                self.slots[slot] = pair << 12 | self.following
                self._count()
            elif self._worse():
                self._emit(1 << self.bits, target, &at)
                self._reset()
        return at

    cdef void _emit(self, uint32_t code, uint8_t* target, Py_ssize_t* at) noexcept nogil:
        self.pending |= <uint64_t> code << self.pending_bits
        self.pending_bits += self.width
        while self.pending_bits >= 8:
            target[at[0]] = <uint8_t> self.pending
            at[0] += 1
            self.pending >>= 8
            self.pending_bits -= 8

    cdef void _count(self) noexcept nogil:
        """A code was given away: the decoder, one behind, needs the next bit a code later."""
        if self.following < FULL:
            self.following += 1
            if self.following > <uint32_t> 1 << self.width and self.width < 12:
                self.width += 1
            self.codes = 0
            self.pixels = 0

    cdef bint _worse(self) noexcept nogil:
        cdef Py_ssize_t covered
        self.codes += 1
        if self.codes < WINDOW:
            return False
        covered = self.pixels
        self.codes = 0
        self.pixels = 0
        if covered * 8 < self.best * 7:
            return True
        self.best = max(self.best, covered)
        return False

    cdef void _reset(self) noexcept nogil:
        memset(self.slots, 0, sizeof(self.slots))
        self.width = self.bits + 1
        self.following = (1 << self.bits) + 2
        self.codes = 0
        self.pixels = 0
        self.best = 0
