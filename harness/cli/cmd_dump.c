/* cmd_dump.c — bench dump SELECTOR -o FILE: one training step, for other frameworks to check. */
#include <stdio.h>

#include "cli/cli.h"
#include "kernels/kernels.h"
#include "train/plugin_find.h"
#include "train/run.h"

static struct run_spec asked = {
    RUN_AS_THE_RECIPE_SAYS,
};
static long long seed = 1;

/* clang-format off */
static const struct option options[] = {
    {"output", 'o', OPT_STRING, &asked.dump, "FILE", "the safetensors file to write", 0, 0},
    {"batch", 0, OPT_INT, &asked.batch, "N", "samples in the step (recipe)", 1, 1e6},
    {"seed", 0, OPT_LONG, &seed, "N", "of weights, order and dropout (1)", 0, 9e15},
    {"lr", 0, OPT_DOUBLE, &asked.rate, "RATE", "peak learning rate (recipe)", 1e-12, 1e12},
    {"threads", 't', OPT_INT, &asked.threads, "N", "threads of a step (all cores)", 1, 1024},
    {"isa", 0, OPT_STRING, &asked.isa, "NAME", "avx512, avx2, neon or scalar (best)", 0, 0},
    {"data", 0, OPT_STRING, &asked.data, "SET", "fashion-mnist, mnist, digits, or a folder of IDX files", 0, 0},
    {"init", 0, OPT_STRING, &asked.init, "FILE", "initial parameters from a safetensors file", 0, 0},
    {"no-fuse", 0, OPT_FLAG, &asked.no_fuse, NULL, "one kernel an op", 0, 0},
    {0},
};
/* clang-format on */

static void on_end(void *arg, const struct run_end *end) { *(struct run_end *)arg = *end; }

static int cmd_dump(int argc, char **argv)
{
    struct err err = {0};
    struct plugin_list list;
    struct plugin_pick *pick = NULL;
    size_t picks = 0;
    if (argc != 2 || !asked.dump) {
        err_status(&err, EXIT_USAGE, "dump: expected one selector and -o FILE");
        return cli_fail(&err);
    }
    plugin_list_open(&list);
    bool fine = kn_init(asked.isa, &err) && plugin_select(&list, argv[1], &pick, &picks, &err);
    plugin_list_close(&list);
    if (fine && picks != 1)
        fine = err_status(&err, EXIT_USAGE, "dump: '%s' means %zu variants, expected one", argv[1],
                          picks);
    struct run_end end = {0};
    if (fine) {
        asked.plugin_path = pick->path;
        asked.plugin = pick->name;
        asked.variant = pick->variant;
        asked.seed = seed;
        fine = worker_run(&asked, &(struct run_sink){.end = on_end, .arg = &end}, 0, &err);
    }
    if (fine && end.status != RUN_OK)
        fine = err_status(&err,
                          end.status == RUN_REFUSED     ? EXIT_PLUGIN
                          : end.exit_code == EXIT_USAGE ? EXIT_USAGE
                                                        : EXIT_BENCH_FAILED,
                          "%s: %s", run_status_name[end.status], end.reason);
    plugin_picks_free(pick, picks);
    if (!fine)
        return cli_fail(&err);
    if (!global.quiet)
        fprintf(stderr, "wrote %s\n", asked.dump);
    return EXIT_OK;
}

const struct verb verb_dump = {
    "dump",
    cmd_dump,
    "dump SELECTOR -o FILE [OPTION...]",
    "Writes one training step, inputs to updated parameters, as safetensors",
    options,
};
