/* attend_f32 — attention by attend.h, query by query; keys and values of a sample stay in L2.
 *
 * Forward, rows (n, t) are dealt to threads; backward, samples, whose dkeys and dvalues grow in the
 * order of t. Every sample has its own sum for dv, and those are added in order. alpha and y are
 * within (16 + 4 |e|) 2^-24 of the sum of their terms' magnitudes, |e| being the largest such sum
 * of a query's scores, the gradients within twice that (tests/t_attend.c, against double). */
#include "kernels/attend_core.h"

#include "kernels/each.h"
#include "kernels/gemm_unroll.h"
#include "kernels/vec_math.h"

enum { LINE = 16, CHAINS = 4, WIDE = 8 };

/* ------------------------------------------------------------------ forward */

static float score_tanh(size_t A, const float *q, const float *k, const float *v)
{
    vf sum = vf_set(0.0f);
    size_t i = 0;
    for (; i + VF <= A; i += VF)
        sum = vf_fma(vf_load(v + i), vf_tanh(vf_load(q + i) + vf_load(k + i)), sum);
    if (i < A)
        sum =
            vf_fma(vf_get(v + i, A - i), vf_tanh(vf_get(q + i, A - i) + vf_get(k + i, A - i)), sum);
    return vf_sum(sum);
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

/* y = sum_j alpha_j x_j over `count` rows of n floats, a few vectors of y in registers at a time.
 */
static void weighted_sum(size_t count, const float *alpha, size_t n, const float *x, float *y)
{
    size_t i = 0;
    for (; i + WIDE * VF <= n; i += WIDE * VF) {
        vf sum[WIDE];
        UNROLL for (int w = 0; w < WIDE; w++) sum[w] = vf_set(0.0f);
        for (size_t j = 0; j < count; j++) {
            const vf a = vf_set(alpha[j]);
            const float *const row = x + j * n + i;
            UNROLL for (int w = 0; w < WIDE; w++) sum[w] = vf_fma(a, vf_load(row + w * VF), sum[w]);
        }
        UNROLL for (int w = 0; w < WIDE; w++) vf_store(y + i + w * VF, sum[w]);
    }
    for (; i < n; i += VF) {
        const size_t k = n - i < VF ? n - i : VF;
        vf sum = vf_set(0.0f);
        for (size_t j = 0; j < count; j++)
            sum = vf_fma(vf_set(alpha[j]), vf_get(x + j * n + i, k), sum);
        vf_put(y + i, sum, k);
    }
}

static bool counted(const struct attend_to *to) { return to->count >= 0 && to->count <= to->S; }

void KN(attend_row)(const struct attend_to *to, const float *q, float *alpha, float *y)
{
    const size_t S = (size_t)to->S, A = (size_t)to->A, E = (size_t)to->E;
    if (!counted(to)) {
        KN(fill_f32)(S, NAN, alpha);
        KN(fill_f32)(E, NAN, y);
        return;
    }
    const size_t count = (size_t)to->count;
    for (size_t j = 0; j < count; j++)
        alpha[j] = to->v ? score_tanh(A, q, to->keys + j * A, to->v)
                         : to->scale * dot(A, q, to->keys + j * A);
    memset(alpha + count, 0, (S - count) * sizeof *alpha);
    if (count)
        KN(softmax_f32)(count, alpha, alpha);
    weighted_sum(count, alpha, E, to->values, y);
}

/* ------------------------------------------------------------------ backward */

/* dx += alpha dy; returns dy . x */
static float value_grad(size_t n, float alpha, const float *dy, const float *x, float *dx)
{
    const vf a = vf_set(alpha);
    vf sum[CHAINS];
    UNROLL for (int c = 0; c < CHAINS; c++) sum[c] = vf_set(0.0f);
    size_t i = 0;
    for (; i + CHAINS * VF <= n; i += CHAINS * VF) {
        UNROLL for (int c = 0; c < CHAINS; c++)
        {
            const size_t at = i + (size_t)c * VF;
            const vf d = vf_load(dy + at);
            sum[c] = vf_fma(d, vf_load(x + at), sum[c]);
            vf_store(dx + at, vf_fma(a, d, vf_load(dx + at)));
        }
    }
    for (; i < n; i += VF) {
        const size_t k = n - i < VF ? n - i : VF;
        const vf d = vf_get(dy + i, k);
        sum[0] = vf_fma(d, vf_get(x + i, k), sum[0]);
        vf_put(dx + i, vf_fma(a, d, vf_get(dx + i, k)), k);
    }
    return vf_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

INLINE void add_to(float *sum, size_t n, vf x) { vf_put(sum, vf_get(sum, n) + x, n); }

struct tanh_grad {
    const float *q, *k, *v;
    float *dq, *dk, *dv;
};

/* Units [i, i + n) of one key, whose score has the gradient de. */
INLINE void tanh_units(const struct tanh_grad *p, vf de, size_t i, size_t n)
{
    const vf t = vf_tanh(vf_get(p->q + i, n) + vf_get(p->k + i, n));
    const vf g = de * vf_get(p->v + i, n) * vf_fma(-t, t, vf_set(1.0f));
    add_to(p->dq + i, n, g);
    add_to(p->dk + i, n, g);
    vf_put(p->dv + i, vf_fma(de, t, vf_get(p->dv + i, n)), n);
}

static void key_grad_tanh(size_t A, float de, const struct tanh_grad *p)
{
    size_t i = 0;
    for (; i + VF <= A; i += VF)
        tanh_units(p, vf_set(de), i, VF);
    if (i < A)
        tanh_units(p, vf_set(de), i, A - i);
}

void KN(attend_row_grad)(const struct attend_to *to, const float *q, const float *alpha,
                         const float *dy, float *de, float *dq, const struct attend_sums *sums)
{
    const size_t A = (size_t)to->A, E = (size_t)to->E;
    const size_t count = counted(to) ? (size_t)to->count : 0;
    for (size_t j = 0; j < count; j++)
        de[j] = value_grad(E, alpha[j], dy, to->values + j * E, sums->dvalues + j * E);
    KN(softmax_grad_f32)(count, alpha, de, de);
    memset(dq, 0, A * sizeof *dq);
    for (size_t j = 0; j < count; j++) {
        const float *const k = to->keys + j * A;
        float *const dk = sums->dkeys + j * A;
        if (to->v) {
            key_grad_tanh(A, de[j], &(struct tanh_grad){q, k, to->v, dq, dk, sums->dv});
        } else {
            KN(axpy_f32)(A, to->scale * de[j], k, dq);
            KN(axpy_f32)(A, to->scale * de[j], q, dk);
        }
    }
}

/* ------------------------------------------------------------------ all queries */

void KN(attend_f32)(const struct kn_attend *a, const struct crew *crew)
{
    const size_t T = (size_t)a->T, S = (size_t)a->S, A = (size_t)a->A, E = (size_t)a->E;
    size_t from, to;
    crew_share(crew, (size_t)a->N * T, 1, &from, &to);
    for (size_t i = from; i < to; i++) {
        const struct attend_to sample = attend_to_of(a, i / T);
        KN(attend_row)(&sample, a->query + i * A, a->alpha + i * S, a->y + i * E);
    }
}

/* In floats: dv of each sample, then each thread's de. */
static size_t lines(size_t floats) { return (floats + LINE - 1) / LINE * LINE; }
static size_t sums_of(const struct kn_attend *a)
{
    return a->v ? (size_t)a->N * lines((size_t)a->A) : 0;
}

size_t KN(attend_work_f32)(const struct kn_attend *a, int threads)
{
    return (sums_of(a) + (size_t)threads * lines((size_t)a->S)) * sizeof(float);
}

static void sample_grad(const struct kn_attend *a, size_t n, float *dv, float *de)
{
    const size_t T = (size_t)a->T, S = (size_t)a->S, A = (size_t)a->A, E = (size_t)a->E;
    const struct attend_to to = attend_to_of(a, n);
    const struct attend_sums sums = {a->dkeys + n * S * A, a->dvalues + n * S * E, dv};
    memset(sums.dkeys, 0, S * A * sizeof(float));
    memset(sums.dvalues, 0, S * E * sizeof(float));
    if (a->v)
        memset(dv, 0, A * sizeof(float));
    for (size_t i = n * T; i < (n + 1) * T; i++)
        KN(attend_row_grad)
    (&to, a->query + i * A, a->alpha + i * S, a->dy + i * E, de, a->dquery + i * A, &sums);
}

void KN(attend_grad_f32)(const struct kn_attend *a, const struct crew *crew, void *work)
{
    const size_t A = (size_t)a->A, ld = lines(A);
    float *const dv = work, *const de =
                                dv + sums_of(a) + (size_t)crew->thread * lines((size_t)a->S);
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
