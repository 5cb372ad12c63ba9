/* reduce.c — sums along an axis, and what undoes their shapes.
 *
 *     sum          y[o,i] = f sum_k x[o,k,i]   over axis attr.axis, f = attr.a   dx = expand(f, dy)
 *     expand       y[o,k,i] = f x[o,i]         inserts axis attr.axis            dx = sum(f, dy)
 *     sum_leading  y[i] = f sum_o x[o,i]       over all axes that y lacks        (only made by
 * gradients)
 *
 * nn_mean() is a sum with f = 1/n. o and i stand for all axes before and behind. In
 * memory that holds but where an image is involved (rank 4 stores axis 1 last):
 * sums over channels have a form of their own there, other axes go element by
 * element; nn_avg_pool() is the fast way to take the mean of an image. */
#include "graph/ops/oplib.h"

/* The whole tensor as [outer][n][inner] around the summed axis, in logical order. */
static struct around logical_around(const struct nn_shape *whole, int axis)
{
    struct around a = {1, (size_t)whole->dim[axis], 1};
    for (int i = 0; i < axis; i++)
        a.outer *= (size_t)whole->dim[i];
    for (int i = axis + 1; i < shape_rank(whole); i++)
        a.inner *= (size_t)whole->dim[i];
    return a;
}

/* Do memory order and these three loops agree, for the whole tensor and for its sum? */
static bool loops_hold(const struct nn_shape *whole, const struct nn_shape *sum, int axis,
                       struct around *a)
{
    *a = logical_around(whole, axis);
    if (shape_ordered(whole) && shape_ordered(sum))
        return true;
    *a = shape_around(whole, axis);
    return shape_rank(whole) == 4 && axis == 1;
}

/* ----------------------------------------------------------------- running */

/* Element by element, in logical order: for images summed along H, W or N. */
static void sum_anyhow(const struct step *s, const struct crew *crew)
{
    const struct nn_shape *whole = &s->in_node[0]->shape, *sum = &s->node->shape;
    const struct around a = logical_around(whole, s->node->attr.axis);
    const struct range r = share_elements(s, crew);
    const float *x = s->in[0];
    float *y = s->out;
    for (size_t o = r.from; o < r.to; o++) {
        float total = 0.0f;
        for (size_t k = 0; k < a.n; k++)
            total += x[shape_stored_at(whole, (o / a.inner * a.n + k) * a.inner + o % a.inner)];
        y[shape_stored_at(sum, o)] = s->node->attr.a * total;
    }
    kn_flops += (double)(r.to - r.from) * (double)a.n;
}

static void run_sum(const struct step *s, const struct crew *crew)
{
    const float factor = s->node->attr.a, *x = s->in[0];
    float *y = s->out;
    struct around a;
    if (!loops_hold(&s->in_node[0]->shape, &s->node->shape, s->node->attr.axis, &a)) {
        sum_anyhow(s, crew);
        return;
    }
    if (a.outer == 1) {
        column_sums(crew, (struct channels){a.n, a.inner, 1}, factor, x, NULL, y, s->work);
        return;
    }
    const struct range r = share_of(crew, a.outer, 1);
    for (size_t o = r.from; o < r.to; o++) {
        const float *block = x + o * a.n * a.inner;
        if (a.inner == 1) {
            y[o] = factor * kn->sum_f32(a.n, block);
            kn_flops += 1.0;
        } else {
            kn->sum_channel_f32(a.n, a.inner, 1, block, y + o * a.inner);
            kn->scale_f32(a.inner, factor, y + o * a.inner, y + o * a.inner);
        }
    }
}

static size_t work_sum(const struct step *s, int threads)
{
    (void)threads;
    struct around a;
    const bool hold = loops_hold(&s->in_node[0]->shape, &s->node->shape, s->node->attr.axis, &a);
    return hold && a.outer == 1 ? column_sums_work((struct channels){a.n, a.inner, 1}) : 0;
}

static void expand_anyhow(const struct step *s, const struct crew *crew)
{
    const struct nn_shape *whole = &s->node->shape, *sum = &s->in_node[0]->shape;
    const struct around a = logical_around(whole, s->node->attr.axis);
    const struct range r = share_elements(s, crew);
    const float *x = s->in[0];
    float *y = s->out;
    for (size_t e = r.from; e < r.to; e++) {
        const size_t o = e / (a.n * a.inner) * a.inner + e % a.inner;
        y[shape_stored_at(whole, e)] = s->node->attr.a * x[shape_stored_at(sum, o)];
    }
    kn_flops += (double)(r.to - r.from);
}

static void run_expand(const struct step *s, const struct crew *crew)
{
    const float factor = s->node->attr.a, *x = s->in[0];
    float *y = s->out;
    struct around a;
    if (!loops_hold(&s->node->shape, &s->in_node[0]->shape, s->node->attr.axis, &a)) {
        expand_anyhow(s, crew);
        return;
    }
    const struct range r = share_elements(s, crew);
    const size_t run = a.inner == 1 ? a.n : a.inner; /* one number n times, or a row of them */
    for (size_t i = r.from, n; i < r.to; i += n) {
        n = least(run - i % run, r.to - i);
        if (a.inner == 1) {
            kn->fill_f32(n, factor * x[i / run], y + i);
            kn_flops += i % run == 0 ? 1.0 : 0.0;
        } else {
            kn->scale_f32(n, factor, x + i / (a.n * a.inner) * a.inner + i % run, y + i);
        }
    }
}

static struct channels leading(const struct step *s)
{
    const size_t row = shape_elements(&s->node->shape);
    return (struct channels){shape_elements(&s->in_node[0]->shape) / row, row, 1};
}

static void run_sum_leading(const struct step *s, const struct crew *crew)
{
    column_sums(crew, leading(s), s->node->attr.a, s->in[0], NULL, s->out, s->work);
}

static size_t work_sum_leading(const struct step *s, int threads)
{
    (void)threads;
    return column_sums_work(leading(s));
}

/* ---------------------------------------------------------------- gradient */

static void grad_sum(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    const struct attr attr = {.a = g->node[id].attr.a, .axis = g->node[id].attr.axis};
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, &op_expand, g->node[id].in[0], attr, dy);
}

static void grad_expand(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    const struct attr attr = {.a = g->node[id].attr.a, .axis = g->node[id].attr.axis};
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, &op_sum, g->node[id].in[0], attr, dy);
}

static double flops_of_input(const struct nn_graph *g, const struct node *n)
{
    return (double)shape_elements(&input_of(g, n, 0)->shape);
}

/* One number n times needs one product. */
static double flops_expand(const struct nn_graph *g, const struct node *n)
{
    struct around a;
    const struct nn_shape *x = &input_of(g, n, 0)->shape;
    const bool once = loops_hold(&n->shape, x, n->attr.axis, &a) && a.inner == 1;
    return (double)shape_elements(once ? x : &n->shape);
}

/* ------------------------------------------------------------ construction */

static nn_value sum_over(nn_value x, int axis, bool mean, const char *op, const char *at)
{
    if (!operand_ok(x, NN_F32, 1, NN_MAX_RANK, op, at))
        return value_failed;
    struct nn_graph *g = x.graph;
    struct nn_shape shape = node_of(x)->shape;
    const int i = shape_axis(&shape, axis);
    char text[64];
    if (i < 0)
        return graph_fail(g, at, op, "%s has no axis %d", shape_text(&shape, g->batch, text), axis);
    const struct attr attr = {.axis = i, .a = mean ? 1.0f / (float)shape.dim[i] : 1.0f};
    for (int k = i; k < NN_MAX_RANK; k++)
        shape.dim[k] = shape.dim[k + 1];
    return node_add(g, &op_sum, shape, NN_F32, attr, 1, &x, at);
}

nn_value nn_sum_(nn_value x, int axis, const char *at)
{
    return sum_over(x, axis, false, "sum", at);
}
nn_value nn_mean_(nn_value x, int axis, const char *at)
{
    return sum_over(x, axis, true, "mean", at);
}

/* A negative axis counts from the end of the result. */
nn_value nn_repeat_(nn_value x, int axis, int n, const char *at)
{
    if (!operand_ok(x, NN_F32, 1, NN_MAX_RANK - 1, "repeat", at))
        return value_failed;
    struct nn_graph *g = x.graph;
    struct nn_shape shape = node_of(x)->shape;
    const int rank = shape_rank(&shape), i = axis < 0 ? axis + rank + 1 : axis;
    char text[64];
    if (i < 0 || i > rank || n < 1)
        return graph_fail(g, at, "repeat", "%s %d times along a new axis %d",
                          shape_text(&shape, g->batch, text), n, axis);
    for (int k = rank; k > i; k--)
        shape.dim[k] = shape.dim[k - 1];
    shape.dim[i] = n;
    return node_add(g, &op_expand, shape, NN_F32, (struct attr){.axis = i, .a = 1.0f}, 1, &x, at);
}

const struct op op_sum = {
    .name = "sum",
    .grad = grad_sum,
    .flops = flops_of_input,
    .work = work_sum,
    .run = run_sum,
};

const struct op op_expand = {
    .name = "expand",
    .grad = grad_expand,
    .flops = flops_expand,
    .run = run_expand,
};

const struct op op_sum_leading = {
    .name = "sum_leading",
    .flops = flops_of_input,
    .work = work_sum_leading,
    .run = run_sum_leading,
};
