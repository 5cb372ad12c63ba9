/* conv_lines_grad_f32.c — gradient of the weights, both images read in place.
 *
 *     dw[o,u,e] = sum over images, rows i, points j of dy[i,j,o] x[l][j step + e],
 *                 l = i stride + u - pad
 *
 * e runs along a kernel row, (v,c) with c fastest, and step = stride C: as in conv_lines_f32.c the
 * patches of one output row overlap in the source and are never copied; where they overhang the
 * image on the left or right, its lines are first copied between zeros. Output channels lie along
 * the vector lanes, so that the few columns of a first layer (3 x 3 x 3 are 27) are not padded to
 * whole vectors, and dy needs no copy either. Kernel rows above and below the image are left out.
 *
 * A tile has up to GEMM_MR values of e and GEMM_NR outputs; its sums stay in registers while the
 * points of a block of output rows stream past from the caches, then are added to the slice's, and
 * the next block is fetched meanwhile: a first layer reads its dy from memory at the pace of its
 * sums. SLICES of the rows are summed apart and added in their order, however many threads there
 * are.
 *
 * Zen 4, one thread, per cent of the FMA peak in CPU time, as an implicit product and so: VGG
 * conv1_1 57 92, ResNet 7x7/2 77 96, AlexNet 11x11/4 86 97, DCGAN 4x4/2 76 98; 1x1 16->96@112
 * 58 93. */
#include "kernels/conv_patch.h"
#include "kernels/gemm_unroll.h"

enum {
    SLICES = 8,
    BLOCK_POINTS = 256,    /* a panel of dy stays in L1 while the tiles read it */
    FEW_POINTS = 8,        /* a row shorter than that is not worth its start */
    FAR_APART = 512,       /* floats from point to point of either image: beyond, they share sets */
    MOST_FLOATS = 1 << 20, /* of all slices */
    LINE = 16,             /* floats in a cache line */
    L2 = 2
};

/* Memory that the next block will read, asked for a line at a time. */
struct ahead {
    const float *dy, *dy_end, *x, *x_end;
};

/* c[i][j] += sum over r < rows, k < points of x[r * pitch + k * step + i] dy[(r * points + k) * O +
 * j] */
struct tile {
    const float *x, *dy;
    size_t pitch, step, O;
    int rows, points;
    float *c; /* rows O apart */
    struct ahead *ahead;
};

INLINE const float *ask_for(const float *at, const float *end)
{
    __builtin_prefetch(at, 0, L2);
    return at < end ? at + LINE : at;
}

INLINE void sum_tile(const struct tile *t, int mr, int nv)
{
    vf sum[GEMM_MR][GEMM_NV];
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int v = 0; v < nv; v++) sum[i][v] = vf_set(0);
    struct ahead ahead = *t->ahead;
    const float *row = t->x, *dy = t->dy;
    for (int r = 0; r < t->rows; r++, row += t->pitch) {
        const float *x = row;
        for (int k = 0; k < t->points; k++, x += t->step, dy += t->O) {
            vf d[GEMM_NV];
            ahead.dy = ask_for(ahead.dy, ahead.dy_end);
            ahead.x = ask_for(ahead.x, ahead.x_end);
            UNROLL for (int v = 0; v < nv; v++) d[v] = vf_load(dy + v * VF);
            UNROLL for (int i = 0; i < mr; i++)
            {
                const vf a = vf_set(x[i]);
                UNROLL for (int v = 0; v < nv; v++) sum[i][v] = vf_fma(a, d[v], sum[i][v]);
            }
        }
    }
    *t->ahead = ahead;
    float *to = t->c;
    UNROLL for (int i = 0; i < mr; i++, to += t->O) UNROLL for (int v = 0; v < nv; v++)
        vf_store(to + v * VF, vf_load(to + v * VF) + sum[i][v]);
}

typedef void tile_fn(const struct tile *t);

/* clang-format off */
#define TILE(mr, nv) \
    static void tile_##mr##x##nv(const struct tile *t) \
    { sum_tile(t, mr <= GEMM_MR ? mr : 1, nv <= GEMM_NV ? nv : 1); }
#define HEIGHTS(f) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11) f(12) f(13) f(14)
#define DEFINE(mr) TILE(mr, 1) TILE(mr, 2) TILE(mr, 3)
HEIGHTS(DEFINE)

#define ENTRY(mr) {tile_##mr##x1, tile_##mr##x2, tile_##mr##x3},
static tile_fn *const tile_fns[14][3] = {HEIGHTS(ENTRY)};
/* clang-format on */

/* ---- a block of output rows ---- */

struct grad {
    const struct kn_conv *c;
    const float *x, *dy;
    int line, width; /* floats of a kernel row; of the lines that an output row's patches lie in */
    bool overhangs;
    int block, slices, slice; /* output rows, counted through all images */
};

static int output_rows(const struct kn_conv *c) { return c->N * c->OH; }

static struct grad plan(const struct kn_conv *c)
{
    struct grad g = {.c = c, .line = c->KW * c->C};
    g.width = ((c->OW - 1) * c->stride + c->KW) * c->C;
    g.overhangs = c->pad > 0;
    g.block = least(c->OH, most(1, BLOCK_POINTS / c->OW));
    g.slices = least(SLICES, output_rows(c));
    g.slice = (output_rows(c) + g.slices - 1) / g.slices;
    return g;
}

/* One thread's place in its slice. */
struct walk {
    const struct grad *g;
    int end;     /* of the slice */
    float *sums; /* [KH][line][O] */
    float *room; /* for lines between zeros */
    struct ahead ahead;
};

/* Source lines of a block: the one numbered `first` and those below it, `pitch` apart. */
struct lines {
    int first;
    const float *at;
    size_t pitch;
};

static const float *source_row(const struct grad *g, int image, int h)
{
    const size_t row = (size_t)image * (size_t)g->c->H + (size_t)h;
    return g->x + row * (size_t)g->c->W * (size_t)g->c->C;
}

static struct lines lines_of(const struct walk *k, int image, int first, int end)
{
    const struct grad *g = k->g;
    const int row = g->c->W * g->c->C;
    if (!g->overhangs)
        return (struct lines){first, source_row(g, image, first), (size_t)row};
    float *to = k->room;
    for (int h = first; h < end; h++, to += g->width)
        copy_clipped(to, source_row(g, image, h), row, -g->c->pad * g->c->C, g->width);
    return (struct lines){first, k->room, (size_t)g->width};
}

/* Tap row u over output rows [from, to), one panel of outputs. */
static void sum_tap_row(struct walk *k, const struct lines *l, int image, int u, int from, int to,
                        int j)
{
    const struct kn_conv *c = k->g->c;
    const int line = k->g->line, tiles = (line + GEMM_MR - 1) / GEMM_MR;
    const int top = c->pad - u; /* output row i meets source row i stride - top */
    from = most(from, (most(0, top) + c->stride - 1) / c->stride);
    to = least(to, (c->H - 1 + top) / c->stride + 1);
    if (from >= to || c->H - 1 + top < 0)
        return;
    const size_t O = (size_t)c->O;
    const int vectors = least(GEMM_NV, (c->O - j) / VF);
    struct tile t = {
        .dy = k->g->dy + ((size_t)image * (size_t)c->OH + (size_t)from) * (size_t)c->OW * O + j,
        .pitch = (size_t)c->stride * l->pitch,
        .step = (size_t)(c->stride * c->C),
        .O = O,
        .rows = to - from,
        .points = c->OW,
        .ahead = &k->ahead,
    };
    for (int n = 0; n < tiles; n++) {
        const int e = line * n / tiles, height = line * (n + 1) / tiles - e;
        t.x = l->at + (size_t)(from * c->stride - top - l->first) * l->pitch + e;
        t.c = k->sums + (size_t)(u * line + e) * O + j;
        tile_fns[height - 1][vectors - 1](&t);
    }
}

/* What follows in memory is what the next block reads, of dy and of x. */
static void look_ahead(struct walk *k, int image, int after, int lines_end)
{
    const struct grad *g = k->g;
    const struct kn_conv *c = g->c;
    const size_t dy_row = (size_t)c->OW * (size_t)c->O;
    const int row = image * c->OH + after, next = least(g->block, k->end - row);
    const int source = image * c->H + lines_end,
              sources = least(g->block * c->stride, c->N * c->H - source);
    k->ahead.dy = g->dy + (size_t)row * dy_row;
    k->ahead.dy_end = k->ahead.dy + (size_t)next * dy_row;
    k->ahead.x = source_row(g, image, lines_end);
    k->ahead.x_end = k->ahead.x + (size_t)sources * (size_t)c->W * (size_t)c->C;
}

/* Output rows [from, to) of an image. */
static void sum_block(struct walk *k, int image, int from, int to)
{
    const struct kn_conv *c = k->g->c;
    const int first = least(c->H, most(0, from * c->stride - c->pad));
    const int end = most(first, least(c->H, (to - 1) * c->stride - c->pad + c->KH));
    const struct lines l = lines_of(k, image, first, end);
    look_ahead(k, image, to, end);
    for (int j = 0; j < c->O; j += GEMM_NR)
        for (int u = 0; u < c->KH; u++)
            sum_tap_row(k, &l, image, u, from, to, j);
}

/* ---- slices ---- */

static size_t up16(size_t floats) { return (floats + 15) / 16 * 16; }

static size_t terms(const struct grad *g) { return (size_t)g->c->KH * (size_t)g->line; }
static size_t slice_floats(const struct grad *g) { return up16(terms(g) * (size_t)g->c->O); }

static size_t room_floats(const struct grad *g)
{
    const int lines = (g->block - 1) * g->c->stride + g->c->KH;
    return g->overhangs ? up16((size_t)lines * (size_t)g->width) : 0;
}

static void sum_slice(const struct grad *g, int slice, float *sums, float *room)
{
    const int OH = g->c->OH, begin = slice * g->slice;
    struct walk k = {.g = g, .sums = sums, .room = room};
    k.end = least(begin + g->slice, output_rows(g->c));
    zero_floats(sums, (int)slice_floats(g));
    for (int row = begin, rows; row < k.end; row += rows) {
        const int from = row % OH;
        rows = least(least(g->block, OH - from), k.end - row);
        sum_block(&k, row / OH, from, from + rows);
    }
}

/* Terms [from, to) of all slices, added in their order into the first one's and turned. */
static void add_slices(const struct grad *g, size_t from, size_t to, float *sums, float *dw)
{
    const size_t O = (size_t)g->c->O;
    if (from >= to)
        return;
    for (size_t i = from * O; i < to * O; i += VF) {
        vf sum = vf_load(sums + i);
        for (int s = 1; s < g->slices; s++)
            sum = sum + vf_load(sums + (size_t)s * slice_floats(g) + i);
        vf_store(sums + i, sum);
    }
    KN(transpose_f32)(to - from, O, sums + from * O, O, dw + from, terms(g));
}

bool KN(conv_lines_grad_suit)(const struct kn_conv *c)
{
    const double sums = (double)c->KH * c->KW * c->C * c->O;
    return !c->mask && c->O % VF == 0 && c->OW >= FEW_POINTS && c->stride * c->C <= FAR_APART &&
           c->O <= FAR_APART && sums * SLICES <= MOST_FLOATS;
}

size_t KN(conv_lines_grad_work)(const struct kn_conv *c, int threads)
{
    const struct grad g = plan(c);
    return sizeof(float) *
           (slice_floats(&g) * (size_t)g.slices + room_floats(&g) * (size_t)threads);
}

void KN(conv_lines_grad_weight)(const struct kn_conv *c, const struct crew *crew, const float *x,
                                const float *dy, float *dw, void *work)
{
    struct grad g = plan(c);
    g.x = x;
    g.dy = dy;
    float *const sums = work, *const rooms = sums + slice_floats(&g) * (size_t)g.slices;
    float *const room = rooms + room_floats(&g) * (size_t)crew->thread;
    size_t from, to;
    crew_share(crew, (size_t)g.slices, 1, &from, &to);
    for (size_t s = from; s < to; s++)
        sum_slice(&g, (int)s, sums + s * slice_floats(&g), room);
    crew_wait(crew);
    crew_share(crew, terms(&g), VF, &from, &to);
    add_slices(&g, from, to, sums, dw);
}
