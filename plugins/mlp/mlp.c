/* Multi-layer perceptrons — Rumelhart, Hinton, Williams: Learning representations
 * by back-propagating errors. Nature 323, 1986. The networks and most published
 * errors are the MNIST comparison of LeCun, Bottou, Bengio, Haffner: Gradient-Based
 * Learning Applied to Document Recognition. Proc. IEEE 86(11), 1998, Figure 9. */
#include "plugin.h"

enum { MAX_HIDDEN = 4 };

struct net {
    int hidden[MAX_HIDDEN]; /* ends at the first 0 */
    float dropout;
    nn_value (*activation)(nn_value);
    nn_value (*loss)(nn_value y, nn_value label);
};

static nn_value relu(nn_value a) { return nn_relu(a); }

static nn_value squash(nn_value a) /* A tanh(S a), A = 1.7159, S = 2/3: LeCun 1998 (6) */
{
    return nn_scale(nn_tanh(nn_scale(a, 2.0f / 3.0f)), 1.7159f);
}

static nn_value cross_entropy(nn_value y, nn_value label) { return nn_cross_entropy(y, label); }

/* The loss before softmax: squared distance to +1 at the label and -1 elsewhere. */
static nn_value squared_error(nn_value y, nn_value label)
{
    static float codes[100];
    for (int i = 0; i < 100; i++)
        codes[i] = i % 11 == 0 ? 1.0f : -1.0f;
    nn_value wanted = nn_gather(nn_const(y.graph, "codes", NN_SHAPE(10, 10), codes), label);
    nn_value error = nn_sub(y, wanted);
    return nn_mean(nn_scale(nn_sum(nn_mul(error, error), -1), 0.5f), 0);
}

static void build(struct nn_graph *g, const void *config)
{
    const struct net *net = config;
    nn_value x = nn_input(g, "image", NN_F32, NN_SHAPE(784));
    nn_value label = nn_input(g, "label", NN_I32, NN_SCALAR);
    const bool modern = net->activation == relu;
    nn_default_init(g, modern ? (struct nn_init){NN_INIT_HE_NORMAL, 1.0f}
                              : (struct nn_init){NN_INIT_FAN_IN_UNIFORM, 2.4f});

    for (int i = 0; i < MAX_HIDDEN && net->hidden[i]; i++) {
        nn_row(g, "hidden%d", i + 1);
        x = net->activation(nn_linear(x, net->hidden[i]));
        if (net->dropout > 0)
            x = nn_dropout(x, net->dropout);
    }
    nn_row(g, "output");
    nn_value y = nn_linear(x, 10, .init = {NN_INIT_GLOROT_UNIFORM, 1.0f});
    nn_minimize(net->loss(y, label));
    nn_metric("accuracy", nn_accuracy(y, label));
}

/* clang-format off */
static const struct net nets[] = {
    {{300, 100},      0.0f, relu,   cross_entropy},
    {{512, 512},      0.0f, relu,   cross_entropy},
    {{512, 512},      0.2f, relu,   cross_entropy},
    {{256, 128, 100}, 0.0f, relu,   cross_entropy},
    {{128},           0.0f, relu,   cross_entropy},
    {{300},           0.0f, relu,   cross_entropy},
    {{800},           0.0f, relu,   cross_entropy},
    {{1000},          0.0f, relu,   cross_entropy},
    {{500, 150},      0.0f, relu,   cross_entropy},
    {{0},             0.0f, relu,   cross_entropy},
    {{300, 100},      0.0f, squash, squared_error},
};

static const struct nn_recipe recipe_1998 = {
    NN_RECIPE_HEADER,
    .batch = 16, .epochs = 20, .optimizer = NN_SGD, .schedule = NN_COSINE, .rate = 0.01f,
    .momentum = 0.9f,
    .note = "the paper learns online (batch 1) for more passes; 16 at a time with momentum learns as well"
};

/* About as good as Keras' own run of 20 epochs of RMSprop, in as many. */
static const struct nn_recipe recipe_keras = {
    NN_RECIPE_HEADER,
    .batch = 128, .epochs = 20, .optimizer = NN_ADAM, .schedule = NN_CONSTANT, .rate = 1e-3f,
    .note = "Adam for RMSprop; the batch, the epochs and the dropout are Keras'"
};

static const struct nn_recipe recipe_sgd = {
    NN_RECIPE_HEADER,
    .batch = 128, .epochs = 10, .optimizer = NN_SGD, .schedule = NN_CONSTANT, .rate = 0.01f,
    .momentum = 0.9f, .weight_decay = 5e-4f,
    .note = "the plain recipe that speed is compared with: SGD with momentum at a constant rate"
};

#define PAPER "LeCun et al. 1998, Figure 9"
static const struct nn_variant variants[] = {
    {"300-100", "784-300-100-10, LeCun's two-layer network (LeNet-300-100), ReLU", &nets[0],
     {266610, 266200, 96.95, "accuracy", "mnist", PAPER}, NULL},
    {"512-512", "784-512-512-10 without dropout: the speed comparison", &nets[1],
     {669706, 668672, 0, NULL, NULL, NULL}, &recipe_sgd},
    {"keras", "784-512-512-10, dropout 0.2: Keras' mnist_mlp", &nets[2],
     {669706, 668672, 98.40, "accuracy", "mnist", "Keras mnist_mlp"}, &recipe_keras},
    {"fashion", "784-256-128-100-10, of the Fashion-MNIST benchmark", &nets[3],
     {247766, 247272, 88.33, "accuracy", "fashion-mnist", "Fashion-MNIST README"}, NULL},
    {"128", "784-128-10, the tutorial size", &nets[4],
     {101770, 101632, 0, NULL, NULL, NULL}, NULL},
    {"300", "784-300-10", &nets[5], {238510, 238200, 95.3, "accuracy", "mnist", PAPER}, NULL},
    {"800", "784-800-10, Simard et al. 2003", &nets[6], {636010, 635200, 98.4, "accuracy", "mnist", "Simard et al. 2003"}, NULL},
    {"1000", "784-1000-10", &nets[7], {795010, 794000, 95.5, "accuracy", "mnist", PAPER}, NULL},
    {"500-150", "784-500-150-10", &nets[8], {469160, 468500, 97.05, "accuracy", "mnist", PAPER}, NULL},
    {"linear", "784-10, no hidden layer", &nets[9], {7850, 7840, 88.0, "accuracy", "mnist", PAPER}, NULL},
    {"1998", "784-300-100-10 as in 1998: scaled tanh, squared error, U(±2.4/fan-in)", &nets[10],
     {266610, 266200, 96.95, "accuracy", "mnist", PAPER}, &recipe_1998},
    {0},
};
/* clang-format on */

static const struct nn_recipe recipe = {
    NN_RECIPE_HEADER,
    .batch = 128,
    .epochs = 10,
    .optimizer = NN_ADAM,
    .schedule = NN_ONE_CYCLE,
    .rate = 2e-3f,
    .warmup_epochs = 1.0f,
    .final_factor = 0.01f,
    .note =
        "ReLU, He's initial weights, softmax with cross-entropy and Adam stand for 1998's scaled "
        "tanh, squared error and online gradient descent (variant 1998)",
};

const struct nn_plugin nn_plugin = {
    NN_PLUGIN_HEADER,
    .year = 1986,
    .name = "mlp",
    .title = "Multi-layer perceptron",
    .citation =
        "Rumelhart, Hinton, Williams: Learning representations by back-propagating errors. "
        "Nature 323, 1986",
    .about =
        "Layers of weighted sums and a bent line, all trained at once by the chain rule. It sees "
        "784 numbers, not a picture: neighbouring pixels mean nothing to it",
    .dataset = "images",
    .variants = variants,
    .recipe = &recipe,
    .build = build,
};

NN_PLUGIN_NOTE("mlp", 1986, "Multi-layer perceptron",
               "300-100 512-512 keras fashion 128 300 800 1000 500-150 linear 1998");
