/* plugin_task.c — a plugin as a document: the worker's half of plugin_describe(). */
#define _GNU_SOURCE
#include "train/plugin_task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "graph/program.h"
#include "kernels/kernels.h"
#include "train/memory.h"
#include "train/plugin_load.h"
#include "train/recipe.h"

/* NULL strings and zeros are things not known: left out. */
static void set_text(json_t *j, const char *key, const char *s)
{
    if (s && *s)
        json_object_set_new(j, key, json_string(s));
}

static void set_number(json_t *j, const char *key, double v)
{
    if (v != 0)
        json_object_set_new(j, key, json_real(v));
}

static void set_count(json_t *j, const char *key, double v)
{
    json_object_set_new(j, key, json_integer((json_int_t)v));
}

static json_t *published_json(const struct nn_published *p)
{
    json_t *j = json_object();
    if (p->params > 0)
        set_count(j, "params", p->params);
    if (p->macs > 0)
        set_count(j, "macs", p->macs);
    set_number(j, "metric", p->metric);
    set_text(j, "metric_name", p->metric_name);
    set_text(j, "dataset", p->dataset);
    set_text(j, "source", p->source);
    return j;
}

/* --------------------------------------------------------------------- rows */

/* Trained scalars of a parameter: ones written and read again are zeros where a mask holds. */
static double trained(struct program *p, const struct tensor *t)
{
    float *x = xmalloc(t->elements * sizeof *x);
    double sum = 0;
    for (size_t i = 0; i < t->elements; i++)
        x[i] = 1;
    program_write(p, t, x);
    program_read(p, t, x);
    for (size_t i = 0; i < t->elements; i++)
        sum += (double)x[i];
    free(x);
    return sum;
}

static double row_params(struct program *p, const char *row)
{
    const size_t n = strlen(row);
    const struct tensor *t;
    double sum = 0;
    for (int i = 0; (t = program_tensor(p, TENSOR_PARAM, i)); i++)
        if (strncmp(t->name, row, n) == 0 && t->name[n] == '.')
            sum += trained(p, t);
    return sum;
}

/* What a row gives: its last result with more than one number a sample; losses and metrics, which
 * mostly stand in the last row, have none. */
static const char *row_shape(const struct program_step *step, int from, int to)
{
    for (int i = to - 1; i >= from; i--)
        if (strchr(step[i].shape, ','))
            return step[i].shape;
    return step[to - 1].shape;
}

/* Steps [from, to) of the forward pass are one row of the paper's table. */
static json_t *row_json(struct program *p, const struct program_step *step, int from, int to)
{
    struct text ops = {0};
    double macs = 0;
    for (int i = from; i < to; i++) {
        text_add(&ops, "%s%s", i > from ? " " : "", step[i].op);
        macs += step[i].macs;
    }
    json_t *j = json_object();
    json_object_set_new(j, "row", json_string(step[from].row));
    json_object_set_new(j, "ops", json_string(text_str(&ops)));
    json_object_set_new(j, "shape", json_string(row_shape(step, from, to)));
    set_count(j, "params", row_params(p, step[from].row));
    set_count(j, "macs", macs);
    text_release(&ops);
    return j;
}

static bool is_layer(const struct program_step *s) { return s->pass == 0 && s->row && s->row[0]; }

/* Of a forward program that is neither fused nor laid out anew, so that ops are as written. */
static json_t *rows_json(struct nn_graph *g)
{
    const struct program_options o = {.threads = 1, .no_fuse = true, .no_lanes = true};
    json_t *rows = json_array();
    struct program *p = program_new(g, &o, NULL);
    int n = 0;
    const struct program_step *step = p ? program_steps(p, &n) : NULL;
    for (int from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && strcmp(step[to].row, step[from].row) == 0; to++)
            ;
        if (is_layer(&step[from]))
            json_array_append_new(rows, row_json(p, step, from, to));
    }
    program_free(p);
    return rows;
}

/* ------------------------------------------------------------------- memory */

/* Plans a training run as the trainer does, and throws it away. */
static json_t *memory_json(const struct plugin *p, const struct nn_variant *v,
                           const struct nn_recipe *recipe, int threads, struct err *err)
{
    json_t *j = NULL;
    struct nn_graph *g = graph_new(recipe->batch);
    p->facts.build(g, v->config);
    struct program_options o = {
        .threads = threads, .train = true, .update_inside = optimizer_takes_parts(recipe)};
    struct program *train = program_new(g, &o, err), *test = NULL;
    if (train) {
        o.train = o.update_inside = false;
        o.share = train;
        o.lend = v->task ? train : NULL; /* as trainer.c does */
        test = program_new(g, &o, err);
    }
    if (test) {
        size_t count;
        struct optimizer optimizer;
        program_weights(train, &count);
        optimizer_init(&optimizer, recipe, count);
        const struct run_memory m = run_memory(train, test, &optimizer);
        optimizer_release(&optimizer);
        j = json_object();
        set_count(j, "batch", recipe->batch);
        set_count(j, "threads", threads);
        set_count(j, "parameters", (double)m.parameters);
        set_count(j, "gradients", (double)m.gradients);
        set_count(j, "optimizer", (double)m.optimizer);
        set_count(j, "activations", (double)m.activations);
        set_count(j, "work", (double)m.work);
        set_count(j, "inputs", (double)m.inputs);
        set_count(j, "evaluation", (double)m.evaluation);
        set_count(j, "total", (double)m.total);
    }
    program_free(test);
    program_free(train);
    graph_free(g);
    return j;
}

/* ------------------------------------------------------------------ variants */

/* What `bench info` was asked for. */
struct wish {
    const struct nn_variant *first; /* described in full */
    int batch, threads;             /* -1: the recipe's, all cores */
};

static json_t *variant_json(const struct plugin *p, const struct nn_variant *v,
                            const struct wish *wish)
{
    const struct run_spec spec = {.epochs = -1, .batch = v == wish->first ? wish->batch : -1};
    json_t *j = json_object();
    struct nn_recipe recipe;
    struct err err = {0};
    set_text(j, "name", v->name);
    set_text(j, "about", v->about);
    set_text(j, "task", v->task);
    json_object_set_new(j, "published", published_json(&v->published));

    struct nn_graph *g = graph_new(1);
    p->facts.build(g, v->config);
    if (graph_error(g)) {
        set_text(j, "error", graph_error(g));
    } else {
        set_count(j, "params", graph_params(g));
        set_count(j, "macs", graph_macs(g));
        if (v == wish->first)
            json_object_set_new(j, "rows", rows_json(g));
    }
    graph_free(g);

    if (recipe_resolve(plugin_recipe(p, v), &spec, &recipe, &err)) {
        json_t *r = recipe_json(&recipe);
        set_text(r, "note", recipe.note);
        json_object_set_new(j, "recipe", r);
        if (v == wish->first && !json_object_get(j, "error"))
            json_object_set_new(j, "memory", memory_json(p, v, &recipe, wish->threads, &err));
    }
    if (err.text[0])
        set_text(j, "error", err.text);
    return j;
}

static json_t *plugin_json(const struct plugin *p, const struct wish *wish, const char *path)
{
    char abi[32];
    const struct nn_plugin *f = &p->facts;
    json_t *j = json_object(), *variants = json_array();
    snprintf(abi, sizeof abi, "%u.%u", f->abi_major, f->abi_minor);
    set_text(j, "name", f->name);
    set_text(j, "title", f->title);
    set_count(j, "year", f->year);
    set_text(j, "citation", f->citation);
    set_text(j, "about", f->about);
    set_text(j, "dataset", f->dataset);
    set_text(j, "path", path);
    set_text(j, "abi", abi);
    json_array_append_new(variants, variant_json(p, wish->first, wish));
    for (const struct nn_variant *v = f->variants; v->name; v++)
        if (v != wish->first)
            json_array_append_new(variants, variant_json(p, v, wish));
    json_object_set_new(j, "variants", variants);
    return j;
}

static json_t *error_json(const struct err *err)
{
    return json_pack("{s:s, s:i}", "error", err->text, "status", err->status);
}

json_t *plugin_task_describe(const json_t *job, void (*say)(const char *what))
{
    const char *path = json_string_value(json_object_get(job, "path"));
    const char *variant = json_string_value(json_object_get(job, "variant"));
    struct plugin p;
    struct err err = {0};
    say("loading the plugin");
    if (!kn_init(NULL, &err) || !plugin_open(path, &p, &err))
        return error_json(&err);
    say("build()");
    const struct nn_variant *v = plugin_variant(&p, variant, &err);
    const struct wish wish = {
        .first = v,
        .batch = (int)json_integer_value(json_object_get(job, "batch")),
        .threads = (int)json_integer_value(json_object_get(job, "threads")),
    };
    json_t *j = v ? plugin_json(&p, &wish, path) : error_json(&err);
    plugin_close(&p);
    return j;
}
