# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""Which candidates can own a box of colours, and which owns each colour: the loops of every exact
search here.

Coordinates are integers in 0..16383 and there are at most four of them, so a squared distance,
and the difference of two, fits int32. Bodies are inlined in wrappers of one SIMD level each; `D`
is a constant in every one of them.
"""

from libc.math cimport sqrtf
from libc.stdint cimport int32_t, uint16_t

cdef extern from "multiversion.h" nogil:
    ctypedef void km_body_void "KM_BODY_VOID"
    ctypedef void km_v3_void "KM_V3_VOID"
    ctypedef void km_v4_void "KM_V4_VOID"


cdef km_body_void filter_body(
        int D, const int32_t* source, const float* source_slack, Py_ssize_t stride, int m,
        const int32_t* low, const int32_t* high,
        int32_t* target, float* target_slack, int32_t* work, int* kept) noexcept nogil:
    """Keep the candidates that can own a point of the box, in their order (Kanungo et al. 2002).

    Without `target_slack` only their numbers are written; without `source_slack` nobody has any.

    The pivot is a candidate near the box's middle. Another candidate is out if even at the
    corner where it does best it is farther than the pivot, by so much that neither's slack (how
    far it may move while the list is used) could change that (a little more, for rounding): with
    G = d^2(candidate) - d^2(pivot) there, the difference of the distances is at least G / (2 R +
    |candidate - pivot|), R the pivot's distance to its farthest corner. Ties stay.
    """
    cdef int32_t middle[4]
    cdef int32_t pivot[4]
    cdef int32_t low2[4]
    cdef int32_t high2[4]
    cdef int32_t nearest = FAR, distance, gap, apart, delta, mask = 15, corner
    cdef float reach = 0, pivot_slack
    cdef int i, d, slot, n, m16 = <int> padded(m)
    while mask < m16 - 1:
        mask = 2 * mask + 1
    for d in range(D):
        middle[d] = (low[d] + high[d]) >> 1
        low2[d] = 2 * low[d]
        high2[d] = 2 * high[d]
    # The slot stands in the low bits of the distance: any pivot gives a right answer.
    for i in range(m16):
        distance = 0
        for d in range(D):
            delta = source[d * stride + i] - middle[d]
            distance += delta * delta
        distance = (distance & ~mask) | i
        nearest = distance if distance < nearest else nearest
    slot = nearest & mask
    for d in range(D):
        pivot[d] = source[d * stride + slot]
        delta = max(pivot[d] - low[d], high[d] - pivot[d])
        reach += <float> delta * <float> delta
    if source_slack == NULL:
        for i in range(m16):
            gap = 0
            for d in range(D):
                delta = source[d * stride + i] - pivot[d]
                corner = high2[d] if delta > 0 else low2[d]
                gap += delta * (source[d * stride + i] + pivot[d] - corner)
            work[i] = gap <= 0
    else:
        reach = 2 * sqrtf(reach)
        pivot_slack = source_slack[slot]
        for i in range(m16):
            gap = 0
            apart = 0
            for d in range(D):
                delta = source[d * stride + i] - pivot[d]
                corner = high2[d] if delta > 0 else low2[d]
                gap += delta * (source[d * stride + i] + pivot[d] - corner)
                apart += delta * delta
            work[i] = <float> gap <= (source_slack[i] + pivot_slack) * <float> 1.001 * (
                reach + sqrtf(<float> apart))
    n = 0
    for i in range(m):
        slot = work[i]
        work[n] = i     # n <= i: what is overwritten has been read
        n += slot
    kept[0] = n
    for i in range(n):
        target[ID * stride + i] = source[ID * stride + work[i]]
    if target_slack == NULL:
        return
    m16 = <int> padded(n)
    for d in range(D):
        for i in range(n):
            target[d * stride + i] = source[d * stride + work[i]]
        delta = target[d * stride]
        for i in range(n, m16):
            target[d * stride + i] = delta
    if source_slack != NULL:
        for i in range(m16):
            target_slack[i] = source_slack[work[i if i < n else 0]]


cdef km_body_void own_group(
        int D, int G, const int32_t* x, Py_ssize_t stride, int n16,
        const int32_t* packed, const int32_t* first, const int32_t* ids,
        int32_t* best, int32_t* owner) noexcept nogil:
    """Let G candidates compete with the best so far, the first of equals wins.

    A score is d^2(x, candidate) - d^2(x, first candidate), linear in x.
    """
    cdef int32_t c[4][5]
    cdef int32_t id_of[4]
    cdef int32_t score, least, who
    cdef int i, j, d
    for j in range(G):
        id_of[j] = ids[j]
        for d in range(5):
            c[j][d] = packed[PACK * ids[j] + d] - first[d]
    for i in range(n16):
        least = best[i]
        who = owner[i]
        for j in range(G):
            score = c[j][NORM]
            for d in range(D):
                score -= c[j][d] * x[d * stride + i]
            who = id_of[j] if score < least else who
            least = score if score < least else least
        best[i] = least
        owner[i] = who


cdef km_body_void own_body(
        int D, const int32_t* x, Py_ssize_t stride, int n,
        const int32_t* packed, const int32_t* ids, int m, const uint16_t* label,
        int32_t* owner, int32_t* differ) noexcept nogil:
    """Find the owner of each of n <= MAX_LEAF points among m >= 2 candidates with ascending
    numbers.

    Reads and writes up to the next whole vector. `differ` is 0 if the owners are the labels.
    """
    cdef int32_t best[MAX_LEAF]
    cdef int32_t holder[MAX_LEAF]
    cdef int32_t some = 0
    cdef int i, j = 1, n16 = <int> padded(n)
    cdef const int32_t* first = packed + PACK * ids[0]
    for i in range(n16):
        best[i] = 0
        holder[i] = ids[0]
    while j + 3 <= m:
        own_group(D, 3, x, stride, n16, packed, first, ids + j, best, holder)
        j += 3
    if j + 2 <= m:
        own_group(D, 2, x, stride, n16, packed, first, ids + j, best, holder)
    elif j < m:
        own_group(D, 1, x, stride, n16, packed, first, ids + j, best, holder)
    for i in range(n16):
        owner[i] = holder[i]
        some |= (holder[i] ^ label[i]) if i < n else 0
    differ[0] = some


cdef km_body_void near_group(
        int D, int G, const int32_t* x, Py_ssize_t stride, int n16,
        const int32_t* packed, const int32_t* first, const int32_t* ids,
        int32_t* best, int32_t* second, int32_t* owner) noexcept nogil:
    """As own_group(), and keep the second best score too."""
    cdef int32_t c[4][5]
    cdef int32_t id_of[4]
    cdef int32_t score, least, other, loser, who
    cdef int i, j, d
    for j in range(G):
        id_of[j] = ids[j]
        for d in range(5):
            c[j][d] = packed[PACK * ids[j] + d] - first[d]
    for i in range(n16):
        least = best[i]
        other = second[i]
        who = owner[i]
        for j in range(G):
            score = c[j][NORM]
            for d in range(D):
                score -= c[j][d] * x[d * stride + i]
            loser = least if score < least else score
            who = id_of[j] if score < least else who
            least = score if score < least else least
            other = loser if loser < other else other
        best[i] = least
        second[i] = other
        owner[i] = who


cdef km_body_void near_body(
        int D, const int32_t* x, Py_ssize_t stride, int n,
        const int32_t* packed, const int32_t* ids, int m, const uint16_t* label, float slack,
        int32_t* owner, int32_t* differ, int32_t* close) noexcept nogil:
    """As own_body(); and `close` tells which points another candidate may win, if a point's two
    nearest move by no more than `slack` together (a little more, for rounding).

    With a and b the distances to the two nearest, b - a <= slack is b^2 - a^2 - slack^2 <= 2 a
    slack.
    """
    cdef int32_t best[MAX_LEAF]
    cdef int32_t second[MAX_LEAF]
    cdef int32_t holder[MAX_LEAF]
    cdef int32_t centre[4]
    cdef int32_t some = 0, distance, delta
    cdef int i, d, j = 1, n16 = <int> padded(n)
    cdef const int32_t* first = packed + PACK * ids[0]
    cdef float room = slack * slack, gap
    for d in range(D):
        centre[d] = first[d] >> 1
    for i in range(n16):
        best[i] = 0
        second[i] = FAR
        holder[i] = ids[0]
    while j + 3 <= m:
        near_group(D, 3, x, stride, n16, packed, first, ids + j, best, second, holder)
        j += 3
    if j + 2 <= m:
        near_group(D, 2, x, stride, n16, packed, first, ids + j, best, second, holder)
    elif j < m:
        near_group(D, 1, x, stride, n16, packed, first, ids + j, best, second, holder)
    for i in range(n16):
        distance = best[i]      # and now that to the best: scores are differences
        for d in range(D):
            delta = x[d * stride + i] - centre[d]
            distance += delta * delta
        gap = <float> (second[i] - best[i]) - room
        close[i] = (gap <= 0) | (gap * gap <= <float> 4.001 * room * <float> distance)
    for i in range(n16):
        owner[i] = holder[i]
        some |= (holder[i] ^ label[i]) if i < n else 0
    differ[0] = some


cdef void filter3(
        const int32_t* a, const float* b, Py_ssize_t c, int d, const int32_t* e,
        const int32_t* f, int32_t* g, float* h, int32_t* i, int* j) noexcept nogil:
    filter_body(3, a, b, c, d, e, f, g, h, i, j)


cdef km_v3_void filter3_v3(
        const int32_t* a, const float* b, Py_ssize_t c, int d, const int32_t* e,
        const int32_t* f, int32_t* g, float* h, int32_t* i, int* j) noexcept nogil:
    filter_body(3, a, b, c, d, e, f, g, h, i, j)


cdef km_v4_void filter3_v4(
        const int32_t* a, const float* b, Py_ssize_t c, int d, const int32_t* e,
        const int32_t* f, int32_t* g, float* h, int32_t* i, int* j) noexcept nogil:
    filter_body(3, a, b, c, d, e, f, g, h, i, j)


cdef void filter4(
        const int32_t* a, const float* b, Py_ssize_t c, int d, const int32_t* e,
        const int32_t* f, int32_t* g, float* h, int32_t* i, int* j) noexcept nogil:
    filter_body(4, a, b, c, d, e, f, g, h, i, j)


cdef km_v3_void filter4_v3(
        const int32_t* a, const float* b, Py_ssize_t c, int d, const int32_t* e,
        const int32_t* f, int32_t* g, float* h, int32_t* i, int* j) noexcept nogil:
    filter_body(4, a, b, c, d, e, f, g, h, i, j)


cdef km_v4_void filter4_v4(
        const int32_t* a, const float* b, Py_ssize_t c, int d, const int32_t* e,
        const int32_t* f, int32_t* g, float* h, int32_t* i, int* j) noexcept nogil:
    filter_body(4, a, b, c, d, e, f, g, h, i, j)


cdef void own3(
        const int32_t* a, Py_ssize_t b, int c, const int32_t* d, const int32_t* e, int f,
        const uint16_t* g, int32_t* h, int32_t* i) noexcept nogil:
    own_body(3, a, b, c, d, e, f, g, h, i)


cdef km_v3_void own3_v3(
        const int32_t* a, Py_ssize_t b, int c, const int32_t* d, const int32_t* e, int f,
        const uint16_t* g, int32_t* h, int32_t* i) noexcept nogil:
    own_body(3, a, b, c, d, e, f, g, h, i)


cdef km_v4_void own3_v4(
        const int32_t* a, Py_ssize_t b, int c, const int32_t* d, const int32_t* e, int f,
        const uint16_t* g, int32_t* h, int32_t* i) noexcept nogil:
    own_body(3, a, b, c, d, e, f, g, h, i)


cdef void own4(
        const int32_t* a, Py_ssize_t b, int c, const int32_t* d, const int32_t* e, int f,
        const uint16_t* g, int32_t* h, int32_t* i) noexcept nogil:
    own_body(4, a, b, c, d, e, f, g, h, i)


cdef km_v3_void own4_v3(
        const int32_t* a, Py_ssize_t b, int c, const int32_t* d, const int32_t* e, int f,
        const uint16_t* g, int32_t* h, int32_t* i) noexcept nogil:
    own_body(4, a, b, c, d, e, f, g, h, i)


cdef km_v4_void own4_v4(
        const int32_t* a, Py_ssize_t b, int c, const int32_t* d, const int32_t* e, int f,
        const uint16_t* g, int32_t* h, int32_t* i) noexcept nogil:
    own_body(4, a, b, c, d, e, f, g, h, i)


cdef void near3(
        const int32_t* a, Py_ssize_t b, int c, const int32_t* d, const int32_t* e, int f,
        const uint16_t* g, float h, int32_t* i, int32_t* j, int32_t* k) noexcept nogil:
    near_body(3, a, b, c, d, e, f, g, h, i, j, k)


cdef km_v3_void near3_v3(
        const int32_t* a, Py_ssize_t b, int c, const int32_t* d, const int32_t* e, int f,
        const uint16_t* g, float h, int32_t* i, int32_t* j, int32_t* k) noexcept nogil:
    near_body(3, a, b, c, d, e, f, g, h, i, j, k)


cdef km_v4_void near3_v4(
        const int32_t* a, Py_ssize_t b, int c, const int32_t* d, const int32_t* e, int f,
        const uint16_t* g, float h, int32_t* i, int32_t* j, int32_t* k) noexcept nogil:
    near_body(3, a, b, c, d, e, f, g, h, i, j, k)


cdef void near4(
        const int32_t* a, Py_ssize_t b, int c, const int32_t* d, const int32_t* e, int f,
        const uint16_t* g, float h, int32_t* i, int32_t* j, int32_t* k) noexcept nogil:
    near_body(4, a, b, c, d, e, f, g, h, i, j, k)


cdef km_v3_void near4_v3(
        const int32_t* a, Py_ssize_t b, int c, const int32_t* d, const int32_t* e, int f,
        const uint16_t* g, float h, int32_t* i, int32_t* j, int32_t* k) noexcept nogil:
    near_body(4, a, b, c, d, e, f, g, h, i, j, k)


cdef km_v4_void near4_v4(
        const int32_t* a, Py_ssize_t b, int c, const int32_t* d, const int32_t* e, int f,
        const uint16_t* g, float h, int32_t* i, int32_t* j, int32_t* k) noexcept nogil:
    near_body(4, a, b, c, d, e, f, g, h, i, j, k)


cdef filter_fn filter_at(int D, int level) noexcept nogil:
    if D == 4:
        return (<filter_fn> filter4_v4 if level == 2 else
                <filter_fn> filter4_v3 if level == 1 else <filter_fn> filter4)
    return (<filter_fn> filter3_v4 if level == 2 else
            <filter_fn> filter3_v3 if level == 1 else <filter_fn> filter3)


cdef own_fn own_at(int D, int level) noexcept nogil:
    if D == 4:
        return (<own_fn> own4_v4 if level == 2 else
                <own_fn> own4_v3 if level == 1 else <own_fn> own4)
    return (<own_fn> own3_v4 if level == 2 else
            <own_fn> own3_v3 if level == 1 else <own_fn> own3)


cdef near_fn near_at(int D, int level) noexcept nogil:
    if D == 4:
        return (<near_fn> near4_v4 if level == 2 else
                <near_fn> near4_v3 if level == 1 else <near_fn> near4)
    return (<near_fn> near3_v4 if level == 2 else
            <near_fn> near3_v3 if level == 1 else <near_fn> near3)
