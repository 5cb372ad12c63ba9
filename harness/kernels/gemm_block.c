/* gemm_block — the loops of one thread around the micro-kernel; see gemm_core.h. */
#include "kernels/gemm_core.h"

/* One thread's scratch. A result tile waits in `tile` when more is to be done to
 * it than to store it, and in `turned` when C is transposed. */
struct room {
    _Alignas(64) float tile[GEMM_MR * GEMM_NR], turned[GEMM_NR * 16], x[GEMM_X_ROOM], y[];
};

size_t KN(gemm_block_work)(int K, int cols)
{
    const int kc = gemm_kc(K), nc = gemm_nc(kc), all = (cols + GEMM_NR - 1) / GEMM_NR * GEMM_NR;
    return sizeof(struct room) + sizeof(float) * (size_t)(nc < all ? nc : all) * (size_t)kc;
}

void KN(gemm_transpose)(int rows, int cols, const float *x, size_t ldx, float *y, size_t ldy,
                        int padded)
{
    for (int j = 0; j < cols; j += VF) {
        const int width = cols - j < VF ? cols - j : VF;
        for (int i = 0; i < padded; i += VF) {
            vf r[VF];
            for (int l = 0; l < VF; l++) {
                const float *from = x + (size_t)(i + l) * ldx + j;
                r[l] = i + l >= rows ? vf_set(0.0f)
                       : width == VF ? vf_load(from)
                                     : vf_load_n(from, (size_t)width, 0.0f);
            }
            vf_transpose(r);
            for (int l = 0; l < width; l++)
                vf_store(y + (size_t)(j + l) * ldy + i, r[l]);
        }
    }
}

static bool is_plain(const struct kn_epilogue *e)
{
    return !e->bias && !e->residual && !e->act && !e->grad;
}

static void one_tile(const struct gemm_block *b, struct room *room, int i, int mr, int j, int cols,
                     int k, int kc, struct gemm_x x, struct gemm_y y)
{
    static const struct kn_epilogue add = {.accumulate = true}, put = {0};
    const struct kn_epilogue *const e = b->epilogue;
    const bool first = k == 0, last = k + kc >= b->K;
    const bool straight = !b->transposed && (!last || is_plain(e));
    if (straight) {
        KN(gemm_tile)
        (mr, cols, kc, x, y, b->c + (size_t)i * b->ldc + j, b->ldc, !first || e->accumulate);
        return;
    }
    struct kn_epilogue now = last ? *e : first && !e->accumulate ? put : add;
    now.accumulate = !first || e->accumulate;
    KN(gemm_tile)(mr, cols, kc, x, y, room->tile, GEMM_NR, false);
    if (!b->transposed) {
        KN(gemm_finish)(&now, i, mr, j, cols, room->tile, GEMM_NR, b->c, b->ldc);
        return;
    }
    KN(gemm_transpose)(mr, cols, room->tile, GEMM_NR, room->turned, 16, (mr + VF - 1) / VF * VF);
    KN(gemm_finish)(&now, j, cols, i, mr, room->turned, 16, b->c, b->ldc);
}

/* A panel that is not packed yet is packed by the first tile that uses it, unless it
 * would hardly be used again; a ragged one always, for whole vectors to be read. */
static struct gemm_y panel_of_y(const struct gemm_block *b, int j, int cols, int k, int kc,
                                int tiles, float *room)
{
    struct gemm_y y = b->y(b, j, cols, k, kc, room);
    if (tiles <= 2 && cols % VF == 0)
        y.keep = NULL;
    return y;
}

/* Rows are cut into equal tiles: 128 is ten of 13 or 12, not nine of 14 and a rest. */
static int tile_start(int i0, int rows, int t, int tiles)
{
    return i0 + (int)((int64_t)rows * t / tiles);
}

static void rows_of_block(const struct gemm_block *b, struct room *room, int i0, int i1, int j0,
                          int j1, int k, int kc)
{
    const int rows = i1 - i0, tiles = (rows + GEMM_MR - 1) / GEMM_MR,
              panels = (j1 - j0 + GEMM_NR - 1) / GEMM_NR;
    struct gemm_y ys[GEMM_PANELS];
    for (int t = 0; t < tiles; t++) {
        const int i = tile_start(i0, rows, t, tiles), next = tile_start(i0, rows, t + 1, tiles);
        const struct gemm_x x = b->x(b, i, next - i, k, kc, room->x);
        for (int p = 0; p < panels; p++) {
            const int j = j0 + p * GEMM_NR, cols = j1 - j < GEMM_NR ? j1 - j : GEMM_NR;
            if (t == 0)
                ys[p] = panel_of_y(b, j, cols, k, kc, tiles,
                                   room->y + (size_t)p * GEMM_NR * (size_t)kc);
            if (b->fetch_x && t + 1 < tiles)
                b->fetch_x(b, next, tile_start(i0, rows, t + 2, tiles) - next, k, kc, p, panels);
            one_tile(b, room, i, next - i, j, cols, k, kc, x, ys[p]);
            if (ys[p].keep)
                ys[p] = (struct gemm_y){ys[p].keep, GEMM_NR, NULL};
        }
    }
}

void KN(gemm_block)(const struct gemm_block *b, int i0, int i1, int j0, int j1, void *work)
{
    const int kc = gemm_kc(b->K), nc = gemm_nc(kc);
    if (i0 >= i1)
        return;
    for (int j = j0; j < j1; j += nc) {
        int k = 0;
        do { /* once even if K is 0 */
            const int now = b->K - k < kc ? b->K - k : kc;
            rows_of_block(b, work, i0, i1, j, j1 - j < nc ? j1 : j + nc, k, now);
            k += kc;
        } while (k < b->K);
    }
}
