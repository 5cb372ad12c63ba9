/* binary.c — add, subtract, multiply, element by element.
 *
 *     y = a + b     da = dy       db = sum_leading(dy)
 *     y = a - b     da = dy       db = sum_leading(-dy)
 *     y = a b       da = dy b     db = sum_leading(dy a)
 *
 * b has a's shape, or lacks leading axes and is repeated along them: [C] to
 * [N,T,C], a scalar to anything. Images only meet images of their own shape or
 * scalars, because [C,H,W] has another order in memory than [N,C,H,W]; what is one
 * number a channel there is nn_affine(). */
#include "graph/ops/oplib.h"

typedef void element_kernel(size_t n, const float *a, const float *b, float *y);

/* b is a row that a has many of: one call a row, the first and last may be cut. */
static void run_rows(const struct step *s, const struct crew *crew, element_kernel *f)
{
    const struct range r = share_elements(s, crew);
    const size_t row = shape_elements(&s->in_node[1]->shape);
    const float *a = s->in[0], *b = s->in[1];
    float *y = s->out;
    for (size_t i = r.from, n; i < r.to; i += n) {
        n = least(row - i % row, r.to - i);
        f(n, a + i, b + i % row, y + i);
    }
}

static bool scalar_b(const struct step *s) { return shape_elements(&s->in_node[1]->shape) == 1; }

static void run_offset(const struct step *s, const struct crew *crew, float sign)
{
    const struct range r = share_elements(s, crew);
    const float *a = s->in[0], *b = s->in[1];
    float *y = s->out;
    kn->offset_f32(r.to - r.from, sign * *b, a + r.from, y + r.from);
}

static void run_add(const struct step *s, const struct crew *crew)
{
    if (scalar_b(s))
        run_offset(s, crew, 1.0f);
    else
        run_rows(s, crew, kn->add_f32);
}

static void run_sub(const struct step *s, const struct crew *crew)
{
    if (scalar_b(s))
        run_offset(s, crew, -1.0f);
    else
        run_rows(s, crew, kn->sub_f32);
}

static void run_mul(const struct step *s, const struct crew *crew)
{
    const struct range r = share_elements(s, crew);
    const float *a = s->in[0], *b = s->in[1];
    float *y = s->out;
    if (scalar_b(s))
        kn->scale_f32(r.to - r.from, *b, a + r.from, y + r.from);
    else
        run_rows(s, crew, kn->mul_f32);
}

/* ---------------------------------------------------------------- gradient */

/* dy, of a's shape, summed over the axes that b lacks. */
static nn_value to_shape_of_b(struct nn_graph *g, int id, nn_value dy, float factor)
{
    const int a = g->node[id].in[0], b = g->node[id].in[1];
    const struct attr attr = {.a = factor};
    if (!shape_equal(&g->node[a].shape, &g->node[b].shape))
        return EMIT(g, &op_sum_leading, b, attr, dy);
    return factor == 1.0f ? dy : EMIT(g, &op_scale, b, attr, dy);
}

static void grad_add(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    if (grad_wanted(g, id, 0))
        dx[0] = dy;
    if (grad_wanted(g, id, 1))
        dx[1] = to_shape_of_b(g, id, dy, 1.0f);
}

static void grad_sub(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    if (grad_wanted(g, id, 0))
        dx[0] = dy;
    if (grad_wanted(g, id, 1))
        dx[1] = to_shape_of_b(g, id, dy, -1.0f);
}

static void grad_mul(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    const nn_value a = in_of(g, id, 0), b = in_of(g, id, 1);
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, &op_mul, id, NO_ATTR, dy, b);
    if (grad_wanted(g, id, 1))
        dx[1] = to_shape_of_b(g, id, EMIT(g, &op_mul, id, NO_ATTR, dy, a), 1.0f);
}

/* ------------------------------------------------------------ construction */

static bool is_suffix(const struct nn_shape *b, const struct nn_shape *a)
{
    const int lacking = shape_rank(a) - shape_rank(b);
    for (int i = 0; i < shape_rank(b); i++)
        if (lacking < 0 || b->dim[i] != a->dim[i + lacking])
            return false;
    return true;
}

static nn_value apply(nn_value a, nn_value b, const struct op *op, const char *at)
{
    if (!operand_ok(a, NN_F32, 0, NN_MAX_RANK, op->name, at) ||
        !operand_ok(b, NN_F32, 0, NN_MAX_RANK, op->name, at))
        return value_failed;
    struct nn_graph *g = a.graph;
    if (b.graph != g)
        return graph_fail(g, at, op->name, "inputs belong to different graphs");
    const struct nn_shape *sa = &node_of(a)->shape, *sb = &node_of(b)->shape;
    char ta[64], tb[64];
    shape_text(sa, g->batch, ta);
    shape_text(sb, g->batch, tb);
    if (!is_suffix(sb, sa))
        return graph_fail(g, at, op->name, "%s and %s differ", ta, tb);
    if (shape_rank(sa) == 4 && shape_rank(sb) != 0 && !shape_equal(sa, sb))
        return graph_fail(g, at, op->name,
                          "%s is not repeated over images %s; nn_affine() is, or "
                          "the same shape, or a scalar",
                          tb, ta);
    return node_add(g, op, *sa, NN_F32, NO_ATTR, 2, (nn_value[]){a, b}, at);
}

nn_value nn_add_(nn_value a, nn_value b, const char *at) { return apply(a, b, &op_add, at); }
nn_value nn_sub_(nn_value a, nn_value b, const char *at) { return apply(a, b, &op_sub, at); }
nn_value nn_mul_(nn_value a, nn_value b, const char *at) { return apply(a, b, &op_mul, at); }

const struct op op_add = {
    .name = "add",
    .flags = OP_IN_PLACE | OP_ANY_LAYOUT,
    .grad = grad_add,
    .run = run_add,
};

const struct op op_sub = {
    .name = "sub",
    .flags = OP_IN_PLACE | OP_ANY_LAYOUT,
    .grad = grad_sub,
    .run = run_sub,
};

const struct op op_mul = {
    .name = "mul",
    .flags = OP_IN_PLACE | OP_ANY_LAYOUT,
    .grad = grad_mul,
    .run = run_mul,
};
