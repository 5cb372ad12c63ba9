/* roofs.c — see roofs.h. */
#include "perf/roofs.h"

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"

void roofs_measure(struct roofs *r, int threads)
{
    r->flops = peak_flops(threads);
    for (int level = 0; level < PEAK_LEVELS; level++)
        r->read[level] = peak_read(threads, peak_working_set(level, threads));
}

double roofs_flops_of(const char *isa, int threads)
{
    const struct kn_table *const in_use = kn;
    double flops = NAN;
    for (int i = 0; kn_tables[i]; i++) {
        if (strcmp(kn_tables[i]->isa, isa) != 0 || !kn_runs_here(kn_tables[i]))
            continue;
        kn = kn_tables[i];
        flops = peak_flops(threads);
    }
    kn = in_use;
    return flops;
}

int roofs_bind(const struct roofs *r, double flops, double bytes, int threads, double *least)
{
    const int level = peak_level_of(bytes, threads);
    const double compute = flops / r->flops, move = bytes / r->read[level];
    *least = fmax(compute, move);
    return compute >= move ? PEAK_LEVELS : level;
}
