/* trace.h — the traced steps of a program as Chrome-trace JSON, which Perfetto and
 * chrome://tracing open: a process for the run, a track for each thread with one slice an op and
 * one a wait, and counter tracks: GFLOP/s, and each event that was counted, a microsecond of its op.
 * Times are in microseconds from the first slice. */
#ifndef TRACE_H
#define TRACE_H

#include "base/err.h"
#include "train/gauges.h"
#include "train/trainer.h"

/* gauges: whose counts, made op by op, have tracks; NULL for none. */
__attribute__((warn_unused_result)) bool trace_write(const char *path, const struct trainer *t,
                                                     const struct gauges *gauges, struct err *err);

#endif
