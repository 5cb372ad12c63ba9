/* t_conv.c — convolution on every instruction set at hand, both layouts, against
 * sums in double; the same bits from one, two and three threads; nothing written
 * outside; NaN comes out where it went in. Groups: t_group_conv.c. */
#include "tests/conv_test.h"

/* ---- the problems ---- */

/* A random small problem; a mask now and then. */
static struct kn_conv draw(struct rng *r, bool lanes, uint8_t mask[])
{
    struct kn_conv c = {.lanes = lanes};
    c.N = lanes ? KN_LANES * (1 + (int)rng_below(r, 3)) : 1 + (int)rng_below(r, 5);
    c.C = 1 + (int)rng_below(r, 20);
    c.O = 1 + (int)rng_below(r, 20);
    c.KH = 1 + (int)rng_below(r, 5);
    c.KW = 1 + (int)rng_below(r, 5);
    c.stride = 1 + (int)rng_below(r, 3);
    c.pad = (int)rng_below(r, 3);
    c.H = (c.KH > 2 * c.pad ? c.KH - 2 * c.pad : 1) + (int)rng_below(r, lanes ? 4 : 8);
    c.W = (c.KW > 2 * c.pad ? c.KW - 2 * c.pad : 1) + (int)rng_below(r, lanes ? 5 : 9);
    if (rng_below(r, 4) == 0)
        c.mask = mask;
    for (int i = 0; c.mask && i < c.O * c.C; i++)
        mask[i] = rng_below(r, 3) != 0;
    measure(&c);
    return c;
}

static void test_random(bool lanes, int pass, int problems)
{
    uint8_t mask[400];
    int bad = 0;
    struct rng r = rng_make(17, (uint64_t)pass + (lanes ? 10 : 0));
    for (int i = 0; i < problems && bad < 3; i++) {
        const struct kn_conv c = draw(&r, lanes, mask);
        bad += !try_conv(&c, pass, pass == CONV_GRAD_WEIGHT ? 0 : i % KINDS, (uint64_t)i);
    }
    ok(bad == 0, "%s: %s %s, %d problems", kn->isa, lanes ? "lanes" : "NHWC", pass_names[pass],
       problems);
}

/* Shapes of real networks, small batches of them, and corners of the tiles. */
static const struct kn_conv shapes[] = {
    {.lanes = true,
     .N = 32,
     .H = 28,
     .W = 28,
     .C = 1,
     .O = 6,
     .KH = 5,
     .KW = 5,
     .stride = 1,
     .pad = 2},
    {.lanes = true, .N = 16, .H = 32, .W = 32, .C = 1, .O = 6, .KH = 5, .KW = 5, .stride = 1},
    {.lanes = true, .N = 32, .H = 14, .W = 14, .C = 6, .O = 16, .KH = 5, .KW = 5, .stride = 1},
    {.lanes = true, .N = 48, .H = 5, .W = 5, .C = 16, .O = 120, .KH = 5, .KW = 5, .stride = 1},
    {.lanes = true, .N = 80, .H = 3, .W = 3, .C = 13, .O = 7, .KH = 1, .KW = 1, .stride = 1},
    {.lanes = true,
     .N = 16,
     .H = 9,
     .W = 4,
     .C = 2,
     .O = 5,
     .KH = 7,
     .KW = 11,
     .stride = 2,
     .pad = 5},
    {.N = 2, .H = 19, .W = 17, .C = 3, .O = 33, .KH = 7, .KW = 7, .stride = 2, .pad = 3},
    {.N = 1, .H = 27, .W = 27, .C = 3, .O = 20, .KH = 11, .KW = 11, .stride = 4, .pad = 2},
    {.N = 3, .H = 9, .W = 9, .C = 32, .O = 48, .KH = 3, .KW = 3, .stride = 1, .pad = 1},
    {.N = 2, .H = 8, .W = 8, .C = 67, .O = 35, .KH = 1, .KW = 1, .stride = 2},
    {.N = 4, .H = 7, .W = 7, .C = 1, .O = 1, .KH = 3, .KW = 3, .stride = 1, .pad = 1},
    {.N = 1, .H = 5, .W = 5, .C = 9, .O = 120, .KH = 3, .KW = 3, .stride = 2, .pad = 1},
    {.N = 1, .H = 1, .W = 1, .C = 5, .O = 9, .KH = 3, .KW = 3, .stride = 1, .pad = 1},
    /* gradients of weights by lines: several blocks of rows, slices of unequal lengths, kernel rows
     * that hang out, more columns than tiles */
    {.N = 2, .H = 43, .W = 37, .C = 3, .O = 64, .KH = 7, .KW = 7, .stride = 2, .pad = 3},
    {.N = 1, .H = 1, .W = 9, .C = 5, .O = 32, .KH = 3, .KW = 3, .stride = 1, .pad = 2},
    {.N = 2, .H = 9, .W = 31, .C = 4, .O = 48, .KH = 5, .KW = 2, .stride = 3, .pad = 1},
    {.N = 3, .H = 5, .W = 21, .C = 17, .O = 96, .KH = 1, .KW = 1, .stride = 1},
    /* 1 x 1 as a plain product: in slices, and whole */
    {.N = 3, .H = 26, .W = 23, .C = 40, .O = 23, .KH = 1, .KW = 1, .stride = 1},
    {.N = 2, .H = 3, .W = 3, .C = 1100, .O = 35, .KH = 1, .KW = 1, .stride = 1},
};

static void test_shapes(int pass)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct kn_conv c = shapes[i];
        measure(&c);
        ok(try_conv(&c, pass, pass == CONV_GRAD_WEIGHT ? 0 : 2 + (int)i % 3, 1000 + i),
           "%s: %s %s %dx%d, %d to %d channels", kn->isa, c.lanes ? "lanes" : "NHWC",
           pass_names[pass], c.KH, c.KW, c.C, c.O);
    }
}

/* LeCun et al. 1998, Table I: which S2 maps each C3 map sees. */
static void test_table1(int pass)
{
    static const char *const sees[16] = {"012",  "123",  "234",  "345",   "045",  "015",
                                         "0123", "1234", "2345", "0345",  "0145", "0125",
                                         "0134", "1245", "0235", "012345"};
    uint8_t mask[16 * 6] = {0};
    for (int o = 0; o < 16; o++)
        for (const char *s = sees[o]; *s; s++)
            mask[o * 6 + (*s - '0')] = 1;
    struct kn_conv c = {.N = 32, .H = 14, .W = 14, .C = 6, .O = 16, .KH = 5, .KW = 5, .stride = 1};
    c.mask = mask;
    measure(&c);
    for (int lanes = 0; lanes < 2; lanes++) {
        c.lanes = lanes;
        ok(try_conv(&c, pass,
                    pass == CONV_FORWARD     ? 4
                    : pass == CONV_GRAD_DATA ? 8
                                             : 0,
                    7),
           "%s: %s %s, C3 with Table I", kn->isa, lanes ? "lanes" : "NHWC", pass_names[pass]);
    }
}

int main(void)
{
    const int share = getenv("BENCH_QEMU") ? 5 : 1; /* an emulator takes its time */
    for (const struct kn_table *const *t = kn_tables; *t; t++) {
        struct err err;
        if (!kn_runs_here(*t) || !kn_init((*t)->isa, &err))
            continue;
        for (int pass = 0; pass < PASSES; pass++) {
            test_random(true, pass, 40 / share);
            test_random(false, pass, 80 / share);
            test_shapes(pass);
            test_table1(pass);
        }
    }
    return done();
}
