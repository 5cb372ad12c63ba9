/* peak.h — the fused multiply-adds that this machine can do, for benchmarks to
 * compare themselves with. */
#ifndef PEAK_H
#define PEAK_H

#include "base/clock.h"
#include "base/crew.h"

enum { PEAK_CHAINS = 12, PEAK_STEPS = 4096, PEAK_ROUNDS = 200 };

#if defined __x86_64__
#include <immintrin.h>

__attribute__((target("avx512f"))) static inline double peak_run_avx512(void)
{
    __m512 sum[PEAK_CHAINS], a = _mm512_set1_ps(0.5f);
    for (int c = 0; c < PEAK_CHAINS; c++)
        sum[c] = _mm512_set1_ps((float)c);
    for (int i = 0; i < PEAK_STEPS; i++) {
#pragma GCC unroll 12
        for (int c = 0; c < PEAK_CHAINS; c++)
            sum[c] = _mm512_fmadd_ps(sum[c], a, a);
    }
    for (int c = 1; c < PEAK_CHAINS; c++)
        sum[0] = _mm512_add_ps(sum[0], sum[c]);
    volatile float sink = _mm512_reduce_add_ps(sum[0]);
    (void)sink;
    return 2.0 * 16 * PEAK_CHAINS * PEAK_STEPS;
}

__attribute__((target("avx2,fma"))) static inline double peak_run_avx2(void)
{
    __m256 sum[PEAK_CHAINS], a = _mm256_set1_ps(0.5f);
    for (int c = 0; c < PEAK_CHAINS; c++)
        sum[c] = _mm256_set1_ps((float)c);
    for (int i = 0; i < PEAK_STEPS; i++) {
#pragma GCC unroll 12
        for (int c = 0; c < PEAK_CHAINS; c++)
            sum[c] = _mm256_fmadd_ps(sum[c], a, a);
    }
    for (int c = 1; c < PEAK_CHAINS; c++)
        sum[0] = _mm256_add_ps(sum[0], sum[c]);
    volatile float sink = _mm256_cvtss_f32(sum[0]);
    (void)sink;
    return 2.0 * 8 * PEAK_CHAINS * PEAK_STEPS;
}

static inline double peak_run(void)
{
    return __builtin_cpu_supports("avx512f") ? peak_run_avx512() : peak_run_avx2();
}
#elif defined __aarch64__
#include <arm_neon.h>

static inline double peak_run(void)
{
    float32x4_t sum[PEAK_CHAINS], a = vdupq_n_f32(0.5f);
    for (int c = 0; c < PEAK_CHAINS; c++)
        sum[c] = vdupq_n_f32((float)c);
    for (int i = 0; i < PEAK_STEPS; i++) {
#pragma GCC unroll 12
        for (int c = 0; c < PEAK_CHAINS; c++)
            sum[c] = vfmaq_f32(a, sum[c], a);
    }
    for (int c = 1; c < PEAK_CHAINS; c++)
        sum[0] = vaddq_f32(sum[0], sum[c]);
    volatile float sink = vaddvq_f32(sum[0]);
    (void)sink;
    return 2.0 * 4 * PEAK_CHAINS * PEAK_STEPS;
}
#endif

static inline void peak_work(void *arg, const struct crew *crew)
{
    double *best = arg;
    for (int i = 0; i < PEAK_ROUNDS; i++) {
        crew_wait(crew);
        const int64_t start = clock_ns();
        const double flops = peak_run();
        crew_wait(crew);
        const double rate = flops * crew->threads / (double)(clock_ns() - start);
        if (crew->thread == 0 && rate > *best)
            *best = rate;
    }
}

/* GFLOP/s of `threads` threads together, the best of many rounds. */
static inline double peak_gflops(int threads)
{
    double best = 0;
    crew_run(threads, peak_work, &best);
    return best;
}

#endif
