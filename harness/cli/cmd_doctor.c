/* cmd_doctor.c — bench doctor: what this machine is, what it can do, what is missing. The
 * ceilings are measured here and now, on this many threads, beside whatever else runs. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crew.h"
#include "cli/cli.h"
#include "datasets/dataset.h"
#include "kernels/kernels.h"
#include "perf/environment.h"
#include "perf/peak.h"
#include "perf/pmu.h"
#include "report/format.h"
#include "report/table.h"
#include "store/store.h"

static int threads_asked;

static const struct option options[] = {
    {"threads", 't', OPT_INT, &threads_asked, "N", "measure with N threads too (all cores)", 1,
     256},
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
        printf("settings     governor %s, huge pages %s\n", known(e->governor), known(e->thp));
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

static int cmd_doctor(int argc, char **argv)
{
    struct err err = {0};
    if (argc > 1)
        err_status(&err, EXIT_USAGE, "doctor: expected no argument, found '%s'", argv[1]);
    if (argc > 1 || !kn_init(NULL, &err))
        return cli_fail(&err);
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
    if (global.json) {
        json_dumpf(whole, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        putchar('\n');
    }
    json_decref(whole);
    return EXIT_OK;
}

const struct verb verb_doctor = {"doctor", cmd_doctor, "doctor [OPTION...]",
                                 "Measures the machine's ceilings, and says what is missing",
                                 options};
