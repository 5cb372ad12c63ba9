/* run_json.c — see run_json.h. */
#include "cli/run_json.h"

#include <math.h>

static json_t *number(double v) { return isfinite(v) ? json_real(v) : json_null(); }
static json_t *count(long long v) { return v >= 0 ? json_integer(v) : json_null(); }
static json_t *text(const char *s) { return s[0] ? json_string(s) : json_null(); }

static json_t *noise_json(const struct noise *n)
{
    if (n->steps == 0)
        return json_null();
    const struct {
        const char *name;
        json_t *value;
    } all[] = {
        /* clang-format off */
        {"steps", count(n->steps)},               {"wall_s", number(n->wall_s)},
        {"cpu_s", number(n->cpu_s)},              {"cpus", count(n->cpus)},
        {"steal_s", number(n->steal_s)},          {"foreign_s", number(n->foreign_s)},
        {"freq_min_hz", number(n->freq_min_hz)},  {"freq_max_hz", number(n->freq_max_hz)},
        {"involuntary_switches", count(n->switches)}, {"minor_faults", count(n->minor_faults)},
        {"major_faults", count(n->major_faults)}, {"throttles", count(n->throttles)},
        {"heap_bytes", count(n->heap_bytes)},
        /* clang-format on */
    };
    json_t *j = json_object();
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        json_object_set_new(j, all[i].name, all[i].value);
    return j;
}

static json_t *steady_json(int steady)
{
    return steady == RUN_STEADY_UNKNOWN ? json_null() : json_boolean(steady == RUN_STEADY);
}

json_t *run_counter_json(const struct run_counter *c)
{
    json_t *j = json_object();
    json_object_set_new(j, "region", json_string(c->region));
    json_object_set_new(j, "layer", count(c->layer));
    json_object_set_new(j, "event", json_string(c->event));
    json_object_set_new(j, "source", json_string(c->source));
    json_object_set_new(j, "value", number(c->value));
    json_object_set_new(j, "reason", text(c->reason));
    json_object_set_new(j, "enabled_ns", count(c->enabled_ns));
    json_object_set_new(j, "running_ns", count(c->running_ns));
    json_object_set_new(j, "multiplexed",
                        isfinite(c->value) ? json_boolean(c->running_ns < c->enabled_ns)
                                           : json_null());
    json_object_set_new(j, "steps", count(c->steps));
    return j;
}

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
    json_object_set_new(j, "checkpoint", text(end->saved));
    json_object_set_new(j, "tainted", text(end->tainted));
    json_object_set_new(j, "steady", steady_json(end->steady));
    json_object_set_new(j, "unsteady", text(end->unsteady));
    json_object_set_new(j, "noise", noise_json(&end->noise));
    json_object_set_new(j, "rss_peak_bytes",
                        end->peak_rss_bytes > 0 ? json_integer(end->peak_rss_bytes) : json_null());
    json_object_set_new(j, "peak_bytes",
                        plan ? json_integer((long long)plan->peak_bytes) : json_null());
    return j;
}
