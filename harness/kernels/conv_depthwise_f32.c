/* conv_depthwise_f32.c — depthwise convolution (Howard et al. 2017, Tan & Le 2019), forward and
 * backward to the data: each channel has a kernel of its own.
 *
 * A vector holds as many channels of one pixel. A row of the target is done in blocks of
 * up to eight pixels whose sums stay in registers: for each tap row the weights of the vector
 * are loaded once, each source pixel once, and goes to all the sums that it belongs to. So
 * there are three multiply-adds or more to a load. Backward with stride s the columns fall into
 * s grids (conv_patch.h) with fewer taps each.
 *
 * There is little arithmetic to a byte, so memory decides. Target rows are done in groups: their
 * source rows lie in L2, and a block goes down the group, so that L1 has what the next row meets
 * again. Meanwhile the rows of the next group come to L2 (struct stream).
 *
 * Each sum is one chain of fused multiply-adds, bias first, in the order of the taps: the bits
 * depend on neither threads nor blocks. */
#include "kernels/conv_depthwise.h"

enum {
    BLOCK = 8,  /* pixels, at most */
    CHUNK = 64, /* channels that go along a row together: L1 has what the next block meets again */
    GROUP = 8   /* target rows, at most */
};

/* ---- blocks of pixels below each other, one vector of channels ---- */

/* What of a target row depends on neither column nor channel. */
struct row {
    const float *source, *w; /* the first source row that it meets, the weights of that tap row */
    size_t at;               /* floats before it in the target */
    int rows;                /* tap rows */
};

struct block {
    const struct row *first, *end; /* target rows */
    size_t row, C;                 /* floats between source rows, between source pixels */
    int taps, step;                /* in a row; source pixels from a target pixel to the next */
    int left, width;               /* source pixel of the first tap, may be outside [0, width) */
    ptrdiff_t w_row, w_tap;
    size_t channel, n; /* the first of the vector, and how many, at most VF */
    const float *bias; /* of all channels, or NULL */
    float *out;        /* where a target row's first pixel goes, less the row's `at` */
    size_t out_step;   /* floats between its pixels */
    struct stream *next_source, *next_target;
};

typedef void block_fn(const struct block *b);

static inline vf bias_of(const struct block *b, size_t n)
{
    return b->bias ? vf_get(b->bias + b->channel, n) : vf_set(0);
}

/* One tap row: source pixels from `at` on, b->left, to the sums that they belong to. */
static inline __attribute__((always_inline)) void sum_pixels(const struct block *b, const float *at,
                                                             int pixels, int taps, int step,
                                                             size_t n, const vf w[], vf sum[])
{
    const int last = (pixels - 1) * step;
    UNROLL
    for (int q = 0; q < last + taps; q++, next_pixel(&at, b->C)) {
        if ((q < taps - 1 && b->left + q < 0) || (q > last && b->left + q >= b->width))
            continue;
        vf x = vf_get(at, n);
        IN_REGISTER(x);
        UNROLL
        for (int v = 0; v < taps; v++)
            if (q >= v && (q - v) % step == 0 && (q - v) / step < pixels)
                sum[(q - v) / step] = vf_fma(x, w[v], sum[(q - v) / step]);
    }
}

/* The compiler unrolls all but the loops over rows and tap rows. `whole`: the vector is full. The
 * first pixel's last tap is not left of the source, nor the last pixel's first one right of it. */
static inline __attribute__((always_inline)) void sum_block(const struct block *b, int pixels,
                                                            int taps, int step, bool whole)
{
    const size_t n = whole ? VF : b->n;
    const ptrdiff_t left = (ptrdiff_t)b->left * (ptrdiff_t)b->C + (ptrdiff_t)b->channel;
    const vf bias = bias_of(b, n);
    for (const struct row *r = b->first; r < b->end; r++) {
        vf sum[BLOCK], w[DEPTHWISE_TAPS];
        UNROLL
        for (int p = 0; p < pixels; p++)
            sum[p] = bias;
        const float *row = r->source, *weights = r->w + b->channel;
        for (int u = 0; u < r->rows; u++, row += b->row, weights += b->w_row) {
            UNROLL
            for (int v = 0; v < taps; v++)
                w[v] = vf_get(weights + v * b->w_tap, n);
            sum_pixels(b, row + left, pixels, taps, step, n, w, sum);
        }
        UNROLL
        for (int p = 0; p < pixels; p++)
            vf_put(b->out + r->at + (size_t)p * b->out_step, sum[p], n);
        stream_on(b->next_source);
        stream_on(b->next_target);
    }
}

/* Any number of taps, any step. */
static inline __attribute__((always_inline)) void sum_block_any(const struct block *b, int pixels)
{
    for (const struct row *r = b->first; r < b->end; r++) {
        vf sum[BLOCK];
        UNROLL
        for (int p = 0; p < pixels; p++)
            sum[p] = bias_of(b, b->n);
        for (int k = 0; k < r->rows * b->taps; k++) {
            const int u = k / b->taps, v = k % b->taps;
            const float *const row = r->source + (size_t)u * b->row + b->channel;
            const vf w = vf_get(r->w + u * b->w_row + v * b->w_tap + b->channel, b->n);
            UNROLL
            for (int p = 0; p < pixels; p++) {
                const int at = b->left + p * b->step + v;
                if (at >= 0 && at < b->width)
                    sum[p] = vf_fma(vf_get(row + (size_t)at * b->C, b->n), w, sum[p]);
            }
        }
        UNROLL
        for (int p = 0; p < pixels; p++)
            vf_put(b->out + r->at + (size_t)p * b->out_step, sum[p], b->n);
        stream_on(b->next_source);
        stream_on(b->next_target);
    }
}

/* A block function for whole vectors and for a part of one, for each number of pixels in a block,
 * and for the kernels that networks have, or their parts that meet in a grid. */
enum { WHOLE, PART, VECTORS };
enum { SIZES = 4 };
static const int sizes[SIZES] = {8, 7, 4, 1};

#define BLOCKS(pixels, taps, step)                                      \
    static void whole_##pixels##_##taps##_##step(const struct block *b) \
    {                                                                   \
        sum_block(b, pixels, taps, step, true);                         \
    }                                                                   \
    static void part_##pixels##_##taps##_##step(const struct block *b)  \
    {                                                                   \
        sum_block(b, pixels, taps, step, false);                        \
    }
#define KERNELS(taps, step) \
    BLOCKS(8, taps, step) BLOCKS(7, taps, step) BLOCKS(4, taps, step) BLOCKS(1, taps, step)
KERNELS(1, 1)
KERNELS(2, 1)
KERNELS(3, 1)
KERNELS(5, 1)
KERNELS(3, 2)
KERNELS(5, 2)
static void any_8(const struct block *b) { sum_block_any(b, 8); }
static void any_7(const struct block *b) { sum_block_any(b, 7); }
static void any_4(const struct block *b) { sum_block_any(b, 4); }
static void any_1(const struct block *b) { sum_block_any(b, 1); }

/* clang-format off */
#define OF_SIZE(pixels, taps, step) {whole_##pixels##_##taps##_##step, part_##pixels##_##taps##_##step}
#define SIZES_OF(taps, step) \
    {taps, step, {OF_SIZE(8, taps, step), OF_SIZE(7, taps, step), OF_SIZE(4, taps, step), OF_SIZE(1, taps, step)}}
static const struct kind {
    int taps, step;
    block_fn *fn[SIZES][VECTORS];
} kinds[] = {
    SIZES_OF(3, 1),
    SIZES_OF(5, 1),
    SIZES_OF(3, 2),
    SIZES_OF(5, 2),
    SIZES_OF(2, 1), /* of 3x3 or 5x5 backward with stride 2 */
    SIZES_OF(1, 1), /* of 3x3 */
    {0, 0, {{any_8, any_8}, {any_7, any_7}, {any_4, any_4}, {any_1, any_1}}},
};
/* clang-format on */

/* Of the columns of a grid; sum_block() has pixels that meet the source only. */
static const struct kind *kind_of(const struct grid *cols, int width)
{
    const bool meet = cols->source + cols->taps > 0 &&
                      (cols->points - 1) * cols->source_step + cols->source < width;
    const struct kind *k = kinds;
    while (k->taps && !(meet && k->taps == cols->taps && k->step == cols->source_step))
        k++;
    return k;
}

/* Of the pixels that are left: sevens where they come out even, as ImageNet's maps of 7 to 112 do.
 */
static int size_of(int left) { return left % 7 == 0 ? 1 : left >= 8 ? 0 : left >= 4 ? 2 : 3; }

static int blocks_of(int points)
{
    int n = 0;
    for (int j = 0; j < points; j += sizes[size_of(points - j)])
        n++;
    return n;
}

/* ---- a pass ---- */

struct pass {
    const struct kn_conv *c;
    struct finish finish;
    struct moments moments; /* units are rows of images */
    const float *source, *packed;
    float *target;
    int parts, SH, SW, TH, TW;
    struct grid rows[DEPTHWISE_STRIDE], cols[DEPTHWISE_STRIDE];
    const struct kind *kind[DEPTHWISE_STRIDE];
    struct stream next_source, next_target; /* the next group's */
};

/* Target row h of an image for the columns `cols`. */
static struct row row_of(const struct pass *p, int image, int h, const struct grid *cols)
{
    const struct grid *rows = &p->rows[h % p->parts];
    const size_t C = (size_t)p->c->C, line = (size_t)p->SW * C;
    const int top = h / p->parts * rows->source_step + rows->source;
    const int first = most(0, -top), end = most(first, least(rows->taps, p->SH - top));
    const int tap = rows->tap + first * rows->tap_step;
    struct row r = {p->source, p->packed,
                    ((size_t)image * (size_t)p->TH + (size_t)h) * (size_t)p->TW * C, end - first};
    if (r.rows && cols->taps) {
        r.source += ((size_t)image * (size_t)p->SH + (size_t)(top + first)) * line;
        r.w += (size_t)(tap * p->c->KW + cols->tap) * C;
    }
    return r;
}

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

/* The blocks of b; those with more to do than a bias one by one, `at` floats, and step from pixel
 * to pixel, behind the beginning of their row. */
static void run_blocks(const struct pass *p, struct block *b, block_fn *fn, int pixels, size_t at,
                       size_t step)
{
    float sums[BLOCK * VF] = {0};
    at += b->channel;
    if (p->finish.plain) {
        b->out = p->target + at;
        b->out_step = step;
        fn(b);
        return;
    }
    const struct row *const end = b->end;
    for (const struct row *r = b->first; r < end; r++) {
        struct row one = *r;
        struct block single = *b;
        one.at = 0;
        single.first = &one;
        single.end = &one + 1;
        single.out = sums;
        single.out_step = VF;
        fn(&single);
        finish_block(&p->finish, sums, pixels, b->n, r->at + at, step, p->target);
    }
}

/* The columns of a grid in n rows, channels [from, to). */
static void run_columns(struct pass *p, int part, const struct row *rows, int n, int from, int to)
{
    const struct grid *cols = &p->cols[part];
    const size_t C = (size_t)p->c->C, step = (size_t)cols->target_step * C;
    struct block b = {.first = rows,
                      .end = rows + n,
                      .row = (size_t)p->SW * C,
                      .C = C,
                      .taps = cols->taps,
                      .step = cols->source_step,
                      .width = p->SW,
                      .w_row = p->rows[0].tap_step * p->c->KW * (ptrdiff_t)C,
                      .w_tap = cols->tap_step * (ptrdiff_t)C,
                      .bias = p->finish.e.bias,
                      .next_source = &p->next_source,
                      .next_target = &p->next_target};
    for (int j = 0, size; j < cols->points; j += sizes[size]) {
        size = size_of(cols->points - j);
        b.left = j * cols->source_step + cols->source;
        for (int ch = from; ch < to; ch += VF) {
            b.channel = (size_t)ch;
            b.n = (size_t)least(VF, to - ch);
            run_blocks(p, &b, p->kind[part]->fn[size][b.n < VF ? PART : WHOLE], sizes[size],
                       (size_t)cols->target * C + (size_t)j * step, step);
        }
    }
}

/* Target rows [from, to) of one image. */
static void run_group(struct pass *p, int image, int from, int to)
{
    const int C = p->c->C;
    for (int part = 0; part < p->parts; part++) {
        struct row rows[GROUP];
        for (int h = from; h < to; h++)
            rows[h - from] = row_of(p, image, h, &p->cols[part]);
        for (int ch = 0; ch < C; ch += CHUNK)
            run_columns(p, part, rows, to - from, ch, least(C, ch + CHUNK));
    }
}

/* ---- groups ---- */

/* Source rows of all images up to the last one that target row `row` of all images, and those
 * before it, meet. */
static size_t source_rows(const struct pass *p, int row)
{
    const int image = row / p->TH, h = row % p->TH;
    int end = 0;
    for (int i = most(0, h - p->parts + 1); i <= h; i++) {
        const struct grid *rows = &p->rows[i % p->parts];
        end = most(end, i / p->parts * rows->source_step + rows->source + rows->taps);
    }
    return (size_t)image * (size_t)p->SH + (size_t)least(p->SH, end);
}

/* Rows of a group: with what it meets, and the next group, it fills L2. */
static int group_rows(const struct pass *p)
{
    const size_t floats = (size_t)(p->TW + p->SW * p->SH / p->TH) * (size_t)p->c->C;
    const size_t fit = kn_caches()->l2 / 2 / sizeof(float) / floats / (size_t)p->parts;
    return most(1, least((int)fit, GROUP / p->parts)) * p->parts;
}

/* While `blocks` blocks are done, target rows [from, to) and what they meet come to L2. */
static void stream_group(struct pass *p, int from, int to, size_t blocks)
{
    const size_t C = (size_t)p->c->C, line = (size_t)p->SW * C, out = (size_t)p->TW * C;
    const size_t met = from ? source_rows(p, from - 1) : 0,
                 meets = to > from ? source_rows(p, to - 1) : met;
    stream_set(&p->next_source, p->source + met * line, p->source + meets * line, blocks);
    stream_set(&p->next_target, p->target + (size_t)from * out, p->target + (size_t)to * out,
               blocks);
}

/* Target rows [from, to) of all images, a group that is still in L2, to their moments. */
static void add_moments(const struct pass *p, size_t from, size_t to)
{
    const size_t C = (size_t)p->c->C, TW = (size_t)p->TW;
    KN(conv_moments_add)
    (&p->moments, from * TW, (to - from) * TW, 0, C, p->target + from * TW * C, C);
}

/* Target rows [from, to) of all images. */
static void run_rows(struct pass *p, int from, int to)
{
    const int rows = group_rows(p), vectors = (p->c->C + VF - 1) / VF;
    int blocks = 0;
    assert(p->TH > 0);
    for (int part = 0; part < p->parts; part++)
        blocks += blocks_of(p->cols[part].points) * vectors;
    for (int row = from, next; row < to; row = next) {
        next = group_end(row, rows, p->TH, to);
        stream_group(p, next, group_end(next, rows, p->TH, to),
                     (size_t)blocks * (size_t)(next - row));
        const int first = row / p->TH * p->TH;
        run_group(p, row / p->TH, row - first, next - first);
        if (p->moments.sums)
            add_moments(p, (size_t)row, (size_t)next);
    }
}

size_t KN(conv_depthwise_pieces)(const struct kn_conv *c)
{
    return moments_pieces((size_t)c->N * (size_t)c->OH, (size_t)c->OW);
}

size_t KN(conv_depthwise_work)(const struct kn_conv *c, int pass, int threads)
{
    (void)pass, (void)threads;
    return (size_t)c->KH * (size_t)c->KW * (size_t)c->C * sizeof(float);
}

void KN(conv_depthwise)(const struct kn_conv *c, int pass, const struct kn_epilogue *e,
                        const struct crew *crew, const float *source, const float *w, float *target,
                        void *work)
{
    const bool back = pass == CONV_GRAD_DATA;
    const size_t C = (size_t)c->C, taps = (size_t)c->KH * (size_t)c->KW;
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
        p.kind[i] = kind_of(&g.cols, p.SW);
    }
    size_t from, to; /* [C][taps] -> [taps][C] */
    crew_share(crew, C, VF, &from, &to);
    KN(transpose_f32)(to - from, taps, w + from * taps, taps, (float *)work + from, C);
    crew_wait(crew);
    const size_t all = (size_t)c->N * (size_t)p.TH;
    if (e && e->moments) {
        p.moments = moments_of(e, C, all, (size_t)p.TW, KN(conv_depthwise_pieces)(c));
        moments_share(&p.moments, crew, &from, &to);
    } else
        crew_share(crew, all, 1, &from, &to);
    run_rows(&p, (int)from, (int)to);
}
