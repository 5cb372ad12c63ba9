/* data.c — the numbers behind each picture, as .tsv files with their provenance on top, the
 * scripts that draw them, and which pictures there can be. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "report/assets.h"
#include "report/format.h"
#include "report/report.h"
#include "report/table.h"

void report_provenance(const struct report *r, struct text *t, const char *what)
{
    char date[64];
    const time_t now = time(NULL);
    strftime(date, sizeof date, "%Y-%m-%d %H:%M %z", localtime(&now));
    text_add(t, "# %s\n# made %s by bench %s\n# machine: %s; commit: %s\n", what, date,
             BENCH_VERSION, store_fact(r->facts, r->facts_count, "machine", "cpu"),
             store_fact(r->facts, r->facts_count, "build", "commit"));
}

/* Tabs, newlines and quotes would end a field. */
void report_label(struct text *t, const char *label)
{
    text_add(t, "\"");
    for (; *label; label++)
        text_add(t, "%c", strchr("\t\n\r\"", *label) ? ' ' : *label);
    text_add(t, "\"");
}

static void add_number(struct text *t, double x)
{
    if (isfinite(x))
        text_add(t, "\t%.10g", x);
    else
        text_add(t, "\tNaN");
}

static int shown(const struct report *r)
{
    return r->runs_count < REPORT_CURVES ? r->runs_count : REPORT_CURVES;
}

static bool write_runs(const struct report *r, struct err *err)
{
    struct text t = {0};
    report_provenance(r, &t, "one line a run; step quantiles in ms, of warm steps");
    text_add(&t,
             "# "
             "label\tyear\tparameters\tMACs\tquality\tbest\tpublished\ttime_s\tsamples_per_s\tstep_"
             "ms\tmad_ms"
             "\tq01\tq25\tq50\tq75\tq99\n");
    for (int i = 0; i < shown(r); i++) {
        const struct store_row *w = &r->runs[i].row;
        const double numbers[] = {w->params,        w->macs,      w->last,
                                  w->best,          w->published, w->time_s,
                                  w->samples_per_s, w->step_ms,   w->step_ms_mad};
        report_label(&t, r->runs[i].label);
        add_number(&t, w->year ? w->year : (double)NAN);
        for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
            add_number(&t, numbers[k]);
        for (int k = 0; k < 5; k++)
            add_number(&t, r->runs[i].step_quantile[k]);
        text_add(&t, "\n");
    }
    const bool good = report_file(r, "runs.tsv", &t, err);
    text_release(&t);
    return good;
}

/* gnuplot's 'strings' double their quotes. */
void report_string(struct text *t, const char *s)
{
    text_add(t, "'");
    for (; *s; s++)
        text_add(t, *s == '\'' ? "''" : strchr("\n\r\t", *s) ? " " : "%c", *s);
    text_add(t, "'");
}

/* Runs that measure the same share an axis: the number of run i's, from 1, in the order in which
 * they appear. */
static int metric_of(const struct report *r, int i)
{
    int metric = 0;
    for (int k = 0;; k++) {
        int first = 0;
        while (strcmp(r->runs[first].row.metric, r->runs[k].row.metric) != 0)
            first++;
        metric += first == k;
        if (strcmp(r->runs[k].row.metric, r->runs[i].row.metric) == 0)
            return metric;
    }
}

static int metrics(const struct report *r)
{
    int most = 0;
    for (int i = 0; i < shown(r); i++)
        most = metric_of(r, i) > most ? metric_of(r, i) : most;
    return most;
}

static const char *metric_name(const struct report *r, int metric)
{
    for (int i = 0; i < shown(r); i++)
        if (metric_of(r, i) == metric)
            return r->runs[i].row.metric;
    return "";
}

/* "test accuracy (%)" */
static void axis_name(struct text *t, const char *metric)
{
    struct text axis = {0};
    const bool percent = format_is_percent(metric) && !strchr(metric, '%');
    text_add(&axis, "%s%s%s", *metric ? "test " : "quality on the test set", metric,
             percent ? " (%)" : "");
    report_string(t, text_str(&axis));
    text_release(&axis);
}

/* What the scripts cannot know: how many runs there are, their labels, and what each one's axis of
 * quality is called. */
static bool write_words(const struct report *r, struct err *err)
{
    struct text t = {0};
    const int runs = shown(r), axes = metrics(r);
    int epochs = 1;
    for (int i = 0; i < runs; i++)
        for (int k = 0; k < r->runs[i].points_count; k++)
            epochs = r->runs[i].points[k].epoch > epochs ? r->runs[i].points[k].epoch : epochs;
    text_add(&t, "epochs = %d\nruns = %d\narray label[%d] = [", epochs, runs, runs ? runs : 1);
    for (int i = 0; i < runs; i++) {
        text_add(&t, i ? ", " : "");
        report_string(&t, r->runs[i].label);
    }
    text_add(&t, "]\narray metric_of[%d] = [", runs ? runs : 1);
    for (int i = 0; i < runs; i++)
        text_add(&t, "%s%d", i ? ", " : "", metric_of(r, i));
    text_add(&t, "]\narray quality[%d] = [", axes ? axes : 1);
    for (int metric = 1; metric <= axes; metric++) {
        text_add(&t, metric > 1 ? ", " : "");
        axis_name(&t, metric_name(r, metric));
    }
    text_add(&t, "]\n");
    const bool good = report_file(r, "words.gp", &t, err);
    text_release(&t);
    return good;
}

/* A block a run, two empty lines between; its first line carries the label. */
static bool write_curves(const struct report *r, struct err *err)
{
    struct text t = {0};
    report_provenance(r, &t, "a block a run, a line an epoch");
    text_add(&t,
             "# epoch\ttime_s\trate\ttrain_loss\ttest_loss\ttrain_quality\ttest_quality\tstep\n");
    for (int i = 0; i < shown(r); i++) {
        report_label(&t, r->runs[i].label);
        text_add(&t, "\n");
        if (!r->runs[i].points_count) /* keeps its place, and with it everybody's colour */
            text_add(&t, "NaN\tNaN\tNaN\tNaN\tNaN\tNaN\tNaN\tNaN\n");
        for (int k = 0; k < r->runs[i].points_count; k++) {
            const struct store_point *p = &r->runs[i].points[k];
            const double numbers[] = {p->time_s, p->rate, p->train_loss,  p->test_loss,
                                      p->train,  p->test, (double)p->step};
            text_add(&t, "%d", p->epoch);
            for (size_t c = 0; c < sizeof numbers / sizeof *numbers; c++)
                add_number(&t, numbers[c]);
            text_add(&t, "\n");
        }
        text_add(&t, "\n\n");
    }
    const bool good = report_file(r, "curves.tsv", &t, err);
    text_release(&t);
    return good;
}

/* ---- time by row of the paper's table -------------------------------------------------- */

enum { PASSES = 4, MOST_ROWS = 40 };

struct row_time {
    const char *row;
    double ms[PASSES], flops;
};

/* What belongs to no row is named by what it does. */
static const char *row_name(const struct run_layer *l)
{
    return l->pass == 2 ? "update" : l->pass == 3 ? "input" : *l->row ? l->row : l->op;
}

static int sum_rows(const struct report_run *run, struct row_time sums[MOST_ROWS])
{
    int rows = 0;
    for (int i = 0; i < run->layers_count; i++) {
        const struct run_layer *l = &run->layers[i];
        int k = 0;
        while (k < rows && strcmp(sums[k].row, row_name(l)) != 0)
            k++;
        if (k == rows && rows == MOST_ROWS)
            sums[k = MOST_ROWS - 1].row = "(the rest)";
        else if (k == rows)
            sums[rows++] = (struct row_time){.row = row_name(l)};
        sums[k].ms[l->pass] += l->ns * 1e-6;
        sums[k].flops += isfinite(l->flops) ? l->flops : 0;
    }
    return rows;
}

static bool write_layers(const struct report *r, const struct report_run *run, const char *name,
                         struct err *err)
{
    struct text t = {0}, script = {0};
    struct row_time sums[MOST_ROWS];
    char file[64];
    const int rows = sum_rows(run, sums);
    report_provenance(r, &t, "mean time of one step by row of the paper's table, ms");
    text_add(&t, "# row\tforward\tbackward\tupdate\tinput\n");
    for (int i = 0; i < rows; i++) {
        report_label(&t, sums[i].row);
        for (int pass = 0; pass < PASSES; pass++)
            add_number(&t, sums[i].ms[pass]);
        text_add(&t, "\n");
    }
    text_add(
        &script,
        "# %s.gp — time of one step, by row: run %lld.\nname = '%s'\nrows = %d\nload 'layers.gp'\n",
        name, (long long)run->row.id, name, rows);
    snprintf(file, sizeof file, "%s.tsv", name);
    bool good = report_file(r, file, &t, err);
    snprintf(file, sizeof file, "%s.gp", name);
    good = good && report_file(r, file, &script, err);
    text_release(&t);
    text_release(&script);
    return good;
}

static void ms_cell(struct table *t, double ms)
{
    char b[FORMAT_TEXT];
    table_cell(t, "%s%s", format_fixed(ms > 0 ? ms : (double)NAN, 3, b), ms > 0 ? " ms" : "");
}

struct table *report_layers_table(const struct report_run *run)
{
    static const struct table_column columns[] = {
        {"row", false, 0},  {"forward", true, 0}, {"backward", true, 0}, {"update", true, 0},
        {"input", true, 0}, {"all", true, 0},     {"share", true, 0},    {"GFLOP/s", true, 0}};
    struct table *t = table_new(columns, sizeof columns / sizeof *columns);
    struct row_time sums[MOST_ROWS];
    const int rows = sum_rows(run, sums);
    char b[FORMAT_TEXT];
    double whole = 0;
    for (int i = 0; i < rows; i++)
        for (int pass = 0; pass < PASSES; pass++)
            whole += sums[i].ms[pass];
    for (int i = 0; i < rows; i++) {
        double all = 0;
        table_cell(t, "%s", sums[i].row);
        for (int pass = 0; pass < PASSES; pass++) {
            all += sums[i].ms[pass];
            ms_cell(t, sums[i].ms[pass]);
        }
        const bool counted = all > 0 && sums[i].flops > 0;
        ms_cell(t, all);
        table_cell(t, "%s %%", format_fixed(whole > 0 ? 100 * all / whole : 0, 1, b));
        table_cell(t, "%s",
                   format_digits(counted ? sums[i].flops / (all * 1e6) : (double)NAN, 3, b));
    }
    return t;
}

/* ---- which pictures --------------------------------------------------------------------- */

static struct report_picture *add_picture(struct report *r, const char *name, const char *title)
{
    struct report_picture *p = &r->pictures[r->pictures_count++];
    snprintf(p->name, sizeof p->name, "%s", name);
    snprintf(p->title, sizeof p->title, "%s", title);
    return p;
}

/* Of the runs with this metric; 0: of all. */
static bool any(const struct report *r, int metric, double (*of)(const struct report_run *run))
{
    for (int i = 0; i < shown(r); i++)
        if ((metric == 0 || metric_of(r, i) == metric) && isfinite(of(&r->runs[i])))
            return true;
    return false;
}

static double has_loss(const struct report_run *run)
{
    return run->points_count ? run->points[0].train_loss : NAN;
}
static double has_quality(const struct report_run *run)
{
    return run->points_count ? run->points[0].test : NAN;
}
static double has_cost(const struct report_run *run)
{
    return run->row.params + run->row.macs + run->row.last;
}
static double has_steps(const struct report_run *run) { return run->step_quantile[0]; }

static const struct {
    const char *name, *title, *caption;
    double (*needs)(const struct report_run *run);
    bool by_metric; /* one for each */
} pictures[] = {
    {"loss", "Loss by epoch",
     "What the optimizer drives down, averaged over each epoch: solid on the test set, dashed on "
     "the training set. "
     "A solid line that turns up while its dashed one goes on falling is over-fitting.",
     has_loss, false},
    {"accuracy", "Quality by epoch",
     "The plugin's own metric on the test set after each epoch. It says how much each pass over "
     "the data still teaches.",
     has_quality, true},
    {"time", "Quality against training time",
     "The same quality against seconds of training on this machine, evaluation included: the curve "
     "that is further "
     "up and to the left wins, whatever its epochs cost.",
     has_quality, true},
    {"cost", "Quality against size and work",
     "Last quality against trained parameters and against multiply-adds of one forward pass. Up "
     "and to the left is "
     "better: more for less.",
     has_cost, true},
    {"steps", "Steadiness of the training step",
     "All steps after warm-up, as distance from their median, which stands beside the name: the "
     "bar holds the middle "
     "half, the whiskers reach from the 1st to the 99th percentile (cut at twice the median). A "
     "long right whisker is the "
     "machine's noise, not the "
     "network's.",
     has_steps, false},
};

static bool add_roofline(struct report *r, const struct report_run *run, struct err *err)
{
    char name[32], title[160];
    snprintf(name, sizeof name, "roofline_%lld", (long long)run->row.id);
    snprintf(title, sizeof title, "The ops of %.120s under the machine's roofs", run->label);
    struct report_picture *p = add_picture(r, name, title);
    snprintf(
        p->caption, sizeof p->caption,
        "Every op that computes: operations a second against operations a byte, batch %d on %d "
        "thread%s; the larger a point, the more of the step it takes. The slanted roofs are "
        "the measured bandwidths of caches and memory, the flat ones fused multiply-adds of "
        "each instruction set. Bytes count each input and output once, so an op whose data "
        "are still in a nearer cache can stand above the roof of its size.",
        run->row.batch, run->row.threads, run->row.threads == 1 ? "" : "s");
    return report_roofline(r, run, name, err);
}

/* Picture i of the runs with one metric: the first one's is NAME.gp itself, the others' a script
 * that loads it. 0: of all runs. */
static bool choose_picture(struct report *r, size_t i, int metric, struct err *err)
{
    char name[32], title[160];
    bool good = true;
    if (!any(r, metric, pictures[i].needs))
        return true;
    snprintf(name, sizeof name, metric > 1 ? "%s_%d" : "%s", pictures[i].name, metric);
    snprintf(title, sizeof title, metric > 0 && metrics(r) > 1 ? "%s: %.60s" : "%s",
             pictures[i].title, metric_name(r, metric));
    if (metric > 1) {
        struct text script = {0}, file = {0};
        text_add(&script, "metric = %d\nload '%s.gp'\n", metric, pictures[i].name);
        text_add(&file, "%s.gp", name);
        good = report_file(r, text_str(&file), &script, err);
        text_release(&script);
        text_release(&file);
    }
    struct report_picture *p = add_picture(r, name, title);
    snprintf(p->caption, sizeof p->caption, "%s", pictures[i].caption);
    return good;
}

static bool choose_pictures(struct report *r, struct err *err)
{
    const size_t kinds = sizeof pictures / sizeof *pictures;
    const int axes = metrics(r);
    int drawn = 0;
    bool good = true;
    r->pictures = xcalloc(kinds * (size_t)(axes + 1) + 2 * REPORT_LAYERS, sizeof *r->pictures);
    for (size_t i = 0; i < kinds; i++) {
        if (!pictures[i].by_metric)
            good = good && choose_picture(r, i, 0, err);
        for (int metric = 1; pictures[i].by_metric && metric <= axes; metric++)
            good = good && choose_picture(r, i, metric, err);
    }
    for (int i = 0; good && i < r->runs_count && drawn < REPORT_LAYERS; i++) {
        const struct report_run *run = &r->runs[i];
        char name[32], title[160];
        if (!run->layers_count)
            continue;
        drawn++;
        snprintf(name, sizeof name, "layers_%lld", (long long)run->row.id);
        snprintf(title, sizeof title, "Where a step of %.120s goes", run->label);
        struct report_picture *p = add_picture(r, name, title);
        snprintf(p->caption, sizeof p->caption,
                 "Mean time of one training step by row of the network's table, batch %d on %d "
                 "thread%s (run %lld, with "
                 "--profile): computing the output, and computing the gradients.",
                 run->row.batch, run->row.threads, run->row.threads == 1 ? "" : "s",
                 (long long)run->row.id);
        good = write_layers(r, run, name, err);
        if (good && report_has_roofs(run))
            good = add_roofline(r, run, err);
    }
    return good;
}

bool report_data(struct report *r, struct err *err)
{
    bool good = write_words(r, err) && write_runs(r, err) && write_curves(r, err) &&
                choose_pictures(r, err);
    for (int i = 0; good && report_scripts[i].name; i++) {
        struct text script = {0};
        text_add(&script, "%s", report_scripts[i].content);
        good = report_file(r, report_scripts[i].name, &script, err);
        text_release(&script);
    }
    return good;
}
