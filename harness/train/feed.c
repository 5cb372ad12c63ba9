/* feed.c — see feed.h.
 *
 * What chance does to an image is a placement (augment.h): a map for each axis, and
 * for pictures the part that is resized to the field. An image is laid out as bytes
 * in bands small enough for the first cache, then made floats in one go; the
 * background is the value of pixel 0, so a byte of 0 stands for it.
 *
 * Prefetching the next image of the shuffled order gains nothing that can be
 * measured: the images lie in huge pages, and one is a dozen lines in a row. */
#include "train/feed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/text.h"
#include "kernels/kernels.h"
#include "train/resize.h"

enum { BAND_BYTES = 8192 };

/* ------------------------------------------------------------------ placing */

/* Where an image comes from. */
struct source {
    const uint8_t *pixels;
    int height, width;
};

static struct source source_of(const struct feed *f, size_t item)
{
    const struct images *i = f->images;
    if (!i->picture)
        return (struct source){i->pixels + item * dataset_image_bytes(f->data), f->data->height,
                               f->data->width};
    const struct picture *p = &i->picture[item];
    return (struct source){i->pixels + p->at, p->height, p->width};
}

/* The middle of a picture: the field's size where the picture's shorter side is the set's `side`,
 * more or less of it where it is larger or smaller. */
static struct part middle_of(const struct feed *f, const struct source *s)
{
    const int least = s->height < s->width ? s->height : s->width;
    double scale = (double)least / f->data->side;
    scale = fmin(scale, fmin((double)s->height / f->height, (double)s->width / f->width));
    const int h = (int)lround(scale * f->height), w = (int)lround(scale * f->width);
    return (struct part){(s->height - h) / 2, (s->width - w) / 2, h > 0 ? h : 1, w > 0 ? w : 1};
}

/* The maps of the image at place `place` of this epoch. */
static void place_image(const struct feed *f, size_t place, const struct source *s,
                        struct placement *p)
{
    *p = (struct placement){.resized = f->augment.resizes || f->images->picture};
    if (p->resized) {
        p->part = f->images->picture ? middle_of(f, s) : (struct part){0, 0, s->height, s->width};
        p->y = (struct axis){0, f->height, 1, 0, f->height};
        p->x = (struct axis){0, f->width, 1, 0, f->width};
    } else {
        const int top = (f->height - s->height) / 2, left = (f->width - s->width) / 2;
        p->y = (struct axis){top, top + s->height, 1, -top, f->height};
        p->x = (struct axis){left, left + s->width, 1, -left, f->width};
    }
    augment_place(&f->augment, f->seed, f->epoch, place, s->height, s->width, p);
}

/* ------------------------------------------------------------------ one image */

/* memcpy() for a row of some dozen bytes, in line: half the time of the call. */
static inline void copy_bytes(uint8_t *to, const uint8_t *from, size_t n)
{
    enum { STEP = 16 };
    size_t i = 0;
    for (; i + STEP <= n; i += STEP)
        memcpy(to + i, from + i, STEP);
    if (i < n && n >= STEP)
        memcpy(to + n - STEP, from + n - STEP, STEP); /* overlaps what is there */
    else
        for (; i < n; i++)
            to[i] = from[i];
}

/* to[i] = from[n - 1 - i], eight at a time. */
static void copy_mirrored(uint8_t *to, const uint8_t *from, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t eight;
        memcpy(&eight, from + n - 8 - i, 8);
        eight = __builtin_bswap64(eight);
        memcpy(to + i, &eight, 8);
    }
    for (; i < n; i++)
        to[i] = from[n - 1 - i];
}

static void copy_row(const struct axis *x, int channels, const uint8_t *row, uint8_t *out)
{
    const size_t C = (size_t)channels;
    if (x->high <= x->low)
        return;
    const size_t n = (size_t)(x->high - x->low);
    const int last = x->sign * (x->high - 1) + x->from;
    out += (size_t)x->low * C;
    if (x->sign > 0)
        copy_bytes(out, row + (size_t)(x->low + x->from) * C, n * C);
    else if (C == 1)
        copy_mirrored(out, row + last, n);
    else
        for (size_t i = 0; i < n; i++)
            copy_bytes(out + i * C, row + ((size_t)last + n - 1 - i) * C, C);
}

/* Bytes of the mean colour where the field's row `row` meets the hole. */
static void cut_hole(const struct feed *f, const struct part *hole, int row, uint8_t *out)
{
    const int left = hole->left > 0 ? hole->left : 0, right = hole->left + hole->width;
    if (row < hole->top || row >= hole->top + hole->height)
        return;
    for (int x = left; x < (right < f->width ? right : f->width); x++)
        for (int c = 0; c < f->channels; c++)
            out[x * f->channels + c] = (uint8_t)lround(f->data->mean[c]);
}

/* Rows [from, to) of the field as bytes. `resize` is NULL where pixels are taken as they are. */
static void lay_out(const struct feed *f, const struct placement *p, const struct source *s,
                    const struct resize *resize, int from, int to, uint8_t *band)
{
    const struct axis *const y = &p->y;
    const size_t out = (size_t)f->width * (size_t)f->channels;
    const size_t in = (size_t)s->width * (size_t)f->channels;
    uint8_t resized[BAND_BYTES];
    memset(band, 0, (size_t)(to - from) * out);
    for (int i = from > y->low ? from : y->low; i < (to < y->high ? to : y->high); i++) {
        const int row = y->sign * i + y->from;
        if (resize)
            resize_row(resize, row, resized);
        copy_row(&p->x, f->channels, resize ? resized : s->pixels + (size_t)row * in,
                 band + (size_t)(i - from) * out);
    }
    for (int i = from; p->hole.height > 0 && i < to; i++)
        cut_hole(f, &p->hole, i, band + (size_t)(i - from) * out);
}

static bool covers(const struct axis *a, int size)
{
    return a->size == size && a->sign > 0 && a->from == 0 && a->low == 0 && a->high == size;
}

/* In pieces that stay in the first cache: where channels differ they are met twice. */
static void to_floats(const struct feed *f, const float *offset, bool alike, size_t pixels,
                      const uint8_t *bytes, float *values)
{
    const size_t C = (size_t)f->channels, most = BAND_BYTES / C;
    if (alike) {
        kn->u8_to_f32(pixels * C, f->scale[0], offset[0], bytes, values);
        return;
    }
    for (size_t from = 0; from < pixels; from += most) {
        const size_t n = pixels - from < most ? pixels - from : most;
        float *const to = values + from * C;
        kn->u8_to_f32(n * C, 1, 0, bytes + from * C, to);
        kn->affine_channel_f32(n, C, 1, to, f->scale, offset, to);
    }
}

/* Light is added to the pixels, so to what scale makes of them. */
static void light_up(const struct feed *f, const struct placement *p, float offset[3])
{
    for (int c = 0; c < 3; c++)
        offset[c] = f->offset[c] + f->scale[c] * p->light[c];
}

static void fill_image(const struct feed *f, size_t place, size_t item, float *image)
{
    const size_t row = (size_t)f->width * (size_t)f->channels;
    const struct source s = source_of(f, item);
    struct placement p;
    struct resize resize;
    float lit[3];
    place_image(f, place, &s, &p);
    if (p.lit)
        light_up(f, &p, lit);
    const float *const offset = p.lit ? lit : f->offset;
    const bool alike = f->alike && !p.lit;
    if (!p.resized && p.hole.height == 0 && covers(&p.y, s.height) && covers(&p.x, s.width)) {
        to_floats(f, offset, alike, (size_t)s.height * (size_t)s.width, s.pixels, image);
        return;
    }
    if (p.resized)
        resize_begin(&resize, s.pixels, s.width, f->channels, &p.part, f->height, f->width);
    uint8_t band[BAND_BYTES];
    const int rows = (int)(BAND_BYTES / row);
    for (int from = 0; from < f->height; from += rows) {
        const int to = from + rows < f->height ? from + rows : f->height;
        lay_out(f, &p, &s, p.resized ? &resize : NULL, from, to, band);
        to_floats(f, offset, alike, (size_t)(to - from) * (size_t)f->width, band,
                  image + (size_t)from * row);
    }
}

/* Noise has no epochs: every batch is the first one again. */
static void draw_image(const struct feed *f, size_t place, size_t floats, float *image,
                       int32_t *label)
{
    struct rng r = rng_make(f->seed, rng_stream("noise labels"));
    r.next = 4 * place; /* a block of Philox each */
    *label = (int32_t)rng_below(&r, (uint32_t)f->data->classes);
    kn->normal_f32(floats, place * floats, f->seed, rng_stream("noise images"), 0, 1, image);
}

static void fill_background(const struct feed *f, float *image)
{
    const size_t pixels = (size_t)f->height * (size_t)f->width, C = (size_t)f->channels;
    kn->fill_f32(pixels * C, f->alike ? f->offset[0] : 0, image);
    if (!f->alike)
        kn->affine_channel_f32(pixels, C, 1, image, f->scale, f->offset, image);
}

/* ------------------------------------------------------------------ the batch */

static size_t item_at(const struct feed *f, size_t place)
{
    return f->order ? f->order[place] : place;
}

void feed_fill(const struct feed *f, const struct crew *crew, int batch, float *image,
               int32_t *label)
{
    const size_t floats = (size_t)f->height * (size_t)f->width * (size_t)f->channels;
    size_t from, to;
    crew_share(crew, (size_t)batch, 1, &from, &to);
    for (size_t i = from; i < to; i++) {
        const size_t place = f->next + i;
        if (f->data->noise) {
            draw_image(f, i, floats, image + i * floats, &label[i]);
            continue;
        }
        if (place >= f->images->items) {
            fill_background(f, image + i * floats);
            label[i] = -1;
            continue;
        }
        const size_t item = item_at(f, place);
        fill_image(f, place, item, image + i * floats);
        label[i] = dataset_label(f->images, item);
    }
}

bool feed_next(struct feed *f, int batch)
{
    f->next += (size_t)batch;
    return f->next + (f->order ? (size_t)batch : 1) <= f->images->items;
}

void feed_start(struct feed *f, int epoch)
{
    f->epoch = epoch;
    f->next = 0;
    if (!f->order)
        return;
    for (size_t i = 0; i < f->images->items; i++)
        f->order[i] = (uint32_t)i;
    struct rng r = rng_make(f->seed, rng_stream("shuffle") + (uint64_t)epoch);
    rng_shuffle(&r, f->order, f->images->items);
}

/* ---------------------------------------------------------------- beginning */

static int rank_of(struct nn_shape s)
{
    int rank = 0;
    while (rank < NN_MAX_RANK && s.dim[rank] > 0)
        rank++;
    return rank;
}

static void print_shape(struct nn_shape s, struct text *t)
{
    text_add(t, "[");
    for (int i = 0; i < rank_of(s); i++)
        text_add(t, "%s%d", i > 0 ? "," : "", s.dim[i]);
    text_add(t, "]");
}

/* An image is centred in a field that is at most twice as large. */
static bool holds(int field, int size) { return field >= size && field <= 2 * size; }

/* Takes the field's size from the network's input: [C,H,W] no smaller than the images, or
 * all their pixels in a row. */
static bool fit(struct feed *f, struct nn_shape input, struct err *err)
{
    const struct dataset *d = f->data;
    const int rank = rank_of(input);
    const bool flat = rank == 1 && input.dim[0] == d->channels * d->height * d->width;
    if (flat || (rank == 3 && input.dim[0] == d->channels && holds(input.dim[1], d->height) &&
                 holds(input.dim[2], d->width))) {
        f->channels = d->channels;
        f->height = flat ? d->height : input.dim[1];
        f->width = flat ? d->width : input.dim[2];
        return true;
    }
    struct text wanted = {0};
    print_shape(input, &wanted);
    err_set(err, "the network's image is %s, but %s has images of [%d,%d,%d]", text_str(&wanted),
            d->name, d->channels, d->height, d->width);
    text_release(&wanted);
    return false;
}

/* What the buffers of one image hold. Readers keep pictures below RESIZE_IN. */
static bool fits_band(const struct feed *f, struct err *err)
{
    const bool resized = f->augment.resizes || f->images->picture;
    if (f->width * f->channels > BAND_BYTES)
        return err_set(err, "images of %d x %d are too wide: a row may have %d bytes", f->width,
                       f->channels, (int)BAND_BYTES);
    if (resized && (f->width > RESIZE_OUT || f->data->width * f->channels > RESIZE_IN))
        return err_set(err, "images of %d x %d are too wide to be resized: the limit is %d",
                       f->width, f->channels, (int)RESIZE_OUT);
    return true;
}

/* Pixel 0 becomes low and 255 high; both 0: mean 0, deviation 1 over each channel of the training
 * set. */
static void set_ink(struct feed *f, float low, float high)
{
    const struct dataset *d = f->data;
    f->alike = true;
    for (int c = 0; c < f->channels; c++) {
        const double deviation = d->deviation[c] > 0 ? d->deviation[c] : 1;
        const bool inked = low != 0 || high != 0;
        f->scale[c] = inked ? (high - low) / 255.0f : (float)(1 / deviation);
        f->offset[c] = inked ? low : (float)(-d->mean[c] / deviation);
        f->alike = f->alike && f->scale[c] == f->scale[0] && f->offset[c] == f->offset[0];
    }
}

bool feed_init(struct feed *f, const struct dataset *data, bool train, struct nn_shape input,
               float ink_low, float ink_high, const char *augment, uint64_t seed, struct err *err)
{
    struct feed made = {.data = data, .images = train ? &data->train : &data->test, .seed = seed};
    if (!augment_init(&made.augment, augment, data, err))
        return false;
    if (!data->noise && (!fit(&made, input, err) || !fits_band(&made, err)))
        return false;
    if (data->noise) {
        made.channels = data->channels;
        made.height = data->height;
        made.width = data->width;
    }
    set_ink(&made, ink_low, ink_high);
    if (train && !data->noise)
        made.order = xmalloc(made.images->items * sizeof *made.order);
    feed_start(&made, 0);
    *f = made;
    return true;
}

void feed_release(struct feed *f)
{
    free(f->order);
    *f = (struct feed){0};
}
