/* gemm_finish — what becomes of a tile of sums on its way to C (struct kn_epilogue). */
#include "kernels/gemm_core.h"
#include "kernels/gemm_unroll.h"
#include "kernels/vec_math.h"

static vf load(const float *p, size_t n) { return n == VF ? vf_load(p) : vf_load_n(p, n, 0.0f); }

static void store(float *p, vf v, size_t n)
{
    if (n == VF)
        vf_store(p, v);
    else
        vf_store_n(p, v, n);
}

/* The functions that are more than some vector instructions are those of the table, so
 * that a fused layer has the bits of an unfused one. */
static bool is_function(int act) { return act == KN_ACT_TANH || act == KN_ACT_SIGMOID; }

static void activate(const struct kn_epilogue *e, size_t n, float *c)
{
    const float inner = e->inner != 0.0f ? e->inner : 1.0f,
                outer = e->outer != 0.0f ? e->outer : 1.0f;
    if (e->act == KN_ACT_TANH)
        KN(tanh_f32)(n, inner, outer, c, c);
    else
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
    else
        KN(sigmoid_grad_f32)(n, y, c, c);
}

/* What is to be done to a tile, for the compiler to know: some tiles are so small that asking again
 * and again takes longer. */
enum { ACCUMULATE = 1, BIAS = 2, RESIDUAL = 4, RELU = 8, RELU_GRAD = 16 };

INLINE void finish_rows(const int form, int rows, size_t n, const float *t, size_t ldt,
                        struct gemm_ahead at, const float *bias)
{
    float *c = at.c;
    for (int r = 0; r < rows; r++, t += ldt, c += at.ld_c) {
        for (size_t k = 0; k < n; k += VF) {
            const size_t left = n - k < VF ? n - k : VF;
            vf v = load(t + k, left);
            if (form & ACCUMULATE)
                v = v + load(c + k, left);
            if (form & BIAS)
                v = v + load(bias + k, left);
            if (form & RESIDUAL)
                v = v + load(at.residual + k, left);
            if (form & RELU)
                v = vf_max(vf_set(0.0f), v);
            if (form & RELU_GRAD)
                v = v * vf_step(load(at.y + k, left));
            store(c + k, v, left);
        }
        at.residual += at.ld_residual;
        at.y += at.ld_y;
    }
}

static void functions(const struct kn_epilogue *e, int rows, size_t n, struct gemm_ahead at)
{
    for (int r = 0; r < rows; r++, at.c += at.ld_c, at.y += at.ld_y) {
        if (is_function(e->act))
            activate(e, n, at.c);
        if (e->grad)
            times_derivative(e, n, at.y, at.c);
    }
}

/* clang-format off */
#define CASE(form) case form: finish_rows(form, rows, (size_t)cols, t, ldt, at, bias); break;
#define EIGHT(form) CASE(form) CASE(form + 1) CASE(form + 2) CASE(form + 3) \
                    CASE(form + 4) CASE(form + 5) CASE(form + 6) CASE(form + 7)
/* clang-format on */

struct gemm_ahead KN(gemm_finish_ahead)(const struct kn_epilogue *e, int i, int rows, int j,
                                        float *c, size_t ldc)
{
    const size_t ldr = e->ld_residual ? e->ld_residual : ldc, ldy = e->ld_y ? e->ld_y : ldc;
    const size_t row = (size_t)i, col = (size_t)j;
    struct gemm_ahead a = {.c = c + row * ldc + col, .ld_c = ldc, .rows = rows};
    a.residual = e->residual ? e->residual + row * ldr + col : a.c;
    a.ld_residual = e->residual ? ldr : ldc;
    a.y = e->grad ? e->y + row * ldy + col : a.c;
    a.ld_y = e->grad ? ldy : ldc;
    return a;
}

void KN(gemm_finish)(const struct kn_epilogue *e, int i, int rows, int j, int cols, const float *t,
                     size_t ldt, float *c, size_t ldc)
{
    const struct gemm_ahead at = KN(gemm_finish_ahead)(e, i, rows, j, c, ldc);
    const bool relu_grad = e->grad == KN_ACT_RELU && !is_function(e->act);
    const int form = (e->accumulate ? ACCUMULATE : 0) | (e->bias ? BIAS : 0) |
                     (e->residual ? RESIDUAL : 0) | (e->act == KN_ACT_RELU ? RELU : 0) |
                     (relu_grad ? RELU_GRAD : 0);
    const float *const bias = e->bias ? e->bias + j : NULL;
    switch (form) {
        EIGHT(0) EIGHT(8) EIGHT(16) EIGHT(24)
    }
    if (is_function(e->act) || (e->grad && !relu_grad))
        functions(e, rows, (size_t)cols, at);
}
