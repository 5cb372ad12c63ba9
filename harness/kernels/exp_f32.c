/* exp_f32, log_f32 — y = e^x, y = log x. Bounds: vec_math.h. */
#include "kernels/kernel.h"

#include "kernels/each.h"
#include "kernels/vec_math.h"

void KN(exp_f32)(size_t n, const float *x, float *y) { EACH(n, y, vf_exp(AT(x))); }

void KN(log_f32)(size_t n, const float *x, float *y) { EACH(n, y, vf_log(AT(x))); }
