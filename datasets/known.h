/* known.h — the sets that are known by name and content, and the formats that a folder
 * may have. What dataset.c needs of a reader is in here. */
#ifndef KNOWN_H
#define KNOWN_H

#include <stdbool.h>

#include "base/err.h"
#include "datasets/dataset.h"

enum { KNOWN_FILES = 6 };

struct known_set;

/* How a folder is read. A format is seen by the files in a folder, not by its name. */
struct data_format {
    const char *name; /* of sets that nobody knows: "idx" */
    bool (*is_at)(const char *folder);
    /* Fills all of d but, unless `measured`, what measure_dataset() finds. */
    bool (*open)(const char *folder, const struct dataset_wish *wish, struct dataset *d,
                 struct err *err);
    bool measured;
    /* `d` should have been `set`, and its sum says that it is not: tells what differs; false. */
    bool (*blame)(const struct known_set *set, const struct dataset *d, struct err *err);
};
extern const struct data_format format_idx, format_cifar10, format_folder;

/* The sums are of unpacked files: gzip streams differ from one distributor to the next. */
struct known_set {
    const struct data_format *format;
    const char *name, *title, *about;
    int height, width, channels, classes;
    const char *package, *folder; /* of Debian, and where it puts the files; or NULL */
    const char *licence;
    const char *files;    /* what is to be got from the URL: "the four files" */
    const char *url[2];   /* of their folder, or of an archive; NULL where none */
    const char *unpacked; /* the folder in such an archive; or NULL */
    const char *const *class_names;
    const char *sha256; /* as in struct dataset */
    const char *file_sha256[KNOWN_FILES];
};
extern const struct known_set idx_fashion_mnist, idx_mnist, cifar10_set;

#endif
