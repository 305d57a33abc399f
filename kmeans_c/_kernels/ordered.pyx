# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""Ordered dithering: a colour has a mixture of entries, and where the pixel lies picks one of them;
kmeans_c/dithering.py states the arithmetic.
"""

from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from kmeans_c._kernels.lattice cimport alone_at, alone_fn
from kmeans_c._kernels.spaces cimport rgba_point

cdef extern from "multiversion.h" nogil:
    ctypedef void km_body_void "KM_BODY_VOID"
    ctypedef void km_v3_void "KM_V3_VOID"
    ctypedef void km_v4_void "KM_V4_VOID"
    uint64_t km_load64(const uint8_t* at) noexcept

ctypedef fused index_t:
    uint8_t
    uint16_t

cdef enum:
    OFFSET = 256        # where value 0 stands in a row of places
    PERIOD = 64         # of the pattern
    MOST = 64           # entries of a mixture at most
    LANES = 16          # mixtures made at a time
    CHUNK = 512         # lattice colours that one thread takes at a time

ctypedef void (*sort_fn)(int32_t*, int) noexcept nogil
ctypedef void (*places_fn)(const uint8_t*, int, const uint8_t*, int, int32_t*,
                           uint32_t*) noexcept nogil


# ---- mixtures

cdef km_body_void sort_body(int32_t* chosen, int n) noexcept nogil:
    """Sort n numbers in each of LANES columns: odd-even transposition, the same for all."""
    cdef int32_t low, high
    cdef int turn, i, lane
    for turn in range(n):
        for i in range(turn & 1, n - 1, 2):
            for lane in range(16):
                low = chosen[16 * i + lane]
                high = chosen[16 * i + 16 + lane]
                chosen[16 * i + lane] = low if low < high else high
                chosen[16 * i + 16 + lane] = high if low < high else low


cdef void sort_base(int32_t* a, int b) noexcept nogil:
    sort_body(a, b)


cdef km_v3_void sort_v3(int32_t* a, int b) noexcept nogil:
    sort_body(a, b)


cdef km_v4_void sort_v4(int32_t* a, int b) noexcept nogil:
    sort_body(a, b)


cdef struct Recipe:
    int C
    int n_mixed
    int strength
    int limit
    const int32_t* values       # 64 times those of a channel
    const uint32_t* places
    const int32_t* entries      # (K, 4): 64 times the channels over black, rank
    const uint16_t* by_rank
    sort_fn sort


cdef void mix(Recipe* recipe, const index_t* table, const int32_t* which, int n,
              index_t* mixtures) noexcept nogil:
    """Make the mixtures of n <= LANES lattice colours.

    Several at a time, as each waits for its own last choice.
    """
    cdef int32_t target[3][LANES]
    cdef int32_t missing[3][LANES]
    cdef int32_t chosen[LANES * MOST]
    cdef int32_t value
    cdef uint32_t place
    cdef const int32_t* entry
    cdef int i, d, lane
    for lane in range(16):
        place = which[min(lane, n - 1)]
        target[0][lane] = recipe.values[place if recipe.C == 1 else place >> 12]
        target[1][lane] = recipe.values[place >> 6 & 63]
        target[2][lane] = recipe.values[place & 63]
        for d in range(3):
            missing[d][lane] = 0
    for i in range(recipe.n_mixed):
        for lane in range(n):
            place = 0
            for d in range(recipe.C):
                value = (missing[d][lane] * recipe.strength + 32) >> 6
                value = target[d][lane] + min(max(value, -recipe.limit), recipe.limit)
                value = ((value + 32) >> 6) + OFFSET
                place |= recipe.places[768 * d + min(max(value, 0), 767)]
            entry = recipe.entries + 4 * <Py_ssize_t> table[place]
            for d in range(recipe.C):
                missing[d][lane] += target[d][lane] - entry[d]
            chosen[16 * i + lane] = entry[3]
        for lane in range(n, 16):
            chosen[16 * i + lane] = 0
    recipe.sort(chosen, recipe.n_mixed)
    for lane in range(n):
        for i in range(recipe.n_mixed):
            mixtures[<Py_ssize_t> recipe.n_mixed * which[lane] + i] = <index_t> (
                recipe.by_rank[chosen[16 * i + lane]])


cdef void mix_chunk(Recipe* recipe, const index_t* table, int32_t first, int32_t last,
                    const uint8_t* wanted, index_t* mixtures, uint8_t* known) noexcept nogil:
    cdef int32_t which[LANES]
    cdef int32_t i
    cdef int n = 0
    for i in range(first, last):
        if wanted[i] and not known[i]:
            known[i] = 1
            which[n] = i
            n += 1
            if n == LANES:
                mix(recipe, table, which, n, mixtures)
                n = 0
    if n:
        mix(recipe, table, which, n, mixtures)


def mix_wanted(const uint8_t[::1] wanted not None,      # IN (lattice,)
               const int32_t[::1] values not None,      # IN (256,): grey; else (32,); 64ths
               const index_t[::1] table not None,       # IN the owner of each place
               const uint32_t[:, ::1] places not None,  # IN (channels, 768) of -256..511
               const int32_t[:, ::1] entries not None,  # IN (K, 4) over black, 64ths; rank
               const uint16_t[::1] by_rank not None,    # IN (K,) entries from dark to light
               int strength,                            # IN 0..64
               int limit,                               # IN of what a choice takes, in 64ths
               index_t[:, ::1] mixtures not None,       # OUT (lattice, n_mixed)
               uint8_t[::1] known not None,             # INOUT (lattice,)
               int n_threads, int level):
    """Make the mixtures of the wanted lattice colours, where they are not known."""
    cdef Recipe recipe
    cdef Py_ssize_t i, n = wanted.shape[0]
    recipe.C = 1 if values.shape[0] == 256 else 3
    recipe.n_mixed = <int> mixtures.shape[1]
    recipe.strength = strength
    recipe.limit = limit
    recipe.values = &values[0]
    recipe.places = &places[0, 0]
    recipe.entries = &entries[0, 0]
    recipe.by_rank = &by_rank[0]
    recipe.sort = (<sort_fn> sort_v4 if level == 2 else
                   <sort_fn> sort_v3 if level == 1 else <sort_fn> sort_base)
    for i in prange((n + CHUNK - 1) // CHUNK, nogil=True, num_threads=n_threads,
                    schedule="dynamic"):
        mix_chunk(&recipe, &table[0], <int32_t> (CHUNK * i), <int32_t> min(CHUNK * i + CHUNK, n),
                  &wanted[0], &mixtures[0, 0], &known[0])


# ---- pixels

cdef km_body_void places_body(const uint8_t* p, int C, const uint8_t* add, int n,
                              int32_t* places, uint32_t* colors) noexcept nogil:
    """Number the lattice colours, c 63/255 with 8 bits after the point, of n <= PERIOD pixels; and
    the pixels' own.
    """
    cdef int32_t red, green, blue
    cdef Py_ssize_t i
    for i in range(n):
        red = p[C * i]
        green = p[C * i + 1]
        blue = p[C * i + 2]
        colors[i] = red | green << 8 | blue << 16
        red = ((16191 * red + 64) >> 8) + add[i]
        green = ((16191 * green + 64) >> 8) + add[64 + i]
        blue = ((16191 * blue + 64) >> 8) + add[128 + i]
        places[i] = red >> 8 << 12 | green >> 8 << 6 | blue >> 8


cdef km_body_void places_any(const uint8_t* p, int C, const uint8_t* add, int n, int32_t* places,
                             uint32_t* colors) noexcept nogil:
    if C == 3:
        places_body(p, 3, add, n, places, colors)
    else:
        places_body(p, 4, add, n, places, colors)


cdef void places_base(const uint8_t* a, int b, const uint8_t* c, int d, int32_t* e,
                      uint32_t* f) noexcept nogil:
    places_any(a, b, c, d, e, f)


cdef km_v3_void places_v3(const uint8_t* a, int b, const uint8_t* c, int d, int32_t* e,
                          uint32_t* f) noexcept nogil:
    places_any(a, b, c, d, e, f)


cdef km_v4_void places_v4(const uint8_t* a, int b, const uint8_t* c, int d, int32_t* e,
                          uint32_t* f) noexcept nogil:
    places_any(a, b, c, d, e, f)


cdef struct Search:
    places_fn places
    const uint32_t* colors
    const uint8_t* known
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


cdef inline bint any_of(const uint8_t* skipped) noexcept nogil:
    """Whether any of PERIOD pixels was skipped."""
    cdef uint64_t some = 0
    cdef int i
    for i in range(0, 64, 8):
        some |= km_load64(skipped + i)
    return some != 0


cdef km_body_void row_body(int C, bint again, Search* search, const index_t* mixtures,
                           const uint8_t* row, const index_t* nearest, const uint8_t* pattern,
                           Py_ssize_t width, index_t* out, uint8_t* skipped,
                           uint8_t* wanted, uint8_t* missed) noexcept nogil:
    """Dither a row, or `again` only the pixels that were skipped."""
    cdef int32_t places[PERIOD]
    cdef uint32_t colors[PERIOD]
    cdef Py_ssize_t start, place, n_mixed = search.n_mixed
    # Bytes are written, which could be anything for all that the compiler knows: read these once.
    cdef const uint8_t* known = search.known
    cdef const uint32_t* entries = search.colors
    cdef const uint8_t* p
    cdef index_t own, mixed
    cdef uint8_t some = 0
    cdef int i, n
    for start in range(0, width, 64):   # PERIOD
        n = <int> min(width - start, <Py_ssize_t> PERIOD)
        if again and n == PERIOD and not any_of(skipped + start):
            continue
        p = row + C * start
        if C > 1:
            search.places(p, C, pattern + 64, n, places, colors)
        for i in range(n):
            if again and not skipped[start + i]:
                continue
            own = nearest[start + i]
            place = p[i] if C == 1 else places[i]
            if C == 4 and p[4 * i + 3] < 255:
                if p[4 * i + 3]:
                    own = <index_t> translucent(search, p + 4 * i, own, pattern[i])
                out[start + i] = own
                continue
            if not known[place]:
                wanted[place] = 1
                skipped[start + i] = 1
                some = 1
                continue
            mixed = mixtures[n_mixed * place + pattern[i]]
            if C == 1:
                out[start + i] = mixed
            else:
                # What is in the palette stays, also between the lattice's colours.
                out[start + i] = own if colors[i] == entries[own] else mixed
            if again:
                skipped[start + i] = 0
    missed[0] = some


cdef void dither_row(Py_ssize_t C, Search* search, const index_t* mixtures, const uint8_t* row,
                     const index_t* nearest, const uint8_t* pattern, Py_ssize_t width,
                     index_t* out, uint8_t* skipped, uint8_t* wanted, uint8_t* missed,
                     bint again) noexcept nogil:
    if again and C == 1:
        row_body(1, True, search, mixtures, row, nearest, pattern, width, out, skipped, wanted,
                 missed)
    elif again and C == 3:
        row_body(3, True, search, mixtures, row, nearest, pattern, width, out, skipped, wanted,
                 missed)
    elif again:
        row_body(4, True, search, mixtures, row, nearest, pattern, width, out, skipped, wanted,
                 missed)
    elif C == 1:
        row_body(1, False, search, mixtures, row, nearest, pattern, width, out, skipped, wanted,
                 missed)
    elif C == 3:
        row_body(3, False, search, mixtures, row, nearest, pattern, width, out, skipped, wanted,
                 missed)
    else:
        row_body(4, False, search, mixtures, row, nearest, pattern, width, out, skipped, wanted,
                 missed)


def dither_rows(const uint8_t[:, :, ::1] pixels not None,   # IN (rows, W, channels)
                const index_t[:, ::1] nearest not None,     # IN (rows, W)
                const uint32_t[::1] colors not None,        # IN (K,) r + 256 g + 65536 b; opaque
                const uint8_t[:, :, ::1] pattern not None,  # IN (64, 4, 64) pick; add to a channel
                const index_t[:, ::1] mixtures not None,    # IN (lattice, n_mixed)
                const uint8_t[::1] known not None,          # IN (lattice,)
                const int32_t[:, ::1] candidates not None,  # IN for alpha, see lattice.alone_body
                int strength,                               # IN 0..64
                index_t[:, ::1] indices not None,           # OUT (rows, W)
                uint8_t[:, ::1] skipped not None,           # INOUT (rows, W) zeros at first
                uint8_t[::1] missed not None,               # INOUT (rows,) 1: to be done
                uint8_t[:, ::1] wanted not None,            # INOUT (n_threads, lattice)
                bint again, Py_ssize_t first_row, int level):
    """Dither the rows that are to be done; skip pixels whose mixtures are missing, and want these.

    `first_row` is the number of the first in the image, where the pattern begins.
    """
    cdef Search search
    cdef Py_ssize_t y, C = pixels.shape[2], W = pixels.shape[1]
    search.places = (<places_fn> places_v4 if level == 2 else
                     <places_fn> places_v3 if level == 1 else <places_fn> places_base)
    search.colors = &colors[0]
    search.known = &known[0]
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
                       &skipped[y, 0], &wanted[threadid(), 0], &missed[y], again)
