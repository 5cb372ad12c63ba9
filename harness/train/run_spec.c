/* run_spec.c — wishes that no run can meet together; see run.h. */
#include "base/text.h"
#include "kernels/conv.h"
#include "train/run.h"

static bool check_algo(const char *name, struct err *err)
{
    if (kn_conv_algo(name) >= 0)
        return true;
    const char *const near = text_nearest(name, kn_conv_algos);
    return err_status(
        err, EXIT_USAGE,
        "--conv-algo: expected auto, direct, winograd2 or winograd4, found '%s'%s%s%s", name,
        near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

bool run_spec_check(const struct run_spec *s, struct err *err)
{
    if (!check_algo(s->conv_algo, err))
        return false;
    if (!s->synthetic)
        return true;
    const struct {
        const char *option, *why;
        bool found;
    } rule[] = {
        {"--data", "it runs without data", s->data != NULL},
        {"--save", "noise teaches nothing", s->save != NULL},
        {"--to-accuracy", "noise has no accuracy", s->to_accuracy > 0},
    };
    for (size_t i = 0; i < sizeof rule / sizeof *rule; i++)
        if (rule[i].found)
            return err_status(err, EXIT_USAGE, "--synthetic: expected no %s beside it: %s",
                              rule[i].option, rule[i].why);
    return true;
}
