/* GoogLeNet — Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke, Rabinovich: Going
 * Deeper with Convolutions. CVPR 2015, arXiv 1409.4842. `table1` is Table 1 from inception (3a)
 * on, and Figure 2(b) is inception(). Rows are named as in Caffe's model of it. */
#include <string.h>

#include "plugin.h"

enum { MODULES = 9 };

struct module {
    const char *name;
    int one, reduce3, three, reduce5, five, pool; /* widths of the convolutions */
};

/* clang-format off */
static const struct module table1[MODULES] = {
    {"3a",  64,  96, 128, 16,  32,  32},
    {"3b", 128, 128, 192, 32,  96,  64},
    {"4a", 192,  96, 208, 16,  48,  64},
    {"4b", 160, 112, 224, 24,  64,  64},
    {"4c", 128, 128, 256, 24,  64,  64},
    {"4d", 112, 144, 288, 32,  64,  64},
    {"4e", 256, 160, 320, 32, 128, 128},
    {"5a", 256, 160, 320, 32, 128, 128},
    {"5b", 384, 192, 384, 48, 128, 128},
};
/* clang-format on */

struct net {
    int channels, size, classes; /* of the image; of the output */
    int modules, divisor;        /* how many of table1; of all widths */
    bool pool1, pool2;           /* of the stem */
    float dropout;
    bool heads;       /* the auxiliary classifiers after 4a and 4d */
    bool norm;        /* batch norm and no biases for response normalisation */
    bool torchvision; /* its "5x5" is 3x3, by a mistake it keeps, and its last pooling 2x2 */
};

static nn_value conv(nn_value x, const struct net *m, int out, int kernel, int stride)
{
    x = nn_conv2d(x, out / m->divisor, .kernel = kernel, .stride = stride, .pad = kernel / 2,
                  .no_bias = m->norm);
    return nn_relu(m->norm ? nn_batch_norm(x, 1e-3f) : x);
}

static nn_value response_norm(nn_value x, const struct net *m)
{
    return m->norm ? x : nn_lrn(x, 5, .k = 1.0f, .alpha = 1e-4f, .beta = 0.75f);
}

static nn_value halve(nn_value x, int kernel)
{
    return nn_max_pool(x, kernel, .stride = 2, .ceil = true);
}

/* Four views of the same input, side by side. */
static nn_value inception(nn_value x, const struct net *m, const struct module *t)
{
    struct nn_graph *const g = x.graph;
    nn_row(g, "inception_%s/1x1", t->name);
    nn_value one = conv(x, m, t->one, 1, 1);
    nn_row(g, "inception_%s/3x3_reduce", t->name);
    nn_value three = conv(x, m, t->reduce3, 1, 1);
    nn_row(g, "inception_%s/3x3", t->name);
    three = conv(three, m, t->three, 3, 1);
    nn_row(g, "inception_%s/5x5_reduce", t->name);
    nn_value five = conv(x, m, t->reduce5, 1, 1);
    nn_row(g, "inception_%s/5x5", t->name);
    five = conv(five, m, t->five, m->torchvision ? 3 : 5, 1);
    nn_row(g, "inception_%s/pool_proj", t->name);
    nn_value pool = conv(nn_max_pool(x, 3, .stride = 1, .pad = 1), m, t->pool, 1, 1);
    nn_row(g, "inception_%s/output", t->name);
    return nn_join(1, one, three, five, pool);
}

/* From the image to what (3a) sees: an eighth of the side. Small images skip strides and poolings.
 */
static nn_value stem(nn_value x, const struct net *m)
{
    struct nn_graph *const g = x.graph;
    const bool large = m->size >= 224;
    nn_row(g, "conv1/%s", large ? "7x7_s2" : "3x3");
    x = conv(x, m, 64, large ? 7 : 3, large ? 2 : 1);
    nn_row(g, "pool1");
    x = m->pool1 ? response_norm(halve(x, 3), m) : x;
    nn_row(g, "conv2/3x3_reduce");
    x = conv(x, m, 64, 1, 1);
    nn_row(g, "conv2/3x3");
    x = response_norm(conv(x, m, 192, 3, 1), m);
    nn_row(g, "pool2");
    return m->pool2 ? halve(x, 3) : x;
}

static nn_value classify(nn_value x, const struct net *m)
{
    return nn_linear(x, m->classes, .init = {NN_INIT_NORMAL, 0.01f});
}

/* A small classifier in the middle, Section 5, so that gradients reach the lower half. */
static nn_value head_loss(nn_value x, nn_value label, const struct net *m, int number)
{
    struct nn_graph *const g = x.graph;
    nn_row(g, "loss%d/conv", number);
    x = conv(nn_avg_pool(x, 5, .stride = 3), m, 128, 1, 1);
    nn_row(g, "loss%d/fc", number);
    x = nn_dropout(nn_relu(nn_linear(nn_flatten(x), 1024)), 0.7f);
    nn_row(g, "loss%d/classifier", number);
    return nn_scale(nn_cross_entropy(classify(x, m), label), 0.3f);
}

static bool is(const struct module *t, const char *name) { return strcmp(t->name, name) == 0; }

static void build(struct nn_graph *g, const void *config)
{
    const struct net *m = config;
    nn_value x = nn_input(g, "image", NN_F32, NN_SHAPE(m->channels, m->size, m->size));
    nn_value label = nn_input(g, "label", NN_I32, NN_SCALAR);
    nn_default_init(g, (struct nn_init){NN_INIT_HE_NORMAL, 1.0f});

    x = stem(x, m);
    nn_value loss[3];
    int losses = 1;
    for (const struct module *t = table1; t < table1 + m->modules; t++) {
        if (is(t, "4a")) {
            nn_row(g, "pool3");
            x = halve(x, 3);
        }
        if (is(t, "5a")) {
            nn_row(g, "pool4");
            x = halve(x, m->torchvision ? 2 : 3);
        }
        x = inception(x, m, t);
        if (m->heads && (is(t, "4a") || is(t, "4d"))) {
            loss[losses] = head_loss(x, label, m, losses);
            losses++;
        }
    }
    nn_row(g, "loss3/classifier");
    nn_value y = classify(nn_dropout(nn_global_avg_pool(x), m->dropout), m);
    loss[0] = nn_cross_entropy(y, label);
    for (int i = 1; i < losses; i++)
        loss[0] = nn_add(loss[0], loss[i]);
    nn_minimize(loss[0]);
    nn_metric("accuracy", nn_accuracy(y, label));
}

/* clang-format off */
static const struct nn_recipe recipe_imagenet = {
    NN_RECIPE_HEADER,
    .batch = 16, .epochs = 60, .optimizer = NN_SGD, .schedule = NN_COSINE, .rate = 0.005f, .momentum = 0.9f,
    .weight_decay = 2e-4f, .augment = "resizedcrop,flip,colour",
    .note = "Caffe's quick recipe for the paper's, which is not told in full: 60 epochs, a rate of 0.01 for 32 images, "
            "here 16; cosine for its polynomial; He's initial weights; no averaging of weights; "
            "AlexNet's colour shift for other photometric distortions; evaluation's loss counts the auxiliary classifiers too"
};
static const struct nn_recipe recipe_cifar = {
    NN_RECIPE_HEADER,
    .batch = 128, .epochs = 30, .optimizer = NN_SGD, .schedule = NN_ONE_CYCLE, .rate = 0.1f, .momentum = 0.9f,
    .weight_decay = 5e-4f, .final_factor = 0.002f, .augment = "crop4,flip",
    .note = "pytorch-cifar's recipe with one cycle of 30 epochs for 200 epochs of cosine"
};
static const struct nn_recipe recipe_fashion = {
    NN_RECIPE_HEADER,
    .batch = 128, .epochs = 14, .optimizer = NN_SGD, .schedule = NN_ONE_CYCLE, .rate = 0.1f, .momentum = 0.9f,
    .weight_decay = 5e-4f, .warmup_epochs = 5.0f, .final_factor = 0.002f, .augment = "crop1,flip",
    .note = "28x28 has room for four modules, here a third as wide; batch norm for response normalisation and one "
            "cycle of rates fit it into minutes"
};

#define NET(...)  (&(const struct net){__VA_ARGS__})
#define LARGE     3, 224, 1000, MODULES, 1, true, true
#define UNKNOWN   0, NULL, NULL, NULL
static const struct nn_variant variants[] = {
    {"fashion", "modules 3a to 4b with batch norm, a third as wide, on 28x28: minutes",
     NET(1, 28, 10, 4, 3, true, true, 0.2f, false, true, false), {165919, 6332511, UNKNOWN}, &recipe_fashion},
    {"paper", "as published: 5x5, biases, response normalisation, both auxiliary classifiers",
     NET(LARGE, 0.4f, true, false, false),
     {13378280, 1591044096, 68.7, "accuracy", "imagenet", "BVLC/caffe bvlc_googlenet, centre crop"}, NULL},
    {"main", "paper without the auxiliary classifiers", NET(LARGE, 0.4f, false, false, false),
     {6998552, 1582671872, UNKNOWN}, NULL},
    {"bn", "main with batch norm for biases and response normalisation", NET(LARGE, 0.4f, false, true, false),
     {7005832, 1582671872, UNKNOWN}, NULL},
    {"torchvision", "bn with 3x3 for 5x5, as released there", NET(LARGE, 0.2f, false, true, true),
     {6624904, 1498376192, 69.778, "accuracy", "imagenet", "torchvision's released weights"}, NULL},
    {"torchvision-aux", "torchvision with both auxiliary classifiers, as trained there", NET(LARGE, 0.2f, true, true, true),
     {13004888, 1506748416, UNKNOWN}, NULL},
    {"cifar", "torchvision with a 3x3 stem and one pooling less, on 32x32", NET(3, 32, 10, MODULES, 1, false, true, 0.2f, false, true, true),
     {5602474, 452175872, UNKNOWN}, &recipe_cifar},
    {0},
};
/* clang-format on */

const struct nn_plugin nn_plugin = {
    NN_PLUGIN_HEADER,
    .year = 2014,
    .name = "googlenet",
    .title = "GoogLeNet",
    .citation =
        "Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke, Rabinovich: Going Deeper "
        "with Convolutions. CVPR 2015, arXiv 1409.4842",
    .about =
        "Kernels of several sizes side by side, 1x1 convolutions that make them cheap, and a mean "
        "over the picture for the huge full layers: 22 layers, a ninth of AlexNet's weights",
    .dataset = "images",
    .variants = variants,
    .recipe = &recipe_imagenet,
    .build = build,
};

NN_PLUGIN_NOTE("googlenet", 2014, "GoogLeNet",
               "fashion paper main bn torchvision torchvision-aux cifar");
