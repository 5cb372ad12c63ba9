/* tanh_f32 — y = a tanh(s x), 6 ulp for s x as rounded; LeNet-5 has s = 2/3 and a = 1.7159.
 * sigmoid_f32 — y = 1 / (1 + e^-x). Bounds of both functions: vec_math.h.
 *
 * The derivatives are taken from the outputs,
 *     a s (1 - (y/a)^2) = s (a - y^2 / a)   and   y (1 - y),
 * so they are as good as y: errors of 4 * 2^-24 of the largest term. */
#include "kernels/kernel.h"

#include "kernels/each.h"
#include "kernels/vec_math.h"

void KN(tanh_f32)(size_t n, float s, float a, const float *x, float *y)
{
    EACH(n, y, vf_set(a) * vf_tanh(vf_set(s) * AT(x)));
}

void KN(tanh_grad_f32)(size_t n, float s, float a, const float *y, const float *dy, float *dx)
{
    const vf slope = vf_set(s * a), bend = vf_set(-s / a);
    EACH(n, dx, AT(dy) * vf_fma(AT(y) * AT(y), bend, slope));
}

void KN(sigmoid_f32)(size_t n, const float *x, float *y) { EACH(n, y, vf_sigmoid(AT(x))); }

void KN(sigmoid_grad_f32)(size_t n, const float *y, const float *dy, float *dx)
{
    EACH(n, dx, AT(dy) * AT(y) * (vf_set(1.0f) - AT(y)));
}
