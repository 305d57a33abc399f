# cython: language_level=3
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: autotestdict=False, freethreading_compatible=True, embedsignature=False
"""What the processor and the OpenMP runtime offer."""

cdef extern from "multiversion.h" nogil:
    int km_cpu_level() noexcept
    int km_has_openmp() noexcept
    int km_max_threads() noexcept
    void km_release_threads() noexcept
    int km_try_threads(int wanted, size_t stack) noexcept


def cpu_level():
    """The best SIMD level of this processor: 0 baseline, 1 AVX2, 2 AVX-512."""
    return km_cpu_level()


def has_openmp():
    """Whether the kernels were compiled with OpenMP."""
    return km_has_openmp() != 0


def max_threads():
    """What OpenMP would use now: it heeds OMP_NUM_THREADS and affinity, not a CPU quota."""
    return km_max_threads()


def release_threads():
    """End OpenMP's idle threads; the next parallel region starts new ones."""
    km_release_threads()


def try_threads(int wanted, size_t stack):
    """Start threads with so many bytes of stack (0: the system's default) and let them go; return
    how many there can be at once, this one included."""
    cdef int found
    with nogil:
        found = km_try_threads(wanted, stack)
    return found
