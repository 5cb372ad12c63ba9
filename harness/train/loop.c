/* loop.c — see loop.h. */
#define _GNU_SOURCE
#include "train/loop.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "train/checkpoint.h"
#include "train/dump.h"
#include "train/gauges.h"
#include "train/judge.h"
#include "train/profile.h"
#include "train/steady.h"
#include "train/trainer.h"

atomic_int loop_stop;

static const int64_t progress_ns = 200000000; /* between two frames of progress */
enum { PROFILE_AFTER = 10 };                  /* steps, when there are enough */

struct loop {
    const struct run_spec *spec;
    const struct run_sink *sink;
    struct trainer t;
    struct gauges gauges;
    long long watched; /* the step before the first that gauges watch in this epoch; -1: none */
    struct run_end end;
    int64_t born, began, told; /* the worker's start, training's start, last progress; ns */
    double steps_ns, eval_ns;
    double *ns; /* of every step so far */
    size_t room;
    int epoch;     /* being trained, from 0 */
    int evaluated; /* epochs that ended, by a limit too, with an evaluation */
    int accuracy;  /* which metric is called so; -1: none */
    double smooth_loss, smooth_accuracy;
    long long profiled; /* steps before per-op timing began; -1: not yet */
    bool stop;          /* the reason is in `end` */
    struct judge judge; /* what was said when training had ended */
};

static double seconds(int64_t ns) { return (double)ns * 1e-9; }

/* ------------------------------------------------------------------- progress */

static double smoothed(double old, double new)
{
    return isnan(old) ? new : 0.98 * old + 0.02 * new;
}

static double eta(const struct loop *l, int64_t now)
{
    const double done = (double)l->t.steps, all = (double)l->t.steps_all;
    const double spent = seconds(now - l->began);
    const double left = done > 0 ? spent * (all - done) / done : (double)NAN;
    const double budget = l->spec->time_budget - spent;
    return l->spec->time_budget > 0 ? fmin(left, fmax(budget, 0)) : left;
}

static void tell_progress(struct loop *l, int64_t now)
{
    l->told = now;
    const struct run_progress p = {
        .epoch = l->epoch,
        .step = l->t.steps,
        .loss = l->smooth_loss,
        .accuracy = l->smooth_accuracy,
        .samples_per_s = (double)l->t.plan.batch * (double)l->t.steps / (l->steps_ns * 1e-9),
        .eta_s = eta(l, now),
    };
    if (!l->sink->progress)
        return;
    gauges_pause(&l->gauges);
    l->sink->progress(l->sink->arg, &p);
    gauges_resume(&l->gauges);
}

/* -------------------------------------------------------------------- stopping */

__attribute__((format(printf, 3, 4))) static void stop(struct loop *l, int status, const char *fmt,
                                                       ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(l->end.reason, sizeof l->end.reason, fmt, ap);
    va_end(ap);
    l->end.status = status;
    l->stop = true;
}

/* A run on noise has nothing to learn: it ends when its time is known, the sooner the quicker
 * the step. */
static const struct enough {
    long long steps;
    double seconds;
} noise_enough[] = {{40, 3}, {30, 20}, {3, 40}};

enum { NOISE_FEW = 20 }; /* steps that all but the slowest networks make then */

static bool timed_enough(const struct loop *l, int64_t now)
{
    const struct run_spec *s = l->spec;
    if (!l->t.noise || s->max_steps > 0 || s->time_budget > 0 || s->epochs > 0)
        return false;
    bool enough = false;
    for (size_t i = 0; i < sizeof noise_enough / sizeof *noise_enough; i++)
        enough = enough || (l->t.steps >= noise_enough[i].steps &&
                            seconds(now - l->began) >= noise_enough[i].seconds);
    return enough;
}

/* Behind each step and each batch of an evaluation. */
static void look_around(struct loop *l, int64_t now)
{
    if (loop_stop)
        stop(l, RUN_INTERRUPTED, "interrupted");
    else if (l->spec->time_budget > 0 && seconds(now - l->began) >= l->spec->time_budget)
        stop(l, RUN_OK, "time budget of %g s", l->spec->time_budget);
    else if (timed_enough(l, now))
        stop(l, RUN_OK, "%lld steps of synthetic data are enough", l->t.steps);
    if (now - l->told >= progress_ns)
        tell_progress(l, now);
    gauges_tick(&l->gauges, now);
}

static bool look_while_evaluating(void *arg)
{
    struct loop *l = arg;
    const int64_t now = clock_ns();
    if (now - l->told >= progress_ns)
        tell_progress(l, now);
    return !loop_stop;
}

/* --------------------------------------------------------------------- one epoch */

/* Sums over the steps of an epoch, each step counting for its predictions where these differ. */
struct sums {
    double weight, loss, metric[RUN_METRICS];
    int metrics;
};

static void start_profile(struct loop *l)
{
    const long long after = l->t.steps_all > 2LL * PROFILE_AFTER ? PROFILE_AFTER : 0;
    if (l->spec->profile && l->profiled < 0 && l->t.steps >= after) {
        l->profiled = l->t.steps;
        program_time_steps(l->t.program, true);
    }
}

/* From the first step that cannot be warm-up any more, however long it takes to settle. */
static void start_gauges(struct loop *l)
{
    long long all = l->t.noise ? NOISE_FEW : l->t.steps_all;
    if (l->spec->max_steps > 0 && l->spec->max_steps < all)
        all = l->spec->max_steps;
    if (l->watched >= 0 || l->t.steps < (long long)steady_most((size_t)all))
        return;
    l->watched = l->t.steps;
    gauges_open(&l->gauges, l->t.program, true);
}

static void step(struct loop *l, struct sums *sums)
{
    start_profile(l);
    start_gauges(l);
    const bool first = l->t.steps == 0;
    if (first)
        trainer_count(&l->t);
    const int64_t before = clock_ns();
    const bool finite = trainer_step(&l->t);
    const int64_t after = clock_ns();
    const struct program *p = l->t.ran;
    l->ns[l->t.steps - 1] = (double)(after - before);
    l->steps_ns += (double)(after - before);
    if (!finite) {
        stop(l, RUN_FAILED, "step %lld: %s", l->t.steps, program_blame(l->t.ran));
        return;
    }
    struct err wrong;
    if (!trainer_audit(&l->t, &wrong)) {
        stop(l, RUN_FAILED, "%s", wrong.text);
        return;
    }
    const double weight = trainer_weight(&l->t);
    sums->weight += weight;
    sums->loss += weight * (double)program_loss(p);
    for (int i = 0; i < sums->metrics; i++)
        sums->metric[i] += weight * (double)program_metric(p, i);
    l->smooth_loss = smoothed(l->smooth_loss, (double)program_loss(p));
    if (l->accuracy >= 0)
        l->smooth_accuracy = smoothed(l->smooth_accuracy, (double)program_metric(p, l->accuracy));
    if (l->spec->max_steps > 0 && l->t.steps >= l->spec->max_steps)
        stop(l, RUN_OK, "%lld steps", l->t.steps);
    look_around(l, after);
}

static void train_epoch(struct loop *l, struct sums *sums)
{
    const size_t most = (size_t)(l->t.steps + l->t.plan.steps_per_epoch);
    if (most > l->room) {
        l->room = most * 2;
        l->ns = xrealloc(l->ns, l->room * sizeof *l->ns);
    }
    while (!l->t.noise && sums->metrics < RUN_METRICS &&
           program_tensor(l->t.program, TENSOR_METRIC, sums->metrics))
        sums->metrics++;
    trainer_start(&l->t, l->epoch);
    l->watched = -1;
    do
        step(l, sums);
    while (!l->stop && trainer_next(&l->t));
    if (l->watched >= 0)
        gauges_close(&l->gauges, l->t.program, l->t.steps - l->watched);
}

/* Names of costs; everything else is better when larger. */
static bool is_cost(const char *name)
{
    return strstr(name, "loss") || strstr(name, "error") || strstr(name, "perplexity") ||
           strstr(name, "mse");
}

static void keep_scores(struct run_end *end, const struct score *score)
{
    for (int i = 0; i < score->metrics; i++) {
        const struct run_metric *new = &score->metric[i];
        struct run_metric *best = &end->best[i];
        const bool better =
            is_cost(new->name) ? new->value < best->value : new->value > best->value;
        if (!best->name[0] || better)
            *best = *new;
        end->last[i] = *new;
    }
    end->metrics = score->metrics;
}

/* Does an evaluation, or the best of them, meet --to-accuracy? */
static bool reaches_target(const struct loop *l, const struct run_metric *metric, int metrics)
{
    const double target = l->spec->to_accuracy;
    return target > 0 && l->accuracy >= 0 && l->accuracy < metrics &&
           metric[l->accuracy].value >= target;
}

/* Is this evaluation the last? A run that looks at a few steps does not ask what was learnt. */
static bool is_final(const struct loop *l, const struct score *score)
{
    const bool reached = reaches_target(l, score->metric, score->metrics);
    return l->spec->max_steps <= 0 && (l->stop || reached || l->epoch + 1 >= l->t.recipe.epochs);
}

/* Fills what the evaluation knows; false when it met a NaN or was interrupted. */
static bool evaluate(struct loop *l, struct run_epoch *e)
{
    struct score score;
    const int64_t before = clock_ns();
    const bool finite = trainer_evaluate(&l->t, look_while_evaluating, l, &score);
    if (finite && !loop_stop && is_final(l, &score) && judge_can(&l->t))
        (void)judge_translations(&l->t, look_while_evaluating, l, &score, &l->judge);
    const int64_t spent = clock_ns() - before;
    l->eval_ns += (double)spent;
    if (!finite) {
        stop(l, RUN_FAILED, "evaluation after step %lld: %s", l->t.steps, program_blame(l->t.ran));
        return false;
    }
    if (loop_stop) {
        stop(l, RUN_INTERRUPTED, "interrupted");
        return false;
    }
    keep_scores(&l->end, &score);
    e->eval_s = seconds(spent);
    e->test_loss = score.loss;
    e->metrics = score.metrics;
    memcpy(e->test, score.metric, sizeof e->test);
    memcpy(e->train, score.metric, sizeof e->train);
    for (int i = 0; i < e->metrics; i++)
        e->train[i].value = NAN; /* steps have given none of what is judged at the end only */
    return true;
}

/* One pass, or what stopping early leaves of it, and its evaluation. */
static void run_epoch(struct loop *l)
{
    struct sums sums = {0};
    const long long first = l->t.steps;
    const int64_t before = clock_ns();
    train_epoch(l, &sums);
    struct run_epoch e = {
        .epoch = l->epoch + 1,
        .train_s = seconds(clock_ns() - before),
        .rate = (double)l->t.optimizer.sgd.rate,
        .test_loss = NAN,
    };
    if (l->end.status != RUN_OK || (!l->t.noise && !evaluate(l, &e)))
        return;
    const size_t n = (size_t)(l->t.steps - first), warm = steady_warmup(l->ns, (size_t)l->t.steps);
    l->evaluated++;
    e.step = l->t.steps;
    e.items = l->t.steps * l->t.plan.batch;
    e.time_s = seconds(clock_ns() - l->began);
    e.train_loss = l->end.train_loss = sums.loss / sums.weight;
    for (int i = 0; i < sums.metrics; i++)
        e.train[i].value = sums.metric[i] / sums.weight;
    e.step_ns = l->ns + first;
    e.steps = n;
    e.warm = warm > (size_t)first ? warm - (size_t)first : 0;
    e.warm = e.warm < n ? e.warm : n;
    if (l->sink->epoch)
        l->sink->epoch(l->sink->arg, &e);
}

static void check_target(struct loop *l)
{
    if (l->spec->to_accuracy <= 0 || l->end.status != RUN_OK)
        return;
    l->end.target_missed = !reaches_target(l, l->end.best, l->end.metrics);
    if (!l->end.target_missed)
        stop(l, RUN_OK, "reached %g", l->spec->to_accuracy);
}

/* By how much, and what else ended the run. */
static void tell_missed(struct run_end *e, int accuracy, double target)
{
    char how[RUN_TEXT], why[RUN_TEXT];
    if (!e->target_missed || e->status != RUN_OK)
        return;
    if (e->metrics > accuracy)
        snprintf(how, sizeof how, "accuracy %.2f %% at best, wanted %g %%", e->best[accuracy].value,
                 target);
    else
        snprintf(how, sizeof how, "nothing was evaluated, wanted an accuracy of %g %%", target);
    snprintf(why, sizeof why, "%s", e->reason);
    snprintf(e->reason, sizeof e->reason, "%.200s%s%.200s", how, *why ? "; " : "", why);
}

/* --------------------------------------------------------------------- the end */

static double mean(const double *ns, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += ns[i];
    return n ? sum / (double)n : (double)NAN;
}

static void sum_up(struct loop *l)
{
    struct run_end *e = &l->end;
    const size_t n = (size_t)l->t.steps, warm = steady_warmup(l->ns, n);
    const struct steady s = steady_of(l->ns + warm, n - warm);
    e->steps = l->t.steps;
    e->step_ms_median = s.median * 1e-6;
    e->step_ms_mad = n - warm > 1 ? s.mad * 1e-6 : (double)NAN; /* one step tells no spread */
    e->step_ms_min = s.min * 1e-6;
    e->samples_per_s = (double)l->t.plan.batch / (s.median * 1e-9);
    e->time_s = l->began ? seconds(clock_ns() - l->began) : 0;
    e->steady = steady_judge(l->ns, n, e->unsteady);
    if (l->t.buckets.count > 1) { /* there is no such thing as the step */
        e->steady = RUN_STEADY_UNKNOWN;
        snprintf(e->unsteady, sizeof e->unsteady, "batches of %d lengths take times of their own",
                 l->t.buckets.count);
        e->samples_per_s = (double)l->t.plan.batch / (mean(l->ns + warm, n - warm) * 1e-9);
    }
    e->noise = l->gauges.noise.sum;
    (void)noise_taint(&e->noise, e->tainted);
}

/* Of what has been learnt; not of what was stopped by hand. */
static void tell_samples(struct loop *l)
{
    const int64_t before = clock_ns();
    if (l->end.status == RUN_OK && l->spec->max_steps <= 0)
        judge_tell(&l->t, &l->judge, l->sink);
    l->eval_ns += (double)(clock_ns() - before);
}

static void train(struct loop *l, void (*say)(const char *what))
{
    if (say)
        say("training");
    l->began = l->told = clock_ns();
    if (l->t.recipe.epochs == 0 && !l->t.noise) { /* what the initial parameters are worth */
        struct run_epoch e = {.rate = NAN, .train_loss = NAN};
        if (evaluate(l, &e) && l->sink->epoch)
            l->sink->epoch(l->sink->arg, &e);
        check_target(l);
    }
    for (; l->epoch < l->t.recipe.epochs && !l->stop; l->epoch++) {
        run_epoch(l);
        check_target(l);
    }
    tell_missed(&l->end, l->accuracy, l->spec->to_accuracy);
    tell_samples(l);
    sum_up(l);
    profile_tell_layers(l->t.program, l->sink);
    gauges_tell(&l->gauges, l->t.program, l->sink);
}

/* What a run that failed has made is worth nothing, and one stopped in its first epoch should not
 * take the place of one that was not. */
static void save(struct loop *l)
{
    const struct run_spec *s = l->spec;
    const bool ended = l->end.status == RUN_OK || l->end.status == RUN_INTERRUPTED;
    if (!s->save || !ended || (s->save_unasked && (!l->t.sequences || l->evaluated == 0)))
        return;
    struct err err = {0};
    if (checkpoint_save(&l->t, &l->end, l->evaluated, s->save, &err))
        snprintf(l->end.saved, sizeof l->end.saved, "%s", s->save);
    else if (s->save_unasked)
        fprintf(stderr, "bench: parameters are not kept: %s\n", err.text);
    else
        stop(l, RUN_FAILED, "--save: %s", err.text);
}

static int find_accuracy(const struct program *p)
{
    const struct tensor *metric;
    for (int i = 0; (metric = program_tensor(p, TENSOR_METRIC, i)) && i < RUN_METRICS; i++)
        if (strcmp(metric->name, "accuracy") == 0)
            return i;
    return -1;
}

/* --to-accuracy is a percentage, which a loss is not. */
static bool check_wishes(const struct loop *l, struct err *err)
{
    const struct tensor *first = program_tensor(l->t.program, TENSOR_METRIC, 0);
    return l->spec->to_accuracy <= 0 || l->accuracy >= 0 ||
           err_status(err, EXIT_USAGE, "--to-accuracy: %s:%s has none, it is judged by its %s",
                      l->t.plan.plugin, l->t.plan.variant, first ? first->name : "loss");
}

/* A refused plugin is not a failed run; both remember what the command line would exit with. */
static void refuse(struct run_end *end, const struct err *err)
{
    end->status = err->status == EXIT_PLUGIN ? RUN_REFUSED : RUN_FAILED;
    end->exit_code = err->status;
    snprintf(end->reason, sizeof end->reason, "%.*s", RUN_TEXT - 1, err->text);
}

void loop_run(const struct run_spec *spec, const struct run_sink *sink,
              void (*say)(const char *what))
{
    struct loop l = {
        .spec = spec,
        .sink = sink,
        .end = {.step_ms_median = NAN,
                .step_ms_mad = NAN,
                .step_ms_min = NAN,
                .samples_per_s = NAN,
                .train_loss = NAN},
        .born = clock_ns(),
        .smooth_loss = NAN,
        .smooth_accuracy = NAN,
        .profiled = -1,
    };
    struct err err = {0};
    bool fine = kn_init(spec->isa, &err) || err_status(&err, EXIT_USAGE, "%s", err.text);
    fine = fine && gauges_init(&l.gauges, spec, &err);
    fine = fine && trainer_open(&l.t, spec, 0, say, &err);
    if (fine) {
        l.accuracy = find_accuracy(l.t.program);
        fine = check_wishes(&l, &err);
    }
    if (fine) {
        if (sink->plan)
            sink->plan(sink->arg, &l.t.plan);
        if (spec->dump)
            fine = dump_step(&l.t, spec->dump, &err);
        else if (spec->profile_s > 0)
            fine = profile_run(&l.t, spec, &l.gauges, sink, say, &l.end, &err);
        else if (!spec->dry_run) {
            train(&l, say);
            save(&l);
        }
    }
    trainer_close(&l.t);
    if (!fine)
        refuse(&l.end, &err);
    if (!fine && loop_stop) /* before the first step: decoding may take minutes */
        stop(&l, RUN_INTERRUPTED, "interrupted");
    l.end.harness_s = seconds(clock_ns() - l.born) - (l.steps_ns + l.eval_ns) * 1e-9;
    judge_release(&l.judge);
    free(l.ns);
    gauges_release(&l.gauges);
    if (sink->end)
        sink->end(sink->arg, &l.end);
}
