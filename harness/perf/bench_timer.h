/* bench_timer.h — who decides how often something is called to be timed: Google Benchmark where
 * its shim (gbench.h) can be loaded, otherwise a clock of our own. Both give the same thing:
 * several samples, each the mean of a batch of calls that lasted at least so long. */
#ifndef BENCH_TIMER_H
#define BENCH_TIMER_H

#include "base/err.h"
#include "perf/gbench.h"

enum { TIMER_SAMPLES = 101, TIMER_TEXT = 192 };

struct bench_timer {
    gbench_measure_fn *google; /* NULL: our own */
    char said[TIMER_TEXT];     /* for people: which, and why */
};

/* `which`: "auto", "google" (an error where it is not there) or "own". */
bool timer_open(struct bench_timer *t, const char *which, struct err *err);

struct timing {
    double sample[TIMER_SAMPLES]; /* seconds a call */
    int n;
    long long calls;                   /* in a batch */
    double median, mad, least, lo, hi; /* lo, hi: 95 % interval of the median, or NAN */
};

/* `repeats` samples (at most TIMER_SAMPLES) of batches of `min_s` seconds. `name` is told to
 * Google Benchmark. */
void timer_measure(const struct bench_timer *t, const char *name, gbench_body *body, void *arg,
                   double min_s, int repeats, struct timing *out);

#endif
