/* t_ops_decoder — recurrent layers that attend inside their loop against Bahdanau's equations,
 * written out step by step with primitive operations: h, contexts, weights, the last cell, and the
 * gradients of all parameters, of input, initial state, keys and values; with lengths of both
 * sequences; the same bits for 1 to 4 threads; errors; NaN. */
#include "tests/attend_twins.h"

enum { INPUT = 5, STEPS = 4, WIDEST = 40 };

enum kind { RNN, LSTM, GRU };
struct form {
    const char *name;
    enum kind kind;
    int T, S, H, A, E; /* E 0: the values are the keys */
    bool steps, masked, states, context,
        only; /* context: it counts too; only: and nothing else does */
    bool reverse, before, peepholes, no_forget, one_bias, relu;
    float keys, query; /* times as large, so that powers of some samples would overflow */
};

/* clang-format off */
static const struct form forms[] = {
    {"lstm",                   LSTM, 4, 5, 19, 16, 12, .context = true},
    {"lstm, far keys",         LSTM, 4, 5, 19, 16, 12, .masked = true, .context = true, .keys = 150},
    {"lstm, far queries",      LSTM, 4, 5, 19, 16, 12, .masked = true, .context = true, .query = 150},
    {"lstm, h alone",          LSTM, 3, 4, 16, 19, 17, .masked = true},
    {"lstm, contexts alone",   LSTM, 3, 4, 12,  7, 33, .masked = true, .context = true, .only = true},
    {"lstm, all at once",      LSTM, 4, 6, 33, 31, 15, .steps = true, .masked = true, .states = true, .context = true,
                                                       .peepholes = true, .reverse = true},
    {"lstm, wide",             LSTM, 2, 8, 40, 35, 40, .steps = true, .states = true, .context = true, .one_bias = true},
    {"lstm, one step, one key", LSTM, 1, 1, 8,  8,  8, .states = true, .context = true},
    {"lstm, one number each",  LSTM, 2, 3,  1,  1,  1, .context = true},
    {"lstm, keys only",        LSTM, 3, 4, 17, 24,  0, .masked = true, .context = true},
    {"lstm of 1997",           LSTM, 3, 4,  9, 12, 16, .states = true, .no_forget = true},
    {"gru",                    GRU,  4, 5, 19, 16, 12, .context = true},
    {"gru, lengths",           GRU,  4, 6, 33, 17, 31, .steps = true, .masked = true, .states = true, .context = true},
    {"gru, one step",          GRU,  1, 5, 16, 40,  8, .masked = true},
    {"gru, reset before",      GRU,  4, 5, 19, 16, 12, .before = true, .context = true},
    {"gru, reset before, all", GRU,  4, 6, 32, 37, 33, .before = true, .steps = true, .masked = true, .states = true,
                                                       .context = true, .reverse = true},
    {"rnn",                    RNN,  4, 5, 19, 16, 12, .masked = true, .context = true, .states = true},
    {"rnn relu",               RNN,  3, 4, 16,  9,  8, .steps = true, .relu = true, .one_bias = true},
};
/* clang-format on */
enum { FORMS = sizeof forms / sizeof *forms };

/* ------------------------------------------------- the equations, written out */

struct cell {
    const struct form *f;
    nn_value w, u, b, b2, peep, h, c; /* b2: of the hidden product, where it is apart */
};

static nn_value times(nn_value x, nn_value w) { return nn_matmul(x, nn_transpose(w)); }
static nn_value one_minus(nn_value x) { return nn_offset(nn_neg(x), 1); }

static nn_value part(nn_value x, int gate, int H)
{
    return nn_slice(x, nn_rank(x) - 1, gate * H, (gate + 1) * H);
}

static nn_value peephole(const struct cell *k, int which, nn_value z, nn_value c)
{
    if (!k->f->peepholes)
        return z;
    return nn_add(z, nn_mul(c, nn_sum(nn_slice(k->peep, 0, which, which + 1), 0)));
}

static nn_value step_lstm(struct cell *k, nn_value x, nn_value *c)
{
    const int H = k->f->H, F = 1, G = k->f->no_forget ? 1 : 2, O = G + 1;
    const nn_value z = nn_add(nn_add(nn_add(times(x, k->w), times(k->h, k->u)), k->b), k->b2);
    const nn_value i = nn_sigmoid(peephole(k, 0, part(z, 0, H), k->c));
    nn_value kept = k->c;
    if (!k->f->no_forget)
        kept = nn_mul(kept, nn_sigmoid(peephole(k, 1, part(z, F, H), k->c)));
    *c = nn_add(kept, nn_mul(i, nn_tanh(part(z, G, H))));
    return nn_mul(nn_sigmoid(peephole(k, 2, part(z, O, H), *c)), nn_tanh(*c));
}

static nn_value step_gru(struct cell *k, nn_value x)
{
    const int H = k->f->H;
    const nn_value a = nn_add(times(x, k->w), k->b), s = nn_add(times(k->h, k->u), k->b2);
    const nn_value r = nn_sigmoid(nn_add(part(a, 0, H), part(s, 0, H)));
    const nn_value z = nn_sigmoid(nn_add(part(a, 1, H), part(s, 1, H)));
    const nn_value u = nn_slice(k->u, 0, 2 * H, 3 * H);
    const nn_value inner = k->f->before ? times(nn_mul(r, k->h), u) : nn_mul(r, part(s, 2, H));
    const nn_value n = nn_tanh(nn_add(part(a, 2, H), inner));
    return nn_add(nn_mul(one_minus(z), n), nn_mul(z, k->h));
}

static nn_value step_rnn(struct cell *k, nn_value x)
{
    const nn_value z = nn_add(nn_add(nn_add(times(x, k->w), times(k->h, k->u)), k->b), k->b2);
    return k->f->relu ? nn_relu(z) : nn_tanh(z);
}

/* [N,width] of 1 where the sample has step t, else 0. */
static nn_value step_mask(struct nn_graph *g, const struct form *f, int t, int width)
{
    static float masks[STEPS][WIDEST + 1][BATCH * WIDEST];
    static char names[STEPS][WIDEST + 1][32];
    float *const mask = masks[t][width];
    char *const name = names[t][width];
    for (int i = 0; i < BATCH * width; i++)
        mask[i] = !f->steps || t < length_of(i / width, f->T) ? 1.0f : 0.0f;
    snprintf(name, sizeof names[0][0], "step%d_%d", t, width);
    for (int i = 0; i < g->nodes; i++) /* two of one width */
        if (g->node[i].attr.data == mask)
            return (nn_value){g, i};
    return nn_const(g, name, NN_SHAPE(BATCH, width), mask);
}

static nn_value mix(nn_value mask, nn_value now, nn_value before)
{
    return nn_add(nn_mul(mask, now), nn_mul(one_minus(mask), before));
}

static nn_value joined(nn_value *rows, int T)
{
    return T > 1 ? nn_join_(1, T, rows, NN_HERE) : rows[0];
}

/* What a layer has and gives. */
struct sides {
    nn_value x, h0, c0, keys, values, steps, length; /* in */
    nn_value y, context, alpha, c_end;               /* out */
};

static struct cell cell_of(struct nn_graph *g, const struct form *f, const struct sides *s)
{
    static const float zeros[4 * WIDEST * BATCH];
    const int H = f->H,
              G = f->kind == RNN                   ? 1
                  : f->kind == GRU || f->no_forget ? 3
                                                   : 4,
              E = nn_dim(s->values, 2);
    const nn_value none = nn_const(g, "none", NN_SHAPE(G * H), zeros);
    const nn_value start = nn_const(g, "start", NN_SHAPE(BATCH, H), zeros);
    struct cell k = {.f = f, .h = f->states ? s->h0 : start, .c = f->states ? s->c0 : start};
    k.w = P(g, "weight_ih", G * H, INPUT + E);
    k.u = P(g, "weight_hh", G * H, H);
    k.b = P(g, "bias_ih", G * H);
    k.b2 = f->one_bias || f->before ? none : P(g, "bias_hh", G * H);
    if (f->peepholes)
        k.peep = P(g, "peep", 3, H);
    return k;
}

static void write_out(struct nn_graph *g, const struct form *f, struct sides *s)
{
    nn_row(g, "layer");
    struct cell k = cell_of(g, f, s);
    const nn_value query = P(g, "query", f->A, f->H), v = P(g, "v", f->A);
    const nn_value mask = mask_of(g, f->masked, f->S);
    nn_value y[STEPS], contexts[STEPS], alphas[STEPS];
    for (int i = 0; i < f->T; i++) {
        const int t = f->reverse ? f->T - 1 - i : i;
        nn_value alpha, c = k.c;
        nn_value context = attend_one(times(k.h, query), s->keys, s->values, v, 0, mask, &alpha);
        context = nn_reshape(context, NN_SHAPE(nn_dim(s->values, 2)));
        const nn_value xc = nn_concat(nn_at(s->x, t), context, 1);
        const nn_value h = f->kind == RNN   ? step_rnn(&k, xc)
                           : f->kind == GRU ? step_gru(&k, xc)
                                            : step_lstm(&k, xc, &c);
        const nn_value here = step_mask(g, f, t, f->H);
        y[t] = row(nn_mul(here, h));
        contexts[t] = row(nn_mul(step_mask(g, f, t, nn_dim(s->values, 2)), context));
        alphas[t] = nn_mul(row(step_mask(g, f, t, f->S)), alpha);
        k.h = mix(here, h, k.h);
        k.c = mix(here, c, k.c);
    }
    s->y = joined(y, f->T);
    s->context = joined(contexts, f->T);
    s->alpha = joined(alphas, f->T);
    s->c_end = k.c;
}

/* ------------------------------------------------------------- two programs */

static void layer(struct nn_graph *g, const struct form *f, struct sides *s)
{
    struct nn_recurrent_opts o = {.hidden = f->H, .reverse = f->reverse, .one_bias = f->one_bias};
    o.relu = f->relu;
    o.no_forget = f->no_forget;
    o.peepholes = f->peepholes;
    o.reset_before = f->before;
    o.length = s->steps;
    o.attend_keys = s->keys;
    o.attend_length = s->length;
    if (f->E)
        o.attend_values = s->values;
    if (f->states)
        o.h0 = s->h0;
    if (f->states && f->kind == LSTM)
        o.c0 = s->c0;
    nn_row(g, "layer");
    s->y = f->kind == RNN    ? nn_rnn_(s->x, o, NN_HERE)
           : f->kind == LSTM ? nn_lstm_(s->x, o, NN_HERE)
                             : nn_gru_(s->x, o, NN_HERE);
    s->context = nn_context(s->y);
    s->alpha = nn_attention(s->y);
    if (f->kind == LSTM)
        s->c_end = nn_final_cell(s->y);
}

static struct sides inputs(struct nn_graph *g, const struct form *f)
{
    struct sides s = {.x = P(g, "x", BATCH, f->T, INPUT)};
    if (f->states)
        s.h0 = P(g, "h0", BATCH, f->H);
    if (f->states)
        s.c0 = f->kind == LSTM ? P(g, "c0", BATCH, f->H) : s.h0;
    s.keys = P(g, "keys", BATCH, f->S, f->A); /* each number within 1/2 */
    if (f->keys != 0)
        s.keys = nn_scale(s.keys, f->keys);
    s.values = f->E ? P(g, "values", BATCH, f->S, f->E) : s.keys;
    if (f->steps)
        s.steps = nn_input(g, "steps", NN_I32, NN_SCALAR);
    if (f->masked)
        s.length = nn_input(g, "length", NN_I32, NN_SCALAR);
    return s;
}

static struct run make(const void *form, bool fused, int threads)
{
    const struct form *const f = form;
    struct nn_graph *g = graph_new(BATCH);
    struct sides s = inputs(g, f);
    if (fused)
        layer(g, f, &s);
    else
        write_out(g, f, &s);
    if (graph_error(g)) {
        printf("Bail out! %s: %s\n", f->name, graph_error(g));
        exit(EXIT_FAILURE);
    }
    nn_row(g, "result");
    nn_value loss = probe("probe", s.y);
    if (f->context) {
        const nn_value more = probe("probe_c", s.context);
        loss = f->only ? more : nn_add(loss, more);
    }
    if (f->kind == LSTM && f->states)
        loss = nn_add(loss, nn_sum(nn_sum(nn_mul(s.c_end, like("probe_e", s.c_end)), 1), 0));
    nn_minimize(loss);
    nn_assign(like("y", s.y), s.y);
    nn_assign(like("context", s.context), s.context);
    nn_assign(like("alpha", s.alpha), s.alpha);
    struct run r = finish(g, f->name, threads, f->T, f->S);
    struct tensor query = *program_find(r.p, TENSOR_PARAM, "layer.query");
    for (size_t i = 0; f->query != 0 && i < query.elements; i++)
        ((float *)query.data)[i] *= f->query;
    return r;
}

static void test_forms(void)
{
    for (int i = 0; i < FORMS; i++)
        check(forms[i].name, make, &forms[i]);
}

/* ------------------------------------------------------------------ NaN */

/* Sample 0 wants more keys than there are: its h is no number, the others' is. No loss, so no
 * backward pass: the layer keeps nothing for one. */
static void test_none(void)
{
    struct nn_graph *g = graph_new(BATCH);
    const struct form f = {"none", GRU, 3, 4, 9, 7, 5, .masked = true};
    struct sides s = inputs(g, &f);
    layer(g, &f, &s);
    nn_row(g, "result");
    nn_assign(like("y", s.y), s.y);
    struct run r = {.g = g};
    struct err err = {0};
    r.p = program_new(g, &(struct program_options){.threads = 2, .train = true, .seed = 1}, &err);
    set_values(r.p, 3, 4);
    int32_t *const length = program_find(r.p, TENSOR_INPUT, "length")->data;
    length[0] = 5;
    (void)program_run(r.p);
    const float *const y = program_find(r.p, TENSOR_PARAM, "result.y")->data;
    int wrong = 0;
    for (int i = 0; i < BATCH * 3 * 9; i++)
        wrong += (isnan(y[i]) != 0) != (i < 3 * 9);
    is_int(wrong, 0, "a length of keys that there are not gives NaN, to its sample alone");
    release(&r);
}

static void test_all(void)
{
    test_forms();
    test_none();
}

int main(void) { return on_all_isas(test_all); }
