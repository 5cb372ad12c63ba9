/* steady.h — from raw step times to the numbers that are compared.
 *
 * The first steps meet cold caches, sleeping threads and a rising clock. Warm-up
 * ends where the median of five steps differs from that of the five before by
 * less than 1 %, or after STEADY_CAP steps, or half of them if there are fewer. */
#ifndef STEADY_H
#define STEADY_H

#include <stddef.h>

enum { STEADY_CAP = 50 };

/* How many of n step times, at the front, are warm-up. Always leaves one when n > 0; the first
 * step of two or more is always warm-up. */
size_t steady_warmup(const double *ns, size_t n);

/* Of n > 0 numbers: median, median absolute deviation from it, least. All NaN for n = 0. */
struct steady {
    double median, mad, min;
};
struct steady steady_of(const double *ns, size_t n);

#endif
