/* counters_perf.c — events by perf_event_open(2), without any library; see counters.h.
 *
 * Hardware events are counted in user mode only: that is what our code does, and what a kernel
 * with perf_event_paranoid = 2 permits. Software events need the kernel's side too: a context
 * switch happens in the kernel, so that asking for user mode would give a 0 that means nothing.
 *
 * Events are opened in groups of GROUP, which the kernel puts on the PMU together: ratios such
 * as instructions per cycle then come from the same moments. A group that is too large for the
 * PMU would never run, hence not more. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "perf/counter_names.h"
#include "perf/counters.h"
#include "perf/pmu.h"

enum { GROUP = 4 };

#define CACHE(level, access, result)                                        \
    (PERF_COUNT_HW_CACHE_##level | (PERF_COUNT_HW_CACHE_OP_##access << 8) | \
     (PERF_COUNT_HW_CACHE_RESULT_##result << 16))

/* clang-format off */
static const struct counter_event known[] = {
    {"cycles",           PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
    {"ref-cycles",       PERF_TYPE_HARDWARE, PERF_COUNT_HW_REF_CPU_CYCLES},
    {"instructions",     PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
    {"branches",         PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_INSTRUCTIONS},
    {"branch-misses",    PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES},
    {"cache-references", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_REFERENCES},
    {"cache-misses",     PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES},
    {"stalled-frontend", PERF_TYPE_HARDWARE, PERF_COUNT_HW_STALLED_CYCLES_FRONTEND},
    {"stalled-backend",  PERF_TYPE_HARDWARE, PERF_COUNT_HW_STALLED_CYCLES_BACKEND},
    {"l1d-loads",        PERF_TYPE_HW_CACHE, CACHE(L1D, READ, ACCESS)},
    {"l1d-misses",       PERF_TYPE_HW_CACHE, CACHE(L1D, READ, MISS)},
    {"llc-loads",        PERF_TYPE_HW_CACHE, CACHE(LL, READ, ACCESS)},
    {"llc-misses",       PERF_TYPE_HW_CACHE, CACHE(LL, READ, MISS)},
    {"dtlb-misses",      PERF_TYPE_HW_CACHE, CACHE(DTLB, READ, MISS)},
    {"itlb-misses",      PERF_TYPE_HW_CACHE, CACHE(ITLB, READ, MISS)},
    {"task-clock",       PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK},
    {"page-faults",      PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
    {"minor-faults",     PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MIN},
    {"major-faults",     PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MAJ},
    {"context-switches", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES},
    {"cpu-migrations",   PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS},
};
/* clang-format on */

static bool knows(struct counter_event *event)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (counter_same(known[i].name, event->name)) {
            event->type = known[i].type;
            event->config = known[i].config;
            return true;
        }
    return false;
}

struct group {
    int n;
    int fd[COUNTERS_MOST];     /* -1: not counted */
    int leader[COUNTERS_MOST]; /* index of the first of its kernel group */
};

static int open_event(const struct counter_event *e, int tid, int leader)
{
    struct perf_event_attr attr = {
        .type = e->type,
        .size = sizeof attr,
        .config = e->config,
        .exclude_kernel = e->type != PERF_TYPE_SOFTWARE,
        .exclude_hv = 1,
        .read_format =
            PERF_FORMAT_GROUP | PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
    };
    return (int)syscall(SYS_perf_event_open, &attr, tid, -1, leader, PERF_FLAG_FD_CLOEXEC);
}

static void tell_why(const struct counter_event *e, int cause, char why[COUNTER_WHY])
{
    const bool nothing = cause == ENOENT || cause == ENODEV || cause == EOPNOTSUPP;
    char pmu[160];
    if (cause == EACCES || cause == EPERM)
        snprintf(why, COUNTER_WHY,
                 "not permitted: /proc/sys/kernel/perf_event_paranoid must be "
                 "1 or less");
    else if (nothing && e->type != PERF_TYPE_SOFTWARE && !pmu_hardware(pmu))
        snprintf(why, COUNTER_WHY, "%.*s", COUNTER_WHY - 1, pmu);
    else if (nothing)
        snprintf(why, COUNTER_WHY, "this CPU has no such event");
    else
        snprintf(why, COUNTER_WHY, "perf_event_open: %s", strerror(cause));
}

/* Joins the group that is being filled when there is room, else begins one. */
static void open_in_group(struct group *g, int i, const struct counter_event *e, int tid,
                          int *leader, int *members)
{
    g->fd[i] = *leader >= 0 && *members < GROUP ? open_event(e, tid, g->fd[*leader]) : -1;
    if (g->fd[i] >= 0) {
        g->leader[i] = *leader;
        ++*members;
        return;
    }
    g->fd[i] = open_event(e, tid, -1);
    if (g->fd[i] < 0)
        return;
    g->leader[i] = *leader = i;
    *members = 1;
}

static void *open_all(const struct counter_event *event, int n, int tid, char (*why)[COUNTER_WHY])
{
    struct group *g = xcalloc(1, sizeof *g);
    int leader[2] = {-1, -1}, members[2] = {0, 0};
    g->n = n;
    for (int i = 0; i < n; i++) {
        const int kind = event[i].type == PERF_TYPE_SOFTWARE;
        open_in_group(g, i, &event[i], tid, &leader[kind], &members[kind]);
        if (g->fd[i] < 0)
            tell_why(&event[i], errno, why[i]);
    }
    return g;
}

/* What the kernel gives for a group: as many values as members, in the order of their opening. */
struct answer {
    uint64_t n, enabled_ns, running_ns, value[COUNTERS_MOST];
};

static void read_all(void *group, struct counter_raw *raw)
{
    const struct group *g = group;
    struct answer a;
    for (int i = 0; i < g->n; i++)
        raw[i] = (struct counter_raw){0};
    for (int first = 0; first < g->n; first++) {
        if (g->fd[first] < 0 || g->leader[first] != first)
            continue;
        const ssize_t got = read(g->fd[first], &a, sizeof a);
        uint64_t k = 0;
        for (int i = first; i < g->n && got > 0; i++) {
            if (g->fd[i] < 0 || g->leader[i] != first || k >= a.n)
                continue;
            raw[i] = (struct counter_raw){a.value[k++], (int64_t)a.enabled_ns,
                                          (int64_t)a.running_ns, true};
        }
    }
}

static void close_all(void *group)
{
    struct group *g = group;
    for (int i = 0; i < g->n; i++)
        if (g->fd[i] >= 0)
            close(g->fd[i]);
    free(g);
}

const struct counter_source counter_perf = {
    .name = "perf",
    .bits = 64,
    .about = "perf_event_open(2)",
    .knows = knows,
    .open = open_all,
    .read = read_all,
    .close = close_all,
};
