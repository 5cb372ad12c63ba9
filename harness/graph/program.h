/* program.h — a graph made ready to run: gradients derived, fused, planned.
 *
 *     struct nn_graph *g = graph_new(batch);
 *     plugin->build(g, variant->config);
 *     struct program *p = program_new(g, &(struct program_options){.train = true, ...}, &err);
 *     while (...) program_run(p);           no allocation, no failure
 *     program_free(p); graph_free(g);
 *
 * This is all that layers above the graph (train, cli, tests) may see of it. A
 * program owns five aligned blocks: activations (planned, shared by lifetime),
 * parameters, buffers (kept, not trained), gradients (written, never zeroed and
 * added), and whatever its update keeps. Parameters and gradients are flat, in the same order: an
 * optimizer passes over both, see program_range(). Rank-4 tensors are stored channels-last ([N,H,W,C],
 * weights [O,KH,KW,C]); program_read() and program_write() speak the logical
 * order of nn.h ([N,C,H,W], [O,C,KH,KW]). */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/crew.h"
#include "base/err.h"
#include "nn.h"

struct nn_graph *graph_new(int batch);
void graph_free(struct nn_graph *g);                /* NULL is allowed */
const char *graph_error(const struct nn_graph *g);  /* the first error, or NULL */
double graph_params(const struct nn_graph *g);      /* trained scalars; masked weights do not count */
double graph_macs(const struct nn_graph *g);        /* of one sample, forward: reference §0 */

bool graph_stops_gradients(const struct nn_graph *g); /* by nn_stop_grad(): they are not the loss's slope */

/* Of an input by name, without the batch; of rank 0 where there is none. And how many classes the
 * scores tell apart; 0 where there are none. */
struct nn_shape graph_input(const struct nn_graph *g, const char *name);
int graph_classes(const struct nn_graph *g);

/* Before build(): what nn_tokens() and nn_length() answer for the input of that name. */
void graph_set_tokens(struct nn_graph *g, const char *name, int tokens);
void graph_set_length(struct nn_graph *g, const char *name, int steps);
/* After build(): what nn_tokens() last answered for that input; 0 if it was not asked. */
int graph_tokens(const struct nn_graph *g, const char *name);

struct program;

/* What of a graph a program is made of. A decoder says one token after another: each asks for the scores
 * behind the last step, and leaves most of the network as it was. */
enum program_part {
    PROGRAM_WHOLE,
    PROGRAM_GIVEN, /* what depends neither on inputs `fed` nor on states, as far as the rest reads it */
    PROGRAM_LAST,  /* that rest, up to TENSOR_OUTPUT of the last step: of [N,T,K] scores [N,1,K]; no loss, no metric */
};

struct program_options {
    int threads;     /* >= 1 */
    bool train;      /* with backward pass and update; else forward only, dropout off */
    bool no_fuse;    /* one kernel an op, for tests and for finding bugs */
    bool no_lanes;   /* never choose the lanes layout (kernels.h) */
    int conv_algo;   /* enum conv_algo (kernels/conv.h): for every convolution to which it applies */
    bool update_inside; /* large matrices are updated where their gradient is made: see hooks.apply */
    uint64_t seed;   /* of initial parameters, nn_random() and dropout */
    struct program *share; /* NULL, or a program of the same plugin and variant whose parameters this one uses */
    struct program *lend;  /* NULL, or a program whose activations this one may overwrite: the two take turns, and
                            * what one has computed, its loss too, is read before the other runs. Outlives this one. */
    int part;                /* enum program_part: of programs that only evaluate */
    const char *const *fed;  /* NULL-terminated names of inputs */
    struct program *given;   /* of PROGRAM_LAST: the PROGRAM_GIVEN, of as many samples or more, whose results it reads
                              * where they are: those of the first samples. NULL: the program computes all itself */
    int back;                /* of PROGRAM_LAST: scores of the step so many before the last one */
    bool show;               /* what nn_show() names is kept: TENSOR_SHOWN */
};

/* Returns NULL and sets *err on the graph's sticky error, a missing nn_minimize() when
 * training, or shapes beyond 32 bits. The graph must outlive the program. */
struct program *program_new(struct nn_graph *g, const struct program_options *o, struct err *err);
void program_free(struct program *p);

/* Runs one step: feed, forward and, when training, backward and update. False when the
 * loss or a gradient is not finite: then the update has not been applied unless it alone
 * met the NaN, and program_blame() names the row and op where it first shows. */
bool program_run(struct program *p);
const char *program_blame(struct program *p); /* "C3: conv2d: output holds NaN"; owned by p */

/* Of a PROGRAM_GIVEN that has run: its results of sample row[i] become those of sample i, for i < n.
 * row[] rises. */
void program_keep_rows(struct program *p, const int *row, int n);

/* Hooks, called on every thread of the step's crew between its barriers. `feed` fills the
 * inputs before the first op; `update` changes the parameters after the last and returns
 * 0, or NaN if it met a gradient that is not finite. Either may be NULL. */
struct program_hooks {
    void (*feed)(void *arg, const struct crew *crew, struct program *p);
    float (*update)(void *arg, const struct crew *crew, struct program *p);
    void *arg;
    /* With options.update_inside: changes n weights of the flat block, from `at` on, whose gradient
     * g is, on this thread and at once. Called once a step for each of them, by whichever thread
     * has made the gradient; not at all where the loss is not finite. 0, or NaN as update(). */
    float (*apply)(void *arg, struct program *p, size_t at, size_t n, const float *g);
};
void program_set_hooks(struct program *p, const struct program_hooks *hooks);

/* ------------------------------------------------------------------ tensors */

enum tensor_kind { TENSOR_INPUT, TENSOR_PARAM, TENSOR_GRAD, TENSOR_METRIC, TENSOR_LOSS, TENSOR_OUTPUT,
                   TENSOR_BUFFER, TENSOR_STATE, TENSOR_SHOWN };

struct tensor {
    const char *name;       /* "image", "C1.weight", "accuracy" */
    int kind, type;         /* enum tensor_kind, enum nn_type */
    struct nn_shape shape;  /* logical; inputs with the batch in front */
    size_t elements;
    void *data;             /* in memory order; float or int32_t */
};

/* The i-th tensor of a kind, or NULL when i is past the last. TENSOR_PARAM and TENSOR_GRAD
 * have the same names in the same order, but for parameters updated inside the step, whose gradients
 * are nowhere whole. TENSOR_OUTPUT: the scores that the first metric
 * (accuracy) or else the loss looks at; copied out of the arena only if program_keep_output()
 * was called before the step; of PROGRAM_LAST always where it is, and so is TENSOR_SHOWN, until the program or
 * one that it lends to runs again. */
const struct tensor *program_tensor(const struct program *p, int kind, int i);
const struct tensor *program_find(const struct program *p, int kind, const char *name);
void program_keep_output(struct program *p);

/* Logical order, `elements` floats (labels: int32_t read as such). */
void program_read(const struct program *p, const struct tensor *t, void *logical);
void program_write(struct program *p, const struct tensor *t, const void *logical);

/* The flat blocks: `count` floats, padding between tensors included (always 0). */
float *program_weights(struct program *p, size_t *count);
float *program_grads(struct program *p, size_t *count);

/* Which gradients belong to which weights, for an update: count floats from `weight` on in the one
 * block, from `grad` on in the other. Ranges follow each other in both, and cover all gradients; a
 * large parameter is one of its own, to be shared by the threads. False past the last. */
struct program_range { size_t weight, grad, count; };
bool program_range(const struct program *p, int i, struct program_range *range);

/* Draws all parameters anew from the seed. program_new() has done it once. */
void program_init(struct program *p, uint64_t seed);

/* All nn_state() become 0 again: at the start of an epoch, of an evaluation, of a text. */
void program_clear_state(struct program *p);

float program_loss(const struct program *p);
float program_metric(const struct program *p, int i); /* value of the i-th nn_metric() */
int program_batch(const struct program *p);

/* ---------------------------------------------------------------- measuring */

struct program_step { /* one op of the program, in order of execution */
    const char *row, *op, *at, *kernel; /* kernel: "gemm_f32 NT", "conv_f32 lanes" */
    int pass;                    /* 0 forward, 1 backward, 2 update, 3 feed */
    double macs, flops, bytes;   /* of one step (whole batch), analytic; see program_audit() */
    char shape[48];
    int64_t ns;                  /* summed over the timed steps, mean of the threads; with wait_ns: */
    int64_t wait_ns;             /* waiting behind it for the slowest thread */
};
/* Feed, ops, update: every nanosecond of program_run() belongs to one of them, so that the sum
 * of ns over all is the time of the timed steps. */
const struct program_step *program_steps(const struct program *p, int *count);

/* What the steps to come note down. Timing costs each thread a clock read an op and one a
 * barrier, and adds no barrier; tracing also keeps the reading. */
enum program_watch { PROGRAM_PLAIN, PROGRAM_TIMED, PROGRAM_TRACED };
void program_watch(struct program *p, int what);
void program_time_steps(struct program *p, bool on); /* PROGRAM_TIMED from zero, or PROGRAM_PLAIN */
long long program_timed(const struct program *p);    /* steps in program_step.ns */
void program_forget(struct program *p);              /* the last timed step does not count */

/* Room for a trace of the last `steps` traced steps, before the first of them. */
void program_trace_room(struct program *p, int steps);
struct program_event {
    int64_t begin, end; /* clock_ns() */
    int step;           /* index of program_steps() */
    int turn;           /* of the traced steps, from 0 */
    bool waiting;       /* for other threads, behind that step */
};
/* The i-th event of a thread, in order of time; false past the last. */
bool program_event(const struct program *p, int thread, int i, struct program_event *event);

/* In the steps to come every thread calls lap() behind each of its ops and each barrier, with the
 * index in program_steps() of what has just ended; with -1 as it enters the step. NULL: no more. */
void program_laps(struct program *p, void (*lap)(void *arg, int slot), void *arg);

/* FLOPs a second time: program_count() makes the next program_run() count in its kernels
 * (kernels/count.h), bit for bit the same step. program_audit() then compares every op's sum with
 * the analytic program_step.flops and fails with the op's row, name and both numbers when they
 * differ by more than 1 % (and more than 8 operations). What feed and update compute only the
 * count can tell: it becomes their program_step.flops. */
void program_count(struct program *p);
__attribute__((warn_unused_result)) bool program_audit(struct program *p, struct err *err);

struct program_memory { size_t activations, parameters, gradients, work, inputs; }; /* bytes */
struct program_memory program_memory(const struct program *p);

/* The plan and the graph for a person: rows, ops, shapes, layouts, lifetimes, offsets. Malloc'ed. */
char *program_explain(const struct program *p);

/* For tests: buffers of the plan with their lifetimes, checked by an independent checker. */
struct program_buffer { size_t offset, bytes; int born, dies, node; };
const struct program_buffer *program_buffers(const struct program *p, int *count);

#endif
