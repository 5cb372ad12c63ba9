/* dump.h — a program's numbers as safetensors, so that any other framework can check
 * us, and back: initial parameters from a file. */
#ifndef DUMP_H
#define DUMP_H

#include <stdbool.h>

#include "base/err.h"
#include "graph/program.h"
#include "train/safetensors.h"
#include "train/trainer.h"

/* Runs one training step of `t` on its first batch and writes to `path`, all in logical layout:
 *   input.<name>   image [N,C,H,W] or [N,F], label [N] as I32     init.<param>   before the step
 *   output         scores     loss, metric.<name>   []            grad.<param>
 *   param.<param>  after the update
 * __metadata__ tells format, plugin, variant, dataset, seed, each number of the recipe (optimizer,
 * rate, momentum, …) and the whole config. The step has the recipe's full rate, whatever its
 * schedule, so that the update can be seen. */
__attribute__((warn_unused_result)) bool dump_step(struct trainer *t, const char *path,
                                                   struct err *err);

/* All tensors of a kind, their names behind `prefix`, in logical order. */
void dump_add_tensors(struct st_writer *w, const struct program *p, int kind, const char *prefix);

/* Parameters of `p` from a file's tensors "param.<name>", else "<name>", else "init.<name>". Every
 * parameter must be there as F32 with its shape; anything else in the file is left alone, but a
 * file with unused param.* is refused: it belongs to another network. */
__attribute__((warn_unused_result)) bool dump_load_params(const char *path, struct program *p,
                                                          struct err *err);

/* Refuses, EXIT_USAGE, a file whose parameters were trained on tokens numbered otherwise. One that
 * tells no vocabulary is believed. `s` may be NULL: images. */
__attribute__((warn_unused_result)) bool
dump_check_vocabulary(const char *path, const struct sequences *s, struct err *err);

#endif
