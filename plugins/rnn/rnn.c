/* Elman's network — Elman: Finding Structure in Time. Cognitive Science 14(2), 1990.
 *
 *     h_t = f(W x_t + b + U h_t-1 + b')
 *     y_t = V h_t + c
 *
 * The hidden units of one step are the context units of the next, copied back through weights that
 * stay 1: the network has a memory without being told of time. Elman
 * learns from each step alone, the context being an input like any other (variant elman); the other
 * variants send errors back through time, as Rumelhart, Hinton, Williams 1986 and Werbos 1990 do:
 * through the whole sequence, or, in a text, through a window at whose edge h is carried on. Two
 * biases, b and b', are one too many, and what PyTorch and cuDNN have. */
#include "tasks.h"

static nn_value times(nn_value x, nn_value w) { return nn_matmul(x, nn_transpose(w)); } /* x w^T */

/* The equation as it is written, a step at a time. The same function as nn_rnn(), which takes W x
 * of all steps at once. */
static nn_value elman(nn_value x, const struct net *m)
{
    struct nn_graph *g = x.graph;
    const int T = nn_dim(x, 1), C = nn_dim(x, 2), H = m->cell.hidden;
    const nn_value W = nn_param(g, "weight_ih", NN_SHAPE(H, C), m->cell.input);
    const nn_value U = nn_param(g, "weight_hh", NN_SHAPE(H, H), m->cell.recurrent);
    const nn_value b = nn_param(g, "bias_ih", NN_SHAPE(H), NN_ZEROS);
    const nn_value b2 = nn_param(g, "bias_hh", NN_SHAPE(H), NN_ZEROS);
    nn_value h = nn_state(g, "h", NN_SHAPE(H)); /* 0: nobody assigns it */
    for (int t = 0; t < T; t++)
        h = nn_tanh(nn_add(nn_add(times(nn_at(x, t), W), b), nn_add(times(h, U), b2)));
    return h;
}

/* A language is what the first step reads; later ones read the letter that was said before. */
static void spell(struct nn_graph *g, const struct net *m)
{
    enum { WIDTH = 64 };
    const struct nn_init normal = {NN_INIT_NORMAL, 0.1f};
    const nn_value language = embedded(g, "class", 0, LANGUAGES, WIDTH, normal);
    const nn_value letters = embedded(g, "tokens", m->steps, LETTERS, WIDTH, normal);
    const nn_value x = nn_concat(nn_reshape(language, NN_SHAPE(1, WIDTH)), letters, 1);
    say_tokens(layer(x, m, all_steps, false), LETTERS, BY_LOSS);
}

static void build(struct nn_graph *g, const void *config)
{
    const struct net *m = config;
    m->task(g, m);
}

/* clang-format off */
#define CELL(h) .hidden = (h), ORTHOGONAL
#define IRNN(h) .hidden = (h), .recurrent = {NN_INIT_IDENTITY, 1}, .input = {NN_INIT_NORMAL, 0.001f}, .relu = true, .one_bias = true
static const struct nn_recipe recipe_row = ONE_CYCLE(128, 10, 1e-3f,
    "no paper has lines of pictures: Adam, one cycle, gradients clipped at 1");
static const struct nn_recipe recipe_pixel = ONE_CYCLE(128, 2, 5e-4f,
    "two passes, of the hundreds that pixels want");
static const struct nn_recipe recipe_irnn = ONE_CYCLE(32, 2, 1e-4f,
    "Adam with one cycle for SGD at 1e-8, or Keras' RMSprop at 1e-6; two passes for 900");
static const struct nn_recipe recipe_adding = ONE_CYCLE(32, 2, 1e-3f,
    "batches for single sequences; 50,000 sequences again and again for new ones");
static const struct nn_recipe recipe_copy = ONE_CYCLE(32, 8, 1e-3f,
    "Adam for RMSProp; 50,000 sequences again and again for new ones");
static const struct nn_recipe recipe_char = ONE_CYCLE(50, 20, 2e-3f,
    "Adam with one cycle for RMSprop at 2e-3, which decays by 0.97 an epoch from the tenth on");
static const struct nn_recipe recipe_elman = ONE_CYCLE(64, 2, 1e-3f,
    "Adam, on 64 places of the text at a time, for gradient descent by single letters");
static const struct nn_recipe recipe_names = ONE_CYCLE(64, 10, 2e-3f,
    "batches of 64 for single names, which PyTorch's tutorial learns from");

static const struct nn_variant variants[] = {
    {"row", "many to one: a picture line by line, 28 steps of 28 pixels, 128 units",
     NET(picture, nn_rnn_, {CELL(128)}, 28), {21514, 560384, UNKNOWN}, &recipe_row},
    {"row64", "64 units", NET(picture, nn_rnn_, {CELL(64)}, 28), {6666, 165504, UNKNOWN}, &recipe_row},
    {"pixel", "pixel by pixel: 784 steps", NET(picture, nn_rnn_, {CELL(128)}, 784),
     {18058, 12946688, 21.5, "accuracy", "mnist", "Bai, Kolter, Koltun 2018, Table 1"}, &recipe_pixel},
    {"irnn", "ReLU units that start as a sum: the identity for U. Le, Jaitly, Hinton 2015; 100 units on pixels",
     NET(picture, nn_rnn_, {IRNN(100)}, 784),
     {11210, 7919400, 93, "accuracy", "mnist", "Keras mnist_irnn, 900 epochs"}, &recipe_irnn},
    {"adding", "the sum of two marked numbers among 200; always saying 1 is off by 1/6", NET(adding, nn_rnn_, {CELL(128), LARGE_INPUT}, 200),
     {17025, 3328128, UNKNOWN}, &recipe_adding, "adding:200"},
    {"copy", "many to many: ten symbols to be said again 100 steps later", NET(copy, nn_rnn_, {CELL(128), LARGE_INPUT}, 120),
     {19210, 2273280, UNKNOWN}, &recipe_copy, "copy:100"},
    {"char", "many to many: the next character of a text, two layers of 128, h carried on: char-rnn's rnn", NET(text, nn_rnn_, {CELL(128)}, 50, 2),
     {66369, 3289600, UNKNOWN}, &recipe_char, "text"},
    {"elman", "a window of one step, as in 1990: errors pass into the context, but not through it", NET(text, nn_rnn_, {CELL(150), .one_bias = true}, 1, 1),
     {42215, 42000, UNKNOWN}, &recipe_elman, "text:1"},
    {"names", "many to one: which language is a name of?", NET(names, nn_rnn_, {CELL(128)}, 19),
     {26258, 452224, UNKNOWN}, &recipe_names, "names"},
    {"spell", "one to many: a name of a language, which is read at the first step only; then letters already said", NET(spell, nn_rnn_, {CELL(128)}, 19),
     {36985, 637440, UNKNOWN}, &recipe_names, "names"},
    {"one", "one to one: the whole picture as a single step, a perceptron with an idle context", NET(picture, nn_rnn_, {CELL(128)}, 1),
     {118282, 118016, UNKNOWN}, &recipe_row},
    {"unfused", "row, the equation step by step", NET(picture, nn_rnn_, {CELL(128)}, 28, .by_hand = elman),
     {21514, 560384, UNKNOWN}, &recipe_row},
    {0},
};
/* clang-format on */

const struct nn_plugin nn_plugin = {
    NN_PLUGIN_HEADER,
    .year = 1990,
    .name = "rnn",
    .title = "Elman's network",
    .citation = "Elman: Finding Structure in Time. Cognitive Science 14(2), 1990",
    .about =
        "Hidden units that see what they were a step ago: a memory, of any length in principle. "
        "Errors that travel back through it shrink or grow at each step, so that little is learnt "
        "of what is long ago",
    .dataset = "images",
    .variants = variants,
    .recipe = &recipe_row,
    .build = build,
};

NN_PLUGIN_NOTE("rnn", 1990, "Elman's network",
               "row row64 pixel irnn adding copy char elman names spell one unfused");
