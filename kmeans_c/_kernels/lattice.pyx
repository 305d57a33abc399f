# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""The nearest entry of 64x64x64 colours, in whatever space their coordinates are, and of one point.

The lattice is numbered in Z-order, where the 64 colours of a block of 4x4x4 are neighbours. Nothing
is known of the space: every block comes with its colours' coordinates, and a box around them tells
which entries can be nearest.
"""

from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, uint8_t, uint16_t

from kmeans_c._kernels.nearest cimport (
    FAR, ID, MAX_LEAF, PLANES, filter_at, filter_fn, own_at, own_fn)

cdef extern from "multiversion.h" nogil:
    ctypedef void km_body_void "KM_BODY_VOID"
    ctypedef void km_v3_void "KM_V3_VOID"
    ctypedef void km_v4_void "KM_V4_VOID"

ctypedef fused index_t:
    uint8_t
    uint16_t

cdef enum:
    BLOCK = 64          # colours; as many as own_fn takes
    GROUP = 256         # entries whose distances are kept until the least is known


# ---- the lattice

cdef struct Search:     # read by all threads
    filter_fn filter
    own_fn own
    int D
    int K
    Py_ssize_t stride
    const int32_t* candidates
    const int32_t* packed
    const float* slack      # zeros: no entry moves
    Py_ssize_t plane


cdef void own_block(Search* search, int32_t* scratch, const int32_t* planes,
                    index_t* out) noexcept nogil:
    """Find the owner of each of a block's colours."""
    cdef int32_t low[4]
    cdef int32_t high[4]
    cdef int32_t owner[MAX_LEAF]
    cdef uint16_t label[MAX_LEAF]
    cdef int32_t differ
    cdef int32_t* ids = scratch + ID * search.stride
    cdef int m, d, i
    for i in range(64):
        label[i] = 0
    for d in range(search.D):
        low[d] = FAR
        high[d] = -1
        for i in range(64):
            low[d] = min(low[d], planes[d * search.plane + i])
            high[d] = max(high[d], planes[d * search.plane + i])
    search.filter(search.candidates, search.slack, search.stride, search.K, low, high, scratch,
                  NULL, scratch + PLANES * search.stride, &m)
    if m == 1:
        for i in range(64):
            out[i] = <index_t> ids[0]
        return
    search.own(planes, search.plane, BLOCK, search.packed, ids, m, label, owner, &differ)
    for i in range(64):
        out[i] = <index_t> owner[i]


def own_blocks(const int32_t[:, ::1] planes not None,       # IN (D, 64 n and PADDING)
               const int32_t[:, ::1] candidates not None,   # IN (5, K padded), see nearest.pxd
               const int32_t[:, ::1] packed not None,       # IN (K, 8), see nearest.pxd
               const float[::1] slack not None,             # IN (K padded,) zeros
               int32_t[:, ::1] scratch not None,            # WORK (n_threads, 6 K padded)
               index_t[::1] owners not None,                # OUT (64 n,)
               int level):
    """Find the owners of the colours of n blocks."""
    cdef Search search
    cdef Py_ssize_t i
    search.D = <int> planes.shape[0]
    search.K = <int> packed.shape[0]
    search.stride = candidates.shape[1]
    search.filter = filter_at(search.D, level)
    search.own = own_at(search.D, level)
    search.candidates = &candidates[0, 0]
    search.packed = &packed[0, 0]
    search.slack = &slack[0]
    search.plane = planes.shape[1]
    for i in prange(owners.shape[0] // BLOCK, nogil=True, num_threads=<int> scratch.shape[0],
                    schedule="dynamic", chunksize=16):
        own_block(&search, &scratch[threadid(), 0], &planes[0, BLOCK * i],
                  &owners[BLOCK * i])


# ---- one point

cdef km_body_void alone_body(const int32_t* candidates, Py_ssize_t stride, const int32_t* point,
                             int32_t* owner) noexcept nogil:
    """Find the nearest of all candidates to one point of four coordinates, the first of equals.

    What pads the candidates is the first of them again.
    """
    cdef int32_t distance[GROUP]
    cdef int32_t best = FAR, least, x, y, z, w, where
    cdef Py_ssize_t start
    cdef int i, n
    for start in range(0, stride, 256):     # GROUP
        n = <int> min(stride - start, <Py_ssize_t> GROUP)
        least = FAR
        for i in range(n):
            x = candidates[start + i] - point[0]
            y = candidates[stride + start + i] - point[1]
            z = candidates[2 * stride + start + i] - point[2]
            w = candidates[3 * stride + start + i] - point[3]
            distance[i] = x * x + y * y + z * z + w * w
            least = min(least, distance[i])
        if least < best:
            best = least
            where = GROUP
            for i in range(n):
                where = min(where, i if distance[i] == least else GROUP)
            owner[0] = <int32_t> start + where


cdef void alone_base(const int32_t* a, Py_ssize_t b, const int32_t* c, int32_t* d) noexcept nogil:
    alone_body(a, b, c, d)


cdef km_v3_void alone_v3(const int32_t* a, Py_ssize_t b, const int32_t* c,
                         int32_t* d) noexcept nogil:
    alone_body(a, b, c, d)


cdef km_v4_void alone_v4(const int32_t* a, Py_ssize_t b, const int32_t* c,
                         int32_t* d) noexcept nogil:
    alone_body(a, b, c, d)


cdef alone_fn alone_at(int level) noexcept nogil:
    return (<alone_fn> alone_v4 if level == 2 else
            <alone_fn> alone_v3 if level == 1 else <alone_fn> alone_base)


# ---- how far entries lie apart

def tree_edges(const int32_t[:, ::1] entries not None,  # IN (K, D) coordinates
               int32_t[::1] nearest not None,           # WORK (K,)
               uint8_t[::1] grown not None,             # WORK (K,) zeros
               int32_t[::1] edges not None):            # OUT (K - 1,) squared lengths
    """Find the edges of the minimum spanning tree (Prim 1957)."""
    cdef Py_ssize_t K = entries.shape[0], i, n, at = 0, chosen
    cdef int D = <int> entries.shape[1], d
    cdef int32_t distance, delta, least
    with nogil:
        for i in range(K):
            nearest[i] = FAR
        for n in range(K - 1):
            grown[at] = 1
            least = FAR
            chosen = at
            for i in range(K):
                if grown[i]:
                    continue
                distance = 0
                for d in range(D):
                    delta = entries[i, d] - entries[at, d]
                    distance += delta * delta
                nearest[i] = min(nearest[i], distance)
                if nearest[i] < least:
                    least = nearest[i]
                    chosen = i
            edges[n] = least
            at = chosen
