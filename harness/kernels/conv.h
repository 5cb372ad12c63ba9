/* conv.h — two-dimensional convolution (cross-correlation, as networks do it)
 *
 *   y[n,o,i,j] = sum_{c,u,v} w[o,c,u,v] x[n,c, i*stride + u - pad, j*stride + v - pad]
 *
 * as implicit matrix multiply over NHWC images: rows are output pixels, the inner
 * dimension runs over (u,v,c), and panels come straight from the image rows; there
 * is no im2col buffer (conv_nhwc_f32.c, conv_lines_f32.c). With `lanes` the images
 * are in the lanes layout of kernels.h and direct kernels run with one image to a
 * vector lane (conv_lanes_f32.c), for layers of few channels; N is a multiple of 16.
 *
 * Groups are convolutions side by side (conv_group_f32.c); with one channel each they have kernels
 * of their own (conv_depthwise_f32.c, conv_depthwise_grad_f32.c).
 *
 * In memory:  x [N,H,W,C]   y [N,OH,OW,O]   w [O,KH,KW,C]   (lanes: x [N/16,H,W,C,16], w alike);
 * with groups w is [O,KH,KW,C/groups]. */
#ifndef CONV_H
#define CONV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kn_conv {
    int N, H, W, C; /* images in; N counts images in the lanes layout too */
    int O, OH, OW;  /* OH = (H + 2 pad - KH) / stride + 1 */
    int KH, KW, stride, pad;
    int groups; /* 0 or 1: none; else output o reads the C / groups inputs of its own group only,
                 * group o / (O / groups). NHWC, no mask. groups = C = O: depthwise. */
    int algo;   /* enum conv_algo; one that does not apply here leaves CONV_DIRECT */
    bool lanes;
    const uint8_t *mask; /* [O][C], 0 where w is fixed at 0 (LeNet-5's Table I); NULL: all
                          * connected. What w holds there does not matter, and
                          * conv_grad_weight_f32 writes exact zeros. */
    size_t ld_y; /* floats from pixel to pixel of the forward pass's y; 0: O. Else conv_has_ld_y()
                  * must hold, and e has neither residual nor y. */
};

static inline int conv_groups(const struct kn_conv *c) { return c->groups > 1 ? c->groups : 1; }

/* Can the forward pass leave room between the pixels of y? */
static inline bool conv_has_ld_y(const struct kn_conv *c)
{
    return !c->lanes && conv_groups(c) == 1;
}

/* Minimal filtering, Winograd F(2x2,3x3) and F(4x4,3x3), applies to 3 x 3 kernels of stride 1 with
 * padding 0 to 2, NHWC, without groups and mask; conv_winograd_f32.c has its error bound. CONV_AUTO
 * chooses by shape and pass (conv_f32.c), never by threads. */
enum conv_algo { CONV_AUTO, CONV_DIRECT, CONV_WINOGRAD_2, CONV_WINOGRAD_4 };
extern const char *const kn_conv_algos[]; /* "auto", …, NULL */

/* The algorithm of that name; CONV_AUTO for NULL, -1 if there is none. */
int kn_conv_algo(const char *name);

/* Moments of y for a batch normalisation behind it, made while y is in the caches. Rows (pixels) of
 * y fall into kn->conv_pieces(c) pieces that follow from the shape alone; 0: the way that this
 * convolution goes makes none. A piece of n rows leaves for each column (channel, and its lanes)
 *     shift = its first row    sum = sum (y - shift)    squares = sum (y - shift)^2
 * at e->moments: n of every piece, then [pieces][KN_MOMENTS][columns], whatever e does to y. */
enum { KN_MOMENTS = 3 };

static inline size_t kn_moments_counts(size_t pieces) { return (pieces + 15) / 16 * 16; }
static inline size_t kn_moments_floats(size_t pieces, size_t columns)
{
    return kn_moments_counts(pieces) + pieces * KN_MOMENTS * columns;
}

enum { CONV_FORWARD, CONV_GRAD_DATA, CONV_GRAD_WEIGHT };

/* The table's entries (kernels.def):
 * conv_work_f32(c, pass, threads)  bytes of scratch for that pass, 64-byte aligned.
 * conv_f32(c, e, crew, x, w, y, work)             y = e(conv(x, w)); e->bias is [O]
 * conv_grad_data_f32(c, e, crew, dy, w, dx, work) dx = e(conv^T(dy, w)); e's columns are C
 * conv_grad_weight_f32(c, crew, x, dy, dw, work)  dw = sum over images and pixels, in an order that
 *                                                 does not depend on the number of threads
 * e may be NULL: nothing to do; its residual and y have the output's layout, their ld are 0.
 * Every thread of the crew calls with equal arguments; results are complete after crew_wait(). */

#endif
