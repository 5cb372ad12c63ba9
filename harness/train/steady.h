/* steady.h — from raw step times to the numbers that are compared, and whether they may be.
 *
 * The first steps meet cold caches, sleeping threads and a rising clock. Warm-up
 * ends where the median of five steps differs from that of the five before by
 * less than 1 %, or after STEADY_CAP steps, or half of them if there are fewer.
 *
 * What comes after it is steady when its level stays: the medians of its three thirds agree
 * within STEADY_MARGIN (the margin within which two builds are called equal) or within the
 * noise of such medians; when it has one level, not two that the machine jumps between; and when
 * few steps stand out. Otherwise a median exists but says little, and no verdict should be built
 * on it. */
#ifndef STEADY_H
#define STEADY_H

#include <stddef.h>

#include "train/run.h"

enum { STEADY_CAP = 50, STEADY_FEWEST = 15 };
#define STEADY_MARGIN 0.03

/* How many of n step times, at the front, are warm-up. Always leaves one when n > 0; the first
 * step of two or more is always warm-up. */
size_t steady_warmup(const double *ns, size_t n);

/* The most that it can be of n. */
size_t steady_most(size_t n);

/* RUN_STEADY; RUN_UNSTEADY with the reason; or RUN_STEADY_UNKNOWN, with a reason too, when fewer
 * than STEADY_FEWEST warm steps were timed. `why` is "" for steady ones. */
int steady_judge(const double *ns, size_t n, char why[RUN_WHY]);

/* Of n > 0 numbers: median, median absolute deviation from it, least. All NaN for n = 0. */
struct steady {
    double median, mad, min;
};
struct steady steady_of(const double *ns, size_t n);

#endif
