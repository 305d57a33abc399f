# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""Counting colours: pixels to keys, keys to counters, counters to a sorted list.

A key is the Z-order number of a colour (keys.pxd). Sorted keys are grouped in cubes of every
power of two, which is what the tree of the filtering pass needs and what keeps the counters of
neighbouring pixels near each other.

Counters are one byte wide, so that the counters of an ordinary photo stay in the cache. A
counter runs from 1 to 255; the next pixel sets it back to 1 and leaves its key in an overflow
list, where one key stands for 255 pixels. A colour has been seen exactly if its counter is not
0.
"""

from cython.parallel cimport prange
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from kmeans_c._kernels.keys cimport (
    channel, fill_spread, keys_at, keys_fn, pack_opaque, rgb_key, rgba_key)

cdef extern from "multiversion.h" nogil:
    ctypedef void km_body_void "KM_BODY_VOID"
    ctypedef void km_v3_void "KM_V3_VOID"
    ctypedef void km_v4_void "KM_V4_VOID"
    void km_prefetch(const void* address) noexcept
    void km_prefetch_write(const void* address) noexcept
    uint64_t km_load64(const uint8_t* at) noexcept
    int km_lowest_bit(uint64_t bits) noexcept

cdef enum:
    PAGE = 4096     # colours of a cube of 16x16x16: one page of one-byte counters
    STEP = 255      # pixels that one key of the overflow list stands for
    WALKERS = 4     # tables of a grey count: equal neighbours wait for each other's store
    BATCH = 256     # pixels whose keys are made before any is counted
    PART = 64       # pixels of a batch's quarter
    SOURCE_AHEAD = 1280     # bytes between a pixel's prefetch and its use
    PACKED = 2048   # RGBA pixels whose opaque ones are counted at a time
    MAX_TABLES = 64     # as many as there may be threads

cdef extern from "listing.h" nogil:
    bint KM_LISTS
    void km_list_v4(uint8_t* const* tables, int n_tables, int64_t first, int n, bint clear,
                    uint32_t* keys, int64_t* counts) noexcept

ctypedef void (*changes_fn)(const uint32_t*, int*) noexcept nogil

cdef uint32_t SPREAD3[256]
cdef uint32_t SPREAD4[256]
# And back: what byte p of a key holds, as 0x00BBGGRR, as 0xAABBGGRR.
cdef uint32_t GATHER3[3][256]
cdef uint32_t GATHER4[4][256]


cdef void fill_tables() noexcept nogil:
    cdef uint32_t value, key
    cdef int place
    fill_spread(SPREAD3, 3)
    fill_spread(SPREAD4, 4)
    for value in range(256):
        for place in range(3):
            key = value << (8 * place)
            GATHER3[place][value] = (channel(key, 3, 2) | channel(key, 3, 1) << 8
                                     | channel(key, 3, 0) << 16)
        for place in range(4):
            key = value << (8 * place)
            GATHER4[place][value] = (channel(key, 4, 2) | channel(key, 4, 1) << 8
                                     | channel(key, 4, 0) << 16 | channel(key, 4, 3) << 24)


fill_tables()


cdef inline void count_key(uint32_t key, uint8_t* table, uint32_t* overflow,
                           int64_t* used) noexcept nogil:
    cdef uint8_t c = table[key] + 1
    if c == 0:
        c = 1
        overflow[used[0]] = key
        used[0] += 1
    table[key] = c


cdef km_body_void changes_body(const uint32_t* keys, int* changes) noexcept nogil:
    cdef int i, total = 0
    for i in range(BATCH - 1):
        total += keys[i] != keys[i + 1]
    changes[0] = total


cdef void changes_base(const uint32_t* keys, int* changes) noexcept nogil:
    changes_body(keys, changes)


cdef km_v3_void changes_v3(const uint32_t* keys, int* changes) noexcept nogil:
    changes_body(keys, changes)


cdef km_v4_void changes_v4(const uint32_t* keys, int* changes) noexcept nogil:
    changes_body(keys, changes)


cdef inline void count_runs(const uint32_t* keys, uint8_t* table, uint32_t* overflow,
                            int64_t* used) noexcept nogil:
    """Count a batch by its runs of equal keys, each at once."""
    cdef Py_ssize_t last[BATCH]     # of each run
    cdef Py_ssize_t i, run, before = -1, n_runs = 0
    cdef Py_ssize_t c
    cdef uint32_t key
    for i in range(BATCH - 1):
        last[n_runs] = i
        n_runs += keys[i] != keys[i + 1]
    last[n_runs] = BATCH - 1
    for run in range(n_runs + 1):
        key = keys[last[run]]
        c = table[key] + last[run] - before
        before = last[run]
        while c > STEP:     # up to 511
            c -= STEP
            overflow[used[0]] = key
            used[0] += 1
        table[key] = <uint8_t> c


cdef inline void count_parts(const uint32_t* keys, const uint32_t* ahead, uint8_t* table,
                             uint32_t* overflow, int64_t* used) noexcept nogil:
    """Count a batch, its four parts in turn, because equal neighbours wait for each other's
    store; and fetch the counters of the next batch."""
    cdef int i
    for i in range(PART):
        km_prefetch_write(&table[ahead[i]])
        km_prefetch_write(&table[ahead[i + PART]])
        km_prefetch_write(&table[ahead[i + 2 * PART]])
        km_prefetch_write(&table[ahead[i + 3 * PART]])
        count_key(keys[i], table, overflow, used)
        count_key(keys[i + PART], table, overflow, used)
        count_key(keys[i + 2 * PART], table, overflow, used)
        count_key(keys[i + 3 * PART], table, overflow, used)


cdef changes_fn changes_at(int level) noexcept nogil:
    return (<changes_fn> changes_v4 if level == 2 else
            <changes_fn> changes_v3 if level == 1 else <changes_fn> changes_base)


cdef void count_part(keys_fn make_keys, changes_fn count_changes, const uint8_t* p, Py_ssize_t n,
                     uint8_t* table, uint32_t* overflow, int64_t* n_overflow) noexcept nogil:
    """Count n RGB pixels, a batch at a time."""
    cdef uint32_t keys[2][BATCH]
    cdef Py_ssize_t batch, n_batches = n // BATCH
    cdef int i, changes, now
    cdef const uint8_t* next
    cdef int64_t used = n_overflow[0]
    if n_batches:
        make_keys(SPREAD3, p, BATCH, keys[0])
    for batch in range(n_batches):
        now = batch & 1
        next = p + 3 * BATCH * min(batch + 1, n_batches - 1)
        for i in range(0, 3 * BATCH, 64):
            km_prefetch(next + SOURCE_AHEAD + i)
        make_keys(SPREAD3, next, BATCH, keys[1 - now])
        count_changes(keys[now], &changes)
        if changes < BATCH // 4:
            count_runs(keys[now], table, overflow, &used)
        else:
            count_parts(keys[now], keys[1 - now], table, overflow, &used)
    for batch in range(BATCH * n_batches, n):
        count_key(rgb_key(SPREAD3, p + 3 * batch), table, overflow, &used)
    n_overflow[0] = used


cdef int addresses(tables, uint8_t** at) except -1:
    """Tell where each table begins; return how many there are."""
    cdef uint8_t[::1] table
    cdef int t = 0
    for table in tables:
        at[t] = &table[0]
        t += 1
    return t


def count_rgb(const uint8_t[:, ::1] pixels not None,    # IN (n, 3)
              tables,                                   # INOUT (2^24,) a thread
              uint32_t[:, ::1] overflow not None,       # INOUT (threads, all pixels / STEP)
              int64_t[::1] n_overflow not None,         # INOUT (threads,)
              int level):
    """Count pixels, one table a thread."""
    cdef keys_fn make_keys = keys_at(level)
    cdef changes_fn count_changes = changes_at(level)
    cdef uint8_t* at[MAX_TABLES]
    cdef int n_threads = addresses(tables, at)
    cdef Py_ssize_t t, n = pixels.shape[0]
    cdef const uint8_t* p
    if n == 0:
        return
    p = &pixels[0, 0]
    for t in prange(n_threads, nogil=True, num_threads=n_threads, schedule="static", chunksize=1):
        count_part(make_keys, count_changes, p + 3 * (n * t // n_threads),
                   n * (t + 1) // n_threads - n * t // n_threads,
                   at[t], &overflow[t, 0], &n_overflow[t])


cdef Py_ssize_t count_rgba_part(keys_fn make_keys, changes_fn count_changes, const uint8_t* p,
                                Py_ssize_t n, uint8_t* table, uint32_t* overflow,
                                int64_t* n_overflow, uint32_t* translucent,
                                int64_t* n_translucent) noexcept nogil:
    """Count the opaque pixels; return how many they are."""
    cdef uint8_t rgb[3 * PACKED + 1]
    cdef int at[PACKED]
    cdef Py_ssize_t start, n_opaque = 0
    cdef int64_t listed = 0
    cdef int i, size, found
    cdef const uint8_t* pixel
    for start in range(0, n, 2048):     # PACKED
        size = <int> min(n - start, <Py_ssize_t> PACKED)
        found = pack_opaque(p + 4 * start, size, rgb, at)
        count_part(make_keys, count_changes, rgb, found, table, overflow, n_overflow)
        n_opaque += found
        if found < size:
            for i in range(size):
                pixel = p + 4 * (start + i)
                if pixel[3] != 255 and pixel[3] != 0:
                    translucent[listed] = rgba_key(SPREAD4, pixel)
                    listed += 1
    n_translucent[0] = listed
    return n_opaque


def count_rgba(const uint8_t[:, ::1] pixels not None,   # IN (n, 4)
               tables,                                  # INOUT (2^24,) a thread
               uint32_t[:, ::1] overflow not None,      # INOUT (threads, all pixels / STEP)
               int64_t[::1] n_overflow not None,        # INOUT (threads,)
               uint32_t[::1] translucent not None,      # OUT (n,): thread t from n t // threads on
               int64_t[::1] n_translucent not None,     # OUT (threads,)
               int level):
    """Count opaque pixels, one table a thread, and list the keys of translucent ones; the rest is
    transparent: return how many."""
    cdef keys_fn make_keys = keys_at(level)
    cdef changes_fn count_changes = changes_at(level)
    cdef uint8_t* at[MAX_TABLES]
    cdef int n_threads = addresses(tables, at)
    cdef Py_ssize_t t, first, n_opaque = 0, n = pixels.shape[0]
    cdef int64_t listed = 0
    if n == 0:
        return 0
    for t in prange(n_threads, nogil=True, num_threads=n_threads, schedule="static", chunksize=1):
        first = n * t // n_threads
        n_opaque += count_rgba_part(make_keys, count_changes, &pixels[0, 0] + 4 * first,
                                    n * (t + 1) // n_threads - first, at[t],
                                    &overflow[t, 0], &n_overflow[t], &translucent[0] + first,
                                    &n_translucent[t])
    for t in range(n_threads):
        listed += n_translucent[t]
    # A pixel that another thread writes to may be counted twice: no count may become negative.
    return max(<Py_ssize_t> 0, n - n_opaque - listed)


def count_grey(const uint8_t[::1] pixels not None,      # IN (n,)
               int64_t[::1] counts not None):           # INOUT (256,)
    """Add the pixels of each value to its count."""
    cdef uint32_t tables[WALKERS][256]
    cdef Py_ssize_t i, start, n = pixels.shape[0], length
    cdef int v, w
    cdef const uint8_t* p
    if n == 0:
        return
    with nogil:
        for start in range(0, n, 1 << 30):      # a table's counters hold 32 bits
            p = &pixels[0] + start
            length = min(n - start, <Py_ssize_t> (1 << 30))
            for w in range(WALKERS):
                for v in range(256):
                    tables[w][v] = 0
            for i in range(0, length - 3, 4):
                tables[0][p[i]] += 1
                tables[1][p[i + 1]] += 1
                tables[2][p[i + 2]] += 1
                tables[3][p[i + 3]] += 1
            for i in range(length // WALKERS * WALKERS, length):
                tables[0][p[i]] += 1
            for v in range(256):
                counts[v] += <int64_t> tables[0][v] + tables[1][v] + tables[2][v] + tables[3][v]


cdef int64_t occupied_of(uint8_t* const* tables, int n_tables, Py_ssize_t first) noexcept nogil:
    """Count a page's colours seen in any table. Bound by memory: wider vectors bring nothing."""
    cdef Py_ssize_t t, i, start
    cdef uint8_t any_of[64]
    cdef uint8_t occupied[64]   # at most the 64 rows of a page: fits a byte
    cdef const uint8_t* row
    cdef int64_t total = 0
    for i in range(64):
        occupied[i] = 0
    for start in range(first, first + PAGE, 64):
        row = tables[0] + start
        km_prefetch(row + PAGE)
        for i in range(64):
            any_of[i] = row[i]
        for t in range(1, n_tables):
            row = tables[t] + start
            km_prefetch(row + PAGE)
            for i in range(64):
                any_of[i] |= row[i]
        for i in range(64):
            occupied[i] += any_of[i] != 0
    for i in range(64):
        total += occupied[i]
    return total


def count_occupied(tables,                          # IN (2^24,) each
                   int64_t[::1] occupied not None,  # OUT (2^24 / PAGE,) colours seen
                   int n_threads):
    """Count each page's colours seen in any table."""
    cdef uint8_t* at[MAX_TABLES]
    cdef int n_tables = addresses(tables, at)
    cdef Py_ssize_t page
    for page in prange(occupied.shape[0], nogil=True, num_threads=n_threads, schedule="static"):
        occupied[page] = occupied_of(at, n_tables, PAGE * page)


cdef void extract_page(uint8_t* const* tables, int n_tables, Py_ssize_t first, bint clear,
                       uint32_t* keys, int64_t* counts) noexcept nogil:
    cdef uint64_t words[8]
    cdef uint64_t eight, some, low = 0x7f7f7f7f7f7f7f7f
    cdef int64_t total
    cdef Py_ssize_t i, j, t, word, found = 0
    for i in range(first, first + PAGE, 64):    # a cube of 4x4x4: most are empty
        some = 0
        for word in range(8):
            words[word] = 0
        for t in range(n_tables):
            km_prefetch(tables[t] + i + 2048)
            for word in range(8):
                words[word] |= km_load64(tables[t] + i + 8 * word)
                some |= words[word]
        if some == 0:
            continue
        some = 0    # a bit for each byte that is not 0
        for word in range(8):
            eight = (((words[word] & low) + low | words[word]) & ~low) >> 7
            some |= (eight * <uint64_t> 0x0102040810204080) >> 56 << (8 * word)
        while some:
            j = i + km_lowest_bit(some)
            some &= some - 1
            total = tables[0][j]
            for t in range(1, n_tables):
                total += tables[t][j]
            keys[found] = <uint32_t> j
            counts[found] = total
            found += 1
        if clear:
            for t in range(n_tables):
                memset(tables[t] + i, 0, 64)


def extract(tables,                             # INOUT (2^24,) each
            const int64_t[::1] ends not None,   # IN (2^24 / PAGE,) running sum of `occupied`
            uint32_t[::1] keys not None,        # OUT (ends[-1],) ascending
            int64_t[::1] counts not None,       # OUT (ends[-1],) without the overflow list
            bint clear, int n_threads, int level):
    """List the colours seen and their counters; `clear` these, while they are in the cache."""
    cdef uint8_t* at[MAX_TABLES]
    cdef int n_tables = addresses(tables, at)
    cdef Py_ssize_t page, start
    # Colours crowd in some pages: half of the pages are not half of the work.
    for page in prange(ends.shape[0], nogil=True, num_threads=n_threads, schedule="dynamic",
                       chunksize=16):
        start = ends[page - 1] if page > 0 else 0
        if ends[page] == start:
            continue
        if KM_LISTS and level == 2:
            km_list_v4(at, n_tables, PAGE * page, PAGE, clear, &keys[start], &counts[start])
        else:
            extract_page(at, n_tables, PAGE * page, clear, &keys[start], &counts[start])


def make_keys(const uint8_t[:, ::1] pixels not None,    # IN (n, 1, 3 or 4)
              uint32_t[::1] keys not None):             # OUT (n,)
    """Number the colours of pixels; every fully transparent pixel is colour 0."""
    cdef Py_ssize_t i, n = pixels.shape[0], channels = pixels.shape[1]
    cdef const uint8_t* p
    if n == 0:
        return
    p = &pixels[0, 0]
    with nogil:
        for i in range(n):
            if channels == 3:
                keys[i] = rgb_key(SPREAD3, p)
            elif channels == 4:
                keys[i] = rgba_key(SPREAD4, p) if p[3] else 0
            else:
                keys[i] = p[0]
            p += channels


cdef bint sort(uint32_t* source, uint32_t* target, int64_t* weights, int64_t* spare_weights,
               Py_ssize_t n) noexcept nogil:
    """Sort ascending, and weights (or NULL) likewise: least significant byte first, passes without
    effect left out. Return whether all stands in the other arrays then."""
    cdef uint32_t starts[4][256]
    cdef uint32_t digit, here, total
    cdef Py_ssize_t i
    cdef int place, v
    cdef bint swapped = False
    for place in range(4):
        for v in range(256):
            starts[place][v] = 0
    for i in range(n):
        starts[0][source[i] & 255] += 1
        starts[1][source[i] >> 8 & 255] += 1
        starts[2][source[i] >> 16 & 255] += 1
        starts[3][source[i] >> 24] += 1
    for place in range(4):
        if starts[place][source[0] >> (8 * place) & 255] == n:
            continue
        total = 0
        for v in range(256):
            here = starts[place][v]
            starts[place][v] = total
            total += here
        for i in range(n):
            digit = source[i] >> (8 * place) & 255
            target[starts[place][digit]] = source[i]
            if weights != NULL:
                spare_weights[starts[place][digit]] = weights[i]
            starts[place][digit] += 1
        source, target = target, source
        weights, spare_weights = spare_weights, weights
        swapped = not swapped
    return swapped


def sort_keys(uint32_t[::1] keys not None,      # INOUT (n,), n < 2^32
              uint32_t[::1] spare not None):    # work (n,)
    """Sort ascending."""
    cdef Py_ssize_t n = keys.shape[0]
    if n < 2:
        return
    with nogil:
        if sort(&keys[0], &spare[0], NULL, NULL, n):
            memcpy(&keys[0], &spare[0], n * sizeof(uint32_t))


def sum_weights(uint32_t[::1] keys not None,            # INOUT (n,), n < 2^32
                int64_t[::1] weights not None,          # INOUT (n,)
                uint32_t[::1] spare_keys not None,      # work (n,)
                int64_t[::1] spare_weights not None):   # work (n,)
    """Sort by key and add up the weights of equal keys; return the number of those with a weight,
    now at the head."""
    cdef Py_ssize_t i, found = 0, n = keys.shape[0]
    cdef const uint32_t* source
    cdef const int64_t* source_weights
    cdef uint32_t key
    cdef int64_t total
    if n == 0:
        return 0
    source = &keys[0]
    source_weights = &weights[0]
    with nogil:
        if sort(&keys[0], &spare_keys[0], &weights[0], &spare_weights[0], n):
            source = &spare_keys[0]
            source_weights = &spare_weights[0]
        key = source[0]
        total = 0
        for i in range(n):
            if source[i] != key:
                keys[found] = key
                weights[found] = total
                found += total != 0
                key = source[i]
                total = 0
            total += source_weights[i]
        keys[found] = key
        weights[found] = total
        found += total != 0
    return found


def run_lengths(uint32_t[::1] keys not None,    # IN sorted, OUT its distinct keys
                int64_t[::1] counts not None):  # OUT how often each stood there
    """Return the number of distinct keys, now at the head of `keys`."""
    cdef Py_ssize_t i, found = 0, start = 0, n = keys.shape[0]
    with nogil:
        for i in range(1, n + 1):
            if i == n or keys[i] != keys[start]:
                keys[found] = keys[start]
                counts[found] = i - start
                found += 1
                start = i
    return found


def merge(const uint32_t[::1] keys_a not None, const int64_t[::1] counts_a not None,    # IN
          const uint32_t[::1] keys_b not None, const int64_t[::1] counts_b not None,    # IN
          uint32_t[::1] keys not None, int64_t[::1] counts not None):   # OUT (len a + len b,)
    """Add two sorted histograms; return the number of colours in the sum."""
    cdef Py_ssize_t a = 0, b = 0, found = 0
    cdef Py_ssize_t n_a = keys_a.shape[0], n_b = keys_b.shape[0]
    with nogil:
        while a < n_a and b < n_b:
            if keys_a[a] == keys_b[b]:
                keys[found] = keys_a[a]
                counts[found] = counts_a[a] + counts_b[b]
                a += 1
                b += 1
            elif keys_a[a] < keys_b[b]:
                keys[found] = keys_a[a]
                counts[found] = counts_a[a]
                a += 1
            else:
                keys[found] = keys_b[b]
                counts[found] = counts_b[b]
                b += 1
            found += 1
        while a < n_a:
            keys[found] = keys_a[a]
            counts[found] = counts_a[a]
            a += 1
            found += 1
        while b < n_b:
            keys[found] = keys_b[b]
            counts[found] = counts_b[b]
            b += 1
            found += 1
    return found


def widen_keys(uint32_t[::1] keys not None):    # INOUT RGB keys, ascending
    """Turn RGB keys into those of the same, opaque, colours in RGBA; the order stays."""
    cdef Py_ssize_t i
    cdef uint32_t rgb
    with nogil:
        for i in range(keys.shape[0]):
            rgb = rgb_of(keys[i])
            keys[i] = ((SPREAD4[255] << 3) + (SPREAD4[rgb & 255] << 2)
                       + (SPREAD4[rgb >> 8 & 255] << 1) + SPREAD4[rgb >> 16])


cdef inline uint32_t rgb_of(uint32_t key) noexcept nogil:
    return GATHER3[0][key & 255] | GATHER3[1][key >> 8 & 255] | GATHER3[2][key >> 16]


cdef inline uint32_t rgba_of(uint32_t key) noexcept nogil:
    return (GATHER4[0][key & 255] | GATHER4[1][key >> 8 & 255]
            | GATHER4[2][key >> 16 & 255] | GATHER4[3][key >> 24])


def decode_keys(const uint32_t[::1] keys not None,  # IN (n,)
                uint8_t[:, ::1] colors not None):   # OUT (n, 1, 3 or 4)
    """Write the colours that the keys number."""
    cdef Py_ssize_t i, n = keys.shape[0], channels = colors.shape[1]
    cdef uint32_t c
    cdef uint8_t* out
    if n == 0:
        return
    out = &colors[0, 0]
    with nogil:
        for i in range(n):
            if channels == 1:
                out[0] = <uint8_t> keys[i]
            elif channels == 3:
                c = rgb_of(keys[i])
                out[0] = <uint8_t> (c & 255)
                out[1] = <uint8_t> (c >> 8 & 255)
                out[2] = <uint8_t> (c >> 16)
            else:
                c = rgba_of(keys[i])
                out[0] = <uint8_t> (c & 255)
                out[1] = <uint8_t> (c >> 8 & 255)
                out[2] = <uint8_t> (c >> 16 & 255)
                out[3] = <uint8_t> (c >> 24)
            out += channels
