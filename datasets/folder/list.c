/* list.c — see list.h. Names are sorted by their bytes, so that the order is the same in every
 * file system and language. */
#define _GNU_SOURCE
#include "datasets/folder/list.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/mem.h"

enum { HOLD_OUT = 10, HELD = 1 }; /* of each ten the second */

/* ------------------------------------------------------------------ folders */

struct names {
    char **name;
    size_t count;
};

static void names_release(struct names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->name[i]);
    free(n->name);
    *n = (struct names){0};
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What is in a folder, sorted; hidden things are not. */
static bool read_names(const char *folder, struct names *n, struct err *err)
{
    *n = (struct names){0};
    DIR *dir = opendir(folder);
    if (!dir)
        return err_set(err, "cannot open '%s': %s", folder, strerror(errno));
    for (const struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        if ((n->count & (n->count + 1)) == 0)
            n->name = xrealloc(n->name, (2 * n->count + 2) * sizeof *n->name);
        n->name[n->count++] = xstrdup(e->d_name);
    }
    closedir(dir);
    if (n->count > 0)
        qsort(n->name, n->count, sizeof *n->name, by_bytes);
    return true;
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool list_is_at(const char *folder)
{
    struct names n;
    bool any = false;
    if (!read_names(folder, &n, NULL))
        return false;
    for (size_t i = 0; i < n.count && !any; i++) {
        char *path = xprintf("%s/%s", folder, n.name[i]);
        any = is_folder(path);
        free(path);
    }
    names_release(&n);
    return any;
}

/* Only the folders among the names stay. */
static bool read_folders(const char *folder, struct names *n, struct err *err)
{
    if (!read_names(folder, n, err))
        return false;
    size_t kept = 0;
    for (size_t i = 0; i < n->count; i++) {
        char *path = xprintf("%s/%s", folder, n->name[i]);
        if (is_folder(path))
            n->name[kept++] = n->name[i];
        else
            free(n->name[i]);
        free(path);
    }
    n->count = kept;
    return true;
}

/* ------------------------------------------------------------------- pictures */

/* Where pictures are being collected. */
struct collecting {
    struct list *list;
    size_t root; /* length of the folder's name and the slash behind it */
    int label;
    bool test;
    struct err *err;
};

static bool is_text(const char *name)
{
    static const char *const endings[] = {".txt", ".csv", ".xml", ".json", ".md"};
    const char *dot = strrchr(name, '.');
    bool text = false;
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        text = text || strcasecmp(dot, endings[i]) == 0;
    return text;
}

static bool collect(const struct collecting *c, const char *folder, int depth);

static bool collect_one(const struct collecting *c, const char *path, int depth)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return err_set(c->err, "cannot look at '%s': %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return collect(c, path, depth + 1);
    if (is_text(path))
        return true;
    struct list *l = c->list;
    if (l->files == l->room) {
        l->room = l->room ? 2 * l->room : 1024;
        l->file = xrealloc(l->file, l->room * sizeof *l->file);
    }
    l->file[l->files++] = (struct listed){
        .path = xstrdup(path + c->root),
        .label = c->label,
        .test = c->test,
        .bytes = (uint64_t)st.st_size,
        .changed_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
    };
    return true;
}

static bool collect(const struct collecting *c, const char *folder, int depth)
{
    struct names n;
    if (depth > LIST_DEPTH)
        return err_set(c->err, "'%s': folders are nested more than %d deep", folder, LIST_DEPTH);
    if (!read_names(folder, &n, c->err))
        return false;
    bool sound = true;
    for (size_t i = 0; i < n.count && sound; i++) {
        char *path = xprintf("%s/%s", folder, n.name[i]);
        sound = collect_one(c, path, depth);
        free(path);
    }
    names_release(&n);
    return sound;
}

static int find_class(const struct list *l, const char *name)
{
    const char *const *found =
        l->classes ? bsearch(&name, l->class_name, (size_t)l->classes, sizeof name, by_bytes)
                   : NULL;
    return found ? (int)(found - (const char *const *)l->class_name) : -1;
}

/* All pictures below `top`, which holds classes that are known already. */
static bool collect_classes(struct collecting *c, const char *top)
{
    struct names n;
    if (!read_folders(top, &n, c->err))
        return false;
    bool sound = true;
    for (size_t i = 0; i < n.count && sound; i++) {
        char *path = xprintf("%s/%s", top, n.name[i]);
        c->label = find_class(c->list, n.name[i]);
        sound = c->label >= 0 ? collect(c, path, 0)
                              : err_set(c->err, "'%s': there is no such class for training", path);
        free(path);
    }
    names_release(&n);
    return sound;
}

/* ----------------------------------------------------------------- the layout */

static bool take_classes(struct list *l, const char *top, struct err *err)
{
    struct names n;
    if (!read_folders(top, &n, err))
        return false;
    l->class_name = n.name;
    l->classes = (int)(n.count <= LIST_CLASSES ? n.count : LIST_CLASSES);
    if (n.count == 1)
        return err_set(err, "'%s': expected two classes or more, a folder each, found one: '%s'",
                       top, n.name[0]);
    if (n.count == 0)
        return err_set(err, "'%s': expected a folder for each class, found none", top);
    if (n.count <= LIST_CLASSES)
        return true;
    for (size_t i = LIST_CLASSES; i < n.count; i++)
        free(n.name[i]);
    return err_set(err, "'%s': expected at most %d classes, found %zu", top, LIST_CLASSES, n.count);
}

/* The second of each ten of a class. */
static void hold_out(struct list *l)
{
    int label = -1, seen = 0;
    for (size_t i = 0; i < l->files; i++) {
        seen = l->file[i].label == label ? seen + 1 : 0;
        label = l->file[i].label;
        l->file[i].test = seen % HOLD_OUT == HELD;
    }
}

/* Training first; the order within stays. */
static void sort(struct list *l)
{
    struct listed *sorted = xmalloc((l->files + 1) * sizeof *sorted);
    size_t n = 0;
    for (int test = 0; test < 2; test++) {
        for (size_t i = 0; i < l->files; i++)
            if (l->file[i].test == test)
                sorted[n++] = l->file[i];
        l->train = test ? l->train : n;
    }
    free(l->file);
    l->file = sorted;
    l->room = l->files + 1;
}

static bool check(const struct list *l, const char *top, struct err *err)
{
    size_t *count = xcalloc((size_t)l->classes, sizeof *count);
    bool sound = true;
    for (size_t i = 0; i < l->train; i++)
        count[l->file[i].label]++;
    for (int c = 0; c < l->classes && sound; c++)
        sound = count[c] || err_set(err, "'%s/%s': expected images to train with, found none", top,
                                    l->class_name[c]);
    free(count);
    if (sound && l->files == l->train)
        return err_set(err, "'%s': expected images to test with, found none", top);
    return sound;
}

/* The folder of test classes beside `train`, malloc'ed, or NULL. */
static char *find_test(const char *folder)
{
    static const char *const names[] = {"val", "test", "validation", "valid"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = xprintf("%s/%s", folder, names[i]);
        if (is_folder(path))
            return path;
        free(path);
    }
    return NULL;
}

static bool fill(struct list *l, const char *folder, const char *top, const char *test,
                 struct err *err)
{
    struct collecting c = {.list = l, .root = strlen(folder) + 1, .err = err};
    if (!take_classes(l, top, err) || !collect_classes(&c, top))
        return false;
    c.test = true;
    if (!test)
        hold_out(l);
    else if (!collect_classes(&c, test))
        return false;
    sort(l);
    return check(l, top, err);
}

bool list_open(const char *folder, struct list *l, struct err *err)
{
    struct list new = {0};
    char *train = xprintf("%s/train", folder);
    const bool split = is_folder(train);
    char *test = split ? find_test(folder) : NULL;
    const bool sound = fill(&new, folder, split ? train : folder, test, err);
    free(train);
    free(test);
    if (sound)
        *l = new;
    else
        list_release(&new);
    return sound;
}

void list_release(struct list *l)
{
    for (size_t i = 0; i < l->files; i++)
        free(l->file[i].path);
    free(l->file);
    for (int c = 0; c < l->classes; c++)
        free(l->class_name[c]);
    free(l->class_name);
    *l = (struct list){0};
}
