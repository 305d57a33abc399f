# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""k-means++ (Arthur & Vassilvitskii 2007) over weighted points, in integers."""

from libc.stdint cimport int32_t, int64_t, uint64_t

cdef extern from "multiversion.h" nogil:
    ctypedef void km_body_void "KM_BODY_VOID"
    ctypedef void km_v3_void "KM_V3_VOID"
    ctypedef void km_v4_void "KM_V4_VOID"

ctypedef void (*nearer_fn)(const int32_t*, Py_ssize_t, Py_ssize_t, int, Py_ssize_t, const int64_t*,
                           int32_t*, uint64_t*) noexcept nogil


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


cdef km_body_void nearer_body(const int32_t* x, Py_ssize_t stride, Py_ssize_t n, int D,
                              Py_ssize_t seed, const int64_t* w, int32_t* least,
                              uint64_t* total) noexcept nogil:
    """Lower each point's squared distance to the seeds by one seed more; add up w times it."""
    cdef Py_ssize_t i
    cdef int32_t at[4]
    cdef int32_t distance, delta
    cdef uint64_t all_of = 0
    cdef int d
    for d in range(4):
        at[d] = x[d * stride + seed] if d < D else 0
    for i in range(n):
        distance = 0
        for d in range(D):
            delta = x[d * stride + i] - at[d]
            distance += delta * delta
        distance = least[i] if least[i] < distance else distance
        least[i] = distance
        all_of += <uint64_t> w[i] * <uint64_t> distance
    total[0] = all_of


cdef void nearer_base(const int32_t* a, Py_ssize_t b, Py_ssize_t c, int d, Py_ssize_t e,
                      const int64_t* f, int32_t* g, uint64_t* h) noexcept nogil:
    if d == 3:
        nearer_body(a, b, c, 3, e, f, g, h)
    else:
        nearer_body(a, b, c, 4, e, f, g, h)


cdef km_v3_void nearer_v3(const int32_t* a, Py_ssize_t b, Py_ssize_t c, int d, Py_ssize_t e,
                          const int64_t* f, int32_t* g, uint64_t* h) noexcept nogil:
    if d == 3:
        nearer_body(a, b, c, 3, e, f, g, h)
    else:
        nearer_body(a, b, c, 4, e, f, g, h)


cdef km_v4_void nearer_v4(const int32_t* a, Py_ssize_t b, Py_ssize_t c, int d, Py_ssize_t e,
                          const int64_t* f, int32_t* g, uint64_t* h) noexcept nogil:
    if d == 3:
        nearer_body(a, b, c, 3, e, f, g, h)
    else:
        nearer_body(a, b, c, 4, e, f, g, h)


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
    cdef nearer_fn nearer = <nearer_fn> nearer_base
    cdef Py_ssize_t i, k, n = weights.shape[0]
    cdef int D = <int> points.shape[0]
    cdef uint64_t random
    if level == 1:
        nearer = <nearer_fn> nearer_v3
    elif level >= 2:
        nearer = <nearer_fn> nearer_v4
    with nogil:
        for k in range(first, last):
            random = below(state[1], &state[0])
            i = 0
            for i in range(n):
                if random < <uint64_t> weights[i] * <uint64_t> least[i]:
                    break
                random -= <uint64_t> weights[i] * <uint64_t> least[i]
            seeds[k] = i
            if k == 0:
                for i in range(n):
                    least[i] = 0x7fffffff
            nearer(&points[0, 0], points.shape[1], n, D, seeds[k], &weights[0], &least[0],
                   &state[1])
