/* augment.c — see augment.h.
 *
 * Shifts, crops and flips only move pixels, so a chain of them is one map for each
 * axis: out(x) = in(sign x + from) inside a window, background outside. */
#include "train/augment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/text.h"

/* Where the chances of one image come from. */
struct chance {
    const struct augment *augment;
    uint64_t seed;
    int epoch;
    size_t place;
    uint32_t word;     /* this augmentation's own */
    int height, width; /* of the picture */
};

/* Numbers of its own for an augmentation that needs more than one word. */
static struct rng more_chance(const struct chance *c, const char *name)
{
    enum { WORDS = 64 };
    struct rng r = rng_make(c->seed, rng_stream(name) + (uint64_t)c->epoch);
    r.next = c->place * WORDS;
    return r;
}

/* ------------------------------------------------------------------- moving */

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

static void shift(struct placement *p, int amount, const struct chance *c)
{
    move(&p->y, within(c->word >> 16, amount));
    move(&p->x, within(c->word, amount));
}

static void flip(struct placement *p, int amount, const struct chance *c)
{
    (void)amount;
    if (c->word & 1)
        mirror(&p->x);
}

/* ------------------------------------------------------------------ resizing */

/* The largest part in the middle that is not flatter or steeper than allowed. */
static struct part middle(int height, int width, double flat)
{
    const int w =
        fmin(width, floor(height * flat)) > 1 ? (int)fmin(width, floor(height * flat)) : 1;
    const int h =
        fmin(height, floor(width * flat)) > 1 ? (int)fmin(height, floor(width * flat)) : 1;
    return (struct part){(height - h) / 2, (width - w) / 2, h, w};
}

static void resized_crop(struct placement *p, int amount, const struct chance *c)
{
    enum { TRIES = 10 };
    static const double least = 0.08, flat = 4.0 / 3.0;
    (void)amount;
    struct rng r = more_chance(c, "resizedcrop");
    const double area = (double)c->height * c->width;
    for (int i = 0; i < TRIES; i++) {
        const double part = area * (least + (1 - least) * rng_unit(&r));
        const double aspect = exp((2 * rng_unit(&r) - 1) * log(flat));
        const int w = (int)lround(sqrt(part * aspect)), h = (int)lround(sqrt(part / aspect));
        if (w < 1 || h < 1 || w > c->width || h > c->height)
            continue;
        p->part.top = (int)rng_below(&r, (uint32_t)(c->height - h + 1));
        p->part.left = (int)rng_below(&r, (uint32_t)(c->width - w + 1));
        p->part.height = h;
        p->part.width = w;
        return;
    }
    p->part = middle(c->height, c->width, flat);
}

/* ------------------------------------------------------------- light, and holes */

static void colour(struct placement *p, int amount, const struct chance *c)
{
    static const double strength = 0.1;
    (void)amount;
    struct rng r = more_chance(c, "colour");
    p->lit = true;
    for (int axis = 0; axis < 3; axis++) {
        const float alpha = (float)(strength * rng_normal(&r));
        for (int k = 0; k < 3; k++)
            p->light[k] += alpha * c->augment->axes[axis][k];
    }
}

static void cutout(struct placement *p, int amount, const struct chance *c)
{
    const int y = (int)((c->word >> 16) * (uint32_t)p->y.size >> 16);
    const int x = (int)((c->word & 0xffff) * (uint32_t)p->x.size >> 16);
    p->hole = (struct part){y - amount / 2, x - amount / 2, amount, amount};
}

/* Jacobi 1846: rotations that make a symmetric matrix diagonal. The columns of v, where v was 1,
 * become its axes. */
static void diagonalise(double a[3][3], double v[3][3])
{
    static const int pair[3][2] = {{0, 1}, {0, 2}, {1, 2}};
    enum { SWEEPS = 20 };
    for (int n = 0; n < 3 * SWEEPS; n++) {
        const int i = pair[n % 3][0], j = pair[n % 3][1];
        if (a[i][j] == 0)
            continue;
        const double angle = 0.5 * atan2(2 * a[i][j], a[i][i] - a[j][j]);
        const double cosine = cos(angle), sine = sin(angle);
        for (int k = 0; k < 3; k++) { /* columns, of both */
            const double x = a[k][i], y = a[k][j], s = v[k][i], t = v[k][j];
            a[k][i] = cosine * x + sine * y;
            a[k][j] = cosine * y - sine * x;
            v[k][i] = cosine * s + sine * t;
            v[k][j] = cosine * t - sine * s;
        }
        for (int k = 0; k < 3; k++) { /* rows */
            const double x = a[i][k], y = a[j][k];
            a[i][k] = cosine * x + sine * y;
            a[j][k] = cosine * y - sine * x;
        }
    }
}

static void find_axes(struct augment *a, const struct dataset *d)
{
    double c[3][3], v[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
    memcpy(c, d->covariance, sizeof c);
    diagonalise(c, v);
    for (int axis = 0; axis < 3; axis++)
        for (int k = 0; k < 3; k++)
            a->axes[axis][k] = (float)(c[axis][axis] > 0 ? sqrt(c[axis][axis]) * v[k][axis] : 0);
}

/* ------------------------------------------------------------------ the list */

enum { MAX_PIXELS = 64 };

static const struct augmentation {
    const char *name;
    bool counted; /* a number of pixels follows the name */
    void (*apply)(struct placement *p, int amount, const struct chance *c);
} augmentations[] = {{"shift", true, shift},    {"crop", true, shift},
                     {"flip", false, flip},     {"resizedcrop", false, resized_crop},
                     {"colour", false, colour}, {"cutout", true, cutout}};

enum { AUGMENTATIONS = sizeof augmentations / sizeof augmentations[0] };

/* The amount of `word` if it is that augmentation; 0 if not; 1 for those without a number. */
static int amount_of(const struct augmentation *a, const char *word, size_t length)
{
    const size_t n = strlen(a->name);
    char digits[8] = "";
    long long amount = 0;
    if (length < n || memcmp(word, a->name, n) != 0)
        return 0;
    if (!a->counted)
        return length == n;
    if (length - n < sizeof digits)
        memcpy(digits, word + n, length - n);
    return text_to_int(digits, 1, MAX_PIXELS, &amount) ? (int)amount : 0;
}

static bool add(struct augment *a, const char *word, size_t length, struct err *err)
{
    if (a->count == FEED_AUGMENTS)
        return err_set(err, "more than %d augmentations", FEED_AUGMENTS);
    for (int i = 0; i < AUGMENTATIONS; i++) {
        const int amount = amount_of(&augmentations[i], word, length);
        if (!amount)
            continue;
        a->each[a->count].kind = i;
        a->each[a->count++].amount = amount;
        return true;
    }
    return err_set(err,
                   "unknown augmentation '%.*s'; there are shiftN, cropN, cutoutN (N from 1 to "
                   "%d), flip, resizedcrop and colour",
                   (int)length, word, MAX_PIXELS);
}

static bool has(const struct augment *a,
                void (*apply)(struct placement *, int, const struct chance *))
{
    bool found = false;
    for (int i = 0; i < a->count; i++)
        found = found || augmentations[a->each[i].kind].apply == apply;
    return found;
}

bool augment_init(struct augment *a, const char *list, const struct dataset *d, struct err *err)
{
    *a = (struct augment){0};
    while (list && *list) {
        const size_t n = strcspn(list, ",");
        if (!add(a, list, n, err))
            return false;
        list += n + (list[n] == ',');
    }
    a->resizes = has(a, resized_crop);
    if (!has(a, colour))
        return true;
    if (d->channels != 3)
        return err_set(err, "augmentation 'colour': expected three channels, %s has %d", d->name,
                       d->channels);
    find_axes(a, d);
    return true;
}

void augment_place(const struct augment *a, uint64_t seed, int epoch, size_t place, int height,
                   int width, struct placement *p)
{
    if (a->count == 0)
        return;
    struct chance c = {a, seed, epoch, place, 0, height, width};
    struct rng r = rng_make(seed, rng_stream("augment") + (uint64_t)epoch);
    r.next = place * FEED_AUGMENTS;
    for (int i = 0; i < a->count; i++) {
        c.word = rng_u32(&r);
        augmentations[a->each[i].kind].apply(p, a->each[i].amount, &c);
    }
}
