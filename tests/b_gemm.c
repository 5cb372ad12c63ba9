/* b_gemm — how fast the matrix multiply is, beside OpenBLAS, BLIS and oneDNN.
 *
 *     b_gemm [--threads N] [--vs] [--rounds R] [--group G | --shapes 'NT 128x512x784, TN ...']
 *
 * Per shape: GFLOP/s, share of the measured FMA peak, and with --vs the ratio to
 * the best of the libraries that are installed. Contenders take turns on the same
 * buffers, a sample in which the kernel took a CPU away from us is taken again, and
 * medians are compared. A batch is spread over the heads for the libraries too:
 * one thread to each head is faster for them than all threads in one after another. */
#define _GNU_SOURCE
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kernels/kernels.h"
#include "perf/peers.h"

enum { MOST_ROUNDS = 101, RETRIES = 6 };

/* ---- what is measured ---------------------------------------------------- */

struct shape {
    char op[3]; /* NN, NT, TN, TT */
    int M, N, K, batch;
};

/* A fully connected layer of `rows` samples gives three products: forward NT, data
 * gradient NN, weight gradient TN. */
struct layer {
    int rows, in, out;
};

/* clang-format off */
static const struct layer gpt[] = {
    {2048, 384, 1152}, {2048, 384, 384}, {2048, 384, 1536}, {2048, 1536, 384}, {2048, 384, 65},
    { 768, 128,  384}, { 768, 128, 128}, { 768, 128,  512}, { 768,  512, 128},
    { 256, 768, 2304}, { 256, 768, 768}, { 256, 768, 3072}, { 256, 3072, 768}, { 256, 768, 50257}, {0}};
static const struct layer recurrent[] = { /* one step of 64 rows, RNN, GRU and LSTM */
    {64, 256, 256}, {64, 256, 768}, {64, 256, 1024}, {64, 512, 512}, {64, 512, 1536}, {64, 512, 2048},
    {4096, 256, 1024}, {4096, 512, 2048}, {0}};
static const struct layer fc[] = { /* LeNet-5, AlexNet, VGG-16 */
    {128, 400, 120}, {128, 120, 84}, {128, 84, 10},
    {32, 9216, 4096}, {32, 4096, 4096}, {32, 4096, 1000},
    {4, 25088, 4096}, {4, 4096, 4096}, {4, 4096, 1000}, {0}};
static const struct layer mlp[] = {{128, 784, 512}, {128, 512, 512}, {128, 512, 10}, {0}};
static const struct shape square[] = {
    {"NN",   64,   64,   64, 1}, {"NT",   64,   64,   64, 1}, {"TN",   64,   64,   64, 1},
    {"NN",  128,  128,  128, 1}, {"NT",  128,  128,  128, 1}, {"TN",  128,  128,  128, 1},
    {"NN",  256,  256,  256, 1}, {"NT",  256,  256,  256, 1}, {"TN",  256,  256,  256, 1},
    {"NN",  512,  512,  512, 1}, {"NT",  512,  512,  512, 1}, {"TN",  512,  512,  512, 1},
    {"NN", 1024, 1024, 1024, 1}, {"NT", 1024, 1024, 1024, 1}, {"TN", 1024, 1024, 1024, 1},
    {"NN", 2048, 2048, 2048, 1}, {"NT", 2048, 2048, 2048, 1}, {"TN", 2048, 2048, 2048, 1}, {.M = 0}};
static const struct shape attention[] = { /* scores, values and their gradients; 12 heads and one */
    {"NT",  64,  64, 64, 12}, {"NN",  64, 64,  64, 12}, {"TN",  64, 64,  64, 12},
    {"NT", 256, 256, 64, 12}, {"NN", 256, 64, 256, 12}, {"TN", 256, 64, 256, 12},
    {"NT",  64,  64, 32, 12}, {"NN",  64, 32,  64, 12}, {"TN",  64, 32,  64, 12},
    {"NT",  64,  64, 64,  1}, {"NN",  64, 64,  64,  1}, {"TN",  64, 64,  64,  1},
    {"NT", 256, 256, 64,  1}, {"NN", 256, 64, 256,  1}, {"TN", 256, 64, 256,  1},
    {"NT",  64,  64, 32,  1}, {.M = 0}};

static const struct group {
    const char *name;
    const struct shape *shapes;
    const struct layer *layers;
} groups[] = {
    {"square", square, NULL}, {"mlp", NULL, mlp}, {"gpt", NULL, gpt}, {"recurrent", NULL, recurrent},
    {"fc", NULL, fc}, {"attention", attention, NULL}, {NULL, NULL, NULL}};
/* clang-format on */

static struct {
    int threads, rounds;
    bool vs;
    const char *group, *shapes;
    double peak; /* GFLOP/s */
} set = {.threads = 1, .rounds = 11};

/* ---- contenders ------------------------------------------------------------ */

/* One product and the memory it is done in. */
struct job {
    struct kn_gemm g;
    void *work;
    int peer; /* -1 is ourselves */
    int calls;
};

static void peer_share(void *arg, const struct crew *crew)
{
    const struct job *j = arg;
    size_t from, to;
    crew_share(crew, (size_t)j->g.batch, 1, &from, &to);
    for (size_t i = from; i < to; i++)
        peer_gemm(j->peer, &j->g, i);
}

static void our_share(void *arg, const struct crew *crew)
{
    const struct job *j = arg;
    for (int i = 0; i < j->calls; i++) {
        kn->gemm_f32(&j->g, crew, j->work);
        crew_wait(crew);
    }
}

/* Each in its own way: we are called by a crew that stays, as in a training step, the
 * libraries start their threads in every call. */
static void job_run(const struct job *j)
{
    if (j->peer < 0)
        crew_run(set.threads, our_share, (void *)(uintptr_t)j);
    for (int i = 0; i < j->calls && j->peer >= 0; i++)
        if (j->g.batch > 1)
            crew_run(set.threads, peer_share, (void *)(uintptr_t)j);
        else
            peer_gemm(j->peer, &j->g, 0);
}

/* ---- clockwork ------------------------------------------------------------- */

static long preemptions(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_nivcsw;
}

/* Seconds of one call, over j->calls of them; again if someone else ran meanwhile. */
static double sample(const struct job *j)
{
    double best = 1e30;
    for (int try = 0; try < RETRIES; try++) {
        const long before = preemptions();
        const int64_t start = clock_ns();
        job_run(j);
        const double s = (double)(clock_ns() - start) * 1e-9 / j->calls;
        best = s < best ? s : best;
        if (preemptions() == before)
            return s;
    }
    return best;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]);
}

/* seconds[0] ours, seconds[1 + p] of peer p, 0 if it is not there. */
static void compete(struct job *j, double seconds[1 + PEERS])
{
    static double samples[1 + PEERS][MOST_ROUNDS];
    const double flops = 2.0 * j->g.M * j->g.N * j->g.K * j->g.batch;
    const double guess = flops / (1e9 * set.peak);
    j->calls = guess > 1e-3 ? 1 : (int)(1e-3 / guess);
    const int rounds = guess > 0.02 ? (set.rounds + 1) / 2 : set.rounds;
    for (int r = -1; r < rounds; r++) /* the first one warms up */
        for (int c = 0; c <= PEERS; c++) {
            if (c > 0 && (!set.vs || !peer_there(c - 1)))
                continue;
            j->peer = c - 1;
            if (c > 0)
                peer_threads(c - 1, j->g.batch > 1 ? 1 : set.threads);
            job_run(j);
            const double s = sample(j);
            if (r >= 0)
                samples[c][r] = s;
        }
    for (int c = 0; c <= PEERS; c++)
        seconds[c] = c > 0 && (!set.vs || !peer_there(c - 1)) ? 0 : median(samples[c], rounds);
}

/* ---- peak ------------------------------------------------------------------- */

enum { CHAINS = 12, FMAS = 200000 };

#if defined __x86_64__
typedef float v16 __attribute__((vector_size(64)));
typedef float v8 __attribute__((vector_size(32)));

#define FMA_LOOP(name, isa, type, fma)                                                             \
    __attribute__((target(isa))) static double name(void)                                          \
    {                                                                                              \
        type a[CHAINS] = {0}, x = a[0] + 0.5f;                                                     \
        const int64_t start = clock_ns();                                                          \
        for (int i = 0; i < FMAS; i++) {                                                           \
            __asm__ volatile(fma(0) fma(1) fma(2) fma(3) fma(4) fma(5) fma(6) fma(7) fma(8) fma(9) \
                                 fma(10) fma(11)                                                   \
                             : "+v"(a[0]), "+v"(a[1]), "+v"(a[2]), "+v"(a[3]), "+v"(a[4]),         \
                               "+v"(a[5]), "+v"(a[6]), "+v"(a[7]), "+v"(a[8]), "+v"(a[9]),         \
                               "+v"(a[10]), "+v"(a[11])                                            \
                             : "v"(x));                                                            \
        }                                                                                          \
        return 2.0 * CHAINS * FMAS * (sizeof(type) / 4) / (double)(clock_ns() - start);            \
    }
#define FMA_ASM(n) "vfmadd231ps %12, %12, %" #n "\n"
FMA_LOOP(peak_avx512, "avx512f", v16, FMA_ASM)
FMA_LOOP(peak_avx2, "avx2,fma", v8, FMA_ASM)

static double peak_of_thread(void)
{
    return strcmp(kn->isa, "avx512") == 0  ? peak_avx512()
           : __builtin_cpu_supports("fma") ? peak_avx2()
                                           : 0;
}
#else
static double peak_of_thread(void) { return 0; } /* not measured: shares are left out */
#endif

static void peak_share(void *arg, const struct crew *crew)
{
    double *const sum = arg;
    crew_wait(crew);
    const double mine = peak_of_thread();
#pragma omp atomic
    *sum += mine;
}

/* GFLOP/s of all threads; the best, because a share of peak must not flatter. */
static double peak(void)
{
    double v[21];
    for (int i = 0; i < 21; i++) {
        v[i] = 0;
        crew_run(set.threads, peak_share, &v[i]);
    }
    qsort(v, 21, sizeof *v, by_value);
    return v[20];
}

/* ---- report ------------------------------------------------------------------ */

struct tally {
    double log_gflops[1 + PEERS], log_best, worst;
    int n;
    char at[64];
};

static float *buffer(size_t floats, uint32_t seed)
{
    float *const p = mem_map(floats * sizeof *p);
    for (size_t i = 0; i < floats; i++) {
        seed = seed * 1664525u + 1013904223u;
        p[i] = (float)(int32_t)seed * 0x1p-31f;
    }
    return p;
}

static void measure(const struct shape *s, struct tally *sum)
{
    char name[64];
    snprintf(name, sizeof name, s->batch > 1 ? "%s %dx%dx%d *%d" : "%s %dx%dx%d", s->op, s->M, s->N,
             s->K, s->batch);
    struct job j = {
        .g = {.M = s->M, .N = s->N, .K = s->K, .ta = s->op[0] == 'T', .tb = s->op[1] == 'T'}};
    struct kn_gemm *g = &j.g;
    g->lda = (size_t)(g->ta ? s->M : s->K);
    g->ldb = (size_t)(g->tb ? s->K : s->N);
    g->ldc = (size_t)s->N;
    g->batch = s->batch;
    g->stride_a = (size_t)s->M * (size_t)s->K;
    g->stride_b = (size_t)s->K * (size_t)s->N;
    g->stride_c = (size_t)s->M * (size_t)s->N;
    const size_t n = (size_t)s->batch, work = kn->gemm_work_f32(g, set.threads);
    float *const a = buffer(n * g->stride_a, 1), *const b = buffer(n * g->stride_b, 2);
    g->a = a;
    g->b = b;
    g->c = buffer(n * g->stride_c, 3);
    j.work = mem_map(work);

    double seconds[1 + PEERS], gflops[1 + PEERS], best = 0;
    compete(&j, seconds);
    for (int c = 0; c <= PEERS; c++) {
        gflops[c] = seconds[c] > 0 ? 2e-9 * s->M * s->N * s->K * s->batch / seconds[c] : 0;
        sum->log_gflops[c] += log(gflops[c]);
        if (c > 0 && gflops[c] > best)
            best = gflops[c];
    }
    printf("%-24s %7.1f %5.1f%%  ", name, gflops[0], 100 * gflops[0] / set.peak);
    for (int c = 1; set.vs && c <= PEERS; c++)
        printf(" %8.1f", gflops[c]);
    if (set.vs && best > 0) {
        printf("   %.2f%s", gflops[0] / best,
               gflops[0] < 0.85 * best ? " !"
               : gflops[0] < best      ? " -"
                                       : "");
        if (gflops[0] / best < sum->worst) {
            sum->worst = gflops[0] / best;
            snprintf(sum->at, sizeof sum->at, "%s", name);
        }
    }
    char how[KN_HOW];
    kn->gemm_how(g, s->batch > 1 ? 1 : set.threads, how);
    printf("%s\n", set.vs ? "" : how);
    fflush(stdout);
    sum->log_best += log(best);
    sum->n++;
    mem_unmap(a, n * g->stride_a * sizeof *a);
    mem_unmap(b, n * g->stride_b * sizeof *b);
    mem_unmap(g->c, n * g->stride_c * sizeof *g->c);
    mem_unmap(j.work, work);
}

static void heading(const char *name)
{
    printf("\n%-24s %7s %6s  ", name, "ours", "peak");
    for (int c = 0; set.vs && c < PEERS; c++)
        printf(" %8s", peer_names[c]);
    printf("%s\n", set.vs ? "   ratio to the best" : "how");
}

/* "NT 128x512x784, TN 64x64x64"; false if that is not what it says. */
static bool measure_list(const char *list)
{
    struct tally sum = {.worst = 1e30};
    heading("shapes");
    for (const char *at = list; at; at = strchr(at, ',')) {
        struct shape s = {.batch = 1};
        at += *at == ',';
        if (sscanf(at, " %2[NT] %dx%dx%d", s.op, &s.M, &s.N, &s.K) != 4 || strlen(s.op) != 2 ||
            s.M < 1 || s.N < 1 || s.K < 1)
            return false;
        measure(&s, &sum);
    }
    return true;
}

static void measure_group(const struct group *group)
{
    struct tally sum = {.worst = 1e30};
    heading(group->name);
    for (const struct shape *s = group->shapes; s && s->M; s++)
        measure(s, &sum);
    for (const struct layer *l = group->layers; l && l->rows; l++) {
        measure(&(struct shape){"NT", l->rows, l->out, l->in, 1}, &sum);
        measure(&(struct shape){"NN", l->rows, l->in, l->out, 1}, &sum);
        measure(&(struct shape){"TN", l->out, l->in, l->rows, 1}, &sum);
    }
    const double mean = exp(sum.log_gflops[0] / sum.n);
    printf("= %-22s %7.1f %5.1f%%", "geometric mean", mean, 100 * mean / set.peak);
    for (int c = 1; set.vs && c <= PEERS; c++)
        printf(" %8.1f", exp(sum.log_gflops[c] / sum.n));
    if (set.vs)
        printf("   %.3f of the best of each; worst %.2f at %s",
               exp((sum.log_gflops[0] - sum.log_best) / sum.n), sum.worst, sum.at);
    putchar('\n');
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *const value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--vs") == 0)
            set.vs = true;
        else if (strcmp(argv[i], "--threads") == 0)
            set.threads = atoi(value), i++;
        else if (strcmp(argv[i], "--rounds") == 0)
            set.rounds = atoi(value), i++;
        else if (strcmp(argv[i], "--group") == 0)
            set.group = value, i++;
        else if (strcmp(argv[i], "--shapes") == 0)
            set.shapes = value, i++;
        else
            set.threads = 0;
    }
    if (set.threads < 1 || set.rounds < 1 || set.rounds > MOST_ROUNDS) {
        fprintf(stderr,
                "usage: b_gemm [--threads N] [--vs] [--rounds R] [--group G | --shapes 'NT MxNxK, "
                "...']\n");
        return 2;
    }
    struct err err = {0};
    if (!kn_init(NULL, &err))
        return 2;
    if (set.vs && !peers_load("all", &err))
        return 2;
    for (int c = 0; set.vs && c < PEERS; c++)
        if (!peer_there(c))
            printf("# %s\n", peer_missing(c));
    set.peak = peak();
    printf("# %s, %d threads, FMA peak %.1f GFLOP/s, medians of %d\n", kn->isa, set.threads,
           set.peak, set.rounds);
    if (set.shapes)
        return measure_list(set.shapes) ? 0 : 2;
    for (const struct group *g = groups; g->name; g++)
        if (!set.group || strcmp(g->name, set.group) == 0)
            measure_group(g);
    return 0;
}
