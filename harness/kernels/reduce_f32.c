/* reduce_f32 — a row to a number.
 *
 * Sums run in four chains of vectors (an add takes four cycles, one can start each)
 * over blocks of 1024 floats; the blocks are added in double. The error of sum_f32 and dot_f32
 * is at most (256 / VF + 8) 2^-24 times the sum of the terms' magnitudes,
 * that of sum_squares_f32 and sq_dist_f32 as much times the result. */
#include "kernels/kernel.h"

#include "kernels/each.h"

static const size_t block = 1024, width = VF;

typedef vf term(vf a, vf b, vf sum);

static inline vf add(vf a, vf b, vf sum)
{
    (void)b;
    return sum + a;
}
static inline vf multiply(vf a, vf b, vf sum) { return vf_fma(a, b, sum); }
static inline vf square_difference(vf a, vf b, vf sum)
{
    const vf d = a - b;
    return vf_fma(d, d, sum);
}

/* sum of f over one block; f is inlined */
static inline __attribute__((always_inline)) float block_sum(term *f, size_t n, const float *a,
                                                             const float *b)
{
    vf s0 = vf_set(0.0f), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 4 * width <= n; i += 4 * width) {
        s0 = f(vf_load(a + i), vf_load(b + i), s0);
        s1 = f(vf_load(a + i + width), vf_load(b + i + width), s1);
        s2 = f(vf_load(a + i + 2 * width), vf_load(b + i + 2 * width), s2);
        s3 = f(vf_load(a + i + 3 * width), vf_load(b + i + 3 * width), s3);
    }
    for (; i + width <= n; i += width)
        s0 = f(vf_load(a + i), vf_load(b + i), s0);
    if (i < n)
        s1 = f(vf_load_n(a + i, n - i, 0.0f), vf_load_n(b + i, n - i, 0.0f), s1);
    return vf_sum((s0 + s1) + (s2 + s3));
}

static inline __attribute__((always_inline)) double total(term *f, size_t n, const float *a,
                                                          const float *b)
{
    double sum = 0;
    for (size_t i = 0; i < n; i += block)
        sum += (double)block_sum(f, n - i < block ? n - i : block, a + i, b + i);
    return sum;
}

float KN(sum_f32)(size_t n, const float *x) { return (float)total(add, n, x, x); }

float KN(dot_f32)(size_t n, const float *a, const float *b)
{
    return (float)total(multiply, n, a, b);
}

float KN(sq_dist_f32)(size_t n, const float *x, const float *c)
{
    return (float)total(square_difference, n, x, c);
}

double KN(sum_squares_f32)(size_t n, const float *x)
{
    const double sum = total(multiply, n, x, x);
    if (sum >= 0x1p-100 && sum < 0x1p127)
        return sum;
    double exact = 0; /* the squares may have left the range of float, though x is in it */
    for (size_t i = 0; i < n; i++)
        exact += (double)x[i] * (double)x[i];
    return exact;
}

float KN(max_f32)(size_t n, const float *x)
{
    vf m0 = vf_set(-INFINITY), m1 = m0;
    vm nan = vf_is_nan(m0);
    size_t i = 0;
    for (; i + 2 * width <= n; i += 2 * width) {
        const vf a = vf_load(x + i), b = vf_load(x + i + width);
        nan = vm_or(nan, vm_or(vf_is_nan(a), vf_is_nan(b)));
        m0 = vf_max(m0, a);
        m1 = vf_max(m1, b);
    }
    for (; i < n; i += VF) {
        const vf a = n - i < VF ? vf_load_n(x + i, n - i, -INFINITY) : vf_load(x + i);
        nan = vm_or(nan, vf_is_nan(a));
        m0 = vf_max(m0, a);
    }
    return vm_any(nan) ? NAN : vf_hmax(vf_max(m0, m1));
}

size_t KN(argmax_f32)(size_t n, const float *x)
{
    vf top = vf_set(-INFINITY);
    for (size_t i = 0; i < n; i += VF) {
        const vf a = n - i < VF ? vf_load_n(x + i, n - i, -INFINITY) : vf_load(x + i);
        top = vf_max(a, top); /* data first: NaN does not count */
    }
    const float m = vf_hmax(top);
    for (size_t i = 0; i < n; i++)
        if (x[i] == m)
            return i;
    return 0; /* all NaN */
}
