# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""RGBA colours in two parts, the opaque ones and the others, each in the order of the whole."""

from libc.stdint cimport int64_t, uint16_t, uint32_t

cdef enum:
    OPAQUE = 0x88888888     # alpha's bits in a key


cdef inline bint is_opaque(uint32_t key) noexcept nogil:
    return (key & <uint32_t> OPAQUE) == <uint32_t> OPAQUE


def count(const uint32_t[::1] keys not None):
    """Return how many keys are of opaque colours."""
    cdef Py_ssize_t i, n = 0
    with nogil:
        for i in range(keys.shape[0]):
            n += is_opaque(keys[i])
    return n


def part(const uint32_t[::1] keys not None,             # IN (n,)
         const int64_t[::1] weights not None,           # IN (n,)
         uint32_t[::1] opaque_keys not None,            # OUT (count,)
         int64_t[::1] opaque_weights not None,          # OUT (count,)
         uint32_t[::1] other_keys not None,             # OUT (n - count,)
         int64_t[::1] other_weights not None):          # OUT (n - count,)
    """Write the keys and weights of each part."""
    cdef Py_ssize_t i, a = 0, b = 0
    with nogil:
        for i in range(keys.shape[0]):
            if is_opaque(keys[i]):
                opaque_keys[a] = keys[i]
                opaque_weights[a] = weights[i]
                a += 1
            else:
                other_keys[b] = keys[i]
                other_weights[b] = weights[i]
                b += 1


def join(const uint32_t[::1] keys not None,             # IN (n,)
         const uint16_t[::1] opaque not None,           # IN (count,)
         const uint16_t[::1] others not None,           # IN (n - count,)
         uint16_t[::1] out not None):                   # OUT (n,)
    """Write the labels of the whole from those of the parts."""
    cdef Py_ssize_t i, a = 0, b = 0
    with nogil:
        for i in range(keys.shape[0]):
            if is_opaque(keys[i]):
                out[i] = opaque[a]
                a += 1
            else:
                out[i] = others[b]
                b += 1
