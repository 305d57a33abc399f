# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""Where the last block of a deflate stream (RFC 1951) begins and ends, in bits.

Streams that were compressed on their own become one once no block but the last is marked as such.
Symbols are decoded, and nothing is put out.
"""

from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.string cimport memset

cdef enum:
    MAX_BITS = 15
    N_LITERALS = 288
    N_DISTANCES = 32
    N_LENGTHS = 19

cdef uint8_t[19] LENGTH_ORDER = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15
]
cdef uint8_t[31] LENGTH_EXTRA = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0, 0, 0
]


cdef struct Code:
    int bits                       # of the longest codeword, which the table is indexed by
    uint16_t table[1 << MAX_BITS]  # symbol << 4 | bits of its codeword; 0 where there is none


cdef struct Stream:
    const uint8_t* data
    Py_ssize_t n
    uint64_t at                    # bit


cdef inline uint64_t _peek(Stream* s) noexcept nogil:
    """At least 56 bits from here on; zeros after the end."""
    cdef const uint8_t* p = s.data + (s.at >> 3)
    cdef Py_ssize_t left = s.n - <Py_ssize_t> (s.at >> 3)
    cdef uint64_t bits = 0
    cdef Py_ssize_t i
    if left >= 8:
        bits = (
            <uint64_t> p[0] | <uint64_t> p[1] << 8 | <uint64_t> p[2] << 16
            | <uint64_t> p[3] << 24 | <uint64_t> p[4] << 32 | <uint64_t> p[5] << 40
            | <uint64_t> p[6] << 48 | <uint64_t> p[7] << 56
        )
    else:
        for i in range(left):
            bits |= <uint64_t> p[i] << (8 * i)
    return bits >> (s.at & 7)


cdef inline unsigned int _take(Stream* s, int n) noexcept nogil:
    cdef unsigned int value = <unsigned int> (_peek(s) & ((<uint64_t> 1 << n) - 1))
    s.at += n
    return value


cdef bint _make(Code* code, const uint8_t* lengths, int n) noexcept nogil:
    """Canonical Huffman code of the lengths, 0..15; False if they are too many for a code."""
    cdef int[MAX_BITS + 2] counts
    cdef int[MAX_BITS + 2] following
    cdef int i, length, word, reversed_word, bit, total = 0
    memset(counts, 0, sizeof(counts))
    code.bits = 1
    for i in range(n):
        counts[lengths[i]] += 1
        if lengths[i] > code.bits:
            code.bits = lengths[i]
    counts[0] = 0
    for length in range(1, MAX_BITS + 1):
        following[length] = (following[length - 1] + counts[length - 1]) << 1 if length > 1 else 0
        total += counts[length] << (MAX_BITS - length)
    if total > 1 << MAX_BITS:
        return False
    memset(code.table, 0, sizeof(uint16_t) << code.bits)
    for i in range(n):
        length = lengths[i]
        if length == 0:
            continue
        word = following[length]
        following[length] += 1
        reversed_word = 0
        for bit in range(length):
            reversed_word |= (word >> bit & 1) << (length - 1 - bit)
        while reversed_word < 1 << code.bits:
            code.table[reversed_word] = <uint16_t> (i << 4 | length)
            reversed_word += 1 << length
    return True


cdef inline int _symbol(Stream* s, const Code* code) noexcept nogil:
    cdef uint16_t found = code.table[_peek(s) & ((1 << code.bits) - 1)]
    s.at += found & 15
    return found >> 4 if found else -1


cdef bint _fixed(Code* literals, Code* distances) noexcept nogil:
    cdef uint8_t[N_LITERALS] lengths
    memset(lengths, 8, 144)
    memset(&lengths[144], 9, 112)
    memset(&lengths[256], 7, 24)
    memset(&lengths[280], 8, 8)
    _make(literals, lengths, N_LITERALS)
    memset(lengths, 5, N_DISTANCES)
    return _make(distances, lengths, N_DISTANCES)


cdef bint _dynamic(Stream* s, Code* literals, Code* distances) noexcept nogil:
    cdef uint8_t[N_LITERALS + N_DISTANCES] lengths
    cdef uint8_t[N_LENGTHS] of_lengths
    cdef int n_literals = _take(s, 5) + 257
    cdef int n_distances = _take(s, 5) + 1
    cdef int n_lengths = _take(s, 4) + 4
    cdef int i = 0, symbol, repeats, value
    if n_literals > N_LITERALS:
        return False
    memset(of_lengths, 0, sizeof(of_lengths))
    for i in range(n_lengths):
        of_lengths[LENGTH_ORDER[i]] = <uint8_t> _take(s, 3)
    if not _make(distances, of_lengths, N_LENGTHS):  # its table is free until the end
        return False
    i = 0
    while i < n_literals + n_distances:
        symbol = _symbol(s, distances)
        if symbol < 0 or <Py_ssize_t> (s.at >> 3) > s.n:
            return False
        if symbol < 16:
            lengths[i] = <uint8_t> symbol
            i += 1
            continue
        if symbol == 16:
            if i == 0:
                return False
            value, repeats = lengths[i - 1], 3 + _take(s, 2)
        elif symbol == 17:
            value, repeats = 0, 3 + _take(s, 3)
        else:
            value, repeats = 0, 11 + _take(s, 7)
        if i + repeats > n_literals + n_distances:
            return False
        memset(&lengths[i], value, repeats)
        i += repeats
    return (
        _make(literals, lengths, n_literals)
        and _make(distances, &lengths[n_literals], n_distances)
    )


cdef bint _skip_symbols(Stream* s, const Code* literals, const Code* distances) noexcept nogil:
    """Go behind the block's end; False if that is not to be found."""
    cdef int symbol
    cdef uint64_t end = <uint64_t> s.n << 3
    while s.at <= end:
        symbol = _symbol(s, literals)
        if symbol == 256:
            return s.at <= end
        if symbol < 0:
            return False
        if symbol > 256:
            if symbol > 285:
                return False
            s.at += LENGTH_EXTRA[symbol - 257]
            symbol = _symbol(s, distances)
            if symbol < 0 or symbol > 29:
                return False
            if symbol >= 4:
                s.at += symbol // 2 - 1
    return False


def last_block(const uint8_t[::1] data not None):
    """IN a raw deflate stream. Return the bits where its last block and what follows it begin.

    (-1, -1) if it is none.
    """
    cdef Code literals, distances
    cdef Stream s
    cdef uint64_t header = 0
    cdef unsigned int final = 0, kind, size
    cdef bint good = data.shape[0] > 0
    if not good:
        return -1, -1
    s.data, s.n, s.at = &data[0], data.shape[0], 0
    with nogil:
        while good and not final:
            header = s.at
            if <Py_ssize_t> (s.at >> 3) >= s.n:
                good = False
                break
            final = _take(&s, 1)
            kind = _take(&s, 2)
            if kind == 0:
                s.at = (s.at + 7) >> 3 << 3
                size = _take(&s, 16)
                s.at += 16 + 8 * <uint64_t> size
                good = <Py_ssize_t> (s.at >> 3) <= s.n
            elif kind == 1:
                good = _fixed(&literals, &distances)
                good = good and _skip_symbols(&s, &literals, &distances)
            elif kind == 2:
                good = _dynamic(&s, &literals, &distances)
                good = good and _skip_symbols(&s, &literals, &distances)
            else:
                good = False
    if not good:
        return -1, -1
    return header, s.at
