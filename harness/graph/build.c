/* build.c — what build() of a plugin calls: leaves, rows, what to learn; and
 * node_add(), through which every node of every pass comes.
 *
 * Errors are sticky: graph_fail() keeps the first one, and a node with a failed
 * input is a failed node, silently. */
#include "graph/graph.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

const nn_value value_failed = {NULL, -1};

struct nn_graph *graph_new(int batch)
{
    assert(batch > 0);
    struct nn_graph *g = xcalloc(1, sizeof *g);
    g->arena = arena_new();
    g->batch = batch;
    g->loss = g->output = -1;
    g->forward = -1;
    g->init = (struct nn_init){NN_INIT_GLOROT_UNIFORM, 1.0f};
    return g;
}

void graph_free(struct nn_graph *g)
{
    if (!g)
        return;
    arena_free(g->arena);
    free(g->node);
    free(g);
}

/* A program's own, to rewrite. Names, rows and masks stay those of the original. */
struct nn_graph *graph_copy(const struct nn_graph *g)
{
    struct nn_graph *copy = xmalloc(sizeof *copy);
    *copy = *g;
    copy->arena = arena_new();
    copy->room = g->nodes;
    copy->node = xmalloc((size_t)g->nodes * sizeof *g->node);
    memcpy(copy->node, g->node, (size_t)g->nodes * sizeof *g->node);
    return copy;
}

const char *graph_error(const struct nn_graph *g) { return g->error[0] ? g->error : NULL; }

nn_value graph_fail(struct nn_graph *g, const char *at, const char *op, const char *fmt, ...)
{
    if (!g || g->error[0])
        return value_failed;
    const size_t room = sizeof g->error;
    size_t used = 0;
    if (at)
        used += (size_t)snprintf(g->error, room, "%s: ", at);
    if (g->row[0] && used < room)
        used += (size_t)snprintf(g->error + used, room - used, "%s: ", g->row);
    if (used < room)
        used += (size_t)snprintf(g->error + used, room - used, "%s: ", op);
    va_list ap;
    va_start(ap, fmt);
    if (used < room)
        vsnprintf(g->error + used, room - used, fmt, ap);
    va_end(ap);
    return value_failed;
}

/* ---------------------------------------------------------------- node_add */

static bool shape_is_sound(const struct nn_shape *s)
{
    double elements = 1.0; /* a product of five int32_t does not fit a size_t */
    for (int i = 0; i < NN_MAX_RANK && s->dim[i]; i++) {
        if (s->dim[i] < 0)
            return false;
        elements *= s->dim[i];
    }
    return elements <= INT32_MAX && s->dim[NN_MAX_RANK] == 0;
}

/* Nodes keep the layout of the images they read; layout.c sees to it that only ops that can
 * are given lanes. The gradient of a weight is no image. */
static int result_layout(const struct nn_graph *g, const struct node *n)
{
    if (n->op == &op_to_lanes)
        return LANES;
    if (n->op == &op_from_lanes || n->op == &op_conv2d_grad_weight || shape_rank(&n->shape) != 4)
        return PLAIN;
    for (int i = 0; i < n->inputs; i++)
        if (g->node[n->in[i]].layout == LANES)
            return LANES;
    return PLAIN;
}

static struct node *append(struct nn_graph *g)
{
    if (g->nodes == g->room) {
        g->room = g->room ? 2 * g->room : 64;
        g->node = xrealloc(g->node, (size_t)g->room * sizeof *g->node);
    }
    return &g->node[g->nodes++];
}

/* Leaves have no inputs to know their graph by: `g` must be given for them. */
nn_value node_add(struct nn_graph *g, const struct op *op, struct nn_shape shape, int type,
                  struct attr attr, int inputs, const nn_value *in, const char *at)
{
    assert(inputs <= NODE_INPUTS);
    for (int i = 0; i < inputs; i++) {
        if (in[i].id < 0)
            return value_failed;
        if (in[i].graph != g)
            return graph_fail(g, at, op->name, "inputs belong to different graphs");
    }
    char text[64];
    if (!shape_is_sound(&shape))
        return graph_fail(g, at, op->name, "shape %s is negative or beyond 2^31 elements",
                          shape_text(&shape, g->batch, text));

    const int id = g->nodes;
    struct node n = {.op = op,
                     .shape = shape,
                     .type = (uint8_t)type,
                     .pass = (uint8_t)g->pass,
                     .inputs = inputs,
                     .attr = attr,
                     .forward = g->forward < 0 ? id : g->forward,
                     .grad_of = -1,
                     .whole = -1,
                     .at = at};
    if (!at && g->forward >= 0)
        n.at = g->node[g->forward].at;
    for (int i = 0; i < inputs; i++)
        n.in[i] = in[i].id;
    n.wants_grad = op == &op_param;
    for (int i = 0; i < inputs; i++)
        n.wants_grad |= g->node[n.in[i]].wants_grad && !(op->flags & OP_NO_GRAD);
    memcpy(n.row, g->row, sizeof n.row);
    n.layout = (uint8_t)result_layout(g, &n);
    *append(g) = n;
    return value_of(g, id);
}

bool grad_wanted(const struct nn_graph *g, int id, int i)
{
    return g->node[g->node[id].in[i]].wants_grad;
}

/* ------------------------------------------------------------------ leaves */

void nn_row(struct nn_graph *g, const char *fmt, ...)
{
    if (!g)
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(g->row, sizeof g->row, fmt, ap);
    va_end(ap);
}

static bool init_is_sound(struct nn_init init)
{
    const bool known = init.kind >= NN_INIT_DEFAULT && init.kind <= NN_INIT_IDENTITY;
    const bool free = init.kind == NN_INIT_DEFAULT || init.kind == NN_INIT_CONST;
    return known && (free || init.a > 0.0f);
}

void nn_default_init(struct nn_graph *g, struct nn_init init)
{
    if (!g)
        return;
    if (!init_is_sound(init) || init.kind == NN_INIT_DEFAULT)
        (void)graph_fail(g, NULL, "default_init", "kind %d with a = %g gives no weights", init.kind,
                         (double)init.a);
    else
        g->init = init;
}

/* "<row>.<name>"; just the name before the first row, and for inputs. */
static const char *leaf_name(struct nn_graph *g, const struct op *op, const char *name)
{
    return g->row[0] && op != &op_input ? arena_printf(g->arena, "%s.%s", g->row, name)
                                        : arena_strdup(g->arena, name);
}

static bool name_is_taken(const struct nn_graph *g, const char *name)
{
    for (int i = 0; i < g->nodes; i++)
        if (g->node[i].name && strcmp(g->node[i].name, name) == 0)
            return true;
    return false;
}

static nn_value leaf_add(struct nn_graph *g, const struct op *op, const char *name, int type,
                         struct nn_shape s, struct attr attr, const char *at)
{
    const char *full = leaf_name(g, op, name);
    if (name_is_taken(g, full))
        return graph_fail(g, at, op->name,
                          "there is a '%s' already; nn_row() gives layers names of their own",
                          full);
    if (!init_is_sound(attr.init))
        return graph_fail(g, at, op->name, "'%s': init kind %d with a = %g gives no weights", full,
                          attr.init.kind, (double)attr.init.a);
    attr.stream = rng_stream(full);
    const nn_value v = node_add(g, op, s, type, attr, 0, NULL, at);
    if (v.id >= 0)
        node_of(v)->name = full;
    return v;
}

nn_value nn_input_(struct nn_graph *g, const char *name, int type, struct nn_shape s,
                   const char *at)
{
    if (!g)
        return value_failed;
    const int rank = shape_rank(&s);
    if (rank == NN_MAX_RANK)
        return graph_fail(g, at, "input", "'%s' has rank %d without its batch; %d is the limit",
                          name, rank, NN_MAX_RANK - 1);
    if (type != NN_F32 && type != NN_I32)
        return graph_fail(g, at, "input", "'%s' has unknown type %d", name, type);
    struct nn_shape whole = {{g->batch}};
    memcpy(whole.dim + 1, s.dim, (size_t)rank * sizeof s.dim[0]);
    return leaf_add(g, &op_input, name, type, whole, (struct attr){0}, at);
}

nn_value nn_param_(struct nn_graph *g, const char *name, struct nn_shape s, struct nn_init init,
                   const char *at)
{
    if (!g)
        return value_failed;
    const struct attr attr = {.init = init.kind == NN_INIT_DEFAULT ? g->init : init};
    return leaf_add(g, &op_param, name, NN_F32, s, attr, at);
}

nn_value nn_param_from_(struct nn_graph *g, const char *name, struct nn_shape s, const float *data,
                        const char *at)
{
    if (!g)
        return value_failed;
    return leaf_add(g, &op_param, name, NN_F32, s, (struct attr){.init = NN_ZEROS, .data = data},
                    at);
}

nn_value nn_buffer_(struct nn_graph *g, const char *name, struct nn_shape s, struct nn_init init,
                    const char *at)
{
    if (!g)
        return value_failed;
    const struct attr attr = {.init = init.kind == NN_INIT_DEFAULT ? NN_ZEROS : init};
    return leaf_add(g, &op_buffer, name, NN_F32, s, attr, at);
}

/* Like an input it has a row for each sample of the batch. */
nn_value nn_state_(struct nn_graph *g, const char *name, struct nn_shape s, const char *at)
{
    if (!g)
        return value_failed;
    const int rank = shape_rank(&s);
    if (rank == NN_MAX_RANK)
        return graph_fail(g, at, "state", "'%s' has rank %d without its batch; %d is the limit",
                          name, rank, NN_MAX_RANK - 1);
    struct nn_shape whole = {{g->batch}};
    memcpy(whole.dim + 1, s.dim, (size_t)rank * sizeof s.dim[0]);
    return leaf_add(g, &op_state, name, NN_F32, whole, (struct attr){.init = NN_ZEROS}, at);
}

nn_value nn_const_(struct nn_graph *g, const char *name, struct nn_shape s, const float *data,
                   struct nn_init init, const char *at)
{
    if (!g)
        return value_failed;
    const struct attr attr = {.init = init.kind == NN_INIT_DEFAULT ? g->init : init, .data = data};
    return leaf_add(g, &op_constant, name, NN_F32, s, attr, at);
}

int nn_rank(nn_value x) { return x.id < 0 ? 1 : shape_rank(&node_of(x)->shape); }

int nn_dim(nn_value x, int axis)
{
    if (x.id < 0)
        return 1;
    const struct nn_shape *s = &node_of(x)->shape;
    const int i = shape_axis(s, axis);
    char text[64];
    if (i < 0)
        (void)graph_fail(x.graph, NULL, "dim", "%s has no axis %d",
                         shape_text(s, x.graph->batch, text), axis);
    return i < 0 ? 1 : s->dim[i];
}

/* ----------------------------------------------------------- what to learn */

static bool is_scalar(nn_value v)
{
    const struct node *n = node_of(v);
    return shape_rank(&n->shape) == 0 && n->type == NN_F32;
}

static void fail_not_scalar(nn_value v, const char *at, const char *what)
{
    char text[64];
    const struct nn_graph *g = v.graph;
    (void)graph_fail(v.graph, at, what, "%s of %s is no scalar", node_of(v)->op->name,
                     shape_text(&node_of(v)->shape, g->batch, text));
}

void nn_minimize_(nn_value loss, const char *at)
{
    if (loss.id < 0)
        return;
    struct nn_graph *g = loss.graph;
    if (!is_scalar(loss))
        fail_not_scalar(loss, at, "minimize");
    else if (g->loss >= 0)
        (void)graph_fail(g, at, "minimize", "a graph has one loss; it was given at %s",
                         g->node[g->loss].at);
    else
        g->loss = loss.id;
}

void nn_metric_(const char *name, nn_value scalar, const char *at)
{
    if (scalar.id < 0)
        return;
    struct nn_graph *g = scalar.graph;
    const int room = (int)(sizeof g->metric / sizeof g->metric[0]);
    if (!is_scalar(scalar))
        fail_not_scalar(scalar, at, "metric");
    else if (g->metrics == room)
        (void)graph_fail(g, at, "metric", "'%s' is one more than the %d allowed", name, room);
    else {
        g->metric[g->metrics].name = arena_strdup(g->arena, name);
        g->metric[g->metrics++].node = scalar.id;
    }
}

void nn_show_(const char *name, nn_value x, const char *at)
{
    if (x.id < 0)
        return;
    struct nn_graph *g = x.graph;
    const int room = (int)(sizeof g->show / sizeof g->show[0]);
    if (g->shows == room)
        (void)graph_fail(g, at, "show", "'%s' is one more than the %d allowed", name, room);
    else {
        g->show[g->shows].name = arena_strdup(g->arena, name);
        g->show[g->shows++].node = x.id;
    }
}

void nn_assign_(nn_value param, nn_value value, const char *at)
{
    if (param.id < 0 || value.id < 0)
        return;
    struct nn_graph *g = param.graph;
    const struct node *p = node_of(param), *v = node_of(value);
    const int room = (int)(sizeof g->assign / sizeof g->assign[0]);
    char a[64], b[64];
    if (value.graph != g)
        (void)graph_fail(g, at, "assign", "inputs belong to different graphs");
    else if (p->op != &op_param && p->op != &op_buffer && p->op != &op_state)
        (void)graph_fail(g, at, "assign",
                         "only a parameter, buffer or state can be assigned to, not %s",
                         p->op->name);
    else if (!shape_equal(&p->shape, &v->shape) || v->type != NN_F32)
        (void)graph_fail(g, at, "assign", "%s and %s differ", shape_text(&p->shape, 0, a),
                         shape_text(&v->shape, 0, b));
    else if (g->assigns == room)
        (void)graph_fail(g, at, "assign", "more than %d assignments", room);
    else {
        g->assign[g->assigns].param = param.id;
        g->assign[g->assigns++].value = value.id;
    }
}

/* ---------------------------------------------------------------- counting */

/* Table I of LeCun 1998 is a mask: connections that are missing are no parameters. */
static double missing_weights(const struct node *param)
{
    const struct nn_shape *w = &param->shape;
    double missing = 0.0;
    for (int i = 0; param->attr.mask && i < w->dim[0] * w->dim[1]; i++)
        missing += param->attr.mask[i] ? 0.0 : (double)w->dim[2] * w->dim[3];
    return missing;
}

double graph_params(const struct nn_graph *g)
{
    double params = 0.0;
    for (int i = 0; i < g->nodes; i++)
        if (g->node[i].op == &op_param)
            params += (double)shape_elements(&g->node[i].shape) - missing_weights(&g->node[i]);
    return params;
}

double graph_macs(const struct nn_graph *g)
{
    double macs = 0.0;
    for (int i = 0; i < g->nodes; i++)
        macs += g->node[i].op->macs ? g->node[i].op->macs(g, &g->node[i]) : 0.0;
    return macs / g->batch;
}
