/* digits.c — draws digits as a hand would: see digits.h.
 *
 * A glyph is a few points that the pen passes through (digits_glyphs.h). Every
 * image moves the points a little, joins them by Catmull & Rom's spline, turns,
 * slants, stretches and shifts the whole, bends it by a smooth random field (the
 * elastic distortion of Simard, Steinkraus & Platt 2003, done to the strokes
 * instead of the pixels), and runs a soft pen of random width along it.
 *
 * Integers only, and no shift of a negative one, so that a seed gives the same
 * bytes on every machine. Lengths are in units of 1/1024 pixel ("fine"), glyph
 * points in 1/16 of the box's hundredth, factors in 1/65536. */
#include "datasets/digits/digits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/crew.h"
#include "base/mem.h"
#include "base/rng.h"
#include "datasets/digits/digits_glyphs.h"

enum {
    SIDE = DIGITS_SIDE,
    PIXELS = SIDE * SIDE,
    FINE = 1024,     /* per pixel */
    POINT = 16,      /* per unit of the glyphs' box */
    ONE = 65536,     /* the factor 1 */
    STEPS = 4,       /* straight pieces per span of the spline */
    NODES = 6,       /* of the bending field, each way */
    MESH = 7 * FINE, /* between two of them */
};

/* How far things vary. Wide enough that a linear classifier stays near 90 %, narrow
 * enough that people read every digit. */
enum {
    WOBBLE = 8 * POINT,     /* of each point of the glyph */
    TURN = ONE * 32 / 100,  /* radians, either way */
    SLANT = ONE * 40 / 100, /* x per y, either way */
    HEIGHT = 19 * FINE,     /* of the glyph's box */
    HEIGHT_SPREAD = 4 * FINE,
    BREADTH = ONE * 90 / 100, /* width by height, of a box of 100 x 100 */
    BREADTH_SPREAD = ONE * 28 / 100,
    SHIFT = 5 * FINE / 2,
    BEND = 4 * FINE,      /* of a node of the field */
    PEN = 11 * FINE / 10, /* radius */
    PEN_SPREAD = 6 * FINE / 10,
    EDGE = 6 * FINE / 10, /* half the width of the pen's soft edge */
    INK = 205,
    INK_SPREAD = 50,
    NOISE = 36, /* grey levels, at most */
};

struct point {
    int32_t x, y;
};

/* One way of writing: from the glyph's box to fine pixels. */
struct hand {
    int64_t xx, xy, yx, yy; /* fine pixels per POINT, times ONE */
    struct point shift, bend[NODES][NODES];
    int32_t pen, ink, noise;
};

/* About 0, at most `reach` away, more often near 0: the sum of two uniform numbers. */
static int32_t vary(struct rng *r, int32_t reach)
{
    const uint32_t w = rng_u32(r);
    const int64_t sum = (int64_t)(w & 0xffff) + (w >> 16) - 0xffff;
    return (int32_t)(sum * reach / ONE);
}

static struct point vary_point(struct rng *r, int32_t reach)
{
    const int32_t x = vary(r, reach);
    return (struct point){x, vary(r, reach)};
}

static struct hand take_hand(struct rng *r)
{
    const int64_t a = vary(r, TURN), slant = vary(r, SLANT);
    const int64_t height = HEIGHT + vary(r, HEIGHT_SPREAD);
    const int64_t breadth = BREADTH + vary(r, BREADTH_SPREAD);
    const int64_t a2 = a * a / ONE; /* Taylor: 3e-5 off at most */
    const int64_t cosine = ONE - a2 / 2 + a2 * a2 / ONE / 24, sine = a - a2 * a / ONE / 6;
    const int64_t unit =
        height * ONE / ((int64_t)100 * POINT); /* fine pixels per POINT, times ONE */

    struct hand h;
    h.xx = unit * breadth / ONE * cosine / ONE;
    h.yx = unit * breadth / ONE * sine / ONE;
    h.xy = unit * (slant * cosine / ONE - sine) / ONE;
    h.yy = unit * (slant * sine / ONE + cosine) / ONE;
    h.shift = vary_point(r, SHIFT);
    for (int i = 0; i < NODES * NODES; i++)
        h.bend[i / NODES][i % NODES] = vary_point(r, BEND);
    h.pen = PEN + vary(r, PEN_SPREAD);
    h.ink = INK + vary(r, INK_SPREAD);
    h.noise = (int32_t)rng_below(r, NOISE + 1);
    return h;
}

/* Quadratic B-spline weights at t/MESH behind the middle of a mesh, in 1/256. */
static void weights(int64_t t, int64_t w[3])
{
    w[0] = (MESH - t) * (MESH - t) * 128 / ((int64_t)MESH * MESH);
    w[2] = t * t * 128 / ((int64_t)MESH * MESH);
    w[1] = 256 - w[0] - w[2];
}

static struct point bend(const struct hand *h, struct point p)
{
    enum { LAST = (NODES - 2) * MESH - 1, MARGIN = SIDE * FINE / 2 - (NODES - 2) * MESH / 2 };
    const int32_t x = p.x - MARGIN, y = p.y - MARGIN;
    const int32_t u = x < 0 ? 0 : x > LAST ? LAST : x, v = y < 0 ? 0 : y > LAST ? LAST : y;
    int64_t wu[3], wv[3], dx = 0, dy = 0;
    weights(u % MESH, wu);
    weights(v % MESH, wv);
    for (int j = 0; j < 3; j++)
        for (int i = 0; i < 3; i++) {
            const struct point d = h->bend[v / MESH + j][u / MESH + i];
            dx += d.x * wu[i] * wv[j];
            dy += d.y * wu[i] * wv[j];
        }
    return (struct point){p.x + (int32_t)(dx / 65536), p.y + (int32_t)(dy / 65536)};
}

static struct point place(const struct hand *h, struct point p)
{
    const int64_t x = p.x - 50 * POINT, y = p.y - 50 * POINT;
    const struct point q = {
        (int32_t)((h->xx * x + h->xy * y) / ONE) + h->shift.x + SIDE * FINE / 2,
        (int32_t)((h->yx * x + h->yy * y) / ONE) + h->shift.y + SIDE * FINE / 2,
    };
    return bend(h, q);
}

/* Square of the distance from p to the straight piece from a to b, in FINE^2. */
static int64_t sq_distance(struct point p, struct point a, struct point b)
{
    const int64_t dx = b.x - a.x, dy = b.y - a.y, px = p.x - a.x, py = p.y - a.y;
    const int64_t dot = px * dx + py * dy, length = dx * dx + dy * dy;
    if (dot <= 0)
        return px * px + py * py;
    if (dot >= length) {
        const int64_t qx = p.x - b.x, qy = p.y - b.y;
        return qx * qx + qy * qy;
    }
    const int64_t cross = px * dy - py * dx;
    return cross * cross / length;
}

/* First and last pixel whose centre may lie within `reach` of [a, b]. */
static void pixels_near(int32_t a, int32_t b, int32_t reach, int *from, int *to)
{
    const int32_t low = (a < b ? a : b) - reach, high = (a < b ? b : a) + reach;
    *from = low < 0 ? 0 : low / FINE;
    *to = high < 0 ? -1 : high / FINE >= SIDE ? SIDE - 1 : high / FINE;
}

/* Full within pen - EDGE, nothing beyond pen + EDGE; linear in the square of the
 * distance between, which needs no root. Strokes that cross do not add up. */
static void run_pen(const struct hand *h, struct point a, struct point b, uint8_t *pixels)
{
    const int64_t outer = h->pen + EDGE, inner = h->pen - EDGE;
    const int64_t fall = outer * outer - inner * inner;
    int x0, x1, y0, y1;
    pixels_near(a.x, b.x, (int32_t)outer, &x0, &x1);
    pixels_near(a.y, b.y, (int32_t)outer, &y0, &y1);
    for (int y = y0; y <= y1; y++)
        for (int x = x0; x <= x1; x++) {
            const struct point p = {x * FINE + FINE / 2, y * FINE + FINE / 2};
            const int64_t left = outer * outer - sq_distance(p, a, b);
            if (left <= 0)
                continue;
            const uint8_t ink = (uint8_t)(left >= fall ? h->ink : left * h->ink / fall);
            uint8_t *pixel = &pixels[y * SIDE + x];
            *pixel = ink > *pixel ? ink : *pixel;
        }
}

/* Catmull & Rom 1974 between b and c, at k/STEPS. */
static int32_t spline(int32_t a, int32_t b, int32_t c, int32_t d, int k)
{
    const int32_t S = STEPS, cubic = 3 * b - a - 3 * c + d, square = 2 * a - 5 * b + 4 * c - d;
    return (2 * b * S * S * S + (c - a) * k * S * S + square * k * k * S + cubic * k * k * k) /
           (2 * S * S * S);
}

static void draw_stroke(const struct hand *h, const struct point *at, int n, uint8_t *pixels)
{
    assert(n > 1);
    struct point last = place(h, at[0]);
    for (int i = 0; i + 1 < n; i++) {
        const struct point b = at[i], c = at[i + 1];
        const struct point a = at[i > 0 ? i - 1 : 0], d = at[i + 2 < n ? i + 2 : n - 1];
        if (b.x == c.x && b.y == c.y)
            continue; /* a corner */
        for (int k = 1; k <= STEPS; k++) {
            const struct point p = {spline(a.x, b.x, c.x, d.x, k), spline(a.y, b.y, c.y, d.y, k)};
            const struct point next = place(h, p);
            run_pen(h, last, next, pixels);
            last = next;
        }
    }
}

static const struct glyph *pick_glyph(struct rng *r, int digit)
{
    uint32_t ways = 0;
    for (int i = 0; i < GLYPHS; i++)
        ways += glyphs[i].digit == digit;
    uint32_t skip = rng_below(r, ways);
    const struct glyph *g = glyphs;
    while (g->digit != digit || skip-- > 0)
        g++;
    return g;
}

/* The glyph's points, each a little off; points given twice stay together. */
static void draw_glyph(struct rng *r, const struct hand *h, const struct glyph *g, uint8_t *pixels)
{
    struct point stroke[GLYPH_POINTS], off = {0, 0};
    int n = 0;
    for (int i = 0;; i++) {
        const struct glyph_point p = g->at[i];
        if (p.x < 0) { /* LIFT or END */
            draw_stroke(h, stroke, n, pixels);
            n = 0;
            if (p.x < -1)
                return;
            continue;
        }
        if (n == 0 || p.x != g->at[i - 1].x || p.y != g->at[i - 1].y)
            off = vary_point(r, WOBBLE);
        stroke[n++] = (struct point){p.x * POINT + off.x, p.y * POINT + off.y};
    }
}

/* Adds -noise … noise to every pixel; most of the paper stays white. */
static void add_noise(struct rng *r, int noise, uint8_t *pixels)
{
    if (noise == 0)
        return;
    for (int i = 0; i < PIXELS; i += 4) {
        const uint32_t w = rng_u32(r);
        for (int b = 0; b < 4; b++) {
            const int grain = (int)((w >> 8 * b & 0xff) * (2 * (unsigned)noise + 1) >> 8) - noise;
            const int value = pixels[i + b] + grain;
            pixels[i + b] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
        }
    }
}

void digits_draw(uint64_t seed, uint64_t stream, size_t item, int label, uint8_t pixels[PIXELS])
{
    struct rng r = rng_make(seed, stream + item);
    memset(pixels, 0, PIXELS);
    const struct glyph *g = pick_glyph(&r, label);
    const struct hand h = take_hand(&r);
    draw_glyph(&r, &h, g, pixels);
    add_noise(&r, h.noise, pixels);
}

struct drawing {
    uint64_t seed, stream;
    struct images *images;
};

static void draw_share(void *arg, const struct crew *crew)
{
    const struct drawing *d = arg;
    size_t from, to;
    crew_share(crew, d->images->items, 1, &from, &to);
    for (size_t i = from; i < to; i++)
        digits_draw(d->seed, d->stream, i, d->images->labels[i], d->images->pixels + i * PIXELS);
}

/* Labels 0 … 9 in turn, then shuffled. */
static void deal_labels(uint64_t seed, const char *name, struct images *images)
{
    uint32_t *order = xmalloc(images->items * sizeof *order);
    for (size_t i = 0; i < images->items; i++)
        order[i] = (uint32_t)(i % 10);
    struct rng r = rng_make(seed, rng_stream(name));
    rng_shuffle(&r, order, images->items);
    for (size_t i = 0; i < images->items; i++)
        images->labels[i] = (uint8_t)order[i];
    free(order);
}

static bool draw_set(uint64_t seed, const char *name, size_t items, struct images *images,
                     struct err *err)
{
    *images = (struct images){.items = items};
    if (items <= UINT32_MAX)
        images->pixels = mem_large(items * PIXELS);
    if (!images->pixels)
        return err_set(err, "no memory for %zu digits", items);
    images->labels = xmalloc(items);
    deal_labels(seed, name, images);
    struct drawing d = {seed, rng_stream(name) + 1, images}; /* one stream for each image */
    crew_run(crew_cores(), draw_share, &d);
    return true;
}

bool digits_open(uint64_t seed, size_t items, struct dataset *d, struct err *err)
{
    const size_t train = items ? items : DIGITS_TRAIN, test = train / DIGITS_TEST_SHARE;
    d->height = d->width = SIDE;
    d->channels = 1;
    d->classes = 10;
    d->synthetic = true;
    return draw_set(seed, "digits train", train, &d->train, err) &&
           draw_set(seed, "digits test", test < 10 ? 10 : test, &d->test, err);
}
