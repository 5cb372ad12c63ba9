/* u8_to_f32 — y = scale x + offset from bytes, rounded once: images as they are in
 * data sets become inputs of zero mean on their way into the batch. */
#include "kernels/kernel.h"

#include "kernels/each.h"

void KN(u8_to_f32)(size_t n, float scale, float offset, const uint8_t *x, float *y)
{
    const vf a = vf_set(scale), b = vf_set(offset);
    size_t i = 0;
    for (; i + VF <= n; i += VF)
        vf_store(y + i, vf_fma(a, vf_load_u8(x + i), b));
    if (i < n) {
        uint8_t rest[VF] = {0};
        memcpy(rest, x + i, n - i);
        vf_store_n(y + i, vf_fma(a, vf_load_u8(rest), b), n - i);
    }
}
