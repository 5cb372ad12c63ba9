/* shrink.h — a picture made smaller without moire: each pixel is the mean of what it covers,
 * weighted by a triangle that is as wide as two of the new pixels (bilinear with antialiasing, as
 * Pillow and torchvision have it). */
#ifndef SHRINK_H
#define SHRINK_H

#include "datasets/folder/decode.h"

/* Makes `to` of the part [top, top + height) x [left, left + width) of `from`; to's size and room
 * are set before. Sums in float, rounded to the nearest byte. False when there is no memory. */
struct shrink_part {
    int top, left, height, width;
};
bool shrink(const struct raster *from, const struct shrink_part *part, struct raster *to);

#endif
