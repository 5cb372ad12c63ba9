/* t_group_conv.c — convolution in groups, and depthwise, on every instruction set at hand, against
 * sums in double, as t_conv.c does it for the rest. */
#include "tests/conv_test.h"

/* A random problem of 2 to 5 groups. */
static struct kn_conv draw_groups(struct rng *r)
{
    struct kn_conv c = {.N = 1 + (int)rng_below(r, 4), .groups = 2 + (int)rng_below(r, 4)};
    c.C = c.groups * (1 + (int)rng_below(r, 7));
    c.O = c.groups * (1 + (int)rng_below(r, 7));
    c.KH = 1 + (int)rng_below(r, 5);
    c.KW = 1 + (int)rng_below(r, 5);
    c.stride = 1 + (int)rng_below(r, 3);
    c.pad = (int)rng_below(r, 3);
    c.H = (c.KH > 2 * c.pad ? c.KH - 2 * c.pad : 1) + (int)rng_below(r, 6);
    c.W = (c.KW > 2 * c.pad ? c.KW - 2 * c.pad : 1) + (int)rng_below(r, 7);
    measure(&c);
    return c;
}

/* A random depthwise one: widths around the blocks of pixels, channels around the vectors, kernels
 * that are not square, borders wider than the kernel. */
static struct kn_conv draw_depthwise(struct rng *r)
{
    static const int kernels[] = {3, 5, 3, 5, 7, 1, 2, 4};
    struct kn_conv c = {.N = 1 + (int)rng_below(r, 3), .C = 1 + (int)rng_below(r, 40)};
    if (rng_below(r, 3) == 0)
        c.C = 16 * (1 + (int)rng_below(r, 5));
    c.O = c.groups = c.C;
    c.KH = kernels[rng_below(r, 8)];
    c.KW = rng_below(r, 4) ? c.KH : kernels[rng_below(r, 8)];
    c.stride = 1 + (int)(rng_below(r, 8) * 5 / 16);
    c.pad = (int)rng_below(r, (uint32_t)c.KH + 1);
    c.H = (c.KH > 2 * c.pad ? c.KH - 2 * c.pad : 1) + (int)rng_below(r, 6);
    c.W = (c.KW > 2 * c.pad ? c.KW - 2 * c.pad : 1) + (int)rng_below(r, 34);
    measure(&c);
    return c;
}

static void test_random(const char *what, struct kn_conv (*draw)(struct rng *r), int pass,
                        int problems)
{
    int bad = 0;
    struct rng r = rng_make(23, (uint64_t)pass);
    for (int i = 0; i < problems && bad < 3; i++) {
        const struct kn_conv c = draw(&r);
        bad += !try_conv(&c, pass, pass == CONV_GRAD_WEIGHT ? 0 : i % KINDS, (uint64_t)i);
    }
    ok(bad == 0, "%s: %s %s, %d problems", kn->isa, what, pass_names[pass], problems);
}

/* Layers of networks, smaller batches and fewer channels of them. */
#define GROUPS(n, h, ci, co, k, s, p, g)                                                   \
    {                                                                                      \
        .N = n, .H = h, .W = h, .C = ci, .O = co, .KH = k, .KW = k, .stride = s, .pad = p, \
        .groups = g                                                                        \
    }
static const struct {
    const char *name;
    struct kn_conv c;
} layers[] = {
    {"alexnet conv2", GROUPS(1, 13, 48, 64, 5, 1, 2, 2)},
    {"alexnet conv4", GROUPS(2, 13, 64, 64, 3, 1, 1, 2)},
    {"resnext", GROUPS(1, 14, 32, 32, 3, 2, 1, 8)},
    {"two outputs a channel", GROUPS(2, 9, 6, 12, 3, 1, 1, 6)},
    {"efficientnet 3x3", GROUPS(2, 28, 32, 32, 3, 1, 1, 32)},
    {"efficientnet 3x3 s2", GROUPS(2, 28, 48, 48, 3, 2, 1, 48)},
    {"efficientnet 5x5", GROUPS(2, 14, 80, 80, 5, 1, 2, 80)},
    {"efficientnet 5x5 s2", GROUPS(2, 14, 64, 64, 5, 2, 2, 64)},
    {"efficientnet 5x5 @7", GROUPS(2, 7, 48, 48, 5, 1, 2, 48)},
    {"convnext 7x7", GROUPS(1, 14, 32, 32, 7, 1, 3, 32)},
    {"one pixel", GROUPS(3, 1, 20, 20, 3, 1, 1, 20)},
};

static void test_layers(int pass)
{
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        struct kn_conv c = layers[i].c;
        measure(&c);
        ok(try_conv(&c, pass, pass == CONV_GRAD_WEIGHT ? 0 : 2 + (int)i % 9, 1000 + i), "%s: %s %s",
           kn->isa, pass_names[pass], layers[i].name);
    }
}

/* The kernels of networks on every width around the blocks of pixels, with the padding that keeps
 * it, none and more; heights around the groups of rows. (gcc 12 once threaded jumps of the 5x5
 * gradient with stride 1 wrongly: conv_depthwise.h.) */
static void test_widths(int pass, int step)
{
    int bad = 0, problems = 0;
    for (int kernel = 3; kernel <= 5; kernel += 2)
        for (int stride = 1; stride <= 2; stride++)
            for (int width = 1; width <= 24; width += step) {
                const int i = problems++;
                struct kn_conv c = {.N = 1,
                                    .H = 5 + i * 7 % 9,
                                    .W = width,
                                    .C = 16 + i % 3,
                                    .KH = kernel,
                                    .KW = kernel,
                                    .stride = stride,
                                    .pad = width < kernel || i % 4 ? kernel / 2
                                                                   : i / 4 % 2 * (kernel - 1)};
                c.O = c.groups = c.C;
                measure(&c);
                bad += !try_conv(&c, pass, pass == CONV_GRAD_WEIGHT ? 0 : i % KINDS,
                                 2000 + (uint64_t)i);
            }
    ok(bad == 0, "%s: %s depthwise, widths up to 24, %d problems", kn->isa, pass_names[pass],
       problems);
}

int main(void)
{
    const int share = getenv("BENCH_QEMU") ? 5 : 1; /* an emulator takes its time */
    for (const struct kn_table *const *t = kn_tables; *t; t++) {
        struct err err;
        if (!kn_runs_here(*t) || !kn_init((*t)->isa, &err))
            continue;
        for (int pass = 0; pass < PASSES; pass++) {
            test_random("groups", draw_groups, pass, 60 / share);
            test_random("depthwise", draw_depthwise, pass, 60 / share);
            test_layers(pass);
            test_widths(pass, share);
        }
    }
    return done();
}
