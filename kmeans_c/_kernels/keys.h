/* Z-order numbers of RGB pixels (keys.pxd), in whole vectors.

   The one kernel that is written by hand for each SIMD level: left to gcc it takes three times as long, because no
   compiler finds that a look-up of three bits is one byte shuffle. The bits of a channel go in threes, or in twos
   where the key's byte ends, to the three bytes of the key:

       key byte     0             1             2
       red          1 0           4 3 2         7 6 5
       green        2 1 0         4 3           7 6 5
       blue         2 1 0         5 4 3         7 6

   so each byte is the sum of three look-ups, in one of three tables: the lowest bit at bit 0, 1 or 2. */
#ifndef KM_KEYS_H
#define KM_KEYS_H

#include <stdint.h>

static inline uint32_t km_rgb_key(const uint32_t *spread3, const uint8_t *p)
{
    return (spread3[p[0]] << 2) + (spread3[p[1]] << 1) + spread3[p[2]];
}

/* spread3: bit i of a byte at bit 3 i. */
static void km_keys_base(const uint32_t *spread3, const uint8_t *p, int n, uint32_t *keys)
{
    int i;
    for (i = 0; i < n; i++)
        keys[i] = km_rgb_key(spread3, p + 3 * (long) i);
}

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#include <immintrin.h>

/* What the byte shuffles fetch from the first, middle and last 16 of 48 bytes for each channel; Z: nothing. */
#define KM_Z (-1)
#define KM_RED_0 0, 3, 6, 9, 12, 15, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z
#define KM_RED_1 KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, 2, 5, 8, 11, 14, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z
#define KM_RED_2 KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, 1, 4, 7, 10, 13
#define KM_GREEN_0 1, 4, 7, 10, 13, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z
#define KM_GREEN_1 KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, 0, 3, 6, 9, 12, 15, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z
#define KM_GREEN_2 KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, 2, 5, 8, 11, 14
#define KM_BLUE_0 2, 5, 8, 11, 14, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z
#define KM_BLUE_1 KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, 1, 4, 7, 10, 13, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z
#define KM_BLUE_2 KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, KM_Z, 0, 3, 6, 9, 12, 15

/* Three bits at 0 3 6, at 1 4 7, at 2 5 (the third is another byte's); a fourth bit does not count. */
#define KM_AT_0 0, 1, 8, 9, 64, 65, 72, 73, 0, 1, 8, 9, 64, 65, 72, 73
#define KM_AT_1 0, 2, 16, 18, -128, -126, -112, -110, 0, 2, 16, 18, -128, -126, -112, -110
#define KM_AT_2 0, 4, 32, 36, 0, 4, 32, 36, 0, 4, 32, 36, 0, 4, 32, 36

/* The same steps for vectors of 16 LANES bytes: SHUFFLE and the unpacks stay within lanes of 16 bytes, so that the
   pixels are loaded 48 bytes a lane, and TRANSPOSE moves four keys' bytes to where the unpacks leave them in order. */
#define KM_KEYS_BODY(VECTOR, TABLE, SHUFFLE, AND, OR, SHIFT, LOW8, HIGH8, LOW16, HIGH16, ZERO, SEVEN, TRANSPOSE) \
    VECTOR red = OR(OR(SHUFFLE(a, TABLE(KM_RED_0)), SHUFFLE(b, TABLE(KM_RED_1))), SHUFFLE(c, TABLE(KM_RED_2))); \
    VECTOR green = OR(OR(SHUFFLE(a, TABLE(KM_GREEN_0)), SHUFFLE(b, TABLE(KM_GREEN_1))), \
                      SHUFFLE(c, TABLE(KM_GREEN_2))); \
    VECTOR blue = OR(OR(SHUFFLE(a, TABLE(KM_BLUE_0)), SHUFFLE(b, TABLE(KM_BLUE_1))), SHUFFLE(c, TABLE(KM_BLUE_2))); \
    VECTOR byte0 = TRANSPOSE(OR(OR(SHUFFLE(TABLE(KM_AT_2), AND(red, SEVEN)), \
                                   SHUFFLE(TABLE(KM_AT_1), AND(green, SEVEN))), \
                                SHUFFLE(TABLE(KM_AT_0), AND(blue, SEVEN)))); \
    VECTOR byte1 = TRANSPOSE(OR(OR(SHUFFLE(TABLE(KM_AT_0), AND(SHIFT(red, 2), SEVEN)), \
                                   SHUFFLE(TABLE(KM_AT_2), AND(SHIFT(green, 3), SEVEN))), \
                                SHUFFLE(TABLE(KM_AT_1), AND(SHIFT(blue, 3), SEVEN)))); \
    VECTOR byte2 = TRANSPOSE(OR(OR(SHUFFLE(TABLE(KM_AT_1), AND(SHIFT(red, 5), SEVEN)), \
                                   SHUFFLE(TABLE(KM_AT_0), AND(SHIFT(green, 5), SEVEN))), \
                                SHUFFLE(TABLE(KM_AT_2), AND(SHIFT(blue, 6), SEVEN)))); \
    VECTOR low = LOW8(byte0, byte1), high = HIGH8(byte0, byte1); \
    VECTOR low2 = LOW8(byte2, ZERO), high2 = HIGH8(byte2, ZERO); \
    VECTOR keys0 = LOW16(low, low2), keys1 = HIGH16(low, low2); \
    VECTOR keys2 = LOW16(high, high2), keys3 = HIGH16(high, high2)

#define KM_TABLE_256(...) _mm256_broadcastsi128_si256(_mm_setr_epi8(__VA_ARGS__))
#define KM_LOAD_256(p) _mm256_inserti128_si256( \
    _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *) (p))), _mm_loadu_si128((const __m128i *) ((p) + 48)), 1)
#define KM_TRANSPOSE_256(x) _mm256_permutevar8x32_epi32(x, transpose)

__attribute__((target("avx2")))
static void km_keys_v3(const uint32_t *spread3, const uint8_t *p, int n, uint32_t *keys)
{
    const __m256i transpose = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);
    const __m256i seven = _mm256_set1_epi8(7), zero = _mm256_setzero_si256();
    for (; n >= 32; n -= 32, p += 96, keys += 32) {
        const __m256i a = KM_LOAD_256(p), b = KM_LOAD_256(p + 16), c = KM_LOAD_256(p + 32);
        KM_KEYS_BODY(__m256i, KM_TABLE_256, _mm256_shuffle_epi8, _mm256_and_si256, _mm256_or_si256, _mm256_srli_epi16,
                     _mm256_unpacklo_epi8, _mm256_unpackhi_epi8, _mm256_unpacklo_epi16, _mm256_unpackhi_epi16,
                     zero, seven, KM_TRANSPOSE_256);
        _mm256_storeu_si256((__m256i *) keys, keys0);
        _mm256_storeu_si256((__m256i *) (keys + 8), keys1);
        _mm256_storeu_si256((__m256i *) (keys + 16), keys2);
        _mm256_storeu_si256((__m256i *) (keys + 24), keys3);
    }
    km_keys_base(spread3, p, n, keys);
}

#define KM_TABLE_512(...) _mm512_broadcast_i32x4(_mm_setr_epi8(__VA_ARGS__))
#define KM_LOAD_512(p) _mm512_inserti64x4(_mm512_castsi256_si512(KM_LOAD_256(p)), KM_LOAD_256((p) + 96), 1)
#define KM_TRANSPOSE_512(x) _mm512_permutexvar_epi32(transpose, x)

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2")))
static void km_keys_v4(const uint32_t *spread3, const uint8_t *p, int n, uint32_t *keys)
{
    const __m512i transpose = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i seven = _mm512_set1_epi8(7), zero = _mm512_setzero_si512();
    for (; n >= 64; n -= 64, p += 192, keys += 64) {
        const __m512i a = KM_LOAD_512(p), b = KM_LOAD_512(p + 16), c = KM_LOAD_512(p + 32);
        KM_KEYS_BODY(__m512i, KM_TABLE_512, _mm512_shuffle_epi8, _mm512_and_si512, _mm512_or_si512, _mm512_srli_epi16,
                     _mm512_unpacklo_epi8, _mm512_unpackhi_epi8, _mm512_unpacklo_epi16, _mm512_unpackhi_epi16,
                     zero, seven, KM_TRANSPOSE_512);
        _mm512_storeu_si512(keys, keys0);
        _mm512_storeu_si512(keys + 16, keys1);
        _mm512_storeu_si512(keys + 32, keys2);
        _mm512_storeu_si512(keys + 48, keys3);
    }
    km_keys_base(spread3, p, n, keys);
}
#else
#define km_keys_v3 km_keys_base
#define km_keys_v4 km_keys_base
#endif

#endif
