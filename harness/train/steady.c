/* steady.c — see steady.h. */
#include "train/steady.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { WINDOW = 5, BOTH = 2 * WINDOW };

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts v. */
static double median(double *v, size_t n)
{
    qsort(v, n, sizeof *v, by_value);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static double window_median(const double *ns)
{
    double v[WINDOW];
    memcpy(v, ns, sizeof v);
    return median(v, WINDOW);
}

size_t steady_most(size_t n)
{
    if (n < BOTH + 1)
        return n > 1;
    const size_t half = n / 2 > BOTH ? n / 2 : BOTH;
    return half < STEADY_CAP ? half : STEADY_CAP;
}

size_t steady_warmup(const double *ns, size_t n)
{
    const size_t cap = steady_most(n);
    for (size_t end = BOTH; end < cap; end++)
        if (fabs(window_median(ns + end - WINDOW) / window_median(ns + end - BOTH) - 1) < 0.01)
            return end;
    return cap;
}

struct steady steady_of(const double *ns, size_t n)
{
    if (n == 0)
        return (struct steady){NAN, NAN, NAN};
    double *v = xmalloc(n * sizeof *v);
    memcpy(v, ns, n * sizeof *v);
    struct steady s = {.median = median(v, n), .min = v[0]};
    for (size_t i = 0; i < n; i++)
        v[i] = fabs(ns[i] - s.median);
    s.mad = median(v, n);
    free(v);
    return s;
}

/* ------------------------------------------------------------------ the verdict */

/* A normal law's sigma from its median absolute deviation, and the spread of a median of n of
 * its numbers. */
static double sigma(double mad) { return 1.4826 * mad; }
static double median_error(double mad, size_t n) { return 1.2533 * sigma(mad) / sqrt((double)n); }

static const double errors = 4;       /* so many standard errors are no accident */
static const double spike = 1.5;      /* of the median: a step that stands out, if … */
static const double spike_sigmas = 6; /* … it is also so far away */
static const double spikes_most = 0.05;
static const double apart = 5;          /* two levels: their distance in spreads around them … */
static const double level_share = 0.15; /* … each with at least so many of the steps */

static bool level_moves(const double *ns, size_t n, char why[RUN_WHY])
{
    const size_t third = n / 3;
    struct steady part[3];
    double lo = INFINITY, hi = -INFINITY, mad = 0;
    for (size_t i = 0; i < 3; i++) {
        part[i] = steady_of(ns + i * third, third);
        lo = fmin(lo, part[i].median);
        hi = fmax(hi, part[i].median);
        mad = fmax(mad, part[i].mad);
    }
    if (hi - lo <= STEADY_MARGIN * lo || hi - lo <= errors * sqrt(2) * median_error(mad, third))
        return false;
    snprintf(why, RUN_WHY,
             "no steady state: the step took %.4g, %.4g and %.4g ms in the thirds of the run",
             part[0].median * 1e-6, part[1].median * 1e-6, part[2].median * 1e-6);
    return true;
}

static bool stands_out(const double *ns, size_t n, const struct steady *all, char why[RUN_WHY])
{
    const double far = fmax(spike * all->median, all->median + spike_sigmas * sigma(all->mad));
    size_t spikes = 0;
    for (size_t i = 0; i < n; i++)
        spikes += ns[i] > far;
    if (spikes < 2 || (double)spikes <= spikes_most * (double)n)
        return false;
    snprintf(why, RUN_WHY, "no steady state: %zu of %zu steps took more than %.3g times the median",
             spikes, n, far / all->median);
    return true;
}

/* Otsu 1979: the threshold that leaves the least variance within two classes. They are two levels
 * when they lie further apart than the halves of any single hump do: 2.7 spreads for a normal law,
 * 3.5 for a uniform one. */
static bool has_two_levels(double *sorted, size_t n, char why[RUN_WHY])
{
    double sum = 0, squares = 0, left = 0, left_squares = 0, least = INFINITY, lower = 0, upper = 0;
    const double scale = sorted[n / 2]; /* keeps the squares small */
    for (size_t i = 0; i < n; i++) {
        sum += sorted[i] / scale;
        squares += sorted[i] / scale * (sorted[i] / scale);
    }
    for (size_t i = 1; i < n; i++) {
        const double x = sorted[i - 1] / scale, a = (double)i, b = (double)(n - i);
        left += x;
        left_squares += x * x;
        const double within = left_squares - left * left / a + (squares - left_squares) -
                              (sum - left) * (sum - left) / b;
        if (fmin(a, b) < level_share * (double)n || within >= least)
            continue;
        least = within;
        lower = left / a;
        upper = (sum - left) / b;
    }
    const double spread = sqrt(fmax(least, 0) / (double)n);
    if (upper - lower <= STEADY_MARGIN || upper - lower <= apart * spread)
        return false;
    snprintf(why, RUN_WHY, "no steady state: the step has two levels, about %.4g and %.4g ms",
             lower * scale * 1e-6, upper * scale * 1e-6);
    return true;
}

int steady_judge(const double *ns, size_t n, char why[RUN_WHY])
{
    const size_t warm = steady_warmup(ns, n);
    const bool settled = warm < STEADY_CAP;
    *why = '\0';
    ns += warm;
    n -= warm;
    if (n < STEADY_FEWEST) {
        snprintf(why, RUN_WHY, "%zu warm steps: too few to tell (%d)", n, STEADY_FEWEST);
        return RUN_STEADY_UNKNOWN;
    }
    const struct steady all = steady_of(ns, n);
    double *sorted = xmalloc(n * sizeof *sorted);
    memcpy(sorted, ns, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_value);
    const bool unsteady =
        has_two_levels(sorted, n, why) || level_moves(ns, n, why) || stands_out(ns, n, &all, why);
    free(sorted);
    if (!unsteady && !settled)
        snprintf(why, RUN_WHY, "no steady state: still moving by over 1 %% after %d steps",
                 STEADY_CAP);
    return unsteady || !settled ? RUN_UNSTEADY : RUN_STEADY;
}
