/* t_kernel_cases — every kernel of kernels.def has cases and a truth to be held against; the bench
 * measures by both timers, sees operands of the size it counts, and calls a wrong result wrong. */
#include "perf/bench_kernel.h"
#include "tests/tap.h"

static void test_coverage(void)
{
    static int cases[KERNELS], small[KERNELS];
    int strange = 0;
    for (int i = 0; i < kernel_cases_count; i++) {
        const struct kernel_case *c = &kernel_cases[i];
        cases[c->kernel]++;
        small[c->kernel] += c->seen != CASE_LARGE;
        strange += c->seen == NULL || c->form == NULL || c->d[0] < 1;
    }
    for (int k = 0; k < KERNELS; k++)
        if (!cases[k] || !small[k] || !kernel_calls[k]->run)
            ok(false, "%s has %d cases, %d of them for --quick", kernel_names[k], cases[k],
               small[k]);
    ok(strange == 0, "every case has a shape and says who asks for it");
    int truths = 0;
    for (int k = 0; k < KERNELS; k++)
        truths += kernel_calls[k]->want != NULL;
    is_int(truths, KERNELS - 5, "all but the five that return sizes have a truth");
}

static void test_names(void)
{
    char a[CASE_TEXT], b[CASE_TEXT];
    int twins = 0, longest = 0;
    for (int i = 0; i < kernel_cases_count; i++) {
        case_name(&kernel_cases[i], 64, a);
        longest = (int)strlen(a) > longest ? (int)strlen(a) : longest;
        for (int j = 0; j < i; j++)
            if (strcmp(a, case_name(&kernel_cases[j], 64, b)) == 0 && ++twins)
                printf("# twice: %s\n", a);
    }
    is_int(twins, 0, "no case is there twice");
    ok(longest < CASE_TEXT - 16, "names are not cut");
    const struct kernel_case gemm = {KERNEL_gemm_f32, "NT", {128, 512, 784}, "test"};
    is_str(case_name(&gemm, 2, a), "gemm_f32/NT/128x512x784/t2", "a case's name");
    ok(case_matches(&gemm, 2, "gemm_f32") && case_matches(&gemm, 2, "gemm*784/t2") &&
           !case_matches(&gemm, 1, "*/t2") && !case_matches(&gemm, 1, "NT"),
       "patterns take the kernel's name or the whole");
    is_near(case_bytes(&gemm), 4.0 * (128 * 784 + 512 * 784 + 128 * 512), 0, "bytes of a product");
    const struct kernel_case sgd = {KERNEL_sgd_f32, "", {1000}, "test"};
    is_near(case_bytes(&sgd), 20000, 0, "updated operands count twice");
    struct text json = {0};
    case_json(&gemm, &json);
    is_str(text_str(&json), "\"M\":128,\"N\":512,\"K\":784", "a case's numbers");
    text_release(&json);
}

/* Small shapes of every form, so that all of it runs under sanitizers too. */
static const struct kernel_case trials[] = {
    {KERNEL_gemm_f32, "NN", {17, 33, 19}, ""},
    {KERNEL_gemm_f32, "NT", {17, 33, 19}, ""},
    {KERNEL_gemm_f32, "TN", {17, 33, 19}, ""},
    {KERNEL_gemm_f32, "NT+bias+relu", {17, 33, 19, EPILOGUE_RELU}, ""},
    {KERNEL_gemm_f32, "NN+tanh_grad", {17, 33, 19, EPILOGUE_TANH_GRAD}, ""},
    {KERNEL_gemm_pack_f32, "NT", {32, 64, 48}, ""},
    {KERNEL_conv_f32, "nhwc", {3, 9, 8, 3, 5, 3, 2, 1}, ""},
    {KERNEL_conv_grad_data_f32, "nhwc", {3, 9, 8, 3, 5, 3, 2, 1}, ""},
    {KERNEL_conv_grad_weight_f32, "lanes", {16, 9, 8, 3, 5, 3, 1, 1}, ""},
    {KERNEL_conv_grad_data_f32, "lanes", {16, 9, 8, 3, 5, 3, 1, 1}, ""},
    {KERNEL_max_pool_grad_f32, "", {2, 7, 6, 5, 3, 2, 1}, ""},
    {KERNEL_sum_pool_grad_f32, "", {2, 7, 6, 5, 3, 2, 1}, ""},
    {KERNEL_transpose_f32, "", {2, 17, 5}, ""},
    {KERNEL_adam_f32, "", {131}, ""},
    {KERNEL_axpy_f32, "", {131}, ""},
    {KERNEL_gelu_tanh_grad_f32, "", {131}, ""},
    {KERNEL_cross_entropy_grad_f32, "", {7, 10}, ""},
    {KERNEL_argmax_f32, "", {7, 10}, ""},
    {KERNEL_affine_channel_f32, "", {5, 6, 16}, ""},
    {KERNEL_norm_moments_f32, "", {37, 6, 1}, ""},
    {KERNEL_norm_f32, "silu", {5, 6, 16}, ""},
    {KERNEL_norm_sums_f32, "silu", {37, 24, 1}, ""},
    {KERNEL_norm_grad_f32, "relu", {37, 24, 1}, ""},
    {KERNEL_u8_to_f32, "", {131}, ""},
    {KERNEL_dropout_f32, "", {131}, ""},
    {KERNEL_recurrent_f32, "rnn", {5, 4, 19, 1}, ""},
    {KERNEL_recurrent_f32, "lstm", {5, 4, 19, 4}, ""},
    {KERNEL_recurrent_f32, "gru", {17, 3, 35, 3}, ""},
    {KERNEL_recurrent_f32, "lstm+attend", {9, 4, 19, 4, 5}, ""},
    {KERNEL_recurrent_grad_f32, "lstm+attend", {17, 3, 35, 4, 6}, ""},
    {KERNEL_recurrent_grad_f32, "rnn", {5, 4, 19, 1}, ""},
    {KERNEL_recurrent_grad_f32, "lstm", {17, 3, 35, 4}, ""},
    {KERNEL_attend_f32, "tanh", {5, 4, 7, 19, 33}, ""},
    {KERNEL_attend_f32, "dot", {5, 4, 7, 19, 33}, ""},
    {KERNEL_attend_grad_f32, "tanh", {5, 4, 7, 19, 33}, ""},
    {KERNEL_attend_grad_f32, "dot", {5, 4, 7, 19, 33}, ""},
    {KERNEL_gemm_work_f32, "NN", {17, 33, 19}, ""},
};

static void test_measuring(const struct bench_timer *timer)
{
    const struct bench_setting set = {.timer = timer, .min_s = 2e-5, .repeats = 3, .no_roof = true};
    int wrong = 0, untimed = 0;
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
        struct bench_result r;
        char name[CASE_TEXT];
        bench_kernel(&trials[i], 1 + (int)(i % 2) * kernel_calls[trials[i].kernel]->crew, &set, &r);
        if (r.failed && ++wrong)
            printf("# %s: %g of its bound\n", case_name(r.c, r.threads, name), r.of_bound);
        for (int t = 0; t < BENCH_TEMPERATURES; t++)
            untimed += !(r.at[t].time.n == 3 && r.at[t].time.least > 0 && r.at[t].rate > 0 &&
                         r.at[t].time.least <= r.at[t].time.median && r.at[t].time.calls > 0);
    }
    is_int(wrong, 0, "%s: %s: all within their bounds", kn->isa, timer->said);
    is_int(untimed, 0, "%s: %s: all timed, hot and cold", kn->isa, timer->said);
}

/* A table whose product is off by a little, and one whose sum is not a number. */
static void broken_add(size_t n, const float *a, const float *b, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
    y[n - 1] *= 1 + 0x1p-20f;
}

static float broken_sum(size_t n, const float *x) { return n ? x[0] * NAN : 0; }

static void test_wrong_results(const struct bench_timer *timer)
{
    const struct bench_setting set = {.timer = timer, .min_s = 2e-5, .repeats = 3, .no_roof = true};
    const struct kernel_case add = {KERNEL_add_f32, "", {131}, ""},
                             sum = {KERNEL_sum_f32, "", {3, 131}, ""};
    const struct kn_table *const sound = kn;
    struct kn_table broken = *kn;
    struct bench_result r;
    broken.add_f32 = broken_add;
    broken.sum_f32 = broken_sum;
    kn = &broken;
    bench_kernel(&add, 1, &set, &r);
    ok(r.failed && r.of_bound > 1, "one wrong element in 131 is found");
    is_near(r.residual, 0x1p-20, 0x1p-20, "and its size told");
    bench_kernel(&sum, 1, &set, &r);
    ok(r.failed, "NaN is no number");
    kn = sound;
    bench_kernel(&add, 1, &set, &r);
    ok(!r.failed && r.residual == 0, "the sound kernel is exact");
}

/* Batches grow until they are long enough, and times are means of a batch. */
static double pretend(void *arg, int64_t calls)
{
    *(int64_t *)arg = calls;
    return (double)calls * 1e-6;
}

static void test_timer(void)
{
    struct bench_timer own, none;
    struct err err = {0};
    struct timing t;
    int64_t calls = 0;
    ok(timer_open(&own, "own", &err) && !own.google, "our own timer");
    timer_measure(&own, "pretend", pretend, &calls, 1e-3, 7, &t);
    ok(t.n == 7 && t.calls >= 1000 && t.calls < 1500, "%lld calls make a millisecond", t.calls);
    is_near(t.median, 1e-6, 1e-15, "a call's time");
    is_near(t.mad, 0, 1e-15, "no spread");
    ok(t.lo <= t.median && t.median <= t.hi, "and an interval");
    ok(!timer_open(&none, "sundial", &err) && err.status == EXIT_USAGE, "no such timer");
}

int main(void)
{
    struct err err = {0};
    struct bench_timer own;
    test_coverage();
    test_names();
    test_timer();
    ok(timer_open(&own, "own", &err), "a timer");
    for (int t = 0; kn_tables[t]; t++)
        if (kn_runs_here(kn_tables[t]) && kn_init(kn_tables[t]->isa, &err))
            test_measuring(&own);
    test_wrong_results(&own);
    bench_release();
    return done();
}
