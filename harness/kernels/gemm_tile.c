/* gemm_tile — the micro-kernel: GEMM_MR x GEMM_NR sums held in registers.
 *
 *     for each k: for each row i: acc[i][:] += X[i][k] * Y[k][:]
 *
 * It is compiled for every height and width, so that no tile computes rows it
 * does not need. X is read in place when its rows or its columns are contiguous. */
#include "kernels/gemm_core.h"

#if defined __GNUC__ && !defined __clang__
#define UNROLL _Pragma("GCC unroll 16")
#else
#define UNROLL _Pragma("unroll")
#endif

enum { GROUP = 3, GROUPS = (GEMM_MR + GROUP - 1) / GROUP };

/* Where the next terms are: rows in groups of three, because x86 addresses
 * base, base + row and base + 2 row without arithmetic. */
struct cursor {
    const float *x[GROUPS], *y;
};

/* Hides from the compiler how a pointer came about, or it would keep fourteen
 * pointers in registers that it does not have. */
static inline void opaque(const float **p) { __asm__("" : "+r"(*p)); }

static inline __attribute__((always_inline)) void
terms(const int mr, const int nv, const bool by_rows, const int n, const struct cursor *at,
      size_t row, size_t xk, size_t yk, vf acc[GEMM_MR][GEMM_NV])
{
    const float *y = at->y;
    UNROLL for (int k = 0; k < n; k++, y += yk)
    {
        vf b[GEMM_NV];
        UNROLL for (int v = 0; v < nv; v++) b[v] = vf_load(y + v * VF);
        UNROLL for (int i = 0; i < mr; i++)
        {
            const float *x = by_rows ? at->x[i / GROUP] + (size_t)(i % GROUP) * row + k
                                     : at->x[0] + (size_t)k * xk + i;
            const vf a = vf_set(*x);
            UNROLL for (int v = 0; v < nv; v++) acc[i][v] = vf_fma(a, b[v], acc[i][v]);
        }
    }
}

static inline __attribute__((always_inline)) void tile(const int mr, const int nv,
                                                       const bool by_rows, int cols, int kc,
                                                       struct gemm_x x, struct gemm_y y, float *c,
                                                       size_t ldc, bool add)
{
    enum { STEP = 4 };
    vf acc[GEMM_MR][GEMM_NV];
    struct cursor at = {.y = y.at};
    UNROLL for (int i = 0; i < mr; i++)
    {
        UNROLL for (int v = 0; v < nv; v++) acc[i][v] = vf_set(0.0f);
        __builtin_prefetch(c + (size_t)i * ldc, 1);
    }
    const int groups = by_rows ? (mr + GROUP - 1) / GROUP : 1;
    UNROLL for (int g = 0; g < groups; g++) { at.x[g] = x.at + (size_t)(g * GROUP) * x.row; }
    int k = 0;
    for (; k + STEP <= kc; k += STEP) {
        terms(mr, nv, by_rows, STEP, &at, x.row, x.k, y.k, acc);
        UNROLL for (int g = 0; g < groups; g++)
        {
            at.x[g] += STEP * x.k;
            opaque(&at.x[g]);
        }
        at.y += STEP * y.k;
    }
    for (; k < kc; k++) {
        terms(mr, nv, by_rows, 1, &at, x.row, x.k, y.k, acc);
        UNROLL for (int g = 0; g < groups; g++)
        {
            at.x[g] += x.k;
            opaque(&at.x[g]);
        }
        at.y += y.k;
    }
    const size_t last = (size_t)(cols - (nv - 1) * VF);
    UNROLL for (int i = 0; i < mr; i++)
    {
        float *to = c + (size_t)i * ldc;
        UNROLL for (int v = 0; v < nv; v++, to += VF)
        {
            vf s = acc[i][v];
            if (v < nv - 1 || last == VF) {
                if (add)
                    s = vf_load(to) + s;
                vf_store(to, s);
            } else {
                if (add)
                    s = vf_load_n(to, last, 0.0f) + s;
                vf_store_n(to, s, last);
            }
        }
    }
}

typedef void tile_fn(int cols, int kc, struct gemm_x x, struct gemm_y y, float *c, size_t ldc,
                     bool add);

/* clang-format off */
#define TILE(mr, nv) \
    static void rows_##mr##x##nv(int cols, int kc, struct gemm_x x, struct gemm_y y, float *c, size_t ldc, bool add) \
    { tile(mr <= GEMM_MR ? mr : 1, nv <= GEMM_NV ? nv : 1, true, cols, kc, x, y, c, ldc, add); } \
    static void cols_##mr##x##nv(int cols, int kc, struct gemm_x x, struct gemm_y y, float *c, size_t ldc, bool add) \
    { tile(mr <= GEMM_MR ? mr : 1, nv <= GEMM_NV ? nv : 1, false, cols, kc, x, y, c, ldc, add); }
#define HEIGHTS(f) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11) f(12) f(13) f(14)
#define DEFINE(mr) TILE(mr, 1) TILE(mr, 2) TILE(mr, 3)
HEIGHTS(DEFINE)

#define ENTRY(mr) {{rows_##mr##x1, rows_##mr##x2, rows_##mr##x3}, {cols_##mr##x1, cols_##mr##x2, cols_##mr##x3}},
static tile_fn *const tiles[14][2][3] = { HEIGHTS(ENTRY) };
/* clang-format on */

void KN(gemm_tile)(int mr, int cols, int kc, struct gemm_x x, struct gemm_y y, float *c, size_t ldc,
                   bool add)
{
    tiles[mr - 1][x.k != 1][(cols + VF - 1) / VF - 1](cols, kc, x, y, c, ldc, add);
}
