/* roofs.c — see roofs.h. */
#include "perf/roofs.h"

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "perf/peak.h"

const char *const roof_level_name[] = {"L1", "L2", "L3", "DRAM", NULL};

size_t roofs_working_set(int level, int threads)
{
    const struct kn_caches *c = kn_caches();
    const size_t share = c->l3 / 2 / (size_t)threads, least = c->l2 * 2;
    switch (level) {
    case ROOF_L1: return c->l1d / 2;
    case ROOF_L2: return c->l2 / 2;
    case ROOF_L3: return share > least ? share : least;
    default: return c->l3 * 4 / (size_t)threads;
    }
}

void roofs_measure(struct roofs *r, int threads)
{
    r->flops = peak_flops(threads);
    for (int level = 0; level < ROOF_LEVELS; level++)
        r->read[level] = peak_read(threads, roofs_working_set(level, threads));
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

int roofs_level(double bytes, int threads)
{
    const struct kn_caches *c = kn_caches();
    const double holds[] = {(double)c->l1d * threads, (double)c->l2 * threads, (double)c->l3};
    int level = ROOF_L1;
    while (level < ROOF_DRAM && bytes > holds[level])
        level++;
    return level;
}

int roofs_bind(const struct roofs *r, double flops, double bytes, double seconds, int threads,
               double *share)
{
    const int level = roofs_level(bytes, threads);
    const double compute = flops / r->flops, move = bytes / r->read[level];
    *share = seconds > 0 ? fmax(compute, move) / seconds : (double)NAN;
    return compute >= move ? ROOF_LEVELS : level;
}
