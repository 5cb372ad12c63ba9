/* elementwise_f32 — arithmetic on vectors of any length. Each result is rounded
 * once but for sqrt_grad (2 ulp), so all instruction sets agree to the bit on the
 * others. Bound by memory: 8 to 12 bytes an element.
 *
 * A gradient is dy times the derivative, by multiplication also where that is 0:
 * then a NaN in dy is seen behind a dead unit too. */
#include "kernels/kernel.h"

#include "kernels/each.h"
#include "kernels/vec_math.h"

/* -1, 0 or 1; NaN for NaN */
static inline vf sign(vf x) { return vf_step(x) - vf_step(-x); }

void KN(fill_f32)(size_t n, float a, float *y) { EACH(n, y, vf_set(a)); }

void KN(add_f32)(size_t n, const float *a, const float *b, float *y) { EACH(n, y, AT(a) + AT(b)); }

void KN(sub_f32)(size_t n, const float *a, const float *b, float *y) { EACH(n, y, AT(a) - AT(b)); }

void KN(mul_f32)(size_t n, const float *a, const float *b, float *y) { EACH(n, y, AT(a) * AT(b)); }

void KN(scale_f32)(size_t n, float c, const float *x, float *y) { EACH(n, y, vf_set(c) * AT(x)); }

void KN(offset_f32)(size_t n, float c, const float *x, float *y) { EACH(n, y, AT(x) + vf_set(c)); }

void KN(axpy_f32)(size_t n, float a, const float *x, float *y)
{
    EACH(n, y, vf_fma(vf_set(a), AT(x), AT(y)));
}

void KN(relu_f32)(size_t n, const float *x, float *y)
{
    EACH(n, y, vf_max(vf_set(0.0f), AT(x))); /* data second: NaN stays NaN */
}

void KN(relu_grad_f32)(size_t n, const float *y, const float *dy, float *dx)
{
    EACH(n, dx, AT(dy) * vf_step(AT(y)));
}

void KN(step_f32)(size_t n, const float *x, float *y) { EACH(n, y, vf_step(AT(x))); }

void KN(abs_f32)(size_t n, const float *x, float *y) { EACH(n, y, vf_abs(AT(x))); }

void KN(abs_grad_f32)(size_t n, const float *x, const float *dy, float *dx)
{
    EACH(n, dx, AT(dy) * sign(AT(x)));
}

void KN(sqrt_f32)(size_t n, const float *x, float *y) { EACH(n, y, vf_sqrt(AT(x))); }

void KN(sqrt_grad_f32)(size_t n, const float *y, const float *dy, float *dx)
{
    EACH(n, dx, vf_set(0.5f) * AT(dy) / AT(y));
}

void KN(log_grad_f32)(size_t n, const float *x, const float *dy, float *dx)
{
    EACH(n, dx, AT(dy) / AT(x));
}
