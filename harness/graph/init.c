/* init.c — initial values of parameters and constants (enum nn_init_kind).
 *
 * Numbers are drawn in logical order from a stream of the tensor's own, named
 * after it: layout, other parameters and threads change nothing. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/exec.h"

struct fan {
    double in, out;
};

/* [out,in], [O,C,KH,KW]: an output sees the product of all axes but the first, an input that
 * of all but the second. */
static struct fan fan_of(const struct nn_shape *s)
{
    const double elements = (double)shape_elements(s), first = s->dim[0] ? s->dim[0] : 1;
    const double second = shape_rank(s) > 1 ? s->dim[1] : 1;
    return (struct fan){elements / first, elements / second};
}

/* Rows of unit length at right angles to those before them, in blocks of `width` rows: Gram and
 * Schmidt, twice for each row (Giraud et al. 2005), in double. */
static void orthogonalize(size_t rows, size_t width, double scale, float *y)
{
    double *q = xmalloc(width * width * sizeof *q);
    for (size_t r = 0; r < rows; r++) {
        double *const row = q + r % width * width;
        for (size_t k = 0; k < width; k++)
            row[k] = (double)y[r * width + k];
        for (size_t i = 0; i < 2 * (r % width); i++) {
            const double *const other = q + i % (r % width) * width;
            double dot = 0.0;
            for (size_t k = 0; k < width; k++)
                dot += row[k] * other[k];
            for (size_t k = 0; k < width; k++)
                row[k] -= dot * other[k];
        }
        double squares = 0.0;
        for (size_t k = 0; k < width; k++)
            squares += row[k] * row[k];
        for (size_t k = 0; k < width; k++) {
            row[k] /= sqrt(squares);
            y[r * width + k] = (float)(scale * row[k]);
        }
    }
    free(q);
}

static void identities(size_t rows, size_t width, float scale, float *y)
{
    for (size_t i = 0; i < rows * width; i++)
        y[i] = i / width % width == i % width ? scale : 0.0f;
}

static void draw(const struct node *n, uint64_t seed, float *y)
{
    const struct nn_init init = n->attr.init;
    const struct fan fan = fan_of(&n->shape);
    const size_t count = shape_elements(&n->shape);
    const uint64_t stream = n->attr.stream;
    double width = init.a;
    switch (init.kind) {
    case NN_INIT_CONST: kn->fill_f32(count, init.a, y); return;
    case NN_INIT_HE_NORMAL:
        width *= sqrt(2.0 / fan.in);
        /* fall through */
    case NN_INIT_NORMAL: kn->normal_f32(count, 0, seed, stream, 0.0f, (float)width, y); return;
    case NN_INIT_ORTHOGONAL:
        kn->normal_f32(count, 0, seed, stream, 0.0f, 1.0f, y);
        orthogonalize(count / (size_t)fan.in, (size_t)fan.in, width, y);
        return;
    case NN_INIT_IDENTITY: identities(count / (size_t)fan.in, (size_t)fan.in, init.a, y); return;
    case NN_INIT_FAN_IN_UNIFORM: width /= fan.in; break;
    case NN_INIT_GLOROT_UNIFORM: width *= sqrt(6.0 / (fan.in + fan.out)); break;
    default: break;
    }
    kn->uniform_f32(count, 0, seed, stream, (float)-width, (float)width, y);
}

/* Weights are [O][KH][KW][C] in memory, the mask is [O][C]. */
void node_mask(const struct node *n, float *memory)
{
    if (!n->attr.mask || n->op != &op_param)
        return;
    const size_t O = (size_t)n->shape.dim[0], C = (size_t)n->shape.dim[1];
    const size_t taps = (size_t)n->shape.dim[2] * (size_t)n->shape.dim[3];
    for (size_t o = 0; o < O; o++)
        for (size_t i = 0; i < taps * C; i++)
            if (!n->attr.mask[o * C + i % C])
                memory[o * taps * C + i] = 0.0f;
}

void node_initial(const struct node *n, uint64_t seed, float *memory)
{
    if (n->attr.data) {
        layout_to_memory(&n->shape, n->attr.data, memory);
        return;
    }
    float *logical = xmalloc(node_bytes(n));
    draw(n, seed, logical);
    layout_to_memory(&n->shape, logical, memory);
    node_mask(n, memory);
    free(logical);
}
