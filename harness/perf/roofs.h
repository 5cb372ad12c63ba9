/* roofs.h — the ceilings that an op works under: arithmetic, and the bandwidth of the
 * cache that its data fit in (Williams, Waterman & Patterson: Roofline, CACM 52, 2009).
 *
 *     attainable FLOP/s = min(peak, bandwidth x intensity),  intensity = FLOPs / bytes
 *
 * Measured by peak.h on as many threads as the run has. */
#ifndef ROOFS_H
#define ROOFS_H

#include <stddef.h>

enum roof_level { ROOF_L1, ROOF_L2, ROOF_L3, ROOF_DRAM, ROOF_LEVELS };
extern const char *const roof_level_name[]; /* "L1", "L2", "L3", "DRAM" */

struct roofs {
    double flops;             /* operations a second of fused multiply-adds in f32 */
    double read[ROOF_LEVELS]; /* bytes a second */
};

/* Of the kernel table in use. Takes about half a second. */
void roofs_measure(struct roofs *r, int threads);

/* The same peak of another table of this build that this CPU runs, by its name; else NAN. */
double roofs_flops_of(const char *isa, int threads);

/* The working set a thread that peak_read() measures a level with: half of what it holds, or
 * four times the last cache for memory. */
size_t roofs_working_set(int level, int threads);

/* The fastest level whose caches, those of all threads together, hold so many bytes. */
int roofs_level(double bytes, int threads);

/* What binds work of so many FLOPs and bytes: a level whose bandwidth does, or ROOF_LEVELS for
 * arithmetic; and in *share how much of that roof it reaches in `seconds`. NAN: unknown. */
int roofs_bind(const struct roofs *r, double flops, double bytes, double seconds, int threads,
               double *share);

#endif
