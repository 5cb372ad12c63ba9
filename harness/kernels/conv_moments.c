/* conv_moments.c — adds rows of results, still in the cache, to their piece; see conv_moments.h. */
#include "kernels/conv_moments.h"
#include "kernels/gemm_unroll.h"

enum { STRIP = 4 }; /* vectors of columns: eight chains of sums hide their own latency */

/* Rows of some vectors of columns, n <= VF floats wide each, to the numbers at `to`. */
INLINE void add_strip(const struct moments *m, const int vectors, size_t n, bool first, size_t rows,
                      const float *y, size_t ld, float *to)
{
    float *const sums = to + m->columns, *const all_squares = sums + m->columns;
    vf shift[STRIP], sum[STRIP], squares[STRIP];
    UNROLL for (int v = 0; v < vectors; v++)
    {
        shift[v] = vf_get((first ? y : to) + v * VF, n);
        sum[v] = first ? vf_set(0.0f) : vf_get(sums + v * VF, n);
        squares[v] = first ? vf_set(0.0f) : vf_get(all_squares + v * VF, n);
    }
    for (size_t r = 0; r < rows; r++, y += ld)
        UNROLL for (int v = 0; v < vectors; v++)
        {
            const vf far = vf_get(y + v * VF, n) - shift[v];
            sum[v] = sum[v] + far;
            squares[v] = vf_fma(far, far, squares[v]);
        }
    UNROLL for (int v = 0; v < vectors; v++)
    {
        if (first)
            vf_put(to + v * VF, shift[v], n);
        vf_put(sums + v * VF, sum[v], n);
        vf_put(all_squares + v * VF, squares[v], n);
    }
}

/* Rows of one piece. */
static void add_rows(const struct moments *m, bool first, size_t rows, size_t cols, const float *y,
                     size_t ld, float *to)
{
    size_t j = 0;
    for (; j + STRIP * VF <= cols; j += STRIP * VF)
        add_strip(m, STRIP, VF, first, rows, y + j, ld, to + j);
    for (; j + 2 * VF <= cols; j += 2 * VF)
        add_strip(m, 2, VF, first, rows, y + j, ld, to + j);
    for (; j + VF <= cols; j += VF)
        add_strip(m, 1, VF, first, rows, y + j, ld, to + j);
    if (j < cols)
        add_strip(m, 1, cols - j, first, rows, y + j, ld, to + j);
}

void KN(conv_moments_add)(const struct moments *m, size_t row, size_t rows, size_t j, size_t cols,
                          const float *y, size_t ld)
{
    while (rows > 0) {
        const size_t piece = moments_piece(m, row / m->width);
        const size_t start = moments_start(m, piece) * m->width,
                     end = moments_start(m, piece + 1) * m->width;
        const size_t n = moments_least(rows, end - row);
        add_rows(m, row == start, n, cols, y, ld, moments_at(m, piece, j, row == start, n));
        row += n;
        rows -= n;
        y += n * ld;
    }
}
