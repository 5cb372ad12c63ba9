/* recipe.h — how a variant will be trained: its recipe, the command line's wishes,
 * and the defaults of plugin.h, made into one struct without holes. */
#ifndef RECIPE_H
#define RECIPE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "plugin.h"
#include "train/run.h"

/* *out = `recipe` with what `spec` asks for otherwise, and defaults where it is 0. With another
 * number of epochs the warm-up and the rate's steps are stretched along. Refuses
 * (EXIT_PLUGIN, naming field, found and expected) recipes that make no sense. */
__attribute__((warn_unused_result)) bool recipe_resolve(const struct nn_recipe *recipe,
                                                        const struct run_spec *spec,
                                                        struct nn_recipe *out, struct err *err);

/* A resolved recipe as JSON: all that changes a number, for `bench info` and run_plan.config. */
json_t *recipe_json(const struct nn_recipe *r);

extern const char *const optimizer_name[], *const schedule_name[]; /* by enum; "sgd", "one-cycle" */

#endif
