/* gauges.c — see gauges.h. */
#include "train/gauges.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

static const int64_t tick_ns = INT64_C(20000000000); /* RAPL wraps after a minute at the earliest */

bool gauges_init(struct gauges *g, const struct run_spec *spec, struct err *err)
{
    *g = (struct gauges){.by_op = spec->profile};
    noise_init(&g->noise, "");
    energy_init(&g->energy, "");
    if (spec->counters)
        g->counters = counters_new(spec->counters, NULL, err);
    return g->counters || !spec->counters;
}

void gauges_release(struct gauges *g)
{
    counters_free(g->counters);
    g->counters = NULL;
}

int gauges_region(int step) { return 1 + step; }

static int regions_of(const struct gauges *g, const struct program *p)
{
    int ops = 0;
    if (g->by_op)
        (void)program_steps(p, &ops);
    return 1 + ops;
}

/* On every thread, behind every op. */
static void lap(void *arg, int slot)
{
    const struct gauges *g = arg;
    counters_lap_here(g->counters, gauges_region(slot));
}

void gauges_open(struct gauges *g, struct program *p, bool count)
{
    g->counting = g->counters && count;
    if (g->counting && !g->opened)
        counters_open(g->counters, regions_of(g, p)); /* allocates: before the ledger looks */
    g->opened = g->opened || g->counting;
    noise_open(&g->noise);
    energy_open(&g->energy);
    g->ticked = clock_ns();
    if (g->counting)
        counters_lap(g->counters, COUNTERS_NOWHERE);
    if (g->counting && g->by_op)
        program_laps(p, lap, g);
}

void gauges_pause(struct gauges *g) { noise_pause(&g->noise); }
void gauges_resume(struct gauges *g) { noise_resume(&g->noise); }

void gauges_tick(struct gauges *g, int64_t now)
{
    if (!g->ticked || now - g->ticked < tick_ns)
        return;
    energy_tick(&g->energy);
    g->ticked = now;
}

void gauges_close(struct gauges *g, struct program *p, long long steps)
{
    if (g->counting) {
        counters_lap(g->counters, 0);
        program_laps(p, NULL, NULL);
        g->counted += steps;
        g->counting = false;
    }
    energy_close(&g->energy);
    g->ticked = 0;
    noise_close(&g->noise, steps);
}

/* ---- telling ------------------------------------------------------------------- */

/* "C1 conv2d forward": what the profile's line is, for people; the number tells equals apart. */
static void name_region(const struct program *p, int layer, char region[RUN_NAME])
{
    static const char *const passes[] = {"forward", "backward", "update", "feed"};
    int n = 0;
    const struct program_step *s = program_steps(p, &n);
    if (layer < 0) {
        snprintf(region, RUN_NAME, "steps");
        return;
    }
    const char *const row = s[layer].row ? s[layer].row : "", *const op = s[layer].op;
    const char *const pass = passes[s[layer].pass];
    snprintf(region, RUN_NAME, "%d%s%.20s%s%.20s%s%s", layer, *row ? " " : "", row, op ? " " : "",
             op ? op : "", op && strcmp(op, pass) == 0 ? "" : " ",
             op && strcmp(op, pass) == 0 ? "" : pass);
}

static void tell_event(const struct gauges *g, const struct program *p, int region, int event,
                       const struct run_sink *sink)
{
    struct counter_reading r;
    struct run_counter out = {.layer = region - 1, .steps = g->counted};
    counters_get(g->counters, region, event, &r);
    out.value = r.value;
    out.enabled_ns = r.enabled_ns;
    out.running_ns = r.running_ns;
    name_region(p, out.layer, out.region);
    memcpy(out.event, r.event, sizeof out.event);
    memcpy(out.source, r.source, sizeof out.source);
    memcpy(out.reason, r.reason, sizeof out.reason);
    sink->counter(sink->arg, &out);
}

static void tell_energy(const struct gauges *g, const struct energy_domain *d, const char *why,
                        const struct run_sink *sink)
{
    const bool began = g->noise.sum.steps > 0;
    struct run_counter out = {.region = "steps",
                              .layer = -1,
                              .source = "rapl",
                              .value = d && began ? d->joules : (double)NAN,
                              .enabled_ns = -1,
                              .running_ns = -1,
                              .steps = g->noise.sum.steps};
    snprintf(out.event, sizeof out.event, "energy%s%s", d ? " " : "", d ? d->name : "");
    snprintf(out.reason, sizeof out.reason, "%s",
             *why || began ? why : "the run ended before its timed steps began");
    sink->counter(sink->arg, &out);
}

void gauges_tell(const struct gauges *g, const struct program *p, const struct run_sink *sink)
{
    if (!sink->counter)
        return;
    for (int i = 0; i < g->energy.domains; i++)
        tell_energy(g, &g->energy.domain[i], g->energy.domain[i].why, sink);
    if (g->energy.domains == 0)
        tell_energy(g, NULL, g->energy.why, sink);
    for (int i = 0; g->counters && i < counters_count(g->counters); i++) {
        struct counter_reading whole;
        counters_get(g->counters, 0, i, &whole);
        const int regions = *whole.reason ? 1 : regions_of(g, p); /* the reason once is enough */
        for (int r = 0; r < regions; r++)
            tell_event(g, p, r, i, sink);
    }
}
