/* cifar10.h — CIFAR-10 in its binary version: Krizhevsky, Learning Multiple Layers of
 * Features from Tiny Images, 2009; https://www.cs.toronto.edu/~kriz/cifar.html
 *
 *     data_batch_1.bin … data_batch_5.bin, test_batch.bin: records of 3073 bytes,
 *     a label of 0 to 9, then 32 x 32 bytes each of red, green and blue
 *     batches.meta.txt: the names of the classes, one a line
 *
 * Plain, or packed with gzip or xz. Batches may have any number of records but none. */
#ifndef CIFAR10_H
#define CIFAR10_H

#include <stdbool.h>

#include "base/err.h"
#include "datasets/dataset.h"

enum { CIFAR10_SIDE = 32, CIFAR10_CLASSES = 10, CIFAR10_RECORD = 1 + 3 * 32 * 32 };

/* Whether any of the set's files is in the folder. */
bool cifar10_is_at(const char *folder);

/* Reads the six files into d's sizes, classes, names, train, test and path, on all cores. Pixels
 * become [32][32][3]. Refuses, naming file, place, expected and found: a missing batch, a length
 * that is no multiple of a record's, a label above 9, a damaged packed stream. */
bool cifar10_open_folder(const char *folder, struct dataset *d, struct err *err);

#endif
