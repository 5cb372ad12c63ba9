/* gemm_tile — the micro-kernel of gemm_tile.h as the compiler makes it. */
#include "kernels/gemm_tile.h"

INLINE void four_terms(const struct form f, struct cursor *at, vf acc[GEMM_MR][GEMM_NV])
{
    terms(f, STEP, at, acc);
}
