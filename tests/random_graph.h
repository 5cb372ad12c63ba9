/* random_graph.h — graphs for tests of properties: small, valid, and a function
 * of the seed. Images pass through convolutions, pooling, gains, activations,
 * residual sums and branches that are joined again in random order, are flattened, and
 * go on through linear layers. */
#ifndef RANDOM_GRAPH_H
#define RANDOM_GRAPH_H

#include "base/rng.h"
#include "graph/program.h"
#include "nn.h"

enum { RANDOM_CLASSES = 5 };

static inline nn_value random_activation(struct rng *r, nn_value x)
{
    switch (rng_below(r, 6)) {
    case 0: return nn_relu(x);
    case 1: return nn_tanh(x);
    case 2: return nn_sigmoid(x);
    case 3: return nn_scale(nn_tanh(nn_scale(x, 2.0f / 3.0f)), 1.7159f);
    case 4: return nn_offset(nn_abs(x), -0.5f);
    default: return x;
    }
}

static inline nn_value random_image_layer(struct rng *r, nn_value x)
{
    const int channels = nn_dim(x, 1), size = nn_dim(x, 2);
    switch (rng_below(r, 6)) {
    case 0:
        return nn_conv2d(x, (int)(1 + rng_below(r, 20)), .kernel = 3, .pad = 1,
                         .no_bias = rng_below(r, 2));
    case 1: /* a residual block */ return nn_add(x, nn_conv2d(x, channels, .kernel = 3, .pad = 1));
    case 2: return size >= 4 ? nn_max_pool(x, 2) : nn_affine(x);
    case 3: return size >= 4 ? nn_sum_pool(x, 2) : nn_scale(x, 0.5f);
    case 4: return nn_affine(x);
    default: return nn_mul(x, nn_sigmoid(x));
    }
}

static inline nn_value random_flat_layer(struct rng *r, nn_value x)
{
    const int width = nn_dim(x, 1);
    switch (rng_below(r, 4)) {
    case 0: return nn_linear(x, (int)(1 + rng_below(r, 40)));
    case 1: return nn_add(nn_linear(x, width, .no_bias = true), x);
    case 2: return nn_sub(x, nn_scale(nn_linear(x, width), 0.5f));
    default: return nn_affine(x);
    }
}

/* Pieces of a join: what can be written in place, what cannot, and what somebody else reads too. */
static inline nn_value random_branch(struct rng *r, nn_value x)
{
    const int width = (int)(1 + rng_below(r, 20));
    switch (rng_below(r, 6)) {
    case 0: return nn_relu(nn_batch_norm(nn_conv2d(x, width, .kernel = 1, .no_bias = true), 1e-3f));
    case 1: return nn_relu(nn_conv2d(x, width, .kernel = 3, .pad = 1));
    case 2: return nn_conv2d(x, width, .kernel = 5, .pad = 2, .no_bias = true);
    case 3:
        return nn_batch_norm(nn_conv2d(x, width, .kernel = 3, .pad = 1, .no_bias = true), 1e-3f);
    case 4: return nn_tanh(nn_conv2d(x, width, .kernel = 1));
    default: return x;
    }
}

static inline nn_value random_branches(struct rng *r, nn_value x, int row)
{
    nn_value piece[4] = {{0}};
    const int pieces = (int)(2 + rng_below(r, 3));
    for (int i = 0; i < pieces; i++) {
        nn_row(x.graph, "image%d/%d", row, i);
        piece[i] = i && rng_below(r, 6) == 0 ? piece[i - 1] : random_branch(r, x);
    }
    nn_row(x.graph, "image%d/join", row);
    x = nn_join_(1, pieces, piece, "random_graph.h");
    return rng_below(r, 4) ? x : nn_mul(x, nn_join_(1, pieces, piece, "random_graph.h"));
}

/* An image, a label, a loss, and its accuracy. The batch decides whether lanes are possible. */
static inline struct nn_graph *random_graph(uint64_t seed, int batch, bool dropout)
{
    struct rng r = rng_make(seed, rng_stream("random graph")),
               branches = rng_make(seed, rng_stream("random branches"));
    struct nn_graph *g = graph_new(batch);
    const int size = (int)(4 + rng_below(&r, 6)), images = (int)rng_below(&r, 5);
    nn_value x = nn_input(g, "image", NN_F32, NN_SHAPE((int)(1 + rng_below(&r, 3)), size, size));
    const nn_value label = nn_input(g, "label", NN_I32, NN_SCALAR);
    int row = 0;
    for (int i = 0; i < images; i++) {
        nn_row(g, "image%d", row++);
        x = random_activation(&r, random_image_layer(&r, x));
        if (rng_below(&branches, 2))
            x = random_branches(&branches, x, row);
    }
    x = nn_flatten(x);
    for (int i = (int)rng_below(&r, 4); i > 0; i--) {
        nn_row(g, "flat%d", row++);
        x = random_activation(&r, random_flat_layer(&r, x));
        if (dropout && rng_below(&r, 2))
            x = nn_dropout(x, 0.25f);
    }
    nn_row(g, "scores");
    x = nn_linear(x, RANDOM_CLASSES);
    nn_minimize(nn_cross_entropy(x, label));
    nn_metric("accuracy", nn_accuracy(x, label));
    return g;
}

/* The same numbers and labels for every program of a seed, some labels missing. */
static inline void random_inputs(struct program *p, uint64_t seed)
{
    struct rng r = rng_make(seed, rng_stream("random inputs"));
    const struct tensor *image = program_find(p, TENSOR_INPUT, "image"),
                        *label = program_find(p, TENSOR_INPUT, "label");
    for (size_t i = 0; i < image->elements; i++)
        ((float *)image->data)[i] = (float)rng_normal(&r);
    for (size_t i = 0; i < label->elements; i++)
        ((int32_t *)label->data)[i] = (int32_t)rng_below(&r, RANDOM_CLASSES + 1) - 1;
}

#endif
