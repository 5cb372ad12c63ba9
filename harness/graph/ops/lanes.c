/* lanes.c — from images one by one to images side by side, and back.
 *
 *     to_lanes    [N][H][W][C] -> [N/16][H][W][C][16]     dx = from_lanes(dy)
 *     from_lanes  [N/16][H][W][C][16] -> [N][H][W][C]     dx = to_lanes(dy)
 *
 * Logically nothing happens. In memory each block of 16 images is a matrix [16][HWC]
 * that is transposed. layout.c inserts these where narrow layers gain from it, and
 * only when the batch is a multiple of 16. */
#include "graph/ops/oplib.h"

enum { TILE = 512 }; /* columns a call: 32 KiB read, 32 KiB written */

/* This thread's tiles: `tiles` of them make a block of 16 images. */
struct work {
    size_t floats, tiles;
    struct range mine;
};

static struct work work_of(const struct step *s, const struct crew *crew)
{
    const struct nn_shape *shape = &s->node->shape;
    const size_t floats = shape_elements(shape) / (size_t)shape->dim[0];
    const size_t blocks = (size_t)shape->dim[0] / KN_LANES, tiles = (floats + TILE - 1) / TILE;
    return (struct work){floats, tiles, share_of(crew, blocks * tiles, 1)};
}

static void run_to(const struct step *s, const struct crew *crew)
{
    const struct work w = work_of(s, crew);
    for (size_t i = w.mine.from; i < w.mine.to; i++) {
        const size_t block = i / w.tiles * w.floats * KN_LANES, from = i % w.tiles * TILE;
        const float *x = (const float *)s->in[0] + block + from;
        float *y = (float *)s->out + block + from * KN_LANES;
        kn->transpose_f32(KN_LANES, least(TILE, w.floats - from), x, w.floats, y, KN_LANES);
    }
}

static void run_from(const struct step *s, const struct crew *crew)
{
    const struct work w = work_of(s, crew);
    for (size_t i = w.mine.from; i < w.mine.to; i++) {
        const size_t block = i / w.tiles * w.floats * KN_LANES, from = i % w.tiles * TILE;
        const float *x = (const float *)s->in[0] + block + from * KN_LANES;
        float *y = (float *)s->out + block + from;
        kn->transpose_f32(least(TILE, w.floats - from), KN_LANES, x, KN_LANES, y, w.floats);
    }
}

static void grad_to(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, &op_from_lanes, id, NO_ATTR, dy);
}

static void grad_from(struct nn_graph *g, int id, nn_value dy, nn_value dx[NODE_INPUTS])
{
    if (grad_wanted(g, id, 0))
        dx[0] = EMIT(g, &op_to_lanes, id, NO_ATTR, dy);
}

static double no_flops(const struct nn_graph *g, const struct node *n)
{
    return (void)g, (void)n, 0.0;
}

static const char *kernel(const struct node *n) { return (void)n, "transpose_f32"; }

const struct op op_to_lanes = {
    .name = "to_lanes",
    .grad = grad_to,
    .flops = no_flops,
    .run = run_to,
    .kernel = kernel,
};

const struct op op_from_lanes = {
    .name = "from_lanes",
    .grad = grad_from,
    .flops = no_flops,
    .run = run_from,
    .kernel = kernel,
};
