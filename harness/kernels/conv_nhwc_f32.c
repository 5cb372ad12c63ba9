/* conv_nhwc_f32.c — forward and backward to the data: the matrix that conv_patch.h
 * describes, times the weights.
 *
 * The weights are packed once, by all threads, into the panels that the product
 * wants; rows of patches are copied into L1 a tile at a time. Rows are taken in
 * chunks whose results stay in L2 while the product goes through its blocks of
 * terms. Threads share the rows, or the channels when there are few rows.
 * Where that suits conv_lines_f32.c reads the sources in place instead. */
#include "kernels/conv_patch.h"

enum { CHUNK_FLOATS = 48 * 1024 };

/* ---- grids ---- */

static struct grid axis_forward(const struct kn_conv *c, int targets, int kernel)
{
    return (struct grid){targets, 0, 1, -c->pad, c->stride, kernel, 0, 1};
}

static struct grid axis_backward(const struct kn_conv *c, int targets, int kernel, int part)
{
    const int s = c->stride, lowest = (part + c->pad) % s;
    const int taps = lowest < kernel ? (kernel - lowest + s - 1) / s : 0;
    const int highest = lowest + s * (taps - 1); /* it meets the first source */
    return (struct grid){
        .points = part < targets ? (targets - part + s - 1) / s : 0,
        .target = part,
        .target_step = s,
        .source = (part + c->pad - highest) / s,
        .source_step = 1,
        .taps = taps,
        .tap = highest,
        .tap_step = -s,
    };
}

struct patches KN(conv_patches)(const struct kn_conv *c, bool back, int part, const float *source)
{
    const int s = c->stride;
    if (!back)
        return (struct patches){source,
                                c->N,
                                c->H,
                                c->W,
                                c->C,
                                axis_forward(c, c->OH, c->KH),
                                axis_forward(c, c->OW, c->KW),
                                0};
    return (struct patches){source,
                            c->N,
                            c->OH,
                            c->OW,
                            c->O,
                            axis_backward(c, c->H, c->KH, part / s),
                            axis_backward(c, c->W, c->KW, part % s),
                            0};
}

static int parts(const struct kn_conv *c, bool back) { return back ? c->stride * c->stride : 1; }

/* ---- operands of the product ---- */

/* Rows of patches, copied. */
static struct gemm_x x_patches(const struct gemm_block *b, int i, int n, int k, int kc, float *room)
{
    const struct patches *p = &((const struct conv_grid *)b->of_x)->patches;
    const int line = patch_line(p), width = p->W * p->C;
    if (kc == 0)
        return (struct gemm_x){room, GEMM_KC_PITCH, 1, NULL};
    struct place at = patch_place(p, i);
    for (int r = 0; r < n; r++, place_next(p, &at)) {
        float *to = room + r * GEMM_KC_PITCH;
        const int left = (at.col * p->cols.source_step + p->cols.source) * p->C;
        int u = k / line, from = k % line;
        for (int done = 0; done < kc; u++, from = 0) {
            const int now = least(line - from, kc - done);
            copy_clipped(to + done, patch_source(p, at.image, at.row, u), width, left + from, now);
            done += now;
        }
    }
    return (struct gemm_x){room, GEMM_KC_PITCH, 1, NULL};
}

static size_t padded(int n) { return (size_t)(n + GEMM_NR - 1) / GEMM_NR * GEMM_NR; }

/* Where columns [j, …) of terms [k, k + kc) lie in the packed weights. */
static float *packed_panel(const struct conv_grid *o, int j, int k, int kc)
{
    return o->packed + (size_t)k * padded(o->pass->TC) + (size_t)j * (size_t)kc;
}

static struct gemm_y y_weights(const struct gemm_block *b, int j, int n, int k, int kc, float *room)
{
    (void)n, (void)room;
    return (struct gemm_y){.at = packed_panel(b->of_y, j, k, kc), .k = GEMM_NR};
}

/* Terms [k, k + kc) of target channels [j, j + n), in the order of the patches. */
static void pack_panel(const struct conv_grid *o, int j, int n, int k, int kc)
{
    const struct kn_conv *c = o->pass->c;
    const struct patches *p = &o->patches;
    float *to = packed_panel(o, j, k, kc);
    if (!o->pass->back) {
        const size_t K = (size_t)patch_size(p);
        KN(gemm_transpose)(n, kc, o->pass->w + (size_t)j * K + k, K, to, GEMM_NR, GEMM_NR);
        return;
    }
    for (int r = k; r < k + kc; r++, to += GEMM_NR) {
        const int channel = r % p->C, tap = r / p->C;
        const int u = p->rows.tap + tap / p->cols.taps * p->rows.tap_step;
        const int v = p->cols.tap + tap % p->cols.taps * p->cols.tap_step;
        const size_t at = ((size_t)channel * (size_t)c->KH + (size_t)u) * (size_t)c->KW + (size_t)v;
        copy_floats(to, o->pass->w + at * (size_t)c->C + j, n);
        zero_floats(to + n, GEMM_NR - n);
    }
}

static void pack_weights(const struct conv_grid *o)
{
    const int K = patch_size(&o->patches), TC = o->pass->TC;
    const int kc = o->pass->by_lines ? K : gemm_kc(K);
    size_t from, to;
    crew_share(o->pass->crew, (size_t)TC, GEMM_NR, &from, &to);
    for (int k = 0; k < K; k += kc)
        for (int j = (int)from; j < (int)to; j += GEMM_NR)
            pack_panel(o, j, least(GEMM_NR, (int)to - j), k, least(kc, K - k));
}

/* ---- the product ---- */

static size_t up64(size_t bytes) { return (bytes + 63) / 64 * 64; }

static int chunk_rows(const struct conv_pass *p)
{
    return most(2, CHUNK_FLOATS / GEMM_MR / p->TC) * GEMM_MR;
}

/* Grids have fewer terms than the pass, but may have longer blocks of them. */
static size_t block_bytes(int K) { return up64(KN(gemm_block_work)(least(K, GEMM_KC), GEMM_NR)); }

/* Grids with gaps between their pixels collect their results apart. */
static size_t chunk_bytes(const struct conv_pass *p)
{
    const bool gaps = p->back && p->c->stride > 1;
    return gaps ? up64((size_t)chunk_rows(p) * (size_t)p->TC * sizeof(float)) : 0;
}

/* Results of one chunk of a grid with gaps go to their places, one pixel at a time. */
static void scatter(const struct conv_pass *p, const struct patches *g, int rows, int j0, int j1,
                    const float *results)
{
    struct place at = patch_place(g, 0);
    for (int r = 0; r < rows; r++, place_next(g, &at)) {
        const int h = g->rows.target + at.row * g->rows.target_step;
        const int w = g->cols.target + at.col * g->cols.target_step;
        const int pixel = (at.image * p->TH + h) * p->TW + w;
        KN(gemm_finish)
        (p->e, pixel, 1, j0, j1 - j0, results + (size_t)r * (size_t)p->TC + j0, (size_t)p->TC,
         p->target, (size_t)p->TC);
    }
}

/* Of a chunk that is still in L2. */
static void add_moments(const struct conv_pass *p, int first, int rows, int j0, int j1)
{
    const size_t i = (size_t)first;
    KN(conv_moments_add)
    (&p->moments, i, (size_t)rows, (size_t)j0, (size_t)(j1 - j0), p->target + i * p->ld + j0,
     p->ld);
}

static void run_chunk(const struct conv_grid *o, int first, int rows, int j0, int j1)
{
    static const struct kn_epilogue none;
    const struct conv_pass *p = o->pass;
    struct conv_grid mine = *o;
    struct gemm_block b = {
        .K = patch_size(&o->patches),
        .of_x = &mine,
        .of_y = &mine,
        .x = x_patches,
        .y = y_weights,
        .c = p->target,
        .ldc = p->ld,
        .epilogue = p->e,
    };
    void *const scratch = p->scratch + chunk_bytes(p);
    if (!chunk_bytes(p)) {
        KN(gemm_block)(&b, first, first + rows, j0, j1, scratch);
        if (p->moments.sums)
            add_moments(p, first, rows, j0, j1);
        return;
    }
    float *results = (float *)(void *)p->scratch;
    mine.patches.first = first;
    b.c = results;
    b.epilogue = &none;
    KN(gemm_block)(&b, 0, rows, j0, j1, scratch);
    scatter(p, &mine.patches, rows, j0, j1, results);
}

static void share_rows(const struct conv_pass *p, size_t rows, size_t *from, size_t *to)
{
    if (!p->moments.sums) {
        crew_share(p->crew, rows, GEMM_MR, from, to);
        return;
    }
    moments_share(&p->moments, p->crew, from, to);
    *from *= p->moments.width;
    *to *= p->moments.width;
}

static void run_grid(const struct conv_grid *o)
{
    const struct conv_pass *p = o->pass;
    if (p->by_lines) {
        KN(conv_lines)(o);
        return;
    }
    const size_t rows = patch_count(&o->patches), all = (size_t)p->crew->threads;
    const size_t tiles = p->moments.sums ? p->moments.pieces : (rows + GEMM_MR - 1) / GEMM_MR,
                 panels = padded(p->TC) / GEMM_NR;
    size_t from = 0, to = rows, j0 = 0, j1 = (size_t)p->TC;
    if ((tiles + all - 1) / all * panels <= (panels + all - 1) / all * tiles)
        share_rows(p, rows, &from, &to);
    else
        crew_share(p->crew, (size_t)p->TC, GEMM_NR, &j0, &j1);
    if (j0 >= j1)
        return;
    const int step = chunk_rows(p);
    for (int i = (int)from; i < (int)to; i += step)
        run_chunk(o, i, least(step, (int)to - i), (int)j0, (int)j1);
}

/* Does `what` to each grid of the pass. */
static void each_grid(const struct conv_pass *p, void (*what)(const struct conv_grid *o))
{
    float *packed = p->packed;
    for (int part = 0; part < parts(p->c, p->back); part++) {
        const struct conv_grid o = {p, KN(conv_patches)(p->c, p->back, part, p->source), packed};
        what(&o);
        packed += (size_t)patch_size(&o.patches) * padded(p->TC);
    }
}

/* Work: the masked weights, the packed ones, each thread's scratch. */
static size_t packed_bytes(const struct kn_conv *c, bool back)
{
    const size_t terms = (size_t)(back ? c->O : c->C) * (size_t)c->KH * (size_t)c->KW;
    return up64(terms * padded(back ? c->C : c->O) * sizeof(float));
}

static size_t scratch_bytes(const struct conv_pass *p)
{
    const int K = (p->back ? p->c->O : p->c->C) * p->c->KH * p->c->KW;
    if (p->by_lines)
        return up64(KN(conv_lines_bytes)(p));
    return chunk_bytes(p) + block_bytes(K);
}

static struct conv_pass pass_of(const struct kn_conv *c, bool back)
{
    struct conv_pass p = {.c = c,
                          .back = back,
                          .TH = back ? c->H : c->OH,
                          .TW = back ? c->W : c->OW,
                          .TC = back ? c->C : c->O};
    p.ld = c->ld_y && !back ? c->ld_y : (size_t)p.TC;
    p.by_lines = KN(conv_lines_suit)(&p);
    return p;
}

bool KN(conv_by_lines)(const struct kn_conv *c, int pass)
{
    return pass == CONV_GRAD_WEIGHT ? KN(conv_lines_grad_suit)(c)
                                    : pass_of(c, pass == CONV_GRAD_DATA).by_lines;
}

size_t KN(conv_nhwc_pieces)(const struct kn_conv *c)
{
    return moments_pieces((size_t)c->N * (size_t)c->OH, (size_t)c->OW);
}

size_t KN(conv_nhwc_work)(const struct kn_conv *c, int pass, int threads)
{
    const struct conv_pass p = pass_of(c, pass == CONV_GRAD_DATA);
    return up64(conv_masked_bytes(c)) + packed_bytes(c, p.back) +
           scratch_bytes(&p) * (size_t)threads;
}

void KN(conv_nhwc)(const struct kn_conv *c, int pass, const struct kn_epilogue *e,
                   const struct crew *crew, const float *source, const float *w, float *target,
                   void *work)
{
    static const struct kn_epilogue none;
    struct conv_pass p = pass_of(c, pass == CONV_GRAD_DATA);
    char *room = work;
    p.crew = crew;
    p.e = e ? e : &none;
    if (p.e->moments)
        p.moments = moments_of(p.e, (size_t)c->O, (size_t)c->N * (size_t)c->OH, (size_t)c->OW,
                               KN(conv_nhwc_pieces)(c));
    p.source = source;
    p.target = target;
    p.w = conv_masked(c, crew, w, work);
    p.packed = (float *)(void *)(room + up64(conv_masked_bytes(c)));
    p.scratch = room + up64(conv_masked_bytes(c)) + packed_bytes(c, p.back) +
                scratch_bytes(&p) * (size_t)crew->thread;
    each_grid(&p, pack_weights);
    crew_wait(crew);
    each_grid(&p, run_grid);
}
