/* cmd_profile.c — bench profile SELECTOR: where the time of a training step goes. One worker
 * measures (train/profile.h); this process records, shows and writes files. */
#define _GNU_SOURCE
#include <assert.h>
#include <limits.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/path.h"
#include "cli/cli.h"
#include "cli/profile_show.h"
#include "cli/run_json.h"
#include "cli/run_show.h"
#include "kernels/kernels.h"
#include "perf/counters.h"
#include "report/report.h"
#include "store/store.h"
#include "train/plugin_find.h"

static struct run_spec asked = {
    RUN_AS_THE_RECIPE_SAYS,
    .profile = true,
    .profile_s = 2.0,
};
static long long seed = 1;
static const char *flame, *folder;
static bool no_record, all_ops, no_plot;

enum { OPS_SHOWN = 20 };

/* clang-format off */
static const struct option options[] = {
    {"steps", 0, OPT_LONG, &asked.profile_steps, "N", "time so many steps", 1, 1e9},
    {"seconds", 0, OPT_DOUBLE, &asked.profile_s, "S", "or measure for so long (2)", 0.01, 1e6},
    {"trace", 0, OPT_STRING, &asked.trace, "FILE", "write the last 20 steps for Perfetto (ui.perfetto.dev)", 0, 0},
    {"flame", 0, OPT_STRING, &flame, "FILE", "write collapsed stacks for speedscope or flamegraph.pl", 0, 0},
    {"counters", 0, OPT_STRING, &asked.counters, "LIST", "count events by op: cycles,l2-misses,…; `list` tells what can be", 0, 0},
    {"explain", 0, OPT_FLAG, &asked.explain, NULL, "show the plan: every op, its place in memory, its lifetime", 0, 0},
    {"all", 'a', OPT_FLAG, &all_ops, NULL, "show all ops, not only the slowest 20", 0, 0},
    {"batch", 0, OPT_INT, &asked.batch, "N", "samples a step (recipe)", 1, 1e6},
    {"threads", 't', OPT_INT, &asked.threads, "N", "threads of a step (all cores)", 1, 1024},
    {"isa", 0, OPT_STRING, &asked.isa, "NAME", "avx512, avx2, neon or scalar (best)", 0, 0},
    {"data", 0, OPT_STRING, &asked.data, "SET", "a set or task that `bench list` names, a folder or a file, or TASK[:PARAMETER][:PLACE]", 0, 0},
    {"cache", 0, OPT_STRING, &asked.cache, "DIR", "where decoded pictures are kept ($XDG_CACHE_HOME/bench)", 0, 0},
    {"synthetic", 0, OPT_FLAG, &asked.synthetic, NULL, "time on noise of the right shape: no data, no accuracy", 0, 0},
    {"seed", 0, OPT_LONG, &seed, "N", "of weights, order and dropout (1)", 0, 9e15},
    {"no-fuse", 0, OPT_FLAG, &asked.no_fuse, NULL, "one kernel an op", 0, 0},
    {"no-lanes", 0, OPT_FLAG, &asked.no_lanes, NULL, "channels-last only (ARCHITECTURE.md)", 0, 0},
    {"conv-algo", 0, OPT_STRING, &asked.conv_algo, "NAME", "auto, direct, winograd2, winograd4, where it applies (auto)", 0, 0},
    {"output", 'o', OPT_STRING, &folder, "DIR", "folder of the report (run_ID in reports/out of the source tree, or here)", 0, 0},
    {"no-plot", 0, OPT_FLAG, &no_plot, NULL, "no pictures", 0, 0},
    {"no-record", 0, OPT_FLAG, &no_record, NULL, "leave the database alone (and draw no pictures)", 0, 0},
    {0},
};
/* clang-format on */

/* One profile while it goes on. */
struct hearing {
    struct profile_heard heard;
    struct run_show show;
    struct run_end end;
    bool said;                /* run_show_end() has told why it failed */
    struct store_run *record; /* NULL: not recorded */
    struct store_row row;
    struct err store_err; /* the first trouble of the store */
    json_t *counters;     /* as they come */
    char *explain;
    char *pictures; /* the folder with the report; NULL: none */
    char problem[256];
};

/* ---------------------------------------------------------------------- hearing */

static bool recording(const struct hearing *h) { return h->record && !h->store_err.text[0]; }

static void on_plan(void *arg, const struct run_plan *plan)
{
    struct hearing *h = arg;
    h->heard.plan = *plan;
    run_show_plan(&h->show, plan);
    if (recording(h))
        (void)store_run_plan(h->record, plan, &h->store_err);
}

static void on_progress(void *arg, const struct run_progress *progress)
{
    run_show_progress(&((struct hearing *)arg)->show, progress);
}

static void on_layer(void *arg, const struct run_layer *layer)
{
    struct hearing *h = arg;
    struct profile_heard *p = &h->heard;
    p->layer = xrealloc(p->layer, (size_t)(p->layers + 1) * sizeof *p->layer);
    p->layer[p->layers++] = *layer;
    if (recording(h))
        (void)store_run_layer(h->record, layer, &h->store_err);
}

static void on_counter(void *arg, const struct run_counter *counter)
{
    struct hearing *h = arg;
    run_show_counter(&h->show, counter);
    json_array_append_new(h->counters, run_counter_json(counter));
    if (recording(h))
        (void)store_run_counter(h->record, counter, &h->store_err);
}

static void on_profile(void *arg, const struct run_profile *profile)
{
    struct hearing *h = arg;
    h->heard.profile = *profile;
    h->heard.profile.explain = NULL;
    h->heard.profiled = true;
    h->explain = profile->explain ? xstrdup(profile->explain) : NULL;
    for (int i = 0; i < RUN_METRICS && profile->roof[i].name[0]; i++)
        if (recording(h))
            (void)store_run_value(h->record, profile->roof[i].name, "roof", profile->roof[i].value,
                                  &h->store_err);
}

static void on_end(void *arg, const struct run_end *end)
{
    struct hearing *h = arg;
    h->end = *end;
    run_show_end(&h->show, end);
}

/* ---------------------------------------------------------------------- running */

static bool measure(struct hearing *h, const struct plugin_pick *pick,
                    struct store_session *session, struct err *err)
{
    assert(pick);
    struct run_spec spec = asked;
    spec.plugin_path = pick->path;
    spec.plugin = pick->name;
    spec.variant = pick->variant;
    spec.seed = seed;
    const struct store_plugin about = {pick->note.title, pick->note.year, (int)pick->note.abi_major,
                                       (int)pick->note.abi_minor};
    const struct run_sink sink = {.plan = on_plan,
                                  .progress = on_progress,
                                  .layer = on_layer,
                                  .profile = on_profile,
                                  .counter = on_counter,
                                  .end = on_end,
                                  .arg = h};
    run_show_begin(&h->show, pick->name, pick->variant);
    if (session && !(h->record = store_run_begin(session, &spec, &about, err)))
        return false;
    bool fine = worker_run(&spec, &sink, 0, err);
    store_row_of(&spec, &about, h->heard.profiled ? &h->heard.plan : NULL, &h->end, &h->row);
    if (h->record) {
        struct err end_err = {0};
        h->row.id = store_run_id(h->record);
        if (!store_run_end(h->record, &h->end, &end_err) && !h->store_err.text[0])
            h->store_err = end_err;
    }
    if (fine && h->store_err.text[0]) {
        *err = h->store_err;
        return false;
    }
    if (fine && h->end.status != RUN_OK) {
        h->said = true;
        fine = err_status(err, run_exit_status(&h->end), "%s: %s", run_status_name[h->end.status],
                          h->end.reason);
    }
    return fine;
}

/* ---------------------------------------------------------------------- pictures */

/* The report of this run alone, in a folder of its own. */
static bool draw(struct hearing *h, struct store *s, struct err *err)
{
    char number[32];
    const char *selector = number;
    struct store_row *rows = NULL;
    struct report r = {0};
    snprintf(number, sizeof number, "%lld", (long long)h->row.id);
    char *top = report_default_folder();
    char *to = folder ? xstrdup(folder) : xprintf("%s/run_%s", top, number);
    const struct store_query q = {&selector, 1, 0, false, true};
    const int count = store_rows(s, &q, &rows, err);
    bool fine = count == 1 && report_gather(&r, s, rows, count, err);
    if (fine) {
        snprintf(r.command, sizeof r.command, "bench report %s", number);
        fine = report_write(&r, to, err);
    }
    if (fine) {
        snprintf(h->problem, sizeof h->problem, "%s", r.problem);
        h->pictures = xprintf("%s/index.html", r.folder);
    }
    report_release(&r);
    free(rows);
    free(to);
    free(top);
    return fine;
}

/* ----------------------------------------------------------------------- showing */

static void tell_files(const struct hearing *h)
{
    if (asked.trace)
        fprintf(stderr, "trace: %s (open it in ui.perfetto.dev)\n", asked.trace);
    if (flame)
        fprintf(stderr, "stacks: %s (speedscope.app, or flamegraph.pl)\n", flame);
    if (*h->problem)
        fprintf(stderr, "bench: %s\n", h->problem);
    if (h->pictures)
        fprintf(stderr, "report: %s\n", h->pictures);
}

static json_t *text_or_null(const char *s) { return s && *s ? json_string(s) : json_null(); }

static void show(const struct hearing *h)
{
    if (!global.json) {
        if (h->explain)
            printf("%s\n", h->explain);
        profile_print(&h->heard, stdout, all_ops ? INT_MAX : OPS_SHOWN);
        return;
    }
    json_t *j = json_pack("{s:i}", "schema", 1);
    json_t *run = run_json(&h->row, &h->heard.plan, &h->end);
    json_object_set(run, "counters", h->counters);
    json_object_set_new(j, "run", run);
    json_object_set_new(j, "profile", profile_json(&h->heard));
    json_object_set_new(j, "explain", text_or_null(h->explain));
    json_object_set_new(j, "trace", text_or_null(asked.trace));
    json_object_set_new(j, "flame", text_or_null(flame));
    json_object_set_new(j, "report", text_or_null(h->pictures));
    json_object_set_new(j, "problem", text_or_null(h->problem));
    json_dumpf(j, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(j);
}

static bool find(int argc, char **argv, struct plugin_pick **pick, size_t *picks, struct err *err)
{
    struct plugin_list list;
    if (argc != 2)
        return err_status(err, EXIT_USAGE,
                          "profile: expected one selector, such as lenet5 or mlp:512-512");
    plugin_list_open(&list);
    const bool fine = plugin_select(&list, argv[1], pick, picks, err);
    plugin_list_close(&list);
    if (fine && *picks != 1)
        return err_status(err, EXIT_USAGE, "profile: '%s' means %zu variants, expected one",
                          argv[1], *picks);
    return fine;
}

/* Files that are written at the end: a typing error costs no minutes. */
static bool can_write(const char *path, struct err *err)
{
    FILE *f = path ? path_create(path, err) : NULL;
    return !path || (f && path_close(f, path, err));
}

static int cmd_profile(int argc, char **argv)
{
    struct err err = {0};
    struct plugin_pick *pick = NULL;
    struct store *s = NULL;
    struct store_session *session = NULL;
    if (counters_listed(asked.counters))
        return EXIT_OK;
    struct hearing h = {.counters = json_array()};
    size_t picks = 0;
    bool fine = run_spec_check(&asked, &err) && kn_init(asked.isa, &err) &&
                counters_known(asked.counters, &err) && find(argc, argv, &pick, &picks, &err);
    fine = fine && can_write(asked.trace, &err) && can_write(flame, &err);
    if (fine && !no_record) {
        fine = (s = store_open(global.db, STORE_WRITE, &err)) != NULL &&
               (session = store_session_begin(s, argc, argv, &err)) != NULL;
        if (!fine)
            (void)err_prefix(&err, "cannot record (--no-record profiles without)");
    }
    fine = fine && measure(&h, pick, session, &err);
    fine = fine && (!flame || profile_flame(&h.heard, flame, &err));
    fine = fine && (!s || no_plot || draw(&h, s, &err));
    if (fine && h.heard.profiled)
        show(&h);
    if (fine && !global.quiet)
        tell_files(&h);
    int status = fine ? EXIT_OK : h.said ? err.status : cli_fail(&err);
    if (session && !store_session_end(session, status, &err) && fine)
        status = cli_fail(&err);
    store_close(s);
    plugin_picks_free(pick, picks);
    json_decref(h.counters);
    free(h.heard.layer);
    free(h.explain);
    free(h.pictures);
    return status;
}

const struct verb verb_profile = {
    "profile",
    cmd_profile,
    "profile SELECTOR [OPTION...]",
    "Measures where a training step's time goes: by op, by row, against the machine's roofs",
    options,
};
