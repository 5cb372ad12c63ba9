/* conv_depthwise_f32.c — depthwise convolution (Howard et al. 2017, Tan & Le 2019), forward and
 * backward to the data: each channel has a kernel of its own.
 *
 * A vector holds as many channels of one pixel. A row of the target is done in blocks of
 * up to eight pixels whose sums stay in registers: for each tap row the weights of the vector
 * are loaded once, each source pixel once, and goes to all the sums that it belongs to. So
 * there are three multiply-adds or more to a load, and the loads, from a few rows of a few
 * channels, are L1's. Backward with stride s the columns fall into s grids (conv_patch.h)
 * with fewer taps each.
 *
 * Each sum is one chain of fused multiply-adds, bias first, in the order of the taps: the bits
 * depend on neither threads nor blocks. */
#include "kernels/conv_depthwise.h"

enum {
    BLOCK = 8,              /* pixels, at most */
    CHUNK_FLOATS = 6 * 1024 /* of source rows that stay in L1 */
};

/* ---- one block of pixels, one vector of channels ---- */

struct block {
    const float *source; /* first tap row, pixel 0, this vector */
    size_t row;          /* floats between source rows */
    size_t C;
    int rows, taps,
        step;        /* tap rows; taps in a row; source pixels from a target pixel to the next */
    int left, width; /* source pixel of the first tap, may be outside [0, width) */
    const float *w;  /* first tap of the first row */
    ptrdiff_t w_row, w_tap;
    const float *bias; /* or NULL */
    float *out;
    size_t target_step; /* floats between pixels of the target */
    size_t out_step;    /* and of out, which is the target unless there is more to do */
    size_t n;           /* channels, at most VF */
};

typedef void block_fn(const struct block *b);

/* The compiler unrolls all but the loop over tap rows. `inside`: no tap lies in the border;
 * `whole`: the vector is full. */
static inline __attribute__((always_inline)) void
sum_block(const struct block *b, int pixels, int taps, int step, bool inside, bool whole)
{
    const size_t n = whole ? VF : b->n;
    vf sum[BLOCK], w[DEPTHWISE_TAPS];
    const vf bias = b->bias ? vf_get(b->bias, n) : vf_set(0);
    UNROLL
    for (int p = 0; p < pixels; p++)
        sum[p] = bias;
    const float *row = b->source, *weights = b->w;
    for (int u = 0; u < b->rows; u++, row += b->row, weights += b->w_row) {
        UNROLL
        for (int v = 0; v < taps; v++)
            w[v] = vf_get(weights + v * b->w_tap, n);
        UNROLL
        for (int q = 0; q < (pixels - 1) * step + taps; q++) {
            const int at = b->left + q;
            if (!inside && (at < 0 || at >= b->width))
                continue;
            const vf x = vf_get(row + (size_t)at * b->C, n);
            UNROLL
            for (int v = 0; v < taps; v++)
                if (q >= v && (q - v) % step == 0 && (q - v) / step < pixels)
                    sum[(q - v) / step] = vf_fma(x, w[v], sum[(q - v) / step]);
        }
    }
    UNROLL
    for (int p = 0; p < pixels; p++)
        vf_put(b->out + (size_t)p * b->out_step, sum[p], n);
}

/* Any number of taps, any step. */
static inline __attribute__((always_inline)) void sum_block_any(const struct block *b, int pixels)
{
    vf sum[BLOCK];
    const vf bias = b->bias ? vf_get(b->bias, b->n) : vf_set(0);
    UNROLL
    for (int p = 0; p < pixels; p++)
        sum[p] = bias;
    for (int u = 0; u < b->rows; u++)
        for (int v = 0; v < b->taps; v++) {
            const vf w = vf_get(b->w + u * b->w_row + v * b->w_tap, b->n);
            UNROLL
            for (int p = 0; p < pixels; p++) {
                const int at = b->left + p * b->step + v;
                if (at >= 0 && at < b->width)
                    sum[p] =
                        vf_fma(vf_get(b->source + (size_t)u * b->row + (size_t)at * b->C, b->n), w,
                               sum[p]);
            }
        }
    UNROLL
    for (int p = 0; p < pixels; p++)
        vf_put(b->out + (size_t)p * b->out_step, sum[p], b->n);
}

/* A block function for each kind of place, each number of pixels in a block, and the
 * kernels that networks have. */
enum { INSIDE, BORDER, PART, PLACES };
enum { SIZES = 4 };
static const int sizes[SIZES] = {8, 7, 4, 1};

#define BLOCKS(pixels, taps, step)                                       \
    static void inside_##pixels##_##taps##_##step(const struct block *b) \
    {                                                                    \
        sum_block(b, pixels, taps, step, true, true);                    \
    }                                                                    \
    static void border_##pixels##_##taps##_##step(const struct block *b) \
    {                                                                    \
        sum_block(b, pixels, taps, step, false, true);                   \
    }                                                                    \
    static void part_##pixels##_##taps##_##step(const struct block *b)   \
    {                                                                    \
        sum_block(b, pixels, taps, step, false, false);                  \
    }
#define KERNELS(taps, step) \
    BLOCKS(8, taps, step) BLOCKS(7, taps, step) BLOCKS(4, taps, step) BLOCKS(1, taps, step)
KERNELS(3, 1)
KERNELS(5, 1)
KERNELS(3, 2)
KERNELS(5, 2)
static void any_8(const struct block *b) { sum_block_any(b, 8); }
static void any_7(const struct block *b) { sum_block_any(b, 7); }
static void any_4(const struct block *b) { sum_block_any(b, 4); }
static void any_1(const struct block *b) { sum_block_any(b, 1); }

/* clang-format off */
#define PLACES_OF(pixels, taps, step) \
    {inside_##pixels##_##taps##_##step, border_##pixels##_##taps##_##step, part_##pixels##_##taps##_##step}
#define SIZES_OF(taps, step) \
    {taps, step, {PLACES_OF(8, taps, step), PLACES_OF(7, taps, step), PLACES_OF(4, taps, step), PLACES_OF(1, taps, step)}}
static const struct kind {
    int taps, step;
    block_fn *fn[SIZES][PLACES];
} kinds[] = {
    SIZES_OF(3, 1),
    SIZES_OF(5, 1),
    SIZES_OF(3, 2),
    SIZES_OF(5, 2),
    {0, 0, {{any_8, any_8, any_8}, {any_7, any_7, any_7}, {any_4, any_4, any_4}, {any_1, any_1, any_1}}},
};
/* clang-format on */

static const struct kind *kind_of(int taps, int step)
{
    const struct kind *k = kinds;
    while (k->taps && !(k->taps == taps && k->step == step))
        k++;
    return k;
}

/* Of the pixels that are left: sevens where they come out even, as ImageNet's maps of 7 to 112 do.
 */
static int size_of(int left) { return left % 7 == 0 ? 1 : left >= 8 ? 0 : left >= 4 ? 2 : 3; }

/* ---- a pass ---- */

struct pass {
    const struct kn_conv *c;
    struct finish finish;
    const float *source, *packed;
    float *target;
    int parts, SH, SW, TH, TW;
    struct grid rows[DEPTHWISE_STRIDE], cols[DEPTHWISE_STRIDE];
    const struct kind *kind[DEPTHWISE_STRIDE];
};

/* What is more than a bias: sums [pixels][VF] to their places. */
static void finish_block(const struct finish *f, const float *sums, int pixels, size_t n, size_t at,
                         size_t step, float *target)
{
    for (int p = 0; p < pixels; p++, at += step) {
        vf v = vf_load(sums + p * VF);
        if (f->e.accumulate)
            v = v + vf_get(target + at, n);
        vf_put(target + at, finish_part(f, v, at, n), n);
    }
}

/* One block of a target row, channels [from, to); b lacks what depends on the channel. */
static void run_block(const struct pass *p, const struct kind *kind, int size, struct block *b,
                      size_t at, int from, int to)
{
    float sums[BLOCK * VF] = {0};
    const struct block first = *b;
    const int pixels = sizes[size], end = b->left + (pixels - 1) * b->step + b->taps;
    const int place = b->left >= 0 && end <= b->width ? INSIDE : BORDER;
    for (int ch = from; ch < to; ch += VF) {
        b->n = (size_t)least(VF, to - ch);
        b->source = first.source + ch;
        b->w = first.w + ch;
        b->bias = p->finish.e.bias ? p->finish.e.bias + ch : NULL;
        b->out = p->finish.plain ? p->target + at + ch : sums;
        kind->fn[size][b->n < VF ? PART : place](b);
        if (!p->finish.plain)
            finish_block(&p->finish, sums, pixels, b->n, at + (size_t)ch, first.target_step,
                         p->target);
    }
}

/* Columns of grid `part` of target row h, channels [from, to). */
static void run_line(const struct pass *p, int image, int h, int part, int from, int to)
{
    const struct grid *rows = &p->rows[h % p->parts], *cols = &p->cols[part];
    const size_t C = (size_t)p->c->C;
    const int top = h / p->parts * rows->source_step + rows->source;
    const int first = most(0, -top), end = most(first, least(rows->taps, p->SH - top));
    const int tap = rows->tap + first * rows->tap_step;
    struct block b = {.row = (size_t)p->SW * C,
                      .C = C,
                      .rows = end - first,
                      .taps = cols->taps,
                      .step = cols->source_step,
                      .width = p->SW,
                      .w_row = rows->tap_step * p->c->KW * (ptrdiff_t)C,
                      .w_tap = cols->tap_step * (ptrdiff_t)C,
                      .target_step = (size_t)cols->target_step * C};
    b.out_step = p->finish.plain ? b.target_step : VF;
    b.source =
        p->source + ((size_t)image * (size_t)p->SH + (size_t)(b.rows ? top + first : 0)) * b.row;
    b.w = p->packed + (b.rows && b.taps ? (size_t)(tap * p->c->KW + cols->tap) * C : 0);
    const size_t line = ((size_t)image * (size_t)p->TH + (size_t)h) * (size_t)p->TW;
    for (int j = 0, size; j < cols->points; j += sizes[size]) {
        size = size_of(cols->points - j);
        b.left = j * cols->source_step + cols->source;
        const size_t at = (line + (size_t)(cols->target + j * cols->target_step)) * C;
        struct block one = b;
        run_block(p, p->kind[part], size, &one, at, from, to);
    }
}

/* Channels that are done together: the rows that a target row meets stay in L1. */
static int chunk_channels(const struct pass *p)
{
    const int taps = p->rows[0].taps + 1;
    const int vectors = CHUNK_FLOATS / VF / (taps * p->SW);
    return vectors < 4 ? p->c->C : vectors * VF;
}

/* Target rows [from, to) of all images. */
static void run_rows(const struct pass *p, int from, int to)
{
    const int chunk = chunk_channels(p);
    for (int row = from, next; row < to; row = next) {
        const int image = row / p->TH;
        next = least(to, (image + 1) * p->TH);
        for (int ch = 0; ch < p->c->C; ch += chunk)
            for (int h = row; h < next; h++)
                for (int part = 0; part < p->parts; part++)
                    run_line(p, image, h - image * p->TH, part, ch, least(p->c->C, ch + chunk));
    }
}

size_t KN(conv_depthwise_work)(const struct kn_conv *c, int pass, int threads)
{
    (void)pass, (void)threads;
    return (size_t)(c->KH * c->KW) * (size_t)c->C * sizeof(float);
}

void KN(conv_depthwise)(const struct kn_conv *c, int pass, const struct kn_epilogue *e,
                        const struct crew *crew, const float *source, const float *w, float *target,
                        void *work)
{
    const bool back = pass == CONV_GRAD_DATA;
    const size_t C = (size_t)c->C, taps = (size_t)(c->KH * c->KW);
    struct pass p = {.c = c,
                     .finish = finish_of(e),
                     .source = source,
                     .packed = work,
                     .target = target,
                     .parts = back ? c->stride : 1,
                     .SH = back ? c->OH : c->H,
                     .SW = back ? c->OW : c->W,
                     .TH = back ? c->H : c->OH,
                     .TW = back ? c->W : c->OW};
    for (int i = 0; i < p.parts; i++) {
        const struct patches g = KN(conv_patches)(c, back, i * p.parts + i, source);
        p.rows[i] = g.rows;
        p.cols[i] = g.cols;
        p.kind[i] = kind_of(g.cols.taps, g.cols.source_step);
    }
    size_t from, to; /* [C][taps] -> [taps][C] */
    crew_share(crew, C, VF, &from, &to);
    KN(transpose_f32)(to - from, taps, w + from * taps, taps, (float *)work + from, C);
    crew_wait(crew);
    crew_share(crew, (size_t)c->N * (size_t)p.TH, 1, &from, &to);
    run_rows(&p, (int)from, (int)to);
}
