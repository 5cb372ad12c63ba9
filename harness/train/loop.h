/* loop.h — the training loop: epochs, evaluation, stopping, and what is told of it. */
#ifndef LOOP_H
#define LOOP_H

#include <stdatomic.h>

#include "train/run.h"

/* Runs `spec` in this process and tells `sink`, ending with one end(). Called by workers, and by
 * tests. `say` (may be NULL) is told each time something new begins: "build()", "training". */
void loop_run(const struct run_spec *spec, const struct run_sink *sink,
              void (*say)(const char *what));

/* Set by a signal handler, on whichever thread: the run ends behind the current step as
 * RUN_INTERRUPTED. */
extern atomic_int loop_stop;

#endif
