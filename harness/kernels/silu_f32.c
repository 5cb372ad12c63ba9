/* silu_f32 — y = x s(x), s the sigmoid (Elfwing, Uchibe, Doya 2017; "swish" of Ramachandran,
 * Zoph, Le 2017, EfficientNet's activation), and its gradient from x:
 *
 *     dx = dy s (1 + x (1 - s)),   1 - s = s e^-x
 *
 *   silu       4 ulp              down to x = -87; beyond it less than 2^-119 is missing
 *   silu_grad  2^-21 absolute
 *
 * NaN stays NaN; -inf gives 0 (the limit), +inf itself. */
#include "kernels/kernel.h"

#include "kernels/each.h"
#include "kernels/vec_math.h"

/* Behind -104 the sigmoid is 0 in floats: the product is too, also of an infinity. */
static inline vf silu(vf x)
{
    const vf c = vf_max(vf_set(-104.0f), x); /* data second: NaN stays NaN */
    return c / (vf_set(1.0f) + vf_exp(-c));
}

/* s (1 + x (1 - s)) is symmetric, slope(-x) = 1 - slope(x), and where x is large a large factor
 * meets a small one: both are taken from e^-|x|. */
static inline vf slope(vf x)
{
    const vf one = vf_set(1.0f), t = vf_min(vf_set(104.0f), vf_abs(x)), e = vf_exp(-t);
    const vf small = e / (one + e);                     /* the sigmoid of -|x| */
    const vf below = small - t * small * (one - small); /* the slope at -|x| */
    return vf_select(vf_less(vf_set(0.0f), x), one - below, below);
}

void KN(silu_f32)(size_t n, const float *x, float *y) { EACH(n, y, silu(AT(x))); }

void KN(silu_grad_f32)(size_t n, const float *x, const float *dy, float *dx)
{
    EACH(n, dx, AT(dy) * slope(AT(x)));
}
