/* t_store.c — the database: what goes in comes out; several writers, kill -9.
 *
 *     t_store --fill 100000 FILE      makes a large database, for timing by hand */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stats/order.h"
#include "store_test.h"

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
    const char *path = scratch_path("deep/er/new.db");
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

static void counters_and_noise(void)
{
    const char *path = scratch_path("noise.db");
    struct store_session *session;
    struct store *s = open_new(path, &session);
    struct err err = {0};
    struct run_counter *c;
    struct store_row row = {0};
    struct store_fact *f;
    const int64_t id = fill_disturbed_run(session), calm = fill_run(session, 1, 1, false);
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
    const char *path = scratch_path("said.db");
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
    struct store *s = open_new(scratch_path("facts.db"), &session);
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
    is_int(scalar(scratch_path("facts.db"), "SELECT count(*) FROM machine"), 1,
           "one machine after two sessions");
    is_int(scalar(scratch_path("facts.db"), "SELECT count(*) FROM environment"), 1,
           "one environment");
    is_int(scalar(scratch_path("facts.db"), "SELECT count(*) FROM config"), 1, "one configuration");
}

static void before_the_worker(void)
{
    struct store_session *session;
    struct store *s = open_new(scratch_path("early.db"), &session);
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
    is_int(scalar(scratch_path("early.db"),
                  "SELECT count(*) FROM value v JOIN metric m ON m.id = "
                  "v.metric_id WHERE m.name NOT IN ('time_s', 'harness_s')"),
           0, "nor is anything stored for it");
    (void)store_session_end(session, 6, NULL);
    store_close(s);
}

/* ---- queries ------------------------------------------------------------------------ */

static void queries(void)
{
    struct store_session *session;
    struct store *s = open_new(scratch_path("queries.db"), &session);
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
    const char *path = scratch_path("large.db");
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
    const char *path = scratch_path("two.db");
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
    const char *path = scratch_path("killed.db");
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
    scratch_make();
    round_trip();
    counters_and_noise();
    sayings();
    facts();
    before_the_worker();
    queries();
    large();
    two_writers();
    killed();
    where();
    return done();
}
