# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""Ordered dithering: a colour has a mixture of entries, and where the pixel lies picks one of them;
kmeans_c/dithering.py states the arithmetic.
"""

from cython.parallel cimport prange, threadid
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
    PERIOD = 64         # of the pattern
    MOST = 64           # entries of a mixture at most
    KNOWN = 1           # the mixture is made
    CLOSE = 2           # an entry lies so close that a pixel of this lattice colour may equal it


# ---- mixtures

cdef void mix(const uint8_t* target, int C, const index_t* table, const uint32_t* places,
              const uint8_t* palette, int stride, const int32_t* order, int n_mixed, int strength,
              index_t* out) noexcept nogil:
    """Choose n_mixed entries whose mean is near the target, and sort them."""
    cdef int32_t chosen[MOST]
    cdef int32_t missing[3]
    cdef int32_t value, label
    cdef uint32_t place
    cdef int i, j, d
    for d in range(C):
        missing[d] = 0
    for i in range(n_mixed):
        place = 0
        for d in range(C):
            value = target[d] + ((missing[d] * strength + 32) >> 6)
            place |= places[768 * d + min(max(value + OFFSET, 0), 767)]
        label = table[place]
        for d in range(C):
            missing[d] += <int32_t> target[d] - palette[stride * label + d]
        j = i
        while j > 0 and order[chosen[j - 1]] > order[label]:
            chosen[j] = chosen[j - 1]
            j -= 1
        chosen[j] = label
    for i in range(n_mixed):
        out[i] = <index_t> chosen[i]


cdef void mix_one(Py_ssize_t place, const uint8_t* values, int C, const index_t* table,
                  const uint32_t* places, const uint8_t* palette, int stride,
                  const int32_t* order, int n_mixed, int strength, index_t* out) noexcept nogil:
    cdef uint8_t target[3]
    target[0] = values[place if C == 1 else place >> 12]
    target[1] = values[place >> 6 & 63]
    target[2] = values[place & 63]
    mix(target, C, table, places, palette, stride, order, n_mixed, strength, out)


def mix_wanted(const uint8_t[::1] wanted not None,      # IN (lattice,)
               const uint8_t[::1] values not None,      # IN (256,): grey; else (64,) of a channel
               const index_t[::1] table not None,       # IN the owner of each place
               const uint32_t[:, ::1] places not None,  # IN (channels, 768) of -256..511
               const uint8_t[:, ::1] palette not None,  # IN (K, channels) as seen over black
               const int32_t[::1] order not None,       # IN (K,) the entries' ranks
               int strength,                            # IN 0..64
               index_t[:, ::1] mixtures not None,       # OUT (lattice, n_mixed)
               uint8_t[::1] states not None,            # INOUT (lattice,)
               int n_threads):
    """Make the mixtures of the wanted lattice colours, where they are not known."""
    cdef Py_ssize_t i
    cdef int C = 1 if values.shape[0] == 256 else 3
    for i in prange(wanted.shape[0], nogil=True, num_threads=n_threads, schedule="dynamic",
                    chunksize=512):
        if wanted[i] and not states[i] & KNOWN:
            mix_one(i, &values[0], C, &table[0], &places[0, 0], &palette[0, 0],
                    <int> palette.shape[1], &order[0], <int> mixtures.shape[1], strength,
                    &mixtures[i, 0])
            states[i] |= KNOWN


# ---- pixels

cdef struct Search:
    const uint8_t* palette
    const uint8_t* states
    const uint16_t* scale
    const int32_t* candidates
    Py_ssize_t stride
    alone_fn alone
    int32_t n_mixed
    int32_t strength


cdef int32_t translucent(Search* search, const uint8_t* p, int32_t first,
                         int32_t pick) noexcept nogil:
    """Choose between the nearest entry and the one nearest to the pixel's mirror image in it."""
    cdef int32_t point[4]
    cdef int32_t mirrored[4]
    cdef int32_t second, own
    cdef int64_t along = 0, length = 0, apart
    cdef int d
    rgba_point(p, &point[0], &point[1], &point[2], &point[3])
    for d in range(4):
        own = search.candidates[search.stride * d + first]
        mirrored[d] = min(max(2 * point[d] - own, 0), 16383)
    search.alone(search.candidates, search.stride, mirrored, &second)
    for d in range(4):
        own = search.candidates[search.stride * d + first]
        apart = search.candidates[search.stride * d + second] - own
        along += apart * (point[d] - own)
        length += apart * apart
    if 2 * along * search.strength * search.n_mixed > (2 * pick + 1) * length * 64:
        return second
    return first


cdef km_body_void row_body(int C, Search* search, const index_t* mixtures, const uint8_t* row,
                           const index_t* nearest, const uint8_t* pattern, Py_ssize_t width,
                           index_t* out, uint8_t* wanted, uint8_t* missed) noexcept nogil:
    cdef Py_ssize_t x, place
    cdef const uint8_t* p
    cdef const uint8_t* own
    cdef const uint8_t* at
    cdef uint8_t state, some = 0
    for x in range(width):
        p = row + C * x
        at = pattern + 4 * (x & (PERIOD - 1))
        if C == 4 and p[3] < 255:
            out[x] = nearest[x]
            if p[3]:
                out[x] = <index_t> translucent(search, p, nearest[x], at[0])
            continue
        if C == 1:
            place = p[0]
        else:
            place = ((search.scale[p[0]] + at[1]) >> 8 << 12 | (search.scale[p[1]] + at[2]) >> 8 << 6
                     | (search.scale[p[2]] + at[3]) >> 8)
        state = search.states[place]
        if state != KNOWN:
            if state & CLOSE:
                own = search.palette + C * <Py_ssize_t> nearest[x]
                if own[0] == p[0] and (C == 1 or (own[1] == p[1] and own[2] == p[2])) and (
                        C < 4 or own[3] == p[3]):
                    out[x] = nearest[x]
                    continue
            if not state & KNOWN:
                wanted[place] = 1
                some = 1
                continue
        out[x] = mixtures[search.n_mixed * place + at[0]]
    missed[0] = some


cdef void dither_row(Py_ssize_t C, Search* search, const index_t* mixtures, const uint8_t* row,
                     const index_t* nearest, const uint8_t* pattern, Py_ssize_t width,
                     index_t* out, uint8_t* wanted, uint8_t* missed) noexcept nogil:
    if C == 1:
        row_body(1, search, mixtures, row, nearest, pattern, width, out, wanted, missed)
    elif C == 3:
        row_body(3, search, mixtures, row, nearest, pattern, width, out, wanted, missed)
    else:
        row_body(4, search, mixtures, row, nearest, pattern, width, out, wanted, missed)


def dither_rows(const uint8_t[:, :, ::1] pixels not None,   # IN (rows, W, channels)
                const index_t[:, ::1] nearest not None,     # IN (rows, W)
                const uint8_t[:, ::1] palette not None,     # IN (K, channels)
                const uint8_t[:, :, ::1] pattern not None,  # IN (64, 64, 4) pick; add to a channel
                const uint16_t[::1] scale not None,         # IN (256,) lattice steps in 256ths
                const index_t[:, ::1] mixtures not None,    # IN (lattice, n_mixed)
                const uint8_t[::1] states not None,         # IN (lattice,)
                const int32_t[:, ::1] candidates not None,  # IN for alpha, see lattice.alone_body
                int strength,                               # IN 0..64
                index_t[:, ::1] indices not None,           # OUT (rows, W)
                uint8_t[::1] missed not None,               # INOUT (rows,) 1: to be done
                uint8_t[:, ::1] wanted not None,            # INOUT (n_threads, lattice)
                Py_ssize_t first_row, int level):
    """Dither the rows that are to be done; mark what mixtures they miss.

    `first_row` is the number of the first in the image, where the pattern begins.
    """
    cdef Search search
    cdef Py_ssize_t y, C = pixels.shape[2], W = pixels.shape[1]
    search.palette = &palette[0, 0]
    search.states = &states[0]
    search.scale = &scale[0]
    search.candidates = &candidates[0, 0]
    search.stride = candidates.shape[1]
    search.alone = alone_at(level)
    search.n_mixed = <int32_t> mixtures.shape[1]
    search.strength = strength
    for y in prange(pixels.shape[0], nogil=True, num_threads=<int> wanted.shape[0],
                    schedule="dynamic", chunksize=16):
        if missed[y]:
            dither_row(C, &search, &mixtures[0, 0], &pixels[y, 0, 0], &nearest[y, 0],
                       &pattern[(first_row + y) & (PERIOD - 1), 0, 0], W, &indices[y, 0],
                       &wanted[threadid(), 0], &missed[y])
