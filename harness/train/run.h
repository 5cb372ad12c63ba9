/* run.h — one run: what is asked for, what comes back. The words that the command
 * line, the worker process, the store and the report have in common.
 *
 *   cli fills a run_spec -> worker process (own image: a crash or hang kills only it)
 *   -> frames over a pipe -> the parent's run_sink -> store, progress line, table
 *
 * Strings are owned by the struct that holds them unless said otherwise. */
#ifndef RUN_H
#define RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "perf/noise.h"

enum { RUN_METRICS = 8, RUN_NAME = 64, RUN_TEXT = 512, RUN_WHY = 160 };

/* What to run. Numbers below 0 and NULL strings mean "as the recipe says". */
struct run_spec {
    const char *plugin_path; /* the .so */
    const char *plugin;      /* "lenet5" */
    const char *variant;     /* "modern"; NULL: the first */
    const char *data;        /* NULL: default set; a set's name; or a folder */
    const char *cache;       /* NULL: usual place; or a folder for decoded pictures */
    const char *isa;         /* NULL: best */
    const char *init;        /* NULL, or a safetensors file of initial parameters */
    const char *dump;        /* NULL, or the file that `bench dump` writes: one step, then end */
    const char *save;        /* NULL, or the file for the parameters when training has ended (checkpoint.h) */
    bool save_unasked;       /* nobody named it: of sequences only, and only with an epoch done */
    const char *conv_algo;   /* NULL: by shape; or a name of kn_conv_algos (kernels/conv.h) */
    const char *counters;    /* NULL, or events to count: "cycles,l2miss" (perf/counters.h) */
    int epochs, batch, threads;
    double rate;         /* peak learning rate */
    double to_accuracy;  /* %, stop when the accuracy of the test set reaches it */
    double time_budget;  /* s of training, evaluation included */
    long long max_steps; /* stop after so many steps */
    int64_t seed;        /* >= 0 */
    bool profile;        /* per-op times */
    double profile_s;    /* > 0: `bench profile`, instead of training: measure for so long … */
    long long profile_steps; /* … or, if > 0, time so many steps */
    const char *trace;       /* NULL, or the file for a Chrome trace of its last steps */
    bool explain;            /* program_explain() comes with run_profile */
    bool no_fuse, no_lanes;
    bool dry_run;   /* build, plan, report run_plan, end */
    bool synthetic; /* time on noise instead of data: no evaluation, no metrics */
};

/* How the initializer of a run_spec begins that leaves all that to the recipe. */
#define RUN_AS_THE_RECIPE_SAYS                                                                  \
    .epochs = -1, .batch = -1, .threads = -1, .rate = -1, .to_accuracy = -1, .time_budget = -1, \
    .max_steps = -1

/* Refuses (EXIT_USAGE) wishes that contradict each other. */
bool run_spec_check(const struct run_spec *spec, struct err *err);

struct run_metric {
    char name[RUN_NAME];
    double value;
};

/* Known before the first step. */
struct run_plan {
    char plugin[RUN_NAME], variant[RUN_NAME], isa[16], precision[8]; /* "f32" */
    char dataset[RUN_NAME], dataset_path[RUN_TEXT], dataset_sha256[65];
    char dataset_notes[RUN_TEXT]; /* what was left out of files: lines; "" */
    bool synthetic;
    size_t train_items, test_items;
    int batch, threads, epochs;
    int64_t seed;
    double params, macs;           /* macs: one sample, forward */
    double flops_step, bytes_step; /* one training step, analytic */
    size_t peak_bytes, activation_bytes, parameter_bytes;
    long long steps_per_epoch;
    char config[2048];       /* canonical JSON of every setting that changes a number */
    double published_metric; /* NAN: none */
    char published_name[RUN_NAME], published_dataset[RUN_NAME], published_source[128];
};

/* Several times a second while training, if somebody looks. */
struct run_progress {
    int epoch;                                   /* from 0 */
    long long step;                              /* done so far, over all epochs */
    double loss, accuracy, samples_per_s, eta_s; /* smoothed; NAN where unknown */
};

/* After each epoch and its evaluation. */
struct run_epoch {
    int epoch;                      /* from 1: epochs completed */
    long long step, items;          /* totals */
    double time_s, train_s, eval_s; /* since training began; this epoch's parts */
    double rate, train_loss, test_loss;
    int metrics;
    struct run_metric train[RUN_METRICS], test[RUN_METRICS];
    const double *step_ns; /* this epoch's raw step times; borrowed for the call */
    size_t steps;
    size_t warm; /* how many of them, at the front, are warm-up */
};

/* One row per op, with run_spec.profile. */
struct run_layer {
    char row[RUN_NAME], op[RUN_NAME], shape[RUN_NAME], kernel[RUN_NAME], at[128];
    int pass;                      /* 0 forward, 1 backward, 2 update, 3 feed */
    double macs, flops, bytes, ns; /* of one step; ns: mean, with wait_ns: */
    double wait_ns; /* of it, waiting for the slowest thread; not in the database: NAN from there */
};

/* How a profile was measured, and against which ceilings: with run_spec.profile_s. Plain, timed
 * and traced stretches of steps alternate. */
struct run_profile {
    double plain_ms, timed_ms, traced_ms; /* median step; NAN: there was none */
    double timed_cost, traced_cost;       /* how much slower than plain: 0.01 is 1 % (profile.h) */
    double mean_ms;                       /* of the steps that run_layer.ns is the mean of */
    long long steps, left_out;            /* those; timed but disturbed, so left out */
    struct run_metric roof[RUN_METRICS];  /* measured on the run's threads: perf/roofs.h */
    const char *explain;                  /* NULL; borrowed for the call */
};

/* One event counted in one region, or why it was not. Energy comes this way too. */
struct run_counter {
    char region[RUN_NAME]; /* "steps": all timed steps; with a profile also "C1 conv2d forward" */
    int layer;             /* which run_layer of the profile, from 0; -1 for all steps */
    char event[RUN_NAME];  /* "cycles"; energy in joules: "energy package-0" */
    char source[16];       /* "perf", "papi", "rusage", "rapl" */
    double value;          /* over all `steps`; NAN: not counted */
    char reason[RUN_WHY];  /* why not; "" */
    int64_t enabled_ns, running_ns; /* running < enabled: estimated from a part; -1: unknown */
    long long steps;
};

/* What a trained network says, of a few test items: at most RUN_SAMPLES a run. Texts and tokens are
 * UTF-8; longer ones than this are cut on their way (sample.h). Borrowed for the call. */
enum {
    RUN_SAMPLES = 8,
    RUN_SAMPLE_TOKENS = 512,
    RUN_SAMPLE_TOKEN = 256,
    RUN_SAMPLE_TEXT = 1 << 16
};
struct run_sample {
    const char *source, *reference, *output; /* "" and NULL where there is none */
    const char *const *source_token, *const *output_token;
    int sources, outputs;
    const float *attention; /* [outputs][sources], or NULL */
};

enum run_status {
    RUN_OK,
    RUN_FAILED,
    RUN_CRASHED,
    RUN_TIMEOUT,
    RUN_OOM,
    RUN_REFUSED,
    RUN_INTERRUPTED
};
extern const char *const run_status_name[]; /* "ok", "failed", "crashed", … as the store has them */

/* Whether the step times settled (steady.h). */
enum run_steady { RUN_STEADY_UNKNOWN, RUN_STEADY, RUN_UNSTEADY };

struct run_end {
    int status;            /* enum run_status */
    char reason[RUN_TEXT]; /* why not ok, or not at the target; or "reached 90", "time budget of 5 s", "" */
    bool target_missed;    /* --to-accuracy was asked for and not reached */
    int signal, exit_code;
    long long steps;
    double step_ms_median, step_ms_mad, step_ms_min; /* warm steps only; NAN if none */
    double samples_per_s;      /* by that median; where batches differ in length, the mean */
    double train_loss, time_s; /* of the last epoch; whole training */
    int metrics;
    struct run_metric last[RUN_METRICS], best[RUN_METRICS];
    double harness_s; /* wall time of the worker that was not in steps or evaluation */
    long long peak_rss_bytes, involuntary_switches, major_faults; /* of the whole worker */
    struct noise noise;      /* while the timed steps ran; all 0: none was */
    char tainted[NOISE_WHY]; /* why its times should not be trusted; "" */
    int steady;              /* enum run_steady */
    char unsteady[RUN_WHY];  /* why not RUN_STEADY; "" */
    char saved[RUN_TEXT];    /* where the parameters are; "" */
};

/* The parent's ears. Called in order: plan, (progress | epoch)*, sample*, layer*, counter*,
 * profile?, end; always one end, whatever happened, also when the worker never spoke. Any may be
 * NULL. */
struct run_sink {
    void (*phase)(void *arg, const char *phase); /* any time: "reading data", what takes so long */
    void (*plan)(void *arg, const struct run_plan *plan);
    void (*progress)(void *arg, const struct run_progress *progress);
    void (*epoch)(void *arg, const struct run_epoch *epoch);
    void (*sample)(void *arg, const struct run_sample *sample);
    void (*layer)(void *arg, const struct run_layer *layer);
    void (*counter)(void *arg, const struct run_counter *counter);
    void (*profile)(void *arg, const struct run_profile *profile);
    void (*end)(void *arg, const struct run_end *end);
    void *arg;
};

/* Starts a worker (this program again, as `bench worker`), listens until it ends, kills it
 * when no frame came for `silence_s` seconds (0: 300; $BENCH_WORKER_SILENCE overrides). SIGINT
 * in the parent ends the worker and gives RUN_INTERRUPTED. False only when no worker could be
 * started; then end() has been called too. */
bool worker_run(const struct run_spec *spec, const struct run_sink *sink, double silence_s,
                struct err *err);

/* The worker's main(): reads the spec from descriptor 3, writes frames to descriptor 4. */
int worker_main(void);

#endif
