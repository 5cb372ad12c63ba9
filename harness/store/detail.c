/* detail.c — everything that is known of one run, and the database's upkeep; see store.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/migrations.h"
#include "store/store_inside.h"

/* Room for one more element behind `count`, doubling at powers of two. */
static void *grown(void *items, int count, size_t bytes)
{
    const bool full = count == 0 || (count >= 16 && (count & (count - 1)) == 0);
    return full ? xrealloc(items, (size_t)(count < 16 ? 16 : 2 * count) * bytes) : items;
}

/* The end of a listing: its count when the query ended well. */
static int listed(int state, int count, void **items)
{
    if (state == 0)
        return count;
    free(*items);
    *items = NULL;
    return -1;
}

int store_curve(struct store *s, int64_t id, struct store_point **points, struct err *err)
{
    static const char text[] =
        "SELECT e.epoch, step, items, time_s, train_s, eval_s, rate, "
        "max(iif(k.name = 'loss' AND split = 'train', value, NULL)), "
        "max(iif(k.name = 'loss' AND split = 'test', value, NULL)), "
        "max(iif(c.metric_id = r.metric_id AND split = 'train', value, NULL)), "
        "max(iif(c.metric_id = r.metric_id AND split = 'test', value, NULL)) "
        "FROM run r JOIN epoch e ON e.run_id = r.id LEFT JOIN curve c ON c.run_id = r.id AND "
        "c.epoch = e.epoch "
        "LEFT JOIN metric k ON k.id = c.metric_id WHERE r.id = ? GROUP BY e.epoch ORDER BY e.epoch";
    int count = 0, state;
    *points = NULL;
    sqlite3_stmt *q = sql_query(&s->sql, err, text, "i", id);
    if (!q)
        return -1;
    while ((state = sql_next(&s->sql, q, err)) == 1) {
        *points = grown(*points, count, sizeof **points);
        (*points)[count++] = (struct store_point){.epoch = (int)sql_int64(q, 0, 0),
                                                  .step = sql_int64(q, 1, 0),
                                                  .items = sql_int64(q, 2, 0),
                                                  .time_s = sql_double(q, 3),
                                                  .train_s = sql_double(q, 4),
                                                  .eval_s = sql_double(q, 5),
                                                  .rate = sql_double(q, 6),
                                                  .train_loss = sql_double(q, 7),
                                                  .test_loss = sql_double(q, 8),
                                                  .train = sql_double(q, 9),
                                                  .test = sql_double(q, 10)};
    }
    return listed(state, count, (void **)points);
}

int store_layers(struct store *s, int64_t id, struct run_layer **layers, struct err *err)
{
    int count = 0, state;
    *layers = NULL;
    sqlite3_stmt *q = sql_query(
        &s->sql, err,
        "SELECT name, op, shape, kernel, at, CASE pass WHEN 'forward' THEN 0 WHEN 'backward' "
        "THEN 1 WHEN 'update' THEN 2 ELSE 3 END, macs, flops, bytes, time_s * 1e9 FROM layer "
        "WHERE run_id = ? ORDER BY ix",
        "i", id);
    if (!q)
        return -1;
    while ((state = sql_next(&s->sql, q, err)) == 1) {
        *layers = grown(*layers, count, sizeof **layers);
        struct run_layer *l = &(*layers)[count++];
        *l = (struct run_layer){.pass = (int)sql_int64(q, 5, 0),
                                .macs = sql_double(q, 6),
                                .flops = sql_double(q, 7),
                                .bytes = sql_double(q, 8),
                                .ns = sql_double(q, 9),
                                .wait_ns = NAN};
        sql_copy(q, 0, l->row, sizeof l->row);
        sql_copy(q, 1, l->op, sizeof l->op);
        sql_copy(q, 2, l->shape, sizeof l->shape);
        sql_copy(q, 3, l->kernel, sizeof l->kernel);
        sql_copy(q, 4, l->at, sizeof l->at);
    }
    return listed(state, count, (void **)layers);
}

bool store_roofs(struct store *s, int64_t id, struct run_metric roof[RUN_METRICS], struct err *err)
{
    int count = 0, state = 1;
    memset(roof, 0, RUN_METRICS * sizeof *roof);
    sqlite3_stmt *q = sql_query(&s->sql, err,
                                "SELECT m.name, v.value FROM value v JOIN metric m ON "
                                "m.id = v.metric_id WHERE v.run_id = ? AND v.how = 'roof' "
                                "ORDER BY v.value DESC",
                                "i", id);
    while (q && count < RUN_METRICS && (state = sql_next(&s->sql, q, err)) == 1) {
        sql_copy(q, 0, roof[count].name, sizeof roof[count].name);
        roof[count++].value = sql_double(q, 1);
    }
    if (q && state == 1)
        sqlite3_reset(q);
    return q && state >= 0;
}

int store_counters(struct store *s, int64_t id, struct run_counter **counters, struct err *err)
{
    int count = 0, state;
    *counters = NULL;
    sqlite3_stmt *q =
        sql_query(&s->sql, err,
                  "SELECT region, event, source, reason, layer, value, enabled_ns, running_ns, "
                  "steps FROM counter WHERE run_id = ? ORDER BY layer, source, event",
                  "i", id);
    if (!q)
        return -1;
    while ((state = sql_next(&s->sql, q, err)) == 1) {
        *counters = grown(*counters, count, sizeof **counters);
        struct run_counter *c = &(*counters)[count++];
        *c = (struct run_counter){.layer = (int)sql_int64(q, 4, -1),
                                  .value = sql_double(q, 5),
                                  .enabled_ns = sql_int64(q, 6, -1),
                                  .running_ns = sql_int64(q, 7, -1),
                                  .steps = sql_int64(q, 8, 0)};
        sql_copy(q, 0, c->region, sizeof c->region);
        sql_copy(q, 1, c->event, sizeof c->event);
        sql_copy(q, 2, c->source, sizeof c->source);
        sql_copy(q, 3, c->reason, sizeof c->reason);
    }
    return listed(state, count, (void **)counters);
}

int store_steps(struct store *s, int64_t id, struct store_step **steps, struct err *err)
{
    int count = 0, state;
    *steps = NULL;
    sqlite3_stmt *q = sql_query(
        &s->sql, err,
        "SELECT a.epoch, a.warm, a.data FROM sample a JOIN metric m ON m.id = a.metric_id "
        "WHERE a.run_id = ? AND m.name = 'step_s' ORDER BY a.epoch",
        "i", id);
    if (!q)
        return -1;
    while ((state = sql_next(&s->sql, q, err)) == 1) {
        const unsigned char *data = sqlite3_column_blob(q, 2);
        const int n = sqlite3_column_bytes(q, 2) / 4, warm = (int)sql_int64(q, 1, 0);
        *steps = xrealloc(*steps, (size_t)(count + n + 1) * sizeof **steps);
        for (int i = 0; i < n; i++, data += 4) {
            const uint32_t bits = (uint32_t)data[0] | (uint32_t)data[1] << 8 |
                                  (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
            float seconds;
            memcpy(&seconds, &bits, sizeof seconds);
            (*steps)[count++] =
                (struct store_step){(int)sql_int64(q, 0, 0), i < warm, (double)seconds * 1e3};
        }
    }
    return listed(state, count, (void **)steps);
}

/* ---- facts -------------------------------------------------------------------------- */

/* One query a group; its columns are the facts, by their names. Every query takes the run's id. */
static const struct {
    const char *group, *sql;
} fact_queries[] = {
    /* clang-format off */
    {"run",
     "SELECT r.uuid, datetime(r.started_ms / 1000, 'unixepoch', 'localtime') AS started, "
     "round((r.ended_ms - r.started_ms) / 1e3, 2) || ' s' AS wall, r.status, nullif(r.reason, '') AS reason, "
     "r.signal, r.exit_code AS 'worker exit', s.argv AS command, s.exit_code AS 'session exit', "
     "r.seed, r.batch, r.threads, r.isa, r.precision, r.epochs, r.steps, p.so_sha256 AS 'plugin sha256' "
     "FROM run r JOIN session s ON s.id = r.session_id LEFT JOIN plugin p ON p.id = r.plugin_id WHERE r.id = ?"},
    {"data",
     "SELECT d.name, d.path, d.train_items AS 'training items', d.test_items AS 'test items', "
     "iif(d.synthetic, 'yes', 'no') AS synthetic, d.sha256 FROM run r JOIN dataset d ON d.id = r.dataset_id WHERE r.id = ?"},
    {"trust",
     "SELECT coalesce('tainted: ' || tainted, iif(l.run_id IS NULL, NULL, 'nothing found that disturbed it')) AS disturbance, "
     "iif(steady, 'reached', unsteady) AS 'steady state' FROM run r LEFT JOIN ledger l ON l.run_id = r.id WHERE r.id = ?"},
    {"noise",
     "SELECT l.steps || ' steps, ' || round(wall_s, 3) || ' s' AS 'watched', "
     "printf('%.2f %% of %d CPUs', 100 * steal_s / wall_s / cpus, cpus) AS 'stolen', "
     "printf('%.1f %% of %d CPUs', 100 * foreign_s / wall_s / cpus, cpus) AS 'other processes', "
     "printf('%.2f CPUs', cpu_s / wall_s) AS 'this process', "
     "iif(freq_min_hz IS NULL, 'cannot be read here', printf('%.0f … %.0f MHz', freq_min_hz / 1e6, freq_max_hz / 1e6)) AS 'clock', "
     "l.ctx_invol AS 'involuntary switches', l.minor_faults AS 'minor faults', l.major_faults AS 'major faults', "
     "throttles, heap_bytes || ' B' AS 'heap growth in steps' FROM ledger l WHERE l.run_id = ?"},
    {"worker",
     "SELECT (rss_peak / 1048576) || ' MiB' AS 'peak resident', ctx_invol AS 'involuntary switches', "
     "major_faults AS 'major faults' FROM run WHERE id = ?"},
    {"machine",
     "SELECT m.cpu, m.arch, m.isa, m.sockets, m.cores, m.threads, (m.l1d / 1024) || ' KiB' AS L1d, "
     "(m.l2 / 1024) || ' KiB' AS L2, (m.l3 / 1024) || ' KiB' AS L3, round(m.ram / 1073741824.0, 1) || ' GiB' AS memory, "
     "m.hypervisor, substr(m.fp, 1, 16) AS fingerprint "
     "FROM run r JOIN session s ON s.id = r.session_id JOIN environment e ON e.id = s.env_id "
     "JOIN machine m ON m.id = e.machine_id WHERE r.id = ?"},
    {"environment",
     "SELECT e.kernel, e.os, e.libc, e.microcode, e.governor, iif(e.boost, 'on', iif(e.boost IS NULL, NULL, 'off')) AS boost, "
     "iif(e.smt, 'on', iif(e.smt IS NULL, NULL, 'off')) AS SMT, e.aslr AS ASLR, e.thp AS 'huge pages', "
     "e.cgroup_quota || ' CPUs' AS 'cgroup quota', e.pmu AS counters, nullif(e.isolated, '') AS 'isolated CPUs', "
     "(SELECT group_concat(key || ' ' || value, ', ') FROM json_each(e.libraries)) AS libraries, "
     "substr(e.fp, 1, 16) AS fingerprint "
     "FROM run r JOIN session s ON s.id = r.session_id JOIN environment e ON e.id = s.env_id WHERE r.id = ?"},
    {"build",
     "SELECT g.tool_version AS version, g.git_commit AS 'commit', g.git_branch AS branch, "
     "datetime(g.commit_ms / 1000, 'unixepoch', 'localtime') AS committed, "
     "iif(g.dirty, 'changed: diff ' || substr(g.diff_sha256, 1, 16), iif(g.dirty IS NULL, NULL, 'clean')) AS tree, "
     "g.compiler, g.cflags AS flags, g.ldflags AS 'link flags', substr(g.lib_sha256, 1, 16) AS 'libnn.so', substr(g.fp, 1, 16) AS fingerprint "
     "FROM run r JOIN session s ON s.id = r.session_id JOIN build g ON g.id = s.build_id WHERE r.id = ?"},
    {"config", "SELECT c.body AS settings FROM run r JOIN config c ON c.id = r.config_id WHERE r.id = ?"},
    /* clang-format on */
};

static int add_facts(sqlite3_stmt *q, const char *group, struct store_fact **facts, int count)
{
    for (int c = 0; c < sqlite3_column_count(q); c++) {
        const char *const value = (const char *)sqlite3_column_text(q, c);
        if (!value)
            continue;
        *facts = grown(*facts, count, sizeof **facts);
        struct store_fact *f = &(*facts)[count++];
        *f = (struct store_fact){.group = group, .value = xstrdup(value)};
        snprintf(f->key, sizeof f->key, "%s", sqlite3_column_name(q, c));
    }
    return count;
}

/* Numbers of the run beyond those of struct store_row. */
static int add_values(struct store *s, int64_t id, struct store_fact **facts, int count,
                      struct err *err)
{
    int state;
    sqlite3_stmt *q = sql_query(
        &s->sql, err,
        "SELECT m.name || ' (' || v.how || ')', printf('%.6g%s%s', v.value, iif(m.unit = '1', '', "
        "' '), iif(m.unit = '1', '', m.unit)) || iif(v.lo IS NULL, '', printf('; 95 %% interval "
        "%.6g … "
        "%.6g; MAD %.3g; least %.6g; n %d', v.lo, v.hi, v.mad, v.least, v.n)) "
        "FROM value v JOIN metric m ON m.id = v.metric_id WHERE v.run_id = ? ORDER BY m.id, v.how",
        "i", id);
    if (!q)
        return -1;
    while ((state = sql_next(&s->sql, q, err)) == 1) {
        *facts = grown(*facts, count, sizeof **facts);
        struct store_fact *f = &(*facts)[count++];
        *f = (struct store_fact){.group = "value",
                                 .value = xstrdup((const char *)sqlite3_column_text(q, 1))};
        sql_copy(q, 0, f->key, sizeof f->key);
    }
    return state < 0 ? -1 : count;
}

int store_facts(struct store *s, int64_t id, struct store_fact **facts, struct err *err)
{
    int count = 0;
    *facts = NULL;
    for (size_t i = 0; i < sizeof fact_queries / sizeof *fact_queries; i++) {
        sqlite3_stmt *q = sql_query(&s->sql, err, fact_queries[i].sql, "i", id);
        const int state = q ? sql_next(&s->sql, q, err) : -1;
        if (state == 1)
            count = add_facts(q, fact_queries[i].group, facts, count);
        if (state == 1)
            sqlite3_reset(q);
        const bool last = i + 1 == sizeof fact_queries / sizeof *fact_queries;
        const int with = state >= 0 && last ? add_values(s, id, facts, count, err) : count;
        if (state < 0 || with < 0) {
            store_facts_free(*facts, count);
            *facts = NULL;
            return -1;
        }
        count = with;
    }
    return count;
}

void store_facts_free(struct store_fact *facts, int count)
{
    for (int i = 0; i < count; i++)
        free(facts[i].value);
    free(facts);
}

const char *store_fact(const struct store_fact *facts, int count, const char *group,
                       const char *key)
{
    for (int i = 0; i < count; i++)
        if (strcmp(facts[i].group, group) == 0 && strcmp(facts[i].key, key) == 0)
            return facts[i].value;
    return "";
}

/* ---- upkeep ---------------------------------------------------------------------------- */

int store_schema(struct store *s)
{
    int64_t version = -1;
    store_version(&s->sql, &version, NULL);
    return (int)version;
}

static bool check_integrity(struct store *s, struct err *err)
{
    char first[512] = "";
    sqlite3_stmt *q = sql_query(&s->sql, err, "PRAGMA integrity_check(1)", "");
    if (!q || sql_next(&s->sql, q, err) != 1)
        return false;
    sql_copy(q, 0, first, sizeof first);
    sqlite3_reset(q);
    const char *const line = strrchr(first, '\n'); /* the line before it only names the file */
    return strcmp(first, "ok") == 0 ||
           err_set(err, "database '%s' is damaged: %s", s->path, line ? line + 1 : first);
}

static bool check_references(struct store *s, struct err *err)
{
    char table[64], to[64];
    sqlite3_stmt *q = sql_query(&s->sql, err, "PRAGMA foreign_key_check", "");
    const int state = q ? sql_next(&s->sql, q, err) : -1;
    if (state <= 0)
        return state == 0;
    sql_copy(q, 0, table, sizeof table);
    sql_copy(q, 2, to, sizeof to);
    const int64_t row = sql_int64(q, 1, -1);
    sqlite3_reset(q);
    return err_set(err, "database '%s': row %lld of %s names a row of %s that is not there",
                   s->path, (long long)row, table, to);
}

bool store_check(struct store *s, struct text *said, struct err *err)
{
    if (!check_integrity(s, err) || !check_references(s, err))
        return false;
    sqlite3_stmt *q = sql_query(
        &s->sql, err,
        "SELECT (SELECT count(*) FROM session), count(*), coalesce(sum(status = 'ok'), 0), "
        "(SELECT count(*) FROM epoch), (SELECT coalesce(sum(n), 0) FROM sample), "
        "(SELECT count(*) FROM counter), coalesce(sum(tainted IS NOT NULL), 0), "
        "(SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()) FROM run",
        "");
    if (!q || sql_next(&s->sql, q, err) != 1)
        return false;
    text_add(said,
             "schema %d, %lld sessions, %lld runs (%lld ok, %lld tainted), %lld epochs, %lld step "
             "times, "
             "%lld counters, %.1f MiB",
             store_schema(s), (long long)sql_int64(q, 0, 0), (long long)sql_int64(q, 1, 0),
             (long long)sql_int64(q, 2, 0), (long long)sql_int64(q, 6, 0),
             (long long)sql_int64(q, 3, 0), (long long)sql_int64(q, 4, 0),
             (long long)sql_int64(q, 5, 0), sql_double(q, 7) / 1048576);
    sqlite3_reset(q);
    return true;
}

bool store_vacuum(struct store *s, struct err *err)
{
    return sql_script(&s->sql, "VACUUM; PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)", err);
}
