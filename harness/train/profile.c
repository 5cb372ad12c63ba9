/* profile.c — see profile.h. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "train/profile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kernels/kernels.h"
#include "perf/roofs.h"
#include "stats/order.h"
#include "train/loop.h"
#include "train/steady.h"
#include "train/trace.h"

enum { WARM_LEAST = 10, WARM_MOST = 50, STRETCH_MOST = 64, COUNTED = 100 };
enum { KINDS = PROGRAM_TRACED + 1 };
static const double warm_ns = 3e8, stretch_ns = 2e7, progress_ns = 2e8, disturbed = 1.25;

/* Step times of one kind, in ns. */
struct times {
    double *ns;
    size_t n, room;
};

/* Of the quieter steps: on a busy machine even the median is mostly other people's work. */
static double quiet(const struct times *t)
{
    double *const sorted = xmalloc((t->n + 1) * sizeof *sorted);
    for (size_t i = 0; i < t->n; i++)
        sorted[i] = t->ns[i];
    order_sort(sorted, t->n);
    const double decile = t->n ? order_quantile(sorted, t->n, 0.10) : (double)NAN;
    free(sorted);
    return decile;
}

struct profile {
    struct trainer *t;
    const struct run_spec *spec;
    struct gauges *gauges;
    const struct run_sink *sink;
    struct run_end *end;
    struct times all[KINDS];
    double limit; /* a timed step beyond is disturbed; ns */
    long long left_out;
    double kept_ns; /* of the timed steps that count */
    int epoch;
    int64_t began, told;
    bool stop;
};

static void add(struct times *t, double ns)
{
    if (t->n == t->room) {
        t->room = t->room ? 2 * t->room : 256;
        t->ns = xrealloc(t->ns, t->room * sizeof *t->ns);
    }
    t->ns[t->n++] = ns;
}

static double median(const double *ns, size_t n) { return steady_of(ns, n).median; }

/* --------------------------------------------------------------------- one step */

static void stop(struct profile *f, int status, const char *reason)
{
    f->end->status = status;
    snprintf(f->end->reason, sizeof f->end->reason, "%.*s", RUN_TEXT - 1, reason);
    f->stop = true;
}

static void tell_progress(struct profile *f, int64_t now)
{
    const struct trainer *t = f->t;
    const struct run_progress p = {.epoch = f->epoch,
                                   .step = t->steps,
                                   .loss = (double)program_loss(t->program),
                                   .accuracy = NAN,
                                   .samples_per_s = NAN,
                                   .eta_s = NAN};
    f->told = now;
    if (f->sink->progress)
        f->sink->progress(f->sink->arg, &p);
}

/* The next batch, of the next epoch when this one has none left. */
static void feed_on(struct profile *f)
{
    struct trainer *t = f->t;
    if (!trainer_next(t))
        trainer_start(t, ++f->epoch);
    if (t->steps >= t->steps_all)
        stop(f, RUN_OK, "all steps of the recipe");
}

/* Its time; NAN when it failed. */
static double step(struct profile *f)
{
    struct trainer *t = f->t;
    struct err wrong;
    const bool first = t->steps == 0;
    if (first)
        trainer_count(t);
    const int64_t before = clock_ns();
    const bool finite = trainer_step(t);
    const int64_t after = clock_ns();
    if (!finite)
        stop(f, RUN_FAILED, program_blame(t->program));
    else if (!trainer_audit(t, &wrong))
        stop(f, RUN_FAILED, wrong.text);
    else if (loop_stop)
        stop(f, RUN_INTERRUPTED, "interrupted");
    if (f->stop)
        return NAN;
    feed_on(f);
    if ((double)(after - f->told) >= progress_ns)
        tell_progress(f, after);
    return (double)(after - before);
}

/* ---------------------------------------------------------------------- stretches */

static void keep(struct profile *f, int kind, double ns)
{
    add(&f->all[kind], ns);
    if (kind != PROGRAM_TIMED)
        return;
    if (ns <= f->limit) {
        f->kept_ns += ns;
        return;
    }
    program_forget(f->t->program);
    f->left_out++;
}

static void stretch(struct profile *f, int kind, int steps)
{
    program_watch(f->t->program, kind);
    for (int i = 0; i < steps && !f->stop; i++) {
        const double ns = step(f);
        if (isfinite(ns))
            keep(f, kind, ns);
    }
    program_watch(f->t->program, PROGRAM_PLAIN);
}

/* One stretch of each kind; every other round backwards, so that no kind always comes after the
 * same other. */
static void round_of(struct profile *f, int kinds, int steps, bool backwards)
{
    for (int i = 0; i < kinds; i++) {
        stretch(f, backwards ? kinds - 1 - i : i, steps);
        if (f->all[PROGRAM_PLAIN].n)
            f->limit = disturbed * quiet(&f->all[PROGRAM_PLAIN]);
    }
}

/* The length of a stretch. */
static int warm_up(struct profile *f)
{
    struct times warm = {0};
    const int64_t before = clock_ns();
    for (int i = 0; i < WARM_MOST && !f->stop; i++) {
        const double ns = step(f);
        if (isfinite(ns))
            add(&warm, ns);
        if (i + 1 >= WARM_LEAST && (double)(clock_ns() - before) > warm_ns)
            break;
    }
    const double ns = quiet(&warm);
    free(warm.ns);
    f->limit = disturbed * ns;
    const double steps = isfinite(ns) ? stretch_ns / ns : 1.0;
    return steps < 1.0 ? 1 : steps > STRETCH_MOST ? STRETCH_MOST : (int)steps;
}

static bool enough(const struct profile *f, int64_t since)
{
    if (f->spec->profile_steps > 0)
        return program_timed(f->t->program) >= f->spec->profile_steps;
    return (double)(clock_ns() - since) >= f->spec->profile_s * 1e9;
}

static void measure(struct profile *f)
{
    const int kinds = f->spec->trace ? KINDS : PROGRAM_TRACED;
    if (f->spec->trace)
        program_trace_room(f->t->program, PROFILE_TRACE);
    trainer_start(f->t, 0);
    int steps = warm_up(f);
    if (f->spec->profile_steps > 0 && steps > f->spec->profile_steps)
        steps = (int)f->spec->profile_steps;
    program_time_steps(f->t->program, true);
    const int64_t since = clock_ns();
    const long long first = f->t->steps;
    gauges_open(f->gauges, f->t->program, false);
    for (int i = 0; !f->stop; i++) {
        round_of(f, kinds, steps, i % 2);
        if (enough(f, since))
            break;
    }
    gauges_close(f->gauges, f->t->program, f->t->steps - first);
}

/* Steps that are counted and not timed. */
static void count_events(struct profile *f)
{
    const long long first = f->t->steps;
    if (!f->gauges->counters || f->stop)
        return;
    gauges_open(f->gauges, f->t->program, true);
    while (!f->stop && f->t->steps - first < COUNTED)
        (void)step(f);
    gauges_close(f->gauges, f->t->program, f->t->steps - first);
}

/* ------------------------------------------------------------------------ telling */

/* Keeps the higher of what was measured before and now: what disturbs only lowers a ceiling. */
static void add_roof(struct run_profile *out, const char *name, const char *more, double value)
{
    char whole[RUN_NAME];
    snprintf(whole, sizeof whole, "%s%s", name, more);
    for (int i = 0; i < RUN_METRICS; i++) {
        struct run_metric *roof = &out->roof[i];
        if (roof->name[0] && strcmp(roof->name, whole) != 0)
            continue;
        snprintf(roof->name, sizeof roof->name, "%s", whole);
        roof->value = fmax(roof->value, value);
        return;
    }
}

/* Arithmetic of every instruction set that runs here, and the bandwidths. */
static void measure_roofs(struct run_profile *out, int threads)
{
    static const char *const names[] = {"read_l1", "read_l2", "read_l3", "read_dram"};
    struct roofs r;
    roofs_measure(&r, threads);
    add_roof(out, "peak_flops", "", r.flops);
    for (int level = 0; level < PEAK_LEVELS; level++)
        add_roof(out, names[level], "", r.read[level]);
    for (int i = 0; kn_tables[i]; i++)
        if (kn_tables[i] != kn && kn_runs_here(kn_tables[i]))
            add_roof(out, "peak_flops_", kn_tables[i]->isa,
                     roofs_flops_of(kn_tables[i]->isa, threads));
}

void profile_tell_layers(const struct program *p, const struct run_sink *sink)
{
    int n;
    const struct program_step *s = program_steps(p, &n);
    const double timed = (double)program_timed(p);
    for (int i = 0; sink->layer && timed > 0 && i < n; i++) {
        struct run_layer out = {
            .pass = s[i].pass,
            .macs = s[i].macs,
            .flops = s[i].flops,
            .bytes = s[i].bytes,
            .ns = (double)s[i].ns / timed,
            .wait_ns = (double)s[i].wait_ns / timed,
        };
        snprintf(out.row, sizeof out.row, "%s", s[i].row ? s[i].row : "");
        snprintf(out.op, sizeof out.op, "%s", s[i].op ? s[i].op : "");
        snprintf(out.shape, sizeof out.shape, "%s", s[i].shape);
        snprintf(out.kernel, sizeof out.kernel, "%s", s[i].kernel ? s[i].kernel : "");
        snprintf(out.at, sizeof out.at, "%s", s[i].at ? s[i].at : "");
        sink->layer(sink->arg, &out);
    }
}

static void sum_up(struct profile *f, struct run_profile *out)
{
    const struct times *plain = &f->all[PROGRAM_PLAIN];
    const struct steady s = steady_of(plain->ns, plain->n);
    const long long timed = program_timed(f->t->program);
    out->plain_ms = s.median * 1e-6;
    out->timed_ms = median(f->all[PROGRAM_TIMED].ns, f->all[PROGRAM_TIMED].n) * 1e-6;
    out->traced_ms = median(f->all[PROGRAM_TRACED].ns, f->all[PROGRAM_TRACED].n) * 1e-6;
    out->timed_cost = quiet(&f->all[PROGRAM_TIMED]) / quiet(plain) - 1.0;
    out->traced_cost = quiet(&f->all[PROGRAM_TRACED]) / quiet(plain) - 1.0;
    out->mean_ms = timed > 0 ? f->kept_ns / (double)timed * 1e-6 : (double)NAN;
    out->steps = timed;
    out->left_out = f->left_out;
    f->end->steps = f->t->steps;
    f->end->step_ms_median = s.median * 1e-6;
    f->end->step_ms_mad = s.mad * 1e-6;
    f->end->step_ms_min = s.min * 1e-6;
    f->end->samples_per_s = (double)f->t->plan.batch / (s.median * 1e-9);
    f->end->time_s = (double)(clock_ns() - f->began) * 1e-9;
    f->end->steady = steady_judge(plain->ns, plain->n, f->end->unsteady);
    f->end->noise = f->gauges->noise.sum;
    (void)noise_taint(&f->end->noise, f->end->tainted);
}

bool profile_run(struct trainer *t, const struct run_spec *spec, struct gauges *gauges,
                 const struct run_sink *sink, void (*say)(const char *what), struct run_end *end,
                 struct err *err)
{
    struct profile f = {.t = t, .spec = spec, .gauges = gauges, .sink = sink, .end = end};
    struct run_profile out = {0};
    if (say)
        say("measuring the roofs");
    measure_roofs(&out, t->plan.threads);
    if (say)
        say("profiling");
    f.began = f.told = clock_ns();
    measure(&f);
    count_events(&f);
    sum_up(&f, &out);
    measure_roofs(&out, t->plan.threads);
    char *const explain = spec->explain ? program_explain(t->program) : NULL;
    out.explain = explain;
    profile_tell_layers(t->program, sink);
    gauges_tell(gauges, t->program, sink);
    if (sink->profile)
        sink->profile(sink->arg, &out);
    free(explain);
    for (int kind = 0; kind < KINDS; kind++)
        free(f.all[kind].ns);
    return !spec->trace || end->status != RUN_OK || trace_write(spec->trace, t, gauges, err);
}
