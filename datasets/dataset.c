/* dataset.c — finds a data set by name or folder, and tells what it is by its content.
 *
 * A named set is looked for in $BENCH_DATA/NAME, $XDG_DATA_HOME/bench/NAME (or
 * ~/.local/share/bench/NAME) and where its Debian package puts it; what is found
 * there must have the sum that idx.h's table knows. A folder may hold anything; if
 * its sum is known, it gets its name. */
#define _GNU_SOURCE
#include "datasets/dataset.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/crew.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "base/text.h"
#include "datasets/digits/digits.h"
#include "datasets/idx/idx.h"

enum { PLACES = 3 };

static const char digits[] = "digits";
static const struct idx_set *const sets[] = {&idx_fashion_mnist, &idx_mnist};
enum { SETS = sizeof sets / sizeof sets[0] };

const char *const dataset_names[] = {"fashion-mnist", "mnist", digits, NULL};

static const struct idx_set *find_set(const char *name)
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
    const struct idx_set *set = find_set(name);
    return set ? set->about : NULL;
}

const char *dataset_package(const char *name)
{
    const struct idx_set *set = find_set(name);
    return set ? set->package : NULL;
}

/* ------------------------------------------------------------------ places */

/* Folders in which `set` may be, best first; NULL where there is none. */
static void list_places(const struct idx_set *set, char *place[PLACES])
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

/* The first folder with the set's training images in it, malloc'ed; NULL, and in `looked`
 * all of them, if there is none. */
static char *find_place(const struct idx_set *set, struct text *looked)
{
    char *place[PLACES], *found = NULL;
    list_places(set, place);
    for (int i = 0; i < PLACES; i++) {
        char *file = place[i] && !found ? idx_find(place[i], IDX_TRAIN_IMAGES) : NULL;
        if (file) {
            found = place[i];
            place[i] = NULL;
        } else if (place[i] && looked) {
            text_add(looked, "%s%s", looked->length > 0 ? ", " : "", place[i]);
        }
        free(file);
        free(place[i]);
    }
    return found;
}

char *dataset_where(const char *name)
{
    const struct idx_set *set = find_set(name);
    if (set)
        return find_place(set, NULL);
    return strcmp(name, digits) == 0 ? xstrdup("drawn when needed") : NULL;
}

/* ----------------------------------------------------------- what they hold */

struct measuring {
    struct dataset *d;
    size_t pixels;         /* of one image */
    uint64_t sum, squares; /* of the training pixels */
};

static void add_up(struct measuring *m)
{
    enum { BLOCK = 4096 }; /* 255^2 BLOCK stays below 2^32 */
    const uint8_t *x = m->d->train.pixels;
    const size_t n = m->d->train.items * m->pixels;
    for (size_t i = 0; i < n;) {
        const size_t stop = n - i < BLOCK ? n : i + BLOCK;
        uint32_t sum = 0, squares = 0;
        for (; i < stop; i++) {
            const uint32_t v = x[i];
            sum += v;
            squares += v * v;
        }
        m->sum += sum;
        m->squares += squares;
    }
}

static void sum_content(struct measuring *m)
{
    const struct images *both[] = {&m->d->train, &m->d->test};
    struct sha256 s = sha256_begin();
    for (int i = 0; i < 2; i++) {
        sha256_add(&s, both[i]->pixels, both[i]->items * m->pixels);
        sha256_add(&s, both[i]->labels, both[i]->items);
    }
    sha256_end(&s, m->d->sha256);
}

/* Two passes over all pixels, one on each of two threads. */
static void measure_share(void *arg, const struct crew *crew)
{
    if (crew->thread == 0)
        sum_content(arg);
    if (crew->thread == crew->threads - 1)
        add_up(arg);
}

static void measure(struct dataset *d)
{
    struct measuring m = {.d = d, .pixels = dataset_image_bytes(d)};
    crew_run(crew_cores() < 2 ? 1 : 2, measure_share, &m);
    const double n = (double)d->train.items * (double)m.pixels;
    d->mean = (double)m.sum / n;
    const double variance = (double)m.squares / n - d->mean * d->mean;
    d->deviation = variance > 0 ? sqrt(variance) : 0;
}

/* ------------------------------------------------------------------- opening */

static bool open_folder(const char *folder, struct dataset *d, struct err *err)
{
    d->name = "idx";
    if (!idx_open_folder(folder, d, err))
        return false;
    measure(d);
    for (int i = 0; i < SETS; i++)
        if (strcmp(d->sha256, sets[i]->sha256) == 0) {
            d->name = sets[i]->name;
            d->class_names = sets[i]->class_names;
        }
    return true;
}

static bool open_set(const struct idx_set *set, struct dataset *d, struct err *err)
{
    struct text looked = {0};
    char *folder = find_place(set, &looked);
    bool sound = false;
    if (!folder && set->package)
        err_set(err, "%s is not here (looked in %s): install the package %s, or use --data DIR",
                set->title, text_str(&looked), set->package);
    else if (!folder)
        err_set(err, "%s is not here (looked in %s): get the four files from %s, or use --data DIR",
                set->title, text_str(&looked), set->url[0]);
    else if (open_folder(folder, d, err))
        sound = strcmp(d->name, set->name) == 0 || idx_blame(set, d, err);
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

static bool open_any(const char *which, uint64_t seed, size_t items, struct dataset *d,
                     struct err *err)
{
    if (!which) {
        char *here = dataset_where(idx_fashion_mnist.name);
        which = here ? idx_fashion_mnist.name : digits;
        free(here);
    }
    if (strcmp(which, digits) == 0) {
        d->name = digits;
        d->class_names = idx_mnist.class_names;
        if (!digits_open(seed, items, d, err))
            return false;
        measure(d);
        return true;
    }
    const struct idx_set *set = find_set(which);
    if (set)
        return open_set(set, d, err);
    return is_folder(which) ? open_folder(which, d, err) : open_unknown(which, err);
}

bool dataset_open(const char *which, uint64_t seed, size_t items, struct dataset *d,
                  struct err *err)
{
    struct dataset opened = {0};
    if (!open_any(which, seed, items, &opened, err)) {
        dataset_close(&opened);
        return false;
    }
    *d = opened;
    return true;
}

void dataset_close(struct dataset *d)
{
    free(d->path);
    free(d->train.pixels);
    free(d->train.labels);
    free(d->test.pixels);
    free(d->test.labels);
    *d = (struct dataset){0};
}
