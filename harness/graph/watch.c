/* watch.c — what a program notes down while it runs: the time of each op on each
 * thread, a trace of it, or the floating-point operations that its kernels count.
 *
 * A thread's time is cut at the ends of its ops and of the barriers behind them, and
 * every piece belongs to a slot; from before the team is called until it is gone, so
 * that the mean over the threads, summed over the slots, is the step's own time. No
 * barrier is added: what is measured is the step as it runs unwatched. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "graph/exec.h"
#include "kernels/count.h"

static int slots(const struct program *p) { return p->count + 2; }

void watch_make(struct program *p)
{
    const size_t n = (size_t)slots(p);
    p->watch = arena_alloc(p->arena, (size_t)p->options.threads * sizeof *p->watch);
    for (int t = 0; t < p->options.threads; t++) {
        p->watch[t].ns = arena_alloc(p->arena, 2 * n * sizeof(int64_t));
        p->watch[t].flops = arena_alloc(p->arena, n * sizeof(double));
        p->watch[t].applied = arena_alloc(p->arena, n * sizeof(double));
    }
}

static size_t trace_bytes(const struct program *p)
{
    return (size_t)p->trace_room * 2 * (size_t)slots(p) * sizeof(struct span);
}

void watch_release(struct program *p)
{
    for (int t = 0; p->trace_room && t < p->options.threads; t++)
        mem_unmap(p->watch[t].spans, trace_bytes(p));
}

void program_trace_room(struct program *p, int steps)
{
    assert(!p->trace_room && steps > 0);
    p->trace_room = steps;
    for (int t = 0; t < p->options.threads; t++) {
        p->watch[t].spans = mem_map(trace_bytes(p));
        memset(p->watch[t].spans, 0, trace_bytes(p)); /* its pages are there before the steps */
    }
}

/* ------------------------------------------------------------- around a step */

void watch_begin(struct program *p)
{
    if (!p->watching)
        return;
    if (p->watching == WATCH_FLOPS)
        kn_count(true);
    const int64_t now = clock_ns();
    for (int t = 0; t < p->options.threads; t++) {
        struct watch *w = &p->watch[t];
        memset(w->ns, 0, 2 * (size_t)slots(p) * sizeof *w->ns);
        if (p->watching == WATCH_FLOPS) {
            memset(w->flops, 0, (size_t)slots(p) * sizeof *w->flops);
            memset(w->applied, 0, (size_t)slots(p) * sizeof *w->applied);
        }
        w->last = now;
    }
}

/* The step's times join the sums, or with sign -1 leave them. */
static void add_times(struct program *p, int sign)
{
    const int threads = p->options.threads;
    for (int s = 0; s < slots(p); s++) {
        int64_t work = 0, wait = 0;
        for (int t = 0; t < threads; t++) {
            work += p->watch[t].ns[2 * s];
            wait += p->watch[t].ns[2 * s + 1];
        }
        p->told[s].ns += sign * ((work + wait) / threads);
        p->told[s].wait_ns += sign * (wait / threads);
    }
    p->timed += sign;
}

void watch_end(struct program *p)
{
    if (!p->watching)
        return;
    for (int t = 0; t < p->options.threads && p->watching != WATCH_FLOPS; t++)
        watch_note(p, t, slots(p) - 1, true); /* until all had left */
    if (p->watching == WATCH_TIMES)
        add_times(p, 1);
    if (p->watching == WATCH_TRACE)
        p->traced++;
    if (p->watching == WATCH_FLOPS) {
        kn_count(false);
        p->counted = true;
        p->watching = p->after_count;
    }
}

void watch_note(struct program *p, int thread, int slot, bool waited)
{
    struct watch *w = &p->watch[thread];
    if (p->watching == WATCH_FLOPS) {
        w->flops[slot] += waited ? 0.0 : kn_flops;
        w->applied[slot] += w->applying;
        w->applying = kn_flops = 0.0;
        return;
    }
    const int64_t now = clock_ns();
    const size_t part = 2 * (size_t)slot + waited;
    if (p->watching == WATCH_TIMES) {
        w->ns[part] += now - w->last;
    } else {
        const size_t turn = (size_t)(p->traced % p->trace_room);
        w->spans[turn * 2 * (size_t)slots(p) + part] = (struct span){w->last, now};
    }
    w->last = now;
}

/* What reading counters costs is in no op's time. */
void watch_lap(struct program *p, int thread, int slot)
{
    p->lap(p->lap_arg, slot);
    p->watch[thread].last = clock_ns();
}

void program_laps(struct program *p, void (*lap)(void *arg, int slot), void *arg)
{
    p->lap = lap;
    p->lap_arg = arg;
}

/* ------------------------------------------------------------------- asking */

void program_watch(struct program *p, int what)
{
    static const int watching[] = {WATCH_NOTHING, WATCH_TIMES, WATCH_TRACE};
    assert(what != PROGRAM_TRACED || p->trace_room);
    p->watching = watching[what];
}

void program_time_steps(struct program *p, bool on)
{
    program_watch(p, on ? PROGRAM_TIMED : PROGRAM_PLAIN);
    if (!on)
        return;
    p->timed = 0;
    for (int s = 0; s < slots(p); s++)
        p->told[s].ns = p->told[s].wait_ns = 0;
}

long long program_timed(const struct program *p) { return p->timed; }

void program_forget(struct program *p)
{
    assert(p->timed > 0);
    add_times(p, -1);
}

bool program_event(const struct program *p, int thread, int i, struct program_event *event)
{
    const int parts = 2 * slots(p);
    const long long kept = p->traced < p->trace_room ? p->traced : p->trace_room;
    if (i < 0 || i >= kept * parts)
        return false;
    const int turn = (int)(p->traced - kept) + i / parts;
    const struct span *span =
        &p->watch[thread]
             .spans[(size_t)(turn % p->trace_room) * (size_t)parts + (size_t)(i % parts)];
    *event = (struct program_event){.begin = span->begin,
                                    .end = span->end,
                                    .step = i % parts / 2,
                                    .turn = turn,
                                    .waiting = i % 2};
    return true;
}

/* --------------------------------------------------------------------- FLOPs */

void program_count(struct program *p)
{
    p->after_count = p->watching == WATCH_FLOPS ? p->after_count : p->watching;
    p->watching = WATCH_FLOPS;
    for (int t = 0; t < p->options.threads; t++)
        memset(p->watch[t].flops, 0, (size_t)slots(p) * sizeof(double));
}

/* A batch that is not full has labels of -1, whose rows are left out: then the formula is the
 * most that can be counted. */
static bool leaves_out(const struct exec *e)
{
    for (int k = 0; k < e->step.node->inputs; k++) {
        const struct node *in = e->step.in_node[k];
        const int32_t *index = e->step.in[k];
        for (size_t i = 0; in->type == NN_I32 && i < shape_elements(&in->shape); i++)
            if (index[i] < 0)
                return true;
    }
    return false;
}

static bool agree(double formula, double count, bool most)
{
    static const double share = 0.01, few = 8.0;
    const double off = count - formula, allowed = fmax(share * fmax(formula, count), few);
    return off <= allowed && (most || -off <= allowed);
}

bool program_audit(struct program *p, struct err *err)
{
    assert(p->counted);
    for (int s = 0; s < slots(p); s++) {
        struct program_step *told = &p->told[s];
        double count = 0.0, applied = 0.0;
        for (int t = 0; t < p->options.threads; t++) {
            count += p->watch[t].flops[s] - p->watch[t].applied[s];
            applied += p->watch[t].applied[s];
        }
        if (s == 0 || s == slots(p) - 1)
            told->flops = count;
        else if (p->audited)
            continue;
        else if (agree(told->flops, count, leaves_out(&p->exec[s - 1])))
            told->flops += applied;
        else
            return err_set(err,
                           "FLOP audit: %s%s%s %s: %.0f by its formula, %.0f counted by its "
                           "kernels",
                           told->row, *told->row ? ": " : "", told->op, told->shape, told->flops,
                           count);
    }
    p->audited = true;
    return true;
}
