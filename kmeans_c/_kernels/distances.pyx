# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""How far N points of D coordinates are from their own centroid, from all of them, and from rows
that may become centroids.

Differences are squared and added, never |x|^2 + |c|^2 - 2 x.c, which would lose the digits of small
distances. Each distance is summed in one order in a lane of its own, so that every SIMD level
rounds alike.
"""

from cython.parallel cimport prange
from libc.math cimport sqrt, sqrtf

cdef extern from "multiversion.h" nogil:
    ctypedef void km_body_void "KM_BODY_VOID"
    ctypedef void km_v3_void "KM_V3_VOID"
    ctypedef void km_v4_void "KM_V4_VOID"

cdef enum:
    TILE = 64  # centroids whose sums stand side by side in the first-level cache
    BLOCK = 64  # points that a thread takes at a time
    LINE = 64  # bytes of the widest vector

ctypedef unsigned char uchar

ctypedef fused value:  # what the points hold
    uchar
    float
    double

ctypedef fused real:  # what distances are computed and returned in
    float
    double


cdef double own_part(
    const value* x, const double* weights, Py_ssize_t n, Py_ssize_t D, const double* centroids,
    const int* labels
) noexcept nogil:
    cdef Py_ssize_t i, d
    cdef double s, t, part = 0
    cdef const double* c
    for i in range(n):
        c = centroids + <Py_ssize_t> labels[i] * D
        s = 0
        for d in range(D):
            t = <double> x[i * D + d] - c[d]
            s += t * t
        part += s if weights == NULL else weights[i] * s
    return part


def own(const value[:, ::1] X not None, const double[::1] weights,
        const double[:, ::1] centroids not None, const int[::1] labels not None,
        double[::1] parts not None, Py_ssize_t length, Py_ssize_t first, Py_ssize_t last,
        int n_threads):
    """For the parts [first, last), of `length` points each: OUT the sum of their points' squared
    distances to the centroids that `labels` names.

    The sums are weighted; `weights` may be None, all are 1 then.
    """
    cdef Py_ssize_t N = X.shape[0], D = X.shape[1], p, a
    cdef const double* weight = &weights[0] if weights is not None else NULL
    for p in prange(first, last, num_threads=n_threads, nogil=True):
        a = p * length
        # Three coordinates are unrolled: with D a constant the inner loop is.
        parts[p] = own_part(&X[a, 0], weight + a if weight != NULL else NULL, min(length, N - a),
                            3 if D == 3 else D, &centroids[0, 0], &labels[a])


cdef km_body_void rows(
    const real* restrict x, Py_ssize_t n, Py_ssize_t D, const real* restrict table, Py_ssize_t K,
    real* restrict out
) noexcept nogil:
    """IN n points and the table, OUT (n, K) squares. Two points at a time share what is read."""
    cdef Py_ssize_t tile, i, second, k, d, j, count, width
    cdef real x0, x1, x2, x3, y0, y1, y2, y3, t0, t1, t2, t3
    cdef real[TILE] s, r
    cdef const real* restrict t
    for tile in range((K + TILE - 1) // TILE):
        k = tile * TILE
        count = min(<Py_ssize_t> TILE, K - k)
        # Whole vectors, also of a few centroids: the rest would be taken one at a time.
        width = (count + LINE // sizeof(real) - 1) & ~<Py_ssize_t> (LINE // sizeof(real) - 1)
        for i in range(0, n, 2):
            second = min(i + 1, n - 1)
            for j in range(width):
                s[j] = 0
                r[j] = 0
            t = table + k * D
            for d in range(0, D - 3, 4):
                x0 = x[i * D + d]
                x1 = x[i * D + d + 1]
                x2 = x[i * D + d + 2]
                x3 = x[i * D + d + 3]
                y0 = x[second * D + d]
                y1 = x[second * D + d + 1]
                y2 = x[second * D + d + 2]
                y3 = x[second * D + d + 3]
                for j in range(width):
                    t0 = t[j]
                    t1 = t[TILE + j]
                    t2 = t[2 * TILE + j]
                    t3 = t[3 * TILE + j]
                    s[j] = s[j] + (((x0 - t0) * (x0 - t0) + (x1 - t1) * (x1 - t1))
                                   + ((x2 - t2) * (x2 - t2) + (x3 - t3) * (x3 - t3)))
                    r[j] = r[j] + (((y0 - t0) * (y0 - t0) + (y1 - t1) * (y1 - t1))
                                   + ((y2 - t2) * (y2 - t2) + (y3 - t3) * (y3 - t3)))
                t += 4 * TILE
            for d in range(D & ~3, D):
                x0 = x[i * D + d]
                y0 = x[second * D + d]
                for j in range(width):
                    t0 = t[j]
                    s[j] = s[j] + (x0 - t0) * (x0 - t0)
                    r[j] = r[j] + (y0 - t0) * (y0 - t0)
                t += TILE
            for j in range(count):
                out[i * K + k + j] = s[j]
            for j in range(count):
                out[second * K + k + j] = r[j]

cdef km_body_void roots(real* x, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        x[i] = sqrtf(x[i]) if real is float else sqrt(x[i])


cdef km_body_void lowered(
    const real* restrict squares, const double* restrict distance, const double* weights,
    Py_ssize_t n, Py_ssize_t L, double* restrict part
) noexcept nogil:
    """IN (n, L) squares and the points' own; INOUT L weighted sums of the lower of both."""
    cdef Py_ssize_t i, j
    cdef double own, other, w = 1
    for i in range(n):
        own = distance[i]
        if weights != NULL:
            w = weights[i]
        for j in range(L):
            other = <double> squares[i * L + j]
            part[j] = part[j] + w * (other if other < own else own)


# ---- A block of points on one thread: one wrapper a SIMD level. Where `distance` is not NULL it is
# squares that are wanted, and sums into `part`.

cdef km_body_void block(
    const real* x, Py_ssize_t n, Py_ssize_t D, const real* table, Py_ssize_t K, real* out,
    const double* distance, const double* weights, double* part
) noexcept nogil:
    rows(x, n, D, table, K, out)
    if distance == NULL:
        roots(out, n * K)
    else:
        lowered(out, distance, weights, n, K, part)

cdef void block_baseline(
    const real* x, Py_ssize_t n, Py_ssize_t D, const real* table, Py_ssize_t K, real* out,
    const double* distance, const double* weights, double* part
) noexcept nogil:
    block(x, n, D, table, K, out, distance, weights, part)

cdef km_v3_void block_avx2(
    const real* x, Py_ssize_t n, Py_ssize_t D, const real* table, Py_ssize_t K, real* out,
    const double* distance, const double* weights, double* part
) noexcept nogil:
    block(x, n, D, table, K, out, distance, weights, part)

cdef km_v4_void block_avx512(
    const real* x, Py_ssize_t n, Py_ssize_t D, const real* table, Py_ssize_t K, real* out,
    const double* distance, const double* weights, double* part
) noexcept nogil:
    block(x, n, D, table, K, out, distance, weights, part)

cdef void block_at(
    int level, const real* x, Py_ssize_t n, Py_ssize_t D, const real* table, Py_ssize_t K,
    real* out, const double* distance, const double* weights, double* part
) noexcept nogil:
    if level >= 2:
        block_avx512(x, n, D, table, K, out, distance, weights, part)
    elif level == 1:
        block_avx2(x, n, D, table, K, out, distance, weights, part)
    else:
        block_baseline(x, n, D, table, K, out, distance, weights, part)


# ---- The doors. A table is (ceil(K / TILE), D, TILE): centroids, TILE of them side by side. What
# stands behind the last one is read, and nothing becomes of it.

def every(const real[:, ::1] X not None, const real[:, :, ::1] table not None,
          real[:, ::1] out not None, Py_ssize_t start, Py_ssize_t stop, int n_threads, int level):
    """OUT rows [start, stop) of the (N, K) distances from each point to each centroid."""
    cdef Py_ssize_t D = X.shape[1], K = out.shape[1], b, a
    cdef const real* packed = &table[0, 0, 0]
    for b in prange((stop - start + BLOCK - 1) // BLOCK, num_threads=n_threads, nogil=True):
        a = start + b * BLOCK
        block_at(level, &X[a, 0], min(<Py_ssize_t> BLOCK, stop - a), D, packed, K, &out[a, 0],
                 NULL, NULL, NULL)


cdef void potential(
    int level, const real* x, Py_ssize_t n, Py_ssize_t D, const real* table, Py_ssize_t L,
    real* squares, const double* distance, const double* weights, double* part
) noexcept nogil:
    cdef Py_ssize_t a
    for a in range(L):
        part[a] = 0
    for a in range(0, n, 64):  # BLOCK, which a step cannot be called
        block_at(level, x + a * D, min(<Py_ssize_t> BLOCK, n - a), D, table, L, squares + a * L,
                 distance + a, weights + a if weights != NULL else NULL, part)


def potentials(const real[:, ::1] X not None, const double[::1] weights,
               const double[::1] distance not None, const real[:, :, ::1] table not None,
               real[:, ::1] squares not None, double[:, ::1] parts not None, Py_ssize_t length,
               Py_ssize_t first, Py_ssize_t last, int n_threads, int level):
    """For the parts [first, last), of `length` points each: OUT (part, candidate) what the sum of
    their squared distances would be with each of some rows as a further centroid.

    IN distance: the squares so far; the table of the candidates. OUT (N, candidate) the squares.
    The sums are weighted; `weights` may be None, all are 1 then.
    """
    cdef Py_ssize_t N = X.shape[0], D = X.shape[1], L = parts.shape[1], p, a
    cdef const double* weight = &weights[0] if weights is not None else NULL
    cdef const real* packed = &table[0, 0, 0]
    for p in prange(first, last, num_threads=n_threads, nogil=True):
        a = p * length
        potential(level, &X[a, 0], min(length, N - a), D, packed, L, &squares[a, 0], &distance[a],
                  weight + a if weight != NULL else NULL, &parts[p, 0])
