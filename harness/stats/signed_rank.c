/* signed_rank.c — see signed_rank.h. */
#include "stats/signed_rank.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "stats/order.h"

/* walsh: room for n (n + 1) / 2. */
static double median_of_walsh(const double *d, size_t n, double *walsh)
{
    size_t m = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i; j < n; j++)
            walsh[m++] = 0.5 * (d[i] + d[j]);
    order_sort(walsh, m);
    return order_median(walsh, m);
}

double hodges_lehmann(const double *d, size_t n)
{
    double *walsh = xmalloc((n * (n + 1) / 2 + 1) * sizeof *walsh);
    const double estimate = median_of_walsh(d, n, walsh);
    free(walsh);
    return estimate;
}

double hodges_lehmann_floor(const double *d, size_t n, size_t blocks, double p, int draws,
                            uint64_t seed)
{
    if (n == 0 || draws < 1)
        return (double)NAN;
    double *walsh = xmalloc((blocks * (blocks + 1) / 2 + 1) * sizeof *walsh),
           *drawn = xmalloc((blocks + 1) * sizeof *drawn),
           *size = xmalloc((size_t)draws * sizeof *size);
    struct rng rng = rng_make(seed, 0);
    for (int i = 0; i < draws; i++) {
        for (size_t k = 0; k < blocks; k++) {
            const uint32_t word = rng_u32(&rng);
            drawn[k] = d[(word >> 1) % n] * (word & 1 ? 1.0 : -1.0);
        }
        size[i] = fabs(median_of_walsh(drawn, blocks, walsh));
    }
    order_sort(size, (size_t)draws);
    const double floor = order_quantile(size, (size_t)draws, p);
    free(size);
    free(drawn);
    free(walsh);
    return floor;
}
