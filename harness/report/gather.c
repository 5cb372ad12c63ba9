/* gather.c — everything a report tells, read from the database once. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "report/report.h"
#include "stats/order.h"

/* The words that differ between runs go into their labels, and no others. */
static void make_labels(struct report *r)
{
    for (int i = 0; i < r->runs_count; i++) {
        const struct store_row *a = &r->runs[i].row;
        bool same_net = false, same_data = false;
        for (int k = 0; k < r->runs_count; k++) {
            const struct store_row *b = &r->runs[k].row;
            if (k == i || strcmp(a->plugin, b->plugin) != 0 || strcmp(a->variant, b->variant) != 0)
                continue;
            same_net = true;
            same_data = same_data || strcmp(a->dataset, b->dataset) == 0;
        }
        struct text label = {0};
        text_add(&label, "%s%s%s", a->plugin, *a->variant ? ":" : "", a->variant);
        if (same_net && *a->dataset)
            text_add(&label, ", %s", a->dataset);
        if (same_data)
            text_add(&label, ", run %lld", (long long)a->id);
        snprintf(r->runs[i].label, sizeof r->runs[i].label, "%s", text_str(&label));
        text_release(&label);
    }
}

static bool read_steps(struct store *s, struct report_run *run, struct err *err)
{
    static const double at[] = {0.01, 0.25, 0.50, 0.75, 0.99};
    struct store_step *steps;
    size_t warm = 0;
    const int n = store_steps(s, run->row.id, &steps, err);
    if (n < 0)
        return false;
    double *ms = xcalloc((size_t)n + 1, sizeof *ms);
    for (int i = 0; i < n; i++)
        if (!steps[i].warm)
            ms[warm++] = steps[i].ms;
    order_sort(ms, warm);
    for (int i = 0; i < 5; i++)
        run->step_quantile[i] = order_quantile(ms, warm, at[i]);
    free(ms);
    free(steps);
    return true;
}

static bool read_run(struct store *s, struct report_run *run, struct err *err)
{
    const int64_t id = run->row.id;
    return (run->points_count = store_curve(s, id, &run->points, err)) >= 0 &&
           (run->layers_count = run->row.profiled ? store_layers(s, id, &run->layers, err) : 0) >=
               0 &&
           (run->samples_count = store_samples(s, id, &run->samples, err)) >= 0 &&
           store_roofs(s, id, run->roof, err) && read_steps(s, run, err);
}

/* The page tells one machine and one build; it must say so when there were more. */
static void count_origins(struct report *r, struct store *s, int64_t newest)
{
    struct store_fact *f;
    r->machines = r->builds = 1;
    for (int i = 0; i < r->runs_count && i < REPORT_CURVES; i++) {
        const int n =
            r->runs[i].row.id == newest ? -1 : store_facts(s, r->runs[i].row.id, &f, NULL);
        if (n < 0)
            continue;
        r->machines += strcmp(store_fact(f, n, "machine", "fingerprint"),
                              store_fact(r->facts, r->facts_count, "machine", "fingerprint")) != 0;
        r->builds += strcmp(store_fact(f, n, "build", "fingerprint"),
                            store_fact(r->facts, r->facts_count, "build", "fingerprint")) != 0;
        store_facts_free(f, n);
    }
}

/* Several runs may come of one command. */
static void read_commands(struct report *r, struct store *s)
{
    struct store_fact *f;
    for (int i = 0; i < r->runs_count && i < REPORT_COMMANDS; i++) {
        const int n = store_facts(s, r->runs[i].row.id, &f, NULL);
        const char *command = n < 0 ? "" : store_fact(f, n, "run", "command");
        r->runs[i].command = *command ? xstrdup(command) : NULL;
        if (n >= 0)
            store_facts_free(f, n);
    }
}

bool report_gather(struct report *r, struct store *s, const struct store_row *rows, int count,
                   struct err *err)
{
    int64_t newest = 0;
    *r = (struct report){.database = xstrdup(store_path(s)),
                         .runs = xcalloc((size_t)count + 1, sizeof *r->runs),
                         .runs_count = count};
    for (int i = 0; i < count; i++) {
        r->runs[i].row = rows[i];
        newest = rows[i].id > newest ? rows[i].id : newest;
        if (!read_run(s, &r->runs[i], err))
            return false;
    }
    make_labels(r);
    if (newest && (r->facts_count = store_facts(s, newest, &r->facts, err)) < 0)
        return false;
    count_origins(r, s, newest);
    read_commands(r, s);
    return true;
}

void report_release(struct report *r)
{
    for (int i = 0; i < r->runs_count; i++) {
        free(r->runs[i].command);
        free(r->runs[i].points);
        free(r->runs[i].layers);
        store_samples_free(r->runs[i].samples, r->runs[i].samples_count);
    }
    if (r->facts)
        store_facts_free(r->facts, r->facts_count);
    free(r->runs);
    free(r->pictures);
    free(r->folder);
    free(r->database);
    *r = (struct report){0};
}
