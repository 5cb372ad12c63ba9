/* dump.c — see dump.h. */
#define _GNU_SOURCE
#include "train/dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "train/language.h"
#include "train/recipe.h"
#include "train/safetensors.h"

enum { NAME = 256 };

static int dims_of(const struct nn_shape *s, size_t dim[ST_RANK])
{
    int rank = 0;
    for (; rank < NN_MAX_RANK && s->dim[rank]; rank++)
        dim[rank] = (size_t)s->dim[rank];
    return rank;
}

/* -------------------------------------------------------------------- writing */

static void add_tensor(struct st_writer *w, const struct program *p, const char *prefix,
                       const struct tensor *t)
{
    char name[NAME];
    size_t dim[ST_RANK];
    void *logical = xmalloc(t->elements * sizeof(float));
    snprintf(name, sizeof name, "%s%s", prefix, t->name);
    program_read(p, t, logical);
    st_add(w, name, t->type == NN_I32 ? ST_I32 : ST_F32, dims_of(&t->shape, dim), dim, logical);
    free(logical);
}

void dump_add_tensors(struct st_writer *w, const struct program *p, int kind, const char *prefix)
{
    const struct tensor *t;
    for (int i = 0; (t = program_tensor(p, kind, i)); i++)
        add_tensor(w, p, prefix, t);
}

/* Every number of the recipe under its own name, as text. */
static void add_recipe(struct st_writer *w, const struct nn_recipe *r)
{
    json_t *recipe = recipe_json(r), *value;
    const char *key;
    json_object_foreach(recipe, key, value)
    {
        char *text =
            json_is_string(value)
                ? xstrdup(json_string_value(value))
                : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9));
        st_add_meta(w, key, text);
        free(text);
    }
    json_decref(recipe);
}

static void add_metadata(struct st_writer *w, const struct trainer *t)
{
    char number[64];
    const struct run_plan *p = &t->plan;
    st_add_meta(w, "format", "bench-dump 1");
    st_add_meta(w, "plugin", p->plugin);
    st_add_meta(w, "variant", p->variant);
    st_add_meta(w, "dataset", p->dataset);
    st_add_meta(w, "dataset_sha256", p->dataset_sha256);
    st_add_meta(w, "config", p->config);
    if (t->sequences) {
        struct language l;
        language_of(t->sequences, t->program, &l);
        language_write(&l, w);
    }
    snprintf(number, sizeof number, "%lld", (long long)p->seed);
    st_add_meta(w, "seed", number);
    add_recipe(w, &t->recipe);
}

bool dump_step(struct trainer *t, const char *path, struct err *err)
{
    struct program *p = t->program;
    struct st_writer *w = st_writer_new();
    add_metadata(w, t);
    dump_add_tensors(w, p, TENSOR_PARAM, "init.");
    dump_add_tensors(w, p, TENSOR_BUFFER, "init.");
    program_keep_output(p);
    trainer_start(t, 0);
    bool fine = trainer_step(t) || err_set(err, "step 1: %s", program_blame(p));
    if (fine) {
        dump_add_tensors(w, p, TENSOR_INPUT, "input.");
        dump_add_tensors(w, p, TENSOR_OUTPUT, "");
        dump_add_tensors(w, p, TENSOR_LOSS, "");
        dump_add_tensors(w, p, TENSOR_METRIC, "metric.");
        dump_add_tensors(w, p, TENSOR_GRAD, "grad.");
        dump_add_tensors(w, p, TENSOR_PARAM, "param.");
        dump_add_tensors(w, p, TENSOR_BUFFER, "param.");
        fine = st_write(w, path, err);
    }
    st_writer_free(w);
    return fine;
}

/* -------------------------------------------------------------------- reading */

static const struct st_tensor *find_param(const struct st_file *f, const char *name)
{
    static const char *const prefix[] = {"param.", "", "init."};
    const struct st_tensor *found = NULL;
    for (size_t i = 0; !found && i < sizeof prefix / sizeof prefix[0]; i++) {
        char full[NAME];
        snprintf(full, sizeof full, "%s%s", prefix[i], name);
        found = st_find(f, full);
    }
    return found;
}

static bool load_one(const char *path, const struct st_file *f, struct program *p,
                     const struct tensor *t, struct err *err)
{
    const struct st_tensor *from = find_param(f, t->name);
    if (!from)
        return err_status(err, EXIT_USAGE, "%s: parameter '%s' is not in the file", path, t->name);
    size_t dim[ST_RANK];
    char found[128], expected[128];
    const int rank = dims_of(&t->shape, dim);
    if (from->type != ST_F32)
        return err_status(err, EXIT_USAGE, "%s: '%s': found %s, expected F32", path, from->name,
                          st_type_name[from->type]);
    if (rank != from->rank || memcmp(dim, from->dim, (size_t)rank * sizeof dim[0]) != 0)
        return err_status(err, EXIT_USAGE, "%s: '%s': found %s, expected %s", path, from->name,
                          st_shape_text(from->rank, from->dim, found),
                          st_shape_text(rank, dim, expected));
    float *aligned = xmalloc(t->elements * sizeof *aligned);
    memcpy(aligned, from->data, t->elements * sizeof *aligned);
    program_write(p, t, aligned);
    free(aligned);
    return true;
}

static bool check_strangers(const char *path, const struct st_file *f, const struct program *p,
                            struct err *err)
{
    static const char prefix[] = "param.";
    for (size_t i = 0; i < f->tensors; i++) {
        const char *name = f->tensor[i].name;
        if (strncmp(name, prefix, sizeof prefix - 1) == 0 &&
            !program_find(p, TENSOR_PARAM, name + sizeof prefix - 1) &&
            !program_find(p, TENSOR_BUFFER, name + sizeof prefix - 1))
            return err_status(err, EXIT_USAGE, "%s: '%s' is no parameter of this network", path,
                              name);
    }
    return true;
}

bool dump_load_params(const char *path, struct program *p, struct err *err)
{
    struct st_file f;
    if (!st_open(path, &f, err))
        return false;
    bool fine = check_strangers(path, &f, p, err);
    const struct tensor *t;
    for (int i = 0; fine && (t = program_tensor(p, TENSOR_PARAM, i)); i++)
        fine = load_one(path, &f, p, t, err);
    for (int i = 0; fine && (t = program_tensor(p, TENSOR_BUFFER, i)); i++)
        fine = load_one(path, &f, p, t, err);
    st_close(&f);
    return fine;
}

bool dump_check_vocabulary(const char *path, const struct sequences *s, struct err *err)
{
    struct st_file f;
    if (!s)
        return true;
    if (!st_open(path, &f, err))
        return false;
    bool fine = true;
    for (int i = 0; fine && i < 2 && s->vocabulary[i]; i++) {
        const char *theirs = st_meta(&f, language_key[i]);
        char *ours = vocabulary_pack(s->vocabulary[i]);
        if (theirs && strcmp(ours, theirs) != 0)
            fine =
                err_status(err, EXIT_USAGE,
                           "%s: %s: was trained on other tokens than those of '%s', or in another "
                           "order",
                           path, language_key[i], s->name);
        free(ours);
    }
    st_close(&f);
    return fine;
}
