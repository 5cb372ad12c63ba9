/* fuse.c — the pattern table: chains of nodes that one kernel does in one pass.
 *
 * A producer whose only reader is the next node of the chain moves into that
 * reader: the reader takes over its op and inputs and becomes the merged node, at
 * the reader's place, where all inputs exist. What is left of the producer is
 * dead. Matrix kernels do the rest while a tile of the result is still in
 * registers (struct kn_epilogue):
 *
 *     v = op(...);  v += bias;  v += residual;  v = act(v);  v *= act'(y)
 *
 * and convolutions leave sums of v for a batch norm behind them, which stays a node of its own. So
 * does the gradient of a cross entropy for the bias of the layer that made its scores.
 *
 * Two tables: graph_simplify() runs on the forward graph, because the gradient of a
 * chain needs its middle values and that of the merged node does not; graph_fuse()
 * runs on forward and backward together. */
#include "graph/graph.h"

#include <stdlib.h>

struct pass_state {
    struct nn_graph *g;
    int *uses;
    int *into; /* the node that took a producer in; itself if none did */
};

struct pattern {
    const char *name;
    /* Tries to rewrite node `id`, the last of the chain; true if it did. */
    bool (*apply)(struct pass_state *s, int id);
};

/* clang-format off */
static const struct activation {
    const struct op *op, *grad;
    int act;
} activations[] = {
    {&op_relu,    &op_relu_grad,    KN_ACT_RELU},
    {&op_tanh,    &op_tanh_grad,    KN_ACT_TANH},
    {&op_sigmoid, &op_sigmoid_grad, KN_ACT_SIGMOID},
};
/* clang-format on */
enum { ACTIVATIONS = sizeof activations / sizeof activations[0] };

/* Node `id` becomes producer `p` with one more input; its index, or 0 if extra is -1. */
static int merge(struct pass_state *s, int p, int id, int extra)
{
    struct node *n = &s->g->node[id];
    const struct node *from = &s->g->node[p];
    const int grad_of = n->grad_of, forward = n->forward;
    *n = *from;
    n->grad_of = grad_of;
    if (n->pass == FORWARD)
        n->forward = forward;
    s->uses[p] = 0;
    s->into[p] = id;
    if (extra < 0)
        return 0;
    n->in[n->inputs] = extra;
    return n->inputs++;
}

/* --------------------------------------------- before the gradient is derived */

/* tanh(c x): c is tanh's inner factor. The scale stays for its other readers, if any. */
static bool scale_into_tanh(struct pass_state *s, int id)
{
    struct node *n = &s->g->node[id];
    const struct node *scale = &s->g->node[n->in[0]];
    if (n->op != &op_tanh || scale->op != &op_scale)
        return false;
    s->uses[n->in[0]]--;
    s->uses[scale->in[0]]++;
    n->attr.a *= scale->attr.a;
    n->in[0] = scale->in[0];
    return true;
}

/* c tanh(x): c is tanh's outer factor. A factor of 0 would lose the derivative. */
static bool tanh_into_scale(struct pass_state *s, int id)
{
    struct node *n = &s->g->node[id];
    const struct node *tanh = &s->g->node[n->in[0]];
    if (n->op != &op_scale || n->attr.a == 0.0f || tanh->op != &op_tanh || s->uses[n->in[0]] != 1)
        return false;
    const struct attr attr = {.a = tanh->attr.a, .b = tanh->attr.b * n->attr.a};
    s->uses[n->in[0]] = 0;
    n->op = &op_tanh;
    n->at = tanh->at;
    n->attr = attr;
    n->in[0] = tanh->in[0];
    return true;
}

static bool scale_into_scale(struct pass_state *s, int id)
{
    struct node *n = &s->g->node[id];
    const struct node *inner = &s->g->node[n->in[0]];
    if (n->op != &op_scale || inner->op != &op_scale)
        return false;
    s->uses[n->in[0]]--;
    s->uses[inner->in[0]]++;
    n->attr.a *= inner->attr.a;
    n->in[0] = inner->in[0];
    return true;
}

/* Batch norm takes a sum and an activation into its pass over memory, in this order. */
static bool is_norm_chain(const struct pass_state *s, int p, int id)
{
    const struct node *from = &s->g->node[p];
    return from->op == &op_batch_norm && s->uses[p] == 1 && !from->attr.act &&
           shape_equal(&from->shape, &s->g->node[id].shape);
}

/* x + r of equal shapes where `takes` says that x's producer can do the sum. Of two such the later
 * one does. */
static bool take_residual(struct pass_state *s, int id,
                          bool (*takes)(const struct pass_state *s, int p, int id))
{
    const struct node old = s->g->node[id];
    if (old.op != &op_add)
        return false;
    const int later = old.in[1] > old.in[0];
    for (int i = 0; i < 2; i++) {
        const int p = old.in[later ^ i], other = old.in[later ^ i ^ 1];
        if (!takes(s, p, id) || s->g->node[p].attr.residual_in ||
            !shape_equal(&s->g->node[other].shape, &old.shape))
            continue;
        s->g->node[id].attr.residual_in = merge(s, p, id, other);
        return true;
    }
    return false;
}

static bool residual_into_norm(struct pass_state *s, int id)
{
    return take_residual(s, id, is_norm_chain);
}

static bool activation_into_norm(struct pass_state *s, int id)
{
    const struct node old = s->g->node[id];
    const bool relu = old.op == &op_relu, silu = old.op == &op_silu;
    if (!(relu || silu) || !is_norm_chain(s, old.in[0], id) ||
        (silu && s->g->node[old.in[0]].attr.residual_in))
        return false;
    merge(s, old.in[0], id, -1);
    s->g->node[id].attr.act = relu ? KN_ACT_RELU : KN_ACT_SILU;
    return true;
}

/* ---------------------------------------------------------- into an epilogue */

/* Does `p` have no other reader than `id`, and nothing yet that an epilogue does after a sum? */
static bool is_chain(const struct pass_state *s, int p, int id)
{
    const struct node *from = &s->g->node[p], *to = &s->g->node[id];
    return s->uses[p] == 1 && from->pass == to->pass && from->layout == to->layout &&
           shape_equal(&from->shape, &to->shape) && !from->attr.act && !from->attr.act_grad;
}

static bool can_merge(const struct pass_state *s, int p, int id)
{
    return (s->g->node[p].op->flags & OP_EPILOGUE) && is_chain(s, p, id);
}

/* Gain and bias have no epilogue, but apply an activation while their rows are in the cache. */
static bool can_activate(const struct pass_state *s, int p, int id)
{
    return can_merge(s, p, id) || (s->g->node[p].op == &op_affine && is_chain(s, p, id));
}

static bool activation_into_epilogue(struct pass_state *s, int id)
{
    const struct node old = s->g->node[id];
    for (int i = 0; i < ACTIVATIONS; i++) {
        if (old.op != activations[i].op || !can_activate(s, old.in[0], id))
            continue;
        merge(s, old.in[0], id, -1);
        struct attr *attr = &s->g->node[id].attr;
        attr->act = activations[i].act;
        attr->inner = old.op == &op_tanh ? old.attr.a : 0.0f;
        attr->outer = old.op == &op_tanh ? old.attr.b : 0.0f;
        return true;
    }
    return false;
}

/* in[0] is the activation's output y, in[1] the gradient that the producer makes. */
static bool activation_grad_into_epilogue(struct pass_state *s, int id)
{
    const struct node old = s->g->node[id];
    for (int i = 0; i < ACTIVATIONS; i++) {
        if (old.op != activations[i].grad || !can_merge(s, old.in[1], id))
            continue;
        const int y = merge(s, old.in[1], id, old.in[0]);
        struct attr *attr = &s->g->node[id].attr;
        attr->act_grad = activations[i].act;
        attr->y_in = y;
        attr->inner = old.op == &op_tanh_grad ? old.attr.a : 0.0f;
        attr->outer = old.op == &op_tanh_grad ? old.attr.b : 0.0f;
        return true;
    }
    return false;
}

static bool residual_into_epilogue(struct pass_state *s, int id)
{
    return take_residual(s, id, can_merge);
}

/* x + b, b a vector along the last axis, x from a matrix multiply. */
static bool bias_into_epilogue(struct pass_state *s, int id)
{
    const struct node old = s->g->node[id];
    if (old.op != &op_add || shape_rank(&s->g->node[old.in[1]].shape) != 1 ||
        shape_rank(&old.shape) < 2 || shape_rank(&old.shape) == 4)
        return false;
    const struct node *p = &s->g->node[old.in[0]];
    if (!can_merge(s, old.in[0], id) || p->attr.bias_in || p->attr.residual_in)
        return false;
    s->g->node[id].attr.bias_in = merge(s, old.in[0], id, old.in[1]);
    return true;
}

/* A convolution leaves sums of its results for the batch norm that reads them. */
static bool moments_into_epilogue(struct pass_state *s, int id)
{
    const struct node *n = &s->g->node[id];
    struct node *from = &s->g->node[n->in[0]];
    if (n->op != &op_batch_moments || !from->op->pieces)
        return false;
    from->attr.pieces = from->op->pieces(s->g, from);
    return from->attr.pieces > 0;
}

/* Cross entropy's gradient sums its rows up, for a bias in front, while it has them at hand. */
static bool sums_into_cross_entropy(struct pass_state *s, int id)
{
    struct node *n = &s->g->node[id];
    struct node *from = &s->g->node[n->in[0]];
    if (n->op != &op_sum_channel || from->op != &op_cross_entropy_grad || from->attr.to ||
        shape_rank(&from->shape) == 4)
        return false;
    from->attr.to = from->op->pieces(s->g, from);
    if (from->attr.to == 0)
        return false;
    const int loss = from->in[from->inputs - 1];
    n->op = &op_left;
    n->attr = (struct attr){0};
    n->in[n->inputs++] = loss;
    s->uses[loss]++;
    s->g->node[loss].attr.behind = shape_last(&from->shape);
    return true;
}

/* The loss itself, which nobody reads before its gradient is made. */
static bool loss_into_gradient(struct pass_state *s, int id)
{
    const struct node *n = &s->g->node[id];
    if (n->op != &op_cross_entropy_grad)
        return false;
    const int loss = n->in[n->inputs - 1];
    if (s->g->loss != loss || s->uses[loss] != 2)
        return false;
    s->g->node[loss].attr.late = true;
    return true;
}

/* ----------------------------------------------------------------- the tables */

/* clang-format off */
static const struct pattern before_gradient[] = {
    {"scale, scale",                scale_into_scale},
    {"scale, tanh",                 scale_into_tanh},
    {"tanh, scale",                 tanh_into_scale},
    {"batch norm, add",             residual_into_norm},
    {"batch norm, activation",      activation_into_norm},
    {0},
};
static const struct pattern after_gradient[] = {
    {"matrix op, add vector",       bias_into_epilogue},
    {"matrix op, add",              residual_into_epilogue},
    {"matrix op or affine, activation", activation_into_epilogue},
    {"matrix op, activation grad",  activation_grad_into_epilogue},
    {"convolution, batch moments",  moments_into_epilogue},
    {"cross entropy, its gradient", loss_into_gradient},
    {"cross entropy's gradient, sum", sums_into_cross_entropy},
    {0},
};
/* clang-format on */

static void apply(struct nn_graph *g, const struct pattern *table)
{
    struct pass_state s = {g, graph_uses(g), xmalloc((size_t)g->nodes * sizeof(int))};
    for (int i = 0; i < g->nodes; i++)
        s.into[i] = i;
    for (int i = 0; i < g->nodes; i++)
        for (const struct pattern *p = table; p->apply; p++)
            if (s.uses[i] > 0)
                p->apply(&s, i);
    for (int i = 0; i < g->nodes; i++) {
        int *forward = &g->node[i].forward;
        while (s.into[*forward] != *forward)
            *forward = s.into[*forward];
    }
    free(s.uses);
    free(s.into);
}

void graph_simplify(struct nn_graph *g) { apply(g, before_gradient); }
void graph_fuse(struct nn_graph *g) { apply(g, after_gradient); }
