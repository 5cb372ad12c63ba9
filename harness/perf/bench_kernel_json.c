/* bench_kernel_json.c — see bench_kernel_json.h. Field names and their order are those of Google
 * Benchmark 1.7 (JSONReporter), which our shim was compared with. */
#define _GNU_SOURCE
#include "perf/bench_kernel_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "perf/environment.h"
#include "perf/peak.h"

static json_t *real_or_null(double x) { return isfinite(x) ? json_real(x) : json_null(); }

/* ---- our own -------------------------------------------------------------------------- */

static json_t *temperature(const struct bench_temperature *t)
{
    json_t *samples = json_array();
    for (int i = 0; i < t->time.n; i++)
        json_array_append_new(samples, json_real(t->time.sample[i]));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:s, s:o}", "median_s",
                     real_or_null(t->time.median), "mad_s", real_or_null(t->time.mad), "min_s",
                     real_or_null(t->time.least), "lo_s", real_or_null(t->time.lo), "hi_s",
                     real_or_null(t->time.hi), "calls", (json_int_t)t->time.calls, "rate",
                     real_or_null(t->rate), "roof_share", real_or_null(t->share), "level",
                     peak_level_name[t->level], "samples_s", samples);
}

static json_t *peers(const struct bench_result *r)
{
    json_t *all = json_object();
    for (int p = 0; p < PEERS; p++) {
        json_t *one = json_null();
        if (isfinite(r->peer_s[p][BENCH_HOT]))
            one = json_pack("{s:f, s:f, s:f, s:f}", "hot_s", r->peer_s[p][BENCH_HOT], "cold_s",
                            r->peer_s[p][BENCH_COLD], "hot_ratio",
                            r->peer_s[p][BENCH_HOT] / r->at[BENCH_HOT].time.median, "cold_ratio",
                            r->peer_s[p][BENCH_COLD] / r->at[BENCH_COLD].time.median);
        json_object_set_new(all, peer_names[p], one);
    }
    return all;
}

static json_t *dims(const struct kernel_case *c)
{
    struct text t = {0};
    text_add(&t, "{");
    case_json(c, &t);
    text_add(&t, "}");
    json_t *all = json_loads(text_str(&t), 0, NULL);
    text_release(&t);
    return all;
}

json_t *bench_kernel_json(const struct bench_result *r)
{
    char name[CASE_TEXT], variant[CASE_TEXT];
    return json_pack(
        "{s:s, s:s, s:s, s:o, s:s, s:s, s:i, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:s, s:o}", "name",
        case_name(r->c, r->threads, name), "kernel", kernel_names[r->c->kernel], "case",
        case_variant(r->c, variant), "dims", dims(r->c), "seen", r->c->seen, "isa", r->isa,
        "threads", r->threads, "flops", real_or_null(r->flops), "bytes", json_real(r->bytes),
        "unit", isfinite(r->flops) ? "FLOP/s" : "B/s", "hot", temperature(&r->at[BENCH_HOT]),
        "cold", temperature(&r->at[BENCH_COLD]), "residual", real_or_null(r->residual),
        "residual_of_bound", real_or_null(r->of_bound), "status", r->failed ? "failed" : "ok",
        "peers", peers(r));
}

/* ---- Google Benchmark's ------------------------------------------------------------------ */

/* As the kernel tells it for the first CPU; null where it does not. */
static json_t *megahertz(void)
{
    char line[256];
    double mhz = NAN;
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && !isfinite(mhz) && fgets(line, sizeof line, f))
        if (strncmp(line, "cpu MHz", 7) == 0 && strchr(line, ':'))
            mhz = strtod(strchr(line, ':') + 1, NULL);
    if (f)
        fclose(f);
    return isfinite(mhz) ? json_integer(llround(mhz)) : json_null();
}

json_t *bench_google_begin(void)
{
    char now[64] = "", host[256] = "", self[4096] = "";
    double load[3] = {0};
    struct tm local;
    const time_t t = time(NULL);
    if (localtime_r(&t, &local))
        strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%S%z", &local);
    if (strlen(now) > 2) { /* +0200 -> +02:00 */
        const size_t n = strlen(now);
        memmove(now + n - 1, now + n - 2, 3);
        now[n - 2] = ':';
    }
    gethostname(host, sizeof host - 1);
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    const int loads = getloadavg(load, 3);
    const struct kn_caches *c = kn_caches();
    const size_t sizes[] = {c->l1d, c->l2, c->l3};
    json_t *caches = json_array(), *averages = json_array();
    for (int i = 0; i < 3; i++)
        json_array_append_new(caches, json_pack("{s:s, s:i, s:I}", "type", i ? "Unified" : "Data",
                                                "level", i + 1, "size", (json_int_t)sizes[i]));
    for (int i = 0; i < loads; i++)
        json_array_append_new(averages, json_real(load[i]));
    return json_pack("{s:{s:s, s:s, s:s, s:i, s:o, s:o, s:o, s:s, s:s}, s:[]}", "context", "date",
                     now, "host_name", host, "executable", self, "num_cpus", crew_cores(),
                     "mhz_per_cpu", megahertz(), "caches", caches, "load_avg", averages,
                     "library_build_type", "release", "bench_version", BENCH_VERSION, "benchmarks");
}

/* What repetitions and aggregates share; the suffix is that of an aggregate. */
static json_t *entry(const struct bench_result *r, int t, const char *suffix, const char *type)
{
    char name[CASE_TEXT], run[CASE_TEXT + 32];
    snprintf(run, sizeof run, "%s/%s/%s/manual_time", case_name(r->c, r->threads, name), r->isa,
             bench_temperature_name[t]);
    json_t *e = json_pack("{s:s+, s:i, s:i, s:s, s:s, s:i, s:i}", "name", run, suffix,
                          "family_index", 0, "per_family_instance_index", 0, "run_name", run,
                          "run_type", type, "repetitions", r->at[t].time.n, "threads", r->threads);
    return e;
}

static void add_times(json_t *e, const struct bench_result *r, double seconds, bool relative)
{
    const double rate = (isfinite(r->flops) ? r->flops : r->bytes) / seconds;
    const double scale = relative ? 1 : 1e9;
    json_object_set_new(e, "real_time", json_real(seconds * scale));
    /* compare.py wants one; a crew spins, so its CPU time is its wall time and not measured. */
    json_object_set_new(e, "cpu_time", json_real(seconds * scale));
    json_object_set_new(e, "time_unit", json_string("ns"));
    if (relative)
        return;
    json_object_set_new(e, isfinite(r->flops) ? "FLOP/s" : "bytes_per_second", json_real(rate));
    if (isfinite(r->residual))
        json_object_set_new(e, "residual", json_real(r->residual));
}

static void add_aggregates(json_t *all, const struct bench_result *r, int t, int family)
{
    const struct timing *x = &r->at[t].time;
    double mean = 0, square = 0;
    for (int i = 0; i < x->n; i++)
        mean += x->sample[i] / x->n;
    for (int i = 0; i < x->n; i++)
        square += (x->sample[i] - mean) * (x->sample[i] - mean);
    const double deviation = x->n > 1 ? sqrt(square / (x->n - 1)) : 0;
    const struct {
        const char *name;
        double value;
        bool percent;
    } aggregates[] = {{"mean", mean, false},
                      {"median", x->median, false},
                      {"stddev", deviation, false},
                      {"cv", deviation / mean, true}};
    for (size_t i = 0; x->n > 1 && i < sizeof aggregates / sizeof *aggregates; i++) {
        char suffix[16];
        snprintf(suffix, sizeof suffix, "_%s", aggregates[i].name);
        json_t *e = entry(r, t, suffix, "aggregate");
        json_object_set_new(e, "family_index", json_integer(family));
        json_object_set_new(e, "aggregate_name", json_string(aggregates[i].name));
        json_object_set_new(e, "aggregate_unit",
                            json_string(aggregates[i].percent ? "percentage" : "time"));
        json_object_set_new(e, "iterations", json_integer(x->n));
        /* A spread is no time: no rate follows from it. */
        add_times(e, r, aggregates[i].value, aggregates[i].percent);
        if (i == 2) {
            json_object_del(e, "FLOP/s");
            json_object_del(e, "bytes_per_second");
            json_object_del(e, "residual");
        }
        json_array_append_new(all, e);
    }
}

void bench_google_add(json_t *document, const struct bench_result *r)
{
    json_t *all = json_object_get(document, "benchmarks");
    for (int t = 0; t < BENCH_TEMPERATURES; t++) {
        const size_t n = json_array_size(all);
        const json_t *last = n ? json_array_get(all, n - 1) : NULL;
        const int family =
            last ? (int)json_integer_value(json_object_get(last, "family_index")) + 1 : 0;
        for (int i = 0; i < r->at[t].time.n; i++) {
            json_t *e = entry(r, t, "", "iteration");
            json_object_set_new(e, "family_index", json_integer(family));
            json_object_set_new(e, "repetition_index", json_integer(i));
            json_object_set_new(e, "iterations", json_integer(r->at[t].time.calls));
            add_times(e, r, r->at[t].time.sample[i], false);
            if (r->failed) {
                json_object_set_new(e, "error_occurred", json_true());
                json_object_set_new(e, "error_message", json_string("residual beyond its bound"));
            }
            json_array_append_new(all, e);
        }
        add_aggregates(all, r, t, family);
    }
}
