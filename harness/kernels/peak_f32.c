/* peak_f32, triad_f32 — what the machine can do: the ceilings that every other kernel is
 * held against. Nothing is computed that anybody wants.
 *
 * peak_f32: twelve independent chains of fused multiply-adds, more than latency times
 * throughput of every core that we know (4 x 2), few enough for sixteen registers.
 * Returns the operations done, 2 a lane and multiply-add; the result goes to *sink,
 * so that no compiler can do without it.
 *
 * triad_f32: y = a x + z, McCalpin's STREAM triad, with ordinary stores. */
#include "kernels/kernel.h"

enum { CHAINS = 12 };

double KN(peak_f32)(size_t rounds, float *sink)
{
    vf chain[CHAINS];
    for (int i = 0; i < CHAINS; i++)
        chain[i] = vf_set(*sink + (float)i);
    const vf shrink = vf_set(0.999f), add = vf_set(1e-3f);
    for (size_t r = 0; r < rounds; r++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++)
            chain[i] = vf_fma(chain[i], shrink, add);
    vf sum = chain[0];
    for (int i = 1; i < CHAINS; i++)
        sum = sum + chain[i];
    *sink = vf_sum(sum);
    return 2.0 * CHAINS * VF * (double)rounds;
}

void KN(triad_f32)(size_t n, float a, const float *x, const float *z, float *y)
{
    const vf factor = vf_set(a);
    size_t i = 0;
    for (; i + VF <= n; i += VF)
        vf_store(y + i, vf_fma(factor, vf_load(x + i), vf_load(z + i)));
    vf_store_n(y + i, vf_fma(factor, vf_load_n(x + i, n - i, 0.0f), vf_load_n(z + i, n - i, 0.0f)),
               n - i);
}
