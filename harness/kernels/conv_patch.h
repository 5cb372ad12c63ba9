/* conv_patch.h — the matrix that a convolution multiplies, without building it.
 *
 * Its rows are the points of a grid over the target images, its columns run over
 * (tap row, tap column, channel) of the patch of the source image that the point
 * meets. A tap row is one contiguous run of floats, also across the patches' border
 * of zeros. Rows or columns of it are copied into panels as the product needs them.
 *
 * The forward pass has one such grid. Backward to the data with stride s, a target
 * pixel (h,w) meets the taps u = (h + pad) mod s, + s, … only, so the pixels fall
 * into s x s grids with patches of their own: each is a dense product again. */
#ifndef CONV_PATCH_H
#define CONV_PATCH_H

#include "kernels/conv_moments.h"
#include "kernels/conv_parts.h"
#include "kernels/gemm_core.h"

/* Along one axis. */
struct grid {
    int points;              /* of the grid */
    int target, target_step; /* their places in the target image */
    int source, source_step; /* where their patches begin in the source image; may be outside */
    int taps, tap, tap_step; /* in the patch; kernel taps from the patch's first one on */
};

struct patches {
    const float *source;
    int N, H, W, C; /* the source images */
    struct grid rows, cols;
    int first; /* row of the matrix that callbacks call 0 */
};

static inline int patch_line(const struct patches *p) { return p->cols.taps * p->C; }
static inline int patch_size(const struct patches *p) { return p->rows.taps * patch_line(p); }
static inline size_t patch_count(const struct patches *p)
{
    return (size_t)p->N * (size_t)p->rows.points * (size_t)p->cols.points;
}

/* Row i of the matrix is pixel (image, row, col) of the grid. */
struct place {
    int image, row, col;
};

static inline struct place patch_place(const struct patches *p, int i)
{
    const int all = p->first + i, col = all % p->cols.points, rest = all / p->cols.points;
    return (struct place){rest / p->rows.points, rest % p->rows.points, col};
}

static inline void place_next(const struct patches *p, struct place *at)
{
    if (++at->col < p->cols.points)
        return;
    at->col = 0;
    if (++at->row < p->rows.points)
        return;
    at->row = 0;
    at->image++;
}

/* The source row that tap row u of the grid row meets; NULL outside the image. */
static inline const float *patch_source(const struct patches *p, int image, int row, int u)
{
    const int at = row * p->rows.source_step + p->rows.source + u;
    if (at < 0 || at >= p->H)
        return NULL;
    return p->source + ((size_t)image * (size_t)p->H + (size_t)at) * (size_t)p->W * (size_t)p->C;
}

static inline void copy_floats(float *to, const float *from, int n)
{
    int i = 0;
    for (; i + VF <= n; i += VF)
        vf_store(to + i, vf_load(from + i));
    if (i < n)
        vf_store_n(to + i, vf_load_n(from + i, (size_t)(n - i), 0), (size_t)(n - i));
}

static inline void zero_floats(float *to, int n)
{
    int i = 0;
    for (; i + VF <= n; i += VF)
        vf_store(to + i, vf_set(0));
    if (i < n)
        vf_store_n(to + i, vf_set(0), (size_t)(n - i));
}

/* Floats [from, from + n) of a source row of `width`, zeros outside of it; row may be NULL. */
static inline void copy_clipped(float *to, const float *row, int width, int from, int n)
{
    if (row && from >= 0 && from + n <= width) {
        copy_floats(to, row + from, n);
        return;
    }
    const int low = row ? least(n, most(0, -from)) : n;
    const int high = row ? most(low, least(n, width - from)) : n;
    zero_floats(to, low);
    if (low < high)
        copy_floats(to + low, row + from + low, high - low);
    zero_floats(to + high, n - high);
}

/* The patches of a forward pass (part 0), or part of stride^2 of a backward one. */
struct patches KN(conv_patches)(const struct kn_conv *c, bool back, int part, const float *source);

/* One thread's view of a pass forward or backward to the data. */
struct conv_pass {
    const struct kn_conv *c;
    const struct kn_epilogue *e;
    const struct crew *crew;
    bool back, by_lines; /* by_lines: as conv_lines_f32.c does it */
    int TH, TW, TC;      /* the target images */
    size_t ld;           /* floats from pixel to pixel of them */
    const float *source, *w;
    float *target, *packed;
    struct moments moments; /* units are rows of images */
    char *scratch;          /* this thread's */
};

/* One of its grids. Packed weights are blocks of terms, in each the panels [terms][GEMM_NR]
 * of all target channels; by lines there is one block. */
struct conv_grid {
    const struct conv_pass *pass;
    struct patches patches;
    float *packed;
};

/* conv_lines_f32.c: whether it suits the problem, its scratch for a thread, and this
 * thread's share of a grid. */
bool KN(conv_lines_suit)(const struct conv_pass *p);
size_t KN(conv_lines_bytes)(const struct conv_pass *p);
void KN(conv_lines)(const struct conv_grid *g);

/* conv_lines_grad_f32.c, the gradient of the weights: the same questions, and all of it. */
bool KN(conv_lines_grad_suit)(const struct kn_conv *c);
size_t KN(conv_lines_grad_work)(const struct kn_conv *c, int threads);
void KN(conv_lines_grad_weight)(const struct kn_conv *c, const struct crew *crew, const float *x,
                                const float *dy, float *dw, void *work);

#endif
