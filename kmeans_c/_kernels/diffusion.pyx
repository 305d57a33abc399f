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
    STATE_CARRY = 2     # and for both rows and each channel the errors handed right, behind below
    CARRIED = 28        # and below, and what is handed from the first row to the second


cdef struct Search:
    const uint32_t* places      # (channels, 768)
    const int32_t* shares       # (K, 4)
    Memo memo
    int32_t strength
    int32_t limit
    int32_t bounds[512]         # of the value that an opaque pixel's error counts from


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
            error[d] = value[d] * search.strength - search.shares[4 * <Py_ssize_t> label[0] + d]


cdef km_body_void pixel_body(
        int C, bint adaptive, Search* search, const index_t* table, const uint32_t* places,
        const int32_t* shares, const int32_t* bounds, int32_t strength, const uint8_t* p,
        const uint8_t* level, const int32_t* here, int32_t* right, int32_t* behind, int32_t* under,
        int32_t* below, index_t* out) noexcept nogil:
    """Dither one pixel.

    `here` is handed down to it; `below` is what is handed down to the pixel below the one before.
    `out` holds the entry nearest to the pixel as it is.
    """
    cdef int32_t taken[4]
    cdef int32_t error[4]
    cdef int32_t received[4]
    cdef int32_t wrong[4]
    cdef int32_t label = out[0], other, weight, some = 0, value
    cdef uint32_t place = 0
    cdef int d, colors = C if C < 4 else 3
    # (here + 7 right) weight: the sum is taken apart so that only one product is waited for.
    if C == 4 and p[3] < 255:
        # What a pixel shows of an error is its opacity's share.
        weight = (p[3] + (p[3] >> 7)) >> 2
        if adaptive:
            weight = (weight * level[0] + 32) >> 6
        for d in range(4):
            received[d] = (here[d] * weight + 32 + 7 * weight * right[d]) >> 6
            some |= received[d]
        other = label
        translucent(search, p, some != 0, received, &other, wrong)
        label = other
        for d in range(4):
            error[d] = wrong[d]
    else:
        for d in range(colors):
            if adaptive:
                weight = level[0]
                taken[d] = (here[d] * weight + 32 + 7 * weight * right[d]) >> 6
            else:
                taken[d] = here[d] + 7 * right[d]
            some |= taken[d]
            taken[d] += (<int32_t> p[d] << 16) + 32768
        if some:
            for d in range(colors):
                place |= places[<Py_ssize_t> (taken[d] >> 16) + 768 * d + OFFSET]
            label = table[place]
        for d in range(colors):
            value = (taken[d] - 32256) >> 10    # 32768 less half of 1024
            value = clamped(value, bounds[2 * p[d]], bounds[2 * p[d] + 1])
            error[d] = value * strength - shares[4 * <Py_ssize_t> label + d]
        if C == 4:      # opaque stays opaque: alpha takes no error and hands none on
            error[3] = 0
    out[0] = <index_t> label
    for d in range(C):
        below[d] = behind[d] + 3 * error[d]
        behind[d] = under[d] + 5 * error[d]
        under[d] = error[d]
        right[d] = error[d]


cdef km_body_void pair_body(
        int C, bint adaptive, Search* search, const index_t* table, const uint8_t* row,
        const uint8_t* levels, int32_t* errors, index_t* out, Py_ssize_t next_row,
        Py_ssize_t first, Py_ssize_t last, int step, Py_ssize_t width,
        int32_t* carry) noexcept nogil:
    """Go on from turn `first` up to `last`: the first row is at that column, the second LAG behind.

    C, the channels, and `adaptive` are constants. `next_row` leads from a row's pixel to the one
    below; 0: there is none. Columns are counted from where the rows begin. `errors` is what the
    row above hands down, and then what the second row does; from the first row to the second it
    goes by way of `middle`.
    """
    cdef int32_t right[4]
    cdef int32_t behind[4]
    cdef int32_t under[4]
    cdef int32_t right2[4]
    cdef int32_t behind2[4]
    cdef int32_t under2[4]
    cdef int32_t middle[4]
    cdef int32_t down[4]
    # Bytes are written, which could be anything for all that the compiler knows: read these once.
    cdef int32_t strength = search.strength
    cdef const uint32_t* places = search.places
    cdef const int32_t* shares = search.shares
    cdef const int32_t* bounds = search.bounds
    cdef Py_ssize_t t, x, start = 0 if step > 0 else width - 1
    cdef Py_ssize_t alone = min(<Py_ssize_t> LAG, width) if next_row else width
    cdef int d
    for d in range(4):
        right[d] = carry[d]
        behind[d] = carry[4 + d]
        under[d] = carry[8 + d]
        right2[d] = carry[12 + d]
        behind2[d] = carry[16 + d]
        under2[d] = carry[20 + d]
        middle[d] = carry[24 + d]
    for t in range(first, min(last, alone)):
        x = start + step * t
        pixel_body(C, adaptive, search, table, places, shares, bounds, strength, row + C * x,
                   levels + x, errors + C * x, right, behind, under, middle, out + x)
    for t in range(max(first, alone), min(last, width)):
        x = start + step * t
        pixel_body(C, adaptive, search, table, places, shares, bounds, strength, row + C * x,
                   levels + x, errors + C * x, right, behind, under, down, out + x)
        x += next_row - LAG * step
        pixel_body(C, adaptive, search, table, places, shares, bounds, strength, row + C * x,
                   levels + x, middle, right2, behind2, under2,
                   errors + C * (x - next_row - step), out + x)
        for d in range(C):
            middle[d] = down[d]
    if next_row:
        for t in range(max(first, width), last):
            if t >= LAG:
                x = start + step * (t - LAG) + next_row
                pixel_body(C, adaptive, search, table, places, shares, bounds, strength,
                           row + C * x, levels + x, middle, right2, behind2, under2,
                           errors + C * (x - next_row - step), out + x)
            for d in range(C):
                middle[d] = behind[d]
    if next_row and last == width + LAG:
        for d in range(C):
            errors[C * (start + step * (width - 1)) + d] = behind2[d]
    for d in range(4):
        carry[d] = right[d]
        carry[4 + d] = behind[d]
        carry[8 + d] = under[d]
        carry[12 + d] = right2[d]
        carry[16 + d] = behind2[d]
        carry[20 + d] = under2[d]
        carry[24 + d] = middle[d]


cdef void run(Py_ssize_t C, bint adaptive, Search* search, const index_t* table,
              const uint8_t* row, const uint8_t* levels, int32_t* errors, index_t* out,
              Py_ssize_t next_row, Py_ssize_t first, Py_ssize_t last, int step, Py_ssize_t width,
              int32_t* carry) noexcept nogil:
    if C == 1 and adaptive:
        pair_body(1, True, search, table, row, levels, errors, out, next_row, first, last, step,
                  width, carry)
    elif C == 1:
        pair_body(1, False, search, table, row, levels, errors, out, next_row, first, last, step,
                  width, carry)
    elif C == 3 and adaptive:
        pair_body(3, True, search, table, row, levels, errors, out, next_row, first, last, step,
                  width, carry)
    elif C == 3:
        pair_body(3, False, search, table, row, levels, errors, out, next_row, first, last, step,
                  width, carry)
    elif adaptive:
        pair_body(4, True, search, table, row, levels, errors, out, next_row, first, last, step,
                  width, carry)
    else:
        pair_body(4, False, search, table, row, levels, errors, out, next_row, first, last, step,
                  width, carry)


def diffuse(const uint8_t[:, :, ::1] pixels not None,       # IN (rows, W, 1, 3 or 4)
            const uint8_t[:, ::1] levels not None,          # IN (rows, W) 0..64; all 64: any shape
            bint adaptive,                                  # whether the levels count
            const index_t[::1] table not None,              # IN the owner of each place
            const uint32_t[:, ::1] places not None,         # IN (channels, 768) of -256..511
            const int32_t[:, ::1] shares not None,          # IN (K, 4) 64 strength times entry
            const int32_t[:, ::1] candidates not None,      # IN for alpha, see lattice.alone_body
            uint64_t[::1] slots not None,                   # INOUT for alpha, see lattice.pxd
            int strength,                                   # IN 0..64
            int limit,                                      # IN of what a pixel takes, in 64ths
            int32_t[:, ::1] errors not None,                # INOUT (W + 2, channels) zeros at first
            int64_t[::1] state not None,                    # INOUT (30,) zeros at first
            index_t[:, ::1] indices not None,               # INOUT (rows, W) nearest; dithered
            Py_ssize_t budget, int level):
    """Dither from where the state is on, about `budget` pixels or up to the end."""
    cdef Search search
    cdef Py_ssize_t C = pixels.shape[2], width = pixels.shape[1], height = pixels.shape[0]
    cdef Py_ssize_t y = state[STATE_Y], t = state[STATE_T], n, turns
    cdef int32_t carry[CARRIED]
    cdef int i
    search.places = &places[0, 0]
    search.shares = &shares[0, 0]
    search.memo.candidates = &candidates[0, 0]
    search.memo.stride = candidates.shape[1]
    search.memo.alone = alone_at(level)
    search.memo.slots = &slots[0]
    search.memo.n_slots = slots.shape[0]
    search.strength = strength
    search.limit = limit
    for i in range(256):
        search.bounds[2 * i] = max(0, 64 * i - limit)
        search.bounds[2 * i + 1] = min(<int> FULL, 64 * i + limit)
    for i in range(CARRIED):
        carry[i] = <int32_t> state[STATE_CARRY + i]
    with nogil:
        while y < height and budget > 0:
            turns = width + LAG if y + 1 < height else width
            n = min(turns - t, (budget + 1) // 2)
            run(C, adaptive, &search, &table[0], &pixels[y, 0, 0],
                &levels[y if adaptive else 0, 0], &errors[1, 0], &indices[y, 0],
                width if y + 1 < height else 0, t, t + n, -1 if y & 2 else 1, width, carry)
            budget -= 2 * n
            t += n
            if t == turns:
                y += 2
                t = 0
                for i in range(CARRIED):
                    carry[i] = 0
    state[STATE_Y] = y
    state[STATE_T] = t
    for i in range(CARRIED):
        state[STATE_CARRY + i] = carry[i]
