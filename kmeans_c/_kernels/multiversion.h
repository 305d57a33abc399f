/* One kernel body, several instruction sets, and what OpenMP offers, for compilers that have it or not.

   A kernel body is a cdef function of type KM_BODY_VOID: always inlined. One wrapper a SIMD level, of type
   KM_V3_VOID and so on, inlines it and is vectorised by the C compiler with that level's instructions; the
   wrapper is chosen at run time by a function pointer. */
#ifndef KM_MULTIVERSION_H
#define KM_MULTIVERSION_H

#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) || defined(__clang__)
#define KM_BODY_VOID inline __attribute__((always_inline)) void
#else
#define KM_BODY_VOID void
#endif

/* What km_cpu_level() tests is exactly what the target strings name, no more. */
#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define KM_V3_VOID __attribute__((target("avx2,bmi,bmi2,fma,popcnt"))) void
#if defined(__clang__)
#define KM_V4_VOID \
    __attribute__((target("avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,bmi,bmi2,fma,popcnt"), \
                   min_vector_width(512))) void
#else
#define KM_V4_VOID \
    __attribute__((target("avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,bmi,bmi2,fma,popcnt," \
                          "prefer-vector-width=512"))) void
#endif
static inline int km_cpu_level(void)
{
    __builtin_cpu_init();
    if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
          __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma") &&
          __builtin_cpu_supports("popcnt")))
        return 0;
    if (!(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
          __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
          __builtin_cpu_supports("avx512vl")))
        return 1;
    return 2;
}
#else
#define KM_V3_VOID void
#define KM_V4_VOID void
static inline int km_cpu_level(void) { return 0; }
#endif

/* A hint and nothing more: a compiler without it loses time only. */
#if defined(__GNUC__) || defined(__clang__)
#define km_prefetch(address) __builtin_prefetch(address, 0)
#define km_prefetch_write(address) __builtin_prefetch(address, 1)
#else
#define km_prefetch_write(address) ((void) 0)
#define km_prefetch(address) ((void) 0)
#endif

/* Eight bytes as a number whose lowest byte is the first, on every machine. */
static inline uint64_t km_load64(const uint8_t *at)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t bits;
    memcpy(&bits, at, sizeof bits);
    return bits;
#else
    uint64_t bits = 0;
    int i;
    for (i = 7; i >= 0; i--)
        bits = bits << 8 | at[i];
    return bits;
#endif
}

/* The place of the lowest bit that is set; bits are not 0. */
static inline int km_lowest_bit(uint64_t bits)
{
#if defined(__GNUC__) || defined(__clang__)
    return __builtin_ctzll(bits);
#else
    int place = 0;
    for (; !(bits & 1); bits >>= 1)
        place++;
    return place;
#endif
}

#ifdef _OPENMP
#include <omp.h>
static inline int km_has_openmp(void) { return 1; }
static inline int km_max_threads(void) { return omp_get_max_threads(); }
/* libgomp's threads do not survive a fork, and a child that waits for them hangs: give the pool back first.
   omp_pause_resource_all is OpenMP 5.0; gcc has had it since version 9, while it still calls itself 4.5. */
#if _OPENMP >= 201811 || (defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 9)
static inline void km_release_threads(void) { omp_pause_resource_all(omp_pause_hard); }
#else
static inline void km_release_threads(void) { }
#endif
#else
static inline int km_has_openmp(void) { return 0; }
static inline int km_max_threads(void) { return 1; }
static inline void km_release_threads(void) { }
#endif

#endif
