/* run_spec.c — wishes that no run can meet together; see run.h. */
#include "train/run.h"

bool run_spec_check(const struct run_spec *s, struct err *err)
{
    if (!s->synthetic)
        return true;
    const struct {
        const char *option, *why;
        bool found;
    } rule[] = {
        {"--data", "it runs without data", s->data != NULL},
        {"--to-accuracy", "noise has no accuracy", s->to_accuracy > 0},
    };
    for (size_t i = 0; i < sizeof rule / sizeof *rule; i++)
        if (rule[i].found)
            return err_status(err, EXIT_USAGE, "--synthetic: expected no %s beside it: %s",
                              rule[i].option, rule[i].why);
    return true;
}
