# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""Pixels to palette indices: by comparison with every entry, or by a table of two levels.

The table knows the RGB cube in cells of 8x8x8 colours, in Z-order. The lower level begins with
the numbers of all palette entries; 512 places for each cell follow. A cell's entry in the upper
level is 4 times a place in the lower level, plus 1 if the colour's position within the cell does
not count (one palette entry owns the cell), plus 2 if the cell is not known yet.
"""

from cython.parallel cimport prange, threadid
from libc.math cimport fmaf
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from kmeans_c._kernels.keys cimport (
    channel, fetch_next, fill_spread, keys_at, keys_fn, pack_opaque, rgb_key)
from kmeans_c._kernels.nearest cimport (
    ID, MAX_LEAF, PACK, PLANES, filter_at, filter_fn, own_at, own_fn, pack_centroid, padded)
from kmeans_c._kernels.spaces cimport rgba_point

cdef extern from "multiversion.h" nogil:
    ctypedef void km_body_void "KM_BODY_VOID"
    ctypedef void km_v3_void "KM_V3_VOID"
    ctypedef void km_v4_void "KM_V4_VOID"
    void km_prefetch(const void* address) noexcept

ctypedef fused index_t:
    uint8_t
    uint16_t

cdef enum:
    BLOCK = 256         # pixels compared at a time
    CELL = 512          # colours of a cell
    CELLS = 32768
    RUN = 1024          # pixels looked up between looks at whether a cell was not known
    SUPER = 64          # cells of a cube of 32x32x32 colours, which shares one list of candidates
    UNKNOWN = 3
    SOURCE_AHEAD = 1024     # bytes between a pixel's prefetch and its use

ctypedef void (*compare_fn)(const uint8_t*, int, const float*, int, int32_t*) noexcept nogil

cdef uint32_t SPREAD3[256]
fill_spread(SPREAD3, 3)


# ---- comparison with every entry

cdef km_body_void compare_body(bint fused, const uint8_t* p, int n, const float* entries,
                               int n_entries, int32_t* index) noexcept nogil:
    """Find the nearest entry of n <= BLOCK pixels, the first of equals.

    Entry k is 64 times (-2 r, -2 g, -2 b, r^2 + g^2 + b^2), plus k mod 64 in the last place: the
    pixel's score 64 (|c|^2 - 2 c.x) + k mod 64 is an integer below 2^24, exact in float32 however
    it is added up, and the least of a group tells its entry. Entries come in fours: as many
    comparisons as registers hold for one look at the pixels.
    """
    cdef float red[BLOCK]
    cdef float green[BLOCK]
    cdef float blue[BLOCK]
    cdef float best[BLOCK]
    cdef int32_t best_of_all[BLOCK]
    cdef int32_t whole
    cdef float least, score
    cdef float c[4][4]
    cdef Py_ssize_t i   # an int could wrap at 3 i, for all that gcc knows: no vectors then
    cdef int j, k, d, group
    for i in range(n):
        red[i] = p[3 * i]
        green[i] = p[3 * i + 1]
        blue[i] = p[3 * i + 2]
    for i in range(n, BLOCK):
        red[i] = green[i] = blue[i] = 0
    for i in range(BLOCK):
        best_of_all[i] = 0x7fffffff
    for group in range(0, n_entries, 64):
        for i in range(BLOCK):
            best[i] = 1e30
        for k in range(group, min(group + 64, n_entries), 4):
            for j in range(4):
                for d in range(4):
                    c[j][d] = entries[4 * (k + j) + d]
            for i in range(BLOCK):
                least = best[i]
                for j in range(4):
                    if fused:
                        score = fmaf(red[i], c[j][0], fmaf(green[i], c[j][1],
                                                           fmaf(blue[i], c[j][2], c[j][3])))
                    else:
                        score = (c[j][3] + red[i] * c[j][0] + green[i] * c[j][1]
                                 + blue[i] * c[j][2])
                    least = score if score < least else least
                best[i] = least
        for i in range(BLOCK):
            whole = <int32_t> best[i]
            index[i] = group + (whole & 63) if whole >> 6 < best_of_all[i] else index[i]
            best_of_all[i] = min(best_of_all[i], whole >> 6)


cdef void compare_base(const uint8_t* p, int n, const float* entries, int n_entries,
                       int32_t* index) noexcept nogil:
    compare_body(False, p, n, entries, n_entries, index)


cdef km_v3_void compare_v3(const uint8_t* p, int n, const float* entries, int n_entries,
                           int32_t* index) noexcept nogil:
    compare_body(True, p, n, entries, n_entries, index)


cdef km_v4_void compare_v4(const uint8_t* p, int n, const float* entries, int n_entries,
                           int32_t* index) noexcept nogil:
    compare_body(True, p, n, entries, n_entries, index)


cdef void compare_block(compare_fn compare, const uint8_t* p, int n, const float* entries,
                        int n_entries, index_t* out) noexcept nogil:
    cdef int32_t index[BLOCK]
    cdef int i
    compare(p, n, entries, n_entries, index)
    for i in range(n):
        out[i] = <index_t> index[i]


def compare_rgb(const uint8_t[:, ::1] pixels not None,  # IN (n, 3)
                const float[:, ::1] entries not None,   # IN (K rounded up to fours, 4)
                index_t[::1] indices not None,          # OUT (n,)
                int n_threads, int level):
    """Map RGB pixels by comparing each with every palette entry."""
    cdef Py_ssize_t block, n = pixels.shape[0]
    cdef int n_entries = <int> entries.shape[0]
    cdef compare_fn compare = <compare_fn> compare_base
    if level == 1:
        compare = <compare_fn> compare_v3
    elif level == 2:
        compare = <compare_fn> compare_v4
    for block in prange((n + BLOCK - 1) // BLOCK, nogil=True, num_threads=n_threads,
                        schedule="static"):
        compare_block(compare, &pixels[BLOCK * block, 0],
                      <int> min(<Py_ssize_t> BLOCK, n - BLOCK * block), &entries[0, 0],
                      n_entries, &indices[BLOCK * block])


def take_grey(const uint8_t[::1] pixels not None,       # IN (n,)
              const index_t[::1] table not None,        # IN (256,)
              index_t[::1] indices not None):           # OUT (n,)
    """Map grey pixels by table."""
    cdef Py_ssize_t i, n = pixels.shape[0]
    # Bytes are written, which could be anything for all that the compiler knows: read these once.
    cdef const uint8_t* p
    cdef const index_t* entries = &table[0]
    cdef index_t* out
    if n == 0:
        return
    p = &pixels[0]
    out = &indices[0]
    with nogil:
        for i in range(0, n - 3, 4):    # compilers may not unroll it; half as fast then
            out[i] = entries[p[i]]
            out[i + 1] = entries[p[i + 1]]
            out[i + 2] = entries[p[i + 2]]
            out[i + 3] = entries[p[i + 3]]
        for i in range(n & ~<Py_ssize_t> 3, n):
            out[i] = entries[p[i]]


# ---- the table

cdef struct Search:     # what finding the owners of cells needs; read by all threads
    filter_fn filter
    own_fn own
    int D
    int K               # candidates
    Py_ssize_t stride
    Py_ssize_t base     # where the cells begin in the table's lower level
    int32_t* planes     # the candidates as a list
    int32_t* packed     # of all entries
    float* slack        # zeros
    int32_t fourth      # the coordinate that all opaque colours share


cdef struct Scratch:    # what one thread writes
    int32_t* lists
    float* slack
    int32_t* work


cdef void free_search(Search* search, Scratch* scratches, int n_threads) noexcept nogil:
    cdef int t
    free(search.planes)
    free(search.packed)
    free(search.slack)
    if scratches != NULL:
        for t in range(n_threads):
            free(scratches[t].lists)
            free(scratches[t].slack)
            free(scratches[t].work)
    free(scratches)


cdef Scratch* start_search(Search* search, const int32_t[:, ::1] entries,
                           const int32_t[::1] ids, int n_threads, int level) noexcept nogil:
    """Have the entries with these ascending ids as candidates; return scratch memory a thread, or
    NULL."""
    cdef Scratch* scratches = <Scratch*> malloc(n_threads * sizeof(Scratch))
    cdef Py_ssize_t k
    cdef int32_t entry
    cdef int d, t
    cdef bint short_of = scratches == NULL
    search.D = <int> entries.shape[1]
    search.K = <int> ids.shape[0]
    search.stride = padded(search.K)
    search.base = padded(entries.shape[0])
    search.filter = filter_at(search.D, level)
    search.own = own_at(search.D, level)
    search.planes = <int32_t*> malloc(PLANES * search.stride * sizeof(int32_t))
    search.packed = <int32_t*> malloc(PACK * entries.shape[0] * sizeof(int32_t))
    search.slack = <float*> malloc(search.stride * sizeof(float))
    if scratches != NULL:
        for t in range(n_threads):
            scratches[t].lists = <int32_t*> malloc(3 * PLANES * search.stride * sizeof(int32_t))
            scratches[t].slack = <float*> malloc(2 * search.stride * sizeof(float))
            scratches[t].work = <int32_t*> malloc(search.stride * sizeof(int32_t))
            short_of = short_of or (scratches[t].lists == NULL or scratches[t].slack == NULL
                                    or scratches[t].work == NULL)
    if short_of or search.planes == NULL or search.packed == NULL or search.slack == NULL:
        free_search(search, scratches, n_threads)
        return NULL
    for k in range(search.stride):
        search.slack[k] = 0
        entry = ids[k if k < search.K else 0]
        search.planes[ID * search.stride + k] = entry
        for d in range(search.D):
            search.planes[d * search.stride + k] = entries[entry, d]
    for k in range(entries.shape[0]):
        pack_centroid(search.packed + PACK * k, &entries[k, 0], search.D)
    return scratches


cdef void box_of(uint32_t key, int edge, int32_t fourth, int32_t* low,
                 int32_t* high) noexcept nogil:
    """Bound the cube of edge^3 colours that begins with an RGB key."""
    cdef int d
    for d in range(3):
        low[d] = 64 * <int32_t> channel(key, 3, 2 - d)
        high[d] = low[d] + 64 * (edge - 1)
    low[3] = high[3] = fourth


cdef void own_cell(Search* search, Scratch* scratch, Py_ssize_t cell, const int32_t* list_of,
                   const float* slack, int m, uint32_t* upper, index_t* lower) noexcept nogil:
    """Find the owners of one cell's colours among the m candidates of its super-cell."""
    cdef int32_t points[4 * MAX_LEAF]
    cdef int32_t owner[MAX_LEAF]
    cdef uint16_t label[MAX_LEAF]
    cdef int32_t low[4]
    cdef int32_t high[4]
    cdef Py_ssize_t stride = search.stride
    cdef int32_t* of_cell = scratch.lists + PLANES * stride
    cdef int32_t* of_part = scratch.lists + 2 * PLANES * stride
    cdef int32_t differ
    cdef int m_cell, m_part, part, i
    cdef uint32_t key = <uint32_t> (CELL * cell)
    cdef index_t* out = lower + search.base + CELL * cell
    box_of(key, 8, search.fourth, low, high)
    search.filter(list_of, slack, stride, m, low, high, of_cell, scratch.slack + stride,
                  scratch.work, &m_cell)
    if m_cell == 1:
        upper[cell] = <uint32_t> (4 * of_cell[ID * stride] + 1)
        return
    for part in range(8):   # cubes of 4x4x4
        box_of(key + 64 * part, 4, search.fourth, low, high)
        search.filter(of_cell, scratch.slack + stride, stride, m_cell, low, high, of_part, NULL,
                      scratch.work, &m_part)
        if m_part == 1:
            for i in range(64):
                out[64 * part + i] = <index_t> of_part[ID * stride]
            continue
        for i in range(64):
            label[i] = 0
            points[i] = low[0] + 64 * <int32_t> channel(i, 3, 2)
            points[64 + i] = low[1] + 64 * <int32_t> channel(i, 3, 1)
            points[128 + i] = low[2] + 64 * <int32_t> channel(i, 3, 0)
            points[192 + i] = search.fourth
        search.own(points, 64, 64, search.packed, of_part + ID * stride, m_part, label, owner,
                   &differ)
        for i in range(64):
            out[64 * part + i] = <index_t> owner[i]
    upper[cell] = <uint32_t> (4 * (search.base + CELL * cell))


cdef void own_super(Search* search, Scratch* scratch, Py_ssize_t first, const uint8_t* wanted,
                    uint32_t* upper, index_t* lower) noexcept nogil:
    cdef int32_t low[4]
    cdef int32_t high[4]
    cdef Py_ssize_t cell
    cdef int m = 0
    for cell in range(first, first + SUPER):
        if not wanted[cell] or upper[cell] != UNKNOWN:
            continue
        if m == 0:
            box_of(<uint32_t> (CELL * first), 32, search.fourth, low, high)
            search.filter(search.planes, search.slack, search.stride, search.K, low, high,
                          scratch.lists, scratch.slack, scratch.work, &m)
        own_cell(search, scratch, cell, scratch.lists, scratch.slack, m, upper, lower)


def own_cells(const int32_t[:, ::1] entries not None,   # IN (K, 3 or 4) coordinates
              const int32_t[::1] ids not None,          # IN (1..K,) ascending: the candidates
              const uint8_t[::1] wanted not None,       # IN (CELLS,)
              uint32_t[::1] upper not None,             # INOUT (CELLS,)
              index_t[::1] lower not None,              # INOUT (K padded to 16 + 2^24,)
              int fourth, int n_threads, int level):
    """Make the wanted cells known, where they are not."""
    cdef Search search
    cdef Scratch* scratches
    cdef Py_ssize_t part
    scratches = start_search(&search, entries, ids, n_threads, level)
    if scratches == NULL:
        raise MemoryError
    search.fourth = fourth
    for part in prange(CELLS // SUPER, nogil=True, num_threads=n_threads, schedule="dynamic",
                       chunksize=8):
        own_super(&search, &scratches[threadid()], SUPER * part, &wanted[0], &upper[0], &lower[0])
    free_search(&search, scratches, n_threads)


cdef inline uint32_t place_of(uint32_t key, uint32_t entry) noexcept nogil:
    # The lowest bit less 1 is a mask: all ones where the position in the cell counts.
    return (entry >> 2) + (key & (CELL - 1) & ((entry & 1) - 1))


cdef void look_up_run(keys_fn make_keys, const uint8_t* p, Py_ssize_t n, const uint32_t* upper,
                      const index_t* lower, index_t* out, uint8_t* missed) noexcept nogil:
    cdef uint32_t keys[BLOCK]
    cdef Py_ssize_t start
    cdef int i, size
    cdef uint32_t entry, seen = 0
    for start in range(0, n, 256):      # BLOCK
        size = <int> min(n - start, <Py_ssize_t> BLOCK)
        make_keys(SPREAD3, p + 3 * start, size, keys)
        for i in range(size):
            entry = upper[keys[i] >> 9]
            seen |= entry
            out[start + i] = lower[place_of(keys[i], entry)]
    missed[0] = (seen & 2) != 0


def look_up(const uint8_t[:, ::1] pixels not None,      # IN (n, 3)
            const uint32_t[::1] upper not None,         # IN
            const index_t[::1] lower not None,          # IN
            index_t[::1] indices not None,              # OUT (n,)
            uint8_t[::1] missed not None,               # INOUT (runs,) 1: to be done
            int n_threads, int level):
    """Map RGB pixels by table, in the runs that are to be done."""
    cdef Py_ssize_t run, n = pixels.shape[0]
    cdef keys_fn make_keys = keys_at(level)
    for run in prange(missed.shape[0], nogil=True, num_threads=n_threads, schedule="static"):
        if missed[run]:
            look_up_run(make_keys, &pixels[RUN * run, 0],
                        min(<Py_ssize_t> RUN, n - RUN * run), &upper[0], &lower[0],
                        &indices[RUN * run], &missed[run])


def want_cells(const uint8_t[:, ::1] pixels not None,   # IN (n, 3)
               const uint8_t[::1] missed not None,      # IN (runs,)
               uint8_t[::1] wanted not None,            # INOUT (CELLS,)
               Py_ssize_t step):                        # IN 1: all
    """Mark the cells of every `step`th pixel in the runs still to be done."""
    cdef Py_ssize_t run, i
    with nogil:
        for run in range(missed.shape[0]):
            if missed[run]:
                i = RUN * run
                while i < min(pixels.shape[0], RUN * (run + 1)):
                    wanted[rgb_key(SPREAD3, &pixels[i, 0]) >> 9] = 1
                    i += step


# ---- the table of all colours

def own_colors(const uint32_t[::1] keys not None,       # IN (n,) RGB keys
               const uint16_t[::1] owners not None,     # IN (n,)
               index_t[::1] table not None,             # OUT (2^24,) at the keys
               int n_threads):
    """Write each colour's owner."""
    cdef Py_ssize_t i
    for i in prange(keys.shape[0], nogil=True, num_threads=n_threads, schedule="static"):
        table[keys[i]] = <index_t> owners[i]


def own_opaque(const uint8_t[:, ::1] colors not None,   # IN (n, 4)
               const uint16_t[::1] owners not None,     # IN (n,)
               index_t[::1] table not None,             # OUT (2^24,) at the RGB keys
               int n_threads):
    """Write the owner of each colour that is opaque."""
    cdef Py_ssize_t i
    for i in prange(colors.shape[0], nogil=True, num_threads=n_threads, schedule="static"):
        if colors[i, 3] == 255:
            table[rgb_key(SPREAD3, &colors[i, 0])] = <index_t> owners[i]


# Where nothing was written the table holds whatever was in memory, and a pixel that another thread
# writes to after the count may have such a colour: an index is clamped to the last entry.
# Whole vectors of indices are clamped at a time; to clear 16 MiB instead would take longer.

cdef void take_block(keys_fn make_keys, const uint8_t* p, int n, const index_t* table,
                     index_t last, index_t* out) noexcept nogil:
    cdef uint32_t keys[BLOCK]
    cdef int i
    for i in range(0, 3 * BLOCK, 64):
        km_prefetch(p + SOURCE_AHEAD + i)
    make_keys(SPREAD3, p, n, keys)
    for i in range(n):
        out[i] = table[keys[i]]
    for i in range(n):
        out[i] = out[i] if out[i] < last else last


def take_rgb(const uint8_t[:, ::1] pixels not None,     # IN (n, 3)
             const index_t[::1] table not None,         # IN (2^24,)
             index_t[::1] indices not None,             # OUT (n,)
             int last, int n_threads, int level):
    """Map RGB pixels whose colours all stand in the table; no index exceeds `last`."""
    cdef Py_ssize_t block, n = pixels.shape[0]
    cdef keys_fn make_keys = keys_at(level)
    for block in prange((n + BLOCK - 1) // BLOCK, nogil=True, num_threads=n_threads,
                        schedule="static"):
        take_block(make_keys, &pixels[BLOCK * block, 0],
                   <int> min(<Py_ssize_t> BLOCK, n - BLOCK * block), &table[0],
                   <index_t> last, &indices[BLOCK * block])


# ---- alpha

cdef void own_alpha_run(const Search* search, const uint8_t* p, int n, bint opaque,
                        index_t clear, index_t* out) noexcept nogil:
    """Map the opaque pixels of a run, or the others."""
    cdef int32_t points[4 * MAX_LEAF]
    cdef int32_t owner[MAX_LEAF]
    cdef uint16_t label[MAX_LEAF]
    cdef int at[MAX_LEAF]
    cdef int32_t differ
    cdef int i, j, waiting = 0
    fetch_next(p, 4 * n)
    memset(points, 0, sizeof(points))
    memset(label, 0, sizeof(label))
    for i in range(n + 1):
        if i < n:
            if (p[4 * i + 3] == 255) != opaque:
                continue
            if p[4 * i + 3] == 0:
                out[i] = clear
                continue
            at[waiting] = i
            rgba_point(p + 4 * i, &points[waiting], &points[MAX_LEAF + waiting],
                       &points[2 * MAX_LEAF + waiting], &points[3 * MAX_LEAF + waiting])
            waiting += 1
        if waiting == MAX_LEAF or (i == n and waiting):
            search.own(points, MAX_LEAF, waiting, search.packed,
                       search.planes + ID * search.stride, search.K, label, owner, &differ)
            for j in range(waiting):
                out[at[j]] = <index_t> owner[j]
            waiting = 0


def own_alpha(const uint8_t[:, ::1] pixels not None,    # IN (n, 4)
              const int32_t[:, ::1] entries not None,   # IN (K, 4) coordinates
              const int32_t[::1] ids not None,          # IN (1..K,) ascending: the candidates
              bint opaque,                              # whether the opaque pixels are meant
              int clear,                                # IN the index of every transparent pixel
              index_t[::1] indices not None,            # OUT (n,) where a pixel is mapped
              int n_threads, int level):
    """Map the opaque pixels, or the others, by comparing each with every candidate."""
    cdef Search search
    cdef Scratch* scratches
    cdef Py_ssize_t run, n = pixels.shape[0]
    scratches = start_search(&search, entries, ids, 1, level)
    if scratches == NULL:
        raise MemoryError
    for run in prange((n + RUN - 1) // RUN, nogil=True, num_threads=n_threads, schedule="static"):
        own_alpha_run(&search, &pixels[RUN * run, 0],
                      <int> min(<Py_ssize_t> RUN, n - RUN * run), opaque, <index_t> clear,
                      &indices[RUN * run])
    free_search(&search, scratches, 1)


cdef void look_up_opaque_run(keys_fn make_keys, const uint8_t* p, int n, const uint32_t* upper,
                             const index_t* lower, index_t* out, uint8_t* missed) noexcept nogil:
    cdef uint8_t rgb[3 * RUN + 1]
    cdef uint32_t keys[RUN]
    cdef int at[RUN]
    cdef int i, found
    cdef uint32_t entry, seen = 0
    found = pack_opaque(p, n, rgb, at)
    make_keys(SPREAD3, rgb, found, keys)
    for i in range(found):
        entry = upper[keys[i] >> 9]
        seen |= entry
        out[at[i]] = lower[place_of(keys[i], entry)]
    missed[0] = (seen & 2) != 0


def look_up_opaque(const uint8_t[:, ::1] pixels not None,   # IN (n, 4)
                   const uint32_t[::1] upper not None,      # IN
                   const index_t[::1] lower not None,       # IN
                   index_t[::1] indices not None,           # OUT where a pixel is opaque
                   uint8_t[::1] missed not None,            # INOUT (runs,) 1: to be done
                   int n_threads, int level):
    """Map opaque pixels by table, in the runs that are to be done."""
    cdef Py_ssize_t run, n = pixels.shape[0]
    cdef keys_fn make_keys = keys_at(level)
    for run in prange(missed.shape[0], nogil=True, num_threads=n_threads, schedule="static"):
        if missed[run]:
            look_up_opaque_run(make_keys, &pixels[RUN * run, 0],
                               <int> min(<Py_ssize_t> RUN, n - RUN * run), &upper[0], &lower[0],
                               &indices[RUN * run], &missed[run])


def want_opaque(const uint8_t[:, ::1] pixels not None,  # IN (n, 4)
                const uint8_t[::1] missed not None,     # IN (runs,)
                uint8_t[::1] wanted not None):          # INOUT (CELLS,)
    """Mark the cells of the opaque pixels in the runs still to be done."""
    cdef Py_ssize_t run, i
    with nogil:
        for run in range(missed.shape[0]):
            if missed[run]:
                for i in range(RUN * run, min(pixels.shape[0], RUN * (run + 1))):
                    if pixels[i, 3] == 255:
                        wanted[rgb_key(SPREAD3, &pixels[i, 0]) >> 9] = 1


cdef void take_opaque_run(keys_fn make_keys, const uint8_t* p, int n, const index_t* table,
                          index_t last, index_t* out) noexcept nogil:
    cdef uint8_t rgb[3 * RUN + 1]
    cdef uint32_t keys[RUN]
    cdef int at[RUN]
    cdef int i, found
    cdef index_t index
    found = pack_opaque(p, n, rgb, at)
    make_keys(SPREAD3, rgb, found, keys)
    for i in range(found):
        index = table[keys[i]]
        out[at[i]] = index if index < last else last


def take_opaque(const uint8_t[:, ::1] pixels not None,  # IN (n, 4)
                const index_t[::1] table not None,      # IN (2^24,)
                index_t[::1] indices not None,          # OUT where a pixel is opaque
                int last, int n_threads, int level):
    """Map opaque pixels, all of whose colours stand in the table; no index exceeds `last`."""
    cdef Py_ssize_t run, n = pixels.shape[0]
    cdef keys_fn make_keys = keys_at(level)
    for run in prange((n + RUN - 1) // RUN, nogil=True, num_threads=n_threads, schedule="static"):
        take_opaque_run(make_keys, &pixels[RUN * run, 0],
                        <int> min(<Py_ssize_t> RUN, n - RUN * run), &table[0],
                        <index_t> last, &indices[RUN * run])
