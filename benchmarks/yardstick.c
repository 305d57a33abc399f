/* Nearest of K centroids for n RGB pixels, by hand in intrinsics: what bench_assign.py holds the compiler's
   vectorisation of the Cython kernel against, on the same machine in the same run. Planes of 256 pixels, the score
   |c|^2 - 2 p.c, one multiply and one add an instruction, as the package does. */
#include <immintrin.h>
#include <stdint.h>

enum { BLOCK = 256 };

static void planes(const uint8_t *p, float *x)
{
    for (int i = 0; i < BLOCK; i++) {
        x[i] = (float)p[3 * i] - 128.0f;
        x[BLOCK + i] = (float)p[3 * i + 1] - 128.0f;
        x[2 * BLOCK + i] = (float)p[3 * i + 2] - 128.0f;
    }
}

/* table: K times |c|^2, -2 r, -2 g, -2 b */
__attribute__((target("avx2"))) void yardstick_avx2(const uint8_t *p, long n, const float *table, int K, int32_t *labels)
{
    float x[3 * BLOCK];
    for (long start = 0; start + BLOCK <= n; start += BLOCK) {
        planes(p + 3 * start, x);
        for (int i = 0; i < BLOCK; i += 16) {
            __m256 r0 = _mm256_loadu_ps(x + i), r1 = _mm256_loadu_ps(x + i + 8);
            __m256 g0 = _mm256_loadu_ps(x + BLOCK + i), g1 = _mm256_loadu_ps(x + BLOCK + i + 8);
            __m256 b0 = _mm256_loadu_ps(x + 2 * BLOCK + i), b1 = _mm256_loadu_ps(x + 2 * BLOCK + i + 8);
            __m256 m0 = _mm256_set1_ps(1e30f), m1 = m0;
            __m256i l0 = _mm256_setzero_si256(), l1 = l0;
            for (int k = 0; k < K; k++) {
                __m256 c = _mm256_broadcast_ss(table + 4 * k), cr = _mm256_broadcast_ss(table + 4 * k + 1);
                __m256 cg = _mm256_broadcast_ss(table + 4 * k + 2), cb = _mm256_broadcast_ss(table + 4 * k + 3);
                __m256 s0 = _mm256_add_ps(_mm256_add_ps(_mm256_add_ps(c, _mm256_mul_ps(r0, cr)), _mm256_mul_ps(g0, cg)), _mm256_mul_ps(b0, cb));
                __m256 s1 = _mm256_add_ps(_mm256_add_ps(_mm256_add_ps(c, _mm256_mul_ps(r1, cr)), _mm256_mul_ps(g1, cg)), _mm256_mul_ps(b1, cb));
                __m256i kk = _mm256_set1_epi32(k);
                l0 = _mm256_blendv_epi8(l0, kk, _mm256_castps_si256(_mm256_cmp_ps(s0, m0, _CMP_LT_OQ)));
                l1 = _mm256_blendv_epi8(l1, kk, _mm256_castps_si256(_mm256_cmp_ps(s1, m1, _CMP_LT_OQ)));
                m0 = _mm256_min_ps(s0, m0);
                m1 = _mm256_min_ps(s1, m1);
            }
            _mm256_storeu_si256((__m256i *)(labels + start + i), l0);
            _mm256_storeu_si256((__m256i *)(labels + start + i + 8), l1);
        }
    }
}

__attribute__((target("avx512f"))) void yardstick_avx512(const uint8_t *p, long n, const float *table, int K, int32_t *labels)
{
    float x[3 * BLOCK];
    for (long start = 0; start + BLOCK <= n; start += BLOCK) {
        planes(p + 3 * start, x);
        for (int i = 0; i < BLOCK; i += 32) {
            __m512 r0 = _mm512_loadu_ps(x + i), r1 = _mm512_loadu_ps(x + i + 16);
            __m512 g0 = _mm512_loadu_ps(x + BLOCK + i), g1 = _mm512_loadu_ps(x + BLOCK + i + 16);
            __m512 b0 = _mm512_loadu_ps(x + 2 * BLOCK + i), b1 = _mm512_loadu_ps(x + 2 * BLOCK + i + 16);
            __m512 m0 = _mm512_set1_ps(1e30f), m1 = m0;
            __m512i l0 = _mm512_setzero_si512(), l1 = l0;
            for (int k = 0; k < K; k++) {
                __m512 c = _mm512_set1_ps(table[4 * k]), cr = _mm512_set1_ps(table[4 * k + 1]);
                __m512 cg = _mm512_set1_ps(table[4 * k + 2]), cb = _mm512_set1_ps(table[4 * k + 3]);
                __m512 s0 = _mm512_add_ps(_mm512_add_ps(_mm512_add_ps(c, _mm512_mul_ps(r0, cr)), _mm512_mul_ps(g0, cg)), _mm512_mul_ps(b0, cb));
                __m512 s1 = _mm512_add_ps(_mm512_add_ps(_mm512_add_ps(c, _mm512_mul_ps(r1, cr)), _mm512_mul_ps(g1, cg)), _mm512_mul_ps(b1, cb));
                __m512i kk = _mm512_set1_epi32(k);
                l0 = _mm512_mask_mov_epi32(l0, _mm512_cmp_ps_mask(s0, m0, _CMP_LT_OQ), kk);
                l1 = _mm512_mask_mov_epi32(l1, _mm512_cmp_ps_mask(s1, m1, _CMP_LT_OQ), kk);
                m0 = _mm512_min_ps(s0, m0);
                m1 = _mm512_min_ps(s1, m1);
            }
            _mm512_storeu_si512(labels + start + i, l0);
            _mm512_storeu_si512(labels + start + i + 16, l1);
        }
    }
}

void yardstick_baseline(const uint8_t *p, long n, const float *table, int K, int32_t *labels)
{
    float x[3 * BLOCK];
    for (long start = 0; start + BLOCK <= n; start += BLOCK) {
        planes(p + 3 * start, x);
        for (int i = 0; i < BLOCK; i += 8) {
            __m128 r0 = _mm_loadu_ps(x + i), r1 = _mm_loadu_ps(x + i + 4);
            __m128 g0 = _mm_loadu_ps(x + BLOCK + i), g1 = _mm_loadu_ps(x + BLOCK + i + 4);
            __m128 b0 = _mm_loadu_ps(x + 2 * BLOCK + i), b1 = _mm_loadu_ps(x + 2 * BLOCK + i + 4);
            __m128 m0 = _mm_set1_ps(1e30f), m1 = m0;
            __m128 l0 = _mm_setzero_ps(), l1 = l0;
            for (int k = 0; k < K; k++) {
                __m128 c = _mm_set1_ps(table[4 * k]), cr = _mm_set1_ps(table[4 * k + 1]);
                __m128 cg = _mm_set1_ps(table[4 * k + 2]), cb = _mm_set1_ps(table[4 * k + 3]);
                __m128 s0 = _mm_add_ps(_mm_add_ps(_mm_add_ps(c, _mm_mul_ps(r0, cr)), _mm_mul_ps(g0, cg)), _mm_mul_ps(b0, cb));
                __m128 s1 = _mm_add_ps(_mm_add_ps(_mm_add_ps(c, _mm_mul_ps(r1, cr)), _mm_mul_ps(g1, cg)), _mm_mul_ps(b1, cb));
                __m128 kk = _mm_castsi128_ps(_mm_set1_epi32(k));
                __m128 w0 = _mm_cmplt_ps(s0, m0), w1 = _mm_cmplt_ps(s1, m1);
                l0 = _mm_or_ps(_mm_and_ps(w0, kk), _mm_andnot_ps(w0, l0));
                l1 = _mm_or_ps(_mm_and_ps(w1, kk), _mm_andnot_ps(w1, l1));
                m0 = _mm_min_ps(s0, m0);
                m1 = _mm_min_ps(s1, m1);
            }
            _mm_storeu_si128((__m128i *)(labels + start + i), _mm_castps_si128(l0));
            _mm_storeu_si128((__m128i *)(labels + start + i + 4), _mm_castps_si128(l1));
        }
    }
}
