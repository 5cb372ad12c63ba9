/* conv_depthwise_grad_f32.c — depthwise convolution, gradient of the weights:
 *
 *     dw[c,u,v] = sum over images and pixels (i,j) of dy[i,j,c] x[i s + u - p, j s + v - p, c]
 *
 * A vector holds as many channels. The sums of two or three tap rows stay in registers while a
 * few rows of the images pass by, in blocks of up to seven pixels: dy's are loaded once for all
 * taps, each pixel of x once for the taps of its row. The next rows come to L2 meanwhile.
 *
 * The output rows of all images are cut into SLICES, however many threads there are; slices are
 * summed apart, as [KH KW][C], and added in their order. Within a slice the order is that of
 * groups of rows, then of blocks of columns, then of the pixels in them. */
#include "kernels/conv_depthwise.h"

enum {
    SLICES = 8,
    BLOCK = 7,
    GROUP = 8 /* rows of dy, at most */
};

/* Rows of one image, one vector of channels. */
struct lines {
    const float *x, *dy; /* the image's x; dy of the first row */
    size_t C, n;         /* channels; of this vector */
    int rows, top;       /* output rows; source row of the first one's first tap, may be outside */
    int H, W, OW, step, pad;
    int u, KH, KW; /* first tap row of these sums */
    float *sums;   /* [KH * KW][C], this vector */
    bool first;    /* there are none yet */
    struct stream *next_x, *next_dy;
};

/* d = dy of `pixels` outputs, times the pixels of row x that tap v meets. The first pixel's last
 * tap is not left of the image, nor the last pixel's first one right of it. */
static inline __attribute__((always_inline)) void
add_block(const struct lines *l, const float *const row[], const float *dy, int left, int pixels,
          int tap_rows, int taps, int step, bool whole, vf sum[])
{
    const size_t n = whole ? VF : l->n;
    const int last = (pixels - 1) * step;
    const ptrdiff_t from = (ptrdiff_t)left * (ptrdiff_t)l->C;
    vf d[BLOCK];
    assert(step > 0);
    UNROLL
    for (int p = 0; p < pixels; p++)
        d[p] = vf_get(dy + (size_t)p * l->C, n);
    UNROLL
    for (int u = 0; u < tap_rows; u++) {
        if (!row[u])
            continue;
        const float *at = row[u] + from;
        UNROLL
        for (int q = 0; q < last + taps; q++, next_pixel(&at, l->C)) {
            if ((q < taps - 1 && left + q < 0) || (q > last && left + q >= l->W))
                continue;
            vf x = vf_get(at, n);
            IN_REGISTER(x);
            UNROLL
            for (int v = 0; v < taps; v++)
                if (q >= v && (q - v) % step == 0 && (q - v) / step < pixels)
                    sum[u * taps + v] = vf_fma(x, d[(q - v) / step], sum[u * taps + v]);
        }
    }
}

/* A block of columns from j on, all lines of it. */
static inline __attribute__((always_inline)) void add_column(const struct lines *l, int j,
                                                             int pixels, int tap_rows, int taps,
                                                             int step, bool whole, vf sum[])
{
    const float *dy = l->dy + (size_t)j * l->C;
    for (int i = 0; i < l->rows; i++, dy += (size_t)l->OW * l->C) {
        const float *row[3];
        UNROLL
        for (int u = 0; u < tap_rows; u++) {
            const int at = l->top + i * step + l->u + u;
            row[u] = at >= 0 && at < l->H ? l->x + (size_t)at * (size_t)l->W * l->C : NULL;
        }
        add_block(l, row, dy, j * step - l->pad, pixels, tap_rows, taps, step, whole, sum);
        stream_on(l->next_x);
        stream_on(l->next_dy);
    }
}

/* Of the columns that are left: a block of sevens, as ImageNet's maps have them, of fours or one.
 */
static inline int size_of(int left)
{
    return left % BLOCK && left % 4 ? left < 4       ? 1
                                      : left < BLOCK ? 4
                                                     : BLOCK
           : left % BLOCK           ? 4
                                    : BLOCK;
}

static int blocks_of(int columns)
{
    int n = 0;
    for (int j = 0; j < columns; j += size_of(columns - j))
        n++;
    return n;
}

/* Adds the lines to the sums of `tap_rows` rows of taps. */
static inline __attribute__((always_inline)) void add_lines(const struct lines *l, int tap_rows,
                                                            int taps, int step, bool whole)
{
    const size_t n = whole ? VF : l->n;
    vf sum[3 * DEPTHWISE_TAPS];
    float *const sums = l->sums + (size_t)(l->u * taps) * l->C;
    UNROLL
    for (int k = 0; k < tap_rows * taps; k++)
        sum[k] = l->first ? vf_set(0) : vf_get(sums + (size_t)k * l->C, n);
    for (int j = 0, size; j < l->OW; j += size) {
        size = size_of(l->OW - j);
        if (size == BLOCK)
            add_column(l, j, BLOCK, tap_rows, taps, step, whole, sum);
        else if (size == 4)
            add_column(l, j, 4, tap_rows, taps, step, whole, sum);
        else
            add_column(l, j, 1, tap_rows, taps, step, whole, sum);
    }
    UNROLL
    for (int k = 0; k < tap_rows * taps; k++)
        vf_put(sums + (size_t)k * l->C, sum[k], n);
}

/* One row of any number of taps, any stride. */
static void add_any(const struct lines *l)
{
    for (int v = 0; v < l->KW; v++) {
        float *const sums = l->sums + (size_t)(l->u * l->KW + v) * l->C;
        vf sum = l->first ? vf_set(0) : vf_get(sums, l->n);
        for (int i = 0; i < l->rows; i++) {
            const int at = l->top + i * l->step + l->u;
            if (at < 0 || at >= l->H)
                continue;
            const float *const row = l->x + (size_t)at * (size_t)l->W * l->C;
            for (int j = 0; j < l->OW; j++) {
                const int q = j * l->step + v - l->pad;
                if (q >= 0 && q < l->W)
                    sum = vf_fma(
                        vf_get(row + (size_t)q * l->C, l->n),
                        vf_get(l->dy + ((size_t)i * (size_t)l->OW + (size_t)j) * l->C, l->n), sum);
            }
        }
        vf_put(sums, sum, l->n);
    }
}

typedef void lines_fn(const struct lines *l);
#define LINES(tap_rows, taps, step)                                       \
    static void lines_##tap_rows##_##taps##_##step(const struct lines *l) \
    {                                                                     \
        add_lines(l, tap_rows, taps, step, true);                         \
    }                                                                     \
    static void part_##tap_rows##_##taps##_##step(const struct lines *l)  \
    {                                                                     \
        add_lines(l, tap_rows, taps, step, false);                        \
    }
LINES(3, 3, 1)
LINES(3, 3, 2)
LINES(3, 5, 1)
LINES(2, 5, 1)
LINES(3, 5, 2)
LINES(2, 5, 2)

/* How many rows of taps go together, from which row on; the first that fits. */
static const struct kind {
    int KH, KW, step, from, tap_rows;
    lines_fn *whole, *part;
} kinds[] = {
    {3, 3, 1, 0, 3, lines_3_3_1, part_3_3_1}, {3, 3, 2, 0, 3, lines_3_3_2, part_3_3_2},
    {5, 5, 1, 0, 3, lines_3_5_1, part_3_5_1}, {5, 5, 1, 3, 2, lines_2_5_1, part_2_5_1},
    {5, 5, 2, 0, 3, lines_3_5_2, part_3_5_2}, {5, 5, 2, 3, 2, lines_2_5_2, part_2_5_2},
    {0, 0, 0, 0, 1, add_any, add_any},
};

static const struct kind *kind_of(const struct kn_conv *c, int u)
{
    const bool meet = c->pad < c->KW; /* see add_block() */
    const struct kind *k = kinds;
    while (k->KH &&
           !(meet && k->KH == c->KH && k->KW == c->KW && k->step == c->stride && k->from == u))
        k++;
    return k;
}

/* ---- a slice ---- */

struct slice {
    const struct kn_conv *c;
    const float *x, *dy;
    float *sums;
    struct stream next_x, next_dy; /* the next group's */
};

/* Output rows [from, to) of one image; `first`: of the slice. */
static void add_rows(struct slice *s, int image, int from, int to, bool first)
{
    const struct kn_conv *c = s->c;
    const size_t C = (size_t)c->C;
    struct lines l = {.C = C,
                      .rows = to - from,
                      .top = from * c->stride - c->pad,
                      .H = c->H,
                      .W = c->W,
                      .OW = c->OW,
                      .step = c->stride,
                      .pad = c->pad,
                      .KH = c->KH,
                      .KW = c->KW,
                      .first = first,
                      .next_x = &s->next_x,
                      .next_dy = &s->next_dy};
    for (size_t ch = 0; ch < C; ch += VF) {
        l.n = C - ch < VF ? C - ch : VF;
        l.x = s->x + (size_t)image * (size_t)c->H * (size_t)c->W * C + ch;
        l.dy = s->dy + ((size_t)image * (size_t)c->OH + (size_t)from) * (size_t)c->OW * C + ch;
        l.sums = s->sums + ch;
        for (l.u = 0; l.u < c->KH;) {
            const struct kind *k = kind_of(c, l.u);
            (l.n == VF ? k->whole : k->part)(&l);
            l.u += k->tap_rows;
        }
    }
}

/* Rows of a group: with the next one it fills L2. */
static int group_rows(const struct kn_conv *c)
{
    const size_t floats = (size_t)(c->W * c->stride + c->OW) * (size_t)c->C;
    const size_t fit = kn_caches()->l2 / 2 / sizeof(float) / floats;
    return fit < 1 ? 1 : fit > GROUP ? GROUP : (int)fit;
}

/* Source rows of all images up to the last one that output row `row`, of all images, meets. */
static size_t source_rows(const struct kn_conv *c, int row)
{
    const int end = row % c->OH * c->stride - c->pad + c->KH;
    return (size_t)(row / c->OH) * (size_t)c->H + (size_t)most(0, least(c->H, end));
}

/* While `blocks` blocks are done, output rows [from, to) and what they meet come to L2. */
static void stream_group(struct slice *s, int from, int to, size_t blocks)
{
    const struct kn_conv *c = s->c;
    const size_t C = (size_t)c->C, line = (size_t)c->W * C, out = (size_t)c->OW * C;
    const size_t met = from ? source_rows(c, from - 1) : 0,
                 meets = to > from ? source_rows(c, to - 1) : met;
    stream_set(&s->next_x, s->x + met * line, s->x + meets * line, blocks);
    stream_set(&s->next_dy, s->dy + (size_t)from * out, s->dy + (size_t)to * out, blocks);
}

static size_t slice_floats(const struct kn_conv *c)
{
    return ((size_t)c->KH * (size_t)c->KW * (size_t)c->C + 15) / 16 * 16;
}

static int slices_of(const struct kn_conv *c) { return least(SLICES, c->N * c->OH); }

/* Blocks of a row of the output, over all channels and tap rows. */
static int blocks_of_row(const struct kn_conv *c)
{
    int passes = 0;
    for (int u = 0; u < c->KH; u += kind_of(c, u)->tap_rows)
        passes++;
    return passes * blocks_of(c->OW) * ((c->C + VF - 1) / VF);
}

static void sum_slice(struct slice *s, int slice)
{
    const struct kn_conv *c = s->c;
    const int all = c->N * c->OH, slices = slices_of(c), rows = group_rows(c);
    const int from = (int)((int64_t)all * slice / slices),
              to = (int)((int64_t)all * (slice + 1) / slices), blocks = blocks_of_row(c);
    for (int at = from, next; at < to; at = next) {
        const int image = at / c->OH;
        next = group_end(at, rows, c->OH, to);
        stream_group(s, next, group_end(next, rows, c->OH, all),
                     (size_t)blocks * (size_t)(next - at));
        add_rows(s, image, at - image * c->OH, next - image * c->OH, at == from);
    }
}

/* The slices' sums of the vector of channels from ch on, added in their order, to dw [C][KH KW]. */
static void add_slices(const struct kn_conv *c, int slices, size_t ch, const float *sums, float *dw)
{
    const size_t C = (size_t)c->C, taps = (size_t)c->KH * (size_t)c->KW,
                 n = C - ch < VF ? C - ch : VF;
    float place[VF];
    for (size_t t = 0; t < taps; t++) {
        vf sum = vf_get(sums + t * C, n);
        for (int s = 1; s < slices; s++)
            sum = sum + vf_get(sums + (size_t)s * slice_floats(c) + t * C, n);
        vf_store(place, sum);
        for (size_t i = 0; i < n; i++)
            dw[i * taps + t] = place[i];
    }
}

size_t KN(conv_depthwise_grad_work)(const struct kn_conv *c, int threads)
{
    (void)threads;
    return (size_t)slices_of(c) * slice_floats(c) * sizeof(float);
}

void KN(conv_depthwise_grad_weight)(const struct kn_conv *c, const struct crew *crew,
                                    const float *x, const float *dy, float *dw, void *work)
{
    const size_t taps = (size_t)c->KH * (size_t)c->KW, C = (size_t)c->C, floats = slice_floats(c);
    const int slices = slices_of(c);
    float *const sums = work;
    size_t from, to;
    crew_share(crew, (size_t)slices, 1, &from, &to);
    for (size_t s = from; s < to; s++) {
        struct slice one = {.c = c, .x = x, .dy = dy, .sums = sums + s * floats};
        sum_slice(&one, (int)s);
    }
    crew_wait(crew);
    crew_share(crew, C, VF, &from, &to);
    for (size_t ch = from; ch < to; ch += VF)
        add_slices(c, slices, ch, sums + ch, dw + ch * taps);
}
