/* idx_folder.c — four IDX files make a data set; see idx.h.
 *
 * Inflating is nearly all of the work, so two threads take the files one by one,
 * the largest first, and look afterwards whether they belong together. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crew.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "datasets/idx/idx.h"
#include "datasets/known.h"

/* clang-format off */
static const struct part {
    const char *stem, *what;
    int rank_low, rank_high;
} parts[IDX_PARTS] = {
    [IDX_TRAIN_IMAGES] = {"train-images", "pixels", 3, 4},
    [IDX_TRAIN_LABELS] = {"train-labels", "labels", 1, 1},
    [IDX_TEST_IMAGES]  = {"t10k-images",  "pixels", 3, 4},
    [IDX_TEST_LABELS]  = {"t10k-labels",  "labels", 1, 1},
};
/* clang-format on */

char *idx_find(const char *folder, int part)
{
    const struct part *p = &parts[part];
    for (int rank = p->rank_low; rank <= p->rank_high; rank++)
        for (int form = 0; form < 4; form++) {
            char *path = xprintf("%s/%s%cidx%d-ubyte%s", folder, p->stem, form & 1 ? '.' : '-',
                                 rank, form & 2 ? ".gz" : "");
            if (access(path, F_OK) == 0)
                return path;
            free(path);
        }
    return NULL;
}

static bool find_all(const char *folder, char *path[IDX_PARTS], struct err *err)
{
    for (int i = 0; i < IDX_PARTS; i++) {
        path[i] = idx_find(folder, i);
        if (!path[i])
            return err_set(err,
                           "'%s': no %s there: looked for %s-idx%d-ubyte and %s.idx%d-ubyte, "
                           "also with .gz",
                           folder, parts[i].stem, parts[i].stem, parts[i].rank_low, parts[i].stem,
                           parts[i].rank_low);
    }
    return true;
}

struct loading {
    char *path[IDX_PARTS];
    struct idx file[IDX_PARTS];
    bool sound[IDX_PARTS];
    struct err err[IDX_PARTS];
    atomic_int next;
};

static void load_files(void *arg, const struct crew *crew)
{
    (void)crew; /* whoever is free takes the next file */
    static const int order[IDX_PARTS] = {IDX_TRAIN_IMAGES, IDX_TEST_IMAGES, IDX_TRAIN_LABELS,
                                         IDX_TEST_LABELS};
    struct loading *l = arg;
    for (int n; (n = atomic_fetch_add(&l->next, 1)) < IDX_PARTS;) {
        const int i = order[n];
        l->sound[i] = idx_read(l->path[i], parts[i].what, &l->file[i], &l->err[i]);
    }
}

static bool load_all(struct loading *l, struct err *err)
{
    crew_run(crew_cores() < 2 ? 1 : 2, load_files, l);
    for (int i = 0; i < IDX_PARTS; i++)
        if (!l->sound[i]) {
            if (err)
                *err = l->err[i];
            return false;
        }
    return true;
}

static bool ranks_fit(const struct loading *l, struct err *err)
{
    for (int i = 0; i < IDX_PARTS; i++)
        if (l->file[i].rank < parts[i].rank_low || l->file[i].rank > parts[i].rank_high)
            return err_set(err, "'%s': at byte 3: expected %d dimensions of %s, found %d",
                           l->path[i], parts[i].rank_low, parts[i].what, l->file[i].rank);
    return true;
}

/* As many labels as images, in the training and in the test set. */
static bool counts_fit(const struct loading *l, struct err *err)
{
    for (int i = 0; i < IDX_PARTS; i += 2) {
        const size_t images = l->file[i].dim[0], labels = l->file[i + 1].dim[0];
        if (images != labels)
            return err_set(err,
                           "'%s': at byte 4: expected %zu labels, one for each image, found %zu",
                           l->path[i + 1], images, labels);
    }
    return true;
}

static size_t channels_of(const struct idx *x) { return x->rank == 4 ? x->dim[3] : 1; }

static bool images_fit(const struct loading *l, struct err *err)
{
    const struct idx *a = &l->file[IDX_TRAIN_IMAGES], *b = &l->file[IDX_TEST_IMAGES];
    if (a->dim[1] == b->dim[1] && a->dim[2] == b->dim[2] && channels_of(a) == channels_of(b))
        return true;
    return err_set(err,
                   "'%s': at byte 8: expected images of %zu x %zu x %zu as for training, found "
                   "%zu x %zu x %zu",
                   l->path[IDX_TEST_IMAGES], a->dim[1], a->dim[2], channels_of(a), b->dim[1],
                   b->dim[2], channels_of(b));
}

/* An image is at most this long and wide, so that all its sizes are ints. */
enum { MAX_SIDE = 1 << 14, MAX_CHANNELS = 64 };

static bool image_is_sane(const struct loading *l, struct err *err)
{
    const struct idx *x = &l->file[IDX_TRAIN_IMAGES];
    if (x->dim[0] <= UINT32_MAX / 2 && x->dim[1] <= MAX_SIDE && x->dim[2] <= MAX_SIDE &&
        channels_of(x) <= MAX_CHANNELS)
        return true;
    return err_set(err,
                   "'%s': at byte 4: expected images of at most %d x %d x %d, found %zu of "
                   "%zu x %zu x %zu",
                   l->path[IDX_TRAIN_IMAGES], MAX_SIDE, MAX_SIDE, MAX_CHANNELS, x->dim[0],
                   x->dim[1], x->dim[2], channels_of(x));
}

static int largest(const struct idx *labels)
{
    int most = 0;
    for (size_t i = 0; i < labels->count; i++)
        most = labels->bytes[i] > most ? labels->bytes[i] : most;
    return most;
}

/* The training labels say how many classes there are; the test labels must keep to it. */
static bool labels_fit(const struct loading *l, int classes, struct err *err)
{
    const struct idx *x = &l->file[IDX_TEST_LABELS];
    for (size_t i = 0; i < x->count; i++)
        if (x->bytes[i] >= classes)
            return err_set(err,
                           "'%s': at byte %zu: expected label %zu below %d, as all training "
                           "labels are, found %d",
                           l->path[IDX_TEST_LABELS], 8 + i, i, classes, x->bytes[i]);
    return true;
}

static struct images images_of(struct idx *pixels, struct idx *labels)
{
    const struct images images = {
        .items = pixels->dim[0], .pixels = pixels->bytes, .labels = labels->bytes};
    pixels->bytes = labels->bytes = NULL; /* taken */
    return images;
}

static bool assemble(struct loading *l, const char *folder, struct dataset *d, struct err *err)
{
    if (!find_all(folder, l->path, err) || !load_all(l, err) || !ranks_fit(l, err) ||
        !counts_fit(l, err) || !image_is_sane(l, err) || !images_fit(l, err))
        return false;
    const int classes = largest(&l->file[IDX_TRAIN_LABELS]) + 1;
    if (!labels_fit(l, classes, err))
        return false;
    const struct idx *x = &l->file[IDX_TRAIN_IMAGES];
    d->height = (int)x->dim[1];
    d->width = (int)x->dim[2];
    d->channels = (int)channels_of(x);
    d->classes = classes;
    d->path = xstrdup(folder);
    d->train = images_of(&l->file[IDX_TRAIN_IMAGES], &l->file[IDX_TRAIN_LABELS]);
    d->test = images_of(&l->file[IDX_TEST_IMAGES], &l->file[IDX_TEST_LABELS]);
    return true;
}

bool idx_open_folder(const char *folder, struct dataset *d, struct err *err)
{
    struct loading *l = xcalloc(1, sizeof *l);
    const bool sound = assemble(l, folder, d, err);
    for (int i = 0; i < IDX_PARTS; i++) {
        free(l->path[i]);
        free(l->file[i].bytes);
    }
    free(l);
    return sound;
}

/* The file as it must have been: the reader accepts one header only for these sizes. */
static void file_sum(const struct dataset *d, int part, char hex[SHA256_HEX])
{
    const struct images *images = part < IDX_TEST_IMAGES ? &d->train : &d->test;
    const size_t H = (size_t)d->height, W = (size_t)d->width;
    const bool labels = parts[part].rank_high == 1;
    const struct idx x = {.rank = labels ? 1 : 3, .dim = {images->items, H, W}};
    uint8_t header[IDX_HEADER];
    struct sha256 s = sha256_begin();
    sha256_add(&s, header, idx_header(&x, header));
    if (labels)
        sha256_add(&s, images->labels, images->items);
    else
        sha256_add(&s, images->pixels, images->items * H * W);
    sha256_end(&s, hex);
}

static bool blame(const struct known_set *set, const struct dataset *d, struct err *err)
{
    for (int i = 0; i < IDX_PARTS && d->channels == 1; i++) {
        char sum[SHA256_HEX];
        file_sum(d, i, sum);
        if (strcmp(sum, set->file_sha256[i]) == 0)
            continue;
        char *path = idx_find(d->path, i);
        err_set(err, "'%s' is not the file of %s: expected sha256 %s unpacked, found %s",
                path ? path : parts[i].stem, set->title, set->file_sha256[i], sum);
        free(path);
        return false;
    }
    return err_set(err, "'%s' is not %s: expected sha256 %s, found %s", d->path, set->title,
                   set->sha256, d->sha256);
}

static bool is_at(const char *folder)
{
    char *file = idx_find(folder, IDX_TRAIN_IMAGES);
    free(file);
    return file != NULL;
}

static bool open_folder(const char *folder, const struct dataset_wish *wish, struct dataset *d,
                        struct err *err)
{
    (void)wish; /* files are what they are */
    return idx_open_folder(folder, d, err);
}

const struct data_format format_idx = {
    .name = "idx", .is_at = is_at, .open = open_folder, .blame = blame};
