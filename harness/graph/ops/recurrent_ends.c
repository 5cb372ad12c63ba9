/* recurrent_ends.c — what is taken from a sequence of hidden states.
 *
 *     last        y[n] = x[n, length[n] - 1]          [N,T,H] -> [N,H]    dx: dy there, else 0
 *     final_cell  the c that nn_lstm() leaves behind each sequence's end: [N,H]
 *
 * A length outside [1, T] gives NaN in last, 0 none: zeros. The gradient by final_cell is none by
 * y: the LSTM's own gradient finds it through attr.also. nn_at() is a slice. */
#include "graph/ops/recurrent.h"

#include <math.h>
#include <string.h>

static double no_flops(const struct nn_graph *g, const struct node *n)
{
    return (void)g, (void)n, 0.0;
}

/* --------------------------------------------------------------------- last */

/* Of sample n; T where lengths are not given. */
static int32_t length_of(const struct step *s, size_t n, int32_t T)
{
    const int32_t *length = optional_in(s, AT_LENGTH);
    return length ? length[n] : T;
}

static void run_last(const struct step *s, const struct crew *crew)
{
    const struct nn_shape *x = &s->in_node[0]->shape;
    const size_t T = (size_t)x->dim[1], H = (size_t)x->dim[2];
    const struct range r = share_of(crew, (size_t)x->dim[0], 1);
    const float *from = s->in[0];
    float *y = s->out;
    for (size_t n = r.from; n < r.to; n++) {
        const int32_t length = length_of(s, n, x->dim[1]);
        if (length > 0 && length <= x->dim[1])
            memcpy(y + n * H, from + (n * T + (size_t)length - 1) * H, H * sizeof *y);
        else
            kn->fill_f32(H, length ? NAN : 0.0f, y + n * H);
    }
}

static void run_last_grad(const struct step *s, const struct crew *crew)
{
    const struct nn_shape *x = &s->node->shape;
    const size_t T = (size_t)x->dim[1], H = (size_t)x->dim[2];
    const struct range r = share_of(crew, (size_t)x->dim[0], 1);
    const float *dy = s->in[0];
    float *dx = s->out;
    memset(dx + r.from * T * H, 0, (r.to - r.from) * T * H * sizeof *dx);
    for (size_t n = r.from; n < r.to; n++) {
        const int32_t length = length_of(s, n, x->dim[1]);
        if (length > 0 && length <= x->dim[1])
            memcpy(dx + (n * T + (size_t)length - 1) * H, dy + n * H, H * sizeof *dx);
    }
}

static void grad_last(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    const struct node *n = &g->node[id];
    const struct attr attr = n->attr; /* the length is input 1 of either, if there is one */
    nn_value in[2] = {dy};
    if (attr.at_in[AT_LENGTH])
        in[1] = in_of(g, id, 1);
    if (grad_wanted(g, id, 0))
        dx[0] = emit(g, &op_last_grad, n->in[0], attr, attr.at_in[AT_LENGTH] ? 2 : 1, in);
}

nn_value nn_last_(nn_value x, nn_value length, const char *at)
{
    if (!operand_ok(x, NN_F32, 3, 3, "last", at) || (length.graph && length.id < 0))
        return value_failed;
    struct nn_graph *g = x.graph;
    const struct nn_shape s = node_of(x)->shape;
    char text[64];
    const bool given = length.graph != NULL;
    if (given && !operand_ok(length, NN_I32, 1, 1, "last", at))
        return value_failed;
    if (given && node_of(length)->shape.dim[0] != s.dim[0])
        return graph_fail(g, at, "last", "%s has not one length for each sequence",
                          shape_text(&node_of(length)->shape, g->batch, text));
    struct attr attr = {0};
    attr.at_in[AT_LENGTH] = given;
    return node_add(g, &op_last, NN_SHAPE(s.dim[0], s.dim[2]), NN_F32, attr, given ? 2 : 1,
                    (nn_value[]){x, length}, at);
}

const struct op op_last = {
    .name = "last",
    .grad = grad_last,
    .flops = no_flops,
    .run = run_last,
};

const struct op op_last_grad = {
    .name = "last_grad",
    .flops = no_flops,
    .run = run_last_grad,
};

/* ----------------------------------------------------------------------- at */

nn_value nn_at_(nn_value x, int t, const char *at)
{
    if (!operand_ok(x, NN_F32, 3, 3, "at", at))
        return value_failed;
    struct nn_graph *g = x.graph;
    const struct nn_shape *s = &node_of(x)->shape;
    const int T = s->dim[1], H = s->dim[2], step = t < 0 ? t + T : t;
    if (step < 0 || step >= T)
        return graph_fail(g, at, "at", "step %d of %d", t, T);
    return nn_reshape_(nn_slice_(x, 1, step, step + 1, at), NN_SHAPE(H), at);
}

/* --------------------------------------------------------------- final_cell */

static void run_final(const struct step *s, const struct crew *crew)
{
    const struct node *y = s->in_node[0];
    const float *from = record_at(y, s->in[0]) + record_of(y).c_end;
    const size_t n = shape_elements(&s->node->shape);
    copy_blocks(crew, 1, n, from, n, s->out, n);
}

static void grad_final(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    (void)dx;
    if (grad_wanted(g, id, 0))
        g->node[g->node[id].in[0]].attr.also[ALSO_CELL] = dy.id;
}

nn_value nn_final_cell_(nn_value y, const char *at)
{
    if (y.id < 0)
        return value_failed;
    struct nn_graph *g = y.graph;
    const struct node *n = node_of(y);
    if (n->op != &op_lstm)
        return graph_fail(g, at, "final_cell", "%s is no nn_lstm()", n->op->name);
    for (int i = y.id; i < g->nodes; i++) /* one gradient, so one node */
        if (g->node[i].op == &op_final_cell && g->node[i].in[0] == y.id)
            return value_of(g, i);
    return node_add(g, &op_final_cell, NN_SHAPE(n->shape.dim[0], n->shape.dim[2]), NN_F32, NO_ATTR,
                    1, &y, at);
}

const struct op op_final_cell = {
    .name = "final_cell",
    .grad = grad_final,
    .flops = no_flops,
    .run = run_final,
};
