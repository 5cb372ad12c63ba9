/* counters.c — a set of events on all threads of the process, added up by region; see
 * counters.h. What differs from source to source is in counters_<source>.c. */
#define _GNU_SOURCE
#include "perf/counters.h"

#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "perf/counter_names.h"

const struct counter_source *const counter_sources[] = {&counter_perf, &counter_papi,
                                                        &counter_rusage, NULL};

enum { THREADS_MOST = 4096 };

/* What one source counts on one thread. Only that thread, or one that knows it to be at rest,
 * takes its laps. */
struct lane {
    const struct counter_source *source;
    void *group;
    int tid;
    bool gone[COUNTERS_MOST];
    int n, event[COUNTERS_MOST]; /* which of the set's events; n of them */
    struct counter_raw last[COUNTERS_MOST];
    struct counter_raw *sum; /* [regions][n] */
};

struct counters {
    const struct counter_source *const *sources;
    int events, lanes, regions;
    char name[COUNTERS_MOST][COUNTER_NAME];
    const struct counter_source *by[COUNTERS_MOST]; /* who counts it, or would */
    char why[COUNTERS_MOST][COUNTER_WHY];           /* why it is not counted, or "" */
    struct lane *lane;
};

/* ---- names ------------------------------------------------------------------- */

static const struct counter_source *who_knows(const struct counter_source *const *sources,
                                              const char *name)
{
    for (int i = 0; sources[i]; i++)
        if (sources[i]->knows(&(struct counter_event){.name = name}))
            return sources[i];
    return NULL;
}

static bool refuse(const char *name, struct err *err)
{
    const char *const near = text_nearest(name, counter_names());
    struct text all = {0};
    for (const char *const *n = counter_names(); *n; n++)
        text_add(&all, "%s%s", all.length ? ", " : "", *n);
    err_status(err, EXIT_USAGE,
               "unknown event '%.60s'%s%s%s; `--counters list` tells what can be counted here: %s",
               name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "",
               text_str(&all));
    text_release(&all);
    return false;
}

static bool add_event(struct counters *c, const char *name, struct err *err)
{
    for (int i = 0; i < c->events; i++)
        if (counter_same(c->name[i], name))
            return true;
    if (c->events == COUNTERS_MOST)
        return err_status(err, EXIT_USAGE, "at most %d events at once", COUNTERS_MOST);
    const struct counter_source *by = who_knows(c->sources, name);
    if (!by)
        return refuse(name, err);
    const char *const ours = counter_our_name(name);
    c->by[c->events] = by;
    snprintf(c->why[c->events], COUNTER_WHY, "the run ended before its timed steps began");
    snprintf(c->name[c->events++], COUNTER_NAME, "%s", ours ? ours : name);
    return true;
}

struct counters *counters_new(const char *list, const struct counter_source *const *sources,
                              struct err *err)
{
    struct counters *c = xcalloc(1, sizeof *c);
    c->sources = sources ? sources : counter_sources;
    for (const char *at = list; at;) {
        char name[COUNTER_NAME];
        const size_t length = strcspn(at, ",");
        snprintf(name, sizeof name, "%.*s", (int)length, at);
        if (!(length ? add_event(c, name, err)
                     : err_status(err, EXIT_USAGE, "counters: an empty name in '%.200s'", list))) {
            free(c);
            return NULL;
        }
        at = at[length] ? at + length + 1 : NULL;
    }
    return c;
}

/* ---- opening ------------------------------------------------------------------- */

/* This process's threads; the calling one first. */
static int find_threads(int tid[THREADS_MOST])
{
    int n = 0;
    tid[n++] = gettid();
    DIR *d = opendir("/proc/self/task");
    for (const struct dirent *e; d && n < THREADS_MOST && (e = readdir(d));) {
        const int id = (int)strtol(e->d_name, NULL, 10); /* "." and "..": 0 */
        if (id > 0 && id != tid[0])
            tid[n++] = id;
    }
    if (d)
        closedir(d);
    return n;
}

/* The events that wait for a source and that this one knows. */
static int gather(const struct counters *c, const struct counter_source *s,
                  struct counter_event event[COUNTERS_MOST], int which[COUNTERS_MOST])
{
    int n = 0;
    for (int i = 0; i < c->events; i++) {
        event[n] = (struct counter_event){.name = c->name[i]};
        if (*c->why[i] && s->knows(&event[n]))
            which[n++] = i;
    }
    return n;
}

/* Tries them on this thread: those that open are the source's, the others wait for the next
 * source with the reason that they met first. */
static void settle(struct counters *c, const struct counter_source *s)
{
    struct counter_event event[COUNTERS_MOST];
    char why[COUNTERS_MOST][COUNTER_WHY];
    int which[COUNTERS_MOST];
    const int n = gather(c, s, event, which);
    if (n == 0)
        return;
    memset(why, 0, sizeof why);
    s->close(s->open(event, n, gettid(), why));
    for (int i = 0; i < n; i++) {
        if (*why[i] && s != c->by[which[i]])
            continue;
        memcpy(c->why[which[i]], why[i], COUNTER_WHY);
        c->by[which[i]] = s;
    }
}

static void open_lane(struct counters *c, const struct counter_source *s, int tid)
{
    struct counter_event event[COUNTERS_MOST];
    char why[COUNTERS_MOST][COUNTER_WHY];
    struct lane lane = {.source = s, .tid = tid};
    for (int i = 0; i < c->events; i++) {
        event[lane.n] = (struct counter_event){.name = c->name[i]};
        if (c->by[i] == s && !*c->why[i] && s->knows(&event[lane.n]))
            lane.event[lane.n++] = i;
    }
    if (lane.n == 0)
        return;
    memset(why, 0, sizeof why);
    lane.group = s->open(event, lane.n, tid, why);
    for (int i = 0; i < lane.n; i++)
        if (*why[i]) /* a sum over some of the threads would be no sum */
            memcpy(c->why[lane.event[i]], why[i], COUNTER_WHY);
    lane.sum = xcalloc((size_t)c->regions * (size_t)lane.n, sizeof *lane.sum);
    c->lane = xrealloc(c->lane, (size_t)(c->lanes + 1) * sizeof *c->lane);
    c->lane[c->lanes++] = lane;
}

void counters_open(struct counters *c, int regions)
{
    static int tid[THREADS_MOST];
    assert(c->lanes == 0 && regions > 0);
    c->regions = regions;
    for (int s = 0; c->sources[s]; s++)
        settle(c, c->sources[s]);
    const int threads = find_threads(tid); /* the caller first: it reads what counts for all */
    for (int s = 0; c->sources[s]; s++)
        for (int t = 0; t < (c->sources[s]->whole ? 1 : threads); t++)
            open_lane(c, c->sources[s], tid[t]);
    counters_lap(c, COUNTERS_NOWHERE);
}

void counters_free(struct counters *c)
{
    for (int i = 0; c && i < c->lanes; i++) {
        c->lane[i].source->close(c->lane[i].group);
        free(c->lane[i].sum);
    }
    if (c)
        free(c->lane);
    free(c);
}

/* ---- counting --------------------------------------------------------------------- */

/* Differences are taken modulo 2^bits, so that one wrap between two laps does no harm. */
static uint64_t between(uint64_t from, uint64_t to, int bits)
{
    const uint64_t mask = bits < 64 ? (UINT64_C(1) << bits) - 1 : UINT64_MAX;
    return (to - from) & mask;
}

static void add(struct counter_raw *sum, const struct counter_raw *d)
{
    sum->count += d->count;
    sum->enabled_ns += d->enabled_ns;
    sum->running_ns += d->running_ns;
}

static void lap(const struct counters *c, struct lane *l, int region)
{
    struct counter_raw now[COUNTERS_MOST];
    assert(region < c->regions);
    l->source->read(l->group, now);
    for (int i = 0; i < l->n; i++) {
        l->gone[i] = l->gone[i] || !now[i].here;
        const struct counter_raw d = {.count =
                                          between(l->last[i].count, now[i].count, l->source->bits),
                                      .enabled_ns = now[i].enabled_ns - l->last[i].enabled_ns,
                                      .running_ns = now[i].running_ns - l->last[i].running_ns};
        if (region >= 0)
            add(&l->sum[i], &d);
        if (region > 0)
            add(&l->sum[region * l->n + i], &d);
        l->last[i] = now[i];
    }
}

void counters_lap(struct counters *c, int region)
{
    for (int i = 0; i < c->lanes; i++)
        lap(c, &c->lane[i], region);
}

void counters_lap_here(struct counters *c, int region)
{
    static _Thread_local int tid;
    tid = tid ? tid : gettid();
    for (int i = 0; i < c->lanes; i++)
        if (c->lane[i].tid == tid)
            lap(c, &c->lane[i], region);
}

int counters_count(const struct counters *c) { return c->events; }

/* Adds one thread's part, stretched to the time that it was enabled. */
static void add_part(struct counter_reading *r, const struct counter_raw *part)
{
    r->enabled_ns += part->enabled_ns;
    r->running_ns += part->running_ns;
    if (part->enabled_ns > 0 && part->running_ns <= 0)
        snprintf(r->reason, sizeof r->reason,
                 "never had its turn on the PMU: ask for fewer events at once");
    else if (part->running_ns < part->enabled_ns)
        r->value += (double)part->count * (double)part->enabled_ns / (double)part->running_ns;
    else
        r->value += (double)part->count;
}

static void add_lane(struct counter_reading *r, const struct lane *l, int region, int event)
{
    for (int i = 0; i < l->n; i++) {
        if (l->event[i] != event)
            continue;
        if (l->gone[i])
            snprintf(r->reason, sizeof r->reason, "stopped answering while counting");
        else
            add_part(r, &l->sum[region * l->n + i]);
    }
}

void counters_get(const struct counters *c, int region, int i, struct counter_reading *r)
{
    *r = (struct counter_reading){.value = 0};
    snprintf(r->event, sizeof r->event, "%s", c->name[i]);
    snprintf(r->source, sizeof r->source, "%s", c->by[i]->name);
    memcpy(r->reason, c->why[i], COUNTER_WHY);
    for (int k = 0; k < c->lanes && !*c->why[i]; k++)
        add_lane(r, &c->lane[k], region, i);
    if (!*r->reason)
        return;
    r->value = NAN;
    if (r->enabled_ns == 0)
        r->enabled_ns = r->running_ns = -1;
}

/* ---- for people --------------------------------------------------------------------- */

static void print_list(FILE *out)
{
    fprintf(out, "%-20s %-8s %s\n", "event", "counted", "what it counts, or why it is not here");
    for (const char *const *name = counter_names(); *name; name++) {
        struct counters *c = counters_new(*name, NULL, NULL);
        struct counter_reading r;
        counters_open(c, 1);
        counters_get(c, 0, 0, &r);
        fprintf(out, "%-20s %-8s %s%s%s\n", *name, *r.reason ? "–" : r.source, counter_about(*name),
                *r.reason ? ": " : "", r.reason);
        counters_free(c);
    }
    const char *const absent = counter_papi_absent();
    fprintf(out, "\nPAPI: %s%s\n",
            *absent ? "not used: "
                    : "here; any of its presets and native events "
                      "by name too (papi_avail, papi_native_avail list them)",
            absent);
}

bool counters_listed(const char *list)
{
    const bool asked = list && strcmp(list, "list") == 0;
    if (asked)
        print_list(stdout);
    return asked;
}

bool counters_known(const char *list, struct err *err)
{
    struct counters *c = list ? counters_new(list, NULL, err) : NULL;
    counters_free(c);
    return c || !list;
}
