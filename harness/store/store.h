/* store.h — the SQLite database of every run that was ever made here.
 *
 *     struct store *s = store_open(NULL, STORE_WRITE, &err);
 *     struct store_session *session = store_session_begin(s, argc, argv, &err);
 *     for each run: store_run_begin() -> store_run_plan() -> store_run_epoch()* ->
 *                   store_run_sample()* -> store_run_layer()* -> store_run_counter()* ->
 * store_run_end() store_session_end(session, exit_status, &err); store_close(s);
 *
 * A run's row exists before its worker starts (status "failed", reason "started"), so that
 * a host that dies leaves a trace. The plan is written when it arrives, before the first
 * step; epochs, step times and layers are kept in memory and written with the end in one
 * transaction, because a write beside a timed step is noise — but never later than
 * STORE_FLUSH_S after they arrived, so that a run of a day cannot lose its curve.
 *
 * Several processes may write to one database at once; each call waits for its turn up to
 * five seconds. Units in the database are SI or plain counts; NULL is "not measured". */
#ifndef STORE_H
#define STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"
#include "train/run.h"

enum { STORE_SCHEMA = 3, STORE_FLUSH_S = 30 };

enum store_mode {
    STORE_READ,  /* must exist; nothing is changed, not even the schema */
    STORE_WRITE, /* created with its folders when missing; older schemas are migrated */
};

struct store;

/* Where the database is: $BENCH_DB; else results/bench.db of the source tree that the running
 * program was built in; else bench/bench.db in $XDG_DATA_HOME (~/.local/share). Malloc'ed. */
char *store_default_path(void);

/* `path` NULL: the default. NULL and *err when it cannot be opened, is not ours, is damaged, or
 * (STORE_WRITE) has a schema newer than this program's, which can still be read. */
__attribute__((warn_unused_result)) struct store *store_open(const char *path, int mode,
                                                             struct err *err);
void store_close(struct store *s); /* NULL is allowed */
const char *store_path(const struct store *s);
const char *store_note(
    const struct store *s); /* what a person should know, or NULL: "newer schema: read only" */

/* ------------------------------------------------------------------ writing */

/* One call of the program: records its command line (the process's own, as argv may have been
 * parsed already; argc and argv serve where /proc does not), machine, environment and build. */
struct store_session;

__attribute__((warn_unused_result)) struct store_session *
store_session_begin(struct store *s, int argc, char **argv, struct err *err);
bool store_session_end(struct store_session *session, int exit_status,
                       struct err *err); /* frees it */

/* What the host knows of a plugin before its worker speaks; 0 and NULL where unknown. */
struct store_plugin {
    const char *title;
    int year, abi_major, abi_minor;
};

struct store_run;

/* Writes the run's row. `plugin` may be NULL. The caller ends it with store_run_end(), always. */
__attribute__((warn_unused_result)) struct store_run *
store_run_begin(struct store_session *session, const struct run_spec *spec,
                const struct store_plugin *plugin, struct err *err);
int64_t store_run_id(const struct store_run *r);
bool store_run_plan(struct store_run *r, const struct run_plan *plan, struct err *err);
bool store_run_epoch(struct store_run *r, const struct run_epoch *epoch, struct err *err);
bool store_run_sample(struct store_run *r, const struct run_sample *sample, struct err *err);
bool store_run_layer(struct store_run *r, const struct run_layer *layer, struct err *err);
bool store_run_counter(struct store_run *r, const struct run_counter *counter, struct err *err);
bool store_run_end(struct store_run *r, const struct run_end *end, struct err *err); /* frees it */

/* One number more of the run, at once; NAN: nothing. A metric that is not known yet is added. */
bool store_run_value(struct store_run *r, const char *metric, const char *how, double value,
                     struct err *err);

/* ------------------------------------------------------------------ reading */

/* One run in a line. Numbers are NAN (counts -1) and strings "" where nothing is known. */
struct store_row {
    int64_t id, started_ms, seed; /* started_ms: Unix time */
    char plugin[RUN_NAME], variant[RUN_NAME], title[RUN_NAME];
    int year; /* 0: unknown */
    char status[16], reason[RUN_TEXT];
    char tainted[NOISE_WHY], unsteady[RUN_WHY]; /* "" where nothing is the matter */
    int steady;                                 /* enum run_steady */
    char dataset[RUN_NAME], isa[16], precision[8];
    bool synthetic;
    int epochs, batch, threads; /* epochs: completed */
    long long steps;
    double params, macs;
    char metric[RUN_NAME]; /* the plugin's quality, "accuracy" */
    double last, best;     /* of that metric on the test set */
    double published;      /* the same, as the paper or its source has it */
    char published_dataset[RUN_NAME], published_source[128];
    double train_loss, test_loss; /* of the last epoch */
    double step_ms, step_ms_mad, samples_per_s, time_s;
    double peak_bytes;
    bool profiled; /* has per-op rows */
};

/* Its end was never written: it goes on, or it was killed with all that knew of it. */
bool store_row_is_unfinished(const struct store_row *row);

/* The same line from what the parent of a worker heard; `plan` and `plugin` may be NULL. */
void store_row_of(const struct run_spec *spec, const struct store_plugin *plugin,
                  const struct run_plan *plan, const struct run_end *end, struct store_row *row);

/* Which of end->last is the run's quality: the one that was published of the variant, if it was
 * measured, else the first; -1: none. `plan` may be NULL. */
int store_quality(const struct run_plan *plan, const struct run_end *end);

/* Which runs. A selector is "plugin", "plugin:variant" (both may be shell patterns) or a run's
 * number; none selects all. */
struct store_query {
    const char *const *selectors;
    int selectors_count;
    int last;    /* at most so many, the newest; 0: all */
    bool newest; /* only the newest ok run of each plugin, variant and dataset */
    bool ok_only;
};

/* Newest first (store_query.newest: by year and name). *rows is malloc'ed; the count, or -1 and
 * *err. */
int store_rows(struct store *s, const struct store_query *q, struct store_row **rows,
               struct err *err);
bool store_row(struct store *s, int64_t id, struct store_row *row, struct err *err);

/* ------------------------------------------------- everything known of one run */

/* After an epoch; train and test are the plugin's quality. NAN where not measured. */
struct store_point {
    int epoch;
    long long step, items;
    double time_s, train_s, eval_s, rate;
    double train_loss, test_loss, train, test;
};

/* Each gives a malloc'ed array and its length, or -1 and *err. */
int store_curve(struct store *s, int64_t id, struct store_point **points, struct err *err);
int store_layers(struct store *s, int64_t id, struct run_layer **layers, struct err *err);
int store_counters(struct store *s, int64_t id, struct run_counter **counters, struct err *err);

/* What the network said, in order; at most RUN_SAMPLES. No text of them is NULL. Freed together. */
int store_samples(struct store *s, int64_t id, struct run_sample **samples, struct err *err);
void store_samples_free(struct run_sample *samples, int count);

/* Raw step times in ms, in the order in which they were taken. */
struct store_step {
    int epoch;
    bool warm; /* warm-up: not counted in medians */
    double ms;
};
int store_steps(struct store *s, int64_t id, struct store_step **steps, struct err *err);

/* Facts for people, in order: {"machine", "cpu", "AMD EPYC"}. What is unknown is left out. */
struct store_fact {
    const char *group; /* "run", "data", "trust", "noise", "worker", "machine", "environment", … */
    char key[32];
    char *value;
};
int store_facts(struct store *s, int64_t id, struct store_fact **facts, struct err *err);
void store_facts_free(struct store_fact *facts, int count);
const char *store_fact(const struct store_fact *facts, int count, const char *group,
                       const char *key); /* "" if none */

/* The roofs that a profile was measured against (run_profile.roof); nameless where there are none.
 */
bool store_roofs(struct store *s, int64_t id, struct run_metric roof[RUN_METRICS], struct err *err);

/* ------------------------------------------------------------------- upkeep */

/* Reads every page, index and reference. `said` gets what was counted, for people. False and
 * *err with the first damage found when something is wrong. */
bool store_check(struct store *s, struct text *said, struct err *err);
bool store_vacuum(struct store *s, struct err *err);
int store_schema(struct store *s); /* number found in the file */

#endif
