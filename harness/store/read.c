/* read.c — runs on their way out of the database; see store.h. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/store_inside.h"

/* ---- a row from what the parent heard ----------------------------------------------- */

static double or_nan(double x, bool known) { return known ? x : NAN; }

static void row_plan(const struct run_plan *p, struct store_row *row)
{
    snprintf(row->plugin, sizeof row->plugin, "%s", p->plugin);
    snprintf(row->variant, sizeof row->variant, "%s", p->variant);
    snprintf(row->dataset, sizeof row->dataset, "%s", p->dataset);
    snprintf(row->isa, sizeof row->isa, "%s", p->isa);
    snprintf(row->precision, sizeof row->precision, "%s", p->precision);
    snprintf(row->metric, sizeof row->metric, "%s", p->published_name);
    snprintf(row->published_dataset, sizeof row->published_dataset, "%s", p->published_dataset);
    snprintf(row->published_source, sizeof row->published_source, "%s", p->published_source);
    row->synthetic = p->synthetic;
    row->batch = p->batch;
    row->threads = p->threads;
    row->seed = p->seed;
    row->params = p->params;
    row->macs = p->macs;
    row->published = p->published_metric;
    row->peak_bytes = (double)p->peak_bytes;
}

int store_quality(const struct run_plan *plan, const struct run_end *end)
{
    for (int i = 0; plan && i < end->metrics; i++)
        if (strcasecmp(end->last[i].name, plan->published_name) == 0) /* papers write BLEU */
            return i;
    return end->metrics ? 0 : -1;
}

bool store_row_is_unfinished(const struct store_row *row)
{
    return strcmp(row->status, "failed") == 0 && strcmp(row->reason, "started") == 0;
}

void store_row_of(const struct run_spec *spec, const struct store_plugin *plugin,
                  const struct run_plan *plan, const struct run_end *end, struct store_row *row)
{
    *row = (struct store_row){.seed = spec->seed,
                              .epochs = -1,
                              .batch = -1,
                              .threads = -1,
                              .steps = end->steps,
                              .params = NAN,
                              .macs = NAN,
                              .last = NAN,
                              .best = NAN,
                              .published = NAN,
                              .test_loss = NAN,
                              .peak_bytes = NAN,
                              .train_loss = end->train_loss,
                              .step_ms = end->step_ms_median,
                              .step_ms_mad = end->step_ms_mad,
                              .samples_per_s = end->samples_per_s,
                              .time_s = or_nan(end->time_s, end->steps > 0),
                              .profiled = spec->profile};
    row->started_ms =
        (int64_t)time(NULL) * 1000 - (int64_t)(end->time_s > 0 ? end->time_s * 1000 : 0);
    snprintf(row->plugin, sizeof row->plugin, "%s", spec->plugin);
    snprintf(row->variant, sizeof row->variant, "%s", spec->variant ? spec->variant : "");
    if (plugin && plugin->title)
        snprintf(row->title, sizeof row->title, "%s", plugin->title);
    row->year = plugin ? plugin->year : 0;
    if (plan)
        row_plan(plan, row);
    snprintf(row->status, sizeof row->status, "%s", run_status_name[end->status]);
    snprintf(row->reason, sizeof row->reason, "%s", end->reason);
    snprintf(row->tainted, sizeof row->tainted, "%s", end->tainted);
    snprintf(row->unsteady, sizeof row->unsteady, "%s", end->unsteady);
    row->steady = end->steady;
    const int quality = store_quality(plan, end);
    if (quality < 0)
        return;
    snprintf(row->metric, sizeof row->metric, "%s", end->last[quality].name);
    row->last = end->last[quality].value;
    row->best = end->best[quality].value;
}

/* ---- rows from the database ------------------------------------------------------------ */

static void read_row(sqlite3_stmt *q, struct store_row *row)
{
    int c = 0;
    row->id = sql_int64(q, c++, 0);
    row->started_ms = sql_int64(q, c++, 0);
    row->seed = sql_int64(q, c++, -1);
    row->year = (int)sql_int64(q, c++, 0);
    row->synthetic = sql_int64(q, c++, 0) != 0;
    row->epochs = (int)sql_int64(q, c++, -1);
    row->batch = (int)sql_int64(q, c++, -1);
    row->threads = (int)sql_int64(q, c++, -1);
    row->steps = sql_int64(q, c++, 0);
    row->profiled = sql_int64(q, c++, 0) != 0;
    static const int steady[] = {RUN_STEADY_UNKNOWN, RUN_UNSTEADY, RUN_STEADY};
    row->steady = steady[1 + sql_int64(q, c++, -1)]; /* NULL, 0, 1 */
    double *const numbers[] = {&row->params,        &row->macs,      &row->last,
                               &row->best,          &row->published, &row->train_loss,
                               &row->test_loss,     &row->step_ms,   &row->step_ms_mad,
                               &row->samples_per_s, &row->time_s,    &row->peak_bytes};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        *numbers[i] = sql_double(q, c++);
    const struct {
        char *to;
        int size;
    } texts[] = {{row->plugin, sizeof row->plugin},
                 {row->variant, sizeof row->variant},
                 {row->title, sizeof row->title},
                 {row->status, sizeof row->status},
                 {row->reason, sizeof row->reason},
                 {row->tainted, sizeof row->tainted},
                 {row->unsteady, sizeof row->unsteady},
                 {row->dataset, sizeof row->dataset},
                 {row->isa, sizeof row->isa},
                 {row->precision, sizeof row->precision},
                 {row->metric, sizeof row->metric},
                 {row->published_dataset, sizeof row->published_dataset},
                 {row->published_source, sizeof row->published_source}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        sql_copy(q, c++, texts[i].to, texts[i].size);
}

/* Picks the runs first, by indexes and with their limit, and computes columns only for them:
 * a database of 100 000 runs answers as fast as a small one. The wanted runs come as a
 * parameter of their own, a JSON array of what select_ids() found. */
static const char row_query[] =
    "SELECT v.id, started_ms, seed, year, synthetic, epochs, batch, threads, steps, profiled, "
    "steady, params, macs, "
    "last, best, published, train_loss, test_loss, step_s * 1e3, step_mad_s * 1e3, samples_per_s, "
    "time_s, "
    "plan_bytes, plugin, variant, title, status, reason, tainted, unsteady, dataset, isa, "
    "precision, metric, "
    "published_dataset, "
    "published_source FROM json_each(?) j JOIN v_run v ON v.id = j.value ORDER BY j.key";

static int fetch(struct store *s, const char *ids, struct store_row **rows, struct err *err)
{
    int count = 0, room = 0, state;
    *rows = NULL;
    sqlite3_stmt *q = sql_query(&s->sql, err, row_query, "t", ids);
    if (!q)
        return -1;
    while ((state = sql_next(&s->sql, q, err)) == 1) {
        if (count == room) {
            room = room * 2 + 16;
            *rows = xrealloc(*rows, (size_t)room * sizeof **rows);
        }
        memset(&(*rows)[count], 0, sizeof **rows);
        read_row(q, &(*rows)[count++]);
    }
    if (state == 0)
        return count;
    free(*rows);
    *rows = NULL;
    return -1;
}

/* "lenet5*:modern" -> two patterns. */
static void split_selector(const char *selector, char name[RUN_NAME], char variant[RUN_NAME])
{
    const char *const colon = strchr(selector, ':');
    snprintf(name, RUN_NAME, "%.*s", (int)(colon ? colon - selector : (long)strlen(selector)),
             selector);
    snprintf(variant, RUN_NAME, "%s", colon && colon[1] ? colon + 1 : "*");
}

/* Selectors become a JSON array of [number, name, variant]: numbers NULL for patterns. The
 * words are quoted by SQLite itself. */
static bool selectors_json(struct store *s, const struct store_query *q, struct text *json,
                           struct err *err)
{
    text_add(json, "[");
    for (int i = 0; i < q->selectors_count; i++) {
        char name[RUN_NAME], variant[RUN_NAME];
        long long id = -1;
        split_selector(q->selectors[i], name, variant);
        if (text_to_int(q->selectors[i], 1, INT64_MAX, &id))
            *name = *variant = '\0';
        sqlite3_stmt *word = sql_query(&s->sql, err, "SELECT json_array(?, ?, ?)", "Itt",
                                       (int64_t)id, name, variant);
        if (!word || sql_next(&s->sql, word, err) != 1)
            return false;
        text_add(json, "%s%s", i ? "," : "", (const char *)sqlite3_column_text(word, 0));
        sqlite3_reset(word);
    }
    text_add(json, "]");
    return true;
}

static const char ids_newest_first[] =
    "WITH selector AS (SELECT value ->> 0 AS id, value ->> 1 AS name, value ->> 2 AS variant FROM "
    "json_each(?1)), "
    "wanted AS (SELECT DISTINCT b.id FROM benchmark b JOIN selector s ON b.name GLOB s.name AND "
    "b.variant GLOB s.variant) "
    "SELECT json_group_array(id) FROM (SELECT id FROM run WHERE (?1 = '[]' OR benchmark_id IN "
    "wanted OR "
    "id IN (SELECT id FROM selector)) AND (?2 = 0 OR status = 'ok') AND benchmark_id IN (SELECT id "
    "FROM benchmark WHERE kind = 'train') ORDER BY id DESC LIMIT ?3)"; /* kernels are none */

/* One run for each plugin, variant and dataset, except that runs asked for by number stay. */
static const char ids_newest_of_each[] =
    "WITH selector AS (SELECT value ->> 0 AS id, value ->> 1 AS name, value ->> 2 AS variant FROM "
    "json_each(?1)), "
    "wanted AS (SELECT DISTINCT b.id FROM benchmark b JOIN selector s ON b.name GLOB s.name AND "
    "b.variant GLOB s.variant), "
    "latest AS (SELECT id, benchmark_id FROM v_latest JOIN run USING (id)) "
    "SELECT json_group_array(id) FROM (SELECT r.id FROM (SELECT id FROM latest WHERE ?1 = '[]' OR "
    "benchmark_id IN wanted "
    "UNION SELECT id FROM selector WHERE id IS NOT NULL) l JOIN run r ON r.id = l.id "
    "JOIN benchmark b ON b.id = r.benchmark_id AND b.kind = 'train' LEFT JOIN plugin p ON p.id = "
    "r.plugin_id "
    "ORDER BY p.year, b.name, r.id LIMIT ?3)";

int store_rows(struct store *s, const struct store_query *q, struct store_row **rows,
               struct err *err)
{
    struct text selectors = {0};
    char *ids = NULL;
    *rows = NULL;
    if (selectors_json(s, q, &selectors, err)) {
        const int64_t limit = q->last > 0 ? q->last : -1;
        sqlite3_stmt *st =
            sql_query(&s->sql, err, q->newest ? ids_newest_of_each : ids_newest_first, "tii",
                      text_str(&selectors), (int64_t)q->ok_only, limit);
        if (st && sql_next(&s->sql, st, err) == 1) {
            ids = xstrdup((const char *)sqlite3_column_text(st, 0));
            sqlite3_reset(st);
        }
    }
    const int count = ids ? fetch(s, ids, rows, err) : -1;
    text_release(&selectors);
    free(ids);
    return count;
}

bool store_row(struct store *s, int64_t id, struct store_row *row, struct err *err)
{
    char ids[32];
    struct store_row *rows;
    snprintf(ids, sizeof ids, "[%lld]", (long long)id);
    const int count = fetch(s, ids, &rows, err);
    if (count == 1)
        *row = rows[0];
    free(rows);
    return count == 1 || (count == 0 && err_status(err, EXIT_USAGE, "no run %lld in '%s'",
                                                   (long long)id, s->path));
}
