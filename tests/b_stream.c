/* b_stream — are the ceilings of perf/peak.h true? The same quantities measured in another way, by
 * nothing of ours: McCalpin's STREAM from its public definition
 * (https://www.cs.virginia.edu/stream, rules of 1995: four loops over arrays of at least four times
 * the last cache, first touched by the thread that uses them, best of ten, the first not counted)
 * in plain C and OpenMP with doubles, and a loop of multiply-adds in assembly.
 *
 *     b_stream [--threads N] [--rounds R]
 *
 * Prints both and their ratio. In each of R rounds the two take turns, and the best of all rounds
 * counts, because a neighbour can only slow either down. */
#include <math.h>
#include <omp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kernels/kernels.h"
#include "perf/peak.h"

enum { TIMES = 10 };

/* ---- STREAM ---------------------------------------------------------------------------- */

enum { COPY, SCALE, ADD, TRIAD, LOOPS };
static const struct {
    const char *name;
    int doubles; /* moved for each element */
} loops[LOOPS] = {{"copy", 2}, {"scale", 2}, {"add", 3}, {"triad", 3}};

static struct {
    double *memory, *a, *b, *c;
    long n;
} stream;

/* Whoever runs STREAM tries what the compiler can make of it: stores of 8 bytes, or of 32. */
#define EACH_ELEMENT(statement)                                                              \
    do {                                                                                     \
        _Pragma("omp parallel for schedule(static)") for (long i = 0; i < n; i++) statement; \
    } while (0)
#define STREAM_LOOPS(name, how)                                            \
    how static void name(int loop)                                         \
    {                                                                      \
        double *restrict const a = stream.a, *restrict const b = stream.b, \
                               *restrict const c = stream.c;               \
        const long n = stream.n;                                           \
        const double s = 3.0;                                              \
        switch (loop) {                                                    \
        case COPY: EACH_ELEMENT(c[i] = a[i]); break;                       \
        case SCALE: EACH_ELEMENT(b[i] = s * c[i]); break;                  \
        case ADD: EACH_ELEMENT(c[i] = a[i] + b[i]); break;                 \
        default: EACH_ELEMENT(a[i] = b[i] + s * c[i]); break;              \
        }                                                                  \
    }
STREAM_LOOPS(plain_loop, )
#if defined __x86_64__ && !defined __clang__
STREAM_LOOPS(wide_loop, __attribute__((target("avx2"), optimize("O3"))))
static bool has_wide(void) { return __builtin_cpu_supports("avx2"); }
#else
static void wide_loop(int loop) { plain_loop(loop); }
static bool has_wide(void) { return false; }
#endif

/* Which array lies first, and is written behind or before the others, makes a tenth: it changes with
 * the round. */
static void stream_begin(size_t bytes, int round)
{
    enum { OFFSET = 264 }; /* STREAM's, in doubles, between arrays */
    stream.n = (long)(bytes / sizeof(double));
    if (!(stream.memory = mem_large(3 * (bytes + OFFSET * sizeof(double))))) {
        fprintf(stderr, "b_stream: no memory for three arrays of %zu bytes\n", bytes);
        exit(1);
    }
    double **const arrays[] = {&stream.a, &stream.b, &stream.c};
    for (long i = 0; i < 3; i++)
        *arrays[(i + round) % 3] = stream.memory + i * (stream.n + OFFSET);
#pragma omp parallel for schedule(static)
    for (long i = 0; i < stream.n; i++) { /* first touch */
        stream.a[i] = 1;
        stream.b[i] = 2;
        stream.c[i] = 0;
    }
}

static void stream_end(void) { free(stream.memory); }

/* Bytes a second of each loop, the best of TIMES; larger ones than in `best` replace it. */
static void stream_round(double best[LOOPS], void (*run)(int loop))
{
    for (int t = 0; t < TIMES; t++)
        for (int l = 0; l < LOOPS; l++) {
            const int64_t start = clock_ns();
            run(l);
            const double s = (double)(clock_ns() - start) * 1e-9;
            if (t > 0)
                best[l] = fmax(best[l], loops[l].doubles * 8.0 * (double)stream.n / s);
        }
}

/* STREAM's own check: what the arrays hold after so many times round. */
static bool stream_is_right(int rounds)
{
    double a = 1, b = 2, c = 0;
    for (int i = 0; i < rounds * TIMES; i++) {
        c = a;
        b = 3 * c;
        c = a + b;
        a = b + 3 * c;
    }
    for (long i = 0; i < stream.n; i += 4093)
        if (fabs(stream.a[i] / a - 1) > 1e-13 || fabs(stream.b[i] / b - 1) > 1e-13)
            return false;
    return true;
}

/* Reading only, which STREAM has not: sums of integers, which any compiler may take in any order,
 * eight at a time, so that adding is not what takes the time. */
static uint64_t read_array(const double *array, long n)
{
    uint64_t s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
    const uint64_t *const words = (const uint64_t *)(const void *)array;
#pragma omp parallel for schedule(static) reduction(+ : s0, s1, s2, s3, s4, s5, s6, s7)
    for (long i = 0; i < n; i++) {
        const uint64_t *const w = words + 8 * i;
        s0 += w[0], s1 += w[1], s2 += w[2], s3 += w[3];
        s4 += w[4], s5 += w[5], s6 += w[6], s7 += w[7];
    }
    return s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7;
}

static double read_round(void)
{
    double best = 0;
    const long n = stream.n / 8;
    for (int t = 0; t < TIMES; t++) {
        const int64_t start = clock_ns();
        volatile uint64_t sink =
            read_array(stream.a, n) + read_array(stream.b, n) + read_array(stream.c, n);
        const double s = (double)(clock_ns() - start) * 1e-9;
        (void)sink;
        if (t > 0)
            best = fmax(best, 3 * 64.0 * (double)n / s);
    }
    return best;
}

/* ---- multiply-adds ------------------------------------------------------------------------ */

#if defined __x86_64__
enum { ROUNDS = 200000, CHAINS = 10 };

/* Ten chains, one instruction each; the registers hold zeros, which costs what numbers cost. */
#define FMA_CHAINS(isa, reg)                                                                       \
    __attribute__((target(isa))) static void fma_##reg(void)                                       \
    {                                                                                              \
        __asm__ volatile(                                                                          \
            "vxorps %%xmm0,%%xmm0,%%xmm0\n mov %0,%%ecx\n 1:\n"                                    \
            "vfmadd231ps %%" #reg "0,%%" #reg "0,%%" #reg                                          \
            "1\n"                                                                                  \
            "vfmadd231ps %%" #reg "0,%%" #reg "0,%%" #reg                                          \
            "2\n"                                                                                  \
            "vfmadd231ps %%" #reg "0,%%" #reg "0,%%" #reg                                          \
            "3\n"                                                                                  \
            "vfmadd231ps %%" #reg "0,%%" #reg "0,%%" #reg                                          \
            "4\n"                                                                                  \
            "vfmadd231ps %%" #reg "0,%%" #reg "0,%%" #reg                                          \
            "5\n"                                                                                  \
            "vfmadd231ps %%" #reg "0,%%" #reg "0,%%" #reg                                          \
            "6\n"                                                                                  \
            "vfmadd231ps %%" #reg "0,%%" #reg "0,%%" #reg                                          \
            "7\n"                                                                                  \
            "vfmadd231ps %%" #reg "0,%%" #reg "0,%%" #reg                                          \
            "8\n"                                                                                  \
            "vfmadd231ps %%" #reg "0,%%" #reg "0,%%" #reg                                          \
            "9\n"                                                                                  \
            "vfmadd231ps %%" #reg "0,%%" #reg "0,%%" #reg                                          \
            "10\n"                                                                                 \
            "dec %%ecx\n jnz 1b\n vzeroupper\n"                                                    \
            :                                                                                      \
            : "i"(ROUNDS)                                                                          \
            : "ecx", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
              "xmm9", "xmm10");                                                                    \
    }
FMA_CHAINS("avx512f", zmm)
FMA_CHAINS("avx2,fma", ymm)

/* Operations a second of one round on all threads; 0 where the table in use has no such loop. */
static double fma_round(int threads)
{
    const bool wide = strcmp(kn->isa, "avx512") == 0;
    double best = 0;
    if (!wide && strcmp(kn->isa, "avx2") != 0)
        return 0;
    for (int t = 0; t < TIMES; t++) {
        int64_t ns = 0;
#pragma omp parallel num_threads(threads) reduction(max : ns)
        {
#pragma omp barrier
            const int64_t start = clock_ns();
            if (wide)
                fma_zmm();
            else
                fma_ymm();
            ns = clock_ns() - start;
        }
        best = fmax(best, 2e9 * CHAINS * ROUNDS * kn->lanes * threads / (double)ns);
    }
    return best;
}
#else
static double fma_round(int threads) { return (void)threads, 0.0; }
#endif

/* ---- report -----------------------------------------------------------------------------------
 */

static void line(const char *what, double ours, double theirs, const char *unit)
{
    if (theirs > 0)
        printf("%-28s %8.1f %8.1f %-8s %.3f\n", what, ours * 1e-9, theirs * 1e-9, unit,
               ours / theirs);
    else
        printf("%-28s %8.1f %8s %-8s –\n", what, ours * 1e-9, "–", unit);
}

static void measure(int threads, int rounds)
{
    const size_t bytes = 4 * kn_caches()->l3, set = peak_working_set(PEAK_DRAM, threads);
    double theirs[LOOPS] = {0}, fma[2] = {0}, read[2] = {0}, triad = 0;
    bool right = true;
    omp_set_num_threads(threads);
    for (int r = 0; r < rounds; r++) {
        stream_begin(bytes, r); /* anew, as peak.c does: which pages the system gives matters */
        stream_round(theirs, plain_loop);
        if (has_wide())
            stream_round(theirs, wide_loop);
        read[1] = fmax(read[1], read_round());
        right &= stream_is_right(has_wide() ? 2 : 1);
        stream_end();
        triad = fmax(triad, peak_triad(threads, set));
        read[0] = fmax(read[0], peak_read(threads, set));
        fma[1] = fmax(fma[1], fma_round(threads));
        fma[0] = fmax(fma[0], peak_flops(threads));
    }
    printf("\n%s, %d thread%s: 3 arrays of %.0f MB, best of %d rounds\n", kn->isa, threads,
           threads == 1 ? "" : "s", (double)bytes * 1e-6, rounds);
    printf("%-28s %8s %8s %-8s %s\n", "", "peak.h", "here", "", "ratio");
    line("multiply-adds", fma[0], fma[1], "GFLOP/s");
    line("read, memory", read[0], read[1], "GB/s");
    line("triad, memory", triad, theirs[TRIAD], "GB/s");
    for (int l = 0; l < TRIAD; l++)
        printf("%-28s %8s %8.1f GB/s\n", loops[l].name, "", theirs[l] * 1e-9);
    if (!right)
        printf("b_stream: the arrays do not hold what they should\n");
}

int main(int argc, char **argv)
{
    int threads = crew_cores(), rounds = 3;
    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], "--threads") == 0)
            threads = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--rounds") == 0)
            rounds = atoi(argv[i + 1]);
        else
            threads = 0;
    struct err err = {0};
    if (argc % 2 == 0 || threads < 1 || rounds < 1 || !kn_init(NULL, &err)) {
        fprintf(stderr, "usage: b_stream [--threads N] [--rounds R]\n%s\n", err.text);
        return 2;
    }
    measure(1, rounds);
    if (threads > 1)
        measure(threads, rounds);
    return 0;
}
