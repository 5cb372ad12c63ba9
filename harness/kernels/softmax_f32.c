/* softmax_f32 — y_i = e^(x_i - m) / sum_j e^(x_j - m), m = max x, n >= 1.
 * cross_entropy_f32 — log sum_j e^(x_j) - x[label]; cross_entropy_grad_f32 — the same, and its gradient
 *     dx_i = scale (softmax(x)_i - (i = label)).
 *
 * What writes a row passes over one that stays in a near cache; cross_entropy_f32 fetches it
 * once, in blocks that do: each raises m and brings the sum so far to it (Milakov, Gimelshein: Online
 * normalizer calculation for softmax, 2018). Subtracting m keeps the
 * exponential from overflowing and leaves the quotient unchanged. The relative
 * error of y_i is below (12 + n / VF + m - x_i) 2^-24, the absolute error of the
 * cross-entropy below (4 + n / VF + m - x[label]) 2^-23 and of its gradient 2^-20 scale.
 * A NaN or +inf in the row makes all results NaN. */
#include "kernels/kernel.h"

#include "kernels/each.h"
#include "kernels/vec_math.h"

enum { BLOCK = 512 };

static inline vf get(const float *x, size_t n)
{
    return n < VF ? vf_load_n(x, n, -INFINITY) : vf_load(x);
}

static inline float maximum(size_t n, const float *x) /* a NaN shows when it is subtracted */
{
    vf top = vf_set(-INFINITY), other = top;
    size_t i = 0;
    for (; i + 2 * VF <= n; i += 2 * VF) {
        top = vf_max(vf_load(x + i), top); /* data first: NaN does not count */
        other = vf_max(vf_load(x + i + VF), other);
    }
    for (; i < n; i += VF)
        top = vf_max(get(x + i, n - i), top);
    return vf_hmax(vf_max(top, other));
}

/* The line n floats further on, of the next row: fetched while there is enough to compute. */
static inline void expect(const float *x, size_t n)
{
    enum { TO_WRITE = 1, L2 = 2 };
    __builtin_prefetch((const void *)((uintptr_t)x + n * sizeof *x), TO_WRITE, L2);
}

/* y = e^(x - m), and their sum */
static inline float exponentials(size_t n, const float *x, float m, float *y)
{
    vf sum = vf_set(0.0f);
    size_t i = 0;
    for (; i + VF <= n; i += VF) {
        const vf e = vf_exp(vf_load(x + i) - vf_set(m));
        expect(x + i, n);
        sum += e;
        vf_store(y + i, e);
    }
    if (i < n) {
        const vf e = vf_exp(vf_load_n(x + i, n - i, -INFINITY) - vf_set(m));
        sum += e;
        vf_store_n(y + i, e, n - i);
    }
    return vf_sum(sum);
}

void KN(softmax_f32)(size_t n, const float *x, float *y)
{
    const float sum = exponentials(n, x, maximum(n, x), y);
    EACH(n, y, AT(y) * vf_set(1.0f / sum));
}

/* dx = y (dy - sum_j y_j dy_j) */
void KN(softmax_grad_f32)(size_t n, const float *y, const float *dy, float *dx)
{
    vf sum = vf_set(0.0f);
    for (size_t i = 0; i < n; i += VF) {
        const size_t k = n - i < VF ? n - i : VF;
        sum = vf_fma(vf_get(y + i, k), vf_get(dy + i, k), sum);
    }
    const vf mean = vf_set(vf_sum(sum));
    EACH(n, dx, AT(y) * (AT(dy) - mean));
}

/* One block of a row, n <= BLOCK: *sum, of e^(x - *top) so far, is brought to the maximum that the
 * block reaches, and grows by the block's. While all is -inf, the difference is taken from 0. */
static inline void add_block(size_t n, const float *x, float *top, vf *sum)
{
    const float m = maximum(n, x), base = m > *top ? m : *top;
    if (m > *top)
        *sum *= vf_exp(vf_set(*top - m));
    const vf from = vf_set(base > -INFINITY ? base : 0.0f);
    vf s0 = *sum, s1 = vf_set(0.0f);
    size_t i = 0;
    for (; i + 2 * VF <= n; i += 2 * VF) {
        s0 += vf_exp(vf_load(x + i) - from);
        s1 += vf_exp(vf_load(x + i + VF) - from);
    }
    for (; i < n; i += VF)
        s0 += vf_exp(get(x + i, n - i) - from);
    *sum = s0 + s1;
    *top = base;
}

float KN(cross_entropy_f32)(size_t n, const float *x, size_t label)
{
    vf sum = vf_set(0.0f);
    float top = -INFINITY;
    for (size_t i = 0; i < n; i += BLOCK)
        add_block(n - i < BLOCK ? n - i : BLOCK, x + i, &top, &sum);
    return logf(vf_sum(sum)) + (top - x[label]);
}

float KN(cross_entropy_grad_f32)(size_t n, const float *x, size_t label, float scale, float *dx)
{
    const float right = x[label], top = maximum(n, x), sum = exponentials(n, x, top, dx);
    EACH(n, dx, AT(dx) * vf_set(scale / sum));
    dx[label] -= scale;
    return logf(sum) + (top - right);
}
