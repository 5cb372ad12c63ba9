/* attend.c — attention of one sequence to another; formulas in kernels/attend.h.
 *
 *     attend       [N,T,A] [N,S,A] [N,S,E] -> [N,T,E]; alpha [N,T,S] stays behind y
 *     attend_grad  dquery, from dy; leaves dkeys, dvalues, dv behind y (left.c)
 *     attention    alpha of it, or of a recurrent layer that attends, attr.from floats behind y: for
 *                  showing, no gradient
 *
 * Where the values are the keys, dkeys is the sum of both. attr.a is the scale of q . k. */
#include "graph/ops/oplib.h"

enum { QUERY, KEYS };                            /* of attend; what else is in attr.at_in[] */
enum { GRAD_QUERY, GRAD_Y, GRAD_KEYS, GRAD_DY }; /* of attend_grad */

/* ------------------------------------------------------------------ running */

/* What lies behind y, in floats; all but alpha with a backward pass only. */
struct record {
    size_t alpha, dv, dkeys, dvalues, end;
};

static struct kn_attend sizes_of(const struct node *query, const struct node *keys,
                                 const struct node *y)
{
    const bool one = shape_rank(&query->shape) == 2;
    return (struct kn_attend){
        .N = query->shape.dim[0],
        .T = one ? 1 : query->shape.dim[1],
        .S = keys->shape.dim[1],
        .A = keys->shape.dim[2],
        .E = (int)shape_last(&y->shape),
    };
}

static struct record record_of(const struct kn_attend *a, bool own_values)
{
    const size_t N = (size_t)a->N, T = (size_t)a->T, S = (size_t)a->S, A = (size_t)a->A;
    struct record r = {.dv = N * T * S};
    r.dkeys = r.dv + A;
    r.dvalues = own_values ? r.dkeys + N * S * A : r.dkeys;
    r.end = r.dvalues + N * S * (size_t)a->E;
    return r;
}

/* Of either op; y and what lies behind it at `out`. */
static struct kn_attend attend_of(const struct step *s, int keys, const struct node *y,
                                  const void *out)
{
    struct kn_attend a = sizes_of(s->in_node[QUERY], s->in_node[keys], y);
    const float *const values = optional_in(s, AT_VALUES);
    const struct record at = record_of(&a, values != NULL);
    float *const record = record_at(y, out);
    a.query = s->in[QUERY];
    a.keys = s->in[keys];
    a.values = values ? values : a.keys;
    a.v = optional_in(s, AT_V);
    a.length = optional_in(s, AT_LENGTH);
    a.scale = s->node->attr.a;
    a.y = (float *)(uintptr_t)out;
    a.alpha = record + at.alpha;
    a.dkeys = record + at.dkeys;
    a.dvalues = record + at.dvalues;
    a.dv = a.v ? record + at.dv : NULL;
    return a;
}

static struct kn_attend backward_of(const struct step *s)
{
    struct kn_attend a = attend_of(s, GRAD_KEYS, s->in_node[GRAD_Y], s->in[GRAD_Y]);
    a.dy = s->in[GRAD_DY];
    a.dquery = s->out;
    return a;
}

static void run(const struct step *s, const struct crew *crew)
{
    const struct kn_attend a = attend_of(s, KEYS, s->node, s->out);
    kn->attend_f32(&a, crew);
}

static void run_grad(const struct step *s, const struct crew *crew)
{
    const struct kn_attend a = backward_of(s);
    kn->attend_grad_f32(&a, crew, s->work);
}

static size_t work_grad(const struct step *s, int threads)
{
    const struct kn_attend a = backward_of(s);
    return kn->attend_work_f32(&a, threads);
}

/* ------------------------------------------------------------------ costs */

static double scores_of(const struct kn_attend *a) { return (double)a->N * a->T * a->S; }

static double macs(const struct nn_graph *g, const struct node *n)
{
    const struct kn_attend a = sizes_of(input_of(g, n, QUERY), input_of(g, n, KEYS), n);
    return scores_of(&a) * ((double)a.A + a.E);
}

/* Of a score: sum, tanh and product, or product alone; softmax; the values' sum. */
static double flops(const struct nn_graph *g, const struct node *n)
{
    const struct kn_attend a = sizes_of(input_of(g, n, QUERY), input_of(g, n, KEYS), n);
    const double each = n->attr.at_in[AT_V] ? 4 : 2;
    return scores_of(&a) * (each * a.A + 5 + 2.0 * a.E);
}

static double flops_grad(const struct nn_graph *g, const struct node *n)
{
    const struct kn_attend a =
        sizes_of(input_of(g, n, GRAD_QUERY), input_of(g, n, GRAD_KEYS), input_of(g, n, GRAD_Y));
    const double key = (n->attr.at_in[AT_V] ? 14.0 : 4.0) * a.A; /* then by v, or by the scale */
    return scores_of(&a) * (4.0 * a.E + 4 + key) + (double)a.N * ((double)a.T + a.S) * a.A;
}

/* What is read, and the gradients. */
static double bytes_grad(const struct nn_graph *g, const struct node *n)
{
    const struct kn_attend a =
        sizes_of(input_of(g, n, GRAD_QUERY), input_of(g, n, GRAD_KEYS), input_of(g, n, GRAD_Y));
    const double N = a.N, E = n->attr.at_in[AT_VALUES] ? a.E : 0;
    return 4.0 * N * (a.T * (2.0 * a.A + a.E + a.S) + 2.0 * a.S * (a.A + E));
}

/* ------------------------------------------------------------------ gradient */

static void grad(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    const nn_value y = value_of(g, id), query = in_of(g, id, QUERY), keys = in_of(g, id, KEYS);
    struct attr attr = g->node[id].attr;
    const int values = attr.at_in[AT_VALUES], v = attr.at_in[AT_V];
    const struct kn_attend a = sizes_of(node_of(query), node_of(keys), node_of(y));
    const struct record at = record_of(&a, values != 0);
    nn_value in[NODE_INPUTS] = {query, y, keys, dy};
    int count = 4;
    g->node[id].attr.behind = at.end;
    attr.behind = 0;
    take_input(in, &count, &attr, AT_VALUES, optional_in_of(g, id, AT_VALUES));
    take_input(in, &count, &attr, AT_V, optional_in_of(g, id, AT_V));
    take_input(in, &count, &attr, AT_LENGTH, optional_in_of(g, id, AT_LENGTH));
    dx[QUERY] = emit(g, &op_attend_grad, query.id, attr, count, in);
    if (grad_wanted(g, id, KEYS))
        dx[KEYS] = left_behind(dx[QUERY], y, keys.id, at.dkeys);
    if (optional_wanted(g, id, AT_VALUES))
        dx[values] = left_behind(dx[QUERY], y, g->node[id].in[values], at.dvalues);
    if (optional_wanted(g, id, AT_V))
        dx[v] = left_behind(dx[QUERY], y, g->node[id].in[v], at.dv);
}

/* ------------------------------------------------------------- construction */

static bool fits(nn_value v, const struct nn_shape *want, int type, const char *what,
                 const char *at)
{
    const int rank = shape_rank(want);
    if (!operand_ok(v, type, rank, rank, "attend", at))
        return false;
    char a[64], b[64];
    if (shape_equal(&node_of(v)->shape, want))
        return true;
    (void)graph_fail(v.graph, at, "attend", "%s is %s, wanted %s", what,
                     shape_text(&node_of(v)->shape, v.graph->batch, a),
                     shape_text(want, v.graph->batch, b));
    return false;
}

static bool operands_ok(nn_value query, const struct nn_attend_opts *o, const char *at)
{
    const nn_value keys = o->keys;
    if (!operand_ok(query, NN_F32, 2, 3, "attend", at) ||
        !operand_ok(keys, NN_F32, 3, 3, "attend", at))
        return false;
    struct nn_graph *g = query.graph;
    const struct nn_shape q = node_of(query)->shape, k = node_of(keys)->shape;
    const int N = q.dim[0], A = (int)shape_last(&q), S = k.dim[1];
    if (!fits(keys, &NN_SHAPE(N, S, A), NN_F32, "keys", at))
        return false;
    if (o->values.graph &&
        !fits(o->values, &NN_SHAPE(N, S, nn_dim(o->values, -1)), NN_F32, "values", at))
        return false;
    if (o->v.graph && !fits(o->v, &NN_SHAPE(A), NN_F32, "v", at))
        return false;
    if (o->length.graph && !fits(o->length, &NN_SHAPE(N), NN_I32, "length", at))
        return false;
    if (o->v.graph && o->scale != 0.0f)
        return (void)graph_fail(g, at, "attend", "scale is for scores without v"), false;
    return true;
}

nn_value nn_attend_(nn_value query, struct nn_attend_opts o, const char *at)
{
    if (!operands_ok(query, &o, at))
        return value_failed;
    struct nn_graph *g = query.graph;
    const nn_value keys = o.keys;
    nn_value in[NODE_INPUTS] = {query, keys};
    struct attr attr = {.a = o.scale == 0.0f ? 1.0f : o.scale};
    int count = 2;
    take_input(in, &count, &attr, AT_VALUES, o.values);
    take_input(in, &count, &attr, AT_V, o.v);
    take_input(in, &count, &attr, AT_LENGTH, o.length);
    struct nn_shape shape = node_of(query)->shape;
    shape.dim[shape_rank(&shape) - 1] = nn_dim(o.values.graph ? o.values : keys, -1);
    attr.behind = shape_rows(&shape) * (size_t)nn_dim(keys, 1);
    return node_add(g, &op_attend, shape, NN_F32, attr, count, in, at);
}

const struct op op_attend = {
    .name = "attend",
    .grad = grad,
    .macs = macs,
    .flops = flops,
    .run = run,
};

const struct op op_attend_grad = {
    .name = "attend_grad",
    .flops = flops_grad,
    .bytes = bytes_grad,
    .work = work_grad,
    .run = run_grad,
};

/* ---------------------------------------------------------------- attention */

static void run_attention(const struct step *s, const struct crew *crew)
{
    const size_t n = shape_elements(&s->node->shape), from = (size_t)s->node->attr.from;
    copy_blocks(crew, 1, n, record_at(s->in_node[0], s->in[0]) + from, n, s->out, n);
}

static double no_flops(const struct nn_graph *g, const struct node *n)
{
    return (void)g, (void)n, 0.0;
}

static double bytes_attention(const struct nn_graph *g, const struct node *n)
{
    return (void)g, 8.0 * (double)shape_elements(&n->shape);
}

nn_value nn_attention_(nn_value y, const char *at)
{
    if (failed(y))
        return value_failed;
    struct nn_graph *g = y.graph;
    const struct node *n = node_of(y);
    if (n->op != &op_attend && !n->attr.A)
        return graph_fail(g, at, "attention", "%s attends to nothing", n->op->name);
    struct nn_shape shape = n->shape;
    const bool loop = n->op != &op_attend;
    shape.dim[shape_rank(&shape) - 1] = loop ? n->attr.S : g->node[n->in[KEYS]].shape.dim[1];
    const struct attr attr = {.from = loop ? (int)recurrent_alpha_at(n) : 0};
    return node_add(g, &op_attention, shape, NN_F32, attr, 1, &y, at);
}

const struct op op_attention = {
    .name = "attention",
    .flags = OP_NO_GRAD,
    .flops = no_flops,
    .bytes = bytes_attention,
    .run = run_attention,
};
