/* trace.h — the traced steps of a program as Chrome-trace JSON, which Perfetto and
 * chrome://tracing open: a process for the run, a track for each thread with one slice an op and
 * one a wait, and a counter track of GFLOP/s. Times are in microseconds from the first slice. */
#ifndef TRACE_H
#define TRACE_H

#include "base/err.h"
#include "train/trainer.h"

__attribute__((warn_unused_result)) bool trace_write(const char *path, const struct trainer *t,
                                                     struct err *err);

#endif
