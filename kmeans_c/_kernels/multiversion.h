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
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <stdlib.h>
static void *km_wait_at(void *gate)
{
    pthread_mutex_lock((pthread_mutex_t *) gate);
    pthread_mutex_unlock((pthread_mutex_t *) gate);
    return NULL;
}
/* How many of the wanted threads, this one among them, can be there at once. libgomp ends the process where it
   cannot start one. Nothing of Python runs in these: at the limit of memory it could not. */
static inline int km_try_threads(int wanted, size_t stack)
{
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_attr_t attributes;
    pthread_t *threads = (pthread_t *) malloc(sizeof(pthread_t) * (size_t) wanted);
    int n = 0, i;
    if (threads == NULL || pthread_attr_init(&attributes)) {
        free(threads);
        return 1;
    }
    if (stack)
        pthread_attr_setstacksize(&attributes, stack);
    pthread_mutex_lock(&gate);
    while (n < wanted - 1 && !pthread_create(&threads[n], &attributes, km_wait_at, &gate))
        n++;
    pthread_mutex_unlock(&gate);
    for (i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    pthread_attr_destroy(&attributes);
    free(threads);
    return 1 + n;
}
#else
static inline int km_try_threads(int wanted, size_t stack) { (void) stack; return wanted; }
#endif
#else
static inline int km_try_threads(int wanted, size_t stack) { (void) wanted; (void) stack; return 1; }
static inline int km_has_openmp(void) { return 0; }
static inline int km_max_threads(void) { return 1; }
static inline void km_release_threads(void) { }
#endif

#endif
