/* recurrent_f32 — the forward pass of recurrent.h.
 *
 * Every element of y is within 2^-20 (1 + T) of the truth where the weights do not amplify: the
 * sums are as good as those of gemm, the functions of vec_math.h within 5 ulp
 * (tests/t_recurrent.c, against double). */
#include "kernels/recurrent_core.h"

/* ------------------------------------------------------------------ places */

/* What all units of one row of a tile share. */
struct forward {
    float *h[2]; /* of my slots: this step's and the next one's */
    int s;       /* the step */
};

/* Where one row's numbers are, from the tile's first unit on; gate g is g * of_gate further. */
struct place {
    const float *sum, *h;
    float *gate, *next, *y, *before, *extra; /* before: of the next step, NULL at the end */
    size_t of_sum, of_gate;
    float *c;
};

static struct place place_of(const struct rnn_job *j, const struct rnn_tile *t,
                             const struct forward *f, int row)
{
    const struct kn_recurrent *const r = j->r;
    const int i = t->slot + row;
    const size_t H = (size_t)r->H, unit = (size_t)t->unit, at = j->at[i];
    const size_t onward = at + (size_t)(ptrdiff_t)rnn_onward(j);
    const bool last = f->s + 1 == j->length[i];
    return (struct place){
        .sum = t->sums + (size_t)row * t->ld,
        .of_sum = GEMM_NR,
        .h = f->h[0] + (size_t)i * j->ldx + unit,
        .next = f->h[1] + (size_t)i * j->ldx + unit,
        .gate = r->gates + at * H * (size_t)j->G + unit,
        .of_gate = H,
        .y = r->y + at * H + unit,
        .before = r->before && !last ? r->before + onward * H + unit : NULL,
        .extra = r->before && r->extra ? r->extra + at * H + unit : NULL,
        .c = r->c_end ? r->c_end + (size_t)j->sample[i] * H + unit : NULL,
    };
}

/* a + U h of gate g, units [v, v + n) of the row. */
INLINE vf reach(const struct place *p, int g, size_t v, size_t n)
{
    return vf_get(p->gate + (size_t)g * p->of_gate + v, n) +
           vf_get(p->sum + (size_t)g * p->of_sum + v, n);
}

INLINE void keep_gate(const struct place *p, int g, size_t v, size_t n, vf x)
{
    vf_put(p->gate + (size_t)g * p->of_gate + v, x, n);
}

INLINE void put_h(const struct place *p, size_t v, size_t n, vf h)
{
    vf_put(p->next + v, h, n);
    vf_put(p->y + v, h, n);
    if (p->before)
        vf_put(p->before + v, h, n);
}

/* ------------------------------------------------------------------ cells */

static void finish_tanh(const struct rnn_job *j, const struct rnn_tile *t, void *arg)
{
    for (int i = 0; i < t->rows; i++) {
        const struct place p = place_of(j, t, arg, i);
        EACH_UNIT(t->units, put_h(&p, v, n, vf_tanh(reach(&p, 0, v, n))));
    }
}

static void finish_relu(const struct rnn_job *j, const struct rnn_tile *t, void *arg)
{
    for (int i = 0; i < t->rows; i++) {
        const struct place p = place_of(j, t, arg, i);
        EACH_UNIT(t->units, put_h(&p, v, n, vf_max(vf_set(0.0f), reach(&p, 0, v, n))));
    }
}

/* What kind of LSTM, for the compiler to know. */
struct lstm_form {
    bool forget, peep, keep;
};

INLINE void lstm_units(const struct lstm_form f, const struct place *p, const float *peep, size_t H,
                       size_t v, size_t n)
{
    const int F = 1, G = f.forget ? 2 : 1, O = G + 1; /* I is 0 */
    const vf before = vf_get(p->c + v, n);
    vf i = reach(p, 0, v, n), o = reach(p, O, v, n);
    if (f.peep)
        i = vf_fma(vf_get(peep + v, n), before, i);
    i = vf_sigmoid(i);
    const vf g = vf_tanh(reach(p, G, v, n));
    vf c = before;
    if (f.forget) {
        vf forget = reach(p, F, v, n);
        if (f.peep)
            forget = vf_fma(vf_get(peep + H + v, n), before, forget);
        forget = vf_sigmoid(forget);
        c = forget * before;
        if (f.keep)
            keep_gate(p, F, v, n, forget);
    }
    c = vf_fma(i, g, c);
    if (f.peep)
        o = vf_fma(vf_get(peep + 2 * H + v, n), c, o);
    o = vf_sigmoid(o);
    vf_put(p->c + v, c, n);
    put_h(p, v, n, o * vf_tanh(c));
    if (!f.keep)
        return;
    keep_gate(p, 0, v, n, i);
    keep_gate(p, G, v, n, g);
    keep_gate(p, O, v, n, o);
    vf_put(p->extra + v, c, n);
}

INLINE void finish_lstm_form(const struct lstm_form f, const struct rnn_job *j,
                             const struct rnn_tile *t, void *arg)
{
    const size_t H = (size_t)j->r->H;
    const float *const peep = f.peep ? j->r->peep + t->unit : NULL;
    for (int i = 0; i < t->rows; i++) {
        const struct place p = place_of(j, t, arg, i);
        EACH_UNIT(t->units, lstm_units(f, &p, peep, H, v, n));
    }
}

static void finish_lstm(const struct rnn_job *j, const struct rnn_tile *t, void *arg)
{
    const bool forget = j->r->cell == KN_LSTM, peep = j->r->peep != NULL,
               keep = j->r->before != NULL;
    if (forget && !peep && keep)
        finish_lstm_form((struct lstm_form){true, false, true}, j, t, arg);
    else if (forget)
        finish_lstm_form((struct lstm_form){true, peep, keep}, j, t, arg);
    else
        finish_lstm_form((struct lstm_form){false, peep, keep}, j, t, arg);
}

/* h' = (1 - z) n + z h */
INLINE vf blend(vf z, vf fresh, vf h) { return vf_fma(z, h - fresh, fresh); }

INLINE void gru_units(const bool keep, const struct place *p, const float *bias, size_t v, size_t n)
{
    const vf r = vf_sigmoid(reach(p, 0, v, n)), z = vf_sigmoid(reach(p, 1, v, n));
    const vf q = vf_get(p->sum + 2 * p->of_sum + v, n) + vf_get(bias + v, n);
    const vf fresh = vf_tanh(vf_fma(r, q, vf_get(p->gate + 2 * p->of_gate + v, n)));
    put_h(p, v, n, blend(z, fresh, vf_get(p->h + v, n)));
    if (!keep)
        return;
    keep_gate(p, 0, v, n, r);
    keep_gate(p, 1, v, n, z);
    keep_gate(p, 2, v, n, fresh);
    vf_put(p->extra + v, q, n);
}

static void finish_gru(const struct rnn_job *j, const struct rnn_tile *t, void *arg)
{
    const float *const bias = j->r->bias ? j->r->bias + t->unit : j->zeros;
    for (int i = 0; i < t->rows; i++) {
        const struct place p = place_of(j, t, arg, i);
        if (j->r->before)
            EACH_UNIT(t->units, gru_units(true, &p, bias, v, n));
        else
            EACH_UNIT(t->units, gru_units(false, &p, bias, v, n));
    }
}

/* Reset before the product: first r, z and r h, ... */
INLINE void reset_units(const struct place *p, float *reset, size_t v, size_t n)
{
    const vf r = vf_sigmoid(reach(p, 0, v, n)), z = vf_sigmoid(reach(p, 1, v, n));
    const vf rh = r * vf_get(p->h + v, n);
    keep_gate(p, 0, v, n, r);
    keep_gate(p, 1, v, n, z);
    vf_put(reset + v, rh, n);
    if (p->extra)
        vf_put(p->extra + v, rh, n);
}

static void finish_reset(const struct rnn_job *j, const struct rnn_tile *t, void *arg)
{
    for (int i = 0; i < t->rows; i++) {
        const struct place p = place_of(j, t, arg, i);
        float *const reset = j->xb + (size_t)(t->slot + i) * j->ldb + t->unit;
        EACH_UNIT(t->units, reset_units(&p, reset, v, n));
    }
}

/* ... then n and h'; the sums are those of n alone. */
INLINE void fresh_units(const struct place *p, size_t v, size_t n)
{
    const vf fresh = vf_tanh(vf_get(p->gate + 2 * p->of_gate + v, n) + vf_get(p->sum + v, n));
    const vf z = vf_get(p->gate + p->of_gate + v, n);
    keep_gate(p, 2, v, n, fresh);
    put_h(p, v, n, blend(z, fresh, vf_get(p->h + v, n)));
}

static void finish_fresh(const struct rnn_job *j, const struct rnn_tile *t, void *arg)
{
    for (int i = 0; i < t->rows; i++) {
        const struct place p = place_of(j, t, arg, i);
        EACH_UNIT(t->units, fresh_units(&p, v, n));
    }
}

/* ------------------------------------------------------------------ the loop */

/* What a cell does at a step: one product, or two. */
static const struct {
    void (*finish)(const struct rnn_job *j, const struct rnn_tile *t, void *arg);
    void (*then)(const struct rnn_job *j, const struct rnn_tile *t, void *arg);
    int gates; /* of the first product */
} cells[] = {
    [KN_RNN_TANH] = {finish_tanh, NULL, 1}, [KN_RNN_RELU] = {finish_relu, NULL, 1},
    [KN_LSTM] = {finish_lstm, NULL, 4},     [KN_LSTM_1997] = {finish_lstm, NULL, 3},
    [KN_GRU] = {finish_gru, NULL, 3},       [KN_GRU_BEFORE] = {finish_reset, finish_fresh, 2},
};

/* Is h before the step 0? */
static bool is_zero(const struct rnn_job *j, const struct forward *f)
{
    return f->s == 0 && !j->r->h0;
}

static struct rnn_product step_product(const struct rnn_job *j, struct forward *f)
{
    const struct kn_recurrent *const r = j->r;
    const size_t H = (size_t)r->H, GH = (size_t)j->G * H;
    struct rnn_product p = {
        .x = is_zero(j, f) && !rnn_beside(r) ? NULL : f->h[0],
        .ldx = j->ldx,
        .units = r->H,
        .K = r->H + rnn_beside(r),
        .gates = cells[r->cell].gates,
        .w = j->packed,
        .finish = cells[r->cell].finish,
        .arg = f,
    };
    for (size_t g = 0; g < (size_t)j->G; g++)
        p.soon[p.streams++] = (struct stream){r->gates + g * H, GH, 0};
    p.soon[p.streams++] = (struct stream){r->y, H, 0};
    if (r->before)
        p.soon[p.streams++] = (struct stream){r->before, H, rnn_onward(j)};
    if (r->before && r->extra)
        p.soon[p.streams++] = (struct stream){r->extra, H, 0};
    return p;
}

static void then(const struct rnn_job *j, struct forward *f)
{
    const struct rnn_product p = {
        .x = j->xb,
        .ldx = j->ldb,
        .units = j->r->H,
        .K = j->r->H,
        .gates = 1,
        .w = j->packed_b,
        .finish = cells[j->r->cell].then,
        .arg = f,
    };
    KN(recurrent_product)(j, &p);
}

static void copy_units(const struct rnn_job *j, const float *from, float *to)
{
    const size_t bytes = (size_t)(j->units_end - j->unit) * sizeof *to;
    if (from)
        memcpy(to + j->unit, from + j->unit, bytes);
    else
        memset(to + j->unit, 0, bytes);
}

/* The state before the first step, and what lies behind the last. */
static void begin(const struct rnn_job *j)
{
    const struct kn_recurrent *const r = j->r;
    const size_t H = (size_t)r->H, from = (size_t)j->unit, to = (size_t)j->units_end;
    for (int i = 0; i < j->slots; i++) {
        const size_t n = (size_t)j->sample[i], T = (size_t)r->T, length = (size_t)j->length[i];
        const size_t first = n * T + (r->reverse && length ? length - 1 : 0);
        copy_units(j, r->h0 ? r->h0 + n * H : NULL, j->x[0] + (size_t)i * j->ldx);
        if (r->before && length)
            copy_units(j, r->h0 ? r->h0 + n * H : NULL, r->before + first * H);
        if (r->c_end)
            copy_units(j, r->c0 ? r->c0 + n * H : NULL, r->c_end + n * H);
    }
    KN(recurrent_clear)(j, r->y, H, from, to);
    if (r->before)
        KN(recurrent_clear)(j, r->before, H, from, to);
    if (r->before && r->extra)
        KN(recurrent_clear)(j, r->extra, H, from, to);
}

void KN(recurrent_f32)(const struct kn_recurrent *r, const struct crew *crew, void *work)
{
    struct rnn_job j = KN(recurrent_job)(r, crew, work);
    const int H = r->H, first = cells[r->cell].gates;
    struct rnn_weights u = {r->w, (size_t)H, true, H, H, first, 0, H + rnn_beside(r)};
    KN(recurrent_pack)(&j, &u, j.packed);
    u.w += (size_t)first * (size_t)H * (size_t)H;
    u.gates = 1;
    if (cells[r->cell].then)
        KN(recurrent_pack)(&j, &u, j.packed_b);
    KN(recurrent_attend_begin)(&j, 0);
    if (crew->thread == 0)
        memset(j.zeros, 0, (size_t)H * sizeof(float));
    begin(&j);
    crew_wait(crew);
    for (int s = 0; s < j.longest; s++) {
        struct forward f = {{j.x[s % 2], j.x[(s + 1) % 2]}, s};
        KN(recurrent_at)(&j, s);
        const struct rnn_product p = step_product(&j, &f);
        KN(recurrent_attend_step)(&j, f.h[0], is_zero(&j, &f));
        KN(recurrent_product)(&j, &p);
        if (cells[r->cell].then)
            then(&j, &f);
    }
}
