/* recurrent_attend_f32 — attention inside the time loop of recurrent.h, step by step.
 *
 *     before a step   q = Wq h, a product; c and alpha, sample by sample (attend_f32.c); Wc c is
 *                     part of the step's own product, but for a GRU, whose a += Wc c is one before it
 *     after it        dc = da Wc + dy, a product; dq, which reaches h in the next earlier step's
 *     after the loop  dkeys, dvalues and dv, sample by sample: inside it they would pass by whole
 *                     with each step, and they are larger than a cache
 *
 * dv is each sample's own, and added in order. */
#include "kernels/attend_core.h"
#include "kernels/recurrent_core.h"

enum { LINE = 16 };

static size_t lines(size_t floats) { return (floats + LINE - 1) / LINE * LINE; }

static size_t pitch(size_t floats)
{
    const size_t ld = lines(floats) + RNN_PITCH;
    return ld % 512 == 0 ? ld + RNN_PITCH : ld;
}

static bool is_gru(int cell) { return cell == KN_GRU || cell == KN_GRU_BEFORE; }

/* ------------------------------------------------------------------ scratch */

/* dc, de and dq of all steps. */
static size_t kept(const struct kn_recurrent *r)
{
    const struct kn_attend *const a = &r->attend;
    return (size_t)r->N * (size_t)r->T * (size_t)(a->E + a->S + a->A);
}

/* The keys' powers, and whether they are good. */
static size_t powers(const struct kn_recurrent *r)
{
    const struct kn_attend *const a = &r->attend;
    return (size_t)r->N * (size_t)a->S * (size_t)a->A + lines((size_t)r->N);
}

size_t KN(recurrent_attend_own)(const struct kn_recurrent *r)
{
    return lines((size_t)r->T * (size_t)r->attend.A);
}

/* Wc, in either direction. */
static size_t packed_context(const struct kn_recurrent *r)
{
    const int G = kn_cell_gates(r->cell), E = r->attend.E;
    const size_t forward = KN(recurrent_packed)(r->H, E, G),
                 backward = KN(recurrent_packed)(E, G * r->H, 1);
    return forward > backward ? forward : backward;
}

static size_t pitch_da(const struct kn_recurrent *r)
{
    return is_gru(r->cell) ? pitch((size_t)kn_cell_gates(r->cell) * (size_t)r->H) : 0;
}

size_t KN(recurrent_attend_floats)(const struct kn_recurrent *r)
{
    const size_t N = (size_t)r->N, A = (size_t)r->attend.A, E = (size_t)r->attend.E;
    if (A == 0)
        return 0;
    return KN(recurrent_packed)(r->attend.A, r->H, 1) + packed_context(r) +
           N * (pitch(A) + pitch(E) + pitch_da(r) + lines(A)) + kept(r) + powers(r);
}

void KN(recurrent_attend_cut)(struct rnn_job *j, size_t slot, float *shared, float *own)
{
    const struct kn_recurrent *const r = j->r;
    const size_t N = (size_t)r->N, T = (size_t)r->T, A = (size_t)r->attend.A,
                 E = (size_t)r->attend.E;
    if (A == 0)
        return;
    struct rnn_attend *const k = &j->attend;
    k->ldq = pitch(A);
    k->ldc = pitch(E);
    k->ldda = pitch_da(r);
    k->lddv = lines(A);
    k->packed_query = shared;
    k->packed_context = k->packed_query + KN(recurrent_packed)(r->attend.A, r->H, 1);
    float *const rows = k->packed_context + packed_context(r);
    k->q = rows + slot * k->ldq;
    k->c = rows + N * k->ldq + slot * k->ldc;
    k->da = rows + N * (k->ldq + k->ldc) + slot * k->ldda;
    k->dv = rows + N * (k->ldq + k->ldc + k->ldda);
    k->dc = k->dv + N * k->lddv;
    k->dq = k->dc + N * T * E;
    k->de = k->dq + N * T * A;
    k->good = k->de + N * T * (size_t)r->attend.S;
    k->powers = k->good + lines(N);
    k->room = own;
}

/* ------------------------------------------------------------------ before the loop */

/* Of keys that are read so often that it pays. */
static void grow(const struct rnn_job *j)
{
    enum { OFTEN = 4 };
    const struct kn_attend *const a = &j->r->attend;
    size_t from, to;
    rnn_share(j, (size_t)j->slots, 1, &from, &to);
    for (size_t i = from; i < to; i++) {
        const size_t n = (size_t)j->sample[i], at = n * (size_t)a->S * (size_t)a->A;
        const int count = attend_to_of(a, n).count;
        const bool some = j->r->T >= OFTEN && a->v && count > 0 && count <= a->S;
        j->attend.good[n] = some && KN(attend_powers)((size_t)count * (size_t)a->A, a->keys + at,
                                                      j->attend.powers + at);
    }
}

static struct attend_to sample_of(const struct rnn_job *j, size_t n)
{
    const struct kn_attend *const a = &j->r->attend;
    struct attend_to to = attend_to_of(a, n);
    to.powers =
        j->attend.good[n] != 0.0f ? j->attend.powers + n * (size_t)a->S * (size_t)a->A : NULL;
    return to;
}

static void pack(const struct rnn_job *j, bool backward)
{
    const struct kn_recurrent *const r = j->r;
    const int H = r->H, E = r->attend.E, G = j->G;
    const struct rnn_weights query = {r->query_w, (size_t)H, true, r->attend.A, H, 1, 0, 0},
                             forth = {r->context_w, r->ld_context_w, true, H, E, G, 0, 0},
                             beside = {r->context_w, r->ld_context_w, true, H, E, G, H, H + E},
                             back = {r->context_w, r->ld_context_w, false, E, G * H, 1, 0, 0};
    if (!backward)
        KN(recurrent_pack)(j, &query, j->attend.packed_query);
    if (backward)
        KN(recurrent_pack)(j, &back, j->attend.packed_context);
    else if (rnn_beside(r))
        KN(recurrent_pack)(j, &beside, j->packed);
    else
        KN(recurrent_pack)(j, &forth, j->attend.packed_context);
}

static void clear(const struct rnn_job *j, float *rows, int width)
{
    size_t from, to;
    rnn_share(j, (size_t)width, 1, &from, &to);
    if (rows)
        KN(recurrent_clear)(j, rows, (size_t)width, from, to);
}

/* dq of a step that a sample does not have yet. */
static void zero_queries(const struct rnn_job *j, size_t terms)
{
    size_t from, to;
    rnn_share(j, (size_t)j->slots, 1, &from, &to);
    for (size_t i = from; i < to; i++)
        for (int k = 0; k < 2; k++)
            memset(j->x[k] + i * j->ldx + terms, 0, (size_t)j->r->attend.A * sizeof(float));
}

void KN(recurrent_attend_begin)(const struct rnn_job *j, int terms)
{
    const struct kn_attend *const a = &j->r->attend;
    if (a->A == 0)
        return;
    pack(j, terms > 0);
    grow(j);
    if (terms > 0) {
        zero_queries(j, (size_t)terms);
        return;
    }
    clear(j, a->y, a->E);
    clear(j, a->alpha, a->S);
    if (j->r->before)
        clear(j, a->dquery, a->A);
}

/* ------------------------------------------------------------------ a step */

static void finish_query(const struct rnn_job *j, const struct rnn_tile *t, void *arg)
{
    const struct kn_recurrent *const r = j->r;
    const size_t bytes = (size_t)t->units * sizeof(float);
    (void)arg;
    for (int i = 0; i < t->rows; i++) {
        const float *const sum = t->sums + (size_t)i * t->ld;
        const size_t slot = (size_t)t->slot + (size_t)i, unit = (size_t)t->unit;
        memcpy(j->attend.q + slot * j->attend.ldq + unit, sum, bytes);
        if (r->before)
            memcpy(r->attend.dquery + j->at[slot] * (size_t)r->attend.A + unit, sum, bytes);
    }
}

static void finish_context(const struct rnn_job *j, const struct rnn_tile *t, void *arg)
{
    const size_t H = (size_t)j->r->H, G = (size_t)j->G, n = (size_t)t->units;
    (void)arg;
    for (int i = 0; i < t->rows; i++) {
        float *const a = j->r->gates + j->at[t->slot + i] * G * H + t->unit;
        for (size_t g = 0; g < G; g++)
            KN(add_f32)(n, a + g * H, t->sums + (size_t)i * t->ld + g * GEMM_NR, a + g * H);
    }
}

/* c to rows ld apart. */
static void attend_samples(const struct rnn_job *j, float *rows, size_t ld)
{
    const struct kn_attend *const a = &j->r->attend;
    const size_t S = (size_t)a->S, E = (size_t)a->E;
    size_t from, to;
    rnn_share(j, (size_t)j->active, 1, &from, &to);
    for (size_t i = from; i < to; i++) {
        const struct attend_to sample = sample_of(j, (size_t)j->sample[i]);
        float *const c = rows + i * ld;
        KN(attend_row)
        (&sample, j->attend.q + i * j->attend.ldq, a->alpha + j->at[i] * S, c, j->attend.room);
        memcpy(a->y + j->at[i] * E, c, E * sizeof *c);
    }
    if (j->crowded)
        crew_wait(j->crew);
}

void KN(recurrent_attend_step)(const struct rnn_job *j, float *x, bool zero)
{
    const struct kn_recurrent *const r = j->r;
    if (r->attend.A == 0)
        return;
    const struct rnn_product query = {.x = zero ? NULL : x,
                                      .ldx = j->ldx,
                                      .units = r->attend.A,
                                      .K = r->H,
                                      .gates = 1,
                                      .w = j->attend.packed_query,
                                      .finish = finish_query};
    const struct rnn_product context = {.x = j->attend.c,
                                        .ldx = j->attend.ldc,
                                        .units = r->H,
                                        .K = r->attend.E,
                                        .gates = j->G,
                                        .w = j->attend.packed_context,
                                        .finish = finish_context};
    KN(recurrent_product)(j, &query);
    if (rnn_beside(r)) {
        attend_samples(j, x + r->H, j->ldx);
        return;
    }
    attend_samples(j, j->attend.c, j->attend.ldc);
    KN(recurrent_product)(j, &context);
}

/* ------------------------------------------------------------------ backward */

static void finish_dc(const struct rnn_job *j, const struct rnn_tile *t, void *arg)
{
    const struct kn_attend *const a = &j->r->attend;
    const size_t unit = (size_t)t->unit, n = (size_t)t->units;
    (void)arg;
    for (int i = 0; i < t->rows; i++) {
        const size_t slot = (size_t)t->slot + (size_t)i;
        const float *const sum = t->sums + (size_t)i * t->ld;
        float *const dc = j->attend.dc + j->at[slot] * (size_t)a->E + unit;
        if (a->dy)
            KN(add_f32)(n, sum, a->dy + j->at[slot] * (size_t)a->E + unit, dc);
        else
            memcpy(dc, sum, n * sizeof *dc);
    }
}

/* A GRU's rows are not the gradient by a alone. */
static void copy_da(const struct rnn_job *j)
{
    const size_t H = (size_t)j->r->H, G = (size_t)j->G, units = (size_t)(j->units_end - j->unit);
    for (int i = 0; i < j->active; i++)
        for (size_t g = 0; g < G; g++) {
            const size_t at = g * H + (size_t)j->unit;
            memcpy(j->attend.da + (size_t)i * j->attend.ldda + at,
                   j->r->dgates + j->at[i] * G * H + at, units * sizeof(float));
        }
    if (j->crowded)
        crew_wait(j->crew);
}

static void attend_samples_grad(const struct rnn_job *j, float *dq)
{
    const struct kn_attend *const a = &j->r->attend;
    const size_t S = (size_t)a->S, A = (size_t)a->A, E = (size_t)a->E;
    size_t from, to;
    rnn_share(j, (size_t)j->active, 1, &from, &to);
    for (size_t i = from; i < to; i++) {
        const struct attend_to sample = sample_of(j, (size_t)j->sample[i]);
        const size_t at = j->at[i];
        float *const mine = dq + i * j->ldx;
        KN(attend_row_grad)
        (&sample, a->dquery + at * A, a->alpha + at * S, j->attend.dc + at * E,
         j->attend.de + at * S, mine, j->attend.room);
        memcpy(j->attend.dq + at * A, mine, A * sizeof *mine);
    }
    if (j->crowded)
        crew_wait(j->crew);
}

void KN(recurrent_attend_step_grad)(const struct rnn_job *j, const float *da, float *dq)
{
    const struct kn_recurrent *const r = j->r;
    const bool gru = is_gru(r->cell);
    if (r->attend.A == 0)
        return;
    if (gru)
        copy_da(j);
    const struct rnn_product context = {.x = gru ? j->attend.da : da,
                                        .ldx = gru ? j->attend.ldda : j->ldx,
                                        .units = r->attend.E,
                                        .K = j->G * r->H,
                                        .gates = 1,
                                        .w = j->attend.packed_context,
                                        .finish = finish_dc};
    KN(recurrent_product)(j, &context);
    attend_samples_grad(j, dq);
}

/* Of a sample's steps, which come first whatever their order; then q gives way to its gradient. */
static void sums_of_sample(const struct rnn_job *j, size_t n, size_t steps)
{
    const struct kn_attend *const a = &j->r->attend;
    const size_t S = (size_t)a->S, A = (size_t)a->A, E = (size_t)a->E, at = n * (size_t)j->r->T;
    const struct attend_to sample = sample_of(j, n);
    const struct attend_queries x = {steps, a->dquery + at * A, a->alpha + at * S,
                                     j->attend.dc + at * E, j->attend.de + at * S};
    const struct attend_sums sums = {a->dkeys + n * S * A, a->dvalues + n * S * E,
                                     j->attend.dv + n * j->attend.lddv};
    KN(attend_sums_grad)(&sample, &x, &sums, j->attend.room);
    memcpy(a->dquery + at * A, j->attend.dq + at * A, steps * A * sizeof(float));
}

void KN(recurrent_attend_end)(const struct rnn_job *j)
{
    const struct kn_attend *const a = &j->r->attend;
    const size_t N = (size_t)j->r->N, ld = j->attend.lddv;
    size_t from, to;
    if (a->A == 0)
        return;
    rnn_share(j, (size_t)j->slots, 1, &from, &to);
    for (size_t i = from; i < to; i++)
        sums_of_sample(j, (size_t)j->sample[i], (size_t)j->length[i]);
    crew_wait(j->crew);
    crew_share(j->crew, (size_t)a->A, VF, &from, &to);
    memset(a->dv + from, 0, (to - from) * sizeof(float));
    for (size_t n = 0; n < N; n++)
        KN(add_f32)(to - from, a->dv + from, j->attend.dv + n * ld + from, a->dv + from);
}
