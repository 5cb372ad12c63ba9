/* exec.h — the inside of a program, shared by program.c (makes it), exec.c (runs
 * it), init.c (initial values) and explain.c (tells about it). */
#ifndef EXEC_H
#define EXEC_H

#include "graph/plan.h"

/* One op, ready to run. */
struct exec {
    struct step step;
    bool wait;   /* something it reads, or overwrites, was touched since the last barrier */
    size_t work; /* bytes of step.work that it uses */
};

/* A zeroed block of floats that tensors are cut from, each on its own cache lines. */
struct block {
    float *data;
    size_t count;
    bool borrowed; /* from the program that this one shares with */
};

/* What one thread's update found, and its updates inside the step; its own cache line. */
struct poison {
    _Alignas(64) float value;
    float inside;
};

/* What a running program notes down, and for whom. */
enum watching { WATCH_NOTHING, WATCH_TIMES, WATCH_TRACE, WATCH_FLOPS };

/* A stretch of a thread's time; begin 0: none. */
struct span {
    int64_t begin, end;
};

/* One thread's notes. A slot is a line of program_steps(): feed, ops, update. Each has two
 * parts, [slot][0] working and [slot][1] waiting for the other threads behind it. */
struct watch {
    _Alignas(64) int64_t last; /* up to here this thread's time is accounted for; ns */
    int64_t *ns;               /* [slot][2], of the step that runs */
    double *flops;             /* [slot], counted by the kernels */
    double *applied, applying; /* [slot], of flops: by updates inside an op; so far in this op */
    struct span *spans;        /* [traced step][slot][2]; NULL without a trace */
};

enum {
    TENSOR_KINDS = TENSOR_SHOWN + 1,
    LINE = PLAN_ALIGN / sizeof(float) /* floats of a cache line */
};

struct program {
    struct nn_graph *g; /* our copy, rewritten by the passes */
    struct program_options options;
    struct run_state state;
    struct plan plan;
    struct arena *arena; /* of what follows, but for the blocks */

    struct block activations, params, buffers, states, grads, inputs, constants, work, output;
    void **data; /* of each node: where its value is */

    struct exec *exec;
    int count, output_step; /* output_step: the op after which TENSOR_OUTPUT is copied, or -1 */
    bool keep_output;
    int watching;            /* enum watching */
    int after_count;         /* the same, when the counted step is over */
    struct watch *watch;     /* of each thread */
    int trace_room;          /* steps that a trace keeps: the last ones */
    long long traced, timed; /* steps so far */
    bool counted, audited;   /* watch[].flops hold a step; told[] knows them */
    void (*lap)(void *arg, int slot); /* program_laps() */
    void *lap_arg;
    struct program_hooks hooks;
    bool applying; /* hooks.apply is to be called: not when a step is only looked at again */
    struct program_range *range; /* program_range() */
    int ranges;
    struct program_step *told; /* feed, exec[0..count), update */
    struct poison *poison;
    char blame[256];

    struct tensor *tensors[TENSOR_KINDS];
    int tensor_count[TENSOR_KINDS];
};

/* init.c: the initial value of a parameter or constant, in memory order. */
void node_initial(const struct node *n, uint64_t seed, float *memory);
/* Zeroes what a connection table leaves out; memory order. */
void node_mask(const struct node *n, float *memory);

/* explain.c: fills p->told. */
void program_tell(struct program *p);

/* watch.c. Around a step, by the thread that runs the program: */
void watch_make(struct program *p);
void watch_release(struct program *p);
void watch_begin(struct program *p);
void watch_end(struct program *p);
/* Inside, by every thread: what it did since its last note was slot's, or waiting behind it. */
void watch_note(struct program *p, int thread, int slot, bool waited);

void watch_lap(struct program *p, int thread, int slot);

static inline void watch(struct program *p, const struct crew *crew, int slot, bool waited)
{
    if (p->watching)
        watch_note(p, crew->thread, slot, waited);
    if (p->lap)
        watch_lap(p, crew->thread, slot);
}

/* This thread has come: the time until then is the feed's wait, its events are no op's. */
static inline void watch_arrive(struct program *p, const struct crew *crew)
{
    if (p->watching)
        watch_note(p, crew->thread, 0, true);
    if (p->lap)
        watch_lap(p, crew->thread, -1);
}

#endif
