/* wire.c — see wire.h. */
#include "train/wire.h"

#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "train/generate.h"
#include "train/run.h"

_Static_assert(sizeof(long long) == sizeof(int64_t) && sizeof(size_t) == sizeof(int64_t),
               "WIRE_INT64 stands for all three");

/* clang-format off */
#define F(kind, type, field)  {#field, kind, offsetof(struct type, field), sizeof(((struct type *)0)->field)}
#define TIMES(type, field, count) {#field, WIRE_TIMES, offsetof(struct type, field), offsetof(struct type, count)}

const struct wire_field wire_spec[] = {
    F(WIRE_STRING, run_spec, plugin_path), F(WIRE_STRING, run_spec, plugin),
    F(WIRE_STRING, run_spec, variant),     F(WIRE_STRING, run_spec, data),
    F(WIRE_STRING, run_spec, isa),         F(WIRE_STRING, run_spec, init),
    F(WIRE_STRING, run_spec, dump),        F(WIRE_INT,    run_spec, epochs),
    F(WIRE_INT,    run_spec, batch),       F(WIRE_INT,    run_spec, threads),
    F(WIRE_DOUBLE, run_spec, rate),        F(WIRE_DOUBLE, run_spec, to_accuracy),
    F(WIRE_DOUBLE, run_spec, time_budget), F(WIRE_INT64,  run_spec, max_steps),
    F(WIRE_INT64,  run_spec, seed),        F(WIRE_BOOL,   run_spec, profile),
    F(WIRE_BOOL,   run_spec, no_fuse),     F(WIRE_BOOL,   run_spec, no_lanes),
    F(WIRE_BOOL,   run_spec, dry_run),     F(WIRE_STRING, run_spec, counters),
    F(WIRE_DOUBLE, run_spec, profile_s),   F(WIRE_INT64,  run_spec, profile_steps),
    F(WIRE_STRING, run_spec, trace),       F(WIRE_BOOL,   run_spec, explain),
    F(WIRE_STRING, run_spec, cache),
    F(WIRE_BOOL,   run_spec, synthetic),   F(WIRE_STRING, run_spec, conv_algo),
    F(WIRE_STRING, run_spec, save),        F(WIRE_BOOL,   run_spec, save_unasked),
    {0},
};
const struct wire_field wire_generate[] = {
    F(WIRE_STRING, generate_spec, plugin_path), F(WIRE_STRING, generate_spec, plugin),
    F(WIRE_STRING, generate_spec, variant),     F(WIRE_STRING, generate_spec, from),
    F(WIRE_STRING, generate_spec, isa),         F(WIRE_INT,    generate_spec, threads),
    F(WIRE_INT,    generate_spec, length),      F(WIRE_INT,    generate_spec, top),
    F(WIRE_INT,    generate_spec, beam),        F(WIRE_INT,    generate_spec, count),
    F(WIRE_DOUBLE, generate_spec, temperature), F(WIRE_INT64,  generate_spec, seed),
    F(WIRE_INT,    generate_spec, line),
    {0},
};
const struct wire_field wire_plan[] = {
    F(WIRE_TEXT,   run_plan, plugin),           F(WIRE_TEXT,   run_plan, variant),
    F(WIRE_TEXT,   run_plan, isa),              F(WIRE_TEXT,   run_plan, precision),
    F(WIRE_TEXT,   run_plan, dataset),          F(WIRE_TEXT,   run_plan, dataset_path),
    F(WIRE_TEXT,   run_plan, dataset_sha256),   F(WIRE_BOOL,   run_plan, synthetic),
    F(WIRE_INT64,  run_plan, train_items),      F(WIRE_INT64,  run_plan, test_items),
    F(WIRE_INT,    run_plan, batch),            F(WIRE_INT,    run_plan, threads),
    F(WIRE_INT,    run_plan, epochs),           F(WIRE_INT64,  run_plan, seed),
    F(WIRE_DOUBLE, run_plan, params),           F(WIRE_DOUBLE, run_plan, macs),
    F(WIRE_DOUBLE, run_plan, flops_step),       F(WIRE_DOUBLE, run_plan, bytes_step),
    F(WIRE_INT64,  run_plan, peak_bytes),       F(WIRE_INT64,  run_plan, activation_bytes),
    F(WIRE_INT64,  run_plan, parameter_bytes),  F(WIRE_INT64,  run_plan, steps_per_epoch),
    F(WIRE_TEXT,   run_plan, config),           F(WIRE_DOUBLE, run_plan, published_metric),
    F(WIRE_TEXT,   run_plan, published_name),   F(WIRE_TEXT,   run_plan, published_dataset),
    F(WIRE_TEXT,   run_plan, published_source), F(WIRE_TEXT,   run_plan, dataset_notes), {0},
};
const struct wire_field wire_progress[] = {
    F(WIRE_INT,    run_progress, epoch),         F(WIRE_INT64,  run_progress, step),
    F(WIRE_DOUBLE, run_progress, loss),          F(WIRE_DOUBLE, run_progress, accuracy),
    F(WIRE_DOUBLE, run_progress, samples_per_s), F(WIRE_DOUBLE, run_progress, eta_s),
    {0},
};
const struct wire_field wire_epoch[] = {
    F(WIRE_INT,     run_epoch, epoch),      F(WIRE_INT64,   run_epoch, step),
    F(WIRE_INT64,   run_epoch, items),      F(WIRE_DOUBLE,  run_epoch, time_s),
    F(WIRE_DOUBLE,  run_epoch, train_s),    F(WIRE_DOUBLE,  run_epoch, eval_s),
    F(WIRE_DOUBLE,  run_epoch, rate),       F(WIRE_DOUBLE,  run_epoch, train_loss),
    F(WIRE_DOUBLE,  run_epoch, test_loss),  F(WIRE_INT,     run_epoch, metrics),
    F(WIRE_METRICS, run_epoch, train),      F(WIRE_METRICS, run_epoch, test),
    F(WIRE_INT64,   run_epoch, warm),       TIMES(run_epoch, step_ns, steps),
    {0},
};
const struct wire_field wire_layer[] = {
    F(WIRE_TEXT,   run_layer, row),    F(WIRE_TEXT,   run_layer, op),
    F(WIRE_TEXT,   run_layer, shape),  F(WIRE_TEXT,   run_layer, kernel),
    F(WIRE_TEXT,   run_layer, at),     F(WIRE_INT,    run_layer, pass),
    F(WIRE_DOUBLE, run_layer, macs),   F(WIRE_DOUBLE, run_layer, flops),
    F(WIRE_DOUBLE, run_layer, bytes),  F(WIRE_DOUBLE, run_layer, ns),
    F(WIRE_DOUBLE, run_layer, wait_ns),
    {0},
};
const struct wire_field wire_profile[] = {
    F(WIRE_DOUBLE,  run_profile, plain_ms),    F(WIRE_DOUBLE, run_profile, timed_ms),
    F(WIRE_DOUBLE,  run_profile, traced_ms),   F(WIRE_DOUBLE, run_profile, timed_cost),
    F(WIRE_DOUBLE,  run_profile, traced_cost), F(WIRE_DOUBLE, run_profile, mean_ms),
    F(WIRE_INT64,   run_profile, steps),       F(WIRE_INT64,  run_profile, left_out),
    F(WIRE_METRICS, run_profile, roof),        F(WIRE_STRING, run_profile, explain),
    {0},
};
const struct wire_field wire_counter[] = {
    F(WIRE_TEXT,   run_counter, region),     F(WIRE_INT,    run_counter, layer),
    F(WIRE_TEXT,   run_counter, event),      F(WIRE_TEXT,   run_counter, source),
    F(WIRE_DOUBLE, run_counter, value),      F(WIRE_TEXT,   run_counter, reason),
    F(WIRE_INT64,  run_counter, enabled_ns), F(WIRE_INT64,  run_counter, running_ns),
    F(WIRE_INT64,  run_counter, steps),      {0},
};
const struct wire_field wire_end[] = {
    F(WIRE_INT,     run_end, status),         F(WIRE_TEXT,    run_end, reason),
    F(WIRE_BOOL,    run_end, target_missed),  F(WIRE_INT,     run_end, signal),
    F(WIRE_INT,     run_end, exit_code),      F(WIRE_INT64,   run_end, steps),
    F(WIRE_DOUBLE,  run_end, step_ms_median), F(WIRE_DOUBLE,  run_end, step_ms_mad),
    F(WIRE_DOUBLE,  run_end, step_ms_min),    F(WIRE_DOUBLE,  run_end, samples_per_s),
    F(WIRE_DOUBLE,  run_end, train_loss),     F(WIRE_DOUBLE,  run_end, time_s),
    F(WIRE_INT,     run_end, metrics),        F(WIRE_METRICS, run_end, last),
    F(WIRE_METRICS, run_end, best),           F(WIRE_DOUBLE,  run_end, harness_s),
    F(WIRE_INT64,   run_end, peak_rss_bytes), F(WIRE_INT64,   run_end, involuntary_switches),
    F(WIRE_INT64,   run_end, major_faults),   F(WIRE_TEXT,    run_end, tainted),
    F(WIRE_INT,     run_end, steady),         F(WIRE_TEXT,    run_end, unsteady),
    F(WIRE_TEXT,    run_end, saved),
    F(WIRE_INT64,   run_end, noise.steps),        F(WIRE_DOUBLE,  run_end, noise.wall_s),
    F(WIRE_DOUBLE,  run_end, noise.cpu_s),        F(WIRE_INT,     run_end, noise.cpus),
    F(WIRE_DOUBLE,  run_end, noise.steal_s),      F(WIRE_DOUBLE,  run_end, noise.foreign_s),
    F(WIRE_DOUBLE,  run_end, noise.freq_min_hz),  F(WIRE_DOUBLE,  run_end, noise.freq_max_hz),
    F(WIRE_INT64,   run_end, noise.switches),     F(WIRE_INT64,   run_end, noise.minor_faults),
    F(WIRE_INT64,   run_end, noise.major_faults), F(WIRE_INT64,   run_end, noise.throttles),
    F(WIRE_INT64,   run_end, noise.heap_bytes),   {0},
};
/* clang-format on */

/* ---------------------------------------------------------------------- pack */

static json_t *number(double v) { return isfinite(v) ? json_real(v) : json_null(); }

/* Text that is no UTF-8 (a plugin's strings can be anything) travels as its ASCII part. */
static json_t *string(const char *s)
{
    json_t *j = json_string(s);
    if (j)
        return j;
    char *ascii = xstrdup(s);
    for (char *c = ascii; *c; c++)
        *c = *c & 0x80 ? '?' : *c;
    j = json_string(ascii);
    free(ascii);
    return j;
}

static json_t *pack_metrics(const struct run_metric *m)
{
    json_t *array = json_array();
    for (int i = 0; i < RUN_METRICS && m[i].name[0]; i++) {
        json_t *pair = json_array();
        json_array_append_new(pair, string(m[i].name));
        json_array_append_new(pair, number(m[i].value));
        json_array_append_new(array, pair);
    }
    return array;
}

static json_t *pack_times(const double *times, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(array, number(times[i]));
    return array;
}

static json_t *pack_field(const struct wire_field *f, const char *object)
{
    const void *at = object + f->offset;
    switch (f->kind) {
    case WIRE_INT: return json_integer(*(const int *)at);
    case WIRE_INT64: return json_integer(*(const int64_t *)at);
    case WIRE_DOUBLE: return number(*(const double *)at);
    case WIRE_BOOL: return json_boolean(*(const bool *)at);
    case WIRE_TEXT: return string(at);
    case WIRE_STRING:
        return *(const char *const *)at ? string(*(const char *const *)at) : json_null();
    case WIRE_METRICS: return pack_metrics(at);
    default: return pack_times(*(const double *const *)at, *(const size_t *)(object + f->room));
    }
}

bool wire_fits(const struct wire_field *fields, const void *object, struct err *err)
{
    for (const struct wire_field *f = fields; f->name; f++) {
        const void *at = (const char *)object + f->offset;
        const char *s = f->kind == WIRE_STRING ? *(const char *const *)at : NULL;
        const size_t n = s ? strlen(s) : 0, sound = text_sound(s, n);
        if (sound < n)
            return err_status(err, EXIT_USAGE, "%s: byte %zu is not UTF-8, after '%.*s'", f->name,
                              sound + 1, (int)sound, s);
    }
    return true;
}

json_t *wire_pack(const struct wire_field *fields, const void *object)
{
    json_t *json = json_object();
    for (const struct wire_field *f = fields; f->name; f++)
        json_object_set_new(json, f->name, pack_field(f, object));
    return json;
}

/* -------------------------------------------------------------------- unpack */

static bool take_number(const json_t *j, double *out)
{
    if (!json_is_number(j) && !json_is_null(j))
        return false;
    *out = json_is_null(j) ? (double)NAN : json_number_value(j);
    return true;
}

static bool take_metrics(const json_t *j, struct run_metric *m)
{
    if (!json_is_array(j) || json_array_size(j) > RUN_METRICS)
        return false;
    memset(m, 0, RUN_METRICS * sizeof *m);
    for (size_t i = 0; i < json_array_size(j); i++) {
        const json_t *pair = json_array_get(j, i), *name = json_array_get(pair, 0);
        if (!json_is_string(name) || !take_number(json_array_get(pair, 1), &m[i].value))
            return false;
        snprintf(m[i].name, sizeof m[i].name, "%s", json_string_value(name));
    }
    return true;
}

static bool take_times(const json_t *j, const double **times, size_t *count)
{
    if (!json_is_array(j))
        return false;
    const size_t n = json_array_size(j);
    double *t = xmalloc(n * sizeof *t);
    for (size_t i = 0; i < n; i++) {
        if (!take_number(json_array_get(j, i), &t[i])) {
            free(t);
            return false;
        }
    }
    *times = t;
    *count = n;
    return true;
}

static bool take_int(const json_t *j, int *out)
{
    const json_int_t v = json_integer_value(j);
    if (!json_is_integer(j) || v < INT_MIN || v > INT_MAX)
        return false;
    *out = (int)v;
    return true;
}

static bool take_field(const struct wire_field *f, const json_t *j, char *object)
{
    void *at = object + f->offset;
    switch (f->kind) {
    case WIRE_INT: return take_int(j, at);
    case WIRE_INT64: *(int64_t *)at = json_integer_value(j); return json_is_integer(j);
    case WIRE_DOUBLE: return take_number(j, at);
    case WIRE_BOOL: *(bool *)at = json_is_true(j); return json_is_boolean(j);
    case WIRE_TEXT:
        if (json_is_string(j))
            snprintf(at, f->room, "%s", json_string_value(j));
        return json_is_string(j);
    case WIRE_STRING:
        *(const char **)at = json_string_value(j);
        return json_is_string(j) || json_is_null(j);
    case WIRE_METRICS: return take_metrics(j, at);
    default: return take_times(j, at, (size_t *)(object + f->room));
    }
}

/* The one field that owns memory stands last in its table, so that a failure before it leaks none.
 */
bool wire_unpack(const struct wire_field *fields, const json_t *json, void *object, struct err *err)
{
    for (const struct wire_field *f = fields; f->name; f++)
        if (!take_field(f, json_object_get(json, f->name), object))
            return err_set(err, "field '%s' is missing or of another type", f->name);
    return true;
}
