/* write.c — a run on its way into the database; see store.h. */
#define _GNU_SOURCE
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "base/text.h"
#include "perf/environment.h"
#include "stats/order.h"
#include "store/store_inside.h"

struct kept_epoch {
    struct run_epoch epoch;
    float *seconds; /* its step times as the database has them */
};

struct store_run {
    struct store *store;
    int64_t id;
    struct run_plan plan;
    struct kept_epoch *epoch; /* heard, not written yet */
    struct run_layer *layer;
    struct run_counter *counter;
    int epochs, layers, counters;
    int64_t waiting_since; /* clock_ns() of the oldest of them */
    double *step_s;        /* all warm steps so far, for median and interval */
    size_t steps;
};

int64_t store_run_id(const struct store_run *r) { return r->id; }

static bool benchmark_id(struct sql *s, const char *name, const char *variant, int64_t *id,
                         struct err *err)
{
    return sql_run(s, err,
                   "INSERT INTO benchmark(kind, name, variant) VALUES ('train', ?, ?) ON CONFLICT "
                   "DO NOTHING",
                   "tt", name, variant ? variant : "") &&
           sql_int(s, err, id, 0,
                   "SELECT id FROM benchmark WHERE kind = 'train' AND name = ? AND variant = ?",
                   "tt", name, variant ? variant : "");
}

static bool plugin_id(struct sql *s, const char *name, const char *path,
                      const struct store_plugin *p, int64_t *id, struct err *err)
{
    static const struct store_plugin nothing;
    char hex[FINGERPRINT] = "";
    if (path)
        file_fingerprint(path, hex);
    p = p ? p : &nothing;
    return sql_run(s, err,
                   "INSERT INTO plugin(name, title, year, abi_major, abi_minor, so_sha256) VALUES "
                   "(?, ?, nullif(?, 0), ?, ?, ?) ON CONFLICT DO NOTHING",
                   "tTiiit", name, p->title, (int64_t)p->year, (int64_t)p->abi_major,
                   (int64_t)p->abi_minor, hex) &&
           sql_int(s, err, id, 0, "SELECT id FROM plugin WHERE name = ? AND so_sha256 = ?", "tt",
                   name, hex);
}

/* Metrics of plugins join those of schema.sql when first met. Errors and distances are better
 * when small; the rest, accuracies and scores, when large. */
static bool metric_id(struct sql *s, const char *name, int64_t *id, struct err *err)
{
    static const char *const small[] = {"*loss*", "*error*", "*perplexity*", "*distance*", "*mse*"};
    static const char *const percent[] = {"*accuracy*", "*%*", "*error*", "exact"};
    int64_t better = 1;
    const char *unit = "1";
    for (size_t i = 0; i < sizeof small / sizeof *small; i++)
        better = text_matches(small[i], name) ? -1 : better;
    for (size_t i = 0; i < sizeof percent / sizeof *percent; i++)
        unit = text_matches(percent[i], name) ? "%" : unit;
    if (!sql_int(s, err, id, 0, "SELECT id FROM metric WHERE name = ?", "t", name))
        return false;
    return *id ||
           (sql_run(s, err,
                    "INSERT INTO metric(name, unit, better, assume) VALUES (?, ?, ?, 'stochastic') "
                    "ON CONFLICT DO NOTHING",
                    "tti", name, unit, better) &&
            sql_int(s, err, id, 0, "SELECT id FROM metric WHERE name = ?", "t", name));
}

struct store_run *store_run_begin(struct store_session *session, const struct run_spec *spec,
                                  const struct store_plugin *plugin, struct err *err)
{
    struct sql *s = &session->store->sql;
    int64_t benchmark, file, id = 0;
    char uuid[STORE_UUID];
    store_uuid(uuid);
    if (!sql_begin(s, err))
        return NULL;
    bool good =
        benchmark_id(s, spec->plugin, spec->variant, &benchmark, err) &&
        plugin_id(s, spec->plugin, spec->plugin_path, plugin, &file, err) &&
        sql_run(
            s, err,
            "INSERT INTO run(uuid, session_id, benchmark_id, plugin_id, seed, started_ms, status, "
            "reason) VALUES (?, ?, ?, ?, ?, ?, 'failed', 'started')",
            "tiiiIi", uuid, session->id, benchmark, file, spec->seed, store_now_ms());
    id = sqlite3_last_insert_rowid(s->db);
    if (!sql_end(s, good, err))
        return NULL;
    struct store_run *r = xcalloc(1, sizeof *r);
    r->store = session->store;
    r->id = id;
    return r;
}

bool store_run_value(struct store_run *r, const char *metric, const char *how, double value,
                     struct err *err)
{
    int64_t id;
    if (!isfinite(value))
        return true;
    return metric_id(&r->store->sql, metric, &id, err) &&
           sql_run(
               &r->store->sql, err,
               "INSERT OR REPLACE INTO value(run_id, metric_id, how, value) VALUES (?, ?, ?, ?)",
               "iitd", r->id, id, how, value);
}

static bool dataset_id(struct sql *s, const struct run_plan *p, int64_t *id, struct err *err)
{
    return sql_run(
               s, err,
               "INSERT INTO dataset(name, sha256, path, train_items, test_items, synthetic) VALUES "
               "(?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
               "ttTiii", p->dataset, p->dataset_sha256, p->dataset_path, (int64_t)p->train_items,
               (int64_t)p->test_items, (int64_t)p->synthetic) &&
           sql_int(s, err, id, 0, "SELECT id FROM dataset WHERE name = ? AND sha256 = ?", "tt",
                   p->dataset, p->dataset_sha256);
}

static bool config_id(struct sql *s, const char *body, int64_t *id, struct err *err)
{
    char hex[SHA256_HEX];
    sha256_of(body, strlen(body), hex);
    return sql_run(s, err, "INSERT INTO config(fp, body) VALUES (?, ?) ON CONFLICT DO NOTHING",
                   "tt", hex, body) &&
           sql_int(s, err, id, 0, "SELECT id FROM config WHERE fp = ?", "t", hex);
}

static bool add_published(struct sql *s, int64_t benchmark, const struct run_plan *p,
                          struct err *err)
{
    if (!isfinite(p->published_metric) || !*p->published_name)
        return true;
    return sql_run(s, err,
                   "INSERT OR REPLACE INTO published(benchmark_id, metric, dataset, value, source) "
                   "VALUES (?, ?, ?, ?, ?)",
                   "ittdt", benchmark, p->published_name, p->published_dataset, p->published_metric,
                   p->published_source);
}

static bool write_plan(struct store_run *r, const struct run_plan *p, struct err *err)
{
    struct sql *s = &r->store->sql;
    int64_t benchmark, dataset, config;
    const struct {
        const char *name;
        double value;
    } values[] = {{"params", p->params},
                  {"macs", p->macs},
                  {"flops_step", p->flops_step},
                  {"bytes_step", p->bytes_step},
                  {"plan_bytes", (double)p->peak_bytes},
                  {"activation_bytes", (double)p->activation_bytes},
                  {"parameter_bytes", (double)p->parameter_bytes}};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (!store_run_value(r, values[i].name, "plan", values[i].value, err))
            return false;
    return benchmark_id(s, p->plugin, p->variant, &benchmark, err) &&
           dataset_id(s, p, &dataset, err) &&
           config_id(s, *p->config ? p->config : "{}", &config, err) &&
           add_published(s, benchmark, p, err) &&
           sql_run(s, err,
                   "UPDATE run SET benchmark_id = ?, dataset_id = ?, config_id = ?, seed = ?, "
                   "batch = ?, "
                   "threads = ?, isa = ?, precision = ? WHERE id = ?",
                   "iiiIiitti", benchmark, dataset, config, p->seed, (int64_t)p->batch,
                   (int64_t)p->threads, p->isa, p->precision, r->id);
}

bool store_run_plan(struct store_run *r, const struct run_plan *plan, struct err *err)
{
    r->plan = *plan;
    return sql_begin(&r->store->sql, err) && sql_end(&r->store->sql, write_plan(r, plan, err), err);
}

/* ---- epochs and layers: kept, then written ------------------------------------------ */

static bool add_point(struct store_run *r, const struct run_epoch *e, const char *metric,
                      const char *split, double value, struct err *err)
{
    int64_t id;
    if (!isfinite(value))
        return true;
    return metric_id(&r->store->sql, metric, &id, err) &&
           sql_run(&r->store->sql, err,
                   "INSERT OR REPLACE INTO curve(run_id, metric_id, split, epoch, value) VALUES "
                   "(?, ?, ?, ?, ?)",
                   "iitid", r->id, id, split, (int64_t)e->epoch, value);
}

static bool write_samples(struct store_run *r, const struct kept_epoch *k, struct err *err)
{
    int64_t id;
    const struct run_epoch *e = &k->epoch;
    if (!e->steps)
        return true;
    return metric_id(&r->store->sql, "step_s", &id, err) &&
           sql_run(&r->store->sql, err,
                   "INSERT OR REPLACE INTO sample(run_id, metric_id, epoch, warm, n, data) VALUES "
                   "(?, ?, ?, ?, ?, ?)",
                   "iiiiib", r->id, id, (int64_t)e->epoch, (int64_t)e->warm, (int64_t)e->steps,
                   k->seconds, (int)(e->steps * sizeof *k->seconds));
}

static bool write_epoch(struct store_run *r, const struct kept_epoch *k, struct err *err)
{
    const struct run_epoch *e = &k->epoch;
    bool good = sql_run(&r->store->sql, err,
                        "INSERT OR REPLACE INTO epoch(run_id, epoch, step, items, time_s, train_s, "
                        "eval_s, rate) "
                        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                        "iiiidddd", r->id, (int64_t)e->epoch, (int64_t)e->step, (int64_t)e->items,
                        e->time_s, e->train_s, e->eval_s, e->rate) &&
                add_point(r, e, "loss", "train", e->train_loss, err) &&
                add_point(r, e, "loss", "test", e->test_loss, err) && write_samples(r, k, err);
    for (int i = 0; good && i < e->metrics; i++)
        good = add_point(r, e, e->train[i].name, "train", e->train[i].value, err) &&
               add_point(r, e, e->test[i].name, "test", e->test[i].value, err);
    return good;
}

static bool write_layer(struct store_run *r, const struct run_layer *l, int ix, struct err *err)
{
    static const char *const passes[] = {"forward", "backward", "update", "feed"};
    assert(l->pass >= 0 && l->pass < 4);
    return sql_run(&r->store->sql, err,
                   "INSERT OR REPLACE INTO layer(run_id, ix, name, op, pass, shape, kernel, at, "
                   "macs, flops, bytes, "
                   "time_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                   "iitttTTTdddd", r->id, (int64_t)ix, l->row, l->op, passes[l->pass], l->shape,
                   l->kernel, l->at, l->macs, l->flops, l->bytes, l->ns * 1e-9);
}

static bool write_counter(struct store_run *r, const struct run_counter *c, struct err *err)
{
    const bool counted = isfinite(c->value);
    return sql_run(&r->store->sql, err,
                   "INSERT OR REPLACE INTO counter(run_id, region, event, source, layer, value, "
                   "reason, enabled_ns, running_ns, steps) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                   "itttIdtIIi", r->id, c->region, c->event, c->source, (int64_t)c->layer, c->value,
                   counted ? NULL : c->reason, c->enabled_ns, c->running_ns, (int64_t)c->steps);
}

/* Joules of a step, when every domain was readable; NAN otherwise. */
static double energy_of_step(const struct store_run *r)
{
    double joules = 0;
    bool any = false;
    for (int i = 0; i < r->counters; i++) {
        const struct run_counter *c = &r->counter[i];
        if (strcmp(c->source, "rapl") != 0 || strstr(c->event, "psys")) /* psys holds the rest */
            continue;
        joules += c->value / (double)c->steps;
        any = true;
    }
    return any ? joules : NAN;
}

/* Inside a transaction. */
static bool write_epochs(struct store_run *r, struct err *err)
{
    bool good = true;
    for (int i = 0; good && i < r->epochs; i++)
        good = write_epoch(r, &r->epoch[i], err);
    return good;
}

static void forget_epochs(struct store_run *r)
{
    for (int i = 0; i < r->epochs; i++)
        free(r->epoch[i].seconds);
    r->epochs = 0;
}

static void keep_steps(struct store_run *r, const struct run_epoch *e, float *seconds)
{
    for (size_t i = 0; i < e->steps; i++)
        seconds[i] = (float)(e->step_ns[i] * 1e-9);
    if (e->steps <= e->warm)
        return;
    r->step_s = xrealloc(r->step_s, (r->steps + e->steps - e->warm) * sizeof *r->step_s);
    for (size_t i = e->warm; i < e->steps; i++)
        r->step_s[r->steps++] = e->step_ns[i] * 1e-9;
}

bool store_run_epoch(struct store_run *r, const struct run_epoch *epoch, struct err *err)
{
    struct sql *s = &r->store->sql;
    r->epoch = xrealloc(r->epoch, (size_t)(r->epochs + 1) * sizeof *r->epoch);
    struct kept_epoch *k = &r->epoch[r->epochs++];
    *k = (struct kept_epoch){*epoch, xcalloc(epoch->steps + 1, sizeof(float))};
    keep_steps(r, epoch, k->seconds);
    k->epoch.step_ns = NULL; /* was borrowed */
    if (r->epochs == 1)
        r->waiting_since = clock_ns();
    if (clock_ns() - r->waiting_since < STORE_FLUSH_S * INT64_C(1000000000))
        return true;
    if (!sql_begin(s, err) || !sql_end(s, write_epochs(r, err), err))
        return false;
    forget_epochs(r);
    return true;
}

/* At once, because nothing is timed any more. */
bool store_run_sample(struct store_run *r, const struct run_sample *sample, struct err *err)
{
    struct sql *s = &r->store->sql;
    return sql_begin(s, err) && sql_end(s, store_write_said(s, r->id, sample, err), err);
}

bool store_run_layer(struct store_run *r, const struct run_layer *layer, struct err *err)
{
    (void)err;
    r->layer = xrealloc(r->layer, (size_t)(r->layers + 1) * sizeof *r->layer);
    r->layer[r->layers++] = *layer;
    return true;
}

bool store_run_counter(struct store_run *r, const struct run_counter *counter, struct err *err)
{
    (void)err;
    r->counter = xrealloc(r->counter, (size_t)(r->counters + 1) * sizeof *r->counter);
    r->counter[r->counters++] = *counter;
    return true;
}

/* ---- the end -------------------------------------------------------------------------- */

static bool write_step_time(struct store_run *r, const struct run_end *end, struct err *err)
{
    int64_t id;
    double lo = NAN, hi = NAN;
    if (!isfinite(end->step_ms_median))
        return true;
    order_sort(r->step_s, r->steps);
    order_median_interval(r->step_s, r->steps, 0.95, &lo, &hi);
    return metric_id(&r->store->sql, "step_s", &id, err) &&
           sql_run(&r->store->sql, err,
                   "INSERT OR REPLACE INTO value(run_id, metric_id, how, value, n, mad, lo, hi, "
                   "least) VALUES "
                   "(?, ?, 'median', ?, ?, ?, ?, ?, ?)",
                   "iididddd", r->id, id, end->step_ms_median * 1e-3, (int64_t)r->steps,
                   end->step_ms_mad * 1e-3, lo, hi, end->step_ms_min * 1e-3);
}

static bool write_metrics(struct store_run *r, const struct run_end *end, struct err *err)
{
    const int which = store_quality(&r->plan, end);
    int64_t quality = -1;
    bool good = store_run_value(r, "samples_per_s", "mean", end->samples_per_s, err) &&
                store_run_value(r, "time_s", "total", end->time_s, err) &&
                store_run_value(r, "harness_s", "total", end->harness_s, err) &&
                store_run_value(r, "loss", "last", end->train_loss, err) &&
                store_run_value(r, "energy_step_j", "mean", energy_of_step(r), err);
    for (int i = 0; good && i < end->metrics; i++)
        good = store_run_value(r, end->last[i].name, "last", end->last[i].value, err) &&
               store_run_value(r, end->best[i].name, "best", end->best[i].value, err);
    if (good && which >= 0)
        good = metric_id(&r->store->sql, end->last[which].name, &quality, err);
    return good && sql_run(&r->store->sql, err, "UPDATE run SET metric_id = ? WHERE id = ?", "Ii",
                           quality, r->id);
}

static bool write_ledger(struct store_run *r, const struct run_end *end, struct err *err)
{
    const struct noise *n = &end->noise;
    const int64_t steady = end->steady == RUN_STEADY_UNKNOWN ? -1 : end->steady == RUN_STEADY;
    return sql_run(&r->store->sql, err,
                   "UPDATE run SET tainted = ?, steady = ?, unsteady = ? WHERE id = ?", "TITi",
                   end->tainted, steady, end->unsteady, r->id) &&
           (n->steps == 0 ||
            sql_run(&r->store->sql, err,
                    "INSERT OR REPLACE INTO ledger(run_id, steps, wall_s, cpu_s, cpus, steal_s, "
                    "foreign_s, freq_min_hz, freq_max_hz, ctx_invol, minor_faults, major_faults, "
                    "throttles, heap_bytes) VALUES (?, ?, ?, ?, nullif(?, 0), ?, ?, ?, ?, ?, ?, ?, "
                    "?, ?)",
                    "iiddiddddIIIII", r->id, (int64_t)n->steps, n->wall_s, n->cpu_s,
                    (int64_t)n->cpus, n->steal_s, n->foreign_s, n->freq_min_hz, n->freq_max_hz,
                    (int64_t)n->switches, (int64_t)n->minor_faults, (int64_t)n->major_faults,
                    (int64_t)n->throttles, (int64_t)n->heap_bytes));
}

static bool write_end(struct store_run *r, const struct run_end *end, struct err *err)
{
    struct sql *s = &r->store->sql;
    bool good = write_epochs(r, err);
    for (int i = 0; good && i < r->layers; i++)
        good = write_layer(r, &r->layer[i], i, err);
    for (int i = 0; good && i < r->counters; i++)
        good = write_counter(r, &r->counter[i], err);
    return good && write_ledger(r, end, err) && write_step_time(r, end, err) &&
           write_metrics(r, end, err) &&
           sql_run(s, err,
                   "UPDATE run SET ended_ms = ?, status = ?, reason = ?, signal = nullif(?, 0), "
                   "exit_code = ?, "
                   "epochs = (SELECT max(epoch) FROM epoch WHERE run_id = ?), steps = ?, rss_peak "
                   "= nullif(?, 0), "
                   "ctx_invol = ?, major_faults = ? WHERE id = ?",
                   "itTiiiiiIIi", store_now_ms(), run_status_name[end->status], end->reason,
                   (int64_t)end->signal, (int64_t)end->exit_code, r->id, (int64_t)end->steps,
                   (int64_t)end->peak_rss_bytes, (int64_t)end->involuntary_switches,
                   (int64_t)end->major_faults, r->id);
}

bool store_run_end(struct store_run *r, const struct run_end *end, struct err *err)
{
    struct sql *s = &r->store->sql;
    const bool good = sql_begin(s, err) && sql_end(s, write_end(r, end, err), err);
    forget_epochs(r);
    free(r->epoch);
    free(r->layer);
    free(r->counter);
    free(r->step_s);
    free(r);
    return good;
}
