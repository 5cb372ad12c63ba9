/* t_stats.c — order statistics against brute force and against published tables. */
#include "base/rng.h"
#include "stats/order.h"
#include "tap.h"

static double brute_mad(const double *x, size_t n)
{
    double d[64];
    for (size_t i = 0; i < n; i++)
        d[i] = fabs(x[i] - order_median(x, n));
    order_sort(d, n);
    return order_median(d, n);
}

static void medians(void)
{
    double even[] = {4, 1, 3, 2}, odd[] = {9, -1, 5};
    order_sort(even, 4);
    order_sort(odd, 3);
    is_near(order_median(even, 4), 2.5, 0, "median of an even number");
    is_near(order_median(odd, 3), 5, 0, "median of an odd number");
    ok(isnan(order_median(odd, 0)), "median of nothing is NAN");
    is_near(order_quantile(even, 4, 0), 1, 0, "quantile 0 is the least");
    is_near(order_quantile(even, 4, 1), 4, 0, "quantile 1 is the largest");
    is_near(order_quantile(even, 4, 0.25), 1.75, 1e-15, "quartile, type 7 (R: quantile(1:4, .25))");
}

static void deviations(void)
{
    struct rng rng = rng_make(7, 0);
    double x[64];
    int wrong = 0;
    for (int round = 0; round < 2000; round++) {
        const size_t n = 1 + rng_below(&rng, 40);
        for (size_t i = 0; i < n; i++) /* small integers: many ties */
            x[i] = round % 2 ? rng_normal(&rng) : rng_below(&rng, 6);
        order_sort(x, n);
        wrong += order_mad(x, n) != brute_mad(x, n);
    }
    is_int(wrong, 0, "median absolute deviation by merging equals brute force in 2000 samples");
    ok(isnan(order_mad(x, 0)), "deviation of nothing is NAN");
}

/* Conover, Practical Nonparametric Statistics, 3rd ed., Table A3 and any binomial table: for
 * the 95 % interval of a median, ranks (1,6), (1,7), (1,8), (2,8), (2,9), (6,15), (10,21)... */
static void intervals(void)
{
    static const struct {
        size_t n, low, high;
    } table[] = {{6, 1, 6},   {7, 1, 7},   {8, 1, 8},    {9, 2, 8},    {10, 2, 9},
                 {15, 4, 12}, {20, 6, 15}, {30, 10, 21}, {100, 40, 61}};
    double x[128], lo = 0, hi = 0;
    for (int i = 0; i < 128; i++)
        x[i] = i + 1; /* a value is its rank */
    ok(!order_median_interval(x, 5, 0.95, &lo, &hi), "five values cannot give 95 %%");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        order_median_interval(x, table[i].n, 0.95, &lo, &hi);
        ok(lo == (double)table[i].low && hi == (double)table[i].high,
           "n = %zu: ranks %zu and %zu, got %g and %g", table[i].n, table[i].low, table[i].high, lo,
           hi);
    }
}

static void coverage(void)
{
    struct rng rng = rng_make(11, 0);
    double x[25], lo, hi;
    int held = 0;
    for (int round = 0; round < 4000; round++) {
        for (int i = 0; i < 25; i++)
            x[i] = exp(rng_normal(&rng)); /* skewed; its median is 1 */
        order_sort(x, 25);
        held += order_median_interval(x, 25, 0.95, &lo, &hi) && lo <= 1 && 1 <= hi;
    }
    ok(held > 3800 && held < 3930,
       "the interval holds the median in %.1f %% of 4000 samples (exact: 95.7 %%)", held / 40.0);
}

int main(void)
{
    medians();
    deviations();
    intervals();
    coverage();
    return done();
}
