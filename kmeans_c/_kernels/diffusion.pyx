# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""Error diffusion, two rows at a time; kmeans_c/dithering.py states the arithmetic.

Every pixel waits for the one before it: add the error, round, look up the place in the lattice, its
owner, the owner's colour, subtract. That chain takes some 8 ns, most of which the processor would
idle. The second row follows the first at two pixels' distance, which is all that its pixels wait
for, so that two chains run side by side. Bounds, weights and strength are worked out beside them.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from kmeans_c._kernels.lattice cimport Memo, alone_at, recall
from kmeans_c._kernels.spaces cimport rgba_point

cdef extern from "multiversion.h" nogil:
    ctypedef void km_body_void "KM_BODY_VOID"

ctypedef fused index_t:
    uint8_t
    uint16_t

cdef enum:
    OFFSET = 256        # where value 0 stands in a row of places
    FULL = 16320        # 255 in 64ths
    LAG = 2             # pixels by which the second row follows the first
    STATE_Y = 0         # a state: the next pair's first row, and its next column of a first row,
    STATE_T = 1
    STATE_CARRY = 2     # and for both rows and each channel the errors handed right, behind below,
    CARRIES = 12        # and below


cdef struct Search:
    const uint32_t* places      # (channels, 768)
    const int32_t* shares       # (4, K)
    Py_ssize_t K
    Memo memo
    int32_t strength
    int32_t limit


cdef struct Row:
    const uint8_t* pixels
    const uint8_t* levels
    const int32_t* here         # errors handed down to it,
    int32_t* below              # and by it


cdef inline int32_t clamped(int32_t value, int32_t low, int32_t high) noexcept nogil:
    value = value if value > low else low
    return value if value < high else high


cdef void translucent(Search* search, const uint8_t* p, bint some, const int32_t* received,
                      int32_t* label, int32_t* error) noexcept nogil:
    """Find the entry and the error of a pixel that is not opaque, in premultiplied 64ths."""
    cdef int32_t point[4]
    cdef int32_t value[4]
    cdef int32_t limit = search.limit
    cdef int d
    rgba_point(p, &point[0], &point[1], &point[2], &point[3])
    value[3] = clamped(64 * <int32_t> p[3] + clamped((received[3] + 512) >> 10, -limit, limit),
                       0, FULL)
    for d in range(3):
        value[d] = point[d] + 32 * <int32_t> p[3] - 8160
        value[d] = clamped(value[d] + clamped((received[d] + 512) >> 10, -limit, limit),
                           0, value[3])
        point[d] = value[d] - (value[3] >> 1) + 8160
    if some:
        point[3] = <int32_t> ((<int64_t> 454047 * value[3] + 262144) >> 19)
        label[0] = recall(&search.memo, point)
    for d in range(4):
        error[d] = 0
        if p[3]:
            error[d] = value[d] * search.strength - search.shares[search.K * d + label[0]]


cdef km_body_void pixel_body(
        int C, bint adaptive, Search* search, const index_t* table, const uint32_t* places,
        const int32_t* shares, Py_ssize_t K, int32_t strength, int32_t limit, Row* row,
        index_t* out, Py_ssize_t x, int step, int32_t* right, int32_t* behind,
        int32_t* under) noexcept nogil:
    """Dither the pixel in column x; `out` holds the entries nearest to the pixels as they are."""
    cdef int32_t taken[4]
    cdef int32_t error[4]
    cdef int32_t received[4]
    cdef int32_t wrong[4]
    cdef int32_t label = out[x], other, weight = 64, some = 0, own, value
    cdef uint32_t place = 0
    cdef const uint8_t* p = row.pixels + C * x
    cdef const int32_t* here = row.here + C * x
    cdef int32_t* below = row.below + C * (x - step)
    cdef int d, colors = C if C < 4 else 3
    if C == 4:      # what a pixel shows of an error is its opacity's share
        weight = (p[3] + (p[3] >> 7)) >> 2
    if adaptive:
        weight = (weight * row.levels[x] + 32) >> 6
    for d in range(C):
        if adaptive or C == 4:
            # (here + 7 right) weight, the sum taken apart so that only one product is waited for
            taken[d] = (here[d] * weight + 32 + 7 * weight * right[d]) >> 6
        else:
            taken[d] = here[d] + 7 * right[d]
        some |= taken[d]
    if C == 4 and p[3] < 255:
        other = label
        for d in range(4):
            received[d] = taken[d]
        translucent(search, p, some != 0, received, &other, wrong)
        label = other
        for d in range(4):
            error[d] = wrong[d]
    else:
        if some:
            for d in range(colors):
                place |= places[768 * d + OFFSET +
                                ((taken[d] + 65536 * <int32_t> p[d] + 32768) >> 16)]
            label = table[place]
        for d in range(colors):
            own = 64 * <int32_t> p[d]
            value = clamped((taken[d] + 65536 * <int32_t> p[d] + 512) >> 10, max(0, own - limit),
                            min(FULL, own + limit))
            error[d] = value * strength - shares[K * d + label]
        if C == 4:      # opaque stays opaque: alpha takes no error and hands none on
            error[3] = 0
    out[x] = <index_t> label
    for d in range(C):
        below[d] = behind[d] + 3 * error[d]
        behind[d] = under[d] + 5 * error[d]
        under[d] = error[d]
        right[d] = error[d]


cdef km_body_void end_body(int C, Row* row, Py_ssize_t x, int32_t* carry) noexcept nogil:
    """Hand down what is left under the last pixel, x, and start anew."""
    cdef int d
    for d in range(C):
        row.below[C * x + d] = carry[4 + d]
    for d in range(CARRIES):
        carry[d] = 0


cdef km_body_void pair_body(
        int C, bint adaptive, Search* search, const index_t* table, Row* rows, index_t* out,
        Py_ssize_t next_row, Py_ssize_t first, Py_ssize_t last, int step, Py_ssize_t width,
        int32_t* carry) noexcept nogil:
    """Go on from turn `first` up to `last`: the first row is at that column, the second LAG behind.

    C, the channels, and `adaptive` are constants. `next_row` leads from a row of `out` to the
    second; 0: there is none. Columns are counted from where the rows begin.
    """
    cdef int32_t right[4]
    cdef int32_t behind[4]
    cdef int32_t under[4]
    cdef int32_t right2[4]
    cdef int32_t behind2[4]
    cdef int32_t under2[4]
    # Bytes are written, which could be anything for all that the compiler knows: read these once.
    cdef int32_t limit = search.limit, strength = search.strength
    cdef const uint32_t* places = search.places
    cdef const int32_t* shares = search.shares
    cdef Py_ssize_t K = search.K, t, alone = LAG if next_row else width
    cdef Py_ssize_t start = 0 if step > 0 else width - 1
    cdef Row one = rows[0], two = rows[1]
    cdef index_t* out2 = out + next_row
    cdef int d
    for d in range(4):
        right[d] = carry[d]
        behind[d] = carry[4 + d]
        under[d] = carry[8 + d]
        right2[d] = carry[CARRIES + d]
        behind2[d] = carry[CARRIES + 4 + d]
        under2[d] = carry[CARRIES + 8 + d]
    for t in range(first, min(last, min(alone, width))):
        pixel_body(C, adaptive, search, table, places, shares, K, strength, limit, &one, out,
                   start + step * t, step, right, behind, under)
    for t in range(max(first, alone), min(last, width)):
        pixel_body(C, adaptive, search, table, places, shares, K, strength, limit, &one, out,
                   start + step * t, step, right, behind, under)
        pixel_body(C, adaptive, search, table, places, shares, K, strength, limit, &two, out2,
                   start + step * (t - LAG), step, right2, behind2, under2)
    for d in range(4):
        carry[d] = right[d]
        carry[4 + d] = behind[d]
        carry[8 + d] = under[d]
    if first < width <= last:
        end_body(C, &one, start + step * (width - 1), carry)
    if next_row == 0:
        return
    for t in range(max(first, max(alone, width)), last):
        pixel_body(C, adaptive, search, table, places, shares, K, strength, limit, &two, out2,
                   start + step * (t - LAG), step, right2, behind2, under2)
    for d in range(4):
        carry[CARRIES + d] = right2[d]
        carry[CARRIES + 4 + d] = behind2[d]
        carry[CARRIES + 8 + d] = under2[d]
    if last == width + LAG:
        end_body(C, &two, start + step * (width - 1), carry + CARRIES)


cdef void run(Py_ssize_t C, bint adaptive, Search* search, const index_t* table, Row* rows,
              index_t* out, Py_ssize_t next_row, Py_ssize_t first, Py_ssize_t last, int step,
              Py_ssize_t width, int32_t* carry) noexcept nogil:
    if C == 1 and adaptive:
        pair_body(1, True, search, table, rows, out, next_row, first, last, step, width, carry)
    elif C == 1:
        pair_body(1, False, search, table, rows, out, next_row, first, last, step, width, carry)
    elif C == 3 and adaptive:
        pair_body(3, True, search, table, rows, out, next_row, first, last, step, width, carry)
    elif C == 3:
        pair_body(3, False, search, table, rows, out, next_row, first, last, step, width, carry)
    elif adaptive:
        pair_body(4, True, search, table, rows, out, next_row, first, last, step, width, carry)
    else:
        pair_body(4, False, search, table, rows, out, next_row, first, last, step, width, carry)


def diffuse(const uint8_t[:, :, ::1] pixels not None,       # IN (rows, W, 1, 3 or 4)
            const uint8_t[:, ::1] levels not None,          # IN (rows, W) 0..64, or (0, 0): all 64
            const index_t[::1] table not None,              # IN the owner of each place
            const uint32_t[:, ::1] places not None,         # IN (channels, 768) of -256..511
            const int32_t[:, ::1] shares not None,          # IN (4, K) 64 strength times entry
            const int32_t[:, ::1] candidates not None,      # IN for alpha, see lattice.alone_body
            uint64_t[::1] slots not None,                   # INOUT for alpha, see lattice.pxd
            int strength,                                   # IN 0..64
            int limit,                                      # IN of what a pixel takes, in 64ths
            int32_t[:, :, ::1] errors not None,             # INOUT (3, W + 2, channels)
            int64_t[::1] state not None,                    # INOUT (26,) zeros at first
            index_t[:, ::1] indices not None,               # INOUT (rows, W) nearest; dithered
            Py_ssize_t budget, int level):
    """Dither from where the state is on, about `budget` pixels or up to the end."""
    cdef Search search
    cdef Row rows[2]
    cdef Py_ssize_t C = pixels.shape[2], width = pixels.shape[1], height = pixels.shape[0]
    cdef Py_ssize_t y = state[STATE_Y], t = state[STATE_T], n, turns, i, at
    cdef int32_t carry[2 * CARRIES]
    cdef bint adaptive = levels.shape[0] > 0
    search.places = &places[0, 0]
    search.shares = &shares[0, 0]
    search.K = shares.shape[1]
    search.memo.candidates = &candidates[0, 0]
    search.memo.stride = candidates.shape[1]
    search.memo.alone = alone_at(level)
    search.memo.slots = &slots[0]
    search.memo.n_slots = slots.shape[0]
    search.strength = strength
    search.limit = limit
    for i in range(2 * CARRIES):
        carry[i] = <int32_t> state[STATE_CARRY + i]
    with nogil:
        while y < height and budget > 0:
            for i in range(2):
                at = min(y + i, height - 1)
                rows[i].pixels = &pixels[at, 0, 0]
                rows[i].levels = &levels[at, 0] if adaptive else NULL
            # From the first of the errors' rows to the last, and for the next pair back.
            rows[0].here = &errors[y & 2, 1, 0]
            rows[0].below = &errors[1, 1, 0]
            rows[1].here = &errors[1, 1, 0]
            rows[1].below = &errors[2 - (y & 2), 1, 0]
            turns = width + LAG if y + 1 < height else width
            n = min(turns - t, (budget + 1) // 2)
            run(C, adaptive, &search, &table[0], rows, &indices[y, 0],
                width if y + 1 < height else 0, t, t + n, -1 if y & 2 else 1, width, carry)
            budget -= 2 * n
            t += n
            if t == turns:
                y += 2
                t = 0
    state[STATE_Y] = y
    state[STATE_T] = t
    for i in range(2 * CARRIES):
        state[STATE_CARRY + i] = carry[i]
