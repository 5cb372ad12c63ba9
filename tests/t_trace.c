/* t_trace.c — what a program notes of its steps: times that add up to the step, a trace whose
 * slices fill each thread's time without a gap, and the same numbers computed as unwatched. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include <jansson.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "graph/program.h"
#include "kernels/kernels.h"
#include "tests/random_graph.h"
#include "tests/tap.h"
#include "train/trace.h"

enum { STEPS = 30, ROOM = 4 };

static struct nn_graph *graph;

static struct program *make(int threads)
{
    struct err err = {0};
    const struct program_options o = {.threads = threads, .train = true, .seed = 3};
    struct program *p = program_new(graph, &o, &err);
    const struct tensor *t;
    for (int i = 0; p && (t = program_tensor(p, TENSOR_INPUT, i)); i++)
        for (size_t e = 0; e < t->elements; e++)
            if (t->type == NN_F32)
                ((float *)t->data)[e] = (float)(e % 17) / 17.0f;
            else
                ((int32_t *)t->data)[e] = (int32_t)(e % RANDOM_CLASSES);
    return p;
}

static int64_t all_ns(const struct program *p)
{
    int n;
    int64_t ns = 0;
    const struct program_step *s = program_steps(p, &n);
    for (int i = 0; i < n; i++)
        ns += s[i].ns;
    return ns;
}

/* ------------------------------------------------------------------------ times */

static void test_sums(int threads)
{
    struct program *p = make(threads);
    int64_t wall = 0;
    bool fine = true;
    program_time_steps(p, true);
    for (int i = 0; i < STEPS; i++) {
        const int64_t before = clock_ns();
        fine = program_run(p) && fine;
        wall += clock_ns() - before;
    }
    is_int(program_timed(p), STEPS, "%d thread(s): %d steps timed", threads, STEPS);
    ok(fine && all_ns(p) <= wall, "ops take no longer than their steps");
    ok((double)all_ns(p) > 0.9 * (double)wall, "and no less: %.1f %% of the steps' own time",
       100.0 * (double)all_ns(p) / (double)wall);
    int n, wrong = 0;
    const struct program_step *s = program_steps(p, &n);
    for (int i = 0; i < n; i++)
        wrong += s[i].wait_ns < 0 || s[i].wait_ns > s[i].ns;
    is_int(wrong, 0, "waits are part of the times");
    program_free(p);
}

static void test_forgotten(void)
{
    struct program *p = make(2);
    program_time_steps(p, true);
    (void)!program_run(p);
    const int64_t one = all_ns(p);
    (void)!program_run(p);
    program_forget(p);
    is_int(all_ns(p), one, "a step forgotten leaves no time behind");
    is_int(program_timed(p), 1, "and does not count");
    program_watch(p, PROGRAM_PLAIN);
    (void)!program_run(p);
    is_int(all_ns(p), one, "a plain step adds nothing");
    program_time_steps(p, true);
    is_int(all_ns(p), 0, "starting again clears");
    program_free(p);
}

static void test_same_bits(void)
{
    struct program *plain = make(2), *watched = make(2);
    size_t n, m;
    program_trace_room(watched, ROOM);
    bool same = true;
    for (int kind = PROGRAM_PLAIN; kind <= PROGRAM_TRACED; kind++) {
        program_watch(watched, kind);
        same = program_run(plain) == program_run(watched) && same;
        const float *a = program_grads(plain, &n), *b = program_grads(watched, &m);
        same = same && n == m && memcmp(a, b, n * sizeof *a) == 0;
    }
    ok(same, "watching changes no bit");
    program_free(plain);
    program_free(watched);
}

/* ------------------------------------------------------------------------ events */

/* Slices of a thread in order, each beginning where the one before ended, inside one step. */
static void test_events(int threads)
{
    struct program *p = make(threads);
    program_trace_room(p, ROOM);
    program_watch(p, PROGRAM_TRACED);
    for (int i = 0; i < ROOM + 3; i++)
        (void)!program_run(p);
    int gaps = 0, turns = 0, events = 0, backwards = 0;
    for (int t = 0; t < threads; t++) {
        struct program_event e, before = {.turn = -1};
        for (int i = 0; program_event(p, t, i, &e); i++) {
            if (!e.begin)
                continue;
            events++;
            backwards += e.end < e.begin;
            turns += e.turn != before.turn;
            gaps += e.turn == before.turn && e.begin != before.end;
            before = e;
        }
    }
    is_int(turns, threads * ROOM, "%d thread(s): the last %d steps are kept", threads, ROOM);
    is_int(backwards, 0, "no slice ends before it begins");
    is_int(gaps, 0, "and no time between %d slices is lost", events);
    program_free(p);
}

/* -------------------------------------------------------------------------- file */

static json_t *written(struct trainer *t, const struct gauges *gauges, const char *path)
{
    struct err err = {0};
    json_error_t where;
    if (!ok(trace_write(path, t, gauges, &err), "a trace is written"))
        printf("# %s\n", err.text);
    json_t *j = json_load_file(path, 0, &where);
    if (!ok(j != NULL, "and is JSON"))
        printf("# line %d: %s\n", where.line, where.text);
    return j;
}

/* An event that any kernel counts has a track with a point for each op, one that nobody counts none:
 * microseconds on a CPU, so that an op of two threads can have two a microsecond. */
static void test_counts(struct trainer *t, const char *path)
{
    struct err err = {0};
    const struct run_spec spec = {.profile = true, .counters = "task-clock,page-faults"};
    struct gauges g;
    if (!ok(gauges_init(&g, &spec, &err), "gauges"))
        return;
    gauges_open(&g, t->program, true);
    for (int i = 0; i < STEPS; i++)
        (void)!program_run(t->program);
    gauges_close(&g, t->program, STEPS);
    json_t *const j = written(t, &g, path), *e;
    int points = 0, rates = 0, odd = 0;
    size_t i;
    json_array_foreach(json_object_get(j, "traceEvents"), i, e)
    {
        const char *const name = json_string_value(json_object_get(e, "name"));
        const bool counter = strcmp(json_string_value(json_object_get(e, "ph")), "C") == 0;
        const double v = json_number_value(json_object_get(json_object_get(e, "args"), "per us"));
        rates += counter && strcmp(name, "GFLOP/s") == 0;
        points += counter && strcmp(name, "task-clock") == 0;
        odd += counter && strcmp(name, "task-clock") == 0 && !(v >= 0 && isfinite(v));
    }
    struct counter_reading r;
    counters_get(g.counters, 0, 0, &r);
    ok(points == (*r.reason ? 0 : rates), "%d points of task-clock, %d of GFLOP/s%s%s", points,
       rates, *r.reason ? ": " : "", r.reason);
    is_int(odd, 0, "none of them negative or no number");
    json_decref(j);
    gauges_release(&g);
}

static void test_file(void)
{
    struct trainer t = {.program = make(2), .plan = {.threads = 2, .batch = 16, .isa = "any"}};
    snprintf(t.plan.plugin, sizeof t.plan.plugin, "a \"quoted\\name\"\n\xc3\xa4");
    program_trace_room(t.program, ROOM);
    program_watch(t.program, PROGRAM_TRACED);
    for (int i = 0; i < ROOM; i++)
        (void)!program_run(t.program);
    char path[] = "/tmp/bench-trace-XXXXXX";
    const int fd = mkstemp(path);
    ok(fd >= 0, "a file to write to");
    json_t *j = written(&t, NULL, path), *e;
    int threads = 0, slices = 0, broken = 0, rates = 0;
    size_t i;
    json_array_foreach(json_object_get(j, "traceEvents"), i, e)
    {
        const char *kind = json_string_value(json_object_get(e, "ph"));
        const char *name = json_string_value(json_object_get(e, "name"));
        threads += kind[0] == 'M' && strcmp(name, "thread_name") == 0;
        rates += kind[0] == 'C';
        slices += kind[0] == 'X';
        broken += kind[0] == 'X' && !(json_number_value(json_object_get(e, "ts")) >= 0 &&
                                      json_number_value(json_object_get(e, "dur")) > 0 &&
                                      json_is_integer(json_object_get(e, "tid")) && *name);
    }
    is_int(threads, 2, "both threads have names");
    ok(slices > 2 * ROOM && rates > ROOM, "%d slices, %d points of the rate", slices, rates);
    is_int(broken, 0, "every slice has a name, a thread, a begin and a duration");
    json_decref(j);
    struct err err = {0};
    ok(!trace_write("/nonexistent/trace.json", &t, NULL, &err) && strstr(err.text, "/nonexistent"),
       "refused: %s", err.text);
    test_counts(&t, path);
    close(fd);
    unlink(path);
    program_free(t.program);
}

int main(void)
{
    struct err err = {0};
    if (!kn_init(NULL, &err))
        return 1;
    graph = random_graph(5, 64, true);
    test_sums(1);
    test_sums(2);
    test_forgotten();
    test_same_bits();
    test_events(1);
    test_events(3);
    test_file();
    graph_free(graph);
    return done();
}
