/* dataset.c — finds a data set by name or folder, and tells what it is by its content.
 *
 * A named set is looked for in $BENCH_DATA/NAME, $XDG_DATA_HOME/bench/NAME (or
 * ~/.local/share/bench/NAME) and where its Debian package puts it; what is found
 * there must have the sum that its row of known.h tells. A folder may hold anything;
 * if its sum is known, it gets its name. */
#define _GNU_SOURCE
#include "datasets/dataset.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/sha256.h"
#include "base/text.h"
#include "datasets/digits/digits.h"
#include "datasets/known.h"
#include "datasets/measure.h"

enum { PLACES = 3 };

static const char digits[] = "digits";
static const struct known_set *const sets[] = {&idx_fashion_mnist, &idx_mnist, &cifar10_set};
static const struct data_format *const formats[] = {&format_idx, &format_cifar10, &format_folder};
enum { SETS = sizeof sets / sizeof sets[0], FORMATS = sizeof formats / sizeof formats[0] };

const char *const dataset_names[] = {"fashion-mnist", "mnist", "cifar10", digits, NULL};

static const struct known_set *find_set(const char *name)
{
    for (int i = 0; i < SETS; i++)
        if (strcmp(sets[i]->name, name) == 0)
            return sets[i];
    return NULL;
}

const char *dataset_about(const char *name)
{
    if (strcmp(name, digits) == 0)
        return "drawn digits, 28 x 28 grey, 10 classes, any number of them; needs no file";
    const struct known_set *set = find_set(name);
    return set ? set->about : NULL;
}

const char *dataset_package(const char *name)
{
    const struct known_set *set = find_set(name);
    return set ? set->package : NULL;
}

/* ------------------------------------------------------------------ places */

/* Folders in which `set` may be, best first; NULL where there is none. */
static void list_places(const struct known_set *set, char *place[PLACES])
{
    const char *data = getenv("BENCH_DATA"), *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    place[0] = data && *data ? xprintf("%s/%s", data, set->name) : NULL;
    place[1] = NULL;
    if (xdg && *xdg)
        place[1] = xprintf("%s/bench/%s", xdg, set->name);
    else if (home && *home)
        place[1] = xprintf("%s/.local/share/bench/%s", home, set->name);
    place[2] = set->folder ? xstrdup(set->folder) : NULL;
}

/* Where in `place` the set's files are, malloc'ed: there, or where its archive puts them. */
static char *look_at(const struct known_set *set, const char *place)
{
    if (set->format->is_at(place))
        return xstrdup(place);
    char *inside = set->unpacked ? xprintf("%s/%s", place, set->unpacked) : NULL;
    if (inside && set->format->is_at(inside))
        return inside;
    free(inside);
    return NULL;
}

/* The first folder with the set's files in it, malloc'ed; NULL, and in `looked` all of
 * them, if there is none. */
static char *find_place(const struct known_set *set, struct text *looked)
{
    char *place[PLACES], *found = NULL;
    list_places(set, place);
    for (int i = 0; i < PLACES; i++) {
        if (place[i] && !found)
            found = look_at(set, place[i]);
        if (place[i] && !found && looked)
            text_add(looked, "%s%s", looked->length > 0 ? ", " : "", place[i]);
        free(place[i]);
    }
    return found;
}

char *dataset_where(const char *name)
{
    const struct known_set *set = find_set(name);
    if (set)
        return find_place(set, NULL);
    return strcmp(name, digits) == 0 ? xstrdup("drawn when needed") : NULL;
}

/* ------------------------------------------------------------------- opening */

static bool open_folder(const char *folder, const struct dataset_wish *wish, struct dataset *d,
                        struct err *err)
{
    const struct data_format *format = NULL;
    for (int i = FORMATS; i-- > 0;)
        format = formats[i]->is_at(folder) ? formats[i] : format;
    if (!format)
        return err_set(err,
                       "'%s' holds no images: expected the four files of an IDX set "
                       "(train-images-idx3-ubyte, …), the six of CIFAR-10's binary version "
                       "(data_batch_1.bin, …), or a folder of pictures for each class",
                       folder);
    d->name = format->name;
    if (!format->open(folder, wish, d, err))
        return false;
    if (format->measured)
        return true;
    measure_dataset(d);
    for (int i = 0; i < SETS; i++)
        if (strcmp(d->sha256, sets[i]->sha256) == 0) {
            d->name = sets[i]->name;
            d->class_names = sets[i]->class_names;
        }
    return true;
}

static bool open_set(const struct known_set *set, const struct dataset_wish *wish,
                     struct dataset *d, struct err *err)
{
    struct text looked = {0};
    char *folder = find_place(set, &looked);
    bool sound = false;
    if (!folder && set->package)
        err_set(err, "%s is not here (looked in %s): install the package %s, or use --data DIR",
                set->title, text_str(&looked), set->package);
    else if (!folder)
        err_set(err, "%s is not here (looked in %s): get %s from %s, or use --data DIR", set->title,
                text_str(&looked), set->files, set->url[0]);
    else if (open_folder(folder, wish, d, err)) {
        assert(d->name);
        sound = strcmp(d->name, set->name) == 0 || set->format->blame(set, d, err);
    }
    text_release(&looked);
    free(folder);
    return sound;
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool open_unknown(const char *which, struct err *err)
{
    if (strchr(which, '/'))
        return err_status(err, EXIT_USAGE, "no folder '%s'", which);
    const char *near = text_nearest(which, dataset_names);
    struct text known = {0};
    for (int i = 0; dataset_names[i]; i++)
        text_add(&known, "%s%s", i > 0 ? ", " : "", dataset_names[i]);
    err_status(err, EXIT_USAGE, "no data set or folder '%s'%s%s%s; there are %s", which,
               near ? ": did you mean '" : "", near ? near : "", near ? "'" : "", text_str(&known));
    text_release(&known);
    return false;
}

/* An image may be centred in a field of up to twice its size. */
static bool fits_field(int size, int field) { return size <= field && field <= 2 * size; }

static bool fits(const struct known_set *set, const struct dataset_wish *w)
{
    if (w->width == 0)
        return true;
    if (w->channels == 0)
        return w->width == set->channels * set->height * set->width;
    return w->channels == set->channels && fits_field(set->height, w->height) &&
           fits_field(set->width, w->width);
}

/* What is opened when nothing is said; NULL with *err set. */
static const char *choose(const struct dataset_wish *w, struct err *err)
{
    if (fits(&idx_fashion_mnist, w)) {
        char *here = dataset_where(idx_fashion_mnist.name);
        free(here);
        return here ? idx_fashion_mnist.name : digits;
    }
    if (fits(&cifar10_set, w))
        return cifar10_set.name;
    err_set(err,
            "no set known here has images of %d channels, %d x %d: give a folder with --data DIR, "
            "or --synthetic to time the network without data",
            w->channels, w->height, w->width);
    return NULL;
}

static bool open_any(const char *which, const struct dataset_wish *wish, struct dataset *d,
                     struct err *err)
{
    const bool unsaid = !which;
    if (unsaid && !(which = choose(wish, err)))
        return false;
    if (strcmp(which, digits) == 0) {
        d->name = digits;
        d->class_names = idx_mnist.class_names;
        if (!digits_open(wish->seed, wish->items, d, err))
            return false;
        measure_dataset(d);
        return true;
    }
    const struct known_set *set = find_set(which);
    if (set && unsaid)
        return open_set(set, wish, d, err) ||
               err_prefix(err, "the network wants images of %d x %d x %d, %s", wish->channels,
                          wish->height, wish->width, set->title);
    if (set)
        return open_set(set, wish, d, err);
    return is_folder(which) ? open_folder(which, wish, d, err) : open_unknown(which, err);
}

bool dataset_open(const char *which, const struct dataset_wish *wish, struct dataset *d,
                  struct err *err)
{
    static const struct dataset_wish none;
    struct dataset opened = {0};
    if (!open_any(which, wish ? wish : &none, &opened, err)) {
        dataset_close(&opened);
        return false;
    }
    *d = opened;
    return true;
}

void dataset_noise(const struct dataset_wish *wish, int classes, struct dataset *d)
{
    const bool flat = wish->channels == 0;
    *d = (struct dataset){
        .name = "noise",
        .synthetic = true,
        .noise = true,
        .channels = flat ? 1 : wish->channels,
        .height = flat ? 1 : wish->height,
        .width = wish->width,
        .classes = classes,
        .train.items = wish->items,
    };
    char *what = xprintf("N(0,1) of %d x %d x %d, %d classes, seed %llu", d->channels, d->height,
                         d->width, classes, (unsigned long long)wish->seed);
    sha256_of(what, strlen(what), d->sha256);
    free(what);
}

void dataset_close(struct dataset *d)
{
    free(d->path);
    free(d->own_name);
    free(d->own_names);
    if (d->map)
        munmap(d->map, d->map_bytes);
    else {
        free(d->train.pixels);
        free(d->test.pixels);
    }
    free(d->train.labels);
    free(d->test.labels);
    *d = (struct dataset){0};
}

void dataset_name_classes(struct dataset *d, const char *const *names, int count)
{
    const size_t table = (size_t)count * sizeof(char *);
    size_t bytes = table;
    for (int i = 0; i < count; i++)
        bytes += strlen(names[i]) + 1;
    const char **copy = xmalloc(bytes);
    char *at = (char *)copy + table;
    for (int i = 0; i < count; i++) {
        copy[i] = at;
        at = stpcpy(at, names[i]) + 1;
    }
    free(d->own_names);
    d->own_names = copy;
    d->class_names = copy;
}
