# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""k-means++ (Arthur & Vassilvitskii 2007) over weighted points, in integers.

Neighbouring points are taken together: a seed is compared with the points of a group only if it
is nearer to the group's box than some point of it is to its seed, and a draw skips whole groups.
Once there are many seeds almost all groups are passed over, and what is drawn stays the same.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport free, malloc

cdef extern from "multiversion.h" nogil:
    ctypedef void km_body_void "KM_BODY_VOID"
    ctypedef void km_v3_void "KM_V3_VOID"
    ctypedef void km_v4_void "KM_V4_VOID"

cdef enum:
    GROUP = 64          # points
    FAR = 0x7fffffff    # farther than any point

cdef struct Groups:
    Py_ssize_t n
    int32_t* low        # a plane of n a coordinate
    int32_t* high
    int32_t* most       # the largest of the points' least distances
    int32_t* near       # whether a seed may be nearer to one of the points
    uint64_t* total     # sum of weight times least distance

ctypedef void (*measure_fn)(const int32_t*, Py_ssize_t, Py_ssize_t, int, const int32_t*,
                            const int64_t*, int32_t*, int32_t*, uint64_t*) noexcept nogil
ctypedef void (*reach_fn)(const Groups*, int, const int32_t*) noexcept nogil


cdef inline uint64_t next_random(uint64_t* state) noexcept nogil:
    """Splitmix64 (Steele, Lea & Flood 2014)."""
    cdef uint64_t z
    state[0] += <uint64_t> 0x9E3779B97F4A7C15
    z = state[0]
    z = (z ^ (z >> 30)) * <uint64_t> 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t> 0x94D049BB133111EB
    return z ^ (z >> 31)


cdef inline uint64_t below(uint64_t bound, uint64_t* state) noexcept nogil:
    """floor(random * bound / 2^64), by halves."""
    cdef uint64_t r = next_random(state), mask = 0xFFFFFFFF
    cdef uint64_t low = (r & mask) * (bound & mask)
    cdef uint64_t one = (r >> 32) * (bound & mask) + (low >> 32)
    cdef uint64_t two = (r & mask) * (bound >> 32) + (one & mask)
    return (r >> 32) * (bound >> 32) + (one >> 32) + (two >> 32)


cdef km_body_void measure_body(const int32_t* x, Py_ssize_t stride, Py_ssize_t n, int D,
                               const int32_t* at, const int64_t* w, int32_t* least,
                               int32_t* most, uint64_t* total) noexcept nogil:
    """Lower each point's squared distance to the seeds by one seed more; find the largest, and add
    up w times it."""
    cdef Py_ssize_t i
    cdef int32_t distance, delta, largest = 0
    cdef uint64_t all_of = 0
    cdef int d
    for i in range(n):
        distance = 0
        for d in range(D):
            delta = x[d * stride + i] - at[d]
            distance += delta * delta
        distance = least[i] if least[i] < distance else distance
        least[i] = distance
        largest = distance if distance > largest else largest
    for i in range(n):
        all_of += <uint64_t> w[i] * <uint64_t> least[i]
    most[0] = largest
    total[0] = all_of


cdef km_body_void reach_body(const Groups* groups, int D, const int32_t* at) noexcept nogil:
    """Find the groups whose boxes are nearer to a seed than their farthest point to its own."""
    cdef Py_ssize_t g, n = groups.n
    cdef const int32_t* low = groups.low
    cdef const int32_t* high = groups.high
    cdef const int32_t* most = groups.most
    cdef int32_t* near = groups.near
    cdef int32_t distance, below_low, above_high
    cdef int d
    for g in range(n):
        distance = 0
        for d in range(D):
            below_low = max(low[d * n + g] - at[d], 0)
            above_high = max(at[d] - high[d * n + g], 0)
            distance += (below_low + above_high) * (below_low + above_high)
        near[g] = distance < most[g]


cdef void measure_base(
        const int32_t* a, Py_ssize_t b, Py_ssize_t c, int d, const int32_t* e, const int64_t* f,
        int32_t* g, int32_t* h, uint64_t* i) noexcept nogil:
    if d == 3:
        measure_body(a, b, c, 3, e, f, g, h, i)
    else:
        measure_body(a, b, c, 4, e, f, g, h, i)


cdef km_v3_void measure_v3(
        const int32_t* a, Py_ssize_t b, Py_ssize_t c, int d, const int32_t* e, const int64_t* f,
        int32_t* g, int32_t* h, uint64_t* i) noexcept nogil:
    if d == 3:
        measure_body(a, b, c, 3, e, f, g, h, i)
    else:
        measure_body(a, b, c, 4, e, f, g, h, i)


cdef km_v4_void measure_v4(
        const int32_t* a, Py_ssize_t b, Py_ssize_t c, int d, const int32_t* e, const int64_t* f,
        int32_t* g, int32_t* h, uint64_t* i) noexcept nogil:
    if d == 3:
        measure_body(a, b, c, 3, e, f, g, h, i)
    else:
        measure_body(a, b, c, 4, e, f, g, h, i)


cdef void reach_base(const Groups* a, int b, const int32_t* c) noexcept nogil:
    if b == 3:
        reach_body(a, 3, c)
    else:
        reach_body(a, 4, c)


cdef km_v3_void reach_v3(const Groups* a, int b, const int32_t* c) noexcept nogil:
    if b == 3:
        reach_body(a, 3, c)
    else:
        reach_body(a, 4, c)


cdef km_v4_void reach_v4(const Groups* a, int b, const int32_t* c) noexcept nogil:
    if b == 3:
        reach_body(a, 3, c)
    else:
        reach_body(a, 4, c)


cdef void free_groups(Groups* groups) noexcept nogil:
    free(groups.low)
    free(groups.high)
    free(groups.most)
    free(groups.near)
    free(groups.total)


cdef int make_groups(Groups* groups, const int32_t* x, Py_ssize_t stride, Py_ssize_t n, int D,
                     const int64_t* w, const int32_t* least) noexcept nogil:
    """Box and sum up the groups, or return -1."""
    cdef Py_ssize_t g, i, first, last
    cdef int32_t value, low, high
    cdef uint64_t total
    cdef int d
    groups.n = (n + GROUP - 1) // GROUP
    groups.low = <int32_t*> malloc(D * groups.n * sizeof(int32_t))
    groups.high = <int32_t*> malloc(D * groups.n * sizeof(int32_t))
    groups.most = <int32_t*> malloc(groups.n * sizeof(int32_t))
    groups.near = <int32_t*> malloc(groups.n * sizeof(int32_t))
    groups.total = <uint64_t*> malloc(groups.n * sizeof(uint64_t))
    if (groups.low == NULL or groups.high == NULL or groups.most == NULL or groups.near == NULL
            or groups.total == NULL):
        return -1
    for g in range(groups.n):
        first = g * GROUP
        last = min(first + GROUP, n)
        for d in range(D):
            low = high = x[d * stride + first]
            for i in range(first, last):
                value = x[d * stride + i]
                low = value if value < low else low
                high = value if value > high else high
            groups.low[d * groups.n + g] = low
            groups.high[d * groups.n + g] = high
        high = 0
        total = 0
        for i in range(first, last):
            high = least[i] if least[i] > high else high
        for i in range(first, last):
            total += <uint64_t> w[i] * <uint64_t> least[i]
        groups.most[g] = high
        groups.total[g] = total
    return 0


cdef Py_ssize_t draw(const Groups* groups, Py_ssize_t n, const int64_t* w, const int32_t* least,
                     uint64_t random) noexcept nogil:
    """The point at which the sum of weight times least distance passes a number, else the last."""
    cdef Py_ssize_t g, i
    for g in range(groups.n):
        if random < groups.total[g]:
            for i in range(g * GROUP, min((g + 1) * GROUP, n)):
                if random < <uint64_t> w[i] * <uint64_t> least[i]:
                    return i
                random -= <uint64_t> w[i] * <uint64_t> least[i]
        random -= groups.total[g]
    return n - 1


def plus_plus(const int32_t[:, ::1] points not None,    # IN (3 or 4, at least n)
              const int64_t[::1] weights not None,      # IN (n,) sum below 2^33
              int32_t[::1] least not None,              # INOUT (n,)
              int64_t[::1] seeds not None,              # OUT (K,) numbers of points
              uint64_t[::1] state not None,             # INOUT (2,) random state, sum
              Py_ssize_t first, Py_ssize_t last, int level):
    """Draw seeds [first, last): the very first by weight, each other by weight times squared
    distance to those drawn.

    To begin with least is 1 everywhere, and state[1] the sum of the weights. If no point away from
    the seeds is left the last point is drawn.
    """
    cdef measure_fn measure = <measure_fn> measure_base
    cdef reach_fn reach = <reach_fn> reach_base
    cdef Groups groups
    cdef const int32_t* x = &points[0, 0]
    cdef int32_t at[4]
    cdef Py_ssize_t g, i, k, n = weights.shape[0], stride = points.shape[1], start
    cdef int D = <int> points.shape[0], d
    if level == 1:
        measure = <measure_fn> measure_v3
        reach = <reach_fn> reach_v3
    elif level >= 2:
        measure = <measure_fn> measure_v4
        reach = <reach_fn> reach_v4
    if make_groups(&groups, x, stride, n, D, &weights[0], &least[0]):
        free_groups(&groups)
        raise MemoryError
    with nogil:
        for k in range(first, last):
            seeds[k] = draw(&groups, n, &weights[0], &least[0], below(state[1], &state[0]))
            for d in range(D):
                at[d] = x[d * stride + seeds[k]]
            if k == 0:
                state[1] = 0
                for i in range(n):
                    least[i] = FAR
                for g in range(groups.n):
                    groups.most[g] = FAR
            reach(&groups, D, at)
            for g in range(groups.n):
                if groups.near[g]:
                    start = g * GROUP
                    state[1] -= groups.total[g] if k else 0
                    measure(x + start, stride, min(<Py_ssize_t> GROUP, n - start), D, at,
                            &weights[start], &least[start], &groups.most[g], &groups.total[g])
                    state[1] += groups.total[g]
        free_groups(&groups)
