/* plugin_load.c — see plugin_load.h. */
#define _GNU_SOURCE
#include "train/plugin_load.h"

#include <assert.h>
#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "train/plugin_find.h"
#include "train/plugin_note.h"

enum {
    MAX_VARIANTS = 256,
    RECIPE_BYTES_1_0 = offsetof(struct nn_recipe, note) + sizeof(char *),
};

#define REFUSE(...) return err_status(err, EXIT_PLUGIN, __VA_ARGS__)

/* ------------------------------------------------------------- before belief */

static struct nn_note_body facts_of(const struct nn_plugin *raw)
{
    struct nn_note_body b = {raw->magic,
                             raw->abi_major,
                             raw->abi_minor,
                             raw->size,
                             raw->variant_size,
                             raw->pointer_bytes,
                             raw->year,
                             0,
                             "",
                             "",
                             ""};
    snprintf(b.name, sizeof b.name, "?"); /* not read yet: behind `size` for all we know */
    return b;
}

/* The symbol's own size, from the object's symbol table: what the descriptor says of its size is
 * not believed beyond it. */
static bool check_symbol(const char *path, const void *symbol, struct err *err)
{
    Dl_info info;
    void *extra = NULL;
    if (!dladdr1(symbol, &info, &extra, RTLD_DL_SYMENT) || !extra)
        REFUSE("%s: nn_plugin: not in the symbol table", path);
    const ElfW(Sym) *entry = extra;
    const size_t header = offsetof(struct nn_plugin, name);
    if (entry->st_size < header)
        REFUSE("%s: nn_plugin: found %zu bytes, expected %zu or more", path, (size_t)entry->st_size,
               sizeof(struct nn_plugin));
    const struct nn_note_body b = facts_of(symbol);
    if (!note_check(path, &b, err))
        return false;
    if (b.plugin_size > entry->st_size)
        REFUSE("%s: size: found %u, expected %zu, the size of the symbol", path, b.plugin_size,
               (size_t)entry->st_size);
    return true;
}

static bool check_strings(const char *path, const struct nn_plugin *p, struct err *err)
{
    const struct {
        const char *field;
        const void *value;
    } must[] = {
        {"name", p->name},   {"title", p->title},     {"citation", p->citation},
        {"about", p->about}, {"dataset", p->dataset}, {"variants", p->variants},
    };
    for (size_t i = 0; i < sizeof must / sizeof must[0]; i++)
        if (!must[i].value)
            REFUSE("%s: %s: found NULL, expected a text", path, must[i].field);
    if (!p->build)
        REFUSE("%s: build: found NULL, expected a function", path);
    return true;
}

/* ----------------------------------------------------------------- the copies */

static const struct nn_recipe *copy_recipe(struct plugin *p, const char *where,
                                           const struct nn_recipe *raw, struct err *err)
{
    const uint32_t bytes = raw->size;
    if (bytes < RECIPE_BYTES_1_0 || bytes > 1 << 20) {
        err_status(err, EXIT_PLUGIN, "%s: recipe size: found %u, expected %d or more", where, bytes,
                   RECIPE_BYTES_1_0);
        return NULL;
    }
    struct nn_recipe *copy = arena_alloc(p->arena, sizeof *copy);
    memcpy(copy, raw, bytes < sizeof *copy ? bytes : sizeof *copy);
    return copy;
}

static bool copy_variants(const char *path, struct plugin *p, struct err *err)
{
    const size_t stride = p->facts.variant_size;
    const size_t bytes = stride < sizeof(struct nn_variant) ? stride : sizeof(struct nn_variant);
    const char *at = (const char *)p->facts.variants;
    struct nn_variant *v = arena_alloc(p->arena, (MAX_VARIANTS + 1) * sizeof *v);
    int n = 0;
    for (;; at += stride) {
        memcpy(&v[n], at, bytes);
        if (!v[n].name)
            break;
        if (++n > MAX_VARIANTS)
            REFUSE("%s: variants: found more than %d, expected a NULL name at the end", path,
                   MAX_VARIANTS);
    }
    if (n == 0)
        REFUSE("%s: variants: found none, expected one or more", path);
    for (int i = 0; i < n; i++) {
        char where[PATH_MAX];
        snprintf(where, sizeof where, "%s: %s", path, v[i].name);
        if (!v[i].about)
            REFUSE("%s: about: found NULL, expected a text", where);
        if (!v[i].recipe && !p->facts.recipe)
            REFUSE("%s: recipe: found NULL here and in the plugin, expected one", where);
        if (v[i].recipe && !(v[i].recipe = copy_recipe(p, where, v[i].recipe, err)))
            return false;
    }
    v[n] = (struct nn_variant){0};
    p->facts.variants = v;
    p->variants = n;
    return true;
}

static bool copy_facts(const char *path, struct plugin *p, struct err *err)
{
    const size_t bytes = p->raw->size;
    memcpy(&p->facts, p->raw, bytes < sizeof p->facts ? bytes : sizeof p->facts);
    if (!check_strings(path, &p->facts, err))
        return false;
    if (p->facts.recipe && !(p->facts.recipe = copy_recipe(p, path, p->facts.recipe, err)))
        return false;
    return copy_variants(path, p, err);
}

/* ------------------------------------------------------ note and descriptor agree */

static bool check_note(const char *path, const struct plugin *p, const struct nn_note_body *note,
                       struct err *err)
{
    struct text variants = {0};
    for (int i = 0; i < p->variants; i++)
        text_add(&variants, "%s%s", i ? " " : "", p->facts.variants[i].name);
    const struct {
        const char *field, *in_note, *expected;
    } rule[] = {
        {"name", note->name, p->facts.name},
        {"title", note->title, p->facts.title},
        {"variants", note->variants, text_str(&variants)},
    };
    assert(p->facts.name && p->facts.title); /* check_strings() */
    bool fine = true;
    for (size_t i = 0; fine && i < sizeof rule / sizeof rule[0]; i++)
        if (strcmp(rule[i].in_note, rule[i].expected) != 0)
            fine = err_status(err, EXIT_PLUGIN,
                              "%s: note: %s: found '%s', expected '%s' as in nn_plugin", path,
                              rule[i].field, rule[i].in_note, rule[i].expected);
    if (fine && note->year != p->facts.year)
        fine = err_status(err, EXIT_PLUGIN, "%s: note: year: found %d, expected %d as in nn_plugin",
                          path, note->year, p->facts.year);
    text_release(&variants);
    return fine;
}

/* --------------------------------------------------------------------- public */

bool plugin_open(const char *path, struct plugin *p, struct err *err)
{
    struct nn_note_body note;
    if (!note_read(path, &note, err))
        return false;
    /* Without a slash dlopen() would search its own folders. */
    char *file = strchr(path, '/') ? xstrdup(path) : xprintf("./%s", path);
    void *object = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    free(file);
    if (!object)
        REFUSE("%s", dlerror());
    const void *symbol = dlsym(object, "nn_plugin");
    if (!symbol)
        REFUSE("%s: symbol nn_plugin: found none, expected the plugin's constant", path);
    if (!check_symbol(path, symbol, err))
        return false;
    struct plugin new = {.raw = symbol, .arena = arena_new()};
    if (!copy_facts(path, &new, err) || !check_note(path, &new, &note, err)) {
        arena_free(new.arena);
        return false;
    }
    *p = new;
    return true;
}

void plugin_close(struct plugin *p)
{
    arena_free(p->arena);
    *p = (struct plugin){0};
}

const struct nn_variant *plugin_variant(const struct plugin *p, const char *name, struct err *err)
{
    const struct nn_variant *v = p->facts.variants;
    if (!name)
        return v;
    const char *names[MAX_VARIANTS + 1] = {NULL};
    for (int i = 0; i < p->variants; i++) {
        if (strcmp(v[i].name, name) == 0)
            return &v[i];
        names[i] = v[i].name;
    }
    const char *near = text_nearest(name, names);
    err_status(err, EXIT_USAGE, "plugin '%s' has no variant '%.100s'%s%s%s", p->facts.name, name,
               near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return NULL;
}

const struct nn_recipe *plugin_recipe(const struct plugin *p, const struct nn_variant *v)
{
    return v->recipe ? v->recipe : p->facts.recipe;
}
