/* profile_show.h — what `bench profile` has measured, as tables for people, as JSON, and as
 * collapsed stacks for flame graphs. */
#ifndef PROFILE_SHOW_H
#define PROFILE_SHOW_H

#include <jansson.h>
#include <stdio.h>

#include "base/err.h"
#include "perf/roofs.h"
#include "train/run.h"

/* All that was heard of one profile. */
struct profile_heard {
    struct run_plan plan;
    struct run_profile profile; /* without explain */
    struct run_layer *layer;    /* in order of execution */
    int layers;
    bool profiled; /* profile came */
};

/* The roofs by their names in run_profile. */
struct roofs profile_roofs(const struct run_profile *p);

/* Ops by time, at most `most`; rows of the paper's table; roofs, sums, and what looking cost. */
void profile_print(const struct profile_heard *h, FILE *f, int most);

/* "profile": steps, costs, roofs, ops, rows. A new reference. */
json_t *profile_json(const struct profile_heard *h);

/* "plugin:variant;pass;row;op kernel microseconds", a line an op of the mean step: what
 * flamegraph.pl and speedscope read. */
bool profile_flame(const struct profile_heard *h, const char *path, struct err *err);

#endif
