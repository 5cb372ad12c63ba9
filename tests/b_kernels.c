/* b_kernels — what an element costs in the kernels that are not products.
 *
 *     b_kernels [PATTERN]        e.g. b_kernels 'tanh*'
 *
 * Nanoseconds and core cycles to an element, best of many rounds: in the first-level cache
 * (2048 floats) and from memory (4 Mi floats), on every instruction set here. A
 * cycle is measured as the time of one link in a chain of additions. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "kernels/kernels.h"

enum { SMALL = 2048, LARGE = 1 << 22, LANES_ROW = 28 * 6 * KN_LANES };

static struct {
    float *a, *b, *c, *d;
    uint8_t *bytes;
} mem;

/* A chain of 64 additions, none of which can be done before the last. */
#define LINK \
    x += 3;  \
    __asm__ volatile("" : "+r"(x));
#define LINKS(do)              \
    do                         \
        do                     \
            do                 \
                do             \
                    do         \
                        do     \
                            do \
                                do
static double cycle_ns(void)
{
    double best = 1e9;
    for (int r = 0; r < 20; r++) {
        uint64_t x = 1;
        const int64_t start = clock_ns();
        for (int i = 0; i < 10000; i++) {
            LINKS(LINKS(LINK))
        }
        const double ns = (double)(clock_ns() - start) / (64 * 10000);
        best = ns < best ? ns : best;
    }
    return best;
}

/* ---- what is measured: n elements each ---- */

static void run_add(size_t n) { kn->add_f32(n, mem.a, mem.b, mem.c); }
static void run_relu(size_t n) { kn->relu_f32(n, mem.a, mem.c); }
static void run_relu_grad(size_t n) { kn->relu_grad_f32(n, mem.a, mem.b, mem.c); }
static void run_exp(size_t n) { kn->exp_f32(n, mem.a, mem.c); }
static void run_log(size_t n) { kn->log_f32(n, mem.b, mem.c); }
static void run_tanh(size_t n) { kn->tanh_f32(n, 0.6666667f, 1.7159f, mem.a, mem.c); }
static void run_tanh_grad(size_t n) { kn->tanh_grad_f32(n, 0.66f, 1.7f, mem.a, mem.b, mem.c); }
static void run_sigmoid(size_t n) { kn->sigmoid_f32(n, mem.a, mem.c); }
static void run_gelu(size_t n) { kn->gelu_f32(n, mem.a, mem.c); }
static void run_gelu_grad(size_t n) { kn->gelu_grad_f32(n, mem.a, mem.b, mem.c); }
static void run_gelu_tanh(size_t n) { kn->gelu_tanh_f32(n, mem.a, mem.c); }
static void run_sum(size_t n) { mem.d[0] = kn->sum_f32(n, mem.a); }
static void run_max(size_t n) { mem.d[0] = kn->max_f32(n, mem.a); }
static void run_squares(size_t n) { mem.d[0] = (float)kn->sum_squares_f32(n, mem.a); }
static void run_softmax(size_t n) { kn->softmax_f32(n, mem.a, mem.c); }
static void run_softmax_10(size_t n)
{
    for (size_t i = 0; i + 10 <= n; i += 10)
        (void)kn->cross_entropy_grad_f32(10, mem.a + i, i % 10, 0.01f, mem.c + i);
}
static void run_add_channel_6(size_t n) { kn->add_channel_f32(n / 6, 6, 1, mem.a, mem.b, mem.c); }
static void run_sum_channel_6(size_t n) { kn->sum_channel_f32(n / 6, 6, 1, mem.a, mem.d); }
static void run_sum_channel_6x16(size_t n) { kn->sum_channel_f32(n / 96, 6, 16, mem.a, mem.d); }
static void run_sum_channel_512(size_t n) { kn->sum_channel_f32(n / 512, 512, 1, mem.a, mem.d); }
static void run_transpose_16(size_t n) { kn->transpose_f32(16, n / 16, mem.a, n / 16, mem.c, 16); }
static void run_transpose_back(size_t n)
{
    kn->transpose_f32(n / 16, 16, mem.a, 16, mem.c, n / 16);
}
static void run_transpose_64(size_t n) { kn->transpose_f32(64, n / 64, mem.a, n / 64, mem.c, 64); }
static void run_u8(size_t n) { kn->u8_to_f32(n, 1 / 255.0f, -0.5f, mem.bytes, mem.c); }
static void run_uniform(size_t n) { kn->uniform_f32(n, 0, 1, 2, 0, 1, mem.c); }
static void run_normal(size_t n) { kn->normal_f32(n, 0, 1, 2, 0, 1, mem.c); }
static void run_dropout(size_t n) { kn->dropout_f32(n, 0, 1, 2, 0.5f, mem.a, mem.c); }
static void run_sgd(size_t n)
{
    kn->sgd_f32(n, &(struct kn_sgd){1e-9f, 0.9f, 1e-4f, 1, false}, mem.a, mem.b, mem.c);
}
static void run_adam(size_t n)
{
    const struct kn_adam o = {1e-9f, 0.9f, 0.999f, 1e-8f, 0, 1, 0.5f, 0.5f, false};
    kn->adam_f32(n, &o, mem.a, mem.b, mem.c, mem.d);
}

/* LeNet-5's S2 in the lanes layout: elements are those of the input. */
static struct kn_pool halving(size_t n)
{
    const int H = n == SMALL ? 2 : (int)(n / LANES_ROW) & ~1;
    return (struct kn_pool){1, H, 28, 6 * KN_LANES, 2, 2, 2, 0, H / 2, 14};
}
static void run_max_pool(size_t n)
{
    const struct kn_pool p = halving(n);
    kn->max_pool_f32(&p, 0, (size_t)p.OH, mem.a, mem.c);
}
static void run_max_pool_grad(size_t n)
{
    const struct kn_pool p = halving(n);
    kn->max_pool_grad_f32(&p, 0, 1, mem.a, mem.b, mem.d, mem.c);
}
static void run_sum_pool(size_t n)
{
    const struct kn_pool p = halving(n);
    kn->sum_pool_f32(&p, 0.25f, 0, (size_t)p.OH, mem.a, mem.c);
}
static void run_max_pool_3x3(size_t n)
{
    struct kn_pool p = halving(n);
    p.kernel_h = p.kernel_w = 3;
    p.pad = 1;
    kn->max_pool_f32(&p, 0, (size_t)p.OH, mem.a, mem.c);
}

static const struct {
    const char *name;
    void (*run)(size_t n);
} kernels[] = {
    {"add", run_add},
    {"relu", run_relu},
    {"relu_grad", run_relu_grad},
    {"exp", run_exp},
    {"log", run_log},
    {"tanh", run_tanh},
    {"tanh_grad", run_tanh_grad},
    {"sigmoid", run_sigmoid},
    {"gelu", run_gelu},
    {"gelu_grad", run_gelu_grad},
    {"gelu_tanh", run_gelu_tanh},
    {"sum", run_sum},
    {"max", run_max},
    {"sum_squares", run_squares},
    {"softmax", run_softmax},
    {"cross_entropy_grad 10", run_softmax_10},
    {"add_channel 6", run_add_channel_6},
    {"sum_channel 6", run_sum_channel_6},
    {"sum_channel 6x16", run_sum_channel_6x16},
    {"sum_channel 512", run_sum_channel_512},
    {"transpose 16xF", run_transpose_16},
    {"transpose Fx16", run_transpose_back},
    {"transpose 64xF", run_transpose_64},
    {"u8_to_f32", run_u8},
    {"uniform", run_uniform},
    {"normal", run_normal},
    {"dropout", run_dropout},
    {"sgd momentum", run_sgd},
    {"adam", run_adam},
    {"max_pool 2x2", run_max_pool},
    {"max_pool_grad 2x2", run_max_pool_grad},
    {"sum_pool 2x2", run_sum_pool},
    {"max_pool 3x3 pad", run_max_pool_3x3},
};

static double best_ns(void (*run)(size_t n), size_t n)
{
    double best = 1e18;
    const int repeats = (int)(LARGE / n) < 16 ? 1 : 16;
    for (int r = 0; r < (n == SMALL ? 200 : 7); r++) {
        const int64_t start = clock_ns();
        for (int i = 0; i < repeats; i++)
            run(n);
        const double ns = (double)(clock_ns() - start) / repeats / (double)n;
        best = ns < best ? ns : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    const char *const pattern = argc > 1 ? argv[1] : "*";
    float **const blocks[] = {&mem.a, &mem.b, &mem.c, &mem.d};
    for (size_t i = 0; i < 4; i++)
        *blocks[i] =
            (float *)mem_map((LARGE + 4096) * sizeof(float)) + i * 272; /* not 4 KiB apart */
    mem.bytes = mem_map(LARGE);
    for (size_t i = 0; i < LARGE; i++) {
        mem.a[i] = (float)(i % 1009) / 100 - 5;
        mem.b[i] = mem.c[i] = mem.d[i] = (float)(i % 997) / 100 + 0.01f;
    }
    printf("%-8s %-22s %9s %9s %9s\n", "isa", "kernel", "ns", "cycles", "ns large");
    for (int t = 0; kn_tables[t]; t++) {
        if (!kn_runs_here(kn_tables[t]) || !kn_init(kn_tables[t]->isa, NULL))
            continue;
        for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++) {
            if (!text_matches(pattern, kernels[k].name))
                continue;
            const double small = best_ns(kernels[k].run, SMALL);
            printf("%-8s %-22s %9.4f %9.3f %9.4f\n", kn->isa, kernels[k].name, small,
                   small / cycle_ns(), best_ns(kernels[k].run, LARGE));
        }
    }
    return 0;
}
