/* EfficientNet — Tan, Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural
 * Networks. ICML 2019, arXiv 1905.11946. `table1` is Table 1, the net B0; B1 to B7 are B0 scaled
 * by (3) in width, depth and resolution at once, rounded as in the authors' code. */
#include <math.h>

#include "plugin.h"

enum { STAGES = 7 };

struct stage {
    int expansion, kernel, channels, blocks;
};

/* clang-format off */
static const struct stage table1[STAGES] = { /* stages 2 to 8 */
    {1, 3,  16, 1},
    {6, 3,  24, 2},
    {6, 5,  40, 2},
    {6, 3,  80, 3},
    {6, 5, 112, 3},
    {6, 5, 192, 4},
    {6, 3, 320, 1},
};
/* clang-format on */

struct net {
    double width, depth;      /* w and d of (3) */
    int size;                 /* its resolution */
    float dropout, drop_path; /* the latter of the last block */
    int channels, classes;    /* of the image; of the output */
    int strides[1 + STAGES];  /* of stage 1, the first convolution; of stages 2 to 8 */
};

struct block {
    int stage, number; /* as in Table 1: 2 to 8; from 1 */
    int out, stride, squeezed;
    float drop_path;
};

/* The nearest multiple of 8, but never less than nine tenths of what was asked for. */
static int widened(int channels, const struct net *m)
{
    const double wish = channels * m->width;
    const int nearest = (int)fmax(8, floor((wish + 4) / 8) * 8);
    return nearest < 0.9 * wish ? nearest + 8 : nearest;
}

static int deepened(int blocks, const struct net *m) { return (int)ceil(blocks * m->depth); }

static nn_value normed(nn_value x) { return nn_batch_norm(x, 1e-3f, .momentum = 0.01f); }

static nn_value pointwise(nn_value x, int out)
{
    return normed(nn_conv2d(x, out, .kernel = 1, .no_bias = true));
}

static nn_value row(nn_value x, const struct block *b, const char *part)
{
    nn_row(x.graph, "stage%d_%d/%s", b->stage, b->number, part);
    return x;
}

/* Hu et al. 2018: each channel times a number between 0 and 1 that depends on all of them. */
static nn_value squeeze_and_excite(nn_value x, const struct block *b)
{
    const int channels = nn_dim(x, 1);
    nn_value s = nn_global_avg_pool(row(x, b, "squeeze"));
    s = nn_silu(nn_linear(s, b->squeezed));
    s = nn_sigmoid(nn_linear(row(s, b, "excite"), channels));
    return nn_gate(x, s);
}

/* MBConv, Sandler et al. 2018 with Hu's addition: widen, look around in each channel alone, weigh
 * the channels, narrow again without activation. */
static nn_value mbconv(nn_value x, const struct block *b, const struct stage *t)
{
    const int in = nn_dim(x, 1), wide = in * t->expansion;
    nn_value y = x;
    if (wide > in)
        y = nn_silu(pointwise(row(y, b, "expand"), wide));
    y = nn_conv2d(row(y, b, "depthwise"), wide, .kernel = t->kernel, .stride = b->stride,
                  .pad = t->kernel / 2, .groups = wide, .no_bias = true);
    y = squeeze_and_excite(nn_silu(normed(y)), b);
    y = pointwise(row(y, b, "project"), b->out);
    if (b->stride == 1 && in == b->out)
        y = nn_add(nn_drop_path(y, b->drop_path), x);
    return y;
}

static int blocks_of(const struct net *m)
{
    int blocks = 0;
    for (int i = 0; i < STAGES; i++)
        blocks += deepened(table1[i].blocks, m);
    return blocks;
}

static nn_value all_blocks(nn_value x, const struct net *m)
{
    const float per_block = m->drop_path / (float)blocks_of(m);
    int before = 0;
    for (int i = 0; i < STAGES; i++)
        for (int k = 0; k < deepened(table1[i].blocks, m); k++) {
            const struct block b = {.stage = i + 2,
                                    .number = k + 1,
                                    .out = widened(table1[i].channels, m),
                                    .stride = k == 0 ? m->strides[i + 1] : 1,
                                    .squeezed = nn_dim(x, 1) / 4,
                                    .drop_path = per_block * (float)before++};
            x = mbconv(x, &b, &table1[i]);
        }
    return x;
}

static void build(struct nn_graph *g, const void *config)
{
    const struct net *m = config;
    nn_value x = nn_input(g, "image", NN_F32, NN_SHAPE(m->channels, m->size, m->size));
    nn_value label = nn_input(g, "label", NN_I32, NN_SCALAR);
    nn_default_init(g, (struct nn_init){NN_INIT_HE_NORMAL, 1.0f});

    nn_row(g, "stage1");
    x = nn_conv2d(x, widened(32, m), .kernel = 3, .stride = m->strides[0], .pad = 1,
                  .no_bias = true);
    x = all_blocks(nn_silu(normed(x)), m);
    nn_row(g, "stage9");
    x = nn_silu(pointwise(x, 4 * nn_dim(x, 1)));
    nn_row(g, "fc");
    x = nn_dropout(nn_global_avg_pool(x), m->dropout);
    nn_value y = nn_linear(x, m->classes, .init = {NN_INIT_NORMAL, 0.01f});
    nn_minimize(nn_smooth_cross_entropy(y, label, 0.1f));
    nn_metric("accuracy", nn_accuracy(y, label));
}

/* clang-format off */
#define IMAGENET(batch_) (&(const struct nn_recipe){                                                             \
    NN_RECIPE_HEADER,                                                                                            \
    .batch = (batch_), .epochs = 350, .optimizer = NN_SGD, .schedule = NN_COSINE, .rate = 0.1f * (batch_) / 256, \
    .momentum = 0.9f, .weight_decay = 1e-5f, .warmup_epochs = 5, .augment = "resizedcrop,flip",                              \
    .note = "SGD with momentum and cosine for RMSProp at 0.97 every 2.4 epochs; small batches for 2048; crops and flips "  \
            "for AutoAugment; no moving average of the weights; symmetric padding at stride 2" })
static const struct nn_recipe recipe_cifar = {
    NN_RECIPE_HEADER,
    .batch = 128, .epochs = 30, .optimizer = NN_SGD, .schedule = NN_ONE_CYCLE, .rate = 0.2f, .momentum = 0.9f,
    .weight_decay = 5e-4f, .final_factor = 0.002f, .augment = "crop4,flip",
    .note = "trained from nothing on 32x32 by one cycle of 30 epochs; the paper fine-tunes nets of ImageNet at full resolution"
};
static const struct nn_recipe recipe_fashion = {
    NN_RECIPE_HEADER,
    .batch = 128, .epochs = 11, .optimizer = NN_SGD, .schedule = NN_ONE_CYCLE, .rate = 0.2f, .momentum = 0.9f,
    .weight_decay = 2e-4f, .warmup_epochs = 4.0f, .final_factor = 0.002f, .augment = "crop1,flip",
    .note = "a third as wide and half as deep as B0, halving later; SGD with one cycle of rates for RMSProp"
};

#define FROM_ZERO(accuracy) accuracy, "accuracy", "imagenet", "Tan & Le 2019, Table 2"
#define UNKNOWN             0, NULL, NULL, NULL
#define LARGE               3, 1000, {2, 1, 2, 2, 2, 1, 2, 1}
#define NET(...)            (&(const struct net){__VA_ARGS__})
static const struct nn_variant variants[] = {
    {"fashion", "a third as wide and half as deep as B0, on 28x28: Fashion-MNIST in minutes",
     NET(0.35, 0.5, 28, 0.1f, 0.0f, 1, 10, {1, 2, 1, 2, 2, 1, 1, 1}), {335306, 5057712, UNKNOWN}, &recipe_fashion},
    {"b0", "Table 1, on 224x224", NET(1.0, 1.0, 224, 0.2f, 0.2f, LARGE), {5288548, 385814752, FROM_ZERO(77.1)}, IMAGENET(8)},
    {"b1", "depth 1.1, on 240x240",            NET(1.0, 1.1, 240, 0.2f, 0.2f, LARGE), {7794184,  686802832,   FROM_ZERO(79.1)}, IMAGENET(8)},
    {"b2", "width 1.1, depth 1.2, on 260x260", NET(1.1, 1.2, 260, 0.3f, 0.2f, LARGE), {9109994,  993561872,   FROM_ZERO(80.1)}, IMAGENET(4)},
    {"b3", "width 1.2, depth 1.4, on 300x300", NET(1.2, 1.4, 300, 0.3f, 0.2f, LARGE), {12233232, 1827141392,  FROM_ZERO(81.6)}, IMAGENET(4)},
    {"b4", "width 1.4, depth 1.8, on 380x380", NET(1.4, 1.8, 380, 0.4f, 0.2f, LARGE), {19341616, 4393771024,  FROM_ZERO(82.9)}, IMAGENET(2)},
    {"b5", "width 1.6, depth 2.2, on 456x456", NET(1.6, 2.2, 456, 0.4f, 0.2f, LARGE), {30389784, 10266384752, FROM_ZERO(83.6)}, IMAGENET(1)},
    {"b6", "width 1.8, depth 2.6, on 528x528", NET(1.8, 2.6, 528, 0.5f, 0.2f, LARGE), {43040704, 19067593536, FROM_ZERO(84.0)}, IMAGENET(1)},
    {"b7", "width 2.0, depth 3.1, on 600x600", NET(2.0, 3.1, 600, 0.5f, 0.2f, LARGE), {66347960, 37745884192, FROM_ZERO(84.3)}, IMAGENET(1)},
    {"b2-288", "b2 on 288x288, as torchvision evaluates it", NET(1.1, 1.2, 288, 0.3f, 0.2f, LARGE),
     {9109994, 1087529456, 80.608, "accuracy", "imagenet", "torchvision's released weights"}, IMAGENET(4)},
    {"cifar", "B0 with a first convolution of stride 1, on 32x32",
     NET(1.0, 1.0, 32, 0.2f, 0.2f, 3, 10, {1, 1, 2, 2, 2, 1, 2, 1}), {4020358, 31979392, UNKNOWN}, &recipe_cifar},
    {0},
};
/* clang-format on */

const struct nn_plugin nn_plugin = {
    NN_PLUGIN_HEADER,
    .year = 2019,
    .name = "efficientnet",
    .title = "EfficientNet",
    .citation =
        "Tan, Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks. ICML "
        "2019, arXiv 1905.11946",
    .about =
        "A small net found by search, of depthwise convolutions and channels that gate each other; "
        "then one number makes it wider, deeper and sharper-eyed at once: B0 to B7",
    .dataset = "images",
    .variants = variants,
    .recipe = &recipe_cifar,
    .build = build,
};

NN_PLUGIN_NOTE("efficientnet", 2019, "EfficientNet",
               "fashion b0 b1 b2 b3 b4 b5 b6 b7 b2-288 cifar");
