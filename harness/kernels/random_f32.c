/* random_f32 — number i of a stream from word i of base/rng.h's Philox stream, so that
 * any part can be drawn alone:
 *
 *   uniform   lo + (hi - lo) u_i,  u = (word >> 8) / 2^24 in [0, 1)
 *   dropout   x_i m_i,  m = 0 where u_i < p, else 1 / (1 - p)
 *   normal    mean + sigma z_i; Box & Muller 1958 on words 2j and 2j+1:
 *             r = sqrt(-2 log(((word_2j >> 8) + 1) / 2^24)), z_2j = r cos(2 pi u_2j+1),
 *             z_2j+1 = r sin(2 pi u_2j+1); |z| <= 5.77, absolute error 2^-20
 *
 * uniform and dropout are the same bits on every instruction set. Philox runs on
 * 64-bit lanes, a block to a lane: the high halves collect rubbish that no product reads. */
#include "kernels/kernel.h"

#include "kernels/each.h"
#include "kernels/vec_math.h"

enum { CHUNK = 256, BLOCKS = CHUNK / 4 }; /* numbers, and blocks of four, drawn at once */

struct words { /* of one chunk: words 0 2 4 … and 1 3 5 … */
    uint32_t even[CHUNK / 2], odd[CHUNK / 2];
};

/* Two vectors of blocks at once, so that one's products run while the other's are on their way. */
static void draw(uint64_t chunk, uint64_t seed, uint64_t stream, struct words *w)
{
    enum { WAYS = 2 };
    const vq low = vq_set(0xffffffffu), a = vq_set(0xD2511F53u), b = vq_set(0xCD9E8D57u);
    const vq bump0 = vq_set(0x9E3779B9u), bump1 = vq_set(0xBB67AE85u);
    for (size_t block = 0; block < BLOCKS; block += (size_t)WAYS * VQ) {
        vq c0[WAYS], c1[WAYS], c2[WAYS], c3[WAYS];
        vq k0 = vq_set(seed), k1 = vq_set(seed >> 32);
        for (int i = 0; i < WAYS; i++) {
            c0[i] = vq_iota(chunk * BLOCKS + block + (size_t)i * VQ);
            c1[i] = c0[i] >> 32;
            c2[i] = vq_set(stream);
            c3[i] = vq_set(stream >> 32);
        }
        for (int round = 0; round < 10; round++) {
            for (int i = 0; i < WAYS; i++) {
                const vq p = vq_mul32(a, c0[i]), q = vq_mul32(b, c2[i]);
                c0[i] = (q >> 32) ^ c1[i] ^ k0;
                c2[i] = (p >> 32) ^ c3[i] ^ k1;
                c1[i] = q;
                c3[i] = p;
            }
            k0 += bump0;
            k1 += bump1;
        }
        for (size_t i = 0; i < WAYS; i++) {
            vq_store(w->even + 2 * (block + i * VQ), (c0[i] & low) | (c2[i] << 32));
            vq_store(w->odd + 2 * (block + i * VQ), (c1[i] & low) | (c3[i] << 32));
        }
    }
}

/* What to make of words, and with which constants. */
struct use {
    void (*make)(const struct words *w, float a, float b, float y[CHUNK]);
    float a, b;
};

/* y = numbers first … first + n - 1, times x where there is one. Whole chunks
 * are made in place, the ends by way of a copy. */
static inline void generate(size_t n, uint64_t first, uint64_t seed, uint64_t stream, struct use u,
                            const float *x, float *y)
{
    struct words w;
    float numbers[CHUNK];
    for (size_t done = 0; done < n;) {
        const uint64_t i = first + done;
        const size_t skip = (size_t)(i % CHUNK);
        const size_t k = n - done < CHUNK - skip ? n - done : CHUNK - skip;
        const bool whole = k == CHUNK && !x;
        draw(i / CHUNK, seed, stream, &w);
        u.make(&w, u.a, u.b, whole ? y + done : numbers);
        if (x)
            EACH(k, y + done, AT(x + done) * AT(numbers + skip));
        else if (!whole)
            memcpy(y + done, numbers + skip, k * sizeof *y);
        done += k;
    }
}

static inline vf unit(const uint32_t *word)
{
    return vu_to_f(vu_load(word) >> 8) * vf_set(0x1p-24f);
}

static void make_uniform(const struct words *w, float lo, float width, float y[CHUNK])
{
    for (size_t i = 0; i < CHUNK / 2; i += VF) {
        const vf a = vf_fma(unit(w->even + i), vf_set(width), vf_set(lo));
        const vf b = vf_fma(unit(w->odd + i), vf_set(width), vf_set(lo));
        vf_store_zipped(y + 2 * i, a, b);
    }
}

static void make_mask(const struct words *w, float p, float kept, float y[CHUNK])
{
    const vf zero = vf_set(0.0f), one = vf_set(kept), bound = vf_set(p);
    for (size_t i = 0; i < CHUNK / 2; i += VF) {
        const vf a = vf_select(vf_less(unit(w->even + i), bound), zero, one);
        const vf b = vf_select(vf_less(unit(w->odd + i), bound), zero, one);
        vf_store_zipped(y + 2 * i, a, b);
    }
}

/* The angle is 2 pi u = pi/2 (q + z) with q = round(4 u) quarters and |z| <= 1/2:
 * exact, and the quarters only swap and negate sine and cosine of pi/2 z. */
static void make_normal(const struct words *w, float mean, float sigma, float y[CHUNK])
{
    const vf one = vf_set(1.0f), m = vf_set(mean), s = vf_set(sigma);
    for (size_t i = 0; i < CHUNK / 2; i += VF) {
        const vf u = unit(w->even + i) + vf_set(0x1p-24f);
        const vf r = s * vf_sqrt(vf_set(-2.0f) * vf_log(u));
        const vf turn = vf_set(4.0f) * unit(w->odd + i), q = vf_round(turn), z = turn - q;
        const vf t = z * z;
        vf sine = vf_set(1.581950783e-04f), cosine = vf_set(9.037665441e-04f);
        sine = vf_fma(sine, t, vf_set(-4.681260791e-03f));
        cosine = vf_fma(cosine, t, vf_set(-2.086016536e-02f));
        sine = vf_fma(sine, t, vf_set(7.969257981e-02f));
        cosine = vf_fma(cosine, t, vf_set(2.536692321e-01f));
        sine = vf_fma(sine, t, vf_set(-6.459640861e-01f));
        cosine = vf_fma(cosine, t, vf_set(-1.233700514e+00f));
        sine = vf_fma(sine, t, vf_set(1.570796371e+00f)) * z;
        cosine = vf_fma(cosine, t, one);
        const vu quarter = vf_to_u(q), sign = vu_set(0x80000000u);
        const vm swapped = vf_equal(vu_to_f(quarter & vu_set(1)), one);
        const vu cosine_sign = ((quarter + vu_set(1)) << 30) & sign,
                 sine_sign = (quarter << 30) & sign;
        const vf c = vf_select(swapped, sine, cosine), d = vf_select(swapped, cosine, sine);
        vf_store_zipped(y + 2 * i, vf_fma(r, vu_float(vf_bits(c) ^ cosine_sign), m),
                        vf_fma(r, vu_float(vf_bits(d) ^ sine_sign), m));
    }
}

void KN(uniform_f32)(size_t n, uint64_t first, uint64_t seed, uint64_t stream, float lo, float hi,
                     float *y)
{
    generate(n, first, seed, stream, (struct use){make_uniform, lo, hi - lo}, NULL, y);
}

void KN(normal_f32)(size_t n, uint64_t first, uint64_t seed, uint64_t stream, float mean,
                    float sigma, float *y)
{
    generate(n, first, seed, stream, (struct use){make_normal, mean, sigma}, NULL, y);
}

void KN(dropout_f32)(size_t n, uint64_t first, uint64_t seed, uint64_t stream, float p,
                     const float *x, float *y)
{
    generate(n, first, seed, stream, (struct use){make_mask, p, 1.0f / (1.0f - p)}, x, y);
}
