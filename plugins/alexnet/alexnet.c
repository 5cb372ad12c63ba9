/* AlexNet — Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional
 * Neural Networks. NIPS 2012, Section 3 and Figure 2. The figure's two towers, each on a GPU of
 * its own, are two groups of one convolution. The text's 224x224 needs 227x227 to give 55x55. */
#include "plugin.h"

enum { CONVS = 5 };

struct conv {
    int out, kernel, stride, pad;
    int groups; /* 2: each tower sees its own half */
    float bias; /* initially; Section 5: 1 in layers 2, 4, 5 */
    bool lrn;   /* response normalisation, Section 3.3 */
    int pool;   /* kernel of the max pooling with stride 2 that follows, Section 3.4; 0: none */
};

/* clang-format off */
static const struct conv paper[CONVS] = {
    { 96, 11, 4, 0, 1, 0, true,  3},
    {256,  5, 1, 2, 2, 1, true,  3},
    {384,  3, 1, 1, 1, 0, false, 0},
    {384,  3, 1, 1, 2, 1, false, 0},
    {256,  3, 1, 1, 2, 1, false, 3},
};
static const struct conv one_column[CONVS] = { /* the same without groups */
    { 96, 11, 4, 0, 1, 0, true,  3},
    {256,  5, 1, 2, 1, 1, true,  3},
    {384,  3, 1, 1, 1, 0, false, 0},
    {384,  3, 1, 1, 1, 1, false, 0},
    {256,  3, 1, 1, 1, 1, false, 3},
};
static const struct conv weird_trick[CONVS] = { /* Krizhevsky 2014, arXiv 1404.5997 */
    { 64, 11, 4, 2, 1, 0, false, 3},
    {192,  5, 1, 2, 1, 0, false, 3},
    {384,  3, 1, 1, 1, 0, false, 0},
    {256,  3, 1, 1, 1, 0, false, 0},
    {256,  3, 1, 1, 1, 0, false, 3},
};
static const struct conv cifar[CONVS] = { /* the same widths, all 3x3, pools that do not overlap */
    { 64,  3, 1, 1, 1, 0, false, 2},
    {192,  3, 1, 1, 1, 0, false, 2},
    {384,  3, 1, 1, 1, 0, false, 0},
    {256,  3, 1, 1, 1, 0, false, 0},
    {256,  3, 1, 1, 1, 0, false, 2},
};
static const struct conv fashion[CONVS] = { /* one column, the paper's overlapping pools, a third as wide or less */
    { 32,  5, 1, 2, 1, 0, true,  3},
    { 64,  3, 1, 1, 1, 0, true,  3},
    { 96,  3, 1, 1, 1, 0, false, 0},
    { 96,  3, 1, 1, 1, 0, false, 0},
    { 64,  3, 1, 1, 1, 0, false, 3},
};
/* clang-format on */

struct net {
    const struct conv *convs;
    int channels, size, classes;
    int full[2];
    bool later; /* He's initial weights, no biases of 1; dropout before fc6 and fc7, not behind;
                 * normalisation behind the pooling, as Caffe has it */
    float dropout;
};

static nn_value normalised(nn_value x) /* alpha 1e-4, times n = 5 */
{
    return nn_lrn(x, 5, .k = 2.0f, .alpha = 5e-4f, .beta = 0.75f);
}

static nn_value layer(nn_value x, const struct conv *c, bool later)
{
    const struct nn_init bias = {NN_INIT_CONST, later ? 0.0f : c->bias};
    x = nn_relu(nn_conv2d(x, c->out, .kernel = c->kernel, .stride = c->stride, .pad = c->pad,
                          .groups = c->groups, .bias_init = bias));
    if (c->lrn && !later)
        x = normalised(x);
    if (c->pool)
        x = nn_max_pool(x, c->pool, .stride = 2);
    return c->lrn && later ? normalised(x) : x;
}

static nn_value full(nn_value x, int units, const struct net *m)
{
    const struct nn_init bias = NN_ONES;
    if (m->later)
        return nn_relu(nn_linear(nn_dropout(x, m->dropout), units));
    return nn_dropout(nn_relu(nn_linear(x, units, .bias_init = bias)), m->dropout); /* 4.2 */
}

static void build(struct nn_graph *g, const void *config)
{
    const struct net *m = config;
    nn_value x = nn_input(g, "image", NN_F32, NN_SHAPE(m->channels, m->size, m->size));
    nn_value label = nn_input(g, "label", NN_I32, NN_SCALAR);
    nn_default_init(g, m->later ? (struct nn_init){NN_INIT_HE_NORMAL, 1.0f}
                                : (struct nn_init){NN_INIT_NORMAL, 0.01f});

    for (int i = 0; i < CONVS; i++) {
        nn_row(g, "conv%d", i + 1);
        x = layer(x, &m->convs[i], m->later);
    }
    x = nn_flatten(x);
    for (int i = 0; i < 2; i++) {
        nn_row(g, "fc%d", CONVS + 1 + i);
        x = full(x, m->full[i], m);
    }
    nn_row(g, "fc8");
    nn_value y = nn_linear(x, m->classes, .init = {NN_INIT_NORMAL, 0.01f});
    nn_minimize(nn_cross_entropy(y, label));
    nn_metric("accuracy", nn_accuracy(y, label));
}

/* clang-format off */
static const struct net nets[] = {
    {fashion,     1,  28,   10, {512, 512},   true,  0.2f},
    {paper,       3, 227, 1000, {4096, 4096}, false, 0.5f},
    {one_column,  3, 227, 1000, {4096, 4096}, false, 0.5f},
    {weird_trick, 3, 224, 1000, {4096, 4096}, true,  0.5f},
    {cifar,       3,  32,   10, {1024, 1024}, true,  0.5f},
};

static const struct nn_recipe recipe_imagenet = {
    NN_RECIPE_HEADER,
    .batch = 32, .epochs = 90, .optimizer = NN_SGD, .schedule = NN_STEPS, .rate = 0.01f * 32 / 128, .momentum = 0.9f,
    .weight_decay = 5e-4f, .steps = {{30, 0.1f}, {60, 0.01f}, {80, 0.001f}}, .augment = "resizedcrop,flip,colour",
    .note = "batches of 32 for 128, at a quarter of the rate, fit a small machine's memory; the rate falls at fixed "
            "epochs, the paper's when accuracy stalls; crops of 8 to 100 % of a picture for 224 of 256 pixels; one centre crop in evaluation for ten"
};
static const struct nn_recipe recipe_cifar = {
    NN_RECIPE_HEADER,
    .batch = 128, .epochs = 30, .optimizer = NN_SGD, .schedule = NN_ONE_CYCLE, .rate = 0.04f, .momentum = 0.9f,
    .weight_decay = 5e-4f, .final_factor = 0.002f, .augment = "crop4,flip",
    .note = "one cycle of 30 epochs; 3x3 kernels and narrower full layers for images of 32x32"
};
static const struct nn_recipe recipe_fashion = {
    NN_RECIPE_HEADER,
    .batch = 128, .epochs = 16, .optimizer = NN_ADAMW, .schedule = NN_ONE_CYCLE, .rate = 0.002f, .momentum = 0.9f,
    .weight_decay = 0.02f, .warmup_epochs = 3.7f, .final_factor = 0.002f, .augment = "crop1,flip",
    .note = "28x28 has no room for the 11x11 layer with stride 4: the net begins with 5x5, in one column a third as "
            "wide or less; normalisation behind the pooling as in Caffe; dropout of 0.2 for 0.5, AdamW for SGD, one-cycle rates and "
            "He's initial weights fit it into minutes"
};

#define UNKNOWN 0, NULL, NULL, NULL
static const struct nn_variant variants[] = {
    {"fashion", "response normalisation and overlapping pooling, a third as wide, on 28x28: minutes", &nets[0],
     {612490, 11107840, UNKNOWN}, &recipe_fashion},
    {"paper", "as published: two towers as groups, response normalisation, overlapping pooling", &nets[1],
     {60965224, 724406816, 59.3, "accuracy", "imagenet", "Krizhevsky et al. 2012, Table 2, one CNN, ten crops"}, NULL},
    {"column", "the same widths in a single column", &nets[2], {62378344, 1135256096, UNKNOWN}, NULL},
    {"torchvision", "one weird trick: a single, narrower column without normalisation", &nets[3],
     {61100840, 714188480, 56.522, "accuracy", "imagenet", "torchvision's released weights"}, NULL},
    {"cifar", "five 3x3 convolutions of those widths and 1024 units on 32x32", &nets[4], {7506762, 172173312, UNKNOWN}, &recipe_cifar},
    {0},
};
/* clang-format on */

const struct nn_plugin nn_plugin = {
    NN_PLUGIN_HEADER,
    .year = 2012,
    .name = "alexnet",
    .title = "AlexNet",
    .citation =
        "Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural "
        "Networks. NIPS 2012",
    .about =
        "LeNet grown a thousandfold, on a million photographs and two graphics cards: ReLU trains "
        "it several times sooner than tanh, dropout keeps 60 million weights from learning by "
        "heart",
    .dataset = "images",
    .variants = variants,
    .recipe = &recipe_imagenet,
    .build = build,
};

NN_PLUGIN_NOTE("alexnet", 2012, "AlexNet", "fashion paper column torchvision cifar");
