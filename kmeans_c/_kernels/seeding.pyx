# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""What k-means++ asks of every point: how far it is from the nearest centroid drawn so far; and
what a point is called, wherever it stands."""

from cython.parallel cimport prange
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

ctypedef unsigned char uchar

ctypedef fused value:
    uchar
    float
    double


cdef double closer_part(
    const value* x, Py_ssize_t n, Py_ssize_t D, const value* row, const double* weights,
    double* distance
) noexcept nogil:
    cdef Py_ssize_t i, d
    cdef double s, t, t0, t1, t2, t3, part = 0
    for i in range(n):
        s = 0
        for d in range(0, D - 3, 4):  # sums of four need not wait for each other
            t0 = <double> x[i * D + d] - <double> row[d]
            t1 = <double> x[i * D + d + 1] - <double> row[d + 1]
            t2 = <double> x[i * D + d + 2] - <double> row[d + 2]
            t3 = <double> x[i * D + d + 3] - <double> row[d + 3]
            s += (t0 * t0 + t1 * t1) + (t2 * t2 + t3 * t3)
        for d in range(D & ~3, D):
            t = <double> x[i * D + d] - <double> row[d]
            s += t * t
        if s < distance[i]:
            distance[i] = s
        part += distance[i] if weights == NULL else weights[i] * distance[i]
    return part


def closer(const value[:, ::1] X not None, Py_ssize_t row, const double[::1] weights,
           double[::1] distance not None, double[::1] parts not None, Py_ssize_t length,
           Py_ssize_t first, Py_ssize_t last, int n_threads):
    """For the parts [first, last), of `length` points each: INOUT each point's squared distance to
    the nearest row so far; OUT their sum over the part.

    The sums are weighted; `weights` may be None, all are 1 then.
    """
    cdef Py_ssize_t N = X.shape[0], D = X.shape[1], p, a, n
    cdef const double* weight = &weights[0] if weights is not None else NULL
    for p in prange(first, last, num_threads=n_threads, nogil=True):
        a = p * length
        n = min(length, N - a)
        # Three coordinates are unrolled: with D a constant the inner loop is.
        parts[p] = closer_part(&X[a, 0], n, 3 if D == 3 else D, &X[row, 0],
                               weight + a if weight != NULL else NULL, &distance[a])


cdef uint64_t fingerprint(const value* x, Py_ssize_t D) noexcept nogil:
    cdef Py_ssize_t d
    cdef uint64_t bits, result = 0
    cdef double number
    for d in range(D):
        number = <double> x[d] + 0.0  # makes -0.0 the 0.0 that it equals
        memcpy(&bits, &number, sizeof(bits))
        # An odd factor, the golden ratio's digits: Knuth's multiplicative hashing.
        result = (result ^ bits) * <uint64_t> 0x9E3779B97F4A7C15
        result ^= result >> 29
    return result


def fingerprints(const value[:, ::1] X not None, uint64_t[::1] out not None, Py_ssize_t first,
                 Py_ssize_t last, int n_threads):
    """OUT one number for the content of each of the rows [first, last)."""
    cdef Py_ssize_t D = X.shape[1], i
    for i in prange(first, last, num_threads=n_threads, schedule="static", nogil=True):
        out[i] = fingerprint(&X[i, 0], D)
