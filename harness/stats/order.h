/* order.h — statistics that only look at order: what timings, with their one-sided noise
 * and their outliers, deserve. NAN where there is nothing to say. */
#ifndef ORDER_H
#define ORDER_H

#include <stdbool.h>
#include <stddef.h>

void order_sort(double *x, size_t n); /* ascending; x must hold no NAN */

/* The rest wants sorted values. */
double order_median(const double *sorted, size_t n);

/* Between the order statistics around (n-1) p, linearly: Hyndman & Fan 1996, type 7. */
double order_quantile(const double *sorted, size_t n, double p);

/* Median of |x - median|: the half-width of the middle half of a symmetric law. Times
 * 1.4826 it is a normal law's sigma. */
double order_mad(const double *sorted, size_t n);

/* An interval that holds the true median with at least `level`, for any continuous law:
 * [x_(k+1), x_(n-k)] with the largest k for which P(B <= k) <= (1-level)/2, B binomial(n, 1/2).
 * False, and nothing is written, when even the extremes are not enough (n < 6 at 95 %). */
bool order_median_interval(const double *sorted, size_t n, double level, double *lo, double *hi);

#endif
