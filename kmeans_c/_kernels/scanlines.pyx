# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""Rows of PNG and BMP files: filters undone, and samples compared with what they should be.

Used by the proof of a written file only: no encoder and no other decoder shares this code.
"""

from libc.stdint cimport uint8_t, uint16_t


cdef inline int _paeth(int a, int b, int c) noexcept nogil:
    """PNG specification (third edition), 9.4."""
    cdef int p = a + b - c
    cdef int to_a = p - a if p >= a else a - p
    cdef int to_b = p - b if p >= b else b - p
    cdef int to_c = p - c if p >= c else c - p
    if to_a <= to_b and to_a <= to_c:
        return a
    return b if to_b <= to_c else c


cdef bint _unfilter(
    uint8_t* row, const uint8_t* above, Py_ssize_t size, Py_ssize_t bpp, int kind
) noexcept nogil:
    cdef Py_ssize_t i
    cdef Py_ssize_t first = bpp if bpp < size else size
    if kind == 0:
        return True
    if kind == 1:
        for i in range(first, size):
            row[i] = <uint8_t> (row[i] + row[i - bpp])
    elif kind == 2:
        for i in range(size):
            row[i] = <uint8_t> (row[i] + above[i])
    elif kind == 3:
        for i in range(first):
            row[i] = <uint8_t> (row[i] + above[i] // 2)
        for i in range(first, size):
            row[i] = <uint8_t> (row[i] + (<int> row[i - bpp] + above[i]) // 2)
    elif kind == 4:
        for i in range(first):
            row[i] = <uint8_t> (row[i] + above[i])
        for i in range(first, size):
            row[i] = <uint8_t> (row[i] + _paeth(row[i - bpp], above[i], above[i - bpp]))
    else:
        return False
    return True


def unfilter(
    uint8_t[:, ::1] rows not None, const uint8_t[::1] above not None, Py_ssize_t bpp
):
    """IN OUT (n, 1 + size) filter and bytes of rows; IN (size,) the row above, `bpp` >= 1.

    Return whether every filter is one of PNG's five.
    """
    cdef Py_ssize_t y, n = rows.shape[0], size = rows.shape[1] - 1
    cdef const uint8_t* last = NULL
    cdef bint good = above.shape[0] == size and size > 0 and bpp > 0
    if not good:
        return False
    with nogil:
        last = &above[0]
        for y in range(n):
            good = _unfilter(&rows[y, 1], last, size, bpp, rows[y, 0])
            if not good:
                break
            last = &rows[y, 1]
    return good


def same_entries(
    const uint8_t[:, ::1] rows not None,
    Py_ssize_t skipped,
    int bits,
    const uint8_t[:, ::1] indices not None,
    const uint16_t[::1] theirs not None,
    const uint16_t[::1] ours not None,
):
    """Whether samples of 1, 2, 4 or 8 bits, leftmost highest, name the colours of `indices`.

    IN (n, m) bytes, of which the first `skipped` of a row hold no samples; (n, width) indices;
    two times (256,) the number of the colour of each index, in the file and in the palette.
    """
    cdef Py_ssize_t x, y, n = indices.shape[0], width = indices.shape[1]
    cdef int each = 8 // bits if bits in (1, 2, 4, 8) else 0
    cdef int mask = (1 << bits) - 1 if each else 0
    cdef int shift, byte
    cdef unsigned int differences = 0
    cdef const uint8_t* row
    cdef const uint8_t* wanted
    if (
        not each
        or rows.shape[0] != n
        or skipped < 0
        or rows.shape[1] < skipped + (width + each - 1) // each
        or theirs.shape[0] != 256
        or ours.shape[0] != 256
    ):
        return False
    with nogil:
        for y in range(n):
            row = &rows[y, skipped]
            wanted = &indices[y, 0]
            if bits == 8:
                for x in range(width):
                    differences |= theirs[row[x]] ^ ours[wanted[x]]
            elif bits == 4:
                for x in range(width // 2):
                    differences |= theirs[row[x] >> 4] ^ ours[wanted[2 * x]]
                    differences |= theirs[row[x] & 15] ^ ours[wanted[2 * x + 1]]
                if width & 1:
                    differences |= theirs[row[width // 2] >> 4] ^ ours[wanted[width - 1]]
            else:
                for x in range(width):
                    shift = 8 - bits - bits * <int> (x % each)
                    byte = row[x // each]
                    differences |= theirs[byte >> shift & mask] ^ ours[wanted[x]]
            if differences:
                break
    return differences == 0


def same_colors(
    const uint8_t[:, ::1] rows not None,
    Py_ssize_t skipped,
    int channels,
    const uint8_t[:, ::1] indices not None,
    const uint8_t[:, ::1] palette not None,
):
    """Whether pixels of 1 to 4 bytes are the palette's entries of `indices`.

    IN (n, m) bytes, of which the first `skipped` of a row hold no pixels; (n, width) indices;
    (256, 4) palette: grey, grey and alpha, RGB or RGBA in the first `channels`. A pixel and an
    entry that have an alpha of 0 are equal.
    """
    cdef Py_ssize_t x, y, n = indices.shape[0], width = indices.shape[1]
    cdef int channel, alpha = channels - 1 if channels in (2, 4) else -1
    cdef bint same = True
    cdef const uint8_t* pixel
    cdef const uint8_t* entry
    if (
        channels < 1
        or channels > 4
        or rows.shape[0] != n
        or skipped < 0
        or rows.shape[1] < skipped + channels * width
        or palette.shape[0] != 256
        or palette.shape[1] != 4
    ):
        return False
    with nogil:
        for y in range(n):
            pixel = &rows[y, skipped]
            for x in range(width):
                entry = &palette[indices[y, x], 0]
                if alpha < 0 or pixel[alpha] or entry[alpha]:
                    for channel in range(channels):
                        if pixel[channel] != entry[channel]:
                            same = False
                pixel += channels
            if not same:
                break
    return same


def count_indices(const uint8_t[::1] indices not None, Py_ssize_t[::1] counts not None):
    """IN (n,) indices; IN OUT (256,) how often each occurs, increased."""
    cdef Py_ssize_t i, n = indices.shape[0]
    cdef Py_ssize_t tables[4][256]
    if counts.shape[0] != 256:
        return False
    with nogil:
        for i in range(256):
            tables[0][i] = tables[1][i] = tables[2][i] = tables[3][i] = 0
        # Four tables: an increment need not wait for the one before it where indices repeat.
        for i in range(0, n - 3, 4):
            tables[0][indices[i]] += 1
            tables[1][indices[i + 1]] += 1
            tables[2][indices[i + 2]] += 1
            tables[3][indices[i + 3]] += 1
        for i in range(n - n % 4, n):
            tables[0][indices[i]] += 1
        for i in range(256):
            counts[i] += tables[0][i] + tables[1][i] + tables[2][i] + tables[3][i]
    return True
