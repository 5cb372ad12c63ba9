/* softmax_f32 — y_i = e^(x_i - m) / sum_j e^(x_j - m), m = max x, n >= 1.
 * cross_entropy_f32 — log sum_j e^(x_j) - x[label], and its gradient
 *     dx_i = scale (softmax(x)_i - (i = label)).
 *
 * Passes over a row that stays in the first-level cache. Subtracting m keeps the
 * exponential from overflowing and leaves the quotient unchanged. The relative
 * error of y_i is below (12 + n / VF + m - x_i) 2^-24, the absolute error of the
 * cross-entropy below (4 + n / VF + m - x[label]) 2^-23 and of its gradient 2^-20 scale.
 * A NaN or +inf in the row makes all results NaN. */
#include "kernels/kernel.h"

#include "kernels/each.h"
#include "kernels/vec_math.h"

static inline vf get(const float *x, size_t n)
{
    return n < VF ? vf_load_n(x, n, -INFINITY) : vf_load(x);
}

static float maximum(size_t n, const float *x) /* a NaN shows when it is subtracted */
{
    vf top = vf_set(-INFINITY);
    for (size_t i = 0; i < n; i += VF)
        top = vf_max(get(x + i, n - i), top); /* data first: NaN does not count */
    return vf_hmax(top);
}

/* y = e^(x - m), and their sum */
static inline float exponentials(size_t n, const float *x, float m, float *y)
{
    vf sum = vf_set(0.0f);
    size_t i = 0;
    for (; i + VF <= n; i += VF) {
        const vf e = vf_exp(vf_load(x + i) - vf_set(m));
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

float KN(cross_entropy_f32)(size_t n, const float *x, size_t label)
{
    const float m = maximum(n, x);
    vf sum = vf_set(0.0f);
    for (size_t i = 0; i < n; i += VF)
        sum += vf_exp(get(x + i, n - i) - vf_set(m));
    return logf(vf_sum(sum)) + (m - x[label]);
}

void KN(cross_entropy_grad_f32)(size_t n, const float *x, size_t label, float scale, float *dx)
{
    const float sum = exponentials(n, x, maximum(n, x), dx);
    EACH(n, dx, AT(dx) * vf_set(scale / sum));
    dx[label] -= scale;
}
