/* floor.c — see floor.h. */
#define _GNU_SOURCE
#include "perf/floor.h"

#include <math.h>

#include "base/clock.h"
#include "base/crew.h"
#include "base/mem.h"
#include "base/rng.h"
#include "kernels/kernels.h"
#include "perf/noise.h"
#include "stats/order.h"
#include "stats/signed_rank.h"

enum { SIDE = 256, FLOATS = 1 << 20, LEAST_PAIRS = 20, MOST_PAIRS = 400, GATE_PAIRS = 10 };
static const double sample_ns = 15e6; /* what a handful of training steps takes */

/* Like a training step: multiplications that fit the caches, then a pass over memory. */
struct work {
    struct kn_gemm gemm;
    void *scratch;
    float *memory; /* FLOATS of y, then FLOATS of x */
    long repeats;
};

static void do_work(void *arg, const struct crew *crew)
{
    const struct work *w = arg;
    size_t from, to;
    crew_share(crew, FLOATS, KN_LANES, &from, &to);
    for (long i = 0; i < w->repeats; i++) {
        kn->gemm_f32(&w->gemm, crew, w->scratch);
        crew_wait(crew);
        kn->axpy_f32(to - from, 1e-9f, w->memory + FLOATS + from, w->memory + from);
        crew_wait(crew);
    }
}

static double timed(struct work *w, int threads)
{
    const int64_t start = clock_ns();
    crew_run(threads, do_work, w);
    return (double)(clock_ns() - start);
}

/* ---- pairs --------------------------------------------------------------------------- */

static int take_pairs(struct work *w, int threads, double seconds, double d[MOST_PAIRS])
{
    struct rng rng = rng_make(1, 0);
    const int64_t end = clock_ns() + (int64_t)(seconds * 1e9);
    int n = 0;
    while (n < MOST_PAIRS && (n < LEAST_PAIRS || clock_ns() < end)) {
        const double first = timed(w, threads), second = timed(w, threads);
        d[n++] = (rng_u32(&rng) & 1 ? 1 : -1) * log(second / first);
    }
    return n;
}

static void calibrate(struct work *w, int threads)
{
    (void)timed(w, threads); /* touches what there is */
    while (timed(w, threads) < sample_ns && w->repeats < 1L << 20)
        w->repeats *= 2;
}

struct noise_floor noise_floor_measure(int threads, double seconds)
{
    enum { MATRIX = SIDE * SIDE, DRAWS = 2000 };
    const size_t bytes = sizeof(float) * (3 * MATRIX + 2 * (size_t)FLOATS);
    float *const memory = mem_map(bytes), *const m = memory + 2 * (size_t)FLOATS;
    struct work w = {
        .gemm = {SIDE, SIDE, SIDE, .a = m, .b = m + MATRIX, .c = m + 2 * MATRIX, .lda = SIDE,
                 .ldb = SIDE, .ldc = SIDE},
        .memory = memory,
        .repeats = 1,
    };
    const size_t scratch = kn->gemm_work_f32(&w.gemm, threads);
    w.scratch = mem_map(scratch);
    calibrate(&w, threads);
    double d[MOST_PAIRS];
    struct noise_look before, after;
    noise_look("", &before);
    struct noise_floor f = {.threads = threads, .pairs = take_pairs(&w, threads, seconds, d)};
    noise_look("", &after);
    mem_unmap(w.scratch, scratch);
    mem_unmap(memory, bytes);

    const double wall = (double)(after.ns - before.ns) * 1e-9 * after.cpus;
    f.steal = (after.steal_s - before.steal_s) / wall;
    const double foreign = after.busy_s - before.busy_s - (after.cpu_s - before.cpu_s);
    f.foreign = foreign < 0 ? 0 : foreign / wall; /* unknown stays NAN */
    f.q99 = hodges_lehmann_floor(d, (size_t)f.pairs, GATE_PAIRS, 0.99, DRAWS, 1);
    for (int i = 0; i < f.pairs; i++)
        d[i] = fabs(d[i]);
    order_sort(d, (size_t)f.pairs);
    f.spread = order_median(d, (size_t)f.pairs);
    return f;
}

double noise_floor_margin(const struct noise_floor *f)
{
    enum { LEAST_PERCENT = 3 };
    return fmax(LEAST_PERCENT / 100.0, 1.5 * f->q99);
}
