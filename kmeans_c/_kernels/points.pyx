# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""Weighted points in groups of neighbours: three levels of nodes with bounding boxes and, for the
smallest, sums."""

from cython.parallel cimport prange
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.stdlib cimport calloc, free, malloc, realloc

cdef extern from "multiversion.h" nogil:
    ctypedef void km_body_void "KM_BODY_VOID"
    ctypedef void km_v3_void "KM_V3_VOID"
    ctypedef void km_v4_void "KM_V4_VOID"


cdef int add_node(Nodes* nodes, Py_ssize_t first) noexcept nogil:
    cdef Py_ssize_t room
    cdef void* at
    if nodes.n + 1 >= nodes.room:
        room = 2 * nodes.room + 64
        at = realloc(nodes.first, room * sizeof(Py_ssize_t))
        if at == NULL:
            return -1
        nodes.first = <Py_ssize_t*> at
        nodes.room = room
    nodes.first[nodes.n] = first
    nodes.n += 1
    return 0


cdef void free_nodes(Nodes* nodes) noexcept nogil:
    free(nodes.first)
    free(nodes.low)
    free(nodes.high)


cdef Py_ssize_t split(const uint32_t* keys, Py_ssize_t start, Py_ssize_t end) noexcept nogil:
    """Where the highest bit that differs within the sorted keys becomes 1."""
    cdef uint32_t bits = keys[start] ^ keys[end - 1], pivot
    cdef Py_ssize_t low = start, high = end, middle
    bits |= bits >> 1
    bits |= bits >> 2
    bits |= bits >> 4
    bits |= bits >> 8
    bits |= bits >> 16
    pivot = keys[end - 1] & ~(bits >> 1)
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] < pivot:
            low = middle + 1
        else:
            high = middle
    return low


ctypedef void (*box_fn)(const int32_t*, Py_ssize_t, const int64_t*, Py_ssize_t, int32_t*,
                        int32_t*, int64_t*, int64_t*) noexcept nogil


cdef km_body_void box_body(int D, const int32_t* x, Py_ssize_t stride, const int64_t* w,
                           Py_ssize_t n, int32_t* low, int32_t* high, int64_t* sums,
                           int64_t* squares) noexcept nogil:
    """Bound n points and add them up: w x and w; of w |x|^2 the high and the low part."""
    cdef Py_ssize_t i
    cdef int d
    cdef int32_t least, most, value, square
    cdef int64_t total = 0, high_part = 0, low_part = 0
    for d in range(D):
        least = most = x[d * stride]
        for i in range(n):
            value = x[d * stride + i]
            least = value if value < least else least
            most = value if value > most else most
        low[d] = least
        high[d] = most
        total = 0
        for i in range(n):
            total += w[i] * x[d * stride + i]
        sums[d] = total
    total = 0
    for i in range(n):
        square = 0      # below 2^30
        for d in range(D):
            square += x[d * stride + i] * x[d * stride + i]
        high_part += w[i] * (square >> 15)
        low_part += w[i] * (square & 0x7fff)
        total += w[i]
    sums[D] = total
    squares[0] = high_part
    squares[1] = low_part


cdef void box3(
        const int32_t* a, Py_ssize_t b, const int64_t* c, Py_ssize_t d, int32_t* e, int32_t* f,
        int64_t* g, int64_t* h) noexcept nogil:
    box_body(3, a, b, c, d, e, f, g, h)


cdef km_v3_void box3_v3(
        const int32_t* a, Py_ssize_t b, const int64_t* c, Py_ssize_t d, int32_t* e, int32_t* f,
        int64_t* g, int64_t* h) noexcept nogil:
    box_body(3, a, b, c, d, e, f, g, h)


cdef km_v4_void box3_v4(
        const int32_t* a, Py_ssize_t b, const int64_t* c, Py_ssize_t d, int32_t* e, int32_t* f,
        int64_t* g, int64_t* h) noexcept nogil:
    box_body(3, a, b, c, d, e, f, g, h)


cdef void box4(
        const int32_t* a, Py_ssize_t b, const int64_t* c, Py_ssize_t d, int32_t* e, int32_t* f,
        int64_t* g, int64_t* h) noexcept nogil:
    box_body(4, a, b, c, d, e, f, g, h)


cdef km_v3_void box4_v3(
        const int32_t* a, Py_ssize_t b, const int64_t* c, Py_ssize_t d, int32_t* e, int32_t* f,
        int64_t* g, int64_t* h) noexcept nogil:
    box_body(4, a, b, c, d, e, f, g, h)


cdef km_v4_void box4_v4(
        const int32_t* a, Py_ssize_t b, const int64_t* c, Py_ssize_t d, int32_t* e, int32_t* f,
        int64_t* g, int64_t* h) noexcept nogil:
    box_body(4, a, b, c, d, e, f, g, h)


cdef box_fn box_at(int D, int level) noexcept nogil:
    if D == 4:
        return (<box_fn> box4_v4 if level == 2 else
                <box_fn> box4_v3 if level == 1 else <box_fn> box4)
    return (<box_fn> box3_v4 if level == 2 else
            <box_fn> box3_v3 if level == 1 else <box_fn> box3)


cdef class Points:
    """Weighted points, grouped.

    Parameters ---------- keys : (n,) ascending and distinct: points near in this order should be
    near in space (Z-order numbers are) coordinates : (D, n + 64) with D 3 or 4, values 0..16383;
    the last 64 columns are padding weights : (n,) above 0, their sum at most 2^47
    """

    def __cinit__(self, const uint32_t[::1] keys not None,
                  const int32_t[:, ::1] coordinates not None,
                  const int64_t[::1] weights not None,
                  int n_threads, int level):
        self.coordinates = coordinates
        self.weights = weights
        self.n = weights.shape[0]
        self.D = <int> coordinates.shape[0]
        self.stride = coordinates.shape[1]
        self.x = &coordinates[0, 0]
        self.w = &weights[0]
        cdef int failed
        with nogil:
            failed = self.build(&keys[0], n_threads, level)
        if failed:
            raise MemoryError

    def __dealloc__(self):
        free_nodes(&self.tops)
        free_nodes(&self.mids)
        free_nodes(&self.leaves)
        free(self.leaf_sums)
        free(self.leaf_squares)

    cdef int build(self, const uint32_t* keys, int n_threads, int level) noexcept nogil:
        """Cut the points where their keys' prefixes end, until the parts are small; box them."""
        cdef Py_ssize_t ends[128]       # of the parts still to be cut, outermost first
        cdef Py_ssize_t start = 0, end, top_end = 0, mid_end = 0
        cdef int depth = 1
        ends[0] = self.n
        while depth:
            end = ends[depth - 1]
            if start >= top_end and end - start <= TOP:
                if add_node(&self.tops, self.mids.n):
                    return -1
                top_end = end
            if start >= mid_end and end - start <= MID:
                if add_node(&self.mids, self.leaves.n):
                    return -1
                mid_end = end
            if end - start <= LEAF:
                if add_node(&self.leaves, start):
                    return -1
                start = end
                depth -= 1
            else:
                ends[depth] = split(keys, start, end)
                depth += 1
        self.tops.first[self.tops.n] = self.mids.n
        self.mids.first[self.mids.n] = self.leaves.n
        self.leaves.first[self.leaves.n] = self.n
        self.leaf_sums = <int64_t*> calloc(self.leaves.n * (self.D + 1), sizeof(int64_t))
        if (self.leaf_sums == NULL or self.box_points(n_threads, level)
                or self.box_nodes(&self.mids, &self.leaves)
                or self.box_nodes(&self.tops, &self.mids)):
            return -1
        return 0

    cdef int box_points(self, int n_threads, int level) noexcept nogil:
        cdef Py_ssize_t leaf, first, n
        cdef int64_t high = 0, low = 0
        cdef box_fn box = box_at(self.D, level)
        self.leaves.low = <int32_t*> malloc(4 * self.leaves.n * sizeof(int32_t))
        self.leaves.high = <int32_t*> malloc(4 * self.leaves.n * sizeof(int32_t))
        self.leaf_squares = <int64_t*> malloc(2 * self.leaves.n * sizeof(int64_t))
        if self.leaf_squares == NULL or self.leaves.low == NULL or self.leaves.high == NULL:
            return -1
        for leaf in prange(self.leaves.n, num_threads=n_threads, schedule="static"):
            first = self.leaves.first[leaf]
            n = self.leaves.first[leaf + 1] - first
            box(self.x + first, self.stride, self.w + first, n, self.leaves.low + 4 * leaf,
                self.leaves.high + 4 * leaf, self.leaf_sums + leaf * (self.D + 1),
                self.leaf_squares + 2 * leaf)
        for leaf in range(self.leaves.n):
            high += self.leaf_squares[2 * leaf]
            low += self.leaf_squares[2 * leaf + 1]
        self.squares_high = high
        self.squares_low = low
        return 0

    cdef int box_nodes(self, Nodes* nodes, Nodes* below) noexcept nogil:
        cdef Py_ssize_t node, child
        cdef int d
        nodes.low = <int32_t*> malloc(4 * nodes.n * sizeof(int32_t))
        nodes.high = <int32_t*> malloc(4 * nodes.n * sizeof(int32_t))
        if nodes.low == NULL or nodes.high == NULL:
            return -1
        for node in range(nodes.n):
            for d in range(self.D):
                nodes.low[4 * node + d] = below.low[4 * nodes.first[node] + d]
                nodes.high[4 * node + d] = below.high[4 * nodes.first[node] + d]
            for child in range(nodes.first[node], nodes.first[node + 1]):
                for d in range(self.D):
                    nodes.low[4 * node + d] = min(nodes.low[4 * node + d], below.low[4 * child + d])
                    nodes.high[4 * node + d] = max(nodes.high[4 * node + d],
                                                   below.high[4 * child + d])
        return 0

    def n_leaves(self):
        """Return the number of groups of neighbouring points."""
        return self.leaves.n

    def leaf_means(self, int32_t[:, ::1] means not None,    # OUT (D, n_leaves)
                   int64_t[::1] weights not None):          # OUT (n_leaves,)
        """Write the mean and the weight of each group: a coarse picture of the points."""
        cdef Py_ssize_t leaf
        cdef int d
        cdef int64_t weight
        with nogil:
            for leaf in range(self.leaves.n):
                weight = self.leaf_sums[leaf * (self.D + 1) + self.D]
                weights[leaf] = weight
                for d in range(self.D):
                    means[d, leaf] = <int32_t> (
                        (2 * self.leaf_sums[leaf * (self.D + 1) + d] + weight) // (2 * weight))

    def squares(self):
        """Return the sum of w |x|^2."""
        return (int(self.squares_high) << 15) + self.squares_low
