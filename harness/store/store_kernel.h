/* store_kernel.h — measurements of single kernels in the same database as the runs (store.h). */
#ifndef STORE_KERNEL_H
#define STORE_KERNEL_H

#include "store/store.h"

/* One number of a measured kernel; NAN is left out. `mad` to `least` NAN and `n` 0 where the
 * value is no median of samples. */
struct store_kernel_value {
    const char *metric, *unit, *about; /* the metric is made when it is new */
    int better;                        /* -1 small, 1 large, 0 exact: neither */
    const char *how;                   /* "hot", "cold" */
    double value;
    int n;
    double mad, lo, hi, least;
};

/* One case of `bench kernels`: a run of a benchmark of kind 'kernel'. */
struct store_kernel {
    const char *kernel, *variant, *config, *isa; /* config: a JSON object */
    int threads;
    int64_t started_ms;
    bool failed;
    const char *reason; /* why; "" otherwise */
    const struct store_kernel_value *value;
    int values;
};
bool store_kernel(struct store_session *session, const struct store_kernel *k, struct err *err);

#endif
