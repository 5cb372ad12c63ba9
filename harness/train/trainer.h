/* trainer.h — everything that a run needs, made ready: plugin, data, programs,
 * optimizer. The loop, `bench dump` and `bench plugin check` stand on it.
 *
 *     struct trainer t;
 *     if (!trainer_open(&t, &spec, say, &err)) ...
 *     trainer_start(&t, epoch);
 *     do trainer_step(&t); while (trainer_next(&t));
 *     trainer_evaluate(&t, look, arg, &score);
 *     trainer_close(&t);
 */
#ifndef TRAINER_H
#define TRAINER_H

#include <stdbool.h>

#include "base/err.h"
#include "datasets/dataset.h"
#include "graph/program.h"
#include "train/feed.h"
#include "train/optimizer.h"
#include "train/plugin_load.h"
#include "train/run.h"
#include "train/sequence_feed.h"

/* The inputs of a program, filled from a feed. */
struct trainer_inputs {
    struct feed *feed;
    float *image;
    int32_t *label;
};

/* Sequences of like lengths: their programs share parameters with all others. */
struct trainer_bucket {
    struct nn_graph *graph;
    struct program *program, *test;
    struct sequence_bindings inputs, test_inputs;
};

/* Images are in `data`, or sequences in `sequences`; on noise both are empty. */
struct trainer {
    struct plugin plugin;
    const struct nn_variant *variant;
    struct nn_recipe recipe; /* resolved */
    bool noise;              /* --synthetic: inputs are drawn once, nothing is evaluated */
    struct dataset data;
    struct feed feed, test_feed;
    struct sequences *sequences; /* NULL: images, or noise */
    struct sequence_buckets buckets;
    struct sequence_feed sequence_feed, sequence_test_feed;
    struct trainer_bucket bucket[BUCKETS]; /* of sequences; the last's are the three to come */
    struct nn_graph *graph;
    struct program *program, *test; /* train and evaluate the same parameters; no test on noise */
    struct program *ran;            /* last: `program`, `test`, or a shorter bucket's */
    struct trainer_inputs inputs, test_inputs;
    struct program_hooks hooks;
    struct optimizer optimizer;
    struct run_plan plan;
    long long steps, steps_all; /* done; of the whole run by its epochs */
    bool counting[BUCKETS];     /* the program's next step is to be audited */
};

/* `say` (may be NULL) is told what comes next: "loading the plugin", "build()", … `items`
 * limits a generated data set (0: its default). Opens nothing on failure. */
__attribute__((warn_unused_result)) bool trainer_open(struct trainer *t,
                                                      const struct run_spec *spec, size_t items,
                                                      void (*say)(const char *what),
                                                      struct err *err);
void trainer_close(struct trainer *t);

/* Begins an epoch, 0 the first; moves on to the next batch, or false at the epoch's end. */
void trainer_start(struct trainer *t, int epoch);
bool trainer_next(struct trainer *t);

/* One step on the batch that the feed stands at. False: not finite; program_blame(t->ran) knows
 * where. Loss and metrics are those of t->ran. */
__attribute__((warn_unused_result)) bool trainer_step(struct trainer *t);
double trainer_weight(const struct trainer *t); /* what the last step's means count for: of images 1 */
double trainer_rate(const struct trainer *t); /* of the step to come */

/* FLOPs counted a second time in the first step of each program: before all steps, and behind each.
 */
void trainer_count(struct trainer *t);
__attribute__((warn_unused_result)) bool trainer_audit(struct trainer *t, struct err *err);

/* Means over the whole test set, each item counting once; of sequences, each prediction. */
struct score {
    double loss;
    int metrics;
    struct run_metric metric[RUN_METRICS];
};
/* Calls look(arg) after each batch (may be NULL); stops when it returns false. False: the loss is
 * not finite. */
__attribute__((warn_unused_result)) bool
trainer_evaluate(struct trainer *t, bool (*look)(void *arg), void *arg, struct score *score);

#endif
