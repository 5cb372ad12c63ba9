/* schedule.h — the learning rate of a step.
 *
 *   warm-up    rate (s+1)/W for s < W, W = warmup_epochs in steps; linear (Goyal et al. 2017)
 *   constant   rate
 *   steps      rate times the factor of the last entry whose epoch has begun
 *   cosine     from rate to rate final_factor along half a cosine: Loshchilov & Hutter 2017
 *   one-cycle  the warm-up (30 % of the run if none is given), then a straight line down to
 *              rate final_factor: Smith & Topin 2017, with constant momentum
 *
 * The last step of the run has the final rate exactly. */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include "plugin.h"

/* Of step 0 <= s < steps_all. `r` is resolved (recipe.h). */
double schedule_rate(const struct nn_recipe *r, long long s, long long steps_per_epoch,
                     long long steps_all);

#endif
