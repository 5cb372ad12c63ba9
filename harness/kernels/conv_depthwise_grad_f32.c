/* conv_depthwise_grad_f32.c — depthwise convolution, gradient of the weights:
 *
 *     dw[c,u,v] = sum over images and pixels (i,j) of dy[i,j,c] x[i s + u - p, j s + v - p, c]
 *
 * A vector holds as many channels. The sums of two or three tap rows stay in registers while a
 * few rows of the images pass by, in blocks of seven pixels: dy's are loaded once for all
 * taps, each pixel of x once for the taps of its row.
 *
 * The output rows of all images are cut into SLICES, however many threads there are; slices are
 * summed apart, as [KH KW][C], and added in their order. Within a slice the order is that of
 * the pixels. */
#include "kernels/conv_depthwise.h"

enum {
    SLICES = 8,
    BLOCK = 7,
    GROUP_FLOATS = 64 * 1024 /* of rows of x and dy that stay in L2 while channels pass by */
};

/* Rows of one image, one vector of channels. */
struct lines {
    const float *x, *dy; /* the image's x; dy of the first row */
    size_t C, n;         /* channels; of this vector */
    int rows, top;       /* output rows; source row of the first one's first tap, may be outside */
    int H, W, OW, step, pad;
    int u, KH, KW; /* first tap row of these sums */
    float *sums;   /* [KH * KW][C], this vector */
};

/* d = dy of `pixels` outputs, times the pixels of row x that tap v meets. */
static inline __attribute__((always_inline)) void
add_block(const struct lines *l, const float *const row[], const float *dy, int left, int pixels,
          int tap_rows, int taps, int step, bool inside, bool whole, vf sum[])
{
    const size_t n = whole ? VF : l->n;
    vf d[BLOCK];
    UNROLL
    for (int p = 0; p < pixels; p++)
        d[p] = vf_get(dy + (size_t)p * l->C, n);
    UNROLL
    for (int u = 0; u < tap_rows; u++) {
        if (!row[u])
            continue;
        UNROLL
        for (int q = 0; q < (pixels - 1) * step + taps; q++) {
            const int at = left + q;
            if (!inside && (at < 0 || at >= l->W))
                continue;
            const vf x = vf_get(row[u] + (size_t)at * l->C, n);
            UNROLL
            for (int v = 0; v < taps; v++)
                if (q >= v && (q - v) % step == 0 && (q - v) / step < pixels)
                    sum[u * taps + v] = vf_fma(x, d[(q - v) / step], sum[u * taps + v]);
        }
    }
}

/* Adds the lines to the sums of `tap_rows` rows of taps. */
static inline __attribute__((always_inline)) void add_lines(const struct lines *l, int tap_rows,
                                                            int taps, int step, bool whole)
{
    const size_t n = whole ? VF : l->n;
    const int wide = (BLOCK - 1) * step + taps;
    vf sum[3 * DEPTHWISE_TAPS];
    float *const sums = l->sums + (size_t)(l->u * taps) * l->C;
    UNROLL
    for (int k = 0; k < tap_rows * taps; k++)
        sum[k] = vf_get(sums + (size_t)k * l->C, n);
    for (int i = 0; i < l->rows; i++) {
        const float *row[3], *const dy = l->dy + (size_t)i * (size_t)l->OW * l->C;
        UNROLL
        for (int u = 0; u < tap_rows; u++) {
            const int at = l->top + i * step + l->u + u;
            row[u] = at >= 0 && at < l->H ? l->x + (size_t)at * (size_t)l->W * l->C : NULL;
        }
        int j = 0;
        for (; j + BLOCK <= l->OW; j += BLOCK) {
            const int left = j * step - l->pad;
            if (left >= 0 && left + wide <= l->W)
                add_block(l, row, dy + (size_t)j * l->C, left, BLOCK, tap_rows, taps, step, true,
                          whole, sum);
            else
                add_block(l, row, dy + (size_t)j * l->C, left, BLOCK, tap_rows, taps, step, false,
                          whole, sum);
        }
        for (; j < l->OW; j++)
            add_block(l, row, dy + (size_t)j * l->C, j * step - l->pad, 1, tap_rows, taps, step,
                      false, whole, sum);
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
        vf sum = vf_get(sums, l->n);
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
    const struct kind *k = kinds;
    while (k->KH && !(k->KH == c->KH && k->KW == c->KW && k->step == c->stride && k->from == u))
        k++;
    return k;
}

/* Output rows [from, to) of one image. */
static void add_rows(const struct kn_conv *c, int image, int from, int to, const float *x,
                     const float *dy, float *sums)
{
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
                      .KW = c->KW};
    for (size_t ch = 0; ch < C; ch += VF) {
        l.n = C - ch < VF ? C - ch : VF;
        l.x = x + (size_t)image * (size_t)c->H * (size_t)c->W * C + ch;
        l.dy = dy + ((size_t)image * (size_t)c->OH + (size_t)from) * (size_t)c->OW * C + ch;
        l.sums = sums + ch;
        for (l.u = 0; l.u < c->KH;) {
            const struct kind *k = kind_of(c, l.u);
            (l.n == VF ? k->whole : k->part)(&l);
            l.u += k->tap_rows;
        }
    }
}

static size_t slice_floats(const struct kn_conv *c)
{
    return ((size_t)(c->KH * c->KW) * (size_t)c->C + 15) / 16 * 16;
}

static int slices_of(const struct kn_conv *c) { return least(SLICES, c->N * c->OH); }

static void sum_slice(const struct kn_conv *c, int slice, const float *x, const float *dy,
                      float *sums)
{
    const int all = c->N * c->OH, slices = slices_of(c);
    const int from = (int)((int64_t)all * slice / slices),
              to = (int)((int64_t)all * (slice + 1) / slices);
    const int row = (c->W * c->stride + c->OW) * c->C, group = most(1, GROUP_FLOATS / row);
    KN(fill_f32)(slice_floats(c), 0, sums);
    for (int at = from, next; at < to; at = next) {
        const int image = at / c->OH;
        next = least(least(to, at + group), (image + 1) * c->OH);
        add_rows(c, image, at - image * c->OH, next - image * c->OH, x, dy, sums);
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
    const size_t taps = (size_t)(c->KH * c->KW), C = (size_t)c->C, floats = slice_floats(c);
    const int slices = slices_of(c);
    float *const sums = work;
    size_t from, to;
    crew_share(crew, (size_t)slices, 1, &from, &to);
    for (size_t s = from; s < to; s++)
        sum_slice(c, (int)s, x, dy, sums + s * floats);
    crew_wait(crew);
    crew_share(crew, C, VF, &from, &to);
    for (int s = 1; s < slices && from < to; s++)
        for (size_t t = 0; t < taps; t++)
            KN(add_f32)
    (to - from, sums + t * C + from, sums + (size_t)s * floats + t * C + from, sums + t * C + from);
    KN(transpose_f32)(taps, to - from, sums + from, C, dw + from * taps, taps);
}
