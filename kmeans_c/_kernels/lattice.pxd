# cython: language_level=3
"""The search for one point among all entries, for kernels that meet points one by one; see
lattice.pyx."""

from libc.stdint cimport int32_t, uint32_t, uint64_t

ctypedef void (*alone_fn)(const int32_t*, Py_ssize_t, const int32_t*, int32_t*) noexcept nogil

cdef alone_fn alone_at(int level) noexcept nogil

cdef struct Memo:               # of one thread
    const int32_t* candidates   # (5, stride)
    Py_ssize_t stride
    alone_fn alone
    uint64_t* slots             # zeros at first: the number of a place, from 1, and its owner
    Py_ssize_t n_slots          # a power of 2


cdef inline int32_t recall(Memo* memo, const int32_t* point) noexcept nogil:
    """Return the owner of the place nearest to a point, both of four coordinates.

    Places are 256 apart. What a slot forgets is found again, so that nothing depends on it.
    """
    cdef uint32_t number = 0
    cdef int32_t place[4]
    cdef int32_t owner
    cdef uint64_t* slot
    cdef int d
    for d in range(4):
        place[d] = (point[d] + 128) >> 8
        number = number << 7 | <uint32_t> place[d]
    number += 1
    slot = memo.slots + (<uint64_t> <uint32_t> (number * <uint32_t> 2654435769)
                         * <uint64_t> memo.n_slots >> 32)
    if slot[0] >> 16 == number:
        return <int32_t> (slot[0] & 0xffff)
    for d in range(4):
        place[d] *= 256
    memo.alone(memo.candidates, memo.stride, place, &owner)
    slot[0] = <uint64_t> number << 16 | <uint64_t> owner
    return owner
