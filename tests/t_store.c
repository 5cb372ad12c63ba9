/* t_store.c — the database: what goes in comes out, old and foreign files, two writers, kill -9.
 *
 *     t_store --fill 100000 FILE      makes a large database, for timing by hand */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fill.h"
#include "said.h"
#include "stats/order.h"
#include "store/migrations.h"
#include "tap.h"

static char folder[] = "/tmp/t_store.XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[4][256];
    static int next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static int64_t scalar(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *q = NULL;
    int64_t value = -1;
    sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL);
    sqlite3_busy_timeout(db, 5000);
    if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
        value = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(db);
    return value;
}

static bool execute(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_open(path, &db);
    const bool good = sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
    sqlite3_close(db);
    return good;
}

static struct store *open_new(const char *path, struct store_session **session)
{
    struct err err = {0};
    struct store *s = store_open(path, STORE_WRITE, &err);
    *session = s ? store_session_begin(s, 0, NULL, &err) : NULL;
    if (!*session) {
        printf("Bail out! %s\n", err.text);
        exit(1);
    }
    return s;
}

static double median_of(const struct store_step *steps, size_t n)
{
    double *ms = xcalloc(n, sizeof *ms);
    for (size_t i = 0; i < n; i++)
        ms[i] = steps[i].ms;
    order_sort(ms, n);
    const double median = order_median(ms, n);
    free(ms);
    return median;
}

/* ---- in and out ------------------------------------------------------------------ */

static void round_trip(void)
{
    const char *path = in_folder("deep/er/new.db");
    struct store_session *session;
    struct store *s = open_new(path, &session);
    struct err err = {0};
    const int64_t id = fill_run(session, 3, 5, true);
    struct store_row row;
    ok(id > 0, "a run is recorded in a new database in a new folder");
    ok(store_row(s, id, &row, &err), "and read back: %s", err.text);
    is_str(row.plugin, "lenet5", "plugin");
    is_str(row.variant, "modern", "variant");
    is_str(row.title, "LeNet-5", "title");
    is_str(row.status, "ok", "status");
    is_str(row.dataset, "fashion-mnist", "dataset");
    is_int(row.year, 1998, "year");
    is_int(row.epochs, 5, "epochs");
    is_near(row.params, 61706, 0, "parameters");
    is_near(row.last, fill_accuracy(&fill_nets[3], 5), 1e-12, "last accuracy");
    is_near(row.best, fill_accuracy(&fill_nets[3], 5) + 0.1, 1e-12, "best accuracy");
    is_near(row.step_ms, 3.1 * 1.0135, 1e-12, "step time");
    ok(isnan(row.published), "a published number that is not known is NAN");
    ok(row.profiled && !row.synthetic, "flags");

    struct store_point *points;
    struct run_layer *layers;
    struct store_step *steps;
    is_int(store_curve(s, id, &points, &err), 5, "five points of the curve");
    is_near(points[4].test, fill_accuracy(&fill_nets[3], 5), 1e-12,
            "the last is the last accuracy");
    is_near(points[4].test_loss / points[4].train_loss, 1 / 0.9, 1e-12, "losses of both splits");
    is_int(store_layers(s, id, &layers, &err), 14, "fourteen layers");
    is_str(layers[13].row, "output", "in their order");
    is_int(layers[13].pass, 1, "with their pass");
    is_int(store_steps(s, id, &steps, &err), 500, "500 raw step times");
    ok(steps[9].warm && !steps[10].warm && !steps[100].warm, "ten of them warm-up");
    ok(steps[250].ms >= 3.1 && steps[250].ms < 3.7, "a step takes what it took: %g ms",
       steps[250].ms);
    const double median = median_of(steps + 10, 490);
    free(points);
    free(layers);
    free(steps);
    ok(!store_row(s, id + 1, &row, &err) && err.status == EXIT_USAGE, "a run that is not there: %s",
       err.text);
    ok(store_session_end(session, 0, &err), "the session ends");
    store_close(s);
    is_int(scalar(path, "SELECT exit_code FROM session WHERE ended_ms >= started_ms"), 0,
           "with its exit status");
    char sql[160];
    snprintf(
        sql, sizeof sql,
        "SELECT lo <= %.9g AND hi >= %.9g AND lo < hi AND n = 490 FROM value WHERE lo IS NOT NULL",
        median * 1e-3, median * 1e-3);
    is_int(scalar(path, sql), 1,
           "the interval of the median holds the median of the 490 warm steps");
}

/* A run that was disturbed and counted. */
static int64_t disturbed_run(struct store_session *session)
{
    const struct run_spec spec = {.plugin = "mlp", .variant = "modern", .seed = 1};
    struct run_plan plan = fill_plan(&fill_nets[1], 1, 1);
    struct store_run *r = store_run_begin(session, &spec, NULL, NULL);
    const int64_t id = r ? store_run_id(r) : 0;
    const struct run_counter counters[] = {
        {"steps", -1, "energy package-0", "rapl", 84, "", -1, -1, 42},
        {"steps", -1, "energy package-0/dram", "rapl", 42, "", -1, -1, 42},
        {"steps", -1, "cycles", "perf", 4.2e9, "", 1000, 250, 42},
        {"steps", -1, "l2-misses", "papi", NAN, "this machine shows no PMU", -1, -1, 42},
        {"3 C1 conv2d forward", 3, "cycles", "perf", 1e9, "", 1000, 1000, 42},
    };
    const struct run_end end = {.status = RUN_OK,
                                .step_ms_median = 2,
                                .step_ms_mad = 0.1,
                                .step_ms_min = 1.9,
                                .samples_per_s = NAN,
                                .train_loss = NAN,
                                .steps = 50,
                                .tainted = "the neighbours had a party",
                                .steady = RUN_UNSTEADY,
                                .unsteady = "no steady state",
                                .noise = {.steps = 42,
                                          .wall_s = 2,
                                          .cpu_s = 3.5,
                                          .cpus = 2,
                                          .steal_s = 0.5,
                                          .foreign_s = NAN,
                                          .freq_min_hz = NAN,
                                          .freq_max_hz = NAN,
                                          .switches = 7,
                                          .throttles = -1}};
    bool good = id && store_run_plan(r, &plan, NULL);
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        good = good && store_run_counter(r, &counters[i], NULL);
    return good && store_run_end(r, &end, NULL) ? id : 0;
}

static void counters_and_noise(void)
{
    const char *path = in_folder("noise.db");
    struct store_session *session;
    struct store *s = open_new(path, &session);
    struct err err = {0};
    struct run_counter *c;
    struct store_row row = {0};
    struct store_fact *f;
    const int64_t id = disturbed_run(session), calm = fill_run(session, 1, 1, false);
    ok(id && store_row(s, id, &row, &err), "a disturbed run is recorded: %s", err.text);
    is_str(row.status, "ok", "it keeps its status");
    is_str(row.tainted, "the neighbours had a party", "and tells why it is tainted");
    is_int(row.steady, RUN_UNSTEADY, "it was not steady");
    is_str(row.unsteady, "no steady state", "which it says too");
    is_int(store_counters(s, id, &c, &err), 5, "five counters come back");
    is_str(c[0].event, "l2-misses", "totals first, by source");
    ok(isnan(c[0].value) && c[0].enabled_ns == -1, "not counted is NAN, not 0");
    is_str(c[0].reason, "this machine shows no PMU", "with the reason");
    ok(c[1].value == 4.2e9 && c[1].running_ns == 250, "a multiplexed one keeps its times");
    is_int(c[4].layer, 3, "ops come last");
    is_str(c[4].region, "3 C1 conv2d forward", "with their region");
    free(c);
    const int n = store_facts(s, id, &f, &err);
    is_str(store_fact(f, n, "noise", "stolen"), "12.50 % of 2 CPUs", "a fact for people");
    is_str(store_fact(f, n, "noise", "throttles"), "", "what is unknown is no fact");
    ok(strstr(store_fact(f, n, "trust", "disturbance"), "party"), "the taint is one");
    store_facts_free(f, n);
    ok(store_row(s, calm, &row, &err) && !*row.tainted && row.steady == RUN_STEADY_UNKNOWN,
       "a run that tells nothing is neither");
    (void)store_session_end(session, 0, NULL);
    store_close(s);
    is_int(scalar(path, "SELECT count(*) FROM ledger"), 1, "and has no ledger");
    is_int(scalar(path,
                  "SELECT value = 3 FROM value v JOIN metric m ON m.id = v.metric_id WHERE "
                  "m.name = 'energy_step_j'"),
           1, "energy of a step: package and memory");
    ok(!execute(path,
                "INSERT INTO counter(run_id, region, event, source, steps) VALUES (1, 'x', "
                "'y', 'perf', 1)"),
       "neither value nor reason is refused");
    ok(execute(path, "PRAGMA foreign_keys = ON; DELETE FROM run"), "runs can be removed");
    is_int(scalar(path, "SELECT (SELECT count(*) FROM ledger) + (SELECT count(*) FROM counter)"), 0,
           "and take their ledger and counters with them");
}

static void sayings(void)
{
    const char *path = in_folder("said.db");
    struct store_session *session;
    struct store *s = open_new(path, &session);
    const struct run_spec spec = {.plugin = "lenet5", .variant = "modern", .seed = 1};
    const struct run_sample said[] = {said_plain(), said_hostile(), said_alone(), {0}};
    const int n = sizeof said / sizeof *said;
    const struct run_end end = {.status = RUN_OK};
    struct run_sample *back;
    struct err err = {0};
    struct store_run *r = store_run_begin(session, &spec, NULL, &err);
    const int64_t id = store_run_id(r), silent = fill_run(session, 0, 1, false);
    bool good = true;
    for (int i = 0; good && i < n; i++)
        good = store_run_sample(r, &said[i], &err);
    good = store_run_end(r, &end, &err) && good;
    ok(good, "what a network says is recorded: %s", err.text);
    is_int(store_samples(s, id, &back, &err), n, "and comes back");
    for (int i = 0; i < n; i++)
        ok(said_same(&said[i], &back[i]), "as it was said, number %d", i);
    store_samples_free(back, n);
    is_int(store_samples(s, silent, &back, &err), 0, "a run that says nothing");
    store_samples_free(back, 0);
    (void)store_session_end(session, 0, NULL);
    struct text counted = {0};
    ok(store_check(s, &counted, &err) && store_vacuum(s, &err), "checked and vacuumed: %s",
       err.text);
    text_release(&counted);
    is_int(store_samples(s, id, &back, &err), n, "it is still there");
    store_samples_free(back, n);
    ok(execute(path, "UPDATE said SET source_tokens = '[1]', attention = NULL WHERE ix = 1"),
       "somebody tampers with it");
    ok(store_samples(s, id, &back, &err) < 0 && strstr(err.text, "damaged"), "%s", err.text);
    store_close(s);
    is_int(scalar(path, "SELECT count(*) FROM said WHERE source IS NULL AND output LIKE 'Once%'"),
           1, "a text that is not there is NULL");
    ok(!execute(path, "UPDATE said SET attention = x'00' WHERE ix = 0") &&
           !execute(path, "UPDATE said SET output_tokens = 'x' WHERE ix = 0"),
       "weights that do not fit the tokens are refused, and tokens that are no list");
    ok(execute(path, "PRAGMA foreign_keys = ON; DELETE FROM session"), "sessions can be removed");
    is_int(scalar(path, "SELECT count(*) FROM said"), 0, "with all that was said in them");
}

static void facts(void)
{
    struct store_session *session;
    struct store *s = open_new(in_folder("facts.db"), &session);
    struct store_fact *f;
    const int64_t id = fill_run(session, 2, 1, false);
    const int n = store_facts(s, id, &f, NULL);
    ok(n > 30, "%d facts about a run", n);
    ok(*store_fact(f, n, "machine", "cpu") && *store_fact(f, n, "machine", "memory"), "machine: %s",
       store_fact(f, n, "machine", "cpu"));
    ok(*store_fact(f, n, "environment", "kernel"), "kernel: %s",
       store_fact(f, n, "environment", "kernel"));
    ok(*store_fact(f, n, "build", "compiler"), "compiler: %s",
       store_fact(f, n, "build", "compiler"));
    ok(strstr(store_fact(f, n, "run", "command"), "t_store"), "command: %s",
       store_fact(f, n, "run", "command"));
    is_str(store_fact(f, n, "config", "settings"), "{\"batch\":128,\"epochs\":1}", "settings");
    store_facts_free(f, n);
    (void)store_session_end(session, 0, NULL);
    struct store_session *again = store_session_begin(s, 0, NULL, NULL);
    (void)fill_run(again, 2, 1, false);
    (void)store_session_end(again, 0, NULL);
    store_close(s);
    is_int(scalar(in_folder("facts.db"), "SELECT count(*) FROM machine"), 1,
           "one machine after two sessions");
    is_int(scalar(in_folder("facts.db"), "SELECT count(*) FROM environment"), 1, "one environment");
    is_int(scalar(in_folder("facts.db"), "SELECT count(*) FROM config"), 1, "one configuration");
}

static void before_the_worker(void)
{
    struct store_session *session;
    struct store *s = open_new(in_folder("early.db"), &session);
    const struct run_spec spec = {.plugin = "gone", .seed = 1};
    struct store_row row;
    struct err err = {0};
    struct store_run *r = store_run_begin(session, &spec, NULL, &err);
    ok(r && store_row(s, store_run_id(r), &row, &err),
       "a run is there before its worker says a word");
    is_str(row.status, "failed", "it counts as failed");
    is_str(row.reason, "started", "because it has only started");
    const struct run_end end = {.status = RUN_TIMEOUT,
                                .reason = "silent for 300 s",
                                .step_ms_median = NAN,
                                .step_ms_mad = NAN,
                                .samples_per_s = NAN,
                                .train_loss = NAN,
                                .signal = 9};
    const int64_t id = store_run_id(r);
    ok(store_run_end(r, &end, &err), "a worker that never spoke ends all the same");
    ok(store_row(s, id, &row, &err), "and can be read");
    is_str(row.status, "timeout", "with its status");
    ok(isnan(row.step_ms) && isnan(row.last) && isnan(row.params),
       "what was not measured is unknown, not 0");
    is_int(scalar(in_folder("early.db"),
                  "SELECT count(*) FROM value v JOIN metric m ON m.id = "
                  "v.metric_id WHERE m.name NOT IN ('time_s', 'harness_s')"),
           0, "nor is anything stored for it");
    (void)store_session_end(session, 6, NULL);
    store_close(s);
}

/* ---- queries ------------------------------------------------------------------------ */

static int count_of(struct store *s, const char *selector, const char *second, int last,
                    bool newest)
{
    const char *selectors[] = {selector, second};
    struct store_row *rows;
    const struct store_query q = {selectors, !!selector + !!second, last, newest, false};
    const int n = store_rows(s, &q, &rows, NULL);
    free(rows);
    return n;
}

static void queries(void)
{
    struct store_session *session;
    struct store *s = open_new(in_folder("queries.db"), &session);
    for (int i = 0; i < 40; i++)
        (void)fill_run(session, i, 1, false);
    is_int(count_of(s, NULL, NULL, 0, false), 40, "all runs");
    is_int(count_of(s, NULL, NULL, 7, false), 7, "the last 7");
    is_int(count_of(s, "lenet5", NULL, 0, false), 20, "a plugin, both variants");
    is_int(count_of(s, "lenet5:modern", NULL, 0, false), 10, "a variant");
    is_int(count_of(s, "le*:m*", "mlp", 0, false), 20, "patterns, two selectors");
    is_int(count_of(s, "17", NULL, 0, false), 1, "a number");
    is_int(count_of(s, "17", "17", 0, false), 1, "a number twice is one run");
    is_int(count_of(s, "nothing", NULL, 0, false), 0, "nothing");
    is_int(count_of(s, "x'); DROP TABLE run; --", NULL, 0, false), 0,
           "SQL in a selector is a name");
    is_int(count_of(s, NULL, NULL, 0, true), 4, "the newest of each");
    is_int(count_of(s, "3", "mlp", 0, true), 2, "the newest of each, and a number");
    struct store_row *rows;
    const struct store_query q = {.newest = true};
    is_int(store_rows(s, &q, &rows, NULL), 4, "newest of each");
    ok(rows[0].year == 1968 && rows[3].year == 1998, "by year");
    is_int(rows[2].id, 36, "run 40 failed, so 36 is the newest of lenet5:modern");
    free(rows);
    (void)store_session_end(session, 0, NULL);
    store_close(s);
}

/* Many runs, by copying the rows of four: what a query costs must not grow with the database. */
static void large(void)
{
    const char *path = in_folder("large.db");
    struct store_session *session;
    struct store *s = open_new(path, &session);
    for (int i = 0; i < 4; i++)
        (void)fill_run(session, i, 1, false);
    (void)store_session_end(session, 0, NULL);
    store_close(s);
    ok(execute(path,
               "BEGIN; INSERT INTO run(uuid, session_id, benchmark_id, plugin_id, dataset_id, "
               "config_id, metric_id, "
               "started_ms, status) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
               "WHERE i < 10000) "
               "SELECT uuid || i, session_id, benchmark_id, plugin_id, dataset_id, config_id, "
               "metric_id, started_ms, "
               "status FROM run, n; "
               "INSERT INTO value(run_id, metric_id, how, value) SELECT r.id, v.metric_id, v.how, "
               "v.value FROM run r "
               "JOIN value v ON v.run_id = 1 + (r.id - 5) / 10000 WHERE r.id > 4; COMMIT"),
       "40 000 runs");
    s = store_open(path, STORE_READ, NULL);
    const int64_t start = clock_ns();
    is_int(count_of(s, NULL, NULL, 20, false), 20, "the newest 20 of them");
    is_int(count_of(s, "mlp", "lenet5:modern", 20, false), 20, "of two networks");
    is_int(count_of(s, NULL, NULL, 0, true), 4, "the newest of each");
    const double ms = (double)(clock_ns() - start) * 1e-6;
    ok(ms < 500, "all three in %.0f ms, wanted below 500", ms);
    store_close(s);
}

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
    refuses(in_folder("none.db"), STORE_READ, "no database", "a file that is not there");
    ok(access(in_folder("none.db"), F_OK) != 0, "reading makes no file");

    execute(in_folder("foreign.db"), "CREATE TABLE t(x); PRAGMA application_id = 7");
    refuses(in_folder("foreign.db"), STORE_WRITE, "another program", "a foreign database");
    execute(in_folder("unmarked.db"), "CREATE TABLE t(x)");
    refuses(in_folder("unmarked.db"), STORE_WRITE, "another program", "a database without a mark");

    FILE *f = fopen(in_folder("text.db"), "w");
    for (int i = 0; i < 200; i++)
        fputs("this is no database\n", f);
    fclose(f);
    refuses(in_folder("text.db"), STORE_WRITE, "not a database", "a text file");
    refuses(folder, STORE_WRITE, "", "a folder");
    refuses("/proc/none/bench.db", STORE_WRITE, "cannot create folder",
            "a folder that cannot be made");

    struct store *s = open_new(in_folder("newer.db"), &session);
    (void)fill_run(session, 1, 1, false);
    (void)store_session_end(session, 0, NULL);
    store_close(s);
    execute(in_folder("newer.db"), "PRAGMA user_version = 99");
    refuses(in_folder("newer.db"), STORE_WRITE, "newer", "writing to a newer schema");
    s = store_open(in_folder("newer.db"), STORE_READ, &err);
    ok(s && store_note(s) && strstr(store_note(s), "newer"),
       "a newer schema is read, with a note: %s", s ? store_note(s) : err.text);
    is_int(s ? count_of(s, NULL, NULL, 0, false) : -1, 1, "and its runs are shown");
    store_close(s);
}

static void damage(void)
{
    struct store_session *session;
    const char *path = in_folder("damaged.db");
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
    const char *path = in_folder("old.db");
    struct err err = {0};
    ok(migrate(path, shorter, &err), "an empty file becomes schema 1: %s", err.text);
    ok(access(in_folder("old.db.schema0.bak"), F_OK) != 0, "nothing to copy then");
    ok(migrate(path, longer, &err), "schema 1 becomes schema 3: %s", err.text);
    is_int(scalar(path, "PRAGMA user_version"), 3, "and says so");
    is_int(scalar(path, "SELECT count(*) FROM migration"), 3, "three steps are on record");
    is_int(scalar(path, "SELECT count(*) FROM a"), 1, "each was done once");
    is_int(scalar(in_folder("old.db.schema1.bak"), "PRAGMA user_version"), 1,
           "a copy of schema 1 was kept");
    ok(migrate(path, longer, &err), "migrating again does nothing");
    is_int(scalar(path, "SELECT count(*) FROM a"), 1, "indeed");
    ok(!migrate(path, broken, &err) || scalar(path, "PRAGMA user_version") == 3, "no way back");

    const char *bad = in_folder("bad.db");
    migrate(bad, shorter, &err);
    err = (struct err){0};
    ok(!migrate(bad, broken, &err) && strstr(err.text, "migration 2"), "a step that fails: %s",
       err.text);
    is_int(scalar(bad, "PRAGMA user_version"), 1, "leaves the schema as it was");
    is_int(scalar(bad, "SELECT count(*) FROM sqlite_schema WHERE name = 'b'"), 0,
           "and half of nothing");
}

/* Runs written by schema 1, as they were, then brought forward. */
static void from_schema_1(void)
{
    const char *path = in_folder("one.db");
    const struct migration first[] = {store_migrations[0], {0, NULL}};
    struct err err = {0};
    ok(migrate(path, first, &err), "a database of schema 1: %s", err.text);
    ok(execute(path,
               "INSERT INTO machine(id, fp, cpu, arch) VALUES (1, 'm', 'old CPU', 'x86_64');"
               "INSERT INTO environment(id, fp, machine_id) VALUES (1, 'e', 1);"
               "INSERT INTO build(id, fp, tool_version) VALUES (1, 'b', '0');"
               "INSERT INTO session(id, uuid, purpose, argv, env_id, build_id, started_ms) VALUES "
               "(1, 's', 'run', 'bench', 1, 1, 5);"
               "INSERT INTO benchmark(id, kind, name, variant) VALUES (1, 'train', 'lenet5', 'x');"
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
    ok(session && disturbed_run(session), "new runs go in beside it");
    (void)store_session_end(session, 0, NULL);
    store_close(s);
    text_release(&said);
    is_int(scalar(path, "SELECT value * 1e9 FROM v_series WHERE run_id = 1"), before,
           "the same series of numbers before and after");
    is_int(scalar(in_folder("one.db.schema1.bak"), "PRAGMA user_version"), 1,
           "a copy of the old file was kept");
}

/* Schema 2 had no place for what a network says. */
static void from_schema_2(void)
{
    const char *path = in_folder("two-schemas.db");
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
    ok(execute(path,
               "INSERT INTO machine(id, fp, cpu, arch) VALUES (1, 'm', 'old CPU', 'x86_64');"
               "INSERT INTO environment(id, fp, machine_id) VALUES (1, 'e', 1);"
               "INSERT INTO build(id, fp, tool_version) VALUES (1, 'b', '0');"
               "INSERT INTO session(id, uuid, purpose, argv, env_id, build_id, started_ms) VALUES "
               "(1, 's', 'run', 'bench', 1, 1, 5);"
               "INSERT INTO benchmark(id, kind, name, variant) VALUES (1, 'train', 'lenet5', 'x');"
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
    is_int(scalar(in_folder("two-schemas.db.schema2.bak"), "PRAGMA user_version"), 2,
           "a copy of the old file was kept");
}

/* ---- several processes ---------------------------------------------------------------------- */

static pid_t start_writer(const char *path, int first, int runs)
{
    fflush(stdout);
    const pid_t pid = fork();
    if (pid)
        return pid;
    struct err err = {0};
    struct store *s = store_open(path, STORE_WRITE, &err);
    struct store_session *session = s ? store_session_begin(s, 0, NULL, &err) : NULL;
    bool good = session != NULL;
    if (!good) {
        printf("# writer %d: %s\n", first, err.text);
        fflush(stdout);
    }
    for (int i = first; good && i < first + runs; i++)
        good = fill_run(session, i, 3, true) > 0;
    good = good && store_session_end(session, 0, NULL);
    store_close(s);
    _exit(good ? 0 : 1);
}

static void two_writers(void)
{
    const char *path = in_folder("two.db");
    int status[3];
    pid_t pid[3];
    for (int i = 0; i < 3; i++) /* they also meet while making the file */
        pid[i] = start_writer(path, 100 * i, 40);
    for (int i = 0; i < 3; i++)
        waitpid(pid[i], &status[i], 0);
    ok(!status[0] && !status[1] && !status[2], "three processes write to one new database at once");
    is_int(scalar(path, "SELECT count(*) FROM run WHERE steps IS NOT NULL"), 120,
           "every run is there");
    is_int(scalar(path, "SELECT count(*) FROM migration"), STORE_SCHEMA,
           "the schema was made once");
}

static void killed(void)
{
    const char *path = in_folder("killed.db");
    struct rng rng = rng_make(5, 0);
    static const char count[] = "SELECT count(*) FROM run";
    int unsound = 0, rounds = 12;
    /* On a busy machine a writer may not have come far: then there are more, and longer, rounds. */
    for (int i = 0; i < rounds || (i < 4 * rounds && scalar(path, count) <= rounds); i++) {
        const pid_t pid = start_writer(path, 0, 1 << 20);
        usleep((useconds_t)(10000 + 10000 * i) + rng_below(&rng, 20000));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        struct err err = {0};
        struct text said = {0};
        struct store *s = store_open(path, STORE_WRITE, &err);
        if (!s || !store_check(s, &said, &err)) {
            unsound++;
            printf("# round %d: %s\n", i, err.text);
        }
        text_release(&said);
        store_close(s);
    }
    is_int(unsound, 0, "sound after each of %d kills at random moments", rounds);
    ok(scalar(path, count) > rounds, "with %d runs in it", (int)scalar(path, count));
    is_int(scalar(path,
                  "SELECT count(*) FROM run r WHERE steps IS NOT NULL AND status = 'ok' AND "
                  "(SELECT count(*) FROM epoch WHERE run_id = r.id) <> 3"),
           0, "every run that ended has all its epochs");
}

static void read_only(void)
{
    if (geteuid() == 0) {
        skip("root may write anywhere");
        return;
    }
    struct err err = {0};
    chmod(in_folder("queries.db"), 0444);
    refuses(in_folder("queries.db"), STORE_WRITE, "cannot write", "a read-only file");
    chmod(folder, 0555);
    refuses(in_folder("x.db"), STORE_WRITE, "", "a read-only folder");
    struct store *s = store_open(in_folder("queries.db"), STORE_READ, &err);
    ok(s && count_of(s, NULL, NULL, 0, false) == 40, "but it can be read: %s", err.text);
    store_close(s);
    chmod(folder, 0755);
}

static void where(void)
{
    setenv("BENCH_DB", "/some/where.db", 1);
    char *path = store_default_path();
    is_str(path, "/some/where.db", "$BENCH_DB names the database");
    free(path);
    unsetenv("BENCH_DB");
}

static int fill(int runs, const char *path)
{
    struct store_session *session;
    struct store *s = open_new(path, &session);
    const int64_t start = clock_ns();
    int failed = 0;
    for (int i = 0; i < runs; i++)
        failed += fill_run(session, i, 3, i % 50 == 0) == 0;
    (void)store_session_end(session, 0, NULL);
    store_close(s);
    printf("%d runs in %.1f s, %d failed\n", runs, (double)(clock_ns() - start) * 1e-9, failed);
    return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--fill") == 0)
        return fill(atoi(argv[2]), argv[3]);
    if (!mkdtemp(folder))
        return 1;
    round_trip();
    counters_and_noise();
    sayings();
    facts();
    before_the_worker();
    queries();
    large();
    strangers();
    damage();
    migrations();
    from_schema_1();
    from_schema_2();
    two_writers();
    killed();
    read_only();
    where();
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command) != 0)
        printf("# could not remove %s\n", folder);
    return done();
}
