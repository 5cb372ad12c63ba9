/* cmd_kernels.c — bench kernels [GLOB]: every kernel at the sizes that networks ask for: time,
 * rate, share of the roof, and distance from the truth, beside other libraries if asked. */
#define _GNU_SOURCE
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/text.h"
#include "cli/cli.h"
#include "perf/bench_kernel.h"
#include "perf/bench_kernel_json.h"
#include "perf/peak.h"
#include "report/format.h"
#include "report/table.h"
#include "store/store_kernel.h"

static struct {
    const char *isa, *vs, *timer, *cold, *google_file;
    int threads, repeats;
    bool quick, no_record;
} asked = {.timer = "auto", .cold = "l3"};

/* clang-format off */
static const struct option options[] = {
    {"quick", 0, OPT_FLAG, &asked.quick, NULL, "shorter samples, and no case larger than the caches: below a minute", 0, 0},
    {"threads", 't', OPT_INT, &asked.threads, "N", "products and convolutions with one thread and N (all cores)", 1, 256},
    {"isa", 0, OPT_STRING, &asked.isa, "LIST", "avx512,avx2,scalar … or all (best)", 0, 0},
    {"repeats", 0, OPT_INT, &asked.repeats, "N", "samples of each time (11; quick 5)", 1, TIMER_SAMPLES},
    {"cold", 0, OPT_STRING, &asked.cold, "WHERE", "where cold operands lie: l3, as in a training step, or memory (l3)", 0, 0},
    {"vs", 0, OPT_STRING, &asked.vs, "LIST", "matrix products of openblas,blis,onednn or all beside ours", 0, 0},
    {"timer", 0, OPT_STRING, &asked.timer, "WHICH", "google, own or auto: Google Benchmark where it is (auto)", 0, 0},
    {"gbench-json", 0, OPT_STRING, &asked.google_file, "FILE", "results as Google Benchmark writes them, for its compare.py", 0, 0},
    {"no-record", 0, OPT_FLAG, &asked.no_record, NULL, "leave the database alone", 0, 0},
    {0},
};
/* clang-format on */

enum { MOST_ISAS = 8 };

/* Everything that one call gathers. */
struct bench_run {
    struct bench_timer timer;
    struct bench_setting set;
    const char *glob, *isa[MOST_ISAS];
    int isas, threads, results, failed;
    struct bench_result *result;
    struct store *store;
    struct store_session *session;
    json_t *google;
};

/* ---- what to do -------------------------------------------------------------------------- */

static bool add_isa(struct bench_run *run, const char *name, struct err *err)
{
    if (!kn_init(name, err))
        return false;
    if (run->isas == MOST_ISAS)
        return err_status(err, EXIT_USAGE, "--isa: more than %d names", MOST_ISAS);
    run->isa[run->isas++] = kn->isa;
    return true;
}

static bool choose_isas(struct bench_run *run, struct err *err)
{
    const char *list = asked.isa;
    if (!list)
        return add_isa(run, NULL, err);
    if (strcmp(list, "all") == 0) {
        for (int i = 0; kn_tables[i]; i++)
            if (kn_runs_here(kn_tables[i]) && !add_isa(run, kn_tables[i]->isa, err))
                return false;
        return true;
    }
    do {
        const size_t length = strcspn(list, ",");
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)length, list);
        if (!add_isa(run, name, err))
            return false;
        list += length + (list[length] == ',');
    } while (*list);
    return true;
}

/* A case of the sweep: with how many threads it is measured, 0 after the last. */
static int thread_count(const struct bench_run *run, const struct kernel_case *c, int i)
{
    if (i == 0)
        return 1;
    return i == 1 && kernel_calls[c->kernel]->crew && run->threads > 1 ? run->threads : 0;
}

static bool is_wanted(const struct bench_run *run, const struct kernel_case *c, int threads)
{
    return case_matches(c, threads, run->glob) && !(asked.quick && c->seen == CASE_LARGE);
}

static int count_wanted(const struct bench_run *run)
{
    int n = 0;
    for (int k = 0; k < kernel_cases_count; k++)
        for (int i = 0, t; (t = thread_count(run, &kernel_cases[k], i)); i++)
            n += is_wanted(run, &kernel_cases[k], t);
    return n;
}

static bool check_glob(const struct bench_run *run, struct err *err)
{
    const char *names[KERNELS + 1] = {0};
    bool larger = false;
    if (count_wanted(run))
        return true;
    for (int k = 0; k < kernel_cases_count; k++)
        larger |= case_matches(&kernel_cases[k], 1, run->glob);
    if (larger)
        return err_status(err, EXIT_USAGE,
                          "kernels: with --quick no case of '%s' is left; all are larger than the "
                          "caches",
                          run->glob);
    memcpy(names, kernel_names, sizeof kernel_names);
    const char *const near = text_nearest(run->glob, names);
    return err_status(err, EXIT_USAGE, "kernels: no case matches '%s'%s%s%s", run->glob,
                      near ? "; did you mean '" : " (kernels.def has the names)", near ? near : "",
                      near ? "'?" : "");
}

static bool settle(struct bench_run *run, int argc, char **argv, struct err *err)
{
    run->glob = argc > 1 ? argv[1] : "*";
    if (argc > 2)
        return err_status(err, EXIT_USAGE, "kernels: expected one pattern, found '%s' too",
                          argv[2]);
    const bool memory = strcmp(asked.cold, "memory") == 0;
    if (!memory && strcmp(asked.cold, "l3") != 0)
        return err_status(err, EXIT_USAGE, "--cold: expected l3 or memory, found '%s'", asked.cold);
    run->threads = asked.threads ? asked.threads : crew_cores();
    run->set = (struct bench_setting){.timer = &run->timer,
                                      .min_s = asked.quick ? 0.004 : 0.02,
                                      .repeats = asked.repeats ? asked.repeats
                                                 : asked.quick ? 5
                                                               : 11,
                                      .from_memory = memory};
    return timer_open(&run->timer, asked.timer, err) && choose_isas(run, err) &&
           check_glob(run, err) && (!asked.vs || peers_load(asked.vs, err));
}

/* ---- recording ----------------------------------------------------------------------------- */

static struct store_kernel_value value_of(const char *metric, const char *unit, const char *about,
                                          int better, const char *how, double value)
{
    return (struct store_kernel_value){metric, unit, about, better, how, value,
                                       0,      NAN,  NAN,   NAN,    NAN};
}

static int add_temperature(const struct bench_result *r, int t, struct store_kernel_value *v)
{
    const struct bench_temperature *at = &r->at[t];
    const char *const how = bench_temperature_name[t];
    const bool operations = isfinite(r->flops);
    v[0] = (struct store_kernel_value){"kernel_s",  "s",           "one call of a kernel",
                                       -1,          how,           at->time.median,
                                       at->time.n,  at->time.mad,  at->time.lo,
                                       at->time.hi, at->time.least};
    v[1] = operations ? value_of("kernel_flops_rate", "1/s", "operations a second of a kernel", 1,
                                 how, at->rate)
                      : value_of("kernel_bytes_rate", "B/s", "operands' bytes a second of a kernel",
                                 1, how, at->rate);
    v[2] = value_of("kernel_roof_share", "1", "of the roofline's bound", 1, how, at->share);
    int n = 3;
    for (int p = 0; p < PEERS; p++) {
        static char hows[PEERS][BENCH_TEMPERATURES][32];
        snprintf(hows[p][t], sizeof hows[p][t], "%s %s", how, peer_names[p]);
        v[n++] = value_of("peer_s", "s", "the same product by another library", -1, hows[p][t],
                          r->peer_s[p][t]);
    }
    return n;
}

static bool record(struct bench_run *run, const struct bench_result *r, int64_t started_ms,
                   struct err *err)
{
    char variant[CASE_TEXT], reason[128] = "";
    struct store_kernel_value v[16];
    struct text config = {0};
    if (!run->session)
        return true;
    int n = add_temperature(r, BENCH_HOT, v);
    n += add_temperature(r, BENCH_COLD, v + n);
    v[n++] = value_of("kernel_flops", "1", "operations of one call", 0, "plan", r->flops);
    v[n++] = value_of("kernel_bytes", "B", "bytes of one call's operands", 0, "plan", r->bytes);
    v[n++] = value_of("kernel_residual", "1", "largest error over largest value, against double",
                      -1, "max", r->residual);
    if (r->failed)
        snprintf(reason, sizeof reason, "error %.3g times its bound", r->of_bound);
    text_add(&config, "{");
    case_json(r->c, &config);
    text_add(&config, ",\"form\":\"%s\",\"isa\":\"%s\",\"threads\":%d,\"cold\":\"%s\"}", r->c->form,
             r->isa, r->threads, asked.cold);
    const struct store_kernel k = {.kernel = kernel_names[r->c->kernel],
                                   .variant = case_variant(r->c, variant),
                                   .config = text_str(&config),
                                   .isa = r->isa,
                                   .threads = r->threads,
                                   .started_ms = started_ms,
                                   .failed = r->failed,
                                   .reason = reason,
                                   .value = v,
                                   .values = n};
    const bool good = store_kernel(run->session, &k, err);
    text_release(&config);
    return good;
}

/* ---- measuring ---------------------------------------------------------------------------------
 */

static void progress(const struct bench_run *run, int all, const struct kernel_case *c, int threads)
{
    char name[CASE_TEXT];
    if (!global.quiet && isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K%d/%d %s %s", run->results + 1, all, kn->isa,
                case_name(c, threads, name));
}

static bool measure_one(struct bench_run *run, const struct kernel_case *c, int threads,
                        struct err *err)
{
    struct bench_result *r = &run->result[run->results++];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const int64_t started_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    bench_kernel(c, threads, &run->set, r);
    run->failed += r->failed;
    if (run->google)
        bench_google_add(run->google, r);
    return record(run, r, started_ms, err);
}

static bool measure_all(struct bench_run *run, struct err *err)
{
    const int all = count_wanted(run) * run->isas;
    run->result = xcalloc((size_t)all, sizeof *run->result);
    for (int s = 0; s < run->isas; s++) {
        if (!kn_init(run->isa[s], err))
            return false;
        for (int k = 0; k < kernel_cases_count; k++)
            for (int i = 0, t; (t = thread_count(run, &kernel_cases[k], i)); i++) {
                if (!is_wanted(run, &kernel_cases[k], t))
                    continue;
                progress(run, all, &kernel_cases[k], t);
                if (!measure_one(run, &kernel_cases[k], t, err))
                    return false;
            }
    }
    if (!global.quiet && isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
    return true;
}

/* ---- showing ---------------------------------------------------------------- */

/* clang-format off */
static const struct table_column columns[] = {
    {"case", false, 0}, {"ISA", false, 2}, {"threads", true, 3}, {"hot", true, 0}, {"cold", true, 0},
    {"rate hot", true, 1}, {"cold", true, 1}, {"", false, 1}, {"roof hot", true, 2}, {"cold", true, 2},
    {"residual", true, 1},
};
/* clang-format on */
enum { COLUMNS = sizeof columns / sizeof *columns };

static void percent_cell(struct table *t, double share)
{
    char b[FORMAT_TEXT];
    if (isfinite(share))
        table_cell(t, "%s %%", format_fixed(100 * share, share < 0.0995 ? 1 : 0, b));
    else
        table_cell(t, "–");
}

static void rate_cell(struct table *t, double rate)
{
    char b[FORMAT_TEXT];
    table_cell(t, "%s", isfinite(rate) ? format_digits(rate * 1e-9, 3, b) : "–");
}

static void residual_cell(struct table *t, const struct bench_result *r)
{
    if (r->failed) {
        table_cell(t, "%.1e FAILED", r->residual);
        table_tone(t, TONE_BAD);
    } else if (isfinite(r->residual)) {
        table_cell(t, r->residual == 0 ? "0" : "%.1e", r->residual);
    } else {
        table_cell(t, "–");
    }
}

static void row(struct table *t, const struct bench_result *r, const int peer[], int peers)
{
    char b[FORMAT_TEXT], variant[CASE_TEXT];
    table_cell(t, "%s/%s", kernel_names[r->c->kernel], case_variant(r->c, variant));
    table_cell(t, "%s", r->isa);
    table_cell(t, "%d", r->threads);
    for (int i = 0; i < BENCH_TEMPERATURES; i++)
        table_cell(t, "%s", format_seconds(r->at[i].time.median, b));
    for (int i = 0; i < BENCH_TEMPERATURES; i++)
        rate_cell(t, r->at[i].rate);
    table_cell(t, "%s", bench_unit(r));
    for (int i = 0; i < BENCH_TEMPERATURES; i++)
        percent_cell(t, r->at[i].share);
    residual_cell(t, r);
    for (int i = 0; i < peers; i++) {
        const double theirs = r->peer_s[peer[i]][BENCH_COLD];
        table_cell(t, "%s", format_seconds(theirs, b));
        table_cell(t, "%s", format_fixed(theirs / r->at[BENCH_COLD].time.median, 2, b));
    }
}

static void show(const struct bench_run *run)
{
    struct table_column all[COLUMNS + 2 * PEERS];
    int peer[PEERS], peers = 0;
    memcpy(all, columns, sizeof columns);
    for (int p = 0; p < PEERS; p++)
        if (peer_wanted(p)) {
            all[COLUMNS + 2 * peers] = (struct table_column){peer_names[p], true, 0};
            all[COLUMNS + 2 * peers + 1] = (struct table_column){"× ours", true, 0};
            peer[peers++] = p;
        }
    struct table *t = table_new(all, COLUMNS + 2 * peers);
    for (int i = 0; i < run->results; i++)
        row(t, &run->result[i], peer, peers);
    table_text(t, stdout, table_width(stdout), cli_color(stdout));
    table_free(t);
    if (global.quiet)
        return;
    fflush(stdout);
    fprintf(stderr, "timer: %s; medians of %d; cold: operands in %s\n", run->timer.said,
            run->set.repeats, run->set.from_memory ? "memory" : "L3");
    for (int i = 0; i < peers; i++)
        if (!peer_there(peer[i]))
            fprintf(stderr, "%s\n", peer_missing(peer[i]));
    if (peers)
        fprintf(stderr, "other libraries: cold times, and above 1 ours is the faster\n");
}

static void show_json(const struct bench_run *run)
{
    json_t *cases = json_array(), *missing = json_object();
    for (int i = 0; i < run->results; i++)
        json_array_append_new(cases, bench_kernel_json(&run->result[i]));
    for (int p = 0; p < PEERS; p++)
        if (peer_wanted(p) && !peer_there(p))
            json_object_set_new(missing, peer_names[p], json_string(peer_missing(p)));
    json_t *whole =
        json_pack("{s:i, s:s, s:s, s:i, s:s, s:o, s:o}", "schema", 1, "timer",
                  run->timer.google ? "google" : "own", "timer_note", run->timer.said, "repeats",
                  run->set.repeats, "cold", asked.cold, "missing_peers", missing, "cases", cases);
    json_dumpf(whole, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(whole);
}

/* ---- the verb --------------------------------------------------------------- */

/* The file is opened before anything is measured: a typing error costs no minutes. */
static bool write_google(const struct bench_run *run, FILE *f, struct err *err)
{
    (void)json_dumpf(run->google, f, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    return path_close(f, asked.google_file, err);
}

static bool open_all(struct bench_run *run, int argc, char **argv, FILE **google, struct err *err)
{
    if (asked.google_file) {
        if (!(*google = path_create(asked.google_file, err)))
            return false;
        run->google = bench_google_begin();
    }
    if (asked.no_record)
        return true;
    run->store = store_open(global.db, STORE_WRITE, err);
    run->session = run->store ? store_session_begin(run->store, argc, argv, err) : NULL;
    return run->session || err_prefix(err, "cannot record (--no-record runs without)");
}

static int cmd_kernels(int argc, char **argv)
{
    struct err err = {0};
    struct bench_run run = {0};
    FILE *google = NULL;
    bool fine = settle(&run, argc, argv, &err) && open_all(&run, argc, argv, &google, &err) &&
                measure_all(&run, &err);
    if (run.results && global.json)
        show_json(&run);
    else if (run.results)
        show(&run);
    if (google)
        fine = write_google(&run, google, fine ? &err : &(struct err){0}) && fine;
    int status = !fine ? cli_fail(&err) : run.failed ? EXIT_BENCH_FAILED : EXIT_OK;
    if (run.failed)
        fprintf(stderr, "bench: %d case%s wrong: the residual is beyond its bound\n", run.failed,
                run.failed == 1 ? " is" : "s are");
    if (run.session && !store_session_end(run.session, status, &err) && fine)
        status = cli_fail(&err);
    store_close(run.store);
    json_decref(run.google);
    free(run.result);
    bench_release();
    return status;
}

const struct verb verb_kernels = {
    "kernels",
    cmd_kernels,
    "kernels [GLOB] [OPTION...]",
    "Times every kernel at the sizes of the networks: 'gemm*', conv_f32, '*/128x512x784/t1'",
    options,
};
