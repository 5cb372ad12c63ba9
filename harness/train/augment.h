/* augment.h — chance for each image: where it lies, which part is seen, in which light.
 *
 *     shiftN, cropN   moved by 0 to N pixels any way, background behind (padding by N and cutting
 *                     the old size out is the same; papers use both words)
 *     flip            left to right, for half of the images
 *     resizedcrop     a part of 8 to 100 % of the area, 3:4 to 4:3 in shape, resized to the whole:
 *                     Szegedy et al., Going deeper with convolutions, 2015
 *     colour          along the principal axes of the colours of the training set, each by its
 *                     standard deviation times N(0, 0.1): Krizhevsky et al. 2012, section 4.1
 *                     (who write eigenvalue for what is its root in their and everybody's code)
 *     cutoutN         a square of N pixels of the mean colour: DeVries & Taylor 2017
 *
 * Random numbers are counted, not drawn in order: what happens to an image depends on
 * seed, epoch and its place in the epoch, so any thread may lay out any image. */
#ifndef AUGMENT_H
#define AUGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "datasets/dataset.h"

enum { FEED_AUGMENTS = 8 };

struct augment {
    struct {
        int kind, amount;
    } each[FEED_AUGMENTS];
    int count;
    bool resizes;     /* resizedcrop is among them */
    float axes[3][3]; /* principal axes of the colours, each as long as its standard deviation */
};

/* One axis of the network's field: where its position x comes from in the image. */
struct axis {
    int low, high;  /* the window: outside it lies background */
    int sign, from; /* in(sign x + from) */
    int size;       /* of the field */
};

/* A part of a picture, in pixels. */
struct part {
    int top, left, height, width;
};

/* What becomes of one image. */
struct placement {
    struct axis y, x;
    bool resized;     /* the axes look at `part` of the picture, resized to the field */
    struct part part; /* when resized */
    struct part hole; /* of the field, may reach beyond it; height 0: none */
    bool lit;
    float light[3]; /* is added to the bytes of each channel */
};

/* `list` as in nn_recipe.augment; NULL is none. Refuses what it does not know, naming what it
 * does, and colour for sets without three channels. */
bool augment_init(struct augment *a, const char *list, const struct dataset *d, struct err *err);

/* p holds the placement without chance; of a picture of height x width pixels. */
void augment_place(const struct augment *a, uint64_t seed, int epoch, size_t place, int height,
                   int width, struct placement *p);

#endif
