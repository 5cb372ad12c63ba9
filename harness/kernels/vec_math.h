/* vec_math.h — e^x, log, tanh and their kin on vectors, for kernels to include.
 *
 * Bounds, tested against double over the whole range (tests/t_math.c):
 *
 *   vf_exp      1.5 ulp; results below 2^-126 within 1 of their last place
 *   vf_log      1.5 ulp, of denormals too; -inf at 0, NaN below
 *   vf_tanh     5 ulp, 3 below |x| = 1/2; |y| <= 1
 *   vf_sigmoid  3 ulp down to x = -87; 0 where the truth is below 2^-126
 *
 * NaN gives NaN. Polynomials and quotients are minimax fits of the relative error
 * (Remez 1934; the quotients by Loeb's linearisation), rounded to float. */
#ifndef VEC_MATH_H
#define VEC_MATH_H

/* 1 where x > 0, else 0; NaN for NaN */
static inline vf vf_step(vf x)
{
    const vf s = vf_select(vf_less(vf_set(0.0f), x), vf_set(1.0f), vf_set(0.0f));
    return vf_select(vf_is_nan(x), x, s);
}

/* x = k ln 2 + r, |r| <= ln 2 / 2, ln 2 in two parts (Cody & Waite 1980), and
 * e^r = 1 + r + r^2 p(r), |error| < 2^-28. */
static inline vf vf_exp(vf x)
{
    x = vf_min(vf_set(89.0f), vf_max(vf_set(-104.0f), x)); /* data second: NaN stays NaN */
    const vf k = vf_round(x * vf_set(1.44269504f));
    vf r = vf_fma(k, vf_set(-0.693145752f), x);
    r = vf_fma(k, vf_set(-1.42860677e-6f), r);
    vf p = vf_set(1.381446724e-03f);
    p = vf_fma(p, r, vf_set(8.368780836e-03f));
    p = vf_fma(p, r, vf_set(4.166839272e-02f));
    p = vf_fma(p, r, vf_set(1.666651964e-01f));
    p = vf_fma(p, r, vf_set(4.999999404e-01f));
    return vf_scale2(vf_fma(r * r, p, r) + vf_set(1.0f), k);
}

/* x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2);
 * log(1 + f) = f - f^2/2 + f^3 p(f), |error| < 2^-27 of it. */
static inline vf vf_log(vf x)
{
    const vf lowest = vf_set(0x1p-126f);
    const vm denormal = vf_less(x, lowest);
    const vu half = vu_set(0x3f3504f3); /* sqrt(1/2) */
    const vu bits = vf_bits(vf_select(denormal, x * vf_set(0x1p23f), x)) - half;
    const vf shift = vf_select(denormal, vf_set(-23.0f - 127.0f), vf_set(-127.0f));
    /* 127 is added before the shift and taken off again, so that it is of unsigned words */
    const vf k = vu_to_f((bits + vu_set(127u << 23)) >> 23) + shift;
    const vf f = vu_float((bits & vu_set(0x007fffff)) + half) - vf_set(1.0f);
    vf p = vf_set(-7.634502649e-02f);
    p = vf_fma(p, f, vf_set(1.276157796e-01f));
    p = vf_fma(p, f, vf_set(-1.316018105e-01f));
    p = vf_fma(p, f, vf_set(1.420175731e-01f));
    p = vf_fma(p, f, vf_set(-1.662335694e-01f));
    p = vf_fma(p, f, vf_set(2.000122666e-01f));
    p = vf_fma(p, f, vf_set(-2.500081956e-01f));
    p = vf_fma(p, f, vf_set(3.333333135e-01f));
    const vf f2 = f * f;
    vf y = vf_fma(f * f2, p, k * vf_set(-2.12194440e-4f)); /* ln 2 in two parts */
    y = vf_fma(f2, vf_set(-0.5f), y) + f;
    y = vf_fma(k, vf_set(0.693359375f), y);
    y = vf_select(vf_equal(x, vf_set(0.0f)), vf_set(-INFINITY), y);
    y = vf_select(vf_less(x, vf_set(0.0f)), vf_set(NAN), y);
    return vf_select(vf_less(x, vf_set(INFINITY)), y, x + vf_set(0.0f)); /* inf and NaN */
}

/* x P(x^2) / Q(x^2), |error| < 2^-29 up to 9.02, where tanh is 1 to float precision.
 * All coefficients are positive: nothing cancels. One division, which runs beside the
 * polynomials: half the price of e^2x. */
static inline vf vf_tanh(vf x)
{
    const vf one = vf_set(1.0f), end = vf_set(9.02f);
    x = vf_min(end, vf_max(-end, x)); /* data second: NaN stays NaN */
    const vf t = x * x;
    vf p = vf_set(5.090114996e-08f), q = vf_set(7.401276259e-10f);
    q = vf_fma(q, t, vf_set(1.620661919e-06f));
    p = vf_fma(p, t, vf_set(3.163124347e-05f));
    q = vf_fma(q, t, vf_set(4.210991901e-04f));
    p = vf_fma(p, t, vf_set(4.010520410e-03f));
    q = vf_fma(q, t, vf_set(2.774484456e-02f));
    p = vf_fma(p, t, vf_set(1.378696114e-01f));
    q = vf_fma(q, t, vf_set(4.712029397e-01f));
    p = vf_fma(p, t, one);
    q = vf_fma(q, t, one);
    return vf_min(one, vf_max(-one, x * p / q));
}

static inline vf vf_sigmoid(vf x)
{
    const vf one = vf_set(1.0f);
    return one / (one + vf_exp(-x));
}

#endif
