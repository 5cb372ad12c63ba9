/* transpose_f32 — y[j][i] = x[i][j] for a matrix of rows x cols whose rows are ldx
 * apart; those of y are ldy apart. y must not be x.
 *
 * Squares of VF x VF are turned in registers. It is also how images change between
 * NHWC and the lanes layout: [16][F] <-> [F][16]. */
#include "kernels/kernel.h"

#include "kernels/each.h"

/* A part of a square, at an edge. */
static inline __attribute__((always_inline)) void turn(size_t rows, size_t cols, const float *x,
                                                       size_t ldx, float *y, size_t ldy)
{
    vf r[VF];
    for (size_t i = 0; i < VF; i++)
        r[i] = i < rows ? vf_get(x + i * ldx, cols) : vf_set(0.0f);
    vf_transpose(r);
    for (size_t j = 0; j < VF; j++)
        if (j < cols)
            vf_put(y + j * ldy, r[j], rows);
}

void KN(transpose_f32)(size_t rows, size_t cols, const float *x, size_t ldx, float *y, size_t ldy)
{
    const size_t whole = cols - cols % VF;
    for (size_t i = 0; i < rows; i += VF) {
        const size_t k = rows - i < VF ? rows - i : VF;
        const float *const from = x + i * ldx;
        for (size_t j = 0; j < whole; j += VF)
            if (k == VF)
                vf_turn(from + j, ldx, y + j * ldy + i, ldy);
            else
                turn(k, VF, from + j, ldx, y + j * ldy + i, ldy);
        if (whole < cols)
            turn(k, cols - whole, from + whole, ldx, y + whole * ldy + i, ldy);
    }
}
