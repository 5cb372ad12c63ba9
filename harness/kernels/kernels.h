/* kernels.h — the compute kernels of the best instruction set at hand.
 *
 *     kn_init(NULL, &err);
 *     kn->relu_f32(n, x, y);
 *
 * Kernels are leaves: they allocate nothing, cannot fail and take no locks. All
 * use one thread but gemm and conv, which take a crew (base/crew.h) and split
 * the work themselves. Sizes are in elements. Outputs may equal inputs but not
 * overlap them otherwise. Pointers need no alignment; 64 bytes is fastest.
 * A result may differ between instruction sets by rounding only (each file says
 * by how much) and never depends on the number of threads. NaN passes through.
 */
#ifndef KERNELS_H
#define KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/crew.h"
#include "base/err.h"
#include "kernels/attend.h"
#include "kernels/conv.h"
#include "kernels/gemm.h"
#include "kernels/recurrent.h"

/* In the lanes layout a rank-4 tensor [N,C,H,W] is stored as [N/16][H][W][C][16]:
 * sixteen images side by side, one to a vector lane, for layers with too few
 * channels to fill a vector. It is also an NHWC tensor of N/16 images with 16 C
 * channels, which is why pooling and elementwise kernels need not know. */
enum { KN_LANES = 16 };

/* A window over [N,H,W,C] -> [N,OH,OW,C]; C counts lanes too. Padding is left out
 * of maxima and adds nothing to sums. */
struct kn_pool {
    int N, H, W, C, kernel_h, kernel_w, stride, pad, OH, OW;
};

/* Rows of C channels, each a run of `lanes` floats, to be normalised: batch_norm_f32.c says which
 * pass reads which; a pass leaves the others NULL. All [C]. */
struct kn_norm {
    size_t rows, C, lanes;
    int act; /* enum kn_act: NONE, RELU or SILU */
    const float *a, *b, *mean, *q, *s;
    size_t ld_y, ld_dy; /* floats from row to row of norm's y; of dy; 0: dense, C lanes */
};

/* Local response normalisation over C channels: y = x (k + alpha/size sum x^2)^-beta, the sum over
 * `size` channels around each; size is at most KN_LRN_MOST. */
enum { KN_LRN_MOST = 32 };
struct kn_lrn {
    int C, size;
    float alpha, beta, k;
};

/* v = momentum v + (g clip + weight_decay w); w -= rate v. Sutskever et al. 2013 in
 * PyTorch's form; nesterov steps along g + momentum v. */
struct kn_sgd {
    float rate, momentum, weight_decay, clip; /* clip scales the gradient; 1 for none */
    bool nesterov;
};

/* Adam: Kingma & Ba 2015; decoupled decay (AdamW): Loshchilov & Hutter 2019. */
struct kn_adam {
    float rate, beta1, beta2, epsilon, weight_decay, clip;
    float correction1, correction2; /* 1 - beta^t */
    bool decoupled;
};

enum { KN_HOW = 48 };

struct kn_table {
    const char *isa; /* "scalar", "avx2", "avx512", "neon" */
    int lanes;       /* floats per vector */
    /* The algorithm that its gemm or conv (pass: enum in conv.h) takes for a problem, for people:
     * "tiles swapped 2x1", "dots 1x2", "few rows 1x2", "implicit gemm", "direct". RxC are threads
     * down the rows and across the columns. Pointers are not looked at. */
    void (*gemm_how)(const struct kn_gemm *g, int threads, char how[KN_HOW]);
    void (*conv_how)(const struct kn_conv *c, int pass, char how[KN_HOW]);
    /* Pieces of the moments that conv_f32 can leave (conv.h), or 0. */
    size_t (*conv_pieces)(const struct kn_conv *c);
#define KERNEL(type, name, params) type(*name) params;
#include "kernels/kernels.def"
#undef KERNEL
};

extern const struct kn_table *kn;

/* Choose the table named `isa`, or the best one if NULL ($BENCH_ISA counts as
 * the name then). False, and nothing changes, if it is unknown or this CPU or its
 * operating system cannot run it. Call once before any other thread starts;
 * tests call it once per instruction set. */
bool kn_init(const char *isa, struct err *err);

/* All tables of this build, widest first, NULL-terminated. */
extern const struct kn_table *const kn_tables[];

/* True if this CPU and its operating system run the table. */
bool kn_runs_here(const struct kn_table *t);

/* Cache sizes in bytes as probed (sysfs, then sysconf, then 32 K, 1 M, 8 M). */
struct kn_caches {
    size_t l1d, l2, l3;
};
const struct kn_caches *kn_caches(void);

#endif
