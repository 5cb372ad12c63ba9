/* profile_show.c — see profile_show.h. */
#include "cli/profile_show.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "cli/cli.h"
#include "report/format.h"
#include "report/table.h"

enum { PASSES = 4 };
static const char *const pass_name[PASSES] = {"forward", "backward", "update", "feed"};

/* One line of either table: an op, or all ops of a row of the paper's table. */
struct line {
    const char *name;
    double ns, pass_ns[PASSES], wait_ns, flops, bytes;
    double least_ns;                  /* under the roofs that bind its ops */
    double bound_ns[PEAK_LEVELS + 1]; /* time of ops by what binds them */
};

/* -------------------------------------------------------------------- adding up */

struct roofs profile_roofs(const struct run_profile *p)
{
    static const char *const names[] = {"read_l1", "read_l2", "read_l3", "read_dram"};
    struct roofs r = {.flops = NAN, .read = {NAN, NAN, NAN, NAN}};
    for (int i = 0; i < RUN_METRICS; i++) {
        if (strcmp(p->roof[i].name, "peak_flops") == 0)
            r.flops = p->roof[i].value;
        for (int level = 0; level < PEAK_LEVELS; level++)
            if (strcmp(p->roof[i].name, names[level]) == 0)
                r.read[level] = p->roof[i].value;
    }
    return r;
}

static void add(struct line *to, const struct run_layer *l, const struct roofs *roofs, int threads)
{
    double least;
    const int bind = roofs_bind(roofs, l->flops, l->bytes, threads, &least);
    to->ns += l->ns;
    to->pass_ns[l->pass] += l->ns;
    to->wait_ns += l->wait_ns;
    to->flops += l->flops;
    to->bytes += l->bytes;
    to->least_ns += least * 1e9;
    to->bound_ns[bind] += l->ns;
}

static const char *row_name(const struct run_layer *l)
{
    return l->pass == 2 ? "update" : l->pass == 3 ? "input" : *l->row ? l->row : l->op;
}

/* By row, in order of first appearance; malloc'ed. */
static struct line *by_row(const struct profile_heard *h, int *count)
{
    const struct roofs roofs = profile_roofs(&h->profile);
    struct line *lines = xcalloc((size_t)h->layers + 1, sizeof *lines);
    int n = 0;
    for (int i = 0; i < h->layers; i++) {
        const char *name = row_name(&h->layer[i]);
        int k = 0;
        while (k < n && strcmp(lines[k].name, name) != 0)
            k++;
        n += k == n;
        lines[k].name = name;
        add(&lines[k], &h->layer[i], &roofs, h->plan.threads);
    }
    *count = n;
    return lines;
}

static struct line whole(const struct profile_heard *h)
{
    const struct roofs roofs = profile_roofs(&h->profile);
    struct line all = {.name = "all"};
    for (int i = 0; i < h->layers; i++)
        add(&all, &h->layer[i], &roofs, h->plan.threads);
    return all;
}

/* What binds most of its time: "compute", "L2", … */
static const char *bound_by(const struct line *l)
{
    int most = 0;
    for (int i = 1; i <= PEAK_LEVELS; i++)
        most = l->bound_ns[i] > l->bound_ns[most] ? i : most;
    return most == PEAK_LEVELS ? "compute" : peak_level_name[most];
}

static bool has_work(const struct line *l) { return l->flops > 0 || l->bytes > 0; }

/* ----------------------------------------------------------------------- tables */

static void ms_cell(struct table *t, double ns)
{
    char b[FORMAT_TEXT];
    table_cell(t, "%s", ns > 0 ? format_fixed(ns * 1e-6, 3, b) : "");
}

/* Share, FLOPs, bytes, intensity, rate, roof. */
static void work_cells(struct table *t, const struct line *l, double all_ns)
{
    char b[FORMAT_TEXT];
    table_cell(t, "%.1f %%", all_ns > 0 ? 100 * l->ns / all_ns : 0.0);
    table_cell(t, "%.0f %%", l->ns > 0 ? 100 * l->wait_ns / l->ns : 0.0);
    table_cell(t, "%s", format_digits(l->flops * 1e-9, 3, b));
    table_cell(t, "%s", format_digits(l->bytes * 1e-6, 3, b));
    table_cell(t, "%s", format_digits(l->bytes > 0 ? l->flops / l->bytes : (double)NAN, 3, b));
    table_cell(t, "%s",
               format_digits(l->ns > 0 && l->flops > 0 ? l->flops / l->ns : (double)NAN, 3, b));
    if (l->ns > 0 && has_work(l) && isfinite(l->least_ns))
        table_cell(t, "%s %.0f %%", bound_by(l), 100 * l->least_ns / l->ns);
    else
        table_cell(t, "–");
}

#define WORK_COLUMNS                                                             \
    {"share", true, 0}, {"waits", true, 3}, {"GFLOP", true, 2}, {"MB", true, 2}, \
        {"FLOP/B", true, 3}, {"GFLOP/s", true, 1},                               \
    {                                                                            \
        "roof", true, 0                                                          \
    }

static void print_table(struct table *t, FILE *f)
{
    table_text(t, f, table_width(f), cli_color(f));
    table_free(t);
}

static int slower_first(const void *a, const void *b)
{
    const struct run_layer *const *x = a, *const *y = b;
    return ((*x)->ns < (*y)->ns) - ((*x)->ns > (*y)->ns);
}

static const struct run_layer **sorted(const struct profile_heard *h)
{
    const struct run_layer **order = xcalloc((size_t)h->layers + 1, sizeof *order);
    for (int i = 0; i < h->layers; i++)
        order[i] = &h->layer[i];
    qsort(order, (size_t)h->layers, sizeof *order, slower_first);
    return order;
}

static void print_ops(const struct profile_heard *h, FILE *f, int most)
{
    static const struct table_column columns[] = {
        {"row", false, 0}, {"op", false, 0}, {"pass", false, 1},  {"output", false, 4},
        {"ms", true, 0},   WORK_COLUMNS,     {"kernel", false, 2}};
    const struct roofs roofs = profile_roofs(&h->profile);
    const double all_ns = whole(h).ns;
    const struct run_layer **order = sorted(h);
    struct table *t = table_new(columns, sizeof columns / sizeof *columns);
    for (int i = 0; i < h->layers && i < most; i++) {
        const struct run_layer *l = order[i];
        struct line line = {.name = l->op};
        add(&line, l, &roofs, h->plan.threads);
        table_cell(t, "%s", l->row);
        table_cell(t, "%s", l->op);
        table_cell(t, "%s", pass_name[l->pass]);
        table_cell(t, "%s", l->shape);
        ms_cell(t, l->ns);
        work_cells(t, &line, all_ns);
        table_cell(t, "%s", l->kernel);
    }
    fprintf(f, "Ops by time (one step, mean)\n");
    print_table(t, f);
    if (h->layers > most)
        fprintf(f, "and %d more: --all shows them\n", h->layers - most);
    free(order);
}

static void row_line(struct table *t, const struct line *l, double all_ns)
{
    table_cell(t, "%s", l->name);
    for (int pass = 0; pass < 2; pass++)
        ms_cell(t, l->pass_ns[pass]);
    ms_cell(t, l->ns);
    work_cells(t, l, all_ns);
}

static void print_rows(const struct profile_heard *h, FILE *f)
{
    static const struct table_column columns[] = {{"row", false, 0},
                                                  {"forward", true, 0},
                                                  {"backward", true, 0},
                                                  {"ms", true, 0},
                                                  WORK_COLUMNS};
    struct table *t = table_new(columns, sizeof columns / sizeof *columns);
    int rows;
    struct line *lines = by_row(h, &rows);
    const struct line all = whole(h);
    for (int i = 0; i < rows; i++)
        row_line(t, &lines[i], all.ns);
    row_line(t, &all, all.ns);
    fprintf(f, "\nRows of the network's table (ms)\n");
    print_table(t, f);
    free(lines);
}

static void print_roofs(const struct profile_heard *h, FILE *f)
{
    const struct roofs r = profile_roofs(&h->profile);
    fprintf(f, "\nRoofs     %s, %d thread%s: %.1f GFLOP/s of f32 FMA; read", h->plan.isa,
            h->plan.threads, h->plan.threads == 1 ? "" : "s", r.flops * 1e-9);
    for (int level = 0; level < PEAK_LEVELS; level++)
        fprintf(f, "%s %s %.0f", level ? "," : "", peak_level_name[level], r.read[level] * 1e-9);
    fprintf(f, " GB/s\n");
}

static void percent(FILE *f, const char *what, double share)
{
    if (isfinite(share))
        fprintf(f, "%s %+.2f %%", what, 100 * share);
}

static void print_sums(const struct profile_heard *h, FILE *f)
{
    const struct run_profile *p = &h->profile;
    const double sum = whole(h).ns * 1e-6;
    fprintf(f, "Sum       of all ops %.4f ms, of the timed step %.4f ms (%+.2f %%)", sum,
            p->mean_ms, 100 * (sum / p->mean_ms - 1));
    fprintf(f, "; plain step %.4f ms\n", p->plain_ms);
    if (4 * p->left_out > p->steps) {
        fprintf(f, "Cost      not to be told: the machine was too busy");
    } else {
        fprintf(f, "Cost      of timing");
        percent(f, "", p->timed_cost);
        percent(f, ", of tracing", p->traced_cost);
        fprintf(f, ", against plain steps beside them");
    }
    fprintf(f, "; %lld steps timed, %lld more left out as disturbed\n", p->steps, p->left_out);
}

void profile_print(const struct profile_heard *h, FILE *f, int most)
{
    print_ops(h, f, most);
    print_rows(h, f);
    print_roofs(h, f);
    print_sums(h, f);
}

/* ------------------------------------------------------------------------- JSON */

static json_t *number(double v) { return isfinite(v) ? json_real(v) : json_null(); }

/* Takes `j`. */
static json_t *work_json(json_t *j, const struct line *l, double all_ns)
{
    const bool bound = l->ns > 0 && has_work(l) && isfinite(l->least_ns);
    json_object_set_new(j, "ns", number(l->ns));
    json_object_set_new(j, "wait_ns", number(l->wait_ns));
    json_object_set_new(j, "share", number(l->ns / all_ns));
    json_object_set_new(j, "flops", number(l->flops));
    json_object_set_new(j, "bytes", number(l->bytes));
    json_object_set_new(j, "intensity", number(l->bytes > 0 ? l->flops / l->bytes : (double)NAN));
    json_object_set_new(j, "gflop_per_s", number(l->ns > 0 ? l->flops / l->ns : (double)NAN));
    json_object_set_new(j, "roof", bound ? json_string(bound_by(l)) : json_null());
    json_object_set_new(j, "roof_share", bound ? number(l->least_ns / l->ns) : json_null());
    return j;
}

static json_t *ops_json(const struct profile_heard *h)
{
    const struct roofs roofs = profile_roofs(&h->profile);
    const double all_ns = whole(h).ns;
    json_t *ops = json_array();
    for (int i = 0; i < h->layers; i++) {
        const struct run_layer *l = &h->layer[i];
        struct line line = {.name = l->op};
        add(&line, l, &roofs, h->plan.threads);
        json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:f}", "row", l->row, "op", l->op,
                              "pass", pass_name[l->pass], "shape", l->shape, "kernel", l->kernel,
                              "at", l->at, "macs", l->macs);
        json_array_append_new(ops, work_json(j, &line, all_ns));
    }
    return ops;
}

static json_t *rows_json(const struct profile_heard *h)
{
    int rows;
    struct line *lines = by_row(h, &rows);
    const double all_ns = whole(h).ns;
    json_t *array = json_array();
    for (int i = 0; i < rows; i++) {
        json_t *j = json_pack("{s:s}", "row", lines[i].name);
        for (int pass = 0; pass < PASSES; pass++) {
            char key[32];
            snprintf(key, sizeof key, "%s_ns", pass_name[pass]);
            json_object_set_new(j, key, number(lines[i].pass_ns[pass]));
        }
        json_array_append_new(array, work_json(j, &lines[i], all_ns));
    }
    free(lines);
    return array;
}

json_t *profile_json(const struct profile_heard *h)
{
    const struct run_profile *p = &h->profile;
    json_t *j = json_object(), *roofs = json_object();
    for (int i = 0; i < RUN_METRICS && p->roof[i].name[0]; i++)
        json_object_set_new(roofs, p->roof[i].name, number(p->roof[i].value));
    json_object_set_new(j, "steps", json_integer(p->steps));
    json_object_set_new(j, "left_out", json_integer(p->left_out));
    json_object_set_new(j, "plain_ms", number(p->plain_ms));
    json_object_set_new(j, "timed_ms", number(p->timed_ms));
    json_object_set_new(j, "traced_ms", number(p->traced_ms));
    json_object_set_new(j, "timed_cost", number(p->timed_cost));
    json_object_set_new(j, "traced_cost", number(p->traced_cost));
    json_object_set_new(j, "mean_ms", number(p->mean_ms));
    json_object_set_new(j, "sum_ms", number(whole(h).ns * 1e-6));
    json_object_set_new(j, "roofs", roofs);
    json_object_set_new(j, "ops", ops_json(h));
    json_object_set_new(j, "rows", rows_json(h));
    return j;
}

/* ------------------------------------------------------------------------ flame */

/* A frame of a stack: no semicolon, which parts frames, and no line end. */
static void frame(FILE *f, const char *text)
{
    for (; *text; text++)
        fputc(*text == ';' ? ':' : *text == '\n' || *text == '\r' ? ' ' : *text, f);
}

bool profile_flame(const struct profile_heard *h, const char *path, struct err *err)
{
    FILE *f = path_create(path, err);
    if (!f)
        return false;
    for (int i = 0; i < h->layers; i++) {
        const struct run_layer *l = &h->layer[i];
        frame(f, h->plan.plugin);
        fputc(':', f);
        frame(f, h->plan.variant);
        fprintf(f, ";%s;", pass_name[l->pass]);
        frame(f, row_name(l));
        fputc(';', f);
        frame(f, l->op);
        fputc(' ', f);
        frame(f, l->kernel);
        fprintf(f, " %.3f\n", l->ns * 1e-3);
    }
    return path_close(f, path, err);
}
