# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""A coarse picture of grouped points: at most N cells, each with the mean and weight of its points.

Points stand in Z-order, so a cell is a range of them: some whole leaves, or a part of one. The
cell with the largest squared error within is cut next, where the highest bit of its keys changes.
Sums are kept as integers and compared as floats, which decide where cells are and nothing else.
Two sets of points (opaque colours and others) can share the cells, none of which holds both.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from kmeans_c._kernels.points cimport LEAF, Points, split


cdef struct Sums:
    int64_t s[5]        # of w x, D of them, then of w
    int64_t high        # of w |x|^2, the parts above and below 2^15
    int64_t low


cdef struct Cell:
    int source          # whose points: the first (0) or the second set
    Py_ssize_t first    # points
    Py_ssize_t last
    Py_ssize_t leaf     # the leaf in which, or with which, it begins
    Sums sums


cdef struct Place:      # of a cell in the heap
    double error
    Py_ssize_t cell


cdef inline void add(Sums* to, const Sums* part, int sign) noexcept nogil:
    cdef int d
    for d in range(5):
        to.s[d] += sign * part.s[d]
    to.high += sign * part.high
    to.low += sign * part.low


cdef inline double error_of(const Sums* sums, int D) noexcept nogil:
    cdef double inside = 32768.0 * <double> sums.high + <double> sums.low
    cdef double weight = <double> sums.s[D]
    cdef int d
    for d in range(D):
        inside -= <double> sums.s[d] * <double> sums.s[d] / weight
    return inside


cdef inline bint before(const Place* a, const Place* b) noexcept nogil:
    return a.error > b.error or (a.error == b.error and a.cell < b.cell)


cdef void sift_down(Place* heap, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t at = 0, child
    cdef Place moving = heap[0]
    while 2 * at + 1 < n:
        child = 2 * at + 1
        if child + 1 < n and before(&heap[child + 1], &heap[child]):
            child += 1
        if not before(&heap[child], &moving):
            break
        heap[at] = heap[child]
        at = child
    heap[at] = moving


cdef void sift_up(Place* heap, Py_ssize_t at) noexcept nogil:
    cdef Place moving = heap[at]
    while at > 0 and before(&moving, &heap[(at - 1) // 2]):
        heap[at] = heap[(at - 1) // 2]
        at = (at - 1) // 2
    heap[at] = moving


cdef void sums_of_points(Points of, Py_ssize_t first, Py_ssize_t last, Sums* sums) noexcept nogil:
    cdef Py_ssize_t i
    cdef int64_t square
    cdef int d
    for i in range(first, last):
        square = 0
        for d in range(of.D):
            sums.s[d] += of.w[i] * of.x[d * of.stride + i]
            square += <int64_t> of.x[d * of.stride + i] * of.x[d * of.stride + i]
        sums.s[of.D] += of.w[i]
        sums.high += of.w[i] * (square >> 15)
        sums.low += of.w[i] * (square & 0x7fff)


cdef Py_ssize_t leaf_at(const Py_ssize_t* first, Py_ssize_t low, Py_ssize_t high,
                        Py_ssize_t point) noexcept nogil:
    """The leaf in low..high that begins with a point."""
    cdef Py_ssize_t middle
    while low < high:
        middle = (low + high) >> 1
        if first[middle] < point:
            low = middle + 1
        else:
            high = middle
    return low


cdef void halve(Points of, const uint32_t* keys, const Sums* running, Cell* cell,
                Cell* right) noexcept nogil:
    """Cut a cell in two."""
    cdef Py_ssize_t middle = split(keys, cell.first, cell.last), leaf = cell.leaf
    cdef Cell left = cell[0]
    if cell.last - cell.first > LEAF:
        leaf = leaf_at(of.leaves.first, cell.leaf, of.leaves.n, middle)
        left.sums = running[leaf]
        add(&left.sums, &running[cell.leaf], -1)
    else:
        add(&left.sums, &left.sums, -1)
        sums_of_points(of, cell.first, middle, &left.sums)
    left.last = middle
    right[0] = cell[0]
    right.first = middle
    right.leaf = leaf
    add(&right.sums, &left.sums, -1)
    cell[0] = left


cdef Sums* running_sums(Points of) noexcept nogil:
    """The sums of all leaves before each one, and of all; NULL: out of memory."""
    cdef Sums* running = <Sums*> malloc((of.leaves.n + 1) * sizeof(Sums))
    cdef Sums total
    cdef Py_ssize_t leaf
    cdef int d
    if running == NULL:
        return NULL
    memset(&total, 0, sizeof(Sums))
    for leaf in range(of.leaves.n):
        running[leaf] = total
        for d in range(of.D + 1):
            total.s[d] += of.leaf_sums[leaf * (of.D + 1) + d]
        total.high += of.leaf_squares[2 * leaf]
        total.low += of.leaf_squares[2 * leaf + 1]
    running[of.leaves.n] = total
    return running


cdef inline double error_in(const Cell* cell, int D) noexcept nogil:
    return error_of(&cell.sums, D) if cell.last > cell.first + 1 else 0


def coarse(Points of not None,
           const uint32_t[::1] keys not None,       # IN (n,) as the points were given
           int shift,                               # IN of the weights
           int32_t[:, ::1] means not None,          # OUT (D, at least N)
           int64_t[::1] masses not None,            # OUT (N,) weights shifted right, at least 1
           Points more=None,                        # IN other points, whose cells are others too
           const uint32_t[::1] more_keys=None,
           uint8_t[::1] source=None):               # OUT (N,) 1 where a cell is of these
    """Return the number of cells, at most N.

    Where there are two sets of points, N is at least 2, and the first may have fewer coordinates.
    """
    cdef Py_ssize_t N = masses.shape[0], i, found = 1
    cdef int d, D
    cdef int64_t weight
    cdef bint failed
    cdef Place first
    cdef Cell* cells = <Cell*> malloc(N * sizeof(Cell))
    cdef Place* heap = <Place*> malloc(N * sizeof(Place))
    cdef Sums* running = running_sums(of)
    cdef Sums* more_running = NULL
    if more is not None:
        more_running = running_sums(more)
    failed = more is not None and more_running == NULL
    if failed or cells == NULL or heap == NULL or running == NULL:
        free(cells)
        free(heap)
        free(running)
        free(more_running)
        raise MemoryError
    cells[0].source = cells[0].first = cells[0].leaf = 0
    cells[0].last = of.n
    cells[0].sums = running[of.leaves.n]
    heap[0].cell = 0
    heap[0].error = error_in(&cells[0], of.D)
    if more is not None:
        cells[1].source = 1
        cells[1].first = cells[1].leaf = 0
        cells[1].last = more.n
        cells[1].sums = more_running[more.leaves.n]
        heap[1].cell = 1
        heap[1].error = error_in(&cells[1], more.D)
        found = 2
        if before(&heap[1], &heap[0]):
            first = heap[0]
            heap[0] = heap[1]
            heap[1] = first
    with nogil:
        while found < N and heap[0].error > 0:
            i = heap[0].cell
            if cells[i].source:
                D = more.D
                halve(more, &more_keys[0], more_running, &cells[i], &cells[found])
            else:
                D = of.D
                halve(of, &keys[0], running, &cells[i], &cells[found])
            heap[0].error = error_in(&cells[i], D)
            sift_down(heap, found)
            i = found
            heap[i].cell = i
            heap[i].error = error_in(&cells[i], D)
            sift_up(heap, i)
            found += 1
        for i in range(found):
            D = of.D
            if source is not None:
                source[i] = <uint8_t> cells[i].source
                if cells[i].source:
                    D = more.D
            weight = cells[i].sums.s[D]
            masses[i] = max(<int64_t> 1, weight >> shift)
            for d in range(D):
                means[d, i] = <int32_t> ((2 * cells[i].sums.s[d] + weight) // (2 * weight))
    free(cells)
    free(heap)
    free(running)
    free(more_running)
    return found
