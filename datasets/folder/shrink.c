/* shrink.c — see shrink.h. Down the columns first, for whole rows at once; then along the row. */
#include "datasets/folder/shrink.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

/* What makes one new pixel: `count` old ones from `first` on, with weights that add up to 1. */
struct taps {
    int first, count;
    float *weight;
};

static double triangle(double x) { return fabs(x) < 1 ? 1 - fabs(x) : 0; }

/* The taps of all n new pixels, of m old ones. One block: freed whole. */
static struct taps *make_taps(int n, int m)
{
    const double step = (double)m / n, reach = step > 1 ? step : 1;
    const size_t most = (size_t)ceil(2 * reach) + 2;
    struct taps *taps = xmalloc((size_t)n * (sizeof *taps + most * sizeof(float)));
    float *weight = (float *)(taps + n);
    for (int i = 0; i < n; i++, weight += most) {
        const double centre = (i + 0.5) * step;
        const int first = (int)fmax(floor(centre - reach), 0);
        const int last = (int)fmin(ceil(centre + reach), m);
        double sum = 0;
        for (int j = first; j < last; j++)
            sum += triangle((j + 0.5 - centre) / reach);
        for (int j = first; j < last; j++)
            weight[j - first] = (float)(triangle((j + 0.5 - centre) / reach) / sum);
        taps[i] = (struct taps){first, last - first, weight};
    }
    return taps;
}

static void add_rows(const struct taps *t, const uint8_t *column, size_t stride, size_t n,
                     float *sum)
{
    for (size_t i = 0; i < n; i++)
        sum[i] = 0.5f; /* rounds when it becomes a byte */
    for (int k = 0; k < t->count; k++) {
        const uint8_t *const row = column + (size_t)(t->first + k) * stride;
        const float w = t->weight[k];
        for (size_t i = 0; i < n; i++)
            sum[i] += w * (float)row[i];
    }
}

static void along_row(const struct taps *taps, int width, int channels, const float *sum,
                      uint8_t *out)
{
    for (int x = 0; x < width; x++)
        for (int c = 0; c < channels; c++) {
            const struct taps *const t = &taps[x];
            float v = 0;
            for (int k = 0; k < t->count; k++)
                v += t->weight[k] * sum[(t->first + k) * channels + c];
            *out++ = (uint8_t)(v > 255 ? 255 : v);
        }
}

bool shrink(const struct raster *from, const struct shrink_part *part, struct raster *to)
{
    const size_t C = (size_t)from->channels, stride = (size_t)from->width * C;
    const size_t n = (size_t)part->width * C;
    const uint8_t *const corner = from->bytes + (size_t)part->top * stride + (size_t)part->left * C;
    float *const sum = malloc(n * sizeof *sum);
    if (!sum)
        return false;
    struct taps *const down = make_taps(to->height, part->height);
    struct taps *const along = make_taps(to->width, part->width);
    for (int y = 0; y < to->height; y++) {
        add_rows(&down[y], corner, stride, n, sum);
        along_row(along, to->width, to->channels, sum,
                  to->bytes + (size_t)y * (size_t)to->width * C);
    }
    free(down);
    free(along);
    free(sum);
    return true;
}
