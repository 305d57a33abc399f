# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""How much dithering each pixel may take: none where nothing changes, across edges, and where an
entry is its colour already; kmeans_c/dithering.py says why.
"""

from cython.parallel cimport prange
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cdef extern from "multiversion.h" nogil:
    ctypedef void km_body_void "KM_BODY_VOID"
    ctypedef void km_v3_void "KM_V3_VOID"
    ctypedef void km_v4_void "KM_V4_VOID"
    uint64_t km_load64(const uint8_t* at) noexcept

ctypedef fused index_t:
    uint8_t
    uint16_t

cdef enum:
    EDGE = 8            # pixels of a block's side
    RUN = 256           # pixels whose differences are kept: whole blocks

ctypedef void (*contrast_fn)(const uint8_t*, const uint8_t*, const uint8_t*, Py_ssize_t, int,
                             uint8_t*) noexcept nogil
ctypedef void (*weigh_fn)(const uint8_t*, const uint8_t*, int, int, const int32_t*, const int32_t*,
                          const int32_t*, uint8_t*) noexcept nogil


# ---- contrast

cdef inline uint8_t apart(uint8_t a, uint8_t b) noexcept nogil:
    return (a if a > b else b) - (a if a < b else b)


cdef inline uint8_t larger(uint8_t a, uint8_t b) noexcept nogil:
    return a if a > b else b


cdef km_body_void largest_of(const uint8_t* values, int n, int C, uint8_t* out) noexcept nogil:
    """Take the largest of each n pixels' C channels; two values beyond them are read.

    At every place first, the pixels' then taken out: half as many steps as stride by stride.
    """
    cdef uint8_t pairs[4 * RUN + 2]
    cdef Py_ssize_t i   # an int could wrap at 3 i, for all that gcc knows: no vectors then
    if C == 1:
        for i in range(n):
            out[i] = values[i]
    elif C == 3:
        for i in range(3 * n):
            pairs[i] = larger(larger(values[i], values[i + 1]), values[i + 2])
        for i in range(n):
            out[i] = pairs[3 * i]
    else:
        for i in range(4 * n):
            pairs[i] = larger(values[i], values[i + 1])
        for i in range(n):
            out[i] = larger(pairs[4 * i], pairs[4 * i + 2])


cdef km_body_void contrast_body(const uint8_t* row, const uint8_t* up, const uint8_t* down, int n,
                                int C, uint8_t* out) noexcept nogil:
    """Take the largest difference to four neighbours, over C channels, of n <= RUN pixels."""
    cdef uint8_t most[4 * RUN + 2]
    cdef uint8_t own, largest
    cdef Py_ssize_t i
    most[C * n] = most[C * n + 1] = 0
    for i in range(C * n):
        own = row[i]
        largest = larger(apart(own, up[i]), apart(own, down[i]))
        most[i] = larger(largest, larger(apart(own, row[i - C]), apart(own, row[i + C])))
    largest_of(most, n, C, out)


cdef km_body_void shown_body(const uint8_t* pixels, Py_ssize_t n, uint32_t* out) noexcept nogil:
    """Copy n RGBA pixels without what full transparency hides."""
    cdef uint8_t* bytes
    cdef uint32_t alpha = 0
    cdef Py_ssize_t i
    bytes = <uint8_t*> &alpha
    bytes[3] = 255
    memcpy(out, pixels, 4 * n)
    for i in range(n):
        out[i] = out[i] if out[i] & alpha else 0


cdef km_body_void contrast_run(const uint8_t* row, const uint8_t* up, const uint8_t* down,
                               Py_ssize_t start, Py_ssize_t width, int C,
                               uint8_t* out) noexcept nogil:
    """Find the contrasts of up to RUN pixels from column `start` on."""
    cdef uint32_t shown[3 * RUN + 2]
    cdef uint8_t here[3 * RUN + 6]      # a pixel more at either side: the border's is its own
    cdef Py_ssize_t n = min(<Py_ssize_t> RUN, width - start), d
    cdef Py_ssize_t left = max(start - 1, 0), right = min(start + n, width - 1)
    if C == 4:
        shown_body(row + 4 * left, 1, shown)
        shown_body(row + 4 * start, n, shown + 1)
        shown_body(row + 4 * right, 1, shown + n + 1)
        shown_body(up + 4 * start, n, shown + RUN + 2)
        shown_body(down + 4 * start, n, shown + 2 * RUN + 2)
        contrast_body(<uint8_t*> (shown + 1), <uint8_t*> (shown + RUN + 2),
                      <uint8_t*> (shown + 2 * RUN + 2), <int> n, 4, out + start)
        return
    memcpy(here + C, row + C * start, C * n)
    for d in range(C):
        here[d] = row[C * left + d]
        here[C * n + C + d] = row[C * right + d]
    contrast_body(here + C, up + C * start, down + C * start, <int> n, C, out + start)


cdef km_body_void contrast_any(const uint8_t* row, const uint8_t* up, const uint8_t* down,
                               Py_ssize_t width, int C, uint8_t* out) noexcept nogil:
    cdef Py_ssize_t start
    for start in range(0, width, 256):  # RUN
        if C == 1:
            contrast_run(row, up, down, start, width, 1, out)
        elif C == 3:
            contrast_run(row, up, down, start, width, 3, out)
        else:
            contrast_run(row, up, down, start, width, 4, out)


cdef void contrast_base(const uint8_t* a, const uint8_t* b, const uint8_t* c, Py_ssize_t d, int e,
                        uint8_t* f) noexcept nogil:
    contrast_any(a, b, c, d, e, f)


cdef km_v3_void contrast_v3(const uint8_t* a, const uint8_t* b, const uint8_t* c, Py_ssize_t d,
                            int e, uint8_t* f) noexcept nogil:
    contrast_any(a, b, c, d, e, f)


cdef km_v4_void contrast_v4(const uint8_t* a, const uint8_t* b, const uint8_t* c, Py_ssize_t d,
                            int e, uint8_t* f) noexcept nogil:
    contrast_any(a, b, c, d, e, f)


cdef void count_soft(const uint8_t* contrast, Py_ssize_t width, int softest,
                     int32_t* soft) noexcept nogil:
    """Add the pixels of a contrast of 1..softest to each block of a row."""
    cdef uint8_t found[RUN]
    cdef uint8_t most = <uint8_t> (softest - 1)
    cdef Py_ssize_t start, i, n
    for start in range(0, width, 256):  # RUN
        n = min(<Py_ssize_t> RUN, width - start)
        for i in range(n):
            found[i] = <uint8_t> (contrast[start + i] - 1) <= most
        for i in range(n, min(<Py_ssize_t> RUN, (n + EDGE - 1) // EDGE * EDGE)):
            found[i] = 0
        for i in range((n + EDGE - 1) // EDGE):
            # The product's highest byte is the sum of the eight.
            soft[start // EDGE + i] += <int32_t> (
                km_load64(found + EDGE * i) * <uint64_t> 0x0101010101010101 >> 56)


def contrasts(const uint8_t[:, :, ::1] pixels not None,     # IN (H, W, channels)
              uint8_t[:, ::1] contrast not None,            # OUT (H, W)
              int32_t[:, ::1] soft not None,                # OUT (H / 8, W / 8), rounded up
              int softest, Py_ssize_t first, Py_ssize_t last, int n_threads, int level):
    """Find each pixel's largest difference to a neighbour, in rows of blocks first..last-1.

    What full transparency hides tells nothing. `soft` counts a block's pixels of a contrast of
    1..softest.
    """
    cdef Py_ssize_t H = pixels.shape[0], W = pixels.shape[1], block, y, x
    cdef int C = <int> pixels.shape[2]
    cdef contrast_fn body = (<contrast_fn> contrast_v4 if level == 2 else
                             <contrast_fn> contrast_v3 if level == 1 else
                             <contrast_fn> contrast_base)
    for block in prange(first, last, nogil=True, num_threads=n_threads, schedule="static"):
        for x in range(soft.shape[1]):
            soft[block, x] = 0
        for y in range(EDGE * block, min(H, EDGE * block + EDGE)):
            body(&pixels[y, 0, 0], &pixels[max(y - 1, 0), 0, 0], &pixels[min(y + 1, H - 1), 0, 0],
                 W, C, &contrast[y, 0])
            count_soft(&contrast[y, 0], W, softest, &soft[block, 0])


# ---- levels

cdef km_body_void weigh_any(const uint8_t* row, const uint8_t* entries, int n, int C,
                            const int32_t* base, const int32_t* of_contrast,
                            const int32_t* of_error, uint8_t* levels) noexcept nogil:
    """Turn the contrasts of n <= RUN pixels into levels."""
    cdef uint8_t differ[4 * RUN + 2]
    cdef uint8_t most[2 * RUN]
    cdef Py_ssize_t i
    differ[C * n] = differ[C * n + 1] = 0
    for i in range(C * n):
        differ[i] = apart(row[i], entries[i])
    largest_of(differ, n, C, most)
    for i in range(n):
        levels[i] = <uint8_t> ((base[i] * of_contrast[levels[i]] * of_error[most[i]]) >> 12)


cdef void weigh_base(const uint8_t* a, const uint8_t* b, int c, int d, const int32_t* e,
                     const int32_t* f, const int32_t* g, uint8_t* h) noexcept nogil:
    weigh_any(a, b, c, d, e, f, g, h)


cdef km_v3_void weigh_v3(const uint8_t* a, const uint8_t* b, int c, int d, const int32_t* e,
                         const int32_t* f, const int32_t* g, uint8_t* h) noexcept nogil:
    weigh_any(a, b, c, d, e, f, g, h)


cdef km_v4_void weigh_v4(const uint8_t* a, const uint8_t* b, int c, int d, const int32_t* e,
                         const int32_t* f, const int32_t* g, uint8_t* h) noexcept nogil:
    weigh_any(a, b, c, d, e, f, g, h)


cdef int32_t between(const int32_t* calm, Py_ssize_t first, int n, int32_t* base) noexcept nogil:
    """Interpolate between the middles of n blocks; return whether there is anything but zero."""
    cdef int32_t left, right, some = 0
    cdef int block, i
    for block in range(n):
        left = calm[first + block]
        right = calm[first + block + 1] - left
        some |= left | right
        for i in range(8):      # EDGE
            base[8 * block + i] = (16 * left + right * (2 * i + 1)) >> 8
    return some


cdef void gather(Py_ssize_t C, const index_t* nearest, const uint8_t* palette, int n,
                 uint8_t* entries) noexcept nogil:
    """Put the channels of the entries of n pixels side by side; one byte more is written."""
    cdef Py_ssize_t i
    if C == 1:
        for i in range(n):
            entries[i] = palette[4 * <Py_ssize_t> nearest[i]]
    elif C == 3:
        for i in range(n):
            memcpy(entries + 3 * i, palette + 4 * <Py_ssize_t> nearest[i], 4)
    else:
        for i in range(n):
            memcpy(entries + 4 * i, palette + 4 * <Py_ssize_t> nearest[i], 4)


cdef void weigh_row(weigh_fn body, int C, const uint8_t* row, const index_t* nearest,
                    const uint8_t* palette, const int32_t* calm, const int32_t* of_contrast,
                    const int32_t* of_error, Py_ssize_t W, uint8_t* levels) noexcept nogil:
    """Turn a row's contrasts into levels.

    calm holds 16 times the blocks' levels at this height, one block more at either side.
    """
    cdef int32_t base[RUN]
    cdef uint8_t entries[4 * RUN + 1]
    cdef Py_ssize_t block, n_blocks = (W + 4 + EDGE - 1) // EDGE, x, skip
    cdef int n, blocks
    for block in range(0, n_blocks, 32):    # RUN / EDGE; from the middle of one to the next
        blocks = <int> min(<Py_ssize_t> (RUN // EDGE), n_blocks - block)
        skip = 4 if block == 0 else 0
        x = EDGE * block - 4 + skip
        n = <int> (min(EDGE * (block + blocks) - 4, W) - x)
        if between(calm, block, blocks, base):
            gather(C, nearest + x, palette, n, entries)
            body(row + C * x, entries, n, C, base + skip, of_contrast, of_error, levels + x)
        else:
            memset(levels + x, 0, n)


def weigh(const uint8_t[:, :, ::1] pixels not None,     # IN (H, W, channels)
          const index_t[:, ::1] nearest not None,       # IN (H, W)
          const uint8_t[:, ::1] palette not None,       # IN (K, 4), the last channels unused
          const uint8_t[:, ::1] calm not None,          # IN (H / 8 + 2, W / 8 + 2) 0..64
          int32_t[:, ::1] work not None,                # WORK (rows, W / 8 + 2)
          const int32_t[::1] of_contrast not None,      # IN (256,) 0..64
          const int32_t[::1] of_error not None,         # IN (256,) 0..64
          uint8_t[:, ::1] levels not None,              # IN (H, W) contrasts; OUT 0..64
          Py_ssize_t first, int n_threads, int level):
    """Turn contrasts into levels, in as many rows from the first on as `work` has."""
    cdef Py_ssize_t i, y, block, b
    cdef int C = <int> pixels.shape[2], j
    cdef weigh_fn body = (<weigh_fn> weigh_v4 if level == 2 else
                          <weigh_fn> weigh_v3 if level == 1 else <weigh_fn> weigh_base)
    for i in prange(work.shape[0], nogil=True, num_threads=n_threads, schedule="static"):
        y = first + i
        block = (y + 4) >> 3
        j = 2 * <int> ((y + 4) & 7) + 1
        for b in range(calm.shape[1]):
            work[i, b] = calm[block, b] * (16 - j) + calm[block + 1, b] * j
        weigh_row(body, C, &pixels[y, 0, 0], &nearest[y, 0], &palette[0, 0], &work[i, 0],
                  &of_contrast[0], &of_error[0], pixels.shape[1], &levels[y, 0])
