/* t_store_files.c — databases as they are found: foreign, damaged, read-only, of an older or a newer
 * schema. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "said.h"
#include "store/migrations.h"
#include "store_test.h"

/* ---- files that are not as expected ---------------------------------------------------- */

static void refuses(const char *path, int mode, const char *why, const char *about)
{
    struct err err = {0};
    struct store *s = store_open(path, mode, &err);
    ok(!s && strstr(err.text, why), "%s: %s", about, s ? "opened" : err.text);
    store_close(s);
}

static void strangers(void)
{
    struct store_session *session;
    struct err err = {0};
    refuses(scratch_path("none.db"), STORE_READ, "no database", "a file that is not there");
    ok(access(scratch_path("none.db"), F_OK) != 0, "reading makes no file");

    execute(scratch_path("foreign.db"), "CREATE TABLE t(x); PRAGMA application_id = 7");
    refuses(scratch_path("foreign.db"), STORE_WRITE, "another program", "a foreign database");
    execute(scratch_path("unmarked.db"), "CREATE TABLE t(x)");
    refuses(scratch_path("unmarked.db"), STORE_WRITE, "another program",
            "a database without a mark");

    FILE *f = fopen(scratch_path("text.db"), "w");
    for (int i = 0; i < 200; i++)
        fputs("this is no database\n", f);
    fclose(f);
    refuses(scratch_path("text.db"), STORE_WRITE, "not a database", "a text file");
    refuses(scratch, STORE_WRITE, "", "a folder");
    refuses("/proc/none/bench.db", STORE_WRITE, "cannot create folder",
            "a folder that cannot be made");

    struct store *s = open_new(scratch_path("newer.db"), &session);
    (void)fill_run(session, 1, 1, false);
    (void)store_session_end(session, 0, NULL);
    store_close(s);
    execute(scratch_path("newer.db"), "PRAGMA user_version = 99");
    refuses(scratch_path("newer.db"), STORE_WRITE, "newer", "writing to a newer schema");
    s = store_open(scratch_path("newer.db"), STORE_READ, &err);
    ok(s && store_note(s) && strstr(store_note(s), "newer"),
       "a newer schema is read, with a note: %s", s ? store_note(s) : err.text);
    is_int(s ? count_of(s, NULL, NULL, 0, false) : -1, 1, "and its runs are shown");
    store_close(s);
}

static void damage(void)
{
    struct store_session *session;
    const char *path = scratch_path("damaged.db");
    struct err err = {0};
    struct text said = {0};
    struct store *s = open_new(path, &session);
    for (int i = 0; i < 8; i++)
        (void)fill_run(session, i, 3, true);
    (void)store_session_end(session, 0, NULL);
    ok(store_check(s, &said, &err) && strstr(text_str(&said), "8 runs"), "a sound database: %s",
       text_str(&said));
    store_close(s);

    execute(path, "PRAGMA foreign_keys = OFF; DELETE FROM machine");
    s = store_open(path, STORE_READ, &err);
    ok(s && !store_check(s, &said, &err) && strstr(err.text, "machine"),
       "a missing reference is found: %s", err.text);
    store_close(s);

    const int64_t page = scalar(path, "SELECT rootpage FROM sqlite_schema WHERE name = 'run'");
    const int fd = open(path, O_WRONLY);
    char junk[4096];
    memset(junk, 0x5a, sizeof junk);
    ok(pwrite(fd, junk, sizeof junk, (page - 1) * 4096) == sizeof junk, "a page is overwritten");
    close(fd);
    err = (struct err){0};
    s = store_open(path, STORE_READ, &err);
    ok(!s || !store_check(s, &said, &err), "and noticed: %s", err.text);
    store_close(s);
    text_release(&said);
}

static void read_only(void)
{
    if (geteuid() == 0) {
        skip("root may write anywhere");
        return;
    }
    const char *path = scratch_path("50%, #1?.db"); /* what a URI would take for its own */
    struct store_session *session;
    struct err err = {0};
    struct store *s = open_new(path, &session);
    (void)fill_run(session, 1, 1, false);
    (void)store_session_end(session, 0, NULL);
    store_close(s);
    chmod(path, 0444);
    refuses(path, STORE_WRITE, "cannot write", "a read-only file");
    chmod(scratch, 0555);
    refuses(scratch_path("x.db"), STORE_WRITE, "", "a read-only folder");
    s = store_open(path, STORE_READ, &err);
    ok(s && count_of(s, NULL, NULL, 0, false) == 1, "but it can be read: %s", err.text);
    store_close(s);
    chmod(scratch, 0755);
}

/* ---- migrations ----------------------------------------------------------------------------- */

static const struct migration longer[] = {
    {1,
     "CREATE TABLE migration(version INTEGER PRIMARY KEY, applied_ms "
     "INTEGER, tool TEXT, sql_sha256 TEXT); CREATE TABLE a(x)"},
    {2, "ALTER TABLE a ADD COLUMN y; INSERT INTO a VALUES (1, 2)"},
    {3, "CREATE TABLE b(z)"},
    {0, NULL}};
static const struct migration shorter[] = {
    {1,
     "CREATE TABLE migration(version INTEGER PRIMARY KEY, applied_ms "
     "INTEGER, tool TEXT, sql_sha256 TEXT); CREATE TABLE a(x)"},
    {0, NULL}};
static const struct migration broken[] = {
    {1, "CREATE TABLE a(x)"}, {2, "CREATE TABLE b(z); CREATE TABLE b(z)"}, {0, NULL}};

static bool migrate(const char *path, const struct migration *list, struct err *err)
{
    struct sql s = {.path = path};
    sqlite3_open(path, &s.db);
    sqlite3_busy_timeout(s.db, 5000);
    const bool good = store_migrate(&s, list, err);
    sql_close(&s);
    return good;
}

static void migrations(void)
{
    const char *path = scratch_path("old.db");
    struct err err = {0};
    ok(migrate(path, shorter, &err), "an empty file becomes schema 1: %s", err.text);
    ok(access(scratch_path("old.db.schema0.bak"), F_OK) != 0, "nothing to copy then");
    ok(migrate(path, longer, &err), "schema 1 becomes schema 3: %s", err.text);
    is_int(scalar(path, "PRAGMA user_version"), 3, "and says so");
    is_int(scalar(path, "SELECT count(*) FROM migration"), 3, "three steps are on record");
    is_int(scalar(path, "SELECT count(*) FROM a"), 1, "each was done once");
    is_int(scalar(scratch_path("old.db.schema1.bak"), "PRAGMA user_version"), 1,
           "a copy of schema 1 was kept");
    ok(migrate(path, longer, &err), "migrating again does nothing");
    is_int(scalar(path, "SELECT count(*) FROM a"), 1, "indeed");
    ok(!migrate(path, broken, &err) || scalar(path, "PRAGMA user_version") == 3, "no way back");

    const char *bad = scratch_path("bad.db");
    migrate(bad, shorter, &err);
    err = (struct err){0};
    ok(!migrate(bad, broken, &err) && strstr(err.text, "migration 2"), "a step that fails: %s",
       err.text);
    is_int(scalar(bad, "PRAGMA user_version"), 1, "leaves the schema as it was");
    is_int(scalar(bad, "SELECT count(*) FROM sqlite_schema WHERE name = 'b'"), 0,
           "and half of nothing");
}

/* What a run stands on, in every schema. */
#define OLD_SESSION                                                                      \
    "INSERT INTO machine(id, fp, cpu, arch) VALUES (1, 'm', 'old CPU', 'x86_64');"       \
    "INSERT INTO environment(id, fp, machine_id) VALUES (1, 'e', 1);"                    \
    "INSERT INTO build(id, fp, tool_version) VALUES (1, 'b', '0');"                      \
    "INSERT INTO session(id, uuid, purpose, argv, env_id, build_id, started_ms) VALUES " \
    "(1, 's', 'run', 'bench', 1, 1, 5);"                                                 \
    "INSERT INTO benchmark(id, kind, name, variant) VALUES (1, 'train', 'lenet5', 'x');"

/* Runs written by schema 1, as they were, then brought forward. */
static void from_schema_1(void)
{
    const char *path = scratch_path("one.db");
    const struct migration first[] = {store_migrations[0], {0, NULL}};
    struct err err = {0};
    ok(migrate(path, first, &err), "a database of schema 1: %s", err.text);
    ok(execute(path, OLD_SESSION
               "INSERT INTO run(id, uuid, session_id, benchmark_id, started_ms, status, epochs) "
               "VALUES (1, 'r', 1, 1, 5, 'ok', 2);"
               "INSERT INTO value(run_id, metric_id, how, value) SELECT 1, id, 'median', 0.002 "
               "FROM metric WHERE name = 'step_s'"),
       "with a run in it");
    const int64_t before = scalar(path, "SELECT value * 1e9 FROM v_series");
    struct store *s = store_open(path, STORE_READ, &err);
    ok(!s && strstr(err.text, "bench db migrate"), "is not read as it is: %s", err.text);
    s = store_open(path, STORE_WRITE, &err);
    ok(s && store_schema(s) == STORE_SCHEMA, "opened for writing it becomes schema %d",
       STORE_SCHEMA);
    struct store_row row = {0};
    struct text said = {0};
    ok(s && store_row(s, 1, &row, &err), "its run is there: %s", err.text);
    ok(row.step_ms == 2 && !*row.tainted && row.steady == RUN_STEADY_UNKNOWN,
       "as it was; of taint and steadiness nothing is known");
    is_int(count_of(s, "lenet5", NULL, 0, true), 1, "it is still the newest of its kind");
    ok(s && store_check(s, &said, &err), "and sound: %s%s", text_str(&said), err.text);
    struct store_session *session = s ? store_session_begin(s, 0, NULL, &err) : NULL;
    ok(session && fill_disturbed_run(session), "new runs go in beside it");
    (void)store_session_end(session, 0, NULL);
    store_close(s);
    text_release(&said);
    is_int(scalar(path, "SELECT value * 1e9 FROM v_series WHERE run_id = 1"), before,
           "the same series of numbers before and after");
    is_int(scalar(scratch_path("one.db.schema1.bak"), "PRAGMA user_version"), 1,
           "a copy of the old file was kept");
}

/* Schema 2 had no place for what a network says. */
static void from_schema_2(void)
{
    const char *path = scratch_path("two-schemas.db");
    const struct migration first[] = {store_migrations[0], store_migrations[1], {0, NULL}};
    const struct run_sample plain = said_plain();
    const struct run_end end = {.status = RUN_OK};
    struct store_row row = {0};
    struct run_sample *said;
    struct err err = {0};
    ok(migrate(path, first, &err), "a database of schema 2: %s", err.text);
    struct store *s = store_open(path, STORE_READ, &err);
    ok(!s && strstr(err.text, "has schema 2, this program reads 3: `bench db migrate`"), "%s",
       err.text);
    ok(execute(path, OLD_SESSION
               "INSERT INTO run(id, uuid, session_id, benchmark_id, started_ms, status, tainted) "
               "VALUES (1, 'r', 1, 1, 5, 'ok', 'noise')"),
       "with a run in it");
    s = store_open(path, STORE_WRITE, &err);
    ok(s && store_schema(s) == 3, "becomes schema 3");
    ok(s && store_row(s, 1, &row, &err) && strcmp(row.tainted, "noise") == 0, "its run is there");
    is_int(store_samples(s, 1, &said, &err), 0, "and says nothing");
    store_samples_free(said, 0);
    struct store_session *session = store_session_begin(s, 0, NULL, &err);
    const struct run_spec spec = {.plugin = "lenet5", .variant = "x", .seed = 1};
    struct store_run *r = store_run_begin(session, &spec, NULL, &err);
    const int64_t id = store_run_id(r);
    ok(store_run_sample(r, &plain, &err) && store_run_end(r, &end, &err) &&
           store_samples(s, id, &said, &err) == 1 && said_same(&plain, said),
       "a new one does");
    store_samples_free(said, 1);
    (void)store_session_end(session, 0, NULL);
    store_close(s);
    is_int(scalar(scratch_path("two-schemas.db.schema2.bak"), "PRAGMA user_version"), 2,
           "a copy of the old file was kept");
}

int main(void)
{
    scratch_make();
    strangers();
    damage();
    read_only();
    migrations();
    from_schema_1();
    from_schema_2();
    return done();
}
