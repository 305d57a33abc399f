# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""How far pixels are from the entries that stand for them; coordinates are those of
kmeans_c/spaces.py."""

from cython.parallel cimport prange
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t

from kmeans_c._kernels.spaces cimport rgba_point

ctypedef fused index_t:
    uint8_t
    uint16_t

cdef enum:
    RUN = 4096      # pixels of one sum


cdef int64_t run_error(const uint8_t* p, int channels, const index_t* index, Py_ssize_t n,
                       const int32_t* entries, int width) noexcept nogil:
    cdef int64_t total = 0
    cdef int32_t point[4]
    cdef int32_t delta
    cdef Py_ssize_t i
    cdef int d
    for i in range(n):
        if channels == 4:
            rgba_point(p + 4 * i, &point[0], &point[1], &point[2], &point[3])
        else:
            for d in range(channels):
                point[d] = 64 * p[channels * i + d]
        for d in range(channels):
            delta = point[d] - entries[width * index[i] + d]
            total += delta * delta
    return total


def squared_error(const uint8_t[:, ::1] pixels not None,    # IN (n, 1, 3 or 4)
                  const index_t[::1] indices not None,      # IN (n,)
                  const int32_t[:, ::1] entries not None,   # IN (K, 3 or 4) coordinates
                  int n_threads):
    """Return the sum of the squared distances: n is at most 2^32."""
    cdef Py_ssize_t run, n = pixels.shape[0]
    cdef int channels = <int> pixels.shape[1], width = <int> entries.shape[1]
    cdef int64_t total = 0
    for run in prange((n + RUN - 1) // RUN, nogil=True, num_threads=n_threads, schedule="static"):
        total += run_error(&pixels[RUN * run, 0], channels, &indices[RUN * run],
                           min(<Py_ssize_t> RUN, n - RUN * run), &entries[0, 0], width)
    return total
