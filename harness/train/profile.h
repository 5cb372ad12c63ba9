/* profile.h — where the time of a training step goes, and what looking costs.
 *
 * Short stretches of plain, timed and (with a trace) traced steps alternate, so that a
 * machine that changes its pace changes it for all of them. A timed step that took
 * more than 1.25 of the plain steps' lowest decile was disturbed by something else and
 * is left out; how many is told. What looking costs is the ratio of such deciles. Roofs are
 * measured before and after, and the higher counts.
 *
 * Counters by op (run_spec.counters) have a stretch of their own behind the others, because reading
 * them disturbs what is timed. */
#ifndef PROFILE_H
#define PROFILE_H

#include "train/gauges.h"
#include "train/run.h"
#include "train/trainer.h"

enum { PROFILE_TRACE = 20 }; /* steps that a trace holds: the last traced ones */

/* Trains for run_spec.profile_s seconds, or until profile_steps steps are timed, and speaks of
 * layers, counters and the profile to the sink; fills status, reason, steps and times of *end.
 * False and *err when the trace cannot be written. */
__attribute__((warn_unused_result)) bool profile_run(struct trainer *t, const struct run_spec *spec,
                                                     struct gauges *gauges,
                                                     const struct run_sink *sink,
                                                     void (*say)(const char *what),
                                                     struct run_end *end, struct err *err);

/* One frame to the sink for each line of program_steps(); nothing when no step was timed. */
void profile_tell_layers(const struct program *p, const struct run_sink *sink);

#endif
