/* Hand-made convolution filters, before anybody learned them — Sobel & Feldman 1968;
 * Prewitt 1970; Marr & Hildreth: Theory of edge detection. Proc. R. Soc. B 207, 1980;
 * Gabor: Theory of communication. J. IEE 93, 1946, as a model of seeing in Daugman 1985.
 *
 * A bank of fixed filters, rectified and pooled, and a trained linear classifier on
 * top: the network that LeNet-5's first layers replace. Convolution here is
 * cross-correlation, as in every network: the filters are not flipped. */
#include <math.h>

#include "plugin.h"

enum { LARGEST = 49, GABORS = 16 };
enum pooling { NO_POOL, AVERAGE, MAXIMUM };

/* clang-format off */
static const float sobel[] = { /* gx = [1 2 1]^T [-1 0 1], gy its transpose */
    -1, 0, 1, -2, 0, 2, -1, 0, 1,
    -1, -2, -1, 0, 0, 0, 1, 2, 1,
};
static const float laplacian[] = {0, 1, 0, 1, -4, 1, 0, 1, 0};
static const float gauss3[] = {
    1 / 16.f, 2 / 16.f, 1 / 16.f, 2 / 16.f, 4 / 16.f, 2 / 16.f, 1 / 16.f, 2 / 16.f, 1 / 16.f,
};
/* clang-format on */

static const float *gauss5(void) /* [1 4 6 4 1]^T [1 4 6 4 1] / 256 */
{
    static const float binomial[5] = {1, 4, 6, 4, 1};
    static float w[25];
    for (int i = 0; i < 25; i++)
        w[i] = binomial[i / 5] * binomial[i % 5] / 256;
    return w;
}

/* exp(-(x'^2 + g^2 y'^2) / 2 s^2) cos(2 pi x' / l + psi): eight directions, even (psi = 0) and odd
 * (psi = pi/2), s = 2, l = 4, g = 0.5; each made to sum to 0, so that flat areas answer 0, and to
 * have length 1. */
static const float *gabor(void)
{
    static float bank[GABORS * LARGEST];
    const double pi = 3.14159265358979323846, s = 2, l = 4, g = 0.5;
    for (int f = 0; f < GABORS; f++) {
        const double angle = pi * (f / 2) / (GABORS / 2.0), psi = f % 2 * pi / 2;
        double w[LARGEST], sum = 0, squares = 0;
        for (int i = 0; i < LARGEST; i++) {
            const double x = i % 7 - 3,
                         y = i / 7 - 3; /* NOLINT(bugprone-integer-division): a grid */
            const double u = x * cos(angle) + y * sin(angle), v = y * cos(angle) - x * sin(angle);
            w[i] = exp(-(u * u + g * g * v * v) / (2 * s * s)) * cos(2 * pi * u / l + psi);
            sum += w[i];
        }
        for (int i = 0; i < LARGEST; i++) {
            w[i] -= sum / LARGEST;
            squares += w[i] * w[i];
        }
        for (int i = 0; i < LARGEST; i++)
            bank[f * LARGEST + i] = (float)(w[i] / sqrt(squares));
    }
    return bank;
}

struct bank {
    const float *fixed, *(*computed)(void); /* one of them */
    int filters, kernel, stride, pad;
    bool magnitude; /* sqrt(gx^2 + gy^2) of two filters; else |.| of each */
    int pooling, pool;
};

static nn_value magnitude(nn_value x)
{
    nn_value gx = nn_slice(x, 1, 0, 1), gy = nn_slice(x, 1, 1, 2);
    return nn_sqrt(nn_add(nn_mul(gx, gx), nn_mul(gy, gy)));
}

static void build(struct nn_graph *g, const void *config)
{
    const struct bank *b = config;
    nn_value x = nn_input(g, "image", NN_F32, NN_SHAPE(1, 28, 28));
    nn_value label = nn_input(g, "label", NN_I32, NN_SCALAR);

    nn_row(g, "filters");
    x = nn_conv2d(x, b->filters, .kernel = b->kernel, .stride = b->stride, .pad = b->pad,
                  .no_bias = true, .fixed = b->fixed ? b->fixed : b->computed());
    nn_row(g, "rectify");
    x = b->magnitude ? magnitude(x) : nn_abs(x);
    nn_row(g, "pool");
    if (b->pooling == MAXIMUM)
        x = nn_max_pool(x, b->pool);
    if (b->pooling == AVERAGE)
        x = nn_avg_pool(x, b->pool);
    nn_row(g, "classifier");
    nn_value y = nn_linear(nn_flatten(x), 10);
    nn_minimize(nn_cross_entropy(y, label));
    nn_metric("accuracy", nn_accuracy(y, label));
}

/* clang-format off */
static const struct bank banks[] = {
    {NULL, gabor, GABORS, 7, 1, 3, false, AVERAGE, 4},
    {NULL, gabor, GABORS, 7, 1, 3, false, MAXIMUM, 4},
    {NULL, gabor, GABORS, 7, 2, 3, false, AVERAGE, 2},
    {NULL, gabor, GABORS, 7, 1, 0, false, AVERAGE, 4},
    {sobel,     NULL, 2, 3, 1, 0, true,  AVERAGE, 2},
    {laplacian, NULL, 1, 3, 1, 0, false, AVERAGE, 2},
    {gauss3,    NULL, 1, 3, 1, 0, false, AVERAGE, 2},
    {NULL, gauss5,    1, 5, 1, 0, false, AVERAGE, 2},
};

/* Parameters are the classifier's; multiply-adds the bank's (the row "filters": 6084 for a valid
 * 3x3, 14400 for a 5x5, dense) plus the classifier's. */
static const struct nn_variant variants[] = {
    {"gabor",     "16 Gabor filters 7x7, average pooling 4x4", &banks[0], {.params = 7850, .macs = 622496}, NULL},
    {"gabor-max", "the same with max pooling",                 &banks[1], {.params = 7850, .macs = 622496}, NULL},
    {"gabor-stride2", "the same at every second pixel, pooling 2x2", &banks[2], {.params = 7850, .macs = 161504}, NULL},
    {"gabor-valid", "the same without padding",                &banks[3], {.params = 4010, .macs = 383456}, NULL},
    {"sobel",     "gradient magnitude, average pooling 2x2",   &banks[4], {.params = 1700, .macs = 13858}, NULL},
    {"laplacian", "4-neighbour Laplacian, average pooling 2x2", &banks[5], {.params = 1700, .macs = 7774}, NULL},
    {"gauss3",    "3x3 Gaussian, average pooling 2x2",         &banks[6], {.params = 1700, .macs = 7774}, NULL},
    {"gauss5",    "5x5 Gaussian, average pooling 2x2",         &banks[7], {.params = 1450, .macs = 15840}, NULL},
    {0},
};
/* clang-format on */

static const struct nn_recipe recipe = {
    NN_RECIPE_HEADER,
    .batch = 128,
    .epochs = 8,
    .optimizer = NN_ADAM,
    .schedule = NN_ONE_CYCLE,
    .rate = 5e-3f,
    .warmup_epochs = 1.0f,
    .final_factor = 0.01f,
    .note = "only the classifier learns: softmax regression by Adam",
};

const struct nn_plugin nn_plugin = {
    NN_PLUGIN_HEADER,
    .year = 1968,
    .name = "filters",
    .title = "Hand-made filters",
    .citation =
        "Sobel, Feldman: A 3x3 isotropic gradient operator for image processing, 1968; "
        "Marr, Hildreth 1980; Gabor 1946 and Daugman 1985",
    .about =
        "Edges and gratings found by filters that people designed, pooled, and weighed by a "
        "linear classifier: how pictures were recognised before filters were learned",
    .dataset = "images",
    .variants = variants,
    .recipe = &recipe,
    .build = build,
};

NN_PLUGIN_NOTE("filters", 1968, "Hand-made filters",
               "gabor gabor-max gabor-stride2 gabor-valid sobel laplacian gauss3 gauss5");
