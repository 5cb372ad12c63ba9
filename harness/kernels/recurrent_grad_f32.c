/* recurrent_grad_f32 — the backward pass of recurrent.h, through time: Werbos 1990.
 *
 *     dh = dy + (gradient of the next step's gates) U + what goes by them (GRU: z dh')
 *
 * is the product of a step; its sums for a block of units pass the derivative of the cell, from
 * outputs alone: sigma' = s (1 - s), tanh' = 1 - t^2, relu' = (h' > 0). c' is kept, tanh(c') made
 * again. Every element of dgates is within 2^-18 (1 + T) of the truth where the weights do not
 * amplify (tests/t_recurrent.c, against double). */
#include "kernels/recurrent_core.h"

/* ------------------------------------------------------------------ places */

struct backward {
    float *x[2]; /* of my slots: gradient of the later step's gates, and this one's */
    int s;       /* the step; -1: the state before the first */
};

/* Where one row's numbers are, from the tile's first unit on; gate g is g * of_gate further. */
struct place {
    const float *sum, *gate, *dy, *y, *c, *c_before, *before;
    float *dgate, *next, *extra, *carry, *peep;
    size_t of_gate;
};

static const float *or_zeros(const struct rnn_job *j, const float *p, size_t at)
{
    return p ? p + at : j->zeros;
}

static struct place place_of(const struct rnn_job *j, const struct rnn_tile *t,
                             const struct backward *b, int row)
{
    const struct kn_recurrent *const r = j->r;
    const int i = t->slot + row;
    const size_t H = (size_t)r->H, GH = H * (size_t)j->G, unit = (size_t)t->unit, at = j->at[i];
    const size_t n = (size_t)j->sample[i], earlier = at - (size_t)(ptrdiff_t)rnn_onward(j);
    const bool lstm = kn_cell_is_lstm(r->cell);
    return (struct place){
        .sum = t->sums + (size_t)row * t->ld,
        .gate = r->gates + at * GH + unit,
        .dgate = r->dgates + at * GH + unit,
        .of_gate = H,
        .next = b->x[1] + (size_t)i * j->ldx + unit,
        .dy = or_zeros(j, r->dy, at * H + unit),
        .y = r->y + at * H + unit,
        .before = r->before + at * H + unit,
        .extra = r->extra ? r->extra + at * H + unit : NULL,
        .c = lstm ? r->extra + at * H + unit : NULL,
        .c_before =
            lstm && b->s > 0 ? r->extra + earlier * H + unit : or_zeros(j, r->c0, n * H + unit),
        .carry = j->carry + n * H + unit,
        .peep = r->peep ? j->peep + n * 3 * H + unit : NULL,
    };
}

INLINE vf gate_of(const struct place *p, int g, size_t v, size_t n)
{
    return vf_get(p->gate + (size_t)g * p->of_gate + v, n);
}

INLINE void put_gate(const struct place *p, int g, size_t v, size_t n, vf x)
{
    vf_put(p->dgate + (size_t)g * p->of_gate + v, x, n);
    vf_put(p->next + (size_t)g * p->of_gate + v, x, n);
}

INLINE vf dh_of(const struct place *p, size_t v, size_t n)
{
    return vf_get(p->sum + v, n) + vf_get(p->dy + v, n);
}

INLINE vf sigmoid_slope(vf s) { return s * (vf_set(1.0f) - s); }
INLINE vf tanh_slope(vf t) { return vf_fma(-t, t, vf_set(1.0f)); }

/* ------------------------------------------------------------------ cells */

static void finish_tanh(const struct rnn_job *j, const struct rnn_tile *t, void *arg)
{
    for (int i = 0; i < t->rows; i++) {
        const struct place p = place_of(j, t, arg, i);
        EACH_UNIT(t->units,
                  put_gate(&p, 0, v, n, dh_of(&p, v, n) * tanh_slope(vf_get(p.y + v, n))));
    }
}

static void finish_relu(const struct rnn_job *j, const struct rnn_tile *t, void *arg)
{
    for (int i = 0; i < t->rows; i++) {
        const struct place p = place_of(j, t, arg, i);
        EACH_UNIT(t->units, put_gate(&p, 0, v, n, dh_of(&p, v, n) * vf_step(vf_get(p.y + v, n))));
    }
}

struct lstm_form {
    bool forget, peep;
};

INLINE void add_to(float *sum, size_t n, vf x) { vf_put(sum, vf_get(sum, n) + x, n); }

INLINE void lstm_units(const struct lstm_form f, const struct place *p, const float *peep, size_t H,
                       size_t v, size_t n)
{
    const int F = 1, G = f.forget ? 2 : 1, O = G + 1; /* I is 0 */
    const vf i = gate_of(p, 0, v, n), g = gate_of(p, G, v, n), o = gate_of(p, O, v, n);
    const vf c = vf_get(p->c + v, n), before = vf_get(p->c_before + v, n), t = vf_tanh(c);
    const vf dh = dh_of(p, v, n), d_o = dh * t * sigmoid_slope(o);
    vf dc = vf_fma(dh * o, tanh_slope(t), vf_get(p->carry + v, n));
    if (f.peep)
        dc = vf_fma(d_o, vf_get(peep + 2 * H + v, n), dc);
    const vf di = dc * g * sigmoid_slope(i), dg = dc * i * tanh_slope(g);
    vf carry = dc;
    if (f.forget) {
        const vf forget = gate_of(p, F, v, n), df = dc * before * sigmoid_slope(forget);
        carry = dc * forget;
        put_gate(p, F, v, n, df);
        if (f.peep) {
            carry = vf_fma(df, vf_get(peep + H + v, n), carry);
            add_to(p->peep + H + v, n, df * before);
        }
    }
    if (f.peep) {
        carry = vf_fma(di, vf_get(peep + v, n), carry);
        add_to(p->peep + v, n, di * before);
        add_to(p->peep + 2 * H + v, n, d_o * c);
    }
    vf_put(p->carry + v, carry, n);
    put_gate(p, 0, v, n, di);
    put_gate(p, G, v, n, dg);
    put_gate(p, O, v, n, d_o);
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
    const bool forget = j->r->cell == KN_LSTM, peep = j->r->peep != NULL;
    if (forget && !peep)
        finish_lstm_form((struct lstm_form){true, false}, j, t, arg);
    else
        finish_lstm_form((struct lstm_form){forget, peep}, j, t, arg);
}

INLINE void gru_units(const struct place *p, size_t v, size_t n)
{
    const vf r = gate_of(p, 0, v, n), z = gate_of(p, 1, v, n), fresh = gate_of(p, 2, v, n);
    const vf dh = dh_of(p, v, n) + vf_get(p->carry + v, n);
    const vf dn = dh * (vf_set(1.0f) - z) * tanh_slope(fresh);
    const vf dz = dh * (vf_get(p->before + v, n) - fresh) * sigmoid_slope(z);
    const vf dr = dn * vf_get(p->extra + v, n) * sigmoid_slope(r), dq = dn * r;
    vf_put(p->carry + v, dh * z, n);
    put_gate(p, 0, v, n, dr);
    put_gate(p, 1, v, n, dz);
    vf_put(p->dgate + 2 * p->of_gate + v, dn, n);
    vf_put(p->next + 2 * p->of_gate + v, dq, n);
    vf_put(p->extra + v, dq, n);
}

static void finish_gru(const struct rnn_job *j, const struct rnn_tile *t, void *arg)
{
    for (int i = 0; i < t->rows; i++) {
        const struct place p = place_of(j, t, arg, i);
        EACH_UNIT(t->units, gru_units(&p, v, n));
    }
}

/* Reset before the product: first n and z, ... */
INLINE void fresh_units(const struct place *p, float *d_fresh, size_t v, size_t n)
{
    const vf z = gate_of(p, 1, v, n), fresh = gate_of(p, 2, v, n);
    const vf dh = dh_of(p, v, n) + vf_get(p->carry + v, n);
    const vf dn = dh * (vf_set(1.0f) - z) * tanh_slope(fresh);
    const vf dz = dh * (vf_get(p->before + v, n) - fresh) * sigmoid_slope(z);
    vf_put(p->carry + v, dh * z, n);
    put_gate(p, 1, v, n, dz);
    vf_put(p->dgate + 2 * p->of_gate + v, dn, n);
    vf_put(d_fresh + v, dn, n);
}

static void finish_fresh(const struct rnn_job *j, const struct rnn_tile *t, void *arg)
{
    for (int i = 0; i < t->rows; i++) {
        const struct place p = place_of(j, t, arg, i);
        float *const d_fresh = j->xb + (size_t)(t->slot + i) * j->ldb + t->unit;
        EACH_UNIT(t->units, fresh_units(&p, d_fresh, v, n));
    }
}

/* ... then r; the sums are the gradient by r h. */
INLINE void reset_units(const struct place *p, size_t v, size_t n)
{
    const vf r = gate_of(p, 0, v, n), d = vf_get(p->sum + v, n);
    put_gate(p, 0, v, n, d * vf_get(p->before + v, n) * sigmoid_slope(r));
    add_to(p->carry + v, n, d * r);
}

static void finish_reset(const struct rnn_job *j, const struct rnn_tile *t, void *arg)
{
    for (int i = 0; i < t->rows; i++) {
        const struct place p = place_of(j, t, arg, i);
        EACH_UNIT(t->units, reset_units(&p, v, n));
    }
}

/* ------------------------------------------------------------------ the loop */

static const struct {
    void (*finish)(const struct rnn_job *j, const struct rnn_tile *t, void *arg);
    void (*then)(const struct rnn_job *j, const struct rnn_tile *t, void *arg);
    int gates; /* that the first product sums over */
} cells[] = {
    [KN_RNN_TANH] = {finish_tanh, NULL, 1}, [KN_RNN_RELU] = {finish_relu, NULL, 1},
    [KN_LSTM] = {finish_lstm, NULL, 4},     [KN_LSTM_1997] = {finish_lstm, NULL, 3},
    [KN_GRU] = {finish_gru, NULL, 3},       [KN_GRU_BEFORE] = {finish_fresh, finish_reset, 2},
};

/* The state before the first step: dh0; of what is carried the GRU's belongs to it, the LSTM's is
 * dc0. */
static void finish_start(const struct rnn_job *j, const struct rnn_tile *t, void *arg)
{
    const struct kn_recurrent *const r = j->r;
    const bool add = r->cell == KN_GRU || r->cell == KN_GRU_BEFORE;
    (void)arg;
    for (int i = 0; i < t->rows; i++) {
        const size_t at = (size_t)j->sample[t->slot + i] * (size_t)r->H + (size_t)t->unit;
        const float *const sum = t->sums + (size_t)i * t->ld;
        if (add)
            KN(add_f32)((size_t)t->units, sum, j->carry + at, r->dh0 + at);
        else
            memcpy(r->dh0 + at, sum, (size_t)t->units * sizeof *sum);
    }
}

static struct rnn_product step_product(const struct rnn_job *j, struct backward *b, bool zero)
{
    const struct kn_recurrent *const r = j->r;
    const size_t H = (size_t)r->H, GH = (size_t)j->G * H;
    const bool rnn = r->cell == KN_RNN_TANH || r->cell == KN_RNN_RELU;
    struct rnn_product p = {
        .x = zero ? NULL : b->x[0],
        .ldx = j->ldx,
        .units = r->H,
        .K = cells[r->cell].gates * r->H + r->attend.A,
        .gates = 1,
        .w = j->packed,
        .finish = b->s < 0 ? finish_start : cells[r->cell].finish,
        .arg = b,
    };
    for (size_t g = 0; b->s >= 0 && g < (size_t)j->G; g++)
        p.soon[p.streams++] = (struct stream){(rnn ? r->dgates : r->gates) + g * H, GH, 0};
    if (b->s < 0)
        return p;
    if (r->dy)
        p.soon[p.streams++] = (struct stream){r->dy, H, 0};
    if (rnn)
        p.soon[p.streams++] = (struct stream){r->y, H, 0};
    if (r->cell == KN_GRU || r->cell == KN_GRU_BEFORE)
        p.soon[p.streams++] = (struct stream){r->before, H, 0};
    if (r->cell == KN_GRU)
        p.soon[p.streams++] = (struct stream){r->extra, H, 0};
    if (kn_cell_is_lstm(r->cell)) { /* c, and c before */
        p.soon[p.streams++] = (struct stream){r->extra, H, 0};
        p.soon[p.streams++] = (struct stream){r->extra, H, -rnn_onward(j)};
    }
    return p;
}

static void then(const struct rnn_job *j, struct backward *b)
{
    const struct rnn_product p = {
        .x = j->xb,
        .ldx = j->ldb,
        .units = j->r->H,
        .K = j->r->H,
        .gates = 1,
        .w = j->packed_b,
        .finish = cells[j->r->cell].then,
        .arg = b,
    };
    KN(recurrent_product)(j, &p);
}

/* Samples that end before the longest join in on the way: nothing is behind their last step. */
static void begin(const struct rnn_job *j)
{
    const struct kn_recurrent *const r = j->r;
    const size_t H = (size_t)r->H, G = (size_t)j->G, units = (size_t)(j->units_end - j->unit);
    const size_t summed = (size_t)cells[r->cell].gates; /* what lies behind them is attention's */
    for (int i = 0; i < j->slots; i++) {
        const size_t n = (size_t)j->sample[i], at = n * H + (size_t)j->unit;
        for (size_t g = 0; g < 2 * summed; g++)
            memset(j->x[g % 2] + (size_t)i * j->ldx + g / 2 * H + j->unit, 0,
                   units * sizeof(float));
        if (r->dc_end)
            memcpy(j->carry + at, r->dc_end + at, units * sizeof(float));
        else
            memset(j->carry + at, 0, units * sizeof(float));
        for (size_t k = 0; r->peep && k < 3; k++)
            memset(j->peep + (n * 3 + k) * H + j->unit, 0, units * sizeof(float));
    }
    for (size_t g = 0; g < G; g++)
        KN(recurrent_clear)
    (j, r->dgates, G * H, g * H + (size_t)j->unit, g * H + (size_t)j->units_end);
}

/* What each sample has added to the peepholes' gradient, in the order of the samples; and dc0. */
static void end(const struct rnn_job *j)
{
    const struct kn_recurrent *const r = j->r;
    const size_t H = (size_t)r->H;
    size_t from, to;
    for (int i = 0; r->dc0 && i < j->slots; i++) {
        const size_t at = (size_t)j->sample[i] * H + (size_t)j->unit;
        memcpy(r->dc0 + at, j->carry + at, (size_t)(j->units_end - j->unit) * sizeof(float));
    }
    if (!r->dpeep)
        return;
    crew_wait(j->crew);
    crew_share(j->crew, 3 * H, VF, &from, &to);
    memset(r->dpeep + from, 0, (to - from) * sizeof(float));
    for (size_t n = 0; n < (size_t)r->N; n++)
        KN(add_f32)(to - from, r->dpeep + from, j->peep + n * 3 * H + from, r->dpeep + from);
}

/* U, and below the gates that the first product sums over, Wq. */
static void pack(const struct rnn_job *j, int first)
{
    const struct kn_recurrent *const r = j->r;
    const int H = r->H, A = r->attend.A, all = first * H + A;
    const size_t ld = (size_t)H;
    const struct rnn_weights u = {r->w, ld, false, H, first * H, 1, 0, all},
                             query = {r->query_w, ld, false, H, A, 1, first * H, all},
                             then_u = {r->w + (size_t)first * ld * ld, ld, false, H, H, 1, 0, 0};
    KN(recurrent_pack)(j, &u, j->packed);
    if (A)
        KN(recurrent_pack)(j, &query, j->packed);
    if (cells[r->cell].then)
        KN(recurrent_pack)(j, &then_u, j->packed_b);
}

void KN(recurrent_grad_f32)(const struct kn_recurrent *r, const struct crew *crew, void *work)
{
    struct rnn_job j = KN(recurrent_job)(r, crew, work);
    const int H = r->H, first = cells[r->cell].gates;
    pack(&j, first);
    KN(recurrent_attend_begin)(&j, first * H);
    if (crew->thread == 0)
        memset(j.zeros, 0, (size_t)H * sizeof(float));
    begin(&j);
    crew_wait(crew);
    for (int s = j.longest - 1, running = 0; s >= (r->dh0 ? -1 : 0); s--) {
        struct backward b = {{j.x[(s + 1) % 2], j.x[(s + 2) % 2]}, s};
        KN(recurrent_at)(&j, s);
        const struct rnn_product p = step_product(&j, &b, running == 0);
        KN(recurrent_product)(&j, &p);
        if (cells[r->cell].then && s >= 0)
            then(&j, &b);
        if (s >= 0)
            KN(recurrent_attend_step_grad)(&j, b.x[1], b.x[1] + first * H);
        running = j.active;
    }
    end(&j);
    KN(recurrent_attend_end)(&j);
}
