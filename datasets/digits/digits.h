/* digits.h — handwritten digits without a download: drawn, not photographed. */
#ifndef DIGITS_H
#define DIGITS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "datasets/dataset.h"

enum { DIGITS_SIDE = 28, DIGITS_TRAIN = 60000, DIGITS_TEST_SHARE = 6 };

/* Fills d with `items` (0: DIGITS_TRAIN) training images and a sixth as many, at least ten, test
 * images of 28 x 28 grey pixels. Classes are equally frequent and shuffled; the two sets share no
 * random number. The same on every machine for one seed: integers only. Fails for want of memory;
 * what d then holds, dataset_close() frees. */
bool digits_open(uint64_t seed, size_t items, struct dataset *d, struct err *err);

/* One image: number `item` of a stream (base/rng.h) under that seed. */
void digits_draw(uint64_t seed, uint64_t stream, size_t item, int label,
                 uint8_t pixels[DIGITS_SIDE * DIGITS_SIDE]);

#endif
