/* recurrent.c — recurrent layers: Elman's network, LSTM, GRU; formulas in kernels/recurrent.h.
 *
 *     a = x W^T + b       [N,T,C] -> [N,T,G H]    an ordinary linear layer, all steps at once
 *     y = rnn(a, U)       [N,T,G H] -> [N,T,H]    the loop over time; op names rnn, lstm, gru
 *
 * Two biases are one, added beforehand, but for the GRU that resets after the product: its n has
 * U h + b inside, which is an input of the loop. `a` belongs to the loop alone and is spoilt by it:
 * where a backward pass follows, the gates take its place, and their gradient takes theirs.
 * What else that pass needs lies behind y (struct record). */
#include "graph/ops/recurrent.h"

#include <math.h>

/* ------------------------------------------------------------------ running */

struct record record_of(const struct node *y)
{
    const size_t N = (size_t)y->shape.dim[0], H = shape_last(&y->shape),
                 all = shape_elements(&y->shape);
    const size_t T = (size_t)y->shape.dim[1], S = (size_t)y->attr.S, A = (size_t)y->attr.A,
                 E = (size_t)y->attr.E;
    const int cell = y->attr.algo;
    struct record r = {.c_end = 0};
    r.context = kn_cell_is_lstm(cell) ? N * H : 0;
    r.alpha = r.context + N * T * E;
    r.kept = r.dh0 = r.alpha + N * T * S;
    r.dc0 = r.dh0 + N * H;
    r.dpeep = r.dc0 + (kn_cell_is_lstm(cell) ? N * H : 0);
    r.dv = r.dpeep + (kn_cell_is_lstm(cell) ? 3 * H : 0);
    r.dkeys = r.dv + A;
    r.dvalues = r.dkeys + N * S * A;
    r.before = r.dvalues + N * S * E;
    r.extra = r.before + all;
    r.query = r.extra + (cell == KN_RNN_TANH || cell == KN_RNN_RELU ? 0 : all);
    r.end = r.query + N * T * A;
    return r;
}

struct kn_recurrent recurrent_of(const struct node *y, const void *out)
{
    const struct record at = record_of(y);
    float *const record = record_at(y, out);
    const bool keeps = y->attr.keeps;
    return (struct kn_recurrent){
        .cell = y->attr.algo,
        .N = y->shape.dim[0],
        .T = y->shape.dim[1],
        .H = y->shape.dim[2],
        .reverse = y->attr.reverse,
        .y = (float *)(uintptr_t)out,
        .c_end = kn_cell_is_lstm(y->attr.algo) ? record + at.c_end : NULL,
        .before = keeps ? record + at.before : NULL,
        .extra = keeps && at.query > at.extra ? record + at.extra : NULL,
    };
}

static struct kn_recurrent of_step(const struct step *s)
{
    struct kn_recurrent r = recurrent_of(s->node, s->out);
    r.gates = (float *)(uintptr_t)s->in[GATES]; /* nobody else reads it, see above */
    r.w = s->in[HIDDEN_WEIGHT];
    r.length = optional_in(s, AT_LENGTH);
    r.h0 = optional_in(s, AT_H0);
    r.c0 = optional_in(s, AT_C0);
    attend_of_step(s, s->node, &r);
    if (kn_cell_is_lstm(r.cell))
        r.peep = optional_in(s, AT_OWN);
    else
        r.bias = optional_in(s, AT_OWN);
    return r;
}

static void run(const struct step *s, const struct crew *crew)
{
    const struct kn_recurrent r = of_step(s);
    kn->recurrent_f32(&r, crew, s->work);
}

static size_t work(const struct step *s, int threads)
{
    const struct kn_recurrent r = of_step(s);
    return kn->recurrent_work_f32(&r, threads);
}

static double steps_of(const struct node *n) { return (double)n->shape.dim[0] * n->shape.dim[1]; }

static double macs(const struct nn_graph *g, const struct node *n)
{
    const double H = n->shape.dim[2];
    return (void)g, steps_of(n) * kn_cell_gates(n->attr.algo) * H * H + attend_macs(n);
}

/* The first step begins with zeros: no product. Then of each unit: sums of the gates, sigma (4),
 * tanh, ... */
static double flops(const struct nn_graph *g, const struct node *n)
{
    static const int cell[] = {
        [KN_RNN_TANH] = 1 + 1,          [KN_RNN_RELU] = 1 + 1,    [KN_LSTM] = 4 + 12 + 2 + 4,
        [KN_LSTM_1997] = 3 + 8 + 2 + 3, [KN_GRU] = 3 + 8 + 1 + 5, [KN_GRU_BEFORE] = 3 + 8 + 1 + 4};
    const double T = n->shape.dim[1], H = n->shape.dim[2],
                 products = T - (n->attr.at_in[AT_H0] == 0);
    const bool peep = kn_cell_is_lstm(n->attr.algo) && n->attr.at_in[AT_OWN];
    const int each = cell[n->attr.algo] + (peep ? 2 * (kn_cell_gates(n->attr.algo) - 1) : 0);
    const double G = kn_cell_gates(n->attr.algo);
    return (void)g, steps_of(n) * H * (2.0 * G * H * products / T + each) +
                        attend_flops(n, n->shape.dim[0] * products);
}

/* ------------------------------------------------------------- construction */

/* One of the family, as the plugin asked for it. */
struct kind {
    const struct op *op;
    int cell;
    bool peep, two_biases, after; /* after: a bias inside of n */
};

static bool like(nn_value v, const struct nn_shape *want, int type, const char *what,
                 const struct kind *k, const char *at)
{
    if (v.graph == NULL)
        return true; /* not given */
    const int rank = shape_rank(want);
    if (v.id < 0 || !operand_ok(v, type, rank, rank, k->op->name, at))
        return false;
    char a[64], b[64];
    if (shape_equal(&node_of(v)->shape, want))
        return true;
    (void)graph_fail(v.graph, at, k->op->name, "%s is %s, wanted %s", what,
                     shape_text(&node_of(v)->shape, v.graph->batch, a),
                     shape_text(want, v.graph->batch, b));
    return false;
}

/* Biases at 0, but of the gate that keeps, which is the second one of f's and z's layers alike, and
 * of the LSTM's i, the first. Unit j keeps for about e^b steps. */
static nn_value first_bias(struct nn_graph *g, const struct kind *k, int gates,
                           const struct nn_recurrent_opts *o, const char *at)
{
    const int H = o->hidden;
    const nn_value b = nn_param_(g, "bias_ih", NN_SHAPE(gates * H), bias_init(o->bias), at);
    if ((o->forget_bias == 0.0f && o->span == 0) || b.id < 0)
        return b;
    float *data = arena_alloc(g->arena, (size_t)(gates * H) * sizeof *data);
    for (int j = 0; j < H; j++) {
        const double steps = 1 + (o->span - 2) * (j + 0.5) / H;
        data[H + j] = o->span ? (float)log(steps) : o->forget_bias;
        data[j] = o->span && k->cell == KN_LSTM ? -data[H + j] : 0.0f;
    }
    node_of(b)->attr.data = data;
    return b;
}

/* The bias of the product by x, and of the GRU's U h in n (*inner); without, W x alone. */
static nn_value biases(struct nn_graph *g, const struct kind *k, int gates,
                       const struct nn_recurrent_opts *o, nn_value *inner, const char *at)
{
    const int H = o->hidden;
    *inner = (nn_value){0};
    if (o->no_bias)
        return (nn_value){0};
    const nn_value b = first_bias(g, k, gates, o, at);
    if (!k->two_biases)
        return b;
    const nn_value c = nn_param_(g, "bias_hh", NN_SHAPE(gates * H), bias_init(o->bias), at);
    if (!k->after)
        return nn_add_(b, c, at);
    *inner = nn_slice_(c, 0, 2 * H, 3 * H, at);
    return nn_add_(b, nn_pad_(nn_slice_(c, 0, 0, 2 * H, at), 0, 0, H, at), at);
}

static bool options_ok(nn_value x, const struct nn_recurrent_opts *o, const struct kind *k,
                       const char *at)
{
    const char *const name = k->op->name;
    if (!operand_ok(x, NN_F32, 3, 3, name, at))
        return false;
    struct nn_graph *g = x.graph;
    if (o->hidden < 1 || o->hidden > INT32_MAX / 4)
        return (void)graph_fail(g, at, name, "%d hidden units", o->hidden), false;
    const bool keeps = k->cell == KN_LSTM || k->cell == KN_GRU || k->cell == KN_GRU_BEFORE;
    if ((o->forget_bias != 0.0f || o->span != 0) &&
        (!keeps || o->bias.kind != NN_INIT_DEFAULT || o->no_bias))
        return (void)graph_fail(g, at, name,
                                "forget_bias and span are for an LSTM with a forget gate or a GRU, "
                                "and no bias init"),
               false;
    if (o->span < 0 || o->span == 1 || (o->span && o->forget_bias != 0.0f))
        return (void)graph_fail(
                   g, at, name,
                   "span %d, forget_bias %g: wanted one of them, a span of 2 steps or more",
                   o->span, (double)o->forget_bias),
               false;
    if (o->c0.graph && !kn_cell_is_lstm(k->cell))
        return (void)graph_fail(g, at, name, "c0 is for an LSTM"), false;
    const struct nn_shape rows = NN_SHAPE(node_of(x)->shape.dim[0]),
                          state = NN_SHAPE(node_of(x)->shape.dim[0], o->hidden);
    return attend_options_ok(x, o, name, at) && like(o->length, &rows, NN_I32, "length", k, at) &&
           like(o->h0, &state, NN_F32, "h0", k, at) && like(o->c0, &state, NN_F32, "c0", k, at);
}

static nn_value layer(nn_value x, const struct nn_recurrent_opts *o, const struct kind *k,
                      const char *at)
{
    if (!options_ok(x, o, k, at))
        return value_failed;
    struct nn_graph *g = x.graph;
    struct nn_shape shape = node_of(x)->shape;
    const int gates = kn_cell_gates(k->cell), C = shape.dim[2], H = o->hidden;
    const int E = o->attend_keys.graph ? nn_dim(attended_values(o), 2) : 0;
    const nn_value w = nn_param_(g, "weight_ih", NN_SHAPE(gates * H, C + E), o->input, at);
    const nn_value u = nn_param_(g, "weight_hh", NN_SHAPE(gates * H, H), o->recurrent, at);
    nn_value own, in[NODE_INPUTS];
    const nn_value bias = biases(g, k, gates, o, &own, at);
    if (k->peep)
        own = nn_param_(g, "peep", NN_SHAPE(3, H), NN_ZEROS, at);
    shape.dim[2] = gates * H;
    in[GATES] = node_add(g, &op_linear, shape, NN_F32, (struct attr){.bias_in = o->no_bias ? 0 : 2},
                         o->no_bias ? 2 : 3, (nn_value[]){x, w, bias}, at);
    in[HIDDEN_WEIGHT] = u;
    struct attr attr = {.algo = k->cell, .reverse = o->reverse};
    int count = 2;
    take_input(in, &count, &attr, AT_LENGTH, o->length);
    take_input(in, &count, &attr, AT_H0, o->h0);
    take_input(in, &count, &attr, AT_C0, o->c0);
    take_input(in, &count, &attr, AT_OWN, own);
    attend_inputs(g, o, w, in, &count, &attr, at);
    shape.dim[2] = H;
    attr.behind = record_of(&(const struct node){.shape = shape, .attr = attr}).kept;
    return node_add(g, k->op, shape, NN_F32, attr, count, in, at);
}

nn_value nn_rnn_(nn_value x, struct nn_recurrent_opts o, const char *at)
{
    const struct kind k = {
        .op = &op_rnn, .cell = o.relu ? KN_RNN_RELU : KN_RNN_TANH, .two_biases = !o.one_bias};
    return layer(x, &o, &k, at);
}

nn_value nn_lstm_(nn_value x, struct nn_recurrent_opts o, const char *at)
{
    const struct kind k = {.op = &op_lstm,
                           .cell = o.no_forget ? KN_LSTM_1997 : KN_LSTM,
                           .peep = o.peepholes,
                           .two_biases = !o.one_bias};
    return layer(x, &o, &k, at);
}

nn_value nn_gru_(nn_value x, struct nn_recurrent_opts o, const char *at)
{
    const struct kind k = {.op = &op_gru,
                           .cell = o.reset_before ? KN_GRU_BEFORE : KN_GRU,
                           .two_biases = !o.one_bias && !o.reset_before,
                           .after = !o.reset_before};
    return layer(x, &o, &k, at);
}

#define RECURRENT(called)                                                                   \
    {                                                                                       \
        .name = called, .grad = recurrent_grad, .macs = macs, .flops = flops, .work = work, \
        .run = run,                                                                         \
    }
const struct op op_rnn = RECURRENT("rnn");
const struct op op_lstm = RECURRENT("lstm");
const struct op op_gru = RECURRENT("gru");
