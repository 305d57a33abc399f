# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""Indices that a file holds in fewer bits: what each would cost, and the cheapest row of them.

Two coders are modelled. One repeats what it has seen (LZ77 on rows without a filter; WebP): an
index costs little where it is that of the pixel above, left, above right or above left, by how many
of these neighbours agree. The other codes residuals (PNG's filters): an index costs what its
difference from the Paeth prediction does.
"""

from cython.parallel cimport prange, threadid
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t

from kmeans_c._kernels.spaces cimport rgba_point

cdef enum:
    MOST = 8        # indices considered for a pixel
    EVENTS = 5      # above, left, above right, above left, none of these
    NEW = 4         # none of these


cdef inline int agreement(int left, int above, int above_left, int above_right) noexcept nogil:
    return ((left == above) | (above == above_left) << 1 | (above == above_right) << 2
            | (left == above_left) << 3)


cdef inline int event(int index, int left, int above, int above_left,
                      int above_right) noexcept nogil:
    return (0 if index == above else 1 if index == left else 2 if index == above_right else
            3 if index == above_left else NEW)


cdef inline int uneven(int left, int above, int above_left) noexcept nogil:
    return not (left == above and above == above_left)


cdef inline int residual(int index, int left, int above, int above_left) noexcept nogil:
    cdef int to_left = abs(above - above_left), to_above = abs(left - above_left)
    cdef int to_corner = abs(left + above - 2 * above_left)
    return (index - (left if to_left <= to_above and to_left <= to_corner else
                     above if to_above <= to_corner else above_left)) & 255


cdef inline void locate(const uint8_t* pixel, int channels, int32_t* point) noexcept nogil:
    if channels == 4:
        rgba_point(pixel, &point[0], &point[1], &point[2], &point[3])
    else:
        point[0] = 64 * pixel[0]
        point[1] = 64 * pixel[1]
        point[2] = 64 * pixel[2]
        point[3] = 0


cdef inline int32_t distance(const int32_t* a, const int32_t* b) noexcept nogil:
    cdef int32_t x = a[0] - b[0], y = a[1] - b[1], z = a[2] - b[2], w = a[3] - b[3]
    return x * x + y * y + z * z + w * w    # at most 4 * 16383^2


cdef inline int32_t alpha_delta(const int32_t* a, const int32_t* b) noexcept nogil:
    return a[3] - b[3] if a[3] > b[3] else b[3] - a[3]


def count_events(const uint8_t[:, ::1] indices not None,    # IN (H, W)
                 Py_ssize_t first, Py_ssize_t last,         # rows
                 int64_t[:, ::1] events not None,           # INOUT (16, EVENTS)
                 int64_t[::1] new not None):                # INOUT (256)
    """Count how indices follow from their neighbours, and those that do not."""
    cdef Py_ssize_t x, y, W = indices.shape[1]
    cdef const uint8_t* row
    cdef const uint8_t* before
    cdef int left, above, above_left, above_right, kind
    if W == 0:
        return
    with nogil:
        for y in range(first, last):
            row = &indices[y, 0]
            before = &indices[y - 1, 0] if y else NULL
            left = above_left = 0
            for x in range(W):
                above = before[x] if y else 0
                above_right = before[x + 1] if y and x + 1 < W else 0
                kind = event(row[x], left, above, above_left, above_right)
                events[agreement(left, above, above_left, above_right), kind] += 1
                if kind == NEW:
                    new[row[x]] += 1
                left = row[x]
                above_left = above


def count_residuals(const uint8_t[:, ::1] indices not None,     # IN (H, W)
                    Py_ssize_t first, Py_ssize_t last,          # rows
                    int64_t[:, ::1] residuals not None):        # INOUT (2, 256)
    """Count differences from the Paeth prediction, where three neighbours agree and elsewhere."""
    cdef Py_ssize_t x, y, W = indices.shape[1]
    cdef const uint8_t* row
    cdef const uint8_t* before
    cdef int left, above, above_left
    if W == 0:
        return
    with nogil:
        for y in range(first, last):
            row = &indices[y, 0]
            before = &indices[y - 1, 0] if y else NULL
            left = above_left = 0
            for x in range(W):
                above = before[x] if y else 0
                residuals[uneven(left, above, above_left),
                          residual(row[x], left, above, above_left)] += 1
                left = row[x]
                above_left = above


def total_error(const uint8_t[:, :, ::1] pixels not None,       # IN (H, W, 3 or 4)
                const int32_t[:, ::1] entries not None,         # IN (K, 4) coordinates
                const uint8_t[:, ::1] indices not None,         # IN (H, W)
                Py_ssize_t first, Py_ssize_t last):
    """Return the sum of squared distances of rows [first, last) from their entries."""
    cdef Py_ssize_t x, y, W = indices.shape[1]
    cdef int channels = <int> pixels.shape[2]
    cdef int32_t point[4]
    cdef int64_t total = 0
    with nogil:
        for y in range(first, last):
            for x in range(W):
                locate(&pixels[y, x, 0], channels, point)
                total += distance(point, &entries[indices[y, x], 0])
    return total


cdef int64_t smooth_row(bint by_residual, const uint8_t* pixels, int channels,
                        const int32_t* entries, const uint8_t* given, const uint8_t* before,
                        uint8_t* out, Py_ssize_t W, const int32_t* costs,
                        const int32_t* new_costs, int64_t weight, int64_t limit, uint8_t* choices,
                        uint8_t* origins, int32_t* extras) noexcept nogil:
    """Viterbi's algorithm along a row: the least sum of extra error and weighted cost.

    The row before is settled; a pixel's cost depends on its left neighbour's index, which is the
    state. Return the extra error.
    """
    cdef Py_ssize_t x
    cdef int considered[MOST]
    cdef int left, above, above_left = 0, above_right, index, kind, j, k, n, n_before = 1
    cdef int best = 0, agreed
    cdef int32_t point[4]
    cdef int32_t at_given, extra, depth = 0
    cdef bint at_end
    cdef int64_t total, least
    cdef int64_t so_far[MOST]
    cdef int64_t sums[MOST]
    cdef int64_t error = 0
    cdef uint8_t* choice
    cdef uint8_t* previous = NULL
    so_far[0] = 0
    for x in range(W):
        above = before[x] if before != NULL else 0
        above_right = before[x + 1] if before != NULL and x + 1 < W else 0
        choice = choices + MOST * x
        considered[0] = given[x]
        considered[1] = above
        considered[2] = above_left
        considered[3] = above_right
        considered[4] = previous[best] if x else given[x]
        considered[5] = given[x - 1] if x else given[x]
        considered[6] = given[x + 1] if x + 1 < W else given[x]
        considered[7] = given[x - 2] if x > 1 else given[x]
        locate(pixels + channels * x, channels, point)
        at_given = distance(point, entries + 4 * given[x])
        # What is opaque or fully transparent gets no entry whose alpha is farther from its own.
        at_end = channels == 4 and (pixels[4 * x + 3] == 0 or pixels[4 * x + 3] == 255)
        if at_end:
            depth = alpha_delta(entries + 4 * given[x], point)
        n = 0
        for k in range(MOST):
            index = considered[k]
            for j in range(n):
                if choice[j] == index:
                    break
            else:
                extra = distance(point, entries + 4 * index) - at_given
                if k == 0 or (extra <= limit and not (
                        at_end and alpha_delta(entries + 4 * index, point) > depth)):
                    choice[n] = <uint8_t> index
                    extras[MOST * x + n] = extra
                    n = n + 1
        for k in range(n):
            index = choice[k]
            least = INT64_MAX
            for j in range(n_before):
                left = previous[j] if x else 0
                if by_residual:
                    total = (so_far[j] + weight
                             * costs[256 * uneven(left, above, above_left)
                                     + residual(index, left, above, above_left)])
                else:
                    kind = event(index, left, above, above_left, above_right)
                    agreed = agreement(left, above, above_left, above_right)
                    total = so_far[j] + weight * (
                        costs[EVENTS * agreed + kind] + (new_costs[index] if kind == NEW else 0))
                if total < least:
                    least = total
                    origins[MOST * x + k] = <uint8_t> j
            sums[k] = least + extras[MOST * x + k]
        best = 0
        for k in range(1, n):
            if sums[k] < sums[best]:
                best = k
        for k in range(n):
            so_far[k] = sums[k] - sums[best]    # stays small, however long the row is
        n_before = n
        previous = choice
        above_left = above
    k = best
    for x in range(W - 1, -1, -1):
        out[x] = choices[MOST * x + k]
        error += extras[MOST * x + k]
        k = origins[MOST * x + k]
    return error


cdef void smooth_band(bint by_residual, const uint8_t[:, :, ::1] pixels,
                      const int32_t[:, ::1] entries, const uint8_t[:, ::1] indices,
                      uint8_t[:, ::1] out, Py_ssize_t first, Py_ssize_t last,
                      const int32_t* costs, const int32_t* new_costs, int64_t weight,
                      int64_t limit, uint8_t* choices, uint8_t* origins, int32_t* extras,
                      int64_t* error) noexcept nogil:
    cdef Py_ssize_t y, W = indices.shape[1]
    cdef const uint8_t* before = &indices[first - 1, 0] if first else NULL
    error[0] = 0
    for y in range(first, last):
        error[0] += smooth_row(by_residual, &pixels[y, 0, 0], <int> pixels.shape[2],
                               &entries[0, 0], &indices[y, 0], before, &out[y, 0], W, costs,
                               new_costs, weight, limit, choices, origins, extras)
        before = &out[y, 0]


def smooth_bands(const uint8_t[:, :, ::1] pixels not None,      # IN (H, W, 3 or 4)
                 const int32_t[:, ::1] entries not None,        # IN (K, 4) coordinates
                 const uint8_t[:, ::1] indices not None,        # IN (H, W)
                 uint8_t[:, ::1] out not None,                  # OUT (H, W): rows of the bands
                 const int64_t[::1] firsts not None,            # IN (bands): first rows
                 Py_ssize_t height,                             # rows of a band
                 bint by_residual,
                 const int32_t[:, ::1] costs not None,          # IN (16, EVENTS) or (2, 256)
                 const int32_t[::1] new_costs not None,         # IN (256)
                 int64_t weight,                                # of a unit of cost
                 int64_t limit,                                 # of the extra error of a pixel
                 int64_t[::1] errors not None,                  # OUT (bands): extra error
                 uint8_t[:, :, ::1] scratch not None,           # (threads, 2, MOST * W)
                 int32_t[:, ::1] extras not None,               # (threads, MOST * W)
                 int n_threads):
    """Choose indices band by band.

    Above a band stand the indices as they were, so that no band waits for another.
    """
    cdef Py_ssize_t b, B = firsts.shape[0], H = indices.shape[0]
    if H == 0 or indices.shape[1] == 0:
        return
    for b in prange(B, num_threads=n_threads, nogil=True, schedule="dynamic", chunksize=1):
        smooth_band(by_residual, pixels, entries, indices, out, firsts[b],
                    min(H, firsts[b] + height), &costs[0, 0], &new_costs[0], weight, limit,
                    &scratch[threadid(), 0, 0], &scratch[threadid(), 1, 0],
                    &extras[threadid(), 0], &errors[b])
