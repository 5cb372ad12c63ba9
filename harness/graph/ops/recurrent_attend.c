/* recurrent_attend.c — attention inside the loop of a recurrent layer; formulas in
 * kernels/recurrent.h.
 *
 *     recurrent_input   d weight_ih = da^T [x; context], x's columns before the context's
 *     recurrent_query   d query = dq^T (h before each step)
 *     context           the contexts c_t that the layer keeps behind y: [N,T,E]
 *
 * The first two are products as deep as batch and time, once after the loop. The gradients of keys,
 * values and v grow inside it and are left behind y (left.c). The gradient by the context is none
 * by y: the layer's own finds it through attr.also. */
#include "graph/ops/recurrent.h"

/* ------------------------------------------------------------------ for the loop */

size_t recurrent_alpha_at(const struct node *y) { return record_of(y).alpha; }

void attend_of_step(const struct step *s, const struct node *y, struct kn_recurrent *r)
{
    if (!attends(y))
        return;
    const struct attr *const a = &s->node->attr;
    const struct node *const weight = s->in_node[a->at_in[AT_INPUT_WEIGHT]];
    const struct record at = record_of(y);
    float *const record = (float *)(uintptr_t)r->y + shape_moments_at(y);
    r->attend = (struct kn_attend){
        .N = r->N,
        .T = r->T,
        .S = y->attr.S,
        .A = y->attr.A,
        .E = y->attr.E,
        .keys = optional_in(s, AT_KEYS),
        .values = optional_in(s, AT_VALUES),
        .v = optional_in(s, AT_V),
        .length = optional_in(s, AT_ATTENDED),
        .y = record + at.context,
        .alpha = record + at.alpha,
        .dquery = r->before ? record + at.query : NULL,
        .dy = optional_in(s, AT_DCONTEXT),
        .dkeys = record + at.dkeys,
        .dvalues = record + at.dvalues,
        .dv = record + at.dv,
    };
    r->query_w = optional_in(s, AT_QUERY_WEIGHT);
    r->ld_context_w = shape_last(&weight->shape);
    r->context_w = (const float *)optional_in(s, AT_INPUT_WEIGHT) + r->ld_context_w - y->attr.E;
}

static double steps_of(const struct node *y) { return (double)y->shape.dim[0] * y->shape.dim[1]; }

static double gates_of(const struct node *y)
{
    return (double)kn_cell_gates(y->attr.algo) * y->shape.dim[2];
}

double attend_macs(const struct node *y)
{
    const double H = y->shape.dim[2], S = y->attr.S, A = y->attr.A, E = y->attr.E;
    return steps_of(y) * (A * H + gates_of(y) * E + S * (A + E));
}

double attend_flops(const struct node *y, double products)
{
    const double H = y->shape.dim[2], S = y->attr.S, A = y->attr.A, E = y->attr.E;
    const double step = gates_of(y) * (2 * E + 1) + S * (4 * A + 5 + 2 * E);
    return attends(y) ? 2 * products * A * H + steps_of(y) * step : 0.0;
}

double attend_grad_flops(const struct node *y, double products)
{
    const double H = y->shape.dim[2], S = y->attr.S, A = y->attr.A, E = y->attr.E;
    const double step =
        (2 * gates_of(y) + (y->attr.also[ALSO_CONTEXT] ? 1 : 0)) * E + S * (14 * A + 4 + 4 * E);
    const double by_v = ((double)y->shape.dim[1] + S) * A * y->shape.dim[0];
    return attends(y) ? 2 * products * A * H + steps_of(y) * step + by_v : 0.0;
}

/* ------------------------------------------------------------------ construction */

static bool fits(nn_value v, const struct nn_shape *want, int type, const char *what,
                 const char *op, const char *at)
{
    const int rank = shape_rank(want);
    if (!operand_ok(v, type, rank, rank, op, at))
        return false;
    char a[64], b[64];
    if (shape_equal(&node_of(v)->shape, want))
        return true;
    (void)graph_fail(v.graph, at, op, "%s is %s, wanted %s", what,
                     shape_text(&node_of(v)->shape, v.graph->batch, a),
                     shape_text(want, v.graph->batch, b));
    return false;
}

bool attend_options_ok(nn_value x, const struct nn_recurrent_opts *o, const char *op,
                       const char *at)
{
    const nn_value keys = o->attend_keys, values = o->attend_values;
    if (!keys.graph && !values.graph && !o->attend_length.graph)
        return true;
    if (!keys.graph)
        return (void)graph_fail(x.graph, at, op,
                                "attend_values, attend_length: without attend_keys"),
               false;
    const int N = nn_dim(x, 0);
    if (!operand_ok(keys, NN_F32, 3, 3, op, at) ||
        !fits(keys, &NN_SHAPE(N, nn_dim(keys, 1), nn_dim(keys, 2)), NN_F32, "attend_keys", op, at))
        return false;
    if (values.graph && !fits(values, &NN_SHAPE(N, nn_dim(keys, 1), nn_dim(values, -1)), NN_F32,
                              "attend_values", op, at))
        return false;
    return !o->attend_length.graph ||
           fits(o->attend_length, &NN_SHAPE(N), NN_I32, "attend_length", op, at);
}

void attend_inputs(struct nn_graph *g, const struct nn_recurrent_opts *o, nn_value weight_ih,
                   nn_value *in, int *count, struct attr *attr, const char *at)
{
    const nn_value keys = o->attend_keys, values = attended_values(o);
    if (!keys.graph)
        return;
    attr->S = nn_dim(keys, 1);
    attr->A = nn_dim(keys, 2);
    attr->E = nn_dim(values, 2);
    take_input(in, count, attr, AT_KEYS, keys);
    take_input(in, count, attr, AT_VALUES, values);
    take_input(in, count, attr, AT_ATTENDED, o->attend_length);
    const struct nn_init usual = {0};
    const nn_value query = nn_param_(g, "query", NN_SHAPE(attr->A, o->hidden), usual, at);
    take_input(in, count, attr, AT_QUERY_WEIGHT, query);
    take_input(in, count, attr, AT_V, nn_param_(g, "v", NN_SHAPE(attr->A), usual, at));
    take_input(in, count, attr, AT_INPUT_WEIGHT, weight_ih);
}

/* ------------------------------------------------------------------ gradients */

void attend_grad_inputs(struct nn_graph *g, int id, nn_value *in, int *count, struct attr *attr)
{
    static const int same[] = {AT_KEYS, AT_VALUES,       AT_ATTENDED,
                               AT_V,    AT_QUERY_WEIGHT, AT_INPUT_WEIGHT};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        take_input(in, count, attr, same[i], optional_in_of(g, id, same[i]));
    const int dc = attr->also[ALSO_CONTEXT];
    take_input(in, count, attr, AT_DCONTEXT, dc ? value_of(g, dc) : value_failed);
}

void attend_grads(struct nn_graph *g, int id, nn_value da, nn_value dx[NODE_INPUTS])
{
    if (!attends(&g->node[id]))
        return;
    const struct record at = record_of(&g->node[id]);
    const struct {
        int which;
        size_t from;
    } left[] = {{AT_KEYS, at.dkeys}, {AT_VALUES, at.dvalues}, {AT_V, at.dv}};
    const uint8_t *const k = g->node[id].attr.at_in;
    const int weight = k[AT_INPUT_WEIGHT], query = k[AT_QUERY_WEIGHT];
    const nn_value y = value_of(g, id), x = in_of(g, g->node[id].in[GATES], 0);
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        const int in = g->node[id].attr.at_in[left[i].which];
        if (grad_wanted(g, id, in))
            dx[in] = left_behind(da, y, g->node[id].in[in], left[i].from);
    }
    if (grad_wanted(g, id, weight))
        dx[weight] = EMIT(g, &op_recurrent_input, g->node[id].in[weight], NO_ATTR, da, y, x);
    if (grad_wanted(g, id, query))
        dx[query] = EMIT(g, &op_recurrent_query, g->node[id].in[query], NO_ATTR, da, y);
}

/* ------------------------------------------- recurrent_input, recurrent_query */

/* out = d^T h over all rows of y, both as wide as they are. */
static struct kn_gemm over_steps(const struct node *y, const float *d, size_t wide, const float *h,
                                 size_t columns, float *out, size_t ld)
{
    return (struct kn_gemm){.M = (int)wide,
                            .N = (int)columns,
                            .K = y->shape.dim[0] * y->shape.dim[1],
                            .ta = true,
                            .a = d,
                            .b = h,
                            .c = out,
                            .lda = wide,
                            .ldb = columns,
                            .ldc = ld};
}

static void input_products(const struct step *s, struct kn_gemm out[2])
{
    const struct node *const y = s->in_node[1];
    const float *const context = record_at(y, s->in[1]) + record_of(y).context;
    const size_t GH = (size_t)s->node->shape.dim[0], ld = (size_t)s->node->shape.dim[1],
                 E = (size_t)y->attr.E, C = ld - E;
    out[0] = over_steps(y, s->in[0], GH, s->in[2], C, s->out, ld);
    out[1] = over_steps(y, s->in[0], GH, context, E, (float *)s->out + C, ld);
}

static void run_input(const struct step *s, const struct crew *crew)
{
    struct kn_gemm gemm[2];
    input_products(s, gemm);
    run_gemms(gemm, 2, crew, s->work);
}

static size_t work_input(const struct step *s, int threads)
{
    struct kn_gemm gemm[2];
    input_products(s, gemm);
    return gemms_work(gemm, 2, threads);
}

static struct kn_gemm query_product(const struct step *s)
{
    const struct node *const y = s->in_node[1];
    const struct record at = record_of(y);
    const float *const record = record_at(y, s->in[1]);
    const size_t A = (size_t)s->node->shape.dim[0], H = (size_t)s->node->shape.dim[1];
    return over_steps(y, record + at.query, A, record + at.before, H, s->out, H);
}

static void run_query(const struct step *s, const struct crew *crew)
{
    const struct kn_gemm gemm = query_product(s);
    run_gemms(&gemm, 1, crew, s->work);
}

static size_t work_query(const struct step *s, int threads)
{
    const struct kn_gemm gemm = query_product(s);
    return gemms_work(&gemm, 1, threads);
}

static double macs_weights(const struct nn_graph *g, const struct node *n)
{
    return steps_of(input_of(g, n, 1)) * (double)shape_elements(&n->shape);
}

static double flops_weights(const struct nn_graph *g, const struct node *n)
{
    return 2.0 * macs_weights(g, n);
}

static const char *kernel_weights(const struct node *n) { return (void)n, "gemm_f32 TN"; }

const struct op op_recurrent_input = {
    .name = "recurrent_input",
    .macs = macs_weights,
    .flops = flops_weights,
    .work = work_input,
    .run = run_input,
    .kernel = kernel_weights,
};

const struct op op_recurrent_query = {
    .name = "recurrent_query",
    .macs = macs_weights,
    .flops = flops_weights,
    .work = work_query,
    .run = run_query,
    .kernel = kernel_weights,
};

/* ------------------------------------------------------------------ context */

static void run_context(const struct step *s, const struct crew *crew)
{
    const struct node *const y = s->in_node[0];
    const size_t n = shape_elements(&s->node->shape);
    copy_blocks(crew, 1, n, record_at(y, s->in[0]) + record_of(y).context, n, s->out, n);
}

static void grad_context(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    (void)dx;
    if (grad_wanted(g, id, 0))
        g->node[g->node[id].in[0]].attr.also[ALSO_CONTEXT] = dy.id;
}

static double no_flops(const struct nn_graph *g, const struct node *n)
{
    return (void)g, (void)n, 0.0;
}

static double bytes_context(const struct nn_graph *g, const struct node *n)
{
    return (void)g, 8.0 * (double)shape_elements(&n->shape);
}

nn_value nn_context_(nn_value y, const char *at)
{
    if (failed(y))
        return value_failed;
    struct nn_graph *g = y.graph;
    struct nn_shape shape = node_of(y)->shape;
    if (!attends(node_of(y)))
        return graph_fail(g, at, "context", "%s attends to nothing", node_of(y)->op->name);
    for (int i = y.id; i < g->nodes; i++) /* one gradient, so one node */
        if (g->node[i].op == &op_context && g->node[i].in[0] == y.id)
            return value_of(g, i);
    shape.dim[2] = node_of(y)->attr.E;
    return node_add(g, &op_context, shape, NN_F32, NO_ATTR, 1, &y, at);
}

const struct op op_context = {
    .name = "context",
    .grad = grad_context,
    .flops = no_flops,
    .bytes = bytes_context,
    .run = run_context,
};
