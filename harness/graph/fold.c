/* fold.c — batch norm in evaluation: nothing is left of it behind a convolution.
 *
 * With running means and variances the norm is a line a channel, a y + b with
 * a = gain / sqrt(var + epsilon) and b = bias - a mean. A convolution or linear layer that
 * nobody else reads takes it in: conv(x, a w) + (b + a times its own bias). Elsewhere the
 * norm stays, with the running moments for the batch's. Scaled weights are nodes,
 * made anew in every evaluation step from the parameters as they are then.
 *
 * The array is copied, because new nodes must stand before those that read them. */
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"

enum { X, MOMENTS, GAIN, BIAS };            /* inputs of batch_norm */
enum { RUNNING_MEAN = 1, RUNNING_VAR = 2 }; /* of batch_moments */

static int add(struct nn_graph *g, const struct op *op, struct nn_shape shape, struct attr attr,
               int inputs, const int *in, const char *at)
{
    nn_value v[NODE_INPUTS];
    for (int i = 0; i < inputs; i++)
        v[i] = value_of(g, in[i]);
    return node_add(g, op, shape, NN_F32, attr, inputs, v, at).id;
}

static int copy(struct nn_graph *g, const struct node *n)
{
    memcpy(g->row, n->row, sizeof g->row);
    const int id = add(g, n->op, n->shape, n->attr, n->inputs, n->in, n->at);
    if (id < 0)
        return id;
    g->node[id].type = n->type;
    g->node[id].name = n->name;
    return id;
}

/* The layer `n` with its weights scaled, its bias replaced. All ids are new ones. */
static int scaled_layer(struct nn_graph *g, struct node n, int scale, int shift)
{
    n.in[1] = add(g, &op_scale_rows, g->node[n.in[1]].shape, (struct attr){0}, 2,
                  (int[]){n.in[1], scale}, n.at);
    n.inputs = 3;
    n.in[2] = shift;
    n.attr.bias_in = 2;
    return copy(g, &n);
}

struct folding {
    struct nn_graph *g;
    bool into_layers;
    const struct node *old;
    const int *uses, *to;
};

/* norm: a batch_norm of the old graph whose layer `from` only it and its moments read. */
static int fold_one(const struct folding *f, const struct node *norm, const struct node *from)
{
    struct nn_graph *g = f->g;
    const struct node *moments = &f->old[norm->in[MOMENTS]];
    const struct nn_shape C = f->old[norm->in[GAIN]].shape;
    memcpy(g->row, norm->row, sizeof g->row);
    const struct attr attr = {.a = norm->attr.a};
    const int scale =
        add(g, &op_norm_scale, C, attr, 2,
            (int[]){f->to[norm->in[GAIN]], f->to[moments->in[RUNNING_VAR]]}, norm->at);
    const int bias = from->attr.bias_in ? f->to[from->in[from->attr.bias_in]] : -1;
    const int shift = add(
        g, &op_norm_shift, C, (struct attr){0}, bias < 0 ? 3 : 4,
        (int[]){f->to[norm->in[BIAS]], f->to[moments->in[RUNNING_MEAN]], scale, bias}, norm->at);
    struct node layer = *from;
    for (int i = 0; i < layer.inputs; i++)
        layer.in[i] = f->to[from->in[i]];
    return scaled_layer(g, layer, scale, shift);
}

/* The norm with the running moments, [2C]. */
static int freeze_one(const struct folding *f, const struct node *norm)
{
    struct nn_graph *g = f->g;
    const struct node *moments = &f->old[norm->in[MOMENTS]];
    struct node n = *norm;
    memcpy(g->row, norm->row, sizeof g->row);
    for (int i = 0; i < n.inputs; i++)
        n.in[i] = f->to[norm->in[i]];
    n.in[MOMENTS] =
        add(g, &op_concat, moments->shape, (struct attr){.axis = 0}, 2,
            (int[]){f->to[moments->in[RUNNING_MEAN]], f->to[moments->in[RUNNING_VAR]]}, n.at);
    return copy(g, &n);
}

static bool can_fold(const struct folding *f, const struct node *norm)
{
    const struct node *from = &f->old[norm->in[X]];
    return f->into_layers && (from->op == &op_conv2d || from->op == &op_linear) &&
           f->uses[norm->in[X]] == 2 && !from->attr.mask;
}

static int one(const struct folding *f, const struct node *old)
{
    if (old->op == &op_batch_norm)
        return can_fold(f, old) ? fold_one(f, old, &f->old[old->in[X]]) : freeze_one(f, old);
    struct node n = *old;
    for (int i = 0; i < n.inputs; i++)
        n.in[i] = f->to[old->in[i]];
    return copy(f->g, &n);
}

void graph_fold_norms(struct nn_graph *g, bool into_layers)
{
    struct node *old = g->node;
    const int olds = g->nodes;
    int *uses = graph_uses(g), *to = xcalloc((size_t)olds, sizeof *to);
    const struct folding f = {g, into_layers, old, uses, to};
    g->node = NULL;
    g->nodes = g->room = 0;
    for (int i = 0; i < olds; i++)
        to[i] = one(&f, &old[i]);
    graph_renumber_results(g, to);
    free(old);
    free(uses);
    free(to);
}
