/* GRU — Cho, van Merrienboer, Gulcehre, Bahdanau, Bougares, Schwenk, Bengio: Learning Phrase
 * Representations using RNN Encoder-Decoder for Statistical Machine Translation. EMNLP 2014, arXiv
 * 1406.1078, Section 2.3. An LSTM without a cell of its own: what is written is what is not kept.
 *
 *     r  = sigma(W x_t + U h_t-1 + b)               what of the past to look at (5)
 *     z  = sigma(W x_t + U h_t-1 + b)               what of it to keep (6)
 *     n  = tanh(W x_t + b + U (r h_t-1))            "before": the paper (8)
 *     n  = tanh(W x_t + b + r (U h_t-1 + b'))       "after": cuDNN, PyTorch, Keras 2
 *     h' = (1 - z) n + z h_t-1                      (7)
 *
 * Reset after the product, all of U h is one product; the two forms are different functions, and
 * the second has a second bias. z is what is kept here, in (7), in PyTorch and in Keras; Chung et
 * al. 2014 and Bahdanau et al. 2015 call so what is new, which is the same with -W, -U and -b. Rows
 * are in PyTorch's order r z n; Keras has z r n. */
#include "../rnn/tasks.h"

static nn_value times(nn_value x, nn_value w) { return nn_matmul(x, nn_transpose(w)); } /* x w^T */
static nn_value part(nn_value z, int from, int to) { return nn_slice(z, 1, from, to); }

/* The equations as they are written, "after", a step at a time. The same function as nn_gru(),
 * which takes W x of all steps at once. */
static nn_value cho(nn_value x, const struct net *m)
{
    struct nn_graph *g = x.graph;
    const int T = nn_dim(x, 1), C = nn_dim(x, 2), H = m->cell.hidden;
    const nn_value W = nn_param(g, "weight_ih", NN_SHAPE(3 * H, C), m->cell.input);
    const nn_value U = nn_param(g, "weight_hh", NN_SHAPE(3 * H, H), m->cell.recurrent);
    const nn_value b = nn_param(g, "bias_ih", NN_SHAPE(3 * H), NN_ZEROS);
    const nn_value b2 = nn_param(g, "bias_hh", NN_SHAPE(3 * H), NN_ZEROS);
    nn_value h = nn_state(g, "h", NN_SHAPE(H)); /* 0: nobody assigns it */
    for (int t = 0; t < T; t++) {
        const nn_value a = nn_add(times(nn_at(x, t), W), b), u = nn_add(times(h, U), b2);
        const nn_value r = nn_sigmoid(nn_add(part(a, 0, H), part(u, 0, H)));
        const nn_value z = nn_sigmoid(nn_add(part(a, H, 2 * H), part(u, H, 2 * H)));
        const nn_value n = nn_tanh(nn_add(part(a, 2 * H, 3 * H), nn_mul(r, part(u, 2 * H, 3 * H))));
        h = nn_add(nn_mul(nn_offset(nn_neg(z), 1), n), nn_mul(z, h));
    }
    return h;
}

static void build(struct nn_graph *g, const void *config)
{
    const struct net *m = config;
    m->task(g, m);
}

/* clang-format off */
#define CELL(h)    .hidden = (h), ORTHOGONAL
#define REMEMBERING(h, steps) .hidden = (h), ORTHOGONAL, LARGE_INPUT, .span = (steps)
static const struct nn_recipe recipe_row = ONE_CYCLE(128, 10, 2e-3f,
    "no paper has lines of pictures: Adam, one cycle, gradients clipped at 1");
static const struct nn_recipe recipe_pixel = ONE_CYCLE(128, 2, 1e-3f,
    "two passes, of the hundreds that pixels want");
static const struct nn_recipe recipe_adding = ONE_CYCLE(32, 2, 2e-3f,
    "batches for single sequences; 50,000 sequences again and again for new ones");
static const struct nn_recipe recipe_copy = ONE_CYCLE(32, 8, 5e-3f,
    "Adam for RMSProp; 50,000 sequences again and again for new ones");
static const struct nn_recipe recipe_char = ONE_CYCLE(50, 30, 5e-3f,
    "Adam with one cycle for RMSprop at 2e-3, which decays by 0.97 an epoch from the tenth on");
static const struct nn_recipe recipe_names = ONE_CYCLE(64, 10, 2e-3f,
    "batches of 64 for single names, which PyTorch's tutorial learns from");

static const struct nn_variant variants[] = {
    {"row", "many to one: a picture line by line, 28 steps of 28 pixels, 128 units",
     NET(picture, nn_gru_, {CELL(128)}, 28), {61962, 1678592, UNKNOWN}, &recipe_row},
    {"row64", "64 units", NET(picture, nn_gru_, {CELL(64)}, 28), {18698, 495232, UNKNOWN}, &recipe_row},
    {"pixel", "pixel by pixel: 784 steps", NET(picture, nn_gru_, {CELL(128)}, 784),
     {51594, 38837504, 96.2, "accuracy", "mnist", "Bai, Kolter, Koltun 2018, Table 1"}, &recipe_pixel},
    {"adding", "the sum of two marked numbers among 200; always saying 1 is off by 1/6",
     NET(adding, nn_gru_, {REMEMBERING(128, 200)}, 200), {50817, 9984128, UNKNOWN}, &recipe_adding, "adding:200"},
    {"copy", "many to many: ten symbols to be said again 100 steps later",
     NET(copy, nn_gru_, {REMEMBERING(128, 120)}, 120), {55050, 6512640, UNKNOWN}, &recipe_copy, "copy:100"},
    {"char", "many to many: the next character of a text, two layers of 128, their state carried on: char-rnn's gru",
     NET(text, nn_gru_, {CELL(128)}, 50, 2), {182337, 9036800, UNKNOWN}, &recipe_char, "text"},
    {"names", "many to one: which language is a name of?",
     NET(names, nn_gru_, {CELL(128)}, 19), {74130, 1352064, UNKNOWN}, &recipe_names, "names"},
    {"before", "row as in the paper: reset before the product, one bias",
     NET(picture, nn_gru_, {CELL(128), .reset_before = true}, 28), {61578, 1678592, UNKNOWN}, &recipe_row},
    {"unfused", "row, the equations step by step",
     NET(picture, nn_gru_, {CELL(128)}, 28, .by_hand = cho), {61962, 1678592, UNKNOWN}, &recipe_row},
    {0},
};
/* clang-format on */

const struct nn_plugin nn_plugin = {
    NN_PLUGIN_HEADER,
    .year = 2014,
    .name = "gru",
    .title = "GRU",
    .citation =
        "Cho, van Merrienboer, Gulcehre, Bahdanau, Bougares, Schwenk, Bengio: Learning Phrase "
        "Representations using RNN Encoder-Decoder for Statistical Machine Translation. EMNLP "
        "2014, "
        "arXiv 1406.1078",
    .about =
        "An LSTM with a gate less and no cell apart: one gate chooses between the old and the new, "
        "one what of the old is looked at. As good with three quarters of the weights",
    .dataset = "images",
    .variants = variants,
    .recipe = &recipe_row,
    .build = build,
};

NN_PLUGIN_NOTE("gru", 2014, "GRU", "row row64 pixel adding copy char names before unfused");
