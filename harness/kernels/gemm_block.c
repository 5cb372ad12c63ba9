/* gemm_block — the loops of one thread around the micro-kernel; see gemm_core.h. */
#include "kernels/gemm_core.h"

enum { SQUARES = (GEMM_MR + VF - 1) / VF * VF }; /* rows of a tile in whole squares of VF x VF */

/* One thread's scratch. A result tile waits in `tile` when more is to be done to
 * it than to store it, and in `turned` when C is transposed; what lies behind its last row is
 * turned with it and never used. */
struct room {
    _Alignas(64) float tile[SQUARES * GEMM_NR], turned[GEMM_NR * SQUARES], x[GEMM_X_ROOM], y[];
};

size_t KN(gemm_block_work)(int K, int cols)
{
    const int kc = gemm_kc(K), nc = gemm_nc(kc), all = (cols + GEMM_NR - 1) / GEMM_NR * GEMM_NR;
    return sizeof(struct room) + sizeof(float) * (size_t)(nc < all ? nc : all) * (size_t)kc;
}

enum { KEPT = GEMM_PANELS * GEMM_NR }; /* columns of Y that are kept packed, in L3 */

size_t KN(gemm_block_work_kept)(int K, int cols)
{
    const int all = (cols + GEMM_NR - 1) / GEMM_NR * GEMM_NR;
    const size_t kept = sizeof(float) * (size_t)(all < KEPT ? all : KEPT) * (size_t)gemm_kc(K);
    return KN(gemm_block_work)(K, cols) + kept;
}

void KN(gemm_transpose)(int rows, int cols, const float *x, size_t ldx, float *y, size_t ldy,
                        int padded)
{
    for (int i = 0; i < padded; i += VF, x += VF * ldx, y += VF) {
        const int height = rows - i < VF ? rows - i : VF;
        int j = 0;
        for (; height == VF && j + VF <= cols; j += VF)
            vf_turn(x + j, ldx, y + (size_t)j * ldy, ldy);
        for (; j < cols; j += VF) {
            const int width = cols - j < VF ? cols - j : VF;
            vf r[VF];
            for (int l = 0; l < VF; l++)
                r[l] = l < height ? vf_load_n(x + (size_t)l * ldx + j, (size_t)width, 0.0f)
                                  : vf_set(0.0f);
            vf_transpose(r);
            for (int l = 0; l < width; l++)
                vf_store(y + (size_t)(j + l) * ldy, r[l]);
        }
    }
}

/* Along i whole vectors are stored, and what they leave behind a row is overwritten by the next. */
struct gemm_x KN(gemm_copy_x)(const struct gemm_x *x, int rows, int kc)
{
    const struct gemm_x copy = gemm_x_kept(x);
    const bool along_k = x->k == 1;
    const size_t from = along_k ? x->row : x->k, to = along_k ? copy.row : copy.k;
    const int lines = along_k ? rows : kc, n = along_k ? kc : rows;
    for (int l = 0; l < lines; l++)
        for (int v = 0; v < n; v += VF)
            vf_store(
                x->keep + (size_t)l * to + v,
                vf_load_n(x->at + (size_t)l * from + v, (size_t)(n - v < VF ? n - v : VF), 0.0f));
    return copy;
}

/* What the loops below share: one block of terms of a rectangle of C. */
struct pass {
    const struct gemm_block *b;
    struct room *room;
    int i0, j0, j1, k, kc, panels;
    int tiles, height, taller; /* tiles have `height` rows, the first `taller` of them one more */
    struct gemm_fetch fetch;
    struct kn_epilogue now; /* what these terms need */
    bool straight;          /* tiles do it themselves, on their way to C */
};

/* A tile adds one thing to its sums and takes no other function of them than relu. */
static bool is_straight(const struct kn_epilogue *e)
{
    const int sums = (e->accumulate != 0) + (e->bias != NULL) + (e->residual != NULL);
    return sums <= 1 && !e->grad && (!e->act || e->act == KN_ACT_RELU);
}

static void set_straight(const struct pass *p, int i, int j, struct gemm_tile *t)
{
    const struct gemm_block *const b = p->b;
    const struct kn_epilogue *const e = &p->now;
    t->c = b->c + (size_t)i * b->ldc + j;
    t->ldc = b->ldc;
    t->ld_plus = e->bias ? 0 : e->residual && e->ld_residual ? e->ld_residual : b->ldc;
    t->plus = e->accumulate ? t->c
              : e->bias     ? e->bias + j
              : e->residual ? e->residual + (size_t)i * t->ld_plus + j
                            : NULL;
}

static void one_tile(struct pass *p, int i, int mr, int j, struct gemm_tile *t)
{
    const struct gemm_block *const b = p->b;
    if (p->straight) {
        set_straight(p, i, j, t);
        KN(gemm_tile)(mr, t);
        return;
    }
    p->fetch.results = b->transposed ? KN(gemm_finish_ahead)(&p->now, j, t->cols, i, b->c, b->ldc)
                                     : KN(gemm_finish_ahead)(&p->now, i, mr, j, b->c, b->ldc);
    KN(gemm_tile)(mr, t);
    if (!b->transposed) {
        KN(gemm_finish)(&p->now, i, mr, j, t->cols, t->c, GEMM_NR, b->c, b->ldc);
        return;
    }
    KN(gemm_transpose)(SQUARES, t->cols, t->c, GEMM_NR, p->room->turned, SQUARES, SQUARES);
    KN(gemm_finish)(&p->now, j, t->cols, i, mr, p->room->turned, SQUARES, b->c, b->ldc);
}

/* Rows are cut into equal tiles: 128 is ten of 13 or 12, not nine of 14 and a rest. */
static int tile_start(const struct pass *p, int t)
{
    return p->i0 + t * p->height + (t < p->taller ? t : p->taller);
}

static struct gemm_x tile_of_x(struct pass *p, int t, float *room)
{
    const int i = tile_start(p, t);
    return p->b->x(p->b, i, tile_start(p, t + 1) - i, p->k, p->kc, room);
}

static void expect_x(struct pass *p, int t)
{
    if (!p->b->soon_x || t >= p->tiles)
        return;
    const int i = tile_start(p, t);
    p->fetch = gemm_fetch_of(p->b->soon_x(p->b, i, tile_start(p, t + 1) - i, p->k, p->kc));
}

static int panel_cols(const struct pass *p, int panel)
{
    const int left = p->j1 - p->j0 - panel * GEMM_NR;
    return left < GEMM_NR ? left : GEMM_NR;
}

enum { SHORT = 64 }; /* so few rows of Y stay in L1 wherever they lie */

/* A panel that is not packed yet is packed by the first tile that uses it, unless it
 * would hardly be used again; a ragged one always, for whole vectors to be read. */
static struct gemm_y panel_of_y(struct pass *p, int panel, float *room)
{
    const int j = p->j0 + panel * GEMM_NR, cols = panel_cols(p, panel);
    struct gemm_y y = p->b->y(p->b, j, cols, p->k, p->kc, room);
    if ((p->tiles <= 2 || p->kc <= SHORT) && cols % VF == 0)
        y.keep = NULL;
    if (p->b->soon_y && panel + 1 < p->panels)
        p->fetch =
            gemm_fetch_of(p->b->soon_y(p->b, j + GEMM_NR, panel_cols(p, panel + 1), p->k, p->kc));
    return y;
}

static struct gemm_tile tile_of(struct pass *p)
{
    const struct gemm_block *const b = p->b;
    const bool last = p->k + p->kc >= b->K;
    p->now = last ? *b->epilogue : (struct kn_epilogue){0};
    p->now.accumulate = p->k > 0 || b->epilogue->accumulate;
    p->straight = !b->transposed && is_straight(&p->now);
    return (struct gemm_tile){.kc = p->kc,
                              .relu = p->straight && p->now.act == KN_ACT_RELU,
                              .c = p->room->tile,
                              .ldc = GEMM_NR,
                              .far = p->straight && !b->near,
                              .fetch = &p->fetch};
}

/* x and y become the packed panels where the tile has packed them. */
static void row_of_tile(struct pass *p, int row, int panel, struct gemm_tile *t, struct gemm_x *x,
                        struct gemm_y *y)
{
    const int i = tile_start(p, row);
    t->cols = panel_cols(p, panel);
    t->x = *x;
    t->y = *y;
    one_tile(p, i, tile_start(p, row + 1) - i, p->j0 + panel * GEMM_NR, t);
    if (x->keep)
        *x = gemm_x_kept(x);
    if (y->keep)
        *y = (struct gemm_y){y->keep, GEMM_NR, NULL};
}

/* Y stays in L2 and X passes by. */
static void by_rows(struct pass *p)
{
    struct gemm_y ys[GEMM_PANELS];
    struct gemm_tile tile = tile_of(p);
    for (int t = 0; t < p->tiles; t++) {
        struct gemm_x x = tile_of_x(p, t, p->room->x);
        if (t > 0)
            expect_x(p, t + 1);
        for (int panel = 0; panel < p->panels; panel++) {
            if (t == 0)
                ys[panel] =
                    panel_of_y(p, panel, p->room->y + (size_t)panel * GEMM_NR * (size_t)p->kc);
            row_of_tile(p, t, panel, &tile, &x, &ys[panel]);
        }
    }
}

/* X stays in L2, as many tiles as fit, and Y passes by, one panel at a time. */
static void by_columns(struct pass *p, int stay, float *rooms)
{
    struct gemm_x xs[GEMM_TILES];
    struct gemm_y ys[GEMM_PANELS];
    struct gemm_tile tile = tile_of(p);
    const int blocks = (p->tiles + stay - 1) / stay;
    for (int block = 0; block < blocks; block++) {
        const int from = p->tiles * block / blocks, to = p->tiles * (block + 1) / blocks;
        for (int t = from; t < to; t++)
            xs[t - from] = tile_of_x(
                p, t, t == from ? p->room->x : rooms + (size_t)(t - from - 1) * GEMM_X_ROOM);
        for (int panel = 0; panel < p->panels; panel++) {
            const size_t kept = blocks > 1 ? (size_t)panel * GEMM_NR * (size_t)p->kc : 0;
            struct gemm_y y = block > 0 ? ys[panel] : panel_of_y(p, panel, p->room->y + kept);
            if (block > 0 && panel + 1 < p->panels && ys[panel + 1].k == GEMM_NR)
                p->fetch = gemm_fetch_panel(ys[panel + 1].at, p->kc);
            for (int t = from; t < to; t++)
                row_of_tile(p, t, panel, &tile, &xs[t - from], &y);
            if (blocks > 1)
                ys[panel] = y;
        }
    }
}

void KN(gemm_block)(const struct gemm_block *b, int i0, int i1, int j0, int j1, void *work)
{
    const int kc = gemm_kc(b->K), rows = i1 - i0, height = b->height ? b->height : GEMM_MR;
    const int tiles = (rows + height - 1) / height;
    if (tiles <= 0)
        return;
    const bool by_column = b->x_stays > 0 || tiles == 1;
    const int stay = tiles == 1 ? 1 : b->x_stays;
    const int nc = !by_column ? gemm_nc(kc) : tiles <= stay || j1 - j0 < KEPT ? j1 - j0 : KEPT;
    struct pass p = {.b = b,
                     .room = work,
                     .i0 = i0,
                     .tiles = tiles,
                     .height = rows / tiles,
                     .taller = rows % tiles};
    for (p.j0 = j0; p.j0 < j1; p.j0 = p.j1) {
        p.j1 = j1 - p.j0 < nc ? j1 : p.j0 + nc;
        p.panels = (p.j1 - p.j0 + GEMM_NR - 1) / GEMM_NR;
        p.k = 0;
        do { /* once even if K is 0 */
            p.kc = b->K - p.k < kc ? b->K - p.k : kc;
            if (by_column)
                by_columns(&p, stay,
                           p.room->y +
                               (size_t)(tiles > stay ? p.panels * GEMM_NR : GEMM_NR) * (size_t)kc);
            else
                by_rows(&p);
            p.k += kc;
        } while (p.k < b->K);
    }
}
