/* plugin_find.c — see plugin_find.h. */
#define _GNU_SOURCE
#include "train/plugin_find.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "train/plugin_note.h"

enum { WORD = 64 };

/* ------------------------------------------------------------------ folders */

static bool is_same_folder(const char *a, const char *b)
{
    struct stat x, y;
    if (stat(a, &x) != 0 || stat(b, &y) != 0)
        return strcmp(a, b) == 0;
    return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Takes `path`. */
static void add_folder(struct plugin_list *l, char *path)
{
    for (size_t i = 0; i < l->folders; i++) {
        if (is_same_folder(l->folder[i], path)) {
            free(path);
            return;
        }
    }
    l->folder = xrealloc(l->folder, (l->folders + 1) * sizeof l->folder[0]);
    l->folder[l->folders++] = path;
}

static void add_colon_list(struct plugin_list *l, const char *list)
{
    char *copy = xstrdup(list), *rest = copy, *one;
    while ((one = strsep(&rest, ":")))
        if (*one)
            add_folder(l, xstrdup(one));
    free(copy);
}

/* Folder of this program, links resolved; "." if /proc is not there. */
static char *program_folder(void)
{
    char path[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0)
        return xstrdup(".");
    path[n] = '\0';
    *strrchr(path, '/') = '\0';
    return xstrdup(path);
}

static void add_folders(struct plugin_list *l)
{
    /* A privileged program must not load what the caller's environment names. */
    const bool privileged = getauxval(AT_SECURE) != 0;
    const char *path = privileged ? NULL : getenv("BENCH_PLUGIN_PATH");
    const char *data = privileged ? NULL : getenv("XDG_DATA_HOME");
    const char *home = privileged ? NULL : getenv("HOME");
    char *program = program_folder();
    if (path)
        add_colon_list(l, path);
    add_folder(l, xprintf("%s/plugins", program));
    if (data && *data == '/')
        add_folder(l, xprintf("%s/bench/plugins", data));
    else if (home && *home)
        add_folder(l, xprintf("%s/.local/share/bench/plugins", home));
    add_folder(l, xprintf("%s/../lib/bench/plugins", program));
    free(program);
}

/* -------------------------------------------------------------------- files */

/* "bench-NAME.so" -> NAME, malloc'ed; NULL for every other file name. */
static char *name_in_file(const char *file)
{
    const size_t n = strlen(file), front = strlen("bench-"), back = strlen(".so");
    if (n <= front + back || strncmp(file, "bench-", front) != 0 ||
        strcmp(file + n - back, ".so") != 0)
        return NULL;
    char *name = xstrdup(file + front);
    name[n - front - back] = '\0';
    return name;
}

/* Takes both strings. */
static void add_file(struct plugin_list *l, char *path, char *name)
{
    struct plugin_file f = {.path = path, .name = name};
    struct err err = {0};
    f.shadowed = plugin_find(l, name) != NULL;
    if (!note_read(path, &f.note, &err)) {
        f.refusal = xstrdup(err.text);
    } else if (strcmp(f.note.name, name) != 0) {
        f.refusal = xprintf("%s: name: found '%s', expected '%s' as in the file name", path,
                            f.note.name, name);
        f.note = (struct nn_note_body){0};
    }
    l->file = xrealloc(l->file, (l->files + 1) * sizeof l->file[0]);
    l->file[l->files++] = f;
}

static void add_files(struct plugin_list *l, const char *folder)
{
    DIR *dir = opendir(folder);
    if (!dir) /* most people have not made all of the folders */
        return;
    for (struct dirent *e; (e = readdir(dir));) {
        char *name = name_in_file(e->d_name);
        if (name)
            add_file(l, xprintf("%s/%s", folder, e->d_name), name);
    }
    closedir(dir);
}

static int by_name_then_folder(const void *a, const void *b)
{
    const struct plugin_file *x = a, *y = b;
    const int names = strcmp(x->name, y->name);
    return names ? names : x->shadowed - y->shadowed;
}

void plugin_list_open(struct plugin_list *l)
{
    *l = (struct plugin_list){0};
    add_folders(l);
    for (size_t i = 0; i < l->folders; i++)
        add_files(l, l->folder[i]);
    if (l->files)
        qsort(l->file, l->files, sizeof l->file[0], by_name_then_folder);
}

void plugin_list_close(struct plugin_list *l)
{
    for (size_t i = 0; i < l->files; i++) {
        free(l->file[i].path);
        free(l->file[i].name);
        free(l->file[i].refusal);
    }
    for (size_t i = 0; i < l->folders; i++)
        free(l->folder[i]);
    free(l->file);
    free(l->folder);
    *l = (struct plugin_list){0};
}

const struct plugin_file *plugin_find(const struct plugin_list *l, const char *name)
{
    for (size_t i = 0; i < l->files; i++)
        if (!l->file[i].shadowed && strcmp(l->file[i].name, name) == 0)
            return &l->file[i];
    return NULL;
}

/* ---------------------------------------------------------------- selectors */

bool note_next_variant(const char **at, char word[64])
{
    *at += strspn(*at, " ");
    const size_t n = strcspn(*at, " ");
    if (n == 0)
        return false;
    snprintf(word, WORD, "%.*s", (int)n, *at);
    *at += n;
    return true;
}

struct selection {
    const char *name, *variant; /* patterns; variant "": the first */
    struct plugin_pick *pick;
    size_t picks;
    struct err *err;
};

static bool is_glob(const char *s) { return strpbrk(s, "*?[") != NULL; }

static void add_pick(struct selection *s, const struct plugin_file *f, const char *variant)
{
    s->pick = xrealloc(s->pick, (s->picks + 1) * sizeof s->pick[0]);
    s->pick[s->picks++] =
        (struct plugin_pick){xstrdup(f->path), xstrdup(f->note.name), xstrdup(variant), f->note};
}

/* Adds the variants that are meant of one usable plugin; how many. */
static int pick_variants(struct selection *s, const struct plugin_file *f)
{
    const char *at = f->note.variants;
    char word[WORD];
    int found = 0;
    while (note_next_variant(&at, word)) {
        if (*s->variant && !text_matches(s->variant, word))
            continue;
        add_pick(s, f, word);
        found++;
        if (!*s->variant)
            break;
    }
    return found;
}

static bool no_such_variant(const struct selection *s, const struct plugin_file *f)
{
    enum { MOST = sizeof f->note.variants / 2 };
    char words[MOST][WORD];
    const char *list[MOST + 1] = {NULL}, *at = f->note.variants;
    for (int i = 0; i < MOST && note_next_variant(&at, words[i]); i++)
        list[i] = words[i];
    const char *near = text_nearest(s->variant, list);
    return err_status(s->err, EXIT_USAGE, "plugin '%s' has no variant '%.100s'%s%s%s (it has: %s)",
                      f->note.name, s->variant, near ? "; did you mean '" : "", near ? near : "",
                      near ? "'?" : "", f->note.variants);
}

static bool pick_one(struct selection *s, const struct plugin_file *f)
{
    if (f->refusal)
        return err_status(s->err, EXIT_PLUGIN, "%s", f->refusal);
    return pick_variants(s, f) > 0 || no_such_variant(s, f);
}

static bool no_such_plugin(const struct selection *s, const struct plugin_list *l)
{
    const char **names = xcalloc(l->files + 1, sizeof names[0]);
    for (size_t i = 0; i < l->files; i++)
        names[i] = l->file[i].name;
    const char *near = text_nearest(s->name, names);
    if (near)
        err_status(s->err, EXIT_USAGE, "no plugin '%.100s'; did you mean '%s'?", s->name, near);
    else
        err_status(s->err, EXIT_USAGE, "no plugin '%.100s'; 'bench list' shows those there are",
                   s->name);
    free(names);
    return false;
}

static bool pick_matching(struct selection *s, const struct plugin_list *l)
{
    const struct plugin_file *refused = NULL, *other = NULL;
    for (size_t i = 0; i < l->files; i++) {
        const struct plugin_file *f = &l->file[i];
        if (f->shadowed || !text_matches(s->name, f->name))
            continue;
        if (f->refusal)
            refused = f;
        else if (!pick_variants(s, f))
            other = f;
    }
    if (s->picks)
        return true;
    if (other)
        return no_such_variant(s, other);
    return refused ? pick_one(s, refused) : no_such_plugin(s, l);
}

static bool pick_path(struct selection *s)
{
    struct plugin_file f = {.path = (char *)s->name}; /* borrowed: add_pick() copies */
    return note_read(s->name, &f.note, s->err) && pick_one(s, &f);
}

bool plugin_select(const struct plugin_list *l, const char *selector, struct plugin_pick **picks,
                   size_t *count, struct err *err)
{
    char *name = xstrdup(selector), *slash = strrchr(name, '/');
    char *colon = strrchr(slash ? slash : name, ':');
    if (colon)
        *colon = '\0';
    struct selection s = {.name = name, .variant = colon ? colon + 1 : "", .err = err};
    if (!slash && strcmp(name, "all") == 0)
        s.name = "*";

    bool fine;
    if (slash) {
        fine = pick_path(&s);
    } else if (is_glob(s.name)) {
        fine = pick_matching(&s, l);
    } else {
        const struct plugin_file *f = plugin_find(l, s.name);
        fine = f ? pick_one(&s, f) : no_such_plugin(&s, l);
    }
    free(name);
    if (fine) {
        *picks = s.pick;
        *count = s.picks;
    } else {
        plugin_picks_free(s.pick, s.picks);
    }
    return fine;
}

void plugin_picks_free(struct plugin_pick *picks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(picks[i].path);
        free(picks[i].name);
        free(picks[i].variant);
    }
    free(picks);
}
