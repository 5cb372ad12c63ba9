/* recurrent_core — the split of the work, the packed weights and a step's product;
 * recurrent_core.h. */
#include "kernels/recurrent_core.h"

#include <assert.h>

enum {
    LEAST_ROWS = 8, /* samples of a thread from which on it has them for itself */
    LINE = 16       /* floats */
};

static size_t lines(size_t floats) { return (floats + LINE - 1) / LINE * LINE; }

/* Of rows that a tile reads side by side. */
static size_t pitch(size_t floats)
{
    const size_t ld = lines(floats) + RNN_PITCH;
    return ld % 512 == 0 ? ld + RNN_PITCH : ld;
}

static int blocks(int units) { return (units + GEMM_NR - 1) / GEMM_NR; }

size_t KN(recurrent_packed)(int units, int K, int gates)
{
    return (size_t)blocks(units) * GEMM_NR * (size_t)K * (size_t)gates;
}

/* ------------------------------------------------------------------ scratch */

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* Of rows of x: backward the gates', and behind them the query's gradient; forward h and c. */
static size_t pitch_x(const struct kn_recurrent *r)
{
    const size_t H = (size_t)r->H, G = (size_t)kn_cell_gates(r->cell);
    return pitch(larger(G * H + (size_t)r->attend.A, H + (size_t)rnn_beside(r)));
}

/* U, and below it backward Wq, forward perhaps Wc. */
static size_t packed_floats(const struct kn_recurrent *r, int gates)
{
    return larger(KN(recurrent_packed)(r->H, gates * r->H + r->attend.A, 1),
                  KN(recurrent_packed)(r->H, r->H + rnn_beside(r), gates));
}

static size_t shared_floats(const struct kn_recurrent *r)
{
    const size_t N = (size_t)r->N, H = (size_t)r->H;
    const size_t peep = r->peep ? 3 * N * H : 0,
                 before = r->cell == KN_GRU_BEFORE ? pitch(H) * N : 0;
    return packed_floats(r, kn_cell_gates(r->cell)) + 2 * N * pitch_x(r) + before + lines(N * H) +
           lines(peep) + lines(H) + KN(recurrent_attend_floats)(r);
}

static size_t own_floats(const struct kn_recurrent *r)
{
    const size_t N = (size_t)r->N;
    return lines(GEMM_MR * RNN_GATES * GEMM_NR) + KN(recurrent_attend_own)(r) +
           lines(N * (sizeof(size_t) + 2 * sizeof(int)) / sizeof(float));
}

size_t KN(recurrent_work_f32)(const struct kn_recurrent *r, int threads)
{
    return (lines(shared_floats(r)) + (size_t)threads * own_floats(r)) * sizeof(float);
}

static float *take(float **at, size_t floats)
{
    float *const p = *at;
    *at += floats;
    return p;
}

static void cut_scratch(struct rnn_job *j, const struct kn_recurrent *r, int first, float *at)
{
    const size_t N = (size_t)r->N, H = (size_t)r->H, slot = (size_t)first;
    float *own = at + lines(shared_floats(r)) + (size_t)j->crew->thread * own_floats(r);
    j->ldx = pitch_x(r);
    j->ldb = pitch(H);
    j->packed = take(&at, packed_floats(r, j->G));
    j->packed_b = j->packed + packed_floats(r, 2); /* KN_GRU_BEFORE: behind r and z */
    j->x[0] = take(&at, N * j->ldx) + slot * j->ldx;
    j->x[1] = take(&at, N * j->ldx) + slot * j->ldx;
    j->xb = r->cell == KN_GRU_BEFORE ? take(&at, N * j->ldb) + slot * j->ldb : NULL;
    j->carry = take(&at, lines(N * H));
    j->peep = r->peep ? take(&at, lines(3 * N * H)) : NULL;
    j->zeros = take(&at, lines(H));
    j->sums = take(&own, lines(GEMM_MR * RNN_GATES * GEMM_NR));
    KN(recurrent_attend_cut)(j, slot, at, take(&own, KN(recurrent_attend_own)(r)));
    j->at = (size_t *)(void *)own;
    j->sample = (int *)(void *)(j->at + N);
    j->length = j->sample + N;
}

/* ------------------------------------------------------------------ who does what */

static bool has_steps(const struct kn_recurrent *r, int n)
{
    return !r->length || (r->length[n] >= 0 && r->length[n] <= r->T);
}

static int steps_of(const struct kn_recurrent *r, int n)
{
    return !r->length ? r->T : has_steps(r, n) ? r->length[n] : 0;
}

/* How many samples come before n, the longest first. */
static int rank_of(const struct kn_recurrent *r, int n)
{
    const int mine = steps_of(r, n);
    int rank = 0;
    for (int m = 0; m < r->N; m++)
        rank += steps_of(r, m) > mine || (steps_of(r, m) == mine && m < n);
    return rank;
}

/* Group `group` of `groups` takes every groups-th sample, so that all have as much to do. */
static void deal(struct rnn_job *j, int group, int groups)
{
    assert(groups > 0);
    const struct kn_recurrent *const r = j->r;
    for (int n = 0; n < r->N; n++) {
        const int rank = r->length ? rank_of(r, n) : n, steps = steps_of(r, n);
        j->longest = steps > j->longest ? steps : j->longest;
        if (rank % groups == group) {
            j->sample[rank / groups] = n;
            j->length[rank / groups] = steps;
        }
    }
}

struct rnn_job KN(recurrent_job)(const struct kn_recurrent *r, const struct crew *crew, void *work)
{
    struct rnn_job j = {.r = r, .crew = crew, .G = kn_cell_gates(r->cell)};
    int groups = crew->threads;
    while (groups > 1 && (crew->threads % groups || r->N < groups * LEAST_ROWS))
        groups--;
    assert(groups > 0);
    const int across = crew->threads / groups, group = crew->thread / across;
    size_t from, to;
    j.across = (struct crew){crew->thread % across, across, NULL};
    rnn_share(&j, (size_t)r->H, GEMM_NR, &from, &to);
    j.unit = (int)from;
    j.units_end = (int)to;
    j.crowded = across > 1;
    j.slots = (r->N - group + groups - 1) / groups;
    int first = 0;
    for (int g = 0; g < group; g++)
        first += (r->N - g + groups - 1) / groups;
    cut_scratch(&j, r, first, work);
    deal(&j, group, groups);
    return j;
}

void KN(recurrent_at)(struct rnn_job *j, int s)
{
    const struct kn_recurrent *const r = j->r;
    j->active = 0;
    while (j->active < j->slots && j->length[j->active] > s) {
        const int i = j->active++, t = r->reverse ? j->length[i] - 1 - s : s;
        j->at[i] = (size_t)j->sample[i] * (size_t)r->T + (size_t)t;
    }
}

void KN(recurrent_clear)(const struct rnn_job *j, float *rows, size_t ld, size_t from, size_t to)
{
    const struct kn_recurrent *const r = j->r;
    for (int i = 0; i < j->slots; i++) {
        const int n = j->sample[i];
        const float with = has_steps(r, n) || rows != r->y ? 0.0f : NAN;
        for (int t = j->length[i]; t < r->T; t++)
            KN(fill_f32)
        (to - from, with, rows + ((size_t)n * (size_t)r->T + (size_t)t) * ld + from);
    }
}

/* ------------------------------------------------------------------ weights */

static void copy_panel(int cols, int K, const float *w, size_t ldw, float *to)
{
    for (int k = 0; k < K; k++, w += ldw)
        for (int v = 0; v < GEMM_NR; v += VF, to += VF)
            vf_store(to, v + VF <= cols ? vf_load(w + v)
                         : v < cols     ? vf_load_n(w + v, (size_t)(cols - v), 0.0f)
                                        : vf_set(0.0f));
}

void KN(recurrent_pack)(const struct rnn_job *j, const struct rnn_weights *w, float *packed)
{
    const size_t all = (size_t)(w->all ? w->all : w->K);
    size_t from, to;
    crew_share(j->crew, (size_t)blocks(w->units) * (size_t)w->gates, 1, &from, &to);
    for (int i = (int)from; i < (int)to; i++) {
        const int unit = i / w->gates * GEMM_NR, gate = i % w->gates;
        const int cols = w->units - unit < GEMM_NR ? w->units - unit : GEMM_NR;
        float *const panel = packed + ((size_t)i * all + (size_t)w->first) * GEMM_NR;
        if (w->turned)
            KN(gemm_transpose)
        (cols, w->K, w->w + (size_t)(gate * w->units + unit) * w->ld, w->ld, panel, GEMM_NR,
         GEMM_NR);
        else copy_panel(cols, w->K, w->w + unit, w->ld, panel);
    }
}

/* ------------------------------------------------------------------ the product */

/* Rows of the sequence that the cell will touch, a few with each tile: it would wait for them one
 * by one, because they lie a whole sequence apart. */
static void expect(const struct rnn_job *j, const struct rnn_product *p, const struct rnn_tile *t,
                   int part, int parts)
{
    enum { L2 = 2, NEXT = GEMM_NR > 16 ? 16 : 0 }; /* floats in a line */
    for (int i = part; i < p->streams; i += parts) {
        const struct stream *const s = &p->soon[i];
        for (int r = 0; r < t->rows; r++) {
            const size_t row = j->at[t->slot + r] + (size_t)(ptrdiff_t)s->shift;
            const uintptr_t a = (uintptr_t)s->at + (row * s->ld + (size_t)t->unit) * sizeof(float);
            __builtin_prefetch((const void *)a, 0, L2);
            __builtin_prefetch((const void *)(a + NEXT * sizeof(float)), 0, L2);
        }
    }
}

static void sum_tile(const struct rnn_job *j, const struct rnn_product *p, const struct rnn_tile *t)
{
    const int kc = gemm_kc(p->K), parts = (p->K + kc - 1) / kc * p->gates;
    const float *const w = p->w + (size_t)t->unit * (size_t)p->K * (size_t)p->gates;
    struct gemm_fetch none = {0};
    for (int k = 0, part = 0; k < p->K; k += kc)
        for (int g = 0; g < p->gates; g++, part++) {
            expect(j, p, t, part, parts);
            const struct gemm_tile tile = {
                .cols = t->units,
                .kc = p->K - k < kc ? p->K - k : kc,
                .x = {p->x + (size_t)t->slot * p->ldx + k, p->ldx, 1, NULL},
                .y = {w + ((size_t)g * (size_t)p->K + (size_t)k) * GEMM_NR, GEMM_NR, NULL},
                .c = j->sums + g * GEMM_NR,
                .ldc = t->ld,
                .plus = k > 0 ? j->sums + g * GEMM_NR : NULL,
                .ld_plus = t->ld,
                .fetch = &none,
            };
            KN(gemm_tile)(t->rows, &tile);
        }
}

void KN(recurrent_product)(const struct rnn_job *j, const struct rnn_product *p)
{
    const int tiles = (j->active + GEMM_MR - 1) / GEMM_MR;
    const size_t ld = (size_t)p->gates * GEMM_NR;
    size_t from, to;
    rnn_share(j, (size_t)p->units, GEMM_NR, &from, &to);
    for (int unit = (int)from; unit < (int)to; unit += GEMM_NR)
        for (int i = 0; i < tiles; i++) {
            const int slot = j->active * i / tiles, left = (int)to - unit;
            const struct rnn_tile t = {.slot = slot,
                                       .rows = j->active * (i + 1) / tiles - slot,
                                       .unit = unit,
                                       .units = left < GEMM_NR ? left : GEMM_NR,
                                       .sums = j->sums,
                                       .ld = ld};
            if (p->x)
                sum_tile(j, p, &t);
            else
                memset(j->sums, 0, (size_t)t.rows * ld * sizeof(float));
            p->finish(j, &t, p->arg);
        }
    if (j->crowded)
        crew_wait(j->crew);
}
