/* The colours of a page of counters (histogram.pyx) that are not 0, and how often each was seen, 16 at a time.

   Written by hand because no compiler finds compressing vectors, and a loop over the bits of a mask ends at another
   place in every line: a misprediction a line. Only with AVX-512: narrower vectors cannot compress. */
#ifndef KM_LISTING_H
#define KM_LISTING_H

#include <stdint.h>

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#include <immintrin.h>
#define KM_LISTS 1

/* List the counters from first on, up to n, a multiple of 64; the sums of all tables' stay below 2^32. */
__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi,bmi2,popcnt")))
static void km_list_v4(uint8_t *const *tables, int n_tables, int64_t first, int n, int clear, uint32_t *keys,
                       int64_t *counts)
{
    const __m512i ascending = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    int64_t i, j;
    int t;
    for (i = first; i < first + n; i += 64) {
        __m512i seen = _mm512_setzero_si512();
        for (t = 0; t < n_tables; t++) {
            __builtin_prefetch(tables[t] + i + 2048, 0);
            seen = _mm512_or_si512(seen, _mm512_loadu_si512(tables[t] + i));
        }
        if (!_mm512_test_epi8_mask(seen, seen))
            continue;
        for (j = i; j < i + 64; j += 16) {
            __m512i sums = _mm512_setzero_si512(), places;
            __mmask16 some;
            unsigned found, mask;
            for (t = 0; t < n_tables; t++)
                sums = _mm512_add_epi32(
                    sums, _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *) (tables[t] + j))));
            some = _mm512_test_epi32_mask(sums, sums);
            found = (unsigned) _mm_popcnt_u32(some);
            mask = (1u << found) - 1;   /* beyond them another thread may have written */
            places = _mm512_add_epi32(ascending, _mm512_set1_epi32((int) j));
            sums = _mm512_maskz_compress_epi32(some, sums);
            _mm512_mask_storeu_epi32(keys, (__mmask16) mask, _mm512_maskz_compress_epi32(some, places));
            _mm512_mask_storeu_epi64(counts, (__mmask8) mask,
                                     _mm512_cvtepu32_epi64(_mm512_castsi512_si256(sums)));
            _mm512_mask_storeu_epi64(counts + 8, (__mmask8) (mask >> 8),
                                     _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(sums, 1)));
            keys += found;
            counts += found;
        }
        for (t = 0; t < n_tables && clear; t++)
            _mm512_storeu_si512(tables[t] + i, _mm512_setzero_si512());
    }
}
#else
#define KM_LISTS 0
static void km_list_v4(uint8_t *const *tables, int n_tables, int64_t first, int n, int clear, uint32_t *keys,
                       int64_t *counts) { }
#endif

#endif
