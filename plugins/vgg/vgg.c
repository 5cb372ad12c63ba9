/* VGG — Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image
 * Recognition. arXiv 1409.1556, 2014; ICLR 2015. `table1` is Table 1, one line per column:
 * everything is a 3x3 convolution, and the columns differ in how many there are. Rows are named
 * as in the authors' released models. */
#include "plugin.h"

enum { STAGES = 5 };

struct column {
    int convs[STAGES]; /* between two poolings */
    bool pointwise;    /* C: the last convolution of stages 3 to 5 is 1x1 */
    bool lrn;          /* A-LRN: local response normalisation after the first */
};

/* clang-format off */
static const struct column table1[] = {
    {{1, 1, 2, 2, 2}, false, false}, /* A      11 weight layers */
    {{1, 1, 2, 2, 2}, false, true},  /* A-LRN  11 */
    {{2, 2, 2, 2, 2}, false, false}, /* B      13 */
    {{2, 2, 3, 3, 3}, true,  false}, /* C      16 */
    {{2, 2, 3, 3, 3}, false, false}, /* D      16 */
    {{2, 2, 4, 4, 4}, false, false}, /* E      19 */
};
/* clang-format on */
enum { A, A_LRN, B, C, D, E };

struct net {
    int column;
    bool norm;                   /* batch norm after each convolution, as released in 2017 */
    int channels, size, classes; /* of the image; of the output */
    int stages, width;           /* poolings; channels of the first stage */
    int full;                    /* units of fc6 and fc7; 0: neither */
};

/* The bias before batch norm is idle, but the released models have it. */
static nn_value conv(nn_value x, bool norm, int out, int kernel, int stage, int i)
{
    nn_row(x.graph, "conv%d_%d", stage + 1, i + 1);
    x = nn_conv2d(x, out, .kernel = kernel, .pad = kernel / 2);
    if (norm) {
        nn_row(x.graph, "norm%d_%d", stage + 1, i + 1);
        x = nn_batch_norm(x, 1e-5f);
    }
    return nn_relu(x);
}

static nn_value features(nn_value x, const struct net *m)
{
    const struct column *column = &table1[m->column];
    for (int stage = 0; stage < m->stages; stage++) {
        const int width = m->width << (stage < 3 ? stage : 3); /* 64 128 256 512 512 */
        for (int i = 0; i < column->convs[stage]; i++) {
            const bool pointwise = column->pointwise && stage >= 2 && i == 2;
            x = conv(x, m->norm, width, pointwise ? 1 : 3, stage, i);
            if (column->lrn && stage == 0)
                x = nn_lrn(x, 5, .k = 2.0f, .alpha = 5e-4f, .beta = 0.75f);
        }
        nn_row(x.graph, "pool%d", stage + 1);
        x = nn_max_pool(x, 2);
    }
    return x;
}

static nn_value full(nn_value x, int units, const char *name)
{
    nn_row(x.graph, "%s", name);
    return nn_dropout(nn_relu(nn_linear(x, units)), 0.5f);
}

static void build(struct nn_graph *g, const void *config)
{
    const struct net *m = config;
    nn_value x = nn_input(g, "image", NN_F32, NN_SHAPE(m->channels, m->size, m->size));
    nn_value label = nn_input(g, "label", NN_I32, NN_SCALAR);
    nn_default_init(g, (struct nn_init){NN_INIT_HE_NORMAL, 1.0f});

    x = nn_flatten(features(x, m));
    if (m->full) {
        x = full(x, m->full, "fc6");
        x = full(x, m->full, "fc7");
    }
    nn_row(g, "fc8");
    nn_value y = nn_linear(x, m->classes, .init = {NN_INIT_NORMAL, 0.01f});
    nn_minimize(nn_cross_entropy(y, label));
    nn_metric("accuracy", nn_accuracy(y, label));
}

/* clang-format off */
static const struct nn_recipe recipe_imagenet = {
    NN_RECIPE_HEADER,
    .batch = 4, .epochs = 74, .optimizer = NN_SGD, .schedule = NN_STEPS, .rate = 0.01f * 4 / 256, .momentum = 0.9f,
    .weight_decay = 5e-4f, .steps = {{30, 0.1f}, {50, 0.01f}, {65, 0.001f}}, .augment = "resizedcrop,flip,colour",
    .note = "batches of 4 for 256, at a rate 64 times lower, fit a small machine's memory; the rate falls at "
            "fixed epochs, the paper's when accuracy stalls; He's initial weights for N(0, 0.01) and for starting the "
            "deeper nets from A's weights; crops of 8 to 100 % of a picture for crops at one or more scales"
};
static const struct nn_recipe recipe_cifar = {
    NN_RECIPE_HEADER,
    .batch = 128, .epochs = 30, .optimizer = NN_SGD, .schedule = NN_ONE_CYCLE, .rate = 0.1f, .momentum = 0.9f,
    .weight_decay = 5e-4f, .final_factor = 0.002f, .augment = "crop4,flip",
    .note = "pytorch-cifar's recipe with one cycle of 30 epochs for 200 epochs of cosine"
};
static const struct nn_recipe recipe_fashion = {
    NN_RECIPE_HEADER,
    .batch = 128, .epochs = 15, .optimizer = NN_SGD, .schedule = NN_ONE_CYCLE, .rate = 0.1f, .momentum = 0.9f,
    .weight_decay = 5e-4f, .warmup_epochs = 2.0f, .final_factor = 0.002f, .augment = "crop2,flip",
    .note = "a quarter of the channels, one stage fewer, no hidden full layers and batch norm fit five minutes of two cores; one-cycle rates"
};

#define IMAGENET  3, 224, 1000, 5, 64, 4096
#define CIFAR     3,  32,   10, 5, 64, 0
static const struct net nets[] = {
    {B, true, 1, 28, 10, 4, 16, 0},
    {A, false, IMAGENET}, {A_LRN, false, IMAGENET}, {B, false, IMAGENET},
    {C, false, IMAGENET}, {D, false, IMAGENET}, {E, false, IMAGENET},
    {A, true, IMAGENET}, {B, true, IMAGENET}, {C, true, IMAGENET}, {D, true, IMAGENET}, {E, true, IMAGENET},
    {A, true, CIFAR}, {B, true, CIFAR}, {D, true, CIFAR}, {E, true, CIFAR},
};

#define PAPER(accuracy)    accuracy, "accuracy", "imagenet", "Simonyan & Zisserman 2014, Table 3, one scale"
#define RELEASED(accuracy) accuracy, "accuracy", "imagenet", "torchvision's released weights"
#define UNKNOWN            0, NULL, NULL, NULL
static const struct nn_variant variants[] = {
    {"fashion", "B with batch norm, 16 to 128 channels, on 28x28: Fashion-MNIST in minutes", &nets[0],
     {295482, 9330176, UNKNOWN}, &recipe_fashion},
    {"11", "column A: 8 convolutions", &nets[1], {132863336, 7609090048, PAPER(70.4)}, NULL},
    {"11-lrn", "column A-LRN: A with local response normalisation", &nets[2], {132863336, 7609090048, PAPER(70.3)}, NULL},
    {"13", "column B: 10 convolutions", &nets[3], {133047848, 11308466176, PAPER(71.3)}, NULL},
    {"16-c", "column C: B and three 1x1 convolutions", &nets[4], {133638952, 11770888192, PAPER(71.9)}, NULL},
    {"16", "column D: 13 convolutions, what is called VGG-16", &nets[5], {138357544, 15470264320, PAPER(73.0)}, NULL},
    {"19", "column E: 16 convolutions", &nets[6], {143667240, 19632062464, PAPER(72.7)}, NULL},
    {"11-bn", "A with batch norm", &nets[7], {132868840, 7609090048, RELEASED(70.370)}, NULL},
    {"13-bn", "B with batch norm", &nets[8], {133053736, 11308466176, RELEASED(71.586)}, NULL},
    {"16-c-bn", "C with batch norm", &nets[9], {133647400, 11770888192, UNKNOWN}, NULL},
    {"16-bn", "D with batch norm", &nets[10], {138365992, 15470264320, RELEASED(73.360)}, NULL},
    {"19-bn", "E with batch norm", &nets[11], {143678248, 19632062464, RELEASED(74.218)}, NULL},
    {"11-cifar", "A with batch norm and one full layer, on 32x32", &nets[12], {9231114, 152769536, UNKNOWN}, &recipe_cifar},
    {"13-cifar", "B likewise", &nets[13], {9416010, 228267008, UNKNOWN}, &recipe_cifar},
    {"16-cifar", "D likewise", &nets[14],
     {14728266, 313201664, 92.64, "accuracy", "cifar10", "kuangliu/pytorch-cifar"}, &recipe_cifar},
    {"19-cifar", "E likewise", &nets[15], {20040522, 398136320, UNKNOWN}, &recipe_cifar},
    {0},
};
/* clang-format on */

const struct nn_plugin nn_plugin = {
    NN_PLUGIN_HEADER,
    .year = 2014,
    .name = "vgg",
    .title = "VGG",
    .citation =
        "Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image "
        "Recognition. ICLR 2015, arXiv 1409.1556",
    .about =
        "Two 3x3 convolutions see as far as one 5x5, with fewer weights and one more bend; so "
        "nothing but 3x3, and ever more of them: 11, 13, 16, 19 layers, each better than the last",
    .dataset = "images",
    .variants = variants,
    .recipe = &recipe_imagenet,
    .build = build,
};

NN_PLUGIN_NOTE("vgg", 2014, "VGG",
               "fashion 11 11-lrn 13 16-c 16 19 11-bn 13-bn 16-c-bn 16-bn 19-bn "
               "11-cifar 13-cifar 16-cifar 19-cifar");
