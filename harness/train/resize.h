/* resize.h — part of a picture at another size, row by row: linear between the four
 * nearest pixels, rounded to bytes. Nothing is averaged, so it is meant for factors down to about
 * two thirds; data sets shrink their pictures properly before. */
#ifndef RESIZE_H
#define RESIZE_H

#include <stddef.h>
#include <stdint.h>

#include "train/augment.h"

enum {
    RESIZE_OUT = 2048,
    RESIZE_IN = 12288
}; /* pixels of a row of the result; bytes of the part's */

struct resize {
    const uint8_t *pixels; /* of the part */
    size_t stride;         /* bytes from row to row */
    int channels, rows, columns;
    struct part part;
    uint16_t left[RESIZE_OUT],
        weight[RESIZE_OUT]; /* pixel to the left, and share of the next / 256 */
};

/* `part` of a picture of `width` pixels a row, as rows x columns pixels. Pixels beside the part are
 * not looked at. */
void resize_begin(struct resize *r, const uint8_t *picture, int width, int channels,
                  const struct part *part, int rows, int columns);
void resize_row(const struct resize *r, int row, uint8_t *out);

#endif
