/* trainer.h — everything that a run needs, made ready: plugin, data, programs,
 * optimizer. The loop, `bench dump` and `bench plugin check` stand on it.
 *
 *     struct trainer t;
 *     if (!trainer_open(&t, &spec, say, &err)) ...
 *     feed_start(&t.feed, epoch);
 *     do trainer_step(&t); while (feed_next(&t.feed, batch));
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

/* The inputs of a program, filled from a feed. */
struct trainer_inputs {
    struct feed *feed;
    float *image;
    int32_t *label;
};

struct trainer {
    struct plugin plugin;
    const struct nn_variant *variant;
    struct nn_recipe recipe; /* resolved */
    struct dataset data;
    struct feed feed, test_feed;
    struct nn_graph *graph;
    struct program *program, *test; /* train and evaluate the same parameters; no test on noise */
    struct trainer_inputs inputs, test_inputs;
    struct optimizer optimizer;
    struct run_plan plan;
    long long steps, steps_all; /* done; of the whole run by its epochs */
};

/* `say` (may be NULL) is told what comes next: "loading the plugin", "build()", … `items`
 * limits a generated data set (0: its default). Opens nothing on failure. */
__attribute__((warn_unused_result)) bool trainer_open(struct trainer *t,
                                                      const struct run_spec *spec, size_t items,
                                                      void (*say)(const char *what),
                                                      struct err *err);
void trainer_close(struct trainer *t);

/* One step on the items that t->feed stands at. False: not finite; program_blame() knows where. */
__attribute__((warn_unused_result)) bool trainer_step(struct trainer *t);
double trainer_rate(const struct trainer *t); /* of the step to come */

/* Means over the whole test set, each item counting once. */
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
