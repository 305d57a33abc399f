# cython: language_level=3
"""What filtering and mapping share; see nearest.pyx."""

from libc.stdint cimport int32_t, uint16_t

cdef enum:
    LANES = 16          # lists and leaves are padded to whole vectors of the widest level
    MAX_LEAF = 64       # colours that one call of own_body() takes at most
    PACK = 8            # int32s of a packed centroid: twice its coordinates, squared norm, spare
    NORM = 4            # where the squared norm stands
    ID = 4              # the plane of a candidate list that holds the centroid's number
    PLANES = 5          # planes of a candidate list: coordinates, number
    FAR = 0x7fffffff

ctypedef void (*filter_fn)(const int32_t*, const float*, Py_ssize_t, int, const int32_t*,
                           const int32_t*, int32_t*, float*, int32_t*, int*) noexcept nogil
ctypedef void (*own_fn)(const int32_t*, Py_ssize_t, int, const int32_t*, const int32_t*, int,
                        const uint16_t*, int32_t*, int32_t*) noexcept nogil
ctypedef void (*near_fn)(const int32_t*, Py_ssize_t, int, const int32_t*, const int32_t*, int,
                         const uint16_t*, float, int32_t*, int32_t*, int32_t*) noexcept nogil

cdef filter_fn filter_at(int D, int level) noexcept nogil
cdef own_fn own_at(int D, int level) noexcept nogil
cdef near_fn near_at(int D, int level) noexcept nogil


cdef inline Py_ssize_t padded(Py_ssize_t n) noexcept nogil:
    return ((n + LANES - 1) >> 4) << 4


cdef inline void pack_centroid(int32_t* packed, const int32_t* centroid, int D) noexcept nogil:
    cdef int d
    packed[NORM] = 0
    for d in range(4):
        packed[d] = 0
    for d in range(D):
        packed[d] = 2 * centroid[d]
        packed[NORM] += centroid[d] * centroid[d]
