/* trace.c — see trace.h. The format: "Trace Event Format" (Duca & Sinclair), events M, X, C. */
#include "train/trace.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/path.h"

static const char *const pass_name[] = {"forward", "backward", "update", "feed"};

struct trace {
    FILE *f;
    const struct trainer *t;
    const struct program_step *step;
    const struct gauges *gauges; /* whose counts have tracks; NULL: none */
    int64_t zero;                /* clock_ns() that is 0 in the file */
    int events;
};

static double us(int64_t ns) { return (double)ns * 1e-3; }

/* What no JSON string may hold becomes \u00xx; the bytes of a plugin's names that are no ASCII, ?.
 */
static void string(FILE *f, const char *s)
{
    fputc('"', f);
    for (; *s; s++) {
        const unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            fprintf(f, "\\%c", c);
        else if (c < 0x20)
            fprintf(f, "\\u%04x", c);
        else
            fputc(c < 0x80 ? c : '?', f);
    }
    fputc('"', f);
}

static void begin(struct trace *w, const char *kind)
{
    fprintf(w->f, "%s{\"ph\":\"%s\",\"pid\":1", w->events++ ? ",\n" : "", kind);
}

/* The name of the process, or of one of its threads (from 0). */
static void name(struct trace *w, int thread, const char *what, const char *text)
{
    begin(w, "M");
    fprintf(w->f, ",\"tid\":%d,\"name\":\"%s\",\"args\":{\"name\":", thread, what);
    string(w->f, text);
    fputs("}}", w->f);
}

/* "C1 conv2d"; what belongs to no row by its op alone. */
static void label(struct trace *w, const struct program_step *s, bool waiting)
{
    char text[256];
    snprintf(text, sizeof text, "%s%s%s%s", waiting ? "wait: " : "", s->row, *s->row ? " " : "",
             s->op);
    string(w->f, text);
}

static void slice(struct trace *w, int thread, const struct program_event *e)
{
    const struct program_step *s = &w->step[e->step];
    begin(w, "X");
    fprintf(w->f, ",\"tid\":%d,\"ts\":%.3f,\"dur\":%.3f,\"cat\":\"%s\",\"name\":", thread,
            us(e->begin - w->zero), us(e->end - e->begin),
            e->waiting ? "wait" : pass_name[s->pass]);
    label(w, s, e->waiting);
    if (!e->waiting) {
        fprintf(w->f, ",\"args\":{\"step\":%d,\"row\":", e->turn);
        string(w->f, s->row);
        fputs(",\"shape\":", w->f);
        string(w->f, s->shape);
        fputs(",\"kernel\":", w->f);
        string(w->f, s->kernel);
        fprintf(w->f, ",\"flops\":%.0f,\"bytes\":%.0f}", s->flops, s->bytes);
    }
    fputc('}', w->f);
}

/* The rate of the op that begins, by its time on the first thread. */
static void rate(struct trace *w, const struct program_event *e)
{
    const double flops = e->waiting ? 0.0 : w->step[e->step].flops;
    begin(w, "C");
    fprintf(w->f, ",\"ts\":%.3f,\"name\":\"GFLOP/s\",\"args\":{\"GFLOP/s\":%.3f}}",
            us(e->begin - w->zero), flops / (double)(e->end - e->begin));
}

/* What was counted in the op that begins, all threads, by its time on the first: in counted steps,
 * which are others than the traced ones, so the mean of those. */
static void counts(struct trace *w, const struct program_event *e)
{
    const struct gauges *const g = w->gauges;
    for (int i = 0; g && g->counted > 0 && i < counters_count(g->counters); i++) {
        struct counter_reading r;
        counters_get(g->counters, gauges_region(e->step), i, &r);
        if (*r.reason)
            continue;
        begin(w, "C");
        fprintf(w->f, ",\"ts\":%.3f,\"name\":", us(e->begin - w->zero));
        string(w->f, r.event);
        fprintf(w->f, ",\"args\":{\"per us\":%.6g}}",
                e->waiting ? 0.0 : r.value / (double)g->counted / us(e->end - e->begin));
    }
}

static void thread_track(struct trace *w, int thread)
{
    struct program_event e;
    char text[32];
    snprintf(text, sizeof text, "thread %d", thread);
    name(w, thread, "thread_name", text);
    for (int i = 0; program_event(w->t->program, thread, i, &e); i++) {
        if (e.end <= e.begin) /* did not happen, or faster than the clock ticks */
            continue;
        slice(w, thread, &e);
        if (thread != 0)
            continue;
        rate(w, &e);
        counts(w, &e);
    }
}

static int64_t earliest(const struct trainer *t)
{
    struct program_event e;
    int64_t first = INT64_MAX;
    for (int thread = 0; thread < t->plan.threads; thread++)
        for (int i = 0; program_event(t->program, thread, i, &e); i++)
            if (e.end > e.begin && e.begin < first)
                first = e.begin;
    return first;
}

bool trace_write(const char *path, const struct trainer *t, const struct gauges *gauges,
                 struct err *err)
{
    int steps;
    char title[2 * RUN_NAME + 32];
    struct trace w = {.f = path_create(path, err), .t = t, .zero = earliest(t)};
    w.gauges = gauges && gauges->counters && gauges->by_op ? gauges : NULL;
    if (!w.f)
        return false;
    w.step = program_steps(t->program, &steps);
    snprintf(title, sizeof title, "%s:%s, batch %d, %s", t->plan.plugin, t->plan.variant,
             t->plan.batch, t->plan.isa);
    fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n", w.f);
    name(&w, 0, "process_name", title);
    for (int thread = 0; thread < t->plan.threads; thread++)
        thread_track(&w, thread);
    fputs("\n]}\n", w.f);
    return path_close(w.f, path, err);
}
