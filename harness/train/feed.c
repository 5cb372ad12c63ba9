/* feed.c — see feed.h.
 *
 * Shifts, crops and flips only move pixels, so a chain of them is one map for each
 * axis: out(x) = in(sign x + from) inside a window, background outside. An image is
 * laid out as bytes in bands small enough for the first cache, then made floats in
 * one go; the background is the value of pixel 0, so a byte of 0 stands for it.
 *
 * Random numbers are counted, not drawn in order: word k of an image depends on
 * seed, epoch and its place in the epoch, so any thread may lay out any image.
 * Prefetching the next image of the shuffled order gains nothing that can be
 * measured: the images lie in huge pages, and one is a dozen lines in a row. */
#include "train/feed.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/text.h"
#include "kernels/kernels.h"

enum { BAND_BYTES = 8192 };

/* One axis of the network's field: where its position x comes from in the image. */
struct axis {
    int low, high;  /* the window: outside it lies background */
    int sign, from; /* in(sign x + from) */
    int size;       /* of the field */
};

/* ------------------------------------------------------------ augmentations */

static void move(struct axis *a, int by)
{
    a->low += by;
    a->high += by;
    a->from -= a->sign * by;
    a->low = a->low < 0 ? 0 : a->low;
    a->high = a->high > a->size ? a->size : a->high;
}

static void mirror(struct axis *a)
{
    const int low = a->low;
    a->low = a->size - a->high;
    a->high = a->size - low;
    a->from += a->sign * (a->size - 1);
    a->sign = -a->sign;
}

/* Uniform on -n … n from sixteen random bits. */
static int within(uint32_t bits, int n)
{
    return (int)((bits & 0xffff) * (2 * (uint32_t)n + 1) >> 16) - n;
}

static void shift(struct axis *y, struct axis *x, int amount, uint32_t word)
{
    move(y, within(word >> 16, amount));
    move(x, within(word, amount));
}

static void flip(struct axis *y, struct axis *x, int amount, uint32_t word)
{
    (void)y;
    (void)amount;
    if (word & 1)
        mirror(x);
}

/* Padding by n and cutting the old size out anywhere is the same as a shift; papers
 * use both words. */
static const struct augmentation {
    const char *name;
    bool counted; /* a number of pixels follows the name */
    void (*apply)(struct axis *y, struct axis *x, int amount, uint32_t word);
} augmentations[] = {{"shift", true, shift}, {"crop", true, shift}, {"flip", false, flip}};

enum { AUGMENTATIONS = sizeof augmentations / sizeof augmentations[0], MAX_PIXELS = 64 };

static bool add_augmentation(struct feed *f, const char *word, size_t length, struct err *err)
{
    if (f->augments == FEED_AUGMENTS)
        return err_set(err, "more than %d augmentations", FEED_AUGMENTS);
    for (int i = 0; i < AUGMENTATIONS; i++) {
        const size_t n = strlen(augmentations[i].name);
        if (length < n || memcmp(word, augmentations[i].name, n) != 0)
            continue;
        char digits[8] = "";
        long long amount = 0;
        if (length - n < sizeof digits)
            memcpy(digits, word + n, length - n);
        if (augmentations[i].counted ? !text_to_int(digits, 1, MAX_PIXELS, &amount) : length > n)
            break;
        f->augment[f->augments].kind = i;
        f->augment[f->augments++].amount = (int)amount;
        return true;
    }
    return err_set(err,
                   "unknown augmentation '%.*s'; there are shiftN, cropN (N from 1 to %d) and flip",
                   (int)length, word, MAX_PIXELS);
}

static bool parse_augmentations(struct feed *f, const char *list, struct err *err)
{
    while (list && *list) {
        const size_t n = strcspn(list, ",");
        if (!add_augmentation(f, list, n, err))
            return false;
        list += n + (list[n] == ',');
    }
    return true;
}

/* The maps of the image at place `place` of this epoch. */
static void place_image(const struct feed *f, size_t place, struct axis *y, struct axis *x)
{
    const int top = (f->height - f->data->height) / 2, left = (f->width - f->data->width) / 2;
    *y = (struct axis){top, top + f->data->height, 1, -top, f->height};
    *x = (struct axis){left, left + f->data->width, 1, -left, f->width};
    if (f->augments == 0)
        return;
    const uint64_t stream = rng_stream("augment") + (uint64_t)f->epoch;
    struct rng r = rng_make(f->seed, stream);
    r.next = place * FEED_AUGMENTS;
    for (int i = 0; i < f->augments; i++)
        augmentations[f->augment[i].kind].apply(y, x, f->augment[i].amount, rng_u32(&r));
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

/* Rows [from, to) of the field as bytes. */
static void lay_out(const struct feed *f, const struct axis *y, const struct axis *x,
                    const uint8_t *pixels, int from, int to, uint8_t *band)
{
    const size_t out = (size_t)f->width * (size_t)f->channels;
    const size_t in = (size_t)f->data->width * (size_t)f->channels;
    memset(band, 0, (size_t)(to - from) * out);
    for (int i = from > y->low ? from : y->low; i < (to < y->high ? to : y->high); i++)
        copy_row(x, f->channels, pixels + (size_t)(y->sign * i + y->from) * in,
                 band + (size_t)(i - from) * out);
}

static bool covers(const struct axis *a, int size)
{
    return a->size == size && a->sign > 0 && a->from == 0 && a->low == 0 && a->high == size;
}

/* In pieces that stay in the first cache: where channels differ they are met twice. */
static void to_floats(const struct feed *f, size_t pixels, const uint8_t *bytes, float *values)
{
    const size_t C = (size_t)f->channels, most = BAND_BYTES / C;
    if (f->alike) {
        kn->u8_to_f32(pixels * C, f->scale[0], f->offset[0], bytes, values);
        return;
    }
    for (size_t from = 0; from < pixels; from += most) {
        const size_t n = pixels - from < most ? pixels - from : most;
        float *const to = values + from * C;
        kn->u8_to_f32(n * C, 1, 0, bytes + from * C, to);
        kn->affine_channel_f32(n, C, 1, to, f->scale, f->offset, to);
    }
}

static void fill_image(const struct feed *f, size_t place, size_t item, float *image)
{
    const size_t row = (size_t)f->width * (size_t)f->channels;
    const size_t bytes = dataset_image_bytes(f->data);
    const uint8_t *pixels = f->images->pixels + item * bytes;
    struct axis y, x;
    place_image(f, place, &y, &x);
    if (covers(&y, f->data->height) && covers(&x, f->data->width)) {
        to_floats(f, bytes / (size_t)f->channels, pixels, image);
        return;
    }
    uint8_t band[BAND_BYTES];
    const int rows = (int)(BAND_BYTES / row);
    for (int from = 0; from < f->height; from += rows) {
        const int to = from + rows < f->height ? from + rows : f->height;
        lay_out(f, &y, &x, pixels, from, to, band);
        to_floats(f, (size_t)(to - from) * (size_t)f->width, band, image + (size_t)from * row);
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
        label[i] = f->images->labels[item];
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

/* Takes the field's size from the network's input: [C,H,W] no smaller than the images, or
 * all their pixels in a row. */
static bool fit(struct feed *f, struct nn_shape input, struct err *err)
{
    const struct dataset *d = f->data;
    const int rank = rank_of(input);
    const bool flat = rank == 1 && input.dim[0] == d->channels * d->height * d->width;
    if (flat || (rank == 3 && input.dim[0] == d->channels && input.dim[1] >= d->height &&
                 input.dim[2] >= d->width)) {
        f->channels = d->channels;
        f->height = flat ? d->height : input.dim[1];
        f->width = flat ? d->width : input.dim[2];
        if (f->width * f->channels <= BAND_BYTES)
            return true;
        return err_set(err, "images of %d x %d are too wide: a row may have %d bytes", f->width,
                       f->channels, (int)BAND_BYTES);
    }
    struct text wanted = {0};
    print_shape(input, &wanted);
    err_set(err, "the network's image is %s, but %s has images of [%d,%d,%d]", text_str(&wanted),
            d->name, d->channels, d->height, d->width);
    text_release(&wanted);
    return false;
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
    if (!fit(&made, input, err) || !parse_augmentations(&made, augment, err))
        return false;
    if (data->noise)
        made.augments = 0; /* but a wrong list is told */
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
