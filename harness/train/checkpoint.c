/* checkpoint.c — see checkpoint.h. */
#define _GNU_SOURCE
#include "train/checkpoint.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "train/dump.h"
#include "train/trainer.h"

static void add_number(struct st_writer *w, const char *key, long long n)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", n);
    st_add_meta(w, key, text);
}

static void add_metrics(struct st_writer *w, const struct run_end *end)
{
    json_t *metrics = json_object();
    for (int i = 0; i < end->metrics; i++) {
        const double v = end->last[i].value;
        json_object_set_new(metrics, end->last[i].name, isfinite(v) ? json_real(v) : json_null());
    }
    char *text = json_dumps(metrics, JSON_COMPACT | JSON_REAL_PRECISION(9));
    st_add_meta(w, "metrics", text);
    free(text);
    json_decref(metrics);
}

static void add_metadata(struct st_writer *w, const struct trainer *t, const struct run_end *end,
                         int epochs)
{
    const struct run_plan *p = &t->plan;
    st_add_meta(w, "format", "bench-checkpoint 1");
    st_add_meta(w, "plugin", p->plugin);
    st_add_meta(w, "variant", p->variant);
    st_add_meta(w, "dataset", p->dataset);
    st_add_meta(w, "dataset_sha256", p->dataset_sha256);
    st_add_meta(w, "task", t->variant->task ? t->variant->task : "");
    st_add_meta(w, "config", p->config);
    add_number(w, "seed", p->seed);
    add_number(w, "epochs", epochs);
    add_number(w, "steps", t->steps);
    add_metrics(w, end);
    if (t->sequences) {
        struct language l;
        language_of(t->sequences, t->program, &l);
        language_write(&l, w);
    }
}

/* Of the folders of `path`, those that are not there yet. */
static bool make_folders(const char *path, struct err *err)
{
    char *folder = xstrdup(path), *slash = strrchr(folder, '/');
    bool fine = true;
    if (slash && slash != folder) {
        *slash = '\0';
        fine = path_make_folders(folder, err);
    }
    free(folder);
    return fine;
}

bool checkpoint_save(const struct trainer *t, const struct run_end *end, int epochs,
                     const char *path, struct err *err)
{
    if (!make_folders(path, err))
        return false;
    struct st_writer *w = st_writer_new();
    add_metadata(w, t, end, epochs);
    dump_add_tensors(w, t->program, TENSOR_PARAM, "param.");
    dump_add_tensors(w, t->program, TENSOR_BUFFER, "param.");
    const bool fine = st_write(w, path, err);
    st_writer_free(w);
    return fine;
}

/* Metadata say what it is: format, plugin and variant. */
static bool check_metadata(const char *path, const struct st_file *f, struct err *err)
{
    static const char format[] = "bench-checkpoint ";
    static const char *const names[] = {"plugin", "variant"};
    const char *is = st_meta(f, "format");
    if (!is || strncmp(is, format, sizeof format - 1) != 0)
        return err_set(err,
                       "%s: format: found '%.40s', expected '%s1': `bench run --save` writes it",
                       path, is ? is : "", format);
    for (int i = 0; i < 2; i++)
        if (!st_meta(f, names[i]))
            return err_set(err, "%s: metadata: found no '%s', expected whose parameters these are",
                           path, names[i]);
    return true;
}

bool checkpoint_open(const char *path, const char *plugin, const char *variant,
                     struct checkpoint *c, struct err *err)
{
    *c = (struct checkpoint){.path = path};
    if (!st_open(path, &c->file, err))
        return false;
    const char *of = st_meta(&c->file, "plugin"), *which = st_meta(&c->file, "variant");
    bool fine = check_metadata(path, &c->file, err);
    if (fine && (strcmp(of, plugin) != 0 || strcmp(which, variant) != 0))
        fine = err_status(err, EXIT_USAGE, "%s: holds the parameters of %.60s:%.60s, not of %s:%s",
                          path, of, which, plugin, variant);
    fine = fine && language_read(path, &c->file, &c->language, err);
    if (!fine)
        st_close(&c->file);
    return fine;
}

void checkpoint_close(struct checkpoint *c)
{
    language_release(&c->language);
    st_close(&c->file);
}

char *checkpoint_place(const char *database, const char *plugin, const char *variant)
{
    const char *slash = strrchr(database, '/');
    const int folder = slash ? (int)(slash - database + 1) : 0;
    char *path = xprintf("%.*scheckpoints/%s-%s.safetensors", folder, database, plugin, variant);
    return path;
}
