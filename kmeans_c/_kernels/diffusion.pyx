# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""Error diffusion in serpentine order; kmeans_c/dithering.py states the arithmetic.

Every pixel waits for the one before it, so what counts is the length of one pixel's chain: add the
error, round, look up the place in the lattice, its owner, the owner's colour, subtract. Bounds and
strength are worked out beside it. There is nothing here for vectors or for a second thread.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t

from kmeans_c._kernels.lattice cimport alone_at, alone_fn
from kmeans_c._kernels.spaces cimport rgba_point

cdef extern from "multiversion.h" nogil:
    ctypedef void km_body_void "KM_BODY_VOID"

ctypedef fused index_t:
    uint8_t
    uint16_t

cdef enum:
    OFFSET = 256        # where value 0 stands in a row of places
    FULL = 16320        # 255 in 64ths
    STATE_Y = 0         # a state: the next pixel's row and column,
    STATE_X = 1
    STATE_CARRY = 2     # and for each channel the errors handed right, behind below, and below


cdef struct Search:
    const uint32_t* places      # (channels, 768)
    const int32_t* shares       # (4, K)
    Py_ssize_t K
    const int32_t* candidates   # (5, stride)
    Py_ssize_t stride
    alone_fn alone
    int32_t strength
    int32_t limit


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
        search.alone(search.candidates, search.stride, point, label)
    for d in range(4):
        error[d] = 0
        if p[3]:
            error[d] = value[d] * search.strength - search.shares[search.K * d + label[0]]


cdef km_body_void run_body(
        int C, bint adaptive, Search* search, const index_t* table, const uint8_t* row,
        const uint8_t* levels, const int32_t* here, int32_t* below, index_t* out,
        Py_ssize_t first, int step, Py_ssize_t width, Py_ssize_t n, int32_t* carry) noexcept nogil:
    """Go over n pixels of a row from column `first`.

    C, the channels, and `adaptive` are constants. `here` and `below` begin at column 0; `out` holds
    the entries nearest to the pixels as they are.
    """
    cdef int32_t right[4]
    cdef int32_t behind[4]
    cdef int32_t under[4]
    cdef int32_t value[4]
    cdef int32_t error[4]
    cdef int32_t label, weight, some, own
    # Bytes are written, which could be anything for all that the compiler knows: read these once.
    cdef int32_t limit = search.limit, strength = search.strength
    cdef const uint32_t* places = search.places
    cdef const int32_t* shares = search.shares
    cdef Py_ssize_t K = search.K
    cdef uint32_t place
    cdef Py_ssize_t x = first, _i
    cdef const uint8_t* p
    cdef int d, colors = C if C < 4 else 3
    for d in range(C):
        right[d] = carry[d]
        behind[d] = carry[4 + d]
        under[d] = carry[8 + d]
    for _i in range(n):
        p = row + C * x
        label = out[x]
        weight = 64
        if C == 4:      # what a pixel shows of an error is its opacity's share
            weight = (p[3] + (p[3] >> 7)) >> 2
        if adaptive:
            weight = (weight * levels[x] + 32) >> 6
        some = 0
        for d in range(C):
            value[d] = here[C * x + d] + 7 * right[d]
            if adaptive or C == 4:
                value[d] = (value[d] * weight + 32) >> 6
            some |= value[d]
        if C == 4 and p[3] < 255:
            translucent(search, p, some != 0, value, &label, error)
        else:
            if some:
                place = 0
                for d in range(colors):
                    value[d] += 65536 * <int32_t> p[d]
                    place |= places[768 * d + OFFSET + ((value[d] + 32768) >> 16)]
                label = table[place]
                for d in range(colors):
                    own = 64 * <int32_t> p[d]
                    value[d] = clamped((value[d] + 512) >> 10, max(0, own - limit),
                                       min(FULL, own + limit))
            else:
                for d in range(colors):
                    value[d] = 64 * <int32_t> p[d]
            for d in range(colors):
                error[d] = value[d] * strength - shares[K * d + label]
            if C == 4:      # opaque stays opaque: alpha takes no error and hands none on
                error[3] = 0
        out[x] = <index_t> label
        for d in range(C):
            below[C * (x - step) + d] = behind[d] + 3 * error[d]
            behind[d] = under[d] + 5 * error[d]
            under[d] = error[d]
            right[d] = error[d]
        x += step
    if x == -1 or x == width:
        for d in range(C):
            below[C * (x - step) + d] = behind[d]
            right[d] = 0
            behind[d] = 0
            under[d] = 0
    for d in range(C):
        carry[d] = right[d]
        carry[4 + d] = behind[d]
        carry[8 + d] = under[d]


cdef void run(Py_ssize_t C, bint adaptive, Search* search, const index_t* table,
              const uint8_t* row, const uint8_t* levels, const int32_t* here, int32_t* below,
              index_t* out, Py_ssize_t first, int step, Py_ssize_t width, Py_ssize_t n,
              int32_t* carry) noexcept nogil:
    if C == 1 and adaptive:
        run_body(1, True, search, table, row, levels, here, below, out, first, step, width, n,
                 carry)
    elif C == 1:
        run_body(1, False, search, table, row, levels, here, below, out, first, step, width, n,
                 carry)
    elif C == 3 and adaptive:
        run_body(3, True, search, table, row, levels, here, below, out, first, step, width, n,
                 carry)
    elif C == 3:
        run_body(3, False, search, table, row, levels, here, below, out, first, step, width, n,
                 carry)
    elif adaptive:
        run_body(4, True, search, table, row, levels, here, below, out, first, step, width, n,
                 carry)
    else:
        run_body(4, False, search, table, row, levels, here, below, out, first, step, width, n,
                 carry)


def diffuse(const uint8_t[:, :, ::1] pixels not None,       # IN (rows, W, 1, 3 or 4)
            const uint8_t[:, ::1] levels not None,          # IN (rows, W) 0..64, or (0, 0): all 64
            const index_t[::1] table not None,              # IN the owner of each place
            const uint32_t[:, ::1] places not None,         # IN (channels, 768) of -256..511
            const int32_t[:, ::1] shares not None,          # IN (4, K) 64 strength times entry
            const int32_t[:, ::1] candidates not None,      # IN for alpha, see lattice.alone_body
            int strength,                                   # IN 0..64
            int limit,                                      # IN of what a pixel takes, in 64ths
            int32_t[:, :, ::1] errors not None,             # INOUT (2, W + 2, channels)
            int64_t[::1] state not None,                    # INOUT (14,) zeros at first
            index_t[:, ::1] indices not None,               # INOUT (rows, W) nearest; dithered
            Py_ssize_t budget, int level):
    """Dither from where the state is on, `budget` pixels or up to the end."""
    cdef Search search
    cdef Py_ssize_t C = pixels.shape[2], width = pixels.shape[1], rows = pixels.shape[0]
    cdef Py_ssize_t y = state[STATE_Y], x = state[STATE_X], n
    cdef int32_t carry[12]
    cdef int step, d
    cdef bint adaptive = levels.shape[0] > 0
    search.places = &places[0, 0]
    search.shares = &shares[0, 0]
    search.K = shares.shape[1]
    search.candidates = &candidates[0, 0]
    search.stride = candidates.shape[1]
    search.alone = alone_at(level)
    search.strength = strength
    search.limit = limit
    for d in range(12):
        carry[d] = <int32_t> state[STATE_CARRY + d]
    with nogil:
        while y < rows and budget > 0:
            step = -1 if y & 1 else 1
            n = min(budget, x + 1 if y & 1 else width - x)
            run(C, adaptive, &search, &table[0], &pixels[y, 0, 0],
                &levels[y, 0] if adaptive else NULL, &errors[y & 1, 1, 0],
                &errors[1 - (y & 1), 1, 0], &indices[y, 0], x, step, width, n, carry)
            budget -= n
            x += step * n
            if x == -1 or x == width:
                y += 1
                x -= step
    state[STATE_Y] = y
    state[STATE_X] = x
    for d in range(12):
        state[STATE_CARRY + d] = carry[d]
