/* decode.c — the part of a network that saying one token more needs: PROGRAM_GIVEN and PROGRAM_LAST
 * of program.h.
 *
 * *Cutting.* A decoder is run once a token, with one token more each time; what depends on none of
 * its inputs is the same every time. Those nodes, as far as others read them, become the results of
 * one program and leaves of the other, which finds them by their order: both come from the same
 * build().
 *
 * *Narrowing.* Of the scores [N,T,K] only the last step is wanted. Taking a step commutes with
 * whatever treats each step by itself, so a slice [N,1,K] moves upwards from the scores, through
 * linear layers, activations, sums, concatenations of features, and the query's side of an
 * attention, up to what is a sequence: a recurrent layer, an embedding's tokens. */
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"

/* --------------------------------------------------------------------- cutting */

static bool is_named(const struct node *n, const char *const *names)
{
    for (; names && *names; names++)
        if (strcmp(n->name, *names) == 0)
            return true;
    return false;
}

static bool reads_any(const struct node *n, const bool *what)
{
    for (int k = 0; k < n->inputs; k++)
        if (what[n->in[k]])
            return true;
    return false;
}

/* Nodes that some input's samples lead to: their first axis is the batch. */
static bool *find_batched(const struct nn_graph *g)
{
    bool *batched = xcalloc((size_t)g->nodes, sizeof *batched);
    for (int i = 0; i < g->nodes; i++) {
        const struct op *op = g->node[i].op;
        batched[i] = op == &op_input || op == &op_state || reads_any(&g->node[i], batched);
    }
    return batched;
}

/* Nodes that change as decoding goes on, if only by having a step more. A recurrent layer's loop
 * spoils its first input, so that one cannot be kept either. */
static bool *find_changing(const struct nn_graph *g, const char *const *fed, const bool *batched)
{
    bool *changes = xcalloc((size_t)g->nodes, sizeof *changes);
    for (int i = 0; i < g->nodes; i++) {
        const struct node *n = &g->node[i];
        const bool stretches = batched[i] && (n->op == &op_expand || n->op == &op_pad);
        changes[i] = stretches || n->op == &op_state || (n->op == &op_input && is_named(n, fed)) ||
                     reads_any(n, changes);
    }
    for (int i = 0; i < g->nodes; i++) {
        const struct op *op = g->node[i].op;
        if (changes[i] && (op == &op_rnn || op == &op_lstm || op == &op_gru))
            changes[g->node[i].in[0]] = true;
    }
    return changes;
}

/* Of what stays the same: results of samples that something reads which changes, in order. What
 * parameters alone make may depend on the number of steps, and costs little. */
static void find_given(struct nn_graph *g, const bool *changes, const bool *batched)
{
    const int room = (int)(sizeof g->given / sizeof g->given[0]);
    bool *wanted = xcalloc((size_t)g->nodes, sizeof *wanted);
    for (int i = 0; i < g->nodes; i++)
        for (int k = 0; changes[i] && k < g->node[i].inputs; k++)
            wanted[g->node[i].in[k]] = true;
    for (int i = 0; i < g->nodes; i++) {
        if (!wanted[i] || changes[i] || !batched[i] || g->node[i].op->flags & OP_LEAF)
            continue;
        if (g->givens == room) {
            (void)graph_fail(g, NULL, "decode", "more than %d values are kept between tokens",
                             room);
            break;
        }
        g->given[g->givens++] = i;
    }
    free(wanted);
}

static void cut(struct nn_graph *g, const struct program_options *o)
{
    bool *batched = find_batched(g), *changes = find_changing(g, o->fed, batched);
    find_given(g, changes, batched);
    free(batched);
    free(changes);
    for (int k = 0; k < g->givens && o->part == PROGRAM_LAST; k++) {
        struct node *n = &g->node[g->given[k]];
        n->op = &op_input;
        n->inputs = 0;
        n->name = arena_printf(g->arena, "given %d", k);
        n->attr = (struct attr){.from = k + 1};
    }
}

/* -------------------------------------------------------------------- narrowing */

struct narrowing {
    struct nn_graph *g;
    int *to; /* of a node its last step, or -1: not made yet */
};

static int last_step(const struct narrowing *w, int id);

static bool is_elementwise(const struct op *op)
{
    static const struct op *const all[] = {&op_scale,   &op_offset, &op_dropout, &op_abs,
                                           &op_sqrt,    &op_exp,    &op_log,     &op_tanh,
                                           &op_sigmoid, &op_relu,   &op_gelu,    &op_gelu_tanh,
                                           &op_silu,    &op_step,   &op_softmax, &op_stop_grad};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (op == all[i])
            return true;
    return false;
}

static int slice(const struct narrowing *w, int id, int axis)
{
    const int T = w->g->node[id].shape.dim[axis];
    return nn_slice_(value_of(w->g, id), axis, T - 1, T, w->g->node[id].at).id;
}

/* The second operand of a sum or product has the first one's shape or lacks leading axes. */
static int narrow_operand(const struct narrowing *w, int id, int rank)
{
    const int own = shape_rank(&w->g->node[id].shape);
    return own == rank ? last_step(w, id) : own == rank - 1 ? slice(w, id, 0) : id;
}

/* Which inputs of a copy take the last step of n; false if the op looks at several steps. */
static bool narrow_inputs(const struct narrowing *w, const struct node *n, int in[NODE_INPUTS])
{
    const int rank = shape_rank(&n->shape);
    const bool sum = n->op == &op_add || n->op == &op_sub || n->op == &op_mul;
    if (is_elementwise(n->op) || n->op == &op_linear || n->op == &op_attend ||
        (n->op == &op_matmul && !n->attr.ta))
        in[0] = last_step(w, in[0]);
    else if (sum) {
        in[0] = last_step(w, in[0]);
        in[1] = narrow_operand(w, in[1], rank);
    } else if (n->op == &op_concat && n->attr.axis >= 2)
        for (int k = 0; k < n->inputs; k++)
            in[k] = last_step(w, in[k]);
    else if (n->op == &op_gather && shape_rank(&w->g->node[in[1]].shape) == 2)
        in[1] = slice(w, in[1], 1);
    else
        return false;
    return true;
}

static int narrow(const struct narrowing *w, int id)
{
    struct nn_graph *g = w->g;
    const struct node n = g->node[id]; /* a copy: adding nodes moves the array */
    int in[NODE_INPUTS];
    nn_value v[NODE_INPUTS];
    memcpy(in, n.in, sizeof in);
    memcpy(g->row, n.row, sizeof g->row);
    if (shape_rank(&n.shape) < 3 || !narrow_inputs(w, &n, in))
        return slice(w, id, 1);
    struct nn_shape shape = n.shape;
    struct attr attr = n.attr;
    attr.behind /= (size_t)shape.dim[1]; /* what attend looks at, of each step */
    shape.dim[1] = 1;
    for (int k = 0; k < n.inputs; k++)
        v[k] = value_of(g, in[k]);
    memcpy(g->row, n.row, sizeof g->row);
    return node_add(g, n.op, shape, n.type, attr, n.inputs, v, n.at).id;
}

static int last_step(const struct narrowing *w, int id)
{
    if (w->to[id] < 0)
        w->to[id] = narrow(w, id);
    return w->to[id];
}

static void keep_last_step(struct nn_graph *g)
{
    if (shape_rank(&g->node[g->output].shape) != 3)
        return;
    struct narrowing w = {g, xmalloc((size_t)g->nodes * sizeof(int))};
    memset(w.to, -1, (size_t)g->nodes * sizeof(int));
    g->output = last_step(&w, g->output);
    free(w.to);
}

/* ------------------------------------------------------------------------ both */

/* Only states are assigned to in evaluation. */
static void drop_results(struct nn_graph *g, bool states)
{
    int kept = 0;
    for (int i = 0; i < g->assigns; i++)
        if (states && g->node[g->assign[i].param].op == &op_state)
            g->assign[kept++] = g->assign[i];
    g->assigns = kept;
    g->loss = -1;
    g->metrics = 0;
}

bool graph_take_part(struct nn_graph *g, const struct program_options *o)
{
    if (o->part == PROGRAM_WHOLE)
        return true;
    const int output = graph_output(g);
    if (output < 0)
        (void)graph_fail(g, NULL, "decode", "the network has no scores: neither loss nor metric");
    else {
        if (o->part == PROGRAM_GIVEN || o->given)
            cut(g, o);
        drop_results(g, o->part == PROGRAM_LAST);
    }
    if (o->part == PROGRAM_LAST && output >= 0) {
        g->output = output;
        keep_last_step(g);
        g->givens = 0;
    }
    return !g->error[0];
}
