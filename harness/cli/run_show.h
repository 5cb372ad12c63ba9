/* run_show.h — what a person sees while a run goes on: a line that moves on a
 * terminal, a line an epoch anywhere else, nothing with --quiet. All on stderr. */
#ifndef RUN_SHOW_H
#define RUN_SHOW_H

#include "train/run.h"

struct run_show {
    bool moving; /* stderr is a terminal */
    bool quiet;
    bool planned;    /* run_show_plan() has been called */
    char title[160]; /* "lenet5:modern" */
    int epochs;      /* planned */
    char metric[RUN_NAME];
    int width; /* of the moving line that stands there now */
};

/* The program's exit status after a run that ended so. */
int run_exit_status(const struct run_end *end);

void run_show_begin(struct run_show *s, const char *plugin, const char *variant);
void run_show_phase(struct run_show *s, const char *phase);
void run_show_plan(struct run_show *s, const struct run_plan *p);
void run_show_progress(struct run_show *s, const struct run_progress *p);
void run_show_epoch(struct run_show *s, const struct run_epoch *e);
void run_show_counter(struct run_show *s, const struct run_counter *c);
void run_show_end(struct run_show *s, const struct run_end *e);

#endif
