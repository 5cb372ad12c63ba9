/* measure.c — see measure.h. */
#define _GNU_SOURCE
#include "datasets/measure.h"

#include <math.h>
#include <stdlib.h>

#include "base/crew.h"
#include "base/mem.h"
#include "base/sha256.h"

enum { BLOCK = 4096 }; /* pixels: 255^2 BLOCK stays below 2^32 */

/* The pairs of channels that have a covariance, in the order of sums.mixed. */
static const int pairs[3][2] = {{0, 1}, {0, 2}, {1, 2}};

static inline uint32_t product(const uint8_t *x, size_t pixels, int channels, int a, int b)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < pixels; i++)
        sum += (uint32_t)x[i * (size_t)channels + (size_t)a] * x[i * (size_t)channels + (size_t)b];
    return sum;
}

static inline uint32_t total(const uint8_t *x, size_t pixels, int channels, int a)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < pixels; i++)
        sum += x[i * (size_t)channels + (size_t)a];
    return sum;
}

/* Inlined with constant `channels` for the usual sets. */
static inline __attribute__((always_inline)) void add_block(struct sums *s, const uint8_t *x,
                                                            size_t pixels, int channels)
{
    for (int c = 0; c < channels; c++) {
        s->sum[c] += total(x, pixels, channels, c);
        s->square[c] += product(x, pixels, channels, c, c);
    }
    for (int p = 0; channels == 3 && p < 3; p++)
        s->mixed[p] += product(x, pixels, channels, pairs[p][0], pairs[p][1]);
}

void sums_add(struct sums *s, const uint8_t *x, size_t pixels, int channels)
{
    for (size_t i = 0; i < pixels; i += BLOCK) {
        const size_t n = pixels - i < BLOCK ? pixels - i : BLOCK;
        const uint8_t *const at = x + i * (size_t)channels;
        if (channels == 1)
            add_block(s, at, n, 1);
        else if (channels == 3)
            add_block(s, at, n, 3);
        else
            add_block(s, at, n, channels);
    }
    s->pixels += pixels;
}

void sums_join(struct sums *s, const struct sums *other)
{
    s->pixels += other->pixels;
    for (int c = 0; c < DATASET_CHANNELS; c++) {
        s->sum[c] += other->sum[c];
        s->square[c] += other->square[c];
    }
    for (int p = 0; p < 3; p++)
        s->mixed[p] += other->mixed[p];
}

void sums_end(const struct sums *s, struct dataset *d)
{
    const double n = (double)s->pixels;
    for (int c = 0; c < d->channels; c++) {
        d->mean[c] = (double)s->sum[c] / n;
        const double variance = (double)s->square[c] / n - d->mean[c] * d->mean[c];
        d->deviation[c] = variance > 0 ? sqrt(variance) : 0;
        if (d->channels == 3)
            d->covariance[c][c] = variance > 0 ? variance : 0;
    }
    for (int p = 0; d->channels == 3 && p < 3; p++) {
        const int a = pairs[p][0], b = pairs[p][1];
        d->covariance[a][b] = d->covariance[b][a] =
            (double)s->mixed[p] / n - d->mean[a] * d->mean[b];
    }
}

/* ------------------------------------------------------------------- all of a set */

struct measuring {
    struct dataset *d;
    size_t bytes; /* of one image */
    struct sums *part;
};

static void sum_content(struct measuring *m)
{
    const struct images *both[] = {&m->d->train, &m->d->test};
    struct sha256 s = sha256_begin();
    for (int i = 0; i < 2; i++) {
        sha256_add(&s, both[i]->pixels, both[i]->items * m->bytes);
        sha256_add(&s, both[i]->labels, both[i]->items);
    }
    sha256_end(&s, m->d->sha256);
}

/* The sum of the content can only be made in order, so one thread does that and no more. */
static void measure_share(void *arg, const struct crew *crew)
{
    struct measuring *m = arg;
    const int adding = crew->threads > 1 ? crew->threads - 1 : 1;
    if (crew->thread == crew->threads - 1)
        sum_content(m);
    if (crew->thread == adding)
        return;
    const struct crew adders = {crew->thread, adding, NULL};
    const int C = m->d->channels;
    size_t from, to;
    crew_share(&adders, m->d->train.items, 1, &from, &to);
    sums_add(&m->part[crew->thread], m->d->train.pixels + from * m->bytes,
             (to - from) * m->bytes / (size_t)C, C);
}

void measure_dataset(struct dataset *d)
{
    const int threads = crew_cores();
    struct measuring m = {d, dataset_image_bytes(d), xcalloc((size_t)threads, sizeof *m.part)};
    crew_run(threads, measure_share, &m);
    for (int i = 1; i < threads; i++)
        sums_join(&m.part[0], &m.part[i]);
    sums_end(&m.part[0], d);
    free(m.part);
}
