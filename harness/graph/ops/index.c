/* index.c — places chosen by integers that the dataset brings.
 *
 *     gather   y[p] = t[i[p]]                    [V,C] [N,T] -> [N,T,C]     dt = scatter(dy, i)
 *     scatter  y[v] = sum over p with i[p] = v of x[p], in the order of p   (made by gradients)
 *     pick     y[r] = x[r, i[r]], 0 where i < 0  [N,K] [N] -> [N]           dx = pick_grad(dy, i)
 *
 * An index beyond the table gives NaN, which ends the run with this op's name, rather
 * than what happens to lie there; so does a negative one in gather. Threads of scatter
 * own columns of the table, each walking through all indices, so that the order of
 * every sum is that of the batch. */
#include <math.h>
#include <string.h>

#include "graph/ops/oplib.h"

static double no_flops(const struct nn_graph *g, const struct node *n)
{
    return (void)g, (void)n, 0.0;
}

/* ------------------------------------------------------ gather and scatter */

static void run_gather(const struct step *s, const struct crew *crew)
{
    const int32_t V = s->in_node[0]->shape.dim[0], *index = s->in[1];
    const size_t C = shape_last(&s->node->shape);
    const struct range r = share_of(crew, shape_rows(&s->node->shape), 1);
    const float *table = s->in[0];
    float *y = s->out;
    for (size_t p = r.from; p < r.to; p++)
        if (index[p] >= 0 && index[p] < V)
            memcpy(y + p * C, table + (size_t)index[p] * C, C * sizeof *y);
        else
            kn->fill_f32(C, NAN, y + p * C);
}

static void run_scatter(const struct step *s, const struct crew *crew)
{
    const int32_t V = s->node->shape.dim[0], *index = s->in[1];
    const size_t C = shape_last(&s->node->shape), places = shape_elements(&s->in_node[1]->shape);
    const struct range r = share_of(crew, C, 16);
    const size_t n = r.to - r.from;
    const float *x = (const float *)s->in[0] + r.from;
    float *y = (float *)s->out + r.from;
    for (size_t v = 0; v < (size_t)V; v++)
        memset(y + v * C, 0, n * sizeof *y);
    for (size_t p = 0; p < places; p++) {
        if (index[p] < 0 || index[p] >= V)
            continue; /* its row of y was NaN, and the step has failed already */
        float *row = y + (size_t)index[p] * C;
        kn->add_f32(n, row, x + p * C, row);
    }
}

static void grad_gather(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, &op_scatter, g->node[id].in[0], NO_ATTR, dy, in_of(g, id, 1));
}

static double bytes_gather(const struct nn_graph *g, const struct node *n)
{
    const double rows = (double)shape_elements(&n->shape);
    return 4.0 * (2.0 * rows + (double)shape_elements(&input_of(g, n, 1)->shape));
}

static double flops_scatter(const struct nn_graph *g, const struct node *n)
{
    return (double)shape_elements(&input_of(g, n, 0)->shape);
}

nn_value nn_gather_(nn_value table, nn_value i, const char *at)
{
    if (!operand_ok(table, NN_F32, 2, 2, "gather", at) ||
        !operand_ok(i, NN_I32, 1, 2, "gather", at))
        return value_failed;
    struct nn_shape shape = node_of(i)->shape;
    shape.dim[shape_rank(&shape)] = node_of(table)->shape.dim[1];
    return node_add(table.graph, &op_gather, shape, NN_F32, NO_ATTR, 2, (nn_value[]){table, i}, at);
}

const struct op op_gather = {
    .name = "gather",
    .grad = grad_gather,
    .flops = no_flops,
    .bytes = bytes_gather,
    .run = run_gather,
};

const struct op op_scatter = {
    .name = "scatter",
    .flops = flops_scatter,
    .run = run_scatter,
};

/* -------------------------------------------------------------------- pick */

static void run_pick(const struct step *s, const struct crew *crew)
{
    const size_t K = shape_last(&s->in_node[0]->shape);
    const struct range r = share_elements(s, crew);
    const int32_t *index = s->in[1];
    const float *x = s->in[0];
    float *y = s->out;
    for (size_t i = r.from; i < r.to; i++)
        if (index[i] < 0)
            y[i] = 0.0f;
        else
            y[i] = (size_t)index[i] < K ? x[i * K + (size_t)index[i]] : NAN;
}

static void run_pick_grad(const struct step *s, const struct crew *crew)
{
    const size_t K = shape_last(&s->node->shape);
    const struct range r = share_of(crew, shape_rows(&s->node->shape), 16);
    const float *dy = s->in[0];
    const int32_t *index = s->in[1];
    float *dx = s->out;
    memset(dx + r.from * K, 0, (r.to - r.from) * K * sizeof *dx);
    for (size_t i = r.from; i < r.to; i++)
        if (index[i] >= 0 && (size_t)index[i] < K)
            dx[i * K + (size_t)index[i]] = dy[i];
}

static void grad_pick(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, &op_pick_grad, g->node[id].in[0], NO_ATTR, dy, in_of(g, id, 1));
}

nn_value nn_pick_(nn_value x, nn_value i, const char *at)
{
    if (!rows_with_labels_ok(x, i, "pick", at))
        return value_failed;
    return node_add(x.graph, &op_pick, node_of(i)->shape, NN_F32, NO_ATTR, 2, (nn_value[]){x, i},
                    at);
}

const struct op op_pick = {
    .name = "pick",
    .grad = grad_pick,
    .flops = no_flops,
    .run = run_pick,
};

const struct op op_pick_grad = {
    .name = "pick_grad",
    .flops = no_flops,
    .run = run_pick_grad,
};
