/* run_json.c — see run_json.h. */
#include "cli/run_json.h"

#include <math.h>

static json_t *number(double v) { return isfinite(v) ? json_real(v) : json_null(); }
static json_t *count(long long v) { return v >= 0 ? json_integer(v) : json_null(); }
static json_t *text(const char *s) { return s[0] ? json_string(s) : json_null(); }

json_t *run_json(const struct store_row *row, const struct run_plan *plan,
                 const struct run_end *end)
{
    json_t *metrics = json_object(), *best = json_object();
    for (int i = 0; i < end->metrics; i++) {
        json_object_set_new(metrics, end->last[i].name, number(end->last[i].value));
        json_object_set_new(best, end->best[i].name, number(end->best[i].value));
    }
    json_t *j = json_object();
    json_object_set_new(j, "run", row->id > 0 ? json_integer(row->id) : json_null());
    json_object_set_new(j, "plugin", text(row->plugin));
    json_object_set_new(j, "variant", text(row->variant));
    json_object_set_new(j, "dataset", text(row->dataset));
    json_object_set_new(j, "synthetic", plan ? json_boolean(plan->synthetic) : json_null());
    json_object_set_new(j, "status", json_string(run_status_name[end->status]));
    json_object_set_new(j, "reason", text(end->reason));
    json_object_set_new(j, "params", plan ? json_integer((long long)plan->params) : json_null());
    json_object_set_new(j, "macs", plan ? json_integer((long long)plan->macs) : json_null());
    json_object_set_new(j, "batch", plan ? json_integer(plan->batch) : json_null());
    json_object_set_new(j, "threads", plan ? json_integer(plan->threads) : json_null());
    json_object_set_new(j, "isa", plan ? text(plan->isa) : json_null());
    json_object_set_new(j, "precision", plan ? text(plan->precision) : json_null());
    json_object_set_new(j, "seed", json_integer(row->seed));
    json_object_set_new(j, "steps", count(end->steps));
    json_object_set_new(j, "step_ms_median", number(end->step_ms_median));
    json_object_set_new(j, "step_ms_mad", number(end->step_ms_mad));
    json_object_set_new(j, "samples_per_s", number(end->samples_per_s));
    json_object_set_new(j, "train_loss", number(end->train_loss));
    json_object_set_new(j, "metrics", metrics);
    json_object_set_new(j, "best", best);
    json_object_set_new(j, "time_s", number(end->time_s));
    json_object_set_new(j, "harness_s", number(end->harness_s));
    json_object_set_new(j, "peak_bytes",
                        plan ? json_integer((long long)plan->peak_bytes) : json_null());
    return j;
}
