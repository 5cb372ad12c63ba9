/* peak.h — the measured ceilings of this machine: what no kernel can exceed. */
#ifndef PEAK_H
#define PEAK_H

#include <stddef.h>

/* Operations a second of fused multiply-adds in f32 by the kernel table in use (kernels.h), on
 * `threads` threads at once: the best of several samples of some milliseconds. */
double peak_flops(int threads);

/* Bytes a second read (a sum) from a working set of `bytes` a thread; and of the STREAM triad
 * y = a x + z, counted as 12 bytes an element, over three arrays that together make `bytes` a
 * thread. Best of several samples. */
double peak_read(int threads, size_t bytes);
double peak_triad(int threads, size_t bytes);

/* The same for y = c y in place, 8 bytes an element; and the largest of the three, which is the
 * slope of a roofline: kernels read, write, or do both. */
double peak_update(int threads, size_t bytes);
double peak_bandwidth(int threads, size_t bytes);

/* Where data can lie. */
enum peak_level { PEAK_L1, PEAK_L2, PEAK_L3, PEAK_DRAM, PEAK_LEVELS };
extern const char *const peak_level_name[PEAK_LEVELS];

/* Bytes a thread for peak_read() and peak_triad() that lie well inside one level and outside
 * the one before: four times L2 for L3, because a shared L3 is never ours alone; for DRAM each of
 * the triad's arrays is four times L3 by STREAM's rule, unless that is more than 1 GiB. */
size_t peak_working_set(int level, int threads);

/* The first level that holds `bytes`, shared by `threads` threads that each have their own L1
 * and L2. */
int peak_level_of(double bytes, int threads);

#endif
