/* bench_kernel.c — see bench_kernel.h. */
#include "perf/bench_kernel.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "perf/peak.h"

enum { MAX_SETS = 4096, SAMPLED = 4096, LINE = 16 /* floats */, AGAIN = 2 };

const char *const bench_temperature_name[BENCH_TEMPERATURES] = {"hot", "cold"};

/* ---- operands ------------------------------------------------------------------------- */

/* Memory that cases take turns in: fresh pages cost more than most kernels. */
static struct {
    float *memory;
    size_t floats;
} pool;

static float *pool_of(size_t floats)
{
    if (floats > pool.floats) {
        bench_release();
        pool.floats = floats;
        pool.memory = mem_map(floats * sizeof(float));
    }
    return pool.memory;
}

void bench_release(void)
{
    if (pool.memory)
        mem_unmap(pool.memory, pool.floats * sizeof(float));
    pool.memory = NULL;
    pool.floats = 0;
}

/* A case on its bench. */
struct bench {
    const struct kernel_case *c;
    const struct kernel_call *call;
    int threads, peer;
    size_t floats[CASE_OPERANDS], work_bytes;
    bool fresh[CASE_OPERANDS]; /* stays in cache even when cold: one copy for all sets */
    int operands, sets;        /* how many copies of the other operands there are */
    float *set; /* the first, of so many floats; the fresh ones lie behind the last */
    size_t set_floats, fresh_floats;
    struct kernel_job job[MAX_SETS];
    uint32_t order[MAX_SETS];
    int rotated;    /* through how many of them the calls go: 1 when hot */
    uint32_t next;  /* where the rotation is */
    int64_t calls;  /* of the batch at hand */
    double seconds; /* that it took */
};

/* A cache line between operands, and an odd number of them, keep operands of 2^k floats from
 * falling into the same sets of L1. */
static size_t room(size_t floats) { return ((floats + LINE - 1) / LINE | 1) * LINE + LINE * 2; }

static int sets_for(const struct bench *b, bool from_memory)
{
    /* In bytes: 9 or 10 MB that a step of mlp:512-512, lenet5 or rnn touches, and what others bring
     * into L3 in that time. */
    enum { STEP = 14 << 20 };
    const struct kn_caches *caches = kn_caches();
    const size_t l2s = caches->l2 * (size_t)b->threads, half_l3 = caches->l3 / 2;
    size_t bytes = from_memory ? 2 * caches->l3 : 4 * l2s > STEP ? 4 * l2s : STEP;
    if (!from_memory && bytes > half_l3 && half_l3 > 2 * l2s)
        bytes = half_l3;
    const size_t sets = bytes / (b->set_floats * sizeof(float)) + 2;
    return sets < MAX_SETS ? (int)sets : MAX_SETS;
}

static void fill(float *x, size_t n, char role, uint32_t seed)
{
    const float lo = strchr("pq", role) ? 0.1f : -2.0f, range = 2.0f - lo;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = lo + range * (float)(seed >> 8) * 0x1p-24f;
    }
}

static void fill_first(struct bench *b)
{
    for (int k = 0; k < b->operands; k++)
        fill(b->job[0].x[k], b->floats[k], b->call->roles[k], (uint32_t)k + 1);
    if (b->call->prepare)
        b->call->prepare(&b->job[0]);
}

static void lay_out(struct bench *b, bool from_memory)
{
    b->call->floats(b->c->d, b->floats);
    b->operands = (int)strlen(b->call->roles);
    for (int k = 0; k < b->operands; k++) {
        b->fresh[k] = !from_memory && case_fresh(b->c, k);
        *(b->fresh[k] ? &b->fresh_floats : &b->set_floats) += room(b->floats[k]);
    }
    b->sets = sets_for(b, from_memory);
    b->work_bytes = b->call->work ? b->call->work(b->c, b->threads) : 0;
    b->set = pool_of(b->set_floats * (size_t)b->sets + b->fresh_floats);
    void *const work = mem_map(b->work_bytes);
    for (int s = 0; s < b->sets; s++) {
        float *cold = b->set + b->set_floats * (size_t)s,
              *fresh = b->set + b->set_floats * (size_t)b->sets;
        b->job[s] = (struct kernel_job){.c = b->c, .work = work};
        b->order[s] = (uint32_t)s;
        for (int k = 0; k < b->operands; k++) {
            float **const from = b->fresh[k] ? &fresh : &cold;
            b->job[s].x[k] = *from;
            *from += room(b->floats[k]);
        }
    }
    struct rng r = rng_make(1, rng_stream("rotation"));
    rng_shuffle(&r, b->order, (size_t)b->sets);
}

/* ---- calls --------------------------------------------------------------------------------- */

static const struct kernel_job *take(const struct bench *b, uint32_t i)
{
    return &b->job[b->rotated == 1 ? 0 : b->order[i % (uint32_t)b->rotated]];
}

static bool any_peer(void)
{
    for (int p = 0; p < PEERS; p++)
        if (peer_there(p))
            return true;
    return false;
}

/* Ops before and behind split their work in another way: each thread takes lines in turns. What is
 * fresh is written ... */
static void hand_over(const struct bench *b, const struct crew *crew)
{
    volatile float *const fresh = b->set + b->set_floats * (size_t)b->sets;
    for (size_t i = (size_t)crew->thread * LINE; i < b->fresh_floats;
         i += (size_t)crew->threads * LINE) {
        const float same = fresh[i];
        fresh[i] = same;
    }
}

/* ... and what has been made is read. */
static void hand_on(const struct bench *b, const struct kernel_job *job, const struct crew *crew)
{
    for (int k = 0; k < b->operands; k++) {
        const volatile float *const x = job->x[k];
        if (case_passed_on(b->c, k))
            for (size_t i = (size_t)crew->thread * LINE; i < b->floats[k];
                 i += (size_t)crew->threads * LINE)
                (void)x[i];
    }
}

/* Threads meet after every call, as they do in a step. */
static void work(void *arg, const struct crew *crew)
{
    struct bench *b = arg;
    const bool handed = b->rotated > 1 && b->threads > 1 && b->fresh_floats && !any_peer();
    int64_t ns = 0, start;
    crew_wait(crew);
    start = clock_ns();
    for (int64_t i = 0; i < b->calls; i++) {
        const struct kernel_job *const job = take(b, b->next + (uint32_t)i);
        if (handed) {
            hand_over(b, crew);
            crew_wait(crew);
            start = clock_ns();
        }
        b->call->run(job, crew);
        crew_wait(crew);
        if (handed) {
            ns += clock_ns() - start;
            hand_on(b, job, crew);
        }
    }
    if (crew->thread == 0)
        b->seconds = (double)(handed ? ns : clock_ns() - start) * 1e-9;
}

static double ours(void *arg, int64_t calls)
{
    struct bench *b = arg;
    b->calls = calls;
    crew_run(b->threads, work, b);
    b->next += (uint32_t)(calls % b->sets);
    return b->seconds;
}

static double theirs(void *arg, int64_t calls)
{
    struct bench *b = arg;
    const int64_t start = clock_ns();
    for (int64_t i = 0; i < calls; i++) {
        const struct kn_gemm g = case_gemm(take(b, b->next + (uint32_t)i));
        peer_gemm(b->peer, &g, 0);
    }
    b->next += (uint32_t)(calls % b->sets);
    return (double)(clock_ns() - start) * 1e-9;
}

/* ---- the truth --------------------------------------------------------------------------------
 */

/* Everything up to SAMPLED elements of an operand, evenly spread beyond. */
static void compare(const struct bench *b, const struct kernel_job *before, int k,
                    struct bench_result *r, double *error, double *largest)
{
    const size_t n = b->floats[k], stride = n / SAMPLED + 1;
    for (size_t i = 0; i < n; i += stride) {
        double bound;
        const double want = b->call->want(before, k, i, &bound), got = (double)b->job[0].x[k][i];
        const double off = got == want || (isnan(got) && isnan(want)) ? 0 : fabs(got - want);
        const double units = isnan(off) ? INFINITY : off / bound;
        *error = isnan(off) ? INFINITY : fmax(*error, off);
        *largest = fmax(*largest, fabs(want));
        r->of_bound = fmax(r->of_bound, off == 0 ? 0 : units);
    }
}

/* One call, looked at: against the plain version in double, which sees updated operands as they
 * were. */
static void check(struct bench *b, struct bench_result *r)
{
    double error = 0, largest = 0;
    struct kernel_job before = b->job[0];
    r->residual = r->of_bound = NAN;
    if (!b->call->want)
        return;
    for (int k = 0; k < b->operands; k++)
        if (strchr("uq", b->call->roles[k])) {
            before.x[k] = xmalloc(b->floats[k] * sizeof(float));
            memcpy(before.x[k], b->job[0].x[k], b->floats[k] * sizeof(float));
        }
    b->rotated = 1;
    (void)ours(b, 1);
    if (b->call->finish)
        b->call->finish(&b->job[0]);
    r->of_bound = 0;
    for (int k = 0; k < b->operands; k++)
        if (strchr("wuqk", b->call->roles[k]))
            compare(b, &before, k, r, &error, &largest);
    r->residual = largest > 0 ? error / largest : error;
    r->failed = !(r->of_bound <= 1);
    for (int k = 0; k < b->operands; k++)
        if (strchr("uq", b->call->roles[k]))
            free(before.x[k]);
}

/* ---- the roof --------------------------------------------------------------- */

/* Ceilings of one instruction set on so many threads, each measured when first asked for. */
struct roof {
    const struct kn_table *table;
    int threads;
    double flops, bandwidth[PEAK_LEVELS];
};

static struct roof *roof_of(int threads)
{
    enum { ROOFS = 32 };
    static struct roof roofs[ROOFS];
    int i = 0;
    while (i < ROOFS - 1 && roofs[i].table &&
           !(roofs[i].table == kn && roofs[i].threads == threads))
        i++;
    if (roofs[i].table != kn || roofs[i].threads != threads)
        roofs[i] = (struct roof){.table = kn, .threads = threads};
    return &roofs[i];
}

/* `again`: whatever was measured before, the larger stands. */
static double bandwidth(struct roof *roof, int level, bool again)
{
    double *const top = &roof->bandwidth[level];
    if (*top == 0 || again)
        *top = fmax(*top, peak_bandwidth(roof->threads, peak_working_set(level, roof->threads)));
    return *top;
}

static double roof_at(const struct bench_result *r, int level, bool again)
{
    struct roof *const roof = roof_of(r->threads);
    const double moved = bandwidth(roof, level, again);
    if (!isfinite(r->flops))
        return moved;
    if (roof->flops == 0 || again)
        roof->flops = fmax(roof->flops, peak_flops(r->threads));
    return fmin(roof->flops, moved * r->flops / r->bytes);
}

static void place(const struct bench_setting *set, const struct bench_result *r,
                  struct bench_temperature *t)
{
    t->rate = (isfinite(r->flops) ? r->flops : r->bytes) / t->time.median;
    t->share = set->no_roof ? NAN : t->rate / roof_at(r, t->level, false);
    for (int i = 0; i < AGAIN && t->share > 1; i++) /* then the roof was measured beside others */
        t->share = t->rate / roof_at(r, t->level, true);
}

/* ---- all of it -------------------------------------------------------------- */

static void measure(struct bench *b, const struct bench_setting *set, struct bench_result *r)
{
    char name[CASE_TEXT], full[CASE_TEXT + 16];
    for (int t = 0; t < BENCH_TEMPERATURES; t++) {
        b->rotated = t == BENCH_HOT ? 1 : b->sets;
        snprintf(full, sizeof full, "%s/%s/%s", case_name(b->c, b->threads, name), kn->isa,
                 bench_temperature_name[t]);
        timer_measure(set->timer, full, ours, b, set->min_s, set->repeats, &r->at[t].time);
        const double each = (double)b->set_floats * sizeof(float),
                     fresh = (double)b->fresh_floats * sizeof(float);
        r->at[t].level = peak_level_of(each * b->rotated + fresh, b->threads);
        place(set, r, &r->at[t]);
    }
}

static void measure_peers(struct bench *b, const struct bench_setting *set, struct bench_result *r)
{
    struct timing time;
    for (b->peer = 0; b->peer < PEERS; b->peer++) {
        r->peer_s[b->peer][BENCH_HOT] = r->peer_s[b->peer][BENCH_COLD] = NAN;
        if (b->c->kernel != KERNEL_gemm_f32 || b->c->d[CASE_EPILOGUE] || !peer_there(b->peer))
            continue;
        peer_threads(b->peer, b->threads);
        for (int t = 0; t < BENCH_TEMPERATURES; t++) {
            b->rotated = t == BENCH_HOT ? 1 : b->sets;
            timer_measure(set->timer, peer_names[b->peer], theirs, b, set->min_s, set->repeats,
                          &time);
            r->peer_s[b->peer][t] = time.median;
        }
    }
}

void bench_kernel(const struct kernel_case *c, int threads, const struct bench_setting *set,
                  struct bench_result *r)
{
    static struct bench b; /* large, and used by one at a time */
    const struct kernel_call *call = kernel_calls[c->kernel];
    memset(&b, 0, sizeof b);
    b.c = c;
    b.call = call;
    b.threads = threads;
    *r = (struct bench_result){.c = c,
                               .isa = kn->isa,
                               .threads = threads,
                               .flops = call->flops ? call->flops(c) : NAN,
                               .bytes = case_bytes(c)};
    lay_out(&b, set->from_memory);
    fill_first(&b);
    check(&b, r);
    fill_first(&b);
    for (int s = 1; s < b.sets; s++)
        memcpy(b.set + b.set_floats * (size_t)s, b.set, b.set_floats * sizeof(float));
    measure(&b, set, r);
    measure_peers(&b, set, r);
    mem_unmap(b.job[0].work, b.work_bytes);
}

const char *bench_unit(const struct bench_result *r)
{
    return isfinite(r->flops) ? "GFLOP/s" : "GB/s";
}
