/* gelu_f32 — y = x Phi(x), Phi the normal distribution (Hendrycks & Gimpel 2016),
 * and gelu_tanh_f32, the approximation of GPT-2: 0.5 x (1 + tanh u),
 * u = sqrt(2/pi) (x + 0.044715 x^3), which is x sigmoid(2u).
 *
 * The tail Phi(-t) = e^(-t^2/2) P(t)/Q(t), |error| < 2^-27, keeps relative accuracy where
 * 1 - erf has none, and its exponential is the density that the gradient needs:
 *
 *   gelu            8 ulp               down to x = -13
 *   gelu_grad       2^-22 absolute      Phi(x) + x phi(x)
 *   gelu_tanh       2^-22 max(1, |x|)   absolute
 *   gelu_tanh_grad  2^-21 absolute
 *
 * NaN stays NaN; -inf gives 0 (the limit) and +inf itself. */
#include "kernels/kernel.h"

#include "kernels/each.h"
#include "kernels/vec_math.h"

/* e^(-t^2/2). The square is taken in two parts: its rounding alone would cost 40 ulp at t = 13. */
static inline vf bell(vf t)
{
    const vf half = vf_set(-0.5f), square = t * t;
    const vf e = vf_exp(half * square);
    return vf_fma(e, half * vf_fma(t, t, -square), e);
}

/* Phi(-t) for t >= 0, given bell(t). */
static inline vf tail(vf t, vf bell)
{
    vf p = vf_set(4.116322845220566e-03f), q = vf_set(1.0317970998585224e-02f);
    q = vf_fma(q, t, vf_set(1.0185903310775757e-01f));
    p = vf_fma(p, t, vf_set(4.063330218195915e-02f));
    q = vf_fma(q, t, vf_set(4.6947115659713745e-01f));
    p = vf_fma(p, t, vf_set(1.8323536980438232e-01f));
    q = vf_fma(q, t, vf_set(1.2025039196014404f));
    p = vf_fma(p, t, vf_set(4.382951855659485e-01f));
    q = vf_fma(q, t, vf_set(1.6744753122329712f));
    p = vf_fma(p, t, vf_set(0.5f));
    q = vf_fma(q, t, vf_set(1.0f));
    return bell * p / q;
}

static inline vf clip(vf x, float end) /* data second: NaN stays NaN */
{
    return vf_min(vf_set(end), vf_max(vf_set(-end), x));
}

static inline vf gelu(vf x)
{
    const vf c = clip(x, 14.5f), t = vf_abs(c), beyond = t * tail(t, bell(t));
    return vf_max(vf_set(0.0f), x) -
           beyond; /* x Phi(x) = x - x Phi(-x) = max(0, x) - |x| Phi(-|x|) */
}

static inline vf gelu_slope(vf x)
{
    const vf c = clip(x, 14.5f), t = vf_abs(c), b = bell(t), beyond = tail(t, b);
    const vf phi = vf_select(vf_less(c, vf_set(0.0f)), beyond, vf_set(1.0f) - beyond);
    return vf_fma(c * vf_set(0.398942280f), b, phi);
}

/* -2u = -x (a + b x^2); beyond 10 nothing is left of the tail. */
static inline vf minus_two_u(vf x)
{
    return x * vf_fma(x * x, vf_set(-0.0713548163f), vf_set(-1.59576912f));
}

static inline vf gelu_tanh(vf x)
{
    const vf c = clip(x, 10.0f), beyond = vf_exp(minus_two_u(vf_abs(c)));
    /* x sigmoid(2u), and for x > 0: x - x sigmoid(-2u) */
    return vf_max(vf_set(0.0f), x) - vf_abs(c) * beyond / (vf_set(1.0f) + beyond);
}

/* s + x s (1 - s) 2u', s = sigmoid(2u); s (1 - s) is even in x. */
static inline vf gelu_tanh_slope(vf x)
{
    const vf one = vf_set(1.0f), c = clip(x, 10.0f), e = vf_exp(minus_two_u(vf_abs(c)));
    const vf small = e / (one + e), large = one / (one + e);
    const vf s = vf_select(vf_less(c, vf_set(0.0f)), small, large);
    const vf two_u_slope = vf_fma(c * c, vf_set(0.214064449f), vf_set(1.59576912f));
    return vf_fma(c * small * large, two_u_slope, s);
}

void KN(gelu_f32)(size_t n, const float *x, float *y) { EACH(n, y, gelu(AT(x))); }

void KN(gelu_grad_f32)(size_t n, const float *x, const float *dy, float *dx)
{
    EACH(n, dx, AT(dy) * gelu_slope(AT(x)));
}

void KN(gelu_tanh_f32)(size_t n, const float *x, float *y) { EACH(n, y, gelu_tanh(AT(x))); }

void KN(gelu_tanh_grad_f32)(size_t n, const float *x, const float *dy, float *dx)
{
    EACH(n, dx, AT(dy) * gelu_tanh_slope(AT(x)));
}
