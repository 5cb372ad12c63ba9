/* conv_nhwc_grad_f32.c — gradient of the weights: dy [pixels,O] transposed, times
 * the matrix of patches [pixels, KH KW C].
 *
 * The sum runs over all pixels of all images and is by far the longest side of the
 * product, the result may be tiny. SLICES of the pixels are summed apart and then
 * added, in their order, however many threads there are: so a thread meets the images
 * that it met in the layers before. Only results that are larger than the images are
 * split between threads by columns. dy is read where it lies.
 *
 * With kernels of 1 x 1 one pixel apart the patches are the pixels, and it is a plain product, by
 * gemm_f32.c. Few channels are for conv_lines_grad_f32.c. */
#include "kernels/conv_patch.h"

enum {
    SLICES = 8,
    WIDE = 32,  /* panels from which on columns are enough to share */
    SHORT = 512 /* pixels that are not worth slicing */
};

struct grad {
    const struct kn_conv *c;
    struct patches patches;
    const float *dy;
    int K, slices, slice; /* columns; slices of so many pixels */
    bool plain;           /* the matrix of patches is x */
};

/* What callbacks need: the pixels from `first` on. */
struct operands {
    const struct grad *g;
    int first;
};

static struct gemm_x x_dy(const struct gemm_block *b, int i, int n, int k, int kc, float *room)
{
    const struct operands *o = b->of_x;
    const size_t O = (size_t)o->g->c->O;
    (void)n, (void)kc, (void)room;
    return (struct gemm_x){o->g->dy + (size_t)(o->first + k) * O + i, 1, O, NULL};
}

/* n points whose patches lie inside, `step` floats apart. */
static void copy_inside(const float *from, int step, int n, int width, float *to)
{
    if (width == GEMM_NR)
        for (; n > 0; n--, from += step, to += GEMM_NR)
            for (int v = 0; v < GEMM_NR; v += VF)
                vf_store(to + v, vf_load(from + v));
    else
        for (; n > 0; n--, from += step, to += GEMM_NR)
            copy_floats(to, from, width);
}

/* n points of one grid row from `at` on, floats [from, from + width) of tap row u. */
static void copy_run(const struct patches *p, struct place at, int n, int u, int from, int width,
                     float *to)
{
    const float *row = patch_source(p, at.image, at.row, u);
    const int step = p->cols.source_step * p->C, end = p->W * p->C;
    int left = (at.col * p->cols.source_step + p->cols.source) * p->C + from;
    for (; n > 0 && (!row || left < 0); n--, left += step, to += GEMM_NR)
        copy_clipped(to, row, end, left, width);
    if (n > 0 && left + width <= end) {
        const int inside = least(n, (end - width - left) / step + 1);
        copy_inside(row + left, step, inside, width, to);
        n -= inside, left += inside * step, to += inside * GEMM_NR;
    }
    for (; n > 0; n--, left += step, to += GEMM_NR)
        copy_clipped(to, row, end, left, width);
}

/* Patches of pixels [k, k + kc), columns [j, j + n). */
static struct gemm_y y_patches(const struct gemm_block *b, int j, int n, int k, int kc, float *room)
{
    const struct operands *o = b->of_y;
    const struct patches *p = &o->g->patches;
    const int line = patch_line(p);
    for (int done = 0; done < n;) {
        const int u = (j + done) / line, from = (j + done) % line;
        const int width = least(line - from, n - done);
        struct place at = patch_place(p, o->first + k);
        for (int r = 0; r < kc;) {
            const int run = least(p->cols.points - at.col, kc - r);
            copy_run(p, at, run, u, from, width, room + (size_t)r * GEMM_NR + done);
            r += run;
            at.col += run - 1;
            place_next(p, &at);
        }
        done += width;
    }
    for (int r = 0; r < kc && n < GEMM_NR; r++)
        zero_floats(room + (size_t)r * GEMM_NR + n, GEMM_NR - n);
    return (struct gemm_y){.at = room, .k = GEMM_NR};
}

static struct grad plan(const struct kn_conv *c)
{
    struct grad g = {.c = c, .patches = KN(conv_patches)(c, false, 0, NULL)};
    g.K = patch_size(&g.patches);
    g.plain = c->KH == 1 && c->KW == 1 && c->stride == 1 && c->pad == 0;
    const int pixels = (int)patch_count(&g.patches);
    const double images = (double)c->N * c->H * c->W * c->C + (double)pixels * c->O;
    const bool large = (double)c->O * g.K * SLICES > images && g.K >= WIDE * GEMM_NR;
    g.slices = large ? 1 : least(SLICES, (pixels + SHORT - 1) / SHORT);
    g.slice = (pixels + g.slices - 1) / g.slices;
    return g;
}

/* Adds up pixels [first, first + pixels) for columns [j0, j1). */
static void sum_pixels(const struct grad *g, int first, int pixels, int j0, int j1, float *dw,
                       void *scratch)
{
    static const struct kn_epilogue none;
    const struct operands o = {g, first};
    const struct gemm_block b = {
        .K = pixels,
        .of_x = &o,
        .of_y = &o,
        .x = x_dy,
        .y = y_patches,
        .c = dw,
        .ldc = (size_t)g->K,
        .epilogue = &none,
    };
    if (j0 < j1)
        KN(gemm_block)(&b, 0, g->c->O, j0, j1, scratch);
}

/* The same where the patches are x. */
static struct kn_gemm product(const struct grad *g, int first, int pixels, float *dw)
{
    const size_t O = (size_t)g->c->O, K = (size_t)g->K;
    return (struct kn_gemm){
        .M = g->c->O,
        .N = g->K,
        .K = pixels,
        .ta = true,
        .a = g->dy + (size_t)first * O,
        .lda = O,
        .b = g->patches.source + (size_t)first * K,
        .ldb = K,
        .c = dw,
        .ldc = K,
    };
}

static void sum_slice(const struct grad *g, int first, int pixels, float *dw, void *scratch)
{
    if (g->plain) {
        const struct kn_gemm m = product(g, first, pixels, dw);
        KN(gemm_f32)(&m, CREW_ALONE, scratch);
    } else {
        sum_pixels(g, first, pixels, 0, g->K, dw, scratch);
    }
}

static void mask_columns(const struct grad *g, size_t from, size_t to, float *dw)
{
    const size_t K = (size_t)g->K, C = (size_t)g->c->C;
    if (!g->c->mask)
        return;
    for (size_t o = 0; o < (size_t)g->c->O; o++)
        for (size_t k = from; k < to; k++)
            if (!g->c->mask[o * C + k % C])
                dw[o * K + k] = 0;
}

static size_t slice_floats(const struct grad *g)
{
    return ((size_t)g->c->O * (size_t)g->K + 15) / 16 * 16;
}

/* Columns [from, to) of all slices, added in order. */
static void add_slices(const struct grad *g, const float *sums, size_t from, size_t to, float *dw)
{
    const size_t K = (size_t)g->K;
    for (size_t o = 0; o < (size_t)g->c->O; o++)
        for (size_t k = from; k < to; k += VF) {
            const size_t n = to - k < VF ? to - k : VF;
            vf sum = vf_set(0);
            for (int s = 0; s < g->slices; s++)
                sum = sum + vf_load_n(sums + (size_t)s * slice_floats(g) + o * K + k, n, 0);
            vf_store_n(dw + o * K + k, sum, n);
        }
}

static size_t slice_bytes(const struct grad *g, int pixels)
{
    const struct kn_gemm m = {.M = g->c->O, .N = g->K, .K = pixels, .ta = true};
    return g->plain ? KN(gemm_work_f32)(&m, 1) : KN(gemm_block_work)(pixels, g->K);
}

/* The last slice is shorter, but may have longer blocks. */
static size_t scratch_bytes(const struct grad *g)
{
    const int last = (int)patch_count(&g->patches) - (g->slices - 1) * g->slice;
    const size_t a = slice_bytes(g, g->slice), b = slice_bytes(g, last);
    return ((a > b ? a : b) + 63) / 64 * 64;
}

size_t KN(conv_nhwc_grad_work)(const struct kn_conv *c, int threads)
{
    if (KN(conv_lines_grad_suit)(c))
        return KN(conv_lines_grad_work)(c, threads);
    const struct grad g = plan(c);
    const size_t sums = g.slices > 1 ? slice_floats(&g) * (size_t)g.slices : 0;
    return sums * sizeof(float) + scratch_bytes(&g) * (size_t)threads;
}

void KN(conv_nhwc_grad_weight)(const struct kn_conv *c, const struct crew *crew, const float *x,
                               const float *dy, float *dw, void *work)
{
    if (KN(conv_lines_grad_suit)(c)) {
        KN(conv_lines_grad_weight)(c, crew, x, dy, dw, work);
        return;
    }
    struct grad g = plan(c);
    g.patches.source = x;
    g.dy = dy;
    char *const scratch = (char *)work + scratch_bytes(&g) * (size_t)crew->thread;
    float *const sums = (float *)(void *)((char *)work + scratch_bytes(&g) * (size_t)crew->threads);
    const int pixels = (int)patch_count(&g.patches);
    size_t from, to;
    if (g.slices == 1 && g.plain && !c->mask) {
        const struct kn_gemm m = product(&g, 0, pixels, dw);
        KN(gemm_f32)(&m, crew, work);
        return;
    }
    if (g.slices == 1) {
        crew_share(crew, (size_t)g.K, GEMM_NR, &from, &to);
        sum_pixels(&g, 0, pixels, (int)from, (int)to, dw, scratch);
        mask_columns(&g, from, to, dw);
        return;
    }
    crew_share(crew, (size_t)g.slices, 1, &from, &to);
    for (int s = (int)from; s < (int)to; s++)
        sum_slice(&g, s * g.slice, least(g.slice, pixels - s * g.slice),
                  sums + (size_t)s * slice_floats(&g), scratch);
    crew_wait(crew);
    crew_share(crew, (size_t)g.K, VF, &from, &to);
    add_slices(&g, sums, from, to, dw);
    mask_columns(&g, from, to, dw);
}
