/* memory.c — see memory.h. */
#include "train/memory.h"

struct run_memory run_memory(const struct program *train, const struct program *test,
                             const struct optimizer *o)
{
    static const struct program_memory none;
    const struct program_memory a = program_memory(train), b = test ? program_memory(test) : none;
    struct run_memory m = {
        .parameters = a.parameters,
        .gradients = a.gradients,
        .optimizer = optimizer_bytes(o),
        .activations = a.activations,
        .work = a.work,
        .inputs = a.inputs,
        .evaluation = b.activations + b.work + b.inputs, /* parameters are shared */
    };
    m.total =
        m.parameters + m.gradients + m.optimizer + m.activations + m.work + m.inputs + m.evaluation;
    return m;
}
