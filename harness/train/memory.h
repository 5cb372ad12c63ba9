/* memory.h — what a training run keeps in memory, by purpose; known before the first step. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stddef.h>

#include "graph/program.h"
#include "train/optimizer.h"

/* Bytes. Data set, program text and the database are not in it. */
struct run_memory {
    size_t parameters, gradients, optimizer; /* optimizer: its moments */
    size_t activations; /* of the training step, as planned: shared by lifetime */
    size_t work;        /* kernels' scratch, all threads */
    size_t inputs;      /* one batch of images and labels */
    size_t evaluation;  /* all that the forward-only program adds */
    size_t total;
};

/* `test` is NULL where nothing is evaluated. */
struct run_memory run_memory(const struct program *train, const struct program *test,
                             const struct optimizer *o);

#endif
