/* resize.c — see resize.h. */
#include "train/resize.h"

#include <assert.h>
#include <string.h>

/* Where centre i of n lies among m: between which two, and how far, in 256ths. Outside the first
 * and last centre there is nothing to mix. */
static int between(int i, int n, int m, uint16_t *share)
{
    const int64_t at = ((int64_t)(2 * i + 1) * m * 256 / n - 256) / 2;
    const int64_t last = (int64_t)(m - 1) * 256;
    const int64_t inside = at < 0 ? 0 : at > last ? last : at;
    *share = (uint16_t)(inside & 255);
    return (int)(inside >> 8);
}

void resize_begin(struct resize *r, const uint8_t *picture, int width, int channels,
                  const struct part *part, int rows, int columns)
{
    assert(columns <= RESIZE_OUT && part->width * channels <= RESIZE_IN);
    r->stride = (size_t)width * (size_t)channels;
    r->pixels = picture + (size_t)part->top * r->stride + (size_t)part->left * (size_t)channels;
    r->channels = channels;
    r->rows = rows;
    r->columns = columns;
    r->part = *part;
    for (int x = 0; x < columns; x++)
        r->left[x] = (uint16_t)between(x, columns, part->width, &r->weight[x]);
}

/* One pixel is two of the blended row; next is 0 at its end, where the weight is 0 too. */
static inline __attribute__((always_inline)) void mix(const struct resize *r, const uint16_t *row,
                                                      int channels, uint8_t *out)
{
    for (int x = 0; x < r->columns; x++) {
        const uint16_t *const a = row + r->left[x] * channels;
        const uint16_t *const b = r->weight[x] ? a + channels : a;
        const uint32_t w = r->weight[x];
        for (int c = 0; c < channels; c++)
            *out++ = (uint8_t)((a[c] * (256 - w) + b[c] * w + (1 << 15)) >> 16);
    }
}

void resize_row(const struct resize *r, int row, uint8_t *out)
{
    uint16_t share, blend[RESIZE_IN];
    const int top = between(row, r->rows, r->part.height, &share);
    const size_t n = (size_t)r->part.width * (size_t)r->channels;
    const uint8_t *const a = r->pixels + (size_t)top * r->stride, *const b =
                                                                      share ? a + r->stride : a;
    if (share == 0 && r->columns == r->part.width) {
        memcpy(out, a, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        blend[i] = (uint16_t)(a[i] * (256 - share) + b[i] * share);
    if (r->channels == 3)
        mix(r, blend, 3, out);
    else
        mix(r, blend, r->channels, out);
}
