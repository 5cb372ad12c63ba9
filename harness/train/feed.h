/* feed.h — from images in memory to the inputs of a step.
 *
 * One pass per image on the thread that owns it: gather by shuffled index, augment,
 * centre on a larger field, bytes to floats. Vectorised; below 3 %
 * of a LeNet step. */
#ifndef FEED_H
#define FEED_H

#include "base/crew.h"
#include "base/err.h"
#include "datasets/dataset.h"
#include "nn.h"
#include "train/augment.h"

struct feed {
    const struct dataset *data;
    const struct images *images;
    uint32_t *order;             /* permutation of the items */
    int height, width, channels; /* of the network's input; the image is centred in it,
                                  which is at most twice as large */
    /* value = scale pixel + offset, by channel; so the offset is the value of background, pixel 0 */
    float scale[DATASET_CHANNELS], offset[DATASET_CHANNELS];
    bool alike; /* one scale and offset for all channels */
    struct augment augment;
    uint64_t seed;
    int epoch;
    size_t next;                 /* items already fed in this epoch */
};

/* `input` is the network's "image": [C,H,W] or flat [F] with F = C H W of the set, in the order
 * H, W, C; without the batch. ink_low/high as in nn_recipe; both 0 standardise each channel by itself. `augment` as there, see augment.h; NULL for evaluation. Pictures are cut to the field's shape in
 * their middle, or where chance wants, and resized. Refuses, naming both shapes, what does not fit. A set of noise is drawn from the seed: images from N(0,1),
 * labels from all classes, neither shuffled nor augmented. */
bool feed_init(struct feed *f, const struct dataset *data, bool train, struct nn_shape input,
               float ink_low, float ink_high, const char *augment, uint64_t seed, struct err *err);
void feed_release(struct feed *f);

/* Begins epoch `epoch` (0, 1, …): shuffles when training; evaluation keeps the order. The
 * permutation depends on seed and epoch only. */
void feed_start(struct feed *f, int epoch);

/* Fills this thread's share of a batch: image [batch,H,W,C] floats (channels last), label [batch]
 * (-1 behind the last item). Does not move `next`, so all threads may call it at once. */
void feed_fill(const struct feed *f, const struct crew *crew, int batch, float *image, int32_t *label);

/* Moves on by a batch; false when the epoch has no item left. Training drops the last part-batch. */
bool feed_next(struct feed *f, int batch);

#endif
