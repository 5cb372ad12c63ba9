/* schedule.c — see schedule.h. */
#include "train/schedule.h"

#include <math.h>

enum { RATE_STEPS = sizeof((struct nn_recipe *)0)->steps / sizeof(struct nn_rate_step) };
static const double pi = 3.14159265358979323846;
static const double rise = 0.3; /* of a cycle, where the recipe has no warm-up */

static double step_factor(const struct nn_recipe *r, double epoch)
{
    double factor = 1;
    for (int i = 0; i < RATE_STEPS && (r->steps[i].epoch != 0 || r->steps[i].factor != 0); i++)
        if (epoch >= (double)r->steps[i].epoch)
            factor = (double)r->steps[i].factor;
    return factor;
}

/* Steps of warm-up; never the whole run. */
static double warmup(const struct nn_recipe *r, double steps_per_epoch, double steps_all)
{
    double w = (double)r->warmup_epochs * steps_per_epoch;
    if (r->schedule == NN_ONE_CYCLE && w <= 0)
        w = rise * steps_all;
    return floor(fmin(w, steps_all - 1));
}

double schedule_rate(const struct nn_recipe *r, long long s, long long steps_per_epoch,
                     long long steps_all)
{
    const double step = (double)s, rate = (double)r->rate, end = (double)r->final_factor;
    const double w = warmup(r, (double)steps_per_epoch, (double)steps_all);
    if (step < w)
        return rate * (step + 1) / w;
    const double left = (double)steps_all - 1 - w;              /* steps after the peak */
    const double t = left > 0 ? fmin((step - w) / left, 1) : 0; /* 0 at the peak, 1 at the end */
    switch (r->schedule) {
    case NN_STEPS: return rate * step_factor(r, step / (double)steps_per_epoch);
    case NN_COSINE: return rate * (end + (1 - end) * (1 + cos(pi * t)) / 2);
    case NN_ONE_CYCLE: return rate * (end + (1 - end) * (1 - t));
    default: return rate;
    }
}
