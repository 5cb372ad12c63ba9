/* bench_timer.c — see bench_timer.h. */
#define _GNU_SOURCE
#include "perf/bench_timer.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "stats/order.h"

/* ---- which ------------------------------------------------------------------------- */

/* The shim lies beside the program where it was built, and in ../lib/bench where it was
 * installed. NULL and *why when there is none that loads. */
static void *load_shim(char why[TIMER_TEXT])
{
    static const char *const places[] = {"bench-gbench.so", "../lib/bench/bench-gbench.so"};
    char self[4096];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    snprintf(why, TIMER_TEXT, "Google Benchmark not built in: package libbenchmark-dev");
    if (n <= 0)
        return NULL;
    self[n] = '\0';
    char *const slash = strrchr(self, '/');
    *slash = '\0';
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char file[sizeof self + 64];
        snprintf(file, sizeof file, "%s/%s", self, places[i]);
        if (access(file, R_OK) != 0)
            continue;
        void *const so = dlopen(file, RTLD_NOW | RTLD_LOCAL);
        if (so)
            return so;
        snprintf(why, TIMER_TEXT, "Google Benchmark not loaded: %s", dlerror());
    }
    return NULL;
}

bool timer_open(struct bench_timer *t, const char *which, struct err *err)
{
    char why[TIMER_TEXT];
    *t = (struct bench_timer){.said = "own"};
    if (strcmp(which, "own") == 0)
        return true;
    if (strcmp(which, "auto") != 0 && strcmp(which, "google") != 0)
        return err_status(err, EXIT_USAGE, "--timer: expected auto, google or own, found '%s'",
                          which);
    void *const so = load_shim(why), *const f = so ? dlsym(so, "gbench_measure") : NULL;
    if (f) {
        memcpy(&t->google, &f, sizeof f); /* POSIX: a function's address travels in a void * */
        snprintf(t->said, sizeof t->said, "Google Benchmark");
        return true;
    }
    if (strcmp(which, "google") == 0)
        return err_set(err, "--timer google: %s", why);
    snprintf(t->said, sizeof t->said, "own (%.*s)", TIMER_TEXT - 8, why);
    return true;
}

/* ---- measuring ------------------------------------------------------------------------ */

static void keep(void *arg, int64_t calls, double seconds)
{
    struct timing *const t = arg;
    t->calls = calls;
    if (t->n < TIMER_SAMPLES)
        t->sample[t->n++] = seconds;
}

/* What a body is wrapped in, so that samples and body share one argument. */
struct heard {
    gbench_body *body;
    void *arg;
    struct timing *out;
};

static double pass_on(void *arg, int64_t calls)
{
    const struct heard *const h = arg;
    return h->body(h->arg, calls);
}

static void pass_back(void *arg, int64_t calls, double seconds)
{
    keep(((const struct heard *)arg)->out, calls, seconds);
}

/* Batches grow until one is long enough; the one that was is the first sample's warm-up. */
static void measure_own(gbench_body *body, void *arg, double min_s, int repeats, struct timing *out)
{
    int64_t calls = 1;
    (void)body(arg, 1);
    double s = body(arg, calls);
    while (s < min_s) {
        const double growth = s > 0.1 * min_s ? 1.2 * min_s / s : 10;
        calls = (int64_t)ceil((double)calls * growth);
        s = body(arg, calls);
    }
    for (int i = 0; i < repeats; i++)
        keep(out, calls, body(arg, calls) / (double)calls);
}

void timer_measure(const struct bench_timer *t, const char *name, gbench_body *body, void *arg,
                   double min_s, int repeats, struct timing *out)
{
    double sorted[TIMER_SAMPLES];
    *out = (struct timing){.median = NAN, .mad = NAN, .least = NAN, .lo = NAN, .hi = NAN};
    repeats = repeats < TIMER_SAMPLES ? repeats : TIMER_SAMPLES;
    if (t->google) {
        (void)body(arg, 1); /* pages, caches and threads wake up */
        t->google(name, pass_on, pass_back, &(struct heard){body, arg, out}, min_s, repeats);
    } else {
        measure_own(body, arg, min_s, repeats, out);
    }
    if (out->n == 0)
        return;
    memcpy(sorted, out->sample, (size_t)out->n * sizeof *sorted);
    order_sort(sorted, (size_t)out->n);
    out->median = order_median(sorted, (size_t)out->n);
    out->mad = order_mad(sorted, (size_t)out->n);
    out->least = sorted[0];
    order_median_interval(sorted, (size_t)out->n, 0.95, &out->lo, &out->hi);
}
