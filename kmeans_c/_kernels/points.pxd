# cython: language_level=3
"""Weighted points in groups of neighbours; see points.pyx."""

from libc.stdint cimport int32_t, int64_t, uint32_t

cdef enum:
    LEAF = 64       # points of a leaf, mid and top, at most; leaves of 24 to 64 tried
    MID = 512
    TOP = 4096

cdef struct Nodes:      # of one level, in the order of the points
    Py_ssize_t n
    Py_ssize_t room
    Py_ssize_t* first   # of the level below (leaves: points); n + 1 of them
    int32_t* low        # 4 coordinates a node
    int32_t* high


cdef Py_ssize_t split(const uint32_t* keys, Py_ssize_t start, Py_ssize_t end) noexcept nogil


cdef class Points:
    cdef const int32_t[:, ::1] coordinates
    cdef const int64_t[::1] weights
    cdef const int32_t* x
    cdef const int64_t* w
    cdef Py_ssize_t stride
    cdef readonly Py_ssize_t n
    cdef readonly int D
    cdef Nodes tops
    cdef Nodes mids
    cdef Nodes leaves
    cdef int64_t* leaf_sums     # D + 1 a leaf: sums of w x, then of w
    cdef int64_t* leaf_squares  # 2 a leaf: sum of w |x|^2, the parts above and below 2^15
    cdef int64_t squares_high   # sum of w |x|^2, in two parts below 2^47 2^15
    cdef int64_t squares_low

    cdef int build(self, const uint32_t* keys, int n_threads, int level) noexcept nogil
    cdef int box_points(self, int n_threads, int level) noexcept nogil
    cdef int box_nodes(self, Nodes* nodes, Nodes* below) noexcept nogil
