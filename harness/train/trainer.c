/* trainer.c — see trainer.h. */
#define _GNU_SOURCE
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "train/dump.h"
#include "train/loop.h"
#include "train/memory.h"
#include "train/recipe.h"
#include "train/schedule.h"
#include "train/trainer_sequences.h"

/* ---------------------------------------------------------------- inputs, hooks */

static void feed_train(void *arg, const struct crew *crew, struct program *p)
{
    const struct trainer *t = arg;
    const struct trainer_inputs *i = &t->inputs;
    feed_fill(i->feed, crew, program_batch(p), i->image, i->label);
}

static void feed_test(void *arg, const struct crew *crew, struct program *p)
{
    const struct trainer *t = arg;
    const struct trainer_inputs *i = &t->test_inputs;
    feed_fill(i->feed, crew, program_batch(p), i->image, i->label);
}

static float update(void *arg, const struct crew *crew, struct program *p)
{
    const struct trainer *t = arg;
    return optimizer_update(&t->optimizer, crew, p);
}

static float apply(void *arg, struct program *p, size_t at, size_t n, const float *g)
{
    const struct trainer *t = arg;
    return optimizer_apply(&t->optimizer, p, at, n, g);
}

static bool find_inputs(const struct program *p, struct feed *feed, struct trainer_inputs *inputs,
                        struct err *err)
{
    const struct tensor *image = program_find(p, TENSOR_INPUT, "image");
    const struct tensor *label = program_find(p, TENSOR_INPUT, "label"), *other;
    for (int i = 0; (other = program_tensor(p, TENSOR_INPUT, i)); i++)
        if (other != image && other != label)
            return err_set(err, "input '%s': image sets give 'image' and 'label' only",
                           other->name);
    if (!image || image->type != NN_F32)
        return err_set(err, "the network has no float input 'image'");
    if (!label || label->type != NN_I32 || label->elements != (size_t)program_batch(p))
        return err_set(err, "the network has no integer input 'label', one for each image");
    *inputs = (struct trainer_inputs){feed, image->data, label->data};
    return true;
}

/* Kernels index scores by label and check nothing. */
static bool check_classes(const struct program *p, const struct dataset *d, struct err *err)
{
    const struct tensor *out = program_tensor(p, TENSOR_OUTPUT, 0);
    int last = 0;
    for (int i = 0; out && i <= NN_MAX_RANK && out->shape.dim[i]; i++)
        last = out->shape.dim[i];
    return last >= d->classes ||
           err_set(err, "data set '%s' has %d classes, the network %d outputs", d->name, d->classes,
                   last);
}

/* -------------------------------------------------------------------- opening */

struct opening {
    struct trainer *t;
    const struct run_spec *spec;
    size_t items;
    void (*say)(const char *what);
    struct err *err;
};

/* Steps of an epoch of noise: more than anybody times. */
enum { NOISE_STEPS = 100000 };

static bool open_plugin(const struct opening *o)
{
    struct trainer *t = o->t;
    struct run_spec spec = *o->spec;
    if (spec.synthetic && spec.epochs < 0)
        spec.epochs = 1;
    if (!plugin_open(o->spec->plugin_path, &t->plugin, o->err))
        return false;
    t->variant = plugin_variant(&t->plugin, o->spec->variant, o->err);
    return t->variant &&
           recipe_resolve(plugin_recipe(&t->plugin, t->variant), &spec, &t->recipe, o->err);
}

static bool is_sequential(const struct trainer *t) { return t->variant->task != NULL; }

static bool open_sequences(const struct opening *o)
{
    struct trainer *t = o->t;
    if (!is_sequential(t))
        return true;
    return trainer_open_sequences(t, o->spec, o->items, o->err);
}

static bool open_graph(const struct opening *o)
{
    struct trainer *t = o->t;
    if (is_sequential(t))
        return trainer_build_sequences(t, o->err);
    t->graph = graph_new(t->recipe.batch);
    t->plugin.facts.build(t->graph, t->variant->config);
    const char *error = graph_error(t->graph);
    return !error || err_set(o->err, "%s", error);
}

static bool stopped(void) { return loop_stop; }

static bool open_data(const struct opening *o)
{
    struct trainer *t = o->t;
    if (is_sequential(t))
        return true;
    if (strcmp(t->plugin.facts.dataset, "images") != 0)
        return err_status(
            o->err, EXIT_PLUGIN,
            "%s: dataset: found '%.60s', expected 'images' for a variant without a task",
            o->spec->plugin_path, t->plugin.facts.dataset);
    const struct nn_shape image = graph_input(t->graph, "image");
    const bool flat = image.dim[1] == 0;
    struct dataset_wish wish = {
        .items = o->items,
        .cache = o->spec->cache,
        .say = o->say,
        .stopped = stopped,
        .channels = flat ? 0 : image.dim[0],
        .height = flat ? 0 : image.dim[1],
        .width = flat ? image.dim[0] : image.dim[2],
    };
    if (!o->spec->synthetic) {
        const bool fine = dataset_open(o->spec->data, &wish, &t->data, o->err);
        crew_dismiss(); /* all cores have read; the run may want fewer */
        return fine;
    }
    t->noise = true;
    wish.seed = (uint64_t)o->spec->seed;
    wish.items = (size_t)t->recipe.batch * NOISE_STEPS;
    dataset_noise(&wish, graph_classes(t->graph), &t->data);
    return true;
}

/* Nothing is evaluated on noise, so nothing need be ready for it. */
static bool open_test(const struct opening *o, struct program_options options)
{
    struct trainer *t = o->t;
    if (t->noise)
        return true;
    options.train = options.update_inside = false;
    options.share = t->program;
    options.lend = is_sequential(t) ? t->program : NULL;
    t->test = program_new(t->graph, &options, o->err);
    if (is_sequential(t))
        return t->test != NULL;
    if (!t->test || !find_inputs(t->test, &t->test_feed, &t->test_inputs, o->err))
        return false;
    program_set_hooks(t->test, &(struct program_hooks){.feed = feed_test, .arg = t});
    return true;
}

static bool open_programs(const struct opening *o)
{
    struct trainer *t = o->t;
    struct program_options options = {
        .threads = o->spec->threads > 0 ? o->spec->threads : crew_cores(),
        .train = true,
        .no_fuse = o->spec->no_fuse,
        .no_lanes = o->spec->no_lanes,
        .conv_algo = kn_conv_algo(o->spec->conv_algo),
        .update_inside = optimizer_takes_parts(&t->recipe) && !o->spec->dump,
        .seed = (uint64_t)o->spec->seed,
    };
    t->plan.threads = options.threads;
    t->ran = t->program = program_new(t->graph, &options, o->err);
    const bool images = t->program && !is_sequential(t);
    if (!t->program || (images && (!find_inputs(t->program, &t->feed, &t->inputs, o->err) ||
                                   !check_classes(t->program, &t->data, o->err))))
        return false;
    /* noise is drawn once: drawing would be timed with every step */
    t->hooks = (struct program_hooks){images && !t->noise ? feed_train : NULL, update, t, apply};
    program_set_hooks(t->program, &t->hooks);
    if (!open_test(o, options) ||
        (is_sequential(t) && !trainer_share_sequences(t, &options, o->err)))
        return false;
    size_t count;
    program_weights(t->program, &count);
    optimizer_init(&t->optimizer, &t->recipe, count);
    return !o->spec->init || (dump_load_params(o->spec->init, t->program, o->err) &&
                              dump_check_vocabulary(o->spec->init, t->sequences, o->err));
}

static bool open_feeds(const struct opening *o)
{
    struct trainer *t = o->t;
    const struct nn_recipe *r = &t->recipe;
    const uint64_t seed = (uint64_t)o->spec->seed;
    if (is_sequential(t))
        return trainer_feed_sequences(t, seed, o->err);
    struct nn_shape shape = {{0}};
    const struct tensor *image = program_find(t->program, TENSOR_INPUT, "image");
    for (int i = 0; i < NN_MAX_RANK && image->shape.dim[i + 1]; i++)
        shape.dim[i] = image->shape.dim[i + 1];
    if (!feed_init(&t->feed, &t->data, true, shape, r->ink_low, r->ink_high, r->augment, seed,
                   o->err) ||
        !feed_init(&t->test_feed, &t->data, false, shape, r->ink_low, r->ink_high, NULL, seed,
                   o->err))
        return false;
    if (t->noise)
        feed_fill(&t->feed, CREW_ALONE, r->batch, t->inputs.image, t->inputs.label);
    if (t->data.train.items < (size_t)r->batch)
        return err_status(o->err, EXIT_USAGE, "batch %d is larger than the training set, %zu items",
                          r->batch, t->data.train.items);
    return true;
}

/* ---------------------------------------------------------------------- the plan */

static void plan_memory(struct trainer *t)
{
    const struct run_memory m = run_memory(t->program, t->test, &t->optimizer);
    t->plan.activation_bytes = m.activations;
    t->plan.parameter_bytes = m.parameters;
    t->plan.peak_bytes = m.total;
    for (int b = 0; b + 1 < t->buckets.count; b++) {
        const struct run_memory more =
            run_memory(t->bucket[b].program, t->bucket[b].test, &t->optimizer);
        t->plan.activation_bytes += more.activations;
        t->plan.peak_bytes += more.total - more.parameters - more.optimizer;
    }
}

static bool plan_config(struct trainer *t, const struct run_spec *spec, struct err *err)
{
    json_t *j = recipe_json(&t->recipe);
    json_object_set_new(j, "threads", json_integer(t->plan.threads));
    json_object_set_new(j, "isa", json_string(kn->isa));
    json_object_set_new(j, "precision", json_string("f32"));
    json_object_set_new(j, "fuse", json_boolean(!spec->no_fuse));
    json_object_set_new(j, "lanes", json_boolean(!spec->no_lanes));
    if (kn_conv_algo(spec->conv_algo) != CONV_AUTO)
        json_object_set_new(j, "conv_algo", json_string(spec->conv_algo));
    if (spec->profile)
        json_object_set_new(j, "profile", json_true());
    if (spec->max_steps > 0)
        json_object_set_new(j, "max_steps", json_integer(spec->max_steps));
    if (spec->to_accuracy > 0)
        json_object_set_new(j, "to_accuracy", json_real(spec->to_accuracy));
    if (spec->time_budget > 0)
        json_object_set_new(j, "time_budget", json_real(spec->time_budget));
    if (spec->synthetic)
        json_object_set_new(j, "synthetic", json_true());
    if (t->variant->task)
        json_object_set_new(j, "task", json_string(t->variant->task));
    if (t->buckets.count > 1)
        json_object_set_new(j, "buckets", json_integer(t->buckets.count));
    if (spec->init)
        json_object_set_new(j, "init", json_string(spec->init));
    const size_t n = json_dumpb(j, t->plan.config, sizeof t->plan.config - 1,
                                JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(12));
    json_decref(j);
    if (n == 0 || n >= sizeof t->plan.config)
        return err_set(err, "the settings take %zu bytes, more than %zu", n, sizeof t->plan.config);
    t->plan.config[n] = '\0';
    return true;
}

static void copy_text(char *to, size_t room, const char *from)
{
    snprintf(to, room, "%s", from ? from : "");
}
#define COPY(to, from) copy_text((to), sizeof(to), (from))

/* Which data, how much of it. */
static void plan_data(struct trainer *t)
{
    struct run_plan *p = &t->plan;
    const struct sequences *s = t->sequences;
    const size_t batch = (size_t)p->batch;
    COPY(p->dataset, s ? s->name : is_sequential(t) ? "noise" : t->data.name);
    COPY(p->dataset_path, s ? s->path : t->data.path);
    COPY(p->dataset_sha256, s ? s->sha256 : t->data.sha256);
    COPY(p->dataset_notes, s ? text_str(&s->notes) : NULL);
    if (is_sequential(t) && t->noise)
        sha256_of(t->variant->task, strlen(t->variant->task), p->dataset_sha256);
    p->synthetic = s ? s->synthetic : t->noise || t->data.synthetic;
    if (s) {
        p->train_items =
            s->running ? sequence_feed_items(&t->sequence_feed) : s->items[SPLIT_TRAIN];
        p->test_items = sequence_feed_items(&t->sequence_test_feed);
        p->steps_per_epoch = (long long)t->sequence_feed.batches;
        return;
    }
    p->train_items = t->noise ? 0 : t->data.train.items;
    p->test_items = t->data.test.items;
    p->steps_per_epoch = is_sequential(t) ? NOISE_STEPS : (long long)(t->data.train.items / batch);
}

static void add_work(struct run_plan *p, const struct program *of, double share)
{
    int steps;
    const struct program_step *step = program_steps(of, &steps);
    for (int i = 0; i < steps; i++) {
        p->flops_step += share * step[i].flops;
        p->bytes_step += share * step[i].bytes;
    }
}

/* Of a step; where there are buckets, of the mean step of an epoch. */
static void plan_work(struct trainer *t)
{
    const struct sequence_feed *f = &t->sequence_feed;
    if (t->buckets.count <= 1) {
        add_work(&t->plan, t->program, 1.0);
        return;
    }
    for (size_t i = 0; i < f->batches; i++)
        add_work(&t->plan, t->bucket[f->bucket[i]].program, 1.0 / (double)f->batches);
}

static bool make_plan(const struct opening *o)
{
    struct trainer *t = o->t;
    struct run_plan *p = &t->plan;
    const struct nn_published *published = &t->variant->published;
    COPY(p->plugin, t->plugin.facts.name);
    COPY(p->variant, t->variant->name);
    COPY(p->isa, kn->isa);
    COPY(p->precision, "f32");
    COPY(p->published_name, published->metric_name);
    COPY(p->published_dataset, published->dataset);
    COPY(p->published_source, published->source);
    p->published_metric = published->metric != 0 ? published->metric : (double)NAN;
    p->batch = t->recipe.batch;
    p->epochs = t->recipe.epochs;
    p->seed = o->spec->seed;
    p->params = graph_params(t->graph);
    p->macs = graph_macs(t->graph);
    plan_data(t);
    t->steps_all = p->steps_per_epoch * p->epochs;
    plan_work(t);
    plan_memory(t);
    return plan_config(t, o->spec, o->err);
}

bool trainer_open(struct trainer *t, const struct run_spec *spec, size_t items,
                  void (*say)(const char *what), struct err *err)
{
    static const struct {
        const char *what;
        bool (*open)(const struct opening *o);
    } part[] = {
        {"loading the plugin", open_plugin},
        {"reading data", open_sequences},
        {"build()", open_graph},
        {"reading data", open_data},
        {"planning", open_programs},
        {"planning", open_feeds},
        {"planning", make_plan},
    };
    *t = (struct trainer){0};
    const struct opening o = {t, spec, items, say, err};
    for (size_t i = 0; i < sizeof part / sizeof part[0]; i++) {
        if (say)
            say(part[i].what);
        if (!part[i].open(&o)) {
            trainer_close(t);
            return false;
        }
    }
    return true;
}

void trainer_close(struct trainer *t)
{
    trainer_close_sequences(t);
    feed_release(&t->feed);
    feed_release(&t->test_feed);
    optimizer_release(&t->optimizer);
    program_free(t->test);
    program_free(t->program);
    graph_free(t->graph);
    dataset_close(&t->data);
    plugin_close(&t->plugin);
    *t = (struct trainer){0};
}

/* ------------------------------------------------------------------- training */

double trainer_rate(const struct trainer *t)
{
    return schedule_rate(&t->recipe, t->steps, t->plan.steps_per_epoch, t->steps_all);
}

void trainer_start(struct trainer *t, int epoch)
{
    if (!t->sequences) {
        if (!is_sequential(t))
            feed_start(&t->feed, epoch);
        return;
    }
    sequence_feed_start(&t->sequence_feed, epoch);
    for (int b = 0; b < t->buckets.count; b++)
        program_clear_state(t->bucket[b].program);
}

bool trainer_next(struct trainer *t)
{
    if (t->sequences)
        return sequence_feed_next(&t->sequence_feed);
    return is_sequential(t) ? t->steps < t->steps_all : feed_next(&t->feed, t->plan.batch);
}

static int bucket_now(const struct trainer *t)
{
    return t->sequences ? sequence_feed_bucket(&t->sequence_feed) : 0;
}

bool trainer_step(struct trainer *t)
{
    optimizer_begin(&t->optimizer, trainer_rate(t));
    t->steps++;
    t->ran = t->sequences ? t->bucket[bucket_now(t)].program : t->program;
    return program_run(t->ran);
}

double trainer_weight(const struct trainer *t)
{
    return t->sequences ? sequence_feed_counted(&t->sequence_feed, &t->bucket[bucket_now(t)].inputs)
                        : 1.0;
}

void trainer_count(struct trainer *t)
{
    program_count(t->program);
    for (int b = 0; b + 1 < t->buckets.count; b++)
        program_count(t->bucket[b].program);
    for (int b = 0; b < BUCKETS; b++)
        t->counting[b] = true;
}

bool trainer_audit(struct trainer *t, struct err *err)
{
    bool *const counting = &t->counting[bucket_now(t)];
    const bool due = *counting;
    *counting = false;
    return !due || program_audit(t->ran, err);
}

/* A batch's means count for its `valid` items; the last batch is filled up with items of label -1,
 * which losses and metrics leave out. */
static void add_batch(struct score *s, struct program *p, double valid)
{
    s->loss += valid * (double)program_loss(p);
    for (int i = 0; i < s->metrics; i++)
        s->metric[i].value += valid * (double)program_metric(p, i);
}

bool trainer_evaluate(struct trainer *t, bool (*look)(void *arg), void *arg, struct score *score)
{
    struct score s = {0};
    const size_t items = t->data.test.items;
    const int batch = t->plan.batch;
    const struct tensor *metric;
    for (; s.metrics < RUN_METRICS && (metric = program_tensor(t->test, TENSOR_METRIC, s.metrics));
         s.metrics++)
        COPY(s.metric[s.metrics].name, metric->name);
    if (t->sequences) {
        *score = s;
        return trainer_evaluate_sequences(t, look, arg, score);
    }
    t->ran = t->test;
    feed_start(&t->test_feed, 0);
    size_t seen = 0;
    for (bool more = items > 0; more; more = feed_next(&t->test_feed, batch)) {
        const size_t valid = items - seen < (size_t)batch ? items - seen : (size_t)batch;
        if (!program_run(t->test))
            return false;
        add_batch(&s, t->test, (double)valid);
        seen += valid;
        if (look && !look(arg))
            break;
    }
    const double n = seen ? (double)seen : (double)NAN;
    s.loss /= n;
    for (int i = 0; i < s.metrics; i++)
        s.metric[i].value /= n;
    *score = s;
    return true;
}
