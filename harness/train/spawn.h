/* spawn.h — worker processes, seen from the parent: this program again, exec'ed as
 * `bench worker`, so that it has its own addresses, its own crash and its own hang.
 *
 *     descriptor 3   the job, as JSON       descriptor 4   frames (frame.h)
 *
 * A worker leads a process group of its own, dies with its parent, and inherits
 * nothing but descriptors 0 (empty), 1 and 2. */
#ifndef SPAWN_H
#define SPAWN_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/resource.h>

#include "base/err.h"

enum { SPAWN_JOB = 3, SPAWN_FRAMES = 4, SPAWN_PHASE = 64 };

struct spawn {
    const json_t *job; /* {"task":"run",…}: worker_main.c has the tasks */
    bool own_stdout;   /* what the worker prints goes to our standard output, else to our errors */
    double silence_s; /* killed after so long without a frame; 0: 300. $BENCH_WORKER_SILENCE wins */
    void (*phase)(void *arg, const char *phase); /* NULL, or told what comes next */
    /* Called for each frame but phases; false if its content makes no sense. */
    bool (*frame)(void *arg, int type, const json_t *json);
    void *arg;
};

enum spawn_fate { SPAWN_EXITED, SPAWN_SIGNALLED, SPAWN_NO_MEMORY, SPAWN_SILENT, SPAWN_GARBLED };

struct spawn_end {
    int fate; /* enum spawn_fate */
    int signal, exit_code;
    bool interrupted;        /* SIGINT, SIGTERM or SIGHUP came to us meanwhile */
    char phase[SPAWN_PHASE]; /* what it was about to do: "build()" */
    double silence_s;        /* the limit that held */
    struct rusage usage;
};

/* Runs a worker to its end. While it runs, SIGINT, SIGTERM and SIGHUP to this process are passed on
 * as SIGTERM, which a worker answers with an orderly end; it is killed 5 s later, or when a second
 * one comes. False when no worker could be started. */
bool spawn_worker(const struct spawn *s, struct spawn_end *end, struct err *err);

/* Why it did not end well: "killed by SIGSEGV in build()"; "" if it exited with 0. */
const char *spawn_reason(const struct spawn_end *end, char text[256]);

#endif
