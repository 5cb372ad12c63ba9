/* cache.h — the file of decoded pictures: written whole, then mapped.
 *
 *     struct cache_head       everything that is known of the set but its names
 *     struct picture [items]  training pictures, then test pictures
 *     pixels                  from a multiple of 4096 on; picture.at counts from there
 *
 * It is written under another name and renamed when complete, so a file that is there is whole;
 * what its head says is checked against its length all the same. */
#ifndef CACHE_H
#define CACHE_H

#include <stdint.h>

#include "base/sha256.h"
#include "datasets/folder/list.h"
#include "datasets/measure.h"

enum { CACHE_VERSION = 1, CACHE_ALIGN = 4096 };

struct cache_head {
    char magic[8]; /* "benchpic" */
    uint32_t version, channels;
    uint64_t items, train, pixels; /* pixels: where they begin */
    uint64_t bytes;                /* of the whole file */
    struct sums sums;              /* of the training pixels */
    char key[SHA256_HEX], sha256[SHA256_HEX];
    char zero[6];
};

/* What a cache is made of. */
struct cache_job {
    const char *folder;
    const struct list *list;
    int channels, side; /* 1 or 3; the shorter side of what is kept */
    const char *path;   /* of the file */
    char key[SHA256_HEX];
    void (*say)(const char *what); /* NULL, or told now and then how far it is */
    bool (*stopped)(void);         /* NULL, or asked before each picture: true ends it */
};

/* Maps the file; NULL without an error set if it is not there or not what the job asks for. */
const struct cache_head *cache_map(const struct cache_job *job);

/* Decodes everything and writes the file. Refuses, naming the file: what decode.h refuses, and a
 * disk that is too small. Leaves nothing behind then. */
bool cache_write(const struct cache_job *job, struct err *err);

static inline const struct picture *cache_pictures(const struct cache_head *h)
{
    return (const struct picture *)(h + 1);
}

#endif
