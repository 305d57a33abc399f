# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""TIFF's LZW and PackBits undone (TIFF 6.0, sections 13 and 9).

Welch, T. A. (1984). A technique for high-performance data compression. IEEE Computer 17(6), 8-19.

Neither reads or writes beyond what it is given, whatever the data are.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cdef enum:
    FULL = 4096     # codes of up to 12 bits
    CLEAR = 256
    END = 257


def unpack_lzw(const uint8_t[::1] data not None, uint8_t[::1] out not None, bint old):
    """IN codes; OUT their bytes, until it is full. `old`: the lowest bit first, codes grow late.

    Return how many bytes were written; -1 if a code makes no sense.
    """
    cdef int64_t n
    if data.shape[0] == 0 or out.shape[0] == 0:
        return 0
    with nogil:
        n = _lzw(&data[0], data.shape[0], &out[0], out.shape[0], old)
    return n


def unpack_packbits(const uint8_t[::1] data not None, uint8_t[::1] out not None):
    """IN runs and literal bytes; OUT the bytes, until it is full. Return how many were written."""
    cdef int64_t n
    if data.shape[0] == 0 or out.shape[0] == 0:
        return 0
    with nogil:
        n = _packbits(&data[0], data.shape[0], &out[0], out.shape[0])
    return n


cdef int64_t _lzw(
    const uint8_t* data, int64_t n_data, uint8_t* out, int64_t n_out, bint old
) noexcept nogil:
    # The string of a code is the one before it in the output and the byte that follows that: it
    # lies there, and only its place and length are kept.
    cdef int64_t starts[FULL]
    cdef int64_t lengths[FULL]
    cdef int64_t at = 0, written = 0, before = 0, length = 0, source, i
    cdef uint64_t pending = 0
    cdef int pending_bits = 0, width = 9
    cdef uint32_t code, following = 258
    cdef bint first = True
    while written < n_out:
        while pending_bits < width:
            if at == n_data:
                return written
            if old:
                pending |= <uint64_t> data[at] << pending_bits
            else:
                pending = pending << 8 | data[at]
            at += 1
            pending_bits += 8
        if old:
            code = pending & ((1u << width) - 1)
            pending >>= width
        else:
            code = (pending >> (pending_bits - width)) & ((1u << width) - 1)
        pending_bits -= width
        if code == END:
            return written
        if code == CLEAR:
            width = 9
            following = 258
            first = True
            continue
        if not first and following < FULL:
            starts[following] = before
            lengths[following] = length + 1
            following += 1
            if width < 12 and following == (1u << width) - (0 if old else 1):
                width += 1
        if code < CLEAR:
            before = written
            length = 1
            out[written] = <uint8_t> code
            written += 1
        elif code < following and not first:
            source = starts[code]
            before = written
            length = min(lengths[code], n_out - written)
            if source + length <= written:
                memcpy(out + written, out + source, length)
            else:
                for i in range(length):
                    out[written + i] = out[source + i]
            written += length
        else:
            return -1
        first = False
    return written


cdef int64_t _packbits(
    const uint8_t* data, int64_t n_data, uint8_t* out, int64_t n_out
) noexcept nogil:
    cdef int64_t at = 0, written = 0, n
    cdef uint8_t head
    while at < n_data and written < n_out:
        head = data[at]
        at += 1
        if head < 128:
            n = min(min(<int64_t> head + 1, n_out - written), n_data - at)
            memcpy(out + written, data + at, n)
            at += <int64_t> head + 1
            written += n
        elif head > 128:
            if at == n_data:
                break
            n = min(<int64_t> 257 - head, n_out - written)
            memset(out + written, data[at], n)
            at += 1
            written += n
    return written
