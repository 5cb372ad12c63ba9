/* store.c — where the database is, how it is opened, and what is refused; see store.h. */
#define _GNU_SOURCE
#include "store/store.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/text.h"
#include "store/migrations.h"
#include "store/store_inside.h"

enum { BUSY_MS = 5000 };

/* ---- where ------------------------------------------------------------------ */

char *store_default_path(void)
{
    const char *const named = getenv("BENCH_DB"), *const data = getenv("XDG_DATA_HOME");
    if (named && *named)
        return xstrdup(named);
    char *tree = path_source_tree(), *path;
    if (tree)
        path = xprintf("%s/results/bench.db", tree);
    else if (data && *data == '/') /* the XDG specification ignores relative ones */
        path = xprintf("%s/bench/bench.db", data);
    else
        path = xprintf("%s/.local/share/bench/bench.db", getenv("HOME") ? getenv("HOME") : "");
    free(tree);
    return path;
}

/* ---- opening ------------------------------------------------------------------ */

/* SQLite's shared-memory index works on one host only. */
static bool is_network(const char *path)
{
    static const long types[] = {
        0x6969 /* nfs */,      0x517b /* smb */,      0xff534d42 /* cifs */,
        0xfe534d42 /* smb2 */, 0x01021997 /* 9p */,   0x0bd00bd0 /* lustre */,
        0x00c36400 /* ceph */, 0x47504653 /* gpfs */, 0x5346414f /* afs */};
    struct statfs fs;
    if (statfs(path, &fs) != 0)
        return false;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if ((unsigned)fs.f_type == (unsigned)types[i])
            return true;
    return false;
}

/* Write-ahead log where it works, so that readers never wait for a writer and a killed
 * program leaves nothing to repair by hand. The switch needs the file alone for a moment
 * and does not call the busy handler: we wait ourselves. */
static bool set_journal(struct store *s, struct err *err)
{
    const char *const wanted = is_network(s->path) ? "delete" : "wal";
    const int64_t until = clock_ns() + BUSY_MS * INT64_C(1000000);
    for (;;) {
        char mode[16] = "";
        struct err why = {0};
        sqlite3_stmt *q = sql_query(
            &s->sql, &why,
            *wanted == 'w' ? "PRAGMA journal_mode=wal" : "PRAGMA journal_mode=delete", "");
        const int row = q ? sql_next(&s->sql, q, &why) : -1;
        const int code = sqlite3_errcode(s->sql.db);
        if (row == 1)
            sql_copy(q, 0, mode, sizeof mode);
        if (q)
            sqlite3_reset(q);
        if (row == 1 && strcmp(mode, "wal") != 0)
            snprintf(s->note, sizeof s->note,
                     "rollback journal in use (%s): writers wait for readers",
                     *wanted == 'w' ? "no write-ahead log here" : "network file system");
        if (row == 1)
            return true;
        if (code != SQLITE_BUSY || clock_ns() > until)
            return err_set(err, "%s", why.text);
        usleep(2000);
    }
}

/* An empty file is ours to fill; anything else must carry our mark. Read in one transaction:
 * another program may be making the database at this moment. */
static bool check_owner(struct store *s, int64_t *version, struct err *err)
{
    int64_t application, tables;
    if (!sql_script(&s->sql, "BEGIN", err))
        return false;
    const bool read = sql_int(&s->sql, err, &application, 0, "PRAGMA application_id", "") &&
                      sql_int(&s->sql, err, &tables, 0, "SELECT count(*) FROM sqlite_schema", "") &&
                      store_version(&s->sql, version, err);
    if (!sql_script(&s->sql, "COMMIT", read ? err : NULL) || !read)
        return false;
    if (application == STORE_APPLICATION || (application == 0 && tables == 0))
        return true;
    return err_set(err, "'%s' is a database of another program (application id 0x%08x)", s->path,
                   (unsigned)application);
}

static bool prepare_to_read(struct store *s, int64_t version, struct err *err)
{
    if (version < STORE_SCHEMA)
        return err_set(err,
                       "database '%s' has schema %d, this program reads %d: `bench db migrate` "
                       "brings it forward",
                       s->path, (int)version, STORE_SCHEMA);
    if (version > STORE_SCHEMA)
        snprintf(
            s->note, sizeof s->note,
            "written by a newer bench (schema %d, here %d): only read, and not all of it may show",
            (int)version, STORE_SCHEMA);
    return true;
}

static bool prepare_to_write(struct store *s, int64_t version, struct err *err)
{
    if (version > STORE_SCHEMA)
        return err_set(err,
                       "database '%s' was written by a newer bench (schema %d, here %d): it can be "
                       "read, not written; name another with --db FILE",
                       s->path, (int)version, STORE_SCHEMA);
    return set_journal(s, err) && sql_script(&s->sql, "PRAGMA synchronous=NORMAL", err) &&
           store_migrate(&s->sql, store_migrations, err);
}

static bool connect_to(struct store *s, const char *uri, int flags, struct err *err)
{
    s->sql.path = s->path;
    if (sqlite3_open_v2(uri, &s->sql.db, flags | SQLITE_OPEN_URI, NULL) != SQLITE_OK)
        return err_set(err, "cannot open database '%s': %s", s->path,
                       s->sql.db ? sqlite3_errmsg(s->sql.db) : "no memory");
    sqlite3_busy_timeout(s->sql.db, BUSY_MS);
    return sql_script(&s->sql, "PRAGMA foreign_keys=ON", err);
}

/* A write-ahead log in a folder where we may not write cannot be read as such: SQLite must
 * be told that nobody else writes, in a URI. */
static bool reopen_immutable(struct store *s, struct err *err)
{
    struct text uri = {0};
    text_add(&uri, "file:");
    for (const char *c = s->path; *c; c++)
        text_add(&uri, strchr("?#%", *c) ? "%%%02x" : "%c", (unsigned char)*c);
    text_add(&uri, "?immutable=1");
    sql_close(&s->sql);
    const bool good = connect_to(s, text_str(&uri), SQLITE_OPEN_READONLY, err);
    text_release(&uri);
    return good;
}

static bool open_to_read(struct store *s, struct err *err)
{
    int64_t version;
    if (access(s->path, R_OK) != 0)
        return err_set(err,
                       errno == ENOENT ? "no database '%s' yet: `bench run lenet5` makes one"
                                       : "cannot read database '%s'",
                       s->path);
    if (!connect_to(s, s->path, SQLITE_OPEN_READONLY, err))
        return false;
    const bool writable = access(s->path, W_OK) == 0;
    if (!check_owner(s, &version, writable ? err : NULL) &&
        (writable || !reopen_immutable(s, err) || !check_owner(s, &version, err)))
        return false;
    return prepare_to_read(s, version, err);
}

static bool open_to_write(struct store *s, struct err *err)
{
    int64_t version;
    char *copy = xstrdup(s->path);
    bool good = path_make_folders(dirname(copy), err);
    free(copy);
    if (good && access(s->path, F_OK) == 0 && access(s->path, W_OK) != 0)
        good = err_set(err, "cannot write database '%s': %s", s->path, strerror(errno));
    good = good && connect_to(s, s->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err) &&
           check_owner(s, &version, err) && prepare_to_write(s, version, err);
    return good;
}

struct store *store_open(const char *path, int mode, struct err *err)
{
    struct store *s = xcalloc(1, sizeof *s);
    s->path = path ? xstrdup(path) : store_default_path();
    if (mode == STORE_WRITE ? open_to_write(s, err) : open_to_read(s, err))
        return s;
    store_close(s);
    return NULL;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    sql_close(&s->sql);
    free(s->path);
    free(s);
}

const char *store_path(const struct store *s) { return s->path; }
const char *store_note(const struct store *s) { return *s->note ? s->note : NULL; }
