/* cmd_results.c — bench results: lists what has been recorded, newest first; `results show N`
 * tells everything that is known of one run. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/run_json.h"
#include "report/format.h"
#include "report/samples.h"
#include "report/table.h"
#include "store/store.h"
#include "train/sample.h"

static int last = 20;
static bool all, ok_only, csv, steps;

/* clang-format off */
static const struct option options[] = {
    {"last", 'n', OPT_INT, &last, "N", "the newest N runs (20)", 1, 1e9},
    {"all", 'a', OPT_FLAG, &all, NULL, "all runs", 0, 0},
    {"ok", 0, OPT_FLAG, &ok_only, NULL, "only runs that went well", 0, 0},
    {"csv", 0, OPT_FLAG, &csv, NULL, "comma-separated values, numbers in full", 0, 0},
    {"steps", 0, OPT_FLAG, &steps, NULL, "show N: the raw time of every step, as CSV", 0, 0},
    {0},
};
/* clang-format on */

/* ---- the list ------------------------------------------------------------------ */

static void as_table(const struct store_row *rows, int count)
{
    static const struct table_column columns[] = {
        {"run", true, 0},    {"when", false, 4},     {"plugin", false, 0}, {"dataset", false, 6},
        {"epochs", true, 7}, {"quality", true, 0},   {"loss", true, 5},    {"step ms", true, 1},
        {"±", true, 8},      {"samples/s", true, 2}, {"threads", true, 9}, {"isa", false, 3},
        {"status", false, 0}};
    struct table *t = table_new(columns, sizeof columns / sizeof *columns);
    char b[FORMAT_TEXT];
    for (int i = 0; i < count; i++) {
        const struct store_row *r = &rows[i];
        const bool good = strcmp(r->status, "ok") == 0;
        table_cell(t, "%lld", (long long)r->id);
        table_cell(t, "%s", format_when(r->started_ms, b));
        table_cell(t, "%s%s%s", r->plugin, *r->variant ? ":" : "", r->variant);
        table_tone(t, TONE_STRONG);
        table_cell(t, "%s%s", *r->dataset ? r->dataset : "–", r->synthetic ? " (synthetic)" : "");
        table_cell(t, "%s", format_fixed(r->epochs < 0 ? (double)NAN : r->epochs, 0, b));
        table_cell(t, "%s", format_metric(r->metric, r->last, b));
        table_cell(t, "%s", format_digits(r->train_loss, 4, b));
        table_cell(t, "%s", format_digits(r->step_ms, 4, b));
        table_cell(t, "%s", format_digits(r->step_ms_mad, 2, b));
        table_cell(t, "%s", format_si(r->samples_per_s, b));
        table_cell(t, "%s", format_fixed(r->threads < 0 ? (double)NAN : r->threads, 0, b));
        table_cell(t, "%s", *r->isa ? r->isa : "–");
        if (store_row_is_unfinished(r))
            table_cell(t, "unfinished: goes on, or was killed");
        else
            table_cell(t, "%s%s%s%s%s", r->status, *r->reason ? ": " : "", r->reason,
                       *r->tainted ? ", tainted" : "",
                       r->steady == RUN_UNSTEADY ? ", unsteady" : "");
        table_tone(t, good ? TONE_GOOD : TONE_BAD);
    }
    table_text(t, stdout, table_width(stdout), cli_color(stdout));
    table_free(t);
}

/* The fields of a run with their names, for machines: CSV and JSON say the same. */
struct field {
    const char *name;
    enum { WHOLE, REAL, TEXT } type;
    long long whole; /* negative: unknown */
    double real;     /* NAN: unknown */
    const char *text;
};
enum { FIELDS = 31 };

static long long whole(double x) { return isfinite(x) ? (long long)x : -1; }

static int fields_of(const struct store_row *r, struct field f[FIELDS])
{
    const struct field all_fields[] = {
        /* clang-format off */
        {"run", WHOLE, r->id, 0, 0},              {"started_ms", WHOLE, r->started_ms, 0, 0},
        {"plugin", TEXT, 0, 0, r->plugin},        {"variant", TEXT, 0, 0, r->variant},
        {"year", WHOLE, r->year ? r->year : -1, 0, 0},
        {"dataset", TEXT, 0, 0, r->dataset},      {"synthetic", WHOLE, r->synthetic, 0, 0},
        {"status", TEXT, 0, 0, r->status},        {"reason", TEXT, 0, 0, r->reason},
        {"params", WHOLE, whole(r->params), 0, 0}, {"macs", WHOLE, whole(r->macs), 0, 0},
        {"batch", WHOLE, r->batch, 0, 0},         {"threads", WHOLE, r->threads, 0, 0},
        {"isa", TEXT, 0, 0, r->isa},              {"precision", TEXT, 0, 0, r->precision},
        {"seed", WHOLE, r->seed, 0, 0},           {"epochs", WHOLE, r->epochs, 0, 0},
        {"steps", WHOLE, r->steps, 0, 0},         {"step_ms_median", REAL, 0, r->step_ms, 0},
        {"step_ms_mad", REAL, 0, r->step_ms_mad, 0}, {"samples_per_s", REAL, 0, r->samples_per_s, 0},
        {"train_loss", REAL, 0, r->train_loss, 0}, {"test_loss", REAL, 0, r->test_loss, 0},
        {"metric", TEXT, 0, 0, r->metric},        {"last", REAL, 0, r->last, 0},
        {"best", REAL, 0, r->best, 0},            {"published", REAL, 0, r->published, 0},
        {"time_s", REAL, 0, r->time_s, 0},        {"tainted", TEXT, 0, 0, r->tainted},
        {"steady", WHOLE, r->steady == RUN_STEADY_UNKNOWN ? -1 : r->steady == RUN_STEADY, 0, 0},
        {"unsteady", TEXT, 0, 0, r->unsteady},
        /* clang-format on */
    };
    _Static_assert(sizeof all_fields / sizeof *all_fields == FIELDS, "every field, once");
    memcpy(f, all_fields, sizeof all_fields);
    return FIELDS;
}

static json_t *row_json(const struct store_row *r)
{
    struct field f[FIELDS];
    json_t *j = json_object();
    fields_of(r, f);
    for (int i = 0; i < FIELDS; i++) {
        json_t *v = f[i].type == TEXT     ? json_string(f[i].text)
                    : f[i].type == WHOLE  ? (f[i].whole >= 0 ? json_integer(f[i].whole) : NULL)
                    : isfinite(f[i].real) ? json_real(f[i].real)
                                          : NULL;
        json_object_set_new(j, f[i].name, v ? v : json_null());
    }
    json_object_set_new(j, "synthetic", json_boolean(r->synthetic));
    json_object_set_new(j, "tainted", *r->tainted ? json_string(r->tainted) : json_null());
    json_object_set_new(j, "unsteady", *r->unsteady ? json_string(r->unsteady) : json_null());
    if (r->steady != RUN_STEADY_UNKNOWN)
        json_object_set_new(j, "steady", json_boolean(r->steady == RUN_STEADY));
    return j;
}

static void print_json(json_t *j)
{
    json_dumpf(j, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(j);
}

static void as_json(const struct store_row *rows, int count)
{
    json_t *runs = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(runs, row_json(&rows[i]));
    print_json(json_pack("{s:i, s:o}", "schema", 1, "runs", runs));
}

static void as_csv(const struct store_row *rows, int count)
{
    struct table_column columns[FIELDS] = {{0}};
    struct field f[FIELDS];
    fields_of(&(const struct store_row){0}, f);
    for (int c = 0; c < FIELDS; c++)
        columns[c].title = f[c].name;
    struct table *t = table_new(columns, FIELDS);
    for (int i = 0; i < count; i++) {
        fields_of(&rows[i], f);
        for (int c = 0; c < FIELDS; c++)
            if (f[c].type == TEXT)
                table_cell(t, "%s", f[c].text);
            else if (f[c].type == WHOLE && f[c].whole >= 0)
                table_cell(t, "%lld", f[c].whole);
            else if (f[c].type == REAL && isfinite(f[c].real))
                table_cell(t, "%.10g", f[c].real);
            else
                table_cell(t, "–");
    }
    table_csv(t, stdout);
    table_free(t);
}

static bool list_runs(struct store *s, int words, char **word, struct err *err)
{
    struct store_row *rows;
    const struct store_query q = {(const char *const *)word, words, all ? 0 : last, false, ok_only};
    const int count = store_rows(s, &q, &rows, err);
    if (count < 0)
        return false;
    if (global.json)
        as_json(rows, count);
    else if (csv)
        as_csv(rows, count);
    else if (count)
        as_table(rows, count);
    else
        fprintf(stderr, words ? "no such run is recorded\n" : "no run is recorded yet\n");
    if (count == last && !all && !csv && !global.json && !global.quiet)
        fprintf(stderr, "the newest %d; --all shows all\n", last);
    free(rows);
    return true;
}

/* ---- one run --------------------------------------------------------------------- */

static void show_facts(const struct store_fact *facts, int count)
{
    const char *group = "";
    for (int i = 0; i < count; i++) {
        if (strcmp(group, facts[i].group) != 0)
            printf("%s%s\n", i ? "\n" : "", facts[i].group);
        group = facts[i].group;
        printf("  %-22s %s\n", facts[i].key, facts[i].value);
    }
}

static void show_curve(const struct store_row *r, const struct store_point *points, int count)
{
    const struct table_column columns[] = {
        {"epoch", true, 0},      {"step", true, 0},
        {"time s", true, 0},     {"rate", true, 0},
        {"train loss", true, 0}, {"test loss", true, 0},
        {"train", true, 0},      {*r->metric ? r->metric : "test", true, 0}};
    struct table *t = table_new(columns, sizeof columns / sizeof *columns);
    char b[FORMAT_TEXT];
    for (int i = 0; i < count; i++) {
        table_cell(t, "%d", points[i].epoch);
        table_cell(t, "%lld", points[i].step);
        table_cell(t, "%s", format_fixed(points[i].time_s, 2, b));
        table_cell(t, "%.4g", points[i].rate);
        table_cell(t, "%s", format_digits(points[i].train_loss, 4, b));
        table_cell(t, "%s", format_digits(points[i].test_loss, 4, b));
        table_cell(t, "%s", format_metric(r->metric, points[i].train, b));
        table_cell(t, "%s", format_metric(r->metric, points[i].test, b));
    }
    putchar('\n');
    table_text(t, stdout, table_width(stdout), cli_color(stdout));
    table_free(t);
}

static void show_layers(const struct run_layer *layers, int count)
{
    static const char *const passes[] = {"forward", "backward", "update", "feed"};
    static const struct table_column columns[] = {
        {"row", false, 0},   {"op", false, 0},     {"pass", false, 0},
        {"shape", false, 3}, {"kernel", false, 2}, {"time", true, 0},
        {"share", true, 0},  {"GFLOP/s", true, 1}, {"GB/s", true, 1}};
    struct table *t = table_new(columns, sizeof columns / sizeof *columns);
    char b[FORMAT_TEXT];
    double whole = 0;
    for (int i = 0; i < count; i++)
        whole += layers[i].ns;
    for (int i = 0; i < count; i++) {
        const struct run_layer *l = &layers[i];
        table_cell(t, "%s", l->row);
        table_cell(t, "%s", l->op);
        table_cell(t, "%s", passes[l->pass]);
        table_cell(t, "%s", l->shape);
        table_cell(t, "%s", l->kernel);
        table_cell(t, "%s", format_seconds(l->ns * 1e-9, b));
        table_cell(t, "%.1f %%", whole > 0 ? 100 * l->ns / whole : 0.0);
        table_cell(t, "%s",
                   format_digits(l->ns > 0 && l->flops > 0 ? l->flops / l->ns : NAN, 3, b));
        table_cell(t, "%s", format_digits(l->ns > 0 ? l->bytes / l->ns : NAN, 3, b));
    }
    putchar('\n');
    table_text(t, stdout, table_width(stdout), cli_color(stdout));
    table_free(t);
}

static void cell_of_count(struct table *t, double value)
{
    if (isfinite(value))
        table_cell(t, "%.6g", value);
    else
        table_cell(t, "–");
}

static void show_counters(const struct run_counter *counters, int count)
{
    static const struct table_column columns[] = {{"region", false, 0}, {"event", false, 0},
                                                  {"a step", true, 0},  {"total", true, 2},
                                                  {"source", false, 1}, {"", false, 0}};
    struct table *t = table_new(columns, sizeof columns / sizeof *columns);
    for (int i = 0; i < count; i++) {
        const struct run_counter *c = &counters[i];
        table_cell(t, "%s", c->region);
        table_cell(t, "%s", c->event);
        cell_of_count(t, c->value / (double)c->steps);
        cell_of_count(t, c->value);
        table_cell(t, "%s", c->source);
        if (isfinite(c->value) && c->running_ns < c->enabled_ns)
            table_cell(t, "multiplexed: counted %.0f %% of the time",
                       100 * (double)c->running_ns / (double)c->enabled_ns);
        else
            table_cell(t, "%s", c->reason);
    }
    putchar('\n');
    table_text(t, stdout, table_width(stdout), cli_color(stdout));
    table_free(t);
}

/* Everything that is known of one run, read before anything is printed. */
struct whole_run {
    struct store_row row;
    struct store_fact *facts;
    struct store_point *points;
    struct run_layer *layers;
    struct run_counter *counters;
    struct run_sample *samples;
    int facts_count, points_count, layers_count, counters_count, samples_count;
};

static bool read_run(struct store *s, int64_t id, struct whole_run *w, struct err *err)
{
    return store_row(s, id, &w->row, err) &&
           (w->facts_count = store_facts(s, id, &w->facts, err)) >= 0 &&
           (w->points_count = store_curve(s, id, &w->points, err)) >= 0 &&
           (w->layers_count = store_layers(s, id, &w->layers, err)) >= 0 &&
           (w->counters_count = store_counters(s, id, &w->counters, err)) >= 0 &&
           (w->samples_count = store_samples(s, id, &w->samples, err)) >= 0;
}

static void show_json(const struct whole_run *w)
{
    json_t *run = row_json(&w->row), *facts = json_object(), *points = json_array(),
           *layers = json_array(), *counters = json_array(), *samples = json_array();
    for (int i = 0; i < w->facts_count; i++) {
        json_t *group = json_object_get(facts, w->facts[i].group);
        if (!group)
            json_object_set_new(facts, w->facts[i].group, group = json_object());
        json_object_set_new(group, w->facts[i].key, json_string(w->facts[i].value));
    }
    for (int i = 0; i < w->points_count; i++) {
        const struct store_point *p = &w->points[i];
        json_array_append_new(
            points,
            json_pack("{s:i, s:I, s:f, s:f, s:o, s:o, s:o, s:o}", "epoch", p->epoch, "step",
                      (json_int_t)p->step, "time_s", p->time_s, "rate", p->rate, "train_loss",
                      isfinite(p->train_loss) ? json_real(p->train_loss) : json_null(), "test_loss",
                      isfinite(p->test_loss) ? json_real(p->test_loss) : json_null(), "train",
                      isfinite(p->train) ? json_real(p->train) : json_null(), "test",
                      isfinite(p->test) ? json_real(p->test) : json_null()));
    }
    for (int i = 0; i < w->layers_count; i++) {
        const struct run_layer *l = &w->layers[i];
        json_array_append_new(
            layers, json_pack("{s:s, s:s, s:i, s:s, s:s, s:f, s:f, s:f, s:f}", "row", l->row, "op",
                              l->op, "pass", l->pass, "shape", l->shape, "kernel", l->kernel,
                              "macs", l->macs, "flops", l->flops, "bytes", l->bytes, "ns", l->ns));
    }
    for (int i = 0; i < w->counters_count; i++)
        json_array_append_new(counters, run_counter_json(&w->counters[i]));
    for (int i = 0; i < w->samples_count; i++)
        json_array_append_new(samples, sample_json(&w->samples[i]));
    json_object_set_new(run, "facts", facts);
    json_object_set_new(run, "counters", counters);
    json_object_set_new(run, "epochs_done", points);
    json_object_set_new(run, "layers", layers);
    json_object_set_new(run, "samples", samples);
    print_json(json_pack("{s:i, s:[o]}", "schema", 1, "runs", run));
}

static void show_text(const struct whole_run *w)
{
    printf("run %lld: %s%s%s\n\n", (long long)w->row.id, w->row.plugin, *w->row.variant ? ":" : "",
           w->row.variant);
    show_facts(w->facts, w->facts_count);
    if (w->points_count)
        show_curve(&w->row, w->points, w->points_count);
    if (w->layers_count)
        show_layers(w->layers, w->layers_count);
    if (w->counters_count)
        show_counters(w->counters, w->counters_count);
    if (w->samples_count) {
        printf("\nsamples\n");
        samples_text(stdout, w->samples, w->samples_count, table_width(stdout), cli_color(stdout));
    }
}

static bool show_steps(struct store *s, int64_t id, struct err *err)
{
    struct store_step *step;
    const int count = store_steps(s, id, &step, err);
    if (count < 0)
        return false;
    printf("epoch,warm_up,step_ms\n");
    for (int i = 0; i < count; i++)
        printf("%d,%d,%.7g\n", step[i].epoch, step[i].warm, step[i].ms);
    free(step);
    return true;
}

static bool show(struct store *s, const char *word, struct err *err)
{
    long long id;
    struct whole_run w = {0};
    if (!text_to_int(word, 1, INT64_MAX, &id))
        return err_status(err, EXIT_USAGE, "results show: expected the number of a run, found '%s'",
                          word);
    if (!store_row(s, id, &w.row, err))
        return false;
    if (steps)
        return show_steps(s, id, err);
    const bool good = read_run(s, id, &w, err);
    if (good && global.json)
        show_json(&w);
    else if (good)
        show_text(&w);
    store_facts_free(w.facts, w.facts_count > 0 ? w.facts_count : 0);
    free(w.points);
    free(w.layers);
    free(w.counters);
    store_samples_free(w.samples, w.samples_count);
    return good;
}

static int cmd_results(int argc, char **argv)
{
    struct err err = {0};
    const bool one = argc > 1 && strcmp(argv[1], "show") == 0;
    if (one && argc != 3) {
        err_status(&err, EXIT_USAGE, "results show: expected the number of one run");
        return cli_fail(&err);
    }
    struct store *s = store_open(global.db, STORE_READ, &err);
    if (!s)
        return cli_fail(&err);
    if (store_note(s) && !global.quiet)
        fprintf(stderr, "bench: database '%s': %s\n", store_path(s), store_note(s));
    const bool good = one ? show(s, argv[2], &err) : list_runs(s, argc - 1, argv + 1, &err);
    store_close(s);
    return good ? EXIT_OK : cli_fail(&err);
}

const struct verb verb_results = {"results", cmd_results,
                                  "results [SELECTOR...] | results show RUN",
                                  "Lists what has been recorded; shows one run", options};
