/* recurrent_grad.c — the gradients of recurrent layers.
 *
 *     recurrent_grad    da [N,T,G H], in place of the gates; leaves dh0, dc0, dpeep behind y
 * (left.c) recurrent_weight  dU = da^T (h before each step), one product as deep as batch and time;
 *                       rows of the GRU's n apart, see kernels/recurrent.h
 *     recurrent_bias    of the GRU's U h + b in n: the sum over batch and time
 *
 * W, b and x get theirs from da as any linear layer does. */
#include "graph/ops/recurrent.h"

#include <string.h>

/* ------------------------------------------------------------ recurrent_grad */

static struct kn_recurrent of_step(const struct step *s)
{
    const struct node *y = s->in_node[GRAD_Y];
    const struct record at = record_of(y);
    float *const record = record_at(y, s->in[GRAD_Y]);
    struct kn_recurrent r = recurrent_of(y, s->in[GRAD_Y]);
    const struct attr *a = &s->node->attr;
    r.gates = (float *)(uintptr_t)s->in[GRAD_GATES];
    r.dgates = s->out;
    r.w = s->in[GRAD_WEIGHT];
    r.length = optional_in(s, AT_LENGTH);
    r.c0 = optional_in(s, AT_C0);
    r.dy = optional_in(s, AT_DY);
    r.dc_end = optional_in(s, AT_DC_END);
    attend_of_step(s, y, &r);
    if (kn_cell_is_lstm(r.cell))
        r.peep = optional_in(s, AT_OWN);
    r.dh0 = a->wants_h0 ? record + at.dh0 : NULL;
    r.dc0 = a->wants_c0 ? record + at.dc0 : NULL;
    r.dpeep = r.peep ? record + at.dpeep : NULL;
    return r;
}

static void run_grad(const struct step *s, const struct crew *crew)
{
    const struct kn_recurrent r = of_step(s);
    kn->recurrent_grad_f32(&r, crew, s->work);
}

static size_t work_grad(const struct step *s, int threads)
{
    const struct kn_recurrent r = of_step(s);
    return kn->recurrent_work_f32(&r, threads);
}

/* Nothing comes from behind the last step. Then of each unit: slopes, products and what is carried.
 */
static double flops_grad(const struct nn_graph *g, const struct node *n)
{
    static const int cell[] = {[KN_RNN_TANH] = 4,   [KN_RNN_RELU] = 3, [KN_LSTM] = 24,
                               [KN_LSTM_1997] = 19, [KN_GRU] = 18,     [KN_GRU_BEFORE] = 19};
    const struct nn_shape *y = &input_of(g, n, GRAD_Y)->shape;
    const double rows = (double)y->dim[0] * (y->dim[1] - (n->attr.wants_h0 ? 0 : 1)), H = y->dim[2];
    const int G = kn_cell_gates(n->attr.algo);
    const bool peep = kn_cell_is_lstm(n->attr.algo) && n->attr.at_in[AT_OWN];
    const int each = cell[n->attr.algo] + (peep ? 4 * (G - 1) : 0);
    return 2.0 * rows * G * H * H + (double)shape_elements(y) * each +
           attend_grad_flops(input_of(g, n, GRAD_Y), rows);
}

const struct op op_recurrent_grad = {
    .name = "recurrent_grad",
    .flags = OP_IN_PLACE,
    .flops = flops_grad,
    .work = work_grad,
    .run = run_grad,
};

/* ----------------------------------------------------------- recurrent_weight */

/* Gates [from, to) of U: dU = d^T h, d being `ld` apart. */
static struct kn_gemm gates_product(const struct step *s, int from, int to, const float *d,
                                    size_t ld, const float *h)
{
    const int H = s->node->shape.dim[1];
    const struct nn_shape *y = &s->in_node[1]->shape;
    return (struct kn_gemm){
        .M = (to - from) * H,
        .N = H,
        .K = y->dim[0] * y->dim[1],
        .ta = true,
        .a = d,
        .b = h,
        .c = (float *)s->out + (size_t)from * (size_t)H * (size_t)H,
        .lda = ld,
        .ldb = (size_t)H,
        .ldc = (size_t)H,
    };
}

/* One product, or for a GRU two. */
static int products_of(const struct step *s, struct kn_gemm out[2])
{
    const struct kn_recurrent r = recurrent_of(s->in_node[1], s->in[1]);
    const size_t H = (size_t)r.H;
    const int G = kn_cell_gates(r.cell);
    const float *const da = s->in[0];
    if (r.cell != KN_GRU && r.cell != KN_GRU_BEFORE) {
        out[0] = gates_product(s, 0, G, da, (size_t)G * H, r.before);
        return 1;
    }
    out[0] = gates_product(s, 0, 2, da, 3 * H, r.before);
    out[1] = r.cell == KN_GRU ? gates_product(s, 2, 3, r.extra, H, r.before)
                              : gates_product(s, 2, 3, da + 2 * H, 3 * H, r.extra);
    return 2;
}

static void run_weight(const struct step *s, const struct crew *crew)
{
    struct kn_gemm gemm[2];
    run_gemms(gemm, products_of(s, gemm), crew, s->work);
}

static size_t work_weight(const struct step *s, int threads)
{
    struct kn_gemm gemm[2];
    return gemms_work(gemm, products_of(s, gemm), threads);
}

static double macs_weight(const struct nn_graph *g, const struct node *n)
{
    const struct nn_shape *y = &input_of(g, n, 1)->shape;
    return (double)y->dim[0] * y->dim[1] * n->shape.dim[0] * n->shape.dim[1];
}

static double flops_weight(const struct nn_graph *g, const struct node *n)
{
    return 2.0 * macs_weight(g, n);
}

static const char *kernel_weight(const struct node *n) { return (void)n, "gemm_f32 TN"; }

const struct op op_recurrent_weight = {
    .name = "recurrent_weight",
    .macs = macs_weight,
    .flops = flops_weight,
    .work = work_weight,
    .run = run_weight,
    .kernel = kernel_weight,
};

/* -------------------------------------------------------------- recurrent_bias */

static struct channels hidden_of(const struct step *s)
{
    const struct nn_shape *y = &s->in_node[1]->shape;
    return (struct channels){(size_t)y->dim[0] * (size_t)y->dim[1], (size_t)y->dim[2], 1};
}

static void run_bias(const struct step *s, const struct crew *crew)
{
    const struct kn_recurrent r = recurrent_of(s->in_node[1], s->in[1]);
    column_sums(crew, hidden_of(s), 1.0f, r.extra, NULL, s->out, s->work);
}

static size_t work_bias(const struct step *s, int threads)
{
    return (void)threads, column_sums_work(hidden_of(s));
}

static double flops_bias(const struct nn_graph *g, const struct node *n)
{
    return (double)shape_elements(&input_of(g, n, 1)->shape);
}

const struct op op_recurrent_bias = {
    .name = "recurrent_bias",
    .flops = flops_bias,
    .work = work_bias,
    .run = run_bias,
};

/* ------------------------------------------------------------------ grad() */

static nn_value grad_gates(struct nn_graph *g, int id, nn_value dy)
{
    nn_value in[NODE_INPUTS] = {in_of(g, id, 0), value_of(g, id), in_of(g, id, 1)};
    struct attr attr = g->node[id].attr;
    int count = 3;
    attr.behind = 0;
    attr.wants_h0 = optional_wanted(g, id, AT_H0);
    attr.wants_c0 = optional_wanted(g, id, AT_C0);
    take_input(in, &count, &attr, AT_LENGTH, optional_in_of(g, id, AT_LENGTH));
    take_input(in, &count, &attr, AT_C0, optional_in_of(g, id, AT_C0));
    take_input(in, &count, &attr, AT_OWN,
               kn_cell_is_lstm(attr.algo) ? optional_in_of(g, id, AT_OWN) : value_failed);
    take_input(in, &count, &attr, AT_DY, dy);
    take_input(in, &count, &attr, AT_DC_END,
               attr.also[ALSO_CELL] ? value_of(g, attr.also[ALSO_CELL]) : value_failed);
    attend_grad_inputs(g, id, in, &count, &attr);
    return emit(g, &op_recurrent_grad, g->node[id].in[GATES], attr, count, in);
}

void recurrent_grad(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    const struct attr a = g->node[id].attr;
    const struct record at = record_of(&g->node[id]);
    const int h0 = a.at_in[AT_H0], c0 = a.at_in[AT_C0], own = a.at_in[AT_OWN];
    g->node[id].attr.keeps = true;
    g->node[id].attr.behind = at.end;
    const nn_value da = grad_gates(g, id, dy);
    dx[GATES] = da;
    if (grad_wanted(g, id, HIDDEN_WEIGHT))
        dx[HIDDEN_WEIGHT] = EMIT(g, &op_recurrent_weight, g->node[id].in[HIDDEN_WEIGHT], NO_ATTR,
                                 da, value_of(g, id));
    if (h0 && grad_wanted(g, id, h0))
        dx[h0] = left_behind(da, value_of(g, id), g->node[id].in[h0], at.dh0);
    if (c0 && grad_wanted(g, id, c0))
        dx[c0] = left_behind(da, value_of(g, id), g->node[id].in[c0], at.dc0);
    attend_grads(g, id, da, dx);
    if (!own || !grad_wanted(g, id, own))
        return;
    if (kn_cell_is_lstm(a.algo))
        dx[own] = left_behind(da, value_of(g, id), g->node[id].in[own], at.dpeep);
    else
        dx[own] = EMIT(g, &op_recurrent_bias, g->node[id].in[own], NO_ATTR, da, value_of(g, id));
}
