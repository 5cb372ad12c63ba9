/* conv_winograd.h — minimal filtering F(m x m, 3 x 3), m = 2 and 4 (Winograd 1980; Lavin & Gray,
 * CVPR 2016), what its passes share.
 *
 * A tile of m x m outputs y of one channel comes from n x n inputs d, n = m + 2, and 3 x 3
 * weights g through n^2 products instead of 9 m^2:
 *
 *     y = A^T [U o V] A        U = G g G^T        V = B^T d B
 *
 * and with the sum over channels the products are P = n^2 matrix multiplies. The gradient of g
 * is, the whole being linear in it, dg = G^T [V o A dy A^T] G.
 *
 * The rows of A, B and G follow from the points at which the polynomials are taken: 0, 1, -1
 * and infinity for m = 2; 0, +-a, +-b and infinity for m = 4, with a = sqrt(1/2), b = sqrt(2).
 * Lavin & Gray take 1 and 2 there; these make a^2 b^2 be 1, which saves products.
 *
 * Every transform below is one-dimensional, from elements `from` apart to elements `to` apart,
 * and is applied to columns and then to rows. Vectors run over channels. */
#ifndef CONV_WINOGRAD_H
#define CONV_WINOGRAD_H

#include "kernels/conv_patch.h"
#include "kernels/gemm_unroll.h"

enum { WINOGRAD_SIDE = 6, WINOGRAD_POINTS = WINOGRAD_SIDE * WINOGRAD_SIDE, WINOGRAD_OUT = 16 };

#define ROOT_HALF 0.70710678118654752440f
#define ROOT_TWO  1.41421356237309504880f

/* t = B^T d: n inputs to n points. */
INLINE void winograd_input(const int m, const vf *d, const int from, vf *t, const int to)
{
    const vf d1 = d[from], d2 = d[2 * from], d3 = d[3 * from];
    if (m == 2) {
        t[0] = d[0] - d2;
        t[to] = d1 + d2;
        t[2 * to] = d2 - d1;
        t[3 * to] = d3 - d1;
        return;
    }
    const vf d4 = d[4 * from], mid = vf_set(-2.5f);
    const vf even_a = vf_fma(vf_set(-2.0f), d2, d4), odd_a = vf_fma(vf_set(-2.0f), d1, d3);
    const vf even_b = vf_fma(vf_set(-0.5f), d2, d4), odd_b = vf_fma(vf_set(-0.5f), d1, d3);
    t[0] = vf_fma(mid, d2, d[0] + d4);
    t[to] = vf_fma(vf_set(ROOT_HALF), odd_a, even_a);
    t[2 * to] = vf_fma(vf_set(-ROOT_HALF), odd_a, even_a);
    t[3 * to] = vf_fma(vf_set(ROOT_TWO), odd_b, even_b);
    t[4 * to] = vf_fma(vf_set(-ROOT_TWO), odd_b, even_b);
    t[5 * to] = vf_fma(mid, d3, d1 + d[5 * from]);
}

/* y = A^T t: n points to m outputs. */
INLINE void winograd_output(const int m, const vf *t, const int from, vf *y, const int to)
{
    const vf plus = t[from] + t[2 * from], minus = t[from] - t[2 * from];
    if (m == 2) {
        y[0] = t[0] + plus;
        y[to] = minus + t[3 * from];
        return;
    }
    const vf plus_b = t[3 * from] + t[4 * from], minus_b = t[3 * from] - t[4 * from];
    y[0] = t[0] + plus + plus_b;
    y[to] = vf_fma(vf_set(ROOT_TWO), minus_b, vf_set(ROOT_HALF) * minus);
    y[2 * to] = vf_fma(vf_set(2.0f), plus_b, vf_set(0.5f) * plus);
    y[3 * to] = vf_fma(vf_set(2.0f * ROOT_TWO), minus_b,
                       vf_fma(vf_set(0.5f * ROOT_HALF), minus, t[5 * from]));
}

/* t = G g: three weights to n points. */
INLINE void winograd_weight(const int m, const vf *g, const int from, vf *t, const int to)
{
    const vf g0 = g[0], g1 = g[from], g2 = g[2 * from], half = vf_set(0.5f);
    if (m == 2) {
        const vf even = half * (g0 + g2), odd = half * g1;
        t[0] = g0;
        t[to] = even + odd;
        t[2 * to] = even - odd;
        t[3 * to] = g2;
        return;
    }
    const vf third = vf_set(1.0f / 3), third_g2 = third * g2;
    const vf even_a = vf_fma(vf_set(2.0f / 3), g0, third_g2);
    const vf odd_a = vf_set(ROOT_TWO / 3) * g1, odd_b = vf_set(ROOT_TWO / 6) * g1;
    const vf even_b = vf_fma(vf_set(1.0f / 6), g0, third_g2);
    t[0] = g0;
    t[to] = -even_a - odd_a;
    t[2 * to] = odd_a - even_a;
    t[3 * to] = even_b + odd_b;
    t[4 * to] = even_b - odd_b;
    t[5 * to] = g2;
}

/* t = A dy: m gradients of outputs to n points. */
INLINE void winograd_grad(const int m, const vf *y, const int from, vf *t, const int to)
{
    const vf y0 = y[0], y1 = y[from];
    t[0] = y0;
    if (m == 2) {
        t[to] = y0 + y1;
        t[2 * to] = y0 - y1;
        t[3 * to] = y1;
        return;
    }
    const vf y2 = y[2 * from], y3 = y[3 * from];
    const vf even_a = vf_fma(vf_set(0.5f), y2, y0), odd_a = vf_fma(vf_set(0.5f), y3, y1);
    const vf even_b = vf_fma(vf_set(2.0f), y2, y0), odd_b = vf_fma(vf_set(2.0f), y3, y1);
    t[to] = vf_fma(vf_set(ROOT_HALF), odd_a, even_a);
    t[2 * to] = vf_fma(vf_set(-ROOT_HALF), odd_a, even_a);
    t[3 * to] = vf_fma(vf_set(ROOT_TWO), odd_b, even_b);
    t[4 * to] = vf_fma(vf_set(-ROOT_TWO), odd_b, even_b);
    t[5 * to] = y3;
}

/* dg = G^T u: n points to three weights. */
INLINE void winograd_weight_grad(const int m, const vf *u, const int from, vf *g, const int to)
{
    const vf plus = u[from] + u[2 * from], minus = u[from] - u[2 * from], half = vf_set(0.5f);
    if (m == 2) {
        g[0] = vf_fma(half, plus, u[0]);
        g[to] = half * minus;
        g[2 * to] = vf_fma(half, plus, u[3 * from]);
        return;
    }
    const vf plus_b = u[3 * from] + u[4 * from], minus_b = u[3 * from] - u[4 * from];
    g[0] = vf_fma(vf_set(-2.0f / 3), plus, vf_fma(vf_set(1.0f / 6), plus_b, u[0]));
    g[to] = vf_fma(vf_set(-ROOT_TWO / 3), minus, vf_set(ROOT_TWO / 6) * minus_b);
    g[2 * to] = vf_fma(vf_set(1.0f / 3), plus_b - plus, u[5 * from]);
}

typedef void winograd_1d(const int m, const vf *a, const int from, vf *b, const int to);

/* A square of `in` x `in` to one of `out` x `out`: columns first, then rows. */
INLINE void winograd_2d(winograd_1d *transform, const int m, const int in, const int out,
                        const vf *a, vf *b)
{
    vf half_way[WINOGRAD_POINTS];
    UNROLL for (int i = 0; i < in; i++) transform(m, a + i, in, half_way + i, in);
    UNROLL for (int i = 0; i < out; i++) transform(m, half_way + i * in, 1, b + i * out, 1);
}

/* Images cut into tiles of m x m pixels; the last ones may stick out. */
struct winograd_tiles {
    int m, rows, cols, count; /* in an image; count: of all images */
};

static inline struct winograd_tiles winograd_tiles(int m, int N, int H, int W)
{
    const int rows = (H + m - 1) / m, cols = (W + m - 1) / m;
    return (struct winograd_tiles){m, rows, cols, N * rows * cols};
}

/* Tile t is at (row, col), in tiles, of its image. */
static inline struct place winograd_place(const struct winograd_tiles *w, int t)
{
    const int col = t % w->cols, rest = t / w->cols;
    return (struct place){rest / w->rows, rest % w->rows, col};
}

/* Images [N,H,W,C] that squares of pixels are taken from; outside of them lie `zeros`,
 * at least C floats. */
struct winograd_image {
    const float *at, *zeros;
    int H, W, C;
};

/* Where the pixels of the side x side square at (row, col) of an image lie. */
static inline void winograd_pixels(const struct winograd_image *s, int image, int row, int col,
                                   int side, const float *pixels[])
{
    for (int i = 0; i < side; i++) {
        const int h = row + i;
        const bool inside = h >= 0 && h < s->H;
        const size_t line =
            ((size_t)image * (size_t)s->H + (size_t)(inside ? h : 0)) * (size_t)s->W;
        for (int j = 0; j < side; j++) {
            const int w = col + j;
            pixels[i * side + j] =
                inside && w >= 0 && w < s->W ? s->at + (line + (size_t)w) * (size_t)s->C : s->zeros;
        }
    }
}

/* Where the points of a tile go: channel c of point p is at[p * plane + c / GEMM_NR * group +
 * c % GEMM_NR]. With group = GEMM_NR that is a row of channels. */
struct winograd_points {
    float *at;
    size_t plane, group;
};

/* Transforms all channels of a square of pixels. Channels up to the next multiple of VF are
 * written too, as zeros. */
INLINE void winograd_scatter(winograd_1d *transform, const int m, const int side,
                             const float *const pixels[], int C, struct winograd_points to)
{
    const int n = m + 2;
    for (int c = 0, within = 0; c < C; c += VF) {
        const size_t left = (size_t)least(VF, C - c);
        vf d[WINOGRAD_POINTS], t[WINOGRAD_POINTS];
        UNROLL for (int i = 0; i < side; i++) UNROLL for (int j = 0; j < side; j++)
        {
            const float *const at = pixels[i * side + j] + c;
            d[i * side + j] = left == VF ? vf_load(at) : vf_load_n(at, left, 0.0f);
        }
        winograd_2d(transform, m, side, n, d, t);
        UNROLL for (int i = 0; i < n; i++) UNROLL for (int j = 0; j < n; j++)
            vf_store(to.at + (size_t)(i * n + j) * to.plane + within, t[i * n + j]);
        within += VF;
        if (within == GEMM_NR) {
            within = 0;
            to.at += to.group;
        }
    }
}

#endif
