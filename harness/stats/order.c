/* order.c — see order.h. */
#include "stats/order.h"

#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void order_sort(double *x, size_t n)
{
    if (n > 1)
        qsort(x, n, sizeof *x, ascending);
}

double order_quantile(const double *sorted, size_t n, double p)
{
    if (n == 0)
        return NAN;
    const double at = (double)(n - 1) * p;
    const size_t below = (size_t)at;
    const double part = at - (double)below;
    return below + 1 < n ? sorted[below] + part * (sorted[below + 1] - sorted[below])
                         : sorted[n - 1];
}

double order_median(const double *sorted, size_t n) { return order_quantile(sorted, n, 0.5); }

/* The distances from the median ascend in both directions from the middle, so the n/2 + 1
 * smallest of them are found by merging outwards, without another array. */
double order_mad(const double *sorted, size_t n)
{
    if (n == 0)
        return NAN;
    const double middle = order_median(sorted, n);
    size_t right = n / 2, left = right; /* next candidates: sorted[left - 1], sorted[right] */
    double last = 0, before = 0;
    for (size_t taken = 0; taken < n / 2 + 1; taken++) {
        const double down = left > 0 ? middle - sorted[left - 1] : INFINITY;
        const double up = right < n ? sorted[right] - middle : INFINITY;
        before = last;
        last = down < up ? down : up;
        if (down < up)
            left--;
        else
            right++;
    }
    return n % 2 ? last : before + 0.5 * (last - before);
}

bool order_median_interval(const double *sorted, size_t n, double level, double *lo, double *hi)
{
    const double tail = (1 - level) / 2;
    double sum = 0;
    size_t k = 0; /* how many order statistics are left out at each end, plus one */
    while (k < n) {
        const double log_p = lgamma((double)n + 1) - lgamma((double)k + 1) -
                             lgamma((double)(n - k) + 1) - (double)n * log(2);
        sum += exp(log_p);
        if (sum > tail)
            break;
        k++;
    }
    if (k == 0)
        return false;
    *lo = sorted[k - 1];
    *hi = sorted[n - k];
    return true;
}
