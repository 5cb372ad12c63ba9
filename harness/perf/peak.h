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

#endif
