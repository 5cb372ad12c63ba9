/* counters_rusage.c — what getrusage(2) counts for the whole process, on any system and without
 * any permission; see counters.h. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/mem.h"
#include "perf/counter_names.h"
#include "perf/counters.h"

static uint64_t microseconds(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

static uint64_t user_us(const struct rusage *u) { return microseconds(u->ru_utime); }
static uint64_t system_us(const struct rusage *u) { return microseconds(u->ru_stime); }
static uint64_t minor(const struct rusage *u) { return (uint64_t)u->ru_minflt; }
static uint64_t major(const struct rusage *u) { return (uint64_t)u->ru_majflt; }
static uint64_t faults(const struct rusage *u) { return minor(u) + major(u); }
static uint64_t voluntary(const struct rusage *u) { return (uint64_t)u->ru_nvcsw; }
static uint64_t involuntary(const struct rusage *u) { return (uint64_t)u->ru_nivcsw; }
static uint64_t switches(const struct rusage *u) { return voluntary(u) + involuntary(u); }

static const struct {
    const char *name;
    uint64_t (*of)(const struct rusage *u);
} known[] = {
    /* clang-format off */
    {"user-time", user_us},             {"system-time", system_us},
    {"minor-faults", minor},            {"major-faults", major},
    {"page-faults", faults},            {"voluntary-switches", voluntary},
    {"involuntary-switches", involuntary}, {"context-switches", switches},
    /* clang-format on */
};

static bool knows(struct counter_event *event)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (counter_same(known[i].name, event->name)) {
            event->config = i;
            return true;
        }
    return false;
}

struct group {
    int n;
    uint64_t field[COUNTERS_MOST];
    int64_t since;
};

static void *open_all(const struct counter_event *event, int n, int tid, char (*why)[COUNTER_WHY])
{
    struct group *g = xcalloc(1, sizeof *g);
    (void)tid;
    (void)why; /* it can always be asked */
    g->n = n;
    g->since = clock_ns();
    for (int i = 0; i < n; i++)
        g->field[i] = event[i].config;
    return g;
}

static void read_all(void *group, struct counter_raw *raw)
{
    const struct group *g = group;
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    const int64_t ns = clock_ns() - g->since;
    for (int i = 0; i < g->n; i++)
        raw[i] = (struct counter_raw){known[g->field[i]].of(&u), ns, ns, true};
}

const struct counter_source counter_rusage = {
    .name = "rusage",
    .bits = 64,
    .whole = true,
    .about = "getrusage(2)",
    .knows = knows,
    .open = open_all,
    .read = read_all,
    .close = free,
};
