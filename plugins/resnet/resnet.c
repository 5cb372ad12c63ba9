/* ResNet — He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition. CVPR 2016,
 * arXiv 1512.03385. A variant is a column of Table 1 (ImageNet: four stages of blocks) or of
 * Section 4.2 (CIFAR: three stages of n blocks, 6n + 2 layers), with one of the shortcuts of
 * Section 4.1 or, in the plain twins, none. Rows are named as in Table 1, with a letter for each
 * convolution of a block. */
#include "plugin.h"

enum { STAGES = 4 };

enum shortcut {
    PLAIN,    /* none: the paper's control group */
    OPTION_A, /* x itself; where the shape changes, every other pixel and zeros for new channels */
    OPTION_B, /* there a 1x1 convolution instead, W_s of (2) */
};

struct block;
typedef nn_value block_of(nn_value x, const struct block *b);
static block_of basic, bottleneck, bottleneck_v1;

struct net {
    block_of *of;
    int blocks[STAGES];          /* conv2_x, conv3_x, … */
    int shortcut;                /* enum shortcut */
    int width;                   /* channels of conv2_x, doubled by each later stage */
    int channels, size, classes; /* of the image; of the output */
    bool pooled;                 /* 3x3 maxima with stride 2 follow the stem */
};

struct block {
    const struct net *net;
    int stage, number; /* from 0 */
    int width, stride;
};

/* Normalise right after each convolution, before the activation (3.4). */
static nn_value normed(nn_value x, int out, int kernel, int stride)
{
    x = nn_conv2d(x, out, .kernel = kernel, .stride = stride, .pad = kernel / 2, .no_bias = true);
    return nn_batch_norm(x, 1e-5f);
}

static nn_value conv(nn_value x, const struct block *b, char part, int out, int kernel, int stride)
{
    nn_row(x.graph, "conv%d_%d%c", b->stage + 2, b->number + 1, part);
    return normed(x, out, kernel, stride);
}

static nn_value zero_padded(nn_value x, int out, int stride)
{
    if (stride > 1)
        x = nn_max_pool(x, 1, .stride = stride);
    const int zeros = out - nn_dim(x, 1);
    return zeros ? nn_pad(x, 1, zeros / 2, zeros - zeros / 2) : x;
}

/* y = F(x) + x (1), or F(x) + W_s x (2) where the shape changes. */
static nn_value residual(nn_value f, nn_value x, const struct block *b)
{
    const int out = nn_dim(f, 1), shortcut = b->net->shortcut;
    if (shortcut == PLAIN)
        return nn_relu(f);
    if (shortcut == OPTION_A)
        x = zero_padded(x, out, b->stride);
    else if (nn_dim(x, 1) != out)
        x = conv(x, b, 's', out, 1, b->stride);
    return nn_relu(nn_add(f, x));
}

static nn_value basic(nn_value x, const struct block *b) /* Figure 5, left */
{
    nn_value f = nn_relu(conv(x, b, 'a', b->width, 3, b->stride));
    f = conv(f, b, 'b', b->width, 3, 1);
    return residual(f, x, b);
}

static nn_value three(nn_value x, const struct block *b, int stride1, int stride3)
{
    nn_value f = nn_relu(conv(x, b, 'a', b->width, 1, stride1));
    f = nn_relu(conv(f, b, 'b', b->width, 3, stride3));
    f = conv(f, b, 'c', 4 * b->width, 1, 1);
    return residual(f, x, b);
}

static nn_value bottleneck_v1(nn_value x, const struct block *b) /* Figure 5, right */
{
    return three(x, b, b->stride, 1);
}

/* v1.5, what most libraries mean by ResNet-50: the 3x3 skips pixels, it sees them all. */
static nn_value bottleneck(nn_value x, const struct block *b) { return three(x, b, 1, b->stride); }

static void build(struct nn_graph *g, const void *config)
{
    const struct net *m = config;
    nn_value x = nn_input(g, "image", NN_F32, NN_SHAPE(m->channels, m->size, m->size));
    nn_value label = nn_input(g, "label", NN_I32, NN_SCALAR);
    nn_default_init(g, (struct nn_init){NN_INIT_HE_NORMAL, 1.0f}); /* He et al. 2015 */

    const bool large = m->size >= 224;
    nn_row(g, "conv1");
    x = nn_relu(large ? normed(x, m->width, 7, 2) : normed(x, m->width, 3, 1));
    if (m->pooled)
        x = nn_max_pool(x, 3, .stride = 2, .pad = 1);

    for (int stage = 0; stage < STAGES; stage++)
        for (int i = 0; i < m->blocks[stage]; i++) {
            const int stride = stage > 0 && i == 0 ? 2 : 1;
            x = m->of(x, &(struct block){m, stage, i, m->width << stage, stride});
        }

    nn_row(g, "fc");
    nn_value y = nn_linear(nn_global_avg_pool(x), m->classes, .init = {NN_INIT_NORMAL, 0.01f});
    nn_minimize(nn_cross_entropy(y, label));
    nn_metric("accuracy", nn_accuracy(y, label));
}

/* clang-format off */
#define IMAGENET(batch_) (&(const struct nn_recipe){                                                               \
    NN_RECIPE_HEADER,                                                                                              \
    .batch = (batch_), .epochs = 120, .optimizer = NN_SGD, .schedule = NN_STEPS, .rate = 0.1f * (batch_) / 256,    \
    .momentum = 0.9f, .weight_decay = 1e-4f, .steps = {{40, 0.1f}, {80, 0.01f}}, .augment = "resizedcrop,flip,colour",                \
    .note = "small batches for 256, at a rate lower in proportion, fit a small machine's memory; the rate falls "  \
            "at fixed epochs, the paper's when the error stalls; crops of 8 to 100 % of a picture for crops at random scales; one centre crop in evaluation for ten" })
static const struct nn_recipe recipe_cifar = {
    NN_RECIPE_HEADER,
    .batch = 128, .epochs = 30, .optimizer = NN_SGD, .schedule = NN_ONE_CYCLE, .rate = 0.1f, .momentum = 0.9f,
    .weight_decay = 5e-4f, .warmup_epochs = 5.0f, .final_factor = 0.001f, .augment = "crop4,flip",
    .note = "one cycle of 30 epochs up to a rate of 0.1, with weight decay of 5e-4, for 164 epochs at 0.1, 0.01, "
            "0.001 and 1e-4; its rise is the warm-up that 110 layers need"
};
static const struct nn_recipe recipe_fashion = {
    NN_RECIPE_HEADER,
    .batch = 128, .epochs = 15, .optimizer = NN_SGD, .schedule = NN_ONE_CYCLE, .rate = 0.1f, .momentum = 0.9f,
    .weight_decay = 3e-4f, .warmup_epochs = 3.0f, .final_factor = 0.002f, .augment = "crop1,flip",
    .note = "the CIFAR net on 28x28, behind the ImageNet nets' pooling; one cycle of 15 epochs"
};

#define LARGE           3, 224, 1000, true
#define SMALL           3,  32,   10, false
#define D18             basic, {2, 2, 2, 2}
#define D34             basic, {3, 4, 6, 3}
#define D50             bottleneck, {3, 4, 6, 3}
#define D50_V1          bottleneck_v1, {3, 4, 6, 3}
#define D101            bottleneck, {3, 4, 23, 3}
#define D101_V1         bottleneck_v1, {3, 4, 23, 3}
#define D152            bottleneck, {3, 8, 36, 3}
#define D152_V1         bottleneck_v1, {3, 8, 36, 3}
#define N(n)            basic, {(n), (n), (n)}          /* 6n + 2 layers */
#define NET(...)        (&(const struct net){__VA_ARGS__})
#define CROPS(error)    100 - (error), "accuracy", "imagenet", "He et al. 2015, Table 2, ten crops"
#define CROPS3(error)   100 - (error), "accuracy", "imagenet", "He et al. 2015, Table 3, ten crops"
#define CROP(error)     100 - (error), "accuracy", "imagenet", "KaimingHe/deep-residual-networks, one crop"
#define WEIGHTS(acc)    (acc), "accuracy", "imagenet", "torchvision's released weights"
#define TABLE6(error)   100 - (error), "accuracy", "cifar10", "He et al. 2015, Table 6"
#define UNKNOWN         0, NULL, NULL, NULL
static const struct nn_variant variants[] = {
    {"fashion", "20 layers of the CIFAR widths behind a pooling, on 28x28: Fashion-MNIST in minutes",
     NET(N(3), OPTION_A, 16, 1, 28, 10, true), {269434, 8550784, UNKNOWN}, &recipe_fashion},
    {"20-fashion", "20 layers of the CIFAR widths on 28x28", NET(N(3), OPTION_A, 16, 1, 28, 10, false),
     {269434, 30821248, UNKNOWN}, &recipe_fashion},

    {"18",  "Table 1, shortcuts B", NET(D18, OPTION_B, 64, LARGE), {11689512, 1814073344, WEIGHTS(69.758)}, IMAGENET(16)},
    {"34",  "Table 1, shortcuts B", NET(D34, OPTION_B, 64, LARGE), {21797672, 3663761408, CROPS3(24.52)}, IMAGENET(16)},
    {"50",  "v1.5: bottlenecks with the stride in the 3x3", NET(D50, OPTION_B, 64, LARGE), {25557032, 4089184256, WEIGHTS(76.130)}, IMAGENET(8)},
    {"101", "v1.5", NET(D101, OPTION_B, 64, LARGE), {44549160, 7801405440, WEIGHTS(77.374)}, IMAGENET(4)},
    {"152", "v1.5", NET(D152, OPTION_B, 64, LARGE), {60192808, 11513626624, WEIGHTS(78.312)}, IMAGENET(4)},
    {"50-v1",  "Table 1 as published: the stride in the first 1x1", NET(D50_V1, OPTION_B, 64, LARGE), {25557032, 3857973248, CROP(24.7)}, IMAGENET(8)},
    {"101-v1", "Table 1 as published", NET(D101_V1, OPTION_B, 64, LARGE), {44549160, 7570194432, CROP(23.6)}, IMAGENET(4)},
    {"152-v1", "Table 1 as published", NET(D152_V1, OPTION_B, 64, LARGE), {60192808, 11282415616, CROP(23.0)}, IMAGENET(4)},
    {"18-a", "Table 1, shortcuts A: no parameters", NET(D18, OPTION_A, 64, LARGE), {11515688, 1794805760, CROPS(27.88)}, IMAGENET(16)},
    {"34-a", "Table 1, shortcuts A", NET(D34, OPTION_A, 64, LARGE), {21623848, 3644493824, CROPS(25.03)}, IMAGENET(16)},
    {"plain-18", "18-a without shortcuts", NET(D18, PLAIN, 64, LARGE), {11515688, 1794805760, CROPS(27.94)}, IMAGENET(16)},
    {"plain-34", "34-a without shortcuts: worse than 18 layers", NET(D34, PLAIN, 64, LARGE), {21623848, 3644493824, CROPS(28.54)}, IMAGENET(16)},

    {"20",   "CIFAR, 6n + 2 layers, n = 3, shortcuts A", NET(N(3), OPTION_A, 16, SMALL), {269722, 40551040, TABLE6(8.75)}, &recipe_cifar},
    {"32",   "n = 5",   NET(N(5),   OPTION_A, 16, SMALL), {464154,   68862592,   TABLE6(7.51)}, &recipe_cifar},
    {"44",   "n = 7",   NET(N(7),   OPTION_A, 16, SMALL), {658586,   97174144,   TABLE6(7.17)}, &recipe_cifar},
    {"56",   "n = 9",   NET(N(9),   OPTION_A, 16, SMALL), {853018,   125485696,  TABLE6(6.97)}, &recipe_cifar},
    {"110",  "n = 18",  NET(N(18),  OPTION_A, 16, SMALL), {1727962,  252887680,  TABLE6(6.43)}, &recipe_cifar},
    {"1202", "n = 200", NET(N(200), OPTION_A, 16, SMALL), {19421274, 2829238912, TABLE6(7.93)}, &recipe_cifar},
    {"20-b",   "20 with shortcuts B",   NET(N(3),   OPTION_B, 16, SMALL), {272474,   40813184,   UNKNOWN}, &recipe_cifar},
    {"32-b",   "32 with shortcuts B",   NET(N(5),   OPTION_B, 16, SMALL), {466906,   69124736,   UNKNOWN}, &recipe_cifar},
    {"44-b",   "44 with shortcuts B",   NET(N(7),   OPTION_B, 16, SMALL), {661338,   97436288,   UNKNOWN}, &recipe_cifar},
    {"56-b",   "56 with shortcuts B",   NET(N(9),   OPTION_B, 16, SMALL), {855770,   125747840,  UNKNOWN}, &recipe_cifar},
    {"110-b",  "110 with shortcuts B",  NET(N(18),  OPTION_B, 16, SMALL), {1730714,  253149824,  UNKNOWN}, &recipe_cifar},
    {"1202-b", "1202 with shortcuts B", NET(N(200), OPTION_B, 16, SMALL), {19424026, 2829501056, UNKNOWN}, &recipe_cifar},
    {"plain-20",   "20 without shortcuts",   NET(N(3),   PLAIN, 16, SMALL), {269722,   40551040,   UNKNOWN}, &recipe_cifar},
    {"plain-32",   "32 without shortcuts",   NET(N(5),   PLAIN, 16, SMALL), {464154,   68862592,   UNKNOWN}, &recipe_cifar},
    {"plain-44",   "44 without shortcuts",   NET(N(7),   PLAIN, 16, SMALL), {658586,   97174144,   UNKNOWN}, &recipe_cifar},
    {"plain-56",   "56 without shortcuts",   NET(N(9),   PLAIN, 16, SMALL), {853018,   125485696,  UNKNOWN}, &recipe_cifar},
    {"plain-110",  "110 without shortcuts: hardly learns", NET(N(18), PLAIN, 16, SMALL), {1727962, 252887680, UNKNOWN}, &recipe_cifar},
    {"plain-1202", "1202 without shortcuts", NET(N(200), PLAIN, 16, SMALL), {19421274, 2829238912, UNKNOWN}, &recipe_cifar},
    {"18-cifar", "the 18 layers of Table 1 with a 3x3 stem on 32x32; not a net of the paper", NET(D18, OPTION_B, 64, SMALL),
     {11173962, 555422720, 93.02, "accuracy", "cifar10", "kuangliu/pytorch-cifar"}, &recipe_cifar},
    {0},
};
/* clang-format on */

const struct nn_plugin nn_plugin = {
    NN_PLUGIN_HEADER,
    .year = 2015,
    .name = "resnet",
    .title = "ResNet",
    .citation =
        "He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition. CVPR 2016, arXiv "
        "1512.03385",
    .about =
        "Deeper plain nets get worse, even on what they train on. If each block only adds a "
        "correction to what it was given, depth helps again: 152 layers, even 1202",
    .dataset = "images",
    .variants = variants,
    .recipe = &recipe_cifar,
    .build = build,
};

NN_PLUGIN_NOTE("resnet", 2015, "ResNet",
               "fashion 20-fashion 18 34 50 101 152 50-v1 101-v1 152-v1 18-a 34-a plain-18 "
               "plain-34 20 32 44 56 110 1202 20-b 32-b 44-b 56-b 110-b 1202-b plain-20 plain-32 "
               "plain-44 plain-56 plain-110 plain-1202 18-cifar");
