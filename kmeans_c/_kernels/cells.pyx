# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""A coarse picture of grouped points: at most N cells, each with the mean and weight of its points.

Points stand in Z-order, so a cell is a range of them: some whole leaves, or a part of one. The
cell with the largest squared error within is cut next, where the highest bit of its keys changes.
Sums are kept as integers and compared as floats, which decide where cells are and nothing else.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.stdlib cimport free, malloc

from kmeans_c._kernels.points cimport LEAF, Points, split


cdef struct Sums:
    int64_t s[5]        # of w x, D of them, then of w
    int64_t high        # of w |x|^2, the parts above and below 2^15
    int64_t low


cdef struct Cell:
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


def coarse(Points of not None,
           const uint32_t[::1] keys not None,       # IN (n,) as the points were given
           int shift,                               # IN of the weights
           int32_t[:, ::1] means not None,          # OUT (D, at least N)
           int64_t[::1] masses not None):           # OUT (N,) weights shifted right, at least 1
    """Return the number of cells, at most N."""
    cdef Py_ssize_t n = of.n, N = masses.shape[0], leaf, i, found = 1
    cdef int d, D = of.D
    cdef int64_t weight
    cdef Sums total
    cdef Cell* cells = <Cell*> malloc(N * sizeof(Cell))
    cdef Place* heap = <Place*> malloc(N * sizeof(Place))
    cdef Sums* running = <Sums*> malloc((of.leaves.n + 1) * sizeof(Sums))
    if cells == NULL or heap == NULL or running == NULL:
        free(cells)
        free(heap)
        free(running)
        raise MemoryError
    with nogil:
        for d in range(5):
            total.s[d] = 0
        total.high = total.low = 0
        for leaf in range(of.leaves.n):
            running[leaf] = total
            for d in range(D + 1):
                total.s[d] += of.leaf_sums[leaf * (D + 1) + d]
            total.high += of.leaf_squares[2 * leaf]
            total.low += of.leaf_squares[2 * leaf + 1]
        running[of.leaves.n] = total
        cells[0].first = cells[0].leaf = 0
        cells[0].last = n
        cells[0].sums = total
        heap[0].cell = 0
        heap[0].error = error_of(&total, D) if n > 1 else 0
        while found < N and heap[0].error > 0:
            i = heap[0].cell
            halve(of, &keys[0], running, &cells[i], &cells[found])
            heap[0].error = error_of(&cells[i].sums, D) if cells[i].last > cells[i].first + 1 else 0
            sift_down(heap, found)
            i = found
            heap[i].cell = i
            heap[i].error = error_of(&cells[i].sums, D) if cells[i].last > cells[i].first + 1 else 0
            sift_up(heap, i)
            found += 1
        for i in range(found):
            weight = cells[i].sums.s[D]
            masses[i] = max(<int64_t> 1, weight >> shift)
            for d in range(D):
                means[d, i] = <int32_t> ((2 * cells[i].sums.s[d] + weight) // (2 * weight))
    free(cells)
    free(heap)
    free(running)
    return found
