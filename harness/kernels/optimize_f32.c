/* optimize_f32 — one pass of an optimizer over n parameters.
 *
 *   sgd   g' = clip g + weight_decay w
 *         v  = momentum v + g'
 *         w -= rate v                   (nesterov: rate (g' + momentum v))
 *         Without momentum v is neither read nor written and may be NULL.
 *
 *   adam  g' = clip g + weight_decay w  (decoupled: w -= rate weight_decay w instead)
 *         m  = beta1 m + (1 - beta1) g'
 *         v  = beta2 v + (1 - beta2) g'^2
 *         w -= rate / correction1 m / (sqrt(v / correction2) + epsilon)
 *
 * Bound by memory: 12, 20 and 28 bytes a parameter. 0 g is 0 where g is finite and
 * NaN where it is not, so the sum of that, one fma a vector, tells whether the step
 * can be trusted. Errors are a few 2^-24 of the largest term of each line. */
#include "kernels/kernel.h"

#include "kernels/each.h"

static inline vf poisoned(vf g, vf sum) { return vf_fma(g, vf_set(0.0f), sum); }

/* Calls step for whole vectors and for what is left; the step is inlined in both. */
#define EACH_STEP(n, step)               \
    do {                                 \
        size_t i = 0;                    \
        for (; i + VF <= (n); i += VF) { \
            const size_t k = VF;         \
            step;                        \
        }                                \
        if (i < (n)) {                   \
            const size_t k = (n)-i;      \
            step;                        \
        }                                \
    } while (0)

struct sgd {
    vf rate, momentum, decay, clip;
};

static inline vf sgd_plain(const struct sgd *c, size_t k, const float *g, float *w, vf sum)
{
    const vf grad = vf_get(g, k), old = vf_get(w, k);
    vf_put(w, vf_fma(c->rate, vf_fma(c->decay, old, c->clip * grad), old), k);
    return poisoned(grad, sum);
}

static inline vf sgd_momentum(const struct sgd *c, bool nesterov, size_t k, const float *g,
                              float *w, float *v, vf sum)
{
    const vf grad = vf_get(g, k), old = vf_get(w, k);
    const vf d = vf_fma(c->decay, old, c->clip * grad);
    const vf speed = vf_fma(c->momentum, vf_get(v, k), d);
    vf_put(v, speed, k);
    vf_put(w, vf_fma(c->rate, nesterov ? vf_fma(c->momentum, speed, d) : speed, old), k);
    return poisoned(grad, sum);
}

float KN(sgd_f32)(size_t n, const struct kn_sgd *o, const float *g, float *w, float *v)
{
    const struct sgd c = {vf_set(-o->rate), vf_set(o->momentum), vf_set(o->weight_decay),
                          vf_set(o->clip)};
    vf sum = vf_set(0.0f);
    if (o->momentum == 0.0f)
        EACH_STEP(n, sum = sgd_plain(&c, k, g + i, w + i, sum));
    else if (o->nesterov)
        EACH_STEP(n, sum = sgd_momentum(&c, true, k, g + i, w + i, v + i, sum));
    else
        EACH_STEP(n, sum = sgd_momentum(&c, false, k, g + i, w + i, v + i, sum));
    return vf_sum(sum);
}

struct adam {
    vf beta1, beta2, rest1, rest2, step, root, epsilon, clip, decay, keep;
};

static inline vf adam(const struct adam *c, size_t k, const float *g, float *w, float *m, float *v,
                      vf sum)
{
    const vf grad = vf_get(g, k), old = vf_get(w, k);
    const vf d = vf_fma(c->decay, old, c->clip * grad);
    const vf mean = vf_fma(c->beta1, vf_get(m, k), c->rest1 * d);
    const vf square = vf_fma(c->beta2, vf_get(v, k), c->rest2 * d * d);
    vf_put(m, mean, k);
    vf_put(v, square, k);
    const vf size = vf_fma(vf_sqrt(square), c->root, c->epsilon);
    vf_put(w, vf_fma(c->step, mean / size, c->keep * old), k);
    return poisoned(grad, sum);
}

float KN(adam_f32)(size_t n, const struct kn_adam *o, const float *g, float *w, float *m, float *v)
{
    const struct adam c = {
        .beta1 = vf_set(o->beta1),
        .beta2 = vf_set(o->beta2),
        .rest1 = vf_set(1.0f - o->beta1),
        .rest2 = vf_set(1.0f - o->beta2),
        .step = vf_set(-o->rate / o->correction1),
        .root = vf_set(1.0f / sqrtf(o->correction2)),
        .epsilon = vf_set(o->epsilon),
        .clip = vf_set(o->clip),
        .decay = vf_set(o->decoupled ? 0.0f : o->weight_decay),
        .keep = vf_set(o->decoupled ? 1.0f - o->rate * o->weight_decay : 1.0f),
    };
    vf sum = vf_set(0.0f);
    EACH_STEP(n, sum = adam(&c, k, g + i, w + i, m + i, v + i, sum));
    return vf_sum(sum);
}
