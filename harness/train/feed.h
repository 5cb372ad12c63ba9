/* feed.h — from images in memory to the inputs of a step.
 *
 * One pass per image on the thread that owns it: gather by shuffled index, shift,
 * crop or flip, centre on a larger field, bytes to floats. Vectorised; below 3 %
 * of a LeNet step. */
#ifndef FEED_H
#define FEED_H

#include "base/crew.h"
#include "base/err.h"
#include "datasets/dataset.h"
#include "nn.h"

enum { FEED_AUGMENTS = 8 };

struct feed {
    const struct dataset *data;
    const struct images *images;
    uint32_t *order;             /* permutation of the items */
    int height, width, channels; /* of the network's input; the image is centred in it */
    /* value = scale pixel + offset, by channel; so the offset is the value of background, pixel 0 */
    float scale[DATASET_CHANNELS], offset[DATASET_CHANNELS];
    bool alike; /* one scale and offset for all channels */
    struct { int kind, amount; } augment[FEED_AUGMENTS];
    int augments;
    uint64_t seed;
    int epoch;
    size_t next;                 /* items already fed in this epoch */
};

/* `input` is the network's "image": [C,H,W] or flat [F] with F = C H W of the set, in the order
 * H, W, C; without the batch. ink_low/high as in nn_recipe; both 0 standardise each channel by itself. `augment` as there: shiftN and cropN
 * (the same: 0 to N pixels any way, background behind) and flip (left to right, for half of the
 * images); NULL for evaluation. Refuses, naming both shapes, what does not fit; and unknown
 * augmentations, naming the known ones. A set of noise is drawn from the seed: images from N(0,1),
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
