/* trainer.c — see trainer.h. */
#define _GNU_SOURCE
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/dump.h"
#include "train/loop.h"
#include "train/memory.h"
#include "train/recipe.h"
#include "train/schedule.h"

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
    return optimizer_update_program(&t->optimizer, crew, p);
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

static bool open_graph(const struct opening *o)
{
    struct trainer *t = o->t;
    t->graph = graph_new(t->recipe.batch);
    t->plugin.facts.build(t->graph, t->variant->config);
    const char *error = graph_error(t->graph);
    return !error || err_set(o->err, "%s", error);
}

static bool stopped(void) { return loop_stop; }

static bool open_data(const struct opening *o)
{
    struct trainer *t = o->t;
    if (strcmp(t->plugin.facts.dataset, "images") != 0)
        return err_status(o->err, EXIT_PLUGIN, "%s: dataset: found '%.60s', expected 'images'",
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
    wish.seed = (uint64_t)o->spec->seed;
    wish.items = (size_t)t->recipe.batch * NOISE_STEPS;
    dataset_noise(&wish, graph_classes(t->graph), &t->data);
    return true;
}

/* Nothing is evaluated on noise, so nothing need be ready for it. */
static bool open_test(const struct opening *o, struct program_options options)
{
    struct trainer *t = o->t;
    if (t->data.noise)
        return true;
    options.train = options.update_inside = false;
    options.share = t->program;
    t->test = program_new(t->graph, &options, o->err);
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
    t->program = program_new(t->graph, &options, o->err);
    if (!t->program || !find_inputs(t->program, &t->feed, &t->inputs, o->err) ||
        !check_classes(t->program, &t->data, o->err) || !open_test(o, options))
        return false;
    const bool noise = t->data.noise; /* drawn once: drawing would be timed with every step */
    program_set_hooks(t->program,
                      &(struct program_hooks){noise ? NULL : feed_train, update, t, apply});
    size_t count;
    program_weights(t->program, &count);
    optimizer_init(&t->optimizer, &t->recipe, count);
    return !o->spec->init || dump_load_params(o->spec->init, t->program, o->err);
}

static bool open_feeds(const struct opening *o)
{
    struct trainer *t = o->t;
    const struct nn_recipe *r = &t->recipe;
    const uint64_t seed = (uint64_t)o->spec->seed;
    struct nn_shape shape = {{0}};
    const struct tensor *image = program_find(t->program, TENSOR_INPUT, "image");
    for (int i = 0; i < NN_MAX_RANK && image->shape.dim[i + 1]; i++)
        shape.dim[i] = image->shape.dim[i + 1];
    if (!feed_init(&t->feed, &t->data, true, shape, r->ink_low, r->ink_high, r->augment, seed,
                   o->err) ||
        !feed_init(&t->test_feed, &t->data, false, shape, r->ink_low, r->ink_high, NULL, seed,
                   o->err))
        return false;
    if (t->data.noise)
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

static bool make_plan(const struct opening *o)
{
    struct trainer *t = o->t;
    struct run_plan *p = &t->plan;
    const struct nn_published *published = &t->variant->published;
    COPY(p->plugin, t->plugin.facts.name);
    COPY(p->variant, t->variant->name);
    COPY(p->isa, kn->isa);
    COPY(p->precision, "f32");
    COPY(p->dataset, t->data.name);
    COPY(p->dataset_path, t->data.path);
    COPY(p->dataset_sha256, t->data.sha256);
    COPY(p->published_name, published->metric_name);
    COPY(p->published_dataset, published->dataset);
    COPY(p->published_source, published->source);
    p->published_metric = published->metric != 0 ? published->metric : (double)NAN;
    p->synthetic = t->data.synthetic;
    p->train_items = t->data.noise ? 0 : t->data.train.items;
    p->test_items = t->data.test.items;
    p->batch = t->recipe.batch;
    p->epochs = t->recipe.epochs;
    p->seed = o->spec->seed;
    p->params = graph_params(t->graph);
    p->macs = graph_macs(t->graph);
    p->steps_per_epoch = (long long)(t->data.train.items / (size_t)p->batch);
    t->steps_all = p->steps_per_epoch * p->epochs;
    int steps;
    const struct program_step *step = program_steps(t->program, &steps);
    for (int i = 0; i < steps; i++) {
        p->flops_step += step[i].flops;
        p->bytes_step += step[i].bytes;
    }
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
        {"loading the plugin", open_plugin}, {"build()", open_graph},  {"reading data", open_data},
        {"planning", open_programs},         {"planning", open_feeds}, {"planning", make_plan},
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

bool trainer_step(struct trainer *t)
{
    optimizer_begin(&t->optimizer, trainer_rate(t));
    t->steps++;
    return program_run(t->program);
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
