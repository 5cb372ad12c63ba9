/* cifar10.c — see cifar10.h.
 *
 * A packed file does not tell how long it is and a plain one may lie, so records are
 * read into memory that grows with what has really come. */
#define _GNU_SOURCE
#include "datasets/cifar10/cifar10.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crew.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "datasets/known.h"
#include "datasets/unpack.h"

enum { BATCHES = 6, TEST = 5, PLANE = CIFAR10_SIDE * CIFAR10_SIDE, IMAGE = 3 * PLANE };
enum { SOME = 512, MOST = 1 << 22, NAME_ROOM = 64 };

static const char *const stems[BATCHES] = {"data_batch_1", "data_batch_2", "data_batch_3",
                                           "data_batch_4", "data_batch_5", "test_batch"};

/* The file of one batch, malloc'ed; NULL if there is none. */
static char *find_batch(const char *folder, int batch)
{
    static const char *const packings[] = {"", ".gz", ".xz"};
    for (int i = 0; i < 3; i++) {
        char *path = xprintf("%s/%s.bin%s", folder, stems[batch], packings[i]);
        if (access(path, F_OK) == 0)
            return path;
        free(path);
    }
    return NULL;
}

bool cifar10_is_at(const char *folder)
{
    bool any = false;
    for (int i = 0; i < BATCHES; i++) {
        char *path = find_batch(folder, i);
        any = any || path;
        free(path);
    }
    return any;
}

/* ------------------------------------------------------------------- one batch */

struct batch {
    char *path;
    struct images images;
    size_t room; /* items that there is memory for */
    bool sound;
    struct err err;
};

/* Twice the room; false when there is no more memory. */
static bool grow(struct images *images, size_t *room)
{
    const size_t more = *room ? 2 * *room : 2 * SOME;
    uint8_t *const pixels = realloc(images->pixels, more * IMAGE);
    if (!pixels)
        return false;
    images->pixels = pixels;
    uint8_t *const labels = realloc(images->labels, more);
    if (!labels)
        return false;
    images->labels = labels;
    *room = more;
    return true;
}

/* Planes become pixels. */
static void interleave(const uint8_t *planes, uint8_t *pixels)
{
    for (size_t i = 0; i < PLANE; i++)
        for (size_t c = 0; c < 3; c++)
            pixels[3 * i + c] = planes[c * PLANE + i];
}

static bool take_records(struct batch *b, const uint8_t *record, size_t records)
{
    struct images *const to = &b->images;
    if (to->items + records > MOST)
        return err_set(&b->err, "'%s': expected at most %d records, found more", b->path, MOST);
    if (to->items + records > b->room && !grow(to, &b->room))
        return err_set(&b->err, "'%s': no memory for more than %zu records", b->path, to->items);
    for (size_t i = 0; i < records; i++, record += CIFAR10_RECORD) {
        if (*record >= CIFAR10_CLASSES)
            return err_set(&b->err, "'%s': at record %zu: expected a label from 0 to 9, found %d",
                           b->path, to->items, *record);
        to->labels[to->items] = *record;
        interleave(record + 1, to->pixels + to->items++ * IMAGE);
    }
    return true;
}

static bool read_records(struct batch *b, struct unpack *file, uint8_t *records)
{
    for (size_t got = SOME * CIFAR10_RECORD; got == SOME * CIFAR10_RECORD;) {
        const size_t before = b->images.items * CIFAR10_RECORD;
        if (!unpack_read(file, records, SOME * CIFAR10_RECORD, &got, &b->err))
            return err_prefix(&b->err, "'%s': behind byte %zu", b->path, before + got);
        if (!take_records(b, records, got / CIFAR10_RECORD))
            return false;
        if (got % CIFAR10_RECORD)
            return err_set(&b->err,
                           "'%s': expected a multiple of %d bytes (records of CIFAR-10), found %zu",
                           b->path, CIFAR10_RECORD, before + got);
    }
    return b->images.items > 0 || err_set(&b->err, "'%s': expected records of %d bytes, found none",
                                          b->path, CIFAR10_RECORD);
}

static bool read_batch(struct batch *b)
{
    struct unpack *file = unpack_open(b->path, &b->err);
    if (!file)
        return false;
    uint8_t *const records = xmalloc((size_t)SOME * CIFAR10_RECORD);
    const bool sound = read_records(b, file, records);
    free(records);
    unpack_close(file);
    return sound;
}

/* -------------------------------------------------------------------- all of it */

struct loading {
    struct batch batch[BATCHES];
    atomic_int next;
};

static void load_batches(void *arg, const struct crew *crew)
{
    (void)crew; /* whoever is free takes the next file */
    struct loading *l = arg;
    for (int i; (i = atomic_fetch_add(&l->next, 1)) < BATCHES;)
        l->batch[i].sound = read_batch(&l->batch[i]);
}

static bool load_all(struct loading *l, const char *folder, struct err *err)
{
    for (int i = 0; i < BATCHES; i++) {
        l->batch[i].path = find_batch(folder, i);
        if (!l->batch[i].path)
            return err_set(err, "'%s': no %s.bin there (looked also for .gz and .xz)", folder,
                           stems[i]);
    }
    crew_run(crew_cores() < BATCHES ? crew_cores() : BATCHES, load_batches, l);
    for (int i = 0; i < BATCHES; i++)
        if (!l->batch[i].sound) {
            if (err)
                *err = l->batch[i].err;
            return false;
        }
    return true;
}

/* The first five batches in a row. */
static bool join(struct loading *l, struct images *all, struct err *err)
{
    size_t items = 0;
    for (int i = 0; i < TEST; i++)
        items += l->batch[i].images.items;
    *all = (struct images){.pixels = mem_large(items * IMAGE), .labels = xmalloc(items)};
    if (!all->pixels)
        return err_set(err, "no memory for %zu images of CIFAR-10", items);
    for (int i = 0; i < TEST; i++) {
        struct images *const part = &l->batch[i].images;
        memcpy(all->pixels + all->items * IMAGE, part->pixels, part->items * IMAGE);
        memcpy(all->labels + all->items, part->labels, part->items);
        all->items += part->items;
        free(part->pixels); /* so that no more than one batch is there twice */
        part->pixels = NULL;
    }
    return true;
}

/* Names of another set in the same form; without the file there are none. */
static bool read_names(const char *folder, struct dataset *d, struct err *err)
{
    char *path = xprintf("%s/batches.meta.txt", folder);
    FILE *f = fopen(path, "re");
    char line[NAME_ROOM], all[CIFAR10_CLASSES][NAME_ROOM];
    int names = 0;
    while (f && names < CIFAR10_CLASSES && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (*line)
            memcpy(all[names++], line, sizeof line);
    }
    const bool sound =
        !f || names == CIFAR10_CLASSES ||
        err_set(err, "'%s': expected %d names of classes, found %d", path, CIFAR10_CLASSES, names);
    const char *each[CIFAR10_CLASSES];
    for (int i = 0; i < names; i++)
        each[i] = all[i];
    if (f && sound)
        dataset_name_classes(d, each, CIFAR10_CLASSES);
    if (f)
        fclose(f);
    free(path);
    return sound;
}

bool cifar10_open_folder(const char *folder, struct dataset *d, struct err *err)
{
    struct loading *l = xcalloc(1, sizeof *l);
    d->path = xstrdup(folder);
    d->height = d->width = CIFAR10_SIDE;
    d->channels = 3;
    d->classes = CIFAR10_CLASSES;
    bool sound = load_all(l, folder, err) && join(l, &d->train, err) && read_names(folder, d, err);
    if (sound) {
        d->test = l->batch[TEST].images;
        l->batch[TEST].images = (struct images){0}; /* taken */
    }
    for (int i = 0; i < BATCHES; i++) {
        free(l->batch[i].path);
        free(l->batch[i].images.pixels);
        free(l->batch[i].images.labels);
    }
    free(l);
    return sound;
}

/* ---------------------------------------------------------- the published set */

static const char *const class_names[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                          "dog",      "frog",       "horse", "ship", "truck"};

/* Adds the bytes of records [from, to) as the file has them. */
static void add_records(struct sha256 *s, const struct images *images, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        uint8_t record[CIFAR10_RECORD] = {images->labels[i]};
        for (size_t p = 0; p < PLANE; p++)
            for (size_t c = 0; c < 3; c++)
                record[1 + c * PLANE + p] = images->pixels[i * IMAGE + 3 * p + c];
        sha256_add(s, record, sizeof record);
    }
}

static bool blame(const struct known_set *set, const struct dataset *d, struct err *err)
{
    const size_t fifth = d->train.items / TEST; /* published batches are equally long */
    for (int i = 0; i < BATCHES; i++) {
        const struct images *const images = i < TEST ? &d->train : &d->test;
        const size_t from = i < TEST ? fifth * (size_t)i : 0;
        char sum[SHA256_HEX];
        struct sha256 s = sha256_begin();
        add_records(&s, images, from, i < TEST ? from + fifth : images->items);
        sha256_end(&s, sum);
        if (strcmp(sum, set->file_sha256[i]) == 0)
            continue;
        char *path = find_batch(d->path, i);
        err_set(err, "'%s' is not the file of %s: expected sha256 %s unpacked, found %s",
                path ? path : stems[i], set->title, set->file_sha256[i], sum);
        free(path);
        return false;
    }
    return err_set(err, "'%s' is not %s: expected sha256 %s, found %s", d->path, set->title,
                   set->sha256, d->sha256);
}

static bool open_folder(const char *folder, const struct dataset_wish *wish, struct dataset *d,
                        struct err *err)
{
    (void)wish; /* files are what they are */
    return cifar10_open_folder(folder, d, err);
}

const struct data_format format_cifar10 = {
    .name = "cifar", .is_at = cifar10_is_at, .open = open_folder, .blame = blame};

const struct known_set cifar10_set = {
    .format = &format_cifar10,
    .name = "cifar10",
    .title = "CIFAR-10",
    .about = "50,000 + 10,000 photographs of animals and vehicles, 32 x 32 colour, 10 classes",
    .height = CIFAR10_SIDE,
    .width = CIFAR10_SIDE,
    .channels = 3,
    .classes = CIFAR10_CLASSES,
    .licence = "none stated",
    .files = "the binary version",
    .url = {"https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"},
    .unpacked = "cifar-10-batches-bin",
    .class_names = class_names,
    .sha256 = "80387ddb9a0edf3fc4a964ee3770296169bb26a651050df20035579673099660",
    .file_sha256 = {"cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
                    "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
                    "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
                    "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
                    "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
                    "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"},
};
