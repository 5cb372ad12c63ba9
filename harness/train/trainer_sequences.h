/* trainer_sequences.h — the trainer's part for sequences: programs by bucket, and their feeds.
 * Only trainer.c, plugin_tap.c and tests include this. */
#ifndef TRAINER_SEQUENCES_H
#define TRAINER_SEQUENCES_H

#include "train/trainer.h"

/* Opens the variant's task, or what `data` names instead, and chooses buckets. `buckets`: at most.
 */
bool trainer_open_sequences(struct trainer *t, const struct run_spec *spec, size_t items,
                            struct err *err);

/* Builds the graphs of all buckets: t->graph is the longest's. One bucket is made of them where the
 * network's inputs have the same steps in all, or its parameters depend on them. */
bool trainer_build_sequences(struct trainer *t, struct err *err);

/* t->program and t->test are there; makes those of the other buckets, which share their parameters.
 */
bool trainer_share_sequences(struct trainer *t, const struct program_options *options,
                             struct err *err);

/* Feeds, when the programs are there. */
bool trainer_feed_sequences(struct trainer *t, uint64_t seed, struct err *err);

void trainer_close_sequences(struct trainer *t);

/* Inputs of a network for sequences, drawn once: tokens of its vocabulary, labels of its classes,
 * whole lengths, floats from N(0,1), or NaN if `poison`. */
void trainer_draw_inputs(struct program *p, const struct nn_graph *g, uint64_t seed, bool poison);

/* trainer_evaluate() of sequences: means over all predictions. */
bool trainer_evaluate_sequences(struct trainer *t, bool (*look)(void *arg), void *arg,
                                struct score *score);

#endif
