/* optimizer.h — one step of gradient descent over flat parameter memory, by a crew.
 *
 * Every parameter decays, biases too, as in the frameworks' plain recipes. With
 * clip_norm the gradient is scaled by min(1, clip_norm / |g|); |g| is summed over
 * chunks of fixed size, so that it has the same bits for any number of threads. */
#ifndef OPTIMIZER_H
#define OPTIMIZER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/crew.h"
#include "graph/program.h"
#include "kernels/kernels.h"
#include "plugin.h"

struct optimizer {
    int kind; /* enum nn_optimizer */
    size_t count;
    struct kn_sgd sgd;
    struct kn_adam adam;
    float clip_norm;
    float *first, *second; /* moments, as long as the parameters; NULL where not kept */
    double *chunk;         /* sums of squares; NULL without clipping */
    long long steps;
};

/* Can it move a parameter without knowing the other gradients? Not with clipping. */
bool optimizer_takes_parts(const struct nn_recipe *r);

/* For `count` parameters, by a resolved recipe. */
void optimizer_init(struct optimizer *o, const struct nn_recipe *r, size_t count);
void optimizer_release(struct optimizer *o);
size_t optimizer_bytes(const struct optimizer *o); /* that it keeps */

/* Before each step, on one thread: counts it, and sets its rate. */
void optimizer_begin(struct optimizer *o, double rate);

/* This thread's share of w <- w - step(g), in each of the program's ranges. 0, or NaN when it met a
 * gradient that is not finite; with clipping nothing has changed then. Called by all threads of a
 * crew. */
float optimizer_update(const struct optimizer *o, const struct crew *crew, struct program *p);

/* As program_hooks.apply: of weights whose gradient has just been made; o is the hooks' or what
 * leads to it. */
float optimizer_apply(const struct optimizer *o, struct program *p, size_t at, size_t n,
                      const float *g);

#endif
