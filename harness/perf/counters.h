/* counters.h — events counted while regions of a run go by: cycles, cache misses, page faults.
 *
 *     struct counters *c = counters_new("cycles,instructions,l2miss", NULL, &err);
 *     counters_open(c, regions);            every thread of this process, as it is now
 *     counters_lap(c, COUNTERS_NOWHERE);    a region begins
 *     counters_lap(c, r);                   what happened since the last lap belongs to region r
 *     counters_get(c, r, i, &reading);      event i in region r, or why it was not counted
 *     counters_free(c);
 *
 * An event has a name of ours (counter_names.h has them) that a source knows how to count:
 * `perf` (the kernel's perf_event_open), `papi` (libpapi.so, when it was there at build time and
 * is there now; also any PAPI preset or native event by its own name) or `rusage`. What cannot be
 * counted is NAN with the reason, never 0.
 *
 * Multiplexing: when a machine counts fewer events at once than were asked for, the kernel takes
 * turns; value = count · enabled / running, and running_ns < enabled_ns marks it as an estimate.
 *
 * A lap costs a system call for each thread and four events, and more when the PMU of another
 * core must be asked. Nothing here allocates after counters_open(). */
#ifndef COUNTERS_H
#define COUNTERS_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { COUNTER_NAME = 64, COUNTER_WHY = 160, COUNTERS_MOST = 32, COUNTERS_NOWHERE = -1 };

/* ------------------------------------------------------------------- sources */

/* What is wanted of a source: an event by its name there, filled in by `knows`. */
struct counter_event {
    const char *name; /* ours, or the source's own */
    uint32_t type;    /* perf: type and config of the attributes; */
    uint64_t config;  /* papi: the event's code; rusage: which field */
};

/* One event of one group, since the group was opened. */
struct counter_raw {
    uint64_t count;
    int64_t enabled_ns, running_ns; /* equal where the source never takes turns */
    bool here;                      /* false: it has stopped answering */
};

/* Where numbers come from. A table of functions, so that tests can make events that wrap, take
 * turns, fail to open or vanish. */
struct counter_source {
    const char *name;  /* "perf", "papi", "rusage": as the database has it */
    int bits;          /* counts wrap at 2^bits; 1 … 64 */
    bool whole;        /* one group counts for the whole process, not for one thread */
    const char *about; /* for people */

    /* Whether it has an event of this name; fills the rest of *event. */
    bool (*knows)(struct counter_event *event);

    /* Opens n events on thread `tid`, each as it can: why[i] is "" for those that count, else the
     * reason. Never NULL: a group of nothing is one too. */
    void *(*open)(const struct counter_event *event, int n, int tid, char (*why)[COUNTER_WHY]);
    void (*read)(void *group, struct counter_raw *raw); /* n of them, in the order of open() */
    void (*close)(void *group);
};

/* All there are, the preferred first; ends with NULL. */
extern const struct counter_source *const counter_sources[];
extern const struct counter_source counter_perf, counter_papi, counter_rusage;

/* Why PAPI cannot be used, or "" when it can: not built in, no libpapi.so, refused. */
const char *counter_papi_absent(void);

/* -------------------------------------------------------------------- events */

struct counters;

/* `list` is names with commas between. `sources` NULL: counter_sources. NULL and *err (EXIT_USAGE,
 * with the nearest known name and all of them) for a name that nobody knows, or too many. */
__attribute__((warn_unused_result)) struct counters *
counters_new(const char *list, const struct counter_source *const *sources, struct err *err);
void counters_free(struct counters *c); /* NULL is allowed */

/* Starts counting on every thread that this process has now; laps go into `regions` regions,
 * 0 … regions - 1. */
void counters_open(struct counters *c, int regions);

/* Gives region r what was counted since the last lap (COUNTERS_NOWHERE: to none). Region 0 gets
 * what any other gets, too. counters_lap() is for all threads, while the others are at rest;
 * counters_lap_here() for the calling thread's own counts, by any number of threads at once. */
void counters_lap(struct counters *c, int region);
void counters_lap_here(struct counters *c, int region);

int counters_count(const struct counters *c);

struct counter_reading {
    char event[COUNTER_NAME], source[16]; /* source: which counted it, or would have */
    double value;                         /* scaled; NAN: not counted */
    char reason[COUNTER_WHY];             /* why not; "" */
    int64_t enabled_ns, running_ns;       /* running < enabled: multiplexed; -1: not counted */
};
void counters_get(const struct counters *c, int region, int i, struct counter_reading *r);

/* For --counters LIST. Whether all its names are known (NULL: yes); *err as counters_new(). */
__attribute__((warn_unused_result)) bool counters_known(const char *list, struct err *err);

/* When `list` is the word "list": every name with what it means, who counts it here, or why nobody
 * does, to stdout; and true. */
bool counters_listed(const char *list);

#endif
