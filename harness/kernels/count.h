/* count.h — floating-point operations, counted by the kernels as they run.
 *
 * kn_count(true) lets kn point to a table whose entries add the FLOPs of the call to
 * kn_flops, computed from its arguments (costs.def), and then call the kernel that
 * kn pointed to before. Results are the same bits. The convention of costs.def and of
 * the ops' formulas is one:
 *
 *   an addition, multiplication, comparison, division, square root, exponential, logarithm,
 *   hyperbolic tangent or error function is one FLOP; a multiply-add is two (2 MAC);
 *   a sum of n numbers is n - 1 additions, but a multiply-add of a matrix product or
 *   convolution always counts whole, and so do its taps that fall on padding;
 *   copying, transposing and drawing random numbers are none. A convolution by minimal
 *   filtering (conv_winograd.h) counts what the direct one would do: its rates are effective.
 *
 * Kernels that take a crew are counted once, on thread 0. */
#ifndef COUNT_H
#define COUNT_H

#include <stdbool.h>

/* Counted on this thread since it was last set to 0. Operations that ops compute themselves,
 * without a kernel, they add here. */
extern _Thread_local double kn_flops;

/* Between steps only: kn must not change under a thread that computes. */
void kn_count(bool on);

#endif
