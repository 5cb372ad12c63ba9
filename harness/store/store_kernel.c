/* kernel.c — measurements of single kernels on their way into the database; see store_kernel.h. A
 * case is a run of a benchmark of kind 'kernel': its name is the kernel's, its variant the shape.
 */
#include "store/store_kernel.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/sha256.h"
#include "store/store_inside.h"

static bool add_benchmark(struct sql *s, const struct store_kernel *k, int64_t *id, struct err *err)
{
    return sql_run(s, err,
                   "INSERT INTO benchmark(kind, name, variant) VALUES ('kernel', ?, ?) ON CONFLICT "
                   "DO NOTHING",
                   "tt", k->kernel, k->variant) &&
           sql_int(s, err, id, 0,
                   "SELECT id FROM benchmark WHERE kind = 'kernel' AND name = ? AND variant = ?",
                   "tt", k->kernel, k->variant);
}

static bool add_config(struct sql *s, const char *body, int64_t *id, struct err *err)
{
    char hex[SHA256_HEX];
    sha256_of(body, strlen(body), hex);
    return sql_run(s, err, "INSERT INTO config(fp, body) VALUES (?, ?) ON CONFLICT DO NOTHING",
                   "tt", hex, body) &&
           sql_int(s, err, id, 0, "SELECT id FROM config WHERE fp = ?", "t", hex);
}

static bool add_value(struct sql *s, int64_t run, const struct store_kernel_value *v,
                      struct err *err)
{
    if (!isfinite(v->value)) /* not measured */
        return true;
    return sql_run(s, err,
                   "INSERT INTO metric(name, unit, better, assume, about) VALUES (?, ?, ?, ?, ?) "
                   "ON CONFLICT DO NOTHING",
                   "ttitt", v->metric, v->unit, (int64_t)v->better, v->better ? "noisy" : "exact",
                   v->about) &&
           sql_run(s, err,
                   "INSERT INTO value(run_id, metric_id, how, value, n, mad, lo, hi, least) SELECT "
                   "?, id, ?, ?, nullif(?, 0), ?, ?, ?, ? FROM metric WHERE name = ?",
                   "itdiddddt", run, v->how, v->value, (int64_t)v->n, v->mad, v->lo, v->hi,
                   v->least, v->metric);
}

static bool add_run(struct sql *s, int64_t session, const struct store_kernel *k, struct err *err)
{
    int64_t benchmark, config;
    char uuid[STORE_UUID];
    store_uuid(uuid);
    if (!add_benchmark(s, k, &benchmark, err) || !add_config(s, k->config, &config, err) ||
        !sql_run(s, err,
                 "INSERT INTO run(uuid, session_id, benchmark_id, config_id, threads, isa, "
                 "precision, started_ms, ended_ms, status, reason) VALUES (?, ?, ?, ?, ?, ?, "
                 "'f32', ?, ?, ?, ?)",
                 "tiiiitiitT", uuid, session, benchmark, config, (int64_t)k->threads, k->isa,
                 k->started_ms, store_now_ms(), k->failed ? "failed" : "ok", k->reason))
        return false;
    const int64_t run = sqlite3_last_insert_rowid(s->db);
    for (int i = 0; i < k->values; i++)
        if (!add_value(s, run, &k->value[i], err))
            return false;
    return true;
}

bool store_kernel(struct store_session *session, const struct store_kernel *k, struct err *err)
{
    struct sql *s = &session->store->sql;
    assert(k->kernel && k->variant && k->config && k->isa);
    return sql_begin(s, err) && sql_end(s, add_run(s, session->id, k, err), err);
}
