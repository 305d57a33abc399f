# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""Ordered dithering: a colour has a mixture of entries, and where the pixel lies picks one of them;
kmeans_c/dithering.py states the arithmetic.
"""

from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from kmeans_c._kernels.lattice cimport Memo, alone_at, recall
from kmeans_c._kernels.spaces cimport rgba_point

cdef extern from "multiversion.h" nogil:
    ctypedef void km_body_void "KM_BODY_VOID"
    ctypedef void km_v3_void "KM_V3_VOID"
    ctypedef void km_v4_void "KM_V4_VOID"

ctypedef fused index_t:
    uint8_t
    uint16_t

cdef enum:
    OFFSET = 256        # where value 0 stands in a row of places
    PERIOD = 64         # of the pattern
    MOST = 32           # entries of a mixture at most
    LANES = 16          # mixtures made at a time
    CELL = 8            # lattice colours whose mixtures are made together: a cube of 2x2x2
    CHUNK = 64          # cells that one thread takes at a time

ctypedef void (*sort_fn)(int32_t*, int) noexcept nogil
ctypedef void (*aim_fn)(int, int32_t, int32_t, const int32_t*, const int32_t*, const uint32_t*,
                        uint32_t*) noexcept nogil
ctypedef void (*take_fn)(int, const int32_t*, const int32_t*, const int32_t*, int32_t*,
                         int32_t*) noexcept nogil
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


cdef km_body_void aim_body(int C, int32_t strength, int32_t limit, const int32_t* target,
                           const int32_t* missing, const uint32_t* places,
                           uint32_t* aims) noexcept nogil:
    """Find the places of LANES targets that are moved by what is missing so far."""
    cdef int32_t value
    cdef uint32_t first, second, third
    cdef int lane
    for lane in range(16):      # LANES
        value = (missing[lane] * strength + 32) >> 6
        value = target[lane] + min(max(value, -limit), limit)
        first = places[min(max(((value + 32) >> 6) + OFFSET, 0), 767)]
        if C == 3:
            value = (missing[16 + lane] * strength + 32) >> 6
            value = target[16 + lane] + min(max(value, -limit), limit)
            second = places[768 + min(max(((value + 32) >> 6) + OFFSET, 0), 767)]
            value = (missing[32 + lane] * strength + 32) >> 6
            value = target[32 + lane] + min(max(value, -limit), limit)
            third = places[1536 + min(max(((value + 32) >> 6) + OFFSET, 0), 767)]
            first |= second | third
        aims[lane] = first


cdef km_body_void take_body(int C, const int32_t* target, const int32_t* entries,
                            const int32_t* labels, int32_t* missing,
                            int32_t* ranks) noexcept nogil:
    """Count LANES entries as chosen."""
    cdef int32_t at
    cdef int lane
    for lane in range(16):      # LANES
        at = 4 * labels[lane]
        missing[lane] += target[lane] - entries[at]
        if C == 3:
            missing[16 + lane] += target[16 + lane] - entries[at + 1]
            missing[32 + lane] += target[32 + lane] - entries[at + 2]
        ranks[lane] = entries[at + 3]


cdef km_body_void aim_any(int C, int32_t strength, int32_t limit, const int32_t* target,
                          const int32_t* missing, const uint32_t* places,
                          uint32_t* aims) noexcept nogil:
    if C == 1:
        aim_body(1, strength, limit, target, missing, places, aims)
    else:
        aim_body(3, strength, limit, target, missing, places, aims)


cdef void aim_base(int a, int32_t b, int32_t c, const int32_t* d, const int32_t* e,
                   const uint32_t* f, uint32_t* g) noexcept nogil:
    aim_any(a, b, c, d, e, f, g)


cdef km_v3_void aim_v3(int a, int32_t b, int32_t c, const int32_t* d, const int32_t* e,
                       const uint32_t* f, uint32_t* g) noexcept nogil:
    aim_any(a, b, c, d, e, f, g)


cdef km_v4_void aim_v4(int a, int32_t b, int32_t c, const int32_t* d, const int32_t* e,
                       const uint32_t* f, uint32_t* g) noexcept nogil:
    aim_any(a, b, c, d, e, f, g)


cdef km_body_void take_any(int C, const int32_t* target, const int32_t* entries,
                           const int32_t* labels, int32_t* missing,
                           int32_t* ranks) noexcept nogil:
    if C == 1:
        take_body(1, target, entries, labels, missing, ranks)
    else:
        take_body(3, target, entries, labels, missing, ranks)


cdef void take_base(int a, const int32_t* b, const int32_t* c, const int32_t* d, int32_t* e,
                    int32_t* f) noexcept nogil:
    take_any(a, b, c, d, e, f)


cdef km_v3_void take_v3(int a, const int32_t* b, const int32_t* c, const int32_t* d, int32_t* e,
                        int32_t* f) noexcept nogil:
    take_any(a, b, c, d, e, f)


cdef km_v4_void take_v4(int a, const int32_t* b, const int32_t* c, const int32_t* d, int32_t* e,
                        int32_t* f) noexcept nogil:
    take_any(a, b, c, d, e, f)


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
    aim_fn aim
    take_fn take


cdef inline uint32_t gathered(uint32_t place) noexcept nogil:
    """Take every third bit, six of them: one channel of a place in Z-order."""
    place &= 0x9249
    place = (place | place >> 2) & 0x30c3
    place = (place | place >> 4) & 0xf00f
    return (place | place >> 8) & 0xff


cdef void mix(Recipe* recipe, const index_t* table, const int32_t* cells, int n_cells,
              index_t* mixtures) noexcept nogil:
    """Make the mixtures of one or two cells.

    LANES at a time, as each waits for its own last choice.
    """
    cdef int32_t target[3 * LANES]
    cdef int32_t missing[3 * LANES]
    cdef int32_t chosen[LANES * MOST]
    cdef uint32_t aims[LANES]
    cdef int32_t labels[LANES]
    cdef uint32_t place
    cdef index_t* out
    cdef int i, lane
    for lane in range(16):
        place = 8 * cells[min(lane >> 3, n_cells - 1)] + (lane & 7)
        if recipe.C == 1:
            target[lane] = recipe.values[place]
        else:
            target[lane] = recipe.values[gathered(place >> 2)]
            target[16 + lane] = recipe.values[gathered(place >> 1)]
            target[32 + lane] = recipe.values[gathered(place)]
    for lane in range(48):
        missing[lane] = 0
    for i in range(recipe.n_mixed):
        recipe.aim(recipe.C, recipe.strength, recipe.limit, target, missing, recipe.places, aims)
        for lane in range(16):
            labels[lane] = table[aims[lane]]
        recipe.take(recipe.C, target, recipe.entries, labels, missing, chosen + 16 * i)
    recipe.sort(chosen, recipe.n_mixed)
    for lane in range(8 * n_cells):
        out = mixtures + <Py_ssize_t> recipe.n_mixed * (8 * cells[lane >> 3] + (lane & 7))
        for i in range(recipe.n_mixed):
            out[i] = <index_t> recipe.by_rank[chosen[16 * i + lane]]


cdef void mix_chunk(Recipe* recipe, const index_t* table, int32_t first, int32_t last,
                    const uint8_t* wanted, index_t* mixtures, uint8_t* unknown) noexcept nogil:
    cdef int32_t cells[2]
    cdef int32_t i
    cdef int n = 0
    for i in range(first, last):
        if wanted[i] and unknown[i]:
            unknown[i] = 0
            cells[n] = i
            n += 1
            if n == 2:
                mix(recipe, table, cells, n, mixtures)
                n = 0
    if n:
        mix(recipe, table, cells, n, mixtures)


def mix_wanted(const uint8_t[::1] wanted not None,      # IN (lattice / 8,)
               const int32_t[::1] values not None,      # IN (256,): grey; else (64,); 64ths
               const index_t[::1] table not None,       # IN the owner of each place
               const uint32_t[:, ::1] places not None,  # IN (channels, 768) of -256..511
               const int32_t[:, ::1] entries not None,  # IN (K, 4) over black, 64ths; rank
               const uint16_t[::1] by_rank not None,    # IN (K,) entries from dark to light
               int strength,                            # IN 0..64
               int limit,                               # IN of what a choice takes, in 64ths
               index_t[:, ::1] mixtures not None,       # OUT (lattice, n_mixed)
               uint8_t[::1] unknown not None,           # INOUT (lattice / 8,)
               int n_threads, int level):
    """Make the mixtures of the wanted cells that are unknown."""
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
    recipe.aim = (<aim_fn> aim_v4 if level == 2 else
                  <aim_fn> aim_v3 if level == 1 else <aim_fn> aim_base)
    recipe.take = (<take_fn> take_v4 if level == 2 else
                   <take_fn> take_v3 if level == 1 else <take_fn> take_base)
    for i in prange((n + CHUNK - 1) // CHUNK, nogil=True, num_threads=n_threads,
                    schedule="dynamic"):
        mix_chunk(&recipe, &table[0], <int32_t> (CHUNK * i), <int32_t> min(CHUNK * i + CHUNK, n),
                  &wanted[0], &mixtures[0, 0], &unknown[0])


# ---- pixels

cdef inline int32_t spread(int32_t value) noexcept nogil:
    """Put bit i of a number of 6 bits at bit 3 i."""
    value = (value | value << 8) & 0x300f
    value = (value | value << 4) & 0x30c3
    return (value | value << 2) & 0x9249


cdef km_body_void places_body(const uint8_t* p, int C, const uint8_t* add, int n,
                              int32_t* places, uint32_t* colors) noexcept nogil:
    """Number the lattice colours, c 63/255 with 8 bits after the point, of n <= PERIOD pixels, and
    the pixels' own. What is not opaque is at place 0 and has a colour that no entry has.
    """
    cdef int32_t red, green, blue, opaque = 1
    cdef Py_ssize_t i
    for i in range(n):
        red = p[C * i]
        green = p[C * i + 1]
        blue = p[C * i + 2]
        if C == 4:
            opaque = p[4 * i + 3] == 255
        colors[i] = red | green << 8 | blue << 16 | (opaque ^ 1) << 25
        red = ((16191 * red + 64) >> 8) + add[i]
        green = ((16191 * green + 64) >> 8) + add[64 + i]
        blue = ((16191 * blue + 64) >> 8) + add[128 + i]
        places[i] = (spread(red >> 8) << 2 | spread(green >> 8) << 1 | spread(blue >> 8)) & -opaque


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
    const uint8_t* unknown
    int32_t n_mixed
    int32_t strength


cdef int32_t translucent(Search* search, Memo* memo, const uint8_t* p, int32_t first,
                         int32_t pick) noexcept nogil:
    """Choose between the nearest entry and the one nearest to the pixel's mirror image in it."""
    cdef int32_t point[4]
    cdef int32_t mirrored[4]
    cdef int32_t second, own
    cdef int64_t along = 0, length = 0, apart
    cdef int d
    rgba_point(p, &point[0], &point[1], &point[2], &point[3])
    for d in range(4):
        own = memo.candidates[memo.stride * d + first]
        mirrored[d] = min(max(2 * point[d] - own, 0), 16383)
    second = recall(memo, mirrored)
    for d in range(4):
        own = memo.candidates[memo.stride * d + first]
        apart = memo.candidates[memo.stride * d + second] - own
        along += apart * (point[d] - own)
        length += apart * apart
    if 2 * along * search.strength * search.n_mixed > (2 * pick + 1) * length * 64:
        return second
    return first


cdef km_body_void row_body(int C, Search* search, Memo* memo, const index_t* mixtures,
                           const uint8_t* row, const index_t* nearest, const uint8_t* pattern,
                           Py_ssize_t width, index_t* out, uint8_t* skipped, uint8_t* wanted,
                           uint8_t* missed) noexcept nogil:
    """Dither the runs of a row that have been skipped, and skip those of unknown mixtures."""
    cdef int32_t places[PERIOD]
    cdef uint32_t colors[PERIOD]
    cdef Py_ssize_t start, place, n_mixed = search.n_mixed
    # Bytes are written, which could be anything for all that the compiler knows: read these once.
    cdef const uint8_t* unknown = search.unknown
    cdef const uint32_t* entries = search.colors
    cdef const uint8_t* p
    cdef index_t own, mixed
    cdef uint8_t some, faint
    cdef int i, n
    missed[0] = 0
    for start in range(0, width, 64):   # PERIOD
        if not skipped[start >> 6]:
            continue
        n = <int> min(width - start, <Py_ssize_t> PERIOD)
        p = row + C * start
        # Pixels are read once: what is wanted must be what was missed, whoever writes to them.
        if C > 1:
            search.places(p, C, pattern + 64, n, places, colors)
        else:
            for i in range(n):
                places[i] = p[i]
        some = 0
        for i in range(n):
            place = places[i]
            own = nearest[start + i]
            some |= unknown[place >> 3]
            mixed = mixtures[n_mixed * place + pattern[i]]
            # What is in the palette stays, also between the lattice's colours.
            out[start + i] = own if C > 1 and colors[i] == entries[own] else mixed
        if some:
            for i in range(n):
                wanted[places[i] >> 3] = 1
            missed[0] = 1
            continue
        skipped[start >> 6] = 0
        if C == 4:
            faint = 0
            for i in range(n):
                faint |= p[4 * i + 3] ^ 255
            if not faint:
                continue
            for i in range(n):
                if p[4 * i + 3] < 255:
                    own = nearest[start + i]
                    if p[4 * i + 3]:
                        own = <index_t> translucent(search, memo, p + 4 * i, own, pattern[i])
                    out[start + i] = own


cdef void dither_row(Py_ssize_t C, Search* search, Memo* memo, const index_t* mixtures,
                     const uint8_t* row, const index_t* nearest, const uint8_t* pattern,
                     Py_ssize_t width, index_t* out, uint8_t* skipped, uint8_t* wanted,
                     uint8_t* missed) noexcept nogil:
    if C == 1:
        row_body(1, search, memo, mixtures, row, nearest, pattern, width, out, skipped, wanted,
                 missed)
    elif C == 3:
        row_body(3, search, memo, mixtures, row, nearest, pattern, width, out, skipped, wanted,
                 missed)
    else:
        row_body(4, search, memo, mixtures, row, nearest, pattern, width, out, skipped, wanted,
                 missed)


def dither_rows(const uint8_t[:, :, ::1] pixels not None,   # IN (rows, W, channels)
                const index_t[:, ::1] nearest not None,     # IN (rows, W)
                const uint32_t[::1] colors not None,        # IN (K,) r + 256 g + 65536 b; opaque
                const uint8_t[:, :, ::1] pattern not None,  # IN (64, 4, 64) pick; add to a channel
                const index_t[:, ::1] mixtures not None,    # IN (lattice, n_mixed)
                const uint8_t[::1] unknown not None,        # IN (lattice / 8,)
                const int32_t[:, ::1] candidates not None,  # IN for alpha, see lattice.alone_body
                uint64_t[:, ::1] slots not None,            # INOUT (n_threads, n) see lattice.pxd
                int strength,                               # IN 0..64
                index_t[:, ::1] indices not None,           # OUT (rows, W)
                uint8_t[:, ::1] skipped not None,           # INOUT (rows, W / 64) ones at first
                uint8_t[::1] missed not None,               # INOUT (rows,) ones at first
                uint8_t[:, ::1] wanted not None,            # INOUT (n_threads, lattice / 8)
                Py_ssize_t first_row, int level):
    """Dither the rows that are to be done; skip runs whose mixtures are unknown, and want these.

    `first_row` is the number of the first in the image, where the pattern begins.
    """
    cdef Search search
    cdef Memo memo
    cdef Py_ssize_t y, C = pixels.shape[2], W = pixels.shape[1]
    search.places = (<places_fn> places_v4 if level == 2 else
                     <places_fn> places_v3 if level == 1 else <places_fn> places_base)
    search.colors = &colors[0]
    search.unknown = &unknown[0]
    search.n_mixed = <int32_t> mixtures.shape[1]
    search.strength = strength
    for y in prange(pixels.shape[0], nogil=True, num_threads=<int> wanted.shape[0],
                    schedule="dynamic", chunksize=16):
        if missed[y]:
            memo.candidates = &candidates[0, 0]
            memo.stride = candidates.shape[1]
            memo.alone = alone_at(level)
            memo.n_slots = slots.shape[1]
            memo.slots = &slots[threadid(), 0]
            dither_row(C, &search, &memo, &mixtures[0, 0], &pixels[y, 0, 0], &nearest[y, 0],
                       &pattern[(first_row + y) & (PERIOD - 1), 0, 0], W, &indices[y, 0],
                       &skipped[y, 0], &wanted[threadid(), 0], &missed[y])
