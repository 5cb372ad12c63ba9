/* gemm_finish — what becomes of a tile of sums on its way to C (struct kn_epilogue). */
#include "kernels/gemm_core.h"

static vf load(const float *p, size_t n) { return n == VF ? vf_load(p) : vf_load_n(p, n, 0.0f); }

static void store(float *p, vf v, size_t n)
{
    if (n == VF)
        vf_store(p, v);
    else
        vf_store_n(p, v, n);
}

/* The functions that are more than a vector instruction are those of the table, so
 * that a fused layer has the bits of an unfused one. */
static void activate(const struct kn_epilogue *e, size_t n, float *c)
{
    const float inner = e->inner != 0.0f ? e->inner : 1.0f,
                outer = e->outer != 0.0f ? e->outer : 1.0f;
    if (e->act == KN_ACT_TANH)
        KN(tanh_f32)(n, inner, outer, c, c);
    else if (e->act == KN_ACT_SIGMOID)
        KN(sigmoid_f32)(n, c, c);
}

static void times_derivative(const struct kn_epilogue *e, size_t n, const float *y, float *c)
{
    const float inner = e->inner != 0.0f ? e->inner : 1.0f,
                outer = e->outer != 0.0f ? e->outer : 1.0f;
    if (e->grad == KN_ACT_RELU)
        KN(relu_grad_f32)(n, y, c, c);
    else if (e->grad == KN_ACT_TANH)
        KN(tanh_grad_f32)(n, inner, outer, y, c, c);
    else if (e->grad == KN_ACT_SIGMOID)
        KN(sigmoid_grad_f32)(n, y, c, c);
}

void KN(gemm_finish)(const struct kn_epilogue *e, int i, int rows, int j, int cols, const float *t,
                     size_t ldt, float *c, size_t ldc)
{
    const size_t ldr = e->ld_residual ? e->ld_residual : ldc, ldy = e->ld_y ? e->ld_y : ldc;
    const size_t n = (size_t)cols;
    for (int r = 0; r < rows; r++, t += ldt) {
        const size_t row = (size_t)i + (size_t)r, col = (size_t)j;
        float *to = c + row * ldc + col;
        for (size_t k = 0; k < n; k += VF) {
            const size_t left = n - k < VF ? n - k : VF;
            vf v = load(t + k, left);
            if (e->accumulate)
                v = v + load(to + k, left);
            if (e->bias)
                v = v + load(e->bias + col + k, left);
            if (e->residual)
                v = v + load(e->residual + row * ldr + col + k, left);
            if (e->act == KN_ACT_RELU)
                v = vf_max(vf_set(0.0f), v);
            store(to + k, v, left);
        }
        activate(e, n, to);
        times_derivative(e, n, e->y + row * ldy + col, to);
    }
}
