/* cmd_run.c — bench run SELECTOR...: one worker a run, recorded, shown, summed up. */
#define _GNU_SOURCE
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "cli/cli.h"
#include "cli/run_json.h"
#include "cli/run_show.h"
#include "kernels/kernels.h"
#include "perf/counters.h"
#include "report/samples.h"
#include "report/table.h"
#include "store/store.h"
#include "train/checkpoint.h"
#include "train/plugin_find.h"
#include "train/run.h"
#include "train/sample.h"

static struct run_spec asked = {
    RUN_AS_THE_RECIPE_SAYS,
};
static long long first_seed = 1;
static int seeds = 1;
static bool no_record, no_save;

/* clang-format off */
static const struct option options[] = {
    {"epochs", 0, OPT_INT, &asked.epochs, "N", "passes over the training set (recipe)", 0, 1e6},
    {"batch", 0, OPT_INT, &asked.batch, "N", "samples a step (recipe)", 1, 1e6},
    {"lr", 0, OPT_DOUBLE, &asked.rate, "RATE", "peak learning rate (recipe)", 1e-12, 1e12},
    {"seed", 0, OPT_LONG, &first_seed, "N", "of weights, order and dropout (1)", 0, 9e15},
    {"seeds", 0, OPT_INT, &seeds, "N", "so many runs, with seeds counting up (1)", 1, 10000},
    {"threads", 't', OPT_INT, &asked.threads, "N", "threads of a step (all cores)", 1, 1024},
    {"isa", 0, OPT_STRING, &asked.isa, "NAME", "avx512, avx2, neon or scalar (best)", 0, 0},
    {"data", 0, OPT_STRING, &asked.data, "SET", "a set or task that `bench list` names, a folder or a file, or TASK[:PARAMETER][:PLACE]", 0, 0},
    {"cache", 0, OPT_STRING, &asked.cache, "DIR", "where decoded pictures are kept ($XDG_CACHE_HOME/bench)", 0, 0},
    {"synthetic", 0, OPT_FLAG, &asked.synthetic, NULL, "time on noise of the right shape: no data, no accuracy", 0, 0},
    {"to-accuracy", 0, OPT_DOUBLE, &asked.to_accuracy, "PERCENT", "stop when the test set gives so much; else exit 7", 1, 100},
    {"time-budget", 0, OPT_DOUBLE, &asked.time_budget, "SECONDS", "stop training after so long", 0.001, 1e9},
    {"max-steps", 0, OPT_LONG, &asked.max_steps, "N", "stop after so many steps", 1, 1e15},
    {"init", 0, OPT_STRING, &asked.init, "FILE", "initial parameters from a safetensors file", 0, 0},
    {"profile", 0, OPT_FLAG, &asked.profile, NULL, "time every op and record it", 0, 0},
    {"counters", 0, OPT_STRING, &asked.counters, "LIST", "count events: cycles,l2-misses,…; `list` tells what can be", 0, 0},
    {"no-fuse", 0, OPT_FLAG, &asked.no_fuse, NULL, "one kernel an op", 0, 0},
    {"no-lanes", 0, OPT_FLAG, &asked.no_lanes, NULL, "channels-last only (ARCHITECTURE.md)", 0, 0},
    {"conv-algo", 0, OPT_STRING, &asked.conv_algo, "NAME", "auto, direct, winograd2, winograd4, where it applies (auto)", 0, 0},
    {"dry-run", 0, OPT_FLAG, &asked.dry_run, NULL, "build and plan, train nothing, record nothing", 0, 0},
    {"save", 0, OPT_STRING, &asked.save, "FILE", "parameters, as safetensors, when training has ended", 0, 0},
    {"no-save", 0, OPT_FLAG, &no_save, NULL, "do not keep the parameters of sequences for `bench generate`", 0, 0},
    {"no-record", 0, OPT_FLAG, &no_record, NULL, "leave the database alone", 0, 0},
    {0},
};
/* clang-format on */

enum { SHOWN = 3 }; /* samples below the table */

/* One run while it goes on. */
struct running {
    struct run_show show;
    struct store_run *record; /* NULL: not recorded */
    struct err store_err;     /* the first trouble of the store */
    struct run_plan plan;
    bool planned;
    json_t *counters, *samples; /* as they come */
    struct run_sample said[SHOWN];
    int saids;
    struct run_end end;
};

static void on_phase(void *arg, const char *phase)
{
    run_show_phase(&((struct running *)arg)->show, phase);
}

static void on_plan(void *arg, const struct run_plan *plan)
{
    struct running *r = arg;
    r->plan = *plan;
    r->planned = true;
    run_show_plan(&r->show, plan);
    if (r->record && !r->store_err.text[0])
        (void)store_run_plan(r->record, plan, &r->store_err);
}

static void on_progress(void *arg, const struct run_progress *progress)
{
    run_show_progress(&((struct running *)arg)->show, progress);
}

static void on_epoch(void *arg, const struct run_epoch *epoch)
{
    struct running *r = arg;
    run_show_epoch(&r->show, epoch);
    if (r->record && !r->store_err.text[0])
        (void)store_run_epoch(r->record, epoch, &r->store_err);
}

static void on_layer(void *arg, const struct run_layer *layer)
{
    struct running *r = arg;
    if (r->record && !r->store_err.text[0])
        (void)store_run_layer(r->record, layer, &r->store_err);
}

static void on_counter(void *arg, const struct run_counter *counter)
{
    struct running *r = arg;
    run_show_counter(&r->show, counter);
    json_array_append_new(r->counters, run_counter_json(counter));
    if (r->record && !r->store_err.text[0])
        (void)store_run_counter(r->record, counter, &r->store_err);
}

static void on_sample(void *arg, const struct run_sample *sample)
{
    struct running *r = arg;
    json_array_append_new(r->samples, sample_json(sample));
    if (r->saids < SHOWN)
        r->said[r->saids++] = sample_copy(sample);
    if (r->record && !r->store_err.text[0])
        (void)store_run_sample(r->record, sample, &r->store_err);
}

static void on_end(void *arg, const struct run_end *end)
{
    struct running *r = arg;
    r->end = *end;
    run_show_end(&r->show, end);
}

/* Everything that one call of `bench run` gathers. */
struct campaign {
    struct store *store;
    struct store_session *session;
    struct store_row *row;
    json_t *document;
    struct run_sample said[SHOWN]; /* the first ones, and of which row; several runs: one of each */
    int speaker[SHOWN], saids;
    bool several;
    int rows, status;
};

/* If several apply: 1 > 9 > 6 > 7 (measurement.md: usage was settled before). */
static int worse(int a, int b)
{
    static const int order[] = {EXIT_INTERRUPTED, EXIT_INTERNAL, EXIT_PLUGIN, EXIT_BENCH_FAILED,
                                EXIT_QUALITY};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (a == order[i] || b == order[i])
            return order[i];
    return EXIT_OK;
}

/* What a run of sequences keeps without being asked: not of looks at a few steps, and not where
 * nothing is to be written. NULL: nothing. */
static char *place_to_keep(const struct campaign *c, const struct plugin_pick *pick)
{
    const bool look = asked.synthetic || asked.dry_run || asked.max_steps > 0;
    return asked.save || no_save || look || !c->session
               ? NULL
               : checkpoint_place(store_path(c->store), pick->name, pick->variant);
}

/* Takes what fits, frees the rest. */
static void keep_said(struct campaign *c, struct running *r)
{
    const int most = c->several ? 1 : SHOWN;
    for (int i = 0; i < r->saids; i++) {
        if (i >= most || c->saids == SHOWN) {
            sample_release(&r->said[i]);
            continue;
        }
        c->speaker[c->saids] = c->rows - 1;
        c->said[c->saids++] = r->said[i];
    }
}

static bool run_one(struct campaign *c, const struct plugin_pick *pick, int64_t seed,
                    const char *keep, struct err *err)
{
    struct run_spec spec = asked;
    spec.plugin_path = pick->path;
    spec.plugin = pick->name;
    spec.variant = pick->variant;
    spec.seed = seed;
    spec.save = keep ? keep : asked.save;
    spec.save_unasked = keep != NULL;
    const struct store_plugin about = {pick->note.title, pick->note.year, (int)pick->note.abi_major,
                                       (int)pick->note.abi_minor};
    struct running r = {0};
    run_show_begin(&r.show, pick->name, pick->variant);
    if (c->session && !(r.record = store_run_begin(c->session, &spec, &about, err)))
        return false;
    r.counters = json_array();
    r.samples = json_array();
    const struct run_sink sink = {.phase = on_phase,
                                  .plan = on_plan,
                                  .progress = on_progress,
                                  .epoch = on_epoch,
                                  .sample = on_sample,
                                  .layer = on_layer,
                                  .counter = on_counter,
                                  .end = on_end,
                                  .arg = &r};
    struct err worker_err = {0};
    const bool started = worker_run(&spec, &sink, 0, &worker_err);

    c->row = xrealloc(c->row, (size_t)(c->rows + 1) * sizeof *c->row);
    struct store_row *row = &c->row[c->rows++];
    store_row_of(&spec, &about, r.planned ? &r.plan : NULL, &r.end, row);
    keep_said(c, &r);
    if (r.record) {
        row->id = store_run_id(r.record);
        struct err end_err = {0};
        if (!store_run_end(r.record, &r.end, &end_err) && !r.store_err.text[0])
            r.store_err = end_err;
    }
    json_t *json = run_json(row, r.planned ? &r.plan : NULL, &r.end);
    json_object_set_new(json, "counters", r.counters);
    json_object_set_new(json, "samples", r.samples);
    json_array_append_new(c->document, json);
    if (!started) {
        *err = worker_err;
        return false;
    }
    if (r.store_err.text[0]) {
        *err = r.store_err;
        return false;
    }
    c->status = r.end.status == RUN_OK && c->status == EXIT_OK
                    ? run_exit_status(&r.end)
                    : worse(c->status, run_exit_status(&r.end));
    if (run_exit_status(&r.end) == EXIT_USAGE)
        c->status = EXIT_USAGE;
    return true;
}

static bool run_picks(struct campaign *c, const struct plugin_pick *pick, size_t picks,
                      struct err *err)
{
    for (size_t i = 0; i < picks; i++)
        for (int k = 0; k < seeds; k++) {
            char *keep = place_to_keep(c, &pick[i]);
            const bool fine = run_one(c, &pick[i], first_seed + k, keep, err);
            free(keep);
            if (!fine)
                return false;
            if (c->status == EXIT_INTERRUPTED || c->status == EXIT_USAGE)
                return true;
        }
    return true;
}

/* All selectors are resolved before the first run: a typing error costs no training. */
static bool resolve(int argc, char **argv, struct plugin_pick **picks, size_t *count,
                    struct err *err)
{
    struct plugin_list list;
    plugin_list_open(&list);
    bool fine = true;
    for (int i = 1; fine && i < argc; i++) {
        struct plugin_pick *more;
        size_t n;
        fine = plugin_select(&list, argv[i], &more, &n, err);
        if (!fine)
            break;
        *picks = xrealloc(*picks, (*count + n) * sizeof **picks);
        memcpy(*picks + *count, more, n * sizeof *more);
        *count += n;
        free(more); /* the strings moved with the structs */
    }
    plugin_list_close(&list);
    return fine;
}

/* Hours of training should not end with a file that nobody can write. */
static bool check_save(size_t picks, struct err *err)
{
    if (!asked.save)
        return true;
    if (picks * (size_t)seeds != 1)
        return err_status(err, EXIT_USAGE, "--save: expected one run, found %zu",
                          picks * (size_t)seeds);
    char *folder = path_to_replace(asked.save, err);
    if (!folder) {
        err->status = EXIT_USAGE;
        return err_prefix(err, "--save");
    }
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    const bool fine = access(slash ? folder : ".", W_OK | X_OK) == 0;
    if (!fine)
        err_status(err, EXIT_USAGE, "--save: cannot write '%s': %s", asked.save, strerror(errno));
    free(folder);
    return fine;
}

/* Below the table, for a person who looks. */
static void show_said(const struct campaign *c)
{
    const bool looks = isatty(STDOUT_FILENO) && !global.quiet;
    for (int i = 0; looks && i < c->saids; i++) {
        const struct store_row *row = &c->row[c->speaker[i]];
        if (i == 0 || c->speaker[i] != c->speaker[i - 1])
            printf("\n%s%s%s says\n", row->plugin, *row->variant ? ":" : "", row->variant);
        else
            putchar('\n');
        samples_text(stdout, &c->said[i], 1, table_width(stdout), cli_color(stdout));
    }
}

static void sum_up(const struct campaign *c)
{
    if (global.json) {
        json_t *whole = json_pack("{s:i, s:O}", "schema", 1, "runs", c->document);
        json_dumpf(whole, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
        putchar('\n');
        json_decref(whole);
    } else if (c->rows && !asked.dry_run) {
        report_table_runs(stdout, c->row, c->rows, cli_color(stdout));
        show_said(c);
    }
}

static int cmd_run(int argc, char **argv)
{
    if (counters_listed(asked.counters))
        return EXIT_OK;
    struct err err = {0};
    struct plugin_pick *picks = NULL;
    size_t count = 0;
    struct campaign c = {.document = json_array()};
    bool fine = argc > 1 || err_status(&err, EXIT_USAGE,
                                       "run: expected a selector, such as lenet5, "
                                       "mlp:512-512 or all; `bench list` has them");
    fine = fine && run_spec_check(&asked, &err);
    fine = fine && kn_init(asked.isa, &err); /* a name that no worker could use */
    fine = fine && counters_known(asked.counters, &err);
    fine = fine && resolve(argc, argv, &picks, &count, &err) && check_save(count, &err);
    if (fine && !no_record && !asked.dry_run) {
        fine = (c.store = store_open(global.db, STORE_WRITE, &err)) != NULL &&
               (c.session = store_session_begin(c.store, argc, argv, &err)) != NULL;
        if (!fine)
            (void)err_prefix(&err, "cannot record (--no-record runs without)");
    }
    c.several = count * (size_t)seeds > 1;
    fine = fine && run_picks(&c, picks, count, &err);
    if (c.rows)
        sum_up(&c);
    if (!fine)
        c.status = cli_fail(&err);
    if (c.session && !store_session_end(c.session, c.status, &err) && fine)
        c.status = cli_fail(&err);
    store_close(c.store);
    plugin_picks_free(picks, count);
    json_decref(c.document);
    for (int i = 0; i < c.saids; i++)
        sample_release(&c.said[i]);
    free(c.row);
    return c.status;
}

const struct verb verb_run = {
    "run",
    cmd_run,
    "run SELECTOR... [OPTION...]",
    "Trains architectures and records what happened: lenet5, mlp:512-512, 'filters:*', all",
    options,
};
