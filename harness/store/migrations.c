/* migrations.c — see migrations.h. To change the schema, add a step; never edit an old one. */
#include "store/migrations.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/embed.h"
#include "base/sha256.h"

EMBED(schema_sql, "harness/store/schema.sql");
EMBED(schema_2_sql, "harness/store/schema_2.sql");
EMBED(schema_3_sql, "harness/store/schema_3.sql");

const struct migration store_migrations[] = {
    {1, schema_sql},
    {2, schema_2_sql},
    {3, schema_3_sql},
    {0, NULL},
};

bool store_version(struct sql *s, int64_t *version, struct err *err)
{
    return sql_int(s, err, version, 0, "PRAGMA user_version", "");
}

/* The copy that a failed or regretted migration is undone from. */
static bool back_up(struct sql *s, int64_t version, struct err *err)
{
    char path[4096];
    struct stat st;
    for (int i = 0; i < 100; i++) {
        char again[16] = "";
        if (i)
            snprintf(again, sizeof again, ".%d", i);
        if (snprintf(path, sizeof path, "%s.schema%d%s.bak", s->path, (int)version, again) >=
            (int)sizeof path)
            return err_set(err, "database '%s': path too long", s->path);
        if (stat(path, &st) != 0)
            return sql_run(s, err, "VACUUM INTO ?", "t", path);
    }
    return err_set(err,
                   "database '%s': a hundred copies of schema %d are there already; remove some",
                   s->path, (int)version);
}

static bool note_step(struct sql *s, const struct migration *m, struct err *err)
{
    char hex[SHA256_HEX], pragma[96];
    sha256_of(m->sql, strlen(m->sql), hex);
    snprintf(pragma, sizeof pragma, "PRAGMA user_version = %d; PRAGMA application_id = %d",
             m->version, STORE_APPLICATION);
    return sql_run(s, err, "INSERT INTO migration VALUES (?, ?, ?, ?)", "iitt", (int64_t)m->version,
                   (int64_t)time(NULL) * 1000, "bench " BENCH_VERSION, hex) &&
           sql_script(s, pragma, err);
}

static bool apply(struct sql *s, const struct migration *m, struct err *err)
{
    int64_t version;
    if (!sql_begin(s, err))
        return false;
    bool good = store_version(s, &version, err);
    if (good && version == m->version - 1)
        good = sql_script(s, m->sql, err) && note_step(s, m, err);
    return sql_end(s, good, err);
}

bool store_migrate(struct sql *s, const struct migration *list, struct err *err)
{
    int64_t version;
    int last = 0;
    for (const struct migration *m = list; m->version; m++)
        last = m->version;
    if (!store_version(s, &version, err))
        return false;
    if (version > 0 && version < last && !back_up(s, version, err))
        return false;
    for (const struct migration *m = list; m->version; m++)
        if (m->version > version && !apply(s, m, err))
            return err_prefix(err, "migration %d", m->version);
    return true;
}
