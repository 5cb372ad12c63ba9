/* worker.c — one run in a worker, heard from the parent: see run.h. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/frame.h"
#include "train/run.h"
#include "train/sample.h"
#include "train/spawn.h"
#include "train/wire.h"

const char *const run_status_name[] = {"ok",  "failed",  "crashed",    "timeout",
                                       "oom", "refused", "interrupted"};

struct hearing {
    const struct run_sink *sink;
    struct run_end end;
    bool ended;
    int samples;
    long long steps; /* as far as we heard */
    struct err err;  /* what made no sense */
};

static bool hear_plan(struct hearing *h, const json_t *json)
{
    struct run_plan plan = {0};
    if (!wire_unpack(wire_plan, json, &plan, &h->err))
        return false;
    if (h->sink->plan)
        h->sink->plan(h->sink->arg, &plan);
    return true;
}

static bool hear_progress(struct hearing *h, const json_t *json)
{
    struct run_progress progress = {0};
    if (!wire_unpack(wire_progress, json, &progress, &h->err))
        return false;
    h->steps = progress.step;
    if (h->sink->progress)
        h->sink->progress(h->sink->arg, &progress);
    return true;
}

static bool are_metrics(int n) { return n >= 0 && n <= RUN_METRICS; }

static bool hear_epoch(struct hearing *h, const json_t *json)
{
    struct run_epoch epoch = {0};
    if (!wire_unpack(wire_epoch, json, &epoch, &h->err))
        return false;
    const bool fine = are_metrics(epoch.metrics) && epoch.warm <= epoch.steps;
    h->steps = epoch.step;
    if (fine && h->sink->epoch)
        h->sink->epoch(h->sink->arg, &epoch);
    free((double *)epoch.step_ns);
    return fine || err_set(&h->err, "an epoch with impossible counts");
}

static bool hear_sample(struct hearing *h, const json_t *json)
{
    struct run_sample sample;
    if (h->samples++ == RUN_SAMPLES)
        return err_set(&h->err, "more than %d samples", RUN_SAMPLES);
    if (!sample_of(json, &sample, &h->err))
        return false;
    if (h->sink->sample)
        h->sink->sample(h->sink->arg, &sample);
    sample_release(&sample);
    return true;
}

static bool hear_layer(struct hearing *h, const json_t *json)
{
    struct run_layer layer = {0};
    if (!wire_unpack(wire_layer, json, &layer, &h->err))
        return false;
    if (h->sink->layer)
        h->sink->layer(h->sink->arg, &layer);
    return true;
}

static bool hear_counter(struct hearing *h, const json_t *json)
{
    struct run_counter counter = {0};
    if (!wire_unpack(wire_counter, json, &counter, &h->err))
        return false;
    if (h->sink->counter)
        h->sink->counter(h->sink->arg, &counter);
    return true;
}

static bool hear_profile(struct hearing *h, const json_t *json)
{
    struct run_profile profile = {0};
    if (!wire_unpack(wire_profile, json, &profile, &h->err))
        return false;
    if (h->sink->profile)
        h->sink->profile(h->sink->arg, &profile);
    return true;
}

static bool hear_end(struct hearing *h, const json_t *json)
{
    struct run_end end = {0};
    if (!wire_unpack(wire_end, json, &end, &h->err))
        return false;
    if (!are_metrics(end.metrics) || end.status < RUN_OK || end.status > RUN_INTERRUPTED ||
        end.steady < RUN_STEADY_UNKNOWN || end.steady > RUN_UNSTEADY)
        return err_set(&h->err, "an end with impossible numbers");
    h->end = end;
    h->ended = true;
    return true;
}

static void hear_phase(void *arg, const char *phase)
{
    const struct hearing *h = arg;
    if (h->sink->phase)
        h->sink->phase(h->sink->arg, phase);
}

static bool hear(void *arg, int type, const json_t *json)
{
    static bool (*const by_type[FRAME_TYPES])(struct hearing * h, const json_t *json) = {
        [FRAME_PLAN] = hear_plan,       [FRAME_PROGRESS] = hear_progress,
        [FRAME_EPOCH] = hear_epoch,     [FRAME_LAYER] = hear_layer,
        [FRAME_COUNTER] = hear_counter, [FRAME_END] = hear_end,
        [FRAME_PROFILE] = hear_profile, [FRAME_SAMPLE] = hear_sample,
    };
    struct hearing *h = arg;
    if (h->ended || !by_type[type])
        return err_set(&h->err, "a message out of place");
    return by_type[type](h, json);
}

/* What the worker could not say itself. */
static void end_for_it(struct hearing *h, const struct spawn_end *s)
{
    static const int status[] = {
        [SPAWN_EXITED] = RUN_CRASHED, [SPAWN_SIGNALLED] = RUN_CRASHED, [SPAWN_NO_MEMORY] = RUN_OOM,
        [SPAWN_SILENT] = RUN_TIMEOUT, [SPAWN_GARBLED] = RUN_CRASHED,
    };
    struct run_end *e = &h->end;
    char why[256];
    const bool badly = s->fate != SPAWN_EXITED || s->exit_code != 0;
    if (h->ended && !badly)
        return;
    if (!h->ended)
        *e = (struct run_end){.step_ms_median = NAN,
                              .step_ms_mad = NAN,
                              .step_ms_min = NAN,
                              .samples_per_s = NAN,
                              .train_loss = NAN,
                              .time_s = NAN,
                              .harness_s = NAN,
                              .steps = h->steps};
    e->signal = s->signal;
    e->exit_code = s->exit_code;
    if (s->interrupted) {
        e->status = RUN_INTERRUPTED;
        snprintf(e->reason, sizeof e->reason, "interrupted");
        return;
    }
    e->status = status[s->fate];
    spawn_reason(s, why);
    int n = *why ? snprintf(e->reason, sizeof e->reason, "%s", why)
                 : snprintf(e->reason, sizeof e->reason, "ended without a word in %s", s->phase);
    if (h->steps > 0 && !h->ended)
        n += snprintf(e->reason + n, sizeof e->reason - (size_t)n, ", after step %lld", h->steps);
    if (s->fate == SPAWN_GARBLED && h->err.text[0])
        snprintf(e->reason + n, sizeof e->reason - (size_t)n, ": %.200s", h->err.text);
}

bool worker_run(const struct run_spec *spec, const struct run_sink *sink, double silence_s,
                struct err *err)
{
    struct hearing h = {.sink = sink};
    struct spawn_end s = {0};
    json_t *job = json_pack("{s:s, s:o}", "task", "run", "spec", wire_pack(wire_spec, spec));
    const struct spawn how = {
        .job = job, .silence_s = silence_s, .phase = hear_phase, .frame = hear, .arg = &h};
    struct err why = {0};
    const bool started = wire_fits(wire_spec, spec, &why) && spawn_worker(&how, &s, &why);
    json_decref(job);
    end_for_it(&h, &s);
    if (!started) {
        h.end.status = RUN_FAILED;
        snprintf(h.end.reason, sizeof h.end.reason, "%.*s", RUN_TEXT - 1, why.text);
        err_status(err, why.status, "%s", why.text);
    }
    h.end.peak_rss_bytes = (long long)s.usage.ru_maxrss * 1024;
    h.end.involuntary_switches = s.usage.ru_nivcsw;
    h.end.major_faults = s.usage.ru_majflt;
    if (sink->end)
        sink->end(sink->arg, &h.end);
    return started;
}
