/* gauges.h — what is read around the timed steps of a run, and never inside them unless asked:
 * the noise ledger, energy, and the counters of run_spec.counters.
 *
 *     gauges_init(&g, &spec, &err);
 *     for each epoch: gauges_open(&g, program, true); steps; gauges_close(&g, program, how_many);
 *     gauges_tell(&g, program, sink);
 *     gauges_release(&g);
 *
 * Reading costs about 0.2 ms an epoch. With a profile the counters are also read behind every op,
 * by each thread its own: a system call an op and four events. */
#ifndef GAUGES_H
#define GAUGES_H

#include "graph/program.h"
#include "perf/counters.h"
#include "perf/energy.h"
#include "perf/noise.h"
#include "train/run.h"

struct gauges {
    struct noise_ledger noise;
    struct energy energy;
    struct counters *counters; /* NULL: not asked for */
    int64_t ticked;            /* clock_ns() of the last look at the energy; 0: not open */
    long long counted;         /* steps that the counters saw */
    bool by_op;                /* lap behind every op */
    bool opened, counting;     /* counters: once; in this stretch */
};

/* False and *err (EXIT_USAGE) for counters that nobody knows. */
__attribute__((warn_unused_result)) bool gauges_init(struct gauges *g, const struct run_spec *spec,
                                                     struct err *err);
void gauges_release(struct gauges *g);

/* Regions of the counters: 0 is all steps; of line i of program_steps(): */
int gauges_region(int step);

/* Around a stretch of `steps` timed steps of `p`; its team of threads exists already. `count`:
 * the counters too, if there are any. */
void gauges_open(struct gauges *g, struct program *p, bool count);
void gauges_tick(struct gauges *g, int64_t now); /* between steps: catches the energy's wraps */
void gauges_pause(struct gauges *g); /* around what the harness allocates between steps */
void gauges_resume(struct gauges *g);
void gauges_close(struct gauges *g, struct program *p, long long steps);

/* Each event and energy domain once for all timed steps; with a profile, events for each op too. */
void gauges_tell(const struct gauges *g, const struct program *p, const struct run_sink *sink);

#endif
