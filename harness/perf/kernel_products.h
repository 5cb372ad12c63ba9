/* kernel_products.h — shared by kernel_calls.c and kernel_products.c only. */
#ifndef KERNEL_PRODUCTS_H
#define KERNEL_PRODUCTS_H

#include "perf/kernel_cases.h"

#define RUN(name, call)                                                         \
    static void run_##name(const struct kernel_job *j, const struct crew *crew) \
    {                                                                           \
        (void)crew;                                                             \
        call;                                                                   \
    }

/* Kernels that return a size leave it in a float, for the compiler not to drop the call. */
static inline void floats_sink(const int *d, size_t n[])
{
    (void)d;
    n[0] = 1;
}

extern const struct kernel_call call_gemm_work_f32, call_gemm_f32, call_gemm_packed_f32,
    call_gemm_pack_f32, call_conv_work_f32, call_conv_f32, call_conv_grad_data_f32,
    call_conv_grad_weight_f32, call_norm_moments_f32, call_norm_f32, call_norm_sums_f32,
    call_norm_grad_f32, call_recurrent_work_f32, call_recurrent_f32, call_recurrent_grad_f32,
    call_attend_work_f32, call_attend_f32, call_attend_grad_f32;

#endif
