/* unary.c — functions of one number, all from the table below.
 *
 *     y = f(x)        any shape, any layout, and may overwrite x
 *     dx = f'(.) dy   by the kernel f_grad_f32, which is given x or y, whichever is
 *                     cheaper: f'(x) = y (1 - y) for the sigmoid
 *
 * exp needs no kernel for that (dx = y dy), and step has no gradient. */
#include "graph/ops/oplib.h"

/* clang-format off */
/*       f          its gradient needs  FLOPs an element: f, f_grad */
#define FUNCTIONS(F)                                                 \
    F(abs,          X,                  1,  2)                       \
    F(sqrt,         Y,                  1,  2)                       \
    F(log,          X,                  1,  1)                       \
    F(sigmoid,      Y,                  4,  3)                       \
    F(relu,         Y,                  1,  1)                       \
    F(gelu,         X,                  5, 11)                       \
    F(gelu_tanh,    X,                  9, 18)                       \
    F(silu,         X,                  4,  9)
/* clang-format on */

enum saved { X, Y };

static double flops(const struct node *n, double each)
{
    return each * (double)shape_elements(&n->shape);
}

/* dx = f_grad(x or y, dy) */
static void derive(struct nn_graph *g, int id, const struct op *op, enum saved saved, nn_value dy,
                   nn_value dx[NODE_INPUTS])
{
    const nn_value x = in_of(g, id, 0);
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, op, id, NO_ATTR, saved == X ? x : value_of(g, id), dy);
}

static nn_value apply(nn_value x, const struct op *op, const char *at)
{
    if (!operand_ok(x, NN_F32, 0, NN_MAX_RANK, op->name, at))
        return value_failed;
    return node_add(x.graph, op, node_of(x)->shape, NN_F32, NO_ATTR, 1, &x, at);
}

#define RUN(f)                                                         \
    static void run_##f(const struct step *s, const struct crew *crew) \
    {                                                                  \
        const struct range r = share_elements(s, crew);                \
        const float *x = s->in[0];                                     \
        float *y = s->out;                                             \
        kn->f##_f32(r.to - r.from, x + r.from, y + r.from);            \
    }

typedef void grad_kernel(size_t n, const float *saved, const float *dy, float *dx);

/* One call, or one a row where rows of an input lie apart. */
static void run_grad(const struct step *s, const struct crew *crew, grad_kernel *f)
{
    const float *saved = s->in[0], *dy = s->in[1];
    float *dx = s->out;
    const size_t ld[] = {s->in_node[0]->ld, s->in_node[1]->ld};
    if (!ld[0] && !ld[1]) {
        const struct range r = share_elements(s, crew);
        f(r.to - r.from, saved + r.from, dy + r.from, dx + r.from);
        return;
    }
    const size_t row = shape_row(&s->node->shape);
    const size_t step[] = {ld[0] ? ld[0] : row, ld[1] ? ld[1] : row};
    const struct range r = share_of(crew, shape_elements(&s->node->shape) / row, 16);
    for (size_t i = r.from; i < r.to; i++)
        f(row, saved + i * step[0], dy + i * step[1], dx + i * row);
}

#define RUN_GRAD(f)                                                           \
    static void run_##f##_grad(const struct step *s, const struct crew *crew) \
    {                                                                         \
        run_grad(s, crew, kn->f##_grad_f32);                                  \
    }

#define FUNCTION(f, saved, each, each_grad)                                                 \
    RUN(f)                                                                                  \
    RUN_GRAD(f)                                                                             \
    static double flops_##f(const struct nn_graph *g, const struct node *n)                 \
    {                                                                                       \
        return (void)g, flops(n, each);                                                     \
    }                                                                                       \
    static double flops_##f##_grad(const struct nn_graph *g, const struct node *n)          \
    {                                                                                       \
        return (void)g, flops(n, each_grad);                                                \
    }                                                                                       \
    static void grad_##f(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS]) \
    {                                                                                       \
        derive(g, id, &op_##f##_grad, saved, dy, dx);                                       \
    }                                                                                       \
    nn_value nn_##f##_(nn_value x, const char *at) { return apply(x, &op_##f, at); }        \
    const struct op op_##f = {                                                              \
        .name = #f,                                                                         \
        .flags = OP_IN_PLACE | OP_ANY_LAYOUT,                                               \
        .grad = grad_##f,                                                                   \
        .flops = flops_##f,                                                                 \
        .run = run_##f,                                                                     \
    };                                                                                      \
    const struct op op_##f##_grad = {                                                       \
        .name = #f "_grad",                                                                 \
        .flags = OP_IN_PLACE | OP_ANY_LAYOUT,                                               \
        .flops = flops_##f##_grad,                                                          \
        .run = run_##f##_grad,                                                              \
        .reads_apart = 1u << 0 | 1u << 1,                                                   \
    };

FUNCTIONS(FUNCTION)

RUN(exp)
RUN(step)

static void grad_exp(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, &op_mul, id, NO_ATTR, value_of(g, id), dy);
}

nn_value nn_exp_(nn_value x, const char *at) { return apply(x, &op_exp, at); }
nn_value nn_step_(nn_value x, const char *at) { return apply(x, &op_step, at); }

const struct op op_exp = {
    .name = "exp",
    .flags = OP_IN_PLACE | OP_ANY_LAYOUT,
    .grad = grad_exp,
    .run = run_exp,
};

const struct op op_step = {
    .name = "step",
    .flags = OP_IN_PLACE | OP_ANY_LAYOUT | OP_NO_GRAD,
    .run = run_step,
};
