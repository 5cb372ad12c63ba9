/* t_counters.c — counting by a source that is made up: wraps, turns on the PMU, events that do not
 * open, events that vanish; then by what this machine has. */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <unistd.h>

#include "base/crew.h"
#include "base/mem.h"
#include "perf/counter_names.h"
#include "perf/counters.h"
#include "tap.h"

/* ---- a source that counts what the test says -------------------------------- */

enum { FAKES = 6 };
static const char *const fake_names[FAKES] = {"cycles",     "instructions", "l2-misses",
                                              "llc-misses", "branches",     "context-switches"};
static struct counter_raw now[FAKES]; /* what the next read gives */
static const char *broken[FAKES];     /* why an event does not open */
static int opened, closed, only_first_thread;

static bool fake_knows(struct counter_event *event)
{
    for (uint64_t i = 0; i < FAKES; i++)
        if (counter_same(fake_names[i], event->name)) {
            event->config = i;
            return true;
        }
    return false;
}

struct fake {
    int n;
    uint64_t event[COUNTERS_MOST];
};

static void *fake_open(const struct counter_event *event, int n, int tid, char (*why)[COUNTER_WHY])
{
    struct fake *f = xcalloc(1, sizeof *f);
    f->n = n;
    for (int i = 0; i < n; i++) {
        f->event[i] = event[i].config;
        if (broken[event[i].config])
            snprintf(why[i], COUNTER_WHY, "%s", broken[event[i].config]);
        else if (only_first_thread && tid != getpid())
            snprintf(why[i], COUNTER_WHY, "thread %d is gone", tid);
    }
    opened++;
    return f;
}

static void fake_read(void *group, struct counter_raw *raw)
{
    const struct fake *f = group;
    for (int i = 0; i < f->n; i++)
        raw[i] = now[f->event[i]];
}

static void fake_close(void *group)
{
    closed++;
    free(group);
}

static const struct counter_source narrow = {"perf",     32,        true,      "made up",
                                             fake_knows, fake_open, fake_read, fake_close};
static const struct counter_source each_thread = {"perf",     64,        false,     "made up",
                                                  fake_knows, fake_open, fake_read, fake_close};
static const struct counter_source *const fakes[] = {&narrow, NULL};
static const struct counter_source *const threaded[] = {&each_thread, NULL};
static const struct counter_source *const fake_then_rusage[] = {&narrow, &counter_rusage, NULL};

static void start_fakes(void)
{
    for (int i = 0; i < FAKES; i++) {
        now[i] = (struct counter_raw){0, 0, 0, true};
        broken[i] = NULL;
    }
    opened = closed = only_first_thread = 0;
}

static void advance(int i, uint64_t count, int64_t enabled_ns, int64_t running_ns)
{
    now[i].count += count;
    now[i].enabled_ns += enabled_ns;
    now[i].running_ns += running_ns;
}

static struct counters *made(const char *list, const struct counter_source *const *sources,
                             int regions)
{
    struct err err = {0};
    struct counters *c = counters_new(list, sources, &err);
    if (!c) {
        printf("Bail out! %s\n", err.text);
        exit(1);
    }
    counters_open(c, regions);
    return c;
}

static struct counter_reading reading(const struct counters *c, int region, int i)
{
    struct counter_reading r;
    counters_get(c, region, i, &r);
    return r;
}

/* ---- what is added to what ------------------------------------------------------ */

static void regions(void)
{
    start_fakes();
    struct counters *c = made("cycles,instructions", fakes, 3);
    advance(0, 1000, 100, 100); /* before the first lap: nobody's */
    counters_lap(c, COUNTERS_NOWHERE);
    advance(0, 10, 50, 50);
    counters_lap(c, 1);
    advance(0, 7, 50, 50);
    advance(1, 3, 50, 50);
    counters_lap(c, 2);
    advance(0, 5, 50, 50);
    counters_lap(c, 0);
    is_near(reading(c, 1, 0).value, 10, 0, "a lap goes to its region");
    is_near(reading(c, 2, 0).value, 7, 0, "the next to the next");
    is_near(reading(c, 2, 1).value, 3, 0, "every event on its own");
    is_near(reading(c, 0, 0).value, 22, 0, "region 0 has them all");
    is_int(reading(c, 0, 0).enabled_ns, 150, "and their time");
    is_near(reading(c, 1, 1).value, 0, 0, "a measured zero is 0");
    is_str(reading(c, 1, 1).reason, "", "without a reason");
    counters_free(c);
    is_int(opened - closed, 0, "what was opened is closed");
}

static void wraps(void)
{
    start_fakes();
    now[0].count = 0xfffffff0;
    struct counters *c = made("cycles", fakes, 1);
    counters_lap(c, COUNTERS_NOWHERE);
    now[0].count = 0x20;
    counters_lap(c, 0);
    is_near(reading(c, 0, 0).value, 0x30, 0, "a counter of 32 bits that passes 0");
    now[0].count = 0x1f;
    counters_lap(c, 0);
    is_near(reading(c, 0, 0).value, 0x30 + 4294967295.0, 0, "and once more, almost all around");
    counters_free(c);
}

static void multiplexed(void)
{
    start_fakes();
    struct counters *c = made("cycles,instructions,branches", fakes, 2);
    advance(0, 300, 1000, 250);
    advance(1, 300, 1000, 1000);
    advance(4, 0, 1000, 0);
    counters_lap(c, 1);
    const struct counter_reading part = reading(c, 1, 0), whole = reading(c, 1, 1),
                                 never = reading(c, 1, 2);
    is_near(part.value, 1200, 0, "counted for a quarter of the time: times four");
    ok(part.running_ns < part.enabled_ns, "and marked: %d of %d ns", (int)part.running_ns,
       (int)part.enabled_ns);
    ok(whole.value == 300 && whole.running_ns == whole.enabled_ns, "its neighbour is exact");
    ok(isnan(never.value), "an event that never had its turn is not 0");
    ok(strstr(never.reason, "turn"), "and says so: %s", never.reason);
    advance(4, 8, 1000, 500);
    counters_lap(c, 1);
    is_near(reading(c, 1, 2).value, 32, 0, "a turn later it is an estimate over all the time");
    counters_free(c);
}

static void failing(void)
{
    start_fakes();
    broken[2] = "this machine shows no PMU";
    struct counters *c = made("cycles,l2miss,branches", fakes, 1);
    advance(0, 5, 10, 10);
    advance(4, 6, 10, 10);
    counters_lap(c, 0);
    const struct counter_reading r = reading(c, 0, 1);
    ok(isnan(r.value) && r.enabled_ns == -1, "an event that does not open has no value");
    is_str(r.reason, "this machine shows no PMU", "but the reason");
    is_str(r.event, "l2-misses", "its name is ours, however it was typed");
    is_near(reading(c, 0, 0).value, 5, 0, "the one before it counts");
    is_near(reading(c, 0, 2).value, 6, 0, "and the one behind it");
    counters_free(c);

    broken[5] = "not permitted";
    c = made("context-switches", fake_then_rusage, 1);
    is_str(reading(c, 0, 0).source, "rusage", "a second source takes what the first cannot");
    ok(isfinite(reading(c, 0, 0).value), "and counts it");
    counters_free(c);
}

static void vanishing(void)
{
    start_fakes();
    struct counters *c = made("cycles,instructions", fakes, 2);
    advance(0, 5, 10, 10);
    advance(1, 5, 10, 10);
    counters_lap(c, 1);
    now[0] = (struct counter_raw){0}; /* here is false */
    counters_lap(c, 1);
    ok(isnan(reading(c, 1, 0).value), "a sum with a hole is no sum");
    ok(strstr(reading(c, 1, 0).reason, "stopped"), "%s", reading(c, 1, 0).reason);
    is_near(reading(c, 1, 1).value, 5, 0, "the other event goes on");
    counters_free(c);
}

/* ---- threads ------------------------------------------------------------------- */

static struct counters *shared;

static void lap_here(void *arg, const struct crew *crew)
{
    (void)arg;
    for (int i = 0; i < 100; i++)
        counters_lap_here(shared, 1 + crew->thread);
}

static void nothing(void *arg, const struct crew *crew)
{
    (void)arg;
    crew_wait(crew);
}

static void threads(void)
{
    start_fakes();
    crew_run(3, nothing, NULL);
    shared = made("cycles", threaded, 4);
    const int groups = opened - 1; /* one was for trying */
    ok(groups >= 3, "a group for each of %d threads", groups);
    advance(0, 7, 10, 10);
    crew_run(3, lap_here, NULL);
    for (int t = 0; t < 3; t++)
        is_near(reading(shared, 1 + t, 0).value, 7, 0, "thread %d took its own", t);
    is_near(reading(shared, 0, 0).value, 21, 0, "together they are the whole");
    counters_free(shared);

    start_fakes();
    only_first_thread = 1;
    shared = made("cycles", threaded, 1);
    ok(isnan(reading(shared, 0, 0).value), "one thread that cannot be counted: no sum");
    counters_free(shared);
}

/* ---- names ----------------------------------------------------------------------- */

static void names(void)
{
    ok(counter_same("l2miss", "L2-misses") && counter_same("page_faults", "page-fault"),
       "case, hyphens and plurals do not matter");
    ok(!counter_same("cycles", "ref-cycles") && !counter_same("l1d-misses", "l2-misses"),
       "other events are other events");
    struct err err = {0};
    ok(!counters_new("cycles,instrucions", fakes, &err) && err.status == EXIT_USAGE,
       "an unknown name is refused");
    ok(strstr(err.text, "'instructions'") && strstr(err.text, "task-clock"),
       "with the nearest and all: %.90s…", err.text);
    err = (struct err){0};
    ok(!counters_new("cycles,,branches", fakes, &err) && err.status == EXIT_USAGE, "%s", err.text);
    ok(!counters_new("", fakes, &err), "an empty list too");
    struct counters *c = counters_new("cycles,Cycle,branches", fakes, &err);
    is_int(c ? counters_count(c) : -1, 2, "an event asked for twice is one");
    counters_free(c);
    for (const char *const *n = counter_names(); *n; n++)
        if (!(c = counters_new(*n, NULL, &err)))
            ok(0, "%s: no source knows it", *n);
        else
            counters_free(c);
    ok(1, "every name of ours has a source");
}

/* ---- this machine -------------------------------------------------------------------- */

static void touch(size_t pages)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *block =
        mmap(NULL, pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(block, pages * page, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < pages; i++)
        ((volatile char *)block)[i * page] = 1;
    munmap(block, pages * page);
}

/* Whoever counts: either the right number, or none and the reason. Sanitizers touch pages of
 * their own beside ours. */
static void faults_by(const struct counter_source *source)
{
    const struct counter_source *const one[] = {source, NULL};
    struct counters *c = made("page-faults", one, 1);
    counters_lap(c, COUNTERS_NOWHERE);
    touch(1000);
    counters_lap(c, 0);
    const struct counter_reading r = reading(c, 0, 0);
    if (*r.reason)
        ok(isnan(r.value), "%s: %s", source->name, r.reason);
    else
        ok(r.value >= 1000 && r.value < 10000, "%s: %g faults for 1000 new pages", source->name,
           r.value);
    counters_free(c);
}

static void here(void)
{
    faults_by(&counter_perf);
    faults_by(&counter_rusage);
    struct counters *c = made("cycles,instructions,l2-misses,task-clock,PAPI_TOT_CYC", NULL, 1);
    volatile double x = 1;
    for (int i = 0; i < 3000000; i++)
        x = x * 1.0000001;
    counters_lap(c, 0);
    for (int i = 0; i < counters_count(c); i++) {
        const struct counter_reading r = reading(c, 0, i);
        ok(*r.reason ? isnan(r.value) : r.value > 1e5, "%s: %s", r.event,
           *r.reason ? r.reason : r.source);
    }
    counters_free(c);
    printf("# PAPI: %s\n", counter_papi_absent());
}

int main(void)
{
    regions();
    wraps();
    multiplexed();
    failing();
    vanishing();
    threads();
    names();
    here();
    return done();
}
