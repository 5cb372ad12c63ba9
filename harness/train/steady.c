/* steady.c — see steady.h. */
#include "train/steady.h"

#include <math.h>
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

size_t steady_warmup(const double *ns, size_t n)
{
    if (n < BOTH + 1)
        return n > 1;
    const size_t half = n / 2 > BOTH ? n / 2 : BOTH;
    const size_t cap = half < STEADY_CAP ? half : STEADY_CAP;
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
