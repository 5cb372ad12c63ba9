/* lrn_f32 — local response normalisation (Krizhevsky, Sutskever, Hinton 2012) over rows of C
 * channels, a pixel each:
 *
 *     s[c] = k + alpha / size sum_j x[j]^2      over the `size` channels around c: from c - size /
 * 2 y[c] = x[c] s[c]^-beta                    to c + (size - 1) / 2, fewer at the ends
 *
 *     t[c] = dy[c] x[c] s[c]^(-beta - 1)
 *     dx[c] = dy[c] s[c]^-beta - 2 beta alpha / size x[c] sum_i t[i]   over the i that c is around
 *
 * s^-beta = e^(-beta log s): on vectors half the price of two roots and a quotient, which would do
 * for beta = 3/4. With e = 2^-23 (size + 4 + |beta| (size + 2 |log s|)) a result's error is below
 * e of itself, or of |dy| s^-beta and the sum's terms together. s must not be 0. x is not y. */
#include "kernels/kernel.h"

#include "kernels/each.h"
#include "kernels/vec_math.h"

enum { HALO = KN_LRN_MOST, TILE = 512 }; /* channels */

/* The channels before the first, which are zeros, and the first ones. */
struct start {
    float x[HALO + VF];
};

static inline void start_row(struct start *s, size_t C, const float *x)
{
    vf_store(s->x + HALO, vf_get(x, C < VF ? C : VF));
}

/* Channels c … of a row, zeros beyond its ends. */
static inline vf channels(const struct start *s, size_t C, const float *x, ptrdiff_t c)
{
    if (c < 0)
        return vf_load(s->x + HALO + c);
    const size_t left = (size_t)c < C ? C - (size_t)c : 0;
    return left >= VF ? vf_load(x + c) : vf_load_n(left ? x + c : x, left, 0.0f);
}

/* s of channels c …; `size` is o->size, a constant where it is 5 as in the paper. */
static inline vf scales(const struct kn_lrn *o, size_t size, const struct start *first,
                        const float *x, size_t c)
{
    const size_t C = (size_t)o->C, before = size / 2;
    const bool inside = c >= before && c - before + size - 1 + VF <= C;
    vf sum = vf_set(0.0f);
    for (size_t d = 0; d < size; d++) {
        const ptrdiff_t at = (ptrdiff_t)(c + d) - (ptrdiff_t)before;
        const vf a = inside ? vf_load(x + at) : channels(first, C, x, at);
        sum = vf_fma(a, a, sum);
    }
    return vf_fma(vf_set(o->alpha / (float)o->size), sum, vf_set(o->k));
}

static inline vf power(vf s, float beta) { return vf_exp(vf_set(-beta) * vf_log(s)); }

static inline void forward(const struct kn_lrn *o, size_t size, size_t rows, const float *x,
                           float *y)
{
    const size_t C = (size_t)o->C;
    struct start first = {0};
    for (size_t r = 0; r < rows; r++, x += C, y += C) {
        start_row(&first, C, x);
        for (size_t c = 0; c < C; c += VF) {
            const size_t n = C - c < VF ? C - c : VF;
            const vf factor = power(scales(o, size, &first, x, c), o->beta);
            vf_put(y + c, vf_get(x + c, n) * factor, n);
        }
    }
}

/* Of the channels of a tile and its neighbours: s^-beta, and t with a halo of zeros behind it. */
struct tile {
    float power[HALO + TILE + 2 * HALO + VF], t[HALO + TILE + 2 * HALO + VF];
};

/* Channels [from, to), which have their places in the tile from `at` on. */
static inline void fill_tile(const struct kn_lrn *o, size_t size, const struct start *first,
                             const float *x, const float *dy, size_t from, size_t to,
                             struct tile *tile, size_t at)
{
    for (size_t i = 0; i < at; i += VF)
        vf_store(tile->t + i, vf_set(0.0f));
    for (size_t c = from; c < to; c += VF, at += VF) {
        const size_t n = to - c < VF ? to - c : VF;
        const vf s = scales(o, size, first, x, c), p = power(s, o->beta);
        vf_store(tile->power + at, p);
        vf_store(tile->t + at, vf_get(dy + c, n) * vf_get(x + c, n) * p / s); /* 0 behind n */
    }
    for (size_t i = 0; i < HALO; i += VF)
        vf_store(tile->t + at + i, vf_set(0.0f));
}

/* dx of channels [from, to): channel c stands at HALO + c - from in the tile. */
static inline void finish_tile(const struct kn_lrn *o, size_t size, const float *x, const float *dy,
                               size_t from, size_t to, const struct tile *tile, float *dx)
{
    const vf bend = vf_set(-2.0f * o->beta * o->alpha / (float)o->size);
    const size_t before = (size - 1) / 2; /* the windows of c are around c the other way */
    for (size_t c = from; c < to; c += VF) {
        const size_t n = to - c < VF ? to - c : VF, at = HALO + c - from;
        vf sum = vf_set(0.0f);
        for (size_t d = 0; d < size; d++)
            sum += vf_load(tile->t + at - before + d);
        const vf direct = vf_get(dy + c, n) * vf_load(tile->power + at);
        vf_put(dx + c, vf_fma(bend * vf_get(x + c, n), sum, direct), n);
    }
}

static inline void backward(const struct kn_lrn *o, size_t size, size_t rows, const float *x,
                            const float *dy, float *dx)
{
    const size_t C = (size_t)o->C, around = (size + VF - 1) / VF * VF; /* whole vectors */
    struct start first = {0};
    struct tile tile = {0};
    for (size_t r = 0; r < rows; r++, x += C, dy += C, dx += C) {
        start_row(&first, C, x);
        for (size_t from = 0; from < C; from += TILE) {
            const size_t to = C - from < TILE ? C : from + TILE;
            const size_t before = from ? around : 0, behind = C - to < around ? C - to : around;
            fill_tile(o, size, &first, x, dy, from - before, to + behind, &tile, HALO - before);
            finish_tile(o, size, x, dy, from, to, &tile, dx);
        }
    }
}

void KN(lrn_f32)(const struct kn_lrn *o, size_t rows, const float *x, float *y)
{
    if (o->size == 5)
        forward(o, 5, rows, x, y);
    else
        forward(o, (size_t)o->size, rows, x, y);
}

void KN(lrn_grad_f32)(const struct kn_lrn *o, size_t rows, const float *x, const float *dy,
                      float *dx)
{
    if (o->size == 5)
        backward(o, 5, rows, x, dy, dx);
    else
        backward(o, (size_t)o->size, rows, x, dy, dx);
}
