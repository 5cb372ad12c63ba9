/* reference_attend.h — attention by the formulas of kernels/attend.h, in double; see reference.h.
 */
#ifndef REFERENCE_ATTEND_H
#define REFERENCE_ATTEND_H

#include "perf/reference.h"

enum { REF_KEYS = 128 };

/* One query's scores: alpha, and from dy the gradient of each score; the magnitudes of what they
 * are made of; and 2^-24 times what of its magnitude any result may be off by, as attend_f32.c
 * promises. */
struct ref_attend {
    double alpha[REF_KEYS], de[REF_KEYS], de_size[REF_KEYS], unit;
    size_t count;
};

static inline double ref_attend_tanh(const struct kn_attend *a, size_t n, size_t t, size_t j,
                                     size_t i)
{
    const size_t A = (size_t)a->A;
    return tanh((double)a->query[(n * (size_t)a->T + t) * A + i] +
                (double)a->keys[(n * (size_t)a->S + j) * A + i]);
}

static inline double ref_attend_score(const struct kn_attend *a, size_t n, size_t t, size_t j,
                                      double *size)
{
    const size_t A = (size_t)a->A;
    double e = 0;
    *size = 0;
    for (size_t i = 0; i < A; i++) {
        const double term = a->v ? (double)a->v[i] * ref_attend_tanh(a, n, t, j, i)
                                 : (double)a->scale *
                                       (double)a->query[(n * (size_t)a->T + t) * A + i] *
                                       (double)a->keys[(n * (size_t)a->S + j) * A + i];
        e += term;
        *size += fabs(term);
    }
    return e;
}

static inline void ref_attend_weights(const struct kn_attend *a, size_t n, size_t t,
                                      struct ref_attend *r)
{
    double top = -INFINITY, sum = 0, largest = 0;
    r->count = (size_t)(a->length ? a->length[n] : a->S);
    for (size_t j = 0; j < r->count; j++) {
        double size;
        r->alpha[j] = ref_attend_score(a, n, t, j, &size);
        top = fmax(top, r->alpha[j]);
        largest = fmax(largest, size);
    }
    for (size_t j = 0; j < r->count; j++)
        sum += r->alpha[j] = exp(r->alpha[j] - top);
    for (size_t j = 0; j < r->count; j++)
        r->alpha[j] /= sum;
    r->unit = REF_EPS * (16 + (4 + a->A / 4.0 / kn->lanes) * largest);
}

static inline double ref_attend_value(const struct kn_attend *a, size_t n, size_t j, size_t i)
{
    return (double)a->values[(n * (size_t)a->S + j) * (size_t)a->E + i];
}

static inline double ref_attend_y(const struct kn_attend *a, const struct ref_attend *r, size_t n,
                                  size_t i, double *bound)
{
    double y = 0, size = 0;
    for (size_t j = 0; j < r->count; j++) {
        const double term = r->alpha[j] * ref_attend_value(a, n, j, i);
        y += term;
        size += fabs(term);
    }
    *bound = r->unit * size;
    return y;
}

/* de_j = alpha_j (d_j - sum alpha d), d_j = dy . x_j */
static inline void ref_attend_slopes(const struct kn_attend *a, size_t n, size_t t,
                                     struct ref_attend *r)
{
    const float *const dy = a->dy + (n * (size_t)a->T + t) * (size_t)a->E;
    double mean = 0, mean_size = 0;
    for (size_t j = 0; j < r->count; j++) {
        r->de[j] = r->de_size[j] = 0;
        for (size_t i = 0; i < (size_t)a->E; i++) {
            const double term = (double)dy[i] * ref_attend_value(a, n, j, i);
            r->de[j] += term;
            r->de_size[j] += fabs(term);
        }
        mean += r->alpha[j] * r->de[j];
        mean_size += r->alpha[j] * r->de_size[j];
    }
    for (size_t j = 0; j < r->count; j++) {
        r->de[j] = r->alpha[j] * (r->de[j] - mean);
        r->de_size[j] = r->alpha[j] * (r->de_size[j] + mean_size);
    }
}

/* What key j adds to dq[i], and to dk_j[i] of queries alike: of its magnitude in *size. */
static inline double ref_attend_dq(const struct kn_attend *a, const struct ref_attend *r, size_t n,
                                   size_t t, size_t j, size_t i, double *size)
{
    const size_t A = (size_t)a->A;
    const double th = ref_attend_tanh(a, n, t, j, i);
    const double slope = a->v ? (double)a->v[i] * (1 - th * th)
                              : (double)a->scale * (double)a->keys[(n * (size_t)a->S + j) * A + i];
    *size = r->de_size[j] * (a->v ? fabs((double)a->v[i]) : fabs(slope));
    return r->de[j] * slope;
}

#endif
