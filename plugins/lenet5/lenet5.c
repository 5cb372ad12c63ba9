/* LeNet-5 — LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to
 * Document Recognition. Proc. IEEE 86(11), 1998. Section II.B and Figure 2.
 * Rows are named as in the figure; numbers in (parentheses) are its equations. */
#include <math.h>

#include "lenet5_codes.h" /* Figure 3: ten 7x12 bitmaps */
#include "plugin.h"

/* Table I: an X where the S2 map of that row feeds the C3 map of that column. */
/* clang-format off */
static const char *const table1[] = {
    "X...XXX..XXXX.XX",
    "XX...XXX..XXXX.X",
    "XXX...XXX..X.XXX",
    ".XXX..XXXX..X.XX",
    "..XXX..XXXX.XX.X",
    "...XXX..XXXX.XXX",
};
/* clang-format on */

static nn_value squash(nn_value a) /* A tanh(S a), A = 1.7159, S = 2/3 (6) */
{
    return nn_scale(nn_tanh(nn_scale(a, 2.0f / 3.0f)), 1.7159f);
}

static nn_value subsample(nn_value x) /* sum of 2x2, one trained gain and bias per map */
{
    return squash(nn_affine(nn_sum_pool(x, 2)));
}

/* Euclidean RBF units: y_i = |x - code_i|^2 (7). The codes are fixed. */
static nn_value rbf(nn_value x)
{
    static float codes[10 * CODE_UNITS];
    for (int i = 0; i < 10 * CODE_UNITS; i++) {
        const char *const line = lenet5_codes[i / CODE_UNITS][i % CODE_UNITS / CODE_COLUMNS];
        codes[i] = line[i % CODE_COLUMNS] == '#' ? 1.0f : -1.0f;
    }
    return nn_sq_dist(x, nn_const(x.graph, "codes", NN_SHAPE(10, CODE_UNITS), codes));
}

static void original(struct nn_graph *g, nn_value x, nn_value digit)
{
    nn_default_init(g, (struct nn_init){NN_INIT_FAN_IN_UNIFORM, 2.4f}); /* Appendix A */

    /* clang-format off */
    nn_row(g, "C1"); x = squash(nn_conv2d(x, 6, .kernel = 5));
    nn_row(g, "S2"); x = subsample(x);
    nn_row(g, "C3"); x = squash(nn_conv2d(x, 16, .kernel = 5, .connect = table1));
    nn_row(g, "S4"); x = subsample(x);
    nn_row(g, "C5"); x = squash(nn_conv2d(x, 120, .kernel = 5));
    nn_row(g, "F6"); x = squash(nn_linear(nn_flatten(x), CODE_UNITS));
    nn_row(g, "output"); nn_value y = rbf(x);
    /* clang-format on */

    /* E = mean of y_D + log(e^-j + sum_i e^-y_i), j = 0.1 (9) */
    nn_value rest = nn_log(nn_offset(nn_sum(nn_exp(nn_neg(y)), -1), expf(-0.1f)));
    nn_minimize(nn_mean(nn_add(nn_pick(y, digit), rest), 0));
    nn_metric("accuracy", nn_accuracy(nn_neg(y), digit));
}

static void classify(nn_value scores, nn_value label)
{
    nn_minimize(nn_cross_entropy(scores, label));
    nn_metric("accuracy", nn_accuracy(scores, label));
}

static nn_value tanh_(nn_value x) { return nn_tanh(x); }
static nn_value relu(nn_value x) { return nn_relu(x); }
static nn_value average(nn_value x) { return nn_avg_pool(x, 2); }
static nn_value largest(nn_value x) { return nn_max_pool(x, 2); }

/* What later decades call LeNet: two convolutions with pooling, then full layers. */
struct net {
    int channels, size, pad1, pad3; /* of the image; of C1 and C3 */
    int c1, c3, full[2];
    nn_value (*activation)(nn_value), (*pool)(nn_value);
    bool activate_conv; /* Caffe's LeNet pools straight after the convolution */
};

static void modern(struct nn_graph *g, const struct net *m, nn_value x, nn_value label)
{
    const bool tangent = m->activation == tanh_;
    nn_default_init(g, tangent ? (struct nn_init){NN_INIT_GLOROT_UNIFORM, 1.0f}
                               : (struct nn_init){NN_INIT_HE_NORMAL, 1.0f});
    nn_row(g, "C1");
    x = nn_conv2d(x, m->c1, .kernel = 5, .pad = m->pad1);
    x = m->activate_conv ? m->activation(x) : x;
    nn_row(g, "S2");
    x = m->pool(x);
    nn_row(g, "C3");
    x = nn_conv2d(x, m->c3, .kernel = 5, .pad = m->pad3);
    x = m->activate_conv ? m->activation(x) : x;
    nn_row(g, "S4");
    x = m->pool(x);
    nn_row(g, "C5");
    if (nn_dim(x, 2) == 5) /* the paper's C5 is a convolution that happens to see everything */
        x = nn_flatten(m->activation(nn_conv2d(x, m->full[0], .kernel = 5)));
    else
        x = m->activation(nn_linear(nn_flatten(x), m->full[0]));
    if (m->full[1]) {
        nn_row(g, "F6");
        x = m->activation(nn_linear(x, m->full[1]));
    }
    nn_row(g, "output");
    classify(nn_linear(x, 10), label);
}

static void build(struct nn_graph *g, const void *config)
{
    const struct net *m = config;
    const int channels = m ? m->channels : 1, size = m ? m->size : 32;
    nn_value x = nn_input(g, "image", NN_F32, NN_SHAPE(channels, size, size));
    nn_value label = nn_input(g, "label", NN_I32, NN_SCALAR);
    if (m)
        modern(g, m, x, label);
    else
        original(g, x, label);
}

/* clang-format off */
static const struct net nets[] = {
    {1, 32, 0, 0,  6, 16, {120, 84}, tanh_, average, true},
    {1, 28, 2, 0,  6, 16, {120, 84}, tanh_, average, true},
    {1, 28, 0, 0,  6, 16, {120, 84}, tanh_, average, true},
    {3, 32, 0, 0,  6, 16, {120, 84}, tanh_, average, true},
    {1, 28, 0, 0, 20, 50, {500},     relu,  largest, false},
    {1, 28, 2, 2, 32, 64, {1024},    relu,  largest, true},
};

static const struct nn_recipe recipe_original = {
    NN_RECIPE_HEADER,
    .batch = 32, .epochs = 20, .optimizer = NN_ADAM, .schedule = NN_ONE_CYCLE, .rate = 2e-3f,
    .warmup_epochs = 1.0f, .final_factor = 0.005f, .ink_low = -0.1f, .ink_high = 1.175f,
    .note = "Adam on batches of 32 for the stochastic diagonal Levenberg-Marquardt method, which "
            "learns from one picture at a time; its 20 passes are kept"
};
static const struct nn_recipe recipe_caffe = {
    NN_RECIPE_HEADER,
    .batch = 64, .epochs = 10, .optimizer = NN_SGD, .schedule = NN_COSINE, .rate = 0.01f, .momentum = 0.9f,
    .weight_decay = 5e-4f, .ink_low = 0.0f, .ink_high = 1.0f,
    .note = "cosine for Caffe's inverse decay; 10000 iterations of 64 are ten epochs and a half"
};
static const struct nn_recipe recipe_fashion = {
    NN_RECIPE_HEADER,
    .batch = 128, .epochs = 4, .optimizer = NN_ADAM, .schedule = NN_ONE_CYCLE, .rate = 1e-3f,
    .warmup_epochs = 0.5f, .final_factor = 0.01f,
    .note = "one-cycle Adam for the benchmark's plain one"
};

static const struct nn_variant variants[] = {
    {"modern", "full C3, average pooling, linear output: what is taught as LeNet-5", &nets[0],
     {61706, 416520, 0, NULL, NULL, NULL}, NULL},
    {"original", "as published: Table I, trained subsampling, RBF output, E of (9)", NULL,
     {60000, 325680, 99.05, "accuracy", "mnist", "LeCun et al. 1998, Figure 9"}, &recipe_original},
    {"28pad2", "modern on 28x28 with C1 padded by 2", &nets[1],
     {61706, 416520, 0, NULL, NULL, NULL}, NULL},
    {"28valid", "modern on 28x28 without padding: C5 sees 4x4", &nets[2],
     {44426, 281640, 0, NULL, NULL, NULL}, NULL},
    {"cifar", "modern on three channels of 32x32", &nets[3],
     {62006, 651720, 0, NULL, NULL, NULL}, NULL},
    {"caffe", "Caffe's LeNet: 20-50-500-10, max pooling, ReLU", &nets[4],
     {431080, 2293000, 98.97, "accuracy", "mnist", "Caffe examples/mnist"}, &recipe_caffe},
    {"fashion2conv", "conv 32, pool, conv 64, pool, 1024: of the Fashion-MNIST benchmark", &nets[5],
     {3274634, 13883904, 91.6, "accuracy", "fashion-mnist", "Fashion-MNIST README"}, &recipe_fashion},
    {0},
};
/* clang-format on */

static const struct nn_recipe recipe = {
    NN_RECIPE_HEADER,
    .batch = 128,
    .epochs = 12,
    .optimizer = NN_SGD,
    .schedule = NN_ONE_CYCLE,
    .rate = 0.1f,
    .momentum = 0.9f,
    .weight_decay = 1e-4f,
    .warmup_epochs = 2.0f,
    .final_factor = 0.005f,
    .note =
        "SGD with momentum and softmax with cross-entropy for the diagonal Levenberg-Marquardt "
        "method and the RBF units of 1998 (variant original)",
};

const struct nn_plugin nn_plugin = {
    NN_PLUGIN_HEADER,
    .year = 1998,
    .name = "lenet5",
    .title = "LeNet-5",
    .citation =
        "LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document "
        "Recognition. Proc. IEEE 86(11), 1998",
    .about =
        "The same small filters slide over the whole picture and are learned, not designed; "
        "pooling forgives small shifts. A tenth of the weights of a perceptron, half its errors",
    .dataset = "images",
    .variants = variants,
    .recipe = &recipe,
    .build = build,
};

NN_PLUGIN_NOTE("lenet5", 1998, "LeNet-5",
               "modern original 28pad2 28valid cifar caffe fashion2conv");
