/* gemm_tile for AVX2 — twelve sums, two vectors of Y and two elements of X fill the sixteen
 * registers, and two multiply-adds a cycle leave no slack: what gcc 12 makes of gemm_tile.c reaches
 * 90 % of the FMA peak of Zen 3 from L1, in this order it is 98 %.
 *
 * Sanitizers see nothing of what assembly reads: for them it is gemm_tile.c. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#include "kernels/gemm_tile.c"
#else
#include "kernels/gemm_tile.h"

_Static_assert(GEMM_MR == 6 && GEMM_NV == 2 && STEP == 4, "the registers below");

/* clang-format off */
#define TIMES(x, reg, i) \
    "vbroadcastss " x ", %%ymm" #reg "\n\t" \
    "vfmadd231ps %%ymm0, %%ymm" #reg ", %[s" #i "0]\n\t" \
    "vfmadd231ps %%ymm1, %%ymm" #reg ", %[s" #i "1]\n\t"
/* X contiguous along k: rows 0 to 2 from x, 3 to 5 from z */
#define ROWS_1        TIMES("%c[k](%[x])", 2, 0)
#define ROWS_2 ROWS_1 TIMES("%c[k](%[x],%[row])", 3, 1)
#define ROWS_3 ROWS_2 TIMES("%c[k](%[x],%[row],2)", 2, 2)
#define ROWS_4 ROWS_3 TIMES("%c[k](%[z])", 3, 3)
#define ROWS_5 ROWS_4 TIMES("%c[k](%[z],%[row])", 2, 4)
#define ROWS_6 ROWS_5 TIMES("%c[k](%[z],%[row],2)", 3, 5)
/* X contiguous along i */
#define COLS_1        TIMES("(%[x])", 2, 0)
#define COLS_2 COLS_1 TIMES("4(%[x])", 3, 1)
#define COLS_3 COLS_2 TIMES("8(%[x])", 2, 2)
#define COLS_4 COLS_3 TIMES("12(%[x])", 3, 3)
#define COLS_5 COLS_4 TIMES("16(%[x])", 2, 4)
#define COLS_6 COLS_5 TIMES("20(%[x])", 3, 5)
#define LOAD "vmovups (%[y]), %%ymm0\n\tvmovups 32(%[y]), %%ymm1\n\t"
#define KEEP "vmovups %%ymm0, (%[keep])\n\tvmovups %%ymm1, 32(%[keep])\n\t"
#define TERM(code) __asm__(code \
    : [s00] "+x"(s[0][0]), [s01] "+x"(s[0][1]), [s10] "+x"(s[1][0]), [s11] "+x"(s[1][1]), \
      [s20] "+x"(s[2][0]), [s21] "+x"(s[2][1]), [s30] "+x"(s[3][0]), [s31] "+x"(s[3][1]), \
      [s40] "+x"(s[4][0]), [s41] "+x"(s[4][1]), [s50] "+x"(s[5][0]), [s51] "+x"(s[5][1]) \
    : [y] "r"(at->y), [x] "r"(at->x[0]), [z] "r"(at->x[f.mr > 3]), [row] "r"(row), \
      [k] "i"(4 * k), [keep] "r"(at->keep) \
    : "ymm0", "ymm1", "ymm2", "ymm3", "memory")
#define PICK_TERM(code) if (f.keep) TERM(LOAD KEEP code); else TERM(LOAD code)
#define HEIGHT_TERM(X) switch (f.mr) { \
    case 1: PICK_TERM(X##_1); break; case 2: PICK_TERM(X##_2); break; case 3: PICK_TERM(X##_3); break; \
    case 4: PICK_TERM(X##_4); break; case 5: PICK_TERM(X##_5); break; default: PICK_TERM(X##_6); }
/* clang-format on */

INLINE void one_term(const struct form f, const int k, struct cursor *at, vf s[GEMM_MR][GEMM_NV])
{
    const size_t row = sizeof(float) * at->row;
    if (f.keep)
        __builtin_prefetch(at->y + AHEAD * at->yk);
    if (f.by_rows) {
        HEIGHT_TERM(ROWS)
    } else {
        HEIGHT_TERM(COLS)
        at->x[0] += at->xk;
        opaque(&at->x[0]);
    }
    if (f.keep)
        at->keep += GEMM_NR;
    at->y += at->yk;
    opaque(&at->y);
}

INLINE void four_terms(const struct form f, struct cursor *at, vf acc[GEMM_MR][GEMM_NV])
{
    if (f.nv < GEMM_NV || (f.keep && at->last < VF)) {
        terms(f, STEP, at, acc);
        return;
    }
    UNROLL for (int k = 0; k < STEP; k++) one_term(f, k, at, acc);
    if (f.by_rows) {
        UNROLL for (int g = 0; g * GROUP < f.mr; g++)
        {
            at->x[g] += STEP;
            opaque(&at->x[g]);
        }
    }
}
#endif
