/* run_json.h — one run in the document of `bench run --json`, schema 1. */
#ifndef RUN_JSON_H
#define RUN_JSON_H

#include <jansson.h>

#include "store/store.h"
#include "train/run.h"

/* The caller owns the result. `plan` is NULL when the worker never got so far; numbers that
 * nobody measured are null. */
json_t *run_json(const struct store_row *row, const struct run_plan *plan,
                 const struct run_end *end);

/* One entry of its "counters". */
json_t *run_counter_json(const struct run_counter *c);

#endif
