/* peak.c — see peak.h. A sample is a crew that starts together, works for some
 * milliseconds and stops; the slowest thread's time counts. */
#include "perf/peak.h"

#include "base/clock.h"
#include "base/crew.h"
#include "base/mem.h"
#include "kernels/kernels.h"

enum { SAMPLES = 9, MAX_THREADS = 256 };
static const double sample_ns = 4e6;

/* `once(job, thread)` does a piece of work and returns its amount. */
struct job {
    double (*once)(const struct job *job, int thread);
    const struct kn_table *table;
    float *memory;
    size_t floats; /* a thread */
    long repeats;
    double amount[MAX_THREADS];
    int64_t ns[MAX_THREADS];
};

static void work(void *arg, const struct crew *crew)
{
    struct job *job = arg;
    crew_wait(crew);
    const int64_t start = clock_ns();
    double amount = 0;
    for (long i = 0; i < job->repeats; i++)
        amount += job->once(job, crew->thread);
    job->ns[crew->thread] = clock_ns() - start;
    job->amount[crew->thread] = amount;
}

static double rate(struct job *job, int threads)
{
    crew_run(threads, work, job);
    double amount = 0;
    int64_t slowest = 1;
    for (int i = 0; i < threads; i++) {
        amount += job->amount[i];
        slowest = job->ns[i] > slowest ? job->ns[i] : slowest;
    }
    return amount / (double)slowest * 1e9;
}

static double best(struct job *job, int threads)
{
    threads = threads < MAX_THREADS ? threads : MAX_THREADS;
    job->repeats = 1;
    (void)rate(job, threads);
    for (; job->repeats < 1L << 30; job->repeats *= 2) { /* long enough to be timed */
        (void)rate(job, threads);
        if ((double)job->ns[0] > sample_ns)
            break;
    }
    double top = 0;
    for (int i = 0; i < SAMPLES; i++) {
        const double r = rate(job, threads);
        top = r > top ? r : top;
    }
    return top;
}

static double multiply_add(const struct job *job, int thread)
{
    (void)job, (void)thread;
    static _Thread_local float sink;
    return kn->peak_f32(4096, &sink);
}

/* A core keeps more lines on their way when it reads in two places at once, 16 KiB here,
 * 16 KiB there: 34 GB/s from memory instead of 32 on a Zen 4. In caches the calls would cost more.
 */
static double read_all(const struct job *job, int thread)
{
    enum { PIECE = 4096 };
    static _Thread_local volatile float sink;
    const float *const x = job->memory + (size_t)thread * job->floats;
    const size_t half = job->floats / 2 / PIECE * PIECE;
    if (job->floats * sizeof *x <= kn_caches()->l2) {
        sink = job->table->sum_f32(job->floats, x);
        return 4.0 * (double)job->floats;
    }
    float sum = 0;
    for (size_t i = 0; i < half; i += PIECE)
        sum += job->table->sum_f32(PIECE, x + i) + job->table->sum_f32(PIECE, x + half + i);
    sink = sum;
    (void)sink;
    return 8.0 * (double)half;
}

/* Arrays a power of two apart fall into the same sets of every cache; these are not. */
static double triad(const struct job *job, int thread)
{
    const size_t third = job->floats / 3, shift = third > 1 << 16 ? 16 * 33 : 16;
    const size_t n = third - 2 * shift;
    float *const x = job->memory + (size_t)thread * job->floats;
    job->table->triad_f32(n, 0.5f, x, x + third + shift, x + 2 * third + 2 * shift);
    return 12.0 * (double)n;
}

/* In place: every line is read and written, and none is fetched only to be overwritten. */
static double update(const struct job *job, int thread)
{
    float *const x = job->memory + (size_t)thread * job->floats;
    job->table->scale_f32(job->floats, 1.0f, x, x);
    return 8.0 * (double)job->floats;
}

/* The best that the table in use or a narrower one does: a ceiling is the machine's, and stores
 * of 32 bytes are faster from memory than those of 64 on a Zen 4 (triad: 34 GB/s and 28). */
static double over_memory(double (*once)(const struct job *, int), int threads, size_t bytes)
{
    const size_t floats = (bytes / sizeof(float) + 47) / 48 * 48, all = floats * (size_t)threads;
    struct job job = {.once = once, .memory = mem_map(all * sizeof(float)), .floats = floats};
    double top = 0;
    bool narrower = false;
    const bool cached = bytes <= kn_caches()->l2; /* there wider is faster */
    for (int i = 0; kn_tables[i]; i++) {
        job.table = kn_tables[i];
        narrower |= job.table == kn;
        if (!narrower || !kn_runs_here(job.table) || (job.table->lanes == 1 && kn->lanes > 1))
            continue;
        const double rate = best(&job, threads);
        top = rate > top ? rate : top;
        if (cached)
            break;
    }
    mem_unmap(job.memory, all * sizeof(float));
    return top;
}

double peak_flops(int threads) { return best(&(struct job){.once = multiply_add}, threads); }
double peak_read(int threads, size_t bytes) { return over_memory(read_all, threads, bytes); }
double peak_triad(int threads, size_t bytes) { return over_memory(triad, threads, bytes); }
double peak_update(int threads, size_t bytes) { return over_memory(update, threads, bytes); }

double peak_bandwidth(int threads, size_t bytes)
{
    const double read = peak_read(threads, bytes), write = peak_triad(threads, bytes),
                 both = peak_update(threads, bytes), more = read > write ? read : write;
    return more > both ? more : both;
}

/* ---- levels ---- */

const char *const peak_level_name[PEAK_LEVELS] = {"L1", "L2", "L3", "DRAM"};

static const size_t GIB = (size_t)1 << 30;

size_t peak_working_set(int level, int threads)
{
    const struct kn_caches *c = kn_caches();
    const size_t share = c->l3 / (size_t)threads;
    switch (level) {
    case PEAK_L1: return c->l1d / 2;
    case PEAK_L2: return c->l2 / 2;
    case PEAK_L3: return share / 2 > c->l2 * 4 ? c->l2 * 4 : c->l2 * 2;
    default: return share * (c->l3 > GIB / 12 ? 4 : 12);
    }
}

int peak_level_of(double bytes, int threads)
{
    const struct kn_caches *c = kn_caches();
    return bytes <= (double)c->l1d * threads  ? PEAK_L1
           : bytes <= (double)c->l2 * threads ? PEAK_L2
           : bytes <= (double)c->l3           ? PEAK_L3
                                              : PEAK_DRAM;
}
