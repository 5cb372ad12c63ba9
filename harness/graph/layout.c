/* layout.c — chooses, image by image, between NHWC and lanes (kernels.h).
 *
 * With few channels an NHWC vector is mostly padding: LeNet-5's first layer would
 * use one lane of sixteen. Lanes put sixteen images side by side instead. A
 * convolution starts lanes where it pays by the rule below; pooling, gain-and-bias and
 * elementwise ops, batch norm among them, go on in whatever layout they are given; everything else
 * reads NHWC. Where the two meet, a conversion is put in, once per value. The forward graph is
 * rewritten before differentiation, so that the backward pass follows. */
#include "graph/graph.h"
#include <assert.h>

#include <stdlib.h>
#include <string.h>

/* Beyond these a vector of channels is full enough. A layer that already reads lanes may be
 * wider: turning its small input around would cost more than lanes lose. Groups have no such
 * kernels. */
enum { FEW_INPUTS = 16, FEW_OUTPUTS = 32 };

/* Minimal filtering (conv_winograd.h) works on NHWC and beats lanes twice over as soon as a vector
 * is full: 16 -> 16 maps of 32x32, batch 128, two threads: 184 against 155 GFLOP/s forward, 204
 * against 139 to the data, 215 against 94 to the weights. A first layer of 3x3 stays with those
 * behind it. */
static bool is_for_winograd(const struct node *n)
{
    return n->attr.kernel == 3 && n->attr.stride == 1 && n->shape.dim[1] >= FEW_INPUTS;
}

static bool conv_wants_lanes(const struct nn_graph *g, const struct node *n, bool reads_lanes)
{
    const struct nn_shape *x = &g->node[n->in[0]].shape;
    return n->attr.groups == 1 && !is_for_winograd(n) && x->dim[1] <= FEW_INPUTS &&
           (n->shape.dim[1] <= FEW_OUTPUTS || reads_lanes);
}

static bool images_are_alike(const struct nn_graph *g, const struct node *n)
{
    for (int i = 0; i < n->inputs; i++) {
        const struct nn_shape *s = &g->node[n->in[i]].shape;
        if (shape_rank(s) != 0 && !shape_equal(s, &n->shape))
            return false;
    }
    return true;
}

/* Ops that work in whatever layout their image in[0] has. */
static bool goes_along(const struct nn_graph *g, const struct node *n)
{
    if (n->op == &op_max_pool || n->op == &op_sum_pool || n->op == &op_affine ||
        n->op == &op_batch_norm)
        return true;
    return (n->op->flags & OP_ANY_LAYOUT) && images_are_alike(g, n);
}

static int wanted_layout(const struct nn_graph *g, const struct node *n)
{
    if (shape_rank(&n->shape) != 4 || n->type != NN_F32 || n->inputs == 0)
        return PLAIN;
    if (n->shape.dim[0] != g->batch || g->batch % KN_LANES != 0)
        return PLAIN;
    assert(g->node); /* inputs come first */
    const bool reads_lanes = g->node[n->in[0]].layout == LANES;
    if (n->op == &op_conv2d)
        return conv_wants_lanes(g, n, reads_lanes) ? LANES : PLAIN;
    return reads_lanes && goes_along(g, n) ? LANES : PLAIN;
}

/* Ops that make something other than an image out of one in any layout. */
static bool reads_any_layout(const struct node *n) { return n->op == &op_batch_moments; }

/* A batch of images, as opposed to a weight or a vector of gains. */
static bool is_image(const struct nn_graph *g, const struct node *reader, int i)
{
    const struct node *n = &g->node[reader->in[i]];
    if (shape_rank(&n->shape) != 4)
        return false;
    return i == 0 || (reader->op != &op_conv2d && shape_equal(&n->shape, &reader->shape));
}

/* The value of new node `id` in a layout; twin[id] is its conversion, 0 for none yet (the first
 * node of a graph is no conversion). */
static int converted(struct nn_graph *g, int id, int layout, int *twin, const struct node *reader)
{
    assert(g->node);
    if (g->node[id].layout == layout)
        return id;
    if (!twin[id]) {
        memcpy(g->row, reader->row, sizeof g->row);
        const struct op *op = layout == LANES ? &op_to_lanes : &op_from_lanes;
        const nn_value x = value_of(g, id);
        twin[id] =
            node_add(g, op, g->node[id].shape, NN_F32, (struct attr){0}, 1, &x, reader->at).id;
    }
    return twin[id];
}

/* Appends a copy of `old` that reads its images in its own layout. */
static int lay_out_one(struct nn_graph *g, const struct node *old, const int *to, int *twin)
{
    struct node n = *old;
    for (int i = 0; i < n.inputs; i++)
        n.in[i] = to[old->in[i]];
    const int layout = wanted_layout(g, &n);
    const int images = reads_any_layout(&n) ? g->node[n.in[0]].layout : layout;
    for (int i = 0; i < n.inputs; i++)
        n.in[i] = converted(g, n.in[i], is_image(g, &n, i) ? images : PLAIN, twin, &n);
    nn_value in[NODE_INPUTS];
    for (int i = 0; i < n.inputs; i++)
        in[i] = value_of(g, n.in[i]);
    memcpy(g->row, n.row, sizeof g->row);
    const int id = node_add(g, n.op, n.shape, n.type, n.attr, n.inputs, in, n.at).id;
    g->node[id].layout = (uint8_t)layout;
    g->node[id].name = n.name;
    return id;
}

bool graph_lay_out(struct nn_graph *g)
{
    struct node *old = g->node;
    const int olds = g->nodes;
    int *to = xcalloc((size_t)olds, sizeof *to),
        *twin = xcalloc(2 * (size_t)olds + 1, sizeof *twin);
    g->room = olds;
    g->node = xmalloc((size_t)olds * sizeof *g->node);
    g->nodes = 0;
    for (int i = 0; i < olds; i++)
        to[i] = lay_out_one(g, &old[i], to, twin);
    graph_renumber_results(g, to);
    for (int i = 0; i < g->assigns; i++) { /* parameters are plain */
        const struct node *p = &g->node[g->assign[i].param];
        g->assign[i].value = converted(g, g->assign[i].value, PLAIN, twin, p);
    }
    free(old);
    free(to);
    free(twin);
    return !g->error[0];
}
