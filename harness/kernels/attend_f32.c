/* attend_f32 — attention by attend.h, query by query; keys and values of a sample stay in L2.
 *
 * Forward, rows (n, t) are dealt to threads; backward, samples, whose dkeys and dvalues are summed in
 * the order of t. Every sample has its own sum for dv, and those are added in order. alpha and y are
 * within (16 + (4 + A / 4 VF) |e|) 2^-24 of the sum of their terms' magnitudes, |e| being the largest
 * such sum of a query's scores, the gradients within twice that (tests/t_attend.c, against double). */
#include "kernels/attend_core.h"

#include "kernels/each.h"
#include "kernels/gemm_unroll.h"
#include "kernels/vec_math.h"

enum { LINE = 16, CHAINS = 4, WIDE = 8 };

/* ------------------------------------------------------------------ forward */

bool KN(attend_powers)(size_t n, const float *x, float *p)
{
    const vf most = vf_set(20.0f); /* e^80 is a float, and e^-80 */
    vf all = vf_set(1.0f);
    for (size_t i = 0; i < n; i += VF) {
        const size_t k = n - i < VF ? n - i : VF;
        const vf v = vf_get(x + i, k);
        all = vf_select(vf_less(vf_abs(v), most), all, vf_set(0.0f));
        vf_put(p + i, vf_exp(v + v), k);
    }
    return vf_sum(all) == (float)VF;
}

/* tanh(q + k), of numbers or of their powers. */
INLINE vf tanh_of(bool powers, vf q, vf k)
{
    const vf one = vf_set(1.0f);
    return powers ? vf_fma(vf_set(-2.0f), vf_reciprocal(vf_fma(q, k, one)), one) : vf_tanh(q + k);
}

INLINE float score(bool powers, size_t A, const float *q, const float *k, const float *v)
{
    vf sum = vf_set(0.0f);
    size_t i = 0;
    for (; i + VF <= A; i += VF)
        sum = vf_fma(vf_load(v + i), tanh_of(powers, vf_load(q + i), vf_load(k + i)), sum);
    if (i < A)
        sum = vf_fma(vf_get(v + i, A - i),
                     tanh_of(powers, vf_get(q + i, A - i), vf_get(k + i, A - i)), sum);
    return vf_sum(sum);
}

static float score_tanh(size_t A, const float *q, const float *k, const float *v)
{
    return score(false, A, q, k, v);
}

static float score_powers(size_t A, const float *q, const float *k, const float *v)
{
    return score(true, A, q, k, v);
}

/* sum_i a_i b_i in CHAINS chains. */
static float dot(size_t n, const float *a, const float *b)
{
    vf sum[CHAINS];
    UNROLL for (int c = 0; c < CHAINS; c++) sum[c] = vf_set(0.0f);
    size_t i = 0;
    for (; i + CHAINS * VF <= n; i += CHAINS * VF) {
        UNROLL for (int c = 0; c < CHAINS; c++) sum[c] =
            vf_fma(vf_load(a + i + c * VF), vf_load(b + i + c * VF), sum[c]);
    }
    for (; i < n; i += VF) {
        const size_t k = n - i < VF ? n - i : VF;
        sum[0] = vf_fma(vf_get(a + i, k), vf_get(b + i, k), sum[0]);
    }
    return vf_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

/* factor sum_j a_j x_j over `count` rows of n floats; a_j lie `step` apart. */
struct weighted {
    size_t count, step;
    const float *a, *x;
    float factor;
};

/* Floats [i, i + WIDE VF) of a row, or fewer: y = base + the sum; base NULL: 0. */
INLINE void weigh(const struct weighted *w, size_t n, size_t i, int wide, size_t last,
                  const float *base, float *y)
{
    vf sum[WIDE];
    UNROLL for (int v = 0; v < wide; v++) sum[v] = vf_set(0.0f);
    for (size_t j = 0; j < w->count; j++) {
        const vf a = vf_set(w->a[j * w->step]);
        const float *const row = w->x + j * n + i;
        UNROLL for (int v = 0; v < wide; v++) sum[v] =
            vf_fma(a, vf_get(row + v * VF, last), sum[v]);
    }
    UNROLL for (int v = 0; v < wide; v++)
    {
        const size_t at = i + (size_t)(v * VF);
        const vf before = base ? vf_get(base + at, last) : vf_set(0.0f);
        vf_put(y + at, vf_fma(vf_set(w->factor), sum[v], before), last);
    }
}

static void weighted_sum(const struct weighted *w, size_t n, const float *base, float *y)
{
    size_t i = 0;
    for (; i + WIDE * VF <= n; i += WIDE * VF)
        weigh(w, n, i, WIDE, VF, base, y);
    for (; i + VF <= n; i += VF)
        weigh(w, n, i, 1, VF, base, y);
    if (i < n)
        weigh(w, n, i, 1, n - i, base, y);
}

static bool counted(const struct attend_to *to) { return to->count >= 0 && to->count <= to->S; }

void KN(attend_row)(const struct attend_to *to, const float *q, float *alpha, float *y, float *room)
{
    const size_t S = (size_t)to->S, A = (size_t)to->A, E = (size_t)to->E;
    if (!counted(to)) {
        KN(fill_f32)(S, NAN, alpha);
        KN(fill_f32)(E, NAN, y);
        return;
    }
    const size_t count = (size_t)to->count;
    const bool powers = to->powers && KN(attend_powers)(A, q, room);
    for (size_t j = 0; j < count; j++)
        alpha[j] = powers  ? score_powers(A, room, to->powers + j * A, to->v)
                   : to->v ? score_tanh(A, q, to->keys + j * A, to->v)
                           : to->scale * dot(A, q, to->keys + j * A);
    memset(alpha + count, 0, (S - count) * sizeof *alpha);
    if (count)
        KN(softmax_f32)(count, alpha, alpha);
    weighted_sum(&(struct weighted){count, 1, alpha, to->values, 1.0f}, E, NULL, y);
}

/* ------------------------------------------------------------------ backward */

/* sum of de_j (1 - tanh(q + k_j)^2) for units [i, i + n): dq but for v. */
INLINE void add_slopes(bool powers, float *dq, const float *q, const float *k, vf de, size_t i,
                       size_t n)
{
    const vf t = tanh_of(powers, vf_get(q + i, n), vf_get(k + i, n));
    vf_put(dq + i, vf_fma(de, vf_fma(-t, t, vf_set(1.0f)), vf_get(dq + i, n)), n);
}

INLINE void query_grad(bool powers, const struct attend_to *to, const float *q, const float *de,
                       float *dq)
{
    const size_t A = (size_t)to->A;
    memset(dq, 0, A * sizeof *dq);
    for (size_t j = 0; j < (size_t)to->count; j++) {
        const float *const k = (powers ? to->powers : to->keys) + j * A;
        const vf d = vf_set(de[j]);
        size_t i = 0;
        for (; i + VF <= A; i += VF)
            add_slopes(powers, dq, q, k, d, i, VF);
        if (i < A)
            add_slopes(powers, dq, q, k, d, i, A - i);
    }
    EACH(A, dq, AT(dq) * AT(to->v));
}

void KN(attend_row_grad)(const struct attend_to *to, const float *q, const float *alpha,
                         const float *dy, float *de, float *dq, float *room)
{
    const size_t S = (size_t)to->S, A = (size_t)to->A, E = (size_t)to->E;
    const size_t count = counted(to) ? (size_t)to->count : 0;
    for (size_t j = 0; j < count; j++)
        de[j] = dot(E, dy, to->values + j * E);
    KN(softmax_grad_f32)(count, alpha, de, de);
    memset(de + count, 0, (S - count) * sizeof *de);
    if (count && to->powers && KN(attend_powers)(A, q, room))
        query_grad(true, to, room, de, dq);
    else if (count && to->v)
        query_grad(false, to, q, de, dq);
    else
        weighted_sum(&(struct weighted){count, 1, de, to->keys, to->scale}, A, NULL, dq);
}

/* Units [i, i + n) of dkeys and dv. A query after the other, each tanh on its own: nothing but the
 * two sums goes from one to the next. */
INLINE void sum_units(bool powers, const struct attend_to *to, const struct attend_queries *x,
                      const struct attend_sums *sums, size_t i, size_t n)
{
    const size_t S = (size_t)to->S, A = (size_t)to->A;
    const bool add = sums->dvalues == sums->dkeys;
    const vf v = vf_get(to->v + i, n);
    vf dv = vf_set(0.0f);
    for (size_t j = 0; j < (size_t)to->count; j++) {
        const vf k = vf_get((powers ? to->powers : to->keys) + j * A + i, n);
        vf slopes = vf_set(0.0f);
        for (size_t t = 0; t < x->T; t++) {
            const vf de = vf_set(x->de[t * S + j]),
                     th = tanh_of(powers, vf_get(x->q + t * A + i, n), k);
            slopes = vf_fma(de, vf_fma(-th, th, vf_set(1.0f)), slopes);
            dv = vf_fma(de, th, dv);
        }
        float *const dk = sums->dkeys + j * A + i;
        vf_put(dk, vf_fma(v, slopes, add ? vf_get(dk, n) : vf_set(0.0f)), n);
    }
    vf_put(sums->dv + i, dv, n);
}

INLINE void sum_tanh(bool powers, const struct attend_to *to, const struct attend_queries *x,
                     const struct attend_sums *sums)
{
    const size_t A = (size_t)to->A;
    size_t i = 0;
    for (; i + VF <= A; i += VF)
        sum_units(powers, to, x, sums, i, VF);
    if (i < A)
        sum_units(powers, to, x, sums, i, A - i);
}

static void sum_dot(const struct attend_to *to, const struct attend_queries *x,
                    const struct attend_sums *sums)
{
    const size_t S = (size_t)to->S, A = (size_t)to->A;
    const bool add = sums->dvalues == sums->dkeys;
    for (size_t j = 0; j < (size_t)to->count; j++) {
        float *const dk = sums->dkeys + j * A;
        weighted_sum(&(struct weighted){x->T, S, x->de + j, x->q, to->scale}, A, add ? dk : NULL,
                     dk);
    }
}

void KN(attend_sums_grad)(const struct attend_to *to, const struct attend_queries *x,
                          const struct attend_sums *sums, float *room)
{
    const size_t S = (size_t)to->S, A = (size_t)to->A, E = (size_t)to->E;
    const size_t count = counted(to) ? (size_t)to->count : 0;
    for (size_t j = 0; j < count; j++)
        weighted_sum(&(struct weighted){x->T, S, x->alpha + j, x->dy, 1.0f}, E, NULL,
                     sums->dvalues + j * E);
    memset(sums->dvalues + count * E, 0, (S - count) * E * sizeof(float));
    memset(sums->dkeys + count * A, 0, (S - count) * A * sizeof(float));
    struct attend_queries grown = *x;
    grown.q = room;
    if (!to->v)
        sum_dot(to, x, sums);
    else if (!count)
        memset(sums->dv, 0, A * sizeof(float));
    else if (to->powers && KN(attend_powers)(x->T * A, x->q, room))
        sum_tanh(true, to, &grown, sums);
    else
        sum_tanh(false, to, x, sums);
}

/* ------------------------------------------------------------------ all queries */

void KN(attend_f32)(const struct kn_attend *a, const struct crew *crew)
{
    const size_t T = (size_t)a->T, S = (size_t)a->S, A = (size_t)a->A, E = (size_t)a->E;
    size_t from, to;
    crew_share(crew, (size_t)a->N * T, 1, &from, &to);
    for (size_t i = from; i < to; i++) {
        const struct attend_to sample = attend_to_of(a, i / T);
        KN(attend_row)(&sample, a->query + i * A, a->alpha + i * S, a->y + i * E, NULL);
    }
}

/* In floats: dv of each sample, then each thread's de, of one sample. */
static size_t lines(size_t floats) { return (floats + LINE - 1) / LINE * LINE; }
static size_t sums_of(const struct kn_attend *a)
{
    return a->v ? (size_t)a->N * lines((size_t)a->A) : 0;
}
static size_t scores_of(const struct kn_attend *a) { return lines((size_t)a->T * (size_t)a->S); }

size_t KN(attend_work_f32)(const struct kn_attend *a, int threads)
{
    return (sums_of(a) + (size_t)threads * scores_of(a)) * sizeof(float);
}

static void sample_grad(const struct kn_attend *a, size_t n, float *dv, float *de)
{
    const size_t T = (size_t)a->T, S = (size_t)a->S, A = (size_t)a->A, E = (size_t)a->E;
    const struct attend_to to = attend_to_of(a, n);
    const struct attend_sums sums = {a->dkeys + n * S * A, a->dvalues + n * S * E, dv};
    const size_t at = n * T;
    const struct attend_queries x = {T, a->query + at * A, a->alpha + at * S, a->dy + at * E, de};
    for (size_t t = 0; t < T; t++)
        KN(attend_row_grad)
    (&to, x.q + t * A, x.alpha + t * S, x.dy + t * E, de + t * S, a->dquery + (at + t) * A, NULL);
    KN(attend_sums_grad)(&to, &x, &sums, NULL);
}

void KN(attend_grad_f32)(const struct kn_attend *a, const struct crew *crew, void *work)
{
    const size_t A = (size_t)a->A, ld = lines(A);
    float *const dv = work, *const de = dv + sums_of(a) + (size_t)crew->thread * scores_of(a);
    size_t from, to;
    crew_share(crew, (size_t)a->N, 1, &from, &to);
    for (size_t n = from; n < to; n++)
        sample_grad(a, n, dv + n * ld, de);
    if (!a->v)
        return;
    crew_wait(crew);
    crew_share(crew, A, VF, &from, &to);
    memset(a->dv + from, 0, (to - from) * sizeof(float));
    for (size_t n = 0; n < (size_t)a->N; n++)
        KN(add_f32)(to - from, a->dv + from, dv + n * ld + from, a->dv + from);
}
