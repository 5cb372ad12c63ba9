/* gbench.h — Google Benchmark seen from C: the one function of bench-gbench.so, which is built
 * from gbench.cc where <benchmark/benchmark.h> is, and loaded at run time if it is there. */
#ifndef GBENCH_H
#define GBENCH_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Makes `calls` calls of what is measured and returns the seconds that they took. */
typedef double gbench_body(void *arg, int64_t calls);

/* Hears of one repetition: so many calls, so many seconds each. */
typedef void gbench_sample(void *arg, int64_t calls, double seconds);

/* Google Benchmark decides how many calls make at least `min_s` seconds, and repeats that
 * `repetitions` times. Returns how many it reported. Not from two threads at once. */
typedef int gbench_measure_fn(const char *name, gbench_body *body, gbench_sample *sample, void *arg,
                              double min_s, int repetitions);
gbench_measure_fn gbench_measure;

#ifdef __cplusplus
}
#endif

#endif
