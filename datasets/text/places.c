/* places.c — see places.h. */
#define _GNU_SOURCE
#include "datasets/text/places.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "datasets/text/sword.h"

#define SWORD "/usr/share/sword/modules/texts/ztext/"

const struct text_set text_sets[] = {
    {"kjv",
     "King James Version, 31,102 verses, 4.1 MB of English; text and words",
     "sword-text-kjv",
     {{"kjv", SWORD "engKJV2006eb"}, {0}},
     {"", ""}},
    {"kjv-rv",
     "King James Version and Reina-Valera 1909: 31,084 verses, English to Spanish; pairs",
     "sword-text-kjv sword-text-sparv",
     {{"kjv", SWORD "engKJV2006eb"}, {"reina-valera", SWORD "spaRV1909eb"}},
     {"en", "es"}},
    {"ding",
     "19,000 short sentences of the Ding dictionary, English to German; pairs",
     "trans-de-en",
     {{"ding", "/usr/share/trans"}, {0}},
     {"en", "de"}},
    {0},
};

const struct text_set *text_set_find(const char *name)
{
    for (const struct text_set *set = text_sets; set->name; set++)
        if (strcmp(set->name, name) == 0)
            return set;
    return NULL;
}

/* ---------------------------------------------------------------------- places */

static bool is_at(const char *part, const char *folder)
{
    struct stat st;
    if (strcmp(part, "ding") != 0)
        return sword_is_at(folder);
    char *path = xprintf("%s/de-en", folder);
    const bool there = stat(path, &st) == 0 && S_ISREG(st.st_mode);
    free(path);
    return there;
}

/* In front of what Debian's packages bring: a folder, for tests. */
static const char *root(void)
{
    const char *s = getenv("BENCH_SYSROOT");
    return s ? s : "";
}

char *text_set_where(const struct text_set *set, int part)
{
    const char *name = set->part[part].name, *data = getenv("BENCH_DATA");
    const char *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (!name)
        return NULL;
    char *const place[] = {
        data && *data ? xprintf("%s/%s", data, name) : NULL,
        xdg && *xdg     ? xprintf("%s/bench/%s", xdg, name)
        : home && *home ? xprintf("%s/.local/share/bench/%s", home, name)
                        : NULL,
        xprintf("%s%s", root(), set->part[part].folder),
    };
    char *found = NULL;
    for (size_t i = 0; i < sizeof place / sizeof *place; i++)
        if (place[i] && !found && is_at(name, place[i]))
            found = place[i];
        else
            free(place[i]);
    return found;
}

bool text_set_here(const struct text_set *set)
{
    bool here = true;
    for (int i = 0; i < PARTS && set->part[i].name; i++) {
        char *where = text_set_where(set, i);
        here = here && where;
        free(where);
    }
    return here;
}

bool text_set_missing(const struct text_set *set, const char *what, struct err *err)
{
    return err_set(err, "%s is not here: install Debian's %s, or give %s with --data", set->name,
                   set->packages, what);
}

/* --------------------------------------------------------------------- folders */

bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_file(const char *folder, const char *name)
{
    struct stat st;
    char *path = xprintf("%s/%s", folder, name);
    const bool file = stat(path, &st) == 0 && S_ISREG(st.st_mode);
    free(path);
    return file;
}

char **folder_names(const char *folder, size_t *count, struct err *err)
{
    DIR *dir = opendir(folder);
    *count = 0;
    if (!dir) {
        err_set(err, "cannot read folder '%s': %s", folder, strerror(errno));
        return NULL;
    }
    size_t room = 16;
    char **names = xmalloc(room * sizeof *names);
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] == '.' || !is_file(folder, e->d_name))
            continue;
        if (*count + 1 == room)
            names = xrealloc(names, (room *= 2) * sizeof *names);
        names[(*count)++] = xstrdup(e->d_name);
    }
    closedir(dir);
    qsort(names, *count, sizeof *names, by_name);
    names[*count] = NULL;
    return names;
}

void folder_names_free(char **names)
{
    for (char **n = names; n && *n; n++)
        free(*n);
    free(names);
}

static void cut_off(char *name, const char *ending)
{
    const size_t n = strlen(name), k = strlen(ending);
    if (k > 0 && n > k && strcmp(name + n - k, ending) == 0)
        name[n - k] = '\0';
}

char *bare_name(const char *name, const char *more)
{
    char *bare = xstrdup(name);
    cut_off(bare, ".gz");
    cut_off(bare, ".xz");
    cut_off(bare, more);
    for (char *c = bare; *c; c++)
        *c = (unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c;
    return bare;
}

char *place_name(const char *kind, const char *path)
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t from = end;
    while (from > 0 && path[from - 1] != '/')
        from--;
    char *last = xprintf("%.*s", (int)(end - from), path + from), *bare = bare_name(last, "");
    char *name = xprintf("%s:%s", kind, bare);
    free(last);
    free(bare);
    return name;
}

static bool fits(const char *name, const char *stem, const char *ending)
{
    char *bare = bare_name(name, ".txt");
    const size_t n = strlen(bare), s = strlen(stem), e = strlen(ending);
    const bool begins = strncmp(bare, stem, s) == 0 && n >= s + e;
    const bool ends = begins && strcmp(bare + n - e, ending) == 0;
    const bool apart = ends && (n == s + e || strchr("._-", bare[s]));
    free(bare);
    return apart;
}

char *folder_file(const char *folder, const char *stem, const char *ending)
{
    size_t count;
    char **names = folder_names(folder, &count, NULL), *found = NULL;
    for (size_t i = 0; i < count && !found; i++)
        if (fits(names[i], stem, ending))
            found = xprintf("%s/%s", folder, names[i]);
    folder_names_free(names);
    return found;
}
