/* cmd_doctor.c — bench doctor: what this machine is, what it can do, what is missing, and
 * whether it may be trusted with measurements. The ceilings and the noise are measured here and
 * now, on this many threads, beside whatever else runs. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crew.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "datasets/dataset.h"
#include "datasets/text/places.h"
#include "kernels/kernels.h"
#include "perf/environment.h"
#include "perf/fitness.h"
#include "perf/floor.h"
#include "perf/peak.h"
#include "perf/pmu.h"
#include "report/format.h"
#include "report/table.h"
#include "store/store.h"

static int threads_asked;
static bool fix, restore;

static const struct option options[] = {
    {"threads", 't', OPT_INT, &threads_asked, "N", "measure with N threads too (all cores)", 1,
     256},
    {"fix", 0, OPT_FLAG, &fix, NULL, "change the settings that can be put back (root)", 0, 0},
    {"restore", 0, OPT_FLAG, &restore, NULL, "put back what --fix changed, and do nothing else", 0,
     0},
    {0},
};

static const char *known(const char *fact) { return fact[0] ? fact : "unknown"; }

static json_t *fact(const char *s) { return s[0] ? json_string(s) : json_null(); }

static json_t *machine_facts(const struct environment *e, int cores)
{
    const struct machine *m = &e->machine;
    char b1[FORMAT_TEXT], b2[FORMAT_TEXT], b3[FORMAT_TEXT], b4[FORMAT_TEXT];
    if (!global.json) {
        printf("CPU          %s, %d of %d cores usable\n", known(m->cpu), cores, (int)m->threads);
        printf("kernels      %s", kn->isa);
        for (int i = 0; kn_tables[i]; i++)
            if (kn_tables[i] != kn)
                printf("%s %s%s", i ? "" : ";", kn_tables[i]->isa,
                       kn_runs_here(kn_tables[i]) ? "" : " (not on this CPU)");
        printf("\ncaches       L1 %s, L2 %s, L3 %s; memory %s\n",
               format_bytes((double)kn_caches()->l1d, b1),
               format_bytes((double)kn_caches()->l2, b2), format_bytes((double)kn_caches()->l3, b3),
               format_bytes((double)m->ram, b4));
        printf("system       %s, %s, %s; hypervisor %s\n", known(e->os), known(e->kernel),
               known(e->libc), known(m->hypervisor));
    }
    return json_pack("{s:o, s:i, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "cpu", fact(m->cpu),
                     "cores", cores, "isa", kn->isa, "l1d", (json_int_t)kn_caches()->l1d, "l2",
                     (json_int_t)kn_caches()->l2, "l3", (json_int_t)kn_caches()->l3, "ram",
                     (json_int_t)m->ram, "kernel", fact(e->kernel), "governor", fact(e->governor),
                     "hypervisor", fact(m->hypervisor));
}

/* Working sets well inside one cache level and outside the one before; DRAM is four times L3. */
static size_t working_set(int level, int threads)
{
    const struct kn_caches *c = kn_caches();
    switch (level) {
    case 1: return c->l1d / 2;
    case 2: return c->l2 / 2;
    case 3:
        return c->l3 / 2 / (size_t)threads > c->l2 * 2 ? c->l3 / 2 / (size_t)threads : c->l2 * 2;
    default: return c->l3 * 4 / (size_t)threads;
    }
}

static json_t *measure(int threads)
{
    static const char *const level[] = {"", "L1", "L2", "L3", "DRAM"};
    json_t *all = json_array();
    const int counts[] = {1, threads};
    if (!global.json)
        printf("\n");
    for (int i = 0; i < (threads > 1 ? 2 : 1); i++) {
        const int n = counts[i];
        const double flops = peak_flops(n);
        json_t *one = json_pack("{s:i, s:f}", "threads", n, "fma_f32", flops);
        if (!global.json)
            printf("peak         %d thread%s: %.1f GFLOP/s of f32 FMA; read", n, n == 1 ? "" : "s",
                   flops / 1e9);
        for (int l = 1; l <= 4; l++) {
            const double rate = peak_read(n, working_set(l, n));
            json_object_set_new(one, level[l], json_real(rate));
            if (!global.json)
                printf("%s %s %.0f", l > 1 ? "," : "", level[l], rate / 1e9);
        }
        const double triad = peak_triad(n, working_set(4, n));
        json_object_set_new(one, "triad", json_real(triad));
        if (!global.json)
            printf("; triad %.0f GB/s\n", triad / 1e9);
        fflush(stdout);
        json_array_append_new(all, one);
    }
    return all;
}

/* A program on PATH. */
static bool on_path(const char *name)
{
    const char *at = getenv("PATH");
    while (at && *at) {
        const size_t length = strcspn(at, ":");
        char file[512];
        const int n = snprintf(file, sizeof file, "%.*s/%s", (int)length, at, name);
        if (n > 0 && (size_t)n < sizeof file && access(file, X_OK) == 0)
            return true;
        at += length + (at[length] == ':');
    }
    return false;
}

static json_t *tools(void)
{
    char why[160];
    const bool hardware = pmu_hardware(why), software = pmu_software(), energy = pmu_energy();
    const bool gnuplot = on_path("gnuplot");
    if (!global.json) {
        printf("\ncounters     CPU %s%s; kernel %s; energy %s\n", hardware ? "yes" : "no: ", why,
               software ? "yes" : "no", energy ? "yes" : "no");
        printf("gnuplot      %s\n", gnuplot ? "yes"
                                            : "no: reports have tables but no pictures "
                                              "(package gnuplot-nox)");
    }
    return json_pack("{s:b, s:b, s:b, s:b}", "hardware_counters", hardware, "software_counters",
                     software, "energy", energy, "gnuplot", gnuplot);
}

static json_t *data(void)
{
    json_t *all = json_object();
    for (int i = 0; dataset_names[i]; i++) {
        char *where = dataset_where(dataset_names[i]);
        const char *package = dataset_package(dataset_names[i]);
        if (!global.json)
            printf("%-12s %s: %s%s\n", i ? "" : "data", dataset_names[i],
                   where     ? where
                   : package ? "not here: package "
                             : "not here",
                   !where && package ? package : "");
        json_object_set_new(all, dataset_names[i], where ? json_string(where) : json_null());
        free(where);
    }
    for (const struct text_set *set = text_sets; set->name; set++) {
        char *where = text_set_here(set) ? text_set_where(set, 0) : NULL;
        if (!global.json)
            printf("%-12s %s: %s%s\n", "", set->name, where ? where : "not here: package ",
                   where ? "" : set->packages);
        json_object_set_new(all, set->name, where ? json_string(where) : json_null());
        free(where);
    }
    return all;
}

static json_t *database(void)
{
    struct err err = {0};
    char *path = global.db ? NULL : store_default_path();
    const char *const shown = global.db ? global.db : path;
    struct store *s = store_open(global.db, STORE_READ, &err);
    const bool present = access(shown, F_OK) == 0;
    if (!global.json)
        printf("database     %s: %s\n", shown,
               s         ? "fine"
               : present ? err.text
                         : "not there yet; the first run makes it");
    store_close(s);
    json_t *j = json_string(shown);
    free(path);
    return j;
}

/* ---- fit to measure? ----------------------------------------------------------------- */

/* In front of /proc, /sys and /run: a folder, for tests. */
static const char *root(void)
{
    const char *s = getenv("BENCH_SYSROOT");
    return s ? s : "";
}

static void say(const char *line) { fprintf(global.json ? stderr : stdout, "%s\n", line); }

/* What the A/A measurement saw besides its pairs. */
static int check_neighbours(const struct noise_floor *f, struct fit_check *c)
{
    const struct {
        const char *name, *wanted, *why, *advice;
        double share, most;
        enum fit fit;
    } seen[] = {
        {"steal", "below 1 %", "the hypervisor runs somebody else on our CPUs",
         "use a dedicated host, or measure at a quieter time", f->steal, 0.01, FIT_BAD},
        {"other load", "below 5 %", "other processes take time, caches and bandwidth",
         "stop what else runs: top(1) shows it", f->foreign, 0.05, FIT_POOR},
    };
    for (int i = 0; i < 2; i++) {
        const bool unknown = isnan(seen[i].share), high = seen[i].share > seen[i].most;
        c[i] = (struct fit_check){.name = seen[i].name,
                                  .wanted = seen[i].wanted,
                                  .why = seen[i].why,
                                  .fit = unknown ? FIT_UNKNOWN
                                         : high  ? seen[i].fit
                                                 : FIT_GOOD};
        if (!unknown)
            snprintf(c[i].found, sizeof c[i].found, "%.1f %%", 100 * seen[i].share);
        snprintf(c[i].advice, sizeof c[i].advice, "%s", high ? seen[i].advice : "");
    }
    return 2;
}

static json_t *checks_json(const struct fit_check *check, int n)
{
    json_t *all = json_array();
    for (int i = 0; i < n; i++) {
        const struct fit_check *c = &check[i];
        if (!global.json)
            printf("%-12s %-13s %-8s %-14s%s%s%s%s\n", i ? "" : "fitness", c->name,
                   fit_name[c->fit], c->found[0] ? c->found : "-",
                   c->fit == FIT_GOOD ? "" : " wanted: ", c->fit == FIT_GOOD ? "" : c->wanted,
                   c->advice[0] ? "; " : "", c->advice);
        json_array_append_new(all, json_pack("{s:s, s:s, s:o, s:s, s:s, s:o, s:b}", "name", c->name,
                                             "fit", fit_name[c->fit], "found", fact(c->found),
                                             "wanted", c->wanted, "why", c->why, "advice",
                                             fact(c->advice), "fixable", c->fixable));
    }
    return all;
}

/* The first check, bad ones before poor ones, that has something to advise. */
static const struct fit_check *most_wanted(const struct fit_check *check, int n)
{
    for (enum fit fit = FIT_BAD; fit >= FIT_POOR; fit--)
        for (int i = 0; i < n; i++)
            if (check[i].fit == fit && check[i].advice[0])
                return &check[i];
    return NULL;
}

static void print_verdict(const struct noise_floor *f, bool fit, const struct fit_check *next)
{
    printf(
        "noise        A/A of %d pairs, %d thread%s: one pair differs by %.1f %%, a gate of ten "
        "by less than %.1f %% (99 of 100)\n",
        f->pairs, f->threads, f->threads == 1 ? "" : "s", 100 * f->spread, 100 * f->q99);
    if (fit)
        printf("verdict      fit for gating at %.1f %%", 100 * noise_floor_margin(f));
    else if (f->q99 > FLOOR_UNFIT)
        printf("verdict      not fit for gating: noise of %.1f %% is above %.0f %%", 100 * f->q99,
               100 * FLOOR_UNFIT);
    else
        printf("verdict      not fit for gating: %s", next->why);
    if (next)
        printf("; would improve it: %s (%s)", next->advice, next->name);
    printf("\n");
}

static void judge(json_t *whole, int threads)
{
    struct fit_check check[FITNESS_MOST + 2];
    char *db = global.db ? xstrdup(global.db) : store_default_path();
    char *slash = strrchr(db, '/');
    if (slash)
        *slash = '\0';
    const struct noise_floor f = noise_floor_measure(threads, 3);
    int n = check_neighbours(&f, check); /* measured, they weigh more than settings */
    n += fitness_check(root(), slash ? db : ".", &check[n]);
    if (!global.json)
        printf("\n");
    json_object_set_new(whole, "checks", checks_json(check, n));
    const struct fit_check *next = most_wanted(check, n);
    const bool fit = f.q99 <= FLOOR_UNFIT && !(next && next->fit == FIT_BAD);
    if (!global.json)
        print_verdict(&f, fit, next);
    json_object_set_new(whole, "noise",
                        json_pack("{s:i, s:i, s:f, s:f, s:o, s:o}", "pairs", f.pairs, "threads",
                                  f.threads, "q99", f.q99, "pair_median", f.spread, "steal",
                                  isnan(f.steal) ? json_null() : json_real(f.steal), "foreign",
                                  isnan(f.foreign) ? json_null() : json_real(f.foreign)));
    json_object_set_new(whole, "verdict",
                        json_pack("{s:b, s:f, s:o}", "fit", fit, "margin", noise_floor_margin(&f),
                                  "advice", next ? json_string(next->advice) : json_null()));
    free(db);
}

/* --fix and --restore. */
static bool settle(struct err *err)
{
    char memo[512];
    const char *run = getenv("XDG_RUNTIME_DIR");
    snprintf(memo, sizeof memo, "%s%s/bench-doctor.json", root(),
             geteuid() == 0 || !run || *root() ? "/run" : run);
    if (fix && restore)
        return err_status(err, EXIT_USAGE, "doctor: --fix and --restore contradict each other");
    if (restore)
        return fitness_restore(root(), memo, say, err);
    if (!fix)
        return true;
    if (!fitness_fix(root(), memo, say, err))
        return err_prefix(err, "doctor --fix");
    if (access(memo, F_OK) == 0)
        say("`bench doctor --restore` puts it back; so does the next boot");
    else
        say("nothing to fix");
    return true;
}

static int cmd_doctor(int argc, char **argv)
{
    struct err err = {0};
    if (argc > 1)
        err_status(&err, EXIT_USAGE, "doctor: expected no argument, found '%s'", argv[1]);
    if (argc > 1 || !kn_init(NULL, &err) || !settle(&err))
        return cli_fail(&err);
    if (restore)
        return EXIT_OK;
    struct environment e;
    environment_read(&e);
    const int cores = crew_cores(), threads = threads_asked ? threads_asked : cores;
    json_t *whole = json_object();
    json_object_set_new(whole, "schema", json_integer(1));
    json_object_set_new(whole, "machine", machine_facts(&e, cores));
    json_object_set_new(whole, "peaks", measure(threads));
    json_object_set_new(whole, "tools", tools());
    json_object_set_new(whole, "data", data());
    json_object_set_new(whole, "database", database());
    judge(whole, threads);
    if (global.json) {
        json_dumpf(whole, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        putchar('\n');
    }
    json_decref(whole);
    return EXIT_OK;
}

const struct verb verb_doctor = {
    "doctor", cmd_doctor, "doctor [OPTION...]",
    "Measures the machine's ceilings and its noise, and says what is missing", options};
