/* idx.h — IDX, the format of MNIST and its relatives: http://yann.lecun.com/exdb/mnist/
 *
 *     00 00 TT RR   TT: type, 08 = unsigned byte; RR: number of dimensions
 *     RR sizes      32 bits each, big-endian
 *     the items     last dimension fastest
 *
 * Here: type 08 with one to four dimensions, plain or gzipped. */
#ifndef IDX_H
#define IDX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "datasets/dataset.h"

enum { IDX_MAX_RANK = 4, IDX_HEADER = 4 + 4 * IDX_MAX_RANK };

struct idx {
    int rank;
    size_t dim[IDX_MAX_RANK];
    size_t count;   /* their product */
    uint8_t *bytes; /* malloc'ed, the caller's */
};

/* Reads a whole file. `what` names its items in messages ("pixels"). Refuses, with path, offset,
 * expected and found: another magic, a size of 0, sizes that the file cannot hold (before
 * anything is allocated), missing bytes, bytes too many, a damaged gzip stream. */
bool idx_read(const char *path, const char *what, struct idx *out, struct err *err);

/* The header that idx_read() saw; returns its length. */
size_t idx_header(const struct idx *x, uint8_t header[IDX_HEADER]);

/* The four files of a set, in this order everywhere. */
enum { IDX_TRAIN_IMAGES, IDX_TRAIN_LABELS, IDX_TEST_IMAGES, IDX_TEST_LABELS, IDX_PARTS };

/* The file of one part in a folder (malloc'ed), or NULL: train-images-idx3-ubyte, or '.' in
 * place of the last '-', with or without .gz; t10k- for the test set. */
char *idx_find(const char *folder, int part);

/* Reads the four files of a folder into d's sizes, classes, train, test and path, on two threads.
 * Images are [N,H,W] or [N,H,W,C]; there are as many classes as the largest training label asks
 * for. Refuses what does not belong together. */
bool idx_open_folder(const char *folder, struct dataset *d, struct err *err);

#endif
