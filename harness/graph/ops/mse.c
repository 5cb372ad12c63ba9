/* mse.c — what a regression minimises.
 *
 *     mse       y = mean over samples n and elements f of (x[n,f] - t[n,f])^2     [N,...] [N,...]
 * -> scalar mse_grad  dx[n,f] = 2 dy (x[n,f] - t[n,f]) / (samples F)                    dt = -dx
 *
 * Samples are places of the first axis, elements all others. A sample whose first target is
 * NN_NO_TARGET adds nothing, has gradient 0 and is not in the mean; without any other y is 0.
 * Samples go to `work` one by one and the first thread adds them in their order. */
#include <string.h>

#include "graph/ops/oplib.h"

/* [N,...] as N samples of F elements. */
struct samples {
    size_t n, F;
};

static struct samples samples_of(const struct nn_shape *s)
{
    const size_t n = (size_t)s->dim[0];
    return (struct samples){n, shape_elements(s) / n};
}

static bool counts(const float *t) { return t[0] != NN_NO_TARGET; }

static size_t counted(const struct samples *s, const float *t)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += counts(t + i * s->F);
    return n;
}

/* --------------------------------------------------------------------- mse */

static void run(const struct step *s, const struct crew *crew)
{
    const struct samples all = samples_of(&s->in_node[0]->shape);
    const struct range r = share_of(crew, all.n, 16);
    const float *x = s->in[0], *t = s->in[1];
    float *row = s->work;
    for (size_t i = r.from; i < r.to; i++)
        row[i] = counts(t + i * all.F) ? kn->sq_dist_f32(all.F, x + i * all.F, t + i * all.F) : 0;
    crew_wait(crew);
    if (crew->thread != 0)
        return;
    double sum = 0.0;
    for (size_t i = 0; i < all.n; i++)
        sum += (double)row[i];
    const size_t n = counted(&all, t);
    kn_flops += (double)all.n + 1.0;
    *(float *)s->out = n ? (float)(sum / (double)(n * all.F)) : 0.0f;
}

static size_t work(const struct step *s, int threads)
{
    (void)threads;
    return samples_of(&s->in_node[0]->shape).n * sizeof(float);
}

/* A difference, its square, their sum; and the quotient. */
static double flops(const struct nn_graph *g, const struct node *n)
{
    const struct nn_shape *x = &input_of(g, n, 0)->shape;
    return 3.0 * (double)shape_elements(x) + 1.0;
}

static void grad(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    if (!grad_wanted(g, id, 0) && !grad_wanted(g, id, 1))
        return;
    const nn_value x = in_of(g, id, 0), t = in_of(g, id, 1);
    const nn_value d = EMIT(g, &op_mse_grad, x.id, NO_ATTR, x, t, dy);
    if (grad_wanted(g, id, 0))
        dx[0] = d;
    if (grad_wanted(g, id, 1))
        dx[1] = nn_neg(d);
}

nn_value nn_mse_(nn_value y, nn_value target, const char *at)
{
    if (!operand_ok(y, NN_F32, 1, NN_MAX_RANK, "mse", at) ||
        !operand_ok(target, NN_F32, 1, NN_MAX_RANK, "mse", at))
        return value_failed;
    struct nn_graph *g = y.graph;
    const struct nn_shape *a = &node_of(y)->shape, *b = &node_of(target)->shape;
    char left[64], right[64];
    if (!shape_equal(a, b))
        return graph_fail(g, at, "mse", "%s and %s differ", shape_text(a, g->batch, left),
                          shape_text(b, g->batch, right));
    return node_add(g, &op_mse, NN_SCALAR, NN_F32, NO_ATTR, 2, (nn_value[]){y, target}, at);
}

const struct op op_mse = {
    .name = "mse",
    .grad = grad,
    .flops = flops,
    .work = work,
    .run = run,
};

/* ---------------------------------------------------------------- mse_grad */

static void run_grad(const struct step *s, const struct crew *crew)
{
    const struct samples all = samples_of(&s->node->shape);
    const struct range r = share_of(crew, all.n, 16);
    const float *x = s->in[0], *t = s->in[1], *dy = s->in[2];
    const size_t n = counted(&all, t);
    const float scale = n ? 2.0f * *dy / (float)(n * all.F) : 0.0f;
    float *dx = s->out;
    for (size_t i = r.from * all.F; i < r.to * all.F; i += all.F) {
        if (!counts(t + i)) {
            memset(dx + i, 0, all.F * sizeof *dx);
            continue;
        }
        kn->sub_f32(all.F, x + i, t + i, dx + i);
        kn->scale_f32(all.F, scale, dx + i, dx + i);
    }
}

static double flops_grad(const struct nn_graph *g, const struct node *n)
{
    (void)g;
    return 2.0 * (double)shape_elements(&n->shape);
}

const struct op op_mse_grad = {
    .name = "mse_grad",
    .flags = OP_IN_PLACE,
    .flops = flops_grad,
    .run = run_grad,
};
