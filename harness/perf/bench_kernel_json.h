/* bench_kernel_json.h — measured kernels as JSON: our own document, and Google Benchmark's. */
#ifndef BENCH_KERNEL_JSON_H
#define BENCH_KERNEL_JSON_H

#include <jansson.h>

#include "perf/bench_kernel.h"

/* One case, for `bench kernels --json`; null where nothing was measured. */
json_t *bench_kernel_json(const struct bench_result *r);

/* The document that Google Benchmark writes with --benchmark_out, which its compare.py and many
 * services read: "context", and "benchmarks" with an entry per repetition and the aggregates
 * mean, median, stddev and cv. A case gives two benchmarks, …/hot and …/cold. */
json_t *bench_google_begin(void);
void bench_google_add(json_t *document, const struct bench_result *r);

#endif
