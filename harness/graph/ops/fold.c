/* fold.c — what batch norm becomes in evaluation (graph/fold.c makes these nodes):
 *
 *     norm_scale  a = gain / sqrt(var + epsilon)                [C]; epsilon is attr.a
 *     norm_shift  b = bias + a (the layer's own bias, or 0, - mean)   [C]
 *     scale_rows  w' = a w, a number for each row: axis 0 of weights [O,...]
 *
 * They have no gradient: a program that trains has none of them. */
#include <math.h>

#include "graph/ops/oplib.h"

static double small(const struct nn_graph *g, const struct node *n)
{
    return (void)g, (void)n, 0.0;
}

static void run_scale(const struct step *s, const struct crew *crew)
{
    const struct range r = share_elements(s, crew);
    const float *gain = s->in[0], *var = s->in[1];
    float *a = s->out;
    for (size_t i = r.from; i < r.to; i++)
        a[i] = gain[i] / sqrtf(var[i] + s->node->attr.a);
}

static void run_shift(const struct step *s, const struct crew *crew)
{
    const struct range r = share_elements(s, crew);
    const float *bias = s->in[0], *mean = s->in[1], *a = s->in[2];
    const float *own = s->node->inputs > 3 ? s->in[3] : NULL;
    float *b = s->out;
    for (size_t i = r.from; i < r.to; i++)
        b[i] = bias[i] + a[i] * ((own ? own[i] : 0.0f) - mean[i]);
}

static void run_rows(const struct step *s, const struct crew *crew)
{
    const size_t rows = (size_t)s->node->shape.dim[0], n = shape_elements(&s->node->shape) / rows;
    const struct range mine = share_of(crew, rows, 1);
    const float *w = s->in[0], *a = s->in[1];
    for (size_t i = mine.from; i < mine.to; i++)
        kn->scale_f32(n, a[i], w + i * n, (float *)s->out + i * n);
}

const struct op op_norm_scale = {
    .name = "norm_scale",
    .flags = OP_NO_GRAD,
    .flops = small,
    .run = run_scale,
};

const struct op op_norm_shift = {
    .name = "norm_shift",
    .flags = OP_NO_GRAD,
    .flops = small,
    .run = run_shift,
};

const struct op op_scale_rows = {
    .name = "scale_rows",
    .flags = OP_NO_GRAD,
    .run = run_rows,
};
