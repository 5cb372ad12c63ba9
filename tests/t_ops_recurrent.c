/* t_ops_recurrent — nn_rnn, nn_lstm and nn_gru against the papers' equations, written out step by
 * step with primitive operations: outputs and the gradients of all parameters, of the input and of
 * the initial state, in every form, with lengths, in both directions; the same bits for 1, 2 and 3
 * threads; NaN; errors; and the new initial values. */
#include "base/rng.h"
#include "graph/exec.h"
#include "nn.h"
#include "tests/tap.h"

enum { BATCH = 21, STEPS = 5, INPUT = 7, MOST = 40 };

enum kind { RNN, LSTM, GRU };
struct form {
    const char *name;
    enum kind kind;
    int hidden;
    bool lengths, states, cell, last; /* cell: c behind the end counts too; last: nothing but */
    struct nn_recurrent_opts o;
};

/* clang-format off */
static const struct form forms[] = {
    {"rnn tanh",                  RNN,  19, .o = {.reverse = false}},
    {"rnn relu, one bias",        RNN,  19, .states = true, .o = {.relu = true, .one_bias = true}},
    {"rnn, reverse, lengths",     RNN,  40, .lengths = true, .o = {.reverse = true}},
    {"lstm",                      LSTM, 19, .o = {.forget_bias = 1}},
    {"lstm, wide",                LSTM, 40, .states = true, .cell = true, .o = {.one_bias = true}},
    {"lstm, lengths",             LSTM, 19, .lengths = true, .cell = true, .o = {.reverse = false}},
    {"lstm, all at once",         LSTM, 33, .lengths = true, .states = true, .cell = true,
                                            .o = {.reverse = true, .peepholes = true}},
    {"lstm, its cell alone",      LSTM, 19, .lengths = true, .cell = true, .last = true, .o = {.one_bias = true}},
    {"lstm of 1997",              LSTM, 19, .states = true, .o = {.no_forget = true}},
    {"lstm of 1997, peepholes",   LSTM, 19, .lengths = true, .cell = true, .o = {.no_forget = true, .peepholes = true}},
    {"lstm, peepholes",           LSTM, 19, .o = {.peepholes = true}},
    {"lstm, no bias",             LSTM, 19, .states = true, .o = {.no_bias = true}},
    {"gru, no bias",              GRU,  19, .lengths = true, .o = {.no_bias = true}},
    {"gru",                       GRU,  19, .o = {.reverse = false}},
    {"gru, one bias, state",      GRU,  40, .states = true, .o = {.one_bias = true}},
    {"gru, lengths, reverse",     GRU,  33, .lengths = true, .states = true, .o = {.reverse = true}},
    {"gru, reset before",         GRU,  19, .states = true, .o = {.reset_before = true}},
    {"gru, reset before, lengths", GRU, 40, .lengths = true, .o = {.reset_before = true, .reverse = true}},
};
/* clang-format on */
enum { FORMS = sizeof forms / sizeof *forms };

static int length_of(int n) { return n * 7 % (STEPS + 1); } /* 0 to STEPS */

#define P(g, name, ...) \
    nn_param(g, name, NN_SHAPE(__VA_ARGS__), ((struct nn_init){NN_INIT_UNIFORM, 0.5f}))

/* ------------------------------------------------- the equations, written out */

/* Parameters by the names that the layer gives them, and what the equations carry on. */
struct cell {
    const struct form *f;
    nn_value w, u, b, b2, peep, h, c; /* b2: of the hidden product, where it is apart */
};

static nn_value times(nn_value x, nn_value w) { return nn_matmul(x, nn_transpose(w)); }
static nn_value one_minus(nn_value x) { return nn_offset(nn_neg(x), 1); }

static nn_value part(nn_value x, int gate, int hidden)
{
    return nn_slice(x, nn_rank(x) - 1, gate * hidden, (gate + 1) * hidden);
}

static nn_value rows_of(nn_value w, int from, int to, int hidden)
{
    return nn_slice(w, 0, from * hidden, to * hidden);
}

static nn_value peephole(const struct cell *k, int which, nn_value c)
{
    const nn_value p = nn_slice(k->peep, 0, which, which + 1);
    return nn_mul(c, nn_sum(p, 0));
}

static nn_value step_rnn(struct cell *k, nn_value x)
{
    const nn_value z = nn_add(nn_add(nn_add(times(x, k->w), times(k->h, k->u)), k->b), k->b2);
    return k->f->o.relu ? nn_relu(z) : nn_tanh(z);
}

static nn_value step_lstm(struct cell *k, nn_value x, nn_value *c)
{
    const int H = k->f->hidden, F = 1, G = k->f->o.no_forget ? 1 : 2, O = G + 1;
    const nn_value z = nn_add(nn_add(nn_add(times(x, k->w), times(k->h, k->u)), k->b), k->b2);
    const bool peep = k->f->o.peepholes;
    nn_value i = part(z, 0, H), o = part(z, O, H);
    i = nn_sigmoid(peep ? nn_add(i, peephole(k, 0, k->c)) : i);
    nn_value kept = k->c;
    if (!k->f->o.no_forget) {
        const nn_value f = part(z, F, H);
        kept = nn_mul(kept, nn_sigmoid(peep ? nn_add(f, peephole(k, 1, k->c)) : f));
    }
    *c = nn_add(kept, nn_mul(i, nn_tanh(part(z, G, H))));
    o = nn_sigmoid(peep ? nn_add(o, peephole(k, 2, *c)) : o);
    return nn_mul(o, nn_tanh(*c));
}

static nn_value step_gru(struct cell *k, nn_value x)
{
    const int H = k->f->hidden;
    const nn_value a = nn_add(times(x, k->w), k->b);
    const nn_value s = nn_add(times(k->h, rows_of(k->u, 0, 2, H)), rows_of(k->b2, 0, 2, H));
    const nn_value r = nn_sigmoid(nn_add(part(a, 0, H), part(s, 0, H)));
    const nn_value z = nn_sigmoid(nn_add(part(a, 1, H), part(s, 1, H)));
    const nn_value u = rows_of(k->u, 2, 3, H), b = rows_of(k->b2, 2, 3, H);
    const nn_value inner =
        k->f->o.reset_before ? times(nn_mul(r, k->h), u) : nn_mul(r, nn_add(times(k->h, u), b));
    const nn_value n = nn_tanh(nn_add(part(a, 2, H), inner));
    return nn_add(nn_mul(one_minus(z), n), nn_mul(z, k->h));
}

/* [N,H] of 1 where the sample has step t, else 0. */
static nn_value mask_of(struct nn_graph *g, const struct form *f, int t)
{
    static float masks[STEPS][BATCH * MOST];
    static const char *const names[] = {"m0", "m1", "m2", "m3", "m4"};
    for (int i = 0; i < BATCH * f->hidden; i++)
        masks[t][i] = t < length_of(i / f->hidden) ? 1 : 0;
    return nn_const(g, names[t], NN_SHAPE(BATCH, f->hidden), masks[t]);
}

static nn_value mix(nn_value mask, nn_value now, nn_value before)
{
    return nn_add(nn_mul(mask, now), nn_mul(one_minus(mask), before));
}

static nn_value written_out(struct nn_graph *g, const struct form *f, nn_value x, nn_value h0,
                            nn_value c0, nn_value *c_end)
{
    static const float zeros[4 * MOST * BATCH];
    const int H = f->hidden, gates = f->kind == RNN ? 1 : f->kind == GRU || f->o.no_forget ? 3 : 4;
    const nn_value none = nn_const(g, "none", NN_SHAPE(gates * H), zeros);
    const nn_value start = nn_const(g, "start", NN_SHAPE(BATCH, H), zeros);
    struct cell k = {.f = f, .h = f->states ? h0 : start, .c = f->states ? c0 : start};
    nn_value y[STEPS];
    nn_row(g, "layer");
    k.w = P(g, "weight_ih", gates * H, INPUT);
    k.u = P(g, "weight_hh", gates * H, H);
    k.b = f->o.no_bias ? none : P(g, "bias_ih", gates * H);
    k.b2 = f->o.no_bias || f->o.one_bias || f->o.reset_before ? none : P(g, "bias_hh", gates * H);
    if (f->o.peepholes)
        k.peep = P(g, "peep", 3, H);
    for (int s = 0; s < STEPS; s++) {
        const int t = f->o.reverse ? STEPS - 1 - s : s;
        const nn_value xt = nn_at(x, t);
        nn_value c = k.c;
        nn_value h = f->kind == RNN   ? step_rnn(&k, xt)
                     : f->kind == GRU ? step_gru(&k, xt)
                                      : step_lstm(&k, xt, &c);
        if (f->lengths) {
            const nn_value mask = mask_of(g, f, t);
            y[t] = nn_mul(mask, h);
            h = mix(mask, h, k.h);
            c = mix(mask, c, k.c);
        } else {
            y[t] = h;
        }
        k.h = h;
        k.c = c;
        y[t] = nn_reshape(y[t], NN_SHAPE(1, H));
    }
    *c_end = k.c;
    return nn_join_(1, STEPS, y, NN_HERE);
}

/* ------------------------------------------------------------- two programs */

static nn_value layer(const struct form *f, nn_value x, nn_value h0, nn_value c0, nn_value length)
{
    struct nn_recurrent_opts o = f->o;
    const struct nn_init uniform = {NN_INIT_UNIFORM, 0.5f};
    o.hidden = f->hidden;
    o.input = o.recurrent = uniform;
    if (o.forget_bias == 0)
        o.bias = uniform;
    if (f->lengths)
        o.length = length;
    if (f->states)
        o.h0 = h0;
    if (f->states && f->kind == LSTM)
        o.c0 = c0;
    nn_row(x.graph, "layer");
    return f->kind == RNN    ? nn_rnn_(x, o, NN_HERE)
           : f->kind == LSTM ? nn_lstm_(x, o, NN_HERE)
                             : nn_gru_(x, o, NN_HERE);
}

struct run {
    struct nn_graph *g;
    struct program *p;
};

static void set_values(struct program *p)
{
    const struct tensor *t;
    for (int i = 0; (t = program_tensor(p, TENSOR_PARAM, i)); i++) {
        struct rng r = rng_make(3, rng_stream(t->name));
        for (size_t k = 0; k < t->elements; k++)
            ((float *)t->data)[k] = (float)rng_unit(&r) - 0.5f;
    }
    for (int i = 0; (t = program_tensor(p, TENSOR_INPUT, i)); i++)
        for (size_t n = 0; n < t->elements; n++)
            ((int32_t *)t->data)[n] = length_of((int)n);
}

/* y and c_end become parameters; the loss is their product with what was drawn for "probe". */
static struct run make(const struct form *f, bool fused, int threads)
{
    struct run r = {.g = graph_new(BATCH)};
    struct nn_graph *g = r.g;
    const int H = f->hidden;
    nn_value length = {0}, c_end = {0};
    if (f->lengths)
        length = nn_input(g, "length", NN_I32, NN_SCALAR);
    const nn_value x = P(g, "x", BATCH, STEPS, INPUT), h0 = P(g, "h0", BATCH, H),
                   c0 = P(g, "c0", BATCH, H);
    const nn_value y = fused ? layer(f, x, h0, c0, length) : written_out(g, f, x, h0, c0, &c_end);
    if (fused && f->cell)
        c_end = nn_final_cell(y);
    nn_row(g, "result");
    nn_value loss = nn_sum(nn_sum(nn_sum(nn_mul(y, P(g, "probe", BATCH, STEPS, H)), 2), 1), 0);
    const nn_value of_c =
        f->cell ? nn_sum(nn_sum(nn_mul(c_end, P(g, "probe_c", BATCH, H)), 1), 0) : loss;
    loss = f->last ? of_c : f->cell ? nn_add(loss, of_c) : loss;
    nn_assign(P(g, "y", BATCH, STEPS, H), y);
    if (f->cell)
        nn_assign(P(g, "c", BATCH, H), c_end);
    nn_minimize(loss);
    struct err err = {0};
    r.p = program_new(g, &(struct program_options){.threads = threads, .train = true, .seed = 1},
                      &err);
    if (!r.p) {
        printf("Bail out! %s: %s\n", f->name, err.text);
        exit(EXIT_FAILURE);
    }
    set_values(r.p);
    return r;
}

static void release(struct run *r)
{
    program_free(r->p);
    graph_free(r->g);
}

static double worst_of(const struct tensor *a, const struct tensor *b)
{
    double worst = 0;
    const float *x = a->data, *y = b->data;
    for (size_t i = 0; i < a->elements; i++) {
        const double error = fabs((double)x[i] - (double)y[i]) / (1 + fabs((double)y[i]));
        worst = error <= worst ? worst : error;
    }
    return worst;
}

static void check_form(const struct form *f)
{
    struct run a = make(f, true, 2), b = make(f, false, 1);
    struct err err = {0};
    const struct tensor *t;
    program_count(a.p);
    ok(program_run(a.p) && program_run(b.p), "%s: runs", f->name);
    ok(program_audit(a.p, &err), "%s: FLOPs as counted: %s", f->name, err.text);
    double values = 0, grads = 0;
    int checked = 0;
    const char *const results[] = {"result.y", "result.c"};
    for (int i = 0; i < (f->cell ? 2 : 1); i++)
        values = fmax(values, worst_of(program_find(a.p, TENSOR_PARAM, results[i]),
                                       program_find(b.p, TENSOR_PARAM, results[i])));
    for (int i = 0; (t = program_tensor(b.p, TENSOR_GRAD, i)); i++, checked++) {
        const struct tensor *const mine = program_find(a.p, TENSOR_GRAD, t->name);
        const double worst = worst_of(mine, t);
        if (!(worst < 1e-5))
            printf("# %s: %g\n", t->name, worst);
        grads = worst <= grads ? grads : worst;
    }
    is_near(values, 0, 3e-6, "%s: as written out", f->name);
    is_near(grads, 0, 1e-5, "%s: %d gradients", f->name, checked);
    release(&a);
    release(&b);
}

static void check_threads(const struct form *f)
{
    struct run one = make(f, true, 1);
    program_run(one.p);
    for (int threads = 2; threads <= 3; threads++) {
        struct run more = make(f, true, threads);
        program_run(more.p);
        const struct tensor *t;
        bool same = true;
        for (int kind = TENSOR_PARAM; kind <= TENSOR_GRAD; kind++)
            for (int i = 0; (t = program_tensor(one.p, kind, i)); i++)
                same &= memcmp(t->data, program_find(more.p, kind, t->name)->data,
                               t->elements * sizeof(float)) == 0;
        ok(same, "%s: the same bits with %d threads", f->name, threads);
        release(&more);
    }
    release(&one);
}

/* Biases that are asked for: of units that keep for 2, 4, 6 and 8 steps. */
static void check_span(void)
{
    enum { H = 4, SPAN = 10 };
    struct nn_graph *g = graph_new(1);
    const nn_value x = P(g, "x", 1, 2, 3);
    nn_row(g, "lstm");
    const nn_value a = nn_last(nn_lstm(x, H, .span = SPAN), (nn_value){0});
    nn_row(g, "gru");
    const nn_value b = nn_last(nn_gru(x, H, .span = SPAN), (nn_value){0});
    nn_minimize(nn_mean(nn_mean(nn_add(a, b), 1), 0));
    struct program *p = program_new(g, &(struct program_options){.threads = 1}, NULL);
    const float *lstm = program_find(p, TENSOR_PARAM, "lstm.bias_ih")->data,
                *gru = program_find(p, TENSOR_PARAM, "gru.bias_ih")->data;
    double worst = 0, rest = 0;
    for (int j = 0; j < H; j++) {
        const double kept = log(2.0 * (j + 1));
        worst = fmax(worst, fabs((double)lstm[H + j] - kept) + fabs((double)lstm[j] + kept));
        worst = fmax(worst, fabs((double)gru[H + j] - kept));
        rest += fabs((double)lstm[2 * H + j]) + fabs((double)lstm[3 * H + j]);
        rest += fabs((double)gru[j]) + fabs((double)gru[2 * H + j]);
    }
    is_near(worst, 0, 1e-6, "span: logarithms at f and z, the negative at i");
    is_near(rest, 0, 0, "and nothing elsewhere");
    program_free(p);
    graph_free(g);
}

int main(void)
{
    struct err err = {0};
    if (!kn_init(NULL, &err))
        return EXIT_FAILURE;
    for (int i = 0; i < FORMS; i++)
        check_form(&forms[i]);
    for (int i = 0; i < FORMS; i++)
        check_threads(&forms[i]);
    check_span();
    return done();
}
