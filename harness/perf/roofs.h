/* roofs.h — the ceilings that an op works under: arithmetic, and the bandwidth of the
 * cache that its data fit in (Williams, Waterman & Patterson: Roofline, CACM 52, 2009).
 *
 *     attainable FLOP/s = min(peak, bandwidth x intensity),  intensity = FLOPs / bytes
 *
 * Measured by peak.h on as many threads as the run has. */
#ifndef ROOFS_H
#define ROOFS_H

#include "perf/peak.h"

struct roofs {
    double flops;             /* operations a second of fused multiply-adds in f32 */
    double read[PEAK_LEVELS]; /* bytes a second */
};

/* Of the kernel table in use. Takes about half a second. */
void roofs_measure(struct roofs *r, int threads);

/* The same peak of another table of this build that this CPU runs, by its name; else NAN. */
double roofs_flops_of(const char *isa, int threads);

/* What binds work of so many FLOPs and bytes: the level that its data fit in, by its bandwidth, or
 * PEAK_LEVELS for arithmetic. In *least the seconds that it takes under that roof. */
int roofs_bind(const struct roofs *r, double flops, double bytes, int threads, double *least);

#endif
