/* bench_kernel.h — one case of one kernel, measured: time with hot and with cold operands, rate,
 * share of the roof, and how far the result is from the truth.
 *
 * Hot: the same operands in every call, in whatever cache they fit. Cold: operands rotate, in
 * random order, through copies of themselves that together overflow a cache: by default all
 * cores' L2, not half of L3, and as many bytes as a small network's step touches, because weights and
 * what is made were last touched by the step before; with `from_memory` the L3 too. As in a step, the
 * scratch of a product stays, which all ops share, and so do its fresh operands (case_fresh()),
 * which the op before has just left in the cache; not with `from_memory`. Ops before and behind have
 * their threads split the work as suits them, so that before each call all threads write the lines of
 * fresh operands in turns, and behind it read those that it passes on (case_passed_on()), untimed: about
 * half of what a thread reads comes from another core. Other libraries' threads are not ours to ask:
 * beside them nothing is handed over. */
#ifndef BENCH_KERNEL_H
#define BENCH_KERNEL_H

#include "perf/bench_timer.h"
#include "perf/kernel_cases.h"
#include "perf/peers.h"

struct bench_setting {
    const struct bench_timer *timer;
    double min_s; /* of a batch */
    int repeats;
    bool from_memory; /* cold means memory, not L3 */
    bool no_roof;     /* leave the machine's ceilings unmeasured: shares are NAN */
};

/* Against the roof: min(peak, intensity x bandwidth of the level that holds the operands) for
 * what is counted in operations, that bandwidth for what is counted in bytes. */
struct bench_temperature {
    struct timing time;
    double rate;  /* operations or bytes a second, bench_result.unit */
    double share; /* of the roof */
    int level;    /* enum peak_level */
};
enum { BENCH_HOT, BENCH_COLD, BENCH_TEMPERATURES };
extern const char *const bench_temperature_name[BENCH_TEMPERATURES];

struct bench_result {
    const struct kernel_case *c;
    const char *isa;
    int threads;
    double flops, bytes; /* of a call; flops NAN where bytes are what counts */
    struct bench_temperature at[BENCH_TEMPERATURES];
    double residual; /* largest error over largest value; NAN where there is no truth */
    double of_bound; /* largest error in units of what the kernel promises */
    bool failed;     /* of_bound > 1 */
    double peer_s[PEERS]
                 [BENCH_TEMPERATURES]; /* medians; NAN: not asked, not there, no such product */
};

/* Measures a case with the kernel table in use on `threads` threads. */
void bench_kernel(const struct kernel_case *c, int threads, const struct bench_setting *set,
                  struct bench_result *r);

void bench_release(void); /* the memory that cases share */

/* "GFLOP/s" or "GB/s" of a result's rates. */
const char *bench_unit(const struct bench_result *r);

#endif
