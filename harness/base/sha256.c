/* sha256.c — see sha256.h. The letters are those of FIPS 180-4, section 6.2. */
#include "base/sha256.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

typedef void compress_fn(uint32_t h[8], const uint8_t *p, size_t blocks);

/* clang-format off */
static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
/* clang-format on */

static uint32_t rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }

static uint32_t big_endian(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void schedule(uint32_t w[64], const uint8_t *p)
{
    for (size_t t = 0; t < 16; t++)
        w[t] = big_endian(p + 4 * t);
    for (int t = 16; t < 64; t++) {
        const uint32_t a = w[t - 15], b = w[t - 2];
        const uint32_t s0 = rotate(a, 7) ^ rotate(a, 18) ^ a >> 3;
        const uint32_t s1 = rotate(b, 17) ^ rotate(b, 19) ^ b >> 10;
        w[t] = s1 + w[t - 7] + s0 + w[t - 16];
    }
}

/* One round; the caller renames the variables instead of moving their values. */
static inline void one_round(uint32_t a, uint32_t b, uint32_t c, uint32_t *d, uint32_t e,
                             uint32_t f, uint32_t g, uint32_t *h, uint32_t kw)
{
    const uint32_t s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    const uint32_t s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    const uint32_t t1 = *h + s1 + ((e & f) ^ (~e & g)) + kw;
    *d += t1;
    *h = t1 + s0 + ((a & b) ^ (a & c) ^ (b & c));
}

static void compress_plain(uint32_t hash[8], const uint8_t *p, size_t blocks)
{
    for (; blocks--; p += 64) {
        uint32_t w[64];
        schedule(w, p);
        uint32_t a = hash[0], b = hash[1], c = hash[2], d = hash[3];
        uint32_t e = hash[4], f = hash[5], g = hash[6], h = hash[7];
        for (int t = 0; t < 64; t += 8) {
            one_round(a, b, c, &d, e, f, g, &h, K[t] + w[t]);
            one_round(h, a, b, &c, d, e, f, &g, K[t + 1] + w[t + 1]);
            one_round(g, h, a, &b, c, d, e, &f, K[t + 2] + w[t + 2]);
            one_round(f, g, h, &a, b, c, d, &e, K[t + 3] + w[t + 3]);
            one_round(e, f, g, &h, a, b, c, &d, K[t + 4] + w[t + 4]);
            one_round(d, e, f, &g, h, a, b, &c, K[t + 5] + w[t + 5]);
            one_round(c, d, e, &f, g, h, a, &b, K[t + 6] + w[t + 6]);
            one_round(b, c, d, &e, f, g, h, &a, K[t + 7] + w[t + 7]);
        }
        const uint32_t v[8] = {a, b, c, d, e, f, g, h};
        for (int i = 0; i < 8; i++)
            hash[i] += v[i];
    }
}

#if defined __x86_64__

#include <cpuid.h>
#include <immintrin.h>

#define SHA_NI __attribute__((target("sha,sse4.1,ssse3")))

static bool has_sha_ni(void)
{
    unsigned a, b, c, d, e, f;
    return __get_cpuid(1, &a, &e, &c, &d) && (c & bit_SSE4_1) && (c & bit_SSSE3) &&
           __get_cpuid_count(7, 0, &a, &b, &e, &f) && (b & bit_SHA);
}

/* Rounds t … t+3 on the state {a,b,e,f}, {c,d,g,h}; then w0 becomes the words that
 * follow w3 in the schedule. */
SHA_NI static inline void four_rounds(int t, __m128i *abef, __m128i *cdgh, __m128i *w0, __m128i w1,
                                      __m128i w2, __m128i w3)
{
    const __m128i kw = _mm_add_epi32(*w0, _mm_loadu_si128((const __m128i *)(K + t)));
    *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, kw);
    *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32(kw, 0x0e));
    const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(*w0, w1), _mm_alignr_epi8(w3, w2, 4));
    *w0 = _mm_sha256msg2_epu32(sum, w3);
}

SHA_NI static void compress_sha_ni(uint32_t h[8], const uint8_t *p, size_t blocks)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    const __m128i badc = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)h), 0xb1);
    const __m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(h + 4)), 0x1b);
    __m128i abef = _mm_alignr_epi8(badc, hgfe, 8), cdgh = _mm_blend_epi16(hgfe, badc, 0xf0);
    for (; blocks--; p += 64) {
        const __m128i abef0 = abef, cdgh0 = cdgh;
        __m128i w[4];
        for (size_t i = 0; i < 4; i++)
            w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(p + 16 * i)), swap);
        for (int t = 0; t < 64; t += 16) {
            four_rounds(t, &abef, &cdgh, &w[0], w[1], w[2], w[3]);
            four_rounds(t + 4, &abef, &cdgh, &w[1], w[2], w[3], w[0]);
            four_rounds(t + 8, &abef, &cdgh, &w[2], w[3], w[0], w[1]);
            four_rounds(t + 12, &abef, &cdgh, &w[3], w[0], w[1], w[2]);
        }
        abef = _mm_add_epi32(abef, abef0);
        cdgh = _mm_add_epi32(cdgh, cdgh0);
    }
    const __m128i feba = _mm_shuffle_epi32(abef, 0x1b), dchg = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)h, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(h + 4), _mm_alignr_epi8(dchg, feba, 8));
}

static compress_fn *best(void) { return has_sha_ni() ? compress_sha_ni : compress_plain; }

#else

static compress_fn *best(void) { return compress_plain; }

#endif

struct sha256 sha256_begin_plain(void)
{
    return (struct sha256){.h = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                                 0x9b05688c, 0x1f83d9ab, 0x5be0cd19},
                           .compress = compress_plain};
}

struct sha256 sha256_begin(void)
{
    struct sha256 s = sha256_begin_plain();
    s.compress = best();
    return s;
}

void sha256_add(struct sha256 *s, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    const size_t held = s->bytes % sizeof s->block;
    s->bytes += n;
    if (held > 0) {
        const size_t room = sizeof s->block - held, taken = n < room ? n : room;
        memcpy(s->block + held, p, taken);
        if (taken < room)
            return;
        s->compress(s->h, s->block, 1);
        p += taken;
        n -= taken;
    }
    s->compress(s->h, p, n / sizeof s->block);
    memcpy(s->block, p + n / sizeof s->block * sizeof s->block, n % sizeof s->block);
}

void sha256_end(struct sha256 *s, char hex[SHA256_HEX])
{
    static const uint8_t one_bit[64] = {0x80};
    const uint64_t bits = s->bytes * 8;
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(bits >> (56 - 8 * i));
    sha256_add(s, one_bit, 1 + (119 - s->bytes % 64) % 64);
    sha256_add(s, length, sizeof length);
    for (size_t i = 0; i < 8; i++)
        snprintf(hex + 8 * i, 9, "%08x", (unsigned)s->h[i]);
}

void sha256_of(const void *bytes, size_t n, char hex[SHA256_HEX])
{
    struct sha256 s = sha256_begin();
    sha256_add(&s, bytes, n);
    sha256_end(&s, hex);
}
