/* dataset.h — labelled images in memory, whatever they came from.
 *
 * Pixels stay bytes, as in the files: a batch is gathered, transformed and made
 * floats by train/feed.h while it is needed, which is cheaper than moving floats. */
#ifndef DATASET_H
#define DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { DATASET_CHANNELS = 64 }; /* the most */

/* One of a set whose pictures differ in size. */
struct picture {
    uint64_t at; /* its pixels are [height][width][channels] at pixels + at */
    uint16_t height, width, label, zero;
};

struct images {
    size_t items;
    uint8_t *pixels;               /* [items][height][width][channels] */
    uint8_t *labels;               /* [items], each below classes */
    const struct picture *picture; /* NULL; or [items], and labels is NULL */
};

struct dataset {
    const char *name; /* of dataset_names, by content; "idx" for any other folder */
    char *path;       /* folder it was read from; NULL for generators */
    bool synthetic;   /* made here, not measured in the world */
    bool noise;       /* no pixels and no labels at all: what train/feed.h draws from the seed */
    /* of each image; of pictures: of the image that is made of each, and the shorter side of a
     * picture that would just do */
    int height, width, channels, classes, side;
    const char *const *class_names; /* NULL, or `classes` words */
    char *own_name;                 /* NULL, or what name points to */
    void *own_names;                /* NULL, or what class_names and they stand in */
    void *map;                      /* NULL, or the mapped file that pixels and pictures are in */
    size_t map_bytes;
    struct images train, test;
    /* of the training pixels, 0 … 255, by channel; covariance of three channels only */
    double mean[DATASET_CHANNELS], deviation[DATASET_CHANNELS], covariance[3][3];
    char sha256[65]; /* of the unpacked bytes: train pixels, labels, test pixels, labels */
};

/* The class of an image. */
static inline int dataset_label(const struct images *i, size_t item)
{
    return i->picture ? i->picture[item].label : i->labels[item];
}

/* Bytes of one image. */
static inline size_t dataset_image_bytes(const struct dataset *d)
{
    return (size_t)d->height * (size_t)d->width * (size_t)d->channels;
}

/* What a network would like; all 0 where nobody knows. */
struct dataset_wish {
    uint64_t seed;               /* of generators, and … */
    size_t items;                /* … their number of images; 0: the set's default */
    int channels, height, width; /* of the network's image; a flat one: 0, 0 and its length */
    const char *cache; /* where decoded pictures are kept (folder.h); NULL: the usual place */
    void (*say)(const char *what); /* NULL, or told what takes so long */
    bool (*stopped)(void);         /* NULL, or whether nobody wants it any more */
};

/* `which`: NULL, a name of dataset_names, or a folder. NULL takes the first set whose images fit
 * the wish: Fashion-MNIST (where it is not installed: drawn digits), CIFAR-10. `wish` may be NULL.
 * On success the caller closes with dataset_close(). */
bool dataset_open(const char *which, const struct dataset_wish *wish, struct dataset *d,
                  struct err *err);

/* A set of that many items without content, for timing: every step draws the same images from
 * N(0,1) and labels from all classes. */
void dataset_noise(const struct dataset_wish *wish, int classes, struct dataset *d);
void dataset_close(struct dataset *d);

/* All sets known by name, NULL-terminated, and one line about each; whether it is at
 * hand here and where (malloc'ed, NULL if not). */
extern const char *const dataset_names[];
const char *dataset_about(const char *name);
char *dataset_where(const char *name);

/* The package that would bring `name`, or NULL: "dataset-fashion-mnist". */
const char *dataset_package(const char *name);

/* For readers: d takes copies of these names of its classes. */
void dataset_name_classes(struct dataset *d, const char *const *names, int count);

#endif
