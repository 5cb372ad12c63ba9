/* measure.h — what the pixels of a set are like: means, deviations, covariance, sum.
 *
 * Integers are added up, so any split over threads gives the same bits. */
#ifndef MEASURE_H
#define MEASURE_H

#include <stddef.h>
#include <stdint.h>

#include "datasets/dataset.h"

struct sums {
    uint64_t pixels;
    uint64_t sum[DATASET_CHANNELS], square[DATASET_CHANNELS];
    uint64_t mixed[3]; /* of three channels: red green, red blue, green blue */
};

/* Adds `pixels` pixels of `channels` bytes each. */
void sums_add(struct sums *s, const uint8_t *x, size_t pixels, int channels);
void sums_join(struct sums *s, const struct sums *other);

/* Sets d's mean, deviation and, of three channels, covariance. */
void sums_end(const struct sums *s, struct dataset *d);

/* The same from d's training pixels, and d's sha256; on all cores. */
void measure_dataset(struct dataset *d);

#endif
